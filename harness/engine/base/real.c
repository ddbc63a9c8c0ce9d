#include "base/real.h"

#include <string.h>

int64_t dtype_size(dtype t) {
  static const int64_t size[DT_COUNT] = {
      [DT_F32] = 4, [DT_F64] = 8, [DT_F16] = 2, [DT_BF16] = 2, [DT_I64] = 8, [DT_I32] = 4, [DT_U8] = 1};
  return (int)t >= 0 && t < DT_COUNT ? size[t] : 0;
}

const char *dtype_name(dtype t) {
  static const char *const name[DT_COUNT] = {"F32", "F64", "F16", "BF16", "I64", "I32", "U8"};
  return (int)t >= 0 && t < DT_COUNT ? name[t] : "?";
}

static float half_to_float(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000u) << 16, e = (h >> 10) & 31u, m = h & 1023u, u;
  if (e == 31) {
    u = sign | 0x7f800000u | (m << 13);
  } else if (e) {
    u = sign | ((e + 112) << 23) | (m << 13);
  } else {
    float f = (float)m * 5.9604644775390625e-8f; /* subnormal: m * 2^-24, exact */
    memcpy(&u, &f, 4);
    u |= sign;
  }
  float f;
  memcpy(&f, &u, 4);
  return f;
}

static uint16_t float_to_half(float f) {
  uint32_t u;
  memcpy(&u, &f, 4);
  uint32_t sign = (u >> 16) & 0x8000u, a = u & 0x7fffffffu;
  if (a > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
  if (a >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* rounds to infinity */
  if (a < 0x38800000u) {                                   /* subnormal result */
    float x, magic = 0.5f;                                 /* adding 0.5 leaves m in the low bits, ties to even */
    memcpy(&x, &a, 4);
    x += magic;
    memcpy(&u, &x, 4);
    return (uint16_t)(sign | (u - 0x3f000000u));
  }
  a += 0xfffu + ((a >> 13) & 1u);
  return (uint16_t)(sign | ((a - 0x38000000u) >> 13));
}

double dtype_get(dtype t, const void *p, int64_t i) {
  const char *at = (const char *)p + i * dtype_size(t);
  float f;
  double d;
  uint16_t h;
  int64_t l;
  int32_t w;
  switch (t) {
  case DT_F32: memcpy(&f, at, 4); return (double)f;
  case DT_F64: memcpy(&d, at, 8); return d;
  case DT_F16: memcpy(&h, at, 2); return (double)half_to_float(h);
  case DT_BF16: memcpy(&h, at, 2); return (double)bf16_widen(h);
  case DT_I64: memcpy(&l, at, 8); return (double)l;
  case DT_I32: memcpy(&w, at, 4); return (double)w;
  case DT_U8: return (double)*(const unsigned char *)at;
  default: return 0;
  }
}

void dtype_to_real(dtype t, const void *src, int64_t n, real *dst) {
  for (int64_t i = 0; i < n; i++) dst[i] = (real)dtype_get(t, src, i);
}

void dtype_from_real(dtype t, const real *src, int64_t n, void *dst) {
  char *d = dst;
  for (int64_t i = 0; i < n; i++) {
    float f = (float)src[i];
    double g = (double)src[i];
    uint16_t h;
    switch (t) {
    case DT_F32: memcpy(d + 4 * i, &f, 4); break;
    case DT_F64: memcpy(d + 8 * i, &g, 8); break;
    case DT_F16: h = float_to_half(f), memcpy(d + 2 * i, &h, 2); break;
    case DT_BF16: h = bf16_round(f), memcpy(d + 2 * i, &h, 2); break;
    default: break;
    }
  }
}
