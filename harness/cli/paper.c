/* tandem paper: the tables and numbers that a study declares, written or compared with what is committed. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/table_of.h"
#include "cli/verbs.h"
#include "report/table_cells.h"

typedef struct paper_args {
  study_args study;
} paper_args;

static const cli_option options[] = {
    STUDY_OPTIONS(paper_args),
    {.name = NULL},
};

typedef struct paper_file {
  char *path;
  text t;
} paper_file;

typedef struct paper {
  paper_file *file;
  int64_t n, cap;
  numbers all;
  int64_t missing; /* clips that shown cells want and do not have */
  char *lacking;   /* the first file with one */
} paper;

static void drop(paper *p) {
  for (int64_t i = 0; i < p->n; i++) {
    free(p->file[i].path);
    text_free(&p->file[i].t);
  }
  free(p->file);
  free(p->lacking);
  numbers_free(&p->all);
}

/* Takes over the text. One file written twice would be whichever came last. */
static int add_file(cli *c, paper *p, const char *path, text *t) {
  int rc = OK;
  for (int64_t i = 0; i < p->n; i++)
    if (strcmp(p->file[i].path, path) == 0) FAIL(&c->err, E_CONFIG, "%s is the output of two tables", path);
  TRY(mem_grow(&c->err, &p->file, &p->cap, p->n + 1, sizeof *p->file, "files"));
  p->file[p->n] = (paper_file){0};
  p->n++;
  TRY(mem_strdup(&c->err, path, &p->file[p->n - 1].path));
  p->file[p->n - 1].t = *t;
  *t = (text){0};
out:
  return rc;
}

static int add_output(cli *c, paper *p, const table_spec *spec, const char *path, const tables *t) {
  table_style style = {.width = 120, .caption = spec->caption, .label = spec->label};
  table_format f = TABLE_TERMINAL;
  text out = {0}, side = {0};
  int rc = OK;
  table_format_of_file(path, &f);
  TRY(table_render(&c->err, t->at, t->n, f, &style, &out));
  TRY(add_file(c, p, path, &out));
  TRY(table_cells_json(&c->err, t, &out));
  text_addf(&side, "%s.cells.json", path);
  TRY(text_ok(&side, &c->err));
  TRY(add_file(c, p, side.p, &out));
out:
  text_free(&out);
  text_free(&side);
  return rc;
}

static int count_missing(cli *c, paper *p, const char *path, const tables *t) {
  int64_t before = p->missing;
  for (int64_t i = 0; i < t->n; i++) {
    const table *x = t->at[i];
    for (int64_t r = 0; r < x->n_rows; r++) p->missing += x->rows[r].planned - x->rows[r].scored;
    for (int64_t k = 0; k < x->n_rows * x->n_columns; k++)
      if (x->rows[k / x->n_columns].planned == x->rows[k / x->n_columns].scored) p->missing += x->cells[k].missing;
  }
  return p->missing > before && !p->lacking ? mem_strdup(&c->err, path, &p->lacking) : OK;
}

static int add_table(cli *c, const study_source *src, const char *path, paper *p, text *numbers_out, int last) {
  table_spec spec = {0};
  tables t = {0};
  int rc = OK;
  TRY(table_spec_of(c, path, &src->keys, &spec));
  if (!spec.n_outputs) FAIL(&c->err, E_CONFIG, "%s: \"output\" is missing: the files to write", path);
  if (tables_project(&c->err, &src->keys, &spec.p, &t) != OK) TRY(err_prefix(&c->err, "%s", path));
  TRY(count_missing(c, p, path, &t));
  for (int i = 0; i < spec.n_outputs; i++) TRY(add_output(c, p, &spec, spec.output[i], &t));
  TRY(numbers_add(&c->err, &p->all, &t));
  if (last) TRY(numbers_print(&c->err, &p->all, t.at[0], numbers_out));
out:
  tables_free(&t);
  table_spec_free(&spec);
  return rc;
}

static int make_files(cli *c, const loaded_study *l, paper *p) {
  table_room room = {0};
  text macros = {0};
  int rc = OK, n = l->s->n_paper_tables;
  if (!n)
    FAIL(&c->err, E_CONFIG, "%s: the study declares no tables: \"paper\": {\"tables\": [\"tab.json\"]}", l->file);
  TRY(table_room_open(c, l, &room));
  for (int i = 0; i < n; i++) TRY(add_table(c, &room.src, l->s->paper_tables[i], p, &macros, i + 1 == n));
  if (l->s->paper_numbers) TRY(add_file(c, p, l->s->paper_numbers, &macros));
out:
  text_free(&macros);
  table_room_close(&room);
  return rc;
}

/* --- build ----------------------------------------------------------------------------------------------------- */

static int make_folder(cli *c, const char *path) {
  const char *slash = strrchr(path, '/');
  text t = {0};
  if (!slash || slash == path) return OK;
  text_addn(&t, path, (size_t)(slash - path));
  int rc = text_ok(&t, &c->err);
  if (rc == OK) rc = file_mkdirs(&c->err, t.p);
  text_free(&t);
  return rc;
}

static int build(cli *c, const paper *p) {
  int rc = OK;
  text said = {0};
  for (int64_t i = 0; i < p->n; i++) {
    TRY(make_folder(c, p->file[i].path));
    TRY(file_write(&c->err, p->file[i].path, p->file[i].t.p, p->file[i].t.n));
    text_addf(&said, "%s\n", p->file[i].path);
  }
  TRY(cli_put(c, &said));
out:
  text_free(&said);
  return rc;
}

/* --- check ----------------------------------------------------------------------------------------------------- */

#define SHOWN 6 /* lines of each side */

static size_t line_length(const char *s) {
  return strcspn(s, "\n");
}

static void put_line(text *out, char sign, const char *s) {
  size_t length = line_length(s);
  text_addf(out, "  %c ", sign);
  text_addn(out, s, length > 160 ? 160 : length);
  text_add(out, length > 160 ? "...\n" : "\n");
}

static const char *next_line(const char *s) {
  size_t n = line_length(s);
  return s + n + (s[n] == '\n');
}

static int64_t lines(const char *s) {
  int64_t n = 0;
  for (; *s; s = next_line(s)) n++;
  return n;
}

static int same_line(const char *a, const char *b) {
  size_t n = line_length(a);
  return n == line_length(b) && memcmp(a, b, n) == 0;
}

/* Files of as many lines are compared line by line; else what follows the first difference is shown. */
static void put_diff(text *out, const char *path, const char *was, const char *is) {
  int same_shape = lines(was) == lines(is), shown = 0;
  text_addf(out, "%s: differs\n", path);
  for (; (*was || *is) && shown < SHOWN; was = next_line(was), is = next_line(is)) {
    if (same_line(was, is) && (same_shape || !shown)) continue;
    shown++;
    if (*was) put_line(out, '-', was);
    if (*is) put_line(out, '+', is);
  }
  if (*was || *is) text_add(out, "  ...\n");
}

static int compare(cli *c, const paper_file *f, text *said, int64_t *drifted) {
  char *was = NULL;
  size_t n = 0;
  int rc = OK;
  if (!file_exists(f->path)) {
    text_addf(said, "%s: is not there\n", f->path);
    ++*drifted;
    return OK;
  }
  TRY(file_read(&c->err, f->path, (size_t)1 << 28, &was, &n));
  if (n == f->t.n && memcmp(was, f->t.p, n) == 0) goto out;
  ++*drifted;
  put_diff(said, f->path, was, f->t.p);
out:
  free(was);
  return rc;
}

static int check(cli *c, const paper *p) {
  int rc = OK;
  int64_t drifted = 0;
  text said = {0};
  for (int64_t i = 0; i < p->n; i++) TRY(compare(c, &p->file[i], &said, &drifted));
  if (!drifted) text_addf(&said, "%lld files follow from the store\n", (long long)p->n);
  TRY(cli_put(c, &said));
  if (drifted)
    FAIL(&c->err, E_FORMAT, "%lld of %lld files do not follow from the store; `paper build` writes them anew",
         (long long)drifted, (long long)p->n);
out:
  text_free(&said);
  return rc;
}

/* --- the verb -------------------------------------------------------------------------------------------------- */

static int run(cli *c, const void *args) {
  const paper_args *a = args;
  cli_list words = c->words;
  loaded_study l = {0};
  paper p = {0};
  int rc = OK, checks = strcmp(words.v[0], "check") == 0;
  if (!checks && strcmp(words.v[0], "build") != 0)
    return err_set(&c->err, E_ARG, "paper '%.40s': wants build or check", words.v[0]);
  c->words = (cli_list){words.v + 1, words.n - 1};
  rc = loaded_study_open(c, &a->study, &l);
  c->words = words;
  TRY(rc);
  TRY(make_files(c, &l, &p));
  rc = checks ? check(c, &p) : build(c, &p);
  if (p.missing && (rc == OK || rc == E_FORMAT)) {
    c->status = EXIT_MISSING;
    cli_warn("%s: %lld clips of the tables are missing; `tandem run` makes them", p.lacking, (long long)p.missing);
  }
out:
  drop(&p);
  loaded_study_close(&l);
  return rc;
}

const cli_verb verb_paper = {
    .name = "paper",
    .group = "studies",
    .help = "write or check the tables and numbers of a paper",
    .usage = "build|check STUDY [NAME=VALUE]...",
    .about = "The study's member \"paper\" names table specs and a file of LaTeX macros (docs/tables.md). `build` "
             "writes every\n"
             "output and beside it FILE.cells.json; `check` renders them again and compares: a difference is exit 1. "
             "Either\n"
             "says so with exit 4 when clips are missing. The same store gives the same bytes.",
    .examples = "tandem paper build ablation.json\n"
                "tandem paper check ablation.json",
    .exits = CLI_EXIT_STORE | CLI_EXIT_MISSING,
    .shared = CLI_RESULTS | CLI_CONFIGS,
    .options = options,
    .min_words = 2,
    .max_words = -1,
    .args_size = sizeof(paper_args),
    .run = run,
};
