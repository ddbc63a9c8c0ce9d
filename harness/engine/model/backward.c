/* The backward pass, each function named after the forward step it mirrors (forward.c).
 *
 * Only a suffix of the rows can depend on anything trained (geom.live); everything below it is skipped. Gradients of
 * the model's own tensors exist only when the base is being trained (m->g). */
#include <stdlib.h>

#include "base/mem.h"
#include "model/acts.h"

#define HEAD_NORM_EPS 1e-6

/* Gradient buffers, shared by all blocks. Of the storage type, but delta, the dmod* and dout. */
typedef struct grads {
  view dx;            /* [R, D] gradient of the residual stream */
  view dn;            /* [R, D] of a norm's output */
  view pdy, pdn, pdh; /* [P, D], [P, D], [P, 4D]: of a feed-forward piece; pdy and pdn lie in
                       * its y2 and h2 when the base is frozen */
  /* Others take turns in memory that is idle: dqkv in the spare rows; dy in their first part, done before dqkv
   * begins; d_o in dn, done before dn is written. */
  view dqkv;                    /* [R, 3D] */
  view dy, d_o;                 /* [R, D] */
  view delta;                   /* [heads, R] */
  view dt;                      /* [R, 3r] */
  view dex, dxo, dxq, dxk, dxv; /* exchange */
  view dmod1, dmod2, dmod;      /* [E, 6D], [E, 6D], [E, 2D]: base training only */
  view dmod_s;                  /* [E, 6D]: one of them in the storage type, where that is not reals */
  view dsemb, demb, des1;       /* [E, time] */
  view dout;                    /* like out */
  view drows;                   /* [video rows, patch] */
} grads;

typedef struct back {
  pass p;
  dit *m;
  adapter *a;
  grads g;
  int full;     /* the base is trained too */
  int64_t from; /* first row of the block at hand whose output can have a gradient */
} back;

/* dw += dy^T x; db += column sums of dy */
static int linear_dw(ctx *c, view x, view dy, view dw, view db) {
  int rc = OK;
  TRY(op_gemm(c, &(op_gemm_args){.a = dy, .ta = 1, .b = x, .c = dw, .alpha = 1, .beta = 1}));
  if (db.p) TRY(op_colsum(c, db, dy));
out:
  return rc;
}

/* dx = dy W (+ beta dx) */
static int linear_dx(ctx *c, view dy, view w, view dx, double beta) {
  return op_gemm(c, &(op_gemm_args){.a = dy, .b = w, .c = dx, .alpha = 1, .beta = beta});
}

/* LoRA on rows [r0, r0+n): y += gamma (x A^T) B^T with t = x A^T. */
typedef struct lora_step {
  row_run run;
  view x, t, dy, dx, dt; /* whole-batch views */
  lora_pair w, d;
} lora_step;

static int lora_db(const back *b, const lora_step *s) {
  int rc = OK;
  ctx *c = b->p.c;
  double gamma = b->a->gamma;
  view dy = view_rows(s->dy, s->run.r0, s->run.n), t = view_rows(s->t, s->run.r0, s->run.n);
  view dt = view_rows(s->dt, s->run.r0, s->run.n);
  TRY(op_gemm(c, &(op_gemm_args){.a = dy, .ta = 1, .b = t, .c = s->d.b, .alpha = gamma, .beta = 1}));
  TRY(op_gemm(c, &(op_gemm_args){.a = dy, .b = s->w.b, .c = dt, .alpha = gamma}));
out:
  return rc;
}

static int take(back *b) {
  int rc = OK;
  ctx *c = b->p.c;
  const geom *g = b->p.g;
  grads *s = &b->g;
  const dit_config *f = &b->m->cfg;
  int64_t r = g->rows, d = dit_width(f), e = g->n_time, rx = b->a ? b->a->exchange_rank : 0;
  int64_t pp = (int64_t)f->patch_t * f->patch * f->patch;
  int64_t out = (int64_t)g->batch * g->l.streams * g->frames * f->out_channels * g->height * g->width;
  TRY(ctx_reals(c, 1, out, "output gradient", &s->dout));
  TRY(ctx_view(c, g->batch * g->n_video, f->out_channels * pp, "output patch gradient", &s->drows));
  TRY(ctx_view(c, r, d, "residual gradient", &s->dx));
  TRY(ctx_view(c, r, d, "gradient", &s->dn));
  s->pdy = b->p.acts->block[0].y2;
  s->pdn = b->p.acts->block[0].h2;
  if (b->full) TRY(ctx_view(c, r, d, "feed-forward gradient", &s->pdy));
  if (b->full) TRY(ctx_view(c, r, d, "feed-forward gradient", &s->pdn));
  TRY(ctx_view(c, b->p.acts->piece, 4 * d, "feed-forward gradient", &s->pdh));
  s->dqkv = b->p.acts->spare;
  s->dy = acts_spare(&b->p, 0);
  s->d_o = s->dn;
  TRY(ctx_reals(c, f->heads, r, "attention row sums", &s->delta));
  if (g->l.lora) TRY(ctx_view(c, r, 3 * b->a->rank, "LoRA gradient", &s->dt));
  if (g->l.exchange) {
    int64_t n = 2 * g->batch * g->n_video;
    TRY(ctx_view(c, n, d, "exchange gradient", &s->dex));
    TRY(ctx_view(c, n, rx, "exchange gradient", &s->dxo));
    TRY(ctx_view(c, n, rx, "exchange gradient", &s->dxq));
    TRY(ctx_view(c, n, rx, "exchange gradient", &s->dxk));
    TRY(ctx_view(c, n, rx, "exchange gradient", &s->dxv));
  }
  if (b->full) {
    TRY(ctx_reals(c, e, 6 * d, "modulation gradient", &s->dmod1));
    TRY(ctx_reals(c, e, 6 * d, "modulation gradient", &s->dmod2));
    TRY(ctx_reals(c, e, 2 * d, "modulation gradient", &s->dmod));
    if (c->storage != DT_REAL) TRY(ctx_view(c, e, 6 * d, "modulation gradient", &s->dmod_s));
    TRY(ctx_view(c, e, f->time_dim, "time gradient", &s->dsemb));
    TRY(ctx_view(c, e, f->time_dim, "time gradient", &s->demb));
    TRY(ctx_view(c, e, f->time_dim, "time gradient", &s->des1));
  }
out:
  return rc;
}

/* A gradient of modulation rows as an operand of products. */
static int stored_rows(back *b, view *dmod) {
  if (b->p.c->storage == DT_REAL) return OK;
  view s = view_typed(b->p.c->storage, b->g.dmod_s.p, dmod->rows, dmod->cols), from = *dmod;
  *dmod = s;
  return op_cast(b->p.c, s, from);
}

static view when(int wanted, view v) {
  return wanted ? v : (view){0};
}

/* --- head --- */

static int patch_gradient(back *b, int half) {
  int rc = OK;
  const geom *g = b->p.g;
  const dit_config *f = &b->m->cfg;
  int64_t n = (int64_t)g->frames * f->out_channels * g->height * g->width;
  for (int64_t s = 0; s < g->batch; s++)
    TRY(op_patch(b->p.c, &(op_patch_args){.latents = (real *)b->g.dout.p + (s * g->l.streams + half) * n,
                                          .rows = view_rows(b->g.drows, s * g->n_video, g->n_video),
                                          .frames = g->frames,
                                          .channels = f->out_channels,
                                          .height = g->height,
                                          .width = g->width,
                                          .p = f->patch,
                                          .pt = f->patch_t}));
out:
  return rc;
}

static int head_segment_bwd(back *b, int i) {
  int rc = OK;
  ctx *c = b->p.c;
  dit_acts *s = b->p.acts;
  const geom *g = b->p.g;
  const segment *seg = &g->l.seg[i];
  const dit_tensors *w = &b->m->t, *dw = &b->m->d;
  int64_t d = dit_width(&b->m->cfg);
  view dn = segment_rows(g, b->g.dn, i), dx = segment_rows(g, b->g.dx, i);
  TRY(patch_gradient(b, seg->stream == STREAM_ALPHA));
  if (b->full) TRY(linear_dw(c, s->n2[i], b->g.drows, dw->out_w, dw->out_b));
  TRY(linear_dx(c, b->g.drows, w->out_w, dn, 0));
  if (seg->stream == STREAM_FUSED) {
    TRY(patch_gradient(b, 1));
    TRY(linear_dw(c, s->n2[i], b->g.drows, b->a->d.out_w, b->a->d.out_b));
    TRY(linear_dx(c, b->g.drows, b->a->t.out_w, dn, 1));
  }
  TRY(op_ln_mod_bwd(c, &(op_ln_mod_bwd_args){.x = s->n1[i],
                                             .dy = dn,
                                             .dx = dn,
                                             .w = w->no_w,
                                             .b = w->no_b,
                                             .scale = view_cols(s->mod, d, d),
                                             .dw = when(b->full, dw->no_w),
                                             .db = when(b->full, dw->no_b),
                                             .dshift = when(b->full, view_cols(b->g.dmod, 0, d)),
                                             .dscale = when(b->full, view_cols(b->g.dmod, d, d)),
                                             .map = map_from(g->map_time, g->seg_at[i]),
                                             .eps = b->m->cfg.norm_eps}));
  TRY(op_ln_mod_bwd(c, &(op_ln_mod_bwd_args){.x = segment_rows(g, s->x, i),
                                             .dy = dn,
                                             .dx = dx,
                                             .w = w->nf_w,
                                             .b = w->nf_b,
                                             .dw = when(b->full, dw->nf_w),
                                             .db = when(b->full, dw->nf_b),
                                             .eps = b->m->cfg.norm_eps}));
out:
  return rc;
}

static int head_bwd(back *b) {
  int rc = OK;
  const geom *g = b->p.g;
  TRY(op_fill(b->p.c, view_rows(b->g.dx, g->live, g->rows - g->live), 0));
  if (b->full) TRY(op_fill(b->p.c, b->g.dmod, 0));
  for (int i = 0; i < g->l.n_seg; i++)
    if (segment_predicted(&g->l, &g->l.seg[i]) && g->seg_at[i] >= g->live) TRY(head_segment_bwd(b, i));
  if (b->full) {
    view dmod = b->g.dmod;
    TRY(stored_rows(b, &dmod));
    TRY(linear_dw(b->p.c, b->p.acts->semb, dmod, b->m->d.ada_w, b->m->d.ada_b));
    TRY(linear_dx(b->p.c, dmod, b->m->t.ada_w, b->g.dsemb, 0));
  }
out:
  return rc;
}

/* --- blocks --- */

static view live(const back *b, view v) {
  return view_rows(v, b->from, b->p.g->rows - b->from);
}

static int modulation_bwd(back *b, view dmod, view w, view dw, view db) {
  int rc = OK;
  TRY(stored_rows(b, &dmod));
  TRY(linear_dw(b->p.c, b->p.acts->semb, dmod, dw, db));
  TRY(linear_dx(b->p.c, dmod, w, b->g.dsemb, 1));
out:
  return rc;
}

static int feed_forward_piece_bwd(back *b, int i, const block_acts *s, row_run r) {
  int rc = OK;
  ctx *c = b->p.c;
  const dit_block *w = &b->m->t.block[i], *dw = &b->m->d.block[i];
  int64_t d = dit_width(&b->m->cfg);
  const int32_t *map = map_from(b->p.g->map_mod, r.r0);
  view dx = view_rows(b->g.dx, r.r0, r.n), dy = piece_rows(&b->p, b->g.pdy, r), dh = piece_rows(&b->p, b->g.pdh, r);
  view dn = piece_rows(&b->p, b->g.pdn, r);
  if (s->level && !b->full) TRY(forward_hidden(&b->p, i, r));
  TRY(op_gate_add_bwd(c, &(op_gate_add_bwd_args){.dx = dx,
                                                 .y = when(b->full, piece_rows(&b->p, s->y2, r)),
                                                 .gate = mod_part(s->mod2, 2, d),
                                                 .dy = dy,
                                                 .dgate = when(b->full, mod_part(b->g.dmod2, 2, d)),
                                                 .map = map}));
  if (b->full) TRY(linear_dw(c, piece_rows(&b->p, s->act, r), dy, dw->f2_w, dw->f2_b));
  TRY(linear_dx(c, dy, w->f2_w, dh, 0));
  TRY(op_act_bwd(c, &(op_act_bwd_args){.x = piece_rows(&b->p, s->pre, r), .dy = dh, .dx = dh, .act = ACT_GELU_TANH}));
  if (b->full) TRY(linear_dw(c, piece_rows(&b->p, s->h2, r), dh, dw->f1_w, dw->f1_b));
  TRY(linear_dx(c, dh, w->f1_w, dn, 0));
  TRY(op_ln_mod_bwd(c, &(op_ln_mod_bwd_args){.x = view_rows(s->xm, r.r0, r.n),
                                             .dy = dn,
                                             .dx = dx,
                                             .w = w->n2_w,
                                             .b = w->n2_b,
                                             .scale = mod_part(s->mod2, 1, d),
                                             .dw = when(b->full, dw->n2_w),
                                             .db = when(b->full, dw->n2_b),
                                             .dshift = when(b->full, mod_part(b->g.dmod2, 0, d)),
                                             .dscale = when(b->full, mod_part(b->g.dmod2, 1, d)),
                                             .map = map,
                                             .eps = b->m->cfg.norm_eps,
                                             .accumulate = 1}));
out:
  return rc;
}

static int feed_forward_bwd(back *b, int i, const block_acts *s) {
  int rc = OK;
  const dit_block *w = &b->m->t.block[i], *dw = &b->m->d.block[i];
  row_run r = next_piece(&b->p, b->from);
  if (b->full) TRY(op_fill(b->p.c, b->g.dmod2, 0));
  for (; r.n > 0; r = next_piece(&b->p, r.r0 + r.n)) TRY(feed_forward_piece_bwd(b, i, s, r));
  if (b->full) TRY(modulation_bwd(b, b->g.dmod2, w->ada2_w, dw->ada2_w, dw->ada2_b));
out:
  return rc;
}

/* dx of the video rows gains the gradient through the module; the identity part is dx itself. */
static int exchange_bwd(back *b, int i, const block_acts *s) {
  int rc = OK;
  ctx *c = b->p.c;
  const geom *g = b->p.g;
  const adapter_block *w = &b->a->t.block[i], *d = &b->a->d.block[i];
  int64_t n = g->batch * g->n_video;
  for (int k = 0; k < g->l.n_seg; k++) {
    if (g->l.seg[k].kind != SEG_VIDEO) continue;
    int half = g->l.seg[k].stream == STREAM_ALPHA;
    view dx = segment_rows(g, b->g.dx, k);
    TRY(linear_dw(c, view_rows(s->exo, half * n, n), dx, d->xo, (view){0}));
    TRY(linear_dx(c, dx, w->xo, view_rows(b->g.dxo, half * n, n), 0));
  }
  TRY(op_attn_small_bwd(c, &(op_attn_small_bwd_args){.q = s->exq,
                                                     .k = s->exk,
                                                     .v = s->exv,
                                                     .d_o = b->g.dxo,
                                                     .dq = b->g.dxq,
                                                     .dk = b->g.dxk,
                                                     .dv = b->g.dxv,
                                                     .heads = g->l.exchange_heads}));
  TRY(linear_dw(c, s->ex, b->g.dxq, d->xq, (view){0}));
  TRY(linear_dw(c, s->ex, b->g.dxk, d->xk, (view){0}));
  TRY(linear_dw(c, s->ex, b->g.dxv, d->xv, (view){0}));
  TRY(linear_dx(c, b->g.dxq, w->xq, b->g.dex, 0));
  TRY(linear_dx(c, b->g.dxk, w->xk, b->g.dex, 1));
  TRY(linear_dx(c, b->g.dxv, w->xv, b->g.dex, 1));
  for (int k = 0; k < g->l.n_seg; k++) {
    if (g->l.seg[k].kind != SEG_VIDEO) continue;
    int half = g->l.seg[k].stream == STREAM_ALPHA;
    TRY(op_ln_mod_bwd(c, &(op_ln_mod_bwd_args){.x = segment_rows(g, s->xa, k),
                                               .dy = view_rows(b->g.dex, half * n, n),
                                               .dx = segment_rows(g, b->g.dx, k),
                                               .w = w->norm_w,
                                               .b = w->norm_b,
                                               .dw = d->norm_w,
                                               .db = d->norm_b,
                                               .dshift = d->type_emb,
                                               .map = map_from(g->map_type, g->seg_at[k]),
                                               .eps = 1e-5,
                                               .accumulate = 1}));
  }
out:
  return rc;
}

static int project_out_bwd(back *b, int i, const block_acts *s) {
  int rc = OK;
  ctx *c = b->p.c;
  const geom *g = b->p.g;
  const dit_block *w = &b->m->t.block[i], *dw = &b->m->d.block[i];
  row_run run[LAYOUT_SEGMENTS];
  int64_t d = dit_width(&b->m->cfg);
  if (b->full) TRY(op_fill(c, b->g.dmod1, 0));
  TRY(op_gate_add_bwd(c, &(op_gate_add_bwd_args){.dx = live(b, b->g.dx),
                                                 .y = when(b->full, live(b, s->y1)),
                                                 .gate = mod_part(s->mod1, 2, d),
                                                 .dy = live(b, b->g.dy),
                                                 .dgate = when(b->full, mod_part(b->g.dmod1, 2, d)),
                                                 .map = map_from(g->map_mod, b->from)}));
  if (b->full) TRY(linear_dw(c, live(b, s->o), live(b, b->g.dy), dw->o_w, dw->o_b));
  TRY(linear_dx(c, live(b, b->g.dy), w->o_w, live(b, b->g.d_o), 0));
  TRY(op_fill(c, view_rows(b->g.d_o, g->live, b->from - g->live), 0));
  int n = g->l.lora ? lora_runs(g, run) : 0;
  for (int k = 0; k < n; k++) {
    const adapter_block *a = &b->a->t.block[i], *da = &b->a->d.block[i];
    view dt = view_cols(b->g.dt, 0, b->a->rank);
    lora_step l = {run[k], s->o, s->t_o, b->g.dy, b->g.d_o, dt, a->o, da->o};
    TRY(lora_db(b, &l));
    view rt = view_rows(dt, run[k].r0, run[k].n);
    TRY(linear_dw(c, view_rows(s->o, run[k].r0, run[k].n), rt, da->o.a, (view){0}));
    TRY(linear_dx(c, rt, a->o.a, view_rows(b->g.d_o, run[k].r0, run[k].n), 1));
  }
out:
  return rc;
}

/* Rows from `from` on have gradients of k and v, those from b->from on of q too. */
static int head_norms_bwd(back *b, int i, const block_acts *s, int64_t from) {
  int rc = OK;
  const geom *g = b->p.g;
  const dit_block *w = &b->m->t.block[i], *dw = &b->m->d.block[i];
  int64_t d = dit_width(&b->m->cfg), q_from = from > b->from ? from : b->from;
  op_headnorm_rope_bwd_args a = {
      .cos = g->rope_cos, .sin = g->rope_sin, .dim = b->m->cfg.head_dim, .eps = HEAD_NORM_EPS};
  TRY(op_fill(b->p.c, view_rows(view_cols(b->g.dqkv, 0, d), from, q_from - from), 0));
  for (int k = 0; k < 2; k++) {
    int64_t at = k ? from : q_from, n = g->rows - at;
    a.x = view_rows(view_cols(s->qkv, k * d, d), at, n);
    a.dy = a.dx = view_rows(view_cols(b->g.dqkv, k * d, d), at, n);
    a.w = k ? w->nk_w : w->nq_w;
    a.dw = when(b->full, k ? dw->nk_w : dw->nq_w);
    a.db = when(b->full, k ? dw->nk_b : dw->nq_b);
    a.map = b->m->cfg.rotary ? map_from(g->map_rope, at) : NULL;
    TRY(op_headnorm_rope_bwd(b->p.c, &a));
  }
out:
  return rc;
}

/* The rows below the attention norm: those of a block that does not keep them were overwritten and are made again
 * where q and k were. */
static int norm1_again(back *b, int i, const block_acts *s, int64_t from, view *h1) {
  int64_t d = dit_width(&b->m->cfg);
  *h1 = s->h1;
  if (!s->level || !(b->full || b->p.g->l.lora)) return OK;
  *h1 = view_typed(s->qk.type, s->qk.p, b->p.g->rows, d);
  return forward_norm1(&b->p, i, *h1, from);
}

static int project_qkv_bwd(back *b, int i, const block_acts *s, int64_t from) {
  int rc = OK;
  view h1;
  ctx *c = b->p.c;
  const geom *g = b->p.g;
  const dit_block *w = &b->m->t.block[i], *dw = &b->m->d.block[i];
  row_run run[LAYOUT_SEGMENTS];
  int64_t d = dit_width(&b->m->cfg), n = g->rows - from;
  view dqkv = view_rows(b->g.dqkv, from, n), dn = view_rows(b->g.dn, from, n);
  TRY(norm1_again(b, i, s, from, &h1));
  if (b->full) TRY(linear_dw(c, view_rows(h1, from, n), dqkv, dw->qkv_w, dw->qkv_b));
  TRY(linear_dx(c, dqkv, w->qkv_w, dn, 0));
  int runs = g->l.lora ? lora_runs(g, run) : 0;
  for (int k = 0; k < runs; k++) {
    const adapter_block *a = &b->a->t.block[i], *da = &b->a->d.block[i];
    const lora_pair *pw[3] = {&a->q, &a->k, &a->v}, *pd[3] = {&da->q, &da->k, &da->v};
    int64_t r = b->a->rank;
    for (int j = 0; j < 3; j++) {
      lora_step l = {run[k],
                     h1,
                     view_cols(s->t_qkv, j * r, r),
                     view_cols(b->g.dqkv, j * d, d),
                     b->g.dn,
                     view_cols(b->g.dt, j * r, r),
                     *pw[j],
                     *pd[j]};
      TRY(lora_db(b, &l));
    }
    view dt = view_rows(b->g.dt, run[k].r0, run[k].n);
    TRY(linear_dw(c, view_rows(h1, run[k].r0, run[k].n), dt, da->qkv_a, (view){0}));
    TRY(linear_dx(c, dt, a->qkv_a, view_rows(b->g.dn, run[k].r0, run[k].n), 1));
  }
out:
  return rc;
}

static int attention_half_bwd(back *b, int i, const block_acts *s) {
  int rc = OK;
  ctx *c = b->p.c;
  const geom *g = b->p.g;
  const dit_block *w = &b->m->t.block[i], *dw = &b->m->d.block[i];
  int64_t d = dit_width(&b->m->cfg), from = g->live;
  if (i == 0 && !b->full) { /* below these rows nothing at the input of block 0 is trained */
    row_run run[LAYOUT_SEGMENTS];
    from = g->live_in0;
    if (g->l.lora && lora_runs(g, run) && run[0].r0 < from) from = run[0].r0;
  }
  int64_t n = g->rows - from;
  int last = block_from(&b->p, i) > 0;
  TRY(project_out_bwd(b, i, s));
  TRY(op_attn_bwd(c, &(op_attn_bwd_args){.q = view_cols(s->qk, 0, d),
                                         .k = view_cols(s->qk, d, d),
                                         .v = view_cols(s->qkv, 2 * d, d),
                                         .o = s->o,
                                         .lse = s->lse,
                                         .d_o = b->g.d_o,
                                         .dq = view_cols(b->g.dqkv, 0, d),
                                         .dk = view_cols(b->g.dqkv, d, d),
                                         .dv = view_cols(b->g.dqkv, 2 * d, d),
                                         .delta = b->g.delta,
                                         .groups = last ? g->last_live_groups : g->live_groups,
                                         .n_groups = last ? g->n_last_live_groups : g->n_live_groups,
                                         .dim = b->m->cfg.head_dim,
                                         .kv_from = from}));
  TRY(head_norms_bwd(b, i, s, from));
  TRY(project_qkv_bwd(b, i, s, from));
  TRY(op_ln_mod_bwd(c, &(op_ln_mod_bwd_args){.x = view_rows(s->x, from, n),
                                             .dy = view_rows(b->g.dn, from, n),
                                             .dx = view_rows(b->g.dx, from, n),
                                             .w = w->n1_w,
                                             .b = w->n1_b,
                                             .scale = mod_part(s->mod1, 1, d),
                                             .dw = when(b->full, dw->n1_w),
                                             .db = when(b->full, dw->n1_b),
                                             .dshift = when(b->full, mod_part(b->g.dmod1, 0, d)),
                                             .dscale = when(b->full, mod_part(b->g.dmod1, 1, d)),
                                             .map = map_from(g->map_mod, from),
                                             .eps = b->m->cfg.norm_eps,
                                             .accumulate = 1}));
  if (b->full) TRY(modulation_bwd(b, b->g.dmod1, w->ada1_w, dw->ada1_w, dw->ada1_b));
out:
  return rc;
}

/* --- embeddings --- */

static int mlp_bwd(back *b, view sinus, view e1, view es1, const view w[4], const view d[4]) {
  int rc = OK;
  ctx *c = b->p.c;
  TRY(linear_dw(c, es1, b->g.demb, d[2], d[3]));
  TRY(linear_dx(c, b->g.demb, w[2], b->g.des1, 0));
  TRY(op_act_bwd(c, &(op_act_bwd_args){.x = e1, .dy = b->g.des1, .dx = b->g.des1, .act = ACT_SILU}));
  TRY(linear_dw(c, sinus, b->g.des1, d[0], d[1]));
out:
  return rc;
}

static int embed_time_bwd(back *b) {
  int rc = OK;
  const dit_acts *s = b->p.acts;
  const dit_tensors *w = &b->m->t, *d = &b->m->d;
  TRY(op_act_bwd(b->p.c, &(op_act_bwd_args){.x = s->emb, .dy = b->g.dsemb, .dx = b->g.demb, .act = ACT_SILU}));
  TRY(mlp_bwd(b, s->sinus, s->e1, s->es1, (view[]){w->t1_w, w->t1_b, w->t2_w, w->t2_b},
              (view[]){d->t1_w, d->t1_b, d->t2_w, d->t2_b}));
  if (b->m->cfg.ofs_dim)
    TRY(mlp_bwd(b, s->osinus, s->o1, s->os1, (view[]){w->u1_w, w->u1_b, w->u2_w, w->u2_b},
                (view[]){d->u1_w, d->u1_b, d->u2_w, d->u2_b}));
out:
  return rc;
}

static int embed_bwd(back *b) {
  int rc = OK;
  ctx *c = b->p.c;
  const geom *g = b->p.g;
  const dit_tensors *d = &b->m->d;
  for (int i = 0; i < g->l.n_seg; i++) {
    const segment *seg = &g->l.seg[i];
    view dx = segment_rows(g, b->g.dx, i);
    if (seg->domain) TRY(op_add_rows_bwd(c, &(op_add_rows_bwd_args){.dx = dx, .dtable = b->a->d.domain}));
    if (seg->stream == STREAM_FUSED && seg->kind == SEG_VIDEO)
      TRY(linear_dw(c, b->p.acts->patch_alpha, dx, b->a->d.in_w, (view){0}));
    if (!b->full) continue;
    if (seg->kind == SEG_TEXT)
      TRY(linear_dw(c, b->p.io->text, dx, d->text_w, d->text_b));
    else
      TRY(linear_dw(c, b->p.acts->patch[i], dx, d->patch_w, d->patch_b));
  }
  if (b->full && d->pos.p && g->pos.p == b->m->t.pos.p)
    TRY(op_add_rows_bwd(c, &(op_add_rows_bwd_args){.dx = b->g.dx, .dtable = d->pos, .map = g->map_pos}));
  if (b->full) TRY(embed_time_bwd(b));
out:
  return rc;
}

static int loss_and_gradient(back *b, const real *target, double *loss) {
  int rc = OK;
  const geom *g = b->p.g;
  const layout *l = &g->l;
  int64_t half = (int64_t)g->frames * b->m->cfg.out_channels * g->height * g->width;
  int first = l->loss_rgb ? 0 : 1, last = l->streams == 2 && l->loss_alpha ? 1 : 0;
  int64_t cols = (last - first + 1) * half;
  view whole = view_of(b->p.io->out, g->batch, l->streams * half);
  view want = view_of((void *)(uintptr_t)target, g->batch, l->streams * half);
  view grad = view_of(b->g.dout.p, g->batch, l->streams * half);
  TRY(op_mse(b->p.c, &(op_mse_args){.pred = view_cols(whole, first * half, cols),
                                    .target = view_cols(want, first * half, cols),
                                    .dpred = view_cols(grad, first * half, cols),
                                    .weight = 1.0 / (double)(g->batch * cols),
                                    .loss = loss}));
out:
  return rc;
}

int dit_loss(ctx *c, dit *m, adapter *a, const geom *g, const dit_io *io, const real *target, double *loss) {
  int rc = OK;
  size_t mark = arena_mark(&c->mem);
  dit_acts acts = {0};
  back b = {.p = {c, m, a, g, io, &acts}, .m = m, .a = a, .full = m->g != NULL};
  TRY(mem_new(&c->err, m->cfg.layers, sizeof(block_acts), "block buffers", &acts.block));
  TRY(forward_all(&b.p, 1));
  TRY(take(&b));
  TRY(loss_and_gradient(&b, target, loss));
  if (!b.full && !(a && a->g)) goto out;
  TRY(head_bwd(&b));
  for (int i = m->cfg.layers - 1; i >= 0; i--) {
    const block_acts *s = &acts.block[i];
    int64_t last = block_from(&b.p, i);
    b.from = last > g->live ? last : g->live;
    if (s->level) TRY(forward_block_again(&b.p, i));
    TRY(feed_forward_bwd(&b, i, s));
    if (g->l.exchange) TRY(exchange_bwd(&b, i, s));
    TRY(attention_half_bwd(&b, i, s));
  }
  TRY(embed_bwd(&b));
out:
  free(acts.block);
  arena_release(&c->mem, mark);
  return rc;
}
