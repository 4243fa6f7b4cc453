#include "reconcile/plane/plane_state_map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clients/base/err.h"
#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/plane/plane.h"

static const char *const members[] = {
    [ISSUE_OTHER] = NULL,
    [ISSUE_IN_PROGRESS] = "in_progress",
    [ISSUE_APPROVED] = "approved",
    [ISSUE_REJECTED] = "rejected",
};
static_assert(ARRAY_LEN(members) == ISSUE_MEANING_MAX_, "every meaning has its member");

void plane_state_map_done(struct plane_state_map *map)
{
    for (size_t i = 0; i < map->n; i++)
        free(map->items[i].name);
    free(map->items);
    free(map->problem);
    *map = (struct plane_state_map){.n = 0};
}

static struct plane_mapped_state *add(struct plane_state_map *map, const char *id, const char *name)
{
    map->items = mem_grow(map->items, map->n + 1, sizeof *map->items);
    struct plane_mapped_state *state = &map->items[map->n++];
    *state = (struct plane_mapped_state){.name = mem_dup(name)};
    strncpy(state->id, id, sizeof state->id - 1);
    return state;
}

void plane_state_map_copy(struct plane_state_map *ret, const struct plane_state_map *map)
{
    *ret = (struct plane_state_map){.problem = mem_dup(map->problem)};
    for (size_t i = 0; i < map->n; i++)
        add(ret, map->items[i].id, map->items[i].name)->meaning = map->items[i].meaning;
}

void plane_state_map_add_other(struct plane_state_map *map, const char *id)
{
    (void)add(map, id, NULL);
}

const struct plane_mapped_state *plane_state_map_find(const struct plane_state_map *map, const char *id)
{
    for (size_t i = 0; i < map->n; i++)
        if (strcmp(map->items[i].id, id) == 0)
            return &map->items[i];
    return NULL;
}

static bool same_id(const struct plane_mapped_state *state, const char *text)
{
    return strcasecmp(state->id, text) == 0;
}
static bool same_name(const struct plane_mapped_state *state, const char *text)
{
    return strcmp(state->name, text) == 0;
}
static bool like_name(const struct plane_mapped_state *state, const char *text)
{
    return text_same_letters(state->name, text);
}

static struct plane_mapped_state *find_wanted(const struct plane_state_map *map, const char *text)
{
    static bool (*const ways[])(const struct plane_mapped_state *, const char *) = {same_id, same_name,
                                                                                    like_name};
    for (size_t way = 0; way < ARRAY_LEN(ways); way++)
        for (size_t i = 0; i < map->n; i++)
            if (ways[way](&map->items[i], text))
                return &map->items[i];
    return NULL;
}

/* Finds the state of each meaning; returns a text about meanings without a state, or NULL. */
static char *assign(struct plane_state_map *map, const json_t *wanted)
{
    struct buffer missing = {.max = LIMIT_LISTED};
    for (int meaning = ISSUE_IN_PROGRESS; meaning < ISSUE_MEANING_MAX_; meaning++) {
        const char *text = json_get_text(wanted, members[meaning], "");
        struct plane_mapped_state *found = find_wanted(map, text);
        if (found && found->meaning == ISSUE_OTHER)
            found->meaning = (enum issue_meaning)meaning;
        else
            buffer_item(&missing, ", ", "\"%s\"", text);
    }
    AUTO_FREE char *names = missing.text;
    return names ? mem_printf("Plane's project has no state %s (see ORCH_PLANE_STATES_JSON)", names) : NULL;
}

static bool mean_the_same(const struct plane_state_map *before, const struct plane_state_map *now)
{
    for (size_t i = 0; i < before->n; i++) {
        const struct plane_mapped_state *state = plane_state_map_find(now, before->items[i].id);
        if (before->items[i].meaning != (state ? state->meaning : ISSUE_OTHER))
            return false;
    }
    return true;
}

bool plane_state_map_update(struct plane_state_map *map, const struct plane_states *states,
                            const json_t *wanted)
{
    struct plane_state_map found = {.n = 0};
    for (size_t i = 0; i < states->n; i++)
        (void)add(&found, states->items[i].id, states->items[i].name);
    if (states->n == 0)
        found.problem = mem_dup("Plane shows no states of this project: it may be archived");
    else
        found.problem = assign(&found, wanted);
    bool moved = !mean_the_same(map, &found);
    plane_state_map_done(map);
    *map = found;
    return moved;
}
