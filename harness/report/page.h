/* The report of a study: one HTML page with everything in it, readable from file:// without a network, a script or a
 * light: tables, figures with their content in words, and clips over a backdrop that can be switched. */
#ifndef TD_REPORT_PAGE_H
#define TD_REPORT_PAGE_H

#include "base/text.h"
#include "report/figure.h"
#include "report/projection.h"
#include "report/study_clips.h"

typedef struct page_figure {
  const char *title, *alt; /* as of the figure */
  const char *svg;         /* the file's text */
} page_figure;

typedef struct page_input {
  store *store;
  const study *study;
  const plan *plan;
  const tables *tables;
  const page_figure *figures;
  int n_figures;
  int prompts; /* most prompts whose clips are shown, spread over those of the study; 0: none */
} page_input;

/* Appends the page. Clips are those of the first train and sample seed, as animated WebP with alpha; those that are
 * not made yet say so. The same store gives the same bytes. *clips: how many it holds. */
int page_make(err *e, const page_input *in, text *out, int64_t *clips) TD_MUST_CHECK;

#endif
