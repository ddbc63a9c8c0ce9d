/* Indices outside a line of n pixels. */
#ifndef TD_METRICS_BORDER_H
#define TD_METRICS_BORDER_H

/* aaa|abcd|ddd */
static inline int border_clamp(int i, int n) {
  return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* dcb|abcd|cba */
static inline int border_mirror(int i, int n) {
  if (n == 1) return 0;
  while (i < 0 || i >= n) i = i < 0 ? -i : 2 * (n - 1) - i;
  return i;
}

#endif
