/* What attention forward and backward share: rows of a list of spans, and panels of keys. */
#ifndef TD_OPS_CPU_ATTN_PARTS_H
#define TD_OPS_CPU_ATTN_PARTS_H

#include <math.h>

#include "ops/cpu/internal.h"

#define ATTN_LOG2E 1.44269504088896340735992468

enum {
  ATTN_DIM = 128, /* widest head */
  ATTN_Q = 96,    /* query rows of a tile of scores: a multiple of every register tile's rows */
  ATTN_PAD = 16,  /* keys of a block are padded to this: whole vectors at every level */
};

/* What turns q k into log2 units. */
static inline real attn_scale2(int64_t dim) {
  return (real)(ATTN_LOG2E / sqrt((double)dim));
}

/* One head: columns col .. col+dim of q, k, v, o; pad = dim rounded up to whole vectors. */
typedef struct attn_head {
  const cpu_state *s;
  int64_t dim, pad, col;
} attn_head;

/* n rows from `row`, standing at position `at` of a list. */
typedef struct attn_piece {
  int64_t row, at, n;
  float bias;
} attn_piece;

static inline int64_t attn_round(int64_t x, int64_t to) {
  return (x + to - 1) / to * to;
}
static inline int64_t attn_min(int64_t a, int64_t b) {
  return a < b ? a : b;
}
static inline real *attn_at(view v, int64_t row, int64_t col) {
  return (real *)v.p + row * v.ld + col;
}

static inline attn_head attn_head_of(const cpu_state *s, int64_t dim, int64_t h) {
  return (attn_head){.s = s, .dim = dim, .pad = attn_round(dim, s->mul->vw), .col = h * dim};
}

static inline int64_t attn_rows(const attn_span *span, int n) {
  int64_t rows = 0;
  for (int i = 0; i < n; i++) rows += span[i].r1 - span[i].r0;
  return rows;
}

/* Blocks of equal size, so that the last is not a sliver; depends on the number of keys alone. */
static inline int64_t attn_block(int64_t keys, int64_t longest) {
  int64_t blocks = (keys + longest - 1) / longest;
  return blocks ? attn_round((keys + blocks - 1) / blocks, ATTN_PAD) : ATTN_PAD;
}

/* Positions from .. from+count of the list as pieces; `at` counts from `from`. Returns their number. */
static inline int attn_pieces(const attn_span *span, int n, int64_t from, int64_t count, attn_piece out[ATTN_SPANS]) {
  int pieces = 0;
  int64_t start = 0;
  for (int i = 0; i < n; i++) {
    int64_t rows = span[i].r1 - span[i].r0, lo = from - start, hi = from + count - start;
    lo = lo < 0 ? 0 : lo;
    hi = hi > rows ? rows : hi;
    if (lo < hi) {
      out[pieces++] =
          (attn_piece){.row = span[i].r0 + lo, .at = start + lo - from, .n = hi - lo, .bias = span[i].bias};
    }
    start += rows;
  }
  return pieces;
}

/* The pieces' rows, times scale -> dst[.][pad] */
static inline void attn_gather(const attn_head *h, view src, const attn_piece *p, int pieces, real scale, real *dst) {
  for (int i = 0; i < pieces; i++) {
    h->s->attn->gather(p[i].n, h->dim, h->pad, attn_at(src, p[i].row, h->col), src.ld, scale, dst + p[i].at * h->pad);
  }
}

/* [n][pad] -> panels of nr keys, [dim][nr] each; keys n .. np are zero. */
static inline void attn_panels(const attn_head *h, const real *src, int64_t n, int64_t np, real *dst) {
  const mul_kernels *u = h->s->mul;
  for (int64_t j = 0; j < np; j += u->nr) {
    int64_t here = n - j < 0 ? 0 : n - j;
    u->pack_t(u->nr, attn_min(here, u->nr), h->dim, src + j * h->pad, h->pad, dst + j * h->dim);
  }
}

/* The biases of the keys in log2 units, or NULL when all are zero. */
static inline const real *attn_biases(const attn_piece *p, int pieces, int64_t np, real *dst) {
  int any = 0;
  for (int64_t j = 0; j < np; j++) dst[j] = 0;
  for (int i = 0; i < pieces; i++) {
    any |= p[i].bias < 0 || p[i].bias > 0;
    for (int64_t j = 0; j < p[i].n; j++) dst[p[i].at + j] = (real)(p[i].bias * ATTN_LOG2E);
  }
  return any ? dst : NULL;
}

/* scores[m][np] = rows[m][pad] times the panels */
static inline void attn_scores(const attn_head *h, int64_t m, int64_t np, const real *rows, const real *panels,
                               real *scores, int64_t lds) {
  const mul_kernels *u = h->s->mul;
  u->block(&(mul_block){.m = m,
                        .n = np,
                        .k = h->dim,
                        .a = rows,
                        .a_panel = u->mr * h->pad,
                        .a_row = h->pad,
                        .a_k = 1,
                        .b = panels,
                        .b_panel = u->nr * h->dim,
                        .b_k = u->nr,
                        .c = scores,
                        .ldc = lds,
                        .alpha = 1});
}

#endif
