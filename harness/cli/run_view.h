/* What `tandem run` shows while it works: a live block on a terminal, else one line per change. */
#ifndef TD_CLI_RUN_VIEW_H
#define TD_CLI_RUN_VIEW_H

#include "cli/study.h"
#include "run/runner.h"

#define RUN_VIEW_WORKERS 64

typedef struct run_view {
  const cli *c;
  int live, lines; /* lines of the block that stand on the terminal */
  double began, shown;
  char worker[RUN_VIEW_WORKERS][160]; /* "" when idle */
  double part[RUN_VIEW_WORKERS];      /* share of its cells a worker has done */
  stage stage[RUN_VIEW_WORKERS];
  int64_t cells[RUN_VIEW_WORKERS];
  double spent[STAGE_COUNT]; /* worker seconds on finished cells */
  int64_t finished[STAGE_COUNT];
  int jobs;
} run_view;

void run_view_open(run_view *v, const cli *c, int jobs);
/* A run_request.event; user is the view. */
void run_view_event(void *user, const run_event *e);
void run_view_close(run_view *v);

/* Runs a loaded study into the store c->results with that view, and says how it ended (c->status). */
typedef struct run_verb_options {
  int64_t jobs, max_fail;
  const char *retry;    /* NULL: no; "all", or classes as in store_retry */
  const char *only;     /* a selector, or NULL */
  double budget_s;      /* 0: none */
  const char *events;   /* a file, "-", or NULL */
  const study_args *as; /* how the study was asked for, for the command that runs a cell again; or NULL */
} run_verb_options;
int run_verb_study(cli *c, const loaded_study *l, const run_verb_options *o, run_summary *sum) TD_MUST_CHECK;

#endif
