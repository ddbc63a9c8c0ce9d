/* What the attention kernels share. */
#ifndef TD_OPS_CUDA_ATTN_PARTS_CUH
#define TD_OPS_CUDA_ATTN_PARTS_CUH

#include "ops/cuda/attn_args.h"
#include "ops/cuda/device.cuh"

#define ATTN_LOG2E 1.4426950408889634f
#define ATTN_LN2 0.6931471805599453f
#define ATTN_INF __int_as_float(0x7f800000)

/* --- walking a tile's runs, chunk by chunk --- */

struct chunk {
  int row, n; /* n = 0: none is left */
  float bias;
};

struct walk {
  const attn_run *run;
  int at, to, done;
};

DEVICE attn_tile tile_of(const attn_tile *tile) {
  int4 t = __ldg(reinterpret_cast<const int4 *>(tile) + blockIdx.x);
  return {t.x, t.y, t.z, t.w};
}

template <int ROWS> DEVICE chunk next_chunk(walk &w) {
  chunk c = {0, 0, 0};
  if (w.at >= w.to) return c;
  int4 r = __ldg(reinterpret_cast<const int4 *>(w.run) + w.at);
  c.row = r.x + w.done;
  c.n = min(ROWS, r.y - w.done);
  c.bias = __int_as_float(r.z);
  w.done += ROWS;
  if (w.done >= r.y) w.done = 0, w.at++;
  return c;
}

/* --- tensor cores: tiles of 64 columns of bf16, 128 bytes a row, the eight 16-byte pieces of a row exchanged by
 * its number, so that eight rows' equal pieces lie in different banks --- */

constexpr int ROW_BYTES = 2 * ATTN_MMA_DIM;
constexpr int BLOCK_BYTES = ATTN_MMA_ROWS * ROW_BYTES; /* a chunk of one matrix */

DEVICE uint32_t shared_of(const void *p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

/* 16 bytes to shared memory, zeros when !live. */
DEVICE void copy16(uint32_t to, const void *from, bool live) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(live ? 16 : 0) : "memory");
}
DEVICE void copy_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int LEFT> DEVICE void copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

/* Rows 0 .. n-1 of src to shared memory, rows n .. ROWS-1 zero. All threads of the block take part. */
template <int ROWS> DEVICE void copy_rows(uint32_t to, const bf16 *src, int64_t ld, int n) {
  int r = threadIdx.x >> 3, c = threadIdx.x & 7;
  uint32_t at = to + r * ROW_BYTES + ((c ^ (r & 7)) << 4);
#pragma unroll
  for (int i = 0; i < ROWS; i += ATTN_MMA_THREADS / 8) {
    bool live = r + i < n;
    copy16(at + i * ROW_BYTES, src + (live ? r + i : 0) * ld + c * 8, live);
  }
}

DEVICE void load4(uint32_t (&x)[4], uint32_t from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
               : "r"(from)
               : "memory");
}
DEVICE void load4_turned(uint32_t (&x)[4], uint32_t from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
               : "r"(from)
               : "memory");
}
/* c += a b: a 16x16, b 16x8. Lane 4g+t holds rows g and g+8, columns 2t and 2t+1 of c. */
DEVICE void mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
               "{%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
DEVICE float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
/* Where this lane's row begins for the fragments of a 16-row operand a, of b = rows^T, and of b = rows. */
struct lane_at {
  uint32_t row, piece, flip;
};
DEVICE lane_at lane_a() {
  uint32_t l = threadIdx.x & 31;
  return {(l & 15) * ROW_BYTES, l >> 4, l & 7};
}
DEVICE lane_at lane_b() {
  uint32_t l = threadIdx.x & 31;
  return {((l & 7) + (l >> 4) * 8) * ROW_BYTES, l >> 3 & 1, l & 7};
}
/* Address of the 16-byte piece `piece` (+ the lane's own) of the lane's row in the rows from `base` on. */
DEVICE uint32_t piece_at(uint32_t base, lane_at l, uint32_t piece) {
  return base + l.row + (((piece + l.piece) ^ l.flip) << 4);
}

/* Fragments of a 16 x 64 operand. */
DEVICE void load_a(uint32_t (&a)[4][4], uint32_t base) {
  lane_at l = lane_a();
#pragma unroll
  for (int k = 0; k < 4; k++) load4(a[k], piece_at(base, l, 2 * k));
}

/* The lanes' parts of 16 rows of a product times scale, to shared memory as bf16. */
DEVICE void put_rows(char *base, const float (&x)[8][4], float s0, float s1) {
  int g = (threadIdx.x & 31) >> 2, t = threadIdx.x & 3;
#pragma unroll
  for (int j = 0; j < 8; j++) {
    char *p = base + g * ROW_BYTES + ((j ^ g) << 4) + 4 * t;
    *reinterpret_cast<uint32_t *>(p) = pack2(x[j][0] * s0, x[j][1] * s0);
    *reinterpret_cast<uint32_t *>(p + 8 * ROW_BYTES) = pack2(x[j][2] * s1, x[j][3] * s1);
  }
}
/* 16 rows from shared memory to row 0 .. n-1 of dst, by one warp. */
DEVICE void store_rows(bf16 *dst, int64_t ld, int n, const char *base) {
  int r = (threadIdx.x & 31) >> 3, c = threadIdx.x & 7;
#pragma unroll
  for (int i = 0; i < 16; i += 4, r += 4) {
    uint4 x = *reinterpret_cast<const uint4 *>(base + r * ROW_BYTES + ((c ^ (r & 7)) << 4));
    if (r < n) *reinterpret_cast<uint4 *>(dst + r * ld + c * 8) = x;
  }
}

/* --- plain kernels: any head size up to 128, arithmetic in fp32. 64 threads; thread (ty, tx) holds rows ty + 8i and
 * columns tx + 8j of a 32 x 32 tile, and columns 4tx + 32j .. +3 of a tile of head size --- */

DEVICE float4 widen4(const float *p) {
  return *reinterpret_cast<const float4 *>(p);
}
DEVICE float4 widen4(const bf16 *p) {
  uint2 x = *reinterpret_cast<const uint2 *>(p);
  return make_float4(__uint_as_float(x.x << 16), __uint_as_float(x.x & 0xffff0000u), __uint_as_float(x.y << 16),
                     __uint_as_float(x.y & 0xffff0000u));
}
DEVICE void narrow4(float4 x, float *p) {
  *reinterpret_cast<float4 *>(p) = x;
}
DEVICE void narrow4(float4 x, bf16 *p) {
  *reinterpret_cast<uint2 *>(p) = make_uint2(pack2(x.x, x.y), pack2(x.z, x.w));
}

/* Four columns from p on, of which `left` exist. */
template <class S> DEVICE float4 take4(const S *p, int left, int wide) {
  float4 x = make_float4(0, 0, 0, 0);
  if (left <= 0) return x;
  if (wide) return widen4(p);
  x.x = widen(p[0]);
  if (left > 1) x.y = widen(p[1]);
  if (left > 2) x.z = widen(p[2]);
  if (left > 3) x.w = widen(p[3]);
  return x;
}
template <class S> DEVICE void give4(S *p, float4 x, int left, int wide) {
  if (left <= 0) return;
  if (wide) {
    narrow4(x, p);
    return;
  }
  narrow(x.x, p);
  if (left > 1) narrow(x.y, p + 1);
  if (left > 2) narrow(x.z, p + 2);
  if (left > 3) narrow(x.w, p + 3);
}

/* One tile of DIM columns in shared memory; columns from dim and rows from n on are zero. */
template <class S, int DIM> DEVICE void load_plain(float *to, const S *src, int64_t ld, int n, int dim, int wide) {
#pragma unroll 4
  for (int i = threadIdx.x; i < ATTN_PLAIN_ROWS * DIM / 4; i += ATTN_PLAIN_THREADS) {
    int r = i / (DIM / 4), c = i % (DIM / 4) * 4;
    float4 x = take4(src + r * ld + c, r < n ? dim - c : 0, wide);
    *reinterpret_cast<float4 *>(to + r * (DIM + ATTN_PLAIN_PAD) + c) = x;
  }
}

/* x = a b^T over the first `dim` columns. */
template <int DIM> DEVICE void times_turned(float (&x)[4][4], const float *a, const float *b, int dim) {
  constexpr int LD = DIM + ATTN_PLAIN_PAD;
  int ty = threadIdx.x >> 3, tx = threadIdx.x & 7;
#pragma unroll
  for (int i = 0; i < 16; i++) x[i >> 2][i & 3] = 0;
#pragma unroll 2
  for (int d = 0; d < dim; d += 4) {
    float4 p[4], q[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
      p[i] = *reinterpret_cast<const float4 *>(a + (ty + 8 * i) * LD + d);
      q[i] = *reinterpret_cast<const float4 *>(b + (tx + 8 * i) * LD + d);
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
      for (int j = 0; j < 4; j++) {
        x[i][j] = fmaf(p[i].x, q[j].x, x[i][j]);
        x[i][j] = fmaf(p[i].y, q[j].y, x[i][j]);
        x[i][j] = fmaf(p[i].z, q[j].z, x[i][j]);
        x[i][j] = fmaf(p[i].w, q[j].w, x[i][j]);
      }
    }
  }
}

/* A 32 x 32 tile to shared memory, for lanes of the same warp. */
DEVICE void put_plain(float *to, const float (&x)[4][4]) {
  int ty = threadIdx.x >> 3, tx = threadIdx.x & 7;
#pragma unroll
  for (int i = 0; i < 4; i++) {
#pragma unroll
    for (int j = 0; j < 4; j++) to[(ty + 8 * i) * ATTN_PLAIN_PROBS + tx + 8 * j] = x[i][j];
  }
}

/* x += a b: a 32 x 32 put by put_plain, b a tile of DIM columns. */
template <int DIM> DEVICE void add_times(float4 (&x)[4][DIM / 32], const float *a, const float *b) {
  constexpr int LD = DIM + ATTN_PLAIN_PAD;
  int ty = threadIdx.x >> 3, tx = threadIdx.x & 7;
#pragma unroll 2
  for (int k = 0; k < ATTN_PLAIN_ROWS; k++) {
    float p[4];
#pragma unroll
    for (int i = 0; i < 4; i++) p[i] = a[(ty + 8 * i) * ATTN_PLAIN_PROBS + k];
#pragma unroll
    for (int j = 0; j < DIM / 32; j++) {
      float4 q = *reinterpret_cast<const float4 *>(b + k * LD + 4 * tx + 32 * j);
#pragma unroll
      for (int i = 0; i < 4; i++) {
        x[i][j].x = fmaf(p[i], q.x, x[i][j].x);
        x[i][j].y = fmaf(p[i], q.y, x[i][j].y);
        x[i][j].z = fmaf(p[i], q.z, x[i][j].z);
        x[i][j].w = fmaf(p[i], q.w, x[i][j].w);
      }
    }
  }
}

/* Rows of the tile times row scales -> dst. */
template <class S, int DIM>
DEVICE void store_plain(mat m, attn_tile t, int col, const float4 (&x)[4][DIM / 32], const float (&s)[4], int dim,
                        int wide) {
  int ty = threadIdx.x >> 3, tx = threadIdx.x & 7;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    if (ty + 8 * i >= t.rows) continue;
#pragma unroll
    for (int j = 0; j < DIM / 32; j++) {
      int c = 4 * tx + 32 * j;
      float4 y = make_float4(x[i][j].x * s[i], x[i][j].y * s[i], x[i][j].z * s[i], x[i][j].w * s[i]);
      give4(at<S>(m, t.row + ty + 8 * i, col + c), y, dim - c, wide);
    }
  }
}

#endif
