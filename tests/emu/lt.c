/* A cuBLASLt of plain loops: the product in the arrangement asked for, fp32 accumulation in order of k, queued in the
 * stream like a kernel. Every pointer is checked against the device allocations, every leading dimension against the
 * shape. What it does not know it refuses with CUBLAS_STATUS_NOT_SUPPORTED. */
#include <cublasLt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"
#include "impl.h"

#define EXPORT __attribute__((visibility("default")))
#define ALGO_MAGIC 0x656d75616c676full

typedef struct layout { /* stored in the opaque struct of the real library's size */
  uint32_t magic, type;
  uint64_t rows, cols;
  int64_t ld, stride;
  int32_t order, batch;
} layout;

typedef struct desc {
  cublasComputeType_t compute;
  cudaDataType_t scale;
  int32_t trans_a, trans_b;
  uint32_t epilogue;
  void *bias, *aux;
  int64_t aux_ld;
  int32_t bias_type, aux_type, pointer_mode;
} desc;

typedef struct preference {
  uint64_t workspace;
} preference;

typedef struct product {
  desc d;
  layout a, b, c, e; /* e: the result */
  uint64_t pa, pb, pc, pd, work;
  size_t work_size;
  float alpha, beta;
  int64_t m, n, k;
} product;

/* --- objects --- */

EXPORT cublasStatus_t CUBLASWINAPI cublasLtCreate(cublasLtHandle_t *h) {
  *h = malloc(16);
  return *h ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
}
EXPORT cublasStatus_t CUBLASWINAPI cublasLtDestroy(cublasLtHandle_t h) {
  free(h);
  return CUBLAS_STATUS_SUCCESS;
}
EXPORT size_t CUBLASWINAPI cublasLtGetVersion(void) {
  return CUBLAS_VERSION;
}
EXPORT size_t CUBLASWINAPI cublasLtGetCudartVersion(void) {
  return 13000;
}

static cublasStatus_t copy_in(void *to, size_t size, const void *from, size_t n) {
  if (n != size || !from) return CUBLAS_STATUS_INVALID_VALUE;
  memcpy(to, from, size);
  return CUBLAS_STATUS_SUCCESS;
}

EXPORT cublasStatus_t CUBLASWINAPI cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *out, cublasComputeType_t compute,
                                                            cudaDataType_t scale) {
  desc *d = calloc(1, sizeof *d);
  if (!d) return CUBLAS_STATUS_ALLOC_FAILED;
  *d = (desc){
      .compute = compute, .scale = scale, .epilogue = CUBLASLT_EPILOGUE_DEFAULT, .bias_type = -1, .aux_type = -1};
  *out = (cublasLtMatmulDesc_t)(void *)d;
  return CUBLAS_STATUS_SUCCESS;
}
EXPORT cublasStatus_t CUBLASWINAPI cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d) {
  free(d);
  return CUBLAS_STATUS_SUCCESS;
}
EXPORT cublasStatus_t CUBLASWINAPI cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t md,
                                                                  cublasLtMatmulDescAttributes_t a, const void *buf,
                                                                  size_t n) {
  desc *d = (desc *)(void *)md;
  switch (a) {
  case CUBLASLT_MATMUL_DESC_TRANSA: return copy_in(&d->trans_a, 4, buf, n);
  case CUBLASLT_MATMUL_DESC_TRANSB: return copy_in(&d->trans_b, 4, buf, n);
  case CUBLASLT_MATMUL_DESC_EPILOGUE: return copy_in(&d->epilogue, 4, buf, n);
  case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return copy_in(&d->bias, sizeof d->bias, buf, n);
  case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE: return copy_in(&d->bias_type, 4, buf, n);
  case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER: return copy_in(&d->aux, sizeof d->aux, buf, n);
  case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD: return copy_in(&d->aux_ld, 8, buf, n);
  case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE: return copy_in(&d->aux_type, 4, buf, n);
  case CUBLASLT_MATMUL_DESC_POINTER_MODE: return copy_in(&d->pointer_mode, 4, buf, n);
  default: return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

EXPORT cublasStatus_t CUBLASWINAPI cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *out, cudaDataType type,
                                                              uint64_t rows, uint64_t cols, int64_t ld) {
  layout *l = calloc(1, sizeof *l);
  if (!l) return CUBLAS_STATUS_ALLOC_FAILED;
  *l = (layout){.type = type, .rows = rows, .cols = cols, .ld = ld, .order = CUBLASLT_ORDER_COL, .batch = 1};
  *out = (cublasLtMatrixLayout_t)(void *)l;
  return CUBLAS_STATUS_SUCCESS;
}
EXPORT cublasStatus_t CUBLASWINAPI cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l) {
  free(l);
  return CUBLAS_STATUS_SUCCESS;
}
EXPORT cublasStatus_t CUBLASWINAPI cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t ml,
                                                                    cublasLtMatrixLayoutAttribute_t a,
                                                                    const void *buf, size_t n) {
  layout *l = (layout *)(void *)ml;
  switch (a) {
  case CUBLASLT_MATRIX_LAYOUT_TYPE: return copy_in(&l->type, 4, buf, n);
  case CUBLASLT_MATRIX_LAYOUT_ORDER: return copy_in(&l->order, 4, buf, n);
  case CUBLASLT_MATRIX_LAYOUT_ROWS: return copy_in(&l->rows, 8, buf, n);
  case CUBLASLT_MATRIX_LAYOUT_COLS: return copy_in(&l->cols, 8, buf, n);
  case CUBLASLT_MATRIX_LAYOUT_LD: return copy_in(&l->ld, 8, buf, n);
  case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT: return copy_in(&l->batch, 4, buf, n);
  case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET: return copy_in(&l->stride, 8, buf, n);
  default: return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

EXPORT cublasStatus_t CUBLASWINAPI cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *p) {
  *p = calloc(1, sizeof(preference));
  return *p ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
}
EXPORT cublasStatus_t CUBLASWINAPI cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p) {
  free(p);
  return CUBLAS_STATUS_SUCCESS;
}
EXPORT cublasStatus_t CUBLASWINAPI cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t p,
                                                                        cublasLtMatmulPreferenceAttributes_t a,
                                                                        const void *buf, size_t n) {
  uint64_t ignored;
  uint32_t ignored4;
  switch (a) {
  case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return copy_in(&((preference *)(void *)p)->workspace, 8, buf, n);
  case CUBLASLT_MATMUL_PREF_SEARCH_MODE:
  case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: return copy_in(&ignored4, 4, buf, n);
  case CUBLASLT_MATMUL_PREF_IMPL_MASK: return copy_in(&ignored, 8, buf, n);
  default: return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

/* --- what is asked for --- */

static bool known_type(uint32_t t) {
  return t == CUDA_R_32F || t == CUDA_R_16BF;
}
static int64_t size_of(uint32_t t) {
  return t == CUDA_R_32F ? 4 : 2;
}
static bool has_bias(uint32_t e) {
  return e == CUBLASLT_EPILOGUE_BIAS || e == CUBLASLT_EPILOGUE_GELU_BIAS || e == CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
}
static bool has_aux(uint32_t e) {
  return e == CUBLASLT_EPILOGUE_GELU_AUX || e == CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
}
static bool has_gelu(uint32_t e) {
  return e == CUBLASLT_EPILOGUE_GELU || e == CUBLASLT_EPILOGUE_GELU_BIAS || has_aux(e);
}
static bool layout_ok(const layout *l) {
  bool row = l->order == CUBLASLT_ORDER_ROW;
  return l->rows > 0 && l->cols > 0 && l->batch >= 1 && (row || l->order == CUBLASLT_ORDER_COL) &&
         l->ld >= (int64_t)(row ? l->cols : l->rows);
}

/* Types, shapes and epilogue; fills m, n, k. */
static cublasStatus_t check(product *p) {
  const desc *d = &p->d;
  bool compute = d->compute == CUBLAS_COMPUTE_32F || d->compute == CUBLAS_COMPUTE_32F_PEDANTIC ||
                 d->compute == CUBLAS_COMPUTE_32F_FAST_TF32 || d->compute == CUBLAS_COMPUTE_32F_FAST_16BF;
  if (!compute || d->scale != CUDA_R_32F || d->pointer_mode != CUBLASLT_POINTER_MODE_HOST)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  if (!known_type(p->a.type) || p->a.type != p->b.type || !known_type(p->c.type) || p->c.type != p->e.type)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  if (p->a.type == CUDA_R_32F && p->c.type != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (d->epilogue != CUBLASLT_EPILOGUE_DEFAULT && d->epilogue != CUBLASLT_EPILOGUE_GELU && !has_bias(d->epilogue) &&
      !has_aux(d->epilogue))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  if (!layout_ok(&p->a) || !layout_ok(&p->b) || !layout_ok(&p->c) || !layout_ok(&p->e))
    return CUBLAS_STATUS_INVALID_VALUE;
  bool ta = d->trans_a != CUBLAS_OP_N, tb = d->trans_b != CUBLAS_OP_N;
  p->m = (int64_t)(ta ? p->a.cols : p->a.rows);
  p->k = (int64_t)(ta ? p->a.rows : p->a.cols);
  p->n = (int64_t)(tb ? p->b.rows : p->b.cols);
  if ((int64_t)(tb ? p->b.cols : p->b.rows) != p->k || (int64_t)p->c.rows != p->m || (int64_t)p->c.cols != p->n ||
      p->e.rows != p->c.rows || p->e.cols != p->c.cols)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (p->b.batch != p->a.batch || p->c.batch != p->a.batch || p->e.batch != p->a.batch)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (d->epilogue != CUBLASLT_EPILOGUE_DEFAULT && p->e.order != CUBLASLT_ORDER_COL)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  if (has_aux(d->epilogue) && (d->aux_ld < p->m || d->aux_ld % 8)) return CUBLAS_STATUS_INVALID_VALUE;
  return CUBLAS_STATUS_SUCCESS;
}

static bool span_ok(uint64_t at, const layout *l, const char *name) {
  bool row = l->order == CUBLASLT_ORDER_ROW;
  int64_t lines = (int64_t)(row ? l->rows : l->cols), len = (int64_t)(row ? l->cols : l->rows),
          size = size_of(l->type);
  int64_t n = ((l->batch - 1) * l->stride + (lines - 1) * l->ld + len) * size;
  if (at % (uint64_t)size) {
    emuFault(CUDA_ERROR_INVALID_VALUE, "cublasLtMatmul: %s is misaligned", name);
    return false;
  }
  if (emu_host(emuMachine(), at, (size_t)n)) return true;
  emuFault(CUDA_ERROR_INVALID_VALUE, "cublasLtMatmul: %s: %lld bytes at %#llx do not lie in one device allocation",
           name, (long long)n, (unsigned long long)at);
  return false;
}
static bool range_ok(uint64_t at, int64_t n, const char *name) {
  if (emu_host(emuMachine(), at, (size_t)n)) return true;
  emuFault(CUDA_ERROR_INVALID_VALUE, "cublasLtMatmul: %s: %lld bytes at %#llx do not lie in one device allocation",
           name, (long long)n, (unsigned long long)at);
  return false;
}
static uint32_t bias_type(const product *p) {
  return p->d.bias_type < 0 ? p->e.type : (uint32_t)p->d.bias_type;
}
static uint32_t aux_type(const product *p) {
  return p->d.aux_type < 0 ? p->e.type : (uint32_t)p->d.aux_type;
}
static bool pointers_ok(const product *p) {
  const desc *d = &p->d;
  if (!span_ok(p->pa, &p->a, "A") || !span_ok(p->pb, &p->b, "B") || !span_ok(p->pd, &p->e, "D")) return false;
  if (p->beta != 0.0f && !span_ok(p->pc, &p->c, "C")) return false;
  if (p->work_size && !range_ok(p->work, (int64_t)p->work_size, "workspace")) return false;
  if (has_bias(d->epilogue) && !range_ok((uint64_t)(uintptr_t)d->bias, p->m * size_of(bias_type(p)), "bias"))
    return false;
  return !has_aux(d->epilogue) ||
         range_ok((uint64_t)(uintptr_t)d->aux, ((p->n - 1) * d->aux_ld + p->m) * size_of(aux_type(p)), "aux");
}

/* --- the product, when its turn in the stream comes --- */

static int64_t place_of(const layout *l, int64_t r, int64_t c) {
  return l->order == CUBLASLT_ORDER_ROW ? r * l->ld + c : c * l->ld + r;
}
static float read_one(uint64_t base, uint32_t type, int64_t i) {
  uint32_t w = 0;
  const char *p = emu_host(emuMachine(), base + (uint64_t)(i * size_of(type)), (size_t)size_of(type));
  memcpy(&w, p, (size_t)size_of(type));
  return type == CUDA_R_32F ? emu_f(w) : emu_from_bf16(w);
}
static void write_one(uint64_t base, uint32_t type, int64_t i, float v) {
  uint64_t at = base + (uint64_t)(i * size_of(type));
  char *p = emu_host(emuMachine(), at, (size_t)size_of(type));
  uint32_t w = type == CUDA_R_32F ? emu_u(v) : emu_to_bf16(v, R_RN);
  memcpy(p, &w, (size_t)size_of(type));
  emu_mark(emuMachine(), at, (size_t)size_of(type), true);
}

/* rows x cols of op(l) from its place `base` as floats; an element that nobody wrote is a fault. */
static bool gather(const layout *l, uint64_t base, bool trans, int64_t rows, int64_t cols, float *out,
                   const char *name) {
  int64_t size = size_of(l->type);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < cols; c++) {
      int64_t i = trans ? place_of(l, c, r) : place_of(l, r, c);
      if (!emu_written(emuMachine(), base + (uint64_t)(i * size), (size_t)size)) {
        emuFault(CUDA_ERROR_LAUNCH_FAILED, "cublasLtMatmul: uninitialised read of %s at (%lld, %lld)", name,
                 (long long)r, (long long)c);
        return false;
      }
      out[r * cols + c] = read_one(base, l->type, i);
    }
  return true;
}

static float gelu(float x) {
  return 0.5f * x * (1.0f + tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x)));
}

static bool store(const product *p, int64_t batch, const float *acc) {
  const desc *d = &p->d;
  uint64_t pc = p->pc + (uint64_t)(batch * p->c.stride * size_of(p->c.type)),
           pd = p->pd + (uint64_t)(batch * p->e.stride * size_of(p->e.type));
  int64_t size = size_of(p->c.type);
  for (int64_t i = 0; i < p->m; i++)
    for (int64_t j = 0; j < p->n; j++) {
      float v = p->alpha * acc[i * p->n + j];
      if (p->beta != 0.0f) {
        int64_t at = place_of(&p->c, i, j);
        if (!emu_written(emuMachine(), pc + (uint64_t)(at * size), (size_t)size)) {
          emuFault(CUDA_ERROR_LAUNCH_FAILED, "cublasLtMatmul: uninitialised read of C at (%lld, %lld)", (long long)i,
                   (long long)j);
          return false;
        }
        v += p->beta * read_one(pc, p->c.type, at);
      }
      if (has_bias(d->epilogue)) v += read_one((uint64_t)(uintptr_t)d->bias, bias_type(p), i);
      if (has_aux(d->epilogue)) write_one((uint64_t)(uintptr_t)d->aux, aux_type(p), j * d->aux_ld + i, v);
      if (has_gelu(d->epilogue)) v = gelu(v);
      write_one(pd, p->e.type, place_of(&p->e, i, j), v);
    }
  return true;
}

static bool one_product(const product *p, int64_t batch, float *a, float *b, float *acc) {
  uint64_t pa = p->pa + (uint64_t)(batch * p->a.stride * size_of(p->a.type)),
           pb = p->pb + (uint64_t)(batch * p->b.stride * size_of(p->b.type));
  if (!gather(&p->a, pa, p->d.trans_a != CUBLAS_OP_N, p->m, p->k, a, "A")) return false;
  if (!gather(&p->b, pb, p->d.trans_b != CUBLAS_OP_N, p->k, p->n, b, "B")) return false;
  memset(acc, 0, (size_t)(p->m * p->n) * sizeof *acc);
  for (int64_t i = 0; i < p->m; i++)
    for (int64_t l = 0; l < p->k; l++) {
      float x = a[i * p->k + l];
      for (int64_t j = 0; j < p->n; j++) acc[i * p->n + j] += x * b[l * p->n + j];
    }
  return store(p, batch, acc);
}

static int run(void *arg) {
  product *p = arg;
  float *a = malloc((size_t)(p->m * p->k) * sizeof *a), *b = malloc((size_t)(p->k * p->n) * sizeof *b);
  float *acc = malloc((size_t)(p->m * p->n) * sizeof *acc);
  bool ok = a && b && acc;
  if (!ok) {
    emuFault(CUDA_ERROR_OUT_OF_MEMORY, "cublasLtMatmul: no memory");
  } else if (!pointers_ok(p)) { /* freed since */
    emuFault(CUDA_ERROR_ILLEGAL_ADDRESS, "cublasLtMatmul: an operand was freed before its stream came to it");
    ok = false;
  }
  if (ok && p->work_size)
    emu_mark(emuMachine(), p->work, p->work_size, false); /* the workspace holds nothing afterwards */
  for (int64_t k = 0; ok && k < p->a.batch; k++) ok = one_product(p, k, a, b, acc);
  free(a);
  free(b);
  free(acc);
  free(p);
  return !ok;
}

EXPORT cublasStatus_t CUBLASWINAPI cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t h, cublasLtMatmulDesc_t d,
                                                                  cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                                                  cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t e,
                                                                  cublasLtMatmulPreference_t pref, int wanted,
                                                                  cublasLtMatmulHeuristicResult_t results[],
                                                                  int *found) {
  product p = {.d = *(desc *)(void *)d,
               .a = *(layout *)(void *)a,
               .b = *(layout *)(void *)b,
               .c = *(layout *)(void *)c,
               .e = *(layout *)(void *)e};
  if (!h || !pref || wanted < 1) return CUBLAS_STATUS_INVALID_VALUE;
  *found = 0;
  cublasStatus_t s = check(&p);
  if (s) return s;
  memset(&results[0], 0, sizeof results[0]);
  results[0].algo.data[0] = ALGO_MAGIC;
  results[0].state = CUBLAS_STATUS_SUCCESS;
  results[0].wavesCount = 1.0f;
  results[0].workspaceSize = ((preference *)(void *)pref)->workspace >= 1024 ? 1024 : 0;
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

EXPORT cublasStatus_t CUBLASWINAPI cublasLtMatmul(cublasLtHandle_t h, cublasLtMatmulDesc_t d, const void *alpha,
                                                  const void *a, cublasLtMatrixLayout_t la, const void *b,
                                                  cublasLtMatrixLayout_t lb, const void *beta, const void *c,
                                                  cublasLtMatrixLayout_t lc, void *e, cublasLtMatrixLayout_t le,
                                                  const cublasLtMatmulAlgo_t *algo, void *work, size_t work_size,
                                                  cudaStream_t stream) {
  if (!h || !d || !alpha || !beta || !la || !lb || !lc || !le) return CUBLAS_STATUS_INVALID_VALUE;
  product *p = malloc(sizeof *p);
  if (!p) return CUBLAS_STATUS_ALLOC_FAILED;
  *p = (product){.d = *(desc *)(void *)d,
                 .a = *(layout *)(void *)la,
                 .b = *(layout *)(void *)lb,
                 .c = *(layout *)(void *)lc,
                 .e = *(layout *)(void *)le,
                 .pa = (uintptr_t)a,
                 .pb = (uintptr_t)b,
                 .pc = (uintptr_t)c,
                 .pd = (uintptr_t)e,
                 .work = (uintptr_t)work,
                 .work_size = work ? work_size : 0};
  memcpy(&p->alpha, alpha, 4);
  memcpy(&p->beta, beta, 4);
  cublasStatus_t s = check(p);
  if (!s && algo && algo->data[0] != ALGO_MAGIC) s = CUBLAS_STATUS_INVALID_VALUE;
  if (!s && !pointers_ok(p)) s = CUBLAS_STATUS_INVALID_VALUE;
  if (!s && emuEnqueue((CUstream)stream, run, p)) s = CUBLAS_STATUS_EXECUTION_FAILED;
  if (s) free(p);
  return s;
}
