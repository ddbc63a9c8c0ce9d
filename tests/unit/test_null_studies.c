/* How often `compare` claims a difference that is not there, and finds one that is, on real scores.
 *
 * tests/golden/report/ablation-scores.csv holds scores of five designs of the default study: 4 metrics, 32 prompts,
 * two clips a prompt. A simulated study takes one design and metric, draws 32 prompts with replacement, and gives one
 * of a prompt's two clips to "a" and the other to "b", by lot: the same design twice, with other seeds. Every draw is
 * from a fixed seed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "golden.h"
#include "report/compare.h"

enum { STUDIES = 200, PROMPTS = 32, POOLS = 20 };

static const baseline_metric known[] = {{"color_fit_gain", 1, METRIC_UP, "1"},
                                        {"edge_color_gain", 1, METRIC_UP, "1"},
                                        {"true_iou_gain", 1, METRIC_UP, "1"},
                                        {"true_mad", 1, METRIC_DOWN, "1"}};

/* Both clips of every prompt, of one design and metric; NaN: undefined. */
typedef struct pool {
  char metric[32], variant[32];
  int prompts;
  double clip[PROMPTS][2];
} pool;

static int setup(void **state) {
  pool *all = calloc(POOLS, sizeof *all);
  char line[200], id[32], row[32], prompt[32], value[32], last[32] = "";
  int n = 0, seed;
  FILE *f = fopen(golden_path("report/ablation-scores.csv"), "r");
  assert_non_null(f);
  assert_non_null(all);
  while (fgets(line, sizeof line, f)) {
    value[0] = 0;
    assert_true(sscanf(line, "%31[^,],%31[^,],%31[^,],%d,%31s", id, row, prompt, &seed, value) >= 4);
    if (!n || strcmp(all[n - 1].metric, id) != 0 || strcmp(all[n - 1].variant, row) != 0) {
      assert_true(n < POOLS);
      strcpy(all[n].metric, id), strcpy(all[n++].variant, row);
      last[0] = 0;
    }
    pool *p = &all[n - 1];
    if (strcmp(last, prompt) != 0) p->prompts++;
    strcpy(last, prompt);
    assert_true(p->prompts <= PROMPTS && (seed == 0 || seed == 1));
    p->clip[p->prompts - 1][seed] = value[0] ? strtod(value, NULL) : NAN;
  }
  fclose(f);
  assert_int_equal(n, POOLS);
  for (int i = 0; i < n; i++) assert_int_equal(all[i].prompts, PROMPTS);
  *state = all;
  return 0;
}

static int teardown(void **state) {
  free(*state);
  return 0;
}

/* Standard deviation of the differences between a prompt's two clips. */
static double sd_of(const pool *p) {
  double sum = 0;
  int n = 0;
  for (int i = 0; i < PROMPTS; i++) {
    double d = p->clip[i][1] - p->clip[i][0];
    if (!isnan(d)) sum += d * d, n++; /* their mean is 0 by lot */
  }
  assert_true(n > PROMPTS / 2 && sum > 0);
  return sqrt(sum / n);
}

static uint64_t lot(uint64_t which, uint64_t draw, uint64_t n) {
  return rng_below((rng){.seed = 20260, .stream = RNG_TEST, .sub = (uint32_t)which}, draw, n);
}

static verdict judge(const pool *p, uint64_t which, double effect) {
  static const char *const prompt[PROMPTS] = {
      "p00", "p01", "p02", "p03", "p04", "p05", "p06", "p07", "p08", "p09", "p10", "p11", "p12", "p13", "p14", "p15",
      "p16", "p17", "p18", "p19", "p20", "p21", "p22", "p23", "p24", "p25", "p26", "p27", "p28", "p29", "p30", "p31"};
  baseline_value v[2 * PROMPTS];
  baseline_metric m = {0};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strcmp(known[i].id, p->metric) == 0) m = known[i];
  assert_non_null(m.id);
  for (uint64_t i = 0; i < PROMPTS; i++) {
    uint64_t drawn = lot(which, 2 * i, PROMPTS), swap = lot(which, 2 * i + 1, 2);
    for (uint64_t side = 0; side < 2; side++) {
      double x = p->clip[drawn][side ^ swap] + (side ? 0 : effect);
      v[side * PROMPTS + i] = (baseline_value){.metric = m.id,
                                               .variant = side ? "b" : "a",
                                               .prompt = prompt[i],
                                               .version = 1,
                                               .value = x,
                                               .kind = isnan(x) ? KIND_UNDEFINED : KIND_FINITE};
    }
  }
  baseline b = {.name = "made", .study = "made", .git_sha = "", .note = "", .metrics = &m, .n_metrics = 1};
  b.values = v, b.n_values = 2 * PROMPTS;
  compare_input in = {.a = {&b, "a"}, .b = {&b, "b"}, .alpha = 0.05, .stats = stats_defaults(which)};
  verdict_list l;
  err e = {0};
  assert_int_equal(compare_variants(&e, &in, &l), OK);
  assert_int_equal(l.n, 1);
  assert_true(l.checks[0].tested && l.checks[0].stats.used > PROMPTS / 2);
  verdict out = l.checks[0].verdict;
  verdict_list_free(&l);
  return out;
}

/* better or worse in 5 % of studies, give or take 2. */
static void nothing_is_found_where_nothing_is(void **state) {
  const pool *all = *state;
  int n[VERDICTS] = {0};
  for (uint64_t s = 0; s < STUDIES; s++) n[judge(&all[s % POOLS], s, 0)]++;
  int claims = n[VERDICT_BETTER] + n[VERDICT_WORSE];
  print_message("same design twice: %d better, %d worse, %d unclear of %d studies\n", n[VERDICT_BETTER],
                n[VERDICT_WORSE], n[VERDICT_UNCLEAR], STUDIES);
  assert_int_equal(claims + n[VERDICT_UNCLEAR], STUDIES);
  assert_true(claims >= STUDIES * 3 / 100 && claims <= STUDIES * 7 / 100);
  assert_true(n[VERDICT_BETTER] > 0 && n[VERDICT_WORSE] > 0);
}

/* One standard deviation of what pairing leaves is found in 95 % of studies or more, with the right sign. */
static void one_deviation_is_found(void **state) {
  const pool *all = *state;
  int right = 0, wrong = 0;
  for (uint64_t s = 0; s < STUDIES; s++) {
    const pool *p = &all[s % POOLS];
    int up = lot(s, 1000, 2) != 0, good_is_up = strcmp(p->metric, "true_mad") != 0;
    verdict v = judge(p, s, up ? sd_of(p) : -sd_of(p));
    right += v == (up == good_is_up ? VERDICT_BETTER : VERDICT_WORSE);
    wrong += v == (up == good_is_up ? VERDICT_WORSE : VERDICT_BETTER);
  }
  print_message("one standard deviation: found in %d of %d studies, the wrong way in %d\n", right, STUDIES, wrong);
  assert_true(right >= STUDIES * 95 / 100 && wrong == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(nothing_is_found_where_nothing_is, setup, teardown),
      cmocka_unit_test_setup_teardown(one_deviation_is_found, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
