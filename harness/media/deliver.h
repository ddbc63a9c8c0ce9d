/* From decoded videos to what a user asked for: a clip with alpha, and a file or folder by the name that was given.
 */
#ifndef TD_MEDIA_DELIVER_H
#define TD_MEDIA_DELIVER_H

#include "base/clip.h"
#include "base/err.h"
#include "media/composite.h"

/* What a VAE decoded, [3][T][H][W] about [-1,1]. */
typedef struct decoded {
  int frames, height, width;
  const float *rgb, *alpha; /* alpha NULL: a clip without */
} decoded;

/* A clip of CLIP_DECODED colour: clamp(x / 2 + 1 / 2), alpha the maximum of its three channels, its spread in *spread
 * (zeros without alpha) and, as the mean, in alpha_chroma. E_NAN names the first value that is no number. */
int deliver_clip(err *e, const decoded *d, double fps, clip *out, matte_spread *spread) TD_MUST_CHECK;

/* The colour a file gets. */
typedef enum deliver_colour {
  DELIVER_DECODED,       /* as decoded, with its own background beside the alpha */
  DELIVER_STRAIGHT,      /* the same numbers, declared to be the foreground's colour */
  DELIVER_PREMULTIPLIED, /* times alpha */
} deliver_colour;
/* Changes the clip's colour so. E_ARG without alpha, but for DELIVER_DECODED. */
int deliver_colour_as(err *e, clip *c, deliver_colour how) TD_MUST_CHECK;

/* The name decides: .mkv .mov .webm .webp as video_codec_of; "DIR/" a folder of PNG pictures 0000.png, 0001.png ...,
 * which must not exist or be empty. Whole or not at all. `quality` as in video_write_options, where the codec has
 * one. */
int deliver_write(err *e, const char *path, const clip *c, int quality) TD_MUST_CHECK;
/* Could deliver_write take this name? Says so before the work is done. */
int deliver_check(err *e, const char *path) TD_MUST_CHECK;

/* rgb [T][H][W][3] over a background, written as a clip without alpha. `over`: "checker", "#rrggbb", "plate" (the
 * blurred plate of the clip itself, see composite_plate) or the path of a picture of the clip's size. */
int deliver_over(err *e, const clip *c, const char *over, clip *out) TD_MUST_CHECK;

#endif
