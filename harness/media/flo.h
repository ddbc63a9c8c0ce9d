/* Middlebury .flo files (vision.middlebury.edu/flow/code/flow-code/README.txt). */
#ifndef TD_MEDIA_FLO_H
#define TD_MEDIA_FLO_H

#include "base/text.h"

/* Appends flow [height][width][2] (u, v) as the bytes of a .flo file: float 202021.25 ("PIEH"), int32 width, int32
 * height, float32 u, v row by row, all little endian. A failure is kept in t (text_ok). */
void flo_print(text *t, const float *flow, int height, int width);

#endif
