#include "cli/requests.h"

#include <string.h>

#include "base/mem.h"

int requests_add(err *e, requests *l, const metric_request *r) {
  int rc = mem_grow(e, &l->at, &l->cap, l->n + 1, sizeof *l->at, "metrics");
  if (rc == OK) l->at[l->n++] = *r;
  return rc;
}

static size_t first_request(const char *s) {
  size_t n = strcspn(s, ",");
  int open = memchr(s, ':', n) != NULL;
  while (open && s[n]) {
    size_t k = strcspn(s + n + 1, ",");
    if (!memchr(s + n + 1, '=', k) || memchr(s + n + 1, ':', k)) break;
    n += k + 1;
  }
  return n;
}

int requests_next(err *e, const char *option, const char **list, char one[METRIC_TEXT]) {
  size_t n = first_request(*list);
  if (n >= METRIC_TEXT) return err_set(e, E_ARG, "%s: '%.40s...' is too long", option, *list);
  memcpy(one, *list, n);
  one[n] = 0;
  *list += n + ((*list)[n] == ',');
  return OK;
}

int requests_named(err *e, const char *list, requests *out) {
  int rc = OK;
  char one[METRIC_TEXT];
  metric_request r;
  while (*list) {
    TRY(requests_next(e, "--metric", &list, one));
    TRY(metric_parse(e, one, &r));
    TRY(requests_add(e, out, &r));
  }
out:
  return rc;
}
