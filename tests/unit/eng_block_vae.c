/* The fixed block transform: orthonormal columns, exact round trip inside its span, layout, errors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/rng.h"
#include "base/text.h"
#include "model/block_vae.h"

#define CH BLOCK_VAE_CHANNELS

static void need(int rc, const err *e) {
  if (rc != OK) fail_msg("%s", e->text);
}

static block_vae unit; /* all scales 1 */

static int open_unit(void **state) {
  (void)state;
  double scale[CH];
  for (int k = 0; k < CH; k++) scale[k] = 1;
  err e = {0};
  return block_vae_open(&e, scale, &unit);
}

static clip random_clip(int frames, int height, int width) {
  err e = {0};
  clip c;
  need(clip_new(&e, frames, height, width, 1, &c), &e);
  int64_t n = (int64_t)frames * height * width;
  rng_uniform((rng){.seed = 3, .stream = RNG_TEST}, 0, 3 * n, c.rgb);
  rng_uniform((rng){.seed = 4, .stream = RNG_TEST}, 0, n, c.alpha);
  return c;
}

static void orthonormal(void **state) {
  (void)state;
  for (int i = 0; i < CH; i++)
    for (int k = 0; k <= i; k++) {
      double dot = 0;
      for (int p = 0; p < BLOCK_VAE_PIXELS; p++) dot += unit.basis[p][i] * unit.basis[p][k];
      assert_true(fabs(dot - (i == k)) < 1e-14);
    }
}

/* Channels 0, 10, 16, 28 are the block's mean luma, its change in time and its two mean chroma values. */
static void known_values(void **state) {
  (void)state;
  err e = {0};
  clip c;
  need(clip_new(&e, 2, 8, 16, 1, &c), &e);
  for (int i = 0; i < 2 * 8 * 16; i++) {
    int right = i % 16 >= 8, second = i >= 8 * 16;
    c.rgb[3 * i] = right ? 1.0f : 0.5f; /* left block: mid grey; right block: red in frame 0, white in frame 1 */
    c.rgb[3 * i + 1] = c.rgb[3 * i + 2] = right ? (second ? 1.0f : 0.0f) : 0.5f;
    c.alpha[i] = 1;
  }
  float z[2 * CH];
  for (int i = 0; i < 2 * CH; i++) z[i] = NAN;
  need(block_vae_encode(&e, &unit, &c, BLOCK_VAE_RGB, z), &e);
  for (int k = 0; k < CH; k++) assert_true(fabs((double)z[2 * k]) < 1e-6);
  const double n = sqrt(64 * 2.0), m = sqrt(64.0);
  /* frame 0: (1,-1,-1), frame 1: (1,1,1); luma (-1, 3)/sqrt 3, chroma 1 (2, 0)/sqrt 2, chroma 2 (2, 0)/sqrt 6 */
  assert_true(fabs((double)z[2 * 0 + 1] - n / 2 * 2 / sqrt(3)) < 1e-5);
  assert_true(fabs((double)z[2 * 10 + 1] - m * (-1 - 3) / sqrt(2) / sqrt(3)) < 1e-5);
  assert_true(fabs((double)z[2 * 16 + 1] - n / 2 * 2 / sqrt(2)) < 1e-5);
  assert_true(fabs((double)z[2 * 28 + 1] - n / 2 * 2 / sqrt(6)) < 1e-5);
  need(block_vae_encode(&e, &unit, &c, BLOCK_VAE_ALPHA, z), &e);
  assert_true(fabs((double)z[0] - n * sqrt(3)) < 1e-5);
  for (int k = 1; k < CH; k++) assert_true(fabs((double)z[2 * k]) < 1e-6);
  clip_free(&c);
}

/* Encoding a decoded clip gives the latents back: the transform is a projection (small latents, nothing clamps). */
static void projection(void **state) {
  (void)state;
  err e = {0};
  int64_t n;
  need(block_vae_count(&e, 4, 24, 40, &n), &e);
  assert_int_equal(n, 2 * CH * 3 * 5);
  float *z = malloc((size_t)n * sizeof *z), *back = malloc((size_t)n * sizeof *back);
  rng_normal((rng){.seed = 1, .stream = RNG_TEST}, 0, n, z);
  double worst = 0, size = 0;
  for (int64_t i = 0; i < n; i++) z[i] *= 0.3f, back[i] = NAN;
  clip c = random_clip(4, 24, 40);
  c.colour = CLIP_STRAIGHT;
  need(block_vae_decode(&e, &unit, z, NULL, &c), &e);
  assert_int_equal(c.colour, CLIP_DECODED);
  need(block_vae_encode(&e, &unit, &c, BLOCK_VAE_RGB, back), &e);
  for (int64_t i = 0; i < n; i++) {
    worst = fmax(worst, fabs((double)z[i] - (double)back[i]));
    size = fmax(size, fabs((double)z[i]));
  }
  assert_true(size > 0.5);
  assert_true(worst < 1e-5);
  free(z);
  free(back);
  clip_free(&c);
}

/* Each block stands alone: a large clip's block equals the same pixels encoded as a clip of one block. */
static void blocks_are_independent(void **state) {
  (void)state;
  err e = {0};
  clip c = random_clip(6, 64, 64), one = random_clip(2, 8, 8);
  int64_t n;
  need(block_vae_count(&e, 6, 64, 64, &n), &e);
  float *z = malloc((size_t)n * sizeof *z), small[CH];
  need(block_vae_encode(&e, &unit, &c, BLOCK_VAE_RGB, z), &e);
  const int bt = 2, by = 5, bx = 7;
  for (int t = 0; t < 2; t++)
    for (int y = 0; y < 8; y++)
      memcpy(one.rgb + (t * 8 + y) * 8 * 3, c.rgb + (((2 * bt + t) * 64 + 8 * by + y) * 64 + 8 * bx) * 3,
             8 * 3 * sizeof(float));
  need(block_vae_encode(&e, &unit, &one, BLOCK_VAE_RGB, small), &e);
  double sum = 0;
  for (int k = 0; k < CH; k++) {
    assert_true(z[((bt * CH + k) * 8 + by) * 8 + bx] == small[k]);
    sum += fabs((double)small[k]);
  }
  assert_true(sum > 1);
  free(z);
  clip_free(&c);
  clip_free(&one);
}

static int noise_source(void *user, err *e, int64_t i, clip *out) {
  (void)user;
  if (i == 3) return err_set(e, E_IO, "clip 3 is gone");
  *out = random_clip(2, 16, 16);
  return OK;
}

static void fit_and_file(void **state) {
  (void)state;
  err e = {0};
  static block_vae v, back;
  need(block_vae_fit(&e, 3, noise_source, NULL, &v), &e);
  assert_int_equal(block_vae_fit(&e, 4, noise_source, NULL, &back), E_IO);
  err_clear(&e);
  assert_int_equal(block_vae_fit(&e, 0, noise_source, NULL, &back), E_ARG);
  err_clear(&e);
  char path[] = "/tmp/tandem-vae-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  need(block_vae_save(&e, &v, "noise", path), &e);
  need(block_vae_load(&e, path, &back), &e);
  assert_memory_equal(&v, &back, sizeof v);
  static const char *const wrong[] = {"{}", "{\"kind\": \"block-dct\", \"scale\": [1, 2]}", "[1]", "{\"kind\": 3}"};
  for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
    need(file_write(&e, path, wrong[k], strlen(wrong[k])), &e);
    assert_int_equal(block_vae_load(&e, path, &back), E_FORMAT);
    assert_non_null(strstr(e.text, "latent scales"));
    err_clear(&e);
  }
  unlink(path);
}

static void refusals(void **state) {
  (void)state;
  err e = {0};
  int64_t n;
  static const int wrong[][3] = {{3, 8, 8}, {2, 7, 8}, {2, 8, 12}, {0, 8, 8}, {-2, 8, 8}};
  for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
    assert_int_equal(block_vae_count(&e, wrong[k][0], wrong[k][1], wrong[k][2], &n), E_SHAPE);
    err_clear(&e);
  }
  clip c;
  need(clip_new(&e, 2, 8, 8, 0, &c), &e);
  float z[CH] = {0};
  assert_int_equal(block_vae_encode(&e, &unit, &c, BLOCK_VAE_ALPHA, z), E_ARG);
  assert_int_equal(block_vae_decode(&e, &unit, z, z, &c), E_ARG);
  clip_free(&c);
  static block_vae v;
  double scale[CH] = {0};
  err_clear(&e);
  assert_int_equal(block_vae_open(&e, scale, &v), E_ARG);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(orthonormal),  cmocka_unit_test(known_values),
      cmocka_unit_test(projection),   cmocka_unit_test(blocks_are_independent),
      cmocka_unit_test(fit_and_file), cmocka_unit_test(refusals),
  };
  return cmocka_run_group_tests(tests, open_unit, NULL);
}
