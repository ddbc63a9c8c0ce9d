/* The clips that a spec's data.* settings name, as training pairs: of the procedural world, or of a folder. */
#ifndef TD_RUN_DATA_CLIPS_H
#define TD_RUN_DATA_CLIPS_H

#include "media/dataset.h"
#include "media/world.h"
#include "run/stage.h"

typedef struct data_clips {
  int64_t n;
  int world;
  world_dist dist; /* of a world */
  uint64_t seed;
  dataset folder; /* of a folder: its captions are those of folder.items */
  dataset_want want;
} data_clips;

/* A folder is the cell's input "clips". E_CONFIG for settings that do not go together; errors of a folder name the
 * file. */
int data_clips_open(err *e, const stage_cell *c, data_clips *out) TD_MUST_CHECK;
void data_clips_close(data_clips *d);
/* Clip `i`, any order, from any number of threads at once. */
int data_clips_load(err *e, const data_clips *d, int64_t i, clip *out) TD_MUST_CHECK;

#endif
