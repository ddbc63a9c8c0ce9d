/* Gradients of every registered design against finite differences, in double. No design needs a line here. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "tiny_model.h"

#define STEP 1e-5
#define TOLERANCE 1e-5

/* Central difference along a random direction of one tensor against the gradient's projection. */
static void check_tensor(tiny *t, const param *p, real *w, const real *g, const char *name, double loss_scale) {
  double *dir = calloc((size_t)p->count, sizeof *dir), *keep = calloc((size_t)p->count, sizeof *keep), dot = 0, up,
         down;
  assert_non_null(dir);
  assert_non_null(keep);
  tiny_fill(t, dir, p->count, 1, (uint32_t)rng_salt(p->name) ^ 99u);
  for (int64_t i = 0; i < p->count; i++) {
    keep[i] = (double)w[p->offset + i];
    dot += dir[i] * (double)g[p->offset + i];
  }
  for (int64_t i = 0; i < p->count; i++) w[p->offset + i] = (real)(keep[i] + STEP * dir[i]);
  up = tiny_loss(t, 0);
  for (int64_t i = 0; i < p->count; i++) w[p->offset + i] = (real)(keep[i] - STEP * dir[i]);
  down = tiny_loss(t, 0);
  for (int64_t i = 0; i < p->count; i++) w[p->offset + i] = (real)keep[i];
  double fd = (up - down) / (2 * STEP), scale = fmax(fabs(fd), fabs(dot));
  /* Rounding of the loss alone moves the difference quotient by about 1e-16 * loss / STEP. */
  if (!(fabs(fd - dot) <= TOLERANCE * scale + 1e-10 * loss_scale))
    fail_msg("%s, %s: finite difference %.12g, gradient %.12g", name, p->name, fd, dot);
  if (!(scale > 0)) fail_msg("%s, %s: the loss does not depend on this tensor", name, p->name);
  free(dir);
  free(keep);
}

static void check_design(const char *name, int rotary, int recompute) {
  tiny t;
  tiny_open(&t, &(tiny_options){.design = name, .rotary = rotary, .trainable = 1}, 5);
  double loss = tiny_loss(&t, recompute);
  assert_true(loss > 0.1);
  real *g = calloc((size_t)t.a.n_reals + 1, sizeof *g);
  assert_non_null(g);
  if (t.a.n_reals) memcpy(g, t.a.g, (size_t)t.a.n_reals * sizeof *g);
  for (int64_t i = 0; i < t.a.n_params; i++) check_tensor(&t, &t.a.params[i], t.a.w, g, name, loss);
  free(g);
  tiny_close(&t);
}

static void test_every_design(void **state) {
  (void)state;
  for (const char *const *d = tiny_designs(); *d; d++) check_design(*d, 1, 0);
}

static void test_sincos_and_recompute(void **state) {
  (void)state;
  for (const variant *const *v = variant_list(); *v; v++) check_design((*v)->name, 0, 1);
}

static void test_whole_base(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, &(tiny_options){.design = "base", .rotary = 1, .base_trainable = 1}, 7);
  double loss = tiny_loss(&t, 0);
  real *g = calloc((size_t)t.m.n_reals, sizeof *g);
  assert_non_null(g);
  memcpy(g, t.m.g, (size_t)t.m.n_reals * sizeof *g);
  for (int64_t i = 0; i < t.m.n_params; i++) check_tensor(&t, &t.m.params[i], t.m.w, g, "base", loss);
  free(g);
  tiny_close(&t);
}

/* Running blocks again in the backward pass gives the same bits as keeping them. */
static void test_recompute_is_exact(void **state) {
  (void)state;
  for (const char *const *d = tiny_designs(); *d; d++) {
    tiny t;
    tiny_open(&t, &(tiny_options){.design = *d, .rotary = 1, .trainable = 1}, 5);
    double a = tiny_loss(&t, 0);
    real *g = calloc((size_t)t.a.n_reals + 1, sizeof *g);
    assert_non_null(g);
    if (t.a.n_reals) memcpy(g, t.a.g, (size_t)t.a.n_reals * sizeof *g);
    double b = tiny_loss(&t, 1);
    assert_memory_equal(&a, &b, sizeof a);
    if (t.a.n_reals) assert_memory_equal(g, t.a.g, (size_t)t.a.n_reals * sizeof *g);
    free(g);
    tiny_close(&t);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_design),
      cmocka_unit_test(test_sincos_and_recompute),
      cmocka_unit_test(test_whole_base),
      cmocka_unit_test(test_recompute_is_exact),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
