/* What this binary was built from. Facts of the time CMake configured; "" where they are not known. */
#ifndef TD_BASE_BUILD_H
#define TD_BASE_BUILD_H

typedef struct build_facts {
  const char *version;  /* "0.1.0" */
  const char *git_sha;  /* 40 hex digits */
  int git_dirty;        /* tracked files differed from that commit */
  const char *compiler; /* "gcc 12.2.0" */
  const char *type;     /* "Release" */
  const char *flags;    /* those that can change results */
  const char *cuda;    /* levels that the cuda backend has code for, "sm_80 sm_90a compute_80"; "": no such backend */
  const char *configs; /* absolute path of the source's configs folder, which may be gone */
} build_facts;

build_facts build_about(void);

#endif
