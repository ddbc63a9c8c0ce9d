/* The rule file of a gate (docs/gate.md): what may change, by how much, and what an unclear answer means. */
#ifndef TD_REPORT_GATE_RULES_H
#define TD_REPORT_GATE_RULES_H

#include "store/baseline.h"
#include "study/problem.h"

typedef enum gate_test {
  GATE_PAIRED,   /* the interval of the paired differences */
  GATE_ABSOLUTE, /* the difference of the means */
  GATE_EQUAL,    /* every value, bit by bit */
  GATE_MEDIAN,   /* the difference of the medians: timing */
} gate_test;

/* "0.3 dB", "2%", 0.3: how far a score may move. */
typedef struct gate_bound {
  int given, percent; /* percent: of the baseline's absolute mean */
  double v;           /* >= 0 */
  char unit[32];      /* "": the metric's own, not named */
  int line, col;
} gate_bound;

/* Texts point into the file's tree. */
typedef struct gate_rule {
  const char *metric, *variant;   /* variant "*": every one */
  const char *study, *host_class; /* NULL: any; else the rule holds only there */
  gate_bound drop, rise;          /* not given: no bound on that side */
  double floor, ceiling;          /* of the mean itself; NaN: none */
  gate_bound undefined;           /* rise of the share of undefined clips */
  gate_test test;
  int64_t quorum; /* so many variants must be beyond a bound together */
  int line, col;
} gate_rule;

typedef struct gate_mute {
  const char *metric, *variant, *until, *why;
  int line, col;
} gate_mute;

enum { GATE_SAME_PROMPTS = 1, GATE_SAME_VERSION = 2, GATE_SAME_NOISE = 4, GATE_SAME_HOST = 8, GATE_SAME_STUDY = 16 };

typedef struct gate_rules {
  char *file;
  const char *baseline; /* name or file; NULL: the command line says which */
  double alpha;
  int pass_unclear, pass_missing;
  unsigned same; /* GATE_SAME_ bits */
  gate_rule *rules;
  gate_mute *mutes;
  int64_t n_rules, n_mutes;
  json *root;
} gate_rules;

/* Every problem of the file goes into `p`; with errors the result is E_CONFIG. */
int gate_rules_read(err *e, const char *path, problems *p, gate_rules *out) TD_MUST_CHECK;
/* Names and units against what is measured now and in the baseline; problems as above. */
int gate_rules_bind(err *e, const gate_rules *g, const baseline *now, const baseline *then,
                    problems *p) TD_MUST_CHECK;
void gate_rules_free(gate_rules *g);
/* A day as YYYY-MM-DD that exists. */
int gate_day_ok(const char *s);

#endif
