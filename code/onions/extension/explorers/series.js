// <onion-series>: trains the network of the page time_series on windows that the browser makes itself.

import { changeFields, USUAL } from "./changes.js";
import { define } from "./shared.js";
import { trainingPanel } from "./training.js";
import { SHAPE } from "./windows.js";

// A signal is an image of one row, and a convolution along it has kernels of one row.
const LAYERS = [
  { kind: "Conv2D", filters: 8, kernel_size: [1, 9], activation: "relu" },
  { kind: "GlobalAveragePooling2D" },
  { kind: "Dense", units: 3, activation: "linear" },
];
const SETS = { train: [{ count: 2000, seed: 1, bytes: 0 }], validation: [{ count: 1000, seed: 2, bytes: 0 }] };

define("series", async (panel) => {
  const settings = { ...USUAL, rate: 0.01 }; // as on the page
  const view = await trainingPanel(panel, {
    name: "time_series",
    network: () => LAYERS,
    shape: SHAPE,
    settings: () => settings,
    fields: changeFields(["rate", "noise"], settings, () => view.refresh()),
    classes: ["still", "walking", "running"],
    sets: SETS,
    noun: "windows",
    epochs: 10,
  });
});
