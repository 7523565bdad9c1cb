// <onion-workbench>: builds any network of the lesson's layers, and trains it in the reader's browser.

import { changeFields, USUAL } from "./changes.js";
import { CLASSES, toKeras, trainingCode } from "./keras.js";
import { builder } from "./network.js";
import { define, make } from "./shared.js";
import { trainingPanel } from "./training.js";

const MOST = 1_000_000; // parameters; more would take too long

define("workbench", async (panel, { sets, drawings, epochs }) => {
  const settings = { ...USUAL };
  let built; // the layers of the builder, and their summary
  let training; // the panel, once it is open
  const parts = builder((layers, rows) => {
    built = { layers: layers.map((layer) => ({ ...layer })), rows };
    training?.refresh();
  });
  const parameters = () => built.rows.reduce((sum, row) => sum + row.parameters, 0);
  const trainable = () => {
    const shape = built.rows.at(-1)?.shape;
    return shape?.length === 1 && shape[0] === CLASSES.length && parameters() <= MOST;
  };
  const place = make("div");
  panel.append(...parts, place);
  training = await trainingPanel(place, {
    name: "workbench",
    network: () => (trainable() ? toKeras(built.layers) : null),
    settings: () => ({ ...settings, parameters: parameters() }),
    fields: changeFields(["rate", "inputs", "noise"], settings, () => training.refresh()),
    classes: CLASSES,
    sets,
    drawings,
    epochs,
    code: (run) => trainingCode(built.layers, run),
  });
});
