/* Scores by an external program: each clip is laid out as the scorer's card wants it, asked about, and its answer
 * becomes the cell's measures. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "media/composite.h"
#include "media/video.h"
#include "run/scorer.h"
#include "run/stage_internal.h"

#define ARGV_MAX 65

/* What all cells of a call share, and which of them is under way. */
typedef struct asking {
  const stage_env *env;
  int64_t cell;
  const char *argv[ARGV_MAX];
  scorer_options o;
  scorer_card card;
  scorer *s;
} asking;

/* A clip as a scorer gets it. Files lie in the store's folder for temporary ones and go when the answer is there. */
typedef struct shown {
  video_info about;
  int frames;
  char file[STAGE_PATH];  /* absolute; ends in .mkv, which many readers go by */
  char rgba8[STAGE_PATH]; /* likewise, or "" */
  const char *refused;    /* the picture cannot be had in the form wanted: the reason */
} shown;

int stage_is_scorer(const stage_cell *c) {
  return json_get(c->spec, "scorer") != NULL;
}

static int on_stop(void *user) {
  const asking *a = user;
  return a->env->stop && a->env->stop(a->env->user);
}

static void on_log(void *user, const char *data, size_t n) {
  const asking *a = user;
  if (a->env->log) a->env->log(a->env->user, a->cell, data, n);
}

static int read_hints(err *e, const stage_cell *c, asking *a) {
  int64_t failures;
  int rc = OK;
  TRY(spec_text(e, c->hints, "scorer.folder", &a->o.folder));
  TRY(spec_number(e, c->hints, "scorer.timeout_s", &a->o.timeout_s));
  TRY(spec_number(e, c->hints, "scorer.start_s", &a->o.start_s));
  TRY(spec_int(e, c->hints, "scorer.failures", &failures));
  a->o.failures = (int)failures;
out:
  return rc;
}

static int open_asking(err *e, const stage_cell *c, const stage_env *env, asking *a) {
  int rc = OK, n = 0;
  const json *argv = spec_get(c->spec, "scorer.argv"), *card = spec_get(c->spec, "scorer.card");
  if (!argv || argv->type != JSON_ARRAY || !card) FAIL(e, E_CONFIG, "the spec of a scorer has no command or card");
  for (const json *w = argv->child; w && n < ARGV_MAX - 1; w = w->next) a->argv[n++] = w->str;
  a->env = env;
  a->o = scorer_defaults(a->argv, NULL);
  a->o.stop = on_stop;
  a->o.log = on_log;
  a->o.user = a;
  TRY(read_hints(e, c, a));
  TRY(card_parse(e, card, &a->card));
  TRY(scorer_open(e, &a->o, &a->card, &a->s));
out:
  return rc;
}

/* --- clips ------------------------------------------------------------------------------------------------------ */

static int absolute(err *e, char path[STAGE_PATH]) {
  char *whole = realpath(path, NULL);
  int n = whole ? snprintf(path, STAGE_PATH, "%s", whole) : 0;
  free(whole);
  if (n <= 0) return err_set(e, E_IO, "%s: %s", path, strerror(errno));
  return n < STAGE_PATH ? OK : err_set(e, E_ARG, "%s: path too long", path);
}

static int temp_file(err *e, const stage_env *env, const char *suffix, char path[STAGE_PATH]) {
  int rc = env->temp(env->user, e, suffix, path);
  return rc == OK ? absolute(e, path) : rc;
}

/* The stored clip under a name that says what it is. */
static int link_clip(err *e, const char *path, const char *name) {
  char target[STAGE_PATH];
  int rc = OK;
  if (snprintf(target, sizeof target, "%s", path) >= STAGE_PATH) FAIL(e, E_ARG, "%s: path too long", path);
  TRY(absolute(e, target));
  if (unlink(name) != 0 || symlink(target, name) != 0) FAIL(e, E_IO, "%s: %s", name, strerror(errno));
out:
  return rc;
}

static int write_rgba8(err *e, const clip *c, const char *path) {
  int64_t n = (int64_t)c->frames * c->height * c->width;
  unsigned char *bytes = NULL;
  int rc = OK;
  TRY(mem_new(e, n, 4, "frames for a scorer", &bytes));
  for (int64_t i = 0; i < n; i++) {
    for (int k = 0; k < 3; k++) bytes[4 * i + k] = (unsigned char)lrint(255 * (double)c->rgb[3 * i + k]);
    bytes[4 * i + 3] = c->alpha ? (unsigned char)lrint(255 * (double)c->alpha[i]) : 255;
  }
  TRY(file_write(e, path, bytes, (size_t)n * 4));
out:
  free(bytes);
  return rc;
}

/* Why the picture cannot be had in the form wanted; NULL when it can. The reasons are those of metrics in process. */
static const char *refusal(metric_picture want, const video_info *v) {
  if (want == METRIC_DECODED && v->colour == CLIP_PREMULTIPLIED) return METRIC_PREMULTIPLIED_RGB;
  if (want == METRIC_DECODED && v->colour == CLIP_STRAIGHT) return METRIC_STRAIGHT_RGB;
  if (want == METRIC_STRAIGHT && v->colour == CLIP_DECODED) return METRIC_NO_STRAIGHT_RGB;
  if (want != METRIC_DECODED && !v->has_alpha) return METRIC_NO_ALPHA;
  return NULL;
}

static int convert(err *e, metric_picture want, clip *c, int *changed) {
  *changed = 1;
  if (want == METRIC_PREMULTIPLIED && c->colour != CLIP_PREMULTIPLIED) return composite_premultiply(e, c);
  if (want == METRIC_STRAIGHT && c->colour == CLIP_PREMULTIPLIED) return composite_unpremultiply(e, c);
  *changed = 0;
  return OK;
}

static void hide(shown *v) {
  if (v->file[0]) unlink(v->file);
  if (v->rgba8[0]) unlink(v->rgba8);
  *v = (shown){0};
}

static int look(err *e, const char *path, shown *v) {
  int rc = OK;
  int64_t frames;
  video *f = NULL;
  TRY(video_open(e, path, NULL, &f));
  v->about = *video_about(f);
  frames = v->about.frames;
  if (frames < 0) TRY(video_count(e, path, &frames));
  v->frames = (int)frames;
out:
  video_close(f);
  return rc;
}

static int show(err *e, const asking *a, const char *path, shown *v) {
  int rc = OK, changed = 0;
  clip c = {0};
  *v = (shown){0};
  TRY(look(e, path, v));
  v->refused = refusal(a->card.picture, &v->about);
  if (v->refused) goto out;
  TRY(temp_file(e, a->env, ".mkv", v->file));
  if (a->card.wants_rgba8 || a->card.picture != METRIC_DECODED) {
    TRY(video_read(e, path, NULL, &c));
    TRY(convert(e, a->card.picture, &c, &changed));
    v->about.colour = c.colour;
  }
  if (changed)
    TRY(video_write(e, v->file, &c, &(video_write_options){.codec = VIDEO_FFV1, .bits = 16}));
  else
    TRY(link_clip(e, path, v->file));
  if (a->card.wants_rgba8) {
    TRY(temp_file(e, a->env, ".rgba8", v->rgba8));
    TRY(write_rgba8(e, &c, v->rgba8));
  }
out:
  clip_free(&c);
  return rc;
}

/* --- one cell --------------------------------------------------------------------------------------------------- */

static const char *seed_text(const json *spec, const char *key, char digits[32]) {
  const json *j = json_get(spec, key);
  if (!j) return NULL;
  if (j->type == JSON_STRING) return j->str;
  snprintf(digits, 32, "%.0f", j->num);
  return digits;
}

static int keep(err *e, stage_cell *cell, const scorer_card *card, const scorer_value *value) {
  int rc = OK, i = 0;
  const json *list = json_get(cell->spec, "metrics");
  if (!list || list->type != JSON_ARRAY || json_count(list) != card->n)
    FAIL(e, E_CONFIG, "the spec of a score names other measures than its scorer's card");
  TRY(mem_new(e, card->n, sizeof(stage_measure), "measures", &cell->measures));
  cell->n_measures = card->n;
  for (const json *m = list->child; m; m = m->next, i++) {
    stage_measure *to = &cell->measures[i];
    const char *id = NULL;
    TRY(spec_text(e, m, "id", &id));
    snprintf(to->metric, sizeof to->metric, "%s", id);
    to->version = (int)card->measure[i].version;
    to->value = value[i].value;
    to->support = value[i].support;
    snprintf(to->own, sizeof to->own, "%s", value[i].reason);
    to->reason = to->own[0] ? to->own : NULL;
  }
out:
  return rc;
}

static int ask(err *e, asking *a, const stage_cell *cell, const shown *own, const shown *base, scorer_value *out) {
  char train[32], sample[32];
  const json *prompt = json_get(cell->spec, "prompt");
  scorer_question q = {.clip = own->file,
                       .rgba8 = own->rgba8[0] ? own->rgba8 : NULL,
                       .base = base->file[0] ? base->file : NULL,
                       .base_rgba8 = base->rgba8[0] ? base->rgba8 : NULL,
                       .colour = own->about.colour,
                       .has_alpha = own->about.has_alpha,
                       .frames = own->frames,
                       .height = own->about.height,
                       .width = own->about.width,
                       .fps = own->about.fps,
                       .prompt = prompt && prompt->type == JSON_STRING ? prompt->str : NULL,
                       .train_seed = seed_text(cell->spec, "train_seed", train),
                       .sample_seed = seed_text(cell->spec, "sample_seed", sample)};
  return scorer_ask(a->s, e, &q, out);
}

static int score(err *e, asking *a, stage_cell *cell) {
  int rc = OK;
  const char *path = NULL;
  shown own = {0}, base = {0};
  scorer_value *value = NULL;
  TRY(mem_new(e, a->card.n, sizeof *value, "scores", &value));
  TRY(stage_input(e, cell, "sample", &path));
  TRY(show(e, a, path, &own));
  if (!own.refused && a->card.wants_base) {
    TRY(stage_input(e, cell, "base", &path));
    TRY(show(e, a, path, &base));
  }
  if (own.refused)
    for (int i = 0; i < a->card.n; i++) snprintf(value[i].reason, sizeof value[i].reason, "%s", own.refused);
  else
    TRY(ask(e, a, cell, &own, &base, value));
  TRY(keep(e, cell, &a->card, value));
out:
  hide(&own);
  hide(&base);
  free(value);
  return rc;
}

int stage_scorer(err *e, stage_cell *cells, int64_t n, const stage_env *env) {
  int rc = OK;
  asking *a = NULL;
  TRY(mem_new(e, 1, sizeof *a, "scorer", &a));
  TRY(open_asking(e, &cells[0], env, a));
  for (a->cell = 0; a->cell < n; a->cell++) {
    if (on_stop(a)) FAIL(e, E_INTERRUPTED, "stopped before cell %lld", (long long)a->cell);
    TRY(score(e, a, &cells[a->cell]));
    if (env->done) TRY(env->done(env->user, e, a->cell));
    if (env->progress) env->progress(env->user, a->cell + 1, n, NAN);
  }
out:
  if (a) scorer_close(a->s);
  free(a);
  return rc;
}
