/* Convolution of a clip as shifted products: for every tap the rows of x that it reads are the rows of y moved by a
 * fixed distance, so that each stretch of a line of y is one tile product a tap, added up where it lies.
 *
 * Lines of y are split over threads. One element of y is the bias, then the taps in order, each a sum over its block
 * of input channels; blocks depend on Cin alone, so neither threads nor the cutting of lines move a bit. */
#include <omp.h>
#include <string.h>

#include "ops/cpu/cpu.h"
#include "ops/cpu/row.h"

enum {
  KC = 512,                 /* input channels taken at once */
  BLOCK_REALS = 128 * 1024, /* of x a tap reads for one block of y: half of a 1 MiB second cache in float */
  SERIAL_WORK = 1 << 18,    /* below so many multiply-adds waking threads costs more than they save */
};

typedef struct conv {
  const cpu_state *s;
  const op_conv3d_args *a;
  int64_t in, out, taps, kc;
  int64_t height, width, lines; /* of y */
  int pad;                      /* zeros left and above */
} conv;

/* Lines [l0, l1) of y, columns [x0, x1). */
typedef struct stretch {
  int64_t l0, l1, x0, x1;
} stretch;

static int64_t min64(int64_t a, int64_t b) {
  return a < b ? a : b;
}
static int64_t max64(int64_t a, int64_t b) {
  return a > b ? a : b;
}

static void start_block(const conv *v, const stretch *b) {
  const op_conv3d_args *a = v->a;
  const real *bias = a->bias.p;
  for (int64_t l = b->l0; l < b->l1; l++)
    for (int64_t x = b->x0; x < b->x1; x++) {
      real *y = (real *)a->y.p + (l * v->width + x) * a->y.ld;
      if (a->accumulate)
        v->s->row->add(v->out, bias, y);
      else
        memcpy(y, bias, (size_t)v->out * sizeof(real));
    }
}

/* What one pass over a block adds: input channels k .. k+n of one tap to the output channels of the panel at o. */
typedef struct pass {
  int64_t tap, k, n, o;
} pass;

static void add_line(const conv *v, const stretch *b, int64_t l, const pass *p) {
  const op_conv3d_args *a = v->a;
  const int64_t stride = a->stride, line = l % v->height * stride + p->tap / 3 % 3 - v->pad;
  const int64_t move = p->tap % 3 - v->pad, last = a->width - 1 - move;
  if (line < 0 || line >= a->height || last < 0) return;
  /* the columns whose pixel x * stride + move lies inside the picture */
  const int64_t xa = max64(b->x0, move < 0), xb = min64(b->x1, last / stride + 1);
  if (xa >= xb) return;
  int64_t frame = l / v->height + p->tap / 9 - (a->kt - 1);
  view from = a->x;
  if (frame < 0 && a->past.p) from = a->past, frame += 2;
  const int64_t pixel = (max64(frame, 0) * a->height + line) * a->width + xa * stride + move;
  v->s->mul->block(
      &(mul_block){.m = xb - xa,
                   .n = min64(CONV_PANEL, v->out - p->o),
                   .k = p->n,
                   .a = (const real *)from.p + pixel * from.ld + p->k,
                   .a_panel = v->s->mul->mr * stride * from.ld,
                   .a_row = stride * from.ld,
                   .a_k = 1,
                   .b = (const real *)a->w.p + ((p->o / CONV_PANEL * v->taps + p->tap) * v->in + p->k) * CONV_PANEL,
                   .b_panel = v->s->mul->nr,
                   .b_k = CONV_PANEL,
                   .c = (real *)a->y.p + (l * v->width + xa) * a->y.ld + p->o,
                   .ldc = a->y.ld,
                   .alpha = 1,
                   .add = 1});
}

static void run_block(const conv *v, const stretch *b) {
  start_block(v, b);
  pass p = {.k = 0};
  for (; p.k < v->in; p.k += v->kc) {
    p.n = min64(v->kc, v->in - p.k);
    for (p.tap = 0; p.tap < v->taps; p.tap++)
      for (p.o = 0; p.o < v->out; p.o += CONV_PANEL)
        for (int64_t l = b->l0; l < b->l1; l++) add_line(v, b, l, &p);
  }
}

/* The lines of one thread, in blocks whose input stays in the second cache while the panels of w pass by. */
static void run_lines(const conv *v, int64_t from, int64_t end) {
  const int64_t rows = max64(BLOCK_REALS / v->kc, 32);
  const int64_t cuts = (v->width + rows - 1) / rows, lines = max64(rows / v->width, 1);
  for (int64_t l = from; l < end; l += lines)
    for (int64_t i = 0; i < cuts; i++)
      run_block(
          v, &(stretch){
                 .l0 = l, .l1 = min64(l + lines, end), .x0 = v->width * i / cuts, .x1 = v->width * (i + 1) / cuts});
}

int cpu_conv3d(ctx *c, const op_conv3d_args *a) {
  conv v = {.s = cpu_of(c), .a = a, .in = a->x.cols, .out = a->y.cols, .taps = 9 * a->kt, .pad = a->stride == 1};
  v.kc = (v.in + (v.in + KC - 1) / KC - 1) / ((v.in + KC - 1) / KC);
  v.height = op_conv3d_side(a->height, a->stride);
  v.width = op_conv3d_side(a->width, a->stride);
  v.lines = a->frames * v.height;
  const double work = (double)v.lines * (double)v.width * (double)(v.taps * v.in * v.out);
  const int threads = work < SERIAL_WORK ? 1 : v.s->threads;
#pragma omp parallel num_threads(threads)
  {
    const int64_t i = omp_get_thread_num(), n = omp_get_num_threads();
    run_lines(&v, v.lines * i / n, v.lines * (i + 1) / n);
  }
  return OK;
}
