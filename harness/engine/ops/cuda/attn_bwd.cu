/* Flash attention, backward, without atomics: row sums of d_o * o, then one kernel over tiles of keys for dk and dv
 * and one over tiles of queries for dq. Both recompute the probabilities; in exchange every sum has one owner and one
 * order. Keys or queries of the tile are the rows of every product, so probabilities never leave their lanes' rows
 * and the two kernels are one source. */
#include "ops/cuda/attn_parts.cuh"

/* --- bf16, head size 64: 4 warps of 16 rows; the other side in two buffers, 64 rows at a time --- */

constexpr int HALF = 32; /* columns of probabilities in registers at a time */

template <bool KEYS> struct mma_bwd_state {
  uint32_t a1[4][4], a2[4][4];
  float out1[8][4], out2[KEYS ? 8 : 1][4];
  float lse[2], delta[2]; /* of rows g and g+8, in log2 units; queries only */
};

/* x = a b^T, b the 32 rows from `b` on */
DEVICE void mma_half(float (&x)[4][4], const uint32_t (&a)[4][4], uint32_t b) {
  lane_at l = lane_b();
#pragma unroll
  for (int i = 0; i < 16; i++) x[i >> 2][i & 3] = 0;
#pragma unroll
  for (int d = 0; d < 4; d++) {
#pragma unroll
    for (int j = 0; j < 2; j++) {
      uint32_t f[4];
      load4(f, piece_at(b + 16 * j * ROW_BYTES, l, 2 * d));
      mma(x[2 * j], a[d], f[0], f[1]);
      mma(x[2 * j + 1], a[d], f[2], f[3]);
    }
  }
}

/* out += x b, b the 32 rows from `b` on */
DEVICE void mma_add(float (&out)[8][4], const float (&x)[4][4], uint32_t b) {
  lane_at l = lane_a();
#pragma unroll
  for (int k = 0; k < 2; k++) {
    uint32_t a[4] = {pack2(x[2 * k][0], x[2 * k][1]), pack2(x[2 * k][2], x[2 * k][3]),
                     pack2(x[2 * k + 1][0], x[2 * k + 1][1]), pack2(x[2 * k + 1][2], x[2 * k + 1][3])};
#pragma unroll
    for (int d = 0; d < 4; d++) {
      uint32_t f[4];
      load4_turned(f, piece_at(b + 16 * k * ROW_BYTES, l, 2 * d));
      mma(out[2 * d], a, f[0], f[1]);
      mma(out[2 * d + 1], a, f[2], f[3]);
    }
  }
}

/* x, y -> p, ds. `cols`: lse and delta of the 32 columns (keys), `left` columns exist (queries). */
template <bool KEYS>
DEVICE void mma_probs(float (&x)[4][4], float (&y)[4][4], const mma_bwd_state<KEYS> &st, const float *cols, int left,
                      float scale, float bias) {
  int t = threadIdx.x & 3;
#pragma unroll
  for (int j = 0; j < 4; j++) {
    float2 lse, delta;
    if (KEYS) {
      lse = *reinterpret_cast<const float2 *>(cols + 8 * j + 2 * t);
      delta = *reinterpret_cast<const float2 *>(cols + ATTN_MMA_ROWS + 8 * j + 2 * t);
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
      float l = KEYS ? (i & 1 ? lse.y : lse.x) : st.lse[i >> 1];
      float d = KEYS ? (i & 1 ? delta.y : delta.x) : st.delta[i >> 1];
      float p = exp2_fast(fmaf(x[j][i], scale, bias - l));
      if (!KEYS && 8 * j + 2 * t + (i & 1) >= left) p = 0;
      x[j][i] = p;
      y[j][i] = p * (y[j][i] - d);
    }
  }
}

DEVICE void mma_bwd_fetch(const attn_bwd_args &a, const chunk &c, uint32_t to) {
  int col = blockIdx.y * ATTN_MMA_DIM;
  copy_rows<ATTN_MMA_ROWS>(to, at<bf16>(a.b1, c.row, col), a.b1.ld, c.n);
  copy_rows<ATTN_MMA_ROWS>(to + BLOCK_BYTES, at<bf16>(a.b2, c.row, col), a.b2.ld, c.n);
}

/* This thread's part of a chunk's lse (first half of the block) or delta (second). A row that is none gets weight 0.
 */
DEVICE float column_value(const attn_bwd_args &a, const chunk &c) {
  int r = threadIdx.x % ATTN_MMA_ROWS;
  if (threadIdx.x < ATTN_MMA_ROWS)
    return r < c.n ? __ldg(a.lse + blockIdx.y * a.lse_ld + c.row + r) * ATTN_LOG2E : ATTN_INF;
  return r < c.n ? __ldg(a.delta + blockIdx.y * a.delta_ld + c.row + r) : 0;
}

template <bool KEYS> DEVICE void mma_bwd_rows(const attn_bwd_args &a, attn_tile tile, mma_bwd_state<KEYS> &st) {
  int first = 16 * (threadIdx.x >> 5) + ((threadIdx.x & 31) >> 2);
#pragma unroll
  for (int h = 0; h < 2; h++) {
    int r = first + 8 * h;
    bool live = r < tile.rows;
    st.lse[h] = live ? a.lse[blockIdx.y * a.lse_ld + tile.row + r] * ATTN_LOG2E : ATTN_INF;
    st.delta[h] = live ? a.delta[blockIdx.y * a.delta_ld + tile.row + r] : 0;
  }
}

template <bool KEYS> DEVICE void mma_backward(const attn_bwd_args &a) {
  __shared__ __align__(128) char shared[4 * BLOCK_BYTES];
  __shared__ __align__(16) float cols[2][2 * ATTN_MMA_ROWS];
  attn_tile tile = tile_of(a.tile);
  walk w = {a.run, tile.from, tile.to, 0};
  uint32_t base = shared_of(shared), other = base + 2 * BLOCK_BYTES;
  int warp = threadIdx.x >> 5, col = blockIdx.y * ATTN_MMA_DIM;
  float scale = a.scale * ATTN_LOG2E;
  mma_bwd_state<KEYS> st;
#pragma unroll
  for (int i = 0; i < 32; i++) st.out1[i >> 2][i & 3] = 0;
#pragma unroll
  for (int i = 0; i < (KEYS ? 32 : 4); i++) st.out2[i >> 2][i & 3] = 0;

  /* the tile's own rows pass through the second buffer, which the loop fills only after its first barrier */
  chunk now = next_chunk<ATTN_MMA_ROWS>(w), next = next_chunk<ATTN_MMA_ROWS>(w);
  copy_rows<ATTN_MMA_ROWS>(other, at<bf16>(a.a1, tile.row, col), a.a1.ld, tile.rows);
  copy_rows<ATTN_MMA_ROWS>(other + BLOCK_BYTES, at<bf16>(a.a2, tile.row, col), a.a2.ld, tile.rows);
  copy_commit();
  mma_bwd_fetch(a, now, base);
  copy_commit();
  if (KEYS) cols[0][threadIdx.x] = column_value(a, now);
  if (!KEYS) mma_bwd_rows<KEYS>(a, tile, st);
  copy_wait<1>();
  __syncthreads();
  load_a(st.a1, other + 16 * warp * ROW_BYTES);
  load_a(st.a2, other + BLOCK_BYTES + 16 * warp * ROW_BYTES);

  for (int turn = 0; now.n; turn ^= 1) {
    copy_wait<0>();
    __syncthreads(); /* the chunk is here for all, and nobody reads the other buffer any more */
    uint32_t b = base + turn * 2 * BLOCK_BYTES;
    float ahead = 0;
    if (next.n) mma_bwd_fetch(a, next, base + (turn ^ 1) * 2 * BLOCK_BYTES);
    copy_commit();
    if (KEYS) ahead = column_value(a, next);
    chunk after = next_chunk<ATTN_MMA_ROWS>(w);
#pragma unroll
    for (int h = 0; h < 2; h++) {
      float x[4][4], y[4][4];
      uint32_t b1 = b + h * HALF * ROW_BYTES, b2 = b1 + BLOCK_BYTES;
      mma_half(x, st.a1, b1);
      mma_half(y, st.a2, b2);
      mma_probs<KEYS>(x, y, st, cols[turn] + h * HALF, now.n - h * HALF, scale, now.bias * ATTN_LOG2E);
      if constexpr (KEYS) mma_add(st.out2, x, b2);
      mma_add(st.out1, y, b1);
    }
    if (KEYS) cols[turn ^ 1][threadIdx.x] = ahead;
    now = next, next = after;
  }
  __syncthreads(); /* the buffers become the way out */
  char *own = shared + 16 * warp * ROW_BYTES;
  put_rows(own, st.out1, a.scale, a.scale);
  if constexpr (KEYS) put_rows(own + BLOCK_BYTES, st.out2, 1, 1);
  __syncwarp();
  int first = 16 * warp, n = tile.rows - first;
  store_rows(at<bf16>(a.out1, tile.row + first, col), a.out1.ld, n, own);
  if (KEYS) store_rows(at<bf16>(a.out2, tile.row + first, col), a.out2.ld, n, own + BLOCK_BYTES);
}

extern "C" __global__ void __launch_bounds__(ATTN_MMA_THREADS, 2) attn_keys_mma(const attn_bwd_args a) {
  mma_backward<true>(a);
}
extern "C" __global__ void __launch_bounds__(ATTN_MMA_THREADS, 3) attn_queries_mma(const attn_bwd_args a) {
  mma_backward<false>(a);
}

/* --- any head size up to DIM, any storage --- */

/* lse (log2 units) and delta of one row; a row that is none gets weight 0. */
DEVICE float2 row_values(const attn_bwd_args &a, int row, bool live) {
  if (!live) return make_float2(ATTN_INF, 0);
  return make_float2(a.lse[blockIdx.y * a.lse_ld + row] * ATTN_LOG2E, a.delta[blockIdx.y * a.delta_ld + row]);
}

/* x, y -> p, ds */
template <bool KEYS>
DEVICE void plain_probs(const attn_bwd_args &a, float (&x)[4][4], float (&y)[4][4], attn_tile tile, const chunk &c) {
  int ty = threadIdx.x >> 3, tx = threadIdx.x & 7;
  float scale = a.scale * ATTN_LOG2E, bias = c.bias * ATTN_LOG2E;
  float2 v[4];
#pragma unroll
  for (int i = 0; i < 4; i++) {
    int r = (KEYS ? tx : ty) + 8 * i;
    v[i] = row_values(a, (KEYS ? c.row : tile.row) + r, r < (KEYS ? c.n : tile.rows));
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
#pragma unroll
    for (int j = 0; j < 4; j++) {
      float2 u = v[KEYS ? j : i];
      float p = exp2f(fmaf(x[i][j], scale, bias) - u.x);
      if (!KEYS && tx + 8 * j >= c.n) p = 0;
      x[i][j] = p;
      y[i][j] = p * (y[i][j] - u.y);
    }
  }
}

template <class S, int DIM, bool KEYS> DEVICE void plain_backward(const attn_bwd_args &a) {
  extern __shared__ __align__(16) float plain_shared[];
  constexpr int TILE = ATTN_PLAIN_ROWS * (DIM + ATTN_PLAIN_PAD);
  float *a1 = plain_shared, *a2 = a1 + TILE, *b1 = a2 + TILE, *b2 = b1 + TILE, *p = b2 + TILE;
  float *ds = p + ATTN_PLAIN_ROWS * ATTN_PLAIN_PROBS;
  attn_tile tile = tile_of(a.tile);
  walk w = {a.run, tile.from, tile.to, 0};
  int col = blockIdx.y * a.dim;
  float4 out1[4][DIM / 32], out2[4][DIM / 32];
#pragma unroll
  for (int i = 0; i < 4 * DIM / 32; i++) {
    out1[i % 4][i / 4] = make_float4(0, 0, 0, 0);
    out2[i % 4][i / 4] = make_float4(0, 0, 0, 0);
  }
  load_plain<S, DIM>(a1, at<S>(a.a1, tile.row, col), a.a1.ld, tile.rows, a.dim, a.wide);
  load_plain<S, DIM>(a2, at<S>(a.a2, tile.row, col), a.a2.ld, tile.rows, a.dim, a.wide);
  for (chunk c = next_chunk<ATTN_PLAIN_ROWS>(w); c.n; c = next_chunk<ATTN_PLAIN_ROWS>(w)) {
    float x[4][4], y[4][4];
    load_plain<S, DIM>(b1, at<S>(a.b1, c.row, col), a.b1.ld, c.n, a.dim, a.wide);
    load_plain<S, DIM>(b2, at<S>(a.b2, c.row, col), a.b2.ld, c.n, a.dim, a.wide);
    __syncthreads();
    times_turned<DIM>(x, a1, b1, a.dim);
    times_turned<DIM>(y, a2, b2, a.dim);
    plain_probs<KEYS>(a, x, y, tile, c);
    if (KEYS) put_plain(p, x);
    put_plain(ds, y);
    __syncwarp();
    if (KEYS) add_times<DIM>(out2, p, b2);
    add_times<DIM>(out1, ds, b1);
    __syncthreads();
  }
  float scale[4] = {a.scale, a.scale, a.scale, a.scale}, one[4] = {1, 1, 1, 1};
  store_plain<S, DIM>(a.out1, tile, col, out1, scale, a.dim, a.wide);
  if (KEYS) store_plain<S, DIM>(a.out2, tile, col, out2, one, a.dim, a.wide);
}

#define PLAIN(name, S, DIM, KEYS)                                                                                    \
  extern "C" __global__ void __launch_bounds__(ATTN_PLAIN_THREADS, 3) name(const attn_bwd_args a) {                  \
    plain_backward<S, DIM, KEYS>(a);                                                                                 \
  }
PLAIN(attn_keys_f32_64, float, 64, true)
PLAIN(attn_keys_f32_128, float, 128, true)
PLAIN(attn_keys_bf16_64, bf16, 64, true)
PLAIN(attn_keys_bf16_128, bf16, 128, true)
PLAIN(attn_queries_f32_64, float, 64, false)
PLAIN(attn_queries_f32_128, float, 128, false)
PLAIN(attn_queries_bf16_64, bf16, 64, false)
PLAIN(attn_queries_bf16_128, bf16, 128, false)

/* --- row sums of o * d_o: eight lanes a row --- */

template <class S> DEVICE void delta_rows(const attn_delta_args &a) {
  attn_tile tile = tile_of(a.tile);
  int lane = threadIdx.x & 7, col = blockIdx.y * a.dim;
  for (int first = 0; first < tile.rows; first += ATTN_DELTA_THREADS / 8) {
    int r = first + (threadIdx.x >> 3);
    float sum = 0;
    for (int c = 4 * lane; c < a.dim; c += 32) {
      int left = r < tile.rows ? a.dim - c : 0;
      float4 x = take4(at<S>(a.o, tile.row + r, col + c), left, a.wide);
      float4 y = take4(at<S>(a.d_o, tile.row + r, col + c), left, a.wide);
      sum = fmaf(x.x, y.x, sum);
      sum = fmaf(x.y, y.y, sum);
      sum = fmaf(x.z, y.z, sum);
      sum = fmaf(x.w, y.w, sum);
    }
#pragma unroll
    for (int d = 4; d; d >>= 1) sum += __shfl_xor_sync(FULL, sum, d);
    if (lane == 0 && r < tile.rows) a.delta[blockIdx.y * a.delta_ld + tile.row + r] = sum;
  }
}

extern "C" __global__ void __launch_bounds__(ATTN_DELTA_THREADS) attn_delta_f32(const attn_delta_args a) {
  delta_rows<float>(a);
}
extern "C" __global__ void __launch_bounds__(ATTN_DELTA_THREADS) attn_delta_bf16(const attn_delta_args a) {
  delta_rows<bf16>(a);
}
