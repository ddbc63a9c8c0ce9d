/* The key of a user study: what stays with the researcher. A JSON file that says which variant every clip of the
 * questionnaire is, readable by its owner alone. */
#ifndef TD_REPORT_KIT_KEY_H
#define TD_REPORT_KIT_KEY_H

#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/text.h"
#include "metrics/metric.h"
#include "report/kit_plan.h"

/* Panels of a clip. KIT_PLATE is the clip over a plain plate, dark or light by a rule (report/kit_export.h). */
typedef enum kit_view { KIT_RGB, KIT_ALPHA, KIT_CHECKER, KIT_PLATE, KIT_VIEWS } kit_view;
const char *kit_view_name(kit_view v); /* "rgb", "alpha", "checker", "plate" */

typedef struct kit_question {
  char *id, *text;
  int n_views;
  kit_view view[KIT_VIEWS]; /* in the order they are shown */
  int prompt;               /* the description is shown with it */
} kit_question;

typedef struct kit_prompt {
  char *id, *text;
} kit_prompt;

typedef struct kit_metric {
  char *id;
  int64_t version;
  metric_direction direction;
} kit_metric;

typedef struct kit_seeds {
  int64_t train, sample; /* SEED_NONE where the axis does not apply */
} kit_seeds;

typedef struct kit_key {
  char kit[HASH_HEX];         /* hash of the questionnaire's contents; packets carry it */
  char spec_sha256[HASH_HEX]; /* of the study */
  char *study;
  uint64_t seed;
  int ties;
  char **variants;
  kit_prompt *prompts;
  kit_question *questions;
  kit_metric *metrics; /* of the study */
  kit_seeds *clips;    /* [n_prompts][n_variants] */
  int64_t n_variants, n_prompts, n_questions, n_metrics;
  kit_plan plan;
} kit_key;

/* The two questions of the TransPixeler user study (its Table 1): motion with the picture's quality, and alignment of
 * RGB and alpha. */
int kit_questions_default(err *e, kit_key *k) TD_MUST_CHECK;
/* A file {"questions": [{"id": "...", "text": "...", "views": ["rgb", ...], "prompt": true}, ...]}; E_FORMAT names
 * file and line. */
int kit_questions_read(err *e, const char *path, kit_key *k) TD_MUST_CHECK;

void kit_key_print(const kit_key *k, text *out);
/* E_FORMAT: no key, another version, an index out of range. */
int kit_key_read(err *e, const char *path, kit_key *out) TD_MUST_CHECK;
void kit_key_free(kit_key *k);

#endif
