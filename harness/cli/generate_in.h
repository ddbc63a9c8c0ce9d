/* What `tandem generate` takes from files beside the model: noise, text rows, the first frame. */
#ifndef TD_CLI_GENERATE_IN_H
#define TD_CLI_GENERATE_IN_H

#include "base/err.h"
#include "pipeline.h"

/* Injected noise of one clip, in memory. */
typedef struct noise_file {
  int64_t frames, channels, height, width; /* of `start`, frames as in the file */
  float *start;                            /* in.start, in.noise_half or in.latents, [1,F,C,h,w] */
  int64_t steps, step_frames;
  float *step;      /* noise, or RUN.noise, [steps,1,F,C,h,w]; NULL */
  int several;      /* `step` is NULL because several tensors end in .noise and none was named */
  float *posterior; /* in.posterior_noise [1,C,1,h,w]; NULL */
} noise_file;
/* `run`: whose step noise is read, of a file with several; NULL: `noise`, else the only tensor that ends in .noise.
 */
int noise_read(err *e, const char *path, const char *run, noise_file *out) TD_MUST_CHECK;
void noise_close(noise_file *n);
/* `halves` x `frames` frames of start noise, a half repeated where the file has one, into out. E_SHAPE. */
int noise_start(err *e, const noise_file *n, const char *path, int halves, const clip_size *s,
                float *out) TD_MUST_CHECK;

/* Rows of a prompt and of the empty one, [2][rows][width]. */
typedef struct text_rows {
  int64_t rows, width;
  float *at;
  int lone; /* the file has no rows of the empty prompt: guidance cannot run */
} text_rows;
/* safetensors with in.text_cond and in.text_uncond, or text [2,T,D] (or [1,T,D], [T,D]); or .npy of those shapes. */
int embeddings_read(err *e, const char *path, text_rows *out) TD_MUST_CHECK;

/* First frame of a picture or video, scaled to cover the clip's size and cut at the centre: colour, and alpha where
 * it has one, each [3][H][W] in [-1,1]. *has_alpha says which. The caller frees *out, [2][3][H][W]. */
int picture_read(err *e, const char *path, const clip_size *s, float **out, int *has_alpha) TD_MUST_CHECK;

#endif
