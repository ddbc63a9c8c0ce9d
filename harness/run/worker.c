#include "run/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/object.h"

#define NOTE_INTERVAL 0.1 /* seconds between notes to the runner */

typedef struct worker {
  const worker_task *t;
  err e;
  store *s;
  stage stage;
  stage_cell *cells;
  stage_file **inputs; /* [n][inputs of the cell] */
  json **specs, **hints;
  int64_t n;
  int64_t stored; /* cells of the pack whose result is in the store */
  int64_t alone;  /* the cell that runs on its own */
  int stopping;   /* the signal that asked for it */
  double last_note;
} worker;

const char *worker_fail_class(int code) {
  switch (code) {
  case E_NOMEM: return "oom_host";
  case E_NAN: return "nan_loss";
  case E_IO:
  case E_STORE: return "io";
  case E_DEVICE: return "oom_gpu";
  case E_INTERRUPTED: return "preempted";
  case E_ARG:
  case E_SHAPE:
  case E_FORMAT:
  case E_CONFIG:
  case E_UNSUPPORTED: return "config";
  default: return "internal";
  }
}

int worker_checkpoint(err *e, const char *results, const char *key, char path[STAGE_PATH]) {
  char folder[STAGE_PATH];
  int n = snprintf(folder, sizeof folder, "%s/checkpoints", results);
  if (n < 0 || n + 90 >= STAGE_PATH) return err_set(e, E_ARG, "%s: path too long", results);
  int rc = file_mkdirs(e, folder);
  if (rc == OK) snprintf(path, STAGE_PATH, "%.900s/%s.safetensors", folder, key);
  return rc;
}

/* --- hooks of the stage --- */

static int on_temp(void *user, err *e, const char *suffix, char path[STAGE_PATH]) {
  _Static_assert(STAGE_PATH == STORE_PATH, "temporary files of the store are outputs of stages");
  return object_temp(((worker *)user)->s, e, suffix, path);
}

static void on_progress(void *user, int64_t done, int64_t total, double value) {
  worker *w = user;
  double now = clock_seconds();
  if (done < total && now - w->last_note < NOTE_INTERVAL) return;
  w->last_note = now;
  worker_note note = {done, total, value};
  /* A full pipe only costs a progress line. */
  if (write(w->t->notes, &note, sizeof note) < 0) errno = 0;
}

static int on_stop(void *user) {
  worker *w = user;
  struct signalfd_siginfo info;
  if (!w->stopping && read(w->t->signals, &info, sizeof info) == (ssize_t)sizeof info)
    w->stopping = (int)info.ssi_signo;
  return w->stopping;
}

/* Each line goes to the log of the cell it is about; a log that cannot be written costs only itself. */
static void on_log(void *user, int64_t cell, const char *data, size_t n) {
  const worker *w = user;
  char path[STAGE_PATH];
  int length = snprintf(path, sizeof path, "%s/%s", w->t->results, w->t->jobs->at[w->alone + cell].log_path);
  int fd = length < STAGE_PATH ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
  if (fd < 0) return;
  if (write(fd, data, n) < 0) errno = 0;
  close(fd);
}

/* --- cells from jobs --- */

/* Which artifact of the upstream cell an input role means. */
static const char *artifact_role(const char *input_role) {
  static const struct {
    const char *input, *artifact;
  } map[] = {{"data", "latents"}, {"adapter", "adapter"}, {"weights", "weights"},
             {"sample", "clip"},  {"partner", "clip"},    {"base", "clip"}};
  if (set_cell_side(input_role)) return "clip";
  for (size_t i = 0; i < sizeof map / sizeof map[0]; i++)
    if (!strcmp(map[i].input, input_role)) return map[i].artifact;
  return input_role;
}

static int path_of_cell(worker *w, const char *key, const char *role, char path[STAGE_PATH]) {
  int rc = OK;
  store_artifacts list = {0};
  const char *want = artifact_role(role);
  TRY(store_artifact_list(w->s, &w->e, key, &list));
  for (int64_t i = 0; i < list.n; i++)
    if (!strcmp(list.at[i].role, want)) {
      TRY(object_path(w->s, &w->e, list.at[i].sha256, path));
      goto out;
    }
  FAIL(&w->e, E_STORE, "input '%s': cell %.12s has no '%s'", role, key, want);
out:
  store_artifacts_free(&list);
  return rc;
}

static int path_of_file(worker *w, const char *key, const char *role, char path[STAGE_PATH]) {
  int64_t at = plan_find(w->t->plan, key);
  const plan_cell *c = at >= 0 ? &w->t->plan->cell[at] : NULL;
  for (int i = 0; c && i < c->n_inputs; i++)
    if (!strcmp(c->input[i].role, role) && c->input[i].path) {
      if (snprintf(path, STAGE_PATH, "%s", c->input[i].path) >= STAGE_PATH)
        return err_set(&w->e, E_ARG, "%s: path too long", c->input[i].path);
      return OK;
    }
  return err_set(&w->e, E_CONFIG, "input '%s' of cell %.12s is not in the plan", role, key);
}

static int open_cell(worker *w, int64_t i) {
  int rc = OK;
  const store_job *j = &w->t->jobs->at[i];
  stage_cell *c = &w->cells[i];
  int64_t at = plan_find(w->t->plan, j->key);
  const char *hints = at >= 0 ? w->t->plan->cell[at].hints : "{}";
  TRY(json_parse(&w->e, "spec", j->spec_json, strlen(j->spec_json), &w->specs[i]));
  TRY(json_parse(&w->e, "hints", hints, strlen(hints), &w->hints[i]));
  TRY(mem_new(&w->e, j->n_inputs, sizeof **w->inputs, "inputs", &w->inputs[i]));
  for (int64_t k = 0; k < j->n_inputs; k++) {
    stage_file *f = &w->inputs[i][k];
    f->role = j->inputs[k].role;
    f->sha256 = j->inputs[k].sha256;
    TRY(j->inputs[k].key ? path_of_cell(w, j->inputs[k].key, f->role, f->path)
                         : path_of_file(w, j->key, f->role, f->path));
  }
  *c = (stage_cell){.spec = w->specs[i],
                    .hints = w->hints[i],
                    .inputs = w->inputs[i],
                    .n_inputs = (int)j->n_inputs,
                    .resumed_from = -1};
out:
  return rc;
}

static void close_cells(worker *w) {
  for (int64_t i = 0; i < w->n; i++) {
    if (w->cells) {
      for (int k = 0; k < w->cells[i].n_outputs; k++) unlink(w->cells[i].outputs[k].path);
      stage_cell_clear(&w->cells[i]);
    }
    if (w->inputs) free(w->inputs[i]);
    if (w->specs) json_free(w->specs[i]);
    if (w->hints) json_free(w->hints[i]);
  }
  free(w->cells);
  free(w->inputs);
  free(w->specs);
  free(w->hints);
}

static int open_cells(worker *w) {
  int rc = OK;
  w->n = w->t->jobs->n;
  TRY(mem_new(&w->e, w->n, sizeof *w->cells, "cells", &w->cells));
  TRY(mem_new(&w->e, w->n, sizeof *w->inputs, "inputs", &w->inputs));
  TRY(mem_new(&w->e, w->n, sizeof *w->specs, "specs", &w->specs));
  TRY(mem_new(&w->e, w->n, sizeof *w->hints, "hints", &w->hints));
  for (int64_t i = 0; i < w->n; i++) TRY(open_cell(w, i));
out:
  return rc;
}

/* --- results --- */

static store_usage usage_of(const stage_cell *c) {
  struct rusage r;
  getrusage(RUSAGE_SELF, &r);
  return (store_usage){.resumed_from_step = c ? c->resumed_from : -1,
                       .peak_rss_bytes = (int64_t)r.ru_maxrss * 1024,
                       .peak_vram_bytes = -1,
                       .gpu_ms = -1};
}

static int finish(worker *w, int64_t i) {
  int rc = OK;
  const store_job *j = &w->t->jobs->at[i];
  stage_cell *c = &w->cells[i];
  store_artifact files[STAGE_OUTPUTS];
  char sha[STAGE_OUTPUTS][HASH_HEX];
  store_measure *m = NULL;
  int n = c->n_outputs;
  TRY(mem_new(&w->e, c->n_measures, sizeof *m, "measures", &m));
  c->n_outputs = 0; /* adopted files are gone, whatever happens */
  for (int k = 0; k < n; k++) {
    files[k] = (store_artifact){.role = c->outputs[k].role, .kind = c->outputs[k].kind, .sha256 = sha[k]};
    TRY(object_adopt(w->s, &w->e, c->outputs[k].path, sha[k], &files[k].bytes));
  }
  for (int64_t k = 0; k < c->n_measures; k++)
    m[k] = (store_measure){.metric = c->measures[k].metric,
                           .version = c->measures[k].version,
                           .scope = c->measures[k].of_set ? "set" : "video",
                           .idx = -1,
                           .value = c->measures[k].value,
                           .reason = c->measures[k].reason,
                           .n = c->measures[k].support};
  TRY(store_finish(w->s, &w->e, j->attempt_id,
                   &(store_result){.artifacts = files,
                                   .n_artifacts = n,
                                   .measures = m,
                                   .n_measures = c->n_measures,
                                   .usage = usage_of(c),
                                   .now_ms = store_now_ms()}));
out:
  free(m);
  return rc;
}

void worker_log_failure(const char *results, const char *self, const store_job *j, const worker_failure *f) {
  char path[STAGE_PATH];
  if (snprintf(path, sizeof path, "%s/%s", results, j->log_path) >= (int)sizeof path) return;
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return;
  dprintf(fd, "%s\nclass: %s\n", f->message, f->fail_class);
  if (f->term_signal >= 0)
    dprintf(fd, "signal: %d (%s)\n", f->term_signal, strsignal(f->term_signal));
  else if (f->exit_code >= 0)
    dprintf(fd, "exit status: %d\n", f->exit_code);
  dprintf(fd, "to run it again: %s --only %.12s\n", self, j->key);
  close(fd);
}

int64_t worker_backoff_ms(const store_job *j) {
  int64_t doublings = j->n < 1 ? 0 : j->n > 7 ? 6 : j->n - 1, ms = INT64_C(1000) << doublings;
  if (ms > 60000) ms = 60000;
  uint64_t spread = ((uint64_t)j->attempt_id * UINT64_C(0x9E3779B97F4A7C15)) >> 40;
  return ms / 2 + (int64_t)(spread % (uint64_t)ms);
}

static void fail_job(worker *w, int64_t i, int code, const char *message) {
  const store_job *j = &w->t->jobs->at[i];
  err e = {0};
  int retry = 0;
  const char *class = worker_fail_class(code);
  worker_log_failure(w->t->results, w->t->self, j, &(worker_failure){class, message, WORKER_FAILED, -1});
  store_failure f = {.fail_class = class,
                     .message = message,
                     .exit_code = WORKER_FAILED,
                     .term_signal = -1,
                     .usage = usage_of(w->cells ? &w->cells[i] : NULL),
                     .now_ms = store_now_ms(),
                     .retry_after_ms = worker_backoff_ms(j)};
  if (store_fail(w->s, &e, j->attempt_id, &f, &retry) != OK) fprintf(stderr, "%s\n", e.text);
}

static void cancel_job(worker *w, int64_t i) {
  err e = {0};
  if (w->stopping == SIGUSR2) return;
  if (store_cancel(w->s, &e, w->t->jobs->at[i].attempt_id, store_now_ms()) != OK) fprintf(stderr, "%s\n", e.text);
}

static int on_done(void *user, err *e, int64_t cell) {
  worker *w = user;
  (void)e; /* it is the worker's own */
  int rc = finish(w, cell);
  if (rc == OK) w->stored = cell + 1;
  return rc;
}

static stage_env env_of(worker *w, const char *checkpoint) {
  return (stage_env){.threads = w->t->threads,
                     .backend = w->t->backend,
                     .device = w->t->device,
                     .checkpoint = checkpoint,
                     .temp = on_temp,
                     .progress = on_progress,
                     .stop = on_stop,
                     .log = on_log,
                     .user = w};
}

/* One cell on its own: its end is stored whatever it is. */
static int run_alone(worker *w, int64_t i) {
  char checkpoint[STAGE_PATH] = "";
  int trains = w->stage == STAGE_TRAIN || w->stage == STAGE_PRETRAIN, rc = OK;
  err_clear(&w->e);
  w->alone = i;
  if (trains) rc = worker_checkpoint(&w->e, w->t->results, w->t->jobs->at[i].key, checkpoint);
  stage_env env = env_of(w, checkpoint);
  if (rc == OK) rc = stage_run(&w->e, w->stage, &w->cells[i], 1, &env);
  if (rc == OK) rc = finish(w, i);
  if (rc == OK) {
    if (trains) unlink(checkpoint);
    return WORKER_OK;
  }
  if (rc == E_INTERRUPTED) {
    cancel_job(w, i);
    return WORKER_STOPPED;
  }
  fail_job(w, i, rc, w->e.text);
  return WORKER_FAILED;
}

static int run_pack(worker *w) {
  int status = WORKER_OK;
  if (w->n > 1) {
    stage_env env = env_of(w, "");
    env.done = on_done;
    int rc = stage_run(&w->e, w->stage, w->cells, w->n, &env);
    while (rc == OK && w->stored < w->n) rc = on_done(w, &w->e, w->stored);
    if (rc == OK) return WORKER_OK;
  }
  /* One cell, or a pack that failed: whose fault it was shows when each runs alone. */
  for (int64_t i = w->stored; i < w->n; i++) {
    for (int k = 0; k < w->cells[i].n_outputs; k++) unlink(w->cells[i].outputs[k].path);
    w->cells[i].n_outputs = 0;
    stage_cell_clear(&w->cells[i]);
    if (w->stopping) {
      cancel_job(w, i);
      status = WORKER_STOPPED;
      continue;
    }
    int one = run_alone(w, i);
    if (one > status) status = one;
  }
  return status;
}

int worker_run(const worker_task *t) {
  worker w = {.t = t};
  int status = WORKER_FAILED;
  if (store_open(&w.e, t->results, STORE_WRITE, &w.s) != OK) {
    fprintf(stderr, "%s\n", w.e.text);
    return status;
  }
  w.stage = t->jobs->at[0].stage;
  if (open_cells(&w) == OK) {
    status = run_pack(&w);
  } else {
    for (int64_t i = 0; i < t->jobs->n; i++) fail_job(&w, i, w.e.code, w.e.text);
  }
  close_cells(&w);
  store_close(w.s);
  return status;
}
