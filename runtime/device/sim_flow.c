/* sim_flow.c — bytes on their way through what several queues share: links and host memory.
 *
 * A flow is a copy, or a work of the host cores. It goes no faster than its own link or core, and
 * shares the rest fairly with the other flows of its host (max-min: nobody could go faster but at
 * the cost of a slower one; Bertsekas and Gallager, Data Networks, 6.5.2). That is what memory
 * controllers and PCIe switches do with many small requests of each; first come first served would
 * let a copy of gigabytes hold up all others, which hardware does not.
 *
 * Rates change when a flow begins or ends, and are constant between. All is in integers: what is
 * left of a flow is counted in billionths of a byte, as rates are bytes per second and times
 * nanoseconds. Tested by tests/runtime/test_sim_flow.c. */
#include "runtime/device/sim.h"

#include "base/assert.h"
#include "base/status.h"

#define UNITS_PER_BYTE UINT64_C(1000000000)

struct resource {
    uint64_t bytes_per_s;
    /* While rates are worked out: */
    uint64_t left;  /* not given out yet */
    uint64_t users; /* flows that have no rate yet */
};

struct spw_sim_host {
    const struct spw_world *world;
    struct spw_simulator *simulator;
    struct spw_host_model model;
    struct resource *resources;
    uint64_t resource_count, resource_capacity;
    struct spw_sim_flow **flows; /* under way, in order of their beginning */
    uint64_t flow_count, flow_capacity, flows_reserved;
    uint64_t settled_ns; /* what is left of each flow is of this time */
    struct spw_sim_timer timer;
};

/* ---- rates ---- */

static void give(struct spw_sim_host *host, struct spw_sim_flow *flow, uint64_t bytes_per_s)
{
    flow->bytes_per_s = bytes_per_s > 0 ? bytes_per_s : 1;
    for (uint32_t i = 0; i < flow->resource_count; i++) {
        struct resource *resource = &host->resources[flow->resources[i]];
        resource->users--;
        resource->left -= bytes_per_s < resource->left ? bytes_per_s : resource->left;
    }
}

/* Whether it goes through a resource. */
static bool uses(const struct spw_sim_flow *flow, uint32_t resource)
{
    for (uint32_t i = 0; i < flow->resource_count; i++) {
        if (flow->resources[i] == resource) {
            return true;
        }
    }
    return false;
}

/* The resource whose users get least, and how much each; UINT64_MAX if none has users. */
static uint64_t find_bottleneck(const struct spw_sim_host *host, uint32_t *bottleneck)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < host->resource_count; i++) {
        const struct resource *resource = &host->resources[i];
        if (resource->users > 0 && resource->left / resource->users < least) {
            least = resource->left / resource->users;
            *bottleneck = i;
        }
    }
    return least;
}

/* Gives rates to those that want no more than `share`, or else to the users of the bottleneck. */
static void give_some(struct spw_sim_host *host, uint64_t share, uint32_t bottleneck)
{
    uint64_t given = 0;
    for (uint64_t i = 0; i < host->flow_count; i++) {
        struct spw_sim_flow *flow = host->flows[i];
        if (flow->bytes_per_s == 0 && flow->most_bytes_per_s <= share) {
            give(host, flow, flow->most_bytes_per_s);
            given++;
        }
    }
    for (uint64_t i = 0; given == 0 && i < host->flow_count; i++) {
        struct spw_sim_flow *flow = host->flows[i];
        if (flow->bytes_per_s == 0 && uses(flow, bottleneck)) {
            give(host, flow, share);
        }
    }
}

static void share_out(struct spw_sim_host *host)
{
    for (uint32_t i = 0; i < host->resource_count; i++) {
        host->resources[i].left = host->resources[i].bytes_per_s;
        host->resources[i].users = 0;
    }
    for (uint64_t i = 0; i < host->flow_count; i++) {
        host->flows[i]->bytes_per_s = 0;
        for (uint32_t k = 0; k < host->flows[i]->resource_count; k++) {
            host->resources[host->flows[i]->resources[k]].users++;
        }
    }
    uint32_t bottleneck = 0;
    uint64_t share;
    while ((share = find_bottleneck(host, &bottleneck)) != UINT64_MAX) {
        give_some(host, share, bottleneck);
    }
}

/* ---- time ---- */

/* Takes off each flow what has passed since the last time. */
static void settle(struct spw_sim_host *host)
{
    const uint64_t now_ns = spw_sim_now_ns(host->simulator);
    const uint64_t passed_ns = now_ns - host->settled_ns;
    host->settled_ns = now_ns;
    for (uint64_t i = 0; i < host->flow_count; i++) {
        struct spw_sim_flow *flow = host->flows[i];
        const unsigned __int128 done = (unsigned __int128)flow->bytes_per_s * passed_ns;
        flow->left -= done < flow->left ? done : flow->left;
    }
}

/* The next time at which a flow ends. */
static void arm(struct spw_sim_host *host)
{
    unsigned __int128 least_ns = UINT64_MAX;
    for (uint64_t i = 0; i < host->flow_count; i++) {
        const struct spw_sim_flow *flow = host->flows[i];
        const unsigned __int128 ns = (flow->left + flow->bytes_per_s - 1) / flow->bytes_per_s;
        least_ns = ns < least_ns ? ns : least_ns;
    }
    if (host->flow_count > 0) {
        spw_sim_arm(host->simulator, &host->timer,
                    spw_sim_now_ns(host->simulator) + (uint64_t)least_ns);
    }
}

static void take_out(struct spw_sim_host *host, uint64_t at)
{
    host->flow_count--;
    for (uint64_t i = at; i < host->flow_count; i++) {
        host->flows[i] = host->flows[i + 1];
    }
}

/* A flow has begun or ended. What ends may make others begin, at this time and in this order. */
static void ring(void *self)
{
    struct spw_sim_host *host = self;
    settle(host);
    uint64_t at = 0;
    while (at < host->flow_count) {
        struct spw_sim_flow *flow = host->flows[at];
        if (flow->left > 0) {
            at++;
            continue;
        }
        take_out(host, at);
        flow->ended(flow->self);
    }
    share_out(host);
    arm(host);
}

void spw_sim_flow_begin(struct spw_sim_host *host, struct spw_sim_flow *flow, uint64_t bytes)
{
    SPW_ASSERT(host->flow_count < host->flows_reserved);
    SPW_ASSERT(flow->resource_count > 0 && flow->most_bytes_per_s > 0);
    flow->left = (unsigned __int128)bytes * UNITS_PER_BYTE;
    flow->bytes_per_s = 0; /* until the others know */
    if (host->flow_count == 0) {
        host->settled_ns = spw_sim_now_ns(host->simulator);
    }
    host->flows[host->flow_count++] = flow;
    spw_sim_arm(host->simulator, &host->timer, spw_sim_now_ns(host->simulator));
}

void spw_sim_flow_drop(struct spw_sim_host *host, const struct spw_sim_flow *flow)
{
    for (uint64_t i = 0; i < host->flow_count; i++) {
        if (host->flows[i] == flow) {
            take_out(host, i);
            spw_sim_arm(host->simulator, &host->timer, spw_sim_now_ns(host->simulator));
            return;
        }
    }
}

/* ---- what a flow shares ---- */

static enum spw_status add_resource(struct spw_sim_host *host, uint64_t bytes_per_s,
                                    struct spw_error *error)
{
    SPW_TRY(spw_grow(host->world, &host->resources, &host->resource_capacity,
                     host->resource_count + 1, sizeof(*host->resources),
                     "what a simulated host shares", error));
    host->resources[host->resource_count++] = (struct resource){.bytes_per_s = bytes_per_s};
    return SPW_OK;
}

static uint32_t group_of(const struct spw_sim_host *host, uint32_t device)
{
    return host->model.link_devices > 0 ? device / host->model.link_devices : 0;
}

/* First the memory, if it has a limit, then the shared links: one after the other, of each the way
 * in and the way out, or both in one. */
static enum spw_status add_resources(struct spw_sim_host *host, uint32_t device_count,
                                     struct spw_error *error)
{
    const struct spw_host_model *model = &host->model;
    if (model->memory_bytes_per_s > 0) {
        SPW_TRY(add_resource(host, model->memory_bytes_per_s, error));
    }
    if (model->link.bytes_per_s == 0 || device_count == 0) {
        return SPW_OK;
    }
    const uint32_t ways = model->link.half_duplex ? 1 : 2;
    const uint32_t links = group_of(host, device_count - 1) + 1;
    for (uint32_t i = 0; i < links * ways; i++) {
        SPW_TRY(add_resource(host, model->link.bytes_per_s, error));
    }
    return SPW_OK;
}

void spw_sim_flow_init_copy(const struct spw_sim_host *host, uint32_t device, bool out,
                            struct spw_sim_flow *flow)
{
    const struct spw_host_model *model = &host->model;
    const uint32_t first_link = model->memory_bytes_per_s > 0 ? 1 : 0;
    spw_sim_flow_init_cores(host, flow);
    if (model->link.bytes_per_s > 0) {
        const uint32_t group = group_of(host, device);
        flow->resources[flow->resource_count++] =
            first_link + (model->link.half_duplex ? group : 2 * group + (out ? 1 : 0));
    }
}

void spw_sim_flow_init_cores(const struct spw_sim_host *host, struct spw_sim_flow *flow)
{
    flow->resource_count = 0;
    if (host->model.memory_bytes_per_s > 0) {
        flow->resources[flow->resource_count++] = 0;
    }
}

/* ---- life ---- */

enum spw_status spw_sim_host_create(struct spw_simulator *simulator, const struct spw_world *world,
                                    const struct spw_host_model *model, uint32_t device_count,
                                    struct spw_error *error, struct spw_sim_host **out)
{
    struct spw_sim_host *host;
    SPW_TRY(spw_allocate(world, 1, sizeof(*host), "a simulated host", error, &host));
    host->world = world;
    host->simulator = simulator;
    host->model = *model;
    host->timer = (struct spw_sim_timer){.ring = ring, .self = host};
    enum spw_status status = spw_sim_reserve(simulator, 1, error);
    if (status == SPW_OK) {
        status = add_resources(host, device_count, error);
    }
    if (status != SPW_OK) {
        spw_sim_host_destroy(host);
        return status;
    }
    *out = host;
    return SPW_OK;
}

void spw_sim_host_destroy(struct spw_sim_host *host)
{
    if (host == NULL) {
        return;
    }
    spw_sim_disarm(host->simulator, &host->timer);
    spw_release(host->world, host->resources);
    spw_release(host->world, host->flows);
    spw_release(host->world, host);
}

enum spw_status spw_sim_host_share(struct spw_sim_host *host, uint64_t bytes_per_s,
                                   struct spw_error *error, uint32_t *resource)
{
    SPW_ASSERT(bytes_per_s > 0);
    SPW_TRY(add_resource(host, bytes_per_s, error));
    *resource = (uint32_t)host->resource_count - 1;
    return SPW_OK;
}

enum spw_status spw_sim_host_reserve(struct spw_sim_host *host, uint64_t count,
                                     struct spw_error *error)
{
    SPW_TRY(spw_grow(host->world, &host->flows, &host->flow_capacity, host->flows_reserved + count,
                     sizeof(struct spw_sim_flow *), "the flows of a simulated host", error));
    host->flows_reserved += count;
    return SPW_OK;
}
