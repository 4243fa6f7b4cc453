/* fuzz.h - what the fuzz targets share: the function that each defines, and what it calls. */
#ifndef RECONCILED_TESTS_FUZZ_H
#define RECONCILED_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Runs the target over one input. Called by libFuzzer, or by fuzz_main.c. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* PROMISE: ends the program if `what` is false, which is how a target finds something. */
#define PROMISE(what) \
    if (!(what))      \
    promise_broken(#what, __FILE__, __LINE__)

static inline void promise_broken(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: broken promise: %s\n", file, line, what);
    abort();
}

#endif
