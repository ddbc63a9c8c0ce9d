/* A scorer's card: what an external program says it measures (docs/scorers.md). Plain data, copy freely.
 *
 * Read from the JSON object that `PROGRAM --describe` prints:
 *   {"protocol": 1, "id": "...", "version": 3, "picture": "decoded", "wants": ["rgba8", "base"],
 *    "measures": [{"id": "...", "version": 1, "direction": "up", "unit": "px", "range": [0, null], "plane": "rgb",
 *                  "help": "..."}]}
 * `picture`, `wants`, `unit`, `range`, `help` and a measure's `version` (the card's) may be left out. */
#ifndef TD_STUDY_CARD_H
#define TD_STUDY_CARD_H

#include "base/json.h"
#include "metrics/metric.h"

#define CARD_PROTOCOL 1
#define CARD_NAME 65 /* longest id with its zero */
#define CARD_UNIT 33
#define CARD_HELP 513
#define CARD_MEASURES 64

typedef struct card_measure {
  char id[CARD_NAME];
  int64_t version; /* >= 1 */
  metric_direction direction;
  char unit[CARD_UNIT]; /* "1": a pure number */
  double lo, hi;        /* closed range of values; infinite when open */
  metric_plane plane;
  char help[CARD_HELP];
} card_measure;

typedef struct scorer_card {
  char id[CARD_NAME];
  int64_t version;        /* >= 1 */
  metric_picture picture; /* the form clips are handed over in; never METRIC_NO_PICTURE */
  int wants_rgba8;        /* also as a file of 8-bit RGBA frames */
  int wants_base;         /* also the base model's clip of the same prompt and noise */
  int n;
  card_measure measure[CARD_MEASURES];
} scorer_card;

/* 1 to 64 letters, digits, '.', '_', '-'. */
int card_name_ok(const char *s);
/* A reason code of a scorer's own: 1 to 64 of a-z 0-9 _, a letter first, not beginning with "scorer_". */
int card_reason_ok(const char *s);
/* E_FORMAT says which member is wrong; an unknown member is one. */
int card_parse(err *e, const json *j, scorer_card *out) TD_MUST_CHECK;
/* The card as JSON with every member but `help`, which changes no value: what a key holds. card_parse reads it. */
int card_json(err *e, const scorer_card *c, json **out) TD_MUST_CHECK;

#endif
