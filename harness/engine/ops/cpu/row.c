/* Every operation of the cpu backend that walks rows.
 *
 * Rows are split over threads in static schedules. Where gradients of a table or a vector are summed over rows, rows
 * are cut into blocks of at most BLOCK_ROWS rows with one map entry; each block has its own partial sums, and these
 * are added to the gradient block after block. The cuts depend on the map alone, so the bits do not depend on the
 * number of threads, and the data is read once. */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "ops/cpu/row.h"

#define BLOCK_ROWS 32
#define BLOCKS 128 /* in flight between two rounds of adding up */
/* Below so many elements a second thread costs more than it brings. */
#define SERIAL 16384
/* Columns one thread takes at a time from a long row. */
#define PIECE 4096

static real *row_of(view v, int64_t r) {
  return v.p ? (real *)v.p + r * v.ld : NULL;
}

/* The table's row for row r; NULL when the table is absent or the row has none. */
static const real *table_row(view table, const int32_t *map, int64_t r) {
  int64_t m = map ? map[r] : 0;
  return m < 0 ? NULL : row_of(table, m);
}

static int map_check(ctx *c, const int32_t *map, int64_t rows, view table) {
  if (!table.p) return OK;
  if (!map && table.rows < 1) return err_set(&c->err, E_SHAPE, "the table has no rows");
  for (int64_t r = 0; map && r < rows; r++)
    if (map[r] >= table.rows)
      return err_set(&c->err, E_ARG, "map[%lld] is %d, the table has %lld rows", (long long)r, (int)map[r],
                     (long long)table.rows);
  return OK;
}

/* `need` reals from scratch of `have`. */
static int width_check(ctx *c, int64_t cols, int64_t need, int64_t have) {
  if (need <= have) return OK;
  return err_set(&c->err, E_UNSUPPORTED, "%lld columns are more than the cpu backend's scratch holds",
                 (long long)cols);
}

/* --- pieces: elementwise work over matrices that may be one long row ------------------------------------------- */

typedef struct pieces {
  int64_t cols, per_row, count;
  int joined; /* all operands are contiguous: one row of rows * cols */
} pieces;

static pieces cut(int64_t rows, int64_t cols, int contiguous) {
  pieces p = {.cols = contiguous ? rows * cols : cols, .joined = contiguous};
  p.per_row = (p.cols + PIECE - 1) / PIECE;
  p.count = p.per_row * (contiguous ? 1 : rows);
  return p;
}

static int64_t piece_cols(const pieces *p, int64_t i) {
  int64_t left = p->cols - i % p->per_row * PIECE;
  return left < PIECE ? left : PIECE;
}

static real *piece_of(const pieces *p, view v, int64_t i) {
  return v.p ? (real *)v.p + i / p->per_row * v.ld + i % p->per_row * PIECE : NULL;
}

static int contiguous(view v) {
  return !v.p || v.ld == v.cols || v.rows == 1;
}

int cpu_copy(ctx *c, view dst, view src) {
  const pieces p = cut(dst.rows, dst.cols, contiguous(dst) && contiguous(src));
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (dst.rows * dst.cols > SERIAL)
  for (int64_t i = 0; i < p.count; i++)
    memcpy(piece_of(&p, dst, i), piece_of(&p, src, i), (size_t)piece_cols(&p, i) * sizeof(real));
  return OK;
}

int cpu_fill(ctx *c, view dst, double v) {
  const pieces p = cut(dst.rows, dst.cols, contiguous(dst));
  const real value = (real)v;
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (dst.rows * dst.cols > SERIAL)
  for (int64_t i = 0; i < p.count; i++) {
    real *to = piece_of(&p, dst, i);
    for (int64_t j = 0, n = piece_cols(&p, i); j < n; j++) to[j] = value;
  }
  return OK;
}

int cpu_lincomb(ctx *c, const op_lincomb_args *a) {
  const row_kernels *k = cpu_of(c)->row;
  int joined = contiguous(a->y);
  real coef[4] = {0};
  for (int t = 0; t < a->n; t++) {
    coef[t] = (real)a->c[t];
    joined = joined && contiguous(a->x[t]);
  }
  const pieces p = cut(a->y.rows, a->y.cols, joined);
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (a->y.rows * a->y.cols > SERIAL)
  for (int64_t i = 0; i < p.count; i++) {
    const real *x[4] = {0};
    for (int t = 0; t < a->n; t++) x[t] = piece_of(&p, a->x[t], i);
    k->lincomb(piece_cols(&p, i), a->n, x, coef, piece_of(&p, a->y, i));
  }
  return OK;
}

int cpu_act(ctx *c, const op_act_args *a) {
  const row_kernels *k = cpu_of(c)->row;
  const pieces p = cut(a->x.rows, a->x.cols, contiguous(a->x) && contiguous(a->y));
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (a->x.rows * a->x.cols > SERIAL)
  for (int64_t i = 0; i < p.count; i++)
    k->act(piece_cols(&p, i), a->act, piece_of(&p, a->x, i), piece_of(&p, a->y, i));
  return OK;
}

int cpu_act_bwd(ctx *c, const op_act_bwd_args *a) {
  const row_kernels *k = cpu_of(c)->row;
  const pieces p = cut(a->x.rows, a->x.cols, contiguous(a->x) && contiguous(a->dy) && contiguous(a->dx));
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (a->x.rows * a->x.cols > SERIAL)
  for (int64_t i = 0; i < p.count; i++)
    k->act_grad(piece_cols(&p, i), a->act, piece_of(&p, a->x, i), piece_of(&p, a->dy, i), piece_of(&p, a->dx, i));
  return OK;
}

/* Sums in double run in SUMS partial sums over consecutive pieces, added up in order. */
#define SUMS 64
static double add_up(const double s[SUMS]) {
  double sum = 0;
  for (int b = 0; b < SUMS; b++) sum += s[b];
  return sum;
}

int cpu_mse(ctx *c, const op_mse_args *a) {
  const row_kernels *k = cpu_of(c)->row;
  const pieces p =
      cut(a->pred.rows, a->pred.cols, contiguous(a->pred) && contiguous(a->target) && contiguous(a->dpred));
  const real slope = (real)(2 * a->weight);
  double s[SUMS] = {0};
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (a->pred.rows * a->pred.cols > SERIAL)
  for (int b = 0; b < SUMS; b++)
    for (int64_t i = p.count * b / SUMS; i < p.count * (b + 1) / SUMS; i++)
      s[b] += k->mse(piece_cols(&p, i), piece_of(&p, a->pred, i), piece_of(&p, a->target, i), slope,
                     piece_of(&p, a->dpred, i));
  *a->loss += a->weight * add_up(s);
  return OK;
}

int cpu_sumsq(ctx *c, double *out, const real *x, int64_t n) {
  const row_kernels *k = cpu_of(c)->row;
  const pieces p = cut(1, n, 1);
  double s[SUMS] = {0};
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (n > SERIAL)
  for (int b = 0; b < SUMS; b++)
    for (int64_t i = p.count * b / SUMS; i < p.count * (b + 1) / SUMS; i++)
      s[b] += k->sumsq(piece_cols(&p, i), x + i * PIECE);
  *out += add_up(s);
  return OK;
}

/* b^n by squaring: libm's pow differs between versions. */
static double power(double b, int64_t n) {
  double y = 1;
  for (; n > 0; n /= 2, b *= b)
    if (n % 2) y *= b;
  return y;
}

int cpu_adamw(ctx *c, const op_adamw_args *a) {
  const row_kernels *k = cpu_of(c)->row;
  const pieces p = cut(1, a->n, 1);
  const row_adamw all = {.scale = a->scale ? (real)*a->scale : R(1.0),
                         .beta1 = (real)a->beta1,
                         .rest1 = (real)(1 - a->beta1),
                         .beta2 = (real)a->beta2,
                         .rest2 = (real)(1 - a->beta2),
                         .keep = (real)(1 - a->lr * a->decay),
                         .rate = (real)(a->lr / (1 - power(a->beta1, a->step))),
                         .v_scale = (real)(1 / (1 - power(a->beta2, a->step))),
                         .eps = (real)a->eps};
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (a->n > SERIAL)
  for (int64_t i = 0; i < p.count; i++) {
    row_adamw part = all;
    part.n = piece_cols(&p, i);
    part.w = a->w + i * PIECE;
    part.m = a->m + i * PIECE;
    part.v = a->v + i * PIECE;
    part.g = a->g + i * PIECE;
    k->adamw(&part);
  }
  return OK;
}

/* --- blocks: sums over rows ------------------------------------------------------------------------------------ */

typedef struct row_block {
  int64_t r0, r1;
  int32_t m; /* map entry of all its rows */
} row_block;

typedef struct row_blocks {
  row_block b[BLOCKS];
  int count, limit;
  int64_t width; /* reals of partial sums a block has */
} row_blocks;

/* Shared scratch holds the partial sums of all blocks in flight. */
static int blocks_open(ctx *c, row_blocks *k, int64_t cols, int64_t width) {
  int64_t fit = CPU_SHARED / width;
  *k = (row_blocks){.limit = fit < BLOCKS ? (int)fit : BLOCKS, .width = width};
  return width_check(c, cols, width, CPU_SHARED);
}

/* The blocks from row `from` on, as many as fit; returns the row behind them. */
static int64_t blocks_next(row_blocks *k, const int32_t *map, int64_t from, int64_t rows) {
  for (k->count = 0; from < rows && k->count < k->limit; k->count++) {
    int64_t end = from + 1;
    while (end < rows && end - from < BLOCK_ROWS && (!map || map[end] == map[from])) end++;
    k->b[k->count] = (row_block){.r0 = from, .r1 = end, .m = map ? map[from] : 0};
    from = end;
  }
  return from;
}

static real *partial(ctx *c, const row_blocks *k, int i) {
  return cpu_shared(cpu_of(c)) + i * k->width;
}

/* sum[b[i].m] += partial sums of block i, blocks in order. */
static void blocks_add(ctx *c, const row_blocks *k, view sum) {
  const row_kernels *kernel = cpu_of(c)->row;
  const int64_t stripes = (sum.cols + 63) / 64;
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (k->count * sum.cols > SERIAL)
  for (int64_t s = 0; s < stripes; s++) {
    const int64_t j = s * 64, n = sum.cols - j < 64 ? sum.cols - j : 64;
    for (int i = 0; i < k->count; i++)
      if (k->b[i].m >= 0) kernel->add(n, partial(c, k, i) + j, row_of(sum, k->b[i].m) + j);
  }
}

/* sum[map[r]] += x[r] * y[r], or x[r] when y is absent. */
static int rows_sum(ctx *c, view x, view y, const int32_t *map, view sum) {
  const row_kernels *kernel = cpu_of(c)->row;
  row_blocks k;
  int rc = OK;
  TRY(map_check(c, map, x.rows, sum));
  TRY(blocks_open(c, &k, x.cols, x.cols));
  for (int64_t at = 0; at < x.rows;) {
    at = blocks_next(&k, map, at, x.rows);
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (x.rows * x.cols > SERIAL)
    for (int i = 0; i < k.count; i++) {
      real *to = partial(c, &k, i);
      memset(to, 0, (size_t)x.cols * sizeof(real));
      for (int64_t r = k.b[i].r0; k.b[i].m >= 0 && r < k.b[i].r1; r++) {
        if (y.p)
          kernel->mul_add(x.cols, row_of(x, r), row_of(y, r), to);
        else
          kernel->add(x.cols, row_of(x, r), to);
      }
    }
    blocks_add(c, &k, sum);
  }
out:
  return rc;
}

int cpu_colsum(ctx *c, view dbias, view dy) {
  return rows_sum(c, dy, (view){0}, NULL, dbias);
}

int cpu_add_rows_bwd(ctx *c, const op_add_rows_bwd_args *a) {
  return rows_sum(c, a->dx, (view){0}, a->map, a->dtable);
}

int cpu_add_rows(ctx *c, const op_add_rows_args *a) {
  const row_kernels *k = cpu_of(c)->row;
  int rc = map_check(c, a->map, a->x.rows, a->table);
  if (rc != OK) return rc;
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (a->x.rows * a->x.cols > SERIAL)
  for (int64_t r = 0; r < a->x.rows; r++) {
    const real *t = table_row(a->table, a->map, r);
    if (t) k->add(a->x.cols, t, row_of(a->x, r));
  }
  return OK;
}

int cpu_gate_add(ctx *c, const op_gate_add_args *a) {
  const row_kernels *k = cpu_of(c)->row;
  int rc = map_check(c, a->map, a->x.rows, a->gate);
  if (rc != OK) return rc;
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (a->x.rows * a->x.cols > SERIAL)
  for (int64_t r = 0; r < a->x.rows; r++) {
    const real *g = table_row(a->gate, a->map, r);
    if (g) k->mul_add(a->x.cols, g, row_of(a->y, r), row_of(a->x, r));
  }
  return OK;
}

int cpu_gate_add_bwd(ctx *c, const op_gate_add_bwd_args *a) {
  const row_kernels *k = cpu_of(c)->row;
  int rc = map_check(c, a->map, a->dx.rows, a->gate);
  if (rc != OK) return rc;
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (a->dx.rows * a->dx.cols > SERIAL)
  for (int64_t r = 0; r < a->dx.rows; r++) {
    const real *g = table_row(a->gate, a->map, r);
    if (g)
      k->mul(a->dx.cols, g, row_of(a->dx, r), row_of(a->dy, r));
    else
      memset(row_of(a->dy, r), 0, (size_t)a->dy.cols * sizeof(real));
  }
  return a->dgate.p ? rows_sum(c, a->dx, a->y, a->map, a->dgate) : OK;
}

/* --- norms ----------------------------------------------------------------------------------------------------- */

/* A thread's folded factors (row_fold), made again when the map entry changes. */
typedef struct folded {
  row_fold f;
  int32_t m;
  int fresh;
} folded;

static folded fold_begin(ctx *c, view w, view b, int64_t cols) {
  real *work = cpu_work(cpu_of(c), omp_get_thread_num());
  return (folded){.f = {.n = cols, .w = w.p, .b = b.p, .a = work, .c = work + cols}, .fresh = 1};
}

static void fold_to(const row_kernels *k, folded *f, int32_t m, view scale, view shift) {
  if (!f->fresh && f->m == m) return;
  f->m = m;
  f->fresh = 0;
  f->f.scale = m < 0 ? NULL : row_of(scale, m);
  f->f.shift = m < 0 ? NULL : row_of(shift, m);
  k->fold(&f->f);
}

int cpu_ln_mod(ctx *c, const op_ln_mod_args *a) {
  const row_kernels *k = cpu_of(c)->row;
  const int32_t *map = a->shift.p || a->scale.p ? a->map : NULL;
  row_blocks b;
  int rc = OK;
  TRY(width_check(c, a->x.cols, 2 * a->x.cols, CPU_WORK));
  TRY(map_check(c, map, a->x.rows, a->shift.p ? a->shift : a->scale));
  TRY(blocks_open(c, &b, a->x.cols, 1)); /* no partial sums */
  for (int64_t at = 0; at < a->x.rows;) {
    at = blocks_next(&b, map, at, a->x.rows);
#pragma omp parallel num_threads(cpu_of(c)->threads) if (a->x.rows * a->x.cols > SERIAL)
    {
      folded f = fold_begin(c, a->w, a->b, a->x.cols);
#pragma omp for schedule(static)
      for (int i = 0; i < b.count; i++) {
        fold_to(k, &f, map ? b.b[i].m : -1, a->scale, a->shift);
        k->norm(&(row_norm){.rows = b.b[i].r1 - b.b[i].r0,
                            .n = a->x.cols,
                            .eps = (real)a->eps,
                            .x = row_of(a->x, b.b[i].r0),
                            .a = f.f.a,
                            .c = f.f.c,
                            .ldx = a->x.ld,
                            .y = row_of(a->y, b.b[i].r0),
                            .ldy = a->y.ld});
      }
    }
  }
out:
  return rc;
}

/* The blocks' rows: dx, and in each block's partial sums those of dy and of dy * xhat (when wanted). */
static void ln_blocks(ctx *c, const op_ln_mod_bwd_args *a, const row_blocks *b, int sums) {
  const row_kernels *k = cpu_of(c)->row;
  const int64_t cols = a->x.cols;
#pragma omp parallel num_threads(cpu_of(c)->threads) if (a->x.rows * cols > SERIAL)
  {
    folded f = fold_begin(c, a->w, (view){0}, cols);
    f.f.c = NULL;
#pragma omp for schedule(static)
    for (int i = 0; i < b->count; i++) {
      real *sum = sums ? partial(c, b, i) : NULL;
      if (sum) memset(sum, 0, 2 * (size_t)cols * sizeof(real));
      fold_to(k, &f, b->b[i].m, a->scale, (view){0});
      k->norm_grad(&(row_norm_grad){.rows = b->b[i].r1 - b->b[i].r0,
                                    .n = cols,
                                    .eps = (real)a->eps,
                                    .x = row_of(a->x, b->b[i].r0),
                                    .dy = row_of(a->dy, b->b[i].r0),
                                    .a = f.f.a,
                                    .ldx = a->x.ld,
                                    .lddy = a->dy.ld,
                                    .dx = row_of(a->dx, b->b[i].r0),
                                    .sum = sum,
                                    .sum_x = sum ? sum + cols : NULL,
                                    .lddx = a->dx.ld,
                                    .add = a->accumulate});
    }
  }
}

/* One block's sums into the gradients, columns j .. j+n-1:
 *   dw += (1 + scale) sum_x, db += (1 + scale) sum, dshift += sum, dscale += w sum_x + b sum. */
static void ln_spread(const op_ln_mod_bwd_args *a, int32_t m, const real *sum, int64_t j, int64_t n) {
  const real *sum_x = sum + a->x.cols, *scale = m < 0 ? NULL : row_of(a->scale, m), *w = a->w.p, *b = a->b.p;
  real *dw = a->dw.p, *db = a->db.p;
  real *dshift = m < 0 ? NULL : row_of(a->dshift, m), *dscale = m < 0 ? NULL : row_of(a->dscale, m);
  for (int64_t i = j; i < j + n; i++) {
    const real factor = R(1.0) + (scale ? scale[i] : 0);
    if (dw) dw[i] += factor * sum_x[i];
    if (db) db[i] += factor * sum[i];
    if (dshift) dshift[i] += sum[i];
    if (dscale) dscale[i] += w ? w[i] * sum_x[i] + b[i] * sum[i] : sum_x[i];
  }
}

int cpu_ln_mod_bwd(ctx *c, const op_ln_mod_bwd_args *a) {
  const int64_t cols = a->x.cols, stripes = (cols + 63) / 64;
  const int sums = a->dw.p || a->db.p || a->dshift.p || a->dscale.p;
  const int32_t *map = a->scale.p || a->dshift.p ? a->map : NULL;
  row_blocks b;
  int rc = OK;
  TRY(width_check(c, cols, cols, CPU_WORK));
  TRY(map_check(c, map, a->x.rows, a->scale.p ? a->scale : a->dshift));
  TRY(blocks_open(c, &b, cols, 2 * cols));
  for (int64_t at = 0; at < a->x.rows;) {
    at = blocks_next(&b, map, at, a->x.rows);
    for (int i = 0; !map && i < b.count; i++) b.b[i].m = -1;
    ln_blocks(c, a, &b, sums);
    if (!sums) continue;
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (b.count * cols > SERIAL)
    for (int64_t s = 0; s < stripes; s++)
      for (int i = 0; i < b.count; i++)
        ln_spread(a, b.b[i].m, partial(c, &b, i), s * 64, cols - s * 64 < 64 ? cols - s * 64 : 64);
  }
out:
  return rc;
}

int cpu_headnorm_rope(ctx *c, const op_headnorm_rope_args *a) {
  const row_kernels *k = cpu_of(c)->row;
  int rc = a->map ? map_check(c, a->map, a->x.rows, a->cos) : OK;
  if (rc != OK) return rc;
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (a->x.rows * a->x.cols > SERIAL)
  for (int64_t r = 0; r < a->x.rows; r += BLOCK_ROWS)
    k->heads(&(row_heads){.rows = a->x.rows - r < BLOCK_ROWS ? a->x.rows - r : BLOCK_ROWS,
                          .heads = a->x.cols / a->dim,
                          .dim = a->dim,
                          .eps = (real)a->eps,
                          .x = row_of(a->x, r),
                          .w = a->w.p,
                          .b = a->b.p,
                          .cosines = a->cos.p,
                          .sines = a->sin.p,
                          .ldx = a->x.ld,
                          .ld_cos = a->cos.ld,
                          .ld_sin = a->sin.ld,
                          .map = a->map ? a->map + r : NULL,
                          .y = row_of(a->y, r),
                          .ldy = a->y.ld});
  return OK;
}

static void head_blocks(ctx *c, const op_headnorm_rope_bwd_args *a, const row_blocks *b, int sums) {
  const row_kernels *k = cpu_of(c)->row;
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (a->x.rows * a->x.cols > SERIAL)
  for (int i = 0; i < b->count; i++) {
    real *sum = sums ? partial(c, b, i) : NULL;
    const int64_t r = b->b[i].r0;
    if (sum) memset(sum, 0, 2 * (size_t)a->dim * sizeof(real));
    k->heads_grad(&(row_heads_grad){.rows = b->b[i].r1 - r,
                                    .heads = a->x.cols / a->dim,
                                    .dim = a->dim,
                                    .eps = (real)a->eps,
                                    .x = row_of(a->x, r),
                                    .dy = row_of(a->dy, r),
                                    .w = a->w.p,
                                    .cosines = a->cos.p,
                                    .sines = a->sin.p,
                                    .ldx = a->x.ld,
                                    .lddy = a->dy.ld,
                                    .ld_cos = a->cos.ld,
                                    .ld_sin = a->sin.ld,
                                    .map = a->map ? a->map + r : NULL,
                                    .dx = row_of(a->dx, r),
                                    .sum = sum,
                                    .sum_x = sum ? sum + a->dim : NULL,
                                    .work = cpu_work(cpu_of(c), omp_get_thread_num()),
                                    .lddx = a->dx.ld});
  }
}

int cpu_headnorm_rope_bwd(ctx *c, const op_headnorm_rope_bwd_args *a) {
  const row_kernels *k = cpu_of(c)->row;
  const int sums = a->dw.p || a->db.p;
  row_blocks b;
  int rc = OK;
  TRY(width_check(c, a->dim, ROW_TOGETHER * (int64_t)a->dim, CPU_WORK));
  if (a->map) TRY(map_check(c, a->map, a->x.rows, a->cos));
  TRY(blocks_open(c, &b, a->dim, 2 * (int64_t)a->dim));
  for (int64_t at = 0; at < a->x.rows;) {
    at = blocks_next(&b, NULL, at, a->x.rows); /* the weights are those of every row: the map makes no cut */
    head_blocks(c, a, &b, sums);
    for (int i = 0; sums && i < b.count; i++) {
      if (a->db.p) k->add(a->dim, partial(c, &b, i), a->db.p);
      if (a->dw.p) k->add(a->dim, partial(c, &b, i) + a->dim, a->dw.p);
    }
  }
out:
  return rc;
}

/* --- the text encoder ------------------------------------------------------------------------------------------ */

int cpu_rmsnorm(ctx *c, const op_rmsnorm_args *a) {
  const row_kernels *k = cpu_of(c)->row;
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (a->x.rows * a->x.cols > SERIAL)
  for (int64_t r = 0; r < a->x.rows; r += BLOCK_ROWS)
    k->rms(&(row_rms){.rows = a->x.rows - r < BLOCK_ROWS ? a->x.rows - r : BLOCK_ROWS,
                      .n = a->x.cols,
                      .eps = (real)a->eps,
                      .x = row_of(a->x, r),
                      .w = a->w.p,
                      .ldx = a->x.ld,
                      .y = row_of(a->y, r),
                      .ldy = a->y.ld});
  return OK;
}

int cpu_act_mul(ctx *c, const op_act_mul_args *a) {
  const row_kernels *k = cpu_of(c)->row;
  const pieces p = cut(a->x.rows, a->x.cols, contiguous(a->x) && contiguous(a->g) && contiguous(a->y));
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (a->x.rows * a->x.cols > SERIAL)
  for (int64_t i = 0; i < p.count; i++)
    k->act_mul(piece_cols(&p, i), a->act, piece_of(&p, a->x, i), piece_of(&p, a->g, i), piece_of(&p, a->y, i));
  return OK;
}

/* A head's biases as one line: those of query i begin at its element n - 1 - i. */
int cpu_softmax_rel(ctx *c, const op_softmax_rel_args *a) {
  const row_kernels *k = cpu_of(c)->row;
  const int64_t n = a->x.cols, line = 2 * n - 1;
  int rc = OK;
  TRY(width_check(c, n, line, CPU_WORK));
  for (int64_t d = 0; d < line; d++)
    if (a->bucket[d] < 0 || a->bucket[d] >= a->table.rows)
      FAIL(&c->err, E_ARG, "bucket[%lld] is %d, the table has %lld rows", (long long)d, (int)a->bucket[d],
           (long long)a->table.rows);
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (a->x.rows * n > SERIAL)
  for (int64_t h = 0; h < a->table.cols; h++) {
    real *bias = cpu_work(cpu_of(c), omp_get_thread_num());
    for (int64_t d = 0; d < line; d++) bias[d] = row_of(a->table, a->bucket[d])[h];
    for (int64_t i = 0; i < n; i++) k->softmax(n, row_of(a->x, h * n + i), bias + n - 1 - i, row_of(a->y, h * n + i));
  }
out:
  return rc;
}

/* --- patches --------------------------------------------------------------------------------------------------- */

/* Moves one patch between its row and the latents. */
static void patch_row(const op_patch_args *a, int64_t r, int to_rows) {
  const int64_t h = a->height, w = a->width, p = a->p, across = w / p, down = h / p;
  const int64_t x = r % across * p, y = r / across % down * p, f = r / across / down * a->pt;
  real *row = row_of(a->rows, r);
  for (int64_t ch = 0; ch < a->channels; ch++)
    for (int64_t t = 0; t < a->pt; t++)
      for (int64_t py = 0; py < p; py++, row += p) {
        real *line = (real *)a->latents + (((f + t) * a->channels + ch) * h + y + py) * w + x;
        memcpy(to_rows ? row : line, to_rows ? line : row, (size_t)p * sizeof(real));
      }
}

int cpu_patch(ctx *c, const op_patch_args *a) {
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (a->rows.rows * a->rows.cols > SERIAL)
  for (int64_t r = 0; r < a->rows.rows; r++) patch_row(a, r, 1);
  return OK;
}

int cpu_unpatch(ctx *c, const op_patch_args *a) {
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (a->rows.rows * a->rows.cols > SERIAL)
  for (int64_t r = 0; r < a->rows.rows; r++) patch_row(a, r, 0);
  return OK;
}

/* --- video ------------------------------------------------------------------------------------------------------ */

/* Rows are summed in so many slices, whatever the number of threads; the slices are added up in order. */
#define SLICES 64

/* [2][cols] doubles a slice in shared scratch: sums and sums of squares about `mean`. */
static double *group_moments(ctx *c, view x, const real *mean) {
  const row_kernels *k = cpu_of(c)->row;
  double *all = (double *)(void *)cpu_shared(cpu_of(c));
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (x.rows * x.cols > SERIAL)
  for (int s = 0; s < SLICES; s++) {
    double *own = all + 2 * s * x.cols;
    int64_t from = x.rows * s / SLICES, end = x.rows * (s + 1) / SLICES;
    memset(own, 0, 2 * (size_t)x.cols * sizeof *own);
    k->moments(&(row_moments){.rows = end - from,
                              .n = x.cols,
                              .ldx = x.ld,
                              .x = row_of(x, from),
                              .mean = mean,
                              .sum = own,
                              .square = own + x.cols});
  }
  for (int s = 1; s < SLICES; s++)
    for (int64_t j = 0; j < 2 * x.cols; j++) all[j] += all[2 * s * x.cols + j];
  return all;
}

/* Sum over the channels of a group. */
static double group_sum(const double *channel, int64_t n) {
  double sum = 0;
  for (int64_t j = 0; j < n; j++) sum += channel[j];
  return sum;
}

/* work: [4][cols], filled with mean, what its rounding left over, and slope and offset of the affine part. */
static void group_fold(ctx *c, const op_group_norm_args *a, real *work) {
  const int64_t cols = a->x.cols, n = cols / a->groups;
  const double count = (double)a->x.rows * (double)n;
  const real *w = a->w.p, *b = a->b.p;
  real *mean = work, *rest = work + cols, *slope = work + 2 * cols, *offset = work + 3 * cols;
  const double *sums = group_moments(c, a->x, NULL);
  for (int g = 0; g < a->groups; g++) {
    const real m = (real)(group_sum(sums + g * n, n) / count);
    for (int64_t j = g * n; j < (g + 1) * n; j++) mean[j] = m;
  }
  sums = group_moments(c, a->x, mean);
  for (int g = 0; g < a->groups; g++) {
    double left = group_sum(sums + g * n, n) / count;
    double var = group_sum(sums + cols + g * n, n) / count - left * left;
    double rstd = 1 / sqrt((var > 0 ? var : 0) + a->eps);
    for (int64_t j = g * n; j < (g + 1) * n; j++) {
      rest[j] = (real)left;
      slope[j] = (real)(rstd * (double)w[j]);
      offset[j] = b[j];
    }
  }
}

int cpu_group_norm(ctx *c, const op_group_norm_args *a) {
  const int64_t cols = a->x.cols;
  const row_kernels *k = cpu_of(c)->row;
  real *work = cpu_work(cpu_of(c), 0);
  int rc = OK;
  TRY(width_check(c, cols, 2 * SLICES * cols * (int64_t)(sizeof(double) / sizeof(real)), CPU_SHARED));
  TRY(width_check(c, cols, 4 * cols, CPU_WORK));
  TRY(map_check(c, a->map, a->x.rows, a->scale));
  group_fold(c, a, work);
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (a->x.rows * cols > SERIAL)
  for (int s = 0; s < SLICES; s++) {
    int64_t from = a->x.rows * s / SLICES, end = a->x.rows * (s + 1) / SLICES;
    k->group(&(row_group){.rows = end - from,
                          .n = cols,
                          .ldx = a->x.ld,
                          .ldy = a->y.ld,
                          .x = row_of(a->x, from),
                          .mean = work,
                          .rest = work + cols,
                          .a = work + 2 * cols,
                          .c = work + 3 * cols,
                          .scale = a->scale.p,
                          .shift = a->shift.p,
                          .ld_scale = a->scale.ld,
                          .ld_shift = a->shift.ld,
                          .map = a->scale.p ? a->map + from : NULL,
                          .y = row_of(a->y, from),
                          .act = a->act});
  }
out:
  return rc;
}

/* One line of output of a resampling that enlarges. */
static void up_line(const op_resample_args *a, int64_t from, int64_t to) {
  const size_t bytes = (size_t)a->x.cols * sizeof(real);
  for (int64_t x = 0; x < 2 * a->width; x++) memcpy(row_of(a->y, to + x), row_of(a->x, from + x / 2), bytes);
}

static void pool_line(ctx *c, const op_resample_args *a, const int64_t from[2], int64_t to) {
  static const real half[4] = {R(0.5), R(0.5), 0, 0};
  for (int64_t x = 0; x < a->width; x++) {
    const real *pair[4] = {row_of(a->x, from[0] + x), row_of(a->x, from[1] + x), NULL, NULL};
    if (from[0] == from[1])
      memcpy(row_of(a->y, to + x), pair[0], (size_t)a->x.cols * sizeof(real));
    else
      cpu_of(c)->row->lincomb(a->x.cols, 2, pair, half, row_of(a->y, to + x));
  }
}

int cpu_resample(ctx *c, const op_resample_args *a) {
  const int up = a->kind != RESAMPLE_POOL_TIME, odd = a->frames % 2;
  const int64_t height = up ? 2 * (int64_t)a->height : a->height, width = up ? 2 * (int64_t)a->width : a->width;
  const int64_t lines = op_resample_frames(a->frames, a->kind) * height;
#pragma omp parallel for schedule(static) num_threads(cpu_of(c)->threads) if (a->y.rows * a->y.cols > SERIAL)
  for (int64_t i = 0; i < lines; i++) {
    const int64_t t = i / height, y = i % height;
    if (up) {
      int64_t frame = a->kind == RESAMPLE_UP ? t : (t + odd) / 2;
      up_line(a, (frame * a->height + y / 2) * a->width, i * width);
    } else {
      int64_t first = odd ? (t ? 2 * t - 1 : 0) : 2 * t, last = odd && !t ? 0 : first + 1;
      pool_line(c, a, (int64_t[]){(first * height + y) * width, (last * height + y) * width}, i * width);
    }
  }
  return OK;
}
