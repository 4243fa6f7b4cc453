/* The notifier on both databases and the sandbox's Telegram: what is sent, how often, and what stays.
 * "test_notifier sqlite" runs it on one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <curl/curl.h>
#include <libpq-fe.h>

#include "clients/base/clock.h"
#include "clients/base/jsonx.h"
#include "clients/base/log.h"
#include "clients/base/text.h"
#include "clients/http/fetch.h"
#include "clients/gitea/gitea.h"
#include "clients/plane/plane.h"
#include "clients/store/store.h"
#include "clients/telegram.h"
#include "reconcile/notify/notifier.h"
#include "reconcile/settings/settings.h"
#include "reconcile/sweep/status.h"
#include "tests/support/clients/store/pg_server.h"
#include "tests/support/sandbox_run.h"
#include "tests/support/clients/store/sqlite_file.h"
#include "tests/support/clients/http/names.h"

#define DATABASE "notifier"
enum { PATIENCE_MS = 30000 };

/* a process: what it needs to send messages */

struct process {
    struct store *store;
    struct fetch *fetch;
    struct gitea *gitea; /* these two for the status alone */
    struct plane *plane;
    struct telegram *telegram;
    struct status *status;
    json_t *shown; /* the newest document of the status */
    struct notifier *notifier;
    struct services services;
};

static struct {
    const char *kind; /* of the database */
    struct settings *settings;
    struct sandbox_run *sandbox;
    struct process first, second;
} scene;

static char *sandbox_telegram;

static const char *environment_value(const char *name)
{
    if (strcmp(name, "ORCH_TELEGRAM_BOT_TOKEN") == 0)
        return "123456:AAF";
    if (strcmp(name, "ORCH_TELEGRAM_CHAT_ID") == 0)
        return "42";
    if (strcmp(name, "ORCH_TELEGRAM_URL") == 0)
        return sandbox_telegram;
    return NULL;
}

static bool on_sqlite(void)
{
    return strcmp(scene.kind, "sqlite") == 0;
}

static struct store *open_store(void)
{
    struct store *store = NULL;
    struct why why;
    AUTO_FREE char *url = on_sqlite() ? mem_dup(sqlite_file_url()) : pg_server_url(DATABASE);
    assert_int_equal(store_open(url, NULL, &store, &why), ERR_OK);
    assert_int_equal(store_migrate(store, NULL, &why), ERR_OK);
    return store;
}

static void note_outbox(void *status, size_t depth, int64_t oldest_age_s)
{
    status_outbox(status, depth, oldest_age_s);
}

static void keep_status(void *arg, const json_t *document)
{
    struct process *process = arg;
    json_decref(process->shown);
    process->shown = json_deep_copy(document);
}

static void process_begin(struct process *process)
{
    const struct fetch_options options = {.timeout_ms = PATIENCE_MS, .per_host = 4};
    memset(process, 0, sizeof *process);
    process->store = open_store();
    assert_int_equal(fetch_new(&options, &process->fetch, NULL), ERR_OK);
    assert_int_equal(telegram_new(scene.settings->telegram_url, scene.settings->telegram_bot_token,
                                  scene.settings->telegram_chat_id, 0, &test_names, &process->telegram, NULL),
                     ERR_OK);
    process->services = (struct services){.settings = scene.settings,
                                          .clock = &clock_system,
                                          .store = process->store,
                                          .fetch = process->fetch,
                                          .telegram = process->telegram};
    assert_int_equal(gitea_new(NULL, NULL, &test_names, &process->gitea, NULL), ERR_OK);
    assert_int_equal(plane_new(NULL, NULL, NULL, &test_names, &process->plane, NULL), ERR_OK);
    process->services.gitea = process->gitea;
    process->services.plane = process->plane;
    process->status = status_new(&process->services, keep_status, process);
    process->notifier = notifier_new(&process->services, note_outbox, process->status);
}

static void process_start(struct process *process)
{
    struct why why;
    assert_int_equal(notifier_start(process->notifier, &why), ERR_OK);
    notifier_wake(process->notifier);
}

static void process_end(struct process *process)
{
    notifier_stop(process->notifier);
    notifier_free(process->notifier);
    status_free(process->status);
    json_decref(process->shown);
    telegram_free(process->telegram);
    plane_free(process->plane);
    gitea_free(process->gitea);
    fetch_free(process->fetch);
    store_free(process->store);
    *process = (struct process){0};
}

static int open_scene(void **state)
{
    (void)state;
    static const char *const environment[] = {NULL};
    json_auto_t *problems = json_array();
    scene.sandbox = sandbox_start();
    sandbox_telegram = mem_printf("%s/telegram", sandbox_url(scene.sandbox));
    assert_int_equal(settings_read(environment_value, environment, &scene.settings, problems), ERR_OK);
    if (on_sqlite())
        sqlite_file_make();
    else
        pg_server_database(DATABASE);
    process_begin(&scene.first);
    return 0;
}

static int close_scene(void **state)
{
    (void)state;
    process_end(&scene.first);
    if (scene.second.store)
        process_end(&scene.second);
    if (on_sqlite())
        sqlite_file_remove();
    settings_free(scene.settings);
    sandbox_stop(scene.sandbox);
    free(sandbox_telegram);
    return 0;
}

/* what is written, and what arrives */

static void write_message(const char *text)
{
    struct uuid_text id = uuid_new();
    struct why why;
    assert_int_equal(store_outbox_add(scene.first.store, id.s, text, NULL, &why), ERR_OK);
}

static void write_messages(unsigned n)
{
    for (unsigned i = 1; i <= n; i++) {
        AUTO_FREE char *text = mem_printf("message %u", i);
        write_message(text);
    }
}

static size_t waiting(void)
{
    struct store_outbox outbox;
    struct why why;
    assert_int_equal(store_outbox_list(scene.first.store, STORE_TO_TELEGRAM, 1, &outbox, &why), ERR_OK);
    size_t depth = outbox.depth;
    store_outbox_done(&outbox);
    return depth;
}

/* Every message that Telegram has, once there are at least n of them; caller frees. */
static json_t *messages_from(size_t n)
{
    AUTO_FREE char *path = mem_printf("telegram?until_messages=%zu", n);
    json_t *seen = sandbox_told(scene.sandbox, "GET", path, NULL);
    json_t *messages = json_incref(json_object_get(seen, "messages"));
    json_decref(seen);
    assert_true(json_array_size(messages) >= n);
    return messages;
}

static json_t *told(size_t n)
{
    json_t *messages = messages_from(n);
    assert_int_equal(json_array_size(messages), n);
    return messages;
}

static void assert_told(size_t n, const char *last)
{
    json_auto_t *messages = told(n);
    assert_string_equal(json_get_text(json_array_get(messages, n - 1), "text", ""), last);
}

static void assert_nothing_told(void)
{
    json_auto_t *messages = told(0);
    (void)messages;
}

static bool lease_is_free(void)
{
    bool held = false;
    struct why why;
    assert_int_equal(store_lease_take(scene.first.store, "notifier", "another", 30, &held, &why), ERR_OK);
    if (held)
        assert_int_equal(store_lease_drop(scene.first.store, "notifier", "another", &why), ERR_OK);
    return held;
}

static void drain(struct process *process)
{
    notifier_drain(process->notifier, clock_mono_ms() + PATIENCE_MS);
}

/* tests */

static void what_waits_is_told_in_its_order_and_once(void **state)
{
    (void)state;
    write_messages(3);
    drain(&scene.first);
    assert_told(3, "message 3");
    assert_int_equal(waiting(), 0);
    assert_true(lease_is_free());
    drain(&scene.first);
    assert_told(3, "message 3");
}

static void many_at_once_become_one(void **state)
{
    (void)state;
    write_messages(60);
    drain(&scene.first);
    assert_told(1, "🔧 reconciler: 60 tasks unblocked (lost webhooks)\n• message 1\n• message 2\n• message "
                   "3\n• message 4\n"
                   "• message 5\n… and 55 more");
    assert_int_equal(waiting(), 0);
}

static void a_pause_that_telegram_asks_for_is_kept(void **state)
{
    (void)state;
    sandbox_tell(scene.sandbox, "telegram", "{'refuse':1,'retry_after':2}");
    write_messages(1);
    drain(&scene.first);
    assert_told(1, "message 1");
    json_auto_t *seen = sandbox_told(scene.sandbox, "GET", "telegram", NULL);
    assert_int_equal(json_get_int(seen, "refused", -1), 1);
    assert_int_equal(json_get_int(seen, "refused_early", -1), 0);
}

static void *drain_in_thread(void *arg)
{
    drain(arg);
    return NULL;
}

static void a_stop_ends_a_drain_that_waits(void **state)
{
    (void)state;
    pthread_t thread;
    sandbox_tell(scene.sandbox, "telegram", "{'refuse':1,'retry_after':15}");
    write_messages(1);
    assert_int_equal(pthread_create(&thread, NULL, drain_in_thread, &scene.first), 0);
    for (json_int_t refused = 0; refused == 0;) {
        json_auto_t *seen = sandbox_told(scene.sandbox, "GET", "telegram", NULL);
        refused = json_get_int(seen, "refused", 0);
    }
    int64_t begun_ms = clock_mono_ms();
    services_stop(&scene.first.services);
    notifier_wake(scene.first.notifier);
    pthread_join(thread, NULL);
    assert_in_range(clock_mono_ms() - begun_ms, 0, 5000);
    assert_nothing_told();
    assert_int_equal(waiting(), 1);
    assert_true(lease_is_free());
}

static void nobody_sends_without_the_lease(void **state)
{
    (void)state;
    bool held = false;
    struct why why;
    assert_int_equal(store_lease_take(scene.first.store, "notifier", "another", 300, &held, &why), ERR_OK);
    assert_true(held);
    write_messages(1);
    drain(&scene.first);
    assert_nothing_told();
    assert_int_equal(waiting(), 1);
    assert_int_equal(store_lease_drop(scene.first.store, "notifier", "another", &why), ERR_OK);
    drain(&scene.first);
    assert_told(1, "message 1");
}

static void a_failure_leaves_the_message_and_gives_the_lease_back(void **state)
{
    (void)state;
    sandbox_tell(scene.sandbox, "faults", "{'path':'/telegram','kind':'status','status':502,'body':''}");
    write_messages(1);
    drain(&scene.first);
    assert_nothing_told();
    assert_int_equal(waiting(), 1);
    assert_true(lease_is_free());
    const json_t *seen = json_object_get(json_object_get(scene.first.shown, "upstreams"), "telegram");
    assert_false(json_get_bool(seen, "ok", true));
    assert_int_equal(json_get_int(json_object_get(scene.first.shown, "outbox"), "depth", -1), 1);
    json_decref(sandbox_told(scene.sandbox, "DELETE", "faults", NULL));
    process_begin(&scene.second); /* the first is still in its pause */
    drain(&scene.second);
    assert_told(1, "message 1");
}

static void a_text_that_telegram_will_not_show_holds_up_nobody(void **state)
{
    (void)state;
    write_message("<b>broken");
    write_message("whole");
    drain(&scene.first);
    json_auto_t *messages = told(2);
    assert_non_null(
        strstr(json_get_text(json_array_get(messages, 0), "text", ""), "1 message that Telegram"));
    assert_string_equal(json_get_text(json_array_get(messages, 1), "text", ""), "whole");
    assert_int_equal(waiting(), 0);
}

static void the_thread_goes_on_after_a_first_text_that_telegram_will_not_show(void **state)
{
    (void)state;
    write_message("<b>broken");
    process_start(&scene.first);
    json_decref(told(1));
}

/* How many messages a text of Telegram's stands for. */
static int64_t told_of(const char *text)
{
    static const char digest[] = "🔧 reconciler: ";
    char number[24] = "";
    int64_t n = 1;
    if (strncmp(text, digest, sizeof digest - 1) == 0) {
        snprintf(number, sizeof number, "%.*s", (int)strspn(text + sizeof digest - 1, "0123456789"),
                 text + sizeof digest - 1);
        assert_true(parse_i64(number, 1, 1000, &n));
    }
    return n;
}

static void two_processes_tell_each_message_once(void **state)
{
    (void)state;
    process_begin(&scene.second);
    process_start(&scene.first);
    process_start(&scene.second);
    for (unsigned i = 0; i < 40; i++) {
        write_messages(1);
        notifier_wake(i % 2 ? scene.first.notifier : scene.second.notifier);
    }
    int64_t n = 0;
    for (size_t k = 1; n < 40; k++) {
        json_auto_t *messages = messages_from(k);
        n = 0;
        for (size_t i = 0; i < json_array_size(messages); i++)
            n += told_of(json_get_text(json_array_get(messages, i), "text", ""));
    }
    assert_int_equal(n, 40);
    notifier_stop(scene.first.notifier);
    process_end(&scene.second);
    assert_int_equal(waiting(), 0);
}

static void await_value(const char *sql, const char *expected)
{
    for (bool same = false; !same;) {
        AUTO_FREE char *value = pg_server_value(DATABASE, sql);
        same = value && strcmp(value, expected) == 0;
    }
}

static void run_on_postgresql(PGconn *connection, const char *sql)
{
    PGresult *result = PQexec(connection, sql);
    assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
}

static void what_another_told_before_the_lease_was_ours_is_not_told_again(void **state)
{
    (void)state;
    if (on_sqlite())
        return; /* where no session can be held up between two statements */
    write_messages(1);
    AUTO_FREE char *url = pg_server_url(DATABASE);
    PGconn *other = PQconnectdb(url);
    run_on_postgresql(other, "BEGIN");
    run_on_postgresql(other, "LOCK TABLE reconcile_leases");
    process_start(&scene.first); /* has seen the message, and waits for the lease */
    await_value("SELECT count(*) FROM pg_locks WHERE NOT granted", "1");
    run_on_postgresql(other, "UPDATE reconcile_outbox SET sent_at = now()");
    run_on_postgresql(other, "COMMIT");
    PQfinish(other);
    write_message("the next");
    notifier_wake(scene.first.notifier);
    assert_told(1, "the next");
}

static void a_stop_ends_a_call_and_leaves_its_message(void **state)
{
    (void)state;
    sandbox_tell(scene.sandbox, "faults", "{'path':'/telegram','kind':'hang'}");
    write_messages(1);
    process_start(&scene.first);
    json_decref(sandbox_told(scene.sandbox, "GET", "requests?until_hanging=1", NULL));
    notifier_stop(scene.first.notifier);
    assert_int_equal(waiting(), 1);
    assert_true(lease_is_free());
}

/* Reads the log until a line has those words in it. */
static void await_line(FILE *log, const char *error)
{
    char line[1024];
    while (fgets(line, sizeof line, log))
        if (strstr(line, error))
            return;
    fail_msg("no line has: %s", error);
}

static void what_was_sent_and_not_marked_is_marked_before_anything_else(void **state)
{
    (void)state;
    if (!on_sqlite())
        return; /* its lock is the simplest way to refuse one write */
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    FILE *log = fdopen(ends[0], "r");
    log_set_fd(ends[1]);
    log_set_level(LOG_LEVEL_DEBUG);
    sandbox_tell(scene.sandbox, "faults", "{'path':'/telegram','kind':'hang','count':1}");
    write_messages(1);
    process_start(&scene.first);
    json_decref(sandbox_told(scene.sandbox, "GET", "requests?until_hanging=1", NULL));
    sqlite3 *lock = sqlite_file_lock("BEGIN IMMEDIATE");
    json_decref(sandbox_told(scene.sandbox, "DELETE", "faults", NULL));
    assert_told(1, "message 1");
    await_line(log, "the outbox cannot be asked");
    sqlite3_close(lock);
    await_line(log, "the outbox answers again");
    log_set_level(LOG_LEVEL_ERROR);
    log_set_fd(STDERR_FILENO);
    assert_int_equal(waiting(), 0);
    write_message("the next");
    notifier_wake(scene.first.notifier);
    assert_told(2, "the next");
    fclose(log);
    close(ends[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_scene, close_scene)

static int run_on(const char *kind)
{
    const struct CMUnitTest tests[] = {
        TEST(what_waits_is_told_in_its_order_and_once),
        TEST(many_at_once_become_one),
        TEST(a_pause_that_telegram_asks_for_is_kept),
        TEST(a_stop_ends_a_drain_that_waits),
        TEST(nobody_sends_without_the_lease),
        TEST(a_failure_leaves_the_message_and_gives_the_lease_back),
        TEST(a_text_that_telegram_will_not_show_holds_up_nobody),
        TEST(the_thread_goes_on_after_a_first_text_that_telegram_will_not_show),
        TEST(two_processes_tell_each_message_once),
        TEST(what_another_told_before_the_lease_was_ours_is_not_told_again),
        TEST(a_stop_ends_a_call_and_leaves_its_message),
        TEST(what_was_sent_and_not_marked_is_marked_before_anything_else),
    };
    scene.kind = kind;
    printf("on %s\n", kind);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    static const char *const proxies[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                          "ALL_PROXY"};
    const char *only = argc > 1 ? argv[1] : "";
    int failed = 0;
    for (size_t i = 0; i < ARRAY_LEN(proxies); i++)
        unsetenv(proxies[i]);
    log_set_level(LOG_LEVEL_ERROR);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (strcmp(only, "postgresql") != 0)
        failed += run_on("sqlite");
    if (strcmp(only, "sqlite") != 0)
        failed += run_on("postgresql");
    curl_global_cleanup();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
