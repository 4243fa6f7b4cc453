/* arena.h - memory that is given back all at once. */
#ifndef SANDBOX_ARENA_H
#define SANDBOX_ARENA_H

#include <stddef.h>

struct arena {
    struct arena_block *newest;
};

/* arena_get: zeroed. arena_text: a copy; NULL gives NULL. arena_made: from a format. */
void *arena_get(struct arena *arena, size_t size);
char *arena_text(struct arena *arena, const char *text);
char *arena_made(struct arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void arena_done(struct arena *arena);

/* A list of pointers that lives in an arena. */
struct list {
    void **items;
    size_t n, size;
};
void list_add(struct arena *arena, struct list *list, void *item);

#endif
