# Policies and the executor; the box's interface, run*.c and fleet.c, sits above the folders.
set(SPW_RUNTIME_SCHEDULE
    fleet.c
    run.c
    run_look.c
    schedule/admit.c
    schedule/advance.c
    schedule/choose.c
    schedule/executor.c
    schedule/feed.c
    schedule/finish.c
    schedule/issue.c
    schedule/pilot.c
    schedule/policy.c
    schedule/reserve.c
    schedule/transfers.c
    schedule/works.c)
