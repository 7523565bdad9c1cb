// The lesson's layers, computed as in Keras; `tests/extension/test_layers.py` compares the two.
// Tensors are those of formulas.js.

import { places, zeros } from "./formulas.js";
import * as kernels from "./kernels.js";

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
