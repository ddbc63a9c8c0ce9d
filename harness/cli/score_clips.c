#include "cli/score_clips.h"

#include <stdlib.h>

#include "media/video.h"

/* A clip whose colour means what it says, or else what `stated` or the rule says. */
static int read_clip(err *e, const char *path, int stated, clip *out) {
  return video_read(e, path, &(video_options){.untagged = stated}, out);
}

/* What is seen of a picture over black, by its own alpha. */
static void over_black(clip *c) {
  if (c->colour == CLIP_STRAIGHT)
    for (int64_t i = 0; c->alpha && i < 3 * clip_voxels(c); i++) c->rgb[i] *= c->alpha[i / 3];
  free(c->alpha);
  c->alpha = NULL;
}

static int read_pair(err *e, const score_job *j, int stated, clip *out) {
  int rc = OK;
  float *alpha = NULL;
  TRY(read_clip(e, j->file, 0, out));
  TRY(video_read_matte(e, j->alpha, out, &alpha));
  if (stated || j->coloured) {
    free(out->alpha);
    out->alpha = NULL;
  } else {
    over_black(out);
  }
  out->colour = j->coloured ? j->colour : stated ? (clip_colour)(stated - 1) : CLIP_DECODED;
  out->alpha = alpha;
  out->alpha_chroma_known = 0; /* that was of the other alpha */
  alpha = NULL;
out:
  free(alpha);
  return rc;
}

int score_clips_read(err *e, const score_job *j, int stated, score_clips *out) {
  int rc = OK;
  *out = (score_clips){0};
  if (j->alpha)
    TRY(read_pair(e, j, stated, &out->own));
  else
    TRY(read_clip(e, j->file, j->coloured ? 1 + (int)j->colour : stated, &out->own));
  for (int r = 0; r < SCORE_ROLES; r++) {
    clip *c = &out->beside[r];
    if (!j->beside[r]) continue;
    if (r == SCORE_TRIMAP) {
      *c = (clip){.frames = out->own.frames, .height = out->own.height, .width = out->own.width};
      TRY(video_read_matte(e, j->beside[r], &out->own, &c->alpha));
      continue;
    }
    TRY(read_clip(e, j->beside[r], r == SCORE_TRUTH ? 0 : stated, c));
    if (r == SCORE_TRUTH && !c->alpha) {
      TRY(video_read_matte(e, j->beside[r], &out->own, &out->matte));
      clip_free(c);
      continue;
    }
    if (c->frames != out->own.frames || c->height != out->own.height || c->width != out->own.width)
      FAIL(e, E_SHAPE, "%s is %d frames of %dx%d, the clip %d of %dx%d", j->beside[r], c->frames, c->width, c->height,
           out->own.frames, out->own.width, out->own.height);
  }
  out->in = (metric_input){.clip = &out->own,
                           .base = j->beside[SCORE_BASE] ? &out->beside[SCORE_BASE] : NULL,
                           .partner = j->beside[SCORE_PARTNER] ? &out->beside[SCORE_PARTNER] : NULL,
                           .reference = j->beside[SCORE_TRUTH] && !out->matte ? &out->beside[SCORE_TRUTH] : NULL,
                           .truth = out->matte,
                           .trimap = out->beside[SCORE_TRIMAP].alpha};
out:
  if (rc != OK) score_clips_free(out);
  return rc;
}

void score_clips_free(score_clips *s) {
  clip_free(&s->own);
  for (int r = 0; r < SCORE_ROLES; r++) clip_free(&s->beside[r]);
  free(s->matte);
  *s = (score_clips){0};
}
