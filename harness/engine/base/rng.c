#include "base/rng.h"

#include <math.h>
#include <string.h>

/* Counters worked on together: enough to fill the widest vectors, small enough for the first cache. */
#define BLOCKS 64

typedef struct lanes {
  uint32_t x[4][BLOCKS];
} lanes;

static inline void philox_round(uint32_t c[4], uint32_t k0, uint32_t k1) {
  uint64_t p0 = (uint64_t)0xD2511F53u * c[0], p1 = (uint64_t)0xCD9E8D57u * c[2];
  c[0] = (uint32_t)(p1 >> 32) ^ c[1] ^ k0;
  c[1] = (uint32_t)p1;
  c[2] = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
  c[3] = (uint32_t)p0;
}

void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  uint32_t c[4], k0 = key[0], k1 = key[1];
  memcpy(c, counter, sizeof c);
  for (int i = 0; i < 10; i++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) philox_round(c, k0, k1);
  memcpy(out, c, sizeof c);
}

static void block_at(rng r, uint64_t block, uint32_t out[4]) {
  const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), r.stream, r.sub};
  const uint32_t key[2] = {(uint32_t)r.seed, (uint32_t)(r.seed >> 32)};
  philox4x32(counter, key, out);
}

/* Counters block .. block+BLOCKS-1, one array a lane so that the rounds run across counters in vector registers. */
static inline __attribute__((always_inline)) void many_blocks(rng r, uint64_t block, lanes *l) {
  for (int j = 0; j < BLOCKS; j++) {
    l->x[0][j] = (uint32_t)(block + (uint64_t)j);
    l->x[1][j] = (uint32_t)((block + (uint64_t)j) >> 32);
    l->x[2][j] = r.stream;
    l->x[3][j] = r.sub;
  }
  uint32_t k0 = (uint32_t)r.seed, k1 = (uint32_t)(r.seed >> 32);
  for (int i = 0; i < 10; i++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
    for (int j = 0; j < BLOCKS; j++) {
      uint32_t c[4] = {l->x[0][j], l->x[1][j], l->x[2][j], l->x[3][j]};
      philox_round(c, k0, k1);
      for (int k = 0; k < 4; k++) l->x[k][j] = c[k];
    }
}

static inline float as_float(uint32_t u) {
  float f;
  memcpy(&f, &u, sizeof f);
  return f;
}

static inline uint32_t as_bits(float f) {
  uint32_t u;
  memcpy(&u, &f, sizeof u);
  return u;
}

/* The functions below are the definition of the project's normals: every product that meets a sum is an explicit
 * fmaf, so no compiler has anything left to contract, and nothing comes from libm's polynomials. */

/* ln u for u in [2^-32, 1], with w = 1 - u: u = 2^e (1 + f), f in [sqrt(1/2) - 1, sqrt(2) - 1), ln(1+f) = f - f^2/2 +
 * f^3 Q(f) with Q interpolated at Chebyshev nodes. Near 1 a float u has lost what small radii are made of; w has not.
 * Relative error below 1.5e-7. */
static inline float log_unit(float u, float w) {
  uint32_t bits = as_bits(u) - 0x3f3504f3u; /* minus sqrt(1/2) */
  int32_t exponent = (int32_t)bits >> 23;
  float e = (float)exponent;
  float f = exponent ? as_float((bits & 0x007fffffu) + 0x3f3504f3u) - 1.0f : -w;
  float q = 0.0696975398f;
  q = fmaf(q, f, -0.114791881f);
  q = fmaf(q, f, 0.116857959f);
  q = fmaf(q, f, -0.124257767f);
  q = fmaf(q, f, 0.142490327f);
  q = fmaf(q, f, -0.166677983f);
  q = fmaf(q, f, 0.200007163f);
  q = fmaf(q, f, -0.24999997f);
  q = fmaf(q, f, 0.333333312f);
  float f2 = f * f;
  float y = fmaf(q * f, f2, e * -2.12194440e-4f); /* ln 2 = 0.693359375 - 2.1219444e-4; e times the first is exact */
  y = fmaf(-0.5f, f2, y);
  return fmaf(e, 0.693359375f, f + y);
}

/* cos and sin of 2 pi x / 2^32. The top two bits, after adding half a quarter, are the quarter turn; the rest is
 * f in [-1/2, 1/2] quarters, where sin(pi f/2) = f S(f^2) and cos(pi f/2) = 1 + f^2 C(f^2) to 1e-8. */
static inline void turn(uint32_t x, float *c, float *s) {
  uint32_t quarter = (x + 0x20000000u) >> 30;
  float f = (float)(int32_t)(x - (quarter << 30)) * 0x1p-30f;
  float z = f * f;
  float sp = fmaf(fmaf(fmaf(-0.00460214921f, z, 0.0796802176f), z, -0.645963478f), z, 1.57079632f) * f;
  float cp = fmaf(fmaf(fmaf(fmaf(0.000906739898f, z, -0.0208615283f), z, 0.25366941f), z, -1.23370055f), z, 1.0f);
  uint32_t odd = 0u - (quarter & 1u); /* all ones where sine and cosine change places */
  uint32_t a = (as_bits(cp) & ~odd) | (as_bits(sp) & odd), b = (as_bits(sp) & ~odd) | (as_bits(cp) & odd);
  *c = as_float(a ^ (((quarter + 1u) & 2u) << 30));
  *s = as_float(b ^ ((quarter & 2u) << 30));
}

/* u1 = (31 bits + 1/2) / 2^31, which is never 0 nor 1: radii from 2e-5 to 6.7. */
static inline void box_muller(uint32_t x, uint32_t angle, float *even, float *odd) {
  int32_t k = (int32_t)(x >> 1);
  float u1 = fmaf((float)k, 0x1p-31f, 0x1p-32f), rest = fmaf((float)(INT32_MAX - k), 0x1p-31f, 0x1p-32f);
  float c, s, radius = sqrtf(-2.0f * log_unit(u1, rest));
  turn(angle, &c, &s);
  *even = radius * c;
  *odd = radius * s;
}

static inline __attribute__((always_inline)) void normal_blocks(rng r, uint64_t block, void *to) {
  float *out = to;
  lanes l;
  float y[4][BLOCKS];
  many_blocks(r, block, &l);
  for (int j = 0; j < BLOCKS; j++) {
    box_muller(l.x[0][j], l.x[1][j], &y[0][j], &y[1][j]);
    box_muller(l.x[2][j], l.x[3][j], &y[2][j], &y[3][j]);
  }
  for (int j = 0; j < BLOCKS; j++)
    for (int k = 0; k < 4; k++) out[4 * j + k] = y[k][j];
}

static void uniform_blocks(rng r, uint64_t block, void *to) {
  float *out = to;
  lanes l;
  many_blocks(r, block, &l);
  for (int j = 0; j < BLOCKS; j++)
    for (int k = 0; k < 4; k++) out[4 * j + k] = (float)(int32_t)(l.x[k][j] >> 8) * 0x1p-24f;
}

static void bit_blocks(rng r, uint64_t block, void *to) {
  uint32_t *out = to;
  lanes l;
  many_blocks(r, block, &l);
  for (int j = 0; j < BLOCKS; j++)
    for (int k = 0; k < 4; k++) out[4 * j + k] = l.x[k][j];
}

/* 4 * BLOCKS elements of 4 bytes. */
typedef void blocks_fn(rng r, uint64_t block, void *to);

static void normal_plain(rng r, uint64_t block, void *to) {
  normal_blocks(r, block, to);
}

/* The same source with fmaf as one instruction instead of a call: the same bits, several times faster. */
#if defined(__x86_64__)
static __attribute__((target("avx2,fma"))) void normal_fma(rng r, uint64_t block, void *to) {
  normal_blocks(r, block, to);
}

static blocks_fn *normal_best(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? normal_fma : normal_plain;
}
#else
static blocks_fn *normal_best(void) {
  return normal_plain;
}
#endif

/* Elements first .. first+n-1 through whole groups of blocks; a group that is wanted in part goes through a buffer.
 */
static void fill(blocks_fn *f, rng r, uint64_t first, int64_t n, void *to) {
  uint32_t group[4 * BLOCKS], *out = to;
  for (int64_t i = 0; i < n;) {
    uint64_t at = first + (uint64_t)i;
    int64_t skip = (int64_t)(at % 4), take = 4 * BLOCKS - skip;
    if (take > n - i) take = n - i;
    int whole = skip == 0 && take == 4 * BLOCKS;
    f(r, at / 4, whole ? out + i : group);
    if (!whole) memcpy(out + i, group + skip, (size_t)take * sizeof *out);
    i += take;
  }
}

void rng_uniform(rng r, uint64_t first, int64_t n, float *out) {
  fill(uniform_blocks, r, first, n, out);
}

void rng_normal(rng r, uint64_t first, int64_t n, float *out) {
  fill(normal_best(), r, first, n, out);
}

void rng_normal_real(rng r, uint64_t first, int64_t n, real *out) {
  float group[4 * BLOCKS];
  for (int64_t i = 0, take; i < n; i += take) {
    take = n - i < 4 * BLOCKS ? n - i : 4 * BLOCKS;
    rng_normal(r, first + (uint64_t)i, take, group);
    for (int64_t j = 0; j < take; j++) out[i + j] = (real)group[j];
  }
}

uint32_t rng_u32(rng r, uint64_t index) {
  uint32_t x[4];
  block_at(r, index / 4, x);
  return x[index % 4];
}

void rng_bits(rng r, uint64_t first, int64_t n, uint32_t *out) {
  fill(bit_blocks, r, first, n, out);
}

static uint64_t below(uint32_t low, uint32_t high, uint64_t n) {
  __extension__ typedef unsigned __int128 wide;
  return (uint64_t)(((wide)((uint64_t)high << 32 | low) * n) >> 64);
}

uint64_t rng_below(rng r, uint64_t index, uint64_t n) {
  uint32_t x[4];
  block_at(r, index / 2, x);
  const uint32_t *pair = x + index % 2 * 2;
  return below(pair[0], pair[1], n);
}

void rng_below_many(rng r, uint64_t first, int64_t n, uint32_t limit, uint32_t *out) {
  uint32_t group[4 * BLOCKS];
  for (int64_t i = 0, take; i < n; i += take) {
    take = n - i < 2 * BLOCKS ? n - i : 2 * BLOCKS;
    rng_bits(r, 2 * (first + (uint64_t)i), 2 * take, group);
    for (int64_t j = 0; j < take; j++) out[i + j] = (uint32_t)below(group[2 * j], group[2 * j + 1], limit);
  }
}

void rng_permutation(rng r, int64_t n, int64_t *out) {
  for (int64_t i = 0; i < n; i++) out[i] = i;
  for (int64_t i = n - 1; i > 0; i--) {
    int64_t j = (int64_t)rng_below(r, (uint64_t)i, (uint64_t)i + 1), swap = out[i];
    out[i] = out[j];
    out[j] = swap;
  }
}

static uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/* Two rounds, so that no simple relation between seeds and salts (equal, shifted, exchanged) meets in one result. */
uint64_t rng_derive(uint64_t seed, uint64_t salt) {
  return mix(mix(seed + 0x9e3779b97f4a7c15u) + salt + 0x9e3779b97f4a7c15u);
}

uint64_t rng_salt(const char *text) {
  uint64_t h = 0xcbf29ce484222325u;
  for (const unsigned char *p = (const unsigned char *)text; *p; p++) h = (h ^ *p) * 0x100000001b3u;
  return h;
}
