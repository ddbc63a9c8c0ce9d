/* The sample stage of a design whose clips another program made: a file becomes a clip of the store. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "media/clip_files.h"
#include "media/video.h"
#include "run/stage_internal.h"
#include "study/content.h"

/* Frames are taken one by one, whatever rate the file says. */
static int check_size(err *e, const stage_cell *cell, const char *path, clip *c) {
  int rc = OK, height, width;
  int64_t frames;
  TRY(spec_int(e, cell->spec, "data.frames", &frames));
  TRY(spec_size(e, cell->spec, "data.size", &height, &width));
  TRY(spec_number(e, cell->spec, "data.fps", &c->fps));
  if (c->frames != frames || c->height != height || c->width != width)
    FAIL(e, E_SHAPE,
         "%s has %d frames of %dx%d pixels (width x height), the study's clips have %lld of %dx%d: bring the file to "
         "that, or set data.frames and data.size",
         path, c->frames, c->width, c->height, (long long)frames, width, height);
out:
  return rc;
}

/* Another program may still be writing there. */
static int check_content(err *e, const stage_cell *cell, const char *path) {
  char now[HASH_HEX];
  int rc = content_sha(NULL, e, path, now);
  for (int i = 0; rc == OK && i < cell->n_inputs; i++) {
    const stage_file *f = &cell->inputs[i];
    if (!strcmp(f->role, "file") && f->sha256 && strcmp(f->sha256, now))
      return err_set(e, E_IO, "%s has changed since the study was planned: run the study again", path);
  }
  return rc;
}

static int import_clip(err *e, stage_cell *cell, const stage_env *env) {
  int rc = OK;
  design d;
  const char *file, *to;
  char *path = NULL;
  video *v = NULL;
  video_info about;
  clip c = {0};
  TRY(spec_design(e, cell->spec, &d));
  TRY(stage_input(e, cell, "file", &file));
  TRY(clip_files_open_path(e, file, &path));
  TRY(video_open(e, path, &(video_options){.need_alpha = 1}, &v));
  about = *video_about(v);
  TRY(video_read(e, path, NULL, &c));
  if (!about.colour_tagged && video_colour_parse(design_get(&d, "colour"), &c.colour) != OK)
    FAIL(e, E_CONFIG, "design %s says no colour", d.v->name);
  TRY(check_size(e, cell, file, &c));
  TRY(check_content(e, cell, file));
  TRY(stage_output(e, cell, env, "clip", "clip", ".mkv", &to));
  TRY(video_write(e, to, &c, &(video_write_options){.bits = about.bits > 8 ? 16 : 8}));
out:
  video_close(v);
  clip_free(&c);
  free(path);
  return rc;
}

int stage_import(err *e, stage_cell *cells, int64_t n, const stage_env *env) {
  int rc = OK;
  for (int64_t i = 0; i < n; i++) {
    if (env->stop && env->stop(env->user)) FAIL(e, E_INTERRUPTED, "stopped before cell %lld", (long long)i);
    TRY(import_clip(e, &cells[i], env));
    if (env->progress) env->progress(env->user, i + 1, n, NAN);
  }
out:
  return rc;
}
