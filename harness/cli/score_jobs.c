#include "cli/score_jobs.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/text.h"
#include "media/dataset.h"

const char *const score_role_option[SCORE_ROLES] = {"--against", "--truth", "--trimap", "--partner"};

/* --- names --- */

static const char *tail(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static size_t stem_length(const char *file) {
  const char *dot = strrchr(file, '.');
  return dot && dot != file ? (size_t)(dot - file) : strlen(file);
}

static int same_stem(const char *a, const char *b) {
  size_t n = stem_length(a);
  return n == stem_length(b) && !memcmp(a, b, n);
}

static int is_media(const char *file) {
  static const char *const ending[] = {"mkv", "webm", "mov",  "mp4", "m4v",  "avi", "nut",  "y4m", "mxf", "gif",
                                       "png", "apng", "webp", "jpg", "jpeg", "tif", "tiff", "bmp", "pgm", "ppm"};
  const char *dot = strrchr(file, '.');
  for (size_t i = 0; dot && dot != file && i < sizeof ending / sizeof ending[0]; i++)
    if (!strcasecmp(dot + 1, ending[i])) return 1;
  return 0;
}

static int is_folder(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int join(err *e, const char *folder, const char *file, char **out) {
  text t = {0};
  text_addf(&t, "%s/%s", folder, file);
  int rc = text_ok(&t, e);
  if (rc == OK) rc = mem_strdup(e, t.p, out);
  text_free(&t);
  return rc;
}

/* --- folders --- */

typedef struct names {
  char **at;
  int64_t n, cap;
} names;

static void names_free(names *l) {
  for (int64_t i = 0; i < l->n; i++) free(l->at[i]);
  free(l->at);
  *l = (names){0};
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Media files of a folder, sorted bytewise. */
static int list_folder(err *e, const char *folder, names *out) {
  int rc = OK;
  DIR *d = opendir(folder);
  *out = (names){0};
  if (!d) return err_set(e, E_IO, "%s: %s", folder, strerror(errno));
  for (struct dirent *f; (f = readdir(d));) {
    if (f->d_name[0] == '.' || !is_media(f->d_name)) continue;
    TRY(mem_grow(e, &out->at, &out->cap, out->n + 1, sizeof *out->at, "file names"));
    TRY(mem_strdup(e, f->d_name, &out->at[out->n]));
    out->n++;
  }
  if (out->n) qsort(out->at, (size_t)out->n, sizeof *out->at, by_name);
  for (int64_t i = 1; i < out->n; i++)
    if (same_stem(out->at[i - 1], out->at[i]))
      FAIL(e, E_ARG, "%s: %s and %s have the same name but for their endings; clips are paired by name", folder,
           out->at[i - 1], out->at[i]);
out:
  closedir(d);
  return rc;
}

/* --- jobs --- */

static int add(err *e, score_jobs *j, const char *file, score_job **out) {
  int rc = OK;
  TRY(mem_grow(e, &j->at, &j->cap, j->n + 1, sizeof *j->at, "clips"));
  score_job *job = &j->at[j->n++];
  *job = (score_job){0};
  TRY(mem_strdup(e, file, &job->file));
  TRY(mem_strdup(e, tail(file), &job->name));
  job->name[stem_length(job->name)] = 0;
  *out = job;
out:
  return rc;
}

static int is_dataset(err *e, const char *folder, int *out) {
  static const char *const mark[] = {"manifest.json", "manifest.jsonl", "pha"};
  *out = 0;
  for (int i = 0; i < 3; i++) {
    struct stat st;
    char *path;
    int rc = join(e, folder, mark[i], &path);
    if (rc != OK) return rc;
    *out |= stat(path, &st) == 0;
    free(path);
  }
  return OK;
}

static int add_dataset(err *e, score_jobs *j, const char *folder) {
  int rc = OK;
  dataset d = {0};
  TRY(dataset_open(e, folder, &d));
  for (int64_t i = 0; i < d.n; i++) {
    score_job *job;
    TRY(add(e, j, d.items[i].file, &job));
    job->coloured = 1, job->colour = d.items[i].colour;
    if (d.items[i].matte) TRY(mem_strdup(e, d.items[i].matte, &job->alpha));
  }
out:
  dataset_close(&d);
  return rc;
}

static int add_folder(err *e, score_jobs *j, const char *folder) {
  int rc = OK, whole = 0;
  names l = {0};
  TRY(is_dataset(e, folder, &whole));
  if (whole) return add_dataset(e, j, folder);
  TRY(list_folder(e, folder, &l));
  if (!l.n) FAIL(e, E_ARG, "%s holds no video or image file", folder);
  for (int64_t i = 0; i < l.n; i++) {
    char *path;
    score_job *job;
    TRY(join(e, folder, l.at[i], &path));
    rc = add(e, j, path, &job);
    free(path);
    if (rc != OK) goto out;
  }
out:
  names_free(&l);
  return rc;
}

/* The file of this name in a sorted listing, or NULL. */
static int find(err *e, const char *folder, const names *l, const char *name, char **out) {
  size_t n = strlen(name);
  *out = NULL;
  for (int64_t i = 0; i < l->n; i++)
    if (stem_length(l->at[i]) == n && !memcmp(l->at[i], name, n)) return join(e, folder, l->at[i], out);
  return OK;
}

/* The file beside every clip: of its name in a folder, or the one file of the one clip. Where a clip has none, its
 * place stays NULL; *alone counts those. */
static int beside(err *e, score_jobs *j, const char *from, const char *option, char **(*place)(score_job *, int),
                  int role, int64_t *alone) {
  int rc = OK;
  names l = {0};
  if (!is_folder(from)) {
    if (j->n != 1) FAIL(e, E_ARG, "%s %s is one file for %lld clips; give a folder", option, from, (long long)j->n);
    return mem_strdup(e, from, place(&j->at[0], role));
  }
  TRY(list_folder(e, from, &l));
  for (int64_t i = 0; i < j->n; i++) {
    TRY(find(e, from, &l, j->at[i].name, place(&j->at[i], role)));
    *alone += !*place(&j->at[i], role);
  }
  if (*alone == j->n) FAIL(e, E_ARG, "%s %s: no file there has the name of a clip", option, from);
out:
  names_free(&l);
  return rc;
}

static char **alpha_place(score_job *j, int role) {
  (void)role;
  return &j->alpha;
}

static char **beside_place(score_job *j, int role) {
  return &j->beside[role];
}

static int pair_alpha(err *e, const score_sources *from, score_jobs *j) {
  int rc = OK;
  int64_t alone = 0;
  TRY(beside(e, j, from->alpha, "--alpha", alpha_place, 0, &alone));
  for (int64_t i = 0; i < j->n; i++)
    if (!j->at[i].alpha) FAIL(e, E_ARG, "--alpha %s: nothing there is called %s", from->alpha, j->at[i].name);
out:
  return rc;
}

/* Clips of equal names from different folders are told apart by their paths. */
static int tell_apart(err *e, score_jobs *j) {
  for (int64_t i = 0; i < j->n; i++) {
    int twice = 0;
    for (int64_t k = 0; k < j->n; k++) twice |= k != i && !strcmp(j->at[i].name, j->at[k].name);
    if (!twice) continue;
    char *path;
    int rc = mem_strdup(e, j->at[i].file, &path);
    if (rc != OK) return rc;
    for (int64_t k = i + 1; k < j->n; k++) { /* later twins get theirs as well */
      if (strcmp(j->at[i].name, j->at[k].name)) continue;
      char *other;
      rc = mem_strdup(e, j->at[k].file, &other);
      if (rc != OK) {
        free(path);
        return rc;
      }
      free(j->at[k].name);
      j->at[k].name = other;
    }
    free(j->at[i].name);
    j->at[i].name = path;
  }
  return OK;
}

int score_jobs_open(err *e, const score_sources *from, score_jobs *out) {
  int rc = OK;
  score_job *job;
  *out = (score_jobs){0};
  for (int i = 0; i < from->n_clips; i++) {
    if (is_folder(from->clips[i]))
      TRY(add_folder(e, out, from->clips[i]));
    else
      TRY(add(e, out, from->clips[i], &job));
  }
  if (from->rgb) {
    if (is_folder(from->rgb))
      TRY(add_folder(e, out, from->rgb));
    else
      TRY(add(e, out, from->rgb, &job));
    TRY(pair_alpha(e, from, out));
  }
  for (int r = 0; r < SCORE_ROLES; r++)
    if (from->beside[r]) TRY(beside(e, out, from->beside[r], score_role_option[r], beside_place, r, &out->alone[r]));
  TRY(tell_apart(e, out));
out:
  if (rc != OK) score_jobs_close(out);
  return rc;
}

void score_jobs_close(score_jobs *j) {
  for (int64_t i = 0; i < j->n; i++) {
    free(j->at[i].name), free(j->at[i].file), free(j->at[i].alpha);
    for (int r = 0; r < SCORE_ROLES; r++) free(j->at[i].beside[r]);
  }
  free(j->at);
  *j = (score_jobs){0};
}
