/* The clips of a study that people look at: for a row and a prompt the sample of its first train and sample seed. */
#ifndef TD_REPORT_STUDY_CLIPS_H
#define TD_REPORT_STUDY_CLIPS_H

#include "base/clip.h"
#include "base/err.h"
#include "store/store.h"
#include "study/plan.h"

/* Prompts that the matrix uses, in order, into list (room for all of them); returns their number. */
int study_clip_prompts(const study *st, int *list);
/* Index of the row's first point with the prompt; -1: there is none. */
int64_t study_clip_point(const study *st, int row, int prompt);
/* Key of the sample that the point's score rests on. */
const char *study_clip_key(const plan *p, int64_t point);
/* The clip of a sample (the caller frees it); *found = 0 when it is not made yet. key may be NULL: none; out may be
 * NULL: only asks. */
int study_clip_read(err *e, store *s, const char *key, clip *out, int *found) TD_MUST_CHECK;

#endif
