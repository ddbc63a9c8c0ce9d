/* Every operation but attention: the cuda backend on the emulated device against the cpu backend. Sizes around the
 * kernels' tiles, aligned and not, both storage types; sentinels, inputs unchanged, twice the same bits. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "twin.h"

#define U24 5.9604644775390625e-8 /* half a step of float, relative */

typedef struct shape {
  int64_t rows, cols;
} shape;

/* A case: fills the bench with matrices, then says what to run on either context and what to compare. */
typedef struct job job;
struct job {
  bench *b;
  shape s;
  dtype t; /* storage */
  twin *in[8], *out[6];
  const char *out_name[6];
  twin_bound bound[6];
  const int32_t *map[2];
  int n_in, n_out, variant;
  void (*run)(job *j, int i);
};

static twin *in(job *j, dtype t, int64_t rows, int64_t cols) {
  return j->in[j->n_in++] = twin_new(j->b, t, rows, cols, NUMBERS);
}

/* An output of `terms` summed numbers: a step of the stored type, and what another order of summing makes. */
static twin *made(job *j, const char *name, twin *t, int64_t terms) {
  double step = t->v[0].type == DT_BF16 ? 1.0 / 128 : 0;
  j->out_name[j->n_out] = name;
  j->bound[j->n_out] = (twin_bound){.rel = step, .abs = terms ? 8 * sqrt((double)terms) * U24 : 0};
  return j->out[j->n_out++] = t;
}
static twin *out(job *j, const char *name, dtype t, shape s, int64_t terms) {
  return made(j, name, twin_new(j->b, t, s.rows, s.cols, EMPTY), terms);
}
/* A parameter gradient: added to. */
static twin *sum_of(job *j, const char *name, shape s, int64_t terms) {
  return made(j, name, twin_new(j->b, DT_REAL, s.rows, s.cols, NUMBERS), terms);
}

static void compare(job *j) {
  unsigned char *first[6];
  j->run(j, 0);
  j->run(j, 1);
  for (int i = 0; i < j->n_out; i++) {
    twin_bound k = j->bound[i];
    if (j->b->integers) k.abs = 0;
    twin_check(j->b, j->out[i], j->out_name[i], k);
    first[i] = twin_bytes(j->b, j->out[i]);
    twin_restore(j->b, j->out[i]);
  }
  for (int i = 0; i < j->n_in; i++) twin_untouched(j->b, j->in[i], "operand");
  j->run(j, 1);
  for (int i = 0; i < j->n_out; i++) {
    unsigned char *again = twin_bytes(j->b, j->out[i]);
    if (memcmp(first[i], again, j->out[i]->bytes))
      fail_msg("%s: %s: a second run has other bits", j->b->what, j->out_name[i]);
    free(first[i]);
    free(again);
  }
  bench_clear(j->b);
}

/* Runs `make` over shapes, storages, aligned and unaligned matrices; variants 0 .. n-1. */
static void sweep(const char *name, const shape *shapes, int n_shapes, int variants, void (*make)(job *j)) {
  const dtype storages[] = {DT_REAL, DT_BF16};
  for (int s = 0; s < 2; s++) {
    bench b;
    if (bench_open(&b, storages[s])) skip();
    for (int i = 0; i < n_shapes; i++)
      for (int v = 0; v < 2 * variants; v++) {
        job j = {.b = &b, .s = shapes[i], .t = storages[s], .variant = v / 2};
        b.pad = v % 2 ? 3 : 0;
        snprintf(b.what, sizeof b.what, "%s [%lld,%lld] %s variant %d %s", name, (long long)shapes[i].rows,
                 (long long)shapes[i].cols, dtype_name(storages[s]), v / 2, b.pad ? "unaligned" : "aligned");
        make(&j);
        compare(&j);
      }
    bench_close(&b);
  }
}
#define SWEEP(name, shapes, variants, make)                                                                          \
  sweep(name, shapes, (int)(sizeof(shapes) / sizeof((shapes)[0])), variants, make)

static const shape plain_shapes[] = {{1, 1}, {3, 31}, {2, 33}, {5, 64}, {1, 1023}, {2, 1032}, {3, 1025}};

/* --- elementwise --- */

static void run_lincomb(job *j, int i) {
  op_lincomb_args a = {.y = j->out[0]->v[i], .n = j->n_in, .c = {0.5, -1.25, 2, 0.75}};
  for (int k = 0; k < a.n; k++) a.x[k] = j->in[k]->v[i];
  twin_must(j->b, i, op_lincomb(&j->b->c[i], &a));
}
static void make_lincomb(job *j) {
  for (int k = 0; k <= j->variant; k++) in(j, j->t, j->s.rows, j->s.cols);
  out(j, "y", j->t, j->s, 0);
  j->run = run_lincomb;
}
static void test_lincomb(void **state) {
  (void)state;
  SWEEP("lincomb", plain_shapes, 4, make_lincomb);
}

static void run_move(job *j, int i) {
  ctx *c = &j->b->c[i];
  twin_must(j->b, i, op_copy(c, j->out[0]->v[i], j->in[0]->v[i]));
  twin_must(j->b, i, op_cast(c, j->out[1]->v[i], j->in[0]->v[i]));
  twin_must(j->b, i, op_cast(c, j->out[2]->v[i], j->in[1]->v[i]));
  twin_must(j->b, i, op_fill(c, j->out[3]->v[i], 1.375));
}
static void make_move(job *j) {
  in(j, j->t, j->s.rows, j->s.cols);
  in(j, DT_REAL, j->s.rows, j->s.cols);
  out(j, "copy", j->t, j->s, 0);
  out(j, "widened", DT_REAL, j->s, 0);
  out(j, "rounded", j->t, j->s, 0);
  j->bound[0].rel = j->bound[2].rel = 0; /* to the bit, rounding too */
  out(j, "filled", j->t, j->s, 0);
  j->run = run_move;
}
static void test_move(void **state) {
  (void)state;
  SWEEP("copy, cast, fill", plain_shapes, 1, make_move);
}

static void run_act(job *j, int i) {
  ctx *c = &j->b->c[i];
  op_act kind = (op_act)j->variant;
  twin_must(j->b, i, op_act_fwd(c, &(op_act_args){.x = j->in[0]->v[i], .y = j->out[0]->v[i], .act = kind}));
  twin_must(j->b, i,
            op_act_bwd(c, &(op_act_bwd_args){
                              .x = j->in[0]->v[i], .dy = j->in[1]->v[i], .dx = j->out[1]->v[i], .act = kind}));
}
static void make_act(job *j) {
  in(j, j->t, j->s.rows, j->s.cols);
  in(j, j->t, j->s.rows, j->s.cols);
  out(j, "y", j->t, j->s, 1);
  out(j, "dx", j->t, j->s, 1);
  j->run = run_act;
}
static void test_act(void **state) {
  (void)state;
  SWEEP("act", plain_shapes, 3, make_act);
}

/* --- a table row a row --- */

static const shape table_shapes[] = {{1, 1}, {31, 33}, {33, 64}, {257, 31}, {300, 264}, {2, 1032}};
#define ENTRIES 3

static void run_gate(job *j, int i) {
  ctx *c = &j->b->c[i];
  view x = j->out[0]->v[i], y = j->in[0]->v[i], gate = j->in[1]->v[i], dx = j->in[2]->v[i];
  /* x starts as a copy, since gate_add works in place */
  twin_must(j->b, i, op_copy(c, x, j->in[3]->v[i]));
  twin_must(j->b, i, op_gate_add(c, &(op_gate_add_args){.x = x, .y = y, .gate = gate, .map = j->map[i]}));
  op_gate_add_bwd_args b = {.dx = dx, .y = y, .gate = gate, .dy = j->out[1]->v[i], .map = j->map[i]};
  b.dgate = j->out[2]->v[i];
  twin_must(j->b, i, op_gate_add_bwd(c, &b));
}
static void make_gate(job *j) {
  for (int k = 0; k < 4; k++) in(j, j->t, k == 1 ? ENTRIES : j->s.rows, j->s.cols);
  out(j, "x", j->t, j->s, 0);
  out(j, "dy", j->t, j->s, 0);
  sum_of(j, "dgate", (shape){ENTRIES, j->s.cols}, j->s.rows);
  twin_map(j->b, j->s.rows, j->s.rows > 1 ? -1 : 0, ENTRIES, j->map);
  j->run = run_gate;
}
static void test_gate_add(void **state) {
  (void)state;
  SWEEP("gate_add", table_shapes, 1, make_gate);
}

static void run_rows(job *j, int i) {
  ctx *c = &j->b->c[i];
  const int32_t *map = j->variant ? j->map[i] : NULL;
  view x = j->out[0]->v[i];
  twin_must(j->b, i, op_copy(c, x, j->in[0]->v[i]));
  twin_must(j->b, i, op_add_rows(c, &(op_add_rows_args){.x = x, .table = j->in[1]->v[i], .map = map}));
  twin_must(j->b, i,
            op_add_rows_bwd(c, &(op_add_rows_bwd_args){.dx = j->in[0]->v[i], .dtable = j->out[1]->v[i], .map = map}));
  twin_must(j->b, i, op_colsum(c, j->out[2]->v[i], j->in[0]->v[i]));
}
static void make_rows(job *j) {
  int64_t entries = j->variant == 2 ? 50 : ENTRIES;
  in(j, j->t, j->s.rows, j->s.cols);
  in(j, j->t, entries, j->s.cols);
  out(j, "x", j->t, j->s, 0);
  sum_of(j, "dtable", (shape){entries, j->s.cols}, j->s.rows);
  sum_of(j, "dbias", (shape){1, j->s.cols}, j->s.rows);
  twin_map(j->b, j->s.rows, j->s.rows > 1 ? -1 : 0, (int)entries, j->map);
  j->run = run_rows;
}
static void test_add_rows(void **state) {
  (void)state;
  SWEEP("add_rows, colsum", table_shapes, 3, make_rows);
}

/* --- norms --- */

static const shape norm_shapes[] = {{1, 2},    {31, 33},  {33, 64},  {3, 1024},
                                    {5, 1025}, {2, 3072}, {2, 4104}, {300, 72}};

static void run_norm(job *j, int i) {
  ctx *c = &j->b->c[i];
  int affine = j->variant & 1, mod = j->variant & 2;
  op_ln_mod_args a = {.x = j->in[0]->v[i], .y = j->out[0]->v[i], .eps = 1e-5};
  op_ln_mod_bwd_args g = {.x = j->in[0]->v[i], .dy = j->in[1]->v[i], .dx = j->out[1]->v[i], .eps = 1e-5};
  if (affine) {
    a.w = g.w = j->in[2]->v[i];
    a.b = g.b = j->in[3]->v[i];
    g.dw = j->out[2]->v[i];
    g.db = j->out[3]->v[i];
  }
  if (mod) {
    a.map = g.map = j->map[i];
    a.shift = j->in[4]->v[i];
    a.scale = g.scale = j->in[5]->v[i];
    g.dshift = j->out[affine ? 4 : 2]->v[i];
    g.dscale = j->out[affine ? 5 : 3]->v[i];
  }
  twin_must(j->b, i, op_ln_mod(c, &a));
  twin_must(j->b, i, op_ln_mod_bwd(c, &g));
}
static void make_norm(job *j) {
  int64_t cols = j->s.cols;
  for (int k = 0; k < 6; k++) in(j, j->t, k < 2 ? j->s.rows : k < 4 ? 1 : ENTRIES, cols);
  out(j, "y", j->t, j->s, cols);
  out(j, "dx", j->t, j->s, 4 * cols);
  if (j->variant & 1) {
    sum_of(j, "dw", (shape){1, cols}, 16 * j->s.rows);
    sum_of(j, "db", (shape){1, cols}, 16 * j->s.rows);
  }
  if (j->variant & 2) {
    sum_of(j, "dshift", (shape){ENTRIES, cols}, 16 * j->s.rows);
    sum_of(j, "dscale", (shape){ENTRIES, cols}, 16 * j->s.rows);
  }
  twin_map(j->b, j->s.rows, j->s.rows > 1 ? -1 : 0, ENTRIES, j->map);
  j->run = run_norm;
}
static void test_norm(void **state) {
  (void)state;
  SWEEP("ln_mod", norm_shapes, 4, make_norm);
}

static const int head_dims[] = {64, 16, 128, 24, 31, 3, 256};

static void run_heads(job *j, int i) {
  ctx *c = &j->b->c[i];
  int dim = head_dims[j->variant], turn = dim % 2 == 0;
  op_headnorm_rope_args a = {.x = j->in[0]->v[i], .y = j->out[0]->v[i], .w = j->in[2]->v[i], .b = j->in[3]->v[i]};
  op_headnorm_rope_bwd_args g = {.x = a.x, .dy = j->in[1]->v[i], .dx = j->out[1]->v[i], .w = a.w};
  a.dim = g.dim = dim;
  a.eps = g.eps = 1e-6;
  if (turn) {
    a.map = g.map = j->map[i];
    a.cos = g.cos = j->in[4]->v[i];
    a.sin = g.sin = j->in[5]->v[i];
  }
  g.dw = j->out[2]->v[i];
  g.db = j->out[3]->v[i];
  twin_must(j->b, i, op_headnorm_rope(c, &a));
  twin_must(j->b, i, op_headnorm_rope_bwd(c, &g));
}
static void make_heads(job *j) {
  int64_t dim = head_dims[j->variant], half = dim / 2;
  shape s = {j->s.rows, j->s.cols * dim};
  in(j, j->t, s.rows, s.cols);
  in(j, j->t, s.rows, s.cols);
  in(j, j->t, 1, dim);
  in(j, j->t, 1, dim);
  in(j, DT_REAL, 5, half);
  in(j, DT_REAL, 5, half);
  out(j, "y", j->t, s, 4 * dim);
  out(j, "dx", j->t, s, 16 * dim);
  sum_of(j, "dw", (shape){1, dim}, 16 * s.rows * j->s.cols);
  sum_of(j, "db", (shape){1, dim}, 16 * s.rows * j->s.cols);
  twin_map(j->b, s.rows, -1, 5, j->map);
  j->run = run_heads;
}
static void test_headnorm(void **state) {
  (void)state;
  const shape shapes[] = {{1, 1}, {31, 3}, {65, 2}}; /* rows, heads */
  SWEEP("headnorm_rope", shapes, (int)(sizeof head_dims / sizeof head_dims[0]) - 2, make_heads);
}
static void test_wide_heads(void **state) {
  (void)state;
  const shape shapes[] = {{5, 2}};
  SWEEP("headnorm_rope", shapes, (int)(sizeof head_dims / sizeof head_dims[0]), make_heads);
}

static void run_pairs(job *j, int i) {
  ctx *c = &j->b->c[i];
  int heads = (int)j->s.cols;
  view q = j->in[0]->v[i], k = j->in[1]->v[i], v = j->in[2]->v[i];
  twin_must(j->b, i,
            op_attn_small(c, &(op_attn_small_args){.q = q, .k = k, .v = v, .o = j->out[0]->v[i], .heads = heads}));
  op_attn_small_bwd_args g = {.q = q, .k = k, .v = v, .d_o = j->in[3]->v[i], .heads = heads};
  g.dq = j->out[1]->v[i], g.dk = j->out[2]->v[i], g.dv = j->out[3]->v[i];
  twin_must(j->b, i, op_attn_small_bwd(c, &g));
}
static void make_pairs(job *j) {
  int64_t dim = head_dims[j->variant];
  shape s = {2 * j->s.rows, j->s.cols * dim};
  static const char *const names[] = {"o", "dq", "dk", "dv"};
  for (int k = 0; k < 4; k++) in(j, j->t, s.rows, s.cols);
  for (int k = 0; k < 4; k++) out(j, names[k], j->t, s, 16 * dim);
  j->run = run_pairs;
}
static void test_pairs(void **state) {
  (void)state;
  const shape shapes[] = {{1, 1}, {33, 2}};
  SWEEP("attn_small", shapes, 5, make_pairs);
}

/* --- products --- */

static void run_gemm(job *j, int i) {
  ctx *c = &j->b->c[i];
  int form = j->variant & 3, extra = j->variant / 4;
  op_gemm_args a = {.a = j->in[0]->v[i], .b = j->in[1]->v[i], .c = j->out[0]->v[i], .ta = form & 1, .tb = form >> 1};
  a.alpha = 0.5;
  if (extra >= 1) a.bias = j->in[2]->v[i];
  if (extra == 2) a.act = ACT_GELU_TANH, a.pre = j->out[1]->v[i];
  if (extra == 3) a.act = ACT_SILU;
  if (extra == 0) {
    twin_must(j->b, i, op_copy(c, a.c, j->in[3]->v[i]));
    a.beta = 1;
  }
  twin_must(j->b, i, op_gemm(c, &a));
}
static void make_gemm(job *j) {
  int64_t k = 40, form = j->variant & 3, extra = j->variant / 4;
  in(j, j->t, form & 1 ? k : j->s.rows, form & 1 ? j->s.rows : k);
  in(j, j->t, form >> 1 ? j->s.cols : k, form >> 1 ? k : j->s.cols);
  in(j, j->t, 1, j->s.cols);
  in(j, j->t, j->s.rows, j->s.cols);
  out(j, "c", j->t, j->s, 2 * k);
  /* The kernel's activation takes `pre` as it was rounded: half a step of bf16 at |pre| < 8, by a slope below 1.13.
   */
  if (j->t == DT_BF16 && extra >= 2) j->bound[0].floor = 1.13 * 8 / 512;
  if (extra == 2) out(j, "pre", j->t, j->s, 2 * k);
  j->run = run_gemm;
}
static void test_gemm(void **state) {
  (void)state;
  const shape shapes[] = {{1, 1}, {31, 33}, {65, 64}};
  SWEEP("gemm", shapes, 16, make_gemm);
}

/* Gradients in float from operands of the storage type, added to what is there. */
static void run_dw(job *j, int i) {
  op_gemm_args a = {.a = j->in[0]->v[i], .b = j->in[1]->v[i], .c = j->out[0]->v[i], .ta = 1, .alpha = 1, .beta = 1};
  twin_must(j->b, i, op_gemm(&j->b->c[i], &a));
}
static void make_dw(job *j) {
  in(j, j->t, 77, j->s.rows);
  in(j, j->t, 77, j->s.cols);
  sum_of(j, "dw", j->s, 77);
  j->run = run_dw;
}
static void test_dw(void **state) {
  (void)state;
  const shape shapes[] = {{1, 1}, {31, 33}, {64, 64}};
  SWEEP("gemm into float", shapes, 1, make_dw);
}

/* --- patches, losses, the optimiser --- */

static void run_patch(job *j, int i) {
  ctx *c = &j->b->c[i];
  op_patch_args a = {.latents = j->in[0]->v[i].p,
                     .rows = j->out[0]->v[i],
                     .frames = 4,
                     .channels = 3,
                     .height = 6,
                     .width = 10,
                     .p = 2,
                     .pt = j->variant + 1};
  twin_must(j->b, i, op_patch(c, &a));
  a.latents = j->out[1]->v[i].p;
  twin_must(j->b, i, op_unpatch(c, &a));
}
static void make_patch(job *j) {
  int pad = j->b->pad, pt = j->variant + 1;
  j->b->pad = 0;
  in(j, DT_REAL, 1, 4 * 3 * 6 * 10);
  j->b->pad = pad;
  out(j, "rows", j->t, (shape){4 / pt * 15, 3 * pt * 4}, 0);
  j->b->pad = 0;
  out(j, "latents", DT_REAL, (shape){1, 4 * 3 * 6 * 10}, 0);
  j->bound[0].rel = 0;
  j->run = run_patch;
}
static void test_patch(void **state) {
  (void)state;
  const shape shapes[] = {{1, 1}};
  SWEEP("patch", shapes, 2, make_patch);
}

/* op_mse's loss and op_sumsq are doubles: kept in a pair of floats' place. */
static void run_mse(job *j, int i) {
  ctx *c = &j->b->c[i];
  double sum[2] = {0.25, 0.5};
  void *at = NULL;
  twin_must(j->b, i, c->ops->alloc(c, sizeof sum, &at));
  twin_must(j->b, i, op_upload(c, at, sum, sizeof sum));
  op_mse_args a = {.pred = j->in[0]->v[i], .target = j->in[1]->v[i], .dpred = j->out[0]->v[i], .weight = 0.125};
  a.loss = at;
  twin_must(j->b, i, op_mse(c, &a));
  twin_must(j->b, i, op_sumsq(c, (double *)at + 1, j->in[2]->v[i].p, j->in[2]->v[i].cols));
  twin_must(j->b, i, op_download(c, sum, at, sizeof sum));
  c->ops->release(c, at);
  real as_real[2] = {(real)sum[0], (real)sum[1]};
  twin_must(j->b, i, op_upload(c, j->out[1]->v[i].p, as_real, sizeof as_real));
}
static void make_mse(job *j) {
  in(j, j->variant & 1 ? DT_REAL : j->t, j->s.rows, j->s.cols);
  in(j, j->variant & 2 ? DT_REAL : j->t, j->s.rows, j->s.cols);
  in(j, DT_REAL, 1, j->s.rows * j->s.cols);
  out(j, "dpred", j->in[0]->v[0].type, j->s, 0);
  out(j, "loss and sumsq", DT_REAL, (shape){1, 2}, 0);
  j->bound[1].rel = 2 * U24; /* the sums agree to double's last digits: one rounding to float */
  j->run = run_mse;
}
static void test_mse(void **state) {
  (void)state;
  const shape shapes[] = {{1, 1}, {31, 33}, {257, 520}};
  SWEEP("mse, sumsq", shapes, 4, make_mse);
}

static void run_adamw(job *j, int i) {
  ctx *c = &j->b->c[i];
  double scale = 0.75;
  void *at = NULL;
  twin_must(j->b, i, c->ops->alloc(c, sizeof scale, &at));
  twin_must(j->b, i, op_upload(c, at, &scale, sizeof scale));
  for (int k = 0; k < 3; k++) twin_must(j->b, i, op_copy(c, j->out[k]->v[i], j->in[k]->v[i]));
  op_adamw_args a = {.w = j->out[0]->v[i].p, .m = j->out[1]->v[i].p, .v = j->out[2]->v[i].p, .g = j->in[3]->v[i].p};
  a.n = j->s.cols, a.lr = 1e-2, a.beta1 = 0.9, a.beta2 = 0.95, a.eps = 1e-8, a.decay = 0.1, a.step = 3;
  if (j->variant) a.scale = at;
  twin_must(j->b, i, op_adamw(c, &a));
  twin_must(j->b, i, c->ops->sync(c));
  c->ops->release(c, at);
}
static void make_adamw(job *j) {
  for (int k = 0; k < 4; k++) j->in[j->n_in++] = twin_new(j->b, DT_REAL, 1, j->s.cols, k == 2 ? POSITIVE : NUMBERS);
  out(j, "w", DT_REAL, j->s, 0);
  out(j, "m", DT_REAL, j->s, 0);
  out(j, "v", DT_REAL, j->s, 0);
  j->run = run_adamw;
}
static void test_adamw(void **state) {
  (void)state;
  const shape shapes[] = {{1, 1}, {1, 3}, {1, 1023}, {1, 1028}};
  SWEEP("adamw", shapes, 2, make_adamw);
}

/* Sums and products of small integers are exact: every order gives the same bits. */
static void test_integers(void **state) {
  (void)state;
  static const struct {
    void (*make)(job *);
    int variants;
  } all[] = {{make_gate, 1}, {make_rows, 3}, {make_dw, 1}, {make_lincomb, 4}};
  for (int s = 0; s < 2; s++) {
    bench b;
    if (bench_open(&b, s ? DT_BF16 : DT_REAL)) skip();
    b.integers = 1;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
      for (int v = 0; v < all[i].variants; v++) {
        job j = {.b = &b, .s = {67, 64}, .t = s ? DT_BF16 : DT_REAL, .variant = v};
        snprintf(b.what, sizeof b.what, "integers, case %zu variant %d", i, v);
        all[i].make(&j);
        for (int k = 0; k < j.n_out; k++) j.bound[k].rel = 0;
        compare(&j);
      }
    bench_close(&b);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_move),     cmocka_unit_test(test_lincomb),    cmocka_unit_test(test_act),
      cmocka_unit_test(test_gate_add), cmocka_unit_test(test_add_rows),   cmocka_unit_test(test_norm),
      cmocka_unit_test(test_headnorm), cmocka_unit_test(test_wide_heads), cmocka_unit_test(test_pairs),
      cmocka_unit_test(test_gemm),     cmocka_unit_test(test_dw),         cmocka_unit_test(test_patch),
      cmocka_unit_test(test_mse),      cmocka_unit_test(test_adamw),      cmocka_unit_test(test_integers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
