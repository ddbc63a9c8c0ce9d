/* safetensors files, read as hostile input and written atomically.
 *
 * Format: 8-byte little-endian header length n, n bytes of JSON {name: {dtype, shape, data_offsets: [a, b]}, optional
 * "__metadata__": {string: string}}, data. Refused: headers over 100 MB, names twice, unknown dtypes, rank over 8,
 * negative or overflowing shapes, ranges that do not match shape x dtype, overlap, holes or trailing bytes.
 *
 * ST_MAP maps the file read-only, so that `data` can be used. ST_READ keeps only the header in memory and reads a
 * tensor when it is asked for: for file systems that map badly, and because a mapped file that somebody cuts short
 * kills the process. Either way the size is checked when the file is opened, and again before a tensor is read. */
#ifndef TD_MODEL_SAFETENSORS_H
#define TD_MODEL_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/real.h"

#define ST_RANK 8

typedef struct st_file st_file;
typedef enum st_mode { ST_MAP, ST_READ } st_mode;

typedef struct st_tensor {
  const char *name;
  dtype type;
  int rank;
  int64_t shape[ST_RANK];
  int64_t count;    /* elements */
  const void *data; /* in the mapping; may be unaligned. NULL for ST_READ */
  st_file *file;    /* the file it lies in: a part of a joined one */
  int64_t offset;   /* of its first byte in that file */
} st_tensor;

int st_open(err *e, const char *path, st_file **out) TD_MUST_CHECK; /* ST_MAP */
int st_open_mode(err *e, const char *path, st_mode mode, st_file **out) TD_MUST_CHECK;
/* The same over bytes in memory (not copied; must outlive the file). `name` is for messages. */
int st_open_bytes(err *e, const char *name, const void *data, size_t n, st_file **out) TD_MUST_CHECK;
/* Several files as one: tensors of all, looked up in all; a name in two of them is E_FORMAT naming both. Metadata is
 * that of the first file that has the key. Takes the parts over, also when it fails. `name` is for messages. */
int st_join(err *e, const char *name, st_file **part, int64_t parts, st_file **out) TD_MUST_CHECK;
void st_close(st_file *f);
const char *st_path(const st_file *f);
int64_t st_count(const st_file *f);
const st_tensor *st_at(const st_file *f, int64_t i);          /* sorted by name */
const st_tensor *st_find(const st_file *f, const char *name); /* binary search; NULL when absent */
const char *st_meta(const st_file *f, const char *key);       /* __metadata__ value or NULL */
/* The tensor must exist with this shape (rank -1: any shape); one message names what was wanted and what was found.
 */
int st_need(err *e, const st_file *f, const char *name, int rank, const int64_t *shape,
            const st_tensor **out) TD_MUST_CHECK;
/* Bytes that st_read_real has read since the file (or the first of its parts) was opened. */
int64_t st_bytes_read(const st_file *f);
/* Converts to reals. E_IO when the file has changed its size since. */
int st_read_real(err *e, const st_tensor *t, real *dst) TD_MUST_CHECK;

typedef struct st_writer st_writer;
int st_writer_open(err *e, st_writer **out) TD_MUST_CHECK;
int st_writer_meta(st_writer *w, err *e, const char *key, const char *value) TD_MUST_CHECK;
/* Copies `data` (already of type t). Tensors are stored sorted by dtype size (largest first), then name, as the
 * reference does. */
int st_writer_add(st_writer *w, err *e, const char *name, dtype t, int rank, const int64_t *shape,
                  const void *data) TD_MUST_CHECK;
/* Converts from reals to t, then adds. */
int st_writer_add_real(st_writer *w, err *e, const char *name, dtype t, int rank, const int64_t *shape,
                       const real *data) TD_MUST_CHECK;
int st_writer_save(st_writer *w, err *e, const char *path) TD_MUST_CHECK; /* temp + fsync + rename */
void st_writer_close(st_writer *w);

#endif
