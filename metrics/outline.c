#include "metrics/outline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metrics/code8.h"
#include "metrics/plane.h"

int outline_threshold(err *e, const float *x, int64_t n, double *cut) {
  float *copy = NULL, highest = 0;
  for (int64_t i = 0; i < n; i++) highest = x[i] > highest ? x[i] : highest;
  *cut = 127.5 / 255 - 1e-5 / 255; /* code8 of it is 128 */
  if (code8((double)highest) >= 128) return OK;
  int rc = mem_new(e, n, sizeof *copy, "alpha threshold", &copy);
  if (rc != OK) return rc;
  for (int64_t i = 0; i < n; i++) copy[i] = (float)code8((double)x[i]);
  /* Strictly above half the percentile, in codes. */
  *cut = (floor(plane_quantile(copy, n, 0.995) / 2) + 0.5 - 1e-5) / 255;
  free(copy);
  return OK;
}

int64_t outline_contour(const unsigned char *mask, int height, int width, unsigned char *out) {
  int64_t count = 0;
  for (int y = 0; y < height; y++) {
    for (int x = 0; x < width; x++) {
      int64_t i = (int64_t)y * width + x;
      int right = x < width - 1, below = y < height - 1, m = mask[i];
      int edge = (right && mask[i + 1] != m) || (below && mask[i + width] != m);
      edge = edge || (right && below && mask[i + width + 1] != m);
      out[i] = (unsigned char)edge;
      count += edge;
    }
  }
  return count;
}

void outline_dilate(const unsigned char *mask, int height, int width, int r, unsigned char *out) {
  memset(out, 0, (size_t)height * (size_t)width);
  for (int y = 0; y < height; y++) {
    for (int x = 0; x < width; x++) {
      if (!mask[(int64_t)y * width + x]) continue;
      for (int dy = -r; dy <= r; dy++) {
        if (y + dy < 0 || y + dy >= height) continue;
        int half = (int)sqrt((double)(r * r - dy * dy));
        int a = x - half < 0 ? 0 : x - half, b = x + half >= width ? width - 1 : x + half;
        memset(out + (int64_t)(y + dy) * width + a, 1, (size_t)(b - a + 1));
      }
    }
  }
}

/* One line of n values `stride` apart: 1 where all within d are 1 and inside. */
static void erode_line(const unsigned char *in, int64_t stride, int n, int d, unsigned char *out) {
  int run = 0; /* ones up to and with position i */
  for (int i = 0; i < n + d; i++) {
    run = i < n && in[i * stride] ? run + 1 : 0;
    if (i >= d) out[(i - d) * stride] = run >= 2 * d + 1;
  }
}

void outline_boundary(const unsigned char *mask, int height, int width, int d, unsigned char *out,
                      unsigned char *scratch) {
  int64_t n = (int64_t)height * width;
  for (int y = 0; y < height; y++) erode_line(mask + (int64_t)y * width, 1, width, d, scratch + (int64_t)y * width);
  /* erode_line reads ahead of where it writes: columns are done in place. */
  for (int x = 0; x < width; x++) erode_line(scratch + x, width, height, d, scratch + x);
  for (int64_t i = 0; i < n; i++) out[i] = mask[i] && !scratch[i];
}

/* Lower envelope of the parabolas (q - i)^2 + f[i] (Felzenszwalb and Huttenlocher 2012); f may be infinite. */
static void distance_line(double *f, int64_t stride, int n, double *scratch) {
  double *value = scratch, *from = value + n, *at = from + n + 1; /* at: vertices */
  int k = -1;
  for (int i = 0; i < n; i++) value[i] = f[i * stride];
  for (int i = 0; i < n; i++) {
    if (isinf(value[i])) continue;
    double cross = -INFINITY;
    while (k >= 0) {
      int j = (int)at[k];
      cross = ((value[i] + (double)i * i) - (value[j] + (double)j * j)) / (2.0 * (i - j));
      if (cross > from[k]) break;
      k--;
    }
    if (k < 0) cross = -INFINITY;
    k++;
    at[k] = i, from[k] = cross;
  }
  if (k < 0) return;
  for (int i = 0, j = 0; i < n; i++) {
    while (j < k && from[j + 1] < i) j++;
    double d = i - at[j];
    f[i * stride] = d * d + value[(int)at[j]];
  }
}

void outline_distance(const unsigned char *mask, int height, int width, double *out, double *scratch) {
  int64_t n = (int64_t)height * width;
  for (int64_t i = 0; i < n; i++) out[i] = mask[i] ? 0 : INFINITY;
  for (int x = 0; x < width; x++) distance_line(out + x, width, height, scratch);
  for (int y = 0; y < height; y++) distance_line(out + (int64_t)y * width, 1, width, scratch);
}

static void flood(const unsigned char *mask, int height, int width, int32_t start, int32_t *label, int32_t *stack) {
  int64_t n = 0;
  int32_t id = label[start];
  stack[n++] = start;
  while (n) {
    int32_t i = stack[--n], x = i % width, y = i / width;
    const int32_t next[4] = {x > 0 ? i - 1 : -1, x < width - 1 ? i + 1 : -1, y > 0 ? i - width : -1,
                             y < height - 1 ? i + width : -1};
    for (int k = 0; k < 4; k++) {
      if (next[k] < 0 || label[next[k]] || mask[next[k]] != mask[start]) continue;
      label[next[k]] = id;
      stack[n++] = next[k];
    }
  }
}

void outline_label(const unsigned char *mask, unsigned char of, int height, int width, int32_t *label, int32_t *stack,
                   int32_t *count) {
  int32_t n = (int32_t)((int64_t)height * width);
  memset(label, 0, (size_t)n * sizeof *label);
  *count = 0;
  for (int32_t i = 0; i < n; i++) {
    if (mask[i] != of || label[i]) continue;
    label[i] = ++*count;
    flood(mask, height, width, i, label, stack);
  }
}
