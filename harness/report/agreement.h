/* Do the scores agree with the truth on generated clips? Correlation of every alignment score, and of its gain, with
 * the true agreement of alpha and picture, over the clips of a study whose pictures' true mattes are known. */
#ifndef TD_REPORT_AGREEMENT_H
#define TD_REPORT_AGREEMENT_H

#include "metrics/metric.h"
#include "stats/stats.h"
#include "store/query.h"

typedef struct agreement_options {
  int64_t replicates; /* of the bootstrap over prompts */
  double level;
  uint64_t seed;
  int threads; /* 0 counts as 1; nothing depends on it */
} agreement_options;

typedef struct agreement_row {
  char score[METRIC_TEXT], target[METRIC_TEXT];
  int64_t points;      /* clips where both are defined */
  stats_correlation r; /* of the score, negated where lower is better: positive is agreement */
} agreement_row;

typedef struct agreement {
  int64_t clips, designs, prompts;
  int64_t computed; /* clips with scores that the store did not have */
  int64_t n;
  agreement_row *row;
} agreement;

/* Rows for the requests of `list` that compare alpha with the picture alone (gain_ok; no truth, reference or trimap
 * needed) and are no gains: each with true_iou and true_corr, its gain with true_iou_gain, in the order of `list`.
 * Stored values of the same version are taken as they are; the rest is computed from the stored clips, partners and
 * base clips as the score stage does. E_CONFIG when the study's clips have no true matte. */
int agreement_make(err *e, store *s, const char *study_name, const metric_request *list, int64_t n,
                   const agreement_options *o, agreement *out) TD_MUST_CHECK;
void agreement_free(agreement *a);

#endif
