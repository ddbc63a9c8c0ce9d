/* Entries of "metrics" that name a score of sets: "rgba_stats_energy", against the data, or
 * {"set": "hof_energy:alpha=0", "against": "base"}. */
#include "study/load.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))
#define NULL_PERMUTATIONS 19 /* of a score that makes no null of its own, because it is dear: p can reach 0.05 */

static const json *text_of(const json *entry) {
  return entry->type == JSON_OBJECT ? json_get(entry, "set") : entry;
}

int load_is_set(const json *entry) {
  const json *id = text_of(entry);
  if (entry->type == JSON_OBJECT) return id != NULL;
  size_t n = id->type == JSON_STRING ? strcspn(id->str, ":") : 0;
  for (const set_metric *const *m = set_list(); n && *m; m++)
    if (strlen((*m)->id) == n && !memcmp((*m)->id, id->str, n)) return 1;
  return 0;
}

static int parameter(const set_metric *m, const char *name) {
  for (int i = 0; m->params && m->params[i].name; i++)
    if (strcmp(m->params[i].name, name) == 0) return i;
  return -1;
}

/* A value of small sets means nothing without its null, so a study always makes one. */
static void ensure_null(loader *l, const char *given, study_set *s) {
  int i = parameter(s->request.metric, "permutations");
  if (i < 0 || s->request.param[i] > 0) return;
  if (strstr(given, "permutations="))
    problem_error(l->p, s->at, "'%s': in a study a score of sets comes with its null: permutations above 0", given);
  s->request.param[i] = NULL_PERMUTATIONS;
}

static int reads_alpha(const set_request *r) {
  const set_extractor *x = r->metric->extractor;
  return x->alpha == SET_ALPHA_ALWAYS || (x->alpha == SET_ALPHA_CHOICE && r->param[0] != 0);
}

/* 0 after recording a problem. */
static int read_score(loader *l, int doc, const json *entry, study_set *s) {
  static const char *const keys[] = {"set", "against"};
  const json *id = text_of(entry);
  err why = {0};
  if (entry->type == JSON_OBJECT) load_members(l, s->at.file, entry, (name_list){keys, COUNT(keys)});
  if (id->type != JSON_STRING) {
    problem_error(l->p, load_at(l, doc, id), "set wants the text of a score of sets: \"hof_energy:alpha=0\"");
    return 0;
  }
  if (set_parse(&why, id->str, &s->request) != OK) {
    problem_error(l->p, load_at(l, doc, id), "%s", why.text);
    return 0;
  }
  if (!s->request.metric->extractor->extract) {
    problem_error(l->p, load_at(l, doc, id),
                  "'%s' takes features from files, and a study has clips: see tandem score --features",
                  s->request.metric->id);
    return 0;
  }
  ensure_null(l, id->str, s);
  set_print(&s->request, s->id);
  return 1;
}

/* "data" and "base" are words before they are names of variants. */
static int read_against(loader *l, int doc, const json *entry, study_set *s) {
  const json *j = entry->type == JSON_OBJECT ? json_get(entry, "against") : NULL;
  const char **rows = NULL, **known = NULL;
  int rc = OK, n = l->s->n_rows;
  s->row = -1;
  s->against = "data";
  if (j && j->type != JSON_STRING) {
    problem_error(l->p, load_at(l, doc, j), "against wants \"data\", \"base\" or the name of a variant");
    return OK;
  }
  if (!j || strcmp(j->str, "data") == 0) return OK;
  if (strcmp(j->str, "base") == 0) {
    s->reference = REFERENCE_BASE;
    s->against = "base";
    if (reads_alpha(&s->request))
      problem_warning(l->p, s->at, "the base model's clips have no alpha: '%s' against base will be undefined%s",
                      s->id, s->request.metric->extractor->alpha == SET_ALPHA_CHOICE ? "; give it alpha=0" : "");
    return OK;
  }
  s->reference = REFERENCE_ROW;
  s->row = load_row(l, j->str);
  if (s->row >= 0) {
    s->against = l->s->rows[s->row].name;
    return OK;
  }
  TRY(load_row_names(l, &rows));
  TRY(mem_new(l->e, (int64_t)n + 2, sizeof *known, "names", &known));
  known[0] = "data";
  known[1] = "base";
  memcpy(known + 2, rows, (size_t)n * sizeof *known);
  problem_unknown(l->p, load_at(l, doc, j), "reference", j->str, (name_list){known, (int64_t)n + 2});
out:
  free(rows);
  free(known);
  return rc;
}

static int append(loader *l, const study_set *one) {
  study *s = l->s;
  int rc = OK;
  for (int i = 0; i < s->n_sets; i++)
    if (strcmp(s->sets[i].id, one->id) == 0 && strcmp(s->sets[i].against, one->against) == 0)
      problem_error(l->p, one->at, "score of sets '%s' against '%s' is given twice", one->id, one->against);
  TRY(mem_grow(l->e, &s->sets, &l->cap_sets, s->n_sets + 1, sizeof *one, "scores of sets"));
  s->sets[s->n_sets++] = *one;
out:
  return rc;
}

int load_sets(loader *l) {
  int doc, rc = OK;
  const json *list = load_find(l, "metrics", &doc);
  for (const json *j = list && list->type == JSON_ARRAY ? list->child : NULL; j; j = j->next) {
    study_set one = {.at = load_at(l, doc, j)};
    if (!load_is_set(j) || !read_score(l, doc, j, &one)) continue;
    TRY(read_against(l, doc, j, &one));
    TRY(append(l, &one));
  }
out:
  return rc;
}
