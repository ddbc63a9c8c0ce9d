/* Block sizes and limits that host and kernels agree on. */
#ifndef TD_OPS_CUDA_LIMITS_H
#define TD_OPS_CUDA_LIMITS_H

#define EACH_THREADS 128
#define NORM_THREADS 128
#define NORM_KEPT 4096  /* columns that a block keeps in registers, read in vectors; longer rows are read again */
#define NORM_SHORT 1024 /* the same where a row is read element by element */
#define HEAD_THREADS 128
#define HEAD_DIM 256 /* widest head */
#define SUM_LANES 32
#define SUM_ROWS 8 /* a block of sums has SUM_LANES x SUM_ROWS threads */
#define LOSS_THREADS 256
#define LOSS_BLOCKS 512
#define STEP_THREADS 256

/* op_act as the kernels know it */
#define KIND_GELU 1
#define KIND_SILU 2

#endif
