/* One matrix in two backends, for tests that compare them: the same numbers, inside the same frame of sentinel bytes.
 */
#ifndef TD_TESTS_TWIN_H
#define TD_TESTS_TWIN_H

#include "ops/ops.h"

#define BENCH_TWINS 24

typedef struct twin {
  view v[2];      /* in the first and in the second context */
  void *block[2]; /* what they lie in */
  unsigned char *host;
  size_t bytes, at; /* of the block; where the matrix begins in it */
} twin;

/* cpu and cuda with the same storage. */
typedef struct bench {
  ctx c[2];
  twin twins[BENCH_TWINS];
  int n;
  uint32_t sub;   /* of the next random numbers */
  int pad;        /* elements behind each row, and before the matrix: 0, or odd to break alignment */
  int integers;   /* numbers are small integers: sums and products are exact */
  char what[128]; /* the case, for messages */
} bench;

typedef enum fill { EMPTY, NUMBERS, POSITIVE } fill; /* EMPTY: NaN */

/* 77, with its reason printed, when there is no device; else 0. */
int bench_open(bench *b, dtype storage);
void bench_close(bench *b);
/* Frees the matrices of a case. */
void bench_clear(bench *b);
twin *twin_new(bench *b, dtype type, int64_t rows, int64_t cols, fill f);
/* int32 numbers, random in [low, high); returned as the address in each context. */
void twin_map(bench *b, int64_t n, int low, int high, const int32_t *out[2]);
void twin_must(bench *b, int i, int rc);

/* The second context's matrix against the first's: |difference| <= rel * |value| + abs * largest |value|; nothing
 * else in the block changed, the reference is not all zero, and every element was written (or, with `added`, some
 * changed). */
typedef struct twin_bound {
  double rel, abs, floor;
} twin_bound;
void twin_check(bench *b, const twin *t, const char *name, twin_bound k);
/* An input: not one byte changed. */
void twin_untouched(bench *b, const twin *t, const char *name);
/* The second context's bytes as they are now, malloc'ed. */
unsigned char *twin_bytes(bench *b, const twin *t);
/* Puts the first content back into the second context's block. */
void twin_restore(bench *b, const twin *t);

#endif
