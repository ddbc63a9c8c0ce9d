/* What a study has measured, as a baseline: to be saved, or to be judged against one. */
#ifndef TD_REPORT_FREEZE_H
#define TD_REPORT_FREEZE_H

#include "store/baseline.h"
#include "study/study.h"

typedef struct freeze_options {
  const char *name, *note, *git_sha; /* borrowed by the result */
  const char *host_class;            /* of the machine: the class whose members compute the same bits */
  int64_t created_ms;
  int seconds; /* also how long clips took */
} freeze_options;

/* Every clip of the study that has a score, at the versions the study asks for; several backdrops count as their
 * mean. *missing: clips the study wants and the store has not scored. Facts: study.sha256, prompts.sha256, noise (the
 * generator and the seeds), host_class. The result borrows from `st` and `o`. E_STORE when the store does not know
 * the study. */
int freeze_study(err *e, store *s, const study *st, const freeze_options *o, baseline *out,
                 int64_t *missing) TD_MUST_CHECK;
/* E_STORE when the file of the study is not the one the store has run. */
int freeze_same_study(err *e, store *s, const study *st) TD_MUST_CHECK;
/* The class of this machine: "x86-64-v3+", "x86-64-v2" or "generic" (docs/architecture.md, determinism). */
const char *freeze_host_class(void);

#endif
