/* A study file, read, checked and expanded (spec/harness.md 7; docs/studies.md is the reference for people).
 *
 * Result: rows (variants with all settings resolved), prompts, metrics, and the points of the matrix in their fixed
 * order: per row, train seed, sample seed, prompt; rows of `zip` inside their variant; then one-at-a-time rows; then
 * `include`; `exclude` takes away last. Nothing here depends on where the file lies, on the locale or on the time. */
#ifndef TD_STUDY_STUDY_H
#define TD_STUDY_STUDY_H

#include <stdint.h>

#include "base/hash.h"
#include "base/json.h"
#include "metrics/metric.h"
#include "metrics/set.h"
#include "study/card.h"
#include "study/problem.h"
#include "study/spec.h"
#include "variants/variant.h"

#define SEED_NONE INT64_C(-1) /* the axis does not apply: a design that trains nothing has no train seed */
#define STUDY_LIMIT 100000    /* points of a matrix nobody asked to be larger */

/* An external scorer, as a study names it: {"id": ..., "external": {...}}. */
typedef struct study_scorer {
  char id[CARD_NAME]; /* its measures are the metrics "ID/MEASURE" */
  char **argv;        /* as written, arguments of the study replaced; ended by NULL */
  int n_argv;
  char *folder;              /* of the file that names it: its working folder; "" for the current one */
  double timeout_s, start_s; /* for one clip; to start */
  int failures;              /* clips in a row that may fail before the rest is given up */
  scorer_card card;          /* what it said of itself */
  where at;
} study_scorer;

/* Where cards come from: runs the program with --describe (run/scorer_study.h). The card is filled in. */
typedef int study_describe(err *e, study_scorer *s);

typedef struct study_input {
  const char *file;
  const char *home;        /* folder of the default models (the repository's configs/); NULL: "configs" */
  const char *const *args; /* [n_args] "name=value": the study's own arguments */
  const char *const *sets; /* [n_sets] "train.steps=10": settings that win over everything in files */
  int n_args, n_sets;
  int64_t limit;            /* most points; 0: STUDY_LIMIT */
  study_describe *describe; /* NULL: external scorers are problems */
} study_input;

/* BAD: given, but refused with a problem; the value is then still the one before. */
typedef enum study_given { GIVEN_DEFAULT, GIVEN_FILE, GIVEN_COMMAND, GIVEN_BAD } study_given;

/* Files are paths the process can open; "" where there is none. */
typedef struct study_value {
  const json *v;
  where at;
  study_given given;
} study_value;

typedef struct study_row {
  char *name; /* the variant's; with "+path=value" for what the matrix changes */
  where at;
  design design;
  int declared;       /* index of its variant among the rows; itself for a declared variant */
  int trains;         /* has an adapter to train */
  int in_matrix;      /* has at least one point, excluded or not */
  study_value *value; /* [spec_count()] */
} study_row;

typedef struct study_prompt {
  char *id, *text, *category; /* category may be "" */
  char sha256[HASH_HEX];      /* of the text's bytes */
  where at;
} study_prompt;

typedef struct study_metric {
  metric_request request; /* .metric NULL: measured by a scorer */
  int scorer;             /* index, -1: measured in process */
  char id[METRIC_TEXT];   /* canonical text, or SCORER/MEASURE */
  int primary;
  /* the same facts for both kinds; texts are constants or the card's */
  int64_t version;
  metric_direction direction;
  metric_plane plane;
  const char *unit, *help;
  double lo, hi; /* range, infinite where open */
  int needs_ref;
  where at;
} study_metric;

/* What a score of sets compares a row's clips with. */
typedef enum study_reference {
  REFERENCE_DATA, /* "data": the clips the row's data settings name, those it is trained on */
  REFERENCE_BASE, /* "base": the base model's clips of the same prompts, seeds and sampling settings */
  REFERENCE_ROW,  /* another row's clips, of the same train seed where it has that */
} study_reference;

/* An entry of "metrics" that names a score of sets (study/sets.c). */
typedef struct study_set {
  set_request request;
  char id[METRIC_TEXT]; /* canonical text, with the permutations of its null */
  study_reference reference;
  int row;             /* REFERENCE_ROW: index, else -1 */
  const char *against; /* "data", "base" or the row's name */
  where at;
} study_set;

/* Declared before anything ran: `row` against `against` on `metric`. Indices. */
typedef struct study_contrast {
  int metric, row, against;
} study_contrast;

typedef struct study_point {
  int row, prompt;
  int64_t train_seed, sample_seed;
} study_point;

typedef struct study_excluded {
  study_point point;
  const char *reason;
} study_excluded;

typedef struct study {
  char *name, *help;
  char *gate_file; /* rules of `tandem gate`, a path the process can open; NULL: none */
  char *text; /* canonical JSON of the merged study but for `paper` and `gate`, which change nothing that is computed;
                 its hash names the study's version */
  char sha256[HASH_HEX];                                                       /* of text */
  int n_rows, n_prompts, n_metrics, n_scorers, n_sets, n_contrasts, reference; /* reference: index of a row */
  int64_t n_points, n_excluded;
  study_row *rows;
  study_prompt *prompts;
  study_metric *metrics;  /* primary ones first, else in the order of the file */
  study_scorer **scorers; /* in the order of the file */
  study_set *sets;        /* likewise */
  study_contrast *contrasts;
  study_point *points;
  study_excluded *excluded;
  char **paper_tables; /* table specs, as paths the process can open */
  int n_paper_tables;
  char *paper_numbers;       /* file of LaTeX macros, or NULL */
  struct study_store *store; /* what the pointers above point into */
} study;

/* Every problem goes into `p`, warnings as well; with errors, unreadable files among them, the result is E_CONFIG
 * and *out is NULL. */
int study_load(err *e, const study_input *in, problems *p, study **out) TD_MUST_CHECK;
void study_free(study *s);

/* Members of a study file that this build reads, NULL at the end. */
const char *const *study_members(void);
/* Does the row's stage read the setting? Its own `when` decides beside the stage. */
int study_reads(const study_row *r, const setting *s, stage st);
/* Name a person, a file system and a selector can all live with: letters, digits, '.', '_', '-', at most 64. */
int study_name_ok(const char *s);
/* Index of the row of that name; -1: there is none. */
int study_row_find(const study *s, const char *name);

#endif
