/* What tables show: axes, filters, groups, labels; table specs; the way back from a cell; numbers for prose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/json.h"
#include "report/projection.h"
#include "report/render.h"
#include "report/table_cells.h"
#include "report/table_spec.h"
#include "scratch.h"

static err err0;
#define GOOD(call)                                                                                                   \
  do {                                                                                                               \
    err0 = (err){0};                                                                                                 \
    if ((call) != OK) fail_msg("%s: %s", #call, err0.text);                                                          \
  } while (0)

enum { ROWS = 5, METRICS = 3, PROMPTS = 8, TRAINS = 2, SAMPLES = 2, CLIPS = PROMPTS * TRAINS * SAMPLES };

/* A name with every character that some format or the grammar itself could take for its own. */
#define HOSTILE "x=_%&#${}~^\\ \"<b>*|"
static const char *const row_name[ROWS] = {"ours", "ours+train.rank=4", "batch", "base", HOSTILE};
static const char *const prompt_id[PROMPTS] = {"in-1", "in-2", "in-3", "out-1", "out-2", "out-3", "out-4", "out-5"};
static const char *const category[PROMPTS] = {"in", "in", "in", "out", "out", "out", "out", ""};
static const char *const settings[] = {"train.rank", "train.lr"};
static const char *const values[ROWS * 2] = {"16", "0.004", "4", "0.004", "16", "0.004", "16", "0.004", "16", "0.01"};
static const table_metric metrics[METRICS] = {{"iou:sigma=1.5", 1, METRIC_UP, "1", 1},
                                              {"rmse_base", 2, METRIC_DOWN, "dB", 1},
                                              {"ratio", 1, METRIC_NONE, "", 0}};

typedef struct data {
  table_input in;
  table_source src;
  table_point point[ROWS * CLIPS];
  store_score score[ROWS * CLIPS * METRICS];
  char key[ROWS * CLIPS][HASH_HEX];
  table_excluded excluded[1];
  table_wish contrast[1];
} data;

static double jitter(int64_t a, int64_t b) {
  return (double)((a * a * 7 + b * 13 + a * b) % 11) - 5;
}

static void add_clip(data *d, int r, int p, int t, int s) {
  static const double level[ROWS] = {.3, .2, .1, 0, .05};
  int64_t index = d->in.n_points;
  int64_t train = r == 3 ? SEED_NONE : 10 + t;
  d->point[d->in.n_points++] = (table_point){r, prompt_id[p], train, s};
  snprintf(d->key[index], HASH_HEX, "%064llx", (long long)index + 1);
  for (int m = 0; m < METRICS; m++)
    d->score[d->in.n_scores++] = (store_score){.key = d->key[index],
                                               .variant = row_name[r],
                                               .prompt_id = prompt_id[p],
                                               .train_seed = train,
                                               .sample_seed = s,
                                               .metric = metrics[m].id,
                                               .version = metrics[m].version,
                                               .backdrop = "",
                                               .value = r == 3 && m == 1 ? 0 : level[r] + .002 * jitter(index, m),
                                               .n = 1};
}

static data *make(void) {
  static data d;
  d = (data){0};
  for (int r = 0; r < ROWS; r++)
    for (int p = 0; p < PROMPTS; p++)
      for (int t = 0; t < (r == 3 ? 1 : TRAINS); t++)
        for (int s = 0; s < SAMPLES; s++) add_clip(&d, r, p, t, s);
  d.contrast[0] = (table_wish){0, 2, 0};
  d.in.study = "syn";
  d.in.spec_sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
  d.in.rows = row_name, d.in.n_rows = ROWS;
  d.in.metrics = metrics, d.in.n_metrics = METRICS;
  d.in.points = d.point, d.in.scores = d.score;
  d.in.excluded = d.excluded;
  d.in.contrasts = d.contrast, d.in.n_contrasts = 1;
  d.in.stats = stats_defaults(1);
  d.in.stats.bootstrap.replicates = 300;
  d.src = (table_source){.in = &d.in,
                         .prompts = prompt_id,
                         .categories = category,
                         .n_prompts = PROMPTS,
                         .settings = settings,
                         .n_settings = 2,
                         .setting_values = values};
  return &d;
}

typedef struct wanted {
  const char *rows, *columns, *split, *filter;
} wanted;

static int project(const data *d, wanted w, projection *p, tables *out) {
  int rc = OK;
  err0 = (err){0};
  if (w.rows) TRY(projection_axis_parse(&err0, &d->src, w.rows, &p->rows));
  if (w.columns) TRY(projection_axis_parse(&err0, &d->src, w.columns, &p->columns));
  if (w.split) TRY(projection_axis_parse(&err0, &d->src, w.split, &p->split));
  if (w.filter) TRY(projection_filter(&err0, w.filter, p));
  TRY(projection_complete(&err0, &d->src, p));
  TRY(tables_project(&err0, &d->src, p, out));
out:
  return rc;
}

static tables show(const data *d, wanted w) {
  projection p = {0};
  tables t = {0};
  if (project(d, w, &p, &t) != OK) fail_msg("%s", err0.text);
  projection_free(&p);
  return t;
}

static const table_cell *cell(const table *t, int64_t r, int64_t c) {
  return &t->cells[r * t->n_columns + c];
}

static int has_remark(const table *t, const char *part) {
  for (int64_t i = 0; i < t->n_remarks; i++)
    if (strstr(t->remarks[i], part)) return 1;
  return 0;
}

/* --- grammar --------------------------------------------------------------------------------------------------- */

static void test_values(void **state) {
  (void)state;
  projection p = {0};
  data *d = make();
  GOOD(projection_axis_parse(&err0, &d->src, "variant@( batch=\"Batch ext.\" ours+train.rank=4=\"R=4\" ours )",
                             &p.rows));
  assert_int_equal(p.rows.n, 1);
  const projection_key *k = &p.rows.key[0];
  assert_int_equal(k->n, 3);
  assert_string_equal(k->value[0].name, "batch");
  assert_string_equal(k->value[0].label, "Batch ext.");
  assert_string_equal(k->value[1].name, "ours+train.rank=4"); /* the longest value that the study knows */
  assert_string_equal(k->value[1].label, "R=4");
  assert_null(k->value[2].label);
  GOOD(projection_axis_parse(&err0, &d->src, "category, metric@(iou:sigma=1.5 *)", &p.columns));
  assert_int_equal(p.columns.n, 2);
  assert_int_equal(p.columns.key[0].n, 3); /* in, out, none */
  assert_string_equal(p.columns.key[0].value[2].name, "none");
  assert_int_equal(p.columns.key[1].n, METRICS);
  assert_string_equal(p.columns.key[1].value[1].name, "rmse_base");
  projection_free(&p);
  static const struct {
    const char *axis, *says;
  } bad[] = {
      {"vriant", "did you mean 'variant'"},
      {"train.rnk", "did you mean 'train.rank'"},
      {"variant@(ors)", "did you mean 'ours'"},
      {"variant@(ors=Ours)", "value 'ors'"},
      {"variant@ours", "in brackets"},
      {"variant@(ours", "has no end"},
      {"variant@()", "empty"},
      {"variant@(ours ours)", "given twice"},
      {"variant@(ours=\"x)", "quote has no end"},
      {"", "no key"},
      {"(ours)", "does not begin with a key"},
      {"variant prompt category train_seed sample_seed", "at most 4"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    projection_axis a = {0};
    projection q = {0};
    err0 = (err){0};
    assert_int_equal(projection_axis_parse(&err0, &d->src, bad[i].axis, &a), E_CONFIG);
    if (!strstr(err0.text, bad[i].says)) fail_msg("'%s' says: %s", bad[i].axis, err0.text);
    q.rows = a;
    projection_free(&q);
  }
}

static void test_fit(void **state) {
  (void)state;
  static const struct {
    wanted w;
    const char *says;
  } bad[] = {
      {{.rows = "metric"}, "metrics stand in columns"},
      {{.columns = "variant"}, "used twice"},
      {{.rows = "category", .columns = "variant"}, "want the key 'metric'"},
      {{.split = "variant"}, "used twice"},
      {{.filter = "prompt=none-such"}, "leaves no clip"},
      {{.filter = "promt=x"}, "prompt"},
      {{.rows = "category@(in)", .filter = "prompt~out"}, "no clip that this table shows"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    projection p = {0};
    tables t = {0};
    int rc = project(make(), bad[i].w, &p, &t);
    assert_true(rc == E_CONFIG || rc == E_ARG);
    if (!strstr(err0.text, bad[i].says)) fail_msg("%zu says: %s", i, err0.text);
    projection_free(&p);
    tables_free(&t);
  }
}

/* --- what is shown --------------------------------------------------------------------------------------------- */

static void test_plain(void **state) {
  (void)state;
  data *d = make();
  table *whole = NULL;
  GOOD(table_build(&err0, &d->in, &whole));
  tables t = show(d, (wanted){0});
  assert_int_equal(t.n, 1);
  assert_int_equal(t.at[0]->n_rows, ROWS);
  assert_int_equal(t.at[0]->n_columns, METRICS);
  for (int64_t i = 0; i < ROWS * METRICS; i++) {
    assert_true(t.at[0]->cells[i].mean == whole->cells[i].mean);
    assert_true(memcmp(&t.at[0]->cells[i].to_reference.lo, &whole->cells[i].to_reference.lo, sizeof(double)) == 0);
    assert_int_equal(t.at[0]->cells[i].best, whole->cells[i].best);
  }
  text a = {0}, b = {0};
  GOOD(table_render(&err0, &whole, 1, TABLE_CSV, &(table_style){0}, &a));
  GOOD(table_render(&err0, t.at, 1, TABLE_CSV, &(table_style){0}, &b));
  assert_string_equal(a.p, b.p);
  text_free(&a);
  text_free(&b);
  tables_free(&t);
  table_free(whole);
}

/* Showing less: order and labels as asked, marks among what is shown, tests of the family that was declared. */
static void test_selection(void **state) {
  (void)state;
  data *d = make();
  tables all = show(d, (wanted){0});
  tables t = show(
      d, (wanted){.rows = "variant@(batch=Batch ours base)", .columns = "metric@(rmse_base=RMSE iou:sigma=1.5)"});
  const table *x = t.at[0];
  assert_int_equal(x->n_rows, 3);
  assert_int_equal(x->n_columns, 2);
  assert_string_equal(x->rows[0].name, "batch");
  assert_string_equal(x->rows[0].label, "Batch");
  assert_string_equal(x->columns[0].label, "RMSE \xe2\x86\x93 (dB)");
  assert_string_equal(x->columns[0].id, "rmse_base");
  assert_string_equal(x->reference, "ours");
  assert_true(x->rows[1].reference && cell(x, 1, 0)->reference && !cell(x, 0, 0)->reference);
  assert_true(cell(x, 0, 1)->mean == cell(all.at[0], 2, 0)->mean);
  assert_true(cell(x, 0, 1)->to_reference.p_holm == cell(all.at[0], 2, 0)->to_reference.p_holm);
  assert_true(cell(x, 0, 1)->to_reference.p_holm > cell(x, 0, 1)->to_reference.p);
  assert_int_equal(cell(x, 1, 1)->best, 1);
  assert_int_equal(cell(x, 0, 1)->second, 1);
  assert_int_equal(x->n_contrasts, 1);
  assert_string_equal(x->rows[x->contrasts[0].row].name, "batch");
  tables_free(&t);
  /* without the best row, the next one is the best of those shown */
  assert_int_equal(cell(all.at[0], 1, 0)->best, 0);
  t = show(d, (wanted){.rows = "variant@(ours+train.rank=4 batch base)"});
  assert_int_equal(cell(t.at[0], 0, 0)->best, 1);
  assert_int_equal(t.at[0]->n_contrasts, 0);
  tables_free(&t);
  tables_free(&all);
}

/* Means over the clips of a group only, compared within it. */
static void test_groups(void **state) {
  (void)state;
  data *d = make();
  tables t = show(d, (wanted){.rows = "category variant@(ours batch)"});
  const table *x = t.at[0];
  assert_int_equal(x->n_rows, 6);
  assert_string_equal(x->rows[2].over, "out");
  assert_string_equal(x->rows[2].label, "ours");
  assert_int_equal(x->rows[2].prompts, 4);
  assert_int_equal(x->rows[2].planned, 4 * TRAINS * SAMPLES);
  double sum = 0;
  int n = 0;
  for (int64_t i = 0; i < d->in.n_scores; i++)
    if (strcmp(d->score[i].variant, "batch") == 0 && strncmp(d->score[i].prompt_id, "in", 2) == 0 &&
        strcmp(d->score[i].metric, "rmse_base") == 0)
      sum += d->score[i].value, n++;
  assert_int_equal(n, 3 * TRAINS * SAMPLES);
  assert_true(fabs(cell(x, 1, 1)->mean - sum / n) < 1e-12);
  assert_int_equal(cell(x, 1, 1)->to_reference.pairs, n);
  assert_int_equal(cell(x, 1, 1)->n_keys, n);
  assert_int_equal(x->n_contrasts, 0);
  assert_true(has_remark(x, "in: values are means over 3 prompts"));
  assert_true(has_remark(x, "metric versions"));
  tables_free(&t);
  /* the same numbers as columns, and as tables of their own */
  tables columns = show(d, (wanted){.rows = "category", .columns = "variant@(ours batch) metric@(rmse_base)"});
  x = columns.at[0];
  assert_int_equal(x->n_rows, 3);
  assert_int_equal(x->n_columns, 2);
  assert_string_equal(x->columns[1].variant, "batch");
  assert_string_equal(x->columns[1].over, "batch");
  assert_string_equal(x->stub, "category");
  assert_true(fabs(cell(x, 0, 1)->mean - sum / n) < 1e-12);
  assert_true(cell(x, 0, 0)->reference);
  tables_free(&columns);
  tables split = show(d, (wanted){.split = "category"});
  assert_int_equal(split.n, 3);
  assert_string_equal(split.at[0]->part, "category: in");
  assert_true(fabs(cell(split.at[0], 2, 1)->mean - sum / n) < 1e-12);
  tables_free(&split);
}

/* The base model has no train seed: its clips pair with those of each. */
static void test_train_seeds(void **state) {
  (void)state;
  tables t = show(make(), (wanted){.split = "train_seed"});
  assert_int_equal(t.n, 2);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(t.at[i]->n_rows, ROWS);
    assert_int_equal(t.at[i]->rows[3].planned, PROMPTS * SAMPLES);
    assert_int_equal(cell(t.at[i], 3, 0)->to_reference.pairs, PROMPTS * SAMPLES);
  }
  assert_string_equal(t.at[1]->part, "train_seed 11");
  tables_free(&t);
}

static void test_filter(void **state) {
  (void)state;
  tables t = show(make(), (wanted){.filter = "prompt~in- sample_seed=0 !variant=base"});
  const table *x = t.at[0];
  assert_int_equal(x->n_rows, ROWS - 1);
  assert_int_equal(x->rows[0].planned, 3 * TRAINS);
  assert_true(has_remark(x, "filtered: 24 of the study's 144 clips"));
  tables_free(&t);
}

/* A cell over several variants says so, and over what else; each clip of each counts once. */
static void test_hidden(void **state) {
  (void)state;
  tables t = show(make(), (wanted){.rows = "train.rank", .filter = "!variant=base"});
  const table *x = t.at[0];
  assert_int_equal(x->n_rows, 2);
  assert_string_equal(x->rows[0].label, "train.rank 16");
  assert_int_equal(x->rows[0].planned, 3 * CLIPS);
  assert_int_equal(cell(x, 0, 0)->defined, 3 * CLIPS);
  assert_true(fabs(cell(x, 0, 0)->mean - (.3 + .1 + .05) / 3) < .01);
  assert_null(x->reference);
  assert_int_equal(x->rows[0].n_notes, 1);
  const char *note = x->notes[x->rows[0].note[0]];
  assert_non_null(strstr(note, "averages over variant (ours, batch, "));
  assert_non_null(strstr(note, "train.lr (0.004, 0.01)"));
  assert_null(strstr(note, "train.rank"));
  assert_int_equal(x->rows[1].n_notes, 0); /* one variant: nothing hidden */
  tables_free(&t);
}

/* A combination that the study does not have is a dash with a footnote, an empty row is none at all. */
static void test_absent(void **state) {
  (void)state;
  tables t = show(make(), (wanted){.rows = "variant", .columns = "train.rank metric@(ratio)"});
  const table *x = t.at[0];
  assert_int_equal(x->n_rows, ROWS);
  assert_int_equal(x->n_columns, 2);
  assert_int_equal(cell(x, 0, 1)->state, TABLE_EXCLUDED);
  assert_string_equal(x->notes[cell(x, 0, 1)->note[0]], "the study has no such clips");
  assert_int_equal(cell(x, 1, 1)->state, TABLE_VALUE);
  char s[32];
  render_value(cell(x, 0, 1), 3, s);
  assert_string_equal(s, "\xe2\x80\x94");
  tables_free(&t);
}

/* Excluded clips keep their reason, missing ones theirs, in the groups they belong to. */
static void test_reasons(void **state) {
  (void)state;
  data *d = make();
  d->excluded[0] = (table_excluded){2, "does not fit", "in-1", 10, 0};
  d->in.n_excluded = 1;
  int64_t kept = 0;
  for (int64_t i = 0; i < d->in.n_scores; i++)
    if (strcmp(d->score[i].variant, "ours") != 0 || strcmp(d->score[i].prompt_id, "out-1") != 0)
      d->score[kept++] = d->score[i];
  assert_int_equal(d->in.n_scores - kept, METRICS * TRAINS * SAMPLES);
  d->in.n_scores = kept;
  store_fact retried[] = {{NULL, "batch", 2}};
  for (int64_t i = 0; i < d->in.n_points; i++)
    if (d->point[i].row == 2 && strcmp(d->point[i].prompt, "in-2") == 0) retried[0].name = d->key[i];
  d->in.retried = retried, d->in.n_retried = 1;
  tables t = show(d, (wanted){.split = "category"});
  assert_true(t.at[0]->rows[2].retried && has_remark(t.at[0], "1 clips needed more than one attempt"));
  assert_false(t.at[1]->rows[2].retried);
  assert_int_equal(t.at[0]->rows[0].n_notes, 0);
  assert_non_null(strstr(t.at[0]->notes[t.at[0]->rows[2].note[0]], "does not fit 1"));
  assert_non_null(strstr(t.at[1]->notes[t.at[1]->rows[0].note[0]], "4 of 16 clips are missing (not run 4)"));
  assert_int_equal(t.at[1]->rows[2].n_notes, 0);
  tables_free(&t);
}

/* Hostile names in every format, twice: the same bytes. */
static void test_formats(void **state) {
  (void)state;
  for (table_format f = 0; f < TABLE_FORMATS; f++) {
    text out[2] = {{0}};
    for (int i = 0; i < 2; i++) {
      tables t = show(make(), (wanted){.split = "category", .columns = "sample_seed metric"});
      GOOD(table_render(&err0, t.at, t.n, f, &(table_style){.width = 100, .standalone = 1}, &out[i]));
      tables_free(&t);
    }
    assert_true(out[0].n > 1000);
    assert_string_equal(out[0].p, out[1].p);
    json *j = NULL;
    if (f == TABLE_JSON) {
      GOOD(json_parse(&err0, "tables", out[0].p, out[0].n, &j));
      assert_int_equal(json_count(j), 3);
      assert_string_equal(json_get(json_at(json_get(json_at(j, 0), "rows"), 4), "variant")->str, HOSTILE);
      json_free(j);
    }
    if (f == TABLE_LATEX)
      assert_non_null(strstr(out[0].p,
                             "x=\\_\\%\\&\\#\\$\\{\\}\\textasciitilde{}\\textasciicircum{}\\textbackslash{} "
                             "''\\textless{}b\\textgreater{}{*}\\textbar{}"));
    if (f == TABLE_HTML) assert_non_null(strstr(out[0].p, "x=_%&amp;#${}~^\\ &quot;&lt;b&gt;*|"));
    if (f == TABLE_MARKDOWN) assert_non_null(strstr(out[0].p, "x=\\_%&amp;\\#$\\{\\}\\~^\\\\ \"&lt;b>\\*\\|"));
    text_free(&out[0]);
    text_free(&out[1]);
  }
}

/* --- specs ----------------------------------------------------------------------------------------------------- */

static const char spec_example[] = "{\n"
                                   "  \"schema\": 1,\n"
                                   "  \"//\": \"a comment\",\n"
                                   "  \"rows\": \"variant@(ours=Ours batch)\",\n"
                                   "  \"columns\": \"metric@(rmse_base iou:sigma=1.5)\",\n"
                                   "  \"filter\": \"prompt~in\",\n"
                                   "  \"labels\": {\"rmse_base\": \"Error\", \"ours\": \"not used\"},\n"
                                   "  \"caption\": \"100 %\", \"label\": \"tab:main\",\n"
                                   "  \"precision\": {\"rmse_base\": 1},\n"
                                   "  \"marks\": [\"best\"], \"differences\": false,\n"
                                   "  \"footnotes\": [\"Note.\"],\n"
                                   "  \"output\": [\"sub/tab.tex\", \"tab.md\"]\n"
                                   "}\n";

static void test_spec(void **state) {
  (void)state;
  data *d = make();
  problems p = {0};
  table_spec s = {0};
  tables t = {0};
  char want[1024];
  scratch_open();
  scratch_write("t.json", spec_example);
  const char *path = scratch_path(0, "t.json");
  GOOD(table_spec_read(&err0, path, &d->src, &p, &s));
  assert_int_equal(s.n_outputs, 2);
  snprintf(want, sizeof want, "%s", scratch_path(1, "sub/tab.tex"));
  assert_string_equal(s.output[0], want);
  assert_string_equal(s.caption, "100 %");
  assert_string_equal(s.label, "tab:main");
  GOOD(tables_project(&err0, &d->src, &s.p, &t));
  const table *x = t.at[0];
  assert_string_equal(x->rows[0].label, "Ours");
  assert_string_equal(x->columns[0].label, "Error \xe2\x86\x93 (dB)");
  assert_int_equal(x->columns[0].decimals, 1);
  assert_true(x->columns[1].decimals > 1);
  assert_false(x->differences);
  assert_int_equal(x->rows[0].planned, 3 * TRAINS * SAMPLES);
  assert_true(has_remark(x, "Note."));
  assert_int_equal(cell(x, 0, 1)->best, 1);
  assert_int_equal(cell(x, 1, 1)->second, 0); /* a mark that was not asked for */
  text out = {0};
  GOOD(table_render(&err0, t.at, 1, TABLE_LATEX, &(table_style){.caption = s.caption, .label = s.label}, &out));
  assert_non_null(strstr(out.p, "\\caption{100 \\%}\n  \\label{tab:main}"));
  assert_null(strstr(out.p, "footnotesize ["));
  text_free(&out);
  tables_free(&t);
  table_spec_free(&s);
  problems_free(&p);
  scratch_close();
}

static void test_spec_problems(void **state) {
  (void)state;
  static const struct {
    const char *text, *says;
  } bad[] = {
      {"{}", "t.json:1:1: error: \"schema\": 1"},
      {"[]", "t.json:1:1: error: a table spec is a JSON object"},
      {"{\"schema\": 2}", "t.json:1:2: error: \"schema\": 1"},
      {"{\"schema\": 1,\n \"row\": \"variant\"}", "t.json:2:2: error: key 'row' is not known; did you mean 'rows'?"},
      {"{\"schema\": 1,\n \"rows\": \"vriant\"}", "t.json:2:2: error: rows: key 'vriant' is not known; did you mean"},
      {"{\"schema\": 1,\n \"rows\": \"metric\"}", "metrics stand in columns"},
      {"{\"schema\": 1,\n \"rows\": [\"variant\"]}", "t.json:2:2: error: rows wants a text"},
      {"{\"schema\": 1, \"labels\": {\n \"orus\": \"x\"}}",
       "t.json:2:2: error: 'orus' is no value of the study; did"},
      {"{\"schema\": 1, \"label\": \"a b\"}", "label 'a b' must be letters"},
      {"{\"schema\": 1, \"precision\": 13}", "0 to 12"},
      {"{\"schema\": 1, \"precision\": {\"ratoi\": 1}}", "metric 'ratoi' is not known; did you mean 'ratio'"},
      {"{\"schema\": 1, \"marks\": [\"bets\"]}", "mark 'bets' is not known; did you mean 'best'"},
      {"{\"schema\": 1, \"differences\": 1}", "true or false"},
      {"{\"schema\": 1, \"output\": \"x.pdf\"}", "must end in .tex"},
      {"{\"schema\": 1, \"output\": \"t.json\"}", "would overwrite this file"},
      {"{\"schema\": 1, \"filter\": \"promt=x\"}", "filter: "},
  };
  data *d = make();
  scratch_open();
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    problems p = {0};
    table_spec s;
    text said = {0};
    scratch_write("t.json", bad[i].text);
    err0 = (err){0};
    assert_int_equal(table_spec_read(&err0, scratch_path(0, "t.json"), &d->src, &p, &s), E_CONFIG);
    problems_print(&p, &said);
    if (!said.p || !strstr(said.p, bad[i].says)) fail_msg("%s says: %s", bad[i].text, said.p ? said.p : "nothing");
    text_free(&said);
    problems_free(&p);
  }
  scratch_close();
}

/* --- the way back ---------------------------------------------------------------------------------------------- */

static void test_cells(void **state) {
  (void)state;
  data *d = make();
  tables t = show(d, (wanted){.split = "category", .rows = "variant@(ours base)"});
  text out = {0};
  json *j = NULL;
  cell_address a;
  GOOD(table_cells_json(&err0, &t, &out));
  GOOD(json_parse(&err0, "cells", out.p, out.n, &j));
  GOOD(table_cells_find(&err0, j, 3, 2, &a)); /* first row of the second table */
  assert_string_equal(a.row, "ours");
  assert_string_equal(a.metric, "rmse_base");
  assert_int_equal(a.version, 2);
  assert_string_equal(a.part, "category: out");
  assert_int_equal(json_count(a.indices), 4 * TRAINS * SAMPLES);
  /* exactly the clips of that variant and category, each once */
  int found = 0;
  for (int64_t i = 0; i < d->in.n_points; i++) {
    int want = d->point[i].row == 0 && strcmp(d->point[i].prompt, "out-5") < 0 && d->point[i].prompt[0] == 'o',
        is = 0;
    for (const json *k = a.indices->child; k; k = k->next)
      is += strcmp(json_at(a.keys, (int64_t)k->num)->str, d->key[i]) == 0;
    assert_int_equal(is, want);
    found += is;
  }
  assert_int_equal(found, json_count(a.indices));
  err0 = (err){0};
  assert_int_equal(table_cells_find(&err0, j, 7, 1, &a), E_ARG);
  err0 = (err){0};
  assert_int_equal(table_cells_find(&err0, j, 1, 4, &a), E_ARG);
  json_free(j);
  GOOD(json_parse(&err0, "x", "{\"schema\": 1}", 13, &j));
  err0 = (err){0};
  assert_int_equal(table_cells_find(&err0, j, 1, 1, &a), E_FORMAT);
  json_free(j);
  text_free(&out);
  tables_free(&t);
}

static const char *number_named(const numbers *l, const char *name) {
  for (int64_t i = 0; i < l->n; i++)
    if (strcmp(l->at[i].name, name) == 0) return l->at[i].value;
  return NULL;
}

static void test_prose(void **state) {
  (void)state;
  data *d = make();
  tables t = show(d, (wanted){.rows = "variant@(ours ours+train.rank=4 base)"});
  numbers l = {0};
  GOOD(numbers_add(&err0, &l, &t));
  int64_t n = l.n;
  assert_true(n >= 9);
  for (int64_t i = 0; i < l.n; i++)
    assert_int_equal(strspn(l.at[i].name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
                     strlen(l.at[i].name));
  assert_string_equal(number_named(&l, "tdBaseRmseBase"), "\\ensuremath{0}\\,dB"); /* 0 is a number */
  const char *gain = number_named(&l, "tdOursTrainRankFourIouSigmaOneFiveDiff");
  assert_non_null(gain);
  assert_true(strncmp(gain, "\\ensuremath{", 12) == 0 && fabs(strtod(gain + 12, NULL) + .1) < .01);
  GOOD(numbers_add(&err0, &l, &t)); /* the same cells in a second table */
  assert_int_equal(l.n, n);
  text out = {0};
  GOOD(numbers_print(&err0, &l, t.at[0], &out));
  assert_non_null(strstr(out.p, "\n% metric versions: iou:sigma=1.5 1, rmse_base 2, ratio 1\n"));
  assert_non_null(strstr(out.p, "\n\\newcommand{\\tdBaseRmseBase}{\\ensuremath{0}\\,dB}\n"));
  text_free(&out);
  /* another variant whose name differs in signs only */
  table *x = t.at[0];
  free(x->rows[0].name);
  x->rows[0].name = strdup("OURS");
  numbers_free(&l);
  free(x->rows[1].name);
  x->rows[1].name = strdup("O+U+R+S");
  err0 = (err){0};
  assert_int_equal(numbers_add(&err0, &l, &t), E_CONFIG);
  assert_non_null(strstr(err0.text, "two cells would be \\tdOURSIou"));
  numbers_free(&l);
  tables_free(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_values),        cmocka_unit_test(test_fit),     cmocka_unit_test(test_plain),
      cmocka_unit_test(test_selection),     cmocka_unit_test(test_groups),  cmocka_unit_test(test_train_seeds),
      cmocka_unit_test(test_filter),        cmocka_unit_test(test_hidden),  cmocka_unit_test(test_absent),
      cmocka_unit_test(test_reasons),       cmocka_unit_test(test_formats), cmocka_unit_test(test_spec),
      cmocka_unit_test(test_spec_problems), cmocka_unit_test(test_cells),   cmocka_unit_test(test_prose),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
