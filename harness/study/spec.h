/* Settings: one table of everything a study can say, from which come parsing, checks, defaults, help, the specs of
 * stages and the engine's own configuration structs.
 *
 * A spec is a JSON object with exactly the settings one stage reads, nested by section: {"train": {"steps": 900,
 * ...}}. A worker reads it through the functions below, so a setting whose `stages` do not name a stage cannot reach
 * that stage. Beside settings a spec holds what the matrix chose: "design" (text with every option), "train_seed",
 * "sample_seed", "prompt" (text) and "metrics". */
#ifndef TD_STUDY_SPEC_H
#define TD_STUDY_SPEC_H

#include <stdint.h>

#include "base/json.h"
#include "base/text.h"
#include "metrics/metric.h"
#include "sample.h"
#include "train.h"

typedef enum stage { STAGE_PREPARE, STAGE_PRETRAIN, STAGE_TRAIN, STAGE_SAMPLE, STAGE_SCORE, STAGE_COUNT } stage;
/* "prepare", "pretrain", "train", "sample", "score". */
const char *stage_name(stage s);
int stage_parse(const char *name, stage *out); /* OK or E_ARG */

typedef enum setting_kind {
  SETTING_INT,
  SETTING_NUMBER,
  SETTING_CHOICE, /* one of `choices`; a switch is "off", "on" */
  SETTING_SIZE,   /* [height, width] */
  SETTING_FILE,   /* path of a file or folder, or one of `choices` when there are any; "" for none */
} setting_kind;

/* Where the engine keeps a setting; the engine's defaults are then the setting's. */
typedef enum setting_home { HOME_NONE, HOME_TRAIN, HOME_PRETRAIN, HOME_SAMPLE } setting_home;
typedef enum setting_field { FIELD_INT, FIELD_INT64, FIELD_DOUBLE } setting_field;

typedef struct setting {
  const char *path; /* "train.lr" */
  setting_kind kind;
  double lo, hi; /* SETTING_INT, SETTING_NUMBER, both numbers of SETTING_SIZE: inclusive */
  const char *const *choices;
  const char *unit, *help;
  const char *initial; /* default as JSON text; NULL: the engine's */
  const char *when;    /* "path=choice" or "design=variant": read only then; NULL: always */
  const char *role;    /* SETTING_FILE: name of the input it becomes; its bytes enter keys, its path does not. NULL: a
                          folder of which each cell reads one file */
  unsigned stages;     /* bits 1 << stage, SPEC_IMPORT: who reads it */
  int neutral;         /* cannot change a result: kept out of specs and keys, goes into hints */
  setting_home home;
  setting_field field;
  size_t offset;
} setting;

/* Who reads a setting, beside the stages: the sample stage of a design whose clips are read from files. */
#define SPEC_IMPORT (1u << STAGE_COUNT)

#define SPEC_SETTINGS 128 /* room for the table's rows */

/* The table, ended by a NULL path; sections are contiguous. */
const setting *spec_settings(void);
int spec_count(void);
/* Index of a path, or -1. */
int spec_find(const char *path);
/* A value as the setting stores it: whole numbers, choices by their text, sizes as two numbers. E_CONFIG with the
 * reason appended to `why` when it is of the wrong type or out of range. The result is the caller's. */
int spec_value(err *e, const setting *s, const json *in, json **out, text *why) TD_MUST_CHECK;
int spec_default(err *e, const setting *s, json **out) TD_MUST_CHECK;
/* A value given as text on a command line: JSON, or a bare word or path. */
int spec_value_text(err *e, const setting *s, const char *in, json **out, text *why) TD_MUST_CHECK;
/* The table for people: path, type and range, default, who reads it, help. */
int spec_help(err *e, text *out) TD_MUST_CHECK;
/* Sets a member by dotted path, making objects on the way; takes `value` even when it fails. */
int spec_put(err *e, json *spec, const char *path, json *value) TD_MUST_CHECK;

/* Reading a spec. `path` is "train.steps" or "train_seed"; a setting the stage did not declare is E_CONFIG. */
const json *spec_get(const json *spec, const char *path);
int spec_int(err *e, const json *spec, const char *path, int64_t *out) TD_MUST_CHECK;
int spec_number(err *e, const json *spec, const char *path, double *out) TD_MUST_CHECK;
int spec_text(err *e, const json *spec, const char *path, const char **out) TD_MUST_CHECK;
int spec_size(err *e, const json *spec, const char *path, int *height, int *width) TD_MUST_CHECK;
/* A seed: a whole number, or digits in a string beyond 2^53. */
int spec_seed(err *e, const json *spec, const char *path, uint64_t *out) TD_MUST_CHECK;
/* The engine's configuration from a spec of stage train (prefix "train") or pretrain. `hints` (may be NULL) brings
 * the neutral settings. */
int spec_train_config(err *e, const json *spec, const json *hints, stage s, train_config *out) TD_MUST_CHECK;
int spec_sample_config(err *e, const json *spec, sample_config *out) TD_MUST_CHECK;
int spec_design(err *e, const json *spec, design *out) TD_MUST_CHECK;
/* The measures of a score spec, in its order; the caller frees *out. E_CONFIG when this build has another version of
 * a metric than the one the spec was planned with. */
int spec_metrics(err *e, const json *spec, metric_request **out, int64_t *n) TD_MUST_CHECK;
/* Noise key of a clip, from its sample seed and the text of its prompt and nothing else: every design starts from the
 * same noise. */
uint64_t spec_noise_seed(uint64_t sample_seed, const char *prompt);

#endif
