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
#include "tests/support/clients/plane/plane_scene.h"

/* states, issues, changes */

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
    ATTR_CLEANUP(plane_change_done) struct plane_change change = {0};
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

static void times_are_instants_whatever_the_zone_of_the_keys_user(void **state)
{
    struct plane_scene *scene = *state;
    static const int zones[] = {0, 330, -210, 840};
    int64_t updated_us = 0, at_us = 0;
    assert_true(instant_parse("2026-11-23T09:59:30Z", &updated_us));
    assert_true(instant_parse("2026-11-23T09:48:20Z", &at_us));
    sandbox_tell(scene->sandbox, "plane/clock", "{'now':'2026-11-23T10:00:00Z','manual':true}");
    sandbox_tell(scene->sandbox, "plane",
                 "{'projects':[{'identifier':'ORCH','issues':[{'id':'%s','state':'Approved','state_ago':700,"
                 "'updated_ago':30}]}]}",
                 ISSUE_1);
    for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
        struct plane_issue issue;
        ATTR_CLEANUP(plane_change_done) struct plane_change change = {0};
        sandbox_tell(scene->sandbox, "plane", "{'zone_minutes':%d}", zones[i]);
        assert_int_equal(plane_issue(&scene->call, PROJECT, ISSUE_1, &issue, &scene->why), PLANE_OK);
        assert_int_equal(issue.updated_us, updated_us);
        assert_int_equal(plane_last_change(&scene->call, PROJECT, ISSUE_1, &change, &scene->why), PLANE_OK);
        assert_int_equal(change.at_us, at_us);
        plane_issue_done(&issue);
    }
}

static void ids_are_asked_for_in_lower_case(void **state)
{
    struct plane_scene *scene = *state;
    struct plane_issue issue;
    sandbox_tell(scene->sandbox, "plane", "{'projects':[{'identifier':'ORCH','issues':[{'id':'%s'}]}]}",
                 ISSUE_1);
    assert_int_equal(plane_issue(&scene->call, "11111111-AAAA-4BBB-8CCC-222222222222",
                                 "33333333-AAAA-4BBB-8CCC-444444444444", &issue, &scene->why),
                     PLANE_OK);
    assert_string_equal(issue.id, ISSUE_1);
    plane_issue_done(&issue);
}

/* versions */

/* Reads all pages; every issue must be on exactly one, the most recently updated first. */
static void read_all(struct plane_scene *scene, size_t expected)
{
    bool seen[1000] = {false}, more = true;
    int64_t last_us = INT64_MAX;
    size_t n = 0;
    for (size_t number = 0; more; number++) {
        struct plane_page page;
        assert_int_equal(plane_issues(&scene->call, PROJECT, number, &page, &scene->why), PLANE_OK);
        assert_int_equal(page.total, expected);
        for (size_t i = 0; i < page.n; i++) {
            assert_in_range(page.items[i].sequence, 1, 999);
            assert_false(seen[page.items[i].sequence]);
            seen[page.items[i].sequence] = true;
            assert_true(page.items[i].updated_us <= last_us);
            last_us = page.items[i].updated_us;
        }
        n += page.n;
        more = page.more;
        plane_page_done(&page);
    }
    assert_int_equal(n, expected);
}

static void every_version_is_read_whole_by_the_path_that_it_has(void **state)
{
    static const struct {
        const char *version;
        bool old;
    } cases[] = {{"0.23.0", true}, {"0.26.1", true}, {"0.27.0", true}, {"1.0.0", true},
                 {"1.1.0", false}, {"1.2.0", false}, {"1.3.1", false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ATTR_CLEANUP(plane_change_done) struct plane_change change = {0};
        struct plane_issue issue;
        assert_int_equal(plane_scene_close(state), 0);
        assert_int_equal(sandbox_scene_open(state), 0);
        struct plane_scene *scene = *state;
        sandbox_tell(scene->sandbox, "plane", "{'version':'%s'}", cases[i].version);
        sandbox_tell(scene->sandbox, "plane/generate",
                     "{'project':'ORCH','issues':250,'states':{'Approved':2},'ages':[10,100000]}");
        read_all(scene, 250);
        assert_int_equal(plane_last_change(&scene->call, PROJECT, ISSUE_1, &change, &scene->why), PLANE_OK);
        assert_false(change.found);
        assert_int_equal(plane_issue(&scene->call, PROJECT, ISSUE_1, &issue, &scene->why), PLANE_ABSENT);
        assert_int_equal(sandbox_asked(scene->sandbox, "GET /plane/*/issues/*"), cases[i].old ? 5 : 0);
        assert_int_equal(sandbox_asked(scene->sandbox, "GET /plane/*/work-items/*"), cases[i].old ? 1 : 5);
        assert_int_equal(scene->call.sent, cases[i].old ? 6 : 5);
        assert_string_equal(scene->why.text, "Plane knows no issue " ISSUE_1);
    }
}

static void an_old_plane_is_remembered_by_the_client_and_not_by_the_call(void **state)
{
    struct plane_scene *scene = *state;
    struct plane_page page;
    sandbox_tell(scene->sandbox, "plane", "{'version':'1.0.0'}");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(plane_issues(&scene->call, PROJECT, 0, &page, &scene->why), PLANE_OK);
        plane_page_done(&page);
        scene_call(scene, true);
    }
    assert_int_equal(sandbox_asked(scene->sandbox, "GET /plane/*/work-items/*"), 1);
    sandbox_tell(scene->sandbox, "plane", "{'version':'1.3.1'}"); /* has both */
    assert_int_equal(plane_issues(&scene->call, PROJECT, 0, &page, &scene->why), PLANE_OK);
    plane_page_done(&page);
    assert_int_equal(scene->call.sent, 1);
}

static void rows_that_move_between_pages_are_read_as_they_come(void **state)
{
    struct plane_scene *scene = *state;
    struct plane_page first, second;
    sandbox_tell(scene->sandbox, "plane/generate", "{'project':'ORCH','issues':150,'ages':[10,100000]}");
    assert_int_equal(plane_issues(&scene->call, PROJECT, 0, &first, &scene->why), PLANE_OK);
    sandbox_tell(scene->sandbox, "plane/change", "{'issue':'ORCH-%lld','do':'edit'}",
                 (long long)first.items[50].sequence);
    assert_int_equal(plane_issues(&scene->call, PROJECT, 0, &second, &scene->why), PLANE_OK);
    assert_int_equal(second.items[0].sequence, first.items[50].sequence); /* the last that was touched */
    plane_page_done(&second);
    sandbox_tell(scene->sandbox, "plane/change", "{'project':'ORCH','do':'create','name':'new'}");
    assert_int_equal(plane_issues(&scene->call, PROJECT, 1, &second, &scene->why), PLANE_OK);
    assert_int_equal(second.n, 51);
    assert_int_equal(second.total, 151);
    assert_string_equal(second.items[0].id, first.items[99].id); /* on both: none is missed */
    plane_page_done(&first);
    plane_page_done(&second);
}

/* what there is not */

static void an_issue_that_is_gone_is_absent_and_plane_is_well(void **state)
{
    struct plane_scene *scene = *state;
    static const char *const ways[] = {"delete", "archive", "draft"};
    struct upstream_view health;
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct plane_issue issue = {0};
        struct plane_page page;
        ATTR_CLEANUP(plane_change_done) struct plane_change change = {0};
        sandbox_tell(scene->sandbox, "plane",
                     "{'projects':[{'identifier':'ORCH','issues':[{'number':%zu,'id':"
                     "'%zu3333333-aaaa-4bbb-8ccc-444444444444','state':'Approved','state_ago':700}]}]}",
                     i + 1, i);
        AUTO_FREE char *id = mem_printf("%zu3333333-aaaa-4bbb-8ccc-444444444444", i);
        assert_int_equal(plane_issue(&scene->call, PROJECT, id, &issue, &scene->why), PLANE_OK);
        plane_issue_done(&issue);
        sandbox_tell(scene->sandbox, "plane/change", "{'issue':'%s','do':'%s'}", id, ways[i]);
        assert_int_equal(plane_issue(&scene->call, PROJECT, id, &issue, &scene->why), PLANE_ABSENT);
        assert_null(issue.name);
        assert_int_equal(plane_issues(&scene->call, PROJECT, 0, &page, &scene->why), PLANE_OK);
        assert_int_equal(page.n, 0);
        plane_page_done(&page);
        assert_int_equal(plane_last_change(&scene->call, PROJECT, id, &change, &scene->why), PLANE_OK);
        assert_int_equal(change.found, i > 0); /* of a deleted one no activity is left */
        upstream_health_view(plane_health(scene->plane), clock_mono_ms(), &health);
        assert_true(health.ok);
    }
}

static void an_archived_project_has_nothing(void **state)
{
    struct plane_scene *scene = *state;
    struct plane_states states;
    struct plane_page page;
    sandbox_tell(scene->sandbox, "plane",
                 "{'projects':[{'identifier':'ORCH','archived':true,'issues':[{'state':'Approved'}]}]}");
    assert_int_equal(plane_states(&scene->call, PROJECT, &states, &scene->why), PLANE_OK);
    assert_int_equal(states.n, 0);
    assert_int_equal(plane_issues(&scene->call, PROJECT, 0, &page, &scene->why), PLANE_OK);
    assert_int_equal(page.n, 0);
    assert_false(page.more);
    plane_page_done(&page);
    plane_states_done(&states);
}

/* changes of state */

static void an_issue_made_in_its_state_tells_of_no_change(void **state)
{
    struct plane_scene *scene = *state;
    ATTR_CLEANUP(plane_change_done) struct plane_change change = {.found = true};
    sandbox_tell(scene->sandbox, "plane",
                 "{'projects':[{'identifier':'ORCH','issues':[{'id':'%s','state':'Approved'}]}]}", ISSUE_1);
    sandbox_tell(scene->sandbox, "plane/change", "[{'issue':'%s','do':'edit'},{'issue':'%s','do':'comment'}]",
                 ISSUE_1, ISSUE_1);
    assert_int_equal(plane_last_change(&scene->call, PROJECT, ISSUE_1, &change, &scene->why), PLANE_OK);
    assert_false(change.found);
}

static void a_change_is_found_behind_pages_of_other_activities(void **state)
{
    struct plane_scene *scene = *state;
    ATTR_CLEANUP(plane_change_done) struct plane_change change = {0}, again = {0};
    sandbox_tell(scene->sandbox, "plane",
                 "{'projects':[{'identifier':'ORCH','issues':[{'id':'%s','state':'Rejected','state_ago':"
                 "9000}]}]}",
                 ISSUE_1);
    assert_int_equal(plane_last_change(&scene->call, PROJECT, ISSUE_1, &change, &scene->why), PLANE_OK);
    for (int i = 0; i < 250; i++)
        sandbox_tell(scene->sandbox, "plane/change", "{'issue':'%s','do':'edit'}", ISSUE_1);
    scene_call(scene, true);
    assert_int_equal(plane_last_change(&scene->call, PROJECT, ISSUE_1, &again, &scene->why), PLANE_OK);
    assert_true(again.found);
    assert_string_equal(again.id, change.id);
    assert_int_equal(scene->call.sent, 3);
    plane_change_done(&again);
    sandbox_tell(scene->sandbox, "plane/change", "{'issue':'%s','do':'state','state':'Approved'}", ISSUE_1);
    assert_int_equal(plane_last_change(&scene->call, PROJECT, ISSUE_1, &again, &scene->why), PLANE_OK);
    assert_string_not_equal(again.id, change.id);
    assert_int_equal(scene->call.sent, 4); /* no page more than it takes */
}

static void a_change_whose_row_is_not_written_yet_is_not_seen(void **state)
{
    struct plane_scene *scene = *state;
    ATTR_CLEANUP(plane_change_done) struct plane_change before = {0}, meanwhile = {0}, after = {0};
    sandbox_tell(scene->sandbox, "plane/clock", "{'now':'2026-11-23T10:00:00Z','manual':true}");
    sandbox_tell(scene->sandbox, "plane",
                 "{'activity_delay_ms':5000,'projects':[{'identifier':'ORCH','issues':[{'id':'%s','state':"
                 "'Rejected','state_ago':700}]}]}",
                 ISSUE_1);
    assert_int_equal(plane_last_change(&scene->call, PROJECT, ISSUE_1, &before, &scene->why), PLANE_OK);
    sandbox_tell(scene->sandbox, "plane/change",
                 "{'issue':'%s','do':'state','state':'Approved','by':'automation'}", ISSUE_1);
    assert_int_equal(plane_last_change(&scene->call, PROJECT, ISSUE_1, &meanwhile, &scene->why), PLANE_OK);
    assert_string_equal(meanwhile.id, before.id);
    sandbox_tell(scene->sandbox, "plane/clock", "{'advance_ms':5000}");
    assert_int_equal(plane_last_change(&scene->call, PROJECT, ISSUE_1, &after, &scene->why), PLANE_OK);
    assert_true(after.found);
    assert_string_not_equal(after.id, before.id);
    int64_t at_us = 0;
    assert_true(instant_parse("2026-11-23T10:00:00Z", &at_us));
    assert_int_equal(after.at_us, at_us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SANDBOX(states_are_those_of_the_project_without_triage),
        IN_SANDBOX(an_issue_and_its_newest_change_of_state_are_found),
        IN_SANDBOX(times_are_instants_whatever_the_zone_of_the_keys_user),
        IN_SANDBOX(ids_are_asked_for_in_lower_case),
        IN_SANDBOX(every_version_is_read_whole_by_the_path_that_it_has),
        IN_SANDBOX(an_old_plane_is_remembered_by_the_client_and_not_by_the_call),
        IN_SANDBOX(rows_that_move_between_pages_are_read_as_they_come),
        IN_SANDBOX(an_issue_that_is_gone_is_absent_and_plane_is_well),
        IN_SANDBOX(an_archived_project_has_nothing),
        IN_SANDBOX(an_issue_made_in_its_state_tells_of_no_change),
        IN_SANDBOX(a_change_is_found_behind_pages_of_other_activities),
        IN_SANDBOX(a_change_whose_row_is_not_written_yet_is_not_seen),
    };
    plane_scene_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
