// Kernels that the emulator's own tests run as nvcc compiles them. The faulty_ ones each have one mistake.
#include <cuda_bf16.h>
#include <stdint.h>

extern "C" __global__ void vector_add(const float *a, const float *b, float *c, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

template <bool FIRST_BARRIER, bool LAST_BARRIER> static __device__ __forceinline__ void sum_block(const float *x, float *out, int n) {
  __shared__ float part[8];
  float v = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) v += x[(size_t)blockIdx.x * n + i];
  for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(0xffffffffu, v, o);
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = v;
  if (FIRST_BARRIER) __syncthreads();
  if (threadIdx.x == 0) {
    float t = 0;
    for (int w = 0; w < (int)blockDim.x / 32; w++) t += part[w];
    part[0] = t;
  }
  if (LAST_BARRIER) __syncthreads();
  if (threadIdx.x == blockDim.x - 1) out[blockIdx.x] = part[0];
}
extern "C" __global__ void block_sum(const float *x, float *out, int n) {
  sum_block<true, true>(x, out, n);
}
extern "C" __global__ void faulty_sum_first(const float *x, float *out, int n) {
  sum_block<false, true>(x, out, n);
}
extern "C" __global__ void faulty_sum_last(const float *x, float *out, int n) {
  sum_block<true, false>(x, out, n);
}

#define TILE 16
extern "C" __global__ void tiled_gemm(const float *a, const float *b, float *c, int m, int n, int k) {
  __shared__ float sa[TILE][TILE], sb[TILE][TILE + 1];
  int r = blockIdx.y * TILE + threadIdx.y, q = blockIdx.x * TILE + threadIdx.x;
  float acc = 0;
  for (int at = 0; at < k; at += TILE) {
    sa[threadIdx.y][threadIdx.x] = r < m && at + (int)threadIdx.x < k ? a[r * k + at + threadIdx.x] : 0.0f;
    sb[threadIdx.y][threadIdx.x] = q < n && at + (int)threadIdx.y < k ? b[(at + threadIdx.y) * n + q] : 0.0f;
    __syncthreads();
    for (int i = 0; i < TILE; i++) acc += sa[threadIdx.y][i] * sb[i][threadIdx.x];
    __syncthreads();
  }
  if (r < m && q < n) c[r * n + q] = acc;
}

static __device__ __forceinline__ uint32_t shared_address(const void *p) {
  return (uint32_t)__cvta_generic_to_shared(p);
}
static __device__ __forceinline__ void copy16(void *to, const void *from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)), "l"(from));
}
static __device__ __forceinline__ void commit() {
  asm volatile("cp.async.commit_group;");
}
template <int N> static __device__ __forceinline__ void wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N));
}

// One warp: c (16 x 8, float) = a (16 x k, bf16, rows of k) times b (8 x k, bf16: columns of b are rows), two buffers.
template <int PENDING, bool WAIT, bool SWAP> static __device__ __forceinline__ void product(const __nv_bfloat16 *a, const __nv_bfloat16 *b, float *c, int k) {
  extern __shared__ __align__(16) char room[];
  __nv_bfloat16 *sa = (__nv_bfloat16 *)room, *sb = sa + 2 * 16 * 24; // rows padded to 24: no bank conflicts
  int l = threadIdx.x;
  float acc[4] = {0, 0, 0, 0};
  auto load = [&](int at, int s) {
    copy16(sa + s * 16 * 24 + l / 2 * 24 + l % 2 * 8, a + l / 2 * k + at + l % 2 * 8);
    if (l < 16) copy16(sb + s * 8 * 24 + l / 2 * 24 + l % 2 * 8, b + l / 2 * k + at + l % 2 * 8);
    commit();
  };
  load(0, 0);
  for (int at = 0, s = 0; at < k; at += 16, s ^= 1) {
    if (at + 16 < k) {
      load(at + 16, s ^ 1);
      if (WAIT) wait<PENDING>();
    } else if (WAIT) {
      wait<0>();
    }
    __syncwarp();
    uint32_t fa[4], fb[2];
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(fa[0]), "=r"(fa[1]), "=r"(fa[2]), "=r"(fa[3])
                 : "r"(shared_address(sa + s * 16 * 24 + l % 16 * 24 + l / 16 * 8)));
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
                 : "=r"(fb[0]), "=r"(fb[1])
                 : "r"(shared_address(sb + s * 8 * 24 + l % 8 * 24 + l / 8 % 2 * 8)));
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(acc[0]), "+f"(acc[1]), "+f"(acc[2]), "+f"(acc[3])
                 : "r"(fa[0]), "r"(SWAP ? fa[2] : fa[1]), "r"(SWAP ? fa[1] : fa[2]), "r"(fa[3]), "r"(fb[0]), "r"(fb[1]));
    __syncwarp();
  }
  int g = l / 4, t = l % 4 * 2;
  c[g * 8 + t] = acc[0];
  c[g * 8 + t + 1] = acc[1];
  c[(g + 8) * 8 + t] = acc[2];
  c[(g + 8) * 8 + t + 1] = acc[3];
}
extern "C" __global__ void mma_product(const __nv_bfloat16 *a, const __nv_bfloat16 *b, float *c, int k) {
  product<1, true, false>(a, b, c, k);
}
extern "C" __global__ void faulty_no_wait(const __nv_bfloat16 *a, const __nv_bfloat16 *b, float *c, int k) {
  product<1, false, false>(a, b, c, k);
}
extern "C" __global__ void faulty_weak_wait(const __nv_bfloat16 *a, const __nv_bfloat16 *b, float *c, int k) {
  product<2, true, false>(a, b, c, k);
}
extern "C" __global__ void faulty_fragment(const __nv_bfloat16 *a, const __nv_bfloat16 *b, float *c, int k) {
  product<1, true, true>(a, b, c, k);
}

extern "C" __global__ void faulty_bounds(float *x, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i <= n) x[i] = 1.0f;
}
extern "C" __global__ void faulty_divergent(float *x) {
  if (threadIdx.x < 16) {
    x[threadIdx.x] = 1.0f;
    __syncthreads();
  } else {
    x[threadIdx.x] = 2.0f;
    __syncthreads();
  }
}
extern "C" __global__ void faulty_exited(float *x) {
  if (threadIdx.x >= 16) return;
  x[threadIdx.x] = 1.0f;
  __syncthreads();
}
extern "C" __global__ void faulty_shuffle(float *x) {
  float v = (float)threadIdx.x;
  if (threadIdx.x < 16) v += __shfl_xor_sync(0xffffffffu, v, 1);
  x[threadIdx.x] = v;
}
extern "C" __global__ void faulty_blocks(float *x) {
  x[threadIdx.x] = (float)blockIdx.x;
}
extern "C" __global__ void faulty_misaligned(const char *x, float *y) {
  *y = *(const float *)(x + 2);
}
extern "C" __global__ void faulty_warp(int *x) {
  __shared__ int s[32];
  s[threadIdx.x] = (int)threadIdx.x;
  x[threadIdx.x] = s[threadIdx.x ^ 1];
}

__constant__ float table[4] = {1, 2, 4, 8};
__device__ int total;
struct boxed {
  const float *x[3];
  float *y;
  int n;
  float c[3];
};
extern "C" __global__ void many_forms(boxed p) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  float v = 0;
  for (int t = 0; t < 3; t++)
    if (i < p.n) v += p.c[t] * p.x[t][i];
  if (i < p.n) {
    p.y[i] = v + table[i & 3] + rsqrtf(1.0f + v * v) + expf(-v) + __logf(1.0f + v * v) + tanhf(v) + sinf(v) + erff(v);
    atomicAdd(&total, i);
  }
  unsigned b = __ballot_sync(0xffffffffu, i < p.n);
  if (__syncthreads_or(i >= p.n) && i == p.n) p.y[i] = (float)__popc(b);
}
