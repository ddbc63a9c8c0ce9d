#include "stats/votes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "stats/stats.h"

enum { SUB_PROMPTS = 24, SUB_VOTERS = 25, MOST_STEPS = 20000 };
#define REGULAR 0.1

/* --- shares ------------------------------------------------------------------------------------------------------
 */

static double rational(const double *num, const double *den, double r) {
  double a = num[7], b = den[7];
  for (int i = 6; i >= 0; i--) a = a * r + num[i], b = b * r + den[i];
  return a / b;
}

double stats_normal_quantile(double p) {
  static const double a[8] = {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
                              1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
                              3.3430575583588128105e4, 2.5090809287301226727e3};
  static const double b[8] = {1.0,
                              4.2313330701600911252e1,
                              6.8718700749205790830e2,
                              5.3941960214247511077e3,
                              2.1213794301586595867e4,
                              3.9307895800092710610e4,
                              2.8729085735721942674e4,
                              5.2264952788528545610e3};
  static const double c[8] = {1.42343711074968357734e0,  4.63033784615654529590e0, 5.76949722146069140550e0,
                              3.64784832476320460504e0,  1.27045825245236838258e0, 2.41780725177450611770e-1,
                              2.27238449892691845833e-2, 7.74545014278341407640e-4};
  static const double d[8] = {1.0,
                              2.05319162663775882187e0,
                              1.67638483018380384940e0,
                              6.89767334985100004550e-1,
                              1.48103976427480074590e-1,
                              1.51986665636164571966e-2,
                              5.47593808499534494600e-4,
                              1.05075007164441684324e-9};
  static const double far_a[8] = {6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,
                                  2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                  2.71155556874348757815e-5, 2.01033439929228813265e-7};
  static const double far_b[8] = {1.0,
                                  5.99832206555887937690e-1,
                                  1.36929880922735805310e-1,
                                  1.48753612908506148525e-2,
                                  7.86869131145613259100e-4,
                                  1.84631831751005468180e-5,
                                  1.42151175831644588870e-7,
                                  2.04426310338993978564e-15};
  double q = p - 0.5;
  if (fabs(q) <= 0.425) return q * rational(a, b, 0.180625 - q * q);
  double r = sqrt(-log(q < 0 ? p : 1 - p));
  double z = r <= 5 ? rational(c, d, r - 1.6) : rational(far_a, far_b, r - 5);
  return q < 0 ? -z : z;
}

void stats_wilson(double k, double n, double level, double *lo, double *hi) {
  *lo = 0, *hi = 1;
  if (!(n > 0)) return;
  double z = stats_normal_quantile(0.5 + level / 2), p = k / n, zz = z * z / n;
  double centre = p + zz / 2, half = z * sqrt(p * (1 - p) / n + zz / (4 * n));
  *lo = k > 0 ? fmax(0, (centre - half) / (1 + zz)) : 0;
  *hi = k < n ? fmin(1, (centre + half) / (1 + zz)) : 1;
}

/* --- Bradley-Terry -----------------------------------------------------------------------------------------------
 */

/* Can every variant be reached from the first along i -> j with from(i, j) > 0? `seen` [n] is room. */
static int reaches_all(const double *w, int64_t n, int backwards, unsigned char *seen) {
  int64_t found = 1, before = 0;
  memset(seen, 0, (size_t)n);
  seen[0] = 1;
  while (found > before) {
    before = found;
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = 0; seen[i] && j < n; j++)
        if (!seen[j] && (backwards ? w[j * n + i] : w[i * n + j]) > 0) seen[j] = 1, found++;
  }
  return found == n;
}

static int check_wins(err *e, const double *wins, int64_t n) {
  if (n < 1) return err_set(e, E_ARG, "Bradley-Terry: no variants");
  for (int64_t i = 0; i < n * n; i++)
    if (i / n != i % n && !(wins[i] >= 0 && isfinite(wins[i])))
      return err_set(e, E_ARG, "Bradley-Terry: %g wins of variant %lld against %lld", wins[i], (long long)(i / n),
                     (long long)(i % n));
  return OK;
}

/* Hunter's update until no log strength moves by 1e-11; p starts uniform, so the result has no history. */
static void maximise(const double *w, int64_t n, double *p, double *next) {
  double moved = 1;
  for (int64_t i = 0; i < n; i++) p[i] = 1 / (double)n;
  for (int step = 0; step < MOST_STEPS && moved > 1e-11; step++) {
    double sum = 0;
    moved = 0;
    for (int64_t i = 0; i < n; i++) {
      double won = 0, expected = 0;
      for (int64_t j = 0; j < n; j++) {
        if (j == i) continue;
        won += w[i * n + j];
        expected += (w[i * n + j] + w[j * n + i]) / (p[i] + p[j]);
      }
      sum += next[i] = n == 1 ? 1 : won / expected;
    }
    for (int64_t i = 0; i < n; i++) {
      next[i] /= sum;
      moved = fmax(moved, fabs(next[i] - p[i]) / next[i]);
      p[i] = next[i];
    }
  }
}

int stats_bradley_terry(err *e, const double *wins, int64_t n, double *p, int *defined, int *regularised) {
  int rc = OK;
  double *w = NULL;
  unsigned char *seen = NULL;
  *defined = *regularised = 0;
  TRY(check_wins(e, wins, n));
  TRY(mem_new(e, n * n + n, sizeof *w, "Bradley-Terry", &w));
  TRY(mem_new(e, n, 1, "Bradley-Terry", &seen));
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) w[i * n + j] = i == j ? 0 : wins[i * n + j];
  if (!reaches_all(w, n, 0, seen) || !reaches_all(w, n, 1, seen)) {
    *regularised = 1;
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = 0; j < i; j++)
        if (w[i * n + j] + w[j * n + i] > 0) w[i * n + j] += REGULAR, w[j * n + i] += REGULAR;
    if (!reaches_all(w, n, 0, seen)) goto out;
  }
  maximise(w, n, p, w + n * n);
  *defined = 1;
out:
  free(w), free(seen);
  return rc;
}

/* --- Krippendorff ------------------------------------------------------------------------------------------------
 */

double stats_krippendorff(const double *count, int64_t units, int64_t categories, int *defined) {
  double n = 0, agree = 0, squares = 0;
  *defined = 0;
  for (int64_t c = 0; c < categories; c++) {
    double margin = 0;
    for (int64_t u = 0; u < units; u++) {
      double m = 0, own = count[u * categories + c];
      for (int64_t k = 0; k < categories; k++) m += count[u * categories + k];
      if (m < 2) continue;
      margin += own;
      agree += own * (own - 1) / (m - 1);
    }
    n += margin;
    squares += margin * margin;
  }
  if (!(n * n - squares > 0)) return 0;
  *defined = 1;
  return 1 - (n - 1) * (n - agree) / (n * n - squares);
}

/* --- votes -------------------------------------------------------------------------------------------------------
 */

static int check_votes(err *e, const stats_votes *s) {
  if (s->variants < 1 || s->n < 0) return err_set(e, E_ARG, "votes: no variants");
  for (int64_t i = 0; i < s->n; i++) {
    const stats_vote *v = &s->v[i];
    if (v->prompt < 0 || v->prompt >= s->prompts || v->voter < 0 || v->voter >= s->voters || v->a < 0 || v->b < 0 ||
        v->a >= s->variants || v->b >= s->variants || v->a == v->b ||
        (v->share != 0 && v->share != 0.5 && v->share != 1))
      return err_set(e, E_ARG, "votes: vote %lld is of no known prompt, voter or pair", (long long)i);
  }
  return OK;
}

/* One evaluation: what the votes, each as often as drawn, say. Quantities lie one after another: rates, pairs,
 * strengths; NaN where undefined. */
typedef struct evaluation {
  const stats_votes *s;
  int64_t *prompt, *voter; /* how often drawn */
  double *half;            /* [variants][variants] wins with ties half */
  double *p, *value;       /* [variants], [quantities] */
  int defined, regularised;
} evaluation;

static int64_t quantities(int64_t n) {
  return n + n * n + n;
}

static void shares(const double *half, int64_t n, double *value) {
  for (int64_t i = 0; i < n; i++) {
    double won = 0, all = 0;
    for (int64_t j = 0; j < n; j++) {
      double pair = half[i * n + j] + half[j * n + i];
      won += half[i * n + j], all += pair;
      value[n + i * n + j] = pair > 0 ? half[i * n + j] / pair : NAN;
    }
    value[i] = all > 0 ? won / all : NAN;
  }
}

static int evaluate(err *e, evaluation *x) {
  int rc = OK;
  int64_t n = x->s->variants;
  double mean = 0, *strength = x->value + n + n * n;
  memset(x->half, 0, (size_t)(n * n) * sizeof *x->half);
  for (int64_t i = 0; i < x->s->n; i++) {
    const stats_vote *v = &x->s->v[i];
    double times = (double)(x->prompt[v->prompt] * x->voter[v->voter]);
    x->half[v->a * n + v->b] += times * v->share;
    x->half[v->b * n + v->a] += times * (1 - v->share);
  }
  shares(x->half, n, x->value);
  TRY(stats_bradley_terry(e, x->half, n, x->p, &x->defined, &x->regularised));
  for (int64_t i = 0; i < n; i++) mean += strength[i] = x->defined ? log(x->p[i]) : NAN;
  for (int64_t i = 0; i < n; i++) strength[i] -= mean / (double)n;
out:
  return rc;
}

static int evaluation_open(err *e, evaluation *x, const stats_votes *s) {
  int rc = OK;
  *x = (evaluation){.s = s};
  TRY(mem_new(e, s->prompts, sizeof *x->prompt, "votes", &x->prompt));
  TRY(mem_new(e, s->voters, sizeof *x->voter, "votes", &x->voter));
  TRY(mem_new(e, s->variants * s->variants, sizeof *x->half, "votes", &x->half));
  TRY(mem_new(e, s->variants, sizeof *x->p, "votes", &x->p));
  TRY(mem_new(e, quantities(s->variants), sizeof *x->value, "votes", &x->value));
out:
  return rc;
}

static void evaluation_close(evaluation *x) {
  free(x->prompt), free(x->voter), free(x->half), free(x->p), free(x->value);
}

/* Draws with replacement; a level of one member has only itself to draw. */
static void draw(rng r, int64_t replicate, int64_t n, int64_t *count) {
  memset(count, 0, (size_t)n * sizeof *count);
  for (int64_t i = 0; i < n; i++) count[rng_below(r, (uint64_t)(replicate * n + i), (uint64_t)n)]++;
}

static int resample(err *e, evaluation *x, const stats_votes_options *o, stats_estimate *all, int64_t *regularised) {
  int rc = OK;
  const stats_votes *s = x->s;
  int64_t n = quantities(s->variants);
  double *kept = NULL;
  rng prompts = {.seed = o->seed, .stream = RNG_BOOTSTRAP, .sub = SUB_PROMPTS}, voters = prompts;
  voters.sub = SUB_VOTERS;
  if (s->prompts < 2 && s->voters < 2) return OK;
  TRY(mem_new(e, n * o->replicates, sizeof *kept, "bootstrap", &kept));
  for (int64_t b = 0; b < o->replicates; b++) {
    draw(prompts, b, s->prompts, x->prompt);
    draw(voters, b, s->voters, x->voter);
    TRY(evaluate(e, x));
    *regularised += x->defined && x->regularised;
    for (int64_t q = 0; q < n; q++)
      if (all[q].defined && !isnan(x->value[q])) kept[q * o->replicates + all[q].replicates++] = x->value[q];
  }
  for (int64_t q = 0; q < n; q++)
    if (all[q].replicates)
      stats_interval(kept + q * o->replicates, all[q].replicates, o->level, &all[q].lo, &all[q].hi);
out:
  free(kept);
  return rc;
}

static void count_wins(const stats_votes *s, stats_preference *out) {
  for (int64_t i = 0; i < s->n; i++) {
    const stats_vote *v = &s->v[i];
    int64_t ab = v->a * s->variants + v->b, ba = v->b * s->variants + v->a;
    if (v->share == 0.5)
      out->ties[ab]++, out->ties[ba]++;
    else
      out->wins[v->share == 1 ? ab : ba]++;
  }
}

int stats_prefer(err *e, const stats_votes *s, const stats_votes_options *o, stats_preference *out) {
  int rc = OK;
  evaluation x = {0};
  int64_t n = s->variants;
  *out = (stats_preference){.variants = n};
  TRY(check_votes(e, s));
  TRY(mem_new(e, n * n, sizeof *out->wins, "votes", &out->wins));
  TRY(mem_new(e, n * n, sizeof *out->ties, "votes", &out->ties));
  TRY(mem_new(e, quantities(n), sizeof *out->rate, "votes", &out->rate));
  TRY(mem_new(e, n, sizeof *out->p, "votes", &out->p));
  out->pair = out->rate + n, out->strength = out->pair + n * n;
  count_wins(s, out);
  TRY(evaluation_open(e, &x, s));
  for (int64_t i = 0; i < s->prompts; i++) x.prompt[i] = 1;
  for (int64_t i = 0; i < s->voters; i++) x.voter[i] = 1;
  TRY(evaluate(e, &x));
  out->defined = x.defined, out->regularised = x.regularised;
  for (int64_t i = 0; x.defined && i < n; i++) out->p[i] = x.p[i];
  for (int64_t q = 0; q < quantities(n); q++)
    if (!isnan(x.value[q])) out->rate[q] = (stats_estimate){.value = x.value[q], .defined = 1};
  TRY(resample(e, &x, o, out->rate, &out->regularised_replicates));
out:
  evaluation_close(&x);
  if (rc != OK) stats_preference_free(out);
  return rc;
}

void stats_preference_free(stats_preference *p) {
  free(p->wins), free(p->ties), free(p->rate), free(p->p);
  *p = (stats_preference){0};
}

enum { FIRST, SECOND, TIE, VALUES };

int stats_vote_agreement(err *e, const stats_votes *s, double *alpha, int64_t *units, int *defined) {
  int rc = OK;
  double(*count)[VALUES] = NULL; /* [prompts][variants][variants]: both orders of a pair are units */
  *alpha = 0, *units = 0, *defined = 0;
  TRY(check_votes(e, s));
  int64_t pairs = s->variants * s->variants, all = s->prompts * pairs;
  TRY(mem_new(e, all, sizeof *count, "agreement", &count));
  for (int64_t i = 0; i < s->n; i++) {
    const stats_vote *v = &s->v[i];
    double *ab = count[v->prompt * pairs + v->a * s->variants + v->b];
    double *ba = count[v->prompt * pairs + v->b * s->variants + v->a];
    int value = v->share == 0.5 ? TIE : v->share == 1 ? FIRST : SECOND;
    ab[value]++, ba[value == TIE ? TIE : FIRST + SECOND - value]++;
  }
  for (int64_t u = 0; u < all; u++) *units += count[u][FIRST] + count[u][SECOND] + count[u][TIE] >= 2;
  *units /= 2;
  *alpha = stats_krippendorff(&count[0][0], all, VALUES, defined);
out:
  free(count);
  return rc;
}
