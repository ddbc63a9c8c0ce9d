// Layer norm with modulation, and its gradient: a block takes a row. A thread holds every NORM_THREADS-th group of V
// columns, in registers where E groups are enough for the row; with E = 0 it reads them again for each pass.
#include "ops/cuda/device.cuh"
#include "ops/cuda/limits.h"

// A thread's part of a row: at each step e the V columns from col(e) on; there is nothing beyond cols.
template <typename T, int V, int E> struct part {
  const T *row;
  int64_t cols;
  float kept[E ? E * V : 1];

  DEVICE_MEMBER int64_t col(int e) const {
    return ((int64_t)e * NORM_THREADS + threadIdx.x) * V;
  }
  DEVICE_MEMBER int steps() const {
    return E ? E : (int)((cols + NORM_THREADS * V - 1) / (NORM_THREADS * V));
  }
  DEVICE_MEMBER void open(const T *p, int64_t n) {
    row = p;
    cols = n;
#pragma unroll
    for (int e = 0; e < E; e++)
      if (col(e) < cols) vec<V, T>::load(row + col(e), kept + e * V);
  }
  DEVICE_MEMBER void get(int e, float *out) const {
    if (E) {
#pragma unroll
      for (int i = 0; i < V; i++) out[i] = kept[e * V + i];
    } else {
      vec<V, T>::load(row + col(e), out);
    }
  }
};

struct stats {
  float mean, rest, rstd; // xhat = ((x - mean) - rest) * rstd
};

// Two passes, the second around the rounded mean; `rest` is what its rounding left over. room has 3 x 4 places.
template <typename T, int V, int E> DEVICE stats statistics(const part<T, V, E> &x, float eps, float *room) {
  const float count = (float)x.cols;
  float sum = 0, square = 0, v[V];
  stats t;
#pragma unroll
  for (int e = 0; e < x.steps(); e++) {
    if (x.col(e) >= x.cols) continue;
    x.get(e, v);
#pragma unroll
    for (int i = 0; i < V; i++) sum += v[i];
  }
  t.mean = block_sum<NORM_THREADS / 32>(sum, room) / count;
  sum = 0;
#pragma unroll
  for (int e = 0; e < x.steps(); e++) {
    if (x.col(e) >= x.cols) continue;
    x.get(e, v);
#pragma unroll
    for (int i = 0; i < V; i++) {
      const float d = v[i] - t.mean;
      sum += d;
      square = fmaf(d, d, square);
    }
  }
  t.rest = block_sum<NORM_THREADS / 32>(sum, room + 4) / count;
  const float var = block_sum<NORM_THREADS / 32>(square, room + 8) / count - t.rest * t.rest;
  t.rstd = 1.0f / sqrtf((var > 0 ? var : 0) + eps);
  return t;
}

// Factor and summand of xhat: f = w (1 + scale), s = b (1 + scale) + shift.
template <typename T, int V> DEVICE void fold(const norm_args &a, int32_t m, int64_t j, float *f, float *s) {
  float t[V];
#pragma unroll
  for (int i = 0; i < V; i++) f[i] = 1, s[i] = 0;
  if (m >= 0 && a.scale.p) {
    vec<V, T>::load(at<T>(a.scale, m, j), t);
#pragma unroll
    for (int i = 0; i < V; i++) f[i] += t[i];
  }
  if (a.b) {
    vec<V, T>::load((const T *)a.b + j, t);
#pragma unroll
    for (int i = 0; i < V; i++) s[i] = t[i] * f[i];
  }
  if (m >= 0 && a.shift.p) {
    vec<V, T>::load(at<T>(a.shift, m, j), t);
#pragma unroll
    for (int i = 0; i < V; i++) s[i] += t[i];
  }
  if (a.w) {
    vec<V, T>::load((const T *)a.w + j, t);
#pragma unroll
    for (int i = 0; i < V; i++) f[i] = t[i] * f[i];
  }
}

template <typename T, int V, int E> DEVICE void norm(const norm_args &a) {
  __shared__ float room[12];
  const int64_t r = blockIdx.x;
  const int32_t m = a.map ? a.map[r] : -1;
  part<T, V, E> x;
  x.open(at<T>(a.x, r, 0), a.cols);
  const stats t = statistics(x, a.eps, room);
#pragma unroll
  for (int e = 0; e < x.steps(); e++) {
    const int64_t j = x.col(e);
    float v[V], f[V], s[V];
    if (j >= a.cols) continue;
    x.get(e, v);
    fold<T, V>(a, m, j, f, s);
#pragma unroll
    for (int i = 0; i < V; i++) v[i] = ((v[i] - t.mean) - t.rest) * t.rstd * f[i] + s[i];
    vec<V, T>::store(at<T>(a.y, r, j), v);
  }
}

// dx = rstd (g - mean g - xhat mean(g xhat)), g = dy f; y is dx here.
template <typename T, int V, int E> DEVICE void norm_grad(const norm_args &a) {
  __shared__ float room[20];
  const int64_t r = blockIdx.x;
  const int32_t m = a.map ? a.map[r] : -1;
  part<T, V, E> x, dy;
  x.open(at<T>(a.x, r, 0), a.cols);
  dy.open(at<T>(a.dy, r, 0), a.cols);
  const stats t = statistics(x, a.eps, room);
  float sum = 0, sum_x = 0, v[V], g[V], f[V], s[V];
#pragma unroll
  for (int e = 0; e < x.steps(); e++) {
    const int64_t j = x.col(e);
    if (j >= a.cols) continue;
    x.get(e, v);
    dy.get(e, g);
    fold<T, V>(a, m, j, f, s);
#pragma unroll
    for (int i = 0; i < V; i++) {
      const float d = g[i] * f[i];
      sum += d;
      sum_x = fmaf(d, ((v[i] - t.mean) - t.rest) * t.rstd, sum_x);
    }
  }
  const float mean_g = block_sum<NORM_THREADS / 32>(sum, room + 12) / (float)a.cols;
  const float mean_gx = block_sum<NORM_THREADS / 32>(sum_x, room + 16) / (float)a.cols;
#pragma unroll
  for (int e = 0; e < x.steps(); e++) {
    const int64_t j = x.col(e);
    float old[V];
    if (j >= a.cols) continue;
    x.get(e, v);
    dy.get(e, g);
    fold<T, V>(a, m, j, f, s);
    if (a.add) vec<V, T>::load(at<T>(a.y, r, j), old);
#pragma unroll
    for (int i = 0; i < V; i++) {
      const float xhat = ((v[i] - t.mean) - t.rest) * t.rstd;
      const float d = t.rstd * (g[i] * f[i] - mean_g - xhat * mean_gx);
      v[i] = a.add ? old[i] + d : d;
    }
    vec<V, T>::store(at<T>(a.y, r, j), v);
  }
}

template <typename T, int V, int E> DEVICE void row_stats(const norm_args &a) {
  __shared__ float room[12];
  const int64_t r = blockIdx.x;
  part<T, V, E> x;
  x.open(at<T>(a.x, r, 0), a.cols);
  const stats t = statistics(x, a.eps, room);
  if (threadIdx.x == 0) {
    a.stats[3 * r] = t.mean;
    a.stats[3 * r + 1] = t.rest;
    a.stats[3 * r + 2] = t.rstd;
  }
}

#define NORM(name, type, tag, v, e)                                                                                  \
  extern "C" __global__ void __launch_bounds__(NORM_THREADS) name##_##tag(const norm_args a) {                       \
    name<type, v, e>(a);                                                                                             \
  }
// vectors, elements, rows too long to be kept
#define NORMS(name)                                                                                                  \
  NORM(name, float, f32_v, V8, NORM_KEPT / (NORM_THREADS * V8))                                                      \
  NORM(name, float, f32_s, 1, NORM_SHORT / NORM_THREADS)                                                             \
  NORM(name, float, f32_l, 1, 0)                                                                                     \
  NORM(name, bf16, bf16_v, V8, NORM_KEPT / (NORM_THREADS * V8))                                                      \
  NORM(name, bf16, bf16_s, 1, NORM_SHORT / NORM_THREADS)                                                             \
  NORM(name, bf16, bf16_l, 1, 0)
NORMS(norm)
NORMS(norm_grad)
NORMS(row_stats)
