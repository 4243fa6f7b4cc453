#include "reconcile/plane_scan.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "reconcile/plane_listing.h"
#include "reconcile/plane_table.h"
#include "reconcile/settings.h"

enum {
    REST_INTERVALS = 10, /* how long an issue that was looked at in vain rests at most */
    SPILLED_MS = 60000   /* until a full listing that found no room begins anew */
};

/* A project of Plane's. */
struct scanned {
    const struct project *project;
    struct plane_kinds kinds;
    bool kinds_stale; /* to be read (again) before anything else */
    bool listed;      /* its first page has been read, so that watermark_us is one */
    int64_t watermark_us;
    struct plane_listing news, full;
    bool full_listed;          /* all pages of `full` are in; the news since it began are not yet */
    int64_t full_due_ms;       /* clock_mono_ms() */
    uint64_t turn, full_since; /* its newest turn; the turn in which `full` began */
    bool last_was_full;        /* what its last turn went to: the two listings alternate */
    bool spilled;              /* an issue found no room in the table: the listing does not count */
    char *error;               /* NULL: none */
    /* Of this pass: */
    bool asked, kinds_read, news_read;
    bool out; /* not to be asked again */
    bool broken_before;
};

struct plane_scan {
    const struct settings *settings;
    struct scanned *projects;
    size_t n;
    struct plane_table table;
    uint64_t turns;
    int64_t revision; /* of the settings, in the newest pass */
    /* Of this pass: */
    size_t rows;
    enum plane_result ended; /* PLANE_OK: Plane may still be asked */
    struct why why;          /* else: why not */
    bool cut;                /* reading ended for want of budget */
    size_t waiting;
};

struct plane_scan *plane_scan_new(const struct settings *settings)
{
    struct plane_scan *scan = mem_zero(1, sizeof *scan);
    scan->settings = settings;
    scan->projects = mem_zero(settings->n_projects, sizeof *scan->projects);
    for (size_t i = 0; i < settings->n_projects; i++)
        if (settings->projects[i].plane_project_id)
            scan->projects[scan->n++] =
                (struct scanned){.project = &settings->projects[i], .kinds_stale = true};
    return scan;
}

struct plane_scan *plane_scan_copy(const struct plane_scan *scan)
{
    struct plane_scan *copy = mem_zero(1, sizeof *copy);
    *copy = *scan;
    copy->projects = mem_zero(scan->n, sizeof *copy->projects);
    for (size_t i = 0; i < scan->n; i++) {
        struct scanned *to = &copy->projects[i];
        *to = scan->projects[i];
        plane_kinds_copy(&to->kinds, &scan->projects[i].kinds);
        plane_listing_copy(&to->news, &scan->projects[i].news);
        plane_listing_copy(&to->full, &scan->projects[i].full);
        to->error = mem_dup(scan->projects[i].error);
    }
    plane_table_copy(&copy->table, &scan->table);
    return copy;
}

void plane_scan_free(struct plane_scan *scan)
{
    if (!scan)
        return;
    for (size_t i = 0; i < scan->n; i++) {
        plane_kinds_done(&scan->projects[i].kinds);
        plane_listing_done(&scan->projects[i].news);
        plane_listing_done(&scan->projects[i].full);
        free(scan->projects[i].error);
    }
    free(scan->projects);
    plane_table_done(&scan->table);
    free(scan);
}

static struct scanned *scanned_of(const struct plane_scan *scan, const struct project *project)
{
    for (size_t i = 0; i < scan->n; i++)
        if (scan->projects[i].project == project)
            return &scan->projects[i];
    return NULL;
}

static void set_error(struct scanned *of, const char *words)
{
    free(of->error);
    of->error = mem_dup(words);
}

/* ---- what an answer means for the rest of the pass
 * ------------------------------------------------------------- */

/* What ends the asking: nothing else is worth a call in this pass. */
static void end_asking(struct plane_scan *scan, struct scanned *of, enum plane_result result,
                       const struct why *why)
{
    scan->ended = result;
    scan->why = *why;
    if (result == PLANE_DOWN)
        set_error(of, why->text);
}

static void heard(struct plane_scan *scan, struct scanned *of, enum plane_result result,
                  const struct why *why)
{
    if (result == PLANE_WAITING || result == PLANE_STOPPED || result == PLANE_DOWN) {
        end_asking(scan, of, result, why);
    } else if (result != PLANE_OK) {
        of->out = true;
        set_error(of, why->text);
    }
}

static void set_words(struct open_issue *issue, const char *words)
{
    free(issue->words);
    issue->words = mem_dup(words);
}

/* Whether Plane may still be asked about the issue in this pass. */
static bool may_ask(const struct plane_scan *scan, const struct scanned *of, struct open_issue *open)
{
    if (scan->ended == PLANE_OK && !of->out)
        return true;
    open->waits = scan->ended == PLANE_WAITING;
    set_words(open, scan->ended != PLANE_OK ? scan->why.text : of->error);
    return false;
}

/* What came of a call about one issue: nonsense about it is no reason to leave its project alone. */
static void heard_of_one(struct plane_scan *scan, struct scanned *of, struct open_issue *open,
                         enum plane_result result, const struct why *why)
{
    if (result == PLANE_OK)
        return;
    set_words(open, why->text);
    open->waits = result == PLANE_WAITING;
    open->vain = result == PLANE_FAILED || result == PLANE_ABSENT;
    if (!open->vain)
        end_asking(scan, of, result, why);
}

/* ---- states
 * ---------------------------------------------------------------------------------------------------- */

static enum plane_result read_kinds(struct plane_scan *scan, struct scanned *of, struct plane_call *call,
                                    struct why *why)
{
    struct plane_states states = {.n = 0};
    enum plane_result result = plane_states(call, of->project->plane_project_id, &states, why);
    if (result != PLANE_OK)
        return result;
    plane_kinds_learn(&of->kinds, &states, scan->settings->plane_states);
    plane_states_done(&states);
    of->kinds_stale = false;
    of->kinds_read = true;
    set_error(of, of->kinds.problem);
    return PLANE_OK;
}

static bool knows_all(const struct scanned *of, const struct plane_page *page)
{
    for (size_t i = 0; i < page->n; i++)
        if (*page->items[i].state && !plane_kinds_find(&of->kinds, page->items[i].state))
            return false;
    return true;
}

/* A state of an id that is unknown was made since the states were read; one that is not listed even then is
 * none of ours. */
static enum plane_result learn_states_of(struct plane_scan *scan, struct scanned *of,
                                         const struct plane_page *page, struct plane_call *call,
                                         struct why *why)
{
    if (!knows_all(of, page) && !of->kinds_read) {
        enum plane_result result = read_kinds(scan, of, call, why);
        if (result != PLANE_OK)
            return result;
    }
    for (size_t i = 0; i < page->n; i++)
        if (*page->items[i].state && !plane_kinds_find(&of->kinds, page->items[i].state))
            plane_kinds_other(&of->kinds, page->items[i].state);
    return PLANE_OK;
}

/* ---- pages
 * ----------------------------------------------------------------------------------------------------- */

static void put(struct plane_scan *scan, struct scanned *of, const struct plane_issue *issue)
{
    static const struct plane_kind none = {.kind = ISSUE_OTHER};
    const struct plane_kind *kind = *issue->state ? plane_kinds_find(&of->kinds, issue->state) : &none;
    if (!kind)
        of->kinds_stale = true; /* and what is remembered of it stays unconfirmed */
    else if (!plane_table_put(&scan->table, of->project, issue, kind, scan->turns))
        of->spilled = true;
}

/* What a page of news shows below its floor was seen before, and is of use for what is remembered alone. */
static void take_rows(struct plane_scan *scan, struct scanned *of, const struct plane_listing *listing,
                      const struct plane_page *page)
{
    for (size_t i = 0; i < page->n; i++) {
        const struct plane_issue *issue = &page->items[i];
        if (issue->updated_us < listing->floor_us && !plane_table_find(&scan->table, issue->id))
            continue;
        put(scan, of, issue);
        if (!listing->full)
            plane_listing_showed(&of->full, issue);
    }
    scan->rows += page->n;
}

static void end_full(struct plane_scan *scan, struct scanned *of)
{
    if (of->full.next_page >= LIMIT_PLANE_PAGES)
        set_error(of, "the project has more issues than are looked at; the oldest changes are left out");
    plane_table_forget(&scan->table, of->project, of->full_since);
    of->full.under_way = false;
    of->full_listed = false;
    if (of->spilled)
        of->full_due_ms = clock_mono_ms() + SPILLED_MS;
    of->spilled = false;
}

static void end_news(struct plane_scan *scan, struct scanned *of)
{
    of->news.under_way = false;
    of->news_read = true;
    if (of->spilled)
        set_error(of, "too many issues wait at once; the rest is read again later");
    else if (of->news.newest_us != INT64_MIN)
        of->watermark_us = of->news.newest_us;
    if (!of->full.under_way)
        of->spilled = false;
    if (of->full_listed && !plane_listing_complete(&of->full, of->news.total))
        of->full_listed = false;
    if (of->full_listed)
        end_full(scan, of);
}

/* The first page of the first listing is news, and where the next begin. So is a listing of a single page,
 * which nothing can have slipped through. */
static void page_of_full(struct plane_scan *scan, struct scanned *of, bool over)
{
    bool first = !of->listed, single = over && of->full.pages == 1;
    of->listed = true;
    of->full_listed = over;
    if (first || single) {
        of->watermark_us = of->full.newest_us == INT64_MIN ? 0 : of->full.newest_us;
        of->news.under_way = false;
        of->news_read = true;
    }
    if (single)
        end_full(scan, of);
}

static enum plane_result read_page(struct plane_scan *scan, struct scanned *of, struct plane_listing *listing,
                                   struct plane_call *call, struct why *why)
{
    struct plane_page page = {.n = 0};
    enum plane_result result =
        plane_issues(call, of->project->plane_project_id, listing->next_page, &page, why);
    if (result == PLANE_OK)
        result = learn_states_of(scan, of, &page, call, why);
    if (result == PLANE_OK) {
        set_error(of, of->kinds.problem);
        take_rows(scan, of, listing, &page);
        bool over = plane_listing_page(listing, &page);
        if (listing->full)
            page_of_full(scan, of, over);
        else if (over)
            end_news(scan, of);
    }
    plane_page_done(&page);
    return result;
}

/* ---- turns
 * ----------------------------------------------------------------------------------------------------- */

/* The reserve is for what is new and for what must be known before something is done, not for pages of old
 * issues. */
static bool wants_full(const struct scanned *of, int64_t now_ms, bool from_reserve)
{
    if (of->listed && from_reserve)
        return false;
    return of->full.under_way ? !of->full_listed : now_ms >= of->full_due_ms;
}

static bool wants_turn(const struct scanned *of, int64_t now_ms, bool from_reserve)
{
    return !of->out && (of->kinds_stale || !of->news_read || wants_full(of, now_ms, from_reserve));
}

static void begin_full(struct plane_scan *scan, struct scanned *of, int64_t now_ms)
{
    plane_listing_begin_full(&of->full);
    of->full_since = scan->turns;
    of->full_due_ms = now_ms + (int64_t)LIMIT_PLANE_FULL_S * 1000;
    of->spilled = false;
}

/* One call. The states are read before a full listing begins, for one may have been renamed; and in every
 * pass while one is missing. */
static enum plane_result take_turn(struct plane_scan *scan, struct scanned *of, struct plane_call *call,
                                   bool full, struct why *why)
{
    bool begins = full && !of->full.under_way;
    if (of->kinds_stale || ((begins || of->kinds.problem) && !of->kinds_read)) {
        enum plane_result result = read_kinds(scan, of, call, why);
        if (result == PLANE_OK && of->kinds.n == 0)
            of->out = true;
        return result;
    }
    if (begins)
        begin_full(scan, of, clock_mono_ms());
    else if (!full && !of->news.under_way)
        plane_listing_begin_news(&of->news, of->watermark_us - (int64_t)LIMIT_PLANE_OVERLAP_S * 1000000);
    of->last_was_full = full;
    return read_page(scan, of, full ? &of->full : &of->news, call, why);
}

static struct scanned *next_in_turn(struct plane_scan *scan, int64_t now_ms, bool from_reserve)
{
    struct scanned *next = NULL;
    for (size_t i = 0; i < scan->n; i++)
        if (wants_turn(&scan->projects[i], now_ms, from_reserve) &&
            (!next || scan->projects[i].turn < next->turn))
            next = &scan->projects[i];
    return next;
}

static void begin_pass(struct plane_scan *scan, int64_t revision)
{
    scan->rows = 0;
    scan->ended = PLANE_OK;
    scan->cut = false;
    for (size_t i = 0; i < scan->n; i++) {
        struct scanned *of = &scan->projects[i];
        of->asked = of->kinds_read = of->news_read = of->out = false;
        of->broken_before = of->error != NULL;
    }
    for (size_t i = 0; i < scan->table.n; i++) {
        struct open_issue *open = scan->table.items[i];
        open->fresh = open->settled = open->waits = open->vain = false;
        set_words(open, NULL);
        if (revision != scan->revision) {
            open->misses = 0;
            open->rest_until_ms = 0;
        }
    }
    scan->revision = revision;
}

/* Of the budget, as much as is known to be wanted for single issues, but not more than half, is left for
 * them: neither starves the other. */
static size_t calls_for_reading(const struct plane_scan *scan, const struct plane_call *call)
{
    struct plane_budget budget;
    size_t wanted = 0;
    plane_budget(call->plane, &budget);
    for (size_t i = 0; i < scan->table.n; i++)
        wanted += scan->table.items[i]->waits;
    size_t left = budget.left > 0 ? (size_t)budget.left : 0;
    if (call->forced)
        left += (size_t)budget.reserve;
    return left - (wanted < left / 2 ? wanted : left / 2);
}

static bool on_reserve(const struct plane_call *call)
{
    struct plane_budget budget;
    plane_budget(call->plane, &budget);
    return call->forced && budget.left <= 0;
}

void plane_scan_read(struct plane_scan *scan, struct plane_call *call, int64_t revision)
{
    size_t before = call->sent, allowed = calls_for_reading(scan, call);
    begin_pass(scan, revision);
    while (scan->ended == PLANE_OK && !scan->cut) {
        int64_t now_ms = clock_mono_ms();
        bool reserve = on_reserve(call);
        struct scanned *of = next_in_turn(scan, now_ms, reserve);
        if (!of)
            return;
        if (allowed > 0 && call->sent - before >= allowed) {
            scan->cut = true;
            return;
        }
        struct why why = {.text = ""};
        bool full = wants_full(of, now_ms, reserve) && (!of->listed || of->news_read || !of->last_was_full);
        of->asked = true;
        of->turn = ++scan->turns;
        enum plane_result result = take_turn(scan, of, call, full, &why);
        heard(scan, of, result, &why);
        scan->cut = result == PLANE_WAITING;
    }
}

/* ---- single issues
 * --------------------------------------------------------------------------------------------- */

size_t plane_scan_issues(const struct plane_scan *scan, int64_t now_ms, struct open_issue ***ret_issues)
{
    struct open_issue **issues = mem_zero(scan->table.n, sizeof *issues);
    size_t n = 0;
    for (size_t i = 0; i < scan->table.n; i++) {
        struct open_issue *open = scan->table.items[i];
        if (!open->gone && !open->handled && (now_ms == 0 || open->rest_until_ms <= now_ms))
            issues[n++] = open;
    }
    *ret_issues = issues;
    return n;
}

static bool is_stale(const struct open_issue *open, const struct scanned *of)
{
    return open->project == of->project && !open->fresh && !open->gone;
}

/* How many of the issues the project has yet to confirm, and when the oldest of them was touched. */
static size_t count_stale(const struct scanned *of, struct open_issue *const *issues, size_t n,
                          int64_t *ret_oldest_us)
{
    size_t stale = 0;
    *ret_oldest_us = INT64_MAX;
    for (size_t i = 0; i < n; i++)
        if (is_stale(issues[i], of)) {
            stale++;
            if (issues[i]->issue.updated_us < *ret_oldest_us)
                *ret_oldest_us = issues[i]->issue.updated_us;
        }
    return stale;
}

/* Pages show a hundred issues for one call, those touched last first; but how many pages lie above an issue
 * cannot be known. So pages are read until that has cost as much as asking for each would have. */
static void confirm_by_pages(struct plane_scan *scan, struct scanned *of, struct plane_call *call,
                             struct open_issue *const *issues, size_t n)
{
    int64_t oldest_us;
    size_t stale = count_stale(of, issues, n, &oldest_us), at = of->news_read ? of->news.next_page : 0;
    for (size_t cost = 1; stale > 1 && cost < stale && !of->out && scan->ended == PLANE_OK; cost++, at++) {
        struct plane_page page = {.n = 0};
        struct why why = {.text = ""};
        enum plane_result result = plane_issues(call, of->project->plane_project_id, at, &page, &why);
        heard(scan, of, result, &why);
        if (result != PLANE_OK)
            return;
        for (size_t i = 0; i < page.n; i++)
            if (plane_table_find(&scan->table, page.items[i].id))
                put(scan, of, &page.items[i]);
        bool below = !page.more || page.n == 0 || page.items[page.n - 1].updated_us < oldest_us;
        scan->rows += page.n;
        plane_page_done(&page);
        if (below)
            return;
        stale = count_stale(of, issues, n, &oldest_us);
    }
}

static void confirm_one(struct plane_scan *scan, struct scanned *of, struct plane_call *call,
                        struct open_issue *open)
{
    struct plane_issue issue = {.name = NULL};
    struct why why = {.text = ""};
    enum plane_result result = plane_issue(call, of->project->plane_project_id, open->issue.id, &issue, &why);
    if (result == PLANE_OK) {
        put(scan, of, &issue);
        plane_issue_done(&issue);
    }
    heard_of_one(scan, of, open, result, &why);
    open->gone |= result == PLANE_ABSENT;
}

void plane_scan_confirm(struct plane_scan *scan, struct plane_call *call, struct open_issue *const *issues,
                        size_t n)
{
    for (size_t i = 0; i < scan->n; i++) {
        struct scanned *of = &scan->projects[i];
        confirm_by_pages(scan, of, call, issues, n);
        for (size_t k = 0; k < n; k++)
            if (is_stale(issues[k], of) && may_ask(scan, of, issues[k]))
                confirm_one(scan, of, call, issues[k]);
    }
}

bool plane_scan_identify(struct plane_scan *scan, struct plane_call *call, struct open_issue *issue)
{
    struct scanned *of = scanned_of(scan, issue->project);
    struct plane_change change = {.found = false};
    struct why why = {.text = ""};
    if (issue->told && issue->fresh)
        return true;
    if (!may_ask(scan, of, issue))
        return false;
    enum plane_result result =
        plane_last_change(call, of->project->plane_project_id, issue->issue.id, &change, &why);
    heard_of_one(scan, of, issue, result, &why);
    if (result != PLANE_OK)
        return false;
    issue->change = change;
    issue->told = change.found && strcmp(change.new_state, issue->issue.state) == 0;
    issue->fresh |= issue->told;
    return true;
}

void plane_scan_rest(struct open_issue *issue, int64_t interval_ms, int64_t now_ms)
{
    int64_t most = REST_INTERVALS * interval_ms, length = interval_ms / 2;
    for (unsigned i = 0; i < issue->misses && length < most; i++)
        length *= 2;
    issue->misses++;
    issue->rest_until_ms = now_ms + (length < most ? length : most);
}

/* ---- the end
 * --------------------------------------------------------------------------------------------------- */

void plane_scan_end(struct plane_scan *scan, struct plane_scan_seen *ret)
{
    struct plane_scan_seen seen = {.rows = scan->rows};
    const char *newly = NULL, *any = NULL;
    bool was_broken = false;
    plane_table_sweep(&scan->table);
    for (size_t i = 0; i < scan->n; i++) {
        const struct scanned *of = &scan->projects[i];
        seen.projects += of->asked;
        seen.errors += of->error != NULL;
        seen.waiting += scan->cut && wants_turn(of, clock_mono_ms(), false);
        was_broken |= of->broken_before;
        if (of->error && !of->broken_before) {
            seen.broke++;
            newly = newly ? newly : of->error;
        }
        any = any ? any : of->error;
    }
    for (size_t i = 0; i < scan->table.n; i++)
        seen.waiting += scan->table.items[i]->waits;
    seen.recovered = was_broken && seen.errors == 0;
    AUTO_FREE char *words = text_cut(newly ? newly : any ? any : "", sizeof seen.words - 1);
    strncpy(seen.words, words, sizeof seen.words - 1);
    scan->waiting = seen.waiting;
    *ret = seen;
}

json_t *plane_scan_status(const struct plane_scan *scan)
{
    json_t *object = json_object(), *projects = json_array();
    for (size_t i = 0; i < scan->n; i++) {
        const struct scanned *of = &scan->projects[i];
        bool full = !of->listed || of->full.under_way;
        json_t *project = json_object();
        json_put(project, "repo", json_text(of->project->repo));
        json_put(project, "prefix", json_text(of->project->prefix));
        json_put(project, "listing", json_text(full ? "full" : "incremental"));
        json_put(project, "pages_read", json_integer((json_int_t)(full ? of->full.pages : of->news.pages)));
        json_put(project, "error", json_text(of->error));
        json_push(projects, project);
    }
    json_put(object, "waiting", json_integer((json_int_t)scan->waiting));
    json_put(object, "projects", projects);
    return object;
}
