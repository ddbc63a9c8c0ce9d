/* Activations, inline for loops under `omp simd`, so that the fused form (a GEMM's epilogue) and the separate one
 * give the same bits. Kernel files only: included once per instruction-set level. */
#ifndef TD_OPS_CPU_ACT_H
#define TD_OPS_CPU_ACT_H

#include "ops/cpu/kernels/vexp.h"

TD_INLINE real k_exp_neg(real z) {
  return vexp2(-VLOG2E * z);
}

TD_INLINE real k_silu(real x) {
  return x / (R(1.0) + k_exp_neg(x));
}

/* s + x s (1 - s) with s = 1 / (1 + e), 1 - s = e s: the form that does not cancel. */
TD_INLINE real k_silu_slope(real x) {
  real e = k_exp_neg(x), s = R(1.0) / (R(1.0) + e);
  return s * (R(1.0) + x * (e * s));
}

#define K_GELU_C R(0.7978845608028654)   /* sqrt(2 / pi) */
#define K_GELU_CA R(0.03567740813630013) /* 0.044715 sqrt(2 / pi) */

/* 0.5 x (1 + tanh u) = x sigmoid(2 u), which keeps its accuracy in the negative tail. */
TD_INLINE real k_gelu(real x) {
  real u = x * (K_GELU_C + K_GELU_CA * (x * x));
  return x / (R(1.0) + k_exp_neg(R(2.0) * u));
}

TD_INLINE real k_gelu_slope(real x) {
  real xx = x * x;
  real u = x * (K_GELU_C + K_GELU_CA * xx);
  real e = k_exp_neg(R(2.0) * u), s = R(1.0) / (R(1.0) + e);
  real du = R(2.0) * (K_GELU_C + R(3.0) * K_GELU_CA * xx);
  return s * (R(1.0) + x * (e * s) * du);
}

#endif
