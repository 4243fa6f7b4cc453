#include "reconcile/plane/plane_scan_internal.h"

#include "clients/base/limits.h"
#include "reconcile/settings/settings.h"

enum { SPILLED_MS = 60000 }; /* until a full listing that found no room starts over */

/* states */

enum plane_result project_scan_states(struct plane_scan *scan, struct project_scan *of,
                                      struct plane_call *call, struct why *why)
{
    struct plane_states states = {.n = 0};
    enum plane_result result = plane_states(call, of->project->plane_project_id, &states, why);
    if (result != PLANE_OK)
        return result;
    /* What was passed by under another meaning is to be seen again. */
    if (plane_state_map_update(&of->states, &states, scan->settings->plane_states))
        of->full_due_ms = 0;
    plane_states_done(&states);
    of->states_read = of->states_fresh = true;
    of->states_read_ms = scan->pass.now_ms;
    of->states_stale = of->out = of->states.n == 0;
    project_scan_error(of, of->states.problem);
    return PLANE_OK;
}

static bool knows_all(const struct project_scan *of, const struct plane_page *page)
{
    for (size_t i = 0; i < page->n; i++)
        if (*page->items[i].state && !plane_state_map_find(&of->states, page->items[i].state))
            return false;
    return true;
}

/* A state with an unknown id was made after the states were read. If it is not listed after reading them
 * again, it is none of the three states. */
enum plane_result project_scan_states_of(struct plane_scan *scan, struct project_scan *of,
                                         const struct plane_page *page, struct plane_call *call,
                                         struct why *why)
{
    if (!knows_all(of, page) && !of->states_read) {
        enum plane_result result = project_scan_states(scan, of, call, why);
        if (result != PLANE_OK)
            return result;
    }
    for (size_t i = 0; i < page->n; i++)
        if (*page->items[i].state && !plane_state_map_find(&of->states, page->items[i].state))
            plane_state_map_add_other(&of->states, page->items[i].state);
    return PLANE_OK;
}

/* pages */

/* Rows below the floor of a page of news were seen before, and matter only for issues in the table. */
static void take_rows(struct plane_scan *scan, struct project_scan *of, const struct plane_cursor *listing,
                      const struct plane_page *page)
{
    for (size_t i = 0; i < page->n; i++) {
        const struct plane_issue *issue = &page->items[i];
        if (issue->updated_us < listing->floor_us && !open_issues_find(&scan->table, issue->id))
            continue;
        project_scan_put(scan, of, issue);
        if (!listing->full)
            plane_cursor_showed(&of->full, issue);
    }
    for (size_t i = 0; i < page->n; i++)
        odd_issues_drop(&of->odd, page->items[i].id);
    for (size_t i = 0; i < page->n_odd; i++)
        odd_issues_put(&of->odd, &page->odd[i], scan->turns);
    scan->rows += page->n;
}

static void end_full(struct plane_scan *scan, struct project_scan *of)
{
    if (of->full.next_page >= LIMIT_PLANE_PAGES)
        project_scan_error(of,
                           "the project has more issues than are looked at; the oldest changes are left out");
    open_issues_forget(&scan->table, of->project, of->full_since);
    odd_issues_forget(&of->odd, of->full_since);
    of->full.under_way = false;
    of->full_listed = false;
    if (of->spilled)
        of->full_due_ms = scan->pass.now_ms + SPILLED_MS;
    of->spilled = false;
}

static void end_news(struct plane_scan *scan, struct project_scan *of)
{
    of->news.under_way = false;
    of->news_read = true;
    if (of->spilled)
        project_scan_error(of, "too many issues wait at once; the rest is read again later");
    else if (of->news.newest_us != INT64_MIN)
        of->watermark_us = of->news.newest_us;
    if (!of->full.under_way)
        of->spilled = false;
    if (of->full_listed && !plane_cursor_complete(&of->full, of->news.total))
        of->full_listed = false;
    if (of->full_listed)
        end_full(scan, of);
}

/* The first page of the first listing counts as news and sets the watermark. So does a listing of a single
 * page, because it cannot have missed a row. */
static void page_of_full(struct plane_scan *scan, struct project_scan *of, bool over)
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

static enum plane_result read_page(struct plane_scan *scan, struct project_scan *of,
                                   struct plane_cursor *listing, struct plane_call *call, struct why *why)
{
    struct plane_page page = {.n = 0};
    enum plane_result result =
        plane_issues(call, of->project->plane_project_id, listing->next_page, &page, why);
    if (result == PLANE_OK)
        result = project_scan_states_of(scan, of, &page, call, why);
    if (result == PLANE_OK) {
        project_scan_error(of, of->states.problem);
        of->failures = 0;
        of->last_was_full = listing->full;
        take_rows(scan, of, listing, &page);
        bool over = plane_cursor_page(listing, &page);
        if (listing->full)
            page_of_full(scan, of, over);
        else if (over)
            end_news(scan, of);
    }
    plane_page_done(&page);
    return result;
}

/* turns */

/* The reserve is for news and for calls that an action needs, not for pages of old issues. */
static bool wants_full(const struct plane_scan *scan, const struct project_scan *of, bool from_reserve)
{
    if (of->listed && from_reserve)
        return false;
    return of->full.under_way ? !of->full_listed : scan->pass.now_ms >= of->full_due_ms;
}

enum want { WANT_NOTHING, WANT_STATES, WANT_NEWS, WANT_FULL };

/* The states are read before a full listing begins, because one may have been renamed, and after the news of
 * a pass while one of the three is missing. */
static enum want next_want(const struct plane_scan *scan, const struct project_scan *of, bool from_reserve)
{
    if (of->out || (!scan->pass.forced && scan->pass.now_ms < of->recheck_at_ms))
        return WANT_NOTHING;
    if (of->states_stale)
        return WANT_STATES;
    if (wants_full(scan, of, from_reserve) && (!of->listed || of->news_read || !of->last_was_full))
        return of->full.under_way || of->states_fresh ? WANT_FULL : WANT_STATES;
    if (!of->news_read)
        return WANT_NEWS;
    return of->states.problem && !of->states_read ? WANT_STATES : WANT_NOTHING;
}

bool project_scan_wants(const struct plane_scan *scan, const struct project_scan *of)
{
    return next_want(scan, of, false) != WANT_NOTHING;
}

static void begin_full(const struct plane_scan *scan, struct project_scan *of)
{
    plane_cursor_begin_full(&of->full);
    of->full_since = scan->turns;
    of->states_fresh = false;
    of->full_due_ms = scan->pass.now_ms + (int64_t)LIMIT_PLANE_FULL_S * 1000;
    of->spilled = false;
}

/* One call, or a second one where states are unknown. */
static enum plane_result take_turn(struct plane_scan *scan, struct project_scan *of, enum want want,
                                   struct plane_call *call, struct why *why)
{
    if (want == WANT_STATES)
        return project_scan_states(scan, of, call, why);
    if (want == WANT_FULL && !of->full.under_way)
        begin_full(scan, of);
    if (want == WANT_NEWS && !of->news.under_way)
        plane_cursor_begin_news(&of->news, of->watermark_us - (int64_t)LIMIT_PLANE_OVERLAP_S * 1000000);
    return read_page(scan, of, want == WANT_FULL ? &of->full : &of->news, call, why);
}

/* The one that waited longest is first. */
static struct project_scan *next_in_turn(struct plane_scan *scan, bool late, bool from_reserve)
{
    struct project_scan *next = NULL;
    for (size_t i = 0; i < scan->n; i++) {
        struct project_scan *of = &scan->projects[i];
        if (of->late == late && next_want(scan, of, from_reserve) != WANT_NOTHING &&
            (!next || of->turn < next->turn))
            next = of;
    }
    return next;
}

/* Leaves as much of the budget for single issues as the last pass lacked for them, but at most half, so that
 * neither starves the other. */
static size_t calls_for_reading(const struct plane_scan *scan, const struct plane_call *call)
{
    struct plane_budget budget;
    plane_budget(call->plane, &budget);
    size_t left = budget.left > 0 ? (size_t)budget.left : 0;
    if (call->forced)
        left += (size_t)budget.reserve;
    return left - (scan->wanted < left / 2 ? scan->wanted : left / 2);
}

static bool on_reserve(const struct plane_call *call)
{
    struct plane_budget budget;
    plane_budget(call->plane, &budget);
    return call->forced && budget.left <= 0;
}

/* Whether Plane is down depends on the number of projects in use, so the projects that will be read are
 * marked as in use. */
static void use_all(const struct plane_scan *scan, const struct plane_call *call)
{
    for (size_t i = 0; i < scan->n; i++)
        if (project_scan_wants(scan, &scan->projects[i]))
            plane_in_use(call->plane, scan->ids[i]);
}

static void read_some(struct plane_scan *scan, struct plane_call *call, bool late, int64_t until_ms)
{
    size_t before = call->sent, allowed = calls_for_reading(scan, call);
    use_all(scan, call);
    while (scan->ended == PLANE_OK && !scan->cut) {
        project_scan_probe(scan, call);
        bool reserve = on_reserve(call);
        struct project_scan *of = next_in_turn(scan, late, reserve);
        if (!of)
            return;
        if ((allowed > 0 && call->sent - before >= allowed) || clock_mono_ms() >= until_ms) {
            scan->cut = true;
            return;
        }
        struct why why = {.text = ""};
        scan->turns++;
        enum plane_result result = take_turn(scan, of, next_want(scan, of, reserve), call, &why);
        project_scan_result(scan, of, call, result, &why);
        scan->cut = result == PLANE_WAITING;
        if ((result == PLANE_WAITING && !call->refused) || result == PLANE_STOPPED) {
            scan->turns--; /* it was not asked: the next turn is still its own */
            return;
        }
        of->asked = true;
        of->turn = scan->turns;
    }
}

void plane_scan_read(struct plane_scan *scan, struct plane_call *call)
{
    read_some(scan, call, false, scan->pass.now_ms + (call->deadline_ms - scan->pass.now_ms) / 2);
}

void plane_scan_read_late(struct plane_scan *scan, struct plane_call *call)
{
    read_some(scan, call, true, call->deadline_ms);
}

bool plane_scan_is_late(const struct plane_scan *scan, const struct project *project)
{
    return project_scan_of(scan, project)->late;
}

/* states again */

/* The one whose states are the oldest. */
static struct project_scan *next_of_states(const struct plane_scan *scan)
{
    struct project_scan *next = NULL;
    for (size_t i = 0; i < scan->n; i++) {
        struct project_scan *of = &scan->projects[i];
        bool rests = !scan->pass.forced && scan->pass.now_ms < of->recheck_at_ms;
        if (!of->out && !rests && !of->states_read &&
            scan->pass.now_ms - of->states_read_ms >= LIMIT_PLANE_AGAIN_MS &&
            (!next || of->states_read_ms < next->states_read_ms))
            next = of;
    }
    return next;
}

static bool has_calls_to_spare(const struct plane_call *call)
{
    struct plane_budget budget;
    plane_budget(call->plane, &budget);
    return budget.left > budget.limit / 2;
}

void plane_scan_read_states(struct plane_scan *scan, struct plane_call *call)
{
    struct project_scan *of;
    while (scan->ended == PLANE_OK && has_calls_to_spare(call) && (of = next_of_states(scan))) {
        struct why why = {.text = ""};
        project_scan_result(scan, of, call, project_scan_states(scan, of, call, &why), &why);
    }
}
