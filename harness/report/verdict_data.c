/* Verdicts for programs: JSON, TAP, JUnit, GitHub annotations. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "metrics/describe.h"
#include "report/verdict.h"

#define ANNOTATIONS 10 /* GitHub shows so many a step and drops the rest in silence */

/* --- JSON ------------------------------------------------------------------------------------------------------- */

static void put_text(text *out, const char *key, const char *v) {
  text_addf(out, ", \"%s\": ", key);
  if (v)
    text_add_json(out, v);
  else
    text_add(out, "null");
}

static void put_number(text *out, const char *key, double v) {
  text_addf(out, ", \"%s\": ", key);
  text_add_number(out, v);
}

static void put_count(text *out, const char *key, int64_t v) {
  text_addf(out, ", \"%s\": %lld", key, (long long)v);
}

static void put_statistics(text *out, const verdict_check *c) {
  const stats_comparison *s = &c->stats;
  put_number(out, "lo", s->lo);
  put_number(out, "hi", s->hi);
  put_number(out, "iqm", s->iqm);
  put_number(out, "p", s->test.p);
  put_number(out, "p_floor", s->test.floor);
  put_number(out, "p_holm", c->p_holm);
  put_number(out, "improvement", s->improvement);
  put_count(out, "won", s->wins);
  put_count(out, "tied", s->ties);
  put_count(out, "lost", s->losses);
  put_count(out, "trains", s->trains);
  put_count(out, "prompts", s->prompts);
  put_count(out, "samples", s->samples);
  put_count(out, "pairs", s->pairs);
}

static void put_check(text *out, const verdict_check *c) {
  text_add(out, "    {\"verdict\": ");
  text_add_json(out, verdict_name(c->verdict));
  put_text(out, "metric", c->metric);
  put_text(out, "variant", c->variant);
  put_text(out, "against", c->against);
  put_text(out, "why", c->why);
  put_text(out, "unit", c->unit);
  put_text(out, "direction", metric_direction_name(c->direction));
  text_addf(out, ", \"muted\": %s", c->muted ? "true" : "false");
  if (c->rule >= 0) {
    put_count(out, "rule", c->rule + 1);
    put_count(out, "line", c->line);
  }
  put_number(out, "then", c->then);
  put_number(out, "now", c->now);
  put_number(out, "delta", c->delta);
  put_number(out, "bound_lo", c->bounds.lo);
  put_number(out, "bound_hi", c->bounds.hi);
  put_count(out, "shared", c->shared);
  put_count(out, "missing", c->missing);
  put_count(out, "undefined_now", c->undefined[0]);
  put_count(out, "undefined_then", c->undefined[1]);
  if (c->tested) put_statistics(out, c);
  text_add(out, "}");
}

void verdict_json(const verdict_list *l, text *out) {
  int64_t n[VERDICTS];
  text head = {0};
  verdict_count(l, n);
  verdict_headline(l, &head);
  text_add(out, "{\n  \"schema\": 1,\n  \"headline\": ");
  text_add_json(out, head.p ? head.p : "");
  text_add(out, ",\n  \"title\": ");
  text_add_json(out, l->title);
  text_addf(out, ",\n  \"exit\": %d,\n  \"family_alpha\": ", l->exit_status);
  text_add_number(out, l->alpha);
  text_add(out, ",\n  \"counts\": {");
  for (int i = 0; i < VERDICTS; i++)
    text_addf(out, "%s\"%s\": %lld", i ? ", " : "", verdict_name((verdict)i), (long long)n[i]);
  text_add(out, "},\n  \"checks\": [");
  for (int64_t i = 0; i < l->n; i++) {
    text_add(out, i ? ",\n" : "\n");
    put_check(out, &l->checks[i]);
  }
  text_add(out, "\n  ],\n  \"notes\": [");
  for (int64_t i = 0; i < l->n_notes; i++) {
    text_add(out, i ? ",\n    " : "\n    ");
    text_add_json(out, l->notes[i]);
  }
  text_add(out, "\n  ]\n}\n");
  text_free(&head);
}

/* --- what CI systems call a result ------------------------------------------------------------------------------ */

/* "metric of variant: verdict; why; change, interval and n". */
static void sentence(const verdict_check *c, text *out) {
  text_addf(out, "%s of %s%s%s is %s", c->metric, c->variant, c->against ? " against " : "",
            c->against ? c->against : "", verdict_name(c->verdict));
  if (c->why[0]) text_addf(out, ": %s", c->why);
  if (!isnan(c->delta)) text_addf(out, "; change %+.4g", c->delta);
  if (c->tested)
    text_addf(out, " [%+.4g, %+.4g], n %lldx%lldx%lld", c->stats.lo, c->stats.hi, (long long)c->stats.trains,
              (long long)c->stats.prompts, (long long)c->stats.samples);
}

static int passes(const verdict_check *c) {
  return c->verdict == VERDICT_BETTER || c->verdict == VERDICT_SAME;
}

/* TAP: one line a point; '#' would begin a directive. */
static void tap_text(text *out, const char *s) {
  for (; *s; s++) {
    if ((unsigned char)*s < 32 || *s == 127)
      text_add(out, " ");
    else if (*s == '#' || *s == '\\')
      text_addf(out, "\\%c", *s);
    else
      text_addn(out, s, 1);
  }
}

void verdict_tap(const verdict_list *l, text *out) {
  text_addf(out, "TAP version 13\n1..%lld\n", (long long)l->n);
  for (int64_t i = 0; i < l->n; i++) {
    const verdict_check *c = &l->checks[i];
    text s = {0};
    sentence(c, &s);
    text_addf(out, "%sok %lld - ", passes(c) || c->muted ? "" : "not ", (long long)i + 1);
    tap_text(out, s.p ? s.p : "");
    text_add(out, c->muted ? " # SKIP muted\n" : "\n");
    out->failed |= s.failed;
    text_free(&s);
  }
}

/* XML 1.0 allows no control characters, not even as references; bytes that are not UTF-8 become '?'. */
static void xml_text(text *out, const char *s) {
  size_t left = strlen(s);
  while (left) {
    size_t n = utf8_length(s, left);
    int banned = n == 3 && (unsigned char)s[0] == 0xef && (unsigned char)s[1] == 0xbf && (unsigned char)s[2] >= 0xbe;
    if (n == 0 || banned || (unsigned char)*s < 32 || *s == 127)
      text_add(out, n == 1 ? " " : "?");
    else if (*s == '<' || *s == '>' || *s == '&' || *s == '"' || *s == '\'')
      text_addf(out, "&#%d;", *s);
    else
      text_addn(out, s, n);
    n = n ? n : 1;
    s += n, left -= n;
  }
}

static void property(text *out, const char *name, double v) {
  if (!isnan(v)) text_addf(out, "        <property name=\"%s\" value=\"%.17g\"/>\n", name, v);
}

static void junit_case(const verdict_check *c, text *out) {
  static const char *const element[VERDICTS] = {
      [VERDICT_WORSE] = "failure", [VERDICT_UNCLEAR] = "error", [VERDICT_MISSING] = "error"};
  text s = {0};
  text_add(out, "    <testcase classname=\"");
  xml_text(out, c->metric);
  text_add(out, "\" name=\"");
  xml_text(out, c->variant);
  if (c->against) text_add(out, " - "), xml_text(out, c->against);
  text_addf(out, "\">\n      <properties>\n        <property name=\"verdict\" value=\"%s\"/>\n",
            verdict_name(c->verdict));
  property(out, "n", c->tested ? (double)c->stats.pairs : (double)c->shared);
  property(out, "delta", c->delta);
  property(out, "lo", c->tested ? c->stats.lo : NAN);
  property(out, "hi", c->tested ? c->stats.hi : NAN);
  text_add(out, "      </properties>\n");
  sentence(c, &s);
  if (c->muted || !passes(c)) {
    text_addf(out, "      <%s message=\"", c->muted ? "skipped" : element[c->verdict]);
    xml_text(out, s.p ? s.p : "");
    text_add(out, "\"/>\n");
  }
  text_add(out, "    </testcase>\n");
  out->failed |= s.failed;
  text_free(&s);
}

void verdict_junit(const verdict_list *l, text *out) {
  int64_t n[VERDICTS], counted = 0;
  verdict_count(l, n);
  for (int i = 0; i < VERDICTS; i++) counted += n[i];
  text_add(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"");
  xml_text(out, l->title);
  text_addf(out, "\" tests=\"%lld\" failures=\"%lld\" errors=\"%lld\" skipped=\"%lld\">\n", (long long)l->n,
            (long long)n[VERDICT_WORSE], (long long)(n[VERDICT_UNCLEAR] + n[VERDICT_MISSING]),
            (long long)(l->n - counted));
  for (int64_t i = 0; i < l->n; i++) junit_case(&l->checks[i], out);
  text_add(out, "  </testsuite>\n</testsuites>\n");
}

/* Workflow commands: data escapes % and line ends, properties also ':' and ','. */
static void command_text(text *out, const char *s, int is_property) {
  for (; *s; s++) {
    if (*s == '%' || *s == '\r' || *s == '\n' || (is_property && (*s == ':' || *s == ',')))
      text_addf(out, "%%%02X", (unsigned)(unsigned char)*s);
    else if ((unsigned char)*s < 32 || *s == 127)
      text_add(out, " ");
    else
      text_addn(out, s, 1);
  }
}

static void annotation(const verdict_list *l, const verdict_check *c, text *out) {
  text s = {0};
  sentence(c, &s);
  text_addf(out, "::%s file=", c->verdict == VERDICT_WORSE || l->exit_status ? "error" : "warning");
  command_text(out, l->file, 1);
  if (c->line) text_addf(out, ",line=%d,col=%d", c->line, c->col);
  text_add(out, ",title=");
  command_text(out, c->metric, 1);
  text_addf(out, " %s::", verdict_name(c->verdict));
  command_text(out, s.p ? s.p : "", 0);
  text_add(out, "\n");
  out->failed |= s.failed;
  text_free(&s);
}

void verdict_github(const verdict_list *l, text *out) {
  static const verdict order[] = {VERDICT_WORSE, VERDICT_MISSING, VERDICT_UNCLEAR};
  int64_t shown = 0, n[VERDICTS], all = 0;
  verdict_count(l, n);
  for (int v = 0; v < 3; v++) all += n[order[v]];
  int64_t most = all > ANNOTATIONS ? ANNOTATIONS - 1 : ANNOTATIONS;
  for (int v = 0; v < 3; v++)
    for (int64_t i = 0; i < l->n && shown < most; i++) {
      if (l->checks[i].verdict != order[v] || l->checks[i].muted) continue;
      annotation(l, &l->checks[i], out);
      shown++;
    }
  if (all > shown)
    text_addf(out, "::%s title=gate::and %lld more\n", l->exit_status ? "error" : "warning",
              (long long)(all - shown));
}
