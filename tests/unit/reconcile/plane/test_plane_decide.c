/* What an issue and its task call for, as a table; which states mean something; how a listing goes on while
 * its rows move. All pure. */
#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/store/store.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/plane/plane_decide.h"
#include "reconcile/plane/plane_scan.h"
#include "reconcile/plane/plane_state_map.h"
#include "reconcile/plane/plane_cursor.h"
#include "tests/support/test.h"

#define S ((int64_t)1000000)
#define NOW (1000000 * S)

static struct pipeline *pipeline;

static int load_pipeline(void **state)
{
    (void)state;
    json_t *problems = json_array();
    enum err err = pipeline_load_file(NULL, &pipeline, problems);
    json_decref(problems);
    return err ? 1 : 0;
}

static int free_pipeline(void **state)
{
    (void)state;
    pipeline_free(pipeline);
    return 0;
}

/* decisions */

enum known { NOT_ASKED, NOT_FOUND, OF_ANOTHER_STATE, OLDER, AS_OLD, NEWER, NEWER_AND_REPLAYED };

struct case_of {
    enum issue_meaning meaning;
    const char *stage; /* of its task; NULL: none */
    bool active;
    int64_t age_s, grace_s;
    enum known change;
    enum plane_step step;
    const char *to;
};

static const struct case_of cases[] = {
    /* In Progress: it has a task, or it is to have one. */
    {ISSUE_IN_PROGRESS, NULL, false, 700, 600, NOT_ASKED, STEP_START, "analysis"},
    {ISSUE_IN_PROGRESS, NULL, false, 600, 600, NOT_ASKED, STEP_START, "analysis"},
    {ISSUE_IN_PROGRESS, NULL, false, 599, 600, NOT_ASKED, STEP_IN_GRACE, NULL},
    {ISSUE_IN_PROGRESS, NULL, false, 0, 0, NOT_ASKED, STEP_START, "analysis"},
    {ISSUE_IN_PROGRESS, NULL, false, -5, 0, NOT_ASKED, STEP_START, "analysis"}, /* clocks differ */
    {ISSUE_IN_PROGRESS, "analysis", false, 700, 600, NOT_ASKED, STEP_SETTLED, NULL},
    {ISSUE_IN_PROGRESS, "created", false, 700, 600, NOT_ASKED, STEP_SETTLED, NULL},
    {ISSUE_IN_PROGRESS, "review", true, 5, 600, NOT_ASKED, STEP_SETTLED, NULL},
    {ISSUE_IN_PROGRESS, "done", false, 700000, 600, NOT_ASKED, STEP_SETTLED, NULL},
    /* A verdict matters at the human gate alone. */
    {ISSUE_APPROVED, NULL, false, 700, 600, NOT_ASKED, STEP_SETTLED, NULL},
    {ISSUE_REJECTED, NULL, false, 700, 600, NOT_ASKED, STEP_SETTLED, NULL},
    {ISSUE_APPROVED, "created", false, 700, 600, NOT_ASKED, STEP_SETTLED, NULL},
    {ISSUE_APPROVED, "architecture", false, 700, 600, NOT_ASKED, STEP_SETTLED, NULL},
    {ISSUE_REJECTED, "review", false, 700, 600, NEWER, STEP_SETTLED, NULL},
    {ISSUE_APPROVED, "polishing", false, 700, 600, NOT_ASKED, STEP_SETTLED, NULL},
    {ISSUE_APPROVED, "analysis", false, 599, 600, NOT_ASKED, STEP_IN_GRACE, NULL},
    {ISSUE_APPROVED, "analysis", true, 700, 600, NOT_ASKED, STEP_BUSY, NULL},
    {ISSUE_REJECTED, "analysis", true, 700, 600, NEWER, STEP_BUSY, NULL},
    {ISSUE_APPROVED, "analysis", false, 700, 600, NOT_ASKED, STEP_NEEDS_ACTIVITY, "architecture"},
    {ISSUE_REJECTED, "analysis", false, 700, 600, NOT_ASKED, STEP_NEEDS_ACTIVITY, "analysis"},
    /* It is the change that made the state what it is, newer than the task's last transition, once. */
    {ISSUE_APPROVED, "analysis", false, 700, 600, NOT_FOUND, STEP_NO_ACTIVITY, "architecture"},
    {ISSUE_APPROVED, "analysis", false, 700, 600, OF_ANOTHER_STATE, STEP_NO_ACTIVITY, "architecture"},
    {ISSUE_APPROVED, "analysis", false, 700, 600, OLDER, STEP_SETTLED, "architecture"},
    {ISSUE_APPROVED, "analysis", false, 700, 600, AS_OLD, STEP_SETTLED, "architecture"},
    {ISSUE_APPROVED, "analysis", false, 700, 600, NEWER, STEP_APPROVE, "architecture"},
    {ISSUE_REJECTED, "analysis", false, 700, 600, NEWER, STEP_REJECT, "analysis"},
    {ISSUE_REJECTED, "analysis", false, 700, 600, NEWER_AND_REPLAYED, STEP_SETTLED, "analysis"},
    {ISSUE_OTHER, "analysis", false, 700, 600, NEWER, STEP_SETTLED, NULL},
    {ISSUE_OTHER, NULL, false, 700, 600, NOT_ASKED, STEP_SETTLED, NULL},
};

/* A task that cannot be read is not moved, and Plane is not asked about it. Where nothing is to be done, that
 * is no matter. */
static const struct case_of unreadable_cases[] = {
    {ISSUE_APPROVED, "analysis", false, 700, 600, NOT_ASKED, STEP_UNREADABLE, NULL},
    {ISSUE_REJECTED, "analysis", false, 700, 600, NEWER, STEP_UNREADABLE, NULL},
    {ISSUE_APPROVED, "analysis", false, 599, 600, NOT_ASKED, STEP_IN_GRACE, NULL},
    {ISSUE_APPROVED, "analysis", true, 700, 600, NOT_ASKED, STEP_BUSY, NULL},
    {ISSUE_APPROVED, "review", false, 700, 600, NOT_ASKED, STEP_SETTLED, NULL},
    {ISSUE_IN_PROGRESS, "analysis", false, 700, 600, NOT_ASKED, STEP_SETTLED, NULL},
};

static struct plane_decision decision_about(const struct case_of *of, const struct pipeline *with,
                                            const char *unreadable)
{
    const int64_t moved_us = NOW - 5000 * S;
    struct store_issue_task task = {
        .task = {.stage = (char *)(uintptr_t)of->stage, .unreadable = (char *)(uintptr_t)unreadable},
        .updated_us = moved_us,
        .active = of->active};
    struct open_issue issue = {
        .issue = {.state = "the state", .updated_us = NOW - of->age_s * S},
        .since_us = NOW - of->age_s * S,
        .meaning = of->meaning,
        .change = {.found = of->change != NOT_FOUND,
                   .new_state = "the state",
                   .at_us = moved_us + (of->change == OLDER    ? -S
                                        : of->change == AS_OLD ? 0
                                                               : S)},
    };
    if (of->change == OF_ANOTHER_STATE)
        memcpy(issue.change.new_state, "another", sizeof "another");
    const struct plane_view view = {.issue = &issue,
                                    .task = of->stage ? &task : NULL,
                                    .pipeline = with,
                                    .now_us = NOW,
                                    .grace_s = of->grace_s,
                                    .asked = of->change != NOT_ASKED,
                                    .replayed = of->change == NEWER_AND_REPLAYED};
    return plane_decide(&view);
}

static struct plane_decision decision_of(const struct case_of *of, const struct pipeline *with)
{
    return decision_about(of, with, NULL);
}

TEST(every_issue_calls_for_what_the_table_says)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct plane_decision decision = decision_of(&cases[i], pipeline);
        if (decision.step != cases[i].step)
            fail_msg("case %zu: step %d instead of %d", i, decision.step, cases[i].step);
        if (decision.step == STEP_START || decision.step == STEP_APPROVE || decision.step == STEP_REJECT)
            assert_string_equal(decision.to->name, cases[i].to);
    }
}

/* A Plane that leaves changes out: no older change settles a verdict that may be a later one. */
TEST(what_plane_does_not_record_is_settled_by_nothing_older)
{
    static const struct {
        int64_t touched_s; /* after the task's last transition, which was at 0 */
        bool found, of_another_state;
        int64_t change_s;
        bool replayed;
        enum plane_step step, recorded; /* where Plane leaves changes out, and where it does not */
    } rows[] = {
        {900, false, false, 0, false, STEP_UNRECORDED, STEP_NO_ACTIVITY},
        {900, true, true, 890, false, STEP_UNRECORDED, STEP_NO_ACTIVITY},
        {900, true, false, 890, false, STEP_APPROVE, STEP_APPROVE},
        {900, true, false, 5, false, STEP_APPROVE, STEP_APPROVE},
        {900, true, false, -800, false, STEP_UNRECORDED, STEP_SETTLED},
        {900, true, false, 5, true, STEP_UNRECORDED, STEP_SETTLED},
        /* Not touched since that change, or since the task moved: there is no later verdict. */
        {900, true, false, 890, true, STEP_SETTLED, STEP_SETTLED},
        {-5, true, false, -800, false, STEP_SETTLED, STEP_SETTLED},
        {-5, false, false, 0, false, STEP_SETTLED, STEP_NO_ACTIVITY},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct store_issue_task task = {.task = {.stage = (char *)(uintptr_t)"analysis"},
                                        .updated_us = NOW - 5000 * S};
        struct open_issue issue = {
            .issue = {.state = "the state", .updated_us = task.updated_us + rows[i].touched_s * S},
            .meaning = ISSUE_APPROVED,
            .change = {.found = rows[i].found,
                       .new_state = "the state",
                       .at_us = task.updated_us + rows[i].change_s * S}};
        if (rows[i].of_another_state)
            memcpy(issue.change.new_state, "another", sizeof "another");
        struct plane_view view = {.issue = &issue,
                                  .task = &task,
                                  .pipeline = pipeline,
                                  .now_us = NOW,
                                  .grace_s = 600,
                                  .asked = true,
                                  .replayed = rows[i].replayed,
                                  .unrecorded = true};
        if (plane_decide(&view).step != rows[i].step)
            fail_msg("row %zu: step %d instead of %d", i, plane_decide(&view).step, rows[i].step);
        view.unrecorded = false;
        assert_int_equal(plane_decide(&view).step, rows[i].recorded);
    }
}

TEST(a_task_that_cannot_be_read_is_left_alone)
{
    for (size_t i = 0; i < ARRAY_LEN(unreadable_cases); i++) {
        struct plane_decision decision =
            decision_about(&unreadable_cases[i], pipeline, "tasks.repo holds bytes");
        if (decision.step != unreadable_cases[i].step)
            fail_msg("case %zu: step %d instead of %d", i, decision.step, unreadable_cases[i].step);
    }
}

struct instants {
    int64_t touched_us, at_us, created_us, skew_us, first_seen_us, updated_us, grace_s;
    bool asked;
    enum plane_step step;
};

/* An approved issue and its task at the human gate; times before NOW. */
static const struct instants instants[] = {
    /* Plane's clock is 300 s behind: the change was made after the task was touched. */
    {1000 * S, 1120 * S, 1120 * S, 0, 1120 * S, 1120 * S, 600, true, STEP_SETTLED},
    {1000 * S, 1120 * S, 1120 * S, -300 * S, 1120 * S, 1120 * S, 600, true, STEP_APPROVE},
    /* 300 s ahead: before. */
    {1000 * S, 880 * S, 880 * S, 300 * S, 880 * S, 880 * S, 600, true, STEP_SETTLED},
    /* Grace is counted by the database's clock too. */
    {5000 * S, 800 * S, 800 * S, -300 * S, 800 * S, 800 * S, 600, true, STEP_IN_GRACE},
    {5000 * S, 400 * S, 400 * S, 300 * S, 400 * S, 400 * S, 600, true, STEP_APPROVE},
    /* The same second: what is finer decides. */
    {1000 * S - 500000, 1000 * S, 1000 * S - 900000, 0, 1000 * S, 1000 * S, 600, true, STEP_APPROVE},
    {1000 * S - 500000, 1000 * S, 1000 * S - 400000, 0, 1000 * S, 1000 * S, 600, true, STEP_SETTLED},
    {1000 * S - 500000, 1001 * S, 900 * S, 0, 1000 * S, 1000 * S, 600, true, STEP_SETTLED},
    /* Edits do not postpone a verdict: neither where its time is known nor before it is asked for. */
    {5000 * S, 900 * S, 899 * S, 0, 100 * S, 5 * S, 600, true, STEP_APPROVE},
    {5000 * S, 300 * S, 300 * S, 0, 900 * S, 5 * S, 600, true, STEP_IN_GRACE},
    {5000 * S, 0, 0, 0, 601 * S, 5 * S, 600, false, STEP_NEEDS_ACTIVITY},
    {5000 * S, 0, 0, 0, 599 * S, 5 * S, 600, false, STEP_IN_GRACE},
};

TEST(instants_of_two_clocks_are_compared_as_one_clock_would_show_them)
{
    for (size_t i = 0; i < ARRAY_LEN(instants); i++) {
        const struct instants *of = &instants[i];
        struct store_issue_task task = {.task = {.stage = (char *)(uintptr_t)"analysis"},
                                        .updated_us = NOW - of->touched_us};
        struct open_issue issue = {.issue = {.state = "s", .updated_us = NOW - of->updated_us},
                                   .since_us = NOW - of->first_seen_us,
                                   .meaning = ISSUE_APPROVED,
                                   .change = {.found = true,
                                              .new_state = "s",
                                              .at_us = NOW - of->at_us,
                                              .created_us = NOW - of->created_us}};
        const struct plane_view view = {.issue = &issue,
                                        .task = &task,
                                        .pipeline = pipeline,
                                        .now_us = NOW,
                                        .grace_s = of->grace_s,
                                        .skew_us = of->skew_us,
                                        .asked = of->asked};
        enum plane_step step = plane_decide(&view).step;
        if (step != of->step)
            fail_msg("case %zu: step %d instead of %d", i, step, of->step);
    }
}

TEST(a_stage_that_knows_no_rejection_is_left_alone)
{
    static const char text[] = "{\"stages\":[{\"name\":\"new\",\"next\":\"gate\"},{\"name\":\"gate\","
                               "\"gates\":[{\"kind\":\"human\"}],"
                               "\"next\":\"done\"},{\"name\":\"done\",\"terminal\":true}]}";
    struct pipeline *without = NULL;
    json_t *problems = json_array();
    assert_int_equal(pipeline_load(text, sizeof text - 1, &without, problems), ERR_OK);
    struct case_of rejected = {.meaning = ISSUE_REJECTED, .stage = "gate", .age_s = 700, .change = NEWER};
    assert_int_equal(decision_of(&rejected, without).step, STEP_SETTLED);
    struct case_of approved = {.meaning = ISSUE_APPROVED, .stage = "gate", .age_s = 700, .change = NEWER};
    assert_int_equal(decision_of(&approved, without).step, STEP_APPROVE);
    pipeline_free(without);
    json_decref(problems);
}

/* states */

static const json_t *wanted(const char *in_progress, const char *approved, const char *rejected)
{
    static json_t *kept;
    json_decref(kept);
    kept = json_pack("{s:s,s:s,s:s}", "in_progress", in_progress, "approved", approved, "rejected", rejected);
    return kept;
}

#define ID_A "aaaaaaaa-0000-4000-8000-000000000001"
#define ID_B "bbbbbbbb-0000-4000-8000-000000000002"
#define ID_C "cccccccc-0000-4000-8000-000000000003"
#define ID_D "dddddddd-0000-4000-8000-000000000004"

TEST(states_are_found_by_name_whatever_its_case_or_by_id)
{
    static char work[] = "В работе", ok[] = "OK", ok_small[] = "ok", no[] = "No";
    static struct plane_state items[] = {{ID_A, work}, {ID_B, ok_small}, {ID_C, ok}, {ID_D, no}};
    const struct plane_states states = {.items = items, .n = 4};
    struct plane_state_map map = {.n = 0};
    assert_false(plane_state_map_update(&map, &states,
                                        wanted("В работе", "OK", "DDDDDDDD-0000-4000-8000-000000000004")));
    assert_null(map.problem);
    assert_int_equal(plane_state_map_find(&map, ID_A)->meaning, ISSUE_IN_PROGRESS);
    assert_int_equal(plane_state_map_find(&map, ID_B)->meaning, ISSUE_OTHER);
    assert_int_equal(plane_state_map_find(&map, ID_C)->meaning, ISSUE_APPROVED);
    assert_int_equal(plane_state_map_find(&map, ID_D)->meaning, ISSUE_REJECTED);
    assert_null(plane_state_map_find(&map, "eeeeeeee-0000-4000-8000-000000000005"));
    assert_false(plane_state_map_update(&map, &states,
                                        wanted("В работе", "OK", "DDDDDDDD-0000-4000-8000-000000000004")));
    assert_true(plane_state_map_update(&map, &states, wanted("В работе", "oK", "NO")));
    assert_null(map.problem);
    assert_int_equal(plane_state_map_find(&map, ID_B)->meaning, ISSUE_APPROVED);
    plane_state_map_done(&map);
    (void)wanted("", "", "");
}

TEST(a_state_that_is_missing_is_named_and_the_others_are_used)
{
    static char name[] = "In Progress";
    static struct plane_state item[] = {{ID_A, name}};
    struct plane_state_map map = {.n = 0}, copy;
    (void)plane_state_map_update(&map, &(const struct plane_states){.items = item, .n = 1},
                                 wanted("In Progress", "Approved", "Rejected"));
    assert_non_null(strstr(map.problem, "\"Approved\", \"Rejected\""));
    assert_int_equal(plane_state_map_find(&map, ID_A)->meaning, ISSUE_IN_PROGRESS);
    plane_state_map_copy(&copy, &map);
    (void)plane_state_map_update(&map, &(const struct plane_states){.n = 0}, wanted("a", "b", "c"));
    assert_non_null(strstr(map.problem, "archived"));
    assert_int_equal(plane_state_map_find(&copy, ID_A)->meaning, ISSUE_IN_PROGRESS);
    plane_state_map_done(&copy);
    plane_state_map_done(&map);
}

/* a listing */

/* Page of `n` rows that were touched at newest_us, newest_us - 1 …; their ids are those times. */
static struct plane_page page_of(int64_t newest_us, size_t n, int64_t total, bool more)
{
    struct plane_page page = {.items = mem_zero(n, sizeof *page.items), .n = n, .total = total, .more = more};
    for (size_t i = 0; i < n; i++) {
        page.items[i] = (struct plane_issue){.updated_us = newest_us - (int64_t)i};
        (void)snprintf(page.items[i].id, sizeof page.items[i].id, "%016llx",
                       (unsigned long long)(newest_us - (int64_t)i));
    }
    return page;
}

static bool give(struct plane_cursor *listing, int64_t newest_us, size_t n, int64_t total, bool more)
{
    struct plane_page page = page_of(newest_us, n, total, more);
    bool over = plane_cursor_page(listing, &page);
    free(page.items);
    return over;
}

TEST(news_end_at_their_floor_or_at_the_last_row)
{
    struct plane_cursor listing = {.under_way = false};
    plane_cursor_begin_news(&listing, 9850);
    assert_false(give(&listing, 10000, 100, 1000, true));
    assert_true(give(&listing, 9900, 100, 1000, true));
    assert_int_equal(listing.newest_us, 10000);
    plane_cursor_begin_news(&listing, 0);
    assert_true(give(&listing, 10000, 40, 40, false));
    plane_cursor_begin_news(&listing, 0);
    assert_true(give(&listing, 0, 0, 0, false));
    assert_int_equal(listing.newest_us, INT64_MIN);
    plane_cursor_done(&listing);
}

TEST(a_total_that_sinks_sends_the_listing_back_by_as_many_rows)
{
    struct plane_cursor listing = {.under_way = false};
    plane_cursor_begin_full(&listing);
    for (size_t page = 0; page < 5; page++)
        assert_false(give(&listing, 100000 - (int64_t)page * 100, 100, 1000, true));
    assert_int_equal(listing.next_page, 5);
    assert_false(give(&listing, 90000, 100, 999, true)); /* one less: row 499 may have slipped by */
    assert_int_equal(listing.next_page, 4);
    assert_false(give(&listing, 99600, 100, 999, true));
    assert_int_equal(listing.next_page, 5);
    assert_false(give(&listing, 90000, 100, 1400, true)); /* more: nothing slips by */
    assert_int_equal(listing.next_page, 6);
    assert_false(give(&listing, 80000, 100, 1099, true)); /* 301 less */
    assert_int_equal(listing.next_page, 2);
    assert_false(give(&listing, 99800, 100, -1, true)); /* not given */
    assert_int_equal(listing.next_page, 3);
    assert_false(give(&listing, 99700, 100, 10, true));
    assert_int_equal(listing.next_page, 4);
    assert_false(give(&listing, 0, 0, 5, false)); /* beyond the end, and fewer still */
    assert_int_equal(listing.next_page, 3);
    plane_cursor_done(&listing);
}

TEST(a_full_listing_is_complete_when_it_has_shown_as_many_as_plane_counts)
{
    struct plane_cursor listing = {.under_way = false}, copy;
    plane_cursor_begin_full(&listing);
    assert_false(give(&listing, 1000, 100, 150, true));
    assert_true(give(&listing, 901, 50, 150, false)); /* the first of them for the second time */
    assert_false(plane_cursor_complete(&listing, 150));
    assert_int_equal(listing.next_page, 0);
    assert_false(give(&listing, 1000, 100, 150, true));
    plane_cursor_copy(&copy, &listing);
    assert_true(give(&listing, 900, 50, 150, false));
    assert_true(plane_cursor_complete(&listing, 150));
    plane_cursor_showed(&copy, &(const struct plane_issue){.id = "00000000000003e9"});
    assert_true(give(&copy, 901, 50, 150, false));
    assert_true(plane_cursor_complete(&copy, 150)); /* what was seen otherwise counts */
    plane_cursor_done(&copy);
    plane_cursor_begin_full(&listing);
    assert_true(give(&listing, 1000, 100, 500, false));
    assert_false(plane_cursor_complete(&listing, 500));
    assert_true(give(&listing, 1000, 100, 500, false));
    assert_true(plane_cursor_complete(&listing, 500)); /* once more brought nothing */
    plane_cursor_done(&listing);
}

TEST_GROUP(load_pipeline, free_pipeline)
