/* What the votes of a user study say: preferences, agreement of the raters, and agreement of the study's metrics with
 * them. */
#ifndef TD_REPORT_KIT_REPORT_H
#define TD_REPORT_KIT_REPORT_H

#include "base/text.h"
#include "report/kit_key.h"
#include "report/kit_votes.h"
#include "report/table.h"
#include "stats/stats.h"
#include "stats/votes.h"
#include "store/store.h"

typedef struct kit_result {
  int64_t votes, ties;         /* about this question */
  int64_t prompts;             /* with a vote */
  stats_preference preference; /* variants as in the key */
  double alpha;                /* Krippendorff's, of all votes */
  int64_t units;               /* prompts times pairs with two votes or more */
  int alpha_defined;           /* 0: no unit has two votes, or all answers are the same */
} kit_result;

/* Spearman's rho of vote shares and differences of a metric over prompts and pairs, positive where the votes prefer
 * what the metric calls better. Every pair enters in both orders, so that rho does not depend on which variant is
 * named first; the interval resamples prompts. */
typedef struct kit_agreement {
  int64_t question, metric; /* indices into the key */
  int64_t items;            /* prompts times pairs with votes and both scores */
  stats_coefficient rho;    /* n = 0: fewer than two items, or a side is constant */
} kit_agreement;

typedef struct kit_report_options {
  int64_t replicates;
  double level;
  uint64_t seed;
} kit_report_options;

typedef struct kit_report {
  double level;
  int64_t packets[KIT_VERDICTS];
  kit_result *question; /* [key's n_questions] */
  kit_agreement *agreement;
  int64_t n_agreements;
  char *no_agreement; /* why there are none; NULL when there are */
} kit_report;

/* `s` NULL: no store, so no agreement with metrics. */
int kit_report_make(err *e, const kit_key *k, const kit_votes *v, store *s, const kit_report_options *o,
                    kit_report *out) TD_MUST_CHECK;
void kit_report_free(kit_report *r, const kit_key *k);

/* Appends it; the same report gives the same bytes. */
int kit_report_render(err *e, const kit_key *k, const kit_report *r, table_format f, text *out) TD_MUST_CHECK;

#endif
