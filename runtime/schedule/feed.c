/* feed.c — rounds of a job and their data: while one round is worked on, the host cores gather the
 * batch of the next into the other of two feeds. */
#include "runtime/schedule/executor.h"

static bool eval_is_due(const struct spw_job *job, uint64_t step)
{
    if (job->valid_cursor == NULL) {
        return false;
    }
    const uint64_t every = job->config.eval_every;
    return step == job->steps || (every > 0 && step % every == 0);
}

bool spw_executor_next_round(const struct spw_job *job, const struct spw_round *round,
                             struct spw_round *out)
{
    if (round->eval_round == 0 && eval_is_due(job, round->step)) {
        *out = (struct spw_round){.step = round->step, .eval_round = 1};
        return true;
    }
    if (round->eval_round > 0 && round->eval_round < job->eval_rounds) {
        *out = (struct spw_round){.step = round->step, .eval_round = round->eval_round + 1};
        return true;
    }
    *out = (struct spw_round){.step = round->step + 1};
    return round->step < job->steps;
}

static bool request(struct spw_run *run, struct spw_job *job, uint64_t round_number,
                    const struct spw_round *round)
{
    struct spw_place *cores = &run->places[run->device_count];
    struct spw_feed *feed = &job->feeds[round_number % 2];
    struct spw_cursor *cursor = round->eval_round > 0 ? job->valid_cursor : job->train_cursor;
    const uint64_t step = round->eval_round > 0 ? round->eval_round : round->step;
    const struct spw_work work = {
        .kind = SPW_WORK_GATHER,
        .gather =
            {
                .cursor = cursor,
                .step = step,
                .count = spw_cursor_items(cursor, step),
                .micro_batch = job->config.micro_batch,
                .x = spw_home_offset(job->home, feed->x),
                .x_stride_bytes = job->x_stride_bytes,
                .targets = spw_home_offset(job->home, feed->targets),
                .targets_stride_bytes = job->targets_stride_bytes,
            },
    };
    uint64_t ticket;
    if (cores->device->backend->submit(cores->device, &work, NULL, 0, &ticket) != SPW_OK) {
        return false; /* the queue is full: asked again when something has finished */
    }
    feed->requested = true;
    feed->valid = false;
    job->gathers++;
    spw_executor_note(cores, SPW_QUEUE_COMPUTE, ticket,
                      (struct spw_command){.what = SPW_COMMAND_GATHER,
                                           .job = job,
                                           .index = (int64_t)(round_number % 2)});
    return true;
}

void spw_executor_feed(struct spw_run *run, struct spw_job *job)
{
    if (job->failing || job->phase == SPW_PHASE_OVER) {
        return;
    }
    if (!job->feeds[job->round % 2].requested && !request(run, job, job->round, &job->now)) {
        return;
    }
    struct spw_round next;
    if (!job->feeds[(job->round + 1) % 2].requested &&
        spw_executor_next_round(job, &job->now, &next)) {
        (void)request(run, job, job->round + 1, &next);
    }
}
