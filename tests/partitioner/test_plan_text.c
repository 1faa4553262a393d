/* test_plan_text.c — plans go to text and back; texts that were tampered with are refused. */
#include "graphs.h"

#include <stdlib.h>
#include <string.h>

static char *print(const struct spw_plan *plan)
{
    char *text = NULL;
    struct spw_error error = {0};
    check_ok(spw_plan_print(plan, &error, spw_world_system(), &text), &error);
    return text;
}

static struct spw_plan *spilled_plan(const struct spw_graph *graph,
                                     struct spw_plan_options *options)
{
    struct spw_error error = {0};
    uint64_t least;
    check_ok(spw_plan_least_memory(spw_world_system(), graph, options, &error, &least), &error);
    options->device_bytes = least;
    struct spw_plan *plan = plan_make(graph, options);
    cr_assert(plan->shard_count > 1, "%s", graph->name);
    return plan;
}

Test(plan_text, a_printed_plan_reads_back_equal)
{
    for (int kind = 0; kind < GRAPH_KINDS; kind++) {
        struct spw_graph *graph = graph_make(spw_world_system(), (enum graph_kind)kind);
        for (int variant = 0; variant < 4; variant++) {
            struct spw_plan_options options = options_of(7, 3);
            options.double_buffer = variant % 2 == 1;
            /* Both outcomes of keep-or-recompute. */
            options.link_bytes_per_s = variant < 2 ? 1000000 : UINT64_C(1000000000000);
            struct spw_plan *plan = spilled_plan(graph, &options);
            char *text = print(plan);
            struct spw_plan *back = NULL;
            struct spw_error error = {0};
            check_ok(
                spw_plan_read(spw_world_system(), graph, &options, "plan.txt", text, &error, &back),
                &error);
            char *again = print(back);
            cr_assert(strcmp(text, again) == 0);
            cr_assert(memcmp(&plan->totals, &back->totals, sizeof(plan->totals)) == 0);
            spw_release(spw_world_system(), text);
            spw_release(spw_world_system(), again);
            spw_plan_destroy(plan);
            spw_plan_destroy(back);
        }
        spw_graph_destroy(graph);
    }
}

/* Reads a text that must be refused with a place and `part`. */
static void refuse(const struct spw_graph *graph, const struct spw_plan_options *options,
                   const char *text, const char *part)
{
    struct spw_plan *plan = NULL;
    struct spw_error error = {0};
    const enum spw_status status =
        spw_plan_read(spw_world_system(), graph, options, "plan.txt", text, &error, &plan);
    cr_assert(status == SPW_ERR_USAGE && plan == NULL, "%s: %s", spw_status_name(status), text);
    cr_assert(strncmp(error.what, "plan.txt:", 9) == 0, "%s", error.what);
    cr_assert(atoi(error.what + 9) > 0, "%s", error.what);
    cr_assert(strstr(error.what, part) != NULL, "'%s' is not in: %s", part, error.what);
}

/* The text with `from` replaced by `to`; the caller frees it. */
static char *changed(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    cr_assert(at != NULL, "'%s' is not in: %s", from, text);
    char *out = malloc(strlen(text) + strlen(to) + 1);
    memcpy(out, text, (size_t)(at - text));
    strcpy(out + (at - text), to);
    strcat(out, at + strlen(from));
    return out;
}

Test(plan_text, tampered_texts_are_refused)
{
    struct spw_graph *graph = graph_make(spw_world_system(), GRAPH_GPT);
    struct spw_plan_options options = options_of(7, 3);
    struct spw_plan *plan = spilled_plan(graph, &options);
    char *text = print(plan);
    static const char *const changes[][3] = {
        {"spillway plan 1", "spillway plan 2", "plan.txt:1:"},
        {"model gpt", "model mlp", "plan.txt:3:"},
        {"graph ", "graph f", "the plan says"},
        {"micro_batch 3", "micro_batch 4", "plan.txt:5:"},
        {"moments 2", "moments 1", "plan.txt:6:"},
        {"threads 1", "threads 2", "plan.txt:7:"},
        {"shards ", "shards 1", "the plan says"},
        {" share 1\n", " share 0\n", "the plan says"},
        {" share 1\n", " whole\n", "the plan says"},
        {"shard 0 nodes 0", "shard 0 nodes 1", "should begin at node 0"},
        {"shard 1", "shard 2", "shard 1 should begin"},
        {"shard 1 nodes", "shard 1 knots", "should read"},
        {" .. ", " .. 999", "before node"},
        {" .. ", " .. x", "should read"},
        {" recomputed ", " forgotten ", "should read"},
        {"fused", "recomputed", "the plan says"},
        {"device largest unit ", "device largest unit 1", "the plan says"},
        {"  copied in per step ", "  copied in per step 9", "the plan says"},
        {"scratch ", "scratch 1", "the plan says"},
        {"end\n", "end\nmore\n", "nothing may follow"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        char *bad = changed(text, changes[i][0], changes[i][1]);
        refuse(graph, &options, bad, changes[i][2]);
        free(bad);
    }
    spw_release(spw_world_system(), text);
    spw_plan_destroy(plan);
    spw_graph_destroy(graph);
}

Test(plan_text, a_text_cut_short_anywhere_is_refused)
{
    struct spw_graph *graph = graph_make(spw_world_system(), GRAPH_MLP);
    struct spw_plan_options options = options_of(7, 3);
    struct spw_plan *plan = spilled_plan(graph, &options);
    char *text = print(plan);
    /* The last byte is the end of a line, whose absence does no harm. */
    for (size_t bytes = strlen(text) - 1; bytes-- > 0;) {
        text[bytes] = '\0';
        if (bytes % 7 == 0) {
            refuse(graph, &options, text, "");
        }
    }
    spw_release(spw_world_system(), text);
    spw_plan_destroy(plan);
    spw_graph_destroy(graph);
}

/* Random bytes in place of others: refused, or a change of a time, but never a crash. */
Test(plan_text, random_changes_do_no_harm)
{
    struct spw_graph *graph = graph_make(spw_world_system(), GRAPH_TANGLE);
    struct spw_plan_options options = options_of(7, 3);
    struct spw_plan *plan = spilled_plan(graph, &options);
    char *text = print(plan);
    const size_t bytes = strlen(text);
    uint64_t state = 88172645463325252ULL;
    int refused = 0;
    for (int i = 0; i < 3000; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        const size_t place = (size_t)(state >> 8) % bytes;
        const char before = text[place];
        text[place] = (char)(1 + state % 255);
        struct spw_plan *back = NULL;
        struct spw_error error = {0};
        const enum spw_status status =
            spw_plan_read(spw_world_system(), graph, &options, "plan.txt", text, &error, &back);
        refused += status != SPW_OK;
        cr_assert((status == SPW_OK) == (back != NULL));
        spw_plan_destroy(back);
        text[place] = before;
    }
    cr_assert(refused > 2000);
    spw_release(spw_world_system(), text);
    spw_plan_destroy(plan);
    spw_graph_destroy(graph);
}

static uint64_t slow(void *context, const struct spw_op_desc *desc, int64_t items,
                     enum spw_pass pass)
{
    (void)context;
    return (uint64_t)desc->op * 1000 + (uint64_t)items + (uint64_t)pass;
}

/* Another machine measures other times; the plan is the same. */
Test(plan_text, times_may_differ)
{
    struct spw_graph *graph = graph_make(spw_world_system(), GRAPH_GPT);
    struct spw_plan_options options = options_of(7, 3);
    struct spw_plan *plan = spilled_plan(graph, &options);
    char *text = print(plan);
    options.measure = slow;
    struct spw_plan *back = NULL;
    struct spw_error error = {0};
    check_ok(spw_plan_read(spw_world_system(), graph, &options, "plan.txt", text, &error, &back),
             &error);
    cr_assert(back->shard_count == plan->shard_count);
    cr_assert(back->totals.step_flops == plan->totals.step_flops);
    cr_assert(back->shards[0].backward.program.time_ns != plan->shards[0].backward.program.time_ns);
    spw_release(spw_world_system(), text);
    spw_plan_destroy(plan);
    spw_plan_destroy(back);
    spw_graph_destroy(graph);
}
