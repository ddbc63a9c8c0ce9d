/* What the host tells the attention kernels; read by C and by CUDA. grid = (tiles, heads). */
#ifndef TD_OPS_CUDA_ATTN_ARGS_H
#define TD_OPS_CUDA_ATTN_ARGS_H

#include <stdint.h>

#include "ops/cuda/args.h"
#include "ops/cuda/attn_tile.h"

enum {
  ATTN_MMA_DIM = 64,      /* head size of the tensor core kernels */
  ATTN_MMA_QUERIES = 128, /* rows of a forward tile, tensor cores */
  ATTN_MMA_ROWS = 64,     /* rows of a backward tile, tensor cores; rows of a chunk, both passes */
  ATTN_MMA_THREADS = 128,
  ATTN_PLAIN_ROWS = 32, /* rows of a tile and of a chunk, plain kernels */
  ATTN_PLAIN_THREADS = 64,
  ATTN_PLAIN_PAD = 4,    /* floats added to a row in shared memory, against bank conflicts */
  ATTN_PLAIN_PROBS = 40, /* floats of a row of probabilities in shared memory */
  ATTN_DELTA_THREADS = 128,
  ATTN_MAX_DIM = 128,
};

typedef struct attn_fwd_args {
  mat q, k, v, o;
  float *lse; /* [heads, lse_ld] */
  int64_t lse_ld;
  const attn_tile *tile;
  const attn_run *run;
  float scale; /* 1 / sqrt(dim) */
  int32_t dim;
  int32_t wide; /* plain kernels: four elements at a time may be loaded and stored */
} attn_fwd_args;

/* x = a1 b1^T and y = a2 b2^T give p = exp(scale x + bias - lse) and ds = p (y - delta);
 * out1 = scale ds b1, and for keys out2 = p b2.
 *   queries: a1 = q, a2 = d_o, b1 = k, b2 = v, out1 = dq; lse and delta belong to rows of a
 *   keys:    a1 = k, a2 = v, b1 = q, b2 = d_o, out1 = dk, out2 = dv; lse and delta belong to rows of b */
typedef struct attn_bwd_args {
  mat a1, a2, b1, b2, out1, out2;
  const float *lse, *delta;
  int64_t lse_ld, delta_ld;
  const attn_tile *tile;
  const attn_run *run;
  float scale;
  int32_t dim, wide;
} attn_bwd_args;

/* delta[head][row] = sum of o * d_o over the head's columns, for the rows of the tiles. */
typedef struct attn_delta_args {
  mat o, d_o;
  float *delta;
  int64_t delta_ld;
  const attn_tile *tile;
  int32_t dim, wide;
} attn_delta_args;

/* Dynamic shared memory of the plain kernels; dim_pad is 64 or 128. */
#define ATTN_PLAIN_FWD_BYTES(dim_pad)                                                                                \
  (4 * (3 * ATTN_PLAIN_ROWS * ((dim_pad) + ATTN_PLAIN_PAD) + ATTN_PLAIN_ROWS * ATTN_PLAIN_PROBS))
#define ATTN_PLAIN_BWD_BYTES(dim_pad)                                                                                \
  (4 * (4 * ATTN_PLAIN_ROWS * ((dim_pad) + ATTN_PLAIN_PAD) + 2 * ATTN_PLAIN_ROWS * ATTN_PLAIN_PROBS))

#endif
