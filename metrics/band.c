#include "metrics/band.h"

#include <omp.h>
#include <stdlib.h>

#include "base/mem.h"
#include "metrics/plane.h"
#include "metrics/session.h"

int band_of(err *e, const metric_view *v, const unsigned char **out) {
  int rc = OK;
  int64_t n = (int64_t)v->height * v->width, each = plane_band_scratch(v->height, v->width);
  unsigned char *band = v->session->band;
  double *scratch = NULL;
  if (!band) {
    TRY(mem_new(e, v->threads * each, sizeof(double), "alpha's edges", &scratch));
    TRY(mem_new(e, v->frames * n, 1, "alpha's edges", &band));
#pragma omp parallel for num_threads(v->threads) schedule(static)
    for (int t = 0; t < v->frames; t++)
      plane_band(v->alpha + t * n, v->height, v->width, band + t * n, scratch + omp_get_thread_num() * each);
    v->session->band = band;
  }
  *out = band;
out:
  free(scratch);
  return rc;
}
