/* One change of Plane at a time, as a person, a client of its API or its nightly jobs would make it. */
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "tests/sandbox/plane_load.h"
#include "tests/sandbox/plane_mail.h"
#include "tests/sandbox/plane_world.h"
#include "tests/sandbox/sandbox.h"

struct change {
    struct plane *plane;
    struct plane_project *project; /* of the issue, or as named; NULL: none */
    struct plane_issue *issue;     /* NULL: none */
    int64_t at_us;
    const json_t *json;
    struct out *out;
    struct why *why;
};

static enum err lacks(const struct change *c, const char *what)
{
    return why_set(c->why, ERR_INVALID, "%s: %s", c->project ? c->project->identifier : "change", what);
}

void plane_edit(struct plane_issue *issue, const char *name, const char *html, int64_t at_us, bool by_api)
{
    struct plane *plane = issue->project->plane;
    bool tells = !by_api || plane->version >= PLANE_VERSION(1, 3, 0);
    const char *const keys[] = {"name", "description_html"}, *const fields[] = {"name", "description"};
    const char **const values[] = {&issue->name, &issue->html};
    const char *const given[] = {name ? arena_text(&plane->arena, name) : NULL, html};
    plane_touch(issue, at_us);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (!given[i])
            continue;
        struct plane_activity activity = {.verb = "updated",
                                          .field = fields[i],
                                          .old_value = *values[i],
                                          .new_value = given[i],
                                          .comment =
                                              i ? "updated the description to" : "updated the name to"};
        plane_record(issue, at_us, &activity);
        if (tells)
            plane_mail_note(issue, &(struct plane_news){.action = "updated",
                                                        .field = keys[i],
                                                        .old_value = *values[i],
                                                        .new_value = given[i]});
        *values[i] = given[i];
    }
}

/* issues */

static enum err change_create(const struct change *c)
{
    struct plane_issue *issue;
    enum err err = plane_load_issue(c->project, c->json, &issue, c->why);
    if (err)
        return err;
    out_text(c->out, "id", issue->id.s);
    out_made(c->out, "key", "%s-%lld", c->project->identifier, (long long)issue->number);
    plane_mail_note(issue, &(struct plane_news){.action = "created"});
    return ERR_OK;
}

/* "by": "web" (a board or a menu), "api", or "automation", which sends nothing. */
static enum err change_state(const struct change *c)
{
    struct plane_state *state = plane_state(c->project, json_get_text(c->json, "state", ""));
    const struct plane_state *old = c->issue->state;
    const char *by = json_get_text(c->json, "by", "web");
    bool automatic = strcmp(by, "automation") == 0, by_api = strcmp(by, "api") == 0;
    if (!state)
        return lacks(c, "no such state");
    if (!automatic && !by_api && strcmp(by, "web") != 0)
        return lacks(c, "by: web, api or automation");
    plane_touch(c->issue, c->at_us);
    if (state == old) /* saved all the same, but without activity and webhook */
        return ERR_OK;
    plane_move(c->issue, state, c->at_us,
               automatic ? PLANE_BY_AUTOMATION
               : by_api  ? PLANE_BY_API
                         : PLANE_BY_WEB);
    if (!automatic)
        plane_mail_moved(c->issue, old, by_api, json_get_bool(c->json, "drag", false));
    return ERR_OK;
}

static enum err change_edit(const struct change *c)
{
    const char *name = json_get_text(c->json, "name", NULL), *html = plane_html(c->plane, c->json, NULL);
    bool by_api = strcmp(json_get_text(c->json, "by", "web"), "api") == 0;
    char *made = name || html ? NULL : mem_printf("%s'", c->issue->name);
    plane_edit(c->issue, made ? made : name, html, c->at_us, by_api);
    free(made);
    return ERR_OK;
}

/* updated_at moves for it too, and activities/ leaves it out. */
static enum err change_comment(const struct change *c)
{
    plane_record(c->issue, c->at_us,
                 &(struct plane_activity){.verb = "created",
                                          .field = "comment",
                                          .new_value = json_get_text(c->json, "text", "A comment"),
                                          .comment = "created a comment"});
    return ERR_OK;
}

/* Neither of these four sends a webhook. */
static enum err set_archived(const struct change *c, bool archived)
{
    c->issue->archived_us = archived ? c->at_us : 0;
    plane_touch(c->issue, c->at_us);
    plane_listed_anew(c->project);
    plane_record(c->issue, c->at_us,
                 &(struct plane_activity){.verb = "updated",
                                          .field = "archived_at",
                                          .new_value = archived ? "archive" : "restore",
                                          .comment = archived ? "archived the issue" : "restored the issue"});
    return ERR_OK;
}

static enum err change_archive(const struct change *c)
{
    return set_archived(c, true);
}

static enum err change_unarchive(const struct change *c)
{
    return set_archived(c, false);
}

static enum err change_delete(const struct change *c)
{
    c->issue->deleted_us = c->at_us;
    plane_listed_anew(c->project);
    return ERR_OK;
}

static enum err change_draft(const struct change *c)
{
    c->issue->draft = json_get_bool(c->json, "draft", true);
    plane_touch(c->issue, c->at_us);
    plane_listed_anew(c->project);
    return ERR_OK;
}

/* everything else */

static void state_changed(const struct change *c)
{
    for (size_t i = 0; i < c->project->issues.n; i++)
        plane_touch(c->project->issues.items[i], 0); /* their JSON may spell out its name */
}

static enum err change_rename_state(const struct change *c)
{
    struct plane_state *state = plane_state(c->project, json_get_text(c->json, "state", ""));
    const char *name = json_get_text(c->json, "name", NULL);
    if (!state || !name || plane_state(c->project, name))
        return lacks(c, "rename_state needs a state and a new name");
    state->name = arena_text(&c->plane->arena, name);
    state_changed(c);
    return ERR_OK;
}

/* Another id under the same name, as when a column is deleted and made again; its issues move along. */
static enum err change_remake_state(const struct change *c)
{
    struct plane_state *state = plane_state(c->project, json_get_text(c->json, "state", ""));
    if (!state)
        return lacks(c, "no such state");
    state->id = uuid_new();
    map_put(&c->plane->states, arena_text(&c->plane->arena, state->id.s), state);
    state_changed(c);
    out_text(c->out, "id", state->id.s);
    return ERR_OK;
}

static enum err change_delete_project(const struct change *c)
{
    c->project->deleted = true;
    plane_listed_anew(c->project);
    return ERR_OK;
}

/* archived, member, name, states …: as when loading. */
static enum err change_project(const struct change *c)
{
    json_t *project = json_deep_copy(c->json);
    json_put(project, "identifier", json_text(c->project->identifier));
    json_t *document = json_pack("{s:[o]}", "projects", project);
    enum err err = plane_load(c->plane, document, c->why);
    json_decref(document);
    return err;
}

static enum err change_revoke_key(const struct change *c)
{
    const char *key = json_get_text(c->json, "key", NULL);
    if (!key)
        return lacks(c, "revoke_key needs a key");
    limit_key(&c->plane->limit, &c->plane->arena, key, true)->revoked =
        json_get_bool(c->json, "revoked", true);
    return ERR_OK;
}

enum needs { NEEDS_NOTHING, NEEDS_PROJECT, NEEDS_ISSUE };

static const struct verb {
    const char *name;
    enum err (*make)(const struct change *change);
    enum needs needs;
} verbs[] = {
    {"state", change_state, NEEDS_ISSUE},
    {"edit", change_edit, NEEDS_ISSUE},
    {"comment", change_comment, NEEDS_ISSUE},
    {"archive", change_archive, NEEDS_ISSUE},
    {"unarchive", change_unarchive, NEEDS_ISSUE},
    {"delete", change_delete, NEEDS_ISSUE},
    {"draft", change_draft, NEEDS_ISSUE},
    {"create", change_create, NEEDS_PROJECT},
    {"project", change_project, NEEDS_PROJECT},
    {"delete_project", change_delete_project, NEEDS_PROJECT},
    {"rename_state", change_rename_state, NEEDS_PROJECT},
    {"remake_state", change_remake_state, NEEDS_PROJECT},
    {"revoke_key", change_revoke_key, NEEDS_NOTHING},
};

static const struct verb *verb_of(const json_t *json)
{
    const char *asked = json_get_text(json, "do", "");
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(verbs[i].name, asked) == 0)
            return &verbs[i];
    return NULL;
}

static enum err make_for(struct change *c, const struct verb *verb, const char *issue)
{
    c->issue = issue ? plane_issue(c->plane, issue) : NULL;
    if (issue && (!c->issue || c->issue->deleted_us))
        return why_set(c->why, ERR_INVALID, "no such issue: %s", issue);
    if (c->issue)
        c->project = c->issue->project;
    out_open(c->out, NULL, '{');
    enum err err = verb->make(c);
    if (c->issue)
        out_text(c->out, "id", c->issue->id.s);
    out_close(c->out, '}');
    return err;
}

static enum err make_one(struct plane *plane, const json_t *json, struct out *out, struct why *why)
{
    const struct verb *verb = verb_of(json);
    const json_t *issues = json_object_get(json, "issues");
    const char *issue = json_get_text(json, "issue", NULL);
    if (!verb)
        return why_set(why, ERR_INVALID, "do \"%s\" is unknown", json_get_text(json, "do", ""));
    struct change change = {.plane = plane,
                            .project = plane_project(plane, json_get_text(json, "project", "")),
                            .at_us = plane_instant(plane, json, "", plane_now_us(plane)),
                            .json = json,
                            .out = out,
                            .why = why};
    if (verb->needs == NEEDS_PROJECT && !change.project)
        return why_set(why, ERR_INVALID, "no such project: %s",
                       json_get_text(json, "project", "(none given)"));
    if (verb->needs != NEEDS_ISSUE)
        return make_for(&change, verb, NULL);
    if (!issue && !json_is_array(issues))
        return why_set(why, ERR_INVALID, "%s needs an issue or issues", verb->name);
    enum err err = issue ? make_for(&change, verb, issue) : ERR_OK;
    for (size_t i = 0; !err && i < json_array_size(issues); i++) {
        const char *name = json_string_value(json_array_get(issues, i));
        err = make_for(&change, verb, name ? name : "");
    }
    return err;
}

/* "webhook": "send", "lose" or "none" for this change alone. */
static enum err make_with_mail(struct plane *plane, const json_t *json, struct out *out, struct why *why)
{
    static const char *const names[] = {[MAIL_SEND] = "send", [MAIL_LOSE] = "lose", [MAIL_NONE] = "none"};
    enum mail_mode usual = plane->mail_mode;
    const char *asked = json_get_text(json, "webhook", names[usual]);
    size_t mode = 0;
    while (mode < ARRAY_LEN(names) && strcmp(names[mode], asked) != 0)
        mode++;
    if (mode == ARRAY_LEN(names))
        return why_set(why, ERR_INVALID, "webhook: send, lose or none");
    plane->mail_mode = (enum mail_mode)mode;
    enum err err = make_one(plane, json, out, why);
    plane->mail_mode = usual;
    return err;
}

enum err plane_change(struct sandbox *sandbox, const json_t *changes, struct out *out, struct why *why)
{
    struct plane *plane = sandbox->plane;
    enum err err = ERR_OK;
    out_open(out, "results", '[');
    if (json_is_object(changes))
        err = make_with_mail(plane, changes, out, why);
    for (size_t i = 0; !err && i < json_array_size(changes); i++)
        err = make_with_mail(plane, json_array_get(changes, i), out, why);
    out_close(out, ']');
    plane_settle(plane);
    plane_mail_flush(sandbox);
    return err;
}

/* what is to happen later */

enum err plane_script(struct plane *plane, const json_t *document, struct why *why)
{
    int64_t after = json_get_int(document, "after_lists", 1);
    json_t *changes = json_object_get(document, "changes");
    if (after < 1 || (!json_is_array(changes) && !json_is_object(changes)))
        return why_set(why, ERR_INVALID, "later: after_lists from 1, and changes");
    struct plane_later *later = arena_get(&plane->arena, sizeof *later);
    later->at_list = plane->n_lists + after;
    later->changes = json_incref(changes);
    list_add(&plane->arena, &plane->later, later);
    return ERR_OK;
}

void plane_script_run(struct sandbox *sandbox)
{
    struct plane *plane = sandbox->plane;
    for (size_t i = 0; i < plane->later.n; i++) {
        struct plane_later *later = plane->later.items[i];
        if (!later->changes || later->at_list > plane->n_lists)
            continue;
        struct out out = {0};
        json_t *changes = later->changes;
        later->changes = NULL;
        if (plane_change(sandbox, changes, &out, &plane->later_why))
            plane->later_failed++;
        out_free(&out);
        json_decref(changes);
    }
}
