#include "cli/costs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "model/block_vae.h"
#include "model/words.h"
#include "train.h"

static int trains(const layout *l) {
  return l->lora || l->domain || l->widened || l->exchange;
}

static int add(err *e, const plan_request *r, const cost_line *head, cost_table *to) {
  int rc = OK;
  TRY(mem_grow(e, &to->at, &to->cap, to->n + 1, sizeof *to->at, "table of costs"));
  cost_line *line = &to->at[to->n];
  *line = *head;
  line->pass = r->train ? "train" : "sample";
  line->recompute = r->level != NULL;
  line->batch = r->batch;
  for (int i = 0; r->train && i < r->cfg.layers; i++) line->at_level[r->level ? r->level[i] : 0]++;
  TRY(plan_measure(e, r, &line->cost));
  to->n++;
out:
  return rc;
}

int costs_measure(err *e, const plan_request *r, const char *model, const char *name, int sample_batch,
                  cost_table *to) {
  int rc = OK;
  plan_request q = *r;
  cost_line head = {.model = model};
  unsigned char *input_only = NULL;
  snprintf(head.design, sizeof head.design, "%s", name);
  TRY(mem_new(e, r->cfg.layers, 1, "levels", &input_only));
  memset(input_only, 2, (size_t)r->cfg.layers);
  for (int recompute = 0; recompute < 2 && trains(&r->l); recompute++) {
    q.train = 1;
    q.level = recompute ? input_only : NULL;
    q.pieces = recompute ? TRAIN_PIECES : 1;
    TRY(add(e, &q, &head, to));
  }
  q.train = 0;
  q.level = NULL;
  q.pieces = 1;
  q.batch = sample_batch;
  TRY(add(e, &q, &head, to));
out:
  free(input_only);
  if (rc != OK) err_prefix(e, "%s, design %s", model, name);
  return rc;
}

int costs_fit(err *e, const plan_request *r, const char *model, const char *name, cost_table *to) {
  int rc = OK, fits = 0;
  unsigned char *level = NULL;
  if (!trains(&r->l)) return OK;
  TRY(mem_new(e, r->cfg.layers, 1, "levels", &level));
  TRY(mem_grow(e, &to->at, &to->cap, to->n + 1, sizeof *to->at, "table of costs"));
  cost_line *line = &to->at[to->n];
  *line = (cost_line){.model = model, .pass = "train", .batch = r->batch};
  snprintf(line->design, sizeof line->design, "%s", name);
  TRY(plan_fit(e, r, to->budget, level, &line->cost, &fits));
  for (int i = 0; i < r->cfg.layers; i++) line->at_level[level[i]]++;
  line->recompute = line->at_level[0] < r->cfg.layers;
  line->misfit = !fits;
  to->n++;
out:
  free(level);
  if (rc != OK) err_prefix(e, "%s, design %s", model, name);
  return rc;
}

static int measure_design(err *e, const plan_request *r, const char *model, const char *name, int sample_batch,
                          cost_table *to) {
  int rc = OK;
  plan_request q = *r;
  design d;
  const int64_t before = to->n;
  TRY(design_parse(e, name, &d));
  design_layout(&d, &q.l);
  rc = to->budget ? costs_fit(e, &q, model, name, to) : costs_measure(e, &q, model, name, sample_batch, to);
  if (rc == E_UNSUPPORTED) {
    if (!to->without[0]) snprintf(to->without, sizeof to->without, "%.250s", e->text);
    err_clear(e);
    to->n = before;
    rc = OK;
  }
out:
  return rc;
}

/* An alias may say what a variant's name says already. */
static int is_plain(const design_alias *a) {
  for (const variant *const *v = variant_list(); *v; v++)
    if (!strcmp((*v)->name, a->meaning)) return 1;
  return 0;
}

int costs_designs(err *e, const plan_request *r, const char *model, int sample_batch, cost_table *to) {
  int rc = OK;
  for (const variant *const *v = variant_list(); *v; v++)
    TRY(measure_design(e, r, model, (*v)->name, sample_batch, to));
  for (const design_alias *a = design_aliases(); a->name; a++)
    if (!is_plain(a)) TRY(measure_design(e, r, model, a->name, sample_batch, to));
out:
  return rc;
}

static const json *value(const study_row *r, const char *path) {
  return r->value[spec_find(path)].v;
}

static int whole(const study_row *r, const char *path) {
  return (int)value(r, path)->num;
}

int costs_row(err *e, const study_row *r, cost_table *to) {
  int rc = OK;
  json *j = NULL;
  if (design_imports(&r->design)) return OK;
  const char *config = value(r, "model.config")->str, *slash = strrchr(config, '/');
  const json *size = value(r, "data.size");
  plan_request q = {.shape = {.rank = whole(r, "train.rank")},
                    .batch = whole(r, "train.batch"),
                    .frames = whole(r, "data.frames") / BLOCK_VAE_FRAMES,
                    .height = (int)json_at(size, 0)->num / BLOCK_VAE_SIDE,
                    .width = (int)json_at(size, 1)->num / BLOCK_VAE_SIDE,
                    .n_text = WORDS_ROWS};
  TRY(json_read(e, config, &j));
  TRY(dit_config_read(e, j, config, &q.cfg));
  design_layout(&r->design, &q.l);
  /* guidance runs the pass with and without the caption */
  TRY(costs_measure(e, &q, slash ? slash + 1 : config, r->name, value(r, "sample.guidance")->num == 1 ? 1 : 2, to));
out:
  json_free(j);
  return rc;
}

/* FLOPs of the sampling line of one row. */
static int pass_flops(err *e, const study_row *r, double *flops) {
  cost_table t = {0};
  int rc = OK;
  TRY(costs_row(e, r, &t));
  for (int64_t i = 0; i < t.n; i++)
    if (strcmp(t.at[i].pass, "sample") == 0) *flops = t.at[i].cost.flops;
out:
  costs_free(&t);
  return rc;
}

int costs_clip(err *e, const study_row *r, double *flops) {
  int rc = OK;
  study_row first = *r;
  layout l;
  double own = NAN, before = 0;
  *flops = NAN;
  if (design_imports(&r->design)) return OK;
  design_layout(&r->design, &l);
  TRY(pass_flops(e, r, &own));
  if (l.two_pass) {
    TRY(design_parse(e, "base", &first.design));
    TRY(pass_flops(e, &first, &before));
  }
  *flops = (own + before) * whole(r, "sample.steps");
out:
  return rc;
}

/* Of what is trained, with gradient, moments and copy. */
static double adapter_bytes(const plan_bytes *b) {
  return (double)(b->masters + b->gradients + b->moments + b->copies);
}

static void add_levels(grid *g, const cost_line *l) {
  if (l->pass[0] == 't')
    grid_add(g, "%d/%d/%d%s", l->at_level[0], l->at_level[1], l->at_level[2], l->misfit ? ", too much" : "");
  else
    grid_add(g, " ");
}

void costs_text(const cost_table *t, text *out) {
  static const char *const head[] = {"model",   "design", "pass",    "levels", "batch", "trained", "weights",
                                     "adapter", "kept",   "working", "tables", "total", "FLOP"};
  grid g = {.cols = sizeof head / sizeof head[0]};
  char s[GRID_SHORT];
  for (int i = 0; i < g.cols; i++) grid_add_text(&g, head[i]);
  for (int64_t i = 0; i < t->n; i++) {
    const cost_line *l = &t->at[i];
    grid_add_text(&g, l->model);
    grid_add_text(&g, l->design);
    grid_add(&g, "%s%s", l->pass, l->recompute ? ", recompute" : "");
    add_levels(&g, l);
    grid_add(&g, "%d", l->batch);
    grid_count((double)l->cost.trained, s);
    grid_add_text(&g, s);
    const plan_bytes *m = &l->cost.memory;
    const double bytes[] = {(double)m->weights, adapter_bytes(m),  (double)m->kept,
                            (double)m->working, (double)m->tables, (double)m->total};
    for (size_t b = 0; b < sizeof bytes / sizeof bytes[0]; b++) {
      grid_bytes(bytes[b], s);
      grid_add_text(&g, s);
    }
    grid_count(l->cost.flops, s);
    grid_add_text(&g, s);
  }
  grid_print(&g, out);
  grid_free(&g);
}

static void set_memory(json **j, const cost_line *l) {
  const plan_bytes *m = &l->cost.memory;
  json *levels = json_new(JSON_ARRAY), *bytes = json_new(JSON_OBJECT);
  for (int i = 0; i < 3; i++) {
    json *n = json_new(JSON_NUMBER);
    if (n) n->num = l->at_level[i], n->is_int = 1;
    cli_push(&levels, n);
  }
  cli_set(j, "blocks_at_level", levels);
  cli_set_bool(j, "fits", !l->misfit);
  const struct {
    const char *name;
    size_t bytes;
  } all[] = {{"weights", m->weights}, {"masters", m->masters}, {"gradients", m->gradients},
             {"moments", m->moments}, {"copies", m->copies},   {"kept", m->kept},
             {"working", m->working}, {"tables", m->tables},   {"workspace", m->workspace}};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) cli_set_int(&bytes, all[i].name, (int64_t)all[i].bytes);
  cli_set(j, "bytes", bytes);
  cli_set_number(j, "activation_bytes", (double)l->cost.arena);
  cli_set_int(j, "total_bytes", (int64_t)m->total);
}

json *costs_json(const cost_table *t) {
  json *list = json_new(JSON_ARRAY);
  for (int64_t i = 0; i < t->n; i++) {
    const cost_line *l = &t->at[i];
    json *j = json_new(JSON_OBJECT);
    cli_set_text(&j, "model", l->model);
    cli_set_text(&j, "design", l->design);
    cli_set_text(&j, "pass", l->pass);
    cli_set_bool(&j, "recompute", l->recompute);
    cli_set_int(&j, "batch", l->batch);
    cli_set_int(&j, "params", l->cost.params);
    cli_set_int(&j, "trained", l->cost.trained);
    set_memory(&j, l);
    cli_set_number(&j, "flops", l->cost.flops);
    cli_set_number(&j, "moved_bytes", l->cost.bytes);
    cli_push(&list, j);
  }
  return list;
}

void costs_free(cost_table *t) {
  free(t->at);
  *t = (cost_table){0};
}
