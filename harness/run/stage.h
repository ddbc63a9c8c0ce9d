/* Stages: pure functions from a resolved spec and input files to output files and measures. They know nothing of
 * stores, keys or processes; where, when and how often they run is the business of worker.c and runner.c. */
#ifndef TD_RUN_STAGE_H
#define TD_RUN_STAGE_H

#include "base/json.h"
#include "metrics/metric.h"
#include "study/card.h"
#include "study/spec.h"

#define STAGE_PATH 1024

typedef struct stage_file {
  const char *role; /* as an input: role of the plan; as an output: role of the artifact */
  char path[STAGE_PATH];
  const char *kind;   /* outputs: "latents", "weights", "losses", "clip" */
  const char *sha256; /* inputs that are files of the person's: what they held when the study was planned, or NULL */
} stage_file;

#define STAGE_OUTPUTS 4

typedef struct stage_measure {
  char metric[METRIC_TEXT + 32]; /* canonical text of the request; of a score of sets also "TEXT#FACT" */
  int of_set;                    /* 0: of one clip */
  int version;
  double value;
  const char *reason; /* NULL, static, or `own` */
  char own[CARD_NAME];
  int64_t support;
} stage_measure;

/* One cell, as a stage sees it. */
typedef struct stage_cell {
  const json *spec, *hints;
  const stage_file *inputs;
  int n_inputs;
  stage_file outputs[STAGE_OUTPUTS]; /* files the stage wrote, with paths from `temp` */
  int n_outputs;
  stage_measure *measures; /* the stage allocates; stage_cell_clear frees */
  int64_t n_measures;
  int64_t resumed_from; /* step, -1 when nothing was resumed */
} stage_cell;

void stage_cell_clear(stage_cell *c);

typedef struct stage_env {
  int threads;
  const char *backend; /* ctx_options.backend; NULL: cpu */
  int device;
  const char *checkpoint; /* where a training keeps its state ("" for nowhere) */
  /* A fresh file name ending in `suffix` for an output. */
  int (*temp)(void *user, err *e, const char *suffix, char path[STAGE_PATH]);
  void (*progress)(void *user, int64_t done, int64_t total, double value); /* value: loss, or NaN */
  int (*stop)(void *user);
  /* Called when a cell of several is complete, so that what is done is kept whatever comes; may be NULL. */
  int (*done)(void *user, err *e, int64_t cell);
  /* Bytes for the log of a cell; may be NULL. */
  void (*log)(void *user, int64_t cell, const char *data, size_t n);
  void *user;
} stage_env;

/* Runs n cells of one stage that may share work: training and preparing take one at a time; samples of one adapter
 * are batched; scores go clip by clip, or compare sets; scores by a program go to one process of it. */
int stage_run(err *e, stage s, stage_cell *cells, int64_t n, const stage_env *env) TD_MUST_CHECK;

#endif
