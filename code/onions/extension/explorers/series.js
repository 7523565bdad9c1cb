// <onion-series>: trains the network of the page time_series on windows that the browser makes itself.

import { changeFields, USUAL } from "./changes.js";
import { fitCode } from "./keras.js";
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
    code,
  });
});

/** Return the Python code of a run in the browser, to be run after the page's cells. */
const code = ({ images, epochs, seed, batch, rate, noise }) => {
  const wrong = Math.round(noise * images);
  return [
    "# First run the page's code that makes the windows. The browser makes others.",
    "import keras",
    "",
    ...(wrong ? [`train_labels[:${wrong}] = rng.integers(3, size=(${wrong}, 1))`] : []),
    `keras.utils.set_random_seed(${seed})`,
    "inputs = keras.Input(shape=(128, 3))",
    'x = keras.layers.Conv1D(8, 9, activation="relu")(inputs)',
    "x = keras.layers.GlobalAveragePooling1D()(x)",
    "outputs = keras.layers.Dense(3)(x)",
    "model = keras.Model(inputs=inputs, outputs=outputs)",
    ...fitCode(
      { epochs, batch, rate },
      `train_windows[:${images}], train_labels[:${images}]`,
      `val_windows[:${images}], val_labels[:${images}]`,
    ),
  ].join("\n");
};
