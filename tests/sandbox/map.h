/* map.h - text to pointer. Keys are borrowed and must outlive the map; nothing is ever removed. */
#ifndef SANDBOX_MAP_H
#define SANDBOX_MAP_H

#include <stddef.h>

struct map {
    struct map_slot {
        const char *key;
        void *value;
    } *slots;
    size_t used, size; /* size is 0 or a power of two */
};

/* map_get: NULL when there is none. map_put: replaces. map_done: frees the table, not what it names. */
void *map_get(const struct map *map, const char *key);
void map_put(struct map *map, const char *key, void *value);
void map_done(struct map *map);

#endif
