/* Models as they lie on disk: a diffusers folder, one part's folder, a shard index, or a single safetensors file.
 *
 * A pipeline folder has model_index.json and one folder a part:
 *   transformer/ vae/ text_encoder/   config.json and *.safetensors, or shards with *.safetensors.index.json
 *   tokenizer/                        spiece.model
 *   scheduler/                        scheduler_config.json
 * Every place that takes weights takes any of these paths through weights_open; of a pipeline folder it takes the
 * part that it needs. An index is hostile input: its shards are plain file names beside it (links are followed, as
 * the hub's cache is made of them), each shard is opened once, and the index and the shards name the same tensors. */
#ifndef TD_MODEL_FOLDER_H
#define TD_MODEL_FOLDER_H

#include "base/json.h"
#include "base/text.h"
#include "model/safetensors.h"

typedef enum model_part {
  PART_TRANSFORMER,
  PART_VAE,
  PART_TEXT_ENCODER,
  PART_TOKENIZER,
  PART_SCHEDULER,
  PART_COUNT
} model_part;

/* "transformer", "vae", "text_encoder", "tokenizer", "scheduler": names of the folders. */
const char *part_name(model_part p);

/* Is this a pipeline folder (does it hold model_index.json)? */
int folder_is_pipeline(const char *path);
/* Class of a part from model_index.json, "" when the pipeline has no such part. E_CONFIG for an index that is not an
 * object of [library, class] pairs; E_IO when `path` is no pipeline folder. The caller frees *out. */
int folder_class(err *e, const char *path, model_part p, char **out) TD_MUST_CHECK;
/* The folder of a part: PATH/NAME for a pipeline folder, which must hold it; a part's own folder as it is; the folder
 * around a file. E_IO names what is missing. */
int folder_part(err *e, const char *path, model_part p, text *out) TD_MUST_CHECK;
/* A part's file: PATH/NAME/FILE. E_IO when it is not there. */
int folder_file(err *e, const char *path, model_part p, const char *file, text *out) TD_MUST_CHECK;
/* A part's config.json (scheduler_config.json of the scheduler), parsed; *name (text_free) is its path, for messages.
 */
int folder_config(err *e, const char *path, model_part p, json **out, text *name) TD_MUST_CHECK;
/* The config of weights: `config` where it is given, else folder_config of the weights' path. */
typedef struct weights_path {
  const char *weights, *config; /* config NULL: the one beside the weights */
  model_part part;
} weights_path;
int weights_config(err *e, const weights_path *w, json **out, text *name) TD_MUST_CHECK;

/* The tensors at `path`: a .safetensors file, a .safetensors.index.json, a part's folder, or a pipeline folder, whose
 * part `p` is taken. Where the file system cannot map files, they are read (ST_READ). */
int weights_open(err *e, const char *path, model_part p, st_mode mode, st_file **out) TD_MUST_CHECK;

/* The file name of each tensor, from the text of an index. For messages and tests; weights_open uses it. */
typedef struct shard_index {
  char **shard; /* distinct file names, in order of first use */
  int64_t shards;
  char **tensor; /* in file order */
  int64_t *shard_of;
  int64_t tensors;
} shard_index;
int shard_index_read(err *e, const char *name, const json *j, shard_index *out) TD_MUST_CHECK;
void shard_index_free(shard_index *x);

#endif
