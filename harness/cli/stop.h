/* Signals that ask a long verb to save and end: SIGINT, SIGTERM, SIGUSR1. A second one of the same kind ends the
 * process at once. */
#ifndef TD_CLI_STOP_H
#define TD_CLI_STOP_H

/* From now on. Before, signals act as they always do: there is nothing to save yet. */
void stop_listen(void);
/* The signal that came, or 0. */
int stop_signal(void);
/* Exit status: SIGINT 130, the others 75 ("run again", which batch systems understand). */
int stop_status(int signal_number);

#endif
