/* The score stage over sets: features of every clip of both, then one score with its null. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "media/video.h"
#include "metrics/set.h"
#include "run/data_clips.h"
#include "run/stage_internal.h"
#include "study/set_cell.h"

/* One side: the cell's inputs of that letter, or the data. */
typedef struct side {
  const stage_file *const *file; /* [n]; NULL: the data */
  data_clips data;
  int64_t n;
  set_rows *rows; /* [n] */
} side;

/* What both sides share while features are taken. */
typedef struct taking {
  const set_request *request;
  const stage_env *env;
  int64_t done, total;
} taking;

static int read_request(err *e, const json *spec, set_request *out) {
  int rc = OK;
  const char *id;
  int64_t version, features;
  TRY(spec_text(e, spec, "set.id", &id));
  TRY(spec_int(e, spec, "set.version", &version));
  TRY(spec_int(e, spec, "set.features", &features));
  TRY(set_parse(e, id, out));
  if (out->metric->version != version || out->metric->extractor->version != features)
    FAIL(e, E_CONFIG,
         "score of sets %s has version %d, features %d in this build, the plan asks for %lld, %lld; run the study "
         "again",
         id, out->metric->version, out->metric->extractor->version, (long long)version, (long long)features);
out:
  return rc;
}

static int collect_files(err *e, const stage_cell *c, char letter, side *s) {
  const stage_file **list = NULL;
  int rc = mem_new(e, c->n_inputs, sizeof *list, "clips of a set", &list);
  for (int i = 0; rc == OK && i < c->n_inputs; i++)
    if (set_cell_side(c->inputs[i].role) == letter) list[s->n++] = &c->inputs[i];
  s->file = list;
  return rc;
}

/* As a sampled clip comes back from its file, so that no score tells the sets apart by their rounding. */
static void round_to_file(clip *c) {
  int64_t n = (int64_t)c->frames * c->height * c->width;
  for (int64_t i = 0; i < 3 * n; i++) c->rgb[i] = rintf(fminf(fmaxf(c->rgb[i], 0), 1) * 255) / 255;
  for (int64_t i = 0; c->alpha && i < n; i++) c->alpha[i] = rintf(fminf(fmaxf(c->alpha[i], 0), 1) * 255) / 255;
}

static int one_clip(err *e, const taking *t, side *s, int64_t i, int threads) {
  int rc = OK;
  clip c = {0};
  TRY(s->file ? video_read(e, s->file[i]->path, NULL, &c) : data_clips_load(e, &s->data, i, &c));
  if (!s->file) round_to_file(&c);
  TRY(set_features(e, t->request, &c, threads, &s->rows[i]));
out:
  clip_free(&c);
  return rc;
}

/* A clip that cannot be read fails the cell: a set is never smaller than it says. */
static int take_features(err *e, taking *t, side *s) {
  int threads = t->env->threads > 1 ? t->env->threads : 1, failed = OK;
  int outer = s->n < threads ? (int)s->n : threads;
  int rc = mem_new(e, s->n, sizeof *s->rows, "features", &s->rows);
  if (rc != OK || !s->n) return rc;
#pragma omp parallel for num_threads(outer) schedule(dynamic, 1)
  for (int64_t i = 0; i < s->n; i++) {
    err mine = {0};
    int stop, got = OK;
#pragma omp critical(set_cell)
    {
      if (failed == OK && t->env->stop && t->env->stop(t->env->user))
        failed = err_set(e, E_INTERRUPTED, "stopped at clip %lld", (long long)t->done);
      stop = failed != OK;
    }
    if (!stop) got = one_clip(&mine, t, s, i, threads / outer);
#pragma omp critical(set_cell)
    {
      if (got != OK && failed == OK) failed = err_set(e, got, "%s", mine.text);
      t->done++;
      if (!stop && t->env->progress) t->env->progress(t->env->user, t->done, t->total, NAN);
    }
  }
  return failed;
}

static void drop(side *s) {
  for (int64_t i = 0; s->rows && i < s->n; i++) set_rows_free(&s->rows[i]);
  free(s->rows);
  free((void *)(uintptr_t)s->file);
  data_clips_close(&s->data);
}

static int keep(err *e, stage_cell *cell, const set_request *r, const set_result *v) {
  const double fact[FACT_COUNT] = {[FACT_N_AGAINST] = (double)v->n_y,
                                   [FACT_UNDEFINED] = (double)v->undefined_x,
                                   [FACT_UNDEFINED_AGAINST] = (double)v->undefined_y,
                                   [FACT_P] = v->p,
                                   [FACT_NULL_MEAN] = v->null_mean,
                                   [FACT_NULL_SD] = v->null_sd,
                                   [FACT_NULL_LO] = v->null_lo,
                                   [FACT_NULL_HI] = v->null_hi,
                                   [FACT_PERMUTATIONS] = (double)v->permutations};
  char id[METRIC_TEXT];
  int n = v->reason || v->permutations < 1 ? FACT_P : FACT_COUNT, rc = OK;
  set_print(r, id);
  TRY(mem_new(e, 1 + n, sizeof(stage_measure), "measures", &cell->measures));
  cell->n_measures = 1 + n;
  stage_measure *m = cell->measures;
  *m = (stage_measure){
      .of_set = 1, .version = r->metric->version, .value = v->value, .reason = v->reason, .support = v->n_x};
  snprintf(m->metric, sizeof m->metric, "%s", id);
  for (int i = 0; i < n; i++) {
    *++m = (stage_measure){.of_set = 1, .version = r->metric->version, .value = fact[i], .support = v->n_x};
    snprintf(m->metric, sizeof m->metric, "%s#%s", id, set_facts()[i].name);
  }
out:
  return rc;
}

int stage_set(err *e, stage_cell *cell, const stage_env *env) {
  int rc = OK;
  side s[2] = {{0}, {0}};
  double *store[2] = {NULL, NULL};
  set_matrix m[2] = {{0}};
  set_request request;
  set_result result;
  TRY(read_request(e, cell->spec, &request));
  TRY(collect_files(e, cell, 'x', &s[0]));
  if (stage_has_input(cell, SET_FIRST_Y)) {
    TRY(collect_files(e, cell, 'y', &s[1]));
  } else {
    TRY(data_clips_open(e, cell, &s[1].data));
    s[1].n = s[1].data.n;
  }
  taking t = {.request = &request, .env = env, .total = s[0].n + s[1].n};
  for (int i = 0; i < 2; i++) {
    TRY(take_features(e, &t, &s[i]));
    TRY(set_stack(e, s[i].rows, s[i].n, &store[i], &m[i]));
  }
  TRY(set_score(e, &request, &m[0], &m[1], env->threads, &result));
  TRY(keep(e, cell, &request, &result));
out:
  for (int i = 0; i < 2; i++) drop(&s[i]), free(store[i]);
  return rc;
}
