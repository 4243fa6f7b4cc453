/* What is asked of Plane. Sources, makeplane/plane v0.23.0 to v1.3.1:
 * plane/api/urls/{issue,work_item,state}.py for paths (in lower case alone; all end in a slash),
 * plane/api/views/{issue,state,base}.py and plane/utils/paginator.py for what parameters do. All four obey
 * `fields`, which leaves out descriptions and what costs Plane a query per row. Plane ignores unknown
 * parameters and returns everything, so no others are sent. */
#include "clients/plane/plane.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/plane/plane_event.h"
#include "clients/plane/plane_io.h"
#include "clients/plane/plane_parse.h"

#define ISSUE_FIELDS "id,name,state,updated_at,sequence_id,project"
#define CHANGE_FIELDS "id,field,new_identifier,old_identifier,actor,epoch,created_at"

#define WHAT_SIZE 120

/* One question. `what` names it for a person. */
struct asked {
    char project[UUID_TEXT_LEN + 1];
    char issue[UUID_TEXT_LEN + 1]; /* "" for a list */
    char what[WHAT_SIZE];
};

/* False when an id is no uuid: Plane would answer that it has no such page. */
static bool asked_init(struct asked *asked, const char *kind, const char *project_id, const char *issue_id,
                       struct why *why)
{
    asked->issue[0] = '\0';
    if (!plane_uuid(project_id, asked->project) || (issue_id && !plane_uuid(issue_id, asked->issue))) {
        (void)why_set(why, ERR_INVALID, "Plane was not asked for the %s: its id is no uuid", kind);
        return false;
    }
    snprintf(asked->what, sizeof asked->what, issue_id ? "%s %s" : "%s of project %s", kind,
             issue_id ? asked->issue : asked->project);
    return true;
}

/* PLANE_OK, or PLANE_FAILED when a parser found something wrong. */
static enum plane_result parsed(const struct asked *asked, const char *wrong, struct why *why)
{
    if (!wrong)
        return PLANE_OK;
    (void)why_set(why, ERR_INVALID, "Plane's answer for %s is invalid: %s", asked->what, wrong);
    return PLANE_FAILED;
}

/* pages */

/* per_page equals the number in the cursor: up to v0.26 Plane computes the offset from the one, later from
 * the other.
 */
struct page_query {
    char per_page[16], cursor[40];
    const char *items[11];
};

static const char *const *page_query(struct page_query *query, size_t page, const char *order,
                                     const char *fields, const char *expand)
{
    size_t n = 0;
    snprintf(query->per_page, sizeof query->per_page, "%u", LIMIT_PLANE_PAGE);
    snprintf(query->cursor, sizeof query->cursor, "%u:%zu:0", LIMIT_PLANE_PAGE, page);
    if (order) {
        query->items[n++] = "order_by";
        query->items[n++] = order;
    }
    query->items[n++] = "per_page";
    query->items[n++] = query->per_page;
    query->items[n++] = "cursor";
    query->items[n++] = query->cursor;
    query->items[n++] = "fields";
    query->items[n++] = fields;
    if (expand) {
        query->items[n++] = "expand";
        query->items[n++] = expand;
    }
    query->items[n] = NULL;
    return query->items;
}

/* states */

void plane_states_done(struct plane_states *states)
{
    for (size_t i = 0; i < states->n; i++)
        free(states->items[i].name);
    free(states->items);
    *states = (struct plane_states){0};
}

static enum plane_result states_page(struct plane_call *call, const struct asked *asked, size_t page,
                                     struct plane_states *states, bool *ret_more, struct why *why)
{
    const char *const path[] = {"projects", asked->project, "states", "", NULL};
    struct page_query query;
    json_t *json;
    bool unrouted;
    enum plane_result result = plane_ask(call, path, page_query(&query, page, NULL, "id,name", NULL),
                                         asked->what, LIMIT_ANSWER_PLANE_PAGE, &json, &unrouted, why);
    if (result == PLANE_OK) {
        result = parsed(asked, plane_parse_states(json, states, ret_more), why);
        json_decref(json);
    }
    return result == PLANE_ABSENT ? PLANE_FAILED : result;
}

enum plane_result plane_states(struct plane_call *call, const char *project_id, struct plane_states *ret,
                               struct why *why)
{
    struct asked asked;
    struct plane_states states = {0};
    enum plane_result result = PLANE_OK;
    bool more = true;
    if (!asked_init(&asked, "states", project_id, NULL, why))
        return PLANE_FAILED;
    for (size_t page = 0; result == PLANE_OK && more; page++) {
        if (page < LIMIT_PLANE_STATE_PAGES)
            result = states_page(call, &asked, page, &states, &more, why);
        else
            result = parsed(&asked, "it has no end", why);
    }
    if (result == PLANE_OK)
        *ret = states;
    else
        plane_states_done(&states);
    return plane_told(call->plane, asked.project, result, why);
}

/* issues */

void plane_issue_done(struct plane_issue *issue)
{
    free(issue->name);
    *issue = (struct plane_issue){0};
}

void plane_page_done(struct plane_page *page)
{
    for (size_t i = 0; i < page->n; i++)
        free(page->items[i].name);
    free(page->items);
    free(page->odd);
    *page = (struct plane_page){0};
}

/* Asks for a project's issues, for one of them, or for what is `below` that. Uses the path that this Plane
 * had last, and if it has no such page, the other one. */
static enum plane_result ask_issues(struct plane_call *call, const struct asked *asked, const char *below,
                                    const char *const *query, size_t answer_max, json_t **ret,
                                    struct why *why)
{
    bool old = plane_is_old(call->plane), unrouted = false;
    enum plane_result result = PLANE_FAILED;
    for (int i = 0; i == 0 || (i == 1 && unrouted); i++) {
        const char *path[7] = {"projects", asked->project, old != (i > 0) ? "issues" : "work-items"};
        size_t n = 3;
        if (*asked->issue)
            path[n++] = asked->issue;
        if (below)
            path[n++] = below;
        path[n] = "";
        result = plane_ask(call, path, query, asked->what, answer_max, ret, &unrouted, why);
        if (i > 0 && (result == PLANE_OK || result == PLANE_ABSENT))
            plane_is_old_set(call->plane, !old);
    }
    return result;
}

enum plane_result plane_issues(struct plane_call *call, const char *project_id, size_t page,
                               struct plane_page *ret, struct why *why)
{
    struct asked asked;
    struct page_query query;
    json_t *json;
    if (!asked_init(&asked, "issues", project_id, NULL, why))
        return PLANE_FAILED;
    enum plane_result result =
        ask_issues(call, &asked, NULL, page_query(&query, page, "-updated_at", ISSUE_FIELDS, NULL),
                   LIMIT_ANSWER_PLANE_PAGE, &json, why);
    if (result == PLANE_OK) {
        result = parsed(&asked, plane_parse_issues(json, asked.project, ret), why);
        json_decref(json);
    }
    return plane_told(call->plane, asked.project, result == PLANE_ABSENT ? PLANE_FAILED : result, why);
}

enum plane_result plane_issue(struct plane_call *call, const char *project_id, const char *issue_id,
                              struct plane_issue *ret, struct why *why)
{
    static const char *const query[] = {"fields", ISSUE_FIELDS, NULL};
    struct asked asked;
    struct plane_issue issue;
    json_t *json;
    if (!asked_init(&asked, "issue", project_id, issue_id, why))
        return PLANE_FAILED;
    enum plane_result result = ask_issues(call, &asked, NULL, query, LIMIT_ANSWER_PLANE_ISSUE, &json, why);
    if (result == PLANE_OK) {
        result = parsed(&asked, plane_parse_issue(json, asked.project, &issue), why);
        json_decref(json);
    }
    if (result == PLANE_OK && strcmp(issue.id, asked.issue) != 0) {
        plane_issue_done(&issue);
        result = parsed(&asked, "it is about another issue", why);
    }
    if (result == PLANE_OK)
        *ret = issue;
    return plane_told(call->plane, asked.project, result, why);
}

static enum plane_result order_lists(struct plane_call *call, const struct asked *asked, json_t *issue,
                                     struct why *why)
{
    static const char *const query[] = {"fields", "labels,assignees", NULL};
    json_t *bare;
    enum plane_result result = ask_issues(call, asked, NULL, query, LIMIT_ANSWER_PLANE_ISSUE, &bare, why);
    if (result == PLANE_OK) {
        event_plane_order(issue, bare);
        json_decref(bare);
    }
    return result;
}

enum plane_result plane_issue_document(struct plane_call *call, const char *project_id, const char *issue_id,
                                       json_t **ret, struct why *why)
{
    static const char *const query[] = {"expand", "state,labels,assignees,created_by", NULL};
    struct asked asked;
    struct plane_issue issue;
    json_t *json;
    if (!asked_init(&asked, "issue", project_id, issue_id, why))
        return PLANE_FAILED;
    enum plane_result result = ask_issues(call, &asked, NULL, query, LIMIT_ANSWER_PLANE_ISSUE, &json, why);
    if (result != PLANE_OK)
        return plane_told(call->plane, asked.project, result, why);
    const char *wrong = plane_parse_issue(json, asked.project, &issue);
    bool is_issue = !wrong;
    if (is_issue && strcmp(issue.id, asked.issue) != 0)
        wrong = "it is about another issue";
    if (is_issue)
        plane_issue_done(&issue);
    result = parsed(&asked, wrong, why);
    if (result == PLANE_OK && (json_array_size(json_object_get(json, "labels")) > 1 ||
                               json_array_size(json_object_get(json, "assignees")) > 1))
        result = order_lists(call, &asked, json, why);
    if (result == PLANE_OK)
        *ret = json;
    else
        json_decref(json);
    return plane_told(call->plane, asked.project, result, why);
}

/* activities */

static enum plane_result changes_page(struct plane_call *call, const struct asked *asked, size_t page,
                                      struct plane_change *ret, bool *ret_more, struct why *why)
{
    struct page_query query;
    json_t *json;
    enum plane_result result =
        ask_issues(call, asked, "activities", page_query(&query, page, "-created_at", CHANGE_FIELDS, "actor"),
                   LIMIT_ANSWER_PLANE_ACTIVITIES, &json, why);
    if (result == PLANE_OK) {
        result = parsed(asked, plane_parse_changes(json, ret, ret_more), why);
        json_decref(json);
    }
    return result;
}

enum plane_result plane_last_change(struct plane_call *call, const char *project_id, const char *issue_id,
                                    struct plane_change *ret, struct why *why)
{
    size_t page = 0;
    return plane_last_change_from(call, project_id, issue_id, &page, ret, why);
}

enum plane_result plane_last_change_from(struct plane_call *call, const char *project_id,
                                         const char *issue_id, size_t *page, struct plane_change *ret,
                                         struct why *why)
{
    struct asked asked;
    struct plane_change change = {0};
    enum plane_result result = PLANE_OK;
    bool more = true;
    if (!asked_init(&asked, "activities of issue", project_id, issue_id, why))
        return PLANE_FAILED;
    while (result == PLANE_OK && more && !change.found) {
        if (*page < LIMIT_PLANE_LOG_PAGES)
            result = changes_page(call, &asked, *page, &change, &more, why);
        else
            result = parsed(&asked, "too many activities without a change of state", why);
        *page += result == PLANE_OK;
    }
    if (result == PLANE_OK) {
        *ret = change;
        *page = 0;
    }
    return plane_told(call->plane, asked.project, result, why);
}

/* checking */

static char *project_check(struct plane_call *call, const char *id, plane_states_judge_fn *judge,
                           const void *arg)
{
    struct plane_states states = {.n = 0};
    struct why why;
    if (plane_states(call, id, &states, &why) != PLANE_OK)
        return mem_dup(why.text);
    char *problem = judge(&states, arg);
    plane_states_done(&states);
    return problem;
}

char *plane_check(struct plane *plane, struct fetch *fetch, const struct plane_project *projects, size_t n,
                  plane_states_judge_fn *judge, const void *arg)
{
    struct plane_call call;
    char *problem = NULL;
    plane_call_begin(&call, plane, fetch, true, INT64_MAX);
    for (size_t i = 0; i < n && !problem; i++) {
        AUTO_FREE char *found = project_check(&call, projects[i].id, judge, arg);
        if (found)
            problem = mem_printf("%s: %s", projects[i].about, found);
    }
    plane_call_end(&call);
    return problem;
}
