/* topology.c — this machine's cores by hwloc, its memory by memory_limits.c.
 *
 * Only what this process may use counts: the mask that taskset or a scheduler gave it, and the
 * limits of its control group. Tested by tests/runtime/test_topology.c. */
#include "runtime/device/topology.h"

#include "base/status.h"
#include "runtime/device/memory_limits.h"

#include <errno.h>
#include <hwloc.h>
#include <stdio.h>
#include <string.h>

/* Leaves the CPUs that this thread is bound to, as the threads that it starts inherit that. Not
 * every system can tell; then all are left. */
static void restrict_to_thread(hwloc_topology_t topology)
{
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    if (set == NULL) {
        return;
    }
    if (hwloc_get_cpubind(topology, set, HWLOC_CPUBIND_THREAD) == 0) {
        (void)hwloc_topology_restrict(topology, set, 0);
    }
    hwloc_bitmap_free(set);
}

/* Adds the `rank`-th CPU of every core; false if no core has that many. */
static bool add_siblings(hwloc_topology_t topology, unsigned cores, unsigned rank,
                         struct spw_topology *out)
{
    bool any = false;
    for (unsigned i = 0; i < cores; i++) {
        hwloc_obj_t core = hwloc_get_obj_by_type(topology, HWLOC_OBJ_CORE, i);
        hwloc_obj_t cpu =
            hwloc_get_obj_inside_cpuset_by_type(topology, core->cpuset, HWLOC_OBJ_PU, rank);
        if (cpu != NULL && out->cpus < SPW_CPUS_MAX) {
            out->cpu[out->cpus++] = (int)cpu->os_index;
            any = true;
        }
    }
    return any;
}

/* Machines and containers whose cores hwloc can't tell have one CPU per core. */
static void add_plain(hwloc_topology_t topology, struct spw_topology *out)
{
    const int count = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);
    for (int i = 0; i < count && out->cpus < SPW_CPUS_MAX; i++) {
        out->cpu[out->cpus++] =
            (int)hwloc_get_obj_by_type(topology, HWLOC_OBJ_PU, (unsigned)i)->os_index;
    }
    out->cores = out->cpus;
}

static void read_cores(hwloc_topology_t topology, struct spw_topology *out)
{
    const int cores = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE);
    if (cores <= 0) {
        add_plain(topology, out);
        return;
    }
    out->cores = (uint32_t)cores;
    for (unsigned rank = 0; add_siblings(topology, (unsigned)cores, rank, out); rank++) {
    }
}

static void read_names(hwloc_topology_t topology, struct spw_topology *out)
{
    const int nodes = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_NUMANODE);
    out->numa_nodes = nodes > 0 ? (uint32_t)nodes : 1;
    hwloc_obj_t package = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PACKAGE, 0);
    const char *model = package == NULL ? NULL : hwloc_obj_get_info_by_name(package, "CPUModel");
    if (model == NULL) {
        model = hwloc_obj_get_info_by_name(hwloc_get_root_obj(topology), "CPUModel");
    }
    (void)snprintf(out->cpu_model, sizeof(out->cpu_model), "%s", model != NULL ? model : "unknown");
}

enum spw_status spw_topology_read(struct spw_topology *out, struct spw_error *error)
{
    struct spw_memory_limits limits;
    SPW_TRY(spw_memory_limits_read(spw_world_system(), "", error, &limits));
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology) != 0) {
        return SPW_FAIL_NATIVE(error, SPW_ERR_NO_MEMORY, errno,
                               "the machine's description could not be made");
    }
    struct spw_topology found = {.memory_bytes = limits.total_bytes,
                                 .free_bytes = limits.free_bytes};
    enum spw_status status = SPW_OK;
    if (hwloc_topology_load(topology) != 0) {
        status = SPW_FAIL_NATIVE(error, SPW_ERR_IO, errno, "the machine's cores could not be read");
    } else {
        restrict_to_thread(topology);
        read_cores(topology, &found);
        read_names(topology, &found);
    }
    hwloc_topology_destroy(topology);
    if (status == SPW_OK) {
        *out = found;
    }
    return status;
}
