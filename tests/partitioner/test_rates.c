/* Tests of partitioner/rates.c: the roofline against numbers worked out by hand. */
#include "partitioner/rates.h"

#include "graphs.h"

#include <criterion/criterion.h>

static const struct spw_rates rates = {
    .flops_per_s = UINT64_C(1000000000), .memory_bytes_per_s = UINT64_C(100000000), .launch_ns = 7};

static struct spw_op_desc linear(int64_t in, int64_t out)
{
    struct spw_op_desc desc = {
        .op = SPW_OP_LINEAR, .in = {.rank = 1, .dim = {in}}, .attr.linear = {out, in, true, false}};
    cr_assert(spw_op_infer(&desc, NULL) == SPW_OK);
    return desc;
}

Test(rates, times_are_rounded_to_the_nearest)
{
    cr_assert(spw_rates_ns(8000, UINT64_C(8000000000)) == 1000);
    cr_assert(spw_rates_ns(1, UINT64_C(3000000000)) == 0);
    cr_assert(spw_rates_ns(2, UINT64_C(3000000000)) == 1);
    cr_assert(spw_rates_ns(UINT64_C(1) << 50, 1000000000) == UINT64_C(1) << 50);
}

/* 256 items of a 100 x 100 product: 5.12 MFLOP, and 51,200 + 10,000 + 100 floats. One item: 20,000
 * FLOP against 200 + 10,100 floats. */
Test(rates, the_longer_of_arithmetic_and_memory_counts)
{
    const struct spw_op_desc desc = linear(100, 100);
    cr_assert(spw_rates_op_ns(&rates, &desc, 256, SPW_FORWARD) == 7 + 5120000);
    cr_assert(spw_rates_op_ns(&rates, &desc, 1, SPW_FORWARD) == 7 + 10300 * 4 * 10);
}

/* A program's time is the sum of its calls', and an estimated plan's times are the same numbers. */
Test(rates, plans_have_the_same_times)
{
    struct spw_graph *graph = graph_chain(3, 64);
    struct spw_plan_options options = options_of(32, 8);
    options.flops_per_s = rates.flops_per_s;
    options.memory_bytes_per_s = rates.memory_bytes_per_s;
    options.launch_ns = rates.launch_ns;
    struct spw_plan *plan = plan_make(graph, &options);
    const struct spw_program *program = &plan->shards[0].backward.program;
    uint64_t sum = 0;
    for (int32_t i = 0; i < program->instruction_count; i++) {
        sum += spw_rates_op_ns(&rates, program->instructions[i].desc, 8,
                               program->instructions[i].pass);
    }
    cr_assert(program->instruction_count > 5);
    cr_assert(spw_rates_program_ns(&rates, program, 8) == sum);
    cr_assert(program->time_ns == sum, "%llu %llu", (unsigned long long)program->time_ns,
              (unsigned long long)sum);
    spw_plan_destroy(plan);
    spw_graph_destroy(graph);
}

/* The partial sums of the norm read the gradient once. */
Test(rates, an_epilogue_reads_what_it_sums)
{
    struct spw_instruction norm = {.kind = SPW_INSTRUCTION_NORM, .elements = 5000};
    const struct spw_program program = {.epilogue = &norm, .epilogue_count = 1};
    cr_assert(spw_rates_epilogue_ns(&rates, &program, 1) == 7 + 5000 * 4 * 10);
    cr_assert(spw_rates_program_ns(&rates, &program, 1) == 0);
}
