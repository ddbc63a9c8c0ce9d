/* Attention within pairs of rows (i, n + i): two keys a query, so a head is a few dot products and no tile. */
#include "ops/cpu/internal.h"

#include <math.h>
#include <omp.h>

static real *at(view v, int64_t row, int64_t col) {
  return (real *)v.p + row * v.ld + col;
}

int cpu_attn_small(ctx *c, const op_attn_small_args *a) {
  const cpu_state *s = cpu_of(c);
  int64_t n = a->q.rows / 2, heads = a->heads, dim = a->q.cols / heads;
  real scale = (real)(1.0 / sqrt((double)dim));
#pragma omp parallel for schedule(static) num_threads(s->threads)
  for (int64_t i = 0; i < n; i++) {
    for (int64_t h = 0; h < heads; h++) {
      small_pair x = {.dim = dim};
      for (int r = 0; r < 2; r++) {
        x.q[r] = at(a->q, i + r * n, h * dim);
        x.k[r] = at(a->k, i + r * n, h * dim);
        x.v[r] = at(a->v, i + r * n, h * dim);
        x.o[r] = at(a->o, i + r * n, h * dim);
      }
      s->attn->small(&x, scale);
    }
  }
  return OK;
}

int cpu_attn_small_bwd(ctx *c, const op_attn_small_bwd_args *a) {
  const cpu_state *s = cpu_of(c);
  int64_t n = a->q.rows / 2, heads = a->heads, dim = a->q.cols / heads;
  real scale = (real)(1.0 / sqrt((double)dim));
#pragma omp parallel for schedule(static) num_threads(s->threads)
  for (int64_t i = 0; i < n; i++) {
    for (int64_t h = 0; h < heads; h++) {
      small_pair x = {.dim = dim};
      for (int r = 0; r < 2; r++) {
        x.q[r] = at(a->q, i + r * n, h * dim);
        x.k[r] = at(a->k, i + r * n, h * dim);
        x.v[r] = at(a->v, i + r * n, h * dim);
        x.d_o[r] = at(a->d_o, i + r * n, h * dim);
        x.dq[r] = at(a->dq, i + r * n, h * dim);
        x.dk[r] = at(a->dk, i + r * n, h * dim);
        x.dv[r] = at(a->dv, i + r * n, h * dim);
      }
      s->attn->small_bwd(&x, scale);
    }
  }
  return OK;
}
