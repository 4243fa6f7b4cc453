#include "reconcile/sweep/report_log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/store/store.h"
#include "reconcile/heal/report.h"

struct kept {
    struct uuid_text id;
    int64_t place_us;
    size_t n_items;
    char *text; /* report_text: far smaller than the fields */
    size_t len;
};

struct report_log {
    struct store *store;
    pthread_mutex_t lock;                /* guards the rest */
    struct kept kept[LIMIT_PASSES_KEPT]; /* oldest first */
    size_t n;
    bool placed;     /* a report has been */
    int64_t last_us; /* the place of the newest */
};

struct report_log *report_log_new(struct store *store)
{
    struct report_log *reports = mem_zero(1, sizeof *reports);
    reports->store = store;
    pthread_mutex_init(&reports->lock, NULL);
    return reports;
}

void report_log_free(struct report_log *reports)
{
    if (!reports)
        return;
    for (size_t i = 0; i < reports->n; i++)
        free(reports->kept[i].text);
    pthread_mutex_destroy(&reports->lock);
    free(reports);
}

static void kept_drop_items(struct kept *kept)
{
    json_auto_t *document = report_summary_read(kept->text);
    json_int_t left_out = json_get_int(document, "items_left_out", 0) + (json_int_t)kept->n_items;
    json_put(document, "items_left_out", json_integer(left_out));
    json_put(document, "items", json_array());
    free(kept->text);
    kept->text = json_shown(document, 0);
    kept->len = strlen(kept->text);
    kept->n_items = 0;
}

static void fit_bytes(struct report_log *reports)
{
    size_t bytes = 0;
    for (size_t i = reports->n; i-- > 0;) {
        bytes += reports->kept[i].len;
        if (bytes > LIMIT_REPORTS_BYTES && i + 1 < reports->n) {
            bytes -= reports->kept[i].len;
            kept_drop_items(&reports->kept[i]);
            bytes += reports->kept[i].len;
        }
    }
}

static void remove_oldest(struct report_log *reports)
{
    free(reports->kept[0].text);
    reports->n--;
    memmove(&reports->kept[0], &reports->kept[1], reports->n * sizeof reports->kept[0]);
}

/* The place of the newest report that is stored; 0: none; -1: it is not known. */
static int64_t newest_stored(struct report_log *reports)
{
    struct store_pass_page page;
    struct why why;
    if (store_pass_list(reports->store, 0, 1, &page, &why) != ERR_OK)
        return -1;
    int64_t newest_us = page.n > 0 ? page.rows[0].started_us : 0;
    store_pass_page_done(&page);
    return newest_us;
}

int64_t report_log_place(struct report_log *reports, int64_t started_us)
{
    pthread_mutex_lock(&reports->lock);
    bool placed = reports->placed;
    pthread_mutex_unlock(&reports->lock);
    int64_t stored_us = placed ? 0 : newest_stored(reports);
    pthread_mutex_lock(&reports->lock);
    reports->placed = stored_us >= 0;
    if (reports->last_us < stored_us)
        reports->last_us = stored_us;
    int64_t place_us = started_us > reports->last_us ? started_us : reports->last_us + 1;
    reports->last_us = place_us;
    pthread_mutex_unlock(&reports->lock);
    return place_us;
}

void report_log_put(struct report_log *reports, const struct report *report)
{
    struct kept kept = {.id = report->id,
                        .place_us = report_log_place(reports, report->started_us),
                        .n_items = report->n_items,
                        .text = report_text(report)};
    kept.len = strlen(kept.text);
    pthread_mutex_lock(&reports->lock);
    if (reports->n == LIMIT_PASSES_KEPT)
        remove_oldest(reports);
    reports->kept[reports->n++] = kept;
    fit_bytes(reports);
    pthread_mutex_unlock(&reports->lock);
}

static char *kept_text(struct report_log *reports, const char *id)
{
    char *text = NULL;
    pthread_mutex_lock(&reports->lock);
    for (size_t i = 0; i < reports->n && !text; i++)
        if (strcmp(reports->kept[i].id.s, id) == 0)
            text = mem_dupn(reports->kept[i].text, reports->kept[i].len);
    pthread_mutex_unlock(&reports->lock);
    return text;
}

enum err report_log_get(struct report_log *reports, const char *id, char **ret, struct why *why)
{
    char *text = kept_text(reports, id);
    if (!text)
        return store_pass_get(reports->store, id, ret, why);
    *ret = text;
    return ERR_OK;
}

/* a page */

struct entry {
    int64_t place_us;
    struct uuid_text id;
    json_t *summary;
};

struct entries {
    struct entry *rows;
    size_t n;
};

static void entry_add(struct entries *entries, struct uuid_text id, int64_t place_us, const char *text)
{
    json_t *summary = report_summary_read(text);
    if (!summary)
        return; /* no report of ours */
    entries->rows = mem_grow(entries->rows, entries->n + 1, sizeof *entries->rows);
    entries->rows[entries->n++] = (struct entry){place_us, id, summary};
}

static void add_kept(struct report_log *reports, int64_t before_us, struct entries *entries)
{
    pthread_mutex_lock(&reports->lock);
    for (size_t i = 0; i < reports->n; i++) {
        const struct kept *kept = &reports->kept[i];
        if (!before_us || kept->place_us < before_us)
            entry_add(entries, kept->id, kept->place_us, kept->text);
    }
    pthread_mutex_unlock(&reports->lock);
}

static int newest_first(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    if (a->place_us != b->place_us)
        return a->place_us < b->place_us ? 1 : -1;
    return strcmp(b->id.s, a->id.s);
}

/* A report may have been stored although storing it returned an error; it is then in both places. */
static bool is_repeated(const struct entries *entries, size_t at)
{
    return at > 0 && strcmp(entries->rows[at - 1].id.s, entries->rows[at].id.s) == 0;
}

static json_t *page_of(const struct entries *entries, size_t limit)
{
    json_t *body = json_object(), *items = json_array();
    char next[24];
    int64_t last_us = 0;
    bool more = false;
    for (size_t i = 0; i < entries->n && !more; i++) {
        if (is_repeated(entries, i))
            continue;
        more = json_array_size(items) == limit;
        if (!more) {
            json_push(items, json_incref(entries->rows[i].summary));
            last_us = entries->rows[i].place_us;
        }
    }
    (void)snprintf(next, sizeof next, "%lld", (long long)last_us);
    json_put(body, "items", items);
    json_put(body, "next", json_text(more ? next : NULL));
    return body;
}

/* Reads one row more than a page from the database, which shows whether there is a next page. */
enum err report_log_page(struct report_log *reports, int64_t before_us, size_t limit, json_t **ret,
                         struct why *why)
{
    struct store_pass_page stored = {.n = 0};
    struct entries entries = {.n = 0};
    enum err err = store_pass_list(reports->store, before_us, limit + 1, &stored, why);
    if (err)
        return err;
    for (size_t i = 0; i < stored.n; i++)
        entry_add(&entries, stored.rows[i].id, stored.rows[i].started_us, stored.rows[i].report);
    store_pass_page_done(&stored);
    add_kept(reports, before_us, &entries);
    if (entries.n)
        qsort(entries.rows, entries.n, sizeof *entries.rows, newest_first);
    *ret = page_of(&entries, limit);
    for (size_t i = 0; i < entries.n; i++)
        json_decref(entries.rows[i].summary);
    free(entries.rows);
    return ERR_OK;
}
