// Trains a network outside the page's thread, so that the page stays responsive. Where the device has the
// cores, a second worker of the same kind, the helper, computes half of each batch.

import { openBackend } from "./backend.js";
import { startWorker } from "./compute.js";
import { loadImages, SIZE } from "./images.js";
import { openModel } from "./model.js";
import { randomFrom, shuffled } from "./random.js";
import { makeWindows } from "./windows.js";

const TURN = 50; // milliseconds of work between two looks at messages
const CORES = 4; // of a device that gets two workers
const sets = {}; // the loaded images by set: { images, labels }
let trained; // the session of the latest training
let joined; // the session of the trainer that this worker helps
let pause = Promise.resolve(); // training waits for it
let resume = () => {};
let stopped = false;

onmessage = async ({ data: { number, task, ...settings } }) => {
  try {
    postMessage({ number, result: await TASKS[task](settings, (progress) => postMessage({ number, progress })) });
  } catch (error) {
    postMessage({ number, problem: error.message });
  }
};

const TASKS = {
  /** Time a network on random images. Return { backend, learn, evaluate }: the backend's name, and the
   *  seconds for an image in training and in evaluation. */
  trial: async ({ layers, shape, backend, workers }) => {
    const size = shape.reduce((a, b) => a * b);
    const images = Array.from({ length: 32 }, () => Float32Array.from({ length: size }, Math.random));
    const set = { images, labels: images.map((_, i) => i % layers.at(-1).units) };
    const session = await openSession({ layers, shape, backend, workers, seed: 1, inputs: 1, data: { train: set, validation: set } });
    const time = async (work) => {
      const start = performance.now();
      await work();
      return (performance.now() - start) / 1000 / images.length;
    };
    const works = [() => session.learn([...images.keys()]), session.validate];
    for (const work of works) await time(work); // the browser compiles the code
    return { backend: session.backend, learn: await time(works[0]), evaluate: await time(works[1]) };
  },

  /** Load a set of images from files (see images.js) unless it is loaded, and report the bytes so far. A
   *  file without a URL is a set of windows, to be made from its seed. */
  load: async ({ set, files }, report) => {
    const count = files.reduce((sum, file) => sum + file.count, 0);
    if (sets[set]?.labels.length === count) return;
    const check = () => {
      if (stopped) throw new Error("you pressed Stop");
    };
    sets[set] = files[0].url ? await loadImages(files, report, check) : makeWindows(count, files[0].seed);
  },

  /** Train on the set "train", and evaluate on "validation" after each epoch. Report { epoch, done, count }
   *  while an epoch runs, in images, and { epoch, values, confusion, kernels } at its end. `values` are
   *  those of Keras' history, `kernels` the weights of the first layer that has any. `rate` is the
   *  learning rate, `inputs` the largest input, `noise` the share of the training images that get a
   *  random label. `workers` is 1, 2, or undefined for what suits the device. */
  train: async ({ layers, epochs, batch, rate, noise, seed, ...settings }, report) => {
    const random = randomFrom(-seed); // other numbers than those of the weights
    const { images } = sets.train;
    const wrong = Math.round(noise * images.length);
    const { units } = layers.at(-1); // the number of classes
    const labels = sets.train.labels.map((label, i) => (i < wrong ? Math.floor(random() * units) : label));
    const data = { train: { images, labels }, validation: sets.validation };
    trained = await openSession({ ...settings, layers, seed, data });
    for (let epoch = 1; epoch <= epochs; epoch++) {
      const order = shuffled(labels.length, random);
      let [loss, right] = [0, 0];
      let turn = performance.now();
      for (let start = 0; start < order.length; start += batch) {
        const numbers = order.subarray(start, start + batch);
        const result = await trained.learn(numbers);
        loss += result.loss;
        right += result.right;
        trained.model.update(rate);
        if (performance.now() - turn < TURN) continue;
        report({ epoch, done: start + numbers.length, count: order.length });
        await nextTurn();
        if (stopped) return;
        turn = performance.now();
      }
      const { confusion, ...validation } = await trained.validate();
      const values = { loss: loss / order.length, accuracy: right / order.length };
      values.val_loss = validation.loss;
      values.val_accuracy = validation.accuracy;
      report({ epoch, values, confusion, kernels: trained.model.weights()[0][0] });
    }
  },

  /** Evaluate the trained network on a set. Return { loss, accuracy, confusion }: the confusion matrix
   *  has a row for each class and a column for each answer. */
  evaluate: async ({ set }) => verdict(await trained.count(sets[set])),

  /** Forget that a training was stopped. */
  begin: () => {
    stopped = false;
  },
  pause: () => {
    pause = new Promise((resolve) => (resume = resolve));
  },
  resume: () => resume(),
  stop: () => {
    stopped = true;
  },

  // What a trainer asks its helper to do, with the trainer's weights.
  join: async (settings) => {
    joined = await openSession({ ...settings, workers: 1 });
  },
  helpLearn: async ({ weights, numbers, share }) => {
    joined.model.exchange.setWeights(weights);
    joined.model.exchange.clearGradients();
    const result = await joined.learn(numbers, share);
    return { ...result, gradients: joined.model.exchange.gradients() };
  },
  helpValidate: ({ weights, from }) => {
    joined.model.exchange.setWeights(weights);
    return joined.count(joined.data.validation, from);
  },
};

/** Open a network for training on `data`: { train, validation }, each { images, labels }. Return { model,
 *  backend, data, learn, count, validate }. `learn(numbers)` adds the gradients of a batch, and
 *  `validate()` returns what the task "evaluate" does. */
const openSession = async ({ layers, shape, backend: name, workers, seed, inputs, data }) => {
  const backend = await openBackend(name);
  const model = openModel(backend, layers, shape, randomFrom(seed));
  const scaled = scaler(inputs);
  const helper = await openHelper(workers, { layers, shape, backend: backend.name, seed: seed + 1, inputs, data });
  const learnAlone = (numbers, share) => {
    let [loss, right] = [0, 0];
    for (const i of numbers) {
      const result = model.learn(scaled(data.train.images[i]), data.train.labels[i], share);
      loss += result.loss;
      right += result.answer === data.train.labels[i];
    }
    return { loss, right };
  };
  const learn = async (numbers, share = 1 / numbers.length) => {
    if (!helper) return learnAlone(numbers, share);
    const middle = numbers.length >> 1;
    const help = helper({ task: "helpLearn", weights: model.exchange.weights(), numbers: numbers.slice(middle), share });
    const mine = learnAlone(numbers.slice(0, middle), share);
    const theirs = await help;
    model.exchange.addGradients(theirs.gradients);
    return { loss: mine.loss + theirs.loss, right: mine.right + theirs.right };
  };
  /** Return { loss, confusion }, sums over the images from `from` to `to`. */
  const count = async ({ images, labels }, from = 0, to = labels.length) => {
    const { units } = layers.at(-1);
    const confusion = Array.from({ length: units }, () => new Array(units).fill(0));
    let loss = 0;
    for (let i = from; i < to; i++) {
      if (i % 100 === 0) await nextTurn();
      const result = model.evaluate(scaled(images[i]), labels[i]);
      loss += result.loss;
      confusion[labels[i]][result.answer]++;
    }
    return { loss, confusion };
  };
  const validate = async () => {
    if (!helper) return verdict(await count(data.validation));
    const middle = data.validation.labels.length >> 1;
    const help = helper({ task: "helpValidate", weights: model.exchange.weights(), from: middle });
    const mine = await count(data.validation, 0, middle);
    const theirs = await help;
    const confusion = mine.confusion.map((row, i) => row.map((number, j) => number + theirs.confusion[i][j]));
    return verdict({ loss: mine.loss + theirs.loss, confusion });
  };
  return { model, backend: backend.name, data, learn, count, validate };
};

/** Return { loss, accuracy, confusion } from sums over images. */
const verdict = ({ loss, confusion }) => {
  const all = confusion.flat().reduce((a, b) => a + b);
  const right = confusion.reduce((sum, row, i) => sum + row[i], 0);
  return { loss: loss / all, accuracy: right / all, confusion };
};

let askHelper; // the function that asks the helper, once it has started
/** Give the helper a training's settings. Return the function that asks it, or null if the training is for
 *  one worker or the helper does not start. */
const openHelper = async (workers = navigator.hardwareConcurrency < CORES ? 1 : 2, settings) => {
  if (workers === 1) return null;
  try {
    askHelper ??= startWorker(new URL("./trainer.js", import.meta.url));
    await askHelper({ task: "join", ...settings });
    return askHelper;
  } catch {
    return null;
  }
};

/** Return a function that turns an image's bytes into its values, float32 numbers from 0 to `largest`. It
 *  returns numbers that are float32 already as they are. */
const scaler = (largest) => {
  const values = Float32Array.from({ length: 256 }, (_, byte) => (byte * largest) / 255);
  const image = new Float32Array(SIZE); // for one image at a time
  return (bytes) => {
    if (bytes instanceof Float32Array) return bytes;
    for (let i = 0; i < SIZE; i++) image[i] = values[bytes[i]];
    return image;
  };
};

/** Let the worker read its messages, and wait while training is paused. */
const nextTurn = async () => {
  await new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = resolve;
    port2.postMessage(null);
  });
  await pause;
};
