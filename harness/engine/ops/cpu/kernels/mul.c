/* The tile product, and the copies that prepare its operands. The only floating expression here is r = a * b + r, so
 * that with contraction on no compiler has a choice of what to fuse; vectors only widen it. */
#include "ops/cpu/cpu.h"

#include <string.h>

#if defined(__AVX512F__)
#define VB 64
#define MR 12
#elif defined(__AVX2__)
#define VB 32
#define MR 6
#else
#define VB 16
#define MR 6
#endif
typedef real vec __attribute__((vector_size(VB), aligned(sizeof(real)), may_alias));
enum { VW = VB / (int)sizeof(real), NR = 2 * VW };

#define TD_INLINE static inline __attribute__((always_inline))
/* Accumulators stay in registers only if the loops over them are gone before the compiler splits arrays up. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

typedef struct tile {
  const real *a, *b, *row_scale;
  int64_t a_row, a_k, b_k, k;
  real *c;
  int64_t ldc;
  real alpha;
  int mode;
} tile;
enum { TILE_RAW, TILE_SET, TILE_ADD, TILE_ROWS };

TD_INLINE vec load(const real *p) {
  return *(const vec *)p;
}
TD_INLINE void store(real *p, vec v) {
  *(vec *)p = v;
}

TD_INLINE void write_tile(const int mr, const int nv, const tile *x, vec r[MR][2]) {
  UNROLL for (int i = 0; i < mr; i++) {
    real *c = x->c + i * x->ldc;
    UNROLL for (int j = 0; j < nv; j++) {
      vec out = r[i][j];
      if (x->mode == TILE_SET) out = x->alpha * out + (vec){0};
      if (x->mode == TILE_ADD) out = x->alpha * out + load(c + j * VW);
      if (x->mode == TILE_ROWS) out = x->row_scale[i] * load(c + j * VW) + out;
      store(c + j * VW, out);
    }
  }
}

/* Twelve rows reached from four pointers: one index register and scales 1 and 2 address the rest. */
TD_INLINE void product(const int mr, const int nv, const tile *x) {
  vec r[MR][2];
  UNROLL for (int i = 0; i < mr; i++) {
    UNROLL for (int j = 0; j < nv; j++) r[i][j] = (vec){0};
  }
  const int64_t row = x->a_row, a_k = x->a_k, b_k = x->b_k;
  const real *b = x->b, *p0 = x->a, *p1 = mr > 3 ? p0 + 3 * row : p0, *p2 = mr > 6 ? p0 + 6 * row : p0,
             *p3 = mr > 9 ? p0 + 9 * row : p0;
  for (int64_t k = x->k; k > 0; k--) {
    vec b0 = load(b), b1 = nv > 1 ? load(b + VW) : b0;
    UNROLL for (int i = 0; i < mr; i++) {
      const real *p = i < 3 ? p0 : i < 6 ? p1 : i < 9 ? p2 : p3;
      real a = p[(i % 3) * row];
      r[i][0] = a * b0 + r[i][0];
      if (nv > 1) r[i][1] = a * b1 + r[i][1];
    }
    b += b_k, p0 += a_k, p1 += a_k, p2 += a_k, p3 += a_k;
  }
  write_tile(mr, nv, x, r);
}

#define TILE(m)                                                                                                      \
  static void tile_##m##_1(const tile *x) {                                                                          \
    product(m, 1, x);                                                                                                \
  }                                                                                                                  \
  static void tile_##m##_2(const tile *x) {                                                                          \
    product(m, 2, x);                                                                                                \
  }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
#if MR > 6
TILE(7)
TILE(8)
TILE(9)
TILE(10)
TILE(11)
TILE(12)
#endif
#define ROW(m)                                                                                                       \
  { tile_##m##_1, tile_##m##_2 }
static void (*const tiles[MR][2])(const tile *) = {ROW(1),  ROW(2), ROW(3), ROW(4),
                                                   ROW(5),  ROW(6),
#if MR > 6
                                                   ROW(7),  ROW(8), ROW(9), ROW(10),
                                                   ROW(11), ROW(12)
#endif
};

/* A tile whose last vector is partly outside C: whole vectors into a buffer, then element by element. */
static void ragged(int mr, int64_t n, const tile *x) {
  real buf[MR * NR];
  tile y = *x;
  y.c = buf;
  y.ldc = NR;
  y.mode = TILE_RAW;
  tiles[mr - 1][n > VW](&y);
  for (int i = 0; i < mr; i++) {
    real *c = x->c + i * x->ldc;
    for (int64_t j = 0; j < n; j++) {
      real r = buf[i * NR + j];
      if (x->mode == TILE_SET) r = x->alpha * r + 0;
      if (x->mode == TILE_ADD) r = x->alpha * r + c[j];
      if (x->mode == TILE_ROWS) r = x->row_scale[i] * c[j] + r;
      c[j] = r;
    }
  }
}

static void block(const mul_block *x) {
  tile t = {.a_row = x->a_row, .a_k = x->a_k, .b_k = x->b_k, .k = x->k, .ldc = x->ldc, .alpha = x->alpha};
  t.mode = x->row_scale ? TILE_ROWS : x->add ? TILE_ADD : TILE_SET;
  for (int64_t j = 0; j < x->n; j += NR) {
    int64_t n = x->n - j < NR ? x->n - j : NR;
    t.b = x->b + j / NR * x->b_panel;
    for (int64_t i = 0; i < x->m; i += MR) {
      int mr = x->m - i < MR ? (int)(x->m - i) : MR;
      t.a = x->a + i / MR * x->a_panel;
      t.c = x->c + i * x->ldc + j;
      t.row_scale = x->row_scale ? x->row_scale + i : NULL;
      if (n % VW == 0) {
        tiles[mr - 1][n > VW](&t);
      } else {
        ragged(mr, n, &t);
      }
    }
  }
}

/* Transposition of VW x VW by exchanging, at distance s = 1, 2, 4..., the lanes that differ in bit s. */
#define LO(l, s) ((l) & (s) ? VW + (l) - (s) : (l))
#define HI(l, s) ((l) & (s) ? VW + (l) : (l) + (s))
#define IDX2(F, s) F(0, s), F(1, s)
#define IDX4(F, s) IDX2(F, s), F(2, s), F(3, s)
#define IDX8(F, s) IDX4(F, s), F(4, s), F(5, s), F(6, s), F(7, s)
#define IDX16(F, s) IDX8(F, s), F(8, s), F(9, s), F(10, s), F(11, s), F(12, s), F(13, s), F(14, s), F(15, s)
#ifdef TD_REAL_F64
#if VB == 64
#define LANES(F, s) IDX8(F, s)
#elif VB == 32
#define LANES(F, s) IDX4(F, s)
#else
#define LANES(F, s) IDX2(F, s)
#endif
#else
#if VB == 64
#define LANES(F, s) IDX16(F, s)
#elif VB == 32
#define LANES(F, s) IDX8(F, s)
#else
#define LANES(F, s) IDX4(F, s)
#endif
#endif
#define STAGE(s)                                                                                                     \
  if (VW > (s)) {                                                                                                    \
    UNROLL for (int i = 0; i < VW; i++) {                                                                            \
      if (!(i & (s))) {                                                                                              \
        vec lo = __builtin_shufflevector(r[i], r[(i + (s)) % VW], LANES(LO, (s) % VW));                              \
        vec hi = __builtin_shufflevector(r[i], r[(i + (s)) % VW], LANES(HI, (s) % VW));                              \
        r[i] = lo;                                                                                                   \
        r[(i + (s)) % VW] = hi;                                                                                      \
      }                                                                                                              \
    }                                                                                                                \
  }

TD_INLINE void transpose(vec r[VW]){STAGE(1) STAGE(2) STAGE(4) STAGE(8)}

/* VW source rows (n of them real) -> VW lanes of dst. Whole vectors are stored in ascending k, so lanes beyond
 * `width` are overwritten by the next k. */
TD_INLINE void pack_lanes(int width, int64_t n, int64_t kc, const real *src, int64_t ld, real *dst) {
  int64_t k = 0;
  for (; k + VW <= kc; k += VW) {
    vec r[VW];
    UNROLL for (int i = 0; i < VW; i++) r[i] = i < n ? load(src + i * ld + k) : (vec){0};
    transpose(r);
    UNROLL for (int i = 0; i < VW; i++) store(dst + (k + i) * width, r[i]);
  }
  int lanes = width < VW ? width : VW;
  for (; k < kc; k++) {
    for (int i = 0; i < lanes; i++) dst[k * width + i] = i < n ? src[i * ld + k] : 0;
  }
}

static void pack_t(int width, int64_t n, int64_t kc, const real *src, int64_t ld, real *dst) {
  for (int g = 0; g < width; g += VW) {
    int64_t left = n - g < 0 ? 0 : n - g;
    int w = width;
    /* a last group narrower than a vector must not spill into lanes of the next k that are already there */
    if (g && width - g < VW) {
      for (int64_t k = 0; k < kc; k++) {
        for (int i = g; i < w; i++) dst[k * w + i] = i < n ? src[i * ld + k] : 0;
      }
    } else {
      pack_lanes(w, left, kc, src + g * ld, ld, dst + g);
    }
  }
}

/* One panel's part of one source row. */
TD_INLINE void copy_lanes(int width, int64_t n, const real *src, real *dst) {
  if (n >= NR && width == NR) {
    store(dst, load(src));
    store(dst + VW, load(src + VW));
  } else if (n >= MR && width == MR) {
    memcpy(dst, src, MR * sizeof(real));
  } else {
    for (int w = 0; w < width; w++) dst[w] = w < n ? src[w] : 0;
  }
}

/* Rows lie a page or more apart, where the processor does not prefetch by itself. */
enum { AHEAD = 8, LINE = 64 / (int)sizeof(real) };

static void pack_n(int width, int64_t n, int64_t kc, const real *src, int64_t ld, real *dst) {
  for (int64_t k = 0; k < kc; k++) {
    if (k + AHEAD < kc) {
      for (int64_t w = 0; w < n; w += LINE) __builtin_prefetch(src + (k + AHEAD) * ld + w);
    }
    for (int64_t w = 0; w < n; w += width) copy_lanes(width, n - w, src + k * ld + w, dst + w * kc + k * width);
  }
}

const mul_kernels CPU_NAME(mul_kernels_, TD_ISA) = {
    .mr = MR, .nr = NR, .vw = VW, .block = block, .pack_t = pack_t, .pack_n = pack_n};
