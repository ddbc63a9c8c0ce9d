#include "cli/progress.h"

#include <stdio.h>

#include "base/clock.h"

#define LIVE_EVERY 0.2
#define LINE_EVERY 60.0

void progress_time(double seconds, char out[PROGRESS_TIME]) {
  if (seconds < 90)
    snprintf(out, PROGRESS_TIME, "%.0f s", seconds);
  else if (seconds < 5400)
    snprintf(out, PROGRESS_TIME, "%.0f min", seconds / 60);
  else
    snprintf(out, PROGRESS_TIME, "%.0f h %02.0f min", (seconds - (double)((int64_t)seconds % 3600)) / 3600,
             (double)((int64_t)seconds % 3600 / 60));
}

void progress_open(progress *p, const cli *c, const char *what, int64_t from) {
  *p = (progress){.what = what, .quiet = c->quiet, .live = cli_live(), .from = from, .started = clock_seconds()};
  p->shown = p->started - LINE_EVERY; /* the first tick is shown: it tells that it works and how fast */
}

void progress_tick(progress *p, int64_t done, int64_t total, const char *detail) {
  double now = clock_seconds();
  char left[PROGRESS_TIME] = "?", line[256];
  if (p->quiet || (done < total && now - p->shown < (p->live ? LIVE_EVERY : LINE_EVERY))) return;
  p->shown = now;
  if (done > p->from) progress_time((now - p->started) / (double)(done - p->from) * (double)(total - done), left);
  int columns = p->live ? cli_columns(2) : 0;
  snprintf(line, sizeof line, "%s %lld/%lld (%.0f %%), %s, %s left", p->what, (long long)done, (long long)total,
           100.0 * (double)done / (double)(total ? total : 1), detail, left);
  /* a line that wraps cannot be written over */
  if (p->live)
    fprintf(stderr, "\r\033[K%.*s", columns > 1 ? columns - 1 : 79, line);
  else
    fprintf(stderr, "%s\n", line);
  fflush(stderr);
  p->on_line = p->live;
}

void progress_vae(progress *p, const vae_tick *t, const char *detail) {
  const double unit = t->total < 1e11 ? 1e6 : 1e9;
  const int64_t total = (int64_t)(t->total / unit) + 1;
  const int last = t->tile == t->tiles && t->frames == t->of_frames && t->done > t->total * (1 - 1e-9);
  p->what = unit < 1e9 ? "MFLOP" : "GFLOP";
  if (t->done > 0) progress_tick(p, last ? total : (int64_t)(t->done / unit), total, detail);
}

void progress_close(progress *p) {
  if (p->on_line) fputc('\n', stderr);
  p->on_line = 0;
}
