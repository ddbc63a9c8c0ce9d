#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

int mem_new(err *e, int64_t n, int64_t size, const char *what, void *out_pointer) {
  int64_t bytes;
  void *p = NULL;
  if (n < 0 || size <= 0 || __builtin_mul_overflow(n, size, &bytes) || bytes > PTRDIFF_MAX - 64)
    return err_set(e, E_NOMEM, "%s: %lld elements of %lld bytes do not fit any memory", what, (long long)n,
                   (long long)size);
  if (bytes < 64) {
    p = calloc(1, bytes ? (size_t)bytes : 1);
  } else if (posix_memalign(&p, 64, (size_t)bytes) == 0) {
    memset(p, 0, (size_t)bytes);
  } else {
    p = NULL;
  }
  memcpy(out_pointer, &p, sizeof p);
  return p ? OK : err_set(e, E_NOMEM, "%s: no memory for %lld bytes", what, (long long)bytes);
}

int mem_grow(err *e, void *pointer, int64_t *cap, int64_t need, int64_t size, const char *what) {
  if (need <= *cap) return OK;
  int64_t want = *cap < 8 ? 8 : *cap, bytes;
  while (want < need && want <= INT64_MAX / 2) want *= 2;
  void *old, *p;
  memcpy(&old, pointer, sizeof old);
  if (want < need || __builtin_mul_overflow(want, size, &bytes) || !(p = realloc(old, (size_t)bytes)))
    return err_set(e, E_NOMEM, "%s: no memory for %lld elements", what, (long long)need);
  memset((char *)p + *cap * size, 0, (size_t)((want - *cap) * size));
  memcpy(pointer, &p, sizeof p);
  *cap = want;
  return OK;
}

int mem_strdup(err *e, const char *s, char **out) {
  int rc = mem_new(e, (int64_t)strlen(s) + 1, 1, "string", out);
  if (rc == OK) memcpy(*out, s, strlen(s) + 1);
  return rc;
}
