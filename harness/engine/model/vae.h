/* The CogVideoX video VAE (AutoencoderKLCogVideoX), encode and decode, over ops.h.
 *
 * Source of every formula: spec/model.md 7, which restates diffusers' autoencoder_kl_cogvideox.py. What makes its
 * numbers: time is cut into chunks (encode 8 frames, decode 2 latent frames, the first chunk takes the rest); group
 * norms see one chunk at a time; convolutions are causal in time and remember the last 2 input frames of the chunk
 * before. With the hub's settings space shrinks by 8 and time by 4.
 *
 * Frames. 8k + 1 frames (9, 17, ... 49) and 8k frames come back from decode(encode()) unchanged, and so does 1; other
 * counts do not: 13 frames become 4 latent frames, which decode to 16.
 *
 * Tiles. With tiling, a picture larger than one tile is cut into overlapping tiles, each computed with chunks of its
 * own and blended with the one above, then with the one to the left. Other pixels than without tiles, less memory. */
#ifndef TD_MODEL_VAE_H
#define TD_MODEL_VAE_H

#include <stdint.h>

#include "base/json.h"
#include "model/safetensors.h"
#include "ops/ops.h"

#define VAE_BLOCKS 8 /* most entries of block_out_channels */

/* config.json of AutoencoderKLCogVideoX. */
typedef struct vae_config {
  int in_channels, out_channels, latent_channels;
  int blocks, channels[VAE_BLOCKS]; /* block_out_channels; space shrinks by 2^(blocks - 1) */
  int layers, groups;               /* layers_per_block, norm_num_groups */
  int time_halvings;                /* log2 of temporal_compression_ratio */
  double norm_eps;                  /* encoder's and mid blocks' group norms; 1e-6 elsewhere, as in the source */
  int sample_height, sample_width;  /* pixels; the default tile is half of each */
  double scaling_factor;
  int invert_scale_latents, quant_conv, post_quant_conv;
} vae_config;

/* Refused: settings that change the result in a way this engine does not compute (E_UNSUPPORTED), and configs that
 * describe no network (E_CONFIG). `name` is for messages. */
int vae_config_read(err *e, const json *j, const char *name, vae_config *out) TD_MUST_CHECK;
/* Do the weights fit the config? One message names every hyper-parameter that config and shapes disagree about (with
 * both values), and the missing, misshapen and extra tensors. `config` is a name for messages. */
int vae_check(err *e, const vae_config *cfg, const char *config, const st_file *w) TD_MUST_CHECK;
/* Pixels of a latent's side: 2^(blocks - 1). */
int vae_scale(const vae_config *c);
/* What the transformer sees is z * scaling_factor; decode takes latents / scaling_factor. The first-frame latents of
 * image-to-video are multiplied by vae_image_factor: 1.5-I2V was trained with the inverse. */
double vae_image_factor(const vae_config *c);

/* Image latents of an image-to-video model: (mean + exp(logvar / 2) * eps) * factor, n numbers (spec/model.md 10.3);
 * factor is vae_image_factor. */
void vae_image_latents(int64_t n, const float *mean, const float *logvar, const float *eps, double factor,
                       float *out);

/* Latent frames of `frames` frames, and frames that `latents` latent frames decode to; 0 for 0 or less. */
int64_t vae_latent_frames(const vae_config *c, int64_t frames);
int64_t vae_pixel_frames(const vae_config *c, int64_t latents);
/* OK when `frames` frames come back unchanged; else E_ARG, which says what they would become and names the nearest
 * counts that do. */
int vae_check_frames(err *e, const vae_config *c, int64_t frames) TD_MUST_CHECK;

typedef enum vae_part { VAE_ENCODER = 1, VAE_DECODER = 2 } vae_part;

typedef struct vae_net vae_net; /* model/vae_net.h */
typedef struct vae {
  vae_config cfg;
  unsigned parts;       /* VAE_ENCODER | VAE_DECODER: what is in memory */
  int64_t n_params;     /* tensors of the file, both parts: 436 for the hub's */
  int64_t n_file_reals; /* numbers of the file, both parts: 215,583,907 for the hub's */
  int64_t n_reals;      /* in memory */
  struct param *params; /* model/dit.h: names and shapes of the file, both parts */
  real *w;              /* flat block in backend memory */
  vae_net *net;         /* views into w */
} vae;

/* Allocates the weights of the parts. Contents undefined until vae_load. vae_close is legal after a failure. */
int vae_open(ctx *c, const vae_config *cfg, unsigned parts, vae *out) TD_MUST_CHECK;
void vae_close(ctx *c, vae *v);
/* Every tensor by its diffusers name from any of n files (shards), F32, F16 or BF16; all missing, extra and misshapen
 * ones of both parts are listed in one message (E_SHAPE). Tensors of a part that was not opened are not read. */
int vae_load(ctx *c, vae *v, const st_file *const *files, int n) TD_MUST_CHECK;

/* Tile size in pixels; 0 x 0: no tiling. */
typedef struct vae_tile {
  int height, width;
} vae_tile;
/* The reference's default: half the config's sample size (240 x 360). */
vae_tile vae_tile_default(const vae_config *c);
/* E_ARG unless tiles of this size put together give a picture of the right size: with the hub's settings a multiple
 * of 48 x 40. 0 x 0 is legal. */
int vae_tile_check(err *e, const vae_config *c, vae_tile t) TD_MUST_CHECK;

/* [batch, channels, frames, height, width] of the input: pixels to encode, latents to decode. */
typedef struct vae_shape {
  int64_t batch, frames, height, width;
} vae_shape;

/* Work done and to do, in FLOPs; the place: tile 1..tiles and input frames done of one sample. */
typedef struct vae_tick {
  double done, total;
  int64_t tile, tiles, frames, of_frames;
} vae_tick;

/* Intermediate rows by the reference's names ("decoder.up_blocks.0"): rows ((t * height) + y) * width + x. */
typedef int (*vae_trace)(void *user, const char *name, view v, int64_t frames, int64_t height, int64_t width);

typedef struct vae_options {
  vae_tile tile;
  /* Called often. Not 0 stops the work with E_INTERRUPTED (outputs then undefined). NULL: never. */
  int (*tick)(void *user, const vae_tick *t);
  vae_trace trace; /* or NULL */
  void *user;      /* of both */
} vae_options;

/* What a call costs, found by running its own code on the null backend: no weights, no data. */
typedef struct vae_cost {
  int64_t weights;          /* bytes of the opened part */
  int64_t work;             /* bytes a call allocates at its peak, beside weights, input and output */
  int64_t input, output;    /* bytes of the caller's tensors */
  double flops, conv_flops; /* of the whole call; of its 3 x 3 convolutions */
  int64_t tiles, chunks;    /* of one sample */
  op_count count[OP_COUNT];
} vae_cost;
int vae_measure(err *e, const vae_config *cfg, vae_part part, const vae_options *o, const vae_shape *s,
                vae_cost *out) TD_MUST_CHECK;

/* Shape of the outputs: frames, height and width of mean and logvar, or of the decoded frames. E_SHAPE for inputs
 * that are too small or empty, E_ARG for a tile that does not fit. Sizes that are no multiple of vae_scale are
 * encoded as the reference does: rounded down. */
int vae_encoded_shape(err *e, const vae_config *c, const vae_options *o, const vae_shape *s,
                      vae_shape *out) TD_MUST_CHECK;
int vae_decoded_shape(err *e, const vae_config *c, const vae_options *o, const vae_shape *s,
                      vae_shape *out) TD_MUST_CHECK;

/* clip: host, [B, in_channels, T, H, W] in [-1, 1]. mean, logvar: host, [B, latent_channels, t, h, w], unscaled;
 * logvar is clamped to -30..20. Memory beside the caller's is taken from the backend and given back. */
int vae_encode(ctx *c, const vae *v, const vae_options *o, const vae_shape *s, const real *clip, real *mean,
               real *logvar) TD_MUST_CHECK;
/* latents: host, [B, latent_channels, t, h, w], already divided by scaling_factor. frames: host,
 * [B, out_channels, T, H, W], about [-1, 1], not clamped. */
int vae_decode(ctx *c, const vae *v, const vae_options *o, const vae_shape *s, const real *latents,
               real *frames) TD_MUST_CHECK;

#endif
