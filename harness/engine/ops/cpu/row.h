/* Kernels that walk rows, one table per instruction-set level (kernels/row.c).
 *
 * Sums over a row run in ROW_LANES partial sums, added up by a fixed tree: the same bits for every vector width.
 * Where an output may be an input (stated at each), it must be the same array, not a shifted one. */
#ifndef TD_OPS_CPU_ROW_H
#define TD_OPS_CPU_ROW_H

#include "ops/cpu/cpu.h"

#define ROW_LANES 32
/* Rows (or heads) taken side by side: the sums of one are a chain of dependent steps, several chains fill the
 * processor. */
#define ROW_TOGETHER 8

/* a = w (1 + scale), c = b (1 + scale) + shift; absent (NULL) means w = 1, b = 0, scale = 0, shift = 0. c may be
 * NULL. */
typedef struct row_fold {
  int64_t n;
  const real *w, *b, *scale, *shift;
  real *a, *c;
} row_fold;

/* y = xhat * a + c with xhat = (x - mean) * rstd, for rows that share a and c. y may be x. */
typedef struct row_norm {
  int64_t rows, n;
  real eps;
  const real *x, *a, *c;
  int64_t ldx;
  real *y;
  int64_t ldy;
} row_norm;

/* dx = rstd (g - mean g - xhat mean(g xhat)), g = dy * a, added to dx when `add`, for rows that share a. sum += dy
 * and sum_x += dy * xhat, rows ascending, unless NULL (both or none). dx may be dy. */
typedef struct row_norm_grad {
  int64_t rows, n;
  real eps;
  const real *x, *dy, *a;
  int64_t ldx, lddy;
  real *dx, *sum, *sum_x;
  int64_t lddx;
  int add;
} row_norm_grad;

/* For each head of each row: y = rotation of (xhat * w + b) by the angles of row map[r] of the tables (strides
 * ld_cos, ld_sin); map NULL or a negative entry: no rotation. y may be x. */
typedef struct row_heads {
  int64_t rows, heads, dim;
  real eps;
  const real *x, *w, *b, *cosines, *sines;
  int64_t ldx, ld_cos, ld_sin;
  const int32_t *map;
  real *y;
  int64_t ldy;
} row_heads;

/* Gradient of row_heads; sum and sum_x [dim] run over rows and heads as in row_norm_grad, of dy rotated back. dx may
 * be dy. work [ROW_TOGETHER * dim]. */
typedef struct row_heads_grad {
  int64_t rows, heads, dim;
  real eps;
  const real *x, *dy, *w, *cosines, *sines;
  int64_t ldx, lddy, ld_cos, ld_sin;
  const int32_t *map;
  real *dx, *sum, *sum_x, *work;
  int64_t lddx;
} row_heads_grad;

/* One step of op_adamw on n elements, factors made ready: g' = g * scale; w = w * keep - rate * m / (sqrt(v *
 * v_scale)
 * + eps). */
typedef struct row_adamw {
  int64_t n;
  real *w, *m, *v;
  const real *g;
  real scale, beta1, rest1, beta2, rest2, keep, rate, v_scale, eps;
} row_adamw;

/* sum[j] += sum of d, square[j] += sum of d^2 over the rows, d = x - mean[j] (mean NULL: 0). */
typedef struct row_moments {
  int64_t rows, n, ldx;
  const real *x, *mean;
  double *sum, *square;
} row_moments;

/* y = act((((x - mean) - rest) * a + c) * scale[map[r]] + shift[map[r]]); mean, rest, a, c [n]; map NULL or a
 * negative entry: without scale and shift, whose rows are ld_scale and ld_shift apart. y may be x. */
typedef struct row_group {
  int64_t rows, n, ldx, ldy;
  const real *x, *mean, *rest, *a, *c, *scale, *shift;
  int64_t ld_scale, ld_shift;
  const int32_t *map;
  real *y;
  op_act act;
} row_group;
/* y = x / sqrt(mean x^2 + eps) * w. y may be x. */
typedef struct row_rms {
  int64_t rows, n;
  real eps;
  const real *x, *w;
  int64_t ldx;
  real *y;
  int64_t ldy;
} row_rms;

struct row_kernels {
  void (*fold)(const row_fold *r);
  void (*norm)(const row_norm *r);
  void (*norm_grad)(const row_norm_grad *r);
  void (*heads)(const row_heads *r);
  void (*heads_grad)(const row_heads_grad *r);
  void (*add)(int64_t n, const real *x, real *y);                    /* y += x */
  void (*mul)(int64_t n, const real *a, const real *b, real *y);     /* y = a b */
  void (*mul_add)(int64_t n, const real *a, const real *b, real *y); /* y += a b */
  /* y = sum_i c[i] x[i], left to right, i < terms <= 4; y may be one of the x */
  void (*lincomb)(int64_t n, int terms, const real *const x[4], const real c[4], real *y);
  void (*act)(int64_t n, op_act act, const real *x, real *y);                       /* y may be x */
  void (*act_grad)(int64_t n, op_act act, const real *x, const real *dy, real *dx); /* dx may be dy */
  /* sum (p - t)^2; d = k (p - t) unless NULL */
  double (*mse)(int64_t n, const real *p, const real *t, real k, real *d);
  double (*sumsq)(int64_t n, const real *x);
  void (*adamw)(const row_adamw *r);
  void (*moments)(const row_moments *r);
  void (*group)(const row_group *r);
  void (*rms)(const row_rms *r);
  void (*act_mul)(int64_t n, op_act act, const real *x, const real *g, real *y); /* y may be x or g */
  void (*softmax)(int64_t n, const real *x, const real *bias, real *y);          /* of x + bias; y may be x */
};

#endif
