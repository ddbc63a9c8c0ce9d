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
#define TOGETHER ROW_TOGETHER

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

typedef struct stats {
  real mean[TOGETHER], rest[TOGETHER], rstd[TOGETHER]; /* xhat = ((x - mean) - rest) * rstd */
} stats;

/* Two passes, the second around the rounded mean: `rest` is what the rounding of the mean left over. Without it a row
 * far from zero loses as many digits of xhat as its offset has over its spread. */
TD_INLINE void statistics(const real *const x[TOGETHER], int rows, int64_t n, real eps, stats *t) {
  real sum[TOGETHER] = {0}, square[TOGETHER] = {0}, count = (real)n;
  for (int i = 0; i < rows; i++) {
    const real *xi = x[i];
    real s[LANES] = {0};
    BY_LANES(n, s[l] += xi[j]);
    sum[i] = tree(s);
  }
  BY_COLUMNS(TOGETHER, t->mean[j] = sum[j] / count);
  for (int i = 0; i < rows; i++) {
    const real *xi = x[i], mean = t->mean[i];
    real s[LANES] = {0}, q[LANES] = {0};
    BY_LANES(n, real d = xi[j] - mean; s[l] += d; q[l] += d * d);
    sum[i] = tree(s);
    square[i] = tree(q);
  }
  BY_COLUMNS(TOGETHER, real rest = sum[j] / count; real var = square[j] / count - rest * rest; t->rest[j] = rest;
             t->rstd[j] = R(1.0) / SQRT((var > 0 ? var : 0) + eps));
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

TD_INLINE int group_size(int64_t left) {
  return left < TOGETHER ? (int)left : TOGETHER;
}

/* y = xhat * a + c for the rows of a group. */
TD_INLINE void norm_group(const real *const x[TOGETHER], real *const y[TOGETHER], int rows, const row_norm *r) {
  const int64_t n = r->n;
  const real *a = r->a, *c = r->c;
  stats t;
  statistics(x, rows, n, r->eps, &t);
  for (int i = 0; i < rows; i++) {
    const real *xi = x[i], mean = t.mean[i], rest = t.rest[i], rstd = t.rstd[i];
    real *yi = y[i];
    BY_COLUMNS(n, yi[j] = ((xi[j] - mean) - rest) * rstd * a[j] + c[j]);
  }
}

static void norm(const row_norm *r) {
  const real *x[TOGETHER];
  real *y[TOGETHER];
  for (int64_t at = 0; at < r->rows; at += TOGETHER) {
    int m = group_size(r->rows - at);
    for (int i = 0; i < m; i++) {
      x[i] = r->x + (at + i) * r->ldx;
      y[i] = r->y + (at + i) * r->ldy;
    }
    norm_group(x, y, m, r);
  }
}

/* A group of rows of a norm's gradient; dx[i] may be dy[i]. */
typedef struct grad_group {
  const real *x[TOGETHER], *dy[TOGETHER];
  real *dx[TOGETHER];
  int rows;
} grad_group;

TD_INLINE void norm_grad_group(const grad_group *g, const row_norm_grad *r) {
  const int64_t n = r->n;
  const real *a = r->a;
  real *sum = r->sum, *sum_x = r->sum_x, mean_g[TOGETHER], mean_gx[TOGETHER];
  stats t;
  statistics(g->x, g->rows, n, r->eps, &t);
  for (int i = 0; i < g->rows; i++) {
    const real *x = g->x[i], *dy = g->dy[i], mean = t.mean[i], rest = t.rest[i], rstd = t.rstd[i];
    real s[LANES] = {0}, q[LANES] = {0};
    BY_LANES(n, real xhat = ((x[j] - mean) - rest) * rstd; real d = dy[j] * a[j]; s[l] += d; q[l] += d * xhat);
    if (sum) BY_COLUMNS(n, sum[j] += dy[j]; sum_x[j] += dy[j] * (((x[j] - mean) - rest) * rstd));
    mean_g[i] = tree(s) / (real)n;
    mean_gx[i] = tree(q) / (real)n;
  }
  for (int i = 0; i < g->rows; i++) {
    const real *x = g->x[i], *dy = g->dy[i], mean = t.mean[i], rest = t.rest[i], rstd = t.rstd[i];
    const real mg = mean_g[i], mgx = mean_gx[i];
    real *dx = g->dx[i];
    if (r->add)
      BY_COLUMNS(n, real xhat = ((x[j] - mean) - rest) * rstd; real d = dy[j] * a[j];
                 dx[j] += rstd * (d - mg - xhat * mgx));
    else
      BY_COLUMNS(n, real xhat = ((x[j] - mean) - rest) * rstd; real d = dy[j] * a[j];
                 dx[j] = rstd * (d - mg - xhat * mgx));
  }
}

static void norm_grad(const row_norm_grad *r) {
  grad_group g;
  for (int64_t at = 0; at < r->rows; at += TOGETHER) {
    g.rows = group_size(r->rows - at);
    for (int i = 0; i < g.rows; i++) {
      g.x[i] = r->x + (at + i) * r->ldx;
      g.dy[i] = r->dy + (at + i) * r->lddy;
      g.dx[i] = r->dx + (at + i) * r->lddx;
    }
    norm_grad_group(&g, r);
  }
}

/* Head v of a stretch of rows, counted row by row. */
TD_INLINE int64_t head_at(int64_t v, int64_t heads, int64_t dim, int64_t ld) {
  return v / heads * ld + v % heads * dim;
}

static void heads(const row_heads *r) {
  const row_norm norm = {.n = r->dim, .eps = r->eps, .a = r->w, .c = r->b};
  const real *x[TOGETHER];
  real *y[TOGETHER];
  for (int64_t v = 0; v < r->rows * r->heads; v += TOGETHER) {
    int m = group_size(r->rows * r->heads - v);
    for (int i = 0; i < m; i++) {
      x[i] = r->x + head_at(v + i, r->heads, r->dim, r->ldx);
      y[i] = r->y + head_at(v + i, r->heads, r->dim, r->ldy);
    }
    norm_group(x, y, m, &norm);
    for (int i = 0; i < m; i++) {
      int64_t angle = r->map ? r->map[(v + i) / r->heads] : -1;
      if (angle < 0) continue;
      const real *co = r->cosines + angle * r->ld_cos, *si = r->sines + angle * r->ld_sin;
      real *yi = y[i];
      BY_COLUMNS(r->dim / 2, real a = yi[2 * j]; real b = yi[2 * j + 1]; yi[2 * j] = a * co[j] - b * si[j];
                 yi[2 * j + 1] = b * co[j] + a * si[j]);
    }
  }
}

static void heads_grad(const row_heads_grad *r) {
  const row_norm_grad norm = {.n = r->dim, .eps = r->eps, .a = r->w, .sum = r->sum, .sum_x = r->sum_x};
  grad_group g;
  for (int64_t v = 0; v < r->rows * r->heads; v += TOGETHER) {
    g.rows = group_size(r->rows * r->heads - v);
    for (int i = 0; i < g.rows; i++) {
      int64_t angle = r->map ? r->map[(v + i) / r->heads] : -1;
      const real *dy = r->dy + head_at(v + i, r->heads, r->dim, r->lddy);
      real *back = r->work + i * r->dim;
      g.x[i] = r->x + head_at(v + i, r->heads, r->dim, r->ldx);
      g.dx[i] = r->dx + head_at(v + i, r->heads, r->dim, r->lddx);
      g.dy[i] = angle < 0 ? dy : back;
      if (angle < 0) continue;
      const real *co = r->cosines + angle * r->ld_cos, *si = r->sines + angle * r->ld_sin;
      BY_COLUMNS(r->dim / 2, real a = dy[2 * j]; real b = dy[2 * j + 1]; back[2 * j] = a * co[j] + b * si[j];
                 back[2 * j + 1] = b * co[j] - a * si[j]);
    }
    norm_grad_group(&g, &norm);
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

/* Rows whose sums stay in float before they join the sums in double. */
enum { MOMENT_ROWS = 64 };

/* LANES columns from `at` on, `width` of them real. */
TD_INLINE void moments_of(const row_moments *r, int64_t at, int64_t width) {
  for (int64_t from = 0; from < r->rows; from += MOMENT_ROWS) {
    const int64_t end = from + MOMENT_ROWS < r->rows ? from + MOMENT_ROWS : r->rows;
    real s[LANES] = {0}, q[LANES] = {0}, mean[LANES] = {0};
    for (int64_t l = 0; r->mean && l < width; l++) mean[l] = r->mean[at + l];
    for (int64_t i = from; i < end; i++) {
      const real *x = r->x + i * r->ldx + at;
      BY_COLUMNS(width, real d = x[j] - mean[j]; s[j] += d; q[j] += d * d);
    }
    for (int64_t l = 0; l < width; l++) {
      r->sum[at + l] += (double)s[l];
      r->square[at + l] += (double)q[l];
    }
  }
}

static void moments(const row_moments *r) {
  int64_t j = 0;
  for (; j + LANES <= r->n; j += LANES) moments_of(r, j, LANES);
  if (j < r->n) moments_of(r, j, r->n - j);
}

TD_INLINE real activate(op_act kind, real x) {
  return kind == ACT_SILU ? vsilu(x) : kind == ACT_GELU_TANH ? vgelu(x) : x;
}

TD_INLINE void group_rows(const row_group *r, op_act kind) {
  const real *mean = r->mean, *rest = r->rest, *a = r->a, *c = r->c;
  for (int64_t i = 0; i < r->rows; i++) {
    const real *x = r->x + i * r->ldx;
    real *y = r->y + i * r->ldy;
    const int64_t m = r->map ? r->map[i] : -1;
    if (m < 0) {
      BY_COLUMNS(r->n, y[j] = activate(kind, ((x[j] - mean[j]) - rest[j]) * a[j] + c[j]));
    } else {
      const real *scale = r->scale + m * r->ld_scale, *shift = r->shift + m * r->ld_shift;
      BY_COLUMNS(r->n, real t = ((x[j] - mean[j]) - rest[j]) * a[j] + c[j];
                 y[j] = activate(kind, t * scale[j] + shift[j]));
    }
  }
}

static void group(const row_group *r) {
  switch (r->act) {
  case ACT_SILU: group_rows(r, ACT_SILU); break;
  case ACT_GELU_TANH: group_rows(r, ACT_GELU_TANH); break;
  default: group_rows(r, ACT_NONE); break;
  }
}

static void rms(const row_rms *r) {
  const int64_t n = r->n;
  const real *w = r->w;
  for (int64_t i = 0; i < r->rows; i++) {
    const real *x = r->x + i * r->ldx;
    real *y = r->y + i * r->ldy, q[LANES] = {0};
    BY_LANES(n, q[l] += x[j] * x[j]);
    const real rstd = R(1.0) / SQRT(tree(q) / (real)n + r->eps);
    BY_COLUMNS(n, y[j] = x[j] * rstd * w[j]);
  }
}

static void act_mul(int64_t n, op_act kind, const real *x, const real *g, real *y) {
  switch (kind) {
  case ACT_GELU_TANH: BY_COLUMNS(n, y[j] = vgelu(x[j]) * g[j]); break;
  case ACT_SILU: BY_COLUMNS(n, y[j] = vsilu(x[j]) * g[j]); break;
  default: BY_COLUMNS(n, y[j] = x[j] * g[j]); break;
  }
}

static void softmax(int64_t n, const real *x, const real *bias, real *y) {
  real top[LANES], sum[LANES] = {0};
  for (int l = 0; l < LANES; l++) top[l] = x[0] + bias[0];
  BY_LANES(n, real v = x[j] + bias[j]; y[j] = v; top[l] = v > top[l] ? v : top[l]);
  real max = top[0];
  for (int l = 1; l < LANES; l++) max = top[l] > max ? top[l] : max;
  BY_LANES(n, real p = vexp2_low((y[j] - max) * VLOG2E); y[j] = p; sum[l] += p);
  const real scale = R(1.0) / tree(sum);
  BY_COLUMNS(n, y[j] *= scale);
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
    .moments = moments,
    .group = group,
    .rms = rms,
    .act_mul = act_mul,
    .softmax = softmax,
};
