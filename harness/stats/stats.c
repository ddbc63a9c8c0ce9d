#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

double stats_mean(const double *x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += x[i];
  return sum / (double)n;
}

static int by_value(const void *a, const void *b) {
  double x, y;
  memcpy(&x, a, sizeof x);
  memcpy(&y, b, sizeof y);
  return (x > y) - (x < y);
}

void stats_sort(double *x, int64_t n) {
  qsort(x, (size_t)n, sizeof *x, by_value);
}

double stats_quantile(const double *sorted, int64_t n, double q) {
  double at = q * (double)(n - 1);
  int64_t k = (int64_t)at;
  if (k >= n - 1) return sorted[n - 1];
  return sorted[k] + (sorted[k + 1] - sorted[k]) * (at - (double)k);
}

double stats_iqm(const double *sorted, int64_t n) {
  int64_t cut = n / 4;
  return stats_mean(sorted + cut, n - 2 * cut);
}

double stats_pearson(const double *x, const double *y, int64_t n, int *defined) {
  double xx = 0, yy = 0, xy = 0;
  *defined = 0;
  if (n < 2) return 0;
  double mx = stats_mean(x, n), my = stats_mean(y, n);
  for (int64_t i = 0; i < n; i++) {
    xx += (x[i] - mx) * (x[i] - mx);
    yy += (y[i] - my) * (y[i] - my);
    xy += (x[i] - mx) * (y[i] - my);
  }
  if (!(xx > 0 && yy > 0)) return 0;
  *defined = 1;
  return fmax(-1, fmin(1, xy / (sqrt(xx) * sqrt(yy))));
}

typedef struct placed {
  double v;
  int64_t at;
} placed;

/* By value, then by place: the order of equal values must not depend on qsort. */
static int by_placed(const void *a, const void *b) {
  const placed *x = a, *y = b;
  if (x->v != y->v) return x->v < y->v ? -1 : 1;
  return (x->at > y->at) - (x->at < y->at);
}

static int sorted_places(err *e, const double *x, int64_t n, placed **out) {
  int rc = mem_new(e, n, sizeof **out, "ranks", out);
  if (rc != OK) return rc;
  for (int64_t i = 0; i < n; i++) (*out)[i] = (placed){x[i], i};
  qsort(*out, (size_t)n, sizeof **out, by_placed);
  return OK;
}

int stats_ranks(err *e, const double *x, int64_t n, double *rank) {
  placed *s;
  int rc = sorted_places(e, x, n, &s);
  if (rc != OK) return rc;
  for (int64_t i = 0, j; i < n; i = j) {
    for (j = i; j < n && s[j].v == s[i].v; j++) {
    }
    for (int64_t k = i; k < j; k++) rank[s[k].at] = (double)(i + j + 1) / 2;
  }
  free(s);
  return OK;
}

int stats_spearman(err *e, const double *x, const double *y, int64_t n, double *rho, int *defined) {
  int rc = OK;
  double *rank = NULL;
  TRY(mem_new(e, 2 * n, sizeof *rank, "ranks", &rank));
  TRY(stats_ranks(e, x, n, rank));
  TRY(stats_ranks(e, y, n, rank + n));
  *rho = stats_pearson(rank, rank + n, n, defined);
out:
  free(rank);
  return rc;
}

int stats_holm(err *e, const double *p, int64_t n, double *out) {
  placed *s;
  double largest = 0;
  int rc = sorted_places(e, p, n, &s);
  if (rc != OK) return rc;
  for (int64_t i = 0; i < n; i++) {
    largest = fmax(largest, s[i].v * (double)(n - i));
    out[s[i].at] = fmin(1, largest);
  }
  free(s);
  return OK;
}

/* sum[m] of d with the signs that the bits of m choose. */
static void signed_sums(const double *d, int n, double *sum) {
  for (int64_t m = 0; m < (int64_t)1 << n; m++) {
    sum[m] = 0;
    for (int i = 0; i < n; i++) sum[m] += m >> i & 1 ? -d[i] : d[i];
  }
}

/* Share of all 2^n sign choices whose sum is at least `limit` away from 0: sums of two halves, every pair of them. */
static int flip_all(err *e, const double *d, int n, double limit, double *p) {
  int rc = OK, low = n / 2, high = n - low;
  int64_t nl = (int64_t)1 << low, nh = (int64_t)1 << high, hits = 0;
  double *sum = NULL;
  TRY(mem_new(e, nl + nh, sizeof *sum, "sign flips", &sum));
  signed_sums(d, low, sum);
  signed_sums(d + low, high, sum + nl);
  for (int64_t i = 0; i < nl; i++)
    for (int64_t j = 0; j < nh; j++) hits += fabs(sum[i] + sum[nl + j]) >= limit;
  *p = (double)hits / (double)(nl * nh);
out:
  free(sum);
  return rc;
}

/* Eight values at a time: their 256 signed sums are tabled, bit for bit as the random words choose them. */
enum { AT_ONCE = 256 }; /* flips whose random bits are drawn together */

static int flip_some(err *e, const double *d, int64_t n, double limit, int64_t flips, uint64_t seed, double *p) {
  rng r = {.seed = seed, .stream = RNG_BOOTSTRAP, .sub = 8}; /* below 8: the bootstrap's levels */
  int64_t words = (n + 31) / 32, bytes = (n + 7) / 8, hits = 0;
  double(*sum)[256] = NULL;
  uint32_t *bits = NULL;
  int rc = OK;
  TRY(mem_new(e, bytes, sizeof *sum, "sign flips", &sum));
  for (int64_t k = 0; k < bytes; k++) {
    int m = n - 8 * k < 8 ? (int)(n - 8 * k) : 8;
    signed_sums(d + 8 * k, m, sum[k]);
    for (int i = 1 << m; i < 256; i++) sum[k][i] = sum[k][i & ((1 << m) - 1)]; /* bits beyond the last value */
  }
  TRY(mem_new(e, AT_ONCE * words, sizeof *bits, "sign flips", &bits));
  for (int64_t b = 0; b < flips; b++) {
    double total = 0;
    const uint32_t *own = bits + b % AT_ONCE * words;
    if (b % AT_ONCE == 0) rng_bits(r, (uint64_t)(b * words), AT_ONCE * words, bits);
    for (int64_t k = 0; k < bytes; k++) total += sum[k][own[k / 4] >> (k % 4 * 8) & 255];
    hits += fabs(total) >= limit;
  }
  *p = (double)(1 + hits) / (double)(1 + flips);
out:
  free(bits);
  free(sum);
  return rc;
}

int stats_sign_flip(err *e, const double *d, int64_t n, int64_t flips, uint64_t seed, stats_test *out) {
  double sum = 0;
  if (n < 1 || flips < 1)
    return err_set(e, E_ARG, "sign flip: %lld values, %lld flips", (long long)n, (long long)flips);
  for (int64_t i = 0; i < n; i++) sum += d[i];
  /* equal sums must stay equal when they are added up in another order */
  double limit = fabs(sum) - 1e-12 * fmax(1, fabs(sum));
  *out = (stats_test){.exact = n <= STATS_EXACT};
  out->floor = out->exact ? ldexp(1, 1 - (int)n) : 1 / (double)(1 + flips);
  if (out->exact) return flip_all(e, d, (int)n, limit, &out->p);
  return flip_some(e, d, n, limit, flips, seed, &out->p);
}
