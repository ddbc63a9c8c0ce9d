/* What happens to a tile of C after its last block of k, while it is in the cache. Contraction off. */
#include "ops/cpu/internal.h"
#include "ops/cpu/kernels/vexp.h"

static void add_bias(int64_t n, const real *bias, real *c) {
#pragma omp simd
  for (int64_t j = 0; j < n; j++) c[j] = c[j] + bias[j];
}

static void copy_out(int64_t n, const real *c, real *pre) {
#pragma omp simd
  for (int64_t j = 0; j < n; j++) pre[j] = c[j];
}

static void gelu(int64_t n, real *c) {
#pragma omp simd
  for (int64_t j = 0; j < n; j++) c[j] = vgelu(c[j]);
}

static void silu(int64_t n, real *c) {
#pragma omp simd
  for (int64_t j = 0; j < n; j++) c[j] = vsilu(c[j]);
}

static void finish(const epi_tile *x) {
  for (int64_t i = 0; i < x->m; i++) {
    real *c = x->c + i * x->ldc;
    if (x->bias) add_bias(x->n, x->bias, c);
    if (x->pre) copy_out(x->n, c, x->pre + i * x->ldpre);
    if (x->act == ACT_GELU_TANH) gelu(x->n, c);
    if (x->act == ACT_SILU) silu(x->n, c);
  }
}

static void scale(int64_t m, int64_t n, real f, real *c, int64_t ldc) {
  for (int64_t i = 0; i < m; i++) {
#pragma omp simd
    for (int64_t j = 0; j < n; j++) c[i * ldc + j] = f * c[i * ldc + j];
  }
}

const epi_kernels CPU_NAME(epi_kernels_, TD_ISA) = {.finish = finish, .scale = scale};
