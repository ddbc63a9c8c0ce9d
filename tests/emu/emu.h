/* An interpreter of PTX on the CPU: loads a module, runs its kernels block by block, and stops at the first thing
 * that a GPU would do wrong in silence. README.md says what it checks and what it cannot see. One thread; not
 * reentrant. */
#ifndef EMU_H
#define EMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EMU_API __attribute__((visibility("default")))

typedef struct emu emu;               /* the machine: device memory, options, counters, the last fault */
typedef struct emu_module emu_module; /* one PTX text */
typedef struct emu_kernel emu_kernel; /* one .entry of a module; lives as long as it */

typedef struct emu_options {
  uint64_t seed;  /* order of blocks and warps; 0: ascending */
  uint64_t limit; /* warp instructions a launch may take; 0: 4e9 */
  bool lenient;   /* reads of bytes nobody wrote are allowed (they are 0xFF) */
  bool count;     /* shared wavefronts and global sectors are counted */
} emu_options;

/* What a kernel did, summed over launches. */
typedef struct emu_counters {
  uint64_t launches, instructions; /* warp instructions */
  uint64_t partial;                /* of those, with some lanes off */
  uint64_t mma, barriers;
  uint64_t shared_phases, shared_waves;                   /* equal when no bank conflicts; 4, 8 and 16 byte phases */
  uint64_t global_requests, global_sectors, global_ideal; /* 32-byte sectors; ideal: bytes / 32, rounded up */
  uint64_t local_accesses;
} emu_counters;

typedef struct emu_launch_args {
  uint32_t grid[3], block[3];
  size_t dynamic_shared;
  const void *params; /* emu_kernel_params bytes */
} emu_launch_args;

/* NULL for lack of memory. */
EMU_API emu *emu_new(const emu_options *o);
EMU_API void emu_free(emu *m);
EMU_API void emu_set_options(emu *m, const emu_options *o);

/* The text of the last failure, "" if none; valid until the next failure. emu_clear forgets it. */
EMU_API const char *emu_text(const emu *m);
EMU_API void emu_clear(emu *m);

/* Device memory, filled with 0xFF and marked as never written. The address is no host address: host code that follows
 * it crashes, as with a real device pointer. 0 for lack of memory; n > 0. Addresses are multiples of 256. */
EMU_API uint64_t emu_alloc(emu *m, size_t n);
/* Nonzero when p is not the start of an allocation. */
EMU_API int emu_release(emu *m, uint64_t p);
/* Host address of n bytes of device memory, or NULL when they do not lie in one allocation. */
EMU_API void *emu_host(emu *m, uint64_t p, size_t n);
/* From here on the bytes count as written (or, with `written` false, as never written). The range must be valid. */
EMU_API void emu_mark(emu *m, uint64_t p, size_t n, bool written);
/* True when each of the bytes was written. */
EMU_API bool emu_written(emu *m, uint64_t p, size_t n);
/* Copies device to device with the bytes' state; both ranges must be valid. */
EMU_API void emu_copy(emu *m, uint64_t dst, uint64_t src, size_t n);
EMU_API size_t emu_used(const emu *m);
/* Start and size of the allocation that holds p; false if none. */
EMU_API bool emu_range(emu *m, uint64_t p, uint64_t *start, size_t *size);

/* PTX text, ended by NUL. NULL on an error, an unknown instruction among them: emu_text says which and where. */
EMU_API emu_module *emu_load(emu *m, const char *ptx);
EMU_API void emu_unload(emu *m, emu_module *mod);
EMU_API emu_kernel *emu_find(emu_module *mod, const char *name);
/* Address and size of a .global or .const variable; 0 when there is none of that name. */
EMU_API uint64_t emu_symbol(emu_module *mod, const char *name, size_t *size);

EMU_API const char *emu_kernel_name(const emu_kernel *k);
EMU_API size_t emu_kernel_params(const emu_kernel *k); /* bytes of the parameter block */
EMU_API int emu_kernel_param(const emu_kernel *k, int i, size_t *offset, size_t *size); /* nonzero past the last */
EMU_API size_t emu_kernel_shared(const emu_kernel *k);                                  /* static */
EMU_API size_t emu_kernel_local(const emu_kernel *k);
EMU_API int emu_kernel_max_threads(const emu_kernel *k); /* .maxntid, or 1024 */
EMU_API const emu_counters *emu_kernel_counters(const emu_kernel *k);

/* Runs the kernel to its end. Nonzero on a fault, whose text is emu_text; memory keeps what was written up to it. */
EMU_API int emu_launch(emu *m, emu_kernel *k, const emu_launch_args *a);

#endif
