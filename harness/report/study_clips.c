#include "report/study_clips.h"

#include <string.h>

#include "media/video.h"
#include "store/object.h"
#include "store/query.h"

int study_clip_prompts(const study *st, int *list) {
  int n = 0;
  for (int p = 0; p < st->n_prompts; p++)
    for (int64_t i = 0; i < st->n_points; i++)
      if (st->points[i].prompt == p) {
        list[n++] = p;
        break;
      }
  return n;
}

int64_t study_clip_point(const study *st, int row, int prompt) {
  for (int64_t i = 0; i < st->n_points; i++)
    if (st->points[i].row == row && st->points[i].prompt == prompt) return i;
  return -1;
}

const char *study_clip_key(const plan *p, int64_t point) {
  const plan_cell *score = &p->cell[p->score[point]];
  for (int j = 0; j < score->n_inputs; j++)
    if (strcmp(score->input[j].role, "sample") == 0) return score->input[j].hash;
  return NULL;
}

int study_clip_read(err *e, store *s, const char *key, clip *out, int *found) {
  char path[STORE_PATH];
  store_artifacts list = {0};
  int rc = OK;
  *found = 0;
  if (!key) return OK;
  TRY(store_artifact_list(s, e, key, &list));
  for (int64_t i = 0; i < list.n && !*found; i++) {
    if (strcmp(list.at[i].kind, "clip") != 0) continue;
    *found = 1;
    if (!out) break;
    TRY(object_verify(s, e, list.at[i].sha256));
    TRY(object_path(s, e, list.at[i].sha256, path));
    TRY(video_read(e, path, NULL, out));
  }
out:
  store_artifacts_free(&list);
  return rc;
}
