/* The one transition: all of it or nothing, once, and only what still stands. */
#include "tests/support/clients/store/store_suite.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"

SUITE_GROUP(transition, "store: the one transition")

#define PASS_ID "00000000-0000-4000-8000-000000000002"

/* What must have been written for n transitions, and nothing else. */
static void assert_written(struct suite *suite, int64_t n)
{
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM tasks WHERE stage = 'review'"), n);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM jobs WHERE agent = 'reviewer'"), n);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_ledger"), n);
}

/* One stuck task, and its row in store_task_list. */
static struct store_task_list one_stuck(struct suite *suite)
{
    suite_task(suite, 1, "development", "o/r", 5000);
    struct store_task_list stuck = suite_stuck(suite);
    ASSERT_LISTED(&stuck, 1);
    return stuck;
}

SUITE_TEST(a_transition_moves_task_job_and_ledger_in_one_go)
{
    struct store_task_list stuck = one_stuck(suite);
    suite_task(suite, 2, "testing", "o/r", 10);
    struct store_transition transition = suite_transition(&stuck.tasks[0]);
    assert_int_equal(suite_move(suite, &transition), STORE_MOVED);
    assert_written(suite, 1);
    assert_int_equal(
        suite_number(suite,
                     "SELECT count(*) FROM tasks WHERE id = 1 AND updated_at > %s AND updated_at <= %s",
                     suite_ago(suite, 120), suite_ago(suite, -5)),
        1);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM jobs WHERE task_id = 1 AND agent = 'reviewer'"
                                         " AND status = 'queued' AND created_at IS NOT NULL"
                                         " AND updated_at IS NOT NULL"),
                     1);
    struct store_ledger_page page;
    ASSERT_OK(store_ledger_list(suite->store, 0, 0, 10, &page, &suite->why));
    assert_int_equal(page.n, 1);
    const struct store_ledger_row *row = &page.rows[0];
    assert_string_equal(row->id.s, transition.id.s);
    assert_int_equal(row->task_id, 1);
    assert_string_equal(row->work_item_id, "ORCH-1");
    assert_string_equal(row->repo, "o/r");
    assert_string_equal(row->from_stage, "development");
    assert_string_equal(row->to_stage, "review");
    assert_string_equal(row->side, "gate");
    assert_string_equal(row->outcome, "advanced");
    assert_string_equal(row->agent, "reviewer");
    assert_string_equal(row->reason, "every check passed");
    assert_in_range(row->at_us, stuck.now_us - 1000, stuck.now_us + 60000000);
    store_ledger_page_done(&page);
    /* It has a job now, and is young. */
    stuck = suite_stuck(suite);
    assert_int_equal(stuck.count, 0);
}

SUITE_TEST(no_agent_means_no_job)
{
    struct store_task_list stuck = one_stuck(suite);
    struct store_transition transition = suite_transition(&stuck.tasks[0]);
    transition.to_stage = "done";
    transition.agent = NULL;
    assert_int_equal(suite_move(suite, &transition), STORE_MOVED);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM tasks WHERE stage = 'done'"), 1);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM jobs"), 0);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_ledger WHERE agent IS NULL"), 1);
}

/* Runs `meanwhile` between reading and writing: then nothing at all may be written. */
static void assert_raced_after(struct suite *suite, const char *meanwhile)
{
    struct store_task_list stuck = one_stuck(suite);
    suite_exec(suite, "%s", meanwhile);
    char *before = suite_dump(suite);
    struct store_transition transition = suite_transition(&stuck.tasks[0]);
    assert_int_equal(suite_move(suite, &transition), STORE_RACED);
    char *after = suite_dump(suite);
    if (before || after)
        assert_string_equal(after, before);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_ledger"), 0);
    free(before);
    free(after);
}

SUITE_TEST(a_task_whose_stage_moved_meanwhile_is_raced)
{
    assert_raced_after(suite, "UPDATE tasks SET stage = 'testing'");
}

SUITE_TEST(a_task_that_was_touched_meanwhile_is_raced)
{
    char *sql = mem_printf("UPDATE tasks SET updated_at = %s", suite_ago(suite, 4000));
    assert_raced_after(suite, sql);
    free(sql);
}

SUITE_TEST(a_task_that_got_a_job_meanwhile_is_raced)
{
    assert_raced_after(suite, "INSERT INTO jobs (task_id, agent, status) VALUES (1, 'developer', 'running')");
}

SUITE_TEST(a_task_that_is_gone_is_raced)
{
    assert_raced_after(suite, "DELETE FROM tasks");
}

SUITE_TEST(a_finished_job_is_no_obstacle)
{
    struct store_task_list stuck = one_stuck(suite);
    suite_job(suite, 1, "done");
    suite_job(suite, 1, "failed");
    struct store_transition transition = suite_transition(&stuck.tasks[0]);
    assert_int_equal(suite_move(suite, &transition), STORE_MOVED);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM jobs"), 3);
}

SUITE_TEST_EMPTY(a_refused_row_does_not_stop_the_others)
{
    suite_own_tasks(suite, ", CHECK (title <> 'Task 2' OR stage = 'development')");
    ASSERT_OK(store_migrate(suite->store, NULL, &suite->why));
    for (int64_t id = 1; id <= 3; id++)
        suite_task(suite, id, "development", "o/r", 5000 - id);
    struct store_task_list stuck = suite_stuck(suite);
    ASSERT_LISTED(&stuck, 1, 2, 3);
    struct store_transition batch[3];
    enum store_moved moved[3];
    for (size_t i = 0; i < 3; i++)
        batch[i] = suite_transition(&stuck.tasks[i]);
    ASSERT_OK(store_transition(suite->store, 0, 0, PASS_ID, batch, 3, moved, &suite->why));
    assert_int_equal(moved[0], STORE_MOVED);
    assert_int_equal(moved[1], STORE_REFUSED);
    assert_int_equal(moved[2], STORE_MOVED);
    assert_written(suite, 2);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM jobs WHERE task_id = 2"), 0);
}

SUITE_TEST_EMPTY(a_refused_job_leaves_its_task_where_it_was)
{
    const char *type = suite->backend->instant_type;
    suite_exec(suite,
               "CREATE TABLE jobs (id INTEGER, task_id BIGINT CHECK (task_id <> 1), agent TEXT, status TEXT,"
               " created_at %s, updated_at %s)",
               type, type);
    ASSERT_OK(store_migrate(suite->store, NULL, &suite->why));
    suite_task(suite, 1, "development", "o/r", 5000);
    suite_task(suite, 2, "development", "o/r", 4000);
    struct store_task_list stuck = suite_stuck(suite);
    ASSERT_LISTED(&stuck, 1, 2);
    struct store_transition batch[] = {suite_transition(&stuck.tasks[0]), suite_transition(&stuck.tasks[1])};
    enum store_moved moved[2];
    ASSERT_OK(store_transition(suite->store, 0, 0, PASS_ID, batch, 2, moved, &suite->why));
    assert_int_equal(moved[0], STORE_REFUSED);
    assert_int_equal(moved[1], STORE_MOVED);
    assert_written(suite, 1);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM tasks WHERE id = 1 AND stage = 'development'"),
                     1);
}

/* Seeds LIMIT_BATCH stuck tasks and moves them in one batch, those with an even id raced. */
SUITE_TEST(a_full_batch_is_told_apart_row_by_row)
{
    for (int64_t id = 1; id <= LIMIT_BATCH; id++)
        suite_task(suite, id, "development", "o/r", 90000 - id);
    struct store_task_list stuck = suite_stuck(suite);
    assert_int_equal(stuck.n_tasks, LIMIT_BATCH);
    suite_exec(suite, "UPDATE tasks SET stage = 'testing' WHERE id %% 2 = 0");
    struct store_transition batch[LIMIT_BATCH];
    enum store_moved moved[LIMIT_BATCH];
    for (size_t i = 0; i < LIMIT_BATCH; i++)
        batch[i] = suite_transition(&stuck.tasks[i]);
    ASSERT_OK(store_transition(suite->store, 0, 0, PASS_ID, batch, LIMIT_BATCH, moved, &suite->why));
    for (size_t i = 0; i < LIMIT_BATCH; i++)
        assert_int_equal(moved[i], stuck.tasks[i].id % 2 == 0 ? STORE_RACED : STORE_MOVED);
    assert_written(suite, LIMIT_BATCH / 2);
}

SUITE_TEST(an_empty_batch_is_fine)
{
    ASSERT_OK(store_transition(suite->store, 0, 0, PASS_ID, NULL, 0, NULL, &suite->why));
}

SUITE_TEST(the_same_ledger_id_is_written_once_and_still_reported_moved)
{
    struct store_task_list stuck = one_stuck(suite);
    struct store_transition transition = suite_transition(&stuck.tasks[0]);
    assert_int_equal(suite_move(suite, &transition), STORE_MOVED);
    char *before = suite_dump(suite);
    assert_int_equal(suite_move(suite, &transition), STORE_MOVED);
    char *after = suite_dump(suite);
    assert_string_equal(after, before);
    assert_written(suite, 1);
    free(before);
    free(after);
}

SUITE_TEST(one_task_twice_in_a_batch_moves_once)
{
    struct store_task_list stuck = one_stuck(suite);
    struct store_transition batch[] = {suite_transition(&stuck.tasks[0]), suite_transition(&stuck.tasks[0])};
    enum store_moved moved[2];
    ASSERT_OK(store_transition(suite->store, 0, 0, PASS_ID, batch, 2, moved, &suite->why));
    assert_int_equal(moved[0], STORE_MOVED);
    assert_int_equal(moved[1], STORE_RACED);
    assert_written(suite, 1);
}

SUITE_TEST(a_decision_under_older_settings_is_not_written)
{
    struct store_task_list stuck = one_stuck(suite);
    int64_t revision;
    ASSERT_OK(store_settings_write(suite->store, 0, "{\"enabled\":{\"value\":false}}", NULL, 0, &revision,
                                   &suite->why));
    char *before = suite_dump(suite);
    struct store_transition transition = suite_transition(&stuck.tasks[0]);
    enum store_moved moved = STORE_REFUSED;
    ASSERT_ERR(store_transition(suite->store, 0, 0, PASS_ID, &transition, 1, &moved, &suite->why),
               ERR_CONFLICT);
    char *after = suite_dump(suite);
    assert_string_equal(after, before);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_ledger"), 0);
    ASSERT_OK(store_transition(suite->store, revision, 0, PASS_ID, &transition, 1, &moved, &suite->why));
    assert_int_equal(moved, STORE_MOVED);
    free(before);
    free(after);
}

SUITE_TEST(a_decision_whose_time_ran_out_is_not_written)
{
    struct store_task_list stuck = one_stuck(suite);
    struct store_transition transition = suite_transition(&stuck.tasks[0]);
    enum store_moved moved = STORE_REFUSED;
    ASSERT_ERR(store_transition(suite->store, 0, stuck.now_us, PASS_ID, &transition, 1, &moved, &suite->why),
               ERR_CONFLICT);
    assert_written(suite, 0);
    ASSERT_OK(store_transition(suite->store, 0, stuck.now_us + INT64_C(3600000000), PASS_ID, &transition, 1,
                               &moved, &suite->why));
    assert_int_equal(moved, STORE_MOVED);
    assert_written(suite, 1);
}

SUITE_TEST(any_text_reaches_the_ledger_as_it_is)
{
    struct store_task_list stuck = one_stuck(suite);
    struct store_transition transition = suite_transition(&stuck.tasks[0]);
    char *longest = mem_zero(10001, 1);
    memset(longest, 'y', 10000);
    free(stuck.tasks[0].work_item_id);
    free(stuck.tasks[0].repo);
    stuck.tasks[0].work_item_id = mem_dup("О'К \"1\" \\ 🔧");
    stuck.tasks[0].repo = NULL;
    transition.reason = longest;
    transition.evidence = "{\"url\":\"http://x/?a='b'&c=\\\"\\u0000\\\"\",\"☂\":[1,2.5,null]}";
    transition.outcome = "approved";
    transition.side = "plane";
    assert_int_equal(suite_move(suite, &transition), STORE_MOVED);
    struct store_ledger_page page;
    ASSERT_OK(store_ledger_list(suite->store, 1, 0, 10, &page, &suite->why));
    assert_int_equal(page.n, 1);
    assert_string_equal(page.rows[0].work_item_id, "О'К \"1\" \\ 🔧");
    assert_null(page.rows[0].repo);
    assert_string_equal(page.rows[0].reason, longest);
    suite_assert_document(page.rows[0].evidence, transition.evidence);
    assert_string_equal(page.rows[0].side, "plane");
    assert_string_equal(page.rows[0].outcome, "approved");
    store_ledger_page_done(&page);
    free(longest);
}

/* several threads */

enum { RACERS = 4, RACE_TASKS = 48, RACE_BATCH = 8 };

struct racer {
    struct store *store;
    const struct store_task_list *stuck;
    size_t moved, failed;
};

static void *racer_run(void *arg)
{
    struct racer *racer = arg;
    for (size_t at = 0; at < RACE_TASKS; at += RACE_BATCH) {
        struct store_transition batch[RACE_BATCH];
        enum store_moved moved[RACE_BATCH];
        for (size_t i = 0; i < RACE_BATCH; i++)
            batch[i] = suite_transition(&racer->stuck->tasks[at + i]);
        if (store_transition(racer->store, 0, 0, PASS_ID, batch, RACE_BATCH, moved, NULL)) {
            racer->failed++;
            continue;
        }
        for (size_t i = 0; i < RACE_BATCH; i++) {
            racer->moved += moved[i] == STORE_MOVED;
            racer->failed += moved[i] == STORE_REFUSED;
        }
    }
    return NULL;
}

/* Half of the racers share a store, the others have one each, as replicas have. */
SUITE_TEST(racing_transitions_move_each_task_exactly_once)
{
    for (int64_t id = 1; id <= RACE_TASKS; id++)
        suite_task(suite, id, "development", "o/r", 9000 - id);
    struct store_task_list stuck = suite_stuck(suite);
    assert_int_equal(stuck.n_tasks, RACE_TASKS);
    struct racer racers[RACERS];
    pthread_t threads[RACERS];
    size_t moved = 0, failed = 0;
    for (size_t i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){.store = suite->store, .stuck = &stuck};
        if (i >= RACERS / 2)
            ASSERT_OK(store_open(suite->url, NULL, &racers[i].store, NULL));
        assert_int_equal(pthread_create(&threads[i], NULL, racer_run, &racers[i]), 0);
    }
    for (size_t i = 0; i < RACERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        moved += racers[i].moved;
        failed += racers[i].failed;
        if (racers[i].store != suite->store)
            store_free(racers[i].store);
    }
    assert_int_equal(failed, 0);
    assert_int_equal(moved, RACE_TASKS);
    assert_written(suite, RACE_TASKS);
    assert_int_equal(suite_number(suite, "SELECT count(DISTINCT task_id) FROM jobs"), RACE_TASKS);
}

struct switched {
    struct store *store;
    const struct store_task_list *stuck;
    atomic_size_t written;
    atomic_bool over;
    enum err last;
};

static void *heal_until_switched_off(void *arg)
{
    struct switched *switched = arg;
    for (size_t i = 0; i < switched->stuck->n_tasks; i++) {
        struct store_transition transition = suite_transition(&switched->stuck->tasks[i]);
        enum store_moved moved;
        switched->last = store_transition(switched->store, 0, 0, PASS_ID, &transition, 1, &moved, NULL);
        if (switched->last)
            break;
        switched->written++;
    }
    switched->over = true;
    return NULL;
}

SUITE_TEST(nothing_is_written_once_new_settings_are)
{
    for (int64_t id = 1; id <= 400; id++)
        suite_task(suite, id, "development", "o/r", 9000 - id);
    struct store_task_list stuck = suite_stuck(suite);
    struct switched switched = {.store = suite->store, .stuck = &stuck};
    pthread_t thread;
    int64_t revision;
    assert_int_equal(pthread_create(&thread, NULL, heal_until_switched_off, &switched), 0);
    while (switched.written == 0 && !switched.over)
        sched_yield();
    ASSERT_OK(store_settings_write(suite->store, 0, "{}", NULL, 0, &revision, &suite->why));
    int64_t at_return = suite_number(suite, "SELECT count(*) FROM reconcile_ledger");
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_written(suite, at_return);
    if (at_return < 400)
        assert_int_equal(switched.last, ERR_CONFLICT);
}
