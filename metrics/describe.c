#include "metrics/describe.h"

#include <math.h>
#include <string.h>

const char *metric_direction_name(metric_direction d) {
  return d == METRIC_UP ? "up" : d == METRIC_DOWN ? "down" : "none";
}

const char *metric_picture_name(metric_picture p) {
  static const char *const name[] = {"none", "decoded", "premultiplied", "straight", "shown"};
  return name[p];
}

const char *metric_cost_name(metric_cost c) {
  static const char *const name[] = {"pixels", "filters", "flows"};
  return name[c];
}

const char *metric_plane_name(metric_plane p) {
  static const char *const name[] = {"rgb", "alpha", "joint"};
  return name[p];
}

void metric_needs_text(const metric *m, text *out) {
  static const struct {
    unsigned bit;
    const char *name;
  } need[] = {{METRIC_NEEDS_ALPHA, "alpha"},         {METRIC_NEEDS_TRUTH, "truth"},
              {METRIC_NEEDS_BASE, "base"},           {METRIC_NEEDS_BASE_TRUTH, "the base's truth"},
              {METRIC_NEEDS_REFERENCE, "reference"}, {METRIC_NEEDS_TRIMAP, "trimap"},
              {METRIC_NEEDS_LATENTS, "latents"}};
  int n = 0;
  for (size_t i = 0; i < sizeof need / sizeof need[0]; i++)
    if (m->needs & need[i].bit) text_addf(out, "%s%s", n++ ? ", " : "", need[i].name);
  if (!n) text_add(out, "-");
}

const char *metric_reason_help(const char *code) {
  const metric_reason *r = metric_reasons();
  while (r->code && strcmp(r->code, code)) r++;
  return r->help;
}

static void add_bound(text *t, double v) {
  if (isinf(v))
    text_add(t, v < 0 ? "-inf" : "inf");
  else
    text_addf(t, "%g", v);
}

/* The first metric with this table of parameters: it lists them, the others name it. */
static const char *first_with(const metric_param *params) {
  const metric *const *m = metric_list();
  while (*m && (*m)->params != params) m++;
  return *m ? (*m)->id : "";
}

static void parameters(const metric *m, int brief, text *t) {
  const char *same = first_with(m->params);
  if (m->params && brief && strcmp(same, m->id)) {
    text_addf(t, "- parameters: as `%s`\n", same);
    return;
  }
  for (const metric_param *p = m->params; p && p->name; p++)
    text_addf(t, "- `%s` = %g in [%g, %g]%s: %s\n", p->name, p->initial, p->lo, p->hi, p->integer ? ", whole" : "",
              p->help);
}

void metric_describe(const metric *m, int brief, text *t) {
  text_addf(t, "### `%s`\n\n%s.\n\n", m->id, m->help);
  text_addf(t, "version %d, tier %d, cost: %s, better: %s, unit %s, range [", m->version, m->tier,
            metric_cost_name(m->cost), m->direction == METRIC_NONE ? "-" : metric_direction_name(m->direction),
            m->unit[0] ? m->unit : "1");
  add_bound(t, m->lo);
  text_add(t, ", ");
  add_bound(t, m->hi);
  text_addf(t, "], picture: %s, gain: %s, needs: ",
            m->picture == METRIC_NO_PICTURE ? "-" : metric_picture_name(m->picture), m->gain_ok ? "yes" : "no");
  metric_needs_text(m, t);
  text_add(t, "\n");
  parameters(m, brief, t);
  if (m->reasons && m->reasons[0]) {
    text_add(t, "- undefined:");
    for (int i = 0; m->reasons[i]; i++) text_addf(t, "%s `%s`", i ? "," : "", m->reasons[i]);
    text_add(t, "\n");
  }
  text_addf(t, "- source: %s\n", m->citation);
}

void set_describe(const set_metric *m, text *t) {
  const set_extractor *x = m->extractor;
  text_addf(t, "### `%s`\n\n%s.\n\n", m->id, m->help);
  text_addf(t, "version %d, tier %d, better: %s, unit %s, range [", m->version, m->tier,
            m->direction == METRIC_NONE ? "-" : metric_direction_name(m->direction), m->unit);
  add_bound(t, m->lo);
  text_add(t, ", ");
  add_bound(t, m->hi);
  text_addf(t, "], picture: %s, at least %lld and %lld clips\n",
            x->picture == METRIC_NO_PICTURE ? "-" : metric_picture_name(x->picture), (long long)m->min_x,
            (long long)m->min_y);
  text_addf(t, "- features `%s`, version %d: %s (%s)\n", x->id, x->version, x->help, x->citation);
  for (const metric_param *p = m->params; p && p->name; p++)
    text_addf(t, "- `%s` = %g in [%g, %g]%s: %s\n", p->name, p->initial, p->lo, p->hi, p->integer ? ", whole" : "",
              p->help);
  text_addf(t, "- source: %s\n", m->citation);
}
