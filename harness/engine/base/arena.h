/* One block of memory handed out front to back, with marks instead of frees.
 *
 * A measuring arena has no memory behind it: its pointers must not be followed (the null backend never does), and
 * `peak` is what a real one needs. Under AddressSanitizer released memory is poisoned and every piece has a red zone.
 */
#ifndef TD_BASE_ARENA_H
#define TD_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define ARENA_ALIGN 256

typedef struct arena {
  char *base;    /* start of the block; for a measuring arena a fake, non-NULL address */
  size_t cap;    /* bytes available; SIZE_MAX when measuring */
  size_t used;   /* bytes handed out now */
  size_t peak;   /* most bytes ever handed out */
  int measuring; /* no memory behind the pointers */
} arena;

/* The caller owns `base` (cap bytes, 64-byte aligned). */
void arena_open(arena *a, void *base, size_t cap);
void arena_open_measuring(arena *a);
/* n elements of `size` bytes, aligned to ARENA_ALIGN, contents undefined. Fails with E_NOMEM naming `what`. */
int arena_take(arena *a, err *e, int64_t n, int64_t size, const char *what, void **out) TD_MUST_CHECK;
size_t arena_mark(const arena *a);
/* Gives back everything taken since `mark`. */
void arena_release(arena *a, size_t mark);

#endif
