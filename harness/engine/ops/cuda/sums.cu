// Sums over rows, sums of squares, and the optimiser. Every sum runs in an order that the shapes alone decide: partial
// sums of chunks first, then chunk after chunk; nothing is added atomically.
#include "ops/cuda/device.cuh"
#include "ops/cuda/limits.h"

enum kind { PLAIN, PRODUCT, NORMED };

// A block sums a chunk of rows for SUM_LANES x V columns; SUM_ROWS rows go side by side and are added in order.
template <typename T, int V, kind K> DEVICE void sum_rows(const sums_args &a) {
  const int W = K == NORMED ? 2 : 1;
  __shared__ float room[SUM_ROWS][W][SUM_LANES * V + 1];
  const int lane = threadIdx.x % SUM_LANES, by = threadIdx.x / SUM_LANES;
  const int64_t j = ((int64_t)blockIdx.x * SUM_LANES + lane) * V, slot = a.slot0 + blockIdx.z;
  const int64_t r0 = blockIdx.y * a.per_chunk, r1 = r0 + a.per_chunk < a.rows ? r0 + a.per_chunk : a.rows;
  float sum[W][V];
#pragma unroll
  for (int i = 0; i < V; i++) sum[0][i] = sum[W - 1][i] = 0;
  for (int64_t r = r0 + by; j < a.cols && r < r1; r += SUM_ROWS) {
    if (a.map && (a.map[r] < 0 ? -1 : a.map[r]) != slot) continue;
    float x[V], y[V];
    vec<V, T>::load(at<T>(a.x, r, j), x);
    if (K != PLAIN) vec<V, T>::load(at<T>(a.y, r, j), y);
#pragma unroll
    for (int i = 0; i < V; i++) {
      if (K == NORMED) {
        sum[0][i] += x[i];
        sum[W - 1][i] += x[i] * (((y[i] - a.stats[3 * r]) - a.stats[3 * r + 1]) * a.stats[3 * r + 2]);
      } else {
        sum[0][i] += K == PRODUCT ? x[i] * y[i] : x[i];
      }
    }
  }
#pragma unroll
  for (int w = 0; w < W; w++) {
#pragma unroll
    for (int i = 0; i < V; i++) room[by][w][i * SUM_LANES + lane] = sum[w][i];
  }
  __syncthreads();
  float *out = a.part + ((int64_t)blockIdx.y * gridDim.z + blockIdx.z) * W * a.cols;
  for (int k = threadIdx.x; k < W * SUM_LANES * V; k += SUM_LANES * SUM_ROWS) {
    const int w = k / (SUM_LANES * V), col = k % (SUM_LANES * V);
    const int64_t to = (int64_t)blockIdx.x * SUM_LANES * V + col;
    float all = 0;
    if (to >= a.cols) continue;
#pragma unroll
    for (int i = 0; i < SUM_ROWS; i++) all += room[i][w][col % V * SUM_LANES + col / V];
    out[w * a.cols + to] = all;
  }
}

template <typename T, int V> DEVICE void sum_plain(const sums_args &a) {
  sum_rows<T, V, PLAIN>(a);
}
template <typename T, int V> DEVICE void sum_product(const sums_args &a) {
  sum_rows<T, V, PRODUCT>(a);
}
template <typename T, int V> DEVICE void sum_normed(const sums_args &a) {
  sum_rows<T, V, NORMED>(a);
}
FOUR(sum_plain, sums_args, SUM_LANES *SUM_ROWS)
FOUR(sum_product, sums_args, SUM_LANES *SUM_ROWS)
FOUR(sum_normed, sums_args, SUM_LANES *SUM_ROWS)

DEVICE float over_chunks(const float *part, int64_t chunks, int64_t stride) {
  float sum = 0;
  for (int64_t c = 0; c < chunks; c++) sum += part[c * stride];
  return sum;
}

extern "C" __global__ void __launch_bounds__(EACH_THREADS) add_parts(const add_args a) {
  const int64_t j = (int64_t)blockIdx.x * EACH_THREADS + threadIdx.x, s = blockIdx.y;
  if (j >= a.cols) return;
  a.out[(a.slot0 + s) * a.ld + j] +=
      over_chunks(a.part + (s * a.of + a.which) * a.cols + j, a.chunks, a.slots * a.of * a.cols);
}

// dw += (1 + scale) sum_x, db += (1 + scale) sum, dshift += sum, dscale += w sum_x + b sum; slots in order.
template <typename T> DEVICE void spread(const spread_args &a) {
  const int64_t j = (int64_t)blockIdx.x * EACH_THREADS + threadIdx.x;
  if (j >= a.cols) return;
  float dw = a.dw ? a.dw[j] : 0, db = a.db ? a.db[j] : 0;
  for (int64_t s = 0; s < a.slots; s++) {
    const int64_t m = a.slot0 + s, stride = a.slots * 2 * a.cols;
    const float sum = over_chunks(a.part + 2 * s * a.cols + j, a.chunks, stride);
    const float sum_x = over_chunks(a.part + (2 * s + 1) * a.cols + j, a.chunks, stride);
    const float factor = 1.0f + (m >= 0 && a.scale.p ? widen(*at<T>(a.scale, m, j)) : 0.0f);
    dw += factor * sum_x;
    db += factor * sum;
    if (m >= 0 && a.dshift.p) *at<float>(a.dshift, m, j) += sum;
    if (m >= 0 && a.dscale.p) {
      const float w = a.w ? widen(((const T *)a.w)[j]) : 1.0f, b = a.w ? widen(((const T *)a.b)[j]) : 0.0f;
      *at<float>(a.dscale, m, j) += w * sum_x + b * sum;
    }
  }
  if (a.dw) a.dw[j] = dw;
  if (a.db) a.db[j] = db;
}
extern "C" __global__ void __launch_bounds__(EACH_THREADS) spread_f32(const spread_args a) {
  spread<float>(a);
}
extern "C" __global__ void __launch_bounds__(EACH_THREADS) spread_bf16(const spread_args a) {
  spread<bf16>(a);
}

// Block b takes columns b, b + LOSS_BLOCKS... in groups of LOSS_THREADS, row by row.
template <typename P, typename Q> DEVICE void squares(const loss_args &a) {
  __shared__ double room[LOSS_THREADS / 32];
  const int64_t n = a.rows * a.cols;
  double sum = 0;
  for (int64_t i = (int64_t)blockIdx.x * LOSS_THREADS + threadIdx.x; i < n; i += (int64_t)gridDim.x * LOSS_THREADS) {
    const int64_t r = a.rows == 1 ? 0 : i / a.cols, j = i - r * a.cols;
    const float p = widen(*at<P>(a.pred, r, j)), t = a.target.p ? widen(*at<Q>(a.target, r, j)) : 0.0f;
    const double e = (double)p - (double)t;
    sum += e * e;
    if (a.dpred.p) narrow(a.slope * (p - t), at<P>(a.dpred, r, j));
  }
  sum = block_sum<LOSS_THREADS / 32>(sum, room);
  if (threadIdx.x == 0) a.part[blockIdx.x] = sum;
}
#define SQUARES(p, q, tag)                                                                                           \
  extern "C" __global__ void __launch_bounds__(LOSS_THREADS) squares_##tag(const loss_args a) {                      \
    squares<p, q>(a);                                                                                                \
  }
SQUARES(float, float, f32_f32)
SQUARES(float, bf16, f32_bf16)
SQUARES(bf16, float, bf16_f32)
SQUARES(bf16, bf16, bf16_bf16)

// out += factor * sum of n numbers: one warp, each lane every 32nd in order.
extern "C" __global__ void __launch_bounds__(32) total(const total_args a) {
  double sum = 0;
  for (int i = threadIdx.x; i < a.n; i += 32) sum += a.part[i];
  sum = lane_sum(sum, 32);
  if (threadIdx.x == 0) *a.out += a.factor * sum;
}

DEVICE void step_one(const step_args &a, float scale, float g, float *w, float *m, float *v) {
  const float d = g * scale;
  *m = a.beta1 * *m + a.rest1 * d;
  *v = a.beta2 * *v + a.rest2 * (d * d);
  *w = *w * a.keep - a.rate * *m / (sqrtf(*v * a.v_scale) + a.eps);
}

template <int V> DEVICE void adamw(const step_args &a) {
  const int64_t i = ((int64_t)blockIdx.x * STEP_THREADS + threadIdx.x) * V;
  const float scale = a.scale ? (float)*a.scale : 1.0f;
  if (i >= a.n) return;
  if (i + V > a.n || V == 1) {
    for (int64_t k = i; k < a.n && k < i + V; k++) step_one(a, scale, a.g[k], a.w + k, a.m + k, a.v + k);
    return;
  }
  float4 g = *(const float4 *)(a.g + i), w = *(const float4 *)(a.w + i), m = *(const float4 *)(a.m + i),
         v = *(const float4 *)(a.v + i);
  step_one(a, scale, g.x, &w.x, &m.x, &v.x);
  step_one(a, scale, g.y, &w.y, &m.y, &v.y);
  step_one(a, scale, g.z, &w.z, &m.z, &v.z);
  step_one(a, scale, g.w, &w.w, &m.w, &v.w);
  *(float4 *)(a.w + i) = w;
  *(float4 *)(a.m + i) = m;
  *(float4 *)(a.v + i) = v;
}
extern "C" __global__ void __launch_bounds__(STEP_THREADS) adamw_v(const step_args a) {
  adamw<4>(a);
}
extern "C" __global__ void __launch_bounds__(STEP_THREADS) adamw_s(const step_args a) {
  adamw<1>(a);
}
