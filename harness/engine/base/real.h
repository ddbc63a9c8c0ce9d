/* The engine's number. The product is built with float; the tests build the same sources a second time with double,
 * which is the oracle of the gradient checks. Literals in engine code are written R(0.5). */
#ifndef TD_BASE_REAL_H
#define TD_BASE_REAL_H

#include <stdint.h>
#include <string.h>

#ifdef TD_REAL_F64
typedef double real;
#define R(x) (x)
#define DT_REAL DT_F64
#else
typedef float real;
#define R(x) (x##f)
#define DT_REAL DT_F32
#endif

typedef enum dtype { DT_F32, DT_F64, DT_F16, DT_BF16, DT_I64, DT_I32, DT_U8, DT_COUNT } dtype;

/* Bytes of one element. */
int64_t dtype_size(dtype t);
/* "F32", "BF16"... as in safetensors. */
const char *dtype_name(dtype t);
/* Element i of an array of type t, widened exactly (I64 beyond 2^53 is rounded). */
double dtype_get(dtype t, const void *p, int64_t i);
/* n elements of type t at src -> real. F16 and BF16 widen exactly. */
void dtype_to_real(dtype t, const void *src, int64_t n, real *dst);
/* n reals -> type t (F16 and BF16 round to nearest even). Integer types are not supported. */
void dtype_from_real(dtype t, const real *src, int64_t n, void *dst);

/* bfloat16 <-> float: exact; to nearest even, NaN stays NaN. */
static inline float bf16_widen(uint16_t h) {
  uint32_t u = (uint32_t)h << 16;
  float f;
  memcpy(&f, &u, 4);
  return f;
}
static inline uint16_t bf16_round(float f) {
  uint32_t u;
  memcpy(&u, &f, 4);
  if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((u >> 16) | 64);
  return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

#endif
