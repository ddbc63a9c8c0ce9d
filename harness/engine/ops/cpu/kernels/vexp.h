/* 2^x and the activations made of it, for vector loops. Kernel files only: included once per instruction-set level,
 * and by the kernels of the cuda backend.
 *
 * vfma(a, b, c) is one rounding where the level has fused multiply-add and two where it has not, never the compiler's
 * choice; so v3 and v4, gcc and clang agree to the bit. vexp2 rounds x to the nearest integer by adding 1.5 * 2^23
 * (2^52), evaluates a polynomial on [-1/2, 1/2] and builds the power of two from the integer's bits. It needs exact
 * IEEE order: -ffast-math would fold the rounding away. */
#ifndef TD_OPS_CPU_VEXP_H
#define TD_OPS_CPU_VEXP_H

#include <stdint.h>

#include "base/real.h"

#ifdef __CUDACC__
#define TD_INLINE static __device__ __forceinline__
#else
#define TD_INLINE static inline __attribute__((always_inline, unused))
#endif

#define VLOG2E R(1.44269504088896340735992468)
#define VLN2 R(0.69314718055994530941723212)

#if defined(__CUDACC__)
TD_INLINE real vfma(real a, real b, real c) {
  return __fmaf_rn(a, b, c);
}
#elif defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#ifdef TD_REAL_F64
TD_INLINE real vfma(real a, real b, real c) {
  return __builtin_fma(a, b, c);
}
#else
TD_INLINE real vfma(real a, real b, real c) {
  return __builtin_fmaf(a, b, c);
}
#endif
#else
TD_INLINE real vfma(real a, real b, real c) {
  return a * b + c;
}
#endif

#ifdef TD_REAL_F64

/* For x up to 1023; relative error below 4e-16; 0 for x < -1022.5. */
TD_INLINE real vexp2_low(real x) {
  x = -1023.0 > x ? -1023.0 : x;
  union {
    double f;
    uint64_t i;
  } t = {.f = x + 6755399441055744.0}, s;
  double f = x - (t.f - 6755399441055744.0);
  double p = 1.3691488853904128880892e-12; /* ln2^n / n! */
  p = vfma(p, f, 2.5678435993488205141995e-11);
  p = vfma(p, f, 4.4455382718708114975964e-10);
  p = vfma(p, f, 7.0549116208011233298754e-9);
  p = vfma(p, f, 1.0178086009239699727490e-7);
  p = vfma(p, f, 1.3215486790144309488403e-6);
  p = vfma(p, f, 1.5252733804059840280025e-5);
  p = vfma(p, f, 1.5403530393381609954437e-4);
  p = vfma(p, f, 1.3333558146428443423412e-3);
  p = vfma(p, f, 9.6181291076284771619791e-3);
  p = vfma(p, f, 5.5504108664821579953142e-2);
  p = vfma(p, f, 2.4022650695910071233355e-1);
  p = vfma(p, f, 6.9314718055994530941723e-1);
  p = vfma(p, f, 1.0);
  s.i = (t.i << 52) + 0x3ff0000000000000u;
  return p * s.f;
}

#else

/* For x up to 127; relative error below 2e-7; 0 for x < -126.5. */
TD_INLINE real vexp2_low(real x) {
  x = -127.0f > x ? -127.0f : x;
  union {
    float f;
    uint32_t i;
  } t = {.f = x + 12582912.0f}, s;
  float f = x - (t.f - 12582912.0f);
  float p = 1.535336188e-4f;
  p = vfma(p, f, 1.339887440e-3f);
  p = vfma(p, f, 9.618437357e-3f);
  p = vfma(p, f, 5.550332471e-2f);
  p = vfma(p, f, 2.402264791e-1f);
  p = vfma(p, f, 6.931472029e-1f);
  p = vfma(p, f, 1.0f);
  s.i = (t.i << 23) + 0x3f800000u;
  return p * s.f;
}

#endif

/* The same for every x: clamped at the largest power of two. */
TD_INLINE real vexp2(real x) {
  const real top = sizeof(real) == 4 ? R(127.0) : R(1023.0);
  return vexp2_low(x > top ? top : x);
}

/* 1 / (1 + e^-x) */
TD_INLINE real vsigmoid(real x) {
  return R(1.0) / (R(1.0) + vexp2(-VLOG2E * x));
}
TD_INLINE real vsilu(real x) {
  return x * vsigmoid(x);
}
/* d silu / dx; e s is 1 - s without its cancellation */
TD_INLINE real vsilu_grad(real x) {
  real e = vexp2(-VLOG2E * x), s = R(1.0) / (R(1.0) + e);
  return s * (R(1.0) + x * (e * s));
}
/* GELU, tanh form: x/2 (1 + tanh u) = x sigmoid(2u) with u = sqrt(2/pi) (x + 0.044715 x^3), which does not cancel for
 * negative x as the tanh would. */
TD_INLINE real vgelu(real x) {
  real u2 = x * (R(1.5957691216057307117598) + R(0.0713548162726002527220) * x * x);
  return x * vsigmoid(u2);
}
TD_INLINE real vgelu_grad(real x) {
  real x2 = x * x, u2 = x * (R(1.5957691216057307117598) + R(0.0713548162726002527220) * x2);
  real e = vexp2(-VLOG2E * u2), s = R(1.0) / (R(1.0) + e);
  real du2 = R(1.5957691216057307117598) + R(0.2140644488178007581660) * x2;
  return s * (R(1.0) + x * (e * s) * du2);
}

#endif
