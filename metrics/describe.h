/* What a metric is, in words: one text for `tandem metrics show` and docs/metrics.md. */
#ifndef TD_METRICS_DESCRIBE_H
#define TD_METRICS_DESCRIBE_H

#include "base/text.h"
#include "metrics/metric.h"
#include "metrics/set.h"

/* "up", "down", "none" */
const char *metric_direction_name(metric_direction d);
/* "decoded", "premultiplied", "straight", "shown", "none" */
const char *metric_picture_name(metric_picture p);
/* "pixels", "filters", "flows" */
const char *metric_cost_name(metric_cost c);
/* "rgb", "alpha", "joint" */
const char *metric_plane_name(metric_plane p);
/* What must be there: "alpha, truth". */
void metric_needs_text(const metric *m, text *out);
const char *metric_reason_help(const char *code);

/* Markdown: heading, help, facts, parameters, reasons, source. Parameters that an earlier metric lists already are
 * named by that metric when `brief`. */
void metric_describe(const metric *m, int brief, text *out);
/* The same of a score of sets and of the features it compares. */
void set_describe(const set_metric *m, text *out);

#endif
