/* bench_store: what status and table cost on a store of many cells.
 *
 *   bench_store make FOLDER     a study of 20 designs x 32 prompts x 4 training seeds x 4 sample seeds with 8 metrics
 *                               (10,240 score cells) in FOLDER/study.json, and its finished store in FOLDER/results
 *   bench_store time PROGRAM FOLDER [ROUNDS]
 *                               CPU and wall seconds of PROGRAM's status and table on it, median of ROUNDS (5), and
 *                               the share of their limits (0.1 s and 1 s) that the CPU time is
 *
 * A score is an effect of its design, one of its prompt, one of its training and noise, from fixed seeds; 1 in 40 is
 * undefined. Clips and adapters have no objects: only what is read from tables is there.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "store/job.h"
#include "store/register.h"
#include "study/content.h"

enum { VARIANTS = 20, TRAINS = 4, SAMPLES = 4, METRICS = 8, ROUNDS_MAX = 64, PATH = 1200 };

static const char *const metrics[METRICS] = {"true_iou_gain", "color_fit_gain", "rgb_rmse_base",  "edge_color_gain",
                                             "true_iou",      "true_mad",       "alpha_coverage", "motion_ratio"};

static int fail(const err *e, const char *what) {
  fprintf(stderr, "bench_store: %s%s%s\n", what, e ? ": " : "", e ? e->text : "");
  return 1;
}

/* --- the store ------------------------------------------------------------------------------------------------- */

static int write_study(const char *path) {
  FILE *f = fopen(path, "w");
  if (!f) return 0;
  fprintf(f, "{\"schema\": 1, \"study\": \"many\", \"variants\": {");
  for (int v = 0; v < VARIANTS; v++)
    fprintf(f, "%s\"v%02d\": {\"design\": \"ours\", \"train.rank\": %d}", v ? ", " : "", v, v + 1);
  fprintf(f,
          "},\n \"matrix\": {\"axes\": {\"variant\": \"*\", \"train_seed\": {\"count\": %d, \"from\": 0}, "
          "\"sample_seed\": {\"count\": %d, \"from\": 0}, \"prompt\": \"*\"}},\n \"prompts\": {\"file\": "
          "\"%s/configs/prompts/world-32.jsonl\"},\n \"primary\": [\"%s\", \"%s\", \"%s\"],\n \"metrics\": [",
          TRAINS, SAMPLES, TD_SOURCE_DIR, metrics[0], metrics[1], metrics[2]);
  for (int m = 3; m < METRICS; m++) fprintf(f, "%s\"%s\"", m > 3 ? ", " : "", metrics[m]);
  fprintf(f, "]}\n");
  return fclose(f) == 0;
}

static double normal(uint64_t seed, uint32_t sub) {
  float z;
  rng_normal((rng){.seed = seed, .stream = RNG_TEST, .sub = sub}, 0, 1, &z);
  return (double)z;
}

static double score(const plan_cell *c, uint32_t sub) {
  uint64_t row = rng_salt(c->variant), prompt = rng_salt(c->prompt), training = (uint64_t)c->train_seed;
  return 0.5 + 0.02 * normal(row, sub) + 0.05 * normal(prompt, sub) + 0.02 * normal(rng_derive(row, training), sub) +
         0.04 * normal(rng_salt(c->key), sub);
}

static int finish(store *s, err *e, const study *st, const plan *p, const store_job *j) {
  store_measure m[METRICS];
  store_result r = {.measures = m, .usage = {-1, -1, -1, -1}, .now_ms = 2000};
  const plan_cell *c = &p->cell[plan_find(p, j->key)];
  for (int i = 0; j->stage == STAGE_SCORE && i < st->n_metrics; i++) {
    const char *reason = rng_salt(j->key) % 40 == (uint64_t)i ? "empty_alpha" : NULL;
    m[r.n_measures++] = (store_measure){.metric = st->metrics[i].id,
                                        .version = st->metrics[i].version,
                                        .scope = "video",
                                        .idx = -1,
                                        .value = fmax(0, fmin(1, score(c, (uint32_t)i))),
                                        .reason = reason,
                                        .n = 1};
  }
  return store_finish(s, e, j->attempt_id, &r);
}

static int run_all(store *s, err *e, const study *st, const plan *p, int64_t id) {
  int rc = OK;
  for (int64_t n = 1; rc == OK && n;) {
    store_jobs j;
    store_want w = {.study_id = id, .owner = "bench", .now_ms = 1000, .lease_ms = 1000000};
    w.pack_role = "adapter", w.max_cells = 1024;
    rc = store_claim(s, e, &w, &j);
    n = rc == OK ? j.n : 0;
    for (int64_t i = 0; rc == OK && i < n; i++) rc = finish(s, e, st, p, &j.at[i]);
    store_jobs_free(&j);
  }
  return rc;
}

static int make(const char *folder) {
  err e = {0};
  problems found = {0};
  study *st = NULL;
  plan *p = NULL;
  store *s = NULL;
  int64_t id;
  char file[PATH], results[PATH];
  int rc = OK;
  snprintf(file, sizeof file, "%s/study.json", folder);
  snprintf(results, sizeof results, "%s/results", folder);
  if (mkdir(folder, 0777) != 0) return fail(NULL, "FOLDER is there already, or cannot be made");
  if (!write_study(file)) return fail(NULL, "the study cannot be written");
  TRY(study_load(&e, &(study_input){.file = file, .home = TD_SOURCE_DIR "/configs"}, &found, &st));
  TRY(plan_make(&e, st, &(plan_source){content_sha, NULL}, &found, &p));
  TRY(store_open(&e, results, STORE_CREATE, &s));
  TRY(store_register_plan(s, &e, st, p, 1, &id));
  TRY(run_all(s, &e, st, p, id));
  printf("%s: %lld score cells\n", folder, (long long)p->count[STAGE_SCORE]);
out:
  store_close(s);
  plan_free(p);
  study_free(st);
  problems_free(&found);
  return rc == OK ? 0 : fail(&e, "make");
}

/* --- time ------------------------------------------------------------------------------------------------------ */

static double seconds(const struct timeval *t) {
  return (double)t->tv_sec + 1e-6 * (double)t->tv_usec;
}

static double children(void) {
  struct rusage u;
  getrusage(RUSAGE_CHILDREN, &u);
  return seconds(&u.ru_utime) + seconds(&u.ru_stime);
}

static double wall_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static int time_verb(const char *command, const char *name, double limit, int rounds) {
  double cpu[ROUNDS_MAX], wall[ROUNDS_MAX];
  for (int i = 0; i < rounds; i++) {
    double c = children(), w = wall_now();
    int status = system(command); /* NOLINT: a fixed command line of a bench */
    if (status != 0) return fail(NULL, command);
    cpu[i] = children() - c, wall[i] = wall_now() - w;
  }
  qsort(cpu, (size_t)rounds, sizeof *cpu, ascending);
  qsort(wall, (size_t)rounds, sizeof *wall, ascending);
  printf("%-7s cpu %.3f s, wall %.3f s, limit %.1f s: ratio %.2f\n", name, cpu[rounds / 2], wall[rounds / 2], limit,
         cpu[rounds / 2] / limit);
  return 0;
}

static int time_verbs(const char *program, const char *folder, int rounds) {
  static const struct {
    const char *name, *args;
    double limit;
  } verb[] = {{"status", "status many", 0.1}, {"table", "table \"$d/study.json\"", 1}};
  char command[2 * PATH];
  for (size_t i = 0; i < sizeof verb / sizeof *verb; i++) {
    snprintf(command, sizeof command, "d='%s'; '%s' %s --results \"$d/results\" >/dev/null", folder, program,
             verb[i].args);
    if (time_verb(command, verb[i].name, verb[i].limit, rounds)) return 1;
  }
  return 0;
}

int main(int argc, char **argv) {
  int rounds = argc > 4 ? atoi(argv[4]) : 5;
  if (argc == 3 && strcmp(argv[1], "make") == 0) return make(argv[2]);
  if (argc >= 4 && strcmp(argv[1], "time") == 0 && rounds > 0 && rounds <= ROUNDS_MAX)
    return time_verbs(argv[2], argv[3], rounds);
  fprintf(stderr, "usage: bench_store make FOLDER | bench_store time PROGRAM FOLDER [ROUNDS]\n");
  return 2;
}
