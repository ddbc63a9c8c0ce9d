/* Results that several metrics of one metric_score call rest on, made by the first that asks. Private to metrics/. */
#ifndef TD_METRICS_MEMO_H
#define TD_METRICS_MEMO_H

#include <stdint.h>

#include "base/err.h"
#include "metrics/metric.h"

typedef struct memo {
  const char *what;
  const float *plane; /* the picture: what tells own and partner apart */
  double param[METRIC_PARAMS];
  int made; /* to be set by who filled `data` */
  void *data;
  struct memo *next;
} memo;

/* The result called `what` for this view's picture and parameters, of `size` bytes: zeroed and not `made` when it is
 * new. It is the session's and stays where it is. Not from parallel regions. */
int memo_of(err *e, const metric_view *v, const char *what, int64_t size, memo **out) TD_MUST_CHECK;
void memo_free(memo *list);

#endif
