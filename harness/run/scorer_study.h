/* Between study files and scorers. */
#ifndef TD_RUN_SCORER_STUDY_H
#define TD_RUN_SCORER_STUDY_H

#include "study/study.h"

/* A study_describe that runs the program. */
int scorer_study_describe(err *e, study_scorer *s) TD_MUST_CHECK;

#endif
