/* Many issues of the stand-in Plane at once: most at rest, a few in the states that matter, spread evenly
 * over the ages and so over the pages. */
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "tests/sandbox/plane_load.h"
#include "tests/sandbox/plane_world.h"

#define GENERATED_MAX 1000000
#define STATES_MAX 16

struct plan {
    struct plane_project *project;
    int64_t n, n_special, young_us, old_us; /* ages */
    struct plane_state *rest;
    struct {
        struct plane_state *state;
        int64_t left;
    } special[STATES_MAX];
    size_t n_states, turn;
    const char *html;
};

static enum err plan_states(struct plan *plan, const json_t *states, struct why *why)
{
    const char *name;
    json_t *count;
    json_object_foreach((json_t *)(uintptr_t)states, name, count) /* jansson knows no const here */
    {
        struct plane_state *state = plane_state(plan->project, name);
        int64_t n = json_integer_value(count);
        if (!state || n < 0 || plan->n_states == STATES_MAX)
            return why_set(why, ERR_INVALID, "%s: no such state, or too many: %s", plan->project->identifier,
                           name);
        plan->special[plan->n_states].state = state;
        plan->special[plan->n_states++].left = n;
        plan->n_special += n;
    }
    return plan->n_special <= plan->n ? ERR_OK : why_set(why, ERR_INVALID, "more states than issues");
}

static enum err plan_read(struct plane *plane, const json_t *json, struct plan *plan, struct why *why)
{
    const json_t *ages = json_object_get(json, "ages");
    plan->project = plane_project(plane, json_get_text(json, "project", ""));
    plan->n = json_get_int(json, "issues", 0);
    if (!plan->project || plan->n < 0 || plan->n > GENERATED_MAX)
        return why_set(why, ERR_INVALID, "generate needs a project and 0 to %d issues", GENERATED_MAX);
    plan->young_us = 3600 * (int64_t)1000000;
    plan->old_us = (int64_t)30 * 86400 * 1000000;
    if (json_array_size(ages) == 2) {
        plan->young_us = (int64_t)(json_number_value(json_array_get(ages, 0)) * 1e6);
        plan->old_us = (int64_t)(json_number_value(json_array_get(ages, 1)) * 1e6);
    }
    plan->rest = plane_state(plan->project, json_get_text(json, "rest", "Backlog"));
    if (!plan->rest || plan->young_us < 0 || plan->old_us < plan->young_us)
        return why_set(why, ERR_INVALID, "generate: rest is a state, ages are [youngest, oldest] in seconds");
    plan->html = plane_html(plane, json, "<p></p>");
    return plan_states(plan, json_object_get(json, "states"), why);
}

/* The next of the special states, each in its turn. */
static struct plane_state *next_special(struct plan *plan)
{
    for (;;) {
        size_t at = plan->turn++ % plan->n_states;
        if (plan->special[at].left > 0) {
            plan->special[at].left--;
            return plan->special[at].state;
        }
    }
}

static struct plane_issue *make_issue(struct plan *plan, int64_t i, int64_t now_us,
                                      struct plane_state *special)
{
    struct plane_project *project = plan->project;
    int64_t at_us = now_us - plan->old_us;
    if (plan->n > 1) /* the lowest number is the oldest */
        at_us += (int64_t)((double)(plan->old_us - plan->young_us) * (double)i / (double)(plan->n - 1));
    struct plane_issue *issue = plane_add_issue(project, project->last_number + 1, NULL, at_us - 60000000);
    issue->state = plan->rest;
    issue->html = plan->html;
    plane_record(issue, issue->created_us,
                 &(struct plane_activity){.verb = "created", .comment = "created the issue"});
    if (special)
        plane_move(issue, special, at_us, PLANE_BY_WEB);
    plane_touch(issue, at_us + 1);
    return issue;
}

enum err plane_generate(struct plane *plane, const json_t *document, struct out *out, struct why *why)
{
    struct plan plan = {0};
    enum err err = plan_read(plane, document, &plan, why);
    if (err)
        return err;
    int64_t now_us = plane_now_us(plane), made = 0;
    if (out)
        out_open(out, "issues", '[');
    for (int64_t i = 0; i < plan.n; i++) {
        bool is_special = made < plan.n_special && i == (made * 2 + 1) * plan.n / (plan.n_special * 2);
        const struct plane_issue *issue =
            make_issue(&plan, i, now_us, is_special ? next_special(&plan) : NULL);
        made += is_special;
        if (!is_special || !out)
            continue;
        out_open(out, NULL, '{');
        out_text(out, "id", issue->id.s);
        out_made(out, "key", "%s-%lld", plan.project->identifier, (long long)issue->number);
        out_text(out, "state", issue->state->name);
        out_close(out, '}');
    }
    if (out)
        out_close(out, ']');
    plane_settle(plane);
    return ERR_OK;
}
