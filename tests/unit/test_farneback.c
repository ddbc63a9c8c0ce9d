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
#include "metrics/kernels/flow.h"
#include "model/safetensors.h"
#include "ops/cpu/isa.h"

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

static void forward(const fb_params *p, const float *x, int frames, int h, int w, float *out) {
  err e = {0};
  fb_job j = {.x = x, .frames = frames, .height = h, .width = w, .forward = out};
  assert_int_equal(fb_flows(&e, p, &j), OK);
}

static void check_case(const fixture *f, const json *c) {
  const st_tensor *pair = tensor(f, "pair", json_get(c, "pair")->str), *want = tensor(f, "flow", c->key);
  int h = (int)pair->shape[1], w = (int)pair->shape[2];
  int64_t n = (int64_t)h * w;
  float *x = values(pair), *flow = floats(2 * n);
  fb_params p = params(c);
  assert_int_equal(fb_top(&p, h, w) + 1, (int)json_get(c, "pyramid_images")->num);
  forward(&p, x, 2, h, w, flow);
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

/* A golden stage against planar [5][n], cells [n][FLOW_CELL] or plain values. */
static void stage_close(const char *what, const float *got, int64_t pixel, int64_t channel, const st_tensor *want) {
  int channels = (int)want->shape[want->rank - 1] <= 5 ? (int)want->shape[want->rank - 1] : 1;
  int64_t n = want->count / channels;
  double max = 0, diff = 0;
  for (int64_t i = 0; i < n; i++) {
    for (int c = 0; c < channels; c++) {
      double v = dtype_get(want->type, want->data, i * channels + c);
      double d = fabs((double)got[i * pixel + c * channel] - v);
      assert_true(isfinite(d));
      max = fmax(max, fabs(v)), diff = fmax(diff, d);
    }
  }
  print_message("%-16s %.2e of the largest value\n", what, diff / max);
  assert_true(max > 0);
  assert_true(diff <= 1e-5 * max);
}

static fb_desk *desk(const fb_params *p, int h, int w) {
  err e = {0};
  fb_desk *d;
  assert_int_equal(fb_desk_open(&e, p, h, w, NULL, &d), OK);
  return d;
}

static void level_images_match(void **state) {
  const fixture *f = *state;
  const st_tensor *pair = tensor(f, "pair", "odd_tex");
  int h = (int)pair->shape[1], w = (int)pair->shape[2], lh, lw;
  float *x = values(pair);
  const char *name[] = {"level0.a", "level1.a", "level2.a"};
  for (int k = 0; k < 3; k++) {
    const st_tensor *want = tensor(f, "stage", name[k]);
    fb_params p = fb_defaults();
    if (k == 2) p.pyr_scale = 0.6;
    fb_desk *d = desk(&p, h, w);
    float *image = floats((int64_t)h * w);
    fb_level_size(&p, h, w, k, &lh, &lw);
    assert_true(want->shape[0] == lh && want->shape[1] == lw);
    fb_level_image(d, x, k, image);
    stage_close(name[k], image, 1, 0, want);
    free(image);
    fb_desk_close(d);
  }
  free(x);
}

/* Cells of a frame of the pair, with the room behind them that fb_matrices asks for. */
static float *cells_of(const fb_params *p, const float *x, int h, int w) {
  int64_t n = (int64_t)h * w, size = (n + w + 2) * FLOW_CELL;
  float *image = floats(n), *cells = calloc((size_t)size, sizeof *cells);
  assert_non_null(cells);
  fb_desk *d = desk(p, h, w);
  fb_level_image(d, x, 0, image);
  fb_expand(d, image, 0, cells);
  fb_desk_close(d);
  free(image);
  return cells;
}

static void all_matrices(fb_desk *d, const float *r0, const float *r1, const float *uv, int h, int w, float *m) {
  int64_t n = (int64_t)h * w;
  float *row = floats(5 * (int64_t)w);
  for (int y = 0; y < h; y++) {
    fb_matrices(d, r0, r1, 0, y, uv, uv + n, row);
    for (int c = 0; c < 5; c++) memcpy(m + c * n + (int64_t)y * w, row + (int64_t)c * w, (size_t)w * sizeof *m);
  }
  free(row);
}

static void stages_match(void **state) {
  const fixture *f = *state;
  const st_tensor *pair = tensor(f, "pair", "odd_tex");
  int h = (int)pair->shape[1], w = (int)pair->shape[2];
  int64_t n = (int64_t)h * w;
  fb_params p = fb_defaults(), q = p;
  q.poly_n = 7, q.poly_sigma = 1.5;
  float *x = values(pair), *r0 = cells_of(&p, x, h, w), *r1 = cells_of(&p, x + n, h, w), *r7 = cells_of(&q, x, h, w);
  float *m = floats(5 * n), *uv = calloc((size_t)(2 * n), sizeof *uv);
  fb_desk *d = desk(&p, h, w);
  assert_non_null(uv);
  stage_close("polyexp.n7", r7, FLOW_CELL, 1, tensor(f, "stage", "polyexp.n7"));
  stage_close("polyexp.n5", r0, FLOW_CELL, 1, tensor(f, "stage", "polyexp.n5"));
  all_matrices(d, r0, r1, uv, h, w, m);
  stage_close("matrices.iter0", m, 1, n, tensor(f, "stage", "matrices.iter0"));
  fb_iterate(d, r0, r1, 0, uv, uv + n);
  stage_close("flow.iter1", uv, 1, n, tensor(f, "stage", "flow.iter1"));
  all_matrices(d, r0, r1, uv, h, w, m);
  stage_close("matrices.iter1", m, 1, n, tensor(f, "stage", "matrices.iter1"));
  fb_desk_close(d);
  free(x), free(r0), free(r1), free(r7), free(m), free(uv);
}

/* Frames of a textured clip that moves. */
static float *moving(int frames, int h, int w) {
  float *x = floats((int64_t)frames * h * w);
  for (int t = 0; t < frames; t++)
    for (int y = 0; y < h; y++)
      for (int i = 0; i < w; i++) {
        double a = i - 1.3 * t, b = y + 0.6 * t;
        double v =
            128 + 60 * sin(0.35 * a + 0.1 * b) + 50 * cos(0.27 * b - 0.05 * a) + 12 * sin(1.1 * a) * cos(0.9 * b);
        x[((int64_t)t * h + y) * w + i] = (float)rint(v);
      }
  return x;
}

/* Every direction, number of threads and instruction-set level gives the bits of single pairs. */
static void clip_equals_pairs(void **state) {
  (void)state;
  enum { T = 6, H = 70, W = 101 };
  static const char *const isa[] = {NULL, "v2", "v3", "v4", "generic"};
  const int64_t n = (int64_t)H * W, all = 2 * (T - 1) * n;
  err e = {0};
  fb_params p = fb_defaults();
  float *x = moving(T, H, W), *want = floats(2 * all), *got = floats(2 * all);
  float *two = floats(2 * n);
  int ran = 0;
  for (int t = 0; t < T - 1; t++) {
    forward(&p, x + t * n, 2, H, W, want + 2 * t * n);
    memcpy(two, x + (t + 1) * n, (size_t)n * sizeof *x), memcpy(two + n, x + t * n, (size_t)n * sizeof *x);
    forward(&p, two, 2, H, W, want + all + 2 * t * n);
  }
  double sum = 0;
  for (int64_t i = 0; i < all; i++) sum += fabs((double)want[i] + (double)want[all + i]);
  assert_true(sum > 0);
  assert_memory_not_equal(want, want + all, (size_t)all * sizeof *want);
  for (size_t k = 0; k < sizeof isa / sizeof isa[0]; k++) {
    if (isa[k] && !isa_present(isa[k])) continue;
    for (int threads = 1; threads <= 4; threads++) {
      for (int64_t i = 0; i < 2 * all; i++) got[i] = NAN;
      fb_job j = {x, T, H, W, got, got + all, threads, isa[k]};
      assert_int_equal(fb_flows(&e, &p, &j), OK);
      assert_memory_equal(got, want, (size_t)(2 * all) * sizeof *got);
      for (int64_t i = 0; i < 2 * all; i++) got[i] = NAN;
      j.forward = NULL;
      assert_int_equal(fb_flows(&e, &p, &j), OK);
      assert_true(isnan(got[0]) && isnan(got[all - 1]));
      assert_memory_equal(got + all, want + all, (size_t)all * sizeof *got);
    }
    ran++;
  }
  assert_true(ran >= 2);
  free(x), free(want), free(got), free(two);
}

/* Levels agree for every kind of average, window, radius and scale. */
static void levels_agree(void **state) {
  (void)state;
  enum { H = 67, W = 83 };
  static const char *const isa[] = {"v2", "v3", "v4", "generic"};
  static const fb_params list[] = {{0.5, 3, 15, 3, 5, 1.2, 1},
                                   {0.6, 5, 8, 2, 7, 1.5, 0},
                                   {0.5, 0, 201, 1, 1, 0.5, 0},
                                   {0.9, 8, 1, 1, 16, 3.0, 0},
                                   {0.5, 3, 63, 2, 3, 1, 1}};
  const int64_t n = (int64_t)2 * H * W;
  err e = {0};
  float *x = moving(2, H, W), *first = floats(n), *got = floats(n);
  for (size_t k = 0; k < sizeof list / sizeof list[0]; k++) {
    forward(&list[k], x, 2, H, W, first);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += fabs((double)first[i]);
    assert_true(isfinite(sum) && sum > 0.1 * (double)n);
    for (int l = 0; l < 4; l++) {
      if (!isa_present(isa[l])) continue;
      for (int64_t i = 0; i < n; i++) got[i] = NAN;
      fb_job j = {.x = x, .frames = 2, .height = H, .width = W, .forward = got, .isa = isa[l]};
      assert_int_equal(fb_flows(&e, &list[k], &j), OK);
      assert_memory_equal(got, first, (size_t)n * sizeof *got);
    }
  }
  free(x), free(first), free(got);
}

/* Two frames without contrast give exactly 0, whatever their values and the pyramid. */
static void constant_is_zero(void **state) {
  (void)state;
  enum { H = 131, W = 97 };
  static const double scale[] = {0.5, 0.6, 0.83};
  const int64_t n = (int64_t)H * W;
  float *x = floats(2 * n), *flow = floats(2 * n);
  for (int64_t i = 0; i < n; i++) x[i] = 200.3f, x[n + i] = 17.7f;
  for (int k = 0; k < 3; k++) {
    for (int gaussian = 0; gaussian < 2; gaussian++) {
      fb_params p = fb_defaults();
      p.pyr_scale = scale[k], p.levels = 6, p.gaussian = gaussian;
      forward(&p, x, 2, H, W, flow);
      for (int64_t i = 0; i < 2 * n; i++) assert_true(flow[i] == 0);
    }
  }
  free(x), free(flow);
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
    forward(&p, x, 2, size[k][0], size[k][1], flow);
    for (int64_t i = 0; i < 2 * n; i++) assert_true(k % 2 == 0 || isfinite(flow[i]));
    free(x), free(flow);
  }
  float x[2] = {0}, flow[2];
  fb_job j = {.x = x, .frames = 2, .height = 1, .width = 1, .forward = flow};
  p.window = 0;
  assert_int_equal(fb_flows(&e, &p, &j), E_ARG);
  err_clear(&e);
  p = fb_defaults(), j.frames = 1;
  assert_int_equal(fb_flows(&e, &p, &j), E_ARG);
  err_clear(&e);
  j.frames = 2, j.isa = "v9";
  assert_int_equal(fb_flows(&e, &p, &j), E_UNSUPPORTED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(flows_match_opencv, setup, teardown),
      cmocka_unit_test_setup_teardown(level_images_match, setup, teardown),
      cmocka_unit_test_setup_teardown(stages_match, setup, teardown),
      cmocka_unit_test(clip_equals_pairs),
      cmocka_unit_test(levels_agree),
      cmocka_unit_test(constant_is_zero),
      cmocka_unit_test(small_sizes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
