/* The figures of a study, from its store. */
#ifndef TD_REPORT_FIGURE_STUDY_H
#define TD_REPORT_FIGURE_STUDY_H

#include "report/figure.h"
#include "report/table.h"
#include "study/plan.h"

/* What figures over metrics share: the study's table and the scores below it. One serves any number of figures. */
typedef struct figure_scores figure_scores;
/* `in` must outlive the scores. */
int figure_scores_open(err *e, const table_input *in, figure_scores **out) TD_MUST_CHECK;
void figure_scores_close(figure_scores *s);

/* The study's distance to the base model as its metrics name it, the index of a metric; -1: it measures none. */
int figure_distance_metric(const study *st);

/* Means of two metrics, one point a variant with the clustered bootstrap intervals of both means: alignment against
 * distance to the base model (Fig. 11 of the TransPixeler paper). Variants without a value are named in the alt
 * text. */
int figure_scatter(err *e, figure_scores *s, int x_metric, int y_metric, figure *out) TD_MUST_CHECK;
/* Differences to the reference variant: a point a variant with its interval, and behind it one dot a prompt. */
int figure_paired(err *e, figure_scores *s, int column, figure *out) TD_MUST_CHECK;
/* A metric against the cost of one clip (by row; NaN: not known), and the frontier of variants that no other beats in
 * both. */
int figure_cost(err *e, figure_scores *s, int y_metric, const double *cost, const char *label,
                figure *out) TD_MUST_CHECK;
/* Training losses, a line a training, each value the mean of the tenth of the run that ends there. */
int figure_losses(err *e, store *from, const study *st, const plan *p, figure *out) TD_MUST_CHECK;

#endif
