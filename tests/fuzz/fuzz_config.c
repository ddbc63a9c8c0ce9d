/* Any bytes: configs of the transformer and of the text encoder with sane numbers, or a message that names the file.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "model/t5.h"

static void told(int rc, const err *e) {
  MUST((rc == E_CONFIG || rc == E_UNSUPPORTED) && !strncmp(e->text, "f:", 2));
}

/* Lists of tensors may be long but never of a negative size. */
static void sane(param *p, int64_t n) {
  MUST(n > 0);
  for (int64_t i = 0; i < n; i++) MUST(p[i].count > 0 && p[i].offset >= 0 && p[i].name[0]);
  free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  err e = {0};
  json *j;
  dit_config d;
  t5_config t;
  param *p;
  int64_t count;
  if (json_parse(&e, "f", (const char *)data, n, &j) != OK) return 0;
  int rc = dit_config_read(&e, j, "f", &d);
  if (rc != OK)
    told(rc, &e);
  else if (d.layers < 50 && dit_params(&e, &d, &p, &count) == OK)
    sane(p, count);
  err_clear(&e);
  rc = t5_config_read(&e, j, "f", &t);
  if (rc != OK) {
    told(rc, &e);
  } else {
    for (int64_t delta = -300; delta < 300; delta++)
      MUST(t5_bucket(&t, delta) >= 0 && t5_bucket(&t, delta) < t.buckets);
    if (t.layers < 50 && t5_params(&e, &t, &p, &count) == OK) sane(p, count);
  }
  json_free(j);
  return 0;
}
