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
#include "metrics/flow.h"
#include "metrics/flow_diff.h"
#include "metrics/plane.h"
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
  st_file *st = NULL;
  json *info = NULL;
  int64_t pairs = 0;
  st = golden_tensors("metrics/warp");
  info = golden_json("metrics/warp");
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

/* The change of alpha along given flows, pooled over the pairs, on the band of the alpha that is named. */
static void alpha_sums_match(void **state) {
  (void)state;
  static const struct {
    const char *key, *alpha;
    int still; /* every frame is the first one */
  } list[] = {
      {"alpha_ratio", "alpha", 0}, {"alpha_ratio_flicker", "flicker_alpha", 0}, {"alpha_ratio_static", "alpha", 1}};
  st_file *st = NULL;
  json *info = NULL;
  st = golden_tensors("metrics/warp");
  info = golden_json("metrics/warp");
  const st_tensor *fwd = tensor(st, "alpha_ratio", "fwd"), *stored = tensor(st, "alpha_ratio", "band");
  int pairs = (int)fwd->shape[0], h = (int)fwd->shape[1], w = (int)fwd->shape[2];
  int64_t n = (int64_t)h * w;
  float *f = floats(fwd, 1), *b = floats(tensor(st, "alpha_ratio", "bwd"), 1);
  for (int k = 0; k < 3; k++) {
    const json *want = json_get(json_get(info, "expected"), list[k].key);
    float *alpha = floats(tensor(st, "alpha_ratio", list[k].alpha), 1 / 255.0);
    unsigned char *band = malloc((size_t)n), *occluded = malloc((size_t)n);
    double *scratch = malloc((size_t)plane_band_scratch(h, w) * sizeof *scratch);
    warp_sums all = {0};
    assert_true(band && occluded && scratch);
    for (int t = 0; t < pairs; t++) {
      const float *now = alpha + (list[k].still ? 0 : t * n), *next = alpha + (list[k].still ? 0 : (t + 1) * n);
      plane_band(now, h, w, band, scratch);
      if (k == 0)
        for (int64_t i = 0; i < n; i++)
          assert_int_equal(band[i], (int)dtype_get(stored->type, stored->data, t * n + i));
      warp_sums s = warp_alpha(&(warp_pair){now, next, f + 2 * t * n, b + 2 * t * n, band, h, w}, occluded);
      all.moved += s.moved, all.still += s.still, all.pixels += s.pixels;
    }
    assert_true(all.pixels > 0 && all.moved > 0);
    near((double)all.pixels, json_get(want, "pixels")->num);
    near(all.moved / (double)all.pixels, json_get(want, "E")->num);
    near(all.still / (double)all.pixels, json_get(want, "D")->num);
    assert_int_equal(json_get(want, "R")->type == JSON_NULL, all.still == 0);
    if (all.still > 0) near(all.moved / all.still, json_get(want, "R")->num);
    free(alpha), free(band), free(occluded), free(scratch);
  }
  free(f), free(b);
  st_close(st);
  json_free(info);
}

static void same_image(const char *part, const st_file *st, const float *got) {
  float *want = floats(tensor(st, "flowdiff", part), 1);
  int64_t n = tensor(st, "flowdiff", part)->count, differ = 0;
  for (int64_t i = 0; i < n; i++) {
    if (fabs((double)got[i] - (double)want[i]) > 1e-5 * 255)
      fail_msg("%s[%d]: %g, %g", part, (int)i, (double)got[i], (double)want[i]);
    differ += got[i] != got[0];
  }
  assert_true(differ > n / 100);
  free(want);
}

/* The flow differences of given flows, with every step between: stretched streams, band, arithmetic. */
static void flow_differences_match(void **state) {
  (void)state;
  err e = {0};
  st_file *st = golden_tensors("metrics/warp");
  json *info = golden_json("metrics/warp");
  const json *want = json_get(json_get(info, "expected"), "flowdiff"), *b = json_get(want, "band");
  const st_tensor *flow = tensor(st, "flowdiff", "flow_rgb"), *stored = tensor(st, "flowdiff", "band");
  int pairs = (int)flow->shape[0], h = (int)flow->shape[1], w = (int)flow->shape[2];
  int64_t n = (int64_t)h * w, in_mask = 0;
  float *fc = floats(flow, 1), *fa = floats(tensor(st, "flowdiff", "flow_alpha"), 1);
  float *alpha = floats(tensor(st, "flowdiff", "alpha"), 1 / 255.0),
        *rgba = floats(tensor(st, "flowdiff", "rgba"), 1 / 255.0);
  float *p = malloc(3 * (size_t)((pairs + 1) * n) * sizeof *p),
        *image = malloc((size_t)((pairs + 1) * n) * sizeof *image);
  unsigned char *band = malloc((size_t)(pairs * n));
  double *scratch = malloc((size_t)plane_band_scratch(h, w) * sizeof *scratch), mask = 0, length = 0;
  assert_true(p && image && band && scratch);
  for (int64_t i = 0; i < 3 * (pairs + 1) * n; i++) p[i] = rgba[4 * (i / 3) + i % 3] * rgba[4 * (i / 3) + 3];
  assert_int_equal(flow_image(&e, p, FLOW_LUMA_STRETCHED, (pairs + 1) * n, 1, image), OK);
  same_image("luma_stretched0", st, image);
  assert_int_equal(flow_image(&e, alpha, FLOW_ALPHA_STRETCHED, (pairs + 1) * n, 1, image), OK);
  same_image("alpha_stretched0", st, image);
  for (int t = 0; t < pairs; t++) plane_band(alpha + t * n, h, w, band + t * n, scratch);
  for (int64_t i = 0; i < pairs * n; i++) assert_int_equal(band[i], (int)dtype_get(stored->type, stored->data, i));
  near(flow_diff_full(fc, fa, pairs * n), json_get(want, "fd_full")->num);
  flow_band got = flow_diff_band(fc, fa, band, pairs * n);
  assert_true(got.pixels > 0 && (double)got.pixels == json_get(b, "pixels")->num);
  near(got.px, json_get(b, "px")->num), near(got.rel, json_get(b, "rel")->num),
      near(got.cos, json_get(b, "cos")->num);
  near(got.logmag, json_get(b, "logmag")->num), near(got.rgb, json_get(b, "mean_rgb_flow")->num);
  for (int64_t i = 0; i < pairs * n; i++) {
    if (alpha[i] < 0.5f) continue;
    mask += hypot((double)fc[2 * i] - (double)fa[2 * i], (double)fc[2 * i + 1] - (double)fa[2 * i + 1]);
    length += hypot((double)fc[2 * i], (double)fc[2 * i + 1]);
    band[i] = 2, in_mask++;
  }
  for (int64_t i = 0; i < pairs * n; i++) band[i] = band[i] == 2;
  got = flow_diff_band(fc, fa, band, pairs * n);
  assert_true(got.pixels == in_mask && fabs(got.px - mask / (double)in_mask) < 1e-9);
  near(got.px, json_get(want, "fd_mask")->num);
  near(got.px / (length / (double)in_mask + 1e-6), json_get(want, "fd_mask_rel")->num);
  free(fc), free(fa), free(alpha), free(rgba), free(p), free(image), free(band), free(scratch);
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
      cmocka_unit_test(alpha_sums_match),
      cmocka_unit_test(flow_differences_match),
      cmocka_unit_test(borders_are_clamped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
