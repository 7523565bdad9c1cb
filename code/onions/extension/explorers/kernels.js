// The lesson's layers in JavaScript: what core.c computes, for browsers without WebAssembly SIMD.
// Arguments are Float32Arrays in row-major order and whole numbers; core.c describes each function.

export const conv2d = (
  image, height, width, channels, kernel, kh, kw, kernels, bias, stride, top, left, rows, columns, relu, out,
) => {
  const { values, size } = frame(image, height, width, channels, kh, kw, stride, top, left, rows, columns);
  const [length, shift] = [kw * channels, stride * channels];
  const fours = kernels - (kernels % 4);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < fours; k += 4) {
      for (let column = 0; column < columns; column += 2) {
        const first = row * stride * size + column * shift;
        const cell = (row * columns + column) * kernels + k;
        const pair = column + 1 < columns ? 1 : 0; // the last window may be alone
        const [second, other] = [first + pair * shift, cell + pair * kernels];
        sumFour(values, first, second, size, kernel, k, kh, length, kernels, bias, out, cell, other);
      }
    }
    for (let column = 0, cell = row * columns * kernels; column < columns; column++, cell += kernels) {
      const first = row * stride * size + column * shift;
      for (let k = fours; k < kernels; k++) {
        out[cell + k] = sumOne(values, first, size, kernel, k, kh, length, kernels, bias[k]);
      }
    }
  }
  if (relu) for (let n = 0; n < rows * columns * kernels; n++) out[n] = out[n] > 0 ? out[n] : 0;
};

// Four kernels at two windows, which start at `first` and `second`. Sums are faster in variables than in
// an array, and each weight that is read serves both windows.
const sumFour = (values, first, second, size, kernel, k, kh, length, kernels, bias, out, cell, other) => {
  let a = bias[k];
  let b = bias[k + 1];
  let c = bias[k + 2];
  let d = bias[k + 3];
  let e = a;
  let f = b;
  let g = c;
  let h = d;
  const shift = second - first;
  for (let i = 0; i < kh; i++) {
    const pixel = first + i * size;
    let weight = i * length * kernels + k;
    for (let n = pixel; n < pixel + length; n++, weight += kernels) {
      const u = values[n];
      const v = values[n + shift];
      const p = kernel[weight];
      const q = kernel[weight + 1];
      const r = kernel[weight + 2];
      const s = kernel[weight + 3];
      a += u * p;
      b += u * q;
      c += u * r;
      d += u * s;
      e += v * p;
      f += v * q;
      g += v * r;
      h += v * s;
    }
  }
  out[other] = e;
  out[other + 1] = f;
  out[other + 2] = g;
  out[other + 3] = h;
  out[cell] = a;
  out[cell + 1] = b;
  out[cell + 2] = c;
  out[cell + 3] = d;
};

const sumOne = (values, first, size, kernel, k, kh, length, kernels, bias) => {
  let sum = bias;
  for (let i = 0; i < kh; i++) {
    const weight = i * length * kernels + k;
    for (let n = 0; n < length; n++) sum += values[first + i * size + n] * kernel[weight + n * kernels];
  }
  return sum;
};

/** Return an image in which all windows lie: itself or, with padding, a copy amid zeros. `size` is the
 *  number of values in a row. */
const frame = (image, height, width, channels, kh, kw, stride, top, left, rows, columns) => {
  const [tall, wide] = [(rows - 1) * stride + kh, (columns - 1) * stride + kw];
  if (top === 0 && left === 0 && tall <= height && wide <= width) return { values: image, size: width * channels };
  const values = new Float32Array(tall * wide * channels);
  const count = Math.min(width, wide - left) * channels;
  for (let y = 0; y < Math.min(height, tall - top); y++) {
    const row = y * width * channels;
    values.set(image.subarray(row, row + count), ((y + top) * wide + left) * channels);
  }
  return { values, size: wide * channels };
};

export const conv2dGrad = (
  image, height, width, channels, kernel, kh, kw, kernels, stride, top, left, rows, columns, relu,
  out, outSlope, kernelSlope, biasSlope, imageSlope, terms,
) => {
  const { values, size } = frame(image, height, width, channels, kh, kw, stride, top, left, rows, columns);
  const [length, shift] = [kw * channels, stride * channels];
  const framed = values === image || !imageSlope ? imageSlope : new Float32Array(values.length);
  const active = (cell) => outSlope[cell] !== 0 && (!relu || out[cell] > 0);
  for (let k = 0; k < kernels; k++) {
    let count = 0;
    for (let row = 0, cell = k; row < rows; row++) {
      for (let column = 0; column < columns; column++, cell += kernels) {
        if (!active(cell)) continue;
        biasSlope[k] += outSlope[cell];
        terms[count++] = row * stride * size + column * shift;
        terms[count++] = outSlope[cell];
      }
    }
    for (let i = 0; i < kh; i++) addTerms(kernelSlope, (k * kh + i) * length, values, i * size, terms, count, length);
  }
  for (let row = 0, cell = 0; framed && row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      let count = 0;
      for (let k = 0; k < kernels; k++, cell++) {
        if (!active(cell)) continue;
        terms[count++] = k * kh * length;
        terms[count++] = outSlope[cell];
      }
      const pixel = row * stride * size + column * shift;
      for (let i = 0; count && i < kh; i++) addTerms(framed, pixel + i * size, kernel, i * length, terms, count, length);
    }
  }
  if (framed === imageSlope) return;
  const last = Math.min(width * channels, size - left * channels);
  for (let y = 0; y < height && (y + top + 1) * size <= framed.length; y++) {
    const pixel = (y + top) * size + left * channels;
    for (let n = 0; n < last; n++) imageSlope[y * width * channels + n] += framed[pixel + n];
  }
};

/** Add the sum of terms to `length` numbers from `start` on. A term is an offset and a factor, which
 *  stand for the numbers of `from` from `origin` and the offset on, times the factor. */
const addTerms = (to, start, from, origin, terms, count, length) => {
  let n = 0;
  for (; n + 8 <= length; n += 8) {
    let a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
    for (let t = 0; t < count; t += 2) {
      const place = origin + n + (terms[t] | 0);
      const factor = terms[t + 1];
      a += from[place] * factor;
      b += from[place + 1] * factor;
      c += from[place + 2] * factor;
      d += from[place + 3] * factor;
      e += from[place + 4] * factor;
      f += from[place + 5] * factor;
      g += from[place + 6] * factor;
      h += from[place + 7] * factor;
    }
    const place = start + n;
    to[place] += a;
    to[place + 1] += b;
    to[place + 2] += c;
    to[place + 3] += d;
    to[place + 4] += e;
    to[place + 5] += f;
    to[place + 6] += g;
    to[place + 7] += h;
  }
  for (; n < length; n++) {
    let sum = 0;
    for (let t = 0; t < count; t += 2) sum += from[origin + n + terms[t]] * terms[t + 1];
    to[start + n] += sum;
  }
};

export const maxPool = (maps, height, width, channels, size, stride, top, left, rows, columns, out) => {
  out.fill(-Infinity); // ignores the padding
  for (let row = 0, cell = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, cell += channels) {
      const [y, x] = [row * stride - top, column * stride - left];
      for (let i = Math.max(0, y); i < Math.min(height, y + size); i++) {
        for (let j = Math.max(0, x); j < Math.min(width, x + size); j++) {
          const pixel = (i * width + j) * channels;
          for (let channel = 0; channel < channels; channel++) {
            if (maps[pixel + channel] > out[cell + channel]) out[cell + channel] = maps[pixel + channel];
          }
        }
      }
    }
  }
};

export const maxPoolGrad = (
  maps, height, width, channels, size, stride, top, left, rows, columns, out, outSlope, mapsSlope,
) => {
  for (let row = 0, cell = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const [y, x] = [row * stride - top, column * stride - left];
      const [bottom, right] = [Math.min(height, y + size), Math.min(width, x + size)];
      for (let channel = 0; channel < channels; channel++, cell++) {
        if (outSlope[cell] === 0) continue;
        search: for (let i = Math.max(0, y); i < bottom; i++) {
          for (let j = Math.max(0, x); j < right; j++) {
            const value = (i * width + j) * channels + channel;
            if (maps[value] !== out[cell]) continue;
            mapsSlope[value] += outSlope[cell];
            break search;
          }
        }
      }
    }
  }
};

export const transpose = (matrix, rows, columns, out) => {
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) out[column * rows + row] = matrix[row * columns + column];
  }
};

export const adam = (weights, gradient, mean, square, count, alpha, beta1, beta2, epsilon) => {
  for (let i = 0; i < count; i++) {
    mean[i] += (gradient[i] - mean[i]) * beta1;
    square[i] += (gradient[i] * gradient[i] - square[i]) * beta2;
    weights[i] -= (mean[i] * alpha) / (Math.sqrt(square[i]) + epsilon);
  }
};
