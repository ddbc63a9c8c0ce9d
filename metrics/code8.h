/* 8-bit codes of values in [0,1], for scores that their sources define on 8-bit frames. */
#ifndef TD_METRICS_CODE8_H
#define TD_METRICS_CODE8_H

/* Nearest code, ties up, with room for what float made of the exact ties of 8-bit sources. */
static inline int code8(double v) {
  double c = v * 255 + 0.5 + 1e-5;
  return c >= 255 ? 255 : c > 0 ? (int)c : 0;
}

#endif
