/* What is special to SQLite: the file, where it is, and who else has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clients/base/limits.h"
#include "tests/support/clients/store/sqlite_file.h"
#include "tests/support/clients/store/store_suite.h"

/* the journal mode */

static void a_file_that_we_create_uses_wal(void **state)
{
    (void)state;
    store_free(sqlite_file_open_migrated());
    sqlite_file_assert("PRAGMA journal_mode", "wal");
}

static void a_file_that_was_there_keeps_its_journal_mode(void **state)
{
    (void)state;
    sqlite_file_exec("PRAGMA journal_mode = DELETE; CREATE TABLE theirs (x)");
    struct store *store = sqlite_file_open_migrated();
    sqlite_file_seed(1);
    struct store_task_list stuck = sqlite_file_stuck(store);
    struct store_transition transition = suite_transition(&stuck.tasks[0]);
    enum store_moved moved;
    ASSERT_OK(store_transition(store, 0, 0, "p", &transition, 1, &moved, NULL));
    assert_int_equal(moved, STORE_MOVED);
    store_task_list_done(&stuck);
    store_free(store);
    sqlite_file_assert("PRAGMA journal_mode", "delete");
}

static void an_empty_file_is_a_new_one(void **state)
{
    (void)state;
    FILE *file = fopen(sqlite_file_path(), "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    store_free(sqlite_file_open_migrated());
    sqlite_file_assert("PRAGMA journal_mode", "wal");
}

static void only_migrate_creates_the_file(void **state)
{
    (void)state;
    struct store *store = sqlite_file_open();
    struct why why;
    struct store_settings settings;
    int64_t revision;
    ASSERT_ERR(store_ready(store, &why), ERR_UNAVAILABLE);
    suite_assert_words(&why, sqlite_file_path());
    suite_assert_words(&why, "No such file");
    ASSERT_ERR(store_settings_read(store, &settings, &why), ERR_UNAVAILABLE);
    ASSERT_ERR(store_settings_write(store, 0, "{}", NULL, 0, &revision, &why), ERR_UNAVAILABLE);
    assert_int_equal(access(sqlite_file_path(), F_OK), -1);
    ASSERT_OK(store_migrate(store, NULL, &why));
    ASSERT_OK(store_ready(store, &why)); /* the same store finds it without being opened again */
    store_free(store);
}

/* files that are none */

static void urls_that_name_no_file_are_refused(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct why why;
    ASSERT_ERR(store_open("sqlite:", NULL, &store, &why), ERR_INVALID);
    ASSERT_ERR(store_open("sqlite::memory:", NULL, &store, &why), ERR_INVALID);
    assert_null(store);
}

static void a_name_like_a_uri_is_a_name(void **state)
{
    (void)state;
    struct store *store;
    assert_int_equal(chdir(sqlite_file_folder()), 0);
    ASSERT_OK(store_open("sqlite:file:orch.db?mode=memory", NULL, &store, NULL));
    ASSERT_OK(store_migrate(store, NULL, NULL));
    store_free(store);
    assert_int_equal(access("file:orch.db?mode=memory", F_OK), 0);
    assert_int_equal(chdir("/"), 0);
}

static void a_database_without_our_tables_names_what_is_missing(void **state)
{
    (void)state;
    sqlite_file_exec("CREATE TABLE theirs (x)");
    struct store *store = sqlite_file_open();
    struct store_stuck_query query = suite_query();
    struct store_task_list stuck;
    struct why why;
    ASSERT_ERR(store_task_list(store, &query, &stuck, &why), ERR_UNAVAILABLE);
    suite_assert_words(&why, "no such table");
    ASSERT_OK(store_migrate(store, NULL, &why));
    stuck = sqlite_file_stuck(store);
    sqlite_file_exec("DROP TABLE jobs"); /* under a statement that is prepared already */
    struct store_task_list after;
    ASSERT_ERR(store_task_list(store, &query, &after, &why), ERR_UNAVAILABLE);
    suite_assert_words(&why, "no such table: jobs");
    sqlite_file_exec("DROP TABLE tasks");
    enum store_moved moved;
    const struct store_task gone = {.id = 1, .stage = (char[]){"development"}, .version = (char[]){"x"}};
    const struct store_transition transition = suite_transition(&gone);
    ASSERT_ERR(store_transition(store, 0, 0, "p", &transition, 1, &moved, &why), ERR_UNAVAILABLE);
    suite_assert_words(&why, "no such table");
    store_task_list_done(&stuck);
    store_free(store);
}

static void a_missing_folder_is_told_in_words(void **state)
{
    (void)state;
    struct store *store;
    struct why why;
    char *url = mem_printf("sqlite:%s/nowhere/orch.db", sqlite_file_folder());
    ASSERT_OK(store_open(url, NULL, &store, &why));
    ASSERT_ERR(store_migrate(store, NULL, &why), ERR_UNAVAILABLE);
    suite_assert_words(&why, "nowhere/orch.db");
    ASSERT_ERR(store_ready(store, &why), ERR_UNAVAILABLE);
    store_free(store);
    free(url);
}

static void a_folder_is_no_database(void **state)
{
    (void)state;
    struct store *store;
    struct why why;
    char *url = mem_printf("sqlite:%s", sqlite_file_folder());
    ASSERT_OK(store_open(url, NULL, &store, &why));
    ASSERT_ERR(store_migrate(store, NULL, &why), ERR_UNAVAILABLE);
    assert_true(strlen(why.text) > 10);
    store_free(store);
    free(url);
}

static void a_file_that_is_no_database_is_left_alone(void **state)
{
    (void)state;
    static const char text[] =
        "Dear diary, today I was taken for a database by a daemon. I did not like it.\n";
    FILE *file = fopen(sqlite_file_path(), "w");
    assert_non_null(file);
    for (int i = 0; i < 50; i++)
        assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    struct store *store = sqlite_file_open();
    struct why why;
    ASSERT_ERR(store_ready(store, &why), ERR_UNAVAILABLE);
    suite_assert_words(&why, "is not a SQLite database");
    ASSERT_ERR(store_migrate(store, NULL, &why), ERR_UNAVAILABLE);
    suite_assert_words(&why, "is not a SQLite database");
    store_free(store);
    struct stat info;
    assert_int_equal(stat(sqlite_file_path(), &info), 0);
    assert_int_equal(info.st_size, 50 * (sizeof text - 1));
}

static void a_damaged_file_is_told_in_words(void **state)
{
    (void)state;
    sqlite_file_exec("PRAGMA journal_mode = DELETE");
    store_free(sqlite_file_open_migrated());
    sqlite_file_seed(500);
    FILE *file = fopen(sqlite_file_path(), "r+");
    assert_non_null(file);
    char rubbish[4096];
    memset(rubbish, 0xa5, sizeof rubbish);
    for (long page = 1; page < 12; page++) {
        assert_int_equal(fseek(file, page * 4096, SEEK_SET), 0);
        assert_int_equal(fwrite(rubbish, 1, sizeof rubbish, file), sizeof rubbish);
    }
    assert_int_equal(fclose(file), 0);
    struct store *store = sqlite_file_open();
    struct store_stuck_query query = suite_query();
    struct store_task_list stuck;
    struct why why;
    ASSERT_ERR(store_task_list(store, &query, &stuck, &why), ERR_UNAVAILABLE);
    suite_assert_words(&why, "damaged");
    store_free(store);
}

/* the file goes and comes */

static void remove_file(void)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        char *path = mem_printf("%s%s", sqlite_file_path(), suffixes[i]);
        assert_true(unlink(path) == 0 || errno == ENOENT);
        free(path);
    }
}

static void a_file_that_was_deleted_is_missed_and_found_again(void **state)
{
    (void)state;
    struct store *store = sqlite_file_open_migrated();
    struct store_settings settings;
    struct why why;
    int64_t revision;
    ASSERT_OK(store_settings_write(store, 0, "{\"a\":1}", NULL, 0, &revision, &why));
    ASSERT_OK(store_settings_read(store, &settings, &why));
    store_settings_done(&settings);
    remove_file();
    ASSERT_ERR(store_settings_read(store, &settings, &why), ERR_UNAVAILABLE);
    ASSERT_ERR(store_settings_write(store, 1, "{\"b\":1}", NULL, 0, &revision, &why), ERR_UNAVAILABLE);
    assert_int_equal(access(sqlite_file_path(), F_OK), -1);
    struct store *other = sqlite_file_open_migrated(); /* another process makes it again */
    store_free(other);
    ASSERT_OK(store_settings_read(store, &settings, &why));
    assert_int_equal(settings.revision, 0);
    store_settings_done(&settings);
    ASSERT_OK(store_settings_write(store, 0, "{\"c\":1}", NULL, 0, &revision, &why));
    store_free(store);
    sqlite_file_assert("SELECT overrides FROM reconcile_settings", "{\"c\":1}");
}

static void a_file_that_was_replaced_is_opened_anew(void **state)
{
    (void)state;
    struct store *store = sqlite_file_open_migrated();
    sqlite_file_seed(3);
    struct store_task_list stuck = sqlite_file_stuck(store);
    assert_int_equal(stuck.count, 3);
    store_task_list_done(&stuck);
    char *copy = mem_printf("%s/copy.db", sqlite_file_folder());
    char *sql = mem_printf("VACUUM INTO '%s'", copy);
    sqlite_file_exec("DELETE FROM tasks WHERE id = 2");
    sqlite_file_exec(sql);
    remove_file();
    assert_int_equal(rename(copy, sqlite_file_path()), 0);
    stuck = sqlite_file_stuck(store);
    ASSERT_LISTED(&stuck, 1, 3);
    store_task_list_done(&stuck);
    store_free(store);
    sqlite_file_assert("SELECT count(*) FROM tasks", "2");
    free(sql);
    free(copy);
}

/* Runs `body` as a user without rights: the tests may run as root, whom no mode stops. */
static void as_nobody(void (*body)(void))
{
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(99);
        body();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* No assertions in the child: their longjmp would run the parent's tests there. */
static void read_but_not_write(void)
{
    struct store *store;
    struct store_settings settings;
    struct why why = {""};
    int64_t revision;
    if (store_open(sqlite_file_url(), NULL, &store, NULL))
        _exit(1);
    if (store_settings_read(store, &settings, &why))
        _exit(2);
    store_settings_done(&settings);
    if (store_settings_write(store, 0, "{}", NULL, 0, &revision, &why) != ERR_UNAVAILABLE)
        _exit(3);
    if (!strstr(why.text, "may only be read"))
        _exit(4);
    if (store_migrate(store, NULL, &why) != ERR_OK) /* complete already: nothing to write */
        _exit(5);
    if (store_ready(store, &why) != ERR_UNAVAILABLE || !strstr(why.text, "may only be read"))
        _exit(6);
    store_free(store);
}

static void open_nothing(void)
{
    struct store *store;
    struct store_settings settings;
    struct why why = {""};
    if (store_open(sqlite_file_url(), NULL, &store, NULL))
        _exit(1);
    if (store_settings_read(store, &settings, &why) != ERR_UNAVAILABLE)
        _exit(2);
    if (!strstr(why.text, "cannot be opened"))
        _exit(3);
    store_free(store);
}

static void a_file_that_may_only_be_read_is_read(void **state)
{
    (void)state;
    sqlite_file_exec("PRAGMA journal_mode = DELETE");
    sqlite_file_exec("CREATE TABLE theirs (x)");
    store_free(sqlite_file_open_migrated());
    assert_int_equal(chmod(sqlite_file_path(), 0444), 0);
    assert_int_equal(chmod(sqlite_file_folder(), 0555), 0);
    as_nobody(read_but_not_write);
    assert_int_equal(chmod(sqlite_file_path(), 0), 0);
    as_nobody(open_nothing);
    assert_int_equal(chmod(sqlite_file_folder(), 0755), 0);
}

static void a_write_that_finds_no_room_fails_and_loses_nothing(void **state)
{
    (void)state;
    struct store *store = sqlite_file_open_migrated();
    char *report = mem_zero(200001, 1), *back = NULL;
    struct uuid_text id = uuid_new();
    struct why why;
    struct rlimit before, small;
    memset(report, 'r', 200000);
    ASSERT_OK(store_pass_save(store, id.s, 1, "{}", NULL));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 100000; /* of any file: the nearest thing to a full disk */
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum err err = store_pass_save(store, id.s, 1, report, &why);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    ASSERT_ERR(err, ERR_UNAVAILABLE);
    suite_assert_words(&why, sqlite_file_path());
    ASSERT_OK(store_pass_get(store, id.s, &back, NULL));
    assert_string_equal(back, "{}");
    free(back);
    ASSERT_OK(store_pass_save(store, id.s, 1, report, NULL));
    ASSERT_OK(store_pass_get(store, id.s, &back, NULL));
    assert_string_equal(back, report);
    free(back);
    free(report);
    store_free(store);
    sqlite_file_assert("PRAGMA integrity_check", "ok");
}

/* another connection has it */

static void a_file_locked_for_too_long_is_a_timeout_with_words(void **state)
{
    (void)state;
    struct store *store = sqlite_file_open_migrated();
    sqlite_file_seed(1);
    struct store_task_list stuck = sqlite_file_stuck(store);
    struct store_transition transition = suite_transition(&stuck.tasks[0]);
    enum store_moved moved;
    struct why why;
    sqlite3 *other = sqlite_file_lock("BEGIN IMMEDIATE");
    ASSERT_ERR(store_transition(store, 0, 0, "p", &transition, 1, &moved, &why), ERR_TIMEOUT);
    suite_assert_words(&why, "locked");
    struct store_task_list meanwhile = sqlite_file_stuck(store); /* readers go on: it is in WAL mode */
    assert_int_equal(meanwhile.count, 1);
    store_task_list_done(&meanwhile);
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    ASSERT_OK(store_transition(store, 0, 0, "p", &transition, 1, &moved, &why));
    assert_int_equal(moved, STORE_MOVED);
    sqlite3_close(other);
    store_task_list_done(&stuck);
    store_free(store);
}

static void a_complete_file_is_migrated_without_waiting_for_its_lock(void **state)
{
    (void)state;
    struct store *store = sqlite_file_open_migrated();
    size_t created = 9;
    sqlite3 *other = sqlite_file_lock("BEGIN IMMEDIATE");
    ASSERT_OK(store_migrate(store, &created, NULL));
    assert_int_equal(created, 0);
    sqlite3_close(other);
    store_free(store);
}

static void a_reader_waits_for_an_exclusive_lock_no_longer_than_it_may(void **state)
{
    (void)state;
    sqlite_file_exec("PRAGMA journal_mode = DELETE; CREATE TABLE theirs (x)");
    struct store *store = sqlite_file_open_migrated();
    struct store_settings settings;
    struct why why;
    sqlite3 *other = sqlite_file_lock("BEGIN EXCLUSIVE");
    ASSERT_ERR(store_settings_read(store, &settings, &why), ERR_TIMEOUT);
    suite_assert_words(&why, "locked");
    sqlite3_close(other);
    ASSERT_OK(store_settings_read(store, &settings, &why));
    store_settings_done(&settings);
    store_free(store);
}

struct waiter {
    struct store *store;
    atomic_bool over;
    enum err err;
    struct why why;
};

static void *wait_for_the_lock(void *arg)
{
    struct waiter *waiter = arg;
    int64_t revision;
    /* Again and again: each gives up by itself after a while, but only the interrupt ends them all. */
    do
        waiter->err = store_settings_write(waiter->store, 0, "{}", NULL, 0, &revision, &waiter->why);
    while (waiter->err == ERR_TIMEOUT && !strstr(waiter->why.text, "stopping"));
    waiter->over = true;
    return NULL;
}

static void an_interrupt_ends_the_wait_for_a_lock(void **state)
{
    (void)state;
    struct store *store = sqlite_file_open_migrated();
    sqlite3 *other = sqlite_file_lock("BEGIN IMMEDIATE");
    struct waiter waiters[2] = {{.store = store},
                                {.store = store}}; /* one at the file, one at the connection */
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for_the_lock, &waiters[i]), 0);
    store_interrupt(store);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(waiters[i].err, ERR_TIMEOUT);
        suite_assert_words(&waiters[i].why, "stopping");
    }
    sqlite3_close(other);
    store_free(store);
}

static void a_statement_that_takes_too_long_is_ended(void **state)
{
    (void)state;
    /* A view in the place of the table whose every row takes for ever. */
    sqlite_file_exec(
        "CREATE TABLE jobs (id INTEGER PRIMARY KEY, task_id, agent, status, created_at, updated_at);"
        "CREATE VIEW tasks AS WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c)"
        " SELECT i AS id, '' AS plane_id, '' AS work_item_id, '' AS title, '' AS repo, '' AS branch,"
        " 'done' AS stage, '' AS created_at, '' AS updated_at FROM c");
    struct store *store = sqlite_file_open_migrated();
    struct store_stuck_query query = suite_query();
    struct store_task_list stuck;
    struct why why;
    ASSERT_OK(store_ready(store, &why));
    ASSERT_ERR(store_task_list(store, &query, &stuck, &why), ERR_TIMEOUT);
    suite_assert_words(&why, "took longer");
    store_free(store);
}

struct reader {
    struct store *store;
    size_t failed;
};

static void *read_often(void *arg)
{
    struct reader *reader = arg;
    for (int i = 0; i < 50; i++) {
        struct store_settings settings;
        if (store_settings_read(reader->store, &settings, NULL))
            reader->failed++;
        else
            store_settings_done(&settings);
    }
    return NULL;
}

static void more_readers_than_connections_take_turns(void **state)
{
    (void)state;
    struct store *store = sqlite_file_open_migrated();
    struct reader readers[3 * LIMIT_DB_CONNECTIONS];
    pthread_t threads[ARRAY_LEN(readers)];
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        readers[i] = (struct reader){.store = store};
        assert_int_equal(pthread_create(&threads[i], NULL, read_often, &readers[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(readers[i].failed, 0);
    }
    store_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SQLITE_FILE_TEST(a_file_that_we_create_uses_wal),
        SQLITE_FILE_TEST(a_file_that_was_there_keeps_its_journal_mode),
        SQLITE_FILE_TEST(an_empty_file_is_a_new_one),
        SQLITE_FILE_TEST(only_migrate_creates_the_file),
        SQLITE_FILE_TEST(urls_that_name_no_file_are_refused),
        SQLITE_FILE_TEST(a_name_like_a_uri_is_a_name),
        SQLITE_FILE_TEST(a_database_without_our_tables_names_what_is_missing),
        SQLITE_FILE_TEST(a_missing_folder_is_told_in_words),
        SQLITE_FILE_TEST(a_folder_is_no_database),
        SQLITE_FILE_TEST(a_file_that_is_no_database_is_left_alone),
        SQLITE_FILE_TEST(a_damaged_file_is_told_in_words),
        SQLITE_FILE_TEST(a_file_that_was_deleted_is_missed_and_found_again),
        SQLITE_FILE_TEST(a_file_that_was_replaced_is_opened_anew),
        SQLITE_FILE_TEST(a_file_that_may_only_be_read_is_read),
        SQLITE_FILE_TEST(a_write_that_finds_no_room_fails_and_loses_nothing),
        SQLITE_FILE_TEST(a_file_locked_for_too_long_is_a_timeout_with_words),
        SQLITE_FILE_TEST(a_complete_file_is_migrated_without_waiting_for_its_lock),
        SQLITE_FILE_TEST(a_reader_waits_for_an_exclusive_lock_no_longer_than_it_may),
        SQLITE_FILE_TEST(an_interrupt_ends_the_wait_for_a_lock),
        SQLITE_FILE_TEST(a_statement_that_takes_too_long_is_ended),
        SQLITE_FILE_TEST(more_readers_than_connections_take_turns),
    };
    return cmocka_run_group_tests_name("SQLite: the file", tests, NULL, NULL);
}
