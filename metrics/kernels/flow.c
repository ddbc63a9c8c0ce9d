/* Compiled once per instruction-set level; contraction is off, so that every level and compiler rounds alike. */
#include "metrics/kernels/flow.h"

#include <math.h>
#include <string.h>

enum { BLOCK = KERNEL_BLOCK };

/* Runs `body` over blocks of pixels at .. at + count - 1. The last block of a row overlaps the one before rather than
 * be short: what it does again it does alike. */
#define BY_BLOCKS(width, body)                                                                                       \
  do {                                                                                                               \
    const int width_ = (width);                                                                                      \
    if (width_ < BLOCK) {                                                                                            \
      const int at = 0, count = width_;                                                                              \
      body;                                                                                                          \
    }                                                                                                                \
    for (int next_ = 0; width_ >= BLOCK && next_ < width_; next_ += BLOCK) {                                         \
      const int at = next_ + BLOCK > width_ ? width_ - BLOCK : next_, count = BLOCK;                                 \
      body;                                                                                                          \
    }                                                                                                                \
  } while (0)

/* A cell and the first values of the next: one vector. */
enum { LANES = 8 };
typedef float cell __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* --- blur ----------------------------------------------------------------------------------------------------- */

static void down(const float *const *row, const float *tap, int n, int width, float *out) {
  const float *mid = row[n / 2];
  for (int i = 0; i < width; i++) out[i] = mid[i];
  for (int k = 0; k < n; k++) {
    const float *x = row[k], t = tap[k];
#pragma omp simd
    for (int i = 0; i < width; i++) out[i] += t * (x[i] - mid[i]);
  }
}

static void along(const float *in, const float *tap, int n, int width, float *out) {
  const float *mid = in + n / 2;
  for (int i = 0; i < width; i++) out[i] = mid[i];
  for (int k = 0; k < n; k++) {
    const float *x = in + k, t = tap[k];
#pragma omp simd
    for (int i = 0; i < width; i++) out[i] += t * (x[i] - mid[i]);
  }
}

/* --- polynomial expansion ------------------------------------------------------------------------------------- */

/* `n` is a constant where this is inlined for the usual radii: the loop over j is then gone before that over pixels
 * becomes vectors, for which nothing is written that could be read. */
KERNEL_INLINE void moments(int n, int count, const flow_taps *t, const float *const *row, int at,
                           float *const moment[3]) {
  const float *mid = row[n] + at;
  float m0[BLOCK], m1[BLOCK], m2[BLOCK];
  for (int i = 0; i < count; i++) {
    float s0 = mid[i], s1 = 0, s2 = 0;
    for (int j = 1; j <= n; j++) {
      float a = row[n - j][at + i], b = row[n + j][at + i], s = (a - mid[i]) + (b - mid[i]);
      s0 += t->g[j] * s;
      s1 += t->g1[j] * (b - a);
      s2 += t->xx[j] * s;
    }
    m0[i] = s0, m1[i] = s1, m2[i] = s2;
  }
  memcpy(moment[0] + at, m0, (size_t)count * sizeof *m0);
  memcpy(moment[1] + at, m1, (size_t)count * sizeof *m1);
  memcpy(moment[2] + at, m2, (size_t)count * sizeof *m2);
}

static void expand_down(const flow_taps *t, const float *const *row, int width, float *const moment[3]) {
  switch (t->n) {
  case 5: BY_BLOCKS(width, moments(5, count, t, row, at, moment)); break;
  case 7: BY_BLOCKS(width, moments(7, count, t, row, at, moment)); break;
  default: BY_BLOCKS(width, moments(t->n, count, t, row, at, moment));
  }
}

KERNEL_INLINE void cells_of(int n, int count, const flow_taps *t, float *const moment[3], int at, float *cells) {
  const float *a = moment[0] + at, *b = moment[1] + at, *c = moment[2] + at, g0 = t->g[0], ig11 = t->ig11;
  float row[FLOW_COEFS][BLOCK];
  for (int i = 0; i < count; i++) {
    float y = g0 * b[i], x = 0, yy = g0 * c[i], xx = 0, xy = 0;
    for (int j = 1; j <= n; j++) {
      y += t->g[j] * (b[i + j] + b[i - j]);
      x += t->x[j] * (a[i + j] - a[i - j]);
      yy += t->g[j] * (c[i + j] + c[i - j]);
      xx += t->xx[j] * ((a[i + j] - a[i]) + (a[i - j] - a[i]));
      xy += t->xy[j] * (b[i + j] - b[i - j]);
    }
    row[0][i] = ig11 * y, row[1][i] = x, row[2][i] = yy, row[3][i] = xx, row[4][i] = xy;
  }
  for (int i = 0; i < count; i++) {
    float *o = cells + (int64_t)(at + i) * FLOW_CELL;
    o[0] = row[0][i], o[1] = row[1][i], o[2] = row[2][i], o[3] = row[3][i], o[4] = row[4][i];
  }
}

static void expand_along(const flow_taps *t, float *const moment[3], int width, float *cells) {
  switch (t->n) {
  case 5: BY_BLOCKS(width, cells_of(5, count, t, moment, at, cells)); break;
  case 7: BY_BLOCKS(width, cells_of(7, count, t, moment, at, cells)); break;
  default: BY_BLOCKS(width, cells_of(t->n, count, t, moment, at, cells));
  }
}

/* --- update matrices ------------------------------------------------------------------------------------------ */

typedef struct lookup {
  int32_t at[BLOCK]; /* pixel of the upper left corner */
  int32_t inside[BLOCK];
  float w00[BLOCK], w01[BLOCK], w10[BLOCK], w11[BLOCK];
} lookup;

/* Where r1 is read: nowhere (weights 0) when a corner of the cell lies outside, so always in the last row and column.
 * The test is on floats: a wild displacement never becomes an integer. */
KERNEL_INLINE void look(const flow_matrices *m, int at, int count, lookup *k) {
  const float *u = m->u + at, *v = m->v + at, right = (float)(m->width - 1), bottom = (float)(m->height - 1);
#pragma omp simd
  for (int i = 0; i < count; i++) {
    float fx = (float)(at + i) + u[i], fy = (float)m->y + v[i], x = floorf(fx), y = floorf(fy);
    int in = (x >= 0) & (x < right) & (y >= 0) & (y < bottom);
    float ax = in ? fx - x : 0, ay = in ? fy - y : 0, one = in ? 1.0f : 0.0f;
    k->at[i] = (in ? (int32_t)y : 0) * m->width + (in ? (int32_t)x : 0);
    k->inside[i] = in;
    k->w00[i] = (one - ax) * (one - ay), k->w01[i] = ax * (one - ay);
    k->w10[i] = (one - ax) * ay, k->w11[i] = ax * ay;
  }
}

/* r0 - r1 in the linear coefficients, r0 + r1 in the quadratic ones. */
KERNEL_INLINE void meet(const flow_matrices *m, int at, int count, const lookup *k, float out[FLOW_COEFS][BLOCK]) {
  const cell sign = {-1, -1, 1, 1, 1};
  const float *r0 = m->r0 + (int64_t)at * FLOW_CELL;
  const int64_t below = (int64_t)m->width * FLOW_CELL;
  float both[BLOCK * LANES];
  for (int i = 0; i < count; i++) {
    const float *p = m->r1 + (int64_t)k->at[i] * FLOW_CELL;
    cell s = k->w00[i] * *(const cell *)p + k->w01[i] * *(const cell *)(p + FLOW_CELL);
    s = s + k->w10[i] * *(const cell *)(p + below);
    s = s + k->w11[i] * *(const cell *)(p + below + FLOW_CELL);
    *(cell *)(both + i * LANES) = *(const cell *)(r0 + i * FLOW_CELL) + sign * s;
  }
  for (int i = 0; i < count; i++) {
    const float *b = both + i * LANES;
    out[0][i] = b[0], out[1][i] = b[1], out[2][i] = b[2], out[3][i] = b[3], out[4][i] = b[4];
  }
}

KERNEL_INLINE void matrices_block(const flow_matrices *m, int at, int count) {
  const float *u = m->u + at, *v = m->v + at, *columns = m->columns + at, row = m->row_weight;
  float *o0 = m->out + at, *o1 = o0 + m->stride, *o2 = o1 + m->stride, *o3 = o2 + m->stride, *o4 = o3 + m->stride;
  float r[FLOW_COEFS][BLOCK];
  lookup k;
  look(m, at, count, &k);
  meet(m, at, count, &k, r);
#pragma omp simd
  for (int i = 0; i < count; i++) {
    float half = k.inside[i] ? 0.5f : 1.0f, q = row * columns[i];
    float yy = half * r[2][i], xx = half * r[3][i], xy = 0.5f * half * r[4][i];
    float by = (0.5f * r[0][i] + yy * v[i] + xy * u[i]) * q;
    float bx = (0.5f * r[1][i] + xy * v[i] + xx * u[i]) * q;
    yy *= q, xx *= q, xy *= q;
    o0[i] = yy * yy + xy * xy;
    o1[i] = (yy + xx) * xy;
    o2[i] = xx * xx + xy * xy;
    o3[i] = yy * by + xy * bx;
    o4[i] = xy * by + xx * bx;
  }
}

static void matrices(const flow_matrices *m) {
  BY_BLOCKS(m->width, matrices_block(m, at, count));
}

/* --- average and solve ---------------------------------------------------------------------------------------- */

static void add(double *sum, const float *in, double t, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++) sum[i] += t * (double)in[i];
}

static void slide(double *sum, const float *in, const float *out, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++) sum[i] += (double)in[i] - (double)out[i];
}

/* s[c]: sums of the window around each of `count` pixels. The box slides by one chain of additions a channel; carry:
 * its last sums. */
KERNEL_INLINE void box(const flow_solve *k, int at, int count, double carry[FLOW_COEFS],
                       double s[FLOW_COEFS][BLOCK]) {
  int span = 2 * k->radius + 1;
  for (int c = 0; c < FLOW_COEFS; c++) {
    const double *enter = k->line[c] + at + span - 1, *leave = k->line[c] + at - 1;
#pragma omp simd
    for (int i = at ? 0 : 1; i < count; i++) s[c][i] = enter[i] - leave[i];
    if (at) continue;
    s[c][0] = 0;
    for (int j = 0; j < span; j++) s[c][0] += k->line[c][j];
  }
  double c0 = carry[0], c1 = carry[1], c2 = carry[2], c3 = carry[3], c4 = carry[4];
  for (int i = 0; i < count; i++) {
    s[0][i] = c0 = c0 + s[0][i];
    s[1][i] = c1 = c1 + s[1][i];
    s[2][i] = c2 = c2 + s[2][i];
    s[3][i] = c3 = c3 + s[3][i];
    s[4][i] = c4 = c4 + s[4][i];
  }
  carry[0] = c0, carry[1] = c1, carry[2] = c2, carry[3] = c3, carry[4] = c4;
}

KERNEL_INLINE void weighted(const flow_solve *k, int at, int count, double s[FLOW_COEFS][BLOCK]) {
  for (int c = 0; c < FLOW_COEFS; c++) {
    for (int i = 0; i < count; i++) s[c][i] = 0;
    for (int j = 0; j <= 2 * k->radius; j++) {
      const double *x = k->line[c] + at + j, t = k->tap[j];
#pragma omp simd
      for (int i = 0; i < count; i++) s[c][i] += t * x[i];
    }
  }
}

/* s: numbers, also beyond `count`. */
KERNEL_INLINE void solve_block(const flow_solve *k, int at, int count, double carry[FLOW_COEFS],
                               double s[FLOW_COEFS][BLOCK]) {
  const double norm = k->norm;
  float u[BLOCK], v[BLOCK];
  if (k->tap) {
    weighted(k, at, count, s);
  } else {
    box(k, at, count, carry, s);
  }
#pragma omp simd
  for (int i = 0; i < BLOCK; i++) {
    double g11 = s[0][i] * norm, g12 = s[1][i] * norm, g22 = s[2][i] * norm, h1 = s[3][i] * norm, h2 = s[4][i] * norm;
    double idet = 1 / (g11 * g22 - g12 * g12 + 1e-3);
    u[i] = (float)((g11 * h2 - g12 * h1) * idet);
    v[i] = (float)((g22 * h1 - g12 * h2) * idet);
  }
  memcpy(k->u + at, u, (size_t)count * sizeof *u);
  memcpy(k->v + at, v, (size_t)count * sizeof *v);
}

/* Blocks must not overlap: the sums are a chain. */
static void solve(const flow_solve *k) {
  double carry[FLOW_COEFS] = {0}, s[FLOW_COEFS][BLOCK] = {{0}};
  int at = 0;
  for (; at + BLOCK <= k->width; at += BLOCK) solve_block(k, at, BLOCK, carry, s);
  if (at < k->width) solve_block(k, at, k->width - at, carry, s);
}

#define TABLE KERNEL_NAME(flow_kernels_, TD_ISA)
extern const flow_kernels TABLE;
const flow_kernels TABLE = {
    .down = down,
    .along = along,
    .expand_down = expand_down,
    .expand_along = expand_along,
    .matrices = matrices,
    .add = add,
    .slide = slide,
    .solve = solve,
};
