#include "ops/backends.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ops/cuda/cuda.h"

#define CHECK(call, what) TRY(cuda_check(&s->d, &c->err, (call), (what)))

static int device_number(ctx *c, int number) {
  cuda_state *s = cuda_of(c);
  int rc = OK, count = 0;
  CUresult r = s->d.cuInit_(0);
  if (r == CUDA_SUCCESS) r = s->d.cuDeviceGetCount_(&count);
  if (r != CUDA_SUCCESS || !count) {
    const char *text = NULL;
    if (r != CUDA_SUCCESS) (void)s->d.cuGetErrorString_(r, &text);
    FAIL(&c->err, E_UNSUPPORTED, "backend cuda: no CUDA device here (%s); use --backend cpu or auto",
         text ? text : "the driver lists none");
  }
  if (number < 0 || number >= count)
    FAIL(&c->err, E_UNSUPPORTED, "backend cuda: no device %d, there are %d, counted from 0", number, count);
  CHECK(s->d.cuDeviceGet_(&s->device, number), "opening the device");
out:
  return rc;
}

static int describe(ctx *c) {
  cuda_state *s = cuda_of(c);
  int rc = OK, major = 0, minor = 0;
  CHECK(s->d.cuDeviceGetAttribute_(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, s->device),
        "asking its level");
  CHECK(s->d.cuDeviceGetAttribute_(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, s->device),
        "asking its level");
  snprintf(s->arch, sizeof s->arch, "sm_%d%d", major, minor);
  if (major < 8)
    FAIL(&c->err, E_UNSUPPORTED, "backend cuda: device %d is %s, sm_80 or later is needed", c->device, s->arch);
  if (c->isa && strcmp(c->isa, s->arch))
    FAIL(&c->err, E_UNSUPPORTED, "backend cuda: device %d is %s, %s was asked for", c->device, s->arch, c->isa);
  c->isa = s->arch;
out:
  return rc;
}

static int load_images(ctx *c) {
  cuda_state *s = cuda_of(c);
  int rc = OK;
  for (const cuda_image *i = cuda_images; i->name; i++) {
    if (s->n_modules == CUDA_MODULES) FAIL(&c->err, E_UNSUPPORTED, "backend cuda: more than %d images", CUDA_MODULES);
    CHECK(s->d.cuModuleLoadData_(&s->modules[s->n_modules], i->data), "loading kernels");
    s->n_modules++;
  }
out:
  return rc;
}

static int get_memory(ctx *c) {
  cuda_state *s = cuda_of(c);
  int rc = OK;
  CUdeviceptr p = 0;
  void *host = NULL;
  CHECK(s->d.cuStreamCreate_(&s->stream, CU_STREAM_NON_BLOCKING), "making a stream");
  CHECK(s->d.cuMemAlloc_(&p, CUDA_BLAS_WORK), "memory for cuBLASLt");
  s->blas_work = (void *)(uintptr_t)p;
  CHECK(s->d.cuMemAlloc_(&p, CUDA_SCRATCH), "memory for partial sums");
  s->scratch = (void *)(uintptr_t)p;
  CHECK(s->d.cuMemHostAlloc_(&host, CUDA_RING * CUDA_RING_BYTES, 0), "pinned memory for transfers");
  s->ring = host;
  for (; s->ring_used < CUDA_RING; s->ring_used++)
    CHECK(s->d.cuEventCreate_(&s->ring_free[s->ring_used], CU_EVENT_DISABLE_TIMING), "making an event");
out:
  return rc;
}

static int open_blas(ctx *c) {
  cuda_state *s = cuda_of(c);
  int rc = OK;
  TRY(cuda_blas_open(&s->b, &c->err));
  cublasStatus_t r = s->b.cublasLtCreate_(&s->lt);
  if (r != CUBLAS_STATUS_SUCCESS) FAIL(&c->err, E_DEVICE, "cuda: opening cuBLASLt: status %d", (int)r);
  snprintf(c->library, sizeof c->library, "cuBLASLt %zu", s->b.cublasLtGetVersion_());
out:
  return rc;
}

static int cuda_open(ctx *c) {
  cuda_state *s = NULL;
  int rc = OK;
  TRY(mem_new(&c->err, 1, sizeof *s, "cuda backend", &s));
  c->state = s;
  TRY(cuda_driver_open(&s->d, &c->err));
  TRY(device_number(c, c->device));
  TRY(describe(c));
  CHECK(s->d.cuDevicePrimaryCtxRetain_(&s->primary, s->device), "opening the device's context");
  CHECK(s->d.cuCtxSetCurrent_(s->primary), "entering the device's context");
  TRY(get_memory(c));
  TRY(load_images(c));
  TRY(open_blas(c));
  c->threads = 1;
out:
  return rc;
}

static void free_device(cuda_state *s, void *p) {
  if (p) (void)s->d.cuMemFree_((CUdeviceptr)(uintptr_t)p);
}

static void cuda_close(ctx *c) {
  cuda_state *s = cuda_of(c);
  if (!s) return;
  if (s->primary) {
    if (s->stream) (void)s->d.cuStreamSynchronize_(s->stream);
    cuda_attn_close(c);
    cuda_gemm_close(c);
    if (s->lt) (void)s->b.cublasLtDestroy_(s->lt);
    for (int i = 0; i < s->n_modules; i++) (void)s->d.cuModuleUnload_(s->modules[i]);
    for (int i = 0; i < s->ring_used; i++) (void)s->d.cuEventDestroy_(s->ring_free[i]);
    if (s->ring) (void)s->d.cuMemFreeHost_(s->ring);
    free_device(s, s->scratch);
    free_device(s, s->blas_work);
    if (s->stream) (void)s->d.cuStreamDestroy_(s->stream);
    (void)s->d.cuDevicePrimaryCtxRelease_(s->device);
  }
  free(s->kernels);
  cuda_blas_close(&s->b);
  cuda_driver_close(&s->d);
  free(s);
}

/* --- memory and movement --- */

static int cuda_alloc(ctx *c, size_t bytes, void **out) {
  cuda_state *s = cuda_of(c);
  CUdeviceptr p = 0;
  char what[64];
  *out = NULL;
  snprintf(what, sizeof what, "memory for %zu bytes", bytes);
  int rc = cuda_check(&s->d, &c->err, s->d.cuMemAlloc_(&p, bytes ? bytes : 1), what);
  *out = (void *)(uintptr_t)p;
  return rc;
}

static void cuda_release(ctx *c, void *p) {
  cuda_state *s = cuda_of(c);
  if (p) (void)s->d.cuStreamSynchronize_(s->stream); /* what is in flight may still use it */
  free_device(s, p);
}

/* Through the ring, so that the caller's memory is its own again at once and no step waits for the device. */
static int cuda_upload(ctx *c, void *dst, const void *host, size_t bytes) {
  cuda_state *s = cuda_of(c);
  int rc = OK;
  for (size_t at = 0; at < bytes; at += CUDA_RING_BYTES) {
    size_t n = bytes - at < CUDA_RING_BYTES ? bytes - at : CUDA_RING_BYTES;
    char *piece = s->ring + (size_t)s->ring_at * CUDA_RING_BYTES;
    CHECK(s->d.cuEventSynchronize_(s->ring_free[s->ring_at]), "waiting for a transfer");
    memcpy(piece, (const char *)host + at, n);
    CHECK(s->d.cuMemcpyHtoDAsync_((CUdeviceptr)(uintptr_t)dst + at, piece, n, s->stream), "upload");
    CHECK(s->d.cuEventRecord_(s->ring_free[s->ring_at], s->stream), "upload");
    s->ring_at = (s->ring_at + 1) % CUDA_RING;
  }
out:
  return rc;
}

static int cuda_sync(ctx *c) {
  cuda_state *s = cuda_of(c);
  return cuda_check(&s->d, &c->err, s->d.cuStreamSynchronize_(s->stream), "waiting for the device");
}

static int cuda_download(ctx *c, void *host, const void *src, size_t bytes) {
  cuda_state *s = cuda_of(c);
  int rc = OK;
  for (size_t at = 0; at < bytes; at += CUDA_RING_BYTES) {
    size_t n = bytes - at < CUDA_RING_BYTES ? bytes - at : CUDA_RING_BYTES;
    char *piece = s->ring + (size_t)s->ring_at * CUDA_RING_BYTES;
    CHECK(s->d.cuMemcpyDtoHAsync_(piece, (CUdeviceptr)(uintptr_t)src + at, n, s->stream), "download");
    TRY(cuda_sync(c));
    memcpy((char *)host + at, piece, n);
  }
out:
  return rc;
}

/* --- launching --- */

static uint64_t hash_name(const char *name) {
  uint64_t h = 1469598103934665603u;
  for (; *name; name++) h = (h ^ (unsigned char)*name) * 1099511628211u;
  return h;
}

/* The place of a name: its own, or an empty one. */
static cuda_kernel *place_of(cuda_kernel *t, int64_t cap, const char *name) {
  uint64_t at = hash_name(name);
  while (t[at & (uint64_t)(cap - 1)].name && strcmp(t[at & (uint64_t)(cap - 1)].name, name)) at++;
  return &t[at & (uint64_t)(cap - 1)];
}

static int more_kernels(ctx *c) {
  cuda_state *s = cuda_of(c);
  int64_t cap = s->kernel_cap ? 2 * s->kernel_cap : 128;
  cuda_kernel *t = NULL;
  int rc = mem_new(&c->err, cap, sizeof *t, "kernel table", &t);
  if (rc != OK) return rc;
  for (int64_t i = 0; i < s->kernel_cap; i++)
    if (s->kernels[i].name) *place_of(t, cap, s->kernels[i].name) = s->kernels[i];
  free(s->kernels);
  s->kernels = t;
  s->kernel_cap = cap;
  return OK;
}

static int find_kernel(ctx *c, const char *name, cuda_kernel **out) {
  cuda_state *s = cuda_of(c);
  int rc = OK;
  CUfunction f = NULL;
  if (2 * (s->n_kernels + 1) > s->kernel_cap) TRY(more_kernels(c));
  *out = place_of(s->kernels, s->kernel_cap, name);
  if ((*out)->name) return OK;
  for (int i = 0; !f && i < s->n_modules; i++)
    if (s->d.cuModuleGetFunction_(&f, s->modules[i], name) != CUDA_SUCCESS) f = NULL;
  if (!f) FAIL(&c->err, E_DEVICE, "cuda: no kernel %s in this build's images", name);
  **out = (cuda_kernel){.name = name, .f = f, .shared = 48u << 10};
  s->n_kernels++;
out:
  return rc;
}

int cuda_launch(ctx *c, const cuda_call *k) {
  cuda_state *s = cuda_of(c);
  int rc = OK;
  cuda_kernel *found = NULL;
  void *params[] = {k->args};
  if (!k->x) return OK;
  TRY(find_kernel(c, k->kernel, &found));
  if (k->shared > found->shared) {
    CHECK(s->d.cuFuncSetAttribute_(found->f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, (int)k->shared),
          k->kernel);
    found->shared = k->shared;
  }
  CHECK(s->d.cuLaunchKernel_(found->f, k->x, k->y ? k->y : 1, k->z ? k->z : 1, k->threads, 1, 1, k->shared, s->stream,
                             params, NULL),
        k->kernel);
out:
  return rc;
}

const ops ops_cuda = {
    .name = "cuda",
    .help = "own kernels and cuBLASLt on an NVIDIA device",
    .open = cuda_open,
    .close = cuda_close,
    .alloc = cuda_alloc,
    .release = cuda_release,
    .upload = cuda_upload,
    .download = cuda_download,
    .sync = cuda_sync,
    .copy = cuda_copy,
    .cast = cuda_cast,
    .fill = cuda_fill,
    .lincomb = cuda_lincomb,
    .gemm = cuda_gemm,
    .ln_mod = cuda_ln_mod,
    .ln_mod_bwd = cuda_ln_mod_bwd,
    .headnorm_rope = cuda_headnorm_rope,
    .headnorm_rope_bwd = cuda_headnorm_rope_bwd,
    .attn = cuda_attn_run,
    .attn_bwd = cuda_attn_bwd,
    .attn_small = cuda_attn_small,
    .attn_small_bwd = cuda_attn_small_bwd,
    .gate_add = cuda_gate_add,
    .gate_add_bwd = cuda_gate_add_bwd,
    .add_rows = cuda_add_rows,
    .add_rows_bwd = cuda_add_rows_bwd,
    .act = cuda_act,
    .act_bwd = cuda_act_bwd,
    .colsum = cuda_colsum,
    .patch = cuda_patch,
    .unpatch = cuda_unpatch,
    .mse = cuda_mse,
    .sumsq = cuda_sumsq,
    .adamw = cuda_adamw,
};
