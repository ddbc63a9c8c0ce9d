/* What compare, baseline and gate share: studies named inside arguments, and their scores at this moment. */
#ifndef TD_CLI_FROZEN_H
#define TD_CLI_FROZEN_H

#include "cli/study.h"
#include "report/freeze.h"

/* Opens the study `name` with the words from `first` on as its NAME=VALUE arguments. */
int frozen_open_study(cli *c, const study_args *a, const char *name, int first, loaded_study *out) TD_MUST_CHECK;
/* Its scores in the store below `folder`; the result borrows from the study. The store must hold this version of it.
 */
int frozen_scores(cli *c, const char *folder, const loaded_study *l, baseline *out, int64_t *missing) TD_MUST_CHECK;
/* A baseline by name in the store, or a file: its name ends in ".json" or has a '/'. What is not there, or is none,
 * is E_STORE. */
int frozen_baseline(cli *c, const char *name, baseline *out) TD_MUST_CHECK;
int frozen_is_file(const char *name);

#endif
