#include "study/content.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/text.h"

#define FOLDER_DEPTH 16

typedef struct names {
  char **v;
  int64_t n, cap;
} names;

static void free_names(names *l) {
  for (int64_t i = 0; i < l->n; i++) free(l->v[i]);
  free(l->v);
}

static int add_name(err *e, names *l, const char *name) {
  int rc = mem_grow(e, &l->v, &l->cap, l->n + 1, sizeof *l->v, "names of a folder");
  if (rc == OK) rc = mem_strdup(e, name, &l->v[l->n]);
  if (rc == OK) l->n++;
  return rc;
}

static int joined(err *e, const char *folder, const char *name, text *out) {
  out->n = 0;
  text_addf(out, "%s%s%s", folder, folder[0] ? "/" : "", name);
  return text_ok(out, e);
}

/* Files below root/below into `files`, by their names relative to root. */
static int collect(err *e, const char *root, const char *below, int depth, names *files) {
  text path = {0}, name = {0};
  DIR *d = NULL;
  int rc = OK;
  if (depth > FOLDER_DEPTH) FAIL(e, E_IO, "%s/%s: folders are nested deeper than %d", root, below, FOLDER_DEPTH);
  if (below[0])
    TRY(joined(e, root, below, &path));
  else
    text_add(&path, root);
  TRY(text_ok(&path, e));
  d = opendir(path.p);
  if (!d) FAIL(e, E_IO, "%s: cannot read the folder: %s", path.p, strerror(errno));
  for (struct dirent *f; (f = readdir(d)) != NULL;) {
    struct stat st;
    if (f->d_name[0] == '.') continue;
    TRY(joined(e, below, f->d_name, &name));
    TRY(joined(e, root, name.p, &path));
    if (stat(path.p, &st) != 0) FAIL(e, E_IO, "%s: %s", path.p, strerror(errno));
    if (S_ISDIR(st.st_mode))
      TRY(collect(e, root, name.p, depth + 1, files));
    else if (S_ISREG(st.st_mode))
      TRY(add_name(e, files, name.p));
  }
out:
  if (d) closedir(d);
  text_free(&path);
  text_free(&name);
  return rc;
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static int folder_sha(err *e, const char *root, char hex[HASH_HEX]) {
  names files = {0};
  text path = {0};
  hash *h = NULL;
  char one[HASH_HEX];
  int rc = OK;
  TRY(collect(e, root, "", 0, &files));
  if (files.n == 0) FAIL(e, E_IO, "%s: the folder has no files", root);
  qsort(files.v, (size_t)files.n, sizeof *files.v, by_name);
  TRY(hash_open(e, &h));
  for (int64_t i = 0; i < files.n; i++) {
    TRY(joined(e, root, files.v[i], &path));
    TRY(hash_file(e, path.p, one));
    hash_add(h, files.v[i], strlen(files.v[i]) + 1);
    hash_add(h, one, HASH_HEX - 1);
    hash_add(h, "\n", 1);
  }
  rc = hash_close(h, e, hex);
  h = NULL;
out:
  if (h) hash_drop(h);
  text_free(&path);
  free_names(&files);
  return rc;
}

int content_sha(void *user, err *e, const char *path, char hex[HASH_HEX]) {
  struct stat st;
  (void)user;
  if (stat(path, &st) != 0) return err_set(e, E_IO, "%s: %s", path, strerror(errno));
  return S_ISDIR(st.st_mode) ? folder_sha(e, path, hex) : hash_file(e, path, hex);
}
