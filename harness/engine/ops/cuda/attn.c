#include "ops/cuda/cuda.h"

void cuda_attn_close(ctx *c) {
  (void)c;
}

int cuda_attn_run(ctx *c, const op_attn_args *a) {
  (void)a;
  return err_set(&c->err, E_UNSUPPORTED, "backend cuda: no attention in this build");
}

int cuda_attn_bwd(ctx *c, const op_attn_bwd_args *a) {
  (void)a;
  return err_set(&c->err, E_UNSUPPORTED, "backend cuda: no attention in this build");
}
