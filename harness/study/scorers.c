/* Entries of "metrics" that name a program: {"id": "vbench", "external": {"argv": ["scorers/vbench.sh"]}}. */
#include "study/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define ARGV_MAX 64
#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

/* A number of the entry within [lo, hi], when it is there. */
static void read_number(loader *l, int doc, const json *x, const char *key, const double range[2], double *out) {
  const json *v = json_get(x, key);
  if (!v) return;
  if (v->type == JSON_NUMBER && v->num >= range[0] && v->num <= range[1])
    *out = v->num;
  else
    problem_error(l->p, load_at(l, doc, v), "%s wants a number from %g to %g", key, range[0], range[1]);
}

/* The words of the command, arguments of the study replaced; s->n_argv stays 0 after a problem. */
static int read_argv(loader *l, int doc, const json *x, study_scorer *s) {
  const json *list = json_get(x, "argv");
  int rc = OK, used;
  int64_t n = list && list->type == JSON_ARRAY ? json_count(list) : 0;
  for (const json *w = n ? list->child : NULL; w; w = w->next)
    if (w->type != JSON_STRING || (w == list->child && !w->str[0])) n = 0;
  if (n == 0 || n > ARGV_MAX) {
    problem_error(l->p, load_at(l, doc, list ? list : x), "argv wants the program and its arguments, 1 to %d texts",
                  ARGV_MAX);
    return OK;
  }
  TRY(mem_new(l->e, n + 1, sizeof *s->argv, "arguments of a scorer", &s->argv));
  for (const json *w = list->child; w; w = w->next) {
    TRY(load_expand(l, load_at(l, doc, w), w->str, &s->argv[s->n_argv], &used));
    if (!s->argv[s->n_argv]) return OK; /* the problem is recorded */
    s->n_argv++;
  }
out:
  return rc;
}

static void read_limits(loader *l, int doc, const json *x, study_scorer *s) {
  static const double seconds[] = {0.1, 1e6}, counts[] = {1, 1000}, protocols[] = {CARD_PROTOCOL, CARD_PROTOCOL};
  double failures = 3, protocol = CARD_PROTOCOL;
  s->timeout_s = 600;
  s->start_s = 120;
  read_number(l, doc, x, "protocol", protocols, &protocol);
  read_number(l, doc, x, "timeout_s", seconds, &s->timeout_s);
  read_number(l, doc, x, "start_s", seconds, &s->start_s);
  read_number(l, doc, x, "failures", counts, &failures);
  s->failures = (int)failures;
}

/* The entry without running anything; *ok = 0 after recording a problem. */
static int read_entry(loader *l, int doc, const json *entry, study_scorer *s, int *ok) {
  static const char *const outer[] = {"id", "external"};
  static const char *const inner[] = {"argv", "protocol", "timeout_s", "start_s", "failures"};
  const json *id = json_get(entry, "id"), *x = json_get(entry, "external");
  const char *file = s->at.file;
  int rc = OK;
  int64_t before = l->p->errors;
  load_members(l, file, entry, (name_list){outer, COUNT(outer)});
  if (!id || id->type != JSON_STRING || !card_name_ok(id->str))
    problem_error(l->p, load_at(l, doc, id ? id : entry), "a scorer wants an \"id\" of 1 to 64 of A-Z a-z 0-9 . _ -");
  else
    snprintf(s->id, sizeof s->id, "%s", id->str);
  for (int i = 0; i < l->s->n_scorers; i++)
    if (s->id[0] && strcmp(l->s->scorers[i]->id, s->id) == 0)
      problem_error(l->p, load_at(l, doc, id), "scorer '%s' is given twice", s->id);
  if (x->type != JSON_OBJECT) {
    problem_error(l->p, load_at(l, doc, x), "external wants {\"argv\": [\"PROGRAM\", ...]}");
  } else {
    load_members(l, file, x, (name_list){inner, COUNT(inner)});
    read_limits(l, doc, x, s);
    TRY(read_argv(l, doc, x, s));
  }
  TRY(mem_strdup(l->e, l->s->store->doc[doc].folder, &s->folder));
  *ok = l->p->errors == before;
out:
  return rc;
}

int load_scorer(loader *l, int doc, const json *entry) {
  study_scorer *s = NULL;
  err why = {0};
  int rc = OK, ok = 0;
  TRY(mem_grow(l->e, &l->s->scorers, &l->cap_scorers, l->s->n_scorers + 1, sizeof s, "scorers"));
  TRY(mem_new(l->e, 1, sizeof *s, "scorer", &s));
  s->at = load_at(l, doc, entry);
  rc = read_entry(l, doc, entry, s, &ok);
  l->s->scorers[l->s->n_scorers++] = s; /* also a half-read one: study_free has it */
  if (rc != OK || !ok) goto out;
  if (!l->in->describe) {
    problem_error(l->p, s->at, "scorer '%s': external programs are not run here", s->id);
    goto out;
  }
  rc = l->in->describe(&why, s);
  if (rc == E_NOMEM) FAIL(l->e, rc, "%s", why.text);
  if (rc != OK) problem_error(l->p, s->at, "scorer '%s': %s", s->id, why.text);
  rc = OK;
out:
  return rc;
}
