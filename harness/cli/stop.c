#define _GNU_SOURCE
#include "cli/stop.h"

#include <signal.h>
#include <string.h>

#include "cli/cli.h"

/* The only thing a handler may write. */
static volatile sig_atomic_t came;

static void on_signal(int number) {
  came = number;
}

void stop_listen(void) {
  const int signals[] = {SIGINT, SIGTERM, SIGUSR1};
  struct sigaction a;
  memset(&a, 0, sizeof a);
  a.sa_handler = on_signal;
  /* The first signal restores the default action; writes in progress go on. */
  a.sa_flags = (int)(SA_RESETHAND | SA_RESTART);
  sigemptyset(&a.sa_mask);
  for (int i = 0; i < 3; i++) {
    struct sigaction old;
    /* nohup and background jobs ignore signals on purpose */
    if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) sigaction(signals[i], &a, NULL);
  }
}

int stop_signal(void) {
  return (int)came;
}

int stop_status(int signal_number) {
  return signal_number == SIGINT ? EXIT_INTERRUPTED : EXIT_AGAIN;
}
