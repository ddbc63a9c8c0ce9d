#include "base/clip.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

int clip_new(err *e, int frames, int height, int width, int has_alpha, clip *out) {
  int rc = OK;
  memset(out, 0, sizeof *out);
  if (frames < 0 || height < 0 || width < 0) FAIL(e, E_ARG, "clip of %d frames of %dx%d", frames, width, height);
  *out = (clip){.frames = frames, .height = height, .width = width, .fps = 8};
  int64_t pixels;
  if (__builtin_mul_overflow((int64_t)frames * height, (int64_t)width, &pixels) || pixels > INT64_MAX / 16)
    FAIL(e, E_NOMEM, "clip of %d frames of %dx%d is too large", frames, width, height);
  TRY(mem_new(e, pixels * 3, sizeof(float), "clip colour", &out->rgb));
  if (has_alpha) TRY(mem_new(e, pixels, sizeof(float), "clip alpha", &out->alpha));
out:
  if (rc != OK) clip_free(out);
  return rc;
}

void clip_free(clip *c) {
  free(c->rgb);
  free(c->alpha);
  *c = (clip){0};
}
