/* A growing byte string, and files read and written whole.
 *
 * A text that could not grow keeps what it had and remembers the failure: appends need no checks, text_ok() one at
 * the end. */
#ifndef TD_BASE_TEXT_H
#define TD_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct text {
  char *p; /* zero-terminated when n > 0 or after text_ok; NULL when empty */
  size_t n, cap;
  int failed;
} text;

void text_add(text *t, const char *s);
void text_addn(text *t, const void *s, size_t n);
void text_addf(text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A JSON string literal with quotes; control characters, quotes and backslashes escaped, UTF-8 kept. */
void text_add_json(text *t, const char *s);
/* 17 significant digits, shortest of %.15g/%.16g/%.17g that reads back; "null" for non-finite values. */
void text_add_number(text *t, double v);
int text_ok(text *t, err *e) TD_MUST_CHECK;
void text_free(text *t);

/* Whole file into *out (zero-terminated, caller frees). Fails with E_IO naming the path, E_FORMAT above `limit`
 * bytes. */
int file_read(err *e, const char *path, size_t limit, char **out, size_t *n) TD_MUST_CHECK;
/* path.tmp-PID, write, fsync, rename, fsync of the folder: the file is whole or absent. */
int file_write(err *e, const char *path, const void *data, size_t n) TD_MUST_CHECK;
/* mkdir -p */
int file_mkdirs(err *e, const char *path) TD_MUST_CHECK;
int file_exists(const char *path);

#endif
