/* Scores of one clip file: what the score stage and the validation of scores share. */
#ifndef TD_RUN_SCORE_FILES_H
#define TD_RUN_SCORE_FILES_H

#include "base/err.h"
#include "metrics/metric.h"

typedef struct score_files {
  const char *sample, *partner,
      *base; /* paths; partner (same prompt, other seed) and base (same noise) may be NULL */
  int world; /* the true mattes can be read off the pictures (media/world.h) */
} score_files;

/* Fills out[0 .. n-1]. Errors of reading name the file; else as metric_score. */
int score_files_run(err *e, const score_files *f, const metric_request *list, int64_t n,
                    metric_value *out) TD_MUST_CHECK;

#endif
