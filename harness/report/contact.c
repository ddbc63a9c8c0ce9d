#include "report/contact.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "media/moving.h"
#include "media/picture.h"
#include "metrics/outline.h"
#include "report/study_clips.h"

void contact_over_checker(const clip *c, int frame, int square, float *over) {
  int64_t n = (int64_t)c->height * c->width;
  const float *rgb = c->rgb + frame * n * 3, *alpha = c->alpha + frame * n;
  for (int64_t i = 0; i < n; i++) {
    int64_t y = i / c->width, x = i % c->width;
    float a = alpha[i], ground = (y / square + x / square) % 2 ? 0.6f : 0.85f;
    float weight = c->colour == CLIP_PREMULTIPLIED ? 1 : a;
    for (int k = 0; k < 3; k++) over[3 * i + k] = weight * rgb[3 * i + k] + (1 - a) * ground;
  }
}

static const clip *first_clip(const contact_input *in) {
  for (int i = 0; i < in->n_rows * in->n_columns; i++)
    if (in->clips[i]) return in->clips[i];
  return NULL;
}

static const struct {
  unsigned plane;
  const char *word, *after; /* in --planes; in a label, behind the variant */
} planes[] = {{CONTACT_RGB, "rgb", ""},
              {CONTACT_ALPHA, "alpha", " alpha"},
              {CONTACT_CHECKER, "checker", " over"},
              {CONTACT_PLATE, "plate", " on plate"},
              {CONTACT_OUTLINE, "outline", " outline"}};
enum { PLANES = sizeof planes / sizeof planes[0] };

int contact_planes(err *e, const char *list, unsigned *out) {
  *out = 0;
  for (size_t n; *list; list += n + (list[n] == ',')) {
    int k = 0;
    n = strcspn(list, ",");
    while (k < PLANES && (strlen(planes[k].word) != n || memcmp(planes[k].word, list, n) != 0)) k++;
    if (k == PLANES)
      return err_set(e, E_ARG, "'%.*s' is not one of rgb, alpha, checker, plate, outline", (int)n, list);
    *out |= planes[k].plane;
  }
  return *out ? OK : err_set(e, E_ARG, "no plane is named; there are rgb, alpha, checker, plate, outline");
}

/* --- frames ----------------------------------------------------------------------------------------------------- */

/* Change of alpha from the frame before, summed over the clips of one column. */
static double alpha_change(const contact_input *in, int column, int t) {
  double sum = 0;
  for (int r = 0; r < in->n_rows; r++) {
    const clip *c = in->clips[r * in->n_columns + column];
    if (!c || !c->alpha || t >= c->frames) continue;
    int64_t n = (int64_t)c->height * c->width;
    for (int64_t i = 0; i < n; i++) sum += (double)fabsf(c->alpha[t * n + i] - c->alpha[(t - 1) * n + i]);
  }
  return sum;
}

/* The frames with the most change, in time order; ties go to the earlier one. A clip shorter than the wish shows its
 * last frame again. */
static void by_motion(const contact_input *in, int column, int length, double *change, int *frame) {
  for (int t = 0; t < length; t++) change[t] = t ? alpha_change(in, column, t) : -1;
  for (int k = 0; k < in->frames; k++) {
    int best = -1;
    for (int t = 0; t < length; t++)
      if (change[t] > -2 && (best < 0 || change[t] > change[best])) best = t;
    frame[k] = best < 0 ? length - 1 : best;
    if (best >= 0) change[best] = -2;
  }
  for (int i = 1; i < in->frames; i++) /* insertion sort of a handful */
    for (int k = i; k > 0 && frame[k - 1] > frame[k]; k--) {
      int t = frame[k];
      frame[k] = frame[k - 1], frame[k - 1] = t;
    }
}

static int choose_frames(err *e, const contact_input *in, int column, int *frame) {
  int length = 0, rc = OK;
  double *change = NULL;
  for (int r = 0; r < in->n_rows; r++) {
    const clip *c = in->clips[r * in->n_columns + column];
    if (c && (!length || c->frames < length)) length = c->frames;
  }
  if (!length) return OK;
  for (int k = 0; k < in->frames; k++)
    frame[k] = in->frames < 2 ? length / 2 : (int)((int64_t)k * (length - 1) / (in->frames - 1));
  if (in->rule == CONTACT_EVEN) return OK;
  TRY(mem_new(e, length, sizeof *change, "frames", &change));
  by_motion(in, column, length, change, frame);
out:
  free(change);
  return rc;
}

/* --- tiles ------------------------------------------------------------------------------------------------------ */

/* What all tiles share. */
typedef struct drawing {
  const contact_input *in;
  sheet *s;
  float *over; /* [H][W][3] */
  clip plate;  /* of the longest clip; without frames unless plates are asked for */
  int *frame;  /* [columns][frames] */
} drawing;

static void over_plate(const clip *c, int frame, const clip *plate, float *over) {
  int64_t n = (int64_t)c->height * c->width;
  const float *rgb = c->rgb + frame * n * 3, *alpha = c->alpha + frame * n, *ground = plate->rgb + frame * n * 3;
  for (int64_t i = 0; i < 3 * n; i++) {
    float a = alpha[i / 3];
    over[i] = (c->colour == CLIP_PREMULTIPLIED ? 1 : a) * rgb[i] + (1 - a) * ground[i];
  }
}

/* One frame of one clip in one plane. cut and edge are read by outlines alone. */
static int put_tile(err *e, const drawing *d, const clip *c, int frame, unsigned plane, int row, int column,
                    const double cut_edge[2]) {
  int64_t n = (int64_t)c->height * c->width;
  if (plane == CONTACT_RGB) return sheet_rgb(d->s, e, row, column, c->rgb + frame * n * 3);
  if (!c->alpha) return OK;
  if (plane == CONTACT_ALPHA) return sheet_gray(d->s, e, row, column, c->alpha + frame * n);
  if (plane == CONTACT_CHECKER) contact_over_checker(c, frame, c->height >= 16 ? c->height / 8 : 2, d->over);
  if (plane == CONTACT_PLATE) over_plate(c, frame, &d->plate, d->over);
  if (plane == CONTACT_OUTLINE) contact_outline(c, frame, cut_edge[0], cut_edge[1], d->over);
  return sheet_rgb(d->s, e, row, column, d->over);
}

static int put_row(err *e, const drawing *d, int r, int row, int k) {
  const contact_input *in = d->in;
  char label[300];
  int rc = OK;
  snprintf(label, sizeof label, "%.200s%s", in->rows[r], planes[k].after);
  TRY(sheet_row_label(d->s, e, row, label));
  for (int c = 0; c < in->n_columns; c++) {
    const clip *x = in->clips[r * in->n_columns + c];
    double cut_edge[2] = {0.5, 1};
    if (!x) continue;
    if (planes[k].plane == CONTACT_OUTLINE && x->alpha) {
      TRY(outline_threshold(e, x->alpha, (int64_t)x->frames * x->height * x->width, &cut_edge[0]));
      TRY(contact_edge(e, x, &cut_edge[1]));
    }
    for (int f = 0; f < in->frames; f++)
      TRY(put_tile(e, d, x, d->frame[c * in->frames + f], planes[k].plane, row, c * in->frames + f, cut_edge));
  }
out:
  return rc;
}

static int check(err *e, const contact_input *in, const clip *first) {
  if (!first) return err_set(e, E_ARG, "there is no clip to show yet");
  if (in->frames < 1 || !(in->planes & CONTACT_ALL)) return err_set(e, E_ARG, "a contact sheet of nothing");
  for (int i = 0; i < in->n_rows * in->n_columns; i++) {
    const clip *c = in->clips[i];
    if (c && (c->height != first->height || c->width != first->width))
      return err_set(e, E_SHAPE, "clips of %dx%d and of %dx%d do not go on one contact sheet", first->width,
                     first->height, c->width, c->height);
  }
  return OK;
}

/* The plate alone: what a clip that is transparent everywhere lets through. */
static int make_plate(err *e, const contact_input *in, const clip *first, clip *plate) {
  int longest = 0, rc = OK;
  for (int i = 0; i < in->n_rows * in->n_columns; i++)
    if (in->clips[i] && in->clips[i]->frames > longest) longest = in->clips[i]->frames;
  TRY(clip_new(e, longest, first->height, first->width, 1, plate));
  plate->colour = CLIP_PREMULTIPLIED;
  TRY(moving_over(e, plate, 1, plate->rgb));
out:
  return rc;
}

static int draw(err *e, drawing *d, const clip *first) {
  const contact_input *in = d->in;
  int rc = OK, row = 0;
  TRY(mem_new(e, (int64_t)first->height * first->width * 3, sizeof *d->over, "composite", &d->over));
  TRY(mem_new(e, (int64_t)in->n_columns * in->frames, sizeof *d->frame, "frames", &d->frame));
  if (in->planes & CONTACT_PLATE) TRY(make_plate(e, in, first, &d->plate));
  for (int c = 0; c < in->n_columns; c++) {
    TRY(choose_frames(e, in, c, d->frame + c * in->frames));
    TRY(sheet_column_label(d->s, e, c * in->frames, in->columns[c]));
  }
  for (int r = 0; r < in->n_rows; r++)
    for (int k = 0; k < PLANES; k++)
      if (in->planes & planes[k].plane) TRY(put_row(e, d, r, row++, k));
out:
  return rc;
}

int contact_write(err *e, const contact_input *in, const char *path) {
  const clip *first = first_clip(in);
  drawing d = {.in = in};
  int rc = OK, bands = 0;
  TRY(check(e, in, first));
  for (int i = 0; i < PLANES; i++) bands += (in->planes & planes[i].plane) != 0;
  TRY(sheet_open(e,
                 &(sheet_shape){.rows = in->n_rows * bands,
                                .columns = in->n_columns * in->frames,
                                .tile_height = first->height,
                                .tile_width = first->width,
                                .scale = in->scale ? in->scale : 2},
                 &d.s));
  TRY(draw(e, &d, first));
  TRY(sheet_write(d.s, e, path));
out:
  sheet_close(d.s);
  free(d.over);
  free(d.frame);
  clip_free(&d.plate);
  return rc;
}

/* --- from a store ---------------------------------------------------------------------------------------------- */

static int find_prompt(err *e, const study *st, const char *id, int *out) {
  for (int i = 0; i < st->n_prompts; i++)
    if (strcmp(st->prompts[i].id, id) == 0) {
      *out = i;
      return OK;
    }
  return err_set(e, E_ARG, "the study has no prompt '%.80s'", id);
}

/* What a contact_input borrows. */
typedef struct picked {
  const char **rows, **columns;
  clip *room;
  const clip **clips;
  int *prompt, *row;
} picked;

static int choose_prompts(err *e, const study *st, const contact_choice *choice, picked *x, int *n) {
  int rc = OK, used;
  *n = choice->n_prompts > 0 ? choice->n_prompts : 4;
  TRY(mem_new(e, (int64_t)st->n_prompts + *n, sizeof *x->prompt, "prompts", &x->prompt));
  if (choice->prompts) {
    for (int i = 0; i < *n; i++) TRY(find_prompt(e, st, choice->prompts[i], &x->prompt[i]));
  } else {
    used = study_clip_prompts(st, x->prompt);
    if (*n > used) *n = used;
    for (int i = 0; i < *n; i++) x->prompt[i] = x->prompt[(int64_t)i * used / *n];
  }
out:
  return rc;
}

static int choose_rows(err *e, const study *st, const contact_choice *choice, picked *x, int *n) {
  int rc = OK;
  *n = choice->variants ? choice->n_variants : st->n_rows;
  TRY(mem_new(e, *n, sizeof *x->row, "rows", &x->row));
  for (int i = 0; i < *n; i++) {
    x->row[i] = choice->variants ? study_row_find(st, choice->variants[i]) : i;
    if (x->row[i] < 0) FAIL(e, E_ARG, "the study has no variant '%.80s'", choice->variants[i]);
  }
out:
  return rc;
}

static int pick(err *e, const study *st, const contact_choice *choice, contact_input *in, picked *x) {
  int n, rows, rc = OK;
  TRY(choose_prompts(e, st, choice, x, &n));
  TRY(choose_rows(e, st, choice, x, &rows));
  TRY(mem_new(e, rows, sizeof *x->rows, "labels", &x->rows));
  TRY(mem_new(e, n, sizeof *x->columns, "labels", &x->columns));
  TRY(mem_new(e, (int64_t)rows * n, sizeof *x->room, "clips", &x->room));
  TRY(mem_new(e, (int64_t)rows * n, sizeof *x->clips, "clips", &x->clips));
  for (int i = 0; i < rows; i++) x->rows[i] = st->rows[x->row[i]].name;
  for (int i = 0; i < n; i++) x->columns[i] = st->prompts[x->prompt[i]].text;
  *in = (contact_input){.rows = x->rows,
                        .columns = x->columns,
                        .n_rows = rows,
                        .n_columns = n,
                        .clips = x->clips,
                        .frames = choice->frames > 0 ? choice->frames : 2,
                        .scale = choice->scale,
                        .rule = choice->rule,
                        .planes = choice->planes ? choice->planes : CONTACT_USUAL};
out:
  return rc;
}

int contact_study(err *e, store *s, const study *st, const plan *p, const contact_choice *choice, const char *path,
                  int64_t *shown) {
  picked x = {0};
  contact_input in = {0};
  int rc = OK;
  *shown = 0;
  TRY(pick(e, st, choice, &in, &x));
  for (int r = 0; r < in.n_rows; r++)
    for (int c = 0; c < in.n_columns; c++) {
      int i = r * in.n_columns + c;
      int64_t point = study_clip_point(st, x.row[r], x.prompt[c]);
      int found = 0;
      if (point >= 0) TRY(study_clip_read(e, s, study_clip_key(p, point), &x.room[i], &found));
      if (found) x.clips[i] = &x.room[i], ++*shown;
    }
  TRY(contact_write(e, &in, path));
out:
  for (int i = 0; x.clips && i < in.n_rows * in.n_columns; i++) clip_free(&x.room[i]);
  free(x.rows);
  free(x.columns);
  free(x.prompt);
  free(x.row);
  free(x.room);
  free(x.clips);
  return rc;
}
