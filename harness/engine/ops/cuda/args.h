/* Parameters of the kernels, one struct each, read by the C files that fill them and by the .cu files. Plain data of
 * fixed layout: pointers are device addresses, strides and counts are in elements. Typed pointers are void where the
 * kernel's name says the type (..._f32, ..._bf16). */
#ifndef TD_OPS_CUDA_ARGS_H
#define TD_OPS_CUDA_ARGS_H

#include <stdint.h>

typedef struct mat {
  void *p;
  int64_t ld;
} mat;

/* Elementwise work on rows x cols; which of the operands exist is the kernel's matter. */
typedef struct each_args {
  int64_t rows, cols;
  mat y, x[4];
  float c[4];
  int n; /* lincomb: terms; act: the op_act */
} each_args;

/* Work with a row of a small table for each row (gate_add, gate_add_bwd, add_rows). map NULL: row 0. */
typedef struct table_args {
  int64_t rows, cols;
  mat x, y, table;
  const int32_t *map;
} table_args;

typedef struct norm_args {
  int64_t rows, cols;
  mat x, y, dy, shift, scale;
  const void *w, *b;
  const int32_t *map;
  float *stats; /* row_stats: [rows][3] mean, rest, rstd: xhat = ((x - mean) - rest) * rstd */
  float eps;
  int add;
} norm_args;

/* y and dx share a place. part: headnorm_rope_bwd: [blocks][2][dim] sums of dy (rotated back) and dy * xhat, or NULL.
 */
typedef struct heads_args {
  int64_t rows, heads;
  mat x, y, dy;
  const void *w, *b;
  const float *cosines, *sines;
  int64_t ld_cos, ld_sin;
  const int32_t *map;
  float *part;
  float eps;
  int dim, lanes; /* lanes that share a head */
  int64_t each;   /* heads of rows that one group of lanes takes, one after another */
} heads_args;

/* Sums over rows by table row (slot): part[chunk][slot - slot0][which][cols] = sum over the chunk's rows r with
 * map[r] = slot of x, of x * y, or (two sums) of x and x * xhat of y. map NULL: every row is in slot 0. */
typedef struct sums_args {
  int64_t rows, cols, per_chunk;
  mat x, y;
  const int32_t *map;
  const float *stats;
  float *part;
  int64_t slot0;
} sums_args;

/* out[slot0 + s][j] += sum over chunks of part[chunk][s][which][j], chunks ascending. */
typedef struct add_args {
  const float *part;
  float *out;
  int64_t ld, cols, slots, chunks, slot0;
  int which, of; /* of: sums in a slot */
} add_args;

/* The sums of op_ln_mod_bwd from partial ones with two sums a slot; slot -1 is the rows without modulation. */
typedef struct spread_args {
  const float *part;
  int64_t cols, slots, chunks, slot0;
  const void *w, *b;
  mat scale;
  float *dw, *db;
  mat dshift, dscale;
} spread_args;

typedef struct pair_args { /* attn_small and its gradient */
  int64_t n;               /* pairs: rows i and n + i */
  mat q, k, v, o, dq, dk, dv;
  float scale;
  int heads, dim, lanes;
} pair_args;

typedef struct patch_args {
  float *latents;
  mat rows;
  int64_t n_rows;
  int channels, height, width, p, pt;
} patch_args;

/* mse and sumsq: part[block] in double, then out[0] += factor * sum of part. */
typedef struct loss_args {
  int64_t rows, cols;
  mat pred, target, dpred;
  double *part;
  float slope;
} loss_args;
typedef struct total_args {
  const double *part;
  double *out;
  double factor;
  int n;
} total_args;

typedef struct step_args {
  float *w, *m, *v;
  const float *g;
  int64_t n;
  const double *scale;
  float beta1, rest1, beta2, rest2, keep, rate, v_scale, eps;
} step_args;

#endif
