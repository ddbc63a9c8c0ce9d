#include "cli/score_jobs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/text.h"
#include "media/clip_files.h"
#include "media/dataset.h"

const char *const score_role_option[SCORE_ROLES] = {"--against", "--truth", "--trimap", "--partner"};

/* --- names --- */

static const char *tail(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static int join(err *e, const char *folder, const char *file, char **out) {
  text t = {0};
  text_addf(&t, "%s/%s", folder, file);
  int rc = text_ok(&t, e);
  if (rc == OK) rc = mem_strdup(e, t.p, out);
  text_free(&t);
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
  job->name[clip_files_stem(job->name)] = 0;
  *out = job;
out:
  return rc;
}

static int add_listed(err *e, score_jobs *j, const clip_file *f) {
  int rc = OK;
  score_job *job;
  char *path = NULL;
  TRY(clip_files_open_path(e, f->path, &path));
  TRY(add(e, j, path, &job));
  free(job->name);
  TRY(mem_strdup(e, f->name, &job->name));
out:
  free(path);
  return rc;
}

static int holds(err *e, const char *folder, const char *name, int *out) {
  char *path;
  struct stat st;
  int rc = join(e, folder, name, &path);
  if (rc != OK) return rc;
  *out = stat(path, &st) == 0;
  free(path);
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

/* How the images of the folder would be named as one clip, when they are numbered in a row. */
static int note_frames(err *e, score_jobs *j, const char *folder, int64_t n) {
  err not_one = {0};
  char *path = NULL;
  int rc = n > 1 && !j->frames ? clip_files_open_path(&not_one, folder, &path) : OK;
  if (rc == OK && path) j->frames = path;
  return rc == E_NOMEM ? err_set(e, rc, "%s", not_one.text) : OK;
}

static int add_files(err *e, score_jobs *j, const char *folder) {
  int rc = OK;
  clip_files l;
  TRY(clip_files_list(e, folder, &l));
  if (!l.n) FAIL(e, E_ARG, "%s holds no video or image file and no folder of frames", folder);
  for (int64_t i = 0; i < l.n; i++) TRY(add_listed(e, j, &l.at[i]));
  TRY(note_frames(e, j, folder, l.n));
out:
  clip_files_close(&l);
  return rc;
}

static int pair_alpha(err *e, const char *folder, const char *option, score_jobs *j, int64_t from);

/* fgr/ and pha/ of one folder: straight colour and its mattes. */
static int add_pairs(err *e, score_jobs *j, const char *folder) {
  int rc = OK;
  int64_t from = j->n;
  char *fgr = NULL, *pha = NULL;
  TRY(join(e, folder, "fgr", &fgr));
  TRY(join(e, folder, "pha", &pha));
  TRY(add_files(e, j, fgr));
  TRY(pair_alpha(e, pha, "fgr/ and pha/:", j, from));
  for (int64_t i = from; i < j->n; i++) j->at[i].coloured = 1, j->at[i].colour = CLIP_STRAIGHT;
out:
  free(fgr);
  free(pha);
  return rc;
}

static int add_folder(err *e, score_jobs *j, const char *folder) {
  int rc = OK, manifest, lines, fgr, pha;
  TRY(holds(e, folder, "manifest.json", &manifest));
  TRY(holds(e, folder, "manifest.jsonl", &lines));
  TRY(holds(e, folder, "fgr", &fgr));
  TRY(holds(e, folder, "pha", &pha));
  if (manifest || lines)
    TRY(add_dataset(e, j, folder));
  else if (fgr && pha)
    TRY(add_pairs(e, j, folder));
  else
    TRY(add_files(e, j, folder));
out:
  return rc;
}

/* The file beside every clip from `first` on: of its name in a folder, or the one file of the one clip. Where a clip
 * has none, its place stays NULL; *alone counts those. */
typedef struct beside_from {
  const char *path, *option;
  int64_t first;
} beside_from;

static int beside(err *e, score_jobs *j, const beside_from *from, char **(*place)(score_job *, int), int role,
                  int64_t *alone) {
  int rc = OK;
  int64_t clips = j->n - from->first;
  clip_files l = {0};
  if (!file_is_folder(from->path)) {
    if (clips != 1)
      FAIL(e, E_ARG, "%s %s is one file for %lld clips; give a folder", from->option, from->path, (long long)clips);
    return mem_strdup(e, from->path, place(&j->at[from->first], role));
  }
  TRY(clip_files_list(e, from->path, &l));
  for (int64_t i = from->first; i < j->n; i++) {
    const clip_file *f = clip_files_find(&l, j->at[i].name);
    if (f) TRY(clip_files_open_path(e, f->path, place(&j->at[i], role)));
    *alone += !f;
  }
  if (*alone == clips) FAIL(e, E_ARG, "%s %s: no file there has the name of a clip", from->option, from->path);
out:
  clip_files_close(&l);
  return rc;
}

static char **alpha_place(score_job *j, int role) {
  (void)role;
  return &j->alpha;
}

static char **beside_place(score_job *j, int role) {
  return &j->beside[role];
}

static int pair_alpha(err *e, const char *folder, const char *option, score_jobs *j, int64_t from) {
  int rc = OK;
  int64_t alone = 0;
  TRY(beside(e, j, &(beside_from){folder, option, from}, alpha_place, 0, &alone));
  for (int64_t i = from; i < j->n; i++)
    if (!j->at[i].alpha) FAIL(e, E_ARG, "%s %s: nothing there is called %s", option, folder, j->at[i].name);
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
    if (file_is_folder(from->clips[i]))
      TRY(add_folder(e, out, from->clips[i]));
    else
      TRY(add(e, out, from->clips[i], &job));
  }
  if (from->rgb) {
    if (file_is_folder(from->rgb))
      TRY(add_files(e, out, from->rgb));
    else
      TRY(add(e, out, from->rgb, &job));
    TRY(pair_alpha(e, from->alpha, "--alpha", out, 0));
  }
  for (int r = 0; r < SCORE_ROLES; r++)
    if (from->beside[r])
      TRY(beside(e, out, &(beside_from){from->beside[r], score_role_option[r], 0}, beside_place, r, &out->alone[r]));
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
  free(j->frames);
  *j = (score_jobs){0};
}
