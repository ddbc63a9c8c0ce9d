/* The work of a block of an attention kernel; read by C and by CUDA.
 *
 * A block works on one tile of one head: rows that lie together, see the same list of runs and are written by no
 * other block. A run is a stretch of rows of the other side with one bias. Blocks take their list's runs in order,
 * each in chunks counted from its first row, so sums have one order. forward, dq   tile: queries of one span; runs:
 * the key spans of its group dk, dv        tile: keys that the same groups see; runs: those groups' query spans */
#ifndef TD_OPS_CUDA_ATTN_TILE_H
#define TD_OPS_CUDA_ATTN_TILE_H

#include <stdint.h>

/* 16 bytes each: one load. */
typedef struct attn_tile {
  int32_t row, rows, from, to; /* its runs are from .. to-1 */
} attn_tile;
typedef struct attn_run {
  int32_t row, rows;
  float bias; /* natural units */
  int32_t unused;
} attn_run;

#endif
