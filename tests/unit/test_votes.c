/* harness/stats/votes against tests/golden/votes.json (made by SciPy, statsmodels, NumPy and krippendorff), published
 * examples, closed forms, and simulated voters of known strengths. */
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
#include "stats/votes.h"

enum { MOST = 400 };

static void near(double got, double want, double tolerance) {
  if (!(fabs(got - want) <= tolerance * fmax(1, fabs(want)))) fail_msg("%.17g, expected %.17g", got, want);
}

static double item(const json *array, int64_t i) {
  const json *v = json_at(array, i);
  assert_non_null(v);
  assert_int_equal(v->type, JSON_NUMBER);
  return v->num;
}

/* Numbers of a list of lists, row by row; returns how many. */
static int64_t flat(const json *rows, double *out) {
  int64_t n = 0;
  double sum = 0;
  for (const json *r = rows->child; r; r = r->next)
    for (const json *v = r->child; v; v = v->next) {
      assert_true(n < MOST);
      sum += out[n++] = v->num;
    }
  assert_true(sum > 0);
  return n;
}

static void quantiles_match(void **state) {
  json *g = golden_json("votes");
  (void)state;
  for (const json *c = json_get(g, "normal")->child; c; c = c->next)
    near(stats_normal_quantile(item(c, 0)), item(c, 1), 1e-14);
  near(stats_normal_quantile(0.5), 0, 0);
  json_free(g);
}

static void wilson_matches(void **state) {
  json *g = golden_json("votes");
  double lo, hi;
  (void)state;
  for (const json *c = json_get(g, "wilson")->child; c; c = c->next) {
    stats_wilson(item(c, 0), item(c, 1), item(c, 2), &lo, &hi);
    near(lo, item(c, 3), 1e-12);
    near(hi, item(c, 4), 1e-12);
    assert_true(lo < hi);
  }
  /* Newcombe (1998), table I, method 3: 81/263, 15/148, 0/20, 1/29 */
  const double published[4][4] = {
      {81, 263, .2553, .3662}, {15, 148, .0624, .1605}, {0, 20, 0, .1611}, {1, 29, .0061, .1718}};
  for (int i = 0; i < 4; i++) {
    stats_wilson(published[i][0], published[i][1], 0.95, &lo, &hi);
    assert_true(fabs(lo - published[i][2]) < 5.1e-5 && fabs(hi - published[i][3]) < 5.1e-5);
  }
  stats_wilson(0, 0, 0.95, &lo, &hi);
  near(lo, 0, 0), near(hi, 1, 0);
  json_free(g);
}

static void strengths_match(void **state) {
  json *g = golden_json("votes");
  err e = {0};
  double w[MOST], p[MOST];
  int defined, regularised;
  (void)state;
  for (const json *c = json_get(g, "bt")->child; c; c = c->next) {
    const json *want = json_get(c, "p");
    int64_t n = json_count(want);
    assert_int_equal(flat(json_get(c, "wins"), w), n * n);
    for (int64_t i = 0; i < n; i++) p[i] = NAN, w[i * n + i] = NAN; /* the diagonal is not read */
    assert_int_equal(stats_bradley_terry(&e, w, n, p, &defined, &regularised), OK);
    assert_true(defined && !regularised);
    for (int64_t i = 0; i < n; i++) near(p[i], item(want, i), 1e-8);
  }
  json_free(g);
  /* spec/metrics.md 3.11 */
  const double spec[9] = {0, 7, 9, 3, 0, 6, 1, 4, 0};
  assert_int_equal(stats_bradley_terry(&e, spec, 3, p, &defined, &regularised), OK);
  assert_true(fabs(p[0] - .66250) < 5e-6 && fabs(p[1] - .21970) < 5e-6 && fabs(p[2] - .11780) < 5e-6);
}

static void strengths_at_the_edge(void **state) {
  err e = {0};
  double p[4] = {NAN, NAN, NAN, NAN};
  int defined, regularised;
  (void)state;
  assert_int_equal(stats_bradley_terry(&e, (double[]){0, 5, 0, 0}, 2, p, &defined, &regularised), OK);
  assert_true(defined && regularised);
  near(p[0], 5.1 / 5.2, 1e-10);
  /* two islands: nothing can be said */
  const double islands[16] = {0, 3, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0};
  p[0] = 7;
  assert_int_equal(stats_bradley_terry(&e, islands, 4, p, &defined, &regularised), OK);
  assert_true(!defined && p[0] == 7);
  assert_int_equal(stats_bradley_terry(&e, (double[]){0, 0, 0, 0}, 2, p, &defined, &regularised), OK);
  assert_false(defined);
  assert_int_equal(stats_bradley_terry(&e, (double[]){0}, 1, p, &defined, &regularised), OK);
  assert_true(defined && p[0] == 1);
  assert_int_equal(stats_bradley_terry(&e, (double[]){0, -1, 1, 0}, 2, p, &defined, &regularised), E_ARG);
  err_clear(&e);
  assert_int_equal(stats_bradley_terry(&e, (double[]){0, NAN, 1, 0}, 2, p, &defined, &regularised), E_ARG);
}

static void alpha_matches(void **state) {
  json *g = golden_json("votes");
  double count[MOST];
  const double published[2] = {0.743, 0.691};
  int defined, i = 0;
  (void)state;
  for (const json *c = json_get(g, "krippendorff")->child; c; c = c->next, i++) {
    const json *rows = json_get(c, "counts");
    int64_t units = json_count(rows), n = flat(rows, count);
    double alpha = stats_krippendorff(count, units, n / units, &defined);
    assert_true(defined);
    near(alpha, json_get(c, "alpha")->num, 1e-12);
    if (i < 2) assert_true(fabs(alpha - published[i]) < 5e-4);
  }
  assert_true(i > 2);
  stats_krippendorff((double[]){1, 0, 0, 1}, 2, 2, &defined); /* one value a unit */
  assert_false(defined);
  stats_krippendorff((double[]){3, 0, 2, 0}, 2, 2, &defined); /* one value at all */
  assert_false(defined);
  near(stats_krippendorff((double[]){3, 0, 0, 2}, 2, 2, &defined), 1, 1e-15);
  json_free(g);
}

/* --- votes --------------------------------------------------------------------------------------------------------
 */

enum { V = 4, PROMPTS = 12, VOTERS = 20, PAIRS = V * (V - 1) / 2, ALL = PAIRS * PROMPTS * VOTERS };

static const double truth[V] = {0.45, 0.3, 0.15, 0.1};

/* Everybody judges everything; an answer is a tie with probability `ties`. */
static stats_votes simulate(stats_vote *list, uint64_t seed, double ties) {
  float u[2 * ALL];
  int64_t n = 0;
  rng_uniform((rng){.seed = seed, .stream = RNG_TEST, .sub = 77}, 0, 2 * ALL, u);
  for (int p = 0; p < PROMPTS; p++)
    for (int w = 0; w < VOTERS; w++)
      for (int a = 0; a < V; a++)
        for (int b = a + 1; b < V; b++, n++) {
          double share = (double)u[2 * n] < truth[a] / (truth[a] + truth[b]);
          if ((double)u[2 * n + 1] < ties) share = 0.5;
          list[n] = (stats_vote){.prompt = p, .voter = w, .a = a, .b = b, .share = share};
        }
  return (stats_votes){.v = list, .n = n, .prompts = PROMPTS, .voters = VOTERS, .variants = V};
}

static void known_strengths_are_recovered(void **state) {
  static stats_vote list[ALL];
  err e = {0};
  int inside = 0, runs = 20;
  (void)state;
  for (int seed = 0; seed < runs; seed++) {
    stats_preference p, again;
    stats_votes s = simulate(list, (uint64_t)seed, 0);
    stats_votes_options o = {.replicates = 300, .seed = 1, .level = 0.95};
    double mean = 0, sum = 0;
    assert_int_equal(stats_prefer(&e, &s, &o, &p), OK);
    assert_true(p.defined && !p.regularised);
    for (int v = 0; v < V; v++) mean += log(truth[v]) / V;
    for (int v = 0; v < V; v++) {
      const stats_estimate *x = &p.strength[v];
      assert_true(fabs(x->value - (log(truth[v]) - mean)) < 0.25);
      assert_true(x->lo < x->value && x->value < x->hi && x->hi - x->lo < 0.8);
      assert_true(p.rate[v].lo < p.rate[v].value && p.rate[v].value < p.rate[v].hi);
      inside += x->lo <= log(truth[v]) - mean && log(truth[v]) - mean <= x->hi;
      sum += x->value;
      for (int w = 0; w < V; w++)
        if (w != v) near(p.pair[v * V + w].value + p.pair[w * V + v].value, 1, 1e-12);
    }
    near(sum, 0, 1e-12);
    assert_int_equal(stats_prefer(&e, &s, &o, &again), OK);
    assert_memory_equal(p.rate, again.rate, (V + V * V + V) * sizeof *p.rate);
    stats_preference_free(&again);
    stats_preference_free(&p);
  }
  /* the bootstrap over both levels is conservative: 95 % or more of 80, and not by being endless (widths above) */
  assert_true(inside >= 74);
}

static void ties_are_half(void **state) {
  static stats_vote list[ALL];
  err e = {0};
  stats_preference p;
  stats_votes_options o = {.replicates = 100, .seed = 2, .level = 0.95};
  stats_votes s = simulate(list, 3, 2); /* all ties */
  double alpha;
  int64_t units;
  int defined;
  (void)state;
  assert_int_equal(stats_prefer(&e, &s, &o, &p), OK);
  for (int v = 0; v < V; v++) {
    near(p.rate[v].value, 0.5, 0), near(p.rate[v].lo, 0.5, 0), near(p.rate[v].hi, 0.5, 0);
    near(p.strength[v].value, 0, 1e-12), near(p.p[v], 0.25, 1e-12);
    near(p.wins[v * V + (v + 1) % V], 0, 0), near(p.ties[v * V + (v + 1) % V], PROMPTS * VOTERS, 0);
  }
  assert_true(p.defined && !p.regularised);
  stats_preference_free(&p);
  assert_int_equal(stats_vote_agreement(&e, &s, &alpha, &units, &defined), OK);
  assert_false(defined);
  assert_int_equal(units, PAIRS * PROMPTS);

  s = simulate(list, 3, 0.5);
  assert_int_equal(stats_prefer(&e, &s, &o, &p), OK);
  double won = 0, n = 0;
  for (int64_t i = 0; i < s.n; i++) {
    if (list[i].a == 0) won += list[i].share, n++;
    if (list[i].b == 0) won += 1 - list[i].share, n++;
  }
  near(p.rate[0].value, won / n, 1e-12);
  assert_true(p.rate[0].value < 0.7); /* half of it is ties */
  stats_preference_free(&p);
}

/* Voters' agreement must not depend on the names' order, and says 1 when all agree though one variant always wins. */
static void agreement_of_votes(void **state) {
  static stats_vote list[ALL], turned[ALL];
  err e = {0};
  double alpha, other;
  int64_t units;
  int defined;
  (void)state;
  stats_votes s = simulate(list, 9, 0.1), t = s;
  for (int64_t i = 0; i < s.n; i++) {
    turned[i] = list[i];
    if (list[i].a == 1) turned[i].a = list[i].b, turned[i].b = list[i].a, turned[i].share = 1 - list[i].share;
  }
  t.v = turned;
  assert_int_equal(stats_vote_agreement(&e, &s, &alpha, &units, &defined), OK);
  assert_true(defined && alpha > 0.02 && alpha < 0.5);
  assert_int_equal(stats_vote_agreement(&e, &t, &other, &units, &defined), OK);
  near(other, alpha, 0);
  for (int64_t i = 0; i < s.n; i++) list[i].share = 1;
  assert_int_equal(stats_vote_agreement(&e, &s, &alpha, &units, &defined), OK);
  assert_true(defined);
  near(alpha, 1, 1e-12);
}

static void small_and_wrong_votes(void **state) {
  err e = {0};
  stats_preference p;
  stats_votes_options o = {.replicates = 100, .seed = 2, .level = 0.95};
  stats_vote one[2] = {{0, 0, 0, 1, 1}, {1, 0, 0, 1, 0}};
  stats_votes s = {.v = one, .n = 1, .prompts = 1, .voters = 1, .variants = 2};
  (void)state;
  assert_int_equal(stats_prefer(&e, &s, &o, &p), OK); /* one person, one prompt: a value, no interval */
  near(p.rate[0].value, 1, 0);
  assert_true(p.rate[0].defined && !p.rate[0].replicates && p.regularised && p.defined);
  stats_preference_free(&p);
  s.n = 2, s.prompts = 2; /* one person, two prompts */
  assert_int_equal(stats_prefer(&e, &s, &o, &p), OK);
  near(p.rate[0].value, 0.5, 0), near(p.rate[0].lo, 0, 0), near(p.rate[0].hi, 1, 0);
  assert_true(p.regularised_replicates > 20 && p.regularised_replicates < 80); /* both draws the same: one half */
  stats_preference_free(&p);
  s = (stats_votes){.variants = 3};
  assert_int_equal(stats_prefer(&e, &s, &o, &p), OK); /* no votes */
  assert_true(!p.defined && !p.rate[0].defined && !p.pair[1].defined && !p.strength[2].defined);
  stats_preference_free(&p);
  const stats_vote wrong[] = {{2, 0, 0, 1, 1}, {0, 1, 0, 1, 1},  {0, 0, 0, 2, 1},   {0, 0, 1, 1, 1},
                              {0, 0, 0, 1, 2}, {0, 0, -1, 1, 1}, {0, 0, 0, 1, NAN}, {-1, 0, 0, 1, 1}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    s = (stats_votes){.v = &wrong[i], .n = 1, .prompts = 2, .voters = 1, .variants = 2};
    assert_int_equal(stats_prefer(&e, &s, &o, &p), E_ARG);
    err_clear(&e);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(quantiles_match),       cmocka_unit_test(wilson_matches),
      cmocka_unit_test(strengths_match),       cmocka_unit_test(strengths_at_the_edge),
      cmocka_unit_test(alpha_matches),         cmocka_unit_test(known_strengths_are_recovered),
      cmocka_unit_test(ties_are_half),         cmocka_unit_test(agreement_of_votes),
      cmocka_unit_test(small_and_wrong_votes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
