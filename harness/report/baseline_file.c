#include "report/baseline_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metrics/describe.h"

#define SCHEMA 1
#define HASH_WORD "sha256:"
#define EXACT INT64_C(9007199254740992) /* larger seeds are written as texts */

static const char *const kinds[] = {"finite", "inf", "-inf", "nan", "undefined"};

/* --- writing ---------------------------------------------------------------------------------------------------- */

static void put_seed(text *out, int64_t seed) {
  if (seed == SEED_NONE)
    text_add(out, "null");
  else
    text_addf(out, seed < EXACT ? "%lld" : "\"%lld\"", (long long)seed);
}

static void put_value(text *out, const baseline_value *v) {
  text_add(out, "        [");
  text_add_json(out, v->variant);
  text_add(out, ", ");
  if (v->prompt[0])
    text_add_json(out, v->prompt);
  else
    text_add(out, "null");
  text_add(out, ", ");
  put_seed(out, v->train_seed);
  text_add(out, ", ");
  put_seed(out, v->sample_seed);
  text_add(out, ", ");
  if (v->hash)
    text_addf(out, "\"" HASH_WORD "%.64s\"", v->hash);
  else if (v->kind == KIND_FINITE)
    text_add_number(out, v->value);
  else
    text_addf(out, "\"%s\"", kinds[v->kind]);
  text_add(out, "]");
}

static void put_metric(text *out, const baseline *b, const baseline_metric *m) {
  int some = 0;
  text_add(out, "    ");
  text_add_json(out, m->id);
  text_addf(out,
            ": {\n      \"version\": %lld,\n      \"direction\": \"%s\",\n      \"unit\": ", (long long)m->version,
            metric_direction_name(m->direction));
  text_add_json(out, m->unit);
  text_add(out, ",\n      \"values\": [");
  for (int64_t i = 0; i < b->n_values; i++) {
    if (strcmp(b->values[i].metric, m->id) != 0) continue;
    text_add(out, some ? ",\n" : "\n");
    put_value(out, &b->values[i]);
    some = 1;
  }
  text_add(out, some ? "\n      ]\n    }" : "]\n    }");
}

void baseline_write(const baseline *b, text *out) {
  const char *const head[][2] = {
      {"baseline", b->name}, {"study", b->study}, {"git_sha", b->git_sha}, {"note", b->note}};
  text_addf(out, "{\n  \"schema\": %d,\n", SCHEMA);
  for (int i = 0; i < 4; i++) {
    text_addf(out, "  \"%s\": ", head[i][0]);
    text_add_json(out, head[i][1]);
    text_add(out, ",\n");
  }
  text_addf(out, "  \"created_ms\": %lld,\n  \"facts\": {", (long long)b->created_ms);
  for (int64_t i = 0; i < b->n_facts; i++) {
    text_add(out, i ? ",\n    " : "\n    ");
    text_add_json(out, b->facts[i].name);
    text_add(out, ": ");
    text_add_json(out, b->facts[i].text);
  }
  text_add(out, "\n  },\n  \"metrics\": {");
  for (int64_t i = 0; i < b->n_metrics; i++) {
    text_add(out, i ? ",\n" : "\n");
    put_metric(out, b, &b->metrics[i]);
  }
  text_add(out, "\n  }\n}\n");
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

typedef struct reader {
  err *e;
  const char *file;
  baseline *b;
  int64_t cap_values, cap_metrics, cap_facts;
} reader;

static int refuse(const reader *r, const json *at, const char *what) {
  return err_set(r->e, E_FORMAT, "%s:%d:%d: %s", r->file, at->line, at->col, what);
}

static int comment(const json *j) {
  return strcmp(j->key, "//") == 0;
}

static int read_text(const reader *r, const json *root, const char *key, const char **out) {
  const json *j = json_get(root, key);
  if (!j || j->type != JSON_STRING)
    return err_set(r->e, E_FORMAT, "%s:%d:%d: no text \"%s\"; this is no baseline", r->file, j ? j->line : root->line,
                   j ? j->col : root->col, key);
  *out = j->str;
  return OK;
}

static int read_seed(const reader *r, const json *j, int64_t *out) {
  *out = SEED_NONE;
  if (j->type == JSON_NULL) return OK;
  if (j->type == JSON_NUMBER && j->is_int && j->num >= 0) {
    *out = (int64_t)j->num;
    return OK;
  }
  if (j->type != JSON_STRING || !j->str[0] || strspn(j->str, "0123456789") != strlen(j->str) || strlen(j->str) > 18)
    return refuse(r, j, "a seed is a whole number from 0, digits in quotes, or null");
  *out = strtoll(j->str, NULL, 10);
  return OK;
}

static int read_score(const reader *r, const json *j, baseline_value *v) {
  size_t n = strlen(HASH_WORD);
  v->value = NAN;
  v->kind = KIND_UNDEFINED;
  if (j->type == JSON_NUMBER) {
    v->value = j->num;
    v->kind = KIND_FINITE;
    return OK;
  }
  if (j->type == JSON_STRING && strncmp(j->str, HASH_WORD, n) == 0) {
    v->hash = j->str + n;
    if (strspn(v->hash, "0123456789abcdef") == 64 && !v->hash[64]) return OK;
  }
  for (int k = KIND_INF; j->type == JSON_STRING && k <= KIND_UNDEFINED; k++)
    if (strcmp(j->str, kinds[k]) == 0) {
      v->kind = (store_kind)k;
      v->value = k == KIND_INF ? INFINITY : k == KIND_NEG_INF ? -INFINITY : NAN;
      return OK;
    }
  return refuse(r, j, "a value is a number, \"inf\", \"-inf\", \"nan\", \"undefined\" or \"sha256:HEX\"");
}

static int read_value(reader *r, const baseline_metric *m, const json *j) {
  baseline_value v = {.metric = m->id, .version = m->version, .prompt = ""};
  int rc = OK;
  if (j->type != JSON_ARRAY || json_count(j) != 5 || j->child->type != JSON_STRING)
    return refuse(r, j, "a value is [VARIANT, PROMPT, TRAIN SEED, SAMPLE SEED, SCORE]");
  const json *prompt = j->child->next;
  v.variant = j->child->str;
  if (prompt->type == JSON_STRING)
    v.prompt = prompt->str;
  else if (prompt->type != JSON_NULL)
    return refuse(r, prompt, "a prompt is its id, or null");
  TRY(read_seed(r, prompt->next, &v.train_seed));
  TRY(read_seed(r, prompt->next->next, &v.sample_seed));
  TRY(read_score(r, prompt->next->next->next, &v));
  TRY(mem_grow(r->e, &r->b->values, &r->cap_values, r->b->n_values + 1, sizeof v, "baseline"));
  r->b->values[r->b->n_values++] = v;
out:
  return rc;
}

static int read_metric(reader *r, const json *j) {
  baseline_metric m = {.id = j->key};
  const char *direction = NULL;
  int rc = OK;
  if (j->type != JSON_OBJECT) return refuse(r, j, "a metric is {version, direction, unit, values}");
  const json *version = json_get(j, "version"), *values = json_get(j, "values");
  if (!version || !version->is_int || !values || values->type != JSON_ARRAY)
    return refuse(r, j, "a metric has a whole \"version\" and a list \"values\"");
  m.version = (int64_t)version->num;
  TRY(read_text(r, j, "unit", &m.unit));
  TRY(read_text(r, j, "direction", &direction));
  for (int d = METRIC_UP; d <= METRIC_NONE; d++)
    if (strcmp(direction, metric_direction_name((metric_direction)d)) == 0) m.direction = (metric_direction)d;
  if (strcmp(direction, metric_direction_name(m.direction)) != 0)
    return refuse(r, json_get(j, "direction"), "a direction is up, down or none");
  TRY(mem_grow(r->e, &r->b->metrics, &r->cap_metrics, r->b->n_metrics + 1, sizeof m, "baseline"));
  r->b->metrics[r->b->n_metrics++] = m;
  for (const json *v = values->child; v; v = v->next) TRY(read_value(r, &m, v));
out:
  return rc;
}

static int read_facts(reader *r, const json *facts) {
  int rc = OK;
  for (const json *f = facts->child; f; f = f->next) {
    if (comment(f)) continue;
    if (f->type != JSON_STRING) return refuse(r, f, "a fact is a text");
    TRY(mem_grow(r->e, &r->b->facts, &r->cap_facts, r->b->n_facts + 1, sizeof *r->b->facts, "baseline"));
    r->b->facts[r->b->n_facts++] = (baseline_fact){f->key, f->str};
  }
out:
  return rc;
}

/* Two values for one clip would make the outcome depend on the order of lines. */
static int no_doubles(const reader *r) {
  for (int64_t i = 1; i < r->b->n_values; i++) {
    const baseline_value *v = &r->b->values[i];
    if (baseline_order(v - 1, v) == 0)
      return err_set(r->e, E_FORMAT, "%s: %.80s has two values for %.80s, prompt '%.80s'", r->file, v->metric,
                     v->variant, v->prompt);
  }
  return OK;
}

static int read_root(reader *r, const json *root) {
  int rc = OK;
  baseline *b = r->b;
  if (root->type != JSON_OBJECT) return refuse(r, root, "this is no baseline");
  const json *schema = json_get(root, "schema"), *facts = json_get(root, "facts"),
             *made = json_get(root, "created_ms");
  const json *list = json_get(root, "metrics");
  TRY(read_text(r, root, "baseline", &b->name));
  TRY(read_text(r, root, "study", &b->study));
  TRY(read_text(r, root, "git_sha", &b->git_sha));
  TRY(read_text(r, root, "note", &b->note));
  if (!schema || schema->type != JSON_NUMBER || schema->num != SCHEMA)
    return refuse(r, schema ? schema : root, "\"schema\": 1 is what this build reads");
  if (!made || !made->is_int) return refuse(r, made ? made : root, "\"created_ms\" wants milliseconds since 1970");
  if (!facts || facts->type != JSON_OBJECT || !list || list->type != JSON_OBJECT)
    return refuse(r, root, "a baseline has \"facts\" and \"metrics\"");
  b->created_ms = (int64_t)made->num;
  TRY(read_facts(r, facts));
  for (const json *m = list->child; m; m = m->next)
    if (!comment(m)) TRY(read_metric(r, m));
  baseline_sort(b);
  TRY(no_doubles(r));
out:
  return rc;
}

static int take(err *e, const char *file, json *tree, baseline *out) {
  reader r = {.e = e, .file = file, .b = out};
  out->tree = tree;
  int rc = read_root(&r, tree);
  if (rc != OK) baseline_free(out);
  return rc;
}

int baseline_parse(err *e, const char *name, const char *data, size_t n, baseline *out) {
  json *tree = NULL;
  *out = (baseline){0};
  int rc = json_parse(e, name, data, n, &tree);
  return rc == OK ? take(e, name, tree, out) : rc;
}

int baseline_read(err *e, const char *path, baseline *out) {
  json *tree = NULL;
  *out = (baseline){0};
  int rc = json_read(e, path, &tree);
  return rc == OK ? take(e, path, tree, out) : rc;
}
