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

/* What a matrix library on a GPU takes beside the tensors. */
#define PLAN_WORKSPACE ((size_t)32 << 20)

/* Device memory by owner, bytes. `weights` are those the model reads while it is frozen; what is trained has reals
 * (masters), their gradients and two moments, and with other storage a copy for the model. An averaged base (EMA), a
 * driver's own memory and Muon's scratch are not counted. */
typedef struct plan_bytes {
  size_t weights, masters, gradients, moments, copies;
  size_t kept;    /* what blocks keep: inputs, and for lower levels more; modulation rows */
  size_t working; /* the rest of the arena at its peak: one block at work, inputs and outputs of the step */
  size_t tables;  /* row maps, rotary and position tables */
  size_t workspace, total;
} plan_bytes;

typedef struct plan_cost {
  plan_bytes memory;
  size_t arena;            /* bytes of activations and scratch at the peak */
  int64_t params, trained; /* reals of the model; trained reals (adapter, or model) */
  double flops, bytes;     /* of one step */
  op_count count[OP_COUNT];
} plan_cost;

int plan_measure(err *e, const plan_request *r, plan_cost *out) TD_MUST_CHECK;

#define PLAN_PIECES 16
/* Levels of a training step within `budget` bytes, into level [layers]: the least work that fits. Everything is kept
 * if that fits; else all blocks keep their inputs, then as many as fit their attention output, then as many as fit
 * everything, first blocks first. Feed-forward rows are taken in PLAN_PIECES pieces. *fits is 0 when even inputs
 * alone are too much; `out` is then the cost of that. r->level and r->pieces are ignored. */
int plan_fit(err *e, const plan_request *r, size_t budget, unsigned char *level, plan_cost *out,
             int *fits) TD_MUST_CHECK;

#endif
