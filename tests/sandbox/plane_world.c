#include "tests/sandbox/plane_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"

const char *const plane_group_names[PLANE_GROUP_MAX] = {
    [PLANE_BACKLOG] = "backlog",     [PLANE_UNSTARTED] = "unstarted", [PLANE_STARTED] = "started",
    [PLANE_COMPLETED] = "completed", [PLANE_CANCELLED] = "cancelled", [PLANE_TRIAGE] = "triage",
};

/* What Celery is to do: the activity row, and updated_at once more. */
struct plane_task {
    struct plane_issue *issue;
    struct plane_activity *activity;
    int64_t due_us;
};

struct plane *plane_new(const struct plane_start *start)
{
    struct plane *plane = mem_zero(1, sizeof *plane);
    plane->start = *start;
    if (!plane_set_version(plane, start->version ? start->version : PLANE_VERSION_DEFAULT))
        abort();
    limit_init(&plane->limit);
    plane->workspace = arena_text(&plane->arena, start->workspace ? start->workspace : "acme");
    plane->workspace_id = uuid_from_name("plane workspace");
    plane->actor = uuid_from_name("plane user");
    plane->shuffle = true;
    plane->next_due_us = INT64_MAX;
    plane->hook.id = uuid_from_name("plane webhook");
    plane->hook.active = plane->hook.issue = true;
    plane->letters = json_array();
    if (start->key) {
        (void)limit_key(&plane->limit, &plane->arena, start->key, true);
        plane->limit.named = true;
    }
    return plane;
}

void plane_free(struct plane *plane)
{
    if (!plane)
        return;
    for (size_t i = 0; i < plane->projects.n; i++) {
        struct plane_project *project = plane->projects.items[i];
        for (size_t k = 0; k < project->issues.n; k++)
            free(((struct plane_issue *)project->issues.items[k])->shown);
        for (int order = 0; order < PLANE_ORDER_MAX; order++)
            free(project->views[order].rows);
        map_done(&project->issues_by_number);
    }
    for (size_t i = 0; i < plane->later.n; i++)
        json_decref(((struct plane_later *)plane->later.items[i])->changes);
    limit_done(&plane->limit);
    map_done(&plane->projects_by_id);
    map_done(&plane->projects_by_identifier);
    map_done(&plane->states);
    map_done(&plane->issues);
    json_decref(plane->letters);
    free(plane->tasks);
    arena_done(&plane->arena);
    free(plane);
}

bool plane_set_version(struct plane *plane, const char *text)
{
    int64_t parts[3] = {0, 0, 0};
    const char *at = text;
    for (size_t i = 0; i < ARRAY_LEN(parts) && *at; i++) {
        size_t len = strcspn(at, ".");
        char part[8];
        if (len >= sizeof part)
            return false;
        snprintf(part, sizeof part, "%.*s", (int)len, at);
        if (!parse_i64(part, 0, 99, &parts[i]))
            return false;
        at += len + (at[len] == '.');
    }
    int version = PLANE_VERSION((int)parts[0], (int)parts[1], (int)parts[2]);
    if (*at || version == 0)
        return false;
    plane->version = version;
    plane->version_text = arena_text(&plane->arena, text);
    return true;
}

int64_t plane_now_us(const struct plane *plane)
{
    return plane->manual ? plane->manual_us : clock_wall_us();
}

/* looking up */

struct plane_project *plane_project(const struct plane *plane, const char *name)
{
    struct plane_project *project = map_get(&plane->projects_by_id, name);
    return project ? project : map_get(&plane->projects_by_identifier, name);
}

struct plane_issue *plane_issue_number(const struct plane_project *project, int64_t number)
{
    char key[24];
    snprintf(key, sizeof key, "%lld", (long long)number);
    return map_get(&project->issues_by_number, key);
}

struct plane_issue *plane_issue(const struct plane *plane, const char *name)
{
    struct plane_issue *issue = map_get(&plane->issues, name);
    const char *dash = strrchr(name, '-');
    int64_t number;
    char identifier[64];
    if (issue || !dash || !parse_i64(dash + 1, 1, INT64_MAX, &number))
        return issue;
    snprintf(identifier, sizeof identifier, "%.*s", (int)(dash - name), name);
    const struct plane_project *project = plane_project(plane, identifier);
    return project ? plane_issue_number(project, number) : NULL;
}

struct plane_state *plane_state(const struct plane_project *project, const char *name)
{
    for (size_t i = 0; i < project->states.n; i++) {
        struct plane_state *state = project->states.items[i];
        if (strcmp(state->name, name) == 0 || strcmp(state->id.s, name) == 0)
            return state;
    }
    return NULL;
}

bool plane_visible(const struct plane_issue *issue)
{
    return !issue->archived_us && !issue->deleted_us && !issue->draft && !issue->project->archived &&
           !issue->project->deleted && (!issue->state || issue->state->group != PLANE_TRIAGE);
}

/* making */

/* Made-up ids depend on names alone, so that a test sees the same ones each time. */
static struct uuid_text id_of(const char *given, const char *kind, const char *parent, const char *name)
{
    struct uuid_text id;
    if (given) {
        snprintf(id.s, sizeof id.s, "%.36s", given);
        return id;
    }
    char *text = mem_printf("plane %s %s %s", kind, parent, name);
    id = uuid_from_name(text);
    free(text);
    return id;
}

struct plane_project *plane_add_project(struct plane *plane, const char *identifier, const char *id)
{
    struct plane_project *project = arena_get(&plane->arena, sizeof *project);
    project->plane = plane;
    project->identifier = project->name = arena_text(&plane->arena, identifier);
    project->id = id_of(id, "project", "", identifier);
    list_add(&plane->arena, &plane->projects, project);
    map_put(&plane->projects_by_id, project->id.s, project);
    map_put(&plane->projects_by_identifier, project->identifier, project);
    return project;
}

struct plane_state *plane_add_state(struct plane_project *project, const char *name, enum plane_group group,
                                    const char *id)
{
    static const char *const colors[PLANE_GROUP_MAX] = {"#60646C", "#60646C", "#F59E0B",
                                                        "#46A758", "#9AA4BC", "#4E5355"};
    struct plane *plane = project->plane;
    struct plane_state *state = arena_get(&plane->arena, sizeof *state);
    state->project = project;
    state->name = arena_text(&plane->arena, name);
    state->id = id_of(id, "state", project->id.s, name);
    state->group = group;
    state->color = colors[group];
    state->sequence = 15000 + 10000 * (double)project->states.n;
    state->created_us = plane_now_us(plane);
    list_add(&plane->arena, &project->states, state);
    map_put(&plane->states, state->id.s, state);
    return state;
}

struct plane_issue *plane_add_issue(struct plane_project *project, int64_t number, const char *id,
                                    int64_t created_us)
{
    struct plane *plane = project->plane;
    struct plane_issue *issue = arena_get(&plane->arena, sizeof *issue);
    char *key = arena_made(&plane->arena, "%lld", (long long)number);
    issue->project = project;
    issue->number = number;
    issue->id = id_of(id, "issue", project->id.s, key);
    issue->name = arena_made(&plane->arena, "Issue %s", key);
    issue->html = "<p></p>";
    issue->priority = "none";
    issue->created_us = issue->updated_us = created_us;
    issue->sort_order = 65535 + 10000 * (double)number;
    if (number > project->last_number)
        project->last_number = number;
    list_add(&plane->arena, &project->issues, issue);
    map_put(&project->issues_by_number, key, issue);
    map_put(&plane->issues, issue->id.s, issue);
    plane_listed_anew(project);
    return issue;
}

/* changing */

void plane_listed_anew(struct plane_project *project)
{
    for (int order = 0; order < PLANE_ORDER_MAX; order++)
        project->views[order].fresh = false;
}

void plane_touch(struct plane_issue *issue, int64_t at_us)
{
    if (at_us > issue->updated_us) {
        issue->updated_us = at_us;
        issue->project->views[PLANE_BY_UPDATED].fresh = false;
    }
    free(issue->shown);
    issue->shown = NULL;
}

void plane_record(struct plane_issue *issue, int64_t at_us, const struct plane_activity *given)
{
    struct plane *plane = issue->project->plane;
    struct arena *arena = &plane->arena;
    struct plane_activity *activity = arena_get(arena, sizeof *activity);
    *activity = (struct plane_activity){.id = uuid_new(),
                                        .verb = arena_text(arena, given->verb),
                                        .field = arena_text(arena, given->field),
                                        .old_value = arena_text(arena, given->old_value),
                                        .new_value = arena_text(arena, given->new_value),
                                        .old_identifier = arena_text(arena, given->old_identifier),
                                        .new_identifier = arena_text(arena, given->new_identifier),
                                        .comment = arena_text(arena, given->comment ? given->comment : ""),
                                        .epoch_s = at_us / 1000000};
    if (plane->n_tasks == plane->tasks_size) {
        plane->tasks_size = plane->tasks_size ? plane->tasks_size * 2 : 64;
        plane->tasks = mem_grow(plane->tasks, plane->tasks_size, sizeof *plane->tasks);
    }
    int64_t due_us = at_us + plane->activity_delay_ms * 1000;
    plane->tasks[plane->n_tasks++] = (struct plane_task){issue, activity, due_us};
    if (due_us < plane->next_due_us)
        plane->next_due_us = due_us;
}

/* `state` of an API key's request was first tracked in 1.1.0, `state_id` of the web always. */
static bool is_recorded(const struct plane *plane, enum plane_mover by)
{
    bool by_api = by == PLANE_BY_API || by == PLANE_BY_API_NULL;
    return !by_api || plane->version >= PLANE_VERSION(1, 1, 0);
}

void plane_move(struct plane_issue *issue, struct plane_state *state, int64_t at_us, enum plane_mover by)
{
    const struct plane_state *old = issue->state;
    bool was_visible = plane_visible(issue), automatic = by == PLANE_BY_AUTOMATION;
    bool tells_old = old && !automatic && by != PLANE_BY_API_NULL, tells_new = by != PLANE_BY_API_NULL;
    issue->state = state;
    issue->completed_us = state->group == PLANE_COMPLETED ? at_us : 0;
    plane_touch(issue, at_us);
    if (was_visible != plane_visible(issue))
        plane_listed_anew(issue->project);
    struct plane_activity activity = {.verb = "updated",
                                      .field = "state",
                                      .old_value = tells_old ? old->name : NULL,
                                      .old_identifier = tells_old ? old->id.s : NULL,
                                      .new_value = tells_new ? state->name : NULL,
                                      .new_identifier = tells_new ? state->id.s : NULL,
                                      .comment =
                                          automatic ? "Plane updated the state to " : "updated the state to"};
    if (is_recorded(issue->project->plane, by))
        plane_record(issue, at_us, &activity);
}

static int by_due(const void *a, const void *b)
{
    const struct plane_task *x = a, *y = b;
    return (x->due_us > y->due_us) - (x->due_us < y->due_us);
}

/* Tasks differ by their time alone, so those of the same microsecond keep their order: what is
 * due is taken out in the order in which it was put in, and sorted by insertion. */
static void sort_due(struct plane_task *tasks, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct plane_task task = tasks[i];
        size_t at = i;
        for (; at > 0 && by_due(&tasks[at - 1], &task) > 0; at--)
            tasks[at] = tasks[at - 1];
        tasks[at] = task;
    }
}

void plane_settle(struct plane *plane)
{
    int64_t now_us = plane_now_us(plane);
    if (plane->next_due_us > now_us)
        return;
    size_t kept = 0, n_due = 0;
    struct plane_task *due = mem_zero(plane->n_tasks, sizeof *due);
    plane->next_due_us = INT64_MAX;
    for (size_t i = 0; i < plane->n_tasks; i++) {
        struct plane_task task = plane->tasks[i];
        if (task.due_us <= now_us) {
            due[n_due++] = task;
            continue;
        }
        plane->tasks[kept++] = task;
        if (task.due_us < plane->next_due_us)
            plane->next_due_us = task.due_us;
    }
    plane->n_tasks = kept;
    sort_due(due, n_due);
    for (size_t i = 0; i < n_due; i++) {
        /* one microsecond later even without any delay: the two moves of updated_at are two */
        plane_touch(due[i].issue, due[i].due_us + 1);
        due[i].activity->created_us = due[i].due_us + 1;
        list_add(&plane->arena, &due[i].issue->activities, due[i].activity);
    }
    free(due);
}
