#include "metrics/kernels/kernels.h"

#include <stddef.h>
#include <string.h>

#include "metrics/kernels/flow.h"
#include "metrics/kernels/plane.h"
#include "ops/cpu/isa.h"

#define LEVEL(name)                                                                                                  \
  { .isa = #name, .flow = &flow_kernels_##name, .plane = &plane_kernels_##name }

#if defined(__x86_64__)
extern const flow_kernels flow_kernels_v2, flow_kernels_v3, flow_kernels_v4;
extern const plane_kernels plane_kernels_v2, plane_kernels_v3, plane_kernels_v4;
static const metric_kernels levels[] = {LEVEL(v4), LEVEL(v3), LEVEL(v2)}; /* best first */
#else
extern const flow_kernels flow_kernels_generic;
extern const plane_kernels plane_kernels_generic;
static const metric_kernels levels[] = {LEVEL(generic)};
#endif

const metric_kernels *metric_kernels_of(const char *isa) {
  for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
    if ((!isa || !strcmp(isa, levels[i].isa)) && isa_present(levels[i].isa)) return &levels[i];
  return NULL;
}
