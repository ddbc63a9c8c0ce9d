/* Scores of one clip file: what the score stage and the validation of scores share. */
#ifndef TD_RUN_SCORE_FILES_H
#define TD_RUN_SCORE_FILES_H

#include "base/err.h"
#include "model/block_vae.h"
#include "metrics/metric.h"

typedef struct score_files {
  const char *sample, *partner,
      *base;       /* paths; partner (same prompt, other seed) and base (same noise) may be NULL */
  const char *vae; /* scales of the VAE that latents of sample and base are made with, or NULL */
  int world;       /* the true mattes can be read off the pictures (media/world.h) */
} score_files;

/* Latents of the pictures of in->clip and in->base, for metrics that compare them: allocates one block, which the
 * caller frees, and points `in` into it. *out is NULL, and `in` as before, when there is no base or the VAE cannot
 * encode clips of this size. */
int score_latents(err *e, const block_vae *v, metric_input *in, float **out) TD_MUST_CHECK;

/* Fills out[0 .. n-1]. Errors of reading name the file; else as metric_score. */
int score_files_run(err *e, const score_files *f, const metric_request *list, int64_t n,
                    metric_value *out) TD_MUST_CHECK;

#endif
