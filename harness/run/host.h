/* Facts about this build and machine, as the store keeps them. */
#ifndef TD_RUN_HOST_H
#define TD_RUN_HOST_H

#include "store/register.h"

typedef struct host_facts {
  store_build build;
  store_host host;
  char build_id[HASH_HEX], binary_sha256[HASH_HEX], host_id[HASH_HEX];
  char compiler[128], libs[256], os[128], kernel[128], cpu[128];
} host_facts;

int host_read(err *e, host_facts *out) TD_MUST_CHECK;
/* HOST:PID:START of this process: a name no other process ever has. */
int host_owner(err *e, char out[128]) TD_MUST_CHECK;
/* Does the owner name a process of this machine that is gone? */
int host_owner_is_dead(const char *owner);
/* Cores this process may use. */
int host_cores(void);

#endif
