#include "model/safetensors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"

#define HEADER_MAX 100000000 /* as the reference implementation */
#define SHAPE_TEXT 200       /* 8 numbers of 20 digits and their commas */
#define NAME_SHOWN 200       /* hostile names must not fill a message */

typedef struct entry {
  st_tensor t;
  int64_t begin, end; /* bytes from the start of the data */
} entry;

typedef struct pair {
  const char *key, *value;
} pair;

struct st_file {
  char *path;
  void *map;    /* NULL when the bytes are the caller's or read when asked for */
  int fd;       /* -1 for bytes in memory and for joined files */
  int64_t size; /* of the file behind fd when it was opened */
  int64_t bytes_read;
  st_file **part; /* of a joined file; owned */
  int64_t parts;
  entry *tensor; /* sorted by name once open */
  int64_t count, cap;
  pair *meta; /* sorted by key once open */
  int64_t metas, meta_cap;
  char *strings; /* decoded names, keys and values; never longer than the header */
};

/* A place in the header. The grammar is fixed (depth 3, known keys), so nothing here recurses. */
typedef struct reader {
  err *e;
  st_file *f;
  const char *start, *p, *end;
  char *string; /* next free byte of f->strings */
} reader;

static int fail_at(const reader *r, const char *what) {
  return err_set(r->e, E_FORMAT, "%s: header byte %lld: %s", r->f->path, (long long)(r->p - r->start), what);
}

static void skip_space(reader *r) {
  while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r')) r->p++;
}

/* True, and past it, when the next character that is not white space is c. */
static int next_is(reader *r, char c) {
  skip_space(r);
  if (r->p >= r->end || *r->p != c) return 0;
  r->p++;
  return 1;
}

static int expect(reader *r, char c) {
  char what[] = "wanted 'x'";
  what[8] = c;
  return next_is(r, c) ? OK : fail_at(r, what);
}

/* After one member or element: another follows (*more = 1), or `close` ends the list. */
static int separator(reader *r, char close, int *more) {
  char what[] = "wanted ',' or 'x'";
  what[15] = close;
  *more = next_is(r, ',');
  return *more || next_is(r, close) ? OK : fail_at(r, what);
}

static int hex4(reader *r, uint32_t *out) {
  *out = 0;
  if (r->end - r->p < 4) return fail_at(r, "\\u needs four hex digits");
  for (int i = 0; i < 4; i++) {
    char c = *r->p++;
    uint32_t d;
    if (c >= '0' && c <= '9')
      d = (uint32_t)(c - '0');
    else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
      d = (uint32_t)((c | 32) - 'a' + 10);
    else
      return fail_at(r, "\\u needs four hex digits");
    *out = *out << 4 | d;
  }
  return OK;
}

static char *put_utf8(char *to, uint32_t c) {
  static const unsigned char mark[5] = {0, 0, 0xc0, 0xe0, 0xf0};
  int len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (int i = len - 1; i > 0; i--, c >>= 6) to[i] = (char)(0x80 | (c & 0x3f));
  to[0] = (char)(mark[len == 1 ? 0 : len] | c);
  return to + len;
}

/* The character of an escape, the backslash already read. */
static int escape(reader *r, uint32_t *out) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  int rc = OK;
  uint32_t low;
  const char *known = r->p < r->end && *r->p ? strchr(from, *r->p) : NULL;
  if (known) {
    *out = (unsigned char)to[known - from];
    r->p++;
    return OK;
  }
  if (r->p >= r->end || *r->p != 'u') return fail_at(r, "unknown escape in a string");
  r->p++;
  TRY(hex4(r, out));
  if (*out >= 0xd800 && *out < 0xdc00 && r->end - r->p >= 2 && r->p[0] == '\\' && r->p[1] == 'u') {
    r->p += 2;
    TRY(hex4(r, &low));
    if (low < 0xdc00 || low > 0xdfff) return fail_at(r, "half a surrogate pair in a string");
    *out = 0x10000 + ((*out - 0xd800) << 10) + (low - 0xdc00);
  }
  if (*out == 0 || (*out >= 0xd800 && *out <= 0xdfff))
    return fail_at(r, "a string holds a NUL or half a surrogate pair");
out:
  return rc;
}

/* A JSON string, decoded into f->strings. An escape is never shorter than what it stands for, so it fits. */
static int read_string(reader *r, const char **out) {
  int rc = OK;
  char *to = r->string;
  TRY(expect(r, '"'));
  while (r->p < r->end && *r->p != '"') {
    uint32_t c = 0;
    size_t len = utf8_length(r->p, (size_t)(r->end - r->p));
    if (len == 0) return fail_at(r, "bytes that are not UTF-8 in a string");
    if ((unsigned char)*r->p < 0x20) return fail_at(r, "a bare control character in a string");
    if (*r->p == '\\') {
      r->p++;
      TRY(escape(r, &c));
      to = put_utf8(to, c);
    } else {
      memcpy(to, r->p, len);
      to += len;
      r->p += len;
    }
  }
  if (r->p >= r->end) return fail_at(r, "a string does not end");
  r->p++;
  *to = 0;
  *out = r->string;
  r->string = to + 1;
out:
  return rc;
}

static int read_integer(reader *r, int64_t *out) {
  skip_space(r);
  const char *from = r->p;
  *out = 0;
  for (; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++)
    if (__builtin_mul_overflow(*out, (int64_t)10, out) || __builtin_add_overflow(*out, (int64_t)(*r->p - '0'), out))
      return fail_at(r, "a number over 2^63 - 1");
  if (r->p == from) return fail_at(r, "wanted a whole number, 0 or more");
  if (*from == '0' && r->p - from > 1) return fail_at(r, "a number with a leading zero");
  return OK;
}

static int read_integers(reader *r, int max, int64_t *out, int *n) {
  int rc = OK, more = 1;
  *n = 0;
  TRY(expect(r, '['));
  if (next_is(r, ']')) return OK;
  for (; more; ++*n) {
    if (*n == max) return fail_at(r, max == 2 ? "data_offsets has more than 2 numbers" : "a shape of rank over 8");
    TRY(read_integer(r, &out[*n]));
    TRY(separator(r, ']', &more));
  }
out:
  return rc;
}

static int read_dtype(reader *r, const char *name, dtype *out) {
  int rc = OK;
  const char *type;
  TRY(read_string(r, &type));
  for (int i = 0; i < DT_COUNT; i++)
    if (!strcmp(type, dtype_name((dtype)i))) {
      *out = (dtype)i;
      return OK;
    }
  FAIL(r->e, E_FORMAT, "%s: tensor '%.*s': dtype '%.40s' is not one of F32 F64 F16 BF16 I64 I32 U8", r->f->path,
       NAME_SHOWN, name, type);
out:
  return rc;
}

/* {"dtype": ..., "shape": [...], "data_offsets": [a, b]} in any order, each once. */
static int read_tensor(reader *r, const char *name) {
  enum { DTYPE = 1, SHAPE = 2, OFFSETS = 4, ALL = 7 };
  int rc = OK, seen = 0, more = 1, n = 0;
  int64_t offset[2] = {0};
  entry t = {.t.name = name};
  TRY(expect(r, '{'));
  while (more) {
    const char *key;
    int what;
    TRY(read_string(r, &key));
    what = !strcmp(key, "dtype") ? DTYPE : !strcmp(key, "shape") ? SHAPE : !strcmp(key, "data_offsets") ? OFFSETS : 0;
    if (!what || (seen & what)) return fail_at(r, "a tensor has exactly dtype, shape and data_offsets, each once");
    seen |= what;
    TRY(expect(r, ':'));
    if (what == DTYPE) TRY(read_dtype(r, name, &t.t.type));
    if (what == SHAPE) TRY(read_integers(r, ST_RANK, t.t.shape, &t.t.rank));
    if (what == OFFSETS) TRY(read_integers(r, 2, offset, &n));
    TRY(separator(r, '}', &more));
  }
  if (seen != ALL) return fail_at(r, "a tensor has exactly dtype, shape and data_offsets, each once");
  if (n != 2) return fail_at(r, "data_offsets has fewer than 2 numbers");
  t.begin = offset[0];
  t.end = offset[1];
  TRY(mem_grow(r->e, &r->f->tensor, &r->f->cap, r->f->count + 1, sizeof t, "tensor list"));
  r->f->tensor[r->f->count++] = t;
out:
  return rc;
}

static int read_metadata(reader *r) {
  int rc = OK, more = 1;
  TRY(expect(r, '{'));
  if (next_is(r, '}')) return OK;
  while (more) {
    pair m;
    TRY(read_string(r, &m.key));
    TRY(expect(r, ':'));
    TRY(read_string(r, &m.value));
    TRY(mem_grow(r->e, &r->f->meta, &r->f->meta_cap, r->f->metas + 1, sizeof m, "metadata"));
    r->f->meta[r->f->metas++] = m;
    TRY(separator(r, '}', &more));
  }
out:
  return rc;
}

/* Names go to terminals and into messages. */
static int name_is_clean(const char *name) {
  for (; *name; name++)
    if ((unsigned char)*name < 0x20 || *name == 0x7f) return 0;
  return 1;
}

static int read_header(reader *r) {
  int rc = OK, more = 1, have_meta = 0;
  if (r->p >= r->end || *r->p != '{') return fail_at(r, "a header begins with '{'");
  r->p++;
  more = !next_is(r, '}');
  while (more) {
    const char *name;
    TRY(read_string(r, &name));
    if (!name_is_clean(name)) return fail_at(r, "a tensor's name holds a control character");
    TRY(expect(r, ':'));
    if (strcmp(name, "__metadata__") != 0) {
      TRY(read_tensor(r, name));
    } else {
      if (have_meta) return fail_at(r, "__metadata__ twice");
      have_meta = 1;
      TRY(read_metadata(r));
    }
    TRY(separator(r, '}', &more));
  }
  skip_space(r); /* writers pad to a multiple of 8 */
  if (r->p != r->end) return fail_at(r, "something follows the closing '}'");
out:
  return rc;
}

static void shape_text(char s[SHAPE_TEXT], int rank, const int64_t *shape) {
  size_t n = 1;
  s[0] = '[';
  for (int i = 0; i < rank && n < SHAPE_TEXT; i++)
    n += (size_t)snprintf(s + n, SHAPE_TEXT - n, i ? ", %lld" : "%lld", (long long)shape[i]);
  if (n < SHAPE_TEXT) snprintf(s + n, SHAPE_TEXT - n, "]");
}

/* Elements of a shape; -1 when there are more than 2^63 - 1 bytes of them, or a negative extent. */
static int64_t shape_count(int rank, const int64_t *shape, dtype type) {
  int64_t count = 1, bytes;
  for (int i = 0; i < rank; i++)
    if (shape[i] < 0 || __builtin_mul_overflow(count, shape[i], &count)) return -1;
  return __builtin_mul_overflow(count, dtype_size(type), &bytes) ? -1 : count;
}

/* Shape, type and range of one tensor agree, and the range is inside the data. */
static int check_tensor(err *e, const st_file *f, entry *t, int64_t data_size) {
  char shape[SHAPE_TEXT];
  shape_text(shape, t->t.rank, t->t.shape);
  t->t.count = shape_count(t->t.rank, t->t.shape, t->t.type);
  if (t->t.count < 0)
    return err_set(e, E_FORMAT, "%s: tensor '%.*s': shape %s has more elements than a file can hold", f->path,
                   NAME_SHOWN, t->t.name, shape);
  int64_t want = t->t.count * dtype_size(t->t.type);
  if (t->begin > t->end || t->end > data_size)
    return err_set(e, E_FORMAT, "%s: tensor '%.*s': data_offsets [%lld, %lld] are outside the file's %lld data bytes",
                   f->path, NAME_SHOWN, t->t.name, (long long)t->begin, (long long)t->end, (long long)data_size);
  if (t->end - t->begin != want)
    return err_set(e, E_FORMAT, "%s: tensor '%.*s': %s %s wants %lld bytes, found %lld in data_offsets", f->path,
                   NAME_SHOWN, t->t.name, dtype_name(t->t.type), shape, (long long)want,
                   (long long)(t->end - t->begin));
  return OK;
}

static int by_range(const void *a, const void *b) {
  const entry *x = a, *y = b;
  if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
  return (x->end > y->end) - (x->end < y->end); /* empty tensors first */
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const entry *)a)->t.name, ((const entry *)b)->t.name);
}

static int by_key(const void *a, const void *b) {
  return strcmp(((const pair *)a)->key, ((const pair *)b)->key);
}

/* The ranges, laid side by side, are the data: nothing twice, nothing left out. */
static int check_cover(err *e, const st_file *f, int64_t data_size) {
  int64_t at = 0;
  for (int64_t i = 0; i < f->count; at = f->tensor[i++].end) {
    const entry *t = &f->tensor[i];
    if (t->begin != at)
      return err_set(e, E_FORMAT, "%s: tensor '%.*s': %s: wanted data from byte %lld on, found %lld", f->path,
                     NAME_SHOWN, t->t.name, t->begin < at ? "overlaps another tensor" : "a hole before it",
                     (long long)at, (long long)t->begin);
  }
  if (at != data_size)
    return err_set(e, E_FORMAT, "%s: the tensors end at data byte %lld, the file at %lld", f->path, (long long)at,
                   (long long)data_size);
  return OK;
}

static void sort(void *p, int64_t n, size_t size, int (*compare)(const void *, const void *)) {
  if (n > 1) qsort(p, (size_t)n, size, compare);
}

/* Checks everything that needs the whole list, then sorts by name for look-ups. */
static int check_file(err *e, st_file *f, const char *data, int64_t data_size) {
  int rc = OK;
  for (int64_t i = 0; i < f->count; i++) TRY(check_tensor(e, f, &f->tensor[i], data_size));
  sort(f->tensor, f->count, sizeof *f->tensor, by_range);
  TRY(check_cover(e, f, data_size));
  sort(f->tensor, f->count, sizeof *f->tensor, by_name);
  sort(f->meta, f->metas, sizeof *f->meta, by_key);
  for (int64_t i = 0; i < f->count; i++) {
    f->tensor[i].t.data = data ? data + f->tensor[i].begin : NULL;
    f->tensor[i].t.file = f;
    f->tensor[i].t.offset = f->size - data_size + f->tensor[i].begin;
    if (i && !by_name(&f->tensor[i - 1], &f->tensor[i]))
      FAIL(e, E_FORMAT, "%s: tensor '%.*s' is there twice", f->path, NAME_SHOWN, f->tensor[i].t.name);
  }
  for (int64_t i = 1; i < f->metas; i++)
    if (!by_key(&f->meta[i - 1], &f->meta[i]))
      FAIL(e, E_FORMAT, "%s: metadata '%.*s' is there twice", f->path, NAME_SHOWN, f->meta[i].key);
out:
  return rc;
}

/* The header's length, from the first 8 bytes of a file of n bytes. */
static int header_length(err *e, const st_file *f, const unsigned char first[8], int64_t n, int64_t *out) {
  uint64_t head = 0;
  for (int i = 7; i >= 0; i--) head = head << 8 | first[i];
  if (head > HEADER_MAX)
    return err_set(e, E_FORMAT, "%s: header of %llu bytes, at most %d are accepted; is this a safetensors file?",
                   f->path, (unsigned long long)head, HEADER_MAX);
  if ((int64_t)head > n - 8)
    return err_set(e, E_FORMAT, "%s: cut short: header of %llu bytes, but %lld bytes follow its length", f->path,
                   (unsigned long long)head, (long long)(n - 8));
  *out = (int64_t)head;
  return OK;
}

/* data: where the tensors' bytes are, or NULL */
static int open_header(err *e, st_file *f, const char *header, int64_t head, const char *data) {
  int rc = OK;
  TRY(mem_new(e, head + 1, 1, "safetensors names", &f->strings));
  reader r = {.e = e, .f = f, .start = header, .p = header, .end = header + head, .string = f->strings};
  TRY(read_header(&r));
  TRY(check_file(e, f, data, f->size - 8 - head));
out:
  return rc;
}

static int open_bytes(err *e, st_file *f, const char *bytes, size_t n) {
  int rc = OK;
  int64_t head = 0;
  if (n < 8) FAIL(e, E_FORMAT, "%s: %zu bytes, a safetensors file has at least 8", f->path, n);
  f->size = (int64_t)n;
  TRY(header_length(e, f, (const unsigned char *)bytes, f->size, &head));
  TRY(open_header(e, f, bytes + 8, head, bytes + 8 + head));
out:
  return rc;
}

static int new_file(err *e, const char *path, st_file **out) {
  int rc = OK;
  TRY(mem_new(e, 1, sizeof **out, "safetensors file", out));
  (*out)->fd = -1;
  TRY(mem_strdup(e, path, &(*out)->path));
out:
  return rc;
}

int st_open_bytes(err *e, const char *name, const void *data, size_t n, st_file **out) {
  int rc = OK;
  st_file *f = NULL;
  *out = NULL;
  TRY(new_file(e, name, &f));
  TRY(open_bytes(e, f, data, n));
  *out = f;
  f = NULL;
out:
  st_close(f);
  return rc;
}

static int read_at(err *e, const st_file *f, int64_t offset, void *to, int64_t n) {
  char *p = to;
  while (n > 0) {
    ssize_t got = pread(f->fd, p, (size_t)n, (off_t)offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return err_set(e, E_IO, "%s: cannot read: %s", f->path, strerror(errno));
    if (got == 0) return err_set(e, E_IO, "%s: ends at byte %lld while it is read", f->path, (long long)offset);
    p += got;
    offset += got;
    n -= got;
  }
  return OK;
}

static int map_file(err *e, st_file *f) {
  int rc = OK;
  void *map = mmap(NULL, (size_t)f->size, PROT_READ, MAP_PRIVATE, f->fd, 0);
  if (map == MAP_FAILED) FAIL(e, E_IO, "%s: cannot map %lld bytes: %s", f->path, (long long)f->size, strerror(errno));
  f->map = map;
  TRY(open_bytes(e, f, map, (size_t)f->size));
out:
  return rc;
}

static int read_file(err *e, st_file *f) {
  int rc = OK;
  int64_t head = 0;
  unsigned char first[8];
  char *header = NULL;
  TRY(read_at(e, f, 0, first, 8));
  TRY(header_length(e, f, first, f->size, &head));
  TRY(mem_new(e, head + 1, 1, "safetensors header", &header));
  TRY(read_at(e, f, 8, header, head));
  TRY(open_header(e, f, header, head, NULL));
out:
  free(header);
  return rc;
}

int st_open_mode(err *e, const char *path, st_mode mode, st_file **out) {
  int rc = OK;
  st_file *f = NULL;
  struct stat s;
  *out = NULL;
  TRY(new_file(e, path, &f));
  TRY(file_open(e, path, &f->fd));
  if (fstat(f->fd, &s) != 0) FAIL(e, E_IO, "%s: cannot stat: %s", path, strerror(errno));
  if (!S_ISREG(s.st_mode)) FAIL(e, E_IO, "%s: not a regular file", path);
  if (s.st_size < 8)
    FAIL(e, E_FORMAT, "%s: %lld bytes, a safetensors file has at least 8", path, (long long)s.st_size);
  f->size = s.st_size;
  TRY(mode == ST_READ ? read_file(e, f) : map_file(e, f));
  *out = f;
  f = NULL;
out:
  st_close(f);
  return rc;
}

int st_open(err *e, const char *path, st_file **out) {
  return st_open_mode(e, path, ST_MAP, out);
}

/* Metadata of a part, where no earlier part has the key. */
static int join_meta(err *e, st_file *f, const st_file *part) {
  int rc = OK;
  for (int64_t i = 0; i < part->metas; i++) {
    int64_t k = 0;
    while (k < f->metas && by_key(&f->meta[k], &part->meta[i])) k++;
    if (k < f->metas) continue;
    TRY(mem_grow(e, &f->meta, &f->meta_cap, f->metas + 1, sizeof *f->meta, "metadata"));
    f->meta[f->metas++] = part->meta[i];
  }
out:
  return rc;
}

static int join_parts(err *e, st_file *f) {
  int rc = OK;
  for (int64_t p = 0; p < f->parts; p++) {
    const st_file *part = f->part[p];
    TRY(mem_grow(e, &f->tensor, &f->cap, f->count + part->count, sizeof(entry), "tensor list"));
    if (part->count) memcpy(f->tensor + f->count, part->tensor, (size_t)part->count * sizeof(entry));
    f->count += part->count;
    TRY(join_meta(e, f, part));
  }
  sort(f->tensor, f->count, sizeof *f->tensor, by_name);
  sort(f->meta, f->metas, sizeof *f->meta, by_key);
  for (int64_t i = 1; i < f->count; i++)
    if (!by_name(&f->tensor[i - 1], &f->tensor[i]))
      FAIL(e, E_FORMAT, "%s: tensor '%.*s' is in two shards, %s and %s", f->path, NAME_SHOWN, f->tensor[i].t.name,
           f->tensor[i - 1].t.file->path, f->tensor[i].t.file->path);
out:
  return rc;
}

int st_join(err *e, const char *name, st_file **part, int64_t parts, st_file **out) {
  int rc = OK;
  int64_t taken = 0;
  st_file *f = NULL;
  *out = NULL;
  TRY(new_file(e, name, &f));
  TRY(mem_new(e, parts, sizeof *f->part, "shards", &f->part));
  for (; taken < parts; taken++) f->part[taken] = part[taken];
  f->parts = parts;
  TRY(join_parts(e, f));
  *out = f;
  f = NULL;
out:
  for (int64_t p = taken; p < parts; p++) st_close(part[p]);
  st_close(f);
  return rc;
}

void st_close(st_file *f) {
  if (!f) return;
  for (int64_t p = 0; p < f->parts; p++) st_close(f->part[p]);
  if (f->map) munmap(f->map, (size_t)f->size);
  if (f->fd >= 0) close(f->fd);
  free(f->part);
  free(f->path);
  free(f->tensor);
  free(f->meta);
  free(f->strings);
  free(f);
}

const char *st_path(const st_file *f) {
  return f->path;
}

int64_t st_count(const st_file *f) {
  return f->count;
}

const st_tensor *st_at(const st_file *f, int64_t i) {
  return i >= 0 && i < f->count ? &f->tensor[i].t : NULL;
}

const st_tensor *st_find(const st_file *f, const char *name) {
  entry key = {.t.name = name};
  const entry *t = f->count ? bsearch(&key, f->tensor, (size_t)f->count, sizeof key, by_name) : NULL;
  return t ? &t->t : NULL;
}

const char *st_meta(const st_file *f, const char *key) {
  pair want = {.key = key};
  const pair *m = f->metas ? bsearch(&want, f->meta, (size_t)f->metas, sizeof want, by_key) : NULL;
  return m ? m->value : NULL;
}

int st_need(err *e, const st_file *f, const char *name, int rank, const int64_t *shape, const st_tensor **out) {
  char want[SHAPE_TEXT], found[SHAPE_TEXT];
  const st_tensor *t = st_find(f, name);
  *out = NULL;
  shape_text(want, rank < 0 ? 0 : rank, shape);
  if (!t)
    return err_set(e, E_FORMAT, "%s: tensor '%.*s' is missing; wanted shape %s", f->path, NAME_SHOWN, name,
                   rank < 0 ? "any" : want);
  if (rank >= 0 && (t->rank != rank || (rank && memcmp(t->shape, shape, (size_t)rank * sizeof *shape) != 0))) {
    shape_text(found, t->rank, t->shape);
    return err_set(e, E_SHAPE, "%s: tensor '%.*s': wanted shape %s, found %s", f->path, NAME_SHOWN, name, want,
                   found);
  }
  *out = t;
  return OK;
}

int64_t st_bytes_read(const st_file *f) {
  int64_t n = f->bytes_read;
  for (int64_t p = 0; p < f->parts; p++) n += st_bytes_read(f->part[p]);
  return n;
}

/* A mapping that reaches behind the file's end kills the process that touches it. */
static int same_size(err *e, const st_file *f) {
  struct stat s;
  if (f->fd < 0) return OK;
  if (fstat(f->fd, &s) != 0) return err_set(e, E_IO, "%s: cannot stat: %s", f->path, strerror(errno));
  if (s.st_size != f->size)
    return err_set(e, E_IO, "%s: has %lld bytes, had %lld when it was opened; somebody changes it", f->path,
                   (long long)s.st_size, (long long)f->size);
  return OK;
}

#define CHUNK ((int64_t)1 << 18) /* elements read at a time */

static int read_chunks(err *e, const st_tensor *t, real *dst) {
  int rc = OK;
  char *buffer = NULL;
  const int64_t size = dtype_size(t->type), most = t->count < CHUNK ? t->count : CHUNK;
  TRY(mem_new(e, most, size, "bytes of a tensor", &buffer));
  for (int64_t at = 0; at < t->count; at += CHUNK) {
    int64_t n = t->count - at < CHUNK ? t->count - at : CHUNK;
    TRY(read_at(e, t->file, t->offset + at * size, buffer, n * size));
    dtype_to_real(t->type, buffer, n, dst + at);
  }
out:
  free(buffer);
  return rc;
}

int st_read_real(err *e, const st_tensor *t, real *dst) {
  int rc = OK;
  if (!t || (!dst && t->count)) return err_set(e, E_ARG, "st_read_real without a tensor or a destination");
  TRY(same_size(e, t->file));
  if (t->data)
    dtype_to_real(t->type, t->data, t->count, dst);
  else
    TRY(read_chunks(e, t, dst));
  t->file->bytes_read += t->count * dtype_size(t->type);
out:
  return rc;
}

/* --- writer -------------------------------------------------------------------------------------------------- */

typedef struct item {
  char *name;
  dtype type;
  int rank;
  int64_t shape[ST_RANK];
  void *data;
  int64_t bytes;
} item;

typedef struct note {
  char *key, *value;
} note;

struct st_writer {
  item *item;
  int64_t count, cap;
  note *note;
  int64_t notes, note_cap;
};

int st_writer_open(err *e, st_writer **out) {
  return mem_new(e, 1, sizeof **out, "safetensors writer", out);
}

static int is_utf8(const char *s) {
  for (size_t n = strlen(s), len; n; s += len, n -= len)
    if ((len = utf8_length(s, n)) == 0) return 0;
  return 1;
}

int st_writer_meta(st_writer *w, err *e, const char *key, const char *value) {
  int rc = OK;
  note m = {0};
  if (!is_utf8(key) || !is_utf8(value)) FAIL(e, E_ARG, "metadata '%.*s' is not UTF-8", NAME_SHOWN, key);
  for (int64_t i = 0; i < w->notes; i++)
    if (!strcmp(w->note[i].key, key)) FAIL(e, E_ARG, "metadata '%.*s' is set twice", NAME_SHOWN, key);
  TRY(mem_grow(e, &w->note, &w->note_cap, w->notes + 1, sizeof m, "metadata"));
  TRY(mem_strdup(e, key, &m.key));
  TRY(mem_strdup(e, value, &m.value));
  w->note[w->notes++] = m;
  m = (note){0};
out:
  free(m.key);
  free(m.value);
  return rc;
}

/* A new tensor with room for its bytes; it joins the file when the caller raises w->count. */
static int new_item(st_writer *w, err *e, const char *name, dtype t, int rank, const int64_t *shape, item *out) {
  int rc = OK;
  *out = (item){.type = t, .rank = rank};
  if (!is_utf8(name) || !name_is_clean(name) || !strcmp(name, "__metadata__"))
    FAIL(e, E_ARG, "'%.*s' cannot be a tensor's name", NAME_SHOWN, name);
  if (rank < 0 || rank > ST_RANK || !dtype_size(t))
    FAIL(e, E_ARG, "tensor '%.*s': rank %d, dtype %s", NAME_SHOWN, name, rank, dtype_name(t));
  for (int64_t i = 0; i < w->count; i++)
    if (!strcmp(w->item[i].name, name)) FAIL(e, E_ARG, "tensor '%.*s' is added twice", NAME_SHOWN, name);
  int64_t count = shape_count(rank, shape, t);
  if (count < 0) FAIL(e, E_ARG, "tensor '%.*s': negative or too large shape", NAME_SHOWN, name);
  out->bytes = count * dtype_size(t);
  for (int i = 0; i < rank; i++) out->shape[i] = shape[i];
  TRY(mem_grow(e, &w->item, &w->cap, w->count + 1, sizeof *out, "tensor list"));
  TRY(mem_strdup(e, name, &out->name));
  TRY(mem_new(e, out->bytes, 1, name, &out->data));
out:
  if (rc != OK) free(out->name);
  return rc;
}

int st_writer_add(st_writer *w, err *e, const char *name, dtype t, int rank, const int64_t *shape, const void *data) {
  item m;
  int rc = new_item(w, e, name, t, rank, shape, &m);
  if (rc != OK) return rc;
  if (m.bytes) memcpy(m.data, data, (size_t)m.bytes);
  w->item[w->count++] = m;
  return OK;
}

int st_writer_add_real(st_writer *w, err *e, const char *name, dtype t, int rank, const int64_t *shape,
                       const real *data) {
  if (t != DT_F32 && t != DT_F64 && t != DT_F16 && t != DT_BF16)
    return err_set(e, E_ARG, "tensor '%.*s': reals cannot be stored as %s", NAME_SHOWN, name, dtype_name(t));
  item m;
  int rc = new_item(w, e, name, t, rank, shape, &m);
  if (rc != OK) return rc;
  dtype_from_real(t, data, m.bytes / dtype_size(t), m.data);
  w->item[w->count++] = m;
  return OK;
}

/* Largest elements first, so that every tensor is aligned to its own type. */
static int by_size_then_name(const void *a, const void *b) {
  const item *x = a, *y = b;
  int64_t p = dtype_size(x->type), q = dtype_size(y->type);
  return p != q ? (p < q ? 1 : -1) : strcmp(x->name, y->name);
}

static int by_note_key(const void *a, const void *b) {
  return strcmp(((const note *)a)->key, ((const note *)b)->key);
}

static void write_header(const st_writer *w, text *t) {
  int64_t at = 0;
  text_add(t, "{");
  for (int64_t i = 0; i < w->notes; i++) {
    text_add(t, i ? "," : "\"__metadata__\":{");
    text_add_json(t, w->note[i].key);
    text_add(t, ":");
    text_add_json(t, w->note[i].value);
  }
  if (w->notes) text_add(t, "}");
  for (int64_t i = 0; i < w->count; i++) {
    const item *m = &w->item[i];
    if (i || w->notes) text_add(t, ",");
    text_add_json(t, m->name);
    text_addf(t, ":{\"dtype\":\"%s\",\"shape\":[", dtype_name(m->type));
    for (int k = 0; k < m->rank; k++) text_addf(t, k ? ",%lld" : "%lld", (long long)m->shape[k]);
    text_addf(t, "],\"data_offsets\":[%lld,%lld]}", (long long)at, (long long)(at + m->bytes));
    at += m->bytes;
  }
  text_add(t, "}");
  while (t->n % 8 && !t->failed) text_add(t, " ");
}

int st_writer_save(st_writer *w, err *e, const char *path) {
  int rc = OK;
  unsigned char length[8];
  file_part *part = NULL;
  text header = {0};
  sort(w->item, w->count, sizeof *w->item, by_size_then_name);
  sort(w->note, w->notes, sizeof *w->note, by_note_key);
  write_header(w, &header);
  TRY(text_ok(&header, e));
  if (header.n > HEADER_MAX)
    FAIL(e, E_UNSUPPORTED, "%s: header of %zu bytes, at most %d", path, header.n, HEADER_MAX);
  for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)header.n >> (8 * i));
  TRY(mem_new(e, w->count + 2, sizeof *part, "safetensors parts", &part));
  part[0] = (file_part){length, sizeof length};
  part[1] = (file_part){header.p, header.n};
  for (int64_t i = 0; i < w->count; i++) part[2 + i] = (file_part){w->item[i].data, (size_t)w->item[i].bytes};
  TRY(file_write_parts(e, path, part, w->count + 2));
out:
  free(part);
  text_free(&header);
  return rc;
}

void st_writer_close(st_writer *w) {
  if (!w) return;
  for (int64_t i = 0; i < w->count; i++) {
    free(w->item[i].name);
    free(w->item[i].data);
  }
  for (int64_t i = 0; i < w->notes; i++) {
    free(w->note[i].key);
    free(w->note[i].value);
  }
  free(w->item);
  free(w->note);
  free(w);
}
