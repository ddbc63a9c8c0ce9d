/* The reconciler: makes true what a plan says, running only what is missing. The same call resumes after anything.
 *
 * Cells run in worker processes, so a crash or a lack of memory is a recorded result. Cells that can share work
 * (samples of one adapter, scores) are handed to a worker as a pack; when a pack dies its cells are run one by one.
 */
#ifndef TD_RUN_RUNNER_H
#define TD_RUN_RUNNER_H

#include "store/store.h"
#include "study/plan.h"
#include "study/select.h"

typedef enum run_event_kind {
  RUN_BEGIN,    /* once: counts of the plan */
  RUN_STARTED,  /* a worker took cells */
  RUN_PROGRESS, /* a worker's cell or pack moved on */
  RUN_FINISHED, /* a worker's cells are done */
  RUN_FAILED,   /* a cell failed: text says why */
  RUN_RETRY,    /* a cell will be tried again */
  RUN_WAITING,  /* another process works on the rest */
  RUN_STOPPING, /* a signal came; workers are saving */
  RUN_END,
} run_event_kind;

typedef struct run_event {
  run_event_kind kind;
  stage stage;
  int worker;                /* slot, 0-based */
  int64_t cells;             /* of the pack */
  const char *key, *variant; /* of its first cell */
  int64_t done, total;       /* within the pack: steps of a training, cells of a sampling */
  double value;              /* loss, or NaN */
  double seconds;            /* since the pack started */
  const char *text;
  int64_t plan_done[STAGE_COUNT], plan_total[STAGE_COUNT]; /* cells of the study */
  int64_t failed, blocked;
  /* of a cell that was not done at the start: mean of the medians of measured cells of its stage and shape; -1: of
     none of the stage's cells is one known */
  double stage_ms[STAGE_COUNT];
  int64_t unmeasured[STAGE_COUNT]; /* cells not done at the start of whose shape nothing was measured */
} run_event;

typedef struct run_request {
  const study *study;
  const plan *plan;
  const char *results; /* store folder */
  int jobs;            /* worker processes; 0: one a core */
  int threads;         /* of each worker; 0: cores / jobs in use */
  const char *backend; /* of models: ctx_options.backend; NULL: cpu */
  int device;
  int retry;            /* failed cells are tried again, and scorers asked again what they failed to answer */
  const char *classes;  /* with retry: as in store_retry; NULL: all */
  const selector *only; /* these cells and what they are made from; of ONLY_FIELDS. NULL: all */
  int64_t max_fail;     /* stop after so many failed cells; 0: never */
  double budget_s;      /* stop, saving, after so many seconds; 0: never */
  const char *self;     /* the command that runs the study again, for logs */
  void (*event)(void *user, const run_event *e);
  void *user;
} run_request;

typedef struct run_summary {
  int64_t total, hits; /* cells of the plan; those done before we began */
  int64_t ran, failed, blocked;
  int64_t unanswered; /* done scores with a measure that an external scorer failed to answer */
  int stopped_by;     /* signal number, 0: none came */
  int out_of_time;    /* the budget was spent before the end */
  double seconds;
} run_summary;

int run_study(err *e, const run_request *r, run_summary *out) TD_MUST_CHECK;

#endif
