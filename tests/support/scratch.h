/* A folder of its own for a test that writes files. */
#ifndef TD_TESTS_SCRATCH_H
#define TD_TESTS_SCRATCH_H

/* Makes an empty folder and returns its path (static buffer, one folder a program). */
const char *scratch_open(void);
/* Path of a name in it; `slot` 0 to 7 picks one of eight static buffers. */
const char *scratch_path(int slot, const char *name);
/* Writes a file of the folder, making folders on the way. */
void scratch_write(const char *name, const char *contents);
/* Removes the folder and all in it. */
void scratch_close(void);
/* The two as group fixtures of cmocka. */
int scratch_setup(void **state);
int scratch_teardown(void **state);

#endif
