/* The forward pass: spec/model.md 3.3, 3.4, 4.1, 5. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/acts.h"

#define HEAD_NORM_EPS 1e-6

int lora_runs(const geom *g, row_run out[LAYOUT_SEGMENTS]) {
  int n = 0;
  for (int s = 0; s < g->l.n_seg; s++) {
    if (!g->l.seg[s].lora) continue;
    int64_t rows = g->batch * g->seg_rows[s];
    if (n && out[n - 1].r0 + out[n - 1].n == g->seg_at[s])
      out[n - 1].n += rows;
    else
      out[n++] = (row_run){g->seg_at[s], rows};
  }
  return n;
}

int segment_predicted(const layout *l, const segment *s) {
  if (s->kind != SEG_VIDEO) return 0;
  return s->stream == STREAM_FUSED || (s->stream == STREAM_RGB ? l->loss_rgb : l->loss_alpha);
}

view segment_rows(const geom *g, view v, int s) {
  return view_rows(v, g->seg_at[s], g->batch * g->seg_rows[s]);
}

int64_t block_from(const pass *p, int i) {
  return i + 1 == p->m->cfg.layers && !p->io->trace ? p->g->last : 0;
}

/* Rows of v from block_from on. */
static view wanted(const pass *p, int i, view v) {
  int64_t from = block_from(p, i);
  return view_rows(v, from, v.rows - from);
}

static int trace(const pass *p, const char *name, view v) {
  return p->io->trace ? p->io->trace(p->io->user, name, v) : OK;
}

static int linear(ctx *c, view x, view w, view b, view y) {
  return op_gemm(c, &(op_gemm_args){.a = x, .b = w, .tb = 1, .c = y, .alpha = 1, .bias = b});
}

/* --- embeddings --- */

/* cos first (flip_sin_to_cos); frequencies and angles in float as the reference computes them. */
static void sinusoid(double t, int64_t dim, real *out) {
  int64_t half = dim / 2;
  for (int64_t i = 0; i < half; i++) {
    float freq = (float)exp((double)(-(float)log(10000.0) * (float)i / (float)half));
    float angle = (float)t * freq;
    out[i] = (real)(float)cos((double)angle);
    out[half + i] = (real)(float)sin((double)angle);
  }
}

static int upload_sinusoids(const pass *p, const double *t, view to) {
  int rc = OK;
  ctx *c = p->c;
  real *host = NULL;
  TRY(mem_new(&c->err, to.rows * to.cols, sizeof(real), "sinusoid", &host));
  for (int64_t e = 0; e < to.rows; e++)
    sinusoid(e < p->g->batch ? t[e] : 0.0, to.cols, host + e * to.cols); /* further rows: clean segments, time 0 */
  TRY(ctx_put(c, to, host));
out:
  free(host);
  return rc;
}

static int embed_time(pass *p) {
  int rc = OK;
  ctx *c = p->c;
  dit_acts *s = p->acts;
  const dit_tensors *w = &p->m->t;
  TRY(upload_sinusoids(p, p->io->t, s->sinus));
  TRY(linear(c, s->sinus, w->t1_w, w->t1_b, s->e1));
  TRY(op_act_fwd(c, &(op_act_args){.x = s->e1, .y = s->es1, .act = ACT_SILU}));
  TRY(linear(c, s->es1, w->t2_w, w->t2_b, s->emb));
  if (p->m->cfg.ofs_dim) {
    if (!p->io->ofs) FAIL(&c->err, E_ARG, "this model needs in.ofs, one value a sample");
    TRY(upload_sinusoids(p, p->io->ofs, s->osinus));
    TRY(linear(c, s->osinus, w->u1_w, w->u1_b, s->o1));
    TRY(op_act_fwd(c, &(op_act_args){.x = s->o1, .y = s->os1, .act = ACT_SILU}));
    TRY(op_gemm(
        c, &(op_gemm_args){.a = s->os1, .b = w->u2_w, .tb = 1, .c = s->emb, .alpha = 1, .beta = 1, .bias = w->u2_b}));
  }
  TRY(op_act_fwd(c, &(op_act_args){.x = s->emb, .y = s->semb, .act = ACT_SILU}));
  TRY(trace(p, "time_emb", s->emb));
out:
  return rc;
}

/* Latents of one half of sample b: [F, C, H, W] inside [B, streams * F, C, H, W]. */
static real *half_of(const pass *p, const real *all, int channels, int64_t b, int half) {
  const geom *g = p->g;
  int64_t n = (int64_t)g->frames * channels * g->height * g->width;
  return (real *)(uintptr_t)(all + (b * g->l.streams + half) * n);
}

static op_patch_args patch_args(const pass *p, real *latents, int channels, view rows, int64_t b) {
  const geom *g = p->g;
  return (op_patch_args){.latents = latents,
                         .rows = view_rows(rows, b * g->n_video, g->n_video),
                         .frames = g->frames,
                         .channels = channels,
                         .height = g->height,
                         .width = g->width,
                         .p = p->m->cfg.patch,
                         .pt = p->m->cfg.patch_t};
}

static int patch_half(pass *p, int half, view rows) {
  int rc = OK;
  for (int64_t b = 0; b < p->g->batch; b++) {
    op_patch_args a =
        patch_args(p, half_of(p, p->io->latents, p->m->cfg.in_channels, b, half), p->m->cfg.in_channels, rows, b);
    TRY(op_patch(p->c, &a));
  }
out:
  return rc;
}

static int embed_segment(pass *p, int i, view x) {
  int rc = OK;
  ctx *c = p->c;
  dit_acts *s = p->acts;
  const dit_tensors *w = &p->m->t;
  const segment *seg = &p->g->l.seg[i];
  view rows = segment_rows(p->g, x, i);
  if (seg->kind == SEG_TEXT) {
    TRY(linear(c, p->io->text, w->text_w, w->text_b, rows));
    goto out;
  }
  view weight = w->patch_w;
  TRY(patch_half(p, seg->stream == STREAM_ALPHA, s->patch[i]));
  TRY(linear(c, s->patch[i], weight, w->patch_b, rows));
  if (seg->stream == STREAM_FUSED) {
    TRY(patch_half(p, 1, s->patch_alpha));
    TRY(op_gemm(c,
                &(op_gemm_args){.a = s->patch_alpha, .b = p->a->t.in_w, .tb = 1, .c = rows, .alpha = 1, .beta = 1}));
  }
out:
  return rc;
}

static int embed(pass *p) {
  int rc = OK;
  const geom *g = p->g;
  view x = p->acts->block[0].x;
  TRY(embed_time(p));
  for (int i = 0; i < g->l.n_seg; i++) TRY(embed_segment(p, i, x));
  if (g->pos.p) TRY(op_add_rows(p->c, &(op_add_rows_args){.x = x, .table = g->pos, .map = g->map_pos}));
  for (int i = 0; i < g->l.n_seg; i++)
    if (g->l.seg[i].domain)
      TRY(op_add_rows(p->c, &(op_add_rows_args){.x = segment_rows(g, x, i), .table = p->a->t.domain}));
  TRY(trace(p, "embed", x));
out:
  return rc;
}

/* --- blocks --- */

static int lora_add(ctx *c, view t, lora_pair l, double gamma, view y) {
  return op_gemm(c, &(op_gemm_args){.a = t, .b = l.b, .tb = 1, .c = y, .alpha = gamma, .beta = 1});
}

static int project_qkv(pass *p, int i, block_acts *b) {
  int rc = OK;
  ctx *c = p->c;
  int64_t d = dit_width(&p->m->cfg);
  const dit_block *w = &p->m->t.block[i];
  row_run run[LAYOUT_SEGMENTS];
  TRY(linear(c, b->h1, w->qkv_w, w->qkv_b, b->qkv));
  int n = p->g->l.lora ? lora_runs(p->g, run) : 0;
  for (int k = 0; k < n; k++) {
    const adapter_block *a = &p->a->t.block[i];
    int r = p->a->rank;
    view h = view_rows(b->h1, run[k].r0, run[k].n), t = view_rows(b->t_qkv, run[k].r0, run[k].n);
    view y = view_rows(b->qkv, run[k].r0, run[k].n);
    TRY(op_gemm(c, &(op_gemm_args){.a = h, .b = a->qkv_a, .tb = 1, .c = t, .alpha = 1}));
    TRY(lora_add(c, view_cols(t, 0, r), a->q, p->a->gamma, view_cols(y, 0, d)));
    TRY(lora_add(c, view_cols(t, r, r), a->k, p->a->gamma, view_cols(y, d, d)));
    TRY(lora_add(c, view_cols(t, 2 * r, r), a->v, p->a->gamma, view_cols(y, 2 * d, d)));
  }
out:
  return rc;
}

static int project_out(pass *p, int i, block_acts *b) {
  int rc = OK;
  ctx *c = p->c;
  const dit_block *w = &p->m->t.block[i];
  row_run run[LAYOUT_SEGMENTS];
  TRY(linear(c, wanted(p, i, b->o), w->o_w, w->o_b, wanted(p, i, b->y1)));
  int n = p->g->l.lora ? lora_runs(p->g, run) : 0;
  for (int k = 0; k < n; k++) {
    const adapter_block *a = &p->a->t.block[i];
    view o = view_rows(b->o, run[k].r0, run[k].n), t = view_rows(b->t_o, run[k].r0, run[k].n);
    TRY(op_gemm(c, &(op_gemm_args){.a = o, .b = a->o.a, .tb = 1, .c = t, .alpha = 1}));
    TRY(lora_add(c, t, a->o, p->a->gamma, view_rows(b->y1, run[k].r0, run[k].n)));
  }
out:
  return rc;
}

static int head_norms(pass *p, int i, block_acts *b) {
  int rc = OK;
  int64_t d = dit_width(&p->m->cfg);
  const dit_block *w = &p->m->t.block[i];
  op_headnorm_rope_args a = {.x = view_cols(b->qkv, 0, d),
                             .y = view_cols(b->qk, 0, d),
                             .w = w->nq_w,
                             .b = w->nq_b,
                             .cos = p->g->rope_cos,
                             .sin = p->g->rope_sin,
                             .map = p->m->cfg.rotary ? p->g->map_rope : NULL,
                             .dim = p->m->cfg.head_dim,
                             .eps = HEAD_NORM_EPS};
  TRY(op_headnorm_rope(p->c, &a));
  a.x = view_cols(b->qkv, d, d);
  a.y = view_cols(b->qk, d, d);
  a.w = w->nk_w;
  a.b = w->nk_b;
  TRY(op_headnorm_rope(p->c, &a));
out:
  return rc;
}

/* Inter-batch module (spec/model.md 5.3 D1): pairs of video rows at equal position; ex holds RGB rows, then alpha
 * rows. */
static int exchange(pass *p, int i, block_acts *b) {
  int rc = OK;
  ctx *c = p->c;
  const geom *g = p->g;
  const adapter_block *a = &p->a->t.block[i];
  int64_t n = g->batch * g->n_video;
  for (int s = 0; s < g->l.n_seg; s++) {
    if (g->l.seg[s].kind != SEG_VIDEO) continue;
    int half = g->l.seg[s].stream == STREAM_ALPHA;
    TRY(op_ln_mod(c, &(op_ln_mod_args){.x = segment_rows(g, b->xa, s),
                                       .y = view_rows(b->ex, half * n, n),
                                       .w = a->norm_w,
                                       .b = a->norm_b,
                                       .shift = a->type_emb,
                                       .map = map_from(g->map_type, g->seg_at[s]),
                                       .eps = 1e-5}));
  }
  TRY(op_gemm(c, &(op_gemm_args){.a = b->ex, .b = a->xq, .tb = 1, .c = b->exq, .alpha = 1}));
  TRY(op_gemm(c, &(op_gemm_args){.a = b->ex, .b = a->xk, .tb = 1, .c = b->exk, .alpha = 1}));
  TRY(op_gemm(c, &(op_gemm_args){.a = b->ex, .b = a->xv, .tb = 1, .c = b->exv, .alpha = 1}));
  TRY(op_attn_small(
      c, &(op_attn_small_args){.q = b->exq, .k = b->exk, .v = b->exv, .o = b->exo, .heads = g->l.exchange_heads}));
  for (int s = 0; s < g->l.n_seg; s++) {
    if (g->l.seg[s].kind != SEG_VIDEO) continue;
    int half = g->l.seg[s].stream == STREAM_ALPHA;
    TRY(op_gemm(c, &(op_gemm_args){.a = view_rows(b->exo, half * n, n),
                                   .b = a->xo,
                                   .tb = 1,
                                   .c = segment_rows(g, b->xm, s),
                                   .alpha = 1,
                                   .beta = 1}));
  }
out:
  return rc;
}

int forward_norm1(pass *p, int i, view h1, int64_t r0) {
  const block_acts *b = &p->acts->block[i];
  const dit_block *w = &p->m->t.block[i];
  int64_t d = dit_width(&p->m->cfg), n = h1.rows - r0;
  return op_ln_mod(p->c, &(op_ln_mod_args){.x = view_rows(b->x, r0, n),
                                           .y = view_rows(h1, r0, n),
                                           .w = w->n1_w,
                                           .b = w->n1_b,
                                           .shift = mod_part(b->mod1, 0, d),
                                           .scale = mod_part(b->mod1, 1, d),
                                           .map = map_from(p->g->map_mod, r0),
                                           .eps = p->m->cfg.norm_eps});
}

/* again: a kept attention output is not computed a second time. */
static int attention_half(pass *p, int i, block_acts *b, int again) {
  int rc = OK;
  ctx *c = p->c;
  const geom *g = p->g;
  int64_t d = dit_width(&p->m->cfg), from = block_from(p, i);
  view x = wanted(p, i, b->x), xa = wanted(p, i, b->xa), xm = wanted(p, i, b->xm), y1 = wanted(p, i, b->y1);
  TRY(forward_norm1(p, i, b->h1, 0));
  TRY(project_qkv(p, i, b));
  TRY(head_norms(p, i, b));
  if (!again || b->level == 2)
    TRY(op_attn(c, &(op_attn_args){.q = view_cols(b->qk, 0, d),
                                   .k = view_cols(b->qk, d, d),
                                   .v = view_cols(b->qkv, 2 * d, d),
                                   .o = b->o,
                                   .lse = b->lse,
                                   .groups = from ? g->last_groups : g->groups,
                                   .n_groups = from ? g->n_last_groups : g->n_groups,
                                   .dim = p->m->cfg.head_dim}));
  TRY(project_out(p, i, b));
  if (xa.p != x.p) TRY(op_copy(c, xa, x));
  TRY(op_gate_add(
      c, &(op_gate_add_args){.x = xa, .y = y1, .gate = mod_part(b->mod1, 2, d), .map = map_from(g->map_mod, from)}));
  if (g->l.exchange) {
    if (xm.p != xa.p) TRY(op_copy(c, xm, xa));
    TRY(exchange(p, i, b));
  }
out:
  return rc;
}

static int norm2(pass *p, int i, const block_acts *b, row_run r) {
  const dit_block *w = &p->m->t.block[i];
  int64_t d = dit_width(&p->m->cfg);
  return op_ln_mod(p->c, &(op_ln_mod_args){.x = view_rows(b->xm, r.r0, r.n),
                                           .y = piece_rows(p, b->h2, r),
                                           .w = w->n2_w,
                                           .b = w->n2_b,
                                           .shift = mod_part(b->mod2, 0, d),
                                           .scale = mod_part(b->mod2, 1, d),
                                           .map = map_from(p->g->map_mod, r.r0),
                                           .eps = p->m->cfg.norm_eps});
}

int forward_hidden(pass *p, int i, row_run r) {
  int rc = OK;
  const block_acts *b = &p->acts->block[i];
  const dit_block *w = &p->m->t.block[i];
  TRY(norm2(p, i, b, r));
  TRY(linear(p->c, piece_rows(p, b->h2, r), w->f1_w, w->f1_b, piece_rows(p, b->pre, r)));
out:
  return rc;
}

static int feed_forward(pass *p, int i, const block_acts *b, row_run r, int keep_pre) {
  int rc = OK;
  const dit_block *w = &p->m->t.block[i];
  view act = piece_rows(p, b->act, r);
  TRY(norm2(p, i, b, r));
  TRY(op_gemm(p->c, &(op_gemm_args){.a = piece_rows(p, b->h2, r),
                                    .b = w->f1_w,
                                    .tb = 1,
                                    .c = act,
                                    .alpha = 1,
                                    .bias = w->f1_b,
                                    .act = ACT_GELU_TANH,
                                    .pre = keep_pre ? piece_rows(p, b->pre, r) : (view){0}}));
  TRY(linear(p->c, act, w->f2_w, w->f2_b, piece_rows(p, b->y2, r)));
out:
  return rc;
}

static int forward_block(pass *p, int i) {
  int rc = OK;
  block_acts *b = &p->acts->block[i];
  int64_t d = dit_width(&p->m->cfg);
  view next = i + 1 < p->m->cfg.layers ? p->acts->block[i + 1].x : p->acts->x;
  TRY(attention_half(p, i, b, 0));
  row_run r = next_piece(p, block_from(p, i));
  for (; r.n > 0; r = next_piece(p, r.r0 + r.n)) {
    TRY(feed_forward(p, i, b, r, p->acts->keep && !b->level));
    view x = view_rows(next, r.r0, r.n), xm = view_rows(b->xm, r.r0, r.n);
    if (x.p != xm.p) TRY(op_copy(p->c, x, xm));
    TRY(op_gate_add(p->c, &(op_gate_add_args){.x = x,
                                              .y = piece_rows(p, b->y2, r),
                                              .gate = mod_part(b->mod2, 2, d),
                                              .map = map_from(p->g->map_mod, r.r0)}));
  }
  char name[32];
  snprintf(name, sizeof name, "block.%d", i);
  TRY(trace(p, name, next));
out:
  return rc;
}

int forward_block_again(pass *p, int i) {
  int rc = OK;
  block_acts *b = &p->acts->block[i];
  int64_t from = block_from(p, i);
  TRY(attention_half(p, i, b, 1));
  if (p->m->g) TRY(feed_forward(p, i, b, (row_run){from, p->g->rows - from}, 1));
out:
  return rc;
}

/* The modulation of all blocks depends on the time embedding alone. */
static int modulate(pass *p) {
  int rc = OK;
  for (int i = 0; i < p->m->cfg.layers; i++) {
    const dit_block *w = &p->m->t.block[i];
    TRY(linear(p->c, p->acts->semb, w->ada1_w, w->ada1_b, p->acts->block[i].mod1));
    TRY(linear(p->c, p->acts->semb, w->ada2_w, w->ada2_b, p->acts->block[i].mod2));
  }
  TRY(linear(p->c, p->acts->semb, p->m->t.ada_w, p->m->t.ada_b, p->acts->mod));
out:
  return rc;
}

/* --- head --- */

static int unpatch_half(pass *p, int half, view rows) {
  int rc = OK;
  int channels = p->m->cfg.out_channels;
  for (int64_t b = 0; b < p->g->batch; b++) {
    op_patch_args a = patch_args(p, half_of(p, p->io->out, channels, b, half), channels, rows, b);
    TRY(op_unpatch(p->c, &a));
  }
out:
  return rc;
}

static int head_segment(pass *p, int i) {
  int rc = OK;
  ctx *c = p->c;
  dit_acts *s = p->acts;
  const dit_tensors *w = &p->m->t;
  const segment *seg = &p->g->l.seg[i];
  int64_t d = dit_width(&p->m->cfg);
  TRY(op_ln_mod(
      c,
      &(op_ln_mod_args){
          .x = segment_rows(p->g, s->x, i), .y = s->n1[i], .w = w->nf_w, .b = w->nf_b, .eps = p->m->cfg.norm_eps}));
  TRY(op_ln_mod(c, &(op_ln_mod_args){.x = s->n1[i],
                                     .y = s->n2[i],
                                     .w = w->no_w,
                                     .b = w->no_b,
                                     .shift = view_cols(s->mod, 0, d),
                                     .scale = view_cols(s->mod, d, d),
                                     .map = map_from(p->g->map_time, p->g->seg_at[i]),
                                     .eps = p->m->cfg.norm_eps}));
  TRY(linear(c, s->n2[i], w->out_w, w->out_b, s->rows[i]));
  TRY(unpatch_half(p, seg->stream == STREAM_ALPHA, s->rows[i]));
  if (seg->stream == STREAM_FUSED) {
    TRY(linear(c, s->n2[i], p->a->t.out_w, p->a->t.out_b, s->rows_alpha));
    TRY(unpatch_half(p, 1, s->rows_alpha));
  }
  TRY(trace(p, i == 0 || p->g->seg_at[i] == p->g->video_from ? "norm_out" : "norm_out.alpha", s->n2[i]));
out:
  return rc;
}

int forward_all(pass *p, int keep) {
  int rc = OK;
  const geom *g = p->g;
  TRY(acts_take(p, keep));
  TRY(embed(p));
  TRY(modulate(p));
  for (int i = 0; i < p->m->cfg.layers; i++) TRY(forward_block(p, i));
  int64_t n = (int64_t)g->batch * g->l.streams * g->frames * p->m->cfg.out_channels * g->height * g->width;
  if (g->l.streams == 2 && !g->l.widened && !(g->l.loss_rgb && g->l.loss_alpha))
    TRY(op_fill(p->c, view_of(p->io->out, 1, n), 0));
  for (int i = 0; i < g->l.n_seg; i++)
    if (segment_predicted(&g->l, &g->l.seg[i])) TRY(head_segment(p, i));
out:
  return rc;
}

int dit_forward(ctx *c, const dit *m, const adapter *a, const geom *g, const dit_io *io) {
  int rc = OK;
  size_t mark = arena_mark(&c->mem);
  dit_acts acts = {0};
  pass p = {c, m, a, g, io, &acts};
  TRY(mem_new(&c->err, m->cfg.layers, sizeof(block_acts), "block buffers", &acts.block));
  TRY(forward_all(&p, 0));
out:
  free(acts.block);
  arena_release(&c->mem, mark);
  return rc;
}
