#include "report/table_spec.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

typedef struct reader {
  err *e;
  const char *path;
  const table_source *s;
  problems *p;
  table_spec *out;
} reader;

static where at(const reader *r, const json *j) {
  return (where){r->path, j->line, j->col};
}

int table_label_ok(const char *s) {
  size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:._-");
  return n > 0 && s[n] == 0;
}

/* What a parser says of a text becomes a problem at the text. */
static int problem_of(const reader *r, const json *j, const err *why, int rc) {
  if (rc != E_CONFIG && rc != E_ARG) return rc == OK ? OK : err_set(r->e, rc, "%s", why->text);
  problem_error(r->p, at(r, j), "%s: %s", j->key ? j->key : "here", why->text);
  return OK;
}

static int is_text(const reader *r, const json *j) {
  if (j->type == JSON_STRING) return 1;
  problem_error(r->p, at(r, j), "%s wants a text", j->key ? j->key : "this");
  return 0;
}

static int read_axis(reader *r, const json *j, projection_axis *out) {
  err why = {0};
  if (!is_text(r, j)) return OK;
  return problem_of(r, j, &why, projection_axis_parse(&why, r->s, j->str, out));
}

static int read_filter(reader *r, const json *j) {
  err why = {0};
  if (!is_text(r, j)) return OK;
  return problem_of(r, j, &why, projection_filter(&why, j->str, &r->out->p));
}

/* A label for something that is not there is a misspelt one. */
static int read_labels(reader *r, const json *j) {
  int rc = OK;
  source_values all = {0}, some = {0};
  if (j->type != JSON_OBJECT) {
    problem_error(r->p, at(r, j), "labels wants an object: {\"ours\": \"Ours\"}");
    return OK;
  }
  for (int key = 0; source_key(r->s, key); key++) {
    TRY(source_values_of(r->e, r->s, key, &some));
    for (int64_t i = 0; i < some.n; i++) TRY(source_values_add(r->e, &all, some.v[i]));
    source_values_free(&some);
  }
  for (const json *m = j->child; m; m = m->next) {
    int known = 0;
    char hint[NAME_HINT];
    if (strcmp(m->key, "//") == 0 || !is_text(r, m)) continue;
    for (int64_t i = 0; i < all.n; i++) known |= strcmp(all.v[i], m->key) == 0;
    name_hint(m->key, (name_list){(const char *const *)all.v, all.n}, hint);
    if (!known) problem_error(r->p, at(r, m), "'%.200s' is no value of the study%s", m->key, hint);
    if (known) TRY(projection_add_label(r->e, &r->out->p, m->key, m->str));
  }
out:
  source_values_free(&some);
  source_values_free(&all);
  return rc;
}

static int decimals_ok(const reader *r, const json *j) {
  if (j->type == JSON_NUMBER && j->is_int && j->num >= 0 && j->num <= 12) return 1;
  problem_error(r->p, at(r, j), "precision is a number of decimals, 0 to 12, or one for each metric");
  return 0;
}

static int read_precision(reader *r, const json *j) {
  const table_input *in = r->s->in;
  int rc = OK;
  if (j->type != JSON_OBJECT)
    return decimals_ok(r, j) ? projection_add_precision(r->e, &r->out->p, NULL, (int)j->num) : OK;
  const char **known = NULL;
  TRY(mem_new(r->e, in->n_metrics, sizeof *known, "metrics", &known));
  for (int64_t i = 0; i < in->n_metrics; i++) known[i] = in->metrics[i].id;
  for (const json *m = j->child; m; m = m->next) {
    int found = 0;
    if (strcmp(m->key, "//") == 0 || !decimals_ok(r, m)) continue;
    for (int64_t i = 0; i < in->n_metrics; i++) found |= strcmp(known[i], m->key) == 0;
    if (!found) problem_unknown(r->p, at(r, m), "metric", m->key, (name_list){known, in->n_metrics});
    if (found) TRY(projection_add_precision(r->e, &r->out->p, m->key, (int)m->num));
  }
out:
  free(known);
  return rc;
}

static int read_marks(reader *r, const json *j) {
  static const char *const known[] = {"best", "second"};
  projection *p = &r->out->p;
  if (j->type != JSON_ARRAY) {
    problem_error(r->p, at(r, j), "marks wants a list of \"best\" and \"second\"");
    return OK;
  }
  p->no_best = p->no_second = 1;
  for (const json *m = j->child; m; m = m->next) {
    if (!is_text(r, m)) continue;
    if (strcmp(m->str, "best") == 0)
      p->no_best = 0;
    else if (strcmp(m->str, "second") == 0)
      p->no_second = 0;
    else
      problem_unknown(r->p, at(r, m), "mark", m->str, (name_list){known, 2});
  }
  return OK;
}

static int read_differences(reader *r, const json *j) {
  if (j->type != JSON_BOOL) problem_error(r->p, at(r, j), "differences is true or false");
  r->out->p.no_differences = j->type == JSON_BOOL && j->num == 0;
  return OK;
}

static int read_footnotes(reader *r, const json *j) {
  int rc = OK;
  if (j->type != JSON_ARRAY) problem_error(r->p, at(r, j), "footnotes wants a list of texts");
  for (const json *m = j->type == JSON_ARRAY ? j->child : NULL; m; m = m->next)
    if (is_text(r, m)) TRY(projection_add_footnote(r->e, &r->out->p, m->str));
out:
  return rc;
}

static int read_caption(reader *r, const json *j) {
  return is_text(r, j) ? mem_strdup(r->e, j->str, &r->out->caption) : OK;
}

static int read_label(reader *r, const json *j) {
  if (!is_text(r, j)) return OK;
  if (!table_label_ok(j->str))
    problem_error(r->p, at(r, j), "label '%.80s' must be letters, digits, ':', '.', '_' and '-'", j->str);
  return mem_strdup(r->e, j->str, &r->out->label);
}

static int read_output(reader *r, const json *j) {
  const char *slash = strrchr(r->path, '/');
  table_spec *out = r->out;
  text t = {0};
  table_format f;
  int rc = OK;
  const json *one = j->type == JSON_ARRAY ? j->child : j;
  TRY(mem_new(r->e, j->type == JSON_ARRAY ? json_count(j) : 1, sizeof *out->output, "outputs", &out->output));
  for (; one; one = j->type == JSON_ARRAY ? one->next : NULL) {
    if (!is_text(r, one)) continue;
    if (!table_format_of_file(one->str, &f)) {
      problem_error(r->p, at(r, one), "'%.200s' must end in .tex, .html, .md, .csv, .json or .txt", one->str);
      continue;
    }
    text_free(&t);
    if (slash && one->str[0] != '/') text_addn(&t, r->path, (size_t)(slash - r->path) + 1);
    text_add(&t, one->str);
    TRY(text_ok(&t, r->e));
    if (strcmp(t.p, r->path) == 0) problem_error(r->p, at(r, one), "the output would overwrite this file");
    TRY(mem_strdup(r->e, t.p, &out->output[out->n_outputs]));
    out->n_outputs++;
  }
out:
  text_free(&t);
  return rc;
}

static int read_schema(reader *r, const json *j) {
  if (j->type != JSON_NUMBER || j->num != 1.0)
    problem_error(r->p, at(r, j), "\"schema\": 1 is what this build reads");
  return OK;
}

static int read_rows(reader *r, const json *j) {
  return read_axis(r, j, &r->out->p.rows);
}

static int read_columns(reader *r, const json *j) {
  return read_axis(r, j, &r->out->p.columns);
}

static int read_split(reader *r, const json *j) {
  return read_axis(r, j, &r->out->p.split);
}

static const struct {
  const char *name;
  int (*read)(reader *r, const json *j);
} members[] = {
    {"schema", read_schema},           {"rows", read_rows},
    {"columns", read_columns},         {"split", read_split},
    {"filter", read_filter},           {"labels", read_labels},
    {"caption", read_caption},         {"label", read_label},
    {"precision", read_precision},     {"marks", read_marks},
    {"differences", read_differences}, {"footnotes", read_footnotes},
    {"output", read_output},
};
enum { MEMBERS = sizeof members / sizeof members[0] };

static int read_members(reader *r, const json *root) {
  const char *known[MEMBERS];
  int rc = OK;
  for (int i = 0; i < MEMBERS; i++) known[i] = members[i].name;
  if (!json_get(root, "schema")) problem_error(r->p, at(r, root), "\"schema\": 1 is what this build reads");
  for (const json *m = root->child; m; m = m->next) {
    int i = 0;
    if (strcmp(m->key, "//") == 0) continue;
    while (i < MEMBERS && strcmp(known[i], m->key) != 0) i++;
    if (i == MEMBERS) problem_unknown(r->p, at(r, m), "key", m->key, (name_list){known, MEMBERS});
    if (i < MEMBERS) TRY(members[i].read(r, m));
  }
out:
  return rc;
}

int table_spec_read(err *e, const char *path, const table_source *s, problems *p, table_spec *out) {
  reader r = {.e = e, .path = path, .s = s, .p = p, .out = out};
  json *root = NULL;
  err why = {0};
  int rc = OK;
  *out = (table_spec){0};
  rc = json_read(&why, path, &root);
  if (rc != OK) FAIL(e, rc == E_FORMAT ? E_CONFIG : rc, "%s", why.text); /* it has the place */
  if (root->type != JSON_OBJECT) {
    problem_error(p, at(&r, root), "a table spec is a JSON object");
  } else {
    TRY(read_members(&r, root));
    TRY(problem_of(&r, root, &why, projection_complete(&why, s, &out->p)));
  }
  TRY(problems_result(p, e));
out:
  json_free(root);
  if (rc != OK) table_spec_free(out);
  return rc;
}

void table_spec_free(table_spec *t) {
  projection_free(&t->p);
  free(t->caption);
  free(t->label);
  for (int i = 0; i < t->n_outputs; i++) free(t->output[i]);
  free(t->output);
  *t = (table_spec){0};
}
