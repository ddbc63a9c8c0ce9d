#include "run/scorer_clip.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "media/composite.h"

static int absolute(err *e, char path[STAGE_PATH]) {
  char *whole = realpath(path, NULL);
  int n = whole ? snprintf(path, STAGE_PATH, "%s", whole) : 0;
  free(whole);
  if (n <= 0) return err_set(e, E_IO, "%s: %s", path, strerror(errno));
  return n < STAGE_PATH ? OK : err_set(e, E_ARG, "%s: path too long", path);
}

static int temp_file(err *e, const stage_env *env, const char *suffix, char path[STAGE_PATH]) {
  int rc = env->temp(env->user, e, suffix, path);
  return rc == OK ? absolute(e, path) : rc;
}

/* The stored clip under a name that says what it is. */
static int link_clip(err *e, const char *path, const char *name) {
  char target[STAGE_PATH];
  int rc = OK;
  if (snprintf(target, sizeof target, "%s", path) >= STAGE_PATH) FAIL(e, E_ARG, "%s: path too long", path);
  TRY(absolute(e, target));
  if (unlink(name) != 0 || symlink(target, name) != 0) FAIL(e, E_IO, "%s: %s", name, strerror(errno));
out:
  return rc;
}

static int write_rgba8(err *e, const clip *c, const char *path) {
  int64_t n = (int64_t)c->frames * c->height * c->width;
  unsigned char *bytes = NULL;
  int rc = OK;
  TRY(mem_new(e, n, 4, "frames for a scorer", &bytes));
  for (int64_t i = 0; i < n; i++) {
    for (int k = 0; k < 3; k++) bytes[4 * i + k] = (unsigned char)lrint(255 * (double)c->rgb[3 * i + k]);
    bytes[4 * i + 3] = c->alpha ? (unsigned char)lrint(255 * (double)c->alpha[i]) : 255;
  }
  TRY(file_write(e, path, bytes, (size_t)n * 4));
out:
  free(bytes);
  return rc;
}

/* Why the picture cannot be had in the form wanted; NULL when it can. Alone it is no comparison with alpha. */
static const char *refusal(metric_picture want, const video_info *v) {
  const char *why = metric_unreadable(want, METRIC_RGB, v->colour);
  return why ? why : want != METRIC_DECODED && !v->has_alpha ? METRIC_NO_ALPHA : NULL;
}

static int convert(err *e, metric_picture want, clip *c, int *changed) {
  *changed = 1;
  if (want == METRIC_PREMULTIPLIED && c->colour != CLIP_PREMULTIPLIED) return composite_premultiply(e, c);
  if (want == METRIC_STRAIGHT && c->colour == CLIP_PREMULTIPLIED) return composite_unpremultiply(e, c);
  *changed = 0;
  return OK;
}

static int look(err *e, const char *path, scorer_clip *v) {
  int rc = OK;
  int64_t frames;
  video *f = NULL;
  TRY(video_open(e, path, NULL, &f));
  v->about = *video_about(f);
  frames = v->about.frames;
  if (frames < 0) TRY(video_count(e, path, &frames));
  v->frames = (int)frames;
out:
  video_close(f);
  return rc;
}

static int write_video(err *e, const clip *c, const char *path) {
  clip timed = *c;
  if (!(timed.fps > 0)) timed.fps = 25; /* a file needs one; the question says that it is not known */
  return video_write(e, path, &timed, &(video_write_options){.codec = VIDEO_FFV1, .bits = 16});
}

int scorer_clip_stored(err *e, const scorer_card *card, const stage_env *env, const char *path, scorer_clip *out) {
  int rc = OK, changed = 0;
  clip c = {0};
  *out = (scorer_clip){0};
  TRY(look(e, path, out));
  out->refused = refusal(card->picture, &out->about);
  if (out->refused) goto out;
  TRY(temp_file(e, env, ".mkv", out->file));
  if (card->wants_rgba8 || card->picture != METRIC_DECODED) {
    TRY(video_read(e, path, NULL, &c));
    TRY(convert(e, card->picture, &c, &changed));
    out->about.colour = c.colour;
  }
  if (changed)
    TRY(write_video(e, &c, out->file));
  else
    TRY(link_clip(e, path, out->file));
  if (card->wants_rgba8) {
    TRY(temp_file(e, env, ".rgba8", out->rgba8));
    TRY(write_rgba8(e, &c, out->rgba8));
  }
out:
  clip_free(&c);
  return rc;
}

int scorer_clip_made(err *e, const scorer_card *card, const stage_env *env, clip *c, scorer_clip *out) {
  int rc = OK, changed;
  *out = (scorer_clip){.frames = c->frames};
  out->about = (video_info){
      .width = c->width, .height = c->height, .fps = c->fps, .has_alpha = c->alpha != NULL, .colour = c->colour};
  out->refused = refusal(card->picture, &out->about);
  if (!out->refused && (c->width < 2 || c->height < 2)) out->refused = METRIC_TOO_SMALL;
  if (out->refused) goto out;
  TRY(convert(e, card->picture, c, &changed));
  out->about.colour = c->colour;
  TRY(temp_file(e, env, ".mkv", out->file));
  TRY(write_video(e, c, out->file));
  if (card->wants_rgba8) {
    TRY(temp_file(e, env, ".rgba8", out->rgba8));
    TRY(write_rgba8(e, c, out->rgba8));
  }
out:
  return rc;
}

void scorer_clip_end(scorer_clip *c) {
  if (c->file[0]) unlink(c->file);
  if (c->rgba8[0]) unlink(c->rgba8);
  *c = (scorer_clip){0};
}

static const char *name_of(const char *path) {
  return path[0] ? path : NULL;
}

scorer_question scorer_clip_question(const scorer_clip *own, const scorer_clip *base, const scorer_clip *reference) {
  return (scorer_question){.clip = own->file,
                           .rgba8 = name_of(own->rgba8),
                           .base = base ? name_of(base->file) : NULL,
                           .base_rgba8 = base ? name_of(base->rgba8) : NULL,
                           .reference = reference ? name_of(reference->file) : NULL,
                           .colour = own->about.colour,
                           .has_alpha = own->about.has_alpha,
                           .frames = own->frames,
                           .height = own->about.height,
                           .width = own->about.width,
                           .fps = own->about.fps};
}
