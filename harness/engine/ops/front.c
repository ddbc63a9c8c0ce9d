/* The fronts: shapes, types and overlap are checked here once for all backends, work is counted, then the table is
 * called.
 *
 * FLOPs are those of the plain formula, by element, whatever a backend does: one for each + - * / and comparison, and
 * one for each exp or square root. Products count 2 (multiply and add). */
#include <stdarg.h>
#include <stdio.h>

#include "ops/ops.h"

/* One call being checked. The first failed check is recorded in the context; later ones do nothing. */
typedef struct check {
  ctx *c;
  op_id id;
  int rc;
  double bytes;
} check;

static check begin(ctx *c, op_id id) {
  return (check){.c = c, .id = id, .rc = OK};
}

__attribute__((format(printf, 3, 4))) static void refuse(check *k, int code, const char *fmt, ...) {
  char text[512];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  k->rc = err_set(&k->c->err, code, "op_%s: %s", op_name(k->id), text);
}

#define DEMAND(k, cond, code, ...)                                                                                   \
  do {                                                                                                               \
    if ((k)->rc == OK && !(cond)) refuse((k), (code), __VA_ARGS__);                                                  \
  } while (0)

#define SHAPE "[%lld,%lld]"
#define SHAPE_OF(v) (long long)(v).rows, (long long)(v).cols

/* What an operand may hold: the context's storage type, reals, or either. */
typedef enum kind { STORED, REALS, EITHER } kind;

static void type_check(check *k, kind want, const char *name, view v) {
  dtype stored = k->c->storage;
  if ((want != REALS && v.type == stored) || (want != STORED && v.type == DT_REAL)) return;
  if (want == EITHER && stored != DT_REAL)
    DEMAND(k, 0, E_UNSUPPORTED, "%s is %s, neither %s nor %s", name, dtype_name(v.type), dtype_name(stored),
           dtype_name(DT_REAL));
  DEMAND(k, 0, E_UNSUPPORTED, "%s is %s, not %s", name, dtype_name(v.type),
         dtype_name(want == STORED ? stored : DT_REAL));
}

/* A matrix that must be there. */
static void operand_of(check *k, kind want, const char *name, view v) {
  type_check(k, want, name, v);
  DEMAND(k, v.rows >= 0 && v.cols >= 1, E_SHAPE, "%s is " SHAPE, name, SHAPE_OF(v));
  DEMAND(k, v.ld >= v.cols, E_SHAPE, "%s " SHAPE " has a row stride of %lld", name, SHAPE_OF(v), (long long)v.ld);
  DEMAND(k, v.p || !v.rows, E_ARG, "%s " SHAPE " is NULL", name, SHAPE_OF(v));
  k->bytes += (double)v.rows * (double)v.cols * (double)dtype_size(v.type);
}
static void operand(check *k, const char *name, view v) {
  operand_of(k, STORED, name, v);
}

typedef struct shape {
  int64_t rows, cols;
} shape;

static void shaped_of(check *k, kind want, const char *name, view v, shape s) {
  operand_of(k, want, name, v);
  DEMAND(k, v.rows == s.rows && v.cols == s.cols, E_SHAPE, "%s is " SHAPE ", must be [%lld,%lld]", name, SHAPE_OF(v),
         (long long)s.rows, (long long)s.cols);
}
static void shaped(check *k, const char *name, view v, int64_t rows, int64_t cols) {
  shaped_of(k, STORED, name, v, (shape){rows, cols});
}
static void reals(check *k, const char *name, view v, int64_t rows, int64_t cols) {
  shaped_of(k, REALS, name, v, (shape){rows, cols});
}

static void like_of(check *k, kind want, const char *name, view v, const char *other_name, view other) {
  operand_of(k, want, name, v);
  DEMAND(k, v.rows == other.rows && v.cols == other.cols, E_SHAPE, "%s " SHAPE " and %s " SHAPE " differ", name,
         SHAPE_OF(v), other_name, SHAPE_OF(other));
}
static void like(check *k, const char *name, view v, const char *other_name, view other) {
  like_of(k, STORED, name, v, other_name, other);
}

static void same_type(check *k, const char *name, view v, const char *other_name, view other) {
  DEMAND(k, v.type == other.type, E_UNSUPPORTED, "%s is %s and %s is %s", name, dtype_name(v.type), other_name,
         dtype_name(other.type));
}

/* Optional operands. */
static void shaped_if(check *k, const char *name, view v, int64_t rows, int64_t cols) {
  if (v.p) shaped(k, name, v, rows, cols);
}
static void reals_if(check *k, const char *name, view v, int64_t rows, int64_t cols) {
  if (v.p) reals(k, name, v, rows, cols);
}
static void wide_if(check *k, const char *name, view v, int64_t cols) {
  if (v.p) shaped(k, name, v, v.rows, cols);
}

static void mapped(check *k, const char *why, const int32_t *map, int64_t rows) {
  DEMAND(k, map || !rows, E_ARG, "%s needs a row map", why);
  if (map) k->bytes += (double)rows * (double)sizeof *map;
}

/* Bytes from the first element to behind the last. */
static int64_t extent(view v) {
  return v.rows ? ((v.rows - 1) * v.ld + v.cols) * dtype_size(v.type) : 0;
}

/* Exact for views of one matrix (one type, equal strides, or a single row beside one); otherwise by address range. */
static int overlap(view a, view b) {
  if (!a.p || !b.p || !a.rows || !b.rows) return 0;
  uintptr_t pa = (uintptr_t)a.p, pb = (uintptr_t)b.p;
  if (pa >= pb + (uintptr_t)extent(b) || pb >= pa + (uintptr_t)extent(a)) return 0;
  if (a.type != b.type) return 1;
  if (a.rows == 1 && a.cols <= b.ld) a.ld = b.ld;
  if (b.rows == 1 && b.cols <= a.ld) b.ld = a.ld;
  if (a.ld != b.ld) return 1;
  int64_t distance = (int64_t)(pa - pb) / dtype_size(a.type);
  int64_t column = (distance % a.ld + a.ld) % a.ld; /* of a's first element in b's rows */
  return column < b.cols || column + a.cols > a.ld;
}

static void apart(check *k, const char *out_name, view out, const char *in_name, view in) {
  DEMAND(k, !overlap(out, in), E_ARG, "%s " SHAPE " overlaps %s " SHAPE, out_name, SHAPE_OF(out), in_name,
         SHAPE_OF(in));
}

/* The output may be the very same matrix as the input, but not a shifted one. */
static void same_or_apart(check *k, const char *out_name, view out, const char *in_name, view in) {
  if (out.p != in.p || out.ld != in.ld) apart(k, out_name, out, in_name, in);
}

/* True when there is something to run; then the call is counted. */
static int pass(check *k, int64_t work, double flops) {
  if (k->rc != OK) return 0;
  op_count *n = &k->c->count[k->id];
  n->calls++;
  n->flops += flops;
  n->bytes += k->bytes;
  return work > 0;
}

static int done(const check *k, int rc) {
  if (rc != OK) err_prefix(&k->c->err, "op_%s", op_name(k->id));
  return rc;
}

static double elements(view v) {
  return (double)v.rows * (double)v.cols;
}

int op_copy(ctx *c, view dst, view src) {
  check k = begin(c, OP_COPY);
  operand_of(&k, EITHER, "dst", dst);
  like_of(&k, EITHER, "src", src, "dst", dst);
  same_type(&k, "src", src, "dst", dst);
  apart(&k, "dst", dst, "src", src);
  if (!pass(&k, dst.rows, 0)) return k.rc;
  return done(&k, c->ops->copy(c, dst, src));
}

int op_cast(ctx *c, view dst, view src) {
  check k = begin(c, OP_CAST);
  operand_of(&k, EITHER, "dst", dst);
  like_of(&k, EITHER, "src", src, "dst", dst);
  apart(&k, "dst", dst, "src", src);
  if (!pass(&k, dst.rows, 0)) return k.rc;
  return done(&k, c->ops->cast(c, dst, src));
}

int op_fill(ctx *c, view dst, double v) {
  check k = begin(c, OP_FILL);
  operand_of(&k, EITHER, "dst", dst);
  if (!pass(&k, dst.rows, 0)) return k.rc;
  return done(&k, c->ops->fill(c, dst, v));
}

int op_lincomb(ctx *c, const op_lincomb_args *a) {
  static const char *const names[] = {"x[0]", "x[1]", "x[2]", "x[3]"};
  check k = begin(c, OP_LINCOMB);
  operand_of(&k, EITHER, "y", a->y);
  DEMAND(&k, a->n >= 1 && a->n <= 4, E_ARG, "%d terms, must be 1 to 4", a->n);
  for (int i = 0; k.rc == OK && i < a->n; i++) {
    like_of(&k, EITHER, names[i], a->x[i], "y", a->y);
    same_type(&k, names[i], a->x[i], "y", a->y);
    same_or_apart(&k, "y", a->y, names[i], a->x[i]);
  }
  if (!pass(&k, a->y.rows, 2.0 * a->n * elements(a->y))) return k.rc;
  return done(&k, c->ops->lincomb(c, a));
}

static const char *transposed(int ta, int tb) {
  return ta && tb ? " (both transposed)" : ta ? " (transposed a)" : tb ? " (transposed b)" : "";
}

int op_gemm(ctx *c, const op_gemm_args *a) {
  check k = begin(c, OP_GEMM);
  operand_of(&k, EITHER, "a", a->a);
  operand_of(&k, EITHER, "b", a->b);
  same_type(&k, "b", a->b, "a", a->a);
  int64_t m = a->ta ? a->a.cols : a->a.rows, inner = a->ta ? a->a.rows : a->a.cols;
  int64_t n = a->tb ? a->b.rows : a->b.cols, inner_b = a->tb ? a->b.cols : a->b.rows;
  DEMAND(&k, inner == inner_b && inner > 0, E_SHAPE, "a " SHAPE " and b " SHAPE " do not fit%s", SHAPE_OF(a->a),
         SHAPE_OF(a->b), transposed(a->ta, a->tb));
  shaped_of(&k, a->a.type == DT_REAL ? REALS : EITHER, "c", a->c, (shape){m, n});
  shaped_if(&k, "bias", a->bias, 1, n);
  shaped_if(&k, "pre", a->pre, m, n);
  DEMAND(&k, a->act >= ACT_NONE && a->act <= ACT_SILU, E_ARG, "unknown activation %d", (int)a->act);
  apart(&k, "c", a->c, "a", a->a);
  apart(&k, "c", a->c, "b", a->b);
  apart(&k, "c", a->c, "bias", a->bias);
  apart(&k, "pre", a->pre, "a", a->a);
  apart(&k, "pre", a->pre, "b", a->b);
  apart(&k, "pre", a->pre, "bias", a->bias);
  apart(&k, "pre", a->pre, "c", a->c);
  if (!pass(&k, m, 2.0 * (double)m * (double)n * (double)inner)) return k.rc;
  return done(&k, c->ops->gemm(c, a));
}

static void affine(check *k, view w, view b, int64_t cols) {
  DEMAND(k, !w.p == !b.p, E_ARG, "%s is there without %s", w.p ? "w" : "b", w.p ? "b" : "w");
  shaped_if(k, "w", w, 1, cols);
  shaped_if(k, "b", b, 1, cols);
}

static void epsilon(check *k, double eps) {
  DEMAND(k, eps >= 0, E_ARG, "eps is %g", eps); /* also refuses NaN */
}

int op_ln_mod(ctx *c, const op_ln_mod_args *a) {
  check k = begin(c, OP_LN_MOD);
  operand(&k, "x", a->x);
  like(&k, "y", a->y, "x", a->x);
  affine(&k, a->w, a->b, a->x.cols);
  wide_if(&k, "shift", a->shift, a->x.cols);
  wide_if(&k, "scale", a->scale, a->x.cols);
  if (a->shift.p && a->scale.p) shaped(&k, "scale", a->scale, a->shift.rows, a->shift.cols);
  if (a->shift.p || a->scale.p) mapped(&k, "modulation", a->map, a->x.rows);
  epsilon(&k, a->eps);
  same_or_apart(&k, "y", a->y, "x", a->x);
  apart(&k, "y", a->y, "w", a->w);
  apart(&k, "y", a->y, "b", a->b);
  apart(&k, "y", a->y, "shift", a->shift);
  apart(&k, "y", a->y, "scale", a->scale);
  /* mean 1, variance 3, normalise 2; affine 2, shift 1, scale 2 (with 1 + scale) */
  double each = 6 + (a->w.p ? 2 : 0) + (a->shift.p ? 1 : 0) + (a->scale.p ? 2 : 0);
  if (!pass(&k, a->x.rows, each * elements(a->x))) return k.rc;
  return done(&k, c->ops->ln_mod(c, a));
}

/* Gradients of tables and of affine vectors: added to, so they must not be any input. */
static void ln_mod_bwd_apart(check *k, const op_ln_mod_bwd_args *a) {
  const struct {
    const char *name;
    view v;
  } out[] = {{"dx", a->dx}, {"dw", a->dw}, {"db", a->db}, {"dshift", a->dshift}, {"dscale", a->dscale}},
    in[] = {{"x", a->x}, {"dy", a->dy}, {"w", a->w}, {"b", a->b}, {"scale", a->scale}};
  for (size_t o = 0; o < 5; o++) {
    for (size_t i = 0; i < 5; i++) {
      if (o == 0 && i == 1)
        same_or_apart(k, "dx", a->dx, "dy", a->dy);
      else
        apart(k, out[o].name, out[o].v, in[i].name, in[i].v);
    }
    for (size_t i = 0; i < o; i++) apart(k, out[o].name, out[o].v, out[i].name, out[i].v);
  }
}

int op_ln_mod_bwd(ctx *c, const op_ln_mod_bwd_args *a) {
  check k = begin(c, OP_LN_MOD_BWD);
  int64_t cols = a->x.cols;
  operand(&k, "x", a->x);
  like(&k, "dy", a->dy, "x", a->x);
  like(&k, "dx", a->dx, "x", a->x);
  affine(&k, a->w, a->b, cols);
  DEMAND(&k, a->w.p || (!a->dw.p && !a->db.p), E_ARG, "dw and db need w and b");
  DEMAND(&k, a->scale.p || !a->dscale.p, E_ARG, "dscale needs scale");
  reals_if(&k, "dw", a->dw, 1, cols);
  reals_if(&k, "db", a->db, 1, cols);
  wide_if(&k, "scale", a->scale, cols);
  reals_if(&k, "dscale", a->dscale, a->scale.rows, cols);
  reals_if(&k, "dshift", a->dshift, a->dshift.rows, cols);
  if (a->scale.p && a->dshift.p) reals(&k, "dshift", a->dshift, a->scale.rows, cols);
  if (a->scale.p || a->dshift.p) mapped(&k, "modulation", a->map, a->x.rows);
  epsilon(&k, a->eps);
  if (k.rc == OK) ln_mod_bwd_apart(&k, a);
  /* statistics 6, sums of g and g * xhat 3, result 5; affine 1, scale 2; 1 or 2 an added gradient */
  double each = 14 + (a->w.p ? 1 : 0) + (a->scale.p ? 2 : 0) + (a->dw.p ? 2 : 0) + (a->db.p ? 1 : 0) +
                (a->dshift.p ? 1 : 0) + (a->dscale.p ? 2 : 0) + (a->accumulate ? 1 : 0);
  if (!pass(&k, a->x.rows, each * elements(a->x))) return k.rc;
  return done(&k, c->ops->ln_mod_bwd(c, a));
}

static void heads(check *k, const char *name, view v, int dim) {
  DEMAND(k, dim >= 1, E_ARG, "head dim is %d", dim);
  DEMAND(k, v.cols % (dim < 1 ? 1 : dim) == 0, E_SHAPE, "%s " SHAPE " is no whole number of heads of %d", name,
         SHAPE_OF(v), dim);
}

static void rotation(check *k, view x, view cosines, view sines, const int32_t *map, int dim) {
  heads(k, "x", x, dim);
  if (!map) return;
  DEMAND(k, dim % 2 == 0, E_SHAPE, "rotation needs an even head dim, not %d", dim);
  reals(k, "cos", cosines, cosines.rows, dim / 2);
  like_of(k, REALS, "sin", sines, "cos", cosines);
  mapped(k, "rotation", map, x.rows);
}

int op_headnorm_rope(ctx *c, const op_headnorm_rope_args *a) {
  check k = begin(c, OP_HEADNORM_ROPE);
  operand(&k, "x", a->x);
  like(&k, "y", a->y, "x", a->x);
  rotation(&k, a->x, a->cos, a->sin, a->map, a->dim);
  shaped(&k, "w", a->w, 1, a->dim);
  shaped(&k, "b", a->b, 1, a->dim);
  epsilon(&k, a->eps);
  same_or_apart(&k, "y", a->y, "x", a->x);
  apart(&k, "y", a->y, "w", a->w);
  apart(&k, "y", a->y, "b", a->b);
  apart(&k, "y", a->y, "cos", a->cos);
  apart(&k, "y", a->y, "sin", a->sin);
  if (!pass(&k, a->x.rows, (8.0 + (a->map ? 3 : 0)) * elements(a->x))) return k.rc;
  return done(&k, c->ops->headnorm_rope(c, a));
}

int op_headnorm_rope_bwd(ctx *c, const op_headnorm_rope_bwd_args *a) {
  check k = begin(c, OP_HEADNORM_ROPE_BWD);
  operand(&k, "x", a->x);
  like(&k, "dy", a->dy, "x", a->x);
  like(&k, "dx", a->dx, "x", a->x);
  rotation(&k, a->x, a->cos, a->sin, a->map, a->dim);
  shaped(&k, "w", a->w, 1, a->dim);
  reals_if(&k, "dw", a->dw, 1, a->dim);
  reals_if(&k, "db", a->db, 1, a->dim);
  epsilon(&k, a->eps);
  same_or_apart(&k, "dx", a->dx, "dy", a->dy);
  apart(&k, "dx", a->dx, "x", a->x);
  apart(&k, "dx", a->dx, "w", a->w);
  apart(&k, "dw", a->dw, "w", a->w);
  apart(&k, "dw", a->dw, "db", a->db);
  apart(&k, "dx", a->dx, "dw", a->dw);
  apart(&k, "dx", a->dx, "db", a->db);
  double each = 15 + (a->map ? 3 : 0) + (a->dw.p ? 2 : 0) + (a->db.p ? 1 : 0);
  if (!pass(&k, a->x.rows, each * elements(a->x))) return k.rc;
  return done(&k, c->ops->headnorm_rope_bwd(c, a));
}

static void spans(check *k, int group, const char *name, int n, const attn_span *s, int64_t rows) {
  DEMAND(k, n >= 1 && n <= ATTN_SPANS, E_ARG, "group %d has %d %s spans, must be 1 to %d", group, n, name,
         ATTN_SPANS);
  for (int i = 0; k->rc == OK && i < n; i++) {
    DEMAND(k, s[i].r0 >= 0 && s[i].r0 < s[i].r1 && s[i].r1 <= rows, E_SHAPE,
           "group %d: %s span [%lld,%lld) is not within %lld rows", group, name, (long long)s[i].r0,
           (long long)s[i].r1, (long long)rows);
    for (int j = 0; j < i; j++)
      DEMAND(k, s[i].r0 >= s[j].r1 || s[j].r0 >= s[i].r1, E_ARG, "group %d: %s spans %d and %d overlap", group, name,
             j, i);
  }
}

static int queries_meet(const attn_group *a, const attn_group *b) {
  for (int i = 0; i < a->nq; i++)
    for (int j = 0; j < b->nq; j++)
      if (a->q[i].r0 < b->q[j].r1 && b->q[j].r0 < a->q[i].r1) return 1;
  return 0;
}

static void attn_groups(check *k, const attn_group *g, int n, int64_t rows) {
  DEMAND(k, n >= 0 && (g || !n), E_ARG, "%d groups at %s", n, g ? "an address" : "NULL");
  for (int i = 0; k->rc == OK && i < n; i++) {
    spans(k, i, "query", g[i].nq, g[i].q, rows);
    spans(k, i, "key", g[i].nk, g[i].k, rows);
    for (int j = 0; k->rc == OK && j < i; j++)
      DEMAND(k, !queries_meet(&g[i], &g[j]), E_ARG, "a row is a query of group %d and of group %d", j, i);
  }
}

/* Visible (query, key) pairs, and of these the ones with key >= from. */
static double pairs(const attn_group *g, int n, int64_t from) {
  double sum = 0;
  for (int i = 0; i < n; i++) {
    int64_t q = 0, key = 0;
    for (int j = 0; j < g[i].nq; j++) q += g[i].q[j].r1 - g[i].q[j].r0;
    for (int j = 0; j < g[i].nk; j++) {
      int64_t r0 = g[i].k[j].r0 > from ? g[i].k[j].r0 : from;
      if (r0 < g[i].k[j].r1) key += g[i].k[j].r1 - r0;
    }
    sum += (double)q * (double)key;
  }
  return sum;
}

int op_attn(ctx *c, const op_attn_args *a) {
  check k = begin(c, OP_ATTN);
  operand(&k, "q", a->q);
  like(&k, "k", a->k, "q", a->q);
  like(&k, "v", a->v, "q", a->q);
  like(&k, "o", a->o, "q", a->q);
  heads(&k, "q", a->q, a->dim);
  if (k.rc == OK) reals(&k, "lse", a->lse, a->q.cols / a->dim, a->q.rows);
  attn_groups(&k, a->groups, a->n_groups, a->q.rows);
  apart(&k, "o", a->o, "q", a->q);
  apart(&k, "o", a->o, "k", a->k);
  apart(&k, "o", a->o, "v", a->v);
  apart(&k, "lse", a->lse, "q", a->q);
  apart(&k, "lse", a->lse, "k", a->k);
  apart(&k, "lse", a->lse, "v", a->v);
  apart(&k, "lse", a->lse, "o", a->o);
  if (k.rc != OK) return k.rc;
  if (!pass(&k, a->n_groups, 4.0 * pairs(a->groups, a->n_groups, 0) * (double)a->q.cols)) return k.rc;
  return done(&k, c->ops->attn(c, a));
}

static void attn_bwd_apart(check *k, const op_attn_bwd_args *a) {
  const struct {
    const char *name;
    view v;
  } out[] = {{"dq", a->dq}, {"dk", a->dk}, {"dv", a->dv}, {"delta", a->delta}},
    in[] = {{"q", a->q}, {"k", a->k}, {"v", a->v}, {"o", a->o}, {"d_o", a->d_o}, {"lse", a->lse}};
  for (size_t o = 0; o < 4; o++) {
    for (size_t i = 0; i < 6; i++) apart(k, out[o].name, out[o].v, in[i].name, in[i].v);
    for (size_t i = 0; i < o; i++) apart(k, out[o].name, out[o].v, out[i].name, out[i].v);
  }
}

int op_attn_bwd(ctx *c, const op_attn_bwd_args *a) {
  check k = begin(c, OP_ATTN_BWD);
  const struct {
    const char *name;
    view v;
  } all[] = {{"k", a->k}, {"v", a->v}, {"o", a->o}, {"d_o", a->d_o}, {"dq", a->dq}, {"dk", a->dk}, {"dv", a->dv}};
  operand(&k, "q", a->q);
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) like(&k, all[i].name, all[i].v, "q", a->q);
  heads(&k, "q", a->q, a->dim);
  if (k.rc == OK) reals(&k, "lse", a->lse, a->q.cols / a->dim, a->q.rows);
  if (k.rc == OK) reals(&k, "delta", a->delta, a->q.cols / a->dim, a->q.rows);
  DEMAND(&k, a->kv_from >= 0 && a->kv_from <= a->q.rows, E_SHAPE, "kv_from is %lld of %lld rows",
         (long long)a->kv_from, (long long)a->q.rows);
  attn_groups(&k, a->groups, a->n_groups, a->q.rows);
  if (k.rc == OK) attn_bwd_apart(&k, a);
  if (k.rc != OK) return k.rc;
  /* five products of 2 a pair: scores, dP and dQ for every key, dK and dV for those from kv_from on */
  double all_pairs = pairs(a->groups, a->n_groups, 0), live = pairs(a->groups, a->n_groups, a->kv_from);
  if (!pass(&k, a->n_groups, (6 * all_pairs + 4 * live) * (double)a->q.cols)) return k.rc;
  return done(&k, c->ops->attn_bwd(c, a));
}

static void small_heads(check *k, view q, int n_heads) {
  DEMAND(k, q.rows % 2 == 0, E_SHAPE, "q " SHAPE " is no whole number of pairs of rows", SHAPE_OF(q));
  DEMAND(k, n_heads >= 1 && q.cols % n_heads == 0, E_SHAPE, "q " SHAPE " does not divide into %d heads", SHAPE_OF(q),
         n_heads);
}

int op_attn_small(ctx *c, const op_attn_small_args *a) {
  check k = begin(c, OP_ATTN_SMALL);
  operand(&k, "q", a->q);
  like(&k, "k", a->k, "q", a->q);
  like(&k, "v", a->v, "q", a->q);
  like(&k, "o", a->o, "q", a->q);
  small_heads(&k, a->q, a->heads);
  apart(&k, "o", a->o, "q", a->q);
  apart(&k, "o", a->o, "k", a->k);
  apart(&k, "o", a->o, "v", a->v);
  /* 4 * 2 * 2 * dim for each head of a pair of rows */
  if (!pass(&k, a->q.rows, 8 * elements(a->q))) return k.rc;
  return done(&k, c->ops->attn_small(c, a));
}

int op_attn_small_bwd(ctx *c, const op_attn_small_bwd_args *a) {
  check k = begin(c, OP_ATTN_SMALL_BWD);
  const struct {
    const char *name;
    view v;
  } in[] = {{"q", a->q}, {"k", a->k}, {"v", a->v}, {"d_o", a->d_o}},
    out[] = {{"dq", a->dq}, {"dk", a->dk}, {"dv", a->dv}};
  operand(&k, "q", a->q);
  for (size_t i = 1; i < 4; i++) like(&k, in[i].name, in[i].v, "q", a->q);
  for (size_t o = 0; o < 3; o++) {
    like(&k, out[o].name, out[o].v, "q", a->q);
    for (size_t i = 0; i < 4; i++) apart(&k, out[o].name, out[o].v, in[i].name, in[i].v);
    for (size_t i = 0; i < o; i++) apart(&k, out[o].name, out[o].v, out[i].name, out[i].v);
  }
  small_heads(&k, a->q, a->heads);
  if (!pass(&k, a->q.rows, 20 * elements(a->q))) return k.rc;
  return done(&k, c->ops->attn_small_bwd(c, a));
}

int op_gate_add(ctx *c, const op_gate_add_args *a) {
  check k = begin(c, OP_GATE_ADD);
  operand(&k, "x", a->x);
  like(&k, "y", a->y, "x", a->x);
  shaped(&k, "gate", a->gate, a->gate.rows, a->x.cols);
  mapped(&k, "gate", a->map, a->x.rows);
  apart(&k, "x", a->x, "y", a->y);
  apart(&k, "x", a->x, "gate", a->gate);
  if (!pass(&k, a->x.rows, 2 * elements(a->x))) return k.rc;
  return done(&k, c->ops->gate_add(c, a));
}

int op_gate_add_bwd(ctx *c, const op_gate_add_bwd_args *a) {
  check k = begin(c, OP_GATE_ADD_BWD);
  operand(&k, "dx", a->dx);
  like(&k, "dy", a->dy, "dx", a->dx);
  shaped(&k, "gate", a->gate, a->gate.rows, a->dx.cols);
  reals_if(&k, "dgate", a->dgate, a->gate.rows, a->gate.cols);
  if (a->dgate.p) like(&k, "y", a->y, "dx", a->dx);
  mapped(&k, "gate", a->map, a->dx.rows);
  apart(&k, "dy", a->dy, "dx", a->dx);
  apart(&k, "dy", a->dy, "gate", a->gate);
  apart(&k, "dy", a->dy, "dgate", a->dgate);
  apart(&k, "dgate", a->dgate, "dx", a->dx);
  apart(&k, "dgate", a->dgate, "gate", a->gate);
  if (a->dgate.p) apart(&k, "dy", a->dy, "y", a->y);
  if (a->dgate.p) apart(&k, "dgate", a->dgate, "y", a->y);
  if (!pass(&k, a->dx.rows, (a->dgate.p ? 3 : 1) * elements(a->dx))) return k.rc;
  return done(&k, c->ops->gate_add_bwd(c, a));
}

int op_add_rows(ctx *c, const op_add_rows_args *a) {
  check k = begin(c, OP_ADD_ROWS);
  operand(&k, "x", a->x);
  shaped(&k, "table", a->table, a->table.rows, a->x.cols);
  if (a->map) mapped(&k, "table", a->map, a->x.rows);
  apart(&k, "x", a->x, "table", a->table);
  if (!pass(&k, a->x.rows, elements(a->x))) return k.rc;
  return done(&k, c->ops->add_rows(c, a));
}

int op_add_rows_bwd(ctx *c, const op_add_rows_bwd_args *a) {
  check k = begin(c, OP_ADD_ROWS_BWD);
  operand(&k, "dx", a->dx);
  reals(&k, "dtable", a->dtable, a->dtable.rows, a->dx.cols);
  if (a->map) mapped(&k, "dtable", a->map, a->dx.rows);
  apart(&k, "dtable", a->dtable, "dx", a->dx);
  if (!pass(&k, a->dx.rows, elements(a->dx))) return k.rc;
  return done(&k, c->ops->add_rows_bwd(c, a));
}

static double act_flops(op_act act, int backward) {
  switch (act) {
  case ACT_GELU_TANH: return backward ? 17 : 8;
  case ACT_SILU: return backward ? 8 : 4;
  default: return 0;
  }
}

int op_act_fwd(ctx *c, const op_act_args *a) {
  check k = begin(c, OP_ACT);
  operand(&k, "x", a->x);
  like(&k, "y", a->y, "x", a->x);
  DEMAND(&k, a->act >= ACT_NONE && a->act <= ACT_SILU, E_ARG, "unknown activation %d", (int)a->act);
  same_or_apart(&k, "y", a->y, "x", a->x);
  if (!pass(&k, a->x.rows, act_flops(a->act, 0) * elements(a->x))) return k.rc;
  return done(&k, c->ops->act(c, a));
}

int op_act_bwd(ctx *c, const op_act_bwd_args *a) {
  check k = begin(c, OP_ACT_BWD);
  operand(&k, "x", a->x);
  like(&k, "dy", a->dy, "x", a->x);
  like(&k, "dx", a->dx, "x", a->x);
  DEMAND(&k, a->act >= ACT_NONE && a->act <= ACT_SILU, E_ARG, "unknown activation %d", (int)a->act);
  same_or_apart(&k, "dx", a->dx, "dy", a->dy);
  apart(&k, "dx", a->dx, "x", a->x);
  if (!pass(&k, a->x.rows, act_flops(a->act, 1) * elements(a->x))) return k.rc;
  return done(&k, c->ops->act_bwd(c, a));
}

int op_colsum(ctx *c, view dbias, view dy) {
  check k = begin(c, OP_COLSUM);
  operand(&k, "dy", dy);
  reals(&k, "dbias", dbias, 1, dy.cols);
  apart(&k, "dbias", dbias, "dy", dy);
  if (!pass(&k, dy.rows, elements(dy))) return k.rc;
  return done(&k, c->ops->colsum(c, dbias, dy));
}

static view latents_view(const op_patch_args *a) {
  return view_of(a->latents, (int64_t)a->frames * a->channels * a->height, a->width);
}

static void patches(check *k, const op_patch_args *a) {
  DEMAND(k, a->frames >= 0 && a->channels >= 1 && a->height >= 1 && a->width >= 1 && a->p >= 1 && a->pt >= 1, E_ARG,
         "latents [%d,%d,%d,%d], patch %d, %d frames: sizes must be positive", a->frames, a->channels, a->height,
         a->width, a->p, a->pt);
  if (k->rc != OK) return;
  DEMAND(k, a->frames % a->pt == 0 && a->height % a->p == 0 && a->width % a->p == 0, E_SHAPE,
         "latents [%d,%d,%d,%d] do not divide into patches of %d frames, %dx%d", a->frames, a->channels, a->height,
         a->width, a->pt, a->p, a->p);
  int64_t grid = (int64_t)(a->frames / a->pt) * (a->height / a->p) * (a->width / a->p);
  operand_of(k, REALS, "latents", latents_view(a));
  shaped(k, "rows", a->rows, grid, (int64_t)a->channels * a->pt * a->p * a->p);
  apart(k, "rows", a->rows, "latents", latents_view(a));
}

int op_patch(ctx *c, const op_patch_args *a) {
  check k = begin(c, OP_PATCH);
  patches(&k, a);
  if (!pass(&k, a->frames, 0)) return k.rc;
  return done(&k, c->ops->patch(c, a));
}

int op_unpatch(ctx *c, const op_patch_args *a) {
  check k = begin(c, OP_UNPATCH);
  patches(&k, a);
  if (!pass(&k, a->frames, 0)) return k.rc;
  return done(&k, c->ops->unpatch(c, a));
}

int op_mse(ctx *c, const op_mse_args *a) {
  check k = begin(c, OP_MSE);
  operand_of(&k, EITHER, "pred", a->pred);
  like_of(&k, EITHER, "target", a->target, "pred", a->pred);
  if (a->dpred.p) shaped_of(&k, EITHER, "dpred", a->dpred, (shape){a->pred.rows, a->pred.cols});
  if (a->dpred.p) same_type(&k, "dpred", a->dpred, "pred", a->pred);
  DEMAND(&k, a->loss, E_ARG, "loss is NULL");
  apart(&k, "dpred", a->dpred, "pred", a->pred);
  apart(&k, "dpred", a->dpred, "target", a->target);
  if (!pass(&k, a->pred.rows, (a->dpred.p ? 4 : 3) * elements(a->pred))) return k.rc;
  return done(&k, c->ops->mse(c, a));
}

static void flat(check *k, const char *name, const void *p, int64_t n) {
  DEMAND(k, n >= 0, E_SHAPE, "%lld elements", (long long)n);
  DEMAND(k, p || !n, E_ARG, "%s is NULL", name);
  k->bytes += (double)n * (double)sizeof(real);
}

int op_sumsq(ctx *c, double *out, const real *x, int64_t n) {
  check k = begin(c, OP_SUMSQ);
  flat(&k, "x", x, n);
  DEMAND(&k, out, E_ARG, "out is NULL");
  if (!pass(&k, n, 2.0 * (double)n)) return k.rc;
  return done(&k, c->ops->sumsq(c, out, x, n));
}

int op_adamw(ctx *c, const op_adamw_args *a) {
  check k = begin(c, OP_ADAMW);
  flat(&k, "w", a->w, a->n);
  flat(&k, "m", a->m, a->n);
  flat(&k, "v", a->v, a->n);
  flat(&k, "g", a->g, a->n);
  DEMAND(&k, a->step >= 1, E_ARG, "step is %lld, the first is 1", (long long)a->step);
  DEMAND(&k, a->beta1 >= 0 && a->beta1 < 1 && a->beta2 >= 0 && a->beta2 < 1, E_ARG, "betas are %g and %g", a->beta1,
         a->beta2);
  if (!pass(&k, a->n, 16.0 * (double)a->n)) return k.rc;
  return done(&k, c->ops->adamw(c, a));
}

/* Not every backend does what only the text encoder and the VAE need. */
static void supported(check *k, int there) {
  DEMAND(k, there, E_UNSUPPORTED, "backend %s has no such operation", k->c->ops->name);
}

/* Rows of a clip; 0 after a refusal. */
static int64_t clip_rows(check *k, int frames, int height, int width) {
  DEMAND(k, frames >= 1 && height >= 1 && width >= 1 && frames <= 1 << 20 && height <= 1 << 20 && width <= 1 << 20,
         E_ARG, "a clip of %d frames of %dx%d", frames, height, width);
  return k->rc == OK ? (int64_t)frames * height * width : 0;
}

int op_conv3d(ctx *c, const op_conv3d_args *a) {
  check k = begin(c, OP_CONV3D);
  supported(&k, c->ops->conv3d != NULL);
  DEMAND(&k, a->kt == 1 || a->kt == 3, E_ARG, "%d frames a kernel, must be 1 or 3", a->kt);
  DEMAND(&k, a->stride == 1 || a->stride == 2, E_ARG, "stride %d, must be 1 or 2", a->stride);
  DEMAND(&k, a->stride == 1 || (a->height >= 2 && a->width >= 2), E_SHAPE, "%dx%d is too small for stride 2",
         a->height, a->width);
  int64_t rows = clip_rows(&k, a->frames, a->height, a->width);
  if (k.rc != OK) return k.rc;
  int64_t out = (int64_t)a->frames * op_conv3d_side(a->height, a->stride) * op_conv3d_side(a->width, a->stride);
  shaped(&k, "x", a->x, rows, a->x.cols);
  if (a->past.p) DEMAND(&k, a->kt == 3, E_ARG, "past frames with a kernel of one frame");
  shaped_if(&k, "past", a->past, 2 * (int64_t)a->height * a->width, a->x.cols);
  shaped(&k, "y", a->y, out, a->y.cols);
  shaped(&k, "w", a->w, op_conv3d_w_rows(a->y.cols, a->x.cols, a->kt), CONV_PANEL);
  DEMAND(&k, a->w.ld == CONV_PANEL, E_SHAPE, "w has a row stride of %lld, must be %d", (long long)a->w.ld,
         CONV_PANEL);
  shaped(&k, "bias", a->bias, 1, a->y.cols);
  apart(&k, "y", a->y, "x", a->x);
  apart(&k, "y", a->y, "past", a->past);
  apart(&k, "y", a->y, "w", a->w);
  apart(&k, "y", a->y, "bias", a->bias);
  if (!pass(&k, out, 18.0 * a->kt * (double)a->x.cols * elements(a->y))) return k.rc;
  return done(&k, c->ops->conv3d(c, a));
}

int op_group_norm(ctx *c, const op_group_norm_args *a) {
  check k = begin(c, OP_GROUP_NORM);
  supported(&k, c->ops->group_norm != NULL);
  operand(&k, "x", a->x);
  like(&k, "y", a->y, "x", a->x);
  shaped(&k, "w", a->w, 1, a->x.cols);
  shaped(&k, "b", a->b, 1, a->x.cols);
  DEMAND(&k, a->groups >= 1 && a->x.cols % (a->groups < 1 ? 1 : a->groups) == 0, E_SHAPE,
         "%lld channels do not divide into %d groups", (long long)a->x.cols, a->groups);
  DEMAND(&k, !a->scale.p == !a->shift.p, E_ARG, "scale and shift go together");
  wide_if(&k, "scale", a->scale, a->x.cols);
  if (a->scale.p) like(&k, "shift", a->shift, "scale", a->scale);
  if (a->scale.p) mapped(&k, "modulation", a->map, a->x.rows);
  epsilon(&k, a->eps);
  DEMAND(&k, a->act >= ACT_NONE && a->act <= ACT_SILU, E_ARG, "unknown activation %d", (int)a->act);
  same_or_apart(&k, "y", a->y, "x", a->x);
  apart(&k, "y", a->y, "w", a->w);
  apart(&k, "y", a->y, "b", a->b);
  apart(&k, "y", a->y, "scale", a->scale);
  apart(&k, "y", a->y, "shift", a->shift);
  double each = 8 + (a->scale.p ? 2 : 0) + act_flops(a->act, 0);
  if (!pass(&k, a->x.rows, each * elements(a->x))) return k.rc;
  return done(&k, c->ops->group_norm(c, a));
}

int op_resample(ctx *c, const op_resample_args *a) {
  check k = begin(c, OP_RESAMPLE);
  supported(&k, c->ops->resample != NULL);
  DEMAND(&k, a->kind >= RESAMPLE_UP && a->kind <= RESAMPLE_POOL_TIME, E_ARG, "unknown resampling %d", (int)a->kind);
  int64_t rows = clip_rows(&k, a->frames, a->height, a->width);
  if (k.rc != OK) return k.rc;
  int pool = a->kind == RESAMPLE_POOL_TIME;
  int64_t plane = rows / a->frames, out = op_resample_frames(a->frames, a->kind) * plane * (pool ? 1 : 4);
  shaped(&k, "x", a->x, rows, a->x.cols);
  shaped(&k, "y", a->y, out, a->x.cols);
  apart(&k, "y", a->y, "x", a->x);
  if (!pass(&k, out, pool ? 2 * elements(a->y) : 0)) return k.rc;
  return done(&k, c->ops->resample(c, a));
}

int op_rmsnorm(ctx *c, const op_rmsnorm_args *a) {
  check k = begin(c, OP_RMSNORM);
  supported(&k, c->ops->rmsnorm != NULL);
  operand(&k, "x", a->x);
  like(&k, "y", a->y, "x", a->x);
  shaped(&k, "w", a->w, 1, a->x.cols);
  epsilon(&k, a->eps);
  same_or_apart(&k, "y", a->y, "x", a->x);
  apart(&k, "y", a->y, "w", a->w);
  if (!pass(&k, a->x.rows, 4 * elements(a->x))) return k.rc; /* square, sum, two products */
  return done(&k, c->ops->rmsnorm(c, a));
}

int op_act_mul(ctx *c, const op_act_mul_args *a) {
  check k = begin(c, OP_ACT_MUL);
  supported(&k, c->ops->act_mul != NULL);
  operand(&k, "x", a->x);
  like(&k, "g", a->g, "x", a->x);
  like(&k, "y", a->y, "x", a->x);
  DEMAND(&k, a->act >= ACT_NONE && a->act <= ACT_SILU, E_ARG, "unknown activation %d", (int)a->act);
  same_or_apart(&k, "y", a->y, "x", a->x);
  same_or_apart(&k, "y", a->y, "g", a->g);
  if (!pass(&k, a->x.rows, (act_flops(a->act, 0) + 1) * elements(a->x))) return k.rc;
  return done(&k, c->ops->act_mul(c, a));
}

int op_softmax_rel(ctx *c, const op_softmax_rel_args *a) {
  check k = begin(c, OP_SOFTMAX_REL);
  supported(&k, c->ops->softmax_rel != NULL);
  operand(&k, "x", a->x);
  like(&k, "y", a->y, "x", a->x);
  operand(&k, "table", a->table);
  DEMAND(&k, a->x.rows == a->table.cols * a->x.cols, E_SHAPE,
         "x " SHAPE " is not [%lld * n, n], with a column of table " SHAPE " for each head", SHAPE_OF(a->x),
         (long long)a->table.cols, SHAPE_OF(a->table));
  mapped(&k, "bias", a->bucket, 2 * a->x.cols - 1);
  same_or_apart(&k, "y", a->y, "x", a->x);
  apart(&k, "y", a->y, "table", a->table);
  if (!pass(&k, a->x.rows, 6 * elements(a->x))) return k.rc; /* bias, maximum, difference, exp, sum, quotient */
  return done(&k, c->ops->softmax_rel(c, a));
}

int op_upload(ctx *c, void *dst, const void *host, size_t bytes) {
  if (bytes && (!dst || !host)) return err_set(&c->err, E_ARG, "op_upload: %s is NULL", dst ? "host" : "dst");
  if (!bytes) return OK;
  return c->ops->upload(c, dst, host, bytes);
}

int op_download(ctx *c, void *host, const void *src, size_t bytes) {
  if (bytes && (!host || !src)) return err_set(&c->err, E_ARG, "op_download: %s is NULL", host ? "src" : "host");
  if (!bytes) return OK;
  return c->ops->download(c, host, src, bytes);
}
