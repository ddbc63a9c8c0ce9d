#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/generate.h"
#include "cli/stop.h"
#include "media/deliver.h"
#include "media/picture.h"

/* One tile: RGB, alpha or composite of the first frame, from two decoded pictures [3][H][W]. */
static int preview_tiles(err *e, const clip *c, sheet *s) {
  int rc = OK;
  clip over = {0};
  TRY(sheet_rgb(s, e, 0, 0, c->rgb));
  if (!c->alpha) goto out;
  TRY(sheet_gray(s, e, 0, 1, c->alpha));
  TRY(deliver_over(e, c, "checker", &over));
  TRY(sheet_rgb(s, e, 0, 2, over.rgb));
out:
  clip_free(&over);
  return rc;
}

static int write_preview(generate *g, const sample_step *at) {
  int rc = OK;
  err *e = &g->x.err;
  const clip_size *s = &g->size;
  const int64_t pixels = 3 * s->height * s->width;
  const int64_t half = generate_half(g);
  float *picture[2] = {NULL, NULL};
  clip c = {0};
  sheet *tiles = NULL;
  text path = {0};
  matte_spread spread;
  for (int h = 0; h < at->streams; h++) {
    TRY(mem_new(e, pixels, sizeof(float), "preview", &picture[h]));
    TRY(decode_frame(&g->x, &g->v, s, s->extra, at->clean + h * half, picture[h]));
  }
  const decoded d = {1, (int)s->height, (int)s->width, picture[0], picture[1]};
  TRY(deliver_clip(e, &d, 1, &c, &spread));
  TRY(sheet_open(e, &(sheet_shape){1, at->streams == 2 ? 3 : 1, (int)s->height, (int)s->width, 1}, &tiles));
  TRY(preview_tiles(e, &c, tiles));
  text_addf(&path, "%s/step-%04d.png", g->a->preview, at->step + 1);
  TRY(text_ok(&path, e));
  TRY(sheet_write(tiles, e, path.p));
out:
  sheet_close(tiles);
  clip_free(&c);
  text_free(&path);
  free(picture[0]);
  free(picture[1]);
  return rc;
}

static int on_step(void *user, const sample_step *s) {
  generate *g = user;
  int last = s->step + 1 == s->steps;
  progress_tick(&g->progress, s->step + 1, s->steps, g->phase);
  if (g->a->preview && ((s->step + 1) % g->a->preview_every == 0 || last)) return write_preview(g, s);
  return OK;
}

static int on_stop(void *user) {
  (void)user;
  return stop_signal();
}

int generate_sample(generate *g) {
  int rc = OK;
  const uint64_t seed = (uint64_t)g->a->seed;
  const clip_size *s = &g->size;
  const int64_t half = generate_half(g);
  const double began = clock_seconds();
  sample_request r = {.clips = 1,
                      .frames = s->z_frames,
                      .height = s->z_height,
                      .width = s->z_width,
                      .seeds = &seed,
                      .n_text = g->text.rows,
                      .text_dim = g->text.width,
                      .text = g->text.at,
                      .null_text = g->text.at + g->text.rows * g->text.width,
                      .image = g->image,
                      .start = g->start,
                      .step_noise = g->noise.step,
                      .watch = on_step,
                      .stop = on_stop,
                      .user = g};
  if (g->a->preview) TRY(file_mkdirs(&g->c->err, g->a->preview));
  g->phase = "sampling";
  progress_open(&g->progress, g->c, "step", 0);
  TRY(sample_run(&g->x, &g->m, g->adapter.n_reals ? &g->adapter : NULL, &g->d, &g->sample, &r, g->z,
                 g->l.streams == 2 ? g->z + half : NULL));
  for (int64_t i = 0; i < g->l.streams * half; i++)
    if (!isfinite(g->z[i])) FAIL(&g->c->err, E_NAN, "the sample is not finite: the model or its inputs are broken");
out:
  progress_close(&g->progress);
  g->seconds[1] = clock_seconds() - began;
  return generate_fail(g, rc);
}

static int on_tick(void *user, const vae_tick *t) {
  generate *g = user;
  progress_vae(&g->progress, t, g->phase);
  return stop_signal();
}

static int decode_all(generate *g) {
  int rc = OK;
  const clip_size *s = &g->size;
  const int64_t half = generate_half(g);
  const double began = clock_seconds();
  static const char *const phases[2] = {"decoding RGB", "decoding alpha"};
  /* The transformer is not needed any more, and the VAE wants memory. */
  adapter_close(&g->x, &g->adapter);
  dit_close(&g->x, &g->m);
  g->decode.tick = on_tick;
  g->decode.user = g;
  for (int h = 0; h < g->l.streams; h++) {
    g->phase = phases[h];
    progress_open(&g->progress, g->c, "GFLOP", 0);
    TRY(mem_new(&g->x.err, 3 * s->frames * s->height * s->width, sizeof(float), "decoded frames", &g->frames[h]));
    TRY(decode_half(&g->x, &g->v, &g->decode, s, g->z + h * half, g->frames[h]));
    progress_close(&g->progress);
  }
out:
  progress_close(&g->progress);
  g->seconds[2] = clock_seconds() - began;
  return generate_fail(g, rc);
}

static int save_latents(generate *g) {
  int rc = OK;
  err *e = &g->c->err;
  st_writer *w = NULL;
  const clip_size *s = &g->size;
  const int64_t z[5] = {1, (int64_t)g->l.streams * s->z_frames, g->channels, s->z_height, s->z_width};
  const int64_t x[5] = {1, 3, s->frames, s->height, s->width};
  TRY(st_writer_open(e, &w));
  TRY(st_writer_add(w, e, "latents", DT_F32, 5, z, g->z));
  if (g->frames[0]) TRY(st_writer_add(w, e, "decoded.rgb", DT_F32, 5, x, g->frames[0]));
  if (g->frames[1]) TRY(st_writer_add(w, e, "decoded.alpha", DT_F32, 5, x, g->frames[1]));
  TRY(st_writer_save(w, e, g->a->latents));
  cli_note(g->c, "wrote %s", g->a->latents);
out:
  st_writer_close(w);
  return rc;
}

static int write_clips(generate *g) {
  int rc = OK;
  err *e = &g->c->err;
  const generate_args *a = g->a;
  clip c = {0}, over = {0};
  const decoded d = {(int)g->size.frames, (int)g->size.height, (int)g->size.width, g->frames[0], g->frames[1]};
  TRY(deliver_clip(e, &d, a->fps, &c, &g->spread));
  if (a->composite) {
    TRY(deliver_over(e, &c, a->over, &over));
    TRY(deliver_write(e, a->composite, &over, (int)a->quality));
    cli_note(g->c, "wrote %s", a->composite);
  }
  if (a->out) {
    TRY(deliver_colour_as(e, &c, (deliver_colour)a->colour));
    TRY(deliver_write(e, a->out, &c, (int)a->quality));
    cli_note(g->c, "wrote %s", a->out);
  }
  if (c.alpha)
    cli_detail(g->c, "alpha's three channels lie %.4f apart in the mean, %.4f at most", g->spread.mean,
               g->spread.most);
out:
  clip_free(&c);
  clip_free(&over);
  return rc;
}

int generate_deliver(generate *g) {
  int rc = OK;
  if (g->has_vae) TRY(decode_all(g));
  if (g->has_vae && (g->a->out || g->a->composite)) TRY(write_clips(g));
  if (g->a->latents) TRY(save_latents(g));
out:
  return rc;
}
