// Computes forward passes outside the page's thread, whose policy forbids WebAssembly.

import { forward } from "./layers.js";
import { openCore } from "./wasm.js";

let network; // a promise of { backend, compute }

/** Open the layers, with WebAssembly unless `backend` is "js" or the browser can't. */
const open = async (layers, backend) => {
  const inJavaScript = { backend: "js", compute: (image) => forward(layers, image) };
  if (backend === "js") return inJavaScript;
  try {
    return { backend: "wasm", compute: await openCore(layers) };
  } catch (error) {
    if (backend === "wasm" || error instanceof RangeError) throw error;
    return inJavaScript;
  }
};

onmessage = async ({ data: { number, layers, backend, image } }) => {
  try {
    if (layers) network = open(layers, backend);
    const opened = await network;
    const result = layers ? opened.backend : opened.compute(image);
    postMessage({ number, result });
  } catch (error) {
    postMessage({ number, problem: `${error}` });
  }
};
