/* Prompts: a JSON Lines file {"id", "text", "category"} or a list in the study. */
#include "study/load.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define PROMPT_FILE_LIMIT (64u << 20)
#define PROMPT_TEXT_LIMIT 65536

static const json *member(const json *j, const char *key, json_type t) {
  const json *m = j->type == JSON_OBJECT ? json_get(j, key) : NULL;
  return m && m->type == t ? m : NULL;
}

/* Same id or same text as an earlier prompt: ids name rows of tables, equal texts would be one and the same cell. */
static int repeated(loader *l, const study_prompt *q) {
  for (int i = 0; i < l->s->n_prompts; i++) {
    const study_prompt *old = &l->s->prompts[i];
    if (strcmp(old->id, q->id) == 0)
      problem_error(l->p, q->at, "prompt id '%s' is given twice (first at line %d)", q->id, old->at.line);
    else if (strcmp(old->sha256, q->sha256) == 0)
      problem_error(l->p, q->at, "prompts '%s' and '%s' have the same text", old->id, q->id);
    else
      continue;
    return 1;
  }
  return 0;
}

static void free_prompt(study_prompt *q) {
  free(q->id);
  free(q->text);
  free(q->category);
}

static int add_prompt(loader *l, where at, const char *id, const char *words, const char *category) {
  study *s = l->s;
  study_prompt q = {.at = at};
  size_t n = strlen(words);
  int rc = hash_bytes(l->e, words, n, q.sha256);
  char short_id[13];
  memcpy(short_id, q.sha256, 12);
  short_id[12] = 0;
  if (!id) id = short_id; /* of the text, so that it stays when the list is reordered */
  if (rc == OK && !study_name_ok(id)) {
    problem_error(l->p, at, "prompt id '%.80s' must be 1 to 64 of A-Z a-z 0-9 . _ -", id);
    return OK;
  }
  if (rc == OK && (n == 0 || n > PROMPT_TEXT_LIMIT)) {
    problem_error(l->p, at, "prompt '%s' has %zu bytes of text; 1 to %d can be used", id, n, PROMPT_TEXT_LIMIT);
    return OK;
  }
  if (rc == OK) rc = mem_strdup(l->e, id, &q.id);
  if (rc == OK) rc = mem_strdup(l->e, words, &q.text);
  if (rc == OK) rc = mem_strdup(l->e, category, &q.category);
  if (rc == OK) rc = mem_grow(l->e, &s->prompts, &l->cap_prompts, s->n_prompts + 1, sizeof q, "prompts");
  if (rc != OK || repeated(l, &q))
    free_prompt(&q);
  else
    s->prompts[s->n_prompts++] = q;
  return rc;
}

static int add_from_json(loader *l, where at, const json *j) {
  static const char *const keys[] = {"id", "text", "category"};
  if (j->type == JSON_STRING) return add_prompt(l, at, NULL, j->str, "");
  const json *words = member(j, "text", JSON_STRING), *id = member(j, "id", JSON_STRING);
  const json *category = member(j, "category", JSON_STRING);
  if (!words || !id) {
    problem_error(l->p, at, "a prompt is {\"id\": \"...\", \"text\": \"...\", \"category\": \"...\"}");
    return OK;
  }
  load_members(l, at.file, j, (name_list){keys, 3});
  return add_prompt(l, at, id->str, words->str, category ? category->str : "");
}

/* The line again behind as many line ends as stand before it in the file, for a message with its true place. */
static int line_problem(loader *l, const char *path, int number, const char *line, size_t n) {
  text t = {0};
  json *j = NULL;
  err why = {0};
  for (int i = 1; i < number; i++) text_add(&t, "\n");
  text_addn(&t, line, n);
  int rc = text_ok(&t, l->e);
  if (rc == OK && json_parse(&why, path, t.p, t.n, &j) == OK) json_free(j);
  if (rc == OK) load_json_problem(l, (where){path, number, 1}, path, why.text);
  text_free(&t);
  return rc;
}

static int read_lines(loader *l, const char *path, const char *data, size_t n) {
  int rc = OK, number = 0;
  for (const char *line = data, *end = data + n; line < end && rc == OK;) {
    const char *stop = memchr(line, '\n', (size_t)(end - line));
    size_t len = (size_t)((stop ? stop : end) - line);
    json *j = NULL;
    err why = {0};
    number++;
    if (strspn(line, " \t\r") < len) {
      if (json_parse(&why, path, line, len, &j) != OK)
        rc = why.code == E_NOMEM ? err_set(l->e, E_NOMEM, "%s", why.text) : line_problem(l, path, number, line, len);
      else
        rc = add_from_json(l, (where){path, number, j->col}, j);
    }
    json_free(j);
    line += len + 1;
  }
  return rc;
}

static int check_pin(loader *l, int doc, const json *pin, const char *data, size_t n) {
  char sha[HASH_HEX];
  if (!pin) return OK;
  int rc = hash_bytes(l->e, data, n, sha);
  if (rc == OK && (pin->type != JSON_STRING || strcmp(pin->str, sha) != 0))
    problem_error(l->p, load_at(l, doc, pin), "the prompt file has sha256 %s, not the one given here", sha);
  return rc;
}

static int read_file(loader *l, int doc, const json *j, const json *file) {
  struct study_store *t = l->s->store;
  char *expanded = NULL, *path = NULL, *data = NULL;
  size_t n = 0;
  int used = 0;
  err why = {0};
  int rc = load_expand(l, load_at(l, doc, file), file->str, &expanded, &used);
  if (rc != OK || !expanded) return rc;
  rc = used ? mem_strdup(l->e, expanded, &path) : load_path(l, doc, expanded, &path);
  free(expanded);
  if (rc != OK) return rc;
  json *name = json_new_string(path); /* places of problems and prompts point to it as long as the study lives */
  free(path);
  rc = load_keep(l, name);
  if (rc != OK) return rc;
  const char *kept = t->values[t->n_values - 1]->str;
  if (file_read(&why, kept, PROMPT_FILE_LIMIT, &data, &n) != OK) {
    problem_error(l->p, load_at(l, doc, file), "%s", why.text);
    return OK;
  }
  rc = check_pin(l, doc, json_get(j, "sha256"), data, n);
  if (rc == OK) rc = read_lines(l, kept, data, n);
  free(data);
  return rc;
}

int load_prompts(loader *l) {
  static const char *const keys[] = {"file", "list", "sha256"};
  int doc = 0, rc = OK;
  const struct study_store *t = l->s->store;
  const json *j = load_find(l, "prompts", &doc);
  if (!j) {
    where at = {t->doc[t->n_docs - 1].path, 1, 1};
    problem_error(l->p, at, "the study has no prompts: \"prompts\": {\"file\": \"../prompts/world-32.jsonl\"}");
    return OK;
  }
  const json *file = member(j, "file", JSON_STRING), *list = member(j, "list", JSON_ARRAY);
  if (!file == !list) {
    problem_error(l->p, load_at(l, doc, j), "prompts wants \"file\": a path, or \"list\": prompts");
    return OK;
  }
  load_members(l, t->doc[doc].path, j, (name_list){keys, 3});
  if (file) rc = read_file(l, doc, j, file);
  for (const json *q = list ? list->child : NULL; q && rc == OK; q = q->next)
    rc = add_from_json(l, load_at(l, doc, q), q);
  if (rc == OK && l->s->n_prompts == 0 && l->p->errors == 0)
    problem_error(l->p, load_at(l, doc, j), "there is no prompt in it");
  return rc;
}
