/* plane_cursor.h - the position of a listing of a project's issues, whose rows move while it is read. Pure;
 * one thread.
 *
 * Plane pages by offset, newest change first. While pages are read, issues that are touched or made go to the
 * top and push the others down: some rows come twice and none is missed, and the next listing of news shows
 * the issues that went to the top. Issues that are archived or deleted pull the others up: rows between two
 * pages may be missed, at most as many as total_count went down by, so the listing goes back by that many
 * rows. Rows with equal times have no fixed order and may change places across the border of a page. So a
 * full listing that has shown fewer different issues than Plane counts is read once more.
 */
#ifndef RECONCILED_PLANE_CURSOR_H
#define RECONCILED_PLANE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct plane_issue;
struct plane_page;

struct plane_cursor {
    bool under_way;
    bool full;         /* to the last row; otherwise down to floor_us */
    int64_t floor_us;  /* rows older than this are known already */
    size_t next_page;  /* to be asked for */
    size_t pages;      /* read so far, those that were read twice included */
    int64_t total;     /* total_count as of the newest page; -1: not given */
    int64_t newest_us; /* of the first row when it began; INT64_MIN: there was none */
    /* Of a full one: the issues it has shown, by the first 64 bits of their ids; private. */
    uint64_t *shown;
    size_t n_shown, n_distinct;
};

/* plane_cursor_begin: a full listing, or one of the rows that are not older than floor_us. */
void plane_cursor_begin_full(struct plane_cursor *listing);
void plane_cursor_begin_news(struct plane_cursor *listing, int64_t floor_us);
/* plane_cursor_done: frees what it holds. plane_cursor_copy: a copy of its own. */
void plane_cursor_done(struct plane_cursor *listing);
void plane_cursor_copy(struct plane_cursor *ret, const struct plane_cursor *listing);

/* plane_cursor_page: takes in page `next_page`. True: no further page is needed. For a full listing, call
 * plane_cursor_complete then. */
bool plane_cursor_page(struct plane_cursor *listing, const struct plane_page *page);

/* plane_cursor_showed: marks an issue as seen by other means during a full listing. */
void plane_cursor_showed(struct plane_cursor *listing, const struct plane_issue *issue);

/* plane_cursor_complete: call it when the last page of a full listing and the news since it began have been
 * read. True: the listing has shown as many issues as Plane counts (`total`; -1: not given), or reading it
 * once more showed no further issue. False: it starts again from the first page. */
bool plane_cursor_complete(struct plane_cursor *listing, int64_t total);

#endif
