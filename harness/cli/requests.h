/* Metrics named on a command line. */
#ifndef TD_CLI_REQUESTS_H
#define TD_CLI_REQUESTS_H

#include "metrics/metric.h"

typedef struct requests {
  metric_request *at; /* free() it */
  int64_t n, cap;
} requests;

/* Length of the first request of a list. */
size_t requests_first(const char *s);
int requests_add(err *e, requests *l, const metric_request *r) TD_MUST_CHECK;
/* Appends those of "a,b:x=1,y=2,c_gain": a piece with '=' and no ':' belongs to the request before it. */
int requests_named(err *e, const char *list, requests *out) TD_MUST_CHECK;

#endif
