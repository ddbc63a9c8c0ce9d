/* tandem run: make a study's cells exist, running only what is missing. tandem demo: the same on a study that comes
 * with the program, then its table. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/run_events.h"
#include "cli/run_view.h"
#include "cli/study.h"
#include "cli/verbs.h"
#include "run/host.h"
#include "run/only.h"

typedef struct run_args {
  study_args study;
  int64_t jobs;
  const char *retry, *only, *max_fail, *budget, *events;
  int fail_fast;
} run_args;

static const cli_option options[] = {
    STUDY_OPTIONS(run_args),
    {.name = "jobs",
     .alias = 'j',
     .kind = CLI_INT,
     .offset = offsetof(run_args, jobs),
     .value = "N",
     .help = "worker processes; 0: one a core",
     .initial = "0",
     .hi = RUN_VIEW_WORKERS},
    {.name = "only",
     .kind = CLI_TEXT,
     .offset = offsetof(run_args, only),
     .value = "SELECTOR",
     .help = "these cells and what they are made from, e.g. 'variant=ours seed=0'"},
    {.name = "retry",
     .kind = CLI_TEXT,
     .offset = offsetof(run_args, retry),
     .value = "CLASS,...",
     .bare = "all",
     .help =
         "try cells again that failed in an earlier run, and ask scorers again that did not answer; with classes "
         "those alone: config, oom_host, oom_gpu, timeout, preempted, signal, nan_loss, io, metric, internal, lost, "
         "unanswered"},
    {.name = "max-fail",
     .kind = CLI_TEXT,
     .offset = offsetof(run_args, max_fail),
     .value = "N|P%",
     .help = "stop when N cells, or P percent of the study's, have failed; 0: never",
     .initial = "0"},
    {.name = "fail-fast",
     .kind = CLI_FLAG,
     .offset = offsetof(run_args, fail_fast),
     .help = "stop at the first cell that fails"},
    {.name = "budget",
     .kind = CLI_TEXT,
     .offset = offsetof(run_args, budget),
     .value = "TIME",
     .help = "stop after this time, saving as Ctrl-C does: 90s, 45m, 3h, 1h30m, 2d"},
    {.name = "events",
     .kind = CLI_TEXT,
     .offset = offsetof(run_args, events),
     .value = "FILE",
     .help = "write what happens as JSON Lines; -: to standard output"},
    {.name = NULL},
};

/* --- options --- */

/* "5", or "10%" of the cells. */
static int failures_allowed(cli *c, const char *given, int64_t cells, int64_t *out) {
  char *end;
  errno = 0;
  double v = strtod(given, &end);
  int percent = *end == '%';
  if (end == given || errno || end[percent] || !(v >= 0 && v <= 1e9) || (percent && v > 100) ||
      (!percent && v != floor(v)))
    return err_set(&c->err, E_ARG, "--max-fail wants a number of cells or a percentage, not '%.40s'", given);
  *out = percent ? (int64_t)ceil(v / 100 * (double)cells) : (int64_t)v;
  return OK;
}

static int duration(cli *c, const char *given, double *seconds) {
  static const struct {
    char letter;
    double seconds;
  } unit[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
  const char *at = given;
  *seconds = 0;
  while (at && *at) {
    char *end;
    double v = strtod(at, &end), scale = 0;
    for (int i = 0; i < 4; i++)
      if (*end == unit[i].letter) scale = unit[i].seconds;
    if (end == at || !(v >= 0) || scale <= 0) break;
    *seconds += v * scale;
    at = end + 1;
  }
  if (given && (*at || !(*seconds > 0 && *seconds < 1e9)))
    return err_set(&c->err, E_ARG, "--budget wants a time as 90s, 45m, 3h or 1h30m, not '%.40s'", given);
  return OK;
}

static int known_class(const char *word, size_t n) {
  const char *const more[] = {"lost", "unanswered", NULL}, *const * lists[] = {select_classes(), more};
  for (int l = 0; l < 2; l++)
    for (int i = 0; lists[l][i]; i++)
      if (strlen(lists[l][i]) == n && !memcmp(lists[l][i], word, n)) return 1;
  return 0;
}

static int check_classes(cli *c, const char *given) {
  for (const char *at = given; at && strcmp(given, "all") != 0;) {
    size_t n = strcspn(at, ",");
    if (!known_class(at, n))
      return err_set(&c->err, E_ARG, "--retry: no failure class '%.*s'; see --help", (int)(n > 40 ? 40 : n), at);
    at = at[n] ? at + n + 1 : NULL;
  }
  return OK;
}

/* A word as a shell reads it back. */
static void add_word(text *t, const char *word) {
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./=:,@%+-";
  text_add(t, t->n ? " " : "");
  if (*word && word[strspn(word, plain)] == 0) {
    text_add(t, word);
    return;
  }
  text_add(t, "'");
  for (; *word; word++)
    if (*word == '\'')
      text_add(t, "'\\''");
    else
      text_addn(t, word, 1);
  text_add(t, "'");
}

/* The command that runs the same study on the same store and tries again what failed. */
static void add_command(const cli *c, const loaded_study *l, const run_verb_options *o, text *t) {
  add_word(t, c->program);
  add_word(t, "run");
  add_word(t, l->file);
  for (int i = 1; i < c->words.n; i++) add_word(t, c->words.v[i]);
  for (int i = 0; o->as && i < o->as->sets.n; i++) {
    add_word(t, "--set");
    add_word(t, o->as->sets.v[i]);
  }
  if (c->configs) {
    add_word(t, "--configs");
    add_word(t, c->configs);
  }
  add_word(t, "--results");
  add_word(t, c->results);
  add_word(t, "--retry");
}

/* --- the run --- */

static json *summary_json(const loaded_study *l, const run_summary *s) {
  json *j = json_new(JSON_OBJECT);
  cli_set_text(&j, "study", l->s->name);
  cli_set_int(&j, "cells", s->total);
  cli_set_int(&j, "hits", s->hits);
  cli_set_int(&j, "ran", s->ran);
  cli_set_int(&j, "failed", s->failed);
  cli_set_int(&j, "blocked", s->blocked);
  cli_set_int(&j, "unanswered", s->unanswered);
  cli_set_int(&j, "signal", s->stopped_by);
  cli_set_bool(&j, "out_of_time", s->out_of_time);
  cli_set_number(&j, "seconds", s->seconds);
  return j;
}

static void conclude(cli *c, const loaded_study *l, const run_summary *s) {
  if (s->stopped_by) {
    cli_note(c, "stopped; run the same command again to go on");
    c->status = s->stopped_by == SIGINT ? EXIT_INTERRUPTED : EXIT_AGAIN;
    return;
  }
  if (s->out_of_time) {
    cli_note(c, "the time is spent; run the same command again to go on");
    c->status = EXIT_AGAIN;
    return;
  }
  cli_note(c, "%s: %lld cells, %lld run, %lld were done already; %.1f s", l->s->name, (long long)s->total,
           (long long)s->ran, (long long)s->hits, s->seconds);
  if (s->unanswered)
    cli_note(c,
             "scorers failed on %lld clips; `%s table` gives the reasons, their logs the details (`%s show KEY`); "
             "run again with --retry to ask again",
             (long long)s->unanswered, c->program, c->program);
  if (s->failed)
    cli_note(c, "%lld cells failed, %lld are blocked by them; see `%s status`, then run again with --retry",
             (long long)s->failed, (long long)s->blocked, c->program);
  else if (s->blocked)
    cli_note(c, "%lld cells are blocked by cancelled ones; `%s retry state=skipped` takes those back",
             (long long)s->blocked, c->program);
  if (s->failed + s->blocked) c->status = EXIT_CELLS;
}

typedef struct listeners {
  run_view view;
  run_events events;
} listeners;

static void tell(void *user, const run_event *e) {
  listeners *all = user;
  run_view_event(&all->view, e);
  run_events_put(&all->events, e);
}

int run_verb_study(cli *c, const loaded_study *l, const run_verb_options *o, run_summary *sum) {
  int rc = OK;
  listeners all = {0};
  selector *only = NULL;
  text self = {0};
  add_command(c, l, o, &self);
  TRY(text_ok(&self, &c->err));
  if (o->only) TRY(select_parse(&c->err, o->only, ONLY_FIELDS, &only));
  TRY(run_events_open(&c->err, o->events, &all.events));
  run_request r = {.study = l->s,
                   .plan = l->p,
                   .results = c->results,
                   .jobs = (int)o->jobs,
                   .threads = (int)c->threads,
                   .backend = cli_backend(c),
                   .device = (int)c->device,
                   .retry = o->retry != NULL,
                   .classes = o->retry && strcmp(o->retry, "all") ? o->retry : NULL,
                   .only = only,
                   .max_fail = o->max_fail,
                   .budget_s = o->budget_s,
                   .self = self.p,
                   .event = tell,
                   .user = &all};
  run_view_open(&all.view, c, o->jobs > 0 ? (int)o->jobs : host_cores());
  rc = run_study(&c->err, &r, sum);
  run_view_close(&all.view);
  if (rc == OK) conclude(c, l, sum);
out:
  if (!run_events_close(&all.events)) cli_warn("not all events could be written");
  select_free(only);
  text_free(&self);
  return rc;
}

static int run(cli *c, const void *args) {
  int rc = OK;
  const run_args *a = args;
  loaded_study l = {0};
  run_summary sum;
  run_verb_options o = {.jobs = a->jobs, .retry = a->retry, .only = a->only, .events = a->events, .as = &a->study};
  if (a->events && !strcmp(a->events, "-") && c->json)
    FAIL(&c->err, E_ARG, "--events - and --json both want standard output; give the events a file");
  TRY(check_classes(c, a->retry));
  TRY(duration(c, a->budget, &o.budget_s));
  TRY(failures_allowed(c, a->max_fail, 0, &o.max_fail));
  TRY(loaded_study_open(c, &a->study, &l));
  TRY(failures_allowed(c, a->fail_fast ? "1" : a->max_fail, l.p->n, &o.max_fail));
  TRY(run_verb_study(c, &l, &o, &sum));
  if (c->json) TRY(cli_put_json(c, summary_json(&l, &sum)));
out:
  loaded_study_close(&l);
  return rc;
}

const cli_verb verb_run = {
    .name = "run",
    .group = "studies",
    .help = "run what is missing of a study",
    .usage = "STUDY [NAME=VALUE]...",
    .about =
        "Prepares, trains, samples and scores every cell of the study that the store does not have yet. Cells run "
        "in\n"
        "processes of their own; what is done is never done again. Ctrl-C saves and says how to go on; the same\n"
        "command resumes. Several runs of one study may work on one store at the same time. What is tried again by\n"
        "itself, limits and selectors: docs/running.md.",
    .examples = "tandem run ablation\n"
                "tandem run my-study.json --jobs 1 --set train.steps=300\n"
                "tandem run ablation --only 'variant=ours,latent seed=0' --budget 3h --max-fail 5%\n"
                "tandem run ablation --retry=io,timeout --events run.jsonl\n"
                "tandem run emoji data=/path/to/clips",
    .exits = CLI_EXIT_CELLS | CLI_EXIT_STORE | CLI_EXIT_STOPPED,
    .shared = CLI_RESULTS | CLI_JSON | CLI_THREADS | CLI_CONFIGS | CLI_OUTPUT | CLI_BACKEND,
    .options = options,
    .min_words = 1,
    .max_words = -1,
    .args_size = sizeof(run_args),
    .run = run,
};
