/* The matrix: axes, zip, one_at_a_time, include, exclude -> rows and points, in that order (spec/harness.md 7). */
#include "study/load.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define SEED_MAX 9007199254740991.0 /* as a number; larger ones come as strings */
#define ASSIGNMENTS 16              /* settings one row of the matrix may change */

typedef struct axes {
  int *rows, *prompts;
  int64_t *train, *sample;
  int64_t n_rows, n_prompts, n_train, n_sample;
} axes;

typedef struct assignment {
  int setting;
  const json *v;
} assignment;

/* What a row of the matrix changes in its variant. */
typedef struct change {
  int n;
  assignment a[ASSIGNMENTS];
} change;

static void free_axes(axes *a) {
  free(a->rows);
  free(a->prompts);
  free(a->train);
  free(a->sample);
}

/* --- axes --------------------------------------------------------------------------------------------------------
 */

static int read_seed(loader *l, where at, const json *j, int64_t *out) {
  if (j->type == JSON_NUMBER && j->is_int && j->num >= 0 && j->num <= SEED_MAX) {
    *out = (int64_t)j->num;
    return 1;
  }
  size_t n = j->type == JSON_STRING ? strlen(j->str) : 0;
  if (n > 0 && n <= 19 && strspn(j->str, "0123456789") == n) {
    unsigned long long v = strtoull(j->str, NULL, 10);
    if (v <= INT64_MAX) {
      *out = (int64_t)v;
      return 1;
    }
  }
  problem_error(l->p, at,
                "a seed is a whole number from 0 to 2^53 - 1, or a string of digits up to 2^63 - 1: larger numbers "
                "lose digits in JSON");
  return 0;
}

static int push_seed(loader *l, where at, int64_t seed, int64_t **list, int64_t *n, int64_t *cap) {
  for (int64_t i = 0; i < *n; i++)
    if ((*list)[i] == seed) {
      problem_error(l->p, at, "seed %lld is given twice", (long long)seed);
      return OK;
    }
  int rc = mem_grow(l->e, list, cap, *n + 1, sizeof **list, "seeds");
  if (rc == OK) (*list)[(*n)++] = seed;
  return rc;
}

/* A seed, a list of seeds, or {"count": n, "from": first}. */
static int seed_axis(loader *l, int doc, const json *j, int64_t **list, int64_t *n) {
  static const char *const keys[] = {"count", "from"};
  int64_t cap = 0, from = 0, seed;
  int rc = OK;
  where at = load_at(l, doc, j);
  *n = 0;
  if (j->type != JSON_OBJECT) {
    const json *one = j->type == JSON_ARRAY ? j->child : j;
    for (; one && rc == OK; one = j->type == JSON_ARRAY ? one->next : NULL)
      if (read_seed(l, load_at(l, doc, one), one, &seed))
        rc = push_seed(l, load_at(l, doc, one), seed, list, n, &cap);
    if (j->type == JSON_ARRAY && !j->child) problem_error(l->p, at, "%s has no seed", j->key);
    return rc;
  }
  load_members(l, at.file, j, (name_list){keys, 2});
  const json *count = json_get(j, "count"), *first = json_get(j, "from");
  if (first && !read_seed(l, load_at(l, doc, first), first, &from)) return OK;
  if (!count || count->type != JSON_NUMBER || !count->is_int || count->num < 1 || count->num > STUDY_LIMIT) {
    problem_error(l->p, at, "%s wants {\"count\": 1 to %d, \"from\": first}", j->key, STUDY_LIMIT);
    return OK;
  }
  for (int64_t i = 0; rc == OK && i < (int64_t)count->num; i++) {
    rc = mem_grow(l->e, list, &cap, *n + 1, sizeof **list, "seeds");
    if (rc == OK) (*list)[(*n)++] = from + i;
  }
  return rc;
}

static int push_index(loader *l, where at, int i, int **list, int64_t *n, int64_t *cap) {
  for (int64_t k = 0; k < *n; k++)
    if ((*list)[k] == i) {
      problem_error(l->p, at, "the name is given twice");
      return OK;
    }
  int rc = mem_grow(l->e, list, cap, *n + 1, sizeof **list, "axis");
  if (rc == OK) (*list)[(*n)++] = i;
  return rc;
}

/* "*", a name, or a list of names. */
static int name_axis(loader *l, int doc, const json *j, name_list known, int **list, int64_t *n) {
  int64_t cap = 0;
  int rc = OK, all = !j || (j->type == JSON_STRING && strcmp(j->str, "*") == 0);
  *n = 0;
  if (all) {
    rc = mem_new(l->e, known.n, sizeof **list, "axis", list);
    for (; rc == OK && *n < known.n; (*n)++) (*list)[*n] = (int)*n;
    return rc;
  }
  const json *one = j->type == JSON_ARRAY ? j->child : j;
  for (; one && rc == OK; one = j->type == JSON_ARRAY ? one->next : NULL) {
    where at = load_at(l, doc, one);
    int found = -1;
    for (int64_t i = 0; one->type == JSON_STRING && i < known.n; i++)
      if (strcmp(known.v[i], one->str) == 0) found = (int)i;
    if (found >= 0)
      rc = push_index(l, at, found, list, n, &cap);
    else if (one->type == JSON_STRING)
      problem_unknown(l->p, at, j->key, one->str, known);
    else
      problem_error(l->p, at, "%s wants \"*\" or names", j->key);
  }
  return rc;
}

static int row_axis(loader *l, int doc, const json *j, axes *a) {
  const char **names = NULL;
  int rc = load_row_names(l, &names);
  if (rc == OK) rc = name_axis(l, doc, j, (name_list){names, l->s->n_rows}, &a->rows, &a->n_rows);
  free(names);
  return rc;
}

static int prompt_axis(loader *l, int doc, const json *j, axes *a) {
  const char **ids = NULL;
  int rc = mem_new(l->e, l->s->n_prompts, sizeof *ids, "prompt ids", &ids);
  for (int i = 0; rc == OK && i < l->s->n_prompts; i++) ids[i] = l->s->prompts[i].id;
  if (rc == OK) rc = name_axis(l, doc, j, (name_list){ids, l->s->n_prompts}, &a->prompts, &a->n_prompts);
  free(ids);
  return rc;
}

static int default_seed(loader *l, int64_t **list, int64_t *n) {
  *n = 1;
  return mem_new(l->e, 1, sizeof **list, "seeds", list); /* seed 0 */
}

/* Each axis comes from the last file of the study that has it. */
static int matrix_axes(loader *l, axes *a) {
  static const char *const keys[] = {"variant", "train_seed", "sample_seed", "prompt"};
  int doc = 0;
  const struct study_store *t = l->s->store;
  for (int d = 0; d < t->n_docs; d++) {
    const json *all = spec_get(t->doc[d].root, "matrix.axes");
    if (all && all->type == JSON_OBJECT)
      load_members(l, t->doc[d].path, all, (name_list){keys, 4});
    else if (all)
      problem_error(l->p, load_at(l, d, all), "axes wants an object: {\"variant\": \"*\", \"train_seed\": [0]}");
  }
  const json *j = load_find(l, "matrix.axes.variant", &doc);
  int rc = row_axis(l, doc, j, a);
  j = load_find(l, "matrix.axes.prompt", &doc);
  if (rc == OK) rc = prompt_axis(l, doc, j, a);
  j = load_find(l, "matrix.axes.train_seed", &doc);
  if (rc == OK) rc = j ? seed_axis(l, doc, j, &a->train, &a->n_train) : default_seed(l, &a->train, &a->n_train);
  j = load_find(l, "matrix.axes.sample_seed", &doc);
  if (rc == OK) rc = j ? seed_axis(l, doc, j, &a->sample, &a->n_sample) : default_seed(l, &a->sample, &a->n_sample);
  return rc;
}

/* --- rows --------------------------------------------------------------------------------------------------------
 */

static int same_value(const json *a, const json *b) {
  if (a->type != b->type) return 0;
  if (a->type == JSON_STRING) return strcmp(a->str, b->str) == 0;
  if (a->type != JSON_ARRAY) return a->num == b->num;
  const json *x = a->child, *y = b->child;
  for (; x && y && same_value(x, y); x = x->next) y = y->next;
  return !x && !y;
}

/* A setting the matrix changes. Files would put their paths into names of rows. */
static int find_setting(loader *l, where at, const char *path) {
  int i = spec_find(path);
  if (i < 0)
    load_unknown_setting(l, at, path);
  else if (spec_settings()[i].kind == SETTING_FILE) {
    problem_error(l->p, at, "%s is a file: give it in a variant, not in the matrix", path);
    i = -1;
  }
  return i;
}

static void row_name(const loader *l, int declared, const study_value *v, text *out) {
  const study_row *d = &l->s->rows[declared];
  text_add(out, d->name);
  for (int i = 0; i < spec_count(); i++) {
    if (same_value(v[i].v, d->value[i].v)) continue;
    text_addf(out, "+%s=", spec_settings()[i].path);
    if (v[i].v->type == JSON_STRING)
      text_add(out, v[i].v->str);
    else
      json_canonical(out, v[i].v);
  }
}

/* The row of a variant with some settings changed; an equal one is used again. */
static int make_row(loader *l, int doc, int declared, const change *c, int *out) {
  int n = spec_count();
  study_value *v = NULL;
  text name = {0};
  int rc = mem_new(l->e, n, sizeof *v, "settings of a row", &v);
  if (rc == OK) memcpy(v, l->s->rows[declared].value, (size_t)n * sizeof *v);
  for (int i = 0; rc == OK && i < c->n; i++) {
    int k = c->a[i].setting;
    if (v[k].given == GIVEN_COMMAND)
      problem_error(l->p, load_at(l, doc, c->a[i].v), "%s is set on the command line and varied by the matrix",
                    spec_settings()[k].path);
    else
      rc = load_value(l, doc, c->a[i].v, k, &v[k]);
  }
  if (rc == OK) row_name(l, declared, v, &name);
  if (rc == OK) rc = text_ok(&name, l->e);
  if (rc == OK && (*out = load_row(l, name.p)) < 0) {
    design d = l->s->rows[declared].design;
    int trains = l->s->rows[declared].trains;
    rc = load_add_row(l, name.p, c->n ? load_at(l, doc, c->a[0].v) : l->s->rows[declared].at, v, out);
    if (rc == OK) {
      l->s->rows[*out].design = d;
      l->s->rows[*out].trains = trains;
      l->s->rows[*out].declared = declared;
    }
  }
  text_free(&name);
  free(v);
  return rc;
}

/* --- points ------------------------------------------------------------------------------------------------------
 */

static int has_point(const study *s, study_point p) {
  for (int64_t i = 0; i < s->n_points; i++) {
    const study_point *q = &s->points[i];
    if (q->row == p.row && q->prompt == p.prompt && q->train_seed == p.train_seed && q->sample_seed == p.sample_seed)
      return 1;
  }
  return 0;
}

/* `once`: some points may be there already. */
static int add_points(loader *l, int row, const axes *a, int once) {
  study *s = l->s;
  int trains = s->rows[row].trains, rc = OK;
  int64_t n_train = trains ? a->n_train : 1, limit = l->in->limit > 0 ? l->in->limit : STUDY_LIMIT;
  double count = (double)s->n_points + (double)n_train * (double)a->n_sample * (double)a->n_prompts;
  s->rows[row].in_matrix = 1;
  if (count > (double)limit) {
    problem_error(l->p, s->rows[row].at,
                  "the matrix has more than %lld points (%.0f and counting): ask for more with "
                  "--limit, or make it smaller",
                  (long long)limit, count);
    return OK;
  }
  rc = mem_grow(l->e, &s->points, &l->cap_points, (int64_t)count, sizeof *s->points, "points of the matrix");
  for (int64_t t = 0; rc == OK && t < n_train; t++)
    for (int64_t k = 0; k < a->n_sample; k++)
      for (int64_t p = 0; p < a->n_prompts; p++) {
        study_point q = {row, a->prompts[p], trains ? a->train[t] : SEED_NONE, a->sample[k]};
        if (!once || !has_point(s, q)) s->points[s->n_points++] = q;
      }
  return rc;
}

/* [[path, values, path, values], ...]: lists of one group advance together, groups multiply. */
static int64_t zip_check(loader *l, int doc, const json *zip) {
  int64_t product = 1;
  if (zip->type != JSON_ARRAY) {
    problem_error(l->p, load_at(l, doc, zip), "zip wants [[path, values, path, values], ...]");
    return 0;
  }
  for (const json *g = zip->child; g; g = g->next) {
    int64_t length = 0;
    const json *path = g->type == JSON_ARRAY ? g->child : NULL;
    if (!path) problem_error(l->p, load_at(l, doc, g), "a zip group is [path, values, path, values, ...]");
    while (path) {
      const json *values = path->next;
      where at = load_at(l, doc, path);
      int64_t n = values && values->type == JSON_ARRAY ? json_count(values) : 0;
      if (path->type != JSON_STRING || n == 0) {
        problem_error(l->p, at, "a zip group is [path, values, path, values, ...]");
        return 0;
      }
      if (find_setting(l, at, path->str) < 0) return 0;
      if (length && n != length)
        problem_error(l->p, at, "%s has %lld values, the list before it %lld", path->str, (long long)n,
                      (long long)length);
      length = n;
      path = values->next;
    }
    if (length == 0 || product > STUDY_LIMIT / length) return 0;
    product *= length;
  }
  return product;
}

/* Combination k of the zip groups, the last group fastest. */
static int zip_change(loader *l, int doc, const json *zip, int64_t k, change *c) {
  int64_t left = json_count(zip);
  c->n = 0;
  for (int64_t g = left - 1; g >= 0; g--) {
    const json *path = json_at(zip, g)->child;
    int64_t length = json_count(path->next), i = k % length;
    k /= length;
    for (; path; path = path->next->next) {
      if (c->n == ASSIGNMENTS) {
        problem_error(l->p, load_at(l, doc, path), "a row can change at most %d settings", ASSIGNMENTS);
        return 0;
      }
      c->a[c->n++] = (assignment){spec_find(path->str), json_at(path->next, i)};
    }
  }
  return 1;
}

static int expand_product(loader *l, const axes *a) {
  int doc = 0, rc = OK, row;
  const json *zip = load_find(l, "matrix.zip", &doc);
  int64_t combinations = zip ? zip_check(l, doc, zip) : 1;
  if (zip && l->p->errors) return OK;
  for (int64_t v = 0; v < a->n_rows && rc == OK; v++)
    for (int64_t k = 0; k < combinations && rc == OK; k++) {
      change c = {0};
      if (zip && !zip_change(l, doc, zip, k, &c)) return OK;
      rc = make_row(l, doc, a->rows[v], &c, &row);
      if (rc == OK) rc = add_points(l, row, a, 0);
    }
  return rc;
}

static int expand_one_at_a_time(loader *l, const axes *a) {
  int doc = 0, rc = OK, row;
  const json *all = load_find(l, "matrix.one_at_a_time", &doc);
  if (all && all->type != JSON_OBJECT) {
    problem_error(l->p, load_at(l, doc, all), "one_at_a_time wants {\"train.rank\": [4, 64]}");
    return OK;
  }
  for (const json *j = all ? all->child : NULL; j && rc == OK; j = j->next) {
    if (strcmp(j->key, "//") == 0) continue;
    int i = find_setting(l, load_at(l, doc, j), j->key);
    if (i < 0) continue;
    if (j->type != JSON_ARRAY) problem_error(l->p, load_at(l, doc, j), "%s wants a list of values to try", j->key);
    for (const json *v = j->type == JSON_ARRAY ? j->child : NULL; v && rc == OK; v = v->next) {
      change c = {.n = 1, .a = {{i, v}}};
      rc = make_row(l, doc, l->s->reference, &c, &row);
      if (rc == OK && !l->s->rows[row].in_matrix) rc = add_points(l, row, a, 0);
    }
  }
  return rc;
}

/* --- include -----------------------------------------------------------------------------------------------------
 */

static int is_axis(const char *key) {
  return strcmp(key, "variant") == 0 || strcmp(key, "train_seed") == 0 || strcmp(key, "sample_seed") == 0 ||
         strcmp(key, "prompt") == 0;
}

static int copy_list(loader *l, const void *from, int64_t n, int64_t size, void *to) {
  int rc = mem_new(l->e, n, size, "axis", to);
  void *copy = NULL;
  if (rc == OK) memcpy(&copy, to, sizeof copy);
  if (rc == OK && n) memcpy(copy, from, (size_t)(n * size));
  return rc;
}

/* Axes an entry does not name are the matrix's own. */
static int include_axes(loader *l, int doc, const json *entry, const axes *matrix, axes *a) {
  const json *j = json_get(entry, "prompt");
  int rc = row_axis(l, doc, json_get(entry, "variant"), a);
  a->n_prompts = matrix->n_prompts;
  a->n_train = matrix->n_train;
  a->n_sample = matrix->n_sample;
  if (rc == OK)
    rc = j ? prompt_axis(l, doc, j, a) : copy_list(l, matrix->prompts, a->n_prompts, sizeof *a->prompts, &a->prompts);
  j = json_get(entry, "train_seed");
  if (rc == OK)
    rc = j ? seed_axis(l, doc, j, &a->train, &a->n_train)
           : copy_list(l, matrix->train, a->n_train, sizeof *a->train, &a->train);
  j = json_get(entry, "sample_seed");
  if (rc == OK)
    rc = j ? seed_axis(l, doc, j, &a->sample, &a->n_sample)
           : copy_list(l, matrix->sample, a->n_sample, sizeof *a->sample, &a->sample);
  return rc;
}

static int include_one(loader *l, int doc, const json *j, const axes *matrix) {
  axes a = {0};
  change c = {0};
  where at = load_at(l, doc, j);
  int rc = OK, row;
  if (j->type != JSON_OBJECT || !json_get(j, "variant")) {
    problem_error(l->p, at, "an entry of include is {\"variant\": \"...\", \"train_seed\": 3, ...}");
    return OK;
  }
  for (const json *m = j->child; m; m = m->next) {
    if (strcmp(m->key, "//") == 0 || is_axis(m->key)) continue;
    int i = find_setting(l, load_at(l, doc, m), m->key);
    if (i >= 0 && c.n < ASSIGNMENTS) c.a[c.n++] = (assignment){i, m};
  }
  rc = include_axes(l, doc, j, matrix, &a);
  for (int64_t v = 0; v < a.n_rows && rc == OK; v++) {
    rc = make_row(l, doc, a.rows[v], &c, &row);
    if (rc == OK) rc = add_points(l, row, &a, 1);
  }
  free_axes(&a);
  return rc;
}

static int expand_include(loader *l, const axes *matrix) {
  int doc = 0, rc = OK;
  const json *list = load_find(l, "matrix.include", &doc);
  if (list && list->type != JSON_ARRAY) {
    problem_error(l->p, load_at(l, doc, list), "include wants a list of objects");
    return OK;
  }
  for (const json *j = list ? list->child : NULL; j && rc == OK; j = j->next) rc = include_one(l, doc, j, matrix);
  return rc;
}

/* --- exclude -----------------------------------------------------------------------------------------------------
 */

static const char *const compare_names[] = {"gt", "ge", "lt", "le", "ne"};

static int compare(const char *op, const json *have, const json *want) {
  if (strcmp(op, "ne") == 0) return !same_value(have, want);
  if (have->type != JSON_NUMBER || want->type != JSON_NUMBER) return 0;
  if (strcmp(op, "gt") == 0) return have->num > want->num;
  if (strcmp(op, "ge") == 0) return have->num >= want->num;
  if (strcmp(op, "lt") == 0) return have->num < want->num;
  return have->num <= want->num;
}

static int satisfies(const json *have, const json *want) {
  if (want->type == JSON_OBJECT) {
    for (const json *op = want->child; op; op = op->next)
      if (strcmp(op->key, "//") != 0 && !compare(op->key, have, op)) return 0;
    return 1;
  }
  if (want->type != JSON_ARRAY || have->type == JSON_ARRAY) return same_value(have, want);
  for (const json *one = want->child; one; one = one->next)
    if (same_value(have, one)) return 1;
  return 0;
}

static int excluded_by(const study *s, const json *rule, study_point p) {
  const study_row *r = &s->rows[p.row];
  for (const json *m = rule->child; m; m = m->next) {
    json have = {.type = JSON_STRING};
    if (strcmp(m->key, "//") == 0 || strcmp(m->key, "reason") == 0) continue;
    if (strcmp(m->key, "variant") == 0) {
      have.str = s->rows[r->declared].name; /* the variant, or the row by its full name */
      json full = {.type = JSON_STRING, .str = r->name};
      if (satisfies(&full, m)) continue;
    } else if (strcmp(m->key, "prompt") == 0)
      have.str = s->prompts[p.prompt].id;
    else if (strcmp(m->key, "train_seed") == 0)
      have = (json){.type = JSON_NUMBER, .num = (double)p.train_seed};
    else if (strcmp(m->key, "sample_seed") == 0)
      have = (json){.type = JSON_NUMBER, .num = (double)p.sample_seed};
    else
      have = *r->value[spec_find(m->key)].v;
    if (!satisfies(&have, m)) return 0;
  }
  return 1;
}

/* Names in the rule must exist, else it would match nothing for a wrong reason. */
static int check_names(loader *l, int doc, const json *m) {
  axes found = {0};
  int is_variant = strcmp(m->key, "variant") == 0, rc = OK;
  if (m->type == JSON_OBJECT) return OK;
  rc = is_variant ? row_axis(l, doc, m, &found) : prompt_axis(l, doc, m, &found);
  free_axes(&found);
  return rc;
}

static int check_rule(loader *l, int doc, const json *rule, const char **reason) {
  where at = load_at(l, doc, rule);
  const json *r = rule->type == JSON_OBJECT ? json_get(rule, "reason") : NULL;
  int rc = OK;
  *reason = r && r->type == JSON_STRING && r->str[0] ? r->str : NULL;
  if (!*reason || json_count(rule) < 2) {
    problem_error(l->p, at,
                  "an entry of exclude is conditions and a reason: {\"variant\": \"x\", \"reason\": \"...\"}");
    return OK;
  }
  for (const json *m = rule->child; m && rc == OK; m = m->next) {
    if (strcmp(m->key, "variant") == 0 || strcmp(m->key, "prompt") == 0)
      rc = check_names(l, doc, m);
    else if (strcmp(m->key, "//") != 0 && strcmp(m->key, "reason") != 0 && !is_axis(m->key) && spec_find(m->key) < 0)
      load_unknown_setting(l, load_at(l, doc, m), m->key);
    if (m->type == JSON_OBJECT) load_members(l, at.file, m, (name_list){compare_names, 5});
  }
  return rc;
}

static int exclude_one(loader *l, int doc, const json *rule) {
  study *s = l->s;
  const char *reason;
  int64_t kept = 0, before = l->p->errors;
  int rc = check_rule(l, doc, rule, &reason);
  if (rc != OK || l->p->errors > before) return rc;
  for (int64_t i = 0; i < s->n_points; i++) {
    study_point p = s->points[i];
    if (!excluded_by(s, rule, p)) {
      s->points[kept++] = p;
      continue;
    }
    rc = mem_grow(l->e, &s->excluded, &l->cap_excluded, s->n_excluded + 1, sizeof *s->excluded, "excluded points");
    if (rc != OK) return rc;
    s->excluded[s->n_excluded++] = (study_excluded){p, reason};
  }
  if (kept == s->n_points) problem_warning(l->p, load_at(l, doc, rule), "the exclude rule matches nothing");
  s->n_points = kept;
  return OK;
}

static int expand_exclude(loader *l) {
  int doc = 0, rc = OK;
  const json *list = load_find(l, "matrix.exclude", &doc);
  if (list && list->type != JSON_ARRAY) {
    problem_error(l->p, load_at(l, doc, list), "exclude wants a list of objects");
    return OK;
  }
  for (const json *j = list ? list->child : NULL; j && rc == OK; j = j->next) rc = exclude_one(l, doc, j);
  return rc;
}

static void check_matrix(loader *l) {
  static const char *const keys[] = {"axes", "zip", "one_at_a_time", "include", "exclude"};
  const struct study_store *t = l->s->store;
  for (int d = 0; d < t->n_docs; d++) {
    const json *m = json_get(t->doc[d].root, "matrix");
    if (m && m->type == JSON_OBJECT)
      load_members(l, t->doc[d].path, m, (name_list){keys, 5});
    else if (m)
      problem_error(l->p, load_at(l, d, m), "matrix wants an object: {\"axes\": {...}}");
  }
}

int load_matrix(loader *l) {
  axes a = {0};
  study *s = l->s;
  int rc;
  check_matrix(l);
  rc = matrix_axes(l, &a);
  if (rc == OK && s->n_rows > 0 && s->reference >= 0) {
    rc = expand_product(l, &a);
    if (rc == OK) rc = expand_one_at_a_time(l, &a);
    if (rc == OK) rc = expand_include(l, &a);
    if (rc == OK) rc = expand_exclude(l);
    const study_row *r = &s->rows[s->reference];
    if (rc == OK && !r->in_matrix && l->p->errors == 0)
      problem_error(l->p, r->at,
                    "the reference variant '%s' has no row in the matrix: nothing can be compared with it", r->name);
  }
  free_axes(&a);
  return rc;
}
