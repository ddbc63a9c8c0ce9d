/* Latents for metrics: score_latents and latent_rmse_base against the transform written out in double. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "metrics/metric.h"
#include "run/score_files.h"

enum { SIDE = 8, CH = BLOCK_VAE_CHANNELS };

static clip noise(int frames, int h, int w, uint64_t seed) {
  err e = {0};
  clip c;
  assert_int_equal(clip_new(&e, frames, h, w, 1, &c), OK);
  rng_uniform((rng){.seed = seed, .stream = RNG_TEST, .sub = 1}, 0, 3 * clip_voxels(&c), c.rgb);
  rng_uniform((rng){.seed = seed, .stream = RNG_TEST, .sub = 2}, 0, clip_voxels(&c), c.alpha);
  return c;
}

static void open_vae(block_vae *v) {
  err e = {0};
  double scale[CH];
  for (int k = 0; k < CH; k++) scale[k] = 0.3 + 0.11 * k;
  if (block_vae_open(&e, scale, v) != OK) fail_msg("%s", e.text);
}

static metric_value score(const metric_input *in) {
  err e = {0};
  metric_request r;
  metric_value v = {.value = NAN};
  if (metric_parse(&e, "latent_rmse_base", &r) != OK || metric_score(&e, &r, 1, in, &v) != OK) fail_msg("%s", e.text);
  return v;
}

static double dct(int n, int k, int i) {
  return sqrt((k ? 2.0 : 1.0) / n) * cos(acos(-1.0) * (2 * i + 1) * k / (2.0 * n));
}

/* Frequencies (ky, kx) of a block in the order of block_vae.h; returns how many are kept. */
static int frequencies(int colour, int t, int ky[10], int kx[10]) {
  static const int kept[2][2] = {{10, 6}, {8, 4}};
  int n = 0, most = kept[colour > 0][t];
  for (int sum = 0; n < most; sum++)
    for (int apart = sum % 2; apart <= sum && n < most; apart += 2)
      for (int sign = 0; sign < (apart ? 2 : 1) && n < most; sign++, n++) {
        ky[n] = sign ? (sum + apart) / 2 : (sum - apart) / 2;
        kx[n] = sum - ky[n];
      }
  return n;
}

/* Sum of squares over the 40 latents of the block at (f, y, x) of the difference of two clips. */
static double block_square(const block_vae *v, const clip *a, const clip *b, int f, int y, int x) {
  static const double axis[3][3] = {{1, 1, 1}, {1, 0, -1}, {1, -2, 1}}, length[3] = {3, 2, 6};
  double total = 0;
  int channel = 0, ky[10], kx[10];
  for (int o = 0; o < 3; o++)
    for (int t = 0; t < 2; t++) {
      int n = frequencies(o, t, ky, kx);
      for (int k = 0; k < n; k++) {
        double z = 0;
        for (int p = 0; p < 2 * SIDE * SIDE; p++) {
          int pt = p / (SIDE * SIDE), py = p / SIDE % SIDE, px = p % SIDE;
          int64_t at = ((int64_t)(2 * f + pt) * a->height + SIDE * y + py) * a->width + SIDE * x + px;
          double basis = dct(2, t, pt) * dct(SIDE, ky[k], py) * dct(SIDE, kx[k], px);
          for (int c = 0; c < 3; c++)
            z += 2 * ((double)a->rgb[3 * at + c] - (double)b->rgb[3 * at + c]) * axis[o][c] / sqrt(length[o]) * basis;
        }
        total += z * z / (v->scale[channel] * v->scale[channel]);
        channel++;
      }
    }
  assert_int_equal(channel, CH);
  return total;
}

static void value_is_the_definition(void **state) {
  (void)state;
  static const int size[][3] = {{2, 8, 8}, {4, 16, 24}, {2, 40, 8}};
  err e = {0};
  block_vae *v = malloc(sizeof *v);
  assert_non_null(v);
  open_vae(v);
  for (size_t s = 0; s < 3; s++) {
    clip c = noise(size[s][0], size[s][1], size[s][2], 10 + s),
         base = noise(size[s][0], size[s][1], size[s][2], 20 + s);
    metric_input in = {.clip = &c, .base = &base};
    float *kept;
    double sum = 0;
    int64_t blocks = 0;
    assert_int_equal(score_latents(&e, v, &in, &kept), OK);
    for (int f = 0; f < c.frames / 2; f++)
      for (int y = 0; y < c.height / SIDE; y++)
        for (int x = 0; x < c.width / SIDE; x++, blocks++) sum += block_square(v, &c, &base, f, y, x);
    double want = sqrt(sum / (double)(blocks * CH));
    metric_value got = score(&in);
    assert_true(want > 0.1 && !got.reason && got.support == blocks * CH);
    if (fabs(got.value - want) > 1e-6 * want) fail_msg("%.9g, expected %.9g", got.value, want);
    free(kept), clip_free(&c), clip_free(&base);
  }
  free(v);
}

/* Alpha does not count, and nothing is lost on the way: equal pictures are exactly 0 apart. */
static void equal_pictures_are_zero(void **state) {
  (void)state;
  err e = {0};
  block_vae *v = malloc(sizeof *v);
  assert_non_null(v);
  open_vae(v);
  clip c = noise(4, 16, 16, 5), base = noise(4, 16, 16, 6);
  memcpy(base.rgb, c.rgb, 3 * (size_t)clip_voxels(&c) * sizeof *c.rgb);
  metric_input in = {.clip = &c, .base = &base};
  float *kept;
  assert_int_equal(score_latents(&e, v, &in, &kept), OK);
  assert_true(score(&in).value == 0 && !score(&in).reason);
  free(kept);
  base.rgb[77] += base.rgb[77] > 0.5f ? -0.01f : 0.01f;
  assert_int_equal(score_latents(&e, v, &in, &kept), OK);
  assert_true(score(&in).value > 0);
  free(kept), free(v), clip_free(&c), clip_free(&base);
}

static void reason(const char *want, int frames, int h, int w, int with_base, clip_colour colour) {
  err e = {0};
  block_vae *v = malloc(sizeof *v);
  assert_non_null(v);
  open_vae(v);
  clip c = noise(frames, h, w, 5), base = noise(frames, h, w, 6);
  c.colour = colour;
  metric_input in = {.clip = &c, .base = with_base ? &base : NULL};
  float *kept;
  assert_int_equal(score_latents(&e, v, &in, &kept), OK);
  metric_value got = score(&in);
  assert_non_null(got.reason);
  assert_string_equal(got.reason, want);
  free(kept), free(v), clip_free(&c), clip_free(&base);
}

static void reasons(void **state) {
  (void)state;
  reason(METRIC_NO_BASE, 2, 8, 8, 0, CLIP_DECODED);
  reason(METRIC_NO_LATENTS, 3, 8, 8, 1, CLIP_DECODED);
  reason(METRIC_NO_LATENTS, 2, 9, 8, 1, CLIP_DECODED);
  reason(METRIC_NO_LATENTS, 2, 8, 7, 1, CLIP_DECODED);
  reason(METRIC_PREMULTIPLIED_RGB, 2, 8, 8, 1, CLIP_PREMULTIPLIED);
  clip c = noise(2, 8, 8, 1);
  assert_string_equal(score(&(metric_input){.clip = &c, .base = &c}).reason, METRIC_NO_LATENTS);
  clip_free(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(value_is_the_definition),
      cmocka_unit_test(equal_pictures_are_zero),
      cmocka_unit_test(reasons),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
