/* What a study gives to a paper: tables and numbers (docs/tables.md). Read here, rendered by `tandem paper`. */
#include <string.h>

#include "base/mem.h"
#include "study/load.h"

static int read_tables(loader *l, int doc, const json *list) {
  study *s = l->s;
  int rc = OK;
  if (list->type != JSON_ARRAY) {
    problem_error(l->p, load_at(l, doc, list), "tables wants a list of paths: [\"paper/tab-main.json\"]");
    return OK;
  }
  TRY(mem_new(l->e, json_count(list), sizeof *s->paper_tables, "tables of the paper", &s->paper_tables));
  for (const json *j = list->child; j; j = j->next) {
    if (j->type != JSON_STRING) {
      problem_error(l->p, load_at(l, doc, j), "tables wants a list of paths");
      continue;
    }
    TRY(load_path(l, doc, j->str, &s->paper_tables[s->n_paper_tables]));
    s->n_paper_tables++;
  }
out:
  return rc;
}

int load_paper(loader *l) {
  static const char *const known[] = {"tables", "numbers"};
  int doc, rc = OK;
  const json *paper = load_find(l, "paper", &doc);
  if (!paper) return OK;
  if (paper->type != JSON_OBJECT) {
    problem_error(l->p, load_at(l, doc, paper), "paper wants an object: {\"tables\": [\"paper/tab-main.json\"]}");
    return OK;
  }
  for (const json *m = paper->child; m; m = m->next) {
    if (strcmp(m->key, "//") == 0) continue;
    if (strcmp(m->key, "tables") == 0)
      TRY(read_tables(l, doc, m));
    else if (strcmp(m->key, "numbers") == 0 && m->type == JSON_STRING)
      TRY(load_path(l, doc, m->str, &l->s->paper_numbers));
    else if (strcmp(m->key, "numbers") == 0)
      problem_error(l->p, load_at(l, doc, m), "numbers wants a path: \"paper/numbers.tex\"");
    else if (strcmp(m->key, "figures") == 0)
      problem_error(l->p, load_at(l, doc, m),
                    "\"figures\" is part of the format but not yet of this build: remove it");
    else
      problem_unknown(l->p, load_at(l, doc, m), "key", m->key, (name_list){known, 2});
  }
out:
  return rc;
}
