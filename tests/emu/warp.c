/* What the lanes of a warp do together: exchange, votes, matrices, asynchronous copies. */
#include "impl.h"

#include <stdlib.h>
#include <string.h>

/* The lanes that the instruction names must be exactly those that execute it. */
static bool together(emu *m, warp *w, const ins *i, u32 mask, u32 named, const char *what) {
  if (named == mask) return true;
  emu_fault(m, w, i, __builtin_ctz(mask), "%s: mask %08x, executed by lanes %08x%s", what, named, mask,
            named & ~w->live ? " (some have exited)" : "");
  return false;
}
static bool same_mask(emu *m, warp *w, const ins *i, u32 mask, u32 slot, const char *what) {
  for (u32 x = mask; x; x &= x - 1)
    if (!together(m, w, i, mask, WREG(slot)[__builtin_ctz(x)], what)) return false;
  return true;
}

void emu_shfl(emu *m, warp *w, const ins *i, u32 mask) {
  u32 out[32], good = 0;
  const u32 *a = WREG(i->a[0]), *b = WREG(i->b[0]), *c = WREG(i->c[0]);
  if (!same_mask(m, w, i, mask, i->e, "shfl.sync")) return;
  for (u32 x = mask; x; x &= x - 1) {
    int l = __builtin_ctz(x);
    int seg = (int)(c[l] >> 8 & 31), cut = (int)(c[l] & 31), n = (int)(b[l] & 31);
    int top = (l & seg) | (cut & ~seg), low = l & seg, j = 0;
    bool ok;
    switch (i->op) {
    case 1: j = l ^ n, ok = j <= top; break;
    case 2: j = low | (n & ~seg), ok = j <= top; break;
    case 3: j = l + n, ok = j <= top; break;
    default: j = l - n, ok = j >= top; break;
    }
    if (!ok) j = l;
    if (!(mask >> j & 1)) {
      emu_fault(m, w, i, l, "shfl.sync reads lane %d, which is not in mask %08x", j, mask);
      return;
    }
    out[l] = a[j];
    good |= (u32)ok << l;
  }
  for (u32 x = mask; x; x &= x - 1) WREG(i->d[0])[__builtin_ctz(x)] = out[__builtin_ctz(x)];
  if (i->nd > 1) *WREG(i->d[1]) = (*WREG(i->d[1]) & ~mask) | good;
}

void emu_vote(emu *m, warp *w, const ins *i, u32 mask) {
  if (!same_mask(m, w, i, mask, i->e, "vote.sync")) return;
  u32 v = *WREG(i->a[0]);
  if (i->imm) v = ~v;
  v &= mask;
  if (i->op == 1) {
    for (u32 x = mask; x; x &= x - 1) WREG(i->d[0])[__builtin_ctz(x)] = v;
    return;
  }
  bool r = i->op == 2 ? v != 0 : i->op == 3 ? v == mask : v == mask || v == 0;
  u32 *d = WREG(i->d[0]);
  *d = (*d & ~mask) | (r ? mask : 0);
}

void emu_match(emu *m, warp *w, const ins *i, u32 mask) {
  u32 out[32] = {0};
  if (!same_mask(m, w, i, mask, i->e, "match.sync")) return;
  for (int l = 0; l < 32; l++)
    for (int k = 0; k < 32; k++) {
      bool equal = i->kinds[1] == 8 ? DREG(i->a[0])[l] == DREG(i->a[0])[k] : WREG(i->a[0])[l] == WREG(i->a[0])[k];
      if (equal && mask >> k & 1) out[l] |= 1u << k;
    }
  for (u32 x = mask; x; x &= x - 1) WREG(i->d[0])[__builtin_ctz(x)] = out[__builtin_ctz(x)];
}

void emu_warp_barrier(emu *m, warp *w, const ins *i, u32 mask) {
  if (!same_mask(m, w, i, mask, i->a[0], "bar.warp.sync")) return;
  if (mask == w->exists) w->sub++;
}

void emu_active(emu *m, warp *w, const ins *i, u32 mask) {
  (void)m;
  for (u32 x = mask; x; x &= x - 1) WREG(i->d[0])[__builtin_ctz(x)] = mask;
}

void emu_trap(emu *m, warp *w, const ins *i, u32 mask) {
  emu_fault(m, w, i, __builtin_ctz(mask), "%s", i->op ? "an assertion of the kernel failed" : "trap");
}

/* --- matrices; fragments as in the tables of the PTX manual for m8n8 and m16n8k16 --- */

void emu_ldmatrix(emu *m, warp *w, const ins *i, u32 mask) {
  u16 rows[32][8];
  u64 at[32];
  if (!together(m, w, i, mask, FULL, "ldmatrix")) return;
  for (int l = 0; l < 32; l++)
    at[l] = i->wide ? DREG(i->a[0])[l] + (u64)i->imm : (u32)(WREG(i->a[0])[l] + (u32)i->imm);
  int n = 8 * i->nd;
  if (m->o.count) emu_count_access(m, i, n == 32 ? FULL : (1u << n) - 1, at, 16);
  for (int l = 0; l < n; l++) {
    u8 *p = emu_access(m, w, i, l, at[l], 16, A_READ);
    if (!p) return;
    memcpy(rows[l], p, 16);
  }
  for (int k = 0; k < i->nd; k++) {
    u32 *d = WREG(i->d[k]);
    for (int l = 0; l < 32; l++) {
      int g = l >> 2, t = 2 * (l & 3);
      d[l] = i->flags & M_TRANS ? rows[8 * k + t][g] | (u32)rows[8 * k + t + 1][g] << 16
                                : rows[8 * k + g][t] | (u32)rows[8 * k + g][t + 1] << 16;
    }
  }
}

static void mma_operands(const warp *w, const ins *i, float a[16][16], float b[16][8]) {
  bool bf = i->type2 == T_BF16;
#define HALF(v) (bf ? emu_from_bf16(v) : emu_from_f16(v))
  for (int l = 0; l < 32; l++) {
    int g = l >> 2, t = 2 * (l & 3);
    for (int k = 0; k < 4; k++) {
      u32 v = WREG(i->a[k])[l];
      int r = g + (k & 1) * 8, c = t + (k >> 1) * 8;
      a[r][c] = HALF(v & 0xffff);
      a[r][c + 1] = HALF(v >> 16);
    }
    for (int k = 0; k < 2; k++) {
      u32 v = WREG(i->b[k])[l];
      b[t + k * 8][g] = HALF(v & 0xffff);
      b[t + k * 8 + 1][g] = HALF(v >> 16);
    }
  }
#undef HALF
}

void emu_mma(emu *m, warp *w, const ins *i, u32 mask) {
  float a[16][16], b[16][8], c[16][8];
  if (!together(m, w, i, mask, FULL, "mma.sync")) return;
  m->k->count.mma++;
  mma_operands(w, i, a, b);
  for (int l = 0; l < 32; l++)
    for (int k = 0; k < 4; k++) c[(l >> 2) + (k >> 1) * 8][2 * (l & 3) + (k & 1)] = emu_f(WREG(i->c[k])[l]);
  for (int r = 0; r < 16; r++)
    for (int k = 0; k < 16; k++)
      for (int n = 0; n < 8; n++) c[r][n] += a[r][k] * b[k][n];
  for (int l = 0; l < 32; l++)
    for (int k = 0; k < 4; k++) WREG(i->d[k])[l] = emu_u(c[(l >> 2) + (k >> 1) * 8][2 * (l & 3) + (k & 1)]);
}

/* --- cp.async: the copy happens at the wait; until then the bytes are 0xFF and count as unwritten --- */

void emu_cp_async(emu *m, warp *w, const ins *i, u32 mask) {
  u64 at[32];
  ins src = *i;
  src.space = S_GLOBAL;
  for (int l = 0; l < 32; l++)
    at[l] = i->wide ? DREG(i->a[0])[l] + (u64)i->imm : (u32)(WREG(i->a[0])[l] + (u32)i->imm);
  if (m->o.count) {
    u64 from[32];
    for (int l = 0; l < 32; l++) from[l] = DREG(i->b[0])[l] + (u64)(i32)i->e;
    emu_count_access(m, i, mask, at, i->size);
    emu_count_access(m, &src, mask, from, i->size);
  }
  for (u32 x = mask; x; x &= x - 1) {
    int l = __builtin_ctz(x);
    u32 take = i->nc ? WREG(i->c[0])[l] : i->size;
    u64 from = DREG(i->b[0])[l] + (u64)(i32)i->e;
    if (take > i->size) take = i->size;
    u8 *p = emu_access(m, w, i, l, at[l], i->size, A_ISSUE);
    if (!p) return;
    memset(p, 0xff, i->size);
    if (take == i->size && !emu_access(m, w, &src, l, from, take, A_READ)) return;
    for (u32 k = 0; take < i->size && k < take; k++)
      if (!emu_access(m, w, &src, l, from + k, 1, A_READ)) return;
    pending *t = emu_grow(w->queue, w->n_queue + 1, &w->cap_queue, sizeof *t);
    if (!t) {
      emu_fail(m, "no memory");
      return;
    }
    w->queue = t;
    t[w->n_queue++] = (pending){from, (u32)(p - m->shared.mem), i->size, (u8)take, (u16)l, w->groups[l]};
  }
}

void emu_cp_commit(emu *m, warp *w, const ins *i, u32 mask) {
  (void)m, (void)i;
  for (u32 x = mask; x; x &= x - 1) w->groups[__builtin_ctz(x)]++;
}

static void complete(emu *m, warp *w, const ins *i, const pending *q) {
  ins dst = *i;
  dst.space = S_SHARED;
  u8 *p = emu_access(m, w, &dst, q->lane, q->dst, q->bytes, A_WRITE);
  if (!p) return;
  const u8 *s = q->take ? emu_host(m, q->src, q->take) : p;
  if (!s) {
    emu_fault(m, w, i, q->lane, "cp.async: the source is gone");
    return;
  }
  if (q->take) memmove(p, s, q->take);
  memset(p + q->take, 0, (size_t)(q->bytes - q->take));
}

void emu_cp_wait(emu *m, warp *w, const ins *i, u32 mask) {
  int64_t kept = 0;
  for (int64_t k = 0; k < w->n_queue; k++) {
    pending q = w->queue[k];
    bool due = i->imm < 0 || (i64)q.group < (i64)w->groups[q.lane] - i->imm;
    if (mask >> q.lane & 1 && due) {
      complete(m, w, i, &q);
      if (m->failed) return;
    } else {
      w->queue[kept++] = q;
    }
  }
  w->n_queue = kept;
}
