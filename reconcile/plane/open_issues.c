#include "reconcile/plane/plane_scan_internal.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"

static char *name_keep(struct open_issues *table, const char *name)
{
    if (!name)
        return NULL;
    char *kept =
        table->bytes < LIMIT_PLANE_OPEN_BYTES ? mem_dup(name) : text_cut(name, LIMIT_PLANE_OPEN_NAME);
    table->bytes += strlen(kept);
    return kept;
}

static void name_drop(struct open_issues *table, char *name)
{
    if (name)
        table->bytes -= strlen(name);
    free(name);
}

static void free_issue(struct open_issues *table, struct open_issue *open)
{
    name_drop(table, open->issue.name);
    name_drop(table, open->state_name);
    name_drop(table, open->change.actor);
    free(open->error);
    free(open);
}

void open_issues_done(struct open_issues *table)
{
    for (size_t i = 0; i < table->n; i++)
        free_issue(table, table->items[i]);
    free(table->items);
    *table = (struct open_issues){.n = 0};
}

void open_issues_copy(struct open_issues *ret, const struct open_issues *table)
{
    *ret = (struct open_issues){
        .items = mem_zero(table->n, sizeof(struct open_issue *)), .n = table->n, .bytes = table->bytes};
    for (size_t i = 0; i < table->n; i++) {
        ret->items[i] = mem_zero(1, sizeof **ret->items);
        *ret->items[i] = *table->items[i];
        ret->items[i]->issue.name = mem_dup(table->items[i]->issue.name);
        ret->items[i]->change.actor = mem_dup(table->items[i]->change.actor);
        ret->items[i]->state_name = mem_dup(table->items[i]->state_name);
        ret->items[i]->error = mem_dup(table->items[i]->error);
    }
}

/* Where the id is, or would be. */
static size_t place_of(const struct open_issues *table, const char *id)
{
    size_t from = 0, to = table->n;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (strcmp(table->items[middle]->issue.id, id) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

struct open_issue *open_issues_find(const struct open_issues *table, const char *id)
{
    size_t at = place_of(table, id);
    return at < table->n && strcmp(table->items[at]->issue.id, id) == 0 ? table->items[at] : NULL;
}

static struct open_issue *add(struct open_issues *table, const char *id)
{
    if (table->n >= LIMIT_PLANE_OPEN)
        return NULL;
    size_t at = place_of(table, id);
    table->items = mem_grow(table->items, table->n + 1, sizeof(struct open_issue *));
    memmove(&table->items[at + 1], &table->items[at], (table->n - at) * sizeof(struct open_issue *));
    table->n++;
    return table->items[at] = mem_zero(1, sizeof **table->items);
}

static bool has_changed(const struct open_issue *open, const struct plane_issue *issue)
{
    return open->issue.updated_us != issue->updated_us || strcmp(open->issue.state, issue->state) != 0;
}

void open_issues_change(struct open_issues *table, struct open_issue *open, struct plane_change *change_take)
{
    name_drop(table, open->change.actor);
    if (change_take->actor && table->bytes >= LIMIT_PLANE_OPEN_BYTES / 2) {
        free(change_take->actor);
        change_take->actor = NULL;
    }
    open->change = *change_take;
    if (open->change.actor)
        table->bytes += strlen(open->change.actor);
}

bool open_issues_put(struct open_issues *table, const struct project *project,
                     const struct plane_issue *issue, const struct plane_mapped_state *state, uint64_t turn)
{
    struct open_issue *open = open_issues_find(table, issue->id);
    if (state->meaning == ISSUE_OTHER) {
        if (open)
            open->gone = true;
        return true;
    }
    if (!open)
        open = add(table, issue->id);
    if (!open)
        return false;
    if (strcmp(open->issue.state, issue->state) != 0)
        open->since_us = issue->updated_us;
    if (has_changed(open, issue)) {
        open->acted_on = open->activity_known = false;
        open->activity_page = 0;
        open->failed = false;
        open->misses = 0;
        open->recheck_at_ms = 0;
    }
    name_drop(table, open->issue.name);
    name_drop(table, open->state_name);
    open->issue = *issue;
    open->issue.name = name_keep(table, issue->name);
    open->state_name = name_keep(table, state->name);
    open->meaning = state->meaning;
    open->project = project;
    open->shown_at = turn;
    open->confirmed = true;
    open->gone = open->settled = false;
    return true;
}

void open_issues_forget(struct open_issues *table, const struct project *project, uint64_t since)
{
    for (size_t i = 0; i < table->n; i++)
        if (table->items[i]->project == project && table->items[i]->acted_on &&
            table->items[i]->shown_at < since)
            table->items[i]->gone = true;
}

/* what cannot be read */

static struct odd_issue *odd_find(const struct odd_issues *odd, const char *id)
{
    for (size_t i = 0; i < odd->n; i++)
        if (strcmp(odd->items[i].row.id, id) == 0)
            return &odd->items[i];
    return NULL;
}

void odd_issues_put(struct odd_issues *odd, const struct plane_odd_row *row, uint64_t turn)
{
    struct odd_issue *found = odd_find(odd, row->id);
    if (!found && odd->n >= LIMIT_PLANE_ODD)
        return;
    if (!found) {
        odd->items = mem_grow(odd->items, odd->n + 1, sizeof *odd->items);
        found = &odd->items[odd->n++];
        *found = (struct odd_issue){.returned = false};
    }
    found->row = *row;
    found->shown_at = turn;
}

void odd_issues_drop(struct odd_issues *odd, const char *id)
{
    struct odd_issue *found = odd_find(odd, id);
    if (found)
        *found = odd->items[--odd->n];
}

void odd_issues_forget(struct odd_issues *odd, uint64_t since)
{
    size_t kept = 0;
    for (size_t i = 0; i < odd->n; i++)
        if (odd->items[i].shown_at >= since)
            odd->items[kept++] = odd->items[i];
    odd->n = kept;
}

/* the end of a pass */

void open_issues_sweep(struct open_issues *table)
{
    size_t kept = 0;
    for (size_t i = 0; i < table->n; i++) {
        struct open_issue *open = table->items[i];
        if (open->gone || (open->settled && !open->acted_on))
            free_issue(table, open);
        else
            table->items[kept++] = open;
    }
    table->n = kept;
}
