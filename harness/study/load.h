/* Between the files of this room: the state of one study_load. */
#ifndef TD_STUDY_LOAD_H
#define TD_STUDY_LOAD_H

#include "study/study.h"

#define LOAD_FILES 16 /* a study and what it extends */

typedef struct study_doc {
  char *path, *folder; /* folder ends in '/' or is "" */
  json *root;
} study_doc;

struct study_store {
  study_doc doc[LOAD_FILES];
  int n_docs;    /* what is extended comes before what extends it */
  json **values; /* resolved settings and reasons */
  int64_t n_values, cap_values;
};

/* A row of the study before expansion: where its JSON is. */
typedef struct load_variant {
  const json *j;
  int doc;
} load_variant;

typedef struct loader {
  err *e;
  problems *p;
  const study_input *in;
  study *s;
  study_value *base; /* [spec_count()] */
  int64_t cap_rows, cap_prompts, cap_metrics, cap_scorers, cap_sets, cap_contrasts, cap_points, cap_excluded;
} loader;

/* A member of the study: of the last file that has it; *doc tells which. "a.b" goes into objects. */
const json *load_find(const loader *l, const char *path, int *doc);
where load_at(const loader *l, int doc, const json *j);
/* Takes ownership of j (which may be NULL: no memory). */
int load_keep(loader *l, json *j) TD_MUST_CHECK;
/* "${name}" replaced by the study's arguments; *used tells whether there were any. Unknown names are problems and
 * give *out NULL. */
int load_expand(loader *l, where at, const char *in, char **out, int *used) TD_MUST_CHECK;
/* Path as a study file means it: relative to the file. */
int load_path(loader *l, int doc, const char *path, char **out) TD_MUST_CHECK;
/* Reads a value into setting i; a bad one is a problem and leaves *into alone. */
int load_value(loader *l, int doc, const json *j, int i, study_value *into) TD_MUST_CHECK;
/* All settings of an object, nested or dotted. `skip`: a member that is not a setting; may be NULL. */
int load_settings(loader *l, int doc, const json *object, const char *skip, study_value *into) TD_MUST_CHECK;
/* What the JSON reader says of a file, at the line and column it names; without one, at `from`. */
void load_json_problem(loader *l, where from, const char *path, const char *message);
/* Problem for a name that is not a setting. */
void load_unknown_setting(loader *l, where at, const char *path);
/* Members of an object must be among the names ("//" always is). */
void load_members(loader *l, const char *file, const json *object, name_list known);
/* A row by name, or -1. */
int load_row(const loader *l, const char *name);
/* Appends a row with a copy of the values. */
int load_add_row(loader *l, const char *name, where at, const study_value *values, int *index) TD_MUST_CHECK;
/* Names of the rows so far; the array is the caller's. */
int load_row_names(loader *l, const char ***out) TD_MUST_CHECK;

/* The external scorer of an entry of "metrics", described and appended; a bad one is a problem. */
int load_scorer(loader *l, int doc, const json *entry) TD_MUST_CHECK;
/* Does this entry of "metrics" name a score of sets? */
int load_is_set(const json *entry);
/* All of them, once the rows are known. */
int load_sets(loader *l) TD_MUST_CHECK;
int load_prompts(loader *l) TD_MUST_CHECK;
int load_matrix(loader *l) TD_MUST_CHECK;
int load_paper(loader *l) TD_MUST_CHECK;
void load_checks(loader *l);

#endif
