// What Keras says to a list of layers: shapes, parameters, errors, and the code that makes them.
// A layer is its kind with its settings, { kind: "Dense", units: 10, activation: "none" }.

import { places } from "./layers.js";

export const INPUT = [32, 32, 3];

/** The kinds of layers, with the settings that a new one has. */
export const KINDS = {
  Conv2D: { filters: 32, size: 3, padding: "valid", stride: 1, activation: "relu" },
  MaxPooling2D: { size: 2 },
  Dropout: { rate: 0.2 },
  Flatten: {},
  Dense: { units: 32, activation: "relu" },
};

/** Make a layer: `layer("Dense", { units: 10 })`. */
export const layer = (kind, settings = {}) => ({ kind, ...KINDS[kind], ...settings });

/** Return a row { shape, parameters } for each layer, without the batch in its shape. The layer at
 *  which Keras stops has { error: { keras, plain } } besides; its shape and all later ones are null. */
export const summary = (layers) => {
  let shape = INPUT;
  return layers.map((one, place) => {
    if (!shape) return { shape, parameters: 0 };
    const alike = layers.slice(0, place).filter(({ kind }) => kind === one.kind).length;
    const error = errorOf(one, shape, alike);
    const parameters = error ? 0 : parametersOf(one, shape);
    shape = error ? null : shapeAfter(one, shape);
    return error ? { shape, parameters, error } : { shape, parameters };
  });
};

/** Return the Python code that builds the network and prints its summary. */
export const code = (layers) => {
  const last = layers.length - 1;
  const lines = layers.map((one, place) => {
    const [before, after] = [place === 0 ? "inputs" : "x", place === last ? "outputs" : "x"];
    return `${after} = keras.layers.${one.kind}(${CALLS[one.kind](one)})(${before})`;
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

const CALLS = {
  Conv2D: ({ filters, size, padding, stride, activation }) =>
    given(
      filters,
      tuple([size, size]),
      stride > 1 && `strides=${stride}`,
      padding === "same" && 'padding="same"',
      acts(activation),
    ),
  MaxPooling2D: ({ size }) => tuple([size, size]),
  Dropout: ({ rate }) => String(rate),
  Flatten: () => "",
  Dense: ({ units, activation }) => given(units, acts(activation)),
};
const given = (...parts) => parts.filter(Boolean).join(", ");
const acts = (activation) => activation !== "none" && `activation="${activation}"`;
const tuple = (numbers) => `(${numbers.join(", ")})`;

const shapeAfter = (one, shape) => {
  const [height, width, channels] = shape;
  const { kind, size, stride = size, padding = "valid" } = one;
  const slid = (side) => places(side, size, stride, padding)[0];
  if (kind === "Conv2D") return [slid(height), slid(width), one.filters];
  if (kind === "MaxPooling2D") return [slid(height), slid(width), channels];
  if (kind === "Flatten") return [shape.reduce((product, side) => product * side, 1)];
  if (kind === "Dense") return [...shape.slice(0, -1), one.units];
  return shape;
};

const parametersOf = ({ kind, size, filters, units }, shape) => {
  const channels = shape.at(-1);
  if (kind === "Conv2D") return size * size * channels * filters + filters;
  return kind === "Dense" ? channels * units + units : 0;
};

// What Keras calls the layers that slide over maps. The second of a kind is conv2d_1, and so on.
const NAMES = { Conv2D: "conv2d", MaxPooling2D: "max_pooling2d" };

/** Return what stops a layer, in Keras' words (as far as they help) and in plain ones, or null.
 *  `alike` layers of its kind stand above it. */
const errorOf = (one, shape, alike) => {
  if (!NAMES[one.kind]) return null;
  if (shape.length === 1) return flatError(one, shape, NAMES[one.kind] + (alike ? `_${alike}` : ""));
  const fits = one.padding === "same" || Math.min(shape[0], shape[1]) >= one.size;
  return fits ? null : sizeError(one, shape);
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

/** The lesson's networks: name, and layers. */
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
