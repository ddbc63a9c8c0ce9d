/* bfloat16 storage on the cpu backend: close to reals in every design, the same bits twice and for any number of
 * threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "tiny_set.h"

/* --- forward --- */

/* A value of the output went through about 27 roundings of operands and as many of weights (3 in the embedding, 10 in
 * each of two blocks, 4 in the head), each by at most 2^-9 of the value, 2^-9 / sqrt(3) as a standard deviation: 54
 * independent ones give 0.8 % of a value's own size. The largest of some 400 errors lies below four deviations: 3.3 %
 * of the spread of the output, whose largest value is at least as large as its spread. */
#define FORWARD_BOUND 3.3e-2

static double distance(const real *a, const real *b, int64_t n) {
  double top = 0, worst = 0;
  for (int64_t i = 0; i < n; i++) {
    top = fmax(top, fabs((double)b[i]));
    worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
  }
  assert_true(top > 0);
  return worst / top;
}

static void test_forward(void **state) {
  (void)state;
  const char *const *name = tiny_designs();
  for (int i = 0; name[i]; i++) {
    tiny a, b;
    tiny_options o = {.design = name[i], .rotary = i % 2};
    tiny_open(&a, &o, 5);
    o.storage = DT_BF16;
    tiny_open(&b, &o, 5);
    assert_null(b.m.w);
    memset(a.out, 0xff, (size_t)a.n_out * sizeof(real));
    memset(b.out, 0xff, (size_t)b.n_out * sizeof(real));
    tiny_forward(&a);
    tiny_forward(&b);
    double e = distance(b.out, a.out, a.n_out);
    if (!(e <= FORWARD_BOUND)) fail_msg("%s: %.3g of the largest value", name[i], e);
    if (!(e > 0)) fail_msg("%s: nothing was rounded", name[i]);
    tiny_close(&a);
    tiny_close(&b);
  }
}

/* --- training --- */

/* The gradient went through as many roundings again on its way back: 1.2 % in the mean, the loss's own direction
 * included. Three times that, since the smaller tensors of a design sum over few rows. */
#define GRADIENT_BOUND 3.6e-2

static double relative(const real *a, const real *b, int64_t n) {
  double d = 0, s = 0;
  for (int64_t i = 0; i < n; i++) {
    d += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    s += (double)b[i] * (double)b[i];
  }
  assert_true(s > 0);
  return sqrt(d / s);
}

static void test_gradients(void **state) {
  (void)state;
  const char *const *name = tiny_designs();
  for (int i = 0; name[i]; i++) {
    tiny a, b;
    int base = !strcmp(name[i], "base");
    tiny_options o = {.design = name[i], .rotary = 1, .trainable = 1, .base_trainable = base, .narrow_weights = 1};
    tiny_open(&a, &o, 5);
    o.storage = DT_BF16;
    tiny_open(&b, &o, 5);
    double la = tiny_loss(&a, 0), lb = tiny_loss(&b, 0);
    assert_true(la > 0 && la != lb);
    double e = base ? relative(b.m.g, a.m.g, a.m.n_reals) : relative(b.a.g, a.a.g, a.a.n_reals);
    if (!(e <= GRADIENT_BOUND)) fail_msg("%s: gradients %.3g apart", name[i], e);
    tiny_close(&a);
    tiny_close(&b);
  }
}

#define CLIPS TINY_CLIPS
#define STEPS 5

typedef struct outcome {
  float losses[STEPS];
  real *w; /* [n], malloc */
  int64_t n;
} outcome;

static outcome train(const char *name, dtype storage, int threads) {
  tiny t;
  tiny_set s;
  outcome y = {0};
  train_result r;
  tiny_set_fill(&s, 60);
  train_data data = tiny_set_data(&s);
  int base = !strcmp(name, "base");
  train_config f = train_defaults(base);
  f.steps = STEPS, f.batch = CLIPS, f.warmup = 1, f.hold = 1, f.rank = 4, f.checkpoint_every = 0;
  if (!base) f.lr = f.domain_lr = 1e-3;
  tiny_options o = {.design = name, .rotary = 1, .trainable = 1, .base_trainable = base, .threads = threads};
  o.storage = storage, o.narrow_weights = 1;
  tiny_open(&t, &o, 9);
  if (!base) tiny_must(&t, adapter_init(&t.c, &t.a, &t.m, &t.l, 1), "init");
  tiny_must(&t, train_run(&t.c, &t.m, &t.a, base ? NULL : &t.d, &data, &f, "", NULL, &r), "training");
  memcpy(y.losses, r.losses, sizeof y.losses);
  free(r.losses);
  y.n = base ? t.m.n_reals : t.a.n_reals;
  y.w = malloc((size_t)y.n * sizeof(real));
  assert_non_null(y.w);
  memcpy(y.w, base ? t.m.w : t.a.w, (size_t)y.n * sizeof(real));
  tiny_close(&t);
  return y;
}

static void same(const char *name, const char *what, const outcome *a, const outcome *b) {
  if (memcmp(a->losses, b->losses, sizeof a->losses) || memcmp(a->w, b->w, (size_t)a->n * sizeof(real)))
    fail_msg("%s: other bits %s", name, what);
}

/* The error e of the prediction p moves a loss mean (p - y)^2 by at most 2 |e| / |p - y| of itself (Cauchy-Schwarz);
 * |e| is 0.8 % of |p| as above, and |p - y| is no smaller than |p| in a model that knows nothing of y. */
#define LOSS_BOUND 1.6e-2

static void test_training(void **state) {
  (void)state;
  for (const variant *const *v = variant_list(); *v; v++) {
    const char *name = (*v)->name;
    outcome a = train(name, DT_REAL, 2), b = train(name, DT_BF16, 2);
    double worst = 0;
    for (int k = 0; k < STEPS; k++) {
      double e = fabs((double)(b.losses[k] - a.losses[k])) / (double)a.losses[k];
      worst = fmax(worst, e);
      if (!(e <= LOSS_BOUND)) fail_msg("%s: loss %d is %.6f, with reals %.6f", name, k, b.losses[k], a.losses[k]);
      if (!(e > 0)) fail_msg("%s: nothing was rounded", name);
    }
    print_message("%s: losses at most %.2g of themselves apart, the first %.2g\n", name, worst,
                  fabs((double)(b.losses[0] - a.losses[0])) / (double)a.losses[0]);
    assert_true(a.losses[0] != a.losses[STEPS - 1]);
    free(a.w);
    free(b.w);
  }
}

static void test_bits(void **state) {
  (void)state;
  for (const variant *const *v = variant_list(); *v; v++) {
    outcome one = train((*v)->name, DT_BF16, 1);
    for (int threads = 1; threads <= 3; threads++) {
      outcome again = train((*v)->name, DT_BF16, threads);
      same((*v)->name, threads == 1 ? "in the second run" : "with more threads", &one, &again);
      free(again.w);
    }
    free(one.w);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_forward),
      cmocka_unit_test(test_gradients),
      cmocka_unit_test(test_training),
      cmocka_unit_test(test_bits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
