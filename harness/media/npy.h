/* One NumPy array (.npy, versions 1 to 3), read as hostile input: little-endian floats in C order. */
#ifndef TD_MEDIA_NPY_H
#define TD_MEDIA_NPY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/real.h"

#define NPY_RANK 4

typedef struct npy {
  dtype type; /* DT_F32 or DT_F64 */
  int rank;
  int64_t shape[NPY_RANK];
  int64_t count;
  const void *data; /* in the bytes given; may be unaligned */
} npy;

/* `name` is for messages. Refused, each with its own message: pickled objects, Fortran order, big-endian and other
 * types, more than NPY_RANK axes, sizes that do not match the bytes. */
int npy_parse(err *e, const char *name, const void *data, size_t n, npy *out) TD_MUST_CHECK;

#endif
