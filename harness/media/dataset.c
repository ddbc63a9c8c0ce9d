#include "media/dataset.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"

/* Where an item was found, for messages. */
typedef struct place {
  const char *folder, *file;
  int line;
} place;

static int complain(err *e, const place *at, const char *what, const char *value) {
  return err_set(e, E_CONFIG, "%s/%s:%d: %s%s%s", at->folder, at->file, at->line, what, value ? ": " : "",
                 value ? value : "");
}

static int join(err *e, const char *folder, const char *name, char **out) {
  int rc = OK;
  text t = {0};
  text_addf(&t, "%s/%s", folder, name);
  TRY(text_ok(&t, e));
  *out = t.p;
  return OK;
out:
  text_free(&t);
  return rc;
}

static int is_utf8(const char *s) {
  size_t n = strlen(s), i = 0;
  while (i < n) {
    size_t step = utf8_length(s + i, n - i);
    if (step == 0) return 0;
    i += step;
  }
  return 1;
}

/* A relative path that cannot leave its folder. */
static int is_inside(const char *path) {
  if (path[0] == 0 || path[0] == '/') return 0;
  for (const char *p = path; *p; p += strcspn(p, "/"), p += *p == '/')
    if (strncmp(p, "..", 2) == 0 && (p[2] == 0 || p[2] == '/')) return 0;
  return 1;
}

static int take_path(err *e, const place *at, const char *name, char **out) {
  int rc = OK;
  if (!is_utf8(name)) return complain(e, at, "a file name is not UTF-8", NULL);
  if (!is_inside(name)) return complain(e, at, "a path must stay inside the folder", name);
  TRY(join(e, at->folder, name, out));
  if (!strchr(name, '%') && !file_exists(*out)) TRY(complain(e, at, "no such file", name));
out:
  return rc;
}

static void item_free(dataset_item *i) {
  free(i->file);
  free(i->matte);
  free(i->caption);
  *i = (dataset_item){0};
}

void dataset_close(dataset *d) {
  for (int64_t i = 0; i < d->n; i++) item_free(&d->items[i]);
  free(d->items);
  *d = (dataset){0};
}

/* What a manifest says of one clip; NULL where it says nothing. */
typedef struct entry {
  const char *file, *matte, *caption, *alpha;
  double fps;
} entry;

static int take_colour(err *e, const place *at, const entry *q, clip_colour *out) {
  *out = CLIP_STRAIGHT;
  if (!q->alpha && q->matte) return OK;
  if (!q->alpha) return complain(e, at, "\"alpha\" is missing: \"straight\" or \"premultiplied\"", NULL);
  if (strcmp(q->alpha, "straight") == 0) return OK;
  *out = CLIP_PREMULTIPLIED;
  if (strcmp(q->alpha, "premultiplied") == 0) return OK;
  return complain(e, at, "\"alpha\" must be \"straight\" or \"premultiplied\"", q->alpha);
}

static int add(dataset *d, err *e, const place *at, const entry *q) {
  int rc = OK;
  dataset_item item = {.fps = q->fps};
  if (!q->file) TRY(complain(e, at, "\"file\" is missing", NULL));
  if (!q->caption) TRY(complain(e, at, "no caption for", q->file));
  if (!is_utf8(q->caption)) TRY(complain(e, at, "the caption is not UTF-8 for", q->file));
  if (q->caption[strspn(q->caption, " \t\r\n")] == 0) TRY(complain(e, at, "the caption is empty for", q->file));
  TRY(take_colour(e, at, q, &item.colour));
  TRY(take_path(e, at, q->file, &item.file));
  if (q->matte) TRY(take_path(e, at, q->matte, &item.matte));
  TRY(mem_strdup(e, q->caption, &item.caption));
  TRY(mem_grow(e, &d->items, &d->cap, d->n + 1, sizeof *d->items, "dataset"));
  d->items[d->n++] = item;
  item = (dataset_item){0};
out:
  item_free(&item);
  return rc;
}

/* A string member, NULL when absent. */
static int get_string(err *e, const place *at, const json *object, const char *key, const char **out) {
  const json *v = json_get(object, key);
  *out = v && v->type == JSON_STRING ? v->str : NULL;
  return v && !*out ? complain(e, at, "must be a string", key) : OK;
}

static int add_object(dataset *d, err *e, const place *at, const json *object, const char *alpha) {
  int rc = OK;
  entry q = {0};
  if (object->type != JSON_OBJECT)
    TRY(complain(e, at, "a clip must be an object with \"file\" and \"caption\"", NULL));
  TRY(get_string(e, at, object, "file", &q.file));
  TRY(get_string(e, at, object, "matte", &q.matte));
  TRY(get_string(e, at, object, "caption", &q.caption));
  TRY(get_string(e, at, object, "alpha", &q.alpha));
  if (!q.alpha) q.alpha = alpha;
  const json *fps = json_get(object, "fps");
  if (fps && (fps->type != JSON_NUMBER || !(fps->num > 0 && fps->num <= 1000)))
    TRY(complain(e, at, "\"fps\" must be a number between 0 and 1000", NULL));
  if (fps) q.fps = fps->num;
  TRY(add(d, e, at, &q));
out:
  return rc;
}

static int read_manifest(err *e, const char *folder, const char *path, dataset *d) {
  int rc = OK;
  json *j = NULL;
  const char *alpha = NULL;
  place at = {folder, "manifest.json", 1};
  TRY(json_read(e, path, &j));
  const json *clips = json_get(j, "clips");
  if (!clips || clips->type != JSON_ARRAY) TRY(complain(e, &at, "\"clips\" must be a list", NULL));
  TRY(get_string(e, &at, j, "alpha", &alpha));
  for (const json *c = clips->child; c; c = c->next) {
    at.line = c->line;
    TRY(add_object(d, e, &at, c, alpha));
  }
out:
  json_free(j);
  return rc;
}

static int read_line(err *e, const place *at, const char *line, size_t n, dataset *d) {
  int rc = OK;
  json *j = NULL;
  char name[512];
  if (strspn(line, " \t\r") >= n) return OK;
  snprintf(name, sizeof name, "%s/%s:%d", at->folder, at->file, at->line);
  TRY(json_parse(e, name, line, n, &j));
  TRY(add_object(d, e, at, j, NULL));
out:
  json_free(j);
  return rc;
}

static int read_lines(err *e, const char *folder, const char *path, dataset *d) {
  int rc = OK;
  char *data = NULL;
  size_t n = 0;
  place at = {folder, "manifest.jsonl", 1};
  TRY(file_read(e, path, (size_t)1 << 30, &data, &n));
  for (const char *p = data, *end = data + n; p < end; at.line++) {
    const char *stop = memchr(p, '\n', (size_t)(end - p));
    if (!stop) stop = end;
    TRY(read_line(e, &at, p, (size_t)(stop - p), d));
    p = stop + 1;
  }
out:
  free(data);
  return rc;
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

typedef struct names {
  char **v;
  int64_t n, cap;
} names;

/* File names in a folder, sorted, without hidden ones. */
static int list_folder(err *e, const char *path, names *out) {
  int rc = OK;
  DIR *dir = opendir(path);
  if (!dir) FAIL(e, E_IO, "%s: cannot list the folder", path);
  for (struct dirent *f = readdir(dir); f; f = readdir(dir)) {
    if (f->d_name[0] == '.') continue;
    TRY(mem_grow(e, &out->v, &out->cap, out->n + 1, sizeof *out->v, "file names"));
    TRY(mem_strdup(e, f->d_name, &out->v[out->n]));
    out->n++;
  }
  qsort(out->v, (size_t)out->n, sizeof *out->v, by_name);
out:
  if (dir) closedir(dir);
  return rc;
}

static const json *caption_of(const json *captions, char *name) {
  const json *found = json_get(captions, name);
  char *dot = strrchr(name, '.');
  if (found || !dot) return found;
  *dot = 0;
  found = json_get(captions, name);
  *dot = '.';
  return found;
}

/* Where a layout of pairs has its colours and its captions. */
typedef struct pair_layout {
  const char *fgr, *captions;
} pair_layout;

static int add_pair(err *e, const place *in, const pair_layout *l, const json *captions, char *name, dataset *d) {
  int rc = OK;
  text fgr = {0}, pha = {0};
  const json *caption = caption_of(captions, name);
  place at = {in->folder, l->captions, caption ? caption->line : 1};
  text_addf(&fgr, "%s/%s", l->fgr, name);
  text_addf(&pha, "pha/%s", name);
  TRY(text_ok(&fgr, e));
  TRY(text_ok(&pha, e));
  entry q = {.file = fgr.p, .matte = pha.p, .caption = caption && caption->type == JSON_STRING ? caption->str : NULL};
  TRY(add(d, e, &at, &q));
out:
  text_free(&fgr);
  text_free(&pha);
  return rc;
}

static int read_layout(err *e, const char *folder, const char *fgr, const pair_layout *l, dataset *d) {
  int rc = OK;
  place at = {folder, l->captions, 1};
  char *path = NULL;
  json *captions = NULL;
  names list = {0};
  TRY(join(e, folder, l->captions, &path));
  TRY(json_read(e, path, &captions));
  TRY(list_folder(e, fgr, &list));
  for (int64_t i = 0; i < list.n; i++) TRY(add_pair(e, &at, l, captions, list.v[i], d));
out:
  for (int64_t i = 0; i < list.n; i++) free(list.v[i]);
  free(list.v);
  json_free(captions);
  free(path);
  return rc;
}

static int read_pairs(err *e, const char *folder, const char *fgr, dataset *d) {
  return read_layout(e, folder, fgr, &(pair_layout){"fgr", "captions.json"}, d);
}

static int read_released(err *e, const char *folder, const char *fgr, dataset *d) {
  return read_layout(e, folder, fgr, &(pair_layout){"fgr_color_decon_blur", "video_captions.json"}, d);
}

int dataset_open(err *e, const char *folder, dataset *out) {
  int rc = OK, i = 0;
  static const struct {
    const char *name;
    int (*read)(err *e, const char *folder, const char *path, dataset *d);
  } kinds[] = {{"manifest.json", read_manifest},
               {"manifest.jsonl", read_lines},
               {"fgr", read_pairs},
               {"fgr_color_decon_blur", read_released}};
  const int n = (int)(sizeof kinds / sizeof *kinds);
  char *path = NULL;
  *out = (dataset){0};
  for (; i < n; i++) {
    free(path);
    path = NULL;
    TRY(join(e, folder, kinds[i].name, &path));
    if (file_exists(path)) break;
  }
  if (i == n)
    FAIL(e, E_CONFIG, "%s: there is no manifest.json, manifest.jsonl, fgr/ or fgr_color_decon_blur/ in it", folder);
  TRY(kinds[i].read(e, folder, path, out));
  if (out->n == 0) FAIL(e, E_CONFIG, "%s: no clips are listed", path);
out:
  free(path);
  if (rc != OK) dataset_close(out);
  return rc;
}
