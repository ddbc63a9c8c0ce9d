/* Flash attention, forward. One task is a stretch of a group's queries and one head; keys and values of the group's
 * list are packed block by block, so spans that lie far apart cost nothing and no scratch grows with the sequence. */
#include "ops/cpu/attn_parts.h"

#include <math.h>
#include <omp.h>

enum {
  KEYS = 512,      /* longest key block */
  STRETCH = 768,   /* queries sharing the packed keys of a block */
  LDS = KEYS + 16, /* off a power of two: the rows of a tile must not share cache sets */
};

typedef struct scratch {
  real *kt, *v, *scores, *q, *o, *bias, *max, *sum, *rescale;
} scratch;

typedef struct task {
  const op_attn_args *x;
  const attn_group *g;
  attn_head h;
  int64_t head, q0, q1;
  scratch w;
} task;

/* A block of the group's key list, packed. */
typedef struct key_block {
  int64_t n, np;
  const real *bias;
  int first, last;
} key_block;

static scratch carve(real *p) {
  scratch w;
  w.kt = p, p += KEYS * ATTN_DIM;
  w.v = p, p += KEYS * ATTN_DIM;
  w.scores = p, p += ATTN_Q * LDS;
  w.q = p, p += ATTN_Q * ATTN_DIM;
  w.o = p, p += STRETCH * ATTN_DIM;
  w.bias = p, p += KEYS;
  w.max = p, p += STRETCH;
  w.sum = p, p += STRETCH;
  w.rescale = p;
  return w;
}

static key_block pack_keys(const task *t, int64_t from, int64_t n, int64_t total) {
  const attn_head *h = &t->h;
  attn_piece p[ATTN_SPANS];
  int pieces = attn_pieces(t->g->k, t->g->nk, from, n, p);
  key_block b = {.n = n, .np = attn_round(n, ATTN_PAD), .first = from == 0, .last = from + n == total};
  attn_gather(h, t->x->k, p, pieces, attn_scale2(h->dim), t->w.v); /* v is only the way to the panels here */
  attn_panels(h, t->w.v, b.n, b.np, t->w.kt);
  attn_gather(h, t->x->v, p, pieces, 1, t->w.v);
  b.bias = attn_biases(p, pieces, b.np, t->w.bias);
  return b;
}

/* o and lse of the queries at positions q .. q+m. */
static void write_rows(const task *t, int64_t q, const attn_piece *p, int pieces) {
  const op_attn_args *x = t->x;
  const real *o = t->w.o + (q - t->q0) * t->h.pad, *max = t->w.max + (q - t->q0), *sum = t->w.sum + (q - t->q0);
  for (int i = 0; i < pieces; i++) {
    for (int64_t r = 0; r < p[i].n; r++) {
      int64_t at = p[i].at + r, row = p[i].row + r;
      t->h.s->attn->scatter(1, t->h.dim, t->h.pad, o + at * t->h.pad, 1 / sum[at], 0, attn_at(x->o, row, t->h.col),
                            x->o.ld);
      *attn_at(x->lse, t->head, row) = (real)((double)max[at] / ATTN_LOG2E + log((double)sum[at]));
    }
  }
}

/* One tile of queries against one block of keys. */
static void step(const task *t, const key_block *b, int64_t q, int64_t m) {
  const attn_head *h = &t->h;
  const mul_kernels *u = h->s->mul;
  const scratch *w = &t->w;
  attn_piece p[ATTN_SPANS];
  int pieces = attn_pieces(t->g->q, t->g->nq, q, m, p);
  attn_gather(h, t->x->q, p, pieces, 1, w->q);
  attn_scores(h, m, b->np, w->q, w->kt, w->scores, LDS);
  h->s->attn->softmax(&(softmax_tile){.m = m,
                                      .nk = b->n,
                                      .np = b->np,
                                      .s = w->scores,
                                      .lds = LDS,
                                      .bias = b->bias,
                                      .max = w->max + (q - t->q0),
                                      .sum = w->sum + (q - t->q0),
                                      .rescale = w->rescale,
                                      .first = b->first});
  u->block(&(mul_block){.m = m,
                        .n = h->pad,
                        .k = b->n,
                        .a = w->scores,
                        .a_panel = u->mr * LDS,
                        .a_row = LDS,
                        .a_k = 1,
                        .b = w->v,
                        .b_panel = u->nr,
                        .b_k = h->pad,
                        .c = w->o + (q - t->q0) * h->pad,
                        .ldc = h->pad,
                        .alpha = 1,
                        .row_scale = b->first ? NULL : w->rescale});
  if (b->last) write_rows(t, q, p, pieces);
}

static void attend(const task *t) {
  int64_t keys = attn_rows(t->g->k, t->g->nk), block = attn_block(keys, KEYS);
  for (int64_t k = 0; k < keys; k += block) {
    key_block b = pack_keys(t, k, attn_min(block, keys - k), keys);
    for (int64_t q = t->q0; q < t->q1; q += ATTN_Q) step(t, &b, q, attn_min(ATTN_Q, t->q1 - q));
  }
}

/* Tasks go round the threads in the order groups, heads, stretches. */
static void walk(const cpu_state *s, const op_attn_args *x, int thread, int threads) {
  int64_t heads = x->q.cols / x->dim, turn = 0;
  task t = {.x = x, .w = carve(cpu_work(s, thread))};
  for (int g = 0; g < x->n_groups; g++) {
    t.g = &x->groups[g];
    int64_t rows = attn_rows(t.g->q, t.g->nq);
    for (t.head = 0; t.head < heads; t.head++) {
      t.h = attn_head_of(s, x->dim, t.head);
      for (t.q0 = 0; t.q0 < rows; t.q0 += STRETCH) {
        t.q1 = attn_min(t.q0 + STRETCH, rows);
        if (turn++ % threads == thread) attend(&t);
      }
    }
  }
}

int cpu_attn(ctx *c, const op_attn_args *a) {
  const cpu_state *s = cpu_of(c);
  if (a->dim > ATTN_DIM) return err_set(&c->err, E_UNSUPPORTED, "head dim %d, at most %d", a->dim, ATTN_DIM);
#pragma omp parallel num_threads(s->threads)
  walk(s, a, omp_get_thread_num(), omp_get_num_threads());
  return OK;
}
