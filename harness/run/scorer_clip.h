/* Clips as external scorers get them: files in the form that the scorer's card asks for. Shared by the score stage
 * and by scoring without a study. */
#ifndef TD_RUN_SCORER_CLIP_H
#define TD_RUN_SCORER_CLIP_H

#include "media/video.h"
#include "run/scorer.h"
#include "run/stage.h"

typedef struct scorer_clip {
  video_info about;
  int frames;
  char file[STAGE_PATH];  /* absolute, or ""; ends in .mkv, which many readers go by */
  char rgba8[STAGE_PATH]; /* likewise; "" where the card does not want it */
  const char *refused; /* why the picture cannot be had in the form wanted: a reason code, and no file; else NULL */
} scorer_clip;

/* Of a clip that video_write wrote, which is linked to where it needs no change. Of `env` only temp and user are
 * used. Call scorer_clip_end in any case. */
int scorer_clip_stored(err *e, const scorer_card *card, const stage_env *env, const char *path,
                       scorer_clip *out) TD_MUST_CHECK;
/* Of a clip in memory, whose pictures are converted in place; FFV1 of 16 bits. A clip of under 2x2 pixels has no file
 * (too_small). */
int scorer_clip_made(err *e, const scorer_card *card, const stage_env *env, clip *c, scorer_clip *out) TD_MUST_CHECK;
/* Removes its files. */
void scorer_clip_end(scorer_clip *c);
/* What is asked about `own`; base and reference may be NULL or without files. Without prompt and seeds. Points into
 * them. */
scorer_question scorer_clip_question(const scorer_clip *own, const scorer_clip *base, const scorer_clip *reference);

#endif
