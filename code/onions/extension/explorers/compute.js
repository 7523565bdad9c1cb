// Work in a worker, so that the page stays responsive.

/** Start a worker. Return the function `ask(request, report, transfer)`, which resolves to the worker's
 *  result; `report` gets what the worker reports until then. The worker gets the buffers in `transfer`
 *  themselves, not copies. It rejects with an Error if the worker fails. */
export const startWorker = (url) => {
  const worker = new Worker(url, { type: "module" });
  const waiting = new Map(); // by number: what settles a request
  const fail = (text) => {
    for (const { reject } of waiting.values()) reject(new Error(text));
    waiting.clear();
  };
  worker.onerror = (event) => fail(`${url}: ${event.message ?? "does not load"}`);
  worker.onmessage = ({ data: { number, result, progress, problem } }) => {
    const request = waiting.get(number);
    if (progress) return request?.report(progress);
    waiting.delete(number);
    if (problem) request?.reject(new Error(problem));
    else request?.resolve(result);
  };
  let last = 0;
  const ask = (request, report, transfer = []) =>
    new Promise((resolve, reject) => {
      waiting.set((last += 1), { resolve, reject, report });
      worker.postMessage({ number: last, ...request }, transfer);
    });
  return ask;
};

/** Return a function that calls what it is given only when its earlier calls have ended, well or not, and
 *  returns a promise of the result. */
export const queue = () => {
  let last = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => {});
    return result;
  };
};

/** Open layers (see model.js). `backend` is "wasm", "js", or undefined for the best that the browser has.
 *  Resolve to { backend, forward }; `forward(image)` resolves to the output of each layer. Rejects with
 *  an Error if the worker does not start, `forward` if a layer is unknown. */
export const openNetwork = async (layers, backend) => {
  const ask = startWorker(new URL("./worker.js", import.meta.url));
  return { backend: await ask({ layers, backend }), forward: (image) => ask({ image }) };
};
