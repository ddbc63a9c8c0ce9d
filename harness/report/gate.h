/* The gate: scores of now against a baseline under the rules of a file (spec/harness.md 10, docs/gate.md). */
#ifndef TD_REPORT_GATE_H
#define TD_REPORT_GATE_H

#include "report/gate_rules.h"
#include "report/verdict.h"

/* Exit statuses of a judged gate. */
enum { GATE_PASS = 0, GATE_RED = 1, GATE_OPEN = 4 }; /* OPEN: unclear or missing, and the rules say that fails */

/* Everything is borrowed. */
typedef struct gate_input {
  const gate_rules *rules;
  const baseline *now, *then;
  const char *today;      /* YYYY-MM-DD: a mute holds up to and including its day */
  const char *host_class; /* of this machine, for rules that hold on one class only */
  stats_options stats;
} gate_input;

/* One check for each rule and variant it covers, then what vanished without a rule looking at it. The exit status is
 * GATE_RED when a check that counts is worse; GATE_OPEN for unclear or missing ones unless the file lets them pass,
 * and when nothing was judged at all. A mean is never taken over fewer clips than the baseline has: that is missing.
 */
int gate_judge(err *e, const gate_input *in, verdict_list *out) TD_MUST_CHECK;

/* Proves that the gate can go red: judges changed copies of the baseline and requires the tabled verdicts and exit
 * statuses. Appends one line a claim; *failed counts the claims that did not hold. */
int gate_selftest(err *e, const gate_input *in, text *out, int64_t *failed) TD_MUST_CHECK;

/* Does the rule hold for this study and class of machine? */
int gate_rule_applies(const gate_input *in, const gate_rule *r);
/* Allowed change of a bound, from the baseline's mean. */
double gate_margin(const gate_bound *b, double mean);

#endif
