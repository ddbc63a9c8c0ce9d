/* The double build of the engine draws the same floats: its gradient checks run on the product's noise. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "rng_expect.h"

static void same_floats_widened(void **state) {
  (void)state;
  const rng r = {.seed = 42, .stream = RNG_TEST, .sub = 0};
  char hex[HASH_HEX];
  float *p;
  real *q;
  assert_int_equal(sizeof(real), sizeof(double));
  assert_int_equal(mem_new(NULL, EXPECT_COUNT, sizeof *p, "test", &p), OK);
  assert_int_equal(mem_new(NULL, EXPECT_COUNT, sizeof *q, "test", &q), OK);
  for (int64_t i = 0; i < EXPECT_COUNT; i++) p[i] = NAN, q[i] = (real)NAN;
  rng_normal(r, 0, EXPECT_COUNT, p);
  rng_normal_real(r, 0, EXPECT_COUNT, q);
  for (int64_t i = 0; i < EXPECT_COUNT; i++) assert_true(q[i] == (double)p[i]);
  assert_int_equal(hash_bytes(NULL, p, EXPECT_COUNT * sizeof *p, hex), OK);
  assert_string_equal(hex, EXPECT_NORMALS);
  rng_uniform(r, 0, EXPECT_COUNT, p);
  assert_int_equal(hash_bytes(NULL, p, EXPECT_COUNT * sizeof *p, hex), OK);
  assert_string_equal(hex, EXPECT_UNIFORMS);
  free(p);
  free(q);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(same_floats_widened)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
