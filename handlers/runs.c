#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/store/store.h"
#include "handlers/app.h"
#include "handlers/fields.h"
#include "handlers/handlers.h"
#include "reconcile/heal/report.h"
#include "reconcile/sweep/sweeper.h"

void handle_runs_get(struct request *request)
{
    const struct app *app = request_app(request);
    AUTO_FREE char *id = mem_dup(request_param(request)); /* a UUID in capitals is the same UUID */
    for (char *c = id; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    AUTO_FREE char *text = NULL;
    struct why why;
    json_t *report = uuid_valid(id) ? sweeper_report(app->sweeper, id) : NULL;
    if (report) {
        answer_json(request, 200, report);
        return;
    }
    enum err err = uuid_valid(id) ? store_pass_get(app->store, id, &text, &why) : ERR_NOT_FOUND;
    if (err == ERR_NOT_FOUND)
        answer_problem(request, 404, "there is no such pass, or its report was dropped for newer ones");
    else if (err)
        answer_error(request, err, &why);
    else
        answer_text(request, 200, "application/json", text, strlen(text));
}

/* the list */

struct entry {
    int64_t started_us;
    const char *id;
    json_t *report; /* borrowed from one of the two sources */
};

/* Newest first; the same pass from both sources side by side. */
static int compare(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    if (a->started_us != b->started_us)
        return a->started_us < b->started_us ? 1 : -1;
    return strcmp(b->id, a->id);
}

static bool entry_of(json_t *report, struct entry *ret)
{
    ret->report = report;
    ret->id = json_get_text(report, "id", "");
    return instant_parse(json_get_text(report, "started_at", ""), &ret->started_us);
}

/* Reports that the database keeps, without their items, as a JSON array. */
static enum err stored_reports(struct store *store, const struct page *page, json_t **ret, struct why *why)
{
    struct store_pass_page stored = {.n = 0};
    enum err err = store_pass_list(store, page->after, page->limit + 1, &stored, why);
    if (err)
        return err;
    *ret = json_array();
    for (size_t i = 0; i < stored.n; i++) {
        json_t *summary = report_summary_read(stored.rows[i].report);
        if (summary) /* else it is none of ours */
            json_push(*ret, summary);
    }
    store_pass_page_done(&stored);
    return ERR_OK;
}

static size_t gather(json_t *const sources[2], struct entry *entries)
{
    size_t n = 0, kept = 0;
    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < json_array_size(sources[s]); i++)
            n += entry_of(json_array_get(sources[s], i), &entries[n]);
    qsort(entries, n, sizeof *entries, compare);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || strcmp(entries[kept - 1].id, entries[i].id) != 0)
            entries[kept++] = entries[i];
    return kept;
}

/* One more than a page was asked for of each source, so that it is known whether there is a next one. */
void handle_runs_list(struct request *request)
{
    const struct app *app = request_app(request);
    struct page page;
    struct why why;
    json_t *sources[2] = {NULL, NULL};
    if (!page_read(request, &page))
        return;
    enum err err = stored_reports(app->store, &page, &sources[1], &why);
    if (err) {
        answer_error(request, err, &why);
        return;
    }
    sources[0] = sweeper_reports(app->sweeper, page.after, page.limit + 1);
    AUTO_FREE struct entry *entries =
        mem_zero(json_array_size(sources[0]) + json_array_size(sources[1]) + 1, sizeof *entries);
    size_t n = gather(sources, entries);
    json_t *items = json_array(), *body = json_object();
    for (size_t i = 0; i < n && i < page.limit; i++)
        json_push(items, json_incref(entries[i].report));
    json_put(body, "items", items);
    char next[24] = "";
    if (n > page.limit)
        snprintf(next, sizeof next, "%lld", (long long)entries[page.limit - 1].started_us);
    json_put(body, "next", json_text(n > page.limit ? next : NULL));
    answer_json(request, 200, body);
    json_decref(sources[0]);
    json_decref(sources[1]);
}
