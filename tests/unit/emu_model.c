/* The tiny model on the emulated device against the cpu backend: every design trains and samples with the same losses
 * and pictures, and what one backend has begun the other finishes. */
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

#define CLIPS 2
#define STEPS 5

typedef struct model {
  ctx c;
  dit m;
  adapter a;
  design d;
  layout l;
  int base;
} model;

static void must(model *x, int rc, const char *what) {
  if (rc != OK) fail_msg("%s on %s: %s", what, x->c.ops ? x->c.ops->name : "?", x->c.err.text);
}

/* 77 when there is no device. Both backends begin with the same weights, which come from a counter-based generator.
 */
static int model_open(model *x, const char *backend, dtype storage, const char *name) {
  dit_config cfg = {.layers = 2,
                    .heads = 2,
                    .head_dim = 64,
                    .in_channels = TINY_CHANNELS,
                    .out_channels = TINY_CHANNELS,
                    .patch = 2,
                    .patch_t = 1,
                    .time_dim = 16,
                    .text_dim = TINY_TEXT_DIM,
                    .max_text = TINY_TEXT,
                    .sample_height = TINY_HEIGHT,
                    .sample_width = TINY_WIDTH,
                    .sample_frames = 5,
                    .temporal_compression = 4,
                    .rotary = 1,
                    .spatial_scale = 1.875,
                    .temporal_scale = 1,
                    .norm_eps = 1e-5};
  memset(x, 0, sizeof *x);
  int rc = ctx_open(&x->c, &(ctx_options){.backend = backend, .threads = 1, .storage = storage});
  if (rc == E_UNSUPPORTED && !strcmp(backend, "cuda")) {
    printf("skipped: %s\n", x->c.err.text);
    ctx_close(&x->c);
    return 77;
  }
  must(x, rc, "open");
  x->base = !strcmp(name, "base");
  must(x, ctx_arena(&x->c, (size_t)64 << 20), "arena");
  must(x, dit_open(&x->c, &cfg, x->base, &x->m), "dit_open");
  must(x, dit_init(&x->c, &x->m, 3), "dit_init");
  must(x, design_parse(&x->c.err, name, &x->d), "design");
  design_layout(&x->d, &x->l);
  must(x, adapter_open(&x->c, &x->m, &x->l, &(adapter_shape){.rank = 4, .gamma = 0.7, .trainable = 1}, &x->a),
       "adapter_open");
  if (!x->base) must(x, adapter_init(&x->c, &x->a, &x->m, &x->l, 1), "adapter_init");
  return 0;
}

static void model_close(model *x) {
  adapter_close(&x->c, &x->a);
  dit_close(&x->c, &x->m);
  ctx_close(&x->c);
}

static int stop_now(void *user) {
  return --*(int *)user == 0;
}

/* Trains STEPS steps, or until `stop` of them; losses [STEPS]. */
static int train(model *x, const tiny_set *s, const char *checkpoint, int stop, float *losses) {
  train_data d = tiny_set_data(s);
  train_config f = train_defaults(x->base);
  train_hooks hooks = {.stop = stop_now, .user = &stop};
  train_result r = {0};
  d.clips = CLIPS;
  f.steps = STEPS;
  f.batch = 2;
  f.warmup = 1;
  f.hold = 1;
  f.rank = 4;
  f.muon_lr = 0;
  f.checkpoint_every = 0;
  int rc = train_run(&x->c, &x->m, &x->a, x->base ? NULL : &x->d, &d, &f, checkpoint, stop ? &hooks : NULL, &r);
  if (rc == OK) memcpy(losses, r.losses, STEPS * sizeof *losses);
  free(r.losses);
  return rc;
}

static void close_losses(const char *name, const float *want, const float *got, double rel) {
  for (int i = 0; i < STEPS; i++) {
    if (!(want[i] > 0)) fail_msg("%s: step %d: the reference's loss is %g", name, i, (double)want[i]);
    if (!(fabs((double)want[i] - (double)got[i]) <= rel * (double)want[i]))
      fail_msg("%s: step %d: loss %.9g on cuda, %.9g on cpu", name, i, (double)got[i], (double)want[i]);
  }
}

static double bound_of(dtype storage) {
  return storage == DT_BF16 ? 1e-3 : 1e-5;
}

static void train_all(dtype storage) {
  tiny_set s;
  tiny_set_fill(&s, 50);
  for (const variant *const *v = variant_list(); *v; v++) {
    float losses[3][STEPS];
    for (int i = 0; i < 3; i++) { /* cpu, cuda, cuda again */
      model x;
      if (model_open(&x, i ? "cuda" : "cpu", storage, (*v)->name)) skip();
      must(&x, train(&x, &s, "", 0, losses[i]), (*v)->name);
      model_close(&x);
      if (i == 1) close_losses((*v)->name, losses[0], losses[1], bound_of(storage));
    }
    if (memcmp(losses[1], losses[2], sizeof losses[1])) fail_msg("%s: a second run has other losses", (*v)->name);
    if (losses[1][0] == losses[1][STEPS - 1]) fail_msg("%s: the loss does not move", (*v)->name);
  }
}

static void test_train_float(void **state) {
  (void)state;
  train_all(DT_REAL);
}
static void test_train_bf16(void **state) {
  (void)state;
  train_all(DT_BF16);
}

static void sample(model *x, const tiny_set *s, float *rgb, float *alpha) {
  const uint64_t seeds[] = {100, 101};
  sample_config cfg = sample_defaults();
  cfg.steps = 4;
  sample_request r = {.clips = CLIPS,
                      .frames = TINY_FRAMES,
                      .height = TINY_HEIGHT,
                      .width = TINY_WIDTH,
                      .seeds = seeds,
                      .n_text = TINY_TEXT,
                      .text_dim = TINY_TEXT_DIM,
                      .text = s->rows,
                      .null_text = s->none};
  must(x, sample_run(&x->c, &x->m, &x->a, &x->d, &cfg, &r, rgb, x->base ? NULL : alpha), "sample");
}

static double distance(const float *a, const float *b, int n, double *power) {
  double d = 0;
  for (int i = 0; i < n; i++) {
    d += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    *power += (double)a[i] * (double)a[i];
  }
  return d;
}

/* Four steps of guided sampling: distance over size of all latents. */
static void sample_all(dtype storage, double bound) {
  tiny_set s;
  tiny_set_fill(&s, 50);
  for (const variant *const *v = variant_list(); *v; v++) {
    float rgb[2][CLIPS * TINY_HALF] = {{0}}, alpha[2][CLIPS * TINY_HALF] = {{0}};
    double power = 0, d;
    for (int i = 0; i < 2; i++) {
      model x;
      if (model_open(&x, i ? "cuda" : "cpu", storage, (*v)->name)) skip();
      sample(&x, &s, rgb[i], alpha[i]);
      model_close(&x);
    }
    d = distance(rgb[0], rgb[1], CLIPS * TINY_HALF, &power) + distance(alpha[0], alpha[1], CLIPS * TINY_HALF, &power);
    if (!(power > 1)) fail_msg("%s: the reference's latents are nearly zero", (*v)->name);
    if (!(sqrt(d / power) <= bound)) fail_msg("%s: samples differ by %g of their size", (*v)->name, sqrt(d / power));
  }
}

static void test_sample_float(void **state) {
  (void)state;
  sample_all(DT_REAL, 1e-5);
}
static void test_sample_bf16(void **state) {
  (void)state;
  sample_all(DT_BF16, 3e-2);
}

/* Stopped after two steps on one backend, finished on the other. */
static void finish_elsewhere(const char *first, const char *second) {
  tiny_set s;
  tiny_set_fill(&s, 50);
  char path[] = "/tmp/emu_model_XXXXXX";
  float want[STEPS], got[STEPS];
  model x;
  if (model_open(&x, "cpu", DT_REAL, "sequence")) skip();
  must(&x, train(&x, &s, "", 0, want), "whole");
  model_close(&x);
  assert_non_null(mkdtemp(path));
  char file[64];
  snprintf(file, sizeof file, "%s/train", path);
  if (model_open(&x, first, DT_REAL, "sequence")) skip();
  assert_int_equal(train(&x, &s, file, 2, got), E_INTERRUPTED);
  model_close(&x);
  if (model_open(&x, second, DT_REAL, "sequence")) skip();
  must(&x, train(&x, &s, file, 0, got), "resume");
  model_close(&x);
  close_losses("resumed", want, got, 1e-5);
  unlink(file);
  rmdir(path);
}

static void test_resume(void **state) {
  (void)state;
  finish_elsewhere("cuda", "cpu");
  finish_elsewhere("cpu", "cuda");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_train_float), cmocka_unit_test(test_resume),     cmocka_unit_test(test_sample_float),
      cmocka_unit_test(test_sample_bf16), cmocka_unit_test(test_train_bf16),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
