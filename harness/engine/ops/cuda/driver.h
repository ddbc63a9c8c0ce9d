/* The driver API and cuBLASLt, opened at run time: the program links neither and starts without them. Prototypes are
 * those of the toolkit's headers; the names below are the symbols that they map to. */
#ifndef TD_OPS_CUDA_DRIVER_H
#define TD_OPS_CUDA_DRIVER_H

#include <cublasLt.h>
#include <cuda.h>

#include "base/err.h"

#define CUDA_DRIVER(F)                                                                                               \
  F(cuInit)                                                                                                          \
  F(cuDriverGetVersion)                                                                                              \
  F(cuDeviceGetCount)                                                                                                \
  F(cuDeviceGet)                                                                                                     \
  F(cuDeviceGetName)                                                                                                 \
  F(cuDeviceGetAttribute)                                                                                            \
  F(cuDeviceTotalMem)                                                                                                \
  F(cuDevicePrimaryCtxRetain)                                                                                        \
  F(cuDevicePrimaryCtxRelease)                                                                                       \
  F(cuCtxSetCurrent)                                                                                                 \
  F(cuMemAlloc)                                                                                                      \
  F(cuMemFree)                                                                                                       \
  F(cuMemHostAlloc)                                                                                                  \
  F(cuMemFreeHost)                                                                                                   \
  F(cuMemGetInfo)                                                                                                    \
  F(cuMemcpyHtoDAsync)                                                                                               \
  F(cuMemcpyDtoHAsync)                                                                                               \
  F(cuModuleLoadData)                                                                                                \
  F(cuModuleUnload)                                                                                                  \
  F(cuModuleGetFunction)                                                                                             \
  F(cuFuncSetAttribute)                                                                                              \
  F(cuLaunchKernel)                                                                                                  \
  F(cuStreamCreate)                                                                                                  \
  F(cuStreamDestroy)                                                                                                 \
  F(cuStreamSynchronize)                                                                                             \
  F(cuStreamWaitEvent)                                                                                               \
  F(cuEventCreate)                                                                                                   \
  F(cuEventDestroy)                                                                                                  \
  F(cuEventRecord)                                                                                                   \
  F(cuEventSynchronize)                                                                                              \
  F(cuGetErrorName)                                                                                                  \
  F(cuGetErrorString)

#define CUDA_BLAS(F)                                                                                                 \
  F(cublasLtCreate)                                                                                                  \
  F(cublasLtDestroy)                                                                                                 \
  F(cublasLtGetVersion)                                                                                              \
  F(cublasLtMatmul)                                                                                                  \
  F(cublasLtMatmulDescCreate)                                                                                        \
  F(cublasLtMatmulDescDestroy)                                                                                       \
  F(cublasLtMatmulDescSetAttribute)                                                                                  \
  F(cublasLtMatrixLayoutCreate)                                                                                      \
  F(cublasLtMatrixLayoutDestroy)                                                                                     \
  F(cublasLtMatmulPreferenceCreate)                                                                                  \
  F(cublasLtMatmulPreferenceDestroy)                                                                                 \
  F(cublasLtMatmulPreferenceSetAttribute)                                                                            \
  F(cublasLtMatmulAlgoGetHeuristic)

#define CUDA_MEMBER(name) __typeof__(&name) name##_;

typedef struct cuda_driver {
  void *handle;
  CUDA_DRIVER(CUDA_MEMBER)
} cuda_driver;

typedef struct cuda_blas {
  void *handle;
  CUDA_BLAS(CUDA_MEMBER)
} cuda_blas;

/* E_UNSUPPORTED, in one line, where the library is missing or too old. close is legal after a failure. */
int cuda_driver_open(cuda_driver *d, err *e) TD_MUST_CHECK;
void cuda_driver_close(cuda_driver *d);
int cuda_blas_open(cuda_blas *b, err *e) TD_MUST_CHECK;
void cuda_blas_close(cuda_blas *b);

/* Records "cuda: WHAT: text of the driver (its name)" unless r is CUDA_SUCCESS: E_NOMEM for lack of memory, else
 * E_DEVICE. */
int cuda_check(const cuda_driver *d, err *e, CUresult r, const char *what) TD_MUST_CHECK;

#endif
