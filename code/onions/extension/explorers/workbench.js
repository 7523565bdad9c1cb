// <onion-workbench>: builds any network of the lesson's layers, and trains it in the reader's browser.

import { toKeras, trainingCode } from "./keras.js";
import { builder } from "./network.js";
import { choice, define, make } from "./shared.js";
import { trainingPanel } from "./training.js";

const MOST = 1_000_000; // parameters; more would take too long
const RATES = [0.0001, 0.001, 0.01, 0.1];
const SCALES = [[1 / 255, "divided by 255"], [1, "0 to 255"]];
const NOISE = [[0, "right"], [0.5, "half of them random"], [1, "all random"]];

define("workbench", async (panel, { classes, sets, drawings, epochs }) => {
  const settings = { batch: 32, rate: 0.001, scale: 1 / 255, noise: 0 };
  let built; // the layers of the builder, and their summary
  let training; // the panel, once it is open
  const parts = builder((layers, rows) => {
    built = { layers: layers.map((layer) => ({ ...layer })), rows };
    training?.refresh();
  });
  const parameters = () => built.rows.reduce((sum, row) => sum + row.parameters, 0);
  const trainable = () => {
    const shape = built.rows.at(-1)?.shape;
    return shape?.length === 1 && shape[0] === classes.length && parameters() <= MOST;
  };
  const field = (label, options, name) => {
    const chosen = choice(label, options, (value) => {
      settings[name] = Number(value);
      training.refresh();
    });
    chosen.control.value = settings[name];
    return chosen;
  };
  const place = make("div");
  panel.append(...parts, place);
  training = await trainingPanel(place, {
    name: "workbench",
    legend: "your run before",
    network: () => (trainable() ? toKeras(built.layers) : null),
    settings: () => ({ ...settings, parameters: parameters() }),
    fields: [field("Learning rate", RATES, "rate"), field("Inputs", SCALES, "scale"), field("Training labels", NOISE, "noise")],
    classes,
    sets,
    drawings,
    epochs,
    code: (run) => trainingCode(built.layers, run),
  });
});
