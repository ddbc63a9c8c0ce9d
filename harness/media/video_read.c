#include "media/video.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavutil/dict.h>
#include <libavutil/pixdesc.h>

#include "base/mem.h"
#include "base/text.h"
#include "media/pixels.h"

struct video {
  char *path;
  video_info info;
  int64_t max_frames, delivered;
  AVFormatContext *format;
  AVCodecContext *decoder;
  AVPacket *packet;
  AVFrame *frame;
  int stream, draining, waiting; /* waiting: `frame` holds the next frame to deliver */
};

/* Playlists and the like could make FFmpeg open other files; only self-contained formats are let in. */
static const char formats[] = "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,avi,nut,yuv4mpegpipe,ivf,ogg,mpegts,gif,apng,"
                              "image2,png_pipe,webp_pipe,jpeg_pipe,tiff_pipe,bmp_pipe,exr_pipe,dpx_pipe,sgi_pipe,"
                              "pam_pipe,ppm_pipe,pgm_pipe,pbm_pipe";

static int open_format(err *e, const char *path, double fps, AVFormatContext **out) {
  int rc = OK;
  AVDictionary *opts = NULL;
  text url = {0};
  char rate[32];
  *out = NULL;
  av_log_set_level(AV_LOG_QUIET); /* failures are told once, through err */
  if (!strchr(path, '%') && !file_exists(path)) FAIL(e, E_IO, "%s: no such file", path);
  text_addf(&url, "file:%s", path); /* so that no part of a name is taken for a protocol */
  TRY(text_ok(&url, e));
  snprintf(rate, sizeof rate, "%.6f", fps);
  av_dict_set(&opts, "format_whitelist", formats, 0);
  av_dict_set(&opts, "protocol_whitelist", "file", 0);
  /* Only image sequences know these options. FFmpeg would look for a first number up to 4. */
  if (fps > 0) av_dict_set(&opts, "framerate", rate, 0);
  av_dict_set(&opts, "start_number_range", "1000000", 0);
  int status = avformat_open_input(out, url.p, NULL, &opts);
  if (status < 0) TRY(pixels_fail(e, E_FORMAT, path, "not a video or image this build can read", status));
out:
  av_dict_free(&opts);
  text_free(&url);
  return rc;
}

static const AVCodec *pick_decoder(const AVStream *s) {
  enum AVCodecID id = s->codecpar->codec_id;
  const AVDictionaryEntry *mode = av_dict_get(s->metadata, "alpha_mode", NULL, 0);
  const AVCodec *found = NULL;
  /* FFmpeg's own VP8 and VP9 decoders drop the alpha that lies beside the picture; libvpx keeps it. */
  if (mode && strcmp(mode->value, "1") == 0)
    found = id == AV_CODEC_ID_VP8   ? avcodec_find_decoder_by_name("libvpx")
            : id == AV_CODEC_ID_VP9 ? avcodec_find_decoder_by_name("libvpx-vp9")
                                    : NULL;
  return found ? found : avcodec_find_decoder(id);
}

static int open_decoder(video *v, err *e) {
  int rc = OK;
  int status = avformat_find_stream_info(v->format, NULL);
  if (status < 0) TRY(pixels_fail(e, E_FORMAT, v->path, "damaged", status));
  v->stream = av_find_best_stream(v->format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
  if (v->stream < 0) FAIL(e, E_FORMAT, "%s: no picture in this file", v->path);
  const AVStream *s = v->format->streams[v->stream];
  const AVCodec *codec = pick_decoder(s);
  if (!codec)
    FAIL(e, E_UNSUPPORTED, "%s: FFmpeg has no decoder for %s here", v->path, avcodec_get_name(s->codecpar->codec_id));
  v->decoder = avcodec_alloc_context3(codec);
  v->packet = av_packet_alloc();
  v->frame = av_frame_alloc();
  if (!v->decoder || !v->packet || !v->frame) FAIL(e, E_NOMEM, "%s: no memory for a decoder", v->path);
  status = avcodec_parameters_to_context(v->decoder, s->codecpar);
  if (status < 0) TRY(pixels_fail(e, E_FORMAT, v->path, "damaged", status));
  v->decoder->thread_count = 1;
  v->decoder->max_pixels = 1 << 26;
  /* A damaged frame is an error, not a guess; but FFmpeg's TIFF reader calls healthy files damaged then. */
  v->decoder->err_recognition = AV_EF_CRCCHECK | (codec->id == AV_CODEC_ID_TIFF ? 0 : AV_EF_EXPLODE);
  status = avcodec_open2(v->decoder, codec, NULL);
  if (status < 0) TRY(pixels_fail(e, E_FORMAT, v->path, "the decoder refuses it", status));
out:
  return rc;
}

static int damaged(video *v, err *e, int status) {
  char what[64];
  snprintf(what, sizeof what, "frame %lld is damaged", (long long)v->delivered);
  return pixels_fail(e, E_FORMAT, v->path, what, status);
}

/* Sends the next packet of the stream, or the end of it. */
static int feed(video *v, err *e) {
  for (;;) {
    int status = av_read_frame(v->format, v->packet);
    if (status == AVERROR_EOF) {
      v->draining = 1;
      status = avcodec_send_packet(v->decoder, NULL);
      return status < 0 && status != AVERROR_EOF ? damaged(v, e, status) : OK;
    }
    if (status < 0) return damaged(v, e, status);
    int ours = v->packet->stream_index == v->stream;
    if (ours) status = avcodec_send_packet(v->decoder, v->packet);
    av_packet_unref(v->packet);
    if (ours) return status < 0 ? damaged(v, e, status) : OK;
  }
}

/* Decodes until v->frame holds a frame (*got = 1) or the stream ends. */
static int decode(video *v, err *e, int *got) {
  int rc = OK;
  *got = 0;
  for (;;) {
    int status = avcodec_receive_frame(v->decoder, v->frame);
    if (status == AVERROR_EOF) return OK;
    if (status == AVERROR(EAGAIN)) {
      if (v->draining) return OK;
      TRY(feed(v, e));
      continue;
    }
    if (status < 0) return damaged(v, e, status);
    if (v->frame->decode_error_flags || (v->frame->flags & AV_FRAME_FLAG_CORRUPT))
      return damaged(v, e, AVERROR_INVALIDDATA);
    *got = 1;
    return OK;
  }
out:
  return rc;
}

/* 0 when it is no plausible rate: formats with a delay a frame give their clock's tick for very short files. */
static double plausible(AVRational r) {
  double fps = r.num > 0 && r.den > 0 ? (double)r.num / r.den : 0;
  return fps <= 1000 ? fps : 0;
}

static double frame_rate(const AVStream *s) {
  double mean = plausible(s->avg_frame_rate);
  return mean > 0 ? mean : plausible(s->r_frame_rate);
}

static const AVDictionaryEntry *tag(const video *v, const char *key) {
  return av_dict_get(v->format->metadata, key, NULL, 0);
}

/* A tag that is no number in [0,1] counts as none. */
static void read_alpha_chroma(const video *v, video_info *to) {
  const AVDictionaryEntry *t = tag(v, "TANDEM_ALPHA_CHROMA");
  char *end = NULL;
  double x = t && to->has_alpha ? strtod(t->value, &end) : 0;
  to->alpha_chroma_known = end && end != t->value && !*end && x >= 0 && x <= 1;
  if (to->alpha_chroma_known) to->alpha_chroma = x;
}

static int fill_info(video *v, err *e, const video_options *o) {
  int rc = pixels_check(e, v->path, v->frame);
  if (rc != OK) return rc;
  const AVDictionaryEntry *colour = tag(v, "TANDEM_COLOUR"), *frames = tag(v, "TANDEM_FRAMES");
  v->info = (video_info){.width = v->frame->width,
                         .height = v->frame->height,
                         .fps = frame_rate(v->format->streams[v->stream]),
                         .has_alpha = pixels_have_alpha(v->frame),
                         .bits = av_pix_fmt_desc_get((enum AVPixelFormat)v->frame->format)->comp[0].depth,
                         .frames = frames ? strtoll(frames->value, NULL, 10) : -1};
  read_alpha_chroma(v, &v->info);
  v->info.colour = v->info.has_alpha ? CLIP_STRAIGHT : CLIP_DECODED;
  if (o && o->untagged) v->info.colour = (clip_colour)(o->untagged - 1);
  v->info.colour_tagged = colour && video_colour_parse(colour->value, &v->info.colour) == OK;
  if (o && o->need_alpha && !v->info.has_alpha)
    return err_set(e, E_FORMAT, "%s: alpha was lost: its pixels (%s, decoded by %s) have none", v->path,
                   av_get_pix_fmt_name((enum AVPixelFormat)v->frame->format), v->decoder->codec->name);
  return OK;
}

int video_open(err *e, const char *path, const video_options *o, video **out) {
  int rc = OK;
  video *v = NULL;
  *out = NULL;
  TRY(mem_new(e, 1, sizeof *v, "video reader", &v));
  v->max_frames = o ? o->max_frames : 0;
  TRY(mem_strdup(e, path, &v->path));
  TRY(open_format(e, path, o ? o->fps : 0, &v->format));
  TRY(open_decoder(v, e));
  TRY(decode(v, e, &v->waiting));
  if (!v->waiting) FAIL(e, E_FORMAT, "%s: no picture could be decoded", path);
  TRY(fill_info(v, e, o));
  *out = v;
  v = NULL;
out:
  video_close(v);
  return rc;
}

void video_close(video *v) {
  if (!v) return;
  av_frame_free(&v->frame);
  av_packet_free(&v->packet);
  avcodec_free_context(&v->decoder);
  avformat_close_input(&v->format);
  free(v->path);
  free(v);
}

const video_info *video_about(const video *v) {
  return &v->info;
}

/* FFV1 hides a damaged slice behind the picture before it, so files of video_write carry a checksum a frame. */
static int check_crc(video *v, err *e) {
  const AVDictionaryEntry *list = tag(v, "TANDEM_CRC");
  uint32_t crc;
  char hex[9];
  if (!list) return OK;
  int rc = pixels_crc(e, v->frame, &crc);
  if (rc != OK) return rc;
  snprintf(hex, sizeof hex, "%08x", (unsigned)crc);
  size_t n = strlen(list->value);
  if ((uint64_t)v->delivered >= n / 8 || memcmp(list->value + 8 * v->delivered, hex, 8) != 0)
    return err_set(e, E_FORMAT, "%s: frame %lld is damaged: its checksum is wrong", v->path, (long long)v->delivered);
  return OK;
}

/* Makes v->frame the next frame, checked against the first. */
static int advance(video *v, err *e, int *got) {
  int rc = OK;
  const AVFrame *f = v->frame;
  *got = 0;
  if (v->max_frames > 0 && v->delivered >= v->max_frames) return OK;
  if (!v->waiting) TRY(decode(v, e, &v->waiting));
  if (!v->waiting) {
    if (v->info.frames > v->delivered)
      FAIL(e, E_FORMAT, "%s: cut short: %lld of %lld frames", v->path, (long long)v->delivered,
           (long long)v->info.frames);
    return OK;
  }
  if (f->width != v->info.width || f->height != v->info.height || pixels_have_alpha(f) != v->info.has_alpha)
    FAIL(e, E_FORMAT, "%s: frame %lld is %dx%d%s, the first was %dx%d%s", v->path, (long long)v->delivered, f->width,
         f->height, pixels_have_alpha(f) ? " with alpha" : "", v->info.width, v->info.height,
         v->info.has_alpha ? " with alpha" : "");
  TRY(pixels_check(e, v->path, f));
  TRY(check_crc(v, e));
  *got = 1;
out:
  return rc;
}

static void delivered(video *v) {
  v->waiting = 0;
  v->delivered++;
  av_frame_unref(v->frame);
}

int video_next(video *v, err *e, float *rgb, float *alpha, int *got) {
  int rc = advance(v, e, got);
  if (rc != OK || !*got) return rc;
  rc = pixels_read(e, v->frame, rgb, alpha);
  delivered(v);
  return rc;
}

int video_next_gray(video *v, err *e, float *gray, int *got) {
  int rc = advance(v, e, got);
  if (rc != OK || !*got) return rc;
  rc = pixels_read_gray(e, v->frame, gray);
  delivered(v);
  return rc;
}

int video_count(err *e, const char *path, int64_t *out) {
  int rc = OK;
  video v = {0};
  *out = 0;
  TRY(mem_strdup(e, path, &v.path));
  TRY(open_format(e, path, 0, &v.format));
  TRY(open_decoder(&v, e));
  for (;;) {
    int status = av_read_frame(v.format, v.packet);
    if (status == AVERROR_EOF) break;
    if (status < 0) {
      v.delivered = *out;
      TRY(damaged(&v, e, status));
    }
    *out += v.packet->stream_index == v.stream;
    av_packet_unref(v.packet);
  }
out:
  av_frame_free(&v.frame);
  av_packet_free(&v.packet);
  avcodec_free_context(&v.decoder);
  avformat_close_input(&v.format);
  free(v.path);
  return rc;
}

/* Makes room for one more frame in the growing planes of a clip. */
static int grow(err *e, clip *c, int64_t cap[2]) {
  int rc = OK;
  int64_t pixels = (int64_t)c->height * c->width, need = (c->frames + 1) * pixels;
  TRY(mem_grow(e, &c->rgb, &cap[0], 3 * need, sizeof(float), "clip colour"));
  if (cap[1] >= 0) TRY(mem_grow(e, &c->alpha, &cap[1], need, sizeof(float), "clip alpha"));
out:
  return rc;
}

int video_read(err *e, const char *path, const video_options *o, clip *out) {
  int rc = OK, got = 0;
  video *v = NULL;
  *out = (clip){0};
  TRY(video_open(e, path, o, &v));
  *out = (clip){.height = v->info.height,
                .width = v->info.width,
                .fps = v->info.fps,
                .colour = v->info.colour,
                .alpha_chroma = v->info.alpha_chroma,
                .alpha_chroma_known = v->info.alpha_chroma_known};
  int64_t pixels = (int64_t)out->height * out->width, cap[2] = {0, v->info.has_alpha ? 0 : -1};
  for (;;) {
    TRY(grow(e, out, cap));
    TRY(video_next(v, e, out->rgb + 3 * pixels * out->frames, out->alpha ? out->alpha + pixels * out->frames : NULL,
                   &got));
    if (!got) break;
    if (out->frames == INT32_MAX) FAIL(e, E_FORMAT, "%s: too many frames", path);
    out->frames++;
  }
out:
  video_close(v);
  if (rc != OK) clip_free(out);
  return rc;
}

int video_read_matte(err *e, const char *path, const clip *like, float **out) {
  int rc = OK, got = 1;
  int64_t n = (int64_t)like->height * like->width;
  video *v = NULL;
  *out = NULL;
  TRY(video_open(e, path, NULL, &v));
  if (v->info.height != like->height || v->info.width != like->width)
    FAIL(e, E_SHAPE, "%s is %dx%d, the picture %dx%d", path, v->info.width, v->info.height, like->width,
         like->height);
  TRY(mem_new(e, (like->frames + 1) * n, sizeof **out, "matte", out)); /* one more shows that there are too many */
  for (int t = 0; got; t++) {
    float *at = *out + (t < like->frames ? t : like->frames) * n;
    if (v->info.has_alpha)
      TRY(video_next(v, e, NULL, at, &got));
    else
      TRY(video_next_gray(v, e, at, &got));
    if (got ? t >= like->frames : t < like->frames)
      FAIL(e, E_SHAPE, "%s has %s frames than the picture's %d", path, got ? "more" : "fewer", like->frames);
  }
out:
  video_close(v);
  if (rc != OK) free(*out), *out = NULL;
  return rc;
}
