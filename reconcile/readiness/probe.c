#include "reconcile/readiness/probe.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "clients/base/limits.h"
#include "clients/base/wait.h"
#include "clients/store/store.h"

/* After this many checks of one row, all tables and columns are checked. If that fails, it is repeated, and
 * the first repeats come sooner. */
enum { TABLES_EVERY = 10, RETRY_MS = 20 };

struct probe {
    struct store *store;
    int64_t (*clock_ms)(void);
    probe_pulse_fn *on_pulse;
    void *arg;
    pthread_t thread;
    bool started;         /* of the thread */
    pthread_mutex_t lock; /* guards all that follows */
    pthread_cond_t wake;
    bool stopping;
    enum err result;
    struct why why;  /* of a bad result */
    int64_t seen_ms; /* when it was found; of the beginning before the first */
    bool seen;
};

static enum err look(struct probe *probe, bool at_tables, struct store_pulse *ret, struct why *why)
{
    enum err err = at_tables ? store_ready(probe->store, why) : ERR_OK;
    return err ? err : store_pulse(probe->store, ret, why);
}

/* Until the next look, or the end; true: look. */
static bool wait_for_turn(struct probe *probe, int64_t wait_ms)
{
    int64_t until_ms = clock_mono_ms() + wait_ms;
    pthread_mutex_lock(&probe->lock);
    while (!probe->stopping && clock_mono_ms() < until_ms)
        (void)cond_wait_until(&probe->wake, &probe->lock, until_ms);
    bool go_on = !probe->stopping;
    pthread_mutex_unlock(&probe->lock);
    return go_on;
}

static void note(struct probe *probe, enum err result, const struct why *why)
{
    pthread_mutex_lock(&probe->lock);
    probe->result = result;
    if (result)
        probe->why = *why;
    probe->seen = true;
    probe->seen_ms = probe->clock_ms();
    pthread_mutex_unlock(&probe->lock);
}

static void *work(void *arg)
{
    struct probe *probe = arg;
    unsigned good = 0, bad = 0; /* in a row */
    do {
        struct why why = {.text = ""};
        struct store_pulse pulse;
        enum err err = look(probe, good % TABLES_EVERY == 0, &pulse, &why);
        note(probe, err, &why);
        if (!err && probe->on_pulse)
            probe->on_pulse(probe->arg, probe->store, &pulse);
        good = err ? 0 : good + 1;
        bad = err ? bad + 1 : 0;
    } while (
        wait_for_turn(probe, bad ? backoff_ms(RETRY_MS, LIMIT_PROBE_EVERY_MS, bad) : LIMIT_PROBE_EVERY_MS));
    return NULL;
}

enum err probe_start(struct store *store_take, int64_t (*clock_ms)(void), probe_pulse_fn *on_pulse, void *arg,
                     struct probe **ret, struct why *why)
{
    struct probe *probe = mem_zero(1, sizeof *probe);
    probe->store = store_take;
    probe->clock_ms = clock_ms ? clock_ms : clock_mono_ms;
    probe->on_pulse = on_pulse;
    probe->arg = arg;
    probe->seen_ms = probe->clock_ms();
    pthread_mutex_init(&probe->lock, NULL);
    cond_init(&probe->wake);
    if (pthread_create(&probe->thread, NULL, work, probe) != 0) {
        probe_free(probe);
        return why_set(why, ERR_INTERNAL,
                       "the thread that asks whether the database is ready cannot be started");
    }
    pthread_setname_np(probe->thread, "probe");
    probe->started = true;
    *ret = probe;
    return ERR_OK;
}

enum err probe_read(struct probe *probe, struct why *why)
{
    pthread_mutex_lock(&probe->lock);
    int64_t age_ms = probe->clock_ms() - probe->seen_ms;
    enum err err = probe->result;
    if (age_ms > LIMIT_PROBE_STALE_MS)
        err = why_set(why, ERR_TIMEOUT, "the database has not answered for %lld s", (long long)age_ms / 1000);
    else if (!probe->seen)
        err = why_set(why, ERR_UNAVAILABLE, "the database has not answered yet");
    else if (err)
        *why = probe->why;
    pthread_mutex_unlock(&probe->lock);
    return err;
}

void probe_stop(struct probe *probe)
{
    if (!probe || !probe->started)
        return;
    pthread_mutex_lock(&probe->lock);
    probe->stopping = true;
    pthread_cond_signal(&probe->wake);
    pthread_mutex_unlock(&probe->lock);
    store_interrupt(probe->store);
    pthread_join(probe->thread, NULL);
    probe->started = false;
}

void probe_free(struct probe *probe)
{
    if (!probe)
        return;
    store_free(probe->store);
    pthread_cond_destroy(&probe->wake);
    pthread_mutex_destroy(&probe->lock);
    free(probe);
}
