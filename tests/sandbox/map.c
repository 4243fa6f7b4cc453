#include "tests/sandbox/map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"

static size_t hash(const char *key)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * 1099511628211u;
    return (size_t)(h ^ (h >> 32));
}

static struct map_slot *slot_of(const struct map *map, const char *key)
{
    size_t at = hash(key) & (map->size - 1);
    while (map->slots[at].key && strcmp(map->slots[at].key, key) != 0)
        at = (at + 1) & (map->size - 1);
    return &map->slots[at];
}

void *map_get(const struct map *map, const char *key)
{
    return map->size ? slot_of(map, key)->value : NULL;
}

static void grow(struct map *map)
{
    struct map old = *map;
    map->size = old.size ? old.size * 2 : 16;
    map->slots = mem_zero(map->size, sizeof *map->slots);
    for (size_t i = 0; i < old.size; i++)
        if (old.slots[i].key)
            *slot_of(map, old.slots[i].key) = old.slots[i];
    free(old.slots);
}

void map_put(struct map *map, const char *key, void *value)
{
    if (map->used * 4 >= map->size * 3)
        grow(map);
    struct map_slot *slot = slot_of(map, key);
    if (!slot->key) {
        slot->key = key;
        map->used++;
    }
    slot->value = value;
}

void map_done(struct map *map)
{
    free(map->slots);
    *map = (struct map){0};
}
