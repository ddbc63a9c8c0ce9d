#include "cli/score_scorers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/stop.h"
#include "run/scorer_clip.h"

static int on_stop(void *user) {
  (void)user;
  return stop_signal();
}

/* Keeps the last words. */
static void on_log(void *user, const char *data, size_t n) {
  score_scorer *s = user;
  size_t most = sizeof s->said - 1, keep = n < most ? n : most, old = s->n_said;
  if (old > most - keep) old = most - keep;
  memmove(s->said, s->said + s->n_said - old, old);
  memcpy(s->said + old, data + n - keep, keep);
  s->n_said = old + keep;
  s->said[s->n_said] = 0;
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

static int cut_words(err *e, const char *command, score_scorer *s) {
  int rc = OK;
  int64_t n = 0;
  TRY(mem_strdup(e, command, &s->words));
  TRY(mem_new(e, (int64_t)strlen(command) / 2 + 2, sizeof *s->argv, "arguments", &s->argv));
  if (file_exists(command)) { /* blanks are part of its name */
    s->argv[n++] = s->words;
    goto out;
  }
  for (char *w = s->words; *w;) {
    w += strspn(w, " \t");
    if (*w) s->argv[n++] = w;
    w += strcspn(w, " \t");
    if (*w) *w++ = 0;
  }
  if (!n) FAIL(e, E_ARG, "--scorer '%s' names no program", command);
out:
  return rc;
}

static int open_one(err *e, const char *command, double timeout_s, score_scorer *s) {
  int rc = OK;
  TRY(cut_words(e, command, s));
  s->o = scorer_defaults(s->argv, NULL);
  s->o.timeout_s = timeout_s;
  if (s->o.start_s > timeout_s) s->o.start_s = timeout_s;
  s->o.stop = on_stop;
  s->o.log = on_log;
  s->o.user = s;
  TRY(scorer_describe(e, &s->o, &s->card));
  TRY(scorer_open(e, &s->o, &s->card, &s->s));
out:
  return rc;
}

int score_scorers_open(err *e, const cli_list *commands, double timeout_s, score_scorers *out) {
  int rc = OK;
  *out = (score_scorers){0};
  if (!commands->n) goto out;
  TRY(mem_new(e, commands->n, sizeof *out->at, "scorers", &out->at));
  for (int i = 0; i < commands->n; i++) {
    score_scorer *s = &out->at[out->n++];
    TRY(open_one(e, commands->v[i], timeout_s, s));
    for (int k = 0; k < i; k++)
      if (!strcmp(out->at[k].card.id, s->card.id))
        FAIL(e, E_ARG, "--scorer '%s' and '%s' are both called %s; their measures could not be told apart",
             commands->v[k], commands->v[i], s->card.id);
    out->measures += s->card.n;
  }
  snprintf(out->folder, sizeof out->folder, "%s/tandem-score-XXXXXX", P_tmpdir);
  if (!mkdtemp(out->folder)) {
    rc = err_set(e, E_IO, "%s: %s", out->folder, strerror(errno));
    out->folder[0] = 0;
  }
out:
  return rc;
}

void score_scorers_close(score_scorers *s) {
  for (int64_t i = 0; i < s->n; i++) {
    scorer_close(s->at[i].s);
    free(s->at[i].words);
    free(s->at[i].argv);
  }
  if (s->folder[0]) rmdir(s->folder);
  free(s->at);
  *s = (score_scorers){0};
}

/* --- asking ----------------------------------------------------------------------------------------------------- */

static int on_temp(void *user, err *e, const char *suffix, char path[STAGE_PATH]) {
  score_scorers *s = user;
  snprintf(path, STAGE_PATH, "%s/%lld%s", s->folder, (long long)s->files++, suffix);
  return file_write(e, path, "", 0); /* it must be there to have an absolute name */
}

static const char *whole_clip(const char *reason) {
  for (const scorer_reason *r = scorer_reasons(); r->code; r++)
    if (r->whole_clip && !strcmp(r->code, reason)) return r->help;
  return NULL;
}

/* One scorer, one clip: the clips are read anew, because its card says in which form it wants them. */
static int ask_one(err *e, score_scorers *all, score_scorer *s, const score_job *j, int stated, scorer_value *out) {
  int rc = OK;
  score_clips c = {0};
  scorer_clip own = {0}, base = {0}, reference = {0};
  const stage_env env = {.temp = on_temp, .user = all};
  const char *why = s->card.wants_base && !j->beside[SCORE_BASE] ? METRIC_NO_BASE : NULL;
  TRY(score_clips_read(e, j, stated, &c));
  if (!why) TRY(scorer_clip_made(e, &s->card, &env, &c.own, &own));
  if (!why) why = own.refused;
  if (!why && s->card.wants_base) TRY(scorer_clip_made(e, &s->card, &env, &c.beside[SCORE_BASE], &base));
  if (!why) why = base.refused;
  if (!why && c.in.reference) TRY(scorer_clip_made(e, &s->card, &env, &c.beside[SCORE_TRUTH], &reference));
  for (int i = 0; i < s->card.n; i++) {
    out[i] = (scorer_value){0};
    if (why) snprintf(out[i].reason, sizeof out[i].reason, "%s", why);
  }
  scorer_question q = scorer_clip_question(&own, &base, &reference);
  if (!why) TRY(scorer_ask(s->s, e, &q, out));
out:
  scorer_clip_end(&own);
  scorer_clip_end(&base);
  scorer_clip_end(&reference);
  score_clips_free(&c);
  return rc;
}

int score_scorers_ask(err *e, score_scorers *all, const char *clip_name, const score_job *j, int stated,
                      scorer_value *out) {
  int rc = OK;
  for (int64_t k = 0; k < all->n; k++) {
    score_scorer *s = &all->at[k];
    s->n_said = 0;
    s->said[0] = 0;
    TRY(ask_one(e, all, s, j, stated, out));
    const char *help = whole_clip(out[0].reason);
    if (help)
      cli_warn("%s: %s: %s%s%s", clip_name, s->card.id, help, s->said[0] ? "; its last words: " : "", s->said);
    out += s->card.n;
  }
out:
  return rc;
}
