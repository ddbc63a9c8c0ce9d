/* Cells: what a study needs computed, each with a key that says exactly what it reads (spec/harness.md 8).
 *
 *   prepare   clips and captions -> latents and text rows
 *   pretrain  procedural RGB clips -> base weights, when model.weights is "pretrain"
 *   train     a design's adapter, for one train seed
 *   sample    one clip: a design, a sample seed, a prompt; or the file that is this clip of another program
 *   score     the measures of one clip, those of the metrics in process; further ones per external scorer, so that
 *             a scorer that fails costs nothing else; and further ones that compare all clips of a row and train seed
 *             with a reference, one per score of sets and reference (study/set_cell.h)
 *
 * key = SHA-256 of the canonical JSON of
 *   {"code_epoch": n, "inputs": {role: {"sha256": "..."} or {"cell": "..."}}, "key_version": 1, "spec": {...},
 *    "stage": "..."}
 * Paths, hosts, times, names of studies, variants and prompts, and neutral settings are not in it: equal work has an
 * equal key in every study. A default that changes in a later build changes the spec, so that old keys keep their
 * meaning. */
#ifndef TD_STUDY_PLAN_H
#define TD_STUDY_PLAN_H

#include "study/set_cell.h"
#include "study/study.h"

#define PLAN_KEY_VERSION 1
#define PLAN_ROLES 4 /* inputs of a cell, clips of sets aside */

/* Raised by hand, per stage, when its code gives other results for the same spec. */
int plan_code_epoch(stage s);

typedef struct plan_input {
  char role[SET_ROLE]; /* "config", "weights", "vae" (of a score: where a metric needs latents), "clips", "data",
                          "adapter", "sample", "partner", "base", "file", "scorer" (the hash of its command and
                          card), or a clip of a set */
  char hash[HASH_HEX]; /* content of a file, or key of a cell */
  int64_t cell;        /* index of the upstream cell, -1 for a file; always before the cell itself */
  const char *path;    /* where the file is now, a scorer's program; NULL for a cell. Not in the key */
} plan_input;

/* Axes that do not apply: SEED_NONE, NULL; axes of a comparison of sets also name its "set" and "against". A cell
 * that several rows share carries the first of them; `variant` is "" for a sample of the base model that no row asked
 * for but a score compares with. */
typedef struct plan_cell {
  stage stage;
  char key[HASH_HEX];
  char *spec;                   /* canonical JSON */
  char *hints;                  /* canonical JSON of the neutral settings: checkpoint interval, resources */
  char *axes;                   /* canonical JSON of the axes that apply */
  const char *variant, *prompt; /* names; the study's strings */
  int64_t train_seed, sample_seed;
  int n_inputs;
  plan_input *input; /* sorted by role */
} plan_cell;

typedef struct plan {
  int64_t n, cap;
  plan_cell *cell; /* what a cell reads comes before it; else in the order of the matrix */
  int64_t count[STAGE_COUNT];
  int64_t n_sets; /* score cells that compare sets */
  int64_t *score; /* [study.n_points] each point's score cell; of the first scorer when no metric is in process */
  struct plan_index *index;
  struct external_clips *files; /* of other programs; what paths of inputs point into */
} plan;

/* Where contents come from; content_sha is one. Called once per path. */
typedef struct plan_source {
  int (*sha)(void *user, err *e, const char *path, char hex[HASH_HEX]);
  void *user;
} plan_source;

/* `s` must outlive the plan. Files that cannot be read and rows that are the same work are problems, with the place
 * of the setting or variant. */
int plan_make(err *e, const study *s, const plan_source *from, problems *p, plan **out) TD_MUST_CHECK;
void plan_free(plan *p);
/* Index of a cell by its whole key, or -1. */
int64_t plan_find(const plan *p, const char *key);
/* The key of a spec and its inputs (sorted by role; clips of sets are left out, the spec has their hashes): what a
 * stored cell can be checked with. */
int plan_key(err *e, stage s, const json *spec, const plan_input *input, int n, char key[HASH_HEX]) TD_MUST_CHECK;
/* Text of a design with every option of the stages, defaults too: what goes into specs. */
void plan_design(const design *d, int stages, char out[DESIGN_TEXT]);

#endif
