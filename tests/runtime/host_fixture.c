/* host_fixture.c — see the header. */
#include "host_fixture.h"

#include "base/assert.h"
#include "base/checked.h"

#include <stdio.h>
#include <string.h>

void host_fixture_open(struct host_fixture *fixture, struct spw_device_config config, bool guarded)
{
    if (fixture->world == NULL) {
        fixture->world = spw_world_system();
    }
    if (config.region_bytes == 0) {
        config.region_bytes = UINT64_C(1) << 20;
    }
    struct spw_error error = {0};
    SPW_ASSERT(spw_gate_create(fixture->world, &error, &fixture->gate) == SPW_OK);
    SPW_ASSERT(spw_home_create(fixture->world, UINT64_C(64) << 20, guarded, &error,
                               &fixture->home) == SPW_OK);
    config.home = fixture->home;
    if (spw_backend_host.open(fixture->world, &config, fixture->gate, &error, &fixture->device) !=
        SPW_OK) {
        (void)fprintf(stderr, "%s\n", error.what);
        SPW_ASSERT(false);
    }
}

void host_fixture_close(struct host_fixture *fixture)
{
    spw_backend_host.close(fixture->device);
    spw_home_destroy(fixture->home);
    spw_gate_destroy(fixture->gate);
}

struct spw_record host_fixture_next(struct host_fixture *fixture, enum spw_queue queue)
{
    struct spw_record record;
    for (;;) {
        const uint64_t seen = spw_gate_count(fixture->gate);
        if (fixture->device->backend->poll(fixture->device, queue, &record)) {
            return record;
        }
        spw_gate_wait(fixture->gate, seen, 0);
    }
}

uint64_t host_fixture_copy(struct host_fixture *fixture, enum spw_queue queue, void *home,
                           uint64_t offset, uint64_t bytes, struct spw_wait wait)
{
    const struct spw_copy copy = {.home = home, .region_offset = offset, .bytes = bytes};
    uint64_t ticket = 0;
    SPW_ASSERT(fixture->device->backend->copy(fixture->device, queue, &copy, 1, &wait, 1,
                                              &ticket) == SPW_OK);
    return ticket;
}

uint64_t host_fixture_submit(struct host_fixture *fixture, const struct spw_work *work,
                             struct spw_wait wait)
{
    uint64_t ticket = 0;
    SPW_ASSERT(fixture->device->backend->submit(fixture->device, work, &wait, 1, &ticket) ==
               SPW_OK);
    return ticket;
}

struct spw_work host_fixture_empty_work(uint64_t model_ns)
{
    static const struct spw_program empty = {0};
    return (struct spw_work){
        .kind = SPW_WORK_PROGRAM, .model_ns = model_ns, .program = {.program = &empty, .items = 1}};
}

static struct spw_operand operand(int32_t binding, uint64_t offset)
{
    return (struct spw_operand){.binding = binding, .offset_bytes = offset};
}

static struct spw_instruction no_operands(void)
{
    const struct spw_operand none = {.binding = SPW_NO_OPERAND};
    return (struct spw_instruction){.x = {none, none},
                                    .w = {none, none},
                                    .y = none,
                                    .saved = none,
                                    .dy = none,
                                    .dx = {none, none},
                                    .dw = {none, none},
                                    .targets = none,
                                    .loss = none,
                                    .workspace = none};
}

static uint64_t workspace(const struct spw_op_desc *desc, int64_t items, enum spw_pass pass,
                          uint32_t threads)
{
    uint64_t bytes = 0;
    SPW_ASSERT(spw_op_workspace_bytes(desc, items, pass, threads, NULL, &bytes) == SPW_OK);
    return bytes;
}

/* Scratch: the linear's output, its gradient, dx, then workspace. */
static void add_instructions(struct small_program *small, uint64_t hidden_bytes, uint64_t in_bytes)
{
    const uint64_t bias = small->w_bytes - (uint64_t)small->linear.attr.linear.out * 4;
    const struct spw_operand hidden = operand(SMALL_SCRATCH, 0);
    const struct spw_operand d_hidden = operand(SMALL_SCRATCH, hidden_bytes);
    const struct spw_operand dx = operand(SMALL_SCRATCH, 2 * hidden_bytes);
    const struct spw_operand space = operand(SMALL_SCRATCH, 2 * hidden_bytes + in_bytes);
    struct spw_instruction *at = small->instructions;
    for (int i = 0; i < 4; i++) {
        at[i] = no_operands();
        at[i].pass = i < 2 ? SPW_FORWARD : SPW_BACKWARD;
        at[i].desc = i == 0 || i == 3 ? &small->linear : &small->relu;
        at[i].node = i == 0 || i == 3 ? 7 : 8;
        at[i].workspace = space;
    }
    at[0].x[0] = at[3].x[0] = operand(SMALL_IN, 0);
    at[0].w[0] = at[3].w[0] = operand(SMALL_WEIGHTS, 0);
    at[0].w[1] = at[3].w[1] = operand(SMALL_WEIGHTS, bias);
    at[0].y = at[1].x[0] = at[2].x[0] = hidden;
    at[1].y = at[2].y = operand(SMALL_OUT, 0);
    at[2].dy = operand(SMALL_OUT, 0); /* any numbers do: the output is its own gradient */
    at[2].dx[0] = at[3].dy = d_hidden;
    at[3].dx[0] = dx;
    at[3].dw[0] = operand(SMALL_GRADS, 0);
    at[3].dw[1] = operand(SMALL_GRADS, bias);
    const uint64_t weights =
        (uint64_t)(small->linear.attr.linear.in * small->linear.attr.linear.out);
    for (int i = 0; i < 2; i++) {
        small->epilogue[i] = no_operands();
        small->epilogue[i].kind = SPW_INSTRUCTION_NORM;
        small->epilogue[i].elements = i == 0 ? weights : (uint64_t)small->linear.attr.linear.out;
        small->epilogue[i].dw[0] = operand(SMALL_GRADS, i == 0 ? 0 : bias);
        small->epilogue[i].y = operand(SMALL_NORM, i == 0 ? 0 : spw_norm_chunks(weights) * 8);
    }
}

void small_program_init(struct small_program *small, int64_t in, int64_t out, int64_t items,
                        uint32_t threads)
{
    memset(small, 0, sizeof(*small));
    small->items = items;
    small->linear = (struct spw_op_desc){
        .op = SPW_OP_LINEAR, .in = {.rank = 1, .dim = {in}}, .attr.linear = {out, in, true, false}};
    small->relu = (struct spw_op_desc){.op = SPW_OP_RELU, .in = {.rank = 1, .dim = {out}}};
    SPW_ASSERT(spw_op_infer(&small->linear, NULL) == SPW_OK);
    SPW_ASSERT(spw_op_infer(&small->relu, NULL) == SPW_OK);

    const uint64_t bias = spw_round_up((uint64_t)(in * out) * 4, 64);
    const uint64_t in_bytes = spw_round_up((uint64_t)(in * items) * 4, 64);
    const uint64_t out_bytes = spw_round_up((uint64_t)(out * items) * 4, 64);
    const uint64_t forward = workspace(&small->linear, items, SPW_FORWARD, threads);
    const uint64_t backward = workspace(&small->linear, items, SPW_BACKWARD, threads);
    small->w_bytes = bias + (uint64_t)out * 4;
    const uint64_t bytes[] = {
        [SMALL_WEIGHTS] = small->w_bytes,
        [SMALL_GRADS] = small->w_bytes,
        [SMALL_IN] = in_bytes,
        [SMALL_OUT] = out_bytes,
        [SMALL_NORM] = (spw_norm_chunks((uint64_t)(in * out)) + spw_norm_chunks((uint64_t)out)) * 8,
        [SMALL_SCRATCH] = 2 * out_bytes + in_bytes + (forward > backward ? forward : backward),
    };
    for (int i = 0; i < 6; i++) {
        small->bindings[i] = (struct spw_binding){.bytes = bytes[i]};
    }
    add_instructions(small, out_bytes, in_bytes);
    small->forward = (struct spw_program){.bindings = small->bindings,
                                          .binding_count = 6,
                                          .instructions = small->instructions,
                                          .instruction_count = 2};
    small->backward = small->forward;
    small->backward.instruction_count = 4;
    small->backward.epilogue = small->epilogue;
    small->backward.epilogue_count = 2;
}

struct spw_work small_program_work(const struct small_program *small,
                                   const struct spw_program *program, uint64_t offset)
{
    struct spw_work work = {.kind = SPW_WORK_PROGRAM,
                            .program = {.program = program, .items = small->items}};
    for (int32_t i = 0; i < program->binding_count; i++) {
        work.program.binding_offset[i] = offset;
        offset += spw_round_up(program->bindings[i].bytes, 64);
    }
    return work;
}

uint64_t small_program_bytes(const struct small_program *small)
{
    uint64_t bytes = 0;
    for (int i = 0; i < 6; i++) {
        bytes += spw_round_up(small->bindings[i].bytes, 64);
    }
    return bytes;
}
