/* Time that never jumps. */
#ifndef TD_BASE_CLOCK_H
#define TD_BASE_CLOCK_H

/* Seconds since some moment before the process began. */
double clock_seconds(void);

#endif
