/* Captions as rows of hashed word vectors, and the counter-based uniform numbers of the default study
 * (spec/default-study.md 3). A bag of words: the same word gives the same row in any place and in any study. */
#ifndef TD_MODEL_WORDS_H
#define TD_MODEL_WORDS_H

#include <stdint.h>

#include "base/err.h"

#define WORDS_ROWS 6 /* rows of a caption in the default study */
#define WORDS_DIM 64

/* u(seed, clip, k) in [0,1) with 24 bits: three rounds of the splitmix64 finaliser. */
double words_uniform(uint64_t seed, uint64_t clip, uint64_t k);

/* One row: standard normals by Box-Muller from u(1000 + h, i, 0) and u(1000 + h, i, 1), h the word's bytes hashed by
 * h * 131 + byte in 32 bits. */
void words_vector(const char *word, int64_t n_bytes, int64_t dim, float *out);

/* Fills out[n_rows][dim]: the caption is split at ASCII white space and its ASCII letters lowered; words after the
 * n_rows-th are left out, and missing rows are the word "<pad>". An empty caption (or NULL) is the empty prompt: pads
 * only. E_ARG when n_rows or dim is not positive. */
int words_rows(err *e, const char *caption, int64_t n_rows, int64_t dim, float *out) TD_MUST_CHECK;

#endif
