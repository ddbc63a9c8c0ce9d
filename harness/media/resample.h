/* Scale to cover, then crop at the centre: separable, area averages when shrinking and bilinear when growing.
 * Exact copy when the sizes agree. */
#ifndef TD_MEDIA_RESAMPLE_H
#define TD_MEDIA_RESAMPLE_H

#include "base/err.h"

typedef struct resample_axis {
  int from, to, taps;
  int *first;     /* [to] */
  double *weight; /* [to][taps], rows sum to 1 */
} resample_axis;

typedef struct resample {
  resample_axis across, down;
  float *middle; /* [from height][to width][4] */
} resample;

typedef struct resample_size {
  int height, width;
} resample_size;

int resample_open(err *e, resample_size from, resample_size to, resample *out) TD_MUST_CHECK;
void resample_close(resample *r);
/* in [from][4] -> out [to][4], pixels of four channels; not overlapping. */
void resample_run(resample *r, const float *in, float *out);

#endif
