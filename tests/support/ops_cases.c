#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"
#include "golden.h"
#include "ops_cases.h"

/* Relative to the largest value: a few hundred roundings of the build's number. */
#define LIMIT (sizeof(real) == 4 ? 2e-6 : 5e-15)
#define LIMIT_GRAD (sizeof(real) == 4 ? 1e-5 : 2e-14)
#define TABLE 4 /* rows of modulation tables */

typedef struct shape {
  int64_t rows, cols, pad;
} shape;

static ctx *opened(ctx *c) {
  if (ctx_open(c, &(ctx_options){.backend = "cpu", .threads = 2}) != OK) fail_msg("%s", c->err.text);
  return c;
}

static void run(ctx *c, const char *what, int rc) {
  if (rc != OK) fail_msg("%s: %s", what, c->err.text);
}

static void each_shape(void (*f)(ctx *c, shape s)) {
  static const int64_t rows[] = {1, 2, 31, 33, 63, 65}, cols[] = {1, 8, 33, 64, 128, 192};
  ctx c;
  opened(&c);
  for (size_t i = 0; i < 6; i++)
    for (size_t j = 0; j < 6; j++) f(&c, (shape){rows[i], cols[j], (i + j) % 2 ? 5 : 0});
  ctx_close(&c);
}

static double *doubles(int64_t n) {
  double *p = calloc((size_t)n, sizeof *p);
  if (!p) fail_msg("no memory");
  return p;
}

static double *widened(const mat *m) {
  double *p = doubles(m->v.rows * m->v.cols);
  for (int64_t r = 0; r < m->v.rows; r++)
    for (int64_t j = 0; j < m->v.cols; j++) p[r * m->v.cols + j] = (double)mat_at(m, r, j);
  return p;
}

static void below(const char *what, const mat *got, const double *want, double limit) {
  char text[96];
  snprintf(text, sizeof text, "%s [%lld,%lld]", what, (long long)got->v.rows, (long long)got->v.cols);
  check_below(text, mat_rel(text, got, want), limit);
}

/* Runs of 5 rows of one entry, every seventh row without one. */
static int32_t *map_of(int64_t rows) {
  int32_t *map = malloc((size_t)rows * sizeof *map);
  if (!map) fail_msg("no memory");
  for (int64_t r = 0; r < rows; r++) map[r] = r % 7 == 6 ? -1 : (int32_t)(r / 5 % TABLE);
  return map;
}

/* --- movement and combination ---------------------------------------------------------------------------------- */

static void copy_fill_shape(ctx *c, shape s) {
  mat src = mat_random(s.rows, s.cols, s.pad, 1, -1, 1), before = mat_copy(&src), dst = mat_new(s.rows, s.cols, 3);
  double *want = widened(&src);
  run(c, "copy", op_copy(c, dst.v, src.v));
  below("copy", &dst, want, 0);
  mat_unchanged("copy", &src, &before);
  run(c, "fill", op_fill(c, dst.v, 0.375));
  for (int64_t i = 0; i < s.rows * s.cols; i++) want[i] = 0.375;
  below("fill", &dst, want, 0);
  free(want);
  mat_free(&src), mat_free(&before), mat_free(&dst);
}

void case_copy_fill(void **state) {
  (void)state;
  each_shape(copy_fill_shape);
}

static void lincomb_shape(ctx *c, shape s) {
  const double coef[4] = {0.5, -1.25, 2.0, 0.75};
  for (int n = 1; n <= 4; n++)
    for (int in_place = 0; in_place < 2; in_place++) {
      mat x[4], y = mat_new(s.rows, s.cols, 2);
      op_lincomb_args a = {.y = y.v, .n = n};
      double *want = doubles(s.rows * s.cols);
      for (int i = 0; i < n; i++) {
        x[i] = mat_random(s.rows, s.cols, i % 2 ? s.pad : 0, (uint32_t)i + 10, -1, 1);
        a.x[i] = x[i].v, a.c[i] = coef[i];
        for (int64_t r = 0; r < s.rows; r++)
          for (int64_t j = 0; j < s.cols; j++) want[r * s.cols + j] += coef[i] * (double)mat_at(&x[i], r, j);
      }
      if (in_place) a.y = a.x[n - 1];
      run(c, "lincomb", op_lincomb(c, &a));
      below("lincomb", in_place ? &x[n - 1] : &y, want, LIMIT);
      for (int i = 0; i < n; i++) mat_free(&x[i]);
      mat_free(&y);
      free(want);
    }
}

void case_lincomb(void **state) {
  (void)state;
  each_shape(lincomb_shape);
}

/* --- layer norm ------------------------------------------------------------------------------------------------ */

enum { LN_AFFINE = 1, LN_SHIFT = 2, LN_SCALE = 4, LN_IN_PLACE = 8, LN_ACCUMULATE = 16, LN_ALL = 32 };

typedef struct ln_case {
  mat x, dy, w, b, shift, scale;
  int32_t *map;
  int flags;
} ln_case;

static ln_case ln_new(shape s, int flags) {
  return (ln_case){.x = mat_random(s.rows, s.cols, s.pad, 21, -2, 3),
                   .dy = mat_random(s.rows, s.cols, 4, 22, -1, 1),
                   .w = mat_random(1, s.cols, 0, 23, 0.5, 1.5),
                   .b = mat_random(1, s.cols, 0, 24, -1, 1),
                   .shift = mat_random(TABLE, s.cols, 7, 25, -1, 1),
                   .scale = mat_random(TABLE, s.cols, 7, 26, -0.5, 0.5),
                   .map = map_of(s.rows),
                   .flags = flags};
}

static void ln_free(ln_case *k) {
  mat_free(&k->x), mat_free(&k->dy), mat_free(&k->w), mat_free(&k->b), mat_free(&k->shift), mat_free(&k->scale);
  free(k->map);
}

static view when(int flags, int bit, const mat *m) {
  return flags & bit ? m->v : (view){0};
}

static void normalise(const mat *x, int64_t r, int64_t at, int64_t n, double eps, double *xhat, double *rstd) {
  double mean = 0, var = 0;
  for (int64_t j = 0; j < n; j++) mean += (double)mat_at(x, r, at + j) / (double)n;
  for (int64_t j = 0; j < n; j++) {
    xhat[j] = (double)mat_at(x, r, at + j) - mean;
    var += xhat[j] * xhat[j] / (double)n;
  }
  *rstd = 1 / sqrt(var + eps);
  for (int64_t j = 0; j < n; j++) xhat[j] *= *rstd;
}

/* dx through xhat for the gradient g of xhat. */
static void normalise_grad(int64_t n, const double *xhat, double rstd, const double *g, double *dx) {
  double mean = 0, mean_x = 0;
  for (int64_t j = 0; j < n; j++) mean += g[j] / (double)n, mean_x += g[j] * xhat[j] / (double)n;
  for (int64_t j = 0; j < n; j++) dx[j] = rstd * (g[j] - mean - xhat[j] * mean_x);
}

static double at_or(const ln_case *k, int bit, const mat *m, int64_t r, int64_t j, double other) {
  return k->flags & bit && r >= 0 ? (double)mat_at(m, r, j) : other;
}

static void ln_reference(const ln_case *k, double eps, double *y) {
  const int64_t n = k->x.v.cols;
  double *xhat = doubles(n), rstd;
  for (int64_t r = 0; r < k->x.v.rows; r++) {
    normalise(&k->x, r, 0, n, eps, xhat, &rstd);
    for (int64_t j = 0; j < n; j++) {
      double v = xhat[j] * at_or(k, LN_AFFINE, &k->w, 0, j, 1) + at_or(k, LN_AFFINE, &k->b, 0, j, 0);
      y[r * n + j] =
          v * (1 + at_or(k, LN_SCALE, &k->scale, k->map[r], j, 0)) + at_or(k, LN_SHIFT, &k->shift, k->map[r], j, 0);
    }
  }
  free(xhat);
}

static void ln_mod_shape(ctx *c, shape s) {
  for (int flags = 0; flags < 16; flags++) {
    if (s.cols == 1 && !(flags & (LN_AFFINE | LN_SHIFT))) continue; /* y is zero */
    if (s.cols == 1 && flags & LN_SHIFT && !(flags & LN_AFFINE) && s.rows == 1) continue;
    ln_case k = ln_new(s, flags);
    mat before = mat_copy(&k.x), y = mat_new(s.rows, s.cols, 1);
    double *want = doubles(s.rows * s.cols);
    ln_reference(&k, 1e-5, want);
    run(c, "ln_mod",
        op_ln_mod(c, &(op_ln_mod_args){.x = k.x.v,
                                       .y = flags & LN_IN_PLACE ? k.x.v : y.v,
                                       .w = when(flags, LN_AFFINE, &k.w),
                                       .b = when(flags, LN_AFFINE, &k.b),
                                       .shift = when(flags, LN_SHIFT, &k.shift),
                                       .scale = when(flags, LN_SCALE, &k.scale),
                                       .map = flags & (LN_SHIFT | LN_SCALE) ? k.map : NULL,
                                       .eps = 1e-5}));
    below("ln_mod", flags & LN_IN_PLACE ? &k.x : &y, want, 2 * LIMIT);
    if (!(flags & LN_IN_PLACE)) mat_unchanged("ln_mod", &k.x, &before);
    free(want);
    mat_free(&before), mat_free(&y);
    ln_free(&k);
  }
}

void case_ln_mod(void **state) {
  (void)state;
  each_shape(ln_mod_shape);
}

typedef struct ln_grads {
  double *dx, *dw, *db, *dshift, *dscale;
} ln_grads;

/* Adds to what the arrays hold, except dx. */
static void ln_grad_reference(const ln_case *k, double eps, ln_grads *d) {
  const int64_t n = k->x.v.cols;
  double *xhat = doubles(n), *g = doubles(n), rstd;
  for (int64_t r = 0; r < k->x.v.rows; r++) {
    const int64_t m = k->map[r];
    normalise(&k->x, r, 0, n, eps, xhat, &rstd);
    for (int64_t j = 0; j < n; j++) {
      const double dy = (double)mat_at(&k->dy, r, j), w = at_or(k, LN_AFFINE, &k->w, 0, j, 1);
      const double through = dy * (1 + at_or(k, LN_SCALE, &k->scale, m, j, 0));
      g[j] = through * w;
      d->dw[j] += through * xhat[j];
      d->db[j] += through;
      if (m < 0) continue;
      d->dshift[m * n + j] += dy;
      d->dscale[m * n + j] += dy * (xhat[j] * w + at_or(k, LN_AFFINE, &k->b, 0, j, 0));
    }
    normalise_grad(n, xhat, rstd, g, d->dx + r * n);
  }
  free(xhat), free(g);
}

static void ln_bwd_one(ctx *c, shape s, int flags) {
  ln_case k = ln_new(s, flags);
  mat dx = flags & LN_ACCUMULATE ? mat_random(s.rows, s.cols, 2, 31, -1, 1) : mat_new(s.rows, s.cols, 2);
  mat dw = mat_random(1, s.cols, 0, 32, 1, 2), db = mat_random(1, s.cols, 0, 33, 1, 2), before = mat_copy(&k.x);
  mat dshift = mat_random(TABLE, s.cols, 3, 34, 1, 2), dscale = mat_random(TABLE, s.cols, 3, 35, 1, 2);
  mat *to = flags & LN_IN_PLACE ? &k.dy : &dx;
  ln_grads want = {doubles(s.rows * s.cols), widened(&dw), widened(&db), widened(&dshift), widened(&dscale)};
  ln_grad_reference(&k, 1e-5, &want);
  if (flags & LN_ACCUMULATE)
    for (int64_t i = 0; i < s.rows * s.cols; i++) want.dx[i] += (double)mat_at(to, i / s.cols, i % s.cols);
  op_ln_mod_bwd_args a = {.x = k.x.v,
                          .dy = k.dy.v,
                          .dx = to->v,
                          .w = when(flags, LN_AFFINE, &k.w),
                          .b = when(flags, LN_AFFINE, &k.b),
                          .scale = when(flags, LN_SCALE, &k.scale),
                          .map = flags & (LN_SHIFT | LN_SCALE) ? k.map : NULL,
                          .eps = 1e-5,
                          .accumulate = !!(flags & LN_ACCUMULATE)};
  if (flags & LN_ALL) {
    a.dw = when(flags, LN_AFFINE, &dw), a.db = when(flags, LN_AFFINE, &db);
    a.dshift = when(flags, LN_SHIFT, &dshift), a.dscale = when(flags, LN_SCALE, &dscale);
  }
  run(c, "ln_mod_bwd", op_ln_mod_bwd(c, &a));
  if (s.cols > 1 || flags & LN_ACCUMULATE)
    below("ln_mod_bwd dx", to, want.dx, LIMIT_GRAD);
  else
    for (int64_t r = 0; r < s.rows; r++) check_below("ln_mod_bwd dx [*,1]", fabs((double)mat_at(to, r, 0)), 1e-3);
  if (a.dw.p) below("ln_mod_bwd dw", &dw, want.dw, LIMIT_GRAD);
  if (a.db.p) below("ln_mod_bwd db", &db, want.db, LIMIT_GRAD);
  if (a.dshift.p) below("ln_mod_bwd dshift", &dshift, want.dshift, LIMIT_GRAD);
  if (a.dscale.p) below("ln_mod_bwd dscale", &dscale, want.dscale, LIMIT_GRAD);
  mat_unchanged("ln_mod_bwd", &k.x, &before);
  free(want.dx), free(want.dw), free(want.db), free(want.dshift), free(want.dscale);
  mat_free(&dx), mat_free(&dw), mat_free(&db), mat_free(&dshift), mat_free(&dscale), mat_free(&before);
  ln_free(&k);
}

static void ln_bwd_shape(ctx *c, shape s) {
  for (int flags = 0; flags < 64; flags++) ln_bwd_one(c, s, flags);
}

void case_ln_mod_bwd(void **state) {
  (void)state;
  each_shape(ln_bwd_shape);
}

/* Rows 1000 times as far from zero as they are wide. */
void case_ln_offset(void **state) {
  (void)state;
  ctx c;
  opened(&c);
  for (int64_t cols = 64; cols <= 3072; cols *= 4) {
    ln_case k = ln_new((shape){5, cols, 3}, LN_AFFINE);
    for (int64_t r = 0; r < 5; r++)
      for (int64_t j = 0; j < cols; j++) mat_set(&k.x, r, j, (r % 2 ? -700 : 1300) + (double)mat_at(&k.x, r, j));
    mat y = mat_new(5, cols, 0), dx = mat_new(5, cols, 0);
    double *want = doubles(5 * cols);
    ln_grads d = {doubles(5 * cols), doubles(cols), doubles(cols), doubles(TABLE * cols), doubles(TABLE * cols)};
    ln_reference(&k, 1e-5, want);
    ln_grad_reference(&k, 1e-5, &d);
    op_ln_mod_args a = {.x = k.x.v, .y = y.v, .w = k.w.v, .b = k.b.v, .eps = 1e-5};
    run(&c, "ln_mod", op_ln_mod(&c, &a));
    below("ln_mod far from zero", &y, want, 4 * LIMIT);
    op_ln_mod_bwd_args b = {.x = k.x.v, .dy = k.dy.v, .dx = dx.v, .w = k.w.v, .b = k.b.v, .eps = 1e-5};
    run(&c, "ln_mod_bwd", op_ln_mod_bwd(&c, &b));
    below("ln_mod_bwd far from zero", &dx, d.dx, LIMIT_GRAD);
    free(want), free(d.dx), free(d.dw), free(d.db), free(d.dshift), free(d.dscale);
    mat_free(&y), mat_free(&dx);
    ln_free(&k);
  }
  ctx_close(&c);
}

/* --- head norm and rotation ------------------------------------------------------------------------------------ */

typedef struct head_case {
  mat x, dy, w, b, cosines, sines;
  int32_t *map;
  int dim;
} head_case;

static head_case head_new(shape s, int dim) {
  head_case k = {.x = mat_random(s.rows, s.cols, s.pad, 41, -2, 3),
                 .dy = mat_random(s.rows, s.cols, 4, 42, -1, 1),
                 .w = mat_random(1, dim, 0, 43, 0.5, 1.5),
                 .b = mat_random(1, dim, 0, 44, -1, 1),
                 .cosines = mat_new(TABLE, dim / 2, 1),
                 .sines = mat_new(TABLE, dim / 2, 1),
                 .map = map_of(s.rows),
                 .dim = dim};
  for (int64_t m = 0; m < TABLE; m++)
    for (int64_t j = 0; j < dim / 2; j++) {
      double angle = 0.7 * (double)(m + 1) / (double)(j + 1);
      mat_set(&k.cosines, m, j, cos(angle));
      mat_set(&k.sines, m, j, sin(angle));
    }
  return k;
}

static void head_free(head_case *k) {
  mat_free(&k->x), mat_free(&k->dy), mat_free(&k->w), mat_free(&k->b), mat_free(&k->cosines), mat_free(&k->sines);
  free(k->map);
}

/* (a, b) by the angles of row m; sign -1 turns back. */
static void turn(const head_case *k, int64_t m, double sign, double *v) {
  for (int64_t j = 0; m >= 0 && j < k->dim / 2; j++) {
    double co = (double)mat_at(&k->cosines, m, j), si = sign * (double)mat_at(&k->sines, m, j), a = v[2 * j];
    v[2 * j] = a * co - v[2 * j + 1] * si;
    v[2 * j + 1] = v[2 * j + 1] * co + a * si;
  }
}

static void head_reference(const head_case *k, int turned, double *y) {
  double rstd;
  for (int64_t r = 0; r < k->x.v.rows; r++)
    for (int64_t at = 0; at < k->x.v.cols; at += k->dim) {
      double *v = y + r * k->x.v.cols + at;
      normalise(&k->x, r, at, k->dim, 1e-6, v, &rstd);
      for (int64_t j = 0; j < k->dim; j++) v[j] = v[j] * (double)mat_at(&k->w, 0, j) + (double)mat_at(&k->b, 0, j);
      turn(k, turned ? k->map[r] : -1, 1, v);
    }
}

static void head_grad_reference(const head_case *k, int turned, double *dx, double *dw, double *db) {
  double *xhat = doubles(k->dim), *g = doubles(k->dim), rstd;
  for (int64_t r = 0; r < k->x.v.rows; r++)
    for (int64_t at = 0; at < k->x.v.cols; at += k->dim) {
      normalise(&k->x, r, at, k->dim, 1e-6, xhat, &rstd);
      for (int64_t j = 0; j < k->dim; j++) g[j] = (double)mat_at(&k->dy, r, at + j);
      turn(k, turned ? k->map[r] : -1, -1, g);
      for (int64_t j = 0; j < k->dim; j++) {
        dw[j] += g[j] * xhat[j], db[j] += g[j];
        g[j] *= (double)mat_at(&k->w, 0, j);
      }
      normalise_grad(k->dim, xhat, rstd, g, dx + r * k->x.v.cols + at);
    }
  free(xhat), free(g);
}

static void headnorm_one(ctx *c, shape s, int dim, int turned, int in_place) {
  head_case k = head_new(s, dim);
  mat y = mat_new(s.rows, s.cols, 1), before = mat_copy(&k.x);
  double *want = doubles(s.rows * s.cols);
  head_reference(&k, turned, want);
  run(c, "headnorm_rope",
      op_headnorm_rope(c, &(op_headnorm_rope_args){.x = k.x.v,
                                                   .y = in_place ? k.x.v : y.v,
                                                   .w = k.w.v,
                                                   .b = k.b.v,
                                                   .cos = k.cosines.v,
                                                   .sin = k.sines.v,
                                                   .map = turned ? k.map : NULL,
                                                   .dim = dim,
                                                   .eps = 1e-6}));
  below("headnorm_rope", in_place ? &k.x : &y, want, 4 * LIMIT);
  if (!in_place) mat_unchanged("headnorm_rope", &k.x, &before);
  free(want);
  mat_free(&y), mat_free(&before);
  head_free(&k);
}

static void headnorm_bwd_one(ctx *c, shape s, int dim, int turned, int in_place) {
  head_case k = head_new(s, dim);
  mat dx = mat_new(s.rows, s.cols, 1), before = mat_copy(&k.x);
  mat dw = mat_random(1, dim, 0, 45, 1, 2), db = mat_random(1, dim, 0, 46, 1, 2);
  double *want = doubles(s.rows * s.cols), *want_w = widened(&dw), *want_b = widened(&db);
  head_grad_reference(&k, turned, want, want_w, want_b);
  run(c, "headnorm_rope_bwd",
      op_headnorm_rope_bwd(c, &(op_headnorm_rope_bwd_args){.x = k.x.v,
                                                           .dy = k.dy.v,
                                                           .dx = in_place ? k.dy.v : dx.v,
                                                           .w = k.w.v,
                                                           .cos = k.cosines.v,
                                                           .sin = k.sines.v,
                                                           .dw = in_place ? (view){0} : dw.v,
                                                           .db = db.v,
                                                           .map = turned ? k.map : NULL,
                                                           .dim = dim,
                                                           .eps = 1e-6}));
  below("headnorm_rope_bwd dx", in_place ? &k.dy : &dx, want, LIMIT_GRAD);
  if (!in_place) below("headnorm_rope_bwd dw", &dw, want_w, LIMIT_GRAD);
  below("headnorm_rope_bwd db", &db, want_b, LIMIT_GRAD);
  mat_unchanged("headnorm_rope_bwd", &k.x, &before);
  free(want), free(want_w), free(want_b);
  mat_free(&dx), mat_free(&dw), mat_free(&db), mat_free(&before);
  head_free(&k);
}

static void each_head_shape(void (*f)(ctx *c, shape s, int dim, int turned, int in_place)) {
  static const int64_t rows[] = {1, 2, 31, 33, 63, 65}, cols[] = {8, 64, 128, 192};
  ctx c;
  opened(&c);
  for (size_t i = 0; i < 6; i++)
    for (size_t j = 0; j < 4; j++)
      for (int bits = 0; bits < 8; bits++) {
        int dim = bits & 4 || cols[j] < 64 ? 8 : 64;
        f(&c, (shape){rows[i], cols[j], i % 2 ? 5 : 0}, dim, bits & 1, bits & 2);
      }
  ctx_close(&c);
}

void case_headnorm_rope(void **state) {
  (void)state;
  each_head_shape(headnorm_one);
}

void case_headnorm_rope_bwd(void **state) {
  (void)state;
  each_head_shape(headnorm_bwd_one);
}

/* --- gates, tables, activations, sums -------------------------------------------------------------------------- */

static void gate_shape(ctx *c, shape s) {
  mat x = mat_random(s.rows, s.cols, s.pad, 51, -1, 1), y = mat_random(s.rows, s.cols, 2, 52, -1, 1);
  mat gate = mat_random(TABLE, s.cols, 3, 53, -1, 1), dgate = mat_random(TABLE, s.cols, 0, 54, 1, 2);
  mat dy = mat_new(s.rows, s.cols, 1), before = mat_copy(&y), dx = mat_random(s.rows, s.cols, 0, 55, -1, 1);
  int32_t *map = map_of(s.rows);
  double *want = widened(&x), *want_y = doubles(s.rows * s.cols), *want_gate = widened(&dgate);
  for (int64_t i = 0; i < s.rows * s.cols; i++) {
    const int64_t r = i / s.cols, j = i % s.cols, m = map[r];
    if (m < 0) continue;
    want[i] += (double)mat_at(&gate, m, j) * (double)mat_at(&y, r, j);
    want_y[i] = (double)mat_at(&gate, m, j) * (double)mat_at(&dx, r, j);
    want_gate[m * s.cols + j] += (double)mat_at(&dx, r, j) * (double)mat_at(&y, r, j);
  }
  run(c, "gate_add", op_gate_add(c, &(op_gate_add_args){.x = x.v, .y = y.v, .gate = gate.v, .map = map}));
  below("gate_add", &x, want, LIMIT);
  op_gate_add_bwd_args a = {.dx = dx.v, .y = y.v, .gate = gate.v, .dy = dy.v, .dgate = dgate.v, .map = map};
  run(c, "gate_add_bwd", op_gate_add_bwd(c, &a));
  below("gate_add_bwd dy", &dy, want_y, LIMIT);
  below("gate_add_bwd dgate", &dgate, want_gate, LIMIT_GRAD);
  a.dgate = a.y = (view){0};
  run(c, "fill", op_fill(c, dy.v, 9));
  run(c, "gate_add_bwd", op_gate_add_bwd(c, &a));
  below("gate_add_bwd dy alone", &dy, want_y, LIMIT);
  mat_unchanged("gate_add", &y, &before);
  free(want), free(want_y), free(want_gate), free(map);
  mat_free(&x), mat_free(&y), mat_free(&gate), mat_free(&dgate), mat_free(&dy), mat_free(&before), mat_free(&dx);
}

void case_gate_add(void **state) {
  (void)state;
  each_shape(gate_shape);
}

static void add_rows_shape(ctx *c, shape s) {
  for (int mapped = 0; mapped < 2; mapped++) {
    mat x = mat_random(s.rows, s.cols, s.pad, 61, -1, 1), table = mat_random(TABLE, s.cols, 1, 62, -1, 1);
    mat dx = mat_random(s.rows, s.cols, 2, 63, -1, 1), dtable = mat_random(TABLE, s.cols, 0, 64, 1, 2);
    int32_t *map = map_of(s.rows);
    double *want = widened(&x), *want_table = widened(&dtable);
    for (int64_t i = 0; i < s.rows * s.cols; i++) {
      const int64_t r = i / s.cols, j = i % s.cols, m = mapped ? map[r] : 0;
      if (m < 0) continue;
      want[i] += (double)mat_at(&table, m, j);
      want_table[m * s.cols + j] += (double)mat_at(&dx, r, j);
    }
    op_add_rows_args a = {.x = x.v, .table = table.v, .map = mapped ? map : NULL};
    run(c, "add_rows", op_add_rows(c, &a));
    below("add_rows", &x, want, LIMIT);
    op_add_rows_bwd_args b = {.dx = dx.v, .dtable = dtable.v, .map = mapped ? map : NULL};
    run(c, "add_rows_bwd", op_add_rows_bwd(c, &b));
    below("add_rows_bwd", &dtable, want_table, LIMIT_GRAD);
    free(want), free(want_table), free(map);
    mat_free(&x), mat_free(&table), mat_free(&dx), mat_free(&dtable);
  }
}

void case_add_rows(void **state) {
  (void)state;
  each_shape(add_rows_shape);
}

/* In long double: the textbook forms cancel in the negative tail. */
static double act_value(op_act act, double at) {
  const long double x = at, u = sqrtl(2 / acosl(-1)) * (x + 0.044715L * x * x * x);
  return (double)(act == ACT_GELU_TANH ? 0.5L * x * (1 + tanhl(u)) : act == ACT_SILU ? x / (1 + expl(-x)) : x);
}

static double act_slope(op_act act, double at) {
  const long double x = at, k = sqrtl(2 / acosl(-1)), s = 1 / (1 + expl(-x));
  const long double t = tanhl(k * (x + 0.044715L * x * x * x)), du = k * (1 + 3 * 0.044715L * x * x);
  if (act == ACT_GELU_TANH) return (double)(0.5L * (1 + t) + 0.5L * x * (1 - t * t) * du);
  return act == ACT_SILU ? (double)(s * (1 + x * (1 - s))) : 1;
}

static void act_shape(ctx *c, shape s) {
  for (op_act act = ACT_NONE; act <= ACT_SILU; act++)
    for (int in_place = 0; in_place < 2; in_place++) {
      mat x = mat_random(s.rows, s.cols, s.pad, 71, -6, 6), dy = mat_random(s.rows, s.cols, 2, 72, -1, 1);
      mat y = mat_new(s.rows, s.cols, 1), dx = mat_new(s.rows, s.cols, 3);
      double *want = widened(&x), *want_dx = widened(&dy);
      for (int64_t i = 0; i < s.rows * s.cols; i++) {
        want_dx[i] *= act_slope(act, want[i]);
        want[i] = act_value(act, want[i]);
      }
      op_act_bwd_args b = {.x = x.v, .dy = dy.v, .dx = in_place ? dy.v : dx.v, .act = act};
      run(c, "act_bwd", op_act_bwd(c, &b));
      below("act_bwd", in_place ? &dy : &dx, want_dx, LIMIT);
      op_act_args a = {.x = x.v, .y = in_place ? x.v : y.v, .act = act};
      run(c, "act", op_act_fwd(c, &a));
      below("act", in_place ? &x : &y, want, LIMIT);
      free(want), free(want_dx);
      mat_free(&x), mat_free(&dy), mat_free(&y), mat_free(&dx);
    }
}

void case_act(void **state) {
  (void)state;
  each_shape(act_shape);
}

static void colsum_shape(ctx *c, shape s) {
  mat dy = mat_random(s.rows, s.cols, s.pad, 81, -1, 1), sum = mat_random(1, s.cols, 0, 82, 1, 2);
  mat before = mat_copy(&dy);
  double *want = widened(&sum);
  for (int64_t i = 0; i < s.rows * s.cols; i++) want[i % s.cols] += (double)mat_at(&dy, i / s.cols, i % s.cols);
  run(c, "colsum", op_colsum(c, sum.v, dy.v));
  below("colsum", &sum, want, LIMIT_GRAD);
  mat_unchanged("colsum", &dy, &before);
  free(want);
  mat_free(&dy), mat_free(&sum), mat_free(&before);
}

void case_colsum(void **state) {
  (void)state;
  each_shape(colsum_shape);
}

/* --- the text encoder ------------------------------------------------------------------------------------------ */

static void rmsnorm_shape(ctx *c, shape s) {
  for (int in_place = 0; in_place < 2; in_place++) {
    mat x = mat_random(s.rows, s.cols, s.pad, 101, -2, 3), w = mat_random(1, s.cols, 0, 102, 0.5, 1.5);
    mat y = mat_new(s.rows, s.cols, 3), before = mat_copy(&x);
    double *want = doubles(s.rows * s.cols);
    for (int64_t r = 0; r < s.rows; r++) {
      double square = 0;
      for (int64_t j = 0; j < s.cols; j++) square += pow((double)mat_at(&x, r, j), 2) / (double)s.cols;
      for (int64_t j = 0; j < s.cols; j++)
        want[r * s.cols + j] = (double)mat_at(&x, r, j) / sqrt(square + 0.25) * (double)mat_at(&w, 0, j);
    }
    run(c, "rmsnorm", op_rmsnorm(c, &(op_rmsnorm_args){.x = x.v, .y = in_place ? x.v : y.v, .w = w.v, .eps = 0.25}));
    below("rmsnorm", in_place ? &x : &y, want, LIMIT);
    if (!in_place) mat_unchanged("rmsnorm", &x, &before);
    free(want);
    mat_free(&x), mat_free(&w), mat_free(&y), mat_free(&before);
  }
}

void case_rmsnorm(void **state) {
  (void)state;
  each_shape(rmsnorm_shape);
}

/* Into a third matrix, over x and over g. */
static void act_mul_shape(ctx *c, shape s) {
  for (int where = 0; where < 3; where++) {
    mat x = mat_random(s.rows, s.cols, s.pad, 111, -3, 3), g = mat_random(s.rows, s.cols, 2, 112, -2, 2);
    mat y = mat_new(s.rows, s.cols, 1), *to = where == 0 ? &y : where == 1 ? &x : &g;
    double *want = doubles(s.rows * s.cols);
    for (int64_t i = 0; i < s.rows * s.cols; i++) {
      double v = (double)mat_at(&x, i / s.cols, i % s.cols);
      want[i] = 0.5 * v * (1 + tanh(sqrt(2 / acos(-1)) * (v + 0.044715 * v * v * v))) *
                (double)mat_at(&g, i / s.cols, i % s.cols);
    }
    run(c, "act_mul", op_act_mul(c, &(op_act_mul_args){.x = x.v, .g = g.v, .y = to->v, .act = ACT_GELU_TANH}));
    below("act_mul", to, want, LIMIT);
    free(want);
    mat_free(&x), mat_free(&g), mat_free(&y);
  }
}

void case_act_mul(void **state) {
  (void)state;
  each_shape(act_mul_shape);
}

/* Three heads of n queries and keys; a table of five buckets. */
static void softmax_rel_size(ctx *c, int64_t n, int in_place) {
  enum { HEADS = 3, BUCKETS = 5 };
  mat x = mat_random(HEADS * n, n, 3, 121, -20, 20), table = mat_random(BUCKETS, HEADS, 2, 122, -4, 4);
  mat y = mat_new(HEADS * n, n, 1);
  double *want = doubles(HEADS * n * n);
  int32_t *bucket = malloc((size_t)(2 * n) * sizeof *bucket);
  if (!bucket) fail_msg("no memory");
  for (int64_t d = 0; d < 2 * n - 1; d++) bucket[d] = (int32_t)(d * 7 % BUCKETS);
  for (int64_t r = 0; r < HEADS * n; r++) {
    double max = -INFINITY, sum = 0, *row = want + r * n;
    for (int64_t j = 0; j < n; j++) {
      row[j] = (double)mat_at(&x, r, j) + (double)mat_at(&table, bucket[j - r % n + n - 1], r / n);
      max = fmax(max, row[j]);
    }
    for (int64_t j = 0; j < n; j++) sum += row[j] = exp(row[j] - max);
    for (int64_t j = 0; j < n; j++) row[j] /= sum;
  }
  op_softmax_rel_args a = {.x = x.v, .y = in_place ? x.v : y.v, .table = table.v, .bucket = bucket};
  run(c, "softmax_rel", op_softmax_rel(c, &a));
  below("softmax_rel", in_place ? &x : &y, want, 3 * LIMIT);
  free(want);
  free(bucket);
  mat_free(&x), mat_free(&table), mat_free(&y);
}

void case_softmax_rel(void **state) {
  (void)state;
  static const int64_t sizes[] = {1, 2, 31, 32, 33, 65, 226};
  ctx c;
  opened(&c);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) softmax_rel_size(&c, sizes[i], i % 2);
  ctx_close(&c);
}

/* --- patches --------------------------------------------------------------------------------------------------- */

void case_patch(void **state) {
  (void)state;
  static const int dims[][6] = {{3, 4, 6, 8, 2, 1}, {4, 3, 4, 6, 2, 2}, {1, 1, 1, 1, 1, 1}, {6, 2, 9, 3, 3, 3}};
  ctx c;
  opened(&c);
  for (size_t k = 0; k < sizeof dims / sizeof dims[0]; k++) {
    const int f = dims[k][0], ch = dims[k][1], h = dims[k][2], w = dims[k][3], p = dims[k][4], pt = dims[k][5];
    const int64_t rows = (int64_t)f / pt * (h / p) * (w / p), cols = (int64_t)ch * pt * p * p;
    mat latents = mat_random((int64_t)f * ch * h, w, 0, 91, 1, 2), to = mat_new(rows, cols, 3);
    mat back = mat_new((int64_t)f * ch * h, w, 0);
    double *want = doubles(rows * cols), *same = widened(&latents);
    for (int64_t i = 0; i < (int64_t)f * ch * h * w; i++) {
      const int64_t x = i % w, y = i / w % h, channel = i / w / h % ch, frame = i / w / h / ch;
      const int64_t row = (frame / pt * (h / p) + y / p) * (w / p) + x / p;
      const int64_t col = ((channel * pt + frame % pt) * p + y % p) * p + x % p;
      want[row * cols + col] = same[i];
    }
    op_patch_args a = {
        .latents = latents.v.p, .rows = to.v, .frames = f, .channels = ch, .height = h, .width = w, .p = p, .pt = pt};
    run(&c, "patch", op_patch(&c, &a));
    below("patch", &to, want, 0);
    a.latents = back.v.p;
    run(&c, "unpatch", op_unpatch(&c, &a));
    below("unpatch", &back, same, 0);
    free(want), free(same);
    mat_free(&latents), mat_free(&to), mat_free(&back);
  }
  ctx_close(&c);
}

/* --- losses and the optimiser ---------------------------------------------------------------------------------- */

static void mse_shape(ctx *c, shape s) {
  mat p = mat_random(s.rows, s.cols, s.pad, 101, -1, 1), t = mat_random(s.rows, s.cols, 0, 102, -1, 1);
  mat d = mat_new(s.rows, s.cols, 2), flat = mat_random(1, s.rows * s.cols, 0, 103, -1, 1);
  double *want = doubles(s.rows * s.cols), loss = 0.25, squares = 3;
  long double exact = 0.25L, exact_squares = 3;
  for (int64_t i = 0; i < s.rows * s.cols; i++) {
    const double e = (double)mat_at(&p, i / s.cols, i % s.cols) - (double)mat_at(&t, i / s.cols, i % s.cols);
    exact += 0.125L * e * e;
    want[i] = 0.25 * e;
    exact_squares += (long double)mat_at(&flat, 0, i) * (long double)mat_at(&flat, 0, i);
  }
  const double sum = (double)exact, want_squares = (double)exact_squares;
  op_mse_args a = {.pred = p.v, .target = t.v, .dpred = d.v, .weight = 0.125, .loss = &loss};
  run(c, "mse", op_mse(c, &a));
  below("mse dpred", &d, want, LIMIT);
  check_below("mse loss", fabs(loss - sum) / sum, 1e-14);
  a.dpred = (view){0};
  run(c, "mse", op_mse(c, &a));
  check_below("mse loss again", fabs(loss - (2 * sum - 0.25)) / sum, 1e-14);
  run(c, "sumsq", op_sumsq(c, &squares, flat.v.p, flat.v.cols));
  check_below("sumsq", fabs(squares - want_squares) / want_squares, 1e-14);
  free(want);
  mat_free(&p), mat_free(&t), mat_free(&d), mat_free(&flat);
}

void case_mse_sumsq(void **state) {
  (void)state;
  each_shape(mse_shape);
}

void case_adamw(void **state) {
  (void)state;
  const int64_t n = 4133; /* over one piece */
  ctx c;
  opened(&c);
  mat w = mat_random(1, n, 0, 111, -1, 1), m = mat_new(1, n, 0), v = mat_new(1, n, 0);
  double *rw = widened(&w), *rm = doubles(n), *rv = doubles(n);
  run(&c, "fill", op_fill(&c, m.v, 0));
  run(&c, "fill", op_fill(&c, v.v, 0));
  for (int step = 1; step <= 3; step++) {
    mat g = mat_random(1, n, 0, 112 + (uint32_t)step, -1, 1), before = mat_copy(&g);
    const double scale = 0.5;
    op_adamw_args a = {.w = w.v.p, .m = m.v.p, .v = v.v.p, .g = g.v.p, .n = n, .lr = 0.01, .beta1 = 0.9};
    a.beta2 = 0.95, a.eps = 1e-8, a.decay = 0.1, a.step = step, a.scale = step == 2 ? &scale : NULL;
    for (int64_t i = 0; i < n; i++) {
      const double d = (double)mat_at(&g, 0, i) * (step == 2 ? scale : 1);
      rm[i] = 0.9 * rm[i] + 0.1 * d;
      rv[i] = 0.95 * rv[i] + 0.05 * d * d;
      rw[i] -= 0.01 * 0.1 * rw[i];
      rw[i] -= 0.01 * (rm[i] / (1 - pow(0.9, step))) / (sqrt(rv[i] / (1 - pow(0.95, step))) + 1e-8);
    }
    run(&c, "adamw", op_adamw(&c, &a));
    below("adamw w", &w, rw, LIMIT);
    below("adamw m", &m, rm, LIMIT);
    below("adamw v", &v, rv, LIMIT);
    mat_unchanged("adamw", &g, &before);
    mat_free(&g), mat_free(&before);
  }
  free(rw), free(rm), free(rv);
  mat_free(&w), mat_free(&m), mat_free(&v);
  ctx_close(&c);
}

/* More rows than blocks in flight, more columns than a piece. */
void case_long_rows(void **state) {
  (void)state;
  ctx c;
  opened(&c);
  ln_bwd_one(&c, (shape){4500, 33, 1}, LN_AFFINE | LN_SHIFT | LN_SCALE | LN_ALL);
  ln_bwd_one(&c, (shape){9, 5000, 1}, LN_AFFINE | LN_SHIFT | LN_SCALE | LN_ALL);
  headnorm_bwd_one(&c, (shape){4500, 16, 1}, 8, 1, 0);
  colsum_shape(&c, (shape){4500, 17, 2});
  add_rows_shape(&c, (shape){4500, 17, 2});
  gate_shape(&c, (shape){4500, 17, 2});
  lincomb_shape(&c, (shape){3, 9001, 2});
  lincomb_shape(&c, (shape){3, 9001, 0});
  mse_shape(&c, (shape){300, 257, 2});
  act_shape(&c, (shape){3, 9001, 1});
  copy_fill_shape(&c, (shape){3, 9001, 1});
  ctx_close(&c);
}

/* --- PyTorch's values ------------------------------------------------------------------------------------------ */

typedef struct fixture {
  ctx c;
  st_file *f;
  real *p[8]; /* tensors read so far */
  int n;
} fixture;

static const st_tensor *tensor(const fixture *x, const char *op, const char *name) {
  char key[64];
  snprintf(key, sizeof key, "%s.%s", op, name);
  const st_tensor *t = st_find(x->f, key);
  if (!t) fail_msg("%s is not in the golden file", key);
  return t;
}

static real *load(fixture *x, const char *op, const char *name) {
  const st_tensor *t = tensor(x, op, name);
  real *p = malloc((size_t)t->count * sizeof *p);
  err e = {0};
  if (!p || st_read_real(&e, t, p) != OK) fail_msg("%s.%s: %s", op, name, e.text);
  x->p[x->n++] = p;
  return p;
}

static void unload(fixture *x) {
  while (x->n > 0) free(x->p[--x->n]);
}

static void golden_act(fixture *x, const char *op, op_act act) {
  real y[113], dx[113];
  check_nan(y, 113), check_nan(dx, 113);
  real *in = load(x, op, "x"), *dy = load(x, op, "dy");
  op_act_args a = {.x = view_of(in, 1, 113), .y = view_of(y, 1, 113), .act = act};
  run(&x->c, op, op_act_fwd(&x->c, &a));
  check_below(op, golden_rel(op, y, tensor(x, op, "y")), 1e-5);
  op_act_bwd_args b = {.x = a.x, .dy = view_of(dy, 1, 113), .dx = view_of(dx, 1, 113), .act = act};
  run(&x->c, op, op_act_bwd(&x->c, &b));
  check_below(op, golden_rel(op, dx, tensor(x, op, "d_x")), 1e-5);
  unload(x);
}

static void golden_ln(fixture *x, const char *op, double eps) {
  real y[7 * 64], dx[7 * 64], dw[64] = {0}, db[64] = {0};
  check_nan(y, 7 * 64), check_nan(dx, 7 * 64);
  const view in = view_of(load(x, op, "x"), 7, 64), dy = view_of(load(x, op, "dy"), 7, 64);
  const view w = view_of(load(x, op, "w"), 1, 64), b = view_of(load(x, op, "b"), 1, 64);
  op_ln_mod_args a = {.x = in, .y = view_of(y, 7, 64), .w = w, .b = b, .eps = eps};
  run(&x->c, op, op_ln_mod(&x->c, &a));
  check_below(op, golden_rel(op, y, tensor(x, op, "y")), 1e-5);
  op_ln_mod_bwd_args g = {.x = in, .dy = dy, .dx = view_of(dx, 7, 64), .w = w, .b = b, .eps = eps};
  g.dw = view_of(dw, 1, 64), g.db = view_of(db, 1, 64);
  run(&x->c, op, op_ln_mod_bwd(&x->c, &g));
  check_below(op, golden_rel(op, dx, tensor(x, op, "d_x")), 1e-4);
  check_below(op, golden_rel(op, dw, tensor(x, op, "d_w")), 1e-5);
  check_below(op, golden_rel(op, db, tensor(x, op, "d_b")), 1e-5);
  unload(x);
}

static void golden_rms(fixture *x) {
  real y[7 * 64];
  check_nan(y, 7 * 64);
  op_rmsnorm_args a = {.x = view_of(load(x, "rms_norm", "x"), 7, 64), .y = view_of(y, 7, 64), .eps = 1e-6};
  a.w = view_of(load(x, "rms_norm", "w"), 1, 64);
  run(&x->c, "rms_norm", op_rmsnorm(&x->c, &a));
  check_below("rms_norm", golden_rel("rms_norm", y, tensor(x, "rms_norm", "y")), 1e-5);
  unload(x);
}

void case_golden(void **state) {
  (void)state;
  fixture x = {0};
  opened(&x.c);
  if (st_open(&x.c.err, golden_path("ops.safetensors"), &x.f) != OK) fail_msg("%s", x.c.err.text);
  golden_act(&x, "gelu_tanh", ACT_GELU_TANH);
  golden_act(&x, "silu", ACT_SILU);
  golden_ln(&x, "layer_norm.1e-5", 1e-5);
  golden_ln(&x, "layer_norm.1e-6", 1e-6);
  golden_rms(&x);
  st_close(x.f);
  ctx_close(&x.c);
}
