/* Any bytes: an index whose shards are plain names beside it, or a message that names the file. */
#include "fuzz.h"

#include <string.h>

#include "model/folder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  err e = {0};
  json *j;
  shard_index x;
  if (json_parse(&e, "f", (const char *)data, n, &j) != OK) return 0;
  int rc = shard_index_read(&e, "f", j, &x);
  if (rc != OK) {
    MUST(rc == E_FORMAT && !strncmp(e.text, "f:", 2) && !x.shards && !x.tensors && !x.tensor);
  } else {
    MUST(x.shards > 0 && x.tensors >= x.shards);
    for (int64_t i = 0; i < x.shards; i++) {
      size_t length = strlen(x.shard[i]);
      MUST(length > 12 && !strchr(x.shard[i], '/') && x.shard[i][0] != '.');
      MUST(!strcmp(x.shard[i] + length - 12, ".safetensors"));
    }
    for (int64_t i = 0; i < x.tensors; i++) MUST(x.shard_of[i] >= 0 && x.shard_of[i] < x.shards && x.tensor[i]);
  }
  shard_index_free(&x);
  json_free(j);
  return 0;
}
