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

// The sums of `count` * 4 kernels at `pixels` windows, which are `shift` values apart. Both numbers are
// constant, so that the sums are registers: each weight that is read serves all pixels.
INLINE void sum_block(const float *image, int row_size, int shift, const float *kernel, int length,
                      int kernels, window at, const float *bias, float *out, const int pixels,
                      const int count) {
  vec sums[2][4];
  for (int p = 0; p < pixels; p++)
    for (int k = 0; k < count; k++) sums[p][k] = ((const vec *)bias)[k];
  for (int i = at.top; i < at.bottom; i++) {
    const float *values = image + at.pixel + i * row_size;
    const float *weights = kernel + (i * length + at.from) * kernels;
    for (int n = at.from; n < at.to; n++, weights += kernels)
      for (int p = 0; p < pixels; p++)
        for (int k = 0; k < count; k++)
          sums[p][k] += values[n + p * shift] * ((const vec *)weights)[k];
  }
  for (int p = 0; p < pixels; p++)
    for (int k = 0; k < count; k++) ((vec *)(out + p * kernels))[k] = sums[p][k];
}

// The sum of one kernel, for the last kernels where their number is no multiple of 4.
static float sum_one(const float *image, int row_size, const float *kernel, int length, int kernels,
                     window at, float sum) {
  for (int i = at.top; i < at.bottom; i++)
    for (int n = at.from; n < at.to; n++)
      sum += image[at.pixel + i * row_size + n] * kernel[(i * length + n) * kernels];
  return sum;
}

// Convolve an image [height, width, channels] with kernels [kh, kw, channels, kernels], and write
// [rows, columns, kernels]. `top` and `left` are the numbers of padding zeros before the image.
EXPORT("conv2d")
conv2d(const float *image, int height, int width, int channels, const float *kernel, int kh, int kw,
       int kernels, const float *bias, int stride, int top, int left, int rows, int columns,
       int relu, float *out) {
  const int row_size = width * channels, length = kw * channels, shift = stride * channels;
  for (int row = 0; row < rows; row++)
    for (int column = 0, pixels; column < columns; column += pixels, out += pixels * kernels) {
      const int y = row * stride - top, x = column * stride - left;
      const window at = window_at(y, x, kh, kw, height, width, channels);
      // Two windows side by side, unless the image's edge cuts one of them.
      const int whole = x >= 0 && x + stride + kw <= width;
      pixels = whole && column + 1 < columns && kernels % 16 == 0 ? 2 : 1;
      int k = 0;
      for (; pixels == 2 && k < kernels; k += 16)
        sum_block(image, row_size, shift, kernel + k, length, kernels, at, bias + k, out + k, 2, 4);
      for (; k + 16 <= kernels; k += 16)
        sum_block(image, row_size, shift, kernel + k, length, kernels, at, bias + k, out + k, 1, 4);
      for (; k + 4 <= kernels; k += 4)
        sum_block(image, row_size, shift, kernel + k, length, kernels, at, bias + k, out + k, 1, 1);
      for (; k < kernels; k++)
        out[k] = sum_one(image, row_size, kernel + k, length, kernels, at, bias[k]);
      if (relu)
        for (k = 0; k < pixels * kernels; k++) out[k] = out[k] > 0 ? out[k] : 0;
    }
}

// Read or write `count` numbers, at most 4.
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

// Stands for the numbers from `offset` on, multiplied by `factor`.
typedef struct {
  int offset;
  float factor;
} term;

// Add the sum of `length` terms of `from` to `count` numbers, at most 4 * `vecs`, a constant. It reads up
// to 3 numbers too many.
INLINE void add_block(float *to, const float *from, const term *terms, int length, int count,
                      const int vecs) {
  vec sums[8] = {0};
  for (int t = 0; t < length; t++)
    for (int v = 0; v < vecs; v++)
      sums[v] += ((const vec *)(from + terms[t].offset))[v] * terms[t].factor;
  for (int v = 0; v < vecs; v++, to += 4, count -= 4)
    if (count > 0) store(to, load(to, count > 4 ? 4 : count) + sums[v], count > 4 ? 4 : count);
}
static void add_terms(float *to, const float *from, const term *terms, int length, int count) {
  int n = 0;
  for (; n + 32 <= count; n += 32) add_block(to + n, from + n, terms, length, 32, 8);
  for (; n + 8 < count; n += 12) add_block(to + n, from + n, terms, length, count - n, 3);
  for (; n < count; n += 4) add_block(to + n, from + n, terms, length, count - n, 1);
}

// Return a bit for each of at most 32 kernels: whether the gradient of its output is not 0.
INLINE unsigned active_kernels(const float *slope, const float *out, int relu, int kernels) {
  const vec zero = {0, 0, 0, 0};
  unsigned bits = 0;
  int k = 0;
  for (; k + 4 <= kernels; k += 4) {
    mask active = *(const vec *)(slope + k) != zero;
    if (relu) active &= *(const vec *)(out + k) > zero;
    bits |= (unsigned)__builtin_wasm_bitmask_i32x4(active) << k;
  }
  for (; k < kernels; k++) bits |= (unsigned)(slope[k] != 0 && (!relu || out[k] > 0)) << k;
  return bits;
}

// The gradients of conv2d from `slope`, that of its output `out`. Here kernels and their gradient have
// the order [kernels, kh, kw, channels]. Where `slope` is 0, which after ReLU and pooling is common,
// nothing is computed. `image_slope` may be null. `terms` is memory for rows * columns * kernels terms,
// and for 1.5 * kernels more.
EXPORT("conv2dGrad")
conv2d_grad(const float *image, int height, int width, int channels, const float *kernel, int kh,
            int kw, int kernels, int stride, int top, int left, int rows, int columns, int relu,
            const float *out, const float *slope, float *kernel_slope, float *bias_slope,
            float *image_slope, term *terms) {
  const int row_size = width * channels, length = kw * channels, places = rows * columns;
  term *here = terms + places * kernels;  // the kernels that are active at a place
  int *counts = (int *)(here + kernels);  // for each kernel, the number of places where it is active
  for (int k = 0; k < kernels; k++) counts[k] = 0;
  for (int row = 0; row < rows; row++)
    for (int column = 0; column < columns; column++, out += kernels, slope += kernels) {
      const window at = window_at(row * stride - top, column * stride - left, kh, kw, height, width,
                                  channels);
      const int count = at.to - at.from, whole = count == length && at.bottom - at.top == kh;
      int active = 0;
      for (int first = 0; first < kernels; first += 32) {
        const int most = kernels - first < 32 ? kernels - first : 32;
        unsigned bits = active_kernels(slope + first, out + first, relu, most);
        for (; bits; bits &= bits - 1) {
          const int k = first + __builtin_ctz(bits);
          bias_slope[k] += slope[k];
          here[active++] = (term){k * kh * length, slope[k]};
          if (whole) terms[k * places + counts[k]++] = (term){at.pixel, slope[k]};
        }
      }
      for (int i = at.top; active && i < at.bottom; i++) {
        const int pixel = at.pixel + i * row_size + at.from, weight = i * length + at.from;
        if (image_slope) add_terms(image_slope + pixel, kernel + weight, here, active, count);
        for (int n = 0; n < active && !whole; n++) { // at the padding
          const term part = {pixel, here[n].factor};
          add_terms(kernel_slope + here[n].offset + weight, image, &part, 1, count);
        }
      }
    }
  for (int k = 0; k < kernels; k++)
    for (int i = 0; counts[k] && i < kh; i++)
      add_terms(kernel_slope + (k * kh + i) * length, image + i * row_size, terms + k * places,
                counts[k], length);
}

INLINE vec larger(vec a, vec b) {
  const mask first = a > b;
  return (vec)((first & (mask)a) | (~first & (mask)b));
}

// The largest value of a block of maps, for `count` maps side by side, a constant from 1 to 4.
INLINE void pool_block(const float *maps, int width, int channels, window at, float *out,
                       const int count) {
  vec largest = {-__builtin_inff(), -__builtin_inff(), -__builtin_inff(), -__builtin_inff()};
  for (int i = at.top; i < at.bottom; i++)
    for (int j = at.from; j < at.to; j++)
      largest = larger(largest, load(maps + (at.pixel + i * width + j) * channels, count));
  store(out, largest, count);
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
      int c = 0;
      for (; c + 4 <= channels; c += 4) pool_block(maps + c, width, channels, at, out + c, 4);
      for (; c < channels; c++) pool_block(maps + c, width, channels, at, out + c, 1);
    }
}

// The gradient of pool_block: that of each largest value goes to the first place that has it.
INLINE void pool_block_grad(const float *maps, int width, int channels, window at, const float *out,
                            const float *out_slope, float *maps_slope, const int count) {
  const vec largest = load(out, count);
  mask unclaimed = (mask)load(out_slope, count);
  for (int i = at.top; i < at.bottom; i++)
    for (int j = at.from; j < at.to; j++) {
      const int value = (at.pixel + i * width + j) * channels;
      const mask here = load(maps + value, count) == largest;
      store(maps_slope + value, load(maps_slope + value, count) + (vec)(unclaimed & here), count);
      unclaimed &= ~here;
    }
}
EXPORT("maxPoolGrad")
max_pool_grad(const float *maps, int height, int width, int channels, int size, int stride, int top,
              int left, int rows, int columns, const float *out, const float *out_slope,
              float *maps_slope) {
  for (int row = 0; row < rows; row++)
    for (int column = 0; column < columns; column++, out += channels, out_slope += channels) {
      const window at =
          window_at(row * stride - top, column * stride - left, size, size, height, width, 1);
      int c = 0;
      for (; c + 4 <= channels; c += 4)
        pool_block_grad(maps + c, width, channels, at, out + c, out_slope + c, maps_slope + c, 4);
      for (; c < channels; c++)
        pool_block_grad(maps + c, width, channels, at, out + c, out_slope + c, maps_slope + c, 1);
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
