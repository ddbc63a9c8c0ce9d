#include "media/clip_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/text.h"

#define DIGITS 9 /* a frame number fits an int */

static const char *const images[] = {"png", "jpg", "jpeg", "tif", "tiff", "bmp", "webp",
                                     "pgm", "ppm", "pam",  "exr", "dpx",  "sgi", NULL};
static const char *const videos[] = {"mkv", "webm", "mov", "mp4", "m4v",  "avi", "nut",
                                     "y4m", "ivf",  "ogv", "gif", "apng", "ts",  NULL};

size_t clip_files_stem(const char *file) {
  const char *dot = strrchr(file, '.');
  return dot && dot != file ? (size_t)(dot - file) : strlen(file);
}

static int ends_in(const char *file, const char *const *ending) {
  size_t n = clip_files_stem(file);
  for (; file[n] && *ending; ending++)
    if (!strcasecmp(file + n + 1, *ending)) return 1;
  return 0;
}

/* --- numbered frames --- */

/* Names "HEAD<digits>TAIL" of one folder. */
typedef struct sequence {
  char *head, *tail;
  int64_t first, last, n;
  size_t narrow, wide; /* fewest and most digits */
  int padded;          /* some number begins with 0 and has more digits */
  int mixed;           /* some image does not fit */
} sequence;

/* The last run of digits before the ending; 0 digits: none. */
static size_t find_digits(const char *file, size_t *at) {
  size_t end = clip_files_stem(file);
  while (end > 0 && !(file[end - 1] >= '0' && file[end - 1] <= '9')) end--;
  *at = end;
  while (*at > 0 && file[*at - 1] >= '0' && file[*at - 1] <= '9') --*at;
  return end - *at;
}

static int start_sequence(err *e, sequence *s, const char *file, size_t at, size_t digits) {
  text head = {0};
  text_addn(&head, file, at);
  text_add(&head, "");
  int rc = text_ok(&head, e);
  if (rc == OK) rc = mem_strdup(e, head.p, &s->head);
  if (rc == OK) rc = mem_strdup(e, file + at + digits, &s->tail);
  text_free(&head);
  s->first = INT64_MAX;
  s->narrow = digits;
  return rc;
}

static int add_frame(err *e, sequence *s, const char *file) {
  int rc = OK;
  size_t at, digits = find_digits(file, &at);
  if (s->mixed || !digits || digits > DIGITS) {
    s->mixed = 1;
    return OK;
  }
  if (!s->head) TRY(start_sequence(e, s, file, at, digits));
  if (strlen(s->head) != at || memcmp(s->head, file, at) || strcmp(s->tail, file + at + digits)) s->mixed = 1;
  int64_t number = strtoll(file + at, NULL, 10);
  if (number < s->first) s->first = number;
  if (number > s->last) s->last = number;
  if (digits < s->narrow) s->narrow = digits;
  if (digits > s->wide) s->wide = digits;
  s->padded |= file[at] == '0' && digits > 1;
  s->n++;
out:
  return rc;
}

static int read_sequence(err *e, const char *folder, sequence *s) {
  int rc = OK;
  DIR *d = opendir(folder);
  *s = (sequence){0};
  if (!d) return err_set(e, E_IO, "%s: %s", folder, strerror(errno));
  for (struct dirent *f; (f = readdir(d));)
    if (f->d_name[0] != '.' && ends_in(f->d_name, images)) TRY(add_frame(e, s, f->d_name));
out:
  closedir(d);
  return rc;
}

static void drop_sequence(sequence *s) {
  free(s->head);
  free(s->tail);
}

/* Numbers are unique: with padding every one has as many digits. */
static int is_sequence(const sequence *s) {
  return s->n > 0 && !s->mixed && (!s->padded || s->narrow == s->wide);
}

static int no_gap(err *e, const char *folder, const sequence *s) {
  int64_t all = s->last - s->first + 1;
  if (s->n == all) return OK;
  return err_set(e, E_FORMAT, "%s: %lld frames of the sequence %s%lld%s to %s%lld%s are missing", folder,
                 (long long)(all - s->n), s->head, (long long)s->first, s->tail, s->head, (long long)s->last,
                 s->tail);
}

/* A percent sign of a name is none of the pattern. */
static void add_literal(text *t, const char *s) {
  for (; *s; s++) text_addf(t, "%s%c", *s == '%' ? "%" : "", *s);
}

static int pattern_of(err *e, const char *folder, const sequence *s, char **out) {
  text t = {0};
  add_literal(&t, folder);
  text_add(&t, "/");
  add_literal(&t, s->head);
  if (s->padded)
    text_addf(&t, "%%0%dd", (int)s->wide);
  else
    text_add(&t, "%d");
  add_literal(&t, s->tail);
  int rc = text_ok(&t, e);
  if (rc == OK) rc = mem_strdup(e, t.p, out);
  text_free(&t);
  return rc;
}

int clip_files_open_path(err *e, const char *path, char **out) {
  int rc = OK;
  sequence s = {0};
  *out = NULL;
  if (!file_is_folder(path)) return mem_strdup(e, path, out);
  TRY(read_sequence(e, path, &s));
  if (!is_sequence(&s)) FAIL(e, E_FORMAT, "%s: the folder holds no numbered sequence of images", path);
  TRY(no_gap(e, path, &s));
  TRY(pattern_of(e, path, &s, out));
out:
  drop_sequence(&s);
  return rc;
}

/* --- folders --- */

static int add(err *e, clip_files *l, const char *folder, const char *entry, size_t name) {
  int rc = OK;
  text path = {0};
  clip_file f = {0};
  text_addf(&path, "%s/%s", folder, entry);
  TRY(text_ok(&path, e));
  TRY(mem_strdup(e, path.p, &f.path));
  TRY(mem_strdup(e, entry, &f.name));
  f.name[name] = 0;
  TRY(mem_grow(e, &l->at, &l->cap, l->n + 1, sizeof f, "clips of a folder"));
  l->at[l->n++] = f;
  f = (clip_file){0};
out:
  free(f.name);
  free(f.path);
  text_free(&path);
  return rc;
}

static int add_if_sequence(err *e, clip_files *l, const char *folder, const char *entry) {
  int rc = OK;
  text path = {0};
  sequence s = {0};
  text_addf(&path, "%s/%s", folder, entry);
  TRY(text_ok(&path, e));
  if (!file_is_folder(path.p)) goto out;
  TRY(read_sequence(e, path.p, &s));
  if (!is_sequence(&s)) goto out;
  TRY(no_gap(e, path.p, &s));
  TRY(add(e, l, folder, entry, strlen(entry)));
out:
  drop_sequence(&s);
  text_free(&path);
  return rc;
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const clip_file *)a)->name, ((const clip_file *)b)->name);
}

int clip_files_list(err *e, const char *folder, clip_files *out) {
  int rc = OK;
  DIR *d = opendir(folder);
  *out = (clip_files){0};
  if (!d) return err_set(e, E_IO, "%s: %s", folder, strerror(errno));
  for (struct dirent *f; (f = readdir(d));) {
    const char *name = f->d_name;
    if (name[0] == '.') continue;
    if (ends_in(name, videos) || ends_in(name, images))
      TRY(add(e, out, folder, name, clip_files_stem(name)));
    else
      TRY(add_if_sequence(e, out, folder, name));
  }
  if (out->n) qsort(out->at, (size_t)out->n, sizeof *out->at, by_name);
  for (int64_t i = 1; i < out->n; i++)
    if (!strcmp(out->at[i - 1].name, out->at[i].name))
      FAIL(e, E_ARG, "%s and %s have one name but for their endings; clips are found by name", out->at[i - 1].path,
           out->at[i].path);
out:
  closedir(d);
  if (rc != OK) clip_files_close(out);
  return rc;
}

void clip_files_close(clip_files *l) {
  for (int64_t i = 0; i < l->n; i++) {
    free(l->at[i].name);
    free(l->at[i].path);
  }
  free(l->at);
  *l = (clip_files){0};
}

const clip_file *clip_files_find(const clip_files *l, const char *name) {
  for (int64_t lo = 0, hi = l->n; lo < hi;) {
    int64_t mid = lo + (hi - lo) / 2;
    int order = strcmp(name, l->at[mid].name);
    if (!order) return &l->at[mid];
    if (order < 0)
      hi = mid;
    else
      lo = mid + 1;
  }
  return NULL;
}
