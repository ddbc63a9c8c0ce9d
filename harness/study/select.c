#include "study/select.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/words_near.h"
#include "study/study.h"

typedef struct value {
  char *text;
  int64_t lo, hi;
} value;

typedef struct term {
  select_field field;
  int negated, part; /* part: '~' */
  int64_t n, cap;
  value *value;
} term;

struct selector {
  int64_t n, cap;
  term *term;
};

typedef struct reader {
  err *e;
  const char *whole, *at;
  unsigned fields;
  selector *s;
} reader;

static const char *const field_name[SELECT_FIELDS] = {"key",     "stage",  "state",      "class",       "study",
                                                      "variant", "prompt", "train_seed", "sample_seed", "seed"};
static const char *const states[] = {"waiting", "ready",   "running", "done", "failed",
                                     "blocked", "skipped", "lost",    NULL};
static const char *const classes[] = {"config",   "oom_host", "oom_gpu", "timeout",  "preempted", "signal",
                                      "nan_loss", "io",       "metric",  "internal", NULL};

static int is_number(select_field f) {
  return f == SELECT_TRAIN_SEED || f == SELECT_SAMPLE_SEED || f == SELECT_SEED;
}

static int is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int column(const reader *r) {
  return (int)(r->at - r->whole) + 1;
}

/* --- reading --- */

static int known_words(reader *r, const char *what, const char *const *words, const char *given) {
  text list = {0};
  near_word near = near_start(given, strlen(given));
  for (int i = 0; words[i]; i++) {
    near_offer(&near, words[i]);
    text_addf(&list, "%s%s", i ? ", " : "", words[i]);
  }
  int rc = err_set(r->e, E_ARG, "selector '%.200s': no %s '%.60s'%s (known: %.300s)", r->whole, what, given,
                   near_hint(&near), list.p ? list.p : "");
  text_free(&list);
  return rc;
}

static int listed(const char *const *words, const char *word) {
  for (int i = 0; words[i]; i++)
    if (!strcmp(words[i], word)) return 1;
  return 0;
}

static int check_word(reader *r, const term *t, const char *word) {
  const char *stages[STAGE_COUNT + 1] = {NULL};
  for (int i = 0; i < STAGE_COUNT; i++) stages[i] = stage_name((stage)i);
  const char *const *words = t->field == SELECT_STAGE   ? stages
                             : t->field == SELECT_STATE ? states
                             : t->field == SELECT_CLASS ? classes
                                                        : NULL;
  if (words && !t->part && !listed(words, word)) return known_words(r, field_name[t->field], words, word);
  size_t n = strlen(word);
  if (t->field == SELECT_KEY && (n < 4 || n > 64 || strspn(word, "0123456789abcdef") != n))
    return err_set(r->e, E_ARG, "selector '%.200s': '%.80s' is not a key: 4 to 64 hex digits (0-9a-f)", r->whole,
                   word);
  return OK;
}

/* Whole digits with an optional '-'; the end of the text, or of the part before "..". */
static int read_whole(const char *from, const char *to, int64_t *out) {
  char copy[24], *end;
  size_t n = (size_t)(to - from);
  if (!n || n >= sizeof copy || is_space(*from) || *from == '+') return 0;
  memcpy(copy, from, n);
  copy[n] = 0;
  errno = 0;
  *out = strtoll(copy, &end, 10);
  return !errno && !*end;
}

static int read_range(reader *r, const char *word, value *v) {
  const char *dots = strstr(word, ".."), *end = word + strlen(word);
  int ok;
  v->lo = INT64_MIN;
  v->hi = INT64_MAX;
  if (dots)
    ok = end - word > 2 && (dots == word || read_whole(word, dots, &v->lo)) &&
         (dots + 2 == end || read_whole(dots + 2, end, &v->hi));
  else if ((ok = read_whole(word, end, &v->lo)) != 0)
    v->hi = v->lo;
  if (!ok || v->lo > v->hi)
    return err_set(r->e, E_ARG, "selector '%.200s': '%.60s' is neither a number nor a range A..B", r->whole, word);
  return OK;
}

/* The text of one value, quotes taken off. */
static int read_text(reader *r, char **out) {
  int rc = OK;
  text t = {0};
  if (*r->at == '"') {
    const char *end = strchr(r->at + 1, '"');
    if (!end) FAIL(r->e, E_ARG, "selector '%.200s': the quote at column %d has no end", r->whole, column(r));
    text_addn(&t, r->at + 1, (size_t)(end - r->at - 1));
    r->at = end + 1;
    if (*r->at && *r->at != ',' && !is_space(*r->at))
      FAIL(r->e, E_ARG, "selector '%.200s': column %d: white space or ',' must follow a quoted value", r->whole,
           column(r));
  } else {
    const char *from = r->at;
    while (*r->at && *r->at != ',' && *r->at != '"' && !is_space(*r->at)) r->at++;
    if (*r->at == '"')
      FAIL(r->e, E_ARG, "selector '%.200s': column %d: a quote inside a value; quote the whole value", r->whole,
           column(r));
    text_addn(&t, from, (size_t)(r->at - from));
  }
  if (!t.n) FAIL(r->e, E_ARG, "selector '%.200s': column %d: a value is missing", r->whole, column(r));
  TRY(text_ok(&t, r->e));
  TRY(mem_strdup(r->e, t.p, out));
out:
  text_free(&t);
  return rc;
}

static int read_values(reader *r, term *t) {
  int rc = OK;
  do {
    TRY(mem_grow(r->e, &t->value, &t->cap, t->n + 1, sizeof *t->value, "selector"));
    value *v = &t->value[t->n++];
    TRY(read_text(r, &v->text));
    if (is_number(t->field))
      TRY(read_range(r, v->text, v));
    else
      TRY(check_word(r, t, v->text));
  } while (*r->at == ',' && r->at++);
out:
  return rc;
}

static int find_field(reader *r, const char *name, select_field *out) {
  const char *usable[SELECT_FIELDS + 1] = {NULL};
  int n = 0;
  for (int i = 0; i < SELECT_FIELDS; i++) {
    if (!(r->fields & SELECT_BIT(i))) continue;
    usable[n++] = field_name[i];
    *out = (select_field)i;
    if (!strcmp(field_name[i], name)) return OK;
  }
  return known_words(r, "field", usable, name);
}

static int read_field(reader *r, term *t, size_t n) {
  char name[32];
  if (!n || n >= sizeof name)
    return err_set(r->e, E_ARG, "selector '%.200s': column %d: a term is FIELD=VALUE, FIELD~PART or a key", r->whole,
                   column(r));
  memcpy(name, r->at, n);
  name[n] = 0;
  int rc = find_field(r, name, &t->field);
  if (rc != OK) return rc;
  t->part = r->at[n] == '~';
  if (t->part && (is_number(t->field) || t->field == SELECT_KEY))
    return err_set(r->e, E_ARG, "selector '%.200s': '%s' is compared with '=', not '~'", r->whole, name);
  r->at += n + 1;
  return OK;
}

static int read_term(reader *r) {
  int rc = OK;
  TRY(mem_grow(r->e, &r->s->term, &r->s->cap, r->s->n + 1, sizeof *r->s->term, "selector"));
  term *t = &r->s->term[r->s->n++];
  if (*r->at == '!') {
    t->negated = 1;
    r->at++;
  }
  size_t n = 0;
  while (r->at[n] && r->at[n] != '=' && r->at[n] != '~' && r->at[n] != ',' && !is_space(r->at[n])) n++;
  int hex = n >= 4 && strspn(r->at, "0123456789abcdef") == n;
  if (r->at[n] == '=' || r->at[n] == '~')
    TRY(read_field(r, t, n));
  else if (!hex || !(r->fields & SELECT_BIT(SELECT_KEY)))
    FAIL(r->e, E_ARG,
         "selector '%.200s': column %d: a term is FIELD=VALUE, FIELD~PART or a key of 4 to 64 hex digits", r->whole,
         column(r));
  else
    t->field = SELECT_KEY;
  TRY(read_values(r, t));
out:
  return rc;
}

int select_parse(err *e, const char *terms, unsigned fields, selector **out) {
  int rc = OK;
  reader r = {.e = e, .whole = terms, .at = terms, .fields = fields};
  *out = NULL;
  TRY(mem_new(e, 1, sizeof *r.s, "selector", &r.s));
  for (;;) {
    while (is_space(*r.at)) r.at++;
    if (!*r.at) break;
    TRY(read_term(&r));
  }
  *out = r.s;
out:
  if (rc != OK) select_free(r.s);
  return rc;
}

void select_free(selector *s) {
  for (int64_t i = 0; s && i < s->n; i++) {
    for (int64_t k = 0; k < s->term[i].n; k++) free(s->term[i].value[k].text);
    free(s->term[i].value);
  }
  if (s) free(s->term);
  free(s);
}

/* --- asking --- */

static const char *text_of(const select_facts *f, select_field field) {
  switch (field) {
  case SELECT_KEY: return f->key;
  case SELECT_STAGE: return f->stage;
  case SELECT_STATE: return f->state;
  case SELECT_CLASS: return f->fail_class;
  case SELECT_STUDY: return f->study;
  case SELECT_VARIANT: return f->variant;
  default: return f->prompt;
  }
}

static int64_t number_of(const select_facts *f, select_field field) {
  if (field == SELECT_TRAIN_SEED) return f->train_seed;
  if (field == SELECT_SAMPLE_SEED || f->sample_seed != SEED_NONE) return f->sample_seed;
  return f->train_seed;
}

static int holds(const term *t, const select_facts *f) {
  if (is_number(t->field)) {
    int64_t v = number_of(f, t->field);
    for (int64_t i = 0; v != SEED_NONE && i < t->n; i++)
      if (t->value[i].lo <= v && v <= t->value[i].hi) return 1;
    return 0;
  }
  const char *s = text_of(f, t->field);
  for (int64_t i = 0; s && i < t->n; i++) {
    const char *want = t->value[i].text;
    if (t->part                  ? strstr(s, want) != NULL
        : t->field == SELECT_KEY ? !strncmp(s, want, strlen(want))
                                 : !strcmp(s, want))
      return 1;
  }
  return 0;
}

int select_match(const selector *s, const select_facts *f) {
  for (int64_t i = 0; i < s->n; i++)
    if (holds(&s->term[i], f) == s->term[i].negated) return 0;
  return 1;
}

int select_has(const selector *s, select_field field) {
  for (int64_t i = 0; i < s->n; i++)
    if (s->term[i].field == field) return 1;
  return 0;
}
