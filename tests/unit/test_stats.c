/* harness/stats against tests/golden/metrics/statistics (definitions: metric_ref.py) and closed forms. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/rng.h"
#include "golden.h"
#include "model/safetensors.h"
#include "stats/stats.h"
#include "stats/votes.h"

enum { P = 12, S = 3, V = 4, B = 1000 };

typedef struct fixture {
  st_file *st;
  json *info;
  const json *want;
  double score[V][P * S], nulls[V][P * S];
  unsigned char defined[V][P * S];
  int32_t prompts[B * P], seeds[B * P * S];
} fixture;

static void near(double got, double want) {
  if (!(fabs(got - want) <= 1e-9 * fmax(1, fabs(want)))) fail_msg("%.17g, expected %.17g", got, want);
}

static double num(const json *j, const char *key) {
  const json *v = json_get(j, key);
  assert_non_null(v);
  assert_int_equal(v->type, JSON_NUMBER);
  return v->num;
}

static double item(const json *array, int64_t i) {
  const json *v = json_at(array, i);
  assert_non_null(v);
  return v->num;
}

static int setup(void **state) {
  fixture *f = calloc(1, sizeof *f);
  assert_non_null(f);
  f->st = golden_tensors("metrics/statistics");
  f->info = golden_json("metrics/statistics");
  f->want = json_get(f->info, "expected");
  const st_tensor *s = st_find(f->st, "scores"), *n = st_find(f->st, "scores_with_null");
  double sum = 0;
  for (int i = 0; i < P * S; i++) {
    for (int v = 0; v < V; v++) {
      sum += f->score[v][i] = dtype_get(s->type, s->data, i * V + v);
      double x = dtype_get(n->type, n->data, i * V + v);
      if (!isnan(x)) f->defined[v][i] = 1;
      f->nulls[v][i] = isnan(x) ? 1e9 : x; /* must never be read */
    }
  }
  assert_true(sum > 0);
  const st_tensor *p = st_find(f->st, "resample_prompts"), *k = st_find(f->st, "resample_seeds");
  for (int64_t i = 0; i < p->count; i++) f->prompts[i] = (int32_t)dtype_get(p->type, p->data, i);
  for (int64_t i = 0; i < k->count; i++) f->seeds[i] = (int32_t)dtype_get(k->type, k->data, i);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  st_close(f->st);
  json_free(f->info);
  free(f);
  return 0;
}

static stats_grid grid(const double *value, const unsigned char *defined) {
  return (stats_grid){.prompts = P, .trains = 1, .samples = S, .value = value, .defined = defined};
}

static void interval_near(const fixture *f, const stats_grid *g, unsigned levels, const json *want, double *first) {
  err e = {0};
  double boot[B], lo, hi;
  int64_t n = 0;
  stats_bootstrap b = {.replicates = B, .levels = levels, .prompts = f->prompts, .samples = f->seeds};
  assert_int_equal(stats_resample(&e, g, &b, boot, &n), OK);
  assert_int_equal(n, B);
  memcpy(first, boot, 3 * sizeof *boot);
  stats_interval(boot, n, 0.95, &lo, &hi);
  near(lo, item(want, 0));
  near(hi, item(want, 1));
}

static void variants_match(void **state) {
  const fixture *f = *state;
  for (int v = 0; v < V; v++) {
    const json *want = json_at(json_get(f->want, "variants"), v);
    stats_grid g = grid(f->score[v], NULL);
    double sorted[P * S], first[3];
    memcpy(sorted, f->score[v], sizeof sorted);
    stats_sort(sorted, P * S);
    near(stats_mean(f->score[v], P * S), num(want, "mean"));
    near(stats_iqm(sorted, P * S), num(want, "iqm"));
    interval_near(f, &g, STATS_PROMPTS, json_get(want, "ci_prompt"), first);
  }
}

static void pairs_match(void **state) {
  const fixture *f = *state;
  err e = {0};
  stats_grid base = grid(f->score[0], NULL);
  for (int v = 1; v < V; v++) {
    const json *want = json_at(json_get(f->want, "paired"), v - 1);
    stats_grid a = grid(f->score[v], NULL);
    double d[P * S], mean[P], first[3], p;
    unsigned char defined[P * S];
    int ok = 0;
    stats_test t;
    assert_int_equal(stats_difference(&e, &a, &base, d, defined), OK);
    stats_grid g = grid(d, defined);
    assert_int_equal(stats_prompt_means(&g, mean), P);
    near(stats_mean(mean, P), num(want, "mean"));
    interval_near(f, &g, STATS_PROMPTS, json_get(want, "ci_prompt"), first);
    for (int i = 0; i < 3; i++) near(first[i], item(json_get(want, "boot_prompt_first3"), i));
    interval_near(f, &g, STATS_PROMPTS | STATS_SAMPLES, json_get(want, "ci_prompt_seed"), first);
    for (int i = 0; i < 3; i++) near(first[i], item(json_get(want, "boot_prompt_seed_first3"), i));
    assert_int_equal(stats_improvement(&e, &a, &base, &p, &ok), OK);
    assert_true(ok);
    near(p, num(want, "prob_improvement"));
    assert_int_equal(stats_sign_flip(&e, mean, P, 1, 0, &t), OK);
    assert_true(t.exact);
    near(t.p, num(want, "sign_flip_exact"));
    near(t.floor, ldexp(1, 1 - P));
    stats_sort(mean, P);
    near(stats_quantile(mean, P, 0.5), num(want, "median"));
  }
}

static void nulls_match(void **state) {
  const fixture *f = *state;
  err e = {0};
  const json *all = json_get(f->want, "with_null");
  stats_grid base = grid(f->nulls[0], f->defined[0]);
  stats_options o = stats_defaults(1);
  o.bootstrap.replicates = 200;
  near(1 - (double)stats_defined(&base) / (P * S), item(json_get(all, "null_rate"), 0));
  for (int v = 1; v < V; v++) {
    const json *want = json_at(json_get(all, "paired"), v - 1);
    stats_grid a = grid(f->nulls[v], f->defined[v]);
    stats_comparison c;
    assert_int_equal(stats_compare(&e, &a, &base, &o, &c), OK);
    assert_int_equal(c.used, (int64_t)num(want, "prompts"));
    near(c.mean, num(want, "mean"));
    near(c.undefined_a, item(json_get(all, "null_rate"), v));
    assert_true(c.lo < c.mean && c.mean < c.hi && c.lo > -1 && c.hi < 1);
    near(c.undefined_b, item(json_get(all, "null_rate"), 0));
    assert_true(c.wins + c.ties + c.losses == c.used && c.pairs < P * S && c.single_run);
  }
}

static void oracles_match(void **state) {
  const fixture *f = *state;
  err e = {0};
  const json *o = json_get(f->want, "oracle_p");
  double p[5], adjusted[5];
  for (int i = 0; i < 5; i++) p[i] = item(json_get(o, "p"), 4 - i); /* order must not matter */
  assert_int_equal(stats_holm(&e, p, 5, adjusted), OK);
  for (int i = 0; i < 5; i++) near(adjusted[i], item(json_get(o, "holm"), 4 - i));
  static const char *const key[] = {"wilcoxon_ties", "wilcoxon_zeros"};
  for (int k = 0; k < 2; k++) {
    const json *w = json_get(f->want, key[k]), *values = json_get(w, "values");
    double d[32];
    stats_test t;
    int64_t n = json_count(values);
    for (int64_t i = 0; i < n; i++) d[i] = item(values, i);
    assert_int_equal(stats_sign_flip(&e, d, n, 1, 0, &t), OK);
    near(t.p, num(w, "sign_flip_exact"));
  }
}

/* Holm over the p-values of the three pairs that the fixture adjusts. */
static void family_matches(void **state) {
  const fixture *f = *state;
  err e = {0};
  double p[V - 1], adjusted[V - 1];
  const json *want = json_get(f->want, "holm");
  for (int v = 0; v < V - 1; v++) p[v] = num(json_at(json_get(f->want, "paired"), v), "wilcoxon_exact");
  assert_int_equal(stats_holm(&e, p, V - 1, adjusted), OK);
  for (int v = 0; v < V - 1; v++) near(adjusted[v], item(want, v));
  assert_true(adjusted[0] > p[0] && adjusted[2] > p[2]);
}

enum { RATED = 4, VOTED = 30 };

/* Wins of the votes on the given prompts. */
static void tally(const st_tensor *votes, const int32_t *prompt, double wins[RATED * RATED]) {
  memset(wins, 0, RATED * RATED * sizeof *wins);
  for (int k = 0; k < VOTED; k++)
    for (int64_t i = 0; i < votes->shape[0]; i++) {
      double v[5];
      for (int c = 0; c < 5; c++) v[c] = dtype_get(votes->type, votes->data, 5 * i + c);
      if ((int)v[0] != prompt[k]) continue;
      int a = (int)v[2], b = (int)v[3];
      wins[v[4] > 0 ? a * RATED + b : b * RATED + a] += 1;
    }
}

static void strengths_near(const double *wins, int64_t n, const json *strengths, const json *logs, int edge) {
  err e = {0};
  double p[RATED], sum = 0;
  int defined, regularised;
  assert_int_equal(stats_bradley_terry(&e, wins, n, p, &defined, &regularised), OK);
  assert_true(defined && regularised == edge);
  for (int64_t i = 0; i < n; i++) sum += log(p[i]) / (double)n;
  for (int64_t i = 0; i < n; i++) {
    if (strengths) assert_true(fabs(p[i] - item(strengths, i)) <= 1e-7);
    assert_true(fabs(log(p[i]) - sum - item(logs, i)) <= 1e-7 * fmax(1, fabs(item(logs, i))));
  }
}

/* Strengths of the stored votes, of all and of the first resampling of prompts; of small tables; Wilson's interval.
 */
static void votes_match(void **state) {
  const fixture *f = *state;
  static const char *const small[] = {"pair2", "wins_oracle", "wins_disconnected"};
  const st_tensor *votes = st_find(f->st, "votes"), *drawn = st_find(f->st, "vote_resample_prompts");
  const json *bt = json_get(f->want, "bt4"), *rows = json_get(bt, "wins");
  double w[RATED * RATED], lo, hi;
  int32_t prompt[VOTED];
  for (int k = 0; k < VOTED; k++) prompt[k] = k;
  tally(votes, prompt, w);
  for (int i = 0; i < RATED * RATED; i++) near(w[i], item(json_at(rows, i / RATED), i % RATED));
  strengths_near(w, RATED, json_get(bt, "strengths"), json_get(bt, "log"), 0);
  for (int k = 0; k < VOTED; k++) prompt[k] = (int32_t)dtype_get(drawn->type, drawn->data, k);
  tally(votes, prompt, w);
  strengths_near(w, RATED, NULL, json_get(bt, "boot_log_first"), 0);
  for (int k = 0; k < 3; k++) {
    const st_tensor *t = st_find(f->st, small[k]);
    const json *want = json_get(f->want, small[k]);
    for (int64_t i = 0; i < t->count; i++) w[i] = dtype_get(t->type, t->data, i);
    strengths_near(w, t->shape[0], json_get(want, "strengths"), json_get(want, "log"), k == 2);
    if (k) continue;
    stats_wilson(w[2], w[1] + w[2], 0.95, &lo, &hi);
    near(w[2] / (w[1] + w[2]), num(want, "win_rate"));
    near(lo, item(json_get(want, "wilson95"), 0));
    near(hi, item(json_get(want, "wilson95"), 1));
  }
}

static void closed_forms(void **state) {
  (void)state;
  err e = {0};
  double x[10], y[10], rank[5], rho;
  int ok;
  stats_test t;
  for (int i = 0; i < 10; i++) x[i] = i, y[i] = exp(i);
  near(stats_iqm(x, 10), 4.5);
  near(stats_quantile(x, 10, 0.25), 2.25);
  near(stats_quantile(x, 1, 0.7), 0);
  near(stats_pearson(x, x, 10, &ok), 1);
  assert_int_equal(stats_spearman(&e, x, y, 10, &rho, &ok), OK);
  near(rho, 1);
  assert_true(ok && stats_pearson(x, y, 10, &ok) < 0.99);
  for (int i = 0; i < 10; i++) y[i] = 7;
  stats_pearson(x, y, 10, &ok);
  assert_false(ok);
  assert_int_equal(stats_ranks(&e, (double[]){3, 1, 3, 2, 3}, 5, rank), OK);
  near(rank[0], 4), near(rank[1], 1), near(rank[2], 4), near(rank[3], 2), near(rank[4], 4);
  assert_int_equal(stats_sign_flip(&e, (double[]){0, 0}, 2, 1, 0, &t), OK);
  near(t.p, 1);
  assert_int_equal(stats_sign_flip(&e, x + 1, 1, 1, 0, &t), OK);
  near(t.p, 1), near(t.floor, 1);
  assert_int_equal(stats_sign_flip(&e, x, 0, 1, 0, &t), E_ARG);
}

/* Ranks with ties by hand; levels and clusters by hand. */
static void correlations(void **state) {
  (void)state;
  err e = {0};
  int ok;
  double rho;
  /* mid-ranks 1.5 1.5 3 4 and 1 2.5 2.5 4: r = 4 / sqrt(4.5 4.5) */
  assert_int_equal(stats_spearman(&e, (double[]){1, 1, 2, 9}, (double[]){-5, 0, 0, 7}, 4, &rho, &ok), OK);
  assert_true(ok);
  near(rho, 3.75 / 4.5);
  assert_int_equal(stats_spearman(&e, (double[]){1, 2, 3}, (double[]){3, 1, 2}, 3, &rho, &ok), OK);
  near(rho, -0.5); /* 1 - 6 (4 + 1 + 1) / (3 8) */
  assert_int_equal(stats_spearman(&e, (double[]){1, 2}, (double[]){3, 3}, 2, &rho, &ok), OK);
  assert_false(ok);

  /* Three designs over four prompts: y falls with x within each design, the means rise: Simpson's paradox. */
  double x[12], y[12];
  int32_t prompt[12], design[12];
  for (int g = 0; g < 3; g++)
    for (int p = 0; p < 4; p++) {
      int i = p * 3 + g;
      x[i] = 10 * g + p, y[i] = 100 * g - exp(p);
      prompt[i] = p, design[i] = g;
    }
  stats_points pts = {.n = 12, .x = x, .y = y, .cluster = prompt, .group = design, .clusters = 4, .groups = 3};
  stats_correlation c, again;
  assert_int_equal(stats_correlate(&e, &pts, 200, 5, 0.95, &c), OK);
  near(c.spearman[STATS_WITHIN].value, -1);
  near(c.spearman[STATS_BETWEEN].value, 1);
  near(c.pearson[STATS_BETWEEN].value, 1);
  near(c.spearman[STATS_POOLED].value, 1 - 6.0 * 3 * 20 / (12 * 143)); /* rank differences -3 -1 1 3 in each design */
  near(c.pearson[STATS_POOLED].value, stats_pearson(x, y, 12, &ok));
  near(c.pearson[STATS_WITHIN].value,
       stats_pearson((double[]){0, 1, 2, 3}, (double[]){-1, -exp(1), -exp(2), -exp(3)}, 4, &ok));
  assert_int_equal(c.spearman[STATS_POOLED].n, 12);
  assert_int_equal(c.spearman[STATS_WITHIN].n, 3);
  assert_int_equal(c.spearman[STATS_BETWEEN].n, 3);
  /* A replicate of one prompt four times has constant designs: undefined within, not elsewhere. */
  assert_int_equal(c.spearman[STATS_BETWEEN].replicates, 200);
  assert_true(c.spearman[STATS_WITHIN].replicates > 180 && c.spearman[STATS_WITHIN].replicates < 200);
  near(c.spearman[STATS_WITHIN].lo, -1), near(c.spearman[STATS_WITHIN].hi, -1);
  near(c.spearman[STATS_BETWEEN].lo, 1), near(c.spearman[STATS_BETWEEN].hi, 1);
  assert_true(c.pearson[STATS_WITHIN].lo < c.pearson[STATS_WITHIN].hi);
  assert_int_equal(stats_correlate(&e, &pts, 200, 5, 0.95, &again), OK);
  assert_true(!memcmp(&c, &again, sizeof c));

  pts.clusters = 3; /* prompt 3 lies outside */
  assert_int_equal(stats_correlate(&e, &pts, 10, 5, 0.95, &c), E_ARG);
  err_clear(&e);
  pts.clusters = 4, pts.n = 2;
  assert_int_equal(stats_correlate(&e, &pts, 10, 5, 0.95, &c), OK);
  for (int l = 0; l < STATS_LEVELS; l++) assert_true(c.spearman[l].n == 0 && c.pearson[l].n == 0);
  for (int i = 0; i < 12; i++) prompt[i] = 0;
  pts.n = 12, pts.clusters = 1; /* nothing to resample */
  assert_int_equal(stats_correlate(&e, &pts, 10, 5, 0.95, &c), OK);
  assert_true(c.spearman[STATS_POOLED].n == 12 && c.spearman[STATS_POOLED].replicates == 0);
}

/* The interval covers the true correlation of independent clusters as often as it says, and is wider than that of
 * independent points: values within a cluster repeat. */
static void correlation_interval(void **state) {
  (void)state;
  err e = {0};
  enum { C = 40, K = 4, RUNS = 60 };
  float z[2 * C * RUNS];
  double x[C * K], y[C * K];
  int32_t cluster[C * K], group[C * K] = {0};
  int covered = 0;
  double width = 0;
  rng_normal((rng){.seed = 11, .stream = RNG_TEST}, 0, 2 * C * RUNS, z);
  for (int run = 0; run < RUNS; run++) {
    stats_correlation c;
    for (int i = 0; i < C * K; i++) {
      const float *u = z + 2 * (run * C + i / K);
      x[i] = (double)u[0], y[i] = 0.6 * (double)u[0] + 0.8 * (double)u[1]; /* r = .6 */
      cluster[i] = i / K;
    }
    stats_points p = {.n = C * K, .x = x, .y = y, .cluster = cluster, .group = group, .clusters = C, .groups = 1};
    assert_int_equal(stats_correlate(&e, &p, 200, (uint64_t)run, 0.95, &c), OK);
    covered += c.pearson[STATS_POOLED].lo <= 0.6 && 0.6 <= c.pearson[STATS_POOLED].hi;
    width += (c.pearson[STATS_POOLED].hi - c.pearson[STATS_POOLED].lo) / RUNS;
  }
  print_message("correlation interval: covered %d of %d, mean width %.3f\n", covered, RUNS, width);
  /* 95 % of 60 is 57, sd 1.7; percentile intervals of 40 clusters fall somewhat short */
  assert_true(covered >= 50);
  assert_true(width > 0.3 && width < 0.55); /* 2 1.96 (1 - .36) / sqrt(40) = .40; of 160 points it would be .20 */
}

/* Beyond the exact range: the p of a clear effect is at the floor, of no effect near one half on average. */
static void random_flips(void **state) {
  (void)state;
  err e = {0};
  enum { N = 40, RUNS = 60 };
  float z[N * RUNS];
  double d[N], sum = 0;
  stats_test t;
  rng_normal((rng){.seed = 5, .stream = RNG_TEST}, 0, N * RUNS, z);
  for (int r = 0; r < RUNS; r++) {
    for (int i = 0; i < N; i++) d[i] = (double)z[r * N + i];
    assert_int_equal(stats_sign_flip(&e, d, N, 999, (uint64_t)r, &t), OK);
    assert_false(t.exact);
    sum += t.p;
  }
  assert_true(fabs(sum / RUNS - 0.5) < 0.15); /* 4 standard errors of a uniform mean */
  for (int i = 0; i < N; i++) d[i] += 3;
  assert_int_equal(stats_sign_flip(&e, d, N, 999, 1, &t), OK);
  near(t.p, t.floor);
  near(t.floor, 1e-3);
}

/* The interval of normal differences covers the truth about as often as it says, and is the same on every run. */
static void bootstrap_covers(void **state) {
  (void)state;
  err e = {0};
  enum { PROMPTS = 24, TRAINS = 2, SAMPLES = 2, RUNS = 150, REPS = 300, CELLS = PROMPTS * TRAINS * SAMPLES };
  float z[PROMPTS + CELLS];
  double d[CELLS], boot[REPS], again[REPS], lo, hi;
  int64_t n, m, covered = 0;
  for (int r = 0; r < RUNS; r++) {
    rng_normal((rng){.seed = (uint64_t)r, .stream = RNG_TEST, .sub = 1}, 0, PROMPTS + CELLS, z);
    for (int i = 0; i < CELLS; i++) d[i] = (double)z[i / (TRAINS * SAMPLES)] + 0.5 * (double)z[PROMPTS + i];
    stats_grid g = {PROMPTS, TRAINS, SAMPLES, d, NULL};
    stats_bootstrap b = {.replicates = REPS, .seed = (uint64_t)r, .levels = STATS_PROMPTS | STATS_SAMPLES};
    assert_int_equal(stats_resample(&e, &g, &b, boot, &n), OK);
    assert_int_equal(stats_resample(&e, &g, &b, again, &m), OK);
    assert_memory_equal(boot, again, sizeof boot);
    stats_interval(boot, n, 0.95, &lo, &hi);
    covered += lo <= 0 && 0 <= hi;
  }
  assert_true(covered >= RUNS * 85 / 100 && covered < RUNS);
}

/* With two training seeds that disagree, drawing them widens the interval; nothing defined gives nothing. */
static void training_seeds_count(void **state) {
  (void)state;
  err e = {0};
  double a[10 * 2], b[10 * 2] = {0};
  unsigned char none[10 * 2] = {0};
  for (int i = 0; i < 20; i++) a[i] = (i % 2 ? 1.0 : -1.0) + 0.01 * i;
  stats_grid ga = {10, 2, 1, a, NULL}, gb = {10, 2, 1, b, NULL};
  stats_comparison with, without, empty;
  stats_options o = stats_defaults(3);
  o.bootstrap.replicates = 500;
  assert_int_equal(stats_compare(&e, &ga, &gb, &o, &with), OK);
  o.bootstrap.levels = STATS_PROMPTS;
  assert_int_equal(stats_compare(&e, &ga, &gb, &o, &without), OK);
  assert_true(with.hi - with.lo > 1.5 && without.hi - without.lo < 0.2);
  assert_true(!with.single_run && with.pairs == 20 && with.used == 10);
  near(with.mean, without.mean);
  ga.defined = none;
  assert_int_equal(stats_compare(&e, &ga, &gb, &o, &empty), OK);
  assert_true(empty.used == 0 && empty.pairs == 0 && empty.undefined_a == 1 && empty.undefined_b == 0);
  gb.samples = 2, gb.trains = 1;
  assert_int_equal(stats_compare(&e, &ga, &gb, &o, &empty), E_SHAPE);
}

/* A replicate as its definition says, draw by draw from the generator. */
static int plain_replicate(const stats_grid *g, const stats_bootstrap *b, int64_t rep, double *mean) {
  int64_t prompt[64], kept = 0, used = 0, per = g->trains * g->samples;
  double total = 0;
  rng r = {.seed = b->seed, .stream = RNG_BOOTSTRAP};
  for (int64_t p = 0; p < g->prompts; p++)
    for (int64_t i = p * per; i < (p + 1) * per; i++)
      if (g->defined[i]) {
        prompt[kept++] = p;
        break;
      }
  for (int64_t j = 0; j < kept; j++) {
    double sum = 0;
    int64_t n = 0;
    r.sub = STATS_PROMPTS;
    int64_t p = prompt[rng_below(r, (uint64_t)(rep * kept + j), (uint64_t)kept)];
    for (int64_t t = 0; t < g->trains; t++) {
      r.sub = STATS_TRAINS;
      int64_t train = (int64_t)rng_below(r, (uint64_t)(rep * g->trains + t), (uint64_t)g->trains);
      for (int64_t s = 0; s < g->samples; s++) {
        r.sub = STATS_SAMPLES;
        int64_t at = ((rep * kept + j) * g->trains + t) * g->samples + s;
        int64_t i = (p * g->trains + train) * g->samples + (int64_t)rng_below(r, (uint64_t)at, (uint64_t)g->samples);
        if (g->defined[i]) sum += g->value[i], n++;
      }
    }
    if (n) total += sum / (double)n, used++;
  }
  *mean = used ? total / (double)used : 0;
  return used > 0;
}

/* Many grids at once, some with gaps and some with a prompt less, are bit by bit what each is alone and what the
 * definition says; so are comparisons. 21 grids: two full packs and a ragged one. */
static void many_are_each(void **state) {
  (void)state;
  err e = {0};
  enum { PROMPTS = 7, TRAINS = 2, SAMPLES = 150, REPS = 60, PER = TRAINS * SAMPLES, CELLS = PROMPTS * PER, N = 21 };
  static float z[N * CELLS];
  static double v[N * CELLS], out[N * REPS];
  static unsigned char defined[N * CELLS];
  double alone[REPS];
  int64_t n[N], m;
  stats_grid g[N];
  rng_normal((rng){.seed = 5, .stream = RNG_TEST}, 0, N * CELLS, z);
  for (int k = 0; k < N; k++) {
    for (int i = 0; i < CELLS; i++) {
      int at = k * CELLS + i;
      defined[at] = k % 3 != 1 || (i * 7 + k) % 4 != 1;
      if (k % 5 == 2 && i / PER == 3) defined[at] = 0; /* no such prompt */
      v[at] = defined[at] ? (double)z[at] : 1e9;
    }
    g[k] = (stats_grid){PROMPTS, TRAINS, SAMPLES, v + k * CELLS, defined + k * CELLS};
  }
  stats_options o = stats_defaults(9);
  o.bootstrap.replicates = REPS, o.flips = 50;
  assert_int_equal(stats_resample_many(&e, g, N, &o.bootstrap, out, n), OK);
  for (int k = 0; k < N; k++) {
    assert_int_equal(n[k], REPS);
    assert_true(out[k * REPS] != out[k * REPS + 1] && fabs(out[k * REPS]) < 1);
    assert_int_equal(stats_resample(&e, &g[k], &o.bootstrap, alone, &m), OK);
    assert_int_equal(m, REPS);
    assert_memory_equal(alone, out + k * REPS, sizeof alone);
    for (int64_t rep = 0; rep < REPS; rep++) {
      double want;
      assert_true(plain_replicate(&g[k], &o.bootstrap, rep, &want));
      assert_memory_equal(&want, &alone[rep], sizeof want);
    }
  }
  stats_comparison many[N - 1], one;
  assert_int_equal(stats_compare_many(&e, g, g + 1, N - 1, &o, many), OK);
  for (int k = 0; k + 1 < N; k++) {
    assert_int_equal(stats_compare(&e, &g[k], &g[k + 1], &o, &one), OK);
    assert_true(one.lo < one.hi && one.used >= PROMPTS - 2);
    assert_memory_equal(&one, &many[k], sizeof one);
  }
}

/* The interval is that of the sorted values, ties and few values included. */
static void interval_is_sorted_quantiles(void **state) {
  (void)state;
  enum { N = 333 };
  float u[N];
  double x[N], sorted[N], lo, hi;
  rng_uniform((rng){.seed = 8, .stream = RNG_TEST}, 0, N, u);
  for (int64_t n = 1; n <= N; n += n < 12 ? 1 : 40) {
    for (int64_t i = 0; i < n; i++) sorted[i] = x[i] = floor((double)u[i] * (n % 2 ? 1e6 : 9)) / 7;
    stats_sort(sorted, n);
    stats_interval(x, n, 0.8, &lo, &hi);
    double want[2] = {stats_quantile(sorted, n, (1 - 0.8) / 2), stats_quantile(sorted, n, (1 + 0.8) / 2)};
    assert_memory_equal(&lo, &want[0], sizeof lo);
    assert_memory_equal(&hi, &want[1], sizeof hi);
    stats_sort(x, n);
    assert_memory_equal(x, sorted, (size_t)n * sizeof *x); /* nothing was lost */
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(variants_match, setup, teardown),
      cmocka_unit_test_setup_teardown(pairs_match, setup, teardown),
      cmocka_unit_test_setup_teardown(nulls_match, setup, teardown),
      cmocka_unit_test_setup_teardown(oracles_match, setup, teardown),
      cmocka_unit_test_setup_teardown(family_matches, setup, teardown),
      cmocka_unit_test_setup_teardown(votes_match, setup, teardown),
      cmocka_unit_test(closed_forms),
      cmocka_unit_test(correlations),
      cmocka_unit_test(correlation_interval),
      cmocka_unit_test(random_flips),
      cmocka_unit_test(bootstrap_covers),
      cmocka_unit_test(training_seeds_count),
      cmocka_unit_test(many_are_each),
      cmocka_unit_test(interval_is_sorted_quantiles),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
