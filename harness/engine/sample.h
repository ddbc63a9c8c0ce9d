/* Sampling: DDIM and SDE-DPM-Solver++ on v-prediction, Euler on flow matching; classifier-free guidance; every
 * design.
 *
 * Noise is addressed by (seed of the clip, half, element), never by batch position: batch 1 and batch 8 give the same
 * bits, and every design sees the same noise at the same pixel. */
#ifndef TD_ENGINE_SAMPLE_H
#define TD_ENGINE_SAMPLE_H

#include "model/dit.h"
#include "model/schedule.h"
#include "variants/variant.h"

typedef struct sample_config {
  sampler_kind sampler;
  spacing spacing;
  int steps;
  double guidance;
  cfg_kind cfg;
  double snr_shift;
} sample_config;
sample_config sample_defaults(void);

/* What a step leaves, on the host: [clips, streams*F, C, H, W] of the chunk that is sampled. */
typedef struct sample_step {
  int step, steps, streams;
  int64_t t;
  const float *v, *clean, *latents; /* guided prediction; the step's estimate of the end; the sample after it */
} sample_step;

typedef struct sample_request {
  int64_t clips;
  int frames, height, width; /* latents of one half */
  const uint64_t *seeds;     /* [clips]: noise key of each clip */
  int64_t n_text, text_dim;
  const float *text;      /* [clips, n_text, text_dim] */
  const float *null_text; /* [n_text, text_dim] */
  /* Image-to-video models (in_channels > out_channels): latents of the first frame, [clips, 2, in_channels -
   * out_channels, H, W], the picture's and then its alpha's (all zeros: alpha is left to the model); the other
   * frames see zeros (spec/model.md 10.3). NULL for text-to-video models. */
  const float *image;
  /* Injected noise, for parity tests: start [clips, streams*F, C, H, W] and, per step, the step noise; else NULL. */
  const float *start, *step_noise;
  int (*watch)(void *user, const sample_step *s); /* after each step; may be NULL */
  int (*stop)(void *user);
  void *user;
} sample_request;

/* rgb, alpha: [clips, F, C, H, W]; alpha may be NULL for `base`. `a` may be NULL for `base`. */
int sample_run(ctx *c, const dit *m, const adapter *a, const design *d, const sample_config *cfg,
               const sample_request *r, float *rgb, float *alpha) TD_MUST_CHECK;

#endif
