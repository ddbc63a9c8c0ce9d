/* Operations in double: values against the reference, and every backward operation against finite differences of its
 * forward one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "check.h"
#include "ops_cases.h"

#define INPUTS 5
#define ROWS 11

/* A function of some matrices and its gradient. L = sum of weight * out. */
typedef struct fd {
  ctx c;
  mat in[INPUTS], grad[INPUTS], out, weight;
  const char *names[INPUTS];
  int n;
  int32_t map[ROWS];
  op_act act;
  int (*forward)(struct fd *f);
  int (*backward)(struct fd *f); /* weight is the upstream gradient */
} fd;

static fd fd_open(int64_t cols) {
  fd f = {.out = mat_new(ROWS, cols, 3), .weight = mat_random(ROWS, cols, 1, 501, -1, 1)};
  for (int r = 0; r < ROWS; r++) f.map[r] = r % 4 == 3 ? -1 : (r / 3) % 2;
  if (ctx_open(&f.c, &(ctx_options){.backend = "cpu", .threads = 2}) != OK) fail_msg("%s", f.c.err.text);
  return f;
}

static void fd_input(fd *f, const char *name, int64_t rows, int64_t cols) {
  f->in[f->n] = mat_random(rows, cols, f->n % 2 ? 2 : 0, 510 + (uint32_t)f->n, -1, 1.5);
  f->grad[f->n] = mat_random(rows, cols, 0, 0, 0, 0);
  f->names[f->n++] = name;
}

static void fd_run(fd *f, int rc) {
  if (rc != OK) fail_msg("%s", f->c.err.text);
}

static double value(fd *f) {
  double sum = 0;
  fd_run(f, f->forward(f));
  for (int64_t r = 0; r < f->out.v.rows; r++)
    for (int64_t j = 0; j < f->out.v.cols; j++)
      sum += (double)mat_at(&f->out, r, j) * (double)mat_at(&f->weight, r, j);
  return sum;
}

static void move(mat *m, const mat *base, const mat *direction, double h) {
  for (int64_t r = 0; r < m->v.rows; r++)
    for (int64_t j = 0; j < m->v.cols; j++)
      ((real *)m->v.p)[r * m->v.ld + j] = (real)((double)mat_at(base, r, j) + h * (double)mat_at(direction, r, j));
}

/* The derivative along a random direction of each input in turn, by a fourth-order central difference. */
static void fd_check(fd *f) {
  fd_run(f, f->backward(f));
  for (int i = 0; i < f->n; i++) {
    const mat base = mat_copy(&f->in[i]);
    mat along = mat_random(base.v.rows, base.v.cols, 0, 530 + (uint32_t)i, -1, 1);
    const double h = 1e-3;
    double slope[2], analytic = 0;
    for (int k = 0; k < 2; k++) {
      move(&f->in[i], &base, &along, h * (k + 1));
      double up = value(f);
      move(&f->in[i], &base, &along, -h * (k + 1));
      slope[k] = (up - value(f)) / (2 * h * (k + 1));
    }
    move(&f->in[i], &base, &along, 0);
    const double numeric = (4 * slope[0] - slope[1]) / 3;
    for (int64_t r = 0; r < base.v.rows; r++)
      for (int64_t j = 0; j < base.v.cols; j++)
        analytic += (double)mat_at(&f->grad[i], r, j) * (double)mat_at(&along, r, j);
    if (!(fabs(analytic) > 1e-3)) fail_msg("%s: no gradient along the direction", f->names[i]);
    check_below(f->names[i], fabs(numeric - analytic) / fabs(analytic), 1e-7);
    mat_free(&along);
    free(base.block);
  }
}

static void fd_close(fd *f) {
  for (int i = 0; i < f->n; i++) mat_free(&f->in[i]), mat_free(&f->grad[i]);
  mat_free(&f->out), mat_free(&f->weight);
  ctx_close(&f->c);
}

static int ln_forward(fd *f) {
  return op_ln_mod(&f->c, &(op_ln_mod_args){.x = f->in[0].v,
                                            .y = f->out.v,
                                            .w = f->in[1].v,
                                            .b = f->in[2].v,
                                            .shift = f->in[3].v,
                                            .scale = f->in[4].v,
                                            .map = f->map,
                                            .eps = 1e-5});
}
static int ln_backward(fd *f) {
  return op_ln_mod_bwd(&f->c, &(op_ln_mod_bwd_args){.x = f->in[0].v,
                                                    .dy = f->weight.v,
                                                    .dx = f->grad[0].v,
                                                    .w = f->in[1].v,
                                                    .b = f->in[2].v,
                                                    .scale = f->in[4].v,
                                                    .dw = f->grad[1].v,
                                                    .db = f->grad[2].v,
                                                    .dshift = f->grad[3].v,
                                                    .dscale = f->grad[4].v,
                                                    .map = f->map,
                                                    .eps = 1e-5});
}

static void fd_ln_mod(void **state) {
  (void)state;
  fd f = fd_open(33);
  f.forward = ln_forward, f.backward = ln_backward;
  fd_input(&f, "ln_mod x", ROWS, 33);
  fd_input(&f, "ln_mod w", 1, 33);
  fd_input(&f, "ln_mod b", 1, 33);
  fd_input(&f, "ln_mod shift", 2, 33);
  fd_input(&f, "ln_mod scale", 2, 33);
  fd_check(&f);
  fd_close(&f);
}

static const real cosines[2][4] = {{0.96, 0.8, 0.6, -0.28}, {0.28, -0.6, 0.0, 1.0}};
static const real sines[2][4] = {{0.28, -0.6, 0.8, 0.96}, {0.96, 0.8, 1.0, 0.0}};

static int heads_forward(fd *f) {
  return op_headnorm_rope(&f->c, &(op_headnorm_rope_args){.x = f->in[0].v,
                                                          .y = f->out.v,
                                                          .w = f->in[1].v,
                                                          .b = f->in[2].v,
                                                          .cos = view_of((void *)(uintptr_t)cosines, 2, 4),
                                                          .sin = view_of((void *)(uintptr_t)sines, 2, 4),
                                                          .map = f->map,
                                                          .dim = 8,
                                                          .eps = 1e-6});
}
static int heads_backward(fd *f) {
  return op_headnorm_rope_bwd(&f->c, &(op_headnorm_rope_bwd_args){.x = f->in[0].v,
                                                                  .dy = f->weight.v,
                                                                  .dx = f->grad[0].v,
                                                                  .w = f->in[1].v,
                                                                  .cos = view_of((void *)(uintptr_t)cosines, 2, 4),
                                                                  .sin = view_of((void *)(uintptr_t)sines, 2, 4),
                                                                  .dw = f->grad[1].v,
                                                                  .db = f->grad[2].v,
                                                                  .map = f->map,
                                                                  .dim = 8,
                                                                  .eps = 1e-6});
}

static void fd_headnorm_rope(void **state) {
  (void)state;
  fd f = fd_open(24);
  f.forward = heads_forward, f.backward = heads_backward;
  fd_input(&f, "headnorm_rope x", ROWS, 24);
  fd_input(&f, "headnorm_rope w", 1, 8);
  fd_input(&f, "headnorm_rope b", 1, 8);
  fd_check(&f);
  fd_close(&f);
}

static int gate_forward(fd *f) {
  int rc = op_fill(&f->c, f->out.v, 0.5);
  if (rc != OK) return rc;
  return op_gate_add(&f->c, &(op_gate_add_args){.x = f->out.v, .y = f->in[0].v, .gate = f->in[1].v, .map = f->map});
}
static int gate_backward(fd *f) {
  return op_gate_add_bwd(&f->c, &(op_gate_add_bwd_args){.dx = f->weight.v,
                                                        .y = f->in[0].v,
                                                        .gate = f->in[1].v,
                                                        .dy = f->grad[0].v,
                                                        .dgate = f->grad[1].v,
                                                        .map = f->map});
}

static void fd_gate_add(void **state) {
  (void)state;
  fd f = fd_open(33);
  f.forward = gate_forward, f.backward = gate_backward;
  fd_input(&f, "gate_add y", ROWS, 33);
  fd_input(&f, "gate_add gate", 2, 33);
  fd_check(&f);
  fd_close(&f);
}

static int rows_forward(fd *f) {
  int rc = op_fill(&f->c, f->out.v, 0.5);
  if (rc == OK) rc = op_add_rows(&f->c, &(op_add_rows_args){.x = f->out.v, .table = f->in[0].v, .map = f->map});
  if (rc == OK) rc = op_add_rows(&f->c, &(op_add_rows_args){.x = f->out.v, .table = f->in[1].v});
  return rc;
}
static int rows_backward(fd *f) {
  int rc = op_add_rows_bwd(&f->c, &(op_add_rows_bwd_args){.dx = f->weight.v, .dtable = f->grad[0].v, .map = f->map});
  return rc == OK ? op_colsum(&f->c, f->grad[1].v, f->weight.v) : rc;
}

/* The sum over columns is the gradient of a row added to every row. */
static void fd_add_rows_colsum(void **state) {
  (void)state;
  fd f = fd_open(33);
  f.forward = rows_forward, f.backward = rows_backward;
  fd_input(&f, "add_rows table", 2, 33);
  fd_input(&f, "colsum", 1, 33);
  fd_check(&f);
  fd_close(&f);
}

static int act_forward(fd *f) {
  return op_act_fwd(&f->c, &(op_act_args){.x = f->in[0].v, .y = f->out.v, .act = f->act});
}
static int act_backward(fd *f) {
  return op_act_bwd(&f->c, &(op_act_bwd_args){.x = f->in[0].v, .dy = f->weight.v, .dx = f->grad[0].v, .act = f->act});
}

static void fd_act(void **state) {
  (void)state;
  for (op_act act = ACT_NONE; act <= ACT_SILU; act++) {
    fd f = fd_open(33);
    f.forward = act_forward, f.backward = act_backward, f.act = act;
    fd_input(&f, act == ACT_SILU ? "silu" : act == ACT_NONE ? "no activation" : "gelu", ROWS, 33);
    fd_check(&f);
    fd_close(&f);
  }
}

/* The loss as the only element of the output. */
static int mse_forward(fd *f) {
  mat target = mat_random(ROWS, 33, 0, 599, -1, 1);
  double loss = 0;
  int rc = op_mse(&f->c, &(op_mse_args){.pred = f->in[0].v, .target = target.v, .weight = 0.3, .loss = &loss});
  ((real *)f->out.v.p)[0] = (real)loss;
  mat_free(&target);
  return rc;
}
static int mse_backward(fd *f) {
  mat target = mat_random(ROWS, 33, 0, 599, -1, 1);
  double loss = 0;
  int rc = op_mse(
      &f->c,
      &(op_mse_args){.pred = f->in[0].v, .target = target.v, .dpred = f->grad[0].v, .weight = 0.3, .loss = &loss});
  mat_free(&target);
  return rc;
}

static void fd_mse(void **state) {
  (void)state;
  fd f = fd_open(33);
  f.forward = mse_forward, f.backward = mse_backward;
  f.out.v.rows = f.out.v.cols = 1;
  f.weight.v.rows = f.weight.v.cols = 1;
  mat_set(&f.weight, 0, 0, 1);
  fd_input(&f, "mse", ROWS, 33);
  fd_check(&f);
  fd_close(&f);
}

/* Patches only move: the gradient of one is the other. */
static int patch_forward(fd *f) {
  return op_patch(&f->c, &(op_patch_args){.latents = f->in[0].v.p,
                                          .rows = f->out.v,
                                          .frames = 2,
                                          .channels = 3,
                                          .height = 2,
                                          .width = 22,
                                          .p = 2,
                                          .pt = 2});
}
static int patch_backward(fd *f) {
  return op_unpatch(&f->c, &(op_patch_args){.latents = f->grad[0].v.p,
                                            .rows = f->weight.v,
                                            .frames = 2,
                                            .channels = 3,
                                            .height = 2,
                                            .width = 22,
                                            .p = 2,
                                            .pt = 2});
}

static void fd_patch(void **state) {
  (void)state;
  fd f = fd_open(24);
  f.forward = patch_forward, f.backward = patch_backward;
  fd_input(&f, "patch", 12, 22);
  fd_check(&f);
  fd_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_CASES,
      cmocka_unit_test(fd_ln_mod),
      cmocka_unit_test(fd_headnorm_rope),
      cmocka_unit_test(fd_gate_add),
      cmocka_unit_test(fd_add_rows_colsum),
      cmocka_unit_test(fd_act),
      cmocka_unit_test(fd_mse),
      cmocka_unit_test(fd_patch),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
