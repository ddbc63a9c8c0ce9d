/* Zeroed heap memory with overflow-checked sizes. Tests make the N-th call fail with the linker's --wrap. */
#ifndef TD_BASE_MEM_H
#define TD_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* n zeroed elements of `size` bytes, 64-byte aligned when n * size >= 64; free() releases it. n = 0 gives one byte.
 */
int mem_new(err *e, int64_t n, int64_t size, const char *what, void *out_pointer) TD_MUST_CHECK;
/* Grows *p (capacity *cap, in elements) to hold at least `need` elements; new space is zeroed. */
int mem_grow(err *e, void *pointer, int64_t *cap, int64_t need, int64_t size, const char *what) TD_MUST_CHECK;
int mem_strdup(err *e, const char *s, char **out) TD_MUST_CHECK;

#endif
