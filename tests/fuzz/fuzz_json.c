/* Any bytes: a tree or a message with a place. A tree's canonical form and its printed form read back to the same
 * canonical form, and its copy is equal. */
#include "fuzz.h"

#include <string.h>

#include "base/json.h"

static void canonical(const json *j, text *t) {
  err e = {0};
  *t = (text){0};
  json_canonical(t, j);
  MUST(text_ok(t, &e) == OK);
}

static void check_again(const char *data, size_t n, const text *want) {
  err e = {0};
  json *j;
  text t;
  MUST(json_parse(&e, "again", data, n, &j) == OK);
  canonical(j, &t);
  MUST(t.n == want->n && !memcmp(t.p, want->p, t.n));
  text_free(&t);
  json_free(j);
}

static int place_is_told(const char *message) {
  int line = 0, col = 0;
  if (strncmp(message, "f:", 2) != 0) return 0;
  for (message += 2; *message >= '0' && *message <= '9'; message++) line = 1;
  if (*message++ != ':') return 0;
  for (; *message >= '0' && *message <= '9'; message++) col = 1;
  return line && col && message[0] == ':' && message[1] == ' ' && message[2];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  err e = {0};
  json *j, *copy;
  text want, printed = {0}, copied;
  int rc = json_parse(&e, "f", (const char *)data, n, &j);
  if (rc != OK) {
    MUST(rc == E_FORMAT && !j && place_is_told(e.text));
    return 0;
  }
  canonical(j, &want);
  json_print(&printed, j);
  MUST(text_ok(&printed, &e) == OK);
  check_again(want.p, want.n, &want);
  check_again(printed.p, printed.n, &want);
  copy = json_copy(j);
  MUST(copy);
  canonical(copy, &copied);
  MUST(copied.n == want.n && !memcmp(copied.p, want.p, want.n));
  text_free(&want);
  text_free(&printed);
  text_free(&copied);
  json_free(copy);
  json_free(j);
  return 0;
}
