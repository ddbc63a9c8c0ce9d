#include "cli/grid.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void grid_add_text(grid *g, const char *s) {
  char *copy = NULL;
  if (mem_grow(NULL, &g->cell, &g->cap, g->n + 1, sizeof *g->cell, "table") != OK ||
      mem_strdup(NULL, s, &copy) != OK) {
    g->failed = 1;
    return;
  }
  for (char *p = copy; *p; p++)
    if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = ' ';
  g->cell[g->n++] = copy;
}

void grid_add(grid *g, const char *fmt, ...) {
  char s[512];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(s, sizeof s, fmt, ap);
  va_end(ap);
  grid_add_text(g, s);
}

/* Characters, not bytes. */
static int width(const char *s) {
  int n = 0;
  for (; *s; s++) n += ((unsigned char)*s & 0xc0) != 0x80;
  return n;
}

static int starts_a_number(const char *s) {
  return (*s >= '0' && *s <= '9') || ((*s == '-' || *s == '+' || *s == '.') && s[1] >= '0' && s[1] <= '9') ||
         !strcmp(s, "-") || !*s;
}

static int is_right(const grid *g, int col) {
  int numbers = 0;
  for (int64_t i = g->cols + col; i < g->n; i += g->cols) {
    if (!starts_a_number(g->cell[i])) return 0;
    numbers += *g->cell[i] != 0;
  }
  return numbers > 0;
}

void grid_print(const grid *g, text *out) {
  int *wide = NULL, *right = NULL;
  if (g->failed || mem_new(NULL, g->cols, sizeof *wide, "table", &wide) != OK ||
      mem_new(NULL, g->cols, sizeof *right, "table", &right) != OK) {
    out->failed = 1;
    goto out;
  }
  for (int64_t i = 0; i < g->n; i++)
    if (width(g->cell[i]) > wide[i % g->cols]) wide[i % g->cols] = width(g->cell[i]);
  for (int c = 0; c < g->cols; c++) right[c] = is_right(g, c);
  for (int64_t i = 0; i < g->n; i++) {
    int c = (int)(i % g->cols), pad = wide[c] - width(g->cell[i]), last = c == g->cols - 1;
    text_addf(out, "%s%*s%s", c ? "  " : "", right[c] ? pad : 0, "", g->cell[i]);
    text_addf(out, "%*s%s", right[c] || last ? 0 : pad, "", last ? "\n" : "");
  }
out:
  free(wide);
  free(right);
}

void grid_free(grid *g) {
  for (int64_t i = 0; i < g->n; i++) free(g->cell[i]);
  free(g->cell);
  *g = (grid){.cols = g->cols};
}

void grid_bytes(double bytes, char out[GRID_SHORT]) {
  static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int i = 0;
  while (bytes >= 1024 && i < 4) {
    bytes /= 1024;
    i++;
  }
  snprintf(out, GRID_SHORT, "%.*f %s", i && bytes < 100 ? 1 : 0, bytes, unit[i]);
}

void grid_count(double n, char out[GRID_SHORT]) {
  static const char *const unit[] = {"", " k", " M", " G", " T", " P", " E"};
  int i = 0;
  while (n >= 1000 && i < 6) {
    n /= 1000;
    i++;
  }
  snprintf(out, GRID_SHORT, "%.*f%s", !i ? 0 : n < 10 ? 2 : n < 100 ? 1 : 0, n, unit[i]);
}
