#include <string.h>

#include "metrics/kernels/flow.h"
#include "ops/cpu/isa.h"

#if defined(__x86_64__)
extern const flow_kernels flow_kernels_v2, flow_kernels_v3, flow_kernels_v4;
static const struct {
  const char *isa;
  const flow_kernels *kernels;
} levels[] = {{"v4", &flow_kernels_v4}, {"v3", &flow_kernels_v3}, {"v2", &flow_kernels_v2}}; /* best first */
#else
extern const flow_kernels flow_kernels_generic;
static const struct {
  const char *isa;
  const flow_kernels *kernels;
} levels[] = {{"generic", &flow_kernels_generic}};
#endif

const flow_kernels *flow_kernels_of(const char *isa) {
  for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
    if ((!isa || !strcmp(isa, levels[i].isa)) && isa_present(levels[i].isa)) return levels[i].kernels;
  return NULL;
}
