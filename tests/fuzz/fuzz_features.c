/* Any bytes: features of the size they say, or a message that names the file. */
#include "fuzz.h"

#include <string.h>

#include "media/features.h"

static double sum_of(const double *x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += x[i];
  return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  err e = {0};
  features f;
  int rc = features_parse(&e, "f", data, n, &f);
  if (rc != OK) {
    MUST((rc == E_FORMAT || rc == E_UNSUPPORTED) && !strncmp(e.text, "f: ", 3));
    MUST(!f.x && !f.mu && !f.sigma && !f.n && !f.dim);
    return 0;
  }
  MUST(f.dim > 0 && f.n >= 0 && !f.source);
  MUST(f.x ? !f.mu && !f.sigma : f.mu && f.sigma && !f.n);
  volatile double sum = f.x ? sum_of(f.x, f.n * f.dim) : sum_of(f.mu, f.dim) + sum_of(f.sigma, f.dim * f.dim);
  (void)sum; /* read, not optimised away */
  features_free(&f);
  return 0;
}
