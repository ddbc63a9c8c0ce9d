/* Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, Random123), keyed by (seed, stream, element
 * index).
 *
 * Any element can be drawn alone, in any order, by any thread; nothing is shared and nothing advances. The index is
 * the index in the *logical* tensor (sample, plane, frame, channel, y, x), so that every design sees the same noise
 * at the same pixel. Normals use only + * fma sqrt on floats and are the same bits on every compiler, level and
 * machine. */
#ifndef TD_BASE_RNG_H
#define TD_BASE_RNG_H

#include <stdint.h>

#include "base/real.h"

/* Adding a stream at the end never moves another. */
typedef enum rng_stream {
  RNG_START_RGB,   /* sampler's initial noise */
  RNG_START_ALPHA, /* the same for alpha when it is independent */
  RNG_STEP,        /* sampler's step noise; sub = step * 2 + plane */
  RNG_TRAIN_TIME,  /* sub = step */
  RNG_TRAIN_NOISE, /* sub = step */
  RNG_DATA_ORDER,  /* sub = epoch */
  RNG_CAPTION_DROP,
  RNG_INIT, /* weight init; sub = hash of the tensor's name */
  RNG_WORLD,
  RNG_BOOTSTRAP,
  RNG_TEST,
  RNG_STUDY_KIT, /* order, sides and broken clips of a user study */
  RNG_POSTERIOR, /* of the VAE, for the first frame of image-to-video; sub = plane */
} rng_stream;

typedef struct rng {
  uint64_t seed;
  uint32_t stream, sub;
} rng;

void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);
/* Elements first .. first+n-1 of the stream. Uniform in [0,1) with 24 bits. */
void rng_uniform(rng r, uint64_t first, int64_t n, float *out);
/* Standard normals (Box-Muller over pairs of elements). */
void rng_normal(rng r, uint64_t first, int64_t n, float *out);
/* The same numbers, widened where the engine is built in double. */
void rng_normal_real(rng r, uint64_t first, int64_t n, real *out);
uint32_t rng_u32(rng r, uint64_t index);
/* rng_u32 of elements first .. first+n-1. */
void rng_bits(rng r, uint64_t first, int64_t n, uint32_t *out);
/* Uniform integer in [0,n), n > 0: the top of n times 64 bits, so the bias is below n / 2^64. Draw i takes elements
 * 2i and 2i+1, so a stream used for draws should not also be used for elements. */
uint64_t rng_below(rng r, uint64_t index, uint64_t n);
/* rng_below of draws first .. first+n-1, limit > 0. */
void rng_below_many(rng r, uint64_t first, int64_t n, uint32_t limit, uint32_t *out);
/* Fisher-Yates over 0..n-1, by draws 1..n-1. */
void rng_permutation(rng r, int64_t n, int64_t *out);
/* A new 64-bit seed from a seed and a salt (splitmix64 finaliser): independent streams for (seed, prompt). */
uint64_t rng_derive(uint64_t seed, uint64_t salt);
/* Salt of a string: first 8 bytes of FNV-1a 64, stable across versions. */
uint64_t rng_salt(const char *text);

#endif
