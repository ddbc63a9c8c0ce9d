#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/json.h"
#include "golden.h"

const char *golden_path(const char *name) {
  static char path[1024];
  const char *root = getenv("TANDEM_SOURCE");
  snprintf(path, sizeof path, "%s/tests/golden/%s", root ? root : ".", name);
  return path;
}

st_file *golden_tensors(const char *name) {
  err e = {0};
  char file[96];
  st_file *st = NULL;
  snprintf(file, sizeof file, "%s.safetensors", name);
  assert_int_equal(st_open(&e, golden_path(file), &st), OK);
  return st;
}

struct json *golden_json(const char *name) {
  err e = {0};
  char file[96];
  json *j = NULL;
  snprintf(file, sizeof file, "%s.json", name);
  assert_int_equal(json_read(&e, golden_path(file), &j), OK);
  return j;
}

static void add_error(const char *what, int64_t i, double got, double want, double *worst) {
  if (!isfinite(got)) fail_msg("%s: element %lld is %g", what, (long long)i, got);
  if (!isfinite(want)) fail_msg("%s: reference element %lld is %g", what, (long long)i, want);
  *worst = fmax(*worst, fabs(got - want));
}

static double relative(const char *what, double worst, double scale) {
  if (!(scale > 0)) fail_msg("%s: the reference is all zero", what);
  return worst / scale;
}

double golden_rel(const char *what, const real *got, const st_tensor *want) {
  double worst = 0, scale = 0;
  if (!want) fail_msg("%s: not in the golden file", what);
  for (int64_t i = 0; i < want->count; i++) {
    double w = dtype_get(want->type, want->data, i);
    add_error(what, i, (double)got[i], w, &worst);
    scale = fmax(scale, fabs(w));
  }
  return relative(what, worst, scale);
}

double rel_max(const char *what, const double *got, const double *want, int64_t n) {
  double worst = 0, scale = 0;
  for (int64_t i = 0; i < n; i++) {
    add_error(what, i, got[i], want[i], &worst);
    scale = fmax(scale, fabs(want[i]));
  }
  return relative(what, worst, scale);
}
