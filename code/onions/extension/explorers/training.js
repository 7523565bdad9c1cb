// Training in the reader's browser: controls, progress, curves, and what comes of it.

import { queue, startWorker } from "./compute.js";
import { runsTable } from "./runs.js";
import { announcer, button, choice, codeBox, imageCount, make, slider } from "./shared.js";
import { curvePlots, resultsView } from "./trained.js";

const SITE = new URL("../../", import.meta.url);
const SHAPE = [32, 32, 3]; // of an image
const FEW = 1000; // images of the small choice

/** Fill a panel with a training. `name` is under what its runs are kept. `network()` returns the layers as
 *  in Keras' configuration, or null if they can't train; `settings()` returns { batch, rate, inputs, noise }
 *  (see changes.js). `sets` lists the files of each set, as trainer.js loads them, with their bytes.
 *  `built` are the curves of this book's run, `bands` those of the reference runs. `fields` are more
 *  controls, and `note` a sentence below the curves. `code(run)` returns the run in Python.
 *  `onfinish(run, history)` returns a sentence about a finished run; `onstart()` precedes one. Resolves to
 *  { refresh, results }: call `refresh` when network or settings have changed; `results` is the element of
 *  the results. */
export const trainingPanel = async (panel, options) => {
  const { name, network, settings, classes, sets, drawings, epochs: usual, shape = SHAPE, noun = "images" } = options;
  const { built, bands = {}, fields = [], note = "", code, onstart = () => {}, onfinish = () => "" } = options;
  const ask = startWorker(new URL("./trainer.js", import.meta.url));
  const most = imageCount(sets.train);
  const state = { images: prefersLess() ? Math.min(FEW, most) : most, epochs: usual, seed: randomSeed() };
  let phase = "ready"; // or "running", "finished", "testing"
  let speed = null; // of the network, as a trial measured it
  let pace = 1; // the seconds of the latest run, as a multiple of those expected
  let history = {}; // of the reader's run: a list for each metric, as in Keras
  let before = {}; // the history of the run before
  let run = null; // the reader's latest run, while it trains and afterwards

  const files = fileSets(sets, ask);
  const plots = curvePlots({ built, bands, usual, chance: 1 / classes.length });
  const results = resultsView(classes, noun);
  const runs = runsTable(name, noun);
  const status = announcer();
  const progress = progressLine();
  const estimate = make("p", { className: "train-estimate" });
  const python = make("code"); // of the latest run or, before it, of the next

  const codeOf = (settings) => code?.({ ...settings, drawings });
  const expected = (epochs) => {
    const [train, validation] = ["train", "validation"].map((set) => imageCount(files.of(set, state.images)));
    return epochs * (train * speed.learn + validation * speed.evaluate);
  };
  const show = () => {
    plots.show(history, before, state.epochs);
    python.textContent = run?.code ?? codeOf({ ...state, ...settings() });
    const missing = files.missing(["train", "validation"], state.images);
    const loads = missing > 0 && `loads ${missing} MB of ${drawings ? "drawings" : "photographs"}, once`;
    const takes = speed && `takes about ${duration(pace * expected(state.epochs))} in this browser`;
    const slow = speed?.backend === "js" ? " It has no fast WebAssembly, so others need less." : "";
    estimate.textContent = network()
      ? `Training ${[loads, takes].filter(Boolean).join(", and then ") || "loads nothing"}.${slow}`
      : "This network can't be trained. Mend it first.";
    buttons.show(phase, Boolean(network()) && !busy());
  };
  const busy = () => phase === "running" || phase === "testing";
  const inTurn = queue();
  let trials = 0;
  const measure = async () => {
    const [number, layers] = [(trials += 1), network()];
    const latest = () => number === trials;
    speed = null;
    const measured = await inTurn(() => layers && latest() && ask({ task: "trial", layers, shape }));
    if (!latest()) return;
    speed = measured;
    show();
  };

  const load = (set, text) => {
    if (files.missing([set], state.images) > 0) status.say(`Loading the ${text} ${noun}.`);
    return files.load(set, state.images, progress.show);
  };
  const report = ({ epoch, done, count, values, ...pictures }) => {
    if (!values) {
      const share = (epoch - 1 + (0.9 * done) / count) / run.epochs;
      const elapsed = (performance.now() - run.started) / 1000 - run.paused;
      progress.show(share, `epoch ${epoch}, ${done} of ${count} ${noun}; about ${duration(elapsed / share - elapsed)} left`);
      return;
    }
    for (const [metric, value] of Object.entries(values)) (history[metric] ??= []).push(value);
    plots.show(history, before, state.epochs);
    results.show(pictures);
    const [accuracy, validation] = [values.accuracy, values.val_accuracy].map((value) => value.toFixed(2));
    status.say(`Epoch ${epoch} of ${run.epochs}: accuracy ${accuracy} in training, ${validation} in validation.`);
  };

  const enter = (next) => {
    phase = next;
    controls.disabled = busy();
    progress.show(0, "");
    show();
  };
  const train = async () => {
    if (history.val_loss) before = history;
    [history, run] = [{}, { ...state, ...settings(), paused: 0 }];
    run.code = codeOf(run);
    const layers = network();
    onstart();
    enter("running");
    try {
      await ask({ task: "begin" });
      await load("train", "training");
      await load("validation", "validation");
      status.say("Training.");
      run.started = performance.now();
      await ask({ task: "train", layers, shape, ...run }, report);
      finish();
    } catch (error) {
      status.say(`The training stopped: ${error.message}. Press Train to try again; what has loaded is kept.`);
      run = null;
    }
    enter(run ? "finished" : "ready");
  };
  const finish = () => {
    run.seconds = (performance.now() - run.started) / 1000 - run.paused;
    const [wanted, done] = [run.epochs, history.val_loss?.length ?? 0];
    if (!done) {
      run = null;
      return status.say("Stopped before the end of the first epoch.");
    }
    run.epochs = done;
    run.code = run.code?.replace(`epochs=${wanted},`, `epochs=${done},`);
    if (speed && done === wanted) pace = run.seconds / expected(done);
    for (const [metric, values] of Object.entries(history)) run[metric] = values.at(-1);
    runs.add(run);
    const end = done === wanted ? `Finished in ${duration(run.seconds)}` : `Stopped after epoch ${done} of ${wanted}`;
    status.say(`${end}. Validation accuracy ${run.val_accuracy.toFixed(3)}. ${onfinish(run, history)}`);
  };
  const test = async () => {
    enter("testing");
    try {
      await ask({ task: "begin" });
      await load("test", "test");
      const { accuracy } = await ask({ task: "evaluate", set: "test" });
      run.test_accuracy = accuracy;
      runs.update(run);
      const images = imageCount(files.of("test", state.images));
      status.say(`On ${images} test images, your network has an accuracy of ${accuracy.toFixed(3)}. Don't choose between networks by this number.`);
    } catch (error) {
      status.say(`The test images did not load: ${error.message}.`);
    }
    enter("finished");
  };
  const pause = () => {
    run.since = performance.now();
    ask({ task: "pause" });
    status.say("Paused.");
  };
  const resume = () => {
    if (run.started) run.paused += (performance.now() - Math.max(run.since, run.started)) / 1000;
    ask({ task: "resume" });
    status.say("Training.");
  };
  const buttons = trainButtons({ train, pause, resume, stop: () => ask({ task: "stop" }), test: sets.test && test });
  const controls = trainControls({ state, sets, noun, usual, fields }, show);

  panel.append(...plots.elements, ...(note ? [make("p", {}, note)] : []), estimate, buttons, progress, status, controls, results, runs);
  if (code) panel.append(make("details", {}, make("summary", {}, "The same training in Keras"), codeBox(python, "Keras code")));
  await measure();
  const refresh = () => {
    show();
    if (!busy()) measure();
  };
  return { refresh, results };
};

/** Return { of, missing, load } for the files of sets. `of(set, images)` returns those for a number of
 *  images, `missing(names, images)` the megabytes to load for sets, and `load(set, images, show)` loads a
 *  set; it calls `show(share, text)` as bytes arrive. */
const fileSets = (sets, ask) => {
  const loaded = new Set(); // the names of files
  const of = (set, images) => sets[set].slice(0, Math.ceil(Math.min(images, imageCount(sets[set])) / sets[set][0].count));
  const missing = (names, images) => megabytes(names.flatMap((set) => of(set, images)).filter(({ file }) => !loaded.has(file)));
  const load = async (set, images, show) => {
    const files = of(set, images);
    const total = megabytes(files);
    const addressed = files.map(({ file, ...rest }) => ({ url: file && new URL(`_exports/${file}`, SITE).href, ...rest }));
    await ask({ task: "load", set, files: addressed }, ({ bytes }) => show(bytes / 1e6 / total, `${(bytes / 1e6).toFixed(1)} of ${total} MB`));
    files.forEach(({ file }) => loaded.add(file));
  };
  return { of, missing, load };
};

const megabytes = (files) => (files.reduce((sum, file) => sum + file.bytes, 0) / 1e6).toFixed(1);

/** Create the fields of a training. They write to `state`: { images, epochs, seed }; then call `show`. */
const trainControls = ({ state, sets, noun, usual, fields }, show) => {
  const set = (name) => (value) => {
    state[name] = Number(value);
    show();
  };
  const most = imageCount(sets.train);
  const amounts = [...new Set([most, Math.min(FEW, most)])].map((number) => [number, amountText(sets, number)]);
  const amount = choice(noun[0].toUpperCase() + noun.slice(1), amounts, set("images"));
  amount.control.value = state.images;
  const seed = make("input", { type: "number", min: 0, max: 99999, value: state.seed, required: true });
  seed.oninput = () => seed.validity.valid && set("seed")(seed.value);
  const renew = () => {
    seed.value = randomSeed();
    seed.oninput();
  };
  return make(
    "fieldset",
    { className: "train-controls" },
    make("legend", {}, "What to train with"),
    amount,
    slider("Epochs", { min: 1, max: 2 * usual, value: usual }, set("epochs")),
    make("label", { className: "explorer-field" }, "Seed", seed),
    button("New seed", renew),
    ...fields,
  );
};

const amountText = (sets, number) => {
  const [train, validation] = [sets.train, sets.validation].map((files) => Math.min(number, imageCount(files)));
  return `${train} to train, ${validation} to validate`;
};

/** Create the line that shows how far a training is. `show(share, text)` sets it. */
const progressLine = () => {
  const bar = make("progress", { max: 1, value: 0, "aria-label": "Progress" });
  const left = make("span", { className: "train-left", "aria-hidden": true });
  const show = (share, text) => ([bar.value, left.textContent] = [share, text]);
  return Object.assign(make("p", { className: "train-progress" }, bar, left), { show });
};

const randomSeed = () => 1 + Math.floor(Math.random() * 9999);

/** Return whether less should be loaded and computed at first: on a phone, or if the reader saves data. */
const prefersLess = () => navigator.connection?.saveData || matchMedia("(hover: none) and (max-width: 46em)").matches;

const duration = (seconds) => {
  const whole = Math.max(1, Math.round(seconds));
  return whole < 100 ? `${whole} second${whole === 1 ? "" : "s"}` : `${Math.round(whole / 60)} minutes`;
};

/** Create the buttons of a training; `test` is undefined without a test set. `show(phase, ready)` enables
 *  those that make sense in a phase; `ready` is whether a training can start. */
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
  let opened = false; // once for each network
  const open = button("Open the test set", () => {
    open.disabled = opened = true;
    test();
  });
  const row = make("p", { className: "explorer-buttons" }, start, hold, end, ...(test ? [open] : []));
  const show = (phase, ready) => {
    start.disabled = !ready;
    hold.disabled = end.disabled = phase !== "running";
    if (phase === "running") {
      opened = false;
    } else {
      paused = false;
      hold.textContent = "Pause";
    }
    open.disabled = phase !== "finished" || opened;
  };
  return Object.assign(row, { show });
};
