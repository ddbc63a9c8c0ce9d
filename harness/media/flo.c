#include "media/flo.h"

#include <stdint.h>
#include <string.h>

static void put(uint32_t v, unsigned char out[4]) {
  for (int k = 0; k < 4; k++) out[k] = (unsigned char)(v >> (8 * k));
}

void flo_print(text *t, const float *flow, int height, int width) {
  unsigned char row[4096];
  int64_t n = (int64_t)height * width * 2;
  memcpy(row, "PIEH", 4);
  put((uint32_t)width, row + 4);
  put((uint32_t)height, row + 8);
  text_addn(t, row, 12);
  for (int64_t at = 0; at < n; at += (int64_t)sizeof row / 4) {
    int64_t count = n - at < (int64_t)sizeof row / 4 ? n - at : (int64_t)sizeof row / 4;
    for (int64_t i = 0; i < count; i++) {
      uint32_t bits;
      memcpy(&bits, flow + at + i, sizeof bits);
      put(bits, row + 4 * i);
    }
    text_addn(t, row, (size_t)(4 * count));
  }
}
