// The lesson's layers in C, for WebAssembly with SIMD: what layers.js computes, several times faster.
// `make core` compiles it to core.wasm. Tensors are float32, in row-major order, as in layers.js.

typedef float vec __attribute__((vector_size(16), aligned(4)));

// The sums of `count` * 4 kernels at one place. `count` is constant, so that the sums are registers.
__attribute__((always_inline)) static inline void
sum_block(const float *image, int height, int width, int channels, const float *kernel, int kh,
          int kw, int kernels, const float *bias, int y, int x, float *out, const int count) {
  vec sums[8];
  for (int k = 0; k < count; k++) sums[k] = ((const vec *)bias)[k];
  for (int i = 0; i < kh; i++) {
    if (y + i < 0 || y + i >= height) continue; // padding
    for (int j = 0; j < kw; j++) {
      if (x + j < 0 || x + j >= width) continue;
      const float *pixel = image + ((y + i) * width + x + j) * channels;
      const float *weights = kernel + (i * kw + j) * channels * kernels;
      for (int c = 0; c < channels; c++)
        for (int k = 0; k < count; k++)
          sums[k] += pixel[c] * ((const vec *)(weights + c * kernels))[k];
    }
  }
  for (int k = 0; k < count; k++) ((vec *)out)[k] = sums[k];
}

// One kernel at one place, for the last kernels where their number is no multiple of 4.
static void sum_one(const float *image, int height, int width, int channels, const float *kernel,
                    int kh, int kw, int kernels, const float *bias, int y, int x, float *out) {
  float sum = *bias;
  for (int i = 0; i < kh; i++)
    for (int j = 0; j < kw; j++) {
      if (y + i < 0 || y + i >= height || x + j < 0 || x + j >= width) continue;
      const float *pixel = image + ((y + i) * width + x + j) * channels;
      const float *weights = kernel + (i * kw + j) * channels * kernels;
      for (int c = 0; c < channels; c++) sum += pixel[c] * weights[c * kernels];
    }
  *out = sum;
}

// Convolve an image [height, width, channels] with kernels [kh, kw, channels, kernels], and write
// [rows, columns, kernels]. `top` and `left` are the numbers of padding zeros before the image. A
// dense layer is a convolution of an image of one pixel.
__attribute__((export_name("conv2d"))) void
conv2d(const float *image, int height, int width, int channels, const float *kernel, int kh, int kw,
       int kernels, const float *bias, int stride, int top, int left, int rows, int columns,
       int relu, float *out) {
  for (int row = 0; row < rows; row++)
    for (int column = 0; column < columns; column++, out += kernels) {
      const int y = row * stride - top, x = column * stride - left;
      int k = 0;
#define BLOCKS(count)                                                                              \
  for (; k + 4 * (count) <= kernels; k += 4 * (count))                                             \
    sum_block(image, height, width, channels, kernel + k, kh, kw, kernels, bias + k, y, x, out + k, \
              count);
      BLOCKS(8)
      BLOCKS(1)
      for (; k < kernels; k++)
        sum_one(image, height, width, channels, kernel + k, kh, kw, kernels, bias + k, y, x, out + k);
      if (relu)
        for (k = 0; k < kernels; k++) out[k] = out[k] > 0 ? out[k] : 0;
    }
}

// Write the largest value of each block of maps [height, width, channels] as [rows, columns, channels].
// Padding is ignored.
__attribute__((export_name("max_pool"))) void
max_pool(const float *maps, int height, int width, int channels, int size, int stride, int top,
         int left, int rows, int columns, float *out) {
  for (int row = 0; row < rows; row++)
    for (int column = 0; column < columns; column++, out += channels)
      for (int c = 0; c < channels; c++) {
        float largest = -__builtin_inff();
        for (int y = row * stride - top, i = 0; i < size; i++)
          for (int x = column * stride - left, j = 0; j < size; j++) {
            if (y + i < 0 || y + i >= height || x + j < 0 || x + j >= width) continue;
            const float value = maps[((y + i) * width + x + j) * channels + c];
            largest = value > largest ? value : largest;
          }
        out[c] = largest;
      }
}
