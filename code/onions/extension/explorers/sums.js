// How the values of a network come about: the sum behind each value, and its receptive field.
//
// A stage is an image, or a layer that changes values, with its output [rows, columns, maps]. A
// dense layer counts as a convolution whose kernel covers its whole input, so it has one place.

import { places } from "./formulas.js";

/** Return the stages of a network from an image and the outputs of its layers: { kind, output, window,
 *  stride, padding } and, unless the stage is the image or pools, { kernel, bias, activation }. */
export const stagesOf = (layers, image, outputs) => {
  const stages = [{ kind: "image", output: image }];
  layers.forEach((layer, i) => {
    const { shape } = stages.at(-1).output;
    if (STAGES[layer.kind]) stages.push({ kind: layer.kind, ...STAGES[layer.kind](layer, outputs[i], shape) });
  });
  return stages;
};

const STAGES = {
  Conv2D: ({ weights: [kernel, bias], strides: [stride], padding, activation }, output) => {
    return { output, window: kernel.shape.slice(0, 2), stride, padding, kernel, bias, activation };
  },
  MaxPooling2D: ({ pool_size: window, strides: [stride], padding }, output) => ({ output, window, stride, padding }),
  Dense: ({ weights: [kernel, bias], activation }, { values }, shape) => ({
    output: { shape: [1, 1, values.length], values },
    window: shape.slice(0, 2),
    stride: 1,
    padding: "valid",
    kernel: { shape: [...shape, values.length], values: kernel.values },
    bias,
    activation,
  }),
};

/** Return the products whose sum, with the bias, is a value of a convolution before its activation:
 *  for each channel, those of the window row by row, { pixel, weight, product, outside }. `outside`
 *  is true for padding. */
export const products = (input, kernel, { row, column, map = 0 }, { stride = 1, padding = "valid" }) => {
  const [height, width, channels] = input.shape;
  const [rows, columns, , maps] = kernel.shape;
  const [top, left] = [places(height, rows, stride, padding)[1], places(width, columns, stride, padding)[1]];
  return Array.from({ length: channels }, (_, channel) =>
    Array.from({ length: rows * columns }, (_, i) => {
      const y = row * stride + Math.floor(i / columns) - top;
      const x = column * stride + (i % columns) - left;
      const outside = y < 0 || y >= height || x < 0 || x >= width;
      const pixel = outside ? 0 : input.values[(y * width + x) * channels + channel];
      const weight = kernel.values[(i * channels + channel) * maps + map];
      return { pixel, weight, product: pixel * weight, outside };
    }),
  );
};

/** Add up products. */
export const total = (list) => list.reduce((sum, { product }) => sum + product, 0);

/** Return what a value of the stage `number` depends on in each earlier stage: { top, left, height,
 *  width, map }, clipped to the stage. `map` is null where it depends on all maps. */
export const receptiveFields = (stages, number, { row, column, map }) => {
  const fields = [];
  let field = { top: row, left: column, height: 1, width: 1, map };
  for (let i = number; i > 0; i--) {
    const { kind, window, stride, padding } = stages[i];
    const [height, width] = stages[i - 1].output.shape;
    const [top, tall] = span(field.top, field.height, height, window[0], stride, padding);
    const [left, wide] = span(field.left, field.width, width, window[1], stride, padding);
    field = { top, left, height: tall, width: wide, map: kind === "MaxPooling2D" ? field.map : null };
    fields[i - 1] = field;
  }
  return fields;
};

/** Return [start, length] of what `count` neighbouring outputs see along one side of the input. */
const span = (from, count, side, window, stride, padding) => {
  const first = from * stride - places(side, window, stride, padding)[1];
  const end = Math.min(first + (count - 1) * stride + window, side);
  const start = Math.max(first, 0);
  return [start, end - start];
};

/** Return the block of values from which pooling chose the largest, row by row. */
export const blockOf = (stages, number, { row, column, map }) => {
  const { window: [height, width], stride } = stages[number];
  const { shape: [, across, channels], values } = stages[number - 1].output;
  return Array.from({ length: height * width }, (_, i) => {
    const [y, x] = [row * stride + Math.floor(i / width), column * stride + (i % width)];
    return values[(y * across + x) * channels + map];
  });
};

/** Return the place { row, column } in the stage before of the largest of `values`, one for each place of a
 *  cell's window. */
export const largestSource = (stages, number, { row, column }, values) => {
  const { window, stride, padding } = stages[number];
  const { shape } = stages[number - 1].output;
  const largest = values.indexOf(Math.max(...values));
  const along = (cell, offset, axis) => {
    const place = cell * stride + offset - places(shape[axis], window[axis], stride, padding)[1];
    return Math.max(0, Math.min(place, shape[axis] - 1));
  };
  return { row: along(row, Math.floor(largest / window[1]), 0), column: along(column, largest % window[1], 1) };
};

/** Return the place of a stage whose window has its centre at a pixel of the stage's input. */
export const centred = (stages, number, row, column) => {
  if (number === 0) return { row, column };
  const { window, stride, padding, output } = stages[number];
  const along = (pixel, axis) => {
    const zeros = places(stages[number - 1].output.shape[axis], window[axis], stride, padding)[1];
    const place = Math.floor((pixel + zeros - ((window[axis] - 1) >> 1)) / stride);
    return Math.max(0, Math.min(place, output.shape[axis] - 1));
  };
  return { row: along(row, 0), column: along(column, 1) };
};

/** Arrange values in rows of four, as a map. */
export const grid = (values) => ({ shape: [values.length / 4, 4, 1], values });

/** Return the weights of a dense neuron `map` for one input map, or for all neurons before it. */
export const weightsOf = ({ shape: [rows, columns, channels, maps], values }, map, channel) => {
  if (rows * columns === 1) return grid(Float32Array.from({ length: channels }, (_, i) => values[i * maps + map]));
  const weights = Float32Array.from({ length: rows * columns }, (_, i) => values[(i * channels + channel) * maps + map]);
  return { shape: [rows, columns, 1], values: weights };
};

/** Return what readers call the stages: "image", "first convolution", …, "dense layer", "classes". */
export const stageNames = (stages) => {
  const words = { image: "image", Conv2D: "convolution", MaxPooling2D: "pooling", Dense: "dense layer" };
  const names = stages.slice(0, -1).map(({ kind }, i, all) => {
    const [same, before] = [all, all.slice(0, i)].map((list) => list.filter((stage) => stage.kind === kind).length);
    return same > 1 ? `${["first", "second", "third", "fourth"][before]} ${words[kind]}` : words[kind];
  });
  return [...names, "classes"];
};
