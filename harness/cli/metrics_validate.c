#include "cli/metrics_validate.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <omp.h>

#include "base/mem.h"
#include "cli/validate_page.h"

/* --- which metrics ---------------------------------------------------------------------------------------------- */

typedef struct requests {
  metric_request *at;
  int64_t n, cap;
} requests;

static int add_request(err *e, requests *l, const metric_request *r) {
  int rc = OK;
  for (int64_t i = 0; i < l->n; i++) {
    char a[METRIC_TEXT], b[METRIC_TEXT];
    metric_print(&l->at[i], a), metric_print(r, b);
    if (!strcmp(a, b)) return OK;
  }
  TRY(mem_grow(e, &l->at, &l->cap, l->n + 1, sizeof *l->at, "metrics"));
  l->at[l->n++] = *r;
out:
  return rc;
}

/* Bytes of the next metric at s: a piece between commas that has a '=' and no ':' is still a parameter of it. */
static size_t request_length(const char *s) {
  size_t n = strcspn(s, ",");
  while (s[n]) {
    size_t piece = strcspn(s + n + 1, ","), name = strcspn(s + n + 1, ":=,");
    if (s[n + 1 + name] != '=') break;
    n += 1 + piece;
  }
  return n;
}

static int named_requests(err *e, const cli_list *names, requests *l) {
  int rc = OK;
  for (int i = 0; i < names->n; i++)
    for (const char *s = names->v[i];; s++) {
      char one[METRIC_TEXT];
      metric_request r;
      size_t n = request_length(s);
      if (n >= sizeof one) FAIL(e, E_ARG, "--metric: '%.40s...' is too long", s);
      memcpy(one, s, n);
      one[n] = 0;
      TRY(metric_parse(e, one, &r));
      TRY(add_request(e, l, &r));
      s += n;
      if (!*s) break;
    }
out:
  return rc;
}

/* Every metric and, where it has one, its gain. */
static int all_requests(err *e, requests *l) {
  int rc = OK;
  for (const metric *const *m = metric_list(); *m; m++) {
    metric_request r;
    TRY(metric_parse(e, (*m)->id, &r));
    TRY(add_request(e, l, &r));
    r.gain = 1;
    if ((*m)->gain_ok) TRY(add_request(e, l, &r));
  }
out:
  return rc;
}

/* --- which clips ------------------------------------------------------------------------------------------------ */

typedef struct paths {
  char **v;
  int64_t n, cap;
} paths;

static void paths_free(paths *p) {
  for (int64_t i = 0; i < p->n; i++) free(p->v[i]);
  free(p->v);
}

static int add_path(err *e, paths *p, const char *folder, const char *name) {
  int rc = OK;
  text t = {0};
  text_addf(&t, "%s%s%s", folder, *folder ? "/" : "", name);
  TRY(text_ok(&t, e));
  TRY(mem_grow(e, &p->v, &p->cap, p->n + 1, sizeof *p->v, "clips"));
  TRY(mem_strdup(e, t.p, &p->v[p->n]));
  p->n++;
out:
  text_free(&t);
  return rc;
}

static int is_clip_name(const char *name) {
  static const char *const endings[] = {".mkv", ".webm", ".mov", ".mp4",  ".avi",
                                        ".nut", ".webp", ".gif", ".apng", ".png"};
  const char *dot = strrchr(name, '.');
  for (size_t i = 0; dot && dot != name && i < sizeof endings / sizeof endings[0]; i++)
    if (!strcmp(dot, endings[i])) return 1;
  return 0;
}

static int by_name(const void *a, const void *b) {
  const char *const *x = a, *const *y = b;
  return strcmp(*x, *y);
}

static int add_folder(err *e, const char *folder, paths *p) {
  int rc = OK;
  int64_t first = p->n;
  DIR *d = opendir(folder);
  if (!d) FAIL(e, E_IO, "%s: cannot open: %s", folder, strerror(errno));
  for (const struct dirent *entry; (entry = readdir(d));)
    if (is_clip_name(entry->d_name)) TRY(add_path(e, p, folder, entry->d_name));
  if (p->n == first)
    FAIL(e, E_CONFIG, "%s: no clip in this folder (.mkv, .webm, .mov, .mp4, .webp, .gif, .png...)", folder);
  qsort(p->v + first, (size_t)(p->n - first), sizeof *p->v, by_name);
out:
  if (d) closedir(d);
  return rc;
}

static int gather_clips(err *e, const validate_args *a, const char *const *words, int n, validate_clips *clips) {
  int rc = OK;
  paths p = {0};
  struct stat s;
  for (int i = 0; i < n; i++)
    TRY(stat(words[i], &s) == 0 && S_ISDIR(s.st_mode) ? add_folder(e, words[i], &p) : add_path(e, &p, "", words[i]));
  if (!a->clips && !p.n && !a->study)
    FAIL(e, E_ARG, "--clips 0 and no clip or study: there is nothing to validate on");
  TRY(validate_procedural(e, (uint64_t)a->seed, a->clips, clips));
  TRY(validate_files(e, (uint64_t)a->seed, (const char *const *)p.v, p.n, clips));
out:
  paths_free(&p);
  return rc;
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
  TRY(gather_clips(&c->err, a, words, n, &clips));
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
