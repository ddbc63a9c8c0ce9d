/* Dense products in double whose sums run over k in order, so that vectors need no reassociation. Matrices are
 * row-major; outputs do not alias inputs. Private to metrics/. */
#ifndef TD_METRICS_MATRIX_H
#define TD_METRICS_MATRIX_H

#include <stdint.h>

/* out [d][n] = x [n][d] transposed. */
void matrix_transpose(const double *x, int64_t n, int64_t d, double *out);
/* out [n][m] = x [n][d] times yt [d][m]. */
void matrix_product(const double *x, const double *yt, int64_t n, int64_t d, int64_t m, double *out);
/* out [n][m] = distances of the rows of x [n][d] from the columns of yt [d][m]. */
void matrix_distances(const double *x, const double *yt, int64_t n, int64_t d, int64_t m, double *out);
/* Mean of every column of x [n][d]; n > 0. */
void matrix_mean(const double *x, int64_t n, int64_t d, double *mean);

#endif
