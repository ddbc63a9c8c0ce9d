#include "metrics/memo.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metrics/session.h"

int memo_of(err *e, const metric_view *v, const char *what, int64_t size, memo **out) {
  int rc = OK;
  memo *m = v->session->memos, *fresh = NULL;
  for (; m; m = m->next)
    if (m->plane == v->rgb && !strcmp(m->what, what) && !memcmp(m->param, v->param, sizeof m->param)) break;
  if (!m) {
    TRY(mem_new(e, 1, sizeof *fresh, what, &fresh));
    TRY(mem_new(e, 1, size, what, &fresh->data));
    fresh->what = what, fresh->plane = v->rgb, fresh->next = v->session->memos;
    memcpy(fresh->param, v->param, sizeof fresh->param);
    m = v->session->memos = fresh;
    fresh = NULL;
  }
  *out = m;
out:
  free(fresh);
  return rc;
}

void memo_free(memo *list) {
  while (list) {
    memo *next = list->next;
    free(list->data), free(list);
    list = next;
  }
}
