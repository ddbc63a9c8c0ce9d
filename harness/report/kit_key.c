#include "report/kit_key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "metrics/describe.h"
#include "study/study.h"

#define FORMAT "tandem-kit-key"
enum { VERSION = 1 };

static const char *const views[KIT_VIEWS] = {"rgb", "alpha", "checker", "plate"};

const char *kit_view_name(kit_view v) {
  return views[v];
}

/* --- reading -----------------------------------------------------------------------------------------------------
 */

typedef struct reader {
  err *e;
  const char *path;
} reader;

static int wrong(const reader *r, const json *at, const char *what) {
  return err_set(r->e, E_FORMAT, "%s:%d:%d: %s", r->path, at ? at->line : 1, at ? at->col : 1, what);
}

static int get(const reader *r, const json *object, const char *name, json_type type, const json **out) {
  *out = json_get(object, name);
  if (*out && (*out)->type == type) return OK;
  char what[96];
  snprintf(what, sizeof what, "'%.40s' is missing or of another type", name);
  return wrong(r, *out ? *out : object, what);
}

static int get_string(const reader *r, const json *object, const char *name, char **out) {
  int rc = OK;
  const json *v;
  TRY(get(r, object, name, JSON_STRING, &v));
  TRY(mem_strdup(r->e, v->str, out));
out:
  return rc;
}

static int get_int(const reader *r, const json *object, const char *name, int64_t lo, int64_t hi, int64_t *out) {
  int rc = OK;
  const json *v;
  TRY(get(r, object, name, JSON_NUMBER, &v));
  if (!v->is_int || v->num < (double)lo || v->num > (double)hi) rc = wrong(r, v, "a number out of range");
  *out = rc == OK ? (int64_t)v->num : 0;
out:
  return rc;
}

static int get_hash(const reader *r, const json *object, const char *name, char out[HASH_HEX]) {
  int rc = OK;
  const json *v;
  TRY(get(r, object, name, JSON_STRING, &v));
  if (strlen(v->str) != HASH_HEX - 1 || strspn(v->str, "0123456789abcdef") != HASH_HEX - 1)
    return wrong(r, v, "not a SHA-256 in 64 hex digits");
  memcpy(out, v->str, HASH_HEX);
out:
  return rc;
}

/* A non-empty array; *n is its length. */
static int get_list(const reader *r, const json *object, const char *name, const json **out, int64_t *n) {
  int rc = OK;
  TRY(get(r, object, name, JSON_ARRAY, out));
  *n = json_count(*out);
  if (!*n) rc = wrong(r, *out, "an empty list");
out:
  return rc;
}

static int add_view(const reader *r, const json *v, kit_question *q) {
  for (int i = 0; v->type == JSON_STRING && i < KIT_VIEWS; i++) {
    if (strcmp(v->str, views[i])) continue;
    for (int k = 0; k < q->n_views; k++)
      if ((int)q->view[k] == i) return wrong(r, v, "a view is named twice");
    q->view[q->n_views++] = (kit_view)i;
    return OK;
  }
  return wrong(r, v, "a view is one of rgb, alpha, checker, plate");
}

static int read_questions(const reader *r, const json *root, kit_key *k) {
  int rc = OK;
  const json *list;
  TRY(get_list(r, root, "questions", &list, &k->n_questions));
  TRY(mem_new(r->e, k->n_questions, sizeof *k->questions, "questions", &k->questions));
  kit_question *q = k->questions;
  for (const json *j = list->child; j; j = j->next, q++) {
    const json *seen, *prompt = json_get(j, "prompt");
    int64_t n;
    TRY(get_string(r, j, "id", &q->id));
    TRY(get_string(r, j, "text", &q->text));
    if (!study_name_ok(q->id)) TRY(wrong(r, j, "an id has letters, digits, '.', '_' and '-', at most 64"));
    for (const kit_question *other = k->questions; other < q; other++)
      if (!strcmp(other->id, q->id)) TRY(wrong(r, j, "an id is used twice"));
    TRY(get_list(r, j, "views", &seen, &n));
    for (const json *v = seen->child; v; v = v->next) TRY(add_view(r, v, q));
    if (prompt && prompt->type != JSON_BOOL) TRY(wrong(r, prompt, "'prompt' is true or false"));
    q->prompt = prompt && prompt->num != 0;
  }
out:
  return rc;
}

int kit_questions_read(err *e, const char *path, kit_key *k) {
  int rc = OK;
  json *root = NULL;
  reader r = {e, path};
  TRY(json_read(e, path, &root));
  TRY(read_questions(&r, root, k));
out:
  json_free(root);
  return rc;
}

int kit_questions_default(err *e, kit_key *k) {
  static const char questions[] =
      "{\"questions\": ["
      "{\"id\": \"motion\", \"text\": \"Which clip is better: its picture, and motion that fits the description?\","
      " \"views\": [\"rgb\"], \"prompt\": true},"
      "{\"id\": \"alignment\", \"text\": \"In which clip does the mask (white: solid, black: see-through) match the"
      " picture better?\", \"views\": [\"rgb\", \"alpha\", \"checker\"]}]}";
  int rc = OK;
  json *root = NULL;
  reader r = {e, "questions"};
  TRY(json_parse(e, r.path, questions, sizeof questions - 1, &root));
  TRY(read_questions(&r, root, k));
out:
  json_free(root);
  return rc;
}

static int read_names(const reader *r, const json *root, kit_key *k) {
  int rc = OK;
  const json *list;
  TRY(get_list(r, root, "variants", &list, &k->n_variants));
  TRY(mem_new(r->e, k->n_variants, sizeof *k->variants, "variants", &k->variants));
  int64_t i = 0;
  for (const json *j = list->child; j; j = j->next) {
    if (j->type != JSON_STRING) TRY(wrong(r, j, "a variant is a name"));
    TRY(mem_strdup(r->e, j->str, &k->variants[i++]));
  }
  TRY(get_list(r, root, "prompts", &list, &k->n_prompts));
  TRY(mem_new(r->e, k->n_prompts, sizeof *k->prompts, "prompts", &k->prompts));
  i = 0;
  for (const json *j = list->child; j; j = j->next, i++) {
    TRY(get_string(r, j, "id", &k->prompts[i].id));
    TRY(get_string(r, j, "text", &k->prompts[i].text));
  }
out:
  return rc;
}

static int read_metrics(const reader *r, const json *root, kit_key *k) {
  int rc = OK;
  const json *list;
  TRY(get(r, root, "metrics", JSON_ARRAY, &list));
  k->n_metrics = json_count(list);
  TRY(mem_new(r->e, k->n_metrics, sizeof *k->metrics, "metrics", &k->metrics));
  kit_metric *m = k->metrics;
  for (const json *j = list->child; j; j = j->next, m++) {
    const json *word;
    TRY(get_string(r, j, "id", &m->id));
    TRY(get_int(r, j, "version", 0, INT32_MAX, &m->version));
    TRY(get(r, j, "direction", JSON_STRING, &word));
    m->direction = METRIC_NONE;
    for (int d = METRIC_UP; d <= METRIC_NONE; d++)
      if (!strcmp(word->str, metric_direction_name((metric_direction)d))) m->direction = (metric_direction)d;
  }
out:
  return rc;
}

/* Numbers of [a, b, ...]. */
static int numbers(const reader *r, const json *j, int n, const int64_t range[][2], int64_t *out) {
  if (j->type != JSON_ARRAY || json_count(j) != n) return wrong(r, j, "a list of another length");
  int i = 0;
  for (const json *v = j->child; v; v = v->next, i++) {
    if (v->type != JSON_NUMBER || !v->is_int || v->num < (double)range[i][0] || v->num > (double)range[i][1])
      return wrong(r, v, "a number out of range");
    out[i] = (int64_t)v->num;
  }
  return OK;
}

static int read_clips(const reader *r, const json *root, kit_key *k) {
  int rc = OK;
  const int64_t range[2][2] = {{SEED_NONE, INT64_C(1) << 53}, {SEED_NONE, INT64_C(1) << 53}};
  const json *list;
  int64_t n, i = 0, seeds[2];
  TRY(get_list(r, root, "clips", &list, &n));
  if (n != k->n_prompts * k->n_variants) TRY(wrong(r, list, "not one clip for each prompt and variant"));
  TRY(mem_new(r->e, n, sizeof *k->clips, "clips", &k->clips));
  for (const json *j = list->child; j; j = j->next, i++) {
    TRY(numbers(r, j, 2, range, seeds));
    k->clips[i] = (kit_seeds){seeds[0], seeds[1]};
  }
out:
  return rc;
}

static int read_plan(const reader *r, const json *root, kit_key *k) {
  int rc = OK;
  const int64_t range[3][2] = {
      {0, k->n_prompts - 1}, {KIT_BROKEN, k->n_variants - 1}, {KIT_BROKEN, k->n_variants - 1}};
  const json *forms;
  kit_plan *p = &k->plan;
  int64_t v[3], at = 0, n = 0;
  TRY(get_list(r, root, "participants", &forms, &p->participants));
  for (const json *f = forms->child; f; f = f->next) n += json_count(f);
  TRY(mem_new(r->e, p->participants + 1, sizeof *p->first, "user study", &p->first));
  TRY(mem_new(r->e, n, sizeof *p->trial, "user study", &p->trial));
  int64_t form = 0;
  for (const json *f = forms->child; f; f = f->next) {
    if (f->type != JSON_ARRAY) TRY(wrong(r, f, "a participant has a list of comparisons"));
    for (const json *t = f->child; t; t = t->next) {
      TRY(numbers(r, t, 3, range, v));
      if (v[1] == v[2]) TRY(wrong(r, t, "a clip is compared with itself"));
      p->trial[at++] = (kit_trial){(int32_t)v[0], (int32_t)v[1], (int32_t)v[2]};
    }
    p->first[++form] = at;
  }
out:
  return rc;
}

static int read_all(const reader *r, const json *root, kit_key *k) {
  int rc = OK;
  int64_t version, seed;
  const json *format = json_get(root, "format"), *ties;
  if (!format || format->type != JSON_STRING || strcmp(format->str, FORMAT))
    TRY(wrong(r, root, "this is no key of a user study (key.json of `study-kit export`)"));
  TRY(get_int(r, root, "version", 0, INT32_MAX, &version));
  if (version != VERSION) TRY(wrong(r, root, "a key of another version of this program"));
  TRY(get_hash(r, root, "kit", k->kit));
  TRY(get_hash(r, root, "spec_sha256", k->spec_sha256));
  TRY(get_string(r, root, "study", &k->study));
  TRY(get_int(r, root, "seed", 0, INT64_C(1) << 53, &seed));
  k->seed = (uint64_t)seed;
  TRY(get(r, root, "ties", JSON_BOOL, &ties));
  k->ties = ties->num != 0;
  TRY(read_names(r, root, k));
  TRY(read_questions(r, root, k));
  TRY(read_metrics(r, root, k));
  TRY(read_clips(r, root, k));
  TRY(read_plan(r, root, k));
out:
  return rc;
}

int kit_key_read(err *e, const char *path, kit_key *out) {
  int rc = OK;
  json *root = NULL;
  reader r = {e, path};
  *out = (kit_key){0};
  TRY(json_read(e, path, &root));
  TRY(read_all(&r, root, out));
out:
  json_free(root);
  if (rc != OK) kit_key_free(out);
  return rc;
}

/* --- writing -----------------------------------------------------------------------------------------------------
 */

static void member(text *t, const char *name, const char *value) {
  text_addf(t, "\"%s\": ", name);
  text_add_json(t, value);
}

static void print_questions(const kit_key *k, text *t) {
  text_add(t, "  \"questions\": [");
  for (int64_t i = 0; i < k->n_questions; i++) {
    const kit_question *q = &k->questions[i];
    text_add(t, i ? ",\n    {" : "\n    {");
    member(t, "id", q->id);
    text_add(t, ", ");
    member(t, "text", q->text);
    text_add(t, ", \"views\": [");
    for (int v = 0; v < q->n_views; v++) text_addf(t, "%s\"%s\"", v ? ", " : "", views[q->view[v]]);
    text_addf(t, "], \"prompt\": %s}", q->prompt ? "true" : "false");
  }
  text_add(t, "\n  ],\n");
}

static void print_names(const kit_key *k, text *t) {
  text_add(t, "  \"variants\": [");
  for (int64_t i = 0; i < k->n_variants; i++) {
    text_add(t, i ? ", " : "");
    text_add_json(t, k->variants[i]);
  }
  text_add(t, "],\n  \"prompts\": [");
  for (int64_t i = 0; i < k->n_prompts; i++) {
    text_add(t, i ? ",\n    {" : "\n    {");
    member(t, "id", k->prompts[i].id);
    text_add(t, ", ");
    member(t, "text", k->prompts[i].text);
    text_add(t, "}");
  }
  text_add(t, "\n  ],\n  \"metrics\": [");
  for (int64_t i = 0; i < k->n_metrics; i++) {
    text_add(t, i ? ",\n    {" : "\n    {");
    member(t, "id", k->metrics[i].id);
    text_addf(t, ", \"version\": %lld, \"direction\": \"%s\"}", (long long)k->metrics[i].version,
              metric_direction_name(k->metrics[i].direction));
  }
  text_add(t, k->n_metrics ? "\n  ],\n" : "],\n");
}

void kit_key_print(const kit_key *k, text *t) {
  text_add(t, "{\n  \"format\": \"" FORMAT "\",\n");
  text_addf(t, "  \"version\": %d,\n  \"kit\": \"%s\",\n  ", VERSION, k->kit);
  member(t, "study", k->study);
  text_addf(t, ",\n  \"spec_sha256\": \"%s\",\n  \"seed\": %llu,\n  \"ties\": %s,\n", k->spec_sha256,
            (unsigned long long)k->seed, k->ties ? "true" : "false");
  print_names(k, t);
  print_questions(k, t);
  text_add(t, "  \"clips\": [");
  for (int64_t i = 0; i < k->n_prompts * k->n_variants; i++)
    text_addf(t, "%s[%lld, %lld]", i ? ", " : "", (long long)k->clips[i].train, (long long)k->clips[i].sample);
  text_add(t, "],\n  \"participants\": [");
  for (int64_t p = 0; p < k->plan.participants; p++) {
    text_add(t, p ? ",\n    [" : "\n    [");
    for (int64_t i = k->plan.first[p]; i < k->plan.first[p + 1]; i++) {
      const kit_trial *x = &k->plan.trial[i];
      text_addf(t, "%s[%d, %d, %d]", i > k->plan.first[p] ? ", " : "", x->prompt, x->left, x->right);
    }
    text_add(t, "]");
  }
  text_add(t, "\n  ]\n}\n");
}

void kit_key_free(kit_key *k) {
  for (int64_t i = 0; k->variants && i < k->n_variants; i++) free(k->variants[i]);
  for (int64_t i = 0; k->prompts && i < k->n_prompts; i++) free(k->prompts[i].id), free(k->prompts[i].text);
  for (int64_t i = 0; k->questions && i < k->n_questions; i++) free(k->questions[i].id), free(k->questions[i].text);
  for (int64_t i = 0; k->metrics && i < k->n_metrics; i++) free(k->metrics[i].id);
  free(k->study), free(k->variants), free(k->prompts), free(k->questions), free(k->metrics), free(k->clips);
  kit_plan_free(&k->plan);
  *k = (kit_key){0};
}
