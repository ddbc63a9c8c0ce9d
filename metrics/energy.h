/* Energy distance and standardised features, for set scores and their tests. Private to metrics/. */
#ifndef TD_METRICS_ENERGY_H
#define TD_METRICS_ENERGY_H

#include <stdint.h>

/* Energy distance in U form: 2 mean d(x, y) - mean d(x, x') - mean d(y, y') over pairs of different items, from the
 * distances of all items to each other, dist [all][all]. x: items order[0 .. n-1], y: order[n .. n+m-1]; n, m >= 2.
 * Can be below 0. (Szekely and Rizzo 2013) */
double energy_distance(const double *dist, int64_t all, const int64_t *order, int64_t n, int64_t m);

/* Two sets of rows of d numbers. */
typedef struct row_sets {
  const double *x, *y;
  int64_t n, m, d;
} row_sets;

/* Row k of the pool: x's rows, then y's. */
static inline const double *row_of(const row_sets *s, int64_t k) {
  return k < s->n ? s->x + k * s->d : s->y + (k - s->n) * s->d;
}

/* out [n + m][d]: rows in this order, each number minus the mean over the last m rows, over their population standard
 * deviation plus 1e-6, cut to [-10, 10]. scratch: 2 d. */
void energy_standardise(const row_sets *s, const int64_t *order, double *out, double *scratch);

#endif
