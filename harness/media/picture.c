#include "media/picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cairo.h>

#include "base/mem.h"
#include "base/text.h"
#include "media/pixels.h"

#define FONT_SIZE 11
#define LABEL_HEIGHT 16
#define LABEL_WIDTH 360 /* most a row label may take */

static int new_frame(err *e, const char *path, int height, int width, enum AVPixelFormat format, AVFrame **out) {
  AVFrame *f = *out = av_frame_alloc();
  if (!f) return err_set(e, E_NOMEM, "%s: no memory for a picture", path);
  f->format = format;
  f->height = height;
  f->width = width;
  f->color_range = AVCOL_RANGE_JPEG;
  int status = av_frame_get_buffer(f, 0);
  return status < 0 ? pixels_fail(e, E_NOMEM, path, "no memory for a picture", status) : OK;
}

static int encode_png(err *e, const char *path, const AVFrame *f) {
  int rc = OK, status;
  AVCodecContext *x = NULL;
  AVPacket *packet = av_packet_alloc();
  const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_PNG);
  if (!codec) FAIL(e, E_UNSUPPORTED, "%s: this FFmpeg has no PNG encoder", path);
  x = avcodec_alloc_context3(codec);
  if (!x || !packet) FAIL(e, E_NOMEM, "%s: no memory for a PNG encoder", path);
  x->width = f->width;
  x->height = f->height;
  x->pix_fmt = (enum AVPixelFormat)f->format;
  x->time_base = (AVRational){1, 1};
  x->thread_count = 1;
  x->flags |= AV_CODEC_FLAG_BITEXACT;
  status = avcodec_open2(x, codec, NULL);
  if (status >= 0) status = avcodec_send_frame(x, f);
  if (status >= 0) status = avcodec_send_frame(x, NULL);
  if (status >= 0) status = avcodec_receive_packet(x, packet);
  if (status < 0) TRY(pixels_fail(e, E_UNSUPPORTED, path, "cannot be encoded as PNG", status));
  TRY(file_write(e, path, packet->data, (size_t)packet->size));
out:
  av_packet_free(&packet);
  avcodec_free_context(&x);
  return rc;
}

int picture_write(err *e, const char *path, int height, int width, const float *rgb, const float *alpha) {
  int rc = OK;
  AVFrame *f = NULL;
  av_log_set_level(AV_LOG_QUIET);
  if (height <= 0 || width <= 0) FAIL(e, E_ARG, "%s: a picture of %dx%d", path, width, height);
  TRY(new_frame(e, path, height, width, alpha ? AV_PIX_FMT_RGBA : AV_PIX_FMT_RGB24, &f));
  if (pixels_write(e, rgb, alpha, f) != OK) {
    rc = err_prefix(e, "%s", path);
    goto out;
  }
  TRY(encode_png(e, path, f));
out:
  av_frame_free(&f);
  return rc;
}

struct sheet {
  sheet_shape shape;
  uint32_t *tiles; /* [rows][columns][tile_height][tile_width], 0x00RRGGBB */
  char **labels;   /* rows, then columns; NULL: none */
};

int sheet_open(err *e, const sheet_shape *shape, sheet **out) {
  int rc = OK;
  sheet *s = NULL;
  const sheet_shape *p = shape;
  *out = NULL;
  if (p->rows <= 0 || p->columns <= 0 || p->tile_height <= 0 || p->tile_width <= 0 || p->scale <= 0)
    FAIL(e, E_ARG, "sheet of %dx%d tiles of %dx%d, scaled by %d", p->columns, p->rows, p->tile_width, p->tile_height,
         p->scale);
  const double limit = 32767; /* cairo's largest picture */
  if ((double)p->columns * (p->tile_width * (double)p->scale + 1) + LABEL_WIDTH > limit ||
      (double)p->rows * (p->tile_height * (double)p->scale + 1) + LABEL_HEIGHT > limit)
    FAIL(e, E_ARG, "sheet of %dx%d tiles of %dx%d, scaled by %d, is too large", p->columns, p->rows, p->tile_width,
         p->tile_height, p->scale);
  TRY(mem_new(e, 1, sizeof *s, "sheet", &s));
  s->shape = *p;
  int64_t n = (int64_t)p->rows * p->columns * p->tile_height * p->tile_width;
  TRY(mem_new(e, n, sizeof *s->tiles, "sheet", &s->tiles));
  TRY(mem_new(e, (int64_t)p->rows + p->columns, sizeof *s->labels, "sheet", &s->labels));
  for (int64_t i = 0; i < n; i++) s->tiles[i] = 0xeeeeee;
  *out = s;
  s = NULL;
out:
  sheet_close(s);
  return rc;
}

void sheet_close(sheet *s) {
  if (!s) return;
  for (int i = 0; s->labels && i < s->shape.rows + s->shape.columns; i++) free(s->labels[i]);
  free(s->labels);
  free(s->tiles);
  free(s);
}

static int put(sheet *s, err *e, int row, int column, const float *v, int channels) {
  const sheet_shape *p = &s->shape;
  if (row < 0 || row >= p->rows || column < 0 || column >= p->columns)
    return err_set(e, E_ARG, "tile (%d, %d) of a sheet of %d rows and %d columns", row, column, p->rows, p->columns);
  int64_t n = (int64_t)p->tile_height * p->tile_width;
  uint32_t *to = s->tiles + ((int64_t)row * p->columns + column) * n;
  for (int64_t i = 0; i < n; i++) {
    to[i] = 0;
    for (int k = 0; k < 3; k++) {
      double x = (double)v[channels == 3 ? 3 * i + k : i];
      if (isnan(x))
        return err_set(e, E_NAN, "tile (%d, %d) of a sheet has a value that is not a number", row, column);
      to[i] = to[i] << 8 | (uint32_t)lrint(fmin(fmax(x, 0), 1) * 255);
    }
  }
  return OK;
}

int sheet_rgb(sheet *s, err *e, int row, int column, const float *rgb) {
  return put(s, e, row, column, rgb, 3);
}

int sheet_gray(sheet *s, err *e, int row, int column, const float *gray) {
  return put(s, e, row, column, gray, 1);
}

static int label(sheet *s, err *e, int slot, const char *words) {
  free(s->labels[slot]);
  s->labels[slot] = NULL;
  return mem_strdup(e, words, &s->labels[slot]);
}

int sheet_row_label(sheet *s, err *e, int row, const char *words) {
  if (row < 0 || row >= s->shape.rows) return err_set(e, E_ARG, "label of row %d of %d", row, s->shape.rows);
  return label(s, e, row, words);
}

int sheet_column_label(sheet *s, err *e, int column, const char *words) {
  if (column < 0 || column >= s->shape.columns)
    return err_set(e, E_ARG, "label of column %d of %d", column, s->shape.columns);
  return label(s, e, s->shape.rows + column, words);
}

static void use_font(cairo_t *c) {
  cairo_select_font_face(c, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(c, FONT_SIZE);
}

/* Widest row label, 0 without any. */
static int margin_left(const sheet *s) {
  double widest = 0;
  cairo_surface_t *none = cairo_image_surface_create(CAIRO_FORMAT_RGB24, 1, 1);
  cairo_t *c = cairo_create(none);
  use_font(c);
  for (int r = 0; r < s->shape.rows; r++)
    if (s->labels[r]) {
      cairo_text_extents_t size;
      cairo_text_extents(c, s->labels[r], &size);
      widest = fmax(widest, ceil(size.x_advance) + 8);
    }
  cairo_destroy(c);
  cairo_surface_destroy(none);
  return (int)fmin(widest, LABEL_WIDTH);
}

static int margin_top(const sheet *s) {
  for (int k = 0; k < s->shape.columns; k++)
    if (s->labels[s->shape.rows + k]) return LABEL_HEIGHT;
  return 0;
}

typedef struct box {
  int left, top, width, height;
} box;

static void draw_label(cairo_t *c, box b, const char *words) {
  if (!words) return;
  cairo_save(c);
  cairo_rectangle(c, b.left, b.top, b.width, b.height);
  cairo_clip(c);
  cairo_move_to(c, b.left + 3, b.top + (b.height + FONT_SIZE) / 2 - 2);
  cairo_show_text(c, words);
  cairo_restore(c);
}

static void draw_labels(const sheet *s, cairo_t *c, int left, int top) {
  const sheet_shape *p = &s->shape;
  int w = p->tile_width * p->scale, h = p->tile_height * p->scale;
  cairo_set_source_rgb(c, 1, 1, 1);
  cairo_paint(c);
  cairo_set_source_rgb(c, 0, 0, 0);
  use_font(c);
  for (int r = 0; r < p->rows; r++) draw_label(c, (box){0, top + r * (h + 1), left, h}, s->labels[r]);
  for (int k = 0; k < p->columns; k++) draw_label(c, (box){left + k * (w + 1), 0, w, top}, s->labels[p->rows + k]);
}

/* Rows of 0x00RRGGBB words, `stride` words apart. */
static void draw_tiles(const sheet *s, uint32_t *to, int64_t stride) {
  const sheet_shape *p = &s->shape;
  const uint32_t *from = s->tiles;
  for (int r = 0; r < p->rows; r++)
    for (int k = 0; k < p->columns; k++, from += (int64_t)p->tile_height * p->tile_width) {
      uint32_t *tile = to + r * (p->tile_height * p->scale + 1) * stride + k * (p->tile_width * p->scale + 1);
      for (int y = 0; y < p->tile_height * p->scale; y++)
        for (int x = 0; x < p->tile_width * p->scale; x++)
          tile[y * stride + x] = from[y / p->scale * p->tile_width + x / p->scale];
    }
}

static int write_surface(err *e, const char *path, cairo_surface_t *surface) {
  int rc = OK, w = cairo_image_surface_get_width(surface), h = cairo_image_surface_get_height(surface);
  int64_t stride = cairo_image_surface_get_stride(surface);
  const unsigned char *data = cairo_image_surface_get_data(surface);
  AVFrame *f = NULL;
  TRY(new_frame(e, path, h, w, AV_PIX_FMT_RGB24, &f));
  for (int y = 0; y < h; y++)
    for (int x = 0; x < w; x++) {
      uint32_t word;
      memcpy(&word, data + y * stride + 4 * x, 4);
      for (int k = 0; k < 3; k++)
        f->data[0][(int64_t)y * f->linesize[0] + 3 * x + k] = (uint8_t)(word >> (16 - 8 * k) & 255);
    }
  TRY(encode_png(e, path, f));
out:
  av_frame_free(&f);
  return rc;
}

int sheet_write(sheet *s, err *e, const char *path) {
  int rc = OK;
  const sheet_shape *p = &s->shape;
  int left = margin_left(s), top = margin_top(s);
  cairo_surface_t *surface =
      cairo_image_surface_create(CAIRO_FORMAT_RGB24, left + p->columns * (p->tile_width * p->scale + 1) - 1,
                                 top + p->rows * (p->tile_height * p->scale + 1) - 1);
  cairo_t *c = cairo_create(surface);
  draw_labels(s, c, left, top);
  cairo_surface_flush(surface);
  /* After the first error cairo draws nothing more and remembers it; text that is not UTF-8 is one. */
  if (cairo_status(c) != CAIRO_STATUS_SUCCESS)
    FAIL(e, cairo_status(c) == CAIRO_STATUS_NO_MEMORY ? E_NOMEM : E_ARG, "%s: drawing failed: %s", path,
         cairo_status_to_string(cairo_status(c)));
  int64_t stride = cairo_image_surface_get_stride(surface) / 4;
  draw_tiles(s, (uint32_t *)(void *)cairo_image_surface_get_data(surface) + top * stride + left, stride);
  TRY(write_surface(e, path, surface));
out:
  cairo_destroy(c);
  cairo_surface_destroy(surface);
  return rc;
}
