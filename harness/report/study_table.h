/* The result table of a study from a store: what `tandem table` shows. */
#ifndef TD_REPORT_STUDY_TABLE_H
#define TD_REPORT_STUDY_TABLE_H

#include "report/table.h"
#include "store/store.h"
#include "study/study.h"

/* E_STORE when the store does not know the study. A store that holds another version of the study is told in a
 * remark. */
int study_table(err *e, store *s, const study *st, const stats_options *stats, table **out) TD_MUST_CHECK;

/* Lends what the table is made from to `use`, whose result is returned. */
typedef int study_scores_use(err *e, const table_input *in, void *user);
int study_scores(err *e, store *s, const study *st, const stats_options *stats, study_scores_use *use,
                 void *user) TD_MUST_CHECK;

#endif
