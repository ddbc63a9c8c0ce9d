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
#include "golden.h"
#include "metrics/backgrounds.h"
#include "metrics/matte_error.h"
#include "metrics/metric.h"
#include "metrics/ssim.h"
#include "model/safetensors.h"

static st_file *open_tensors(const char *file) {
  err e = {0};
  st_file *st = NULL;
  assert_int_equal(st_open(&e, golden_path(file), &st), OK);
  return st;
}

static json *open_json(const char *file) {
  err e = {0};
  json *j = NULL;
  assert_int_equal(json_read(&e, golden_path(file), &j), OK);
  return j;
}

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

/* The mean over frames of messddt with the golden's flow and validity. */
static double temporal(const matting *m, const st_file *st, const char *name, int squared) {
  const st_tensor *flow = tensor(st, name, "flow"), *valid = tensor(st, name, "valid");
  double *x = calloc((size_t)(2 * m->frames * m->n), sizeof *x), *y = x + m->frames * m->n, sum = 0;
  float *f = calloc((size_t)flow->count, sizeof *f);
  unsigned char *mask = calloc((size_t)(m->frames * m->n), 1), *good = calloc((size_t)valid->count, 1);
  assert_true(x && f && mask && good);
  for (int64_t i = 0; i < m->frames * m->n; i++) {
    x[i] = rint((double)m->own.alpha[i] * 255) / 255, y[i] = rint((double)m->truth.alpha[i] * 255) / 255;
    mask[i] = rint((double)m->trimap[i] * 255) == 128;
  }
  for (int64_t i = 0; i < flow->count; i++) f[i] = (float)at(flow, i);
  for (int64_t i = 0; i < valid->count; i++) good[i] = at(valid, i) != 0;
  for (int t = 0; t < m->frames - 1; t++) {
    int64_t o = t * m->n;
    matte_pair now = {x + o, y + o, mask + o, m->height, m->width};
    matte_pair next = {x + o + m->n, y + o + m->n, NULL, m->height, m->width};
    sum += matte_temporal_error(&now, &next, f + 2 * o, good + o, squared);
  }
  free(x), free(f), free(mask), free(good);
  return sum / m->frames;
}

static void matting_matches(void **state) {
  (void)state;
  st_file *st = open_tensors("metrics/matting.safetensors");
  json *info = open_json("metrics/matting.json");
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

/* RVM and mmagic decide differently on 8-bit values that lie on a threshold. */
static void single_and_double_differ(void **state) {
  (void)state;
  st_file *st = open_tensors("metrics/matting.safetensors");
  matting m = matting_open(st, "glass");
  metric_input in = {.clip = &m.own, .reference = &m.truth, .trimap = m.trimap};
  assert_true(score("rvm_conn_f32", &in).value != score("conn_f64", &in).value);
  assert_string_equal(score("mm_sad", &(metric_input){.clip = &m.own, .reference = &m.truth}).reason,
                      METRIC_NO_TRIMAP);
  assert_string_equal(score("rvm_fgr_mad", &(metric_input){.clip = &m.own}).reason, METRIC_NO_REFERENCE);
  memset(m.trimap, 0, (size_t)(m.frames * m.n) * sizeof *m.trimap);
  assert_string_equal(score("tc_mse", &in).reason, METRIC_NO_UNKNOWN);
  assert_true(score("mm_mse", &in).value == 0);
  for (int c = 0; c < 256; c++) assert_true((float)(c / 255.0) == (float)c / 255.0f);
  matting_close(&m);
  st_close(st);
}

static void gradient_kernel_matches(void **state) {
  (void)state;
  st_file *st = open_tensors("metrics/matting.safetensors");
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
  st_file *st = open_tensors("metrics/psnr_ssim.safetensors");
  json *info = open_json("metrics/psnr_ssim.json");
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

/* The colour under alpha 0 and the way a file stores colour change nothing. */
static void hidden_colour_does_not_matter(void **state) {
  (void)state;
  static const char *const ids[] = {"r2_psnr_mean",  "r1_psnr",     "ssim_rgb",       "psnr_rgb_straight",
                                    "layerd_rgb_l1", "rvm_fgr_mse", "rgb_warp_error", "flicker_vbench_rgb"};
  st_file *st = open_tensors("metrics/psnr_ssim.safetensors");
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
      cmocka_unit_test(matting_matches),         cmocka_unit_test(single_and_double_differ),
      cmocka_unit_test(gradient_kernel_matches), cmocka_unit_test(reconstruction_matches),
      cmocka_unit_test(similarity_closed_forms), cmocka_unit_test(hidden_colour_does_not_matter),
      cmocka_unit_test(degenerate_clips),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
