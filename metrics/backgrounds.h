/* RGBA against RGBA over any background: with dP and dA the errors of premultiplied colour and alpha, the composite
 * over b is off by dP - b dA, so three moments a channel give the error over every background. */
#ifndef TD_METRICS_BACKGROUNDS_H
#define TD_METRICS_BACKGROUNDS_H

#include <stdint.h>

/* The nine of AlphaVAE: grey 128/255, black, white, red, green, blue, yellow, cyan, magenta. */
enum { BACKGROUNDS = 9 };
extern const double background_rgb[BACKGROUNDS][3];

typedef struct rgba_moments {
  double pp[3], pa[3], aa; /* means of dP^2, dP dA, dA^2 */
} rgba_moments;

/* p, q: [n][3] premultiplied; a, b: [n] their alphas. */
rgba_moments rgba_error(const float *p, const float *a, const float *q, const float *b, int64_t n);
/* Mean squared error of the composites, mean of the channels; never negative. */
double rgba_error_over(const rgba_moments *m, const double ground[3]);
/* Premultiplied p with its alpha over a ground, cut to 8 bits (not rounded), in [0,1]. Where both come from 8-bit
 * straight colour the codes are recovered and blended in double as alpha C + (1 - alpha) ground: cutting shows every
 * last bit. */
double background_cut(float p, float alpha, double ground);

#endif
