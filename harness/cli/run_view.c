#include "cli/run_view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/progress.h"

#define REDRAW 0.2 /* seconds */
#define BAR 20     /* columns of the bar */
#define PULSE 60   /* seconds between lines when nothing changes, without a terminal */

void run_view_open(run_view *v, const cli *c, int jobs) {
  memset(v, 0, sizeof *v);
  v->c = c;
  v->live = cli_live() && !c->quiet;
  v->began = v->shown = clock_seconds();
  v->jobs = jobs;
}

static void erase(run_view *v) {
  if (v->lines) fprintf(stderr, "\033[%dA\033[J", v->lines);
  v->lines = 0;
}

/* Seconds of one worker that a cell of the stage takes: what measured cells of the same shapes say, else what this
 * run has seen; -1: neither. */
static double cell_seconds(const run_view *v, const run_event *e, int s) {
  double own = v->finished[s] ? v->spent[s] / (double)v->finished[s] : -1;
  if (e->stage_ms[s] >= 0 && (!e->unmeasured[s] || own < 0)) return e->stage_ms[s] / 1000;
  return own;
}

/* A stage of which nothing is known makes it a lower bound. */
static void eta_text(const run_view *v, const run_event *e, char out[80]) {
  double left = 0;
  int unknown = 0, any = 0;
  for (int s = 0; s < STAGE_COUNT; s++) {
    double cells = (double)(e->plan_total[s] - e->plan_done[s]), each = cell_seconds(v, e, s);
    if (cells <= 0) continue;
    any = 1;
    for (int w = 0; w < v->jobs && w < RUN_VIEW_WORKERS; w++)
      if (v->worker[w][0] && v->stage[w] == (stage)s) cells -= v->part[w] * (double)v->cells[w];
    unknown |= each < 0;
    if (each > 0) left += cells * each;
  }
  char t[PROGRESS_TIME];
  progress_time(left / v->jobs, t);
  if (!any || left <= 0)
    out[0] = 0;
  else
    snprintf(out, 80, ", %s %s left", unknown ? "more than" : "about", t);
}

/* "[#####---------------]  25 %  " of all cells. */
static void bar_text(const run_event *e, char out[BAR + 16]) {
  int64_t done = 0, total = 0;
  for (int s = 0; s < STAGE_COUNT; s++) {
    done += e->plan_done[s];
    total += e->plan_total[s];
  }
  int full = total ? (int)(BAR * done / total) : 0;
  char bar[BAR + 1];
  memset(bar, '-', BAR);
  memset(bar, '#', (size_t)full);
  bar[BAR] = 0;
  snprintf(out, BAR + 16, "[%s] %3d %%  ", bar, total ? (int)(100 * done / total) : 0);
}

#define COUNTS 320

static void count_text(const run_event *e, char out[COUNTS]) {
  int n = 0;
  out[0] = 0;
  for (int s = 0; s < STAGE_COUNT; s++)
    if (e->plan_total[s])
      n += snprintf(out + n, COUNTS - (size_t)n, "%s%s %lld/%lld", n ? ", " : "", stage_name((stage)s),
                    (long long)e->plan_done[s], (long long)e->plan_total[s]);
  if (e->failed + e->blocked)
    snprintf(out + n, COUNTS - (size_t)n, ", %lld failed, %lld blocked", (long long)e->failed, (long long)e->blocked);
}

/* "12 s, about 5 s left" */
static void time_text(const run_view *v, const run_event *e, char out[PROGRESS_TIME + 80]) {
  char eta[80], spent[PROGRESS_TIME];
  eta_text(v, e, eta);
  progress_time(clock_seconds() - v->began, spent);
  snprintf(out, PROGRESS_TIME + 80, "%s%s", spent, eta);
}

static void redraw(run_view *v, const run_event *e) {
  char counts[COUNTS], bar[BAR + 16], times[PROGRESS_TIME + 80];
  int width = cli_columns(2);
  if (width <= 0 || width > 300) width = 80;
  erase(v);
  bar_text(e, bar);
  time_text(v, e, times);
  count_text(e, counts);
  fprintf(stderr, "%s%.*s\n%.*s\n", bar, width > BAR + 16 ? width - BAR - 12 : 0, times, width - 1, counts);
  v->lines = 2;
  for (int w = 0; w < v->jobs && w < RUN_VIEW_WORKERS; w++) {
    if (!v->worker[w][0]) continue;
    fprintf(stderr, "  %.*s\n", width - 3, v->worker[w]);
    v->lines++;
  }
  fflush(stderr);
  v->shown = clock_seconds();
}

static void describe(const run_event *e, char out[160]) {
  const char *who = e->variant && e->variant[0] ? e->variant : "base model";
  int n = snprintf(out, 160, "%-8s %s", stage_name(e->stage), e->stage == STAGE_PREPARE ? "clips" : who);
  if (e->cells > 1) n += snprintf(out + n, 160 - (size_t)n, " x%lld", (long long)e->cells);
  if (e->total) n += snprintf(out + n, 160 - (size_t)n, "  %lld/%lld", (long long)e->done, (long long)e->total);
  if (isfinite(e->value)) n += snprintf(out + n, 160 - (size_t)n, "  loss %.4f", e->value);
  if (e->total && e->done && e->seconds > 1) {
    char t[PROGRESS_TIME];
    progress_time(e->seconds * (double)(e->total - e->done) / (double)e->done, t);
    snprintf(out + n, 160 - (size_t)n, "  %s left", t);
  }
}

static void track(run_view *v, const run_event *e) {
  int w = e->worker;
  if (w < 0 || w >= RUN_VIEW_WORKERS) return;
  if (e->kind == RUN_STARTED || e->kind == RUN_PROGRESS) {
    describe(e, v->worker[w]);
    v->stage[w] = e->stage;
    v->cells[w] = e->cells;
    v->part[w] = e->total ? (double)e->done / (double)e->total : 0;
  } else if (e->kind == RUN_FINISHED || e->kind == RUN_FAILED || e->kind == RUN_RETRY) {
    v->worker[w][0] = 0;
    if (e->kind == RUN_FINISHED) {
      v->spent[e->stage] += e->seconds;
      v->finished[e->stage] += e->cells;
    }
  }
}

/* Lines that stay, on a terminal too. */
static void say(run_view *v, const run_event *e) {
  if (e->kind == RUN_FAILED) cli_warn("%s %s %.12s failed: %s", stage_name(e->stage), e->variant, e->key, e->text);
  if (e->kind == RUN_RETRY)
    cli_warn("%s %s %.12s will be tried again: %s", stage_name(e->stage), e->variant, e->key, e->text);
  if (e->kind == RUN_WAITING) cli_note(v->c, "nothing left to take here; waiting for the other run of this study");
  if (e->kind == RUN_STOPPING)
    cli_note(v->c, "stopping: workers finish their step and save (Ctrl-C again: stop now)");
}

static void plain(run_view *v, const run_event *e) {
  char line[160], counts[COUNTS], times[PROGRESS_TIME + 80];
  double t = clock_seconds();
  int change = e->kind == RUN_STARTED && (e->stage <= STAGE_TRAIN);
  if (change) {
    describe(e, line);
    cli_note(v->c, "%s", line);
  }
  int due = e->kind == RUN_BEGIN || e->kind == RUN_END || t - v->shown > PULSE ||
            (e->kind == RUN_FINISHED && t - v->shown > 5);
  if (!due) return;
  count_text(e, counts);
  time_text(v, e, times);
  cli_note(v->c, "%s (%s)", counts, times);
  v->shown = t;
}

void run_view_event(void *user, const run_event *e) {
  run_view *v = user;
  track(v, e);
  int stays = e->kind == RUN_FAILED || e->kind == RUN_RETRY || e->kind == RUN_WAITING || e->kind == RUN_STOPPING;
  if (stays) {
    erase(v);
    say(v, e);
  }
  if (!v->live)
    plain(v, e);
  else if (e->kind != RUN_PROGRESS || clock_seconds() - v->shown > REDRAW)
    redraw(v, e);
}

void run_view_close(run_view *v) {
  if (v->live) erase(v);
}
