#include "store/register.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "metrics/describe.h"
#include "store/db.h"

static int put_study(store *s, err *e, const store_study *st, int64_t now_ms, int64_t *id) {
  stmt q;
  int row, rc = stmt_open(&q, s, e,
                          "INSERT INTO study(name, spec_sha256, spec_json, created_ms) VALUES(?,?,?,?)"
                          " ON CONFLICT(name) DO UPDATE SET spec_sha256=excluded.spec_sha256,"
                          " spec_json=excluded.spec_json RETURNING study_id");
  if (rc != OK) return rc;
  stmt_text(&q, st->name);
  stmt_text(&q, st->spec_sha256);
  stmt_text(&q, st->spec_json);
  stmt_int(&q, now_ms);
  rc = stmt_row(&q, &row);
  if (rc == OK) *id = row ? stmt_i64(&q, 0, 0) : 0;
  if (rc == OK && row) rc = stmt_run(&q);
  stmt_close(&q);
  if (rc != OK) return rc;
  TRY(stmt_open(&q, s, e, "DELETE FROM study_cell WHERE study_id=?"));
  stmt_int(&q, *id);
  rc = stmt_run(&q);
  stmt_close(&q);
out:
  return rc;
}

static int put_prompts(store *s, err *e, const store_study *st) {
  stmt q;
  int rc = stmt_open(&q, s, e,
                     "INSERT INTO prompt(prompt_id, sha256, text, category) VALUES(?,?,?,?) ON CONFLICT(prompt_id)"
                     " DO UPDATE SET sha256=excluded.sha256, text=excluded.text, category=excluded.category");
  for (int64_t i = 0; rc == OK && i < st->n_prompts; i++) {
    const store_prompt *p = &st->prompts[i];
    char sha[HASH_HEX];
    rc = hash_bytes(e, p->text, strlen(p->text), sha);
    if (rc != OK) break;
    stmt_text(&q, p->id);
    stmt_text(&q, sha);
    stmt_text(&q, p->text);
    stmt_text(&q, p->category);
    rc = stmt_run(&q);
  }
  stmt_close(&q);
  return rc;
}

/* The stored row must say the same as the plan: a key that meets another spec is a bug or an edited store. */
static int put_cell(stmt *q, err *e, const store_cell *c) {
  if (strspn(c->key, "0123456789abcdef") != 64 || c->key[64])
    return err_set(e, E_ARG, "'%.80s' is not a cell key (64 hex digits)", c->key);
  stmt_text(q, c->key);
  stmt_int(q, c->key_version);
  stmt_text(q, stage_name(c->stage));
  stmt_text(q, c->spec_json);
  stmt_int(q, c->priority);
  stmt_int(q, c->max_tries > 0 ? c->max_tries : 2);
  int row, rc = stmt_row(q, &row);
  if (rc != OK) return rc;
  if (!row || !stmt_i64(q, 0, 0)) {
    stmt_reset(q);
    return err_set(e, E_STORE, "cell %.12s is stored with another stage or spec; verify the store and report this",
                   c->key);
  }
  return stmt_run(q);
}

static int put_cells(store *s, err *e, const store_study *st) {
  stmt cell = {0}, input = {0};
  int rc = OK;
  TRY(stmt_open(&cell, s, e,
                "INSERT INTO cell(key, key_version, stage, spec_json, priority, max_tries) VALUES(?1,?2,?3,?4,?5,?6)"
                " ON CONFLICT(key) DO UPDATE SET priority=min(priority, excluded.priority),"
                " max_tries=excluded.max_tries RETURNING stage=?3 AND spec_json=?4"));
  for (int64_t i = 0; i < st->n_cells; i++) TRY(put_cell(&cell, e, &st->cells[i]));
  TRY(stmt_open(&input, s, e,
                "INSERT INTO cell_input(key, role, input_key, input_sha256) VALUES(?,?,?,?) ON CONFLICT DO NOTHING"));
  for (int64_t i = 0; i < st->n_cells; i++) {
    const store_cell *c = &st->cells[i];
    for (int64_t j = 0; j < c->n_inputs; j++) {
      stmt_text(&input, c->key);
      stmt_text(&input, c->inputs[j].role);
      stmt_text(&input, c->inputs[j].key);
      stmt_text(&input, c->inputs[j].sha256);
      TRY(stmt_run(&input));
    }
  }
out:
  stmt_close(&cell);
  stmt_close(&input);
  return rc;
}

static int put_axes(store *s, err *e, const store_study *st, int64_t id) {
  stmt q;
  int row, rc = stmt_open(&q, s, e,
                          "INSERT INTO study_cell(study_id, key, variant, train_seed, sample_seed, prompt_id,"
                          " axes_json) VALUES(?,?,?,?,?,?,?)"
                          " ON CONFLICT(study_id, key) DO UPDATE SET variant=variant RETURNING variant");
  for (int64_t i = 0; rc == OK && i < st->n_cells; i++) {
    const store_cell *c = &st->cells[i];
    stmt_int(&q, id);
    stmt_text(&q, c->key);
    stmt_text(&q, c->variant);
    stmt_seed(&q, c->train_seed);
    stmt_seed(&q, c->sample_seed);
    stmt_text(&q, c->prompt_id);
    stmt_text(&q, c->axes_json ? c->axes_json : "{}");
    rc = stmt_row(&q, &row);
    if (rc != OK) break;
    const char *kept = row ? stmt_str(&q, 0) : NULL;
    if (c->stage == STAGE_SCORE && kept && strcmp(kept, c->variant) != 0)
      rc = err_set(e, E_ARG, "variants '%s' and '%s' are the same experiment (score %.12s); remove one", kept,
                   c->variant, c->key);
    if (rc == OK && row) rc = stmt_run(&q);
  }
  stmt_close(&q);
  return rc;
}

int store_register(store *s, err *e, const store_study *st, int64_t now_ms, int64_t *study_id) {
  int rc = db_begin(s, e);
  if (rc != OK) return rc;
  TRY(put_study(s, e, st, now_ms, study_id));
  TRY(put_prompts(s, e, st));
  TRY(put_cells(s, e, st));
  TRY(put_axes(s, e, st, *study_id));
  TRY(db_settle(s, e));
out:
  return db_end(s, e, rc);
}

/* One definition; *same = 0 when the store knows the metric with another meaning. */
static int put_metric(stmt *q, const store_metric *m, int *same) {
  int row, rc;
  stmt_text(q, m->metric);
  stmt_int(q, m->version);
  stmt_text(q, m->direction);
  stmt_text(q, m->unit);
  stmt_real(q, m->lo); /* open ends are NULL */
  stmt_real(q, m->hi);
  stmt_text(q, m->plane);
  stmt_int(q, m->needs_ref ? 1 : 0);
  stmt_text(q, m->doc);
  rc = stmt_row(q, &row);
  if (rc != OK) return rc;
  *same = row && stmt_i64(q, 0, 0);
  return row ? stmt_run(q) : OK;
}

int store_metrics(store *s, err *e, const store_metric *m, int64_t n) {
  stmt q = {0};
  int same, rc = db_begin(s, e);
  if (rc != OK) return rc;
  TRY(stmt_open(&q, s, e,
                "INSERT INTO metric_def(metric, version, direction, unit, lo, hi, plane, needs_ref, doc)"
                " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9) ON CONFLICT(metric, version) DO UPDATE SET doc=excluded.doc"
                " RETURNING direction=?3 AND unit IS ?4 AND lo IS ?5 AND hi IS ?6 AND plane=?7 AND needs_ref=?8"));
  for (int64_t i = 0; i < n; i++) {
    TRY(put_metric(&q, &m[i], &same));
    if (!same)
      FAIL(e, E_ARG,
           "metric %s version %lld is stored with another direction, unit, range or plane; a metric that changes "
           "needs a new version",
           m[i].metric, (long long)m[i].version);
  }
out:
  stmt_close(&q);
  return db_end(s, e, rc);
}

int store_put_build(store *s, err *e, const store_build *b) {
  stmt q = {0};
  int rc = db_begin(s, e);
  if (rc != OK) return rc;
  TRY(stmt_open(&q, s, e,
                "INSERT INTO build(build_id, git_sha, git_dirty, diff_sha256, binary_sha256, compiler, flags, cuda,"
                " libs_json) VALUES(?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING"));
  stmt_text(&q, b->build_id);
  stmt_text(&q, b->git_sha);
  stmt_int(&q, b->git_dirty ? 1 : 0);
  stmt_text(&q, b->diff_sha256);
  stmt_text(&q, b->binary_sha256);
  stmt_text(&q, b->compiler);
  stmt_text(&q, b->flags);
  stmt_text(&q, b->cuda);
  stmt_text(&q, b->libs_json ? b->libs_json : "{}");
  TRY(stmt_run(&q));
out:
  stmt_close(&q);
  return db_end(s, e, rc);
}

int store_put_host(store *s, err *e, const store_host *h) {
  stmt q = {0};
  int rc = db_begin(s, e);
  if (rc != OK) return rc;
  TRY(stmt_open(&q, s, e,
                "INSERT INTO host(host_id, os, kernel, cpu, ncpu, ram_bytes, gpu_json, scheduler_json)"
                " VALUES(?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING"));
  stmt_text(&q, h->host_id);
  stmt_text(&q, h->os);
  stmt_text(&q, h->kernel);
  stmt_text(&q, h->cpu);
  stmt_int(&q, h->ncpu);
  stmt_int(&q, h->ram_bytes);
  stmt_text(&q, h->gpu_json ? h->gpu_json : "[]");
  stmt_text(&q, h->scheduler_json);
  TRY(stmt_run(&q));
out:
  stmt_close(&q);
  return db_end(s, e, rc);
}

/* --- from a plan ----------------------------------------------------------------------------------------------- */

/* The score of a set cell and what it measures beside it; names of those are kept in `room`. */
static void set_to_metrics(const study_set *set, char (*room)[METRIC_TEXT + 32], store_metric *m) {
  const set_metric *x = set->request.metric;
  const char *plane = metric_plane_name(x->plane);
  *m++ = (store_metric){.metric = set->id,
                        .version = x->version,
                        .direction = metric_direction_name(x->direction),
                        .unit = x->unit,
                        .lo = x->lo,
                        .hi = x->hi,
                        .plane = plane,
                        .needs_ref = 1,
                        .doc = x->help};
  for (const set_fact *f = set_facts(); f->name; f++, room++) {
    snprintf(*room, sizeof *room, "%s#%s", set->id, f->name);
    *m++ = (store_metric){.metric = *room,
                          .version = x->version,
                          .direction = "none",
                          .unit = f->unit,
                          .lo = f->lo,
                          .hi = f->hi,
                          .plane = plane,
                          .needs_ref = 1,
                          .doc = f->help};
  }
}

static int put_study_metrics(store *s, err *e, const study *st) {
  store_metric *m = NULL;
  char(*room)[METRIC_TEXT + 32] = NULL;
  int64_t n = st->n_metrics;
  int rc = OK;
  TRY(mem_new(e, n + (int64_t)st->n_sets * (1 + FACT_COUNT), sizeof *m, "metrics", &m));
  TRY(mem_new(e, (int64_t)st->n_sets * FACT_COUNT, sizeof *room, "metrics", &room));
  for (int i = 0; i < st->n_metrics; i++) {
    const study_metric *from = &st->metrics[i];
    m[i] = (store_metric){.metric = from->id,
                          .version = from->version,
                          .direction = metric_direction_name(from->direction),
                          .unit = from->unit,
                          .lo = from->lo,
                          .hi = from->hi,
                          .plane = metric_plane_name(from->plane),
                          .needs_ref = from->needs_ref,
                          .doc = from->help};
  }
  for (int i = 0; i < st->n_sets; i++, n += 1 + FACT_COUNT)
    set_to_metrics(&st->sets[i], room + (int64_t)i * FACT_COUNT, m + n);
  rc = store_metrics(s, e, m, n);
out:
  free(m);
  free(room);
  return rc;
}

static void plan_to_cell(const plan *p, int64_t i, store_cell *cell, store_input *input) {
  const plan_cell *c = &p->cell[i];
  for (int j = 0; j < c->n_inputs; j++) {
    const plan_input *in = &c->input[j];
    input[j].role = in->role;
    if (in->cell >= 0) {
      input[j].key = in->hash;
    } else {
      input[j].sha256 = in->hash;
    }
  }
  *cell = (store_cell){.key = c->key,
                       .key_version = PLAN_KEY_VERSION,
                       .stage = c->stage,
                       .spec_json = c->spec,
                       .priority = 100 + i,
                       .inputs = input,
                       .n_inputs = c->n_inputs,
                       .variant = c->variant,
                       .train_seed = c->train_seed,
                       .sample_seed = c->sample_seed,
                       .prompt_id = c->prompt,
                       .axes_json = c->axes};
}

int store_register_plan(store *s, err *e, const study *st, const plan *p, int64_t now_ms, int64_t *study_id) {
  store_prompt *prompts = NULL;
  store_cell *cells = NULL;
  store_input *inputs = NULL;
  int64_t n_inputs = 0;
  int rc = OK;
  TRY(put_study_metrics(s, e, st));
  TRY(mem_new(e, st->n_prompts, sizeof *prompts, "prompts", &prompts));
  TRY(mem_new(e, p->n, sizeof *cells, "cells", &cells));
  for (int64_t i = 0; i < p->n; i++) n_inputs += p->cell[i].n_inputs;
  TRY(mem_new(e, n_inputs, sizeof *inputs, "inputs", &inputs));
  for (int i = 0; i < st->n_prompts; i++) {
    const study_prompt *from = &st->prompts[i];
    prompts[i] = (store_prompt){from->id, from->text, from->category[0] ? from->category : NULL};
  }
  n_inputs = 0;
  for (int64_t i = 0; i < p->n; n_inputs += p->cell[i++].n_inputs) plan_to_cell(p, i, &cells[i], inputs + n_inputs);
  TRY(store_register(s, e,
                     &(store_study){.name = st->name,
                                    .spec_sha256 = st->sha256,
                                    .spec_json = st->text,
                                    .prompts = prompts,
                                    .n_prompts = st->n_prompts,
                                    .cells = cells,
                                    .n_cells = p->n},
                     now_ms, study_id));
out:
  free(prompts);
  free(cells);
  free(inputs);
  return rc;
}
