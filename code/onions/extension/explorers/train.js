// <onion-train>: trains the page's network in the reader's browser, on the page's images, and checks
// what the page says in that run.

import { checkClaims, claimList, valueOf } from "./checks.js";
import { fromKeras, trainingCode } from "./keras.js";
import { define, make } from "./shared.js";
import { trainingPanel } from "./training.js";

const SETTINGS = { batch: 32, rate: 0.001, scale: 1 / 255 }; // as on the page

const DRAWINGS =
  "This site has no photographs to train with, so you train on drawings of the same classes. Your results " +
  "differ from this page's; the grey area is that of runs with drawings.";

define("train", async (panel, { layers: trained, classes, ...training }) => {
  const { page, network, epochs, sets, drawings, curves, bands, same_images: sameImages } = training;
  const layers = trained.map(({ weights, ...settings }) => settings); // they start from random weights
  const claims = claimList(training.claims);
  const images = sets.train.reduce((sum, file) => sum + file.count, 0);
  const onfinish = (run, history) => {
    if (run.images !== images || run.epochs !== epochs) return `The page's sentences are not checked: they describe ${epochs} epochs of ${images} images.`;
    claims.show(checkClaims(training, history));
    if (sameImages) fillForms(training, history);
    return "Below, see which of the page's sentences held in your run.";
  };
  if (!sameImages) panel.append(make("p", {}, DRAWINGS));
  const { results } = await trainingPanel(panel, {
    name: `${page}: ${network}`,
    legend: sameImages ? "this book's run" : "your run before",
    network: () => layers,
    settings: () => SETTINGS,
    classes,
    sets,
    drawings,
    epochs,
    built: curves,
    bands,
    code: (run) => trainingCode(fromKeras(layers), run),
    onstart: claims.hide,
    onfinish,
  });
  results.after(claims);
});

/** Write a run's results into the page's forms that ask whether a result is normal. */
const fillForms = ({ page, measures }, history) => {
  for (const [name, formula] of Object.entries(measures)) {
    const field = document.querySelector(`[data-measure="${page} ${name}"] input`);
    if (!field) continue;
    field.value = valueOf(formula, history).toFixed(4);
    field.dispatchEvent(new InputEvent("input", { bubbles: true }));
  }
};
