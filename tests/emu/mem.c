/* Memory and its shadow. Each 4-byte word has a mark: who wrote it and who read it last, and in which epoch. The
 * epoch rises at every barrier, block and launch, so that "same launch" and "same block" are comparisons: what is at
 * or after launch_start but before block_start was done by another block. A warp's `sub` rises at its bar.warp.sync,
 * which orders lanes of that warp only. A word that had a 16-bit access keeps two marks, one a half. */
#include "impl.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREAD = 0x3ff, ATOMIC = 0x400, SPLIT = 0x8000 };    /* of mark.writer */
enum { WARP_MANY = 0x400, MANY = 0x800, FOREIGN = 0x1000 }; /* of mark.reader */

void *emu_grow(void *p, int64_t need, int64_t *cap, size_t each) {
  if (need <= *cap) return p;
  int64_t n = *cap ? *cap * 2 : 16;
  if (n < need) n = need;
  void *t = realloc(p, (size_t)n * each);
  if (t) *cap = n;
  return t;
}

/* --- failures --- */

void emu_fail(emu *m, const char *fmt, ...) {
  if (m->failed) return;
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(m->text, sizeof m->text, fmt, ap);
  va_end(ap);
  m->failed = true;
}

static void print_place(const emu *m, int loc, char *out, size_t n) {
  const emu_module *mod = m->k->mod;
  size_t at = 0;
  for (int depth = 0; loc >= 0 && loc < mod->n_places && depth < 8 && at < n; depth++) {
    const place *q = &mod->places[loc];
    const char *file = q->file >= 0 && q->file < mod->n_files && mod->files[q->file] ? mod->files[q->file] : "?";
    at += (size_t)snprintf(out + at, n - at, "%s%s:%d", depth ? ", inlined at " : " at ", file, q->line);
    loc = q->inlined_at;
  }
}

void emu_fault(emu *m, const warp *w, const ins *i, int lane, const char *fmt, ...) {
  char what[512], where[512] = "";
  va_list ap;
  if (m->failed) return;
  va_start(ap, fmt);
  vsnprintf(what, sizeof what, fmt, ap);
  va_end(ap);
  const uint32_t *b = m->a->block;
  u32 t = (u32)(w->index * 32 + lane);
  print_place(m, i->loc, where, sizeof where);
  emu_fail(m, "kernel %s: %s;%s (PTX line %u), block (%u,%u,%u) thread (%u,%u,%u)", m->k->name, what, where, i->line,
           m->block[0], m->block[1], m->block[2], t % b[0], t / b[0] % b[1], t / (b[0] * b[1]));
}

const char *emu_text(const emu *m) {
  return m->text;
}
void emu_clear(emu *m) {
  m->failed = false;
  m->text[0] = 0;
}

/* --- regions --- */

int emu_region_init(region *r, size_t n) {
  size_t whole = (n + 7) / 8 * 8;
  *r = (region){.size = n};
  if (posix_memalign((void **)(void *)&r->mem, 256, whole + 256)) r->mem = NULL;
  r->valid = calloc(whole + 16, 1);
  r->marks = calloc(whole / 4 + 1, sizeof *r->marks);
  if (!r->mem || !r->valid || !r->marks) {
    emu_region_clear(r);
    return -1;
  }
  memset(r->mem, 0xff, whole);
  return 0;
}
void emu_region_clear(region *r) {
  free(r->mem);
  free(r->valid);
  free(r->marks);
  free(r->halves);
  *r = (region){0};
}

region *emu_region_new(emu *m, size_t n, bool constant) {
  region **t = emu_grow(m->regions, m->n_regions + 1, &m->cap_regions, sizeof *t);
  region *r = malloc(sizeof *r);
  if (t) m->regions = t;
  if (!t || !r || emu_region_init(r, n)) {
    free(r);
    return NULL;
  }
  r->base = (u64)(uintptr_t)r->mem + DEVICE_BIT;
  r->constant = constant;
  int64_t at = m->n_regions++;
  while (at > 0 && t[at - 1]->base > r->base) t[at] = t[at - 1], at--;
  t[at] = r;
  m->used += n;
  return r;
}

region *emu_region(emu *m, u64 address) {
  region *r = m->last;
  if (r && address - r->base < r->size) return r;
  int64_t lo = 0, hi = m->n_regions;
  while (lo < hi) {
    int64_t mid = (lo + hi) / 2;
    if (m->regions[mid]->base <= address) {
      lo = mid + 1;
    } else {
      hi = mid;
    }
  }
  if (lo == 0) return NULL;
  r = m->regions[lo - 1];
  if (address - r->base >= r->size) return NULL;
  return m->last = r;
}

uint64_t emu_alloc(emu *m, size_t n) {
  region *r = n ? emu_region_new(m, n, false) : NULL;
  return r ? r->base : 0;
}
int emu_release(emu *m, uint64_t p) {
  for (int64_t i = 0; i < m->n_regions; i++) {
    region *r = m->regions[i];
    if (r->base != p) continue;
    m->used -= r->size;
    m->last = NULL;
    emu_region_clear(r);
    free(r);
    memmove(&m->regions[i], &m->regions[i + 1], (size_t)(--m->n_regions - i) * sizeof *m->regions);
    return 0;
  }
  return -1;
}
static region *range(emu *m, uint64_t p, size_t n, size_t *off) {
  region *r = emu_region(m, p);
  if (!r || n > r->size || p - r->base > r->size - n) return NULL;
  *off = (size_t)(p - r->base);
  return r;
}
void *emu_host(emu *m, uint64_t p, size_t n) {
  size_t off;
  region *r = range(m, p, n, &off);
  return r ? r->mem + off : NULL;
}
bool emu_range(emu *m, uint64_t p, uint64_t *start, size_t *size) {
  region *r = emu_region(m, p);
  if (!r) return false;
  *start = r->base;
  *size = r->size;
  return true;
}
void emu_mark(emu *m, uint64_t p, size_t n, bool written) {
  size_t off;
  region *r = range(m, p, n, &off);
  if (r) memset(r->valid + off, written, n);
}
bool emu_written(emu *m, uint64_t p, size_t n) {
  size_t off;
  region *r = range(m, p, n, &off);
  return r && !memchr(r->valid + off, 0, n);
}
void emu_copy(emu *m, uint64_t dst, uint64_t src, size_t n) {
  size_t d, s;
  region *x = range(m, dst, n, &d), *y = range(m, src, n, &s);
  if (!x || !y) return;
  memmove(x->mem + d, y->mem + s, n);
  memmove(x->valid + d, y->valid + s, n);
}
size_t emu_used(const emu *m) {
  return m->used;
}

/* --- races --- */

typedef struct toucher {
  u32 start; /* first epoch that counts: of the launch, or of the block */
  u16 thread, sub;
  u8 kind;
} toucher;

/* What stands against this access of the word; NULL: nothing. `other`: the thread, -1 unknown. */
static const char *touch_write(const emu *m, mark *k, const toucher *t, int *other) {
  const char *bad = NULL;
  bool atomic = t->kind == A_ATOMIC;
  *other = -1;
  if (k->wrote >= t->start && !(atomic && k->writer & ATOMIC)) {
    u16 who = k->writer & THREAD;
    if (k->wrote < m->block_start) {
      bad = "written by another block too";
    } else if (k->wrote == m->epoch && who != t->thread && !(who / 32 == t->thread / 32 && k->wsub != t->sub)) {
      bad = "written without a barrier between";
      *other = who;
    }
  }
  if (!bad && k->read >= t->start) {
    u16 who = k->reader & THREAD;
    bool near = !(k->reader & MANY) && who / 32 == t->thread / 32 && k->rsub != t->sub;
    bool self = !(k->reader & (MANY | WARP_MANY)) && who == t->thread;
    if (k->read < m->block_start || k->reader & FOREIGN) {
      bad = "read by another block";
    } else if (k->read == m->epoch && !self && !near) {
      bad = "read without a barrier between";
      *other = who;
    }
  }
  k->wrote = m->epoch;
  k->writer = (u16)((k->writer & SPLIT) | t->thread | (atomic ? ATOMIC : 0));
  k->wsub = t->sub;
  return bad;
}

static const char *touch_read(const emu *m, mark *k, const toucher *t, int *other) {
  const char *bad = NULL;
  *other = -1;
  if (k->wrote >= t->start) {
    u16 who = k->writer & THREAD;
    if (k->wrote < m->block_start) {
      bad = "written by another block";
    } else if (k->wrote == m->epoch && who != t->thread && !(who / 32 == t->thread / 32 && k->wsub != t->sub)) {
      bad = "written without a barrier between";
      *other = who;
    }
  }
  u16 foreign = 0, r = t->thread;
  if (k->read >= t->start) {
    foreign = k->read < m->block_start ? FOREIGN : k->reader & FOREIGN;
    if (k->read == m->epoch) {
      u16 who = k->reader & THREAD;
      if (k->reader & MANY || who / 32 != t->thread / 32) {
        r = MANY | t->thread;
      } else if (k->reader & WARP_MANY || (who != t->thread && k->rsub == t->sub)) {
        r = WARP_MANY | t->thread;
      }
    }
  }
  k->read = m->epoch;
  k->reader = r | foreign;
  k->rsub = t->sub;
  return bad;
}

static const char *touch(const emu *m, mark *k, const toucher *t, int *other) {
  return t->kind == A_READ ? touch_read(m, k, t, other) : touch_write(m, k, t, other);
}

/* Words [off, off + bytes) of r. NULL when nothing is wrong. */
static const char *touch_range(emu *m, region *r, size_t off, u32 bytes, const toucher *t, int *other) {
  if (bytes < 4 && !r->halves && !(r->halves = calloc(r->size / 2 + 8, sizeof *r->halves))) {
    emu_fail(m, "no memory for marks");
    return NULL;
  }
  if (bytes < 4) {
    mark *k = &r->marks[off / 4], *h = &r->halves[off / 4 * 2];
    if (!(k->writer & SPLIT)) {
      h[0] = h[1] = *k;
      k->writer |= SPLIT;
    }
    return touch(m, &h[off / 2 % 2], t, other);
  }
  const char *bad = NULL;
  for (size_t i = off / 4; i < (off + bytes) / 4 && !bad; i++) {
    mark *k = &r->marks[i];
    if (k->writer & SPLIT) {
      bad = touch(m, &r->halves[2 * i], t, other);
      if (!bad) bad = touch(m, &r->halves[2 * i + 1], t, other);
    } else {
      bad = touch(m, k, t, other);
    }
  }
  return bad;
}

/* --- one lane's access --- */

static bool all_valid(const u8 *v, u32 n) {
  u64 x;
  switch (n) {
  case 16: {
    u64 y;
    memcpy(&x, v, 8);
    memcpy(&y, v + 8, 8);
    return (x & y) == 0x0101010101010101u;
  }
  case 8: memcpy(&x, v, 8); return x == 0x0101010101010101u;
  case 4: {
    u32 z;
    memcpy(&z, v, 4);
    return z == 0x01010101u;
  }
  default:
    for (u32 k = 0; k < n; k++)
      if (!v[k]) return false;
    return true;
  }
}

static u8 *local_access(emu *m, warp *w, const ins *i, int lane, u64 at, u32 bytes, int kind) {
  size_t size = m->k->local;
  if (at > size || bytes > size - at || at % bytes) {
    emu_fault(m, w, i, lane, "local memory: %u bytes at %llu of %zu", bytes, (unsigned long long)at, size);
    return NULL;
  }
  size_t off = (size_t)(w->index * 32 + lane) * size + (size_t)at;
  if (kind != A_READ) {
    memset(m->local_valid + off, 1, bytes);
  } else if (!all_valid(m->local_valid + off, bytes) && !m->o.lenient) {
    emu_fault(m, w, i, lane, "uninitialised read of local memory at %llu", (unsigned long long)at);
    return NULL;
  }
  return m->local + off;
}

static void out_of_bounds(emu *m, warp *w, const ins *i, int lane, u64 at, u32 bytes) {
  region *before = NULL;
  for (int64_t k = 0; k < m->n_regions && m->regions[k]->base <= at; k++) before = m->regions[k];
  if (before && at - before->base < before->size + 65536) {
    emu_fault(m, w, i, lane, "global memory: %u bytes at offset %llu of an allocation of %zu: out of bounds", bytes,
              (unsigned long long)(at - before->base), before->size);
  } else {
    emu_fault(m, w, i, lane, "global memory: %#llx is not in device memory (%s)", (unsigned long long)at,
              at == 0           ? "null pointer"
              : at < 1ull << 47 ? "a host pointer?"
                                : "freed, or far out of bounds");
  }
}

static void race(emu *m, warp *w, const ins *i, int lane, const char *bad, const char *space, u64 at, int other,
                 int kind) {
  char who[48] = "";
  if (other >= 0) snprintf(who, sizeof who, " (thread %d)", other);
  emu_fault(m, w, i, lane, "race: %s memory at %s%llx %s by this thread was %s%s", space,
            space[0] == 'g' ? "0x" : "offset 0x", (unsigned long long)at, kind == A_READ ? "read" : "written", bad,
            who);
}

u8 *emu_access(emu *m, warp *w, const ins *i, int lane, u64 address, u32 bytes, int kind) {
  u8 space = i->space;
  u64 at = address;
  if (space == S_GENERIC) {
    space = at >= LOCAL_WINDOW ? S_LOCAL : at >= SHARED_WINDOW ? S_SHARED : S_GLOBAL;
    if (space == S_SHARED) at -= SHARED_WINDOW;
    if (space == S_LOCAL) at -= LOCAL_WINDOW;
  }
  if (space == S_LOCAL) return local_access(m, w, i, lane, at, bytes, kind);
  bool shared = space == S_SHARED;
  region *r = shared ? &m->shared : emu_region(m, at);
  size_t off = r ? (size_t)(at - r->base) : 0;
  if (!r || off > r->size || bytes > r->size - off) {
    if (shared) {
      emu_fault(m, w, i, lane, "shared memory: %u bytes at offset %llu of %zu: out of bounds", bytes,
                (unsigned long long)at, r->size);
    } else {
      out_of_bounds(m, w, i, lane, at, bytes);
    }
    return NULL;
  }
  if (at % bytes) {
    emu_fault(m, w, i, lane, "misaligned: %u bytes at %#llx", bytes, (unsigned long long)at);
    return NULL;
  }
  if (r->constant && kind != A_READ) {
    emu_fault(m, w, i, lane, "write to constant memory");
    return NULL;
  }
  if (kind == A_READ || kind == A_ATOMIC) {
    if (!all_valid(r->valid + off, bytes) && !m->o.lenient) {
      emu_fault(
          m, w, i, lane,
          "uninitialised read: %u bytes of %s memory at %s%#llx that nobody wrote (or a cp.async is not waited for)",
          bytes, shared ? "shared" : "global", shared ? "offset " : "", (unsigned long long)at);
      return NULL;
    }
  }
  if (kind != A_READ) memset(r->valid + off, kind != A_ISSUE, bytes);
  toucher t = {shared ? m->block_start : m->launch_start, (u16)(w->index * 32 + lane), w->sub, (u8)kind};
  int other;
  const char *bad = touch_range(m, r, off, bytes, &t, &other);
  if (bad) {
    race(m, w, i, lane, bad, shared ? "shared" : "global", at, other, kind);
    return NULL;
  }
  return r->mem + off;
}

/* --- counters --- */

static u32 phase_waves(const u64 *at, u32 lanes, u32 bytes) {
  u64 words[32][8];
  u8 n[32] = {0};
  u32 most = 1;
  for (; lanes; lanes &= lanes - 1) {
    u64 a = at[__builtin_ctz(lanes)];
    for (u64 x = a / 4; x <= (a + bytes - 1) / 4; x++) {
      u32 bank = (u32)x & 31, k = 0;
      while (k < n[bank] && words[bank][k] != x) k++;
      if (k < n[bank]) continue;
      if (n[bank] < 8) words[bank][n[bank]] = x;
      if (++n[bank] > most) most = n[bank];
      if (n[bank] > 8) n[bank] = 8;
    }
  }
  return most;
}

void emu_count_access(emu *m, const ins *i, u32 mask, const u64 *at, u32 bytes) {
  emu_counters *c = &m->k->count;
  u64 first = at[__builtin_ctz(mask)];
  u8 space = i->space;
  if (space == S_GENERIC) space = first >= LOCAL_WINDOW ? S_LOCAL : first >= SHARED_WINDOW ? S_SHARED : S_GLOBAL;
  if (space == S_LOCAL) {
    c->local_accesses++;
  } else if (space == S_SHARED) {
    u32 per = bytes == 16 ? 8 : bytes == 8 ? 16 : 32;
    for (u32 p = 0; p < 32; p += per) {
      u32 lanes = mask & (per == 32 ? FULL : ((1u << per) - 1) << p);
      if (!lanes) continue;
      c->shared_phases++;
      c->shared_waves += phase_waves(at, lanes, bytes);
    }
  } else if (space == S_GLOBAL) {
    u64 seen[64];
    int n = 0, lanes = __builtin_popcount(mask);
    for (u32 x = mask; x; x &= x - 1) {
      u64 s = at[__builtin_ctz(x)] / 32;
      int k = 0;
      while (k < n && seen[k] != s) k++;
      if (k == n) seen[n++] = s;
    }
    c->global_requests++;
    c->global_sectors += (u64)n;
    c->global_ideal += ((u64)lanes * bytes + 31) / 32;
  }
}

/* --- load, store, atom --- */

static void addresses(const warp *w, const ins *i, u64 *at) {
  if (i->wide) {
    const u64 *a = DREG(i->a[0]);
    for (int l = 0; l < 32; l++) at[l] = a[l] + (u64)i->imm;
  } else {
    const u32 *a = WREG(i->a[0]);
    for (int l = 0; l < 32; l++) at[l] = (u32)(a[l] + (u32)i->imm);
  }
}

static u64 element(const u8 *p, const ins *i) {
  u64 v = 0;
  switch (i->size) {
  case 1: return i->type == T_S8 ? (u64)(i64)(int8_t)*p : *p;
  case 2: {
    u16 h;
    memcpy(&h, p, 2);
    return i->type == T_S16 ? (u64)(i64)(i16)h : h;
  }
  case 4: {
    u32 x;
    memcpy(&x, p, 4);
    return i->type == T_S32 ? (u64)(i64)(i32)x : x;
  }
  default: memcpy(&v, p, 8); return v;
  }
}

void emu_load_op(emu *m, warp *w, const ins *i, u32 mask) {
  u64 at[32];
  u32 bytes = (u32)i->size * i->nd;
  addresses(w, i, at);
  if (m->o.count) emu_count_access(m, i, mask, at, bytes);
  for (u32 x = mask; x; x &= x - 1) {
    int l = __builtin_ctz(x);
    const u8 *p = emu_access(m, w, i, l, at[l], bytes, A_READ);
    if (!p) return;
    for (int k = 0; k < i->nd; k++) {
      u64 v = element(p + k * i->size, i);
      if (i->kinds[0] == 8) {
        DREG(i->d[k])[l] = v;
      } else {
        WREG(i->d[k])[l] = i->type == T_S16 || i->size == 2 ? (u32)v : (u32)v;
      }
    }
  }
}

void emu_store_op(emu *m, warp *w, const ins *i, u32 mask) {
  u64 at[32];
  u32 bytes = (u32)i->size * i->nb;
  addresses(w, i, at);
  if (m->o.count) emu_count_access(m, i, mask, at, bytes);
  for (u32 x = mask; x; x &= x - 1) {
    int l = __builtin_ctz(x);
    u8 *p = emu_access(m, w, i, l, at[l], bytes, A_WRITE);
    if (!p) return;
    for (int k = 0; k < i->nb; k++) {
      if (i->kinds[2] == 8) {
        memcpy(p + k * i->size, &DREG(i->b[k])[l], i->size);
      } else {
        memcpy(p + k * i->size, &WREG(i->b[k])[l], i->size);
      }
    }
  }
}

void emu_param_op(emu *m, warp *w, const ins *i, u32 mask) {
  u64 at[32];
  addresses(w, i, at);
  for (u32 x = mask; x; x &= x - 1) {
    int l = __builtin_ctz(x);
    u32 bytes = (u32)i->size * i->nd;
    if (at[l] > m->k->param_bytes || bytes > m->k->param_bytes - at[l]) {
      emu_fault(m, w, i, l, "parameters: %u bytes at %llu of %zu", bytes, (unsigned long long)at[l],
                m->k->param_bytes);
      return;
    }
    for (int k = 0; k < i->nd; k++) {
      u64 v = element(m->params + at[l] + k * i->size, i);
      if (i->kinds[0] == 8) {
        DREG(i->d[k])[l] = v;
      } else {
        WREG(i->d[k])[l] = (u32)v;
      }
    }
  }
}

static u64 atom_value(const ins *i, u64 old, u64 b, u64 c) {
  bool is_signed = emu_types[i->type].family == 's';
  if (i->type == T_F32 && i->op == 1) return emu_u(emu_f((u32)old) + emu_f((u32)b));
  if (i->type == T_F64 && i->op == 1) return emu_ud(emu_d(old) + emu_d(b));
  bool less = !is_signed ? old < b : i->size == 4 ? (i32)old < (i32)b : (i64)old < (i64)b;
  switch (i->op) {
  case 1: return old + b;
  case 2: return less ? old : b;
  case 3: return less ? b : old;
  case 4: return b;
  case 5: return old == b ? c : old;
  case 6: return old & b;
  case 7: return old | b;
  case 8: return old ^ b;
  case 9: return old >= b ? 0 : old + 1;
  default: return old == 0 || old > b ? b : old - 1;
  }
}

void emu_atom_op(emu *m, warp *w, const ins *i, u32 mask) {
  u64 at[32];
  addresses(w, i, at);
  for (u32 x = mask; x; x &= x - 1) {
    int l = __builtin_ctz(x);
    u8 *p = emu_access(m, w, i, l, at[l], i->size, A_ATOMIC);
    if (!p) return;
    u64 old = 0, b = i->size == 8 ? DREG(i->b[0])[l] : WREG(i->b[0])[l],
        c = i->size == 8 ? DREG(i->c[0])[l] : WREG(i->c[0])[l];
    memcpy(&old, p, i->size);
    u64 v = atom_value(i, old, b, c);
    memcpy(p, &v, i->size);
    if (!i->nd) continue;
    if (i->size == 8) {
      DREG(i->d[0])[l] = old;
    } else {
      WREG(i->d[0])[l] = (u32)old;
    }
  }
}
