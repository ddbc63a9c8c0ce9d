#include "run/data_clips.h"

#include <string.h>

#include "run/stage_internal.h"

static int open_world(err *e, const json *spec, const stage_size *size, data_clips *out) {
  int rc = OK;
  const char *set = NULL;
  int64_t seed;
  TRY(spec_text(e, spec, "data.set", &set));
  TRY(spec_int(e, spec, "data.seed", &seed));
  if (size->frames != WORLD_FRAMES || size->height != WORLD_SIDE || size->width != WORLD_SIDE)
    FAIL(e, E_CONFIG, "data.kind world makes clips of %d frames, %dx%d; the study asks for %d frames, %dx%d",
         WORLD_FRAMES, WORLD_SIDE, WORLD_SIDE, size->frames, size->height, size->width);
  TRY(world_dist_find(e, set, &out->dist));
  out->seed = (uint64_t)seed;
out:
  return rc;
}

static int open_folder(err *e, const stage_cell *c, const stage_size *size, data_clips *out) {
  int rc = OK;
  const char *folder = NULL, *background = NULL;
  TRY(stage_input(e, c, "clips", &folder));
  TRY(spec_text(e, c->spec, "data.background", &background));
  TRY(dataset_background_parse(e, background, &out->want.background));
  TRY(dataset_open(e, folder, &out->folder));
  if (!out->n || out->n > out->folder.n) out->n = out->folder.n;
  out->want.frames = size->frames;
  out->want.height = size->height;
  out->want.width = size->width;
  out->want.fps = size->fps;
out:
  return rc;
}

int data_clips_open(err *e, const stage_cell *c, data_clips *out) {
  int rc = OK;
  const char *kind = NULL;
  stage_size size;
  *out = (data_clips){0};
  TRY(spec_text(e, c->spec, "data.kind", &kind));
  TRY(spec_int(e, c->spec, "data.clips", &out->n));
  TRY(stage_read_size(e, c->spec, &size));
  out->world = strcmp(kind, "folder") != 0;
  TRY(out->world ? open_world(e, c->spec, &size, out) : open_folder(e, c, &size, out));
out:
  if (rc != OK) data_clips_close(out);
  return rc;
}

void data_clips_close(data_clips *d) {
  dataset_close(&d->folder);
  *d = (data_clips){0};
}

int data_clips_load(err *e, const data_clips *d, int64_t i, clip *out) {
  if (!d->world) return dataset_load(e, &d->folder, &d->want, i, out);
  world_attributes a = world_attrs(d->seed, i, &d->dist);
  return world_render(e, &a, out);
}
