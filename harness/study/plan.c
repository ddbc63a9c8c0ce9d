#include "study/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "study/external.h"

int plan_code_epoch(stage s) {
  static const int epochs[STAGE_COUNT] = {
      [STAGE_PREPARE] = 1, [STAGE_PRETRAIN] = 1, [STAGE_TRAIN] = 1, [STAGE_SAMPLE] = 2, [STAGE_SCORE] = 1};
  return epochs[s];
}

/* Cells by key: open addressing, size a power of two. */
struct plan_index {
  int64_t *slot; /* cell + 1; 0: free */
  int64_t size;
};

/* One file of the study. */
typedef struct content {
  const char *path;
  char sha[HASH_HEX];
  int ok;
} content;

/* A cell before its key is known; spec is taken over. */
typedef struct draft {
  stage stage;
  json *spec;
  const study_row *row;
  const study_scorer *scorer; /* of a score cell that a program answers; NULL otherwise */
  const study_set *set;       /* of one that compares sets; NULL otherwise */
  const char *variant, *prompt;
  int64_t train_seed, sample_seed;
  int n_inputs;
  plan_input input[PLAN_ROLES];
  const plan_input *clips; /* [n_clips], clips of sets: borrowed */
  int n_clips;
} draft;

typedef struct maker {
  err *e;
  problems *p;
  const study *s;
  const plan_source *from;
  plan *plan;
  content *files;
  int64_t n_files, cap_files;
  int64_t *train, *sample; /* [n_points]: cells of each point, -1: none */
  int64_t *missing;        /* [n_rows]: clips of another program that are not there */
} maker;

/* --- keys --------------------------------------------------------------------------------------------------------
 */

void plan_design(const design *d, int stages, char out[DESIGN_TEXT]) {
  size_t n = (size_t)snprintf(out, DESIGN_TEXT, "%s", d->v->name);
  int any = 0;
  for (int i = 0; d->v->options[i].name && n < DESIGN_TEXT; i++) {
    const variant_option *o = &d->v->options[i];
    if (!(o->stages & stages) || !o->values) continue;
    n += (size_t)snprintf(out + n, DESIGN_TEXT - n, "%c%s=%s", any++ ? ',' : ':', o->name, o->values[d->value[i]]);
  }
}

static int put_text(err *e, json *j, const char *path, const char *value) {
  return spec_put(e, j, path, json_new_string(value));
}

static int put_number(err *e, json *j, const char *path, double value) {
  return spec_put(e, j, path, json_new_number(value));
}

int plan_key(err *e, stage s, const json *spec, const plan_input *input, int n, char key[HASH_HEX]) {
  text t = {0};
  json *j = json_new(JSON_OBJECT), *inputs = json_new(JSON_OBJECT);
  int rc = j && inputs ? OK : err_set(e, E_NOMEM, "no memory for a key");
  for (int i = 0; rc == OK && i < n; i++) {
    if (set_cell_side(input[i].role)) continue;
    json *one = json_new(JSON_OBJECT);
    rc = one ? put_text(e, one, input[i].cell >= 0 ? "cell" : "sha256", input[i].hash)
             : err_set(e, E_NOMEM, "no memory for a key");
    if (rc == OK)
      rc = spec_put(e, inputs, input[i].role, one);
    else
      json_free(one);
  }
  if (rc == OK) {
    rc = spec_put(e, j, "inputs", inputs);
    inputs = NULL; /* taken, whatever came of it */
  }
  if (rc == OK) rc = spec_put(e, j, "spec", json_copy(spec));
  if (rc == OK) rc = put_text(e, j, "stage", stage_name(s));
  if (rc == OK) rc = put_number(e, j, "key_version", PLAN_KEY_VERSION);
  if (rc == OK) rc = put_number(e, j, "code_epoch", plan_code_epoch(s));
  if (rc == OK) json_canonical(&t, j);
  if (rc == OK) rc = text_ok(&t, e);
  if (rc == OK) rc = hash_bytes(e, t.p, t.n, key);
  text_free(&t);
  json_free(inputs);
  json_free(j);
  return rc;
}

static uint64_t key_head(const char *key) {
  char head[17];
  memcpy(head, key, 16);
  head[16] = 0;
  return strtoull(head, NULL, 16);
}

int64_t plan_find(const plan *p, const char *key) {
  if (strlen(key) != HASH_HEX - 1 || !p->index || p->index->size == 0) return -1;
  uint64_t mask = (uint64_t)p->index->size - 1;
  for (uint64_t i = key_head(key) & mask; p->index->slot[i]; i = (i + 1) & mask)
    if (strcmp(p->cell[p->index->slot[i] - 1].key, key) == 0) return p->index->slot[i] - 1;
  return -1;
}

static void index_put(const plan *p, int64_t cell) {
  uint64_t mask = (uint64_t)p->index->size - 1, i = key_head(p->cell[cell].key) & mask;
  while (p->index->slot[i]) i = (i + 1) & mask;
  p->index->slot[i] = cell + 1;
}

/* Room for one more cell at half load. */
static int index_room(err *e, plan *p) {
  if (2 * (p->n + 1) <= p->index->size) return OK;
  int64_t *old = p->index->slot, size = p->index->size ? 2 * p->index->size : 64;
  int rc = mem_new(e, size, sizeof *old, "index of cells", &p->index->slot);
  if (rc != OK) {
    p->index->slot = old;
    return rc;
  }
  p->index->size = size;
  free(old);
  for (int64_t i = 0; i < p->n; i++) index_put(p, i);
  return OK;
}

/* --- specs and inputs --------------------------------------------------------------------------------------------
 */

/* *out is NULL when it cannot be read: a problem at `at`, named by `what`. */
static int file_content(maker *m, where at, const char *what, const char *path, const content **out) {
  *out = NULL;
  for (int64_t i = 0; i < m->n_files; i++)
    if (strcmp(m->files[i].path, path) == 0) {
      *out = m->files[i].ok ? &m->files[i] : NULL;
      return OK;
    }
  int rc = mem_grow(m->e, &m->files, &m->cap_files, m->n_files + 1, sizeof *m->files, "files of the study");
  if (rc != OK) return rc;
  content *c = &m->files[m->n_files++];
  err why = {0};
  c->path = path;
  rc = m->from->sha(m->from->user, &why, path, c->sha);
  if (rc == E_IO || rc == E_FORMAT) {
    problem_error(m->p, at, "%s: %s", what, why.text);
    return OK;
  }
  if (rc != OK) return err_set(m->e, rc, "%s", why.text);
  c->ok = 1;
  *out = c;
  return OK;
}

static void add_input(draft *d, const char *role, const char *hex, int64_t cell, const char *path) {
  int at = d->n_inputs++;
  for (; at > 0 && strcmp(d->input[at - 1].role, role) > 0; at--) d->input[at] = d->input[at - 1];
  d->input[at] = (plan_input){.cell = cell, .path = path};
  snprintf(d->input[at].role, SET_ROLE, "%s", role);
  memcpy(d->input[at].hash, hex, HASH_HEX);
}

static void add_cell_input(const maker *m, draft *d, const char *role, int64_t cell) {
  add_input(d, role, m->plan->cell[cell].key, cell, NULL);
}

static int add_cell(maker *m, draft *d, int64_t *out);

/* The base weights come out of a cell of their own. */
static int pretrain_cell(maker *m, const study_row *r, int64_t *out);

static int file_setting(maker *m, draft *d, const setting *s, const study_value *v) {
  const content *c;
  if (s->choices && strcmp(v->v->str, s->choices[0]) == 0) {
    int64_t cell;
    int rc = pretrain_cell(m, d->row, &cell);
    if (rc == OK && cell >= 0) add_cell_input(m, d, s->role, cell);
    return rc;
  }
  int rc = file_content(m, v->at, s->path, v->v->str, &c);
  if (rc == OK && c) add_input(d, s->role, c->sha, -1, c->path);
  return rc;
}

/* Fills the spec with what the stage reads in this row, and the inputs with its files. */
static int start_draft(maker *m, const study_row *r, stage st, draft *d) {
  *d = (draft){.stage = st, .row = r, .variant = "", .train_seed = SEED_NONE, .sample_seed = SEED_NONE};
  d->spec = json_new(JSON_OBJECT);
  if (!d->spec) return err_set(m->e, E_NOMEM, "no memory for a spec");
  for (int i = 0; i < spec_count(); i++) {
    const setting *s = &spec_settings()[i];
    if (s->neutral || !study_reads(r, s, st) || (s->kind == SETTING_FILE && !s->role)) continue;
    int rc = s->kind == SETTING_FILE ? file_setting(m, d, s, &r->value[i])
                                     : spec_put(m->e, d->spec, s->path, json_copy(r->value[i].v));
    if (rc != OK) return rc;
  }
  return OK;
}

static void drop_draft(draft *d) {
  json_free(d->spec);
  d->spec = NULL;
}

/* Beyond 2^53 JSON numbers lose digits, so large seeds are strings. */
static int put_seed(err *e, json *spec, const char *path, int64_t seed) {
  char digits[32];
  if (seed < INT64_C(1) << 53) return put_number(e, spec, path, (double)seed);
  snprintf(digits, sizeof digits, "%lld", (long long)seed);
  return put_text(e, spec, path, digits);
}

/* --- cells -------------------------------------------------------------------------------------------------------
 */

static int canonical(err *e, const json *j, char **out) {
  text t = {0};
  json_canonical(&t, j);
  int rc = text_ok(&t, e);
  if (rc == OK)
    *out = t.p;
  else
    text_free(&t);
  return rc;
}

/* What starts and bounds a scorer but is no part of what it measures. */
static int put_scorer_hints(err *e, const study_scorer *x, json *hints) {
  int rc = put_text(e, hints, "scorer.folder", x->folder);
  if (rc == OK) rc = put_number(e, hints, "scorer.timeout_s", x->timeout_s);
  if (rc == OK) rc = put_number(e, hints, "scorer.start_s", x->start_s);
  if (rc == OK) rc = put_number(e, hints, "scorer.failures", x->failures);
  return rc;
}

static int make_hints(maker *m, const draft *d, char **out) {
  json *j = json_new(JSON_OBJECT);
  int rc = j ? OK : err_set(m->e, E_NOMEM, "no memory for hints");
  for (int i = 0; rc == OK && i < spec_count(); i++) {
    const setting *s = &spec_settings()[i];
    if (s->neutral && study_reads(d->row, s, d->stage))
      rc = spec_put(m->e, j, s->path, json_copy(d->row->value[i].v));
  }
  if (rc == OK && d->scorer) rc = put_scorer_hints(m->e, d->scorer, j);
  if (rc == OK) rc = canonical(m->e, j, out);
  json_free(j);
  return rc;
}

static int make_axes(maker *m, const draft *d, char **out) {
  json *j = json_new(JSON_OBJECT);
  int rc = j ? OK : err_set(m->e, E_NOMEM, "no memory for axes");
  if (rc == OK && d->variant[0]) rc = put_text(m->e, j, "variant", d->variant);
  if (rc == OK && d->prompt) rc = put_text(m->e, j, "prompt", d->prompt);
  if (rc == OK && d->train_seed != SEED_NONE) rc = put_seed(m->e, j, "train_seed", d->train_seed);
  if (rc == OK && d->sample_seed != SEED_NONE) rc = put_seed(m->e, j, "sample_seed", d->sample_seed);
  if (rc == OK && d->set) rc = put_text(m->e, j, "set", d->set->id);
  if (rc == OK && d->set) rc = put_text(m->e, j, "against", d->set->against);
  if (rc == OK) rc = canonical(m->e, j, out);
  json_free(j);
  return rc;
}

/* Roles of clips of sets come after all others. */
static int copy_inputs(err *e, const draft *d, plan_input **out) {
  int rc = mem_new(e, (int64_t)d->n_inputs + d->n_clips, sizeof **out, "inputs", out);
  if (rc != OK) return rc;
  memcpy(*out, d->input, (size_t)d->n_inputs * sizeof **out);
  if (d->n_clips) memcpy(*out + d->n_inputs, d->clips, (size_t)d->n_clips * sizeof **out);
  return OK;
}

/* Appends the draft, or finds the cell that is the same work; takes the draft's spec. A draft whose files are missing
 * gives -1: the problem is recorded. */
static int add_cell(maker *m, draft *d, int64_t *out) {
  plan *p = m->plan;
  plan_cell c = {.stage = d->stage,
                 .variant = d->variant,
                 .prompt = d->prompt,
                 .train_seed = d->train_seed,
                 .sample_seed = d->sample_seed,
                 .n_inputs = d->n_inputs + d->n_clips};
  int rc = plan_key(m->e, d->stage, d->spec, d->input, d->n_inputs, c.key);
  if (rc == OK) *out = plan_find(p, c.key);
  if (rc == OK && *out < 0) {
    rc = copy_inputs(m->e, d, &c.input);
    if (rc == OK) rc = canonical(m->e, d->spec, &c.spec);
    if (rc == OK) rc = make_hints(m, d, &c.hints);
    if (rc == OK) rc = make_axes(m, d, &c.axes);
    if (rc == OK) rc = mem_grow(m->e, &p->cell, &p->cap, p->n + 1, sizeof c, "cells");
    if (rc == OK) rc = index_room(m->e, p);
    if (rc == OK) {
      *out = p->n;
      p->cell[p->n++] = c;
      index_put(p, *out);
      p->count[d->stage]++;
    } else {
      free(c.spec);
      free(c.hints);
      free(c.axes);
      free(c.input);
    }
  }
  drop_draft(d);
  return rc;
}

static int pretrain_cell(maker *m, const study_row *r, int64_t *out) {
  draft d;
  int rc = start_draft(m, r, STAGE_PRETRAIN, &d);
  if (rc == OK) return add_cell(m, &d, out);
  drop_draft(&d);
  return rc;
}

static int prepare_cell(maker *m, const study_row *r, int64_t *out) {
  draft d;
  int rc = start_draft(m, r, STAGE_PREPARE, &d);
  if (rc == OK) return add_cell(m, &d, out);
  drop_draft(&d);
  return rc;
}

static int train_cell(maker *m, const study_row *r, int64_t seed, int64_t *out) {
  draft d = {0};
  char name[DESIGN_TEXT];
  int64_t data;
  int rc = prepare_cell(m, r, &data);
  if (rc == OK) rc = start_draft(m, r, STAGE_TRAIN, &d);
  if (rc == OK) {
    plan_design(&r->design, OPTION_TRAIN, name);
    add_cell_input(m, &d, "data", data);
    d.variant = r->name;
    d.train_seed = seed;
    rc = put_text(m->e, d.spec, "design", name);
  }
  if (rc == OK) rc = put_seed(m->e, d.spec, "train_seed", seed);
  if (rc == OK) return add_cell(m, &d, out);
  drop_draft(&d);
  return rc;
}

enum { TOLD = 8 };           /* of the missing clips of a row */
#define UNREADABLE INT64_MAX /* as their number: the folder is told once */

/* The file of another program that is this clip; where there is none the draft gets no input. */
static int import_file(maker *m, const study_point *q, draft *d) {
  const study_row *r = &m->s->rows[q->row];
  const char *folder = r->value[spec_find("external.dir")].v->str, *prompt = m->s->prompts[q->prompt].id, *path;
  long long seed = (long long)q->sample_seed;
  const content *c = NULL;
  err why = {0};
  int64_t *missing = &m->missing[q->row];
  if (*missing == UNREADABLE) return OK;
  int rc = m->plan->files ? OK : external_open(m->e, &m->plan->files);
  if (rc == OK) rc = external_find(&why, m->plan->files, folder, prompt, q->sample_seed, &path);
  if (rc == OK && path) rc = file_content(m, r->at, "external.dir", path, &c);
  if (rc == OK && c) add_input(d, "file", c->sha, -1, c->path);
  if (rc == OK && !path && ++*missing <= TOLD)
    problem_error(m->p, r->at, "variant '%s': there is no clip %s/%s_%lld.* or %s/%s/%lld.*", r->name, folder, prompt,
                  seed, folder, prompt, seed);
  if (!why.code) return rc;
  if (why.code == E_NOMEM) return err_set(m->e, rc, "%s", why.text);
  *missing = UNREADABLE;
  problem_error(m->p, r->at, "variant '%s': %s", r->name, why.text);
  return OK;
}

/* A sample of a point by its row's design, or with trained -1 and design `base` by the base model. -1: its file is
 * missing. */
static int sample_cell(maker *m, const study_point *q, const design *by, int64_t trained, int64_t *out) {
  draft d;
  char name[DESIGN_TEXT];
  study_row row = m->s->rows[q->row]; /* as the settings are read by this design */
  const study_row *r = &m->s->rows[q->row];
  const study_prompt *prompt = &m->s->prompts[q->prompt];
  row.design = *by;
  *out = -1;
  int rc = start_draft(m, &row, STAGE_SAMPLE, &d);
  if (rc == OK && design_imports(by)) {
    rc = import_file(m, q, &d);
    if (rc != OK || !d.n_inputs) {
      drop_draft(&d);
      return rc;
    }
  }
  if (rc == OK) {
    plan_design(by, OPTION_TRAIN | OPTION_SAMPLE, name);
    if (trained >= 0) add_cell_input(m, &d, "adapter", trained);
    d.variant = by == &r->design ? r->name : "";
    d.train_seed = trained >= 0 ? q->train_seed : SEED_NONE;
    d.sample_seed = q->sample_seed;
    d.prompt = prompt->id;
    rc = put_text(m->e, d.spec, "design", name);
  }
  if (rc == OK) rc = put_text(m->e, d.spec, "prompt", prompt->text);
  if (rc == OK) rc = put_seed(m->e, d.spec, "sample_seed", q->sample_seed);
  if (rc == OK) return add_cell(m, &d, out);
  drop_draft(&d);
  return rc;
}

static int by_text(const void *a, const void *b) {
  return strcmp((*(const study_metric *const *)a)->id, (*(const study_metric *const *)b)->id);
}

/* One {"id", "version"} at the end of the list. */
static int push_metric(err *e, json *list, const char *id, int64_t version) {
  json *one = json_new(JSON_OBJECT);
  int rc = one ? put_text(e, one, "id", id) : err_set(e, E_NOMEM, "no memory for metrics");
  if (rc == OK) rc = put_number(e, one, "version", (double)version);
  if (rc != OK)
    json_free(one);
  else if (json_push(list, one) != OK)
    rc = err_set(e, E_NOMEM, "no memory for metrics");
  return rc;
}

/* Those measured in process, in the order of their texts: the order of a study's list is a matter of tables. */
static int put_metrics(maker *m, json *spec) {
  const study *s = m->s;
  const study_metric **order = NULL;
  int64_t n = 0;
  json *list = json_new(JSON_ARRAY);
  int rc = list ? mem_new(m->e, s->n_metrics, sizeof *order, "order of metrics", &order)
                : err_set(m->e, E_NOMEM, "no memory for metrics");
  for (int i = 0; rc == OK && i < s->n_metrics; i++)
    if (s->metrics[i].scorer < 0) order[n++] = &s->metrics[i];
  if (rc == OK) qsort(order, (size_t)n, sizeof *order, by_text);
  for (int64_t i = 0; rc == OK && i < n; i++) rc = push_metric(m->e, list, order[i]->id, order[i]->version);
  free(order);
  if (rc == OK) return spec_put(m->e, spec, "metrics", list);
  json_free(list);
  return rc;
}

static int needs(const study *s, unsigned what, int gain) {
  for (int i = 0; i < s->n_metrics; i++) {
    const metric_request *r = &s->metrics[i].request;
    if (s->metrics[i].scorer >= 0) continue;
    if ((r->metric->needs & what) || (gain && r->gain)) return 1;
  }
  return 0;
}

/* Scores read the VAE only when asked for latents, so that no other study's scores depend on it. */
static int add_vae(maker *m, draft *d) {
  int i = spec_find("model.vae");
  return needs(m->s, METRIC_NEEDS_LATENTS, 0) ? file_setting(m, d, &spec_settings()[i], &d->row->value[i]) : OK;
}

static int score_cell(maker *m, int64_t point, int64_t partner, int64_t base, int64_t *out) {
  draft d;
  const study_point *q = &m->s->points[point];
  int rc = start_draft(m, &m->s->rows[q->row], STAGE_SCORE, &d);
  if (rc == OK) {
    add_cell_input(m, &d, "sample", m->sample[point]);
    if (partner >= 0) add_cell_input(m, &d, "partner", partner);
    if (base >= 0) add_cell_input(m, &d, "base", base);
    d.variant = m->s->rows[q->row].name;
    d.prompt = m->s->prompts[q->prompt].id;
    d.train_seed = q->train_seed;
    d.sample_seed = q->sample_seed;
    rc = add_vae(m, &d);
    if (rc == OK) rc = put_metrics(m, d.spec);
  }
  if (rc == OK) return add_cell(m, &d, out);
  drop_draft(&d);
  return rc;
}

/* --- scorers -----------------------------------------------------------------------------------------------------
 */

/* The whole of what a scorer is, for its cells' specs: its command as written and its card. */
static int scorer_spec(err *e, const study_scorer *x, json **out) {
  int rc = OK;
  json *j = json_new(JSON_OBJECT), *argv = json_new(JSON_ARRAY), *card = NULL;
  for (int i = 0; i < x->n_argv; i++)
    if (json_push(argv, json_new_string(x->argv[i])) != OK) FAIL(e, E_NOMEM, "no memory for a scorer");
  rc = json_set(j, "argv", argv);
  argv = NULL;
  if (rc == OK) rc = card_json(e, &x->card, &card);
  if (rc == OK) rc = json_set(j, "card", card);
  if (rc != OK) FAIL(e, rc, "no memory for a scorer");
  *out = j;
  j = NULL;
out:
  json_free(argv);
  json_free(j);
  return rc;
}

/* The input "scorer": one hash of what it is, which also lets its cells be claimed together. */
static int add_scorer_input(maker *m, draft *d, const json *what) {
  char *bytes = NULL, sha[HASH_HEX];
  int rc = canonical(m->e, what, &bytes);
  if (rc == OK) rc = hash_bytes(m->e, bytes, strlen(bytes), sha);
  if (rc == OK) add_input(d, "scorer", sha, -1, d->scorer->argv[0]);
  free(bytes);
  return rc;
}

static int put_measures(err *e, const study_scorer *x, json *spec) {
  json *list = json_new(JSON_ARRAY);
  int rc = list ? OK : err_set(e, E_NOMEM, "no memory for metrics");
  for (int i = 0; rc == OK && i < x->card.n; i++) {
    char id[METRIC_TEXT];
    snprintf(id, sizeof id, "%s/%s", x->id, x->card.measure[i].id);
    rc = push_metric(e, list, id, x->card.measure[i].version);
  }
  if (rc == OK) return spec_put(e, spec, "metrics", list);
  json_free(list);
  return rc;
}

/* Reads no setting: the clip, its prompt and its seeds are all a scorer is told. */
static int scorer_cell(maker *m, const study_scorer *x, int64_t point, int64_t base, int64_t *out) {
  const study_point *q = &m->s->points[point];
  const study_prompt *prompt = &m->s->prompts[q->prompt];
  draft d = {.stage = STAGE_SCORE,
             .row = &m->s->rows[q->row],
             .scorer = x,
             .variant = m->s->rows[q->row].name,
             .prompt = prompt->id,
             .train_seed = q->train_seed,
             .sample_seed = q->sample_seed,
             .spec = json_new(JSON_OBJECT)};
  json *what = NULL;
  int rc = scorer_spec(m->e, x, &what);
  add_cell_input(m, &d, "sample", m->sample[point]);
  if (base >= 0) add_cell_input(m, &d, "base", base);
  if (rc == OK) rc = add_scorer_input(m, &d, what);
  if (rc == OK) {
    rc = spec_put(m->e, d.spec, "scorer", what);
    what = NULL;
  }
  if (rc == OK) rc = put_measures(m->e, x, d.spec);
  if (rc == OK) rc = put_text(m->e, d.spec, "prompt", prompt->text);
  if (rc == OK) rc = put_seed(m->e, d.spec, "sample_seed", q->sample_seed);
  if (rc == OK && q->train_seed != SEED_NONE) rc = put_seed(m->e, d.spec, "train_seed", q->train_seed);
  json_free(what);
  if (rc == OK) return add_cell(m, &d, out);
  drop_draft(&d);
  return rc;
}

/* --- the matrix --------------------------------------------------------------------------------------------------
 */

static int make_training(maker *m) {
  for (int64_t i = 0; i < m->s->n_points; i++) {
    const study_point *q = &m->s->points[i];
    m->train[i] = -1;
    if (q->train_seed == SEED_NONE) continue;
    /* neighbours in the matrix mostly share their training */
    const study_point *last = i > 0 ? q - 1 : NULL;
    int same = last && last->row == q->row && last->train_seed == q->train_seed;
    int rc = same ? OK : train_cell(m, &m->s->rows[q->row], q->train_seed, &m->train[i]);
    if (rc != OK) return rc;
    if (same) m->train[i] = m->train[i - 1];
  }
  return OK;
}

static int make_samples(maker *m) {
  int rc = mem_new(m->e, m->s->n_rows, sizeof *m->missing, "missing clips", &m->missing);
  if (rc != OK) return rc;
  for (int64_t i = 0; i < m->s->n_points; i++) {
    const study_point *q = &m->s->points[i];
    const study_row *r = &m->s->rows[q->row];
    int64_t before = m->plan->n;
    rc = sample_cell(m, q, &r->design, m->train[i], &m->sample[i]);
    if (rc != OK) return rc;
    if (m->plan->n == before && m->sample[i] >= 0)
      problem_error(m->p, r->at, "variants '%s' and '%s' are the same work: same design, same settings", r->name,
                    m->plan->cell[m->sample[i]].variant);
  }
  for (int i = 0; i < m->s->n_rows; i++)
    if (m->missing[i] > TOLD && m->missing[i] != UNREADABLE)
      problem_error(m->p, m->s->rows[i].at, "variant '%s': and %lld clips more", m->s->rows[i].name,
                    (long long)m->missing[i] - TOLD);
  return problems_result(m->p, m->e); /* scores rest on samples */
}

typedef struct seat {
  const study *s;
  int64_t point;
} seat;

static int by_group(const void *a, const void *b) {
  const seat *x = a, *y = b;
  const study_point *p = &x->s->points[x->point], *q = &y->s->points[y->point];
  if (p->row != q->row) return p->row < q->row ? -1 : 1;
  if (p->train_seed != q->train_seed) return p->train_seed < q->train_seed ? -1 : 1;
  if (p->prompt != q->prompt) return p->prompt < q->prompt ? -1 : 1;
  return x->point < y->point ? -1 : x->point > y->point;
}

static int same_group(const study *s, int64_t a, int64_t b) {
  const study_point *p = &s->points[a], *q = &s->points[b];
  return p->row == q->row && p->train_seed == q->train_seed && p->prompt == q->prompt;
}

/* partner[i]: sample cell of the next seed of the same prompt, the first after the last; -1 with one seed only. */
static int find_partners(maker *m, int64_t *partner) {
  const study *s = m->s;
  int64_t n = s->n_points;
  seat *order = NULL;
  int rc = mem_new(m->e, n, sizeof *order, "order of points", &order);
  if (rc != OK) return rc;
  for (int64_t i = 0; i < n; i++) order[i] = (seat){s, i};
  qsort(order, (size_t)n, sizeof *order, by_group);
  for (int64_t from = 0, to; from < n; from = to) {
    for (to = from + 1; to < n && same_group(s, order[from].point, order[to].point);) to++;
    for (int64_t i = from; i < to; i++) {
      int64_t next = i + 1 < to ? i + 1 : from;
      partner[order[i].point] = next == i ? -1 : m->sample[order[next].point];
    }
  }
  free(order);
  return OK;
}

/* Only the clips some metric looks at are inputs, so that e.g. a study of alpha statistics waits for no partner. */
static int make_scores(maker *m) {
  const study *s = m->s;
  int with_partner = needs(s, 0, 1), with_base = needs(s, METRIC_NEEDS_BASE | METRIC_NEEDS_BASE_TRUTH, 0), rc = OK;
  int in_process = 0, base_for_all = with_base;
  int64_t *partner = NULL, *base = NULL;
  design plain;
  TRY(mem_new(m->e, s->n_points, sizeof *partner, "partners", &partner));
  TRY(mem_new(m->e, s->n_points, sizeof *base, "base samples", &base));
  TRY(design_parse(m->e, "base", &plain));
  TRY(find_partners(m, partner));
  for (int i = 0; i < s->n_metrics; i++) in_process |= s->metrics[i].scorer < 0;
  for (int i = 0; i < s->n_scorers; i++) base_for_all |= s->scorers[i]->card.wants_base;
  for (int64_t i = 0; i < s->n_points; i++) {
    base[i] = -1;
    if (base_for_all) TRY(sample_cell(m, &s->points[i], &plain, -1, &base[i]));
    if (!with_partner) partner[i] = -1;
  }
  for (int64_t i = 0; i < s->n_points && in_process; i++)
    TRY(score_cell(m, i, partner[i], with_base ? base[i] : -1, &m->plan->score[i]));
  for (int k = 0; k < s->n_scorers; k++)
    for (int64_t i = 0; i < s->n_points; i++) {
      int64_t cell;
      TRY(scorer_cell(m, s->scorers[k], i, s->scorers[k]->card.wants_base ? base[i] : -1, &cell));
      if (!in_process && k == 0) m->plan->score[i] = cell;
    }
out:
  free(partner);
  free(base);
  return rc;
}

/* --- scores of sets ----------------------------------------------------------------------------------------------
 */

/* Clips of one side while they are collected. */
typedef struct clip_list {
  int64_t *cell;
  char (*key)[HASH_HEX]; /* sorted */
  int64_t n, cap;
} clip_list;

static void drop_list(clip_list *l) {
  free(l->cell);
  free(l->key);
  *l = (clip_list){0};
}

static int add_clip(err *e, clip_list *l, int64_t cell) {
  int rc = mem_grow(e, &l->cell, &l->cap, l->n + 1, sizeof *l->cell, "clips of a set");
  if (rc == OK) l->cell[l->n++] = cell;
  return rc;
}

typedef struct keyed {
  const char *key;
  int64_t cell;
} keyed;

static int by_key(const void *a, const void *b) {
  return strcmp(((const keyed *)a)->key, ((const keyed *)b)->key);
}

/* Sorted by key, each once: a set has no order. */
static int sort_clips(const maker *m, clip_list *l) {
  keyed *order = NULL;
  int rc = OK;
  int64_t kept = 0;
  TRY(mem_new(m->e, l->n, sizeof *order, "clips of a set", &order));
  TRY(mem_new(m->e, l->n, sizeof *l->key, "clips of a set", &l->key));
  for (int64_t i = 0; i < l->n; i++) order[i] = (keyed){m->plan->cell[l->cell[i]].key, l->cell[i]};
  qsort(order, (size_t)l->n, sizeof *order, by_key);
  for (int64_t i = 0; i < l->n; i++) {
    if (i && order[i].cell == order[i - 1].cell) continue;
    memcpy(l->key[kept], order[i].key, HASH_HEX);
    l->cell[kept++] = order[i].cell;
  }
  l->n = kept;
out:
  free(order);
  return rc;
}

/* The clips of the points `order[0 .. n-1]`, which are those of one row and train seed; or with `plain` the base
 * model's of the same points. */
static int clips_of_points(maker *m, const seat *order, int64_t n, const design *plain, clip_list *out) {
  int rc = OK;
  for (int64_t i = 0; i < n; i++) {
    int64_t cell = m->sample[order[i].point];
    if (plain) TRY(sample_cell(m, &m->s->points[order[i].point], plain, -1, &cell));
    TRY(add_clip(m->e, out, cell));
  }
out:
  return rc;
}

/* The clips of a row: those of the train seed, or all when it has none of that seed. */
static int clips_of_row(maker *m, int row, int64_t train_seed, clip_list *out) {
  int rc = OK, any = 0;
  const study *s = m->s;
  for (int64_t i = 0; i < s->n_points; i++) any |= s->points[i].row == row && s->points[i].train_seed == train_seed;
  for (int64_t i = 0; i < s->n_points; i++)
    if (s->points[i].row == row && (!any || s->points[i].train_seed == train_seed))
      TRY(add_clip(m->e, out, m->sample[i]));
out:
  return rc;
}

/* The settings that say which clips the data are, as the prepare stage of the row reads them. */
static int put_data(maker *m, draft *d) {
  int rc = OK;
  for (int i = 0; i < spec_count(); i++) {
    const setting *s = &spec_settings()[i];
    if (strncmp(s->path, "data.", 5) != 0 || s->neutral || !study_reads(d->row, s, STAGE_PREPARE)) continue;
    TRY(s->kind == SETTING_FILE ? file_setting(m, d, s, &d->row->value[i])
                                : spec_put(m->e, d->spec, s->path, json_copy(d->row->value[i].v)));
  }
out:
  return rc;
}

static int put_set(err *e, const study_set *set, json *spec) {
  const set_metric *x = set->request.metric;
  int rc = put_text(e, spec, "set.id", set->id);
  if (rc == OK) rc = put_number(e, spec, "set.version", x->version);
  if (rc == OK) rc = put_number(e, spec, "set.features", x->extractor->version);
  return rc;
}

static void put_side(char side, const clip_list *l, plan_input *to) {
  for (int64_t i = 0; i < l->n; i++) {
    to[i] = (plan_input){.cell = l->cell[i]};
    set_cell_role(side, i, to[i].role);
    memcpy(to[i].hash, l->key[i], HASH_HEX);
  }
}

/* y of a comparison with the data has no clips. A cell that is already there is another entry's. */
static int set_cell(maker *m, const study_set *set, const study_point *q, const clip_list *x, const clip_list *y) {
  draft d = {.stage = STAGE_SCORE,
             .row = &m->s->rows[q->row],
             .set = set,
             .variant = m->s->rows[q->row].name,
             .train_seed = q->train_seed,
             .sample_seed = SEED_NONE,
             .n_clips = (int)(x->n + y->n),
             .spec = json_new(JSON_OBJECT)};
  char hex[HASH_HEX];
  plan_input *clips = NULL;
  int64_t before = m->plan->n, cell;
  int rc = OK;
  TRY(mem_new(m->e, x->n + y->n, sizeof *clips, "clips of sets", &clips));
  put_side('x', x, clips);
  put_side('y', y, clips + x->n);
  d.clips = clips;
  TRY(put_set(m->e, set, d.spec));
  TRY(set_cell_hash(m->e, x->key, x->n, hex));
  TRY(put_text(m->e, d.spec, "clips.x", hex));
  if (set->reference == REFERENCE_DATA) {
    TRY(put_data(m, &d));
  } else {
    TRY(set_cell_hash(m->e, y->key, y->n, hex));
    TRY(put_text(m->e, d.spec, "clips.y", hex));
  }
  TRY(add_cell(m, &d, &cell)); /* takes the spec, whatever comes of it */
  m->plan->n_sets += m->plan->n > before;
  if (m->plan->n == before)
    problem_error(m->p, set->at, "score of sets '%s' against '%s' is the same work as an entry before it", set->id,
                  set->against);
out:
  drop_draft(&d);
  free(clips);
  return rc;
}

/* One row and train seed. Nothing to do where the reference is the set itself. */
static int compare_group(maker *m, const study_set *set, const seat *group, int64_t n, const design *plain) {
  clip_list x = {0}, y = {0};
  const study_point *q = &m->s->points[group[0].point];
  int rc = OK;
  TRY(clips_of_points(m, group, n, NULL, &x));
  if (set->reference == REFERENCE_BASE) TRY(clips_of_points(m, group, n, plain, &y));
  if (set->reference == REFERENCE_ROW) TRY(clips_of_row(m, set->row, q->train_seed, &y));
  TRY(sort_clips(m, &x));
  TRY(sort_clips(m, &y));
  if (x.n != y.n || memcmp(x.key, y.key, (size_t)x.n * sizeof *x.key) != 0) TRY(set_cell(m, set, q, &x, &y));
out:
  drop_list(&x);
  drop_list(&y);
  return rc;
}

static int make_sets(maker *m) {
  const study *s = m->s;
  seat *order = NULL;
  design plain;
  int rc = OK;
  if (!s->n_sets) return OK;
  TRY(design_parse(m->e, "base", &plain));
  TRY(mem_new(m->e, s->n_points, sizeof *order, "order of points", &order));
  for (int64_t i = 0; i < s->n_points; i++) order[i] = (seat){s, i};
  qsort(order, (size_t)s->n_points, sizeof *order, by_group);
  for (int k = 0; k < s->n_sets; k++) {
    const study_set *set = &s->sets[k];
    if (set->reference == REFERENCE_ROW && !s->rows[set->row].in_matrix)
      problem_error(m->p, set->at, "variant '%s' has no clips in the matrix to compare with", set->against);
    for (int64_t from = 0, to; from < s->n_points; from = to) {
      const study_point *q = &s->points[order[from].point], *p;
      for (to = from + 1; to < s->n_points; to++) {
        p = &s->points[order[to].point];
        if (p->row != q->row || p->train_seed != q->train_seed) break;
      }
      TRY(compare_group(m, set, order + from, to - from, &plain));
    }
  }
out:
  free(order);
  return rc;
}

static int make_all(maker *m) {
  int64_t n = m->s->n_points;
  int rc = mem_new(m->e, n, sizeof *m->train, "cells", &m->train);
  if (rc == OK) rc = mem_new(m->e, n, sizeof *m->sample, "cells", &m->sample);
  if (rc == OK) rc = mem_new(m->e, n, sizeof *m->plan->score, "cells", &m->plan->score);
  if (rc == OK) rc = mem_new(m->e, 1, sizeof *m->plan->index, "index of cells", &m->plan->index);
  if (rc == OK) rc = make_training(m);
  if (rc == OK) rc = make_samples(m);
  if (rc == OK) rc = make_scores(m);
  if (rc == OK) rc = make_sets(m);
  if (rc == OK) rc = problems_result(m->p, m->e);
  return rc;
}

int plan_make(err *e, const study *s, const plan_source *from, problems *p, plan **out) {
  maker m = {.e = e, .p = p, .s = s, .from = from};
  *out = NULL;
  int rc = mem_new(e, 1, sizeof *m.plan, "plan", &m.plan);
  if (rc == OK) rc = make_all(&m);
  free(m.files);
  free(m.train);
  free(m.sample);
  free(m.missing);
  if (rc == OK)
    *out = m.plan;
  else
    plan_free(m.plan);
  return rc;
}

void plan_free(plan *p) {
  if (!p) return;
  for (int64_t i = 0; i < p->n; i++) {
    free(p->cell[i].spec);
    free(p->cell[i].hints);
    free(p->cell[i].axes);
    free(p->cell[i].input);
  }
  if (p->index) free(p->index->slot);
  free(p->index);
  external_close(p->files);
  free(p->cell);
  free(p->score);
  free(p);
}
