#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"

#define GUARD 64
#define SENTINEL R(-123456.0)

static uint64_t mix(uint64_t z) {
  z += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double check_uniform(uint32_t tag, int64_t i) {
  return (double)(mix(((uint64_t)tag << 32) + (uint64_t)i) >> 44) / 1048576.0;
}

void check_fill(real *p, int64_t n, uint32_t tag, double lo, double hi) {
  for (int64_t i = 0; i < n; i++) p[i] = (real)(float)(lo + (hi - lo) * check_uniform(tag, i));
}

void check_nan(real *p, int64_t n) {
  for (int64_t i = 0; i < n; i++) p[i] = (real)NAN;
}

uint64_t check_hash(const void *p, size_t n) {
  uint64_t h = 0xcbf29ce484222325u;
  for (size_t i = 0; i < n; i++) h = (h ^ ((const unsigned char *)p)[i]) * 0x100000001b3u;
  return h;
}

mat mat_new(int64_t rows, int64_t cols, int64_t pad) {
  mat m = {.n = rows * (cols + pad) + 2 * GUARD};
  m.block = malloc((size_t)m.n * sizeof(real));
  if (!m.block) fail_msg("no memory");
  for (int64_t i = 0; i < m.n; i++) m.block[i] = SENTINEL;
  m.v = view_of(m.block + GUARD, rows, cols);
  m.v.ld = cols + pad;
  for (int64_t r = 0; r < rows; r++) check_nan((real *)m.v.p + r * m.v.ld, cols);
  return m;
}

mat mat_random(int64_t rows, int64_t cols, int64_t pad, uint32_t tag, double lo, double hi) {
  mat m = mat_new(rows, cols, pad);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < cols; c++) mat_set(&m, r, c, lo + (hi - lo) * check_uniform(tag, r * cols + c));
  return m;
}

mat mat_copy(const mat *m) {
  mat copy = *m;
  copy.block = malloc((size_t)m->n * sizeof(real));
  if (!copy.block) fail_msg("no memory");
  memcpy(copy.block, m->block, (size_t)m->n * sizeof(real));
  copy.v.p = copy.block + GUARD;
  return copy;
}

void mat_free(mat *m) {
  free(m->block);
  *m = (mat){0};
}

real mat_at(const mat *m, int64_t r, int64_t c) {
  return ((const real *)m->v.p)[r * m->v.ld + c];
}

/* Through float, so that the float and the double build see the same data. */
void mat_set(mat *m, int64_t r, int64_t c, double v) {
  ((real *)m->v.p)[r * m->v.ld + c] = (real)(float)v;
}

void mat_guards(const char *what, const mat *m) {
  for (int64_t i = 0; i < m->n; i++) {
    int64_t at = i - GUARD;
    int inside = at >= 0 && at < m->v.rows * m->v.ld && at % m->v.ld < m->v.cols;
    if (!inside && (m->block[i] < SENTINEL || m->block[i] > SENTINEL))
      fail_msg("%s: wrote outside the matrix, at %lld of rows of %lld", what, (long long)at, (long long)m->v.ld);
  }
}

void mat_unchanged(const char *what, const mat *m, const mat *before) {
  if (memcmp(m->block, before->block, (size_t)m->n * sizeof(real))) fail_msg("%s: an input was changed", what);
}

double mat_rel(const char *what, const mat *got, const double *want) {
  double worst = 0, scale = 0;
  mat_guards(what, got);
  for (int64_t r = 0; r < got->v.rows; r++)
    for (int64_t c = 0; c < got->v.cols; c++) {
      double g = (double)mat_at(got, r, c), w = want[r * got->v.cols + c];
      if (!isfinite(g)) fail_msg("%s: element [%lld,%lld] is %g", what, (long long)r, (long long)c, g);
      if (!isfinite(w)) fail_msg("%s: reference [%lld,%lld] is %g", what, (long long)r, (long long)c, w);
      worst = fmax(worst, fabs(g - w));
      scale = fmax(scale, fabs(w));
    }
  if (!(scale > 0)) fail_msg("%s: the reference is all zero", what);
  return worst / scale;
}

void check_below(const char *what, double rel, double limit) {
  if (!(rel <= limit)) fail_msg("%s: error %.3g, limit %.3g", what, rel, limit);
}

void check_error(ctx *c, int rc, int code, const char *text) {
  if (rc != code || strcmp(c->err.text, text))
    fail_msg("status %s, text\n  %s\nwanted %s,\n  %s", err_name(rc), c->err.text, err_name(code), text);
  err_clear(&c->err);
}
