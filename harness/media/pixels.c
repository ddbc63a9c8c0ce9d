#include "media/pixels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <libavutil/crc.h>
#include <libavutil/pixdesc.h>

#include "base/mem.h"

int pixels_fail(err *e, int code, const char *path, const char *what, int status) {
  char words[AV_ERROR_MAX_STRING_SIZE] = "";
  av_strerror(status, words, sizeof words);
  return err_set(e, code, "%s: %s: %s", path, what, words);
}

/* One component as floats. */
typedef struct plane {
  float *v;
  int width, height;
} plane;

typedef struct picture {
  const AVPixFmtDescriptor *desc;
  plane c[4]; /* R G B A, or Y U V A, or Y A */
} picture;

static const AVPixFmtDescriptor *describe(const AVFrame *f) {
  return av_pix_fmt_desc_get((enum AVPixelFormat)f->format);
}

static int flag(const AVPixFmtDescriptor *d, uint64_t bit) {
  return (d->flags & bit) != 0;
}

int pixels_have_alpha(const AVFrame *f) {
  const AVPixFmtDescriptor *d = describe(f);
  return d && flag(d, AV_PIX_FMT_FLAG_ALPHA);
}

static int is_rgb(const AVPixFmtDescriptor *d) {
  return flag(d, AV_PIX_FMT_FLAG_RGB) || flag(d, AV_PIX_FMT_FLAG_PAL);
}

static int is_gray(const AVPixFmtDescriptor *d) {
  return !is_rgb(d) && d->nb_components < 3;
}

/* Weights of red and blue in luma. */
static int luma_weights(const AVFrame *f, double *kr, double *kb) {
  int s = (int)f->colorspace;
  if (s == AVCOL_SPC_UNSPECIFIED || s == AVCOL_SPC_RESERVED)
    s = f->width >= 1280 || f->height > 576 ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
  switch (s) {
  case AVCOL_SPC_BT470BG:
  case AVCOL_SPC_SMPTE170M: *kr = .299, *kb = .114; return OK;
  case AVCOL_SPC_BT709: *kr = .2126, *kb = .0722; return OK;
  case AVCOL_SPC_BT2020_NCL: *kr = .2627, *kb = .0593; return OK;
  case AVCOL_SPC_SMPTE240M: *kr = .212, *kb = .087; return OK;
  case AVCOL_SPC_FCC: *kr = .30, *kb = .11; return OK;
  default: return E_UNSUPPORTED;
  }
}

int pixels_check(err *e, const char *path, const AVFrame *f) {
  const AVPixFmtDescriptor *d = describe(f);
  if (!d) return err_set(e, E_FORMAT, "%s: a frame without a pixel format", path);
  const uint64_t refused = AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_BAYER | AV_PIX_FMT_FLAG_FLOAT;
  int deep = 0;
  for (int i = 0; i < d->nb_components; i++) deep |= d->comp[i].depth > 16;
  if ((d->flags & refused) || deep || f->format == AV_PIX_FMT_XYZ12LE || f->format == AV_PIX_FMT_XYZ12BE)
    return err_set(e, E_UNSUPPORTED, "%s: pixel format %s is not one of 1 to 16 bit gray, YUV or RGB", path, d->name);
  double kr, kb;
  if (!is_rgb(d) && !is_gray(d) && luma_weights(f, &kr, &kb) != OK)
    return err_set(e, E_UNSUPPORTED, "%s: colour matrix %s is not supported", path,
                   av_color_space_name(f->colorspace));
  return OK;
}

static int full_range(const AVFrame *f, const AVPixFmtDescriptor *d) {
  switch (f->format) {
  case AV_PIX_FMT_YUVJ411P:
  case AV_PIX_FMT_YUVJ420P:
  case AV_PIX_FMT_YUVJ422P:
  case AV_PIX_FMT_YUVJ440P:
  case AV_PIX_FMT_YUVJ444P: return 1;
  default: break;
  }
  return f->color_range == AVCOL_RANGE_JPEG || (is_gray(d) && f->color_range != AVCOL_RANGE_MPEG);
}

/* value = (code - zero) / span. RGB tagged as limited is read as full: FFmpeg's tools put that tag there by mistake.
 */
static void code_scale(const AVFrame *f, const AVPixFmtDescriptor *d, int component, double *zero, double *span) {
  int depth = d->comp[component].depth;
  int alpha = flag(d, AV_PIX_FMT_FLAG_ALPHA) && component == d->nb_components - 1;
  int chroma = !alpha && !is_rgb(d) && component > 0;
  double unit = ldexp(1, depth - 8), top = ldexp(1, depth) - 1;
  *zero = chroma ? ldexp(1, depth - 1) : 0;
  *span = top;
  if (alpha || is_rgb(d) || full_range(f, d)) return;
  *zero = chroma ? 128 * unit : 16 * unit;
  *span = (chroma ? 224 : 219) * unit;
}

static int read_plane(err *e, const AVFrame *f, const AVPixFmtDescriptor *d, int component, plane *out) {
  int rc = OK, sub = !is_rgb(d) && d->nb_components >= 3 && (component == 1 || component == 2);
  uint16_t *row = NULL;
  double zero, span;
  out->width = sub ? AV_CEIL_RSHIFT(f->width, d->log2_chroma_w) : f->width;
  out->height = sub ? AV_CEIL_RSHIFT(f->height, d->log2_chroma_h) : f->height;
  TRY(mem_new(e, (int64_t)out->width * out->height, sizeof *out->v, "picture plane", &out->v));
  TRY(mem_new(e, out->width, sizeof *row, "picture row", &row));
  code_scale(f, d, component, &zero, &span);
  for (int y = 0; y < out->height; y++) {
    av_read_image_line2(row, (const uint8_t **)f->data, f->linesize, d, 0, y, component, out->width, 0, sizeof *row);
    float *to = out->v + (int64_t)y * out->width;
    for (int x = 0; x < out->width; x++) to[x] = (float)((row[x] - zero) / span);
    if (f->format == AV_PIX_FMT_MONOWHITE)
      for (int x = 0; x < out->width; x++) to[x] = 1 - to[x];
  }
out:
  free(row);
  return rc;
}

/* A palette entry is a 32-bit word 0xAARRGGBB in native order. */
static int read_palette(err *e, const AVFrame *f, picture *p) {
  int rc = OK;
  for (int i = 0; i < 4; i++) {
    p->c[i].width = f->width, p->c[i].height = f->height;
    TRY(mem_new(e, (int64_t)f->width * f->height, sizeof(float), "picture plane", &p->c[i].v));
  }
  for (int y = 0; y < f->height; y++)
    for (int x = 0; x < f->width; x++) {
      uint32_t word;
      memcpy(&word, f->data[1] + 4 * f->data[0][y * f->linesize[0] + x], 4);
      for (int i = 0; i < 4; i++)
        p->c[i].v[(int64_t)y * f->width + x] = (float)(word >> (i == 3 ? 24 : 16 - 8 * i) & 255u) / 255;
    }
out:
  return rc;
}

static void picture_free(picture *p) {
  for (int i = 0; i < 4; i++) free(p->c[i].v);
}

/* All components; on failure the caller still frees. */
static int picture_read(err *e, const AVFrame *f, picture *p) {
  int rc = OK;
  *p = (picture){.desc = describe(f)};
  if (flag(p->desc, AV_PIX_FMT_FLAG_PAL)) return read_palette(e, f, p);
  for (int i = 0; i < p->desc->nb_components; i++) TRY(read_plane(e, f, p->desc, i, &p->c[i]));
out:
  return rc;
}

static float unit_clamp(double v) {
  return (float)(v > 0 ? (v < 1 ? v : 1) : 0);
}

/* Where luma sample i lies among the chroma samples of its axis. */
typedef struct siting {
  int shift, cosited;
} siting;

static double chroma_at(siting s, int i) {
  double step = 1 << s.shift;
  return s.cosited ? i / step : (i + .5) / step - .5;
}

static siting siting_of(const AVFrame *f, const AVPixFmtDescriptor *d, int vertical) {
  int where = (int)f->chroma_location;
  if (where == AVCHROMA_LOC_UNSPECIFIED) where = full_range(f, d) ? AVCHROMA_LOC_CENTER : AVCHROMA_LOC_LEFT;
  int left = where == AVCHROMA_LOC_LEFT || where == AVCHROMA_LOC_TOPLEFT || where == AVCHROMA_LOC_BOTTOMLEFT;
  int top = where == AVCHROMA_LOC_TOPLEFT || where == AVCHROMA_LOC_TOP;
  return vertical ? (siting){d->log2_chroma_h, top} : (siting){d->log2_chroma_w, left};
}

static double bilinear(const plane *p, double y, double x) {
  x = x < 0 ? 0 : x > p->width - 1 ? p->width - 1 : x;
  y = y < 0 ? 0 : y > p->height - 1 ? p->height - 1 : y;
  int x0 = (int)x, y0 = (int)y, x1 = x0 + (x0 + 1 < p->width), y1 = y0 + (y0 + 1 < p->height);
  double fx = x - x0, fy = y - y0;
  const float *top = p->v + (int64_t)y0 * p->width, *low = p->v + (int64_t)y1 * p->width;
  return (1 - fy) * ((1 - fx) * (double)top[x0] + fx * (double)top[x1]) +
         fy * ((1 - fx) * (double)low[x0] + fx * (double)low[x1]);
}

static void rgb_from_yuv(const AVFrame *f, const picture *p, float *rgb) {
  double kr = .299, kb = .114;
  (void)luma_weights(f, &kr, &kb); /* pixels_check has refused the others */
  siting across = siting_of(f, p->desc, 0), down = siting_of(f, p->desc, 1);
  for (int y = 0; y < f->height; y++)
    for (int x = 0; x < f->width; x++) {
      int64_t i = (int64_t)y * f->width + x;
      double cy = chroma_at(down, y), cx = chroma_at(across, x), luma = (double)p->c[0].v[i];
      double r = luma + 2 * (1 - kr) * bilinear(&p->c[2], cy, cx);
      double b = luma + 2 * (1 - kb) * bilinear(&p->c[1], cy, cx);
      rgb[3 * i] = unit_clamp(r);
      rgb[3 * i + 1] = unit_clamp((luma - kr * r - kb * b) / (1 - kr - kb));
      rgb[3 * i + 2] = unit_clamp(b);
    }
}

int pixels_read(err *e, const AVFrame *f, float *rgb, float *alpha) {
  int rc = OK;
  int64_t n = (int64_t)f->width * f->height;
  picture p = {0};
  if (!rgb && !alpha) return OK;
  TRY(picture_read(e, f, &p));
  if (rgb && (is_rgb(p.desc) || is_gray(p.desc))) {
    for (int64_t i = 0; i < n; i++)
      for (int k = 0; k < 3; k++) rgb[3 * i + k] = unit_clamp((double)p.c[is_rgb(p.desc) ? k : 0].v[i]);
  } else if (rgb) {
    rgb_from_yuv(f, &p, rgb);
  }
  if (alpha) {
    const float *from = flag(p.desc, AV_PIX_FMT_FLAG_PAL)     ? p.c[3].v
                        : flag(p.desc, AV_PIX_FMT_FLAG_ALPHA) ? p.c[p.desc->nb_components - 1].v
                                                              : NULL;
    for (int64_t i = 0; i < n; i++) alpha[i] = from ? unit_clamp((double)from[i]) : 1;
  }
out:
  picture_free(&p);
  return rc;
}

int pixels_read_gray(err *e, const AVFrame *f, float *gray) {
  int rc = OK;
  int64_t n = (int64_t)f->width * f->height;
  picture p = {0};
  if (!gray) return OK;
  TRY(picture_read(e, f, &p));
  const float *a = p.c[0].v, *b = p.c[1].v, *c = p.c[2].v;
  for (int64_t i = 0; i < n; i++)
    gray[i] =
        unit_clamp(is_rgb(p.desc) ? .299 * (double)a[i] + .587 * (double)b[i] + .114 * (double)c[i] : (double)a[i]);
out:
  picture_free(&p);
  return rc;
}

/* Position of R, G, B, A in a written pixel. */
static int layout_of(int format, int order[4], int *samples, int *bits) {
  static const struct {
    enum AVPixelFormat format;
    int order[4], samples, bits;
  } known[] = {{AV_PIX_FMT_BGRA, {2, 1, 0, 3}, 4, 8},    {AV_PIX_FMT_BGR0, {2, 1, 0, 3}, 4, 8},
               {AV_PIX_FMT_RGBA, {0, 1, 2, 3}, 4, 8},    {AV_PIX_FMT_RGB24, {0, 1, 2, 3}, 3, 8},
               {AV_PIX_FMT_RGBA64, {0, 1, 2, 3}, 4, 16}, {AV_PIX_FMT_RGB48, {0, 1, 2, 3}, 3, 16}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (known[i].format == format) {
      memcpy(order, known[i].order, sizeof known[i].order);
      *samples = known[i].samples, *bits = known[i].bits;
      return OK;
    }
  return E_UNSUPPORTED;
}

/* Luma and the two chroma planes of every pixel, by the frame's own matrix. */
static int yuv_from_rgb(err *e, const AVFrame *f, const float *rgb, float *const yuv[3]) {
  double kr = .299, kb = .114;
  if (luma_weights(f, &kr, &kb) != OK) return err_set(e, E_UNSUPPORTED, "no such colour matrix");
  for (int64_t i = 0; i < (int64_t)f->width * f->height; i++) {
    double c[3];
    for (int k = 0; k < 3; k++) {
      c[k] = (double)unit_clamp((double)rgb[3 * i + k]);
      if (isnan(rgb[3 * i + k]))
        return err_set(e, E_NAN, "pixel (%d, %d) is not a number", (int)(i % f->width), (int)(i / f->width));
    }
    double y = kr * c[0] + (1 - kr - kb) * c[1] + kb * c[2];
    yuv[0][i] = (float)y;
    yuv[1][i] = (float)((c[2] - y) / (2 * (1 - kb)));
    yuv[2][i] = (float)((c[0] - y) / (2 * (1 - kr)));
  }
  return OK;
}

/* Value of a plane that is halved along the axes of d: rows are averaged, columns are cosited with every second one,
 * which is where readers look for the chroma of a file that does not say. */
static double halved(const AVFrame *f, const AVPixFmtDescriptor *d, const float *v, int y, int x) {
  double sum = 0;
  int rows = 1 << d->log2_chroma_h, wide = d->log2_chroma_w;
  for (int j = 0; j < rows; j++) {
    int at = (y << d->log2_chroma_h) + j, mid = x << wide;
    const float *row = v + (int64_t)(at < f->height ? at : f->height - 1) * f->width;
    int left = mid > 0 ? mid - 1 : 0, right = mid + 1 < f->width ? mid + 1 : mid;
    sum += wide ? .25 * (double)row[left] + .5 * (double)row[mid] + .25 * (double)row[right] : (double)row[mid];
  }
  return sum / rows;
}

static void put_plane(AVFrame *f, const AVPixFmtDescriptor *d, int component, const float *v) {
  int sub = component == 1 || component == 2, depth = d->comp[component].depth;
  int width = sub ? AV_CEIL_RSHIFT(f->width, d->log2_chroma_w) : f->width;
  int height = sub ? AV_CEIL_RSHIFT(f->height, d->log2_chroma_h) : f->height;
  double zero, span, top = ldexp(1, depth) - 1;
  code_scale(f, d, component, &zero, &span);
  for (int y = 0; y < height; y++) {
    uint8_t *to = f->data[component] + (int64_t)y * f->linesize[component];
    for (int x = 0; x < width; x++) {
      double value = sub ? halved(f, d, v, y, x) : (double)v[(int64_t)y * f->width + x];
      double code = nearbyint(zero + span * value);
      uint16_t word = (uint16_t)(code < 0 ? 0 : code > top ? top : code);
      if (depth > 8)
        memcpy(to + 2 * x, &word, 2);
      else
        to[x] = (uint8_t)word;
    }
  }
}

static int write_yuv(err *e, const float *rgb, const float *alpha, AVFrame *f) {
  int rc = OK;
  int64_t n = (int64_t)f->width * f->height;
  const AVPixFmtDescriptor *d = describe(f);
  float *yuv[3] = {NULL};
  for (int k = 0; k < 3; k++) TRY(mem_new(e, n, sizeof(float), "picture plane", &yuv[k]));
  TRY(yuv_from_rgb(e, f, rgb, yuv));
  for (int k = 0; k < 3; k++) put_plane(f, d, k, yuv[k]);
  if (!flag(d, AV_PIX_FMT_FLAG_ALPHA)) goto out;
  for (int64_t i = 0; i < n; i++) {
    if (alpha && isnan(alpha[i]))
      FAIL(e, E_NAN, "alpha of pixel (%d, %d) is not a number", (int)(i % f->width), (int)(i / f->width));
    yuv[0][i] = alpha ? unit_clamp((double)alpha[i]) : 1;
  }
  put_plane(f, d, 3, yuv[0]);
out:
  for (int k = 0; k < 3; k++) free(yuv[k]);
  return rc;
}

int pixels_write(err *e, const float *rgb, const float *alpha, AVFrame *f) {
  int order[4], samples, bits;
  if (describe(f) && !is_rgb(describe(f)) && !is_gray(describe(f))) return write_yuv(e, rgb, alpha, f);
  if (layout_of(f->format, order, &samples, &bits) != OK)
    return err_set(e, E_UNSUPPORTED, "pixel format %d is not one that is written", f->format);
  const double top = bits == 16 ? 65535 : 255;
  for (int y = 0; y < f->height; y++)
    for (int x = 0; x < f->width; x++) {
      int64_t i = (int64_t)y * f->width + x;
      for (int k = 0; k < samples; k++) {
        float v = k < 3 ? rgb[3 * i + k] : alpha ? alpha[i] : 1;
        if (isnan(v)) return err_set(e, E_NAN, "pixel (%d, %d) is not a number", x, y);
        /* lrint rounds half to even in the default mode, which nothing in the project changes */
        uint16_t code = (uint16_t)lrint((double)unit_clamp((double)v) * top);
        uint8_t *to = f->data[0] + (int64_t)y * f->linesize[0] + (int64_t)(x * samples + order[k]) * (bits / 8);
        if (bits == 16)
          memcpy(to, &code, 2);
        else
          *to = (uint8_t)code;
      }
    }
  return OK;
}

int pixels_crc(err *e, const AVFrame *f, uint32_t *out) {
  int rc = OK;
  const AVPixFmtDescriptor *d = describe(f);
  const AVCRC *table = av_crc_get_table(AV_CRC_32_IEEE_LE);
  uint16_t *row = NULL;
  *out = UINT32_MAX;
  TRY(mem_new(e, f->width, sizeof *row, "picture row", &row));
  for (int y = 0; y < f->height; y++)
    for (int k = 0; k < d->nb_components; k++) {
      av_read_image_line2(row, (const uint8_t **)f->data, f->linesize, d, 0, y, k, f->width, 0, sizeof *row);
      *out = av_crc(table, *out, (const uint8_t *)row, (size_t)f->width * sizeof *row);
    }
out:
  free(row);
  return rc;
}
