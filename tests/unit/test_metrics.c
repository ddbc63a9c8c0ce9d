/* The metric interface: names, forms, reasons, closed forms, invariances. */
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
#include "base/rng.h"
#include "golden.h"
#include "metrics/flow_diff.h"
#include "metrics/metric.h"

enum { MANY = 128 };

static int64_t pixels(const clip *c) {
  return (int64_t)c->frames * c->height * c->width;
}

/* A coloured disc moving over a grey texture; alpha is its matte. Every draw depends on `seed` alone. */
static clip moving_disc(int frames, int h, int w, uint64_t seed) {
  err e = {0};
  clip c;
  float u[10];
  rng_uniform((rng){.seed = seed, .stream = RNG_TEST, .sub = 7}, 0, 10, u);
  assert_int_equal(clip_new(&e, frames, h, w, 1, &c), OK);
  double cx = (0.25 + 0.5 * (double)u[0]) * w, cy = (0.25 + 0.5 * (double)u[1]) * h, r = 0.22 * fmin(h, w);
  double vx = 2 * (double)u[2] - 1, vy = 2 * (double)u[3] - 1, px = 0.1 + 0.2 * (double)u[8],
         py = 0.1 + 0.2 * (double)u[9];
  for (int64_t i = 0; i < pixels(&c); i++) {
    int64_t t = i / (h * w), y = i % (h * w) / w, x = i % w;
    double d = hypot((double)x + 0.5 - cx - vx * (double)t, (double)y + 0.5 - cy - vy * (double)t);
    double a = fmax(0, fmin(1, r - d + 0.5)),
           grey = 0.5 + 0.2 * sin(px * (double)x + py * (double)y + 6 * (double)u[7]);
    c.alpha[i] = (float)a;
    for (int k = 0; k < 3; k++) c.rgb[3 * i + k] = (float)(a * (0.2 + 0.7 * (double)u[4 + k]) + (1 - a) * grey);
  }
  return c;
}

static float *copy(const float *x, int64_t n) {
  float *p = malloc((size_t)n * sizeof *p);
  assert_non_null(p);
  memcpy(p, x, (size_t)n * sizeof *p);
  return p;
}

static metric_request request(const char *id) {
  err e = {0};
  metric_request r;
  if (metric_parse(&e, id, &r) != OK) fail_msg("%s", e.text);
  return r;
}

static metric_value score(const char *id, const metric_input *in) {
  err e = {0};
  metric_request r = request(id);
  metric_value v = {.value = NAN};
  if (metric_score(&e, &r, 1, in, &v) != OK) fail_msg("%s", e.text);
  assert_true(isfinite(v.value));
  return v;
}

static void expect(const char *id, const metric_input *in, double want) {
  metric_value v = score(id, in);
  if (v.reason) fail_msg("%s: %s, expected %g", id, v.reason, want);
  if (!(fabs(v.value - want) <= 1e-6 * fmax(1, fabs(want)))) fail_msg("%s: %.9g, expected %.9g", id, v.value, want);
  assert_true(v.support > 0);
}

static void expect_reason(const char *id, const metric_input *in, const char *reason) {
  metric_value v = score(id, in);
  if (!v.reason) fail_msg("%s: %g, expected %s", id, v.value, reason);
  assert_string_equal(v.reason, reason);
  assert_true(v.value == 0);
}

/* Every metric of the build, and the gain of those that have one. */
static int all_requests(metric_request out[MANY]) {
  int n = 0;
  for (const metric *const *m = metric_list(); *m; m++) {
    out[n++] = request((*m)->id);
    if (!(*m)->gain_ok) continue;
    out[n] = out[n - 1];
    out[n++].gain = 1;
    assert_true(n < MANY);
  }
  return n;
}

static int known_reason(const char *code) {
  for (const metric_reason *r = metric_reasons(); r->code; r++)
    if (!strcmp(r->code, code)) return 1;
  return 0;
}

static void registry_is_sound(void **state) {
  (void)state;
  metric_request all[MANY];
  int n = all_requests(all);
  assert_true(n > 30);
  for (int i = 0; i < n; i++) {
    const metric *m = all[i].metric;
    assert_true(m->version >= 1 && m->lo < m->hi && m->min_frames >= 1 && m->unit && m->score);
    assert_true(strlen(m->help) > 10 && strlen(m->citation) > 3);
    assert_true(strlen(m->id) < 5 || strcmp(m->id + strlen(m->id) - 5, "_gain"));
    if (m->gain_ok) assert_true(m->plane == METRIC_JOINT && (m->needs & METRIC_NEEDS_ALPHA));
    for (int k = 0; m->reasons[k]; k++) assert_true(known_reason(m->reasons[k]));
    for (int k = 0; m->params && m->params[k].name; k++) {
      assert_true(k < METRIC_PARAMS && m->params[k].lo <= m->params[k].initial);
      assert_true(m->params[k].initial <= m->params[k].hi && strlen(m->params[k].help) > 3);
    }
    char print[METRIC_TEXT];
    metric_print(&all[i], print);
    metric_request back = request(print);
    assert_true(back.metric == m && back.gain == all[i].gain);
    for (int k = 0; k < i; k++) assert_true(m != all[k].metric || all[i].gain != all[k].gain);
  }
}

static void names_parse(void **state) {
  (void)state;
  char print[METRIC_TEXT];
  metric_request r = request("color_fit_gain:rt=2,r=6");
  assert_true(r.gain && r.param[0] == 6 && r.param[1] == 2 && r.param[2] == 1e-4);
  metric_print(&r, print);
  assert_string_equal(print, "color_fit_gain:r=6,rt=2");
  r = request("color_fit:rt=1,ridge=0.3");
  metric_print(&r, print);
  assert_string_equal(print, "color_fit:ridge=0.3");
  double lo, hi;
  metric_range(&r, &lo, &hi);
  assert_true(lo == 0 && hi == 1);
  r.gain = 1;
  metric_range(&r, &lo, &hi);
  assert_true(lo == -1 && hi == 1);
  static const char *const bad[][2] = {{"colour_fit", "did you mean 'color_fit'"},
                                       {"", "unknown metric"},
                                       {"alpha_coverage_gain", "no gain"},
                                       {"color_fit:", "not parameter=value"},
                                       {"color_fit:r", "=value"},
                                       {"color_fit:q=1", "no parameter 'q'"},
                                       {"color_fit:r=1.5", "whole number"},
                                       {"color_fit:r=nan", "number"},
                                       {"color_fit:r=-1", "[0, 256]"},
                                       {"color_fit:r=4,r=4", "given twice"},
                                       {"color_fit:r= 4", "a number"},
                                       {"color_fit:r=4x", "a number"},
                                       {"color_fit:r=4,", "not parameter=value"},
                                       {"true_iou:r=1", "no parameter"}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    err e = {0};
    assert_int_equal(metric_parse(&e, bad[i][0], &r), E_CONFIG);
    if (!strstr(e.text, bad[i][1])) fail_msg("'%s': %s", bad[i][0], e.text);
  }
  r = request("fd_full:levels=2,picture=premultiplied");
  metric_print(&r, print);
  assert_string_equal(print, "fd_full:picture=premultiplied,levels=2");
  assert_true(metric_circular(&r) && r.metric->picture == METRIC_DECODED);
  r = request("fd_full:picture=decoded");
  metric_print(&r, print);
  assert_string_equal(print, "fd_full");
  assert_true(!metric_circular(&r));
}

/* 2 frames of 1x4, values chosen so that every answer is a small fraction. */
static void truth_closed_forms(void **state) {
  (void)state;
  err e = {0};
  clip c;
  assert_int_equal(clip_new(&e, 2, 1, 4, 1, &c), OK);
  memcpy(c.alpha, (float[]){1, 0.5f, 0, 0, 0, 1, 0.5f, 0}, 8 * sizeof(float));
  float truth[] = {1, 1, 0, 0, 0, 0, 1, 1}, zero[8] = {0}, ones[] = {1, 1, 1, 1, 1, 1, 1, 1};
  metric_input in = {.clip = &c, .truth = truth, .base_truth = truth};
  expect("true_iou", &in, 2.0 / 5);
  expect("true_mad", &in, 3.0 / 8);
  expect("true_corr", &in, 0.5 / sqrt(1.375 * 2));
  expect("true_tcorr", &in, 1 / sqrt(1.5 * 4));
  expect("true_displacement", &in, (0.5 - 1.0 / 3 + 2.5 - 4.0 / 3) / 2);
  expect("displacement", &in, 2);
  expect("displacement_ratio", &in, 1);
  in.truth = ones;
  expect("displacement", &in, 0);
  expect("displacement_ratio", &in, 0);
  expect_reason("true_corr", &in, METRIC_FLAT_TRUTH);
  expect_reason("true_tcorr", &in, METRIC_STATIC);
  in.truth = zero;
  expect("true_iou", &in, 0);
  expect_reason("true_displacement", &in, METRIC_EMPTY_TRUTH);
  expect_reason("displacement", &in, METRIC_EMPTY_TRUTH);
  in.truth = truth, in.base_truth = ones;
  expect_reason("displacement_ratio", &in, METRIC_STATIC_BASE);
  memset(c.alpha, 0, 8 * sizeof(float));
  expect("true_iou", &in, 0);
  expect_reason("true_displacement", &in, METRIC_EMPTY_ALPHA);
  expect_reason("true_corr", &in, METRIC_FLAT_ALPHA);
  in.truth = zero;
  expect_reason("true_iou", &in, METRIC_EMPTY_TRUTH);
  in.truth = NULL;
  expect_reason("true_iou", &in, METRIC_NO_TRUTH);
  clip_free(&c);
}

static void rgb_and_alpha_closed_forms(void **state) {
  (void)state;
  err e = {0};
  clip c, b;
  assert_int_equal(clip_new(&e, 2, 2, 2, 1, &c), OK);
  assert_int_equal(clip_new(&e, 2, 2, 2, 0, &b), OK);
  metric_input in = {.clip = &c, .base = &b};
  expect("rgb_rmse_base", &in, 0);
  expect_reason("rgb_psnr_base", &in, METRIC_IDENTICAL);
  for (int i = 0; i < 24; i++) c.rgb[i] = 0.1f + (i >= 12 ? 0.2f : 0), b.rgb[i] = i >= 12 ? 0.1f : 0;
  expect("rgb_rmse_base", &in, sqrt((0.01 + 0.04) / 2));
  expect("rgb_psnr_base", &in, -10 * log10(0.025));
  expect("motion_ratio", &in, 2);
  for (int i = 0; i < 24; i++) b.rgb[i] = 0;
  expect("motion_ratio", &in, 0.2 / 2e-3);
  memcpy(c.alpha, (float[]){0, 0.05f, 0.5f, 1, 0, 0.95f, 0.5f, 0.9f}, 8 * sizeof(float));
  expect("alpha_coverage", &in, 3.9 / 8);
  expect("alpha_soft_frac", &in, 3.0 / 8);
  expect("alpha_min", &in, 0);
  expect("alpha_max", &in, 1);
  expect("opacity_flicker", &in, 0);                                /* two points lie on a line */
  expect("alpha_luma_corr", &in, 0.01 / (0.1 * sqrt(1.31375 / 8))); /* edges fill the frame: over all pixels */
  in.base = NULL;
  expect_reason("rgb_rmse_base", &in, METRIC_NO_BASE);
  clip_free(&c), clip_free(&b);
}

static void flow_closed_forms(void **state) {
  (void)state;
  enum { N = 42 };
  json *info = NULL;
  info = golden_json("metrics/closed_forms");
  const json *list = json_get(json_get(info, "expected"), "flow_diff");
  unsigned char band[N];
  assert_int_equal(json_count(list), 7);
  for (const json *c = list->child; c; c = c->next) {
    float fc[2 * N], fa[2 * N];
    for (int i = 0; i < 2 * N; i++) {
      fc[i] = (float)json_at(json_get(c, "flow_rgb"), i % 2)->num;
      fa[i] = (float)json_at(json_get(c, "flow_alpha"), i % 2)->num;
    }
    memset(band, 1, N);
    flow_band b = flow_diff_band(fc, fa, band, N);
    const json *rel = json_get(c, "rel");
    assert_true(fabs(flow_diff_full(fc, fa, N) - json_get(c, "fd_full")->num) < 1e-6);
    assert_int_equal(b.still, rel->type == JSON_NULL);
    if (!b.still) assert_true(fabs(b.rel - rel->num) < 1e-6);
    assert_int_equal(b.pixels, N);
    memset(band, 0, N);
    assert_int_equal(flow_diff_band(fc, fa, band, N).pixels, 0);
  }
  json_free(info);
}

/* The gain of an alpha against two equal pictures is exactly 0; against another picture it is what it says. */
static void gains_subtract(void **state) {
  (void)state;
  clip a = moving_disc(4, 40, 44, 1), b = moving_disc(4, 40, 44, 2), same = a;
  same.rgb = copy(a.rgb, 3 * pixels(&a));
  float *truth = copy(a.alpha, pixels(&a));
  metric_request all[MANY];
  metric_value gain[MANY], swapped[MANY];
  int n = all_requests(all);
  err e = {0};
  metric_input twin = {.clip = &a, .partner = &same, .truth = a.alpha, .partner_truth = truth};
  metric_input pair = {.clip = &a, .partner = &b, .truth = a.alpha, .partner_truth = b.alpha};
  clip other = b;
  other.alpha = a.alpha; /* the partner's picture under our alpha: the second term of the gain */
  metric_input second = {.clip = &other, .truth = b.alpha};
  assert_int_equal(metric_score(&e, all, n, &twin, gain), OK);
  for (int i = 0; i < n; i++)
    if (all[i].gain && (gain[i].reason || gain[i].value != 0)) fail_msg("%s gain", all[i].metric->id);
  assert_int_equal(metric_score(&e, all, n, &pair, gain), OK);
  int checked = 0;
  for (int i = 0; i < n; i++) {
    if (!all[i].gain) continue;
    metric_request plain = all[i];
    plain.gain = 0;
    assert_int_equal(metric_score(&e, &plain, 1, &second, &swapped[i]), OK);
    assert_true(!gain[i].reason && !gain[i - 1].reason && !swapped[i].reason);
    assert_true(gain[i].value == gain[i - 1].value - swapped[i].value);
    double sign = all[i].metric->direction == METRIC_UP ? 1 : -1;
    if (!strncmp(all[i].metric->id, "boundary_", 9)) continue; /* this picture is nowhere black */
    if (all[i].metric->cost != METRIC_FLOWS && sign * gain[i].value < 0.01)
      fail_msg("%s gains %g", all[i].metric->id, gain[i].value);
    checked++;
  }
  assert_true(checked >= 12);
  expect_reason("color_fit_gain", &(metric_input){.clip = &a}, METRIC_NO_PARTNER);
  free(same.rgb), free(truth), clip_free(&a), clip_free(&b);
}

/* An alpha that knows nothing of either picture gains nothing on average; one that fits gains a lot. */
static void null_pairing(void **state) {
  (void)state;
  static const char *const id[] = {"color_fit_gain", "edge_color_gain", "true_iou_gain"};
  enum { CLIPS = 40 };
  for (int k = 0; k < 3; k++) {
    double null = 0, square = 0, fit = 0;
    for (uint64_t s = 0; s < CLIPS; s++) {
      clip own = moving_disc(3, 32, 32, 10 + s), partner = moving_disc(3, 32, 32, 100 + s),
           alpha = moving_disc(3, 32, 32, 200 + s);
      clip blind = own;
      blind.alpha = alpha.alpha;
      metric_input in = {.clip = &own, .partner = &partner, .truth = own.alpha, .partner_truth = partner.alpha};
      fit += score(id[k], &in).value / CLIPS;
      in.clip = &blind;
      metric_value v = score(id[k], &in);
      assert_null(v.reason);
      null += v.value / CLIPS, square += v.value * v.value / CLIPS;
      clip_free(&own), clip_free(&partner), clip_free(&alpha);
    }
    double error = sqrt((square - null * null) / CLIPS);
    print_message("%s: fitting %.3f, blind %.3f +- %.3f\n", id[k], fit, null, error);
    assert_true(fabs(null) < 4 * error && error > 0);
    assert_true(fit > 0.2 && fit > 10 * error);
  }
}

static void fill(float *x, int64_t n, float v) {
  for (int64_t i = 0; i < n; i++) x[i] = v;
}

/* Whatever the clip, every metric gives a finite value in its range or a known reason. */
static void check_all(const metric_input *in, int *defined) {
  err e = {0};
  metric_request all[MANY];
  metric_value v[MANY];
  int n = all_requests(all);
  memset(v, 0xff, sizeof v);
  if (metric_score(&e, all, n, in, v) != OK) fail_msg("%s", e.text);
  *defined = 0;
  for (int i = 0; i < n; i++) {
    double lo, hi;
    metric_range(&all[i], &lo, &hi);
    if (v[i].reason) {
      if (v[i].value != 0 || !known_reason(v[i].reason)) fail_msg("%s: reason %s", all[i].metric->id, v[i].reason);
      continue;
    }
    if (!isfinite(v[i].value) || v[i].value < lo || v[i].value > hi)
      fail_msg("%s: %g", all[i].metric->id, v[i].value);
    if (v[i].support < 1) fail_msg("%s: no support", all[i].metric->id);
    ++*defined;
  }
}

static void odd_clips(void **state) {
  (void)state;
  static const int size[][3] = {{1, 33, 35}, {2, 17, 9}, {3, 1, 1}, {1, 1, 1}, {2, 1, 40}, {0, 4, 4}, {4, 64, 66}};
  static const float level[] = {0, 0.01f, 0.5f, 1};
  for (size_t k = 0; k < sizeof size / sizeof size[0]; k++) {
    clip c = moving_disc(size[k][0], size[k][1], size[k][2], k),
         p = moving_disc(size[k][0], size[k][1], size[k][2], 50 + k);
    float *truth = copy(c.alpha, pixels(&c));
    metric_input in = {
        .clip = &c, .base = &p, .partner = &p, .truth = truth, .partner_truth = p.alpha, .base_truth = p.alpha};
    int defined;
    check_all(&in, &defined);
    if (size[k][0] == 4) assert_true(defined > 35);
    if (size[k][0] == 0) assert_int_equal(defined, 0);
    for (size_t l = 0; l < sizeof level / sizeof level[0]; l++) {
      fill(c.alpha, pixels(&c), level[l]);
      check_all(&in, &defined);
    }
    fill(c.rgb, 3 * pixels(&c), 0.25f);
    check_all(&in, &defined);
    check_all(&(metric_input){.clip = &c}, &defined);
    free(c.alpha);
    c.alpha = NULL;
    check_all(&in, &defined);
    free(truth), clip_free(&c), clip_free(&p);
  }
}

static void reasons_are_exact(void **state) {
  (void)state;
  clip c = moving_disc(3, 36, 40, 3);
  metric_input in = {.clip = &c, .truth = c.alpha};
  float *alpha = copy(c.alpha, pixels(&c));
  static const char *const align[] = {"color_fit", "edge_color"};
  for (int k = 0; k < 2; k++) {
    fill(c.alpha, pixels(&c), 0.01f);
    expect_reason(align[k], &in, METRIC_EMPTY_ALPHA);
    fill(c.alpha, pixels(&c), 1);
    expect_reason(align[k], &in, METRIC_OPAQUE_ALPHA);
    fill(c.alpha, pixels(&c), 0.5f);
    expect_reason(align[k], &in, METRIC_FLAT_ALPHA);
  }
  expect_reason("fd_band_rel", &in, METRIC_NO_BAND);
  expect_reason("alpha_luma_corr", &in, METRIC_FLAT_ALPHA);
  fill(c.alpha, pixels(&c), 0.2f);
  expect_reason("fd_mask", &in, METRIC_NO_MASK);
  memcpy(c.alpha, alpha, (size_t)pixels(&c) * sizeof *alpha);
  c.colour = CLIP_PREMULTIPLIED;
  expect_reason("color_fit", &in, METRIC_CIRCULAR);
  c.colour = CLIP_STRAIGHT;
  expect_reason("color_fit", &in, METRIC_STRAIGHT_RGB);
  c.colour = CLIP_DECODED;
  c.frames = 1;
  expect_reason("fd_full", &in, METRIC_TOO_FEW_FRAMES);
  expect_reason("true_tcorr", &in, METRIC_TOO_FEW_FRAMES);
  c.frames = 3;
  c.rgb[17] = NAN;
  expect_reason("color_fit", &in, METRIC_NOT_FINITE);
  assert_null(score("true_mad", &in).reason); /* reads no picture */
  c.alpha[5] = INFINITY;
  expect_reason("true_mad", &in, METRIC_NOT_FINITE);
  expect_reason("alpha_coverage", &in, METRIC_NOT_FINITE);
  fill(c.rgb, 3 * pixels(&c), 0.5f);
  memcpy(c.alpha, alpha, (size_t)pixels(&c) * sizeof *alpha);
  expect_reason("edge_color", &in, METRIC_FLAT_RGB);
  clip small = moving_disc(3, 35, 40, 1);
  err e = {0};
  metric_request r = request("rgb_rmse_base");
  metric_value v;
  assert_int_equal(metric_score(&e, &r, 1, &(metric_input){.clip = &c, .base = &small}, &v), E_SHAPE);
  assert_non_null(strstr(e.text, "base"));
  free(alpha), clip_free(&c), clip_free(&small);
}

static void chroma_is_what_the_clip_knows(void **state) {
  (void)state;
  clip c = moving_disc(2, 17, 9, 3);
  expect_reason("alpha_chroma", &(metric_input){.clip = &c}, METRIC_NO_CHANNELS);
  c.alpha_chroma = 0.0625, c.alpha_chroma_known = 1;
  expect("alpha_chroma", &(metric_input){.clip = &c}, 0.0625);
  c.alpha_chroma = 0;
  expect("alpha_chroma", &(metric_input){.clip = &c}, 0);
  free(c.alpha);
  c.alpha = NULL;
  expect_reason("alpha_chroma", &(metric_input){.clip = &c}, METRIC_NO_ALPHA);
  clip_free(&c);
}

/* --- a metric that a later file might add -------------------------------------------------------------------------
 */

static int mean_picture(err *e, const metric_view *v, metric_value *out) {
  (void)e;
  double sum = 0;
  int64_t n = 3 * (int64_t)v->frames * v->height * v->width;
  for (int64_t i = 0; i < n; i++) sum += (double)v->rgb[i];
  return metric_defined(out, sum / (double)n, n);
}

static int infinite(err *e, const metric_view *v, metric_value *out) {
  (void)e, (void)v;
  return metric_defined(out, INFINITY, 1);
}

/* By field: what lies between them in memory is undefined. */
static void same_value(const metric_value *a, const metric_value *b) {
  assert_memory_equal(&a->value, &b->value, sizeof a->value);
  assert_ptr_equal(a->reason, b->reason);
  assert_true(a->support == b->support && a->circular == b->circular);
}

static metric_value with_picture(metric_picture want, const clip *c) {
  err e = {0};
  metric m = {.id = "mean", .min_frames = 1, .picture = want, .score = mean_picture};
  metric_request r[2] = {{.metric = &m, .picture = want}, {.metric = &m, .picture = want}};
  metric_value v[2];
  assert_int_equal(metric_score(&e, r, 2, &(metric_input){.clip = c}, v), OK);
  same_value(&v[0], &v[1]);
  return v[0];
}

static void picture_forms(void **state) {
  (void)state;
  err e = {0};
  clip c;
  assert_int_equal(clip_new(&e, 1, 1, 2, 1, &c), OK);
  memcpy(c.rgb, (float[]){0.25f, 0.25f, 0.25f, 0.01f, 0.01f, 0.01f}, 6 * sizeof(float));
  memcpy(c.alpha, (float[]){0.5f, 0.01f}, 2 * sizeof(float));
  assert_true(fabs(with_picture(METRIC_DECODED, &c).value - 0.13) < 1e-6);
  assert_true(fabs(with_picture(METRIC_PREMULTIPLIED, &c).value - (0.125 + 1e-4) / 2) < 1e-6);
  assert_string_equal(with_picture(METRIC_STRAIGHT, &c).reason, METRIC_NO_STRAIGHT_RGB);
  c.colour = CLIP_STRAIGHT;
  assert_true(fabs(with_picture(METRIC_STRAIGHT, &c).value - 0.125) < 1e-6);
  c.colour = CLIP_PREMULTIPLIED;
  assert_true(fabs(with_picture(METRIC_PREMULTIPLIED, &c).value - 0.13) < 1e-6);
  assert_true(fabs(with_picture(METRIC_STRAIGHT, &c).value - 0.25) < 1e-6);
  metric m = {.id = "infinite", .min_frames = 1, .score = infinite};
  metric_request r = {.metric = &m};
  metric_value v;
  assert_int_equal(metric_score(&e, &r, 1, &(metric_input){.clip = &c}, &v), OK);
  assert_string_equal(v.reason, METRIC_NOT_FINITE);
  clip_free(&c);
}

/* Scores do not depend on what else is asked for, nor on what other threads do. */
static void calls_are_independent(void **state) {
  (void)state;
  enum { CLIPS = 6 };
  metric_request all[MANY];
  metric_value serial[CLIPS][MANY], parallel[CLIPS][MANY], alone;
  clip c[CLIPS];
  int n = all_requests(all), failed = 0;
  memset(serial, 0, sizeof serial), memset(parallel, 0, sizeof parallel);
  for (uint64_t i = 0; i < CLIPS; i++) c[i] = moving_disc(3, 34, 37, i);
  for (int i = 0; i < CLIPS; i++) {
    err e = {0};
    metric_input in = {.clip = &c[i],
                       .base = &c[(i + 1) % CLIPS],
                       .partner = &c[(i + 2) % CLIPS],
                       .truth = c[i].alpha,
                       .partner_truth = c[(i + 2) % CLIPS].alpha,
                       .base_truth = c[(i + 1) % CLIPS].alpha};
    assert_int_equal(metric_score(&e, all, n, &in, serial[i]), OK);
    if (i) continue;
    for (int k = n - 1; k >= 0; k--) {
      assert_int_equal(metric_score(&e, &all[k], 1, &in, &alone), OK);
      same_value(&alone, &serial[i][k]);
    }
  }
#pragma omp parallel for num_threads(3) schedule(dynamic) reduction(+ : failed)
  for (int i = 0; i < CLIPS; i++) {
    err e = {0};
    metric_input in = {.clip = &c[i],
                       .base = &c[(i + 1) % CLIPS],
                       .partner = &c[(i + 2) % CLIPS],
                       .truth = c[i].alpha,
                       .partner_truth = c[(i + 2) % CLIPS].alpha,
                       .base_truth = c[(i + 1) % CLIPS].alpha};
    failed += metric_score(&e, all, n, &in, parallel[i]) != OK;
  }
  assert_int_equal(failed, 0);
  for (int i = 0; i < CLIPS; i++)
    for (int k = 0; k < n; k++) same_value(&serial[i][k], &parallel[i][k]);
  for (int i = 0; i < CLIPS; i++) clip_free(&c[i]);
}

static void mirror(float *x, int64_t rows, int w, int channels) {
  for (int64_t r = 0; r < rows; r++)
    for (int i = 0; i < w / 2; i++)
      for (int k = 0; k < channels; k++) {
        float *a = &x[(r * w + i) * channels + k], *b = &x[(r * w + w - 1 - i) * channels + k], t = *a;
        *a = *b, *b = t;
      }
}

/* Mirroring both streams changes nothing; color_fit does not see affine changes of alpha, and an alpha that copies
 * the picture scores 1, which alpha_luma_corr gives away. */
static void invariances(void **state) {
  (void)state;
  clip c = moving_disc(4, 45, 52, 9);
  metric_input in = {.clip = &c};
  double fit = score("color_fit", &in).value, edge = score("edge_color", &in).value;
  assert_true(fit > 0.3 && edge > 0.3);
  mirror(c.rgb, (int64_t)c.frames * c.height, c.width, 3);
  mirror(c.alpha, (int64_t)c.frames * c.height, c.width, 1);
  assert_true(fabs(score("color_fit", &in).value - fit) < 1e-9);
  assert_true(fabs(score("edge_color", &in).value - edge) < 1e-9);
  double copied = score("alpha_luma_corr", &in).value;
  for (int64_t i = 0; i < pixels(&c); i++) c.alpha[i] = 1 - 0.75f * c.alpha[i];
  assert_true(fabs(score("color_fit", &in).value - fit) < 1e-6);
  for (int64_t i = 0; i < pixels(&c); i++)
    c.alpha[i] = 0.299f * c.rgb[3 * i] + 0.587f * c.rgb[3 * i + 1] + 0.114f * c.rgb[3 * i + 2];
  assert_true(score("color_fit", &in).value > 0.95);
  metric_value luma = score("alpha_luma_corr", &in);
  if (!luma.reason) assert_true(luma.value > 0.999 && luma.value > copied);
  clip_free(&c);
}

/* A defect planted in a right matte lowers both primary scores. */
static void planted_defects(void **state) {
  (void)state;
  static const char *const id[] = {"color_fit", "edge_color"};
  for (uint64_t s = 0; s < 4; s++) {
    clip c = moving_disc(6, 48, 48, 30 + s), bad = c;
    int64_t n = (int64_t)c.height * c.width;
    bad.alpha = copy(c.alpha, pixels(&c));
    for (int k = 0; k < 2; k++) {
      double last = score(id[k], &(metric_input){.clip = &c}).value;
      for (int shift = 1; shift <= 4; shift *= 2) {
        for (int64_t i = 0; i < pixels(&c); i++) bad.alpha[i] = i % c.width >= shift ? c.alpha[i - shift] : 0;
        double v = score(id[k], &(metric_input){.clip = &bad}).value;
        if (!(v < last)) fail_msg("%s: shift %d scores %.4f after %.4f", id[k], shift, v, last);
        last = v;
      }
      for (int64_t i = 0; i < pixels(&c); i++) bad.alpha[i] = c.alpha[i % n];
      assert_true(score(id[k], &(metric_input){.clip = &bad}).value <
                  score(id[k], &(metric_input){.clip = &c}).value);
    }
    free(bad.alpha), clip_free(&c);
  }
}

/* The same picture with every pixel k x k and every frame k times. */
static clip enlarged(const clip *c, int k) {
  err e = {0};
  clip b;
  assert_int_equal(clip_new(&e, c->frames * k, c->height * k, c->width * k, 1, &b), OK);
  b.colour = c->colour;
  for (int64_t i = 0; i < pixels(&b); i++) {
    int64_t x = i % b.width / k, y = i / b.width % b.height / k, t = i / b.width / b.height / k;
    int64_t from = (t * c->height + y) * c->width + x;
    b.alpha[i] = c->alpha[from];
    for (int j = 0; j < 3; j++) b.rgb[3 * i + j] = c->rgb[3 * from + j];
  }
  return b;
}

/* Sizes and lengths do not move what is a mean, a share or a rank over pixels (harness.md 15: RVM's Grad grows with
 * the picture, VBench's scores with the frame count). */
static void scale_does_not_move_means(void **state) {
  (void)state;
  static const char *const ids[] = {"true_mad",        "true_iou",       "true_corr",  "rgb_rmse_base",
                                    "rgb_psnr_base",   "alpha_coverage", "alpha_min",  "alpha_max",
                                    "alpha_p99",       "alpha_contrast", "alpha_haze", "alpha_entropy",
                                    "alpha_soft_frac", "rvm_mad",        "rvm_mse",    "psnr_alpha"};
  clip small[3], large[3];
  for (int i = 0; i < 3; i++) small[i] = moving_disc(3, 20, 24, 31 + (uint64_t)i), large[i] = enlarged(&small[i], 3);
  metric_input a = {.clip = &small[0], .reference = &small[1], .base = &small[2], .truth = small[1].alpha};
  metric_input b = {.clip = &large[0], .reference = &large[1], .base = &large[2], .truth = large[1].alpha};
  int moved = 0;
  for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
    metric_value x = score(ids[i], &a), y = score(ids[i], &b);
    if (x.reason) fail_msg("%s: %s", ids[i], x.reason);
    if (y.reason || fabs(x.value - y.value) > 1e-5 * fmax(1, fabs(x.value)))
      fail_msg("%s: %.9g, three times as large %.9g", ids[i], x.value, y.value);
    moved += x.value != 0;
  }
  assert_true(moved >= 14);
  for (int i = 0; i < 3; i++) clip_free(&small[i]), clip_free(&large[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(registry_is_sound),
      cmocka_unit_test(names_parse),
      cmocka_unit_test(truth_closed_forms),
      cmocka_unit_test(rgb_and_alpha_closed_forms),
      cmocka_unit_test(flow_closed_forms),
      cmocka_unit_test(gains_subtract),
      cmocka_unit_test(null_pairing),
      cmocka_unit_test(odd_clips),
      cmocka_unit_test(reasons_are_exact),
      cmocka_unit_test(chroma_is_what_the_clip_knows),
      cmocka_unit_test(picture_forms),
      cmocka_unit_test(calls_are_independent),
      cmocka_unit_test(invariances),
      cmocka_unit_test(planted_defects),
      cmocka_unit_test(scale_does_not_move_means),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
