// Elementwise kernels and those with one table row a row. A block takes a stretch of columns; rows are dealt out to
// blockIdx.y in turn. Operands without gaps come as one long row.
#include "ops/cuda/device.cuh"
#include "ops/cpu/kernels/vexp.h"
#include "ops/cuda/limits.h"

template <int V> DEVICE int64_t my_column() {
  return ((int64_t)blockIdx.x * EACH_THREADS + threadIdx.x) * V;
}

template <typename T, int V> DEVICE void fill(const each_args &a) {
  const int64_t j = my_column<V>();
  float v[V];
  if (j >= a.cols) return;
#pragma unroll
  for (int i = 0; i < V; i++) v[i] = a.c[0];
  for (int64_t r = blockIdx.y; r < a.rows; r += gridDim.y) vec<V, T>::store(at<T>(a.y, r, j), v);
}

template <typename T, int V> DEVICE void copy(const each_args &a) {
  const int64_t j = my_column<V>();
  if (j >= a.cols) return;
  for (int64_t r = blockIdx.y; r < a.rows; r += gridDim.y) {
    float v[V];
    vec<V, T>::load(at<T>(a.x[0], r, j), v);
    vec<V, T>::store(at<T>(a.y, r, j), v);
  }
}

template <typename From, typename To, int V> DEVICE void cast(const each_args &a) {
  const int64_t j = my_column<V>();
  if (j >= a.cols) return;
  for (int64_t r = blockIdx.y; r < a.rows; r += gridDim.y) {
    float v[V];
    vec<V, From>::load(at<From>(a.x[0], r, j), v);
    vec<V, To>::store(at<To>(a.y, r, j), v);
  }
}

template <typename T, int V> DEVICE void lincomb(const each_args &a) {
  const int64_t j = my_column<V>();
  if (j >= a.cols) return;
  for (int64_t r = blockIdx.y; r < a.rows; r += gridDim.y) {
    float sum[V], x[V];
    vec<V, T>::load(at<T>(a.x[0], r, j), sum);
#pragma unroll
    for (int i = 0; i < V; i++) sum[i] *= a.c[0];
#pragma unroll
    for (int t = 1; t < 4; t++) {
      if (t >= a.n) break;
      vec<V, T>::load(at<T>(a.x[t], r, j), x);
#pragma unroll
      for (int i = 0; i < V; i++) sum[i] += a.c[t] * x[i];
    }
    vec<V, T>::store(at<T>(a.y, r, j), sum);
  }
}

template <typename T, int V> DEVICE void act(const each_args &a) {
  const int64_t j = my_column<V>();
  if (j >= a.cols) return;
  for (int64_t r = blockIdx.y; r < a.rows; r += gridDim.y) {
    float v[V];
    vec<V, T>::load(at<T>(a.x[0], r, j), v);
#pragma unroll
    for (int i = 0; i < V; i++) v[i] = a.n == KIND_GELU ? vgelu(v[i]) : a.n == KIND_SILU ? vsilu(v[i]) : v[i];
    vec<V, T>::store(at<T>(a.y, r, j), v);
  }
}

template <typename T, int V> DEVICE void act_bwd(const each_args &a) {
  const int64_t j = my_column<V>();
  if (j >= a.cols) return;
  for (int64_t r = blockIdx.y; r < a.rows; r += gridDim.y) {
    float x[V], dy[V];
    vec<V, T>::load(at<T>(a.x[0], r, j), x);
    vec<V, T>::load(at<T>(a.x[1], r, j), dy);
#pragma unroll
    for (int i = 0; i < V; i++)
      dy[i] = a.n == KIND_GELU ? dy[i] * vgelu_grad(x[i]) : a.n == KIND_SILU ? dy[i] * vsilu_grad(x[i]) : dy[i];
    vec<V, T>::store(at<T>(a.y, r, j), dy);
  }
}

// The bias row lies in x[1]; its type is its own.
template <typename T, typename B, int V> DEVICE void add_bias(const each_args &a) {
  const int64_t j = my_column<V>();
  if (j >= a.cols) return;
  float bias[V];
  vec<V, B>::load((const B *)a.x[1].p + j, bias);
  for (int64_t r = blockIdx.y; r < a.rows; r += gridDim.y) {
    float v[V];
    vec<V, T>::load(at<T>(a.y, r, j), v);
#pragma unroll
    for (int i = 0; i < V; i++) v[i] += bias[i];
    vec<V, T>::store(at<T>(a.y, r, j), v);
  }
}

template <typename T, int V> DEVICE void add_rows(const table_args &a) {
  const int64_t j = my_column<V>();
  if (j >= a.cols) return;
  for (int64_t r = blockIdx.y; r < a.rows; r += gridDim.y) {
    const int32_t m = a.map ? a.map[r] : 0;
    if (m < 0) continue;
    float x[V], t[V];
    vec<V, T>::load(at<T>(a.x, r, j), x);
    vec<V, T>::load(at<T>(a.table, m, j), t);
#pragma unroll
    for (int i = 0; i < V; i++) x[i] += t[i];
    vec<V, T>::store(at<T>(a.x, r, j), x);
  }
}

template <typename T, int V> DEVICE void gate_add(const table_args &a) {
  const int64_t j = my_column<V>();
  if (j >= a.cols) return;
  for (int64_t r = blockIdx.y; r < a.rows; r += gridDim.y) {
    const int32_t m = a.map[r];
    if (m < 0) continue;
    float x[V], y[V], g[V];
    vec<V, T>::load(at<T>(a.x, r, j), x);
    vec<V, T>::load(at<T>(a.y, r, j), y);
    vec<V, T>::load(at<T>(a.table, m, j), g);
#pragma unroll
    for (int i = 0; i < V; i++) x[i] += g[i] * y[i];
    vec<V, T>::store(at<T>(a.x, r, j), x);
  }
}

// y = gate * x, or 0 where the row has none
template <typename T, int V> DEVICE void gate_mul(const table_args &a) {
  const int64_t j = my_column<V>();
  if (j >= a.cols) return;
  for (int64_t r = blockIdx.y; r < a.rows; r += gridDim.y) {
    const int32_t m = a.map[r];
    float x[V], g[V];
#pragma unroll
    for (int i = 0; i < V; i++) x[i] = 0;
    if (m >= 0) {
      vec<V, T>::load(at<T>(a.x, r, j), x);
      vec<V, T>::load(at<T>(a.table, m, j), g);
#pragma unroll
      for (int i = 0; i < V; i++) x[i] *= g[i];
    }
    vec<V, T>::store(at<T>(a.y, r, j), x);
  }
}

// One thread an element of the rows. The order of a CogVideoX projection: column = ((c * pt + t) * p + py) * p + px.
template <typename T, bool TO_ROWS> DEVICE void move_patches(const patch_args &a) {
  const int p = a.p, pt = a.pt, cols = a.channels * pt * p * p, across = a.width / p, down = a.height / p;
  const int64_t i = (int64_t)blockIdx.x * EACH_THREADS + threadIdx.x;
  if (i >= a.n_rows * cols) return;
  const int64_t r = i / cols;
  const int col = (int)(i % cols), px = col % p, py = col / p % p, t = col / (p * p) % pt, ch = col / (p * p) / pt;
  const int64_t x = r % across * p + px, y = r / across % down * p + py, f = r / across / down * pt + t;
  float *latent = a.latents + ((f * a.channels + ch) * a.height + y) * a.width + x;
  T *row = at<T>(a.rows, r, col);
  if (TO_ROWS)
    narrow(*latent, row);
  else
    *latent = widen(*row);
}

#define MOVE(name, type, to_rows)                                                                                    \
  extern "C" __global__ void __launch_bounds__(EACH_THREADS) name(const patch_args a) {                              \
    move_patches<type, to_rows>(a);                                                                                  \
  }
MOVE(patch_f32, float, true)
MOVE(patch_bf16, bf16, true)
MOVE(unpatch_f32, float, false)
MOVE(unpatch_bf16, bf16, false)

#define PAIR(name, from, to, tag)                                                                                    \
  extern "C" __global__ void __launch_bounds__(EACH_THREADS) name##_##tag##_v(const each_args a) {                   \
    name<from, to, V8>(a);                                                                                           \
  }                                                                                                                  \
  extern "C" __global__ void __launch_bounds__(EACH_THREADS) name##_##tag##_s(const each_args a) {                   \
    name<from, to, 1>(a);                                                                                            \
  }
PAIR(cast, float, bf16, f32_bf16)
PAIR(cast, bf16, float, bf16_f32)
PAIR(add_bias, float, float, f32_f32)
PAIR(add_bias, float, bf16, f32_bf16)
PAIR(add_bias, bf16, bf16, bf16_bf16)

FOUR(fill, each_args, EACH_THREADS)
FOUR(copy, each_args, EACH_THREADS)
FOUR(lincomb, each_args, EACH_THREADS)
FOUR(act, each_args, EACH_THREADS)
FOUR(act_bwd, each_args, EACH_THREADS)
FOUR(add_rows, table_args, EACH_THREADS)
FOUR(gate_add, table_args, EACH_THREADS)
FOUR(gate_mul, table_args, EACH_THREADS)
