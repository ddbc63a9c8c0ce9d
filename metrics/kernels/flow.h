/* Innermost loops of metrics/farneback.c. Buffers of one call do not alias. */
#ifndef TD_METRICS_KERNELS_FLOW_H
#define TD_METRICS_KERNELS_FLOW_H

#include <stdint.h>

#include "metrics/kernels/kernels.h"

/* Floats of one pixel's expansion: coefficients of y, x, y^2, x^2, xy. */
#define FLOW_COEFS 5
#define FLOW_CELL FLOW_COEFS

/* Taps of the expansion at distance j = 0 .. n. A constant adds nothing to any coefficient, so that sums may run over
 * differences to the middle pixel: they are as exact as the contrast, and exactly 0 where there is none. */
typedef struct flow_taps {
  int n;
  float ig11;
  const float *g;  /* applicability */
  const float *g1; /* g j */
  const float *x;  /* g j ig11 */
  const float *xx; /* g (ig03 + ig33 j^2) */
  const float *xy; /* g j ig55 */
} flow_taps;

/* One row of update matrices (A'A in 3 values, A'db in 2). */
typedef struct flow_matrices {
  int height, width, y;
  const float *r0;      /* the row's cells */
  const float *r1;      /* all cells of the other frame; width + 2 more must be readable */
  const float *u, *v;   /* the row's displacement */
  const float *columns; /* [width] border weights of the columns */
  float row_weight;     /* border weight of the row */
  float *out;           /* FLOW_COEFS rows, `stride` apart */
  int64_t stride;
} flow_matrices;

/* One row of flow from vertical sums. line[c]: [2 radius + width], the ends repeated. */
typedef struct flow_solve {
  int width, radius;
  double norm;       /* factor of the sums */
  const double *tap; /* [2 radius + 1]; NULL: all 1 */
  const double *line[FLOW_COEFS];
  float *u, *v;
} flow_solve;

typedef struct flow_kernels {
  /* out[i] = mid + sum_k tap[k] (row[k][i] - mid), mid = row[n / 2][i]: for taps that add up to 1 */
  void (*down)(const float *const *row, const float *tap, int n, int width, float *out);
  /* out[i] = mid + sum_k tap[k] (in[i + k] - mid), mid = in[i + n / 2] */
  void (*along)(const float *in, const float *tap, int n, int width, float *out);
  /* Vertical moments of row[n] under g, g1 and xx. row: [2 n + 1] */
  void (*expand_down)(const flow_taps *t, const float *const *row, int width, float *const moment[3]);
  /* Cells of a row; moments reach n values to either side. */
  void (*expand_along)(const flow_taps *t, float *const moment[3], int width, float *cells);
  void (*matrices)(const flow_matrices *m);
  /* sum[i] += t * in[i] */
  void (*add)(double *sum, const float *in, double t, int n);
  /* sum[i] += in[i] - out[i] */
  void (*slide)(double *sum, const float *in, const float *out, int n);
  void (*solve)(const flow_solve *s);
} flow_kernels;

#endif
