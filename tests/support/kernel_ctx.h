/* Contexts of the cpu backend for tests that compare levels and numbers of threads. */
#ifndef TD_TESTS_KERNEL_CTX_H
#define TD_TESTS_KERNEL_CTX_H

#include <string.h>

#include "check.h"

#ifdef TD_REAL_F64
#define REL_TIGHT 1e-13
#else
#define REL_TIGHT 1e-5
#endif

/* 0 when this processor lacks the level; any other failure to open fails the test. */
static inline int open_level(ctx *c, const char *isa, int threads) {
  *c = (ctx){0};
  int rc = ctx_open(c, &(ctx_options){.backend = "cpu", .threads = threads, .isa = isa});
  if (rc == OK) return 1;
  if (!isa || rc != E_UNSUPPORTED) fail_msg("ctx_open: %s", c->err.text);
  ctx_close(c);
  return 0;
}

static inline void open_best(ctx *c) {
  open_level(c, NULL, 2);
}

static inline void must(ctx *c, int rc) {
  if (rc != OK) fail_msg("%s", c->err.text);
}

static inline void same_bits(const char *what, const mat *a, const mat *b) {
  if (a->n != b->n || memcmp(a->block, b->block, (size_t)a->n * sizeof(real))) fail_msg("%s: bits differ", what);
}

#endif
