#include "reconcile/plane/plane_scan_internal.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/wait.h"
#include "reconcile/settings/settings.h"

enum { FAILED_WAITS = 4 }; /* turns of each project for which one that failed may be put back */

struct plane_scan *plane_scan_new(const struct settings *settings)
{
    struct plane_scan *scan = mem_zero(1, sizeof *scan);
    scan->settings = settings;
    scan->projects = mem_zero(settings->n_projects, sizeof *scan->projects);
    scan->ids = mem_zero(settings->n_projects, sizeof *scan->ids);
    for (size_t i = 0; i < settings->n_projects; i++) {
        if (!settings->projects[i].plane_project_id)
            continue;
        scan->ids[scan->n] = settings->projects[i].plane_project_id;
        scan->projects[scan->n++] =
            (struct project_scan){.project = &settings->projects[i], .states_stale = true};
    }
    return scan;
}

struct plane_scan *plane_scan_copy(const struct plane_scan *scan)
{
    struct plane_scan *copy = mem_zero(1, sizeof *copy);
    *copy = *scan;
    copy->projects = mem_zero(scan->n, sizeof *copy->projects);
    copy->ids = mem_zero(scan->n, sizeof *copy->ids);
    for (size_t i = 0; i < scan->n; i++) {
        copy->ids[i] = scan->ids[i];
        struct project_scan *to = &copy->projects[i];
        *to = scan->projects[i];
        plane_state_map_copy(&to->states, &scan->projects[i].states);
        plane_cursor_copy(&to->news, &scan->projects[i].news);
        plane_cursor_copy(&to->full, &scan->projects[i].full);
        to->error = mem_dup(scan->projects[i].error);
        to->odd.items = mem_zero(to->odd.n, sizeof *to->odd.items);
        if (to->odd.n > 0)
            memcpy(to->odd.items, scan->projects[i].odd.items, to->odd.n * sizeof *to->odd.items);
    }
    open_issues_copy(&copy->table, &scan->table);
    return copy;
}

void plane_scan_free(struct plane_scan *scan)
{
    if (!scan)
        return;
    for (size_t i = 0; i < scan->n; i++) {
        plane_state_map_done(&scan->projects[i].states);
        plane_cursor_done(&scan->projects[i].news);
        plane_cursor_done(&scan->projects[i].full);
        free(scan->projects[i].error);
        free(scan->projects[i].odd.items);
    }
    free(scan->projects);
    free(scan->ids);
    open_issues_done(&scan->table);
    free(scan);
}

struct project_scan *project_scan_of(const struct plane_scan *scan, const struct project *project)
{
    for (size_t i = 0; i < scan->n; i++)
        if (scan->projects[i].project == project)
            return &scan->projects[i];
    abort(); /* a project that is not here does not exist */
}

void project_scan_error(struct project_scan *of, const char *error)
{
    free(of->error);
    of->error = mem_dup(error);
}

/* what an answer means for the rest of the pass */

void project_scan_over(struct plane_scan *scan, enum plane_result result, const struct why *why)
{
    scan->ended = result;
    scan->why = *why;
}

int64_t project_scan_recheck_ms(const struct plane_scan *scan, unsigned failures)
{
    int64_t interval_ms = scan->pass.interval_ms;
    return backoff_ms(interval_ms / 2,
                      interval_ms > LIMIT_FAILURE_REST_MS ? interval_ms : LIMIT_FAILURE_REST_MS,
                      failures - 1);
}

/* A project that Plane refuses (403), or whose answers cannot be used, costs no time and does not rest. */
void project_scan_result(struct plane_scan *scan, struct project_scan *of, const struct plane_call *call,
                         enum plane_result result, const struct why *why)
{
    bool refused = result == PLANE_WAITING && call->refused;
    switch (result) {
    case PLANE_OK:
        return;
    case PLANE_WAITING:
    case PLANE_STOPPED:
        project_scan_over(scan, result, why);
        if (!refused)
            return;
        break;
    case PLANE_DOWN:
    case PLANE_SPARED:
    case PLANE_ABSENT:
    case PLANE_FAILED:
        break;
    }
    of->refused |= refused;
    if (refused || result == PLANE_DOWN)
        of->recheck_at_ms = scan->pass.now_ms + project_scan_recheck_ms(scan, ++of->failures);
    of->out = true;
    project_scan_error(of, why->text);
}

void project_scan_probe(struct plane_scan *scan, struct plane_call *call)
{
    if (!plane_probe(call, scan->ids, scan->n))
        return;
    for (size_t i = 0; i < scan->n; i++)
        scan->projects[i].recheck_at_ms = 0;
    for (size_t i = 0; i < scan->table.n; i++)
        if (scan->table.items[i]->failed)
            scan->table.items[i]->recheck_at_ms = 0;
}

void project_scan_issue_error(struct open_issue *issue, const char *error)
{
    free(issue->error);
    issue->error = mem_dup(error);
}

void project_scan_put(struct plane_scan *scan, struct project_scan *of, const struct plane_issue *issue)
{
    static const struct plane_mapped_state none = {.meaning = ISSUE_OTHER};
    const struct plane_mapped_state *state =
        *issue->state ? plane_state_map_find(&of->states, issue->state) : &none;
    if (!state)
        of->states_stale = true; /* and its kept issues stay unconfirmed */
    else if (!open_issues_put(&scan->table, of->project, issue, state, scan->turns))
        of->spilled = true;
}

/* a pass */

bool plane_scan_clock(struct plane_scan *scan, bool off)
{
    bool is_news = scan->clock_is_off != off;
    scan->clock_is_off = off;
    return is_news;
}

void plane_scan_lease(struct plane_scan *scan, bool ours)
{
    scan->lease = ours ? LEASE_OURS : LEASE_ELSEWHERE;
}

bool plane_scan_leased(const struct plane_scan *scan)
{
    return scan->lease == LEASE_OURS;
}

void plane_scan_begin(struct plane_scan *scan, const struct plane_scan_pass *pass)
{
    scan->pass = *pass;
    scan->rows = scan->wanted = 0;
    scan->ended = PLANE_OK;
    scan->cut = false;
    for (size_t i = 0; i < scan->n; i++) {
        struct project_scan *of = &scan->projects[i];
        of->asked = of->states_read = of->news_read = of->refused = of->out = false;
        of->late = of->failures > 0 && scan->turns - of->turn < FAILED_WAITS * scan->n;
        of->misses = 0;
        of->broken_before = of->error != NULL;
        if (pass->revision != scan->revision)
            of->recheck_at_ms = 0;
    }
    for (size_t i = 0; i < scan->table.n; i++) {
        struct open_issue *open = scan->table.items[i];
        scan->wanted += open->no_budget;
        open->confirmed = open->settled = open->no_budget = open->useless = false;
        project_scan_issue_error(open, NULL);
        if (pass->revision != scan->revision) {
            open->misses = 0;
            open->recheck_at_ms = 0;
        }
    }
    scan->revision = pass->revision;
}

/* What waits now, and whether something waited after the pass before. */
static void wait_look(struct plane_scan *scan, struct plane_scan_seen *seen)
{
    seen->wait_begins = seen->waiting > 0 && scan->waiting == 0;
    seen->wait_ends = seen->waiting == 0 && scan->waiting > 0;
    AUTO_FREE char *reason =
        text_cut(scan->ended == PLANE_WAITING ? scan->why.text : "the pass has used up its time or its calls",
                 sizeof seen->wait_reason - 1);
    strncpy(seen->wait_reason, seen->waiting > 0 ? reason : "", sizeof seen->wait_reason - 1);
    scan->waiting = seen->waiting;
}

void plane_scan_end(struct plane_scan *scan, struct plane_scan_seen *ret)
{
    struct plane_scan_seen seen = {.rows = scan->rows};
    const char *newly = NULL, *any = NULL;
    bool was_broken = false;
    open_issues_sweep(&scan->table);
    for (size_t i = 0; i < scan->n; i++) {
        const struct project_scan *of = &scan->projects[i];
        seen.projects += of->asked;
        seen.errors += of->error != NULL;
        seen.odd += of->odd.n;
        seen.waiting_projects += scan->cut && (of->refused || project_scan_wants(scan, of));
        was_broken |= of->broken_before;
        if (of->error && !of->broken_before) {
            seen.broke++;
            newly = newly ? newly : of->error;
        }
        any = any ? any : of->error;
    }
    seen.waiting = seen.waiting_projects;
    for (size_t i = 0; i < scan->table.n; i++)
        seen.waiting += scan->table.items[i]->no_budget;
    seen.recovered = was_broken && seen.errors == 0;
    AUTO_FREE char *error = text_cut(newly ? newly : any ? any : "", sizeof seen.error - 1);
    strncpy(seen.error, error, sizeof seen.error - 1);
    wait_look(scan, &seen);
    *ret = seen;
}

bool plane_scan_odd(struct plane_scan *scan, struct plane_scan_odd *ret)
{
    for (size_t i = 0; i < scan->n; i++)
        for (size_t k = 0; k < scan->projects[i].odd.n; k++) {
            struct odd_issue *odd = &scan->projects[i].odd.items[k];
            if (odd->returned)
                continue;
            odd->returned = true;
            *ret = (struct plane_scan_odd){.project = scan->projects[i].project, .row = odd->row};
            return true;
        }
    return false;
}

void plane_scan_forget_issues(struct plane_scan *scan)
{
    open_issues_done(&scan->table);
}

static char *odd_words(const struct odd_issues *odd)
{
    const struct plane_odd_row *row = odd->n > 0 ? &odd->items[0].row : NULL;
    return !row ? NULL : *row->id ? mem_printf("%s: %s", row->id, row->wrong) : mem_dup(row->wrong);
}

struct plane_status *plane_scan_status(const struct plane_scan *scan)
{
    struct plane_status *status = mem_zero(1, sizeof *status);
    *status = (struct plane_status){.elsewhere = scan->lease == LEASE_ELSEWHERE,
                                    .waiting = scan->waiting,
                                    .projects = mem_zero(scan->n, sizeof *status->projects),
                                    .n_projects = scan->n};
    for (size_t i = 0; i < scan->n; i++) {
        const struct project_scan *of = &scan->projects[i];
        bool full = !of->listed || of->full.under_way;
        status->projects[i] =
            (struct plane_project_status){.project = of->project,
                                          .full = full,
                                          .pages_read = full ? of->full.pages : of->news.pages,
                                          .odd = of->odd.n,
                                          .odd_error = odd_words(&of->odd),
                                          .error = mem_dup(of->error)};
    }
    return status;
}

void plane_status_free(struct plane_status *status)
{
    if (!status)
        return;
    for (size_t i = 0; i < status->n_projects; i++) {
        free(status->projects[i].error);
        free(status->projects[i].odd_error);
    }
    free(status->projects);
    free(status->interrupted_error);
    free(status);
}
