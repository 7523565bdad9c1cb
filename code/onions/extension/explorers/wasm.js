// The forward pass in WebAssembly with SIMD (core.c). It computes what `forward` in layers.js does.

import { checkLayer, places } from "./layers.js";

const PAGE = 65536; // bytes by which memory grows

/** Load core.wasm, and return a function like `forward` for these layers. Throws an Error if the
 *  browser can't run it, and a RangeError for an unknown layer. */
export const openCore = async (layers) => {
  layers.forEach(checkLayer);
  const response = await fetch(new URL("./core.wasm", import.meta.url));
  const { instance } = await WebAssembly.instantiate(await response.arrayBuffer());
  const { memory, __heap_base: heap, ...functions } = instance.exports;
  let end = heap.value; // of the memory in use
  const reserve = (count) => {
    const start = Math.ceil(end / 16) * 16;
    end = start + 4 * count;
    const missing = end - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
    return start;
  };
  const view = (start, count) => new Float32Array(memory.buffer, start, count);
  const put = (values) => {
    const start = reserve(values.length);
    view(start, values.length).set(values);
    return start;
  };
  const weights = layers.map((layer) => (layer.weights ?? []).map(({ values }) => put(values)));
  const base = end;
  return (image) => {
    end = base; // drops the tensors of the last image
    let tensor = { shape: image.shape, start: put(image.values) };
    return layers.map((layer, i) => {
      tensor = STEPS[layer.kind](functions, reserve, layer, weights[i], tensor);
      return { shape: tensor.shape, values: view(tensor.start, sizeOf(tensor.shape)).slice() };
    });
  };
};

const sizeOf = (shape) => shape.reduce((a, b) => a * b, 1);

const STEPS = {
  Conv2D: ({ conv2d }, reserve, layer, [kernel, bias], { shape: [height, width, channels], start }) => {
    const { weights: [{ shape: [kh, kw, , kernels] }], strides: [stride], padding, activation } = layer;
    const [rows, top] = places(height, kh, stride, padding);
    const [columns, left] = places(width, kw, stride, padding);
    const output = { shape: [rows, columns, kernels], start: reserve(rows * columns * kernels) };
    const sides = [stride, top, left, rows, columns];
    conv2d(start, height, width, channels, kernel, kh, kw, kernels, bias, ...sides, activation === "relu", output.start);
    return output;
  },
  MaxPooling2D: ({ max_pool: maxPool }, reserve, layer, _, { shape: [height, width, channels], start }) => {
    const { pool_size: [size], strides: [stride], padding } = layer;
    const [rows, top] = places(height, size, stride, padding);
    const [columns, left] = places(width, size, stride, padding);
    const output = { shape: [rows, columns, channels], start: reserve(rows * columns * channels) };
    maxPool(start, height, width, channels, size, stride, top, left, rows, columns, output.start);
    return output;
  },
  Dropout: (functions, reserve, layer, weights, input) => input, // inactive at prediction
  Flatten: (functions, reserve, layer, weights, { shape, start }) => ({ shape: [sizeOf(shape)], start }),
  Dense: ({ conv2d }, reserve, { weights: [{ shape: [inputs, units] }], activation }, [kernel, bias], { start }) => {
    const output = { shape: [units], start: reserve(units) };
    conv2d(start, 1, 1, inputs, kernel, 1, 1, units, bias, 1, 0, 0, 1, 1, activation === "relu", output.start);
    return output;
  },
};
