/* The cpu backend from inside: its state, the kernel tables (one per instruction-set level) and its table entries.
 *
 * Kernels are the innermost loops. Each file of kernels/ is compiled once per level (TD_ISA = v2, v3, v4 or generic)
 * and exports one const table per level; the entries below are compiled once and reach them through cpu_state.
 * Scratch is allocated when the context is opened; its size depends on the blocking and the number of threads, never
 * on a shape.
 *
 * Bits: v3 and v4 give the same bits (both have fused multiply-add); v2 and generic round products separately. */
#ifndef TD_OPS_CPU_CPU_H
#define TD_OPS_CPU_CPU_H

#include "ops/ops.h"

/* --- kernel tables --- */

/* c[m,n] = alpha * a b, or c + alpha * a b, or (row_scale) row_scale[i] * c[i] + a b. Each element is one accumulator
 * over k in ascending order, then one multiply-add.
 *   element (i, k) of a at a[(i / mr) * a_panel + (i % mr) * a_row + k * a_k]
 *   element (k, j) of b at b[(j / nr) * b_panel + (j % nr) + k * b_k]; b must be readable up to the next multiple of
 *   the vector width in j (what is read there is not used). */
typedef struct mul_block {
  int64_t m, n, k;
  const real *a;
  int64_t a_panel, a_row, a_k;
  const real *b;
  int64_t b_panel, b_k;
  real *c;
  int64_t ldc;
  real alpha;
  int add;               /* keep what c holds */
  const real *row_scale; /* [m] or NULL; alpha is then 1 and add is ignored */
} mul_block;

typedef struct mul_kernels {
  int mr, nr, vw; /* register tile, and reals in a vector; nr = 2 vw */
  void (*block)(const mul_block *x);
  /* dst[k * width + w] = src[w * ld + k] for w < n (zero for n <= w < width), k < kc. width is mr or nr; up to vw
   * reals behind dst may be overwritten. */
  void (*pack_t)(int width, int64_t n, int64_t kc, const real *src, int64_t ld, real *dst);
  /* dst[k * width + w] = src[k * ld + w], zero for n <= w < width; with n > width panel after panel, each of width *
   * kc reals: reading rows in longer runs saves pages. */
  void (*pack_n)(int width, int64_t n, int64_t kc, const real *src, int64_t ld, real *dst);
} mul_kernels;

typedef struct epi_kernels epi_kernels;   /* cpu/internal.h: bias, activation, scaling of a finished tile */
typedef struct attn_kernels attn_kernels; /* cpu/internal.h: softmax and its gradient on a tile of scores */
typedef struct row_kernels row_kernels;   /* cpu/row.h: everything that walks rows */

#define CPU_TABLES(level)                                                                                            \
  extern const mul_kernels mul_kernels_##level;                                                                      \
  extern const epi_kernels epi_kernels_##level;                                                                      \
  extern const attn_kernels attn_kernels_##level;                                                                    \
  extern const row_kernels row_kernels_##level;
#if defined(__x86_64__)
CPU_TABLES(v2)
CPU_TABLES(v3)
CPU_TABLES(v4)
#else
CPU_TABLES(generic)
#endif
/* mul_kernels_v3 from CPU_NAME(mul_kernels_, TD_ISA), inside a kernel file */
#define CPU_NAME_(a, b) a##b
#define CPU_NAME(a, b) CPU_NAME_(a, b)

/* --- state --- */

/* Reals. One block: [CPU_SHARED][CPU_WORK] x threads, aligned to 4096 bytes. The shared part holds the packed right
 * operand of a GEMM; a thread's part is used by whatever entry runs. */
#define CPU_SHARED ((int64_t)2 << 20)
#define CPU_WORK ((int64_t)1 << 19)

typedef struct cpu_state {
  const char *isa; /* "v2", "v3", "v4", "generic" */
  int threads;     /* >= 1 */
  const mul_kernels *mul;
  const epi_kernels *epi;
  const attn_kernels *attn;
  const row_kernels *row;
  real *scratch; /* cpu_scratch_reals(threads) */
  real *wide;    /* [n_wide], for bfloat16 storage; grows to what the largest call widens */
  int64_t n_wide;
  ops narrow; /* the table of a context with bfloat16 storage */
} cpu_state;

static inline int64_t cpu_scratch_reals(int threads) {
  return CPU_SHARED + (int64_t)threads * CPU_WORK;
}
static inline real *cpu_shared(const cpu_state *s) {
  return s->scratch;
}
/* thread: omp_get_thread_num(), below s->threads */
static inline real *cpu_work(const cpu_state *s, int thread) {
  return s->scratch + CPU_SHARED + thread * CPU_WORK;
}
/* The state of a context whose backend is `cpu`. */
static inline cpu_state *cpu_of(ctx *c) {
  return c->state;
}

/* --- table entries; contracts in ops.h. Shapes were checked by the front. --- */

int cpu_copy(ctx *c, view dst, view src);
int cpu_fill(ctx *c, view dst, double v);
int cpu_lincomb(ctx *c, const op_lincomb_args *a);
int cpu_gemm(ctx *c, const op_gemm_args *a);
int cpu_ln_mod(ctx *c, const op_ln_mod_args *a);
int cpu_ln_mod_bwd(ctx *c, const op_ln_mod_bwd_args *a);
int cpu_headnorm_rope(ctx *c, const op_headnorm_rope_args *a);
int cpu_headnorm_rope_bwd(ctx *c, const op_headnorm_rope_bwd_args *a);
int cpu_attn(ctx *c, const op_attn_args *a);
int cpu_attn_bwd(ctx *c, const op_attn_bwd_args *a);
int cpu_attn_small(ctx *c, const op_attn_small_args *a);
int cpu_attn_small_bwd(ctx *c, const op_attn_small_bwd_args *a);
int cpu_gate_add(ctx *c, const op_gate_add_args *a);
int cpu_gate_add_bwd(ctx *c, const op_gate_add_bwd_args *a);
int cpu_add_rows(ctx *c, const op_add_rows_args *a);
int cpu_add_rows_bwd(ctx *c, const op_add_rows_bwd_args *a);
int cpu_act(ctx *c, const op_act_args *a);
int cpu_act_bwd(ctx *c, const op_act_bwd_args *a);
int cpu_colsum(ctx *c, view dbias, view dy);
int cpu_patch(ctx *c, const op_patch_args *a);
int cpu_unpatch(ctx *c, const op_patch_args *a);
int cpu_mse(ctx *c, const op_mse_args *a);
int cpu_sumsq(ctx *c, double *out, const real *x, int64_t n);
int cpu_adamw(ctx *c, const op_adamw_args *a);
int cpu_conv3d(ctx *c, const op_conv3d_args *a);
int cpu_group_norm(ctx *c, const op_group_norm_args *a);
int cpu_resample(ctx *c, const op_resample_args *a);
int cpu_rmsnorm(ctx *c, const op_rmsnorm_args *a);
int cpu_act_mul(ctx *c, const op_act_mul_args *a);
int cpu_softmax_rel(ctx *c, const op_softmax_rel_args *a);

/* Puts the entries that take bfloat16 operands in place of those for reals (narrow.c). */
void cpu_narrow(ops *t);

#endif
