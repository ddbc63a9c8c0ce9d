#include "run/scorer.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "base/mem.h"
#include "media/video.h"
#include "run/child.h"

#define TICK_MS 50  /* between looks at the process and the caller's stop */
#define CHUNK 16384 /* bytes of one read */
#define LAST_WORDS 400

const scorer_reason *scorer_reasons(void) {
  static const scorer_reason list[] = {
      {SCORER_START, "the program could not be started", 1},
      {SCORER_TIMEOUT, "no complete answer within the time limit", 1},
      {SCORER_DIED, "the program ended, or closed a pipe, before its answer was complete", 1},
      {SCORER_GARBAGE,
       "a line that is not of the protocol: no JSON, another clip's id, an unknown measure, a wrong type", 1},
      {SCORER_FLOOD, "more output than the limits allow", 1},
      {SCORER_GIVEN_UP, "too many clips in a row failed; this one was not sent", 1},
      {SCORER_MISSING, "the answer ended without this measure", 0},
      {SCORER_DUPLICATE, "the measure was answered more than once", 0},
      {SCORER_NOT_FINITE, "the value is NaN or infinite", 0},
      {SCORER_RANGE, "the value is outside the range that the scorer declared", 0},
      {NULL, NULL, 0},
  };
  return list;
}

struct scorer {
  const scorer_options *o;
  scorer_card card;
  child c;
  int fresh;  /* the process has not answered yet */
  int failed; /* clips in a row */
  int64_t id; /* of the last request */
  char line[SCORER_LINE + 1];
  size_t used;    /* bytes of an unfinished line */
  int torn;       /* the last answer was followed by part of a line */
  int64_t logged; /* bytes of standard error kept for this request */
};

/* One request under way. */
typedef struct exchange {
  scorer *s;
  err *e;
  scorer_value *out;
  int answered[CARD_MEASURES];
  const char *unsent; /* rest of the request */
  size_t left;
  double until;
  int64_t lines, bytes;
  int done;            /* the end marker came */
  const char *verdict; /* why the whole request failed; NULL: it has not */
} exchange;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int wait_ms(double until) {
  double ms = (until - now()) * 1000 + 1;
  return ms < 0 ? 0 : ms > TICK_MS ? TICK_MS : (int)ms;
}

scorer_options scorer_defaults(const char *const *argv, const char *folder) {
  return (scorer_options){
      .argv = argv, .folder = folder, .timeout_s = 600, .start_s = 120, .grace_s = 2, .failures = 3};
}

/* --- log -------------------------------------------------------------------------------------------------------- */

static void say(const scorer *s, const char *code, const char *what, const char *about) {
  char line[400];
  if (!s->o->log) return;
  int n = snprintf(line, sizeof line, "scorer %s, clip %lld: %s: %s%.200s\n", s->card.id, (long long)s->id, code,
                   what, about);
  s->o->log(s->o->user, line, n < (int)sizeof line ? (size_t)n : sizeof line - 1);
}

/* Reads what is there, so that a scorer never waits for us; keeps the first SCORER_LOG_BYTES of a request. */
static void take_stderr(scorer *s) {
  char data[CHUNK];
  ssize_t n;
  for (int i = 0; i < 64 && (n = child_read(&s->c.err, data, sizeof data)) > 0; i++) {
    int64_t room = SCORER_LOG_BYTES - s->logged, keep = n < room ? n : room;
    if (keep > 0 && s->o->log) s->o->log(s->o->user, data, (size_t)keep);
    if (keep > 0 && keep == room) say(s, "stderr", "the rest of its standard error is dropped", "");
    s->logged += n;
  }
}

/* --- one line of an answer -------------------------------------------------------------------------------------- */

static void undefined(scorer_value *v, const char *reason) {
  *v = (scorer_value){0};
  snprintf(v->reason, sizeof v->reason, "%s", reason);
}

static int garbage(exchange *x, const char *what, const char *line) {
  x->verdict = SCORER_GARBAGE;
  say(x->s, SCORER_GARBAGE, what, line);
  return OK;
}

#define NOT_FINITE "not finite" /* what stands for NaN and infinities, which JSON does not have */

static int word_at(const char *p, const char *word) {
  size_t n = strlen(word);
  return strncmp(p, word, n) == 0 &&
         !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", p[n] ? p[n] : 'a');
}

/* Bytes of a number at p that is not finite: Python's NaN and -Infinity, C's nan and inf, 1e999; 0: none is there. */
static size_t not_finite_at(const char *p) {
  static const char *const words[] = {"NaN", "nan", "Infinity", "infinity", "inf", "Inf"};
  size_t sign = *p == '-' || *p == '+', digits = strspn(p + sign, "0123456789.eE+-");
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    if (word_at(p + sign, words[i])) return sign + strlen(words[i]);
  if (digits == 0 || p[sign] < '0' || p[sign] > '9') return 0;
  return isinf(strtod(p, NULL)) ? sign + digits : 0;
}

/* The line with such numbers as texts: one wrong measure must not cost the others. */
static int parse_line(const exchange *x, const char *line, json **out) {
  err quiet = {0};
  text t = {0};
  int quoted = 0;
  for (const char *p = line; *p;) {
    size_t n = 1, bad = quoted ? 0 : not_finite_at(p), number = quoted ? 0 : strspn(p, "0123456789.eE+-");
    if (bad)
      text_add(&t, "\"" NOT_FINITE "\"");
    else if (number) /* one token: its tail is not looked at again */
      n = number;
    else if (quoted && *p == '\\' && p[1])
      n = 2;
    else if (*p == '"')
      quoted = !quoted;
    if (!bad) text_addn(&t, p, n);
    p += bad ? bad : n;
  }
  int rc = text_ok(&t, x->e);
  if (rc == OK) rc = json_parse(&quiet, "answer", t.p, t.n, out);
  text_free(&t);
  return rc;
}

static int take_value(exchange *x, int i, const json *j, const char *line) {
  const card_measure *m = &x->s->card.measure[i];
  const json *v = json_get(j, "value"), *reason = json_get(j, "reason"), *n = json_get(j, "n");
  scorer_value *out = &x->out[i];
  int undefined_value = v && v->type == JSON_NULL, finite = v && v->type == JSON_NUMBER;
  int not_finite = v && v->type == JSON_STRING && strcmp(v->str, NOT_FINITE) == 0;
  if (!undefined_value && !finite && !not_finite) return garbage(x, "\"value\" must be a number or null: ", line);
  if (n && (n->type != JSON_NUMBER || !n->is_int || n->num < 0))
    return garbage(x, "\"n\" must be a whole number: ", line);
  if (undefined_value && !(reason && reason->type == JSON_STRING && card_reason_ok(reason->str)))
    return garbage(x, "a null value wants a \"reason\" of a-z 0-9 _ that does not begin with scorer_: ", line);
  if (!undefined_value && reason && reason->type != JSON_NULL)
    return garbage(x, "a value and a \"reason\" at once: ", line);
  *out = (scorer_value){.value = finite ? v->num : 0, .support = n ? (int64_t)n->num : 1};
  double slack = isfinite(m->hi - m->lo) ? 1e-9 * (m->hi - m->lo) : 0;
  if (x->answered[i]++)
    undefined(out, SCORER_DUPLICATE);
  else if (undefined_value)
    undefined(out, reason->str);
  else if (not_finite)
    undefined(out, SCORER_NOT_FINITE);
  else if (out->value < m->lo - slack || out->value > m->hi + slack)
    undefined(out, SCORER_RANGE);
  if (strncmp(out->reason, "scorer_", 7) == 0) say(x->s, out->reason, "", line);
  return OK;
}

static int find_measure(const scorer_card *c, const json *id) {
  for (int i = 0; id && id->type == JSON_STRING && i < c->n; i++)
    if (strcmp(c->measure[i].id, id->str) == 0) return i;
  return -1;
}

static int take_line(exchange *x, const char *line) {
  scorer *s = x->s;
  json *j = NULL;
  int rc = OK;
  if (line[strspn(line, " \t\r")] == 0) return OK;
  rc = parse_line(x, line, &j);
  if (rc == E_NOMEM) return err_set(x->e, rc, "no memory for a scorer's answer");
  const json *id = rc == OK ? json_get(j, "id") : NULL, *done = rc == OK ? json_get(j, "done") : NULL;
  int known = id && id->type == JSON_NUMBER && id->is_int;
  int i = rc == OK ? find_measure(&s->card, json_get(j, "metric")) : -1;
  if (rc != OK)
    rc = garbage(x, "not JSON: ", line);
  else if (!known)
    rc = garbage(x, "no \"id\" of a request: ", line);
  else if (id->num < (double)s->id)
    say(s, "late", "a line about an earlier clip is dropped: ", line);
  else if (id->num > (double)s->id)
    rc = garbage(x, "the \"id\" of no request: ", line);
  else if (done && done->type == JSON_BOOL && done->num != 0)
    x->done = 1;
  else if (done)
    rc = garbage(x, "\"done\" must be true: ", line);
  else if (i < 0)
    rc = garbage(x, "\"metric\" must be a measure of the description: ", line);
  else
    rc = take_value(x, i, j, line);
  json_free(j);
  return rc;
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static void flood(exchange *x, const char *what) {
  x->verdict = SCORER_FLOOD;
  say(x->s, SCORER_FLOOD, what, "");
}

static int take_bytes(exchange *x, const char *data, size_t n) {
  scorer *s = x->s;
  int rc = OK;
  x->bytes += (int64_t)n;
  if (x->bytes > SCORER_BYTES) flood(x, "too many bytes");
  while (n > 0 && !x->verdict && !x->done) {
    const char *end = memchr(data, '\n', n);
    size_t part = end ? (size_t)(end - data) : n;
    if (s->used + part > SCORER_LINE) {
      flood(x, "a line is too long");
      break;
    }
    memcpy(s->line + s->used, data, part);
    s->used += part;
    data += part + (end ? 1 : 0);
    n -= part + (end ? 1 : 0);
    if (!end) break;
    s->line[s->used] = 0;
    if (strlen(s->line) != s->used)
      garbage(x, "a zero byte", "");
    else
      TRY(take_line(x, s->line));
    s->used = 0;
    if (++x->lines > SCORER_LINES && !x->verdict) flood(x, "too many lines");
  }
  s->torn = x->done && n > 0 && data[n - 1] != '\n';
out:
  return rc;
}

/* Sets the verdict or x->done when the exchange has ended. */
static int step(exchange *x) {
  scorer *s = x->s;
  char data[CHUNK];
  int rc = OK, ended = child_ended(&s->c), deaf = 0;
  struct pollfd p[3] = {{.fd = s->c.out, .events = POLLIN}, {.fd = s->c.err, .events = POLLIN}, {.fd = -1}};
  if (x->left) p[2] = (struct pollfd){.fd = s->c.in, .events = POLLOUT};
  poll(p, 3, ended ? 0 : wait_ms(x->until));
  take_stderr(s);
  if (x->left) {
    ssize_t sent = child_write(&s->c, x->unsent, x->left);
    deaf = sent < 0;
    if (sent > 0) x->unsent += sent, x->left -= (size_t)sent;
  }
  ssize_t n = child_read(&s->c.out, data, sizeof data);
  if (n > 0) TRY(take_bytes(x, data, (size_t)n));
  if (x->verdict || x->done) goto out;
  if (n < 0 || (n == 0 && (ended || deaf))) {
    x->verdict = SCORER_DIED;
    say(s, SCORER_DIED, deaf ? "it closed its input" : child_ended(&s->c) ? "it ended" : "it closed its output", "");
  } else if (now() >= x->until) {
    x->verdict = SCORER_TIMEOUT;
    say(s, SCORER_TIMEOUT, "no complete answer in time", "");
  }
out:
  return rc;
}

static int converse(exchange *x) {
  int rc = OK;
  const scorer_options *o = x->s->o;
  while (!x->done && !x->verdict) {
    if (o->stop && o->stop(o->user)) FAIL(x->e, E_INTERRUPTED, "stopped while scorer %s worked", x->s->card.id);
    TRY(step(x));
  }
out:
  return rc;
}

/* --- requests --------------------------------------------------------------------------------------------------- */

static void add_member(text *t, const char *key, const char *value) {
  text_addf(t, ", \"%s\": ", key);
  if (value)
    text_add_json(t, value);
  else
    text_add(t, "null");
}

/* A seed of JSON's exact whole numbers is a number, a larger one a text. */
static void add_seed(text *t, const char *key, const char *digits) {
  if (digits && strlen(digits) <= 15)
    text_addf(t, ", \"%s\": %s", key, digits);
  else
    add_member(t, key, digits);
}

static int write_request(err *e, const scorer *s, const scorer_question *q, text *t) {
  text_addf(t, "{\"protocol\": %d, \"id\": %lld", CARD_PROTOCOL, (long long)s->id);
  add_member(t, "clip", q->clip);
  add_member(t, "rgba8", q->rgba8);
  add_member(t, "colour", video_colour_name(q->colour));
  text_addf(t, ", \"alpha\": %s, \"frames\": %d, \"height\": %d, \"width\": %d, \"fps\": ",
            q->has_alpha ? "true" : "false", q->frames, q->height, q->width);
  text_add_number(t, q->fps > 0 ? q->fps : NAN);
  add_member(t, "prompt", q->prompt);
  add_seed(t, "train_seed", q->train_seed);
  add_seed(t, "sample_seed", q->sample_seed);
  add_member(t, "base", q->base);
  add_member(t, "base_rgba8", q->base_rgba8);
  add_member(t, "reference", q->reference);
  text_add(t, "}\n");
  return text_ok(t, e);
}

static void all_undefined(const scorer *s, scorer_value *out, const char *reason) {
  for (int i = 0; i < s->card.n; i++) undefined(&out[i], reason);
}

/* Drops what the program said unasked since its last answer; 0 when it is in the middle of a line or does not end. */
static int settle(scorer *s) {
  char data[CHUNK];
  ssize_t n;
  int chunks = 0, whole = !s->torn;
  s->torn = 0;
  for (; chunks < 64 && (n = child_read(&s->c.out, data, sizeof data)) > 0; chunks++) whole = data[n - 1] == '\n';
  if (chunks || !whole) say(s, "unasked", "output after the end of an answer is dropped", "");
  return whole && chunks < 64 && s->c.out >= 0;
}

/* A process is there, or *reason says why there is none. */
static int have_process(scorer *s, err *e, const char **reason) {
  err why = {0};
  int left = s->c.pid && child_ended(&s->c); /* between two clips it may */
  if (s->c.pid && (left || !settle(s))) child_stop(&s->c, 0, left ? 0 : s->o->grace_s);
  if (s->c.pid) return OK;
  s->used = 0;
  s->fresh = 1;
  int rc = child_start(&why, s->o->argv, s->o->folder, 1, &s->c);
  if (rc == OK) return OK;
  if (rc == E_NOMEM) return err_set(e, rc, "%s", why.text);
  *reason = SCORER_START;
  say(s, SCORER_START, why.text, "");
  return OK;
}

static void conclude(exchange *x) {
  scorer *s = x->s;
  if (x->verdict) {
    child_stop(&s->c, 0, s->o->grace_s);
    s->failed++;
    all_undefined(s, x->out, x->verdict);
    return;
  }
  s->failed = 0;
  s->fresh = 0;
  for (int i = 0; i < s->card.n; i++) {
    if (x->answered[i]) continue;
    undefined(&x->out[i], SCORER_MISSING);
    say(s, SCORER_MISSING, "", s->card.measure[i].id);
  }
}

static void apply_no_alpha(const scorer *s, const scorer_question *q, scorer_value *out) {
  for (int i = 0; i < s->card.n && !q->has_alpha; i++)
    if (s->card.measure[i].plane != METRIC_RGB) undefined(&out[i], METRIC_NO_ALPHA);
}

/* Starts a process when there is none, asks, and hears the answer. */
static int try_once(exchange *x, const scorer_question *q) {
  scorer *s = x->s;
  text t = {0};
  int rc = OK;
  TRY(have_process(s, x->e, &x->verdict));
  if (x->verdict) goto out;
  TRY(write_request(x->e, s, q, &t));
  x->unsent = t.p;
  x->left = t.n;
  x->until = now() + s->o->timeout_s + (s->fresh ? s->o->start_s : 0);
  TRY(converse(x));
  take_stderr(s);
out:
  text_free(&t);
  return rc;
}

int scorer_ask(scorer *s, err *e, const scorer_question *q, scorer_value *out) {
  int rc = OK;
  exchange x = {.s = s, .e = e, .out = out};
  s->id++;
  s->logged = 0;
  if (s->failed >= s->o->failures) {
    all_undefined(s, out, SCORER_GIVEN_UP);
    say(s, SCORER_GIVEN_UP, "too many clips in a row failed", "");
    goto out;
  }
  TRY(try_once(&x, q));
  /* It may have been leaving when the clip came, which is not the clip's doing. */
  if (x.verdict && strcmp(x.verdict, SCORER_DIED) == 0 && !s->fresh && x.bytes == 0) {
    child_stop(&s->c, 0, s->o->grace_s);
    x = (exchange){.s = s, .e = e, .out = out};
    TRY(try_once(&x, q));
  }
  conclude(&x);
out:
  if (rc != OK) child_stop(&s->c, 0, s->o->grace_s);
  if (rc == OK) apply_no_alpha(s, q, out);
  return rc;
}

int scorer_open(err *e, const scorer_options *o, const scorer_card *card, scorer **out) {
  int rc = mem_new(e, 1, sizeof **out, "scorer", out);
  if (rc != OK) return rc;
  (*out)->o = o;
  (*out)->card = *card;
  (*out)->c = (child){.in = -1, .out = -1, .err = -1};
  return OK;
}

void scorer_close(scorer *s) {
  if (!s) return;
  child_stop(&s->c, s->o->grace_s, s->o->grace_s);
  free(s);
}

/* --- description ------------------------------------------------------------------------------------------------ */

typedef struct description {
  text out;
  char last[LAST_WORDS]; /* end of its standard error, one line */
  size_t n_last;
} description;

static void keep_last(description *d, const char *data, size_t n) {
  if (n > sizeof d->last - 1) {
    data += n - (sizeof d->last - 1);
    n = sizeof d->last - 1;
  }
  if (d->n_last + n > sizeof d->last - 1) {
    size_t drop = d->n_last + n - (sizeof d->last - 1);
    memmove(d->last, d->last + drop, d->n_last - drop);
    d->n_last -= drop;
  }
  memcpy(d->last + d->n_last, data, n);
  d->n_last += n;
  for (size_t i = 0; i < d->n_last; i++)
    if (d->last[i] >= 0 && d->last[i] < ' ') d->last[i] = ' ';
  d->last[d->n_last] = 0;
}

/* Until the program has ended and nothing more is to be read. */
static int read_description(err *e, child *c, double start_s, description *d) {
  char data[CHUNK];
  double until = now() + start_s;
  for (;;) {
    int ended = child_ended(c);
    struct pollfd p[2] = {{.fd = c->out, .events = POLLIN}, {.fd = c->err, .events = POLLIN}};
    poll(p, 2, ended ? 0 : wait_ms(until));
    ssize_t n = child_read(&c->out, data, sizeof data), m;
    if (n > 0) text_addn(&d->out, data, (size_t)n);
    if ((m = child_read(&c->err, data, sizeof data)) > 0) keep_last(d, data, (size_t)m);
    if (d->out.n > SCORER_BYTES) return err_set(e, E_FORMAT, "it printed more than %d bytes", SCORER_BYTES);
    if (ended && n <= 0 && m <= 0) return OK;
    if (now() >= until) return err_set(e, E_IO, "it did not end within %g s", start_s);
  }
}

static int ended_well(err *e, int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return OK;
  return err_set(e, E_IO, "it ended by %s %d", WIFSIGNALED(status) ? "signal" : "exit status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

int scorer_describe(err *e, const scorer_options *o, scorer_card *out) {
  int rc = OK;
  int64_t n = 0;
  const char **argv = NULL;
  child c = {.in = -1, .out = -1, .err = -1};
  description d = {0};
  json *j = NULL;
  err why = {0};
  while (o->argv[n]) n++;
  TRY(mem_new(e, n + 2, sizeof *argv, "arguments", &argv));
  for (int64_t i = 0; i < n; i++) argv[i] = o->argv[i];
  argv[n] = "--describe";
  TRY(child_start(e, argv, o->folder, 0, &c));
  rc = read_description(&why, &c, o->start_s, &d);
  child_stop(&c, 0, rc == OK ? 0 : o->grace_s);
  if (rc == OK) rc = ended_well(&why, c.status);
  if (rc == OK) rc = text_ok(&d.out, &why);
  if (rc == OK) rc = json_parse(&why, "its description", d.out.p ? d.out.p : "", d.out.n, &j);
  if (rc == OK) rc = card_parse(&why, j, out);
  if (rc != OK)
    FAIL(e, rc, "%s --describe: %s%s%s", o->argv[0], why.text, d.n_last ? "; its last words: " : "", d.last);
out:
  child_stop(&c, 0, 0);
  json_free(j);
  text_free(&d.out);
  free(argv);
  return rc;
}
