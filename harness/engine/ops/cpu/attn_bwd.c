/* Flash attention, backward: probabilities are recomputed from the log-sum-exp, key block by key block.
 *
 * A task is one head of one family of groups, where groups that write the gradient of a common key row are of one
 * family; a task takes its groups in order. So no two threads add to one place, and every sum has one order. */
#include "ops/cpu/attn_parts.h"

#include <math.h>
#include <omp.h>

enum {
  KEYS = 320,      /* longest key block: three packed forms of it, two gradients and two tiles fill half of L2 */
  LDS = KEYS + 16, /* off a power of two */
  FAMILIES = 1024, /* more groups than this are one family */
};

typedef struct scratch {
  real *kt, *vt, *k, *dk, *dv, *s, *t, *q, *g, *dq, *bias, *lse2, *delta;
} scratch;

typedef struct task {
  const op_attn_bwd_args *x;
  const attn_group *g;
  attn_head h;
  int64_t head;
  int shared; /* the family has other groups: gradients of keys are added to what they left */
  real scale;
  scratch w;
} task;

typedef struct key_block {
  int64_t n, np;
  const real *bias;
  attn_piece piece[ATTN_SPANS], kept[ATTN_SPANS]; /* kept: rows >= kv_from */
  int pieces, n_kept, first;
} key_block;

typedef struct query_tile {
  int64_t at, m; /* position in the group's list, rows */
  int first;
} query_tile;

static scratch carve(real *p) {
  scratch w;
  w.kt = p, p += KEYS * ATTN_DIM;
  w.vt = p, p += KEYS * ATTN_DIM;
  w.k = p, p += KEYS * ATTN_DIM;
  w.dk = p, p += KEYS * ATTN_DIM;
  w.dv = p, p += KEYS * ATTN_DIM;
  w.s = p, p += ATTN_Q * LDS;
  w.t = p, p += ATTN_Q * LDS;
  w.q = p, p += ATTN_Q * ATTN_DIM;
  w.g = p, p += ATTN_Q * ATTN_DIM;
  w.dq = p, p += ATTN_Q * ATTN_DIM;
  w.bias = p, p += KEYS;
  w.lse2 = p, p += ATTN_Q;
  w.delta = p;
  return w;
}

/* The part of a span or piece from row `from` on. */
static int64_t kept_from(int64_t r0, int64_t r1, int64_t from) {
  return r0 > from ? r0 : attn_min(from, r1);
}

static key_block pack_keys(const task *t, int64_t from, int64_t n) {
  const attn_head *h = &t->h;
  key_block b = {.n = n, .np = attn_round(n, ATTN_PAD), .first = from == 0};
  b.pieces = attn_pieces(t->g->k, t->g->nk, from, n, b.piece);
  for (int i = 0; i < b.pieces; i++) {
    attn_piece p = b.piece[i];
    int64_t cut = kept_from(p.row, p.row + p.n, t->x->kv_from) - p.row;
    if (cut < p.n) b.kept[b.n_kept++] = (attn_piece){.row = p.row + cut, .at = p.at + cut, .n = p.n - cut};
  }
  /* k is only the way to the panels the first two times */
  attn_gather(h, t->x->v, b.piece, b.pieces, 1, t->w.k);
  attn_panels(h, t->w.k, b.n, b.np, t->w.vt);
  attn_gather(h, t->x->k, b.piece, b.pieces, attn_scale2(h->dim), t->w.k);
  attn_panels(h, t->w.k, b.n, b.np, t->w.kt);
  attn_gather(h, t->x->k, b.piece, b.pieces, 1, t->w.k);
  b.bias = attn_biases(b.piece, b.pieces, b.np, t->w.bias);
  return b;
}

/* Queries and upstream gradients of a tile, their log-sum-exp and delta. */
static int load_queries(const task *t, int64_t q, int64_t m, attn_piece p[ATTN_SPANS]) {
  int pieces = attn_pieces(t->g->q, t->g->nq, q, m, p);
  attn_gather(&t->h, t->x->q, p, pieces, 1, t->w.q);
  attn_gather(&t->h, t->x->d_o, p, pieces, 1, t->w.g);
  for (int i = 0; i < pieces; i++) {
    for (int64_t r = 0; r < p[i].n; r++) {
      t->w.lse2[p[i].at + r] = (real)((double)*attn_at(t->x->lse, t->head, p[i].row + r) * ATTN_LOG2E);
      t->w.delta[p[i].at + r] = *attn_at(t->x->delta, t->head, p[i].row + r);
    }
  }
  return pieces;
}

/* dst[keys n from `at`][pad] = (add ? dst : 0) + tile^T rows, the tile's columns being the keys. */
static void add_keys(const task *t, const attn_piece *p, query_tile q, const real *tile, const real *rows,
                     real *dst) {
  const mul_kernels *u = t->h.s->mul;
  u->block(&(mul_block){.m = p->n,
                        .n = t->h.pad,
                        .k = q.m,
                        .a = tile + p->at,
                        .a_panel = u->mr,
                        .a_row = 1,
                        .a_k = LDS,
                        .b = rows,
                        .b_panel = u->nr,
                        .b_k = t->h.pad,
                        .c = dst + p->at * t->h.pad,
                        .ldc = t->h.pad,
                        .alpha = 1,
                        .add = !q.first});
}

static void query_gradient(const task *t, const key_block *b, int64_t m, const attn_piece *p, int pieces) {
  const mul_kernels *u = t->h.s->mul;
  view dq = t->x->dq;
  u->block(&(mul_block){.m = m,
                        .n = t->h.pad,
                        .k = b->n,
                        .a = t->w.t,
                        .a_panel = u->mr * LDS,
                        .a_row = LDS,
                        .a_k = 1,
                        .b = t->w.k,
                        .b_panel = u->nr,
                        .b_k = t->h.pad,
                        .c = t->w.dq,
                        .ldc = t->h.pad,
                        .alpha = 1});
  for (int i = 0; i < pieces; i++) {
    t->h.s->attn->scatter(p[i].n, t->h.dim, t->h.pad, t->w.dq + p[i].at * t->h.pad, 1, !b->first,
                          attn_at(dq, p[i].row, t->h.col), dq.ld);
  }
}

/* One tile of queries against one block of keys. */
static void step(const task *t, const key_block *b, query_tile q) {
  const scratch *w = &t->w;
  attn_piece p[ATTN_SPANS];
  int pieces = load_queries(t, q.at, q.m, p);
  attn_scores(&t->h, q.m, b->np, w->q, w->kt, w->s, LDS);
  attn_scores(&t->h, q.m, b->np, w->g, w->vt, w->t, LDS);
  t->h.s->attn->softmax_grad(&(softmax_grad_tile){.m = q.m,
                                                  .nk = b->n,
                                                  .np = b->np,
                                                  .s = w->s,
                                                  .t = w->t,
                                                  .lds = LDS,
                                                  .bias = b->bias,
                                                  .lse2 = w->lse2,
                                                  .delta = w->delta,
                                                  .scale = t->scale});
  for (int i = 0; i < b->n_kept; i++) {
    add_keys(t, &b->kept[i], q, w->s, w->g, w->dv);
    add_keys(t, &b->kept[i], q, w->t, w->q, w->dk);
  }
  query_gradient(t, b, q.m, p, pieces);
}

static void fill_delta(const task *t) {
  const op_attn_bwd_args *x = t->x;
  for (int i = 0; i < t->g->nq; i++) {
    for (int64_t r = t->g->q[i].r0; r < t->g->q[i].r1; r++) {
      *attn_at(x->delta, t->head, r) =
          t->h.s->attn->dot(t->h.dim, attn_at(x->d_o, r, t->h.col), attn_at(x->o, r, t->h.col));
    }
  }
}

static void one_group(const task *t) {
  int64_t keys = attn_rows(t->g->k, t->g->nk), rows = attn_rows(t->g->q, t->g->nq), block = attn_block(keys, KEYS);
  const attn_kernels *u = t->h.s->attn;
  fill_delta(t);
  for (int64_t k = 0; k < keys; k += block) {
    key_block b = pack_keys(t, k, attn_min(block, keys - k));
    for (int64_t q = 0; q < rows; q += ATTN_Q) {
      step(t, &b, (query_tile){.at = q, .m = attn_min(ATTN_Q, rows - q), .first = q == 0});
    }
    for (int i = 0; i < b.n_kept; i++) {
      attn_piece p = b.kept[i];
      view dk = t->x->dk, dv = t->x->dv;
      u->scatter(p.n, t->h.dim, t->h.pad, t->w.dk + p.at * t->h.pad, 1, t->shared, attn_at(dk, p.row, t->h.col),
                 dk.ld);
      u->scatter(p.n, t->h.dim, t->h.pad, t->w.dv + p.at * t->h.pad, 1, t->shared, attn_at(dv, p.row, t->h.col),
                 dv.ld);
    }
  }
}

/* In a family of several groups: zero first and then add. */
static void zero_keys(const task *t) {
  for (int i = 0; i < t->g->nk; i++) {
    for (int64_t r = kept_from(t->g->k[i].r0, t->g->k[i].r1, t->x->kv_from); r < t->g->k[i].r1; r++) {
      real *dk = attn_at(t->x->dk, r, t->h.col), *dv = attn_at(t->x->dv, r, t->h.col);
      for (int64_t c = 0; c < t->h.dim; c++) dk[c] = dv[c] = 0;
    }
  }
}

static int share_keys(const attn_group *a, const attn_group *b, int64_t from) {
  for (int i = 0; i < a->nk; i++) {
    int64_t lo = kept_from(a->k[i].r0, a->k[i].r1, from);
    for (int j = 0; j < b->nk; j++) {
      if (lo < b->k[j].r1 && kept_from(b->k[j].r0, b->k[j].r1, from) < a->k[i].r1 && lo < a->k[i].r1) return 1;
    }
  }
  return 0;
}

/* family[g]: the first group of g's family. */
static void find_families(const op_attn_bwd_args *x, int *family) {
  for (int g = 0; g < x->n_groups; g++) {
    family[g] = g;
    for (int e = 0; e < g; e++) {
      int a = family[e], b = family[g];
      if (a == b || !share_keys(&x->groups[e], &x->groups[g], x->kv_from)) continue;
      for (int i = 0; i <= g; i++) {
        if (family[i] == a || family[i] == b) family[i] = a < b ? a : b;
      }
    }
  }
}

/* One head of family f; `family` NULL: all groups are one. */
static void one_family(task *t, const int *family, int f) {
  int members = 0;
  for (int g = f; g < t->x->n_groups; g++) members += !family || family[g] == f;
  t->shared = members > 1;
  for (int pass = t->shared ? 0 : 1; pass < 2; pass++) {
    for (int g = f; g < t->x->n_groups; g++) {
      if (family && family[g] != f) continue;
      t->g = &t->x->groups[g];
      if (pass == 0) zero_keys(t);
      if (pass == 1) one_group(t);
    }
  }
}

/* Tasks go round the threads in the order families, heads. */
static void walk(const cpu_state *s, const op_attn_bwd_args *x, const int *family, int thread, int threads) {
  int64_t heads = x->q.cols / x->dim, turn = 0;
  task t = {.x = x, .scale = (real)(1 / sqrt((double)x->dim)), .w = carve(cpu_work(s, thread))};
  for (int f = 0; f < x->n_groups; f++) {
    if (family ? family[f] != f : f > 0) continue;
    for (t.head = 0; t.head < heads; t.head++) {
      if (turn++ % threads != thread) continue;
      t.h = attn_head_of(s, x->dim, t.head);
      one_family(&t, family, f);
    }
  }
}

int cpu_attn_bwd(ctx *c, const op_attn_bwd_args *a) {
  const cpu_state *s = cpu_of(c);
  if (a->dim > ATTN_DIM) return err_set(&c->err, E_UNSUPPORTED, "head dim %d, at most %d", a->dim, ATTN_DIM);
  int family[FAMILIES], known = a->n_groups <= FAMILIES;
  if (known) find_families(a, family);
#pragma omp parallel num_threads(s->threads)
  walk(s, a, known ? family : NULL, omp_get_thread_num(), omp_get_num_threads());
  return OK;
}
