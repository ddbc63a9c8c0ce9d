#include "cli/generate_in.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "media/npy.h"
#include "media/resample.h"
#include "media/video.h"
#include "model/safetensors.h"

#define NPY_MAX ((size_t)1 << 30)

static int take(err *e, const st_tensor *t, float **out) {
  int rc = OK;
  TRY(mem_new(e, t->count, sizeof **out, t->name, out));
  for (int64_t i = 0; i < t->count; i++) (*out)[i] = (float)dtype_get(t->type, t->data, i);
out:
  return rc;
}

/* `noise`, or the only tensor whose name ends in ".noise"; NULL when there is none, or (*several) more than one. */
static const st_tensor *find_step_noise(const st_file *f, const char *run, int *several) {
  char named[96];
  const st_tensor *found = NULL, *plain = st_find(f, "noise");
  snprintf(named, sizeof named, "%s.noise", run ? run : "");
  if (run || plain) return run ? st_find(f, named) : plain;
  for (int64_t i = 0; i < st_count(f); i++) {
    const char *name = st_at(f, i)->name;
    size_t n = strlen(name);
    if (n < 6 || strcmp(name + n - 6, ".noise") != 0) continue;
    *several = found != NULL;
    if (*several) return NULL;
    found = st_at(f, i);
  }
  return found;
}

static int need_rank(err *e, const st_file *f, const st_tensor *t, int rank, int axis) {
  if (t->rank == rank && t->shape[axis] == 1 && t->count > 0) return OK;
  return err_set(e, E_SHAPE, "%s: %s must have %d dimensions and be of one clip (axis %d)", st_path(f), t->name, rank,
                 axis);
}

int noise_read(err *e, const char *path, const char *run, noise_file *out) {
  int rc = OK;
  static const char *const names[] = {"in.start", "in.noise_half", "in.latents", NULL};
  st_file *f = NULL;
  const st_tensor *t = NULL, *step, *posterior;
  *out = (noise_file){0};
  TRY(st_open(e, path, &f));
  for (int i = 0; !t && names[i]; i++) t = st_find(f, names[i]);
  if (!t) FAIL(e, E_FORMAT, "%s: holds none of in.start, in.noise_half, in.latents [1,F,C,h,w]", path);
  if (t->rank != 5 || t->count == 0) FAIL(e, E_SHAPE, "%s: %s is not [B,F,C,h,w]", path, t->name);
  out->frames = t->shape[1], out->channels = t->shape[2], out->height = t->shape[3], out->width = t->shape[4];
  TRY(take(e, t, &out->start)); /* of several clips the first is used */
  step = find_step_noise(f, run, &out->several);
  if (step) {
    TRY(need_rank(e, f, step, 6, 1));
    if (memcmp(step->shape + 3, t->shape + 2, 3 * sizeof *t->shape) != 0)
      FAIL(e, E_SHAPE, "%s: %s and %s are of different channels or sizes", path, step->name, t->name);
    out->steps = step->shape[0], out->step_frames = step->shape[2];
    TRY(take(e, step, &out->step));
  }
  posterior = st_find(f, "in.posterior_noise");
  if (posterior) {
    const int64_t want[5] = {1, out->channels, 1, out->height, out->width};
    TRY(st_need(e, f, posterior->name, 5, want, &posterior));
    TRY(take(e, posterior, &out->posterior));
  }
out:
  st_close(f);
  if (rc != OK) noise_close(out);
  return rc;
}

void noise_close(noise_file *n) {
  free(n->start);
  free(n->step);
  free(n->posterior);
  *n = (noise_file){0};
}

int noise_start(err *e, const noise_file *n, const char *path, int halves, const clip_size *s, float *out) {
  const int64_t half = s->z_frames * n->channels * n->height * n->width;
  if (n->height != s->z_height || n->width != s->z_width ||
      (n->frames != s->z_frames && n->frames != (int64_t)halves * s->z_frames))
    return err_set(e, E_SHAPE, "%s: start noise of %lld frames of %lldx%lld latents; this clip has %d%s of %dx%d",
                   path, (long long)n->frames, (long long)n->height, (long long)n->width, s->z_frames,
                   halves == 2 ? " a half" : "", s->z_height, s->z_width);
  for (int h = 0; h < halves; h++)
    memcpy(out + h * half, n->start + (n->frames == s->z_frames ? 0 : h * half), (size_t)half * sizeof *out);
  return OK;
}

/* --- text --- */

/* One or two prompts of a tensor of rank 2 or 3. */
static int text_shape(err *e, const char *path, int rank, const int64_t *shape, text_rows *out) {
  if ((rank != 2 && rank != 3) || (rank == 3 && shape[0] != 1 && shape[0] != 2))
    return err_set(e, E_SHAPE, "%s: text rows must be [T,D], [1,T,D], or [2,T,D]: a prompt's, then the empty one's",
                   path);
  out->rows = shape[rank - 2];
  out->width = shape[rank - 1];
  out->lone = rank == 2 || shape[0] == 1;
  if (out->rows < 1 || out->width < 1) return err_set(e, E_SHAPE, "%s: no text rows", path);
  return OK;
}

static int read_npy(err *e, const char *path, text_rows *out) {
  int rc = OK;
  char *data = NULL;
  size_t n;
  npy a;
  TRY(file_read(e, path, NPY_MAX, &data, &n));
  TRY(npy_parse(e, path, data, n, &a));
  TRY(text_shape(e, path, a.rank, a.shape, out));
  TRY(mem_new(e, 2 * out->rows * out->width, sizeof *out->at, "text rows", &out->at));
  for (int64_t i = 0; i < a.count; i++) out->at[i] = (float)dtype_get(a.type, a.data, i);
out:
  free(data);
  return rc;
}

static int copy_rows(err *e, const st_file *f, const st_tensor *t, int from, const text_rows *r, float *to) {
  const int64_t n = r->rows * r->width;
  if (t->shape[t->rank - 2] != r->rows || t->shape[t->rank - 1] != r->width)
    return err_set(e, E_SHAPE, "%s: %s and the prompt's rows are of different shapes", st_path(f), t->name);
  for (int64_t i = 0; i < n; i++) to[i] = (float)dtype_get(t->type, t->data, from * n + i);
  return OK;
}

static int read_rows(err *e, const char *path, text_rows *out) {
  int rc = OK;
  st_file *f = NULL;
  TRY(st_open(e, path, &f));
  const st_tensor *cond = st_find(f, "in.text_cond"), *other = st_find(f, "in.text_uncond");
  if (!cond) cond = other = st_find(f, "text");
  if (!cond) FAIL(e, E_FORMAT, "%s: holds neither in.text_cond nor text", path);
  TRY(text_shape(e, path, cond->rank, cond->shape, out));
  const int pair = !out->lone;
  if (other && other != cond) {
    text_rows shape;
    TRY(text_shape(e, path, other->rank, other->shape, &shape));
    out->lone = 0;
  }
  TRY(mem_new(e, 2 * out->rows * out->width, sizeof *out->at, "text rows", &out->at));
  TRY(copy_rows(e, f, cond, 0, out, out->at));
  if (other && !out->lone) TRY(copy_rows(e, f, other, other == cond && pair, out, out->at + out->rows * out->width));
out:
  st_close(f);
  return rc;
}

int embeddings_read(err *e, const char *path, text_rows *out) {
  const char *dot = strrchr(path, '.');
  *out = (text_rows){0};
  return dot && !strcmp(dot, ".npy") ? read_npy(e, path, out) : read_rows(e, path, out);
}

/* --- the first frame --- */

int picture_read(err *e, const char *path, const clip_size *s, float **out, int *has_alpha) {
  int rc = OK;
  clip c = {0};
  resample r = {0};
  float *from = NULL, *to = NULL;
  const int64_t n = s->height * s->width;
  *out = NULL;
  TRY(video_read(e, path, &(video_options){.max_frames = 1}, &c));
  const int64_t m = (int64_t)c.height * c.width;
  TRY(mem_new(e, 4 * m, sizeof *from, "picture", &from));
  TRY(mem_new(e, 4 * n, sizeof *to, "picture", &to));
  TRY(mem_new(e, 6 * n, sizeof **out, "picture", out));
  for (int64_t i = 0; i < m; i++) {
    memcpy(from + 4 * i, c.rgb + 3 * i, 3 * sizeof *from);
    from[4 * i + 3] = c.alpha ? c.alpha[i] : 1;
  }
  TRY(resample_open(e, (resample_size){c.height, c.width}, (resample_size){(int)s->height, (int)s->width}, &r));
  resample_run(&r, from, to);
  for (int64_t i = 0; i < n; i++)
    for (int k = 0; k < 3; k++) {
      (*out)[k * n + i] = 2 * to[4 * i + k] - 1;
      (*out)[(3 + k) * n + i] = 2 * to[4 * i + 3] - 1;
    }
  *has_alpha = c.alpha != NULL;
out:
  resample_close(&r);
  free(from);
  free(to);
  clip_free(&c);
  if (rc != OK) free(*out), *out = NULL;
  return rc;
}
