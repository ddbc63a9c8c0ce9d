/* tandem why: what decided that a cell is done, or is not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/pick.h"
#include "cli/study.h"
#include "cli/verbs.h"
#include "run/nearest.h"
#include "run/standing.h"

typedef struct why_args {
  study_args study;
  const char *plan;
  cli_list args;
  int64_t most;
} why_args;

static const cli_option options[] = {
    {.name = "plan",
     .kind = CLI_TEXT,
     .offset = offsetof(why_args, plan),
     .value = "STUDY",
     .help = "ask about the cells of this study as its file is now, also those that the store does not have"},
    {.name = "arg",
     .kind = CLI_TEXTS,
     .offset = offsetof(why_args, args),
     .value = "NAME=VALUE",
     .help = "an argument of the --plan study"},
    STUDY_OPTIONS(why_args),
    {.name = "most",
     .kind = CLI_INT,
     .offset = offsetof(why_args, most),
     .value = "N",
     .help = "explain so many cells; 0: all that were chosen",
     .initial = "20",
     .hi = 1e12},
    {.name = NULL},
};

/* One cell in question. */
typedef struct question {
  const char *key;
  cell_place place;
  const store_cell_row *row; /* NULL: the store does not have it */
  const plan_cell *planned;  /* NULL: not asked, or not in the plan */
  store_state state;         /* of a planned cell, as a run would find it */
} question;

typedef struct asker {
  cli *c;
  store *s; /* NULL: there is none */
  loaded_study l;
  store_state *state; /* [plan cells] */
  picked stored;      /* all cells of the store, each once */
  question *q;
  int64_t n, cap, chosen;
  json *list;
  text t;
} asker;

/* --- the cells in question --- */

static int ask(asker *a, const question *q, int64_t most) {
  int rc = OK;
  if (most && a->chosen++ >= most) return OK;
  TRY(mem_grow(&a->c->err, &a->q, &a->cap, a->n + 1, sizeof *a->q, "questions"));
  a->q[a->n++] = *q;
out:
  return rc;
}

static const store_cell_row *row_of(const asker *a, const char *key) {
  for (int64_t i = 0; i < a->stored.n; i++)
    if (!strcmp(a->stored.at[i]->key, key)) return a->stored.at[i];
  return NULL;
}

static int ask_plan(asker *a, const selector *want, int64_t most) {
  int rc = OK;
  const plan *p = a->l.p;
  int64_t now = store_now_ms();
  for (int64_t i = 0; i < p->n; i++) {
    const plan_cell *x = &p->cell[i];
    question q = {.key = x->key,
                  .place = {x->stage, x->variant, x->prompt, x->train_seed, x->sample_seed},
                  .row = row_of(a, x->key),
                  .planned = x,
                  .state = a->state[i]};
    select_facts f = q.row ? pick_facts(q.row, now) : (select_facts){.state = store_state_name(q.state)};
    f.key = x->key;
    f.stage = stage_name(x->stage);
    f.study = a->l.s->name;
    f.variant = x->variant;
    f.prompt = x->prompt;
    f.train_seed = x->train_seed;
    f.sample_seed = x->sample_seed;
    if (select_match(want, &f)) TRY(ask(a, &q, most));
  }
out:
  return rc;
}

static int ask_store(asker *a, const selector *want, int64_t most) {
  int rc = OK;
  int64_t now = store_now_ms();
  for (int64_t i = 0; i < a->stored.all.n; i++) {
    const store_cell_row *r = &a->stored.all.at[i];
    select_facts f = pick_facts(r, now);
    if (a->n && !strcmp(a->q[a->n - 1].key, r->key)) continue;
    question q = {.key = r->key, .place = pick_place(r), .row = r, .state = r->state};
    if (select_match(want, &f)) TRY(ask(a, &q, most));
  }
out:
  return rc;
}

/* --- reasons --- */

typedef struct reason {
  const char *word; /* for programs */
  text why;
} reason;

static const store_attempt_row *attempt_of(const store_attempts *l, int64_t id) {
  for (int64_t i = 0; i < l->n; i++)
    if (l->at[i].attempt_id == id) return &l->at[i];
  return NULL;
}

static void done_reason(const store_cell_row *r, const store_attempts *l, reason *out) {
  const store_attempt_row *x = attempt_of(l, r->done_attempt_id);
  out->word = "done";
  text_add(&out->why, "done");
  if (!x) return;
  text_addf(&out->why, " by attempt %lld in %.1f s", (long long)x->n, (double)(x->ended_ms - x->started_ms) / 1000);
  if (x->build_id) text_addf(&out->why, ", build %.12s", x->build_id);
  if (x->host_id) text_addf(&out->why, ", host %.12s", x->host_id);
  text_addf(&out->why, "; the same key is a hit");
}

/* What stands in the way of a cell whose inputs are not done. */
static int upstream_reason(asker *a, const char *key, reason *out) {
  int rc = OK;
  store_cells up = {0};
  TRY(store_lineage(a->s, &a->c->err, key, 0, &up));
  int shown = 0, bad = 0;
  for (int64_t i = 0; i < up.n; i++) bad |= up.at[i].state == CELL_FAILED || up.at[i].state == CELL_SKIPPED;
  for (int64_t i = 0; i < up.n && shown < 3; i++) {
    const store_cell_row *u = &up.at[i];
    int stops = u->state == CELL_FAILED || u->state == CELL_SKIPPED;
    if (!u->depth || u->state == CELL_DONE || (bad && !stops)) continue;
    text_addf(&out->why, "%s %s %.12s (%s%s%.200s)", shown++ ? "," : " by", stage_name(u->stage), u->key,
              store_state_name(u->state), stops && u->fail_msg ? ": " : "", stops && u->fail_msg ? u->fail_msg : "");
  }
out:
  store_cells_free(&up);
  return rc;
}

static void failed_reason(const store_cell_row *r, reason *out) {
  out->word = "failed";
  text_addf(&out->why, "failed after %lld attempt%s, class %s: %.600s; not tried again without `retry`",
            (long long)r->attempts, r->attempts == 1 ? "" : "s", r->fail_class ? r->fail_class : "lost",
            r->fail_msg ? r->fail_msg : "no reason was recorded");
}

static int stored_reason(asker *a, const question *q, reason *out) {
  int rc = OK;
  const store_cell_row *r = q->row;
  store_attempts l = {0};
  out->word = store_state_name(r->state);
  switch (r->state) {
  case CELL_DONE:
    TRY(store_attempt_list(a->s, &a->c->err, r->key, &l));
    done_reason(r, &l, out);
    break;
  case CELL_FAILED: failed_reason(r, out); break;
  case CELL_SKIPPED: text_add(&out->why, "cancelled; `retry` takes it back"); break;
  case CELL_RUNNING:
    if (r->lease_until_ms < store_now_ms()) out->word = "lost";
    text_addf(&out->why, "%s, attempt %lld, worker %s",
              r->lease_until_ms < store_now_ms() ? "lost: its lease expired" : "running", (long long)r->attempts,
              r->lease_owner ? r->lease_owner : "?");
    break;
  case CELL_READY:
    text_add(&out->why, "ready: its inputs are done and nothing has run it yet");
    if (r->fail_msg) text_addf(&out->why, "; the last attempt ended with: %.300s", r->fail_msg);
    break;
  default:
    text_add(&out->why, r->state == CELL_BLOCKED ? "blocked" : "held up");
    TRY(upstream_reason(a, r->key, out));
  }
out:
  store_attempts_free(&l);
  return rc;
}

/* --- differences --- */

typedef struct shower {
  json **list;
  text *t;
  int64_t n;
} shower;

static int show_difference(void *user, err *e, const char *path, const char *before, const char *after) {
  shower *s = user;
  (void)e;
  s->n++;
  if (s->list) {
    json *j = json_new(JSON_OBJECT);
    cli_set_text(&j, "path", path);
    cli_set_text(&j, "before", before);
    cli_set_text(&j, "after", after);
    cli_push(s->list, j);
  } else {
    text_addf(s->t, "    %s: %.200s -> %.200s\n", path, before ? before : "(absent)", after ? after : "(absent)");
  }
  return OK;
}

static int differences(asker *a, const question *q, const store_cell_row *near, shower *show) {
  int rc = OK;
  leaves before = {0}, after = {0};
  TRY(cell_leaves(&a->c->err, a->s, a->l.p, near->key, &before));
  TRY(cell_leaves(&a->c->err, a->s, a->l.p, q->key, &after));
  TRY(leaves_differ(&a->c->err, &before, &after, show_difference, show));
out:
  leaves_free(&before);
  leaves_free(&after);
  return rc;
}

/* Cells that are done need no neighbour; a planned cell that the store knows has its own history. */
static int find_near(asker *a, const question *q, const store_cell_row **out) {
  int rc = OK;
  int64_t at = -1;
  *out = NULL;
  if (q->row || !a->s) return OK;
  nearest_request r = {.s = a->s,
                       .p = a->l.p,
                       .key = q->key,
                       .among = &a->stored.all,
                       .stage = q->place.stage,
                       .variant = q->place.variant,
                       .prompt = q->place.prompt,
                       .train_seed = q->place.train_seed,
                       .sample_seed = q->place.sample_seed};
  TRY(cell_nearest(&a->c->err, &r, &at));
  if (at >= 0) *out = &a->stored.all.at[at];
out:
  return rc;
}

static int answer_text(asker *a, const question *q, const reason *why, const store_cell_row *near) {
  int rc = OK;
  shower show = {.t = &a->t};
  pick_place_text(&q->place, &a->t);
  text_addf(&a->t, " %.12s\n  %s\n", q->key, why->why.p ? why->why.p : "");
  if (!near) return OK;
  text_addf(&a->t, "  the stored cell most like it is %.12s (%s); from it to this one:\n", near->key,
            store_state_name(near->state));
  TRY(differences(a, q, near, &show));
  if (!show.n) text_add(&a->t, "    nothing it reads: the code epoch of the stage or the version of keys\n");
out:
  return rc;
}

static int answer_json(asker *a, const question *q, const reason *why, const store_cell_row *near) {
  int rc = OK;
  json *j = json_new(JSON_OBJECT), *list = json_new(JSON_ARRAY);
  shower show = {.list = &list};
  cli_set_text(&j, "key", q->key);
  pick_place_json(&q->place, &j);
  cli_set_text(&j, "reason", why->word);
  cli_set_text(&j, "text", why->why.p);
  cli_set_text(&j, "nearest", near ? near->key : NULL);
  if (near) rc = differences(a, q, near, &show);
  cli_set(&j, "differences", list);
  cli_push(&a->list, j);
  return rc;
}

static int answer(asker *a, const question *q) {
  int rc = OK;
  reason why = {.word = "absent"};
  const store_cell_row *near = NULL;
  if (q->row)
    TRY(stored_reason(a, q, &why));
  else
    text_addf(&why.why, "not done: the store has no cell of this key%s",
              q->state == CELL_BLOCKED ? ", and what it is made from failed" : "");
  TRY(find_near(a, q, &near));
  TRY(text_ok(&why.why, &a->c->err));
  TRY(a->c->json ? answer_json(a, q, &why, near) : answer_text(a, q, &why, near));
out:
  text_free(&why.why);
  return rc;
}

/* --- the verb --- */

static int open_all(asker *a, const why_args *w) {
  int rc = OK;
  cli *c = a->c;
  TRY(store_open(&c->err, c->results, STORE_READ, &a->s));
  TRY(store_cells_each(a->s, &c->err, &a->stored.all));
  TRY(mem_new(&c->err, a->stored.all.n, sizeof *a->stored.at, "cells", &a->stored.at));
  for (int64_t i = 0; i < a->stored.all.n; i++) a->stored.at[a->stored.n++] = &a->stored.all.at[i];
  if (!w->plan) return OK;
  TRY(loaded_study_named(c, w->plan, &w->study, &w->args, &a->l));
  TRY(mem_new(&c->err, a->l.p->n, sizeof *a->state, "states", &a->state));
  TRY(standing_of(&c->err, a->s, a->l.p, a->state));
out:
  return rc;
}

static int run(cli *c, const void *args) {
  int rc = OK;
  const why_args *w = args;
  asker a = {.c = c, .list = json_new(JSON_ARRAY)};
  selector *want = NULL;
  TRY(pick_selector(c, SELECT_ALL, &want));
  TRY(open_all(&a, w));
  TRY(w->plan ? ask_plan(&a, want, w->most) : ask_store(&a, want, w->most));
  if (!a.n)
    FAIL(&c->err, E_ARG, "no cell matches%s", w->plan ? "" : "; --plan STUDY asks about cells that were never run");
  for (int64_t i = 0; i < a.n; i++) TRY(answer(&a, &a.q[i]));
  if (a.chosen > a.n) cli_note(c, "%lld more cells match; --most 0 explains them all", (long long)(a.chosen - a.n));
  if (c->json) {
    rc = cli_put_json(c, a.list);
    a.list = NULL;
  } else {
    rc = cli_put(c, &a.t);
  }
out:
  json_free(a.list);
  text_free(&a.t);
  free(a.q);
  free(a.state);
  select_free(want);
  picked_free(&a.stored);
  loaded_study_close(&a.l);
  store_close(a.s);
  return rc;
}

const cli_verb verb_why = {
    .name = "why",
    .group = "look inside",
    .help = "why a cell is done, failed, blocked or would be run again",
    .usage = "KEY|SELECTOR...",
    .about =
        "For a stored cell: which attempt made it, what it failed of, what it waits for. With --plan the cells of a\n"
        "study file as it is now: for one the store does not have, the stored cell most like it (of the same stage,\n"
        "variant, seeds and prompt where there is one) and every setting and input in which they differ, down to "
        "the\n"
        "first stage. Selectors: docs/running.md.",
    .examples = "tandem why 81bbe6052e81\n"
                "tandem why state=failed,blocked\n"
                "tandem why --plan ablation variant=ours stage=train\n"
                "tandem why --plan ablation --set train.steps=1200 stage=score seed=0 prompt=in-01 --json",
    .exits = CLI_EXIT_STORE,
    .shared = CLI_RESULTS | CLI_JSON | CLI_CONFIGS | CLI_OUTPUT,
    .options = options,
    .max_words = -1,
    .args_size = sizeof(why_args),
    .run = run,
};
