/* test_books.c — the audit of books.c finds each wrong entry, and a good run has none.
 *
 * Two jobs train on two devices with too little memory; at every decision the books are right, then
 * one entry after the other is falsified, found, and put right again. */
#include "books.h"
#include "cases.h"
#include "setting.h"

#include "runtime/schedule/executor.h"
#include <criterion/criterion.h>
#include <string.h>

struct forger {
    struct watch watch;
    uint64_t audits, pins, versions, clean, spares, outputs, outlived;
};

static void expect_right_books(const struct spw_run *run)
{
    char fault[BOOKS_FAULT_BYTES];
    cr_assert(books_fault(run, fault) == NULL, "%s", fault);
}

static void expect_fault(const struct spw_run *run, const char *words)
{
    char fault[BOOKS_FAULT_BYTES];
    cr_assert(books_fault(run, fault) != NULL, "not found: %s", words);
    cr_assert(strstr(fault, words) != NULL, "%s", fault);
}

static void forge_copy(struct forger *forger, struct spw_block *block, struct spw_residence *copy)
{
    const struct spw_run *run = forger->watch.run;
    if (copy->state == SPW_RESIDENCE_ABSENT) {
        return;
    }
    copy->pins++;
    expect_fault(run, "pins for");
    copy->pins--;
    forger->pins++;
    block->version++;
    expect_fault(run, "of an older version");
    block->version--;
    forger->versions++;
    if (copy->state == SPW_RESIDENCE_CLEAN && copy->pins == 0) {
        copy->state = SPW_RESIDENCE_LOADING;
        expect_fault(run, "half made");
        copy->state = SPW_RESIDENCE_DIRTY;
        expect_fault(run, "half made");
        copy->state = SPW_RESIDENCE_ABSENT;
        expect_fault(run, "are somebody's");
        copy->state = SPW_RESIDENCE_CLEAN;
        forger->clean++;
    }
    if (block->kind == SPW_BLOCK_GRADS && block->job->phase == SPW_PHASE_TRAIN) {
        block->job->phase = SPW_PHASE_FEED;
        expect_fault(run, "of a round that is over");
        block->job->phase = SPW_PHASE_TRAIN;
        forger->outlived++;
    }
}

static void forge_device(struct forger *forger, struct spw_place *place)
{
    const uint64_t clean = place->residency.resident_clean_bytes;
    place->residency.resident_clean_bytes += 64;
    expect_fault(forger->watch.run, "could be evicted");
    place->residency.resident_clean_bytes = clean;
    for (uint32_t i = 0; i < forger->watch.count; i++) {
        struct spw_job *job = forger->watch.jobs[i].job;
        for (uint32_t k = 0; job->home != NULL && k < job->block_count; k++) {
            forge_copy(forger, &job->blocks[k], &job->blocks[k].at[place->index]);
        }
    }
}

static void forge_job(struct forger *forger, struct spw_job *job,
                      const struct spw_decision *decision)
{
    const struct spw_run *run = forger->watch.run;
    job->units_in_flight++;
    expect_fault(run, "units are under way");
    job->units_in_flight--;
    job->home_bytes += 64;
    expect_fault(run, "bytes of homes are taken");
    job->home_bytes -= 64;
    if (job->phase == SPW_PHASE_TRAIN && job->spare_count > 0) {
        void *home = job->spares[0].home;
        job->spares[0].home = NULL;
        expect_fault(run, "no update is under way");
        job->spares[0].home = home;
        forger->spares++;
    }
    if (job->index == decision->job && decision->kind == SPW_UNIT_FORWARD) {
        job->chains[0].completed++;
        expect_fault(run, "'s turn");
        job->chains[0].completed--;
        struct spw_landing *landing =
            &job->cuts[decision->shard + 1].landing[decision->first_micro_batch];
        const struct spw_landing before = *landing;
        landing->state = SPW_LANDED;
        expect_fault(run, "counts as made");
        *landing = before;
        forger->outputs++;
    }
}

static void on_decision(void *self, const struct spw_decision *decision)
{
    struct forger *forger = self;
    struct spw_run *run = forger->watch.run;
    expect_right_books(run);
    forger->audits++;
    for (uint32_t i = 0; i < spw_run_device_count(run); i++) {
        forge_device(forger, &run->places[i]);
    }
    for (uint32_t i = 0; i < forger->watch.count; i++) {
        if (forger->watch.jobs[i].job->home != NULL) {
            forge_job(forger, forger->watch.jobs[i].job, decision);
        }
    }
    expect_right_books(run);
}

Test(books, each_wrong_entry_is_found)
{
    struct bits_case it;
    bits_case_init(&it, 0);
    struct oracle_result want = oracle_train(&it.config, 1, false);
    for (int on_device = 0; on_device < 2; on_device++) {
        struct forger forger = {.watch = {.self = &forger, .on_decision = on_decision}};
        struct spw_run_config config = setting_config(2, setting_least_memory(&it.config) * 5 / 4);
        config.update_place = on_device;
        setting_open(&forger.watch, &config);
        setting_add(&forger.watch, &it.config, &want);
        setting_add(&forger.watch, &it.config, &want);
        cr_assert(spw_run_execute(forger.watch.run, NULL) == SPW_OK);
        expect_right_books(forger.watch.run);
        setting_expect_right(&forger.watch, 0, "falsified and put right");
        setting_expect_right(&forger.watch, 1, "falsified and put right");
        cr_assert(forger.audits > 50 && forger.pins > 50 && forger.versions > 50);
        cr_assert(forger.clean > 10 && forger.spares > 10 && forger.outputs > 10);
        cr_assert(forger.outlived > 0 || on_device == 0);
        spw_run_destroy(forger.watch.run);
    }
    oracle_free(&want);
    bits_case_deinit(&it);
}
