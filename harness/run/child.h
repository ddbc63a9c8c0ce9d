/* A program at the other end of three pipes, in a process group of its own. No call blocks beyond the time it was
 * given, and no signal reaches the caller: a reader that went away is a return value, not SIGPIPE. */
#ifndef TD_RUN_CHILD_H
#define TD_RUN_CHILD_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

typedef struct child {
  pid_t pid;        /* 0: none; also the number of its group */
  int in, out, err; /* our ends, non-blocking; -1: closed */
  int status;       /* as of waitpid, after child_stop */
} child;

/* argv ends in NULL; no shell. A program with a '/' is looked up from `folder` (NULL, "": the current one), which
 * becomes its working folder; another one in PATH. With input 0 it reads /dev/null. Its signal mask is empty; it is
 * killed when the calling thread dies. E_IO says why it could not be started. */
int child_start(err *e, const char *const *argv, const char *folder, int input, child *out) TD_MUST_CHECK;
/* 1 when the program has ended; what it wrote can still be read. */
int child_ended(const child *c);
/* Closes its input, gives it `polite_s` to end by itself, then SIGTERM and `grace_s`, then SIGKILL to its whole
 * group; collects it and closes the pipes. Harmless when there is none. */
void child_stop(child *c, double polite_s, double grace_s);
/* Bytes taken; 0: none now; -1: nobody reads. */
ssize_t child_write(child *c, const void *data, size_t n);
/* Bytes read from c->out or c->err; 0: none now; -1: the end (the descriptor is closed and -1). */
ssize_t child_read(int *fd, void *data, size_t n);

#endif
