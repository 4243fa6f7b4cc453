#include "tests/sandbox/plane_mail.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "tests/sandbox/mailer.h"
#include "tests/sandbox/plane.h"
#include "tests/sandbox/sandbox.h"

json_t *plane_mail_note(struct plane_issue *issue, const struct plane_news *news)
{
    struct plane *plane = issue->project->plane;
    if (plane->mail_mode == MAIL_NONE)
        return NULL;
    json_t *letter = json_object();
    json_put(letter, "issue", json_text(issue->id.s));
    json_put(letter, "lose", json_boolean(plane->mail_mode == MAIL_LOSE));
    json_put(letter, "action", json_text(news->action));
    json_put(letter, "field", json_text(news->field));
    json_put(letter, "new_value", json_text(news->new_value));
    json_put(letter, "old_value", json_text(news->old_value));
    json_put(letter, "old_identifier", json_text(news->old_identifier));
    json_put(letter, "new_identifier", json_text(news->new_identifier));
    json_push(plane->letters, letter);
    return letter;
}

/* Dropped elsewhere on the board, an issue changes its place too: a second key, of the same request. */
static void note_drag(struct plane_issue *issue)
{
    json_t *letter = plane_mail_note(issue, &(struct plane_news){.action = "updated", .field = "sort_order"});
    if (letter) {
        json_put(letter, "old_value", json_real(issue->sort_order));
        json_put(letter, "new_value", json_real(issue->sort_order + 5000));
    }
    issue->sort_order += 5000;
}

void plane_mail_moved(struct plane_issue *issue, const struct plane_state *old, bool by_api, bool dragged)
{
    const struct plane *plane = issue->project->plane;
    if (by_api && plane->version < PLANE_VERSION(1, 3, 0))
        return;
    plane_mail_note(issue, &(struct plane_news){.action = "updated",
                                                .field = by_api ? "state" : "state_id",
                                                .old_value = old ? old->id.s : NULL,
                                                .new_value = issue->state->id.s});
    if (dragged)
        note_drag(issue);
    if (plane->version <= PLANE_VERSION(0, 26, 0))
        plane_mail_note(issue, &(struct plane_news){.action = "updated",
                                                    .field = "state",
                                                    .old_value = old ? old->name : NULL,
                                                    .new_value = issue->state->name,
                                                    .old_identifier = old ? old->id.s : NULL,
                                                    .new_identifier = issue->state->id.s});
}

/* the payload */

static json_t *actor_json(const struct plane *plane)
{
    struct out out = {0};
    plane_put_person(&out, NULL, plane);
    json_t *actor = json_loads(out.text, 0, NULL);
    if (!actor)
        abort();
    out_free(&out);
    return actor;
}

static json_t *activity_json(const struct plane *plane, const json_t *letter)
{
    static const char *const members[] = {"field", "new_value", "old_value"};
    json_t *activity = json_object();
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        json_put(activity, members[i], json_incref(json_object_get(letter, members[i])));
    json_put(activity, "actor", actor_json(plane));
    json_put(activity, "old_identifier", json_incref(json_object_get(letter, "old_identifier")));
    json_put(activity, "new_identifier", json_incref(json_object_get(letter, "new_identifier")));
    return activity;
}

/* As Python's json.dumps writes it: ", " and ": " between, everything beyond printable ASCII escaped, in
 * lower-case hex. */
static char *python_dumps(const json_t *value)
{
    char *text = json_dumps(value, JSON_ENSURE_ASCII);
    struct out out = {0};
    if (!text)
        abort();
    for (const char *at = text; *at; at++) {
        if (*at == 0x7f)
            out_plain(&out, "\\u007f");
        else
            out_bytes(&out, at, 1);
        if (*at != '\\')
            continue;
        out_bytes(&out, ++at, 1);
        for (size_t i = 0; *at == 'u' && i < 4; i++)
            out_fmt(&out, "%c", tolower((unsigned char)at[i + 1]));
        at += *at == 'u' ? 4 : 0;
    }
    free(text);
    return out_take(&out);
}

static char *payload_of(struct plane *plane, const json_t *letter, struct plane_issue *issue)
{
    struct out out = {0};
    plane_put_webhook_data(&out, issue);
    json_t *payload = json_object(), *data = json_loads(out.text, 0, NULL);
    if (!data)
        abort();
    out_free(&out);
    json_put(payload, "event", json_text("issue"));
    json_put(payload, "action", json_incref(json_object_get(letter, "action")));
    json_put(payload, "webhook_id", json_text(plane->hook.id.s));
    json_put(payload, "workspace_id", json_text(plane->workspace_id.s));
    json_put(payload, "data", data);
    json_put(payload, "activity", activity_json(plane, letter));
    char *text = python_dumps(payload);
    json_decref(payload);
    return text;
}

void plane_mail_check(struct sandbox *sandbox)
{
    if (mailer_gave_up(sandbox->mailer))
        sandbox->plane->hook.active = false;
}

void plane_mail_flush(struct sandbox *sandbox)
{
    struct plane *plane = sandbox->plane;
    const struct plane_hook *hook = &plane->hook;
    plane_mail_check(sandbox);
    for (size_t i = 0; i < json_array_size(plane->letters); i++) {
        const json_t *letter = json_array_get(plane->letters, i);
        bool lose = json_get_bool(letter, "lose", false);
        struct plane_issue *issue = map_get(&plane->issues, json_get_text(letter, "issue", ""));
        if (!issue || issue->deleted_us) /* gone before the task ran: swallowed */
            continue;
        if (!hook->active || !hook->issue)
            plane->missed_inactive++;
        else if (hook->url || lose) /* what is lost counts even without a receiver */
            mailer_post_plane(sandbox->mailer, hook->url ? hook->url : "", hook->secret, "issue",
                              hook->retries, lose, payload_of(plane, letter, issue));
    }
    json_array_clear(plane->letters);
}
