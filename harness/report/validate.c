#include "report/validate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define MARGIN 1e-9
#define SHARE 0.9

int validate_is_gate(const char *reason) {
  static const char *const gates[] = {METRIC_EMPTY_ALPHA, METRIC_OPAQUE_ALPHA, METRIC_FLAT_ALPHA, METRIC_NO_BAND,
                                      METRIC_NO_MASK};
  for (size_t i = 0; i < sizeof gates / sizeof gates[0]; i++)
    if (!strcmp(reason, gates[i])) return 1;
  return 0;
}

validate_verdict validate_order(metric_direction d, const metric_value *v, int n) {
  int gated = 0, tied = 0, wrong = 0, first = 1;
  int perfect = v[0].reason && !strcmp(v[0].reason, METRIC_IDENTICAL);
  if (v[0].reason && !(perfect && d != METRIC_NONE)) return VALIDATE_UNDEFINED;
  if (d == METRIC_NONE)
    return v[n - 1].reason || fabs(v[n - 1].value - v[0].value) > MARGIN ? VALIDATE_ORDERED : VALIDATE_TIED;
  if (perfect && n > 1 && !v[1].reason) first = 2; /* any value is worse than an infinite ratio */
  for (int i = first; i < n; i++) {
    if (v[i].reason && !validate_is_gate(v[i].reason)) return VALIDATE_UNDEFINED;
    double worse = d == METRIC_DOWN ? v[i].value - v[i - 1].value : v[i - 1].value - v[i].value;
    if (v[i].reason)
      gated = 1;
    else if (v[i - 1].reason || worse < -MARGIN)
      wrong = 1;
    else if (worse <= MARGIN)
      tied = 1;
  }
  return wrong ? VALIDATE_WRONG : tied ? VALIDATE_TIED : gated ? VALIDATE_BY_GATE : VALIDATE_ORDERED;
}

/* --- scoring ---------------------------------------------------------------------------------------------------- */

/* The requests in two parts: those that read straight colour or what is made of it, and the rest. */
typedef struct questions {
  const metric_request *list; /* as asked */
  metric_request *sorted;     /* decoded first */
  int64_t *place;             /* of sorted[i] in list */
  int64_t n, decoded;
} questions;

static int reads_foreground(const metric_request *r) {
  return r->picture == METRIC_STRAIGHT || r->picture == METRIC_PREMULTIPLIED;
}

static int questions_open(err *e, const metric_request *list, int64_t n, questions *q) {
  int rc = OK;
  int64_t at = 0;
  *q = (questions){.list = list, .n = n};
  TRY(mem_new(e, n, sizeof *q->sorted, "metrics", &q->sorted));
  TRY(mem_new(e, n, sizeof *q->place, "metrics", &q->place));
  for (int second = 0; second < 2; second++) {
    for (int64_t i = 0; i < n; i++)
      if (reads_foreground(&list[i]) == second) q->sorted[at] = list[i], q->place[at++] = i;
    if (!second) q->decoded = at;
  }
out:
  return rc;
}

/* Clean clip, its trimap, and the alpha under test of one job. */
typedef struct bench {
  const validate_clip *c;
  float *alpha, *last, *trimap;
  metric_value *value; /* [n] in sorted order */
} bench;

static int make_trimap(err *e, const clip *c, float *trimap) {
  int rc = OK;
  clip mark = *c; /* 1 where alpha is neither 0 nor 1 */
  mark.alpha = NULL;
  TRY(mem_new(e, clip_voxels(c), sizeof *mark.alpha, "trimap", &mark.alpha));
  for (int64_t i = 0; i < clip_voxels(c); i++) mark.alpha[i] = c->alpha[i] > 0 && c->alpha[i] < 1;
  TRY(defect_apply(e, &mark, &(defect){.kind = DEFECT_DILATE, .strength = 3}, trimap));
  for (int64_t i = 0; i < clip_voxels(c); i++) trimap[i] = trimap[i] > 0 ? 0.5F : c->alpha[i];
out:
  free(mark.alpha);
  return rc;
}

static int bench_open(err *e, const validate_clip *c, int64_t metrics, bench *b) {
  int rc = OK;
  *b = (bench){.c = c};
  TRY(mem_new(e, clip_voxels(&c->picture), sizeof *b->alpha, "alpha under test", &b->alpha));
  TRY(mem_new(e, clip_voxels(&c->picture), sizeof *b->last, "alpha under test", &b->last));
  TRY(mem_new(e, clip_voxels(&c->picture), sizeof *b->trimap, "trimap", &b->trimap));
  TRY(mem_new(e, metrics, sizeof *b->value, "scores", &b->value));
  TRY(make_trimap(e, &c->picture, b->trimap));
out:
  return rc;
}

static void bench_close(bench *b) {
  free(b->alpha), free(b->last), free(b->trimap), free(b->value);
}

/* All metrics for b->alpha into out[metric * stride]. */
static int score(err *e, bench *b, const questions *q, metric_value *out, int64_t stride) {
  int rc = OK;
  const validate_clip *c = b->c;
  clip under = c->picture, reference = c->picture;
  under.alpha = b->alpha;
  metric_input in = {.clip = &under,
                     .base = &c->partner,
                     .partner = &c->partner,
                     .truth = c->picture.alpha,
                     .partner_truth = c->partner.alpha,
                     .base_truth = c->partner.alpha,
                     .reference = &reference,
                     .trimap = b->trimap};
  TRY(metric_score(e, q->sorted, q->decoded, &in, b->value));
  if (c->colour) {
    under.rgb = reference.rgb = c->colour;
    under.colour = reference.colour = CLIP_STRAIGHT;
  }
  TRY(metric_score(e, q->sorted + q->decoded, q->n - q->decoded, &in, b->value + q->decoded));
  for (int64_t i = 0; i < q->n; i++) out[q->place[i] * stride] = b->value[i];
out:
  return rc;
}

/* Whether two alphas differ in 8 bits. */
static int differ(const float *a, const float *b, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    if (fabs((double)a[i] - (double)b[i]) >= 1.0 / 255) return 1;
  return 0;
}

#define CHAIN (DEFECT_STEPS + 1)

/* Every strength of one defect: value[metric * CHAIN + step]; *applies 0 when a step changes nothing. */
static int score_chain(err *e, bench *b, const questions *q, defect_kind k, metric_value *value, int *applies) {
  int rc = OK;
  const clip *clean = &b->c->picture;
  const defect_info *about = defect_about(k);
  size_t bytes = (size_t)clip_voxels(clean) * sizeof *b->alpha;
  *applies = 1;
  memcpy(b->alpha, clean->alpha, bytes);
  for (int s = 0; s < about->steps && *applies; s++) {
    defect d = {.kind = k, .strength = about->strength[s], .seed = b->c->noise, .other = b->c->partner.alpha};
    memcpy(b->last, b->alpha, bytes);
    TRY(defect_apply(e, clean, &d, b->alpha));
    *applies = differ(b->alpha, b->last, clip_voxels(clean));
    if (*applies) TRY(score(e, b, q, value + s + 1, CHAIN));
  }
out:
  return rc;
}

/* One clip and one defect, or the clean clip (k = DEFECT_KINDS). */
typedef struct job {
  metric_value *value; /* [metrics][CHAIN]; [metrics] for the clean clip */
  int applies;
} job;

static int run_job(err *e, const validate_clip *c, const questions *q, int k, job *j) {
  int rc = OK;
  bench b;
  TRY(bench_open(e, c, q->n, &b));
  TRY(mem_new(e, q->n * (k == DEFECT_KINDS ? 1 : CHAIN), sizeof *j->value, "scores", &j->value));
  if (k == DEFECT_KINDS) {
    memcpy(b.alpha, c->picture.alpha, (size_t)clip_voxels(&c->picture) * sizeof *b.alpha);
    TRY(score(e, &b, q, j->value, 1));
  } else {
    TRY(score_chain(e, &b, q, (defect_kind)k, j->value, &j->applies));
  }
out:
  bench_close(&b);
  if (rc != OK) err_prefix(e, "%s", c->name);
  return rc;
}

/* --- counting --------------------------------------------------------------------------------------------------- */

#define JOBS (DEFECT_KINDS + 1)

static void count(const validate_clips *c, const questions *q, const job *jobs, validate_result *out) {
  for (int64_t i = 0; i < c->n; i++)
    for (int64_t m = 0; m < q->n; m++)
      for (int k = 0; k < DEFECT_KINDS; k++) {
        const job *j = &jobs[i * JOBS + k];
        if (!j->applies) continue;
        int set = c->at[i].set, n = defect_about((defect_kind)k)->steps + 1;
        metric_value *v = j->value + m * CHAIN;
        validate_cell *cell = &out->cell[m * DEFECT_KINDS + k];
        v[0] = jobs[i * JOBS + DEFECT_KINDS].value[m];
        cell->clips[set]++;
        cell->verdict[set][validate_order(q->list[m].metric->direction, v, n)]++;
        metric_value ends[] = {v[0], v[n - 1]};
        validate_verdict end = validate_order(q->list[m].metric->direction, ends, 2);
        cell->seen += end == VALIDATE_ORDERED || end == VALIDATE_BY_GATE;
        for (int s = 0; s < n; s++)
          if (!v[s].reason) cell->sum[s] += v[s].value, cell->defined[s]++;
      }
}

int validate_run(err *e, const validate_clips *c, const metric_request *list, int64_t n, int threads,
                 validate_result *out) {
  int rc = OK, most = threads > 1 ? threads : 1;
  job *jobs = NULL;
  questions q = {0};
  *out = (validate_result){.metrics = n};
  TRY(questions_open(e, list, n, &q));
  TRY(mem_new(e, n * DEFECT_KINDS, sizeof *out->cell, "validation", &out->cell));
  TRY(mem_new(e, c->n * JOBS, sizeof *jobs, "validation", &jobs));
#pragma omp parallel for schedule(dynamic) num_threads(most)
  for (int64_t i = 0; i < c->n * JOBS; i++) {
    err own = {0};
    int bad;
#pragma omp atomic read
    bad = rc;
    if (bad != OK || run_job(&own, &c->at[i / JOBS], &q, (int)(i % JOBS), &jobs[i]) == OK) continue;
#pragma omp critical(validate_error)
    {
#pragma omp atomic write
      rc = err_set(e, own.code, "%s", own.text);
    }
  }
  if (rc == OK) count(c, &q, jobs, out);
out:
  for (int64_t i = 0; jobs && i < c->n * JOBS; i++) free(jobs[i].value);
  free(jobs), free(q.sorted), free(q.place);
  if (rc != OK) validate_free(out);
  return rc;
}

void validate_free(validate_result *r) {
  free(r->cell);
  *r = (validate_result){0};
}

int64_t validate_clip_count(const validate_cell *c) {
  int64_t n = 0;
  for (int s = 0; s < VALIDATE_SETS; s++) n += c->clips[s];
  return n;
}

int64_t validate_count(const validate_cell *c, validate_verdict v) {
  int64_t n = 0;
  for (int s = 0; s < VALIDATE_SETS; s++) n += c->verdict[s][v];
  return n;
}

int64_t validate_good(const validate_cell *c) {
  return validate_count(c, VALIDATE_ORDERED) + validate_count(c, VALIDATE_BY_GATE);
}

int validate_primary(const metric_request *r) {
  return r->metric->tier <= 1 && r->metric->direction != METRIC_NONE && !metric_circular(r);
}

int validate_reaches(const validate_result *r, const metric_request *list, int64_t m, defect_kind k) {
  const validate_cell *c = validate_at(r, m, k);
  int64_t n = validate_clip_count(c);
  return validate_primary(&list[m]) && n > 0 && (double)validate_good(c) >= SHARE * (double)n;
}

/* Whether metric a is the better witness of a defect than b; both reach it. */
static int before(const validate_result *r, const metric_request *list, int64_t a, int64_t b, defect_kind k) {
  int alone_a = list[a].metric->plane == METRIC_ALPHA, alone_b = list[b].metric->plane == METRIC_ALPHA;
  if (alone_a != alone_b) return alone_b;
  return validate_good(validate_at(r, a, k)) > validate_good(validate_at(r, b, k));
}

int64_t validate_best(const validate_result *r, const metric_request *list, defect_kind k) {
  int64_t best = -1;
  for (int64_t m = 0; m < r->metrics; m++)
    if (validate_reaches(r, list, m, k) && (best < 0 || before(r, list, m, best, k))) best = m;
  return best;
}

int64_t validate_seen_by(const validate_result *r, const metric_request *list, defect_kind k) {
  int64_t best = -1;
  for (int64_t m = 0; m < r->metrics; m++)
    if (validate_primary(&list[m]) && validate_at(r, m, k)->seen > (best < 0 ? 0 : validate_at(r, best, k)->seen))
      best = m;
  return best;
}
