#include "cli/validate_page.h"

#include <limits.h>

#include "cli/grid.h"

/* Cells of a table as text for people or as Markdown. */
static void table(const grid *g, int markdown, text *out) {
  if (!markdown) {
    grid_print(g, out);
    return;
  }
  if (g->failed) out->failed = 1;
  for (int64_t i = 0; i < g->n; i++) {
    text_addf(out, "| %s ", g->cell[i]);
    if ((i + 1) % g->cols) continue;
    text_add(out, "|\n");
    for (int k = 0; i + 1 == g->cols && k <= g->cols; k++) text_add(out, k < g->cols ? "|---" : "|\n");
  }
}

/* --- planted defects -------------------------------------------------------------------------------------------- */

static int is_planted(const validate_page *p, defect_kind k) {
  return p->n > 0 && validate_clip_count(validate_at(p->result, 0, k)) > 0;
}

static void add_strengths(const defect_info *d, text *t) {
  for (int i = 0; i < d->steps; i++) text_addf(t, "%s%g", i ? ", " : "", d->strength[i]);
}

/* "12/12 (3 by gate)" of a set, "-" where the defect changed none of its clips. */
static void add_set(grid *g, const validate_cell *c, int set) {
  int64_t gated = c->verdict[set][VALIDATE_BY_GATE], good = c->verdict[set][VALIDATE_ORDERED] + gated;
  if (!c->clips[set])
    grid_add(g, "-");
  else if (gated)
    grid_add(g, "%lld/%lld (%lld by gate)", (long long)good, (long long)c->clips[set], (long long)gated);
  else
    grid_add(g, "%lld/%lld", (long long)good, (long long)c->clips[set]);
}

static int has_set(const validate_page *p, int set) {
  for (int64_t i = 0; i < p->clips->n; i++)
    if (p->clips->at[i].set == set) return 1;
  return 0;
}

/* Primary metrics beside `best` that reach the share too, the first `most` of them by name. */
static void add_others(const validate_page *p, defect_kind k, int64_t best, int most, grid *g) {
  text t = {0};
  int n = 0;
  for (int64_t m = 0; m < p->n; m++) {
    char name[METRIC_TEXT];
    if (m == best || !validate_reaches(p->result, p->list, m, k) || ++n > most) continue;
    metric_print(&p->list[m], name);
    text_addf(&t, "%s%s %lld", t.n ? ", " : "", name, (long long)validate_good(validate_at(p->result, m, k)));
  }
  if (n > most) text_addf(&t, ", %d more", n - most);
  grid_add(g, "%s", t.n && !t.failed ? t.p : "-");
  g->failed |= t.failed;
  text_free(&t);
}

static void best_row(const validate_page *p, defect_kind k, int others, grid *g) {
  const defect_info *d = defect_about(k);
  text t = {0};
  add_strengths(d, &t);
  grid_add(g, "%s", d->name);
  grid_add(g, "%s", d->help);
  grid_add(g, "%s", t.p ? t.p : "");
  text_free(&t);
  int64_t best = validate_best(p->result, p->list, k);
  char name[METRIC_TEXT] = "none";
  if (best >= 0) metric_print(&p->list[best], name);
  const char *alone = best >= 0 && p->list[best].metric->plane == METRIC_ALPHA ? " (alpha alone)" : "";
  if (is_planted(p, k))
    grid_add(g, "%s%s", name, alone);
  else
    grid_add(g, "not planted: no clip changes");
  for (int set = 0; set < VALIDATE_SETS; set++) {
    if (!has_set(p, set)) continue;
    if (best >= 0)
      add_set(g, validate_at(p->result, best, k), set);
    else
      grid_add(g, "-");
  }
  int64_t seen = validate_seen_by(p->result, p->list, k);
  if (seen >= 0) metric_print(&p->list[seen], name);
  if (seen >= 0)
    grid_add(g, "%s %lld/%lld", name, (long long)validate_at(p->result, seen, k)->seen,
             (long long)validate_clip_count(validate_at(p->result, seen, k)));
  else
    grid_add(g, "-");
  add_others(p, k, best, others, g);
}

static void best_table(const validate_page *p, int markdown, text *out) {
  grid g = {.cols = 6};
  for (int set = 0; set < VALIDATE_SETS; set++) g.cols += has_set(p, set);
  grid_add(&g, "defect");
  grid_add(&g, "alpha is");
  grid_add(&g, "strengths");
  grid_add(&g, "best primary");
  for (int set = 0; set < VALIDATE_SETS; set++)
    if (has_set(p, set)) grid_add(&g, "%s", validate_set_name((validate_set)set));
  grid_add(&g, "largest alone");
  grid_add(&g, "also at least 90 %%");
  for (int k = 0; k < DEFECT_KINDS; k++) best_row(p, (defect_kind)k, markdown ? INT_MAX : 3, &g);
  table(&g, markdown, out);
  grid_free(&g);
}

/* "6/6 (6 by gate)", "0/6 (6 undefined)"; short: "6/6 6g", "0/6 6u". */
static void add_cell(grid *g, const validate_cell *c, metric_direction d, int full) {
  static const struct {
    validate_verdict v;
    const char *full, *brief;
  } part[] = {{VALIDATE_BY_GATE, "by gate", "g"}, {VALIDATE_UNDEFINED, "NULL", "u"}, {VALIDATE_TIED, "tied", "t"}};
  text t = {0};
  int64_t n = validate_clip_count(c);
  int open = 0;
  text_addf(&t, "%s%lld/%lld", d == METRIC_NONE ? "~" : "", (long long)validate_good(c), (long long)n);
  for (size_t i = 0; i < sizeof part / sizeof part[0]; i++) {
    int64_t k = validate_count(c, part[i].v);
    if (!k || (d == METRIC_NONE && part[i].v == VALIDATE_TIED)) continue;
    if (full)
      text_addf(&t, "%s%lld %s", open++ ? ", " : " (", (long long)k, part[i].full);
    else
      text_addf(&t, " %lld%s", (long long)k, part[i].brief);
  }
  if (open) text_add(&t, ")");
  grid_add(g, "%s", n && t.p ? t.p : "-");
  g->failed |= t.failed;
  text_free(&t);
}

/* How much a metric says: no value for any clip, no defect moves it, or more. */
typedef enum voice { VOICE_NONE, VOICE_FLAT, VOICE_SOME } voice;

static voice voice_of(const validate_page *p, int64_t m) {
  voice v = VOICE_NONE;
  for (int k = 0; k < DEFECT_KINDS; k++) {
    const validate_cell *c = validate_at(p->result, m, (defect_kind)k);
    if (validate_good(c) || validate_count(c, VALIDATE_WRONG)) return VOICE_SOME;
    if (validate_count(c, VALIDATE_TIED)) v = VOICE_FLAT;
  }
  return v;
}

static void list_silent(const validate_page *p, voice which, const char *title, text *out) {
  char name[METRIC_TEXT];
  int n = 0;
  for (int64_t m = 0; m < p->n; m++) {
    if (voice_of(p, m) != which) continue;
    metric_print(&p->list[m], name);
    text_addf(out, "%s%s", n++ ? ", " : title, name);
  }
  if (n) text_add(out, ".\n\n");
}

static void order_head(grid *g, int from, int to) {
  grid_add(g, "metric");
  grid_add(g, "tier");
  grid_add(g, "better");
  for (int k = from; k < to; k++) grid_add(g, "%s", defect_about((defect_kind)k)->name);
}

/* Defects from .. to - 1 of every metric that says anything. */
static void order_table(const validate_page *p, int from, int to, int markdown, text *out) {
  static const char *const better[] = {"up", "down", "-"};
  grid g = {.cols = 3 + to - from};
  order_head(&g, from, to);
  for (int64_t m = 0; m < p->n; m++) {
    char name[METRIC_TEXT];
    const metric *about = p->list[m].metric;
    if (voice_of(p, m) != VOICE_SOME) continue;
    metric_print(&p->list[m], name);
    grid_add(&g, "%s", name);
    grid_add(&g, "%d", about->tier);
    grid_add(&g, "%s", better[about->direction]);
    for (int k = from; k < to; k++)
      add_cell(&g, validate_at(p->result, m, (defect_kind)k), about->direction, markdown);
  }
  table(&g, markdown, out);
  grid_free(&g);
}

static const char setup[] =
    "Known defects of growing strength are planted in the alpha of clips whose right alpha is known; the picture, "
    "with "
    "a background of its\nown, is never touched. *world*: 48x48, 8 frames (`media/world.h`, set broad). *moving*: "
    "96x128, 10 frames, textured disc, ellipse and\nglass over a moving textured plate (`media/moving.h`). *given*: "
    "files. Truth and reference are the clean clip; partner, base model and\nthe alpha of `other` are another clip "
    "of "
    "the same kind. A defect counts on the clips whose alpha every step of it changes in 8 bits.\nPrimary: tier 0 or "
    "1, with a direction, not circular; named where it orders all strengths on at least 90 % of the clips. "
    "Besides\nits own window color_fit is asked with a fine one (`r=2`).\n\n*Alpha alone*: no primary metric that "
    "reads the picture reaches 90 %. A mix with a constant is affine in alpha, which no share of\nvariance and no "
    "correlation can see; a copy of the luma is a function of the picture's colours, which a colour fit rewards. "
    "Only "
    "the\nlevels of alpha tell. Such a metric would order the defect on any picture: it finds a wrong matte, it does "
    "not prove a right one.\n*By gate*: so many of the clips because a step became undefined as degenerate, which is "
    "worse than any value.\n*Largest alone*: the primary metric that finds the largest strength worse than the clean "
    "clip, or gates it, most often.\n\n";
static const char long_legend[] =
    "\nEvery metric, `k/n`: of the n clips that the defect changes, k on which every step is strictly worse. *By "
    "gate*: "
    "so many of the k because\na step became undefined as degenerate (`empty_alpha`, `opaque_alpha`, `flat_alpha`, "
    "`no_band`, `no_mask`) and stayed so. *NULL*: no\nvalue for the clean clip, or another reason at some step. "
    "*Tied*: "
    "some step equal, none better. The rest has a step that is better.\n`~k/n`: a metric without a direction, which "
    "cannot order, has another value or none at the largest strength.\n\n";
static const char short_legend[] = "\nlargest alone: clips whose largest strength is worse than none. k/n: clips "
                                   "whose every step is worse, g of them "
                                   "by a gate;\nu undefined, t tied; ~: moved, no direction.\n\n";

/* How many of the planted defects a primary metric orders, and how many of those one that reads the picture does. */
static void sum_up(const validate_page *p, text *out) {
  int planted = 0, ordered = 0, by_picture = 0;
  for (int k = 0; k < DEFECT_KINDS; k++) {
    int64_t best = validate_best(p->result, p->list, (defect_kind)k);
    planted += is_planted(p, (defect_kind)k);
    ordered += best >= 0;
    by_picture += best >= 0 && p->list[best].metric->plane != METRIC_ALPHA;
  }
  text_addf(
      out,
      "\n%d of %d defects are ordered by a primary metric: %d by one that reads the picture, %d by alpha alone.\n",
      ordered, planted, by_picture, ordered - by_picture);
}

static void planted(const validate_page *p, int markdown, text *out) {
  int64_t in_set[VALIDATE_SETS] = {0};
  for (int64_t i = 0; i < p->clips->n; i++) in_set[p->clips->at[i].set]++;
  if (markdown) text_add(out, setup);
  text_addf(out, "Clips:");
  for (int s = 0, n = 0; s < VALIDATE_SETS; s++)
    if (in_set[s])
      text_addf(out, "%s %lld %s", n++ ? "," : "", (long long)in_set[s], validate_set_name((validate_set)s));
  text_addf(out, "; seed %llu.\n\n", (unsigned long long)p->seed);
  best_table(p, markdown, out);
  sum_up(p, out);
  text_add(out, markdown ? long_legend : short_legend);
  order_table(p, 0, markdown ? DEFECT_KINDS : DEFECT_KINDS / 2, markdown, out);
  text_add(out, "\n");
  if (!markdown) {
    order_table(p, DEFECT_KINDS / 2, DEFECT_KINDS, markdown, out);
    text_add(out, "\n");
  }
  list_silent(p, VOICE_FLAT, "Moved by no defect: ", out);
  list_silent(p, VOICE_NONE, "Undefined on all of these clips: ", out);
}

/* --- agreement -------------------------------------------------------------------------------------------------- */

static void add_coefficient(grid *g, const stats_coefficient *c) {
  if (!c->n)
    grid_add(g, "-");
  else if (!c->replicates)
    grid_add(g, "%.2f", c->value);
  else
    grid_add(g, "%.2f [%.2f, %.2f]", c->value, c->lo, c->hi);
}

static void agreement_table(const validate_page *p, int markdown, text *out) {
  const agreement *a = p->agree;
  grid g = {.cols = 9};
  static const char *const head[] = {"score",       "truth",     "clips",     "rank, pooled", "rank, within",
                                     "rank, means", "r, pooled", "r, within", "r, means"};
  text_addf(
      out,
      "Study %s: %lld clips of %lld designs and %lld prompts (scored here, not in the store: %lld). Correlation "
      "with the truth, positive where\na better score goes with a better truth: Spearman's (rank) and Pearson's "
      "(r), over all clips, within a design (mean over designs)\nand over design means; [95 %% interval of %lld "
      "resamplings of the prompts].\n\n",
      p->study_name, (long long)a->clips, (long long)a->designs, (long long)a->prompts, (long long)a->computed,
      (long long)p->replicates);
  for (int i = 0; i < g.cols; i++) grid_add(&g, "%s", head[i]);
  for (int64_t i = 0; i < a->n; i++) {
    const agreement_row *r = &a->row[i];
    grid_add(&g, "%s", r->score);
    grid_add(&g, "%s", r->target);
    grid_add(&g, "%lld", (long long)r->points);
    for (int l = 0; l < STATS_LEVELS; l++) add_coefficient(&g, &r->r.spearman[l]);
    for (int l = 0; l < STATS_LEVELS; l++) add_coefficient(&g, &r->r.pearson[l]);
  }
  table(&g, markdown, out);
  grid_free(&g);
}

void validate_page_text(const validate_page *p, int markdown, text *out) {
  if (markdown) text_addf(out, "    %s\n\n", p->command);
  if (p->clips->n) planted(p, markdown, out);
  if (p->agree) agreement_table(p, markdown, out);
}

/* --- JSON ------------------------------------------------------------------------------------------------------- */

static json *cell_json(const validate_cell *c, int steps) {
  static const char *const names[VALIDATE_VERDICTS] = {"ordered", "by_gate", "tied", "wrong", "undefined"};
  json *o = json_new(JSON_OBJECT), *sets = json_new(JSON_OBJECT), *mean = json_new(JSON_ARRAY);
  cli_set_int(&o, "clips", validate_clip_count(c));
  for (int v = 0; v < VALIDATE_VERDICTS; v++) cli_set_int(&o, names[v], validate_count(c, (validate_verdict)v));
  for (int s = 0; s < VALIDATE_SETS; s++) {
    if (!c->clips[s]) continue;
    json *set = json_new(JSON_OBJECT);
    cli_set_int(&set, "clips", c->clips[s]);
    for (int v = 0; v < VALIDATE_VERDICTS; v++) cli_set_int(&set, names[v], c->verdict[s][v]);
    cli_set(&sets, validate_set_name((validate_set)s), set);
  }
  for (int i = 0; i <= steps; i++)
    cli_push(&mean, c->defined[i] ? json_new_number(c->sum[i] / (double)c->defined[i]) : json_new(JSON_NULL));
  cli_set_int(&o, "seen", c->seen);
  cli_set(&o, "sets", sets);
  cli_set(&o, "mean", mean);
  return o;
}

static json *metric_json(const validate_page *p, int64_t m) {
  static const char *const better[] = {"up", "down", NULL};
  char name[METRIC_TEXT];
  json *o = json_new(JSON_OBJECT), *defects = json_new(JSON_OBJECT);
  metric_print(&p->list[m], name);
  cli_set_text(&o, "metric", name);
  cli_set_int(&o, "version", p->list[m].metric->version);
  cli_set_int(&o, "tier", p->list[m].metric->tier);
  cli_set_text(&o, "direction", better[p->list[m].metric->direction]);
  cli_set_bool(&o, "primary", validate_primary(&p->list[m]));
  for (int k = 0; k < DEFECT_KINDS; k++)
    cli_set(&defects, defect_about((defect_kind)k)->name,
            cell_json(validate_at(p->result, m, (defect_kind)k), defect_about((defect_kind)k)->steps));
  cli_set(&o, "defects", defects);
  return o;
}

static json *defect_json(const validate_page *p, defect_kind k) {
  const defect_info *d = defect_about(k);
  char name[METRIC_TEXT];
  json *o = json_new(JSON_OBJECT), *strengths = json_new(JSON_ARRAY);
  int64_t best = validate_best(p->result, p->list, k);
  if (best >= 0) metric_print(&p->list[best], name);
  cli_set_text(&o, "defect", d->name);
  cli_set_text(&o, "unit", d->unit);
  for (int i = 0; i < d->steps; i++) cli_push(&strengths, json_new_number(d->strength[i]));
  cli_set(&o, "strengths", strengths);
  cli_set_bool(&o, "planted", is_planted(p, k));
  cli_set_text(&o, "best", best >= 0 ? name : NULL);
  return o;
}

static json *clips_json(const validate_page *p) {
  json *list = json_new(JSON_ARRAY);
  for (int64_t i = 0; i < p->clips->n; i++) {
    const validate_clip *c = &p->clips->at[i];
    json *o = json_new(JSON_OBJECT);
    cli_set_text(&o, "clip", c->name);
    cli_set_text(&o, "set", validate_set_name((validate_set)c->set));
    cli_set_int(&o, "frames", c->picture.frames);
    cli_set_int(&o, "height", c->picture.height);
    cli_set_int(&o, "width", c->picture.width);
    cli_push(&list, o);
  }
  return list;
}

static json *coefficient_json(const stats_coefficient *c) {
  json *o = json_new(JSON_OBJECT);
  cli_set_int(&o, "n", c->n);
  cli_set(&o, "value", c->n ? json_new_number(c->value) : json_new(JSON_NULL));
  cli_set(&o, "lo", c->replicates ? json_new_number(c->lo) : json_new(JSON_NULL));
  cli_set(&o, "hi", c->replicates ? json_new_number(c->hi) : json_new(JSON_NULL));
  return o;
}

static json *agreement_json(const validate_page *p) {
  static const char *const levels[STATS_LEVELS] = {"pooled", "within", "between"};
  const agreement *a = p->agree;
  json *o = json_new(JSON_OBJECT), *rows = json_new(JSON_ARRAY);
  cli_set_text(&o, "study", p->study_name);
  cli_set_int(&o, "clips", a->clips);
  cli_set_int(&o, "designs", a->designs);
  cli_set_int(&o, "prompts", a->prompts);
  cli_set_int(&o, "computed", a->computed);
  cli_set_int(&o, "replicates", p->replicates);
  for (int64_t i = 0; i < a->n; i++) {
    const agreement_row *r = &a->row[i];
    json *j = json_new(JSON_OBJECT), *rank = json_new(JSON_OBJECT), *linear = json_new(JSON_OBJECT);
    cli_set_text(&j, "score", r->score);
    cli_set_text(&j, "truth", r->target);
    cli_set_int(&j, "points", r->points);
    for (int l = 0; l < STATS_LEVELS; l++) cli_set(&rank, levels[l], coefficient_json(&r->r.spearman[l]));
    for (int l = 0; l < STATS_LEVELS; l++) cli_set(&linear, levels[l], coefficient_json(&r->r.pearson[l]));
    cli_set(&j, "spearman", rank);
    cli_set(&j, "pearson", linear);
    cli_push(&rows, j);
  }
  cli_set(&o, "rows", rows);
  return o;
}

json *validate_page_json(const validate_page *p) {
  json *o = json_new(JSON_OBJECT), *metrics = json_new(JSON_ARRAY), *defects = json_new(JSON_ARRAY);
  for (int k = 0; k < DEFECT_KINDS; k++) cli_push(&defects, defect_json(p, (defect_kind)k));
  for (int64_t m = 0; m < p->n; m++) cli_push(&metrics, metric_json(p, m));
  cli_set_int(&o, "seed", (int64_t)p->seed);
  cli_set(&o, "clips", clips_json(p));
  cli_set(&o, "defects", defects);
  cli_set(&o, "metrics", metrics);
  if (p->agree) cli_set(&o, "agreement", agreement_json(p));
  return o;
}
