#include "report/width.h"

#include <string.h>

typedef struct glyph {
  size_t bytes;
  int width;
  int printable;
} glyph;

static int in_ranges(uint32_t c, const uint32_t (*r)[2], size_t n) {
  for (size_t i = 0; i < n; i++)
    if (c >= r[i][0] && c <= r[i][1]) return 1;
  return 0;
}

/* After Markus Kuhn's wcwidth, in the blocks that names and prompts use. */
static int code_width(uint32_t c) {
  static const uint32_t none[][2] = {{0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x610, 0x61a},
                                     {0x64b, 0x65f},   {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200f},
                                     {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xe0100, 0xe01ef}};
  static const uint32_t wide[][2] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0x33ff},  {0x3400, 0x4dbf},
                                     {0x4e00, 0x9fff},   {0xa000, 0xa4cf},   {0xac00, 0xd7a3},  {0xf900, 0xfaff},
                                     {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},  {0x1f300, 0x1f64f},
                                     {0x1f900, 0x1f9ff}, {0x1f680, 0x1f6ff}, {0x20000, 0x3fffd}};
  if (in_ranges(c, none, sizeof none / sizeof none[0])) return 0;
  return in_ranges(c, wide, sizeof wide / sizeof wide[0]) ? 2 : 1;
}

static glyph next_glyph(const char *s) {
  size_t n = utf8_length(s, strnlen(s, 4));
  unsigned char c = (unsigned char)*s;
  if (n == 0 || c < 32 || c == 127) return (glyph){1, 1, 0};
  uint32_t code = n == 1 ? c : n == 2 ? c & 31u : n == 3 ? c & 15u : c & 7u;
  for (size_t i = 1; i < n; i++) code = code << 6 | ((unsigned char)s[i] & 63u);
  if (code >= 0x80 && code < 0xa0) return (glyph){n, 1, 0};
  return (glyph){n, code_width(code), 1};
}

int text_width(const char *s) {
  int w = 0;
  while (*s) {
    glyph g = next_glyph(s);
    w += g.width;
    s += g.bytes;
  }
  return w;
}

void text_add_cell(text *t, const char *s, int width, int right) {
  int total = text_width(s), used = 0, cut = total > width;
  int room = cut ? width - 1 : width;
  if (width <= 0) return;
  if (right && !cut) text_addf(t, "%*s", width - total, "");
  while (*s) {
    glyph g = next_glyph(s);
    if (used + g.width > room) break;
    text_addn(t, g.printable ? s : "?", g.printable ? g.bytes : 1);
    used += g.width;
    s += g.bytes;
  }
  if (cut) {
    text_add(t, "\xe2\x80\xa6");
    used++;
  }
  if (cut || !right) text_addf(t, "%*s", width - used, "");
}
