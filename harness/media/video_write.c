#include "media/video.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>

#include "base/mem.h"
#include "base/text.h"
#include "media/pixels.h"

static const char *const colour_names[] = {"decoded", "straight", "premultiplied"};

const char *video_colour_name(clip_colour c) {
  return (unsigned)c < 3 ? colour_names[c] : "?";
}

int video_colour_parse(const char *s, clip_colour *out) {
  for (int i = 0; i < 3; i++)
    if (strcmp(s, colour_names[i]) == 0) {
      *out = (clip_colour)i;
      return OK;
    }
  return E_ARG;
}

/* What each codec is called and lies in. */
static const struct kind {
  const char *ending, *encoder, *container;
} kinds[] = {
    [VIDEO_FFV1] = {".mkv", "ffv1", "matroska"},
    [VIDEO_WEBP] = {".webp", "libwebp_anim", "webp"},
    [VIDEO_PRORES] = {".mov", "prores_ks", "mov"},
    [VIDEO_VP9] = {".webm", "libvpx-vp9", "webm"},
};
#define KINDS ((int)(sizeof kinds / sizeof *kinds))

int video_codec_of(err *e, const char *path, video_codec *out) {
  const char *dot = strrchr(path, '.');
  for (int i = 0; dot && i < KINDS; i++)
    if (strcmp(dot, kinds[i].ending) == 0) {
      *out = (video_codec)i;
      return OK;
    }
  return err_set(e, E_ARG,
                 "%s: the ending says what is written: .mkv (FFV1, lossless), .mov (ProRes 4444), .webm (VP9 with "
                 "alpha), .webp (animated WebP); or NAME/ for PNG pictures",
                 path);
}

typedef struct writer {
  const char *path; /* for messages; the bytes go to memory */
  AVFormatContext *format;
  AVCodecContext *encoder;
  AVStream *stream;
  AVPacket *packet;
  AVFrame *frame;
} writer;

static enum AVPixelFormat pixel_format(const clip *c, const video_write_options *o) {
  if (o->codec == VIDEO_PRORES) return c->alpha ? AV_PIX_FMT_YUVA444P10 : AV_PIX_FMT_YUV444P10;
  if (o->codec == VIDEO_VP9) return c->alpha ? AV_PIX_FMT_YUVA420P : AV_PIX_FMT_YUV420P;
  if (o->bits == 16) return c->alpha ? AV_PIX_FMT_RGBA64 : AV_PIX_FMT_RGB48;
  if (o->codec == VIDEO_WEBP) return AV_PIX_FMT_BGRA; /* libwebp finds out by itself that nothing is transparent */
  return c->alpha ? AV_PIX_FMT_BGRA : AV_PIX_FMT_BGR0;
}

static int encodes(const AVCodec *codec, enum AVPixelFormat want) {
  for (const enum AVPixelFormat *p = codec->pix_fmts; p && *p != AV_PIX_FMT_NONE; p++)
    if (*p == want) return 1;
  return 0;
}

static void set_colour(const video_write_options *o, enum AVColorRange *range, enum AVColorSpace *matrix) {
  int yuv = o->codec == VIDEO_PRORES || o->codec == VIDEO_VP9;
  *range = yuv ? AVCOL_RANGE_MPEG : AVCOL_RANGE_JPEG;
  *matrix = yuv ? AVCOL_SPC_BT709 : AVCOL_SPC_UNSPECIFIED;
}

/* The encoders' own options. */
static void tune(const video_write_options *o, AVDictionary **opts) {
  switch (o->codec) {
  case VIDEO_FFV1: av_dict_set(opts, "slicecrc", "1", 0); break;
  case VIDEO_WEBP:
    av_dict_set(opts, "lossless", o->quality ? "0" : "1", 0);
    if (o->quality) av_dict_set_int(opts, "quality", o->quality, 0);
    break;
  case VIDEO_PRORES:
    av_dict_set(opts, "profile", "4444", 0);
    av_dict_set(opts, "alpha_bits", "16", 0);
    break;
  case VIDEO_VP9: /* constant quality: 63 is the worst */
    av_dict_set_int(opts, "crf", 63 - 63 * (o->quality ? o->quality : 75) / 100, 0);
    av_dict_set(opts, "b", "0", 0);
    av_dict_set(opts, "auto-alt-ref", "0", 0); /* alpha cannot be coded with hidden frames */
    break;
  }
}

static int open_encoder(writer *w, err *e, const clip *c, const video_write_options *o) {
  int rc = OK;
  AVDictionary *opts = NULL;
  const char *name = kinds[o->codec].encoder;
  const AVCodec *codec = avcodec_find_encoder_by_name(name);
  if (!codec || !encodes(codec, pixel_format(c, o)))
    FAIL(e, E_UNSUPPORTED, "%s: this FFmpeg cannot encode %s pixels with %s", w->path,
         av_get_pix_fmt_name(pixel_format(c, o)), name);
  w->encoder = avcodec_alloc_context3(codec);
  if (!w->encoder) FAIL(e, E_NOMEM, "%s: no memory for an encoder", w->path);
  AVCodecContext *x = w->encoder;
  AVRational fps = av_d2q(c->fps, 1001000);
  x->width = c->width;
  x->height = c->height;
  x->pix_fmt = pixel_format(c, o);
  x->time_base = av_inv_q(fps);
  x->framerate = fps;
  set_colour(o, &x->color_range, &x->colorspace);
  x->gop_size = o->codec == VIDEO_VP9 ? 12 : 1;
  x->thread_count = 1;
  x->flags |= AV_CODEC_FLAG_BITEXACT;
  if (w->format->oformat->flags & AVFMT_GLOBALHEADER) x->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  if (o->codec == VIDEO_FFV1) {
    x->level = 3;
    x->slices = c->width < 16 || c->height < 16 ? 1 : 4;
  }
  tune(o, &opts);
  int status = avcodec_open2(x, codec, &opts);
  if (status < 0) TRY(pixels_fail(e, E_UNSUPPORTED, w->path, "the encoder refuses this clip", status));
out:
  av_dict_free(&opts);
  return rc;
}

/* Sends a frame (NULL: the end) and writes what comes out. */
static int encode(writer *w, err *e, const AVFrame *f) {
  int status = avcodec_send_frame(w->encoder, f);
  while (status >= 0) {
    status = avcodec_receive_packet(w->encoder, w->packet);
    if (status == AVERROR(EAGAIN) || status == AVERROR_EOF) return OK;
    if (status < 0) break;
    if (w->packet->duration == 0) w->packet->duration = 1;
    av_packet_rescale_ts(w->packet, w->encoder->time_base, w->stream->time_base);
    w->packet->stream_index = w->stream->index;
    status = av_interleaved_write_frame(w->format, w->packet);
  }
  return pixels_fail(e, E_IO, w->path, "encoding failed", status);
}

static int fill_frame(writer *w, err *e, const clip *c, int f) {
  int64_t pixels = (int64_t)c->height * c->width;
  int status = av_frame_make_writable(w->frame);
  if (status < 0) return pixels_fail(e, E_NOMEM, w->path, "no memory for a frame", status);
  w->frame->pts = f;
  if (pixels_write(e, c->rgb + 3 * pixels * f, c->alpha ? c->alpha + pixels * f : NULL, w->frame) != OK)
    return err_prefix(e, "%s: frame %d", w->path, f);
  return OK;
}

static int new_frame(writer *w, err *e, const clip *c, const video_write_options *o) {
  w->frame = av_frame_alloc();
  if (!w->frame) return err_set(e, E_NOMEM, "%s: no memory for a frame", w->path);
  w->frame->format = w->encoder->pix_fmt;
  w->frame->width = c->width;
  w->frame->height = c->height;
  set_colour(o, &w->frame->color_range, &w->frame->colorspace);
  int status = av_frame_get_buffer(w->frame, 0);
  return status < 0 ? pixels_fail(e, E_NOMEM, w->path, "no memory for a frame", status) : OK;
}

/* What video_read wants to know. The header comes first in the file, so the frames are made twice for checksums. */
static int describe(writer *w, err *e, const clip *c, int exact) {
  int rc = OK;
  text crcs = {0}, chroma = {0};
  char frames[24];
  for (int f = 0; exact && f < c->frames; f++) {
    uint32_t crc;
    TRY(fill_frame(w, e, c, f));
    TRY(pixels_crc(e, w->frame, &crc));
    text_addf(&crcs, "%08x", (unsigned)crc);
  }
  TRY(text_ok(&crcs, e));
  snprintf(frames, sizeof frames, "%d", c->frames);
  av_dict_set(&w->format->metadata, "TANDEM_COLOUR", video_colour_name(c->colour), 0);
  av_dict_set(&w->format->metadata, "TANDEM_FRAMES", frames, 0);
  if (exact) av_dict_set(&w->format->metadata, "TANDEM_CRC", crcs.p, 0);
  if (c->alpha && c->alpha_chroma_known) {
    text_add_number(&chroma, c->alpha_chroma);
    TRY(text_ok(&chroma, e));
    av_dict_set(&w->format->metadata, "TANDEM_ALPHA_CHROMA", chroma.p, 0);
  }
out:
  text_free(&crcs);
  text_free(&chroma);
  return rc;
}

static int open_muxer(writer *w, err *e, const clip *c, const video_write_options *o) {
  int rc = OK;
  AVDictionary *opts = NULL;
  av_log_set_level(AV_LOG_QUIET); /* failures are told once, through err */
  int status = avformat_alloc_output_context2(&w->format, NULL, kinds[o->codec].container, NULL);
  if (status < 0) TRY(pixels_fail(e, E_UNSUPPORTED, w->path, "no such container in this FFmpeg", status));
  w->format->flags |= AVFMT_FLAG_BITEXACT; /* no dates, no random ids */
  TRY(open_encoder(w, e, c, o));
  w->stream = avformat_new_stream(w->format, NULL);
  w->packet = av_packet_alloc();
  if (!w->stream || !w->packet || avio_open_dyn_buf(&w->format->pb) < 0)
    FAIL(e, E_NOMEM, "%s: no memory for a video", w->path);
  w->stream->time_base = w->encoder->time_base;
  w->stream->avg_frame_rate = w->encoder->framerate;
  TRY(new_frame(w, e, c, o));
  TRY(describe(w, e, c, o->codec == VIDEO_FFV1));
  if (o->codec == VIDEO_VP9 && c->alpha) av_dict_set(&w->stream->metadata, "alpha_mode", "1", 0);
  av_dict_set(&opts, "loop", "0", 0); /* WebP: for ever */
  av_dict_set(&opts, "movflags", "use_metadata_tags", 0);
  status = avcodec_parameters_from_context(w->stream->codecpar, w->encoder);
  if (status >= 0) status = avformat_write_header(w->format, &opts);
  if (status < 0) TRY(pixels_fail(e, E_UNSUPPORTED, w->path, "the container refuses this clip", status));
out:
  av_dict_free(&opts);
  return rc;
}

static int encode_clip(writer *w, err *e, const clip *c) {
  int rc = OK;
  for (int f = 0; f < c->frames; f++) {
    TRY(fill_frame(w, e, c, f));
    TRY(encode(w, e, w->frame));
  }
  TRY(encode(w, e, NULL));
  int status = av_write_trailer(w->format);
  if (status < 0) TRY(pixels_fail(e, E_IO, w->path, "the container could not be finished", status));
out:
  return rc;
}

static void writer_close(writer *w) {
  if (w->format && w->format->pb) {
    uint8_t *bytes = NULL;
    avio_close_dyn_buf(w->format->pb, &bytes);
    av_free(bytes);
  }
  av_frame_free(&w->frame);
  av_packet_free(&w->packet);
  avcodec_free_context(&w->encoder);
  avformat_free_context(w->format);
}

static int check_clip(err *e, const char *name, const clip *c, const video_write_options *o) {
  if (c->frames <= 0 || c->height <= 0 || c->width <= 0 || !(c->fps > 0) || !c->rgb)
    return err_set(e, E_ARG, "%s: a clip of %d frames of %dx%d at %g fps cannot be written", name, c->frames,
                   c->width, c->height, c->fps);
  if (o->bits != 0 && o->bits != 8 && !(o->bits == 16 && o->codec == VIDEO_FFV1))
    return err_set(e, E_ARG, "%s: %d bits are not supported", name, o->bits);
  if (o->quality < 0 || o->quality > 100 || (o->quality && o->codec != VIDEO_WEBP && o->codec != VIDEO_VP9))
    return err_set(e, E_ARG, "%s: a quality of %d is not supported", name, o->quality);
  if (o->codec == VIDEO_FFV1 && (c->width < 2 || c->height < 2)) /* FFmpeg's encoder writes black then */
    return err_set(e, E_UNSUPPORTED, "%s: FFV1 needs at least 2x2 pixels, the clip has %dx%d", name, c->width,
                   c->height);
  return OK;
}

int video_encode(err *e, const char *name, const clip *c, const video_write_options *o, char **out, size_t *n) {
  int rc = OK;
  writer w = {.path = name};
  video_write_options plain = {0};
  uint8_t *bytes = NULL;
  *out = NULL, *n = 0;
  if (!o) o = &plain;
  TRY(check_clip(e, name, c, o));
  TRY(open_muxer(&w, e, c, o));
  TRY(encode_clip(&w, e, c));
  int size = avio_close_dyn_buf(w.format->pb, &bytes);
  w.format->pb = NULL;
  TRY(mem_new(e, (int64_t)size + 1, 1, "video", out));
  memcpy(*out, bytes, (size_t)size);
  *n = (size_t)size;
out:
  av_free(bytes);
  writer_close(&w);
  return rc;
}

int video_write(err *e, const char *path, const clip *c, const video_write_options *o) {
  int rc = OK;
  char *bytes = NULL;
  size_t n;
  TRY(video_encode(e, path, c, o, &bytes, &n));
  TRY(file_write(e, path, bytes, n));
out:
  free(bytes);
  return rc;
}
