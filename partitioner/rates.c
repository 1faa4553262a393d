/* rates.c — see rates.h. Tested by tests/partitioner/test_rates.c. */
#include "partitioner/rates.h"

#include "base/assert.h"

/* What a device without figures is taken for: a core or two of a desktop. */
#define DEFAULT_FLOPS_PER_S UINT64_C(50000000000)
/* FLOPs that a device does while its memory moves one byte: CPUs and GPUs are within a few times.
 */
#define FLOPS_PER_BYTE 10

struct spw_rates spw_rates_of(const struct spw_plan_options *options)
{
    const uint64_t flops_per_s = options->flops_per_s > 0 ? options->flops_per_s
                                                          : DEFAULT_FLOPS_PER_S;
    const uint64_t memory = options->memory_bytes_per_s;
    return (struct spw_rates){
        .flops_per_s = flops_per_s,
        .memory_bytes_per_s = memory > 0                     ? memory
                              : flops_per_s > FLOPS_PER_BYTE ? flops_per_s / FLOPS_PER_BYTE
                                                             : 1,
        .launch_ns = options->launch_ns,
    };
}

uint64_t spw_rates_ns(uint64_t amount, uint64_t per_s)
{
    return (uint64_t)((double)amount * 1e9 / (double)per_s + 0.5);
}

static uint64_t longer_ns(const struct spw_rates *rates, uint64_t flops, uint64_t bytes)
{
    const uint64_t compute_ns = spw_rates_ns(flops, rates->flops_per_s);
    const uint64_t memory_ns = spw_rates_ns(bytes, rates->memory_bytes_per_s);
    return rates->launch_ns + (compute_ns > memory_ns ? compute_ns : memory_ns);
}

uint64_t spw_rates_op_ns(const struct spw_rates *rates, const struct spw_op_desc *desc,
                         int64_t items, enum spw_pass pass)
{
    const struct spw_cost cost = spw_op_cost(desc, items, pass);
    return longer_ns(rates, cost.flops, cost.bytes);
}

uint64_t spw_rates_instruction_ns(const struct spw_rates *rates,
                                  const struct spw_instruction *instruction, int64_t items)
{
    switch (instruction->kind) {
    case SPW_INSTRUCTION_CALL:
        return spw_rates_op_ns(rates, instruction->desc, items, instruction->pass);
    case SPW_INSTRUCTION_NORM:
        return longer_ns(rates, 2 * instruction->elements, instruction->elements * sizeof(float));
    }
    SPW_NEVER("an instruction");
}

static uint64_t list_ns(const struct spw_rates *rates, const struct spw_instruction *instructions,
                        int32_t count, int64_t items)
{
    uint64_t sum = 0;
    for (int32_t i = 0; i < count; i++) {
        sum += spw_rates_instruction_ns(rates, &instructions[i], items);
    }
    return sum;
}

uint64_t spw_rates_program_ns(const struct spw_rates *rates, const struct spw_program *program,
                              int64_t items)
{
    return list_ns(rates, program->instructions, program->instruction_count, items);
}

uint64_t spw_rates_epilogue_ns(const struct spw_rates *rates, const struct spw_program *program,
                               int64_t items)
{
    return list_ns(rates, program->epilogue, program->epilogue_count, items);
}
