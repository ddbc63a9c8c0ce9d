/* Parameters in the text that names a score: "ID:param=value,...", read and printed in one way for metrics of clips
 * and of sets. Private to metrics/. */
#ifndef TD_METRICS_PARAM_H
#define TD_METRICS_PARAM_H

#include <stddef.h>

#include "base/err.h"
#include "metrics/metric.h"

/* Whose parameters these are. */
typedef struct param_owner {
  const char *kind, *id;      /* "metric", "color_fit": for messages */
  const metric_param *params; /* ended by a NULL name; NULL when there are none */
  const char *own_picture; /* word for the picture that is read without being asked; NULL: no `picture` to choose */
  const char *no_picture;  /* why there is none */
} param_owner;

int param_count(const metric_param *params);
void param_defaults(const metric_param *params, double *value);
/* `text` is what follows the id, from its colon on, or NULL. value: defaults, overwritten where given.
 * *premultiplied becomes 1 with picture=premultiplied. E_CONFIG names what is wrong, with the nearest known name. */
int param_parse(err *e, const param_owner *o, const char *text, double *value, int *premultiplied) TD_MUST_CHECK;
/* Writes `head` and the parameters that differ from their defaults, in table order. */
void param_print(const metric_param *params, const char *head, int premultiplied, const double *value,
                 char out[METRIC_TEXT]);

#endif
