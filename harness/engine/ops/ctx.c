#include "ops/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ops/backends.h"

static const ops *const backends[] = {
    &ops_cpu,
    &ops_null,
#ifdef TD_CUDA
    &ops_cuda,
#endif
    NULL,
};

static const char *const op_names[OP_COUNT] = {
    [OP_COPY] = "copy",
    [OP_CAST] = "cast",
    [OP_FILL] = "fill",
    [OP_LINCOMB] = "lincomb",
    [OP_GEMM] = "gemm",
    [OP_LN_MOD] = "ln_mod",
    [OP_LN_MOD_BWD] = "ln_mod_bwd",
    [OP_HEADNORM_ROPE] = "headnorm_rope",
    [OP_HEADNORM_ROPE_BWD] = "headnorm_rope_bwd",
    [OP_ATTN] = "attn",
    [OP_ATTN_BWD] = "attn_bwd",
    [OP_ATTN_SMALL] = "attn_small",
    [OP_ATTN_SMALL_BWD] = "attn_small_bwd",
    [OP_GATE_ADD] = "gate_add",
    [OP_GATE_ADD_BWD] = "gate_add_bwd",
    [OP_ADD_ROWS] = "add_rows",
    [OP_ADD_ROWS_BWD] = "add_rows_bwd",
    [OP_ACT] = "act",
    [OP_ACT_BWD] = "act_bwd",
    [OP_COLSUM] = "colsum",
    [OP_PATCH] = "patch",
    [OP_UNPATCH] = "unpatch",
    [OP_MSE] = "mse",
    [OP_SUMSQ] = "sumsq",
    [OP_ADAMW] = "adamw",
    [OP_CONV3D] = "conv3d",
    [OP_GROUP_NORM] = "group_norm",
    [OP_RESAMPLE] = "resample",
    [OP_RMSNORM] = "rmsnorm",
    [OP_ACT_MUL] = "act_mul",
    [OP_SOFTMAX_REL] = "softmax_rel",
};

const ops *const *backend_list(void) {
  return backends;
}

const ops *backend_find(const char *name) {
  for (int i = 0; name && backends[i]; i++)
    if (!strcmp(backends[i]->name, name)) return backends[i];
  return NULL;
}

const char *op_name(op_id id) {
  return (int)id >= 0 && id < OP_COUNT ? op_names[id] : "?";
}

static int no_such_backend(ctx *c, const char *name) {
  char known[128] = "";
  for (int i = 0; backends[i]; i++)
    snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", backends[i]->name);
  const char *why = name && !strcmp(name, "cuda") ? "; cuda needs nvcc and cuBLAS when the program is built" : "";
  return err_set(&c->err, E_UNSUPPORTED, "backend %s: not in this build, which has %s%s", name ? name : "(none)",
                 known, why);
}

static int open_as(ctx *c, const char *backend, const ctx_options *o) {
  memset(c, 0, sizeof *c);
  const ops *found = backend_find(backend);
  if (!found) return no_such_backend(c, backend);
  c->ops = found;
  c->threads = o->threads > 0 ? o->threads : 0;
  c->storage = o->storage == DT_BF16 ? DT_BF16 : DT_REAL;
  if (c->storage == DT_BF16 && DT_REAL == DT_F64)
    return err_set(&c->err, E_UNSUPPORTED, "storage BF16: the double build has F64 only");
  c->device = o->device;
  c->isa = o->isa; /* what was asked for; the backend puts in what it uses */
  return found->open(c);
}

int ctx_open(ctx *c, const ctx_options *o) {
  if (!o->backend || strcmp(o->backend, "auto")) return open_as(c, o->backend, o);
  int rc = open_as(c, "cuda", o);
  if (rc != E_UNSUPPORTED) return rc;
  char why[sizeof c->note];
  snprintf(why, sizeof why, "%.*s; computing on the CPU", (int)sizeof why - 32, c->err.text);
  ctx_close(c);
  rc = open_as(c, "cpu", o);
  memcpy(c->note, why, sizeof why);
  return rc;
}

static void arena_drop(ctx *c) {
  if (c->mem_block) c->ops->release(c, c->mem_block);
  c->mem_block = NULL;
  c->mem = (arena){0};
}

void ctx_close(ctx *c) {
  if (!c->ops) return;
  arena_drop(c);
  c->ops->close(c);
  c->ops = NULL;
  c->state = NULL;
}

int ctx_arena(ctx *c, size_t bytes) {
  arena_drop(c);
  if (c->ops->is_null) {
    arena_open_measuring(&c->mem);
    if (bytes) c->mem.cap = bytes;
    return OK;
  }
  if (!bytes) return OK;
  int rc = c->ops->alloc(c, bytes, &c->mem_block);
  if (rc == OK) arena_open(&c->mem, c->mem_block, bytes);
  return rc;
}

static int take(ctx *c, view v, const char *what, view *out) {
  int64_t n;
  void *p;
  *out = v;
  if (v.rows < 0 || v.cols < 1 || __builtin_mul_overflow(v.rows, v.cols, &n))
    return err_set(&c->err, E_SHAPE, "%s: [%lld,%lld] is no shape", what, (long long)v.rows, (long long)v.cols);
  int rc = arena_take(&c->mem, &c->err, n, dtype_size(v.type), what, &p);
  out->p = p;
  return rc;
}

int ctx_view(ctx *c, int64_t rows, int64_t cols, const char *what, view *out) {
  return take(c, view_typed(c->storage, NULL, rows, cols), what, out);
}

int ctx_reals(ctx *c, int64_t rows, int64_t cols, const char *what, view *out) {
  return take(c, view_of(NULL, rows, cols), what, out);
}

/* --- host and backend --- */

#define STAGED ((int64_t)1 << 18) /* elements converted at a time */

static int check_staged(ctx *c, view v) {
  if (v.ld == v.cols || v.rows <= 1) return OK;
  return err_set(&c->err, E_SHAPE, "[%lld,%lld] with rows %lld apart: only contiguous matrices move to the host",
                 (long long)v.rows, (long long)v.cols, (long long)v.ld);
}

int ctx_put(ctx *c, view dst, const real *host) {
  int rc = OK;
  int64_t n = dst.rows * dst.cols, size = dtype_size(dst.type);
  void *buf = NULL;
  TRY(check_staged(c, dst));
  if (dst.type == DT_REAL) return op_upload(c, dst.p, host, (size_t)(n * size));
  TRY(mem_new(&c->err, n < STAGED ? n : STAGED, size, "staging", &buf));
  for (int64_t at = 0; at < n; at += STAGED) {
    int64_t k = n - at < STAGED ? n - at : STAGED;
    dtype_from_real(dst.type, host + at, k, buf);
    TRY(op_upload(c, (char *)dst.p + at * size, buf, (size_t)(k * size)));
  }
out:
  free(buf);
  return rc;
}

int ctx_get(ctx *c, real *host, view src) {
  int rc = OK;
  int64_t n = src.rows * src.cols, size = dtype_size(src.type);
  void *buf = NULL;
  TRY(check_staged(c, src));
  if (src.type == DT_REAL) return op_download(c, host, src.p, (size_t)(n * size));
  TRY(mem_new(&c->err, n < STAGED ? n : STAGED, size, "staging", &buf));
  for (int64_t at = 0; at < n; at += STAGED) {
    int64_t k = n - at < STAGED ? n - at : STAGED;
    TRY(op_download(c, buf, (char *)src.p + at * size, (size_t)(k * size)));
    dtype_to_real(src.type, buf, k, host + at);
  }
out:
  free(buf);
  return rc;
}
