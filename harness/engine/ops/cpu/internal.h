/* Kernel tables private to the GEMM and attention entries. `16 lanes`: a sum over j is kept as 16 partial sums,
 * number j % 16 each, folded 8, 4, 2, 1; so its bits do not depend on the vector width. */
#ifndef TD_OPS_CPU_INTERNAL_H
#define TD_OPS_CPU_INTERNAL_H

#include "ops/cpu/cpu.h"

/* Bias and activation on a finished m x n piece of C, in place. */
typedef struct epi_tile {
  int64_t m, n;
  real *c;
  int64_t ldc;
  const real *bias; /* [n] or NULL */
  op_act act;
  real *pre; /* receives the value before the activation, or NULL */
  int64_t ldpre;
} epi_tile;

struct epi_kernels {
  void (*finish)(const epi_tile *x);
  /* c *= f */
  void (*scale)(int64_t m, int64_t n, real f, real *c, int64_t ldc);
};

/* One step of the online softmax over m rows of scores in log2 units. nk keys are real; `np` (a multiple of 16, at
 * least nk) are there. On return s holds 2^(s + bias - max), zero for the padding; max and sum are brought up to
 * date; rescale is what earlier output rows must be multiplied with. With `first`, max, sum need no value before. */
typedef struct softmax_tile {
  int64_t m, nk, np;
  real *s;
  int64_t lds;
  const real *bias; /* [np] in log2 units, or NULL */
  real *max, *sum, *rescale;
  int first;
} softmax_tile;

/* s: scores -> probabilities p; t: d_p -> scale * p * (d_p - delta). */
typedef struct softmax_grad_tile {
  int64_t m, nk, np;
  real *s, *t;
  int64_t lds;
  const real *bias, *lse2, *delta; /* lse2: log2 of the sum of exponentials */
  real scale;
} softmax_grad_tile;

/* One head of one sequence of two rows. */
typedef struct small_pair {
  int64_t dim;
  const real *q[2], *k[2], *v[2], *d_o[2];
  real *o[2], *dq[2], *dk[2], *dv[2];
} small_pair;

struct attn_kernels {
  /* dst[i * pad + c] = scale * src[i * ld + c] for c < dim, zero for dim <= c < pad */
  void (*gather)(int64_t n, int64_t dim, int64_t pad, const real *src, int64_t ld, real scale, real *dst);
  /* dst[i * ld + c] = (add ? dst : 0) + scale * src[i * pad + c] */
  void (*scatter)(int64_t n, int64_t dim, int64_t pad, const real *src, real scale, int add, real *dst, int64_t ld);
  void (*softmax)(const softmax_tile *x);
  void (*softmax_grad)(const softmax_grad_tile *x);
  real (*dot)(int64_t n, const real *a, const real *b); /* 16 lanes */
  void (*small)(const small_pair *x, real scale);       /* scale of the logits */
  void (*small_bwd)(const small_pair *x, real scale);
};

#endif
