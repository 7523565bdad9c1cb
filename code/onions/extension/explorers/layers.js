// The lesson's layers, computed as in Keras; `tests/extension/test_layers.py` compares the two.
//
// A tensor is { shape, values }: `values` is a Float32Array in row-major order. An image has the
// shape [height, width, channels], kernels have [height, width, channels, number of kernels].

import * as kernels from "./kernels.js";

/** Return a tensor of zeros. */
export const zeros = (shape) => ({ shape, values: new Float32Array(shape.reduce((a, b) => a * b, 1)) });

/** Return [count, before] for one side of an image: the number of window positions, and of padding
 *  zeros before the first pixel. Throws a RangeError if an unpadded window does not fit. */
export const places = (side, window, stride, padding) => {
  if (padding === "same") {
    const count = Math.ceil(side / stride);
    const zerosInAll = Math.max((count - 1) * stride + window - side, 0);
    return [count, Math.floor(zerosInAll / 2)];
  }
  if (side < window) throw new RangeError(`a window of ${window} does not fit into a side of ${side}`);
  return [Math.floor((side - window) / stride) + 1, 0];
};

/** Convolve an image with kernels, as Conv2D does. Return [rows, columns, kernels]. `bias` has one
 *  number for each kernel; without a bias, it is null. */
export const conv2d = (image, kernel, bias, { stride = 1, padding = "valid" } = {}) => {
  const [height, width] = image.shape;
  const [kh, kw, , count] = kernel.shape;
  const [rows, top] = places(height, kh, stride, padding);
  const [columns, left] = places(width, kw, stride, padding);
  const output = zeros([rows, columns, count]);
  const window = [kernel.values, kh, kw, count, bias?.values ?? new Float32Array(count)];
  kernels.conv2d(image.values, ...image.shape, ...window, stride, top, left, rows, columns, false, output.values);
  return output;
};

/** Pool each feature map separately: `kind` is "max" or "mean". */
export const pool2d = (maps, kind, { size = 2, stride = size, padding = "valid" } = {}) => {
  const [height, width, channels] = maps.shape;
  const [rows, top] = places(height, size, stride, padding);
  const [columns, left] = places(width, size, stride, padding);
  const output = zeros([rows, columns, channels]);
  const pool = kind === "max" ? kernels.maxPool : meanPool;
  pool(maps.values, ...maps.shape, size, stride, top, left, rows, columns, output.values);
  return output;
};

/** Set negative numbers to zero. */
export const relu = ({ shape, values }) => ({ shape, values: values.map((value) => Math.max(value, 0)) });

/** Turn logits into numbers from 0 to 1 that add up to 1. */
export const softmax = (logits) => {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
};

/** Pool like `maxPool` in kernels.js, with the mean of each block. It ignores the padding. */
const meanPool = (maps, height, width, channels, size, stride, top, left, rows, columns, out) => {
  for (let row = 0, cell = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (let channel = 0; channel < channels; channel++, cell++) {
        let [sum, count] = [0, 0];
        for (let y = row * stride - top, i = 0; i < size; i++) {
          for (let x = column * stride - left, j = 0; j < size; j++) {
            if (y + i < 0 || y + i >= height || x + j < 0 || x + j >= width) continue;
            sum += maps[((y + i) * width + x + j) * channels + channel];
            count++;
          }
        }
        out[cell] = sum / count;
      }
    }
  }
};
