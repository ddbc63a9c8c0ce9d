/* What is kept for the backward pass, and how many pieces feed-forward rows are taken in, changes no bit of the loss
 * and of the gradients, in every design; and memory falls with it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tiny_model.h"

#define LAYERS 3

typedef struct choice {
  unsigned char level[LAYERS];
  int pieces;
} choice;

static const choice choices[] = {{{0, 0, 0}, 2}, {{0, 0, 0}, 100}, {{1, 1, 1}, 1}, {{1, 1, 1}, 3},
                                 {{2, 2, 2}, 1}, {{2, 2, 2}, 4},   {{2, 1, 0}, 5}, {{0, 2, 1}, 1000}};

static void poison(tiny *t) {
  size_t mark = arena_mark(&t->c.mem);
  view all;
  tiny_must(t, ctx_reals(&t->c, 1, 2 << 20, "more than a pass takes", &all), "arena");
  tiny_must(t, op_fill(&t->c, all, NAN), "fill");
  arena_release(&t->c.mem, mark);
}

typedef struct found {
  double loss;
  real *g;
  int64_t n;
} found;

static found run(tiny *t, const choice *x, int base) {
  dit_io io = tiny_io(t, 0);
  io.level = x->level;
  io.pieces = x->pieces;
  poison(t);
  found f = {.n = base ? t->m.n_reals : t->a.n_reals};
  f.loss = tiny_loss_of(t, &io);
  f.g = malloc((size_t)(f.n + 1) * sizeof(real));
  assert_non_null(f.g);
  if (f.n) memcpy(f.g, base ? t->m.g : t->a.g, (size_t)f.n * sizeof(real));
  return f;
}

static void one_design(const char *name, dtype storage, int base) {
  static const choice keep_all = {{0, 0, 0}, 1};
  tiny t;
  tiny_options o = {.design = name, .rotary = 1, .layers = LAYERS, .trainable = 1, .base_trainable = base};
  o.storage = storage;
  tiny_open(&t, &o, 7);
  found want = run(&t, &keep_all, base);
  double size = 0;
  for (int64_t i = 0; i < want.n; i++) size += fabs((double)want.g[i]);
  assert_true(isfinite(want.loss) && want.loss > 0);
  if (want.n && !(isfinite(size) && size > 0)) fail_msg("%s: gradients sum to %g", name, size);
  for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++) {
    found got = run(&t, &choices[i], base);
    if (memcmp(&got.loss, &want.loss, sizeof got.loss)) fail_msg("%s, choice %zu: another loss", name, i);
    if (want.n && memcmp(got.g, want.g, (size_t)got.n * sizeof(real)))
      fail_msg("%s, choice %zu: other gradients", name, i);
    free(got.g);
  }
  free(want.g);
  tiny_close(&t);
}

static void test_bits(void **state) {
  (void)state;
  static const char *const name[] = {"base",
                                     "sequence",
                                     "sequence:rgb_to_alpha=off",
                                     "sequence:lora=all",
                                     "batch",
                                     "latent",
                                     "batch:exchange=module",
                                     "predict",
                                     "batch:exchange=kv"};
  for (size_t i = 0; i < sizeof name / sizeof name[0]; i++) one_design(name[i], DT_REAL, 0);
}

static void test_base(void **state) {
  (void)state;
  one_design("base", DT_REAL, 1);
  one_design("base", DT_BF16, 1);
}

static void test_bf16(void **state) {
  (void)state;
  for (const variant *const *v = variant_list(); *v; v++) one_design((*v)->name, DT_BF16, 0);
}

static void test_memory(void **state) {
  (void)state;
  static const choice order[] = {{{0, 0, 0}, 1}, {{0, 0, 0}, 4}, {{1, 0, 0}, 4}, {{1, 1, 1}, 4}, {{2, 2, 2}, 4}};
  size_t last = 0;
  for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
    tiny t;
    tiny_open(&t, &(tiny_options){.design = "sequence", .rotary = 1, .layers = LAYERS, .trainable = 1}, 7);
    t.c.mem.peak = t.c.mem.used;
    dit_io io = tiny_io(&t, 0);
    io.level = order[i].level;
    io.pieces = order[i].pieces;
    tiny_loss_of(&t, &io);
    /* one block above level 0 needs the shared buffers, as large as what it no longer keeps */
    if (i && !(i == 2 ? t.c.mem.peak <= last + (last >> 2) : t.c.mem.peak < last))
      fail_msg("choice %zu: %zu bytes after %zu", i, t.c.mem.peak, last);
    last = t.c.mem.peak;
    tiny_close(&t);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bits),
      cmocka_unit_test(test_base),
      cmocka_unit_test(test_bf16),
      cmocka_unit_test(test_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
