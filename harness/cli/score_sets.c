#include "cli/score_sets.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/grid.h"
#include "cli/requests.h"
#include "cli/score_clips.h"
#include "media/features.h"
#include "metrics/describe.h"

int score_sets_named(err *e, const char *list, score_sets *out) {
  int rc = OK;
  char one[METRIC_TEXT];
  set_request r;
  for (const char *s = list; *s;) {
    size_t n = requests_first(s);
    if (n >= sizeof one) FAIL(e, E_ARG, "--set: '%.40s...' is too long", s);
    memcpy(one, s, n);
    one[n] = 0;
    TRY(set_parse(e, one, &r));
    TRY(mem_grow(e, &out->at, &out->cap, out->n + 1, sizeof *out->at, "scores of sets"));
    out->at[out->n++] = r;
    s += n + (s[n] == ',');
  }
out:
  return rc;
}

/* --- output --- */

static void number_or_null(text *t, const char *key, int there, double v) {
  text_addf(t, ",\"%s\":", key);
  if (there)
    text_add_number(t, v);
  else
    text_add(t, "null");
}

static void line_json(const set_request *r, const set_result *v, text *t) {
  char name[METRIC_TEXT];
  int null = v->permutations > 0 && !v->reason;
  set_print(r, name);
  text_add(t, "{\"set\":true,\"metric\":");
  cli_add_string(t, name);
  text_addf(t, ",\"id\":\"%s\",\"version\":%d", r->metric->id, r->metric->version);
  number_or_null(t, "value", !v->reason, v->value);
  if (v->reason)
    text_addf(t, ",\"reason\":\"%s\"", v->reason);
  else
    text_add(t, ",\"reason\":null");
  text_addf(t, ",\"n\":%lld,\"n_against\":%lld,\"undefined\":%lld,\"undefined_against\":%lld", (long long)v->n_x,
            (long long)v->n_y, (long long)v->undefined_x, (long long)v->undefined_y);
  number_or_null(t, "p", null, v->p);
  number_or_null(t, "null_mean", null, v->null_mean);
  number_or_null(t, "null_sd", null, v->null_sd);
  number_or_null(t, "null_lo", null, v->null_lo);
  number_or_null(t, "null_hi", null, v->null_hi);
  text_addf(t, ",\"permutations\":%lld,\"parts\":[", (long long)v->permutations);
  for (int i = 0; i < v->parts; i++) {
    text_add(t, i ? "," : "");
    text_add_number(t, v->part[i]);
  }
  text_addf(t, "],\"unit\":\"%s\",\"direction\":\"%s\",\"picture\":\"%s\"}\n", r->metric->unit,
            metric_direction_name(r->metric->direction), metric_picture_name(r->picture));
}

static void line_csv(const set_request *r, const set_result *v, text *t) {
  char name[METRIC_TEXT];
  set_print(r, name);
  text_addf(t, "\"%s\",%d,", name, r->metric->version);
  if (!v->reason) text_add_number(t, v->value);
  text_addf(t, ",%s,%lld,%lld,", v->reason ? v->reason : "", (long long)v->n_x, (long long)v->n_y);
  if (v->permutations > 0 && !v->reason) {
    const double null[] = {v->p, v->null_mean, v->null_lo, v->null_hi};
    for (int i = 0; i < 4; i++) {
      text_add_number(t, null[i]);
      text_add(t, i < 3 ? "," : "");
    }
  } else {
    text_add(t, ",,,");
  }
  text_add(t, "\n");
}

static void line_grid(const set_request *r, const set_result *v, grid *g) {
  char name[METRIC_TEXT];
  set_print(r, name);
  grid_add_text(g, name);
  if (v->reason)
    grid_add_text(g, "-");
  else
    grid_add(g, "%.6g", v->value);
  grid_add(g, "%lld, %lld", (long long)v->n_x, (long long)v->n_y);
  if (v->reason) {
    grid_add_text(g, v->reason);
    grid_add_text(g, "");
  } else if (v->permutations > 0) {
    grid_add(g, "%.3g", v->p);
    grid_add(g, "%.4g [%.4g, %.4g]", v->null_mean, v->null_lo, v->null_hi);
  } else {
    grid_add_text(g, "-");
    grid_add_text(g, "-");
  }
}

static void print_all(const score_sets *list, const set_result *v, score_form form, text *out) {
  static const char *const head[] = {"SET SCORE", "VALUE", "N, AGAINST", "P", "NULL"};
  grid g = {.cols = 5};
  if (form == SCORE_CSV) text_add(out, "metric,version,value,reason,n,n_against,p,null_mean,null_lo,null_hi\n");
  for (int i = 0; form == SCORE_GRID && i < 5; i++) grid_add_text(&g, head[i]);
  for (int64_t k = 0; k < list->n; k++) {
    if (form == SCORE_JSON) line_json(&list->at[k], &v[k], out);
    if (form == SCORE_CSV) line_csv(&list->at[k], &v[k], out);
    if (form == SCORE_GRID) line_grid(&list->at[k], &v[k], &g);
  }
  if (form == SCORE_GRID) grid_print(&g, out);
  if (g.failed) out->failed = 1;
  grid_free(&g);
}

/* --- clips --- */

/* Features of all clips of one side: rows [request][clip]. */
typedef struct side {
  const score_jobs *jobs;
  set_rows *rows;
  int64_t failed;
} side;

static int one_clip(const score_sets *list, side *s, int64_t i, int stated, int inner, err *e) {
  int rc = OK;
  score_job own = s->jobs->at[i];
  score_clips clips = {0};
  for (int r = 0; r < SCORE_ROLES; r++) own.beside[r] = NULL; /* borrowed texts: only the clip is read */
  TRY(score_clips_read(e, &own, stated, &clips));
  for (int64_t k = 0; k < list->n; k++)
    TRY(set_features(e, &list->at[k], &clips.own, inner, &s->rows[k * s->jobs->n + i]));
out:
  score_clips_free(&clips);
  return rc;
}

static int take_features(cli *c, const score_sets *list, int stated, int threads, side *s) {
  int64_t n = s->jobs->n;
  int outer = n < threads ? (int)n : threads, first = OK;
  int rc = mem_new(&c->err, list->n * n, sizeof *s->rows, "features", &s->rows);
  if (rc != OK) return rc;
#pragma omp parallel for num_threads(outer) schedule(dynamic, 1)
  for (int64_t i = 0; i < n; i++) {
    err mine = {0};
    int got = one_clip(list, s, i, stated, threads / outer, &mine);
    if (got == OK) continue;
#pragma omp critical(set_clips)
    {
      if (got == E_NOMEM) first = got, c->err = mine;
      cli_warn("%s: %s", s->jobs->at[i].name, mine.text);
      s->failed++;
      for (int64_t k = 0; k < list->n; k++) {
        set_rows_free(&s->rows[k * n + i]);
        s->rows[k * n + i] = (set_rows){.reason = METRIC_EMPTY_CLIP};
      }
    }
  }
  return first;
}

static void drop(side *s, int64_t n) {
  for (int64_t i = 0; s->rows && i < n * s->jobs->n; i++) set_rows_free(&s->rows[i]);
  free(s->rows);
}

static int compare(err *e, const set_request *r, const side s[2], int64_t k, int threads, set_result *out) {
  int rc = OK;
  set_matrix m[2] = {{0}};
  double *store[2] = {NULL, NULL};
  for (int i = 0; i < 2; i++) TRY(set_stack(e, s[i].rows + k * s[i].jobs->n, s[i].jobs->n, &store[i], &m[i]));
  TRY(set_score(e, r, &m[0], &m[1], threads, out));
out:
  free(store[0]), free(store[1]);
  return rc;
}

int score_sets_clips(cli *c, const score_sets *list, const score_jobs *x, const score_jobs *y, int stated,
                     int threads, score_form form, int64_t *failed, text *out) {
  int rc = OK;
  side s[2] = {{.jobs = x}, {.jobs = y}};
  set_result *v = NULL;
  for (int64_t k = 0; k < list->n; k++)
    if (!list->at[k].metric->extractor->extract)
      FAIL(&c->err, E_ARG, "--set %s: its features come from files; give --features and --against-features",
           list->at[k].metric->id);
  TRY(mem_new(&c->err, list->n, sizeof *v, "scores of sets", &v));
  for (int i = 0; i < 2; i++) TRY(take_features(c, list, stated, threads, &s[i]));
  for (int64_t k = 0; k < list->n; k++) TRY(compare(&c->err, &list->at[k], s, k, threads, &v[k]));
  *failed += s[0].failed + s[1].failed;
  print_all(list, v, form, out);
  rc = text_ok(out, &c->err);
out:
  for (int i = 0; i < 2; i++) drop(&s[i], list->n);
  free(v);
  return rc;
}

/* --- files of features --- */

static set_matrix matrix_of(const features *f) {
  return (set_matrix){
      .x = f->x, .n = f->n, .rows = 1, .dim = f->dim, .mu = f->mu, .sigma = f->sigma, .source = f->source};
}

int score_sets_files(cli *c, const score_sets *list, const char *x, const char *y, int threads, score_form form,
                     text *out) {
  int rc = OK;
  features f[2] = {{0}};
  set_result *v = NULL;
  TRY(mem_new(&c->err, list->n, sizeof *v, "scores of sets", &v));
  TRY(features_read(&c->err, x, &f[0]));
  TRY(features_read(&c->err, y, &f[1]));
  for (int64_t k = 0; k < list->n; k++) {
    set_matrix a = matrix_of(&f[0]), b = matrix_of(&f[1]);
    if (list->at[k].metric->extractor->extract)
      FAIL(&c->err, E_ARG, "--set %s takes its own features from clips, not from files", list->at[k].metric->id);
    TRY(set_score(&c->err, &list->at[k], &a, &b, threads, &v[k]));
  }
  print_all(list, v, form, out);
  rc = text_ok(out, &c->err);
out:
  features_free(&f[0]), features_free(&f[1]);
  free(v);
  return rc;
}
