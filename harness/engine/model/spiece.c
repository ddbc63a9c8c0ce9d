#include "model/spiece.h"

#include <math.h>
#include <string.h>

#include "base/text.h"

#define PIECES_MAX (1 << 22)

enum { PIECE_NORMAL = 1, PIECE_UNKNOWN = 2, PIECE_BYTE = 6, MODEL_UNIGRAM = 1 };

/* A message of protocol buffers. The first failure is kept in e. */
typedef struct wire {
  err *e;
  const char *name;
  const uint8_t *start, *p, *end;
} wire;

typedef struct field {
  uint64_t id, number;  /* number: of a varint */
  int kind;             /* 0 varint, 1 eight bytes, 2 bytes, 5 four bytes */
  const uint8_t *bytes; /* of kinds 1, 2 and 5 */
  size_t n;
} field;

static int bad(const wire *w, const char *what) {
  return err_set(w->e, E_FORMAT, "%s: byte %lld: %s; this is no sound SentencePiece model", w->name,
                 (long long)(w->p - w->start), what);
}

static int varint(wire *w, uint64_t *out) {
  *out = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (w->p >= w->end) return bad(w, "cut short in a number");
    uint8_t b = *w->p++;
    *out |= (uint64_t)(b & 0x7f) << shift;
    if (!(b & 0x80)) return OK;
  }
  return bad(w, "a number of more than 10 bytes");
}

static int next(wire *w, field *f) {
  int rc = OK;
  uint64_t key = 0, n = 0;
  TRY(varint(w, &key));
  *f = (field){.id = key >> 3, .kind = (int)(key & 7)};
  if (f->id == 0) return bad(w, "field 0");
  switch (f->kind) {
  case 0: return varint(w, &f->number);
  case 1: n = 8; break;
  case 2: TRY(varint(w, &n)); break;
  case 5: n = 4; break;
  default: return bad(w, "a field of unknown kind");
  }
  if (n > (uint64_t)(w->end - w->p)) return bad(w, "a field longer than what is left");
  f->bytes = w->p;
  f->n = (size_t)n;
  w->p += n;
out:
  return rc;
}

static wire inside(const wire *w, const field *f) {
  return (wire){.e = w->e, .name = w->name, .start = w->start, .p = f->bytes, .end = f->bytes + f->n};
}

static int is_utf8(const uint8_t *s, size_t n) {
  for (size_t len; n; s += len, n -= len)
    if (*s == 0 || (len = utf8_length((const char *)s, n)) == 0) return 0;
  return 1;
}

static uint32_t word(const uint8_t *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* One piece; *unknown counts those of that type. */
static int check_piece(wire w, int *unknown) {
  int rc = OK, named = 0;
  uint64_t type = PIECE_NORMAL;
  while (w.p < w.end) {
    field f;
    TRY(next(&w, &f));
    if (f.id == 1) {
      if (f.kind != 2 || f.n == 0 || !is_utf8(f.bytes, f.n)) return bad(&w, "a piece's text is empty or no UTF-8");
      named = 1;
    } else if (f.id == 2) {
      uint32_t bits = f.kind == 5 ? word(f.bytes) : 0;
      float score;
      memcpy(&score, &bits, sizeof score);
      if (f.kind != 5 || !isfinite(score)) return bad(&w, "a piece's score is no finite number");
    } else if (f.id == 3) {
      if (f.kind != 0 || f.number < PIECE_NORMAL || f.number > PIECE_BYTE) return bad(&w, "a piece of unknown type");
      type = f.number;
    }
  }
  if (!named) return bad(&w, "a piece without text");
  *unknown += type == PIECE_UNKNOWN;
out:
  return rc;
}

/* Every step from any node stays inside the array, and every value points into the texts. */
static int check_array(const wire *w, const uint8_t *unit, size_t units, const uint8_t *texts, size_t n) {
  if (units == 0 || units % 256 || n == 0 || texts[n - 1] != 0) return bad(w, "a damaged table of rules");
  for (size_t i = 0; i < units; i++) {
    uint32_t u = word(unit + 4 * i);
    if (u >> 31) continue; /* a value; reached through its parent */
    size_t base = i ^ (size_t)((u >> 10) << ((u & 512) >> 6));
    if (base >= units) return bad(w, "a table of rules points outside itself");
    uint32_t value = word(unit + 4 * base) & 0x7fffffff;
    if (u & 256 && value >= n) return bad(w, "a rule's text lies outside the table");
  }
  return OK;
}

static int check_rules(wire w) {
  int rc = OK;
  while (w.p < w.end) {
    field f;
    TRY(next(&w, &f));
    if (f.id != 2 || (f.kind == 2 && f.n == 0)) continue;
    if (f.kind != 2 || f.n <= 4) return bad(&w, "a damaged table of rules");
    size_t array = word(f.bytes);
    if (array >= f.n - 4 || array % 4) return bad(&w, "a damaged table of rules");
    TRY(check_array(&w, f.bytes + 4, array / 4, f.bytes + 4 + array, f.n - 4 - array));
  }
out:
  return rc;
}

static int check_trainer(wire w) {
  int rc = OK;
  while (w.p < w.end) {
    field f;
    TRY(next(&w, &f));
    if (f.id == 3 && (f.kind != 0 || f.number != MODEL_UNIGRAM))
      FAIL(w.e, E_UNSUPPORTED, "%s: not a Unigram model, as T5's are", w.name);
  }
out:
  return rc;
}

int spiece_check(err *e, const char *name, const void *data, size_t n, int64_t *pieces) {
  int rc = OK, unknown = 0;
  wire w = {.e = e, .name = name, .start = data, .p = data, .end = (const uint8_t *)data + n};
  *pieces = 0;
  while (w.p < w.end) {
    field f;
    TRY(next(&w, &f));
    if (f.id > 5) continue;
    if (f.kind != 2) return bad(&w, "a field of the wrong kind");
    if (f.id == 1) {
      TRY(check_piece(inside(&w, &f), &unknown));
      if (++*pieces > PIECES_MAX) return bad(&w, "too many pieces");
    }
    if (f.id == 2) TRY(check_trainer(inside(&w, &f)));
    if (f.id == 3 || f.id == 5) TRY(check_rules(inside(&w, &f)));
  }
  if (*pieces == 0) return bad(&w, "no pieces");
  if (unknown != 1) return bad(&w, "there must be one piece for what is unknown");
out:
  return rc;
}
