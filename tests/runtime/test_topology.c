/* Tests of runtime/device/topology.c, against what the kernel says of the same things. */
#include "runtime/device/topology.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

static struct spw_topology topology_of(void)
{
    struct spw_topology topology;
    struct spw_error error = {0};
    cr_assert(spw_topology_read(&topology, &error) == SPW_OK, "%s", error.what);
    return topology;
}

Test(topology, knows_the_cpus_of_this_process)
{
    const struct spw_topology topology = topology_of();
    cpu_set_t allowed;
    cr_assert(sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
    cr_assert(topology.cpus == (uint32_t)CPU_COUNT(&allowed));
    cr_assert(topology.cores >= 1 && topology.cores <= topology.cpus);
    for (uint32_t i = 0; i < topology.cpus; i++) {
        cr_assert(CPU_ISSET(topology.cpu[i], &allowed));
        CPU_CLR(topology.cpu[i], &allowed); /* each but once */
    }
}

Test(topology, keeps_to_the_mask_of_this_process)
{
    const int first = topology_of().cpu[0];
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)first, &one);
    cr_assert(sched_setaffinity(0, sizeof(one), &one) == 0);
    const struct spw_topology topology = topology_of();
    cr_assert(topology.cpus == 1 && topology.cores == 1 && topology.cpu[0] == first);
}

Test(topology, knows_the_memory)
{
    const struct spw_topology topology = topology_of();
    const uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    cr_assert(topology.memory_bytes > 0 && topology.memory_bytes <= all + (1 << 20));
    cr_assert(topology.free_bytes > 0 && topology.free_bytes <= topology.memory_bytes);
    cr_assert(topology.numa_nodes >= 1);
    cr_assert(topology.cpu_model[0] != '\0');
}
