/* stress_host.c — two host devices and the host cores, kept busy through one gate: chains of copy
 * in, program and copy out over several slots, each result checked, with prepares and pauses
 * between. A plain main with the plain kernels, so that the thread sanitizer can watch; its last
 * line counts the checks. Homes and regions are plain memory: a missing happens-before is a race
 * here. */
#include "base/assert.h"
#include "base/philox.h"
#include "runtime/device/backend.h"
#include "runtime/memory/home.h"

#include <stdio.h>
#include <string.h>

#define DEVICES 2
#define SLOTS 6
#define WIDTH 16
#define ITEMS 4
#define PACK_BYTES (WIDTH * ITEMS * 4)
#define WEIGHT_BYTES (WIDTH * WIDTH * 4)
#define SLOT_BYTES 4096
#define WEIGHTS_AT (SLOTS * SLOT_BYTES)
#define SCRATCH_AT (WEIGHTS_AT + 4096)
#define REGION_BYTES (SCRATCH_AT + 65536)
#define UPDATE_ELEMENTS 256

struct slot {
    float *in, *out; /* home addresses */
    uint64_t out_ticket;
    uint32_t round;
    bool busy;
};

struct stress {
    const struct spw_world *world;
    struct spw_gate *gate;
    struct spw_home *home;
    struct spw_device *devices[DEVICES + 1]; /* the last: the host cores */
    struct slot slots[DEVICES][SLOTS];
    float *weights;
    struct spw_op_desc linear;
    struct spw_binding bindings[4];
    struct spw_instruction instruction;
    struct spw_program program;
    uint64_t draws;
    unsigned passed, failed;
};

static uint32_t draw(struct stress *s, uint32_t below)
{
    return (uint32_t)((uint64_t)spw_random_word(11, 0, s->draws++) * below >> 32);
}

static void count(struct stress *s, bool good)
{
    s->passed += good ? 1 : 0;
    s->failed += good ? 0 : 1;
}

static void *take(struct stress *s, uint64_t bytes)
{
    void *home = NULL;
    SPW_ASSERT(spw_home_take(s->home, bytes, NULL, &home) == SPW_OK);
    return home;
}

/* y = 2 x: a matrix product whose every element one can predict. */
static void make_program(struct stress *s)
{
    enum { WEIGHTS, IN, OUT, SCRATCH };
    const struct spw_operand none = {.binding = SPW_NO_OPERAND};
    s->linear = (struct spw_op_desc){.op = SPW_OP_LINEAR,
                                     .in = {.rank = 1, .dim = {WIDTH}},
                                     .attr.linear = {WIDTH, WIDTH, false, false}};
    SPW_ASSERT(spw_op_infer(&s->linear, NULL) == SPW_OK);
    s->instruction = (struct spw_instruction){.desc = &s->linear,
                                              .x = {{IN, 0}, none},
                                              .w = {{WEIGHTS, 0}, none},
                                              .y = {OUT, 0},
                                              .saved = none,
                                              .dy = none,
                                              .dx = {none, none},
                                              .dw = {none, none},
                                              .targets = none,
                                              .loss = none,
                                              .workspace = {SCRATCH, 0}};
    s->bindings[WEIGHTS].bytes = WEIGHT_BYTES;
    s->bindings[IN].bytes = s->bindings[OUT].bytes = PACK_BYTES;
    s->bindings[SCRATCH].bytes = REGION_BYTES - SCRATCH_AT;
    s->program = (struct spw_program){.bindings = s->bindings,
                                      .binding_count = 4,
                                      .instructions = &s->instruction,
                                      .instruction_count = 1};
}

static void open_all(struct stress *s, uint32_t threads, uint64_t link, bool pace)
{
    SPW_ASSERT(spw_gate_create(s->world, NULL, &s->gate) == SPW_OK);
    SPW_ASSERT(spw_home_create(s->world, UINT64_C(1) << 20, true, NULL, &s->home) == SPW_OK);
    s->weights = take(s, WEIGHT_BYTES);
    float *open = spw_home_open(s->home, s->weights);
    for (int i = 0; i < WIDTH; i++) {
        open[i * (WIDTH + 1)] = 2.0f;
    }
    for (uint32_t i = 0; i <= DEVICES; i++) {
        const struct spw_device_config config = {.index = i,
                                                 .region_bytes = REGION_BYTES,
                                                 .threads = threads,
                                                 .link_bytes_per_s = link,
                                                 .flops_per_s = UINT64_C(1) << 40,
                                                 .pace_model = pace,
                                                 .reference_kernels = true,
                                                 .home = s->home,
                                                 .is_cores = i == DEVICES};
        SPW_ASSERT(spw_backend_host.open(s->world, &config, s->gate, NULL, &s->devices[i]) ==
                   SPW_OK);
        SPW_ASSERT(spw_backend_host.prepare(s->devices[i], &s->program, ITEMS, NULL) == SPW_OK);
    }
    for (int d = 0; d < DEVICES; d++) {
        const struct spw_copy copy = {s->weights, WEIGHTS_AT, WEIGHT_BYTES};
        uint64_t ticket;
        SPW_ASSERT(spw_backend_host.copy(s->devices[d], SPW_QUEUE_IN, &copy, 1, NULL, 0, &ticket) ==
                   SPW_OK);
        for (int i = 0; i < SLOTS; i++) {
            s->slots[d][i] = (struct slot){.in = take(s, PACK_BYTES), .out = take(s, PACK_BYTES)};
        }
    }
}

static void close_all(struct stress *s)
{
    for (int i = 0; i <= DEVICES; i++) {
        spw_backend_host.close(s->devices[i]);
    }
    spw_home_destroy(s->home);
    spw_gate_destroy(s->gate);
}

static float value_of(int device, const struct slot *slot, int element)
{
    return (float)(slot->round * 64 + (uint32_t)element + (uint32_t)device * 1000);
}

/* The whole chain of one slot; nobody waits for it here. */
static void begin_chain(struct stress *s, int d, int index)
{
    struct slot *slot = &s->slots[d][index];
    float *in = spw_home_open(s->home, slot->in);
    slot->round++;
    slot->busy = true;
    for (int i = 0; i < WIDTH * ITEMS; i++) {
        in[i] = value_of(d, slot, i);
    }
    const uint64_t in_at = (uint64_t)index * SLOT_BYTES;
    const uint64_t out_at = in_at + SLOT_BYTES / 2;
    const struct spw_copy copies[] = {{slot->in, in_at, PACK_BYTES},
                                      {slot->out, out_at, PACK_BYTES}};
    struct spw_wait wait = {SPW_QUEUE_IN, 0};
    SPW_ASSERT(spw_backend_host.copy(s->devices[d], SPW_QUEUE_IN, &copies[0], 1, NULL, 0,
                                     &wait.ticket) == SPW_OK);
    const struct spw_work work = {
        .kind = SPW_WORK_PROGRAM,
        .program = {.program = &s->program,
                    .binding_offset = {WEIGHTS_AT, in_at, out_at, SCRATCH_AT},
                    .items = ITEMS}};
    SPW_ASSERT(spw_backend_host.submit(s->devices[d], &work, &wait, 1, &wait.ticket) == SPW_OK);
    wait.queue = SPW_QUEUE_COMPUTE;
    SPW_ASSERT(spw_backend_host.copy(s->devices[d], SPW_QUEUE_OUT, &copies[1], 1, &wait, 1,
                                     &slot->out_ticket) == SPW_OK);
}

static void end_chain(struct stress *s, int d, uint64_t ticket)
{
    for (int i = 0; i < SLOTS; i++) {
        struct slot *slot = &s->slots[d][i];
        if (!slot->busy || slot->out_ticket != ticket) {
            continue;
        }
        const float *out = spw_home_open(s->home, slot->out);
        bool good = true;
        for (int j = 0; j < WIDTH * ITEMS; j++) {
            good = good && out[j] == 2.0f * value_of(d, slot, j);
        }
        count(s, good);
        slot->busy = false;
        return;
    }
    count(s, false);
}

/* Takes all records there are; true if there was one. */
static bool poll_device(struct stress *s, int d)
{
    struct spw_record record;
    bool any = false;
    for (int queue = 0; queue < SPW_QUEUE_COUNT; queue++) {
        while (spw_backend_host.poll(s->devices[d], (enum spw_queue)queue, &record)) {
            any = true;
            if (record.status != SPW_OK || record.end_ns < record.start_ns) {
                count(s, false);
            }
            if (queue == SPW_QUEUE_OUT) {
                end_chain(s, d, record.ticket);
            }
        }
    }
    return any;
}

/* An update of its own range on the host cores, while the devices' copies use other homes. */
struct update {
    struct spw_segment segment;
    struct spw_weight_block block;
    bool decays;
    float *memory; /* home address: weights, then gradients */
    bool busy;
    uint32_t done;
};

static void make_update(struct stress *s, struct update *u)
{
    memset(u, 0, sizeof(*u));
    u->segment = (struct spw_segment){.elements = UPDATE_ELEMENTS};
    u->block = (struct spw_weight_block){
        .segments = &u->segment, .segment_count = 1, .bytes = UPDATE_ELEMENTS * 4};
    u->memory = take(s, (uint64_t)2 * UPDATE_ELEMENTS * 4);
}

static void begin_update(struct stress *s, struct update *u)
{
    float *gradients = (float *)spw_home_open(s->home, u->memory) + UPDATE_ELEMENTS;
    const uint64_t at = spw_home_offset(s->home, u->memory);
    for (int i = 0; i < UPDATE_ELEMENTS; i++) {
        gradients[i] = -1.0f; /* so that each step of size 1 adds 1 */
    }
    struct spw_work work = {.kind = SPW_WORK_UPDATE,
                            .update = {.block = &u->block,
                                       .param_decays = &u->decays,
                                       .piece = {.bytes = u->block.bytes},
                                       .weights = at,
                                       .grads = at + u->block.bytes,
                                       .weights_out = at}};
    work.update.scalars[1] =
        (struct spw_update_scalars){.name = SPW_SGD, .clip = 1.0f, .step_size = 1.0f};
    work.update.scalars[0] = work.update.scalars[1];
    uint64_t ticket;
    SPW_ASSERT(spw_backend_host.submit(s->devices[DEVICES], &work, NULL, 0, &ticket) == SPW_OK);
    u->busy = true;
}

static bool poll_update(struct stress *s, struct update *u)
{
    struct spw_record record;
    if (!spw_backend_host.poll(s->devices[DEVICES], SPW_QUEUE_COMPUTE, &record)) {
        return false;
    }
    const float *weights = spw_home_open(s->home, u->memory);
    u->done++;
    u->busy = false;
    bool good = record.status == SPW_OK;
    for (int i = 0; i < UPDATE_ELEMENTS; i++) {
        good = good && weights[i] == (float)u->done;
    }
    count(s, good);
    return true;
}

static bool any_busy(const struct stress *s, const struct update *u)
{
    bool busy = u->busy;
    for (int d = 0; d < DEVICES; d++) {
        for (int i = 0; i < SLOTS; i++) {
            busy = busy || s->slots[d][i].busy;
        }
    }
    return busy;
}

/* One turn of an executor: begin something, take what is done, sometimes prepare or dawdle. */
static void turn(struct stress *s, struct update *u, bool begin)
{
    const uint64_t seen = spw_gate_count(s->gate);
    if (begin) {
        const int d = (int)draw(s, DEVICES);
        const int slot = (int)draw(s, SLOTS);
        if (!s->slots[d][slot].busy) {
            begin_chain(s, d, slot);
        }
        if (!u->busy && draw(s, 4) == 0) {
            begin_update(s, u);
        }
        if (draw(s, 64) == 0) {
            count(s, spw_backend_host.prepare(s->devices[d], &s->program, 1 + draw(s, ITEMS),
                                              NULL) == SPW_OK);
        }
        if (draw(s, 32) == 0) {
            s->world->sleep_until(s->world->self, spw_now_ns(s->world) + draw(s, 60000));
        }
    }
    bool any = poll_update(s, u);
    for (int d = 0; d < DEVICES; d++) {
        any = poll_device(s, d) || any;
    }
    if (!any && any_busy(s, u) && draw(s, 2) == 0) {
        spw_gate_wait(s->gate, seen, spw_now_ns(s->world) + 100000000);
    }
}

static void run(struct stress *s, uint32_t threads, uint64_t link, bool pace, int turns)
{
    struct update update;
    open_all(s, threads, link, pace);
    make_update(s, &update);
    for (int i = 0; i < turns; i++) {
        turn(s, &update, true);
    }
    while (any_busy(s, &update)) {
        turn(s, &update, false);
    }
    close_all(s);
}

int main(void)
{
    struct stress s = {.world = spw_world_system()};
    make_program(&s);
    run(&s, 1, 0, false, 6000);
    run(&s, 2, 0, false, 3000);
    run(&s, 1, 100000000, false, 1500);
    run(&s, 1, 1000000000, true, 3000);
    printf("%u passed, %u failed\n", s.passed, s.failed);
    return s.failed == 0 ? 0 : 1;
}
