/* The libraries behind this room, by name and the version that is loaded now. */
#ifndef TD_MEDIA_LIBRARIES_H
#define TD_MEDIA_LIBRARIES_H

typedef struct media_library {
  const char *name;
  char version[32];
} media_library;

#define MEDIA_LIBRARIES 5
void media_libraries(media_library out[MEDIA_LIBRARIES]);

#endif
