/* nvcc's kernels (kernels.cu) through the fake driver, and one test for each class of fault. The fatbin is argument
 * 1; without it (no nvcc) the tests are skipped. */
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

static char *image;

typedef struct fixture {
  CUmodule m;
  CUdeviceptr p[4];
  int n_p;
} fixture;

static int begin(void **state) {
  static fixture f;
  CUcontext c;
  f = (fixture){0};
  emuReset();
  emuSeed(0);
  assert_int_equal(cuInit(0), CUDA_SUCCESS);
  assert_int_equal(cuDevicePrimaryCtxRetain(&c, 0), CUDA_SUCCESS);
  assert_int_equal(cuModuleLoadData(&f.m, image), CUDA_SUCCESS);
  *state = &f;
  return 0;
}
static int finish(void **state) {
  fixture *f = *state;
  emuReset();
  for (int i = 0; i < f->n_p; i++) assert_int_equal(cuMemFree(f->p[i]), CUDA_SUCCESS);
  assert_int_equal(cuModuleUnload(f->m), CUDA_SUCCESS);
  return cuDevicePrimaryCtxRelease(0) != CUDA_SUCCESS;
}

static CUdeviceptr upload(fixture *f, const void *x, size_t n) {
  CUdeviceptr p;
  assert_int_equal(cuMemAlloc(&p, n), CUDA_SUCCESS);
  f->p[f->n_p++] = p;
  if (x) assert_int_equal(cuMemcpyHtoD(p, x, n), CUDA_SUCCESS);
  return p;
}
static CUfunction named(fixture *f, const char *name) {
  CUfunction k;
  assert_int_equal(cuModuleGetFunction(&k, f->m, name), CUDA_SUCCESS);
  return k;
}

/* The fault must be of this kind, in the kernel, and name a line of kernels.cu. */
static void expect_fault(fixture *f, const char *kernel, const unsigned shape[3], void **params, const char *kind) {
  CUresult r = cuLaunchKernel(named(f, kernel), shape[0], 1, 1, shape[1], 1, 1, shape[2], NULL, params, NULL);
  const char *text = emuLastFault();
  if (r == CUDA_SUCCESS || !strstr(text, kind))
    fail_msg("%s: expected \"%s\", got %d \"%s\"", kernel, kind, (int)r, text);
  assert_non_null(strstr(text, kernel));
  assert_non_null(strstr(text, "at kernels.cu:"));
  assert_int_equal(cuCtxSynchronize(), r); /* the context stays dead */
}

static float noise(int i) {
  uint32_t h = (uint32_t)i * 2654435761u;
  return (float)((h >> 20) % 17) - 8.0f;
}

static void vector_add(void **state) {
  enum { N = 1000 };
  float a[N], b[N], c[N];
  for (int i = 0; i < N; i++) a[i] = noise(i), b[i] = noise(i + 7), c[i] = NAN;
  int n = N;
  CUdeviceptr pa = upload(*state, a, sizeof a), pb = upload(*state, b, sizeof b), pc = upload(*state, NULL, sizeof c);
  assert_int_equal(
      cuLaunchKernel(named(*state, "vector_add"), 8, 1, 1, 128, 1, 1, 0, NULL, (void *[]){&pa, &pb, &pc, &n}, NULL),
      0);
  assert_int_equal(cuMemcpyDtoH(c, pc, sizeof c), 0);
  for (int i = 0; i < N; i++) assert_true(c[i] == a[i] + b[i]);
}

static void block_sum(void **state) {
  enum { N = 3 * 777 };
  static float x[N];
  float out[3] = {NAN, NAN, NAN}, want[3] = {0};
  for (int i = 0; i < N; i++) x[i] = noise(i), want[i / 777] += x[i];
  int n = 777;
  CUdeviceptr px = upload(*state, x, sizeof x), po = upload(*state, NULL, sizeof out);
  for (uint64_t seed = 0; seed < 5; seed++) {
    emuSeed(seed);
    assert_int_equal(cuMemsetD8(po, 0xff, sizeof out), 0);
    assert_int_equal(
        cuLaunchKernel(named(*state, "block_sum"), 3, 1, 1, 256, 1, 1, 0, NULL, (void *[]){&px, &po, &n}, NULL), 0);
    assert_int_equal(cuMemcpyDtoH(out, po, sizeof out), 0);
    assert_memory_equal(out, want, sizeof out);
  }
  assert_true(want[0] != 0.0f && want[0] != want[1]);
}

static void tiled_gemm(void **state) {
  enum { M = 33, N = 17, K = 31 };
  float a[M * K], b[K * N], c[M * N];
  int m = M, n = N, k = K;
  for (int i = 0; i < M * K; i++) a[i] = noise(i);
  for (int i = 0; i < K * N; i++) b[i] = noise(3 * i + 1);
  CUdeviceptr pa = upload(*state, a, sizeof a), pb = upload(*state, b, sizeof b), pc = upload(*state, NULL, sizeof c);
  void *params[] = {&pa, &pb, &pc, &m, &n, &k};
  assert_int_equal(cuLaunchKernel(named(*state, "tiled_gemm"), 2, 3, 1, 16, 16, 1, 0, NULL, params, NULL), 0);
  assert_int_equal(cuMemcpyDtoH(c, pc, sizeof c), 0);
  float most = 0;
  for (int i = 0; i < M; i++)
    for (int j = 0; j < N; j++) {
      float want = 0;
      for (int l = 0; l < K; l++) want += a[i * K + l] * b[l * N + j];
      assert_true(c[i * N + j] == want);
      most = fmaxf(most, fabsf(want));
    }
  assert_true(most > 10.0f);
}

static uint16_t bf16(float v) {
  uint32_t u;
  memcpy(&u, &v, 4);
  return (uint16_t)(u >> 16); /* the values used are exact */
}

enum { MMA_K = 64 };
static void mma_inputs(fixture *f, CUdeviceptr p[3], float want[16 * 8]) {
  uint16_t a[16 * MMA_K], b[8 * MMA_K];
  for (int i = 0; i < 16 * MMA_K; i++) a[i] = bf16(noise(i));
  for (int i = 0; i < 8 * MMA_K; i++) b[i] = bf16(noise(5 * i + 2));
  for (int r = 0; r < 16; r++)
    for (int c = 0; c < 8; c++) {
      want[r * 8 + c] = 0;
      for (int k = 0; k < MMA_K; k++) want[r * 8 + c] += noise(r * MMA_K + k) * noise(5 * (c * MMA_K + k) + 2);
    }
  p[0] = upload(f, a, sizeof a);
  p[1] = upload(f, b, sizeof b);
  p[2] = upload(f, NULL, 16 * 8 * sizeof(float));
}

static void mma_product(void **state) {
  float want[16 * 8], got[16 * 8];
  CUdeviceptr p[3];
  int k = MMA_K;
  mma_inputs(*state, p, want);
  void *params[] = {&p[0], &p[1], &p[2], &k};
  emuCount(1);
  assert_int_equal(cuLaunchKernel(named(*state, "mma_product"), 1, 1, 1, 32, 1, 1, 2304, NULL, params, NULL), 0);
  assert_int_equal(cuMemcpyDtoH(got, p[2], sizeof got), 0);
  assert_memory_equal(got, want, sizeof got);
  assert_true(want[0] != 0.0f && want[1] != want[2]);
  emu_counters c;
  assert_int_equal(emuCounters("mma_product", &c), 0);
  assert_int_equal(c.mma, MMA_K / 16);
  assert_int_equal(c.launches, 1);
  /* Each of 4 steps: cp.async 4 + 2 phases of 8 lanes, whose 4 rows of 48 bytes meet in 4 banks: 2 waves each;
   * ldmatrix 4 + 2 phases without conflict. */
  assert_int_equal(c.shared_phases, 4 * 12);
  assert_int_equal(c.shared_waves, 4 * (2 * 6 + 6));
  assert_true(c.global_requests > 0 && c.global_sectors >= c.global_ideal);
  emuCount(0);
}
static void fragment_swap_is_seen(void **state) {
  float want[16 * 8], got[16 * 8];
  CUdeviceptr p[3];
  int k = MMA_K;
  mma_inputs(*state, p, want);
  void *params[] = {&p[0], &p[1], &p[2], &k};
  assert_int_equal(cuLaunchKernel(named(*state, "faulty_fragment"), 1, 1, 1, 32, 1, 1, 2304, NULL, params, NULL), 0);
  assert_int_equal(cuMemcpyDtoH(got, p[2], sizeof got), 0);
  assert_memory_not_equal(got, want, sizeof got);
}
static void missing_waits(void **state) {
  float want[16 * 8];
  CUdeviceptr p[3];
  int k = MMA_K;
  mma_inputs(*state, p, want);
  void *params[] = {&p[0], &p[1], &p[2], &k};
  expect_fault(*state, "faulty_no_wait", (const unsigned[]){1, 32, 2304}, params, "uninitialised read");
  emuReset();
  expect_fault(*state, "faulty_weak_wait", (const unsigned[]){1, 32, 2304}, params, "uninitialised read");
}

static void many_forms(void **state) {
  enum { N = 70 };
  struct {
    CUdeviceptr x[3], y;
    int n;
    float c[3];
  } p = {.n = N, .c = {0.5f, 0.25f, -0.125f}};
  float x[3][N], y[128];
  for (int i = 0; i < 3 * N; i++) x[i / N][i % N] = noise(i) * 0.1f;
  for (int t = 0; t < 3; t++) p.x[t] = upload(*state, x[t], sizeof x[t]);
  p.y = upload(*state, NULL, sizeof y);
  CUdeviceptr total;
  size_t size;
  int zero = 0, sum;
  assert_int_equal(cuModuleGetGlobal(&total, &size, ((fixture *)*state)->m, "total"), 0);
  assert_int_equal(size, 4);
  assert_int_equal(cuMemcpyHtoD(total, &zero, 4), 0);
  assert_int_equal(cuLaunchKernel(named(*state, "many_forms"), 2, 1, 1, 64, 1, 1, 0, NULL, (void *[]){&p}, NULL), 0);
  assert_int_equal(cuMemcpyDtoH(&sum, total, 4), 0);
  assert_int_equal(sum, N * (N - 1) / 2);
  assert_int_equal(cuMemcpyDtoH(y, p.y, sizeof y), 0);
  for (int i = 0; i < N; i++) {
    double v = 0.5 * x[0][i] + 0.25 * x[1][i] - 0.125 * x[2][i];
    double w = v + (1 << (i & 3)) + 1 / sqrt(1 + v * v) + exp(-v) + log(1 + v * v) + tanh(v) + sin(v) + erf(v);
    if (fabs(y[i] - w) > 2e-6 * (1 + fabs(w))) fail_msg("%d: %.9g, not %.9g", i, y[i], w);
  }
  assert_true(y[N] == 6.0f); /* __syncthreads_or and ballot: lanes 64 .. 69 are in */
}

/* --- faults --- */

static void missing_barriers(void **state) {
  float x[512];
  for (int i = 0; i < 512; i++) x[i] = noise(i);
  int n = 512;
  CUdeviceptr px = upload(*state, x, sizeof x), po = upload(*state, NULL, 4);
  void *params[] = {&px, &po, &n};
  for (uint64_t seed = 0; seed < 4; seed++) { /* in any order */
    emuReset();
    emuSeed(seed);
    CUresult r = cuLaunchKernel(named(*state, "faulty_sum_first"), 1, 1, 1, 256, 1, 1, 0, NULL, params, NULL);
    const char *text = emuLastFault();
    assert_true(r != CUDA_SUCCESS);
    assert_true(strstr(text, "race: shared") || strstr(text, "uninitialised read"));
    emuReset();
    r = cuLaunchKernel(named(*state, "faulty_sum_last"), 1, 1, 1, 256, 1, 1, 0, NULL, params, NULL);
    assert_true(r != CUDA_SUCCESS);
    assert_non_null(strstr(emuLastFault(), "race: shared"));
  }
}
static void out_of_bounds(void **state) {
  int n = 100;
  CUdeviceptr p = upload(*state, NULL, 400);
  expect_fault(*state, "faulty_bounds", (const unsigned[]){1, 128, 0}, (void *[]){&p, &n}, "out of bounds");
}
static void divergent(void **state) {
  CUdeviceptr p = upload(*state, NULL, 400);
  expect_fault(*state, "faulty_divergent", (const unsigned[]){1, 32, 0}, (void *[]){&p}, "divergent barrier");
  emuReset();
  expect_fault(*state, "faulty_exited", (const unsigned[]){1, 32, 0}, (void *[]){&p}, "have exited");
}
static void shuffle(void **state) {
  CUdeviceptr p = upload(*state, NULL, 400);
  expect_fault(*state, "faulty_shuffle", (const unsigned[]){1, 32, 0}, (void *[]){&p},
               "shfl.sync: mask ffffffff, executed by lanes 0000ffff");
}
static void blocks(void **state) {
  CUdeviceptr p = upload(*state, NULL, 400);
  expect_fault(*state, "faulty_blocks", (const unsigned[]){2, 32, 0}, (void *[]){&p}, "race: global");
}
static void misaligned(void **state) {
  char x[64] = {1};
  CUdeviceptr px = upload(*state, x, sizeof x), py = upload(*state, NULL, 4);
  expect_fault(*state, "faulty_misaligned", (const unsigned[]){1, 1, 0}, (void *[]){&px, &py}, "misaligned");
}
static void within_warp(void **state) {
  CUdeviceptr p = upload(*state, NULL, 400);
  expect_fault(*state, "faulty_warp", (const unsigned[]){1, 32, 0}, (void *[]){&p}, "race: shared");
}
static void uninitialised(void **state) {
  int n = 32;
  CUdeviceptr a = upload(*state, NULL, 128), c = upload(*state, NULL, 128);
  expect_fault(*state, "vector_add", (const unsigned[]){1, 32, 0}, (void *[]){&a, &a, &c, &n}, "uninitialised read");
}
static void bad_pointers(void **state) {
  int n = 32;
  float host[32] = {0};
  CUdeviceptr a = upload(*state, host, sizeof host), h = (CUdeviceptr)(uintptr_t)host, none = 0;
  CUfunction f = named(*state, "vector_add");
  assert_int_equal(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, NULL, (void *[]){&a, &h, &a, &n}, NULL),
                   CUDA_ERROR_INVALID_VALUE);
  assert_non_null(strstr(emuLastFault(), "host pointer"));
  expect_fault(*state, "vector_add", (const unsigned[]){1, 32, 0}, (void *[]){&a, &a, &none, &n}, "null pointer");
  emuReset();
  CUdeviceptr gone;
  assert_int_equal(cuMemAlloc(&gone, 4096), 0);
  assert_int_equal(cuMemFree(gone), 0);
  expect_fault(*state, "vector_add", (const unsigned[]){1, 32, 0}, (void *[]){&a, &a, &gone, &n}, "global memory");
  emuReset();
  assert_int_equal(cuMemcpyHtoD(h, host, 4), CUDA_ERROR_INVALID_VALUE);
  assert_int_equal(cuMemcpyHtoD(a, host, sizeof host + 4), CUDA_ERROR_INVALID_VALUE);
  assert_int_equal(cuMemFree(a + 4), CUDA_ERROR_INVALID_VALUE);
}
static void launch_limits(void **state) {
  int n = 32, v;
  float x[32] = {0};
  CUdeviceptr a = upload(*state, x, sizeof x);
  CUfunction f = named(*state, "vector_add");
  void *params[] = {&a, &a, &a, &n};
  assert_int_equal(cuLaunchKernel(f, 1, 1, 1, 1025, 1, 1, 0, NULL, params, NULL), CUDA_ERROR_INVALID_VALUE);
  assert_int_equal(cuLaunchKernel(f, 0, 1, 1, 32, 1, 1, 0, NULL, params, NULL), CUDA_ERROR_INVALID_VALUE);
  assert_int_equal(cuLaunchKernel(f, 1, 65536, 1, 32, 1, 1, 0, NULL, params, NULL), CUDA_ERROR_INVALID_VALUE);
  assert_int_equal(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 49153, NULL, params, NULL), CUDA_ERROR_INVALID_VALUE);
  assert_int_equal(cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 300000),
                   CUDA_ERROR_INVALID_VALUE);
  assert_int_equal(cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 65536), CUDA_SUCCESS);
  assert_int_equal(cuFuncGetAttribute(&v, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, f), CUDA_SUCCESS);
  assert_int_equal(v, 65536);
  emuReset();
  assert_int_equal(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 49153, NULL, (void *[]){&a, &a, &a, &n}, NULL), CUDA_SUCCESS);
}

/* --- streams: work happens when somebody waits --- */

static void late_streams(void **state) {
  enum { N = 64 };
  CUstream s, t;
  CUevent e;
  float *pinned, out[N], x[N];
  int n = N;
  for (int i = 0; i < N; i++) x[i] = 1.0f;
  CUdeviceptr a = upload(*state, x, sizeof x), c = upload(*state, x, sizeof x);
  assert_int_equal(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING), 0);
  assert_int_equal(cuStreamCreate(&t, CU_STREAM_NON_BLOCKING), 0);
  assert_int_equal(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING), 0);
  assert_int_equal(cuMemHostAlloc((void **)&pinned, sizeof out, 0), 0);
  for (int i = 0; i < N; i++) pinned[i] = 2.0f;
  assert_int_equal(cuMemcpyHtoDAsync(a, pinned, sizeof out, s), 0);
  for (int i = 0; i < N; i++) pinned[i] = 3.0f; /* too early: the copy has not been made */
  void *params[] = {&a, &a, &c, &n};
  assert_int_equal(cuLaunchKernel(named(*state, "vector_add"), 1, 1, 1, 64, 1, 1, 0, s, params, NULL), 0);
  assert_int_equal(cuEventRecord(e, s), 0);
  assert_int_equal(cuMemcpyDtoH(out, c, sizeof out), 0); /* the null stream does not wait for s */
  assert_true(out[0] == 1.0f);
  assert_int_equal(cuEventQuery(e), CUDA_ERROR_NOT_READY);
  assert_int_equal(cuStreamWaitEvent(t, e, 0), 0);
  assert_int_equal(cuMemcpyDtoHAsync(pinned, c, sizeof out, t), 0);
  assert_true(pinned[0] == 3.0f);
  assert_int_equal(cuStreamSynchronize(t), 0); /* runs s up to the event */
  assert_true(pinned[0] == 6.0f && pinned[N - 1] == 6.0f);
  assert_int_equal(cuEventQuery(e), CUDA_SUCCESS);
  assert_int_equal(cuEventDestroy(e), 0);
  assert_int_equal(cuStreamDestroy(s), 0);
  assert_int_equal(cuStreamDestroy(t), 0);
  assert_int_equal(cuMemFreeHost(pinned), 0);
}

static void bad_images(void **state) {
  (void)state;
  CUmodule m;
  assert_int_equal(cuModuleLoadData(&m, "\x7f"
                                        "ELF......"),
                   CUDA_ERROR_NO_BINARY_FOR_GPU);
  assert_int_equal(cuModuleLoadData(&m, ".version 8.0\n.visible .entry f()\n{\nfrobnicate.s32 %r1, %r2;\n}\n"),
                   CUDA_ERROR_INVALID_IMAGE);
  assert_non_null(strstr(emuLastFault(), "unknown instruction: frobnicate.s32"));
  unsigned char fat[64] = {0x50, 0xed, 0x55, 0xba, 1, 0, 16, 0, 32, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 16, 0, 0, 0, 16};
  assert_int_equal(cuModuleLoadData(&m, fat), CUDA_ERROR_INVALID_IMAGE);
  assert_non_null(strstr(emuLastFault(), "compressed"));
  fat[16] = 2;
  assert_int_equal(cuModuleLoadData(&m, fat), CUDA_ERROR_NO_BINARY_FOR_GPU);
  assert_non_null(strstr(emuLastFault(), "machine code"));
}

int main(int argc, char **argv) {
  FILE *f = argc > 1 ? fopen(argv[1], "rb") : NULL;
  if (!f) {
    puts("1..0 # SKIP no nvcc");
    return 77;
  }
  fseek(f, 0, SEEK_END);
  size_t n = (size_t)ftell(f);
  rewind(f);
  image = malloc(n);
  if (!image || fread(image, 1, n, f) != n) return 1;
  fclose(f);
#define T(name) cmocka_unit_test_setup_teardown(name, begin, finish)
  const struct CMUnitTest tests[] = {T(vector_add),    T(block_sum),        T(tiled_gemm),
                                     T(mma_product),   T(many_forms),       T(fragment_swap_is_seen),
                                     T(missing_waits), T(missing_barriers), T(out_of_bounds),
                                     T(divergent),     T(shuffle),          T(blocks),
                                     T(misaligned),    T(within_warp),      T(uninitialised),
                                     T(bad_pointers),  T(launch_limits),    T(late_streams),
                                     T(bad_images)};
  int failed = cmocka_run_group_tests_name("emu_kernels", tests, NULL, NULL);
  free(image);
  return failed;
}
