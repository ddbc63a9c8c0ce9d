#include "base/build.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER ""
#endif

build_facts build_about(void) {
  return (build_facts){.version = TD_VERSION,
                       .git_sha = TD_GIT_SHA,
                       .git_dirty = TD_GIT_DIRTY,
                       .compiler = COMPILER,
                       .type = TD_BUILD_TYPE,
                       .flags = TD_BUILD_FLAGS,
                       .cuda = TD_CUDA_ABOUT,
                       .configs = TD_CONFIGS};
}
