#include "media/deliver.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "media/picture.h"
#include "media/video.h"

#define CHECKER_SIDE 8

/* Planes to pixels. */
static int unpack(err *e, const char *what, const float *from, int64_t n, float *to) {
  for (int64_t i = 0; i < n; i++)
    for (int k = 0; k < 3; k++) {
      float v = from[k * n + i];
      if (!isfinite(v)) return err_set(e, E_NAN, "%s: a decoded value is %g", what, (double)v);
      v = v / 2 + .5f;
      to[3 * i + k] = v > 0 ? v < 1 ? v : 1 : 0;
    }
  return OK;
}

int deliver_clip(err *e, const decoded *d, double fps, clip *out, matte_spread *spread) {
  int rc = OK;
  float *three = NULL;
  *spread = (matte_spread){0};
  TRY(clip_new(e, d->frames, d->height, d->width, d->alpha != NULL, out));
  out->fps = fps;
  out->colour = CLIP_DECODED;
  const int64_t n = clip_voxels(out);
  TRY(unpack(e, "RGB", d->rgb, n, out->rgb));
  if (!d->alpha) goto out;
  TRY(mem_new(e, 3 * n, sizeof *three, "alpha video", &three));
  TRY(unpack(e, "alpha", d->alpha, n, three));
  composite_matte(n, three, out->alpha, spread);
  out->alpha_chroma = spread->mean;
  out->alpha_chroma_known = 1;
out:
  free(three);
  if (rc != OK) clip_free(out);
  return rc;
}

int deliver_colour_as(err *e, clip *c, deliver_colour how) {
  if (how == DELIVER_DECODED) return OK;
  if (!c->alpha) return err_set(e, E_ARG, "a clip without alpha has neither straight nor premultiplied colour");
  if (how == DELIVER_PREMULTIPLIED) return composite_premultiply(e, c);
  c->colour = CLIP_STRAIGHT;
  return OK;
}

static int is_folder(const char *path) {
  size_t n = strlen(path);
  return n > 1 && path[n - 1] == '/';
}

/* A folder that is absent or empty. */
static int check_folder(err *e, const char *path) {
  DIR *d = opendir(path);
  const struct dirent *entry;
  int used = 0;
  if (!d)
    return errno == ENOENT ? OK : err_set(e, E_IO, "%s: cannot be written as a folder: %s", path, strerror(errno));
  while (!used && (entry = readdir(d))) used = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
  closedir(d);
  return used ? err_set(e, E_ARG, "%s: the folder is not empty; name a new one for the pictures", path) : OK;
}

int deliver_check(err *e, const char *path) {
  video_codec codec;
  struct stat s;
  if (is_folder(path)) return check_folder(e, path);
  int rc = video_codec_of(e, path, &codec);
  if (rc != OK) return rc;
  if (stat(path, &s) == 0 && !S_ISREG(s.st_mode)) return err_set(e, E_ARG, "%s is not a regular file", path);
  return OK;
}

/* Removes the pictures written so far and their folder. */
static void discard(const char *folder, int64_t n) {
  text name = {0};
  for (int64_t i = 0; i < n; i++) {
    name.n = 0;
    text_addf(&name, "%s/%04lld.png", folder, (long long)i);
    if (!name.failed) unlink(name.p);
  }
  rmdir(folder);
  text_free(&name);
}

static int write_pictures(err *e, const char *path, const clip *c) {
  int rc = OK;
  text folder = {0}, name = {0};
  int64_t done = 0;
  const int64_t n = (int64_t)c->height * c->width;
  size_t stem = strlen(path);
  while (stem > 1 && path[stem - 1] == '/') stem--;
  text_addn(&folder, path, stem);
  text_addf(&folder, ".tmp-%ld", (long)getpid());
  TRY(text_ok(&folder, e));
  TRY(check_folder(e, path));
  TRY(file_mkdirs(e, folder.p));
  for (; done < c->frames; done++) {
    name.n = 0;
    text_addf(&name, "%s/%04lld.png", folder.p, (long long)done);
    TRY(text_ok(&name, e));
    TRY(picture_write(e, name.p, c->height, c->width, c->rgb + 3 * n * done, c->alpha ? c->alpha + n * done : NULL));
  }
  name.n = 0;
  text_addn(&name, path, stem);
  TRY(text_ok(&name, e));
  if (rename(folder.p, name.p) != 0) FAIL(e, E_IO, "%s: %s", path, strerror(errno));
out:
  if (rc != OK && folder.p) discard(folder.p, done);
  text_free(&folder);
  text_free(&name);
  return rc;
}

int deliver_write(err *e, const char *path, const clip *c, int quality) {
  int rc = OK;
  video_write_options o = {0};
  TRY(deliver_check(e, path));
  if (is_folder(path)) return write_pictures(e, path, c);
  TRY(video_codec_of(e, path, &o.codec));
  if (o.codec == VIDEO_WEBP || o.codec == VIDEO_VP9) o.quality = quality;
  TRY(video_write(e, path, c, &o));
out:
  return rc;
}

static int over_plate(err *e, const clip *c, clip *out) {
  int rc = OK;
  clip one = {.frames = 1, .height = c->height, .width = c->width, .colour = CLIP_PREMULTIPLIED};
  const int64_t n = (int64_t)c->height * c->width;
  float *plate = NULL, *own = NULL;
  TRY(mem_new(e, 3 * n, sizeof *plate, "plate", &plate));
  TRY(mem_new(e, 3 * n, sizeof *own, "foreground", &own));
  one.rgb = own;
  for (int f = 0; f < c->frames; f++) {
    one.alpha = c->alpha + f * n;
    for (int64_t i = 0; i < 3 * n; i++)
      own[i] = c->rgb[3 * n * f + i] * (c->colour == CLIP_PREMULTIPLIED ? 1 : one.alpha[i / 3]);
    TRY(composite_plate(e, c->height, c->width, own, one.alpha, plate));
    TRY(composite_over_picture(e, &one, plate, out->rgb + 3 * n * f));
  }
out:
  free(plate);
  free(own);
  return rc;
}

static int over_file(err *e, const clip *c, const char *path, clip *out) {
  int rc = OK;
  clip picture = {0};
  TRY(video_read(e, path, &(video_options){.max_frames = 1}, &picture));
  if (picture.height != c->height || picture.width != c->width)
    FAIL(e, E_SHAPE, "%s is %dx%d, the clip %dx%d", path, picture.width, picture.height, c->width, c->height);
  TRY(composite_over_picture(e, c, picture.rgb, out->rgb));
out:
  clip_free(&picture);
  return rc;
}

int deliver_over(err *e, const clip *c, const char *over, clip *out) {
  int rc = OK;
  unsigned r, g, b;
  int end = 0;
  *out = (clip){0};
  if (!c->alpha) FAIL(e, E_ARG, "a clip without alpha lies over nothing");
  TRY(clip_new(e, c->frames, c->height, c->width, 0, out));
  out->fps = c->fps;
  out->colour = CLIP_DECODED;
  if (!strcmp(over, "checker")) {
    TRY(composite_over_checker(e, c, CHECKER_SIDE, out->rgb));
  } else if (!strcmp(over, "plate")) {
    TRY(over_plate(e, c, out));
  } else if (over[0] == '#') {
    if (sscanf(over, "#%2x%2x%2x%n", &r, &g, &b, &end) != 3 || end != 7 || over[7])
      FAIL(e, E_ARG, "'%.20s' is no colour: # and six hexadecimal digits, as in #33b266", over);
    const float colour[3] = {(float)r / 255, (float)g / 255, (float)b / 255};
    TRY(composite_over(e, c, colour, out->rgb));
  } else {
    TRY(over_file(e, c, over, out));
  }
out:
  if (rc != OK) clip_free(out);
  return rc;
}
