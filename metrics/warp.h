/* Warping a frame along a flow, and where a flow cannot be trusted (Lai et al. 2018, fast_blind_video_consistency,
 * after Ruder et al. 2016). Planes are [h][w], flows [h][w][2] in pixels (u right, v down). All arithmetic in double.
 */
#ifndef TD_METRICS_WARP_H
#define TD_METRICS_WARP_H

#include <stdint.h>

/* Bilinear taps at (x + u, y + v): weights from the unclamped position, indices clamped to the frame. */
typedef struct warp_taps {
  int64_t at[4]; /* pixel indices */
  double weight[4];
} warp_taps;
warp_taps warp_at(const float *flow, int x, int y, int height, int width);
/* Channel c of an image with `channels` interleaved channels. */
static inline double warp_sample(const warp_taps *k, const float *image, int channels, int c) {
  double sum = 0;
  for (int i = 0; i < 4; i++) sum += k->weight[i] * (double)image[k->at[i] * channels + c];
  return sum;
}

/* out[i] = 1 where forward and backward flow disagree: |f + b(x + f)|^2 > .01 (|f|^2 + |b|^2) + .5. */
void warp_occluded(const float *forward, const float *backward, int height, int width, unsigned char *out);
/* out[i] = 1 on a motion boundary: squared one-pixel differences of f > .01 |f|^2 + .002. */
void warp_boundary(const float *flow, int height, int width, unsigned char *out);

/* Mean over kept pixels and 3 channels of (next(x + f) - now)^2; over all elements when none is kept (then 0). */
double warp_error(const float *now, const float *next, const float *flow, const unsigned char *keep, int height,
                  int width);

#endif
