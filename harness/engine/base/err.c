#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(err *e, int code, const char *fmt, ...) {
  if (!e) return code;
  if (e->code != OK) return e->code;
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(e->text, sizeof e->text, fmt, ap);
  va_end(ap);
  e->code = code;
  return code;
}

int err_prefix(err *e, const char *fmt, ...) {
  if (!e || e->code == OK) return e ? e->code : OK;
  char old[sizeof e->text];
  memcpy(old, e->text, sizeof old);
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(e->text, sizeof e->text, fmt, ap);
  va_end(ap);
  if (n < 0) n = 0;
  size_t at = (size_t)n < sizeof e->text ? (size_t)n : sizeof e->text - 1;
  if (snprintf(e->text + at, sizeof e->text - at, ": %s", old) < 0) e->text[at] = 0; /* a long text is cut */
  return e->code;
}

void err_clear(err *e) {
  e->code = OK;
  e->text[0] = 0;
}

const char *err_name(int code) {
  static const char *const names[] = {"ok",     "argument",    "shape",       "io",  "format", "memory",
                                      "device", "unsupported", "interrupted", "nan", "config", "store"};
  return code >= 0 && code < (int)(sizeof names / sizeof names[0]) ? names[code] : "unknown";
}
