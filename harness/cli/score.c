/* tandem score: the metrics of clips made by any program, without a study. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/progress.h"
#include "cli/requests.h"
#include "cli/score_clips.h"
#include "cli/score_scorers.h"
#include "cli/score_sets.h"
#include "cli/stop.h"
#include "cli/verbs.h"
#include "run/host.h"
#include "run/score_files.h"

typedef struct score_args {
  const char *rgb, *alpha, *beside[SCORE_ROLES];
  cli_list metrics, sets, scorers;
  double scorer_timeout;
  const char *tiers, *vae, *features, *against_features;
  int colour, premultiplied, circular, csv;
} score_args;

static const char *const colours[] = {"auto", "decoded", "straight", "premultiplied", NULL};

#define AT(member) offsetof(score_args, member)
static const cli_option options[] = {
    {.name = "rgb",
     .kind = CLI_TEXT,
     .offset = AT(rgb),
     .value = "PATH",
     .help = "picture for --alpha, file or folder"},
    {.name = "alpha",
     .kind = CLI_TEXT,
     .offset = AT(alpha),
     .value = "PATH",
     .help = "alpha for --rgb: that file's alpha, or its luma when it has none"},
    {.name = "premultiplied",
     .kind = CLI_FLAG,
     .offset = AT(premultiplied),
     .help = "the same as --colour premultiplied"},
    {.name = "colour",
     .kind = CLI_CHOICE,
     .offset = AT(colour),
     .choices = colours,
     .initial = "auto",
     .help =
         "what RGB means in files that do not say; auto: straight with alpha, else decoded; with --alpha decoded"},
    {.name = "against",
     .kind = CLI_TEXT,
     .offset = AT(beside[SCORE_BASE]),
     .value = "PATH",
     .help = "clips of the base model, paired by file name"},
    {.name = "truth",
     .kind = CLI_TEXT,
     .offset = AT(beside[SCORE_TRUTH]),
     .value = "PATH",
     .help =
         "RGBA clips that these should have been, or their true mattes (files without alpha), paired by file name"},
    {.name = "trimap",
     .kind = CLI_TEXT,
     .offset = AT(beside[SCORE_TRIMAP]),
     .value = "PATH",
     .help = "trimaps (black, white, else unknown), paired by file name"},
    {.name = "partner",
     .kind = CLI_TEXT,
     .offset = AT(beside[SCORE_PARTNER]),
     .value = "PATH",
     .help = "clips of the same prompts with another seed, for gains, paired by file name"},
    {.name = "vae",
     .kind = CLI_TEXT,
     .offset = AT(vae),
     .value = "FILE",
     .help = "VAE scales (configs/models/tiny-vae.json) for metrics that compare latents with those of --against"},
    {.name = "metric",
     .kind = CLI_TEXTS,
     .offset = AT(metrics),
     .value = "ID,...",
     .help = "these metrics; default: those of --tier whose inputs are given, with their gains when --partner is"},
    {.name = "set",
     .kind = CLI_TEXTS,
     .offset = AT(sets),
     .value = "ID,...",
     .help = "scores of all clips as a set against all clips of --against (or of two feature files)"},
    {.name = "features",
     .kind = CLI_TEXT,
     .offset = AT(features),
     .value = "FILE",
     .help = "features of a set instead of clips: .npy, .npz or .safetensors"},
    {.name = "against-features",
     .kind = CLI_TEXT,
     .offset = AT(against_features),
     .value = "FILE",
     .help = "those of the set it is compared with"},
    {.name = "scorer",
     .kind = CLI_TEXTS,
     .offset = AT(scorers),
     .value = "COMMAND",
     .help = "an external scorer (docs/scorers.md), program and arguments; its measures are NAME/MEASURE"},
    {.name = "scorer-timeout",
     .kind = CLI_NUMBER,
     .offset = AT(scorer_timeout),
     .value = "S",
     .lo = 0.01,
     .hi = 1e6,
     .initial = "600",
     .help = "seconds for one clip; as many again, at most 120, to start"},
    {.name = "tier",
     .kind = CLI_TEXT,
     .offset = AT(tiers),
     .value = "N,...",
     .help = "tiers to score: 0 gate, 1 primary, 2 with reference data (default 0,1, and 2 with --truth)"},
    {.name = "circular",
     .kind = CLI_FLAG,
     .offset = AT(circular),
     .help = "where a file has no decoded picture, score on the premultiplied one and mark it"},
    {.name = "csv", .kind = CLI_FLAG, .offset = AT(csv), .help = "comma-separated values, every digit"},
    {.name = NULL},
};

/* --- what to score --- */

/* The tiers asked for, as bits. */
static int tiers_of(err *e, const char *list, int truth, unsigned *out) {
  *out = truth ? 7 : 3;
  if (!list) return OK;
  *out = 0;
  for (const char *s = list; *s; s++) {
    if (*s < '0' || *s > '2' || (s[1] && s[1] != ','))
      return err_set(e, E_ARG, "--tier %s: tiers are 0, 1 and 2, with commas between", list);
    *out |= 1u << (*s - '0');
    s += s[1] == ',';
  }
  return OK;
}

/* Metrics of the tiers whose inputs the command line gives. */
static int by_tier(err *e, const score_args *a, requests *out) {
  int rc = OK;
  unsigned tiers, lacking = METRIC_NEEDS_BASE_TRUTH;
  metric_request r;
  TRY(tiers_of(e, a->tiers, a->beside[SCORE_TRUTH] != NULL, &tiers));
  if (!a->beside[SCORE_TRUTH]) lacking |= METRIC_NEEDS_TRUTH | METRIC_NEEDS_REFERENCE;
  if (!a->beside[SCORE_BASE]) lacking |= METRIC_NEEDS_BASE;
  if (!a->beside[SCORE_TRIMAP]) lacking |= METRIC_NEEDS_TRIMAP;
  if (!a->vae) lacking |= METRIC_NEEDS_LATENTS;
  for (const metric *const *m = metric_list(); *m; m++) {
    if (!(tiers & 1u << (*m)->tier) || ((*m)->needs & lacking)) continue;
    TRY(metric_parse(e, (*m)->id, &r));
    TRY(requests_add(e, out, &r));
    r.gain = 1;
    if (a->beside[SCORE_PARTNER] && (*m)->gain_ok) TRY(requests_add(e, out, &r));
  }
out:
  return rc;
}

/* --- one clip --- */

typedef struct scoring {
  cli *c;
  const score_args *args;
  score_jobs jobs;
  requests list;
  int threads;    /* of all work */
  int stated;     /* as in score_clips_read */
  block_vae *vae; /* NULL: none given */
  score_scorers scorers;
  scorer_value *answers; /* [clips][measures of all scorers] */
  int outer, inner;      /* clips at once, threads of each */
  text *out;             /* of every clip, until it is printed */
  unsigned char *done;   /* 1 scored, 2 could not be read */
  int64_t printed, finished, failed;
  text whole; /* for -o */
  int rc;     /* of printing */
  progress bar;
} scoring;

/* What --circular makes of a request for a clip without a decoded picture. */
static metric_request effective(const scoring *s, metric_request r, const clip *c) {
  const metric *m = r.metric;
  if (s->args->circular && c->colour != CLIP_DECODED && m->plane == METRIC_JOINT && m->picture == METRIC_DECODED &&
      !r.gain)
    r.picture = METRIC_PREMULTIPLIED;
  return r;
}

static score_form form_of(const scoring *s) {
  return s->c->json ? SCORE_JSON : s->args->csv ? SCORE_CSV : SCORE_GRID;
}

/* Rows of clip i: the metrics, then the scorers' measures. */
static int print_rows(scoring *s, int64_t i, const metric_request *list, const metric_value *v, err *e) {
  int rc = OK;
  int64_t n = 0, measures = s->scorers.measures;
  score_row *row = NULL;
  TRY(mem_new(e, s->list.n + measures, sizeof *row, "scores", &row));
  for (int64_t k = 0; k < s->list.n; k++) row[n++] = score_row_metric(&list[k], &v[k]);
  const scorer_value *answer = s->answers + i * measures;
  for (int64_t k = 0; k < s->scorers.n; k++)
    for (int m = 0; m < s->scorers.at[k].card.n; m++)
      row[n++] = score_row_measure(&s->scorers.at[k].card, m, answer++);
  score_rows_print(s->jobs.at[i].name, row, n, form_of(s), &s->out[i]);
  rc = text_ok(&s->out[i], e);
out:
  free(row);
  return rc;
}

static int score_one(scoring *s, int64_t i, err *e) {
  int rc = OK;
  const score_job *j = &s->jobs.at[i];
  score_clips clips = {0};
  metric_request *list = NULL;
  metric_value *v = NULL;
  float *latents = NULL;
  TRY(score_clips_read(e, j, s->stated, &clips));
  TRY(mem_new(e, s->list.n, sizeof *list, "metrics", &list));
  TRY(mem_new(e, s->list.n, sizeof *v, "scores", &v));
  for (int64_t k = 0; k < s->list.n; k++) list[k] = effective(s, s->list.at[k], &clips.own);
  clips.in.threads = s->inner;
  if (s->vae) TRY(score_latents(e, s->vae, &clips.in, &latents));
  TRY(metric_score(e, list, s->list.n, &clips.in, v));
  TRY(print_rows(s, i, list, v, e));
out:
  score_clips_free(&clips);
  free(list), free(v), free(latents);
  return rc;
}

/* --- all clips --- */

/* Prints what is done, in the order of the clips. One thread at a time. */
static void settle(scoring *s, int64_t i, int rc, const err *e) {
  s->done[i] = rc == OK ? 1 : 2;
  s->finished++;
  if (rc != OK) {
    s->failed++;
    progress_close(&s->bar);
    cli_warn("%s: %s", s->jobs.at[i].name, e->text);
  }
  for (; s->printed < s->jobs.n && s->done[s->printed]; s->printed++) {
    text *t = &s->out[s->printed];
    if (s->rc == OK && t->n) {
      if (s->c->output)
        text_addn(&s->whole, t->p, t->n);
      else
        s->rc = cli_write(s->c, t->p, t->n);
    }
    text_free(t);
  }
  char detail[32];
  snprintf(detail, sizeof detail, "%lld failed", (long long)s->failed);
  if (s->jobs.n > 1) progress_tick(&s->bar, s->finished, s->jobs.n, detail);
}

/* Before the metrics, from this one thread: a scorer's process ends with the thread that started it, and which clip
 * comes next must not depend on the number of threads. A clip that cannot be read is told of later. */
static int ask_scorers(scoring *s) {
  int rc = OK;
  err *e = &s->c->err;
  progress bar;
  if (!s->scorers.n) goto out;
  TRY(mem_new(e, s->jobs.n * s->scorers.measures, sizeof *s->answers, "answers", &s->answers));
  stop_listen();
  progress_open(&bar, s->c, "clip asked about", 0);
  for (int64_t i = 0; rc == OK && i < s->jobs.n; i++) {
    err mine = {0};
    const score_job *j = &s->jobs.at[i];
    progress_close(&bar);
    int got = score_scorers_ask(&mine, &s->scorers, j->name, j, s->stated, s->answers + i * s->scorers.measures);
    if (got == E_INTERRUPTED || got == E_NOMEM) rc = err_set(e, got, "%s", mine.text);
    if (s->jobs.n > 1) progress_tick(&bar, i + 1, s->jobs.n, "by scorers");
  }
  progress_close(&bar);
out:
  return rc;
}

static int all_clips(scoring *s) {
  int rc = OK;
  err *e = &s->c->err;
  TRY(mem_new(e, s->jobs.n, sizeof *s->out, "scores", &s->out));
  TRY(mem_new(e, s->jobs.n, 1, "scores", &s->done));
  s->outer = s->jobs.n < s->threads ? (int)s->jobs.n : s->threads;
  s->inner = s->threads / s->outer;
  progress_open(&s->bar, s->c, "clip", 0);
  if (s->args->csv && !s->c->output) TRY(cli_write(s->c, score_csv_head, strlen(score_csv_head)));
  if (s->args->csv && s->c->output) text_add(&s->whole, score_csv_head);
#pragma omp parallel for num_threads(s->outer) schedule(dynamic, 1)
  for (int64_t i = 0; i < s->jobs.n; i++) {
    err mine = {0};
    if (stop_signal()) continue;
    int got = score_one(s, i, &mine);
#pragma omp critical(settle_score)
    settle(s, i, got, &mine);
  }
  progress_close(&s->bar);
  TRY(s->rc);
  if (stop_signal()) FAIL(e, E_INTERRUPTED, "stopped by a signal");
  if (s->c->output) TRY(cli_put(s->c, &s->whole));
  if (s->failed) s->c->status = EXIT_FAILED;
out:
  for (int64_t i = 0; s->out && i < s->jobs.n; i++) text_free(&s->out[i]);
  free(s->out), free(s->done);
  return rc;
}

static int check_args(cli *c, const score_args *a) {
  int rc = OK;
  if (!a->rgb != !a->alpha) FAIL(&c->err, E_ARG, "--rgb and --alpha go together");
  if (a->rgb && c->words.n) FAIL(&c->err, E_ARG, "clips are given by --rgb and --alpha or as words, not both");
  if (!a->rgb && !a->features && !c->words.n)
    FAIL(&c->err, E_ARG, "score what? give clips or folders, or --rgb and --alpha");
  if (!a->features != !a->against_features) FAIL(&c->err, E_ARG, "--features and --against-features go together");
  if (a->sets.n && !a->features && !a->beside[SCORE_BASE])
    FAIL(&c->err, E_ARG, "--set compares with the clips of --against, which is not given");
  if (a->features && (!a->sets.n || a->rgb || c->words.n))
    FAIL(&c->err, E_ARG, "--features goes with --set and without clips");
  if (a->features && a->scorers.n) FAIL(&c->err, E_ARG, "--scorer is asked about clips, and --features has none");
  if (c->output && a->sets.n && (a->metrics.n || a->tiers || a->scorers.n))
    FAIL(&c->err, E_ARG, "-o holds scores of clips or of sets; ask for them one by one");
  if (a->csv && c->json) FAIL(&c->err, E_ARG, "--csv and --json together");
  if (a->metrics.n && a->tiers) FAIL(&c->err, E_ARG, "--metric and --tier together");
  if (a->premultiplied && a->colour && a->colour != 1 + CLIP_PREMULTIPLIED)
    FAIL(&c->err, E_ARG, "--premultiplied and --colour %s together", colours[a->colour]);
out:
  return rc;
}

/* What the folders did not say, once. */
static void tell(const score_args *a, const score_jobs *j) {
  enum { NAMES = 5 };
  for (int r = 0; r < SCORE_ROLES; r++) {
    text names = {0};
    int64_t told = 0;
    for (int64_t i = 0; j->alone[r] && i < j->n; i++)
      if (!j->at[i].beside[r] && told++ < NAMES) text_addf(&names, "%s%s", told > 1 ? ", " : "", j->at[i].name);
    if (told)
      cli_warn("%lld of %lld clips have no file of their name in %s %s: %s%s", (long long)told, (long long)j->n,
               score_role_option[r], a->beside[r], names.p ? names.p : "", told > NAMES ? "..." : "");
    text_free(&names);
  }
  if (j->frames) cli_warn("numbered images are scored one by one; as the frames of one clip they are %s", j->frames);
}

/* Scores of sets alone: --set without --metric or --tier scores no single clips. */
static int set_scores(scoring *s) {
  int rc = OK;
  cli *c = s->c;
  const score_args *a = s->args;
  int64_t failed = 0;
  score_form form = form_of(s);
  score_sets list = {0};
  score_jobs y = {0};
  text out = {0};
  for (int i = 0; i < a->sets.n; i++) TRY(score_sets_named(&c->err, a->sets.v[i], &list));
  if (a->features) {
    TRY(score_sets_files(c, &list, a->features, a->against_features, s->threads, form, &out));
  } else {
    TRY(score_jobs_open(&c->err, &(score_sources){.clips = &a->beside[SCORE_BASE], .n_clips = 1}, &y));
    TRY(score_sets_clips(c, &list, &s->jobs, &y, s->stated, s->threads, form, &failed, &out));
  }
  TRY(cli_put(c, &out));
  if (failed) c->status = EXIT_FAILED;
out:
  free(list.at);
  score_jobs_close(&y);
  text_free(&out);
  return rc;
}

static int run(cli *c, const void *args) {
  int rc = OK;
  const score_args *a = args;
  scoring s = {.c = c,
               .args = a,
               .threads = c->threads > 0 ? (int)c->threads : host_cores(),
               .stated = a->premultiplied ? 1 + CLIP_PREMULTIPLIED : a->colour};
  score_sources from = {.clips = c->words.v, .n_clips = c->words.n, .rgb = a->rgb, .alpha = a->alpha};
  int tiers = !a->sets.n || a->tiers, single = tiers || a->metrics.n || a->scorers.n;
  TRY(check_args(c, a));
  for (int r = 0; r < SCORE_ROLES; r++)
    if (single || r != SCORE_BASE) from.beside[r] = a->beside[r];
  for (int i = 0; i < a->metrics.n; i++) TRY(requests_named(&c->err, a->metrics.v[i], &s.list));
  if (tiers && !s.list.n) TRY(by_tier(&c->err, a, &s.list));
  if (!a->features) TRY(score_jobs_open(&c->err, &from, &s.jobs));
  tell(a, &s.jobs);
  if (a->vae) {
    TRY(mem_new(&c->err, 1, sizeof *s.vae, "latent transform", &s.vae));
    TRY(block_vae_load(&c->err, a->vae, s.vae));
  }
  TRY(score_scorers_open(&c->err, &a->scorers, a->scorer_timeout, &s.scorers));
  TRY(ask_scorers(&s));
  omp_set_max_active_levels(2);
  if (single) TRY(all_clips(&s));
  if (a->sets.n) TRY(set_scores(&s));
out:
  text_free(&s.whole);
  score_scorers_close(&s.scorers);
  free(s.answers), free(s.vae);
  score_jobs_close(&s.jobs);
  free(s.list.at);
  return rc;
}

const cli_verb verb_score = {
    .name = "score",
    .group = "clips",
    .help = "metrics of RGBA clips made by any program",
    .usage = "CLIP|FOLDER...",
    .about =
        "Clips are videos, images or numbered sequences (dir/%03d.png) that FFmpeg decodes. A folder gives its "
        "files\n"
        "and its folders of numbered frames in the order of their names, or its dataset (manifest, or fgr/ and "
        "pha/).\n"
        "Alignment metrics need the decoded picture, with its own background: a straight or premultiplied RGBA file\n"
        "has none, and they are undefined there unless --circular forces them. --rgb takes the picture from one "
        "file\n"
        "and the alpha under test from another; a picture that has an alpha of its own is laid over black by it.\n"
        "--set compares sets of clips, with a null distribution from permutations. --json prints one measure a "
        "line.\n"
        "--scorer asks a program of yours about every clip; whatever it does is a value or a reason.\n"
        "Exit status 1: some clip could not be scored; the others are.",
    .examples = "tandem score clips/ --json\n"
                "tandem score --rgb rgb.mp4 --alpha alpha.mp4 --metric color_fit,edge_color\n"
                "tandem score ours/ --against base/ --csv -o scores.csv\n"
                "tandem score ours/ --against base/ --set hof_energy:alpha=0,swd:alpha=0\n"
                "tandem score --features ours.npy --against-features base.npz --set frechet,kid\n"
                "tandem score clips/ --scorer 'scorers/mine.py --model b' --scorer-timeout 60 --json\n"
                "tandem score pred/ --truth true/ --trimap trimaps/ --tier 2",
    .shared = CLI_JSON | CLI_THREADS | CLI_OUTPUT,
    .options = options,
    .min_words = 0,
    .max_words = -1,
    .args_size = sizeof(score_args),
    .run = run,
};
