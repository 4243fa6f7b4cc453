/* arena.h - many small pieces of memory that are freed together. An arena of zeroes is empty; it belongs to
 * one thread at a time.
 */
#ifndef RECONCILED_BASE_ARENA_H
#define RECONCILED_BASE_ARENA_H

#include <stddef.h>

#include "clients/base/err.h"

struct arena {
    struct arena_block *blocks;
    size_t bytes; /* given out, each piece rounded up to the strictest alignment */
};

/* arena_zero: `count` zeroed objects of `size` bytes, aligned for any type. Never NULL; like mem_*, it ends
 * the process when memory is out. */
void *arena_zero(struct arena *arena, size_t count, size_t size) __attribute__((returns_nonnull));

/* arena_text: a copy; of NULL, NULL. arena_printf: a formatted text, never NULL. */
char *arena_text(struct arena *arena, const char *text);
char *arena_printf(struct arena *arena, const char *fmt, ...) ATTR_PRINTF(2, 3)
    __attribute__((returns_nonnull));

/* arena_done: frees every piece. The arena is empty afterwards and may be used again. */
void arena_done(struct arena *arena);

#endif
