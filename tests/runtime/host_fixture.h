/* host_fixture.h — one host device with its gate and homes, and a small program to run on it. */
#ifndef SPW_TESTS_RUNTIME_HOST_FIXTURE_H
#define SPW_TESTS_RUNTIME_HOST_FIXTURE_H

#include "runtime/device/backend.h"
#include "runtime/memory/home.h"

struct host_fixture {
    const struct spw_world *world;
    struct spw_gate *gate;
    struct spw_home *home;
    struct spw_device *device;
};

/* Opens everything; aborts the test if that fails. Fields of `config` that are 0 get small
 * defaults; home is filled in. */
void host_fixture_open(struct host_fixture *fixture, struct spw_device_config config, bool guarded);
void host_fixture_close(struct host_fixture *fixture);
/* Sleeps at the gate until the next record of `queue` is there. */
struct spw_record host_fixture_next(struct host_fixture *fixture, enum spw_queue queue);

/* Enqueue; abort if busy. */
uint64_t host_fixture_copy(struct host_fixture *fixture, enum spw_queue queue, void *home,
                           uint64_t offset, uint64_t bytes, struct spw_wait wait);
uint64_t host_fixture_submit(struct host_fixture *fixture, const struct spw_work *work,
                             struct spw_wait wait);
/* A program of no instructions that the model says takes `model_ns`. */
struct spw_work host_fixture_empty_work(uint64_t model_ns);

/* y = relu(x W^T + b) and its way back, as two programs over the same bindings. */
struct small_program {
    struct spw_op_desc linear, relu;
    struct spw_binding bindings[6];
    struct spw_instruction instructions[4]; /* linear, relu, relu back, linear back */
    struct spw_instruction epilogue[2];     /* norms of both gradients */
    struct spw_program forward, backward;
    uint64_t w_bytes; /* weight and bias, one after the other */
    int64_t items;    /* of a full micro-batch */
};
enum { SMALL_WEIGHTS, SMALL_GRADS, SMALL_IN, SMALL_OUT, SMALL_NORM, SMALL_SCRATCH };
void small_program_init(struct small_program *program, int64_t in, int64_t out, int64_t items,
                        uint32_t threads);
/* Bindings side by side from `offset` on. */
struct spw_work small_program_work(const struct small_program *small,
                                   const struct spw_program *program, uint64_t offset);
uint64_t small_program_bytes(const struct small_program *small);

#endif
