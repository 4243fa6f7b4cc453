#include "reconcile/plane/plane_scan_internal.h"

#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/wait.h"
#include "reconcile/settings/settings.h"

enum {
    RECHECK_INTERVALS = 10, /* how long an issue looked at without a result rests at most */
    TIRED = 2,              /* failed calls about a project's issues, after which others come first */
};

/* Whether Plane may still be asked about the issue in this pass. A project that cannot be read may be broken
 * as a whole: after the first failed call about one of its issues, no more are made. */
static bool may_ask(struct plane_scan *scan, const struct project_scan *of, struct plane_call *call,
                    struct open_issue *open)
{
    bool broken = of->out && of->misses > 0;
    if (scan->ended == PLANE_OK && !broken) {
        project_scan_probe(scan, call);
        return true;
    }
    open->no_budget = scan->ended != PLANE_OK;
    project_scan_issue_error(open, scan->ended == PLANE_STOPPED   ? "the pass had no time left for it"
                                   : scan->ended == PLANE_WAITING ? scan->why.text
                                                                  : of->error);
    return false;
}

/* The result of a call about one issue. It concerns neither the project nor Plane, except that a 429 ends all
 * calls of the pass. */
static void heard_of_one(struct plane_scan *scan, struct project_scan *of, const struct plane_call *call,
                         struct open_issue *open, enum plane_result result, const struct why *why)
{
    bool refused = result == PLANE_WAITING && call->refused;
    if (result == PLANE_OK) {
        open->misses = open->failed ? 0 : open->misses;
        open->failed = false;
        return;
    }
    project_scan_issue_error(open, why->text);
    open->no_budget = (result == PLANE_WAITING && !refused) || result == PLANE_STOPPED;
    open->useless = refused || result == PLANE_DOWN || result == PLANE_FAILED || result == PLANE_ABSENT;
    of->misses += result == PLANE_DOWN || result == PLANE_FAILED;
    if (result == PLANE_WAITING || result == PLANE_STOPPED)
        project_scan_over(scan, result, why);
}

/* The issue's own call. That there is none is an answer like any other. */
static enum plane_result read_issue(struct plane_scan *scan, struct project_scan *of, struct plane_call *call,
                                    const char *issue_id, struct plane_issue *ret, struct why *why)
{
    struct open_issue *open = open_issues_find(&scan->table, issue_id);
    enum plane_result result = plane_issue(call, of->project->plane_project_id, issue_id, ret, why);
    if (open && result == PLANE_ABSENT)
        open->gone = true;
    else if (open)
        heard_of_one(scan, of, call, open, result, why);
    else if (result == PLANE_WAITING || result == PLANE_STOPPED)
        project_scan_over(scan, result, why);
    return result;
}

static bool wants_states(const struct plane_scan *scan, const struct project_scan *of)
{
    return of->states_stale || scan->pass.now_ms - of->states_read_ms >= LIMIT_PLANE_STATES_MS;
}

/* What Plane showed of an issue whose state is known by now. */
static void show_one(const struct project_scan *of, const struct plane_issue *issue,
                     struct plane_scan_one *ret)
{
    const struct plane_mapped_state *state = plane_state_map_find(&of->states, issue->state);
    ret->found = true;
    ret->state_name = state ? state->name : NULL;
    ret->meaning = state ? state->meaning : ISSUE_OTHER;
    ret->updated_us = issue->updated_us;
    ret->problem = of->states.problem;
}

static enum plane_result read_one(struct plane_scan *scan, struct project_scan *of, struct plane_call *call,
                                  const char *issue_id, struct plane_scan_one *ret, struct why *why)
{
    struct plane_issue issue = {.name = NULL};
    enum plane_result result = wants_states(scan, of) ? project_scan_states(scan, of, call, why) : PLANE_OK;
    project_scan_result(scan, of, call, result, why);
    if (result == PLANE_OK)
        result = read_issue(scan, of, call, issue_id, &issue, why);
    if (result != PLANE_OK)
        return result;
    const struct plane_page page = {.items = &issue, .n = 1};
    result = project_scan_states_of(scan, of, &page, call, why);
    project_scan_result(scan, of, call, result, why);
    if (result == PLANE_OK) {
        project_scan_put(scan, of, &issue);
        show_one(of, &issue, ret);
    }
    plane_issue_done(&issue);
    scan->rows++;
    return result;
}

void plane_scan_read_one(struct plane_scan *scan, struct plane_call *call, const struct project *project,
                         const char *issue_id, struct plane_scan_one *ret)
{
    struct project_scan *of = project_scan_of(scan, project);
    *ret = (struct plane_scan_one){.meaning = ISSUE_OTHER};
    scan->why = (struct why){.text = ""};
    scan->turns++;
    of->asked = true;
    enum plane_result result = read_one(scan, of, call, issue_id, ret, &scan->why);
    scan->cut = result == PLANE_WAITING;
    ret->error = result == PLANE_OK || result == PLANE_ABSENT ? NULL : scan->why.text;
    ret->open = open_issues_find(&scan->table, issue_id);
    if (ret->open && ret->open->gone)
        ret->open = NULL;
}

size_t plane_scan_issues(const struct plane_scan *scan, bool resting, struct open_issue ***ret_issues)
{
    struct open_issue **issues = mem_zero(scan->table.n, sizeof(struct open_issue *));
    size_t n = 0;
    for (size_t i = 0; i < scan->table.n; i++) {
        struct open_issue *open = scan->table.items[i];
        if (!open->gone && !open->acted_on && (resting || open->recheck_at_ms <= scan->pass.now_ms))
            issues[n++] = open;
    }
    *ret_issues = issues;
    return n;
}

static bool is_stale(const struct open_issue *open, const struct project_scan *of)
{
    return open->project == of->project && !open->confirmed && !open->gone;
}

/* The number of the project's issues that are not confirmed yet, and when the oldest of them was updated. */
static size_t count_stale(const struct project_scan *of, struct open_issue *const *issues, size_t n,
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

/* One page shows a hundred issues, the newest change first, but it is not known on which page an issue is. So
 * pages are read until they have cost as many calls as asking for each issue. */
static void confirm_by_pages(struct plane_scan *scan, struct project_scan *of, struct plane_call *call,
                             struct open_issue *const *issues, size_t n)
{
    int64_t oldest_us;
    size_t stale = count_stale(of, issues, n, &oldest_us), at = of->news_read ? of->news.next_page : 0;
    for (size_t cost = 1; stale > 1 && cost < stale && !of->out && scan->ended == PLANE_OK; cost++, at++) {
        struct plane_page page = {.n = 0};
        struct why why = {.text = ""};
        enum plane_result result = plane_issues(call, of->project->plane_project_id, at, &page, &why);
        project_scan_result(scan, of, call, result, &why);
        if (result != PLANE_OK)
            return;
        for (size_t i = 0; i < page.n; i++)
            if (open_issues_find(&scan->table, page.items[i].id))
                project_scan_put(scan, of, &page.items[i]);
        bool below =
            !page.more || (page.n > 0 ? page.items[page.n - 1].updated_us < oldest_us : page.n_odd == 0);
        scan->rows += page.n;
        plane_page_done(&page);
        if (below)
            return;
        stale = count_stale(of, issues, n, &oldest_us);
    }
}

static void confirm_one(struct plane_scan *scan, struct project_scan *of, struct plane_call *call,
                        struct open_issue *open)
{
    struct plane_issue issue = {.name = NULL};
    struct why why = {.text = ""};
    enum plane_result result = plane_issue(call, of->project->plane_project_id, open->issue.id, &issue, &why);
    if (result == PLANE_OK) {
        project_scan_put(scan, of, &issue);
        plane_issue_done(&issue);
    }
    heard_of_one(scan, of, call, open, result, &why);
    open->gone |= result == PLANE_ABSENT;
}

void plane_scan_confirm(struct plane_scan *scan, struct plane_call *call, struct open_issue *const *issues,
                        size_t n)
{
    for (size_t i = 0; i < scan->n; i++)
        confirm_by_pages(scan, &scan->projects[i], call, issues, n);
    for (int patience = 0; patience < 2; patience++)
        for (size_t k = 0; k < n; k++) {
            struct project_scan *of = project_scan_of(scan, issues[k]->project);
            if (!is_stale(issues[k], of) || issues[k]->useless || (patience == 0 && of->misses >= TIRED))
                continue;
            if (may_ask(scan, of, call, issues[k]))
                confirm_one(scan, of, call, issues[k]);
        }
}

bool plane_scan_identify(struct plane_scan *scan, struct plane_call *call, struct open_issue *issue)
{
    struct project_scan *of = project_scan_of(scan, issue->project);
    struct plane_change change = {.found = false};
    struct why why = {.text = ""};
    if (issue->activity_known && issue->confirmed)
        return true;
    if (issue->activity_page > 0) /* what was read of its activities is of use while it is as it was */
        plane_scan_confirm(scan, call, &issue, 1);
    if (issue->gone)
        return true;
    if (!may_ask(scan, of, call, issue))
        return false;
    if (!issue->confirmed)
        issue->activity_page = 0;
    enum plane_result result = plane_last_change_from(call, of->project->plane_project_id, issue->issue.id,
                                                      &issue->activity_page, &change, &why);
    heard_of_one(scan, of, call, issue, result, &why);
    if (result != PLANE_OK)
        return false;
    open_issues_change(&scan->table, issue, &change);
    issue->activity_known = change.found && strcmp(change.new_state, issue->issue.state) == 0;
    issue->confirmed |= issue->activity_known;
    return true;
}

void plane_scan_recheck_later(const struct plane_scan *scan, struct open_issue *issue,
                              enum plane_recheck_cause cause)
{
    int64_t interval_ms = scan->pass.interval_ms;
    issue->misses++;
    issue->failed = cause == PLANE_RECHECK_FAILED;
    issue->recheck_at_ms =
        scan->pass.now_ms +
        (issue->failed ? project_scan_recheck_ms(scan, issue->misses)
                       : backoff_ms(interval_ms / 2, RECHECK_INTERVALS * interval_ms, issue->misses - 1));
}

bool plane_scan_tired(const struct plane_scan *scan, const struct project *project)
{
    return project_scan_of(scan, project)->misses >= TIRED;
}
