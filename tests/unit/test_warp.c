/* Warping against tests/golden/metrics/warp and closed forms (definitions: metric_ref.py). */
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
#include "metrics/warp.h"
#include "model/safetensors.h"

static const st_tensor *tensor(const st_file *st, const char *name, const char *part) {
  char key[64];
  snprintf(key, sizeof key, "%s.%s", name, part);
  const st_tensor *t = st_find(st, key);
  assert_non_null(t);
  return t;
}

static float *floats(const st_tensor *t, double scale) {
  float *x = malloc((size_t)t->count * sizeof *x);
  double sum = 0;
  assert_non_null(x);
  for (int64_t i = 0; i < t->count; i++) {
    x[i] = (float)(dtype_get(t->type, t->data, i) * scale);
    sum += fabs((double)x[i]);
  }
  assert_true(sum > 0);
  return x;
}

static void near(double got, double want) {
  if (!(fabs(got - want) <= 1e-6 * fmax(1e-3, fabs(want)))) fail_msg("%.9g, expected %.9g", got, want);
}

typedef struct golden_case {
  int pairs, height, width;
  float *rgb, *fwd, *bwd;
  const st_tensor *warped, *occluded, *boundary;
} golden_case;

static void compare_pair(const golden_case *g, const json *want, int t) {
  int64_t n = (int64_t)g->height * g->width, marked[2] = {0};
  const float *f = g->fwd + 2 * t * n, *now = g->rgb + 3 * t * n, *next = now + 3 * n;
  unsigned char *mask = calloc((size_t)n, 4), *edge = mask + n, *keep = edge + n, *all = keep + n;
  assert_non_null(mask);
  warp_occluded(f, g->bwd + 2 * t * n, g->height, g->width, mask);
  warp_boundary(f, g->height, g->width, edge);
  for (int64_t i = 0; i < n; i++) {
    assert_int_equal(mask[i], (int)dtype_get(g->occluded->type, g->occluded->data, t * n + i));
    assert_int_equal(edge[i], (int)dtype_get(g->boundary->type, g->boundary->data, t * n + i));
    marked[0] += mask[i], marked[1] += edge[i];
    warp_taps k = warp_at(f, (int)(i % g->width), (int)(i / g->width), g->height, g->width);
    for (int c = 0; c < 3; c++)
      assert_true(fabs(warp_sample(&k, next, 3, c) -
                       dtype_get(g->warped->type, g->warped->data, 3 * (t * n + i) + c)) < 1e-6);
    keep[i] = !mask[i] && !edge[i], all[i] = 1;
  }
  near((double)marked[0], json_at(json_get(want, "occluded_fb"), t)->num);
  near((double)marked[1], json_at(json_get(want, "motion_boundary"), t)->num);
  near(warp_error(now, next, f, keep, g->height, g->width), json_at(json_get(want, "W1"), t)->num);
  near(warp_error(now, next, f, all, g->height, g->width), json_at(json_get(want, "W1_unmasked"), t)->num);
  for (int64_t i = 0; i < n; i++) keep[i] = !mask[i];
  near(warp_error(now, next, f, keep, g->height, g->width), json_at(json_get(want, "W1_fb_only"), t)->num);
  free(mask);
}

static void golden_matches(void **state) {
  (void)state;
  static const char *const name[] = {"comp61x83", "comp64x64", "int_shift", "all_occluded"};
  err e = {0};
  st_file *st = NULL;
  json *info = NULL;
  int64_t pairs = 0;
  assert_int_equal(st_open(&e, golden_path("metrics/warp.safetensors"), &st), OK);
  assert_int_equal(json_read(&e, golden_path("metrics/warp.json"), &info), OK);
  for (int i = 0; i < 4; i++) {
    const st_tensor *fwd = tensor(st, name[i], "fwd");
    golden_case g = {.pairs = (int)fwd->shape[0], .height = (int)fwd->shape[1], .width = (int)fwd->shape[2]};
    g.fwd = floats(fwd, 1), g.bwd = floats(tensor(st, name[i], "bwd"), 1);
    g.rgb = floats(tensor(st, name[i], "rgb"), 1 / 255.0);
    g.warped = tensor(st, name[i], "warped");
    g.occluded = tensor(st, name[i], "mask_fb"), g.boundary = tensor(st, name[i], "mask_mb");
    for (int t = 0; t < g.pairs; t++, pairs++) compare_pair(&g, json_get(json_get(info, "expected"), name[i]), t);
    free(g.fwd), free(g.bwd), free(g.rgb);
  }
  assert_int_equal(pairs, 6);
  st_close(st);
  json_free(info);
}

/* Positions far outside, and a frame of one pixel, read the border. */
static void borders_are_clamped(void **state) {
  (void)state;
  float image[6] = {1, 2, 3, 4, 5, 6}, flow[12] = {0};
  const float far[] = {-1e9f, -1e9f, 1e9f, 1e9f};
  memcpy(flow, far, sizeof far);
  warp_taps a = warp_at(flow, 0, 0, 2, 3), b = warp_at(flow, 1, 0, 2, 3), c = warp_at(flow, 0, 0, 1, 1);
  assert_true(warp_sample(&a, image, 1, 0) == 1 && warp_sample(&b, image, 1, 0) == 6);
  assert_true(c.at[0] == 0 && c.at[3] == 0 && warp_sample(&c, image, 1, 0) == 1);
  flow[0] = 0.25f, flow[1] = 0.5f;
  a = warp_at(flow, 0, 0, 2, 3);
  assert_true(fabs(warp_sample(&a, image, 1, 0) - (1.25 + 4.25) / 2) < 1e-12);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(golden_matches),
      cmocka_unit_test(borders_are_clamped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
