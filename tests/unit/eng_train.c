/* The training and sampling loops: every registered design learns, resuming is exact, batches and threads do not
 * matter, a broken loss stops with its step. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "sample.h"
#include "tiny_set.h"

#define CLIPS TINY_CLIPS
#define FRAMES TINY_FRAMES
#define HALF TINY_HALF

static train_config config_of(int base, int64_t steps) {
  train_config f = train_defaults(base);
  f.steps = steps;
  f.batch = 3;
  f.warmup = 1;
  f.hold = 1;
  f.rank = 4;
  f.checkpoint_every = 0;
  return f;
}

/* A fresh model and adapter trained with cfg; weights go to *w (malloc), losses to *out. */
typedef struct run_options {
  const char *design, *isa, *checkpoint;
  int threads;
  int64_t stop_after; /* 0: never */
} run_options;

static int64_t steps_seen;
static int stop_now(void *user) {
  return ++steps_seen == *(const int64_t *)user;
}

static int train(const run_options *o, const train_config *cfg, const tiny_set *s, real **w, int64_t *n,
                 train_result *out, char *message) {
  tiny t;
  int base = !strcmp(o->design, "base");
  tiny_open(&t,
            &(tiny_options){.design = o->design,
                            .rotary = 1,
                            .trainable = 1,
                            .base_trainable = base,
                            .isa = o->isa,
                            .threads = o->threads},
            9);
  if (!base) tiny_must(&t, adapter_init(&t.c, &t.a, &t.m, &t.l, 1), "init");
  train_data d = tiny_set_data(s);
  int64_t stop = o->stop_after;
  train_hooks hooks = {.stop = stop_now, .user = &stop};
  steps_seen = 0;
  int rc = train_run(&t.c, &t.m, &t.a, base ? NULL : &t.d, &d, cfg, o->checkpoint ? o->checkpoint : "",
                     stop ? &hooks : NULL, out);
  if (message) snprintf(message, 512, "%.500s", t.c.err.text);
  if (w) {
    *n = base ? t.m.n_reals : t.a.n_reals;
    *w = malloc((size_t)*n * sizeof(real));
    assert_non_null(*w);
    memcpy(*w, base ? t.m.w : t.a.w, (size_t)*n * sizeof(real));
  }
  tiny_close(&t);
  return rc;
}

/* Mean of one pass over the clips, so that single noisy steps do not decide. */
static double mean_of(const float *x, int64_t from, int64_t to) {
  double s = 0;
  for (int64_t i = from; i < to; i++) s += (double)x[i];
  return s / (double)(to - from);
}

static void test_every_design_learns(void **state) {
  (void)state;
  tiny_set s;
  tiny_set_fill(&s, 50);
  for (const variant *const *v = variant_list(); *v; v++) {
    train_result r;
    train_config cfg = config_of(0, 40);
    if (!strcmp((*v)->name, "base")) cfg.lr = 1e-3;
    assert_int_equal(train(&(run_options){.design = (*v)->name}, &cfg, &s, NULL, NULL, &r, NULL), OK);
    assert_int_equal(r.steps, 40);
    double first = mean_of(r.losses, 0, 5), last = mean_of(r.losses, 35, 40);
    if (!(last < 0.97 * first)) fail_msg("%s: loss %.4f, then %.4f", (*v)->name, first, last);
    free(r.losses);
  }
}

static void same_run(const run_options *a, const run_options *b, const train_config *cfg, const tiny_set *s) {
  real *wa, *wb;
  int64_t na, nb;
  train_result ra, rb;
  assert_int_equal(train(a, cfg, s, &wa, &na, &ra, NULL), OK);
  assert_int_equal(train(b, cfg, s, &wb, &nb, &rb, NULL), OK);
  assert_int_equal(na, nb);
  assert_memory_equal(wa, wb, (size_t)na * sizeof(real));
  assert_memory_equal(ra.losses, rb.losses, (size_t)ra.steps * sizeof(float));
  free(wa);
  free(wb);
  free(ra.losses);
  free(rb.losses);
}

static void test_threads_do_not_matter(void **state) {
  (void)state;
  tiny_set s;
  tiny_set_fill(&s, 50);
  static const char *const designs[] = {"sequence", "batch:exchange=module", "latent", "base"};
  for (size_t i = 0; i < sizeof designs / sizeof designs[0]; i++) {
    train_config cfg = config_of(!strcmp(designs[i], "base"), 4);
    same_run(&(run_options){.design = designs[i], .threads = 1}, &(run_options){.design = designs[i], .threads = 2},
             &cfg, &s);
    same_run(&(run_options){.design = designs[i], .threads = 1}, &(run_options){.design = designs[i], .threads = 3},
             &cfg, &s);
  }
}

static void test_levels_do_not_matter(void **state) {
  (void)state;
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx2")) skip();
  tiny_set s;
  tiny_set_fill(&s, 50);
  train_config cfg = config_of(0, 4);
  same_run(&(run_options){.design = "sequence", .isa = "v3"}, &(run_options){.design = "sequence", .isa = "v4"}, &cfg,
           &s);
#else
  skip();
#endif
}

/* Stopped after any step and started again, as often as it takes: the bits of an uninterrupted run. */
static void resume_case(const char *name, int64_t every) {
  tiny_set s;
  tiny_set_fill(&s, 50);
  char path[] = "/tmp/td-train-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  remove(path);
  real *want, *got = NULL;
  int64_t n;
  train_result whole, part = {0};
  train_config cfg = config_of(!strcmp(name, "base"), 7);
  assert_int_equal(train(&(run_options){.design = name}, &cfg, &s, &want, &n, &whole, NULL), OK);
  int rc = E_INTERRUPTED, rounds = 0;
  while (rc == E_INTERRUPTED && rounds++ < 20) {
    free(got);
    rc = train(&(run_options){.design = name, .checkpoint = path, .stop_after = every}, &cfg, &s, &got, &n, &part,
               NULL);
  }
  assert_int_equal(rc, OK);
  assert_true(rounds > 1);
  assert_true(part.resumed_from > 0);
  assert_memory_equal(want, got, (size_t)n * sizeof(real));
  assert_memory_equal(whole.losses, part.losses, 7 * sizeof(float));
  remove(path);
  free(want);
  free(got);
  free(whole.losses);
  free(part.losses);
}

static void test_resume(void **state) {
  (void)state;
  resume_case("sequence", 1);
  resume_case("sequence", 3);
  resume_case("batch:exchange=module", 2);
  resume_case("base", 3); /* Muon, averaged weights */
}

/* A checkpoint of other settings is not continued. */
static void test_foreign_checkpoint(void **state) {
  (void)state;
  tiny_set s;
  tiny_set_fill(&s, 50);
  char path[] = "/tmp/td-train-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  remove(path);
  train_config cfg = config_of(0, 6);
  train_result r;
  run_options stop = {.design = "sequence", .checkpoint = path, .stop_after = 3},
              go = {.design = "sequence", .checkpoint = path};
  assert_int_equal(train(&stop, &cfg, &s, NULL, NULL, &r, NULL), E_INTERRUPTED);
  cfg.lr *= 2;
  assert_int_equal(train(&go, &cfg, &s, NULL, NULL, &r, NULL), OK);
  assert_int_equal(r.resumed_from, 0);
  free(r.losses);
  remove(path);
}

static void test_broken_loss(void **state) {
  (void)state;
  tiny_set s;
  char message[512];
  train_result r;
  tiny_set_fill(&s, 50);
  s.alpha[3 * HALF + 7] = NAN;
  train_config cfg = config_of(0, 50);
  assert_int_equal(train(&(run_options){.design = "sequence"}, &cfg, &s, NULL, NULL, &r, message), E_NAN);
  assert_non_null(strstr(message, "step "));
  assert_null(r.losses);
}

/* Seed 0 is a seed: it differs from 1 and repeats itself. */
static void test_seed_zero(void **state) {
  (void)state;
  tiny_set s;
  tiny_set_fill(&s, 50);
  train_result a, b, c;
  train_config cfg = config_of(0, 2);
  cfg.seed = 0;
  assert_int_equal(train(&(run_options){.design = "sequence"}, &cfg, &s, NULL, NULL, &a, NULL), OK);
  assert_int_equal(train(&(run_options){.design = "sequence"}, &cfg, &s, NULL, NULL, &b, NULL), OK);
  cfg.seed = 1;
  assert_int_equal(train(&(run_options){.design = "sequence"}, &cfg, &s, NULL, NULL, &c, NULL), OK);
  assert_memory_equal(a.losses, b.losses, 2 * sizeof(float));
  assert_memory_not_equal(a.losses, c.losses, 2 * sizeof(float));
  free(a.losses);
  free(b.losses);
  free(c.losses);
}

/* --- sampling --- */

static void sample(tiny *t, const tiny_set *s, int64_t first, int64_t n, sampler_kind kind, float *rgb,
                   float *alpha) {
  uint64_t seeds[CLIPS];
  sample_config cfg = sample_defaults();
  cfg.steps = 4;
  cfg.sampler = kind;
  for (int64_t i = 0; i < n; i++) seeds[i] = 100 + (uint64_t)(first + i);
  sample_request r = {.clips = n,
                      .frames = FRAMES,
                      .height = 4,
                      .width = 6,
                      .seeds = seeds,
                      .n_text = TINY_TEXT,
                      .text_dim = TINY_TEXT_DIM,
                      .text = s->rows + first * TINY_TEXT * TINY_TEXT_DIM,
                      .null_text = s->none};
  tiny_must(t, sample_run(&t->c, &t->m, &t->a, &t->d, &cfg, &r, rgb, alpha), "sample");
}

static void test_batch_does_not_matter(void **state) {
  (void)state;
  tiny_set s;
  tiny_set_fill(&s, 50);
  static const sampler_kind kinds[] = {SAMPLER_DDIM, SAMPLER_DPM, SAMPLER_EULER};
  for (const variant *const *v = variant_list(); *v; v++)
    for (int k = 0; k < 3; k++) {
      tiny t;
      float rgb[2][CLIPS * HALF], alpha[2][CLIPS * HALF];
      memset(alpha, 0, sizeof alpha);
      tiny_open(&t, &(tiny_options){.design = (*v)->name, .rotary = 1}, 9);
      sample(&t, &s, 0, CLIPS, kinds[k], rgb[0], alpha[0]);
      for (int i = 0; i < CLIPS; i++) sample(&t, &s, i, 1, kinds[k], rgb[1] + i * HALF, alpha[1] + i * HALF);
      assert_memory_equal(rgb[0], rgb[1], sizeof rgb[0]);
      assert_memory_equal(alpha[0], alpha[1], sizeof alpha[0]);
      double power = 0;
      for (int i = 0; i < CLIPS * HALF; i++) power += fabs((double)rgb[0][i]);
      assert_true(isfinite(power) && power > 0.01 * CLIPS * HALF);
      tiny_close(&t);
    }
}

/* Designs that promise it sample the base model's RGB, bit for bit, under the same noise; start_noise acts. */
static void test_paired_noise(void **state) {
  (void)state;
  tiny_set s;
  tiny_set_fill(&s, 50);
  float want[CLIPS * HALF], rgb[CLIPS * HALF], alpha[2][CLIPS * HALF];
  for (int k = 0; k < 2; k++) {
    sampler_kind kind = k ? SAMPLER_DPM : SAMPLER_DDIM;
    tiny t;
    tiny_open(&t, &(tiny_options){.design = "base", .rotary = 1}, 9);
    sample(&t, &s, 0, 2, kind, want, NULL);
    tiny_close(&t);
    for (const char *const *d = tiny_designs(); *d; d++) {
      tiny_open(&t, &(tiny_options){.design = *d, .rotary = 1}, 9);
      if (t.l.streams == 2) {
        sample(&t, &s, 0, 2, kind, rgb, alpha[0]);
        int same = !memcmp(rgb, want, 2 * HALF * sizeof(float));
        if (same != t.l.rgb_is_base) fail_msg("%s: sampled RGB %s the base model's", *d, same ? "is" : "is not");
      }
      tiny_close(&t);
    }
  }
  static const char *const noises[] = {"batch", "batch:start_noise=independent"};
  for (int i = 0; i < 2; i++) {
    tiny t;
    tiny_open(&t, &(tiny_options){.design = noises[i], .rotary = 1}, 9);
    sample(&t, &s, 0, 2, SAMPLER_DDIM, rgb, alpha[i]);
    tiny_close(&t);
  }
  assert_memory_not_equal(alpha[0], alpha[1], 2 * HALF * sizeof(float));
}

/* Distance from a clip of what Euler steps from noise lead to. */
static double flow_distance(tiny *t, const tiny_set *s) {
  const uint64_t seed = 21;
  static float rgb[HALF];
  const sample_config f = {.sampler = SAMPLER_EULER, .steps = 20, .guidance = 1, .cfg = CFG_CONSTANT, .snr_shift = 1};
  const sample_request r = {.clips = 1,
                            .frames = FRAMES,
                            .height = 4,
                            .width = 6,
                            .seeds = &seed,
                            .n_text = TINY_TEXT,
                            .text_dim = TINY_TEXT_DIM,
                            .text = s->rows,
                            .null_text = s->none};
  double sum = 0;
  tiny_must(t, sample_run(&t->c, &t->m, NULL, &t->d, &f, &r, rgb, NULL), "sample");
  for (int i = 0; i < HALF; i++) {
    double d = (double)rgb[i] - (double)s->rgb[i];
    sum += d * d;
  }
  return sqrt(sum / HALF);
}

/* Flow matching end to end: one clip is learnt by heart, then sampled; the same steps before training miss it, and so
 * does a model that learnt v. */
static void test_flow(void **state) {
  (void)state;
  static tiny_set s;
  double distance[2], before = 0;
  tiny_set_fill(&s, 50);
  for (int k = 0; k < 2; k++) {
    tiny t;
    train_result r;
    tiny_open(&t, &(tiny_options){.design = "base", .rotary = 1, .base_trainable = 1}, 9);
    before = flow_distance(&t, &s);
    train_data d = tiny_set_data(&s);
    d.clips = 1;
    train_config cfg = config_of(1, 150);
    cfg.objective = k ? OBJ_V : OBJ_FLOW;
    cfg.caption_dropout = 0;
    cfg.ema = 0;
    tiny_must(&t, train_run(&t.c, &t.m, NULL, NULL, &d, &cfg, "", NULL, &r), "train");
    distance[k] = flow_distance(&t, &s);
    double first = mean_of(r.losses, 0, 20), last = mean_of(r.losses, 130, 150);
    if (!(last < .5 * first)) fail_msg("loss went from %.3g to %.3g", first, last);
    free(r.losses);
    tiny_close(&t);
  }
  print_message("flow: %.3g from the clip, %.3g before training, %.3g after learning v\n", distance[0], before,
                distance[1]);
  assert_true(distance[0] < .3 * before);
  assert_true(distance[0] < .3 * distance[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_design_learns),
      cmocka_unit_test(test_threads_do_not_matter),
      cmocka_unit_test(test_levels_do_not_matter),
      cmocka_unit_test(test_resume),
      cmocka_unit_test(test_foreign_checkpoint),
      cmocka_unit_test(test_broken_loss),
      cmocka_unit_test(test_seed_zero),
      cmocka_unit_test(test_batch_does_not_matter),
      cmocka_unit_test(test_flow),
      cmocka_unit_test(test_paired_noise),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
