#include "study/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/words_near.h"

void name_hint(const char *word, name_list known, char out[NAME_HINT]) {
  near_word w = near_start(word, strlen(word));
  const char *tail = NULL;
  for (int64_t i = 0; i < known.n; i++) {
    if (!known.v[i]) continue;
    const char *dot = strrchr(known.v[i], '.');
    if (!tail && dot && strcmp(dot + 1, word) == 0) tail = known.v[i];
    near_offer(&w, known.v[i]);
  }
  if (tail)
    snprintf(out, NAME_HINT, "; did you mean '%s'?", tail);
  else
    snprintf(out, NAME_HINT, "%s", near_hint(&w));
}

/* Rules are checked row by row, so that what stands in `base` would come once for every variant. */
static int known_already(const problems *p, where at, const char *words) {
  for (int64_t i = 0; i < p->n; i++) {
    const problem *q = &p->v[i];
    if (q->line == at.line && q->col == at.col && strcmp(q->file, at.file ? at.file : "") == 0 &&
        strcmp(q->text, words) == 0)
      return 1;
  }
  return 0;
}

static void record(problems *p, where at, int warning, text *t) {
  problem *q = NULL;
  if (t->p && known_already(p, at, t->p)) {
    text_free(t);
    return;
  }
  if (!warning) p->errors++;
  if (text_ok(t, NULL) != OK || mem_grow(NULL, &p->v, &p->cap, p->n + 1, sizeof *p->v, "problems") != OK) goto lost;
  q = &p->v[p->n];
  *q = (problem){.line = at.line, .col = at.col, .warning = warning};
  if (mem_strdup(NULL, at.file ? at.file : "", &q->file) != OK) goto lost;
  q->text = t->p;
  p->n++;
  return;
lost:
  p->lost = 1;
  text_free(t);
}

static void add(problems *p, where at, int warning, const char *fmt, va_list ap) {
  char line[2048];
  text t = {0};
  vsnprintf(line, sizeof line, fmt, ap);
  text_add(&t, line);
  record(p, at, warning, &t);
}

void problem_error(problems *p, where at, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  add(p, at, 0, fmt, ap);
  va_end(ap);
}

void problem_warning(problems *p, where at, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  add(p, at, 1, fmt, ap);
  va_end(ap);
}

void problem_unknown(problems *p, where at, const char *what, const char *word, name_list known) {
  text t = {0};
  char hint[NAME_HINT];
  name_hint(word, known, hint);
  text_addf(&t, "%s '%.200s' is not known%s (known: ", what, word, hint);
  int some = 0;
  for (int64_t i = 0; i < known.n; i++) {
    if (!known.v[i]) continue;
    text_addf(&t, "%s%s", some ? ", " : "", known.v[i]);
    some = 1;
  }
  text_add(&t, some ? ")" : "none)");
  record(p, at, 0, &t);
}

/* Files keep the order in which they first had a problem; qsort is not stable, so the index breaks ties. */
typedef struct place {
  const problem *p;
  int64_t file, index;
} place;

static int by_place(const void *a, const void *b) {
  const place *x = a, *y = b;
  if (x->file != y->file) return x->file < y->file ? -1 : 1;
  if (x->p->line != y->p->line) return x->p->line < y->p->line ? -1 : 1;
  if (x->p->col != y->p->col) return x->p->col < y->p->col ? -1 : 1;
  return x->index < y->index ? -1 : x->index > y->index;
}

void problems_print(problems *p, text *out) {
  place *order = NULL;
  if (mem_new(NULL, p->n, sizeof *order, "order of problems", &order) != OK) {
    p->lost = 1;
    return;
  }
  for (int64_t i = 0; i < p->n; i++) {
    int64_t first = 0;
    while (strcmp(p->v[first].file, p->v[i].file) != 0) first++;
    order[i] = (place){.p = &p->v[i], .file = first, .index = i};
  }
  qsort(order, (size_t)p->n, sizeof *order, by_place);
  for (int64_t i = 0; i < p->n; i++) {
    const problem *q = order[i].p;
    text_add(out, q->file);
    if (q->line > 0) text_addf(out, ":%d:%d", q->line, q->col);
    text_addf(out, ": %s: ", q->warning ? "warning" : "error");
    text_add(out, q->text);
    text_add(out, "\n");
  }
  free(order);
}

int problems_result(problems *p, err *e) {
  if (p->lost) return err_set(e, E_NOMEM, "no memory to record the problems of the study");
  if (p->errors == 0) return OK;
  const problem *q = p->v;
  while (q->warning) q++;
  if (q->line > 0)
    return err_set(e, E_CONFIG, "%lld error%s in the study; first: %s:%d:%d: %.1500s", (long long)p->errors,
                   p->errors == 1 ? "" : "s", q->file, q->line, q->col, q->text);
  return err_set(e, E_CONFIG, "%lld error%s in the study; first: %s: %.1500s", (long long)p->errors,
                 p->errors == 1 ? "" : "s", q->file, q->text);
}

void problems_free(problems *p) {
  for (int64_t i = 0; i < p->n; i++) {
    free(p->v[i].file);
    free(p->v[i].text);
  }
  free(p->v);
  *p = (problems){0};
}
