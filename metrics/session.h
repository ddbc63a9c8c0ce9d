/* One metric_score call: its inputs, what is known about them, and what several metrics share. Private to metrics/.
 */
#ifndef TD_METRICS_SESSION_H
#define TD_METRICS_SESSION_H

#include "metrics/flow.h"
#include "metrics/metric.h"

typedef enum session_side {
  SIDE_OWN,
  SIDE_PARTNER,
  SIDES, /* an alpha is scored against these */
  SIDE_REFERENCE = SIDES,
  SOURCES,
} session_side;

struct metric_session {
  const metric_input *in;
  const float *truth[SIDES];
  double alpha_mean, alpha_max;
  /* 1 when a plane holds a value that is not finite */
  int bad_alpha, bad_rgb[SIDES], bad_truth[SIDES], bad_base, bad_base_truth, bad_reference, bad_trimap;
  float *form[SOURCES][METRIC_SHOWN + 1]; /* pictures made here, by metric_picture */
  unsigned char *band;                    /* of the alpha under test, [T][H][W]; NULL until asked for */
  flow_cache flows;
};

/* E_SHAPE when clips differ in size. Close it in any case. `in` must outlive the session. */
int session_open(err *e, metric_session *s, const metric_input *in) TD_MUST_CHECK;
void session_close(metric_session *s);
/* What the request's metric sees on this side; *why is the reason when it cannot be computed, else NULL. Of the
 * metric only plane, needs and min_frames are read. */
int session_view(err *e, metric_session *s, const metric_request *r, session_side side, metric_view *out,
                 const char **why) TD_MUST_CHECK;

#endif
