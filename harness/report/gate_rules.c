#include "report/gate_rules.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metrics/describe.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

static const char *const top_keys[] = {"schema",     "baseline",     "family_alpha", "on_unclear",
                                       "on_missing", "require_same", "rules",        "mute"};
static const char *const rule_keys[] = {"metric", "variant", "study", "host_class", "max_drop",          "max_rise",
                                        "floor",  "ceiling", "test",  "quorum",     "max_undefined_rise"};
static const char *const mute_keys[] = {"metric", "variant", "until", "why"};
static const char *const tests[] = {"paired", "absolute", "equal", "median"};
static const char *const policies[] = {"fail", "pass"};
static const char *const sames[] = {"prompts.sha256", "metric_version", "noise", "host_class", "study.sha256"};

typedef struct reader {
  err *e;
  problems *p;
  gate_rules *g;
} reader;

static where at(const reader *r, const json *j) {
  return (where){r->g->file, j->line, j->col};
}

static void members(const reader *r, const json *object, const char *const *known, int n) {
  for (const json *m = object->child; m; m = m->next) {
    int ok = strcmp(m->key, "//") == 0;
    for (int i = 0; i < n; i++) ok |= strcmp(known[i], m->key) == 0;
    if (!ok) problem_unknown(r->p, at(r, m), "key", m->key, (name_list){known, n});
  }
}

/* A text member; NULL when absent (a problem if it is `needed`) or of another type. */
static const char *text_of(const reader *r, const json *object, const char *key, int needed) {
  const json *j = json_get(object, key);
  if (!j && needed) problem_error(r->p, at(r, object), "\"%s\" is missing", key);
  if (!j) return NULL;
  if (j->type == JSON_STRING && j->str[0]) return j->str;
  problem_error(r->p, at(r, j), "\"%s\" wants a text", key);
  return NULL;
}

/* Index of a word; `otherwise` when absent or unknown. */
static int choice(const reader *r, const json *object, const char *key, name_list words, int otherwise) {
  const char *s = text_of(r, object, key, 0);
  for (int64_t i = 0; s && i < words.n; i++)
    if (strcmp(words.v[i], s) == 0) return (int)i;
  if (s) problem_unknown(r->p, at(r, json_get(object, key)), key, s, words);
  return otherwise;
}

static double number(const reader *r, const json *object, const char *key, double otherwise) {
  const json *j = json_get(object, key);
  if (!j) return otherwise;
  if (j->type == JSON_NUMBER) return j->num;
  problem_error(r->p, at(r, j), "\"%s\" wants a number", key);
  return otherwise;
}

/* strtod takes hex, inf and nan as well. */
static int plain_number(const char *s, double *v, const char **rest) {
  char *end;
  size_t n = strspn(s, "0123456789.");
  if (!n) return 0;
  if (s[n] == 'e' && s[n + 1 + strspn(s + n + 1, "+-")] >= '0' && s[n + 1 + strspn(s + n + 1, "+-")] <= '9')
    n += 1 + strspn(s + n + 1, "+-0123456789");
  *v = strtod(s, &end);
  *rest = end;
  return end == s + n && isfinite(*v);
}

static void bound(const reader *r, const json *rule, const char *key, gate_bound *out) {
  const json *j = json_get(rule, key);
  const char *rest = NULL;
  if (!j) return;
  *out = (gate_bound){.line = j->line, .col = j->col};
  if (j->type == JSON_NUMBER && j->num >= 0) {
    out->v = j->num;
    out->given = 1;
    return;
  }
  if (j->type != JSON_STRING || !plain_number(j->str, &out->v, &rest)) {
    problem_error(r->p, at(r, j), "%s wants a number from 0, or a text like \"0.3 dB\" or \"2%%\"", key);
    return;
  }
  rest += strspn(rest, " ");
  out->percent = strcmp(rest, "%") == 0;
  out->given = 1;
  if (!out->percent) snprintf(out->unit, sizeof out->unit, "%s", rest);
  if (strlen(rest) >= sizeof out->unit) problem_error(r->p, at(r, j), "%s: '%.40s...' is no unit", key, rest);
}

/* A rule that nothing can break would be green for ever. */
static void check_rule(const reader *r, const json *j, const gate_rule *x) {
  int bounds = x->drop.given || x->rise.given, levels = !isnan(x->floor) || !isnan(x->ceiling);
  int tried = json_get(j, "max_drop") || json_get(j, "max_rise") || json_get(j, "floor") || json_get(j, "ceiling");
  if (x->test == GATE_EQUAL && (tried || x->undefined.given))
    problem_error(r->p, at(r, j), "\"equal\" allows no change; leave the bounds out");
  if (x->test != GATE_EQUAL && !tried)
    problem_error(r->p, at(r, j),
                  "this rule can never fail: give max_drop, max_rise, floor or ceiling, or test "
                  "\"equal\"");
  if (levels && (x->test == GATE_PAIRED || x->test == GATE_MEDIAN) && !bounds && json_get(j, "test"))
    problem_error(r->p, at(r, json_get(j, "test")), "floor and ceiling look at the score itself: test \"absolute\"");
  if (x->floor > x->ceiling) problem_error(r->p, at(r, j), "floor is above ceiling");
  if (x->quorum > 1 && x->test != GATE_MEDIAN)
    problem_error(r->p, at(r, json_get(j, "quorum")), "quorum is for test \"median\": elsewhere one is enough");
}

static int read_rule(reader *r, const json *j, gate_rule *x) {
  *x = (gate_rule){.line = j->line, .col = j->col, .variant = "*", .quorum = 1, .floor = NAN, .ceiling = NAN};
  if (j->type != JSON_OBJECT) {
    problem_error(r->p, at(r, j), "a rule is {\"metric\": \"...\", \"variant\": \"...\", \"max_drop\": ...}");
    return OK;
  }
  members(r, j, rule_keys, COUNT(rule_keys));
  x->metric = text_of(r, j, "metric", 1);
  if (json_get(j, "variant")) x->variant = text_of(r, j, "variant", 1);
  x->study = text_of(r, j, "study", 0);
  x->host_class = text_of(r, j, "host_class", 0);
  bound(r, j, "max_drop", &x->drop);
  bound(r, j, "max_rise", &x->rise);
  bound(r, j, "max_undefined_rise", &x->undefined);
  x->floor = number(r, j, "floor", NAN);
  x->ceiling = number(r, j, "ceiling", NAN);
  x->test = (gate_test)choice(r, j, "test", (name_list){tests, COUNT(tests)},
                              x->drop.given || x->rise.given ? GATE_PAIRED : GATE_ABSOLUTE);
  double quorum = number(r, j, "quorum", 1);
  if (!(quorum >= 1 && quorum <= 1e6 && quorum == floor(quorum)))
    problem_error(r->p, at(r, json_get(j, "quorum")), "quorum wants a whole number from 1");
  else
    x->quorum = (int64_t)quorum;
  check_rule(r, j, x);
  return OK;
}

int gate_day_ok(const char *s) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (strlen(s) != 10) return 0;
  for (int i = 0; i < 10; i++)
    if (i == 4 || i == 7 ? s[i] != '-' : s[i] < '0' || s[i] > '9') return 0;
  int y = (int)strtol(s, NULL, 10), m = (int)strtol(s + 5, NULL, 10), d = (int)strtol(s + 8, NULL, 10);
  int leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
  return m >= 1 && m <= 12 && d >= 1 && d <= days[m - 1] + (m == 2 && leap);
}

static void read_mute(reader *r, const json *j, gate_mute *x) {
  *x = (gate_mute){.line = j->line, .col = j->col, .variant = "*"};
  if (j->type != JSON_OBJECT) {
    problem_error(r->p, at(r, j), "a mute is {\"metric\", \"variant\", \"until\", \"why\"}");
    return;
  }
  members(r, j, mute_keys, COUNT(mute_keys));
  x->metric = text_of(r, j, "metric", 1);
  if (json_get(j, "variant")) x->variant = text_of(r, j, "variant", 1);
  x->until = text_of(r, j, "until", 1);
  x->why = text_of(r, j, "why", 1);
  if (x->until && !gate_day_ok(x->until))
    problem_error(r->p, at(r, json_get(j, "until")), "until wants a day, YYYY-MM-DD");
}

static int read_lists(reader *r, const json *root) {
  const json *rules = json_get(root, "rules"), *mutes = json_get(root, "mute"),
             *same = json_get(root, "require_same");
  int rc = OK;
  if (!rules || rules->type != JSON_ARRAY || !rules->child) {
    problem_error(r->p, at(r, rules ? rules : root), "\"rules\" wants a list with at least one rule");
  } else {
    TRY(mem_new(r->e, json_count(rules), sizeof *r->g->rules, "rules", &r->g->rules));
    for (const json *j = rules->child; j; j = j->next) TRY(read_rule(r, j, &r->g->rules[r->g->n_rules++]));
  }
  if (mutes && mutes->type != JSON_ARRAY) {
    problem_error(r->p, at(r, mutes), "\"mute\" wants a list");
  } else if (mutes) {
    TRY(mem_new(r->e, json_count(mutes), sizeof *r->g->mutes, "mutes", &r->g->mutes));
    for (const json *j = mutes->child; j; j = j->next) read_mute(r, j, &r->g->mutes[r->g->n_mutes++]);
  }
  if (same && same->type != JSON_ARRAY) problem_error(r->p, at(r, same), "\"require_same\" wants a list");
  for (const json *j = same && same->type == JSON_ARRAY ? same->child : NULL; j; j = j->next) {
    unsigned bit = 0;
    for (int i = 0; i < COUNT(sames) && j->type == JSON_STRING; i++)
      if (strcmp(sames[i], j->str) == 0) bit = 1u << i;
    r->g->same |= bit;
    if (!bit)
      problem_unknown(r->p, at(r, j), "require_same", j->type == JSON_STRING ? j->str : "",
                      (name_list){sames, COUNT(sames)});
  }
out:
  return rc;
}

static int read_root(reader *r, const json *root) {
  const json *schema;
  if (root->type != JSON_OBJECT) {
    problem_error(r->p, at(r, root), "a rule file is an object with \"rules\"");
    return OK;
  }
  members(r, root, top_keys, COUNT(top_keys));
  schema = json_get(root, "schema");
  if (!schema || schema->type != JSON_NUMBER || schema->num != 1)
    problem_error(r->p, at(r, schema ? schema : root), "\"schema\": 1 is what this build reads");
  r->g->baseline = text_of(r, root, "baseline", 0);
  r->g->alpha = number(r, root, "family_alpha", 0.05);
  if (!(r->g->alpha > 0 && r->g->alpha < 1))
    problem_error(r->p, at(r, json_get(root, "family_alpha")), "family_alpha wants a number between 0 and 1");
  r->g->pass_unclear = choice(r, root, "on_unclear", (name_list){policies, 2}, 0);
  r->g->pass_missing = choice(r, root, "on_missing", (name_list){policies, 2}, 0);
  return read_lists(r, root);
}

static int verdict_on(err *e, const problems *p, const char *file) {
  if (p->lost) return err_set(e, E_NOMEM, "no memory to record the problems of %s", file);
  if (!p->errors) return OK;
  return err_set(e, E_CONFIG, "%s: %lld error%s", file, (long long)p->errors, p->errors == 1 ? "" : "s");
}

/* "FILE:LINE:COL: text" of the reader, as a problem. */
static void unreadable(problems *p, const char *file, const char *message) {
  int line = 0, col = 0, skip = 0;
  size_t n = strlen(file);
  if (strncmp(message, file, n) == 0 && sscanf(message + n, ":%9d:%9d: %n", &line, &col, &skip) == 2)
    message += n + (size_t)skip;
  problem_error(p, (where){file, line, col}, "%s", message);
}

int gate_rules_read(err *e, const char *path, problems *p, gate_rules *out) {
  reader r = {e, p, out};
  err why = {0};
  int rc = OK;
  *out = (gate_rules){.alpha = 0.05};
  TRY(mem_strdup(e, path, &out->file));
  rc = json_read(&why, path, &out->root);
  if (rc == E_NOMEM) FAIL(e, rc, "%s", why.text);
  if (rc != OK)
    unreadable(p, path, why.text);
  else
    TRY(read_root(&r, out->root));
  TRY(verdict_on(e, p, path));
out:
  if (rc != OK) gate_rules_free(out);
  return rc;
}

void gate_rules_free(gate_rules *g) {
  free(g->file);
  free(g->rules);
  free(g->mutes);
  json_free(g->root);
  *g = (gate_rules){0};
}

/* --- names and units -------------------------------------------------------------------------------------------- */

typedef struct binder {
  err *e;
  const gate_rules *g;
  const baseline *side[2];
  problems *p;
  const char **metrics, **variants;
  int64_t n_metrics, n_variants, cap_metrics, cap_variants;
} binder;

static int add_name(err *e, const char ***list, int64_t *n, int64_t *cap, const char *s) {
  for (int64_t i = *n; i-- > 0;)
    if (strcmp((*list)[i], s) == 0) return OK;
  int rc = mem_grow(e, list, cap, *n + 1, sizeof **list, "names");
  if (rc == OK) (*list)[(*n)++] = s;
  return rc;
}

static int known(const char *const *list, int64_t n, const char *s) {
  for (int64_t i = 0; i < n; i++)
    if (strcmp(list[i], s) == 0) return 1;
  return 0;
}

/* `from`: the object that names them. */
static void bind_names(const binder *b, const char *id, const char *row, where from) {
  if (id && !known(b->metrics, b->n_metrics, id))
    problem_unknown(b->p, from, "metric", id, (name_list){b->metrics, b->n_metrics});
  if (row && strcmp(row, "*") != 0 && !known(b->variants, b->n_variants, row))
    problem_unknown(b->p, from, "variant", row, (name_list){b->variants, b->n_variants});
}

static void bind_bound(const binder *b, const gate_bound *x, const baseline_metric *m, const char *bad_side) {
  where from = {b->g->file, x->line, x->col};
  if (!x->given || !m) return;
  const char *unit = strcmp(m->unit, "1") == 0 ? "" : m->unit;
  if (x->unit[0] && strcmp(x->unit, m->unit) != 0)
    problem_error(b->p, from, "%s is measured in '%s', not in '%s'", m->id, unit[0] ? unit : "1", x->unit);
  if (bad_side)
    problem_warning(b->p, from, "%s is a good thing for %s (%s is better)", bad_side, m->id,
                    m->direction == METRIC_UP ? "higher" : "lower");
}

static void bind_rule(const binder *b, const gate_rule *x) {
  const baseline_metric *m = NULL;
  bind_names(b, x->metric, x->variant, (where){b->g->file, x->line, x->col});
  for (int k = 1; k >= 0 && !m && x->metric; k--) m = baseline_find_metric(b->side[k], x->metric);
  int one = !(x->drop.given && x->rise.given);
  bind_bound(b, &x->drop, m, one && m && m->direction == METRIC_DOWN ? "a drop" : NULL);
  bind_bound(b, &x->rise, m, one && m && m->direction == METRIC_UP ? "a rise" : NULL);
  if (x->metric && (!strcmp(x->metric, BASELINE_CLIP) || !strcmp(x->metric, BASELINE_ADAPTER)) &&
      x->test != GATE_EQUAL)
    problem_error(b->p, (where){b->g->file, x->line, x->col}, "%s is a hash: test \"equal\" is the only one it has",
                  x->metric);
  if (x->undefined.given && x->undefined.unit[0])
    problem_error(b->p, (where){b->g->file, x->undefined.line, x->undefined.col},
                  "max_undefined_rise is a share: 0.02 or \"2%%\"");
}

int gate_rules_bind(err *e, const gate_rules *g, const baseline *now, const baseline *then, problems *p) {
  binder b = {.e = e, .g = g, .side = {now, then}, .p = p};
  int rc = OK;
  for (int k = 0; k < 2; k++) {
    for (int64_t i = 0; i < b.side[k]->n_metrics; i++)
      TRY(add_name(e, &b.metrics, &b.n_metrics, &b.cap_metrics, b.side[k]->metrics[i].id));
    for (int64_t i = 0; i < b.side[k]->n_values; i++)
      TRY(add_name(e, &b.variants, &b.n_variants, &b.cap_variants, b.side[k]->values[i].variant));
  }
  for (int64_t i = 0; i < g->n_rules; i++) bind_rule(&b, &g->rules[i]);
  for (int64_t i = 0; i < g->n_mutes; i++)
    bind_names(&b, g->mutes[i].metric, g->mutes[i].variant, (where){g->file, g->mutes[i].line, g->mutes[i].col});
  TRY(verdict_on(e, p, g->file));
out:
  free(b.metrics);
  free(b.variants);
  return rc;
}
