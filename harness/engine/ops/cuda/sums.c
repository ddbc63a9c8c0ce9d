/* Sums over rows, losses, norms and the optimiser. */
#include "ops/cuda/cuda.h"
#include "ops/cuda/limits.h"
#include "ops/cuda/shape.h"

#define PART_BYTES ((int64_t)(CUDA_SCRATCH - CUDA_STATS))
#define CHUNK_ROWS 256 /* rows of a chunk, unless that makes more partial sums than there is room for */
#define GRID_MAX 65535

/* As many slots and chunks as there is room for; both depend on shapes alone, and so do the bits. */
static int cut(ctx *c, cuda_sums *s) {
  int64_t each = s->x.cols * (s->kind == SUM_NORMED ? 2 : 1) * (int64_t)sizeof(float), fit = PART_BYTES / each;
  if (fit < 1)
    return err_set(&c->err, E_UNSUPPORTED, "backend cuda: %lld columns are too many for its partial sums",
                   (long long)s->x.cols);
  if (s->slots > fit) s->slots = fit;
  if (s->slots > GRID_MAX) s->slots = GRID_MAX;
  s->chunks = cuda_div_up(s->x.rows, CHUNK_ROWS);
  if (s->chunks > fit / s->slots) s->chunks = fit / s->slots;
  if (s->chunks > GRID_MAX) s->chunks = GRID_MAX;
  return OK;
}

int cuda_sum_rows(ctx *c, cuda_sums *s) {
  int vector = s->x.cols % 8 == 0 && lines_up(s->x, 0) && lines_up(s->y, 0);
  dtype t = s->x.type;
  int rc = OK;
  TRY(cut(c, s));
  s->part = (float *)((char *)cuda_of(c)->scratch + CUDA_STATS);
  sums_args a = {.rows = s->x.rows,
                 .cols = s->x.cols,
                 .per_chunk = cuda_div_up(s->x.rows, s->chunks),
                 .x = mat_of(s->x),
                 .y = mat_of(s->y),
                 .map = s->map,
                 .stats = s->stats,
                 .part = s->part,
                 .slot0 = s->slot0};
  const char *kernel = s->kind == SUM_PLAIN     ? FOUR_NAMES(sum_plain, t, vector)
                       : s->kind == SUM_PRODUCT ? FOUR_NAMES(sum_product, t, vector)
                                                : FOUR_NAMES(sum_normed, t, vector);
  TRY(cuda_launch(c, &(cuda_call){.kernel = kernel,
                                  .x = (unsigned)cuda_div_up(a.cols, SUM_LANES * (vector ? 8 : 1)),
                                  .y = (unsigned)s->chunks,
                                  .z = (unsigned)s->slots,
                                  .threads = SUM_LANES * SUM_ROWS,
                                  .args = &a}));
out:
  return rc;
}

int cuda_add_parts(ctx *c, add_args *a) {
  return cuda_launch(c, &(cuda_call){.kernel = "add_parts",
                                     .x = (unsigned)cuda_div_up(a->cols, EACH_THREADS),
                                     .y = (unsigned)a->slots,
                                     .threads = EACH_THREADS,
                                     .args = a});
}

/* out[map[r]] += x[r], or x[r] * y[r] when y is there. */
static int rows_into(ctx *c, view x, view y, const int32_t *map, view out) {
  int rc = OK;
  int64_t slots = map ? out.rows : 1;
  if (!map && out.rows < 1) FAIL(&c->err, E_SHAPE, "the table has no rows");
  for (int64_t slot = 0; slot < slots;) {
    cuda_sums s = {
        .kind = y.p ? SUM_PRODUCT : SUM_PLAIN, .x = x, .y = y, .map = map, .slot0 = slot, .slots = slots - slot};
    TRY(cuda_sum_rows(c, &s));
    add_args add = {.part = s.part,
                    .out = out.p,
                    .ld = out.ld,
                    .cols = x.cols,
                    .slots = s.slots,
                    .chunks = s.chunks,
                    .slot0 = slot,
                    .of = 1};
    TRY(cuda_add_parts(c, &add));
    slot += s.slots;
  }
out:
  return rc;
}

int cuda_colsum(ctx *c, view dbias, view dy) {
  return rows_into(c, dy, (view){0}, NULL, dbias);
}

int cuda_add_rows_bwd(ctx *c, const op_add_rows_bwd_args *a) {
  return rows_into(c, a->dx, (view){0}, a->map, a->dtable);
}

int cuda_gate_add_bwd(ctx *c, const op_gate_add_bwd_args *a) {
  int rc = cuda_gate_mul(c, a);
  return rc == OK && a->dgate.p ? rows_into(c, a->dx, a->y, a->map, a->dgate) : rc;
}

static int add_squares(ctx *c, const char *kernel, loss_args *a, double factor, double *out) {
  int rc = OK;
  int64_t blocks = cuda_div_up(a->rows * a->cols, LOSS_THREADS);
  if (blocks > LOSS_BLOCKS) blocks = LOSS_BLOCKS;
  a->part = cuda_of(c)->scratch;
  total_args t = {.part = a->part, .out = out, .factor = factor, .n = (int)blocks};
  TRY(cuda_launch(c, &(cuda_call){.kernel = kernel, .x = (unsigned)blocks, .threads = LOSS_THREADS, .args = a}));
  TRY(cuda_launch(c, &(cuda_call){.kernel = "total", .x = 1, .threads = 32, .args = &t}));
out:
  return rc;
}

int cuda_mse(ctx *c, const op_mse_args *a) {
  loss_args l = {.rows = a->pred.rows,
                 .cols = a->pred.cols,
                 .pred = mat_of(a->pred),
                 .target = mat_of(a->target),
                 .dpred = mat_of(a->dpred),
                 .slope = (float)(2 * a->weight)};
  int p = a->pred.type == DT_BF16, t = a->target.type == DT_BF16;
  const char *kernel = p ? t ? "squares_bf16_bf16" : "squares_bf16_f32" : t ? "squares_f32_bf16" : "squares_f32_f32";
  return add_squares(c, kernel, &l, a->weight, a->loss);
}

int cuda_sumsq(ctx *c, double *out, const real *x, int64_t n) {
  view v = view_of((void *)(uintptr_t)x, 1, n);
  loss_args l = {.rows = 1, .cols = n, .pred = mat_of(v)};
  return add_squares(c, "squares_f32_f32", &l, 1, out);
}

/* b^n by squaring, as the cpu backend has it: libm's pow differs between versions. */
static double power(double b, int64_t n) {
  double y = 1;
  for (; n > 0; n /= 2, b *= b)
    if (n % 2) y *= b;
  return y;
}

int cuda_adamw(ctx *c, const op_adamw_args *a) {
  step_args s = {.w = a->w,
                 .m = a->m,
                 .v = a->v,
                 .g = a->g,
                 .n = a->n,
                 .scale = a->scale,
                 .beta1 = (float)a->beta1,
                 .rest1 = (float)(1 - a->beta1),
                 .beta2 = (float)a->beta2,
                 .rest2 = (float)(1 - a->beta2),
                 .keep = (float)(1 - a->lr * a->decay),
                 .rate = (float)(a->lr / (1 - power(a->beta1, a->step))),
                 .v_scale = (float)(1 / (1 - power(a->beta2, a->step))),
                 .eps = (float)a->eps};
  int vector = ((uintptr_t)a->w | (uintptr_t)a->m | (uintptr_t)a->v | (uintptr_t)a->g) % 16 == 0;
  return cuda_launch(c, &(cuda_call){.kernel = vector ? "adamw_v" : "adamw_s",
                                     .x = (unsigned)cuda_div_up(a->n, STEP_THREADS * (vector ? 4 : 1)),
                                     .threads = STEP_THREADS,
                                     .args = &s});
}
