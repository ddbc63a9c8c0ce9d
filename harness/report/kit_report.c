#include "report/kit_report.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/query.h"

/* --- votes --------------------------------------------------------------------------------------------------------
 */

typedef struct gathered {
  stats_votes votes;
  stats_vote *list;
  int32_t *prompt; /* [key's prompts] index among those with votes, or -1 */
} gathered;

static double share_of_a(kit_choice c, int a_is_left) {
  if (c == KIT_TIE) return 0.5;
  return (c == KIT_LEFT) == (a_is_left != 0);
}

/* Votes about one question; only prompts with votes count, since the bootstrap draws among what was asked. */
static int gather(err *e, const kit_key *k, const kit_votes *v, int64_t question, gathered *g) {
  int rc = OK;
  *g = (gathered){.votes = {.variants = k->n_variants}};
  TRY(mem_new(e, k->plan.first[k->plan.participants], sizeof *g->list, "votes", &g->list));
  TRY(mem_new(e, k->n_prompts, sizeof *g->prompt, "votes", &g->prompt));
  for (int64_t i = 0; i < k->n_prompts; i++) g->prompt[i] = -1;
  for (int64_t i = 0; i < v->n; i++) {
    const kit_packet *p = &v->at[i];
    if (p->verdict != KIT_ACCEPTED) continue;
    int64_t first = k->plan.first[p->participant - 1], n = k->plan.first[p->participant] - first;
    for (int64_t t = 0; t < n; t++) {
      const kit_trial *x = &k->plan.trial[first + t];
      if (x->left == KIT_BROKEN || x->right == KIT_BROKEN) continue;
      if (g->prompt[x->prompt] < 0) g->prompt[x->prompt] = (int32_t)g->votes.prompts++;
      int a_is_left = x->left < x->right;
      g->list[g->votes.n++] =
          (stats_vote){.prompt = g->prompt[x->prompt],
                       .voter = (int32_t)g->votes.voters,
                       .a = a_is_left ? x->left : x->right,
                       .b = a_is_left ? x->right : x->left,
                       .share = share_of_a((kit_choice)p->choice[t * k->n_questions + question], a_is_left)};
    }
    g->votes.voters++;
  }
  g->votes.v = g->list;
out:
  return rc;
}

static void gathered_free(gathered *g) {
  free(g->list), free(g->prompt);
}

static int summarise(err *e, const gathered *g, const kit_report_options *o, kit_result *out) {
  int rc = OK;
  stats_votes_options b = {.replicates = o->replicates, .seed = o->seed, .level = o->level};
  out->votes = g->votes.n, out->prompts = g->votes.prompts;
  for (int64_t i = 0; i < g->votes.n; i++) out->ties += g->list[i].share == 0.5;
  TRY(stats_prefer(e, &g->votes, &b, &out->preference));
  TRY(stats_vote_agreement(e, &g->votes, &out->alpha, &out->units, &out->alpha_defined));
out:
  return rc;
}

/* --- metrics ------------------------------------------------------------------------------------------------------
 */

typedef struct scores {
  double *value; /* [metrics][prompts][variants] */
  unsigned char *defined;
} scores;

static int64_t index_of(const char *name, char *const *list, int64_t n) {
  for (int64_t i = 0; name && i < n; i++)
    if (!strcmp(list[i], name)) return i;
  return -1;
}

static int64_t prompt_of(const kit_key *k, const char *id) {
  for (int64_t i = 0; id && i < k->n_prompts; i++)
    if (!strcmp(k->prompts[i].id, id)) return i;
  return -1;
}

static void take_score(const kit_key *k, const store_score *s, scores *out) {
  int64_t v = index_of(s->variant, k->variants, k->n_variants), p = prompt_of(k, s->prompt_id);
  if (v < 0 || p < 0 || s->kind != KIND_FINITE || s->backdrop[0]) return;
  const kit_seeds *seeds = &k->clips[p * k->n_variants + v];
  if (seeds->train != s->train_seed || seeds->sample != s->sample_seed) return; /* not the clip that was shown */
  for (int64_t m = 0; m < k->n_metrics; m++) {
    if (k->metrics[m].version != s->version || strcmp(k->metrics[m].id, s->metric)) continue;
    int64_t at = (m * k->n_prompts + p) * k->n_variants + v;
    out->value[at] = k->metrics[m].direction == METRIC_DOWN ? -s->value : s->value;
    out->defined[at] = 1;
  }
}

/* The scores of the clips that were shown; *why says why there are none. */
static int scores_read(err *e, const kit_key *k, store *s, scores *out, const char **why) {
  int rc = OK;
  store_studies known = {0};
  store_scores list = {0};
  int64_t n = k->n_metrics * k->n_prompts * k->n_variants;
  err missing = {0};
  *why = "no store with the study's scores was given";
  TRY(mem_new(e, n, sizeof *out->value, "scores", &out->value));
  TRY(mem_new(e, n, 1, "scores", &out->defined));
  if (!s) goto out;
  *why = "the store does not have the study";
  if (store_study_list(s, &missing, k->study, &known) != OK) goto out;
  *why = "the study was changed since the questionnaire was made";
  if (strcmp(known.at[0].spec_sha256, k->spec_sha256)) goto out;
  TRY(store_score_list(s, e, known.at[0].study_id, &list));
  for (int64_t i = 0; i < list.n; i++) take_score(k, &list.at[i], out);
  *why = NULL;
out:
  store_studies_free(&known);
  store_scores_free(&list);
  return rc;
}

/* Points of one metric and the mean vote share of every prompt and ordered pair. */
typedef struct points {
  double *share, *count; /* [prompts with votes][variants][variants] */
  double *x, *y;
  int32_t *cluster, *group;
  int64_t n;
} points;

static int points_open(err *e, const kit_key *k, const gathered *g, points *p) {
  int rc = OK;
  int64_t n = k->n_variants, all = g->votes.prompts * n * n;
  *p = (points){0};
  TRY(mem_new(e, all, sizeof *p->share, "agreement", &p->share));
  TRY(mem_new(e, all, sizeof *p->count, "agreement", &p->count));
  TRY(mem_new(e, all, sizeof *p->x, "agreement", &p->x));
  TRY(mem_new(e, all, sizeof *p->y, "agreement", &p->y));
  TRY(mem_new(e, all, sizeof *p->cluster, "agreement", &p->cluster));
  TRY(mem_new(e, all, sizeof *p->group, "agreement", &p->group));
  for (int64_t i = 0; i < g->votes.n; i++) {
    const stats_vote *v = &g->list[i];
    int64_t ab = (v->prompt * n + v->a) * n + v->b, ba = (v->prompt * n + v->b) * n + v->a;
    p->share[ab] += v->share, p->count[ab]++;
    p->share[ba] += 1 - v->share, p->count[ba]++;
  }
out:
  return rc;
}

static void points_close(points *p) {
  free(p->share), free(p->count), free(p->x), free(p->y), free(p->cluster), free(p->group);
}

static void points_fill(const kit_key *k, const gathered *g, const scores *s, int64_t m, points *p) {
  int64_t n = k->n_variants;
  p->n = 0;
  for (int64_t q = 0; q < k->n_prompts; q++)
    for (int64_t i = 0; g->prompt[q] >= 0 && i < n * n; i++) {
      int64_t a = i / n, b = i % n, at = g->prompt[q] * n * n + i, row = (m * k->n_prompts + q) * n;
      if (!(p->count[at] > 0) || !s->defined[row + a] || !s->defined[row + b]) continue;
      p->x[p->n] = s->value[row + a] - s->value[row + b];
      p->y[p->n] = p->share[at] / p->count[at];
      p->cluster[p->n] = g->prompt[q], p->group[p->n++] = (int32_t)i;
    }
}

static int agree(err *e, const kit_key *k, const gathered *g, const scores *s, int64_t question,
                 const kit_report_options *o, kit_report *out) {
  int rc = OK;
  points p;
  TRY(points_open(e, k, g, &p));
  for (int64_t m = 0; m < k->n_metrics; m++) {
    stats_correlation c;
    if (k->metrics[m].direction == METRIC_NONE) continue;
    points_fill(k, g, s, m, &p);
    stats_points list = {.n = p.n,
                         .x = p.x,
                         .y = p.y,
                         .cluster = p.cluster,
                         .group = p.group,
                         .clusters = g->votes.prompts,
                         .groups = k->n_variants * k->n_variants};
    TRY(stats_correlate(e, &list, o->replicates, o->seed, o->level, &c));
    out->agreement[out->n_agreements++] =
        (kit_agreement){.question = question, .metric = m, .items = p.n / 2, .rho = c.spearman[STATS_POOLED]};
  }
out:
  points_close(&p);
  return rc;
}

int kit_report_make(err *e, const kit_key *k, const kit_votes *v, store *s, const kit_report_options *o,
                    kit_report *out) {
  int rc = OK;
  scores sc = {0};
  gathered g = {0};
  const char *why;
  *out = (kit_report){.level = o->level};
  for (int64_t i = 0; i < v->n; i++) out->packets[v->at[i].verdict]++;
  TRY(mem_new(e, k->n_questions, sizeof *out->question, "results", &out->question));
  TRY(mem_new(e, k->n_questions * k->n_metrics, sizeof *out->agreement, "results", &out->agreement));
  TRY(scores_read(e, k, s, &sc, &why));
  if (why) TRY(mem_strdup(e, why, &out->no_agreement));
  for (int64_t q = 0; q < k->n_questions; q++) {
    TRY(gather(e, k, v, q, &g));
    TRY(summarise(e, &g, o, &out->question[q]));
    if (!why) TRY(agree(e, k, &g, &sc, q, o, out));
    gathered_free(&g);
    g = (gathered){0};
  }
out:
  gathered_free(&g);
  free(sc.value), free(sc.defined);
  if (rc != OK) kit_report_free(out, k);
  return rc;
}

void kit_report_free(kit_report *r, const kit_key *k) {
  for (int64_t q = 0; r->question && q < k->n_questions; q++) stats_preference_free(&r->question[q].preference);
  free(r->question), free(r->agreement), free(r->no_agreement);
  *r = (kit_report){0};
}
