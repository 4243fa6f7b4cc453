/* What is read of Plane's issues within a budget, while rows move, calls fail and projects wait; and what
 * is kept between passes. Plane is made up, and so is the clock. */
#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "reconcile/plane/plane_scan.h"
#include "reconcile/plane/plane_scan_internal.h"
#include "reconcile/settings/settings.h"
#include "tests/doubles/issues.h"
#include "tests/support/test.h"

#define A "aaaaaaaa-1111-4111-8111-111111111111"
#define B "bbbbbbbb-2222-4222-8222-222222222222"
#define S ((int64_t)1000000)
#define T0 (1700000000 * S)

static struct {
    struct settings *settings;
    struct plane_scan *scan;
    struct plane_scan_seen seen; /* by the newest pass */
    int64_t now_ms;
    bool forced;
} bench;

static const char *lookup(const char *name)
{
    static const char projects[] = "[{\"repo\":\"acme/a\",\"plane_project_id\":\"" A "\",\"prefix\":\"AA\"},"
                                   "{\"repo\":\"acme/none\"},"
                                   "{\"repo\":\"acme/b\",\"plane_project_id\":\"" B "\",\"prefix\":\"BB\"}]";
    return strcmp(name, "ORCH_PROJECTS_JSON") == 0 ? projects : NULL;
}

static int set_up(void **state)
{
    (void)state;
    static const char *const names[] = {"Backlog", "In Progress", "Approved", "Rejected"};
    static const char *const environment[] = {NULL};
    json_t *problems = json_array();
    issues_clear();
    memset(&bench, 0, sizeof bench);
    if (settings_read(lookup, environment, &bench.settings, problems) != ERR_OK)
        return 1;
    json_decref(problems);
    bench.scan = plane_scan_new(bench.settings);
    bench.now_ms = 5000;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        issues_state(A, names[i]);
        issues_state(B, names[i]);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    plane_scan_free(bench.scan);
    settings_free(bench.settings);
    issues_clear();
    return 0;
}

/* n issues of the project at rest, numbered from `first`, each touched ten seconds before the one above it.
 */
static void add_many(const char *project, int64_t first, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        issues_put(project, first + i, "Backlog", T0 - i * 10 * S);
}

static void begin_scan(int64_t revision)
{
    plane_scan_begin(bench.scan, &(struct plane_scan_pass){.now_ms = bench.now_ms,
                                                           .revision = revision,
                                                           .interval_ms = 60000,
                                                           .forced = bench.forced});
}

static struct plane_call begin(void)
{
    struct plane_call call;
    plane_call_begin(&call, NULL, NULL, bench.forced, INT64_MAX);
    begin_scan(0);
    plane_scan_read(bench.scan, &call);
    plane_scan_read_late(bench.scan, &call);
    return call;
}

static struct open_issue *open_of(int64_t number)
{
    struct open_issue **issues, *found = NULL;
    size_t n = plane_scan_issues(bench.scan, true, &issues);
    for (size_t i = 0; i < n; i++)
        if (issues[i]->issue.sequence == number)
            found = issues[i];
    free(issues);
    return found;
}

static size_t count_open(void)
{
    struct open_issue **issues;
    size_t n = plane_scan_issues(bench.scan, true, &issues);
    free(issues);
    return n;
}

/* A pass that reads and settles nothing; the calls it took. */
static size_t pass(void)
{
    size_t before = issues_calls();
    begin();
    plane_scan_end(bench.scan, &bench.seen);
    bench.now_ms += 60000;
    return issues_calls() - before;
}

/* How the listing of one project stands: the error is "" when there is none. Valid until the next call. */
static const struct plane_project_status *shown(size_t at)
{
    static char error[300];
    static struct plane_project_status project;
    struct plane_status *status = plane_scan_status(bench.scan);
    assert_in_range(at + 1, 1, status->n_projects);
    project = status->projects[at];
    (void)snprintf(error, sizeof error, "%s", project.error ? project.error : "");
    project.error = error;
    plane_status_free(status);
    return &project;
}

/* listings */

#define FRESH_TEST(test) TEST_WITH(test, set_up, tear_down)

FRESH_TEST(a_first_listing_shows_all_and_then_one_call_a_project_is_enough)
{
    add_many(A, 1, 350);
    add_many(B, 1001, 20);
    issues_put(A, 340, "Approved", T0 - 400 * S);
    issues_put(B, 1010, "In Progress", T0 - 9 * S);
    assert_int_equal(pass(), 2 + 4 + 1);
    assert_int_equal(count_open(), 2);
    assert_int_equal(open_of(340)->meaning, ISSUE_APPROVED);
    assert_string_equal(open_of(340)->state_name, "Approved");
    assert_int_equal(bench.seen.projects, 2);
    assert_int_equal(bench.seen.rows, 370);
    assert_false(shown(1)->full);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pass(), 2);
    assert_false(shown(0)->full);
    assert_int_equal(shown(0)->pages_read, 1);
}

FRESH_TEST(news_are_read_down_to_the_watermark_less_an_overlap)
{
    add_many(A, 1, 300);
    pass();
    pass();
    for (int64_t n = 1; n <= 150; n++)
        issues_put(A, n, n == 1 ? "Rejected" : NULL, T0 + n * S);
    assert_int_equal(pass(), 2 + 1); /* 150 that are new, on two pages; and one of B */
    assert_int_equal(count_open(), 1);
    assert_int_equal(pass(), 2 + 1);              /* the overlap alone, now 120 rows long */
    issues_put(A, 300, "Approved", T0 + 100 * S); /* committed late, below the watermark */
    pass();
    assert_int_equal(count_open(), 2);
}

FRESH_TEST(a_listing_that_the_budget_cuts_goes_on_where_it_was)
{
    add_many(A, 1, 950);
    issues_put(A, 945, "Approved", T0 - 5000 * S);
    issues_left(6, 0); /* two lists of states, B's page, three of A's */
    assert_int_equal(pass(), 6);
    assert_true(shown(0)->full);
    assert_int_equal(bench.seen.waiting, 1);
    assert_int_equal(count_open(), 0);
    issues_left(5, 0); /* news of both, and three pages more */
    assert_int_equal(pass(), 5);
    issues_left(6, 0);
    assert_int_equal(pass(), 6);
    assert_int_equal(count_open(), 1);
    issues_left(5, 0);
    assert_int_equal(pass(), 2);
    assert_false(shown(0)->full);
    assert_int_equal(bench.seen.waiting, 0);
}

/* However little there is: a call a pass, and no project is passed over. */
FRESH_TEST(projects_take_turns_and_a_turn_that_could_not_be_had_is_not_lost)
{
    add_many(A, 1, 2000);
    add_many(B, 3001, 20);
    issues_put(B, 3005, "In Progress", T0 - 4 * S);
    for (int i = 0; i < 8 && count_open() == 0; i++) {
        issues_left(1, 0);
        assert_int_equal(pass(), 1);
    }
    assert_int_equal(count_open(), 1);
    issues_put(B, 3006, "Approved", T0 + S);
    issues_put(A, 6, "Approved", T0 + S);
    for (size_t i = 0; i < 16 && count_open() < 3; i++) {
        issues_left(i % 2, 0); /* in every other pass none at all */
        pass();
    }
    assert_int_equal(count_open(), 3);
}

FRESH_TEST(news_and_a_long_full_listing_alternate)
{
    add_many(A, 1, 1000);
    issues_put(A, 990, "Rejected", T0 - 5000 * S);
    bool news = false;
    for (int i = 0; i < 60 && !open_of(990); i++) {
        if (i == 4)
            issues_put(A, 1, "Approved", T0 + S);
        issues_left(2, 0);
        pass();
        news |= open_of(1) && !open_of(990);
    }
    assert_non_null(open_of(990));
    assert_true(news);
}

FRESH_TEST(the_full_listing_comes_again_and_finds_what_moved_without_a_new_time)
{
    add_many(A, 1, 350);
    pass();
    pass();
    issues_put(A, 300, "Approved", T0 - 299 * S);
    pass();
    assert_int_equal(count_open(), 0);
    bench.now_ms += (int64_t)LIMIT_PLANE_FULL_S * 1000;
    pass();
    assert_int_equal(count_open(), 1);
    assert_true(pass() <= 3); /* what is left is to see that it is complete */
}

FRESH_TEST(a_forced_pass_spends_its_reserve_on_news_alone)
{
    add_many(A, 1, 2000);
    issues_left(8, 10);
    bench.forced = true;
    pass();
    issues_put(A, 7, "Approved", T0 + S);
    issues_left(0, 10);
    assert_int_equal(pass(), 2);
    assert_int_equal(count_open(), 1);
    assert_true(shown(0)->full);
}

/* rows that move */

static int moves;

static void delete_two_shown(void *arg)
{
    (void)arg;
    if (++moves != 5) /* when two pages of A are in */
        return;
    issues_drop(A, 10);
    issues_drop(A, 20);
}

FRESH_TEST(rows_that_slip_over_the_border_of_a_page_are_not_missed)
{
    add_many(A, 1, 450);
    issues_put(A, 201, "Approved", T0 - 200 * S); /* the first and second of the third page */
    issues_put(A, 202, "Rejected", T0 - 201 * S);
    moves = 0;
    issues_hook(delete_two_shown, NULL);
    pass();
    assert_true(moves > 5);
    assert_int_equal(count_open(), 2);
}

static void delete_two_when_two_pages_are_in(void *arg)
{
    (void)arg;
    if (++moves == 4) { /* A's first page, B's, A's second */
        issues_drop(A, 1);
        issues_drop(A, 2);
    }
}

FRESH_TEST(news_that_slip_over_the_border_of_a_page_are_not_missed_either)
{
    add_many(A, 1, 450);
    pass();
    pass();
    for (int64_t n = 1; n <= 250; n++) /* the first and the second of the third page */
        issues_put(A, n, n == 201 ? "Approved" : n == 202 ? "Rejected" : NULL, T0 + (1000 - n) * S);
    moves = 0;
    issues_hook(delete_two_when_two_pages_are_in, NULL);
    pass();
    assert_int_equal(count_open(), 2);
}

FRESH_TEST(issues_of_one_time_are_all_found_whatever_their_order)
{
    for (int64_t n = 1; n <= 330; n++)
        issues_put(A, n, n % 11 == 0 ? "In Progress" : "Backlog", T0);
    issues_shuffle(true);
    for (int i = 0; i < 30 && count_open() < 30; i++)
        pass();
    assert_int_equal(count_open(), 30);
}

/* a simulation: whatever happens, what is true in the end is known in the end */

static uint64_t seed_of_test;
static int64_t sim_now_us, sim_last;
static bool sim_quiet;

static int64_t dice(int64_t sides)
{
    seed_of_test = seed_of_test * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)(seed_of_test >> 33) % sides;
}

static bool sim_there[2000];
static const char *sim_state[2000];

static void sim_move(void *arg)
{
    (void)arg;
    static const char *const names[] = {"Backlog", "In Progress", "Approved", "Rejected", NULL};
    /* Now and then many are moved at once, so that the news fill several pages. */
    for (int64_t i = dice(30) ? dice(4) : 150; i > 0 && !sim_quiet; i--) {
        int64_t n = 1 + dice(sim_last + 3);
        sim_now_us += 1 + dice(3 * S);
        if (n > sim_last) {
            n = ++sim_last;
            sim_there[n] = true;
            sim_state[n] = "Backlog";
            issues_put(A, n, sim_state[n], sim_now_us);
        }
        if (!sim_there[n])
            continue;
        if (dice(5) == 0) {
            issues_drop(A, n);
            sim_there[n] = false;
            continue;
        }
        const char *name = names[dice(ARRAY_LEN(names))];
        sim_state[n] = name ? name : sim_state[n];
        issues_put(A, n, sim_state[n], sim_now_us);
    }
}

FRESH_TEST(everything_true_in_the_end_is_known_in_the_end)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        seed_of_test = seed * 7919;
        sim_now_us = T0;
        sim_quiet = false;
        sim_last = 350;
        for (int64_t n = 1; n <= sim_last; n++) {
            sim_there[n] = true;
            sim_state[n] = "Backlog";
        }
        add_many(A, 1, sim_last);
        issues_hook(sim_move, NULL);
        for (int i = 0; i < 40; i++) {
            issues_left((size_t)dice(7), 0);
            issues_fail(NULL, (enum plane_result)(PLANE_DOWN + dice(2)), (size_t)(dice(4) == 0));
            pass();
        }
        sim_quiet = true;
        issues_fail(NULL, PLANE_OK, 0);
        issues_left(1000, 0);
        for (int i = 0; i < 4; i++)
            pass();
        for (int64_t n = 1; n <= sim_last; n++) {
            const struct open_issue *open = open_of(n);
            bool matters = sim_there[n] && strcmp(sim_state[n], "Backlog") != 0;
            if (matters && (!open || strcmp(open->state_name, sim_state[n]) != 0))
                fail_msg("seed %d: issue %d is %s, and that is not known", (int)seed, (int)n, sim_state[n]);
            if (open && sim_there[n] && !matters)
                fail_msg("seed %d: issue %d is at rest, and that is not known", (int)seed, (int)n);
        }
        (void)tear_down(state);
        if (set_up(state))
            fail();
    }
}

/* what is kept */

FRESH_TEST(what_is_not_settled_is_remembered_below_the_watermark_and_costs_nothing)
{
    add_many(A, 1, 300);
    issues_put(A, 1, "In Progress", T0);
    pass();
    pass();
    for (int64_t n = 101; n <= 300; n++)
        issues_put(A, n, NULL, T0 + n * S); /* the watermark moves far beyond it */
    pass();
    assert_int_equal(pass(), 3);
    assert_int_equal(count_open(), 1);
    assert_false(open_of(1)->confirmed);
}

static void handle(int64_t number)
{
    struct open_issue *open = open_of(number);
    open->settled = open->acted_on = true;
}

FRESH_TEST(settled_ones_are_forgotten_and_handled_ones_until_they_change)
{
    add_many(A, 1, 20);
    issues_put(A, 3, "Approved", T0);
    issues_put(A, 4, "Rejected", T0);
    begin();
    open_of(3)->settled = true;
    handle(4);
    plane_scan_end(bench.scan, &bench.seen);
    assert_int_equal(count_open(), 0);
    pass();
    assert_null(open_of(4));
    assert_non_null(open_of(3)); /* seen again within the overlap, and looked at again */
    issues_put(A, 4, NULL, T0 + S);
    pass();
    assert_non_null(open_of(4));
}

FRESH_TEST(what_is_handled_and_gone_is_forgotten_by_the_next_full_listing)
{
    add_many(A, 1, 20);
    issues_put(A, 4, "Rejected", T0);
    begin();
    handle(4);
    plane_scan_end(bench.scan, &bench.seen);
    issues_drop(A, 4);
    bench.now_ms += (int64_t)LIMIT_PLANE_FULL_S * 1000;
    pass();
    issues_put(A, 4, "Rejected", T0); /* the same again: known no more */
    pass();
    assert_non_null(open_of(4));
}

static void confirm_all(struct plane_call *call)
{
    struct open_issue **issues;
    size_t n = plane_scan_issues(bench.scan, true, &issues);
    plane_scan_confirm(bench.scan, call, issues, n);
    free(issues);
}

/* n issues In Progress that no page of news shows any more. */
static void remember_of(const char *project, int64_t first, int64_t n)
{
    add_many(project, first, 300);
    for (int64_t i = 0; i < n; i++)
        issues_put(project, first + i, "In Progress", T0 - i - 1);
    pass();
    pass();
    for (int64_t i = 100; i < 300; i++)
        issues_put(project, first + i, NULL, T0 + (i + 1) * 10 * S);
    pass();
}

static void remember(int64_t n)
{
    remember_of(A, 1, n);
}

FRESH_TEST(one_is_confirmed_by_a_call_of_its_own)
{
    remember(1);
    struct plane_call call = begin();
    size_t before = issues_calls();
    confirm_all(&call);
    assert_int_equal(issues_calls() - before, 1);
    assert_int_equal(issues_calls_of("issue"), 1);
    assert_true(open_of(1)->confirmed);
    plane_scan_end(bench.scan, &bench.seen);
    begin();
    issues_put(A, 1, "Backlog", T0 + 9000 * S);
    struct open_issue *open = open_of(1);
    plane_scan_confirm(bench.scan, &call, &open, 1);
    assert_true(open->gone);
    plane_scan_end(bench.scan, &bench.seen);
    assert_int_equal(count_open(), 0);
}

FRESH_TEST(one_issue_may_be_read_alone)
{
    struct plane_call call;
    add_many(A, 1, 300);
    issues_put(A, 250, "Approved", T0 - 2490 * S);
    plane_call_begin(&call, NULL, NULL, true, INT64_MAX);
    begin_scan(0);
    const struct project *project = settings_project(bench.settings, "acme/a", NULL);
    AUTO_FREE char *id = mem_dup(issues_id(250));
    struct plane_scan_one one;
    plane_scan_read_one(bench.scan, &call, project, id, &one);
    assert_int_equal(issues_calls(), 2);
    assert_true(one.found && one.open == open_of(250) && one.open->confirmed &&
                one.meaning == ISSUE_APPROVED);
    assert_null(one.error);
    assert_string_equal(one.state_name, "Approved");
    issues_drop(A, 250);
    plane_scan_read_one(bench.scan, &call, project, id, &one);
    assert_true(!one.found && !one.open && !one.error);
    assert_null(open_of(250));
    plane_scan_end(bench.scan, &bench.seen);
    assert_int_equal(bench.seen.errors, 0);
    assert_int_equal(issues_calls(), 3);
}

FRESH_TEST(many_are_confirmed_by_pages)
{
    remember(50);
    struct plane_call call = begin();
    size_t before = issues_calls();
    issues_drop(A, 50);
    confirm_all(&call);
    assert_true(issues_calls() - before <= 3); /* a page or two, and the one that none shows */
    for (int64_t n = 1; n <= 49; n++)
        assert_true(open_of(n)->confirmed);
    assert_null(open_of(50));
}

FRESH_TEST(what_cannot_be_confirmed_stays_and_says_why)
{
    remember(3);
    struct plane_call call = begin();
    issues_left(0, 0);
    confirm_all(&call);
    assert_int_equal(count_open(), 3);
    for (int64_t n = 1; n <= 3; n++) {
        assert_false(open_of(n)->confirmed);
        assert_true(open_of(n)->no_budget);
        assert_string_equal(open_of(n)->error, "the budget is used up");
    }
    plane_scan_end(bench.scan, &bench.seen);
    assert_int_equal(bench.seen.waiting, 3);
    /* and the next pass leaves something for them, though there is much to read */
    bench.now_ms += (int64_t)LIMIT_PLANE_FULL_S * 1000;
    issues_left(6, 0);
    call = begin();
    struct open_issue *open = open_of(2);
    issues_change(A, 2, "11111111-1111-4111-8111-111111111111", "In Progress", T0);
    assert_true(plane_scan_identify(bench.scan, &call, open));
    assert_true(open->activity_known);
}

FRESH_TEST(a_search_of_many_activities_goes_on_where_the_budget_ended_it)
{
    remember(1);
    issues_change(A, 1, "11111111-1111-4111-8111-111111111111", "In Progress", T0);
    issues_change_page(A, 1, 12);
    struct plane_call call = begin();
    issues_left(8, 0);
    size_t before = issues_calls_of("change");
    assert_false(plane_scan_identify(bench.scan, &call, open_of(1)));
    assert_true(open_of(1)->no_budget);
    assert_int_equal(issues_calls_of("change") - before, 8);
    plane_scan_end(bench.scan, &bench.seen);
    bench.now_ms += 60000;
    issues_left(50, 0);
    call = begin();
    assert_false(open_of(1)->confirmed);
    before = issues_calls_of("change");
    assert_true(plane_scan_identify(bench.scan, &call, open_of(1)));
    assert_true(open_of(1)->activity_known);
    assert_int_equal(issues_calls_of("change") - before, 5);
    plane_scan_end(bench.scan, &bench.seen);
    /* but from the first page where the issue was touched meanwhile */
    issues_put(A, 1, "In Progress", T0 + 5 * S);
    call = begin();
    issues_left(8, 0);
    assert_false(plane_scan_identify(bench.scan, &call, open_of(1)));
    plane_scan_end(bench.scan, &bench.seen);
    issues_left(50, 0);
    issues_put(A, 1, "In Progress", T0 + 6 * S);
    call = begin();
    before = issues_calls_of("change");
    assert_true(plane_scan_identify(bench.scan, &call, open_of(1)));
    assert_int_equal(issues_calls_of("change") - before, 13);
}

FRESH_TEST(nonsense_about_one_issue_stops_no_other)
{
    remember(2);
    struct plane_call call = begin();
    struct open_issue *first = open_of(1), *second = open_of(2);
    issues_change(A, 2, "11111111-1111-4111-8111-111111111111", "In Progress", T0);
    issues_fail(A, PLANE_FAILED, 1);
    assert_false(plane_scan_identify(bench.scan, &call, first));
    assert_true(first->useless);
    assert_true(plane_scan_identify(bench.scan, &call, second));
    assert_true(second->activity_known && second->confirmed);
    size_t before = issues_calls();
    assert_true(plane_scan_identify(bench.scan, &call, second)); /* known */
    assert_int_equal(issues_calls(), before);
}

FRESH_TEST(a_change_to_another_state_is_not_what_made_it_so)
{
    remember(1);
    struct plane_call call = begin();
    struct open_issue *open = open_of(1);
    assert_true(plane_scan_identify(bench.scan, &call, open));
    assert_false(open->activity_known);
    issues_change(A, 1, "11111111-1111-4111-8111-111111111111", "Approved", T0);
    assert_true(plane_scan_identify(bench.scan, &call, open));
    assert_false(open->activity_known || open->confirmed);
}

FRESH_TEST(what_was_looked_at_in_vain_rests_longer_each_time_until_the_settings_move)
{
    struct open_issue **issues;
    remember(1);
    int64_t recheck_ms = 0;
    for (int i = 0; i < 8; i++) {
        struct open_issue *open = open_of(1);
        begin();
        plane_scan_recheck_later(bench.scan, open, PLANE_RECHECK_USELESS);
        assert_true(open->recheck_at_ms - bench.now_ms >= recheck_ms);
        recheck_ms = open->recheck_at_ms - bench.now_ms;
    }
    assert_int_equal(recheck_ms, 600000);
    assert_int_equal(plane_scan_issues(bench.scan, false, &issues), 0);
    free(issues);
    begin_scan(1);
    assert_int_equal(plane_scan_issues(bench.scan, false, &issues), 1);
    free(issues);
}

static char *status_line(void)
{
    struct plane_status *status = plane_scan_status(bench.scan);
    char *line = mem_printf("elsewhere %d, waiting %zu", status->elsewhere, status->waiting);
    for (size_t i = 0; i < status->n_projects; i++) {
        const struct plane_project_status *of = &status->projects[i];
        AUTO_FREE char *before = line;
        line = mem_printf("%s; %s: full %d, pages %zu, error %s", before, of->project->repo, of->full,
                          of->pages_read, of->error ? of->error : "none");
    }
    plane_status_free(status);
    return line;
}

FRESH_TEST(a_copy_leaves_the_original_alone)
{
    add_many(A, 1, 350);
    issues_left(4, 0);
    pass();
    char *before = status_line();
    struct plane_scan *original = bench.scan;
    bench.scan = plane_scan_copy(original);
    issues_left(100, 0);
    issues_put(A, 1, "Approved", T0 + S);
    pass();
    pass();
    assert_int_equal(count_open(), 1);
    plane_scan_free(bench.scan);
    bench.scan = original;
    char *after = status_line();
    assert_string_equal(before, after);
    assert_int_equal(count_open(), 0);
    free(before);
    free(after);
}

/* what goes wrong */

FRESH_TEST(a_project_that_fails_does_not_stop_the_others_and_is_told_once)
{
    add_many(A, 1, 20);
    add_many(B, 1001, 20);
    pass();
    issues_put(A, 5, "Approved", T0 + S);
    issues_put(B, 1005, "Approved", T0 + S);
    issues_fail(A, PLANE_FAILED, 2);
    pass();
    assert_null(open_of(5));
    assert_non_null(open_of(1005));
    assert_int_equal(bench.seen.errors, 1);
    assert_int_equal(bench.seen.broke, 1);
    assert_string_equal(bench.seen.error, "Plane fails");
    assert_string_equal(shown(0)->error, "Plane fails");
    pass();
    assert_int_equal(bench.seen.errors, 1);
    assert_int_equal(bench.seen.broke, 0);
    pass();
    assert_int_equal(bench.seen.errors, 0);
    assert_true(bench.seen.recovered);
    assert_string_equal(shown(0)->error, "");
    assert_non_null(open_of(5));
    pass();
    assert_false(bench.seen.recovered);
}

static const char no_number[] = "an issue without a number";

FRESH_TEST(a_row_that_cannot_be_read_costs_only_itself)
{
    struct plane_scan_odd odd;
    add_many(A, 1, 350);
    issues_put(A, 3, "Approved", T0 - 20 * S);
    issues_put(A, 4, "Approved", T0 - 30 * S);
    issues_odd(A, 1, no_number); /* the first row of all */
    issues_odd(A, 4, no_number);
    issues_odd(A, 350, no_number);       /* the last */
    assert_int_equal(pass(), 2 + 4 + 1); /* and no page is read twice because the three are missing */
    assert_int_equal(count_open(), 1);
    assert_non_null(open_of(3));
    assert_int_equal(bench.seen.errors, 0);
    assert_int_equal(bench.seen.odd, 3);
    assert_int_equal(shown(0)->odd, 3);
    for (int i = 0; i < 3; i++) {
        assert_true(plane_scan_odd(bench.scan, &odd));
        assert_string_equal(odd.row.wrong, no_number);
    }
    pass();
    assert_int_equal(bench.seen.odd, 3);
    assert_false(plane_scan_odd(bench.scan, &odd)); /* each once */
    issues_put(A, 2, "Rejected", T0 + S);
    pass();
    assert_non_null(open_of(2));
}

FRESH_TEST(a_page_of_rows_that_cannot_be_read_ends_no_listing)
{
    add_many(A, 1, 250);
    for (int64_t i = 1; i <= 200; i++)
        issues_odd(A, i, no_number);
    issues_put(A, 230, "Approved", T0 - 2290 * S);
    pass();
    pass();
    assert_non_null(open_of(230));
    assert_int_equal(bench.seen.odd, LIMIT_PLANE_ODD);
}

FRESH_TEST(a_row_that_can_be_read_again_is_not_lost)
{
    add_many(A, 1, 20);
    issues_put(A, 5, "Approved", T0 - 40 * S);
    issues_put(A, 6, "Approved", T0 - 50 * S);
    issues_put(A, 7, "Approved", T0 - 60 * S);
    issues_odd(A, 5, no_number);
    issues_odd(A, 6, no_number);
    issues_odd(A, 7, no_number);
    pass();
    assert_int_equal(count_open(), 0);
    issues_odd(A, 5, NULL);
    issues_put(A, 5, "Approved", T0 + S);
    pass();
    assert_int_equal(bench.seen.odd, 2);
    assert_non_null(open_of(5));
    issues_odd(A, 6, NULL); /* without a new time */
    issues_drop(A, 7);
    bench.now_ms += (int64_t)LIMIT_PLANE_FULL_S * 1000;
    pass();
    assert_non_null(open_of(6));
    assert_int_equal(bench.seen.odd, 0);
    assert_int_equal(shown(0)->odd, 0);
}

/* A pass that reads the states too. */
static size_t whole_pass(void)
{
    size_t before = issues_calls_of("states");
    struct plane_call call = begin();
    plane_scan_read_states(bench.scan, &call);
    plane_scan_end(bench.scan, &bench.seen);
    bench.now_ms += 60000;
    return issues_calls_of("states") - before;
}

FRESH_TEST(a_state_that_was_deleted_and_a_project_that_was_archived_show_within_a_pass)
{
    add_many(A, 1, 20);
    add_many(B, 1001, 20);
    assert_int_equal(whole_pass(), 2);
    assert_int_equal(whole_pass(), 2);
    assert_int_equal(bench.seen.errors, 0);
    issues_state_rename(A, "Approved", "Fine");
    issues_state_drop_all(B);
    whole_pass();
    assert_int_equal(bench.seen.broke, 2);
    assert_non_null(strstr(shown(0)->error, "has no state \"Approved\""));
    assert_non_null(strstr(shown(1)->error, "may be archived"));
    issues_state_rename(A, "Fine", "Approved");
    whole_pass();
    assert_string_equal(shown(0)->error, "");
}

FRESH_TEST(states_are_read_again_from_what_is_left_of_the_budget_alone)
{
    add_many(A, 1, 20);
    add_many(B, 1001, 20);
    whole_pass();
    issues_left(31 + 2, 10); /* of 60, two for the news: one more than half is left */
    assert_int_equal(whole_pass(), 1);
    issues_left(30 + 2, 10);
    assert_int_equal(whole_pass(), 0);
    bench.now_ms -= 60000; /* and not at once again */
    issues_left(60, 10);
    whole_pass();
    bench.now_ms -= 60000 - 5000;
    assert_int_equal(whole_pass(), 0);
}

FRESH_TEST(when_every_call_fails_each_project_is_asked_once_a_pass)
{
    add_many(A, 1, 20);
    pass();
    issues_fail(NULL, PLANE_DOWN, 100);
    assert_int_equal(pass(), 2);
    assert_int_equal(bench.seen.errors, 2);
    assert_int_equal(bench.seen.waiting, 0);
}

FRESH_TEST(what_is_spared_while_plane_is_down_makes_nothing_rest)
{
    struct open_issue **issues;
    remember(2);
    issues_fail(NULL, PLANE_SPARED, 100);
    struct plane_call call = begin();
    size_t probes = issues_probes();
    assert_true(probes > 0);
    confirm_all(&call);
    assert_true(issues_probes() > probes); /* before a single issue is asked about, too */
    assert_false(open_of(1)->useless || open_of(2)->useless);
    assert_string_equal(open_of(1)->error, "Plane fails");
    plane_scan_end(bench.scan, &bench.seen);
    assert_int_equal(bench.seen.errors, 2);
    issues_fail(NULL, PLANE_OK, 0);
    assert_int_equal(pass(), 2); /* at the same moment */
    assert_int_equal(bench.seen.errors, 0);
    assert_int_equal(plane_scan_issues(bench.scan, false, &issues), 2);
    free(issues);
}

FRESH_TEST(when_plane_is_up_again_nothing_rests_any_longer)
{
    struct open_issue **issues;
    remember(2);
    issues_fail(A, PLANE_DOWN, 1);
    issues_put(A, 2, NULL, T0 - S);
    begin();
    plane_scan_recheck_later(bench.scan, open_of(1), PLANE_RECHECK_FAILED);
    plane_scan_recheck_later(bench.scan, open_of(2), PLANE_RECHECK_USELESS);
    plane_scan_end(bench.scan, &bench.seen);
    assert_int_equal(pass(), 1); /* B alone */
    bench.now_ms -= 60000;
    issues_probed();
    assert_int_equal(pass(), 2);
    assert_int_equal(bench.seen.errors, 0);
    assert_int_equal(plane_scan_issues(bench.scan, false, &issues), 1);
    assert_int_equal(issues[0]->issue.sequence, 1);
    free(issues);
}

/* a failure delays only its own */

FRESH_TEST(a_project_that_cannot_be_read_stops_no_other_and_its_issues_are_looked_at)
{
    add_many(B, 1001, 20);
    remember(3);
    issues_put(B, 1005, "Approved", T0 + S);
    for (int64_t n = 1; n <= 3; n++)
        issues_change(A, n, "11111111-1111-4111-8111-111111111111", "In Progress", T0);
    issues_fail(A, PLANE_DOWN, 1);
    struct plane_call call = begin();
    assert_non_null(open_of(1005));
    for (int64_t n = 1; n <= 3; n++)
        assert_true(plane_scan_identify(bench.scan, &call, open_of(n)));
    plane_scan_end(bench.scan, &bench.seen);
    assert_int_equal(bench.seen.errors, 1);
    assert_int_equal(bench.seen.projects, 2);
}

FRESH_TEST(of_a_project_that_is_broken_as_a_whole_one_issue_is_tried)
{
    remember(3);
    issues_put(B, 1005, "Approved", T0 + S);
    issues_change(B, 1005, "22222222-1111-4111-8111-111111111111", "Approved", T0);
    issues_fail(A, PLANE_DOWN, 100);
    struct plane_call call = begin();
    size_t before = issues_calls();
    for (int64_t n = 1; n <= 3; n++)
        assert_false(plane_scan_identify(bench.scan, &call, open_of(n)));
    assert_int_equal(issues_calls() - before, 1);
    assert_true(open_of(1)->useless && !open_of(2)->useless && !open_of(3)->useless);
    assert_string_equal(open_of(3)->error, "Plane fails");
    assert_true(plane_scan_identify(bench.scan, &call, open_of(1005)));
}

FRESH_TEST(a_project_that_cannot_be_read_rests_up_to_a_minute_but_not_from_who_asks)
{
    add_many(A, 1, 20);
    pass();
    issues_fail(A, PLANE_DOWN, 100);
    static const int64_t rests_ms[] = {30000, 60000, 60000, 60000};
    for (size_t i = 0; i < ARRAY_LEN(rests_ms); i++) {
        size_t before = issues_calls();
        begin();
        plane_scan_end(bench.scan, &bench.seen);
        assert_int_equal(issues_calls() - before, 2);
        bench.now_ms += rests_ms[i] - 1;
        before = issues_calls();
        begin();
        plane_scan_end(bench.scan, &bench.seen);
        assert_int_equal(issues_calls() - before, 1);
        assert_int_equal(bench.seen.errors, 1); /* as it was */
        bench.now_ms++;
    }
    bench.forced = true;
    assert_int_equal(pass(), 2);
    bench.now_ms -= 60000;
    issues_fail(A, PLANE_OK, 0);
    assert_int_equal(pass(), 2);
    assert_true(bench.seen.recovered);
    bench.forced = false;
    assert_int_equal(pass(), 2);
    issues_fail(A, PLANE_DOWN, 1); /* the first again */
    assert_int_equal(pass(), 2);
    bench.now_ms -= 30000;
    assert_int_equal(pass(), 2);
    assert_int_equal(bench.seen.errors, 0);
}

static char asked_order[8];

static void note_order(void *arg)
{
    (void)arg;
    size_t n = strlen(asked_order);
    if (n + 1 < sizeof asked_order && issues_newest_project())
        asked_order[n] = strcmp(issues_newest_project(), A) == 0 ? 'A' : 'B';
}

static const char *order_of_pass(void)
{
    memset(asked_order, 0, sizeof asked_order);
    issues_hook(note_order, NULL);
    pass();
    issues_hook(NULL, NULL);
    return asked_order;
}

FRESH_TEST(a_project_that_failed_comes_behind_the_others_and_has_its_turn_in_the_end)
{
    add_many(A, 1, 20);
    add_many(B, 1001, 20);
    pass();
    assert_string_equal(order_of_pass(), "AB");
    issues_fail(A, PLANE_DOWN, 3);
    assert_string_equal(order_of_pass(), "AB");
    assert_string_equal(order_of_pass(), "BA");
    assert_string_equal(order_of_pass(), "BA");
    assert_string_equal(order_of_pass(), "BA"); /* which works again */
    assert_string_equal(order_of_pass(), "BA"); /* its turn was the newer one */
    issues_fail(B, PLANE_DOWN, 1);
    assert_string_equal(order_of_pass(), "BA");
    /* With budget for a single call a pass it is not put back for ever. */
    bool had_its_turn = false;
    for (int i = 0; i < 10 && !had_its_turn; i++) {
        issues_left(1, 0);
        had_its_turn = strchr(order_of_pass(), 'B') != NULL;
    }
    assert_true(had_its_turn);
}

FRESH_TEST(a_project_whose_call_is_refused_comes_behind_the_others_next_time)
{
    add_many(A, 1, 20);
    add_many(B, 1001, 20);
    pass();
    issues_fail(A, PLANE_WAITING, 2);
    assert_string_equal(order_of_pass(), "A");
    assert_true(strncmp(order_of_pass(), "BA", 2) == 0);
    assert_true(strncmp(order_of_pass(), "BA", 2) == 0);
    assert_int_equal(bench.seen.errors, 0);
}

FRESH_TEST(an_issue_whose_call_is_refused_is_not_the_first_again)
{
    remember(4);
    for (int64_t n = 1; n <= 4; n++)
        issues_change(A, n, "11111111-1111-4111-8111-111111111111", "In Progress", T0);
    issues_break(A, 1, PLANE_WAITING);
    struct plane_call call = begin();
    for (int64_t n = 1; n <= 4; n++) {
        assert_false(plane_scan_identify(bench.scan, &call, open_of(n)));
        assert_true(open_of(n)->useless == (n == 1) && open_of(n)->no_budget == (n > 1));
    }
}

FRESH_TEST(a_failure_about_one_issue_is_its_own_alone)
{
    static const enum plane_result failures[] = {PLANE_DOWN, PLANE_FAILED};
    remember(4);
    for (int64_t n = 1; n <= 4; n++)
        issues_change(A, n, "11111111-1111-4111-8111-111111111111", "In Progress", T0);
    for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
        issues_break(A, 2, failures[i]);
        struct plane_call call = begin();
        for (int64_t n = 1; n <= 4; n++) {
            assert_int_equal(plane_scan_identify(bench.scan, &call, open_of(n)), n != 2);
            assert_int_equal(open_of(n)->useless, n == 2);
        }
        assert_string_equal(open_of(2)->error, "Plane fails");
        plane_scan_end(bench.scan, &bench.seen);
        assert_int_equal(bench.seen.errors, 0);
        assert_int_equal(bench.seen.waiting, 0);
        for (int64_t n = 1; n <= 4; n++)
            open_of(n)->activity_known = false;
    }
}

FRESH_TEST(an_issue_about_which_calls_fail_rests_up_to_a_minute_or_an_interval)
{
    static const struct {
        int64_t interval_ms, rests_ms[4];
    } cases[] = {
        {60000, {30000, 60000, 60000, 60000}},
        {5000, {2500, 5000, 10000, 20000}},
        {300000, {150000, 300000, 300000, 300000}},
    };
    remember(1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct open_issue *open = open_of(1);
        open->misses = 0;
        for (size_t k = 0; k < ARRAY_LEN(cases[i].rests_ms); k++) {
            plane_scan_begin(bench.scan, &(struct plane_scan_pass){.now_ms = bench.now_ms,
                                                                   .interval_ms = cases[i].interval_ms});
            plane_scan_recheck_later(bench.scan, open, PLANE_RECHECK_FAILED);
            assert_int_equal(open->recheck_at_ms - bench.now_ms, cases[i].rests_ms[k]);
            assert_true(open->failed);
        }
    }
    issues_change(A, 1, "11111111-1111-4111-8111-111111111111", "In Progress", T0);
    struct plane_call call = begin();
    assert_true(plane_scan_identify(bench.scan, &call, open_of(1)));
    assert_false(open_of(1)->failed);
    assert_int_equal(open_of(1)->misses, 0);
}

FRESH_TEST(starts_of_a_project_that_fails_are_confirmed_when_the_others_are)
{
    remember(3);
    remember_of(B, 1001, 1);
    for (int64_t n = 400; n < 600; n++) /* so that they are on no page that is worth reading */
        issues_put(A, n, "Backlog", T0 + S);
    for (int64_t n = 1; n <= 3; n++)
        issues_break(A, n, PLANE_DOWN);
    issues_patience(3);
    struct plane_call call = begin();
    struct open_issue *issues[] = {open_of(1), open_of(2), open_of(3), open_of(1001)};
    plane_scan_confirm(bench.scan, &call, issues, ARRAY_LEN(issues));
    assert_true(open_of(1001)->confirmed);
    assert_true(plane_scan_tired(bench.scan, open_of(1)->project));
    assert_false(plane_scan_tired(bench.scan, open_of(1001)->project));
}

FRESH_TEST(reading_leaves_half_of_the_time_for_single_issues)
{
    struct plane_call call;
    add_many(A, 1, 20);
    int64_t now_ms = clock_mono_ms();
    plane_call_begin(&call, NULL, NULL, false, now_ms + 1000000);
    plane_scan_begin(bench.scan, &(struct plane_scan_pass){.now_ms = now_ms, .interval_ms = 60000});
    plane_scan_read(bench.scan, &call);
    assert_int_equal(issues_calls(), 4);
    plane_scan_end(bench.scan, &bench.seen);
    assert_int_equal(bench.seen.waiting, 0);
    /* The half is over. */
    plane_call_begin(&call, NULL, NULL, false, now_ms + 20);
    plane_scan_begin(bench.scan, &(struct plane_scan_pass){.now_ms = now_ms - 1000, .interval_ms = 60000});
    plane_scan_read(bench.scan, &call);
    assert_int_equal(issues_calls(), 4);
    plane_scan_end(bench.scan, &bench.seen);
    assert_int_equal(bench.seen.waiting, 2);
}

FRESH_TEST(a_page_that_fails_in_the_middle_is_asked_for_again_and_nothing_is_gone)
{
    add_many(A, 1, 350);
    issues_put(A, 350, "Approved", T0 - 900 * S);
    issues_put(A, 2, "Rejected", T0 - S);
    issues_left(6, 0);
    pass();
    assert_non_null(open_of(2));
    issues_left(100, 0);
    issues_fail(A, PLANE_FAILED, 1);
    pass();
    assert_non_null(open_of(2));
    pass();
    assert_int_equal(count_open(), 2);
}

FRESH_TEST(states_are_read_again_for_an_unknown_one_and_once_is_enough)
{
    add_many(A, 1, 20);
    pass();
    size_t before = issues_calls_of("states");
    issues_state(A, "Checked");
    issues_put(A, 5, "Checked", T0 + S);
    pass();
    assert_int_equal(issues_calls_of("states"), before + 1);
    issues_put(A, 6, "Hidden", T0 + 2 * S); /* of an id that no list shows */
    pass();
    pass();
    assert_int_equal(issues_calls_of("states"), before + 2);
}

FRESH_TEST(a_state_that_gets_its_name_later_is_found_then)
{
    issues_state_rename(A, "Approved", "OK");
    add_many(A, 1, 20);
    issues_put(A, 5, "Approved", T0);
    pass();
    assert_non_null(strstr(shown(0)->error, "\"Approved\""));
    assert_int_equal(bench.seen.broke, 1);
    issues_state_rename(A, "OK", "Approved");
    issues_put(A, 5, NULL, T0 + S);
    pass();
    assert_int_equal(open_of(5)->meaning, ISSUE_APPROVED);
    assert_true(bench.seen.recovered);
}

/* Settles all that is open except the issues from `kept` on. */
static void settle_all(int64_t kept)
{
    struct open_issue **issues;
    issues_left(60, 0);
    begin();
    size_t n = plane_scan_issues(bench.scan, true, &issues);
    for (size_t i = 0; i < n; i++)
        issues[i]->settled = issues[i]->issue.sequence < kept;
    free(issues);
    plane_scan_end(bench.scan, &bench.seen);
    bench.now_ms += 60000;
}

FRESH_TEST(what_finds_no_room_is_read_again_when_there_is_some)
{
    const int64_t many = LIMIT_PLANE_OPEN + 150;
    for (int64_t n = 1; n <= many; n++)
        issues_put(A, n, "In Progress", T0 - n * S);
    for (int i = 0; i < 4; i++) {
        issues_left(60, 0);
        pass();
    }
    assert_int_equal(count_open(), LIMIT_PLANE_OPEN);
    issues_put(A, many, "Approved", T0 + S); /* news find none either */
    issues_left(60, 0);
    pass();
    assert_non_null(strstr(shown(0)->error, "too many"));
    assert_null(open_of(many));
    for (int i = 0; i < 10; i++)
        settle_all(LIMIT_PLANE_OPEN + 1);
    assert_int_equal(count_open(), 150);
    assert_int_equal(open_of(many)->meaning, ISSUE_APPROVED);
}

/* Names of a thousand bytes: after four megabytes of them each has LIMIT_PLANE_OPEN_NAME, until there is
 * room. */
TEST(names_are_cut_once_they_are_too_many)
{
    enum { LEN = 1000, FIT = LIMIT_PLANE_OPEN_BYTES / LEN + 1, ALL = FIT + 50 };
    const struct plane_mapped_state approved = {.meaning = ISSUE_APPROVED, .name = (char[]){""}};
    struct open_issues table = {.n = 0};
    struct plane_issue issue = {.name = mem_zero(LEN + 1, 1), .updated_us = 1};
    memset(issue.name, 'n', LEN);
    for (int i = 0; i < ALL + 1; i++) { /* the last is shown twice, and counts once */
        snprintf(issue.id, sizeof issue.id, "%08d-0000-4000-8000-000000000000", i < ALL ? i : ALL - 1);
        assert_true(open_issues_put(&table, NULL, &issue, &approved, 1));
    }
    assert_int_equal(strlen(table.items[0]->issue.name), LEN);
    assert_int_equal(strlen(table.items[ALL - 1]->issue.name), LIMIT_PLANE_OPEN_NAME);
    assert_int_equal(table.bytes, FIT * LEN + (ALL - FIT) * LIMIT_PLANE_OPEN_NAME);
    struct open_issues copy;
    open_issues_copy(&copy, &table);
    for (size_t i = 0; i < copy.n; i++)
        copy.items[i]->gone = true;
    open_issues_sweep(&copy);
    assert_int_equal(copy.bytes, 0);
    assert_true(open_issues_put(&copy, NULL, &issue, &approved, 1));
    assert_int_equal(strlen(copy.items[0]->issue.name), LEN);
    open_issues_done(&copy);
    open_issues_done(&table);
    free(issue.name);
}
