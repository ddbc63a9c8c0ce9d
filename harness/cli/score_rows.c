#include "cli/score_rows.h"

#include <stdio.h>

#include "cli/cli.h"
#include "cli/grid.h"
#include "metrics/describe.h"

const char score_csv_head[] = "clip,metric,id,version,value,reason,n,unit,direction,picture,circular\n";

score_row score_row_metric(const metric_request *r, const metric_value *v) {
  const metric *m = r->metric;
  score_row row = {.version = m->version,
                   .support = v->support,
                   .value = v->value,
                   .direction = m->direction,
                   .picture = r->picture,
                   .circular = v->circular};
  metric_print(r, row.metric);
  snprintf(row.id, sizeof row.id, "%s%s", m->id, r->gain ? "_gain" : "");
  snprintf(row.unit, sizeof row.unit, "%s", m->unit);
  if (v->reason) snprintf(row.reason, sizeof row.reason, "%s", v->reason);
  return row;
}

score_row score_row_measure(const scorer_card *card, int i, const scorer_value *v) {
  const card_measure *m = &card->measure[i];
  score_row row = {.version = m->version,
                   .support = v->support,
                   .value = v->value,
                   .direction = m->direction,
                   .picture = card->picture,
                   .circular = m->plane == METRIC_JOINT && card->picture == METRIC_PREMULTIPLIED};
  snprintf(row.metric, sizeof row.metric, "%s/%s", card->id, m->id);
  snprintf(row.id, sizeof row.id, "%s", row.metric);
  snprintf(row.unit, sizeof row.unit, "%s", m->unit);
  snprintf(row.reason, sizeof row.reason, "%s", v->reason);
  return row;
}

static void json_row(const char *clip_name, const score_row *r, text *t) {
  text_add(t, "{\"clip\":");
  cli_add_string(t, clip_name);
  text_add(t, ",\"metric\":");
  cli_add_string(t, r->metric);
  text_add(t, ",\"id\":");
  cli_add_string(t, r->id);
  text_addf(t, ",\"version\":%lld,\"value\":", (long long)r->version);
  if (r->reason[0])
    text_addf(t, "null,\"reason\":\"%s\"", r->reason);
  else
    text_add_number(t, r->value), text_add(t, ",\"reason\":null");
  text_addf(t, ",\"n\":%lld,\"unit\":", (long long)r->support);
  cli_add_string(t, r->unit);
  text_addf(t, ",\"direction\":\"%s\",\"picture\":\"%s\",\"circular\":%s}\n", metric_direction_name(r->direction),
            metric_picture_name(r->picture), r->circular ? "true" : "false");
}

static void csv_row(const char *clip_name, const score_row *r, text *t) {
  cli_add_csv(t, clip_name);
  text_add(t, ",");
  cli_add_csv(t, r->metric);
  text_add(t, ",");
  cli_add_csv(t, r->id);
  text_addf(t, ",%lld,", (long long)r->version);
  if (!r->reason[0]) text_add_number(t, r->value);
  text_addf(t, ",%s,%lld,", r->reason, (long long)r->support);
  cli_add_csv(t, r->unit);
  text_addf(t, ",%s,%s,%d\n", metric_direction_name(r->direction), metric_picture_name(r->picture), r->circular);
}

static void print_grid(const char *clip_name, const score_row *row, int64_t n, text *t) {
  grid g = {.cols = 6};
  static const char *const head[] = {"METRIC", "VALUE", "UNIT", "BETTER", "N", "NOTE"};
  text_addf(t, "%s\n", clip_name);
  for (int i = 0; i < 6; i++) grid_add_text(&g, head[i]);
  for (int64_t i = 0; i < n; i++) {
    const score_row *r = &row[i];
    grid_add_text(&g, r->metric);
    if (r->reason[0])
      grid_add_text(&g, "-");
    else
      grid_add(&g, "%.6g", r->value);
    grid_add_text(&g, r->unit);
    grid_add_text(&g, r->direction == METRIC_NONE ? "-" : metric_direction_name(r->direction));
    grid_add(&g, "%lld", (long long)r->support);
    grid_add_text(&g, r->reason[0] ? r->reason : r->circular ? "circular" : "");
  }
  grid_print(&g, t);
  if (g.failed) t->failed = 1;
  grid_free(&g);
  text_add(t, "\n");
}

void score_rows_print(const char *clip_name, const score_row *row, int64_t n, score_form form, text *out) {
  if (form == SCORE_GRID) print_grid(clip_name, row, n, out);
  for (int64_t i = 0; i < n; i++) {
    if (form == SCORE_JSON) json_row(clip_name, &row[i], out);
    if (form == SCORE_CSV) csv_row(clip_name, &row[i], out);
  }
}
