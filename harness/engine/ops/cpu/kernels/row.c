/* Compiled once per instruction-set level; contraction is off, so that every level and compiler rounds alike. */
#include <math.h>

#include "ops/cpu/kernels/vexp.h"
#include "ops/cpu/row.h"

#ifdef TD_REAL_F64
#define SQRT(x) sqrt(x)
#else
#define SQRT(x) sqrtf(x)
#endif

#define LANES ROW_LANES

/* Runs `body` over j = 0 .. n-1 in steps of LANES with l the lane of j; the tail takes the first lanes. */
#define BY_LANES(n, body)                                                                                            \
  do {                                                                                                               \
    int64_t base_ = 0;                                                                                               \
    for (; base_ + LANES <= (n); base_ += LANES) {                                                                   \
      _Pragma("omp simd") for (int l = 0; l < LANES; l++) {                                                          \
        const int64_t j = base_ + l;                                                                                 \
        body;                                                                                                        \
      }                                                                                                              \
    }                                                                                                                \
    for (int l = 0; base_ + l < (n); l++) {                                                                          \
      const int64_t j = base_ + l;                                                                                   \
      body;                                                                                                          \
    }                                                                                                                \
  } while (0)

#define BY_COLUMNS(n, body)                                                                                          \
  do {                                                                                                               \
    _Pragma("omp simd") for (int64_t j = 0; j < (n); j++) {                                                          \
      body;                                                                                                          \
    }                                                                                                                \
  } while (0)

/* Adds the upper half of 2 * half lanes to the lower; constant counts, so that every step is a vector addition. */
#define FOLD(s, half)                                                                                                \
  do {                                                                                                               \
    _Pragma("omp simd") for (int l = 0; l < (half); l++)(s)[l] += (s)[l + (half)];                                   \
  } while (0)

TD_INLINE real tree(real s[LANES]) {
  FOLD(s, 16);
  FOLD(s, 8);
  FOLD(s, 4);
  return (s[0] + s[2]) + (s[1] + s[3]);
}

TD_INLINE double tree_double(double s[LANES]) {
  FOLD(s, 16);
  FOLD(s, 8);
  FOLD(s, 4);
  return (s[0] + s[2]) + (s[1] + s[3]);
}

_Static_assert(LANES == 32, "the trees are written out for 32 lanes");

typedef struct stat {
  real mean, rest, rstd; /* xhat = ((x - mean) - rest) * rstd */
} stat;

/* Two passes, the second around the rounded mean: `rest` is what the rounding of the mean left over. Without it a row
 * far from zero loses as many digits of xhat as its offset has over its spread. */
TD_INLINE stat statistics(const real *x, int64_t n, real eps) {
  real s[LANES] = {0}, q[LANES] = {0}, count = (real)n;
  BY_LANES(n, s[l] += x[j]);
  stat t = {.mean = tree(s) / count};
  for (int l = 0; l < LANES; l++) s[l] = 0;
  BY_LANES(n, real d = x[j] - t.mean; s[l] += d; q[l] += d * d);
  t.rest = tree(s) / count;
  real var = tree(q) / count - t.rest * t.rest;
  t.rstd = R(1.0) / SQRT((var > 0 ? var : 0) + eps);
  return t;
}

static void fold(const row_fold *r) {
  const real *w = r->w, *b = r->b, *scale = r->scale, *shift = r->shift;
  real *a = r->a, *c = r->c;
  for (int64_t j = 0; j < r->n; j++) {
    real m = R(1.0) + (scale ? scale[j] : 0);
    a[j] = (w ? w[j] : R(1.0)) * m;
    if (c) c[j] = (b ? b[j] * m : 0) + (shift ? shift[j] : 0);
  }
}

TD_INLINE void norm_row(int64_t n, real eps, const real *x, const real *a, const real *c, real *y) {
  stat t = statistics(x, n, eps);
  BY_COLUMNS(n, y[j] = ((x[j] - t.mean) - t.rest) * t.rstd * a[j] + c[j]);
}

static void norm(const row_norm *r) {
  norm_row(r->n, r->eps, r->x, r->a, r->c, r->y);
}

TD_INLINE void norm_grad_row(const row_norm_grad *r) {
  const int64_t n = r->n;
  const real *x = r->x, *dy = r->dy, *a = r->a;
  real *dx = r->dx, *sum = r->sum, *sum_x = r->sum_x;
  stat t = statistics(x, n, r->eps);
  real s[LANES] = {0}, q[LANES] = {0};
  BY_LANES(n, real xhat = ((x[j] - t.mean) - t.rest) * t.rstd; real g = dy[j] * a[j]; s[l] += g; q[l] += g * xhat);
  if (sum) BY_COLUMNS(n, sum[j] += dy[j]; sum_x[j] += dy[j] * (((x[j] - t.mean) - t.rest) * t.rstd));
  const real mean_g = tree(s) / (real)n, mean_gx = tree(q) / (real)n;
  if (r->add)
    BY_COLUMNS(n, real xhat = ((x[j] - t.mean) - t.rest) * t.rstd; real g = dy[j] * a[j];
               dx[j] += t.rstd * (g - mean_g - xhat * mean_gx));
  else
    BY_COLUMNS(n, real xhat = ((x[j] - t.mean) - t.rest) * t.rstd; real g = dy[j] * a[j];
               dx[j] = t.rstd * (g - mean_g - xhat * mean_gx));
}

static void norm_grad(const row_norm_grad *r) {
  norm_grad_row(r);
}

static void heads(const row_heads *r) {
  const real *co = r->cosines, *si = r->sines;
  for (int64_t h = 0; h < r->heads; h++) {
    real *y = r->y + h * r->dim;
    norm_row(r->dim, r->eps, r->x + h * r->dim, r->w, r->b, y);
    if (!co) continue;
    BY_COLUMNS(r->dim / 2, real a = y[2 * j]; real b = y[2 * j + 1]; y[2 * j] = a * co[j] - b * si[j];
               y[2 * j + 1] = b * co[j] + a * si[j]);
  }
}

static void heads_grad(const row_heads_grad *r) {
  const real *co = r->cosines, *si = r->sines;
  real *g = r->work;
  for (int64_t h = 0; h < r->heads; h++) {
    const real *dy = r->dy + h * r->dim;
    if (co)
      BY_COLUMNS(r->dim / 2, real a = dy[2 * j]; real b = dy[2 * j + 1]; g[2 * j] = a * co[j] + b * si[j];
                 g[2 * j + 1] = b * co[j] - a * si[j]);
    norm_grad_row(&(row_norm_grad){.n = r->dim,
                                   .eps = r->eps,
                                   .x = r->x + h * r->dim,
                                   .dy = co ? g : dy,
                                   .a = r->w,
                                   .dx = r->dx + h * r->dim,
                                   .sum = r->sum,
                                   .sum_x = r->sum_x});
  }
}

static void add(int64_t n, const real *x, real *y) {
  BY_COLUMNS(n, y[j] += x[j]);
}

static void mul(int64_t n, const real *a, const real *b, real *y) {
  BY_COLUMNS(n, y[j] = a[j] * b[j]);
}

static void mul_add(int64_t n, const real *a, const real *b, real *y) {
  BY_COLUMNS(n, y[j] += a[j] * b[j]);
}

static void lincomb(int64_t n, int terms, const real *const x[4], const real c[4], real *y) {
  const real *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3];
  const real c0 = c[0], c1 = c[1], c2 = c[2], c3 = c[3];
  switch (terms) {
  case 1: BY_COLUMNS(n, y[j] = c0 * x0[j]); break;
  case 2: BY_COLUMNS(n, y[j] = c0 * x0[j] + c1 * x1[j]); break;
  case 3: BY_COLUMNS(n, y[j] = c0 * x0[j] + c1 * x1[j] + c2 * x2[j]); break;
  default: BY_COLUMNS(n, y[j] = c0 * x0[j] + c1 * x1[j] + c2 * x2[j] + c3 * x3[j]); break;
  }
}

static void act(int64_t n, op_act kind, const real *x, real *y) {
  switch (kind) {
  case ACT_GELU_TANH: BY_COLUMNS(n, y[j] = vgelu(x[j])); break;
  case ACT_SILU: BY_COLUMNS(n, y[j] = vsilu(x[j])); break;
  default: BY_COLUMNS(n, y[j] = x[j]); break;
  }
}

static void act_grad(int64_t n, op_act kind, const real *x, const real *dy, real *dx) {
  switch (kind) {
  case ACT_GELU_TANH: BY_COLUMNS(n, dx[j] = dy[j] * vgelu_grad(x[j])); break;
  case ACT_SILU: BY_COLUMNS(n, dx[j] = dy[j] * vsilu_grad(x[j])); break;
  default: BY_COLUMNS(n, dx[j] = dy[j]); break;
  }
}

static double mse(int64_t n, const real *p, const real *t, real k, real *d) {
  double s[LANES] = {0};
  BY_LANES(n, double e = (double)p[j] - (double)t[j]; s[l] += e * e);
  if (d) BY_COLUMNS(n, d[j] = k * (p[j] - t[j]));
  return tree_double(s);
}

static double sumsq(int64_t n, const real *x) {
  double s[LANES] = {0};
  BY_LANES(n, double e = (double)x[j]; s[l] += e * e);
  return tree_double(s);
}

static void adamw(const row_adamw *r) {
  real *w = r->w, *m = r->m, *v = r->v;
  const real *g = r->g;
  const real scale = r->scale, b1 = r->beta1, r1 = r->rest1, b2 = r->beta2, r2 = r->rest2;
  const real keep = r->keep, rate = r->rate, v_scale = r->v_scale, eps = r->eps;
  BY_COLUMNS(r->n, real d = g[j] * scale; real mj = b1 * m[j] + r1 * d; real vj = b2 * v[j] + r2 * (d * d); m[j] = mj;
             v[j] = vj; w[j] = w[j] * keep - rate * mj / (SQRT(vj * v_scale) + eps));
}

#define TABLE CPU_NAME(row_kernels_, TD_ISA)
const row_kernels TABLE = {
    .fold = fold,
    .norm = norm,
    .norm_grad = norm_grad,
    .heads = heads,
    .heads_grad = heads_grad,
    .add = add,
    .mul = mul,
    .mul_add = mul_add,
    .lincomb = lincomb,
    .act = act,
    .act_grad = act_grad,
    .mse = mse,
    .sumsq = sumsq,
    .adamw = adamw,
};
