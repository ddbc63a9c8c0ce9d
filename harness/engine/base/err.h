/* Errors: an int status, and the text of the first failure kept in an `err`.
 *
 * Every function that can fail returns OK or one of the codes below and takes an `err *` (directly or inside a
 * context). The first failure's text wins; outer layers may put a prefix before it. Nothing here exits or aborts. */
#ifndef TD_BASE_ERR_H
#define TD_BASE_ERR_H

enum {
  OK = 0,
  E_ARG,         /* a caller's argument makes no sense */
  E_SHAPE,       /* tensors do not fit each other */
  E_IO,          /* the system refused a read, write, rename... */
  E_FORMAT,      /* a file's bytes are not what they claim to be */
  E_NOMEM,       /* no memory */
  E_DEVICE,      /* accelerator failure; the process must end the cell */
  E_UNSUPPORTED, /* well formed, but not something this build can do */
  E_INTERRUPTED, /* a signal asked to stop; work so far is saved */
  E_NAN,         /* a loss or a sample is not finite */
  E_CONFIG,      /* a study, model or option is wrong */
  E_STORE,       /* the result store is missing, too new, locked or damaged */
};

typedef struct err {
  int code;
  char text[2048];
} err;

/* Records `code` and the message unless a failure is recorded already; returns the recorded code. `e` may be NULL. */
int err_set(err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "prefix: " before the recorded text; returns the recorded code. */
int err_prefix(err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void err_clear(err *e);
/* Stable lower-case word for a code: "io", "format"... */
const char *err_name(int code);

#define TD_MUST_CHECK __attribute__((warn_unused_result))

/* Inside a function with `int rc = OK;` and a label `out:` */
#define TRY(call)                                                                                                    \
  do {                                                                                                               \
    rc = (call);                                                                                                     \
    if (rc != OK) goto out;                                                                                          \
  } while (0)
#define FAIL(e, code, ...)                                                                                           \
  do {                                                                                                               \
    rc = err_set((e), (code), __VA_ARGS__);                                                                          \
    goto out;                                                                                                        \
  } while (0)

#endif
