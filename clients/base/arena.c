#include "clients/base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK ((size_t)32 * 1024)
#define ARENA_FIRST_BLOCK ((size_t)512)

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    _Alignas(max_align_t) char bytes[];
};

void *arena_zero(struct arena *arena, size_t count, size_t size)
{
    size_t wanted;
    if (__builtin_mul_overflow(count, size, &wanted) || wanted > SIZE_MAX / 2)
        abort(); /* every count here is that of something already in memory */
    wanted = (wanted + _Alignof(max_align_t) - 1) / _Alignof(max_align_t) * _Alignof(max_align_t);
    struct arena_block *block = arena->blocks;
    if (!block || block->size - block->used < wanted) {
        size_t usual = block ? 2 * block->size : ARENA_FIRST_BLOCK;
        usual = usual < ARENA_BLOCK ? usual : ARENA_BLOCK;
        size_t bytes = wanted > usual ? wanted : usual;
        block = mem_zero(1, sizeof *block + bytes);
        block->size = bytes;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *memory = block->bytes + block->used;
    block->used += wanted;
    arena->bytes += wanted;
    return memory;
}

char *arena_text(struct arena *arena, const char *text)
{
    if (!text)
        return NULL;
    size_t size = strlen(text) + 1;
    return memcpy(arena_zero(arena, 1, size), text, size);
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    size_t size = (size_t)(len > 0 ? len : 0) + 1;
    char *text = arena_zero(arena, 1, size);
    vsnprintf(text, size, fmt, again);
    va_end(again);
    return text;
}

void arena_done(struct arena *arena)
{
    struct arena_block *next;
    for (struct arena_block *block = arena->blocks; block; block = next) {
        next = block->next;
        free(block);
    }
    *arena = (struct arena){.blocks = NULL};
}
