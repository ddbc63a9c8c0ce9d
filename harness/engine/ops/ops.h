/* The one table of operations. Model code is written once over the op_* functions below; the backends `cpu`, `null`
 * and `cuda` fill the table behind them. Each operation is about as coarse as one good GPU kernel.
 *
 * Contracts that hold for every operation
 *   - Gradients: parameter gradients are added to (+=), activation gradients are assigned (=); where an activation
 *     gradient adds instead, the operation's comment says so.
 *   - Nothing allocates. Scratch memory belongs to the context and was sized when it was opened.
 *   - Outputs must not overlap inputs unless the comment allows it.
 *   - A view with p == NULL means "not wanted" for an optional output and "absent" for an optional input.
 *   - Bits do not depend on the number of threads: every output element is summed by one thread in a fixed order.
 *   - Rows are tokens, columns are channels. Joint sequences of all samples lie in one matrix, segment after segment.
 *   - op_* checks shapes and types once, names the operation and the shapes on failure, counts FLOPs and bytes, then
 *     calls the table.
 *
 * A row map is an array of int32 with one entry a row, in backend memory: which row of a small table (modulation,
 * positions) belongs to this row. A negative entry means "none".
 *
 * Types. A context has one storage type S: DT_REAL or, in the float build, DT_BF16 (ctx_options.storage). Arithmetic
 * and accumulation are the same for both; a result of type S is rounded once, when it is stored, to nearest even.
 *   - S: activations and their gradients, weights, and row tables made from them (modulation, gates, positions).
 *   - DT_REAL always: parameter gradients (whatever is added to with +=: dw, db, dgate, dshift, dscale, dtable,
 * dbias), lse, delta, cos, sin, latents of patch and unpatch, sumsq, adamw.
 *   - Any of the two: fill; copy and lincomb (one type for all operands); cast; mse, by operand (dpred as pred);
 * gemm's a and b (one type for both) and its c (S or DT_REAL when a and b are S, else DT_REAL). gemm's bias and pre
 * are S. The cpu backend computes in reals: with S = DT_BF16 its entries widen their operands to memory of the
 * backend, which grows to the largest call, and round the results. Slow, and meant as the reference of that mode. */
#ifndef TD_OPS_OPS_H
#define TD_OPS_OPS_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/real.h"

/* A row-major matrix in backend memory; ld >= cols, in elements. Passed by value, owns nothing. */
typedef struct view {
  void *p;
  int64_t rows, cols, ld;
  dtype type;
} view;

typedef enum op_id {
  OP_COPY,
  OP_CAST,
  OP_FILL,
  OP_LINCOMB,
  OP_GEMM,
  OP_LN_MOD,
  OP_LN_MOD_BWD,
  OP_HEADNORM_ROPE,
  OP_HEADNORM_ROPE_BWD,
  OP_ATTN,
  OP_ATTN_BWD,
  OP_ATTN_SMALL,
  OP_ATTN_SMALL_BWD,
  OP_GATE_ADD,
  OP_GATE_ADD_BWD,
  OP_ADD_ROWS,
  OP_ADD_ROWS_BWD,
  OP_ACT,
  OP_ACT_BWD,
  OP_COLSUM,
  OP_PATCH,
  OP_UNPATCH,
  OP_MSE,
  OP_SUMSQ,
  OP_ADAMW,
  OP_CONV3D,
  OP_GROUP_NORM,
  OP_RESAMPLE,
  OP_RMSNORM,
  OP_ACT_MUL,
  OP_SOFTMAX_REL,
  OP_COUNT
} op_id;

typedef enum op_act { ACT_NONE, ACT_GELU_TANH, ACT_SILU } op_act;

/* y = sum_i c[i] * x[i], i < n <= 4. y may be one of the x. */
typedef struct op_lincomb_args {
  view y;
  int n;
  view x[4];
  double c[4];
} op_lincomb_args;

/* c = alpha * op(a) op(b) + beta * c, then + bias (a row vector, broadcast over rows), then the activation.
 * op(a) is [M,K]; with ta, `a` is stored [K,M]. op(b) is [K,N]; with tb, `b` is stored [N,K] (a Linear weight is
 * [out,in], so y = x W^T is tb = 1). `pre`, if wanted, receives the value before the activation. beta is 0 or any
 * number; with beta = 0, c is never read. */
typedef struct op_gemm_args {
  view a, b, c;
  int ta, tb;
  double alpha, beta;
  view bias; /* [1,N] or absent */
  op_act act;
  view pre; /* [M,N] or absent */
} op_gemm_args;

/* Layer norm over the columns of x, optional affine, optional modulation:
 *   y = (((x - mean) * rstd) * w + b) * (1 + scale[m]) + shift[m],  m = map[row]
 * variance is the population one, two-pass. w, b [1,D] or both absent. shift, scale [M,D] (either may be absent).
 * map [rows] int32 is needed with shift or scale; a negative entry means no modulation for the row. y may be x. */
typedef struct op_ln_mod_args {
  view x, y, w, b, shift, scale;
  const int32_t *map;
  double eps;
} op_ln_mod_args;

/* dx = (accumulate ? dx : 0) + gradient through op_ln_mod; the row statistics are recomputed from x.
 * dw, db [1,D] and dshift, dscale [M,D] are optional and added to; rows are taken in ascending order. dx may be dy.
 * Modulation rows: dshift[m] += dy; dscale[m] += dy * (xhat * w + b). */
typedef struct op_ln_mod_bwd_args {
  view x, dy, dx, w, b, scale, dw, db, dshift, dscale;
  const int32_t *map;
  double eps;
  int accumulate;
} op_ln_mod_bwd_args;

/* Per head of width `dim`: layer norm (eps, affine w and b [1,dim], shared by all heads), then rotation of the pairs
 * (2i, 2i+1) by the angles of row map[r] of the tables: (a,b) -> (a cos - b sin, b cos + a sin).
 * cos, sin [P, dim/2] fp32-valued reals. map NULL or a negative entry: no rotation. x, y [rows, heads*dim]; y may be
 * x. */
typedef struct op_headnorm_rope_args {
  view x, y, w, b, cos, sin;
  const int32_t *map;
  int dim;
  double eps;
} op_headnorm_rope_args;

/* dx = gradient; dw, db [1,dim] optional, added to. dx may be dy. */
typedef struct op_headnorm_rope_bwd_args {
  view x, dy, dx, w, cos, sin, dw, db;
  const int32_t *map;
  int dim;
  double eps;
} op_headnorm_rope_bwd_args;

#define ATTN_SPANS 8
/* Rows r0 .. r1-1; bias is added to the logits of these keys (natural units, after scaling). Unused for queries. */
typedef struct attn_span {
  int64_t r0, r1;
  float bias;
} attn_span;
/* All query rows of `q` see exactly the keys of `k`, in this order. */
typedef struct attn_group {
  int nq, nk;
  attn_span q[ATTN_SPANS], k[ATTN_SPANS];
} attn_group;

/* o = softmax(q k^T / sqrt(dim) + bias) v per head, over the keys of each group. q, k, v, o [rows, heads*dim].
 * lse [heads, rows]: natural log of the sum of exponentials. Rows in no group's queries are not written.
 * Spans of one group do not overlap; a row is a query of one group at most. */
typedef struct op_attn_args {
  view q, k, v, o, lse;
  const attn_group *groups; /* host memory */
  int n_groups, dim;
} op_attn_args;

/* Gradients of op_attn. `groups` lists the query rows that have an upstream gradient in d_o (a subset of the
 * forward's, with the same keys). dq rows are written (=) for those queries. dk and dv are written (=) for every key
 * row
 * >= kv_from that some group sees: the sum over all groups' queries; key rows < kv_from are not touched and their
 * products are skipped. delta [heads, rows] is scratch (row sums of d_o * o). */
typedef struct op_attn_bwd_args {
  view q, k, v, o, lse, d_o, dq, dk, dv, delta;
  const attn_group *groups;
  int n_groups, dim;
  int64_t kv_from;
} op_attn_bwd_args;

/* n independent sequences of two rows: rows i and n+i of q, k, v, o [2n, heads*dim]: 2x2 attention per head, logits
 * scaled by 1/sqrt(dim). */
typedef struct op_attn_small_args {
  view q, k, v, o;
  int heads;
} op_attn_small_args;
typedef struct op_attn_small_bwd_args {
  view q, k, v, d_o, dq, dk, dv;
  int heads;
} op_attn_small_bwd_args;

/* x += gate[map[row]] * y. gate [M,D]. In place on x. Rows without a gate are left as they are, and have dy = 0. */
typedef struct op_gate_add_args {
  view x, y, gate;
  const int32_t *map;
} op_gate_add_args;
/* dy = gate[map[row]] * dx; dgate[m] += sum of dx * y over the rows with map[row] = m, in ascending order (optional;
 * y is needed only then). The gradient of x itself is dx, untouched. */
typedef struct op_gate_add_bwd_args {
  view dx, y, gate, dy, dgate;
  const int32_t *map;
} op_gate_add_bwd_args;

/* x += table[map[row]] (positions, domain vector, type embedding). map NULL: row 0 for every row. */
typedef struct op_add_rows_args {
  view x, table;
  const int32_t *map;
} op_add_rows_args;
/* dtable[map[row]] += dx[row], rows in ascending order. */
typedef struct op_add_rows_bwd_args {
  view dx, dtable;
  const int32_t *map;
} op_add_rows_bwd_args;

typedef struct op_act_args {
  view x, y; /* y may be x */
  op_act act;
} op_act_args;
/* dx = dy * act'(x). dx may be dy. */
typedef struct op_act_bwd_args {
  view x, dy, dx;
  op_act act;
} op_act_bwd_args;

/* Latents [frames, channels, height, width] (contiguous) <-> rows of patches, the order of a CogVideoX projection:
 * row = ((f / pt) * (h / p) + y) * (w / p) + x, column = ((c * pt + f % pt) * p + py) * p + px. */
typedef struct op_patch_args {
  void *latents; /* DT_REAL; patch reads it, unpatch writes it */
  view rows;     /* [frames/pt * h/p * w/p, channels*pt*p*p] */
  int frames, channels, height, width, p, pt;
} op_patch_args;

/* loss[0] += weight * sum (pred - target)^2, summed in double in a fixed order; dpred (optional) = 2 * weight *
 * (pred - target). loss is one double in backend memory. */
typedef struct op_mse_args {
  view pred, target, dpred;
  double weight;
  double *loss;
} op_mse_args;

/* AdamW with decoupled decay on a flat array of n reals:
 *   g' = g * scale[0]; m = b1 m + (1-b1) g'; v = b2 v + (1-b2) g'^2;
 *   w = w * (1 - lr * decay) - lr * (m / (1 - b1^step)) / (sqrt(v / (1 - b2^step)) + eps)
 * (PyTorch's torch.optim.AdamW order.) `scale` is one double in backend memory (the clipping factor) or NULL for 1.
 */
typedef struct op_adamw_args {
  real *w, *m, *v;
  const real *g;
  int64_t n;
  double lr, beta1, beta2, eps, decay;
  int64_t step; /* 1-based */
  const double *scale;
} op_adamw_args;

/* Video. The rows of a clip are its pixels, row = (frame * height + y) * width + x; columns are channels. Forward
 * only.
 *
 * 3 x 3 convolution over kt = 1 or 3 frames, causal: tap dt of frame f reads frame f + dt - (kt - 1). The two frames
 * before the first come from `past` [2 * height * width, Cin]; without it the first frame stands in for both.
 * stride 1 pads with zeros on all four sides and keeps the size; stride 2 pads right and bottom only and gives
 * height / 2 x width / 2, rounded down. With kt = 1 and stride 1 this is a 2-D convolution of each frame.
 *   y = (accumulate ? y : 0) + bias + sum over taps and input channels
 * w holds panels of CONV_PANEL output channels, zeros behind the last: rows
 * (((o / CONV_PANEL * kt + dt) * 3 + dy) * 3 + dx) * Cin + i, column o % CONV_PANEL. No im2col matrix is ever made.
 */
#define CONV_PANEL 32
typedef struct op_conv3d_args {
  view x, past, w, bias, y;  /* past may be absent */
  int frames, height, width; /* of x */
  int kt, stride, accumulate;
} op_conv3d_args;
/* Rows of w. */
static inline int64_t op_conv3d_w_rows(int64_t out, int64_t in, int kt) {
  return (out + CONV_PANEL - 1) / CONV_PANEL * kt * 9 * in;
}
/* Height or width after the stride. */
static inline int op_conv3d_side(int side, int stride) {
  return stride == 2 ? side / 2 : side;
}

/* Group norm: one mean and one population variance (two-pass) a group of C / groups channels over all rows, then
 *   y = act(((x - mean) * rstd * w + b) * scale[m] + shift[m]),  m = map[row]
 * w, b [1,C]; scale, shift [M,C] are both there (with map) or both absent. y may be x. */
typedef struct op_group_norm_args {
  view x, y, w, b, scale, shift;
  const int32_t *map;
  int groups;
  double eps;
  op_act act;
} op_group_norm_args;

/* Clips of other sizes. Time rules of the VAE: of an odd number of frames the first is by itself.
 *   UP         each pixel becomes 2 x 2
 *   UP_TIME    the same, and each frame two, but not the first of an odd number
 *   POOL_TIME  means of pairs of frames; the first of an odd number is copied */
typedef enum op_resampling { RESAMPLE_UP, RESAMPLE_UP_TIME, RESAMPLE_POOL_TIME } op_resampling;
typedef struct op_resample_args {
  view x, y;
  int frames, height, width; /* of x */
  op_resampling kind;
} op_resample_args;
/* Frames of y. */
static inline int op_resample_frames(int frames, op_resampling kind) {
  if (kind == RESAMPLE_UP_TIME) return 2 * frames - frames % 2;
  return kind == RESAMPLE_POOL_TIME ? (frames + 1) / 2 : frames;
}
/* Inference only, as the text encoder is: these three have no gradient.
 *
 * y = x / sqrt(mean of x^2 over the row + eps) * w. w [1,D]. y may be x. */
typedef struct op_rmsnorm_args {
  view x, y, w;
  double eps;
} op_rmsnorm_args;
/* y = act(x) * g, element by element. y may be x or g. */
typedef struct op_act_mul_args {
  view x, g, y;
  op_act act;
} op_act_mul_args;
/* Softmax of each row of logits, with a bias by relative position. x, y [heads * n, n]: row h * n + i is query i of
 * head h, column j is key j; the logit is x + table[bucket[j - i + n - 1]][h]. bucket: 2n - 1 entries in backend
 * memory, rows of table [buckets, heads]. y may be x. */
typedef struct op_softmax_rel_args {
  view x, y, table;
  const int32_t *bucket;
} op_softmax_rel_args;

typedef struct ctx ctx;

typedef struct ops {
  const char *name; /* "cpu", "null", "cuda" */
  const char *help;
  int is_null; /* pointers are never followed */
  int (*open)(ctx *);
  void (*close)(ctx *);
  /* memory and movement; upload and download are host <-> backend, synchronous */
  int (*alloc)(ctx *, size_t bytes, void **out);
  void (*release)(ctx *, void *p);
  int (*upload)(ctx *, void *dst, const void *host, size_t bytes);
  int (*download)(ctx *, void *host, const void *src, size_t bytes);
  int (*sync)(ctx *);
  int (*copy)(ctx *, view dst, view src); /* same shape and type */
  int (*cast)(ctx *, view dst, view src); /* same shape; dst is src rounded to, or widened to, its type */
  int (*fill)(ctx *, view dst, double v);
  int (*lincomb)(ctx *, const op_lincomb_args *);
  int (*gemm)(ctx *, const op_gemm_args *);
  int (*ln_mod)(ctx *, const op_ln_mod_args *);
  int (*ln_mod_bwd)(ctx *, const op_ln_mod_bwd_args *);
  int (*headnorm_rope)(ctx *, const op_headnorm_rope_args *);
  int (*headnorm_rope_bwd)(ctx *, const op_headnorm_rope_bwd_args *);
  int (*attn)(ctx *, const op_attn_args *);
  int (*attn_bwd)(ctx *, const op_attn_bwd_args *);
  int (*attn_small)(ctx *, const op_attn_small_args *);
  int (*attn_small_bwd)(ctx *, const op_attn_small_bwd_args *);
  int (*gate_add)(ctx *, const op_gate_add_args *);
  int (*gate_add_bwd)(ctx *, const op_gate_add_bwd_args *);
  int (*add_rows)(ctx *, const op_add_rows_args *);
  int (*add_rows_bwd)(ctx *, const op_add_rows_bwd_args *);
  int (*act)(ctx *, const op_act_args *);
  int (*act_bwd)(ctx *, const op_act_bwd_args *);
  int (*colsum)(ctx *, view dbias, view dy); /* dbias [1,N] += column sums of dy [M,N], rows ascending */
  int (*patch)(ctx *, const op_patch_args *);
  int (*unpatch)(ctx *, const op_patch_args *);
  int (*mse)(ctx *, const op_mse_args *);
  int (*sumsq)(ctx *, double *out, const real *x, int64_t n); /* out[0] += sum x^2, in double, fixed order */
  int (*adamw)(ctx *, const op_adamw_args *);
  int (*conv3d)(ctx *, const op_conv3d_args *);
  int (*group_norm)(ctx *, const op_group_norm_args *);
  int (*resample)(ctx *, const op_resample_args *);
  int (*rmsnorm)(ctx *, const op_rmsnorm_args *);
  int (*act_mul)(ctx *, const op_act_mul_args *);
  int (*softmax_rel)(ctx *, const op_softmax_rel_args *);
} ops;

/* Work done since the context was opened (or since the caller zeroed it). Bytes are the operands' sizes. */
typedef struct op_count {
  int64_t calls;
  double flops, bytes;
} op_count;

typedef struct ctx_options {
  const char *backend; /* "cpu", "null", "cuda"; "auto": cuda where that is possible, else cpu */
  int threads;         /* 0 or less: OpenMP's default; ctx.threads then holds what that was */
  const char *isa;     /* NULL: the best this CPU has; "v2", "v3", "v4", "generic" */
  dtype storage;       /* DT_BF16, else DT_REAL */
  int device;          /* cuda: its number, from 0 */
} ctx_options;

struct ctx {
  const ops *ops;
  err err;
  int threads;
  const char *isa; /* level in use, for the record: v3, sm_90 */
  int device;
  char library[32]; /* of the backend, and its version, for the record; "" where it has none */
  char note[256];   /* "auto": why it is not cuda; else "" */
  dtype storage;    /* S: DT_REAL or DT_BF16 */
  arena mem;        /* activations; opened by ctx_arena */
  void *mem_block;  /* what the arena stands on */
  op_count count[OP_COUNT];
  void *state; /* backend's own */
};

/* The backends of this build, NULL-terminated. */
const ops *const *backend_list(void);
const ops *backend_find(const char *name);
const char *op_name(op_id id);

int ctx_open(ctx *c, const ctx_options *o) TD_MUST_CHECK; /* on failure the text is in c->err; close is still legal */
void ctx_close(ctx *c);
/* Gives the context an arena of `bytes` (replacing any earlier one); 0 takes the arena away. On the null backend the
 * arena measures: 0 means no limit, anything else is a budget that ctx_view keeps to. */
int ctx_arena(ctx *c, size_t bytes) TD_MUST_CHECK;
/* [rows, cols] from the arena: of the context's storage type, and of DT_REAL. */
int ctx_view(ctx *c, int64_t rows, int64_t cols, const char *what, view *out) TD_MUST_CHECK;
int ctx_reals(ctx *c, int64_t rows, int64_t cols, const char *what, view *out) TD_MUST_CHECK;
/* A contiguous matrix from and to host reals, converted on the host to and from the view's type. Synchronous. */
int ctx_put(ctx *c, view dst, const real *host) TD_MUST_CHECK;
int ctx_get(ctx *c, real *host, view src) TD_MUST_CHECK;

/* Views */
static inline view view_of(void *p, int64_t rows, int64_t cols) {
  return (view){.p = p, .rows = rows, .cols = cols, .ld = cols, .type = DT_REAL};
}
static inline view view_typed(dtype type, void *p, int64_t rows, int64_t cols) {
  return (view){.p = p, .rows = rows, .cols = cols, .ld = cols, .type = type};
}
static inline view view_rows(view v, int64_t r0, int64_t n) {
  v.p = v.p ? (char *)v.p + r0 * v.ld * dtype_size(v.type) : NULL;
  v.rows = n;
  return v;
}
static inline view view_cols(view v, int64_t c0, int64_t n) {
  v.p = v.p ? (char *)v.p + c0 * dtype_size(v.type) : NULL;
  v.cols = n;
  return v;
}

/* Fronts: check, count, call. */
int op_copy(ctx *c, view dst, view src) TD_MUST_CHECK;
int op_cast(ctx *c, view dst, view src) TD_MUST_CHECK;
int op_fill(ctx *c, view dst, double v) TD_MUST_CHECK;
int op_lincomb(ctx *c, const op_lincomb_args *a) TD_MUST_CHECK;
int op_gemm(ctx *c, const op_gemm_args *a) TD_MUST_CHECK;
int op_ln_mod(ctx *c, const op_ln_mod_args *a) TD_MUST_CHECK;
int op_ln_mod_bwd(ctx *c, const op_ln_mod_bwd_args *a) TD_MUST_CHECK;
int op_headnorm_rope(ctx *c, const op_headnorm_rope_args *a) TD_MUST_CHECK;
int op_headnorm_rope_bwd(ctx *c, const op_headnorm_rope_bwd_args *a) TD_MUST_CHECK;
int op_attn(ctx *c, const op_attn_args *a) TD_MUST_CHECK;
int op_attn_bwd(ctx *c, const op_attn_bwd_args *a) TD_MUST_CHECK;
int op_attn_small(ctx *c, const op_attn_small_args *a) TD_MUST_CHECK;
int op_attn_small_bwd(ctx *c, const op_attn_small_bwd_args *a) TD_MUST_CHECK;
int op_gate_add(ctx *c, const op_gate_add_args *a) TD_MUST_CHECK;
int op_gate_add_bwd(ctx *c, const op_gate_add_bwd_args *a) TD_MUST_CHECK;
int op_add_rows(ctx *c, const op_add_rows_args *a) TD_MUST_CHECK;
int op_add_rows_bwd(ctx *c, const op_add_rows_bwd_args *a) TD_MUST_CHECK;
int op_act_fwd(ctx *c, const op_act_args *a) TD_MUST_CHECK;
int op_act_bwd(ctx *c, const op_act_bwd_args *a) TD_MUST_CHECK;
int op_colsum(ctx *c, view dbias, view dy) TD_MUST_CHECK;
int op_patch(ctx *c, const op_patch_args *a) TD_MUST_CHECK;
int op_unpatch(ctx *c, const op_patch_args *a) TD_MUST_CHECK;
int op_mse(ctx *c, const op_mse_args *a) TD_MUST_CHECK;
int op_sumsq(ctx *c, double *out, const real *x, int64_t n) TD_MUST_CHECK;
int op_adamw(ctx *c, const op_adamw_args *a) TD_MUST_CHECK;
int op_conv3d(ctx *c, const op_conv3d_args *a) TD_MUST_CHECK;
int op_group_norm(ctx *c, const op_group_norm_args *a) TD_MUST_CHECK;
int op_resample(ctx *c, const op_resample_args *a) TD_MUST_CHECK;
int op_rmsnorm(ctx *c, const op_rmsnorm_args *a) TD_MUST_CHECK;
int op_act_mul(ctx *c, const op_act_mul_args *a) TD_MUST_CHECK;
int op_softmax_rel(ctx *c, const op_softmax_rel_args *a) TD_MUST_CHECK;
int op_upload(ctx *c, void *dst, const void *host, size_t bytes) TD_MUST_CHECK;
int op_download(ctx *c, void *host, const void *src, size_t bytes) TD_MUST_CHECK;

#endif
