/* Binary masks of one frame, [h][w] of 0 and 1: contours, boundaries, distances, components. */
#ifndef TD_METRICS_OUTLINE_H
#define TD_METRICS_OUTLINE_H

#include <stdint.h>

#include "base/err.h"

/* Where a soft alpha becomes a mask: .5 (8-bit code 128), or just above half its 99.5 percentile when it never gets
 * that high (smoke, glass). A pixel belongs to the mask when alpha >= *cut. x: the n pixels of a clip. */
int outline_threshold(err *e, const float *x, int64_t n, double *cut) TD_MUST_CHECK;

/* Pixels that differ from their right, lower or lower right neighbour (DAVIS, f_boundary.py). out may be mask.
 * Returns how many. */
int64_t outline_contour(const unsigned char *mask, int height, int width, unsigned char *out);
/* Grows a mask by the disc dx^2 + dy^2 <= r^2. out != mask. */
void outline_dilate(const unsigned char *mask, int height, int width, int r, unsigned char *out);
/* Mask pixels within d pixels (chessboard) of the outside; the frame's edge is outside (boundary-iou-api,
 * boundary_utils.py). scratch: h * w bytes. out may be mask. */
void outline_boundary(const unsigned char *mask, int height, int width, int d, unsigned char *out,
                      unsigned char *scratch);

/* Doubles of scratch that outline_distance needs. */
#define OUTLINE_SCRATCH(height, width) (3 * ((int64_t)(height) + (width) + 2))
/* Squared Euclidean distance of every pixel to the nearest pixel of the mask, exact; the mask is not empty. */
void outline_distance(const unsigned char *mask, int height, int width, double *out, double *scratch);

/* 4-connected components of the pixels equal to `of`: label[i] = 1 .. *count in raster order of their first pixels, 0
 * elsewhere. stack: h * w. */
void outline_label(const unsigned char *mask, unsigned char of, int height, int width, int32_t *label, int32_t *stack,
                   int32_t *count);

#endif
