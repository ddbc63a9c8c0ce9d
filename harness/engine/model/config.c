#include "model/config.h"

#include <string.h>

int config_int(const config_reader *r, const char *key, int64_t initial, int lo, int hi, int *out) {
  const json *v = json_get(r->j, key);
  if (!v || v->type == JSON_NULL) {
    if (initial == INT64_MIN) return err_set(r->e, E_CONFIG, "%s: '%s' is missing", r->name, key);
    *out = (int)initial;
    return OK;
  }
  if (v->type != JSON_NUMBER || !v->is_int || v->num < lo || v->num > hi)
    return err_set(r->e, E_CONFIG, "%s:%d:%d: '%s' must be an integer in %d..%d", r->name, v->line, v->col, key, lo,
                   hi);
  *out = (int)v->num;
  return OK;
}

int config_number(const config_reader *r, const char *key, double initial, double *out) {
  const json *v = json_get(r->j, key);
  *out = initial;
  if (!v || v->type == JSON_NULL) return OK;
  if (v->type != JSON_NUMBER || !(v->num > 0))
    return err_set(r->e, E_CONFIG, "%s:%d:%d: '%s' must be a positive number", r->name, v->line, v->col, key);
  *out = v->num;
  return OK;
}

int config_bool(const config_reader *r, const char *key, int initial, int *out) {
  const json *v = json_get(r->j, key);
  *out = initial;
  if (!v || v->type == JSON_NULL) return OK;
  if (v->type != JSON_BOOL)
    return err_set(r->e, E_CONFIG, "%s:%d:%d: '%s' must be true or false", r->name, v->line, v->col, key);
  *out = v->num != 0;
  return OK;
}

int config_demand(const config_reader *r, const char *key, const char *want) {
  const json *v = json_get(r->j, key);
  if (!v || v->type == JSON_NULL) return OK;
  int same = v->type == JSON_STRING ? !strcmp(v->str, want) : v->type == JSON_BOOL && v->num == (want[0] == 't');
  return same ? OK
              : err_set(r->e, E_UNSUPPORTED, "%s:%d:%d: '%s' other than %s is not supported", r->name, v->line,
                        v->col, key, want);
}
