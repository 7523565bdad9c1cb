// <onion-train>: trains a network of the page in the reader's browser, and checks what the page says in
// that run. `data-network` names one of the lesson's networks instead of the exported one, and
// `data-change` lists what a reader may change.

import { changed, changeFields, settingsOf, USUAL } from "./changes.js";
import { checkClaims, claimList, valueOf } from "./checks.js";
import { CLASSES, fromKeras, NETWORKS, toKeras, trainingCode } from "./keras.js";
import { resultLine } from "./runs.js";
import { codeBox, define, imageCount, make } from "./shared.js";
import { trainingPanel } from "./training.js";

const DRAWINGS =
  "This site has no photographs to train with, so you train on drawings of the same classes. Your results " +
  "differ from this page's";

define("train", async (panel, { layers: trained, ...training }, { network: name, change }) => {
  const { page, network, sets, drawings, curves, bands, same_images: sameImages = true, claims = [] } = training;
  const epochs = (curves?.loss ?? bands?.val_loss)?.length ?? training.epochs;
  // The exported layers start from random weights, too.
  const layers = name ? toKeras(NETWORKS[name]) : trained.map(({ weights, ...settings }) => settings);
  const changes = change?.split(" ") ?? [];
  const settings = settingsOf(changes, layers);
  const checks = claimList(claims);
  const images = imageCount(sets.train);
  const line = make("code");
  const result = make("div", { className: "train-result", hidden: true }, make("p", {}, "Your result, if somebody collects those of your class:"), codeBox(line, "Your result", "result"));
  const onfinish = (run, history) => {
    if (!claims.length) return "";
    if (run.images !== images || run.epochs !== epochs) return `The page's sentences are not checked: they describe ${epochs} epochs of ${images} images.`;
    line.textContent = resultLine(network, run);
    result.hidden = false;
    checks.show(checkClaims(training, history));
    if (sameImages) fillForms(training, history);
    return "Below, see which of the page's sentences held in your run.";
  };
  if (!sameImages) panel.append(make("p", {}, DRAWINGS, bands ? "; the grey area is that of runs with drawings." : "."));
  const view = await trainingPanel(panel, {
    name: `${page ?? document.title}: ${network ?? name}`,
    network: () => changed(layers, settings),
    settings: () => ({ ...USUAL, ...settings }),
    fields: changeFields(changes, settings, () => view.refresh()),
    classes: CLASSES,
    sets,
    drawings,
    epochs,
    built: curves,
    bands,
    code: (run) => trainingCode(fromKeras(changed(layers, settings)), run),
    note: claims.length ? `After ${epochs} epochs of ${images} images, the sentences of this page are checked in your run.` : "",
    onstart: () => {
      checks.hide();
      result.hidden = true;
    },
    onfinish,
  });
  view.results.after(checks, result);
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
