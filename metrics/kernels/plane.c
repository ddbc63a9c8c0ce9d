/* Compiled once per instruction-set level; contraction is off, so that every level and compiler rounds alike. */
#include "metrics/kernels/plane.h"

#include <math.h>

enum { BLOCK = KERNEL_BLOCK };

KERNEL_INLINE void add_strided(double *sum, const float *in, int64_t stride, double t, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++) sum[i] += t * (double)in[i * stride];
}

static void add(double *sum, const float *in, int64_t stride, double t, int n) {
  switch (stride) { /* constants make vectors */
  case 1: add_strided(sum, in, 1, t, n); break;
  case 3: add_strided(sum, in, 3, t, n); break;
  default: add_strided(sum, in, stride, t, n);
  }
}

static void add_double(double *sum, const double *in, double t, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++) sum[i] += t * in[i];
}

static void window_add(double *sum, int64_t stride, const float *rgb, const float *alpha, double t, int n) {
  double *s[WINDOW_SUMS];
  for (int p = 0; p < WINDOW_SUMS; p++) s[p] = sum + p * stride;
  for (int at = 0; at < n; at += BLOCK) {
    double a[BLOCK], c[3][BLOCK];
    int count = n - at < BLOCK ? n - at : BLOCK;
    for (int i = 0; i < count; i++) a[i] = (double)alpha[at + i];
    for (int i = 0; i < count; i++)
      for (int k = 0; k < 3; k++) c[k][i] = (double)rgb[3 * (at + i) + k];
#pragma omp simd
    for (int i = 0; i < count; i++) {
      double ta = t * a[i], t0 = t * c[0][i], t1 = t * c[1][i], t2 = t * c[2][i];
      s[WINDOW_A][at + i] += ta, s[WINDOW_AA][at + i] += ta * a[i];
      s[WINDOW_C][at + i] += t0, s[WINDOW_C + 1][at + i] += t1, s[WINDOW_C + 2][at + i] += t2;
      s[WINDOW_CA][at + i] += t0 * a[i], s[WINDOW_CA + 1][at + i] += t1 * a[i], s[WINDOW_CA + 2][at + i] += t2 * a[i];
      s[WINDOW_CC][at + i] += t0 * c[0][i];
      s[WINDOW_CC + 1][at + i] += t0 * c[1][i];
      s[WINDOW_CC + 2][at + i] += t0 * c[2][i];
      s[WINDOW_CC + 3][at + i] += t1 * c[1][i];
      s[WINDOW_CC + 4][at + i] += t1 * c[2][i];
      s[WINDOW_CC + 5][at + i] += t2 * c[2][i];
    }
  }
}

/* Means of the windows around `count` pixels. The box slides by one chain of additions a sum; carry: its last sums.
 */
KERNEL_INLINE void window_means(const window_row *r, int at, int count, double carry[WINDOW_SUMS],
                                double m[WINDOW_SUMS][BLOCK]) {
  const int span = 2 * r->radius + 1;
  const double each = 1 / r->count;
  for (int p = 0; p < WINDOW_SUMS; p++) {
    const double *line = r->sum + p * r->stride + at;
    double *d = m[p], sum = carry[p];
#pragma omp simd
    for (int i = at ? 0 : 1; i < count; i++) d[i] = line[i + span - 1] - line[i - 1];
    if (!at) {
      d[0] = 0;
      for (int j = 0; j < span; j++) d[0] += line[j];
    }
    for (int i = 0; i < count; i++) d[i] = sum = sum + d[i];
    carry[p] = sum;
#pragma omp simd
    for (int i = 0; i < BLOCK; i++) d[i] *= each;
  }
}

/* c' (S + ridge I)^-1 c through Cholesky, S the colours' covariance: the sum is positive definite. */
KERNEL_INLINE void window_block(const window_row *r, int count, double m[WINDOW_SUMS][BLOCK]) {
  const double ridge = r->ridge;
  double left[BLOCK], total[BLOCK];
#pragma omp simd
  for (int i = 0; i < BLOCK; i++) {
    double a = m[WINDOW_A][i], r0 = m[WINDOW_C][i], r1 = m[WINDOW_C + 1][i], r2 = m[WINDOW_C + 2][i];
    double c0 = m[WINDOW_CA][i] - r0 * a, c1 = m[WINDOW_CA + 1][i] - r1 * a, c2 = m[WINDOW_CA + 2][i] - r2 * a;
    double s00 = m[WINDOW_CC][i] - r0 * r0, s01 = m[WINDOW_CC + 1][i] - r0 * r1, s02 = m[WINDOW_CC + 2][i] - r0 * r2;
    double s11 = m[WINDOW_CC + 3][i] - r1 * r1, s12 = m[WINDOW_CC + 4][i] - r1 * r2;
    double s22 = m[WINDOW_CC + 5][i] - r2 * r2, var = m[WINDOW_AA][i] - a * a;
    double l00 = 1 / sqrt(s00 + ridge), l10 = s01 * l00, l20 = s02 * l00;
    double l11 = 1 / sqrt(s11 + ridge - l10 * l10), l21 = (s12 - l20 * l10) * l11;
    double l22 = 1 / sqrt(s22 + ridge - l20 * l20 - l21 * l21);
    double z0 = c0 * l00, z1 = (c1 - l10 * z0) * l11, z2 = (c2 - l20 * z0 - l21 * z1) * l22;
    var = var > 0 ? var : 0; /* rounding */
    double rest = var - (z0 * z0 + z1 * z1 + z2 * z2);
    left[i] = rest > 0 ? rest : 0;
    total[i] = var;
  }
  for (int i = 0; i < count; i++) r->left[i] += left[i], r->total[i] += total[i];
}

static void window_fit(const window_row *r) {
  double carry[WINDOW_SUMS] = {0}, m[WINDOW_SUMS][BLOCK] = {{0}};
  for (int at = 0; at < r->width; at += BLOCK) {
    int count = r->width - at < BLOCK ? r->width - at : BLOCK;
    if (count == BLOCK) {
      window_means(r, at, BLOCK, carry, m);
      window_block(r, BLOCK, m);
    } else {
      window_means(r, at, count, carry, m);
      window_block(r, count, m);
    }
  }
}

#define TABLE KERNEL_NAME(plane_kernels_, TD_ISA)
extern const plane_kernels TABLE;
const plane_kernels TABLE = {
    .add = add, .add_double = add_double, .window_add = window_add, .window_fit = window_fit};
