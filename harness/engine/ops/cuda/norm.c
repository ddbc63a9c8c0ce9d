/* Layer norm, head norm, attention within pairs: entries whose kernels take whole rows or heads. */
#include "ops/cuda/cuda.h"
#include "ops/cuda/limits.h"
#include "ops/cuda/shape.h"

#include <math.h>

/* NAME_f32_v, _s, _l and the same for bf16: in vectors, element by element, rows too long for registers. */
typedef enum form { IN_VECTORS, SHORT_ROWS, LONG_ROWS } form;
#define NORM_NAMES(name, type, form)                                                                                 \
  ((form) == IN_VECTORS   ? (type) == DT_BF16 ? #name "_bf16_v" : #name "_f32_v"                                     \
   : (form) == SHORT_ROWS ? (type) == DT_BF16 ? #name "_bf16_s" : #name "_f32_s"                                     \
   : (type) == DT_BF16    ? #name "_bf16_l"                                                                          \
                          : #name "_f32_l")

static form norm_form(const view *v, int n) {
  int vector = v[0].cols % 8 == 0 && v[0].cols <= NORM_KEPT;
  for (int i = 0; i < n; i++) vector = vector && lines_up(v[i], 0);
  return vector ? IN_VECTORS : v[0].cols <= NORM_SHORT ? SHORT_ROWS : LONG_ROWS;
}

static int launch_rows(ctx *c, const char *kernel, norm_args *a) {
  return cuda_launch(c, &(cuda_call){.kernel = kernel, .x = (unsigned)a->rows, .threads = NORM_THREADS, .args = a});
}

int cuda_ln_mod(ctx *c, const op_ln_mod_args *a) {
  norm_args n = {.rows = a->x.rows,
                 .cols = a->x.cols,
                 .x = mat_of(a->x),
                 .y = mat_of(a->y),
                 .shift = mat_of(a->shift),
                 .scale = mat_of(a->scale),
                 .w = a->w.p,
                 .b = a->b.p,
                 .map = a->shift.p || a->scale.p ? a->map : NULL,
                 .eps = (float)a->eps};
  form f = norm_form((view[]){a->x, a->y, a->shift, a->scale, a->w, a->b}, 6);
  return launch_rows(c, NORM_NAMES(norm, a->x.type, f), &n);
}

/* Rows of one batch of statistics. */
#define STATS_ROWS ((int64_t)(CUDA_STATS / (3 * sizeof(float))))

/* The parameter gradients of rows r0 .. r0+n-1: statistics, sums by map entry, and what they give. */
static int ln_sums(ctx *c, const op_ln_mod_bwd_args *a, int64_t r0, int64_t n) {
  int rc = OK;
  view x = view_rows(a->x, r0, n), dy = view_rows(a->dy, r0, n);
  const int32_t *map = a->scale.p || a->dshift.p ? a->map + r0 : NULL;
  norm_args s = {.rows = n, .cols = x.cols, .x = mat_of(x), .stats = cuda_of(c)->scratch, .eps = (float)a->eps};
  int64_t m = a->scale.p ? a->scale.rows : a->dshift.p ? a->dshift.rows : 0;
  int64_t from = a->dw.p || a->db.p || !map ? -1 : 0, to = map ? m : 0;
  spread_args spread = {.cols = x.cols,
                        .w = a->w.p,
                        .b = a->b.p,
                        .scale = mat_of(a->scale),
                        .dw = a->dw.p,
                        .db = a->db.p,
                        .dshift = mat_of(a->dshift),
                        .dscale = mat_of(a->dscale)};
  TRY(launch_rows(c, NORM_NAMES(row_stats, x.type, norm_form(&x, 1)), &s));
  for (int64_t slot = from; slot < to;) {
    cuda_sums k = {
        .kind = SUM_NORMED, .x = dy, .y = x, .map = map, .stats = s.stats, .slot0 = slot, .slots = to - slot};
    TRY(cuda_sum_rows(c, &k));
    spread.part = k.part;
    spread.slots = k.slots;
    spread.chunks = k.chunks;
    spread.slot0 = slot;
    TRY(cuda_launch(c, &(cuda_call){.kernel = x.type == DT_BF16 ? "spread_bf16" : "spread_f32",
                                    .x = (unsigned)cuda_div_up(x.cols, EACH_THREADS),
                                    .threads = EACH_THREADS,
                                    .args = &spread}));
    slot += k.slots;
  }
out:
  return rc;
}

/* Sums first: dx may be dy. */
int cuda_ln_mod_bwd(ctx *c, const op_ln_mod_bwd_args *a) {
  int rc = OK;
  norm_args n = {.rows = a->x.rows,
                 .cols = a->x.cols,
                 .x = mat_of(a->x),
                 .y = mat_of(a->dx),
                 .dy = mat_of(a->dy),
                 .scale = mat_of(a->scale),
                 .w = a->w.p,
                 .map = a->scale.p ? a->map : NULL,
                 .eps = (float)a->eps,
                 .add = a->accumulate};
  form f = norm_form((view[]){a->x, a->dx, a->dy, a->scale, a->w}, 5);
  if (a->dw.p || a->db.p || a->dshift.p || a->dscale.p)
    for (int64_t r = 0; r < a->x.rows; r += STATS_ROWS)
      TRY(ln_sums(c, a, r, a->x.rows - r < STATS_ROWS ? a->x.rows - r : STATS_ROWS));
  TRY(launch_rows(c, NORM_NAMES(norm_grad, a->x.type, f), &n));
out:
  return rc;
}

/* --- heads --- */

/* Lanes that share a head: dim / 8 in vectors where that is a power of two and everything lines up; else a warp. */
typedef struct head_lanes {
  int lanes, vector;
} head_lanes;

static int choose_lanes(ctx *c, int64_t dim, const view *v, int n, head_lanes *out) {
  int vector = dim % 8 == 0 && dim / 8 <= 32 && (dim / 8 & (dim / 8 - 1)) == 0;
  for (int i = 0; i < n; i++) vector = vector && lines_up(v[i], 0);
  *out = (head_lanes){vector ? (int)dim / 8 : 32, vector};
  if (dim <= HEAD_DIM) return OK;
  return err_set(&c->err, E_UNSUPPORTED, "backend cuda: heads of %lld columns, at most %d", (long long)dim, HEAD_DIM);
}

/* Heads that one group of lanes takes, so that a large matrix makes about HEAD_BLOCKS blocks. */
#define HEAD_BLOCKS 1024
static int64_t heads_each(int64_t heads, int lanes) {
  return cuda_div_up(heads, HEAD_BLOCKS * (int64_t)(HEAD_THREADS / lanes));
}
static unsigned head_blocks(int64_t heads, int lanes, int64_t each) {
  return (unsigned)cuda_div_up(heads, each * (HEAD_THREADS / lanes));
}

int cuda_headnorm_rope(ctx *c, const op_headnorm_rope_args *a) {
  int rc = OK;
  head_lanes l;
  int64_t n = a->x.rows * (a->x.cols / a->dim);
  TRY(choose_lanes(c, a->dim, (view[]){a->x, a->y, a->w, a->b}, 4, &l));
  heads_args h = {.rows = a->x.rows,
                  .heads = a->x.cols / a->dim,
                  .x = mat_of(a->x),
                  .y = mat_of(a->y),
                  .w = a->w.p,
                  .b = a->b.p,
                  .cosines = a->cos.p,
                  .sines = a->sin.p,
                  .ld_cos = a->cos.ld,
                  .ld_sin = a->sin.ld,
                  .map = a->map,
                  .eps = (float)a->eps,
                  .dim = a->dim,
                  .lanes = l.lanes,
                  .each = heads_each(n, l.lanes)};
  TRY(cuda_launch(c, &(cuda_call){.kernel = FOUR_NAMES(headnorm, a->x.type, l.vector),
                                  .x = head_blocks(n, l.lanes, h.each),
                                  .threads = HEAD_THREADS,
                                  .args = &h}));
out:
  return rc;
}

static int add_head_sums(ctx *c, const heads_args *h, view to, int which, unsigned blocks) {
  add_args add = {.part = h->part,
                  .out = to.p,
                  .ld = to.ld,
                  .cols = h->dim,
                  .slots = 1,
                  .chunks = blocks,
                  .which = which,
                  .of = 2};
  if (!to.p) return OK;
  return cuda_add_parts(c, &add);
}

int cuda_headnorm_rope_bwd(ctx *c, const op_headnorm_rope_bwd_args *a) {
  int rc = OK;
  head_lanes l;
  int64_t n = a->x.rows * (a->x.cols / a->dim);
  TRY(choose_lanes(c, a->dim, (view[]){a->x, a->dx, a->dy, a->w}, 4, &l));
  heads_args h = {.rows = a->x.rows,
                  .heads = a->x.cols / a->dim,
                  .x = mat_of(a->x),
                  .y = mat_of(a->dx),
                  .dy = mat_of(a->dy),
                  .w = a->w.p,
                  .cosines = a->cos.p,
                  .sines = a->sin.p,
                  .ld_cos = a->cos.ld,
                  .ld_sin = a->sin.ld,
                  .map = a->map,
                  .part = a->dw.p || a->db.p ? cuda_of(c)->scratch : NULL,
                  .eps = (float)a->eps,
                  .dim = a->dim,
                  .lanes = l.lanes,
                  .each = heads_each(n, l.lanes)};
  unsigned blocks = head_blocks(n, l.lanes, h.each);
  TRY(cuda_launch(c, &(cuda_call){.kernel = FOUR_NAMES(headnorm_grad, a->x.type, l.vector),
                                  .x = blocks,
                                  .threads = HEAD_THREADS,
                                  .shared = (unsigned)(HEAD_THREADS / l.lanes * 2 * a->dim * (int)sizeof(float)),
                                  .args = &h}));
  TRY(add_head_sums(c, &h, a->db, 0, blocks));
  TRY(add_head_sums(c, &h, a->dw, 1, blocks));
out:
  return rc;
}

static pair_args pairs_of(view q, int heads, head_lanes l) {
  int64_t dim = q.cols / heads;
  return (pair_args){.n = q.rows / 2,
                     .q = mat_of(q),
                     .scale = (float)(1.0 / sqrt((double)dim)),
                     .heads = heads,
                     .dim = (int)dim,
                     .lanes = l.lanes};
}

static int launch_pairs(ctx *c, const char *kernel, pair_args *p) {
  return cuda_launch(
      c, &(cuda_call){
             .kernel = kernel, .x = head_blocks(p->n * p->heads, p->lanes, 1), .threads = HEAD_THREADS, .args = p});
}

int cuda_attn_small(ctx *c, const op_attn_small_args *a) {
  int rc = OK;
  head_lanes l;
  TRY(choose_lanes(c, a->q.cols / a->heads, (view[]){a->q, a->k, a->v, a->o}, 4, &l));
  pair_args p = pairs_of(a->q, a->heads, l);
  p.k = mat_of(a->k);
  p.v = mat_of(a->v);
  p.o = mat_of(a->o);
  TRY(launch_pairs(c, FOUR_NAMES(pairs, a->q.type, l.vector), &p));
out:
  return rc;
}

int cuda_attn_small_bwd(ctx *c, const op_attn_small_bwd_args *a) {
  int rc = OK;
  head_lanes l;
  TRY(choose_lanes(c, a->q.cols / a->heads, (view[]){a->q, a->k, a->v, a->d_o, a->dq, a->dk, a->dv}, 7, &l));
  pair_args p = pairs_of(a->q, a->heads, l);
  p.k = mat_of(a->k);
  p.v = mat_of(a->v);
  p.o = mat_of(a->d_o);
  p.dq = mat_of(a->dq);
  p.dk = mat_of(a->dk);
  p.dv = mat_of(a->dv);
  TRY(launch_pairs(c, FOUR_NAMES(pairs_grad, a->q.type, l.vector), &p));
out:
  return rc;
}
