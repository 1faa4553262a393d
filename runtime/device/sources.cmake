# The device contract, its backends, machine strings and the machine's own description.
set(SPW_RUNTIME_DEVICE
    device/gate.c
    device/host.c
    device/host_check.c
    device/host_copy.c
    device/host_pace.c
    device/host_queue.c
    device/host_update.c
    device/host_work.c
    device/machine.c
    device/machine_model.c
    device/memory_limits.c
    device/sim.c
    device/sim_clock.c
    device/sim_cost.c
    device/sim_flow.c
    device/topology.c)
