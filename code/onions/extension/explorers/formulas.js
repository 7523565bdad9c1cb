// The short formulas that all explorers share.
//
// A tensor is { shape, values }: `values` is a Float32Array in row-major order. An image has the
// shape [height, width, channels], kernels have [height, width, channels, number of kernels].

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

/** Turn logits into numbers from 0 to 1 that add up to 1. */
export const softmax = (logits) => {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
};
