#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "rng_expect.h"

#define N 1000000

static const rng test_rng = {.seed = 42, .stream = RNG_TEST, .sub = 0};

static float *floats(int64_t n) {
  float *p;
  assert_int_equal(mem_new(NULL, n, sizeof *p, "test", &p), OK);
  for (int64_t i = 0; i < n; i++) p[i] = NAN;
  return p;
}

static float *normals(rng r, uint64_t first, int64_t n) {
  float *p = floats(n);
  rng_normal(r, first, n, p);
  return p;
}

/* Random123's kat_vectors, philox4x32 10 */
static void known_answers(void **state) {
  static const struct {
    uint32_t counter[4], key[2], out[4];
  } kat[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  (void)state;
  for (size_t i = 0; i < sizeof kat / sizeof kat[0]; i++) {
    uint32_t out[4] = {0};
    philox4x32(kat[i].counter, kat[i].key, out);
    assert_memory_equal(out, kat[i].out, sizeof out);
  }
}

/* Which counter, key and lane an element comes from is part of the contract: it pairs noise across programs. */
static void addressing(void **state) {
  (void)state;
  const rng r = {.seed = 0x0123456789abcdefu, .stream = RNG_STEP, .sub = 77};
  const uint64_t index[] = {0, 1, 2, 3, 4, 257, (uint64_t)1 << 34, ((uint64_t)5 << 40) + 6};
  for (size_t i = 0; i < sizeof index / sizeof index[0]; i++) {
    uint64_t block = index[i] / 4;
    uint32_t out[4], counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), RNG_STEP, 77};
    uint32_t key[2] = {0x89abcdefu, 0x01234567u};
    float u = NAN;
    philox4x32(counter, key, out);
    assert_int_equal(rng_u32(r, index[i]), out[index[i] % 4]);
    rng_uniform(r, index[i], 1, &u);
    assert_true(u == (float)(out[index[i] % 4] >> 8) / 16777216.0f);
  }
}

static void same_bits_everywhere(void **state) {
  (void)state;
  char hex[HASH_HEX];
  float *p = normals(test_rng, 0, EXPECT_COUNT);
  assert_int_equal(hash_bytes(NULL, p, EXPECT_COUNT * sizeof *p, hex), OK);
  assert_string_equal(hex, EXPECT_NORMALS);
  rng_uniform(test_rng, 0, EXPECT_COUNT, p);
  assert_int_equal(hash_bytes(NULL, p, EXPECT_COUNT * sizeof *p, hex), OK);
  assert_string_equal(hex, EXPECT_UNIFORMS);
  free(p);
}

/* Any range equals the same elements of the whole, and nothing outside it is written. */
static void ranges(void **state) {
  (void)state;
  const uint64_t base[] = {0, ((uint64_t)1 << 34) - 700, ((uint64_t)1 << 50) + 3};
  const int64_t n = 2000;
  for (size_t b = 0; b < 3; b++) {
    float *whole = normals(test_rng, base[b], n), *flat = floats(n), *part = floats(n + 2);
    rng_uniform(test_rng, base[b], n, flat);
    for (uint64_t k = 0; k < 300; k++) {
      int64_t from = (int64_t)rng_below(test_rng, 2 * k, (uint64_t)n);
      int64_t len = k == 0 ? 0 : (int64_t)rng_below(test_rng, 2 * k + 1, (uint64_t)(n - from)) + 1;
      for (int uniform = 0; uniform < 2; uniform++) {
        for (int64_t i = 0; i < len + 2; i++) part[i] = NAN;
        (uniform ? rng_uniform : rng_normal)(test_rng, base[b] + (uint64_t)from, len, part + 1);
        if (len) assert_memory_equal(part + 1, (uniform ? flat : whole) + from, (size_t)len * sizeof *part);
        assert_true(isnan(part[0]) && isnan(part[len + 1]));
      }
    }
    free(whole);
    free(flat);
    free(part);
  }
}

static void widened(void **state) {
  (void)state;
  float *p = normals(test_rng, 5, 1001);
  real *q;
  assert_int_equal(mem_new(NULL, 1001, sizeof *q, "test", &q), OK);
  rng_normal_real(test_rng, 5, 1001, q);
  for (int i = 0; i < 1001; i++) assert_true(q[i] == (real)p[i]);
  free(p);
  free(q);
}

/* Against Box-Muller in double with libm, from the same 32-bit draws. */
static void transform_is_accurate(void **state) {
  (void)state;
  const int64_t n = 200000;
  float *p = normals(test_rng, 0, n);
  double worst = 0;
  for (int64_t i = 0; i < n; i += 2) {
    uint32_t x = rng_u32(test_rng, (uint64_t)i), angle = rng_u32(test_rng, (uint64_t)i + 1);
    double u = ((double)(x >> 1) + 0.5) * 0x1p-31, t = 2 * 3.14159265358979323846 * angle * 0x1p-32;
    double radius = sqrt(-2 * log(u));
    worst = fmax(worst, fabs(p[i] - radius * cos(t)));
    worst = fmax(worst, fabs(p[i + 1] - radius * sin(t)));
  }
  assert_true(worst > 0 && worst < 1e-6);
  free(p);
}

/* Sample moments of 10^6 normals, each within 4.5 of its standard errors. */
static void moments(void **state) {
  (void)state;
  float *p = normals(test_rng, 0, N);
  double m[5] = {0}, largest = 0;
  for (int64_t i = 0; i < N; i++) {
    assert_true(isfinite(p[i]));
    for (int k = 1; k <= 4; k++) m[k] += pow(p[i], k) / N;
    largest = fmax(largest, fabs(p[i]));
  }
  const double root = sqrt(N), z = 4.5;
  assert_true(fabs(m[1]) < z / root);
  assert_true(fabs(m[2] - 1) < z * sqrt(2) / root);
  assert_true(fabs(m[3]) < z * sqrt(15) / root);
  assert_true(fabs(m[4] - 3) < z * sqrt(96) / root);
  assert_true(largest > 4.3 && largest < 6.7);
  free(p);
}

static int by_value(const void *a, const void *b) {
  const float *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

/* Kolmogorov-Smirnov distance of 10^6 normals and of 10^6 uniforms; 1.95 / sqrt(n) is passed once in a thousand. */
static void distribution(void **state) {
  (void)state;
  float *p = normals(test_rng, 0, N);
  for (int uniform = 0; uniform < 2; uniform++) {
    double d = 0;
    if (uniform) rng_uniform(test_rng, 0, N, p);
    qsort(p, N, sizeof *p, by_value);
    for (int64_t i = 0; i < N; i++) {
      double f = uniform ? (double)p[i] : 0.5 * erfc(-(double)p[i] / sqrt(2));
      d = fmax(d, fmax(f - (double)i / N, (double)(i + 1) / N - f));
    }
    assert_true(d > 0 && d < 1.95 / sqrt(N));
    if (uniform) assert_true(p[0] >= 0 && p[N - 1] < 1);
  }
  free(p);
}

static double correlation(const float *x, const float *y, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += (double)x[i] * y[i];
  return sum / (double)n;
}

/* Neighbours, other streams, other subs, seeds that differ in one bit: none is related to the first. */
static void independence(void **state) {
  (void)state;
  enum { COUNT = 200000 };
  const double bound = 4.5 / sqrt(COUNT);
  const rng other[] = {{42, RNG_TEST, 1},
                       {42, RNG_BOOTSTRAP, 0},
                       {43, RNG_TEST, 0},
                       {42 + (1ull << 32), RNG_TEST, 0},
                       {42 ^ (1ull << 63), RNG_TEST, 0},
                       {42, RNG_START_RGB, RNG_TEST}};
  float *p = normals(test_rng, 0, COUNT + 8);
  for (int lag = 1; lag <= 8; lag++) assert_true(fabs(correlation(p, p + lag, COUNT)) < bound);
  for (size_t k = 0; k < sizeof other / sizeof other[0]; k++) {
    float *q = normals(other[k], 0, COUNT);
    assert_true(fabs(correlation(p, q, COUNT)) < bound);
    int64_t equal = 0;
    for (int64_t i = 0; i < COUNT; i++) equal += p[i] == q[i];
    assert_true(equal < 10);
    free(q);
  }
  free(p);
}

static void below(void **state) {
  (void)state;
  int64_t count[7] = {0};
  for (uint64_t i = 0; i < 70000; i++) count[rng_below(test_rng, i, 7)]++;
  double chi = 0;
  for (int k = 0; k < 7; k++) chi += pow((double)count[k] - 10000, 2) / 10000;
  assert_true(chi < 22.5); /* 6 degrees of freedom, passed once in a thousand */
  assert_int_equal(rng_below(test_rng, 3, 1), 0);
  /* Draw i is the top of n times the 64 bits of elements 2i (low) and 2i+1 (high). */
  for (uint64_t i = 0; i < 9; i++) {
    uint64_t bits = (uint64_t)rng_u32(test_rng, 2 * i + 1) << 32 | rng_u32(test_rng, 2 * i);
    assert_true(rng_below(test_rng, i, (uint64_t)1 << 63) == bits >> 1);
  }
}

/* Many at once are each alone, from any first element and of any length. */
static void many_bits(void **state) {
  (void)state;
  enum { MOST = 600 };
  static const int64_t from[] = {0, 1, 2, 3, 255, 256, 257}, length[] = {0, 1, 3, 127, 128, 129, 256, 599};
  uint32_t bits[MOST + 1], draws[MOST + 1];
  for (size_t a = 0; a < sizeof from / sizeof *from; a++)
    for (size_t b = 0; b < sizeof length / sizeof *length; b++) {
      for (int i = 0; i <= MOST; i++) bits[i] = draws[i] = 0xdeadbeef;
      rng_bits(test_rng, (uint64_t)from[a], length[b], bits);
      rng_below_many(test_rng, (uint64_t)from[a], length[b], 1000, draws);
      for (int64_t i = 0; i < length[b]; i++) {
        assert_int_equal(bits[i], rng_u32(test_rng, (uint64_t)(from[a] + i)));
        assert_int_equal(draws[i], rng_below(test_rng, (uint64_t)(from[a] + i), 1000));
      }
      assert_true(bits[length[b]] == 0xdeadbeef && draws[length[b]] == 0xdeadbeef);
    }
}

static void permutation(void **state) {
  (void)state;
  int64_t p[1000], count[27] = {0};
  const int64_t sizes[] = {0, 1, 2, 1000};
  for (int k = 0; k < 4; k++) {
    char seen[1000] = {0};
    for (int i = 0; i < 1000; i++) p[i] = -1;
    rng_permutation(test_rng, sizes[k], p);
    for (int64_t i = 0; i < sizes[k]; i++) {
      assert_true(p[i] >= 0 && p[i] < sizes[k] && !seen[p[i]]);
      seen[p[i]] = 1;
    }
    if (sizes[k] < 1000) assert_int_equal(p[sizes[k]], -1);
  }
  for (uint32_t sub = 0; sub < 6000; sub++) {
    rng_permutation((rng){42, RNG_DATA_ORDER, sub}, 3, p);
    count[p[0] * 9 + p[1] * 3 + p[2]]++;
  }
  int orders = 0;
  for (int i = 0; i < 27; i++) {
    orders += count[i] > 0;
    if (count[i]) assert_true(llabs(count[i] - 1000) < 150);
  }
  assert_int_equal(orders, 6);
}

static int by_u64(const void *a, const void *b) {
  const uint64_t *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

static void seeds_and_salts(void **state) {
  (void)state;
  enum { SIDE = 300 };
  static uint64_t d[SIDE * SIDE];
  for (uint64_t s = 0; s < SIDE; s++)
    for (uint64_t k = 0; k < SIDE; k++) d[s * SIDE + k] = rng_derive(s, k);
  qsort(d, SIDE * SIDE, sizeof d[0], by_u64);
  for (int i = 1; i < SIDE * SIDE; i++) assert_true(d[i - 1] != d[i]);
  assert_true(rng_derive(0, 0) == UINT64_C(0xa706dd2f4d197e6f));
  assert_true(rng_derive(1, rng_salt("a squirrel")) == UINT64_C(0x26a0ab672234d5be));
  /* published FNV-1a values */
  assert_true(rng_salt("") == UINT64_C(0xcbf29ce484222325));
  assert_true(rng_salt("a") == UINT64_C(0xaf63dc4c8601ec8c));
  assert_true(rng_salt("foobar") == UINT64_C(0x85944171f73967e8));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_answers),   cmocka_unit_test(addressing),   cmocka_unit_test(same_bits_everywhere),
      cmocka_unit_test(ranges),          cmocka_unit_test(widened),      cmocka_unit_test(transform_is_accurate),
      cmocka_unit_test(moments),         cmocka_unit_test(distribution), cmocka_unit_test(independence),
      cmocka_unit_test(below),           cmocka_unit_test(many_bits),    cmocka_unit_test(permutation),
      cmocka_unit_test(seeds_and_salts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
