/* Operations in float: values, messages of the fronts, counts, contexts, and bits over threads and levels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"
#include "ops_cases.h"

/* --- messages -------------------------------------------------------------------------------------------------- */

/* The null backend never follows a pointer, so every matrix here is only an address. */
typedef struct fronts {
  ctx c;
  char *next;
} fronts;

static view fake(fronts *f, int64_t rows, int64_t cols) {
  view v = view_of(f->next, rows, cols);
  f->next += 1 << 20;
  return v;
}

static view shifted(view v, int64_t by) {
  v.p = (real *)v.p + by;
  return v;
}

static const int32_t *fake_map(fronts *f) {
  return fake(f, 1, 1).p;
}

static fronts fronts_open(void) {
  fronts f = {.next = (char *)(uintptr_t)(1 << 24)};
  if (ctx_open(&f.c, &(ctx_options){.backend = "null"}) != OK) fail_msg("%s", f.c.err.text);
  return f;
}

#define REFUSED(f, code, text, call) check_error(&(f).c, call, code, text)
#define TAKES(ctx, call)                                                                                             \
  do {                                                                                                               \
    if ((call) != OK) fail_msg("%s", (ctx)->err.text);                                                               \
  } while (0)
#define ACCEPTED(f, call) TAKES(&(f).c, call)

static void fronts_operands(void **state) {
  (void)state;
  fronts f = fronts_open();
  view a = fake(&f, 4, 8), b = fake(&f, 4, 8), bad = a;
  ACCEPTED(f, op_copy(&f.c, a, b));
  bad.p = NULL;
  REFUSED(f, E_ARG, "op_copy: src [4,8] is NULL", op_copy(&f.c, b, bad));
  bad = a, bad.type = DT_BF16;
  REFUSED(f, E_UNSUPPORTED, "op_copy: dst is BF16, not F32", op_copy(&f.c, bad, b));
  bad = a, bad.ld = 7;
  REFUSED(f, E_SHAPE, "op_copy: dst [4,8] has a row stride of 7", op_copy(&f.c, bad, b));
  bad = a, bad.rows = -1;
  REFUSED(f, E_SHAPE, "op_copy: dst is [-1,8]", op_copy(&f.c, bad, b));
  bad = a, bad.cols = 0;
  REFUSED(f, E_SHAPE, "op_fill: dst is [4,0]", op_fill(&f.c, bad, 1));
  REFUSED(f, E_SHAPE, "op_copy: src [4,9] and dst [4,8] differ", op_copy(&f.c, a, fake(&f, 4, 9)));
  REFUSED(f, E_ARG, "op_copy: dst [4,8] overlaps src [4,8]", op_copy(&f.c, a, a));
  REFUSED(f, E_ARG, "op_copy: dst [4,8] overlaps src [4,8]", op_copy(&f.c, a, shifted(a, 31)));
  ACCEPTED(f, op_copy(&f.c, a, shifted(a, 32)));
  ctx_close(&f.c);
}

static view narrow(view v) {
  v.type = DT_BF16;
  return v;
}

/* What may be of which type when the context stores bfloat16. */
static void fronts_types(void **state) {
  (void)state;
  fronts f = {.next = (char *)(uintptr_t)(1 << 24)};
  if (ctx_open(&f.c, &(ctx_options){.backend = "null", .storage = DT_BF16}) != OK) fail_msg("%s", f.c.err.text);
  view a = fake(&f, 4, 8), b = fake(&f, 4, 8), w = fake(&f, 8, 8), y = fake(&f, 4, 8), half = a;
  half.type = DT_F16;
  ACCEPTED(f, op_cast(&f.c, narrow(a), b));
  ACCEPTED(f, op_cast(&f.c, b, narrow(a)));
  ACCEPTED(f, op_copy(&f.c, narrow(a), narrow(b)));
  REFUSED(f, E_UNSUPPORTED, "op_copy: src is F32 and dst is BF16", op_copy(&f.c, narrow(a), b));
  REFUSED(f, E_UNSUPPORTED, "op_cast: dst is F16, neither BF16 nor F32", op_cast(&f.c, half, b));
  REFUSED(f, E_UNSUPPORTED, "op_act: x is F32, not BF16",
          op_act_fwd(&f.c, &(op_act_args){.x = a, .y = narrow(y), .act = ACT_SILU}));
  op_gemm_args g = {.a = narrow(a), .b = narrow(w), .c = narrow(y), .alpha = 1};
  ACCEPTED(f, op_gemm(&f.c, &g));
  g.c = y;
  ACCEPTED(f, op_gemm(&f.c, &g));
  g.b = w;
  REFUSED(f, E_UNSUPPORTED, "op_gemm: b is F32 and a is BF16", op_gemm(&f.c, &g));
  g.a = a;
  ACCEPTED(f, op_gemm(&f.c, &g));
  g.c = narrow(y);
  REFUSED(f, E_UNSUPPORTED, "op_gemm: c is BF16, not F32", op_gemm(&f.c, &g));
  REFUSED(f, E_UNSUPPORTED, "op_colsum: dbias is BF16, not F32", op_colsum(&f.c, narrow(fake(&f, 1, 8)), narrow(a)));
  view other = view_typed(DT_BF16, (char *)a.p + 64, 4, 8);
  REFUSED(f, E_ARG, "op_cast: dst [4,8] overlaps src [4,8]", op_cast(&f.c, other, a));
  ACCEPTED(f, op_cast(&f.c, view_typed(DT_BF16, (char *)a.p + 128, 4, 8), a));
  /* half the bytes of reals are moved */
  f.c.count[OP_ACT] = (op_count){0};
  ACCEPTED(f, op_act_fwd(&f.c, &(op_act_args){.x = narrow(a), .y = narrow(y), .act = ACT_SILU}));
  assert_true(f.c.count[OP_ACT].bytes == 2 * 4 * 8 * 2);
  ctx_close(&f.c);
}

/* Column views of one matrix lie between each other without sharing an element. */
static void fronts_overlap(void **state) {
  (void)state;
  fronts f = fronts_open();
  view qkv = fake(&f, 6, 24), q = view_cols(qkv, 0, 8), k = view_cols(qkv, 8, 8), wrong = view_cols(qkv, 7, 8);
  ACCEPTED(f, op_copy(&f.c, q, k));
  REFUSED(f, E_ARG, "op_copy: dst [6,8] overlaps src [6,8]", op_copy(&f.c, q, wrong));
  ACCEPTED(f, op_copy(&f.c, view_rows(q, 0, 1), view_rows(k, 0, 1)));
  ACCEPTED(f, op_copy(&f.c, view_rows(q, 0, 3), view_rows(q, 3, 3)));
  REFUSED(f, E_ARG, "op_copy: dst [3,8] overlaps src [3,8]", op_copy(&f.c, view_rows(q, 0, 3), view_rows(q, 2, 3)));
  /* a single row beside the rows of a matrix */
  view one = view_of((real *)qkv.p + 3 * 24 + 8, 1, 8);
  ACCEPTED(f, op_colsum(&f.c, one, q));
  REFUSED(f, E_ARG, "op_colsum: dbias [1,8] overlaps dy [6,8]", op_colsum(&f.c, one, k));
  /* a view that goes over a row's end into the next row */
  view over = view_of((real *)qkv.p + 20, 5, 8);
  over.ld = 24;
  REFUSED(f, E_ARG, "op_copy: dst [5,8] overlaps src [5,8]", op_copy(&f.c, over, view_rows(q, 0, 5)));
  ACCEPTED(f, op_copy(&f.c, over, view_rows(k, 0, 5)));
  ctx_close(&f.c);
}

static void fronts_gemm(void **state) {
  (void)state;
  fronts f = fronts_open();
  view a = fake(&f, 8, 64), b = fake(&f, 32, 128), w = fake(&f, 32, 64), y = fake(&f, 8, 32);
  op_gemm_args g = {.a = a, .b = b, .c = y, .tb = 1, .alpha = 1};
  REFUSED(f, E_SHAPE, "op_gemm: a [8,64] and b [32,128] do not fit (transposed b)", op_gemm(&f.c, &g));
  g.tb = 0;
  REFUSED(f, E_SHAPE, "op_gemm: a [8,64] and b [32,128] do not fit", op_gemm(&f.c, &g));
  g.ta = 1;
  REFUSED(f, E_SHAPE, "op_gemm: a [8,64] and b [32,128] do not fit (transposed a)", op_gemm(&f.c, &g));
  g.tb = 1;
  REFUSED(f, E_SHAPE, "op_gemm: a [8,64] and b [32,128] do not fit (both transposed)", op_gemm(&f.c, &g));
  g = (op_gemm_args){.a = a, .b = w, .c = fake(&f, 8, 33), .tb = 1, .alpha = 1};
  REFUSED(f, E_SHAPE, "op_gemm: c is [8,33], must be [8,32]", op_gemm(&f.c, &g));
  g.c = y, g.bias = fake(&f, 1, 31);
  REFUSED(f, E_SHAPE, "op_gemm: bias is [1,31], must be [1,32]", op_gemm(&f.c, &g));
  g.bias = fake(&f, 1, 32), g.pre = fake(&f, 7, 32);
  REFUSED(f, E_SHAPE, "op_gemm: pre is [7,32], must be [8,32]", op_gemm(&f.c, &g));
  g.pre = y;
  REFUSED(f, E_ARG, "op_gemm: pre [8,32] overlaps c [8,32]", op_gemm(&f.c, &g));
  g.pre = fake(&f, 8, 32), g.act = (op_act)7;
  REFUSED(f, E_ARG, "op_gemm: unknown activation 7", op_gemm(&f.c, &g));
  g.act = ACT_SILU, g.c = view_cols(a, 0, 32);
  REFUSED(f, E_ARG, "op_gemm: c [8,32] overlaps a [8,64]", op_gemm(&f.c, &g));
  g.c = view_of(w.p, 8, 32);
  REFUSED(f, E_ARG, "op_gemm: c [8,32] overlaps b [32,64]", op_gemm(&f.c, &g));
  g.c = y, g.bias = view_rows(y, 7, 1);
  REFUSED(f, E_ARG, "op_gemm: c [8,32] overlaps bias [1,32]", op_gemm(&f.c, &g));
  g.bias = (view){0}, g.pre = (view){0};
  ACCEPTED(f, op_gemm(&f.c, &g));
  assert_true(f.c.count[OP_GEMM].calls == 1);
  assert_true(f.c.count[OP_GEMM].flops == 2.0 * 8 * 32 * 64);
  assert_true(f.c.count[OP_GEMM].bytes == sizeof(real) * (8.0 * 64 + 32 * 64 + 8 * 32));
  ctx_close(&f.c);
}

static void fronts_text(void **state) {
  (void)state;
  fronts f = fronts_open();
  view x = fake(&f, 6, 16), y = fake(&f, 6, 16), w = fake(&f, 1, 16);
  op_rmsnorm_args r = {.x = x, .y = y, .w = fake(&f, 1, 15), .eps = 1e-6};
  REFUSED(f, E_SHAPE, "op_rmsnorm: w is [1,15], must be [1,16]", op_rmsnorm(&f.c, &r));
  r.w = w, r.eps = -1;
  REFUSED(f, E_ARG, "op_rmsnorm: eps is -1", op_rmsnorm(&f.c, &r));
  r.eps = 1e-6, r.y = view_rows(x, 1, 6);
  REFUSED(f, E_ARG, "op_rmsnorm: y [6,16] overlaps x [6,16]", op_rmsnorm(&f.c, &r));
  r.y = x;
  ACCEPTED(f, op_rmsnorm(&f.c, &r));
  assert_true(f.c.count[OP_RMSNORM].flops == 4.0 * 6 * 16);
  op_act_mul_args m = {.x = x, .g = fake(&f, 5, 16), .y = y, .act = ACT_GELU_TANH};
  REFUSED(f, E_SHAPE, "op_act_mul: g [5,16] and x [6,16] differ", op_act_mul(&f.c, &m));
  m.g = y, m.act = (op_act)9;
  REFUSED(f, E_ARG, "op_act_mul: unknown activation 9", op_act_mul(&f.c, &m));
  m.act = ACT_GELU_TANH;
  ACCEPTED(f, op_act_mul(&f.c, &m));
  assert_true(f.c.count[OP_ACT_MUL].flops == 9.0 * 6 * 16);
  op_softmax_rel_args s = {.x = fake(&f, 12, 4), .y = fake(&f, 12, 4), .table = fake(&f, 8, 2)};
  REFUSED(f, E_SHAPE, "op_softmax_rel: x [12,4] is not [2 * n, n], with a column of table [8,2] for each head",
          op_softmax_rel(&f.c, &s));
  s.table = fake(&f, 8, 3);
  REFUSED(f, E_ARG, "op_softmax_rel: bias needs a row map", op_softmax_rel(&f.c, &s));
  s.bucket = fake_map(&f);
  ACCEPTED(f, op_softmax_rel(&f.c, &s));
  assert_true(f.c.count[OP_SOFTMAX_REL].flops == 6.0 * 12 * 4);
  ctx_close(&f.c);
}

static void fronts_ln(void **state) {
  (void)state;
  fronts f = fronts_open();
  view x = fake(&f, 6, 16), y = fake(&f, 6, 16), w = fake(&f, 1, 16), t = fake(&f, 2, 16);
  const int32_t *map = fake_map(&f);
  op_ln_mod_args a = {.x = x, .y = fake(&f, 5, 16), .eps = 1e-5};
  REFUSED(f, E_SHAPE, "op_ln_mod: y [5,16] and x [6,16] differ", op_ln_mod(&f.c, &a));
  a.y = y, a.w = w;
  REFUSED(f, E_ARG, "op_ln_mod: w is there without b", op_ln_mod(&f.c, &a));
  a.w = (view){0}, a.b = w;
  REFUSED(f, E_ARG, "op_ln_mod: b is there without w", op_ln_mod(&f.c, &a));
  a.w = fake(&f, 1, 15);
  REFUSED(f, E_SHAPE, "op_ln_mod: w is [1,15], must be [1,16]", op_ln_mod(&f.c, &a));
  a.w = a.b = (view){0}, a.shift = t;
  REFUSED(f, E_ARG, "op_ln_mod: modulation needs a row map", op_ln_mod(&f.c, &a));
  a.map = map, a.scale = fake(&f, 3, 16);
  REFUSED(f, E_SHAPE, "op_ln_mod: scale is [3,16], must be [2,16]", op_ln_mod(&f.c, &a));
  a.scale = fake(&f, 2, 8);
  REFUSED(f, E_SHAPE, "op_ln_mod: scale is [2,8], must be [2,16]", op_ln_mod(&f.c, &a));
  a.scale = (view){0}, a.eps = -1;
  REFUSED(f, E_ARG, "op_ln_mod: eps is -1", op_ln_mod(&f.c, &a));
  a.eps = 1e-5, a.y = shifted(x, 1);
  REFUSED(f, E_ARG, "op_ln_mod: y [6,16] overlaps x [6,16]", op_ln_mod(&f.c, &a));
  a.y = view_of((real *)t.p - 80, 6, 16);
  REFUSED(f, E_ARG, "op_ln_mod: y [6,16] overlaps shift [2,16]", op_ln_mod(&f.c, &a));
  a.y = x;
  ACCEPTED(f, op_ln_mod(&f.c, &a));
  assert_true(f.c.count[OP_LN_MOD].flops == 7.0 * 6 * 16);
  ctx_close(&f.c);
}

static void fronts_ln_bwd(void **state) {
  (void)state;
  fronts f = fronts_open();
  view x = fake(&f, 6, 16), dy = fake(&f, 6, 16), w = fake(&f, 1, 16), b = fake(&f, 1, 16), t = fake(&f, 2, 16);
  op_ln_mod_bwd_args a = {.x = x, .dy = dy, .dx = fake(&f, 6, 17), .eps = 1e-5};
  REFUSED(f, E_SHAPE, "op_ln_mod_bwd: dx [6,17] and x [6,16] differ", op_ln_mod_bwd(&f.c, &a));
  a.dx = dy, a.dw = fake(&f, 1, 16);
  REFUSED(f, E_ARG, "op_ln_mod_bwd: dw and db need w and b", op_ln_mod_bwd(&f.c, &a));
  a.w = w, a.b = b, a.dw = w;
  REFUSED(f, E_ARG, "op_ln_mod_bwd: dw [1,16] overlaps w [1,16]", op_ln_mod_bwd(&f.c, &a));
  a.dw = a.db = fake(&f, 1, 16);
  REFUSED(f, E_ARG, "op_ln_mod_bwd: db [1,16] overlaps dw [1,16]", op_ln_mod_bwd(&f.c, &a));
  a.db = fake(&f, 1, 16), a.dscale = t;
  REFUSED(f, E_ARG, "op_ln_mod_bwd: dscale needs scale", op_ln_mod_bwd(&f.c, &a));
  a.scale = fake(&f, 3, 16);
  REFUSED(f, E_SHAPE, "op_ln_mod_bwd: dscale is [2,16], must be [3,16]", op_ln_mod_bwd(&f.c, &a));
  a.dscale = (view){0}, a.dshift = t;
  REFUSED(f, E_SHAPE, "op_ln_mod_bwd: dshift is [2,16], must be [3,16]", op_ln_mod_bwd(&f.c, &a));
  a.scale = (view){0};
  REFUSED(f, E_ARG, "op_ln_mod_bwd: modulation needs a row map", op_ln_mod_bwd(&f.c, &a));
  a.map = fake_map(&f), a.dx = x;
  REFUSED(f, E_ARG, "op_ln_mod_bwd: dx [6,16] overlaps x [6,16]", op_ln_mod_bwd(&f.c, &a));
  a.dx = dy;
  ACCEPTED(f, op_ln_mod_bwd(&f.c, &a));
  ctx_close(&f.c);
}

static void fronts_heads(void **state) {
  (void)state;
  fronts f = fronts_open();
  view x = fake(&f, 6, 16), y = fake(&f, 6, 16), w = fake(&f, 1, 8), t = fake(&f, 3, 4);
  op_headnorm_rope_args a = {.x = x, .y = y, .w = w, .b = w, .cos = t, .sin = t, .dim = 5, .eps = 1e-6};
  REFUSED(f, E_SHAPE, "op_headnorm_rope: x [6,16] is no whole number of heads of 5", op_headnorm_rope(&f.c, &a));
  a.dim = 0;
  REFUSED(f, E_ARG, "op_headnorm_rope: head dim is 0", op_headnorm_rope(&f.c, &a));
  a.dim = 4;
  REFUSED(f, E_SHAPE, "op_headnorm_rope: w is [1,8], must be [1,4]", op_headnorm_rope(&f.c, &a));
  a.dim = 8, a.map = fake_map(&f), a.cos = fake(&f, 3, 8);
  REFUSED(f, E_SHAPE, "op_headnorm_rope: cos is [3,8], must be [3,4]", op_headnorm_rope(&f.c, &a));
  a.cos = t, a.sin = fake(&f, 2, 4);
  REFUSED(f, E_SHAPE, "op_headnorm_rope: sin [2,4] and cos [3,4] differ", op_headnorm_rope(&f.c, &a));
  a.sin = t, a.b = (view){.cols = 8, .rows = 1, .ld = 8, .type = DT_REAL};
  REFUSED(f, E_ARG, "op_headnorm_rope: b [1,8] is NULL", op_headnorm_rope(&f.c, &a));
  a.b = w, a.y = shifted(x, 8);
  REFUSED(f, E_ARG, "op_headnorm_rope: y [6,16] overlaps x [6,16]", op_headnorm_rope(&f.c, &a));
  a.y = x;
  ACCEPTED(f, op_headnorm_rope(&f.c, &a));
  view odd = fake(&f, 6, 9);
  a = (op_headnorm_rope_args){.x = odd, .y = odd, .w = w, .b = w, .map = a.map, .dim = 3, .eps = 0};
  REFUSED(f, E_SHAPE, "op_headnorm_rope: rotation needs an even head dim, not 3", op_headnorm_rope(&f.c, &a));
  op_headnorm_rope_bwd_args b = {.x = x, .dy = y, .dx = x, .w = w, .dim = 8};
  REFUSED(f, E_ARG, "op_headnorm_rope_bwd: dx [6,16] overlaps x [6,16]", op_headnorm_rope_bwd(&f.c, &b));
  b.dx = y, b.dw = w;
  REFUSED(f, E_ARG, "op_headnorm_rope_bwd: dw [1,8] overlaps w [1,8]", op_headnorm_rope_bwd(&f.c, &b));
  b.dw = fake(&f, 1, 16);
  REFUSED(f, E_SHAPE, "op_headnorm_rope_bwd: dw is [1,16], must be [1,8]", op_headnorm_rope_bwd(&f.c, &b));
  b.dw = (view){0};
  ACCEPTED(f, op_headnorm_rope_bwd(&f.c, &b));
  ctx_close(&f.c);
}

static void fronts_attn(void **state) {
  (void)state;
  fronts f = fronts_open();
  view q = fake(&f, 20, 16), k = fake(&f, 20, 16), v = fake(&f, 20, 16), o = fake(&f, 20, 16), lse = fake(&f, 2, 20);
  attn_group g[2] = {{.nq = 1, .nk = 2, .q = {{0, 5, 0}}, .k = {{0, 5, 0}, {10, 20, 0}}},
                     {.nq = 1, .nk = 1, .q = {{5, 20, 0}}, .k = {{0, 20, 0}}}};
  op_attn_args a = {.q = q, .k = k, .v = v, .o = o, .lse = fake(&f, 2, 19), .groups = g, .n_groups = 2, .dim = 8};
  REFUSED(f, E_SHAPE, "op_attn: lse is [2,19], must be [2,20]", op_attn(&f.c, &a));
  a.lse = lse, a.dim = 7;
  REFUSED(f, E_SHAPE, "op_attn: q [20,16] is no whole number of heads of 7", op_attn(&f.c, &a));
  a.dim = 8, a.v = fake(&f, 21, 16);
  REFUSED(f, E_SHAPE, "op_attn: v [21,16] and q [20,16] differ", op_attn(&f.c, &a));
  a.v = v, a.o = v;
  REFUSED(f, E_ARG, "op_attn: o [20,16] overlaps v [20,16]", op_attn(&f.c, &a));
  a.o = o, g[0].nk = 9;
  REFUSED(f, E_ARG, "op_attn: group 0 has 9 key spans, must be 1 to 8", op_attn(&f.c, &a));
  g[0].nk = 2, g[0].k[1].r1 = 21;
  REFUSED(f, E_SHAPE, "op_attn: group 0: key span [10,21) is not within 20 rows", op_attn(&f.c, &a));
  g[0].k[1] = (attn_span){4, 20, 0};
  REFUSED(f, E_ARG, "op_attn: group 0: key spans 0 and 1 overlap", op_attn(&f.c, &a));
  g[0].k[1] = (attn_span){10, 20, 0}, g[1].q[0].r0 = 4;
  REFUSED(f, E_ARG, "op_attn: a row is a query of group 0 and of group 1", op_attn(&f.c, &a));
  g[1].q[0].r0 = 5, a.groups = NULL;
  REFUSED(f, E_ARG, "op_attn: 2 groups at NULL", op_attn(&f.c, &a));
  a.groups = g;
  ACCEPTED(f, op_attn(&f.c, &a));
  assert_true(f.c.count[OP_ATTN].flops == 4.0 * (5 * 15 + 15 * 20) * 16);
  op_attn_bwd_args b = {.q = q, .k = k, .v = v, .o = o, .lse = lse, .d_o = fake(&f, 20, 16), .dq = q, .dk = q};
  b.dv = fake(&f, 20, 16), b.delta = fake(&f, 2, 20), b.groups = g, b.n_groups = 2, b.dim = 8, b.kv_from = 21;
  REFUSED(f, E_SHAPE, "op_attn_bwd: kv_from is 21 of 20 rows", op_attn_bwd(&f.c, &b));
  b.kv_from = 12;
  REFUSED(f, E_ARG, "op_attn_bwd: dq [20,16] overlaps q [20,16]", op_attn_bwd(&f.c, &b));
  b.dq = b.dk = fake(&f, 20, 16);
  REFUSED(f, E_ARG, "op_attn_bwd: dk [20,16] overlaps dq [20,16]", op_attn_bwd(&f.c, &b));
  b.dk = fake(&f, 20, 16);
  ACCEPTED(f, op_attn_bwd(&f.c, &b));
  assert_true(f.c.count[OP_ATTN_BWD].flops == (6.0 * (5 * 15 + 15 * 20) + 4.0 * (5 * 8 + 15 * 8)) * 16);
  ctx_close(&f.c);
}

static void fronts_attn_small(void **state) {
  (void)state;
  fronts f = fronts_open();
  view q = fake(&f, 6, 16), k = fake(&f, 6, 16), v = fake(&f, 6, 16), o = fake(&f, 6, 16);
  op_attn_small_args a = {.q = q, .k = k, .v = v, .o = o, .heads = 3};
  REFUSED(f, E_SHAPE, "op_attn_small: q [6,16] does not divide into 3 heads", op_attn_small(&f.c, &a));
  a.heads = 2, a.o = k;
  REFUSED(f, E_ARG, "op_attn_small: o [6,16] overlaps k [6,16]", op_attn_small(&f.c, &a));
  a.o = o, a.k = fake(&f, 4, 16);
  REFUSED(f, E_SHAPE, "op_attn_small: k [4,16] and q [6,16] differ", op_attn_small(&f.c, &a));
  a.k = k;
  ACCEPTED(f, op_attn_small(&f.c, &a));
  assert_true(f.c.count[OP_ATTN_SMALL].flops == 4.0 * 4 * 8 * 3 * 2);
  a.q = a.k = a.v = view_rows(q, 0, 5), a.o = view_rows(o, 0, 5);
  REFUSED(f, E_SHAPE, "op_attn_small: q [5,16] is no whole number of pairs of rows", op_attn_small(&f.c, &a));
  op_attn_small_bwd_args b = {.q = q, .k = k, .v = v, .d_o = o, .dq = fake(&f, 6, 16), .heads = 2};
  b.dk = b.dq, b.dv = o;
  REFUSED(f, E_ARG, "op_attn_small_bwd: dk [6,16] overlaps dq [6,16]", op_attn_small_bwd(&f.c, &b));
  b.dk = fake(&f, 6, 16);
  REFUSED(f, E_ARG, "op_attn_small_bwd: dv [6,16] overlaps d_o [6,16]", op_attn_small_bwd(&f.c, &b));
  b.dv = fake(&f, 6, 16);
  ACCEPTED(f, op_attn_small_bwd(&f.c, &b));
  ctx_close(&f.c);
}

static void fronts_tables(void **state) {
  (void)state;
  fronts f = fronts_open();
  view x = fake(&f, 6, 16), y = fake(&f, 6, 16), t = fake(&f, 2, 16), narrow = fake(&f, 2, 8);
  const int32_t *map = fake_map(&f);
  op_gate_add_args g = {.x = x, .y = y, .gate = t};
  REFUSED(f, E_ARG, "op_gate_add: gate needs a row map", op_gate_add(&f.c, &g));
  g.map = map, g.gate = narrow;
  REFUSED(f, E_SHAPE, "op_gate_add: gate is [2,8], must be [2,16]", op_gate_add(&f.c, &g));
  g.gate = t, g.y = x;
  REFUSED(f, E_ARG, "op_gate_add: x [6,16] overlaps y [6,16]", op_gate_add(&f.c, &g));
  g.y = fake(&f, 6, 15);
  REFUSED(f, E_SHAPE, "op_gate_add: y [6,15] and x [6,16] differ", op_gate_add(&f.c, &g));
  op_gate_add_bwd_args b = {.dx = x, .dy = y, .gate = t, .dgate = narrow, .map = map};
  REFUSED(f, E_SHAPE, "op_gate_add_bwd: dgate is [2,8], must be [2,16]", op_gate_add_bwd(&f.c, &b));
  b.dgate = fake(&f, 2, 16), b.y = (view){.rows = 6, .cols = 16, .ld = 16, .type = DT_REAL};
  REFUSED(f, E_ARG, "op_gate_add_bwd: y [6,16] is NULL", op_gate_add_bwd(&f.c, &b));
  b.y = y;
  REFUSED(f, E_ARG, "op_gate_add_bwd: dy [6,16] overlaps y [6,16]", op_gate_add_bwd(&f.c, &b));
  b.y = (view){0}, b.dgate = (view){0}, b.dy = x;
  REFUSED(f, E_ARG, "op_gate_add_bwd: dy [6,16] overlaps dx [6,16]", op_gate_add_bwd(&f.c, &b));
  b.dy = y, b.map = NULL;
  REFUSED(f, E_ARG, "op_gate_add_bwd: gate needs a row map", op_gate_add_bwd(&f.c, &b));
  op_add_rows_args r = {.x = x, .table = narrow};
  REFUSED(f, E_SHAPE, "op_add_rows: table is [2,8], must be [2,16]", op_add_rows(&f.c, &r));
  r.table = view_rows(x, 2, 2);
  REFUSED(f, E_ARG, "op_add_rows: x [6,16] overlaps table [2,16]", op_add_rows(&f.c, &r));
  op_add_rows_bwd_args d = {.dx = x, .dtable = narrow};
  REFUSED(f, E_SHAPE, "op_add_rows_bwd: dtable is [2,8], must be [2,16]", op_add_rows_bwd(&f.c, &d));
  d.dtable = view_rows(x, 2, 2);
  REFUSED(f, E_ARG, "op_add_rows_bwd: dtable [2,16] overlaps dx [6,16]", op_add_rows_bwd(&f.c, &d));
  REFUSED(f, E_SHAPE, "op_colsum: dbias is [2,16], must be [1,16]", op_colsum(&f.c, t, x));
  ctx_close(&f.c);
}

static void fronts_elementwise(void **state) {
  (void)state;
  fronts f = fronts_open();
  view x = fake(&f, 6, 16), y = fake(&f, 6, 16), d = fake(&f, 6, 15);
  op_lincomb_args l = {.y = y, .n = 5};
  REFUSED(f, E_ARG, "op_lincomb: 5 terms, must be 1 to 4", op_lincomb(&f.c, &l));
  l.n = 2, l.x[0] = y, l.x[1] = d;
  REFUSED(f, E_SHAPE, "op_lincomb: x[1] [6,15] and y [6,16] differ", op_lincomb(&f.c, &l));
  l.x[1] = shifted(y, -3);
  REFUSED(f, E_ARG, "op_lincomb: y [6,16] overlaps x[1] [6,16]", op_lincomb(&f.c, &l));
  op_act_args a = {.x = x, .y = d};
  REFUSED(f, E_SHAPE, "op_act: y [6,15] and x [6,16] differ", op_act_fwd(&f.c, &a));
  a.y = shifted(x, 1);
  REFUSED(f, E_ARG, "op_act: y [6,16] overlaps x [6,16]", op_act_fwd(&f.c, &a));
  a.y = y, a.act = (op_act)-1;
  REFUSED(f, E_ARG, "op_act: unknown activation -1", op_act_fwd(&f.c, &a));
  op_act_bwd_args b = {.x = x, .dy = y, .dx = x};
  REFUSED(f, E_ARG, "op_act_bwd: dx [6,16] overlaps x [6,16]", op_act_bwd(&f.c, &b));
  b.dx = d;
  REFUSED(f, E_SHAPE, "op_act_bwd: dx [6,15] and x [6,16] differ", op_act_bwd(&f.c, &b));
  b.dx = y, b.act = (op_act)3;
  REFUSED(f, E_ARG, "op_act_bwd: unknown activation 3", op_act_bwd(&f.c, &b));
  op_patch_args p = {.latents = x.p, .rows = fake(&f, 6, 16), .frames = 1, .channels = 4, .height = 4, .width = 6};
  REFUSED(f, E_ARG, "op_patch: latents [1,4,4,6], patch 0, 0 frames: sizes must be positive", op_patch(&f.c, &p));
  p.p = 2, p.pt = 2;
  REFUSED(f, E_SHAPE, "op_patch: latents [1,4,4,6] do not divide into patches of 2 frames, 2x2", op_patch(&f.c, &p));
  p.pt = 1, p.rows = fake(&f, 5, 16);
  REFUSED(f, E_SHAPE, "op_unpatch: rows is [5,16], must be [6,16]", op_unpatch(&f.c, &p));
  p.rows = fake(&f, 6, 16), p.latents = NULL;
  REFUSED(f, E_ARG, "op_unpatch: latents [16,6] is NULL", op_unpatch(&f.c, &p));
  p.latents = p.rows.p;
  REFUSED(f, E_ARG, "op_patch: rows [6,16] overlaps latents [16,6]", op_patch(&f.c, &p));
  ctx_close(&f.c);
}

static void fronts_training(void **state) {
  (void)state;
  fronts f = fronts_open();
  view x = fake(&f, 6, 16), y = fake(&f, 6, 16), d = fake(&f, 6, 15);
  double *loss = fake(&f, 1, 1).p;
  op_mse_args m = {.pred = x, .target = y, .weight = 1};
  REFUSED(f, E_ARG, "op_mse: loss is NULL", op_mse(&f.c, &m));
  m.loss = loss, m.target = d;
  REFUSED(f, E_SHAPE, "op_mse: target [6,15] and pred [6,16] differ", op_mse(&f.c, &m));
  m.target = y, m.dpred = d;
  REFUSED(f, E_SHAPE, "op_mse: dpred is [6,15], must be [6,16]", op_mse(&f.c, &m));
  m.dpred = x;
  REFUSED(f, E_ARG, "op_mse: dpred [6,16] overlaps pred [6,16]", op_mse(&f.c, &m));
  REFUSED(f, E_ARG, "op_sumsq: out is NULL", op_sumsq(&f.c, NULL, x.p, 4));
  REFUSED(f, E_ARG, "op_sumsq: x is NULL", op_sumsq(&f.c, loss, NULL, 4));
  REFUSED(f, E_SHAPE, "op_sumsq: -4 elements", op_sumsq(&f.c, loss, x.p, -4));
  op_adamw_args a = {.w = x.p, .m = y.p, .v = d.p, .n = 9, .step = 1};
  REFUSED(f, E_ARG, "op_adamw: g is NULL", op_adamw(&f.c, &a));
  a.g = fake(&f, 1, 9).p, a.step = 0;
  REFUSED(f, E_ARG, "op_adamw: step is 0, the first is 1", op_adamw(&f.c, &a));
  a.step = 1, a.beta1 = 1;
  REFUSED(f, E_ARG, "op_adamw: betas are 1 and 0", op_adamw(&f.c, &a));
  REFUSED(f, E_ARG, "op_upload: dst is NULL", op_upload(&f.c, NULL, loss, 8));
  REFUSED(f, E_ARG, "op_upload: host is NULL", op_upload(&f.c, loss, NULL, 8));
  REFUSED(f, E_ARG, "op_download: host is NULL", op_download(&f.c, NULL, loss, 8));
  REFUSED(f, E_ARG, "op_download: src is NULL", op_download(&f.c, loss, NULL, 8));
  /* a refused call is not counted */
  for (int i = 0; i < OP_COUNT; i++) assert_true(f.c.count[i].calls == 0 && f.c.count[i].flops == 0);
  ctx_close(&f.c);
}

/* A map is in backend memory, so the backend looks at it. */
static void map_range(void **state) {
  (void)state;
  ctx c;
  if (ctx_open(&c, &(ctx_options){.backend = "cpu", .threads = 1}) != OK) fail_msg("%s", c.err.text);
  mat x = mat_random(3, 4, 0, 1, -1, 1), y = mat_random(3, 4, 0, 2, -1, 1), t = mat_random(2, 4, 0, 3, -1, 1);
  mat before = mat_copy(&x);
  const int32_t map[] = {0, -5, 2};
  op_gate_add_args g = {.x = x.v, .y = y.v, .gate = t.v, .map = map};
  check_error(&c, op_gate_add(&c, &g), E_ARG, "op_gate_add: map[2] is 2, the table has 2 rows");
  op_add_rows_args a = {.x = x.v, .table = t.v, .map = map};
  check_error(&c, op_add_rows(&c, &a), E_ARG, "op_add_rows: map[2] is 2, the table has 2 rows");
  op_ln_mod_args l = {.x = x.v, .y = x.v, .scale = t.v, .map = map};
  check_error(&c, op_ln_mod(&c, &l), E_ARG, "op_ln_mod: map[2] is 2, the table has 2 rows");
  mat_unchanged("refused calls", &x, &before);
  const int32_t far[] = {0, 1, 2};
  op_softmax_rel_args rel = {.x = view_of(x.v.p, 2, 2), .y = view_of(x.v.p, 2, 2), .bucket = far};
  rel.table = view_of(t.v.p, 2, 1);
  check_error(&c, op_softmax_rel(&c, &rel), E_ARG, "op_softmax_rel: bucket[2] is 2, the table has 2 rows");
  op_ln_mod_args wide = {.x = view_of(x.v.p, 1, 1 << 20), .y = view_of(x.v.p, 1, 1 << 20)};
  check_error(&c, op_ln_mod(&c, &wide), E_UNSUPPORTED,
              "op_ln_mod: 1048576 columns are more than the cpu backend's scratch holds");
  mat_free(&x), mat_free(&y), mat_free(&t), mat_free(&before);
  ctx_close(&c);
}

/* --- every operation once, on any backend ---------------------------------------------------------------------- */

typedef struct sweep {
  ctx c;
  uint64_t hash[OP_COUNT]; /* of the outputs of each operation */
  uint32_t tag;
  void *held[128];
  int n;
} sweep;

static void *hold(sweep *s, size_t bytes) {
  if (s->n == 128 || s->c.ops->alloc(&s->c, bytes, &s->held[s->n]) != OK) fail_msg("%s", s->c.err.text);
  return s->held[s->n++];
}

/* Backend matrix with random contents (all backends the same). */
static view data(sweep *s, int64_t rows, int64_t cols) {
  real *host = malloc((size_t)(rows * cols) * sizeof(real));
  void *p = hold(s, (size_t)(rows * cols) * sizeof(real));
  if (!host) fail_msg("no memory");
  check_fill(host, rows * cols, s->tag++, -1, 1);
  ACCEPTED(*s, op_upload(&s->c, p, host, (size_t)(rows * cols) * sizeof(real)));
  free(host);
  return view_of(p, rows, cols);
}

static const int32_t *data_map(sweep *s, int64_t rows, int32_t table) {
  int32_t *host = malloc((size_t)rows * sizeof *host), *p = hold(s, (size_t)rows * sizeof *host);
  if (!host) fail_msg("no memory");
  for (int64_t r = 0; r < rows; r++) host[r] = r % 11 == 5 ? -1 : (int32_t)(r / 40) % table;
  ACCEPTED(*s, op_upload(&s->c, p, host, (size_t)rows * sizeof *host));
  free(host);
  return p;
}

static void taken(sweep *s, op_id id, const void *p, size_t bytes) {
  void *host = malloc(bytes);
  if (!host) fail_msg("no memory");
  ACCEPTED(*s, op_download(&s->c, host, p, bytes));
  s->hash[id] = s->hash[id] * 31 + check_hash(host, bytes);
  free(host);
}

static void taken_view(sweep *s, op_id id, view v) {
  taken(s, id, v.p, (size_t)(v.rows * v.ld) * sizeof(real));
}

#define ROWS 330
#define COLS 192

static void sweep_elementwise(sweep *s) {
  ctx *c = &s->c;
  view x = data(s, ROWS, COLS), y = data(s, ROWS, COLS), z = data(s, ROWS, COLS);
  ACCEPTED(*s, op_fill(c, y, 0.5));
  taken_view(s, OP_FILL, y);
  ACCEPTED(*s, op_copy(c, y, x));
  taken_view(s, OP_COPY, y);
  ACCEPTED(*s, op_cast(c, z, x));
  taken_view(s, OP_CAST, z);
  ACCEPTED(*s, op_lincomb(c, &(op_lincomb_args){.y = z, .n = 3, .x = {x, y, z}, .c = {0.3, -1.1, 0.7}}));
  taken_view(s, OP_LINCOMB, z);
  for (op_act act = ACT_GELU_TANH; act <= ACT_SILU; act++) {
    ACCEPTED(*s, op_act_fwd(c, &(op_act_args){.x = x, .y = y, .act = act}));
    taken_view(s, OP_ACT, y);
    ACCEPTED(*s, op_act_bwd(c, &(op_act_bwd_args){.x = x, .dy = z, .dx = y, .act = act}));
    taken_view(s, OP_ACT_BWD, y);
  }
  view bias = data(s, 1, COLS);
  ACCEPTED(*s, op_colsum(c, bias, x));
  taken_view(s, OP_COLSUM, bias);
  op_patch_args p = {.latents = x.p, .rows = data(s, 330, 192), .frames = 10, .channels = 6, .height = 44};
  p.width = 24, p.p = 4, p.pt = 2;
  ACCEPTED(*s, op_patch(c, &p));
  taken_view(s, OP_PATCH, p.rows);
  p.latents = z.p;
  ACCEPTED(*s, op_unpatch(c, &p));
  taken_view(s, OP_UNPATCH, z);
}

static void sweep_training(sweep *s) {
  ctx *c = &s->c;
  view x = data(s, ROWS, COLS), y = data(s, ROWS, COLS), z = data(s, ROWS, COLS);
  double zero[2] = {0}, *sums = hold(s, sizeof zero);
  ACCEPTED(*s, op_upload(c, sums, zero, sizeof zero));
  ACCEPTED(*s, op_mse(c, &(op_mse_args){.pred = x, .target = y, .dpred = z, .weight = 0.01, .loss = sums}));
  taken_view(s, OP_MSE, z);
  taken(s, OP_MSE, sums, sizeof *sums);
  ACCEPTED(*s, op_sumsq(c, sums + 1, x.p, ROWS * COLS));
  taken(s, OP_SUMSQ, sums + 1, sizeof *sums);
  view w = data(s, ROWS, COLS), m = data(s, ROWS, COLS), v = data(s, ROWS, COLS);
  ACCEPTED(*s, op_fill(c, v, 0.25));
  op_adamw_args a = {.w = w.p, .m = m.p, .v = v.p, .g = x.p, .n = ROWS * COLS, .lr = 0.01, .beta1 = 0.9};
  a.beta2 = 0.95, a.eps = 1e-8, a.decay = 0.1, a.step = 7, a.scale = sums;
  ACCEPTED(*s, op_adamw(c, &a));
  taken_view(s, OP_ADAMW, w);
}

static void sweep_norms(sweep *s) {
  ctx *c = &s->c;
  view x = data(s, ROWS, COLS), y = data(s, ROWS, COLS), w = data(s, 1, COLS), b = data(s, 1, COLS);
  view shift = data(s, 3, COLS), scale = data(s, 3, COLS), d[4] = {data(s, 1, COLS), data(s, 1, COLS)};
  const int32_t *map = data_map(s, ROWS, 3);
  d[2] = data(s, 3, COLS), d[3] = data(s, 3, COLS);
  ACCEPTED(
      *s, op_ln_mod(c, &(op_ln_mod_args){
                           .x = x, .y = y, .w = w, .b = b, .shift = shift, .scale = scale, .map = map, .eps = 1e-5}));
  taken_view(s, OP_LN_MOD, y);
  op_ln_mod_bwd_args g = {.x = x, .dy = y, .dx = y, .w = w, .b = b, .scale = scale, .map = map, .eps = 1e-5};
  g.dw = d[0], g.db = d[1], g.dshift = d[2], g.dscale = d[3];
  ACCEPTED(*s, op_ln_mod_bwd(c, &g));
  taken_view(s, OP_LN_MOD_BWD, y);
  for (int i = 0; i < 4; i++) taken_view(s, OP_LN_MOD_BWD, d[i]);
  view hw = data(s, 1, 64), hb = data(s, 1, 64), co = data(s, 3, 32), si = data(s, 3, 32);
  ACCEPTED(*s,
           op_headnorm_rope(
               c, &(op_headnorm_rope_args){
                      .x = x, .y = y, .w = hw, .b = hb, .cos = co, .sin = si, .map = map, .dim = 64, .eps = 1e-6}));
  taken_view(s, OP_HEADNORM_ROPE, y);
  op_headnorm_rope_bwd_args h = {.x = x, .dy = y, .dx = y, .w = hw, .cos = co, .sin = si, .map = map, .dim = 64};
  h.eps = 1e-6, h.dw = data(s, 1, 64), h.db = data(s, 1, 64);
  ACCEPTED(*s, op_headnorm_rope_bwd(c, &h));
  taken_view(s, OP_HEADNORM_ROPE_BWD, y);
  taken_view(s, OP_HEADNORM_ROPE_BWD, h.dw);
  taken_view(s, OP_HEADNORM_ROPE_BWD, h.db);
}

static void sweep_tables(sweep *s) {
  ctx *c = &s->c;
  view x = data(s, ROWS, COLS), y = data(s, ROWS, COLS), z = data(s, ROWS, COLS);
  view table = data(s, 3, COLS), dtable = data(s, 3, COLS);
  const int32_t *map = data_map(s, ROWS, 3);
  ACCEPTED(*s, op_gate_add(c, &(op_gate_add_args){.x = x, .y = y, .gate = table, .map = map}));
  taken_view(s, OP_GATE_ADD, x);
  op_gate_add_bwd_args g = {.dx = x, .y = y, .gate = table, .dy = z, .dgate = dtable, .map = map};
  ACCEPTED(*s, op_gate_add_bwd(c, &g));
  taken_view(s, OP_GATE_ADD_BWD, z);
  taken_view(s, OP_GATE_ADD_BWD, dtable);
  ACCEPTED(*s, op_add_rows(c, &(op_add_rows_args){.x = x, .table = table, .map = map}));
  taken_view(s, OP_ADD_ROWS, x);
  ACCEPTED(*s, op_add_rows_bwd(c, &(op_add_rows_bwd_args){.dx = x, .dtable = dtable, .map = map}));
  taken_view(s, OP_ADD_ROWS_BWD, dtable);
}

static void sweep_products(sweep *s) {
  ctx *c = &s->c;
  view q = data(s, ROWS, COLS), k = data(s, ROWS, COLS), v = data(s, ROWS, COLS), o = data(s, ROWS, COLS);
  view w = data(s, 96, COLS), y = data(s, ROWS, 96), pre = data(s, ROWS, 96), lse = data(s, 3, ROWS);
  op_gemm_args g = {.a = q, .b = w, .c = y, .tb = 1, .alpha = 1, .bias = data(s, 1, 96), .act = ACT_GELU_TANH};
  g.pre = pre;
  ACCEPTED(*s, op_gemm(c, &g));
  taken_view(s, OP_GEMM, y);
  taken_view(s, OP_GEMM, pre);
  const attn_group groups[] = {{.nq = 1, .nk = 1, .q = {{0, 100, 0}}, .k = {{0, 200, 0}}},
                               {.nq = 1, .nk = 2, .q = {{100, ROWS, 0}}, .k = {{0, 150, -1}, {200, ROWS, 0}}}};
  op_attn_args a = {.q = q, .k = k, .v = v, .o = o, .lse = lse, .groups = groups, .n_groups = 2, .dim = 64};
  ACCEPTED(*s, op_attn(c, &a));
  taken_view(s, OP_ATTN, o);
  taken_view(s, OP_ATTN, lse);
  op_attn_bwd_args b = {.q = q, .k = k, .v = v, .o = o, .lse = lse, .groups = groups, .n_groups = 2, .dim = 64};
  b.d_o = data(s, ROWS, COLS), b.dq = data(s, ROWS, COLS), b.dk = data(s, ROWS, COLS), b.dv = data(s, ROWS, COLS);
  b.delta = data(s, 3, ROWS), b.kv_from = 100;
  ACCEPTED(*s, op_attn_bwd(c, &b));
  taken_view(s, OP_ATTN_BWD, b.dq);
  taken_view(s, OP_ATTN_BWD, b.dk);
  taken_view(s, OP_ATTN_BWD, b.dv);
  op_attn_small_args m = {.q = q, .k = k, .v = v, .o = o, .heads = 3};
  ACCEPTED(*s, op_attn_small(c, &m));
  taken_view(s, OP_ATTN_SMALL, o);
  op_attn_small_bwd_args n = {.q = q, .k = k, .v = v, .d_o = o, .dq = b.dq, .dk = b.dk, .dv = b.dv, .heads = 3};
  ACCEPTED(*s, op_attn_small_bwd(c, &n));
  taken_view(s, OP_ATTN_SMALL_BWD, b.dq);
  taken_view(s, OP_ATTN_SMALL_BWD, b.dk);
  taken_view(s, OP_ATTN_SMALL_BWD, b.dv);
}

static void sweep_text(sweep *s) {
  enum { N = 70, HEADS = 3, BUCKETS = 4 };
  ctx *c = &s->c;
  view x = data(s, ROWS, COLS), g = data(s, ROWS, COLS), y = data(s, ROWS, COLS), w = data(s, 1, COLS);
  view logits = data(s, HEADS * N, N), table = data(s, BUCKETS, HEADS);
  int32_t host[2 * N - 1], *bucket = hold(s, sizeof host);
  for (int d = 0; d < 2 * N - 1; d++) host[d] = d % BUCKETS;
  ACCEPTED(*s, op_upload(c, bucket, host, sizeof host));
  ACCEPTED(*s, op_rmsnorm(c, &(op_rmsnorm_args){.x = x, .y = y, .w = w, .eps = 1e-6}));
  taken_view(s, OP_RMSNORM, y);
  ACCEPTED(*s, op_act_mul(c, &(op_act_mul_args){.x = x, .g = g, .y = y, .act = ACT_GELU_TANH}));
  taken_view(s, OP_ACT_MUL, y);
  ACCEPTED(*s, op_softmax_rel(c, &(op_softmax_rel_args){.x = logits, .y = logits, .table = table, .bucket = bucket}));
  taken_view(s, OP_SOFTMAX_REL, logits);
}

static void sweep_video(sweep *s) {
  enum { F = 3, H = 5, W = 7, IN = 36, OUT = 33, N = F * H * W };
  ctx *c = &s->c;
  view x = data(s, N, IN), past = data(s, 2 * H * W, IN), y = data(s, N, OUT), bias = data(s, 1, OUT);
  view w = data(s, op_conv3d_w_rows(OUT, IN, 3), CONV_PANEL), gain = data(s, 1, IN), shift = data(s, 1, IN);
  op_conv3d_args a = {.x = x, .past = past, .w = w, .bias = bias, .y = y, .frames = F, .height = H, .width = W};
  a.kt = 3, a.stride = 1;
  ACCEPTED(*s, op_conv3d(c, &a));
  taken_view(s, OP_CONV3D, y);
  view up = data(s, 5 * 4 * H * W, IN);
  op_resample_args r = {.x = x, .y = up, .frames = F, .height = H, .width = W, .kind = RESAMPLE_UP_TIME};
  ACCEPTED(*s, op_resample(c, &r));
  taken_view(s, OP_RESAMPLE, up);
  op_group_norm_args g = {.x = x, .y = x, .w = gain, .b = shift, .groups = 6, .eps = 1e-6, .act = ACT_SILU};
  ACCEPTED(*s, op_group_norm(c, &g));
  taken_view(s, OP_GROUP_NORM, x);
}

/* False when this CPU lacks the level. */
static int sweep_run(sweep *s, const char *backend, const char *isa, int threads) {
  *s = (sweep){.tag = 1000};
  if (ctx_open(&s->c, &(ctx_options){.backend = backend, .isa = isa, .threads = threads}) != OK) {
    ctx_close(&s->c);
    return 0;
  }
  sweep_elementwise(s);
  sweep_training(s);
  sweep_norms(s);
  sweep_tables(s);
  sweep_products(s);
  sweep_text(s);
  sweep_video(s);
  for (int i = 0; i < s->n; i++) s->c.ops->release(&s->c, s->held[i]);
  ctx_close(&s->c);
  return 1;
}

static void same_bits(const sweep *a, const sweep *b, const char *what) {
  for (int i = 0; i < OP_COUNT; i++) {
    if (!a->hash[i]) fail_msg("op_%s was not run", op_name((op_id)i));
    if (a->hash[i] != b->hash[i]) fail_msg("op_%s: other bits %s", op_name((op_id)i), what);
  }
}

static void bits_over_threads(void **state) {
  (void)state;
  sweep one, more;
  if (!sweep_run(&one, "cpu", NULL, 1)) fail_msg("%s", one.c.err.text);
  for (int threads = 2; threads <= 5; threads++) {
    if (!sweep_run(&more, "cpu", NULL, threads)) fail_msg("%s", more.c.err.text);
    same_bits(&one, &more, "with more threads");
  }
}

static void bits_over_levels(void **state) {
  (void)state;
  sweep v3, v4, v2;
  if (!sweep_run(&v2, "cpu", "v2", 2) || !sweep_run(&v3, "cpu", "v3", 2)) skip();
  /* without fused multiply-add products and exponentials round otherwise; the rest must not */
  for (int i = 0; i < OP_COUNT; i++)
    if (i != OP_GEMM && i != OP_ACT && i != OP_ACT_BWD && i != OP_ACT_MUL && i != OP_SOFTMAX_REL && i != OP_CONV3D &&
        i != OP_GROUP_NORM && (i < OP_ATTN || i > OP_ATTN_SMALL_BWD))
      if (v2.hash[i] != v3.hash[i]) fail_msg("op_%s: other bits on v3 than on v2", op_name((op_id)i));
  if (!sweep_run(&v4, "cpu", "v4", 2)) skip();
  same_bits(&v3, &v4, "on v4 than on v3");
}

/* An activation gives the same bits in a product's epilogue as alone. */
static void bits_fused_activation(void **state) {
  (void)state;
  ctx c;
  mat a = mat_random(37, 65, 0, 1, -2, 2), w = mat_random(129, 65, 0, 2, -1, 1);
  if (ctx_open(&c, &(ctx_options){.backend = "cpu", .threads = 2}) != OK) fail_msg("%s", c.err.text);
  for (op_act act = ACT_NONE; act <= ACT_SILU; act++) {
    mat y = mat_new(37, 129, 0), pre = mat_new(37, 129, 0), alone = mat_new(37, 129, 0);
    op_gemm_args g = {.a = a.v, .b = w.v, .c = y.v, .tb = 1, .alpha = 1, .act = act, .pre = pre.v};
    TAKES(&c, op_gemm(&c, &g));
    TAKES(&c, op_act_fwd(&c, &(op_act_args){.x = pre.v, .y = alone.v, .act = act}));
    assert_memory_equal(y.block, alone.block, (size_t)y.n * sizeof(real));
    mat_free(&y), mat_free(&pre), mat_free(&alone);
  }
  mat_free(&a), mat_free(&w);
  ctx_close(&c);
}

static void null_counts(void **state) {
  (void)state;
  sweep cpu, null;
  assert_true(sweep_run(&cpu, "cpu", NULL, 2));
  assert_true(sweep_run(&null, "null", NULL, 0));
  for (int i = 0; i < OP_COUNT; i++) {
    assert_true(cpu.c.count[i].calls > 0);
    assert_true(cpu.c.count[i].bytes > 0);
    assert_memory_equal(&cpu.c.count[i], &null.c.count[i], sizeof cpu.c.count[i]);
  }
}

/* --- contexts -------------------------------------------------------------------------------------------------- */

static void backends(void **state) {
  (void)state;
  assert_string_equal(backend_list()[0]->name, "cpu");
  assert_string_equal(backend_list()[1]->name, "null");
  assert_ptr_equal(backend_find("cuda"), backend_list()[2]); /* both NULL in a build without nvcc */
  assert_true(!backend_list()[2] || !backend_list()[3]);
  assert_ptr_equal(backend_find("null"), backend_list()[1]);
  assert_null(backend_find("opencl"));
  assert_null(backend_find(NULL));
  for (int i = 0; i < OP_COUNT; i++) assert_non_null(op_name((op_id)i));
  assert_string_equal(op_name(OP_ADAMW), "adamw");
  assert_string_equal(op_name(OP_COUNT), "?");
}

static void open_refused(void **state) {
  (void)state;
  ctx c;
  int rc = ctx_open(&c, &(ctx_options){.backend = "opencl"});
  check_error(&c, rc, E_UNSUPPORTED,
              backend_find("cuda") ? "backend opencl: not in this build, which has cpu, null, cuda"
                                   : "backend opencl: not in this build, which has cpu, null");
  ctx_close(&c);
  rc = ctx_open(&c, &(ctx_options){.backend = "cpu", .isa = "v9"});
  check_error(&c, rc, E_UNSUPPORTED, "backend cpu: no level v9 in this build");
  ctx_close(&c);
  rc = ctx_open(&c, &(ctx_options){.backend = "null", .isa = "v3"});
  check_error(&c, rc, E_UNSUPPORTED, "backend null: has no instruction-set levels, \"v3\" was asked for");
  ctx_close(&c);
  ctx_close(&c);
}

static void open_records(void **state) {
  (void)state;
  ctx c;
  if (ctx_open(&c, &(ctx_options){.backend = "cpu", .threads = 3}) != OK) fail_msg("%s", c.err.text);
  assert_int_equal(c.threads, 3);
  assert_non_null(c.isa);
  ctx_close(&c);
  if (ctx_open(&c, &(ctx_options){.backend = "cpu", .isa = "v2", .threads = -1}) != OK) fail_msg("%s", c.err.text);
  assert_true(c.threads >= 1);
  assert_string_equal(c.isa, "v2");
  ctx_close(&c);
}

/* The sizes in the text are larger under AddressSanitizer. */
static void no_room(ctx *c, int rc, const char *start) {
  if (rc != E_NOMEM || strncmp(c->err.text, start, strlen(start))) fail_msg("%s: %s", err_name(rc), c->err.text);
  err_clear(&c->err);
}

static void arenas(void **state) {
  (void)state;
  ctx c;
  view v, w;
  if (ctx_open(&c, &(ctx_options){.backend = "cpu"}) != OK) fail_msg("%s", c.err.text);
  no_room(&c, ctx_view(&c, 1, 1, "early", &v), "early: needs ");
  assert_null(v.p);
  TAKES(&c, ctx_arena(&c, 1 << 16));
  TAKES(&c, ctx_view(&c, 10, 30, "x", &v));
  TAKES(&c, ctx_view(&c, 2, 7, "y", &w));
  assert_true(v.rows == 10 && v.cols == 30 && v.ld == 30 && v.type == DT_REAL);
  assert_true((char *)w.p - (char *)v.p >= (ptrdiff_t)(300 * sizeof(real)));
  TAKES(&c, op_fill(&c, v, 1));
  check_error(&c, ctx_view(&c, 2, 0, "z", &v), E_SHAPE, "z: [2,0] is no shape");
  check_error(&c, ctx_view(&c, INT64_MAX, 2, "z", &v), E_SHAPE, "z: [9223372036854775807,2] is no shape");
  TAKES(&c, ctx_arena(&c, 1 << 10));
  ctx_close(&c);
  /* a measuring arena gives what no machine has, and tells how much that was */
  if (ctx_open(&c, &(ctx_options){.backend = "null"}) != OK) fail_msg("%s", c.err.text);
  TAKES(&c, ctx_arena(&c, 0));
  TAKES(&c, ctx_view(&c, (int64_t)1 << 30, 1 << 12, "huge", &v));
  TAKES(&c, ctx_view(&c, 3, 5, "small", &w));
  TAKES(&c, op_copy(&c, w, view_cols(view_rows(v, 0, 3), 0, 5)));
  assert_true(c.mem.peak >= ((size_t)1 << 42) * sizeof(real));
  /* or refuses what is over a budget */
  TAKES(&c, ctx_arena(&c, 4096));
  no_room(&c, ctx_view(&c, 64, 64, "x", &v), "x: needs ");
  ctx_close(&c);
}

static void null_addresses(void **state) {
  (void)state;
  ctx c;
  void *a, *b;
  if (ctx_open(&c, &(ctx_options){.backend = "null"}) != OK) fail_msg("%s", c.err.text);
  assert_int_equal(c.ops->alloc(&c, (size_t)1 << 40, &a), OK);
  assert_int_equal(c.ops->alloc(&c, 1, &b), OK);
  assert_true((uintptr_t)b >= (uintptr_t)a + ((size_t)1 << 40));
  assert_true((uintptr_t)a % ARENA_ALIGN == 0 && (uintptr_t)b % ARENA_ALIGN == 0);
  check_error(&c, c.ops->alloc(&c, SIZE_MAX - 1000, &a), E_NOMEM,
              "backend null: no addresses left for 18446744073709550615 bytes");
  assert_null(a);
  double got = 7;
  assert_int_equal(op_download(&c, &got, b, sizeof got), OK);
  assert_true(got == 0);
  ctx_close(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_CASES,
      cmocka_unit_test(fronts_operands),
      cmocka_unit_test(fronts_types),
      cmocka_unit_test(fronts_overlap),
      cmocka_unit_test(fronts_gemm),
      cmocka_unit_test(fronts_ln),
      cmocka_unit_test(fronts_text),
      cmocka_unit_test(fronts_ln_bwd),
      cmocka_unit_test(fronts_heads),
      cmocka_unit_test(fronts_attn),
      cmocka_unit_test(fronts_attn_small),
      cmocka_unit_test(fronts_tables),
      cmocka_unit_test(fronts_elementwise),
      cmocka_unit_test(fronts_training),
      cmocka_unit_test(map_range),
      cmocka_unit_test(bits_over_threads),
      cmocka_unit_test(bits_over_levels),
      cmocka_unit_test(bits_fused_activation),
      cmocka_unit_test(null_counts),
      cmocka_unit_test(backends),
      cmocka_unit_test(open_refused),
      cmocka_unit_test(open_records),
      cmocka_unit_test(arenas),
      cmocka_unit_test(null_addresses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
