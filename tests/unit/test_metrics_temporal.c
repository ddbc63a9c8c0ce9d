/* Lag, edges, boundaries, flicker, motion and alpha's shape: closed forms, properties, reasons. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clip.h"
#include "base/rng.h"
#include "metrics/flow.h"
#include "metrics/metric.h"
#include "metrics/session.h"

static clip blank(int frames, int h, int w, clip_colour colour) {
  err e = {0};
  clip c;
  assert_int_equal(clip_new(&e, frames, h, w, 1, &c), OK);
  c.colour = colour;
  return c;
}

static int64_t pixels(const clip *c) {
  return (int64_t)c->frames * c->height * c->width;
}

static metric_value score(const char *id, const clip *c) {
  err e = {0};
  metric_request r;
  metric_value v = {.value = NAN};
  if (metric_parse(&e, id, &r) != OK) fail_msg("%s", e.text);
  if (metric_score(&e, &r, 1, &(metric_input){.clip = c}, &v) != OK) fail_msg("%s", e.text);
  assert_true(isfinite(v.value));
  return v;
}

static void expect(const char *id, const clip *c, double want) {
  metric_value v = score(id, c);
  if (v.reason) fail_msg("%s: %s, expected %g", id, v.reason, want);
  if (!(fabs(v.value - want) <= 1e-6 * fmax(1, fabs(want)))) fail_msg("%s: %.9g, expected %.9g", id, v.value, want);
}

static void expect_reason(const char *id, const clip *c, const char *reason) {
  metric_value v = score(id, c);
  if (!v.reason) fail_msg("%s: %g, expected %s", id, v.value, reason);
  assert_string_equal(v.reason, reason);
}

static void grey(clip *c, int64_t i, double v) {
  for (int k = 0; k < 3; k++) c->rgb[3 * i + k] = (float)v;
}

/* --- a textured disc on texture, on a path whose speed changes ----------------------------------------------------
 */

static void place(double t, double *x, double *y) {
  *x = 34 + 11 * sin(0.62 * t) + 3 * sin(1.7 * t), *y = 31 + 9 * cos(0.85 * t) + 2 * sin(1.3 * t);
}

/* The picture is `rgb_late` frames behind the path, alpha `alpha_late`. */
static clip swinging(int frames, int rgb_late, int alpha_late) {
  clip c = blank(frames, 64, 72, CLIP_DECODED);
  for (int64_t i = 0; i < pixels(&c); i++) {
    double t = (double)(i / (64 * 72)), y = (double)(i / 72 % 64), x = (double)(i % 72), cx, cy;
    place(t - alpha_late, &cx, &cy);
    c.alpha[i] = (float)fmax(0, fmin(1, 0.5 + (14 - hypot(x - cx, y - cy)) / 2));
    place(t - rgb_late, &cx, &cy);
    double a = fmax(0, fmin(1, 0.5 + (14 - hypot(x - cx, y - cy)) / 2));
    double object = 0.75 + 0.2 * sin(0.7 * (x - cx)) * cos(0.6 * (y - cy));
    grey(&c, i, a * object + (1 - a) * 0.1);
  }
  return c;
}

static void lag_counts_frames(void **state) {
  (void)state;
  static const int late[][2] = {{0, 0}, {0, 1}, {0, 2}, {0, 3}, {1, 0}, {2, 0}, {2, 2}, {3, 3}, {1, 3}};
  for (size_t k = 0; k < sizeof late / sizeof late[0]; k++) {
    clip c = swinging(14, late[k][0], late[k][1]);
    int want = late[k][1] - late[k][0];
    expect("alpha_lag", &c, want);
    expect("abs_lag", &c, abs(want));
    assert_true(score("alpha_lag_contrast", &c).value > 1.5);
    clip_free(&c);
  }
  clip c = swinging(14, 0, 0), late_alpha = swinging(14, 0, 2), both = swinging(14, 2, 2);
  double right = score("fd_band_rel", &c).value, delayed = score("fd_band_rel", &both).value,
         wrong = score("fd_band_rel", &late_alpha).value;
  assert_true(wrong > 2 * right && wrong > 2 * delayed); /* a delay of both is none */
  clip_free(&c), clip_free(&late_alpha), clip_free(&both);
}

/* Against the definition: warped by hand along the flows of the session. */
static void middle_frames_are_interpolated(void **state) {
  (void)state;
  err e = {0};
  clip c = swinging(5, 0, 0);
  metric_session s;
  metric_request r;
  metric_view v;
  const char *why;
  const float *f, *b;
  fb_params fb = fb_defaults();
  double sum = 0;
  const int64_t n = 64 * 72;
  assert_int_equal(metric_parse(&e, "midframe_residual", &r), OK);
  assert_int_equal(session_open(&e, &s, &(metric_input){.clip = &c}), OK);
  assert_int_equal(session_view(&e, &s, &r, SIDE_OWN, &v, &why), OK);
  assert_int_equal(flow_of(&e, &v, FLOW_LUMA8, FLOW_FORWARD, &fb, &f), OK);
  assert_int_equal(flow_of(&e, &v, FLOW_LUMA8, FLOW_BACKWARD, &fb, &b), OK);
  for (int64_t i = n; i < 4 * n; i++) {
    double mean = 0, x = (double)(i % 72), y = (double)(i / 72 % 64);
    for (int side = 0; side < 2; side++) { /* frame t to t - 1: backward flow of pair t - 1; to t + 1: forward of t */
      const float *g = side ? f + 2 * i : b + 2 * (i - n), *image = c.rgb + 3 * (i / n + (side ? 1 : -1)) * n;
      double px = x + (double)g[0], py = y + (double)g[1], fx = px - floor(px), fy = py - floor(py);
      for (int k = 0; k < 4; k++) {
        int64_t qx = (int64_t)fmax(0, fmin(71, floor(px) + k % 2)),
                qy = (int64_t)fmax(0, fmin(63, floor(py) + k / 2));
        double code = floor((double)image[3 * (qy * 72 + qx)] * 255 + 0.5) / 255;
        mean += (k % 2 ? fx : 1 - fx) * (k / 2 ? fy : 1 - fy) * code / 2;
      }
    }
    sum += fabs(floor((double)c.rgb[3 * i] * 255 + 0.5) / 255 - mean) / (3 * (double)n);
  }
  assert_true(sum > 1e-3);
  expect("midframe_residual", &c, sum);
  session_close(&s);
  double smooth = sum;
  for (int64_t i = 2 * n; i < 3 * n; i++) grey(&c, i, 0.9 * (double)c.rgb[3 * i]); /* one dark frame */
  assert_true(score("midframe_residual", &c).value > 1.5 * smooth);
  for (int64_t i = n; i < 5 * n; i++) grey(&c, i, (double)c.rgb[3 * (i % n)]);
  assert_true(score("midframe_residual", &c).value < 0.1 * smooth); /* still */
  c.frames = 2;
  expect_reason("midframe_residual", &c, METRIC_TOO_FEW_FRAMES);
  clip_free(&c);
}

static void short_clips_have_no_lag(void **state) {
  (void)state;
  clip c = swinging(2, 0, 0);
  expect("alpha_lag", &c, 0);
  expect_reason("alpha_lag_contrast", &c, METRIC_TOO_FEW_FRAMES); /* no neighbour to stand out from */
  for (int64_t i = 0; i < pixels(&c); i++) c.alpha[i] = 0.5f;
  expect_reason("alpha_lag", &c, METRIC_NO_BAND);
  expect_reason("alpha_lag_contrast", &c, METRIC_NO_BAND);
  clip_free(&c);
  c = blank(4, 40, 44, CLIP_DECODED);
  for (int64_t i = 0; i < pixels(&c); i++)
    c.alpha[i] = i % 44 > 14 && i % 44 < 28 && i / 44 % 40 > 12 && i / 44 % 40 < 26;
  expect_reason("abs_lag", &c, METRIC_STATIC);
  expect_reason("alpha_warp_R", &c, METRIC_STATIC);
  expect("alpha_warp_E", &c, 0);
  clip_free(&c);
}

/* --- shape --------------------------------------------------------------------------------------------------------
 */

/* Rows of text to alpha: '#' 1, '.' 0. */
static void draw(clip *c, int frame, const char *const *row) {
  for (int y = 0; y < c->height; y++)
    for (int x = 0; x < c->width; x++) c->alpha[((int64_t)frame * c->height + y) * c->width + x] = row[y][x] == '#';
}

static void components_and_holes(void **state) {
  (void)state;
  static const char *const ring[] = {
      "............", /* 16 pixels around 9, and 15 that are no component */
      ".#####..###.", ".#...#..###.", ".#...#..###.", ".#...#..###.", ".#####..###.", "............",
  };
  static const char *const open[] = {
      "####........", /* a gap in the ring; a bay at the frame's edge; a corner that only touches */
      "#...#.......", "#...#.......", "#...#.......", "#####.......", ".....####...", ".....####...",
  };
  static const char *const pinched[] = {
      ".####.......", /* diagonal steps close a hole: its background is 4-connected */
      "#...#.......", "#...#.......", "#...#.......", "#####.......", "............", "............",
  };
  clip c = blank(3, 7, 12, CLIP_DECODED);
  draw(&c, 0, ring), draw(&c, 1, open), draw(&c, 2, pinched);
  c.frames = 1;
  expect("alpha_components", &c, 1);
  expect("alpha_hole_frac", &c, 9.0 / 31);
  float *alpha = c.alpha;
  c.alpha = alpha + 84; /* the bay is open diagonally only: still a hole */
  expect("alpha_components", &c, 0);
  expect("alpha_hole_frac", &c, 9.0 / 23);
  c.alpha = alpha + 168;
  expect("alpha_components", &c, 0);
  expect("alpha_hole_frac", &c, 9.0 / 15);
  c.alpha = alpha, c.frames = 3;
  expect("alpha_components", &c, 1.0 / 3);
  expect("alpha_hole_frac", &c, (9.0 / 31 + 9.0 / 23 + 9.0 / 15) / 3);
  for (int i = 84; i < 168; i++) c.alpha[i] = 0.49f; /* a frame without a mask has no share of holes */
  expect("alpha_components", &c, 1.0 / 3);
  expect("alpha_hole_frac", &c, (9.0 / 31 + 9.0 / 15) / 2);
  for (int i = 0; i < 252; i++) c.alpha[i] = 0.49f;
  expect("alpha_components", &c, 0);
  expect_reason("alpha_hole_frac", &c, METRIC_NO_MASK);
  clip_free(&c);
}

static void histogram_and_colour(void **state) {
  (void)state;
  clip c = blank(1, 4, 50, CLIP_PREMULTIPLIED);
  for (int i = 0; i < 200; i++) c.alpha[i] = (float)((199 - i) / 199.0);
  expect("alpha_p99", &c, 0.99);
  for (int i = 0; i < 200; i++) c.alpha[i] = (float)(i % 4 / 3.0);
  expect("alpha_entropy", &c, 2);
  for (int i = 0; i < 200; i++) c.alpha[i] = (float)(i % 2);
  expect("alpha_entropy", &c, 1);
  for (int i = 0; i < 200; i++) c.alpha[i] = i < 50 ? 0.01f : 1, grey(&c, i, i < 50 ? 0.3 : i < 80 ? 0 : 0.5);
  expect("leak_bg", &c, 0.3);
  expect("missing_fg", &c, 30.0 / 150);
  c.colour = CLIP_STRAIGHT; /* over black nothing of the colour under alpha .01 is left but a hundredth */
  expect("leak_bg", &c, 0.003);
  for (int i = 0; i < 200; i++) c.alpha[i] = 0.5f;
  expect_reason("leak_bg", &c, METRIC_NO_GROUND);
  expect_reason("missing_fg", &c, METRIC_NO_MASK);
  expect("alpha_entropy", &c, 0);
  clip_free(&c);
}

/* --- flicker and motion -------------------------------------------------------------------------------------------
 */

static void flicker_closed_forms(void **state) {
  (void)state;
  clip c = blank(3, 5, 7, CLIP_PREMULTIPLIED);
  int64_t n = 35;
  expect("flicker_vbench_rgb", &c, 1);
  for (int64_t i = 0; i < 3 * n; i++) c.alpha[i] = (float)(i / n % 2), grey(&c, i, 0);
  expect("flicker_vbench", &c, 0);
  expect("flicker_vbench_rgb", &c, 1);                         /* black over black */
  expect("flicker_vbench_composite", &c, (255 - 128) / 255.0); /* black over grey, code 128 */
  for (int64_t i = 0; i < 3 * n; i++) grey(&c, i, (double)(i / n % 2));
  expect("flicker_vbench_rgb", &c, 0);
  expect("flicker_vbench_composite", &c, 128 / 255.0);
  clip_free(&c);
}

/* Codes of 16-bit values: nearest of 255 levels, ties up. */
static void sixteen_bits_round_to_codes(void **state) {
  (void)state;
  enum { N = 4096 };
  clip c = blank(2, 64, 64, CLIP_DECODED);
  float u[2 * N];
  int64_t sum = 0, halves = 0;
  rng_uniform((rng){.seed = 5, .stream = RNG_TEST, .sub = 1}, 0, 2 * N, u);
  int64_t code[2 * N];
  for (int i = 0; i < 2 * N; i++) {
    int64_t v = (int64_t)((double)u[i] * 65535); /* 257 codes a level: never a tie, next to one twice a level */
    if (i % 2) v = v / 257 * 257 + 128 + i / 2 % 2;
    if (v > 65535) v = 65535;
    c.alpha[i] = (float)((double)v / 65535);
    code[i] = (2 * v * 255 + 65535) / (2 * 65535);
    halves += v % 257 == 128 || v % 257 == 129;
  }
  for (int i = 0; i < N; i++) sum += llabs(code[N + i] - code[i]);
  assert_true(halves > N / 2 && sum > N);
  metric_value v = score("flicker_vbench", &c);
  assert_true(!v.reason && fabs(v.value - (255 - (double)sum / N) / 255) < 1e-12);
  memset(c.alpha, 0, 2 * N * sizeof(float));
  for (int i = 0; i < 16; i++) c.alpha[i / 4 * 64 + i % 4] = (float)(32768 / 65535.0);
  c.frames = 1;
  expect("alpha_components", &c, 1);
  for (int i = 0; i < 16; i++) c.alpha[i / 4 * 64 + i % 4] = (float)(32767 / 65535.0);
  expect("alpha_components", &c, 0);
  clip_free(&c);
}

static void still_pictures_do_not_move(void **state) {
  (void)state;
  clip c = blank(4, 40, 44, CLIP_DECODED);
  for (int64_t i = 0; i < pixels(&c); i++) c.alpha[i] = 1, grey(&c, i, 0.25 + 0.1 * (double)(i / (40 * 44)));
  c.fps = 8;
  expect("mean_flow", &c, 0); /* brighter and brighter, without contrast */
  expect("dynamic_degree_fb", &c, 0);
  metric_value v = score("rgb_warp_error", &c), three = score("rgb_warp_error:sum=1", &c);
  /* codes 64, 89, 115, 140 */
  assert_true(!v.reason && fabs(v.value - (25 * 25 + 26 * 26 + 25 * 25) / (3 * 255.0 * 255)) < 1e-9);
  assert_true(fabs(three.value - 3 * v.value) < 1e-12);
  clip_free(&c);
}

/* Thinning to about 8 frames/s: a clip tagged 24 is its every third frame at 8; unknown rates count as 8. */
static void rate_decides_what_moves(void **state) {
  (void)state;
  clip c = swinging(13, 0, 0), third = blank(5, 64, 72, CLIP_DECODED);
  int64_t n = 64 * 72;
  for (int t = 0; t < 5; t++) {
    memcpy(third.rgb + 3 * t * n, c.rgb + 9 * t * n, (size_t)(3 * n) * sizeof(float));
    memcpy(third.alpha + t * n, c.alpha + 3 * t * n, (size_t)n * sizeof(float));
  }
  c.fps = 24, third.fps = 8;
  metric_value a = score("dynamic_degree_fb", &c), b = score("dynamic_degree_fb", &third);
  assert_true(a.value == b.value && a.value == 1 && a.support == 4 && b.support == 4);
  c.fps = 0;
  metric_value unknown = score("dynamic_degree_fb", &c);
  c.fps = 8;
  metric_value eight = score("dynamic_degree_fb", &c);
  assert_true(unknown.value == eight.value && unknown.support == 12 && eight.support == 12);
  c.fps = 0.5; /* the limit is 24 px a frame */
  expect("dynamic_degree_fb", &c, 0);
  c.frames = 3, c.fps = 25;
  expect_reason("dynamic_degree_fb", &c, METRIC_TOO_FEW_FRAMES);
  c.frames = 2, c.fps = 8; /* no frame of two is needed: the published rule */
  memcpy(c.rgb + 3 * n, c.rgb, (size_t)(3 * n) * sizeof(float));
  expect("dynamic_degree_fb", &c, 1);
  clip_free(&c), clip_free(&third);
}

/* --- edges --------------------------------------------------------------------------------------------------------
 */

/* A step of the picture between columns 19 and 20, of alpha `by` columns further on. */
static clip steps(int by, double height) {
  clip c = blank(2, 24, 41, CLIP_DECODED);
  for (int64_t i = 0; i < pixels(&c); i++) {
    grey(&c, i, i % 41 >= 20 ? height : 0);
    c.alpha[i] = i % 41 >= 20 + by;
  }
  return c;
}

/* The contour is the column before alpha's step, the picture's edge the two columns at its own. */
static void chamfer_counts_columns(void **state) {
  (void)state;
  for (int by = -9; by <= 9; by += 3) {
    clip c = steps(by, 0.8);
    double to_edge = by > 0 ? by - 1 : -by, to_contour = by > 0 ? by - 0.5 : -by + 0.5;
    expect("edge_chamfer", &c, to_edge);
    expect("edge_chamfer_both", &c, (to_edge + to_contour) / 2);
    clip_free(&c);
  }
  clip c = steps(3, 0.06); /* its steepest gradient is .06 g(0) < .02 */
  expect_reason("edge_chamfer", &c, METRIC_FLAT_RGB);
  for (int64_t i = 0; i < pixels(&c); i++) c.alpha[i] = 1, grey(&c, i, i % 41 >= 20 ? 0.8 : 0);
  expect_reason("edge_chamfer", &c, METRIC_FLAT_ALPHA);
  clip_free(&c);
}

/* Edges that coincide correlate fully; a translucent alpha is cut at its own height; each shift costs. */
static void edges_fall_with_shift(void **state) {
  (void)state;
  static const char *const id[] = {"edge_corr", "edge_cos", "boundary_f", "boundary_iou"};
  for (int k = 0; k < 4; k++) {
    double last = INFINITY;
    for (int by = 0; by <= 8; by += 2) {
      clip c = steps(by, 0.8);
      metric_value v = score(id[k], &c);
      assert_null(v.reason);
      if (by == 0) assert_true(fabs(v.value - 1) < 1e-9);
      if (!(v.value < last) && last > 0) fail_msg("%s by %d: %g after %g", id[k], by, v.value, last);
      for (int64_t i = 0; i < pixels(&c); i++) c.alpha[i] *= 0.3f;
      assert_true(fabs(score(id[k], &c).value - v.value) < 1e-6);
      last = v.value;
      clip_free(&c);
    }
    assert_true(last < 0.5);
  }
  clip c = steps(0, 0.8);
  memset(c.alpha, 0, (size_t)pixels(&c) * sizeof(float));
  expect("boundary_f", &c, 0);
  expect("boundary_iou", &c, 0);
  memset(c.rgb, 0, (size_t)(3 * pixels(&c)) * sizeof(float));
  expect("boundary_f", &c, 1); /* nothing there, nothing found */
  expect_reason("boundary_iou", &c, METRIC_EMPTY_ALPHA);
  expect_reason("edge_corr", &c, METRIC_FLAT_ALPHA);
  clip_free(&c);
}

/* --- all of them --------------------------------------------------------------------------------------------------
 */

static const char *const pairwise[] = {
    "alpha_lag",        "abs_lag",        "alpha_lag_contrast", "alpha_warp_R", "alpha_warp_E",
    "rgb_warp_error",   "flicker_vbench", "flicker_vbench_rgb", "mean_flow",    "flicker_vbench_composite",
    "dynamic_degree_fb"};

static void one_frame_has_no_pairs(void **state) {
  (void)state;
  clip c = swinging(1, 0, 0);
  for (size_t i = 0; i < sizeof pairwise / sizeof pairwise[0]; i++)
    expect_reason(pairwise[i], &c, METRIC_TOO_FEW_FRAMES);
  static const char *const single[] = {"edge_corr", "edge_cos", "alpha_p99", "alpha_entropy", "alpha_components"};
  for (size_t i = 0; i < sizeof single / sizeof single[0]; i++) assert_null(score(single[i], &c).reason);
  clip_free(&c);
}

/* What a clip without alpha still has, and what it has not. */
static void pictures_without_alpha(void **state) {
  (void)state;
  static const char *const yes[] = {"rgb_warp_error", "flicker_vbench_rgb", "mean_flow", "dynamic_degree_fb"};
  static const char *const no[] = {"alpha_lag", "alpha_warp_R", "flicker_vbench", "flicker_vbench_composite",
                                   "edge_corr", "boundary_f",   "alpha_p99",      "leak_bg"};
  clip c = swinging(4, 0, 0);
  float *alpha = c.alpha;
  c.alpha = NULL;
  for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
    metric_value v = score(yes[i], &c);
    if (v.reason) fail_msg("%s: %s", yes[i], v.reason);
    assert_true(v.value > 0);
  }
  for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) expect_reason(no[i], &c, METRIC_NO_ALPHA);
  c.alpha = alpha;
  clip_free(&c);
}

/* Mirroring both streams changes nothing in what has no direction of its own. */
static void mirrored_clips_score_the_same(void **state) {
  (void)state;
  static const char *const id[] = {"edge_corr", "edge_cos",      "boundary_iou",       "flicker_vbench",
                                   "alpha_p99", "alpha_entropy", "alpha_components",   "alpha_hole_frac",
                                   "leak_bg",   "missing_fg",    "flicker_vbench_rgb", "flicker_vbench_composite",
                                   "alpha_lag"};
  clip c = swinging(8, 0, 1), m = blank(8, 64, 72, CLIP_DECODED);
  for (int64_t i = 0; i < pixels(&c); i++) {
    int64_t j = i / 72 * 72 + 71 - i % 72;
    m.alpha[j] = c.alpha[i];
    memcpy(m.rgb + 3 * j, c.rgb + 3 * i, 3 * sizeof(float));
  }
  assert_memory_not_equal(m.alpha, c.alpha, (size_t)pixels(&c) * sizeof(float));
  for (size_t i = 0; i < sizeof id / sizeof id[0]; i++) {
    metric_value a = score(id[i], &c), b = score(id[i], &m);
    assert_true(!a.reason && !b.reason && a.support == b.support);
    if (fabs(a.value - b.value) > 1e-9) fail_msg("%s: %.12g mirrored %.12g", id[i], a.value, b.value);
  }
  clip_free(&c), clip_free(&m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lag_counts_frames),           cmocka_unit_test(middle_frames_are_interpolated),
      cmocka_unit_test(short_clips_have_no_lag),     cmocka_unit_test(components_and_holes),
      cmocka_unit_test(histogram_and_colour),        cmocka_unit_test(flicker_closed_forms),
      cmocka_unit_test(sixteen_bits_round_to_codes), cmocka_unit_test(still_pictures_do_not_move),
      cmocka_unit_test(rate_decides_what_moves),     cmocka_unit_test(chamfer_counts_columns),
      cmocka_unit_test(edges_fall_with_shift),       cmocka_unit_test(one_frame_has_no_pairs),
      cmocka_unit_test(pictures_without_alpha),      cmocka_unit_test(mirrored_clips_score_the_same),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
