#include "cli/run_events.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"

int run_events_open(err *e, const char *file, run_events *out) {
  *out = (run_events){0};
  if (!file) return OK;
  out->to = strcmp(file, "-") ? fopen(file, "wbe") : stdout;
  if (!out->to) return err_set(e, E_IO, "%s: cannot write: %s", file, strerror(errno));
  out->failed = fputs("{\"schema\":\"tandem.run.events\",\"version\":1}\n", out->to) < 0 || fflush(out->to) != 0;
  return OK;
}

static void stamp(json **j) {
  struct timespec t;
  struct tm utc;
  char date[32], ts[48];
  clock_gettime(CLOCK_REALTIME, &t);
  gmtime_r(&t.tv_sec, &utc);
  strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
  snprintf(ts, sizeof ts, "%s.%03ldZ", date, t.tv_nsec / 1000000);
  cli_set_text(j, "ts", ts);
}

static json *plan_json(const run_event *e) {
  json *all = json_new(JSON_OBJECT);
  for (int s = 0; s < STAGE_COUNT; s++) {
    json *o = json_new(JSON_OBJECT);
    cli_set_int(&o, "done", e->plan_done[s]);
    cli_set_int(&o, "total", e->plan_total[s]);
    cli_set(&all, stage_name((stage)s), o);
  }
  cli_set_int(&all, "failed", e->failed);
  cli_set_int(&all, "blocked", e->blocked);
  return all;
}

static json *event_json(const run_event *e) {
  static const char *const name[] = {
      [RUN_BEGIN] = "begin",       [RUN_STARTED] = "started",   [RUN_PROGRESS] = "progress",
      [RUN_FINISHED] = "finished", [RUN_FAILED] = "failed",     [RUN_RETRY] = "retry",
      [RUN_WAITING] = "waiting",   [RUN_STOPPING] = "stopping", [RUN_END] = "end"};
  json *j = json_new(JSON_OBJECT);
  stamp(&j);
  cli_set_text(&j, "event", name[e->kind]);
  if (e->key) {
    cli_set_text(&j, "stage", stage_name(e->stage));
    cli_set_text(&j, "key", e->key);
    cli_set_text(&j, "variant", e->variant);
    cli_set_int(&j, "worker", e->worker);
    cli_set_int(&j, "cells", e->cells);
  }
  if (e->kind == RUN_PROGRESS) {
    cli_set_int(&j, "done", e->done);
    cli_set_int(&j, "total", e->total);
    cli_set(&j, "value", isfinite(e->value) ? json_new_number(e->value) : json_new(JSON_NULL));
  }
  if (e->kind == RUN_PROGRESS || e->kind == RUN_FINISHED) cli_set_number(&j, "seconds", e->seconds);
  if (e->text) cli_set_text(&j, "text", e->text);
  if (e->kind == RUN_BEGIN || e->kind == RUN_END || e->kind == RUN_FINISHED || e->kind == RUN_FAILED)
    cli_set(&j, "plan", plan_json(e));
  return j;
}

void run_events_put(run_events *v, const run_event *e) {
  text line = {0};
  if (!v->to) return;
  json *j = event_json(e);
  if (j) json_canonical(&line, j);
  text_add(&line, "\n");
  if (!j || text_ok(&line, NULL) != OK || fputs(line.p, v->to) < 0 || fflush(v->to) != 0) v->failed = 1;
  text_free(&line);
  json_free(j);
}

int run_events_close(run_events *v) {
  if (v->to && v->to != stdout && fclose(v->to) != 0) v->failed = 1;
  v->to = NULL;
  return !v->failed;
}
