#include "tests/sandbox/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"

#define BLOCK_SIZE ((size_t)64 * 1024)

struct arena_block {
    struct arena_block *older;
    size_t used, size;
    max_align_t bytes[];
};

void *arena_get(struct arena *arena, size_t size)
{
    size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    struct arena_block *block = arena->newest;
    if (!block || block->size - block->used < size) {
        size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        block = mem_zero(1, sizeof *block + room);
        block->size = room;
        block->older = arena->newest;
        arena->newest = block;
    }
    void *at = (char *)block->bytes + block->used;
    block->used += size;
    return at;
}

char *arena_text(struct arena *arena, const char *text)
{
    if (!text)
        return NULL;
    size_t size = strlen(text) + 1;
    return memcpy(arena_get(arena, size), text, size);
}

char *arena_made(struct arena *arena, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *made;
    if (vasprintf(&made, fmt, args) < 0)
        abort();
    va_end(args);
    char *text = arena_text(arena, made);
    free(made);
    return text;
}

void arena_done(struct arena *arena)
{
    while (arena->newest) {
        struct arena_block *older = arena->newest->older;
        free(arena->newest);
        arena->newest = older;
    }
}

void list_add(struct arena *arena, struct list *list, void *item)
{
    if (list->n == list->size) {
        size_t size = list->size ? list->size * 2 : 4;
        void **items = arena_get(arena, size * sizeof *items);
        if (list->n)
            memcpy(items, list->items, list->n * sizeof *items);
        list->items = items;
        list->size = size;
    }
    list->items[list->n++] = item;
}
