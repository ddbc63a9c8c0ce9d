/* FFmpeg frames <-> float planes. Internal to the room: the one header that shows FFmpeg types. */
#ifndef TD_MEDIA_PIXELS_H
#define TD_MEDIA_PIXELS_H

#include <stdint.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/frame.h>

#include "base/err.h"

/* "path: what: FFmpeg's words for status"; returns the code. Also keeps FFmpeg's own log quiet from here on. */
int pixels_fail(err *e, int code, const char *path, const char *what, int status);

int pixels_have_alpha(const AVFrame *f);
/* Whether the two functions below can read the frame; E_UNSUPPORTED names the format. */
int pixels_check(err *e, const char *path, const AVFrame *f) TD_MUST_CHECK;
/* rgb [H][W][3], alpha [H][W]; each may be NULL. */
int pixels_read(err *e, const AVFrame *f, float *rgb, float *alpha) TD_MUST_CHECK;
int pixels_read_gray(err *e, const AVFrame *f, float *gray) TD_MUST_CHECK;

/* Fills a new frame's picture: BGRA, BGR0, RGBA64, RGB48, RGBA, RGB24, or planar YUV with or without alpha by the
 * frame's matrix and range (chroma halved where the format does). alpha may be NULL. E_NAN. */
int pixels_write(err *e, const float *rgb, const float *alpha, AVFrame *f) TD_MUST_CHECK;

/* CRC-32 of an RGB(A) frame's codes, row by row, component by component, 16 bits each: the same for every pixel
 * format that holds the same codes. */
int pixels_crc(err *e, const AVFrame *f, uint32_t *out) TD_MUST_CHECK;

#endif
