#include "media/npy.h"

#include <string.h>

enum { HEADER_MOST = 65536, SHOWN = 40 };

/* A place in the header, a Python dictionary of three known keys. */
typedef struct reader {
  err *e;
  const char *name, *p, *end;
} reader;

static int damaged(const reader *r, const char *what) {
  return err_set(r->e, E_FORMAT, "%s: NumPy header: %s", r->name, what);
}

static void skip_space(reader *r) {
  while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\t')) r->p++;
}

/* True, and past it, when the next character that is not white space is c. */
static int next_is(reader *r, char c) {
  skip_space(r);
  if (r->p >= r->end || *r->p != c) return 0;
  r->p++;
  return 1;
}

/* A quoted string of printable characters without escapes. */
static int string(reader *r, char out[SHOWN]) {
  skip_space(r);
  if (r->p >= r->end || (*r->p != '\'' && *r->p != '"')) return damaged(r, "wanted a quoted word");
  char quote = *r->p++;
  int n = 0;
  for (; r->p < r->end && *r->p != quote; r->p++) {
    if (*r->p < 32 || *r->p > 126 || *r->p == '\\' || n + 1 >= SHOWN) return damaged(r, "a word is not plain");
    out[n++] = *r->p;
  }
  out[n] = 0;
  if (r->p >= r->end) return damaged(r, "a word does not end");
  r->p++;
  return OK;
}

static int word(reader *r, const char *s) {
  size_t n = strlen(s);
  skip_space(r);
  if ((size_t)(r->end - r->p) < n || memcmp(r->p, s, n)) return 0;
  r->p += n;
  return 1;
}

static int read_type(reader *r, npy *out) {
  char type[SHOWN];
  skip_space(r);
  if (r->p < r->end && *r->p == '[')
    return err_set(r->e, E_UNSUPPORTED, "%s: a structured array; save one array of <f4 or <f8", r->name);
  int rc = string(r, type);
  if (rc != OK) return rc;
  out->type = !strcmp(type, "<f8") ? DT_F64 : DT_F32;
  if (!strcmp(type, "<f4") || !strcmp(type, "<f8")) return OK;
  if (strchr(type, 'O'))
    return err_set(r->e, E_UNSUPPORTED,
                   "%s: holds pickled Python objects, which are never loaded; save an array of <f4 "
                   "or <f8",
                   r->name);
  if (type[0] == '>')
    return err_set(r->e, E_UNSUPPORTED, "%s: big-endian numbers (%s); save as <f4 or <f8", r->name, type);
  return err_set(r->e, E_UNSUPPORTED, "%s: numbers of type '%s'; save as <f4 or <f8", r->name, type);
}

static int read_order(reader *r) {
  if (word(r, "False")) return OK;
  if (word(r, "True"))
    return err_set(r->e, E_UNSUPPORTED, "%s: Fortran order; save numpy.ascontiguousarray(x)", r->name);
  return damaged(r, "fortran_order is neither True nor False");
}

static int read_axis(reader *r, int64_t *out) {
  skip_space(r);
  const char *first = r->p;
  *out = 0;
  for (; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++) {
    *out = 10 * *out + (*r->p - '0');
    if (*out > (int64_t)1 << 40) return damaged(r, "the shape is too large");
  }
  return r->p == first ? damaged(r, "the shape is not a list of numbers") : OK;
}

static int read_shape(reader *r, npy *out) {
  if (!next_is(r, '(')) return damaged(r, "the shape is not a tuple");
  out->count = 1;
  while (!next_is(r, ')')) {
    int64_t axis;
    if (out->rank == NPY_RANK) return err_set(r->e, E_UNSUPPORTED, "%s: more than %d axes", r->name, NPY_RANK);
    int rc = read_axis(r, &axis);
    if (rc != OK) return rc;
    if (axis && out->count > ((int64_t)1 << 60) / axis) return damaged(r, "the shape is too large");
    out->count *= axis;
    out->shape[out->rank++] = axis;
    if (!next_is(r, ',') && (r->p >= r->end || *r->p != ')')) return damaged(r, "wanted ',' or ')' in the shape");
  }
  return OK;
}

static int read_dictionary(reader *r, npy *out) {
  static const char *const known[] = {"descr", "fortran_order", "shape"};
  unsigned seen = 0;
  if (!next_is(r, '{')) return damaged(r, "wanted '{'");
  while (!next_is(r, '}')) {
    char key[SHOWN];
    int k = 0, rc = string(r, key);
    if (rc != OK) return rc;
    while (k < 3 && strcmp(key, known[k])) k++;
    if (k == 3 || seen & 1u << k) return damaged(r, "an unknown key, or one twice");
    seen |= 1u << k;
    if (!next_is(r, ':')) return damaged(r, "wanted ':'");
    rc = k == 0 ? read_type(r, out) : k == 1 ? read_order(r) : read_shape(r, out);
    if (rc != OK) return rc;
    if (!next_is(r, ',') && (r->p >= r->end || *r->p != '}')) return damaged(r, "wanted ',' or '}'");
  }
  skip_space(r);
  if (r->p != r->end) return damaged(r, "text after the dictionary");
  return seen == 7 ? OK : damaged(r, "descr, fortran_order or shape is missing");
}

int npy_parse(err *e, const char *name, const void *data, size_t n, npy *out) {
  const unsigned char *p = data;
  *out = (npy){0};
  if (n >= 1 && p[0] == 0x80)
    return err_set(e, E_UNSUPPORTED, "%s: a Python pickle, which is never loaded; save with numpy.save", name);
  if (n < 10 || memcmp(p, "\x93NUMPY", 6)) return err_set(e, E_FORMAT, "%s: not a NumPy array, or cut short", name);
  if (p[6] < 1 || p[6] > 3 || p[7] != 0)
    return err_set(e, E_UNSUPPORTED, "%s: NumPy format %d.%d; 1.0 to 3.0 can be read", name, p[6], p[7]);
  size_t at = p[6] == 1 ? 10 : 12, size = (size_t)p[8] | (size_t)p[9] << 8;
  if (at == 12 && n >= 12) size |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
  if (n < at || size > HEADER_MOST || size > n - at)
    return err_set(e, E_FORMAT, "%s: the NumPy header is cut short or too long", name);
  reader r = {e, name, (const char *)p + at, (const char *)p + at + size};
  int rc = read_dictionary(&r, out);
  if (rc != OK) return rc;
  int64_t bytes = (int64_t)(n - at - size), each = dtype_size(out->type);
  if (bytes % each || out->count != bytes / each)
    return err_set(e, E_FORMAT, "%s: the shape says %lld numbers of %lld bytes, but %lld bytes follow", name,
                   (long long)out->count, (long long)each, (long long)bytes);
  out->data = p + at + size;
  return OK;
}
