/* tandem sql: one read-only question to the store. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
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

typedef struct answer {
  int csv, json;
  int64_t rows;
  text csv_text;
  grid g;
  struct json *list;
} answer;

static void csv_field(text *t, const char *s) {
  if (!strpbrk(s, ",\"\r\n")) {
    text_add(t, s);
    return;
  }
  text_add(t, "\"");
  for (; *s; s++) text_addf(t, *s == '"' ? "\"\"" : "%c", *s);
  text_add(t, "\"");
}

static void value_text(const store_value *v, text *t) {
  switch (v->type) {
  case SQL_INT: text_addf(t, "%lld", (long long)v->i); break;
  case SQL_REAL:
    if (isfinite(v->d))
      text_add_number(t, v->d);
    else
      text_add(t, isnan(v->d) ? "nan" : v->d > 0 ? "inf" : "-inf");
    break;
  case SQL_TEXT: text_add(t, v->text); break;
  case SQL_BLOB: text_addf(t, "(%lld bytes)", (long long)v->bytes); break;
  default: break;
  }
}

static json *value_json(const store_value *v) {
  switch (v->type) {
  case SQL_INT: return json_new_number((double)v->i);
  case SQL_REAL:
    return isfinite(v->d) ? json_new_number(v->d) : json_new_string(isnan(v->d) ? "nan" : v->d > 0 ? "inf" : "-inf");
  case SQL_TEXT: return json_new_string(v->text);
  default: return json_new(JSON_NULL);
  }
}

static int add_cell(answer *a, err *e, const store_value *v, int first) {
  text t = {0};
  value_text(v, &t);
  int rc = text_ok(&t, e);
  if (rc == OK && a->csv) {
    if (!first) text_add(&a->csv_text, ",");
    csv_field(&a->csv_text, t.p);
  } else if (rc == OK) {
    grid_add_text(&a->g, t.p);
  }
  text_free(&t);
  return rc;
}

static int on_row(void *user, err *e, int n, const char *const *names, const store_value *values) {
  answer *a = user;
  int rc = OK;
  if (!a->json && !a->rows++) {
    a->g.cols = n;
    for (int i = 0; i < n; i++) {
      if (a->csv) {
        if (i) text_add(&a->csv_text, ",");
        csv_field(&a->csv_text, names[i]);
      } else {
        grid_add_text(&a->g, names[i]);
      }
    }
    if (a->csv) text_add(&a->csv_text, "\n");
  }
  if (!values) return OK;
  if (a->json) {
    json *o = json_new(JSON_OBJECT);
    for (int i = 0; i < n; i++) cli_set(&o, names[i], value_json(&values[i]));
    cli_push(&a->list, o);
    return OK;
  }
  for (int i = 0; i < n; i++) TRY(add_cell(a, e, &values[i], i == 0));
  if (a->csv) text_add(&a->csv_text, "\n");
out:
  return rc;
}

static int run(cli *c, const void *args) {
  int rc = OK;
  const sql_args *opt = args;
  answer a = {.csv = opt->csv, .json = c->json};
  store *s = NULL;
  text out = {0};
  if (a.csv && a.json) FAIL(&c->err, E_ARG, "--csv and --json together");
  if (a.json) a.list = json_new(JSON_ARRAY);
  TRY(store_open(&c->err, c->results, STORE_READ, &s));
  TRY(store_sql(s, &c->err, c->words.v[0], on_row, &a));
  if (a.json) {
    rc = cli_put_json(c, a.list);
    a.list = NULL;
  } else if (a.csv) {
    rc = cli_put(c, &a.csv_text);
  } else {
    grid_print(&a.g, &out);
    rc = cli_put(c, &out);
  }
out:
  json_free(a.list);
  text_free(&a.csv_text);
  text_free(&out);
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
             "version, value, value_kind, reason. Anything that could write is refused.",
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
