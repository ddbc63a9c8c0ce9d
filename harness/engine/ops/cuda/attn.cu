/* Flash attention, forward. One block: one tile of queries of one head against its runs of keys, softmax carried
 * along in units of log2. */
#include "ops/cuda/attn_parts.cuh"

/* --- bf16, head size 64: 4 warps of 32 queries; keys and values in two buffers --- */

struct mma_state {
  float o[2][8][4];
  float max[2][2], sum[2][2]; /* rows g and g+8 of the warp's two 16-row parts */
};

/* s = q k^T */
DEVICE void mma_scores(float (&s)[2][8][4], const uint32_t (&q)[2][4][4], uint32_t k) {
  lane_at l = lane_b();
#pragma unroll
  for (int i = 0; i < 64; i++) s[i >> 5][i >> 2 & 7][i & 3] = 0;
#pragma unroll
  for (int d = 0; d < 4; d++) {
#pragma unroll
    for (int j = 0; j < 4; j++) {
      uint32_t b[4];
      load4(b, piece_at(k + 16 * j * ROW_BYTES, l, 2 * d));
#pragma unroll
      for (int m = 0; m < 2; m++) {
        mma(s[m][2 * j], q[m][d], b[0], b[1]);
        mma(s[m][2 * j + 1], q[m][d], b[2], b[3]);
      }
    }
  }
}

/* Keys from n on get no weight. */
DEVICE void mma_mask(float (&s)[2][8][4], int n) {
  int t = threadIdx.x & 3;
#pragma unroll
  for (int i = 0; i < 64; i++) {
    if (8 * (i >> 2 & 7) + 2 * t + (i & 1) >= n) s[i >> 5][i >> 2 & 7][i & 3] = -ATTN_INF;
  }
}

/* Scores of 16 rows to probabilities, relative to the largest so far; what was summed before is rescaled. */
DEVICE void mma_softmax(float (&s)[8][4], mma_state &w, int m, float scale, float bias) {
#pragma unroll
  for (int h = 0; h < 2; h++) {
    float top = -ATTN_INF;
#pragma unroll
    for (int j = 0; j < 8; j++) top = fmaxf(top, fmaxf(s[j][2 * h], s[j][2 * h + 1]));
    top = fmaxf(top, __shfl_xor_sync(FULL, top, 1));
    top = fmaxf(top, __shfl_xor_sync(FULL, top, 2));
    top = fmaxf(w.max[m][h], fmaf(top, scale, bias));
    float fade = exp2_fast(w.max[m][h] - top), add = bias - top, sum = 0;
    w.max[m][h] = top;
#pragma unroll
    for (int j = 0; j < 8; j++) {
      s[j][2 * h] = exp2_fast(fmaf(s[j][2 * h], scale, add));
      s[j][2 * h + 1] = exp2_fast(fmaf(s[j][2 * h + 1], scale, add));
      sum += s[j][2 * h] + s[j][2 * h + 1];
      w.o[m][j][2 * h] *= fade;
      w.o[m][j][2 * h + 1] *= fade;
    }
    w.sum[m][h] = fmaf(w.sum[m][h], fade, sum);
  }
}

/* o += p v */
DEVICE void mma_values(mma_state &w, const float (&p)[2][8][4], uint32_t v) {
  lane_at l = lane_a();
#pragma unroll
  for (int k = 0; k < 4; k++) {
    uint32_t a[2][4];
#pragma unroll
    for (int m = 0; m < 2; m++) {
      a[m][0] = pack2(p[m][2 * k][0], p[m][2 * k][1]);
      a[m][1] = pack2(p[m][2 * k][2], p[m][2 * k][3]);
      a[m][2] = pack2(p[m][2 * k + 1][0], p[m][2 * k + 1][1]);
      a[m][3] = pack2(p[m][2 * k + 1][2], p[m][2 * k + 1][3]);
    }
#pragma unroll
    for (int d = 0; d < 4; d++) {
      uint32_t b[4];
      load4_turned(b, piece_at(v + 16 * k * ROW_BYTES, l, 2 * d));
#pragma unroll
      for (int m = 0; m < 2; m++) {
        mma(w.o[m][2 * d], a[m], b[0], b[1]);
        mma(w.o[m][2 * d + 1], a[m], b[2], b[3]);
      }
    }
  }
}

/* The warp's 32 rows of o and lse; `own` is its part of shared memory. */
DEVICE void mma_finish(const attn_fwd_args &a, attn_tile tile, mma_state &w, char *own) {
  int warp = threadIdx.x >> 5, g = (threadIdx.x & 31) >> 2;
#pragma unroll
  for (int m = 0; m < 2; m++) {
    float inv[2];
    int first = 32 * warp + 16 * m;
#pragma unroll
    for (int h = 0; h < 2; h++) {
      float sum = w.sum[m][h];
      sum += __shfl_xor_sync(FULL, sum, 1);
      sum += __shfl_xor_sync(FULL, sum, 2);
      inv[h] = 1 / sum;
      int r = first + g + 8 * h;
      if ((threadIdx.x & 3) == 0 && r < tile.rows)
        a.lse[blockIdx.y * a.lse_ld + tile.row + r] = (w.max[m][h] + log2f(sum)) * ATTN_LN2;
    }
    put_rows(own + 16 * m * ROW_BYTES, w.o[m], inv[0], inv[1]);
  }
  __syncwarp();
#pragma unroll
  for (int m = 0; m < 2; m++) {
    int first = 32 * warp + 16 * m;
    store_rows(at<bf16>(a.o, tile.row + first, blockIdx.y * ATTN_MMA_DIM), a.o.ld, tile.rows - first,
               own + 16 * m * ROW_BYTES);
  }
}

DEVICE void mma_fetch(const attn_fwd_args &a, const chunk &c, uint32_t to) {
  int col = blockIdx.y * ATTN_MMA_DIM;
  copy_rows<ATTN_MMA_ROWS>(to, at<bf16>(a.k, c.row, col), a.k.ld, c.n);
  copy_rows<ATTN_MMA_ROWS>(to + BLOCK_BYTES, at<bf16>(a.v, c.row, col), a.v.ld, c.n);
}

extern "C" __global__ void __launch_bounds__(ATTN_MMA_THREADS, 2) attn_fwd_mma(const attn_fwd_args a) {
  __shared__ __align__(128) char shared[4 * BLOCK_BYTES];
  attn_tile tile = tile_of(a.tile);
  walk w = {a.run, tile.from, tile.to, 0};
  uint32_t base = shared_of(shared), q[2][4][4];
  int warp = threadIdx.x >> 5;
  float scale = a.scale * ATTN_LOG2E;
  mma_state st;
#pragma unroll
  for (int i = 0; i < 64; i++) st.o[i >> 5][i >> 2 & 7][i & 3] = 0;
#pragma unroll
  for (int i = 0; i < 4; i++) st.max[i >> 1][i & 1] = -ATTN_INF, st.sum[i >> 1][i & 1] = 0;

  /* the queries pass through the second buffer, which the loop fills only after its first barrier */
  chunk now = next_chunk<ATTN_MMA_ROWS>(w), next = next_chunk<ATTN_MMA_ROWS>(w);
  copy_rows<ATTN_MMA_QUERIES>(base + 2 * BLOCK_BYTES, at<bf16>(a.q, tile.row, blockIdx.y * ATTN_MMA_DIM), a.q.ld,
                              tile.rows);
  copy_commit();
  mma_fetch(a, now, base);
  copy_commit();
  copy_wait<1>();
  __syncthreads();
  load_a(q[0], base + 2 * BLOCK_BYTES + 32 * warp * ROW_BYTES);
  load_a(q[1], base + 2 * BLOCK_BYTES + (32 * warp + 16) * ROW_BYTES);

  for (uint32_t buffer = 0; now.n; buffer ^= 2 * BLOCK_BYTES) {
    copy_wait<0>();
    __syncthreads(); /* the chunk is here for all, and nobody reads the other buffer any more */
    if (next.n) mma_fetch(a, next, base + (buffer ^ 2 * BLOCK_BYTES));
    copy_commit();
    chunk after = next_chunk<ATTN_MMA_ROWS>(w);
    float s[2][8][4];
    mma_scores(s, q, base + buffer);
    if (now.n < ATTN_MMA_ROWS) mma_mask(s, now.n);
#pragma unroll
    for (int m = 0; m < 2; m++) mma_softmax(s[m], st, m, scale, now.bias * ATTN_LOG2E);
    mma_values(st, s, base + buffer + BLOCK_BYTES);
    now = next, next = after;
  }
  __syncthreads(); /* the buffers become the way out */
  mma_finish(a, tile, st, shared + 32 * warp * ROW_BYTES);
}

/* --- any head size up to DIM, any storage --- */

template <int DIM> struct plain_state {
  float4 o[4][DIM / 32];
  float max[4], sum[4];
};

/* Scores to probabilities; a row lies in eight neighbouring lanes. The exponent is rounded once and used twice, so a
 * single key has weight one exactly. */
template <int DIM> DEVICE void plain_softmax(float (&s)[4][4], plain_state<DIM> &w, int n, float scale, float bias) {
  int tx = threadIdx.x & 7;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    float top = w.max[i], sum = 0;
#pragma unroll
    for (int j = 0; j < 4; j++) {
      s[i][j] = tx + 8 * j < n ? fmaf(s[i][j], scale, bias) : -ATTN_INF;
      top = fmaxf(top, s[i][j]);
    }
#pragma unroll
    for (int d = 4; d; d >>= 1) top = fmaxf(top, __shfl_xor_sync(FULL, top, d));
    float fade = exp2f(w.max[i] - top);
    w.max[i] = top;
#pragma unroll
    for (int j = 0; j < 4; j++) sum += s[i][j] = exp2f(s[i][j] - top);
    w.sum[i] = fmaf(w.sum[i], fade, sum);
#pragma unroll
    for (int j = 0; j < DIM / 32; j++) {
      w.o[i][j].x *= fade, w.o[i][j].y *= fade;
      w.o[i][j].z *= fade, w.o[i][j].w *= fade;
    }
  }
}

template <class S, int DIM>
DEVICE void plain_finish(const attn_fwd_args &a, attn_tile tile, const plain_state<DIM> &w) {
  int ty = threadIdx.x >> 3;
  float inv[4];
#pragma unroll
  for (int i = 0; i < 4; i++) {
    float sum = w.sum[i];
#pragma unroll
    for (int d = 4; d; d >>= 1) sum += __shfl_xor_sync(FULL, sum, d);
    inv[i] = 1 / sum;
    if ((threadIdx.x & 7) == 0 && ty + 8 * i < tile.rows)
      a.lse[blockIdx.y * a.lse_ld + tile.row + ty + 8 * i] = (w.max[i] + log2f(sum)) * ATTN_LN2;
  }
  store_plain<S, DIM>(a.o, tile, blockIdx.y * a.dim, w.o, inv, a.dim, a.wide);
}

template <class S, int DIM> DEVICE void plain_forward(const attn_fwd_args &a) {
  extern __shared__ __align__(16) float plain_shared[];
  constexpr int TILE = ATTN_PLAIN_ROWS * (DIM + ATTN_PLAIN_PAD);
  float *q = plain_shared, *k = q + TILE, *v = k + TILE, *p = v + TILE;
  attn_tile tile = tile_of(a.tile);
  walk w = {a.run, tile.from, tile.to, 0};
  int col = blockIdx.y * a.dim;
  float scale = a.scale * ATTN_LOG2E;
  plain_state<DIM> st;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    st.max[i] = -ATTN_INF, st.sum[i] = 0;
#pragma unroll
    for (int j = 0; j < DIM / 32; j++) st.o[i][j] = make_float4(0, 0, 0, 0);
  }
  load_plain<S, DIM>(q, at<S>(a.q, tile.row, col), a.q.ld, tile.rows, a.dim, a.wide);
  for (chunk c = next_chunk<ATTN_PLAIN_ROWS>(w); c.n; c = next_chunk<ATTN_PLAIN_ROWS>(w)) {
    float s[4][4];
    load_plain<S, DIM>(k, at<S>(a.k, c.row, col), a.k.ld, c.n, a.dim, a.wide);
    load_plain<S, DIM>(v, at<S>(a.v, c.row, col), a.v.ld, c.n, a.dim, a.wide);
    __syncthreads();
    times_turned<DIM>(s, q, k, a.dim);
    plain_softmax<DIM>(s, st, c.n, scale, c.bias * ATTN_LOG2E);
    put_plain(p, s);
    __syncwarp();
    add_times<DIM>(st.o, p, v);
    __syncthreads();
  }
  plain_finish<S, DIM>(a, tile, st);
}

#define PLAIN(name, S, DIM)                                                                                          \
  extern "C" __global__ void __launch_bounds__(ATTN_PLAIN_THREADS, 3) name(const attn_fwd_args a) {                  \
    plain_forward<S, DIM>(a);                                                                                        \
  }
PLAIN(attn_fwd_f32_64, float, 64)
PLAIN(attn_fwd_f32_128, float, 128)
PLAIN(attn_fwd_bf16_64, bf16, 64)
PLAIN(attn_fwd_bf16_128, bf16, 128)
