/* The default study's "VAE": a fixed linear block transform (spec/default-study.md 4, in the 48x48 form of 14).
 *
 * A block of 2 frames x 8 x 8 pixels becomes 40 numbers: orthonormal opponent colour x DCT-II over time, height and
 * width, of which luma keeps 10 (time frequency 0) and 6 (1), each of the two chroma axes 8 and 4, in the order of
 * (ky + kx, |ky - kx|, ky). Each channel is divided by its scale. Pixels are in [-1,1]; latents of T frames of H x W
 * are [T/2][40][H/8][W/8]. */
#ifndef TD_MODEL_BLOCK_VAE_H
#define TD_MODEL_BLOCK_VAE_H

#include <stdint.h>

#include "base/clip.h"
#include "base/err.h"

#define BLOCK_VAE_CHANNELS 40
#define BLOCK_VAE_FRAMES 2 /* pixels of a block along time */
#define BLOCK_VAE_SIDE 8   /* and along height and width */
#define BLOCK_VAE_PIXELS (3 * BLOCK_VAE_FRAMES * BLOCK_VAE_SIDE * BLOCK_VAE_SIDE)

typedef struct block_vae { /* plain data, about 120 kB; nothing to close */
  double scale[BLOCK_VAE_CHANNELS];
  double basis[BLOCK_VAE_PIXELS][BLOCK_VAE_CHANNELS]; /* pixel (colour, t, y, x) by channel; columns orthonormal */
} block_vae;

typedef enum block_vae_plane { BLOCK_VAE_RGB, BLOCK_VAE_ALPHA } block_vae_plane;

/* E_ARG unless every scale is finite and positive. */
int block_vae_open(err *e, const double scale[BLOCK_VAE_CHANNELS], block_vae *out) TD_MUST_CHECK;
/* Scales from / to a JSON file. `fitted_on` says in words what they were fitted on. */
int block_vae_load(err *e, const char *path, block_vae *out) TD_MUST_CHECK;
int block_vae_save(err *e, const block_vae *v, const char *fitted_on, const char *path) TD_MUST_CHECK;

/* Gives clip i (allocated with clip_new; the fit frees it). */
typedef int (*block_vae_source)(void *user, err *e, int64_t i, clip *out);
/* Scales over the RGB of n clips: each channel's standard deviation (about its mean, at least 1e-3), times the one
 * factor that gives all latents together unit power. */
int block_vae_fit(err *e, int64_t n, block_vae_source source, void *user, block_vae *out) TD_MUST_CHECK;

/* Floats in the latents of one half; E_SHAPE unless frames are even, height and width multiples of 8, all positive.
 */
int block_vae_count(err *e, int frames, int height, int width, int64_t *out) TD_MUST_CHECK;
/* Encodes 2x - 1 of the clip's rgb, or of its alpha in three equal channels (chroma latents are then 0). latents:
 * block_vae_count floats. E_ARG when the clip has no such plane. */
int block_vae_encode(err *e, const block_vae *v, const clip *c, block_vae_plane plane, float *latents) TD_MUST_CHECK;
/* Fills a clip made by clip_new: rgb, and alpha (the mean of the three decoded channels) when `alpha` is given;
 * values are clamped to [0,1] and the colour becomes CLIP_DECODED. E_ARG when `alpha` is given and c has no alpha
 * plane. */
int block_vae_decode(err *e, const block_vae *v, const float *rgb, const float *alpha, clip *c) TD_MUST_CHECK;

#endif
