/* Verdicts for people: the terminal and Markdown. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/render.h"
#include "report/verdict.h"
#include "report/width.h"

#define MARKDOWN_MAX 60000 /* a comment on GitHub ends at 65536 characters */
#define COLUMNS 8

typedef struct row {
  char cell[COLUMNS][160];
} row;

/* A gate looks back in time, a comparison at two designs. */
static const char *const gate_heads[COLUMNS] = {"verdict", "metric", "variant", "then",
                                                "now",     "change", "allowed", "n"};
static const char *const pair_heads[COLUMNS] = {"verdict", "metric", "variant", "second",
                                                "first",   "change", "allowed", "n"};

static const char *const *heads_of(const verdict_list *l) {
  return l->n && l->checks[0].against ? pair_heads : gate_heads;
}

static void number(double v, char out[32]) {
  if (isnan(v))
    snprintf(out, 32, "n/a");
  else
    snprintf(out, 32, "%.4g", v == 0 ? 0 : v);
}

static void change(const verdict_check *c, char out[160]) {
  char p[32] = "";
  int n;
  if (isnan(c->delta)) {
    snprintf(out, 160, "\xe2\x80\x94");
  } else if (!c->tested) {
    snprintf(out, 160, "%+.4g", c->delta);
  } else {
    n = snprintf(out, 160, "%+.4g [%+.4g, %+.4g]", c->delta, c->stats.lo, c->stats.hi);
    render_p(c->p_holm, p);
    if (!isnan(c->p_holm) && n > 0 && n < 160) snprintf(out + n, (size_t)(160 - n), " p %s", p);
  }
}

static void allowed(const verdict_check *c, char out[160]) {
  char lo[32] = "", hi[32] = "";
  if (!isinf(c->bounds.lo)) snprintf(lo, sizeof lo, ">= %+.4g", c->bounds.lo == 0 ? 0 : c->bounds.lo);
  if (!isinf(c->bounds.hi)) snprintf(hi, sizeof hi, "<= %+.4g", c->bounds.hi == 0 ? 0 : c->bounds.hi);
  snprintf(out, 160, "%s%s%s", lo, lo[0] && hi[0] ? ", " : "", hi);
}

static void fill(const verdict_check *c, row *r) {
  snprintf(r->cell[0], 160, "%s%s", verdict_name(c->verdict), c->muted ? " (muted)" : "");
  snprintf(r->cell[1], 160, "%.150s", c->metric);
  snprintf(r->cell[2], 160, "%.70s%s%.70s", c->variant, c->against ? " - " : "", c->against ? c->against : "");
  number(c->then, r->cell[3]);
  number(c->now, r->cell[4]);
  change(c, r->cell[5]);
  allowed(c, r->cell[6]);
  if (c->tested)
    snprintf(r->cell[7], 160, "%lldx%lldx%lld", (long long)c->stats.trains, (long long)c->stats.prompts,
             (long long)c->stats.samples);
  else
    snprintf(r->cell[7], 160, "%lld", (long long)c->shared);
}

/* A line below a row: why, and what a comparison adds to its means. */
static void details(const verdict_check *c, text *out) {
  const char *sep = "";
  if (c->why[0]) text_add(out, c->why), sep = "; ";
  if (c->against && c->tested) {
    text_addf(out, "%sIQM %+.4g, P(improvement) %.2f, prompts won/tied/lost %lld/%lld/%lld", sep, c->stats.iqm,
              c->stats.improvement, (long long)c->stats.wins, (long long)c->stats.ties, (long long)c->stats.losses);
    sep = "; ";
  }
  if (c->against && (c->undefined[0] || c->undefined[1]))
    text_addf(out, "%sundefined on %lld and %lld of %lld clips", sep, (long long)c->undefined[0],
              (long long)c->undefined[1], (long long)c->shared);
}

static const char *colour_of(const verdict_check *c) {
  if (c->muted) return "\033[2m";
  return c->verdict == VERDICT_WORSE    ? "\033[31m"
         : c->verdict == VERDICT_BETTER ? "\033[32m"
         : c->verdict == VERDICT_SAME   ? ""
                                        : "\033[33m";
}

/* Text of others on one line without control characters. */
static void plain(text *out, const char *s) {
  for (; *s; s++)
    if ((unsigned char)*s >= 32 && *s != 127)
      text_addn(out, s, 1);
    else
      text_add(out, " ");
}

static void cells(text *out, const char *const *cell, const int *width) {
  for (int k = 0; k + 1 < COLUMNS; k++) {
    text_add_cell(out, cell[k], width[k], 0);
    text_add(out, "  ");
  }
  plain(out, cell[COLUMNS - 1]);
}

/* next: the row below, or NULL. Rows that follow each other for the same reason say it once, below the last. */
static void terminal_row(const verdict_check *c, const verdict_check *next, const int *width, int colour, text *out) {
  const char *cell[COLUMNS], *code = colour ? colour_of(c) : "";
  text why = {0}, same = {0};
  row r;
  fill(c, &r);
  for (int k = 0; k < COLUMNS; k++) cell[k] = r.cell[k];
  text_add(out, code);
  cells(out, cell, width);
  if (code[0]) text_add(out, "\033[0m");
  details(c, &why);
  if (next) details(next, &same);
  if (why.n && !(same.n && strcmp(why.p, same.p) == 0)) text_add(out, "\n    "), plain(out, why.p);
  out->failed |= why.failed | same.failed;
  text_free(&why);
  text_free(&same);
  text_add(out, "\n");
}

void verdict_terminal(const verdict_list *l, int colour, text *out) {
  int width[COLUMNS];
  row r;
  const char *const *heads = heads_of(l);
  for (int k = 0; k < COLUMNS; k++) width[k] = text_width(heads[k]);
  for (int64_t i = 0; i < l->n; i++) {
    fill(&l->checks[i], &r);
    for (int k = 0; k < COLUMNS; k++)
      if (text_width(r.cell[k]) > width[k]) width[k] = text_width(r.cell[k]);
  }
  verdict_headline(l, out);
  text_add(out, "\n");
  plain(out, l->title);
  text_add(out, "\n\n");
  if (l->n) cells(out, heads, width), text_add(out, "\n");
  for (int64_t i = 0; i < l->n; i++)
    terminal_row(&l->checks[i], i + 1 < l->n ? &l->checks[i + 1] : NULL, width, colour, out);
  if (l->n_notes) text_add(out, "\n");
  for (int64_t i = 0; i < l->n_notes; i++) {
    text_add(out, "note: ");
    plain(out, l->notes[i]);
    text_add(out, "\n");
  }
}

/* Text that is no markup; a newline or a bar would break the table. */
static void escaped(text *out, const char *s) {
  for (; *s; s++) {
    if (*s == '<')
      text_add(out, "&lt;");
    else if (*s == '&')
      text_add(out, "&amp;");
    else if ((unsigned char)*s < 32 || *s == 127)
      text_add(out, " ");
    else if (strchr("\\`*_{}[]|#~@!", *s))
      text_addf(out, "\\%c", *s);
    else
      text_addn(out, s, 1);
  }
}

static void markdown_row(const verdict_check *c, text *out) {
  row r;
  text why = {0};
  fill(c, &r);
  text_add(out, "|");
  for (int k = 0; k < COLUMNS; k++) {
    text_add(out, k == 0 && c->verdict == VERDICT_WORSE && !c->muted ? " **" : " ");
    escaped(out, r.cell[k]);
    text_add(out, k == 0 && c->verdict == VERDICT_WORSE && !c->muted ? "** |" : " |");
  }
  details(c, &why);
  text_add(out, " ");
  if (why.n) escaped(out, why.p);
  text_add(out, " |\n");
  out->failed |= why.failed;
  text_free(&why);
}

/* The worst first, so that a cut hides the least. */
void verdict_markdown(const verdict_list *l, text *out) {
  static const verdict order[] = {VERDICT_WORSE, VERDICT_MISSING, VERDICT_UNCLEAR, VERDICT_BETTER, VERDICT_SAME};
  int64_t left = 0;
  text_add(out, "**");
  verdict_headline(l, out);
  text_add(out, "** \xe2\x80\x94 ");
  escaped(out, l->title);
  text_add(out, "\n\n|");
  for (int k = 0; k < COLUMNS; k++) text_addf(out, " %s |", heads_of(l)[k]);
  text_add(out, " why |\n|");
  for (int k = 0; k <= COLUMNS; k++) text_add(out, " --- |");
  text_add(out, "\n");
  for (int v = 0; v < VERDICTS; v++)
    for (int64_t i = 0; i < l->n; i++) {
      text one = {0};
      if (l->checks[i].verdict != order[v]) continue;
      markdown_row(&l->checks[i], &one);
      if (left || out->n + one.n > MARKDOWN_MAX - 8000)
        left++;
      else
        text_add(out, one.p ? one.p : "");
      out->failed |= one.failed;
      text_free(&one);
    }
  if (left) text_addf(out, "\n%lld more rows are left out here; --json has all of them.\n", (long long)left);
  text_add(out, "\n");
  for (int64_t i = 0; i < l->n_notes && out->n < MARKDOWN_MAX - 4000; i++) {
    text_add(out, "- ");
    escaped(out, l->notes[i]);
    text_add(out, "\n");
  }
}
