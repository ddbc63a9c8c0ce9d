#include "cli/requests.h"

#include <string.h>

#include "base/mem.h"

int requests_add(err *e, requests *l, const metric_request *r) {
  int rc = mem_grow(e, &l->at, &l->cap, l->n + 1, sizeof *l->at, "metrics");
  if (rc == OK) l->at[l->n++] = *r;
  return rc;
}

/* Length of the first request of "a,b:x=1,y=2,c": a piece with '=' and no ':' belongs to the request before it. */
size_t requests_first(const char *s) {
  size_t n = strcspn(s, ",");
  int open = memchr(s, ':', n) != NULL;
  while (open && s[n]) {
    size_t k = strcspn(s + n + 1, ",");
    if (!memchr(s + n + 1, '=', k) || memchr(s + n + 1, ':', k)) break;
    n += k + 1;
  }
  return n;
}

int requests_named(err *e, const char *list, requests *out) {
  int rc = OK;
  char one[METRIC_TEXT];
  metric_request r;
  for (const char *s = list; *s;) {
    size_t n = requests_first(s);
    if (n >= sizeof one) FAIL(e, E_ARG, "--metric: '%.40s...' is too long", s);
    memcpy(one, s, n);
    one[n] = 0;
    TRY(metric_parse(e, one, &r));
    TRY(requests_add(e, out, &r));
    s += n + (s[n] == ',');
  }
out:
  return rc;
}
