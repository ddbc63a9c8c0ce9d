/* Metrics against a true clip: tests/golden/metrics/matting and psnr_ssim (definitions: metric_ref.py), closed forms
 * and invariances. */
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
#include "metrics/backgrounds.h"
#include "metrics/farneback.h"
#include "metrics/matte_error.h"
#include "metrics/metric.h"
#include "metrics/ssim.h"
#include "model/safetensors.h"

static const st_tensor *tensor(const st_file *st, const char *name, const char *part) {
  char key[64];
  snprintf(key, sizeof key, "%s.%s", name, part);
  const st_tensor *t = st_find(st, key);
  assert_non_null(t);
  return t;
}

static double at(const st_tensor *t, int64_t i) {
  return dtype_get(t->type, t->data, i);
}

static metric_value score(const char *id, const metric_input *in) {
  err e = {0};
  metric_request r;
  metric_value v = {.value = NAN};
  if (metric_parse(&e, id, &r) != OK) fail_msg("%s", e.text);
  assert_int_equal(metric_score(&e, &r, 1, in, &v), OK);
  assert_true(isfinite(v.value));
  return v;
}

static void close_to(const char *where, const char *id, double got, double want, double tol, double floor_) {
  if (!(fabs(got - want) <= tol * fmax(floor_, fabs(want))))
    fail_msg("%s %s: %.12g, expected %.12g", where, id, got, want);
}

/* --- matting ---------------------------------------------------------------------------------------------------- */

typedef struct matting {
  int frames, height, width;
  int64_t n; /* pixels of a frame */
  clip own, truth;
  float *trimap;
} matting;

static matting matting_open(const st_file *st, const char *name) {
  err e = {0};
  const st_tensor *pred = tensor(st, name, "pred"), *truth = tensor(st, name, "true"),
                  *tri = tensor(st, name, "trimap");
  matting m = {.frames = (int)pred->shape[0], .height = (int)pred->shape[1], .width = (int)pred->shape[2]};
  m.n = (int64_t)m.height * m.width;
  assert_int_equal(clip_new(&e, m.frames, m.height, m.width, 1, &m.own), OK);
  assert_int_equal(clip_new(&e, m.frames, m.height, m.width, 1, &m.truth), OK);
  m.own.colour = m.truth.colour = CLIP_STRAIGHT;
  m.trimap = calloc((size_t)pred->count, sizeof *m.trimap);
  assert_non_null(m.trimap);
  for (int64_t i = 0; i < pred->count; i++) {
    m.own.alpha[i] = (float)(at(pred, i) / 255), m.truth.alpha[i] = (float)(at(truth, i) / 255);
    m.trimap[i] = (float)(at(tri, i) / 255);
  }
  return m;
}

static void matting_close(matting *m) {
  clip_free(&m->own), clip_free(&m->truth);
  free(m->trimap);
}

static double tolerance(const char *id) {
  return strstr(id, "grad") ? 1e-4 : strstr(id, "conn") || strstr(id, "messddt") ? 1e-5 : 1e-6;
}

/* The mean over frames of messddt along a flow; good: NULL or [T-1][n]. */
static double temporal_along(const matting *m, const float *flow, const unsigned char *good, int squared) {
  double *x = calloc((size_t)(2 * m->frames * m->n), sizeof *x), *y = x + m->frames * m->n, sum = 0;
  unsigned char *mask = calloc((size_t)(m->frames * m->n), 1);
  assert_true(x && mask);
  for (int64_t i = 0; i < m->frames * m->n; i++) {
    x[i] = rint((double)m->own.alpha[i] * 255) / 255, y[i] = rint((double)m->truth.alpha[i] * 255) / 255;
    mask[i] = rint((double)m->trimap[i] * 255) == 128;
  }
  for (int t = 0; t < m->frames - 1; t++) {
    int64_t o = t * m->n;
    matte_pair now = {x + o, y + o, mask + o, m->height, m->width};
    matte_pair next = {x + o + m->n, y + o + m->n, NULL, m->height, m->width};
    sum += matte_temporal_error(&now, &next, flow + 2 * o, good ? good + o : NULL, squared);
  }
  free(x), free(mask);
  return sum / m->frames;
}

/* The same with the golden's flow and validity. */
static double temporal(const matting *m, const st_file *st, const char *name, int squared) {
  const st_tensor *flow = tensor(st, name, "flow"), *valid = tensor(st, name, "valid");
  float *f = calloc((size_t)flow->count, sizeof *f);
  unsigned char *good = calloc((size_t)valid->count, 1);
  assert_true(f && good);
  for (int64_t i = 0; i < flow->count; i++) f[i] = (float)at(flow, i);
  for (int64_t i = 0; i < valid->count; i++) good[i] = at(valid, i) != 0;
  double value = temporal_along(m, f, good, squared);
  free(f), free(good);
  return value;
}

static void matting_matches(void **state) {
  (void)state;
  st_file *st = golden_tensors("metrics/matting");
  json *info = golden_json("metrics/matting");
  int compared = 0, large = 0;
  for (const json *c = json_get(info, "expected")->child; c; c = c->next) {
    matting m = matting_open(st, c->key);
    metric_input in = {.clip = &m.own, .reference = &m.truth, .trimap = m.trimap, .threads = 2};
    for (const json *k = json_get(c, "mean")->child; k; k = k->next) {
      double got;
      if (!strncmp(k->key, "messddt", 7)) {
        got = temporal(&m, st, c->key, !strcmp(k->key, "messddt"));
        assert_null(score(k->key, &in).reason);
      } else {
        metric_value v = score(k->key, &in);
        if (v.reason) fail_msg("%s %s: %s", c->key, k->key, v.reason);
        got = v.value;
      }
      close_to(c->key, k->key, got, k->num, tolerance(k->key), strstr(k->key, "grad") ? 1e-5 : 1e-9);
      compared++, large += fabs(k->num) > 1e-6;
    }
    const json *pairs = json_get(c, "dtssd_rvm_noframe0_mean");
    close_to(c->key, "dtssd_rvm_noframe0", score("dtssd_rvm_noframe0", &in).value, pairs->num, 1e-6, 1e-9);
    matting_close(&m);
  }
  assert_true(compared > 120 && large > 80);
  st_close(st);
  json_free(info);
}

/* messddt is the temporal error along Farneback's flow of the true alpha, rounded to 1/100 px, valid everywhere; and
 * that flow is the golden's, so with the golden's flow the value is nearly the same. */
static void temporal_error_end_to_end(void **state) {
  (void)state;
  static const char *const names[] = {"emoji0", "odd"}, *const ids[] = {"messddt", "messddt_fix"};
  err e = {0};
  st_file *st = golden_tensors("metrics/matting");
  fb_params p = fb_defaults();
  for (int k = 0; k < 4; k++) {
    matting m = matting_open(st, names[k / 2]);
    const st_tensor *golden = tensor(st, names[k / 2], "flow");
    float *image = calloc((size_t)(m.frames * m.n), sizeof *image),
          *flow = calloc((size_t)golden->count, sizeof *flow);
    float *theirs = calloc((size_t)golden->count, sizeof *theirs);
    assert_true(image && flow && theirs);
    for (int64_t i = 0; i < m.frames * m.n; i++) image[i] = rintf(m.truth.alpha[i] * 255);
    fb_job job = {.x = image, .frames = m.frames, .height = m.height, .width = m.width, .forward = flow};
    assert_int_equal(fb_flows(&e, &p, &job), OK);
    for (int64_t i = 0; i < golden->count; i++) {
      flow[i] = rintf(flow[i] * 100) / 100, theirs[i] = (float)at(golden, i);
    }
    double got = score(ids[k % 2], &(metric_input){.clip = &m.own, .reference = &m.truth, .trimap = m.trimap}).value;
    double all_valid = temporal_along(&m, flow, NULL, !(k % 2)),
           golden_flow = temporal_along(&m, theirs, NULL, !(k % 2));
    assert_true(got > 0.1);
    close_to(names[k / 2], ids[k % 2], got, all_valid, 1e-9, 1e-9);
    close_to(names[k / 2], ids[k % 2], got, golden_flow, 1e-3, 1e-9);
    free(image), free(flow), free(theirs), matting_close(&m);
  }
  st_close(st);
}

/* RVM and mmagic decide differently on 8-bit values that lie on a threshold. */
static void single_and_double_differ(void **state) {
  (void)state;
  st_file *st = golden_tensors("metrics/matting");
  matting m = matting_open(st, "glass");
  metric_input in = {.clip = &m.own, .reference = &m.truth, .trimap = m.trimap};
  assert_true(score("rvm_conn_f32", &in).value != score("conn_f64", &in).value);
  assert_string_equal(score("mm_sad", &(metric_input){.clip = &m.own, .reference = &m.truth}).reason,
                      METRIC_NO_TRIMAP);
  assert_string_equal(score("rvm_fgr_mad", &(metric_input){.clip = &m.own}).reason, METRIC_NO_REFERENCE);
  memset(m.trimap, 0, (size_t)(m.frames * m.n) * sizeof *m.trimap);
  assert_string_equal(score("tc_mse", &in).reason, METRIC_NO_UNKNOWN);
  static const char *const unknown[] = {"mm_sad",  "mm_mse",  "mm_grad",     "mm_conn_f64", "tc_msad",
                                        "tc_ssda", "messddt", "dtssd_tcvom", "messddt_fix"};
  for (size_t k = 0; k < sizeof unknown / sizeof unknown[0]; k++)
    assert_string_equal(score(unknown[k], &in).reason, METRIC_NO_UNKNOWN);
  assert_null(score("conn_f64", &in).reason);           /* reads no trimap */
  for (int64_t i = 0; i < m.n; i++) m.trimap[i] = 0.5f; /* one frame of several: the others count as 0 */
  double first = score("mm_sad", &in).value;
  assert_true(first > 0);
  for (int64_t i = m.n; i < m.frames * m.n; i++) m.own.alpha[i] = m.truth.alpha[i];
  assert_true(score("mm_sad", &in).value == first);
  for (int c = 0; c < 256; c++) assert_true((float)(c / 255.0) == (float)c / 255.0f);
  matting_close(&m);
  st_close(st);
}

static void gradient_kernel_matches(void **state) {
  (void)state;
  st_file *st = golden_tensors("metrics/matting");
  const st_tensor *k = st_find(st, "grad_kernel");
  double across[9], along[9], sum = 0;
  matte_gradient_taps(across, along);
  for (int i = 0; i < 81; i++) {
    assert_true(fabs(across[i / 9] * along[i % 9] - at(k, i)) < 1e-7);
    sum += fabs(at(k, i));
  }
  assert_true(sum > 1);
  st_close(st);
}

/* --- reconstruction --------------------------------------------------------------------------------------------- */

static clip rgba_clip(const st_tensor *t) {
  err e = {0};
  clip c;
  assert_int_equal(clip_new(&e, 1, (int)t->shape[0], (int)t->shape[1], 1, &c), OK);
  c.colour = CLIP_STRAIGHT;
  for (int64_t i = 0; i < t->count; i++) {
    float v = (float)(at(t, i) / 255);
    if (i % 4 == 3)
      c.alpha[i / 4] = v;
    else
      c.rgb[3 * (i / 4) + i % 4] = v;
  }
  return c;
}

static void compare_grounds(const json *want, const metric_input *in) {
  static const char *const ground[] = {"grey", "black", "white", "red", "green", "blue", "yellow", "cyan", "magenta"};
  const json *all = json_get(want, "backgrounds");
  for (int b = 0; b < BACKGROUNDS; b++) {
    char id[64];
    const json *g = json_get(all, ground[b]);
    assert_non_null(g);
    snprintf(id, sizeof id, "ssim_rgb:background=%d", b);
    close_to(want->key, id, score(id, in).value, json_get(g, "ssim_float_rgb")->num, 1e-6, 1);
    snprintf(id, sizeof id, "ssim_y:background=%d", b);
    close_to(want->key, id, score(id, in).value, json_get(g, "ssim_float_y")->num, 1e-6, 1);
  }
}

/* Mean PSNR of the golden's truncated composites, with the 1e-8 that r1_psnr adds to each error. */
static double r1_of(const json *want) {
  double sum = 0;
  for (const json *g = json_get(want, "backgrounds")->child; g; g = g->next) {
    const json *p = json_get(g, "psnr_trunc8");
    sum += -10 * log10((p->type == JSON_NUMBER ? pow(10, -p->num / 10) : 0) + 1e-8) / BACKGROUNDS;
  }
  return sum;
}

static void reconstruction_matches(void **state) {
  (void)state;
  st_file *st = golden_tensors("metrics/psnr_ssim");
  json *info = golden_json("metrics/psnr_ssim");
  int compared = 0;
  for (const json *c = json_get(info, "expected")->child; c; c = c->next, compared++) {
    clip truth = rgba_clip(tensor(st, c->key, "true")), own = rgba_clip(tensor(st, c->key, "pred"));
    metric_input in = {.clip = &own, .reference = &truth};
    const json *a = json_get(c, "alpha"), *p = json_get(c, "psnr_float");
    close_to(c->key, "r1_psnr", score("r1_psnr", &in).value, r1_of(c), 1e-6, 1);
    close_to(c->key, "ssim_alpha", score("ssim_alpha", &in).value, json_get(a, "ssim_1")->num, 1e-6, 1);
    close_to(c->key, "true_iou", score("true_iou", &in).value, json_get(c, "soft_iou")->num, 1e-6, 1);
    compare_grounds(c, &in);
    if (!p) { /* equal clips */
      assert_string_equal(score("r2_psnr_mean", &in).reason, METRIC_IDENTICAL);
      assert_string_equal(score("psnr_alpha", &in).reason, METRIC_IDENTICAL);
      assert_true(score("r1_psnr", &in).value == 80 && score("layerd_rgb_l1", &in).value == 0);
    } else {
      close_to(c->key, "r2_psnr_mean", score("r2_psnr_mean", &in).value, json_get(p, "mean")->num, 1e-6, 1);
      close_to(c->key, "r2_psnr_min", score("r2_psnr_min", &in).value, json_get(p, "min")->num, 1e-6, 1);
      close_to(c->key, "r2_psnr_max", score("r2_psnr_max", &in).value, json_get(p, "max")->num, 1e-6, 1);
      close_to(c->key, "r2_psnr_pooled", score("r2_psnr_pooled", &in).value, json_get(c, "psnr_of_mean_mse")->num,
               1e-6, 1);
      close_to(c->key, "psnr_alpha", score("psnr_alpha", &in).value, json_get(a, "psnr")->num, 1e-6, 1);
      assert_null(score("psnr_rgb_straight", &in).reason);
    }
    clip_free(&own), clip_free(&truth);
  }
  assert_int_equal(compared, 4);
  st_close(st);
  json_free(info);
}

/* Foreground colour: the golden's own region with the colours as stored, and the metrics' narrower one by plain sums.
 */
static void colour_errors_match(void **state) {
  (void)state;
  st_file *st = golden_tensors("metrics/psnr_ssim");
  json *info = golden_json("metrics/psnr_ssim");
  int compared = 0;
  for (const json *c = json_get(info, "expected")->child; c; c = c->next) {
    clip truth = rgba_clip(tensor(st, c->key, "true")), own = rgba_clip(tensor(st, c->key, "pred"));
    const json *want = json_get(c, "straight_rgb_over_alpha_gt0"), *psnr = json_get(want, "psnr");
    int64_t n = (int64_t)own.height * own.width, count = 0;
    double sum = 0, square = 0;
    colour_error m = rgba_colour_error(own.rgb, own.alpha, truth.rgb, truth.alpha, n, 0);
    assert_true(m.pixels > 0);
    double count3 = 3 * (double)m.pixels;
    close_to(c->key, "l1", m.absolute / count3, json_get(want, "l1")->num, 1e-6, 1e-9);
    if (psnr->type == JSON_NUMBER) assert_true(fabs(-10 * log10(m.square / count3) - psnr->num) < 1e-6);
    for (int64_t i = 0; i < n; i++) {
      if (rint((double)own.alpha[i] * 255) < 8 || rint((double)truth.alpha[i] * 255) < 8) continue;
      count++;
      for (int k = 0; k < 3; k++) {
        double d = (double)own.rgb[3 * i + k] - (double)truth.rgb[3 * i + k];
        sum += fabs(d) / 3, square += d * d / 3;
      }
    }
    metric_input in = {.clip = &own, .reference = &truth};
    assert_true(count > 100 && count < m.pixels);
    metric_value l1 = score("layerd_rgb_l1", &in), p = score("psnr_rgb_straight", &in);
    close_to(c->key, "layerd_rgb_l1", l1.value, sum / (double)count, 1e-12, 1e-9);
    close_to(c->key, "rvm_fgr_mad", score("rvm_fgr_mad", &in).value, 1e3 * sum / (double)count, 1e-12, 1e-9);
    close_to(c->key, "rvm_fgr_mse", score("rvm_fgr_mse", &in).value, 1e3 * square / (double)count, 1e-12, 1e-9);
    assert_true(l1.support == count && p.support == count);
    if (square > 0) {
      close_to(c->key, "psnr_rgb_straight", p.value, -10 * log10(square / (double)count), 1e-12, 1);
      compared++;
    } else {
      assert_string_equal(p.reason, METRIC_IDENTICAL);
    }
    clip_free(&own), clip_free(&truth);
  }
  assert_true(compared >= 3);
  st_close(st);
  json_free(info);
}

/* Two frames with 1 and 3 pixels of colour, off by .5 and .1, and one without: RVM averages the frames, not the
 * pixels. */
static void foreground_averages_frames(void **state) {
  (void)state;
  err e = {0};
  clip a, b;
  assert_int_equal(clip_new(&e, 3, 1, 4, 1, &a), OK);
  assert_int_equal(clip_new(&e, 3, 1, 4, 1, &b), OK);
  a.colour = b.colour = CLIP_STRAIGHT;
  for (int i = 0; i < 8; i++) {
    a.alpha[i] = b.alpha[i] = i == 0 || (i >= 4 && i < 7) ? 1 : 0;
    for (int c = 0; c < 3; c++) a.rgb[3 * i + c] = i < 4 ? 0.5f : 0.1f;
  }
  metric_input in = {.clip = &a, .reference = &b};
  close_to("frames", "rvm_fgr_mad", score("rvm_fgr_mad", &in).value, 1e3 * (0.5 + 0.1) / 2, 1e-6, 1);
  close_to("frames", "rvm_fgr_mse", score("rvm_fgr_mse", &in).value, 1e3 * (0.25 + 0.01) / 2, 1e-6, 1);
  close_to("pixels", "layerd_rgb_l1", score("layerd_rgb_l1", &in).value, (0.5 + 3 * 0.1) / 4, 1e-6, 1);
  for (int i = 0; i < 12; i++) b.alpha[i] = 0;
  assert_string_equal(score("rvm_fgr_mad", &in).reason, METRIC_NO_COLOUR);
  assert_string_equal(score("layerd_rgb_l1", &in).reason, METRIC_NO_COLOUR);
  clip_free(&a), clip_free(&b);
}

/* The colour under alpha 0 and the way a file stores colour change nothing. */
static void hidden_colour_does_not_matter(void **state) {
  (void)state;
  static const char *const ids[] = {"r2_psnr_mean",  "r1_psnr",     "ssim_rgb",       "psnr_rgb_straight",
                                    "layerd_rgb_l1", "rvm_fgr_mse", "rgb_warp_error", "flicker_vbench_rgb"};
  st_file *st = golden_tensors("metrics/psnr_ssim");
  clip truth = rgba_clip(tensor(st, "disc", "true")), own = rgba_clip(tensor(st, "disc", "pred"));
  clip other = rgba_clip(tensor(st, "disc", "pred")), stored = rgba_clip(tensor(st, "disc", "pred"));
  int64_t n = (int64_t)own.height * own.width, hidden = 0;
  for (int64_t i = 0; i < n; i++)
    for (int c = 0; c < 3; c++) {
      stored.rgb[3 * i + c] *= stored.alpha[i];
      if (other.alpha[i] == 0) other.rgb[3 * i + c] = (float)(i % 17) / 17, hidden++;
    }
  stored.colour = CLIP_PREMULTIPLIED;
  assert_true(hidden > 100);
  for (size_t k = 0; k < sizeof ids / sizeof ids[0]; k++) {
    metric_value a = score(ids[k], &(metric_input){.clip = &own, .reference = &truth});
    metric_value b = score(ids[k], &(metric_input){.clip = &other, .reference = &truth});
    metric_value c = score(ids[k], &(metric_input){.clip = &stored, .reference = &truth});
    assert_true(a.value == b.value && a.reason == b.reason && a.reason == c.reason);
    close_to("stored", ids[k], c.value, a.value, strcmp(ids[k], "r1_psnr") ? 1e-5 : 1e-3, 1);
  }
  clip_free(&own), clip_free(&truth), clip_free(&other), clip_free(&stored);
  st_close(st);
}

static void similarity_closed_forms(void **state) {
  (void)state;
  err e = {0};
  enum { H = 177, N = H * H };
  double *a = calloc(2 * N, sizeof *a), *b = a + N, five;
  assert_non_null(a);
  ssim_mean m;
  for (int i = 0; i < N; i++) a[i] = 0.25, b[i] = 0.75;
  assert_int_equal(ssim_plane(&e, a, b, H, H, 1, 0, &m), OK);
  assert_true(fabs(m.ssim - (2 * 0.25 * 0.75 + 1e-4) / (0.0625 + 0.5625 + 1e-4)) < 1e-12 &&
              fabs(m.contrast - 1) < 1e-9);
  for (int i = 0; i < N; i++) a[i] = b[i] = (double)(i * 7919 % 101) / 101;
  assert_int_equal(ssim_plane(&e, a, b, H, H, 1, 0, &m), OK);
  assert_true(fabs(m.ssim - 1) < 1e-12);
  for (int i = 0; i < N; i++) b[i] = 1 - a[i];
  assert_int_equal(ssim_plane(&e, a, b, H, H, 1, 0, &m), OK);
  assert_true(m.ssim < -0.5);
  assert_int_equal(ssim_plane(&e, a, b, H, H, 1, 1, &m), OK);
  assert_true(m.ssim == 0);
  memcpy(b, a, N * sizeof *a);
  assert_int_equal(ssim_scales(&e, a, b, H, H, 1, &five), OK);
  assert_true(fabs(five - 1) < 1e-9);
  free(a);
}

/* --- the same by plain loops --------------------------------------------------------------------------------------
 */

/* SSIM map mean over whole 11x11 windows, negative contrast as 0. */
static double plain_ssim(const double *a, const double *b, int h, int w) {
  double g[11], norm = 0, total = 0;
  for (int i = 0; i < 11; i++) norm += g[i] = exp(-(i - 5) * (i - 5) / 4.5);
  for (int y = 0; y + 11 <= h; y++)
    for (int x = 0; x + 11 <= w; x++) {
      double ma = 0, mb = 0, va = 0, vb = 0, cov = 0;
      for (int k = 0; k < 121; k++) {
        double t = g[k / 11] * g[k % 11] / (norm * norm);
        ma += t * a[(y + k / 11) * w + x + k % 11], mb += t * b[(y + k / 11) * w + x + k % 11];
      }
      for (int k = 0; k < 121; k++) {
        double t = g[k / 11] * g[k % 11] / (norm * norm);
        double p = a[(y + k / 11) * w + x + k % 11] - ma, q = b[(y + k / 11) * w + x + k % 11] - mb;
        va += t * p * p, vb += t * q * q, cov += t * p * q;
      }
      double c1 = 2.55 * 2.55, c2 = 7.65 * 7.65, cs = (2 * cov + c2) / (va + vb + c2);
      total += (2 * ma * mb + c1) / (ma * ma + mb * mb + c1) * fmax(0, cs);
    }
  return total / ((double)(h - 10) * (w - 10));
}

/* Rounded luma codes of a straight 8-bit RGBA picture cut to 8 bits over a ground. */
static void plain_luma(const st_tensor *t, const double ground[3], double *out) {
  for (int64_t i = 0; i < t->count / 4; i++) {
    int code[3];
    double a = at(t, 4 * i + 3) / 255;
    for (int c = 0; c < 3; c++) code[c] = (int)floor((a * (at(t, 4 * i + c) / 255) + (1 - a) * ground[c]) * 255);
    int sum = 299 * code[0] + 587 * code[1] + 114 * code[2], low = sum / 1000, rest = sum % 1000;
    out[i] = low + (rest > 500 || (rest == 500 && low % 2));
  }
}

static void truncated_similarity_matches(void **state) {
  (void)state;
  st_file *st = golden_tensors("metrics/psnr_ssim");
  json *info = golden_json("metrics/psnr_ssim");
  int compared = 0;
  for (const json *c = json_get(info, "expected")->child; c; c = c->next) {
    const st_tensor *t = tensor(st, c->key, "true"), *p = tensor(st, c->key, "pred");
    clip truth = rgba_clip(t), own = rgba_clip(p);
    double *a = calloc((size_t)t->count, sizeof *a), *b = a + t->count / 4, want = 0;
    assert_non_null(a);
    for (int g = 0; g < BACKGROUNDS; g++) {
      plain_luma(t, background_rgb[g], a), plain_luma(p, background_rgb[g], b);
      want += plain_ssim(a, b, own.height, own.width) / BACKGROUNDS;
    }
    assert_true(want > 0.1);
    close_to(c->key, "r1_ssim", score("r1_ssim", &(metric_input){.clip = &own, .reference = &truth}).value, want,
             1e-6, 1);
    compared += want < 0.999;
    free(a), clip_free(&own), clip_free(&truth);
  }
  assert_true(compared >= 3);
  st_close(st);
  json_free(info);
}

/* The closed form against the golden's moments and backgrounds. */
static void moments_match(void **state) {
  (void)state;
  static const char *const ground[] = {"grey", "black", "white", "red", "green", "blue", "yellow", "cyan", "magenta"};
  st_file *st = golden_tensors("metrics/psnr_ssim");
  json *info = golden_json("metrics/psnr_ssim");
  int compared = 0;
  for (const json *c = json_get(info, "expected")->child; c; c = c->next) {
    clip truth = rgba_clip(tensor(st, c->key, "true")), own = rgba_clip(tensor(st, c->key, "pred"));
    int64_t n = (int64_t)own.height * own.width;
    for (int64_t i = 0; i < 3 * n; i++) own.rgb[i] *= own.alpha[i / 3], truth.rgb[i] *= truth.alpha[i / 3];
    rgba_moments m = rgba_error(own.rgb, own.alpha, truth.rgb, truth.alpha, n);
    const json *w = json_get(c, "moments");
    close_to(c->key, "dA2", m.aa, json_get(w, "dA2")->num, 1e-5, 1e-9);
    for (int k = 0; k < 3; k++) {
      close_to(c->key, "dP2", m.pp[k], json_at(json_get(w, "dP2"), k)->num, 1e-5, 1e-9);
      close_to(c->key, "dPdA", m.pa[k], json_at(json_get(w, "dPdA"), k)->num, 1e-5, 1e-9);
    }
    for (int b = 0; b < BACKGROUNDS; b++) {
      const json *p = json_get(json_get(json_get(c, "backgrounds"), ground[b]), "psnr_float");
      double mse = rgba_error_over(&m, background_rgb[b]);
      if (p->type != JSON_NUMBER) {
        assert_true(mse == 0);
        continue;
      }
      assert_true(mse > 0 && fabs(-10 * log10(mse) - p->num) < 1e-6);
      compared++;
    }
    clip_free(&own), clip_free(&truth);
  }
  assert_true(compared >= 27);
  st_close(st);
  json_free(info);
}

/* 16-bit clips of an odd size: the closed form over any background equals the composites' own error, and swapping the
 * clips changes nothing. */
static void closed_form_is_the_composite(void **state) {
  (void)state;
  enum { N = 3 * 7 * 5 };
  float u[8 * N];
  rng_uniform((rng){.seed = 11, .stream = RNG_TEST, .sub = 3}, 0, 8 * N, u);
  for (int i = 0; i < 8 * N; i++) u[i] = rintf(u[i] * 65535) / 65535;
  float *a = u, *b = u + N, *p = u + 2 * N, *q = u + 5 * N;
  for (int i = 0; i < 3 * N; i++) p[i] *= a[i / 3], q[i] *= b[i / 3];
  rgba_moments m = rgba_error(p, a, q, b, N), s = rgba_error(q, b, p, a, N);
  const double grounds[][3] = {{0, 0, 0}, {1, 1, 1}, {0.1, 0.73, 0.4}, {0.5, 0, 1}};
  for (int k = 0; k < 4; k++) {
    double sum = 0;
    for (int i = 0; i < 3 * N; i++) {
      double g = grounds[k][i % 3];
      double x = (double)p[i] + (1 - (double)a[i / 3]) * g, y = (double)q[i] + (1 - (double)b[i / 3]) * g;
      sum += (x - y) * (x - y) / (3 * N);
    }
    assert_true(sum > 1e-3);
    close_to("16 bit", "rgba_error_over", rgba_error_over(&m, grounds[k]), sum, 1e-9, 1e-9);
    assert_true(rgba_error_over(&s, grounds[k]) == rgba_error_over(&m, grounds[k]));
  }
}

/* Three pixels of truth 1 and one prediction p: the error is that of the level p falls to. 153/255 lies on a
 * threshold and its 16-bit neighbours 39320 and 39322 do not, so only there the precisions differ. */
static void sixteen_bit_connectivity(void **state) {
  (void)state;
  static const struct {
    double pred, single, wide;
  } cases[] = {{39320, 0.5, 0.5}, {39321, 0.4, 0.5}, {39322, 0.4, 0.4}};
  err e = {0};
  clip a, b;
  assert_int_equal(clip_new(&e, 1, 1, 3, 1, &a), OK);
  assert_int_equal(clip_new(&e, 1, 1, 3, 1, &b), OK);
  metric_input in = {.clip = &a, .reference = &b};
  for (int k = 0; k < 3; k++) {
    for (int i = 0; i < 3; i++) a.alpha[i] = (float)(cases[k].pred / 65535), b.alpha[i] = 1;
    close_to("16 bit", "rvm_conn_f32", score("rvm_conn_f32", &in).value, 3 * cases[k].single / 1000, 1e-5, 1e-9);
    close_to("16 bit", "conn_f64", score("conn_f64", &in).value, 3 * cases[k].wide / 1000, 1e-5, 1e-9);
    close_to("16 bit", "rvm_mad", score("rvm_mad", &in).value, 1e3 * (1 - cases[k].pred / 65535), 1e-6, 1);
  }
  clip_free(&a), clip_free(&b);
}

/* Five-scale SSIM of formula images: values of an independent SciPy implementation (whole 2-D windows, 'symmetric'
 * padding), at an even and at an odd size. */
static void five_scales_match(void **state) {
  (void)state;
  static const struct {
    int h, w;
    double want;
  } cases[] = {{192, 208, 0.928549937202}, {181, 203, 0.941586971219}};
  err e = {0};
  for (int k = 0; k < 2; k++) {
    int n = cases[k].h * cases[k].w;
    double *a = calloc((size_t)(4 * n), sizeof *a), *b = a + n, got, swapped;
    assert_non_null(a);
    for (int i = 0; i < n; i++) {
      double wave = 0.11 * (i % cases[k].w) + 0.07 * (i / cases[k].w);
      a[i] = 0.5 + 0.3 * sin(wave) + 0.1 * ((double)((int64_t)i * 7919 % 101) / 101);
      b[i] = 0.5 + 0.28 * sin(wave + 0.2) + 0.1 * ((double)((int64_t)i * 6007 % 97) / 97);
    }
    memcpy(a + 2 * n, a, (size_t)(2 * n) * sizeof *a);
    assert_int_equal(ssim_scales(&e, a, b, cases[k].h, cases[k].w, 1, &got), OK);
    assert_int_equal(ssim_scales(&e, a + 3 * n, a + 2 * n, cases[k].h, cases[k].w, 1, &swapped), OK);
    assert_true(got == swapped);
    close_to("formula", "ssim_scales", got, cases[k].want, 1e-9, 1);
    free(a);
  }
  clip x, y;
  assert_int_equal(clip_new(&e, 1, 175, 200, 1, &x), OK);
  assert_int_equal(clip_new(&e, 1, 175, 200, 1, &y), OK);
  assert_string_equal(score("ms_ssim", &(metric_input){.clip = &x, .reference = &y}).reason, METRIC_TOO_SMALL);
  clip_free(&x), clip_free(&y);
}

/* Frames of one pixel, one frame, empty and opaque: a value or a reason, never more. */
static void degenerate_clips(void **state) {
  (void)state;
  err e = {0};
  const int size[][3] = {{1, 1, 1}, {2, 1, 1}, {1, 11, 11}, {3, 7, 5}};
  for (size_t k = 0; k < sizeof size / sizeof size[0]; k++)
    for (int fill = 0; fill < 2; fill++) {
      clip a, b;
      assert_int_equal(clip_new(&e, size[k][0], size[k][1], size[k][2], 1, &a), OK);
      assert_int_equal(clip_new(&e, size[k][0], size[k][1], size[k][2], 1, &b), OK);
      int64_t n = (int64_t)size[k][0] * size[k][1] * size[k][2];
      float *tri = calloc((size_t)n, sizeof *tri);
      assert_non_null(tri);
      for (int64_t i = 0; i < n; i++) a.alpha[i] = (float)fill, b.alpha[i] = (float)(i % 2), tri[i] = 0.5f;
      a.colour = b.colour = CLIP_STRAIGHT;
      for (const metric *const *m = metric_list(); *m; m++)
        score((*m)->id, &(metric_input){.clip = &a, .reference = &b, .base = &b, .trimap = tri, .threads = 3});
      free(tri), clip_free(&a), clip_free(&b);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(matting_matches),
      cmocka_unit_test(single_and_double_differ),
      cmocka_unit_test(gradient_kernel_matches),
      cmocka_unit_test(reconstruction_matches),
      cmocka_unit_test(similarity_closed_forms),
      cmocka_unit_test(hidden_colour_does_not_matter),
      cmocka_unit_test(degenerate_clips),
      cmocka_unit_test(colour_errors_match),
      cmocka_unit_test(foreground_averages_frames),
      cmocka_unit_test(temporal_error_end_to_end),
      cmocka_unit_test(truncated_similarity_matches),
      cmocka_unit_test(moments_match),
      cmocka_unit_test(closed_form_is_the_composite),
      cmocka_unit_test(sixteen_bit_connectivity),
      cmocka_unit_test(five_scales_match),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
