#include "metrics/plane.h"

#include <math.h>
#include <string.h>

#include "metrics/kernels/plane.h"

enum { RADIUS = 16 }; /* int(4 * PLANE_SIGMA + .5) */

static int reflect(int i, int n) {
  while (i < 0 || i >= n) i = i < 0 ? -1 - i : 2 * n - 1 - i;
  return i;
}

/* g and its derivative at -r .. r, in correlation form; returns r. */
static int gauss_taps(double sigma, double g[2 * RADIUS + 1], double d[2 * RADIUS + 1]) {
  int r = (int)(4 * sigma + 0.5);
  double sum = 0;
  for (int k = -r; k <= r; k++) sum += g[k + r] = exp(-0.5 * (k / sigma) * (k / sigma));
  for (int k = -r; k <= r; k++) {
    g[k + r] /= sum;
    d[k + r] = k / (sigma * sigma) * g[k + r];
  }
  return r;
}

int64_t plane_scratch(int height, int width) {
  (void)height;
  return 2 * ((int64_t)width + 2 * RADIUS);
}

/* out[i] = sum_k tap[k] pad[i + k]; mirrors the row's ends into the padding first. */
static void along_row(const plane_kernels *k, double *pad, int w, const double *tap, int r, double *out) {
  double *row = pad + r;
  for (int i = 1; i <= r; i++) row[-i] = row[reflect(-i, w)], row[w - 1 + i] = row[reflect(w - 1 + i, w)];
  memset(out, 0, (size_t)w * sizeof *out);
  for (int i = 0; i <= 2 * r; i++) k->add_double(out, pad + i, tap[i], w);
}

void plane_gradient(const float *x, int64_t stride, int height, int width, double sigma, double *gx, double *gy,
                    double *scratch) {
  const plane_kernels *k = metric_kernels_of(NULL)->plane;
  double g[2 * RADIUS + 1], d[2 * RADIUS + 1], *smooth = scratch, *steep = scratch + width + 2 * RADIUS;
  int r = gauss_taps(sigma, g, d);
  for (int y = 0; y < height; y++) {
    memset(smooth + r, 0, (size_t)width * sizeof *smooth);
    memset(steep + r, 0, (size_t)width * sizeof *steep);
    for (int j = -r; j <= r; j++) {
      const float *row = x + (int64_t)reflect(y + j, height) * width * stride;
      k->add(smooth + r, row, stride, g[j + r], width);
      k->add(steep + r, row, stride, d[j + r], width);
    }
    along_row(k, smooth, width, d, r, gx + (int64_t)y * width);
    along_row(k, steep, width, g, r, gy + (int64_t)y * width);
  }
}

int64_t plane_band_scratch(int height, int width) {
  return plane_scratch(height, width) + 2 * (int64_t)height * width;
}

int64_t plane_band(const float *alpha, int height, int width, unsigned char *band, double *scratch) {
  int64_t n = (int64_t)height * width, count = 0;
  double *gx = scratch, *gy = gx + n;
  plane_gradient(alpha, 1, height, width, 1.4, gx, gy, gy + n);
  int r = (int)rint(0.005 * hypot(height, width));
  if (r < 2) r = 2;
  memset(band, 0, (size_t)n);
  for (int y = 0; y < height; y++) {
    for (int x = 0; x < width; x++) {
      int64_t i = (int64_t)y * width + x;
      if (sqrt(gx[i] * gx[i] + gy[i] * gy[i]) <= 0.02) continue;
      for (int dy = -r; dy <= r; dy++) {
        if (y + dy < 0 || y + dy >= height) continue;
        int half = (int)sqrt((double)(r * r - dy * dy));
        int a = x - half < 0 ? 0 : x - half, b = x + half >= width ? width - 1 : x + half;
        memset(band + (int64_t)(y + dy) * width + a, 1, (size_t)(b - a + 1));
      }
    }
  }
  for (int64_t i = 0; i < n; i++) count += band[i];
  return count;
}

/* Quickselect (Hoare): afterwards x[k] is the k-th smallest, nothing before it is larger, nothing after smaller. */
static float nth(float *x, int64_t n, int64_t k) {
  int64_t lo = 0, hi = n - 1;
  while (lo < hi) {
    float pivot = x[lo + (hi - lo) / 2];
    int64_t i = lo, j = hi;
    while (i <= j) {
      while (x[i] < pivot) i++;
      while (x[j] > pivot) j--;
      if (i <= j) {
        float t = x[i];
        x[i++] = x[j], x[j--] = t;
      }
    }
    if (k <= j) {
      hi = j;
    } else if (k >= i) {
      lo = i;
    } else {
      break;
    }
  }
  return x[k];
}

double plane_quantile(float *x, int64_t n, double q) {
  double at = q * (double)(n - 1);
  int64_t k = (int64_t)at;
  if (k > n - 1) k = n - 1;
  double a = (double)nth(x, n, k), b = a;
  if (k + 1 < n) {
    b = (double)x[k + 1];
    for (int64_t i = k + 2; i < n; i++)
      if ((double)x[i] < b) b = (double)x[i];
  }
  return a + (b - a) * (at - (double)k);
}

moments plane_moments(const double *x, int64_t n) {
  double sum = 0, square = 0;
  for (int64_t i = 0; i < n; i++) sum += x[i];
  double mean = sum / (double)n;
  for (int64_t i = 0; i < n; i++) square += (x[i] - mean) * (x[i] - mean);
  return (moments){mean, sqrt(square / (double)n)};
}

double plane_corr(const double *x, moments mx, const double *y, moments my, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += (x[i] - mx.mean) * (y[i] - my.mean);
  double r = sum / (double)n / (mx.sd * my.sd);
  return r > 1 ? 1 : r < -1 ? -1 : r; /* rounding must not leave the range */
}

double plane_centroid(const float *m, int height, int width, double *x, double *y) {
  double mass = 0, sx = 0, sy = 0;
  for (int i = 0; i < height; i++) {
    for (int j = 0; j < width; j++) {
      double v = (double)m[(int64_t)i * width + j];
      mass += v, sx += v * j, sy += v * i;
    }
  }
  *x = mass > 0 ? sx / mass : 0;
  *y = mass > 0 ? sy / mass : 0;
  return mass;
}
