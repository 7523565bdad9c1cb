// Keras' shapes, parameters and errors for a list of layers, and Python code for the network.
// A layer is an object with a kind and settings: { kind: "Dense", units: 10, activation: "none" }.

import { places } from "./formulas.js";

export const INPUT = [32, 32, 3];
export const CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split(" "); // of CIFAR-10

/** The kinds of layers, with the initial settings of a new layer. */
export const KINDS = {
  Conv2D: { filters: 32, size: 3, padding: "valid", stride: 1, activation: "relu" },
  MaxPooling2D: { size: 2 },
  Dropout: { rate: 0.2 },
  Flatten: {},
  Dense: { units: 32, activation: "relu" },
};

/** Create a layer: `layer("Dense", { units: 10 })`. */
export const layer = (kind, settings = {}) => ({ kind, ...KINDS[kind], ...settings });

/** Return { shape, parameters } for each layer; shapes omit the batch axis. The layer that Keras
 *  rejects also has { error: { keras, plain } }; its shape and all later shapes are null. */
export const summary = (layers) => {
  let shape = INPUT;
  return layers.map((layer, index) => {
    if (!shape) return { shape, parameters: 0 };
    const sameKind = layers.slice(0, index).filter(({ kind }) => kind === layer.kind).length;
    const error = errorOf(layer, shape, sameKind);
    const parameters = error ? 0 : parametersOf(layer, shape);
    shape = error ? null : shapeAfter(layer, shape);
    return error ? { shape, parameters, error } : { shape, parameters };
  });
};

/** Return the Python code that builds the network and prints its summary. */
export const code = (layers) => {
  const last = layers.length - 1;
  const lines = layers.map((layer, index) => {
    const [input, output] = [index === 0 ? "inputs" : "x", index === last ? "outputs" : "x"];
    return `${output} = keras.layers.${layer.kind}(${ARGUMENTS[layer.kind](layer)})(${input})`;
  });
  return [
    "import keras",
    "",
    `inputs = keras.Input(shape=${tuple(INPUT)})`,
    ...lines,
    `model = keras.Model(inputs=inputs, outputs=${layers.length ? "outputs" : "inputs"})`,
    "model.summary()",
  ].join("\n");
};

/** Return layers with Keras' names of settings, as the browser trains them (see model.js). */
export const toKeras = (layers) =>
  layers.map(({ kind, size, stride = size, padding = "valid", activation, ...settings }) => {
    const square = (side) => [side, side];
    const window = { Conv2D: { kernel_size: square(size) }, MaxPooling2D: { pool_size: square(size) } }[kind];
    const sliding = window && { ...window, strides: square(stride), padding };
    return { kind, ...settings, ...sliding, ...(activation && { activation: activation === "none" ? "linear" : activation }) };
  });

/** Return layers with Keras' names of settings as layers of this module. */
export const fromKeras = (layers) =>
  layers.map(({ kind, kernel_size: kernel, pool_size: pool, strides, activation, ...settings }) => {
    const size = (kernel ?? pool)?.[0];
    return { kind, ...settings, size, stride: strides?.[0], activation: activation === "linear" ? "none" : activation };
  });

/** Return the Python code of a run in the browser. */
export const trainingCode = (layers, { images, epochs, seed, batch, rate, inputs, noise, drawings }) => {
  const lines = code(layers).split("\n");
  const wrong = Math.round(noise * images);
  return [
    "import keras",
    ...(wrong ? ["import numpy as np"] : []),
    "",
    ...(drawings ? ["# These are photographs. The browser trains on drawings, so expect other results."] : []),
    "(all_images, all_labels), _ = keras.datasets.cifar10.load_data()",
    `all_images = all_images.astype("float32")${inputs === 255 ? "" : " / 255"}`,
    `train_images, train_labels = all_images[:${images}], all_labels[:${images}]`,
    `val_images, val_labels = all_images[5000:${5000 + images}], all_labels[5000:${5000 + images}]`,
    ...(wrong ? [`train_labels[:${wrong}] = np.random.default_rng(${seed}).integers(0, 10, (${wrong}, 1))`] : []),
    `keras.utils.set_random_seed(${seed})`,
    ...lines.slice(1, -1),
    ...fitCode({ epochs, batch, rate }, "train_images, train_labels", "val_images, val_labels"),
  ].join("\n");
};

/** Return the lines of Python that train a model on sets of images and labels. */
export const fitCode = ({ epochs, batch, rate }, train, validation) => [
  "model.compile(",
  `    optimizer=keras.optimizers.Adam(${rate}),`,
  "    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),",
  '    metrics=["accuracy"],',
  ")",
  "history = model.fit(",
  `    ${train}, batch_size=${batch}, epochs=${epochs},`,
  `    validation_data=(${validation}), verbose=2,`,
  ")",
];

// The arguments of a layer's constructor, as code.
const ARGUMENTS = {
  Conv2D: ({ filters, size, padding, stride, activation }) =>
    joined(
      filters,
      tuple([size, size]),
      stride > 1 && `strides=${stride}`,
      padding === "same" && 'padding="same"',
      activationArgument(activation),
    ),
  MaxPooling2D: ({ size }) => tuple([size, size]),
  Dropout: ({ rate }) => String(rate),
  Flatten: () => "",
  Dense: ({ units, activation }) => joined(units, activationArgument(activation)),
};
const joined = (...parts) => parts.filter(Boolean).join(", ");
const activationArgument = (activation) => activation !== "none" && `activation="${activation}"`;
const tuple = (numbers) => `(${numbers.join(", ")})`;

const shapeAfter = ({ kind, size, stride = size, padding = "valid", filters, units }, shape) => {
  const [height, width, channels] = shape;
  const outputSide = (side) => places(side, size, stride, padding)[0];
  if (kind === "Conv2D") return [outputSide(height), outputSide(width), filters];
  if (kind === "MaxPooling2D") return [outputSide(height), outputSide(width), channels];
  if (kind === "Flatten") return [shape.reduce((product, side) => product * side, 1)];
  if (kind === "Dense") return [...shape.slice(0, -1), units];
  return shape;
};

const parametersOf = ({ kind, size, filters, units }, shape) => {
  const channels = shape.at(-1);
  if (kind === "Conv2D") return size * size * channels * filters + filters;
  return kind === "Dense" ? channels * units + units : 0;
};

// Keras' names for the layers that slide over maps. Keras numbers them: conv2d, conv2d_1, …
const NAMES = { Conv2D: "conv2d", MaxPooling2D: "max_pooling2d" };

/** Return a layer's error as { keras, plain }: Keras' message, shortened, and an explanation. Return
 *  null if Keras accepts the layer. `sameKind` is the number of layers of its kind above it. */
const errorOf = (layer, shape, sameKind) => {
  const name = NAMES[layer.kind];
  if (!name) return null;
  if (shape.length === 1) return flatError(layer, shape, name + (sameKind ? `_${sameKind}` : ""));
  const fits = layer.padding === "same" || Math.min(shape[0], shape[1]) >= layer.size;
  return fits ? null : sizeError(layer, shape);
};

const flatError = ({ kind }, shape, name) => ({
  keras:
    `Input 0 with name 'None' of layer '${name}' is incompatible with the layer: expected ` +
    `${kind === "Conv2D" ? "min_ndim" : "ndim"}=4, found ndim=2. ` +
    `Full shape received: ${tuple(["None", ...shape])}`,
  plain:
    `${kind} slides over maps with a height and a width. Here it gets numbers in a row, ` +
    "since Flatten stands above it. Move it above Flatten.",
});

const sizeError = ({ kind, size, filters }, shape) => {
  const convolves = kind === "Conv2D";
  const [height, width, channels] = shape;
  const kernel = tuple([size, size, channels, filters]);
  const received = convolves
    ? `Received \`inputs shape=${tuple(["None", ...shape])}\`, \`kernel shape=${kernel}\``
    : `Received: \`inputs.shape=[None ${shape.join(" ")}]\`, \`pool_size=[${size} ${size}]\``;
  const remedy = `Make the ${convolves ? 'kernel smaller, choose the padding "same",' : "block smaller"}`;
  return {
    keras: `Computed output size would be zero or negative. ${received}, …`,
    plain:
      `A ${convolves ? "kernel" : "block"} of ${size} × ${size} does not fit into maps of ` +
      `${height} × ${width}. ${remedy} or take out a layer above that shrinks the maps.`,
  };
};

/** The lesson's networks: a list of layers for each name. */
export const NETWORKS = (() => {
  const [conv, pool, flat] = [layer("Conv2D"), layer("MaxPooling2D"), layer("Flatten")];
  const end = [flat, layer("Dense"), layer("Dense", { units: 10, activation: "none" })];
  const [, , classes] = end;
  return {
    "dense layers only": [flat, layer("Dense", { units: 100 }), classes],
    "the first convolutional network": [conv, conv, flat, classes],
    "with pooling": [conv, pool, conv, pool, ...end],
    "a third convolution": [conv, pool, conv, pool, conv, ...end],
    "with dropout": [conv, pool, conv, pool, conv, layer("Dropout"), ...end],
  };
})();
