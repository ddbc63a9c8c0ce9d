/* The parts of `tandem generate`: the request, and the work in the order it is done. Internal to the verb. */
#ifndef TD_CLI_GENERATE_H
#define TD_CLI_GENERATE_H

#include "cli/adapters.h"
#include "cli/generate_in.h"
#include "cli/progress.h"
#include "media/composite.h"
#include "pipeline.h"

typedef struct generate_args {
  const char *model, *config, *design, *prompt, *negative, *embeddings, *cache, *image, *noise, *noise_run;
  const char *size, *tile, *out, *latents, *composite, *over, *preview;
  cli_list adapters;
  double gamma, guidance, fps;
  int64_t frames, steps, seed, quality, preview_every;
  int sampler, cfg, colour;
} generate_args;

typedef struct generate {
  cli *c;
  const generate_args *a;
  ctx x;
  design d;
  layout l;
  dit_config transformer; /* read before any weight is */
  vae_config pixels;      /* when has_vae */
  dit m;
  adapters from;
  adapter adapter;
  int channels, rank; /* of a latent; of the LoRA, 0 without adapter */
  double gamma;
  vae v;
  int has_vae;
  vae_options decode;
  sample_config sample;
  clip_size size;
  noise_file noise;
  text_rows text;
  float *start, *image, *z; /* z: [streams * z_frames, C, h, w] */
  float *frames[2];         /* decoded halves */
  matte_spread spread;
  progress progress;
  const char *phase;
  double seconds[3]; /* text, sampling, decoding */
  int64_t encoded;   /* prompts that were not in the cache */
} generate;

/* Numbers of one half of the latents. */
static inline int64_t generate_half(const generate *g) {
  return (int64_t)g->size.z_frames * g->channels * g->size.z_height * g->size.z_width;
}

/* Reads, decides and loads everything that the sampler needs. */
int generate_prepare(generate *g) TD_MUST_CHECK;
int generate_sample(generate *g) TD_MUST_CHECK;
/* Decodes and writes what was asked for. */
int generate_deliver(generate *g) TD_MUST_CHECK;
/* The context's error under the verb's. */
int generate_fail(generate *g, int rc);

#endif
