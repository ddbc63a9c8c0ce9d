/* 8-bit codes of float pictures: the integers that the golden definitions round, whatever float made of them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "metrics/code8.h"

enum { DRAWS = 1 << 12 };

/* (a (299 R + 587 G + 114 B) + 127500) / 255000 of the float product alpha * colour, for every alpha. */
static void luma_of_products_is_exact(void **state) {
  (void)state;
  float *u = malloc(3 * DRAWS * sizeof *u);
  assert_non_null(u);
  int64_t plain_wrong = 0, differ = 0;
  for (int a = 0; a <= 255; a++) {
    rng_uniform((rng){.seed = 8, .stream = RNG_TEST, .sub = (uint32_t)a}, 0, 3 * DRAWS, u);
    float alpha = (float)a / 255.0f;
    for (int i = 0; i < DRAWS; i++) {
      int code[3];
      float p[3];
      for (int k = 0; k < 3; k++) {
        code[k] = (int)(u[3 * i + k] * 256) & 255;
        p[k] = alpha * ((float)code[k] / 255.0f);
      }
      int want = (a * (299 * code[0] + 587 * code[1] + 114 * code[2]) + 127500) / 255000, got = luma8(p);
      if (got != want) fail_msg("alpha %d, %d %d %d: %d, not %d", a, code[0], code[1], code[2], got, want);
      plain_wrong += code8(plane_luma(p)) != want;
      differ += want != 0;
      for (int k = 0; k < 3; k++) assert_int_equal(code8((double)p[k]), (a * code[k] + 127) / 255);
    }
  }
  assert_true(differ > DRAWS * 200);
  assert_true(plain_wrong > 0); /* why luma8 is there */
  free(u);
}

/* Values between the codes, and beyond the range, are rounded as they are. */
static void other_values_are_rounded(void **state) {
  (void)state;
  float u[3 * DRAWS];
  rng_uniform((rng){.seed = 9, .stream = RNG_TEST}, 0, 3 * DRAWS, u);
  int64_t off = 0;
  for (int i = 0; i < DRAWS; i++) {
    double y = 255 * plane_luma(u + 3 * i);
    off += luma8(u + 3 * i) != (int)floor(y + 0.5);
  }
  assert_int_equal(off, 0);
  assert_int_equal(luma8((float[]){2, 2, 2}), 255);
  assert_int_equal(luma8((float[]){-1, -1, -1}), 0);
  assert_int_equal(luma8((float[]){1, 1, 1}), 255);
  assert_true(product8(0.5f) < 0 && product8(-0.25f) < 0 && product8(1.25f) < 0);
  assert_true(product8(1) == 65025 && product8(0) == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(luma_of_products_is_exact),
      cmocka_unit_test(other_values_are_rounded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
