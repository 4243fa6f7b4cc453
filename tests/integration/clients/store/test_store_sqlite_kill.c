/* A process that is killed in the middle of its transactions, again and again, on SQLite. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/clients/store/sqlite_file.h"
#include "tests/support/clients/store/store_suite.h"

/* A disk that is busy with others may use up a statement's time: that loses nothing either. */
static bool is_broken(enum err err)
{
    return err && err != ERR_TIMEOUT;
}

/* The child heals in batches for as long as it lives, and prints a line before and after each. */
static void heal_for_ever(int out)
{
    struct store *store;
    if (store_open(sqlite_file_url(), NULL, &store, NULL))
        _exit(1);
    for (;;) {
        struct store_stuck_query query = suite_query();
        struct store_task_list stuck;
        query.limit = 7;
        enum err err = store_task_list(store, &query, &stuck, NULL);
        if (err == ERR_TIMEOUT)
            continue;
        if (err)
            _exit(2);
        if (stuck.n_tasks == 0)
            _exit(3);
        struct store_transition batch[7];
        enum store_moved moved[7];
        for (size_t i = 0; i < stuck.n_tasks; i++)
            batch[i] = suite_transition(&stuck.tasks[i]);
        if (write(out, "<", 1) != 1 ||
            is_broken(store_transition(store, 0, 0, "p", batch, stuck.n_tasks, moved, NULL)) ||
            write(out, ">", 1) != 1)
            _exit(4);
        store_task_list_done(&stuck);
    }
}

enum { NEW_TASKS = 7 };

/* One batch of new tasks, all with the same title, then their start: each replays a verdict of its own. */
static enum err start_some(struct store *store)
{
    struct uuid_text mark = uuid_new(), ids[NEW_TASKS], verdicts[NEW_TASKS];
    const char *plane_ids[NEW_TASKS];
    struct store_new_task tasks[NEW_TASKS];
    enum store_creation created[NEW_TASKS];
    for (size_t i = 0; i < NEW_TASKS; i++) {
        ids[i] = uuid_new();
        verdicts[i] = uuid_new();
        plane_ids[i] = ids[i].s;
        tasks[i] = (struct store_new_task){
            .plane_id = ids[i].s, .title = mark.s, .repo = "o/r", .branch = ids[i].s, .stage = "created"};
    }
    enum err err = store_create_tasks(store, 0, 0, tasks, NEW_TASKS, created, NULL);
    struct store_task_list fresh;
    if (err || (err = store_unstarted(store, "created", 3600, plane_ids, NEW_TASKS, 7, &fresh, NULL)))
        return err;
    struct store_transition batch[NEW_TASKS];
    enum store_moved moved[NEW_TASKS];
    for (size_t i = 0; i < fresh.n_tasks; i++) {
        batch[i] = suite_transition(&fresh.tasks[i]);
        batch[i].verdict_id = verdicts[i].s;
        batch[i].message = "started";
    }
    err = fresh.n_tasks == NEW_TASKS ? store_transition(store, 0, 0, "p", batch, NEW_TASKS, moved, NULL)
                                     : ERR_INTERNAL;
    store_task_list_done(&fresh);
    return err;
}

static void start_for_ever(int out)
{
    struct store *store;
    if (store_open(sqlite_file_url(), NULL, &store, NULL))
        _exit(1);
    for (;;)
        if (write(out, "<", 1) != 1 || is_broken(start_some(store)) || write(out, ">", 1) != 1)
            _exit(4);
}

/* Kills the child right after its n-th word: with an odd n it is in the middle of a batch. */
static void kill_after(void (*child_run)(int out), int error)
{
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(pipes[0]);
        child_run(pipes[1]);
    }
    close(pipes[1]);
    char byte;
    for (int i = 0; i < error; i++)
        assert_int_equal(read(pipes[0], &byte, 1), 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    close(pipes[0]);
}

static void assert_all_agree(void)
{
    sqlite_file_assert("PRAGMA integrity_check", "ok");
    sqlite_file_assert(
        "SELECT count(*) FROM tasks t WHERE (t.stage = 'review') <> ((SELECT count(*) FROM jobs j"
        " WHERE j.task_id = t.id AND j.status IN ('queued', 'running')) = 1)",
        "0");
    sqlite_file_assert("SELECT count(*) FROM tasks t WHERE (t.stage = 'review') <> ((SELECT count(*) FROM"
                       " reconcile_ledger l WHERE l.task_id = t.id) = 1)",
                       "0");
    sqlite_file_assert("SELECT (SELECT count(*) FROM jobs) = (SELECT count(DISTINCT task_id) FROM jobs)",
                       "1");
    sqlite_file_assert("SELECT (SELECT count(*) FROM jobs) = (SELECT count(*) FROM reconcile_ledger)", "1");
}

static void kill_again_and_again(void)
{
    store_free(sqlite_file_open_migrated());
    sqlite_file_seed(800);
    for (int error = 1; error <= 20; error++) {
        kill_after(heal_for_ever, error);
        assert_all_agree();
    }
    struct store *store = sqlite_file_open(); /* and what is left can be healed */
    struct store_task_list stuck = sqlite_file_stuck(store);
    assert_true(stuck.count > 0 && stuck.count < 800);
    struct store_transition transition = suite_transition(&stuck.tasks[0]);
    enum store_moved moved;
    ASSERT_OK(store_transition(store, 0, 0, "p", &transition, 1, &moved, NULL));
    assert_int_equal(moved, STORE_MOVED);
    store_task_list_done(&stuck);
    store_free(store);
    assert_all_agree();
}

static void a_kill_in_the_middle_loses_nothing_and_doubles_nothing(void **state)
{
    (void)state;
    kill_again_and_again();
}

static void a_kill_loses_nothing_without_wal_either(void **state)
{
    (void)state;
    sqlite_file_exec("PRAGMA journal_mode = DELETE; CREATE TABLE theirs (x)");
    kill_again_and_again();
}

static void a_kill_leaves_no_half_start(void **state)
{
    (void)state;
    store_free(sqlite_file_open_migrated());
    for (int error = 1; error <= 20; error++) {
        kill_after(start_for_ever, error);
        assert_all_agree();
        sqlite_file_assert("SELECT count(*) FROM (SELECT 1 FROM tasks GROUP BY title HAVING count(*) <> 7)",
                           "0");
        sqlite_file_assert("SELECT count(*) FROM tasks t WHERE (t.stage = 'review') <> ((SELECT count(*) FROM"
                           " reconcile_verdicts v WHERE v.task_id = t.id) = 1)",
                           "0");
        sqlite_file_assert("SELECT count(*) FROM reconcile_ledger l FULL JOIN reconcile_outbox o USING (id)"
                           " WHERE l.id IS NULL OR o.id IS NULL",
                           "0");
    }
    sqlite_file_assert("SELECT count(*) > 0 FROM reconcile_verdicts", "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SQLITE_FILE_TEST(a_kill_in_the_middle_loses_nothing_and_doubles_nothing),
        SQLITE_FILE_TEST(a_kill_loses_nothing_without_wal_either),
        SQLITE_FILE_TEST(a_kill_leaves_no_half_start),
    };
    return cmocka_run_group_tests_name("SQLite: kill -9", tests, NULL, NULL);
}
