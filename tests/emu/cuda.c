/* A driver API without a device. Work put into a stream runs as late as it may: when somebody waits for it. One
 * thread. */
#include "fake.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
enum { SHARED_PLAIN = 48 * 1024, SHARED_MOST = 163 * 1024 }; /* compute capability 8.0 */

typedef enum op_kind { OP_KERNEL, OP_UPLOAD, OP_DOWNLOAD, OP_COPY, OP_SET, OP_RECORD, OP_WAIT, OP_CALL } op_kind;

typedef struct op {
  struct op *next;
  op_kind kind;
  CUfunction f;
  emu_launch_args launch;
  CUdeviceptr dst, src;
  void *host;
  bool own_host; /* a copy of pageable memory, made when the call was made */
  size_t n;
  uint32_t value, unit;
  CUevent event;
  CUstream other;
  uint64_t turn;
  int (*fn)(void *);
  void *arg;
} op;

struct CUstream_st {
  op *first, **last;
  unsigned flags;
  CUstream next;
};
struct CUevent_st {
  uint64_t recorded, done;
  CUstream stream;
  int asked;
};
struct CUfunc_st {
  emu_kernel *k;
  CUmodule mod;
  int most_dynamic;
  struct CUfunc_st *next;
};
struct CUmod_st {
  emu_module *m;
  CUfunction functions;
  CUmodule next;
};
typedef struct pinned {
  char *p;
  size_t n;
  struct pinned *next;
} pinned;

static struct {
  bool init, trace;
  int retained;
  CUresult dead; /* the error that every later call returns */
  emu *m;
  emu_options o;
  CUstream streams;
  struct CUstream_st null;
  CUmodule modules;
  pinned *pinned;
  size_t total;
  char text[2048];
} g;

static uint64_t number(const char *name, uint64_t none) {
  const char *s = getenv(name);
  return s && *s ? strtoull(s, NULL, 0) : none;
}

static CUresult start(void) {
  if (g.m) return CUDA_SUCCESS;
  g.o = (emu_options){.seed = number("EMU_SEED", 0),
                      .lenient = number("EMU_LENIENT", 0) != 0,
                      .count = number("EMU_COUNT", 0) != 0,
                      .limit = number("EMU_LIMIT", 0)};
  g.trace = number("EMU_TRACE", 0) != 0;
  g.total = (size_t)number("EMU_MEMORY", 2048) << 20;
  g.m = emu_new(&g.o);
  g.null.last = &g.null.first;
  return g.m ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

void emuFault(CUresult r, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(g.text, sizeof g.text, fmt, ap);
  va_end(ap);
  fprintf(stderr, "emu: %s\n", g.text);
  if (r != CUDA_ERROR_INVALID_VALUE && r != CUDA_ERROR_INVALID_IMAGE && r != CUDA_ERROR_NO_BINARY_FOR_GPU) g.dead = r;
}
static CUresult refuse(CUresult r, const char *what) {
  emuFault(r, "%s", what);
  return r;
}
const char *emuLastFault(void) {
  return g.text;
}
emu *emuMachine(void) {
  return g.m;
}
void emuSeed(uint64_t seed) {
  g.o.seed = seed;
  if (g.m) emu_set_options(g.m, &g.o);
}
void emuCount(int on) {
  g.o.count = on;
  if (g.m) emu_set_options(g.m, &g.o);
}

#define READY()                                                                                                      \
  do {                                                                                                               \
    if (!g.init) return CUDA_ERROR_NOT_INITIALIZED;                                                                  \
    if (g.dead) return g.dead;                                                                                       \
  } while (0)

/* --- the queue --- */

static void op_free(op *o) {
  if (o->own_host) free(o->host);
  free((void *)(uintptr_t)o->launch.params);
  free(o);
}

static CUresult run_stream(CUstream s, CUevent until, uint64_t turn);

static void run_kernel(const op *o) {
  if (g.trace)
    fprintf(stderr, "emu: launch %s grid %u,%u,%u block %u,%u,%u\n", emu_kernel_name(o->f->k), o->launch.grid[0],
            o->launch.grid[1], o->launch.grid[2], o->launch.block[0], o->launch.block[1], o->launch.block[2]);
  if (emu_launch(g.m, o->f->k, &o->launch)) {
    bool access = strstr(emu_text(g.m), "memory") != NULL;
    emuFault(access ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_ERROR_LAUNCH_FAILED, "%s", emu_text(g.m));
  }
}

static void run_op(const op *o) {
  void *d, *s;
  switch (o->kind) {
  case OP_KERNEL: run_kernel(o); break;
  case OP_RECORD:
    if (o->event->done < o->turn) o->event->done = o->turn;
    break;
  case OP_WAIT:
    if (o->event->done < o->turn) (void)run_stream(o->other, o->event, o->turn);
    break;
  case OP_CALL: (void)o->fn(o->arg); break;
  case OP_UPLOAD:
  case OP_SET:
    if (!(d = emu_host(g.m, o->dst, o->n))) {
      emuFault(CUDA_ERROR_ILLEGAL_ADDRESS, "a copy's target was freed before its stream came to it");
    } else if (o->kind == OP_UPLOAD) {
      memcpy(d, o->host, o->n);
      emu_mark(g.m, o->dst, o->n, true);
    } else {
      for (size_t i = 0; i < o->n; i += o->unit) memcpy((char *)d + i, &o->value, o->unit);
      emu_mark(g.m, o->dst, o->n, true);
    }
    break;
  case OP_DOWNLOAD:
  case OP_COPY:
    if (!(s = emu_host(g.m, o->src, o->n))) {
      emuFault(CUDA_ERROR_ILLEGAL_ADDRESS, "a copy's source was freed before its stream came to it");
    } else if (o->kind == OP_DOWNLOAD) {
      memcpy(o->host, s, o->n);
    } else {
      emu_copy(g.m, o->dst, o->src, o->n);
    }
    break;
  }
}

/* Up to the record of `until` number `turn`, or to the end. */
static CUresult run_stream(CUstream s, CUevent until, uint64_t turn) {
  while (s->first && !g.dead && !(until && until->done >= turn)) {
    op *o = s->first;
    s->first = o->next;
    if (!s->first) s->last = &s->first;
    run_op(o);
    op_free(o);
  }
  return g.dead;
}
static CUresult run_all(void) {
  for (CUstream s = g.streams; s && !g.dead; s = s->next) (void)run_stream(s, NULL, 0);
  if (!g.dead) (void)run_stream(&g.null, NULL, 0);
  return g.dead;
}
/* Legacy default stream: what is put there waits for all blocking streams and they for it; it is run at once. */
static CUresult enqueue(CUstream s, const op *from) {
  op *o = malloc(sizeof *o);
  if (!o) return CUDA_ERROR_OUT_OF_MEMORY;
  *o = *from;
  o->next = NULL;
  bool null = !s || s == CU_STREAM_LEGACY;
  if (null) {
    for (CUstream t = g.streams; t && !g.dead; t = t->next)
      if (!(t->flags & CU_STREAM_NON_BLOCKING)) (void)run_stream(t, NULL, 0);
    s = &g.null;
  }
  *s->last = o;
  s->last = &o->next;
  return null ? run_stream(s, NULL, 0) : CUDA_SUCCESS;
}
CUresult emuEnqueue(CUstream s, int (*fn)(void *arg), void *arg) {
  READY();
  CUresult r = enqueue(s, &(op){.kind = OP_CALL, .fn = fn, .arg = arg});
  return g.dead ? CUDA_SUCCESS : r; /* what it did wrong, if it ran already, is for the next call to say */
}
static bool known_stream(CUstream s) {
  if (!s || s == CU_STREAM_LEGACY) return true;
  for (CUstream t = g.streams; t; t = t->next)
    if (t == s) return true;
  return false;
}

void emuReset(void) {
  g.dead = CUDA_SUCCESS;
  g.text[0] = 0;
  if (g.m) emu_clear(g.m);
  for (CUstream s = g.streams; s; s = s->next) {
    while (s->first) {
      op *o = s->first;
      s->first = o->next;
      op_free(o);
    }
    s->last = &s->first;
  }
}

/* --- device --- */

EXPORT CUresult CUDAAPI cuInit(unsigned int flags) {
  if (flags) return CUDA_ERROR_INVALID_VALUE;
  CUresult r = start();
  g.init = r == CUDA_SUCCESS;
  return r;
}
EXPORT CUresult CUDAAPI cuDriverGetVersion(int *version) {
  *version = 13000;
  return CUDA_SUCCESS;
}
EXPORT CUresult CUDAAPI cuDeviceGetCount(int *count) {
  READY();
  *count = 1;
  return CUDA_SUCCESS;
}
EXPORT CUresult CUDAAPI cuDeviceGet(CUdevice *device, int ordinal) {
  READY();
  *device = 0;
  return ordinal == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
EXPORT CUresult CUDAAPI cuDeviceGetName(char *name, int len, CUdevice dev) {
  READY();
  if (dev) return CUDA_ERROR_INVALID_DEVICE;
  snprintf(name, (size_t)len, "PTX emulator");
  return CUDA_SUCCESS;
}
EXPORT CUresult CUDAAPI cuDeviceTotalMem(size_t *bytes, CUdevice dev) {
  READY();
  *bytes = g.total;
  return dev ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;
}
EXPORT CUresult CUDAAPI cuDeviceGetAttribute(int *pi, CUdevice_attribute attrib, CUdevice dev) {
  static const struct {
    CUdevice_attribute a;
    int v;
  } known[] = {{CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 8},
               {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0},
               {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 4},
               {CU_DEVICE_ATTRIBUTE_WARP_SIZE, 32},
               {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1024},
               {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, 1024},
               {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, 1024},
               {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 64},
               {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 2147483647},
               {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 65535},
               {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 65535},
               {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, SHARED_PLAIN},
               {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, SHARED_MOST},
               {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, SHARED_MOST + 1024},
               {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, 65536},
               {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, 4 << 20},
               {CU_DEVICE_ATTRIBUTE_CLOCK_RATE, 1000000},
               {CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, 1000000},
               {CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, 256},
               {CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, 2},
               {CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1},
               {CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, 0},
               {CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID, 0},
               {CU_DEVICE_ATTRIBUTE_INTEGRATED, 0}};
  READY();
  if (dev) return CUDA_ERROR_INVALID_DEVICE;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (known[i].a == attrib) {
      *pi = known[i].v;
      return CUDA_SUCCESS;
    }
  return refuse(CUDA_ERROR_INVALID_VALUE, "cuDeviceGetAttribute: an attribute that the emulator does not know");
}

EXPORT CUresult CUDAAPI cuDevicePrimaryCtxRetain(CUcontext *ctx, CUdevice dev) {
  READY();
  if (dev) return CUDA_ERROR_INVALID_DEVICE;
  *ctx = (CUcontext)(void *)&g;
  g.retained++;
  return CUDA_SUCCESS;
}
EXPORT CUresult CUDAAPI cuDevicePrimaryCtxRelease(CUdevice dev) {
  (void)dev;
  if (g.retained == 0) return CUDA_ERROR_INVALID_CONTEXT;
  g.retained--;
  return CUDA_SUCCESS;
}
EXPORT CUresult CUDAAPI cuCtxSetCurrent(CUcontext ctx) {
  READY();
  return !ctx || ctx == (CUcontext)(void *)&g ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}
EXPORT CUresult CUDAAPI cuCtxGetCurrent(CUcontext *ctx) {
  READY();
  *ctx = g.retained ? (CUcontext)(void *)&g : NULL;
  return CUDA_SUCCESS;
}
EXPORT CUresult CUDAAPI cuCtxSynchronize(void) {
  READY();
  return run_all();
}

/* --- memory --- */

EXPORT CUresult CUDAAPI cuMemAlloc(CUdeviceptr *p, size_t n) {
  READY();
  if (n == 0) return CUDA_ERROR_INVALID_VALUE;
  if (n > g.total || emu_used(g.m) > g.total - n) return CUDA_ERROR_OUT_OF_MEMORY;
  *p = emu_alloc(g.m, n);
  return *p ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
EXPORT CUresult CUDAAPI cuMemFree(CUdeviceptr p) {
  READY();
  if (!p) return CUDA_SUCCESS;
  CUresult r = run_all();
  if (r) return r;
  return emu_release(g.m, p) ? refuse(CUDA_ERROR_INVALID_VALUE, "cuMemFree: not the start of an allocation")
                             : CUDA_SUCCESS;
}
EXPORT CUresult CUDAAPI cuMemGetInfo(size_t *left, size_t *total) {
  READY();
  *total = g.total;
  *left = g.total - emu_used(g.m);
  return CUDA_SUCCESS;
}
EXPORT CUresult CUDAAPI cuMemHostAlloc(void **pp, size_t n, unsigned int flags) {
  (void)flags;
  READY();
  pinned *t = malloc(sizeof *t);
  if (n == 0 || !t || posix_memalign(pp, 4096, n)) {
    free(t);
    return n ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_VALUE;
  }
  *t = (pinned){*pp, n, g.pinned};
  g.pinned = t;
  return CUDA_SUCCESS;
}
EXPORT CUresult CUDAAPI cuMemFreeHost(void *p) {
  READY();
  CUresult r = run_all();
  for (pinned **t = &g.pinned; *t; t = &(*t)->next)
    if ((*t)->p == p) {
      pinned *old = *t;
      *t = old->next;
      free(old->p);
      free(old);
      return r;
    }
  return refuse(CUDA_ERROR_INVALID_VALUE, "cuMemFreeHost: not from cuMemHostAlloc");
}
static bool is_pinned(const void *p, size_t n) {
  const char *c = p;
  for (pinned *t = g.pinned; t; t = t->next)
    if (c >= t->p && n <= t->n && c <= t->p + (t->n - n)) return true;
  return false;
}
static bool device_range(CUdeviceptr p, size_t n, const char *call) {
  uint64_t start_at;
  size_t size;
  if (n == 0 || emu_host(g.m, p, n)) return true;
  if (emu_range(g.m, p, &start_at, &size)) {
    emuFault(CUDA_ERROR_INVALID_VALUE, "%s: %zu bytes at offset %llu of an allocation of %zu", call, n, p - start_at,
             size);
  } else {
    emuFault(CUDA_ERROR_INVALID_VALUE, "%s: %#llx is not device memory%s", call, p,
             p && p < 1ull << 47 ? " (a host pointer?)" : "");
  }
  return false;
}

EXPORT CUresult CUDAAPI cuMemcpyHtoDAsync(CUdeviceptr dst, const void *src, size_t n, CUstream s) {
  READY();
  if (!known_stream(s)) return CUDA_ERROR_INVALID_HANDLE;
  if (!device_range(dst, n, "cuMemcpyHtoD") || (n && !src)) return CUDA_ERROR_INVALID_VALUE;
  if (n == 0) return CUDA_SUCCESS;
  op o = {.kind = OP_UPLOAD, .dst = dst, .n = n, .host = (void *)(uintptr_t)src};
  if (!is_pinned(src, n)) {
    o.own_host = true;
    if (!(o.host = malloc(n))) return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(o.host, src, n);
  }
  return enqueue(s, &o);
}
EXPORT CUresult CUDAAPI cuMemcpyDtoHAsync(void *dst, CUdeviceptr src, size_t n, CUstream s) {
  READY();
  if (!known_stream(s)) return CUDA_ERROR_INVALID_HANDLE;
  if (!device_range(src, n, "cuMemcpyDtoH") || (n && !dst)) return CUDA_ERROR_INVALID_VALUE;
  if (n == 0) return CUDA_SUCCESS;
  CUresult r = enqueue(s, &(op){.kind = OP_DOWNLOAD, .src = src, .n = n, .host = dst});
  if (r == CUDA_SUCCESS && s && !is_pinned(dst, n)) r = run_stream(s, NULL, 0); /* to pageable memory it waits */
  return r;
}
EXPORT CUresult CUDAAPI cuMemcpyDtoDAsync(CUdeviceptr dst, CUdeviceptr src, size_t n, CUstream s) {
  READY();
  if (!known_stream(s)) return CUDA_ERROR_INVALID_HANDLE;
  if (!device_range(dst, n, "cuMemcpyDtoD") || !device_range(src, n, "cuMemcpyDtoD")) return CUDA_ERROR_INVALID_VALUE;
  return n ? enqueue(s, &(op){.kind = OP_COPY, .dst = dst, .src = src, .n = n}) : CUDA_SUCCESS;
}
EXPORT CUresult CUDAAPI cuMemcpyHtoD(CUdeviceptr dst, const void *src, size_t n) {
  return cuMemcpyHtoDAsync(dst, src, n, NULL);
}
EXPORT CUresult CUDAAPI cuMemcpyDtoH(void *dst, CUdeviceptr src, size_t n) {
  return cuMemcpyDtoHAsync(dst, src, n, NULL);
}
EXPORT CUresult CUDAAPI cuMemcpyDtoD(CUdeviceptr dst, CUdeviceptr src, size_t n) {
  return cuMemcpyDtoDAsync(dst, src, n, NULL);
}
static CUresult set(CUdeviceptr dst, uint32_t value, uint32_t unit, size_t count, CUstream s) {
  READY();
  if (!known_stream(s)) return CUDA_ERROR_INVALID_HANDLE;
  if (count > SIZE_MAX / unit || dst % unit || !device_range(dst, count * unit, "cuMemset"))
    return CUDA_ERROR_INVALID_VALUE;
  return count ? enqueue(s, &(op){.kind = OP_SET, .dst = dst, .value = value, .unit = unit, .n = count * unit})
               : CUDA_SUCCESS;
}
EXPORT CUresult CUDAAPI cuMemsetD8Async(CUdeviceptr dst, unsigned char v, size_t n, CUstream s) {
  return set(dst, v, 1, n, s);
}
EXPORT CUresult CUDAAPI cuMemsetD32Async(CUdeviceptr dst, unsigned int v, size_t n, CUstream s) {
  return set(dst, v, 4, n, s);
}
EXPORT CUresult CUDAAPI cuMemsetD8(CUdeviceptr dst, unsigned char v, size_t n) {
  return set(dst, v, 1, n, NULL);
}
EXPORT CUresult CUDAAPI cuMemsetD32(CUdeviceptr dst, unsigned int v, size_t n) {
  return set(dst, v, 4, n, NULL);
}

/* --- modules --- */

typedef struct fat_wrapper { /* fatBinC */
  uint32_t magic, version;
  const void *data, *unused;
} fat_wrapper;

/* The first PTX of a fatbin, as a string of its own. */
static CUresult fat_ptx(const unsigned char *p, char **out) {
  uint16_t header, kind;
  uint32_t entry;
  uint64_t total, n;
  bool other = false;
  memcpy(&header, p + 6, 2);
  memcpy(&total, p + 8, 8);
  for (uint64_t at = 0; at + 16 <= total; at += entry + n) {
    const unsigned char *e = p + header + at;
    memcpy(&kind, e, 2);
    memcpy(&entry, e + 4, 4);
    memcpy(&n, e + 8, 8);
    if (entry < 16 || n > total)
      return refuse(CUDA_ERROR_INVALID_IMAGE, "module: a fatbin whose entries do not add up");
    other = other || kind == 2;
    if (kind != 1) continue;
    char *t = malloc(n + 1);
    if (!t) return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(t, e + entry, n);
    t[n] = 0;
    if (strstr(t, ".version")) {
      *out = t;
      return CUDA_SUCCESS;
    }
    free(t);
    return refuse(CUDA_ERROR_INVALID_IMAGE,
                  "module: the PTX of this fatbin is compressed; build with nvcc -no-compress");
  }
  return refuse(CUDA_ERROR_NO_BINARY_FOR_GPU,
                other ? "module: this fatbin holds machine code only; build with PTX (code=compute_80)"
                      : "module: this fatbin is empty");
}

/* The file that EMU_IMAGE names, if it has the first kernel of `text`: a module that stands in for the one loaded. */
static char *replacement(const char *text) {
  const char *name = strstr(text, ".entry "), *path = getenv("EMU_IMAGE");
  FILE *f = path && name ? fopen(path, "rb") : NULL;
  char first[256] = "", *t = NULL;
  if (!f) return NULL;
  long n = fseek(f, 0, SEEK_END) ? -1 : ftell(f);
  rewind(f);
  if (n > 0 && (t = calloc(1, (size_t)n + 1)) && fread(t, 1, (size_t)n, f) == (size_t)n)
    snprintf(first, sizeof first, "%.*s", (int)(strcspn(name, "(") + 1), name);
  fclose(f);
  if (t && first[0] && strstr(t, first)) return t;
  free(t);
  return NULL;
}

EXPORT CUresult CUDAAPI cuModuleLoadData(CUmodule *module, const void *image) {
  READY();
  uint32_t magic;
  char *own = NULL;
  const char *text = image;
  if (!image) return CUDA_ERROR_INVALID_VALUE;
  memcpy(&magic, image, 1);
  if (((const unsigned char *)image)[0] == 0x7f)
    return refuse(CUDA_ERROR_NO_BINARY_FOR_GPU, "module: machine code; the emulator takes PTX");
  memcpy(&magic, image, 4);
  if (magic == 0x466243b1) {
    image = ((const fat_wrapper *)image)->data;
    memcpy(&magic, image, 4);
  }
  if (magic == 0xba55ed50) {
    CUresult r = fat_ptx(image, &own);
    if (r) return r;
    text = own;
  }
  char *other = replacement(text);
  if (other) {
    free(own);
    text = own = other;
  }
  CUmodule mod = calloc(1, sizeof *mod);
  emu_clear(g.m);
  if (mod) mod->m = emu_load(g.m, text);
  free(own);
  if (!mod || !mod->m) {
    free(mod);
    emuFault(CUDA_ERROR_INVALID_IMAGE, "module: %s", emu_text(g.m));
    return CUDA_ERROR_INVALID_IMAGE;
  }
  mod->next = g.modules;
  g.modules = mod;
  *module = mod;
  return CUDA_SUCCESS;
}
EXPORT CUresult CUDAAPI cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int n, CUjit_option *options,
                                           void **values) {
  (void)n, (void)options, (void)values;
  return cuModuleLoadData(module, image);
}
EXPORT CUresult CUDAAPI cuModuleUnload(CUmodule module) {
  READY();
  CUresult r = run_all();
  for (CUmodule *t = &g.modules; *t; t = &(*t)->next) {
    if (*t != module) continue;
    *t = module->next;
    for (CUfunction f = module->functions, next; f; f = next) {
      next = f->next;
      free(f);
    }
    emu_unload(g.m, module->m);
    free(module);
    return r;
  }
  return CUDA_ERROR_INVALID_HANDLE;
}
EXPORT CUresult CUDAAPI cuModuleGetFunction(CUfunction *f, CUmodule module, const char *name) {
  READY();
  for (CUfunction t = module->functions; t; t = t->next)
    if (strcmp(emu_kernel_name(t->k), name) == 0) {
      *f = t;
      return CUDA_SUCCESS;
    }
  emu_kernel *k = emu_find(module->m, name);
  if (!k) return CUDA_ERROR_NOT_FOUND;
  CUfunction t = malloc(sizeof *t);
  if (!t) return CUDA_ERROR_OUT_OF_MEMORY;
  *t = (struct CUfunc_st){
      .k = k, .mod = module, .most_dynamic = SHARED_PLAIN - (int)emu_kernel_shared(k), .next = module->functions};
  module->functions = t;
  *f = t;
  return CUDA_SUCCESS;
}
EXPORT CUresult CUDAAPI cuModuleGetGlobal(CUdeviceptr *p, size_t *n, CUmodule module, const char *name) {
  READY();
  size_t size = 0;
  uint64_t at = emu_symbol(module->m, name, &size);
  if (!at) return CUDA_ERROR_NOT_FOUND;
  if (p) *p = at;
  if (n) *n = size;
  return CUDA_SUCCESS;
}
EXPORT CUresult CUDAAPI cuFuncSetAttribute(CUfunction f, CUfunction_attribute a, int v) {
  READY();
  if (a == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT) return CUDA_SUCCESS;
  if (a != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || v < 0 || v + (int)emu_kernel_shared(f->k) > SHARED_MOST)
    return refuse(CUDA_ERROR_INVALID_VALUE,
                  "cuFuncSetAttribute: more shared memory than the device has, or an unknown attribute");
  f->most_dynamic = v;
  return CUDA_SUCCESS;
}
EXPORT CUresult CUDAAPI cuFuncGetAttribute(int *v, CUfunction_attribute a, CUfunction f) {
  READY();
  switch (a) {
  case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *v = emu_kernel_max_threads(f->k); break;
  case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: *v = (int)emu_kernel_shared(f->k); break;
  case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES: *v = (int)emu_kernel_local(f->k); break;
  case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES: *v = 0; break;
  case CU_FUNC_ATTRIBUTE_NUM_REGS: *v = 32; break;
  case CU_FUNC_ATTRIBUTE_PTX_VERSION:
  case CU_FUNC_ATTRIBUTE_BINARY_VERSION: *v = 80; break;
  case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: *v = f->most_dynamic; break;
  default:
    return refuse(CUDA_ERROR_INVALID_VALUE, "cuFuncGetAttribute: an attribute that the emulator does not know");
  }
  return CUDA_SUCCESS;
}

/* --- launches --- */

static CUresult launch_fits(CUfunction f, const emu_launch_args *a) {
  uint64_t threads = (uint64_t)a->block[0] * a->block[1] * a->block[2];
  const char *name = emu_kernel_name(f->k);
  if (threads == 0 || threads > (uint64_t)emu_kernel_max_threads(f->k) || a->block[2] > 64 || a->grid[0] == 0 ||
      a->grid[1] == 0 || a->grid[2] == 0 || a->grid[0] > 0x7fffffff || a->grid[1] > 65535 || a->grid[2] > 65535) {
    emuFault(CUDA_ERROR_INVALID_VALUE, "launch of %s: grid %u,%u,%u block %u,%u,%u (at most %d threads)", name,
             a->grid[0], a->grid[1], a->grid[2], a->block[0], a->block[1], a->block[2], emu_kernel_max_threads(f->k));
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (a->dynamic_shared > (size_t)f->most_dynamic) {
    emuFault(CUDA_ERROR_INVALID_VALUE,
             "launch of %s: %zu bytes of dynamic shared memory, allowed are %d (cuFuncSetAttribute)", name,
             a->dynamic_shared, f->most_dynamic);
    return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}
/* The kernel's parameters in one block. A parameter of 8 bytes that looks like an address of this process is refused.
 */
static CUresult pack_params(CUfunction f, void **params, char *out) {
  size_t at, n;
  for (int i = 0; emu_kernel_param(f->k, i, &at, &n) == 0; i++) {
    uint64_t v = 0;
    if (!params || !params[i]) return refuse(CUDA_ERROR_INVALID_VALUE, "launch: a parameter is missing");
    memcpy(out + at, params[i], n);
    if (n != 8) continue;
    memcpy(&v, out + at, 8);
    if (v >= 0x550000000000 && v < 1ull << 47) {
      emuFault(CUDA_ERROR_INVALID_VALUE, "launch of %s: parameter %d is a host pointer (%#llx)",
               emu_kernel_name(f->k), i, (unsigned long long)v);
      return CUDA_ERROR_INVALID_VALUE;
    }
  }
  return CUDA_SUCCESS;
}
EXPORT CUresult CUDAAPI cuLaunchKernel(CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz,
                                       unsigned int bx, unsigned int by, unsigned int bz, unsigned int shared,
                                       CUstream s, void **params, void **extra) {
  READY();
  op o = {
      .kind = OP_KERNEL, .f = f, .launch = {.grid = {gx, gy, gz}, .block = {bx, by, bz}, .dynamic_shared = shared}};
  if (!f || !known_stream(s)) return CUDA_ERROR_INVALID_HANDLE;
  if (extra) return refuse(CUDA_ERROR_INVALID_VALUE, "launch: only kernelParams are known, not extra");
  CUresult r = launch_fits(f, &o.launch);
  if (r) return r;
  char *block = calloc(1, emu_kernel_params(f->k) + 16);
  if (!block) return CUDA_ERROR_OUT_OF_MEMORY;
  r = pack_params(f, params, block);
  o.launch.params = block;
  if (!r) r = enqueue(s, &o);
  if (r && !g.dead) free(block);
  return r;
}

/* --- streams and events --- */

EXPORT CUresult CUDAAPI cuStreamCreate(CUstream *s, unsigned int flags) {
  READY();
  CUstream t = calloc(1, sizeof *t);
  if (!t) return CUDA_ERROR_OUT_OF_MEMORY;
  t->last = &t->first;
  t->flags = flags;
  t->next = g.streams;
  g.streams = t;
  *s = t;
  return CUDA_SUCCESS;
}
EXPORT CUresult CUDAAPI cuStreamDestroy(CUstream s) {
  CUresult r = g.dead ? g.dead : run_stream(s, NULL, 0);
  for (CUstream *t = &g.streams; *t; t = &(*t)->next)
    if (*t == s) {
      *t = s->next;
      while (s->first) {
        op *o = s->first;
        s->first = o->next;
        op_free(o);
      }
      free(s);
      return r;
    }
  return CUDA_ERROR_INVALID_HANDLE;
}
EXPORT CUresult CUDAAPI cuStreamSynchronize(CUstream s) {
  READY();
  if (!known_stream(s)) return CUDA_ERROR_INVALID_HANDLE;
  return s ? run_stream(s, NULL, 0) : run_all();
}
EXPORT CUresult CUDAAPI cuStreamQuery(CUstream s) {
  READY();
  return s && s->first ? run_stream(s, NULL, 0) : CUDA_SUCCESS;
}
EXPORT CUresult CUDAAPI cuStreamWaitEvent(CUstream s, CUevent e, unsigned int flags) {
  READY();
  if (flags || !known_stream(s)) return CUDA_ERROR_INVALID_VALUE;
  if (e->done >= e->recorded) return CUDA_SUCCESS;
  return enqueue(s, &(op){.kind = OP_WAIT, .event = e, .turn = e->recorded, .other = e->stream});
}
EXPORT CUresult CUDAAPI cuEventCreate(CUevent *e, unsigned int flags) {
  (void)flags;
  READY();
  *e = calloc(1, sizeof **e);
  return *e ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
EXPORT CUresult CUDAAPI cuEventDestroy(CUevent e) {
  CUresult r = g.dead ? g.dead : run_all(); /* queued records and waits name it */
  if (!g.dead) free(e);
  return r;
}
EXPORT CUresult CUDAAPI cuEventRecord(CUevent e, CUstream s) {
  READY();
  if (!known_stream(s)) return CUDA_ERROR_INVALID_HANDLE;
  e->stream = s ? s : &g.null;
  e->asked = 0;
  return enqueue(s, &(op){.kind = OP_RECORD, .event = e, .turn = ++e->recorded});
}
EXPORT CUresult CUDAAPI cuEventSynchronize(CUevent e) {
  READY();
  return e->done >= e->recorded ? CUDA_SUCCESS : run_stream(e->stream, e, e->recorded);
}
/* Not ready the first time; the second time the work is done, so that a loop ends. */
EXPORT CUresult CUDAAPI cuEventQuery(CUevent e) {
  READY();
  if (e->done >= e->recorded) return CUDA_SUCCESS;
  return e->asked++ ? cuEventSynchronize(e) : CUDA_ERROR_NOT_READY;
}
EXPORT CUresult CUDAAPI cuEventElapsedTime(float *ms, CUevent a, CUevent b) {
  READY();
  if (a->done < a->recorded || b->done < b->recorded) return CUDA_ERROR_NOT_READY;
  *ms = 1.0f;
  return CUDA_SUCCESS;
}

/* --- the rest --- */

static const struct {
  CUresult r;
  const char *name, *text;
} errors[] = {{CUDA_SUCCESS, "CUDA_SUCCESS", "no error"},
              {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
              {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
              {CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
              {CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
              {CUDA_ERROR_INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
              {CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
              {CUDA_ERROR_NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU",
               "no kernel image is available for execution on the device"},
              {CUDA_ERROR_INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
              {CUDA_ERROR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
              {CUDA_ERROR_NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
              {CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
              {CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"}};
static int error_at(CUresult r) {
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (errors[i].r == r) return (int)i;
  return -1;
}
EXPORT CUresult CUDAAPI cuGetErrorName(CUresult r, const char **s) {
  int i = error_at(r);
  *s = i < 0 ? NULL : errors[i].name;
  return i < 0 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}
EXPORT CUresult CUDAAPI cuGetErrorString(CUresult r, const char **s) {
  int i = error_at(r);
  *s = i < 0 ? NULL : errors[i].text;
  return i < 0 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

int emuCounters(const char *kernel, emu_counters *out) {
  int found = -1;
  *out = (emu_counters){0};
  for (CUmodule mod = g.modules; mod; mod = mod->next) {
    emu_kernel *k = emu_find(mod->m, kernel);
    if (!k) continue;
    const uint64_t *from = (const uint64_t *)(const void *)emu_kernel_counters(k);
    uint64_t *to = (uint64_t *)(void *)out;
    for (size_t i = 0; i < sizeof *out / sizeof *to; i++) to[i] += from[i];
    found = 0;
  }
  return found;
}
