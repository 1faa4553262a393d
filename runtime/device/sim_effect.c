/* sim_effect.c — see sim_effect.h. */
#include "runtime/device/sim_effect.h"

#include "base/assert.h"
#include "base/hash.h"
#include "data/data.h"
#include "runtime/device/piece.h"

#include <inttypes.h>
#include <string.h>

void spw_sim_effects_init(struct spw_sim_effects *effects)
{
    effects->faults = (struct spw_shadow_faults){0};
    spw_list_init(&effects->active);
}

/* ---- who touches what: two at once are a fault if one writes ---- */

static void add_range(struct spw_sim_effect *effect, const struct spw_shadow *shadow,
                      uint64_t offset, uint64_t bytes, bool writes)
{
    SPW_ASSERT(effect->range_count < SPW_SIM_RANGES_MAX);
    if (bytes > 0) {
        effect->ranges[effect->range_count++] = (struct spw_sim_range){
            .shadow = shadow, .begin = offset, .end = offset + bytes, .writes = writes};
    }
}

static bool binding_is_written(const struct spw_work *work, enum spw_binding_kind kind)
{
    /* KEPT is FORWARD's output: it alone has bindings that go out, and reads none. */
    bool is_forward = false;
    const struct spw_program *program = work->program.program;
    for (int32_t i = 0; i < program->binding_count; i++) {
        is_forward = is_forward || program->bindings[i].kind == SPW_BIND_OUT;
    }
    switch (kind) {
    case SPW_BIND_GRADS:
    case SPW_BIND_OUT:
    case SPW_BIND_GRAD_OUT:
    case SPW_BIND_LOSS:
    case SPW_BIND_NORM:
    case SPW_BIND_SCRATCH:
        return true;
    case SPW_BIND_KEPT:
        return is_forward;
    case SPW_BIND_WEIGHTS:
    case SPW_BIND_IN:
    case SPW_BIND_TARGETS:
    case SPW_BIND_GRAD_IN:
        return false;
    }
    SPW_NEVER("a binding of no kind");
}

static uint64_t packs_of(const struct spw_work *work)
{
    const uint64_t size = (uint64_t)work->gather.micro_batch;
    return ((uint64_t)work->gather.count + size - 1) / size;
}

static void add_work_ranges(struct spw_sim_effect *effect, const struct spw_work *work)
{
    const struct spw_shadow *region = effect->region;
    switch (work->kind) {
    case SPW_WORK_PROGRAM:
        for (int32_t i = 0; i < work->program.program->binding_count; i++) {
            const struct spw_binding *binding = &work->program.program->bindings[i];
            add_range(effect, region, work->program.binding_offset[i], binding->bytes,
                      binding_is_written(work, binding->kind));
        }
        return;
    case SPW_WORK_UPDATE: {
        const uint64_t bytes = work->update.piece.bytes;
        add_range(effect, region, work->update.grads, bytes, false);
        add_range(effect, region, work->update.weights, bytes, false);
        add_range(effect, region, work->update.weights_out, bytes, true);
        for (uint32_t i = 0; i < spw_update_moments(&work->update.scalars[0]); i++) {
            add_range(effect, region, work->update.moments[i], bytes, false);
            add_range(effect, region, work->update.moments_out[i], bytes, true);
        }
        return;
    }
    case SPW_WORK_REDUCE:
        for (uint32_t i = 0; i < work->reduce.accumulators; i++) {
            add_range(effect, region, work->reduce.grads[i], work->reduce.piece.bytes, false);
        }
        add_range(effect, region, work->reduce.grads_out, work->reduce.piece.bytes, true);
        add_range(effect, region, work->reduce.norm_out,
                  work->reduce.piece.norm_count * sizeof(double), true);
        return;
    case SPW_WORK_GATHER:
        add_range(effect, region, work->gather.x, packs_of(work) * work->gather.x_stride_bytes,
                  true);
        add_range(effect, region, work->gather.targets,
                  packs_of(work) * work->gather.targets_stride_bytes, true);
        return;
    }
    SPW_NEVER("a work of no kind");
}

static void check_against(struct spw_sim_effect *effect, const struct spw_sim_effect *other)
{
    for (uint32_t i = 0; i < effect->range_count; i++) {
        const struct spw_sim_range *a = &effect->ranges[i];
        for (uint32_t k = 0; k < other->range_count; k++) {
            const struct spw_sim_range *b = &other->ranges[k];
            if (a->shadow == b->shadow && a->begin < b->end && b->begin < a->end &&
                (a->writes || b->writes)) {
                spw_shadow_report(&effect->effects->faults,
                                  "%s %s bytes %" PRIu64 " to %" PRIu64 " while %s %s %" PRIu64
                                  " to %" PRIu64,
                                  effect->device, a->writes ? "writes" : "reads", a->begin, a->end,
                                  other->device, b->writes ? "writes" : "reads", b->begin, b->end);
                return;
            }
        }
    }
}

void spw_sim_effect_begin(struct spw_sim_effect *effect, const struct spw_sim_task *task)
{
    effect->range_count = 0;
    effect->failed = NULL;
    for (uint32_t i = 0; task->is_copy && i < task->copy_count; i++) {
        const struct spw_copy *copy = &task->copies[i];
        add_range(effect, effect->region, copy->region_offset, copy->bytes, !task->is_out);
        add_range(effect, spw_home_shadow(effect->home), spw_home_offset(effect->home, copy->home),
                  copy->bytes, task->is_out);
    }
    if (!task->is_copy) {
        add_work_ranges(effect, &task->work);
    }
    SPW_LIST_EACH (link, &effect->effects->active) {
        check_against(effect, spw_container_of(link, struct spw_sim_effect, link));
    }
    spw_list_insert(&effect->effects->active, &effect->link);
}

/* ---- calls ---- */

/* One operand of a call. */
struct touch {
    struct spw_operand operand;
    uint64_t bytes;
    bool reads, writes;
    const char *what;
};
enum { TOUCHES_MAX = 16 };

struct touches {
    struct touch items[TOUCHES_MAX];
    uint32_t count;
};

static void touch(struct touches *touches, struct spw_operand operand, uint64_t bytes, bool reads,
                  bool writes, const char *what)
{
    if (operand.binding != SPW_NO_OPERAND && (reads || writes)) {
        SPW_ASSERT(touches->count < TOUCHES_MAX);
        touches->items[touches->count++] = (struct touch){operand, bytes, reads, writes, what};
    }
}

static uint64_t elements_bytes(const struct spw_shape *shape, int64_t items)
{
    return (uint64_t)spw_shape_elements(shape) * (uint64_t)items * sizeof(float);
}

static void list_inputs(const struct spw_instruction *it, int64_t items, struct touches *out)
{
    const struct spw_op_desc *desc = it->desc;
    const bool forward = it->pass == SPW_FORWARD;
    const uint32_t needs = spw_op_needs(desc);
    const uint32_t needs_x[] = {SPW_NEEDS_X0, SPW_NEEDS_X1};
    for (int i = 0; i < SPW_OP_INPUTS_MAX; i++) {
        touch(out, it->x[i], elements_bytes(&desc->in, items), forward || (needs & needs_x[i]) != 0,
              false, "an input");
    }
    for (int i = 0; i < spw_op_params(desc); i++) {
        const struct spw_shape shape = spw_op_param_shape(desc, i);
        touch(out, it->w[i], elements_bytes(&shape, 1), forward || (needs & SPW_NEEDS_W) != 0,
              false, "a parameter");
    }
    if (spw_op_is_loss(desc->op)) {
        touch(out, it->targets, (uint64_t)spw_shape_rows(&desc->in) * (uint64_t)items * 4, true,
              false, "targets");
    }
    if (!forward) {
        touch(out, it->y, elements_bytes(&desc->out, items), (needs & SPW_NEEDS_Y) != 0, false,
              "its output");
        touch(out, it->saved, spw_op_saved_bytes(desc, items), (needs & SPW_NEEDS_SAVED) != 0,
              false, "its side output");
        touch(out, it->dy, elements_bytes(&desc->out, items), true, false, "a gradient");
    }
}

static void list_outputs(const struct spw_instruction *it, const struct spw_work *work,
                         struct touches *out)
{
    const struct spw_op_desc *desc = it->desc;
    const int64_t items = work->program.items;
    if (it->pass == SPW_FORWARD) {
        touch(out, it->y, elements_bytes(&desc->out, items), false, true, "its output");
        touch(out, it->saved, spw_op_saved_bytes(desc, items), false, true, "its side output");
    } else {
        const uint32_t adds[] = {SPW_CALL_ACCUMULATE_DX0, SPW_CALL_ACCUMULATE_DX1};
        for (int i = 0; i < SPW_OP_INPUTS_MAX; i++) {
            touch(out, it->dx[i], elements_bytes(&desc->in, items), (it->flags & adds[i]) != 0,
                  true, "a gradient that it adds to");
        }
        for (int i = 0; i < spw_op_params(desc); i++) {
            const struct spw_shape shape = spw_op_param_shape(desc, i);
            touch(out, it->dw[i], elements_bytes(&shape, 1), work->program.accumulate_dw, true,
                  "an accumulator");
        }
    }
    if (spw_op_is_loss(desc->op)) {
        touch(out, it->loss, sizeof(struct spw_loss), false, true, "the loss");
    }
}

static uint64_t place_of(const struct spw_work *work, struct spw_operand operand)
{
    return work->program.binding_offset[operand.binding] + operand.offset_bytes;
}

static uint64_t read_hash(struct spw_sim_effect *effect, uint64_t offset, uint64_t bytes,
                          const char *who, const char *what)
{
    bool whole;
    const uint64_t hash = spw_shadow_hash(effect->region, offset, bytes, &whole);
    if (!whole && effect->failed == NULL) {
        effect->failed = what;
        spw_shadow_report(&effect->effects->faults,
                          "%s: %s reads %s, which nobody wrote (%" PRIu64 " bytes at %" PRIu64 ")",
                          effect->device, who, what, bytes, offset);
    }
    return hash;
}

/* Everything that a call's result hangs on, but for what it reads. */
static uint64_t call_hash(const struct spw_instruction *it, const struct spw_work *work)
{
    uint32_t scale;
    memcpy(&scale, &work->program.loss_scale, sizeof(scale));
    const uint64_t words[] = {
        (uint64_t)it->desc->op,        (uint64_t)it->pass,
        (uint64_t)(int64_t)it->node,   work->program.step,
        work->program.training,        work->program.item_offset,
        (uint64_t)work->program.items, scale,
    };
    return spw_hash(words, sizeof(words), 0);
}

static void run_call(struct spw_sim_effect *effect, const struct spw_instruction *it,
                     const struct spw_work *work)
{
    const char *who = spw_op_name(it->desc->op);
    struct touches touches = {.count = 0};
    uint64_t hash = call_hash(it, work);
    list_inputs(it, work->program.items, &touches);
    const uint32_t inputs = touches.count;
    list_outputs(it, work, &touches);
    if (it->desc->op == SPW_OP_COPY) {
        /* The very same value, wherever it is cut. */
        SPW_ASSERT(touches.count == 2);
        spw_shadow_copy(effect->region, place_of(work, touches.items[0].operand), effect->region,
                        place_of(work, touches.items[1].operand), touches.items[0].bytes);
        return;
    }
    for (uint32_t i = 0; i < inputs; i++) {
        const struct touch *input = &touches.items[i];
        hash = spw_shadow_mix(hash, read_hash(effect, place_of(work, input->operand), input->bytes,
                                              who, input->what));
    }
    for (uint32_t i = inputs; i < touches.count; i++) {
        const struct touch *output = &touches.items[i];
        const uint64_t place = place_of(work, output->operand);
        uint64_t value = spw_shadow_mix(hash, i - inputs);
        if (output->reads) {
            value =
                spw_shadow_mix(value, read_hash(effect, place, output->bytes, who, output->what));
        }
        spw_shadow_write(effect->region, place, output->bytes, value, 0);
    }
}

/* Sums of squares of `elements` from `offset` on, chunk after chunk, to `out`. */
static void run_norm(struct spw_sim_effect *effect, uint64_t offset, uint64_t elements,
                     uint64_t out)
{
    for (uint64_t chunk = 0; chunk < spw_norm_chunks(elements); chunk++) {
        const uint64_t first = chunk * SPW_NORM_CHUNK;
        const uint64_t left = elements - first;
        const uint64_t count = left < SPW_NORM_CHUNK ? left : SPW_NORM_CHUNK;
        const uint64_t hash = read_hash(effect, offset + first * sizeof(float),
                                        count * sizeof(float), "the norm", "a gradient");
        spw_shadow_write(effect->region, out + chunk * sizeof(double), sizeof(double),
                         spw_shadow_mix(hash, SPW_NORM_CHUNK), 0);
    }
}

static void run_list(struct spw_sim_effect *effect, const struct spw_instruction *instructions,
                     int32_t count, const struct spw_work *work)
{
    for (int32_t i = 0; i < count; i++) {
        const struct spw_instruction *it = &instructions[i];
        switch (it->kind) {
        case SPW_INSTRUCTION_CALL:
            run_call(effect, it, work);
            break;
        case SPW_INSTRUCTION_NORM:
            run_norm(effect, place_of(work, it->dw[0]), it->elements, place_of(work, it->y));
            break;
        }
    }
}

/* ---- element-wise works: as long as all that they read are single values, so is the result, and
 * how the block was cut into pieces does not show ---- */

/* The longest run from `at` bytes on, at most `bytes` long, in which each of the arrays holds bytes
 * of one value; its hash says which, and how they lie to each other. */
static uint64_t joint_run(struct spw_sim_effect *effect, const uint64_t *arrays, uint32_t count,
                          uint64_t at, uint64_t bytes, uint64_t hash, struct spw_shadow_run *out)
{
    *out = spw_shadow_run(effect->region, arrays[0] + at, bytes);
    for (uint32_t i = 0; i < count; i++) {
        const struct spw_shadow_run run =
            spw_shadow_run(effect->region, arrays[i] + at, out->bytes);
        out->bytes = run.bytes;
        if (!run.known && effect->failed == NULL) {
            effect->failed = "an array";
            spw_shadow_report(
                &effect->effects->faults,
                "%s: an update or a sum reads array %u, of which nobody wrote %" PRIu64
                " bytes at %" PRIu64,
                effect->device, i, run.bytes, arrays[i] + at);
        }
        const uint64_t words[] = {run.known, run.value, run.first - out->first};
        hash = spw_hash(words, sizeof(words), hash);
    }
    return hash;
}

/* Field by field: the struct has bytes between them. */
static uint64_t scalars_hash(const struct spw_update_scalars *scalars)
{
    const float numbers[] = {
        scalars->clip,     scalars->decay,           scalars->beta1,
        scalars->beta2,    scalars->one_minus_beta1, scalars->one_minus_beta2,
        scalars->eps,      scalars->step_size,       scalars->inverse_root_correction2,
        scalars->momentum,
    };
    const uint64_t words[] = {(uint64_t)scalars->name, scalars->has_momentum, scalars->first};
    return spw_hash(numbers, sizeof(numbers), spw_hash(words, sizeof(words), 0));
}

static void run_update(struct spw_sim_effect *effect, const struct spw_work *work)
{
    const struct spw_piece *piece = &work->update.piece;
    struct spw_part part;
    int32_t index = 0;
    while (spw_piece_next_part(work->update.block, *piece, &index, &part)) {
        const bool decays = work->update.param_decays[part.segment->param];
        const struct spw_update_scalars *scalars = &work->update.scalars[decays ? 0 : 1];
        const uint32_t moments = spw_update_moments(scalars);
        uint64_t in[4] = {work->update.weights, work->update.grads};
        uint64_t out[3] = {work->update.weights_out};
        for (uint32_t i = 0; i < moments; i++) {
            in[2 + i] = work->update.moments[i];
            out[1 + i] = work->update.moments_out[i];
        }
        const uint64_t bytes = part.count * sizeof(float);
        const uint64_t base = scalars_hash(scalars);
        for (uint64_t done = 0; done < bytes;) {
            struct spw_shadow_run run;
            const uint64_t at = part.place + done;
            const uint64_t hash = joint_run(effect, in, 2 + moments, at, bytes - done, base, &run);
            for (uint32_t i = 0; i <= moments; i++) {
                spw_shadow_write(effect->region, out[i] + at, run.bytes, spw_shadow_mix(hash, i),
                                 run.first);
            }
            done += run.bytes;
        }
        for (uint32_t i = 0; i <= moments; i++) {
            spw_shadow_write(effect->region, out[i] + part.place + bytes,
                             spw_piece_padding(piece, &part), 0, 0);
        }
    }
}

static void run_reduce(struct spw_sim_effect *effect, const struct spw_work *work)
{
    uint64_t norms = work->reduce.norm_out;
    struct spw_part part;
    int32_t index = 0;
    while (spw_piece_next_part(work->reduce.block, work->reduce.piece, &index, &part)) {
        const uint64_t bytes = part.count * sizeof(float);
        for (uint64_t done = 0; done < bytes;) {
            struct spw_shadow_run run;
            const uint64_t at = part.place + done;
            const uint64_t shape = spw_shadow_mix(work->reduce.uses, work->reduce.groups);
            const uint64_t hash = joint_run(effect, work->reduce.grads, work->reduce.accumulators,
                                            at, bytes - done, shape, &run);
            spw_shadow_write(effect->region, work->reduce.grads_out + at, run.bytes, hash,
                             run.first);
            done += run.bytes;
        }
        run_norm(effect, work->reduce.grads_out + part.place, part.count, norms);
        norms += spw_norm_chunks(part.count) * sizeof(double);
    }
}

static void run_gather(struct spw_sim_effect *effect, const struct spw_work *work)
{
    const struct spw_cursor *cursor = work->gather.cursor;
    const uint64_t key = spw_shadow_mix(spw_cursor_key(cursor), work->gather.step);
    const uint64_t x_bytes = spw_cursor_x_bytes(cursor);
    const uint64_t targets_bytes = spw_cursor_targets_bytes(cursor);
    for (uint64_t pack = 0; pack < packs_of(work); pack++) {
        const uint64_t done = pack * (uint64_t)work->gather.micro_batch;
        const uint64_t left = (uint64_t)work->gather.count - done;
        const uint64_t size = (uint64_t)work->gather.micro_batch;
        const uint64_t items = left < size ? left : size;
        const uint64_t first = (uint64_t)work->gather.first + done;
        spw_shadow_write(effect->region, work->gather.x + pack * work->gather.x_stride_bytes,
                         items * x_bytes, spw_shadow_mix(key, 0), first * x_bytes);
        spw_shadow_write(effect->region,
                         work->gather.targets + pack * work->gather.targets_stride_bytes,
                         items * targets_bytes, spw_shadow_mix(key, 1), first * targets_bytes);
    }
}

/* ---- the end ---- */

static void run_copies(struct spw_sim_effect *effect, const struct spw_sim_task *task)
{
    struct spw_shadow *homes = spw_home_shadow(effect->home);
    for (uint32_t i = 0; i < task->copy_count; i++) {
        const struct spw_copy *copy = &task->copies[i];
        const uint64_t home = spw_home_offset(effect->home, copy->home);
        if (task->is_out) {
            spw_shadow_copy(effect->region, copy->region_offset, homes, home, copy->bytes);
        } else {
            spw_shadow_copy(homes, home, effect->region, copy->region_offset, copy->bytes);
        }
    }
}

void spw_sim_effect_end(struct spw_sim_effect *effect, const struct spw_sim_task *task)
{
    spw_list_remove(&effect->link);
    if (task->is_copy) {
        run_copies(effect, task);
        return;
    }
    const struct spw_work *work = &task->work;
    switch (work->kind) {
    case SPW_WORK_PROGRAM: {
        const struct spw_program *program = work->program.program;
        run_list(effect, program->instructions, program->instruction_count, work);
        if (work->program.epilogue) {
            run_list(effect, program->epilogue, program->epilogue_count, work);
        }
        return;
    }
    case SPW_WORK_UPDATE:
        run_update(effect, work);
        return;
    case SPW_WORK_REDUCE:
        run_reduce(effect, work);
        return;
    case SPW_WORK_GATHER:
        run_gather(effect, work);
        return;
    }
}
