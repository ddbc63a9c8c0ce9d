#include "report/kit_export.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/rng.h"
#include "media/video.h"
#include "report/contact.h"
#include "report/kit_page.h"
#include "report/study_clips.h"

enum { SUB_BROKEN = 3, SUB_PLACES = 4, MOST_ROWS = 16383 }; /* MOST_ROWS: of a WebP picture */

static float luma(const float *rgb) {
  return 0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2];
}

void kit_render_view(const clip *c, int frame, kit_view v, float plate, float *rgb) {
  int64_t n = (int64_t)c->height * c->width;
  const float *from = c->rgb + frame * n * 3, *alpha = c->alpha + frame * n;
  if (v == KIT_CHECKER) {
    contact_over_checker(c, frame, c->height >= 16 ? c->height / 8 : 2, rgb);
    return;
  }
  for (int64_t i = 0; i < n; i++)
    for (int k = 0; k < 3; k++) {
      float own = c->colour == CLIP_PREMULTIPLIED ? from[3 * i + k] : alpha[i] * from[3 * i + k];
      rgb[3 * i + k] = v == KIT_RGB ? from[3 * i + k] : v == KIT_ALPHA ? alpha[i] : own + (1 - alpha[i]) * plate;
    }
}

int kit_break_clip(err *e, const clip *c, uint64_t seed, clip *out) {
  int size = c->height > 24 ? c->height / 12 : 2, across = (c->width + size - 1) / size;
  int64_t down = (c->height + size - 1) / size, at = 0;
  rng r = {.seed = seed, .stream = RNG_STUDY_KIT, .sub = SUB_BROKEN};
  int rc = clip_new(e, c->frames, c->height, c->width, 1, out);
  if (rc != OK) return rc;
  out->fps = c->fps, out->colour = CLIP_DECODED;
  for (int f = 0; f < c->frames; f++)
    for (int y = 0; y < c->height; y++)
      for (int x = 0; x < c->width; x++, at++) {
        float u[4];
        rng_uniform(r, (uint64_t)(4 * ((f * down + y / size) * across + x / size)), 4, u);
        memcpy(out->rgb + 3 * at, u, 3 * sizeof *u);
        out->alpha[at] = u[3] < 0.5f ? 0 : 1.0f;
      }
  return OK;
}

/* --- what is shown ------------------------------------------------------------------------------------------------
 */

typedef struct exporter {
  store *s;
  const study *st;
  const plan *p;
  const kit_options *o;
  kit_key key;
  int *row, *prompt; /* indices into the study */
  kit_view panel[KIT_VIEWS];
  int n_panels;
  int64_t *slot;
  kit_picture *picture;
  char (*looks)[KIT_VIEWS][HASH_HEX]; /* [n_pictures] hash of every panel */
  int64_t n_pictures;
} exporter;

static int choose_variants(err *e, exporter *x) {
  int rc = OK, n = x->o->variants ? x->o->n_variants : x->st->n_rows;
  TRY(mem_new(e, n, sizeof *x->row, "variants", &x->row));
  TRY(mem_new(e, n, sizeof *x->key.variants, "variants", &x->key.variants));
  x->key.n_variants = n;
  for (int i = 0; i < n; i++) {
    x->row[i] = x->o->variants ? study_row_find(x->st, x->o->variants[i]) : i;
    if (x->row[i] < 0) FAIL(e, E_ARG, "the study has no variant '%.80s'", x->o->variants[i]);
    for (int k = 0; k < i; k++)
      if (x->row[k] == x->row[i]) FAIL(e, E_ARG, "variant '%.80s' is named twice", x->o->variants[i]);
    TRY(mem_strdup(e, x->st->rows[x->row[i]].name, &x->key.variants[i]));
  }
out:
  return rc;
}

static int has_all_clips(err *e, const exporter *x, int prompt, int *all) {
  int rc = OK;
  *all = 1;
  for (int64_t v = 0; *all && v < x->key.n_variants; v++) {
    int64_t point = study_clip_point(x->st, x->row[v], prompt);
    *all = point >= 0;
    if (*all) TRY(study_clip_read(e, x->s, study_clip_key(x->p, point), NULL, all));
  }
out:
  return rc;
}

static int choose_prompts(err *e, exporter *x, int64_t *missing) {
  int rc = OK, usable = 0;
  TRY(mem_new(e, x->st->n_prompts, sizeof *x->prompt, "prompts", &x->prompt));
  int used = study_clip_prompts(x->st, x->prompt);
  for (int i = 0, all; i < used; i++) {
    TRY(has_all_clips(e, x, x->prompt[i], &all));
    if (all) x->prompt[usable++] = x->prompt[i];
  }
  *missing = used - usable;
  if (!usable) FAIL(e, E_ARG, "no prompt has a clip of every variant yet; run the study, or name fewer --variants");
  int64_t n = x->o->prompts > 0 && x->o->prompts < usable ? x->o->prompts : usable;
  for (int64_t i = 0; i < n; i++) x->prompt[i] = x->prompt[i * usable / n];
  TRY(mem_new(e, n, sizeof *x->key.prompts, "prompts", &x->key.prompts));
  TRY(mem_new(e, n * x->key.n_variants, sizeof *x->key.clips, "clips", &x->key.clips));
  x->key.n_prompts = n;
  for (int64_t i = 0; i < n; i++) {
    TRY(mem_strdup(e, x->st->prompts[x->prompt[i]].id, &x->key.prompts[i].id));
    TRY(mem_strdup(e, x->st->prompts[x->prompt[i]].text, &x->key.prompts[i].text));
    for (int64_t v = 0; v < x->key.n_variants; v++) {
      const study_point *at = &x->st->points[study_clip_point(x->st, x->row[v], x->prompt[i])];
      x->key.clips[i * x->key.n_variants + v] = (kit_seeds){at->train_seed, at->sample_seed};
    }
  }
out:
  return rc;
}

static int copy_metrics(err *e, exporter *x) {
  int rc = OK;
  TRY(mem_new(e, x->st->n_metrics, sizeof *x->key.metrics, "metrics", &x->key.metrics));
  x->key.n_metrics = x->st->n_metrics;
  for (int i = 0; i < x->st->n_metrics; i++) {
    x->key.metrics[i] = (kit_metric){.version = x->st->metrics[i].version, .direction = x->st->metrics[i].direction};
    TRY(mem_strdup(e, x->st->metrics[i].id, &x->key.metrics[i].id));
  }
out:
  return rc;
}

static int make_plan(err *e, exporter *x) {
  kit_shape shape = {.variants = x->key.n_variants,
                     .prompts = x->key.n_prompts,
                     .participants = x->o->participants,
                     .votes = x->o->votes,
                     .checks = x->o->checks,
                     .seed = x->o->seed};
  int64_t items = kit_items(shape.variants, shape.prompts);
  if (!shape.participants) shape.participants = kit_participants(items, shape.votes, KIT_LONG);
  for (int64_t v = 0; v < x->key.n_variants; v++)
    if (x->row[v] == x->st->reference) shape.reference = v;
  return kit_plan_make(e, &shape, &x->key.plan);
}

static void choose_panels(exporter *x) {
  int seen[KIT_VIEWS] = {0};
  for (int64_t i = 0; i < x->key.n_questions; i++)
    for (int v = 0; v < x->key.questions[i].n_views; v++) seen[x->key.questions[i].view[v]] = 1;
  for (int v = 0; v < KIT_VIEWS; v++)
    if (seen[v]) x->panel[x->n_panels++] = (kit_view)v;
}

/* Places of the pictures in the page: a random order, so that it says nothing about variants or checks. */
static int choose_slots(err *e, exporter *x) {
  int rc = OK;
  int64_t row = x->key.n_variants + 1, all = x->key.n_prompts * row, *order = NULL;
  const kit_plan *p = &x->key.plan;
  TRY(mem_new(e, all, sizeof *x->slot, "clips", &x->slot));
  TRY(mem_new(e, all, sizeof *order, "clips", &order));
  for (int64_t i = 0; i < all; i++) x->slot[i] = i % row < row - 1 ? 0 : -1;
  for (int64_t i = 0; i < p->first[p->participants]; i++)
    if (p->trial[i].left == KIT_BROKEN || p->trial[i].right == KIT_BROKEN)
      x->slot[p->trial[i].prompt * row + row - 1] = 0;
  rng_permutation((rng){.seed = x->o->seed, .stream = RNG_STUDY_KIT, .sub = SUB_PLACES}, all, order);
  for (int64_t i = 0; i < all; i++)
    if (x->slot[order[i]] == 0) x->slot[order[i]] = x->n_pictures++;
  TRY(mem_new(e, x->n_pictures, sizeof *x->picture, "clips", &x->picture));
  TRY(mem_new(e, x->n_pictures, sizeof *x->looks, "clips", &x->looks));
out:
  free(order);
  return rc;
}

/* --- pictures -----------------------------------------------------------------------------------------------------
 */

static int load_clip(err *e, const exporter *x, int64_t prompt, int64_t v, clip *out) {
  int rc = OK, found;
  int64_t point = study_clip_point(x->st, x->row[v], x->prompt[prompt]);
  TRY(study_clip_read(e, x->s, study_clip_key(x->p, point), out, &found));
  if (!found) FAIL(e, E_STORE, "a clip of '%.80s' is gone from the store", x->key.variants[v]);
  if (!(out->fps > 0)) out->fps = 8;
  if (out->alpha) return OK;
  TRY(mem_new(e, clip_voxels(out), sizeof *out->alpha, "alpha", &out->alpha));
  for (int64_t i = 0; i < clip_voxels(out); i++) out->alpha[i] = 1;
out:
  return rc;
}

/* Hashes of the panels of a strip, each over all frames. */
static int hash_panels(err *e, const exporter *x, const clip *strip, char looks[KIT_VIEWS][HASH_HEX]) {
  int rc = OK;
  int64_t panel = (int64_t)(strip->height / x->n_panels) * strip->width * 3;
  for (int i = 0; i < x->n_panels; i++) {
    hash *h;
    TRY(hash_open(e, &h));
    for (int f = 0; f < strip->frames; f++)
      hash_add(h, strip->rgb + ((int64_t)f * x->n_panels + i) * panel, (size_t)panel * sizeof *strip->rgb);
    TRY(hash_close(h, e, looks[i]));
  }
out:
  return rc;
}

/* The clip's panels below each other, as the picture of a slot. */
static int encode_clip(err *e, const exporter *x, const clip *c, float plate, int64_t slot) {
  int rc = OK;
  kit_picture *out = &x->picture[slot];
  clip strip = {0};
  char *bytes = NULL;
  size_t n;
  int64_t panel = (int64_t)c->height * c->width * 3;
  if ((int64_t)c->height * x->n_panels > MOST_ROWS || c->width > MOST_ROWS)
    FAIL(e, E_UNSUPPORTED, "a clip of %dx%d is too large for a questionnaire", c->width, c->height);
  TRY(clip_new(e, c->frames, c->height * x->n_panels, c->width, 0, &strip));
  strip.fps = c->fps;
  for (int f = 0; f < c->frames; f++)
    for (int i = 0; i < x->n_panels; i++)
      kit_render_view(c, f, x->panel[i], plate, strip.rgb + ((int64_t)f * x->n_panels + i) * panel);
  TRY(hash_panels(e, x, &strip, x->looks[slot]));
  video_write_options o = {.codec = VIDEO_WEBP, .quality = x->o->quality};
  TRY(video_encode(e, "questionnaire", &strip, &o, &bytes, &n));
  TRY(base64_encode(e, bytes, n, &out->base64));
  out->width = c->width, out->height = c->height;
out:
  clip_free(&strip);
  free(bytes);
  return rc;
}

static float choose_plate(const clip *c, int64_t n) {
  double sum = 0, weight = 0;
  for (int64_t k = 0; k < n; k++)
    for (int64_t i = 0; i < clip_voxels(&c[k]); i++) {
      float a = c[k].alpha[i];
      sum += (double)(luma(c[k].rgb + 3 * i) * (c[k].colour == CLIP_PREMULTIPLIED ? 1 : a));
      weight += (double)a;
    }
  return sum > 0.5 * weight ? 0.1f : 0.9f;
}

static int make_prompt(err *e, exporter *x, int64_t prompt) {
  int rc = OK;
  int64_t n = x->key.n_variants, reference = 0;
  const int64_t *slot = x->slot + prompt * (n + 1);
  clip *c = NULL, broken = {0};
  TRY(mem_new(e, n, sizeof *c, "clips", &c));
  for (int64_t v = 0; v < n; v++) TRY(load_clip(e, x, prompt, v, &c[v]));
  float plate = choose_plate(c, n);
  for (int64_t v = 0; v < n; v++) {
    TRY(encode_clip(e, x, &c[v], plate, slot[v]));
    if (x->row[v] == x->st->reference) reference = v;
  }
  if (slot[n] >= 0) {
    TRY(kit_break_clip(e, &c[reference], rng_derive(x->o->seed, (uint64_t)prompt), &broken));
    TRY(encode_clip(e, x, &broken, plate, slot[n]));
  }
out:
  for (int64_t v = 0; c && v < n; v++) clip_free(&c[v]);
  free(c);
  clip_free(&broken);
  return rc;
}

/* --- files --------------------------------------------------------------------------------------------------------
 */

static int write_key(err *e, const exporter *x) {
  int rc = OK;
  text path = {0}, t = {0};
  kit_key old = {0};
  text_addf(&path, "%s/key.json", x->o->folder);
  kit_key_print(&x->key, &t);
  TRY(text_ok(&path, e));
  TRY(text_ok(&t, e));
  if (file_exists(path.p)) {
    TRY(kit_key_read(e, path.p, &old));
    if (strcmp(old.kit, x->key.kit))
      FAIL(e, E_ARG, "%s belongs to another questionnaire; its votes would be lost. Name another folder", path.p);
  }
  TRY(file_write_private(e, path.p, t.p, t.n));
out:
  kit_key_free(&old);
  text_free(&path);
  text_free(&t);
  return rc;
}

static int write_files(err *e, exporter *x, int64_t *bytes) {
  int rc = OK;
  text path = {0}, page = {0};
  kit_page_input in = {.key = &x->key,
                       .panels = x->panel,
                       .n_panels = x->n_panels,
                       .pictures = x->picture,
                       .n_pictures = x->n_pictures,
                       .slot = x->slot};
  TRY(kit_page_make(e, &in, x->key.kit, &page));
  TRY(file_mkdirs(e, x->o->folder));
  TRY(write_key(e, x));
  text_addf(&path, "%s/questionnaire.html", x->o->folder);
  TRY(text_ok(&path, e));
  TRY(file_write(e, path.p, page.p, page.n));
  *bytes = (int64_t)page.n;
out:
  text_free(&path);
  text_free(&page);
  return rc;
}

/* Does anything that the question shows differ between two pictures? */
static int differs(const exporter *x, const kit_question *q, int64_t a, int64_t b) {
  if (x->picture[a].width != x->picture[b].width || x->picture[a].height != x->picture[b].height) return 1;
  for (int v = 0; v < q->n_views; v++)
    for (int i = 0; i < x->n_panels; i++)
      if (x->panel[i] == q->view[v] && strcmp(x->looks[a][i], x->looks[b][i])) return 1;
  return 0;
}

static int64_t count_identical(const exporter *x) {
  int64_t n = 0, row = x->key.n_variants + 1;
  for (int64_t q = 0; q < x->key.n_questions; q++)
    for (int64_t p = 0; p < x->key.n_prompts; p++)
      for (int64_t a = 0; a < row - 1; a++)
        for (int64_t b = 0; b < a; b++)
          n += !differs(x, &x->key.questions[q], x->slot[p * row + a], x->slot[p * row + b]);
  return n;
}

static void summarise(const exporter *x, kit_summary *out) {
  const kit_plan *p = &x->key.plan;
  memcpy(out->kit, x->key.kit, HASH_HEX);
  out->variants = x->key.n_variants, out->prompts = x->key.n_prompts, out->participants = p->participants;
  out->comparisons = p->first[p->participants] - x->o->checks * p->participants;
  out->identical = count_identical(x);
  for (int64_t i = 0; i < p->participants; i++)
    if (p->first[i + 1] - p->first[i] > out->longest) out->longest = p->first[i + 1] - p->first[i];
}

static void exporter_close(exporter *x) {
  for (int64_t i = 0; x->picture && i < x->n_pictures; i++) free(x->picture[i].base64);
  free(x->row), free(x->prompt), free(x->slot), free(x->picture), free(x->looks);
  kit_key_free(&x->key);
}

int kit_export(err *e, store *s, const study *st, const plan *p, const kit_options *o, kit_summary *out) {
  int rc = OK;
  exporter x = {.s = s, .st = st, .p = p, .o = o};
  *out = (kit_summary){0};
  x.key.seed = o->seed, x.key.ties = o->ties;
  TRY(mem_strdup(e, st->name, &x.key.study));
  memcpy(x.key.spec_sha256, st->sha256, HASH_HEX);
  TRY(o->questions ? kit_questions_read(e, o->questions, &x.key) : kit_questions_default(e, &x.key));
  choose_panels(&x);
  TRY(choose_variants(e, &x));
  TRY(choose_prompts(e, &x, &out->prompts_missing));
  TRY(copy_metrics(e, &x));
  TRY(make_plan(e, &x));
  TRY(choose_slots(e, &x));
  for (int64_t i = 0; i < x.key.n_prompts; i++) TRY(make_prompt(e, &x, i));
  TRY(write_files(e, &x, &out->page_bytes));
  summarise(&x, out);
out:
  exporter_close(&x);
  return rc;
}
