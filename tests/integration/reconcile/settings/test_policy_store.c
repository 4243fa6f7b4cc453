/* The policy on a real store: overrides survive, two who change at once lose nothing, and a change that has
 * returned stops every transition decided before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "reconcile/settings/policy.h"
#include "tests/support/clients/store/sqlite_file.h"
#include "tests/support/clients/store/store_suite.h"

static const char *nothing_set(const char *name)
{
    (void)name;
    return NULL;
}

static struct settings *settings;
static struct pipeline *pipeline;

static int start(void **state)
{
    (void)state;
    json_auto_t *problems = json_array();
    return settings_read(nothing_set, NULL, &settings, problems) == ERR_OK &&
                   pipeline_load_file(NULL, &pipeline, problems) == ERR_OK
               ? 0
               : -1;
}

static int stop(void **state)
{
    (void)state;
    settings_free(settings);
    pipeline_free(pipeline);
    return 0;
}

/* A PUT of `body`; the revision it made. */
static int64_t change(struct store *store, const char *body_text)
{
    json_t *body = NULL, *document = NULL, *errors = NULL;
    struct why why = {""};
    assert_int_equal(json_read(body_text, strlen(body_text), &body, NULL), ERR_OK);
    enum err err = policy_change(store, settings, pipeline, body, -1, NULL, &document, &errors, &why);
    if (err != ERR_OK)
        fail_msg("%s: %s", body_text, why.text);
    int64_t revision = json_get_int(document, "revision", -1);
    json_decref(body);
    json_decref(document);
    return revision;
}

static struct policy *policy_of(struct store *store)
{
    struct policy *policy = NULL;
    ASSERT_OK(policy_read(store, settings, &policy, NULL));
    return policy;
}

static void override_survives_a_restart(void **state)
{
    (void)state;
    struct store *store = sqlite_file_open_migrated();
    assert_int_equal(change(store, "{\"enabled\":false,\"by\":\"ann\",\"reason\":\"deploy\"}"), 1);
    store_free(store);

    store = sqlite_file_open();
    struct policy *policy = policy_of(store);
    assert_int_equal(policy->revision, 1);
    assert_false(policy->enabled);
    assert_string_equal(policy->enabled_hold.text, "switched off by ann: deploy");
    policy_free(policy);
    assert_int_equal(change(store, "{\"enabled\":null}"), 2);
    policy = policy_of(store);
    assert_true(policy->enabled);
    policy_free(policy);
    store_free(store);
}

static void until_is_judged_by_the_databases_clock(void **state)
{
    (void)state;
    struct store *store = sqlite_file_open_migrated();
    struct store_settings stored;
    ASSERT_OK(store_settings_read(store, &stored, NULL));
    int64_t now_us = stored.now_us, revision;
    store_settings_done(&stored);

    char overrides[128];
    snprintf(overrides, sizeof overrides, "{\"enabled\":{\"value\":false,\"until\":%lld}}",
             (long long)now_us);
    ASSERT_OK(store_settings_write(store, 0, overrides, NULL, 0, &revision, NULL));
    struct policy *over = policy_of(store);
    assert_true(over->enabled);
    assert_int_equal(over->valid_until_us, 0);
    policy_free(over);

    snprintf(overrides, sizeof overrides, "{\"enabled\":{\"value\":false,\"until\":%lld}}",
             (long long)now_us + 3600000000LL);
    ASSERT_OK(store_settings_write(store, revision, overrides, NULL, 0, &revision, NULL));
    struct policy *live = policy_of(store);
    assert_false(live->enabled);
    assert_int_equal(live->valid_until_us, now_us + 3600000000LL);
    policy_free(live);
    store_free(store);
}

static void nothing_decided_before_a_change_is_written_after_it(void **state)
{
    (void)state;
    struct store *store = sqlite_file_open_migrated();
    sqlite_file_seed(1);
    struct policy *policy = policy_of(store);
    struct store_task_list stuck = sqlite_file_stuck(store);
    AUTO_FREE char *before = sqlite_file_value(sqlite_file_dump);
    (void)change(store, "{\"enabled\":false}");

    struct store_transition transition = suite_transition(&stuck.tasks[0]);
    enum store_moved moved;
    assert_int_equal(
        store_transition(store, policy->revision, policy->valid_until_us, "p", &transition, 1, &moved, NULL),
        ERR_CONFLICT);
    sqlite_file_assert(sqlite_file_dump, before);
    store_task_list_done(&stuck);
    policy_free(policy);
    store_free(store);
}

struct changer {
    struct store *store;
    const char *body;
    int conflicts;
};

#define CHANGES 20

static void *change_often(void *arg)
{
    struct changer *changer = arg;
    json_t *body = NULL;
    if (json_read(changer->body, strlen(changer->body), &body, NULL) != ERR_OK)
        abort();
    for (int done = 0; done < CHANGES;) {
        json_t *document = NULL, *errors = NULL;
        enum err err =
            policy_change(changer->store, settings, pipeline, body, -1, NULL, &document, &errors, NULL);
        done += err == ERR_OK;
        changer->conflicts += err == ERR_CONFLICT;
        json_decref(document);
        if (err != ERR_OK && err != ERR_CONFLICT)
            abort();
    }
    json_decref(body);
    return NULL;
}

static void changes_made_at_once_are_all_kept(void **state)
{
    (void)state;
    struct store *stores[2] = {sqlite_file_open_migrated(), sqlite_file_open()};
    struct changer changers[2] = {{stores[0], "{\"enabled\":false,\"by\":\"ann\"}", 0},
                                  {stores[1], "{\"interval_s\":7,\"by\":\"bob\"}", 0}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, change_often, &changers[i]), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);

    struct policy *policy = policy_of(stores[0]);
    assert_int_equal(policy->revision, 2 * CHANGES);
    assert_false(policy->enabled);
    assert_int_equal(policy->interval_s, 7);
    policy_free(policy);
    store_free(stores[0]);
    store_free(stores[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SQLITE_FILE_TEST(override_survives_a_restart),
        SQLITE_FILE_TEST(until_is_judged_by_the_databases_clock),
        SQLITE_FILE_TEST(nothing_decided_before_a_change_is_written_after_it),
        SQLITE_FILE_TEST(changes_made_at_once_are_all_kept),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
