/* From views to kernel arguments: what may be read in vectors, and which of a kernel's four forms to take. */
#ifndef TD_OPS_CUDA_SHAPE_H
#define TD_OPS_CUDA_SHAPE_H

#include "ops/cuda/args.h"
#include "ops/ops.h"

static inline mat mat_of(view v) {
  return (mat){v.p, v.ld};
}

/* Rows begin at multiples of 16 bytes, so that eight elements are whole vectors; with `joined` only the first counts.
 * An absent view stands in nobody's way. */
static inline int lines_up(view v, int joined) {
  if (!v.p) return 1;
  return (uintptr_t)v.p % 16 == 0 && (joined || v.rows <= 1 || v.ld * dtype_size(v.type) % 16 == 0);
}

/* NAME_f32_v, NAME_f32_s, NAME_bf16_v or NAME_bf16_s */
#define FOUR_NAMES(name, type, vector)                                                                               \
  ((type) == DT_BF16 ? (vector) ? #name "_bf16_v" : #name "_bf16_s" : (vector) ? #name "_f32_v" : #name "_f32_s")

#endif
