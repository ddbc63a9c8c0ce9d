/* One worker process: takes claimed cells, runs their stage, stores the result. Called in the child of a fork. */
#ifndef TD_RUN_WORKER_H
#define TD_RUN_WORKER_H

#include "run/stage.h"
#include "store/job.h"
#include "study/plan.h"

/* What a worker tells its runner through a pipe, one write each (shorter than PIPE_BUF). */
typedef struct worker_note {
  int64_t done, total;
  double value;
} worker_note;

typedef struct worker_task {
  const plan *plan;       /* says where files of inputs are */
  const char *results;    /* store folder */
  const store_jobs *jobs; /* the pack; all of one stage */
  int threads;
  const char *backend;
  int device;
  int notes;   /* pipe to write worker_note to */
  int signals; /* signalfd that delivers SIGTERM: stop, save, cancel the cell; SIGUSR2: the same, but the runner ends
                  the cell */
  const char *self;
} worker_task;

/* Exit status of a worker. */
enum { WORKER_OK = 0, WORKER_FAILED = 1, WORKER_STOPPED = 75 };

/* Never fails as a call: every cell of the pack ends as a row in the store (done, failed, cancelled), and the result
 * is the exit status. */
int worker_run(const worker_task *t);
/* Where a training cell keeps its checkpoint: FOLDER/checkpoints/KEY.safetensors. */
int worker_checkpoint(err *e, const char *results, const char *key, char path[STAGE_PATH]) TD_MUST_CHECK;
/* Failure class of the schema for an error code. */
const char *worker_fail_class(int code);

typedef struct worker_failure {
  const char *fail_class, *message;
  int exit_code, term_signal; /* of the process; -1: none */
} worker_failure;
/* Ends the cell's own log with the reason, the class, how the process ended, and the command that runs the cell alone
 * (`self`, plus --only). A log that cannot be written is given up. */
void worker_log_failure(const char *results, const char *self, const store_job *j, const worker_failure *f);
/* How long a cell whose attempt failed rests before the next: doubles with every attempt, to a minute; half of it is
 * spread, so that cells that failed together do not come back together. */
int64_t worker_backoff_ms(const store_job *j);

#endif
