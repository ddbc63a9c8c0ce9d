/* Values: arguments, paths, settings, rows. */
#include "study/load.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

where load_at(const loader *l, int doc, const json *j) {
  return (where){l->s->store->doc[doc].path, j->line, j->col};
}

const json *load_find(const loader *l, const char *path, int *doc) {
  for (int d = l->s->store->n_docs - 1; d >= 0; d--) {
    const json *j = spec_get(l->s->store->doc[d].root, path);
    if (!j) continue;
    *doc = d;
    return j;
  }
  return NULL;
}

int load_keep(loader *l, json *j) {
  struct study_store *t = l->s->store;
  if (!j) return err_set(l->e, E_NOMEM, "no memory for the study");
  int rc = mem_grow(l->e, &t->values, &t->cap_values, t->n_values + 1, sizeof *t->values, "values of the study");
  if (rc == OK)
    t->values[t->n_values++] = j;
  else
    json_free(j);
  return rc;
}

/* --- arguments ---------------------------------------------------------------------------------------------------
 */

static const char *argument(const loader *l, const char *name, size_t n) {
  for (int i = 0; i < l->in->n_args; i++)
    if (strncmp(l->in->args[i], name, n) == 0 && l->in->args[i][n] == '=') return l->in->args[i] + n + 1;
  char path[96] = "args.";
  if (n >= sizeof path - 16) return NULL;
  memcpy(path + 5, name, n);
  path[5 + n] = 0;
  int doc;
  const json *j = load_find(l, path, &doc);
  const json *initial = j && j->type == JSON_OBJECT ? json_get(j, "default") : NULL;
  return initial && initial->type == JSON_STRING ? initial->str : NULL;
}

static int declared(const loader *l, const char *name) {
  char path[96] = "args.";
  size_t n = strlen(name);
  int doc;
  if (n == 0 || n >= sizeof path - 16 || strchr(name, '.')) return 0;
  memcpy(path + 5, name, n + 1);
  return load_find(l, path, &doc) != NULL;
}

int load_expand(loader *l, where at, const char *in, char **out, int *used) {
  text t = {0};
  const char *open, *close;
  *out = NULL;
  *used = 0;
  while ((open = strstr(in, "${")) != NULL && (close = strchr(open, '}')) != NULL) {
    char name[80] = "";
    size_t n = (size_t)(close - open) - 2;
    if (n < sizeof name) memcpy(name, open + 2, n);
    const char *value = declared(l, name) ? argument(l, name, n) : NULL;
    if (!declared(l, name))
      problem_error(l->p, at, "'${%s}' names no argument of this study: declare it under \"args\"", name);
    else if (!value)
      problem_error(l->p, at, "argument '%s' is missing: give it on the command line as %s=VALUE", name, name);
    if (!value) {
      text_free(&t);
      return OK;
    }
    text_addn(&t, in, (size_t)(open - in));
    text_add(&t, value);
    in = close + 1;
    *used = 1;
  }
  text_add(&t, in);
  int rc = text_ok(&t, l->e);
  if (rc == OK)
    *out = t.p;
  else
    text_free(&t);
  return rc;
}

static int join(loader *l, const char *folder, const char *path, char **out) {
  text t = {0};
  if (path[0] != '/') text_add(&t, folder);
  text_add(&t, path);
  int rc = text_ok(&t, l->e);
  if (rc == OK)
    *out = t.p;
  else
    text_free(&t);
  return rc;
}

int load_path(loader *l, int doc, const char *path, char **out) {
  return join(l, l->s->store->doc[doc].folder, path, out);
}

/* --- settings ----------------------------------------------------------------------------------------------------
 */

/* Is the value of a file setting a path to be completed, not a word and not empty? */
static int is_path(const setting *s, const json *v) {
  if (s->kind != SETTING_FILE || v->str[0] == 0) return 0;
  for (int i = 0; s->choices && s->choices[i]; i++)
    if (strcmp(s->choices[i], v->str) == 0) return 0;
  return 1;
}

static int complete(loader *l, const char *folder, const setting *s, json **v) {
  if (!is_path(s, *v)) return OK;
  char *path = NULL;
  int rc = join(l, folder, (*v)->str, &path);
  if (rc != OK) return rc;
  json *whole = json_new_string(path);
  free(path);
  if (!whole) return err_set(l->e, E_NOMEM, "no memory for a path");
  json_free(*v);
  *v = whole;
  return OK;
}

int load_value(loader *l, int doc, const json *j, int i, study_value *into) {
  const setting *s = &spec_settings()[i];
  where at = load_at(l, doc, j);
  text why = {0};
  json *v = NULL;
  char *expanded = NULL;
  int used = 0, rc = OK;
  if (j->type == JSON_STRING && strstr(j->str, "${")) {
    rc = load_expand(l, at, j->str, &expanded, &used);
    if (rc == OK && !expanded) *into = (study_value){into->v, at, GIVEN_BAD};
    if (rc != OK || !expanded) return rc;
  }
  rc = expanded ? spec_value_text(l->e, s, expanded, &v, &why) : spec_value(l->e, s, j, &v, &why);
  if (rc == E_CONFIG) {
    problem_error(l->p, at, "%s", why.p ? why.p : s->path);
    *into = (study_value){into->v, at, GIVEN_BAD};
    rc = OK;
  } else if (rc == OK) {
    /* a path that came from the command line is relative to where the person stands */
    rc = used ? OK : complete(l, l->s->store->doc[doc].folder, s, &v);
    if (rc == OK)
      rc = load_keep(l, v);
    else
      json_free(v);
    if (rc == OK) *into = (study_value){v, at, GIVEN_FILE};
  }
  text_free(&why);
  free(expanded);
  return rc;
}

static size_t section_length(const char *path) {
  const char *dot = strchr(path, '.');
  return dot ? (size_t)(dot - path) : strlen(path);
}

void load_unknown_setting(loader *l, where at, const char *path) {
  const char *all[SPEC_SETTINGS];
  const setting *table = spec_settings();
  text known = {0};
  char hint[NAME_HINT];
  int n = spec_count(), section = 0;
  size_t len = section_length(path);
  for (int i = 0; i < n; i++) {
    all[i] = table[i].path;
    section |= section_length(all[i]) == len && strncmp(all[i], path, len) == 0;
  }
  for (int i = 0; i < n; i++) {
    size_t mine = section_length(all[i]);
    int shown = section ? mine == len && strncmp(all[i], path, len) == 0
                        : i == 0 || mine != section_length(all[i - 1]) || strncmp(all[i], all[i - 1], mine) != 0;
    if (shown) text_addf(&known, "%s%.*s", known.n ? ", " : "", section ? 64 : (int)mine, all[i]);
  }
  name_hint(path, (name_list){all, n}, hint);
  problem_error(l->p, at, "setting '%.200s' is not known%s (known: %s)", path, hint, known.p ? known.p : "");
  text_free(&known);
}

/* One walk over an object of settings. */
typedef struct walk {
  loader *l;
  int doc;
  study_value *into;
  unsigned char seen[SPEC_SETTINGS];
} walk;

static int is_section(const char *path) {
  size_t n = strlen(path);
  for (const setting *s = spec_settings(); s->path; s++)
    if (strncmp(s->path, path, n) == 0 && s->path[n] == '.') return 1;
  return 0;
}

/* The tree is at most as deep as the table's paths, which is what bounds the recursion. */
static int walk_object(walk *w, const json *object, const char *prefix, const char *skip) {
  for (const json *m = object->child; m; m = m->next) {
    if (strcmp(m->key, "//") == 0 || (skip && strcmp(m->key, skip) == 0)) continue;
    text path = {0};
    text_addf(&path, "%s%s%s", prefix, prefix[0] ? "." : "", m->key);
    int rc = text_ok(&path, w->l->e);
    if (rc != OK) return rc;
    where at = load_at(w->l, w->doc, m);
    int i = spec_find(path.p);
    if (i >= 0 && w->seen[i]++)
      problem_error(w->l->p, at, "%s is given twice in this object", path.p);
    else if (i >= 0)
      rc = load_value(w->l, w->doc, m, i, &w->into[i]);
    else if (is_section(path.p) && m->type == JSON_OBJECT)
      rc = walk_object(w, m, path.p, NULL);
    else if (is_section(path.p))
      problem_error(w->l->p, at, "%s wants an object of settings", path.p);
    else
      load_unknown_setting(w->l, at, path.p);
    text_free(&path);
    if (rc != OK) return rc;
  }
  return OK;
}

int load_settings(loader *l, int doc, const json *object, const char *skip, study_value *into) {
  walk w = {.l = l, .doc = doc, .into = into};
  if (object->type != JSON_OBJECT) {
    problem_error(l->p, load_at(l, doc, object), "settings stand in an object: {\"train\": {\"steps\": 300}}");
    return OK;
  }
  return walk_object(&w, object, "", skip);
}

void load_members(loader *l, const char *file, const json *object, name_list known) {
  for (const json *m = object->child; m; m = m->next) {
    int ok = strcmp(m->key, "//") == 0;
    for (int64_t i = 0; i < known.n && !ok; i++) ok = known.v[i] && strcmp(known.v[i], m->key) == 0;
    if (!ok) problem_unknown(l->p, (where){file, m->line, m->col}, "key", m->key, known);
  }
}

void load_json_problem(loader *l, where from, const char *path, const char *message) {
  size_t n = strlen(path);
  if (strncmp(message, path, n) == 0 && message[n] == ':') { /* "path:line:col: what" */
    char *end;
    long line = strtol(message + n + 1, &end, 10);
    long col = *end == ':' ? strtol(end + 1, &end, 10) : 0;
    if (line > 0 && col > 0 && end[0] == ':' && end[1] == ' ') {
      problem_error(l->p, (where){path, (int)line, (int)col}, "%s", end + 2);
      return;
    }
  }
  problem_error(l->p, from, "%s", message);
}

/* --- rows --------------------------------------------------------------------------------------------------------
 */

int load_row(const loader *l, const char *name) {
  for (int i = 0; i < l->s->n_rows; i++)
    if (strcmp(l->s->rows[i].name, name) == 0) return i;
  return -1;
}

int load_add_row(loader *l, const char *name, where at, const study_value *values, int *index) {
  study *s = l->s;
  int n = spec_count();
  int rc = mem_grow(l->e, &s->rows, &l->cap_rows, s->n_rows + 1, sizeof *s->rows, "rows of the study");
  if (rc != OK) return rc;
  study_row *r = &s->rows[s->n_rows];
  *r = (study_row){.at = at, .declared = s->n_rows};
  *index = s->n_rows++; /* counted at once, so that study_free sees a half-made row */
  rc = mem_strdup(l->e, name, &r->name);
  if (rc == OK) rc = mem_new(l->e, n, sizeof *r->value, "settings of a row", &r->value);
  if (rc == OK) memcpy(r->value, values, (size_t)n * sizeof *values);
  return rc;
}

int load_row_names(loader *l, const char ***out) {
  const char **names = NULL;
  int rc = mem_new(l->e, l->s->n_rows, sizeof *names, "names of rows", &names);
  for (int i = 0; rc == OK && i < l->s->n_rows; i++) names[i] = l->s->rows[i].name;
  *out = names;
  return rc;
}
