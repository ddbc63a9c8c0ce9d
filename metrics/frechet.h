/* Fréchet distance of two Gaussians (spec/metrics.md 3.9.1): |mu1 - mu2|^2 + Tr S1 + Tr S2 - 2 Tr (S1 S2)^(1/2).
 *
 * From features the last term is the nuclear norm of Xc Yc' / sqrt((n-1)(m-1)): exact where a square root of a
 * rank-deficient covariance loses half the digits. From moments it is the sum of the square roots of the eigenvalues
 * of S1^(1/2) S2 S1^(1/2). LAPACK does the decompositions, on one thread. Private to metrics/, and for tests. */
#ifndef TD_METRICS_FRECHET_H
#define TD_METRICS_FRECHET_H

#include <stdint.h>

#include "base/err.h"

/* Sizes of the two sets, and what the covariances are divided by: n - 1, or n with `population`. */
typedef struct frechet_shape {
  int64_t n, m, d;
  int population;
} frechet_shape;

/* Doubles of scratch for frechet_rows; E_ARG when LAPACK cannot address sets of this size. */
int frechet_scratch(err *e, const frechet_shape *s, int64_t *out) TD_MUST_CHECK;
/* x [n][d], y [m][d], n and m >= 2; both are overwritten. NaN when LAPACK gives up. */
double frechet_rows(const frechet_shape *s, double *x, double *y, double *scratch);
/* mu [d], sigma [d][d] symmetric. *out is NaN when LAPACK gives up. */
typedef struct frechet_moments {
  const double *mu, *sigma;
} frechet_moments;
int frechet_gaussians(err *e, frechet_moments x, frechet_moments y, int64_t d, double *out) TD_MUST_CHECK;
/* Mean and covariance of x [n][d]. */
void frechet_covariance(const double *x, int64_t n, int64_t d, int population, double *mu, double *sigma);

/* Eigenvectors of a symmetric a [d][d] (overwritten): row k becomes that of the k-th smallest value. scratch:
 * frechet_eigen_scratch(d). Returns 0, or not when LAPACK gives up. */
int64_t frechet_eigen_scratch(int64_t d);
int frechet_eigen(double *a, int64_t d, double *value, double *scratch);

#endif
