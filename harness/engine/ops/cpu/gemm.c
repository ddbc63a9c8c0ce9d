/* GEMM: blocks of k (their size depends on K alone), the right operand packed into shared scratch by all threads, the
 * left one packed per thread or read where it lies, rows or columns of C split over the threads. */
#include "ops/cpu/internal.h"

#include <omp.h>

enum {
  KC = 512,                 /* longest block of k: a packed panel of B and a tile of A share the first cache */
  A_REALS = 240 * KC,       /* rows of A used again for each panel of B: half of a 1 MiB second cache in float */
  B_REALS = CPU_SHARED / 2, /* two buffers: one is packed while a slow thread still reads the other */
  PAGE = 4096,              /* rows this far apart (or a multiple) meet in the same cache sets */
  WIDE = 512,               /* from this many columns of C moving such rows of A together pays */
  ROW_PAD = 16,             /* and this keeps them out of each other's way */
  GROUP = 8,                /* panels of A packed in one go */
  FAR_AWAY = 1 << 20,    /* a transposed A of more reals is packed however few columns C has: it is read once then */
  SERIAL_WORK = 1 << 18, /* below so many multiply-adds, waking threads costs more than they save */
};

typedef struct gemm {
  const cpu_state *s;
  const op_gemm_args *x;
  const real *a, *b;
  int64_t m, n, k, kc, nc;    /* kc: block of k, nc: columns of B packed at once */
  int64_t a_i, a_k, b_k, b_j; /* strides of op(a), op(b) */
  int pack_a, pack_b;
} gemm;

/* What one thread does: rows [i0, i1), and of every block of columns the panels [part/parts). */
typedef struct share {
  int64_t i0, i1;
  int part, parts;
} share;

/* A block of columns and of k. */
typedef struct piece {
  int64_t j0, n, k0, kc;
} piece;

static int64_t round_up(int64_t x, int64_t to) {
  return (x + to - 1) / to * to;
}
static int64_t div_up(int64_t x, int64_t by) {
  return (x + by - 1) / by;
}
static int64_t min64(int64_t a, int64_t b) {
  return a < b ? a : b;
}

static gemm plan(const cpu_state *s, const op_gemm_args *x) {
  const mul_kernels *u = s->mul;
  gemm g = {.s = s, .x = x, .a = x->a.p, .b = x->b.p, .m = x->c.rows, .n = x->c.cols};
  g.k = x->ta ? x->a.rows : x->a.cols;
  g.a_i = x->ta ? 1 : x->a.ld;
  g.a_k = x->ta ? x->a.ld : 1;
  g.b_k = x->tb ? 1 : x->b.ld;
  g.b_j = x->tb ? x->b.ld : 1;
  g.kc = min64(round_up(div_up(g.k, div_up(g.k, KC)), 4), KC);
  g.nc = min64(B_REALS / g.kc / u->nr * u->nr, round_up(g.n, u->nr));
  g.pack_a =
      x->ta ? g.n > 2 * u->nr || g.k * g.a_k >= FAR_AWAY : g.n >= WIDE && g.a_i * (int64_t)sizeof(real) % PAGE == 0;
  g.pack_b = x->tb || g.n % u->vw || g.m > 2 * u->mr;
  if (!g.pack_b) g.nc = g.n;
  return g;
}

/* Splits T threads into rows x columns so that the largest share is smallest. */
static share divide(const gemm *g, int thread, int threads) {
  const mul_kernels *u = g->s->mul;
  int64_t rows = div_up(g->m, u->mr), cols = div_up(g->n, u->nr), best = INT64_MAX;
  int by = threads;
  for (int r = threads; r >= 1; r--) {
    int64_t load = div_up(rows, r) * div_up(cols, threads / r);
    if (threads % r == 0 && load < best) best = load, by = r;
  }
  int row = thread % by;
  return (share){.i0 = min64(rows * row / by * u->mr, g->m),
                 .i1 = min64(rows * (row + 1) / by * u->mr, g->m),
                 .part = thread / by,
                 .parts = threads / by};
}

/* Columns j0 .. j0+n and k0 .. k0+kc of op(b), panel by panel, shared out over the team. */
static void pack_right(const gemm *g, const piece *w, real *dst) {
  const mul_kernels *u = g->s->mul;
  int64_t threads = omp_get_num_threads();
  for (int64_t p = omp_get_thread_num(); p * u->nr < w->n; p += threads) {
    const real *src = g->b + (w->j0 + p * u->nr) * g->b_j + w->k0 * g->b_k;
    (g->x->tb ? u->pack_t : u->pack_n)(u->nr, min64(u->nr, w->n - p * u->nr), w->kc, src, g->x->b.ld,
                                       dst + p * u->nr * w->kc);
  }
}

/* Rows i0 .. i0+m of op(a): as panels when a is stored [k][m], else row by row, only moved together. */
static void pack_left(const gemm *g, const piece *w, int64_t i0, int64_t m, real *dst) {
  const mul_kernels *u = g->s->mul;
  if (!g->x->ta) {
    g->s->attn->gather(m, w->kc, w->kc + ROW_PAD, g->a + i0 * g->a_i + w->k0, g->a_i, 1, dst);
    return;
  }
  for (int64_t i = 0; i < m; i += GROUP * u->mr) {
    const real *src = g->a + (i0 + i) * g->a_i + w->k0 * g->a_k;
    u->pack_n(u->mr, min64(GROUP * u->mr, m - i), w->kc, src, g->x->a.ld, dst + i * w->kc);
  }
}

/* Rows i0 .. i0+b->m, one panel of columns from j: product, and after the last k what the caller wants done to it. */
static void strip(const gemm *g, const piece *w, int64_t i0, int64_t j, mul_block *b) {
  const op_gemm_args *x = g->x;
  b->c = (real *)x->c.p + i0 * x->c.ld + j;
  if (w->k0 == 0 && x->beta != 0 && x->beta != 1) g->s->epi->scale(b->m, b->n, (real)x->beta, b->c, b->ldc);
  b->add = w->k0 > 0 || x->beta != 0;
  g->s->mul->block(b);
  if (w->k0 + w->kc < g->k || (!x->bias.p && !x->pre.p && x->act == ACT_NONE)) return;
  g->s->epi->finish(&(epi_tile){.m = b->m,
                                .n = b->n,
                                .c = b->c,
                                .ldc = b->ldc,
                                .bias = x->bias.p ? (const real *)x->bias.p + j : NULL,
                                .act = x->act,
                                .pre = x->pre.p ? (real *)x->pre.p + i0 * x->pre.ld + j : NULL,
                                .ldpre = x->pre.ld});
}

static void multiply(const gemm *g, const share *t, const piece *w, const real *right) {
  const mul_kernels *u = g->s->mul;
  real *left = cpu_work(g->s, omp_get_thread_num());
  int64_t panels = div_up(w->n, u->nr), rows = A_REALS / (w->kc + ROW_PAD) / u->mr * u->mr;
  mul_block b = {.k = w->kc, .alpha = (real)g->x->alpha, .ldc = g->x->c.ld};
  b.a_row = !g->pack_a ? g->a_i : g->x->ta ? 1 : w->kc + ROW_PAD;
  b.a_k = !g->pack_a ? g->a_k : g->x->ta ? u->mr : 1;
  b.a_panel = u->mr * (g->pack_a && g->x->ta ? w->kc : b.a_row);
  b.b_k = g->pack_b ? u->nr : g->b_k;
  for (int64_t i = t->i0; i < t->i1; i += rows) {
    b.m = min64(rows, t->i1 - i);
    b.a = g->pack_a ? left : g->a + i * g->a_i + w->k0 * g->a_k;
    if (g->pack_a) pack_left(g, w, i, b.m, left);
    for (int64_t p = panels * t->part / t->parts; p < panels * (t->part + 1) / t->parts; p++) {
      b.n = min64(u->nr, w->n - p * u->nr);
      b.b = g->pack_b ? right + p * u->nr * w->kc : g->b + w->j0 + p * u->nr + w->k0 * g->b_k;
      strip(g, w, i, w->j0 + p * u->nr, &b);
    }
  }
}

/* Every thread walks the same pieces; a barrier after packing is enough, since the next piece is packed elsewhere. */
static void walk(const gemm *g) {
  share t = divide(g, omp_get_thread_num(), omp_get_num_threads());
  int turn = 0;
  for (int64_t j = 0; j < g->n; j += g->nc) {
    for (int64_t k = 0; k < g->k; k += g->kc) {
      piece w = {.j0 = j, .n = min64(g->nc, g->n - j), .k0 = k, .kc = min64(g->kc, g->k - k)};
      real *right = cpu_shared(g->s) + turn * B_REALS;
      if (g->pack_b) {
        pack_right(g, &w, right);
#pragma omp barrier
      }
      multiply(g, &t, &w, right);
      turn = !turn;
    }
  }
}

int cpu_gemm(ctx *c, const op_gemm_args *a) {
  gemm g = plan(cpu_of(c), a);
  double work = (double)g.m * (double)g.n * (double)g.k;
  int threads = work < SERIAL_WORK ? 1 : g.s->threads;
#pragma omp parallel num_threads(threads)
  walk(&g);
  return OK;
}
