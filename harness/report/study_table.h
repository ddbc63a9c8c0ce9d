/* What a study's tables are made of, from its file and a store: what `tandem table` shows. */
#ifndef TD_REPORT_STUDY_TABLE_H
#define TD_REPORT_STUDY_TABLE_H

#include "report/projection.h"
#include "store/store.h"
#include "study/study.h"

typedef struct study_source {
  table_input in;
  table_source keys; /* settings that differ between rows; keys.in is `in` */
  struct study_lists *lists;
} study_source;

/* E_STORE when the store does not know the study. A store that holds another version of the study is told in a
 * remark. `st` must outlive the source; the source must not be moved. */
int study_source_open(err *e, store *s, const study *st, const stats_options *stats, study_source *out) TD_MUST_CHECK;
void study_source_close(study_source *s);

#endif
