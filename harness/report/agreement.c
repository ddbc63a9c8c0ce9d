#include "report/agreement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "run/score_files.h"
#include "store/object.h"

/* What is asked of every clip: each score and its gain in turn, then the targets. */
enum { TRUE_IOU, TRUE_CORR, TRUE_IOU_GAIN, TARGETS };
static const char *const targets[TARGETS] = {"true_iou", "true_corr", "true_iou_gain"};

typedef struct questions {
  metric_request *at;
  int64_t n, scores; /* scores: pairs of plain and gain before the targets */
} questions;

static int is_alignment(const metric_request *r) {
  unsigned outside = METRIC_NEEDS_TRUTH | METRIC_NEEDS_REFERENCE | METRIC_NEEDS_TRIMAP;
  return r->metric->gain_ok && !r->gain && !(r->metric->needs & outside) && !metric_circular(r) &&
         r->metric->direction != METRIC_NONE;
}

static int questions_open(err *e, const metric_request *list, int64_t n, questions *q) {
  int rc = OK;
  *q = (questions){0};
  TRY(mem_new(e, 2 * n + TARGETS, sizeof *q->at, "scores", &q->at));
  for (int64_t i = 0; i < n; i++) {
    if (!is_alignment(&list[i])) continue;
    q->at[2 * q->scores] = list[i];
    q->at[2 * q->scores + 1] = list[i];
    q->at[2 * q->scores++ + 1].gain = 1;
  }
  for (int k = 0; k < TARGETS; k++) TRY(metric_parse(e, targets[k], &q->at[2 * q->scores + k]));
  q->n = 2 * q->scores + TARGETS;
out:
  return rc;
}

/* --- what the store knows --------------------------------------------------------------------------------------- */

enum { SAMPLE, PARTNER, BASE, ROLES };
static const char *const roles[ROLES] = {"sample", "partner", "base"};

typedef struct member {
  char *path[ROLES]; /* NULL: none */
  int world;
  int32_t design, prompt;
  metric_value *value;     /* [questions] */
  unsigned char *is_known; /* [questions] */
} member;

typedef struct members {
  store_cells cells;
  member *at; /* [cells.n], filled up to n */
  int64_t n;
  const char **design, **prompt; /* names, the strings of cells */
  int64_t designs, prompts;
} members;

static int32_t number_of(const char *name, const char **list, int64_t *n) {
  if (!name) name = "";
  for (int64_t i = 0; i < *n; i++)
    if (!strcmp(list[i], name)) return (int32_t)i;
  list[*n] = name;
  return (int32_t)(*n)++;
}

/* Path of the clip that a sample cell made. */
static int clip_path(err *e, store *s, const char *key, char **out) {
  int rc = OK;
  store_artifacts l = {0};
  char path[STORE_PATH];
  TRY(store_artifact_list(s, e, key, &l));
  for (int64_t i = 0; i < l.n && !*out; i++) {
    if (strcmp(l.at[i].kind, "clip")) continue;
    TRY(object_path(s, e, l.at[i].sha256, path));
    TRY(mem_strdup(e, path, out));
  }
  if (!*out) FAIL(e, E_STORE, "cell %.12s has no clip", key);
out:
  store_artifacts_free(&l);
  return rc;
}

static int find_clips(err *e, store *s, const char *key, member *m) {
  int rc = OK;
  store_inputs in = {0};
  TRY(store_input_list(s, e, key, &in));
  for (int64_t i = 0; i < in.n; i++)
    for (int k = 0; k < ROLES; k++)
      if (in.at[i].key && !strcmp(in.at[i].role, roles[k])) TRY(clip_path(e, s, in.at[i].key, &m->path[k]));
  if (!m->path[SAMPLE]) FAIL(e, E_STORE, "score %.12s was made from no clip", key);
out:
  store_inputs_free(&in);
  return rc;
}

/* A reason as static storage: that of metric_reasons. */
static const char *known_reason(const char *code) {
  for (const metric_reason *r = metric_reasons(); r->code; r++)
    if (!strcmp(r->code, code)) return r->code;
  return METRIC_NOT_FINITE;
}

static int stored_values(err *e, store *s, const char *key, const questions *q, member *m) {
  int rc = OK;
  store_scores l = {0};
  TRY(store_measure_list(s, e, key, &l));
  for (int64_t i = 0; i < q->n; i++) {
    char name[METRIC_TEXT];
    metric_print(&q->at[i], name);
    for (int64_t k = 0; k < l.n; k++) {
      const store_score *v = &l.at[k];
      if (strcmp(v->metric, name) || v->version != q->at[i].metric->version) continue;
      m->is_known[i] = 1;
      m->value[i] = v->kind == KIND_FINITE ? (metric_value){.value = v->value, .support = v->n}
                                           : (metric_value){.reason = known_reason(v->reason ? v->reason : "")};
    }
  }
out:
  store_scores_free(&l);
  return rc;
}

static int is_world(err *e, const char *spec, int *out) {
  int rc = OK;
  json *j = NULL;
  TRY(json_parse(e, "spec", spec, strlen(spec), &j));
  const json *data = json_get(j, "data"), *kind = data ? json_get(data, "kind") : NULL;
  *out = kind && kind->type == JSON_STRING && !strcmp(kind->str, "world");
out:
  json_free(j);
  return rc;
}

static int add_member(err *e, store *s, const store_cell_row *row, const questions *q, members *l) {
  int rc = OK;
  member *m = &l->at[l->n++];
  m->design = number_of(row->variant, l->design, &l->designs);
  m->prompt = number_of(row->prompt_id, l->prompt, &l->prompts);
  TRY(mem_new(e, q->n, sizeof *m->value, "scores", &m->value));
  TRY(mem_new(e, q->n, 1, "scores", &m->is_known));
  TRY(is_world(e, row->spec_json, &m->world));
  TRY(find_clips(e, s, row->key, m));
  TRY(stored_values(e, s, row->key, q, m));
out:
  return rc;
}

static int members_open(err *e, store *s, const char *name, const questions *q, members *l) {
  int rc = OK, truth = 0;
  store_studies found = {0};
  *l = (members){0};
  TRY(store_study_list(s, e, name, &found));
  TRY(store_cells_in(s, e, found.at[0].study_id, CELL_DONE, &l->cells));
  TRY(mem_new(e, l->cells.n, sizeof *l->at, "clips", &l->at));
  TRY(mem_new(e, l->cells.n, sizeof *l->design, "designs", &l->design));
  TRY(mem_new(e, l->cells.n, sizeof *l->prompt, "prompts", &l->prompt));
  for (int64_t i = 0; i < l->cells.n; i++)
    if (l->cells.at[i].stage == STAGE_SCORE && !l->cells.at[i].of_sets) TRY(add_member(e, s, &l->cells.at[i], q, l));
  if (!l->n) FAIL(e, E_CONFIG, "study %s has no scored clip yet; run it first", name);
  for (int64_t i = 0; i < l->n; i++) truth |= l->at[i].world;
  if (!truth)
    FAIL(e, E_CONFIG, "study %s: the true mattes of its clips are not known (its data.kind is not world)", name);
out:
  store_studies_free(&found);
  return rc;
}

static void members_close(members *l) {
  for (int64_t i = 0; i < l->n; i++) {
    for (int k = 0; k < ROLES; k++) free(l->at[i].path[k]);
    free(l->at[i].value), free(l->at[i].is_known);
  }
  free(l->at), free(l->design), free(l->prompt);
  store_cells_free(&l->cells);
}

/* --- what it does not know -------------------------------------------------------------------------------------- */

/* Scores what is missing of one clip; *computed counts it when something was. */
static int complete(err *e, const questions *q, member *m, int *computed) {
  int rc = OK;
  int64_t n = 0;
  metric_request *list = NULL;
  metric_value *value = NULL;
  TRY(mem_new(e, q->n, sizeof *list, "scores", &list));
  TRY(mem_new(e, q->n, sizeof *value, "scores", &value));
  for (int64_t i = 0; i < q->n; i++)
    if (!m->is_known[i]) list[n++] = q->at[i];
  *computed = n > 0;
  if (!n) goto out;
  score_files f = {.sample = m->path[SAMPLE], .partner = m->path[PARTNER], .base = m->path[BASE], .world = m->world};
  TRY(score_files_run(e, &f, list, n, value));
  n = 0;
  for (int64_t i = 0; i < q->n; i++)
    if (!m->is_known[i]) m->value[i] = value[n++];
out:
  free(list), free(value);
  return rc;
}

static int complete_all(err *e, const questions *q, members *l, int threads, int64_t *computed) {
  int rc = OK;
  int64_t sum = 0;
#pragma omp parallel for schedule(dynamic) num_threads(threads) reduction(+ : sum)
  for (int64_t i = 0; i < l->n; i++) {
    err own = {0};
    int bad, did = 0;
#pragma omp atomic read
    bad = rc;
    if (bad == OK && complete(&own, q, &l->at[i], &did) != OK) {
#pragma omp critical(agreement_error)
      {
#pragma omp atomic write
        rc = err_set(e, own.code, "%s", own.text);
      }
    }
    sum += did;
  }
  *computed = sum;
  return rc;
}

/* --- correlation ------------------------------------------------------------------------------------------------ */

static int correlate(err *e, const members *l, const questions *q, int64_t score, int64_t target,
                     const agreement_options *o, agreement_row *row) {
  int rc = OK;
  double *x = NULL, *y = NULL;
  int32_t *prompt = NULL, *group = NULL;
  double sign = q->at[score].metric->direction == METRIC_DOWN ? -1 : 1;
  TRY(mem_new(e, l->n, sizeof *x, "correlation", &x));
  TRY(mem_new(e, l->n, sizeof *y, "correlation", &y));
  TRY(mem_new(e, l->n, sizeof *prompt, "correlation", &prompt));
  TRY(mem_new(e, l->n, sizeof *group, "correlation", &group));
  metric_print(&q->at[score], row->score);
  metric_print(&q->at[target], row->target);
  for (int64_t i = 0; i < l->n; i++) {
    const metric_value *s = &l->at[i].value[score], *t = &l->at[i].value[target];
    if (s->reason || t->reason) continue;
    x[row->points] = sign * s->value, y[row->points] = t->value;
    prompt[row->points] = l->at[i].prompt, group[row->points++] = l->at[i].design;
  }
  stats_points p = {.n = row->points,
                    .x = x,
                    .y = y,
                    .cluster = prompt,
                    .group = group,
                    .clusters = l->prompts,
                    .groups = l->designs};
  TRY(stats_correlate(e, &p, o->replicates, o->seed, o->level, &row->r));
out:
  free(x), free(y), free(prompt), free(group);
  return rc;
}

/* Three rows a score: plain with both targets, gain with the gain. */
static int correlate_all(err *e, const members *l, const questions *q, const agreement_options *o, agreement *out) {
  int rc = OK;
#pragma omp parallel for schedule(dynamic) num_threads(o->threads > 1 ? o->threads : 1)
  for (int64_t i = 0; i < out->n; i++) {
    err own = {0};
    int target = (int)(i % TARGETS);
    int64_t score = 2 * (i / TARGETS) + (target == TRUE_IOU_GAIN);
    if (correlate(&own, l, q, score, 2 * q->scores + target, o, &out->row[i]) == OK) continue;
#pragma omp critical(agreement_error)
    rc = err_set(e, own.code, "%s", own.text);
  }
  return rc;
}

int agreement_make(err *e, store *s, const char *name, const metric_request *list, int64_t n,
                   const agreement_options *o, agreement *out) {
  int rc = OK;
  questions q = {0};
  members l = {0};
  *out = (agreement){0};
  TRY(questions_open(e, list, n, &q));
  TRY(members_open(e, s, name, &q, &l));
  TRY(complete_all(e, &q, &l, o->threads > 1 ? o->threads : 1, &out->computed));
  out->clips = l.n, out->designs = l.designs, out->prompts = l.prompts;
  out->n = TARGETS * q.scores;
  TRY(mem_new(e, out->n, sizeof *out->row, "agreement", &out->row));
  TRY(correlate_all(e, &l, &q, o, out));
out:
  members_close(&l);
  free(q.at);
  if (rc != OK) agreement_free(out);
  return rc;
}

void agreement_free(agreement *a) {
  free(a->row);
  *a = (agreement){0};
}
