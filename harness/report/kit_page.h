/* The questionnaire of a user study: one HTML page with everything in it (report/questionnaire.html). It names no
 * variant, prompt id, path or key; clips lie in it in the order the caller gives. */
#ifndef TD_REPORT_KIT_PAGE_H
#define TD_REPORT_KIT_PAGE_H

#include "report/kit_key.h"

/* A clip as the page holds it: its panels below each other in one animated WebP. */
typedef struct kit_picture {
  int width, height; /* of one panel */
  char *base64;
} kit_picture;

typedef struct kit_page_input {
  const kit_key *key; /* names, questions, plan */
  const kit_view *panels;
  int n_panels; /* of every picture, top to bottom; they include the views of all questions */
  const kit_picture *pictures;
  int64_t n_pictures;
  const int64_t *slot; /* [n_prompts][n_variants + 1]: picture of a variant, of the broken clip last; -1: none */
} kit_page_input;

/* Appends the page to `out` and sets `kit` to the hash of its contents. The same input gives the same bytes. */
int kit_page_make(err *e, const kit_page_input *in, char kit[HASH_HEX], text *out) TD_MUST_CHECK;

#endif
