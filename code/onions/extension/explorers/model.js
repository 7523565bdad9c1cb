// A network of the lesson's layers in the memory of a backend: forward passes, gradients and steps of
// Adam, as in Keras. `tests/extension/test_training.py` compares the two.
//
// A layer is { kind, … } with its settings as in Keras, and its weights if it has been trained.

import { places, softmax } from "./formulas.js";
import { transpose } from "./kernels.js";

// Keras' settings of Adam. Keras computes with float32 throughout; without its rounding of the powers of
// beta_2, losses differ by 0.005 after 20 steps.
const BETA_1 = 0.9;
const BETA_2 = 0.999;
const EPSILON = 1e-7;
const round = Math.fround;

/** Open a network for images of a shape [height, width, channels]. `random` returns numbers from 0 to
 *  1, for initial weights and dropout; without it, layers need weights and the network can't train.
 *  Throws a RangeError for a layer or an activation that is unknown, and if a window does not fit. */
export const openModel = (backend, layers, shape, random) => {
  let count = 0;
  build(layers, shape, (size) => ((count += size), null), null, random); // counts the numbers
  const memory = backend.allocate(count + 3); // the core reads up to 3 numbers too many
  let used = 0;
  const reserve = (size) => memory.subarray(used, (used += size));
  const { input, steps } = build(layers, shape, reserve, backend.kernels, random);
  const weighted = steps.filter((step) => step.setWeights);
  weighted.forEach((step) => step.setWeights());
  const output = steps.at(-1).output;
  const slopes = steps.flatMap((step) => step.output.gradient ?? []); // of the outputs
  let number = 0; // of steps of Adam

  const run = (image, training) => {
    input.values.set(image);
    steps.forEach((step) => step.forward(training));
  };
  /** Return the output of each layer for an image's values, as tensors; the last is the logits. */
  const forward = (image) => {
    run(image, false);
    return steps.map((step) => ({ shape: step.output.shape, values: step.output.values.slice() }));
  };
  /** Return { loss, answer } for an image and its class, without dropout. */
  const evaluate = (image, label) => {
    run(image, false);
    return verdict(output.values, label);
  };
  /** Add the gradients of the loss of an image to those of its batch, with dropout. Return as
   *  `evaluate` does. `share` is 1 / the size of the batch. */
  const learn = (image, label, share) => {
    run(image, true);
    const { loss, answer, probabilities } = verdict(output.values, label);
    slopes.forEach((slope) => slope.fill(0));
    output.gradient.set(probabilities.map((probability, i) => (probability - (i === label)) * share));
    for (let i = steps.length - 1; i >= 0; i--) steps[i].backward();
    return { loss, answer };
  };
  /** Change the weights by one step of Adam at a learning rate, and set all gradients to 0. */
  const update = (rate) => {
    number += 1;
    const [rest1, rest2] = [BETA_1, BETA_2].map((beta) => round(1 - round(round(beta) ** number)));
    const alpha = round(round(round(rate) * round(Math.sqrt(rest2))) / rest1);
    weighted.forEach((step) => step.update(alpha, 1 - BETA_1, 1 - BETA_2, EPSILON));
  };
  /** Return the weights of each layer that has any, and their gradients, as Keras' get_weights does. */
  const weights = () => weighted.map((step) => step.tensors(false));
  const gradients = () => weighted.map((step) => step.tensors(true));
  /** Return the part of an array for each layer with weights. */
  const parts = (array) => {
    let used = 0;
    return weighted.map(({ parameters }) => array.subarray(used, (used += parameters.length)));
  };
  /** Exchange weights or gradients with the same network in another worker: `size` numbers in an array. */
  const exchange = {
    size: weighted.reduce((sum, { parameters }) => sum + parameters.length, 0),
    writeWeights: (array) => parts(array).forEach((part, i) => part.set(weighted[i].parameters)),
    readWeights: (array) => parts(array).forEach((part, i) => weighted[i].setParameters(part)),
    writeGradients: (array) => parts(array).forEach((part, i) => part.set(weighted[i].gradient)),
    addGradients: (array) =>
      parts(array).forEach((part, i) => {
        const { gradient } = weighted[i];
        for (let j = 0; j < part.length; j++) gradient[j] += part[j];
      }),
    clearGradients: () => weighted.forEach(({ gradient }) => gradient.fill(0)),
  };
  return { forward, evaluate, learn, update, weights, gradients, exchange };
};

/** Return the loss, the number of the answer, and the probabilities for logits. Without a largest logit,
 *  which a network that has diverged to NaN lacks, the answer is 0. */
const verdict = (logits, label) => {
  const probabilities = softmax(logits);
  const largest = Math.max(...logits);
  const loss = largest + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0)) - logits[label];
  return { loss, answer: Math.max(0, logits.indexOf(largest)), probabilities };
};

/** Create the steps of a network: { output, forward, backward } and, for layers with weights,
 *  { parameters, gradient, setParameters, setWeights, update, tensors }. `reserve(size)` returns memory, or null while it counts. */
const build = (layers, shape, reserve, kernels, random) => {
  const tensor = (shape, trains = Boolean(random)) => {
    const size = sizeOf(shape);
    return { shape, values: reserve(size), gradient: trains ? reserve(size) : null };
  };
  const input = tensor(shape, false); // no layer before it needs its gradient
  let before = input;
  const steps = layers.map((layer) => {
    const { kind, activation = "linear" } = layer;
    if (!STEPS[kind] || !["linear", "relu"].includes(activation)) {
      throw new RangeError(`layer ${kind} with activation ${activation} is not supported`);
    }
    const step = STEPS[kind]({ kernels, reserve, tensor, random }, layer, before);
    before = step.output;
    return step;
  });
  return { input, steps };
};

const sizeOf = (shape) => shape.reduce((a, b) => a * b, 1);

const convolution = ({ kernels, reserve, tensor, random }, layer, input, [kh, kw], count) => {
  const { strides: [stride] = [1], padding = "valid", activation, weights: given } = layer;
  const flat = input.shape.length === 1;
  const [height, width, channels] = flat ? [1, 1, ...input.shape] : input.shape;
  const [rows, top] = places(height, kh, stride, padding);
  const [columns, left] = places(width, kw, stride, padding);
  const output = tensor(flat ? [count] : [rows, columns, count]);
  const patch = kh * kw * channels;
  const size = patch * count;
  const kernel = reserve(size); // [kh, kw, channels, kernels], for passes forward
  // Each holds kernels in the order [kernels, kh, kw, channels], and the biases after them.
  const [parameters, gradient, mean, square] = Array.from({ length: random ? 4 : 1 }, () => reserve(size + count));
  const terms = random ? [reserve((2 * rows * columns + 3) * count)] : []; // memory for conv2dGrad
  const image = [height, width, channels];
  const sides = [stride, top, left, rows, columns, activation === "relu"];
  const shape = layer.kind === "Dense" ? [channels, count] : [kh, kw, channels, count];
  return {
    output,
    parameters,
    gradient,
    setParameters: (values) => {
      parameters.set(values);
      kernels.transpose(parameters, count, patch, kernel);
    },
    forward: () =>
      kernels.conv2d(input.values, ...image, kernel, kh, kw, count, parameters.subarray(size), ...sides, output.values),
    backward: () => {
      const gradients = [output.gradient, gradient, gradient.subarray(size), input.gradient, ...terms];
      kernels.conv2dGrad(input.values, ...image, parameters, kh, kw, count, ...sides, output.values, ...gradients);
    },
    update: (...settings) => {
      kernels.adam(parameters, gradient, mean, square, size + count, ...settings);
      kernels.transpose(parameters, count, patch, kernel);
      gradient.fill(0);
    },
    tensors: (slopes) => {
      const all = slopes ? gradient : parameters;
      const values = new Float32Array(size);
      transpose(all, count, patch, values);
      return [{ shape, values }, { shape: [count], values: all.slice(size) }];
    },
    /** Set the weights to those of the layer or, without any, to Glorot's uniform numbers and 0. */
    setWeights: () => {
      const limit = Math.sqrt(6 / (patch + kh * kw * count));
      kernel.set(given?.[0].values ?? Float32Array.from({ length: size }, () => (2 * random() - 1) * limit));
      parameters.set(given?.[1].values ?? new Float32Array(count), size);
      kernels.transpose(kernel, patch, count, parameters);
    },
  };
};

const STEPS = {
  Conv2D: (memory, layer, input) => convolution(memory, layer, input, layer.kernel_size, layer.filters),
  Dense: (memory, layer, input) => convolution(memory, layer, input, [1, 1], layer.units),
  MaxPooling2D: ({ kernels, tensor }, { pool_size: [size], strides: [stride], padding }, input) => {
    const [height, width, channels] = input.shape;
    const [rows, top] = places(height, size, stride, padding);
    const [columns, left] = places(width, size, stride, padding);
    const output = tensor([rows, columns, channels]);
    const sides = [height, width, channels, size, stride, top, left, rows, columns];
    return {
      output,
      forward: () => kernels.maxPool(input.values, ...sides, output.values),
      backward: () =>
        input.gradient && kernels.maxPoolGrad(input.values, ...sides, output.values, output.gradient, input.gradient),
    };
  },
  GlobalAveragePooling2D: ({ tensor }, layer, input) => {
    const channels = input.shape.at(-1);
    const share = channels / sizeOf(input.shape);
    const output = tensor([channels]);
    return {
      output,
      forward: () => {
        output.values.fill(0);
        input.values.forEach((value, i) => (output.values[i % channels] += value * share));
      },
      backward: () => input.gradient?.forEach((_, i) => (input.gradient[i] += output.gradient[i % channels] * share)),
    };
  },
  Flatten: (_, layer, { shape, values, gradient }) => {
    return { output: { shape: [sizeOf(shape)], values, gradient }, forward: () => {}, backward: () => {} };
  },
  Dropout: ({ tensor, random }, { rate }, input) => {
    const output = tensor(input.shape);
    const factors = new Float32Array(sizeOf(input.shape)); // 0 where a value is silenced
    return {
      output,
      forward: (training) => {
        for (let i = 0; i < factors.length; i++) {
          factors[i] = !training ? 1 : random() < rate ? 0 : 1 / (1 - rate);
          output.values[i] = input.values[i] * factors[i];
        }
      },
      backward: () => input.gradient?.forEach((_, i) => (input.gradient[i] += output.gradient[i] * factors[i])),
    };
  },
};
