#include "twin.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

#define SENTINEL 0x5b
#define FRAME 64 /* bytes before and after */

int bench_open(bench *b, dtype storage) {
  memset(b, 0, sizeof *b);
  int rc = ctx_open(&b->c[1], &(ctx_options){.backend = "cuda", .storage = storage});
  if (rc != OK && rc != E_UNSUPPORTED) fail_msg("%s", b->c[1].err.text);
  if (rc != OK) {
    printf("skipped: %s\n", b->c[1].err.text);
    ctx_close(&b->c[1]);
    return 77;
  }
  if (ctx_open(&b->c[0], &(ctx_options){.backend = "cpu", .threads = 1, .storage = storage}) != OK)
    fail_msg("%s", b->c[0].err.text);
  return 0;
}

void twin_must(bench *b, int i, int rc) {
  if (rc != OK) fail_msg("%s: %s: %s", b->what, b->c[i].ops->name, b->c[i].err.text);
}

void bench_clear(bench *b) {
  for (int i = 0; i < b->n; i++) {
    for (int k = 0; k < 2; k++) b->c[k].ops->release(&b->c[k], b->twins[i].block[k]);
    free(b->twins[i].host);
  }
  b->n = 0;
}

void bench_close(bench *b) {
  bench_clear(b);
  ctx_close(&b->c[0]);
  ctx_close(&b->c[1]);
}

static twin *place(bench *b, size_t bytes) {
  if (b->n == BENCH_TWINS) fail_msg("too many matrices");
  twin *t = &b->twins[b->n++];
  *t = (twin){.bytes = bytes, .host = malloc(bytes)};
  assert_non_null(t->host);
  memset(t->host, SENTINEL, bytes);
  for (int k = 0; k < 2; k++) twin_must(b, k, b->c[k].ops->alloc(&b->c[k], bytes, &t->block[k]));
  return t;
}

static void send(bench *b, const twin *t, int k) {
  twin_must(b, k, op_upload(&b->c[k], t->block[k], t->host, t->bytes));
}

static void numbers(bench *b, int64_t n, fill f, real *out) {
  float *x = malloc((size_t)n * sizeof *x);
  assert_non_null(x);
  rng_normal((rng){.seed = 5, .stream = RNG_TEST, .sub = 900 + b->sub++}, 0, n, x);
  for (int64_t i = 0; i < n; i++) {
    out[i] = (real)x[i];
    if (b->integers) out[i] = (real)(int)(2 * x[i]);
    if (f == POSITIVE) out[i] = out[i] * out[i] + (b->integers ? R(1.0) : R(0.1));
    if (f == EMPTY) out[i] = (real)NAN;
  }
  free(x);
}

twin *twin_new(bench *b, dtype type, int64_t rows, int64_t cols, fill f) {
  size_t size = (size_t)dtype_size(type);
  int64_t ld = cols + b->pad;
  twin *t = place(b, 2 * FRAME + ((size_t)(rows * ld) + (size_t)b->pad) * size);
  t->at = FRAME + (size_t)b->pad * size;
  real *row = malloc((size_t)cols * sizeof *row);
  assert_non_null(row);
  for (int64_t r = 0; r < rows; r++) {
    numbers(b, cols, f, row);
    dtype_from_real(type, row, cols, t->host + t->at + (size_t)(r * ld) * size);
  }
  free(row);
  for (int k = 0; k < 2; k++) {
    t->v[k] = (view){.p = (char *)t->block[k] + t->at, .rows = rows, .cols = cols, .ld = ld, .type = type};
    send(b, t, k);
  }
  return t;
}

void twin_map(bench *b, int64_t n, int low, int high, const int32_t *out[2]) {
  twin *t = place(b, (size_t)n * 4);
  for (int64_t i = 0; i < n; i++) {
    rng r = {.seed = 6, .stream = RNG_TEST, .sub = b->sub};
    int32_t m = low + (int32_t)rng_below(r, (uint64_t)i / 3, (uint64_t)(high - low));
    if (!i) m = high - 1; /* some row has an entry */
    memcpy(t->host + 4 * i, &m, 4);
  }
  b->sub++;
  for (int k = 0; k < 2; k++) {
    send(b, t, k);
    out[k] = t->block[k];
  }
}

static unsigned char *bytes_of(bench *b, const twin *t, int k) {
  unsigned char *p = malloc(t->bytes);
  assert_non_null(p);
  twin_must(b, k, op_download(&b->c[k], p, t->block[k], t->bytes));
  return p;
}

unsigned char *twin_bytes(bench *b, const twin *t) {
  return bytes_of(b, t, 1);
}

void twin_restore(bench *b, const twin *t) {
  send(b, t, 1);
}

static void frame_intact(bench *b, const twin *t, const unsigned char *got, const char *name) {
  const view v = t->v[1];
  const size_t size = (size_t)dtype_size(v.type);
  for (size_t i = 0; i < t->bytes; i++) {
    size_t e = (i - t->at) / size;
    if (i >= t->at && e < (size_t)(v.rows * v.ld) && e % (size_t)v.ld < (size_t)v.cols) continue;
    if (got[i] != SENTINEL) fail_msg("%s: %s: byte %zu outside the matrix was written", b->what, name, i);
  }
}

void twin_check(bench *b, const twin *t, const char *name, twin_bound k) {
  const view v = t->v[0];
  const size_t size = (size_t)dtype_size(v.type);
  unsigned char *want = bytes_of(b, t, 0), *got = bytes_of(b, t, 1);
  double top = 0;
  int changed = 0;
  frame_intact(b, t, got, name);
  for (int64_t i = 0; i < v.rows * v.ld; i++)
    if (i % v.ld < v.cols) top = fmax(top, fabs(dtype_get(v.type, want + t->at, i)));
  if (!(top > 0)) fail_msg("%s: %s: the reference is all zero or NaN", b->what, name);
  for (int64_t i = 0; i < v.rows * v.ld; i++) {
    if (i % v.ld >= v.cols) continue;
    double x = dtype_get(v.type, want + t->at, i), y = dtype_get(v.type, got + t->at, i);
    changed |= memcmp(got + t->at + (size_t)i * size, t->host + t->at + (size_t)i * size, size) != 0;
    if (!(fabs(x - y) <= k.rel * fabs(x) + k.abs * top + k.floor))
      fail_msg("%s: %s [%lld,%lld]: %.9g, the reference has %.9g (largest %.3g)", b->what, name,
               (long long)(i / v.ld), (long long)(i % v.ld), y, x, top);
  }
  if (!changed) fail_msg("%s: %s was not written", b->what, name);
  free(want);
  free(got);
}

void twin_untouched(bench *b, const twin *t, const char *name) {
  unsigned char *got = bytes_of(b, t, 1);
  if (memcmp(got, t->host, t->bytes)) fail_msg("%s: the input %s changed", b->what, name);
  free(got);
}
