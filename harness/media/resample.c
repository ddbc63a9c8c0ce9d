#include "media/resample.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

/* Weights for `to` pixels over the source interval [start, start + length). */
static void fill_axis(resample_axis *a, double start, double length) {
  double step = length / a->to;
  for (int i = 0; i < a->to; i++) {
    double *w = a->weight + (int64_t)i * a->taps, sum = 0;
    double middle = start + (i + .5) * step - .5; /* in pixel centres */
    double lo = start + i * step, hi = lo + step;
    int first = step > 1 ? (int)floor(lo) : (int)floor(middle);
    a->first[i] = first < 0 ? 0 : first + a->taps > a->from ? a->from - a->taps : first;
    for (int k = 0; k < a->taps; k++) {
      int p = a->first[i] + k;
      w[k] = step > 1 ? fmax(0, fmin(hi, p + 1) - fmax(lo, p))
                      : fmax(0, 1 - fabs(p - fmin(fmax(middle, 0), a->from - 1)));
      sum += w[k];
    }
    for (int k = 0; k < a->taps; k++) w[k] /= sum;
  }
}

static int open_axis(err *e, resample_axis *a, int from, int to, double length) {
  int rc = OK;
  double step = length / to;
  int taps = step > 1 ? (int)ceil(step) + 1 : 2;
  *a = (resample_axis){.from = from, .to = to, .taps = taps < from ? taps : from};
  TRY(mem_new(e, to, sizeof *a->first, "resize table", &a->first));
  TRY(mem_new(e, (int64_t)to * a->taps, sizeof *a->weight, "resize table", &a->weight));
  fill_axis(a, (from - length) / 2, length);
out:
  return rc;
}

int resample_open(err *e, resample_size from, resample_size to, resample *out) {
  int rc = OK;
  *out = (resample){0};
  if (from.height <= 0 || from.width <= 0 || to.height <= 0 || to.width <= 0)
    FAIL(e, E_ARG, "resize of %dx%d to %dx%d", from.width, from.height, to.width, to.height);
  double fh = from.height, fw = from.width, th = to.height, tw = to.width;
  int wide = fw * th > fh * tw; /* columns are cropped, all rows used */
  TRY(open_axis(e, &out->across, from.width, to.width, wide ? fh * tw / th : fw));
  TRY(open_axis(e, &out->down, from.height, to.height, wide ? fh : fw * th / tw));
  TRY(mem_new(e, (int64_t)from.height * to.width * 4, sizeof(float), "resized rows", &out->middle));
out:
  if (rc != OK) resample_close(out);
  return rc;
}

void resample_close(resample *r) {
  free(r->across.first);
  free(r->across.weight);
  free(r->down.first);
  free(r->down.weight);
  free(r->middle);
  *r = (resample){0};
}

/* One axis; neighbours along it lie `stride` floats apart. */
static void weigh(const resample_axis *a, int i, const float *in, int64_t stride, float out[4]) {
  double sum[4] = {0, 0, 0, 0};
  const double *w = a->weight + (int64_t)i * a->taps;
  for (int k = 0; k < a->taps; k++)
    for (int c = 0; c < 4; c++) sum[c] += w[k] * (double)in[(a->first[i] + k) * stride + c];
  for (int c = 0; c < 4; c++) out[c] = (float)sum[c];
}

void resample_run(resample *r, const float *in, float *out) {
  const int64_t from_w = r->across.from, to_w = r->across.to;
#pragma omp parallel for schedule(static)
  for (int y = 0; y < r->down.from; y++)
    for (int x = 0; x < to_w; x++) weigh(&r->across, x, in + 4 * y * from_w, 4, r->middle + 4 * (y * to_w + x));
#pragma omp parallel for schedule(static)
  for (int y = 0; y < r->down.to; y++)
    for (int x = 0; x < to_w; x++) weigh(&r->down, y, r->middle + 4 * x, 4 * to_w, out + 4 * (y * to_w + x));
}
