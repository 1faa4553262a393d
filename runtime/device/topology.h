/* topology.h — this machine's cores, memory and caches; the only box that names hwloc. */
#ifndef SPW_RUNTIME_DEVICE_TOPOLOGY_H
#define SPW_RUNTIME_DEVICE_TOPOLOGY_H

#include "base/world.h"

#define SPW_CPUS_MAX 1024

struct spw_topology {
    uint32_t cores;        /* physical, allowed to this process */
    uint32_t cpus;         /* logical, allowed */
    int cpu[SPW_CPUS_MAX]; /* their numbers, siblings apart: first one per core, then the rest */
    uint64_t memory_bytes;
    uint64_t free_bytes; /* available now, cgroup limits included */
    uint32_t numa_nodes;
    char cpu_model[128];
};

enum spw_status spw_topology_read(struct spw_topology *out, struct spw_error *error);

#endif
