/* Softmax on tiles of scores, its gradient, and attention between two rows. Contraction off. */
#include "ops/cpu/internal.h"
#include "ops/cpu/kernels/vexp.h"

enum { LANES = 16 };

/* Sixteen partial results -> one, always in this order: at distance 8, 4, 2, 1. Written out because a loop over the
 * distance is not unrolled and costs more than the row it ends. */
#define FOLD(op, s)                                                                                                  \
  op(op(op(op(s[0], s[8]), op(s[4], s[12])), op(op(s[2], s[10]), op(s[6], s[14]))),                                  \
     op(op(op(s[1], s[9]), op(s[5], s[13])), op(op(s[3], s[11]), op(s[7], s[15]))))
TD_INLINE real add(real a, real b) {
  return a + b;
}
TD_INLINE real larger(real a, real b) {
  return a > b ? a : b;
}
TD_INLINE real fold_sum(const real s[LANES]) {
  return FOLD(add, s);
}
TD_INLINE real fold_max(const real s[LANES]) {
  return FOLD(larger, s);
}

/* Rows lie a page or more apart, where the processor does not prefetch by itself. */
enum { AHEAD = 8, LINE = 64 / (int)sizeof(real) };

static void gather(int64_t n, int64_t dim, int64_t pad, const real *src, int64_t ld, real scale, real *dst) {
  for (int64_t i = 0; i < n; i++) {
    const real *restrict x = src + i * ld;
    real *restrict y = dst + i * pad;
    if (i + AHEAD < n) {
      for (int64_t c = 0; c < dim; c += LINE) __builtin_prefetch(x + AHEAD * ld + c);
    }
#pragma omp simd
    for (int64_t c = 0; c < dim; c++) y[c] = scale * x[c];
    for (int64_t c = dim; c < pad; c++) y[c] = 0;
  }
}

static void scatter(int64_t n, int64_t dim, int64_t pad, const real *src, real scale, int add, real *dst,
                    int64_t ld) {
  for (int64_t i = 0; i < n; i++) {
    const real *restrict x = src + i * pad;
    real *restrict y = dst + i * ld;
    if (add) {
#pragma omp simd
      for (int64_t c = 0; c < dim; c++) y[c] = y[c] + scale * x[c];
    } else {
#pragma omp simd
      for (int64_t c = 0; c < dim; c++) y[c] = scale * x[c];
    }
  }
}

static real dot(int64_t n, const real *a, const real *b) {
  real s[LANES] = {0};
  int64_t j = 0;
  for (; j + LANES <= n; j += LANES) {
#pragma omp simd
    for (int l = 0; l < LANES; l++) s[l] = vfma(a[j + l], b[j + l], s[l]);
  }
  for (int l = 0; j + l < n; l++) s[l] = vfma(a[j + l], b[j + l], s[l]);
  return fold_sum(s);
}

/* Adds the bias (if any), marks the padding, returns the largest score. Two vectors at a time, the last ones perhaps
 * twice: the order of a maximum does not matter, its latency does. */
static real row_max(int64_t nk, int64_t np, real *restrict s, const real *restrict bias) {
  real m[LANES], other[LANES];
  for (int64_t j = nk; j < np; j++) s[j] = R(-1e30);
  if (bias) {
#pragma omp simd
    for (int64_t j = 0; j < np; j++) s[j] = s[j] + bias[j];
  }
#pragma omp simd
  for (int l = 0; l < LANES; l++) m[l] = s[l];
#pragma omp simd
  for (int l = 0; l < LANES; l++) other[l] = s[np - LANES + l];
  for (int64_t j = LANES; j + 2 * LANES <= np; j += 2 * LANES) {
#pragma omp simd
    for (int l = 0; l < LANES; l++) m[l] = larger(m[l], s[j + l]);
#pragma omp simd
    for (int l = 0; l < LANES; l++) other[l] = larger(other[l], s[j + LANES + l]);
  }
#pragma omp simd
  for (int l = 0; l < LANES; l++) m[l] = larger(m[l], other[l]);
  return fold_max(m);
}

static real row_exp(int64_t np, real *restrict s, real max) {
  real sum[LANES] = {0};
  for (int64_t j = 0; j < np; j += LANES) {
#pragma omp simd
    for (int l = 0; l < LANES; l++) {
      real p = vexp2_low(s[j + l] - max);
      s[j + l] = p;
      sum[l] += p;
    }
  }
  return fold_sum(sum);
}

static void softmax(const softmax_tile *x) {
  for (int64_t i = 0; i < x->m; i++) {
    real *s = x->s + i * x->lds, max = row_max(x->nk, x->np, s, x->bias);
    if (!x->first && x->max[i] > max) max = x->max[i];
    real sum = row_exp(x->np, s, max);
    x->rescale[i] = x->first ? 0 : vexp2(x->max[i] - max);
    x->sum[i] = x->first ? sum : x->sum[i] * x->rescale[i] + sum;
    x->max[i] = max;
  }
}

static void softmax_grad(const softmax_grad_tile *x) {
  for (int64_t i = 0; i < x->m; i++) {
    real *restrict s = x->s + i * x->lds, *restrict t = x->t + i * x->lds;
    const real *restrict bias = x->bias;
    real lse = x->lse2[i], scale = x->scale, delta = x->delta[i] * scale;
    if (bias) {
#pragma omp simd
      for (int64_t j = 0; j < x->np; j++) s[j] = s[j] + bias[j];
    }
#pragma omp simd
    for (int64_t j = 0; j < x->np; j++) {
      real p = vexp2_low(s[j] - lse);
      s[j] = p;
      t[j] = p * vfma(t[j], scale, -delta);
    }
  }
}

/* Probability of the first of two keys for query i. */
TD_INLINE real first_of_two(const small_pair *x, int i, real scale) {
  real s0 = dot(x->dim, x->q[i], x->k[0]), s1 = dot(x->dim, x->q[i], x->k[1]);
  return vsigmoid((s0 - s1) * scale);
}

static void small(const small_pair *x, real scale) {
  for (int i = 0; i < 2; i++) {
    real p = first_of_two(x, i, scale), p1 = R(1.0) - p;
    const real *v0 = x->v[0], *v1 = x->v[1];
    real *o = x->o[i];
#pragma omp simd
    for (int64_t c = 0; c < x->dim; c++) o[c] = vfma(p, v0[c], p1 * v1[c]);
  }
}

/* d logit (i, first) = p (1 - p) (dp_first - dp_second), and minus that for the second key. */
static void small_bwd(const small_pair *x, real scale) {
  real p[2], e[2];
  for (int i = 0; i < 2; i++) {
    p[i] = first_of_two(x, i, scale);
    real d0 = dot(x->dim, x->d_o[i], x->v[0]), d1 = dot(x->dim, x->d_o[i], x->v[1]);
    e[i] = p[i] * (R(1.0) - p[i]) * (d0 - d1) * scale;
  }
  const real *q0 = x->q[0], *q1 = x->q[1], *k0 = x->k[0], *k1 = x->k[1], *g0 = x->d_o[0], *g1 = x->d_o[1];
  real *dq0 = x->dq[0], *dq1 = x->dq[1], *dk0 = x->dk[0], *dk1 = x->dk[1], *dv0 = x->dv[0], *dv1 = x->dv[1];
  real n0 = R(1.0) - p[0], n1 = R(1.0) - p[1];
#pragma omp simd
  for (int64_t c = 0; c < x->dim; c++) {
    real k = k0[c] - k1[c], dk = vfma(e[0], q0[c], e[1] * q1[c]);
    dq0[c] = e[0] * k;
    dq1[c] = e[1] * k;
    dk0[c] = dk;
    dk1[c] = -dk;
    dv0[c] = vfma(p[0], g0[c], p[1] * g1[c]);
    dv1[c] = vfma(n0, g0[c], n1 * g1[c]);
  }
}

const attn_kernels CPU_NAME(attn_kernels_, TD_ISA) = {.gather = gather,
                                                      .scatter = scatter,
                                                      .softmax = softmax,
                                                      .softmax_grad = softmax_grad,
                                                      .dot = dot,
                                                      .small = small,
                                                      .small_bwd = small_bwd};
