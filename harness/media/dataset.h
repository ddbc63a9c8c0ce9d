/* Folders of RGBA clips with captions, and clips cut from them for training.
 *
 * A folder is one of
 *   manifest.json   {"alpha": "straight" | "premultiplied", "clips": [{"file", "caption", "matte"?, "fps"?}, ...]}
 *   manifest.jsonl  one {"file", "caption", "matte"?, "fps"?, "alpha"?} a line; "alpha" may be left out with "matte"
 *   fgr/ pha/       VideoMatte240K's layout: colour and matte under the same file name, straight, and captions.json
 *                   {"file name with or without its ending": "caption"}
 *   fgr_color_decon_blur/ pha/   the layout the TransPixeler authors released: the same with video_captions.json
 * Other members are ignored. With "matte" the alpha is that file's luma, else it must be in the file itself. */
#ifndef TD_MEDIA_DATASET_H
#define TD_MEDIA_DATASET_H

#include <stdint.h>

#include "base/clip.h"
#include "base/err.h"

typedef struct dataset_item {
  char *file;  /* path with the folder in front; may be a numbered sequence ("dir/%03d.png") */
  char *matte; /* NULL: alpha is in `file` */
  char *caption;
  double fps; /* 0: the file's own */
  clip_colour colour;
} dataset_item;

typedef struct dataset {
  int64_t n, cap;
  dataset_item *items;
} dataset;

/* Refused, naming file and line: paths that are absolute or contain "..", missing files, text that is not UTF-8,
 * missing or empty captions, an unknown alpha convention, an empty list. */
int dataset_open(err *e, const char *folder, dataset *out) TD_MUST_CHECK;
void dataset_close(dataset *d);

typedef enum dataset_background {
  DATASET_BLACK,
  DATASET_WHITE,
  DATASET_GREY,
  DATASET_BLUR, /* the blurred foreground of spec/model.md 12 */
} dataset_background;
int dataset_background_parse(err *e, const char *name, dataset_background *out) TD_MUST_CHECK;

typedef struct dataset_want {
  int frames, height, width;
  double fps; /* 0: the file's own */
  int skip;   /* frames left out at both ends of the file (3 in the reference), when it has enough */
  dataset_background background;
} dataset_want;

/* Clip `index` as a training pair: rgb = P + (1 - a) * background (CLIP_DECODED) and alpha a, P premultiplied. Frame
 * k shows the file's frame skip + floor(k * file fps / wanted fps); short files repeat their last frame. The picture
 * is premultiplied, scaled to cover the wanted size (area averages when it shrinks, bilinear when it grows) and
 * cropped at its centre. Errors name the file. */
int dataset_load(err *e, const dataset *d, const dataset_want *want, int64_t index, clip *out) TD_MUST_CHECK;

#endif
