/* Verdicts: what a comparison says, in one list that every format renders (spec/harness.md 10.2). */
#ifndef TD_REPORT_VERDICT_H
#define TD_REPORT_VERDICT_H

#include "base/text.h"
#include "report/pairs.h"

typedef enum verdict {
  VERDICT_BETTER,  /* beyond the margin on the good side */
  VERDICT_SAME,    /* nowhere beyond a bound */
  VERDICT_WORSE,   /* beyond a bound on the bad side */
  VERDICT_UNCLEAR, /* the interval spans a bound, or what was compared is not comparable */
  VERDICT_MISSING, /* values that should be there are not */
  VERDICTS
} verdict;
const char *verdict_name(verdict v);

/* Bounds of now - then; infinite where the rule has none. lo <= 0 <= hi. */
typedef struct verdict_bounds {
  double lo, hi;
} verdict_bounds;
/* Where an interval [lo, hi] of now - then lies: beyond a bound -> WORSE; inside both -> SAME, or with one bound only
 * BETTER when it is as far on the other side; else UNCLEAR. `slack` is the rounding of the computation: what ends
 * within it of a bound has not passed it. */
verdict verdict_of(double lo, double hi, verdict_bounds b, double slack);
/* Two variants: bounds -margin and +margin, and the metric's direction says which side is good. With METRIC_NONE
 * neither is, and beyond the margin is UNCLEAR. */
verdict verdict_between(double lo, double hi, double margin, metric_direction d);

typedef struct verdict_check {
  int rule;                         /* index; -1: no rule, the metric vanished, or a comparison */
  int line, col;                    /* of the rule; 0: none */
  char *metric, *variant, *against; /* against NULL: a baseline */
  char *unit;
  metric_direction direction;
  verdict verdict;
  char *why;    /* one sentence, or "" */
  int muted;    /* counts for nothing */
  int tested;   /* stats are filled in */
  int outright; /* worse whatever a test says */
  verdict_bounds bounds;
  double now, then, delta, p_holm;       /* means (median test: medians); NaN where undefined */
  stats_comparison stats;                /* of now - then */
  int64_t shared, missing, undefined[2]; /* places; [0] now, [1] then */
} verdict_check;

typedef struct verdict_list {
  char *title; /* "gate of study X against baseline Y" */
  char *file;  /* of the rules; "" for a comparison */
  double alpha;
  int exit_status;
  verdict_check *checks;
  int64_t n, cap;
  char **notes; /* what else a reader should know */
  int64_t n_notes, cap_notes;
} verdict_list;

/* A check with nothing known; texts are copied. *out is valid until the next add. */
int verdict_add(err *e, verdict_list *l, const char *id, const char *row, verdict_check **out) TD_MUST_CHECK;
int verdict_why(err *e, verdict_check *c, verdict v, const char *fmt, ...) TD_MUST_CHECK
    __attribute__((format(printf, 4, 5)));
int verdict_note(err *e, verdict_list *l, const char *fmt, ...) TD_MUST_CHECK __attribute__((format(printf, 3, 4)));
void verdict_list_free(verdict_list *l);
/* Checks that count, by verdict. */
void verdict_count(const verdict_list *l, int64_t n[VERDICTS]);
/* "PASS", "FAIL: 2 worse, 1 missing of 14": the first words of every format. */
void verdict_headline(const verdict_list *l, text *out);

/* Fills in the statistics of a check from paired values. */
int verdict_measure(err *e, const pairs *p, const stats_options *o, verdict_check *c) TD_MUST_CHECK;
/* Holm over the family of the given checks; those without statistics count as p = 1. */
int verdict_family(err *e, verdict_list *l, const unsigned char *member) TD_MUST_CHECK;

/* Renderers append. The same list gives the same bytes. */
void verdict_terminal(const verdict_list *l, int colour, text *out);
void verdict_markdown(const verdict_list *l, text *out); /* below 60 kB, which a comment may hold */
void verdict_json(const verdict_list *l, text *out);
void verdict_tap(const verdict_list *l, text *out);
void verdict_junit(const verdict_list *l, text *out);
void verdict_github(const verdict_list *l, text *out); /* at most 10 annotations: GitHub drops the rest in silence */

#endif
