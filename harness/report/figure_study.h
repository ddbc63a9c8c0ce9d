/* The figures of a study, from its store. */
#ifndef TD_REPORT_FIGURE_STUDY_H
#define TD_REPORT_FIGURE_STUDY_H

#include "report/figure.h"
#include "stats/stats.h"
#include "store/store.h"
#include "study/plan.h"

typedef struct figure_source {
  store *store;
  const study *study;
  const plan *plan;
  const stats_options *stats;
  const double *cost; /* [study->n_rows], of one clip; figure_cost alone reads it */
  const char *cost_label;
} figure_source;

/* Means of two metrics, one point a variant with the clustered bootstrap intervals of both means: alignment against
 * distance to the base model (Fig. 11 of the TransPixeler paper). Variants without a value are named in the alt
 * text. */
int figure_scatter(err *e, const figure_source *from, int x_metric, int y_metric, figure *out) TD_MUST_CHECK;
/* Differences to the reference variant: a point a variant with its interval, and behind it one dot a prompt. */
int figure_paired(err *e, const figure_source *from, int y_metric, figure *out) TD_MUST_CHECK;
/* A metric against cost, and the frontier of variants that no other beats in both. */
int figure_cost(err *e, const figure_source *from, int y_metric, figure *out) TD_MUST_CHECK;
/* Training losses, a line a training, each value the mean of the tenth of the run that ends there. */
int figure_losses(err *e, const figure_source *from, figure *out) TD_MUST_CHECK;

#endif
