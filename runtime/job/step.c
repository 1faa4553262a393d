/* step.c — what happens between units: losses and norms are summed in their canonical order,
 * scalars of the update are computed once, new versions are committed. Tested by
 * tests/bits/. */
#include "runtime/job/job.h"

#include "base/assert.h"
#include <math.h>

/* Where there are hashes instead of numbers, a hash as a number in [0, 1). */
static double number_of(uint64_t hash)
{
    return (double)(hash >> 11) * 0x1p-53;
}

/* Where there is nothing at all, no number. */
static struct spw_loss loss_of(const struct spw_job *job, int64_t micro_batch)
{
    const char *home =
        (const char *)job->losses.home + (uint64_t)micro_batch * job->losses.stride_bytes;
    if (spw_home_has_memory(job->home)) {
        return *(const struct spw_loss *)spw_home_open(job->home, home);
    }
    if (spw_home_shadow(job->home) == NULL) {
        return (struct spw_loss){.sum = NAN, .correct = NAN};
    }
    return (struct spw_loss){
        .sum = number_of(spw_home_shadow_read(job->home, home, sizeof(struct spw_loss), "a loss"))};
}

static double rows_of(const struct spw_job *job)
{
    return (double)job->items * (double)job->config.graph->targets_per_item;
}

enum spw_status spw_job_finish_train(struct spw_job *job)
{
    const bool has_losses = spw_home_has_memory(job->home);
    double sum = 0;
    job->bad_micro_batch = -1;
    for (int64_t i = 0; i < job->micro_batches; i++) {
        const double part = loss_of(job, i).sum;
        if (has_losses && !isfinite(part) && job->bad_micro_batch < 0) {
            job->bad_micro_batch = i;
        }
        sum += part;
    }
    job->loss = sum / rows_of(job);
    return job->bad_micro_batch < 0 ? SPW_OK : SPW_ERR_NUMERIC;
}

/* Adds the partial sums of one parameter to *sum. */
static void add_partials(const struct spw_job *job, int32_t param, double *sum)
{
    const struct spw_segment *segment = job->param_segment[param];
    const double *home = job->norms[job->param_block[param]];
    const uint64_t chunks = spw_norm_chunks(segment->elements);
    if (!spw_home_has_memory(job->home)) {
        const bool has_hashes = spw_home_shadow(job->home) != NULL;
        *sum += has_hashes ? number_of(spw_home_shadow_read(job->home, home + segment->norm_offset,
                                                            chunks * sizeof(double), "the norm"))
                           : NAN;
        return;
    }
    const double *partials = spw_home_open(job->home, home);
    for (uint64_t chunk = 0; chunk < chunks; chunk++) {
        *sum += partials[segment->norm_offset + chunk];
    }
}

static const struct spw_node *last_user(const struct spw_graph *graph, int32_t param)
{
    int32_t at = graph->node_count - 1;
    while (graph->nodes[at].param[0] != param && graph->nodes[at].param[1] != param) {
        at--;
        SPW_ASSERT(at >= 0); /* every parameter has a use */
    }
    return &graph->nodes[at];
}

/* Backward goes from the loss to the data and takes bad numbers along: they began at or right
 * behind the last op whose parameter's gradient is bad. */
static enum spw_status refuse_gradient(struct spw_job *job)
{
    const struct spw_graph *graph = job->config.graph;
    int32_t param = graph->param_count;
    double sum;
    do {
        param--;
        sum = 0;
        add_partials(job, param, &sum);
    } while (isfinite(sum) && param > 0);
    const struct spw_node *node = last_user(graph, param);
    return SPW_FAIL(&job->error, SPW_ERR_NUMERIC,
                    "trial %s, step %llu: the gradient of parameter %s (op %s, %s) is not finite, "
                    "though the loss is (%g); those nearer to the loss are finite; lower lr or "
                    "set grad_clip",
                    job->id, (unsigned long long)job->now.step, graph->params[param].name,
                    node->name, spw_op_name(node->desc.op), job->loss);
}

/* fp64 partial sums over chunks of each parameter, in parameter order: docs/numerics.md. */
static enum spw_status sum_norm(struct spw_job *job)
{
    double sum = 0;
    for (int32_t i = 0; i < job->config.graph->param_count; i++) {
        add_partials(job, i, &sum);
    }
    job->norm = sqrt(sum);
    return isfinite(sum) || !spw_home_has_memory(job->home) ? SPW_OK : refuse_gradient(job);
}

enum spw_status spw_job_finish_reduce(struct spw_job *job)
{
    SPW_TRY(sum_norm(job));
    const struct spw_job_config *config = &job->config;
    const double norm = isnan(job->norm) ? 0 : job->norm; /* a simulated run may have none */
    for (int decays = 0; decays < 2; decays++) {
        job->scalars[decays ? 0 : 1] =
            spw_update_scalars(&config->optimizer, job->lr, job->now.step, norm, decays != 0);
    }
    return SPW_OK;
}

void spw_job_commit_update(struct spw_job *job, int32_t weight_block, void *weights,
                           void *const moments[2])
{
    struct spw_block *block = job->weights[weight_block];
    spw_job_give_spare(job, block->home, block->bytes);
    block->home = weights;
    block->version++;
    for (uint32_t moment = 0; moment < job->plan->options.moments; moment++) {
        void **home = &job->moments[2 * weight_block + (int32_t)moment];
        spw_job_give_spare(job, *home, block->bytes);
        *home = moments[moment];
    }
}

void spw_job_finish_eval_round(struct spw_job *job)
{
    for (int64_t i = 0; i < job->micro_batches; i++) {
        const struct spw_loss loss = loss_of(job, i);
        job->eval_sum += loss.sum;
        job->eval_correct += loss.correct;
    }
    job->eval_rows += (uint64_t)rows_of(job);
}

enum spw_status spw_job_check_weights(struct spw_job *job)
{
    const struct spw_graph *graph = job->config.graph;
    const int32_t count = spw_home_has_memory(job->home) ? graph->param_count : 0;
    for (int32_t i = 0; i < count; i++) {
        const struct spw_segment *segment = job->param_segment[i];
        const char *block = spw_home_open(job->home, job->weights[job->param_block[i]]->home);
        const float *values = (const float *)(const void *)(block + segment->offset_bytes);
        if (spw_first_nonfinite(values, segment->elements) < segment->elements) {
            return SPW_FAIL(
                &job->error, SPW_ERR_NUMERIC,
                "trial %s, step %llu: parameter %s is not finite after the last update; "
                "lower lr or set grad_clip",
                job->id, (unsigned long long)job->now.step, graph->params[i].name);
        }
    }
    return SPW_OK;
}
