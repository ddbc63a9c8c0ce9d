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
/* Does s end in `tail`? */
int text_ends(const char *s, const char *tail);
/* Length of the UTF-8 character at s (n > 0 bytes are there); 0 when it is malformed, overlong or a surrogate. */
size_t utf8_length(const char *s, size_t n);

/* A descriptor for reading, which the caller closes. E_IO names the path. */
int file_open(err *e, const char *path, int *fd) TD_MUST_CHECK;
/* Whole file into *out (zero-terminated, caller frees). Fails with E_IO naming the path, E_FORMAT above `limit`
 * bytes. */
int file_read(err *e, const char *path, size_t limit, char **out, size_t *n) TD_MUST_CHECK;
/* path.tmp-PID, write, fsync, rename, fsync of the folder: the file is the old one (or absent) or the whole new one,
 * and no temporary file is left. Only a failed fsync of the folder reports E_IO with the new file in place. */
int file_write(err *e, const char *path, const void *data, size_t n) TD_MUST_CHECK;
/* The same for pieces laid end to end, so that a large file need not be put together in memory. */
typedef struct file_part {
  const void *data;
  size_t n;
} file_part;
int file_write_parts(err *e, const char *path, const file_part *part, int64_t parts) TD_MUST_CHECK;
/* As file_write, readable and writable by the owner alone (mode 0600). */
int file_write_private(err *e, const char *path, const void *data, size_t n) TD_MUST_CHECK;
/* mkdir -p */
int file_mkdirs(err *e, const char *path) TD_MUST_CHECK;
int file_exists(const char *path);
/* A folder, or a link to one. */
int file_is_folder(const char *path);

#endif
