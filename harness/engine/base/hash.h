/* SHA-256 through libcrypto. Every key, object name and content check of the project is one of these. */
#ifndef TD_BASE_HASH_H
#define TD_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HASH_HEX 65 /* 64 lower-case hex digits and a zero */

typedef struct hash hash; /* a running SHA-256 */

int hash_open(err *e, hash **out) TD_MUST_CHECK;
void hash_add(hash *h, const void *data, size_t n);
/* Writes the digest and frees h. */
int hash_close(hash *h, err *e, char hex[HASH_HEX]) TD_MUST_CHECK;
void hash_drop(hash *h);
int hash_bytes(err *e, const void *data, size_t n, char hex[HASH_HEX]) TD_MUST_CHECK;
/* Reads the whole file. E_IO names the path. */
int hash_file(err *e, const char *path, char hex[HASH_HEX]) TD_MUST_CHECK;
/* Version of the library that is loaded. */
const char *hash_library(void);

#endif
