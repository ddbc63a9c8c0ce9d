/* The feature extractors of set scores. Private to metrics/, and for tests. */
#ifndef TD_METRICS_EXTRACT_H
#define TD_METRICS_EXTRACT_H

#include "metrics/set.h"

extern const set_extractor set_hof, set_rgba_stats, set_patches, set_random_conv, set_file;

/* Rows of the extractors' parameters, with which a score's own table begins. */
#define SET_ALPHA_ROW                                                                                                \
  { "alpha", "0: the picture alone, which needs no alpha", 1, 0, 1, 1 }
#define SET_SEED_ROW                                                                                                 \
  { "seed", "of every random number", 0, 0, 9007199254740991.0, 1 }
#define SET_PERMUTATIONS_ROW(least, initial)                                                                         \
  { "permutations", "of the clips over the two sets, for p and the null", initial, least, 1e6, 1 }
#define SET_PATCHES_ROWS                                                                                             \
  SET_ALPHA_ROW, {"frames", "taken of a clip, evenly spread", 4, 1, 64, 1}, {                                        \
    "patches", "of a frame and level", 32, 1, 1024, 1                                                                \
  }

/* --- hof ------------------------------------------------------------------------------------------------------- */

#define HOF_BINS 8
#define HOF_FIELD 32 /* 2x2 cells x 8 bins */

/* floor((atan2(v, u) + pi) / 2 pi * 8) mod 8. */
int hof_bin(double u, double v);
/* Histogram of a sequence of flow fields [fields][height][width][2]: weight log2(1 + |f|) by angle in cells split at
 * height/2 and width/2, over the cell's pixels and fields; row-major cell, then bin. A sequence of no fields and
 * cells of no pixels give 0. */
void hof_histogram(const float *flow, int fields, int height, int width, double out[HOF_FIELD]);
/* The same of the differences of consecutive fields. */
void hof_difference(const float *flow, int fields, int height, int width, double out[HOF_FIELD]);

/* --- patches --------------------------------------------------------------------------------------------------- */

#define PATCH_SIDE 7
#define PATCH_LEAST 16 /* smallest side of a level */

typedef struct pyramid {
  int levels;
  int height[SET_PARTS], width[SET_PARTS];
  double *level[SET_PARTS]; /* [planes][height][width] */
  double *store;
} pyramid;

/* Levels whose sides are all >= PATCH_LEAST, each half of the one before, rounded up; at most SET_PARTS. */
int pyramid_levels(int height, int width);
/* Laplacian pyramid of `planes` planes [planes][height][width]: 5x5 binomial filter, border dcb|abcd|cba, upsampling
 * by zeros times 4; the last level is what is left (Karras et al. 2018, sliced_wasserstein.py). Sides >= 3 at all
 * levels. */
int pyramid_build(err *e, const double *image, int planes, int height, int width, int levels,
                  pyramid *out) TD_MUST_CHECK;
void pyramid_free(pyramid *p);
/* The 7x7 patch around (y, x), which lies inside: out [planes][7][7]. */
void pyramid_patch(const pyramid *p, int level, int planes, int y, int x, double *out);

/* --- random_conv ----------------------------------------------------------------------------------------------- */

#define CONV_LAYERS 3
#define CONV_DIM 128 /* mean and standard deviation of the last 64 channels */

/* Channels in and out of layer k. */
int conv_in(int k);
int conv_out(int k);
/* Weights of layer k, [out][in][3][3][3]: rows orthogonal with norm sqrt 2. */
int conv_weights(err *e, uint64_t seed, int k, float *out) TD_MUST_CHECK;

#endif
