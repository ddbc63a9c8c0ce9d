/* metrics/defects.h against the variants of the metric goldens (make_metric_goldens.py), its own contract, and
 * media/moving.h. */
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
#include "base/mem.h"
#include "base/rng.h"
#include "golden.h"
#include "media/moving.h"
#include "metrics/defects.h"
#include "metrics/metric.h"
#include "model/safetensors.h"

static const char *const files[] = {"alignment_emoji", "alignment_procedural"};

static int64_t voxels(const clip *c) {
  return (int64_t)c->frames * c->height * c->width;
}

static float *take(int64_t n) {
  float *p = malloc((size_t)n * sizeof *p);
  assert_non_null(p);
  memset(p, 0xff, (size_t)n * sizeof *p); /* NaN */
  return p;
}

static st_file *open_tensors(const char *name) {
  err e = {0};
  char file[96];
  st_file *st = NULL;
  snprintf(file, sizeof file, "metrics/%s.safetensors", name);
  assert_int_equal(st_open(&e, golden_path(file), &st), OK);
  return st;
}

static json *open_json(const char *name) {
  err e = {0};
  char file[96];
  json *j = NULL;
  snprintf(file, sizeof file, "metrics/%s.json", name);
  assert_int_equal(json_read(&e, golden_path(file), &j), OK);
  return j;
}

static const st_tensor *tensor(const st_file *st, const char *clip_name, const char *part) {
  char key[96];
  snprintf(key, sizeof key, "%s.%s", clip_name, part);
  return st_find(st, key);
}

/* A stored clip, straight. */
static clip golden_clip(const st_file *st, const char *name) {
  err e = {0};
  clip c;
  const st_tensor *t = tensor(st, name, "rgba");
  assert_non_null(t);
  assert_int_equal(clip_new(&e, (int)t->shape[0], (int)t->shape[1], (int)t->shape[2], 1, &c), OK);
  c.colour = CLIP_STRAIGHT;
  for (int64_t i = 0; i < voxels(&c); i++) {
    for (int k = 0; k < 3; k++) c.rgb[3 * i + k] = (float)(dtype_get(t->type, t->data, 4 * i + k) / 255);
    c.alpha[i] = (float)(dtype_get(t->type, t->data, 4 * i + 3) / 255);
  }
  return c;
}

/* In 255ths, rounded as the goldens do it: halves to even, of luma upwards. Luma and flicker are ratios of small
 * whole numbers, so what float brings within 1e-4 of a half is a half. */
static double code(float a, defect_kind k) {
  double v = (double)a * 255;
  assert_true(a >= 0 && a <= 1);
  if (k == DEFECT_LUMA || k == DEFECT_FLICKER) v = rint(v * 1e4) / 1e4;
  return k == DEFECT_LUMA ? floor(v + 0.5) : rint(v);
}

static void round8(float *a, int64_t n, defect_kind k) {
  for (int64_t i = 0; i < n; i++) a[i] = (float)(code(a[i], k) / 255);
}

static int differs(const float *a, const float *b, int64_t n) {
  return memcmp(a, b, (size_t)n * sizeof *a) != 0;
}

/* Alpha of the next clip of the same size, else the own alpha turned by 180 degrees. */
static float *golden_other(const st_file *st, const json *all, const json *own, const clip *c) {
  float *out = take(voxels(c));
  int64_t n = (int64_t)c->height * c->width;
  const json *next = own->next ? own->next : all->child;
  for (; next != own; next = next->next ? next->next : all->child) {
    clip other = golden_clip(st, next->key);
    int fits = other.frames == c->frames && other.height == c->height && other.width == c->width;
    if (fits) memcpy(out, other.alpha, (size_t)voxels(c) * sizeof *out);
    clip_free(&other);
    if (fits) return out;
  }
  for (int64_t i = 0; i < voxels(c); i++) out[i] = c->alpha[i / n * n + n - 1 - i % n];
  return out;
}

static const struct {
  const char *golden;
  defect_kind kind;
  double strength;
} variants[] = {{"shift1", DEFECT_SHIFT, 1},  {"shift2", DEFECT_SHIFT, 2},  {"shift4", DEFECT_SHIFT, 4},
                {"delay1", DEFECT_DELAY, 1},  {"delay2", DEFECT_DELAY, 2},  {"blur", DEFECT_BLUR, 2},
                {"dilate", DEFECT_DILATE, 3}, {"opaque", DEFECT_OPAQUE, 1}, {"half", DEFECT_CONSTANT, 1},
                {"frozen", DEFECT_FROZEN, 1}, {"other", DEFECT_OTHER, 1},   {"flicker", DEFECT_FLICKER, .1}};
enum { VARIANTS = sizeof variants / sizeof variants[0] };

static void near_golden(const char *what, const char *id, metric_value got, const json *want, double tol) {
  assert_non_null(want);
  assert_null(got.reason);
  if (!(fabs(got.value - want->num) <= tol * fmax(1e-3, fabs(want->num))))
    fail_msg("%s %s: %.12g, expected %.12g", what, id, got.value, want->num);
}

/* The statistics of the variant and its flow against the picture (premultiplied by the right
 * alpha) are the golden's. */
static void score_variant(const char *what, const clip *c, float *alpha, const json *want) {
  err e = {0};
  static const char *const ids[] = {"alpha_coverage", "alpha_soft_frac", "opacity_flicker", "fd_full"};
  static const double tol[] = {1e-6, 1e-6, 1e-5, 1e-3};
  metric_request r[4];
  metric_value got[4];
  clip p = *c;
  const json *s = json_get(want, "sanity");
  p.rgb = take(3 * voxels(c));
  p.alpha = alpha;
  p.colour = CLIP_DECODED;
  for (int64_t i = 0; i < 3 * voxels(c); i++)
    p.rgb[i] = (float)(rint((double)c->rgb[i] * 255) / 255 * (rint((double)c->alpha[i / 3] * 255) / 255));
  for (int i = 0; i < 4; i++) assert_int_equal(metric_parse(&e, ids[i], &r[i]), OK);
  assert_int_equal(metric_score(&e, r, 4, &(metric_input){.clip = &p}, got), OK);
  const json *value[] = {json_get(s, "coverage"), json_get(s, "soft_frac"), json_get(s, "opacity_flicker"),
                         json_get(want, "fd_full")};
  for (int i = 0; i < 4; i++) near_golden(what, ids[i], got[i], value[i], tol[i]);
  free(p.rgb);
}

static void variants_match(void **state) {
  (void)state;
  err e = {0};
  int64_t compared = 0;
  for (int f = 0; f < 2; f++) {
    st_file *st = open_tensors(files[f]);
    json *info = open_json(files[f]);
    const json *all = json_get(info, "expected");
    for (const json *own = all->child; own; own = own->next) {
      clip c = golden_clip(st, own->key);
      float *other = golden_other(st, all, own, &c), *out = take(voxels(&c));
      for (int v = 0; v < VARIANTS; v++) {
        defect d = {.kind = variants[v].kind, .strength = variants[v].strength, .other = other};
        assert_int_equal(defect_apply(&e, &c, &d, out), OK);
        assert_true(differs(out, c.alpha, voxels(&c)));
        round8(out, voxels(&c), d.kind);
        score_variant(variants[v].golden, &c, out, json_get(json_get(own, "variants"), variants[v].golden));
        compared++;
      }
      free(other), free(out);
      clip_free(&c);
    }
    st_close(st);
    json_free(info);
  }
  assert_int_equal(compared, 9 * VARIANTS);
}

/* Luma of the premultiplied codes to a ten thousandth of a code: whether it then rounds up is float's last bit in one
 * voxel of some 50,000, so the rounded statistics are not compared. */
static void luma_matches(void **state) {
  (void)state;
  err e = {0};
  for (int f = 0; f < 2; f++) {
    st_file *st = open_tensors(files[f]);
    json *info = open_json(files[f]);
    for (const json *own = json_get(info, "expected")->child; own; own = own->next) {
      clip c = golden_clip(st, own->key);
      const st_tensor *t = tensor(st, own->key, "rgba");
      float *out = take(voxels(&c));
      double sum = 0;
      assert_int_equal(defect_apply(&e, &c, &(defect){.kind = DEFECT_LUMA, .strength = 1}, out), OK);
      for (int64_t i = 0; i < voxels(&c); i++) {
        double p[4];
        for (int k = 0; k < 4; k++) p[k] = dtype_get(t->type, t->data, 4 * i + k);
        double want = p[3] * (299 * p[0] + 587 * p[1] + 114 * p[2]) / 255000;
        assert_true(fabs((double)out[i] * 255 - want) < 1e-4);
        sum += want;
      }
      assert_true(sum > 0 && differs(out, c.alpha, voxels(&c)));
      free(out);
      clip_free(&c);
    }
    st_close(st);
    json_free(info);
  }
}

/* Voxel for voxel where the goldens hold the plane. */
static void stored_planes_match(void **state) {
  (void)state;
  err e = {0};
  static const char *const first[] = {"1f42c", "disc"};
  for (int f = 0; f < 2; f++) {
    st_file *st = open_tensors(files[f]);
    clip c = golden_clip(st, first[f]);
    static const char *const part[] = {"luma8", "alpha_blur"};
    static const defect what[] = {{.kind = DEFECT_LUMA, .strength = 1}, {.kind = DEFECT_BLUR, .strength = 2}};
    float *out = take(voxels(&c));
    for (int k = 0; k < 2; k++) {
      const st_tensor *t = tensor(st, first[f], part[k]);
      int64_t off = 0;
      double sum = 0;
      assert_non_null(t);
      assert_int_equal(defect_apply(&e, &c, &what[k], out), OK);
      for (int64_t i = 0; i < voxels(&c); i++) {
        double want = dtype_get(t->type, t->data, i), got = code(out[i], what[k].kind);
        assert_true(fabs(got - want) <= 1);
        off += got != want;
        sum += want;
      }
      assert_true(sum > 0);
      /* a blurred voxel is a half to within float's 1e-5 with probability 2e-5 */
      assert_true((double)off <= (k ? 1e-4 * (double)voxels(&c) : 0));
    }
    free(out);
    clip_free(&c);
    st_close(st);
  }
}

/* Mean and standard deviation of 255 (noisy - clean) over clean alpha 0 or 255, where half of the noise is cut off,
 * and in between. */
static void noise_statistics(const float *clean, const double *noisy, int64_t n, double mean[3], double sd[3]) {
  int64_t count[3] = {0};
  double sum[3] = {0}, square[3] = {0};
  for (int64_t i = 0; i < n; i++) {
    double a = (double)clean[i] * 255, d = noisy[i] - a;
    int k = a < 0.5 ? 0 : a > 254.5 ? 1 : a > 64 && a < 191 ? 2 : -1;
    if (k < 0) continue;
    count[k]++, sum[k] += d, square[k] += d * d;
  }
  for (int k = 0; k < 3; k++) {
    assert_true(count[k] > 200);
    mean[k] = sum[k] / (double)count[k];
    sd[k] = sqrt(square[k] / (double)count[k] - mean[k] * mean[k]);
  }
}

/* Another generator's noise cannot be met voxel by voxel; its distribution is. */
static void noise_matches_in_distribution(void **state) {
  (void)state;
  err e = {0};
  double want_mean[3], want_sd[3], mean[3], sd[3];
  st_file *st = open_tensors("alignment_procedural");
  clip c = golden_clip(st, "ellipse");
  const st_tensor *t = tensor(st, "ellipse", "alpha_noise");
  int64_t n = voxels(&c);
  float *out = take(n);
  double *a = malloc((size_t)n * sizeof *a);
  assert_non_null(a);
  for (int64_t i = 0; i < n; i++) a[i] = dtype_get(t->type, t->data, i);
  noise_statistics(c.alpha, a, n, want_mean, want_sd);
  assert_int_equal(defect_apply(&e, &c, &(defect){.kind = DEFECT_NOISE, .strength = .05, .seed = 7}, out), OK);
  round8(out, n, DEFECT_NOISE);
  for (int64_t i = 0; i < n; i++) a[i] = rint((double)out[i] * 255);
  noise_statistics(c.alpha, a, n, mean, sd);
  for (int k = 0; k < 3; k++) { /* sd 12.75 in between, over some 1000 voxels and more: 4 standard errors */
    print_message("noise %d: mean %.2f, golden %.2f; sd %.2f, golden %.2f\n", k, mean[k], want_mean[k], sd[k],
                  want_sd[k]);
    assert_true(fabs(mean[k] - want_mean[k]) < 2);
    assert_true(fabs(sd[k] / want_sd[k] - 1) < .1);
  }
  assert_true(fabs(sd[2] / 12.75 - 1) < .1 && mean[0] > 4 && mean[1] < -4);
  free(out), free(a);
  clip_free(&c);
  st_close(st);
}

/* --- the contract ------------------------------------------------------------------------------------------------
 */

static clip moving_clip(moving_kind kind, uint64_t seed) {
  err e = {0};
  clip c;
  moving m = {.kind = kind, .frames = 6, .height = 37, .width = 51, .seed = seed};
  assert_int_equal(moving_render(&e, &m, &c), OK);
  return c;
}

static double distance(const float *a, const float *b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += fabs((double)a[i] - (double)b[i]);
  return sum / (double)n;
}

static void strengths_grow(void **state) {
  (void)state;
  err e = {0};
  clip c = moving_clip(MOVING_DISC, 5), other = moving_clip(MOVING_DISC, 6);
  int64_t n = voxels(&c);
  float *clean = take(n), *out = take(n), *again = take(n);
  memcpy(clean, c.alpha, (size_t)n * sizeof *clean);
  for (int k = 0; k < DEFECT_KINDS; k++) {
    const defect_info *info = defect_about((defect_kind)k);
    defect d = {.kind = (defect_kind)k, .seed = 3, .other = other.alpha};
    double last = 0;
    assert_true(info->steps >= 3 && info->steps <= DEFECT_STEPS);
    assert_int_equal(defect_apply(&e, &c, &d, out), OK);
    assert_false(differs(out, clean, n)); /* strength 0 */
    for (int s = 0; s < info->steps; s++) {
      d.strength = info->strength[s];
      memset(out, 0xff, (size_t)n * sizeof *out);
      assert_int_equal(defect_apply(&e, &c, &d, out), OK);
      assert_int_equal(defect_apply(&e, &c, &d, again), OK);
      assert_false(differs(out, again, n));
      double far = distance(out, clean, n);
      if (!(far > last)) fail_msg("%s %g: %.6f after %.6f", info->name, d.strength, far, last);
      last = far;
    }
    assert_false(differs(c.alpha, clean, n)); /* the clip is as it was */
  }
  free(clean), free(out), free(again);
  clip_free(&c), clip_free(&other);
}

static void holes_are_nested(void **state) {
  (void)state;
  err e = {0};
  clip c = moving_clip(MOVING_DISC, 5);
  int64_t n = voxels(&c);
  float *small = take(n), *large = take(n), *all = take(n), *seeded = take(n);
  defect d = {.kind = DEFECT_HOLES, .strength = .1, .seed = 1};
  assert_int_equal(defect_apply(&e, &c, &d, small), OK);
  d.seed = 2;
  assert_int_equal(defect_apply(&e, &c, &d, seeded), OK);
  assert_true(differs(small, seeded, n));
  d = (defect){.kind = DEFECT_HOLES, .strength = .4, .seed = 1};
  assert_int_equal(defect_apply(&e, &c, &d, large), OK);
  d.strength = 1;
  assert_int_equal(defect_apply(&e, &c, &d, all), OK);
  for (int64_t i = 0; i < n; i++) {
    assert_true(small[i] == c.alpha[i] || small[i] == 0);
    assert_true(large[i] == small[i] || large[i] == 0);
    assert_true(all[i] < .5F); /* every block of the object */
  }
  free(small), free(large), free(all), free(seeded);
  clip_free(&c);
}

static void disc_and_erode_are_dual(void **state) {
  (void)state;
  err e = {0};
  clip c = moving_clip(MOVING_GLASS, 9), inverse = moving_clip(MOVING_GLASS, 9);
  int64_t n = voxels(&c);
  float *small = take(n), *grown = take(n);
  for (int64_t i = 0; i < n; i++) inverse.alpha[i] = 1 - c.alpha[i];
  assert_int_equal(defect_apply(&e, &c, &(defect){.kind = DEFECT_ERODE, .strength = 2}, small), OK);
  assert_int_equal(defect_apply(&e, &inverse, &(defect){.kind = DEFECT_DILATE, .strength = 2}, grown), OK);
  double sum = 0;
  for (int64_t i = 0; i < n; i++) {
    assert_true(fabs((double)small[i] - (1 - (double)grown[i])) < 1e-6);
    assert_true(small[i] <= c.alpha[i]);
    sum += (double)small[i];
  }
  assert_true(sum > 0);
  free(small), free(grown);
  clip_free(&c), clip_free(&inverse);
}

static void bad_arguments(void **state) {
  (void)state;
  clip c = moving_clip(MOVING_DISC, 1), opaque = c;
  float *out = take(voxels(&c));
  static const defect bad[] = {{.kind = DEFECT_SHIFT, .strength = 1.5}, {.kind = DEFECT_DELAY, .strength = -1},
                               {.kind = DEFECT_BLUR, .strength = NAN},  {.kind = DEFECT_OPAQUE, .strength = 1.01},
                               {.kind = DEFECT_OTHER, .strength = .5},  {.kind = DEFECT_DILATE, .strength = 65}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    err e = {0};
    assert_int_equal(defect_apply(&e, &c, &bad[i], out), E_ARG);
    assert_non_null(strstr(e.text, defect_about(bad[i].kind)->name));
  }
  err e = {0};
  opaque.alpha = NULL;
  assert_int_equal(defect_apply(&e, &opaque, &(defect){.kind = DEFECT_EMPTY, .strength = 1}, out), E_ARG);
  free(out);
  clip_free(&c);
}

/* Shifts beyond the frame, delays beyond the clip, one frame, one pixel, no frame. */
static void odd_sizes(void **state) {
  (void)state;
  err e = {0};
  static const int size[][3] = {{1, 1, 1}, {2, 1, 5}, {1, 3, 1}, {0, 4, 4}, {3, 0, 2}};
  for (size_t s = 0; s < sizeof size / sizeof size[0]; s++) {
    clip c;
    assert_int_equal(clip_new(&e, size[s][0], size[s][1], size[s][2], 1, &c), OK);
    for (int64_t i = 0; i < voxels(&c); i++) c.alpha[i] = .75F;
    float *out = take(voxels(&c) + 1);
    for (int k = 0; k < DEFECT_KINDS; k++) {
      const defect_info *info = defect_about((defect_kind)k);
      for (int i = 0; i < info->steps; i++) {
        defect d = {.kind = (defect_kind)k, .strength = info->strength[i], .other = c.alpha};
        assert_int_equal(defect_apply(&e, &c, &d, out), OK);
        for (int64_t j = 0; j < voxels(&c); j++) assert_true(out[j] >= 0 && out[j] <= 1);
        assert_true(isnan(out[voxels(&c)]));
      }
    }
    free(out);
    clip_free(&c);
  }
}

/* --- procedural clips --------------------------------------------------------------------------------------------
 */

static void moving_clips(void **state) {
  (void)state;
  err e = {0};
  for (int k = 0; k < MOVING_KINDS; k++) {
    clip a = moving_clip((moving_kind)k, 4), b = moving_clip((moving_kind)k, 4), c = moving_clip((moving_kind)k, 8);
    int64_t n = voxels(&a), per = (int64_t)a.height * a.width, soft = 0, clear = 0;
    float top = 0;
    assert_int_equal(a.colour, CLIP_STRAIGHT);
    assert_false(differs(a.alpha, b.alpha, n) || differs(a.rgb, b.rgb, 3 * n));
    assert_true(differs(a.alpha, c.alpha, n) && differs(a.rgb, c.rgb, 3 * n));
    assert_true(differs(a.alpha, a.alpha + per, per)); /* it moves */
    for (int64_t i = 0; i < n; i++) {
      assert_true(a.alpha[i] >= 0 && a.alpha[i] <= 1);
      soft += a.alpha[i] > .05F && a.alpha[i] < .95F;
      clear += a.alpha[i] == 0;
      top = fmaxf(top, a.alpha[i]);
    }
    assert_true(soft > 0 && clear > n / 4 && (k == MOVING_GLASS ? top > .5F && top < .9F : top == 1));
    for (int64_t i = 0; i < 3 * n; i++) assert_true(a.rgb[i] >= 0 && a.rgb[i] <= 1);
    float *over = take(3 * n), *other = take(3 * n);
    assert_int_equal(moving_over(&e, &a, 1, over), OK);
    assert_int_equal(moving_over(&e, &a, 2, other), OK);
    assert_true(differs(over, other, 3 * n));
    for (int64_t i = 0; i < n; i++)
      for (int j = 0; j < 3; j++) {
        assert_true(over[3 * i + j] >= 0 && over[3 * i + j] <= 1);
        if (a.alpha[i] == 1) assert_true(fabs((double)over[3 * i + j] - (double)a.rgb[3 * i + j]) < 1e-6);
        if (a.alpha[i] == 1) assert_true(over[3 * i + j] == other[3 * i + j]);
      }
    assert_int_equal(moving_over(&e, &a, 1, a.rgb), OK);
    assert_false(differs(a.rgb, over, 3 * n));
    a.colour = CLIP_DECODED;
    assert_int_equal(moving_over(&e, &a, 1, over), E_ARG);
    err_clear(&e);
    free(over), free(other);
    clip_free(&a), clip_free(&b), clip_free(&c);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(variants_match),
      cmocka_unit_test(luma_matches),
      cmocka_unit_test(stored_planes_match),
      cmocka_unit_test(noise_matches_in_distribution),
      cmocka_unit_test(strengths_grow),
      cmocka_unit_test(holes_are_nested),
      cmocka_unit_test(disc_and_erode_are_dual),
      cmocka_unit_test(bad_arguments),
      cmocka_unit_test(odd_sizes),
      cmocka_unit_test(moving_clips),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
