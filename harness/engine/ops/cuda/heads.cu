// Head norm with rotation, and attention within pairs of rows: a few lanes share a head. In vectors a lane has eight
// neighbouring elements (dim = 8 lanes); element by element a warp has a head and a lane every 32nd element.
#include "ops/cuda/device.cuh"
#include "ops/cuda/limits.h"
#include "ops/cpu/kernels/vexp.h"

template <int V> struct lanes_of {
  static const int E = V == 1 ? HEAD_DIM / 32 : 1; // elements or vectors of a lane
};

// Element e V + i of a lane is column (e lanes + lane) V + i of its head.
template <typename T, int V> struct head {
  static const int E = lanes_of<V>::E;
  float v[E * V];
  int lane, lanes, dim;

  DEVICE_MEMBER head(int all, int width) : lane(threadIdx.x % all), lanes(all), dim(width) {
  }
  DEVICE_MEMBER int col(int e) const {
    return (e * lanes + lane) * V;
  }
  DEVICE_MEMBER void load(const T *p) {
#pragma unroll
    for (int e = 0; e < E; e++) {
#pragma unroll
      for (int i = 0; i < V; i++) v[e * V + i] = 0;
      if (col(e) < dim) vec<V, T>::load(p + col(e), v + e * V);
    }
  }
  DEVICE_MEMBER void store(T *p) const {
#pragma unroll
    for (int e = 0; e < E; e++)
      if (col(e) < dim) vec<V, T>::store(p + col(e), v + e * V);
  }
  DEVICE_MEMBER float dot(const head &o) const {
    float s = 0;
#pragma unroll
    for (int i = 0; i < E * V; i++) s = fmaf(v[i], o.v[i], s);
    return lane_sum(s, lanes);
  }
};

// Turns x into xhat and returns rstd; what lies beyond dim stays 0.
template <typename T, int V> DEVICE float normalise(head<T, V> &x, float eps) {
  const int E = lanes_of<V>::E;
  float sum = 0, square = 0;
#pragma unroll
  for (int i = 0; i < E * V; i++) sum += x.v[i];
  const float mean = lane_sum(sum, x.lanes) / (float)x.dim;
  sum = 0;
#pragma unroll
  for (int e = 0; e < E; e++) {
#pragma unroll
    for (int i = 0; i < V; i++) {
      if (x.col(e) >= x.dim) continue;
      const float d = x.v[e * V + i] - mean;
      sum += d;
      square = fmaf(d, d, square);
    }
  }
  const float rest = lane_sum(sum, x.lanes) / (float)x.dim;
  const float var = lane_sum(square, x.lanes) / (float)x.dim - rest * rest;
  const float rstd = 1.0f / sqrtf((var > 0 ? var : 0) + eps);
#pragma unroll
  for (int e = 0; e < E; e++) {
#pragma unroll
    for (int i = 0; i < V; i++)
      if (x.col(e) < x.dim) x.v[e * V + i] = ((x.v[e * V + i] - mean) - rest) * rstd;
  }
  return rstd;
}

// The pairs (2i, 2i+1) by the angles of table row m, back with sign -1. A pair is within a vector, or in neighbouring
// lanes.
template <typename T, int V> DEVICE void rotate(head<T, V> &x, const heads_args &a, int32_t m, float sign) {
  const int E = lanes_of<V>::E;
#pragma unroll
  for (int e = 0; e < E; e++) {
    const int j = x.col(e);
    const bool inside = j < x.dim && m >= 0;
    const float *co = a.cosines + (m < 0 ? 0 : m) * a.ld_cos + j / 2, *si = a.sines + (m < 0 ? 0 : m) * a.ld_sin + j / 2;
    if (V == 1) {
      const float other = __shfl_xor_sync(FULL, x.v[e], 1);
      if (!inside) continue;
      const float c = co[0], s = (j & 1 ? sign : -sign) * si[0];
      x.v[e] = x.v[e] * c + other * s;
    } else if (inside) {
#pragma unroll
      for (int i = 0; i < V; i += 2) {
        const float c = co[i / 2], s = sign * si[i / 2], p = x.v[e * V + i], q = x.v[e * V + i + 1];
        x.v[e * V + i] = p * c - q * s;
        x.v[e * V + i + 1] = q * c + p * s;
      }
    }
  }
}

template <typename T, int V> DEVICE void headnorm(const heads_args &a) {
  const int E = lanes_of<V>::E, groups = HEAD_THREADS / a.lanes;
  const int64_t first = ((int64_t)blockIdx.x * groups + threadIdx.x / a.lanes) * a.each;
  head<T, V> w(a.lanes, a.dim), b(a.lanes, a.dim), x(a.lanes, a.dim);
  w.load((const T *)a.w);
  b.load((const T *)a.b);
  for (int64_t n = 0; n < a.each; n++) { // lanes without a head go along: shuffles need the whole warp
    const int64_t i = first + n;
    const bool there = i < a.rows * a.heads;
    const int64_t r = there ? i / a.heads : 0, h = there ? i % a.heads : 0;
    x.load(at<T>(a.x, r, h * a.dim));
    normalise(x, a.eps);
#pragma unroll
    for (int k = 0; k < E * V; k++) x.v[k] = x.v[k] * w.v[k] + b.v[k];
    rotate(x, a, a.map ? a.map[r] : -1, 1.0f);
    if (there) x.store(at<T>(a.y, r, h * a.dim));
  }
}

// y is dx. The sums of dy (rotated back) and dy * xhat over all heads of the block go to part[block]: groups in order.
template <typename T, int V> DEVICE void headnorm_grad(const heads_args &a) {
  extern __shared__ float room[]; // [groups][2][dim]
  const int E = lanes_of<V>::E, groups = HEAD_THREADS / a.lanes, group = threadIdx.x / a.lanes;
  const int64_t first = ((int64_t)blockIdx.x * groups + group) * a.each;
  head<T, V> w(a.lanes, a.dim), x(a.lanes, a.dim), g(a.lanes, a.dim);
  float sum[E * V], sum_x[E * V];
  w.load((const T *)a.w);
#pragma unroll
  for (int k = 0; k < E * V; k++) sum[k] = sum_x[k] = 0;
  for (int64_t n = 0; n < a.each; n++) {
    const int64_t i = first + n;
    const bool there = i < a.rows * a.heads;
    const int64_t r = there ? i / a.heads : 0, h = there ? i % a.heads : 0;
    x.load(at<T>(a.x, r, h * a.dim));
    g.load(at<T>(a.dy, r, h * a.dim));
    const float rstd = normalise(x, a.eps);
    rotate(g, a, a.map ? a.map[r] : -1, -1.0f);
    if (there) {
#pragma unroll
      for (int k = 0; k < E * V; k++) {
        sum[k] += g.v[k];
        sum_x[k] += g.v[k] * x.v[k];
      }
    }
    float s = 0;
#pragma unroll
    for (int k = 0; k < E * V; k++) {
      g.v[k] *= w.v[k];
      s += g.v[k];
    }
    const float mean_g = lane_sum(s, a.lanes) / (float)a.dim, mean_gx = g.dot(x) / (float)a.dim;
#pragma unroll
    for (int k = 0; k < E * V; k++) g.v[k] = rstd * (g.v[k] - mean_g - x.v[k] * mean_gx);
    if (there) g.store(at<T>(a.y, r, h * a.dim));
  }
  if (!a.part) return;
#pragma unroll
  for (int e = 0; e < E; e++) {
#pragma unroll
    for (int i = 0; i < V; i++) {
      const int j = x.col(e) + i;
      if (j >= a.dim) continue;
      room[(2 * group) * a.dim + j] = sum[e * V + i];
      room[(2 * group + 1) * a.dim + j] = sum_x[e * V + i];
    }
  }
  __syncthreads();
  for (int j = threadIdx.x; j < 2 * a.dim; j += HEAD_THREADS) {
    float all = 0;
    for (int k = 0; k < groups; k++) all += room[2 * k * a.dim + j];
    a.part[(int64_t)blockIdx.x * 2 * a.dim + j] = all;
  }
}

// Weights of a query's two keys.
DEVICE void softmax2(float s0, float s1, float *p) {
  const float top = fmaxf(s0, s1), e0 = vexp2(VLOG2E * (s0 - top)), e1 = vexp2(VLOG2E * (s1 - top)), sum = e0 + e1;
  p[0] = e0 / sum;
  p[1] = e1 / sum;
}

template <typename T> DEVICE T *pair_at(mat m, const pair_args &a, int64_t i, int64_t h, int r) {
  return at<T>(m, i + r * a.n, h * a.dim);
}

template <typename T, int V> DEVICE void pairs(const pair_args &a) {
  const int E = lanes_of<V>::E;
  const int64_t u = ((int64_t)blockIdx.x * HEAD_THREADS + threadIdx.x) / a.lanes;
  const bool there = u < a.n * a.heads;
  const int64_t i = there ? u / a.heads : 0, h = there ? u % a.heads : 0;
  head<T, V> k0(a.lanes, a.dim), k1(a.lanes, a.dim), v0(a.lanes, a.dim), v1(a.lanes, a.dim), q(a.lanes, a.dim);
  k0.load(pair_at<T>(a.k, a, i, h, 0));
  k1.load(pair_at<T>(a.k, a, i, h, 1));
  v0.load(pair_at<T>(a.v, a, i, h, 0));
  v1.load(pair_at<T>(a.v, a, i, h, 1));
  for (int r = 0; r < 2; r++) {
    float p[2];
    q.load(pair_at<T>(a.q, a, i, h, r));
    softmax2(q.dot(k0) * a.scale, q.dot(k1) * a.scale, p);
#pragma unroll
    for (int e = 0; e < E * V; e++) q.v[e] = p[0] * v0.v[e] + p[1] * v1.v[e];
    if (there) q.store(pair_at<T>(a.o, a, i, h, r));
  }
}

template <typename T, int V> DEVICE void pairs_grad(const pair_args &a) {
  const int E = lanes_of<V>::E;
  const int64_t u = ((int64_t)blockIdx.x * HEAD_THREADS + threadIdx.x) / a.lanes;
  const bool there = u < a.n * a.heads;
  const int64_t i = there ? u / a.heads : 0, h = there ? u % a.heads : 0;
  head<T, V> k0(a.lanes, a.dim), k1(a.lanes, a.dim), d0(a.lanes, a.dim), d1(a.lanes, a.dim), x(a.lanes, a.dim),
      y(a.lanes, a.dim);
  float p[2][2], ds[2][2], dp[2][2];
  k0.load(pair_at<T>(a.k, a, i, h, 0));
  k1.load(pair_at<T>(a.k, a, i, h, 1));
  // dV, and dP from V; o is d_o here
#pragma unroll
  for (int r = 0; r < 2; r++) {
    x.load(pair_at<T>(a.q, a, i, h, r));
    softmax2(x.dot(k0) * a.scale, x.dot(k1) * a.scale, p[r]);
  }
  d0.load(pair_at<T>(a.o, a, i, h, 0));
  d1.load(pair_at<T>(a.o, a, i, h, 1));
#pragma unroll
  for (int r = 0; r < 2; r++) {
    x.load(pair_at<T>(a.v, a, i, h, r));
    dp[0][r] = d0.dot(x);
    dp[1][r] = d1.dot(x);
#pragma unroll
    for (int e = 0; e < E * V; e++) y.v[e] = p[0][r] * d0.v[e] + p[1][r] * d1.v[e];
    if (there) y.store(pair_at<T>(a.dv, a, i, h, r));
  }
#pragma unroll
  for (int r = 0; r < 2; r++) {
    const float delta = p[r][0] * dp[r][0] + p[r][1] * dp[r][1];
    ds[r][0] = p[r][0] * (dp[r][0] - delta) * a.scale;
    ds[r][1] = p[r][1] * (dp[r][1] - delta) * a.scale;
#pragma unroll
    for (int e = 0; e < E * V; e++) y.v[e] = ds[r][0] * k0.v[e] + ds[r][1] * k1.v[e];
    if (there) y.store(pair_at<T>(a.dq, a, i, h, r));
  }
  d0.load(pair_at<T>(a.q, a, i, h, 0));
  d1.load(pair_at<T>(a.q, a, i, h, 1));
#pragma unroll
  for (int r = 0; r < 2; r++) {
#pragma unroll
    for (int e = 0; e < E * V; e++) y.v[e] = ds[0][r] * d0.v[e] + ds[1][r] * d1.v[e];
    if (there) y.store(pair_at<T>(a.dk, a, i, h, r));
  }
}

FOUR(headnorm, heads_args, HEAD_THREADS)
FOUR(headnorm_grad, heads_args, HEAD_THREADS)
FOUR(pairs, pair_args, HEAD_THREADS)
FOUR(pairs_grad, pair_args, HEAD_THREADS)
