/* From a model folder's parts to a clip: sizes of a clip's latents, the folder's sampler, image latents, decoding.
 * Sampling itself is sample.h's; spec/model.md 9, 10 and 13. */
#ifndef TD_ENGINE_PIPELINE_H
#define TD_ENGINE_PIPELINE_H

#include "model/vae.h"
#include "sample.h"

/* A clip's size in pixels and in latents. Models with time patches (1.5) want a multiple of patch_t latent frames:
 * `extra` frames are sampled before the clip's own and dropped, as diffusers does. */
typedef struct clip_size {
  int64_t frames, height, width;
  int z_frames, z_height, z_width; /* latents to sample, of one half, `extra` included */
  int extra;
} clip_size;

/* E_ARG for counts that the VAE does not give back, with the nearest ones that it does, and for sides that are no
 * multiple of its scale times the model's patch. */
int clip_size_of(err *e, const dit_config *m, const vae_config *v, int64_t frames, int64_t height, int64_t width,
                 clip_size *out) TD_MUST_CHECK;

/* scheduler_config.json: sampler, spacing and SNR shift into *out, whose other members stay. A prediction or noise
 * table that this engine does not compute is E_UNSUPPORTED. */
int scheduler_read(err *e, const json *j, const char *name, sample_config *out) TD_MUST_CHECK;

/* The VAE of a folder (or of a weights path with config.json beside it), with the parts that are asked for. */
int vae_from(ctx *c, const char *path, st_mode mode, unsigned parts, vae *out) TD_MUST_CHECK;

/* First-frame latents of a picture [3][H][W] in [-1,1]: posterior sample with `eps` [latent_channels][h][w], times
 * vae_image_factor. out: like eps. */
int image_latents(ctx *c, const vae *v, const vae_options *o, const clip_size *s, const float *picture,
                  const float *eps, float *out) TD_MUST_CHECK;
/* One half [z_frames][C][h][w] as frames [3][frames][H][W], about [-1,1]: divided by the scaling factor, its first
 * `extra` frames dropped. */
int decode_half(ctx *c, const vae *v, const vae_options *o, const clip_size *s, const float *latents,
                float *frames) TD_MUST_CHECK;
/* Latent frame `at` of a half alone, as a picture [3][H][W]: for previews. */
int decode_frame(ctx *c, const vae *v, const clip_size *s, int at, const float *latents,
                 float *picture) TD_MUST_CHECK;

#endif
