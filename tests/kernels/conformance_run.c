/* conformance_run.c — operands, runs and the comparer of the conformance test. */
#include "conformance.h"

#include "base/assert.h"
#include "base/philox.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes past the end of every array that must stay as they are. */
#define GUARD_BYTES 64
#define GUARD_BYTE 0x5a

const char *const conformance_part_names[PART_COUNT] = {
    "x0", "x1", "w0", "w1", "dy", "y", "saved", "dx0", "dx1", "dw0", "dw1",
};

static void *guarded(uint64_t bytes, size_t misalignment, void **memory)
{
    *memory = aligned_alloc(64, (size_t)((bytes + misalignment + GUARD_BYTES + 63) / 64 * 64));
    SPW_ASSERT(*memory != NULL);
    unsigned char *start = (unsigned char *)*memory + misalignment;
    memset(start, 0xff, (size_t)bytes); /* NaN in every format */
    memset(start + bytes, GUARD_BYTE, GUARD_BYTES);
    return start;
}

static void check_guard(const void *start, uint64_t bytes)
{
    const unsigned char *guard = (const unsigned char *)start + bytes;
    for (int i = 0; i < GUARD_BYTES; i++) {
        SPW_ASSERT(guard[i] == GUARD_BYTE);
    }
}

static uint64_t part_bytes(const struct conformance_operands *operands, int part)
{
    return (uint64_t)operands->count[part] * operands->element;
}

double conformance_value(const struct conformance_operands *operands, enum conformance_part part,
                         int64_t index)
{
    SPW_ASSERT(index >= 0 && index < operands->count[part]);
    return operands->element == sizeof(double)
               ? ((const double *)operands->part[part])[index]
               : (double)((const float *)operands->part[part])[index];
}

void conformance_set(struct conformance_operands *operands, enum conformance_part part,
                     int64_t index, double value)
{
    SPW_ASSERT(index >= 0 && index < operands->count[part]);
    if (operands->element == sizeof(double)) {
        ((double *)operands->part[part])[index] = value;
    } else {
        ((float *)operands->part[part])[index] = (float)value;
    }
}

static void count_parts(struct conformance_operands *operands)
{
    const struct conformance_case *c = operands->c;
    const struct spw_op_desc *desc = &c->desc;
    int64_t *count = operands->count;
    const int64_t in = c->items * spw_shape_elements(&desc->in);
    const bool loss = spw_op_is_loss(desc->op);
    const bool tokens = desc->op == SPW_OP_EMBEDDING;
    count[PART_X0] = tokens ? 0 : in;
    count[PART_X1] = spw_op_inputs(desc->op) > 1 ? in : 0;
    for (int i = 0; i < spw_op_params(desc); i++) {
        const struct spw_shape shape = spw_op_param_shape(desc, i);
        count[PART_W0 + i] = spw_shape_elements(&shape);
        count[PART_DW0 + i] = count[PART_W0 + i];
    }
    count[PART_Y] = loss ? 0 : c->items * spw_shape_elements(&desc->out);
    count[PART_DY] = count[PART_Y];
    count[PART_SAVED] = (int64_t)(spw_op_saved_bytes(desc, c->items) / sizeof(float));
    count[PART_DX0] = count[PART_X0];
    count[PART_DX1] = count[PART_X1];
}

/* Numbers from -2 to 2, more of them near 0, exact in float. */
static void fill_input(struct conformance_operands *operands, int part)
{
    const int64_t count = operands->count[part];
    uint32_t *words = malloc((size_t)count * sizeof(*words));
    spw_random_words(99, (uint64_t)part, 0, (uint64_t)count, words);
    for (int64_t i = 0; i < count; i++) {
        const int32_t sum = (int32_t)(words[i] & 0xffff) + (int32_t)(words[i] >> 16) - 0xffff;
        conformance_set(operands, part, i, (double)sum * 0x1p-15);
    }
    free(words);
}

static void fill_integers(struct conformance_operands *operands)
{
    const struct conformance_case *c = operands->c;
    const struct spw_op_desc *desc = &c->desc;
    if (desc->op == SPW_OP_EMBEDDING) {
        const int64_t count = c->items * spw_shape_elements(&desc->in);
        operands->tokens = malloc((size_t)count * sizeof(int32_t));
        for (int64_t i = 0; i < count; i++) {
            operands->tokens[i] = (int32_t)(spw_random_word(7, 0, (uint64_t)i) %
                                            (uint64_t)desc->attr.embedding.vocabulary);
        }
    }
    if (spw_op_is_loss(desc->op)) {
        const int64_t rows = c->items * spw_shape_rows(&desc->in);
        const int64_t classes = desc->op == SPW_OP_LINEAR_XENT ? desc->attr.linear.out
                                                               : desc->in.dim[desc->in.rank - 1];
        operands->targets = malloc((size_t)rows * sizeof(int32_t));
        for (int64_t i = 0; i < rows; i++) {
            operands->targets[i] =
                (int32_t)(spw_random_word(8, 0, (uint64_t)i) % (uint64_t)classes);
        }
    }
}

void conformance_operands_init(struct conformance_operands *operands,
                               const struct conformance_case *c, size_t element,
                               size_t misalignment)
{
    memset(operands, 0, sizeof(*operands));
    operands->c = c;
    operands->element = element;
    operands->flags = c->flags;
    count_parts(operands);
    for (int part = 0; part < PART_COUNT; part++) {
        if (operands->count[part] > 0) {
            operands->part[part] =
                guarded(part_bytes(operands, part), misalignment, &operands->memory[part]);
        }
        if (part < PART_FIRST_OUTPUT && operands->count[part] > 0) {
            fill_input(operands, part);
        }
    }
    fill_integers(operands);
}

void conformance_coarsen(struct conformance_operands *operands)
{
    for (int part = 0; part < PART_FIRST_OUTPUT; part++) {
        for (int64_t i = 0; i < operands->count[part]; i++) {
            conformance_set(operands, part, i, rint(2 * conformance_value(operands, part, i)));
        }
    }
}

void conformance_operands_deinit(struct conformance_operands *operands)
{
    for (int part = 0; part < PART_COUNT; part++) {
        free(operands->memory[part]);
    }
    free(operands->tokens);
    free(operands->targets);
}

/* What an operation needs besides what is always given, by part. */
static bool is_given(const struct conformance_operands *operands, int part, enum spw_pass pass)
{
    const uint32_t needs = spw_op_needs(&operands->c->desc);
    if (operands->no_gradients[part]) {
        return false;
    }
    if (pass == SPW_FORWARD) {
        return part < PART_FIRST_GRADIENT && part != PART_DY;
    }
    switch (part) {
    case PART_X0:
        return (needs & SPW_NEEDS_X0) != 0;
    case PART_X1:
        return (needs & SPW_NEEDS_X1) != 0;
    case PART_W0:
    case PART_W1:
        return (needs & SPW_NEEDS_W) != 0;
    case PART_Y:
        return (needs & SPW_NEEDS_Y) != 0;
    case PART_SAVED:
        return (needs & SPW_NEEDS_SAVED) != 0;
    default:
        return true;
    }
}

static void *given(const struct conformance_operands *operands, int part, enum spw_pass pass)
{
    return is_given(operands, part, pass) ? operands->part[part] : NULL;
}

static struct spw_call call_of(struct conformance_operands *operands, enum spw_pass pass)
{
    struct spw_call call = {
        .desc = &operands->c->desc,
        .items = operands->c->items,
        .flags = operands->flags,
        .step = 3,
        .item_offset = operands->item_offset,
        .loss_scale = 0.25f,
        .x = {given(operands, PART_X0, pass), given(operands, PART_X1, pass)},
        .w = {given(operands, PART_W0, pass), given(operands, PART_W1, pass)},
        .y = given(operands, PART_Y, pass),
        .saved = given(operands, PART_SAVED, pass),
        .dy = given(operands, PART_DY, pass),
        .dx = {given(operands, PART_DX0, pass), given(operands, PART_DX1, pass)},
        .dw = {given(operands, PART_DW0, pass), given(operands, PART_DW1, pass)},
        .targets = operands->targets,
        .loss = spw_op_is_loss(operands->c->desc.op) ? &operands->loss : NULL,
    };
    if (operands->tokens != NULL) {
        call.x[0] = operands->tokens;
    }
    return call;
}

static void check_guards(const struct conformance_operands *operands)
{
    for (int part = 0; part < PART_COUNT; part++) {
        if (operands->count[part] > 0) {
            check_guard(operands->part[part], part_bytes(operands, part));
        }
    }
}

void conformance_run_plain(struct conformance_operands *operands, enum spw_pass pass)
{
    const struct spw_call call = call_of(operands, pass);
    if (operands->element == sizeof(double)) {
        conformance_reference_double(&call, pass);
    } else {
        spw_op_reference(&call, pass);
    }
    check_guards(operands);
}

void conformance_run_lane(struct conformance_operands *operands, enum spw_pass pass,
                          struct spw_lane *lane, uint32_t threads)
{
    SPW_ASSERT(operands->element == sizeof(float));
    const struct conformance_case *c = operands->c;
    struct spw_call call = call_of(operands, pass);
    uint64_t bytes = 0;
    SPW_ASSERT(spw_op_workspace_bytes(&c->desc, c->items, pass, threads, NULL, &bytes) == SPW_OK);
    void *memory;
    call.workspace = guarded(bytes, 0, &memory);
    SPW_ASSERT(spw_lane_prepare(lane, &c->desc, c->items, pass, NULL) == SPW_OK);
    SPW_ASSERT(spw_lane_run(lane, &call, pass, NULL) == SPW_OK);
    check_guard(call.workspace, bytes);
    check_guards(operands);
    free(memory);
}

const char *conformance_differ(const struct conformance_operands *a,
                               const struct conformance_operands *b, char text[160])
{
    SPW_ASSERT(a->element == sizeof(float) && b->element == sizeof(float));
    for (int part = PART_FIRST_OUTPUT; part < PART_COUNT; part++) {
        const uint32_t *bits_a = a->part[part];
        const uint32_t *bits_b = b->part[part];
        for (int64_t i = 0; i < a->count[part]; i++) {
            if (bits_a[i] != bits_b[i]) {
                (void)snprintf(text, 160, "%s[%lld]: %08x and %08x", conformance_part_names[part],
                               (long long)i, (unsigned)bits_a[i], (unsigned)bits_b[i]);
                return text;
            }
        }
    }
    if (memcmp(&a->loss, &b->loss, sizeof(a->loss)) != 0) {
        (void)snprintf(text, 160, "loss %.17g and %.17g, correct %g and %g", a->loss.sum,
                       b->loss.sum, a->loss.correct, b->loss.correct);
        return text;
    }
    return NULL;
}

static const char *compare_loss(const struct conformance_operands *want,
                                const struct conformance_operands *got, double relative,
                                char text[160])
{
    const double off = fabs(got->loss.sum - want->loss.sum);
    if (off <= relative * (1 + fabs(want->loss.sum)) && got->loss.correct == want->loss.correct) {
        return NULL;
    }
    (void)snprintf(text, 160, "loss %.9g, not %.9g; correct %g, not %g", got->loss.sum,
                   want->loss.sum, got->loss.correct, want->loss.correct);
    return text;
}

const char *conformance_compare(const struct conformance_operands *want,
                                const struct conformance_operands *got, double relative,
                                char text[160])
{
    double worst = 1;
    const char *breach = compare_loss(want, got, relative, text);
    for (int part = PART_FIRST_OUTPUT; breach == NULL && part < PART_COUNT; part++) {
        double largest = 0;
        for (int64_t i = 0; i < want->count[part]; i++) {
            largest = fmax(largest, fabs(conformance_value(want, part, i)));
        }
        for (int64_t i = 0; i < want->count[part]; i++) {
            const double a = conformance_value(want, part, i);
            const double b = conformance_value(got, part, i);
            const double allowed = relative * fmax(fabs(a), largest / 5) + 1e-30;
            const bool same = a == b || (isnan(a) && isnan(b));
            const double ratio = same ? 0 : isfinite(a - b) ? fabs(a - b) / allowed : INFINITY;
            if (ratio > worst) {
                worst = ratio;
                (void)snprintf(text, 160, "%s[%lld]: %.9g, not %.9g (largest %.3g)",
                               conformance_part_names[part], (long long)i, b, a, largest);
            }
        }
    }
    return worst > 1 ? text : breach;
}
