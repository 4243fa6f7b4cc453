#include "tests/sandbox/plane_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "tests/sandbox/plane_world.h"

#define HOUR_US ((int64_t)3600 * 1000000)
#define HTML_BYTES_MAX (8 << 20)

int64_t plane_instant(const struct plane *plane, const json_t *json, const char *name, int64_t fallback_us)
{
    char key[32];
    int64_t us;
    snprintf(key, sizeof key, "%s%sat", name, *name ? "_" : "");
    const char *text = json_get_text(json, key, NULL);
    if (text && instant_parse(text, &us))
        return us;
    snprintf(key, sizeof key, "%s%sago", name, *name ? "_" : "");
    const json_t *ago = json_object_get(json, key);
    return json_is_number(ago) ? plane_now_us(plane) - (int64_t)(json_number_value(ago) * 1e6) : fallback_us;
}

const char *plane_html(struct plane *plane, const json_t *json, const char *fallback)
{
    const char *html = json_get_text(json, "description_html", NULL);
    int64_t bytes = json_get_int(json, "description_bytes", 0);
    if (html)
        return arena_text(&plane->arena, html);
    if (bytes < 8 || bytes > HTML_BYTES_MAX)
        return fallback;
    char *made = arena_get(&plane->arena, (size_t)bytes + 1);
    memset(made, 'x', (size_t)bytes);
    memcpy(made, "<p>", 3);
    memcpy(made + bytes - 4, "</p>", 4);
    return made;
}

static const char *text_of(struct plane *plane, const json_t *json, const char *key, const char *fallback)
{
    return arena_text(&plane->arena, json_get_text(json, key, fallback));
}

/* issues */

static struct plane_state *default_state(const struct plane_project *project)
{
    for (size_t i = 0; i < project->states.n; i++) {
        struct plane_state *state = project->states.items[i];
        if (state->is_default)
            return state;
    }
    return project->states.n ? project->states.items[0] : NULL;
}

/* The moves of "history", or the one that "state" with "state_ago" is short for. */
static enum err load_history(struct plane_issue *issue, const json_t *json, struct why *why)
{
    const struct plane_project *project = issue->project;
    const struct plane *plane = project->plane;
    const json_t *rows = json_object_get(json, "history");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        struct plane_state *state = plane_state(project, json_get_text(row, "state", ""));
        if (!state)
            return why_set(why, ERR_INVALID, "%s: no such state in history", project->identifier);
        plane_move(issue, state, plane_instant(plane, row, "", plane_now_us(plane)),
                   json_get_bool(row, "automatic", false) ? PLANE_BY_AUTOMATION : PLANE_BY_WEB);
    }
    const char *name = json_get_text(json, "state", NULL);
    struct plane_state *state = name ? plane_state(project, name) : NULL;
    if (name && !state)
        return why_set(why, ERR_INVALID, "%s: no such state: %s", project->identifier, name);
    int64_t at_us = plane_instant(plane, json, "state", 0);
    if (state && at_us)
        plane_move(issue, state, at_us, PLANE_BY_WEB);
    else if (state)
        issue->state = state; /* made in that column of the board: no activity records it */
    return ERR_OK;
}

static int64_t earliest(const struct plane *plane, const json_t *json)
{
    int64_t us = plane_instant(plane, json, "updated", plane_now_us(plane));
    int64_t state_us = plane_instant(plane, json, "state", us);
    us = state_us < us ? state_us : us;
    const json_t *rows = json_object_get(json, "history");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        int64_t row_us = plane_instant(plane, json_array_get(rows, i), "", us);
        us = row_us < us ? row_us : us;
    }
    return us;
}

enum err plane_load_issue(struct plane_project *project, const json_t *json, struct plane_issue **ret,
                          struct why *why)
{
    struct plane *plane = project->plane;
    int64_t number = json_get_int(json, "number", project->last_number + 1);
    const char *id = json_get_text(json, "id", NULL);
    bool twin = json_get_bool(json, "twin", false);
    if (number < 1 || (plane_issue_number(project, number) && !twin) || (id && !uuid_valid(id)) ||
        (id && map_get(&plane->issues, id)))
        return why_set(why, ERR_INVALID, "%s: an issue needs a new number and, if any, a new uuid",
                       project->identifier);
    struct plane_issue *issue = plane_add_issue(
        project, number, id, plane_instant(plane, json, "created", earliest(plane, json) - HOUR_US));
    issue->name = text_of(plane, json, "name", issue->name);
    issue->html = plane_html(plane, json, issue->html);
    issue->priority = text_of(plane, json, "priority", issue->priority);
    issue->external_source = text_of(plane, json, "external_source", NULL);
    issue->external_id = text_of(plane, json, "external_id", NULL);
    issue->state = default_state(project);
    issue->draft = json_get_bool(json, "draft", false);
    plane_record(issue, issue->created_us,
                 &(struct plane_activity){.verb = "created", .comment = "created the issue"});
    enum err err = load_history(issue, json, why);
    plane_touch(issue, plane_instant(plane, json, "updated", issue->updated_us));
    issue->archived_us = json_get_bool(json, "archived", false) ? issue->updated_us : 0;
    issue->deleted_us = json_get_bool(json, "deleted", false) ? issue->updated_us : 0;
    *ret = issue;
    return err;
}

/* projects */

static int by_sequence(const void *a, const void *b)
{
    const struct plane_state *x = *(struct plane_state *const *)a, *y = *(struct plane_state *const *)b;
    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

static enum err load_state(struct plane_project *project, const json_t *json, struct why *why)
{
    const char *name = json_get_text(json, "name", NULL), *id = json_get_text(json, "id", NULL),
               *group = json_get_text(json, "group", plane_group_names[PLANE_STARTED]);
    int at = 0;
    while (at < PLANE_GROUP_MAX && strcmp(plane_group_names[at], group) != 0)
        at++;
    if (!name || at == PLANE_GROUP_MAX || plane_state(project, name) || (id && !uuid_valid(id)) ||
        (id && map_get(&project->plane->states, id)))
        return why_set(why, ERR_INVALID, "%s: a state needs a new name, a group and, if any, a new uuid",
                       project->identifier);
    struct plane_state *state = plane_add_state(project, name, (enum plane_group)at, id);
    const json_t *sequence = json_object_get(json, "sequence");
    if (json_is_number(sequence))
        state->sequence = json_number_value(sequence);
    state->color = text_of(project->plane, json, "color", state->color);
    state->is_default = json_get_bool(json, "default", false);
    return ERR_OK;
}

/* The columns that Plane makes, the two that the pipeline adds, and the hidden one. */
static void add_usual_states(struct plane_project *project)
{
    static const struct {
        const char *name;
        enum plane_group group;
    } usual[] = {{"Backlog", PLANE_BACKLOG},     {"Todo", PLANE_UNSTARTED},   {"In Progress", PLANE_STARTED},
                 {"Approved", PLANE_STARTED},    {"Rejected", PLANE_STARTED}, {"Done", PLANE_COMPLETED},
                 {"Cancelled", PLANE_CANCELLED}, {"Triage", PLANE_TRIAGE}};
    for (size_t i = 0; i < ARRAY_LEN(usual); i++)
        (void)plane_add_state(project, usual[i].name, usual[i].group, NULL);
    ((struct plane_state *)project->states.items[0])->is_default = true;
}

static enum err load_project(struct plane *plane, const json_t *json, struct why *why)
{
    const char *identifier = json_get_text(json, "identifier", NULL), *id = json_get_text(json, "id", NULL);
    struct plane_project *project = plane_project(plane, identifier ? identifier : id ? id : "");
    if (!project && (!identifier || !*identifier || strlen(identifier) > 12 || (id && !uuid_valid(id)) ||
                     (id && map_get(&plane->projects_by_id, id))))
        return why_set(why, ERR_INVALID,
                       "a project needs an identifier of 1 to 12 characters and, if any, a "
                       "new uuid");
    bool added = !project;
    if (added)
        project = plane_add_project(plane, identifier, id);
    project->name = text_of(plane, json, "name", project->name);
    project->archived = json_get_bool(json, "archived", project->archived);
    project->deleted = json_get_bool(json, "deleted", project->deleted);
    project->stranger = !json_get_bool(json, "member", !project->stranger);
    plane_listed_anew(project);
    const json_t *states = json_object_get(json, "states"), *issues = json_object_get(json, "issues");
    if (added && !states)
        add_usual_states(project);
    enum err err = ERR_OK;
    for (size_t i = 0; !err && i < json_array_size(states); i++)
        err = load_state(project, json_array_get(states, i), why);
    if (project->states.n)
        qsort(project->states.items, project->states.n, sizeof(void *), by_sequence);
    struct plane_issue *issue;
    for (size_t i = 0; !err && i < json_array_size(issues); i++)
        err = plane_load_issue(project, json_array_get(issues, i), &issue, why);
    return err;
}

/* settings */

static enum err load_keys(struct plane *plane, const json_t *keys, struct why *why)
{
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *json = json_array_get(keys, i);
        const char *text = json_is_string(json) ? json_string_value(json) : json_get_text(json, "key", NULL);
        if (!text)
            return why_set(why, ERR_INVALID, "keys: texts, or objects with a key");
        struct limit_key *key = limit_key(&plane->limit, &plane->arena, text, true);
        key->revoked = json_get_bool(json, "revoked", key->revoked);
        key->calls = json_get_int(json, "limit", key->calls);
        key->zoned = json_object_get(json, "zone_minutes") || key->zoned;
        key->zone_min = (int)json_get_int(json, "zone_minutes", key->zone_min);
    }
    if (keys)
        plane->limit.named = json_array_size(keys) > 0;
    return ERR_OK;
}

static void load_hook(struct plane *plane, const json_t *json)
{
    struct plane_hook *hook = &plane->hook;
    if (json_object_get(json, "url"))
        hook->url = text_of(plane, json, "url", NULL);
    if (json_object_get(json, "secret"))
        hook->secret = text_of(plane, json, "secret", NULL);
    hook->active = json_get_bool(json, "active", hook->active);
    hook->issue = json_get_bool(json, "issue", hook->issue);
    hook->retries = json_get_int(json, "retries", hook->retries);
    if (json_object_get(json, "lose"))
        plane->mail_mode = json_get_bool(json, "lose", false) ? MAIL_LOSE : MAIL_SEND;
}

static enum err load_settings(struct plane *plane, const json_t *json, struct why *why)
{
    const char *version = json_get_text(json, "version", NULL);
    if (version && !plane_set_version(plane, version))
        return why_set(why, ERR_INVALID, "version: such as 1.3.1");
    int64_t calls = json_get_int(json, "limit", plane->limit.calls),
            window_ms = json_get_int(json, "window_ms", plane->limit.window_ms),
            delay_ms = json_get_int(json, "activity_delay_ms", plane->activity_delay_ms),
            zone_min = json_get_int(json, "zone_minutes", plane->zone_min);
    if (calls < 0 || window_ms < 1 || delay_ms < 0 || zone_min < -1439 || zone_min > 1439)
        return why_set(
            why, ERR_INVALID,
            "limit and activity_delay_ms: not below 0; window_ms: 1 or more; zone_minutes: -1439 to 1439");
    plane->limit.calls = calls;
    plane->limit.window_ms = window_ms;
    plane->activity_delay_ms = delay_ms;
    plane->zone_min = (int)zone_min;
    plane->workspace = text_of(plane, json, "workspace", plane->workspace);
    plane->shuffle = json_get_bool(json, "shuffle", plane->shuffle);
    if (json_object_get(json, "webhook"))
        load_hook(plane, json_object_get(json, "webhook"));
    return load_keys(plane, json_object_get(json, "keys"), why);
}

enum err plane_load(struct plane *plane, const json_t *document, struct why *why)
{
    const json_t *projects = json_object_get(document, "projects"),
                 *clock = json_object_get(document, "clock"),
                 *generate = json_object_get(document, "generate");
    enum err err = load_settings(plane, document, why);
    if (!err && clock)
        err = plane_clock_set(plane, clock, why);
    for (size_t i = 0; !err && i < json_array_size(projects); i++)
        err = load_project(plane, json_array_get(projects, i), why);
    for (size_t i = 0; !err && i < json_array_size(generate); i++)
        err = plane_generate(plane, json_array_get(generate, i), NULL, why);
    plane_settle(plane);
    return err;
}

enum err plane_clock_set(struct plane *plane, const json_t *document, struct why *why)
{
    int64_t now_us = plane_instant(plane, document, "now", 0),
            advance_ms = json_get_int(document, "advance_ms", 0);
    const char *text = json_get_text(document, "now", NULL);
    if (advance_ms < 0 || (text && !instant_parse(text, &now_us)))
        return why_set(why, ERR_INVALID, "clock: now is an RFC 3339 instant, advance_ms not below 0");
    bool manual = json_get_bool(document, "manual", plane->manual || text || advance_ms);
    if (!now_us)
        now_us = plane_now_us(plane);
    if (text || manual != plane->manual) /* what was logged by another clock has no meaning by this one */
        for (size_t i = 0; i < plane->limit.list.n; i++)
            ((struct limit_key *)plane->limit.list.items[i])->n = 0;
    plane->manual = manual;
    plane->manual_us = now_us + advance_ms * 1000;
    plane_settle(plane);
    return ERR_OK;
}
