/* rates.c — see rates.h. Tested by tests/partitioner/test_rates.c. */
#include "partitioner/rates.h"

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

static uint64_t list_ns(const struct spw_rates *rates, const struct spw_instruction *instructions,
                        int32_t count, int64_t items)
{
    uint64_t sum = 0;
    for (int32_t i = 0; i < count; i++) {
        const struct spw_instruction *instruction = &instructions[i];
        switch (instruction->kind) {
        case SPW_INSTRUCTION_CALL:
            sum += spw_rates_op_ns(rates, instruction->desc, items, instruction->pass);
            break;
        case SPW_INSTRUCTION_NORM:
            sum +=
                longer_ns(rates, 2 * instruction->elements, instruction->elements * sizeof(float));
            break;
        }
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
