/* Shared by the tests: where fixtures are, and comparisons that cannot pass by accident. */
#ifndef TD_TESTS_GOLDEN_H
#define TD_TESTS_GOLDEN_H

#include <stdint.h>

#include "base/real.h"
#include "model/safetensors.h"

/* "SOURCE/tests/golden/NAME"; static buffer. */
const char *golden_path(const char *name);
/* NAME.safetensors and NAME.json there; a file that cannot be read fails the test. st_close, json_free. */
st_file *golden_tensors(const char *name);
struct json *golden_json(const char *name);
/* Largest |got - want| / max |want|; fails the test when want is all zero, or any value is not finite. */
double golden_rel(const char *what, const real *got, const st_tensor *want);
double rel_max(const char *what, const double *got, const double *want, int64_t n);

#endif
