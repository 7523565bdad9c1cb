// The two backends that compute a network: WebAssembly with SIMD (core.c), and JavaScript (kernels.js).

import * as javaScript from "./kernels.js";

const PAGE = 65536; // bytes by which memory grows

/** Open a backend: { name, kernels, allocate }. `kernels` are the functions of kernels.js, for arrays in
 *  the memory that `allocate(count)` returns, a Float32Array; call it once. `name` is "wasm", "js", or
 *  undefined for the best that the browser has. Throws an Error if the browser can't run "wasm". */
export const openBackend = async (name) => {
  try {
    if (name !== "js") return await openWebAssembly();
  } catch (error) {
    if (name === "wasm") throw error;
  }
  return { name: "js", kernels: javaScript, allocate: (count) => new Float32Array(count) };
};

const openWebAssembly = async () => {
  const response = await fetch(new URL("./core.wasm", import.meta.url));
  const { instance } = await WebAssembly.instantiate(await response.arrayBuffer());
  const { memory, __heap_base: heap, ...functions } = instance.exports;
  const start = Math.ceil(heap.value / 16) * 16;
  const address = (value) => (value instanceof Float32Array ? value.byteOffset : value);
  const kernels = Object.entries(functions).map(([name, run]) => [name, (...values) => run(...values.map(address))]);
  const allocate = (count) => {
    memory.grow(Math.max(0, Math.ceil((start + 4 * count - memory.buffer.byteLength) / PAGE)));
    return new Float32Array(memory.buffer, start, count);
  };
  return { name: "wasm", kernels: Object.fromEntries(kernels), allocate };
};
