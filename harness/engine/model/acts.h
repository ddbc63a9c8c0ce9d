/* Buffers of one pass through the model, shared by forward.c and backward.c. Everything lies in the context's arena.
 */
#ifndef TD_MODEL_ACTS_H
#define TD_MODEL_ACTS_H

#include "model/dit.h"

/* R rows of the batch, P rows of a piece, width D, E time rows, rank r. Of the storage type, but lse. Where a block
 * does not keep a buffer it is one that all blocks share. */
typedef struct block_acts {
  int level;
  view mod1, mod2;             /* [E, 6D]: shift, scale, gate, then the same for text rows */
  view x;                      /* [R, D] block input */
  view h1;                     /* [R, D] modulated norm of x */
  view qkv;                    /* [R, 3D] before the head norms */
  view qk;                     /* [R, 2D] after head norms and rotation */
  view o, lse;                 /* [R, D], [heads, R] */
  view t_qkv, t_o;             /* [R, 3r], [R, r]: LoRA rows times A^T */
  view y1;                     /* [R, D] attention output */
  view xa;                     /* [R, D] after the attention residual, before the exchange */
  view ex, exq, exk, exv, exo; /* exchange: [2n, D] norm + type, [2n, rx] each; n = video rows of the batch */
  view xm;                     /* [R, D] after the exchange: input of the second half */
  view h2;                     /* [P, D]; [R, D] when the base is trained, as the next four */
  view pre;                    /* [P, 4D]; [R, 4D] at level 0; absent where nothing is kept */
  view act, y2;                /* [P, 4D], [P, D]; pre is act where a frozen base's block does not keep it */
} block_acts;

struct dit_acts {
  int keep;                       /* for a backward pass */
  int64_t piece;                  /* P */
  view sinus, e1, es1, emb, semb; /* time embedding: [E, D], [E, time] before and after SiLU, sum, SiLU(sum) */
  view osinus, o1, os1;           /* the same for ofs */
  view patch[LAYOUT_SEGMENTS], patch_alpha; /* patch rows of each video segment */
  block_acts *block;                        /* host array [layers] */
  /* [R, 3D] with keep: h1, y1 and xm of blocks that do not keep them lie in it one below the other; the backward pass
   * puts gradients there when they are no longer needed. */
  view spare;
  view x;   /* [R, D] output of the last block */
  view mod; /* [E, 2D] of norm_out */
  view n1[LAYOUT_SEGMENTS], n2[LAYOUT_SEGMENTS], rows[LAYOUT_SEGMENTS], rows_alpha;
};

/* What one pass works on. */
typedef struct pass {
  ctx *c;
  const dit *m;
  const adapter *a;
  const geom *g;
  const dit_io *io;
  dit_acts *acts;
} pass;

/* Maximal runs of rows that carry LoRA; returns their number. */
typedef struct row_run {
  int64_t r0, n;
} row_run;
int lora_runs(const geom *g, row_run out[LAYOUT_SEGMENTS]);

/* Is the half that this segment carries predicted? FUSED segments always are. */
int segment_predicted(const layout *l, const segment *s);
view segment_rows(const geom *g, view v, int s);
/* First row whose output of block i is computed (geom.last; a trace sees every row). */
int64_t block_from(const pass *p, int i);

/* Takes every buffer of a forward pass from the arena (buffers.c). */
int acts_take(pass *p, int keep) TD_MUST_CHECK;
/* Part k of the spare rows, [R, D]. */
view acts_spare(const pass *p, int k);

int forward_all(pass *p, int keep) TD_MUST_CHECK;
/* What block i did not keep, but for hidden rows of the feed-forward part where the base is frozen. */
int forward_block_again(pass *p, int i) TD_MUST_CHECK;
/* h1 of block i from row r0 on, into h1 [R, D]. */
int forward_norm1(pass *p, int i, view h1, int64_t r0) TD_MUST_CHECK;
/* h2 and pre of these rows, without the activation. */
int forward_hidden(pass *p, int i, row_run rows) TD_MUST_CHECK;

/* These rows of a buffer that has all rows or those of a piece. */
static inline view piece_rows(const pass *p, view v, row_run r) {
  return view_rows(v, v.rows == p->g->rows ? r.r0 : 0, r.n);
}
/* The next piece of rows from r0 on. */
static inline row_run next_piece(const pass *p, int64_t r0) {
  int64_t left = p->g->rows - r0;
  return (row_run){r0, left < p->acts->piece ? left : p->acts->piece};
}

/* Row maps of the head norms' rotation and of modulation, offset to row r0. */
static inline const int32_t *map_from(const int32_t *map, int64_t r0) {
  return map ? map + r0 : NULL;
}
/* shift, scale, gate of a [E, 6D] modulation as a [2E, 3D] table: row 2e for video rows, 2e+1 for text rows. */
static inline view mod_part(view mod, int part, int64_t d) {
  view t = view_typed(mod.type, mod.p, 2 * mod.rows, 3 * d);
  return view_cols(t, part * d, d);
}

#endif
