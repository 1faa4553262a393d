# Homes and what is resident where.
set(SPW_RUNTIME_MEMORY
    memory/home.c
    memory/residency.c)
