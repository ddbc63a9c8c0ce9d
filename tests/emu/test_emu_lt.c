/* The fake cuBLASLt: small integers, whose products are exact in both types, against plain loops; what it must
 * refuse. */
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <cublasLt.h>
#include <math.h>
#include <string.h>

#include "fake.h"

enum { M = 5, N = 7, K = 9, LD = 16, PLACES = LD * LD };

typedef struct call {
  cudaDataType_t in, out;
  int ta, tb;
  uint32_t epilogue;
  int64_t ld;
  float alpha, beta;
} call;

static int element(int i, int seed) {
  return (int)(((uint32_t)(i * 7 + seed) * 2654435761u >> 24) % 7) - 3;
}
static size_t put(cudaDataType_t type, const float *x, char *out) {
  for (int i = 0; i < PLACES; i++) {
    uint32_t u;
    memcpy(&u, &x[i], 4);
    if (type == CUDA_R_16BF) u >>= 16;
    memcpy(out + i * (type == CUDA_R_16BF ? 2 : 4), &u, type == CUDA_R_16BF ? 2 : 4);
  }
  return (size_t)PLACES * (type == CUDA_R_16BF ? 2 : 4);
}
static float get(cudaDataType_t type, const char *p, int i) {
  uint32_t u = 0;
  float f;
  memcpy(&u, p + i * (type == CUDA_R_16BF ? 2 : 4), type == CUDA_R_16BF ? 2 : 4);
  if (type == CUDA_R_16BF) u <<= 16;
  memcpy(&f, &u, 4);
  return f;
}
static CUdeviceptr upload(cudaDataType_t type, int seed, float *x) {
  char raw[PLACES * 4];
  CUdeviceptr p;
  for (int i = 0; i < PLACES; i++) x[i] = (float)element(i, seed);
  size_t n = put(type, x, raw);
  assert_int_equal(cuMemAlloc(&p, n), 0);
  assert_int_equal(cuMemcpyHtoD(p, raw, n), 0);
  return p;
}

/* c = alpha op(a) op(b) + beta c through the library. */
static cublasStatus_t product(const call *q, const CUdeviceptr p[5]) {
  cublasLtHandle_t h;
  cublasLtMatmulDesc_t d;
  cublasLtMatrixLayout_t a, b, c;
  cublasLtMatmulPreference_t pref;
  cublasLtMatmulHeuristicResult_t found;
  int n = 0, ta = q->ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb = q->tb ? CUBLAS_OP_T : CUBLAS_OP_N;
  int64_t aux_ld = LD;
  assert_int_equal(cublasLtCreate(&h), 0);
  assert_int_equal(cublasLtMatmulDescCreate(&d, CUBLAS_COMPUTE_32F, CUDA_R_32F), 0);
  assert_int_equal(cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_TRANSA, &ta, sizeof ta), 0);
  assert_int_equal(cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_TRANSB, &tb, sizeof tb), 0);
  assert_int_equal(cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_EPILOGUE, &q->epilogue, 4), 0);
  assert_int_equal(cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p[3], 8), 0);
  assert_int_equal(cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, &p[4], 8), 0);
  assert_int_equal(cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &aux_ld, 8), 0);
  assert_int_equal(cublasLtMatrixLayoutCreate(&a, q->in, q->ta ? K : M, q->ta ? M : K, q->ld), 0);
  assert_int_equal(cublasLtMatrixLayoutCreate(&b, q->in, q->tb ? N : K, q->tb ? K : N, LD), 0);
  assert_int_equal(cublasLtMatrixLayoutCreate(&c, q->out, M, N, LD), 0);
  assert_int_equal(cublasLtMatmulPreferenceCreate(&pref), 0);
  cublasStatus_t s = cublasLtMatmulAlgoGetHeuristic(h, d, a, b, c, c, pref, 1, &found, &n);
  if (!s) {
    assert_int_equal(n, 1);
    s = cublasLtMatmul(h, d, &q->alpha, (void *)(uintptr_t)p[0], a, (void *)(uintptr_t)p[1], b, &q->beta,
                       (void *)(uintptr_t)p[2], c, (void *)(uintptr_t)p[2], c, &found.algo, NULL, 0, NULL);
  }
  cublasLtMatmulPreferenceDestroy(pref);
  cublasLtMatrixLayoutDestroy(a);
  cublasLtMatrixLayoutDestroy(b);
  cublasLtMatrixLayoutDestroy(c);
  cublasLtMatmulDescDestroy(d);
  cublasLtDestroy(h);
  return s;
}

static void check(const call *q) {
  float a[PLACES], b[PLACES], c[PLACES], bias[PLACES], aux[PLACES];
  char got[PLACES * 4], pre[PLACES * 4];
  bool has_bias = q->epilogue != CUBLASLT_EPILOGUE_DEFAULT, has_aux = q->epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
  bool has_gelu = has_aux || q->epilogue == CUBLASLT_EPILOGUE_GELU_BIAS;
  CUdeviceptr p[5] = {upload(q->in, 1, a), upload(q->in, 2, b), upload(q->out, 3, c), upload(q->out, 4, bias),
                      upload(q->out, 5, aux)};
  size_t size = q->out == CUDA_R_16BF ? 2 : 4;
  assert_int_equal(product(q, p), CUBLAS_STATUS_SUCCESS);
  assert_int_equal(cuMemcpyDtoH(got, p[2], PLACES * size), 0);
  assert_int_equal(cuMemcpyDtoH(pre, p[4], PLACES * size), 0);
  int changed = 0;
  for (int i = 0; i < LD; i++)
    for (int j = 0; j < LD; j++) {
      float want = c[j * LD + i], x = get(q->out, got, j * LD + i);
      if (i < M && j < N) {
        float sum = 0;
        for (int k = 0; k < K; k++)
          sum += (q->ta ? a[i * LD + k] : a[k * LD + i]) * (q->tb ? b[k * LD + j] : b[j * LD + k]);
        want = q->alpha * sum + q->beta * want + (has_bias ? bias[i] : 0.0f);
        if (has_aux) assert_true(get(q->out, pre, j * LD + i) == want);
        if (has_gelu) want = 0.5f * want * (1 + tanhf(0.79788456f * (want + 0.044715f * want * want * want)));
        changed += want != c[j * LD + i];
      }
      if (fabsf(x - want) > (has_gelu ? 0.01f * fabsf(want) : 0))
        fail_msg("(%d, %d): %g, not %g", i, j, (double)x, (double)want);
    }
  assert_true(changed > 10);
  for (int i = 0; i < 5; i++) assert_int_equal(cuMemFree(p[i]), 0);
}

static int begin(void **state) {
  (void)state;
  CUcontext c;
  emuReset();
  return cuInit(0) || cuDevicePrimaryCtxRetain(&c, 0);
}

static void products(void **state) {
  (void)state;
  for (int t = 0; t < 4; t++) {
    check(&(call){CUDA_R_32F, CUDA_R_32F, t & 1, t >> 1, CUBLASLT_EPILOGUE_DEFAULT, LD, 1, 0});
    check(&(call){CUDA_R_32F, CUDA_R_32F, t & 1, t >> 1, CUBLASLT_EPILOGUE_DEFAULT, LD, 2, 1});
    check(&(call){CUDA_R_16BF, CUDA_R_32F, t & 1, t >> 1, CUBLASLT_EPILOGUE_BIAS, LD, 1, 1});
    check(&(call){CUDA_R_16BF, CUDA_R_16BF, t & 1, t >> 1, CUBLASLT_EPILOGUE_BIAS, LD, 1, 0});
    check(&(call){CUDA_R_32F, CUDA_R_32F, t & 1, t >> 1, CUBLASLT_EPILOGUE_GELU_BIAS, LD, 1, 0});
    check(&(call){CUDA_R_16BF, CUDA_R_16BF, t & 1, t >> 1, CUBLASLT_EPILOGUE_GELU_AUX_BIAS, LD, 1, 0});
  }
}

static void refusals(void **state) {
  (void)state;
  float x[PLACES], host[PLACES] = {0};
  CUdeviceptr p[5], small, h = (CUdeviceptr)(uintptr_t)host;
  const call good = {CUDA_R_32F, CUDA_R_32F, 0, 0, CUBLASLT_EPILOGUE_DEFAULT, LD, 1, 0};
  call bad = good;
  for (int i = 0; i < 5; i++) p[i] = upload(CUDA_R_32F, i, x);
  assert_int_equal(cuMemAlloc(&small, 4 * ((K - 1) * LD + M) - 4), 0);
  bad.ld = M - 1;
  assert_int_equal(product(&bad, p), CUBLAS_STATUS_INVALID_VALUE);
  bad = good;
  bad.out = CUDA_R_16BF;
  assert_int_equal(product(&bad, p), CUBLAS_STATUS_NOT_SUPPORTED);
  bad = good;
  bad.in = CUDA_R_64F;
  assert_int_equal(product(&bad, p), CUBLAS_STATUS_NOT_SUPPORTED);
  bad = good;
  bad.epilogue = CUBLASLT_EPILOGUE_DGELU;
  assert_int_equal(product(&bad, p), CUBLAS_STATUS_NOT_SUPPORTED);
  assert_int_equal(product(&good, (CUdeviceptr[]){h, p[1], p[2], p[3], p[4]}), CUBLAS_STATUS_INVALID_VALUE);
  assert_non_null(strstr(emuLastFault(), "do not lie in one device allocation"));
  assert_int_equal(product(&good, (CUdeviceptr[]){small, p[1], p[2], p[3], p[4]}), CUBLAS_STATUS_INVALID_VALUE);
  assert_int_equal(product(&good, (CUdeviceptr[]){p[0] + 2, p[1], p[2], p[3], p[4]}), CUBLAS_STATUS_INVALID_VALUE);
  assert_non_null(strstr(emuLastFault(), "misaligned"));
  CUdeviceptr fresh;
  assert_int_equal(cuMemAlloc(&fresh, sizeof host), 0);
  (void)product(&good, (CUdeviceptr[]){fresh, p[1], p[2], p[3], p[4]});
  assert_non_null(strstr(emuLastFault(), "uninitialised read of A at (0, 0)"));
  assert_int_equal(cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED);
  emuReset();
  for (int i = 0; i < 5; i++) assert_int_equal(cuMemFree(p[i]), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_setup(products, begin),
                                     cmocka_unit_test_setup(refusals, begin)};
  return cmocka_run_group_tests_name("emu_lt", tests, NULL, NULL);
}
