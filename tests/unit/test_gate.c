/* Verdicts, rule files, the gate and its selftest, on scores made here; no store, no clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/rng.h"
#include "report/baseline_file.h"
#include "report/compare.h"
#include "report/gate.h"
#include "scratch.h"

static err err0;
#define GOOD(call)                                                                                                   \
  do {                                                                                                               \
    err0 = (err){0};                                                                                                 \
    if ((call) != OK) fail_msg("%s: %s", #call, err0.text);                                                          \
  } while (0)

/* --- scores ----------------------------------------------------------------------------------------------------- */

enum { PROMPTS = 16, SAMPLES = 2, CLIPS = PROMPTS * SAMPLES };
static const char *const prompt_id[PROMPTS] = {"p00", "p01", "p02", "p03", "p04", "p05", "p06", "p07",
                                               "p08", "p09", "p10", "p11", "p12", "p13", "p14", "p15"};
static const baseline_fact facts[] = {{"host_class", "x86-64-v3+"}, {"noise", "n"}, {"prompts.sha256", "aa"}};

/* Metrics "good" (up, dB), "bad" (down), "zero" (down, all 0) of variants "a" and "b". */
static const baseline_metric metrics[] = {
    {"bad", 1, METRIC_DOWN, "1"}, {"good", 1, METRIC_UP, "dB"}, {"zero", 1, METRIC_DOWN, "s"}};

/* Prompts differ by far more than clips of one prompt: what pairing takes out. */
static double score(const char *id, const char *row, int prompt, double noise) {
  if (strcmp(id, "zero") == 0) return 0;
  return (strcmp(id, "good") == 0 ? 30 : .2) * (1 + .5 * prompt) + (strcmp(row, "b") == 0 ? .25 : 0) + noise;
}

static void make(baseline *b, uint64_t seed, double sigma) {
  static const char *const rows[] = {"a", "b"};
  float z[CLIPS * 6];
  int64_t n = 0;
  rng_normal((rng){.seed = seed, .stream = RNG_TEST}, 0, CLIPS * 6, z);
  *b = (baseline){.name = "base", .study = "made", .git_sha = "", .note = "a note", .created_ms = 1, .n_facts = 3};
  b->metrics = calloc(3, sizeof *b->metrics);
  b->facts = calloc(3, sizeof *b->facts);
  b->values = calloc(CLIPS * 6, sizeof *b->values);
  memcpy(b->metrics, metrics, sizeof metrics);
  memcpy(b->facts, facts, sizeof facts);
  b->n_metrics = 3;
  for (int m = 0; m < 3; m++)
    for (int r = 0; r < 2; r++)
      for (int i = 0; i < CLIPS; i++, n++)
        b->values[n] = (baseline_value){.metric = metrics[m].id,
                                        .variant = rows[r],
                                        .prompt = prompt_id[i / SAMPLES],
                                        .version = 1,
                                        .train_seed = 0,
                                        .sample_seed = i % SAMPLES,
                                        .value = score(metrics[m].id, rows[r], i / SAMPLES, sigma * z[n])};
  b->n_values = n;
  for (int64_t i = 0; i < n; i++)
    if (strcmp(b->values[i].metric, "zero") == 0) b->values[i].value = 0;
  baseline_sort(b);
}

static int covers(const baseline_value *v, const char *id, const char *row) {
  return strcmp(v->metric, id) == 0 && (!row || strcmp(v->variant, row) == 0);
}

static void shift(baseline *b, const char *id, const char *row, double by) {
  int64_t n = 0;
  for (int64_t i = 0; i < b->n_values; i++)
    if (covers(&b->values[i], id, row)) b->values[i].value += by, n++;
  assert_true(n > 0);
}

/* Outcome of the first `count` clips of a metric and variant. */
static void spoil(baseline *b, const char *id, const char *row, store_kind kind, int count) {
  for (int64_t i = 0; i < b->n_values && count; i++)
    if (covers(&b->values[i], id, row)) {
      b->values[i].kind = kind;
      b->values[i].value = kind == KIND_INF ? INFINITY : NAN;
      count--;
    }
  assert_int_equal(count, 0);
}

static void lose(baseline *b, const char *id, const char *row, int count) {
  int64_t kept = 0;
  for (int64_t i = 0; i < b->n_values; i++)
    if (!count || !covers(&b->values[i], id, row))
      b->values[kept++] = b->values[i];
    else
      count--;
  b->n_values = kept;
  assert_int_equal(count, 0);
}

/* --- running a gate --------------------------------------------------------------------------------------------- */

typedef struct bench {
  baseline now, then;
  gate_rules rules;
  problems problems;
  verdict_list l;
  const char *today, *host;
} bench;

static void rules_of(bench *b, const char *words) {
  scratch_write("rules.json", words);
  GOOD(gate_rules_read(&err0, scratch_path(0, "rules.json"), &b->problems, &b->rules));
}

#define HEAD "{\"schema\": 1, \"rules\": ["
static void open_bench(bench *b, const char *rules) {
  *b = (bench){.today = "2026-08-15", .host = "x86-64-v3+"};
  make(&b->now, 7, .01);
  make(&b->then, 7, .01);
  rules_of(b, rules);
}

static void close_bench(bench *b) {
  baseline_free(&b->now);
  baseline_free(&b->then);
  gate_rules_free(&b->rules);
  problems_free(&b->problems);
  verdict_list_free(&b->l);
}

static gate_input input(const bench *b) {
  gate_input in = {.rules = &b->rules,
                   .now = &b->now,
                   .then = &b->then,
                   .today = b->today,
                   .host_class = b->host,
                   .stats = stats_defaults(0)};
  in.stats.bootstrap.replicates = 1000;
  return in;
}

static int judge(bench *b) {
  gate_input in = input(b);
  verdict_list_free(&b->l);
  GOOD(gate_judge(&err0, &in, &b->l));
  return b->l.exit_status;
}

static const verdict_check *check_of(const bench *b, const char *id, const char *row) {
  for (int64_t i = 0; i < b->l.n; i++)
    if (strcmp(b->l.checks[i].metric, id) == 0 && strcmp(b->l.checks[i].variant, row) == 0) return &b->l.checks[i];
  fail_msg("no check of %s, %s", id, row);
  return NULL;
}

static int noted(const bench *b, const char *words) {
  for (int64_t i = 0; i < b->l.n_notes; i++)
    if (strstr(b->l.notes[i], words)) return 1;
  return 0;
}

/* --- the table of verdicts -------------------------------------------------------------------------------------- */

static void intervals(void **state) {
  (void)state;
  const double inf = INFINITY;
  static const struct {
    double lo, hi, bound_lo, bound_hi;
    verdict want;
  } t[] = {
      {-.1, .1, -1, 1, VERDICT_SAME},
      {-1, 1, -1, 1, VERDICT_SAME},
      {-1.1, 0, -1, 1, VERDICT_UNCLEAR},
      {0, 1.1, -1, 1, VERDICT_UNCLEAR},
      {-2, 2, -1, 1, VERDICT_UNCLEAR},
      {-3, -1.1, -1, 1, VERDICT_WORSE},
      {1.1, 3, -1, 1, VERDICT_WORSE},
      {0, 0, 0, 0, VERDICT_SAME},
      {1e-9, 1e-9, 0, 0, VERDICT_WORSE},
      {-.5, .5, -1, INFINITY, VERDICT_SAME},
      {.5, 5, -1, INFINITY, VERDICT_SAME},
      {1.1, 5, -1, INFINITY, VERDICT_BETTER},
      {-5, -1.1, -1, INFINITY, VERDICT_WORSE},
      {-5, 5, -1, INFINITY, VERDICT_UNCLEAR},
      {-5, -1.1, -INFINITY, 1, VERDICT_BETTER},
      {1.1, 2, -INFINITY, 1, VERDICT_WORSE},
      {-9, 9, -INFINITY, INFINITY, VERDICT_SAME},
      {.1, .2, 0, INFINITY, VERDICT_BETTER},
      {NAN, NAN, -1, 1, VERDICT_UNCLEAR},
  };
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++)
    if (verdict_of(t[i].lo, t[i].hi, (verdict_bounds){t[i].bound_lo, t[i].bound_hi}, 0) != t[i].want)
      fail_msg("row %zu", i);
  assert_int_equal(verdict_of(1 + 1e-13, 1 + 1e-13, (verdict_bounds){-1, 1}, 1e-12), VERDICT_SAME);
  assert_int_equal(verdict_of(-inf, inf, (verdict_bounds){-1, 1}, 0), VERDICT_UNCLEAR);
  assert_int_equal(verdict_between(.1, .2, 0, METRIC_UP), VERDICT_BETTER);
  assert_int_equal(verdict_between(.1, .2, 0, METRIC_DOWN), VERDICT_WORSE);
  assert_int_equal(verdict_between(-.2, -.1, 0, METRIC_UP), VERDICT_WORSE);
  assert_int_equal(verdict_between(-.2, -.1, 0, METRIC_DOWN), VERDICT_BETTER);
  assert_int_equal(verdict_between(-.2, -.1, 0, METRIC_NONE), VERDICT_UNCLEAR);
  assert_int_equal(verdict_between(-.2, .1, 0, METRIC_UP), VERDICT_UNCLEAR);
  assert_int_equal(verdict_between(-.2, .1, .2, METRIC_UP), VERDICT_SAME);
  assert_int_equal(verdict_between(.1, .3, .2, METRIC_UP), VERDICT_UNCLEAR);
}

/* --- the gate --------------------------------------------------------------------------------------------------- */

#define PAIRED HEAD "{\"metric\": \"good\", \"max_drop\": \"0.3 dB\"}, {\"metric\": \"bad\", \"max_rise\": \"2%\"}]}"

static void equal_is_green(void **state) {
  (void)state;
  bench b;
  open_bench(&b, PAIRED);
  assert_int_equal(judge(&b), GATE_PASS);
  assert_int_equal(b.l.n, 4);
  for (int64_t i = 0; i < b.l.n; i++) assert_int_equal(b.l.checks[i].verdict, VERDICT_SAME);
  assert_true(fabs(check_of(&b, "good", "a")->now - 142.5) < .1); /* 30 (1 + .5 * 7.5) */
  assert_true(noted(&b, "single training run"));
  assert_true(noted(&b, "no rule looks at: zero"));
  close_bench(&b);
}

static void regressions_are_red(void **state) {
  (void)state;
  static const struct {
    const char *id;
    double by;
    verdict want;
    int exit_status;
  } t[] = {{"good", -.29, VERDICT_SAME, GATE_PASS}, {"good", -.31, VERDICT_WORSE, GATE_RED},
           {"good", .29, VERDICT_SAME, GATE_PASS},  {"good", .31, VERDICT_BETTER, GATE_PASS},
           {"bad", .018, VERDICT_SAME, GATE_PASS},  {"bad", .022, VERDICT_WORSE, GATE_RED}, /* 2 % of .95 is .019 */
           {"bad", -.5, VERDICT_BETTER, GATE_PASS}};
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    bench b;
    open_bench(&b, PAIRED);
    shift(&b.now, t[i].id, "a", t[i].by);
    assert_int_equal(judge(&b), t[i].exit_status);
    const verdict_check *c = check_of(&b, t[i].id, "a");
    assert_int_equal(c->verdict, t[i].want);
    assert_true(fabs(c->delta - t[i].by) < 1e-9);
    assert_int_equal(check_of(&b, "good", "b")->verdict, VERDICT_SAME);
    close_bench(&b);
  }
}

/* A commit against itself with noise of its own is never red in 95 of 100 seeds; a regression is. */
static void noise(void **state) {
  (void)state;
  int red = 0, green = 0, seen = 0;
  for (uint64_t seed = 1; seed <= 200; seed++) {
    bench b;
    open_bench(&b, HEAD "{\"metric\": \"good\", \"max_drop\": 0}, {\"metric\": \"bad\", \"max_rise\": 0}]}");
    baseline_free(&b.now), baseline_free(&b.then);
    make(&b.then, 2 * seed, 1);
    make(&b.now, 2 * seed + 1, 1);
    red += judge(&b) == GATE_RED;
    gate_rules_free(&b.rules);
    rules_of(&b, HEAD "{\"metric\": \"good\", \"max_drop\": \"1.25 dB\"}]}");
    green += judge(&b) == GATE_PASS;
    shift(&b.now, "good", "b", -3);
    seen += judge(&b) == GATE_RED;
    close_bench(&b);
  }
  printf("200 seeds: %d red, %d green, %d regressions seen\n", red, green, seen);
  assert_true(red <= 10);    /* of 200, with a margin of 0 */
  assert_true(green >= 190); /* with a margin of five standard errors */
  assert_true(seen >= 190);
}

static void too_few(void **state) {
  (void)state;
  bench b;
  open_bench(&b, PAIRED);
  for (int k = 0; k < 2; k++) {
    baseline *x = k ? &b.now : &b.then;
    int64_t kept = 0;
    for (int64_t i = 0; i < x->n_values; i++)
      if (strcmp(x->values[i].prompt, "p04") < 0) x->values[kept++] = x->values[i];
    x->n_values = kept;
  }
  assert_int_equal(judge(&b), GATE_PASS);
  assert_true(noted(&b, "n is too small"));
  shift(&b.now, "good", "a", -10);
  assert_int_equal(judge(&b), GATE_OPEN); /* not red on four prompts, and never green */
  assert_int_equal(check_of(&b, "good", "a")->verdict, VERDICT_UNCLEAR);
  close_bench(&b);
}

static void nothing_goes_missing(void **state) {
  (void)state;
  bench b;
  open_bench(&b, PAIRED);
  lose(&b.now, "good", "a", 1);
  assert_int_equal(judge(&b), GATE_OPEN);
  const verdict_check *c = check_of(&b, "good", "a");
  assert_int_equal(c->verdict, VERDICT_MISSING);
  assert_non_null(strstr(c->why, "1 of the baseline's 32 clips"));
  assert_non_null(strstr(c->why, "prompt p00, train seed 0, sample seed 0"));
  lose(&b.now, "good", "a", CLIPS - 1);
  assert_int_equal(judge(&b), GATE_OPEN);
  assert_int_equal(check_of(&b, "good", "a")->verdict, VERDICT_MISSING);
  lose(&b.now, "zero", "a", CLIPS), lose(&b.now, "zero", "b", CLIPS); /* no rule looks at it */
  assert_int_equal(judge(&b), GATE_OPEN);
  assert_int_equal(check_of(&b, "zero", "*")->verdict, VERDICT_MISSING);
  b.rules.pass_missing = 1;
  assert_int_equal(judge(&b), GATE_PASS);
  lose(&b.then, "bad", "b", CLIPS); /* new here */
  judge(&b);
  assert_int_equal(check_of(&b, "bad", "b")->verdict, VERDICT_MISSING);
  close_bench(&b);
}

static void definitions(void **state) {
  (void)state;
  bench b;
  open_bench(&b, PAIRED);
  b.now.metrics[1].version = 2;
  assert_int_equal(judge(&b), GATE_OPEN);
  assert_non_null(strstr(check_of(&b, "good", "a")->why, "version 2"));
  b.now.metrics[1] = b.then.metrics[1];
  b.now.metrics[1].direction = METRIC_DOWN;
  assert_int_equal(judge(&b), GATE_OPEN);
  assert_non_null(strstr(check_of(&b, "good", "a")->why, "direction"));
  close_bench(&b);
}

static void undefined_scores(void **state) {
  (void)state;
  bench b;
  open_bench(&b, PAIRED);
  spoil(&b.now, "good", "a", KIND_UNDEFINED, 3);
  assert_int_equal(judge(&b), GATE_OPEN);
  assert_int_equal(check_of(&b, "good", "a")->verdict, VERDICT_UNCLEAR);
  assert_int_equal(check_of(&b, "good", "a")->undefined[0], 3);
  spoil(&b.then, "good", "a", KIND_UNDEFINED, 3);
  assert_int_equal(judge(&b), GATE_PASS); /* as in the baseline */
  gate_rules_free(&b.rules);
  rules_of(&b, HEAD "{\"metric\": \"good\", \"max_drop\": 1, \"max_undefined_rise\": \"5%\"}]}");
  spoil(&b.now, "good", "a", KIND_UNDEFINED, 4); /* one more of 32 */
  assert_int_equal(judge(&b), GATE_PASS);
  spoil(&b.now, "good", "a", KIND_UNDEFINED, 5);
  assert_int_equal(judge(&b), GATE_RED);
  spoil(&b.now, "good", "a", KIND_UNDEFINED, 3);
  spoil(&b.now, "good", "b", KIND_NAN, 1);
  assert_int_equal(judge(&b), GATE_RED);
  assert_non_null(strstr(check_of(&b, "good", "b")->why, "NaN"));
  spoil(&b.then, "good", "b", KIND_UNDEFINED, CLIPS), spoil(&b.now, "good", "b", KIND_UNDEFINED, CLIPS);
  judge(&b);
  assert_int_equal(check_of(&b, "good", "b")->verdict, VERDICT_SAME);
  close_bench(&b);
}

/* From zero: a share of 0 allows nothing (canbench PR #30). */
static void zero_baseline(void **state) {
  (void)state;
  bench b;
  open_bench(&b, HEAD "{\"metric\": \"zero\", \"max_rise\": \"10%\"}]}");
  assert_int_equal(judge(&b), GATE_PASS);
  shift(&b.now, "zero", "a", 1e-6);
  assert_int_equal(judge(&b), GATE_RED);
  assert_int_equal(check_of(&b, "zero", "a")->verdict, VERDICT_WORSE);
  assert_int_equal(check_of(&b, "zero", "b")->verdict, VERDICT_SAME);
  shift(&b.now, "zero", "a", -2e-6);
  assert_int_equal(judge(&b), GATE_PASS);
  close_bench(&b);
}

static void levels_and_equality(void **state) {
  (void)state;
  bench b;
  open_bench(&b, HEAD "{\"metric\": \"good\", \"floor\": 142}, {\"metric\": \"zero\", \"ceiling\": 0},"
                      "{\"metric\": \"bad\", \"test\": \"equal\"}]}");
  assert_int_equal(judge(&b), GATE_PASS);
  shift(&b.now, "good", "a", -1);
  assert_int_equal(judge(&b), GATE_RED);
  assert_non_null(strstr(check_of(&b, "good", "a")->why, "below the floor"));
  shift(&b.now, "good", "a", 1);
  shift(&b.now, "zero", "b", 1e-9);
  assert_int_equal(judge(&b), GATE_RED);
  assert_non_null(strstr(check_of(&b, "zero", "b")->why, "above the ceiling"));
  shift(&b.now, "zero", "b", -1e-9);
  for (int64_t i = 0; i < b.now.n_values; i++)
    if (covers(&b.now.values[i], "bad", "b")) {
      b.now.values[i].value = nextafter(b.now.values[i].value, 9);
      break;
    }
  assert_int_equal(judge(&b), GATE_RED);
  assert_non_null(strstr(check_of(&b, "bad", "b")->why, "1 of 32 values differ"));
  assert_int_equal(check_of(&b, "bad", "a")->verdict, VERDICT_SAME);
  close_bench(&b);
}

/* A level needs no baseline; a bound does. */
static void level_without_baseline(void **state) {
  (void)state;
  bench b;
  open_bench(&b, HEAD "{\"metric\": \"good\", \"floor\": 142}]}");
  lose(&b.then, "good", "a", CLIPS);
  assert_int_equal(judge(&b), GATE_PASS);
  assert_true(isnan(check_of(&b, "good", "a")->then) && isnan(check_of(&b, "good", "a")->delta));
  assert_true(check_of(&b, "good", "a")->now > 142);
  shift(&b.now, "good", "a", -2);
  assert_int_equal(judge(&b), GATE_RED);
  close_bench(&b);
}

static void median_and_quorum(void **state) {
  (void)state;
  bench b;
  open_bench(&b, HEAD "{\"metric\": \"good\", \"test\": \"median\", \"max_rise\": \"25%\", \"quorum\": 2}]}");
  shift(&b.now, "good", "a", 50);
  assert_int_equal(judge(&b), GATE_PASS);
  assert_int_equal(check_of(&b, "good", "a")->verdict, VERDICT_SAME);
  assert_non_null(strstr(check_of(&b, "good", "a")->why, "1 variants of the 2"));
  shift(&b.now, "good", "b", 50);
  assert_int_equal(judge(&b), GATE_RED);
  shift(&b.now, "good", NULL, -50);
  for (int64_t i = 0; i < b.now.n_values; i++) /* one slow clip moves no median */
    if (covers(&b.now.values[i], "good", NULL) && strcmp(b.now.values[i].prompt, "p15") == 0)
      b.now.values[i].value += 1e6;
  assert_int_equal(judge(&b), GATE_PASS);
  close_bench(&b);
}

static void conditions(void **state) {
  (void)state;
  bench b;
  open_bench(&b, "{\"schema\": 1, \"require_same\": [\"host_class\", \"prompts.sha256\"], \"rules\": ["
                 "{\"metric\": \"good\", \"max_drop\": 1}]}");
  assert_int_equal(judge(&b), GATE_PASS);
  b.now.facts[0].text = "x86-64-v2";
  assert_int_equal(judge(&b), GATE_OPEN);
  assert_non_null(strstr(check_of(&b, "good", "a")->why, "'x86-64-v3+', here it is 'x86-64-v2'"));
  b.rules.pass_unclear = 1;
  assert_int_equal(judge(&b), GATE_PASS);
  gate_rules_free(&b.rules);
  rules_of(&b, HEAD "{\"metric\": \"good\", \"max_drop\": 1, \"study\": \"other\"},"
                    "{\"metric\": \"good\", \"max_drop\": 1, \"host_class\": \"ci\"}]}");
  assert_int_equal(judge(&b), GATE_OPEN); /* a gate that judged nothing is not green */
  assert_true(noted(&b, "nothing was judged"));
  b.host = "ci";
  assert_int_equal(judge(&b), GATE_PASS);
  close_bench(&b);
}

static void mutes_expire(void **state) {
  (void)state;
  static const struct {
    const char *today;
    int exit_status;
  } t[] = {{"2026-11-30", GATE_PASS}, {"2026-12-01", GATE_PASS}, {"2026-12-02", GATE_RED}, {"2027-01-01", GATE_RED}};
  bench b;
  open_bench(&b, "{\"schema\": 1, \"rules\": [{\"metric\": \"good\", \"max_drop\": 1}], \"mute\": [{\"metric\": "
                 "\"good\", \"variant\": \"a\", \"until\": \"2026-12-01\", \"why\": \"issue 41\"}]}");
  shift(&b.now, "good", "a", -5);
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    b.today = t[i].today;
    assert_int_equal(judge(&b), t[i].exit_status);
    assert_int_equal(check_of(&b, "good", "a")->muted, t[i].exit_status == GATE_PASS);
    assert_true(noted(&b, t[i].exit_status == GATE_PASS ? "is muted up to 2026-12-01: issue 41" : "counts again"));
  }
  b.today = "2026-12-01";
  shift(&b.now, "good", "b", -5); /* another variant is not muted */
  assert_int_equal(judge(&b), GATE_RED);
  close_bench(&b);
  assert_true(gate_day_ok("2028-02-29") && !gate_day_ok("2026-02-29") && !gate_day_ok("2026-13-01"));
  assert_true(!gate_day_ok("2026-1-01") && !gate_day_ok("2026-01-00") && !gate_day_ok("2026/01/01"));
}

/* --- rule files ------------------------------------------------------------------------------------------------- */

static void bad_rules(void **state) {
  (void)state;
  static const struct {
    const char *text, *want;
  } t[] = {
      {"", "1:1: error:"},
      {"[]", "an object with \"rules\""},
      {"{\"schema\": 2, \"rules\": [{\"metric\": \"good\", \"max_drop\": 1}]}", "1:2: error: \"schema\": 1"},
      {"{\"schema\": 1}", "\"rules\" wants a list"},
      {"{\"schema\": 1, \"rules\": []}", "at least one rule"},
      {"{\"schema\": 1,\n \"rulez\": []}", "2:2: error: key 'rulez' is not known; did you mean 'rules'?"},
      {HEAD "{\"metric\": \"good\"}]}", "can never fail"},
      {HEAD "{\"max_drop\": 1}]}", "\"metric\" is missing"},
      {HEAD "{\"metric\": 4, \"max_drop\": 1}]}", "\"metric\" wants a text"},
      {HEAD "{\"metric\": \"good\", \"max_drpo\": 1}]}", "did you mean 'max_drop'?"},
      {HEAD "{\"metric\": \"good\", \"max_drop\": -1}]}", "wants a number from 0"},
      {HEAD "{\"metric\": \"good\", \"max_drop\": \"0x10\"}]}", "wants a number from 0"},
      {HEAD "{\"metric\": \"good\", \"max_drop\": \"nan\"}]}", "wants a number from 0"},
      {HEAD "{\"metric\": \"good\", \"max_drop\": \"inf%\"}]}", "wants a number from 0"},
      {HEAD "{\"metric\": \"good\", \"max_drop\": \"1e999\"}]}", "wants a number from 0"},
      {HEAD "{\"metric\": \"good\", \"max_drop\": \"3 px\"}]}", "good is measured in 'dB', not in 'px'"},
      {HEAD "{\"metric\": \"goood\", \"max_drop\": 1}]}", "metric 'goood' is not known; did you mean 'good'?"},
      {HEAD "{\"metric\": \"good\", \"variant\": \"c\", \"max_drop\": 1}]}", "variant 'c' is not known"},
      {HEAD "{\"metric\": \"good\", \"test\": \"pared\", \"max_drop\": 1}]}", "did you mean 'paired'?"},
      {HEAD "{\"metric\": \"good\", \"test\": \"equal\", \"max_drop\": 1}]}", "allows no change"},
      {HEAD "{\"metric\": \"good\", \"max_drop\": 1, \"quorum\": 2}]}", "quorum is for test \"median\""},
      {HEAD "{\"metric\": \"good\", \"floor\": 2, \"ceiling\": 1}]}", "floor is above ceiling"},
      {HEAD "{\"metric\": \"good\", \"floor\": 2, \"test\": \"paired\"}]}", "test \"absolute\""},
      {HEAD "3]}", "a rule is"},
      {"{\"schema\": 1, \"on_unclear\": \"fial\", \"rules\": [{\"metric\": \"good\", \"max_drop\": 1}]}",
       "did you mean 'fail'?"},
      {"{\"schema\": 1, \"family_alpha\": 1, \"rules\": [{\"metric\": \"good\", \"max_drop\": 1}]}",
       "between 0 and 1"},
      {"{\"schema\": 1, \"require_same\": [\"host_clas\"], \"rules\": [{\"metric\": \"good\", \"max_drop\": 1}]}",
       "did you mean 'host_class'?"},
      {HEAD
       "{\"metric\": \"good\", \"max_drop\": 1}], \"mute\": [{\"metric\": \"good\", \"until\": \"soon\", \"why\": "
       "\"x\"}]}",
       "YYYY-MM-DD"},
      {HEAD
       "{\"metric\": \"good\", \"max_drop\": 1}], \"mute\": [{\"metric\": \"good\", \"until\": \"2026-01-01\"}]}",
       "\"why\" is missing"},
  };
  baseline b;
  make(&b, 1, 0);
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    problems p = {0};
    gate_rules g = {0};
    text seen = {0};
    scratch_write("bad.json", t[i].text);
    err0 = (err){0};
    int rc = gate_rules_read(&err0, scratch_path(0, "bad.json"), &p, &g);
    if (rc == OK) rc = gate_rules_bind(&err0, &g, &b, &b, &p);
    problems_print(&p, &seen);
    if (rc != E_CONFIG || !seen.p || !strstr(seen.p, t[i].want) || !strstr(seen.p, "bad.json:"))
      fail_msg("%s\n%s\nwanted: %s", t[i].text, seen.p ? seen.p : "no problem", t[i].want);
    text_free(&seen);
    gate_rules_free(&g);
    problems_free(&p);
  }
  baseline_free(&b);
}

/* All problems of a file at once. */
static void every_problem(void **state) {
  (void)state;
  problems p = {0};
  gate_rules g;
  scratch_write("bad.json", "{\n\"schema\": 1,\n\"on_missing\": \"x\",\n\"rules\": [\n{\"metric\": \"good\"},\n"
                            "{\"max_drop\": \"x\"}]}");
  assert_int_equal(gate_rules_read(&err0, scratch_path(0, "bad.json"), &p, &g), E_CONFIG);
  assert_int_equal(p.errors, 4);
  problems_free(&p);
}

/* --- selftest --------------------------------------------------------------------------------------------------- */

static int64_t selftest(bench *b, text *out) {
  int64_t failed = -1;
  gate_input in = input(b);
  GOOD(gate_selftest(&err0, &in, out, &failed));
  return failed;
}

static void selftest_proves(void **state) {
  (void)state;
  bench b;
  text out = {0};
  open_bench(&b, HEAD "{\"metric\": \"good\", \"max_drop\": \"0.3 dB\"}, {\"metric\": \"bad\", \"max_rise\": \"2%\", "
                      "\"test\": \"absolute\"}, {\"metric\": \"zero\", \"max_rise\": 0}, {\"metric\": \"zero\", "
                      "\"ceiling\": 0}, {\"metric\": \"bad\", \"test\": \"equal\"}]}");
  assert_int_equal(selftest(&b, &out), 0);
  assert_non_null(strstr(out.p, "moved by twice its margin: worse, exit 1"));
  assert_non_null(strstr(out.p, "its version changed, good: 0 worse, 2 missing, 0 unclear, exit 4"));
  assert_non_null(strstr(out.p, "16 of 16 claims hold"));
  text_free(&out);
  close_bench(&b);
}

/* What could never go red is found: too few prompts, a metric without values, a baseline below the floor. */
static void selftest_finds(void **state) {
  (void)state;
  bench b;
  text out = {0};
  open_bench(&b, PAIRED);
  int64_t kept = 0;
  for (int64_t i = 0; i < b.then.n_values; i++)
    if (strcmp(b.then.values[i].prompt, "p03") < 0) b.then.values[kept++] = b.then.values[i];
  b.then.n_values = kept;
  assert_int_equal(selftest(&b, &out), 2);
  assert_non_null(strstr(out.p, "FAIL"));
  assert_non_null(strstr(out.p, "after Holm"));
  text_free(&out);
  close_bench(&b);
  open_bench(&b, HEAD "{\"metric\": \"good\", \"max_drop\": 1}]}");
  spoil(&b.then, "good", "a", KIND_UNDEFINED, CLIPS), spoil(&b.then, "good", "b", KIND_UNDEFINED, CLIPS);
  assert_true(selftest(&b, &out) > 0);
  text_free(&out);
  close_bench(&b);
  open_bench(&b, HEAD "{\"metric\": \"good\", \"floor\": 1e6}]}");
  assert_true(selftest(&b, &out) > 0);
  text_free(&out);
  close_bench(&b);
}

/* --- formats ---------------------------------------------------------------------------------------------------- */

#define HOSTILE "<a & \"b\">|`x`\n::error::%0A,']]>\x01\xff\xc3\xa9"

static void hostile_list(verdict_list *l, int n) {
  verdict_check *c;
  *l = (verdict_list){.alpha = .05, .exit_status = GATE_RED};
  l->title = strdup(HOSTILE);
  l->file = strdup("dir,a:b%/rules.json");
  for (int i = 0; i < n; i++) {
    GOOD(verdict_add(&err0, l, HOSTILE, HOSTILE, &c));
    c->rule = 0, c->line = 3, c->col = 4;
    GOOD(verdict_why(&err0, c, i % 2 ? VERDICT_MISSING : VERDICT_WORSE, "%s", HOSTILE));
  }
  GOOD(verdict_note(&err0, l, "%s", HOSTILE));
}

static int64_t count(const char *s, const char *what) {
  int64_t n = 0;
  for (; (s = strstr(s, what)); s += strlen(what)) n++;
  return n;
}

static void hostile_names(void **state) {
  (void)state;
  verdict_list l;
  text out = {0};
  hostile_list(&l, 3);
  verdict_junit(&l, &out);
  assert_non_null(strstr(out.p, "&#60;a &#38; &#34;b&#34;&#62;|`x` ::error::%0A,&#39;]]&#62; ?\xc3\xa9"));
  assert_null(strstr(out.p, "<a "));
  assert_null(memchr(out.p, 1, out.n));
  assert_int_equal(count(out.p, "<failure "), 2);
  assert_int_equal(count(out.p, "<error "), 1);
  text_free(&out);
  verdict_github(&l, &out);
  assert_int_equal(count(out.p, "\n"), 3);
  assert_int_equal(
      strncmp(out.p, "::error file=dir%2Ca%3Ab%25/rules.json,line=3,col=4,title=<a & \"b\">|`x`%0A%3A%3Aerror", 80),
      0);
  assert_null(strstr(out.p, "\n::error::%0A")); /* no command of the name's own */
  text_free(&out);
  verdict_markdown(&l, &out);
  assert_null(strstr(out.p, "<a"));
  assert_int_equal(count(out.p, "\n\\::"), 0);
  assert_int_equal(strncmp(out.p, "**FAIL: 2 worse, 1 missing**", 28), 0);
  text_free(&out);
  verdict_tap(&l, &out);
  assert_int_equal(count(out.p, "\n"), 5);
  assert_int_equal(count(out.p, "\nnot ok "), 3);
  text_free(&out);
  verdict_terminal(&l, 0, &out);
  assert_null(memchr(out.p, 1, out.n));
  assert_int_equal(strncmp(out.p, "FAIL: 2 worse, 1 missing\n", 25), 0);
  text_free(&out);
  verdict_list_free(&l);
}

static void limits(void **state) {
  (void)state;
  verdict_list l;
  text out = {0};
  hostile_list(&l, 10);
  verdict_github(&l, &out);
  assert_int_equal(count(out.p, "\n"), 10);
  text_free(&out);
  verdict_list_free(&l);
  hostile_list(&l, 3000);
  verdict_github(&l, &out);
  assert_int_equal(count(out.p, "\n"), 10);
  assert_non_null(strstr(out.p, "and 2991 more"));
  assert_null(strstr(out.p, "is missing")); /* the worst first */
  text_free(&out);
  verdict_markdown(&l, &out);
  assert_true(out.n < 60000);
  assert_non_null(strstr(out.p, "more rows are left out"));
  text_free(&out);
  verdict_list_free(&l);
}

static void json_parses(void **state) {
  (void)state;
  bench b;
  text out = {0};
  json *j = NULL;
  open_bench(&b, PAIRED);
  spoil(&b.now, "good", "a", KIND_NAN, CLIPS);
  judge(&b);
  verdict_json(&b.l, &out);
  GOOD(json_parse(&err0, "out", out.p, out.n, &j));
  assert_int_equal(json_count(json_get(j, "checks")), 4);
  assert_int_equal((int)json_get(j, "exit")->num, GATE_RED);
  json_free(j);
  text_free(&out);
  close_bench(&b);
}

/* --- files ------------------------------------------------------------------------------------------------------ */

static void file_round_trip(void **state) {
  (void)state;
  baseline b, c;
  text one = {0}, two = {0};
  make(&b, 3, .1);
  b.values[0].kind = KIND_UNDEFINED;
  b.values[1].kind = KIND_NAN, b.values[2].kind = KIND_INF, b.values[3].kind = KIND_NEG_INF;
  b.values[4].train_seed = INT64_C(9007199254740993);
  b.values[5].train_seed = SEED_NONE, b.values[5].sample_seed = SEED_NONE, b.values[5].prompt = "";
  b.values[6].hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
  b.note = "a \"note\"\n";
  baseline_sort(&b);
  baseline_write(&b, &one);
  GOOD(baseline_parse(&err0, "b.json", one.p, one.n, &c));
  assert_int_equal(c.n_values, b.n_values);
  assert_int_equal(c.n_facts, 3);
  for (int64_t i = 0; i < b.n_values; i++) {
    assert_int_equal(baseline_order(&b.values[i], &c.values[i]), 0);
    if (b.values[i].kind == KIND_FINITE && !b.values[i].hash) assert_true(b.values[i].value == c.values[i].value);
    assert_int_equal(!b.values[i].hash, !c.values[i].hash);
  }
  for (int64_t i = 0, j = c.n_values - 1; i < j; i++, j--) { /* any order in memory, the same bytes */
    baseline_value v = c.values[i];
    c.values[i] = c.values[j], c.values[j] = v;
  }
  baseline_sort(&c);
  baseline_write(&c, &two);
  assert_string_equal(one.p, two.p);
  text_free(&one), text_free(&two);
  baseline_free(&b), baseline_free(&c);
}

static void bad_files(void **state) {
  (void)state;
#define FILE_HEAD                                                                                                    \
  "{\"schema\": 1, \"baseline\": \"b\", \"study\": \"s\", \"git_sha\": \"\", \"note\": \"n\", \"created_ms\": 1,"    \
  " \"facts\": {}, \"metrics\": {\"m\": {\"version\": 1, \"direction\": \"up\", \"unit\": \"\", \"values\": ["
  static const char *const bad[] = {"",
                                    "[]",
                                    "{\"schema\": 1}",
                                    FILE_HEAD "[\"a\", \"p\", 0, 0]]}}}",
                                    FILE_HEAD "[\"a\", \"p\", 0, 0, \"x\"]]}}}",
                                    FILE_HEAD "[\"a\", \"p\", -1, 0, 1]]}}}",
                                    FILE_HEAD "[\"a\", \"p\", 0.5, 0, 1]]}}}",
                                    FILE_HEAD "[\"a\", \"p\", \"99999999999999999999\", 0, 1]]}}}",
                                    FILE_HEAD "[\"a\", \"p\", 0, 0, \"sha256:12\"]]}}}",
                                    FILE_HEAD "[3, \"p\", 0, 0, 1]]}}}",
                                    FILE_HEAD "[\"a\", 3, 0, 0, 1]]}}}",
                                    FILE_HEAD "[\"a\", \"p\", 0, 0, 1], [\"a\", \"p\", 0, 0, 2]]}}}"};
  baseline b;
  const char *good = FILE_HEAD "[\"a\", \"p\", 0, 0, 1], [\"a\", \"p\", 1, 0, 2]]}}}";
  GOOD(baseline_parse(&err0, "b.json", good, strlen(good), &b));
  assert_int_equal(b.n_values, 2);
  baseline_free(&b);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    err0 = (err){0};
    if (baseline_parse(&err0, "b.json", bad[i], strlen(bad[i]), &b) != E_FORMAT) fail_msg("accepted: %s", bad[i]);
    assert_non_null(strstr(err0.text, "b.json"));
  }
}

/* --- compare ---------------------------------------------------------------------------------------------------- */

static void compares(void **state) {
  (void)state;
  baseline b;
  verdict_list l;
  make(&b, 5, .05);
  compare_input in = {.a = {&b, "b"}, .b = {&b, "a"}, .alpha = .05, .stats = stats_defaults(0)};
  in.stats.bootstrap.replicates = 1000;
  GOOD(compare_variants(&err0, &in, &l));
  assert_int_equal(l.n, 3);
  assert_string_equal(l.checks[0].metric, "bad");
  assert_int_equal(l.checks[0].verdict, VERDICT_WORSE); /* + .25 where lower is better */
  assert_int_equal(l.checks[0].stats.losses, PROMPTS);
  assert_true(l.checks[0].stats.improvement < .1);
  assert_int_equal(l.checks[1].verdict, VERDICT_BETTER);
  assert_int_equal(l.checks[1].stats.wins, PROMPTS);
  assert_true(fabs(l.checks[1].delta - .25) < .05);
  assert_int_equal(l.checks[2].verdict, VERDICT_SAME);
  assert_int_equal(l.exit_status, 0);
  verdict_list_free(&l);
  in.margin = 1;
  GOOD(compare_variants(&err0, &in, &l));
  assert_int_equal(l.checks[1].verdict, VERDICT_SAME);
  verdict_list_free(&l);
  in.margin = .25;
  lose(&b, "good", "a", 4);
  GOOD(compare_variants(&err0, &in, &l));
  assert_int_equal(l.checks[1].verdict, VERDICT_UNCLEAR);
  assert_int_equal(l.checks[1].stats.pairs, CLIPS - 4);
  assert_true(l.n_notes == 2 && strstr(l.notes[0], "no partner"));
  verdict_list_free(&l);
  lose(&b, "good", "a", CLIPS - 4);
  GOOD(compare_variants(&err0, &in, &l));
  assert_int_equal(l.checks[1].verdict, VERDICT_MISSING);
  verdict_list_free(&l);
  const char *none = "nothing";
  in.metrics = &none, in.n_metrics = 1;
  err0 = (err){0};
  assert_int_equal(compare_variants(&err0, &in, &l), E_ARG);
  baseline_free(&b);
}

/* A side without train seeds pairs with every seed of the other. */
static void broadcast(void **state) {
  (void)state;
  baseline b;
  pairs p;
  make(&b, 5, 0);
  for (int64_t i = 0; i < b.n_values; i++)
    if (strcmp(b.values[i].variant, "a") == 0) b.values[i].train_seed = SEED_NONE;
  GOOD(pairs_build(&err0, (pairs_side){&b, "b"}, (pairs_side){&b, "a"}, "good", &p));
  assert_int_equal(p.shared, CLIPS);
  assert_int_equal(p.only[0] + p.only[1], 0);
  assert_true(fabs(pairs_mean(&p, 0) - pairs_mean(&p, 1) - .25) < 1e-9);
  pairs_free(&p);
  baseline_free(&b);
}

static int open_folder(void **state) {
  (void)state;
  return scratch_open() ? 0 : -1;
}

static int close_folder(void **state) {
  (void)state;
  scratch_close();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(intervals),
                                     cmocka_unit_test(equal_is_green),
                                     cmocka_unit_test(regressions_are_red),
                                     cmocka_unit_test(noise),
                                     cmocka_unit_test(too_few),
                                     cmocka_unit_test(nothing_goes_missing),
                                     cmocka_unit_test(definitions),
                                     cmocka_unit_test(undefined_scores),
                                     cmocka_unit_test(zero_baseline),
                                     cmocka_unit_test(levels_and_equality),
                                     cmocka_unit_test(median_and_quorum),
                                     cmocka_unit_test(level_without_baseline),
                                     cmocka_unit_test(conditions),
                                     cmocka_unit_test(mutes_expire),
                                     cmocka_unit_test(bad_rules),
                                     cmocka_unit_test(every_problem),
                                     cmocka_unit_test(selftest_proves),
                                     cmocka_unit_test(selftest_finds),
                                     cmocka_unit_test(hostile_names),
                                     cmocka_unit_test(limits),
                                     cmocka_unit_test(json_parses),
                                     cmocka_unit_test(file_round_trip),
                                     cmocka_unit_test(bad_files),
                                     cmocka_unit_test(compares),
                                     cmocka_unit_test(broadcast)};
  return cmocka_run_group_tests(tests, open_folder, close_folder);
}
