/* Scores by an external program: each clip is asked about, and its answer becomes the cell's measures. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "run/scorer_clip.h"
#include "run/stage_internal.h"

#define ARGV_MAX 65

/* What all cells of a call share, and which of them is under way. */
typedef struct asking {
  const stage_env *env;
  int64_t cell;
  const char *argv[ARGV_MAX];
  scorer_options o;
  scorer_card card;
  scorer *s;
} asking;

int stage_is_scorer(const stage_cell *c) {
  return json_get(c->spec, "scorer") != NULL;
}

static int on_stop(void *user) {
  const asking *a = user;
  return a->env->stop && a->env->stop(a->env->user);
}

static void on_log(void *user, const char *data, size_t n) {
  const asking *a = user;
  if (a->env->log) a->env->log(a->env->user, a->cell, data, n);
}

static int read_hints(err *e, const stage_cell *c, asking *a) {
  int64_t failures;
  int rc = OK;
  TRY(spec_text(e, c->hints, "scorer.folder", &a->o.folder));
  TRY(spec_number(e, c->hints, "scorer.timeout_s", &a->o.timeout_s));
  TRY(spec_number(e, c->hints, "scorer.start_s", &a->o.start_s));
  TRY(spec_int(e, c->hints, "scorer.failures", &failures));
  a->o.failures = (int)failures;
out:
  return rc;
}

static int open_asking(err *e, const stage_cell *c, const stage_env *env, asking *a) {
  int rc = OK, n = 0;
  const json *argv = spec_get(c->spec, "scorer.argv"), *card = spec_get(c->spec, "scorer.card");
  if (!argv || argv->type != JSON_ARRAY || !card) FAIL(e, E_CONFIG, "the spec of a scorer has no command or card");
  for (const json *w = argv->child; w && n < ARGV_MAX - 1; w = w->next) a->argv[n++] = w->str;
  a->env = env;
  a->o = scorer_defaults(a->argv, NULL);
  a->o.stop = on_stop;
  a->o.log = on_log;
  a->o.user = a;
  TRY(read_hints(e, c, a));
  TRY(card_parse(e, card, &a->card));
  TRY(scorer_open(e, &a->o, &a->card, &a->s));
out:
  return rc;
}

/* --- one cell --------------------------------------------------------------------------------------------------- */

static const char *seed_text(const json *spec, const char *key, char digits[32]) {
  const json *j = json_get(spec, key);
  if (!j) return NULL;
  if (j->type == JSON_STRING) return j->str;
  snprintf(digits, 32, "%.0f", j->num);
  return digits;
}

static int keep(err *e, stage_cell *cell, const scorer_card *card, const scorer_value *value) {
  int rc = OK, i = 0;
  const json *list = json_get(cell->spec, "metrics");
  if (!list || list->type != JSON_ARRAY || json_count(list) != card->n)
    FAIL(e, E_CONFIG, "the spec of a score names other measures than its scorer's card");
  TRY(mem_new(e, card->n, sizeof(stage_measure), "measures", &cell->measures));
  cell->n_measures = card->n;
  for (const json *m = list->child; m; m = m->next, i++) {
    stage_measure *to = &cell->measures[i];
    const char *id = NULL;
    TRY(spec_text(e, m, "id", &id));
    snprintf(to->metric, sizeof to->metric, "%s", id);
    to->version = (int)card->measure[i].version;
    to->value = value[i].value;
    to->support = value[i].support;
    snprintf(to->own, sizeof to->own, "%s", value[i].reason);
    to->reason = to->own[0] ? to->own : NULL;
  }
out:
  return rc;
}

static int ask(err *e, asking *a, const stage_cell *cell, const scorer_clip *own, const scorer_clip *base,
               scorer_value *out) {
  char train[32], sample[32];
  const json *prompt = json_get(cell->spec, "prompt");
  scorer_question q = scorer_clip_question(own, base, NULL);
  q.prompt = prompt && prompt->type == JSON_STRING ? prompt->str : NULL;
  q.train_seed = seed_text(cell->spec, "train_seed", train);
  q.sample_seed = seed_text(cell->spec, "sample_seed", sample);
  return scorer_ask(a->s, e, &q, out);
}

static int score(err *e, asking *a, stage_cell *cell) {
  int rc = OK;
  const char *path = NULL;
  scorer_clip own = {0}, base = {0};
  scorer_value *value = NULL;
  TRY(mem_new(e, a->card.n, sizeof *value, "scores", &value));
  TRY(stage_input(e, cell, "sample", &path));
  TRY(scorer_clip_stored(e, &a->card, a->env, path, &own));
  if (!own.refused && a->card.wants_base) {
    TRY(stage_input(e, cell, "base", &path));
    TRY(scorer_clip_stored(e, &a->card, a->env, path, &base));
  }
  if (own.refused)
    for (int i = 0; i < a->card.n; i++) snprintf(value[i].reason, sizeof value[i].reason, "%s", own.refused);
  else
    TRY(ask(e, a, cell, &own, &base, value));
  TRY(keep(e, cell, &a->card, value));
out:
  scorer_clip_end(&own);
  scorer_clip_end(&base);
  free(value);
  return rc;
}

int stage_scorer(err *e, stage_cell *cells, int64_t n, const stage_env *env) {
  int rc = OK;
  asking *a = NULL;
  TRY(mem_new(e, 1, sizeof *a, "scorer", &a));
  TRY(open_asking(e, &cells[0], env, a));
  for (a->cell = 0; a->cell < n; a->cell++) {
    if (on_stop(a)) FAIL(e, E_INTERRUPTED, "stopped before cell %lld", (long long)a->cell);
    TRY(score(e, a, &cells[a->cell]));
    if (env->done) TRY(env->done(env->user, e, a->cell));
    if (env->progress) env->progress(env->user, a->cell + 1, n, NAN);
  }
out:
  if (a) scorer_close(a->s);
  free(a);
  return rc;
}
