/* Elementwise entries, those with one table row a row, and patches. */
#include "ops/cuda/cuda.h"
#include "ops/cuda/limits.h"
#include "ops/cuda/shape.h"

static int contiguous(view v) {
  return !v.p || v.ld == v.cols || v.rows == 1;
}

typedef struct each {
  each_args a;
  int vector;
} each;

/* Operands: y, then up to four x. Without gaps they become one long row. */
static each each_of(view y, const view *x, int n) {
  each e = {.a = {.rows = y.rows, .cols = y.cols, .y = mat_of(y)}, .vector = 0};
  int joined = contiguous(y), vector;
  for (int i = 0; i < n; i++) {
    e.a.x[i] = mat_of(x[i]);
    joined = joined && contiguous(x[i]);
  }
  if (joined) {
    e.a.cols = y.rows * y.cols;
    e.a.rows = 1;
  }
  vector = e.a.cols % 8 == 0 && lines_up(y, joined);
  for (int i = 0; i < n; i++) vector = vector && lines_up(x[i], joined);
  e.vector = vector;
  return e;
}

/* One block for each stretch of columns and each row, rows beyond the grid's height in turn. */
static int launch(ctx *c, const char *kernel, each *e) {
  int64_t per = EACH_THREADS * (e->vector ? 8 : 1), rows = e->a.rows < 65535 ? e->a.rows : 65535;
  return cuda_launch(c, &(cuda_call){.kernel = kernel,
                                     .x = (unsigned)cuda_div_up(e->a.cols, per),
                                     .y = (unsigned)rows,
                                     .threads = EACH_THREADS,
                                     .args = &e->a});
}

int cuda_copy(ctx *c, view dst, view src) {
  each e = each_of(dst, &src, 1);
  return launch(c, FOUR_NAMES(copy, dst.type, e.vector), &e);
}

int cuda_cast(ctx *c, view dst, view src) {
  each e = each_of(dst, &src, 1);
  if (dst.type == src.type) return launch(c, FOUR_NAMES(copy, dst.type, e.vector), &e);
  if (dst.type == DT_BF16) return launch(c, e.vector ? "cast_f32_bf16_v" : "cast_f32_bf16_s", &e);
  return launch(c, e.vector ? "cast_bf16_f32_v" : "cast_bf16_f32_s", &e);
}

int cuda_fill(ctx *c, view dst, double v) {
  each e = each_of(dst, NULL, 0);
  e.a.c[0] = (float)v;
  return launch(c, FOUR_NAMES(fill, dst.type, e.vector), &e);
}

int cuda_lincomb(ctx *c, const op_lincomb_args *a) {
  each e = each_of(a->y, a->x, a->n);
  e.a.n = a->n;
  for (int i = 0; i < a->n; i++) e.a.c[i] = (float)a->c[i];
  return launch(c, FOUR_NAMES(lincomb, a->y.type, e.vector), &e);
}

_Static_assert(KIND_GELU == ACT_GELU_TANH && KIND_SILU == ACT_SILU, "the kernels know op_act by these numbers");

int cuda_act(ctx *c, const op_act_args *a) {
  each e = each_of(a->y, &a->x, 1);
  e.a.n = (int)a->act;
  return launch(c, FOUR_NAMES(act, a->x.type, e.vector), &e);
}

int cuda_act_bwd(ctx *c, const op_act_bwd_args *a) {
  each e = each_of(a->dx, (view[]){a->x, a->dy}, 2);
  e.a.n = (int)a->act;
  return launch(c, FOUR_NAMES(act_bwd, a->x.type, e.vector), &e);
}

int cuda_add_bias(ctx *c, view y, view bias) {
  each_args a = {.rows = y.rows, .cols = y.cols, .y = mat_of(y), .x = {{0}, mat_of(bias)}};
  each e = {.a = a, .vector = y.cols % 8 == 0 && lines_up(y, 0) && lines_up(bias, 0)};
  if (bias.type == DT_REAL) return launch(c, e.vector ? "add_bias_f32_f32_v" : "add_bias_f32_f32_s", &e);
  if (y.type == DT_REAL) return launch(c, e.vector ? "add_bias_f32_bf16_v" : "add_bias_f32_bf16_s", &e);
  return launch(c, e.vector ? "add_bias_bf16_bf16_v" : "add_bias_bf16_bf16_s", &e);
}

static int launch_table(ctx *c, const char *kernel, table_args *a, int vector) {
  int64_t per = EACH_THREADS * (vector ? 8 : 1), rows = a->rows < 65535 ? a->rows : 65535;
  return cuda_launch(c, &(cuda_call){.kernel = kernel,
                                     .x = (unsigned)cuda_div_up(a->cols, per),
                                     .y = (unsigned)rows,
                                     .threads = EACH_THREADS,
                                     .args = a});
}

static int vectors(view a, view b, view c) {
  return a.cols % 8 == 0 && lines_up(a, 0) && lines_up(b, 0) && lines_up(c, 0);
}

int cuda_add_rows(ctx *c, const op_add_rows_args *a) {
  table_args t = {.rows = a->x.rows, .cols = a->x.cols, .x = mat_of(a->x), .table = mat_of(a->table), .map = a->map};
  int vector = vectors(a->x, a->table, (view){0});
  if (!a->map && a->table.rows < 1) return err_set(&c->err, E_SHAPE, "the table has no rows");
  return launch_table(c, FOUR_NAMES(add_rows, a->x.type, vector), &t, vector);
}

int cuda_gate_add(ctx *c, const op_gate_add_args *a) {
  table_args t = {.rows = a->x.rows,
                  .cols = a->x.cols,
                  .x = mat_of(a->x),
                  .y = mat_of(a->y),
                  .table = mat_of(a->gate),
                  .map = a->map};
  int vector = vectors(a->x, a->y, a->gate);
  return launch_table(c, FOUR_NAMES(gate_add, a->x.type, vector), &t, vector);
}

int cuda_gate_mul(ctx *c, const op_gate_add_bwd_args *a) {
  table_args t = {.rows = a->dx.rows,
                  .cols = a->dx.cols,
                  .x = mat_of(a->dx),
                  .y = mat_of(a->dy),
                  .table = mat_of(a->gate),
                  .map = a->map};
  int vector = vectors(a->dx, a->dy, a->gate);
  return launch_table(c, FOUR_NAMES(gate_mul, a->dx.type, vector), &t, vector);
}

static int patches(ctx *c, const char *kernel, const op_patch_args *a) {
  patch_args p = {.latents = a->latents,
                  .rows = mat_of(a->rows),
                  .n_rows = a->rows.rows,
                  .channels = a->channels,
                  .height = a->height,
                  .width = a->width,
                  .p = a->p,
                  .pt = a->pt};
  int64_t n = a->rows.rows * a->rows.cols;
  return cuda_launch(
      c, &(cuda_call){
             .kernel = kernel, .x = (unsigned)cuda_div_up(n, EACH_THREADS), .threads = EACH_THREADS, .args = &p});
}

int cuda_patch(ctx *c, const op_patch_args *a) {
  return patches(c, a->rows.type == DT_BF16 ? "patch_bf16" : "patch_f32", a);
}

int cuda_unpatch(ctx *c, const op_patch_args *a) {
  return patches(c, a->rows.type == DT_BF16 ? "unpatch_bf16" : "unpatch_f32", a);
}
