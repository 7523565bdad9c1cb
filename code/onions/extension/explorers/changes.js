// What a reader may change about a training, and the fields for it.

import { choice } from "./shared.js";

/** The settings of the lesson's trainings. `inputs` is the largest input, `noise` the share of training
 *  images that get a random label. */
export const USUAL = { batch: 32, rate: 0.001, inputs: 1, noise: 0 };

const CHANGES = {
  rate: ["Learning rate", [0.0001, 0.001, 0.01, 0.1]],
  inputs: ["Inputs", [[1, "0 to 1"], [255, "0 to 255"]]],
  noise: ["Training labels", [[0, "right"], [0.5, "half of them random"], [1, "all random"]]],
  kernels: ["Kernels in each layer", [4, 8, 16, 32]],
  dropout: ["Dropout rate", [[0, "0 (no dropout)"], ...[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8].map((rate) => [rate, rate])]],
};

/** Create the fields for `names`, keys of CHANGES. They write to `settings`, and then call `onchange`. */
export const changeFields = (names, settings, onchange) =>
  names.map((name) => {
    const field = choice(...CHANGES[name], (value) => {
      settings[name] = Number(value);
      onchange();
    });
    field.control.value = settings[name];
    return field;
  });

/** Return the settings that `names` change, as layers in Keras' form have them. */
export const settingsOf = (names, layers) => {
  const { filters } = layers.find(({ kind }) => kind === "Conv2D") ?? {};
  const { rate } = layers.find(({ kind }) => kind === "Dropout") ?? {};
  const all = { ...USUAL, kernels: filters, dropout: rate };
  return Object.fromEntries(names.map((name) => [name, all[name]]));
};

/** Return layers in Keras' form with the number of kernels and the dropout rate of `settings`. */
export const changed = (layers, { kernels, dropout }) =>
  layers.map((layer) => {
    if (layer.kind === "Conv2D" && kernels !== undefined) return { ...layer, filters: kernels };
    return layer.kind === "Dropout" && dropout !== undefined ? { ...layer, rate: dropout } : layer;
  });
