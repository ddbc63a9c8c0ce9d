#include "base/arena.h"

#if defined(__SANITIZE_ADDRESS__)
#define TD_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TD_ASAN 1
#endif
#endif
#ifdef TD_ASAN
#include <sanitizer/asan_interface.h>
#define RED_ZONE 256
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define RED_ZONE 0
#endif

void arena_open(arena *a, void *base, size_t cap) {
  *a = (arena){.base = base, .cap = cap};
  if (base) ASAN_POISON_MEMORY_REGION(base, cap);
}

void arena_open_measuring(arena *a) {
  *a = (arena){.base = (char *)(uintptr_t)ARENA_ALIGN, .cap = SIZE_MAX / 2, .measuring = 1};
}

int arena_take(arena *a, err *e, int64_t n, int64_t size, const char *what, void **out) {
  int64_t bytes;
  *out = NULL;
  if (n < 0 || size <= 0 || __builtin_mul_overflow(n, size, &bytes))
    return err_set(e, E_NOMEM, "%s: %lld elements of %lld bytes is more than any machine has", what, (long long)n,
                   (long long)size);
  /* A mark may leave `used` anywhere inside an aligned piece, so pieces are rounded up, never the start. */
  size_t need = ((size_t)bytes + RED_ZONE + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
  if (need > a->cap - a->used)
    return err_set(e, E_NOMEM, "%s: needs %zu bytes, %zu of %zu are left in the arena", what, need, a->cap - a->used,
                   a->cap);
  *out = a->base + a->used;
  if (!a->measuring) ASAN_UNPOISON_MEMORY_REGION(*out, (size_t)bytes);
  a->used += need;
  if (a->used > a->peak) a->peak = a->used;
  return OK;
}

size_t arena_mark(const arena *a) {
  return a->used;
}

void arena_release(arena *a, size_t mark) {
  if (!a->measuring) ASAN_POISON_MEMORY_REGION(a->base + mark, a->used - mark);
  a->used = mark;
}
