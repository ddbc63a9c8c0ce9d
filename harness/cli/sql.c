/* tandem sql: one read-only question to the store. */
#include <math.h>
#include <string.h>

#include "cli/grid.h"
#include "cli/verbs.h"
#include "store/query.h"

typedef struct sql_args {
  int csv;
} sql_args;

static const cli_option options[] = {
    {.name = "csv",
     .kind = CLI_FLAG,
     .offset = offsetof(sql_args, csv),
     .help = "comma-separated values, every digit"},
    {.name = NULL},
};

typedef enum form { FORM_GRID, FORM_CSV, FORM_JSON } form;

typedef struct answer {
  form form;
  int64_t rows;
  text out; /* FORM_CSV, FORM_JSON: all of it, so that -o is whole or untouched */
  grid g;   /* FORM_GRID */
} answer;

static const char *not_finite(double v) {
  return isnan(v) ? "nan" : v > 0 ? "inf" : "-inf";
}

static void value_text(const store_value *v, text *t) {
  switch (v->type) {
  case SQL_INT: text_addf(t, "%lld", (long long)v->i); break;
  case SQL_REAL:
    if (isfinite(v->d))
      text_add_number(t, v->d);
    else
      text_add(t, not_finite(v->d));
    break;
  case SQL_TEXT: text_add(t, v->text); break;
  case SQL_BLOB:
    for (int64_t i = 0; i < v->bytes; i++) text_addf(t, "%02x", (unsigned)(unsigned char)v->text[i]);
    break;
  default: break;
  }
}

/* Numbers as numbers, every digit of an integer; what JSON has no number for as text; NULL as null. */
static void value_json(const store_value *v, text *t) {
  text plain = {0};
  int number = v->type == SQL_INT || (v->type == SQL_REAL && isfinite(v->d));
  value_text(v, &plain);
  if (text_ok(&plain, NULL) != OK)
    t->failed = 1;
  else if (v->type == SQL_NULL || number)
    text_add(t, number ? plain.p : "null");
  else
    cli_add_string(t, plain.p);
  text_free(&plain);
}

/* A second column of the same name would hide the first: "n", "n:2". */
static void json_name(text *t, const char *const *names, int at) {
  text name = {0};
  int same = 1;
  for (int i = 0; i < at; i++) same += !strcmp(names[i], names[at]);
  text_add(&name, names[at]);
  if (same > 1) text_addf(&name, ":%d", same);
  if (text_ok(&name, NULL) == OK)
    cli_add_string(t, name.p);
  else
    t->failed = 1;
  text_free(&name);
}

static void json_row(answer *a, int n, const char *const *names, const store_value *values) {
  text_add(&a->out, a->rows ? ",\n  {" : "\n  {");
  for (int i = 0; i < n; i++) {
    text_add(&a->out, i ? ", " : "");
    json_name(&a->out, names, i);
    text_add(&a->out, ": ");
    value_json(&values[i], &a->out);
  }
  text_add(&a->out, "}");
}

/* One row of names or of values in the other forms. */
static void plain_row(answer *a, int n, const char *const *names, const store_value *values) {
  for (int i = 0; i < n; i++) {
    text t = {0};
    if (values)
      value_text(&values[i], &t);
    else
      text_add(&t, names[i]);
    if (text_ok(&t, NULL) != OK) {
      a->out.failed = 1;
    } else if (a->form == FORM_GRID) {
      grid_add_text(&a->g, t.p);
    } else {
      text_add(&a->out, i ? "," : "");
      cli_add_csv(&a->out, t.p);
    }
    text_free(&t);
  }
  if (a->form == FORM_CSV) text_add(&a->out, "\n");
}

static int on_row(void *user, err *e, int n, const char *const *names, const store_value *values) {
  answer *a = user;
  if (!a->rows && a->form != FORM_JSON) {
    a->g.cols = n;
    plain_row(a, n, names, NULL);
  }
  if (!values) return OK;
  if (a->form == FORM_JSON)
    json_row(a, n, names, values);
  else
    plain_row(a, n, names, values);
  a->rows++;
  return a->out.failed ? err_set(e, E_NOMEM, "no memory for the answer after %lld rows", (long long)a->rows) : OK;
}

static int run(cli *c, const void *args) {
  int rc = OK;
  const sql_args *opt = args;
  answer a = {.form = c->json ? FORM_JSON : opt->csv ? FORM_CSV : FORM_GRID};
  store *s = NULL;
  if (opt->csv && c->json) FAIL(&c->err, E_ARG, "--csv and --json together");
  TRY(store_open(&c->err, c->results, STORE_READ, &s));
  if (store_note(s)) cli_note(c, "%s", store_note(s));
  if (a.form == FORM_JSON) text_add(&a.out, "[");
  TRY(store_sql(s, &c->err, c->words.v[0], on_row, &a));
  if (a.form == FORM_JSON) text_add(&a.out, a.rows ? "\n]\n" : "]\n");
  if (a.form == FORM_GRID) grid_print(&a.g, &a.out);
  TRY(cli_put(c, &a.out));
out:
  text_free(&a.out);
  grid_free(&a.g);
  store_close(s);
  return rc;
}

const cli_verb verb_sql = {
    .name = "sql",
    .group = "look inside",
    .help = "one read-only SQL question to the store",
    .usage = "'SELECT ...'",
    .about = "The view v_score has one row a clip and metric: study, variant, prompt_id, train_seed, sample_seed, "
             "metric,\n"
             "version, value, value_kind, reason; v_set one a score of sets, with both n, its null and p. Anything "
             "that could\n"
             "write is refused.",
    .examples = "tandem sql \"SELECT variant, avg(value) FROM v_score WHERE metric = 'color_fit_gain' GROUP BY 1\"\n"
                "tandem sql --csv 'SELECT * FROM v_score' -o scores.csv",
    .exits = CLI_EXIT_STORE,
    .shared = CLI_RESULTS | CLI_JSON | CLI_OUTPUT,
    .options = options,
    .min_words = 1,
    .max_words = 1,
    .args_size = sizeof(sql_args),
    .run = run,
};
