/* Single issues and states of Plane, and the change of an issue by its API. */
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/text.h"
#include "tests/sandbox/plane.h"
#include "tests/sandbox/plane_load.h"
#include "tests/sandbox/plane_mail.h"
#include "tests/sandbox/sandbox.h"

#define NAME_MAX_CHARACTERS 255

static struct plane_issue *issue_asked(const struct call *call)
{
    struct plane_issue *issue = map_get(&call->sandbox->plane->issues, call->params[2]);
    return issue && issue->project == plane_asked(call) && !issue->deleted_us ? issue : NULL;
}

static void show(struct call *call, struct plane_issue *issue)
{
    plane_put_issue(plane_ok(call, 200), issue, plane_issue_fields(call), plane_zone_min(call));
}

void plane_issue_get(struct call *call)
{
    struct plane_issue *issue = issue_asked(call);
    if (issue && plane_visible(issue))
        show(call, issue);
    else
        plane_missing(call);
}

void plane_issue_by_key(struct call *call)
{
    const char *number_text = strrchr(call->params[1], '-') + 1;
    int64_t number;
    if (!parse_i64(number_text, 0, INT64_MAX, &number)) {
        plane_error(call, 404, "error", "Work item not found");
        return;
    }
    struct plane_issue *issue = plane_issue_number(plane_asked(call), number);
    if (issue && plane_visible(issue))
        show(call, issue);
    else
        plane_missing(call);
}

void plane_state_get(struct call *call)
{
    const struct plane_project *project = plane_asked(call);
    const struct plane_state *state = map_get(&call->sandbox->plane->states, call->params[2]);
    if (!state || state->project != project || state->group == PLANE_TRIAGE || project->archived)
        plane_missing(call);
    else
        plane_put_state(plane_ok(call, 200), state, plane_state_fields(call), plane_zone_min(call));
}

/* PATCH */

/* {"{field}": [words]} */
static void refuse_field(struct call *call, const char *field, const char *words)
{
    struct out *out = plane_ok(call, 400);
    out_open(out, NULL, '{');
    out_open(out, field, '[');
    out_text(out, NULL, words);
    out_close(out, ']');
    out_close(out, '}');
}

struct patch {
    struct plane_state *state; /* NULL: none asked for */
    bool to_null;              /* asked for as null, which gives the default state */
    const char *name, *html;
};

static struct plane_state *default_of(const struct plane_project *project)
{
    for (size_t i = 0; i < project->states.n; i++) {
        struct plane_state *state = project->states.items[i];
        if (state->is_default)
            return state;
    }
    return NULL;
}

static bool patch_state(struct call *call, const json_t *value, struct patch *patch)
{
    const char *text = json_string_value(value);
    char words[128];
    if (!value)
        return true;
    if (json_is_null(value)) { /* the default state */
        patch->to_null = true;
        patch->state = default_of(plane_asked(call));
        return true;
    }
    patch->state = text ? map_get(&call->sandbox->plane->states, text) : NULL;
    if (patch->state && patch->state->project == plane_asked(call))
        return true;
    if (patch->state)
        refuse_field(call, "non_field_errors", "State is not valid please pass a valid state_id");
    else if (text && uuid_valid(text)) {
        snprintf(words, sizeof words, "Invalid pk \"%s\" - object does not exist.", text);
        refuse_field(call, "state", words);
    } else
        refuse_field(call, "state", text ? "Not a valid UUID." : "Incorrect type. Expected pk value.");
    return false;
}

static size_t characters_of(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static bool patch_read(struct call *call, const json_t *body, struct patch *patch)
{
    if (!json_is_object(body)) {
        refuse_field(call, "non_field_errors", "Invalid data. Expected a dictionary, but got list.");
        return false;
    }
    const json_t *name = json_object_get(body, "name");
    patch->name = json_string_value(name);
    patch->html = json_get_text(body, "description_html", NULL);
    const char *wrong = !name           ? NULL
                        : !patch->name  ? "Not a valid string."
                        : !*patch->name ? "This field may not be blank."
                        : characters_of(patch->name) > NAME_MAX_CHARACTERS
                            ? "Ensure this field has no more than 255 characters."
                            : NULL;
    if (wrong)
        refuse_field(call, "name", wrong);
    return !wrong && patch_state(call, json_object_get(body, "state"), patch);
}

static void patch_apply(struct plane_issue *issue, const struct patch *patch)
{
    struct plane *plane = issue->project->plane;
    int64_t now_us = plane_now_us(plane);
    const struct plane_state *old = issue->state;
    plane_touch(issue, now_us);
    if (patch->name && strcmp(patch->name, issue->name) != 0)
        plane_edit(issue, patch->name, NULL, now_us, true);
    if (patch->html && strcmp(patch->html, issue->html) != 0)
        plane_edit(issue, NULL, arena_text(&plane->arena, patch->html), now_us, true);
    if (patch->state && patch->state != old) {
        plane_move(issue, patch->state, now_us, patch->to_null ? PLANE_BY_API_NULL : PLANE_BY_API);
        plane_mail_moved(issue, old, true, false);
    }
}

void plane_issue_patch(struct call *call)
{
    struct why why;
    struct patch patch = {0};
    struct plane_issue *issue = issue_asked(call);
    const char *type = call_request_header(call, "Content-Type");
    if (!type || strncmp(type, "application/json", strlen("application/json")) != 0) {
        char *words = mem_printf("Unsupported media type \"%s\" in request.", type ? type : "");
        plane_error(call, 415, "detail", words);
        free(words);
        return;
    }
    json_t *body = call_json(call, &why);
    if (!issue)
        plane_missing(call);
    else if (!body)
        plane_error(call, 400, "detail", "JSON parse error - Expecting value: line 1 column 1 (char 0)");
    else if (patch_read(call, body, &patch)) {
        patch_apply(issue, &patch);
        show(call, issue);
        plane_settle(issue->project->plane);
        plane_mail_flush(call->sandbox);
    }
    json_decref(body);
}
