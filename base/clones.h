/* clones.h — SPW_CLONES before a function: compiled for three generations of x86-64, and the best
 * one for this machine is chosen when the program is loaded.
 *
 * All versions give the same bits as long as the function sums nothing in a different order: the
 * build fuses no multiply-add by itself. Where the compiler or the C library can't do it, the macro
 * is empty. So it is with clang, whose version 14 accepts the attribute but then takes x86-64-v3 on
 * every machine, and under the thread sanitizer, whose hooks in the choosing code run too early. */
#ifndef SPW_BASE_CLONES_H
#define SPW_BASE_CLONES_H

#include <stdint.h> /* defines __GLIBC__ */

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) &&       \
    !defined(__SANITIZE_THREAD__)
#define SPW_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define SPW_CLONES
#endif

#endif
