/* One clip of `tandem score` with what stands beside it, read from its files. */
#ifndef TD_CLI_SCORE_CLIPS_H
#define TD_CLI_SCORE_CLIPS_H

#include "cli/score_jobs.h"
#include "metrics/metric.h"

typedef struct score_clips {
  clip own, beside[SCORE_ROLES]; /* own.frames = 0: not read */
  float *matte;                  /* [T][H][W]: a truth without alpha is a matte itself; else NULL */
  metric_input in;
} score_clips;

/* `stated`: 1 + clip_colour for files that do not say what their colour means, 0 for the rule: straight with alpha,
 * decoded without; with a matte from another file decoded.
 *
 * A truth without alpha is the true matte and no reference. A matte is that file's alpha, or its luma when it has
 * none. A picture for another matte that has an alpha of its own and is not tagged as decoded is laid over black by
 * it. Messages name the files. */
int score_clips_read(err *e, const score_job *j, int stated, score_clips *out) TD_MUST_CHECK;
void score_clips_free(score_clips *s);

#endif
