/* The control interface of the stand-in Plane, under /sandbox/plane. */
#include <stdlib.h>

#include "clients/base/jsonx.h"
#include "clients/base/text.h"
#include "tests/sandbox/control.h"
#include "tests/sandbox/mailer.h"
#include "tests/sandbox/plane_load.h"
#include "tests/sandbox/plane_mail.h"
#include "tests/sandbox/plane_world.h"
#include "tests/sandbox/sandbox.h"

static void put_project(struct out *out, struct plane_project *project)
{
    out_open(out, NULL, '{');
    out_text(out, "identifier", project->identifier);
    out_text(out, "id", project->id.s);
    out_int(out, "issues", (int64_t)project->issues.n);
    out_int(out, "visible", (int64_t)plane_count(project));
    out_open(out, "states", '{');
    for (size_t i = 0; i < project->states.n; i++) {
        const struct plane_state *state = project->states.items[i];
        out_text(out, state->name, state->id.s);
    }
    out_close(out, '}');
    out_close(out, '}');
}

void control_plane_get(struct call *call)
{
    const struct plane *plane = call->sandbox->plane;
    char now[INSTANT_TEXT_SIZE];
    plane_settle(call->sandbox->plane);
    plane_mail_check(call->sandbox);
    instant_format(plane_now_us(plane), now);
    struct out *out = control_open(call, 200);
    out_made(out, "plane_url", "http://127.0.0.1:%d/plane", call->sandbox->port);
    out_text(out, "version", plane->version_text);
    out_text(out, "workspace", plane->workspace);
    out_text(out, "now", now);
    out_bool(out, "manual", plane->manual);
    out_bool(out, "webhook_active", plane->hook.active);
    out_open(out, "projects", '[');
    for (size_t i = 0; i < plane->projects.n; i++)
        put_project(out, plane->projects.items[i]);
    out_close(out, ']');
    out_close(out, '}');
}

/* The body, which must be an object; NULL when it has answered. */
static json_t *object_given(struct call *call)
{
    struct why why = {""};
    json_t *body = call_json(call, &why);
    if (json_is_object(body))
        return body;
    control_error(call, 400, body ? "a JSON object is needed" : why.text);
    json_decref(body);
    return NULL;
}

static void run(struct call *call, enum err (*load)(struct plane *, const json_t *, struct why *))
{
    struct why why;
    json_t *body = object_given(call);
    if (!body)
        return;
    enum err err = load(call->sandbox->plane, body, &why);
    json_decref(body);
    if (err)
        control_error(call, 400, why.text);
    else
        control_plane_get(call);
}

void control_plane_post(struct call *call)
{
    run(call, plane_load);
}

void control_plane_clock(struct call *call)
{
    run(call, plane_clock_set);
}

void control_plane_later(struct call *call)
{
    run(call, plane_script);
}

void control_plane_generate(struct call *call)
{
    struct why why;
    json_t *body = object_given(call);
    if (!body)
        return;
    struct out *out = control_open(call, 200);
    enum err err = plane_generate(call->sandbox->plane, body, out, &why);
    out_close(out, '}');
    json_decref(body);
    if (err)
        control_error(call, 400, why.text);
}

void control_plane_change(struct call *call)
{
    struct why why;
    json_t *body = call_json(call, &why);
    struct out *out = control_open(call, 200);
    plane_settle(call->sandbox->plane);
    enum err err = body ? plane_change(call->sandbox, body, out, &why) : ERR_INVALID;
    out_close(out, '}');
    json_decref(body);
    if (err)
        control_error(call, 400, why.text);
}

void control_plane_counters(struct call *call)
{
    const struct plane *plane = call->sandbox->plane;
    plane_mail_check(call->sandbox);
    struct out *out = control_open(call, 200);
    limit_write(&plane->limit, out);
    out_int(out, "lists", plane->n_lists);
    out_int(out, "later_failed", plane->later_failed);
    out_text(out, "later_error", plane->later_failed ? plane->later_why.text : NULL);
    out_open(out, "webhooks", '{');
    out_bool(out, "active", plane->hook.active);
    out_int(out, "missed_inactive", plane->missed_inactive);
    mailer_write(call->sandbox->mailer, MAIL_PLANE, out);
    out_close(out, '}');
    out_close(out, '}');
}

void control_plane_counters_reset(struct call *call)
{
    struct plane *plane = call->sandbox->plane;
    limit_reset(&plane->limit);
    plane->missed_inactive = 0;
    out_close(control_open(call, 200), '}');
}
