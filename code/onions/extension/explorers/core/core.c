// The lesson's layers in C, for WebAssembly with SIMD: what kernels.js computes, but much faster.
// `make core` compiles it to core.wasm. Tensors are float32, in row-major order. Functions that end
// in _grad add to the gradients of their inputs. A dense layer is a convolution of one pixel.

typedef float vec __attribute__((vector_size(16), aligned(4)));
typedef int mask __attribute__((vector_size(16), aligned(4)));

#define INLINE __attribute__((always_inline)) static inline
#define EXPORT(name) __attribute__((export_name(name))) void

// The part of a window that lies inside an image: rows [top, bottom), and values [from, to) of each
// row of the window. `pixel` is the index of the window's first value in the image, even if outside.
typedef struct {
  int top, bottom, from, to, pixel;
} window;

INLINE window window_at(int y, int x, int kh, int kw, int height, int width, int channels) {
  return (window){
      .top = y < 0 ? -y : 0,
      .bottom = y + kh > height ? height - y : kh,
      .from = (x < 0 ? -x : 0) * channels,
      .to = (x + kw > width ? width - x : kw) * channels,
      .pixel = (y * width + x) * channels,
  };
}

// The sums of `count` * 4 kernels at a window. `count` is constant, so that the sums are registers.
INLINE void sum_block(const float *image, int stride, const float *kernel, int length, int kernels,
                      window at, const float *bias, float *out, const int count) {
  vec sums[8];
  for (int k = 0; k < count; k++) sums[k] = ((const vec *)bias)[k];
  for (int i = at.top; i < at.bottom; i++) {
    const float *pixels = image + at.pixel + i * stride;
    const float *weights = kernel + (i * length + at.from) * kernels;
    for (int n = at.from; n < at.to; n++, weights += kernels)
      for (int k = 0; k < count; k++) sums[k] += pixels[n] * ((const vec *)weights)[k];
  }
  for (int k = 0; k < count; k++) ((vec *)out)[k] = sums[k];
}

// The sum of one kernel, for the last kernels where their number is no multiple of 4.
static float sum_one(const float *image, int stride, const float *kernel, int length, int kernels,
                     window at, float sum) {
  for (int i = at.top; i < at.bottom; i++)
    for (int n = at.from; n < at.to; n++)
      sum += image[at.pixel + i * stride + n] * kernel[(i * length + n) * kernels];
  return sum;
}

// Convolve an image [height, width, channels] with kernels [kh, kw, channels, kernels], and write
// [rows, columns, kernels]. `top` and `left` are the numbers of padding zeros before the image.
EXPORT("conv2d")
conv2d(const float *image, int height, int width, int channels, const float *kernel, int kh, int kw,
       int kernels, const float *bias, int stride, int top, int left, int rows, int columns,
       int relu, float *out) {
  const int row_size = width * channels, length = kw * channels;
  for (int row = 0; row < rows; row++)
    for (int column = 0; column < columns; column++, out += kernels) {
      const window at = window_at(row * stride - top, column * stride - left, kh, kw, height, width,
                                  channels);
      int k = 0;
      for (; k + 32 <= kernels; k += 32)
        sum_block(image, row_size, kernel + k, length, kernels, at, bias + k, out + k, 8);
      for (; k + 4 <= kernels; k += 4)
        sum_block(image, row_size, kernel + k, length, kernels, at, bias + k, out + k, 1);
      for (; k < kernels; k++)
        out[k] = sum_one(image, row_size, kernel + k, length, kernels, at, bias[k]);
      if (relu)
        for (k = 0; k < kernels; k++) out[k] = out[k] > 0 ? out[k] : 0;
    }
}

// Copy a window's values to `patch`, with zeros for padding; or add `patch` to the window.
static void read_patch(const float *image, int stride, window at, int kh, int length,
                       float *patch) {
  for (int n = 0; n < kh * length; n++) patch[n] = 0;
  for (int i = at.top; i < at.bottom; i++)
    for (int n = at.from; n < at.to; n++) patch[i * length + n] = image[at.pixel + i * stride + n];
}
static void add_patch(float *image, int stride, window at, int length, const float *patch) {
  for (int i = at.top; i < at.bottom; i++)
    for (int n = at.from; n < at.to; n++) image[at.pixel + i * stride + n] += patch[i * length + n];
}

// Add `factor` times `count` numbers to others, and up to 3 numbers more.
INLINE void add_scaled(float *to, const float *from, float factor, int count) {
  for (int n = 0; n < count; n += 4) *(vec *)(to + n) += *(const vec *)(from + n) * factor;
}

// The gradients of conv2d from `out_slope`, that of its output `out`. Here kernels and their
// gradient have the order [kernels, kh, kw, channels], with the biases after them. A kernel whose
// gradient is 0 at a place is skipped: most are, after ReLU and pooling. `image_slope` may be null.
// `patch` and `patch_slope` are memory for a window each, and for 3 zeros after it: what `add_scaled`
// adds too much to one kernel's gradient is then 0 for the next.
EXPORT("conv2dGrad")
conv2d_grad(const float *image, int height, int width, int channels, const float *kernel, int kh,
            int kw, int kernels, int stride, int top, int left, int rows, int columns, int relu,
            const float *out, const float *out_slope, float *kernel_slope, float *bias_slope,
            float *image_slope, float *patch, float *patch_slope) {
  const int row_size = width * channels, length = kw * channels, size = kh * length;
  for (int row = 0; row < rows; row++)
    for (int column = 0; column < columns; column++, out += kernels, out_slope += kernels) {
      const window at = window_at(row * stride - top, column * stride - left, kh, kw, height, width,
                                  channels);
      int active = 0;
      for (int k = 0; k < kernels; k++) {
        const float slope = out_slope[k];
        if (slope == 0 || (relu && out[k] <= 0)) continue;
        if (!active++) {
          read_patch(image, row_size, at, kh, length, patch);
          for (int n = 0; n < size + 3; n++) patch_slope[n] = 0;
        }
        bias_slope[k] += slope;
        add_scaled(kernel_slope + k * size, patch, slope, size);
        if (image_slope) add_scaled(patch_slope, kernel + k * size, slope, size);
      }
      if (active && image_slope) add_patch(image_slope, row_size, at, length, patch_slope);
    }
}

// Read or write 4 numbers or, at the end of a tensor, fewer.
INLINE vec load(const float *from, int count) {
  if (count == 4) return *(const vec *)from;
  vec values = {0, 0, 0, 0};
  for (int n = 0; n < count; n++) values[n] = from[n];
  return values;
}
INLINE void store(float *to, vec values, int count) {
  if (count == 4) *(vec *)to = values;
  else
    for (int n = 0; n < count; n++) to[n] = values[n];
}
INLINE vec larger(vec a, vec b) {
  const mask first = a > b;
  return (vec)((first & (mask)a) | (~first & (mask)b));
}

// Write the largest value of each block of maps [height, width, channels], without padding, as
// [rows, columns, channels].
EXPORT("maxPool")
max_pool(const float *maps, int height, int width, int channels, int size, int stride, int top,
         int left, int rows, int columns, float *out) {
  for (int row = 0; row < rows; row++)
    for (int column = 0; column < columns; column++, out += channels) {
      const window at =
          window_at(row * stride - top, column * stride - left, size, size, height, width, 1);
      const float *block = maps + at.pixel * channels;
      for (int c = 0; c < channels; c += 4) {
        const int count = channels - c < 4 ? channels - c : 4;
        vec largest = {-__builtin_inff(), -__builtin_inff(), -__builtin_inff(), -__builtin_inff()};
        for (int i = at.top; i < at.bottom; i++)
          for (int j = at.from; j < at.to; j++)
            largest = larger(largest, load(block + (i * width + j) * channels + c, count));
        store(out + c, largest, count);
      }
    }
}

// The gradient of max_pool: that of each largest value goes to the first place that has it.
EXPORT("maxPoolGrad")
max_pool_grad(const float *maps, int height, int width, int channels, int size, int stride, int top,
              int left, int rows, int columns, const float *out, const float *out_slope, float *maps_slope) {
  for (int row = 0; row < rows; row++)
    for (int column = 0; column < columns; column++, out += channels, out_slope += channels) {
      const window at =
          window_at(row * stride - top, column * stride - left, size, size, height, width, 1);
      for (int c = 0; c < channels; c += 4) {
        const int count = channels - c < 4 ? channels - c : 4;
        const vec largest = load(out + c, count);
        mask unclaimed = (mask)load(out_slope + c, count);
        for (int i = at.top; i < at.bottom; i++)
          for (int j = at.from; j < at.to; j++) {
            const int value = (at.pixel + i * width + j) * channels + c;
            const mask here = load(maps + value, count) == largest;
            const vec slope = (vec)(unclaimed & here);
            store(maps_slope + value, load(maps_slope + value, count) + slope, count);
            unclaimed &= ~here;
          }
      }
    }
}

// Write a matrix [rows, columns] as [columns, rows].
EXPORT("transpose")
transpose(const float *matrix, int rows, int columns, float *out) {
  for (int row = 0; row < rows; row++)
    for (int column = 0; column < columns; column++)
      out[column * rows + row] = matrix[row * columns + column];
}

// One step of Adam (Kingma and Ba, 2015) as in Keras, for `count` weights. `alpha` is the learning
// rate with its correction for the step, `beta1` and `beta2` are 1 minus Keras' arguments.
EXPORT("adam")
adam(float *restrict weights, const float *restrict gradient, float *restrict mean,
     float *restrict square, int count, float alpha, float beta1, float beta2, float epsilon) {
  for (int i = 0; i < count; i++) {
    mean[i] += (gradient[i] - mean[i]) * beta1;
    square[i] += (gradient[i] * gradient[i] - square[i]) * beta2;
    weights[i] -= mean[i] * alpha / (__builtin_sqrtf(square[i]) + epsilon);
  }
}
