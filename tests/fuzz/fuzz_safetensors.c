/* Any bytes: a file all of whose tensors lie inside it, or a message. The tensors cover the data exactly. */
#include "fuzz.h"

#include <string.h>

#include "model/safetensors.h"

static double sum_of(const st_file *f, const uint8_t *data, size_t n) {
  int64_t bytes = 0;
  double sum = 0;
  for (int64_t i = 0; i < st_count(f); i++) {
    const st_tensor *t = st_at(f, i), *same;
    err e = {0};
    MUST(st_find(f, t->name) == t);
    MUST(st_need(&e, f, t->name, t->rank, t->shape, &same) == OK && same == t);
    MUST(t->rank >= 0 && t->rank <= ST_RANK && t->count >= 0);
    int64_t size = t->count * dtype_size(t->type);
    MUST((const uint8_t *)t->data >= data && size <= data + n - (const uint8_t *)t->data);
    for (int64_t k = 0; k < t->count; k++) sum += dtype_get(t->type, t->data, k);
    bytes += size;
  }
  uint64_t head = 0;
  for (int i = 7; i >= 0; i--) head = head << 8 | data[i];
  MUST((uint64_t)bytes == n - 8 - head);
  return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  err e = {0};
  st_file *f;
  int rc = st_open_bytes(&e, "f", data, n, &f);
  if (rc != OK) {
    MUST(rc == E_FORMAT && !f && !strncmp(e.text, "f: ", 3));
    return 0;
  }
  volatile double sum = sum_of(f, data, n); /* read, not optimised away */
  (void)sum;
  const char *meta = st_meta(f, "format");
  MUST(!meta || strlen(meta) < n);
  st_close(f);
  return 0;
}
