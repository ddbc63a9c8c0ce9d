/* What `tandem score` prints of one clip: a row a measure, by a metric in process or by an external scorer. */
#ifndef TD_CLI_SCORE_ROWS_H
#define TD_CLI_SCORE_ROWS_H

#include "base/text.h"
#include "metrics/metric.h"
#include "run/scorer.h"

typedef enum score_form { SCORE_GRID, SCORE_JSON, SCORE_CSV } score_form;

typedef struct score_row {
  char metric[METRIC_TEXT], id[METRIC_TEXT]; /* as asked for; without parameters */
  int64_t version, support;
  double value;
  char reason[CARD_NAME]; /* "" when defined */
  char unit[CARD_UNIT];
  metric_direction direction;
  metric_picture picture;
  int circular;
} score_row;

extern const char score_csv_head[];

score_row score_row_metric(const metric_request *r, const metric_value *v);
/* Measure i of a card; its name is CARD/MEASURE. */
score_row score_row_measure(const scorer_card *card, int i, const scorer_value *v);
/* Appends the n rows of a clip. */
void score_rows_print(const char *clip_name, const score_row *row, int64_t n, score_form form, text *out);

#endif
