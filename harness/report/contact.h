/* Contact sheets: what the variants of a study made of the same prompts and noise, side by side. One block of rows a
 * variant (what the planes ask for), one block of columns a prompt (frames chosen by a rule, the same for all rows).
 */
#ifndef TD_REPORT_CONTACT_H
#define TD_REPORT_CONTACT_H

#include "base/clip.h"
#include "base/err.h"
#include "store/store.h"
#include "study/plan.h"

enum {
  CONTACT_RGB = 1,
  CONTACT_ALPHA = 2,
  CONTACT_CHECKER = 4,  /* composite over a grey checker */
  CONTACT_PLATE = 8,    /* composite over a moving textured plate, the same for all clips */
  CONTACT_OUTLINE = 16, /* the picture in pale grey and alpha's contour: green on an edge of the picture, red off */
  CONTACT_USUAL = CONTACT_RGB | CONTACT_ALPHA | CONTACT_CHECKER,
  CONTACT_ALL = 31,
};
/* "rgb,alpha,checker,plate,outline" to bits; E_ARG lists the words. */
int contact_planes(err *e, const char *list, unsigned *out) TD_MUST_CHECK;

typedef enum contact_rule {
  CONTACT_EVEN,   /* from the first frame to the last; one: the middle one */
  CONTACT_MOTION, /* where alpha changes most from the frame before, over all rows of the column; in time order */
} contact_rule;

typedef struct contact_input {
  const char *const *rows, *const *columns; /* labels */
  int n_rows, n_columns;
  const clip *const *clips; /* [n_rows][n_columns]; NULL: no such clip, its tiles stay grey */
  int frames;               /* of each clip */
  contact_rule rule;
  int scale; /* every pixel becomes scale x scale; 0 means 2 */
  unsigned planes;
} contact_input;

/* Clips have the size of the first one (E_SHAPE). Clips without alpha leave alpha and composite grey. Nothing to show
 * is E_ARG. The same clips give the same bytes. */
int contact_write(err *e, const contact_input *in, const char *path) TD_MUST_CHECK;

/* composite over [H][W][3]: alpha C + (1 - alpha) checker for straight and decoded colour, C + (1 - alpha) checker
 * for premultiplied; a grey checker with squares of `square` pixels. */
void contact_over_checker(const clip *c, int frame, int square, float *over);
/* The outline of one frame, out [H][W][3]. cut: where alpha is inside (outline_threshold of the clip); edge: the
 * luma step between neighbours that counts as an edge of the picture in full (contact_edge of the clip). A contour
 * pixel takes the greatest step within 1 px of it. */
void contact_outline(const clip *c, int frame, double cut, double edge, float *out);
/* The 95th percentile of the steps of luma between neighbours over the clip, 1/255 at least. */
int contact_edge(err *e, const clip *c, double *edge) TD_MUST_CHECK;

typedef struct contact_choice {
  const char *const *prompts;  /* ids; NULL: n_prompts spread over those of the matrix */
  int n_prompts;               /* 0 means 4 */
  const char *const *variants; /* names; NULL: all of the study */
  int n_variants;
  int frames, scale; /* 0: 2 frames, scale 2 */
  unsigned planes;   /* 0: CONTACT_USUAL */
  contact_rule rule;
} contact_choice;

/* The study's clips from the store, for its first train and sample seed. Clips that are not made yet stay grey;
 * *shown counts those that are there. E_ARG names a prompt or variant that the study does not have. */
int contact_study(err *e, store *s, const study *st, const plan *p, const contact_choice *choice, const char *path,
                  int64_t *shown) TD_MUST_CHECK;

#endif
