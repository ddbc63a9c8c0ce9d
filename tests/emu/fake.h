/* What the fake libcuda offers beyond the driver API; found with dlsym, or linked by the fake libcublasLt. */
#ifndef EMU_FAKE_H
#define EMU_FAKE_H

#include <cuda.h>

#include "emu.h"

EMU_API int emuCounters(const char *kernel,
                        emu_counters *out); /* summed over modules; nonzero: no kernel of that name */
EMU_API const char *emuLastFault(void);     /* "" when there was none */
EMU_API void emuReset(void);                /* forgets the fault; the context works again, queued work is dropped */
EMU_API void emuSeed(uint64_t seed);        /* as EMU_SEED */
EMU_API void emuCount(int on);              /* as EMU_COUNT */
EMU_API emu *emuMachine(void);
/* Puts a call into a stream; it runs when the stream's turn comes. It returns nonzero after emuFault.
 * On an error here the call is not made, and arg stays the caller's. */
EMU_API CUresult emuEnqueue(CUstream s, int (*fn)(void *arg), void *arg);
EMU_API void emuFault(CUresult r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
