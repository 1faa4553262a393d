/* conformance.h — what test_conformance.c is made of: the cases of every op, operands in float or
 * double, runs through the plain loops or a lane, and the comparer. */
#ifndef SPW_TESTS_KERNELS_CONFORMANCE_H
#define SPW_TESTS_KERNELS_CONFORMANCE_H

#include "kernels/lane.h"
#include "kernels/op.h"

/* One shape of one op. */
struct conformance_case {
    struct spw_op_desc desc;
    int64_t items;
    uint32_t flags;
};

/* Case `index` of `op`, its output shape inferred. False past the last one. */
bool conformance_case(enum spw_op op, int index, struct conformance_case *out);
/* "conv2d 3 x 17 x 17 -> 5 x 9 x 9, 2 items"; returns `text`. */
const char *conformance_text(const struct conformance_case *c, char text[160]);

/* The operands of a call, by role. */
enum conformance_part {
    PART_X0,
    PART_X1,
    PART_W0,
    PART_W1,
    PART_DY,
    PART_Y, /* from here on outputs of some pass */
    PART_SAVED,
    PART_DX0,
    PART_DX1,
    PART_DW0,
    PART_DW1,
    PART_COUNT
};
#define PART_FIRST_OUTPUT PART_Y
#define PART_FIRST_GRADIENT PART_DX0
extern const char *const conformance_part_names[PART_COUNT];

struct conformance_operands {
    const struct conformance_case *c;
    size_t element;            /* sizeof(float) or sizeof(double) */
    int64_t count[PART_COUNT]; /* 0: the op has no such operand */
    void *part[PART_COUNT];
    void *memory[PART_COUNT]; /* what to free */
    int32_t *tokens, *targets;
    struct spw_loss loss;
    uint64_t item_offset;
    uint32_t flags;                /* of the case, and more */
    bool no_gradients[PART_COUNT]; /* pass NULL for these */
};

/* Fills the inputs with numbers that depend on the case alone and are the same in both precisions,
 * and the outputs with NaN. The pointers lie `misalignment` bytes past a multiple of 64. */
void conformance_operands_init(struct conformance_operands *operands,
                               const struct conformance_case *c, size_t element,
                               size_t misalignment);
/* Makes whole numbers from -4 to 4 of all inputs, so that many are equal. */
void conformance_coarsen(struct conformance_operands *operands);
void conformance_operands_deinit(struct conformance_operands *operands);
/* Element `index` of a part. */
double conformance_value(const struct conformance_operands *operands, enum conformance_part part,
                         int64_t index);
void conformance_set(struct conformance_operands *operands, enum conformance_part part,
                     int64_t index, double value);
/* Same bits in all outputs, and in the loss. Text of the first difference, or NULL. */
const char *conformance_differ(const struct conformance_operands *a,
                               const struct conformance_operands *b, char text[160]);

/* Runs: in the precision of the operands, by the plain loops; or through a lane, with a workspace
 * of exactly the size that the op asks for. Backward gets only what spw_op_needs() lists. Nothing
 * may be written past the end of any operand or of the workspace; that is checked here. */
void conformance_run_plain(struct conformance_operands *operands, enum spw_pass pass);
void conformance_run_lane(struct conformance_operands *operands, enum spw_pass pass,
                          struct spw_lane *lane, uint32_t threads);

/* The loops of reference*.inc in double; reference_double.c. */
void conformance_reference_double(const struct spw_call *call, enum spw_pass pass);

/* The comparer. `got` may be off by `relative` of |want|, or by a fifth of that of the largest
 * |want| of the part, whichever is more: sums of many terms lose digits by cancellation. Text of
 * the worst breach, or NULL. */
const char *conformance_compare(const struct conformance_operands *want,
                                const struct conformance_operands *got, double relative,
                                char text[160]);

#endif
