/* Plane's client against the sandbox's Plane: what it asks, what it understands, in every version. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/text.h"
#include "tests/support/plane_scene.h"

/* ---- states, issues, changes ----------------------------------------------------------------------------
 */

static const struct plane_state *state_named(const struct plane_states *states, const char *name)
{
    for (size_t i = 0; i < states->n; i++)
        if (strcmp(states->items[i].name, name) == 0)
            return &states->items[i];
    return NULL;
}

static void states_are_those_of_the_project_without_triage(void **state)
{
    struct plane_scene *scene = *state;
    struct plane_states states;
    assert_int_equal(plane_states(&scene->call, PROJECT, &states, &scene->why), PLANE_OK);
    assert_int_equal(states.n, 7);
    assert_non_null(state_named(&states, "In Progress"));
    assert_non_null(state_named(&states, "Rejected"));
    assert_null(state_named(&states, "Triage"));
    plane_states_done(&states);
}

static void an_issue_and_its_newest_change_of_state_are_found(void **state)
{
    struct plane_scene *scene = *state;
    struct plane_states states;
    struct plane_page page;
    struct plane_change change;
    sandbox_tell(scene->sandbox, "plane/clock", "{'now':'2026-11-23T10:00:00.5Z','manual':true}");
    sandbox_tell(
        scene->sandbox, "plane",
        "{'projects':[{'identifier':'ORCH','issues':[{'number':7,'id':'%s','name':'Gr\xc3\xbcn','state':"
        "'Approved','state_ago':700,'history':[{'state':'Rejected','ago':800}],'updated_ago':30}]}]}",
        ISSUE_1);
    assert_int_equal(plane_states(&scene->call, PROJECT, &states, &scene->why), PLANE_OK);
    assert_int_equal(plane_issues(&scene->call, PROJECT, 0, &page, &scene->why), PLANE_OK);
    assert_int_equal(page.n, 1);
    assert_int_equal(page.total, 1);
    assert_false(page.more);
    assert_string_equal(page.items[0].id, ISSUE_1);
    assert_string_equal(page.items[0].name, "Gr\xc3\xbcn");
    assert_string_equal(page.items[0].state, state_named(&states, "Approved")->id);
    assert_int_equal(page.items[0].sequence, 7);
    int64_t updated_us = 0;
    assert_true(instant_parse("2026-11-23T09:59:30.5Z", &updated_us));
    assert_int_equal(page.items[0].updated_us, updated_us);
    assert_int_equal(plane_last_change(&scene->call, PROJECT, ISSUE_1, &change, &scene->why), PLANE_OK);
    assert_true(change.found);
    assert_string_equal(change.new_state, state_named(&states, "Approved")->id);
    int64_t at_us = 0;
    assert_true(instant_parse("2026-11-23T09:48:20Z", &at_us));
    assert_int_equal(change.at_us, at_us);
    plane_page_done(&page);
    plane_states_done(&states);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SANDBOX(states_are_those_of_the_project_without_triage),
        IN_SANDBOX(an_issue_and_its_newest_change_of_state_are_found),
    };
    plane_scene_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
