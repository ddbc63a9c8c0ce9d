/* Scores of two sets for `tandem score`: all clips against all clips of --against, or two files of features. */
#ifndef TD_CLI_SCORE_SETS_H
#define TD_CLI_SCORE_SETS_H

#include "cli/cli.h"
#include "cli/score_jobs.h"
#include "cli/score_rows.h"
#include "metrics/set.h"

typedef struct score_sets {
  set_request *at; /* free() it */
  int64_t n, cap;
} score_sets;

/* Appends those of "a,b:x=1,y=2,c". */
int score_sets_named(err *e, const char *list, score_sets *out) TD_MUST_CHECK;

/* `stated` as in score_clips_read. Clips are read and their features taken `threads` at a time; a clip that cannot be
 * read is left out, counted in *failed and named on standard error. Appends one line a score to `out`. */
int score_sets_clips(cli *c, const score_sets *list, const score_jobs *x, const score_jobs *y, int stated,
                     int threads, score_form form, int64_t *failed, text *out) TD_MUST_CHECK;
/* Of feature files (media/features.h); the scores must take features from outside. */
int score_sets_files(cli *c, const score_sets *list, const char *x, const char *y, int threads, score_form form,
                     text *out) TD_MUST_CHECK;

#endif
