/* Innermost loops of the dearer metrics. Each file of kernels/ is compiled once per instruction-set level (TD_ISA =
 * v2, v3, v4 or generic) into one const table. Every output is one expression, every sum has one order, and
 * contraction is off: all levels and both compilers give the same bits. */
#ifndef TD_METRICS_KERNELS_KERNELS_H
#define TD_METRICS_KERNELS_KERNELS_H

typedef struct metric_kernels {
  const char *isa;
  const struct flow_kernels *flow;   /* kernels/flow.h */
  const struct plane_kernels *plane; /* kernels/plane.h */
} metric_kernels;

/* Kernels of the level `isa`; NULL: of the best level of this processor. NULL when it lacks the level. */
const metric_kernels *metric_kernels_of(const char *isa);

/* flow_kernels_v3 from KERNEL_NAME(flow_kernels_, TD_ISA), inside a kernel file */
#define KERNEL_NAME_(a, b) a##b
#define KERNEL_NAME(a, b) KERNEL_NAME_(a, b)
#define KERNEL_INLINE static inline __attribute__((always_inline))

/* Pixels in flight. */
#define KERNEL_BLOCK 32

#endif
