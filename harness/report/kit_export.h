/* A study's clips as a blinded questionnaire: FOLDER/questionnaire.html for participants, FOLDER/key.json (mode 0600)
 * for the researcher. */
#ifndef TD_REPORT_KIT_EXPORT_H
#define TD_REPORT_KIT_EXPORT_H

#include "base/clip.h"
#include "base/err.h"
#include "report/kit_key.h"
#include "store/store.h"
#include "study/plan.h"

enum { KIT_LONG = 30 }; /* comparisons of a participant that are not too many */

typedef struct kit_options {
  const char *folder;
  const char *const *variants; /* names; NULL: all of the study */
  int n_variants;
  const char *questions;       /* a file (report/kit_key.h); NULL: the default two */
  int64_t prompts;             /* spread over those with a clip of every variant; 0: all */
  int64_t votes, participants; /* participants 0: as many as keep each at KIT_LONG items */
  int64_t checks;
  uint64_t seed;
  int ties;
  int quality; /* of the WebP pictures: 1 to 100, 0: lossless */
} kit_options;

typedef struct kit_summary {
  char kit[HASH_HEX];
  int64_t variants, prompts, prompts_missing; /* missing: without a clip of some variant, left out */
  int64_t participants, comparisons,
      longest;       /* comparisons: without checks; longest: of one participant, with them */
  int64_t identical; /* questions about a pair and a prompt that show the same twice */
  int64_t page_bytes;
} kit_summary;

/* Clips are those of study_clips.h. Without alpha they count as opaque. The plate of a prompt is grey .1 or .9,
 * whichever is farther from the mean luma of what is opaque in all its clips; the broken clip of a check is blocks of
 * noise in picture and mask. Everything follows from the clips, the options and the seed. Writes the key first.
 * E_ARG: a variant or file that is not there, no usable prompt, a shape that cannot be planned (kit_plan.h), or a
 * folder with the key of another questionnaire. */
int kit_export(err *e, store *s, const study *st, const plan *p, const kit_options *o,
               kit_summary *out) TD_MUST_CHECK;

/* rgb of one view of a frame, [H][W][3]; c has alpha. */
void kit_render_view(const clip *c, int frame, kit_view v, float plate, float *rgb);
/* The broken copy of a clip, of the same size; it follows from the seed. */
int kit_break_clip(err *e, const clip *c, uint64_t seed, clip *out) TD_MUST_CHECK;

#endif
