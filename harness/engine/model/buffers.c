/* Memory of one forward pass: what each block keeps, and what all blocks share. */
#include "model/acts.h"

typedef struct taker {
  ctx *c;
  int rc;
} taker;

static view take(taker *t, int64_t rows, int64_t cols, const char *what) {
  view v = {0};
  if (t->rc == OK) t->rc = ctx_view(t->c, rows, cols, what, &v);
  return v;
}

view acts_spare(const pass *p, int k) {
  view s = p->acts->spare;
  return view_rows(view_typed(s.type, s.p, 3 * s.rows, s.cols / 3), k * s.rows, s.rows);
}

static void take_attention(taker *t, const pass *p, block_acts *b) {
  b->o = take(t, p->g->rows, dit_width(&p->m->cfg), "attention output");
  if (t->rc == OK) t->rc = ctx_reals(t->c, p->m->cfg.heads, p->g->rows, "log-sum-exp", &b->lse);
}

/* What level 0 keeps of a block's first half, and all blocks above level 0 share. */
static void take_first_half(taker *t, const pass *p, block_acts *b) {
  const geom *g = p->g;
  int64_t r = g->rows, d = dit_width(&p->m->cfg);
  b->qkv = take(t, r, 3 * d, "q, k, v");
  /* Only the backward pass needs q and k from before the norm. */
  b->qk = p->acts->keep ? take(t, r, 2 * d, "normalised q, k") : view_cols(b->qkv, 0, 2 * d);
  take_attention(t, p, b);
  if (g->l.lora) {
    b->t_qkv = take(t, r, 3 * p->a->rank, "LoRA product");
    b->t_o = take(t, r, p->a->rank, "LoRA product");
  }
  if (!g->l.exchange) return;
  int64_t n = 2 * g->batch * g->n_video, rx = p->a->exchange_rank;
  b->ex = take(t, n, d, "exchange input");
  b->exq = take(t, n, rx, "exchange q");
  b->exk = take(t, n, rx, "exchange k");
  b->exv = take(t, n, rx, "exchange v");
  b->exo = take(t, n, rx, "exchange output");
  if (p->acts->keep) b->xa = take(t, r, d, "residual before exchange");
}

static void take_second_half(taker *t, const pass *p, block_acts *b, int64_t rows) {
  int64_t d = dit_width(&p->m->cfg);
  b->h2 = take(t, rows, d, "feed-forward input");
  b->act = take(t, rows, 4 * d, "feed-forward activation");
  b->y2 = take(t, rows, d, "feed-forward output");
}

/* What blocks that keep less than everything work in; transient buffers serve all. */
static void take_shared(taker *t, pass *p, block_acts *b, int top_level) {
  dit_acts *s = p->acts;
  int64_t r = p->g->rows, d = dit_width(&p->m->cfg);
  if (s->keep) {
    s->spare = take(t, r, 3 * d, "residual and gradients");
    b->h1 = acts_spare(p, 0);
    b->y1 = acts_spare(p, 1);
    b->xm = acts_spare(p, 2);
  } else {
    b->h1 = b->y1 = take(t, r, d, "attention input and projection");
  }
  if (!s->keep || top_level) take_first_half(t, p, b);
  take_second_half(t, p, b, s->piece);
  if (s->keep && top_level) b->pre = p->m->g ? take(t, s->piece, 4 * d, "feed-forward hidden") : b->act;
}

/* Level 0 keeps what the backward pass reads: of a frozen base no input of a product. */
static void take_kept(taker *t, const pass *p, block_acts *b) {
  int64_t r = p->g->rows, d = dit_width(&p->m->cfg);
  int full = p->m->g != NULL;
  take_first_half(t, p, b);
  if (full || p->g->l.lora) b->h1 = take(t, r, d, "attention input");
  b->xm = take(t, r, d, "residual after attention");
  b->pre = take(t, r, 4 * d, "feed-forward hidden");
  if (!full) return;
  b->y1 = take(t, r, d, "attention projection");
  take_second_half(t, p, b, r);
}

static void take_blocks(taker *t, pass *p) {
  dit_acts *s = p->acts;
  block_acts shared = {0};
  int64_t r = p->g->rows, d = dit_width(&p->m->cfg), e = p->g->n_time;
  int layers = p->m->cfg.layers, top = 0;
  for (int i = 0; i < layers; i++) {
    s->block[i].level = s->keep && p->io->level ? p->io->level[i] : 0;
    if (s->block[i].level > top) top = s->block[i].level;
  }
  take_shared(t, p, &shared, top);
  size_t before = t->c->mem.used;
  for (int i = 0; i < layers; i++) {
    block_acts *b = &s->block[i];
    int level = b->level;
    *b = shared;
    b->level = level;
    b->mod1 = take(t, e, 6 * d, "modulation");
    b->mod2 = take(t, e, 6 * d, "modulation");
    b->x = i && !s->keep ? s->block[0].x : take(t, r, d, "residual");
    if (!s->keep)
      b->xm = b->x;
    else if (!level)
      take_kept(t, p, b);
    else if (level == 1)
      take_attention(t, p, b);
    if (!s->keep || !p->g->l.exchange) b->xa = b->xm;
  }
  s->x = s->keep ? take(t, r, d, "residual") : s->block[0].x;
  if (p->io->kept) *p->io->kept = t->c->mem.used - before;
}

/* The head works where the blocks' first two matrices were, which nothing reads until a block runs again. */
static void place_head(pass *p) {
  dit_acts *s = p->acts;
  for (int i = 0; i < p->g->l.n_seg; i++) {
    if (!segment_predicted(&p->g->l, &p->g->l.seg[i])) continue;
    s->n1[i] = segment_rows(p->g, s->keep ? acts_spare(p, 0) : s->block[0].h1, i);
    s->n2[i] = s->keep ? segment_rows(p->g, acts_spare(p, 1), i) : s->n1[i];
  }
}

int acts_take(pass *p, int keep) {
  dit_acts *s = p->acts;
  const geom *g = p->g;
  const dit_config *f = &p->m->cfg;
  taker t = {p->c, OK};
  int64_t d = dit_width(f), e = g->n_time, video = g->batch * g->n_video;
  int64_t pp = (int64_t)f->patch_t * f->patch * f->patch, pieces = p->m->g || p->io->pieces < 1 ? 1 : p->io->pieces;
  s->keep = keep;
  s->piece = (g->rows + pieces - 1) / pieces;
  s->sinus = take(&t, e, d, "time sinusoid");
  s->e1 = take(&t, e, f->time_dim, "time embedding");
  s->es1 = take(&t, e, f->time_dim, "time embedding");
  s->emb = take(&t, e, f->time_dim, "time embedding");
  s->semb = take(&t, e, f->time_dim, "time embedding");
  if (f->ofs_dim) {
    s->osinus = take(&t, e, f->ofs_dim, "ofs sinusoid");
    s->o1 = take(&t, e, f->ofs_dim, "ofs embedding");
    s->os1 = take(&t, e, f->ofs_dim, "ofs embedding");
  }
  for (int i = 0; i < g->l.n_seg; i++) {
    if (g->l.seg[i].kind != SEG_VIDEO) continue;
    s->patch[i] = take(&t, video, f->in_channels * pp, "patches");
    if (!segment_predicted(&g->l, &g->l.seg[i])) continue;
    s->rows[i] = take(&t, video, f->out_channels * pp, "output patches");
  }
  if (g->l.widened) {
    s->patch_alpha = take(&t, video, f->in_channels * pp, "alpha patches");
    s->rows_alpha = take(&t, video, f->out_channels * pp, "alpha output patches");
  }
  s->mod = take(&t, e, 2 * d, "output modulation");
  take_blocks(&t, p);
  place_head(p);
  return t.rc;
}
