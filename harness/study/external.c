#include "study/external.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/text.h"
#include "media/clip_files.h"

typedef struct listing {
  char *folder;
  clip_files files; /* empty when there is no such folder */
} listing;

struct external_clips {
  listing *at;
  int64_t n, cap, last; /* last: the listing that was asked for last */
};

int external_open(err *e, external_clips **out) {
  return mem_new(e, 1, sizeof **out, "clips of another program", out);
}

void external_close(external_clips *x) {
  if (!x) return;
  for (int64_t i = 0; i < x->n; i++) {
    free(x->at[i].folder);
    clip_files_close(&x->at[i].files);
  }
  free(x->at);
  free(x);
}

/* `needed`: that there is no such folder is an error. */
static int list(err *e, external_clips *x, const char *folder, int needed, const clip_files **out) {
  int rc = OK;
  struct stat st;
  for (int64_t i = 0; i < x->n; i++) {
    const listing *l = &x->at[(x->last + i) % x->n];
    if (strcmp(l->folder, folder)) continue;
    x->last = l - x->at;
    *out = &l->files;
    return OK;
  }
  TRY(mem_grow(e, &x->at, &x->cap, x->n + 1, sizeof *x->at, "folders of clips"));
  listing *l = &x->at[x->n];
  *l = (listing){0};
  TRY(mem_strdup(e, folder, &l->folder));
  x->n++;
  if (needed || (stat(folder, &st) == 0 && S_ISDIR(st.st_mode))) TRY(clip_files_list(e, folder, &l->files));
  *out = &l->files;
out:
  return rc;
}

int external_find(err *e, external_clips *x, const char *folder, const char *prompt, int64_t seed,
                  const char **path) {
  int rc = OK;
  const clip_files *files = NULL;
  const clip_file *flat = NULL, *nested = NULL;
  text below = {0};
  char name[128];
  snprintf(name, sizeof name, "%.64s_%lld", prompt, (long long)seed);
  text_addf(&below, "%s/%s", folder, prompt);
  TRY(text_ok(&below, e));
  TRY(list(e, x, folder, 1, &files));
  flat = clip_files_find(files, name);
  TRY(list(e, x, below.p, 0, &files));
  nested = clip_files_find(files, strrchr(name, '_') + 1);
  if (flat && nested) FAIL(e, E_ARG, "%s and %s are both the clip of one prompt and seed", flat->path, nested->path);
  *path = flat ? flat->path : nested ? nested->path : NULL;
out:
  text_free(&below);
  return rc;
}
