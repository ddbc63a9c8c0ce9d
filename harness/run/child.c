#include "run/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LAST_FD 1024 /* descriptors above are not closed in the child; ours are close-on-exec */

typedef struct pipes {
  int in[2], out[2], err[2], fail[2]; /* fail: the child's errno when it cannot run the program */
} pipes;

static void close_pair(int p[2]) {
  for (int i = 0; i < 2; i++) {
    if (p[i] >= 0) close(p[i]);
    p[i] = -1;
  }
}

static int open_pair(err *e, int p[2]) {
  if (pipe(p) != 0) {
    p[0] = p[1] = -1;
    return err_set(e, E_IO, "pipe: %s", strerror(errno));
  }
  for (int i = 0; i < 2; i++) fcntl(p[i], F_SETFD, FD_CLOEXEC);
  return OK;
}

/* Between fork and exec: only calls that are safe there. Our own ends lie above the standard three. */
static void become(const char *const *argv, const char *folder, pipes *p, int input) {
  sigset_t none;
  int in = input ? p->in[0] : open("/dev/null", O_RDONLY), fail = 3, why;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setpgid(0, 0);
  signal(SIGPIPE, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (dup2(in, 0) < 0 || dup2(p->out[1], 1) < 0 || dup2(p->err[1], 2) < 0) _exit(127);
  if (p->fail[1] != fail && dup2(p->fail[1], fail) < 0) _exit(127);
  for (int fd = fail + 1; fd < LAST_FD; fd++) close(fd);
  fcntl(fail, F_SETFD, FD_CLOEXEC);
  if (!folder || !folder[0] || chdir(folder) == 0) execvp(argv[0], (char *const *)(const void *)argv);
  why = errno;
  if (write(fail, &why, sizeof why) < 0) _exit(126);
  _exit(127);
}

/* Descriptors 0 to 3 are places the child fills: an end of ours must not lie there. */
static int lift(err *e, int *fd) {
  if (*fd < 0 || *fd > 3) return OK;
  int up = fcntl(*fd, F_DUPFD_CLOEXEC, 4);
  if (up < 0) return err_set(e, E_IO, "fcntl: %s", strerror(errno));
  close(*fd);
  *fd = up;
  return OK;
}

static int open_pipes(err *e, pipes *p) {
  int rc = OK;
  int *const pair[] = {p->in, p->out, p->err, p->fail};
  for (int i = 0; i < 4; i++) {
    TRY(open_pair(e, pair[i]));
    TRY(lift(e, &pair[i][0]));
    TRY(lift(e, &pair[i][1]));
  }
out:
  return rc;
}

int child_start(err *e, const char *const *argv, const char *folder, int input, child *out) {
  int rc = OK, why = 0;
  pipes p = {{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
  *out = (child){.in = -1, .out = -1, .err = -1};
  TRY(open_pipes(e, &p));
  pid_t pid = fork();
  if (pid < 0) FAIL(e, E_IO, "fork: %s", strerror(errno));
  if (pid == 0) become(argv, folder, &p, input);
  setpgid(pid, pid); /* whoever comes first */
  close(p.fail[1]);
  p.fail[1] = -1;
  ssize_t n;
  while ((n = read(p.fail[0], &why, sizeof why)) < 0 && errno == EINTR) continue;
  if (n == (ssize_t)sizeof why) {
    waitpid(pid, NULL, 0);
    FAIL(e, E_IO, "%s cannot be started in %s: %s", argv[0], folder && folder[0] ? folder : "this folder",
         strerror(why));
  }
  *out = (child){.pid = pid, .in = input ? p.in[1] : -1, .out = p.out[0], .err = p.err[0]};
  if (input) p.in[1] = -1;
  p.out[0] = p.err[0] = -1;
  if (input) fcntl(out->in, F_SETFL, O_NONBLOCK);
  fcntl(out->out, F_SETFL, O_NONBLOCK);
  fcntl(out->err, F_SETFL, O_NONBLOCK);
out:
  close_pair(p.in);
  close_pair(p.out);
  close_pair(p.err);
  close_pair(p.fail);
  return rc;
}

int child_ended(const child *c) {
  siginfo_t info = {0};
  if (!c->pid) return 1;
  return waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == c->pid;
}

static double clock_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ends_within(const child *c, double seconds) {
  double until = clock_now() + seconds;
  while (!child_ended(c)) {
    if (clock_now() >= until) return 0;
    struct timespec t = {0, 2000000L};
    nanosleep(&t, NULL);
  }
  return 1;
}

static void shut(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

void child_stop(child *c, double polite_s, double grace_s) {
  shut(&c->in);
  if (c->pid) {
    if (!ends_within(c, polite_s)) {
      kill(-c->pid, SIGTERM);
      ends_within(c, grace_s);
    }
    kill(-c->pid, SIGKILL); /* before the number is given back: also what it started and left behind */
    while (waitpid(c->pid, &c->status, 0) < 0 && errno == EINTR) continue;
  }
  c->pid = 0;
  shut(&c->out);
  shut(&c->err);
}

ssize_t child_write(child *c, const void *data, size_t n) {
  sigset_t pipe_only, old, pending;
  if (c->in < 0) return -1;
  sigpending(&pending);
  int before = sigismember(&pending, SIGPIPE);
  sigemptyset(&pipe_only);
  sigaddset(&pipe_only, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_only, &old);
  ssize_t done = write(c->in, data, n);
  int why = errno;
  if (done < 0 && why == EPIPE && !before) {
    struct timespec none = {0, 0};
    while (sigtimedwait(&pipe_only, NULL, &none) < 0 && errno == EINTR) continue;
  }
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (done >= 0) return done;
  return why == EAGAIN || why == EWOULDBLOCK || why == EINTR ? 0 : -1;
}

ssize_t child_read(int *fd, void *data, size_t n) {
  if (*fd < 0) return -1;
  ssize_t got = read(*fd, data, n);
  if (got > 0) return got;
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return 0;
  shut(fd);
  return -1;
}
