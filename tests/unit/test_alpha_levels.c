/* alpha_contrast and alpha_haze: closed forms, a second implementation, invariances, reasons, planted defects. */
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
#include "media/moving.h"
#include "metrics/defects.h"
#include "metrics/metric.h"

static const char *const both[] = {"alpha_contrast", "alpha_haze"};

static int64_t pixels(const clip *c) {
  return (int64_t)c->frames * c->height * c->width;
}

static clip blank(int frames, int h, int w) {
  err e = {0};
  clip c;
  assert_int_equal(clip_new(&e, frames, h, w, 1, &c), OK);
  c.colour = CLIP_DECODED;
  return c;
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

static double number(const char *id, const clip *c) {
  metric_value v = score(id, c);
  if (v.reason) fail_msg("%s: %s", id, v.reason);
  assert_int_equal(v.support, pixels(c));
  return v.value;
}

static void near(double got, double want, double within) {
  if (!(fabs(got - want) <= within)) fail_msg("%.9g, expected %.9g", got, want);
}

/* share of the pixels at `high`, the others at `low`; no two neighbours follow from each other. */
static void two_levels(clip *c, double share, double low, double high) {
  for (int64_t i = 0; i < pixels(c); i++)
    c->alpha[i] = (float)((double)(i * 37 % pixels(c)) < share * (double)pixels(c) ? high : low);
}

static void closed_forms(void **state) {
  (void)state;
  clip c = blank(3, 7, 11); /* 231 pixels, prime to 37 */
  two_levels(&c, 0.3, 0, 1);
  near(number("alpha_contrast", &c), 1, 1e-9);
  near(number("alpha_haze", &c), 0, 0);
  two_levels(&c, 0.3, 0.2, 0.9);
  near(number("alpha_contrast", &c), 0.7, 1e-6);
  near(number("alpha_haze", &c), 0.2, 1e-6);
  /* one pixel of 231 is still an object */
  two_levels(&c, 1.0 / 231, 0, 0.6);
  near(number("alpha_contrast", &c), 0.6, 1e-6);
  /* an object of 97 % of the clip leaves no twentieth free */
  two_levels(&c, 0.97, 0, 0.8);
  near(number("alpha_haze", &c), 0.8, 1e-6);
  near(number("alpha_contrast", &c), 0.8, 1e-6);
  /* k / 230: the best split is the middle one, classes 0..115 (.25) and 116..230 (.752) */
  for (int64_t i = 0; i < pixels(&c); i++) c.alpha[i] = (float)((double)(i * 37 % 231) / 230);
  near(number("alpha_contrast", &c), 115.5 / 230, 1e-6);
  near(number("alpha_haze", &c), 0.05, 1e-6);
  clip_free(&c);
}

/* Every threshold by its definition, in the order of the codes. */
static double otsu(const clip *c) {
  double most = -1, gap = 0;
  for (int cut = 1; cut < 256; cut++) {
    double n[2] = {0}, sum[2] = {0};
    for (int64_t i = 0; i < pixels(c); i++) {
      int high = floor((double)c->alpha[i] * 255 + 0.5) >= cut;
      n[high]++, sum[high] += (double)c->alpha[i];
    }
    if (n[0] == 0 || n[1] == 0) continue;
    double d = sum[1] / n[1] - sum[0] / n[0], between = n[0] * n[1] * d * d;
    if (between > most * (1 + 1e-12)) most = between, gap = d;
  }
  return gap;
}

static int ascending(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static double twentieth(const clip *c) {
  int64_t n = pixels(c);
  float *x = malloc((size_t)n * sizeof *x);
  assert_non_null(x);
  memcpy(x, c->alpha, (size_t)n * sizeof *x);
  qsort(x, (size_t)n, sizeof *x, ascending);
  double at = 0.05 * (double)(n - 1), part = at - floor(at);
  int64_t k = (int64_t)at;
  double v = (double)x[k] + (k + 1 < n ? part * ((double)x[k + 1] - (double)x[k]) : 0);
  free(x);
  return v;
}

static void second_implementation(void **state) {
  (void)state;
  static const int size[][3] = {{1, 1, 2}, {1, 5, 3}, {2, 9, 7}, {4, 16, 13}, {7, 31, 2}};
  double last = -1;
  for (size_t s = 0; s < sizeof size / sizeof size[0]; s++) {
    clip c = blank(size[s][0], size[s][1], size[s][2]);
    print_message("seed %d\n", (int)s);
    rng_uniform((rng){.seed = s, .stream = RNG_TEST, .sub = 31}, 0, pixels(&c), c.alpha);
    for (int64_t i = 0; i < pixels(&c); i++) c.alpha[i] = powf(c.alpha[i], s % 2 ? 3 : 0.7F);
    double want = otsu(&c), got = number("alpha_contrast", &c);
    assert_true(want > 0.05 && got != last);
    near(got, want, 1e-9);
    assert_true(twentieth(&c) > 0);
    near(number("alpha_haze", &c), twentieth(&c), 1e-7);
    last = got;
    clip_free(&c);
  }
}

static clip disc(uint64_t seed, moving_kind k) {
  err e = {0};
  clip c;
  moving m = {.kind = k, .frames = 4, .height = 33, .width = 47, .seed = seed};
  assert_int_equal(moving_render(&e, &m, &c), OK);
  assert_int_equal(moving_over(&e, &c, seed + 100, c.rgb), OK);
  c.colour = CLIP_DECODED;
  return c;
}

/* The picture is not read, under alpha 0 or anywhere; neither is where the pixels lie. */
static void picture_and_place_do_not_matter(void **state) {
  (void)state;
  clip c = disc(3, MOVING_ELLIPSE), d = disc(3, MOVING_ELLIPSE);
  rng_uniform((rng){.seed = 5, .stream = RNG_TEST, .sub = 32}, 0, 3 * pixels(&d), d.rgb);
  for (int64_t i = 0; i < pixels(&c); i++) d.alpha[pixels(&c) - 1 - i] = c.alpha[i];
  assert_memory_not_equal(c.rgb, d.rgb, (size_t)pixels(&c) * 3 * sizeof(float));
  assert_memory_not_equal(c.alpha, d.alpha, (size_t)pixels(&c) * sizeof(float));
  near(number("alpha_contrast", &d), number("alpha_contrast", &c), 1e-12);
  assert_true(number("alpha_contrast", &c) > 0.5);
  for (int64_t i = 0; i < pixels(&c); i++)
    c.alpha[i] = 0.1F + 0.9F * c.alpha[i], d.alpha[i] = 0.1F + 0.9F * d.alpha[i];
  near(number("alpha_haze", &c), 0.1, 1e-6);
  assert_true(number("alpha_haze", &d) == number("alpha_haze", &c));
  clip_free(&c), clip_free(&d);
}

static void reasons(void **state) {
  (void)state;
  clip c = blank(1, 3, 5);
  for (size_t k = 0; k < 2; k++) {
    two_levels(&c, 0.5, 0, 0.015);
    assert_string_equal(score(both[k], &c).reason, METRIC_EMPTY_ALPHA);
    two_levels(&c, 0.5, 0.992, 1);
    assert_string_equal(score(both[k], &c).reason, METRIC_OPAQUE_ALPHA);
    c.alpha[4] = NAN;
    assert_string_equal(score(both[k], &c).reason, METRIC_NOT_FINITE);
    float *alpha = c.alpha;
    c.alpha = NULL;
    assert_string_equal(score(both[k], &c).reason, METRIC_NO_ALPHA);
    c.alpha = alpha;
  }
  /* one 8-bit code is one level, whatever 16 bits say; the next code is another */
  two_levels(&c, 0.5, 0.5, 0.5 + 1.0 / 65535);
  assert_string_equal(score("alpha_contrast", &c).reason, METRIC_FLAT_ALPHA);
  near(number("alpha_haze", &c), 0.5, 1e-4);
  two_levels(&c, 0.5, 100 / 255.0, 101 / 255.0);
  near(number("alpha_contrast", &c), 1 / 255.0, 1e-6);
  clip_free(&c);
}

/* Mixes with a constant leave 1 - s of the contrast; haze is s times the constant. On seeds that the built-in clips
 * of the validation do not have. */
static void mixes_are_read_off(void **state) {
  (void)state;
  static const struct {
    defect_kind kind;
    double floor, keep; /* of a mix by 1 */
  } mix[] = {{DEFECT_OPAQUE, 1, 0}, {DEFECT_EMPTY, 0, 0}, {DEFECT_HALF, 0, 0.5}, {DEFECT_CONSTANT, 128.0 / 255, 0}};
  for (uint64_t seed = 900; seed < 906; seed++) {
    err e = {0};
    clip c = disc(seed, (moving_kind)(seed % MOVING_KINDS)), d = c;
    double clean = number("alpha_contrast", &c);
    assert_true(clean > 0.2);
    near(number("alpha_haze", &c), 0, 0);
    d.alpha = calloc((size_t)pixels(&c), sizeof *d.alpha);
    assert_non_null(d.alpha);
    for (size_t k = 0; k < sizeof mix / sizeof mix[0]; k++)
      for (double s = 0.25; s < 1; s += 0.25) {
        assert_int_equal(defect_apply(&e, &c, &(defect){.kind = mix[k].kind, .strength = s}, d.alpha), OK);
        /* the threshold falls on codes, which the mix has moved */
        near(number("alpha_contrast", &d), (1 - s * (1 - mix[k].keep)) * clean, 2.0 / 255);
        near(number("alpha_haze", &d), s * mix[k].floor, 1e-6);
      }
    /* a veil of luma lies over the ground, and is thicker the more of it */
    double last = 0;
    for (double s = 0.25; s <= 1; s *= 2) {
      assert_int_equal(defect_apply(&e, &c, &(defect){.kind = DEFECT_LUMA, .strength = s}, d.alpha), OK);
      double haze = number("alpha_haze", &d);
      assert_true(haze > last + 0.01);
      last = haze;
    }
    free(d.alpha);
    clip_free(&c);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(closed_forms),
      cmocka_unit_test(second_implementation),
      cmocka_unit_test(picture_and_place_do_not_matter),
      cmocka_unit_test(reasons),
      cmocka_unit_test(mixes_are_read_off),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
