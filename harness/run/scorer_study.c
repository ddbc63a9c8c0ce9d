#include "run/scorer_study.h"

#include "run/scorer.h"

int scorer_study_describe(err *e, study_scorer *s) {
  scorer_options o = scorer_defaults((const char *const *)s->argv, s->folder);
  o.start_s = s->start_s;
  return scorer_describe(e, &o, &s->card);
}
