#include "base/base64.h"

#include <stdint.h>

#include "base/mem.h"

int base64_encode(err *e, const void *data, size_t n, char **out) {
  static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const unsigned char *p = data;
  int rc = mem_new(e, ((int64_t)n + 2) / 3 * 4 + 1, 1, "base64", out);
  if (rc != OK) return rc;
  char *to = *out;
  for (size_t i = 0; i < n; i += 3) {
    unsigned b = i + 1 < n ? p[i + 1] : 0, c = i + 2 < n ? p[i + 2] : 0;
    unsigned word = (unsigned)p[i] << 16 | b << 8 | c;
    *to++ = digit[word >> 18];
    *to++ = digit[word >> 12 & 63];
    *to++ = i + 1 < n ? digit[word >> 6 & 63] : '=';
    *to++ = i + 2 < n ? digit[word & 63] : '=';
  }
  return OK;
}
