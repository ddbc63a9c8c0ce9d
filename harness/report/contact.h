/* Contact sheets: what the variants of a study made of the same prompts and noise, side by side. One block of rows a
 * variant (RGB, alpha, composite over a checker), one block of columns a prompt (frames evenly spaced over the clip).
 */
#ifndef TD_REPORT_CONTACT_H
#define TD_REPORT_CONTACT_H

#include "base/clip.h"
#include "base/err.h"
#include "store/store.h"
#include "study/plan.h"

enum { CONTACT_RGB = 1, CONTACT_ALPHA = 2, CONTACT_OVER = 4, CONTACT_ALL = 7 };

typedef struct contact_input {
  const char *const *rows, *const *columns; /* labels */
  int n_rows, n_columns;
  const clip *const *clips; /* [n_rows][n_columns]; NULL: no such clip, its tiles stay grey */
  int frames;               /* of each clip: 1 shows the middle one, more run from the first to the last */
  int scale;                /* every pixel becomes scale x scale; 0 means 2 */
  unsigned planes;
} contact_input;

/* Clips have the size of the first one (E_SHAPE). Clips without alpha leave alpha and composite grey. Nothing to show
 * is E_ARG. The same clips give the same bytes. */
int contact_write(err *e, const contact_input *in, const char *path) TD_MUST_CHECK;

/* composite over [H][W][3]: alpha C + (1 - alpha) checker for straight and decoded colour, C + (1 - alpha) checker
 * for premultiplied; a grey checker with squares of `square` pixels. */
void contact_over_checker(const clip *c, int frame, int square, float *over);

typedef struct contact_choice {
  const char *const *prompts;  /* ids; NULL: n_prompts spread over those of the matrix */
  int n_prompts;               /* 0 means 4 */
  const char *const *variants; /* names; NULL: all of the study */
  int n_variants;
  int frames, scale; /* 0: 2 frames, scale 2 */
  unsigned planes;   /* 0: all */
} contact_choice;

/* The study's clips from the store, for its first train and sample seed. Clips that are not made yet stay grey;
 * *shown counts those that are there. E_ARG names a prompt or variant that the study does not have. */
int contact_study(err *e, store *s, const study *st, const plan *p, const contact_choice *choice, const char *path,
                  int64_t *shown) TD_MUST_CHECK;

#endif
