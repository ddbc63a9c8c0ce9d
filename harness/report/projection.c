#include "report/projection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char *const key_name[KEY_SETTINGS] = {"variant",  "metric",     "prompt",
                                                   "category", "train_seed", "sample_seed"};

/* --- values ---------------------------------------------------------------------------------------------------- */

const char *source_key(const table_source *s, int key) {
  if (key < KEY_SETTINGS) return key_name[key];
  return key < KEY_SETTINGS + s->n_settings ? s->settings[key - KEY_SETTINGS] : NULL;
}

static const char *category_of(const table_source *s, const char *prompt) {
  for (int64_t i = 0; prompt && i < s->n_prompts; i++)
    if (strcmp(s->prompts[i], prompt) == 0) return s->categories[i][0] ? s->categories[i] : "none";
  return "none";
}

static const char *seed_text(int64_t seed, char buf[24]) {
  if (seed == SEED_NONE) return "none";
  snprintf(buf, 24, "%lld", (long long)seed);
  return buf;
}

const char *source_value(const table_source *s, int key, const source_point *p, char buf[24]) {
  switch (key) {
  case KEY_VARIANT: return s->in->rows[p->row];
  case KEY_METRIC: return "";
  case KEY_PROMPT: return p->prompt ? p->prompt : "none";
  case KEY_CATEGORY: return category_of(s, p->prompt);
  case KEY_TRAIN_SEED: return seed_text(p->train_seed, buf);
  case KEY_SAMPLE_SEED: return seed_text(p->sample_seed, buf);
  default: return s->setting_values[p->row * s->n_settings + key - KEY_SETTINGS];
  }
}

int source_values_add(err *e, source_values *l, const char *v) {
  for (int64_t i = l->n; i-- > 0;) /* equal ones come close together */
    if (strcmp(l->v[i], v) == 0) return OK;
  int rc = mem_grow(e, &l->v, &l->cap, l->n + 1, sizeof *l->v, "values of a key");
  if (rc == OK) rc = mem_strdup(e, v, &l->v[l->n]);
  if (rc == OK) l->n++;
  return rc;
}

/* Rows and settings also of variants without a clip. */
static int values_of_rows(err *e, const table_source *s, int key, source_values *out) {
  char buf[24];
  int rc = OK;
  for (int64_t r = 0; r < s->in->n_rows; r++)
    TRY(source_values_add(e, out, source_value(s, key, &(source_point){.row = r}, buf)));
out:
  return rc;
}

int source_values_of(err *e, const table_source *s, int key, source_values *out) {
  char buf[24];
  int rc = OK, seed = key == KEY_TRAIN_SEED || key == KEY_SAMPLE_SEED;
  *out = (source_values){0};
  if (key == KEY_METRIC) {
    for (int64_t i = 0; i < s->in->n_metrics; i++) TRY(source_values_add(e, out, s->in->metrics[i].id));
  } else if (key == KEY_VARIANT || key >= KEY_SETTINGS) {
    TRY(values_of_rows(e, s, key, out));
  }
  for (int64_t i = 0; key != KEY_METRIC && i < s->in->n_points; i++) {
    const char *v = source_value(s, key, &s->in->points[i], buf);
    if (!seed || strcmp(v, "none") != 0)
      TRY(source_values_add(e, out, v)); /* a clip without the axis goes with all */
  }
out:
  if (rc != OK) source_values_free(out);
  return rc;
}

void source_values_free(source_values *l) {
  for (int64_t i = 0; i < l->n; i++) free(l->v[i]);
  free(l->v);
  *l = (source_values){0};
}

/* --- axes ------------------------------------------------------------------------------------------------------ */

static int unknown(err *e, const char *what, const char *word, const char *const *known, int64_t n) {
  text all = {0};
  char hint[NAME_HINT];
  name_hint(word, (name_list){known, n}, hint);
  for (int64_t i = 0; i < n && all.n < 900; i++) text_addf(&all, "%s%s", i ? ", " : "", known[i]);
  err_set(e, E_CONFIG, "%s '%.200s' is not known%s (known: %s)", what, word, hint, all.p ? all.p : "none");
  text_free(&all);
  return E_CONFIG;
}

static int find_key(err *e, const table_source *s, const char *word, int *out) {
  const char *known[KEY_SETTINGS + SPEC_SETTINGS];
  int n = KEY_SETTINGS + (int)s->n_settings;
  for (int i = 0; i < n; i++) {
    known[i] = source_key(s, i);
    if (strcmp(known[i], word) == 0) {
      *out = i;
      return OK;
    }
  }
  return unknown(e, "key", word, known, n);
}

static int has_value(const source_values *l, const char *v, size_t n) {
  for (int64_t i = 0; i < l->n; i++)
    if (strlen(l->v[i]) == n && memcmp(l->v[i], v, n) == 0) return 1;
  return 0;
}

static int push_value(err *e, projection_key *k, const char *name, size_t n, const char *label) {
  text t = {0};
  int rc = OK;
  text_addn(&t, name, n);
  TRY(text_ok(&t, e));
  for (int64_t i = 0; i < k->n; i++)
    if (strcmp(k->value[i].name, t.p) == 0) FAIL(e, E_CONFIG, "'%.200s' is given twice", t.p);
  TRY(mem_grow(e, &k->value, &k->cap, k->n + 1, sizeof *k->value, "projection"));
  k->value[k->n] = (projection_value){0};
  TRY(mem_strdup(e, t.p, &k->value[k->n].name));
  k->n++;
  if (label) TRY(mem_strdup(e, label, &k->value[k->n - 1].label));
out:
  text_free(&t);
  return rc;
}

/* One word in brackets: VALUE, VALUE=LABEL, or '*'. */
static int add_word(err *e, const source_values *known, const char *word, projection_key *k) {
  size_t n = strlen(word);
  int rc = OK;
  if (strcmp(word, "*") == 0) {
    for (int64_t i = 0; i < known->n; i++) {
      int there = 0;
      for (int64_t j = 0; j < k->n; j++) there |= strcmp(k->value[j].name, known->v[i]) == 0;
      if (!there) TRY(push_value(e, k, known->v[i], strlen(known->v[i]), NULL));
    }
    return OK;
  }
  if (has_value(known, word, n)) return push_value(e, k, word, n, NULL);
  for (size_t at = n; at-- > 0;)
    if (word[at] == '=' && has_value(known, word, at)) return push_value(e, k, word, at, word + at + 1);
  text bare = {0};
  text_addn(&bare, word, strcspn(word, "="));
  text_add(&bare, "");
  rc = unknown(e, "value", bare.p && bare.n ? bare.p : word, (const char *const *)known->v, known->n);
  text_free(&bare);
out:
  return rc;
}

/* The next word of `*at` up to white space or one of `ends`, quotes taken away; empty at the end. */
static int next_word(err *e, const char **at, const char *ends, text *out) {
  const char *s = *at + strspn(*at, " \t\n");
  int quoted = 0;
  text_free(out);
  text_add(out, "");
  for (; *s && (quoted || (!strchr(" \t\n", *s) && !strchr(ends, *s))); s++) {
    if (*s == '"')
      quoted = !quoted;
    else
      text_addn(out, s, 1);
  }
  text_add(out, "");
  *at = s;
  if (quoted) return err_set(e, E_CONFIG, "a quote has no end");
  return text_ok(out, e);
}

/* Behind "KEY@". */
static int read_values(err *e, const char **at, const source_values *known, projection_key *k) {
  text word = {0};
  int rc = OK;
  if (**at != '(') return err_set(e, E_CONFIG, "behind '@' stand values in brackets: variant@(ours batch)");
  for (++*at;;) {
    TRY(next_word(e, at, ")", &word));
    if (word.n == 0) break;
    TRY(add_word(e, known, word.p, k));
  }
  if (**at != ')') FAIL(e, E_CONFIG, "a bracket has no end");
  ++*at;
  if (k->n == 0) FAIL(e, E_CONFIG, "the brackets are empty");
out:
  text_free(&word);
  return rc;
}

static int read_key(err *e, const table_source *s, const char **at, projection_axis *out) {
  projection_key *k = &out->key[out->n];
  source_values known = {0};
  text word = {0};
  int rc = OK;
  TRY(next_word(e, at, "@(),", &word));
  if (word.n == 0) FAIL(e, E_CONFIG, "'%.40s' does not begin with a key", *at);
  TRY(find_key(e, s, word.p, &k->key));
  out->n++; /* counted at once, so that it is freed */
  TRY(source_values_of(e, s, k->key, &known));
  if (**at == '@') {
    ++*at;
    TRY(read_values(e, at, &known, k));
  } else {
    TRY(add_word(e, &known, "*", k));
  }
out:
  source_values_free(&known);
  text_free(&word);
  return rc;
}

int projection_axis_parse(err *e, const table_source *s, const char *given, projection_axis *out) {
  int rc = OK;
  for (const char *at = given;;) {
    at += strspn(at, " \t\n,");
    if (!*at) return out->n ? OK : err_set(e, E_CONFIG, "no key is given");
    if (out->n == PROJECTION_KEYS) FAIL(e, E_CONFIG, "at most %d keys", PROJECTION_KEYS);
    TRY(read_key(e, s, &at, out));
  }
out:
  return rc;
}

/* --- the rest -------------------------------------------------------------------------------------------------- */

int projection_filter(err *e, const char *given, projection *p) {
  unsigned fields = SELECT_BIT(SELECT_VARIANT) | SELECT_BIT(SELECT_PROMPT) | SELECT_BIT(SELECT_TRAIN_SEED) |
                    SELECT_BIT(SELECT_SAMPLE_SEED) | SELECT_BIT(SELECT_SEED);
  return select_parse(e, given, fields, &p->filter);
}

int projection_add_label(err *e, projection *p, const char *name, const char *label) {
  int rc = mem_grow(e, &p->label, &p->cap_labels, p->n_labels + 1, sizeof *p->label, "labels");
  projection_value *v = rc == OK ? &p->label[p->n_labels++] : NULL;
  if (rc == OK) *v = (projection_value){0};
  if (rc == OK) rc = mem_strdup(e, name, &v->name);
  if (rc == OK) rc = mem_strdup(e, label, &v->label);
  return rc;
}

int projection_add_footnote(err *e, projection *p, const char *line) {
  int rc = mem_grow(e, &p->footnote, &p->cap_footnotes, p->n_footnotes + 1, sizeof *p->footnote, "footnotes");
  if (rc == OK) rc = mem_strdup(e, line, &p->footnote[p->n_footnotes]);
  if (rc == OK) p->n_footnotes++;
  return rc;
}

int projection_add_precision(err *e, projection *p, const char *id, int decimals) {
  int rc = mem_grow(e, &p->precision, &p->cap_precisions, p->n_precisions + 1, sizeof *p->precision, "precision");
  projection_precision *v = rc == OK ? &p->precision[p->n_precisions++] : NULL;
  if (rc == OK) *v = (projection_precision){.decimals = decimals};
  if (rc == OK && id) rc = mem_strdup(e, id, &v->metric);
  return rc;
}

int projection_complete(err *e, const table_source *s, projection *p) {
  projection_axis *const axis[] = {&p->rows, &p->columns, &p->split};
  unsigned char seen[KEY_SETTINGS + SPEC_SETTINGS] = {0};
  int rc = OK;
  if (!p->columns.n) TRY(projection_axis_parse(e, s, "metric", &p->columns));
  if (!p->rows.n) TRY(projection_axis_parse(e, s, "variant", &p->rows));
  for (int a = 0; a < 3; a++)
    for (int i = 0; i < axis[a]->n; i++) {
      int key = axis[a]->key[i].key;
      if (seen[key]++) FAIL(e, E_CONFIG, "key '%s' is used twice", source_key(s, key));
      if (key == KEY_METRIC && a != 1) FAIL(e, E_CONFIG, "metrics stand in columns: each has its own unit");
    }
  if (!seen[KEY_METRIC]) FAIL(e, E_CONFIG, "columns want the key 'metric'");
out:
  return rc;
}

static void free_values(projection_value *v, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    free(v[i].name);
    free(v[i].label);
  }
  free(v);
}

static void free_axis(projection_axis *a) {
  for (int i = 0; i < a->n; i++) free_values(a->key[i].value, a->key[i].n);
}

void projection_free(projection *p) {
  free_axis(&p->rows);
  free_axis(&p->columns);
  free_axis(&p->split);
  select_free(p->filter);
  free_values(p->label, p->n_labels);
  for (int64_t i = 0; i < p->n_precisions; i++) free(p->precision[i].metric);
  free(p->precision);
  for (int64_t i = 0; i < p->n_footnotes; i++) free(p->footnote[i]);
  free(p->footnote);
  *p = (projection){0};
}
