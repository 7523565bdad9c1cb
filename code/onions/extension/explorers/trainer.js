// Trains a network outside the page's thread, so that the page stays responsive. Where the device has the
// cores, a second worker of the same kind, the helper, computes half of each batch.

import { openBackend } from "./backend.js";
import { queue, startWorker } from "./compute.js";
import { loadImages, SIZE } from "./images.js";
import { openModel } from "./model.js";
import { randomFrom, shuffled } from "./random.js";
import { makeWindows } from "./windows.js";

const TURN = 50; // milliseconds of work between two looks at messages
const BLOCK = 100; // images evaluated between two such looks
const IN_TURN = ["trial", "train", "evaluate"]; // tasks that wait for each other
const CORES = 4; // of a device that gets two workers
const sets = {}; // the loaded images by set: { images, labels }
let trained; // the session of the latest training
let opened = 0; // the number of sessions
let joined; // the latest session of a trainer that this worker helps: { number, session }
let pause = Promise.resolve(); // training waits for it
let resume = () => {};
let stopped = false;

onmessage = async ({ data: { number, task, ...settings } }) => {
  try {
    const work = () => TASKS[task](settings, (progress) => postMessage({ number, progress }));
    const result = await (IN_TURN.includes(task) ? inTurn(work) : work());
    postMessage({ number, result }, result?.buffer ? [result.buffer.buffer] : []);
  } catch (error) {
    postMessage({ number, problem: error.message });
  }
};

const inTurn = queue();
const TASKS = {
  /** Time a network on random images. Return { backend, learn, evaluate }: the backend's name, and the
   *  seconds for an image in training and in evaluation. */
  trial: async ({ layers, shape, backend, workers }) => {
    const size = shape.reduce((a, b) => a * b);
    const images = Array.from({ length: 32 }, () => Float32Array.from({ length: size }, Math.random));
    const labels = images.map((_, i) => i % layers.at(-1).units);
    const session = await openSession({ layers, shape, backend, workers, seed: 1, inputs: 1 });
    const time = async (work) => {
      const start = performance.now();
      await work();
      return (performance.now() - start) / 1000 / images.length;
    };
    const works = [() => session.run(images, labels, 1 / images.length), () => session.run(images, labels)];
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
    trained = await openSession({ ...settings, layers, seed });
    for (let epoch = 1; epoch <= epochs; epoch++) {
      const order = shuffled(labels.length, random);
      let sums;
      let looked = performance.now();
      for (let start = 0; start < order.length; start += batch) {
        const numbers = Array.from(order.subarray(start, start + batch));
        const part = [numbers.map((i) => images[i]), numbers.map((i) => labels[i])];
        sums = add(sums, await trained.run(...part, 1 / numbers.length));
        trained.model.update(rate);
        if (performance.now() - looked < TURN) continue;
        report({ epoch, done: start + numbers.length, count: order.length });
        await nextTurn();
        if (stopped) return;
        looked = performance.now();
      }
      const { loss, accuracy } = verdict(sums);
      const { confusion, ...validation } = await trained.evaluate(sets.validation);
      const values = { loss, accuracy, val_loss: validation.loss, val_accuracy: validation.accuracy };
      report({ epoch, values, confusion, kernels: trained.model.weights()[0][0] });
    }
  },

  /** Evaluate the trained network on a set. Return { loss, accuracy, confusion }: the confusion matrix
   *  has a row for each class and a column for each answer. */
  evaluate: ({ set }) => trained.evaluate(sets[set]),

  /** Forget that earlier work was stopped or paused. */
  begin: () => {
    stopped = false;
    resume();
  },
  pause: () => {
    pause = new Promise((resolve) => (resume = resolve));
  },
  resume: () => resume(),
  stop: () => {
    stopped = true;
  },

  // What a trainer asks its helper to do. `buffer` holds the trainer's weights and then images; it comes
  // back with the gradients in place of the weights.
  join: async ({ trainer }) => void (await join(trainer)),
  help: async ({ trainer, buffer, labels, share }) => {
    const { run, imageIn, model: { exchange } } = await join(trainer);
    exchange.readWeights(buffer);
    if (share) exchange.clearGradients();
    const sums = await run(labels.map((_, i) => imageIn(buffer, i)), labels, share);
    if (share) exchange.writeGradients(buffer);
    return { ...sums, buffer };
  },
};

/** Open a session like a trainer's, unless that was the latest. */
const join = ({ number, ...settings }) => {
  if (joined?.number !== number) joined = { number, session: openSession({ ...settings, workers: 1 }) };
  return joined.session;
};

/** Open a network for training. Return { model, backend, run, evaluate, imageIn }.
 *  `run(images, labels, share)` returns { loss, confusion }, sums over images; with a share, it adds their
 *  gradients times the share. `evaluate(set)` returns what the task does. `imageIn(buffer, i)` is image i
 *  of those that stand after the weights in a buffer. */
const openSession = async ({ layers, shape, backend: name, workers, seed, inputs = 1 }) => {
  const backend = await openBackend(name);
  const model = openModel(backend, layers, shape, randomFrom(seed));
  const scaled = scaler(inputs);
  const trainer = { number: (opened += 1), layers, shape, backend: backend.name, seed: seed + 1 };
  const helper = await openHelper(workers, trainer);
  const { units } = layers.at(-1); // the number of classes
  const { exchange } = model;
  const size = shape.reduce((a, b) => a * b);
  let buffer = new Float32Array(0); // goes to the helper and back, so that no memory is left behind
  const imageIn = (buffer, i) => buffer.subarray(exchange.size + i * size, exchange.size + (i + 1) * size);
  const runAlone = (images, labels, share) => {
    const confusion = Array.from({ length: units }, () => new Array(units).fill(0));
    const pass = share ? model.learn : model.evaluate;
    let total = 0;
    images.forEach((image, i) => {
      const { loss, answer } = pass(scaled(image), labels[i], share);
      total += loss;
      confusion[labels[i]][answer]++;
    });
    return { loss: total, confusion };
  };
  const run = async (images, labels, share) => {
    if (!helper) return runAlone(images, labels, share);
    const middle = images.length >> 1;
    const numbers = exchange.size + size * (images.length - middle);
    if (buffer.length < numbers) buffer = new Float32Array(numbers);
    exchange.writeWeights(buffer);
    images.slice(middle).forEach((values, i) => imageIn(buffer, i).set(scaled(values)));
    const request = { task: "help", trainer, buffer, labels: labels.slice(middle), share };
    const help = helper(request, () => {}, [buffer.buffer]);
    const mine = runAlone(images.slice(0, middle), labels.slice(0, middle), share);
    const theirs = await help;
    buffer = theirs.buffer;
    if (share) exchange.addGradients(buffer);
    return add(mine, theirs);
  };
  const evaluate = async ({ images, labels }) => {
    let sums;
    for (let start = 0; start < labels.length; start += BLOCK) {
      await nextTurn();
      const part = [images, labels].map((all) => all.slice(start, start + BLOCK));
      sums = add(sums, await run(...part));
    }
    return verdict(sums);
  };
  return { model, backend: backend.name, run, evaluate, imageIn };
};

/** Add two { loss, confusion }; the first may be undefined. */
const add = (a, b) => {
  if (!a) return b;
  const confusion = a.confusion.map((row, i) => row.map((count, j) => count + b.confusion[i][j]));
  return { loss: a.loss + b.loss, confusion };
};

/** Return { loss, accuracy, confusion } from sums over images. */
const verdict = ({ loss, confusion }) => {
  const all = confusion.flat().reduce((a, b) => a + b);
  const right = confusion.reduce((sum, row, i) => sum + row[i], 0);
  return { loss: loss / all, accuracy: right / all, confusion };
};

let askHelper; // the function that asks the helper, once it has started
/** Start the helper of a trainer. Return the function that asks it, or null if the training is for one
 *  worker or the helper does not start. */
const openHelper = async (workers = navigator.hardwareConcurrency < CORES ? 1 : 2, trainer) => {
  if (workers === 1) return null;
  try {
    askHelper ??= startWorker(new URL("./trainer.js", import.meta.url));
    await askHelper({ task: "join", trainer });
    return askHelper;
  } catch (problem) {
    askHelper = () => Promise.reject(problem); // a worker that has failed does not answer again
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
    port1.onmessage = () => resolve(port1.close());
    port2.postMessage(null);
  });
  await pause;
};
