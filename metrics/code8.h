/* 8-bit codes of values in [0,1], for scores that their sources define on 8-bit frames. */
#ifndef TD_METRICS_CODE8_H
#define TD_METRICS_CODE8_H

#include <math.h>

/* Nearest code, ties up, with room for what float made of the exact ties of 8-bit sources. */
static inline int code8(double v) {
  return (int)fmax(0, fmin(255, floor(v * 255 + 0.5 + 1e-5)));
}

#endif
