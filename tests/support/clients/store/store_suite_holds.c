/* Holds: what people keep from leaving its stage, and what they release. */
#include "tests/support/clients/store/store_suite.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"

SUITE_GROUP(holds, "store: holds and releases")

static enum store_hold_set put(struct suite *suite, const struct store_new_hold *hold)
{
    enum store_hold_set set;
    ASSERT_OK(store_hold_put(suite->store, hold, &set, &suite->why));
    return set;
}

static void hold(struct suite *suite, const char *scope)
{
    const struct store_new_hold new = {.scope = scope,
                                       .name = scope,
                                       .work_item_id = strncmp(scope, "task/", 5) == 0 ? "ORCH-1" : NULL,
                                       .reason = "freeze",
                                       .by = "ann"};
    assert_int_equal(put(suite, &new), STORE_HOLD_NEW);
}

static void end(struct suite *suite, const char *scope)
{
    ASSERT_OK(store_hold_end(suite->store, scope, scope, "bob", "over", &suite->why));
}

/* The newest changes, as "hold task/1 null -> "freeze" by ann; …". Caller frees. */
static char *changes(struct suite *suite, size_t limit)
{
    struct store_changes list;
    struct buffer out = {.max = 10000};
    ASSERT_OK(store_history_list(suite->store, 0, limit, &list, &suite->why));
    for (size_t i = 0; i < list.n; i++)
        buffer_printf(&out, "%s%s %s: %s -> %s by %s (%s)", i ? "; " : "", list.rows[i].kind,
                      list.rows[i].name, list.rows[i].from ? list.rows[i].from : "-",
                      list.rows[i].to ? list.rows[i].to : "-", list.rows[i].by, list.rows[i].reason);
    store_changes_done(&list);
    return buffer_take(&out);
}

SUITE_TEST(a_hold_is_set_replaced_listed_and_ended_and_each_change_recorded)
{
    struct store_holds holds;
    struct store_new_hold new = {
        .scope = "stage/Prüfung ☂", .name = "stage/Prüfung ☂", .reason = "\"О'К\" ☂", .by = "Анна"};
    ASSERT_OK(store_holds_list(suite->store, &holds, &suite->why));
    assert_int_equal(holds.n, 0);
    assert_int_equal(put(suite, &new), STORE_HOLD_NEW);
    new.reason = "another";
    new.until_us = clock_wall_us() + 3600 * INT64_C(1000000);
    assert_int_equal(put(suite, &new), STORE_HOLD_REPLACED);
    ASSERT_OK(store_holds_list(suite->store, &holds, &suite->why));
    assert_int_equal(holds.n, 1);
    assert_string_equal(holds.rows[0].scope, new.scope);
    assert_string_equal(holds.rows[0].reason, "another");
    assert_string_equal(holds.rows[0].by, "Анна");
    assert_in_range(holds.rows[0].until_us, new.until_us - 1000, new.until_us + 1000);
    assert_true(holds.rows[0].since_us > 0);
    store_holds_done(&holds);
    end(suite, new.scope);
    ASSERT_ERR(store_hold_end(suite->store, new.scope, "stage/x", "bob", NULL, &suite->why), ERR_NOT_FOUND);
    suite_assert_why(suite, "stage/x");
    ASSERT_OK(store_holds_list(suite->store, &holds, &suite->why));
    assert_int_equal(holds.n, 0);
    AUTO_FREE char *list = changes(suite, 10);
    assert_string_equal(list,
                        "hold stage/Prüfung ☂: \"another\" -> - by bob (over); "
                        "hold stage/Prüfung ☂: \"\\\"\\u041E'\\u041A\\\" \\u2602\" -> \"another\" by Анна "
                        "(another); "
                        "hold stage/Prüfung ☂: - -> \"\\\"\\u041E'\\u041A\\\" \\u2602\" by Анна "
                        "(\"О'К\" ☂)");
}

SUITE_TEST(a_hold_that_is_over_holds_nothing)
{
    struct store_holds holds;
    suite_task(suite, 1, "development", "o/r", 5000);
    hold(suite, "task/1");
    suite_exec(suite, "UPDATE reconcile_holds SET until = %s", suite_ago(suite, 1));
    ASSERT_OK(store_holds_list(suite->store, &holds, &suite->why));
    assert_int_equal(holds.n, 0);
    struct store_task_list stuck = suite_stuck(suite);
    struct store_transition transition = suite_transition(&stuck.tasks[0]);
    assert_int_equal(suite_move(suite, &transition), STORE_MOVED);
    ASSERT_ERR(store_hold_end(suite->store, "task/1", "task/1", NULL, NULL, &suite->why), ERR_NOT_FOUND);
}

SUITE_TEST(there_are_at_most_so_many_holds)
{
    enum store_hold_set set;
    for (int i = 0; i < LIMIT_HOLDS; i++)
        suite_exec(suite,
                   "INSERT INTO reconcile_holds (scope, reason, since) VALUES ('stage/%d', '\"r\"', %s)", i,
                   suite_ago(suite, 10));
    struct store_new_hold new = {.scope = "stage/new", .name = "stage/new", .reason = "r"};
    ASSERT_OK(store_hold_put(suite->store, &new, &set, &suite->why));
    assert_int_equal(set, STORE_HOLD_TOO_MANY);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_history"), 0);
    new.scope = new.name = "stage/7";
    assert_int_equal(put(suite, &new), STORE_HOLD_REPLACED);
    end(suite, "stage/7");
    new.scope = new.name = "stage/new";
    assert_int_equal(put(suite, &new), STORE_HOLD_NEW);
}

static const struct scope {
    const char *scope;
    bool covers;
} scopes[] = {
    {"task/1", true},        {"task/2", false},           {"repo/acme/app", true}, {"repo/acme/app2", false},
    {"repo/acme/ap", false}, {"stage/development", true}, {"stage/review", false},
};

SUITE_TEST(a_task_is_held_by_its_own_hold_its_repository_s_and_its_stage_s)
{
    for (size_t i = 0; i < ARRAY_LEN(scopes); i++) {
        suite_exec(suite, "DELETE FROM tasks");
        suite_exec(suite, "DELETE FROM jobs");
        suite_task(suite, 1, "development", "Acme/App", 5000);
        struct store_task_list stuck = suite_stuck(suite);
        struct store_transition transition = suite_transition(&stuck.tasks[0]);
        struct why words = {""};
        transition.refusal = &words;
        hold(suite, scopes[i].scope);
        AUTO_FREE char *before = suite_dump(suite);
        assert_int_equal(suite_move(suite, &transition), scopes[i].covers ? STORE_HELD : STORE_MOVED);
        AUTO_FREE char *after = suite_dump(suite);
        if (scopes[i].covers) {
            assert_string_equal(words.text, "held by ann: freeze");
            assert_string_equal(after, before);
            end(suite, scopes[i].scope);
            assert_int_equal(suite_move(suite, &transition), STORE_MOVED);
        } else {
            end(suite, scopes[i].scope);
        }
    }
}

SUITE_TEST(of_a_batch_only_what_is_held_stays)
{
    enum { TASKS = 5 };
    struct store_transition batch[TASKS];
    enum store_moved moved[TASKS];
    for (int64_t id = 1; id <= TASKS; id++)
        suite_task(suite, id, "development", "o/r", 5000 - id);
    struct store_task_list stuck = suite_stuck(suite);
    for (size_t i = 0; i < TASKS; i++)
        batch[i] = suite_transition(&stuck.tasks[i]);
    hold(suite, "task/1");
    ASSERT_OK(store_transition(suite->store, 0, 0, NULL, batch, TASKS, moved, &suite->why));
    for (size_t i = 0; i < TASKS; i++)
        assert_int_equal(moved[i], stuck.tasks[i].id == 1 ? STORE_HELD : STORE_MOVED);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_ledger"), TASKS - 1);
}

SUITE_TEST(another_task_that_got_the_id_is_not_held)
{
    suite_task(suite, 1, "development", "o/r", 5000);
    hold(suite, "task/1");
    suite_exec(suite, "UPDATE tasks SET work_item_id = 'ORCH-99', plane_id = NULL");
    struct store_task_list stuck = suite_stuck(suite);
    struct store_transition transition = suite_transition(&stuck.tasks[0]);
    assert_int_equal(suite_move(suite, &transition), STORE_MOVED);
}

SUITE_TEST(starts_are_held_by_their_repository_and_by_the_first_stage)
{
    static const char *const held[] = {"repo/acme/shop", "stage/created"};
    struct why words;
    struct store_new_task new = {.plane_id = "00000000-0000-4000-8000-000000000007",
                                 .work_item_id = "ORCH-7",
                                 .repo = "Acme/Shop",
                                 .branch = "b",
                                 .stage = "created",
                                 .refusal = &words};
    enum store_creation creation;
    for (size_t i = 0; i < ARRAY_LEN(held); i++) {
        hold(suite, held[i]);
        ASSERT_OK(store_create_tasks(suite->store, 0, 0, &new, 1, &creation, &suite->why));
        assert_int_equal(creation, STORE_START_HELD);
        assert_string_equal(words.text, "held by ann: freeze");
        assert_int_equal(suite_number(suite, "SELECT count(*) FROM tasks"), 0);
        end(suite, held[i]);
    }
    hold(suite, "repo/acme/other");
    ASSERT_OK(store_create_tasks(suite->store, 0, 0, &new, 1, &creation, &suite->why));
    assert_int_equal(creation, STORE_CREATED);
}

SUITE_TEST(a_replay_is_not_begun_while_its_task_is_held)
{
    struct why words = {""};
    suite_task(suite, 1, "development", "o/r", 5000);
    struct store_task_list stuck = suite_stuck(suite);
    struct store_transition row = suite_transition(&stuck.tasks[0]);
    row.refusal = &words;
    const struct store_replay replay = {
        .subject = "task/1", .delivery = uuid_from_name("replay"), .row = &row};
    struct store_replay_seen seen;
    hold(suite, "stage/development");
    ASSERT_OK(store_replay_begin(suite->store, 0, 0, &replay, 1, &seen, &suite->why));
    assert_int_equal(seen.state, STORE_REPLAY_HELD);
    assert_string_equal(words.text, "held by ann: freeze");
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_replays"), 0);
    end(suite, "stage/development");
    ASSERT_OK(store_replay_begin(suite->store, 0, 0, &replay, 1, &seen, &suite->why));
    assert_int_equal(seen.state, STORE_REPLAY_DUE);
}

SUITE_TEST(nothing_moves_under_tables_of_a_newer_version)
{
    struct why words = {""};
    suite_task(suite, 1, "development", "o/r", 5000);
    struct store_task_list stuck = suite_stuck(suite);
    struct store_transition transition = suite_transition(&stuck.tasks[0]);
    transition.refusal = &words;
    suite_exec(suite, "INSERT INTO reconcile_schema (version) VALUES (99)");
    assert_int_equal(suite_move(suite, &transition), STORE_HELD);
    assert_string_equal(words.text, "a newer version has migrated");
    suite_exec(suite, "DELETE FROM reconcile_schema WHERE version = 99");
    assert_int_equal(suite_move(suite, &transition), STORE_MOVED);
}

SUITE_TEST(a_release_ends_quarantine_and_the_task_s_own_hold)
{
    suite_task(suite, 1, "development", "o/r", 5000);
    for (int i = 0; i < 3; i++)
        suite_heal(suite, 1, "development", 100);
    assert_int_equal(suite_stuck(suite).tasks[0].recent_heals, 3);
    hold(suite, "task/1");
    hold(suite, "repo/o/r");
    ASSERT_OK(store_release(suite->store, 1, "task/ORCH-1", "bob", "mended", &suite->why));
    assert_int_equal(suite_stuck(suite).tasks[0].recent_heals, 0);
    struct store_tasks_query any = {.limit = 1};
    struct store_task_entry entry;
    ASSERT_OK(store_task_get(suite->store, 1, &any, &entry, NULL, &suite->why));
    assert_int_equal(entry.task.recent_heals, 0);
    store_task_entry_done(&entry);
    struct store_holds holds;
    ASSERT_OK(store_holds_list(suite->store, &holds, &suite->why));
    assert_int_equal(holds.n, 1);
    assert_string_equal(holds.rows[0].scope, "repo/o/r");
    store_holds_done(&holds);
    AUTO_FREE char *newest = changes(suite, 1);
    assert_string_equal(newest, "release task/ORCH-1: - -> - by bob (mended)");
}

SUITE_TEST(heals_count_for_as_long_as_the_query_says)
{
    struct store_stuck_query query = suite_query();
    suite_task(suite, 1, "development", "o/r", 5000);
    suite_heal(suite, 1, "development", 1000);
    query.heals_window_s = 900;
    assert_int_equal(suite_list(suite, &query).tasks[0].recent_heals, 0);
    query.heals_window_s = 1100;
    assert_int_equal(suite_list(suite, &query).tasks[0].recent_heals, 1);
}

/* exactness */

enum { TRIES = 100 };

struct mover {
    struct store *store;
    const struct store_transition *transition;
    enum store_moved moved;
    bool failed;
};

static void *mover_run(void *arg)
{
    struct mover *mover = arg;
    mover->failed =
        store_transition(mover->store, 0, 0, NULL, mover->transition, 1, &mover->moved, NULL) != ERR_OK;
    return NULL;
}

/* Once store_hold_put has returned, either the task has moved or it stays. */
SUITE_TEST(nothing_slips_through_a_hold)
{
    struct store *other;
    ASSERT_OK(store_open(suite->url, NULL, &other, &suite->why));
    for (int64_t id = 1; id <= TRIES; id++)
        suite_task(suite, id, "development", "o/r", 5000 + id);
    struct store_task_list stuck = suite_stuck(suite);
    for (size_t i = 0; i < TRIES; i++) {
        struct store_transition transition = suite_transition(&stuck.tasks[i]);
        struct mover mover = {.store = other, .transition = &transition, .moved = STORE_RACED};
        pthread_t thread;
        AUTO_FREE char *scope = mem_printf("task/%lld", (long long)stuck.tasks[i].id);
        const struct store_new_hold new = {
            .scope = scope, .name = scope, .work_item_id = stuck.tasks[i].work_item_id, .reason = "freeze"};
        assert_int_equal(pthread_create(&thread, NULL, mover_run, &mover), 0);
        assert_int_equal(put(suite, &new), STORE_HOLD_NEW);
        int64_t moved = suite_number(suite, "SELECT count(*) FROM tasks WHERE id = %lld AND stage = 'review'",
                                     (long long)stuck.tasks[i].id);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_false(mover.failed);
        assert_int_equal(mover.moved, moved ? STORE_MOVED : STORE_HELD);
    }
    store_free(other);
}
