#include "clients/gitea/gitea_io.h"

#include <stdio.h>

#define QUERY_MAX 8u /* texts of an asker's query */
/* Pages of one list that are asked for together: none is asked for once it has failed. */
#define AT_ONCE 16u

/* A page of the list and which it is. */
struct page_ask {
    struct gitea_list *list;
    size_t number; /* from 0 */
};

static void page_replied(struct facts *facts, void *arg, const struct gitea_reply *reply);

static void page_ask(struct facts *facts, struct gitea_list *list, size_t number)
{
    struct arena *arena = facts_arena(facts);
    char page[24];
    snprintf(page, sizeof page, "%zu", number + 1);
    const char *query[QUERY_MAX + 5] = {0};
    size_t n = 0;
    for (; n < QUERY_MAX && list->query && list->query[n]; n++)
        query[n] = list->query[n];
    query[n++] = "limit";
    query[n++] = GITEA_PAGE;
    query[n++] = "page";
    query[n++] = page;
    const char *url = gitea_url(arena, list->gitea, list->segments, query);
    if (number == 0)
        list->url = url;
    struct page_ask *ask = arena_zero(arena, 1, sizeof *ask);
    *ask = (struct page_ask){.list = list, .number = number};
    list->n_asked++;
    (list->if_allowed ? gitea_ask_if_allowed : gitea_ask)(facts, list->gitea, url, list->what,
                                                          list->page_bytes, page_replied, ask);
}

void gitea_list_start(struct facts *facts, struct gitea_list *list)
{
    list->state = FACT_PENDING;
    list->pages = arena_zero(facts_arena(facts), 1, sizeof *list->pages);
    list->total = -1;
    page_ask(facts, list, 0);
}

static void list_end(struct facts *facts, struct gitea_list *list, enum fact_state state, const char *error)
{
    list->state = state;
    list->error = error;
    if (state != FACT_KNOWN) {
        list->n_pages = list->n_rows = 0;
        facts_drop(facts, &list->rows);
    }
    list->done(facts, list);
}

static void pages_make_room(struct facts *facts, struct gitea_list *list, size_t n)
{
    struct gitea_page *pages = arena_zero(facts_arena(facts), n, sizeof *pages);
    for (size_t i = 0; i < list->n_pages; i++)
        pages[i] = list->pages[i];
    list->pages = pages;
    list->n_pages = n;
}

/* With the first page in hand: are there others, and how are they asked for? */
static void first_page_read(struct facts *facts, struct gitea_list *list)
{
    size_t rows = list->pages[0].n;
    if (list->total >= 0 && (uint64_t)list->total < rows)
        list->total = -1; /* it counts something else */
    size_t total = list->total >= 0 ? (size_t)list->total : SIZE_MAX;
    if (rows == 0 || rows == total) {
        list_end(facts, list, FACT_KNOWN, NULL);
        return;
    }
    /* A page may hold less than was asked for: the server's own limit, or rows left out after paging. A
     * number of pages computed from the rows of the first one can only be too large; the further pages are
     * empty. */
    size_t pages = list->total >= 0 ? (total - 1) / rows + 1 : 2;
    if (list->total >= 0 && !list->one_by_one && pages > list->pages_max) {
        list->cut = true;
        list_end(facts, list, FACT_KNOWN, NULL);
        return;
    }
    size_t last = list->total >= 0 && !list->one_by_one ? pages : 2;
    if (list->pages_max < 2) {
        list->cut = true;
        list_end(facts, list, FACT_KNOWN, NULL);
        return;
    }
    pages_make_room(facts, list, last);
    for (size_t number = 1; number < last && number <= AT_ONCE && list->state == FACT_PENDING; number++)
        page_ask(facts, list, number);
}

/* Page after page: until all are seen, or one is empty or repeats the one before (a server that knows no
 * pages). */
static void later_page_read(struct facts *facts, struct gitea_list *list, size_t number)
{
    const struct gitea_page *page = &list->pages[number];
    bool repeats = page->n == list->pages[number - 1].n && page->mark == list->pages[number - 1].mark;
    if (repeats) {
        list->n_rows -= page->n;
        list->pages[number].n = 0;
    }
    bool all = list->total >= 0 && list->n_rows >= (size_t)list->total;
    if (all || page->n == 0) {
        list_end(facts, list, FACT_KNOWN, NULL);
    } else if (number + 1 >= list->pages_max) {
        list->cut = true;
        list_end(facts, list, FACT_KNOWN, NULL);
    } else {
        pages_make_room(facts, list, number + 2);
        page_ask(facts, list, number + 1);
    }
}

static void page_replied(struct facts *facts, void *arg, const struct gitea_reply *reply)
{
    struct page_ask *ask = arg;
    struct gitea_list *list = ask->list;
    if (list->state != FACT_PENDING) /* another page failed before this one came */
        return;
    list->n_answered++;
    if (reply->state != FACT_KNOWN) {
        list_end(facts, list, reply->state, reply->error);
        return;
    }
    struct gitea_page page = {0};
    const char *wrong = list->parse(reply->json, list->parse_arg, &list->rows.arena, &page);
    if (!facts_keep(facts, &list->rows)) {
        list_end(facts, list, FACT_FAILED,
                 arena_printf(facts_arena(facts), "Gitea's list of %s is too long to be kept", list->what));
        return;
    }
    if (wrong) {
        list_end(facts, list, FACT_FAILED,
                 arena_printf(facts_arena(facts), "Gitea's answer for %s is invalid: %s", list->what, wrong));
        return;
    }
    if (ask->number == 0) {
        list->n_pages = 1;
        list->total = reply->total;
    } else if (list->total >= 0 && reply->total >= 0 && reply->total != list->total) {
        list->shifted = true;
    }
    list->pages[ask->number] = page;
    list->n_rows += page.n;
    if (ask->number == 0)
        first_page_read(facts, list);
    else if (list->one_by_one || list->total < 0)
        later_page_read(facts, list, ask->number);
    else if (list->n_answered == list->n_pages)
        list_end(facts, list, FACT_KNOWN, NULL);
    else if (list->n_asked < list->n_pages)
        page_ask(facts, list, list->n_asked);
}
