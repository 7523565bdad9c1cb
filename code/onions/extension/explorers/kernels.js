// The lesson's layers in JavaScript: what core.c computes, for browsers without WebAssembly SIMD.
// Arguments are Float32Arrays in row-major order and whole numbers; core.c describes each function.

export const conv2d = (
  image, height, width, channels, kernel, kh, kw, kernels, bias, stride, top, left, rows, columns, relu, out,
) => {
  for (let row = 0, cell = 0; row < rows; row++) {
    const y = row * stride - top;
    for (let column = 0; column < columns; column++, cell += kernels) {
      const x = column * stride - left;
      const first = Math.max(0, -x); // without padding
      const count = (Math.min(kw, width - x) - first) * channels;
      let k = 0;
      for (; k + 4 <= kernels; k += 4) {
        // Four sums at a time, in variables, are faster than sums in an array.
        let a = bias[k];
        let b = bias[k + 1];
        let c = bias[k + 2];
        let d = bias[k + 3];
        for (let i = Math.max(0, -y); i < kh && y + i < height; i++) {
          const pixel = ((y + i) * width + x + first) * channels;
          let weight = (i * kw + first) * channels * kernels + k;
          for (let n = 0; n < count; n++, weight += kernels) {
            const value = image[pixel + n];
            if (value === 0) continue;
            a += value * kernel[weight];
            b += value * kernel[weight + 1];
            c += value * kernel[weight + 2];
            d += value * kernel[weight + 3];
          }
        }
        out[cell + k] = a;
        out[cell + k + 1] = b;
        out[cell + k + 2] = c;
        out[cell + k + 3] = d;
      }
      for (; k < kernels; k++) {
        let sum = bias[k];
        for (let i = Math.max(0, -y); i < kh && y + i < height; i++) {
          const pixel = ((y + i) * width + x + first) * channels;
          const weight = (i * kw + first) * channels * kernels + k;
          for (let n = 0; n < count; n++) sum += image[pixel + n] * kernel[weight + n * kernels];
        }
        out[cell + k] = sum;
      }
      if (relu) for (k = cell; k < cell + kernels; k++) out[k] = out[k] > 0 ? out[k] : 0;
    }
  }
};

export const conv2dGrad = (
  image, height, width, channels, kernel, kh, kw, kernels, stride, top, left, rows, columns, relu,
  out, outSlope, kernelSlope, biasSlope, imageSlope,
) => {
  for (let row = 0, cell = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const [y, x] = [row * stride - top, column * stride - left];
      const [first, last] = [Math.max(0, -x), Math.min(kw, width - x)];
      for (let k = 0; k < kernels; k++, cell++) {
        const slope = outSlope[cell];
        if (slope === 0 || (relu && out[cell] <= 0)) continue;
        biasSlope[k] += slope;
        for (let i = Math.max(0, -y); i < kh && y + i < height; i++) {
          const pixel = ((y + i) * width + x + first) * channels;
          const weight = ((k * kh + i) * kw + first) * channels;
          const count = (last - first) * channels;
          for (let n = 0; n < count; n++) kernelSlope[weight + n] += image[pixel + n] * slope;
          if (imageSlope) for (let n = 0; n < count; n++) imageSlope[pixel + n] += kernel[weight + n] * slope;
        }
      }
    }
  }
};

export const maxPool = (maps, height, width, channels, size, stride, top, left, rows, columns, out) => {
  for (let row = 0, cell = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (let channel = 0; channel < channels; channel++, cell++) {
        let largest = -Infinity; // ignores the padding
        for (let y = row * stride - top, i = 0; i < size; i++) {
          for (let x = column * stride - left, j = 0; j < size; j++) {
            if (y + i < 0 || y + i >= height || x + j < 0 || x + j >= width) continue;
            const value = maps[((y + i) * width + x + j) * channels + channel];
            if (value > largest) largest = value;
          }
        }
        out[cell] = largest;
      }
    }
  }
};

export const maxPoolGrad = (
  maps, height, width, channels, size, stride, top, left, rows, columns, out, outSlope, mapsSlope,
) => {
  for (let row = 0, cell = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (let channel = 0; channel < channels; channel++, cell++) {
        if (outSlope[cell] === 0) continue;
        for (let place = 0; place < size * size; place++) {
          const y = row * stride - top + Math.floor(place / size);
          const x = column * stride - left + (place % size);
          if (y < 0 || y >= height || x < 0 || x >= width) continue;
          const value = (y * width + x) * channels + channel;
          if (maps[value] !== out[cell]) continue;
          mapsSlope[value] += outSlope[cell];
          break;
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
