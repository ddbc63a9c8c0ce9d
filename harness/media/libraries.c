#include "media/libraries.h"

#include <stdio.h>

#include <cairo.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libswscale/swscale.h>

static media_library ffmpeg(const char *name, unsigned v) {
  media_library l = {.name = name};
  snprintf(l.version, sizeof l.version, "%u.%u.%u", AV_VERSION_MAJOR(v), AV_VERSION_MINOR(v), AV_VERSION_MICRO(v));
  return l;
}

void media_libraries(media_library out[MEDIA_LIBRARIES]) {
  out[0] = ffmpeg("libavformat", avformat_version());
  out[1] = ffmpeg("libavcodec", avcodec_version());
  out[2] = ffmpeg("libswscale", swscale_version());
  out[3] = ffmpeg("libavutil", avutil_version());
  out[4] = (media_library){.name = "cairo"};
  snprintf(out[4].version, sizeof out[4].version, "%s", cairo_version_string());
}
