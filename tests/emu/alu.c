/* Arithmetic. A function computes all lanes when the mask is full, which the compiler turns into vector code, and
 * only the lanes of the mask otherwise. Destination and source may be the same register. */
#include "impl.h"

#include <fenv.h>
#include <math.h>
#include <string.h>

#define LANES(EXPR)                                                                                                  \
  do {                                                                                                               \
    if (mask == FULL) {                                                                                              \
      for (int l = 0; l < 32; l++) d[l] = (EXPR);                                                                    \
    } else {                                                                                                         \
      for (int l = 0; l < 32; l++)                                                                                   \
        if (mask >> l & 1) d[l] = (EXPR);                                                                            \
    }                                                                                                                \
  } while (0)

#define UNUSED (void)m, (void)a, (void)b, (void)c
#define OP(NAME, TD, TA, TC, EXPR)                                                                                   \
  static void NAME(emu *m, warp *w, const ins *i, u32 mask) {                                                        \
    TD *d = (TD *)(void *)WREG(i->d[0]);                                                                             \
    const TA *a = (const TA *)(const void *)WREG(i->a[0]), *b = (const TA *)(const void *)WREG(i->b[0]);             \
    const TC *c = (const TC *)(const void *)WREG(i->c[0]);                                                           \
    UNUSED;                                                                                                          \
    LANES(EXPR);                                                                                                     \
  }
#define SHIFT(NAME, TD, TA, EXPR)                                                                                    \
  static void NAME(emu *m, warp *w, const ins *i, u32 mask) {                                                        \
    TD *d = (TD *)(void *)WREG(i->d[0]);                                                                             \
    const TA *a = (const TA *)(const void *)WREG(i->a[0]);                                                           \
    const u32 *b = WREG(i->b[0]);                                                                                    \
    (void)m;                                                                                                         \
    LANES(EXPR);                                                                                                     \
  }

/* integers: 16 bits live in the low half of a word */
OP(add_w, u32, u32, u32, a[l] + b[l])
OP(sub_w, u32, u32, u32, a[l] - b[l])
OP(mul_w, u32, u32, u32, a[l] * b[l])
OP(mad_w, u32, u32, u32, a[l] * b[l] + c[l])
OP(add_h, u32, u32, u32, (u16)(a[l] + b[l]))
OP(sub_h, u32, u32, u32, (u16)(a[l] - b[l]))
OP(mul_h, u32, u32, u32, (u16)(a[l] * b[l]))
OP(mad_h, u32, u32, u32, (u16)(a[l] * b[l] + c[l]))
OP(add_d, u64, u64, u64, a[l] + b[l])
OP(sub_d, u64, u64, u64, a[l] - b[l])
OP(mul_d, u64, u64, u64, a[l] * b[l])
OP(mad_d, u64, u64, u64, a[l] * b[l] + c[l])
OP(mulhi_u32, u32, u32, u32, (u32)((u64)a[l] * b[l] >> 32))
OP(mulhi_s32, u32, i32, u32, (u32)((u64)((i64)a[l] * b[l]) >> 32))
OP(madhi_u32, u32, u32, u32, (u32)((u64)a[l] * b[l] >> 32) + c[l])
OP(madhi_s32, u32, i32, u32, (u32)((u64)((i64)a[l] * b[l]) >> 32) + c[l])
__extension__ typedef unsigned __int128 u128;
__extension__ typedef __int128 i128;
OP(mulhi_u64, u64, u64, u64, (u64)((u128)a[l] * b[l] >> 64))
OP(mulhi_s64, u64, i64, u64, (u64)((u128)((i128)a[l] * b[l]) >> 64))
OP(mulw_u16, u32, u32, u32, (u32)(u16)a[l] * (u16)b[l])
OP(mulw_s16, u32, u32, u32, (u32)((i32)(i16)a[l] * (i16)b[l]))
OP(mulw_u32, u64, u32, u64, (u64)a[l] * b[l])
OP(mulw_s32, u64, i32, u64, (u64)((i64)a[l] * b[l]))
OP(madw_u16, u32, u32, u32, (u32)(u16)a[l] * (u16)b[l] + c[l])
OP(madw_s16, u32, u32, u32, (u32)((i32)(i16)a[l] * (i16)b[l]) + c[l])
OP(madw_u32, u64, u32, u64, (u64)a[l] * b[l] + c[l])
OP(madw_s32, u64, i32, u64, (u64)((i64)a[l] * b[l]) + c[l])
/* Division by zero gives all ones, as on the devices; the smallest number over -1 wraps. */
OP(div_u32, u32, u32, u32, b[l] ? a[l] / b[l] : FULL)
OP(rem_u32, u32, u32, u32, b[l] ? a[l] % b[l] : a[l])
OP(div_s32, u32, i32, u32, b[l] == 0 ? FULL : b[l] == -1 ? 0u - (u32)a[l] : (u32)(a[l] / b[l]))
OP(rem_s32, u32, i32, u32, b[l] == 0 ? (u32)a[l] : b[l] == -1 ? 0u : (u32)(a[l] % b[l]))
OP(div_u64, u64, u64, u64, b[l] ? a[l] / b[l] : ~(u64)0)
OP(rem_u64, u64, u64, u64, b[l] ? a[l] % b[l] : a[l])
OP(div_s64, u64, i64, u64, b[l] == 0 ? ~(u64)0 : b[l] == -1 ? (u64)0 - (u64)a[l] : (u64)(a[l] / b[l]))
OP(rem_s64, u64, i64, u64, b[l] == 0 ? (u64)a[l] : b[l] == -1 ? (u64)0 : (u64)(a[l] % b[l]))
OP(div_u16, u32, u32, u32, (u16)b[l] ? (u32)((u16)a[l] / (u16)b[l]) : 0xffffu)
OP(rem_u16, u32, u32, u32, (u16)b[l] ? (u32)((u16)a[l] % (u16)b[l]) : (u16)a[l])
OP(neg_w, u32, u32, u32, 0u - a[l])
OP(neg_h, u32, u32, u32, (u16)(0u - a[l]))
OP(neg_d, u64, u64, u64, (u64)0 - a[l])
OP(abs_s32, u32, u32, u32, (i32)a[l] < 0 ? 0u - a[l] : a[l])
OP(abs_s64, u64, u64, u64, (i64)a[l] < 0 ? (u64)0 - a[l] : a[l])
OP(min_u32, u32, u32, u32, a[l] < b[l] ? a[l] : b[l])
OP(max_u32, u32, u32, u32, a[l] > b[l] ? a[l] : b[l])
OP(min_s32, i32, i32, i32, a[l] < b[l] ? a[l] : b[l])
OP(max_s32, i32, i32, i32, a[l] > b[l] ? a[l] : b[l])
OP(min_u64, u64, u64, u64, a[l] < b[l] ? a[l] : b[l])
OP(max_u64, u64, u64, u64, a[l] > b[l] ? a[l] : b[l])
OP(min_s64, i64, i64, i64, a[l] < b[l] ? a[l] : b[l])
OP(max_s64, i64, i64, i64, a[l] > b[l] ? a[l] : b[l])
OP(min_u16, u32, u32, u32, (u16)a[l] < (u16)b[l] ? (u16)a[l] : (u16)b[l])
OP(max_u16, u32, u32, u32, (u16)a[l] > (u16)b[l] ? (u16)a[l] : (u16)b[l])
OP(min_s16, u32, u32, u32, (i16)a[l] < (i16)b[l] ? (u16)a[l] : (u16)b[l])
OP(max_s16, u32, u32, u32, (i16)a[l] > (i16)b[l] ? (u16)a[l] : (u16)b[l])
OP(and_w, u32, u32, u32, a[l] & b[l])
OP(or_w, u32, u32, u32, a[l] | b[l])
OP(xor_w, u32, u32, u32, a[l] ^ b[l])
OP(not_w, u32, u32, u32, ~a[l])
OP(not_h, u32, u32, u32, (u16)~a[l])
OP(and_d, u64, u64, u64, a[l] & b[l])
OP(or_d, u64, u64, u64, a[l] | b[l])
OP(xor_d, u64, u64, u64, a[l] ^ b[l])
OP(not_d, u64, u64, u64, ~a[l])
SHIFT(shl_w, u32, u32, b[l] > 31 ? 0u : a[l] << b[l])
SHIFT(shl_h, u32, u32, b[l] > 15 ? 0u : (u16)(a[l] << b[l]))
SHIFT(shl_d, u64, u64, b[l] > 63 ? (u64)0 : a[l] << b[l])
SHIFT(shr_u32, u32, u32, b[l] > 31 ? 0u : a[l] >> b[l])
SHIFT(shr_s32, i32, i32, a[l] >> (b[l] > 31 ? 31 : b[l]))
SHIFT(shr_u64, u64, u64, b[l] > 63 ? (u64)0 : a[l] >> b[l])
SHIFT(shr_s64, i64, i64, a[l] >> (b[l] > 63 ? 63 : b[l]))
SHIFT(shr_u16, u32, u32, b[l] > 15 ? 0u : (u32)((u16)a[l] >> b[l]))
SHIFT(shr_s16, u32, u32, (u16)((i16)a[l] >> (b[l] > 15 ? 15 : b[l])))
OP(popc_w, u32, u32, u32, (u32)__builtin_popcount(a[l]))
OP(popc_d, u32, u64, u32, (u32)__builtin_popcountll(a[l]))
OP(clz_w, u32, u32, u32, a[l] ? (u32)__builtin_clz(a[l]) : 32u)
OP(clz_d, u32, u64, u32, a[l] ? (u32)__builtin_clzll(a[l]) : 64u)
OP(bfind_u32, u32, u32, u32, a[l] ? 31u - (u32)__builtin_clz(a[l]) : FULL)

static u32 reversed(u32 v) {
  u32 r = 0;
  for (int k = 0; k < 32; k++) r |= (v >> k & 1) << (31 - k);
  return r;
}
OP(brev_w, u32, u32, u32, reversed(a[l]))

/* floats: min and max take the number where the other is none */
OP(add_f, float, float, float, a[l] + b[l])
OP(sub_f, float, float, float, a[l] - b[l])
OP(mul_f, float, float, float, a[l] * b[l])
OP(fma_f, float, float, float, fmaf(a[l], b[l], c[l]))
OP(div_f, float, float, float, a[l] / b[l])
OP(min_f, float, float, float,
   a[l] != a[l]    ? b[l]
   : b[l] != b[l]  ? a[l]
   : a[l] < b[l]   ? a[l]
   : b[l] < a[l]   ? b[l]
   : signbit(a[l]) ? a[l]
                   : b[l])
OP(max_f, float, float, float,
   a[l] != a[l]    ? b[l]
   : b[l] != b[l]  ? a[l]
   : a[l] > b[l]   ? a[l]
   : b[l] > a[l]   ? b[l]
   : signbit(a[l]) ? b[l]
                   : a[l])
OP(neg_f, u32, u32, u32, a[l] ^ 0x80000000u)
OP(abs_f, u32, u32, u32, a[l] & 0x7fffffffu)
OP(sqrt_f, float, float, float, sqrtf(a[l]))
OP(rcp_f, float, float, float, 1.0f / a[l])
OP(ex2_f, float, float, float, exp2f(a[l]))
OP(add_f64, double, double, double, a[l] + b[l])
OP(sub_f64, double, double, double, a[l] - b[l])
OP(mul_f64, double, double, double, a[l] * b[l])
OP(fma_f64, double, double, double, fma(a[l], b[l], c[l]))

/* conversions in the shapes that are common */
OP(cvt_s64_s32, u64, i32, u32, (u64)(i64)a[l])
OP(cvt_u64_u32, u64, u32, u32, (u64)a[l])
OP(cvt_u32_u64, u32, u64, u32, (u32)a[l])
OP(cvt_u32_u16, u32, u32, u32, (u16)a[l])
OP(cvt_u16_u32, u32, u32, u32, (u16)a[l])

#define PRED(NAME, EXPR)                                                                                             \
  static void NAME(emu *m, warp *w, const ins *i, u32 mask) {                                                        \
    u32 *d = WREG(i->d[0]), a = *WREG(i->a[0]), b = *WREG(i->b[0]);                                                  \
    (void)m, (void)b;                                                                                                \
    *d = (*d & ~mask) | ((EXPR)&mask);                                                                               \
  }
PRED(and_p, a &b)
PRED(or_p, a | b)
PRED(xor_p, a ^ b)
PRED(not_p, ~a)

exec_fn *emu_alu(const char *key) {
  static const struct {
    const char *key;
    exec_fn *fn;
  } table[] = {{"add.s32", add_w},
               {"add.u32", add_w},
               {"sub.s32", sub_w},
               {"sub.u32", sub_w},
               {"mul.lo.s32", mul_w},
               {"mul.lo.u32", mul_w},
               {"mad.lo.s32", mad_w},
               {"mad.lo.u32", mad_w},
               {"add.s16", add_h},
               {"add.u16", add_h},
               {"sub.s16", sub_h},
               {"sub.u16", sub_h},
               {"mul.lo.s16", mul_h},
               {"mul.lo.u16", mul_h},
               {"mad.lo.s16", mad_h},
               {"mad.lo.u16", mad_h},
               {"add.s64", add_d},
               {"add.u64", add_d},
               {"sub.s64", sub_d},
               {"sub.u64", sub_d},
               {"mul.lo.s64", mul_d},
               {"mul.lo.u64", mul_d},
               {"mad.lo.s64", mad_d},
               {"mad.lo.u64", mad_d},
               {"mul.hi.u32", mulhi_u32},
               {"mul.hi.s32", mulhi_s32},
               {"mad.hi.u32", madhi_u32},
               {"mad.hi.s32", madhi_s32},
               {"mul.hi.u64", mulhi_u64},
               {"mul.hi.s64", mulhi_s64},
               {"mul.wide.u16", mulw_u16},
               {"mul.wide.s16", mulw_s16},
               {"mul.wide.u32", mulw_u32},
               {"mul.wide.s32", mulw_s32},
               {"mad.wide.u16", madw_u16},
               {"mad.wide.s16", madw_s16},
               {"mad.wide.u32", madw_u32},
               {"mad.wide.s32", madw_s32},
               {"div.u32", div_u32},
               {"rem.u32", rem_u32},
               {"div.s32", div_s32},
               {"rem.s32", rem_s32},
               {"div.u64", div_u64},
               {"rem.u64", rem_u64},
               {"div.s64", div_s64},
               {"rem.s64", rem_s64},
               {"div.u16", div_u16},
               {"rem.u16", rem_u16},
               {"neg.s32", neg_w},
               {"neg.s16", neg_h},
               {"neg.s64", neg_d},
               {"abs.s32", abs_s32},
               {"abs.s64", abs_s64},
               {"min.u32", min_u32},
               {"max.u32", max_u32},
               {"min.s32", min_s32},
               {"max.s32", max_s32},
               {"min.u64", min_u64},
               {"max.u64", max_u64},
               {"min.s64", min_s64},
               {"max.s64", max_s64},
               {"min.u16", min_u16},
               {"max.u16", max_u16},
               {"min.s16", min_s16},
               {"max.s16", max_s16},
               {"and.b32", and_w},
               {"or.b32", or_w},
               {"xor.b32", xor_w},
               {"not.b32", not_w},
               {"and.b16", and_w},
               {"or.b16", or_w},
               {"xor.b16", xor_w},
               {"not.b16", not_h},
               {"and.b64", and_d},
               {"or.b64", or_d},
               {"xor.b64", xor_d},
               {"not.b64", not_d},
               {"and.pred", and_p},
               {"or.pred", or_p},
               {"xor.pred", xor_p},
               {"not.pred", not_p},
               {"shl.b32", shl_w},
               {"shl.b16", shl_h},
               {"shl.b64", shl_d},
               {"shr.u32", shr_u32},
               {"shr.b32", shr_u32},
               {"shr.s32", shr_s32},
               {"shr.u64", shr_u64},
               {"shr.b64", shr_u64},
               {"shr.s64", shr_s64},
               {"shr.u16", shr_u16},
               {"shr.b16", shr_u16},
               {"shr.s16", shr_s16},
               {"popc.b32", popc_w},
               {"popc.b64", popc_d},
               {"clz.b32", clz_w},
               {"clz.b64", clz_d},
               {"bfind.u32", bfind_u32},
               {"brev.b32", brev_w},
               {"add.f32", add_f},
               {"sub.f32", sub_f},
               {"mul.f32", mul_f},
               {"fma.f32", fma_f},
               {"div.f32", div_f},
               {"min.f32", min_f},
               {"max.f32", max_f},
               {"neg.f32", neg_f},
               {"abs.f32", abs_f},
               {"sqrt.f32", sqrt_f},
               {"rcp.f32", rcp_f},
               {"ex2.f32", ex2_f},
               {"add.f64", add_f64},
               {"sub.f64", sub_f64},
               {"mul.f64", mul_f64},
               {"fma.f64", fma_f64},
               {"cvt.s64.s32", cvt_s64_s32},
               {"cvt.u64.u32", cvt_u64_u32},
               {"cvt.s64.u32", cvt_u64_u32},
               {"cvt.u32.u64", cvt_u32_u64},
               {"cvt.s32.s64", cvt_u32_u64},
               {"cvt.u32.u16", cvt_u32_u16},
               {"cvt.u16.u32", cvt_u16_u32}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (strcmp(table[i].key, key) == 0) return table[i].fn;
  return NULL;
}

/* --- moves and choices --- */

void emu_nop(emu *m, warp *w, const ins *i, u32 mask) {
  (void)m, (void)w, (void)i, (void)mask;
}
OP(mov_words, u32, u32, u32, a[l])
OP(mov_doubles, u64, u64, u64, a[l])
void emu_mov_w(emu *m, warp *w, const ins *i, u32 mask) {
  mov_words(m, w, i, mask);
}
void emu_mov_d(emu *m, warp *w, const ins *i, u32 mask) {
  mov_doubles(m, w, i, mask);
}
void emu_mov_p(emu *m, warp *w, const ins *i, u32 mask) {
  u32 *d = WREG(i->d[0]), a = i->na ? *WREG(i->a[0]) : i->imm ? FULL : 0;
  (void)m;
  *d = (*d & ~mask) | (a & mask);
}
void emu_selp_w(emu *m, warp *w, const ins *i, u32 mask) {
  u32 *d = WREG(i->d[0]), p = *WREG(i->c[0]);
  const u32 *a = WREG(i->a[0]), *b = WREG(i->b[0]);
  (void)m;
  LANES(p >> l & 1 ? a[l] : b[l]);
}
void emu_selp_d(emu *m, warp *w, const ins *i, u32 mask) {
  u64 *d = DREG(i->d[0]);
  const u64 *a = DREG(i->a[0]), *b = DREG(i->b[0]);
  u32 p = *WREG(i->c[0]);
  (void)m;
  LANES(p >> l & 1 ? a[l] : b[l]);
}

static u64 get(const warp *w, u32 slot, u8 bytes, int l) {
  return bytes == 8 ? DREG(slot)[l] : WREG(slot)[l];
}
static void put(warp *w, u32 slot, u8 bytes, int l, u64 v) {
  if (bytes == 8) {
    DREG(slot)[l] = v;
  } else {
    WREG(slot)[l] = (u32)v;
  }
}

#define EACH_LANE(l)                                                                                                 \
  for (u32 left_ = mask; left_; left_ &= left_ - 1)                                                                  \
    for (int l = __builtin_ctz(left_), once_ = 1; once_; once_ = 0)

void emu_pack(emu *m, warp *w, const ins *i, u32 mask) {
  (void)m;
  u32 bits = i->size * 8u / i->na;
  u64 ones = ((u64)1 << bits) - 1;
  EACH_LANE(l) {
    u64 v = 0;
    for (u32 k = 0; k < i->na; k++) v |= (get(w, i->a[k], i->kinds[1], l) & ones) << (bits * k);
    put(w, i->d[0], i->kinds[0], l, v);
  }
}
void emu_unpack(emu *m, warp *w, const ins *i, u32 mask) {
  (void)m;
  u32 bits = i->size * 8u / i->nd;
  u64 ones = ((u64)1 << bits) - 1;
  EACH_LANE(l) {
    u64 v = get(w, i->a[0], i->kinds[1], l);
    for (u32 k = 0; k < i->nd; k++) put(w, i->d[k], i->kinds[0], l, v >> (bits * k) & ones);
  }
}
void emu_cvta(emu *m, warp *w, const ins *i, u32 mask) {
  u64 *d = DREG(i->d[0]), window = i->space == S_SHARED ? SHARED_WINDOW : LOCAL_WINDOW;
  const u64 *a = DREG(i->a[0]);
  (void)m;
  if (i->flags & M_TO) window = (u64)0 - window;
  LANES(a[l] + window);
}

/* --- bits --- */

void emu_lop3(emu *m, warp *w, const ins *i, u32 mask) {
  u32 *d = WREG(i->d[0]), t = (u32)i->imm;
  const u32 *a = WREG(i->a[0]), *b = WREG(i->b[0]), *c = WREG(i->c[0]);
  (void)m;
  EACH_LANE(l) {
    u32 r = 0;
    for (u32 k = 0; k < 8; k++)
      if (t >> k & 1) r |= (k & 4 ? a[l] : ~a[l]) & (k & 2 ? b[l] : ~b[l]) & (k & 1 ? c[l] : ~c[l]);
    d[l] = r;
  }
}
void emu_prmt(emu *m, warp *w, const ins *i, u32 mask) {
  u32 *d = WREG(i->d[0]);
  const u32 *a = WREG(i->a[0]), *b = WREG(i->b[0]), *c = WREG(i->c[0]);
  (void)m;
  EACH_LANE(l) {
    u64 v = a[l] | (u64)b[l] << 32;
    u32 r = 0;
    for (u32 k = 0; k < 4; k++) {
      u32 s = c[l] >> (4 * k) & 15, x = (u32)(v >> (8 * (s & 7))) & 255;
      if (s & 8) x = x & 128 ? 255 : 0;
      r |= x << (8 * k);
    }
    d[l] = r;
  }
}
void emu_bfi(emu *m, warp *w, const ins *i, u32 mask) {
  (void)m;
  u8 bytes = i->size;
  EACH_LANE(l) {
    u64 a = get(w, i->a[0], bytes, l), b = get(w, i->b[0], bytes, l);
    u32 at = WREG(i->c[0])[l] & 255, n = WREG(i->e)[l] & 255;
    u64 ones = n >= 64 ? ~(u64)0 : ((u64)1 << n) - 1, field = at >= 64 ? 0 : ones << at;
    put(w, i->d[0], bytes, l, (b & ~field) | (at >= 64 ? 0 : a << at & field));
  }
}
void emu_bfe(emu *m, warp *w, const ins *i, u32 mask) {
  (void)m;
  u8 bytes = i->size;
  u32 width = bytes * 8u;
  bool is_signed = emu_types[i->type].family == 's';
  EACH_LANE(l) {
    u64 a = get(w, i->a[0], bytes, l);
    u32 at = WREG(i->b[0])[l] & 255, n = WREG(i->c[0])[l] & 255,
        top = at + n - 1 < width - 1 ? at + n - 1 : width - 1;
    u64 v = at >= width ? 0 : a >> at, ones = n >= 64 ? ~(u64)0 : ((u64)1 << n) - 1;
    bool negative = is_signed && n > 0 && (a >> top & 1);
    put(w, i->d[0], bytes, l,
        n == 0     ? 0
        : negative ? (v & ones) | ~(ones & (at >= width ? 0 : ~(u64)0 >> at >> (64 - width)))
                   : v & ones);
  }
}
void emu_shf(emu *m, warp *w, const ins *i, u32 mask) {
  u32 *d = WREG(i->d[0]);
  const u32 *a = WREG(i->a[0]), *b = WREG(i->b[0]), *c = WREG(i->c[0]);
  (void)m;
  EACH_LANE(l) {
    u64 v = (u64)b[l] << 32 | a[l];
    u32 n = i->boolop ? (c[l] > 32 ? 32 : c[l]) : c[l] & 31;
    d[l] = i->op ? (u32)(v << n >> 32) : (u32)(v >> n);
    if (i->op && n == 32) d[l] = a[l];
  }
}

/* --- floats with extras --- */

u32 emu_to_bf16(float v, int round) {
  u32 u = emu_u(v);
  if (v != v) return 0x7fff;
  if (round != R_RZ) u += 0x7fff + (u >> 16 & 1);
  return u >> 16;
}
float emu_from_f16(u32 v) {
  u32 sign = (v & 0x8000) << 16, e = v >> 10 & 31, f = v & 1023;
  if (e == 31) return emu_f(sign | 0x7f800000u | f << 13);
  if (e == 0) return (sign ? -1.0f : 1.0f) * (float)f * 0x1p-24f;
  return emu_f(sign | (e + 112) << 23 | f << 13);
}
u32 emu_to_f16(double v) {
  u32 sign = signbit(v) ? 0x8000 : 0;
  double a = fabs(v);
  int e;
  if (v != v) return 0x7fff;
  if (a >= 65520.0) return sign | 0x7c00;
  if (a < 0x1p-14) return sign | (u32)(int)nearbyint(a * 0x1p24);
  double f = frexp(a, &e);
  u32 q = (u32)(int)nearbyint(f * 2048.0);
  return sign | (((u32)(e + 14) << 10) + (q - 1024));
}

static float flushed(float v) {
  return fabsf(v) < 0x1p-126f ? copysignf(0.0f, v) : v;
}
static double compute(int op, double x, double y, double z) {
  switch (op) {
  case O_SIN: return sin(x);
  case O_COS: return cos(x);
  case O_TANH: return tanh(x);
  case O_EX2: return exp2(x);
  case O_LG2: return log2(x);
  case O_RSQRT: return 1.0 / sqrt(x);
  case O_COPYSIGN: return copysign(y, x);
  case O_NEG: return -x;
  case O_ABS: return fabs(x);
  case O_MIN: return x != x ? y : y != y ? x : x < y ? x : y;
  case O_MAX: return x != x ? y : y != y ? x : x > y ? x : y;
  default: return z;
  }
}
/* The operations whose rounding has a direction. */
static float rounded32(int op, float x, float y, float z) {
  volatile float a = x, b = y, c = z, r;
  switch (op) {
  case O_ADD: r = a + b; break;
  case O_SUB: r = a - b; break;
  case O_MUL: r = a * b; break;
  case O_FMA: r = fmaf(a, b, c); break;
  case O_DIV: r = a / b; break;
  case O_SQRT: r = sqrtf(a); break;
  case O_RCP: r = 1.0f / a; break;
  default: r = (float)compute(op, x, y, z); break;
  }
  return r;
}
static double rounded64(int op, double x, double y, double z) {
  volatile double a = x, b = y, c = z, r;
  switch (op) {
  case O_ADD: r = a + b; break;
  case O_SUB: r = a - b; break;
  case O_MUL: r = a * b; break;
  case O_FMA: r = fma(a, b, c); break;
  case O_DIV: r = a / b; break;
  case O_SQRT: r = sqrt(a); break;
  case O_RCP: r = 1.0 / a; break;
  default: r = compute(op, x, y, z); break;
  }
  return r;
}
/* To the direction, and back to nearest; nothing for the usual instruction, whose rounding is nearest. */
static void set_rounding(int r) {
  fesetround(r == R_RZ ? FE_TOWARDZERO : r == R_RM ? FE_DOWNWARD : r == R_RP ? FE_UPWARD : FE_TONEAREST);
}
void emu_float_op(emu *m, warp *w, const ins *i, u32 mask) {
  (void)m;
  bool ftz = i->flags & M_FTZ;
  if (i->round > R_RN) set_rounding(i->round);
  EACH_LANE(l) {
    float x = emu_f(WREG(i->a[0])[l]), y = emu_f(WREG(i->b[0])[l]), z = emu_f(WREG(i->c[0])[l]);
    if (ftz) x = flushed(x), y = flushed(y), z = flushed(z);
    float r = rounded32(i->op, x, y, z);
    if (ftz) r = flushed(r);
    if (i->flags & M_SAT) r = r > 0.0f ? (r < 1.0f ? r : 1.0f) : 0.0f;
    WREG(i->d[0])[l] = emu_u(r);
  }
  if (i->round > R_RN) set_rounding(R_RN);
}
void emu_double_op(emu *m, warp *w, const ins *i, u32 mask) {
  (void)m;
  if (i->round > R_RN) set_rounding(i->round);
  EACH_LANE(l)
  DREG(i->d[0])
  [l] = emu_ud(rounded64(i->op, emu_d(DREG(i->a[0])[l]), emu_d(DREG(i->b[0])[l]), emu_d(DREG(i->c[0])[l])));
  if (i->round > R_RN) set_rounding(R_RN);
}

/* Halves: computed in double, which holds product and sum of two of them exactly or to far below half an ulp. */
static u32 half_one(const ins *i, u32 x, u32 y, u32 z) {
  bool bf = i->type == T_BF16 || i->type == T_BF16X2;
  double a = bf ? emu_from_bf16(x) : emu_from_f16(x), b = bf ? emu_from_bf16(y) : emu_from_f16(y);
  double c = bf ? emu_from_bf16(z) : emu_from_f16(z), r;
  if (i->op == O_NEG) return x ^ 0x8000;
  if (i->op == O_ABS) return x & 0x7fff;
  r = i->op == O_ADD   ? a + b
      : i->op == O_SUB ? a - b
      : i->op == O_MUL ? a * b
      : i->op == O_FMA ? a * b + c
                       : compute(i->op, a, b, c);
  if (i->flags & M_RELU) r = r > 0 ? r : 0;
  if (i->flags & M_SAT) r = r > 0 ? (r < 1 ? r : 1) : 0;
  if (!bf) return emu_to_f16(r);
  float f = (float)r; /* to odd, so that the second rounding is right */
  if ((double)f != r && r == r && !isinf(f)) {
    u32 u = emu_u(f);
    if (fabs((double)f) > fabs(r)) u--;
    f = emu_f(u | 1);
  }
  return emu_to_bf16(f, R_RN);
}
void emu_half_op(emu *m, warp *w, const ins *i, u32 mask) {
  (void)m;
  EACH_LANE(l) {
    u32 x = WREG(i->a[0])[l], y = WREG(i->b[0])[l], z = WREG(i->c[0])[l];
    u32 r = half_one(i, x & 0xffff, y & 0xffff, z & 0xffff);
    if (i->size == 4) r |= half_one(i, x >> 16, y >> 16, z >> 16) << 16;
    WREG(i->d[0])[l] = r;
  }
}

/* --- comparison --- */

static bool compare_order(int cmp, bool less, bool equal, bool unordered) {
  switch (cmp) {
  case C_EQ: return equal;
  case C_NE: return !equal && !unordered;
  case C_LT:
  case C_LO: return less;
  case C_LE:
  case C_LS: return less || equal;
  case C_GT:
  case C_HI: return !less && !equal && !unordered;
  case C_GE:
  case C_HS: return !less && !unordered;
  case C_EQU: return equal || unordered;
  case C_NEU: return !equal;
  case C_LTU: return less || unordered;
  case C_LEU: return less || equal || unordered;
  case C_GTU: return !less && !equal;
  case C_GEU: return !less;
  case C_NUM: return !unordered;
  default: return unordered;
  }
}
static bool compare(const ins *i, u64 a, u64 b) {
  const type_info *t = &emu_types[i->type];
  if (t->family == 'f' || t->family == 'h') {
    double x, y;
    if (i->type == T_F64) {
      x = emu_d(a), y = emu_d(b);
    } else if (t->family == 'h') {
      bool bf = i->type == T_BF16;
      x = bf ? emu_from_bf16((u32)a) : emu_from_f16((u32)a), y = bf ? emu_from_bf16((u32)b) : emu_from_f16((u32)b);
    } else {
      x = emu_f((u32)a), y = emu_f((u32)b);
    }
    return compare_order(i->op, x < y, x == y, x != x || y != y);
  }
  int sh = 64 - 8 * t->size;
  a <<= sh, b <<= sh;
  bool less = t->family == 's' ? (i64)a < (i64)b : a < b;
  return compare_order(i->op, less, a == b, false);
}

#define COMPARED(T, TEST)                                                                                            \
  do {                                                                                                               \
    const T *x = (const T *)(const void *)a, *y = (const T *)(const void *)b;                                        \
    for (int l = 0; l < 32; l++) r |= (u32)(TEST) << l;                                                              \
  } while (0)
/* The frequent comparisons in one loop; false when it is none of them. */
static bool compare_fast(const ins *i, const u32 *a, const u32 *b, u32 *out) {
  u32 r = 0;
  if (i->type == T_S32) {
    switch (i->op) {
    case C_EQ: COMPARED(i32, x[l] == y[l]); break;
    case C_NE: COMPARED(i32, x[l] != y[l]); break;
    case C_LT: COMPARED(i32, x[l] < y[l]); break;
    case C_LE: COMPARED(i32, x[l] <= y[l]); break;
    case C_GT: COMPARED(i32, x[l] > y[l]); break;
    case C_GE: COMPARED(i32, x[l] >= y[l]); break;
    default: return false;
    }
  } else if (i->type == T_F32) {
    switch (i->op) {
    case C_EQ: COMPARED(float, x[l] == y[l]); break;
    case C_LT: COMPARED(float, x[l] < y[l]); break;
    case C_GT: COMPARED(float, x[l] > y[l]); break;
    case C_LE: COMPARED(float, x[l] <= y[l]); break;
    case C_GE: COMPARED(float, x[l] >= y[l]); break;
    default: return false;
    }
  } else if (i->type == T_S64) {
    switch (i->op) {
    case C_LT: COMPARED(i64, x[l] < y[l]); break;
    case C_GE: COMPARED(i64, x[l] >= y[l]); break;
    case C_EQ: COMPARED(i64, x[l] == y[l]); break;
    default: return false;
    }
  } else {
    return false;
  }
  *out = r;
  return true;
}

void emu_setp(emu *m, warp *w, const ins *i, u32 mask) {
  u32 r = 0, no;
  (void)m;
  if (i->flags & M_FTZ || !compare_fast(i, WREG(i->a[0]), WREG(i->b[0]), &r)) {
    u8 bytes = i->size == 8 ? 8 : 4;
    r = 0;
    EACH_LANE(l) {
      u64 x = get(w, i->a[0], bytes, l), y = get(w, i->b[0], bytes, l);
      if (i->flags & M_FTZ) x = emu_u(flushed(emu_f((u32)x))), y = emu_u(flushed(emu_f((u32)y)));
      r |= (u32)compare(i, x, y) << l;
    }
  }
  no = ~r;
  if (i->boolop) {
    u32 c = *WREG(i->c[0]);
    if (i->imm) c = ~c;
    r = i->boolop == 1 ? r & c : i->boolop == 2 ? r | c : r ^ c;
    no = i->boolop == 1 ? no & c : i->boolop == 2 ? no | c : no ^ c;
  }
  u32 *d = WREG(i->d[0]);
  *d = (*d & ~mask) | (r & mask);
  if (i->nd > 1) {
    d = WREG(i->d[1]);
    *d = (*d & ~mask) | (no & mask);
  }
}

/* --- conversion --- */

static double integral(double v, int round) {
  switch (round) {
  case R_RZI: return trunc(v);
  case R_RMI: return floor(v);
  case R_RPI: return ceil(v);
  default: return nearbyint(v);
  }
}
/* To an integer of the type, cut to its range; no number gives 0. */
static u64 to_integer(double v, const type_info *t) {
  int bits = t->size * 8;
  if (v != v) return 0;
  if (t->family == 's') {
    double top = ldexp(1.0, bits - 1);
    i64 hi = (i64)(((u64)1 << (bits - 1)) - 1);
    return (u64)(v >= top ? hi : v <= -top ? -hi - 1 : (i64)v);
  }
  double top = ldexp(1.0, bits);
  return v >= top ? (bits == 64 ? ~(u64)0 : ((u64)1 << bits) - 1) : v <= 0 ? 0 : (u64)v;
}
static bool is_float(int type) {
  char f = emu_types[type].family;
  return f == 'f' || f == 'h';
}
static u64 integer_to_float(const ins *i, i64 v, bool is_signed) {
  if (i->type == T_F64) return emu_ud(is_signed ? (double)v : (double)(u64)v);
  float f = is_signed ? (float)v : (float)(u64)v;
  return i->type == T_F32    ? emu_u(f)
         : i->type == T_BF16 ? emu_to_bf16(f, i->round)
                             : emu_to_f16(is_signed ? (double)v : (double)(u64)v);
}
static u64 float_to(const ins *i, u64 a) {
  double v = i->type2 == T_F64    ? emu_d(a)
             : i->type2 == T_F32  ? emu_f((u32)a)
             : i->type2 == T_BF16 ? emu_from_bf16(a & 0xffff)
                                  : emu_from_f16(a & 0xffff);
  if (i->flags & M_FTZ && i->type2 == T_F32) v = flushed((float)v);
  if (!is_float(i->type)) {
    u64 r = to_integer(integral(v, i->round), &emu_types[i->type]);
    return r;
  }
  if (i->round >= R_RNI) v = integral(v, i->round);
  if (i->flags & M_SAT) v = v > 0 ? (v < 1 ? v : 1) : 0;
  if (i->flags & M_RELU) v = v > 0 ? v : 0;
  if (i->type == T_F64) return emu_ud(v);
  if (i->type == T_BF16) return emu_to_bf16((float)v, i->round);
  if (i->type == T_F16) return emu_to_f16(v);
  if (i->round > R_RN) set_rounding(i->round);
  volatile double x = v;
  volatile float f = (float)x;
  if (i->round > R_RN) set_rounding(R_RN);
  return emu_u(i->flags & M_FTZ ? flushed(f) : f);
}
static u64 convert(const ins *i, u64 a) {
  const type_info *from = &emu_types[i->type2], *to = &emu_types[i->type];
  if (is_float(i->type2)) return float_to(i, a);
  int sh = 64 - 8 * from->size;
  i64 v = from->family == 's' ? (i64)(a << sh) >> sh : (i64)(a << sh >> sh);
  if (is_float(i->type)) return integer_to_float(i, v, from->family == 's');
  if (i->flags & M_SAT) {
    i64 hi = to->family == 's' ? (i64)(((u64)1 << (to->size * 8 - 1)) - 1)
             : to->size == 8   ? INT64_MAX
                               : (i64)(((u64)1 << to->size * 8) - 1);
    i64 lo = to->family == 's' ? -hi - 1 : 0;
    v = from->family != 's' && v < 0 ? hi : v > hi ? hi : v < lo ? lo : v;
  }
  return (u64)v;
}
/* Signed results fill the register. */
void emu_cvt(emu *m, warp *w, const ins *i, u32 mask) {
  (void)m;
  const type_info *to = &emu_types[i->type];
  int sh = 64 - 8 * to->size;
  EACH_LANE(l) {
    u64 v = convert(i, get(w, i->a[0], i->kinds[1], l));
    v = to->family == 's' ? (u64)((i64)(v << sh) >> sh) : v << sh >> sh;
    if (to->size == 2) v &= 0xffff;
    put(w, i->d[0], i->kinds[0], l, v);
  }
}
/* d = {a in the high half, b in the low half} */
void emu_cvt_bf16x2(emu *m, warp *w, const ins *i, u32 mask) {
  u32 *d = WREG(i->d[0]);
  const u32 *a = WREG(i->a[0]), *b = WREG(i->b[0]);
  bool bf = i->type == T_BF16X2;
  (void)m;
  EACH_LANE(l) {
    float x = emu_f(a[l]), y = emu_f(b[l]);
    if (i->flags & M_RELU) x = x > 0 ? x : 0, y = y > 0 ? y : 0;
    d[l] = bf ? emu_to_bf16(y, i->round) | emu_to_bf16(x, i->round) << 16 : emu_to_f16(y) | emu_to_f16(x) << 16;
  }
}
