#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "attn_cases.h"

/* The loss sum(g * o) of the forward pass alone. */
static double loss(ctx *c, scene *s) {
  double sum = 0;
  scene_forward(c, s);
  for (int64_t r = 0; r < s->rows; r++) {
    for (int64_t i = 0; r != 7 && i < s->o.v.cols; i++) sum += mat_at(&s->g, r, i) * mat_at(&s->o, r, i);
  }
  return sum;
}

static double along(const mat *grad, const mat *dir) {
  double sum = 0;
  for (int64_t r = 0; r < dir->v.rows; r++) {
    for (int64_t i = 0; r != 7 && i < dir->v.cols; i++) sum += mat_at(grad, r, i) * mat_at(dir, r, i);
  }
  return sum;
}

static void move(mat *m, const mat *dir, double step) {
  for (int64_t r = 0; r < m->v.rows; r++) {
    for (int64_t i = 0; i < m->v.cols; i++) ((real *)m->v.p)[r * m->v.ld + i] += step * mat_at(dir, r, i);
  }
}

/* Central differences along random directions. */
static void test_differences(void **state) {
  (void)state;
  const double step = 1e-5;
  ctx c;
  open_best(&c);
  scene s = scene_new(97, 2, 64, mixed, 2);
  mat *in[] = {&s.q, &s.k, &s.v};
  const mat *grad[] = {&s.dq, &s.dk, &s.dv};
  for (uint32_t i = 0; i < 3; i++) {
    mat dir = mat_random(97, 128, 0, 10 + i, -1, 1);
    scene_forward(&c, &s);
    scene_backward(&c, &s);
    double want = along(grad[i], &dir);
    move(in[i], &dir, step);
    double up = loss(&c, &s);
    move(in[i], &dir, -2 * step);
    double down = loss(&c, &s);
    move(in[i], &dir, step);
    assert_true(fabs(want) > 1e-3);
    check_below("difference", fabs((up - down) / (2 * step) - want) / fabs(want), 1e-7);
    mat_free(&dir);
  }
  scene_free(&s);
  ctx_close(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {ATTN_CASES, cmocka_unit_test(test_differences)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
