#include "cli/metrics_validate.h"

#include <stdlib.h>
#include <string.h>

#include <omp.h>

#include "cli/requests.h"
#include "cli/score_clips.h"
#include "cli/score_jobs.h"
#include "cli/validate_page.h"

static int named_requests(err *e, const cli_list *names, requests *l) {
  int rc = OK;
  for (int i = 0; i < names->n; i++) TRY(requests_named(e, names->v[i], l));
  if (!l->n) FAIL(e, E_ARG, "--metric names no metric");
out:
  return rc;
}

/* Asked besides every metric's defaults: color_fit's own window grows with the frame (6 px at 96), and one that is
 * wider than an error of the edge hardly sees it. 75 voxels, for four unknowns. */
static const char *const fine[] = {"color_fit:r=2", "color_fit_gain:r=2"};

/* Every metric and, where it has one, its gain; then the fine windows. */
static int all_requests(err *e, requests *l) {
  int rc = OK;
  for (const metric *const *m = metric_list(); *m; m++) {
    metric_request r;
    TRY(metric_parse(e, (*m)->id, &r));
    TRY(requests_add(e, l, &r));
    r.gain = 1;
    if ((*m)->gain_ok) TRY(requests_add(e, l, &r));
  }
  for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) TRY(requests_named(e, fine[i], l));
out:
  return rc;
}

static int add_files(err *e, uint64_t seed, const char *const *words, int n, validate_clips *clips) {
  int rc = OK;
  score_jobs jobs = {0};
  score_clips one = {0};
  TRY(score_jobs_open(e, &(score_sources){.clips = words, .n_clips = n}, &jobs));
  for (int64_t i = 0; i < jobs.n; i++) {
    TRY(score_clips_read(e, &jobs.at[i], 0, &one));
    TRY(validate_add(e, seed, jobs.at[i].name, &one.own, clips));
    score_clips_free(&one);
  }
  TRY(validate_pair(e, clips));
out:
  score_clips_free(&one);
  score_jobs_close(&jobs);
  return rc;
}

static int gather_clips(cli *c, const validate_args *a, const char *const *words, int n, validate_clips *clips) {
  int rc = OK;
  if (!a->clips && !n && !a->study)
    FAIL(&c->err, E_ARG, "--clips 0 and no clip or study: there is nothing to validate on");
  TRY(validate_procedural(&c->err, (uint64_t)a->seed, a->clips, clips));
  if (n) TRY(add_files(&c->err, (uint64_t)a->seed, words, n, clips));
out:
  return rc;
}

int metrics_validate_asked(const validate_args *a) {
  return a->metrics.n || a->study || a->markdown || a->strict;
}

/* --- the verb --------------------------------------------------------------------------------------------------- */

static int agree(cli *c, const validate_args *a, const requests *l, int threads, agreement *out) {
  int rc = OK;
  store *s = NULL;
  agreement_options o = {.replicates = a->replicates, .level = 0.95, .seed = (uint64_t)a->seed, .threads = threads};
  TRY(store_open(&c->err, c->results, STORE_READ, &s));
  TRY(agreement_make(&c->err, s, a->study, l->at, l->n, &o, out));
  if (!out->n) FAIL(&c->err, E_ARG, "--study: none of the metrics asked for compares alpha with the picture alone");
out:
  store_close(s);
  return rc;
}

/* "tandem metrics validate ..." without where the output goes. */
static void command_line(const cli *c, text *t) {
  text_add(t, "tandem");
  for (int i = 1; i < c->argc; i++) {
    if (!strcmp(c->argv[i], "-o") || !strcmp(c->argv[i], "--output")) {
      i++;
      continue;
    }
    text_addf(t, " %s", c->argv[i]);
  }
}

/* Defects that no primary metric orders go to standard error, and with --strict into the exit status. */
static void complain(cli *c, const validate_args *a, const requests *l, const validate_result *r) {
  int bad = 0;
  for (int k = 0; k < DEFECT_KINDS; k++) {
    if (!l->n || !validate_clip_count(validate_at(r, 0, (defect_kind)k))) continue;
    if (validate_best(r, l->at, (defect_kind)k) >= 0) continue;
    cli_note(c, "defect %s: no primary metric orders its strengths on 90 %% of the clips",
             defect_about((defect_kind)k)->name);
    bad = 1;
  }
  if (bad && a->strict) c->status = EXIT_FAILED;
}

static int print(cli *c, const validate_args *a, validate_page *p) {
  text t = {0}, command = {0};
  if (c->json) return cli_put_json(c, validate_page_json(p));
  command_line(c, &command);
  p->command = text_ok(&command, &c->err) == OK ? command.p : "";
  validate_page_text(p, a->markdown, &t);
  text_free(&command);
  return cli_put(c, &t);
}

int metrics_validate(cli *c, const validate_args *a, const char *const *words, int n) {
  int rc = OK, threads = c->threads ? (int)c->threads : omp_get_max_threads();
  requests l = {0};
  validate_clips clips = {0};
  validate_result result = {0};
  agreement agreed = {0};
  if (c->json && a->markdown) FAIL(&c->err, E_ARG, "--json and --markdown exclude each other");
  TRY(a->metrics.n ? named_requests(&c->err, &a->metrics, &l) : all_requests(&c->err, &l));
  TRY(gather_clips(c, a, words, n, &clips));
  TRY(validate_run(&c->err, &clips, l.at, l.n, threads, &result));
  if (a->study) TRY(agree(c, a, &l, threads, &agreed));
  validate_page p = {.clips = &clips,
                     .list = l.at,
                     .n = l.n,
                     .result = &result,
                     .agree = a->study ? &agreed : NULL,
                     .study_name = a->study,
                     .seed = (uint64_t)a->seed,
                     .replicates = a->replicates};
  TRY(print(c, a, &p));
  complain(c, a, &l, &result);
out:
  free(l.at);
  validate_clips_free(&clips);
  validate_free(&result);
  agreement_free(&agreed);
  return rc;
}
