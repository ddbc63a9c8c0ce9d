#include "run/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "run/estimate.h"
#include "run/host.h"
#include "run/only.h"
#include "run/worker.h"
#include "store/job.h"
#include "store/register.h"

#define GRACE_MS 10000 /* for a worker that is out of its time to save */
#define LEASE_MS 120000
#define HEARTBEAT_MS 15000
#define LOOK_MS 1000 /* between looks whether somebody cancelled what runs here */
#define POLL_MS 100
#define MOST_JOBS 64
#define SAMPLE_PACK 16
#define SCORE_PACK 32
#define SCORER_PACK 512 /* a program may be slow to start, and each answer is stored as it comes */

typedef struct slot {
  pid_t pid; /* 0: free */
  int notes; /* read end */
  store_jobs jobs;
  stage stage;
  double since;
  int64_t beat_ms, look_ms;
  int64_t limit_ms, expired_ms; /* of the pack, 0: none; when it was over, 0: not yet */
} slot;

typedef struct runner {
  const run_request *r;
  run_summary *sum;
  err *e;
  store *s;
  host_facts host;
  char owner[128];
  int64_t study_id;
  int signals, jobs, cores;
  slot slot[MOST_JOBS];
  int busy, stopping, kills;
  int solo[STAGE_COUNT]; /* a pack of this stage died: cells go one by one from now on */
  double began;
  int64_t failures;
  double stage_ms[STAGE_COUNT];
  int64_t unmeasured[STAGE_COUNT];
} runner;

/* --- events --- */

static int counts(runner *q, run_event *e) {
  int rc = OK;
  store_counts c;
  TRY(store_status(q->s, q->e, q->study_id, store_now_ms(), &c));
  for (int s = 0; s < STAGE_COUNT; s++) {
    e->plan_done[s] = c.n[s][CELL_DONE];
    for (int k = 0; k < CELL_STATES; k++) e->plan_total[s] += c.n[s][k];
    e->failed += c.n[s][CELL_FAILED];
    e->blocked += c.n[s][CELL_BLOCKED];
    e->stage_ms[s] = q->stage_ms[s];
    e->unmeasured[s] = q->unmeasured[s];
  }
out:
  return rc;
}

static int emit(runner *q, run_event e) {
  int rc = OK;
  if (!q->r->event) return OK;
  TRY(counts(q, &e));
  q->r->event(q->r->user, &e);
out:
  return rc;
}

static run_event about(const runner *q, const slot *w, run_event_kind kind) {
  const store_job *j = &w->jobs.at[0];
  int64_t at = plan_find(q->r->plan, j->key);
  return (run_event){.kind = kind,
                     .stage = w->stage,
                     .worker = (int)(w - q->slot),
                     .cells = w->jobs.n,
                     .key = j->key,
                     .variant = at >= 0 ? q->r->plan->cell[at].variant : "",
                     .value = NAN,
                     .seconds = clock_seconds() - w->since};
}

/* Leases of processes of this machine that no longer exist need not be waited for. */
static int reap_dead(runner *q) {
  int rc = OK;
  store_facts list = {0};
  int64_t n;
  TRY(store_owner_list(q->s, q->e, &list));
  for (int64_t i = 0; i < list.n; i++)
    if (host_owner_is_dead(list.at[i].name)) TRY(store_reap(q->s, q->e, list.at[i].name, store_now_ms(), &n));
out:
  store_facts_free(&list);
  return rc;
}

/* --- workers --- */

static void child(runner *q, const slot *w, int notes, int threads) {
  char log[STAGE_PATH];
  sigset_t term;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setpgid(0, 0); /* the terminal's Ctrl-C goes to the runner alone */
  snprintf(log, sizeof log, "%s/%s", q->r->results, w->jobs.at[0].log_path);
  int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644), null = open("/dev/null", O_RDWR);
  if (null >= 0) dup2(null, 0), dup2(null, 1);
  if (fd >= 0) dup2(fd, 2);
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  sigaddset(&term, SIGUSR2);
  sigprocmask(SIG_BLOCK, &term, NULL); /* it may come before anybody reads the descriptor */
  int signals = signalfd(-1, &term, SFD_NONBLOCK | SFD_CLOEXEC);
  worker_task t = {.plan = q->r->plan,
                   .results = q->r->results,
                   .jobs = &w->jobs,
                   .threads = threads,
                   .backend = q->r->backend,
                   .device = q->r->device,
                   .notes = notes,
                   .signals = signals,
                   .self = q->r->self};
  _exit(worker_run(&t));
}

/* resources.STAGE.minutes of the pack's cells together. */
static int time_limit(runner *q, const slot *w, int64_t *ms) {
  int rc = OK;
  json *hints = NULL;
  char path[64];
  *ms = 0;
  snprintf(path, sizeof path, "resources.%s.minutes", stage_name(w->stage));
  for (int64_t i = 0; i < w->jobs.n; i++) {
    int64_t at = plan_find(q->r->plan, w->jobs.at[i].key);
    const char *hint = at >= 0 ? q->r->plan->cell[at].hints : "{}";
    TRY(json_parse(q->e, "hints", hint, strlen(hint), &hints));
    const json *minutes = spec_get(hints, path);
    if (minutes && minutes->type == JSON_NUMBER) *ms += (int64_t)(minutes->num * 60000);
    json_free(hints);
    hints = NULL;
  }
out:
  json_free(hints);
  return rc;
}

static int spawn(runner *q, slot *w, int threads) {
  int pipes[2];
  if (pipe(pipes) != 0) return err_set(q->e, E_IO, "pipe: %s", strerror(errno));
  fcntl(pipes[0], F_SETFL, O_NONBLOCK);
  fcntl(pipes[1], F_SETFL, O_NONBLOCK);
  fflush(NULL);
  pid_t pid = fork();
  if (pid < 0) {
    close(pipes[0]);
    close(pipes[1]);
    return err_set(q->e, E_NOMEM, "fork: %s", strerror(errno));
  }
  if (pid == 0) {
    close(pipes[0]);
    child(q, w, pipes[1], threads);
  }
  close(pipes[1]);
  w->pid = pid;
  w->notes = pipes[0];
  w->since = clock_seconds();
  w->beat_ms = w->look_ms = store_now_ms();
  w->expired_ms = 0;
  q->busy++;
  return emit(q, about(q, w, RUN_STARTED));
}

static int claim(runner *q, slot *w) {
  int rc = OK;
  for (int s = 0; s < STAGE_COUNT; s++) {
    int64_t pack = s == STAGE_SAMPLE ? SAMPLE_PACK : s == STAGE_SCORE ? SCORE_PACK : 1;
    store_want want = {.study_id = q->study_id,
                       .has_stage = 1,
                       .stage = (stage)s,
                       .pack_role = pack == 1          ? NULL
                                    : s == STAGE_SCORE ? "scorer"
                                                       : "adapter",
                       .alone_role = SET_FIRST,
                       .max_cells = q->solo[s] ? 1 : pack,
                       .max_with_role = s == STAGE_SCORE && !q->solo[s] ? SCORER_PACK : 0,
                       .owner = q->owner,
                       .build_id = q->host.build_id,
                       .host_id = q->host.host_id,
                       .now_ms = store_now_ms(),
                       .lease_ms = LEASE_MS};
    TRY(store_claim(q->s, q->e, &want, &w->jobs));
    w->stage = (stage)s;
    if (w->jobs.n) break;
    store_jobs_free(&w->jobs);
  }
out:
  return rc;
}

/* Cores a worker gets: all that the work in sight leaves to it. */
static int threads_for(runner *q) {
  if (q->r->threads > 0) return q->r->threads;
  store_counts c;
  int64_t ready = 0;
  if (store_status(q->s, q->e, q->study_id, store_now_ms(), &c) == OK)
    for (int s = 0; s < STAGE_COUNT; s++) ready += c.n[s][CELL_READY];
  int64_t at_once = q->busy + 1 + ready;
  if (at_once > q->jobs) at_once = q->jobs;
  int n = q->cores / (int)at_once;
  return n > 0 ? n : 1;
}

static int fill(runner *q) {
  int rc = OK;
  for (int i = 0; i < q->jobs && !q->stopping; i++) {
    slot *w = &q->slot[i];
    if (w->pid) continue;
    TRY(claim(q, w));
    if (!w->jobs.n) break;
    TRY(time_limit(q, w, &w->limit_ms));
    TRY(spawn(q, w, threads_for(q)));
  }
out:
  return rc;
}

static int read_notes(runner *q, slot *w) {
  int rc = OK;
  worker_note note;
  run_event e = about(q, w, RUN_PROGRESS);
  while (read(w->notes, &note, sizeof note) == (ssize_t)sizeof note) {
    e.done = note.done;
    e.total = note.total;
    e.value = note.value;
  }
  if (e.total && q->r->event) TRY(emit(q, e));
out:
  return rc;
}

/* A cell whose worker did not end it itself. */
static int fail_cell(runner *q, const store_job *j, const worker_failure *f) {
  int retry;
  store_failure x = {.fail_class = f->fail_class,
                     .message = f->message,
                     .exit_code = f->exit_code,
                     .term_signal = f->term_signal,
                     .usage = {-1, -1, -1, -1},
                     .now_ms = store_now_ms(),
                     .retry_after_ms = worker_backoff_ms(j)};
  worker_log_failure(q->r->results, q->r->self, j, f);
  return store_fail(q->s, q->e, j->attempt_id, &x, &retry);
}

/* Cells of the slot that have not ended: a pack is taken apart, a single cell has failed. */
static int give_up(runner *q, slot *w, const worker_failure *f) {
  int rc = OK;
  for (int64_t i = 0; i < w->jobs.n; i++) {
    int ours;
    TRY(store_heartbeat(q->s, q->e, w->jobs.at[i].attempt_id, store_now_ms(), LEASE_MS, &ours));
    if (!ours) continue; /* it had ended */
    if (q->stopping || w->jobs.n > 1) {
      q->solo[w->stage] = 1;
      TRY(store_cancel(q->s, q->e, w->jobs.at[i].attempt_id, store_now_ms()));
    } else {
      TRY(fail_cell(q, &w->jobs.at[i], f));
    }
  }
out:
  return rc;
}

static int bury(runner *q, slot *w, int status) {
  int sig = WIFSIGNALED(status) ? WTERMSIG(status) : -1, code = sig < 0 ? WEXITSTATUS(status) : -1;
  char message[160];
  worker_failure f = {sig >= 0 ? "signal" : "internal", message, code, sig};
  if (w->expired_ms) {
    f.fail_class = "timeout";
    snprintf(message, sizeof message, "not done after %.6g minutes, the limit of resources.%s.minutes",
             (double)w->limit_ms / 60000, stage_name(w->stage));
  } else {
    snprintf(message, sizeof message, "the worker process ended by %s %d without a result",
             sig >= 0 ? "signal" : "exit status", sig >= 0 ? sig : code);
  }
  return give_up(q, w, &f);
}

static int report_failures(runner *q, slot *w) {
  int rc = OK;
  store_cells c = {0};
  for (int64_t i = 0; i < w->jobs.n; i++) {
    TRY(store_cell_find(q->s, q->e, w->jobs.at[i].key, &c));
    if (c.n && c.at[0].state != CELL_DONE && c.at[0].fail_msg) {
      run_event e = about(q, w, c.at[0].state == CELL_FAILED ? RUN_FAILED : RUN_RETRY);
      char message[1400];
      snprintf(message, sizeof message, "%s: %.1200s", c.at[0].fail_class ? c.at[0].fail_class : "?",
               c.at[0].fail_msg);
      e.key = w->jobs.at[i].key;
      e.text = message;
      q->failures += c.at[0].state == CELL_FAILED;
      TRY(emit(q, e));
    }
    store_cells_free(&c);
  }
out:
  store_cells_free(&c);
  return rc;
}

static int reap_worker(runner *q, slot *w, int status) {
  int rc = OK;
  TRY(read_notes(q, w));
  int ended = WIFEXITED(status) && (WEXITSTATUS(status) == WORKER_OK || WEXITSTATUS(status) == WORKER_FAILED ||
                                    WEXITSTATUS(status) == WORKER_STOPPED);
  /* Also after a clean exit: a worker that could not reach the store leaves its leases behind. */
  if (!ended || WEXITSTATUS(status) != WORKER_OK) TRY(bury(q, w, status));
  if (ended && WEXITSTATUS(status) == WORKER_OK) {
    q->sum->ran += w->jobs.n;
    TRY(emit(q, about(q, w, RUN_FINISHED)));
  } else if (!q->stopping) {
    TRY(report_failures(q, w));
  }
out:
  close(w->notes);
  store_jobs_free(&w->jobs);
  w->pid = 0;
  q->busy--;
  return rc;
}

static int collect(runner *q) {
  int rc = OK;
  for (int i = 0; i < q->jobs; i++) {
    slot *w = &q->slot[i];
    int status;
    if (!w->pid) continue;
    TRY(read_notes(q, w));
    if (waitpid(w->pid, &status, WNOHANG) == w->pid) TRY(reap_worker(q, w, status));
  }
out:
  return rc;
}

/* A worker that is out of its time may still save; its cell fails when it has ended. */
static void check_limit(slot *w, int64_t t) {
  if (w->expired_ms) {
    if (t - w->expired_ms > GRACE_MS) kill(w->pid, SIGKILL);
  } else if (w->limit_ms && (clock_seconds() - w->since) * 1000 > (double)w->limit_ms) {
    w->expired_ms = t;
    kill(w->pid, SIGUSR2);
  }
}

/* A worker of cancelled cells saves and ends; what else it held is taken again. */
static int look(runner *q, slot *w, int64_t t) {
  int gone, rc = OK;
  if (t - w->look_ms < LOOK_MS) return OK;
  w->look_ms = t;
  TRY(store_given_up(q->s, q->e, &w->jobs, &gone));
  if (gone) kill(w->pid, SIGTERM);
out:
  return rc;
}

static int beat(runner *q) {
  int rc = OK;
  int64_t t = store_now_ms();
  for (int i = 0; i < q->jobs; i++) {
    slot *w = &q->slot[i];
    if (!w->pid) continue;
    TRY(look(q, w, t));
    check_limit(w, t);
    if (t - w->beat_ms < HEARTBEAT_MS) continue;
    w->beat_ms = t;
    for (int64_t k = 0; k < w->jobs.n; k++) {
      int ours;
      TRY(store_heartbeat(q->s, q->e, w->jobs.at[k].attempt_id, t, LEASE_MS, &ours));
    }
  }
out:
  return rc;
}

/* --- the loop --- */

static void kill_all(runner *q, int sig) {
  for (int i = 0; i < q->jobs; i++)
    if (q->slot[i].pid) kill(q->slot[i].pid, sig);
}

/* First signal: finish the step and save. Second: stop now. */
static int take_signals(runner *q) {
  int rc = OK;
  struct signalfd_siginfo info;
  while (read(q->signals, &info, sizeof info) == (ssize_t)sizeof info) {
    if (!q->stopping) {
      q->stopping = 1;
      q->sum->stopped_by = (int)info.ssi_signo;
      kill_all(q, SIGTERM);
      TRY(emit(q, (run_event){.kind = RUN_STOPPING, .value = NAN}));
    } else if (info.ssi_signo == SIGINT) {
      kill_all(q, SIGKILL);
    }
  }
out:
  return rc;
}

static int wait_a_little(runner *q) {
  struct pollfd p[MOST_JOBS + 1] = {{.fd = q->signals, .events = POLLIN}};
  nfds_t n = 1;
  for (int i = 0; i < q->jobs; i++)
    if (q->slot[i].pid) p[n++] = (struct pollfd){.fd = q->slot[i].notes, .events = POLLIN};
  poll(p, n, POLL_MS);
  /* Notes come in bursts; one look every POLL_MS / 4 is enough for any progress line. */
  struct timespec t = {0, POLL_MS * 250000L};
  nanosleep(&t, NULL);
  return take_signals(q);
}

/* Nothing to claim and no worker: either all is settled, or another process holds the rest. */
static int settled(runner *q, int *out, int *elsewhere) {
  int rc = OK;
  store_counts c;
  int64_t open_cells = 0;
  TRY(store_status(q->s, q->e, q->study_id, store_now_ms(), &c));
  for (int s = 0; s < STAGE_COUNT; s++)
    open_cells += c.n[s][CELL_WAITING] + c.n[s][CELL_READY] + c.n[s][CELL_RUNNING];
  *out = open_cells == 0;
  *elsewhere = 0;
  for (int s = 0; s < STAGE_COUNT; s++) *elsewhere |= c.n[s][CELL_RUNNING] > 0;
out:
  return rc;
}

/* Enough failures, or no time left: workers save, nothing more is taken. */
static int limits(runner *q) {
  int full = q->r->max_fail > 0 && q->failures >= q->r->max_fail;
  int late = q->r->budget_s > 0 && clock_seconds() - q->began >= q->r->budget_s;
  if (q->stopping || (!full && !late)) return OK;
  q->stopping = 1;
  q->sum->out_of_time = late && !full;
  kill_all(q, SIGTERM);
  return emit(q, (run_event){.kind = RUN_STOPPING, .value = NAN});
}

static int loop(runner *q) {
  int rc = OK, waiting = 0;
  for (;;) {
    TRY(limits(q));
    TRY(fill(q));
    if (!q->busy) {
      int end = q->stopping, elsewhere = 0;
      if (!end) TRY(settled(q, &end, &elsewhere));
      if (end) break;
      if (elsewhere && !waiting) TRY(emit(q, (run_event){.kind = RUN_WAITING, .value = NAN}));
      waiting |= elsewhere;
    }
    TRY(wait_a_little(q));
    TRY(collect(q));
    TRY(beat(q));
  }
out:
  if (rc != OK) kill_all(q, SIGTERM);
  while (q->busy > 0) {
    int status;
    for (int i = 0; i < q->jobs; i++)
      if (q->slot[i].pid && waitpid(q->slot[i].pid, &status, 0) == q->slot[i].pid &&
          reap_worker(q, &q->slot[i], status) != OK)
        rc = rc == OK ? q->e->code : rc;
  }
  return rc;
}

/* What is known beforehand of the cells that are not done. */
static int expect(runner *q) {
  int rc = OK;
  const plan *p = q->r->plan;
  estimate *x = NULL;
  int64_t known[STAGE_COUNT] = {0};
  store_cells c = {0};
  TRY(mem_new(q->e, p->n, sizeof *x, "estimates", &x));
  TRY(estimate_cells(q->e, q->s, p, x));
  TRY(store_cells_in(q->s, q->e, q->study_id, CELL_STATES, &c));
  for (int64_t i = 0; i < c.n; i++) {
    int64_t at = plan_find(p, c.at[i].key);
    stage st = c.at[i].stage;
    if (at < 0 || c.at[i].state == CELL_DONE) continue;
    q->unmeasured[st] += x[at].ms < 0;
    known[st] += x[at].ms >= 0;
    q->stage_ms[st] += x[at].ms >= 0 ? x[at].ms : 0;
  }
  for (int s = 0; s < STAGE_COUNT; s++) q->stage_ms[s] = known[s] ? q->stage_ms[s] / (double)known[s] : -1;
out:
  store_cells_free(&c);
  free(x);
  return rc;
}

static int focus(runner *q) {
  int rc = OK;
  const char **keys = NULL;
  int64_t n;
  TRY(only_keys(q->e, q->r->plan, q->r->study->name, q->r->only, &keys, &n));
  TRY(store_focus(q->s, q->e, keys, n));
  q->sum->total = n;
out:
  free(keys);
  return rc;
}

static int open_runner(runner *q) {
  int rc = OK;
  int64_t n;
  q->cores = host_cores();
  q->jobs = q->r->jobs > 0 ? q->r->jobs : q->cores;
  if (q->jobs > MOST_JOBS) q->jobs = MOST_JOBS;
  TRY(host_read(q->e, &q->host));
  TRY(host_owner(q->e, q->owner));
  TRY(store_open(q->e, q->r->results, STORE_CREATE, &q->s));
  TRY(store_put_build(q->s, q->e, &q->host.build));
  TRY(store_put_host(q->s, q->e, &q->host.host));
  TRY(store_register_plan(q->s, q->e, q->r->study, q->r->plan, store_now_ms(), &q->study_id));
  TRY(reap_dead(q));
  if (q->r->only) TRY(focus(q));
  if (q->r->retry) TRY(store_retry(q->s, q->e, q->study_id, q->r->classes, &n));
  TRY(expect(q));
out:
  return rc;
}

static int summarise(runner *q) {
  int rc = OK;
  run_event e = {.kind = RUN_END, .value = NAN};
  TRY(counts(q, &e));
  q->sum->failed = e.failed;
  q->sum->blocked = e.blocked;
  TRY(store_unanswered(q->s, q->e, q->study_id, &q->sum->unanswered));
  q->sum->seconds = clock_seconds() - q->began;
  if (q->r->event) q->r->event(q->r->user, &e);
out:
  return rc;
}

int run_study(err *e, const run_request *r, run_summary *out) {
  int rc = OK;
  sigset_t set, old;
  runner *q = NULL;
  *out = (run_summary){.total = r->plan->n};
  TRY(mem_new(e, 1, sizeof *q, "runner", &q));
  *q = (runner){.r = r, .sum = out, .e = e, .began = clock_seconds(), .signals = -1};
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, &old);
  q->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (q->signals < 0) rc = err_set(e, E_IO, "signalfd: %s", strerror(errno));
  if (rc == OK) rc = open_runner(q);
  run_event first = {.kind = RUN_BEGIN, .value = NAN};
  if (rc == OK) rc = counts(q, &first);
  for (int s = 0; s < STAGE_COUNT; s++) out->hits += first.plan_done[s];
  if (rc == OK && r->event) r->event(r->user, &first);
  if (rc == OK) rc = loop(q);
  if (rc == OK) rc = summarise(q);
  store_close(q->s);
  if (q->signals >= 0) close(q->signals);
  sigprocmask(SIG_SETMASK, &old, NULL);
out:
  free(q);
  return rc;
}
