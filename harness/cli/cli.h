/* The command line: one const struct a verb, one line a verb in the table of main.c.
 *
 * Streams: data on standard output, everything else on standard error, so that `tandem VERB --json | jq` always
 * works. A verb returns OK or an error code with its text in cli.err; the dispatcher prints the text and turns the
 * code into an exit status. A verb never prints its own failure. */
#ifndef TD_CLI_CLI_H
#define TD_CLI_CLI_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/text.h"

/* Exit statuses (spec/harness.md 10.2). */
enum {
  EXIT_DONE = 0,
  EXIT_FAILED = 1, /* the request failed: a file, a weight, memory; doctor: a FAIL line; gate: worse */
  EXIT_USAGE = 2,  /* usage or configuration; nothing was started */
  EXIT_CELLS = 3,  /* run: some cells failed or are blocked */
  EXIT_OPEN = 4,   /* a result rests on cells that are not there; gate: unclear or missing, and the rules say
                     that fails */
  EXIT_STORE = 5,  /* the result store */
  EXIT_AGAIN = 75, /* stopped before the end; the same command goes on */
  EXIT_INTERRUPTED = 130,
  EXIT_CLOSED = 141, /* the reader of standard output went away */
};

typedef struct cli cli;

/* Texts of an option that may be given several times, or of positional arguments. Points into argv. */
typedef struct cli_list {
  const char **v; /* freed by the dispatcher */
  int n;
} cli_list;

typedef enum cli_kind {
  CLI_FLAG,   /* int, set to 1 */
  CLI_COUNT,  /* int, one more each time */
  CLI_TEXT,   /* const char * */
  CLI_TEXTS,  /* cli_list, in order */
  CLI_INT,    /* int64_t within [lo, hi] */
  CLI_NUMBER, /* double within [lo, hi]; NaN when it has no default and was not given */
  CLI_CHOICE, /* int, index into choices */
} cli_kind;

typedef struct cli_option {
  const char *name; /* without the dashes */
  char alias;       /* or 0 */
  cli_kind kind;
  size_t offset;       /* of its value in the verb's arguments */
  const char *value;   /* "FILE", for help; NULL for flags */
  const char *help;    /* one sentence */
  const char *initial; /* the default as it would be typed; NULL: none (zero, NULL) */
  const char *bare;    /* CLI_TEXT: its value when it is given without one; a value then needs a '=' */
  int required;
  double lo, hi;              /* CLI_INT, CLI_NUMBER */
  const char *const *choices; /* CLI_CHOICE, NULL-terminated */
} cli_option;

/* Options that several verbs share; --help, --quiet, --verbose and --color are everybody's. */
enum {
  CLI_RESULTS = 1,  /* --results DIR */
  CLI_JSON = 2,     /* --json */
  CLI_THREADS = 4,  /* --threads N */
  CLI_CONFIGS = 8,  /* --configs DIR */
  CLI_OUTPUT = 16,  /* -o FILE */
  CLI_BACKEND = 32, /* --backend NAME, --device N */
  CLI_ISA = 64,     /* --isa LEVEL */
  CLI_READ = 128,   /* --read */
};

/* Exit statuses a verb's help lists beside 0, 1 and 2. */
enum { CLI_EXIT_CELLS = 1, CLI_EXIT_STORE = 2, CLI_EXIT_STOPPED = 4, CLI_EXIT_MISSING = 8, CLI_EXIT_GATE = 16 };

typedef struct cli_verb {
  const char *name, *group, *help; /* help: one line */
  const char *usage;               /* what follows the name: "STUDY [NAME=VALUE]..." */
  const char *about;               /* a few lines */
  const char *examples;            /* lines */
  unsigned exits;                  /* CLI_EXIT_ bits: statuses beyond 0, 1 and 2 */
  unsigned shared;                 /* bits above */
  const cli_option *options;       /* ended by a NULL name; NULL: none */
  int min_words, max_words;        /* positional arguments; max -1: any number */
  size_t args_size;                /* bytes of the struct the offsets belong to */
  int (*run)(cli *c, const void *args);
} cli_verb;

struct cli {
  const cli_verb *verb;
  const cli_verb *const *verbs; /* all of them, NULL-terminated: for pages about the program itself */
  const char *program;          /* as the user called us, for advice */
  int argc;                     /* the whole command line, for records */
  char **argv;
  err err;
  cli_list words; /* positional arguments */
  /* shared options */
  const char *results, *configs, *output;
  int json, quiet, verbose, color, help, read;
  int64_t threads, device;
  int backend, isa; /* of cli_backend(), cli_isa() */
  int status;       /* when not 0, the exit status whatever the verb returned */
};

/* Runs one command line; the whole of main. `verbs` is NULL-terminated. */
int cli_main(const cli_verb *const *verbs, int argc, char **argv);

/* The name that --backend chose. */
const char *cli_backend(const cli *c);
/* The level that --isa chose; NULL: the backend's choice. */
const char *cli_isa(const cli *c);
/* Choices of a --precision: fp32, bf16. */
extern const char *const cli_precisions[];
/* --out must be absent or a regular file. */
int cli_check_out(cli *c, const char *path) TD_MUST_CHECK;
/* Whole numbers parted by 'x', exactly n of them, as in 480x720; 0 when `s` is none. */
int cli_sizes(const char *s, int n, int64_t *out);

/* Fills args and the shared members of c from argv[0 .. argc-1] (after the verb). E_ARG with the nearest option. */
int cli_parse(cli *c, int argc, char **argv, void *args) TD_MUST_CHECK;
/* Frees the lists that cli_parse made. */
void cli_parse_free(cli *c, void *args);
/* The text of `tandem VERB --help`. */
void cli_verb_help(const cli_verb *v, text *out);
/* The i-th option of a verb, its own first, then the shared ones it has; NULL after the last. */
const cli_option *cli_option_at(const cli_verb *v, int i);
/* Exit status of an error code. */
int cli_status(int code);

/* Text to standard output, or with -o to a file by way of a temporary one. Frees t. */
int cli_put(cli *c, text *t) TD_MUST_CHECK;
/* JSON to the same place. `j` is freed; NULL means that building it failed for lack of memory. */
int cli_put_json(cli *c, json *j) TD_MUST_CHECK;
/* Bytes to standard output now, for long results; a failure is E_IO. */
int cli_write(cli *c, const void *data, size_t n) TD_MUST_CHECK;
/* Lines for people on standard error: nothing with -q; cli_detail only with -v. A newline is added. */
void cli_note(const cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cli_detail(const cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "tandem: warning: ..." whatever -q says. */
void cli_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* May this stream (1, 2) carry colour and cursor movement? Never when -o sends data elsewhere. */
int cli_color(const cli *c, int stream);
/* A live display on standard error: a terminal that is not dumb, and CI not set. */
int cli_live(void);
/* Columns of the terminal behind the stream; 0 when it is none. */
int cli_columns(int stream);

/* --configs, else the configs/ this binary was built from while it exists, else ./configs. Never NULL. */
const char *cli_configs(const cli *c);
/* A study as given on the command line: a file, or the bare name of one in configs/studies. The caller frees *out. */
int cli_study_file(cli *c, const char *given, char **out) TD_MUST_CHECK;

/* Members for JSON documents; NULL objects and failed allocations end as a NULL document in cli_put_json. */
void cli_set(json **object, const char *key, json *value);
/* Bytes that are not UTF-8 (a path may hold any) become U+FFFD. */
json *cli_string(const char *s);
void cli_add_string(text *t, const char *s); /* the same as a JSON literal */
void cli_add_csv(text *t, const char *s);    /* a field of CSV, quoted where it must be */
static inline void cli_set_text(json **object, const char *key, const char *v) {
  cli_set(object, key, v ? cli_string(v) : json_new(JSON_NULL));
}
static inline void cli_set_int(json **object, const char *key, int64_t v) {
  cli_set(object, key, json_new_number((double)v));
}
static inline void cli_set_number(json **object, const char *key, double v) {
  cli_set(object, key, json_new_number(v));
}
static inline void cli_set_bool(json **object, const char *key, int v) {
  cli_set(object, key, json_new_bool(v));
}
void cli_push(json **array, json *value);

#endif
