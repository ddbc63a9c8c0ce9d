/* Own Farneback against the flows and stages of cv2 (tests/golden/metrics/farneback.*). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "golden.h"
#include "metrics/farneback.h"
#include "model/safetensors.h"

typedef struct fixture {
  st_file *st;
  json *info;
} fixture;

static int setup(void **state) {
  err e = {0};
  fixture *f = calloc(1, sizeof *f);
  assert_non_null(f);
  assert_int_equal(st_open(&e, golden_path("metrics/farneback.safetensors"), &f->st), OK);
  assert_int_equal(json_read(&e, golden_path("metrics/farneback.json"), &f->info), OK);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  st_close(f->st);
  json_free(f->info);
  free(f);
  return 0;
}

static float *floats(int64_t n) {
  float *p = malloc((size_t)n * sizeof *p);
  assert_non_null(p);
  for (int64_t i = 0; i < n; i++) p[i] = NAN;
  return p;
}

static const st_tensor *tensor(const fixture *f, const char *kind, const char *name) {
  char key[96];
  snprintf(key, sizeof key, "%s.%s", kind, name);
  const st_tensor *t = st_find(f->st, key);
  assert_non_null(t);
  return t;
}

static float *values(const st_tensor *t) {
  float *p = floats(t->count);
  for (int64_t i = 0; i < t->count; i++) p[i] = (float)dtype_get(t->type, t->data, i);
  return p;
}

static fb_params params(const json *c) {
  const json *p = json_get(c, "params");
  return (fb_params){.pyr_scale = json_get(p, "pyr_scale")->num,
                     .levels = (int)json_get(p, "levels")->num,
                     .window = (int)json_get(p, "winsize")->num,
                     .iterations = (int)json_get(p, "iterations")->num,
                     .poly_n = (int)json_get(p, "poly_n")->num,
                     .poly_sigma = json_get(p, "poly_sigma")->num,
                     .gaussian = json_get(p, "flags")->num > 0};
}

static void check_case(const fixture *f, const json *c) {
  err e = {0};
  const st_tensor *pair = tensor(f, "pair", json_get(c, "pair")->str), *want = tensor(f, "flow", c->key);
  int h = (int)pair->shape[1], w = (int)pair->shape[2];
  int64_t n = (int64_t)h * w;
  float *x = values(pair), *flow = floats(2 * n);
  fb_params p = params(c);
  assert_int_equal(fb_top(&p, h, w) + 1, (int)json_get(c, "pyramid_images")->num);
  assert_int_equal(fb_clip(&e, &p, x, 2, h, w, flow), OK);
  double max = 0, sum = 0, size = 0;
  for (int64_t i = 0; i < n; i++) {
    double u = dtype_get(want->type, want->data, 2 * i), v = dtype_get(want->type, want->data, 2 * i + 1);
    double d = hypot((double)flow[2 * i] - u, (double)flow[2 * i + 1] - v);
    assert_true(isfinite(d));
    max = d > max ? d : max;
    sum += d, size += hypot(u, v);
  }
  print_message("%-16s max %.2e mean %.2e px\n", c->key, max, sum / (double)n);
  int constant = !strcmp(c->key, "constant");
  if (!constant) assert_true(size / (double)n > 1e-3);
  assert_true(max <= (constant ? 0 : 1e-3));
  assert_true(sum / (double)n <= 1e-5);
  free(x), free(flow);
}

static void flows_match_opencv(void **state) {
  const fixture *f = *state;
  const json *cases = json_get(json_get(f->info, "expected"), "cases");
  int64_t n = 0;
  for (const json *c = cases->child; c; c = c->next) {
    if (!json_get(c, "params")) continue;
    check_case(f, c);
    n++;
  }
  assert_int_equal(n, 17);
}

/* got: planar [5][n] or plain; want: interleaved. */
static void stage_close(const char *what, const float *got, const st_tensor *want, int channels, int planar) {
  int64_t n = want->count / channels;
  double max = 0, diff = 0;
  for (int64_t i = 0; i < n; i++) {
    for (int c = 0; c < channels; c++) {
      double v = dtype_get(want->type, want->data, i * channels + c);
      double d = fabs((double)got[planar ? c * n + i : i * channels + c] - v);
      assert_true(isfinite(d));
      max = fmax(max, fabs(v)), diff = fmax(diff, d);
    }
  }
  print_message("%-16s %.2e of the largest value\n", what, diff / max);
  assert_true(max > 0);
  assert_true(diff <= 1e-5 * max);
}

static void stages_match(void **state) {
  const fixture *f = *state;
  err e = {0};
  const st_tensor *pair = tensor(f, "pair", "odd_tex");
  int h = (int)pair->shape[1], w = (int)pair->shape[2], lh, lw;
  int64_t n = (int64_t)h * w;
  float *x = values(pair), *image = floats(n), *r0 = floats(5 * n), *r1 = floats(5 * n), *m = floats(5 * n);
  float *flow = floats(2 * n), *zero = calloc((size_t)(2 * n), sizeof(float));
  fb_params p = fb_defaults(), q = p;
  q.pyr_scale = 0.6;
  const char *name[] = {"level0.a", "level1.a", "level2.a"};
  for (int k = 0; k < 3; k++) {
    const st_tensor *want = tensor(f, "stage", name[k]);
    fb_level_size(k == 2 ? &q : &p, h, w, k, &lh, &lw);
    assert_true(want->shape[0] == lh && want->shape[1] == lw);
    assert_int_equal(fb_level_image(&e, k == 2 ? &q : &p, x, h, w, k, image), OK);
    stage_close(name[k], image, want, 1, 0);
  }
  assert_int_equal(fb_level_image(&e, &p, x + n, h, w, 0, image), OK);
  assert_int_equal(fb_expand(&e, &p, image, h, w, r1), OK);
  assert_int_equal(fb_level_image(&e, &p, x, h, w, 0, image), OK);
  q = p, q.poly_n = 7, q.poly_sigma = 1.5;
  assert_int_equal(fb_expand(&e, &q, image, h, w, r0), OK);
  stage_close("polyexp.n7", r0, tensor(f, "stage", "polyexp.n7"), 5, 1);
  assert_int_equal(fb_expand(&e, &p, image, h, w, r0), OK);
  stage_close("polyexp.n5", r0, tensor(f, "stage", "polyexp.n5"), 5, 1);
  fb_matrices(r0, r1, zero, h, w, m);
  stage_close("matrices.iter0", m, tensor(f, "stage", "matrices.iter0"), 5, 1);
  assert_int_equal(fb_solve(&e, &p, m, h, w, flow), OK);
  stage_close("flow.iter1", flow, tensor(f, "stage", "flow.iter1"), 2, 0);
  fb_matrices(r0, r1, flow, h, w, m);
  stage_close("matrices.iter1", m, tensor(f, "stage", "matrices.iter1"), 5, 1);
  free(x), free(image), free(r0), free(r1), free(m), free(flow), free(zero);
}

/* A clip of three frames gives the flows of its two pairs, bit for bit. */
static void clip_equals_pairs(void **state) {
  const fixture *f = *state;
  err e = {0};
  const st_tensor *pair = tensor(f, "pair", "tex96");
  int h = (int)pair->shape[1], w = (int)pair->shape[2];
  int64_t n = (int64_t)h * w;
  fb_params p = fb_defaults();
  float *two = values(pair), *x = floats(3 * n), *all = floats(4 * n), *one = floats(2 * n);
  memcpy(x, two, (size_t)(2 * n) * sizeof *x);
  memcpy(x + 2 * n, two, (size_t)n * sizeof *x);
  assert_int_equal(fb_clip(&e, &p, x, 3, h, w, all), OK);
  assert_int_equal(fb_clip(&e, &p, x, 2, h, w, one), OK);
  assert_memory_equal(all, one, (size_t)(2 * n) * sizeof *x);
  assert_int_equal(fb_clip(&e, &p, x + n, 2, h, w, one), OK);
  assert_memory_equal(all + 2 * n, one, (size_t)(2 * n) * sizeof *x);
  free(two), free(x), free(all), free(one);
}

/* Every size down to one pixel, and pixels no picture has, give finite flow. */
static void small_sizes(void **state) {
  (void)state;
  static const int size[][2] = {{1, 1}, {1, 7}, {5, 1}, {2, 2}, {3, 9}, {31, 33}, {65, 64}};
  err e = {0};
  fb_params p = fb_defaults();
  for (size_t k = 0; k < sizeof size / sizeof size[0]; k++) {
    int64_t n = (int64_t)size[k][0] * size[k][1];
    float *x = floats(2 * n), *flow = floats(2 * n);
    for (int64_t i = 0; i < 2 * n; i++) x[i] = (float)((i * 7919) % 251) * (k % 2 ? 1.0f : 1e12f);
    assert_int_equal(fb_clip(&e, &p, x, 2, size[k][0], size[k][1], flow), OK);
    for (int64_t i = 0; i < 2 * n; i++) assert_true(k % 2 == 0 || isfinite(flow[i]));
    free(x), free(flow);
  }
  float x[2] = {0}, flow[2];
  p.window = 0;
  assert_int_equal(fb_clip(&e, &p, x, 2, 1, 1, flow), E_ARG);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(flows_match_opencv, setup, teardown),
      cmocka_unit_test_setup_teardown(stages_match, setup, teardown),
      cmocka_unit_test_setup_teardown(clip_equals_pairs, setup, teardown),
      cmocka_unit_test(small_sizes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
