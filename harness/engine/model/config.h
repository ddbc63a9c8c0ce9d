/* Members of a model's config.json, with a place in every message. */
#ifndef TD_MODEL_CONFIG_H
#define TD_MODEL_CONFIG_H

#include "base/json.h"

typedef struct config_reader {
  err *e;
  const json *j;    /* an object */
  const char *name; /* of the file */
} config_reader;

/* An integer in lo..hi; `initial` stands in for an absent or null member, INT64_MIN makes it required. */
int config_int(const config_reader *r, const char *key, int64_t initial, int lo, int hi, int *out) TD_MUST_CHECK;
/* A positive number. */
int config_number(const config_reader *r, const char *key, double initial, double *out) TD_MUST_CHECK;
int config_bool(const config_reader *r, const char *key, int initial, int *out) TD_MUST_CHECK;
/* Settings this engine computes in one way only: a string, or "true" or "false"; another value is refused instead of
 * being ignored. */
int config_demand(const config_reader *r, const char *key, const char *want) TD_MUST_CHECK;

#endif
