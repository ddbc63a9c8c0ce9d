// What all kernels share: storage types, loads and stores of eight elements, reductions in a fixed order.
#ifndef TD_OPS_CUDA_DEVICE_CUH
#define TD_OPS_CUDA_DEVICE_CUH

#include <stdint.h>

#include "ops/cuda/args.h"

#define DEVICE static __device__ __forceinline__
#define DEVICE_MEMBER __device__ __forceinline__
#define FULL 0xffffffffu
#define V8 8 // elements of a vector: 16 bytes of bf16, 2 x 16 of float

struct bf16 {
  uint16_t bits;
};

DEVICE float widen(float x) {
  return x;
}
DEVICE float widen(bf16 x) {
  return __uint_as_float((uint32_t)x.bits << 16);
}
DEVICE void narrow(float x, float *to) {
  *to = x;
}
DEVICE void narrow(float x, bf16 *to) {
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(to->bits) : "f"(x));
}
// low half a, high half b
DEVICE uint32_t pack2(float a, float b) {
  uint32_t r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(b), "f"(a));
  return r;
}

// V consecutive elements, aligned to 16 bytes where V is 8.
template <int V, typename T> struct vec {
  DEVICE void load(const T *p, float *out) {
#pragma unroll
    for (int i = 0; i < V; i++) out[i] = widen(p[i]);
  }
  DEVICE void store(T *p, const float *in) {
#pragma unroll
    for (int i = 0; i < V; i++) narrow(in[i], p + i);
  }
};
template <> struct vec<V8, float> {
  DEVICE void load(const float *p, float *out) {
    const float4 a = *(const float4 *)p, b = *(const float4 *)(p + 4);
    out[0] = a.x, out[1] = a.y, out[2] = a.z, out[3] = a.w;
    out[4] = b.x, out[5] = b.y, out[6] = b.z, out[7] = b.w;
  }
  DEVICE void store(float *p, const float *in) {
    *(float4 *)p = make_float4(in[0], in[1], in[2], in[3]);
    *(float4 *)(p + 4) = make_float4(in[4], in[5], in[6], in[7]);
  }
};
template <> struct vec<V8, bf16> {
  DEVICE void load(const bf16 *p, float *out) {
    const uint4 a = *(const uint4 *)p;
    const uint32_t w[4] = {a.x, a.y, a.z, a.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
      out[2 * i] = __uint_as_float(w[i] << 16);
      out[2 * i + 1] = __uint_as_float(w[i] & 0xffff0000u);
    }
  }
  DEVICE void store(bf16 *p, const float *in) {
    *(uint4 *)p = make_uint4(pack2(in[0], in[1]), pack2(in[2], in[3]), pack2(in[4], in[5]), pack2(in[6], in[7]));
  }
};

template <typename T> DEVICE T *at(mat m, int64_t row, int64_t col) {
  return (T *)m.p + row * m.ld + col;
}

// Sum over `lanes` neighbouring lanes (a power of two), the same in each of them.
template <typename F> DEVICE F lane_sum(F x, int lanes) {
  for (int d = lanes / 2; d > 0; d /= 2) x += __shfl_xor_sync(FULL, x, d);
  return x;
}

// Sum over a block of W warps: warps in order. `room` has W places; calls that follow each other need different ones.
template <int W, typename F> DEVICE F block_sum(F x, F *room) {
  x = lane_sum(x, 32);
  if (threadIdx.x % 32 == 0) room[threadIdx.x / 32] = x;
  __syncthreads();
  F sum = room[0];
#pragma unroll
  for (int i = 1; i < W; i++) sum += room[i];
  return sum;
}

// A kernel for both storage types, in vectors and element by element: NAME_f32_v, NAME_f32_s, NAME_bf16_v, NAME_bf16_s.
#define FOUR(name, args, threads)                                                                                    \
  extern "C" __global__ void __launch_bounds__(threads) name##_f32_v(const args a) {                                 \
    name<float, V8>(a);                                                                                              \
  }                                                                                                                  \
  extern "C" __global__ void __launch_bounds__(threads) name##_f32_s(const args a) {                                 \
    name<float, 1>(a);                                                                                               \
  }                                                                                                                  \
  extern "C" __global__ void __launch_bounds__(threads) name##_bf16_v(const args a) {                                \
    name<bf16, V8>(a);                                                                                               \
  }                                                                                                                  \
  extern "C" __global__ void __launch_bounds__(threads) name##_bf16_s(const args a) {                                \
    name<bf16, 1>(a);                                                                                                \
  }

#endif
