/* The result table of a study from a store: what `tandem table` shows. */
#ifndef TD_REPORT_STUDY_TABLE_H
#define TD_REPORT_STUDY_TABLE_H

#include "report/table.h"
#include "store/store.h"
#include "study/study.h"

/* E_STORE when the store does not know the study. A store that holds another version of the study is told in a
 * remark. */
int study_table(err *e, store *s, const study *st, const stats_options *stats, table **out) TD_MUST_CHECK;

#endif
