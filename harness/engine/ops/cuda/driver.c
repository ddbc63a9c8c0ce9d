#include "ops/cuda/driver.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef struct symbol {
  const char *name;
  size_t at; /* offset of its pointer in the table */
} symbol;

/* The headers map some names to versioned symbols (cuMemAlloc is cuMemAlloc_v2): the name is expanded first. */
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#define IN_DRIVER(name) {TEXT(name), offsetof(cuda_driver, name##_)},
#define IN_BLAS(name) {TEXT(name), offsetof(cuda_blas, name##_)},

static const symbol driver_symbols[] = {CUDA_DRIVER(IN_DRIVER)};
static const symbol blas_symbols[] = {CUDA_BLAS(IN_BLAS)};

static int resolve(void *handle, void *table, const symbol *s, size_t n, const char **missing) {
  for (size_t i = 0; i < n; i++) {
    void *p = dlsym(handle, s[i].name);
    if (!p) {
      *missing = s[i].name;
      return 0;
    }
    memcpy((char *)table + s[i].at, &p, sizeof p);
  }
  return 1;
}

int cuda_driver_open(cuda_driver *d, err *e) {
  const char *missing = NULL;
  *d = (cuda_driver){.handle = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL)};
  if (!d->handle)
    return err_set(e, E_UNSUPPORTED,
                   "backend cuda: no NVIDIA driver here (libcuda.so.1 was not found); use --backend cpu or auto");
  if (!resolve(d->handle, d, driver_symbols, sizeof driver_symbols / sizeof driver_symbols[0], &missing))
    return err_set(e, E_UNSUPPORTED, "backend cuda: the NVIDIA driver is too old: it has no %s", missing);
  return OK;
}

void cuda_driver_close(cuda_driver *d) {
  if (d->handle) dlclose(d->handle);
  *d = (cuda_driver){0};
}

int cuda_blas_open(cuda_blas *b, err *e) {
  const char *missing = NULL;
  char name[32];
  *b = (cuda_blas){0};
  snprintf(name, sizeof name, "libcublasLt.so.%d", CUBLAS_VER_MAJOR);
  b->handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (!b->handle)
    return err_set(e, E_UNSUPPORTED,
                   "backend cuda: %s was not found; install cuBLAS %d or put its folder on LD_LIBRARY_PATH", name,
                   CUBLAS_VER_MAJOR);
  if (!resolve(b->handle, b, blas_symbols, sizeof blas_symbols / sizeof blas_symbols[0], &missing))
    return err_set(e, E_UNSUPPORTED, "backend cuda: %s has no %s", name, missing);
  return OK;
}

void cuda_blas_close(cuda_blas *b) {
  if (b->handle) dlclose(b->handle);
  *b = (cuda_blas){0};
}

int cuda_check(const cuda_driver *d, err *e, CUresult r, const char *what) {
  const char *name = NULL, *text = NULL;
  if (r == CUDA_SUCCESS) return OK;
  if (d->cuGetErrorName_) (void)d->cuGetErrorName_(r, &name);
  if (d->cuGetErrorString_) (void)d->cuGetErrorString_(r, &text);
  return err_set(e, r == CUDA_ERROR_OUT_OF_MEMORY ? E_NOMEM : E_DEVICE, "cuda: %s: %s (%s)", what,
                 text ? text : "unknown error", name ? name : "no name");
}
