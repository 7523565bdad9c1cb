// The lesson's layers, computed as in Keras; `tests/extension/test_layers.py` compares the two.
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

/** Convolve an image with kernels, as Conv2D does. Return [rows, columns, kernels]. `bias` has one
 *  number for each kernel; without a bias, it is null. */
export const conv2d = (image, kernel, bias, { stride = 1, padding = "valid" } = {}) => {
  const [height, width, channels] = image.shape;
  const [kh, kw, , kernels] = kernel.shape;
  const [rows, top] = places(height, kh, stride, padding);
  const [columns, left] = places(width, kw, stride, padding);
  const output = zeros([rows, columns, kernels]);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const sums = output.values.subarray((row * columns + column) * kernels).subarray(0, kernels);
      if (bias) sums.set(bias.values);
      for (let i = 0; i < kh; i++) {
        const y = row * stride + i - top;
        if (y < 0 || y >= height) continue; // padding
        for (let j = 0; j < kw; j++) {
          const x = column * stride + j - left;
          if (x < 0 || x >= width) continue;
          for (let channel = 0; channel < channels; channel++) {
            const value = image.values[(y * width + x) * channels + channel];
            if (value === 0) continue; // saves time: after ReLU, about half of the values are 0
            const weights = ((i * kw + j) * channels + channel) * kernels;
            for (let k = 0; k < kernels; k++) sums[k] += value * kernel.values[weights + k];
          }
        }
      }
    }
  }
  return output;
};

/** Pool each feature map separately: `kind` is "max" or "mean". */
export const pool2d = (maps, kind, { size = 2, stride = size, padding = "valid" } = {}) => {
  const [height, width, channels] = maps.shape;
  const [rows, top] = places(height, size, stride, padding);
  const [columns, left] = places(width, size, stride, padding);
  const output = zeros([rows, columns, channels]);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (let channel = 0; channel < channels; channel++) {
        let [largest, sum, count] = [-Infinity, 0, 0]; // all of them ignore the padding
        for (let i = 0; i < size; i++) {
          for (let j = 0; j < size; j++) {
            const [y, x] = [row * stride + i - top, column * stride + j - left];
            if (y < 0 || y >= height || x < 0 || x >= width) continue;
            const value = maps.values[(y * width + x) * channels + channel];
            largest = Math.max(largest, value);
            sum += value;
            count++;
          }
        }
        output.values[(row * columns + column) * channels + channel] = kind === "max" ? largest : sum / count;
      }
    }
  }
  return output;
};

/** Multiply a vector by a matrix [inputs, units] and add a bias, as Dense does. */
export const dense = (input, kernel, bias) => {
  const [inputs, units] = kernel.shape;
  const output = { shape: [units], values: Float32Array.from(bias.values) };
  for (let i = 0; i < inputs; i++) {
    const value = input.values[i];
    if (value === 0) continue;
    for (let unit = 0; unit < units; unit++) {
      output.values[unit] += value * kernel.values[i * units + unit];
    }
  }
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

const KINDS = {
  Conv2D: ({ weights: [kernel, bias], strides: [stride], padding }, maps) =>
    conv2d(maps, kernel, bias, { stride, padding }),
  MaxPooling2D: ({ pool_size: [size], strides: [stride], padding }, maps) =>
    pool2d(maps, "max", { size, stride, padding }),
  Dropout: (_, input) => input, // inactive at prediction
  Flatten: (_, { values }) => ({ shape: [values.length], values }),
  Dense: ({ weights: [kernel, bias] }, input) => dense(input, kernel, bias),
};
const ACTIVATIONS = { linear: (output) => output, relu };

/** Return the output of each layer for an image; the last output is the logits. A layer is { kind,
 *  activation, weights, … }, as in Keras. Throws a RangeError if kind or activation is unknown. */
export const forward = (layers, image) => {
  let output = image;
  return layers.map((layer) => {
    checkLayer(layer);
    return (output = ACTIVATIONS[layer.activation ?? "linear"](KINDS[layer.kind](layer, output)));
  });
};

/** Throw a RangeError if a layer's kind or activation is unknown. */
export const checkLayer = ({ kind, activation = "linear" }) => {
  if (KINDS[kind] && ACTIVATIONS[activation]) return;
  throw new RangeError(`layer ${kind} with activation ${activation} is not supported`);
};
