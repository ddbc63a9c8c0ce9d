/* CSV (one line a cell, RFC 4180) and JSON: full precision, everything the table knows. */
#include <math.h>
#include <string.h>

#include "metrics/describe.h"
#include "report/render.h"

/* --- CSV ------------------------------------------------------------------------------------------------------- */

/* A field; formulas of spreadsheets are not our concern, numbers and names are. */
static void field(text *out, const char *s) {
  if (!strpbrk(s, ",\"\r\n")) {
    text_add(out, s);
  } else {
    text_add(out, "\"");
    for (; *s; s++) {
      if (*s == '"') text_add(out, "\"");
      text_addn(out, s, 1);
    }
    text_add(out, "\"");
  }
  text_add(out, ",");
}

/* NaN is an empty field: the state says why. */
static void number(text *out, double v) {
  if (isinf(v)) text_add(out, v > 0 ? "inf" : "-inf");
  if (isfinite(v)) text_add_number(out, v);
  text_add(out, ",");
}

static void count(text *out, int64_t v) {
  text_addf(out, "%lld,", (long long)v);
}

static void difference(text *out, const table_difference *d) {
  number(out, d->mean);
  number(out, d->lo);
  number(out, d->hi);
  count(out, d->pairs);
  number(out, d->p);
  number(out, d->p_holm);
}

/* Scores of sets have columns of their own at the end, which are there when the study has such scores. */
static void set_columns(text *out, const table_set *s, const char *against) {
  if (!s) {
    text_add(out, ",,,,,,,,");
    return;
  }
  field(out, against);
  if (s->train_seed != SEED_NONE) text_addf(out, "%lld", (long long)s->train_seed);
  text_add(out, ",");
  count(out, s->n_against);
  count(out, s->undefined_against);
  number(out, s->null_mean);
  number(out, s->null_lo);
  number(out, s->null_hi);
  count(out, s->permutations);
}

static void csv_identity(text *out, const table *t, const char *variant_name) {
  field(out, t->study);
  field(out, t->spec_sha256);
  field(out, t->reference ? t->reference : "");
  field(out, variant_name);
}

static void csv_set(text *out, const table *t, const table_set *s) {
  const table_set_head *h = &t->set_heads[s->head];
  csv_identity(out, t, t->rows[s->row].name);
  field(out, h->id);
  count(out, h->version);
  field(out, metric_direction_name(h->direction));
  field(out, h->unit);
  text_add(out, "0,");
  field(out, render_state(s->state));
  number(out, s->value);
  text_add(out, ",,,"); /* a set is not a grid of seeds and prompts */
  if (s->state == TABLE_MISSING)
    text_add(out, ",,,,");
  else
    text_addf(out, "%lld,%lld,%lld,%lld,", (long long)(s->n + s->undefined), (long long)(s->n + s->undefined),
              (long long)s->n, (long long)s->undefined);
  text_add(out, ",,,,");
  number(out, s->p);
  text_add(out, ",,,");
  field(out, s->why);
  text_add(out, "0,,,"); /* neither second nor in a group */
  set_columns(out, s, h->against);
  out->n--; /* the comma behind the last field */
  text_add(out, "\r\n");
}

static void put_all_notes(const table *t, const table_row *row, const table_cell *cell, text *all) {
  for (int i = 0; i < row->n_notes + cell->n_notes; i++) {
    int note = i < row->n_notes ? row->note[i] : cell->note[i - row->n_notes];
    text_addf(all, "%s%s", i ? "; " : "", t->notes[note]);
  }
  text_add(all, "");
}

void render_csv_head(text *out, const table *t) {
  text_add(out, "study,spec_sha256,reference,variant,metric,version,direction,unit,primary,state,mean,trains,prompts,"
                "samples,planned,scored,defined,undefined,diff,lo,hi,pairs,p,p_holm,best,retried,notes,second,"
                "row_group,column_group");
  text_addf(out, "%s\r\n",
            t->n_set_heads ? ",against,train_seed,n_against,undefined_against,null_mean,null_lo,"
                             "null_hi,permutations"
                           : "");
}

/* "PART, GROUP" */
static int put_group(err *e, text *out, const char *part, const char *over) {
  text both = {0};
  text_add(&both, part ? part : "");
  if (part && over) text_add(&both, ", ");
  text_add(&both, over ? over : "");
  int rc = text_ok(&both, e);
  if (rc == OK) field(out, both.p);
  text_free(&both);
  return rc;
}

int render_csv(err *e, const table *t, const table_style *style, text *out) {
  int rc = OK;
  (void)style;
  for (int64_t i = 0; i < t->n_rows * t->n_columns; i++) {
    const table_row *row = &t->rows[i / t->n_columns];
    const table_column *col = &t->columns[i % t->n_columns];
    const table_cell *cell = &t->cells[i];
    text notes = {0};
    csv_identity(out, t, col->variant ? col->variant : row->name);
    field(out, col->id);
    count(out, col->version);
    field(out, metric_direction_name(col->direction));
    field(out, col->unit);
    count(out, col->primary);
    field(out, render_state(cell->state));
    number(out, cell->mean);
    count(out, row->trains);
    count(out, row->prompts);
    count(out, row->samples);
    count(out, row->planned);
    count(out, row->scored);
    count(out, cell->defined);
    count(out, cell->undefined);
    difference(out, &cell->to_reference);
    count(out, cell->best);
    count(out, row->retried);
    put_all_notes(t, row, cell, &notes);
    rc = text_ok(&notes, e);
    if (rc == OK) field(out, notes.p);
    text_free(&notes);
    TRY(rc);
    count(out, cell->second);
    TRY(put_group(e, out, t->part, col->variant ? row->label : row->over));
    field(out, col->over && !col->variant ? col->over : "");
    if (t->n_set_heads) set_columns(out, NULL, NULL);
    out->n--; /* the comma behind the last field */
    text_add(out, "\r\n");
  }
  for (int64_t i = 0; i < t->n_sets; i++) csv_set(out, t, &t->sets[i]);
out:
  return rc;
}

/* --- JSON ------------------------------------------------------------------------------------------------------ */

static void key(text *out, const char *name, int first) {
  text_add(out, first ? "" : ", ");
  text_add_json(out, name);
  text_add(out, ": ");
}

static void member(text *out, const char *name, const char *v, int first) {
  key(out, name, first);
  text_add_json(out, v);
}

static void member_number(text *out, const char *name, double v) {
  key(out, name, 0);
  if (isinf(v)) {
    text_add_json(out, v > 0 ? "inf" : "-inf");
  } else {
    text_add_number(out, v);
  }
}

static void member_count(text *out, const char *name, int64_t v) {
  key(out, name, 0);
  text_addf(out, "%lld", (long long)v);
}

static void member_bool(text *out, const char *name, int v) {
  key(out, name, 0);
  text_add(out, v ? "true" : "false");
}

static void json_difference(text *out, const table_difference *d) {
  if (!d->used) {
    text_add(out, "null");
    return;
  }
  text_addf(out, "{\"pairs\": %lld", (long long)d->pairs);
  member_count(out, "prompts", d->used);
  member_number(out, "mean", d->mean);
  member_number(out, "lo", d->lo);
  member_number(out, "hi", d->hi);
  member_number(out, "p", d->p);
  member_number(out, "p_holm", d->p_holm);
  text_add(out, "}");
}

static void json_notes(text *out, const int *note, int n) {
  char letter[8];
  key(out, "notes", 0);
  text_add(out, "[");
  for (int i = 0; i < n; i++) {
    render_letter(note[i], letter);
    text_addf(out, "%s\"%s\"", i ? ", " : "", letter);
  }
  text_add(out, "]");
}

static void json_columns(text *out, const table *t) {
  text_add(out, "  \"columns\": [");
  for (int64_t c = 0; c < t->n_columns; c++) {
    const table_column *col = &t->columns[c];
    text_add(out, c ? ",\n    {" : "\n    {");
    member(out, "metric", col->id, 1);
    member_count(out, "version", col->version);
    member(out, "direction", metric_direction_name(col->direction), 0);
    member(out, "unit", col->unit, 0);
    member_bool(out, "primary", col->primary);
    if (col->variant) member(out, "variant", col->variant, 0);
    if (col->over) member(out, "group", col->over, 0);
    text_add(out, "}");
  }
  text_add(out, "\n  ],\n");
}

static void json_row(text *out, const table *t, int64_t r) {
  const table_row *row = &t->rows[r];
  member(out, "variant", row->name, 1);
  member_bool(out, "reference", row->reference);
  member_bool(out, "retried", row->retried);
  member_count(out, "train_seeds", row->trains);
  member_count(out, "prompts", row->prompts);
  member_count(out, "sample_seeds", row->samples);
  member_count(out, "planned", row->planned);
  member_count(out, "scored", row->scored);
  json_notes(out, row->note, row->n_notes);
  if (row->over) member(out, "group", row->over, 0);
  text_add(out, ", \"cells\": [");
  for (int64_t c = 0; c < t->n_columns; c++) {
    const table_cell *cell = &t->cells[r * t->n_columns + c];
    text_add(out, c ? ",\n      {" : "\n      {");
    member(out, "metric", t->columns[c].id, 1);
    member(out, "state", render_state(cell->state), 0);
    member_number(out, "mean", cell->mean);
    member_count(out, "defined", cell->defined);
    member_count(out, "undefined", cell->undefined);
    member_bool(out, "best", cell->best);
    member_bool(out, "second", cell->second);
    key(out, "to_reference", 0);
    json_difference(out, &cell->to_reference);
    json_notes(out, cell->note, cell->n_notes);
    text_add(out, "}");
  }
  text_add(out, "\n    ]");
}

static void json_texts(text *out, const char *name, char *const *list, int64_t n, int last) {
  text_addf(out, "  \"%s\": [", name);
  for (int64_t i = 0; i < n; i++) {
    text_add(out, i ? ", " : "");
    text_add_json(out, list[i]);
  }
  text_addf(out, "]%s\n", last ? "" : ",");
}

static void json_contrasts(text *out, const table *t) {
  text_add(out, "  \"contrasts\": [");
  for (int64_t i = 0; i < t->n_contrasts; i++) {
    const table_contrast *x = &t->contrasts[i];
    text_add(out, i ? ",\n    {" : "\n    {");
    member(out, "metric", t->columns[x->metric].id, 1);
    member(out, "variant", t->rows[x->row].name, 0);
    member(out, "against", t->rows[x->against].name, 0);
    key(out, "difference", 0);
    json_difference(out, &x->d);
    text_add(out, "}");
  }
  text_addf(out, "%s],\n", t->n_contrasts ? "\n  " : "");
}

static void json_sets(text *out, const table *t) {
  text_add(out, "  \"sets\": [");
  for (int64_t i = 0; i < t->n_sets; i++) {
    const table_set *s = &t->sets[i];
    const table_set_head *h = &t->set_heads[s->head];
    text_add(out, i ? ",\n    {" : "\n    {");
    member(out, "metric", h->id, 1);
    member_count(out, "version", h->version);
    member(out, "direction", metric_direction_name(h->direction), 0);
    member(out, "unit", h->unit, 0);
    member(out, "against", h->against, 0);
    member(out, "variant", t->rows[s->row].name, 0);
    key(out, "train_seed", 0);
    if (s->train_seed == SEED_NONE)
      text_add(out, "null");
    else
      text_addf(out, "%lld", (long long)s->train_seed);
    member(out, "state", render_state(s->state), 0);
    member(out, "why", s->why, 0);
    member_number(out, "value", s->value);
    member_count(out, "n", s->n);
    member_count(out, "n_against", s->n_against);
    member_count(out, "undefined", s->undefined);
    member_count(out, "undefined_against", s->undefined_against);
    member_number(out, "p", s->p);
    member_number(out, "null_mean", s->null_mean);
    member_number(out, "null_lo", s->null_lo);
    member_number(out, "null_hi", s->null_hi);
    member_count(out, "permutations", s->permutations);
    member(out, "null", render_null(s->null), 0);
    text_add(out, "}");
  }
  text_addf(out, "%s],\n", t->n_sets ? "\n  " : "");
}

int render_json(err *e, const table *t, const table_style *style, text *out) {
  char letter[8];
  (void)e;
  (void)style;
  text_add(out, "{\n  \"schema\": 1,\n  ");
  member(out, "study", t->study, 1);
  member(out, "spec_sha256", t->spec_sha256, 0);
  if (t->part) member(out, "part", t->part, 0);
  key(out, "reference", 0);
  if (t->reference) {
    text_add_json(out, t->reference);
  } else {
    text_add(out, "null");
  }
  member_number(out, "level", t->level);
  text_add(out, ",\n");
  json_columns(out, t);
  text_add(out, "  \"rows\": [");
  for (int64_t r = 0; r < t->n_rows; r++) {
    text_add(out, r ? ",\n    {" : "\n    {");
    json_row(out, t, r);
    text_add(out, "}");
  }
  text_add(out, "\n  ],\n");
  json_contrasts(out, t);
  json_sets(out, t);
  text_add(out, "  \"notes\": {");
  for (int64_t i = 0; i < t->n_notes; i++) {
    render_letter((int)i, letter);
    text_add(out, i ? ", " : "");
    text_add_json(out, letter);
    text_add(out, ": ");
    text_add_json(out, t->notes[i]);
  }
  text_add(out, "},\n");
  json_texts(out, "remarks", t->remarks, t->n_remarks, 0);
  json_texts(out, "builds", t->builds, t->n_builds, 1);
  text_add(out, "}\n");
  return OK;
}
