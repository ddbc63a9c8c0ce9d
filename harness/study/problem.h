/* Everything that is wrong with a study, found in one go, each with its place and the nearest name that exists. */
#ifndef TD_STUDY_PROBLEM_H
#define TD_STUDY_PROBLEM_H

#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

/* line 0: the place has no lines (a command-line argument). `file` is borrowed. */
typedef struct where {
  const char *file;
  int line, col;
} where;

typedef struct problem {
  char *file, *text;
  int line, col;
  int warning;
} problem;

typedef struct problems {
  problem *v;
  int64_t n, cap;
  int64_t errors; /* of the n, those that are not warnings */
  int lost;       /* memory ran out while recording */
} problems;

void problem_error(problems *p, where at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void problem_warning(problems *p, where at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Names to choose from; NULL entries are skipped. */
typedef struct name_list {
  const char *const *v;
  int64_t n;
} name_list;
/* "WHAT 'word' is not known; did you mean 'x'? (known: a, b, c)" */
void problem_unknown(problems *p, where at, const char *what, const char *word, name_list known);

/* Lines "file:line:col: error: text", in the order of files, lines and columns. */
void problems_print(problems *p, text *out);
/* OK without errors; E_CONFIG with the count and the first error otherwise; E_NOMEM when some were lost. */
int problems_result(problems *p, err *e) TD_MUST_CHECK;
void problems_free(problems *p);

#define NAME_HINT 128
/* "; did you mean 'x'?", or "" when no name is near; a name whose last dotted part is the word is nearest of all. */
void name_hint(const char *word, name_list known, char out[NAME_HINT]);

#endif
