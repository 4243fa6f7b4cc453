#include "reconcile/plane/plane_cursor.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/plane/plane.h"

void plane_cursor_begin_full(struct plane_cursor *listing)
{
    plane_cursor_done(listing);
    *listing = (struct plane_cursor){
        .under_way = true, .full = true, .floor_us = INT64_MIN, .total = -1, .newest_us = INT64_MIN};
}

void plane_cursor_begin_news(struct plane_cursor *listing, int64_t floor_us)
{
    plane_cursor_done(listing);
    *listing =
        (struct plane_cursor){.under_way = true, .floor_us = floor_us, .total = -1, .newest_us = INT64_MIN};
}

void plane_cursor_done(struct plane_cursor *listing)
{
    free(listing->shown);
    *listing = (struct plane_cursor){.under_way = false};
}

/* The array grows by powers of two, so that its size follows from `n`. */
static size_t room_for(size_t n)
{
    size_t room = 1;
    while (room < n)
        room *= 2;
    return room;
}

void plane_cursor_copy(struct plane_cursor *ret, const struct plane_cursor *listing)
{
    *ret = *listing;
    ret->shown = NULL;
    if (!listing->shown)
        return;
    ret->shown = mem_zero(room_for(listing->n_shown), sizeof *ret->shown);
    memcpy(ret->shown, listing->shown, listing->n_shown * sizeof *ret->shown);
}

/* what a full listing has shown */

static uint64_t first_bits(const char *uuid)
{
    uint64_t bits = 0;
    int digits = 0;
    for (const char *at = uuid; *at && digits < 16; at++)
        if (isxdigit((unsigned char)*at)) {
            bits = bits << 4 | (uint64_t)(isdigit((unsigned char)*at) ? *at - '0' : (*at | 0x20) - 'a' + 10);
            digits++;
        }
    return bits;
}

static int compare_bits(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void show_id(struct plane_cursor *listing, const char *issue_id)
{
    if (!listing->under_way || !listing->full)
        return;
    if (!listing->shown || listing->n_shown == room_for(listing->n_shown))
        listing->shown = mem_grow(listing->shown, room_for(listing->n_shown + 1), sizeof *listing->shown);
    listing->shown[listing->n_shown++] = first_bits(issue_id);
}

void plane_cursor_showed(struct plane_cursor *listing, const struct plane_issue *issue)
{
    show_id(listing, issue->id);
}

/* What was shown twice counts once, and takes no more room. */
static void drop_doubles(struct plane_cursor *listing)
{
    size_t kept = 0;
    if (listing->n_shown)
        qsort(listing->shown, listing->n_shown, sizeof *listing->shown, compare_bits);
    for (size_t i = 0; i < listing->n_shown; i++)
        if (i == 0 || listing->shown[i] != listing->shown[i - 1])
            listing->shown[kept++] = listing->shown[i];
    listing->shown = mem_grow(listing->shown, room_for(kept), sizeof *listing->shown);
    listing->n_shown = kept;
}

bool plane_cursor_complete(struct plane_cursor *listing, int64_t total)
{
    assert(listing->under_way && listing->full);
    size_t before = listing->n_distinct;
    drop_doubles(listing);
    listing->n_distinct = listing->n_shown;
    if (total < 0 || listing->n_distinct >= (size_t)total || listing->n_distinct == before ||
        listing->next_page >= LIMIT_PLANE_PAGES)
        return true;
    listing->next_page = 0;
    listing->total = -1;
    return false;
}

/* pages */

bool plane_cursor_page(struct plane_cursor *listing, const struct plane_page *page)
{
    size_t read = listing->next_page;
    int64_t lost = 0;
    if (read > 0 && listing->total >= 0 && page->total >= 0 && page->total < listing->total)
        lost = listing->total - page->total;
    if (listing->pages == 0 && page->n > 0)
        listing->newest_us = page->items[0].updated_us;
    for (size_t i = 0; i < page->n; i++)
        show_id(listing, page->items[i].id);
    for (size_t i = 0; i < page->n_odd; i++)
        show_id(listing, page->odd[i].id);
    listing->pages++;
    listing->total = page->total;
    if (lost > 0) {
        int64_t position = (int64_t)read * LIMIT_PLANE_PAGE;
        listing->next_page = position > lost ? (size_t)(position - lost) / LIMIT_PLANE_PAGE : 0;
        return false;
    }
    listing->next_page = read + 1;
    return !page->more || page->n + page->n_odd == 0 || listing->next_page >= LIMIT_PLANE_PAGES ||
           (page->n > 0 && page->items[page->n - 1].updated_us < listing->floor_us);
}
