/* Metrics named on a command line. */
#ifndef TD_CLI_REQUESTS_H
#define TD_CLI_REQUESTS_H

#include "metrics/metric.h"

typedef struct requests {
  metric_request *at; /* free() it */
  int64_t n, cap;
} requests;

/* Takes the first text off a list "a,b:x=1,y=2,c_gain": a piece with '=' and no ':' belongs to the text before it.
 * *list is "" after the last. `option` is for messages. */
int requests_next(err *e, const char *option, const char **list, char one[METRIC_TEXT]) TD_MUST_CHECK;
int requests_add(err *e, requests *l, const metric_request *r) TD_MUST_CHECK;
/* Appends the metrics of a list. */
int requests_named(err *e, const char *list, requests *out) TD_MUST_CHECK;

#endif
