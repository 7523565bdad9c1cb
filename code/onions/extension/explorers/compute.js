// A network whose forward passes run in a worker, so that the page stays responsive.

/** Open layers (see `forward` in layers.js). `backend` is "wasm", "js", or undefined for the best that
 *  the browser has. Resolve to { backend, forward }; `forward(image)` resolves to the output of each
 *  layer. Rejects with an Error if the worker does not start or if a layer is unknown. */
export const openNetwork = async (layers, backend) => {
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const waiting = new Map(); // by number: the functions that settle a request
  const fail = (text) => {
    for (const { reject } of waiting.values()) reject(new Error(text));
    waiting.clear();
  };
  worker.onerror = (event) => fail(`worker.js: ${event.message ?? "does not load"}`);
  worker.onmessage = ({ data: { number, result, problem } }) => {
    const { resolve, reject } = waiting.get(number);
    waiting.delete(number);
    if (problem) reject(new Error(problem));
    else resolve(result);
  };
  let last = 0;
  const ask = (request) =>
    new Promise((resolve, reject) => {
      waiting.set((last += 1), { resolve, reject });
      worker.postMessage({ number: last, ...request });
    });
  return { backend: await ask({ layers, backend }), forward: (image) => ask({ image }) };
};
