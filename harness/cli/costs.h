/* Tables of what training steps and forward passes cost, from the null backend: for `doctor --plan` and
 * `plan`. */
#ifndef TD_CLI_COSTS_H
#define TD_CLI_COSTS_H

#include "base/json.h"
#include "cli/grid.h"
#include "model/plan.h"
#include "study/study.h"
#include "variants/variant.h"

typedef struct cost_line {
  const char *model;
  char design[DESIGN_TEXT]; /* or the variant of a study */
  const char *pass;         /* "train", "sample" */
  int recompute, batch;
  int at_level[3]; /* blocks of a training step at each level; all 0 for a forward pass */
  int misfit;      /* it does not fit the budget that was asked for */
  plan_cost cost;
} cost_line;

typedef struct cost_table {
  cost_line *at;
  int64_t n, cap;
  char without[256]; /* why the first design that this build cannot run on the model is not there; "" */
  size_t budget;     /* of costs_designs, bytes; 0: none */
} cost_table;

/* A training step (with activations kept, and recomputed) and a forward pass. A design that trains nothing has no
 * training step. r->train, r->level and r->pieces are ignored; batches of training and of sampling may differ. */
int costs_measure(err *e, const plan_request *r, const char *model, const char *name, int sample_batch,
                  cost_table *to) TD_MUST_CHECK;
/* One training step, with levels that fit the table's budget, or those that come nearest. */
int costs_fit(err *e, const plan_request *r, const char *model, const char *name, cost_table *to) TD_MUST_CHECK;
/* The same for every design of the program that can run on the model, or with a budget of the table only
 * training steps that fit it; r->l is ignored. */
int costs_designs(err *e, const plan_request *r, const char *model, int sample_batch, cost_table *to) TD_MUST_CHECK;
/* The same for a row of a study, with its batch and guidance. Nothing for clips of another program. */
int costs_row(err *e, const study_row *r, cost_table *to) TD_MUST_CHECK;
/* FLOPs of sampling one clip of the row, from the denoiser alone: all steps, both guidance passes, and the base
 * model's clip first where the design wants it. NaN for clips of another program. */
int costs_clip(err *e, const study_row *r, double *flops) TD_MUST_CHECK;
void costs_text(const cost_table *t, text *out);
json *costs_json(const cost_table *t);
void costs_free(cost_table *t);

#endif
