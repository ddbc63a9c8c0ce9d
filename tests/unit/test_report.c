/* The result table from a fixed data set: golden text for the terminal, Markdown, CSV and JSON, footnotes, marks;
 * then from a real store. To accept a wanted change of the golden files: TANDEM_ACCEPT=1 build/tests/test_report. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/json.h"
#include "media/video.h"
#include "report/contact.h"
#include "report/escape.h"
#include "report/render.h"
#include "report/study_table.h"
#include "report/table.h"
#include "report/width.h"
#include "scratch.h"
#include "store/job.h"
#include "store/object.h"
#include "store/register.h"

static err err0;
#define GOOD(call)                                                                                                   \
  do {                                                                                                               \
    err0 = (err){0};                                                                                                 \
    if ((call) != OK) fail_msg("%s: %s", #call, err0.text);                                                          \
  } while (0)

enum { ROWS = 6, METRICS = 4, PROMPTS = 8, SAMPLES = 2, CLIPS = PROMPTS * SAMPLES };

#define ODD "odd |name|, \"q\" <b> \xc3\xa9\xe7\x94\xbb"
static const char *const row_name[ROWS] = {"ours", "no-rgb-to-alpha", "batch", "base", ODD, "unlucky"};
static const char *const prompt_id[PROMPTS] = {"p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8"};
static const table_metric metrics[METRICS] = {{"true_iou_gain", 1, METRIC_UP, "", 1},
                                              {"rgb_rmse_base", 2, METRIC_DOWN, "1", 1},
                                              {"displacement_ratio", 1, METRIC_NONE, "px/px", 0},
                                              {"edge_color_gain:sigma=1.5", 1, METRIC_UP, NULL, 0}};

typedef struct data {
  table_input in;
  table_point point[ROWS * CLIPS];
  store_score score[ROWS * CLIPS * METRICS];
  store_cell_row missing[3];
  table_excluded excluded[CLIPS];
  store_fact retried[2], builds[1];
  table_wish contrast[2];
  store_set set[8];
} data;

/* Between -5 and 5, fixed and without a pattern that pairs could share. */
static double jitter(int row, int column, int prompt, int sample) {
  return (row * 7 + column * 5 + prompt * prompt * 3 + sample * 11 + row * prompt * sample) % 11 - 5;
}

static void score_clip(data *d, int row, int prompt, int sample) {
  static const double level[ROWS][METRICS] = {
      {.136, .05, 1.1, .272}, {.048, 0, 1, .110}, {.110, .049, 1.2, .27}, {0, 0, 1, 0}, {0}, {.1, .1, 1, .1}};
  for (int m = 0; m < METRICS; m++) {
    store_score s = {.key = "k",
                     .variant = row_name[row],
                     .prompt_id = prompt_id[prompt],
                     .train_seed = row == 3 ? SEED_NONE : 0,
                     .sample_seed = sample,
                     .metric = metrics[m].id,
                     .backdrop = "",
                     .version = metrics[m].version,
                     .n = 100};
    /* prompts differ a lot, which pairing takes out */
    s.value = level[row][m] > 0 ? level[row][m] + .004 * jitter(row, m, prompt, sample) + .01 * prompt : 0;
    if (row == 3 && m != 1 && m != 2) s = (s.kind = KIND_UNDEFINED, s.reason = "no_alpha", s.value = NAN, s);
    if (row == 1 && m == 3 && prompt == 2) s = (s.kind = KIND_UNDEFINED, s.reason = "empty_alpha", s.value = NAN, s);
    if (row == 5 && m == 2 && prompt == 1) s = (s.kind = KIND_INF, s.value = INFINITY, s);
    if (row == 5 && m == 3 && prompt == 1) s = (s.kind = KIND_NAN, s.value = NAN, s);
    d->score[d->in.n_scores++] = s;
  }
}

static void make_data(data *d) {
  *d = (data){0};
  for (int r = 0; r < ROWS; r++)
    for (int p = 0; p < PROMPTS; p++)
      for (int s = 0; s < SAMPLES; s++) {
        if (r == 4) {
          d->excluded[d->in.n_excluded++] = (table_excluded){r, "does not fit", prompt_id[p], 0, s};
          continue;
        }
        d->point[d->in.n_points++] = (table_point){r, prompt_id[p], r == 3 ? SEED_NONE : 0, s};
        if (r == 2 && p == 6 && (s == 0 || s == 1)) continue;
        if (r == 2 && p == 7 && s == 1) continue;
        score_clip(d, r, p, s);
      }
  /* a score of an older version must not mix with the new ones */
  d->score[d->in.n_scores] = d->score[1];
  d->score[d->in.n_scores].version = 1;
  d->score[d->in.n_scores++].value = 99;
  d->missing[0] =
      (store_cell_row){.stage = STAGE_SCORE, .state = CELL_FAILED, .variant = "batch", .fail_class = "oom_host"};
  d->missing[1] = (store_cell_row){.stage = STAGE_SCORE, .state = CELL_BLOCKED, .variant = "batch"};
  d->missing[2] = (store_cell_row){.stage = STAGE_SAMPLE, .state = CELL_BLOCKED, .variant = "batch"};
  d->retried[0] = (store_fact){"k1", "batch", 2};
  d->retried[1] = (store_fact){"k2", "batch", 2};
  d->builds[0] = (store_fact){"b1", "0123456789ab, gcc 12", 60};
  d->contrast[0] = (table_wish){0, 1, 0};
  d->contrast[1] = (table_wish){1, 1, 3};
  d->in.study = "demo";
  d->in.spec_sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
  d->in.rows = row_name, d->in.n_rows = ROWS;
  d->in.metrics = metrics, d->in.n_metrics = METRICS;
  d->in.points = d->point, d->in.scores = d->score;
  d->in.missing = d->missing, d->in.n_missing = 3;
  d->in.excluded = d->excluded;
  d->in.retried = d->retried, d->in.n_retried = 2;
  d->in.builds = d->builds, d->in.n_builds = 1;
  d->in.contrasts = d->contrast, d->in.n_contrasts = 2;
  d->in.stats = stats_defaults(1);
  d->in.stats.bootstrap.replicates = 1000;
}

static const table_set_wish set_wishes[] = {{"hof_energy:alpha=0", "base", "1", 1, METRIC_DOWN},
                                            {"swd:permutations=19", "data", "1e-3", 2, METRIC_DOWN},
                                            {"rand_mmd", ODD, NULL, 1, METRIC_NONE}};

/* A done score of sets; value NaN: undefined for want of clips. */
static store_set set_of(const char *row, int64_t seed, int wish, double value, const double null[3]) {
  store_set s = {.key = "k",
                 .variant = row,
                 .metric = set_wishes[wish].id,
                 .against = set_wishes[wish].against,
                 .state = CELL_DONE,
                 .train_seed = seed,
                 .version = set_wishes[wish].version,
                 .value = value,
                 .n = 16,
                 .n_against = 256,
                 .p = NAN,
                 .null_mean = NAN,
                 .null_lo = NAN,
                 .null_hi = NAN};
  if (isnan(value)) s.reason = "too_few_clips", s.n = 1, s.undefined = 15;
  if (null) s.null_mean = null[0], s.null_lo = null[1], s.null_hi = null[2], s.permutations = 499, s.p = .25;
  return s;
}

/* Every state of a line, and a variant and a score that the table does not have. */
static void add_sets(data *d) {
  static const double null[3] = {.0123, -.0456, .0789}, wide[3] = {12, 10, 15};
  store_set *s = d->set;
  *s++ = set_of("ours", 0, 0, .05, null);
  *s++ = set_of("ours", 1, 0, .0790001, null);
  *s++ = set_of("batch", 0, 0, -.3, null);
  *s = set_of("no-rgb-to-alpha", 0, 0, NAN, NULL);
  (s++)->state = CELL_DONE;
  *s = set_of("unlucky", 0, 0, NAN, NULL);
  s->state = CELL_FAILED, s->reason = NULL, (s++)->fail_class = "oom_host";
  *s++ = set_of(ODD, SEED_NONE, 1, 99.5, wide);
  *s = set_of("batch", 0, 1, 12, wide);
  (s++)->version = 1;
  *s++ = set_of("gone", 0, 1, 1, wide);
  d->in.sets = d->set, d->in.n_sets = s - d->set;
  d->in.set_wishes = set_wishes, d->in.n_set_wishes = 3;
}

static table *build_with_sets(void) {
  static data d;
  table *t = NULL;
  make_data(&d);
  add_sets(&d);
  GOOD(table_build(&err0, &d.in, &t));
  return t;
}

static table *build(void) {
  static data d;
  table *t = NULL;
  make_data(&d);
  GOOD(table_build(&err0, &d.in, &t));
  return t;
}

static const table_cell *cell(const table *t, int row, int column) {
  return &t->cells[row * METRICS + column];
}

static text render(table *t, table_format f, int width, int colour) {
  text out = {0};
  GOOD(table_render(&err0, &t, 1, f, &(table_style){.width = width, .colour = colour}, &out));
  return out;
}

static void golden(const char *name, const text *got) {
  const char *root = getenv("TANDEM_SOURCE");
  char path[1024], *want;
  size_t n;
  if (!root) skip();
  snprintf(path, sizeof path, "%s/tests/golden/report/%s", root, name);
  if (getenv("TANDEM_ACCEPT")) GOOD(file_write(&err0, path, got->p, got->n));
  GOOD(file_read(&err0, path, 1 << 20, &want, &n));
  assert_true(n > 100);
  if (n != got->n || memcmp(want, got->p, n) != 0) {
    fprintf(stderr, "--- wanted %s\n%s--- got\n%s---\n", name, want, got->p);
    free(want);
    fail_msg("%s differs", name);
  }
  free(want);
}

/* --- the model ------------------------------------------------------------------------------------------------- */

static void test_model(void **state) {
  (void)state;
  table *t = build();
  assert_int_equal(t->n_rows, ROWS);
  /* n */
  assert_int_equal(t->rows[0].trains, 1);
  assert_int_equal(t->rows[0].prompts, PROMPTS);
  assert_int_equal(t->rows[0].samples, SAMPLES);
  assert_int_equal(t->rows[0].planned, CLIPS);
  assert_int_equal(t->rows[0].scored, CLIPS);
  assert_int_equal(t->rows[2].scored, CLIPS - 3);
  assert_int_equal(t->rows[3].trains, 1); /* the base model has no train seed, and each clip counts once */
  assert_int_equal(t->rows[3].planned, CLIPS);
  assert_int_equal(t->rows[4].planned, 0);
  /* a mean by hand */
  double sum = 0;
  for (int p = 0; p < PROMPTS; p++)
    for (int s = 0; s < SAMPLES; s++) sum += .136 + .004 * jitter(0, 0, p, s) + .01 * p;
  assert_true(fabs(cell(t, 0, 0)->mean - sum / CLIPS) < 1e-12);
  assert_int_equal(cell(t, 0, 0)->defined, CLIPS);
  /* pairs: undefined and missing ones fall out */
  assert_int_equal(cell(t, 1, 0)->to_reference.pairs, CLIPS);
  assert_int_equal(cell(t, 1, 3)->to_reference.pairs, CLIPS - 2);
  assert_int_equal(cell(t, 2, 0)->to_reference.pairs, CLIPS - 3);
  assert_int_equal(cell(t, 3, 1)->to_reference.pairs, CLIPS);
  assert_int_equal(cell(t, 0, 0)->to_reference.used, 0);
  const table_difference *d = &cell(t, 1, 0)->to_reference;
  assert_true(d->lo < d->mean && d->mean < d->hi && d->hi < 0);
  assert_true(d->p > 0 && d->p <= d->p_holm && d->p_holm <= 1);
  /* four rows beside the reference, two primary metrics; the undefined comparison counts, the excluded row does not
   */
  assert_true(d->p == 2.0 / 256 && d->p_holm == 8 * d->p);
  assert_true(isnan(cell(t, 1, 3)->to_reference.p_holm)); /* not primary: no family */
  /* states */
  assert_int_equal(cell(t, 3, 0)->state, TABLE_UNDEFINED);
  assert_int_equal(cell(t, 3, 0)->undefined, CLIPS);
  assert_int_equal(cell(t, 4, 0)->state, TABLE_EXCLUDED);
  assert_int_equal(cell(t, 5, 2)->state, TABLE_NOT_FINITE);
  assert_true(isinf(cell(t, 5, 2)->mean));
  assert_true(isnan(cell(t, 5, 3)->mean) && cell(t, 5, 3)->state == TABLE_NOT_FINITE);
  assert_true(cell(t, 3, 1)->mean == 0 && cell(t, 3, 1)->state == TABLE_VALUE);
  assert_int_equal(cell(t, 3, 1)->n_notes, 0);
  assert_int_equal(t->n_contrasts, 2);
  assert_true(t->contrasts[1].d.mean == 0 && t->contrasts[1].d.used == PROMPTS);
  table_free(t);
}

static void test_best(void **state) {
  (void)state;
  table *t = build();
  assert_int_equal(cell(t, 0, 0)->best, 1); /* ahead of every complete row, beyond noise */
  for (int r = 1; r < ROWS; r++) assert_int_equal(cell(t, r, 0)->best, 0);
  for (int r = 0; r < ROWS; r++) assert_int_equal(cell(t, r, 1)->best, 0); /* two rows at exactly 0: a tie */
  for (int r = 0; r < ROWS; r++) assert_int_equal(cell(t, r, 2)->best, 0); /* no direction, no best */
  /* the runner-up of a best, where it is ahead of the third in turn */
  for (int r = 0; r < ROWS; r++) assert_int_equal(cell(t, r, 0)->second, r == 5);
  for (int r = 0; r < ROWS; r++) assert_int_equal(cell(t, r, 1)->second, 0);
  table_free(t);
  /* an incomplete row can never be the best */
  static data d;
  make_data(&d);
  for (int64_t i = 0; i < d.in.n_scores; i++)
    if (strcmp(d.score[i].variant, "batch") == 0) d.score[i].value += 1;
  GOOD(table_build(&err0, &d.in, &t));
  assert_true(cell(t, 2, 0)->mean > cell(t, 0, 0)->mean);
  assert_int_equal(cell(t, 2, 0)->best, 0);
  table_free(t);
  /* and a lead within noise is none */
  make_data(&d);
  for (int64_t i = 0; i < d.in.n_scores; i++)
    if (strcmp(d.score[i].variant, "no-rgb-to-alpha") == 0 && strcmp(d.score[i].metric, "true_iou_gain") == 0)
      d.score[i].value += .0875;
  GOOD(table_build(&err0, &d.in, &t));
  assert_true(fabs(cell(t, 1, 0)->mean - cell(t, 0, 0)->mean) < .003);
  for (int r = 0; r < ROWS; r++) assert_int_equal(cell(t, r, 0)->best, 0);
  table_free(t);
}

static int has_note(const table *t, const int *note, int n, const char *part) {
  for (int i = 0; i < n; i++)
    if (strstr(t->notes[note[i]], part)) return 1;
  return 0;
}

static int has_remark(const table *t, const char *part) {
  for (int64_t i = 0; i < t->n_remarks; i++)
    if (strstr(t->remarks[i], part)) return 1;
  return 0;
}

static void test_notes(void **state) {
  (void)state;
  table *t = build();
  const table_row *batch = &t->rows[2];
  assert_true(
      has_note(t, batch->note, batch->n_notes, "3 of 16 clips are missing (oom_host 1, blocked 1, not run 1)"));
  assert_true(batch->retried);
  assert_false(t->rows[0].retried);
  assert_true(
      has_note(t, t->rows[4].note, t->rows[4].n_notes, "16 clips are excluded by the study (does not fit 16)"));
  assert_true(has_note(t, cell(t, 1, 3)->note, cell(t, 1, 3)->n_notes, "undefined on 2 of 16 clips (empty_alpha 2)"));
  assert_true(has_note(t, cell(t, 3, 0)->note, cell(t, 3, 0)->n_notes, "undefined on 16 of 16 clips (no_alpha 16)"));
  assert_true(has_note(t, cell(t, 5, 2)->note, cell(t, 5, 2)->n_notes, "not finite on 2 of 16 clips"));
  assert_int_equal(cell(t, 3, 0)->note[0], cell(t, 3, 3)->note[0]); /* equal notes share a letter */
  assert_true(has_remark(t, "means over 8 prompts, 1 train seed and 2 sample seeds"));
  assert_true(has_remark(t, "single training run"));
  assert_true(has_remark(t, "2 clips needed more than one attempt"));
  assert_true(has_remark(t, "rgb_rmse_base: 1 scores of other versions than 2"));
  assert_false(has_remark(t, "different builds"));
  table_free(t);
}

/* Two training seeds: the base model's clips pair with both, and count once. */
static void test_two_trainings(void **state) {
  (void)state;
  static data d;
  table *t = NULL;
  make_data(&d);
  table_point point[3 * 4 * 2];
  store_score score[3 * 4 * 2];
  const char *const rows[] = {"a", "base"};
  int64_t n = 0;
  for (int train = 0; train < 3; train++)
    for (int p = 0; p < 4; p++) {
      int base = train == 2; /* third round: the base */
      point[n] = (table_point){base, prompt_id[p], base ? SEED_NONE : train, 5};
      score[n] = (store_score){.variant = rows[base],
                               .prompt_id = prompt_id[p],
                               .metric = "true_iou_gain",
                               .version = 1,
                               .train_seed = point[n].train_seed,
                               .sample_seed = 5,
                               .value = base ? 0.5 : 1 + train + p};
      n++;
    }
  table_input in = {.study = "two",
                    .spec_sha256 = "ff",
                    .stored_sha256 = "ee",
                    .rows = rows,
                    .n_rows = 2,
                    .reference = 1,
                    .metrics = metrics,
                    .n_metrics = 1,
                    .points = point,
                    .n_points = n,
                    .scores = score,
                    .n_scores = n,
                    .stats = d.in.stats};
  GOOD(table_build(&err0, &in, &t));
  assert_int_equal(t->rows[0].trains, 2);
  assert_int_equal(t->rows[0].planned, 8);
  assert_int_equal(t->rows[1].trains, 1);
  assert_int_equal(t->rows[1].planned, 4);
  assert_int_equal(t->cells[1].defined, 4);
  assert_true(fabs(t->cells[0].mean - 3.0) < 1e-12);
  assert_int_equal(t->cells[0].to_reference.pairs, 8);
  assert_true(fabs(t->cells[0].to_reference.mean - 2.5) < 1e-12);
  assert_true(has_remark(t, "another version of this study (spec ee)"));
  assert_true(has_remark(t, "no test can reach p < 0.05"));
  assert_false(has_remark(t, "single training run"));
  table_free(t);
}

static void test_nothing_yet(void **state) {
  (void)state;
  static data d;
  table *t = NULL;
  make_data(&d);
  d.in.n_scores = 0;
  GOOD(table_build(&err0, &d.in, &t));
  for (int i = 0; i < ROWS * METRICS; i++)
    assert_int_equal(t->cells[i].state, i / METRICS == 4 ? TABLE_EXCLUDED : TABLE_MISSING);
  for (table_format f = 0; f < TABLE_FORMATS; f++) {
    text out = render(t, f, 80, 0);
    assert_true(out.n > 100);
    text_free(&out);
  }
  table_free(t);
  d.in.n_rows = 0;
  assert_int_equal(table_build(&err0, &d.in, &t), E_ARG);
  assert_null(t);
}

/* --- formats --------------------------------------------------------------------------------------------------- */

static int widest(const char *s) {
  int most = 0;
  char line[2048];
  while (*s) {
    size_t n = strcspn(s, "\n");
    snprintf(line, sizeof line, "%.*s", (int)n, s);
    if (text_width(line) > most) most = text_width(line);
    s += n + (s[n] == '\n');
  }
  return most;
}

static void test_terminal(void **state) {
  (void)state;
  table *t = build();
  text narrow = render(t, TABLE_TERMINAL, 80, 0), wide = render(t, TABLE_TERMINAL, 160, 0);
  assert_true(widest(narrow.p) <= 80);
  assert_true(widest(wide.p) <= 160 && widest(wide.p) > 80);
  assert_null(strchr(narrow.p, '\x1b')); /* plain without colour */
  golden("table-80.txt", &narrow);
  golden("table-160.txt", &wide);
  text colour = render(t, TABLE_TERMINAL, 80, 1);
  assert_non_null(strchr(colour.p, '\x1b'));
  assert_non_null(strstr(narrow.p, "*")); /* never by colour alone */
  text_free(&narrow);
  text_free(&wide);
  text_free(&colour);
  table_free(t);
}

/* Braces and environments are balanced outside escapes; no character of markup stands bare in a name. */
static void check_latex(const char *s) {
  int depth = 0, ends = 0;
  for (; *s; s++) {
    if (*s == '\\' && s[1]) {
      ends += strncmp(s, "\\begin{", 7) == 0;
      ends -= strncmp(s, "\\end{", 5) == 0;
      s++;
      continue;
    }
    depth += *s == '{';
    depth -= *s == '}';
    assert_true(depth >= 0 && ends >= 0);
    if (*s == '%') s += strcspn(s, "\n") - 1; /* a comment */
  }
  assert_int_equal(depth, 0);
  assert_int_equal(ends, 0);
}

static void test_latex(void **state) {
  (void)state;
  table *t = build();
  text out = {0};
  GOOD(table_render(&err0, &t, 1, TABLE_LATEX, &(table_style){.standalone = 1, .label = "tab:demo"}, &out));
  golden("table.tex", &out);
  check_latex(out.p);
  assert_null(strstr(out.p, "resizebox"));
  assert_non_null(strstr(out.p, " & {\\textbf{0.169}} & reference"));                       /* best */
  assert_non_null(strstr(out.p, "unlucky & 1$\\times$8$\\times$2 & {\\underline{0.132}}")); /* second */
  assert_non_null(strstr(out.p, "base & 1$\\times$8$\\times$2 & {n/a\\rlap{\\textsuperscript{c}}} &  & 0 & "));
  assert_non_null(strstr(out.p, "{NaN\\rlap{\\textsuperscript{d}}}"));
  assert_non_null(strstr(out.p, "{---}"));
  text_free(&out);
  t->differences = 0;
  GOOD(table_render(&err0, &t, 1, TABLE_LATEX, &(table_style){.caption = "100 % \\sure_"}, &out));
  check_latex(out.p);
  assert_null(strstr(out.p, "{mean} & $-$ ours"));
  assert_null(strstr(out.p, "documentclass"));
  assert_non_null(strstr(out.p, "\\caption{100 \\% \\textbackslash{}sure\\_}"));
  text_free(&out);
  table_free(t);
}

static int occurrences(const char *s, const char *part) {
  int n = 0;
  for (; (s = strstr(s, part)) != NULL; s += strlen(part)) n++;
  return n;
}

static void test_html(void **state) {
  (void)state;
  table *t = build();
  text out = {0};
  GOOD(table_render(&err0, &t, 1, TABLE_HTML, &(table_style){.standalone = 1, .caption = "a <b>"}, &out));
  golden("table.html", &out);
  assert_null(strstr(out.p, "<b>"));
  assert_non_null(strstr(out.p, "<figcaption>a &lt;b&gt;</figcaption>"));
  assert_non_null(strstr(out.p, "odd |name|, &quot;q&quot; &lt;b&gt;"));
  assert_non_null(strstr(out.p, "<td data-v=\"0\">0"));
  assert_non_null(strstr(out.p, "<td>NaN<sup title=\"not finite on 2 of 16 clips\">d</sup>"));
  static const char *const tag[] = {"table", "thead", "tbody", "tr", "td", "th", "sup", "strong", "u", "span", "li"};
  for (size_t i = 0; i < sizeof tag / sizeof tag[0]; i++) {
    char open[16], with[16], shut[16];
    snprintf(open, sizeof open, "<%s>", tag[i]);
    snprintf(with, sizeof with, "<%s ", tag[i]);
    snprintf(shut, sizeof shut, "</%s>", tag[i]);
    assert_true(occurrences(out.p, shut) > 0);
    assert_int_equal(occurrences(out.p, open) + occurrences(out.p, with), occurrences(out.p, shut));
  }
  text_free(&out);
  GOOD(table_render(&err0, &t, 1, TABLE_HTML, &(table_style){.label = "tab"}, &out));
  assert_null(strstr(out.p, "<!DOCTYPE"));
  assert_non_null(strstr(out.p, "<figure class=\"tandem-table\" id=\"tab\">"));
  text_free(&out);
  table_free(t);
}

static void test_escapes(void **state) {
  (void)state;
  static const struct {
    const char *in, *latex, *html;
  } c[] = {
      {"a_b%c&d#e$f", "a\\_b\\%c\\&d\\#e\\$f", "a_b%c&amp;d#e$f"},
      {"{}~^\\", "\\{\\}\\textasciitilde{}\\textasciicircum{}\\textbackslash{}", "{}~^\\"},
      {"<\">'`|", "\\textless{}''\\textgreater{}'\\textasciigrave{}\\textbar{}", "&lt;&quot;&gt;&#39;`|"},
      {"*[x]--y", "{*}{[}x{]}-{}-y", "*[x]--y"},
      {"\xe2\x86\x91\xe2\x86\x93\xe2\x88\x92\xce\xb1", "$\\uparrow$$\\downarrow$$-$$\\alpha$",
       "\xe2\x86\x91\xe2\x86\x93\xe2\x88\x92\xce\xb1"},
      {"\xc3\xa9\xe7\x94\xbb\xf0\x9f\x98\x80", "\xc3\xa9U+753BU+1F600", "\xc3\xa9\xe7\x94\xbb\xf0\x9f\x98\x80"},
      {"a\nb\x7f\xff", "a b ?", "a b \xef\xbf\xbd"},
  };
  for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
    text latex = {0}, html = {0};
    text_add_latex(&latex, c[i].in);
    text_add_html(&html, c[i].in);
    assert_string_equal(latex.p, c[i].latex);
    assert_string_equal(html.p, c[i].html);
    text_free(&latex);
    text_free(&html);
  }
}

static void test_sets(void **state) {
  (void)state;
  table *t = build_with_sets(), *plain = build();
  assert_int_equal(t->n_set_heads, 3);
  /* ours twice, batch, no-rgb-to-alpha, unlucky; the odd one and batch; the last never ran, so every row but the
   * reference waits */
  assert_int_equal(t->n_sets, 5 + 2 + 5);
  const table_set *s = t->sets;
  static const int row[] = {0, 0, 1, 2, 5};
  static const table_null null[] = {NULL_WITHIN, NULL_ABOVE, NULL_NONE, NULL_BELOW, NULL_NONE};
  for (int i = 0; i < 5; i++) {
    assert_int_equal(s[i].row, row[i]);
    assert_int_equal(s[i].null, null[i]);
  }
  assert_int_equal(s[1].train_seed, 1);
  assert_int_equal(s[2].state, TABLE_UNDEFINED);
  assert_int_equal(s[4].state, TABLE_MISSING);
  assert_string_equal(s[4].why, "oom_host");
  assert_string_equal(s[5].why, "of another version");
  assert_int_equal(s[6].null, NULL_ABOVE);
  assert_string_equal(s[7].why, "not run");
  assert_int_equal(t->set_heads[0].decimals, 3);
  /* and nothing else of the table moves */
  for (int64_t i = 0; i < t->n_rows * t->n_columns; i++) {
    assert_int_equal(t->cells[i].state, plain->cells[i].state);
    if (t->cells[i].state == TABLE_VALUE) assert_true(t->cells[i].mean == plain->cells[i].mean);
  }
  table_free(t);
  table_free(plain);
}

static void test_sets_rendered(void **state) {
  static const struct {
    const char *name;
    table_format format;
    int width;
  } form[] = {{"sets-80.txt", TABLE_TERMINAL, 80}, {"sets-200.txt", TABLE_TERMINAL, 200},
              {"sets.md", TABLE_MARKDOWN, 0},      {"sets.csv", TABLE_CSV, 0},
              {"sets.json", TABLE_JSON, 0},        {"sets.tex", TABLE_LATEX, 0},
              {"sets.html", TABLE_HTML, 0}};
  (void)state;
  table *t = build_with_sets();
  for (size_t i = 0; i < sizeof form / sizeof form[0]; i++) {
    text out = render(t, form[i].format, form[i].width, 0);
    if (form[i].width) assert_true(widest(out.p) <= form[i].width);
    golden(form[i].name, &out);
    text_free(&out);
  }
  table_free(t);
}

static void test_markdown(void **state) {
  (void)state;
  table *t = build();
  text out = render(t, TABLE_MARKDOWN, 0, 0);
  golden("table.md", &out);
  assert_non_null(strstr(out.p, "odd \\|name\\|, \"q\" &lt;b>"));
  text_free(&out);
  table_free(t);
}

/* Fields of line `line` into f; returns their number. */
static int csv_line(char *s, int line, const char *f[64]) {
  int n = 0, at = 0;
  char *out = s;
  for (; *s;) {
    f[n++] = out;
    if (*s == '"') {
      for (s++; *s != '"' || s[1] == '"'; s++) {
        if (*s == '"') s++;
        *out++ = *s;
      }
      s++;
    } else {
      while (*s != ',' && *s != '\r') *out++ = *s++;
    }
    char end = *s++;
    *out++ = 0;
    if (end == ',') continue;
    assert_int_equal(*s++, '\n');
    if (at++ == line) return n;
    n = 0;
  }
  return -1;
}

static void test_csv(void **state) {
  (void)state;
  table *t = build();
  const char *f[64], *head[64];
  text out = render(t, TABLE_CSV, 0, 0), copy = {0};
  golden("table.csv", &out);
  text_addn(&copy, out.p, out.n);
  text_add(&copy, "");
  int n = csv_line(out.p, 0, head);
  assert_int_equal(n, 30);
  char *lines = copy.p;
  assert_int_equal(csv_line(lines, 1 + 4 * METRICS, f), n);
  assert_string_equal(head[3], "variant");
  assert_string_equal(f[3], ODD);
  assert_string_equal(f[9], "excluded");
  assert_string_equal(f[10], "");
  text_free(&copy);
  text_free(&out);
  out = render(t, TABLE_CSV, 0, 0);
  assert_int_equal(csv_line(out.p, 1 + 3 * METRICS + 1, f), n);
  assert_string_equal(f[3], "base");
  assert_string_equal(f[4], "rgb_rmse_base");
  assert_string_equal(f[10], "0");
  text_free(&out);
  out = render(t, TABLE_CSV, 0, 0);
  assert_int_equal(csv_line(out.p, 1, f), n);
  assert_true(strtod(f[10], NULL) == cell(t, 0, 0)->mean); /* full precision */
  text_free(&out);
  table_free(t);
}

static void test_json(void **state) {
  (void)state;
  table *t = build();
  text out = render(t, TABLE_JSON, 0, 0);
  golden("table.json", &out);
  json *j = NULL;
  GOOD(json_parse(&err0, "table", out.p, out.n, &j));
  assert_string_equal(json_get(j, "reference")->str, "ours");
  const json *rows = json_get(j, "rows");
  assert_int_equal(json_count(rows), ROWS);
  const json *odd = json_at(rows, 4);
  assert_string_equal(json_get(odd, "variant")->str, ODD);
  const json *c = json_at(json_get(json_at(rows, 1), "cells"), 0);
  assert_true(json_get(c, "mean")->num == cell(t, 1, 0)->mean);
  assert_true(json_get(json_get(c, "to_reference"), "lo")->num == cell(t, 1, 0)->to_reference.lo);
  c = json_at(json_get(json_at(rows, 5), "cells"), 2);
  assert_string_equal(json_get(c, "mean")->str, "inf");
  c = json_at(json_get(json_at(rows, 5), "cells"), 3);
  assert_int_equal(json_get(c, "mean")->type, JSON_NULL);
  assert_string_equal(json_get(c, "state")->str, "not_finite");
  assert_int_equal(json_count(json_get(j, "contrasts")), 2);
  json_free(j);
  text_free(&out);
  table_free(t);
}

static void test_numbers(void **state) {
  (void)state;
  static const struct {
    double v;
    int decimals, plus;
    const char *want;
  } c[] = {{0, 3, 0, "0"},           {-0.0, 3, 1, "0"},        {0.0001, 3, 0, "0.000"},   {-0.0001, 3, 0, "0.000"},
           {-0.0001, 3, 1, "0.000"}, {0.0006, 3, 1, "+0.001"}, {0.125, 2, 0, "0.12"},     {0.375, 2, 0, "0.38"},
           {NAN, 3, 1, "nan"},       {INFINITY, 3, 0, "inf"},  {-INFINITY, 0, 0, "-inf"}, {1234.5, 0, 0, "1234"},
           {1e300, 3, 0, "1e+300"}};
  char s[32];
  for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
    render_number(c[i].v, c[i].decimals, c[i].plus, s);
    assert_string_equal(s, c[i].want);
  }
  render_letter(0, s);
  assert_string_equal(s, "a");
  render_letter(25, s);
  assert_string_equal(s, "z");
  render_letter(26, s);
  assert_string_equal(s, "aa");
  table_format f;
  assert_int_equal(table_format_of(&err0, "md", &f), OK);
  assert_int_equal(f, TABLE_MARKDOWN);
  err0 = (err){0};
  assert_int_equal(table_format_of(&err0, "xls", &f), E_ARG);
  assert_non_null(strstr(err0.text, "csv"));
}

static void test_width(void **state) {
  (void)state;
  assert_int_equal(text_width("abc"), 3);
  assert_int_equal(text_width("\xc3\xa9"), 1);                     /* e acute */
  assert_int_equal(text_width("e\xcc\x81"), 1);                    /* e and a combining acute */
  assert_int_equal(text_width("\xe7\x94\xbb\xf0\x9f\x98\x80"), 4); /* a wide character and an emoji */
  assert_int_equal(text_width("\xff\xfe"), 2);
  static const struct {
    const char *s;
    int width, right;
    const char *want;
  } c[] = {{"ab", 4, 0, "ab  "},
           {"ab", 4, 1, "  ab"},
           {"abcdef", 4, 0, "abc\xe2\x80\xa6"},
           {"\xe7\x94\xbb\xe7\x94\xbb", 3, 0, "\xe7\x94\xbb\xe2\x80\xa6"},
           {"a\nb\x1b[1m", 6, 0, "a?b?[1m"},
           {"a\xff", 3, 0, "a? "},
           {"abc", 0, 0, ""}};
  for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
    text t = {0};
    text_add_cell(&t, c[i].s, c[i].width, c[i].right);
    text_add(&t, "");
    if (i == 4) {
      assert_string_equal(t.p, "a?b?[\xe2\x80\xa6");
    } else {
      assert_string_equal(t.p ? t.p : "", c[i].want);
    }
    text_free(&t);
  }
}

/* --- contact sheets --------------------------------------------------------------------------------------------
 */

static void make_clip(clip *c, int alpha, clip_colour colour) {
  GOOD(clip_new(&err0, 5, 16, 24, alpha, c));
  c->colour = colour;
  c->fps = 8;
  int64_t n = (int64_t)c->frames * c->height * c->width;
  for (int64_t i = 0; i < n; i++) {
    for (int k = 0; k < 3; k++) c->rgb[3 * i + k] = (float)((i * 7 + k * 50) % 256) / 255;
    if (alpha) c->alpha[i] = (float)(i % 5) / 4;
  }
}

static void test_checker(void **state) {
  (void)state;
  clip c;
  make_clip(&c, 1, CLIP_STRAIGHT);
  float over[16 * 24 * 3];
  for (int i = 0; i < 16 * 24 * 3; i++) over[i] = NAN;
  contact_over_checker(&c, 1, 2, over);
  const int64_t at = 16 * 24; /* first pixel of frame 1 */
  assert_true(fabsf(over[0] - (c.alpha[at] * c.rgb[3 * at] + (1 - c.alpha[at]) * .85f)) < 1e-6f);
  assert_true(fabsf(over[3 * 2 + 1] - (c.alpha[at + 2] * c.rgb[3 * (at + 2) + 1] + (1 - c.alpha[at + 2]) * .6f)) <
              1e-6f);
  for (int i = 0; i < 16 * 24 * 3; i++)
    if (isnan(over[i])) fail();
  c.colour = CLIP_PREMULTIPLIED;
  contact_over_checker(&c, 1, 2, over);
  assert_true(fabsf(over[0] - (c.rgb[3 * at] + (1 - c.alpha[at]) * .85f)) < 1e-6f);
  clip_free(&c);
}

/* A square of colour, and a matte of the same square or of one elsewhere. */
static void square(clip *c, int frame, int y0, int x0, int ay, int ax) {
  for (int i = 0; i < c->height * c->width; i++) {
    int y = i / c->width, x = i % c->width;
    int64_t at = (int64_t)frame * c->height * c->width + i;
    for (int k = 0; k < 3; k++) c->rgb[3 * at + k] = y >= y0 && y < y0 + 6 && x >= x0 && x < x0 + 6 ? .9f : .1f;
    c->alpha[at] = y >= ay && y < ay + 6 && x >= ax && x < ax + 6 ? 1 : 0;
  }
}

/* Pixels of the outline that are green, and red. */
static void colours(const float *p, int64_t n, int *green, int *red) {
  *green = *red = 0;
  for (int64_t i = 0; i < n; i++) {
    if (p[3 * i + 2] != .1f) continue;
    *green += p[3 * i + 1] > .5f, *red += p[3 * i] > .8f;
  }
}

static void test_outline(void **state) {
  (void)state;
  clip c;
  double edge;
  int green, red;
  float out[16 * 24 * 3];
  make_clip(&c, 1, CLIP_DECODED);
  for (int t = 0; t < c.frames; t++) square(&c, t, 4, 4, 4, 4);
  GOOD(contact_edge(&err0, &c, &edge));
  assert_true(edge > .7 && edge < .9);
  contact_outline(&c, 2, .5, edge, out);
  colours(out, 16 * 24, &green, &red);
  assert_true(green > 20 && red == 0);
  square(&c, 2, 4, 4, 4, 14); /* the matte of another place */
  contact_outline(&c, 2, .5, edge, out);
  colours(out, 16 * 24, &green, &red);
  assert_true(green == 0 && red > 20);
  clip_free(&c);
}

/* Alpha changes most from frame 2 to 3, then from 0 to 1: one frame shows 3, two show 1 and 3. */
static void test_motion(void **state) {
  (void)state;
  scratch_open();
  clip c, png;
  make_clip(&c, 1, CLIP_DECODED);
  static const int at[] = {2, 4, 4, 14, 14};
  for (int t = 0; t < c.frames; t++) square(&c, t, 4, at[t], 4, at[t]);
  const clip *clips[] = {&c};
  const char *row[] = {"a"}, *column[] = {"b"}, *path = scratch_path(0, "motion.png");
  contact_input in = {.rows = row,
                      .columns = column,
                      .n_rows = 1,
                      .n_columns = 1,
                      .clips = clips,
                      .frames = 2,
                      .rule = CONTACT_MOTION,
                      .scale = 1,
                      .planes = CONTACT_ALPHA};
  GOOD(contact_write(&err0, &in, path));
  GOOD(video_read(&err0, path, NULL, &png));
  int x1 = png.width - 24, y = png.height - 16 + 6; /* tiles are a pixel apart and end at the lower right */
  assert_true(png.rgb[3 * (y * png.width + x1 + 15)] > .9f && png.rgb[3 * (y * png.width + x1 + 5)] < .1f);
  assert_true(png.rgb[3 * (y * png.width + x1 - 25 + 5)] > .9f);
  assert_true(png.rgb[3 * (y * png.width + x1 - 25 + 15)] < .1f);
  clip_free(&png);
  clip_free(&c);
  scratch_close();
}

static void test_planes(void **state) {
  (void)state;
  unsigned planes;
  GOOD(contact_planes(&err0, "outline,rgb", &planes));
  assert_int_equal(planes, CONTACT_RGB | CONTACT_OUTLINE);
  assert_int_equal(contact_planes(&err0, "rgb,alfa", &planes), E_ARG);
  assert_non_null(strstr(err0.text, "'alfa'"));
  err0 = (err){0};
  assert_int_equal(contact_planes(&err0, "", &planes), E_ARG);
}

static void test_contact(void **state) {
  (void)state;
  scratch_open();
  clip a, b;
  make_clip(&a, 1, CLIP_DECODED);
  make_clip(&b, 0, CLIP_DECODED);
  const clip *clips[4] = {&a, NULL, &b, &a};
  const char *rows[] = {"ours", "base | \xc3\xa9"}, *columns[] = {"solid red circle", "a prompt / with \"things\""};
  contact_input in = {.rows = rows,
                      .columns = columns,
                      .n_rows = 2,
                      .n_columns = 2,
                      .clips = clips,
                      .frames = 3,
                      .scale = 1,
                      .planes = CONTACT_USUAL};
  const char *path = scratch_path(0, "sheet.png"), *again = scratch_path(1, "again.png");
  char x[HASH_HEX], y[HASH_HEX];
  GOOD(contact_write(&err0, &in, path));
  GOOD(contact_write(&err0, &in, again));
  GOOD(hash_file(&err0, path, x));
  GOOD(hash_file(&err0, again, y));
  assert_string_equal(x, y);
  clip png;
  GOOD(video_read(&err0, path, NULL, &png));
  assert_true(png.width > 6 * 24 && png.height > 6 * 16);
  /* the picture's lower right tile is the last frame of `a` over the checker */
  float over[16 * 24 * 3];
  contact_over_checker(&a, 4, 2, over);
  int found = 0;
  for (int oy = 0; oy <= 2 && !found; oy++)
    for (int ox = 0; ox <= 2 && !found; ox++) {
      int y0 = png.height - 16 - oy, x0 = png.width - 24 - ox, same = 1;
      for (int i = 0; i < 16 * 24 && same; i++)
        for (int k = 0; k < 3; k++) {
          float got = png.rgb[3 * ((y0 + i / 24) * png.width + x0 + i % 24) + k];
          same = same && fabsf(got - over[3 * i + k]) < .003f;
        }
      found = same;
    }
  assert_true(found);
  clip_free(&png);
  in.planes = CONTACT_ALL;
  GOOD(contact_write(&err0, &in, path));
  GOOD(video_read(&err0, path, NULL, &png));
  assert_true(png.height > 10 * 16);
  clip_free(&png);
  in.frames = 1;
  in.planes = CONTACT_ALPHA;
  GOOD(contact_write(&err0, &in, path));
  clips[0] = clips[2] = clips[3] = NULL;
  err0 = (err){0};
  assert_int_equal(contact_write(&err0, &in, path), E_ARG);
  clip_free(&a);
  clip_free(&b);
  make_clip(&a, 1, CLIP_DECODED);
  GOOD(clip_new(&err0, 5, 8, 8, 1, &b));
  clips[0] = &a, clips[1] = &b;
  err0 = (err){0};
  assert_int_equal(contact_write(&err0, &in, path), E_SHAPE);
  clip_free(&a);
  clip_free(&b);
  scratch_close();
}

/* The plain table of a study. */
static int study_table(err *e, store *s, const study *st, const stats_options *stats, table **out) {
  study_source src;
  int rc = study_source_open(e, s, st, stats, &src);
  if (rc != OK) return rc;
  rc = table_build(e, &src.in, out);
  study_source_close(&src);
  return rc;
}

/* --- a study, from its file through a store to its table -------------------------------------------------------
 */

static int sha_of_path(void *user, err *e, const char *path, char hex[HASH_HEX]) {
  (void)user;
  return hash_bytes(e, path, strlen(path), hex);
}

/* Stands in for the stages: a clip for a sample, numbers for a score. */
static void do_job(store *s, const study *st, const store_job *j) {
  store_artifact a = {"clip", "clip", "", 0, NULL};
  store_measure m[16] = {{0}};
  char sha[HASH_HEX], path[STORE_PATH];
  store_result r = {.usage = {-1, -1, -1, -1}, .now_ms = 2};
  if (j->stage == STAGE_SAMPLE) {
    clip c;
    make_clip(&c, 1, CLIP_DECODED);
    c.rgb[0] = (float)(j->attempt_id % 200) / 255;
    GOOD(object_temp(s, &err0, ".mkv", path));
    GOOD(video_write(&err0, path, &c, NULL));
    GOOD(object_adopt(s, &err0, path, sha, &a.bytes));
    a.sha256 = sha;
    r.artifacts = &a, r.n_artifacts = 1;
    clip_free(&c);
  } else if (j->stage == STAGE_SCORE) {
    r.measures = m, r.n_measures = st->n_metrics;
    for (int i = 0; i < st->n_metrics; i++)
      m[i] = (store_measure){.metric = st->metrics[i].id,
                             .version = st->metrics[i].request.metric->version,
                             .scope = "video",
                             .idx = -1,
                             .value = .01 * (double)(j->key[0] % 16),
                             .reason = j->key[1] < '4' ? "empty_alpha" : NULL,
                             .n = 9};
  }
  GOOD(store_finish(s, &err0, j->attempt_id, &r));
}

static void test_study(void **state) {
  (void)state;
  const char *root = getenv("TANDEM_SOURCE");
  char file[600], home[600];
  if (!root) skip();
  snprintf(file, sizeof file, "%s/configs/studies/smoke.json", root);
  snprintf(home, sizeof home, "%s/configs", root);
  problems p = {0};
  study *st = NULL;
  plan *pl = NULL;
  store *s = NULL;
  table *t = NULL;
  int64_t id, shown;
  GOOD(study_load(&err0, &(study_input){.file = file, .home = home}, &p, &st));
  GOOD(plan_make(&err0, st, &(plan_source){sha_of_path, NULL}, &p, &pl));
  scratch_open();
  GOOD(store_open(&err0, scratch_path(0, "st"), STORE_CREATE, &s));
  stats_options stats = stats_defaults(1);
  stats.bootstrap.replicates = 200;
  err0 = (err){0};
  assert_int_equal(study_table(&err0, s, st, &stats, &t), E_STORE); /* not registered yet */
  GOOD(store_register_plan(s, &err0, st, pl, 1, &id));
  GOOD(study_table(&err0, s, st, &stats, &t));
  assert_int_equal(t->rows[0].scored, 0);
  assert_true(has_note(t, t->rows[0].note, t->rows[0].n_notes, "4 of 4 clips are missing (waiting 4)"));
  table_free(t);

  const char *png = scratch_path(1, "sheet.png");
  contact_choice choice = {0};
  err0 = (err){0};
  assert_int_equal(contact_study(&err0, s, st, pl, &choice, png, &shown), E_ARG);
  int64_t ran = 0;
  for (;;) {
    store_jobs j;
    store_want w = {
        .study_id = id, .owner = "test", .now_ms = 1, .lease_ms = 1000, .pack_role = "adapter", .max_cells = 8};
    GOOD(store_claim(s, &err0, &w, &j));
    for (int64_t i = 0; i < j.n; i++) do_job(s, st, &j.at[i]);
    ran += j.n;
    int64_t n = j.n;
    store_jobs_free(&j);
    if (!n) break;
  }
  assert_int_equal(ran, pl->n);
  /* the same plan again: everything is a hit */
  GOOD(store_register_plan(s, &err0, st, pl, 9, &id));
  store_counts c;
  GOOD(store_status(s, &err0, id, 9, &c));
  for (int i = 0; i < STAGE_COUNT; i++) assert_int_equal(c.n[i][CELL_DONE], pl->count[i]);
  GOOD(study_table(&err0, s, st, &stats, &t));
  assert_int_equal(t->n_rows, st->n_rows);
  for (int64_t r = 0; r < t->n_rows; r++) assert_int_equal(t->rows[r].scored, 4);
  assert_string_equal(t->reference, "ours");
  assert_int_equal(t->columns[0].primary, 1);
  text out = render(t, TABLE_TERMINAL, 80, 0);
  assert_non_null(strstr(out.p, "true_iou_gain"));
  text_free(&out);
  table_free(t);
  GOOD(contact_study(&err0, s, st, pl, &choice, png, &shown));
  assert_int_equal(shown, st->n_rows * 2); /* two prompts have points */
  choice.prompts = (const char *const[]){"out-01"};
  choice.n_prompts = 1;
  GOOD(contact_study(&err0, s, st, pl, &choice, png, &shown));
  assert_int_equal(shown, st->n_rows);
  choice.prompts = (const char *const[]){"nonsense"};
  err0 = (err){0};
  assert_int_equal(contact_study(&err0, s, st, pl, &choice, png, &shown), E_ARG);
  store_close(s);
  scratch_close();
  plan_free(pl);
  study_free(st);
  problems_free(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_model),         cmocka_unit_test(test_best),        cmocka_unit_test(test_notes),
      cmocka_unit_test(test_two_trainings), cmocka_unit_test(test_nothing_yet), cmocka_unit_test(test_terminal),
      cmocka_unit_test(test_markdown),      cmocka_unit_test(test_csv),         cmocka_unit_test(test_json),
      cmocka_unit_test(test_latex),         cmocka_unit_test(test_html),        cmocka_unit_test(test_escapes),
      cmocka_unit_test(test_numbers),       cmocka_unit_test(test_width),       cmocka_unit_test(test_checker),
      cmocka_unit_test(test_contact),       cmocka_unit_test(test_outline),     cmocka_unit_test(test_motion),
      cmocka_unit_test(test_planes),        cmocka_unit_test(test_study),       cmocka_unit_test(test_sets),
      cmocka_unit_test(test_sets_rendered),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
