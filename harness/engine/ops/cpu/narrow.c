/* The cpu backend over bfloat16 storage: operands are widened to reals, the entry for reals computes, outputs are
 * rounded. An output is widened too: what its entry does not write keeps its bits. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ops/cpu/cpu.h"

#define OPERANDS 12
#define SERIAL 16384 /* below so many elements a second thread costs more than it brings */

typedef struct slot {
  view *v;
  int is_output;
} slot;

typedef struct shim {
  int n;
  view from[OPERANDS], wide[OPERANDS]; /* outputs only */
} shim;

static void widen_rows(const ctx *c, view from, view to) {
#pragma omp parallel for schedule(static) num_threads(c->threads) if (from.rows * from.cols > SERIAL)
  for (int64_t r = 0; r < from.rows; r++) {
    const uint16_t *x = (const uint16_t *)from.p + r * from.ld;
    real *y = (real *)to.p + r * to.ld;
    for (int64_t j = 0; j < from.cols; j++) y[j] = (real)bf16_widen(x[j]);
  }
}

static void round_rows(const ctx *c, view from, view to) {
#pragma omp parallel for schedule(static) num_threads(c->threads) if (from.rows * from.cols > SERIAL)
  for (int64_t r = 0; r < from.rows; r++) {
    const real *x = (const real *)from.p + r * from.ld;
    uint16_t *y = (uint16_t *)to.p + r * to.ld;
    for (int64_t j = 0; j < from.cols; j++) y[j] = bf16_round((float)x[j]);
  }
}

/* Reals that the operand needs, rounded up to whole cache lines. */
static int64_t reals_of(const view *v) {
  return v->p && v->type == DT_BF16 ? (v->rows * v->cols + 15) / 16 * 16 : 0;
}

static int widen(ctx *c, const slot *at, int n, shim *s) {
  cpu_state *st = cpu_of(c);
  int64_t need = 0;
  s->n = 0;
  for (int i = 0; i < n; i++) need += reals_of(at[i].v);
  if (need > st->n_wide) {
    free(st->wide);
    st->wide = NULL;
    st->n_wide = 0;
    int rc = mem_new(&c->err, need, sizeof(real), "widened operands", &st->wide);
    if (rc != OK) return rc;
    st->n_wide = need;
  }
  real *next = st->wide;
  for (int i = 0; i < n; i++) {
    view from = *at[i].v;
    int64_t size = reals_of(at[i].v);
    if (!size) continue;
    view to = view_of(next, from.rows, from.cols);
    next += size;
    widen_rows(c, from, to);
    *at[i].v = to;
    if (!at[i].is_output) continue;
    s->from[s->n] = from;
    s->wide[s->n++] = to;
  }
  return OK;
}

static void narrow(const ctx *c, const shim *s) {
  for (int i = 0; i < s->n; i++) round_rows(c, s->wide[i], s->from[i]);
}

#define IN(member)                                                                                                   \
  { &w.member, 0 }
#define OUT(member)                                                                                                  \
  { &w.member, 1 }
#define NARROW(op, entry, ...)                                                                                       \
  static int narrow_##entry(ctx *c, const op_##op##_args *a) {                                                       \
    op_##op##_args w = *a;                                                                                           \
    const slot at[] = {__VA_ARGS__};                                                                                 \
    shim s;                                                                                                          \
    int rc = widen(c, at, sizeof at / sizeof at[0], &s);                                                             \
    if (rc == OK) rc = cpu_##entry(c, &w);                                                                           \
    if (rc == OK) narrow(c, &s);                                                                                     \
    return rc;                                                                                                       \
  }
NARROW(lincomb, lincomb, IN(x[0]), IN(x[1]), IN(x[2]), IN(x[3]), OUT(y))
NARROW(gemm, gemm, IN(a), IN(b), IN(bias), OUT(c), OUT(pre))
NARROW(ln_mod, ln_mod, IN(x), IN(w), IN(b), IN(shift), IN(scale), OUT(y))
NARROW(ln_mod_bwd, ln_mod_bwd, IN(x), IN(dy), IN(w), IN(b), IN(scale), OUT(dx))
NARROW(headnorm_rope, headnorm_rope, IN(x), IN(w), IN(b), OUT(y))
NARROW(headnorm_rope_bwd, headnorm_rope_bwd, IN(x), IN(dy), IN(w), OUT(dx))
NARROW(attn, attn, IN(q), IN(k), IN(v), OUT(o))
NARROW(attn_bwd, attn_bwd, IN(q), IN(k), IN(v), IN(o), IN(d_o), OUT(dq), OUT(dk), OUT(dv))
NARROW(attn_small, attn_small, IN(q), IN(k), IN(v), OUT(o))
NARROW(attn_small_bwd, attn_small_bwd, IN(q), IN(k), IN(v), IN(d_o), OUT(dq), OUT(dk), OUT(dv))
NARROW(gate_add, gate_add, IN(y), IN(gate), OUT(x))
NARROW(gate_add_bwd, gate_add_bwd, IN(dx), IN(y), IN(gate), OUT(dy))
NARROW(add_rows, add_rows, IN(table), OUT(x))
NARROW(add_rows_bwd, add_rows_bwd, IN(dx))
NARROW(act, act, IN(x), OUT(y))
NARROW(act_bwd, act_bwd, IN(x), IN(dy), OUT(dx))
NARROW(patch, patch, OUT(rows))
NARROW(patch, unpatch, IN(rows))
NARROW(mse, mse, IN(pred), IN(target), OUT(dpred))

static int narrow_copy(ctx *c, view dst, view src) {
  if (dst.type == DT_REAL) return cpu_copy(c, dst, src);
  for (int64_t r = 0; r < dst.rows; r++)
    memcpy((uint16_t *)dst.p + r * dst.ld, (const uint16_t *)src.p + r * src.ld, (size_t)dst.cols * sizeof(uint16_t));
  return OK;
}

static int narrow_cast(ctx *c, view dst, view src) {
  if (dst.type == src.type) return narrow_copy(c, dst, src);
  if (dst.type == DT_REAL)
    widen_rows(c, src, dst);
  else
    round_rows(c, src, dst);
  return OK;
}

static int narrow_fill(ctx *c, view dst, double v) {
  if (dst.type == DT_REAL) return cpu_fill(c, dst, v);
  const uint16_t value = bf16_round((float)v);
  for (int64_t r = 0; r < dst.rows; r++)
    for (int64_t j = 0; j < dst.cols; j++) ((uint16_t *)dst.p)[r * dst.ld + j] = value;
  return OK;
}

static int narrow_colsum(ctx *c, view dbias, view dy) {
  shim s;
  int rc = widen(c, &(slot){&dy, 0}, 1, &s);
  return rc == OK ? cpu_colsum(c, dbias, dy) : rc;
}

void cpu_narrow(ops *t) {
  t->copy = narrow_copy;
  t->cast = narrow_cast;
  t->fill = narrow_fill;
  t->lincomb = narrow_lincomb;
  t->gemm = narrow_gemm;
  t->ln_mod = narrow_ln_mod;
  t->ln_mod_bwd = narrow_ln_mod_bwd;
  t->headnorm_rope = narrow_headnorm_rope;
  t->headnorm_rope_bwd = narrow_headnorm_rope_bwd;
  t->attn = narrow_attn;
  t->attn_bwd = narrow_attn_bwd;
  t->attn_small = narrow_attn_small;
  t->attn_small_bwd = narrow_attn_small_bwd;
  t->gate_add = narrow_gate_add;
  t->gate_add_bwd = narrow_gate_add_bwd;
  t->add_rows = narrow_add_rows;
  t->add_rows_bwd = narrow_add_rows_bwd;
  t->act = narrow_act;
  t->act_bwd = narrow_act_bwd;
  t->colsum = narrow_colsum;
  t->patch = narrow_patch;
  t->unpatch = narrow_unpatch;
  t->mse = narrow_mse;
}
