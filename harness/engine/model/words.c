#include "model/words.h"

#include <math.h>

static uint64_t mix(uint64_t z) {
  z += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

double words_uniform(uint64_t seed, uint64_t clip, uint64_t k) {
  return (double)(mix(mix(mix(seed) + clip) + k) >> 40) / 16777216.0;
}

static unsigned char lower(char c) {
  return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static int is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

void words_vector(const char *word, int64_t n_bytes, int64_t dim, float *out) {
  const double two_pi = 6.283185307179586477;
  uint32_t h = 0;
  for (int64_t i = 0; i < n_bytes; i++) h = h * 131u + lower(word[i]);
  for (int64_t i = 0; i < dim; i++) {
    double a = words_uniform(1000 + (uint64_t)h, (uint64_t)i, 0);
    double b = words_uniform(1000 + (uint64_t)h, (uint64_t)i, 1);
    out[i] = (float)(sqrt(-2 * log(1 - .999999 * a)) * cos(two_pi * b));
  }
}

int words_rows(err *e, const char *caption, int64_t n_rows, int64_t dim, float *out) {
  if (n_rows <= 0 || dim <= 0)
    return err_set(e, E_ARG, "caption rows: %lld rows of %lld", (long long)n_rows, (long long)dim);
  const char *at = caption ? caption : "";
  for (int64_t row = 0; row < n_rows; row++) {
    while (is_space(*at)) at++;
    int64_t n = 0;
    while (at[n] && !is_space(at[n])) n++;
    if (n > 0)
      words_vector(at, n, dim, out + row * dim);
    else
      words_vector("<pad>", 5, dim, out + row * dim);
    at += n;
  }
  return OK;
}
