/* `tandem run --events`: what happens, for programs. JSON Lines, flushed line by line:
 *
 *   {"schema":"tandem.run.events","version":1}
 *   {"ts":"2026-01-02T03:04:05.678Z","event":"started","stage":"train","key":...,"variant":...,"worker":0,"cells":1}
 *
 * Events: begin, started, progress (done, total, value, seconds), finished (seconds), failed and retry (text),
 * waiting, stopping, end. begin, finished, failed and end carry "plan": done and total by stage, failed, blocked. */
#ifndef TD_CLI_RUN_EVENTS_H
#define TD_CLI_RUN_EVENTS_H

#include <stdio.h>

#include "base/err.h"
#include "run/runner.h"

typedef struct run_events {
  FILE *to;   /* NULL: nobody listens */
  int failed; /* a write failed; the run goes on */
} run_events;

/* FILE is made anew; "-" is standard output. NULL: no events. */
int run_events_open(err *e, const char *file, run_events *out) TD_MUST_CHECK;
void run_events_put(run_events *v, const run_event *e);
/* 1 when every line was written. */
int run_events_close(run_events *v);

#endif
