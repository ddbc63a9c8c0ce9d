/* The VAE's networks as views into the flat block of weights; shared by the files of model/vae*.c only. */
#ifndef TD_MODEL_VAE_NET_H
#define TD_MODEL_VAE_NET_H

#include "model/vae.h"

/* A 3 x 3 convolution over kt frames (w as op_conv3d wants it), or a product of single pixels (w [out, in]). */
typedef struct vae_conv {
  view w, b;
  int kt;
} vae_conv;
/* Group norm; in the decoder multiplied by y(latents) and shifted by b(latents). */
typedef struct vae_norm {
  view w, b;
  vae_conv scale, shift; /* w.p NULL in the encoder */
  double eps;
} vae_norm;
typedef struct vae_res {
  int in, out;
  vae_norm norm1, norm2;
  vae_conv conv1, conv2, shortcut; /* shortcut only where in != out */
} vae_res;

/* One half. Stages are down_blocks or up_blocks; the middle comes after them in the encoder, before in the decoder.
 */
typedef struct vae_half {
  int encoder, stages, layers; /* layers: residual blocks a stage */
  vae_conv quant;              /* after the encoder, before the decoder; w.p NULL: none */
  vae_conv conv_in, conv_out, sample[VAE_BLOCKS];
  vae_res mid[2], *stage[VAE_BLOCKS];
  vae_norm norm_out;
} vae_half;

struct vae_net {
  vae_half enc, dec;
  vae_res *store; /* behind the stages */
};

/* Frames taken at once; the first chunk takes the rest as well. */
enum { VAE_ENCODE_CHUNK = 8, VAE_DECODE_CHUNK = 2 };

int64_t vae_chunks(int64_t frames, int64_t size);
/* Frames [from, end) of chunk i. */
void vae_chunk_at(int64_t frames, int64_t size, int64_t i, int64_t *from, int64_t *end);
/* Frames that one chunk of `frames` frames becomes. */
int64_t vae_chunk_frames(const vae_config *c, int encode, int64_t frames);

/* Tiling along height (axis 0) or width (1) for a tile of `tile` pixels: size and distance of tiles in the input,
 * blended and kept rows in the output. */
typedef struct vae_axis {
  int tile, step, blend, keep;
} vae_axis;
vae_axis vae_axis_of(const vae_config *c, int encode, int axis, int tile);

#endif
