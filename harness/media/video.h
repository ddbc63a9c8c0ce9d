/* Video and image files in and out through the FFmpeg libraries; none of their types leave the room.
 *
 * Reading: whatever FFmpeg decodes from a local file (Matroska, WebM, MOV, MP4, AVI, NUT, Y4M, GIF, PNG, APNG, WebP,
 * JPEG, TIFF, BMP, PPM, and numbered sequences such as "dir/%03d.png"), 8 to 16 bits. YUV becomes RGB by the file's
 * own matrix (BT.601, 709, 2020, 240M, FCC; when it does not say, 709 from 1280 columns or 577 rows on, else 601),
 * range (limited unless it says full; grey and RGB are full) and chroma siting, with bilinear chroma. Alpha is always
 * full range. Colour values are the file's code values scaled to [0,1]; no transfer function is applied. */
#ifndef TD_MEDIA_VIDEO_H
#define TD_MEDIA_VIDEO_H

#include <stddef.h>
#include <stdint.h>

#include "base/clip.h"
#include "base/err.h"

typedef struct video_options {
  int64_t max_frames; /* 0: all */
  int need_alpha;     /* a file without alpha is an error ("alpha was lost") */
  double fps;         /* of image sequences; 0: FFmpeg's 25 */
  int untagged;       /* 1 + clip_colour of files that do not say; 0: straight with alpha, decoded without */
} video_options;

typedef struct video_info {
  int width, height;
  double fps; /* 0 when the file does not say */
  int has_alpha;
  int bits;            /* of a component in the file: 8 to 16 */
  int colour_tagged;   /* the file says what its colours mean (written by video_write) */
  clip_colour colour;  /* the tag; else straight with alpha, decoded without */
  int64_t frames;      /* as written by video_write, else -1 */
  double alpha_chroma; /* as in clip; written by video_write */
  int alpha_chroma_known;
} video_info;

typedef struct video video; /* an open file, read front to back */

/* o may be NULL. Decodes the first frame. E_IO: no such file; E_FORMAT: not a video, no frame, no alpha though
 * needed; E_UNSUPPORTED: pixel format, matrix or decoder this build lacks. All name the path. */
int video_open(err *e, const char *path, const video_options *o, video **out) TD_MUST_CHECK;
void video_close(video *v);
const video_info *video_about(const video *v);
/* Next frame into rgb [H][W][3] (may be NULL) and alpha [H][W] (may be NULL; ones when the file has none); *got = 0
 * at the end. E_FORMAT with the frame's number when it is damaged, the size changes, or a file of video_write has
 * fewer frames than it says. */
int video_next(video *v, err *e, float *rgb, float *alpha, int *got) TD_MUST_CHECK;
/* Next frame as one gray plane [H][W] (may be NULL): luma for YUV and gray, 0.299 R + 0.587 G + 0.114 B for RGB. */
int video_next_gray(video *v, err *e, float *gray, int *got) TD_MUST_CHECK;
/* Coded frames in the file, counted without decoding. */
int video_count(err *e, const char *path, int64_t *out) TD_MUST_CHECK;

/* A whole file as a clip (the caller frees it). */
int video_read(err *e, const char *path, const video_options *o, clip *out) TD_MUST_CHECK;
/* The plane [T][H][W] of a matte from a file of its own: its alpha, or its luma when it has none. The caller frees
 * it. E_SHAPE unless size and number of frames are those of `like`. */
int video_read_matte(err *e, const char *path, const clip *like, float **out) TD_MUST_CHECK;

typedef enum video_codec {
  VIDEO_FFV1,   /* lossless, in Matroska; keeps the colour under alpha 0; a checksum a frame */
  VIDEO_WEBP,   /* animated WebP for reports; 8 bits, loops; drops the colour under alpha 0 */
  VIDEO_PRORES, /* ProRes 4444, in QuickTime: 10-bit colour with loss, alpha exact to 10 bits; for editing programs */
  VIDEO_VP9,    /* VP9 with alpha beside it, in WebM: 8 bits, 4:2:0, with loss; what browsers play */
} video_codec;
/* .mkv, .webp, .mov, .webm: the codec that the ending of a path asks for; E_ARG lists the endings (and the folders of
 * media/deliver.h). */
int video_codec_of(err *e, const char *path, video_codec *out) TD_MUST_CHECK;
typedef struct video_write_options {
  video_codec codec;
  int bits;    /* 0: the codec's own; VIDEO_FFV1: 8 (also 0) or 16 */
  int quality; /* 1 to 100. VIDEO_WEBP: 0 is lossless; VIDEO_VP9: 0 stands for 75 */
} video_write_options;

/* Everything but WebP keeps the colour convention, the frame count and alpha_chroma as tags that video_open reads.
 * Values are clamped to [0,1] and rounded half to even; E_NAN when one is not a number. The same clip gives the same
 * bytes (no dates, no random ids). Written to a temporary name, then renamed. o may be NULL. */
int video_write(err *e, const char *path, const clip *c, const video_write_options *o) TD_MUST_CHECK;

/* The same bytes in memory, zero-terminated; the caller frees *out. `name` is for messages. */
int video_encode(err *e, const char *name, const clip *c, const video_write_options *o, char **out,
                 size_t *n) TD_MUST_CHECK;

/* "decoded", "straight", "premultiplied" */
const char *video_colour_name(clip_colour c);
int video_colour_parse(const char *s, clip_colour *out); /* OK or E_ARG */

#endif
