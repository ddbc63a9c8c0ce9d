/* The tables of this build. Only ctx.c needs to know them by name. */
#ifndef TD_OPS_BACKENDS_H
#define TD_OPS_BACKENDS_H

#include "ops/ops.h"

extern const ops ops_cpu;
extern const ops ops_null;
#ifdef TD_CUDA
extern const ops ops_cuda;
#endif

#endif
