/* Tests of runtime/device/gate.c. */
#include "base/thread.h"
#include "runtime/device/backend.h"
#include "tests/support/fault_world.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/time.h>

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

/* Many knocks during one sleep leave nothing behind that would spoil the next. */
Test(gate, sleeps_again_after_many_knocks)
{
    const struct spw_world *world = spw_world_system();
    struct spw_gate *gate = gate_of();
    for (int i = 0; i < 3; i++) {
        const uint64_t seen = spw_gate_count(gate);
        struct spw_thread thread;
        cr_assert(spw_thread_start(&thread, "knocker", NULL, knock_later, gate, NULL) == SPW_OK);
        spw_gate_wait(gate, seen, 0);
        spw_thread_join(&thread);
        for (int j = 0; j < 100; j++) {
            spw_gate_knock(gate);
        }
        const uint64_t begin_ns = spw_now_ns(world);
        spw_gate_wait(gate, spw_gate_count(gate), begin_ns + 10000000);
        cr_assert(spw_now_ns(world) >= begin_ns + 10000000);
    }
    spw_gate_destroy(gate);
}

static struct spw_gate *knocked_by_signal;

static void on_alarm(int number)
{
    (void)number;
    spw_gate_knock(knocked_by_signal);
}

/* A handler that interrupts the sleeper itself, at any point of the wait. */
Test(gate, a_signal_handler_may_knock)
{
    knocked_by_signal = gate_of();
    const struct sigaction action = {.sa_handler = on_alarm};
    cr_assert(sigaction(SIGALRM, &action, NULL) == 0);
    const struct itimerval often = {{0, 200}, {0, 200}};
    cr_assert(setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (int i = 0; i < 1000; i++) {
        spw_gate_wait(knocked_by_signal, spw_gate_count(knocked_by_signal), 0);
    }
    const struct itimerval never = {{0, 0}, {0, 0}};
    cr_assert(setitimer(ITIMER_REAL, &never, NULL) == 0);
    cr_assert(spw_gate_count(knocked_by_signal) >= 1000);
    spw_gate_destroy(knocked_by_signal);
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
