/* Alpha arithmetic on clips: straight <-> premultiplied, over a colour, a checkerboard or a picture; a blurred plate.
 */
#ifndef TD_MEDIA_COMPOSITE_H
#define TD_MEDIA_COMPOSITE_H

#include "base/clip.h"
#include "base/err.h"

/* How far the three channels that alpha was decoded as lie apart, max - min over them, in [0,1]. */
typedef struct matte_spread {
  double mean, most, least;
} matte_spread;

/* Alpha of a decoded alpha video, three channels [n][3] in [0,1]: their maximum (spec/model.md 13). alpha: [n] or
 * NULL. */
void composite_matte(int64_t n, const float *decoded, float *alpha, matte_spread *out);

/* P = alpha * C, in place. Straight and decoded clips become CLIP_PREMULTIPLIED; premultiplied ones stay as they are.
 * E_ARG without alpha. */
int composite_premultiply(err *e, clip *c) TD_MUST_CHECK;
/* C = P / alpha, in place, clamped to [0,1]; 0 where alpha is 0 (the colour is undefined there). Premultiplied clips
 * become CLIP_STRAIGHT; straight ones stay; E_ARG for decoded clips and without alpha. */
int composite_unpremultiply(err *e, clip *c) TD_MUST_CHECK;
/* rgb[T][H][W][3] = P + (1 - alpha) * colour with P as above; may be c->rgb itself. E_ARG without alpha. */
int composite_over(err *e, const clip *c, const float colour[3], float *rgb) TD_MUST_CHECK;

/* The same over a checkerboard of light and middle grey squares of `side` pixels, and over a picture [H][W][3] behind
 * every frame. */
int composite_over_checker(err *e, const clip *c, int side, float *rgb) TD_MUST_CHECK;
int composite_over_picture(err *e, const clip *c, const float *picture, float *rgb) TD_MUST_CHECK;

/* The plate of spec/model.md 12 for one frame: blur(P) / blur(alpha) with a Gaussian of sigma = 5 % of the height.
 * The kernel is not cut off, so far pixels take the nearest foreground's colour; 0 where the frame has no alpha at
 * all within reach of a double. premultiplied [H][W][3], alpha [H][W], plate [H][W][3]: not overlapping. */
int composite_plate(err *e, int height, int width, const float *premultiplied, const float *alpha,
                    float *plate) TD_MUST_CHECK;

#endif
