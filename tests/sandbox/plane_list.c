/* Plane's lists: offset paging that wears a cursor (plane/utils/paginator.py). */
#include <stdlib.h>
#include <string.h>

#include "clients/base/text.h"
#include "tests/sandbox/plane.h"
#include "tests/sandbox/plane_load.h"
#include "tests/sandbox/sandbox.h"

#define PER_PAGE_DEFAULT 1000
#define PER_PAGE_MAX 1000
#define PAGES_MAX 1000000000
#define SEARCH_DEFAULT 10

struct page {
    int64_t per_page, number;
    size_t from, to, total; /* rows [from, to) */
};

struct cursor {
    double value;
    int64_t number, is_prev;
};

/* "100:0:0"; the first may have a fraction. */
static bool cursor_parse(const char *text, struct cursor *ret)
{
    char *copy = mem_dup(text), *second = strchr(copy, ':'), *third = second ? strchr(second + 1, ':') : NULL;
    bool good = false;
    if (third) {
        *second++ = *third++ = '\0';
        char *end;
        ret->value = strtod(copy, &end);
        good = *copy && !*end && parse_i64(second, -PAGES_MAX, PAGES_MAX, &ret->number) &&
               parse_i64(third, -PAGES_MAX, PAGES_MAX, &ret->is_prev);
    }
    free(copy);
    return good;
}

/* False when it has answered. Up to 0.26 the offset went by the number in the cursor, not by per_page. */
static bool page_read(struct call *call, size_t total, struct page *ret)
{
    const char *asked = call_query(call, "per_page"), *text = call_query(call, "cursor");
    int64_t per_page = PER_PAGE_DEFAULT;
    if (asked && !parse_i64(asked, INT64_MIN, INT64_MAX, &per_page)) {
        plane_error(call, 400, "detail", "Invalid per_page parameter.");
        return false;
    }
    if (per_page > PER_PAGE_MAX) {
        plane_error(call, 400, "detail", "Invalid per_page value. Cannot exceed 1000.");
        return false;
    }
    struct cursor cursor = {.value = (double)per_page};
    if (text && !cursor_parse(text, &cursor)) {
        plane_error(call, 400, "detail", "Invalid cursor parameter.");
        return false;
    }
    bool by_cursor = call->sandbox->plane->version < PLANE_VERSION(0, 27, 0);
    double offset = (double)cursor.number * (by_cursor ? cursor.value : (double)per_page);
    if (offset < 0 && per_page > 0) {
        plane_error(call, 400, "detail", "Error in parsing");
        return false;
    }
    if (per_page <= 0 || (cursor.is_prev && cursor.value < (double)per_page) ||
        (cursor.is_prev && cursor.value > (double)per_page)) {
        plane_internal(call); /* a query that no database takes */
        return false;
    }
    *ret = (struct page){.per_page = per_page, .number = cursor.number, .total = total};
    ret->from = offset < (double)total ? (size_t)offset : total;
    ret->to = total - ret->from < (size_t)per_page ? total : ret->from + (size_t)per_page;
    return true;
}

static struct out *open_page(struct call *call, const struct page *page)
{
    struct out *out = plane_ok(call, 200);
    int64_t total = (int64_t)page->total;
    out_open(out, NULL, '{');
    out_null(out, "grouped_by");
    out_null(out, "sub_grouped_by");
    out_int(out, "total_count", total);
    out_made(out, "next_cursor", "%lld:%lld:0", (long long)page->per_page, (long long)page->number + 1);
    out_made(out, "prev_cursor", "%lld:%lld:1", (long long)page->per_page, (long long)page->number - 1);
    out_bool(out, "next_page_results", page->to < page->total);
    out_bool(out, "prev_page_results", page->number > 0);
    out_int(out, "count", (int64_t)(page->to - page->from));
    out_int(out, "total_pages", (total + page->per_page - 1) / page->per_page);
    out_int(out, "total_results", total);
    out_null(out, "extra_stats");
    out_open(out, "results", '[');
    return out;
}

static void close_page(struct out *out)
{
    out_close(out, ']');
    out_close(out, '}');
}

/* issues */

static bool order_read(const struct call *call, enum plane_order *ret, bool *ret_descending)
{
    static const char *const names[PLANE_ORDER_MAX] = {[PLANE_BY_UPDATED] = "updated_at",
                                                       [PLANE_BY_CREATED] = "created_at",
                                                       [PLANE_BY_NUMBER] = "sequence_id"};
    const char *text = call_query(call, "order_by");
    if (!text)
        text = "-created_at";
    *ret_descending = *text == '-';
    for (int i = 0; i < PLANE_ORDER_MAX; i++)
        if (strcmp(text + *ret_descending, names[i]) == 0) {
            *ret = (enum plane_order)i;
            return true;
        }
    return false;
}

/* external_source and external_id together ask for one issue, bare; archived ones and drafts too. */
static void issue_external(struct call *call, const char *source, const char *id)
{
    const struct plane_project *project = plane_asked(call);
    for (size_t i = 0; i < project->issues.n; i++) {
        struct plane_issue *issue = project->issues.items[i];
        if (issue->deleted_us || !issue->external_id || !issue->external_source ||
            strcmp(issue->external_id, id) != 0 || strcmp(issue->external_source, source) != 0)
            continue;
        plane_put_issue(plane_ok(call, 200), issue, plane_issue_fields(call), plane_zone_min(call));
        return;
    }
    plane_missing(call);
}

void plane_issues_list(struct call *call)
{
    struct plane *plane = call->sandbox->plane;
    struct plane_project *project = plane_asked(call);
    const char *source = call_query(call, "external_source"), *id = call_query(call, "external_id");
    enum plane_order order;
    bool descending;
    struct page page;
    if (source && *source && id && *id) {
        issue_external(call, source, id);
        return;
    }
    if (!order_read(call, &order, &descending)) {
        plane_internal(call);
        return;
    }
    if (!page_read(call, plane_count(project), &page))
        return;
    uint64_t fields = plane_issue_fields(call);
    int zone_min = plane_zone_min(call);
    size_t n = page.to - page.from;
    struct plane_issue **rows = mem_zero(n + 1, sizeof(struct plane_issue *));
    plane_slice(project, order, descending, page.from, page.to, (uint64_t)++plane->n_lists, rows);
    struct out *out = open_page(call, &page);
    for (size_t i = 0; i < n; i++)
        plane_put_issue(out, rows[i], fields, zone_min);
    close_page(out);
    free(rows);
    plane_script_run(call->sandbox);
}

/* By name or number, in the workspace or one project; the answer has no states. */
void plane_search(struct call *call)
{
    const struct plane *plane = call->sandbox->plane;
    const char *text = call_query(call, "search"), *project_id = call_query(call, "project_id");
    int64_t limit = call_query_int(call, "limit", SEARCH_DEFAULT), found = 0;
    const char *everywhere = call_query(call, "workspace_search");
    bool one = project_id && !(everywhere && strcmp(everywhere, "true") == 0);
    struct out *out = plane_ok(call, 200);
    out_open(out, NULL, '{');
    out_open(out, "issues", '[');
    for (size_t p = 0; text && *text && p < plane->projects.n; p++) {
        const struct plane_project *project = plane->projects.items[p];
        if (project->stranger || project->deleted || (one && strcmp(project->id.s, project_id) != 0))
            continue;
        for (size_t i = 0; i < project->issues.n && found < limit; i++) {
            const struct plane_issue *issue = project->issues.items[i];
            int64_t number;
            bool is_number = parse_i64(text, 0, INT64_MAX, &number) && number == issue->number;
            if (!plane_visible(issue) || !(is_number || strcasestr(issue->name, text)))
                continue;
            found++;
            out_open(out, NULL, '{');
            out_text(out, "name", issue->name);
            out_text(out, "id", issue->id.s);
            out_int(out, "sequence_id", issue->number);
            out_text(out, "project__identifier", project->identifier);
            out_text(out, "project_id", project->id.s);
            out_text(out, "workspace__slug", plane->workspace);
            out_close(out, '}');
        }
    }
    out_close(out, ']');
    out_close(out, '}');
}

/* states and activities */

/* By sequence, triage left out; an archived project shows none. */
void plane_states_list(struct call *call)
{
    const struct plane_project *project = plane_asked(call);
    const struct plane_state **rows = mem_zero(project->states.n + 1, sizeof(struct plane_state *));
    size_t n = 0;
    struct page page;
    for (size_t i = 0; i < project->states.n && !project->archived; i++) {
        const struct plane_state *state = project->states.items[i];
        if (state->group != PLANE_TRIAGE)
            rows[n++] = state;
    }
    if (page_read(call, n, &page)) {
        struct out *out = open_page(call, &page);
        for (size_t i = page.from; i < page.to; i++)
            plane_put_state(out, rows[i], plane_state_fields(call), plane_zone_min(call));
        close_page(out);
    }
    free(rows);
}

/* Of what is filtered by the issue's id alone: an archived issue has them still, one that is unknown or
 * deleted none, and it is no 404. Comments are elsewhere. */
static size_t activities_of(const struct call *call, const struct plane_issue *issue,
                            const struct plane_activity **ret_rows)
{
    size_t n = 0;
    if (!issue || issue->deleted_us || issue->project != plane_asked(call) || issue->project->archived)
        return 0;
    for (size_t i = 0; i < issue->activities.n; i++) {
        const struct plane_activity *activity = issue->activities.items[i];
        if (!activity->field || strcmp(activity->field, "comment") != 0)
            ret_rows[n++] = activity;
    }
    return n;
}

static int by_written(const void *a, const void *b)
{
    const struct plane_activity *x = *(struct plane_activity *const *)a,
                                *y = *(struct plane_activity *const *)b;
    return (x->created_us > y->created_us) - (x->created_us < y->created_us);
}

void plane_activities_list(struct call *call)
{
    static const char *const orders[] = {"created_at", "updated_at", "epoch"};
    const struct plane_issue *issue = map_get(&call->sandbox->plane->issues, call->params[2]);
    const char *order = call_query(call, "order_by");
    bool descending = order && *order == '-', known = !order;
    for (size_t i = 0; order && i < ARRAY_LEN(orders); i++)
        known |= strcmp(order + descending, orders[i]) == 0;
    if (!known) {
        plane_internal(call);
        return;
    }
    const struct plane_activity **rows =
        mem_zero(issue ? issue->activities.n + 1 : 1, sizeof(struct plane_activity *));
    size_t n = activities_of(call, issue, rows);
    qsort(rows, n, sizeof(struct plane_activity *), by_written);
    struct page page;
    if (page_read(call, n, &page)) {
        struct out *out = open_page(call, &page);
        for (size_t i = page.from; i < page.to; i++)
            plane_put_activity(out, issue, rows[descending ? n - 1 - i : i], plane_activity_fields(call),
                               plane_zone_min(call));
        close_page(out);
    }
    free(rows);
}
