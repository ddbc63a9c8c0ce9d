/* Two variants, clip by clip: what `tandem compare` shows. */
#ifndef TD_REPORT_COMPARE_H
#define TD_REPORT_COMPARE_H

#include "report/verdict.h"

/* Everything is borrowed. */
typedef struct compare_input {
  pairs_side a, b;            /* differences are a - b */
  const char *const *metrics; /* ids, the family; n_metrics 0: every metric of a */
  int n_metrics;
  double margin; /* differences up to here are the same */
  double alpha;  /* of the family */
  stats_options stats;
} compare_input;

/* One check a metric. A verdict better or worse also needs Holm's correction over all of them; a metric that one side
 * lacks, or has in another version, is missing; clips that one side lacks are told and left out. E_ARG for a metric
 * that neither has. */
int compare_variants(err *e, const compare_input *in, verdict_list *out) TD_MUST_CHECK;

#endif
