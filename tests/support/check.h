/* Helpers for numerical tests: matrices with guards, deterministic data, comparisons that cannot pass on nothing.
 * Every check fails the running cmocka test with a message naming `what`. */
#ifndef TD_TESTS_CHECK_H
#define TD_TESTS_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "base/real.h"
#include "ops/ops.h"

/* A host matrix whose padding columns (ld > cols) and surroundings hold sentinels. */
typedef struct mat {
  view v;
  real *block;
  int64_t n; /* reals in the block */
} mat;

/* Contents NaN: what is not written shows. */
mat mat_new(int64_t rows, int64_t cols, int64_t pad);
/* Contents random in [lo, hi), the same for the same tag and shape. */
mat mat_random(int64_t rows, int64_t cols, int64_t pad, uint32_t tag, double lo, double hi);
mat mat_copy(const mat *m);
void mat_free(mat *m);
/* Sentinels before, behind and in the padding are untouched. */
void mat_guards(const char *what, const mat *m);
/* Every byte is as in `before`. */
void mat_unchanged(const char *what, const mat *m, const mat *before);
/* Largest |got - want| / max |want|, want [rows, cols] contiguous. Fails when want is all zero, when a value is not
 * finite, or when a sentinel is gone. */
double mat_rel(const char *what, const mat *got, const double *want);
real mat_at(const mat *m, int64_t r, int64_t c);
void mat_set(mat *m, int64_t r, int64_t c, double v);

void check_nan(real *p, int64_t n);
/* Deterministic uniform numbers in [lo, hi), exact in float. */
void check_fill(real *p, int64_t n, uint32_t tag, double lo, double hi);
double check_uniform(uint32_t tag, int64_t i); /* element i of the same stream, [0,1) */
/* FNV-1a 64 of the bytes. */
uint64_t check_hash(const void *p, size_t n);
/* rel <= limit, with both numbers in the message. */
void check_below(const char *what, double rel, double limit);
/* The call failed with this code and this text; the error is cleared. */
void check_error(ctx *c, int rc, int code, const char *text);

#endif
