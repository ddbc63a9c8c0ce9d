/* The study file: documents and what they extend, defaults, base, variants, metrics, contrasts. */
#include "study/study.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/words_near.h"
#include "study/load.h"

static const char *const top_keys[] = {
    "schema", "study",   "help",    "extends", "args",      "base",      "variants",   "reference_variant",
    "matrix", "prompts", "metrics", "primary", "contrasts", "resources", "not_in_key", "paper",
    "gate",   "pairing", NULL};
#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

const char *const *study_members(void) {
  return top_keys;
}

int study_row_find(const study *s, const char *name) {
  for (int i = 0; i < s->n_rows; i++)
    if (strcmp(s->rows[i].name, name) == 0) return i;
  return -1;
}

int study_name_ok(const char *s) {
  size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
  return n > 0 && n <= 64 && s[n] == 0;
}

int study_reads(const study_row *r, const setting *s, stage st) {
  const variant *v = r->design.v; /* NULL: the design could not be read */
  unsigned reader = st == STAGE_SAMPLE && v && design_imports(&r->design) ? SPEC_IMPORT : 1u << st;
  if (!(s->stages & reader)) return 0;
  if (!s->when) return 1;
  char path[64];
  const char *eq = strchr(s->when, '=');
  size_t n = (size_t)(eq - s->when);
  if (n == strlen("design") && !memcmp(s->when, "design", n)) return v && !strcmp(v->name, eq + 1);
  if (n >= sizeof path) return 0;
  memcpy(path, s->when, n);
  path[n] = 0;
  return strcmp(r->value[spec_find(path)].v->str, eq + 1) == 0;
}

/* --- documents ---------------------------------------------------------------------------------------------------
 */

static void check_top(loader *l, int doc) {
  const json *root = l->s->store->doc[doc].root;
  const json *schema = json_get(root, "schema");
  if (!schema || schema->type != JSON_NUMBER || schema->num != 1.0)
    problem_error(l->p, load_at(l, doc, schema ? schema : root), "\"schema\": 1 is what this build reads");
  for (const json *m = root->child; m; m = m->next) {
    int ok = strcmp(m->key, "//") == 0;
    for (int i = 0; i < COUNT(top_keys) - 1; i++) ok |= strcmp(top_keys[i], m->key) == 0;
    if (!ok) problem_unknown(l->p, load_at(l, doc, m), "key", m->key, (name_list){top_keys, COUNT(top_keys) - 1});
  }
}

static int read_doc(loader *l, const char *path, where from, int depth);

static int read_extended(loader *l, const char *path, const json *root, int depth) {
  const json *list = json_get(root, "extends");
  if (!list) return OK;
  if (list->type != JSON_ARRAY) {
    problem_error(l->p, (where){path, list->line, list->col}, "extends wants a list of paths");
    return OK;
  }
  const char *slash = strrchr(path, '/');
  for (const json *j = list->child; j; j = j->next) {
    where at = {path, j->line, j->col};
    text t = {0};
    if (j->type != JSON_STRING) {
      problem_error(l->p, at, "extends wants a list of paths");
      continue;
    }
    if (slash && j->str[0] != '/') text_addn(&t, path, (size_t)(slash - path) + 1);
    text_add(&t, j->str);
    int rc = text_ok(&t, l->e);
    if (rc == OK) rc = read_doc(l, t.p, at, depth + 1);
    text_free(&t);
    if (rc != OK) return rc;
  }
  return OK;
}

static int keep_doc(loader *l, const char *path, json *root) {
  struct study_store *t = l->s->store;
  study_doc *d = &t->doc[t->n_docs];
  const char *slash = strrchr(path, '/');
  text folder = {0};
  if (slash) text_addn(&folder, path, (size_t)(slash - path) + 1);
  int rc = mem_strdup(l->e, path, &d->path);
  if (rc == OK) rc = text_ok(&folder, l->e);
  if (rc == OK) rc = mem_strdup(l->e, folder.n ? folder.p : "", &d->folder);
  text_free(&folder);
  if (rc == OK) {
    d->root = root;
    t->n_docs++;
    return OK;
  }
  free(d->path);
  free(d->folder);
  *d = (study_doc){0};
  json_free(root);
  return rc;
}

/* Depth first, so that what is extended stands before what extends it. A cycle ends at the depth limit. */
static int read_doc(loader *l, const char *path, where from, int depth) {
  json *root = NULL;
  err why = {0};
  if (depth >= LOAD_FILES || l->s->store->n_docs + depth >= LOAD_FILES) {
    problem_error(l->p, from, "%s: a study extends at most %d files; does one extend itself?", path, LOAD_FILES);
    return OK;
  }
  int rc = json_read(&why, path, &root);
  if (rc == E_NOMEM) return err_set(l->e, rc, "%s", why.text);
  if (rc != OK) {
    load_json_problem(l, from, path, why.text);
    return OK;
  }
  if (root->type != JSON_OBJECT) {
    problem_error(l->p, (where){path, root->line, root->col}, "a study is a JSON object");
    json_free(root);
    return OK;
  }
  rc = read_extended(l, path, root, depth);
  if (rc != OK) {
    json_free(root);
    return rc;
  }
  rc = keep_doc(l, path, root);
  if (rc == OK) check_top(l, l->s->store->n_docs - 1);
  return rc;
}

/* --- base, variants, command line --------------------------------------------------------------------------------
 */

static int read_defaults(loader *l) {
  const char *home = l->in->home ? l->in->home : "configs";
  for (int i = 0; i < spec_count(); i++) {
    const setting *s = &spec_settings()[i];
    json *v = NULL;
    int rc = spec_default(l->e, s, &v);
    if (rc == OK && s->kind == SETTING_FILE && v->str[0]) {
      text t = {0};
      text_addf(&t, "%s/%s", home, v->str);
      json_free(v);
      rc = text_ok(&t, l->e);
      v = rc == OK ? json_new_string(t.p) : NULL;
      text_free(&t);
    }
    if (rc == OK) rc = load_keep(l, v);
    if (rc != OK) return rc;
    l->base[i] = (study_value){.v = v, .at = {.file = "the defaults"}};
  }
  return OK;
}

static int read_base(loader *l) {
  const struct study_store *t = l->s->store;
  for (int d = 0; d < t->n_docs; d++) {
    const json *base = json_get(t->doc[d].root, "base"), *resources = json_get(t->doc[d].root, "resources");
    int rc = base ? load_settings(l, d, base, NULL, l->base) : OK;
    if (rc == OK && resources) { /* the section has a place of its own in the file */
      json wrapped = *resources, holder = {.type = JSON_OBJECT, .line = resources->line, .col = resources->col};
      wrapped.next = NULL;
      holder.child = &wrapped;
      rc = load_settings(l, d, &holder, NULL, l->base);
    }
    if (rc != OK) return rc;
  }
  return OK;
}

/* Options that take a text are settings of the row. */
static int read_texts(loader *l, int doc, const json *d, study_row *r) {
  int rc = OK;
  char path[64];
  json word = {.type = JSON_STRING, .line = d->line, .col = d->col};
  for (const variant_option *o = r->design.v->options; rc == OK && o->name; o++) {
    const char *at;
    size_t n = o->values ? 0 : design_text(d->str, o->name, &at);
    if (!n) continue;
    text t = {0};
    snprintf(path, sizeof path, "%s.%s", r->design.v->name, o->name);
    text_addn(&t, at, n);
    rc = text_ok(&t, l->e);
    word.str = t.p;
    if (rc == OK) rc = load_value(l, doc, &word, spec_find(path), &r->value[spec_find(path)]);
    text_free(&t);
  }
  return rc;
}

static int read_design(loader *l, int doc, const json *d, study_row *r) {
  err why = {0};
  if (design_parse(&why, d->str, &r->design) != OK) {
    problem_error(l->p, load_at(l, doc, d), "%s", why.text);
    r->design = (design){0};
    return OK;
  }
  layout lay;
  design_layout(&r->design, &lay);
  r->trains = lay.lora || lay.domain || lay.exchange || lay.widened;
  return read_texts(l, doc, d, r);
}

static int read_variant(loader *l, int doc, const json *j) {
  where at = load_at(l, doc, j);
  const json *d = j->type == JSON_OBJECT ? json_get(j, "design") : j;
  int index;
  if (!study_name_ok(j->key)) {
    problem_error(l->p, at, "variant name '%.80s' must be 1 to 64 of A-Z a-z 0-9 . _ -", j->key);
    return OK;
  }
  if (!d || d->type != JSON_STRING) {
    problem_error(l->p, at, "variant '%s' wants a design: \"sequence:mask=soft\" or {\"design\": \"...\", ...}",
                  j->key);
    return OK;
  }
  int rc = load_add_row(l, j->key, at, l->base, &index);
  if (rc == OK) rc = read_design(l, doc, d, &l->s->rows[index]);
  if (rc == OK && j->type == JSON_OBJECT) rc = load_settings(l, doc, j, "design", l->s->rows[index].value);
  return rc;
}

/* The last file that names a variant decides it; null takes it away; the order is that of first naming. */
static int read_variants(loader *l) {
  const struct study_store *t = l->s->store;
  for (int d = 0; d < t->n_docs; d++) {
    const json *list = json_get(t->doc[d].root, "variants");
    if (list && list->type != JSON_OBJECT) {
      problem_error(l->p, load_at(l, d, list), "variants wants an object: {\"ours\": \"sequence\"}");
      continue;
    }
    for (const json *j = list ? list->child : NULL; j; j = j->next) {
      int first = 1, last = d;
      const json *chosen = j;
      if (strcmp(j->key, "//") == 0) continue;
      for (int other = 0; other < t->n_docs; other++) {
        const json *o = json_get(t->doc[other].root, "variants");
        o = o && o->type == JSON_OBJECT ? json_get(o, j->key) : NULL;
        if (o && other < d) first = 0;
        if (o && other > d) {
          chosen = o;
          last = other;
        }
      }
      int rc = first && chosen->type != JSON_NULL ? read_variant(l, last, chosen) : OK;
      if (rc != OK) return rc;
    }
  }
  if (l->s->n_rows == 0 && l->p->errors == 0)
    problem_error(l->p, (where){t->doc[t->n_docs - 1].path, 1, 1}, "the study has no variants");
  return OK;
}

static int read_set(loader *l, const char *given) {
  where at = {.file = "command line"};
  const char *eq = strchr(given, '=');
  char path[80] = "";
  if (eq && (size_t)(eq - given) < sizeof path) memcpy(path, given, (size_t)(eq - given));
  int i = spec_find(path);
  if (!eq) {
    problem_error(l->p, at, "--set %.200s: wants SETTING=VALUE", given);
    return OK;
  }
  if (i < 0) {
    load_unknown_setting(l, at, path[0] ? path : given);
    return OK;
  }
  text why = {0};
  json *v = NULL;
  int rc = spec_value_text(l->e, &spec_settings()[i], eq + 1, &v, &why);
  if (rc == OK) rc = load_keep(l, v);
  if (rc == E_CONFIG) problem_error(l->p, at, "--set %.200s: %s", given, why.p ? why.p : "");
  for (int r = 0; rc == OK && r < l->s->n_rows; r++) l->s->rows[r].value[i] = (study_value){v, at, GIVEN_COMMAND};
  text_free(&why);
  return rc == E_CONFIG ? OK : rc;
}

/* --- names: arguments, metrics, contrasts, reference --------------------------------------------------------------
 */

static void check_args(loader *l) {
  static const char *const keys[] = {"help", "default"};
  const struct study_store *t = l->s->store;
  const char *known[64];
  int n = 0;
  for (int d = 0; d < t->n_docs; d++) {
    const json *list = json_get(t->doc[d].root, "args");
    if (list && list->type != JSON_OBJECT)
      problem_error(l->p, load_at(l, d, list), "args wants an object: {\"data\": {\"help\": \"...\"}}");
    for (const json *j = list && list->type == JSON_OBJECT ? list->child : NULL; j; j = j->next) {
      if (strcmp(j->key, "//") == 0) continue;
      if (!study_name_ok(j->key) || strchr(j->key, '.') || n == COUNT(known))
        problem_error(l->p, load_at(l, d, j), "argument name '%.80s' must be letters, digits, '_' and '-'", j->key);
      else if (j->type != JSON_OBJECT)
        problem_error(l->p, load_at(l, d, j), "an argument is {\"help\": \"...\", \"default\": \"...\"}");
      else {
        load_members(l, t->doc[d].path, j, (name_list){keys, 2});
        known[n++] = j->key;
      }
    }
  }
  for (int i = 0; i < l->in->n_args; i++) {
    where at = {.file = "command line"};
    char name[80] = "";
    size_t len = strcspn(l->in->args[i], "=");
    int found = 0;
    if (len < sizeof name) memcpy(name, l->in->args[i], len);
    for (int k = 0; k < n; k++) found |= strcmp(known[k], name) == 0;
    if (spec_find(name) >= 0)
      problem_error(l->p, at, "'%s' is a setting, not an argument: --set %.200s", name, l->in->args[i]);
    else if (!found)
      problem_unknown(l->p, at, "argument", name, (name_list){known, n});
  }
}

static int find_metric(const loader *l, const char *id) {
  for (int i = 0; i < l->s->n_metrics; i++)
    if (strcmp(l->s->metrics[i].id, id) == 0) return i;
  return -1;
}

/* One measure of a scorer as a metric of the study. */
static study_metric scorer_metric(const study *s, int scorer, int measure, where at) {
  const study_scorer *x = s->scorers[scorer];
  const card_measure *m = &x->card.measure[measure];
  study_metric out = {.scorer = scorer,
                      .at = at,
                      .version = m->version,
                      .direction = m->direction,
                      .plane = m->plane,
                      .unit = m->unit,
                      .help = m->help[0] ? m->help : m->id,
                      .lo = m->lo,
                      .hi = m->hi,
                      .needs_ref = x->card.wants_base};
  snprintf(out.id, sizeof out.id, "%s/%s", x->id, m->id);
  return out;
}

/* "SCORER/MEASURE"; 0 after recording a problem. */
static int find_measure(loader *l, where at, const char *id, study_metric *out) {
  const study *s = l->s;
  text known = {0};
  for (int i = 0; i < s->n_scorers; i++)
    for (int k = 0; k < s->scorers[i]->card.n; k++) {
      *out = scorer_metric(s, i, k, at);
      if (strcmp(out->id, id) == 0) {
        text_free(&known);
        return 1;
      }
      text_addf(&known, "%s%s", known.n ? ", " : "", out->id);
    }
  problem_error(l->p, at, "no scorer of the study measures '%.200s' (measured: %s)", id,
                known.p ? known.p : "nothing");
  text_free(&known);
  return 0;
}

/* What metric_parse says, unless a score of sets is the nearest name. */
static void unknown_metric(loader *l, where at, const char *id, const err *why) {
  size_t n = strcspn(id, ":");
  near_word near = near_start(id, n);
  for (const metric *const *m = metric_list(); *m; m++) near_offer(&near, (*m)->id);
  const char *metric_best = near.best;
  for (const set_metric *const *m = set_list(); *m; m++) near_offer(&near, (*m)->id);
  if (near.best == metric_best)
    problem_error(l->p, at, "%s", why->text);
  else
    problem_error(l->p, at, "unknown metric '%.*s'%s", (int)n, id, near_hint(&near));
}

/* Canonical text of a metric named anywhere in the study; 0 after recording a problem. */
static int metric_text(loader *l, where at, const json *j, study_metric *out) {
  err why = {0};
  const json *id = j->type == JSON_OBJECT ? json_get(j, "id") : j;
  if (!id || id->type != JSON_STRING || (j->type == JSON_OBJECT && json_count(j) != 1)) {
    problem_error(l->p, at,
                  "a metric is its text: \"true_iou_gain\", \"color_fit:r=4\"; in \"metrics\" only, a scorer is"
                  " {\"id\": \"...\", \"external\": {\"argv\": [\"...\"]}} and a score of sets"
                  " {\"set\": \"...\", \"against\": \"...\"}");
    return 0;
  }
  if (strchr(id->str, '/')) return find_measure(l, at, id->str, out);
  *out = (study_metric){.at = at, .scorer = -1};
  if (load_is_set(id)) {
    problem_error(l->p, at, "'%s' is a score of sets: it stands in \"metrics\" alone and has no paired differences",
                  id->str);
    return 0;
  }
  if (metric_parse(&why, id->str, &out->request) != OK) {
    unknown_metric(l, at, id->str, &why);
    return 0;
  }
  metric_print(&out->request, out->id);
  const metric *m = out->request.metric;
  out->version = m->version;
  out->direction = m->direction;
  out->plane = m->plane;
  out->unit = m->unit;
  out->help = m->help;
  out->needs_ref = (m->needs & (METRIC_NEEDS_TRUTH | METRIC_NEEDS_BASE | METRIC_NEEDS_BASE_TRUTH)) != 0;
  metric_range(&out->request, &out->lo, &out->hi);
  return 1;
}

static int append_metric(loader *l, study_metric m, int primary) {
  study *s = l->s;
  int old = find_metric(l, m.id);
  if (old >= 0) {
    if (s->metrics[old].primary == primary) problem_error(l->p, m.at, "metric '%s' is given twice", m.id);
    return OK; /* a primary metric may stand in the list as well */
  }
  m.primary = primary;
  int rc = mem_grow(l->e, &s->metrics, &l->cap_metrics, s->n_metrics + 1, sizeof m, "metrics");
  if (rc == OK) s->metrics[s->n_metrics++] = m;
  return rc;
}

static int is_external(const json *j) {
  return j->type == JSON_OBJECT && json_get(j, "external") != NULL;
}

/* All measures of the scorer that this entry of the list named; none when it could not be described. */
static int append_measures(loader *l, where at) {
  int rc = OK;
  for (int i = 0; i < l->s->n_scorers; i++) {
    const study_scorer *x = l->s->scorers[i];
    if (x->at.file != at.file || x->at.line != at.line || x->at.col != at.col) continue;
    for (int k = 0; k < x->card.n; k++) TRY(append_metric(l, scorer_metric(l->s, i, k, at), 0));
  }
out:
  return rc;
}

static int add_metric(loader *l, where at, const json *j, int primary) {
  study_metric m;
  if (!primary && is_external(j)) return append_measures(l, at);
  if (!primary && load_is_set(j)) return OK;
  return metric_text(l, at, j, &m) ? append_metric(l, m, primary) : OK;
}

/* Before any metric is looked up: primary ones may name measures of scorers. */
static int read_scorers(loader *l) {
  int doc, rc = OK;
  const json *list = load_find(l, "metrics", &doc);
  for (const json *j = list && list->type == JSON_ARRAY ? list->child : NULL; j; j = j->next)
    if (is_external(j)) TRY(load_scorer(l, doc, j));
out:
  return rc;
}

static int read_metrics(loader *l) {
  static const char *const lists[] = {"primary", "metrics"};
  int doc, rc = read_scorers(l);
  if (rc != OK) return rc;
  for (int i = 0; i < 2; i++) {
    const json *j = load_find(l, lists[i], &doc);
    if (j && j->type != JSON_ARRAY) {
      problem_error(l->p, load_at(l, doc, j), "%s wants a list of metrics", lists[i]);
      continue;
    }
    for (const json *m = j ? j->child : NULL; m; m = m->next) {
      rc = add_metric(l, load_at(l, doc, m), m, i == 0);
      if (rc != OK) return rc;
    }
  }
  const struct study_store *t = l->s->store;
  if (l->s->n_metrics == 0 && l->p->errors == 0)
    problem_error(l->p, (where){t->doc[t->n_docs - 1].path, 1, 1}, "the study has no metrics");
  return OK;
}

static int row_named(loader *l, where at, const json *j, const char *what, int *out) {
  const char **names = NULL;
  int rc = load_row_names(l, &names);
  *out = -1;
  if (rc == OK && (!j || j->type != JSON_STRING))
    problem_error(l->p, at, "%s wants the name of a variant", what);
  else if (rc == OK && (*out = load_row(l, j->str)) < 0)
    problem_unknown(l->p, at, what, j->str, (name_list){names, l->s->n_rows});
  free(names);
  return rc;
}

static int read_contrasts(loader *l) {
  static const char *const keys[] = {"metric", "variant", "against"};
  study *s = l->s;
  int doc = 0, rc = OK;
  const json *list = load_find(l, "contrasts", &doc);
  if (list && list->type != JSON_ARRAY) {
    problem_error(l->p, load_at(l, doc, list), "contrasts wants a list of {\"metric\", \"variant\", \"against\"}");
    return OK;
  }
  for (const json *j = list ? list->child : NULL; j && rc == OK; j = j->next) {
    where at = load_at(l, doc, j);
    study_contrast c = {.against = s->reference};
    study_metric m;
    if (j->type != JSON_OBJECT || !json_get(j, "metric")) {
      problem_error(l->p, at, "a contrast is {\"metric\": \"...\", \"variant\": \"...\", \"against\": \"...\"}");
      continue;
    }
    load_members(l, at.file, j, (name_list){keys, 3});
    int known = metric_text(l, load_at(l, doc, json_get(j, "metric")), json_get(j, "metric"), &m);
    c.metric = known ? find_metric(l, m.id) : -1;
    if (known && c.metric < 0) problem_error(l->p, at, "the study does not measure '%s'", m.id);
    rc = row_named(l, at, json_get(j, "variant"), "variant", &c.row);
    if (rc == OK && json_get(j, "against")) rc = row_named(l, at, json_get(j, "against"), "variant", &c.against);
    if (rc == OK && c.row >= 0 && c.row == c.against) problem_error(l->p, at, "a variant against itself");
    if (rc == OK) rc = mem_grow(l->e, &s->contrasts, &l->cap_contrasts, s->n_contrasts + 1, sizeof c, "contrasts");
    if (rc == OK) s->contrasts[s->n_contrasts++] = c;
  }
  return rc;
}

static int read_gate(loader *l) {
  static const char *const keys[] = {"file"};
  int doc = 0;
  const json *gate = load_find(l, "gate", &doc), *file = gate ? json_get(gate, "file") : NULL;
  if (!gate) return OK;
  if (gate->type != JSON_OBJECT || !file || file->type != JSON_STRING || !file->str[0]) {
    problem_error(l->p, load_at(l, doc, gate), "gate wants {\"file\": \"RULES.json\"}");
    return OK;
  }
  load_members(l, l->s->store->doc[doc].path, gate, (name_list){keys, 1});
  return load_path(l, doc, file->str, &l->s->gate_file);
}

/* What every study does; a file may state it, and may not state anything else. */
static void check_pairing(loader *l) {
  static const char *const keys[] = {"noise", "share"}, *const axes[] = {"prompt", "sample_seed", "train_seed"};
  int doc = 0, seen[COUNT(axes)] = {0};
  const json *pairing = load_find(l, "pairing", &doc);
  if (!pairing) return;
  const json *noise = json_get(pairing, "noise"), *share = json_get(pairing, "share");
  if (pairing->type != JSON_OBJECT) {
    problem_error(l->p, load_at(l, doc, pairing), "pairing wants {\"noise\": \"counter\", \"share\": [...]}");
    return;
  }
  load_members(l, l->s->store->doc[doc].path, pairing, (name_list){keys, COUNT(keys)});
  if (noise && (noise->type != JSON_STRING || strcmp(noise->str, "counter") != 0))
    problem_error(l->p, load_at(l, doc, noise),
                  "noise is \"counter\": the same noise at the same pixel in every design");
  if (!share) return;
  for (const json *j = share->type == JSON_ARRAY ? share->child : NULL; j; j = j->next) {
    int known = 0;
    for (int i = 0; i < COUNT(axes); i++)
      if (j->type == JSON_STRING && strcmp(j->str, axes[i]) == 0) seen[i] = known = 1;
    if (!known) problem_error(l->p, load_at(l, doc, j), "share lists prompt, sample_seed and train_seed");
  }
  for (int i = 0; i < COUNT(axes); i++)
    if (!seen[i])
      problem_error(l->p, load_at(l, doc, share),
                    "share lacks %s: scores are paired by prompt, sample_seed and train_seed", axes[i]);
}

static void check_not_in_key(loader *l) {
  int doc;
  const json *list = load_find(l, "not_in_key", &doc);
  if (list && list->type != JSON_ARRAY) problem_error(l->p, load_at(l, doc, list), "not_in_key wants a list");
  for (const json *j = list && list->type == JSON_ARRAY ? list->child : NULL; j; j = j->next) {
    size_t n = j->type == JSON_STRING ? strlen(j->str) : 0;
    int found = 0, reads = 0;
    for (const setting *s = spec_settings(); n && s->path; s++) {
      if (strncmp(s->path, j->str, n) != 0 || (s->path[n] != 0 && s->path[n] != '.')) continue;
      found = 1;
      if (!s->neutral) reads = 1;
    }
    if (!found)
      load_unknown_setting(l, load_at(l, doc, j), n ? j->str : "");
    else if (reads)
      problem_error(l->p, load_at(l, doc, j), "'%s' changes results and cannot be left out of keys", j->str);
  }
}

/* --- the whole ---------------------------------------------------------------------------------------------------
 */

static int read_names(loader *l) {
  int doc = 0, rc = OK;
  const struct study_store *t = l->s->store;
  where top = {t->doc[t->n_docs - 1].path, 1, 1};
  const json *name = load_find(l, "study", &doc);
  if (!name)
    problem_error(l->p, top, "the study has no name: \"study\": \"my-study\"");
  else if (name->type != JSON_STRING || !study_name_ok(name->str))
    problem_error(l->p, load_at(l, doc, name), "the study's name must be 1 to 64 of A-Z a-z 0-9 . _ -");
  else
    rc = mem_strdup(l->e, name->str, &l->s->name);
  const json *help = load_find(l, "help", &doc);
  if (help && help->type != JSON_STRING) problem_error(l->p, load_at(l, doc, help), "help wants a string");
  if (rc == OK) rc = mem_strdup(l->e, help && help->type == JSON_STRING ? help->str : "", &l->s->help);
  const json *reference = load_find(l, "reference_variant", &doc);
  if (rc == OK && reference) rc = row_named(l, load_at(l, doc, reference), reference, "variant", &l->s->reference);
  return rc;
}

static void add_document(text *t, const json *root) {
  json *copy = json_copy(root);
  if (!copy) t->failed = 1;
  for (json **m = copy ? &copy->child : NULL; m && *m;) {
    json *one = *m;
    if (strcmp(one->key, "paper") != 0 && strcmp(one->key, "gate") != 0) {
      m = &one->next;
      continue;
    }
    *m = one->next;
    one->next = NULL;
    json_free(one);
  }
  if (copy) json_canonical(t, copy);
  json_free(copy);
}

/* What the person wrote, without what does not matter: files merged in order, arguments, prompts by content. */
static int make_text(loader *l) {
  study *s = l->s;
  text t = {0};
  text_add(&t, "{\"args\":[");
  for (int i = 0; i < l->in->n_args; i++) {
    text_add(&t, i ? "," : "");
    text_add_json(&t, l->in->args[i]);
  }
  text_add(&t, "],\"files\":[");
  for (int d = 0; d < s->store->n_docs; d++) {
    text_add(&t, d ? "," : "");
    add_document(&t, s->store->doc[d].root);
  }
  text_add(&t, "],\"prompts\":{");
  for (int i = 0; i < s->n_prompts; i++) {
    text_add(&t, i ? "," : "");
    text_add_json(&t, s->prompts[i].id);
    text_addf(&t, ":\"%s\"", s->prompts[i].sha256);
  }
  text_add(&t, "},\"sets\":[");
  for (int i = 0; i < l->in->n_sets; i++) {
    text_add(&t, i ? "," : "");
    text_add_json(&t, l->in->sets[i]);
  }
  text_add(&t, "]}");
  int rc = text_ok(&t, l->e);
  if (rc == OK) rc = hash_bytes(l->e, t.p, t.n, s->sha256);
  if (rc == OK)
    s->text = t.p;
  else
    text_free(&t);
  return rc;
}

static int load_all(loader *l) {
  int rc = read_doc(l, l->in->file, (where){.file = "command line"}, 0);
  if (rc != OK || l->s->store->n_docs == 0) return rc;
  check_args(l);
  rc = read_defaults(l);
  if (rc == OK) rc = read_base(l);
  if (rc == OK) rc = read_variants(l);
  for (int i = 0; rc == OK && i < l->in->n_sets; i++) rc = read_set(l, l->in->sets[i]);
  if (rc == OK) rc = load_prompts(l);
  if (rc == OK) rc = read_metrics(l);
  if (rc == OK) rc = read_names(l);
  if (rc == OK) rc = load_matrix(l);
  if (rc == OK) rc = load_sets(l);
  if (rc == OK) rc = read_contrasts(l);
  if (rc == OK) rc = load_paper(l);
  if (rc == OK) rc = read_gate(l);
  check_not_in_key(l);
  check_pairing(l);
  if (rc == OK) load_checks(l);
  if (rc == OK) rc = make_text(l);
  return rc;
}

int study_load(err *e, const study_input *in, problems *p, study **out) {
  loader l = {.e = e, .p = p, .in = in};
  study *s = NULL;
  int rc = OK;
  *out = NULL;
  TRY(mem_new(e, 1, sizeof *s, "study", &s));
  l.s = s;
  TRY(mem_new(e, 1, sizeof *s->store, "study", &s->store));
  TRY(mem_new(e, spec_count(), sizeof *l.base, "settings", &l.base));
  TRY(load_all(&l));
  TRY(problems_result(p, e));
  *out = s;
  s = NULL;
out:
  free(l.base);
  study_free(s);
  return rc;
}

static void free_scorer(study_scorer *x) {
  for (int i = 0; i < x->n_argv; i++) free(x->argv[i]);
  free(x->argv);
  free(x->folder);
  free(x);
}

void study_free(study *s) {
  if (!s) return;
  for (int i = 0; i < s->n_rows; i++) {
    free(s->rows[i].name);
    free(s->rows[i].value);
  }
  for (int i = 0; i < s->n_prompts; i++) {
    free(s->prompts[i].id);
    free(s->prompts[i].text);
    free(s->prompts[i].category);
  }
  for (int i = 0; s->store && i < s->store->n_docs; i++) {
    free(s->store->doc[i].path);
    free(s->store->doc[i].folder);
    json_free(s->store->doc[i].root);
  }
  for (int64_t i = 0; s->store && i < s->store->n_values; i++) json_free(s->store->values[i]);
  if (s->store) free(s->store->values);
  free(s->store);
  free(s->rows);
  free(s->prompts);
  free(s->metrics);
  for (int i = 0; i < s->n_scorers; i++) free_scorer(s->scorers[i]);
  free(s->scorers);
  free(s->sets);
  free(s->contrasts);
  free(s->points);
  free(s->excluded);
  for (int i = 0; i < s->n_paper_tables; i++) free(s->paper_tables[i]);
  free(s->paper_tables);
  free(s->paper_numbers);
  free(s->name);
  free(s->help);
  free(s->gate_file);
  free(s->text);
  free(s);
}
