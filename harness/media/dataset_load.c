#include "media/dataset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "media/composite.h"
#include "media/resample.h"
#include "media/video.h"

static const char *const background_names[] = {"black", "white", "grey", "blur"};

int dataset_background_parse(err *e, const char *name, dataset_background *out) {
  for (int i = 0; i < 4; i++)
    if (strcmp(name, background_names[i]) == 0) {
      *out = (dataset_background)i;
      return OK;
    }
  return err_set(e, E_CONFIG, "background \"%s\" is not one of black, white, grey, blur", name);
}

typedef struct loader {
  const dataset_item *item;
  const dataset_want *want;
  video *rgb, *matte;
  int64_t frames;  /* of the file */
  int64_t decoded; /* frames taken so far */
  double fps;      /* of the file */
  resample resize;
  float *colour, *alpha; /* the file's frame */
  float *source;         /* premultiplied, [H][W][4] */
  float *scaled;         /* [h][w][4] */
  float *plate, *flat, *flat_alpha;
} loader;

static void loader_close(loader *l) {
  video_close(l->rgb);
  video_close(l->matte);
  resample_close(&l->resize);
  free(l->colour);
  free(l->alpha);
  free(l->source);
  free(l->scaled);
  free(l->plate);
  free(l->flat);
  free(l->flat_alpha);
}

static int loader_files(loader *l, err *e) {
  int rc = OK;
  const dataset_item *item = l->item;
  TRY(video_count(e, item->file, &l->frames));
  TRY(video_open(e, item->file, &(video_options){.need_alpha = !item->matte, .fps = item->fps}, &l->rgb));
  if (item->matte) TRY(video_open(e, item->matte, &(video_options){.fps = item->fps}, &l->matte));
  const video_info *a = video_about(l->rgb), *b = l->matte ? video_about(l->matte) : a;
  if (a->width != b->width || a->height != b->height)
    FAIL(e, E_FORMAT, "%s is %dx%d, its picture %s is %dx%d", item->matte, b->width, b->height, item->file, a->width,
         a->height);
  l->fps = item->fps > 0 ? item->fps : a->fps;
  if (!(l->fps > 0)) FAIL(e, E_FORMAT, "%s: the file does not say its frame rate; give \"fps\"", item->file);
out:
  return rc;
}

static int loader_open(loader *l, err *e) {
  int rc = OK;
  const dataset_want *w = l->want;
  TRY(loader_files(l, e));
  const video_info *about = video_about(l->rgb);
  int64_t n = (int64_t)about->height * about->width, m = (int64_t)w->height * w->width;
  TRY(resample_open(e, (resample_size){about->height, about->width}, (resample_size){w->height, w->width},
                    &l->resize));
  TRY(mem_new(e, 3 * n, sizeof(float), "picture", &l->colour));
  TRY(mem_new(e, n, sizeof(float), "picture", &l->alpha));
  TRY(mem_new(e, 4 * n, sizeof(float), "picture", &l->source));
  TRY(mem_new(e, 4 * m, sizeof(float), "scaled picture", &l->scaled));
  TRY(mem_new(e, 3 * m, sizeof(float), "background", &l->plate));
  TRY(mem_new(e, 3 * m, sizeof(float), "scaled picture", &l->flat));
  TRY(mem_new(e, m, sizeof(float), "scaled picture", &l->flat_alpha));
out:
  return rc;
}

/* Decodes one frame into colour and alpha; *got = 0 when the file has ended (they keep the last one then). */
static int take(loader *l, err *e, int *got) {
  int rc = OK, matte = 1;
  TRY(video_next(l->rgb, e, l->colour, l->matte ? NULL : l->alpha, got));
  if (l->matte && *got) {
    TRY(video_next_gray(l->matte, e, l->alpha, &matte));
    if (!matte)
      FAIL(e, E_FORMAT, "%s has %lld frames, its picture %s has more", l->item->matte, (long long)l->decoded,
           l->item->file);
  }
  l->decoded += *got;
out:
  return rc;
}

static void premultiply(loader *l) {
  const video_info *about = video_about(l->rgb);
  int64_t n = (int64_t)about->height * about->width;
  for (int64_t i = 0; i < n; i++) {
    float a = l->alpha[i], by = l->item->colour == CLIP_STRAIGHT ? a : 1;
    for (int k = 0; k < 3; k++) l->source[4 * i + k] = by * l->colour[3 * i + k];
    l->source[4 * i + 3] = a;
  }
}

/* Scales the frame in `source` and lays it over the background. */
static int compose(loader *l, err *e, float *rgb, float *alpha) {
  int rc = OK;
  const dataset_want *w = l->want;
  int64_t m = (int64_t)w->height * w->width;
  resample_run(&l->resize, l->source, l->scaled);
  for (int64_t i = 0; i < m; i++) {
    for (int k = 0; k < 3; k++) l->flat[3 * i + k] = l->scaled[4 * i + k];
    l->flat_alpha[i] = l->scaled[4 * i + 3];
  }
  if (w->background == DATASET_BLUR) {
    TRY(composite_plate(e, w->height, w->width, l->flat, l->flat_alpha, l->plate));
  } else {
    float level = w->background == DATASET_WHITE ? 1 : w->background == DATASET_GREY ? .5f : 0;
    for (int64_t i = 0; i < 3 * m; i++) l->plate[i] = level;
  }
  for (int64_t i = 0; i < m; i++) {
    alpha[i] = l->flat_alpha[i];
    for (int k = 0; k < 3; k++) rgb[3 * i + k] = fminf(1, l->flat[3 * i + k] + (1 - alpha[i]) * l->plate[3 * i + k]);
  }
out:
  return rc;
}

/* The file's frame that output frame k shows. */
static int64_t source_frame(const loader *l, int64_t k) {
  const dataset_want *w = l->want;
  int64_t skip = l->frames > 2 * (int64_t)w->skip ? w->skip : 0;
  double rate = w->fps > 0 ? l->fps / w->fps : 1;
  /* the small addition keeps 3 * (1 / 3) on frame 1 */
  int64_t at = skip + (int64_t)floor((double)k * rate + 1e-9), last = l->frames - 1 - skip;
  return at < last ? at : last;
}

static int fill(loader *l, err *e, clip *out) {
  int rc = OK, got = 1;
  int64_t m = (int64_t)out->height * out->width;
  for (int k = 0; k < out->frames; k++) {
    int64_t at = source_frame(l, k), before = l->decoded;
    /* Fewer frames may come out than the container holds (hidden ones): then the last one stays. */
    while (got && l->decoded <= at) TRY(take(l, e, &got));
    if (l->decoded > before) premultiply(l);
    TRY(compose(l, e, out->rgb + 3 * m * k, out->alpha + m * k));
  }
out:
  return rc;
}

int dataset_load(err *e, const dataset *d, const dataset_want *want, int64_t index, clip *out) {
  int rc = OK;
  loader l = {.want = want};
  *out = (clip){0};
  if (index < 0 || index >= d->n) FAIL(e, E_ARG, "clip %lld of a dataset of %lld", (long long)index, (long long)d->n);
  if (want->frames <= 0 || want->height <= 0 || want->width <= 0 || want->fps < 0 || want->skip < 0)
    FAIL(e, E_ARG, "clips of %d frames of %dx%d at %g fps were asked for", want->frames, want->width, want->height,
         want->fps);
  l.item = &d->items[index];
  TRY(loader_open(&l, e));
  TRY(clip_new(e, want->frames, want->height, want->width, 1, out));
  out->fps = want->fps > 0 ? want->fps : l.fps;
  out->colour = CLIP_DECODED;
  TRY(fill(&l, e, out));
out:
  loader_close(&l);
  if (rc != OK) clip_free(out);
  return rc;
}
