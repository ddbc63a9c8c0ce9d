/* Objects: bytes named by their SHA-256. Temp file in FOLDER/tmp, fsync, rename, fsync of the folder: an object is
 * whole or absent, and putting it again is harmless (and heals a damaged one). An object that no artifact row names
 * is garbage for object_gc, never a result. */
#ifndef TD_STORE_OBJECT_H
#define TD_STORE_OBJECT_H

#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "store/store.h"

int object_put(store *s, err *e, const void *data, size_t n, char sha256[HASH_HEX]) TD_MUST_CHECK;
/* A fresh, empty file in FOLDER/tmp ending in `suffix` (".mkv") for writers that need a path. */
int object_temp(store *s, err *e, const char *suffix, char path[STORE_PATH]) TD_MUST_CHECK;
/* Turns a file made with object_temp into an object; the file is gone afterwards, also on failure. */
int object_adopt(store *s, err *e, const char *path, char sha256[HASH_HEX], int64_t *bytes) TD_MUST_CHECK;
/* Where the object is; no check that it exists. */
int object_path(const store *s, err *e, const char *sha256, char path[STORE_PATH]) TD_MUST_CHECK;
/* Whole object, at most `limit` bytes; E_STORE when its bytes no longer have its name. The caller frees *out. */
int object_read(const store *s, err *e, const char *sha256, size_t limit, char **out, size_t *n) TD_MUST_CHECK;
/* Re-hashes the object. */
int object_verify(const store *s, err *e, const char *sha256) TD_MUST_CHECK;

/* Files below objects/ and tmp/ that no row names and that are older than min_age_ms: counted, and deleted when
 * `remove`. The age protects objects whose row is being written. */
typedef struct object_garbage {
  int64_t files, bytes;
} object_garbage;
int object_gc(store *s, err *e, int64_t min_age_ms, int remove, object_garbage *out) TD_MUST_CHECK;
/* The same for checkpoints of cells that are done or not in the store, and for logs of cells that are not in it. */
int leftover_gc(store *s, err *e, int64_t min_age_ms, int remove, object_garbage *out) TD_MUST_CHECK;

#endif
