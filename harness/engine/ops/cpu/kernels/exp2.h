/* 2^x and the activations built on it, inline for loops under `omp simd`, so that the fused and the separate form of
 * an activation give the same bits. Float: own polynomial, because libm's exp is not vectorised and differs between
 * versions. Double (the test oracle): libm.
 *
 * Only + - * /, so the bits do not depend on compiler or vector width as long as contraction is off. */
#ifndef TD_OPS_CPU_EXP2_H
#define TD_OPS_CPU_EXP2_H

#include <math.h>

#include "base/real.h"

/* Within 2 ulp on [-126, 127]; x is clamped to that range, NaN stays NaN. */
static inline real k_exp2(real x) {
#ifdef TD_REAL_F64
  return exp2(x);
#else
  x = x < -126.0f ? -126.0f : x;
  x = x > 127.0f ? 127.0f : x;
  union {
    float f;
    uint32_t u;
  } t = {.f = x + 12582912.0f}, scale; /* 1.5 * 2^23: the sum's low bits are x rounded to an integer */
  float f = x - (t.f - 12582912.0f);   /* in [-1/2, 1/2] */
  float p = 1.535336188e-4f;
  p = p * f + 1.339887440e-3f;
  p = p * f + 9.618437357e-3f;
  p = p * f + 5.550332471e-2f;
  p = p * f + 2.402264791e-1f;
  p = p * f + 6.931472029e-1f;
  p = p * f + 1.0f;
  scale.u = (t.u << 23) + 0x3f800000u;
  return p * scale.f;
#endif
}

/* e^-z, as a power of two. */
static inline real k_exp_neg(real z) {
  return k_exp2(R(-1.4426950408889634) * z);
}

static inline real k_silu(real x) {
  return x / (R(1.0) + k_exp_neg(x));
}

/* s + x s (1 - s) with s = 1 / (1 + e), 1 - s = e s: the form that does not cancel. */
static inline real k_silu_slope(real x) {
  real e = k_exp_neg(x), s = R(1.0) / (R(1.0) + e);
  return s * (R(1.0) + x * (e * s));
}

#define K_GELU_C R(0.7978845608028654)   /* sqrt(2 / pi) */
#define K_GELU_CA R(0.03567740813630013) /* 0.044715 sqrt(2 / pi) */

/* 0.5 x (1 + tanh u) = x sigmoid(2 u), which keeps its accuracy in the negative tail. */
static inline real k_gelu(real x) {
  real u = x * (K_GELU_C + K_GELU_CA * (x * x));
  return x / (R(1.0) + k_exp_neg(R(2.0) * u));
}

static inline real k_gelu_slope(real x) {
  real xx = x * x;
  real u = x * (K_GELU_C + K_GELU_CA * xx);
  real e = k_exp_neg(R(2.0) * u), s = R(1.0) / (R(1.0) + e);
  real du = R(2.0) * (K_GELU_C + R(3.0) * K_GELU_CA * xx);
  return s * (R(1.0) + x * (e * s) * du);
}

#endif
