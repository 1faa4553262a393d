/* pointer.h — reading and writing a pointer through the address of a pointer of unknown type.
 *
 * Functions that hand out memory take a `void *out_pointer`, so that callers need no cast: it is
 * the address of a `float *`, a `struct job *` or any other. Such a pointer may be written as a
 * `void *` only through a type that is allowed to alias. Tested by tests/base/test_world.c. */
#ifndef SPW_BASE_POINTER_H
#define SPW_BASE_POINTER_H

typedef void *__attribute__((may_alias)) spw_any_pointer;

static inline void spw_store_pointer(void *out_pointer, void *memory)
{
    *(spw_any_pointer *)out_pointer = memory;
}

static inline void *spw_load_pointer(const void *pointer)
{
    return *(const spw_any_pointer *)pointer;
}

#endif
