#include "reconcile/plane/plane_state_map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clients/base/err.h"
#include "clients/base/jsonx.h"
#include "clients/plane/plane.h"

static const char *const members[] = {
    [ISSUE_OTHER] = NULL,
    [ISSUE_IN_PROGRESS] = "in_progress",
    [ISSUE_APPROVED] = "approved",
    [ISSUE_REJECTED] = "rejected",
};
static_assert(ARRAY_LEN(members) == ISSUE_MEANING_MAX_, "every kind has its member");

void plane_state_map_done(struct plane_state_map *kinds)
{
    for (size_t i = 0; i < kinds->n; i++)
        free(kinds->items[i].name);
    free(kinds->items);
    free(kinds->problem);
    *kinds = (struct plane_state_map){.n = 0};
}

static struct plane_mapped_state *add(struct plane_state_map *kinds, const char *id, const char *name)
{
    kinds->items = mem_grow(kinds->items, kinds->n + 1, sizeof *kinds->items);
    struct plane_mapped_state *kind = &kinds->items[kinds->n++];
    *kind = (struct plane_mapped_state){.name = mem_dup(name)};
    strncpy(kind->id, id, sizeof kind->id - 1);
    return kind;
}

void plane_state_map_copy(struct plane_state_map *ret, const struct plane_state_map *kinds)
{
    *ret = (struct plane_state_map){.problem = mem_dup(kinds->problem)};
    for (size_t i = 0; i < kinds->n; i++)
        add(ret, kinds->items[i].id, kinds->items[i].name)->kind = kinds->items[i].kind;
}

void plane_state_map_add_other(struct plane_state_map *kinds, const char *id)
{
    (void)add(kinds, id, NULL);
}

const struct plane_mapped_state *plane_state_map_find(const struct plane_state_map *kinds, const char *id)
{
    for (size_t i = 0; i < kinds->n; i++)
        if (strcmp(kinds->items[i].id, id) == 0)
            return &kinds->items[i];
    return NULL;
}

static bool same_id(const struct plane_mapped_state *kind, const char *text)
{
    return strcasecmp(kind->id, text) == 0;
}
static bool same_name(const struct plane_mapped_state *kind, const char *text)
{
    return strcmp(kind->name, text) == 0;
}
static bool like_name(const struct plane_mapped_state *kind, const char *text)
{
    return strcasecmp(kind->name, text) == 0;
}

static struct plane_mapped_state *find_wanted(const struct plane_state_map *kinds, const char *text)
{
    static bool (*const ways[])(const struct plane_mapped_state *, const char *) = {same_id, same_name,
                                                                                    like_name};
    for (size_t way = 0; way < ARRAY_LEN(ways); way++)
        for (size_t i = 0; i < kinds->n; i++)
            if (ways[way](&kinds->items[i], text))
                return &kinds->items[i];
    return NULL;
}

/* Gives each kind its state; returns the words for those that have none, or NULL. */
static char *assign(struct plane_state_map *kinds, const json_t *wanted)
{
    AUTO_FREE char *missing = NULL;
    for (int kind = ISSUE_IN_PROGRESS; kind < ISSUE_MEANING_MAX_; kind++) {
        const char *text = json_get_text(wanted, members[kind], "");
        struct plane_mapped_state *found = find_wanted(kinds, text);
        if (found && found->kind == ISSUE_OTHER) {
            found->kind = (enum issue_meaning)kind;
            continue;
        }
        char *longer = mem_printf("%s%s\"%s\"", missing ? missing : "", missing ? ", " : "", text);
        free(missing);
        missing = longer;
    }
    if (!missing)
        return NULL;
    return mem_printf("Plane's project has no state %s (see ORCH_PLANE_STATES_JSON)", missing);
}

static bool mean_the_same(const struct plane_state_map *before, const struct plane_state_map *now)
{
    for (size_t i = 0; i < before->n; i++) {
        const struct plane_mapped_state *kind = plane_state_map_find(now, before->items[i].id);
        if (before->items[i].kind != (kind ? kind->kind : ISSUE_OTHER))
            return false;
    }
    return true;
}

bool plane_state_map_update(struct plane_state_map *kinds, const struct plane_states *states,
                            const json_t *wanted)
{
    struct plane_state_map learnt = {.n = 0};
    for (size_t i = 0; i < states->n; i++)
        (void)add(&learnt, states->items[i].id, states->items[i].name);
    if (states->n == 0)
        learnt.problem = mem_dup("Plane shows no states of this project: it may be archived");
    else
        learnt.problem = assign(&learnt, wanted);
    bool moved = !mean_the_same(kinds, &learnt);
    plane_state_map_done(kinds);
    *kinds = learnt;
    return moved;
}
