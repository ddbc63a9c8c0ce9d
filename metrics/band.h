/* Where the alpha under test has an edge: plane_band of every frame, computed once per metric_score call. Private to
 * metrics/. */
#ifndef TD_METRICS_BAND_H
#define TD_METRICS_BAND_H

#include "base/err.h"
#include "metrics/metric.h"

/* *out: [T][H][W] of 0 and 1, owned by the view's session. */
int band_of(err *e, const metric_view *v, const unsigned char **out) TD_MUST_CHECK;

#endif
