/* The report of a user study for people (terminal, Markdown) and for programs (CSV, JSON). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "report/kit_report.h"
#include "report/render.h"
#include "report/width.h"

/* --- tables for people --------------------------------------------------------------------------------------------
 */

enum { MOST_COLUMNS = 8 };

typedef struct grid_text {
  text *out;
  int markdown, columns;
  char **cell; /* row by row, the head first */
  int64_t n, cap;
} grid_text;

static int add(err *e, grid_text *g, const char *s) {
  int rc = OK;
  TRY(mem_grow(e, &g->cell, &g->cap, g->n + 1, sizeof *g->cell, "table"));
  TRY(mem_strdup(e, s, &g->cell[g->n]));
  g->n++;
out:
  return rc;
}

static int add_all(err *e, grid_text *g, const char *const *list, int n) {
  int rc = OK;
  for (int i = 0; i < n; i++) TRY(add(e, g, list[i]));
out:
  return rc;
}

static int add_count(err *e, grid_text *g, int64_t n) {
  char s[32];
  snprintf(s, sizeof s, "%lld", (long long)n);
  return add(e, g, s);
}

/* "0.625", or a dash where it is undefined. */
static int add_value(err *e, grid_text *g, const stats_estimate *v, int plus) {
  char s[32];
  render_number(v->value, 3, plus, s);
  return add(e, g, v->defined ? s : "\xe2\x80\x94");
}

static int add_interval(err *e, grid_text *g, double lo, double hi, int there) {
  char a[32], b[32], s[80];
  render_number(lo, 3, 0, a);
  render_number(hi, 3, 0, b);
  snprintf(s, sizeof s, "[%s, %s]", a, b);
  return add(e, g, there ? s : "\xe2\x80\x94");
}

/* Names come from study files: what is markup there is text here. */
static void put_markdown(text *out, const char *s) {
  for (; *s; s++) {
    if (strchr("\\`*_{}[]|#~<>&", *s)) text_add(out, "\\");
    text_addn(out, s, 1);
  }
}

static void put_grid_row(const grid_text *g, const int *width, int64_t row) {
  for (int c = 0; c < g->columns; c++) {
    const char *s = g->cell[row * g->columns + c];
    if (g->markdown) {
      text_add(g->out, "| ");
      put_markdown(g->out, s);
      text_add(g->out, c + 1 < g->columns ? " " : " |\n");
    } else if (c + 1 < g->columns) {
      text_add_cell(g->out, s, width[c], 0);
      text_add(g->out, "  ");
    } else {
      text_addf(g->out, "%s\n", s);
    }
  }
}

static void put_grid(grid_text *g) {
  int width[MOST_COLUMNS] = {0};
  for (int64_t i = 0; i < g->n; i++) {
    int w = text_width(g->cell[i]);
    if (w > width[i % g->columns]) width[i % g->columns] = w;
  }
  for (int64_t r = 0; r < g->n / g->columns; r++) {
    put_grid_row(g, width, r);
    if (r || !g->markdown) continue;
    for (int c = 0; c < g->columns; c++) text_add(g->out, "| --- ");
    text_add(g->out, "|\n");
  }
  text_add(g->out, "\n");
  for (int64_t i = 0; i < g->n; i++) free(g->cell[i]);
  g->n = 0;
}

static int put_variants(err *e, grid_text *g, const kit_key *k, const kit_result *q, double level) {
  static const char *const head[] = {"variant",   "votes",     "ties",     "win rate",
                                     "clustered", "if indep.", "strength", "clustered"};
  int rc = OK;
  const stats_preference *p = &q->preference;
  g->columns = 8;
  TRY(add_all(e, g, head, g->columns));
  for (int64_t v = 0; v < p->variants; v++) {
    double won = 0, ties = 0, n = 0, lo, hi;
    for (int64_t w = 0; w < p->variants; w++) {
      int64_t vw = v * p->variants + w, wv = w * p->variants + v;
      won += p->wins[vw] + p->ties[vw] / 2, ties += p->ties[vw];
      n += p->wins[vw] + p->wins[wv] + p->ties[vw];
    }
    stats_wilson(won, n, level, &lo, &hi);
    TRY(add(e, g, k->variants[v]));
    TRY(add_count(e, g, (int64_t)n));
    TRY(add_count(e, g, (int64_t)ties));
    TRY(add_value(e, g, &p->rate[v], 0));
    TRY(add_interval(e, g, p->rate[v].lo, p->rate[v].hi, p->rate[v].replicates > 0));
    TRY(add_interval(e, g, lo, hi, n > 0));
    TRY(add_value(e, g, &p->strength[v], 1));
    TRY(add_interval(e, g, p->strength[v].lo, p->strength[v].hi, p->strength[v].replicates > 0));
  }
  put_grid(g);
out:
  return rc;
}

static int put_pairs(err *e, grid_text *g, const kit_key *k, const kit_result *q, double level) {
  static const char *const head[] = {"pair", "votes", "won", "ties", "lost", "share", "clustered", "if indep."};
  int rc = OK;
  char name[300];
  const stats_preference *p = &q->preference;
  g->columns = 8;
  TRY(add_all(e, g, head, g->columns));
  for (int64_t a = 0; a < p->variants; a++)
    for (int64_t b = a + 1; b < p->variants; b++) {
      int64_t ab = a * p->variants + b, ba = b * p->variants + a;
      double n = p->wins[ab] + p->wins[ba] + p->ties[ab], lo, hi;
      stats_wilson(p->wins[ab] + p->ties[ab] / 2, n, level, &lo, &hi);
      snprintf(name, sizeof name, "%.120s - %.120s", k->variants[a], k->variants[b]);
      TRY(add(e, g, name));
      TRY(add_count(e, g, (int64_t)n));
      TRY(add_count(e, g, (int64_t)p->wins[ab]));
      TRY(add_count(e, g, (int64_t)p->ties[ab]));
      TRY(add_count(e, g, (int64_t)p->wins[ba]));
      TRY(add_value(e, g, &p->pair[ab], 0));
      TRY(add_interval(e, g, p->pair[ab].lo, p->pair[ab].hi, p->pair[ab].replicates > 0));
      TRY(add_interval(e, g, lo, hi, n > 0));
    }
  put_grid(g);
out:
  return rc;
}

static void put_title(grid_text *g, const kit_question *q) {
  if (!g->markdown) {
    text_addf(g->out, "%s: %s\n\n", q->id, q->text);
    return;
  }
  text_add(g->out, "### ");
  put_markdown(g->out, q->id);
  text_add(g->out, "\n\n");
  put_markdown(g->out, q->text);
  text_add(g->out, "\n\n");
}

static void put_line(grid_text *g, const char *s) {
  text_addf(g->out, "%s%s\n", g->markdown ? "- " : "", s);
}

static void put_remarks(grid_text *g, const kit_result *q) {
  char s[240];
  snprintf(s, sizeof s, "%lld votes, %lld of them ties, about %lld prompts", (long long)q->votes, (long long)q->ties,
           (long long)q->prompts);
  put_line(g, s);
  if (q->alpha_defined)
    snprintf(s, sizeof s, "Krippendorff's alpha (nominal) %.3f over %lld prompts x pairs with two votes or more",
             q->alpha, (long long)q->units);
  else
    snprintf(s, sizeof s, "Krippendorff's alpha is undefined: %s",
             q->units ? "all answers are the same" : "no pair was judged twice about the same prompt");
  put_line(g, s);
  if (q->votes && !q->preference.defined) put_line(g, "no strengths: the votes do not connect all variants");
  if (q->preference.regularised)
    put_line(g, "strengths: 0.1 win was added both ways to every pair, because some variant always won or lost");
  text_add(g->out, "\n");
}

static int put_agreement(err *e, grid_text *g, const kit_key *k, const kit_report *r) {
  static const char *const head[] = {"question", "metric", "prompts x pairs", "Spearman", "interval"};
  int rc = OK;
  char s[400];
  if (r->no_agreement) {
    snprintf(s, sizeof s, "agreement of metrics with the votes: none, %s", r->no_agreement);
    put_line(g, s);
    return OK;
  }
  text_add(g->out,
           g->markdown ? "### Agreement of metrics with the votes\n\n" : "Agreement of metrics with the votes\n\n");
  g->columns = 5;
  TRY(add_all(e, g, head, g->columns));
  for (int64_t i = 0; i < r->n_agreements; i++) {
    const kit_agreement *a = &r->agreement[i];
    stats_estimate rho = {.value = a->rho.value, .defined = a->rho.n > 0};
    TRY(add(e, g, k->questions[a->question].id));
    TRY(add(e, g, k->metrics[a->metric].id));
    TRY(add_count(e, g, a->items));
    TRY(add_value(e, g, &rho, 1));
    TRY(add_interval(e, g, a->rho.lo, a->rho.hi, a->rho.replicates > 0));
  }
  put_grid(g);
out:
  return rc;
}

static void put_head(grid_text *g, const kit_key *k, const kit_report *r) {
  char s[200];
  text_add(g->out, g->markdown ? "## User study of " : "User study of ");
  g->markdown ? put_markdown(g->out, k->study) : text_add(g->out, k->study);
  text_addf(g->out, ", kit %.12s\n\n", k->kit);
  snprintf(s, sizeof s, "%lld of %lld participants accepted", (long long)r->packets[KIT_ACCEPTED],
           (long long)k->plan.participants);
  put_line(g, s);
  for (int v = KIT_ACCEPTED + 1; v < KIT_VERDICTS; v++) {
    if (!r->packets[v]) continue;
    snprintf(s, sizeof s, "%lld packets rejected: %s", (long long)r->packets[v], kit_verdict_help((kit_verdict)v));
    put_line(g, s);
  }
  snprintf(s, sizeof s,
           "intervals: %g %%; clustered: bootstrap over prompts and participants; if indep.: Wilson, as if",
           100 * r->level);
  put_line(g, s);
  put_line(g,
           "every vote were of another person about another prompt. Ties count half; strength is the centred log of");
  put_line(g, "Bradley and Terry's p.");
  text_add(g->out, "\n");
}

static int render_people(err *e, const kit_key *k, const kit_report *r, int markdown, text *out) {
  int rc = OK;
  grid_text g = {.out = out, .markdown = markdown};
  put_head(&g, k, r);
  for (int64_t q = 0; q < k->n_questions; q++) {
    put_title(&g, &k->questions[q]);
    TRY(put_variants(e, &g, k, &r->question[q], r->level));
    TRY(put_pairs(e, &g, k, &r->question[q], r->level));
    put_remarks(&g, &r->question[q]);
  }
  TRY(put_agreement(e, &g, k, r));
out:
  for (int64_t i = 0; i < g.n; i++) free(g.cell[i]);
  free(g.cell);
  return rc;
}

/* --- for programs -------------------------------------------------------------------------------------------------
 */

/* One fact: a line of CSV, or an object of JSON's list "facts". Empty texts and undefined numbers are left out. */
typedef struct fact {
  const char *kind, *question, *variant, *against, *metric;
  int64_t n;
  stats_estimate v;
  double wins, ties, wilson_lo, wilson_hi; /* read when has_counts */
  int has_counts;
} fact;

typedef struct fact_writer {
  text *out;
  int json;
  int64_t n;
} fact_writer;

static void csv_text(text *t, const char *s) {
  if (strpbrk(s, ",\"\r\n")) {
    text_add(t, "\"");
    for (; *s; s++) {
      if (*s == '"') text_add(t, "\"");
      text_addn(t, s, 1);
    }
    text_add(t, "\"");
  } else {
    text_add(t, s);
  }
}

static void fact_texts(fact_writer *w, const fact *f) {
  const char *const name[] = {"kind", "question", "variant", "against", "metric"};
  const char *const value[] = {f->kind, f->question, f->variant, f->against, f->metric};
  for (int i = 0; i < 5; i++) {
    if (!w->json) {
      csv_text(w->out, value[i] ? value[i] : "");
      text_add(w->out, ",");
    } else if (value[i]) {
      text_addf(w->out, "%s\"%s\": ", i ? ", " : "", name[i]);
      text_add_json(w->out, value[i]);
    }
  }
}

static void fact_number(fact_writer *w, const char *name, double v, int there) {
  if (w->json) {
    text_addf(w->out, ", \"%s\": ", name);
    if (!there)
      text_add(w->out, "null");
    else
      text_add_number(w->out, v);
  } else {
    text_add(w->out, ",");
    if (there) text_add_number(w->out, v);
  }
}

static void put_fact(fact_writer *w, const fact *f) {
  if (w->json) text_add(w->out, w->n++ ? ",\n    {" : "\n    {");
  fact_texts(w, f);
  text_addf(w->out, w->json ? ", \"n\": %lld" : "%lld", (long long)f->n);
  fact_number(w, "value", f->v.value, f->v.defined);
  fact_number(w, "lo", f->v.lo, f->v.replicates > 0);
  fact_number(w, "hi", f->v.hi, f->v.replicates > 0);
  if (!w->json || f->has_counts) {
    fact_number(w, "wins", f->wins, f->has_counts);
    fact_number(w, "ties", f->ties, f->has_counts);
    fact_number(w, "wilson_lo", f->wilson_lo, f->has_counts && f->n > 0);
    fact_number(w, "wilson_hi", f->wilson_hi, f->has_counts && f->n > 0);
  }
  text_add(w->out, w->json ? "}" : "\r\n");
}

static void add_counts(fact *f, double wins, double ties, double n, double level) {
  f->n = (int64_t)n, f->wins = wins, f->ties = ties, f->has_counts = 1;
  stats_wilson(wins + ties / 2, n, level, &f->wilson_lo, &f->wilson_hi);
}

static void put_preference(fact_writer *w, const kit_key *k, const kit_report *r, int64_t question) {
  const stats_preference *p = &r->question[question].preference;
  int64_t n = p->variants;
  for (int64_t a = 0; a < n; a++) {
    double wins = 0, ties = 0, all = 0;
    fact rate = {
        .kind = "win_rate", .question = k->questions[question].id, .variant = k->variants[a], .v = p->rate[a]};
    fact strength = rate;
    for (int64_t b = 0; b < n; b++) {
      wins += p->wins[a * n + b], ties += p->ties[a * n + b];
      all += p->wins[a * n + b] + p->wins[b * n + a] + p->ties[a * n + b];
    }
    add_counts(&rate, wins, ties, all, r->level);
    put_fact(w, &rate);
    strength.kind = "strength", strength.v = p->strength[a], strength.n = rate.n;
    put_fact(w, &strength);
    for (int64_t b = 0; b < n; b++) {
      if (a == b) continue;
      fact pair = {.kind = "pair", .question = rate.question, .variant = k->variants[a], .against = k->variants[b]};
      pair.v = p->pair[a * n + b];
      add_counts(&pair, p->wins[a * n + b], p->ties[a * n + b],
                 p->wins[a * n + b] + p->wins[b * n + a] + p->ties[a * n + b], r->level);
      put_fact(w, &pair);
    }
  }
}

static void put_facts(fact_writer *w, const kit_key *k, const kit_report *r) {
  for (int v = 0; v < KIT_VERDICTS; v++)
    put_fact(w, &(fact){.kind = "packets", .metric = kit_verdict_name((kit_verdict)v), .n = r->packets[v]});
  for (int64_t q = 0; q < k->n_questions; q++) {
    const kit_result *x = &r->question[q];
    fact one = {.question = k->questions[q].id};
    one.kind = "votes", one.n = x->votes;
    put_fact(w, &one);
    one.kind = "ties", one.n = x->ties;
    put_fact(w, &one);
    one.kind = "prompts", one.n = x->prompts;
    put_fact(w, &one);
    one.kind = "alpha", one.n = x->units, one.v = (stats_estimate){.value = x->alpha, .defined = x->alpha_defined};
    put_fact(w, &one);
    one.kind = "regularised", one.n = x->preference.regularised, one.v = (stats_estimate){0};
    put_fact(w, &one);
    put_preference(w, k, r, q);
  }
  for (int64_t i = 0; i < r->n_agreements; i++) {
    const kit_agreement *a = &r->agreement[i];
    stats_estimate rho = {a->rho.value, a->rho.lo, a->rho.hi, a->rho.replicates, a->rho.n > 0};
    put_fact(w, &(fact){.kind = "metric_spearman",
                        .question = k->questions[a->question].id,
                        .metric = k->metrics[a->metric].id,
                        .n = a->items,
                        .v = rho});
  }
}

static void render_facts_json(const kit_key *k, const kit_report *r, text *out) {
  fact_writer w = {.out = out, .json = 1};
  text_add(out, "{\n  \"schema\": 1,\n  \"study\": ");
  text_add_json(out, k->study);
  text_addf(out, ",\n  \"kit\": \"%s\",\n  \"participants\": %lld,\n  \"level\": ", k->kit,
            (long long)k->plan.participants);
  text_add_number(out, r->level);
  text_add(out, ",\n  \"no_agreement\": ");
  if (r->no_agreement)
    text_add_json(out, r->no_agreement);
  else
    text_add(out, "null");
  text_add(out, ",\n  \"facts\": [");
  put_facts(&w, k, r);
  text_add(out, "\n  ]\n}\n");
}

int kit_report_render(err *e, const kit_key *k, const kit_report *r, table_format f, text *out) {
  int rc = OK;
  fact_writer csv = {.out = out};
  switch (f) {
  case TABLE_TERMINAL: TRY(render_people(e, k, r, 0, out)); break;
  case TABLE_MARKDOWN: TRY(render_people(e, k, r, 1, out)); break;
  case TABLE_CSV:
    text_add(out, "kind,question,variant,against,metric,n,value,lo,hi,wins,ties,wilson_lo,wilson_hi\r\n");
    put_facts(&csv, k, r);
    break;
  case TABLE_JSON: render_facts_json(k, r, out); break;
  default: FAIL(e, E_ARG, "a report of votes is terminal, md, csv or json");
  }
  rc = text_ok(out, e);
out:
  return rc;
}
