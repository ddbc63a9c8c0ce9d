/* The counting backend: every operation succeeds and does nothing, so that a whole training step of any model yields
 * its FLOPs, bytes and peak memory in milliseconds. Addresses it hands out are fake and are never followed. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ops/backends.h"

typedef struct null_state {
  uintptr_t next; /* addresses are never handed out twice, so the front's overlap checks hold here too */
} null_state;

/* The measuring arena uses the lower half of the address space. */
#define NULL_FIRST (UINTPTR_MAX / 2 + 1)

static int null_open(ctx *c) {
  null_state *s = NULL;
  if (c->isa)
    return err_set(&c->err, E_UNSUPPORTED, "backend null: has no instruction-set levels, \"%s\" was asked for",
                   c->isa);
  c->isa = "none";
  int rc = mem_new(&c->err, 1, sizeof *s, "null backend", &s);
  if (rc == OK) s->next = NULL_FIRST;
  c->state = s;
  return rc;
}

static void null_close(ctx *c) {
  free(c->state);
}

static int null_alloc(ctx *c, size_t bytes, void **out) {
  null_state *s = c->state;
  size_t need = (bytes + ARENA_ALIGN) & ~(size_t)(ARENA_ALIGN - 1);
  *out = NULL;
  if (need < bytes || need > UINTPTR_MAX - s->next)
    return err_set(&c->err, E_NOMEM, "backend null: no addresses left for %zu bytes", bytes);
  *out = (void *)s->next;
  s->next += need;
  return OK;
}

static void null_release(ctx *c, void *p) {
  (void)c, (void)p;
}
static int null_upload(ctx *c, void *dst, const void *host, size_t bytes) {
  (void)c, (void)dst, (void)host, (void)bytes;
  return OK;
}
/* Zeros, so that what a caller does with a downloaded loss is at least defined. */
static int null_download(ctx *c, void *host, const void *src, size_t bytes) {
  (void)c, (void)src;
  if (bytes) memset(host, 0, bytes);
  return OK;
}
static int null_sync(ctx *c) {
  (void)c;
  return OK;
}
static int null_copy(ctx *c, view dst, view src) {
  (void)c, (void)dst, (void)src;
  return OK;
}
static int null_cast(ctx *c, view dst, view src) {
  (void)c, (void)dst, (void)src;
  return OK;
}
static int null_fill(ctx *c, view dst, double v) {
  (void)c, (void)dst, (void)v;
  return OK;
}
static int null_colsum(ctx *c, view dbias, view dy) {
  (void)c, (void)dbias, (void)dy;
  return OK;
}
static int null_sumsq(ctx *c, double *out, const real *x, int64_t n) {
  (void)c, (void)out, (void)x, (void)n;
  return OK;
}

#define NOTHING(op)                                                                                                  \
  static int null_##op(ctx *c, const op_##op##_args *a) {                                                            \
    (void)c, (void)a;                                                                                                \
    return OK;                                                                                                       \
  }
NOTHING(lincomb)
NOTHING(gemm)
NOTHING(ln_mod)
NOTHING(ln_mod_bwd)
NOTHING(headnorm_rope)
NOTHING(headnorm_rope_bwd)
NOTHING(attn)
NOTHING(attn_bwd)
NOTHING(attn_small)
NOTHING(attn_small_bwd)
NOTHING(gate_add)
NOTHING(gate_add_bwd)
NOTHING(add_rows)
NOTHING(add_rows_bwd)
NOTHING(act)
NOTHING(act_bwd)
NOTHING(patch)
NOTHING(mse)
NOTHING(adamw)
NOTHING(conv3d)
NOTHING(group_norm)
NOTHING(resample)
NOTHING(rmsnorm)
NOTHING(act_mul)
NOTHING(softmax_rel)

const ops ops_null = {
    .name = "null",
    .help = "counts work and memory without doing any",
    .is_null = 1,
    .open = null_open,
    .close = null_close,
    .alloc = null_alloc,
    .release = null_release,
    .upload = null_upload,
    .download = null_download,
    .sync = null_sync,
    .copy = null_copy,
    .cast = null_cast,
    .fill = null_fill,
    .lincomb = null_lincomb,
    .gemm = null_gemm,
    .ln_mod = null_ln_mod,
    .ln_mod_bwd = null_ln_mod_bwd,
    .headnorm_rope = null_headnorm_rope,
    .headnorm_rope_bwd = null_headnorm_rope_bwd,
    .attn = null_attn,
    .attn_bwd = null_attn_bwd,
    .attn_small = null_attn_small,
    .attn_small_bwd = null_attn_small_bwd,
    .gate_add = null_gate_add,
    .gate_add_bwd = null_gate_add_bwd,
    .add_rows = null_add_rows,
    .add_rows_bwd = null_add_rows_bwd,
    .act = null_act,
    .act_bwd = null_act_bwd,
    .colsum = null_colsum,
    .patch = null_patch,
    .unpatch = null_patch,
    .mse = null_mse,
    .sumsq = null_sumsq,
    .adamw = null_adamw,
    .conv3d = null_conv3d,
    .group_norm = null_group_norm,
    .resample = null_resample,
    .rmsnorm = null_rmsnorm,
    .act_mul = null_act_mul,
    .softmax_rel = null_softmax_rel,
};
