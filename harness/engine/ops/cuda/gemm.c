/* Products by cuBLASLt. A row-major matrix is its transpose in column order, so C = op(A) op(B) is asked for as
 * C' = op(B)' op(A)'. Plans (descriptors and the algorithm, the first the heuristic names) are kept by everything the
 * choice depends on; nothing is timed, so a run's bits do not depend on load. */
#include "ops/cuda/cuda.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Compared as bytes: no padding that is not zeroed. */
typedef struct plan_key {
  int64_t a_rows, a_cols, lda, b_rows, b_cols, ldb, m, n, ldc;
  int32_t ta, tb, in, out, bias;
  int32_t align_a, align_b, align_c; /* bytes, a power of two */
} plan_key;

struct cuda_plan {
  plan_key key;
  cublasLtMatmulDesc_t desc;
  cublasLtMatrixLayout_t a, b, c; /* ours, not swapped */
  cublasLtMatmulAlgo_t algo;
};

static int blas(ctx *c, cublasStatus_t r, const char *what) {
  if (r == CUBLAS_STATUS_SUCCESS) return OK;
  return err_set(&c->err, r == CUBLAS_STATUS_ALLOC_FAILED ? E_NOMEM : E_DEVICE, "cuda: cuBLASLt: %s: status %d", what,
                 (int)r);
}
#define BLAS(call, what) TRY(blas(c, (call), (what)))

static cudaDataType type_of(int32_t t) {
  return t == DT_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

static int32_t alignment(const void *p) {
  uintptr_t low = (uintptr_t)p & (~(uintptr_t)p + 1);
  return low && low < 256 ? (int32_t)low : 256;
}

static plan_key key_of(const op_gemm_args *g, view out, int bias) {
  plan_key k;
  memset(&k, 0, sizeof k);
  k.a_rows = g->a.rows, k.a_cols = g->a.cols, k.lda = g->a.ld;
  k.b_rows = g->b.rows, k.b_cols = g->b.cols, k.ldb = g->b.ld;
  k.m = out.rows, k.n = out.cols, k.ldc = out.ld;
  k.ta = g->ta != 0, k.tb = g->tb != 0, k.bias = bias;
  k.in = (int32_t)g->a.type, k.out = (int32_t)out.type;
  k.align_a = alignment(g->a.p), k.align_b = alignment(g->b.p), k.align_c = alignment(out.p);
  return k;
}

static int describe(ctx *c, cuda_plan *p) {
  const cuda_blas *b = &cuda_of(c)->b;
  const plan_key *k = &p->key;
  const cublasOperation_t first = k->tb ? CUBLAS_OP_T : CUBLAS_OP_N, second = k->ta ? CUBLAS_OP_T : CUBLAS_OP_N;
  const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
  int rc = OK;
  BLAS(b->cublasLtMatmulDescCreate_(&p->desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), "describing a product");
  BLAS(b->cublasLtMatmulDescSetAttribute_(p->desc, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first), "transposes");
  BLAS(b->cublasLtMatmulDescSetAttribute_(p->desc, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second),
       "transposes");
  if (k->bias)
    BLAS(b->cublasLtMatmulDescSetAttribute_(p->desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue),
         "bias");
  BLAS(b->cublasLtMatrixLayoutCreate_(&p->a, type_of(k->in), (uint64_t)k->a_cols, (uint64_t)k->a_rows, k->lda), "a");
  BLAS(b->cublasLtMatrixLayoutCreate_(&p->b, type_of(k->in), (uint64_t)k->b_cols, (uint64_t)k->b_rows, k->ldb), "b");
  BLAS(b->cublasLtMatrixLayoutCreate_(&p->c, type_of(k->out), (uint64_t)k->n, (uint64_t)k->m, k->ldc), "c");
out:
  return rc;
}

/* Sums of split products stay in fp32. */
static int prefer(ctx *c, const plan_key *k, cublasLtMatmulPreference_t p) {
  const cuda_blas *b = &cuda_of(c)->b;
  const size_t work = CUDA_BLAS_WORK;
  const struct {
    cublasLtMatmulPreferenceAttributes_t at;
    uint32_t value;
  } small[] = {{CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE},
               {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, (uint32_t)k->align_b},
               {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, (uint32_t)k->align_a},
               {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, (uint32_t)k->align_c},
               {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, (uint32_t)k->align_c}};
  int rc = OK;
  BLAS(b->cublasLtMatmulPreferenceSetAttribute_(p, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &work, sizeof work),
       "workspace");
  for (size_t i = 0; i < sizeof small / sizeof small[0]; i++)
    BLAS(b->cublasLtMatmulPreferenceSetAttribute_(p, small[i].at, &small[i].value, sizeof small[i].value),
         "preferences");
out:
  return rc;
}

static int choose(ctx *c, cuda_plan *p) {
  const cuda_state *s = cuda_of(c);
  const plan_key *k = &p->key;
  cublasLtMatmulPreference_t preference = NULL;
  cublasLtMatmulHeuristicResult_t found;
  int rc = OK, n = 0;
  BLAS(s->b.cublasLtMatmulPreferenceCreate_(&preference), "preferences");
  TRY(prefer(c, k, preference));
  cublasStatus_t r =
      s->b.cublasLtMatmulAlgoGetHeuristic_(s->lt, p->desc, p->b, p->a, p->c, p->c, preference, 1, &found, &n);
  if (r != CUBLAS_STATUS_SUCCESS || !n)
    FAIL(&c->err, E_UNSUPPORTED, "cuda: cuBLASLt has no algorithm for [%lld,%lld] x [%lld,%lld] %s (status %d)",
         (long long)k->a_rows, (long long)k->a_cols, (long long)k->b_rows, (long long)k->b_cols,
         dtype_name((dtype)k->in), (int)r);
  p->algo = found.algo;
out:
  if (preference) (void)s->b.cublasLtMatmulPreferenceDestroy_(preference);
  return rc;
}

static void drop(const cuda_blas *b, cuda_plan *p) {
  if (p->c) (void)b->cublasLtMatrixLayoutDestroy_(p->c);
  if (p->b) (void)b->cublasLtMatrixLayoutDestroy_(p->b);
  if (p->a) (void)b->cublasLtMatrixLayoutDestroy_(p->a);
  if (p->desc) (void)b->cublasLtMatmulDescDestroy_(p->desc);
  memset(p, 0, sizeof *p);
}

static int plan_of(ctx *c, const plan_key *key, cuda_plan **out) {
  cuda_state *s = cuda_of(c);
  int rc = OK;
  for (int64_t i = 0; i < s->n_plans; i++)
    if (!memcmp(&s->plans[i].key, key, sizeof *key)) {
      *out = &s->plans[i];
      return OK;
    }
  TRY(mem_grow(&c->err, &s->plans, &s->plan_cap, s->n_plans + 1, sizeof *s->plans, "plans of products"));
  cuda_plan *p = &s->plans[s->n_plans];
  memset(p, 0, sizeof *p);
  p->key = *key;
  rc = describe(c, p);
  if (rc == OK) rc = choose(c, p);
  if (rc != OK) drop(&s->b, p);
  TRY(rc);
  s->n_plans++;
  *out = p;
out:
  return rc;
}

void cuda_gemm_close(ctx *c) {
  cuda_state *s = cuda_of(c);
  for (int64_t i = 0; i < s->n_plans; i++) drop(&s->b, &s->plans[i]);
  free(s->plans);
  s->plans = NULL;
  s->n_plans = 0;
}

/* out = alpha op(a) op(b) + beta out + bias; a bias of another type than out is added by a kernel of its own. */
static int product(ctx *c, const op_gemm_args *g, view out) {
  cuda_state *s = cuda_of(c);
  const int fused = g->bias.p && g->bias.type == out.type;
  const plan_key key = key_of(g, out, fused);
  const float alpha = (float)g->alpha, beta = (float)g->beta;
  cuda_plan *p = NULL;
  int rc = OK;
  TRY(plan_of(c, &key, &p));
  if (fused)
    BLAS(s->b.cublasLtMatmulDescSetAttribute_(p->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &g->bias.p,
                                              sizeof g->bias.p),
         "bias");
  BLAS(s->b.cublasLtMatmul_(s->lt, p->desc, &alpha, g->b.p, p->b, g->a.p, p->a, &beta, out.p, p->c, out.p, p->c,
                            &p->algo, s->blas_work, CUDA_BLAS_WORK, s->stream),
       "product");
  if (g->bias.p && !fused) TRY(cuda_add_bias(c, out, g->bias));
out:
  return rc;
}

/* The activation is a kernel of its own: it takes `pre` as it was stored, which is what its gradient will see. */
int cuda_gemm(ctx *c, const op_gemm_args *a) {
  const int direct = a->act != ACT_NONE && a->pre.p && a->beta == 0 && a->pre.type == a->c.type;
  const view out = direct ? a->pre : a->c;
  int rc = OK;
  TRY(product(c, a, out));
  if (a->pre.p && !direct) TRY(cuda_cast(c, a->pre, out));
  if (a->act != ACT_NONE) TRY(cuda_act(c, &(op_act_args){.x = out, .y = a->c, .act = a->act}));
out:
  return rc;
}
