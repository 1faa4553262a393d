# Homes, the pages below them, and what is resident where.
set(SPW_RUNTIME_MEMORY
    memory/home.c
    memory/pages.c
    memory/residency.c
    memory/shadow.c)
