/* Tests of runtime/device/gate.c. */
#include "base/thread.h"
#include "runtime/device/backend.h"
#include "tests/support/fault_world.h"

#include <criterion/criterion.h>

static struct spw_gate *gate_of(void)
{
    struct spw_gate *gate = NULL;
    cr_assert(spw_gate_create(spw_world_system(), NULL, &gate) == SPW_OK);
    return gate;
}

Test(gate, counts_knocks)
{
    struct spw_gate *gate = gate_of();
    cr_assert(spw_gate_count(gate) == 0);
    spw_gate_knock(gate);
    spw_gate_knock(gate);
    cr_assert(spw_gate_count(gate) == 2);
    spw_gate_destroy(gate);
    spw_gate_destroy(NULL);
}

/* A knock that came before the sleep is not lost. */
Test(gate, does_not_sleep_through_an_earlier_knock)
{
    struct spw_gate *gate = gate_of();
    spw_gate_knock(gate);
    spw_gate_wait(gate, 0, 0); /* would hang */
    spw_gate_destroy(gate);
}

Test(gate, sleeps_until_the_deadline)
{
    const struct spw_world *world = spw_world_system();
    struct spw_gate *gate = gate_of();
    const uint64_t begin_ns = spw_now_ns(world);
    spw_gate_wait(gate, 0, begin_ns + 20000000);
    cr_assert(spw_now_ns(world) >= begin_ns + 20000000);
    cr_assert(spw_gate_count(gate) == 0);
    spw_gate_wait(gate, 0, begin_ns); /* long past: returns at once */
    spw_gate_destroy(gate);
}

static void knock_later(void *argument)
{
    const struct spw_world *world = spw_world_system();
    world->sleep_until(world->self, spw_now_ns(world) + 20000000);
    spw_gate_knock(argument);
}

Test(gate, wakes_a_sleeper)
{
    struct spw_gate *gate = gate_of();
    struct spw_thread thread;
    cr_assert(spw_thread_start(&thread, "knocker", NULL, knock_later, gate, NULL) == SPW_OK);
    spw_gate_wait(gate, 0, 0);
    cr_assert(spw_gate_count(gate) == 1);
    spw_thread_join(&thread);
    spw_gate_destroy(gate);
}

Test(gate, reports_that_there_is_no_memory)
{
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    spw_fault_world_arm(&fault, SPW_FAULT_ALLOCATION, (struct spw_fault_rule){.at = 1});
    struct spw_gate *gate = NULL;
    struct spw_error error = {0};
    cr_assert(spw_gate_create(&fault.world, &error, &gate) == SPW_ERR_NO_MEMORY);
    cr_assert(gate == NULL && error.status == SPW_ERR_NO_MEMORY);
    cr_assert(spw_fault_world_clean(&fault));
}
