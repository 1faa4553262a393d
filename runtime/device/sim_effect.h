/* sim_effect.h — what simulated commands do to what places hold, where that is followed (tests).
 *
 * A command's effect begins when it starts and ends when it ends: two that touch the same bytes at
 * the same time, one of them writing, are a fault, as are reads of what nobody wrote. When it ends,
 * values move as bytes would: copies copy them; a kernel makes new ones out of those it reads, in
 * order, with everything else that its result hangs on. So a result computed again has its value
 * again, and no other. Tested by tests/runtime/test_sim_shadow.c with single
 * commands and test_sim_effect.c with whole runs. */
#ifndef SPW_RUNTIME_DEVICE_SIM_EFFECT_H
#define SPW_RUNTIME_DEVICE_SIM_EFFECT_H

#include "base/list.h"
#include "runtime/device/backend.h"
#include "runtime/memory/home.h"
#include "runtime/memory/shadow.h"

/* What all devices of a run share. */
struct spw_sim_effects {
    struct spw_shadow_faults faults;
    struct spw_list active; /* effects that have begun */
};
void spw_sim_effects_init(struct spw_sim_effects *effects);

/* Most ranges of one command: a REDUCE on the cores has one for each accumulator. */
#define SPW_SIM_RANGES_MAX 96

struct spw_sim_range {
    const struct spw_shadow *shadow;
    uint64_t begin, end;
    bool writes;
};

struct spw_sim_effect {
    struct spw_list link;
    struct spw_sim_effects *effects;
    const char *device;        /* its name, for messages */
    const char *failed;        /* no more than one fault of a command is reported; NULL: none */
    struct spw_shadow *region; /* of the cores, the homes */
    const struct spw_home *home;
    struct spw_sim_range ranges[SPW_SIM_RANGES_MAX];
    uint32_t range_count;
};

/* What a command was given. */
struct spw_sim_task {
    bool is_copy, is_out; /* a copy, and of those out of the device */
    uint32_t copy_count;
    union {
        struct spw_copy copies[SPW_COPIES_MAX];
        struct spw_work work;
    };
};

void spw_sim_effect_begin(struct spw_sim_effect *effect, const struct spw_sim_task *task);
void spw_sim_effect_end(struct spw_sim_effect *effect, const struct spw_sim_task *task);

#endif
