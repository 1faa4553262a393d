# One job: its homes, the order of its units, what happens between them.
set(SPW_RUNTIME_JOB
    job/homes.c
    job/job.c
    job/schedule_lr.c
    job/sequence.c
    job/step.c)
