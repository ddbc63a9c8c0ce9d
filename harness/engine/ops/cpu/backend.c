#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "ops/backends.h"
#include "ops/cpu/cpu.h"
#include "ops/cpu/isa.h"

typedef struct level {
  const char *isa;
  const mul_kernels *mul;
  const epi_kernels *epi;
  const attn_kernels *attn;
  const row_kernels *row;
} level;

#define LEVEL(name)                                                                                                  \
  {                                                                                                                  \
    .isa = #name, .mul = &mul_kernels_##name, .epi = &epi_kernels_##name, .attn = &attn_kernels_##name,              \
    .row = &row_kernels_##name                                                                                       \
  }

#if defined(__x86_64__)
static const level levels[] = {LEVEL(v4), LEVEL(v3), LEVEL(v2)}; /* best first */
#else
static const level levels[] = {LEVEL(generic)};
#endif

#define HUGE_PAGE ((size_t)2 << 20)
#define LEVELS ((int)(sizeof levels / sizeof levels[0]))

static int choose(ctx *c, const char *isa, const level **out) {
  *out = NULL;
  for (int i = 0; i < LEVELS; i++) {
    if (isa && strcmp(isa, levels[i].isa)) continue;
    if (isa_present(levels[i].isa)) {
      *out = &levels[i];
      return OK;
    }
    if (isa) return err_set(&c->err, E_UNSUPPORTED, "backend cpu: this CPU does not have level %s", isa);
  }
  if (!isa)
    return err_set(&c->err, E_UNSUPPORTED, "backend cpu: this CPU has not even level %s", levels[LEVELS - 1].isa);
  return err_set(&c->err, E_UNSUPPORTED, "backend cpu: no level %s in this build", isa);
}

static int cpu_open(ctx *c) {
  cpu_state *s = NULL;
  const level *l = NULL;
  int rc = OK;
  TRY(choose(c, c->isa, &l));
  TRY(mem_new(&c->err, 1, sizeof *s, "cpu backend", &s));
  c->state = s;
  *s = (cpu_state){.isa = l->isa,
                   .threads = c->threads > 0 ? c->threads : omp_get_max_threads(),
                   .mul = l->mul,
                   .epi = l->epi,
                   .attn = l->attn,
                   .row = l->row};
  /* Not mem_new: pages that no thread touches should not exist. */
  void *p = NULL;
  if (posix_memalign(&p, 4096, (size_t)cpu_scratch_reals(s->threads) * sizeof(real)))
    FAIL(&c->err, E_NOMEM, "cpu backend: no memory for the scratch of %d threads", s->threads);
  s->scratch = p;
  if (c->storage == DT_BF16) {
    s->narrow = *c->ops;
    cpu_narrow(&s->narrow);
    c->ops = &s->narrow;
  }
  c->threads = s->threads;
  c->isa = s->isa;
out:
  return rc;
}

static void cpu_close(ctx *c) {
  cpu_state *s = c->state;
  if (s) free(s->scratch);
  if (s) free(s->wide);
  free(s);
}

static int cpu_alloc(ctx *c, size_t bytes, void **out) {
  *out = NULL;
  size_t align = bytes < HUGE_PAGE ? ARENA_ALIGN : HUGE_PAGE;
  size_t rounded = (bytes + align) & ~(align - 1);
  if (rounded < bytes || posix_memalign(out, align, rounded))
    return err_set(&c->err, E_NOMEM, "cpu backend: no memory for %zu bytes", bytes);
#ifdef MADV_HUGEPAGE
  if (align == HUGE_PAGE) (void)madvise(*out, rounded, MADV_HUGEPAGE);
#endif
  return OK;
}

static void cpu_release(ctx *c, void *p) {
  (void)c;
  free(p);
}

static int cpu_upload(ctx *c, void *dst, const void *host, size_t bytes) {
  (void)c;
  memcpy(dst, host, bytes);
  return OK;
}

static int cpu_download(ctx *c, void *host, const void *src, size_t bytes) {
  (void)c;
  memcpy(host, src, bytes);
  return OK;
}

static int cpu_sync(ctx *c) {
  (void)c;
  return OK;
}

const ops ops_cpu = {
    .name = "cpu",
    .help = "own kernels in C, the same bits for any number of threads",
    .open = cpu_open,
    .close = cpu_close,
    .alloc = cpu_alloc,
    .release = cpu_release,
    .upload = cpu_upload,
    .download = cpu_download,
    .sync = cpu_sync,
    .copy = cpu_copy,
    .cast = cpu_copy, /* with reals only there is nothing to convert */
    .fill = cpu_fill,
    .lincomb = cpu_lincomb,
    .gemm = cpu_gemm,
    .ln_mod = cpu_ln_mod,
    .ln_mod_bwd = cpu_ln_mod_bwd,
    .headnorm_rope = cpu_headnorm_rope,
    .headnorm_rope_bwd = cpu_headnorm_rope_bwd,
    .attn = cpu_attn,
    .attn_bwd = cpu_attn_bwd,
    .attn_small = cpu_attn_small,
    .attn_small_bwd = cpu_attn_small_bwd,
    .gate_add = cpu_gate_add,
    .gate_add_bwd = cpu_gate_add_bwd,
    .add_rows = cpu_add_rows,
    .add_rows_bwd = cpu_add_rows_bwd,
    .act = cpu_act,
    .act_bwd = cpu_act_bwd,
    .colsum = cpu_colsum,
    .patch = cpu_patch,
    .unpatch = cpu_unpatch,
    .mse = cpu_mse,
    .sumsq = cpu_sumsq,
    .adamw = cpu_adamw,
    .conv3d = cpu_conv3d,
    .group_norm = cpu_group_norm,
    .resample = cpu_resample,
    .rmsnorm = cpu_rmsnorm,
    .act_mul = cpu_act_mul,
    .softmax_rel = cpu_softmax_rel,
};
