/* How far a long verb is, on standard error: one live line on a terminal, else a line a minute (spec/harness.md 6.3).
 * Nothing with --quiet. */
#ifndef TD_CLI_PROGRESS_H
#define TD_CLI_PROGRESS_H

#include <stdint.h>

#include "cli/cli.h"
#include "model/vae.h"

typedef struct progress {
  const char *what; /* "step", "cell" */
  int quiet, live;
  int64_t from; /* done when we began: those took no time of ours */
  double started, shown;
  int on_line; /* a live line stands unfinished */
} progress;

void progress_open(progress *p, const cli *c, const char *what, int64_t from);
/* Call as often as you like. `detail` follows the numbers. */
void progress_tick(progress *p, int64_t done, int64_t total, const char *detail);
/* A tick of the VAE, in MFLOP or GFLOP. */
void progress_vae(progress *p, const vae_tick *t, const char *detail);
/* Ends the live line, so that other text can follow. */
void progress_close(progress *p);

#define PROGRESS_TIME 32
/* "45 s", "12 min", "3 h 05 min" */
void progress_time(double seconds, char out[PROGRESS_TIME]);

#endif
