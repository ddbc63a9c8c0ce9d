/* What a step costs before it is run: the null backend executes the model's own code and counts. */
#ifndef TD_MODEL_PLAN_H
#define TD_MODEL_PLAN_H

#include "model/dit.h"

typedef struct plan_request {
  dit_config cfg;
  layout l;
  adapter_shape shape;
  dtype storage;                    /* DT_BF16, else DT_REAL */
  int batch, frames, height, width; /* latents of one half */
  int64_t n_text;
  int train;                  /* loss and gradients; else one forward */
  int base;                   /* with train: the model's own weights are trained too */
  const unsigned char *level; /* of dit_io */
  int pieces;
} plan_request;

typedef struct plan_cost {
  size_t arena;            /* bytes of activations and scratch at the peak */
  int64_t params, trained; /* reals of the model; trained reals (adapter, or model) */
  double flops, bytes;     /* of one step */
  op_count count[OP_COUNT];
} plan_cost;

int plan_measure(err *e, const plan_request *r, plan_cost *out) TD_MUST_CHECK;

#endif
