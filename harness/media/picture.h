/* PNG pictures, and contact sheets: tiles in a grid with labels. */
#ifndef TD_MEDIA_PICTURE_H
#define TD_MEDIA_PICTURE_H

#include "base/err.h"

/* 8-bit PNG of rgb [H][W][3] and, unless NULL, alpha [H][W] (straight). Values are clamped and rounded half to even;
 * E_NAN when one is not a number. Temporary name, then renamed; the same picture gives the same bytes. */
int picture_write(err *e, const char *path, int height, int width, const float *rgb,
                  const float *alpha) TD_MUST_CHECK;

typedef struct sheet_shape {
  int rows, columns, tile_height, tile_width;
  int scale; /* every pixel becomes scale x scale */
} sheet_shape;
typedef struct sheet sheet;

/* Empty tiles are light grey; tiles are 1 pixel apart on white. */
int sheet_open(err *e, const sheet_shape *shape, sheet **out) TD_MUST_CHECK;
void sheet_close(sheet *s);
/* Puts rgb [tile_height][tile_width][3], or one gray plane, into a tile. E_ARG outside the grid. */
int sheet_rgb(sheet *s, err *e, int row, int column, const float *rgb) TD_MUST_CHECK;
int sheet_gray(sheet *s, err *e, int row, int column, const float *gray) TD_MUST_CHECK;
/* Labels (UTF-8, copied) left of a row and above a column; too long ones are cut off. */
int sheet_row_label(sheet *s, err *e, int row, const char *label) TD_MUST_CHECK;
int sheet_column_label(sheet *s, err *e, int column, const char *label) TD_MUST_CHECK;
int sheet_write(sheet *s, err *e, const char *path) TD_MUST_CHECK;

#endif
