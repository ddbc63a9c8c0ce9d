#include "report/contact.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "media/picture.h"
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

static int frame_at(const clip *c, int i, int frames) {
  return frames < 2 ? c->frames / 2 : (int)((int64_t)i * (c->frames - 1) / (frames - 1));
}

static const clip *first_clip(const contact_input *in) {
  for (int i = 0; i < in->n_rows * in->n_columns; i++)
    if (in->clips[i]) return in->clips[i];
  return NULL;
}

static const struct {
  unsigned plane;
  const char *word;
} planes[] = {{CONTACT_RGB, ""}, {CONTACT_ALPHA, " alpha"}, {CONTACT_OVER, " over"}};
enum { PLANES = sizeof planes / sizeof planes[0] };

/* One frame of one clip in one plane. */
static int put_tile(err *e, sheet *s, const clip *c, int frame, unsigned plane, int row, int column, float *over) {
  int64_t n = (int64_t)c->height * c->width;
  if (plane == CONTACT_RGB) return sheet_rgb(s, e, row, column, c->rgb + frame * n * 3);
  if (!c->alpha) return OK;
  if (plane == CONTACT_ALPHA) return sheet_gray(s, e, row, column, c->alpha + frame * n);
  contact_over_checker(c, frame, c->height >= 16 ? c->height / 8 : 2, over);
  return sheet_rgb(s, e, row, column, over);
}

static int put_row(err *e, const contact_input *in, sheet *s, int r, int row, int plane, float *over) {
  char label[300];
  int rc = OK;
  snprintf(label, sizeof label, "%.200s%s", in->rows[r], planes[plane].word);
  TRY(sheet_row_label(s, e, row, label));
  for (int c = 0; c < in->n_columns; c++) {
    const clip *x = in->clips[r * in->n_columns + c];
    for (int f = 0; x && f < in->frames; f++)
      TRY(put_tile(e, s, x, frame_at(x, f, in->frames), planes[plane].plane, row, c * in->frames + f, over));
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

int contact_write(err *e, const contact_input *in, const char *path) {
  const clip *first = first_clip(in);
  sheet *s = NULL;
  float *over = NULL;
  int rc = OK, bands = 0, row = 0;
  TRY(check(e, in, first));
  for (int i = 0; i < PLANES; i++) bands += (in->planes & planes[i].plane) != 0;
  TRY(mem_new(e, (int64_t)first->height * first->width * 3, sizeof *over, "composite", &over));
  TRY(sheet_open(e,
                 &(sheet_shape){.rows = in->n_rows * bands,
                                .columns = in->n_columns * in->frames,
                                .tile_height = first->height,
                                .tile_width = first->width,
                                .scale = in->scale ? in->scale : 2},
                 &s));
  for (int c = 0; c < in->n_columns; c++) TRY(sheet_column_label(s, e, c * in->frames, in->columns[c]));
  for (int r = 0; r < in->n_rows; r++)
    for (int i = 0; i < PLANES; i++)
      if (in->planes & planes[i].plane) TRY(put_row(e, in, s, r, row++, i, over));
  TRY(sheet_write(s, e, path));
out:
  sheet_close(s);
  free(over);
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
    x->row[i] = i;
    if (!choice->variants) continue;
    x->row[i] = -1;
    for (int r = 0; r < st->n_rows; r++)
      if (strcmp(st->rows[r].name, choice->variants[i]) == 0) x->row[i] = r;
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
                        .planes = choice->planes ? choice->planes : CONTACT_ALL};
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
