/* tandem table: the result table of a study. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "cli/table_of.h"
#include "cli/verbs.h"
#include "report/table_cells.h"

typedef struct table_args {
  study_args study;
  const char *format, *rows, *cols, *split, *filter, *caption, *spec, *numbers;
  cli_list labels;
  int64_t precision;
  int standalone, no_differences;
} table_args;

#define TEXT_OPTION(member, what, words)                                                                             \
  { .name = #member, .kind = CLI_TEXT, .offset = offsetof(table_args, member), .value = what, .help = words }

static const cli_option options[] = {
    STUDY_OPTIONS(table_args),
    TEXT_OPTION(format, "FORMAT",
                "terminal, md, csv, json, latex or html; else the end of -o FILE says it, else terminal"),
    TEXT_OPTION(rows, "KEYS", "what rows are: \"variant@(ours batch='Batch ext.')\", \"category variant\""),
    TEXT_OPTION(cols, "KEYS", "what columns are: \"metric@(true_iou_gain=IoU)\", \"variant metric\""),
    TEXT_OPTION(split, "KEYS", "a table for each value of these keys"),
    TEXT_OPTION(filter, "SELECTOR", "only these clips: \"prompt~solid sample_seed=0..2\""),
    {.name = "label",
     .kind = CLI_TEXTS,
     .offset = offsetof(table_args, labels),
     .value = "NAME=TEXT",
     .help = "what a variant, metric or other value is called; the last '=' divides"},
    {.name = "precision",
     .kind = CLI_INT,
     .offset = offsetof(table_args, precision),
     .value = "N",
     .initial = "-1",
     .lo = -1,
     .hi = 12,
     .help = "decimals; -1: as many as the intervals bear"},
    {.name = "no-differences",
     .kind = CLI_FLAG,
     .offset = offsetof(table_args, no_differences),
     .help = "means only; CSV and JSON keep the differences"},
    TEXT_OPTION(caption, "TEXT", "title of the table"),
    {.name = "standalone",
     .kind = CLI_FLAG,
     .offset = offsetof(table_args, standalone),
     .help = "latex, html: a document of its own"},
    TEXT_OPTION(spec, "FILE", "a table spec instead of the options above (docs/tables.md)"),
    TEXT_OPTION(numbers, "FILE", "also write the numbers as LaTeX macros"),
    {.name = NULL},
};

static int read_axis(cli *c, const char *name, const table_source *s, const char *given, projection_axis *out) {
  if (!given) return OK;
  int rc = projection_axis_parse(&c->err, s, given, out);
  return rc == OK ? OK : err_prefix(&c->err, "--%s", name);
}

static int read_labels(cli *c, const table_args *a, projection *p) {
  int rc = OK;
  text name = {0};
  for (int i = 0; i < a->labels.n; i++) {
    const char *eq = strrchr(a->labels.v[i], '=');
    text_free(&name);
    if (!eq) FAIL(&c->err, E_ARG, "--label '%.200s': wants NAME=TEXT", a->labels.v[i]);
    text_addn(&name, a->labels.v[i], (size_t)(eq - a->labels.v[i]));
    text_add(&name, "");
    TRY(text_ok(&name, &c->err));
    TRY(projection_add_label(&c->err, p, name.p, eq + 1));
  }
out:
  text_free(&name);
  return rc;
}

static int from_options(cli *c, const table_args *a, const table_source *s, table_spec *out) {
  int rc = OK;
  projection *p = &out->p;
  TRY(read_axis(c, "rows", s, a->rows, &p->rows));
  TRY(read_axis(c, "cols", s, a->cols, &p->columns));
  TRY(read_axis(c, "split", s, a->split, &p->split));
  if (a->filter && projection_filter(&c->err, a->filter, p) != OK) TRY(err_prefix(&c->err, "--filter"));
  TRY(read_labels(c, a, p));
  if (a->precision >= 0) TRY(projection_add_precision(&c->err, p, NULL, (int)a->precision));
  p->no_differences = a->no_differences;
  if (a->caption) TRY(mem_strdup(&c->err, a->caption, &out->caption));
  TRY(projection_complete(&c->err, s, p));
out:
  return rc;
}

static int read_request(cli *c, const table_args *a, const table_source *s, table_spec *out) {
  if (!a->spec) return from_options(c, a, s, out);
  if (a->rows || a->cols || a->split || a->filter || a->labels.n || a->precision >= 0 || a->no_differences ||
      a->caption)
    return err_set(&c->err, E_ARG, "--spec says what the table shows: give it, or the options");
  return table_spec_of(c, a->spec, s, out);
}

static int choose_format(cli *c, const table_args *a, table_format *out) {
  *out = c->json ? TABLE_JSON : TABLE_TERMINAL;
  if (c->json) return OK;
  if (a->format) return table_format_of(&c->err, a->format, out);
  if (c->output) table_format_of_file(c->output, out);
  return OK;
}

/* Standard output, devices and pipes have no file beside them. */
static int has_side(const cli *c) {
  struct stat s;
  return c->output && strcmp(c->output, "-") != 0 && (stat(c->output, &s) != 0 || S_ISREG(s.st_mode));
}

static int write_side(cli *c, const tables *t) {
  text cells = {0}, path = {0};
  int rc = OK;
  TRY(table_cells_json(&c->err, t, &cells));
  text_addf(&path, "%s.cells.json", c->output);
  TRY(text_ok(&path, &c->err));
  TRY(file_write(&c->err, path.p, cells.p, cells.n));
out:
  text_free(&cells);
  text_free(&path);
  return rc;
}

static int write_numbers(cli *c, const char *path, const tables *t) {
  numbers l = {0};
  text out = {0};
  int rc = OK;
  TRY(numbers_add(&c->err, &l, t));
  TRY(numbers_print(&c->err, &l, t->at[0], &out));
  TRY(file_write(&c->err, path, out.p, out.n));
out:
  numbers_free(&l);
  text_free(&out);
  return rc;
}

static int run(cli *c, const void *args) {
  int rc = OK;
  const table_args *a = args;
  loaded_study l = {0};
  table_room room = {0};
  table_spec spec = {0};
  tables t = {0};
  text out = {0};
  table_format f;
  TRY(choose_format(c, a, &f));
  TRY(loaded_study_unplanned(c, &a->study, &l));
  TRY(table_room_open(c, &l, &room));
  TRY(read_request(c, a, &room.src.keys, &spec));
  TRY(tables_project(&c->err, &room.src.keys, &spec.p, &t));
  table_style style = {.width = cli_columns(1),
                       .colour = cli_color(c, 1),
                       .standalone = a->standalone,
                       .caption = spec.caption,
                       .label = spec.label};
  TRY(table_render(&c->err, t.at, t.n, f, &style, &out));
  if (a->numbers) TRY(write_numbers(c, a->numbers, &t));
  int side = has_side(c);
  TRY(cli_put(c, &out));
  if (side) TRY(write_side(c, &t));
out:
  text_free(&out);
  tables_free(&t);
  table_spec_free(&spec);
  table_room_close(&room);
  loaded_study_close(&l);
  return rc;
}

const cli_verb verb_table = {
    .name = "table",
    .group = "studies",
    .help = "the result table of a study",
    .usage = "STUDY [NAME=VALUE]...",
    .about =
        "Rows are variants, columns metrics: means, paired differences to the reference variant with 95 % clustered\n"
        "bootstrap intervals, declared contrasts with Holm's correction, scores of sets beside their nulls. "
        "Missing,\n"
        "undefined, excluded and retried clips are footnotes. CSV and JSON have every digit.\n"
        "--rows, --cols and --split choose other keys: variant, metric, prompt, category, train_seed, sample_seed,\n"
        "or a setting that varies. Showing less makes no family of tests smaller. Beside -o FILE lies\n"
        "FILE.cells.json, with which `show --cell FILE:ROW,COLUMN` finds the clips behind a number.",
    .examples =
        "tandem table ablation\n"
        "tandem table ablation -o table.tex --rows 'variant@(ours=Ours batch)' --cols 'metric@(true_iou_gain)'\n"
        "tandem table ablation --split category --format md\n"
        "tandem table ablation --spec paper/tab-main.json --standalone -o table.html",
    .exits = CLI_EXIT_STORE,
    .shared = CLI_RESULTS | CLI_JSON | CLI_CONFIGS | CLI_OUTPUT,
    .options = options,
    .min_words = 1,
    .max_words = -1,
    .args_size = sizeof(table_args),
    .run = run,
};
