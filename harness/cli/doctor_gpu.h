/* tandem doctor --gpu: one report on a CUDA device. */
#ifndef TD_CLI_DOCTOR_GPU_H
#define TD_CLI_DOCTOR_GPU_H

#include "cli/cli.h"

/* Compares operations of `rows` rows with the CPU in both storage types, runs them twice, times them, trains every
 * design for a few steps, and prints what it found. Sets the exit status to 1 when something is wrong or missing. */
int doctor_gpu(cli *c, int64_t rows, int device) TD_MUST_CHECK;

#endif
