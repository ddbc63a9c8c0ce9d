#include "run/score_files.h"

#include <stdlib.h>

#include "base/mem.h"
#include "media/video.h"
#include "media/world.h"

typedef struct scored {
  clip c;
  float *truth; /* NULL where no world knows it */
} scored;

static int read_one(err *e, const char *path, int world, scored *out) {
  int rc = OK;
  if (!path) return OK;
  TRY(video_read(e, path, NULL, &out->c));
  if (world && out->c.colour == CLIP_DECODED) { /* the matte is read off a picture with its background */
    TRY(mem_new(e, (int64_t)out->c.frames * out->c.height * out->c.width, sizeof(float), "matte", &out->truth));
    world_matte(&out->c, out->truth);
  }
out:
  return rc;
}

static void drop(scored *s) {
  clip_free(&s->c);
  free(s->truth);
}

int score_files_run(err *e, const score_files *f, const metric_request *list, int64_t n, metric_value *out) {
  int rc = OK;
  scored own = {0}, partner = {0}, base = {0};
  TRY(read_one(e, f->sample, f->world, &own));
  TRY(read_one(e, f->partner, f->world, &partner));
  TRY(read_one(e, f->base, f->world, &base));
  metric_input in = {.clip = &own.c,
                     .base = f->base ? &base.c : NULL,
                     .partner = f->partner ? &partner.c : NULL,
                     .truth = own.truth,
                     .partner_truth = partner.truth,
                     .base_truth = base.truth};
  TRY(metric_score(e, list, n, &in, out));
out:
  drop(&own);
  drop(&partner);
  drop(&base);
  return rc;
}
