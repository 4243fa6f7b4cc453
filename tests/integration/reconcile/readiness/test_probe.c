/* Readiness from one shared probe, on a store that answers, refuses and hangs as a test wants it. */
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "clients/base/limits.h"
#include "clients/store/store_ops.h"
#include "reconcile/readiness/probe.h"
#include "tests/support/clients/store/store_fake.h"
#include "tests/support/test.h"

/* the store */

static struct {
    atomic_int looks, at_tables;
    _Atomic enum err result;
    atomic_bool hangs, interrupted;
    sem_t release;
    _Atomic int64_t now_ms; /* the probe's clock */
} double_;

static enum err answer(struct why *why)
{
    atomic_fetch_add(&double_.looks, 1);
    if (double_.hangs)
        sem_wait(&double_.release);
    return double_.result ? why_set(why, double_.result, "the table tasks has no column id") : ERR_OK;
}

static enum err ready(struct store *store, struct why *why)
{
    (void)store;
    atomic_fetch_add(&double_.at_tables, 1);
    return answer(why);
}

/* The settings; what else is asked of a store that is ready has no rows. */
static struct store_rows query(struct store *store, unsigned which, struct store_params params,
                               struct why *why)
{
    (void)store;
    (void)params;
    if (which != SQL_SETTINGS_READ)
        return store_fake_nothing();
    enum err err = answer(why);
    return err ? rows_failed(err) : store_fake_settings(0, "{}", 0);
}

static void interrupt(struct store *store)
{
    (void)store;
    double_.interrupted = true;
    sem_post(&double_.release);
}

static void store_done(struct store *store)
{
    free(store);
}

static int64_t now_ms(void)
{
    return double_.now_ms;
}

static struct probe *probe;

static int set_up(void **state)
{
    static const struct store_ops ops = {
        .free = store_done, .interrupt = interrupt, .ready = ready, .query = query};
    (void)state;
    struct store *store = mem_zero(1, sizeof *store);
    store->ops = &ops;
    double_.looks = double_.at_tables = 0;
    double_.result = ERR_OK;
    double_.hangs = double_.interrupted = false;
    sem_init(&double_.release, 0, 0);
    return probe_start(store, now_ms, NULL, NULL, &probe, NULL) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    probe_stop(probe);
    probe_free(probe);
    sem_destroy(&double_.release);
    return 0;
}

static void await(enum err wanted)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000000};
    struct why why = {.text = ""};
    enum err err = ERR_INTERNAL;
    for (int i = 0; i < 2000 && (err = probe_read(probe, &why)) != wanted; i++)
        nanosleep(&pause, NULL);
    if (err != wanted)
        fail_msg("%s: %s", err_name(err), why.text);
}

static void await_looks(int more)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000000};
    int until = double_.looks + more;
    for (int i = 0; i < 3000 && double_.looks < until; i++)
        nanosleep(&pause, NULL);
    assert_true(double_.looks >= until);
}

/* the tests */

TEST_WITH(who_asks_costs_the_database_nothing, set_up, tear_down)
{
    struct why why;
    await(ERR_OK);
    double_.hangs = true; /* whatever is asked of it from now on shows, and hangs */
    int looks = double_.looks;
    for (int i = 0; i < 10000; i++)
        assert_int_equal(probe_read(probe, &why), ERR_OK);
    assert_true(double_.looks <= looks + 1);
    assert_int_equal(double_.at_tables, 1);
}

TEST_WITH(what_is_wrong_is_told_in_its_words_until_it_is_mended, set_up, tear_down)
{
    struct why why;
    await(ERR_OK);
    double_.result = ERR_UNAVAILABLE;
    await(ERR_UNAVAILABLE);
    assert_int_equal(probe_read(probe, &why), ERR_UNAVAILABLE);
    assert_string_equal(why.text, "the table tasks has no column id");
    int at_tables = double_.at_tables;
    await_looks(2);
    assert_true(double_.at_tables > at_tables); /* not only the row that may be read all the same */
    double_.result = ERR_OK;
    await(ERR_OK);
}

TEST_WITH(a_database_that_hangs_is_not_ready_and_keeps_nobody_waiting, set_up, tear_down)
{
    struct why why;
    await(ERR_OK);
    double_.hangs = true;
    await_looks(1);
    assert_int_equal(probe_read(probe, &why), ERR_OK); /* seen a moment ago */
    double_.now_ms += LIMIT_PROBE_STALE_MS + 1;
    assert_int_equal(probe_read(probe, &why), ERR_TIMEOUT);
    assert_string_equal(why.text, "the database has not answered for 2 s");
    double_.hangs = false;
    sem_post(&double_.release);
    await(ERR_OK);
}

TEST_WITH(a_stop_waits_for_no_database, set_up, tear_down)
{
    struct why why;
    double_.hangs = true;
    await_looks(1);
    probe_stop(probe);
    assert_true(double_.interrupted);
    double_.now_ms += LIMIT_PROBE_STALE_MS + 1;
    assert_int_equal(probe_read(probe, &why), ERR_TIMEOUT);
}
