// <onion-train>: trains the page's network in the reader's browser, on the page's images, and checks
// the page's claims in that run.

import { checkClaims, claimList, valueOf } from "./checks.js";
import { startWorker } from "./compute.js";
import { trainingCode } from "./keras.js";
import { curves } from "./plots.js";
import { runsTable } from "./runs.js";
import { announcer, button, choice, define, make, slider } from "./shared.js";
import { confusionTable, kernelPicture } from "./trained.js";

const SITE = new URL("../../", import.meta.url);
const SHAPE = [32, 32, 3]; // of an image
const [BATCH, RATE, SCALE] = [32, 0.001, 1 / 255]; // as on the page: Keras' defaults, and bytes to [0, 1]
const FEW = 1000; // images of the small choice
const METRICS = { accuracy: "accuracy", loss: "loss" };

define("train", async (panel, { layers: trained, classes, ...training }) => {
  const { sets, bands, curves: built, epochs: usual } = training;
  const layers = trained.map(({ weights, ...settings }) => settings); // they start from random weights
  const worker = startWorker(new URL("./trainer.js", import.meta.url));
  const speed = await worker.ask({ task: "trial", layers, shape: SHAPE });
  const most = count(sets.train);
  const state = { images: prefersLess() ? FEW : most, epochs: usual, seed: randomSeed() };
  let history = {}; // of the reader's run: a list for each metric, as in Keras
  let run = null; // the reader's latest run, while it trains and afterwards

  const filesOf = (set) => {
    const wanted = Math.min(state.images, count(sets[set]));
    return sets[set].slice(0, Math.ceil(wanted / sets[set][0].count));
  };
  const seconds = (epochs) =>
    epochs * (count(filesOf("train")) * speed.learn + count(filesOf("validation")) * speed.evaluate);

  const plots = Object.keys(METRICS).map(() => make("div"));
  const showCurves = () =>
    Object.keys(METRICS).forEach((metric, i) => {
      const set = (values = [], kind) => ({ values, kind });
      const lines = [
        set(built[metric], "run-0"),
        set(built[`val_${metric}`], "run-0 validation"),
        set(history[metric], "run-1"),
        set(history[`val_${metric}`], "run-1 validation"),
      ];
      const band = bands[`val_${metric}`] ?? [];
      const all = [...lines.flatMap(({ values }) => values), ...band.flat()];
      const range = metric === "accuracy" ? [0, 1] : [0, Math.max(...all)];
      const name = `The ${metric} by epoch: the band of the reference runs, this book's run${history[metric] ? ", and yours" : ""}`;
      plots[i].replaceChildren(curves(lines, { epochs: Math.max(usual, state.epochs), range, name, band }));
    });

  const kernels = kernelPicture();
  const confusion = confusionTable(classes);
  const claims = claimList(training.claims);
  const runs = runsTable(`${training.page}: ${training.network}`);
  const status = announcer();
  const bar = make("progress", { max: 1, value: 0, "aria-label": "Progress of the training" });
  const left = make("span", { className: "train-left", "aria-hidden": true });
  const estimate = make("p", { className: "train-estimate" });
  const code = make("code");

  const showEstimate = () => {
    const bytes = [...filesOf("train"), ...filesOf("validation")].reduce((sum, file) => sum + file.bytes, 0);
    const slow = speed.backend === "js" ? " It has no fast WebAssembly, so it takes several times as long as others." : "";
    estimate.textContent =
      `Training loads ${(bytes / 1e6).toFixed(1)} MB of ${training.drawings ? "drawings" : "photographs"}, once, ` +
      `and then takes about ${duration(seconds(state.epochs))} in this browser.${slow}`;
    code.textContent = trainingCode(layers, { ...state, batch: BATCH, rate: RATE });
  };

  const progress = (set) => ({ bytes }) => {
    const total = filesOf(set).reduce((sum, file) => sum + file.bytes, 0);
    bar.value = bytes / total;
    left.textContent = `${(bytes / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`;
  };
  const load = async (set, name) => {
    status.say(`Loading the ${name} images.`);
    const files = filesOf(set).map(({ file, count }) => ({ url: new URL(`_exports/${file}`, SITE).href, count }));
    await worker.ask({ task: "load", set, files }, progress(set));
  };
  const report = ({ epoch, done, count, values, ...pictures }) => {
    if (!values) {
      const share = (epoch - 1 + (0.9 * done) / count) / state.epochs;
      const elapsed = (performance.now() - run.started) / 1000 - run.paused;
      bar.value = share;
      left.textContent = `epoch ${epoch}, ${done} of ${count} images; about ${duration((elapsed / share) * (1 - share))} left`;
      return;
    }
    for (const [metric, value] of Object.entries(values)) (history[metric] ??= []).push(value);
    showCurves();
    results.hidden = false;
    kernels.show(pictures.kernels);
    confusion.show(pictures.confusion);
    const [accuracy, validation] = [values.accuracy, values.val_accuracy].map((value) => value.toFixed(2));
    status.say(`Epoch ${epoch} of ${state.epochs}: accuracy ${accuracy} in training, ${validation} in validation.`);
  };

  const train = async () => {
    controls.disabled = true;
    buttons.show("running");
    [history, run] = [{}, { ...state, paused: 0 }];
    claims.hide();
    try {
      await load("train", "training");
      await load("validation", "validation");
      status.say("Training.");
      run.started = performance.now();
      const settings = { layers, shape: SHAPE, batch: BATCH, rate: RATE, scale: SCALE };
      await worker.ask({ task: "train", ...settings, epochs: state.epochs, seed: state.seed }, report);
      finish();
    } catch (error) {
      status.say(`The training stopped: ${error.message}. Press Train to try again; what has loaded is kept.`);
      run = null;
    }
    bar.value = 0;
    left.textContent = "";
    controls.disabled = false;
    buttons.show(run ? "finished" : "ready");
  };
  const finish = () => {
    const { length } = history.val_loss ?? [];
    if (!length) {
      run = null;
      return status.say("Stopped before the end of the first epoch.");
    }
    run.seconds = (performance.now() - run.started) / 1000 - run.paused;
    Object.assign(run, { epochs: length });
    for (const [metric, values] of Object.entries(history)) run[metric] = values.at(-1);
    runs.add(run);
    state.seed = seed.value = randomSeed(); // so that the next run differs, unless a reader wants it otherwise
    let outcome = `What the page says is about ${most} images and ${usual} epochs.`;
    if (run.images === most && length === usual) {
      claims.show(checkClaims(training, history));
      fillForms(training, history);
      outcome = "Below, see which of the page's sentences held in your run.";
    }
    status.say(`Finished in ${duration(run.seconds)}. Validation accuracy ${run.val_accuracy.toFixed(3)}. ${outcome}`);
  };

  const buttons = trainButtons({
    train,
    pause: () => {
      run.since = performance.now();
      worker.ask({ task: "pause" });
    },
    resume: () => {
      run.paused += (performance.now() - run.since) / 1000;
      worker.ask({ task: "resume" });
    },
    stop: () => worker.ask({ task: "stop" }),
    test: async () => {
      await load("test", "test");
      const { accuracy } = await worker.ask({ task: "evaluate", set: "test", scale: SCALE });
      run.test_accuracy = accuracy;
      runs.update(run);
      status.say(`On ${count(filesOf("test"))} test images, your network has an accuracy of ${accuracy.toFixed(3)}. You opened the test set; do not choose by it.`);
      [bar.value, left.textContent] = [0, ""];
    },
  });
  const set = (name) => (value) => {
    state[name] = Number(value);
    showEstimate();
    showCurves();
  };
  const amounts = [...new Set([most, FEW])].map((images) => [images, `${images} to train, ${images} to validate`]);
  const amount = choice("Images", amounts, set("images"));
  amount.control.value = state.images;
  const seed = make("input", { type: "number", min: 0, max: 99999, value: state.seed, required: true });
  seed.oninput = () => seed.validity.valid && set("seed")(seed.value);
  const controls = make(
    "fieldset",
    { className: "train-controls" },
    make("legend", {}, "What to train with"),
    amount,
    slider("Epochs", { min: 1, max: 2 * usual, value: usual }, set("epochs")),
    make("label", { className: "explorer-field" }, "Seed", seed),
  );
  const captioned = (content, text, className = "explorer-wide") =>
    make("figure", { className }, content, make("figcaption", {}, text));
  const results = make(
    "div",
    { className: "explorer-row", hidden: true },
    captioned(kernels.canvas, "the kernels of your first layer", "train-kernels"),
    captioned(confusion, "your validation images: a row for each class, a column for each answer"),
  );
  panel.append(
    make(
      "div",
      { className: "explorer-row" },
      ...plots.map((plot, i) => captioned(plot, `${Object.keys(METRICS)[i]} by epoch. Grey: 99 of 100 runs of the validation set`)),
    ),
    make("p", {}, "Solid: training; dashed: validation. Blue: this book's run; orange: yours."),
    controls,
    estimate,
    buttons,
    make("p", { className: "train-progress" }, bar, left),
    status,
    results,
    claims,
    runs,
    make("details", {}, make("summary", {}, "The same training in Keras"), make("pre", { tabIndex: 0, role: "region", "aria-label": "Keras code" }, code)),
  );
  showCurves();
  showEstimate();
});

const randomSeed = () => 1 + Math.floor(Math.random() * 9999);

/** Return the number of images in files. */
const count = (files) => files.reduce((sum, file) => sum + file.count, 0);

/** Return whether less should be loaded and computed at first: on a phone, or if the reader saves data. */
const prefersLess = () => navigator.connection?.saveData || matchMedia("(hover: none) and (max-width: 46em)").matches;

const duration = (seconds) => {
  const whole = Math.max(1, Math.round(seconds));
  return whole < 100 ? `${whole} second${whole === 1 ? "" : "s"}` : `${Math.round(whole / 60)} minutes`;
};

/** Write a run's results into the page's forms that ask whether a result is normal. */
const fillForms = ({ page, measures }, history) => {
  for (const [name, formula] of Object.entries(measures)) {
    const field = document.querySelector(`[data-measure="${page} ${name}"] input`);
    if (!field) continue;
    field.value = valueOf(formula, history).toFixed(4);
    field.dispatchEvent(new InputEvent("input", { bubbles: true }));
  }
};

/** Create the buttons of a training. `show(phase)` enables those that make sense in a phase: "ready",
 *  "running" or "finished". */
const trainButtons = ({ train, pause, resume, stop, test }) => {
  let paused = false;
  const start = button("Train", train);
  const hold = button("Pause", () => {
    paused = !paused;
    hold.textContent = paused ? "Go on" : "Pause";
    (paused ? pause : resume)();
  });
  const end = button("Stop", () => {
    if (paused) hold.click();
    stop();
  });
  const open = button("Open the test set", async () => {
    open.disabled = true;
    await test();
  });
  const row = make("p", { className: "explorer-buttons" }, start, hold, end, open);
  const show = (phase) => {
    start.disabled = phase === "running";
    hold.disabled = end.disabled = phase !== "running";
    open.disabled = phase !== "finished";
  };
  show("ready");
  return Object.assign(row, { show });
};
