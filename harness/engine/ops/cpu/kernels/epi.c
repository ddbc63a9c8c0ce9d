/* What happens to a tile of C after its last block of k, while it is in the cache. Contraction off. */
#include "ops/cpu/internal.h"
#include "ops/cpu/kernels/vexp.h"

/* One row in one pass; `act`, bias and pre are constants where this is inlined. */
TD_INLINE void finish_row(int64_t n, real *restrict c, const real *restrict bias, real *restrict pre, op_act act) {
#pragma omp simd
  for (int64_t j = 0; j < n; j++) {
    real y = bias ? c[j] + bias[j] : c[j];
    if (pre) pre[j] = y;
    c[j] = act == ACT_GELU_TANH ? vgelu(y) : act == ACT_SILU ? vsilu(y) : y;
  }
}

TD_INLINE void finish_act(const epi_tile *x, op_act act) {
  for (int64_t i = 0; i < x->m; i++) {
    real *c = x->c + i * x->ldc, *pre = x->pre ? x->pre + i * x->ldpre : NULL;
    if (x->bias && x->pre) {
      finish_row(x->n, c, x->bias, pre, act);
    } else if (x->bias) {
      finish_row(x->n, c, x->bias, NULL, act);
    } else if (x->pre) {
      finish_row(x->n, c, NULL, pre, act);
    } else {
      finish_row(x->n, c, NULL, NULL, act);
    }
  }
}

static void finish(const epi_tile *x) {
  switch (x->act) {
  case ACT_NONE: finish_act(x, ACT_NONE); break;
  case ACT_GELU_TANH: finish_act(x, ACT_GELU_TANH); break;
  case ACT_SILU: finish_act(x, ACT_SILU); break;
  }
}

static void scale(int64_t m, int64_t n, real f, real *c, int64_t ldc) {
  for (int64_t i = 0; i < m; i++) {
#pragma omp simd
    for (int64_t j = 0; j < n; j++) c[i * ldc + j] = f * c[i * ldc + j];
  }
}

const epi_kernels CPU_NAME(epi_kernels_, TD_ISA) = {.finish = finish, .scale = scale};
