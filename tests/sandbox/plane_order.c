/* The orders in which the stand-in Plane lists issues, kept sorted until something moves. */
#include <stdlib.h>
#include <string.h>

#include "tests/sandbox/plane_world.h"

static int64_t key_of(const struct plane_issue *issue, enum plane_order order)
{
    return order == PLANE_BY_UPDATED   ? issue->updated_us
           : order == PLANE_BY_CREATED ? issue->created_us
                                       : issue->number;
}

static int compare(const struct plane_issue *a, const struct plane_issue *b, enum plane_order order)
{
    int64_t x = key_of(a, order), y = key_of(b, order);
    if (x != y)
        return x < y ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

static int by_updated(const void *a, const void *b)
{
    return compare(*(struct plane_issue *const *)a, *(struct plane_issue *const *)b, PLANE_BY_UPDATED);
}

static int by_created(const void *a, const void *b)
{
    return compare(*(struct plane_issue *const *)a, *(struct plane_issue *const *)b, PLANE_BY_CREATED);
}

static int by_number(const void *a, const void *b)
{
    return compare(*(struct plane_issue *const *)a, *(struct plane_issue *const *)b, PLANE_BY_NUMBER);
}

static void refresh(struct plane_project *project, enum plane_order order)
{
    static int (*const orders[PLANE_ORDER_MAX])(const void *, const void *) = {
        [PLANE_BY_UPDATED] = by_updated, [PLANE_BY_CREATED] = by_created, [PLANE_BY_NUMBER] = by_number};
    struct plane_view *view = &project->views[order];
    if (view->fresh)
        return;
    free(view->rows);
    view->rows = mem_zero(project->issues.n + 1, sizeof(struct plane_issue *));
    size_t n = 0;
    for (size_t i = 0; i < project->issues.n; i++)
        if (plane_visible(project->issues.items[i]))
            view->rows[n++] = project->issues.items[i];
    qsort(view->rows, n, sizeof(struct plane_issue *), orders[order]);
    project->n_visible = n;
    view->fresh = true;
}

size_t plane_count(struct plane_project *project)
{
    refresh(project, PLANE_BY_NUMBER);
    return project->n_visible;
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* The rows from `group` on that have the same key, in this call's order; positions as the list counts them.
 */
struct group {
    size_t from, to;
    struct plane_issue **rows;
};

static void group_find(struct plane_issue *const *rows, size_t n, size_t at, enum plane_order order,
                       uint64_t seed, struct group *group)
{
    size_t from = at, to = at + 1;
    int64_t key = key_of(rows[at], order);
    while (from > 0 && key_of(rows[from - 1], order) == key)
        from--;
    while (to < n && key_of(rows[to], order) == key)
        to++;
    free(group->rows);
    *group = (struct group){from, to, mem_zero(to - from, sizeof(struct plane_issue *))};
    memcpy(group->rows, rows + from, (to - from) * sizeof(struct plane_issue *));
    uint64_t random = seed ^ (uint64_t)key;
    for (size_t i = to - from; i > 1; i--) {
        size_t other = (size_t)(next_random(&random) % i);
        struct plane_issue *row = group->rows[i - 1];
        group->rows[i - 1] = group->rows[other];
        group->rows[other] = row;
    }
}

void plane_slice(struct plane_project *project, enum plane_order order, bool descending, size_t from,
                 size_t to, uint64_t seed, struct plane_issue **ret_rows)
{
    refresh(project, order);
    struct plane_issue **rows = project->views[order].rows;
    size_t n = project->n_visible;
    struct group group = {0};
    for (size_t i = from; i < to; i++) {
        size_t at = descending ? n - 1 - i : i;
        bool alone = (at == 0 || key_of(rows[at - 1], order) != key_of(rows[at], order)) &&
                     (at + 1 == n || key_of(rows[at + 1], order) != key_of(rows[at], order));
        if (alone || !project->plane->shuffle) {
            ret_rows[i - from] = rows[at];
            continue;
        }
        if (!group.rows || at < group.from || at >= group.to)
            group_find(rows, n, at, order, seed, &group);
        ret_rows[i - from] = group.rows[at - group.from];
    }
    free(group.rows);
}
