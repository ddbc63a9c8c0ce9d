/* What a verb says, and where: data on standard output or in a file, the rest on standard error. */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/build.h"
#include "base/words_near.h"
#include "cli/cli.h"

int cli_write(cli *c, const void *data, size_t n) {
  errno = 0;
  if (!n || fwrite(data, 1, n, stdout) == n) return OK;
  if (errno == EPIPE) c->status = EXIT_CLOSED;
  return err_set(&c->err, E_IO, "standard output: %s", strerror(errno));
}

/* Renaming over a device or a pipe would replace it. */
static int is_special(const char *path) {
  struct stat s;
  return stat(path, &s) == 0 && !S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode);
}

static int write_special(cli *c, const char *path, const text *t) {
  FILE *f = fopen(path, "wb");
  int bad = !f || fwrite(t->p, 1, t->n, f) != t->n;
  if (f && fclose(f)) bad = 1;
  return bad ? err_set(&c->err, E_IO, "%s: cannot write: %s", path, strerror(errno)) : OK;
}

int cli_put(cli *c, text *t) {
  int rc = OK;
  TRY(text_ok(t, &c->err));
  if (!c->output || !strcmp(c->output, "-"))
    TRY(cli_write(c, t->p, t->n));
  else if (is_special(c->output))
    TRY(write_special(c, c->output, t));
  else
    TRY(file_write(&c->err, c->output, t->p, t->n));
out:
  text_free(t);
  return rc;
}

int cli_put_json(cli *c, json *j) {
  text t = {0};
  if (!j) return err_set(&c->err, E_NOMEM, "no memory for the JSON document, or a number in it is not finite");
  json_print(&t, j);
  text_add(&t, "\n");
  json_free(j);
  return cli_put(c, &t);
}

void cli_set(json **object, const char *key, json *value) {
  if (json_set(*object, key, value) == OK) return;
  json_free(*object);
  *object = NULL;
}

void cli_push(json **array, json *value) {
  if (json_push(*array, value) == OK) return;
  json_free(*array);
  *array = NULL;
}

static void add_utf8(text *t, const char *s) {
  for (size_t left = strlen(s), n; left; s += n, left -= n) {
    size_t whole = utf8_length(s, left);
    n = whole ? whole : 1;
    text_addn(t, whole ? s : "\xef\xbf\xbd", whole ? whole : 3);
  }
}

json *cli_string(const char *s) {
  text t = {0};
  add_utf8(&t, s);
  json *j = text_ok(&t, NULL) == OK ? json_new_string(t.p) : NULL;
  text_free(&t);
  return j;
}

void cli_add_csv(text *t, const char *s) {
  if (!strpbrk(s, ",\"\r\n")) {
    text_add(t, s);
    return;
  }
  text_add(t, "\"");
  for (const char *quote; (quote = strchr(s, '"')) != NULL; s = quote + 1) {
    text_addn(t, s, (size_t)(quote - s));
    text_add(t, "\"\"");
  }
  text_add(t, s);
  text_add(t, "\"");
}

void cli_add_string(text *to, const char *s) {
  text t = {0};
  add_utf8(&t, s);
  if (text_ok(&t, NULL) == OK)
    text_add_json(to, t.p);
  else
    to->failed = 1;
  text_free(&t);
}

static void line(const char *fmt, va_list ap) {
  vfprintf(stderr, fmt, ap);
  fputc('\n', stderr);
}

void cli_note(const cli *c, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  if (!c->quiet) line(fmt, ap);
  va_end(ap);
}

void cli_detail(const cli *c, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  if (c->verbose && !c->quiet) line(fmt, ap);
  va_end(ap);
}

void cli_warn(const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  fputs("tandem: warning: ", stderr);
  line(fmt, ap);
  va_end(ap);
}

static int given(const char *name) {
  const char *v = getenv(name);
  return v && *v;
}

static int dumb(void) {
  const char *term = getenv("TERM");
  return !term || !*term || !strcmp(term, "dumb");
}

int cli_color(const cli *c, int stream) {
  if (stream == 1 && c->output && strcmp(c->output, "-")) return 0;
  if (c->color == 1) return 1; /* the order of color_choices: auto, always, never */
  if (c->color == 2 || given("NO_COLOR") || dumb()) return 0;
  const char *force = getenv("CLICOLOR_FORCE");
  return (force && *force && strcmp(force, "0")) || isatty(stream);
}

int cli_live(void) {
  return isatty(2) && !dumb() && !given("CI");
}

int cli_columns(int stream) {
  struct winsize w;
  if (!isatty(stream) || ioctl(stream, TIOCGWINSZ, &w)) return 0;
  return w.ws_col;
}

const char *cli_configs(const cli *c) {
  if (c->configs) return c->configs;
  const char *built = build_about().configs;
  return file_exists(built) ? built : "configs";
}

/* A name that is not there is answered with the nearest that is. */
static int no_such_study(cli *c, const char *word, const char *folder) {
  near_word w = near_start(word, strlen(word));
  char near[64] = "";
  DIR *d = opendir(folder);
  for (struct dirent *f; d && (f = readdir(d));) {
    size_t n = strlen(f->d_name);
    char name[64];
    if (n <= 5 || n - 5 >= sizeof name || strcmp(f->d_name + n - 5, ".json")) continue;
    memcpy(name, f->d_name, n - 5);
    name[n - 5] = 0;
    int best = w.distance;
    near_offer(&w, name);
    if (w.distance < best) memcpy(near, name, sizeof near);
    w.best = near; /* `name` is gone after this round */
  }
  if (d) closedir(d);
  return err_set(&c->err, E_CONFIG, "no study file '%.80s', and no %.80s.json in %s%s", word, word, folder,
                 near_hint(&w));
}

int cli_study_file(cli *c, const char *word, char **out) {
  int rc = OK;
  text folder = {0}, t = {0};
  *out = NULL;
  text_addf(&folder, "%s/studies", cli_configs(c));
  TRY(text_ok(&folder, &c->err));
  struct stat st;
  int is_file = stat(word, &st) == 0 && !S_ISDIR(st.st_mode); /* a folder called "demo" is not the study */
  if (is_file || strchr(word, '/') || strstr(word, ".json"))
    text_add(&t, word);
  else
    text_addf(&t, "%s/%s.json", folder.p, word);
  TRY(text_ok(&t, &c->err));
  if (!file_exists(t.p) && strcmp(t.p, word)) TRY(no_such_study(c, word, folder.p));
  *out = t.p;
  t.p = NULL;
out:
  text_free(&folder);
  text_free(&t);
  return rc;
}
