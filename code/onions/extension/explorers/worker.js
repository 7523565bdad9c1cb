// Computes forward passes outside the page's thread, whose policy forbids WebAssembly.

import { openBackend } from "./backend.js";
import { openModel } from "./model.js";

let network; // a promise of { name, forward }

/** Open the layers. The first image gives the shape of the network's input. */
const open = async (layers, name) => {
  const backend = await openBackend(name);
  let model;
  const forward = ({ shape, values }) => (model ??= openModel(backend, layers, shape)).forward(values);
  return { name: backend.name, forward };
};

onmessage = async ({ data: { number, layers, backend, image } }) => {
  try {
    if (layers) network = open(layers, backend);
    const { name, forward } = await network;
    postMessage({ number, result: layers ? name : forward(image) });
  } catch (error) {
    postMessage({ number, problem: `${error}` });
  }
};
