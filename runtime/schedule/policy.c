/* policy.c — see policy.h. */
#include "runtime/schedule/policy.h"

#include "base/assert.h"
#include "base/philox.h"
#include <string.h>

/* Sharded-LRTF: the job with the longest remaining time, the rest of its present batch included
 * (Hydra, arXiv 2110.08633, Algorithm 2); ties go to the unit with more bytes on the device
 * already, then to the older job. */
static int32_t choose_lrtf(const struct spw_view *view)
{
    int32_t best = -1;
    for (uint32_t i = 0; i < view->count; i++) {
        const struct spw_candidate *it = &view->candidates[i];
        const struct spw_candidate *top = best >= 0 ? &view->candidates[best] : NULL;
        if (top == NULL || it->remaining_ns > top->remaining_ns ||
            (it->remaining_ns == top->remaining_ns && it->resident_bytes > top->resident_bytes)) {
            best = (int32_t)i;
        }
    }
    return best;
}

/* Of two units of mixed jobs: a step that has begun goes before one that has not, the one nearest
 * to its end first; of those that have not, the job with the longest remaining time. */
static bool is_nearer(const struct spw_candidate *a, const struct spw_candidate *b)
{
    const bool a_begun = a->round_ns < a->step_ns;
    const bool b_begun = b->round_ns < b->step_ns;
    if (a_begun != b_begun) {
        return a_begun;
    }
    return a_begun ? a->round_ns < b->round_ns : a->remaining_ns > b->remaining_ns;
}

/* LRTF, but for jobs whose FORWARD units wait for the link while BACKWARD units leave it idle. If
 * all of them are in the same part of their steps, the link binds, then arithmetic, and each idles
 * while the other works. So a unit that copies more than it computes is taken when those taken
 * before it compute more than they copy, and the other way round; and steps are ended before others
 * are begun, so that one job goes forward while another goes back, and the next begins when the
 * first ends. Jobs more than two steps ahead of the longest wait for it. */
static int32_t choose_weave(const struct spw_view *view)
{
    const int32_t longest = choose_lrtf(view);
    const bool copies_lead = view->copy_ns > view->compute_ns;
    int32_t best = -1;
    bool best_suits = false;
    for (uint32_t i = 0; i < view->count; i++) {
        const struct spw_candidate *it = &view->candidates[i];
        const uint64_t most = view->candidates[longest].remaining_ns;
        const bool suits = (it->copy_ns > it->compute_ns) != copies_lead;
        if (!it->mixed || it->remaining_ns + 2 * it->step_ns < most) {
            continue;
        }
        if (best < 0 || (suits && !best_suits) ||
            (suits == best_suits && is_nearer(it, &view->candidates[best]))) {
            best = (int32_t)i;
            best_suits = suits;
        }
    }
    return best >= 0 ? best : longest;
}

/* First ready, first served. */
static int32_t choose_fifo(const struct spw_view *view)
{
    int32_t best = -1;
    for (uint32_t i = 0; i < view->count; i++) {
        if (best < 0 || view->candidates[i].ready_since < view->candidates[best].ready_since) {
            best = (int32_t)i;
        }
    }
    return best;
}

static int32_t choose_random(const struct spw_view *view)
{
    const uint32_t word = spw_random_word(spw_stream_key(view->seed, "policy"), 0, view->sequence);
    return view->count == 0 ? -1 : (int32_t)(((uint64_t)word * view->count) >> 32);
}

/* One job after the other: the baseline without interleaving. */
static int32_t choose_serial(const struct spw_view *view)
{
    for (uint32_t i = 0; i < view->count; i++) {
        if (view->candidates[i].job == view->first_unfinished_job) {
            return (int32_t)i;
        }
    }
    return -1;
}

static int32_t choose_replay(const struct spw_view *view)
{
    const struct spw_decision *want = view->expected;
    for (uint32_t i = 0; want != NULL && i < view->count; i++) {
        const struct spw_candidate *it = &view->candidates[i];
        if (it->job == want->job && it->group == want->group && it->kind == want->kind &&
            it->shard == want->shard && it->step == want->step &&
            it->first_micro_batch == want->first_micro_batch) {
            return (int32_t)i;
        }
    }
    return -1;
}

const char *const spw_policy_names[] = {
    [SPW_POLICY_WEAVE] = "weave",
    [SPW_POLICY_LRTF] = "lrtf",
    [SPW_POLICY_FIFO] = "fifo",
    [SPW_POLICY_RANDOM] = "random",
    [SPW_POLICY_SERIAL] = "serial",
    [SPW_POLICY_REPLAY] = "replay",
    NULL,
};

spw_policy_fn spw_policy(enum spw_policy_name name)
{
    switch (name) {
    case SPW_POLICY_WEAVE:
        return choose_weave;
    case SPW_POLICY_LRTF:
        return choose_lrtf;
    case SPW_POLICY_FIFO:
        return choose_fifo;
    case SPW_POLICY_RANDOM:
        return choose_random;
    case SPW_POLICY_SERIAL:
        return choose_serial;
    case SPW_POLICY_REPLAY:
        return choose_replay;
    }
    SPW_NEVER("a policy");
}

enum spw_status spw_policy_parse(const char *text, enum spw_policy_name *out)
{
    for (int i = 0; spw_policy_names[i] != NULL; i++) {
        if (strcmp(spw_policy_names[i], text) == 0) {
            *out = (enum spw_policy_name)i;
            return SPW_OK;
        }
    }
    return SPW_ERR_NOT_FOUND;
}
