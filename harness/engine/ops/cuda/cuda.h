/* The cuda backend from inside: its state, launching, scratch and its table entries.
 *
 * One stream carries everything in order; nothing waits for the device but download, sync and an upload that runs
 * ahead of the staging ring. Kernels are named; their images (one fatbin a .cu file) are part of the program. A
 * kernel takes one parameter, a struct of args.h or of the kernel file's own header.
 *
 * Kernel files are compiled with -fmad=false: an expression rounds as it is written, as on the CPU, and a fused
 * multiply-add is asked for by name (fmaf). Sums run in a fixed order that depends on shapes alone. */
#ifndef TD_OPS_CUDA_CUDA_H
#define TD_OPS_CUDA_CUDA_H

#include "ops/cuda/args.h"
#include "ops/cuda/driver.h"
#include "ops/ops.h"

/* --- images --- */

typedef struct cuda_image {
  const char *name; /* of the .cu file, without its end */
  const void *data;
  const void *end;
} cuda_image;
extern const cuda_image cuda_images[]; /* made by CMake; ends with a NULL name */

/* --- state --- */

#define CUDA_BLAS_WORK ((size_t)32 << 20) /* workspace of cuBLASLt */
#define CUDA_SCRATCH ((size_t)16 << 20)   /* statistics and partial sums of whatever entry runs */
#define CUDA_STATS ((size_t)4 << 20)      /* its first part, where an entry needs both */
#define CUDA_RING 4
#define CUDA_RING_BYTES ((size_t)1 << 20)
#define CUDA_MODULES 16

typedef struct cuda_kernel {
  const char *name;
  CUfunction f;
  unsigned shared; /* dynamic shared memory it was last allowed */
} cuda_kernel;

typedef struct cuda_plan cuda_plan; /* gemm.c */
typedef struct cuda_attn cuda_attn; /* attn.c */

typedef struct cuda_state {
  cuda_driver d;
  cuda_blas b;
  CUdevice device;
  CUcontext primary;
  CUstream stream;
  CUmodule modules[CUDA_MODULES];
  int n_modules;
  cuda_kernel *kernels; /* those asked for so far; a hash table of `kernel_cap` places, a power of two */
  int64_t kernel_cap, n_kernels;
  cublasLtHandle_t lt;
  cuda_plan *plans;
  int64_t n_plans, plan_cap;
  void *blas_work, *scratch; /* device */
  char *ring;                /* pinned host memory: CUDA_RING pieces of CUDA_RING_BYTES */
  CUevent ring_free[CUDA_RING];
  int ring_at, ring_used;
  cuda_attn *attn;
  char arch[16]; /* "sm_90" */
} cuda_state;

static inline cuda_state *cuda_of(ctx *c) {
  return c->state;
}

/* --- launching --- */

typedef struct cuda_call {
  const char *kernel; /* must live as long as the context: a string literal */
  unsigned x, y, z;   /* blocks; y and z: 0 means 1 */
  unsigned threads;
  unsigned shared; /* bytes of dynamic shared memory; above 48 KiB is asked for on first use */
  void *args;      /* the kernel's one parameter */
} cuda_call;

/* Puts the kernel into the stream. A grid with no blocks does nothing. */
int cuda_launch(ctx *c, const cuda_call *k) TD_MUST_CHECK;

static inline int64_t cuda_div_up(int64_t n, int64_t by) {
  return (n + by - 1) / by;
}

/* --- table entries; contracts in ops.h. Shapes and types were checked by the front. --- */

int cuda_copy(ctx *c, view dst, view src);
int cuda_cast(ctx *c, view dst, view src);
int cuda_fill(ctx *c, view dst, double v);
int cuda_lincomb(ctx *c, const op_lincomb_args *a);
int cuda_gemm(ctx *c, const op_gemm_args *a);
int cuda_ln_mod(ctx *c, const op_ln_mod_args *a);
int cuda_ln_mod_bwd(ctx *c, const op_ln_mod_bwd_args *a);
int cuda_headnorm_rope(ctx *c, const op_headnorm_rope_args *a);
int cuda_headnorm_rope_bwd(ctx *c, const op_headnorm_rope_bwd_args *a);
int cuda_attn_run(ctx *c, const op_attn_args *a);
int cuda_attn_bwd(ctx *c, const op_attn_bwd_args *a);
int cuda_attn_small(ctx *c, const op_attn_small_args *a);
int cuda_attn_small_bwd(ctx *c, const op_attn_small_bwd_args *a);
int cuda_gate_add(ctx *c, const op_gate_add_args *a);
int cuda_gate_add_bwd(ctx *c, const op_gate_add_bwd_args *a);
int cuda_add_rows(ctx *c, const op_add_rows_args *a);
int cuda_add_rows_bwd(ctx *c, const op_add_rows_bwd_args *a);
int cuda_act(ctx *c, const op_act_args *a);
int cuda_act_bwd(ctx *c, const op_act_bwd_args *a);
int cuda_colsum(ctx *c, view dbias, view dy);
int cuda_patch(ctx *c, const op_patch_args *a);
int cuda_unpatch(ctx *c, const op_patch_args *a);
int cuda_mse(ctx *c, const op_mse_args *a);
int cuda_sumsq(ctx *c, double *out, const real *x, int64_t n);
int cuda_adamw(ctx *c, const op_adamw_args *a);

/* y += bias, broadcast over rows; bias has y's type, or y is real. */
int cuda_add_bias(ctx *c, view y, view bias);
/* dy of op_gate_add_bwd alone. */
int cuda_gate_mul(ctx *c, const op_gate_add_bwd_args *a);

/* --- sums over rows (sums.c) --- */

typedef enum sum_kind { SUM_PLAIN, SUM_PRODUCT, SUM_NORMED } sum_kind;

/* What to sum by map entry (sums_args). `slots` goes in as those wanted from slot0 on and comes back as those that
 * were summed; part and chunks come back: part [chunks][slots][1, or 2 when NORMED][cols], in scratch. */
typedef struct cuda_sums {
  sum_kind kind;
  view x, y;
  const int32_t *map;
  const float *stats;
  int64_t slot0, slots, chunks;
  float *part;
} cuda_sums;
int cuda_sum_rows(ctx *c, cuda_sums *s) TD_MUST_CHECK;
int cuda_add_parts(ctx *c, add_args *a) TD_MUST_CHECK;

/* Releases what the entries of gemm.c and attn.c keep; part of close. */
void cuda_gemm_close(ctx *c);
void cuda_attn_close(ctx *c);

#endif
