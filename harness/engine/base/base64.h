/* Bytes as base64 text (RFC 4648). */
#ifndef TD_BASE_BASE64_H
#define TD_BASE_BASE64_H

#include <stddef.h>

#include "base/err.h"

/* Zero-terminated; the caller frees *out. */
int base64_encode(err *e, const void *data, size_t n, char **out) TD_MUST_CHECK;

#endif
