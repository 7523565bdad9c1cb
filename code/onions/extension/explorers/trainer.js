// Trains a network outside the page's thread, so that the page stays responsive.

import { openBackend } from "./backend.js";
import { loadImages, SIZE } from "./images.js";
import { openModel } from "./model.js";
import { randomFrom, shuffled } from "./random.js";
import { makeWindows } from "./windows.js";

const TURN = 50; // milliseconds of work between two looks at messages
const sets = {}; // the loaded images by set: { images, labels }
let model; // the trained network
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
  trial: async ({ layers, shape, backend: name }) => {
    const backend = await openBackend(name);
    const trial = openModel(backend, layers, shape, Math.random);
    const image = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, Math.random);
    const time = (work) => {
      const [start, runs] = [performance.now(), 24];
      for (let i = 0; i < runs; i++) work(i % layers.at(-1).units);
      return (performance.now() - start) / 1000 / runs;
    };
    const works = [(label) => trial.learn(image, label, 1), (label) => trial.evaluate(image, label)];
    works.forEach(time); // the browser compiles the code
    const [learn, evaluate] = works.map(time);
    return { backend: backend.name, learn, evaluate };
  },

  /** Load a set of images from files (see images.js) unless it is loaded, and report the bytes so far. A
   *  file without a URL is a set of windows, to be made from its seed. */
  load: async ({ set, files }, report) => {
    const count = files.reduce((sum, file) => sum + file.count, 0);
    if (sets[set]?.labels.length === count) return;
    sets[set] = files[0].url ? await loadImages(files, report) : makeWindows(count, files[0].seed);
  },

  /** Train on the set "train", and evaluate on "validation" after each epoch. Report { epoch, done, count }
   *  while an epoch runs, in images, and { epoch, values, confusion, kernels } at its end. `values` are
   *  those of Keras' history, `kernels` the weights of the first layer that has any. `rate` is the
   *  learning rate, `inputs` the largest input, `noise` the share of the training images that get a
   *  random label. */
  train: async ({ layers, shape, epochs, batch, rate, inputs, noise, seed, backend }, report) => {
    stopped = false;
    const random = randomFrom(seed);
    model = openModel(await openBackend(backend), layers, shape, random);
    const { images } = sets.train;
    const wrong = Math.round(noise * images.length);
    const { units } = layers.at(-1); // the number of classes
    const labels = sets.train.labels.map((label, i) => (i < wrong ? Math.floor(random() * units) : label));
    const scaled = scaler(inputs);
    for (let epoch = 1; epoch <= epochs; epoch++) {
      const order = shuffled(labels.length, random);
      let [loss, right] = [0, 0];
      let turn = performance.now();
      for (let start = 0; start < order.length; start += batch) {
        const numbers = order.subarray(start, start + batch);
        for (const i of numbers) {
          const result = model.learn(scaled(images[i]), labels[i], 1 / numbers.length);
          loss += result.loss;
          right += result.answer === labels[i];
        }
        model.update(rate);
        if (performance.now() - turn < TURN) continue;
        report({ epoch, done: start + numbers.length, count: order.length });
        await nextTurn();
        if (stopped) return;
        turn = performance.now();
      }
      const { confusion, ...validation } = await evaluated(sets.validation, scaled);
      const values = { loss: loss / order.length, accuracy: right / order.length };
      values.val_loss = validation.loss;
      values.val_accuracy = validation.accuracy;
      report({ epoch, values, confusion, kernels: model.weights()[0][0] });
    }
  },

  /** Evaluate the trained network on a set. Return { loss, accuracy, confusion }: the confusion matrix
   *  has a row for each class and a column for each answer. */
  evaluate: ({ set, inputs }) => evaluated(sets[set], scaler(inputs)),

  pause: () => {
    pause = new Promise((resolve) => (resume = resolve));
  },
  resume: () => resume(),
  stop: () => {
    stopped = true;
  },
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

const evaluated = async ({ images, labels }, scaled) => {
  const classes = model.weights().at(-1)[1].shape[0];
  const confusion = Array.from({ length: classes }, () => new Array(classes).fill(0));
  let loss = 0;
  const { length } = labels;
  for (let i = 0; i < length; i++) {
    if (i % 100 === 0) await nextTurn();
    const result = model.evaluate(scaled(images[i]), labels[i]);
    loss += result.loss;
    confusion[labels[i]][result.answer]++;
  }
  const right = confusion.reduce((sum, row, i) => sum + row[i], 0);
  return { loss: loss / length, accuracy: right / length, confusion };
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
