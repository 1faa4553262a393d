# What a run leaves behind for people to look at.
set(SPW_RUNTIME_RECORD
    record/proto.c
    record/trace.c
    record/utilization.c)
