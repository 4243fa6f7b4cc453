#include "reconcile/notify/notifier.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/base/text.h"
#include "clients/base/wait.h"
#include "clients/store/store.h"
#include "clients/telegram.h"
#include "reconcile/message/message.h"
#include "reconcile/notify/send_limiter.h"
#include "reconcile/settings/settings.h"

static const char lease_name[] = "notifier";

enum {
    LOOK_MS = 60000,       /* between two looks at what others may have left */
    YOUNG_S = 30,          /* a message is its writer's to send until it is that old */
    LEASE_RETRY_MS = 5000, /* while another process sends */
    CALL_MAX_S = 30,
    MARK_MS = LIMIT_STATEMENT_MS, /* to mark what was sent */
    ASK_S = 3,                    /* for the lease, before all that */
    BACKOFF_FIRST_MS = 1000,      /* a database that cannot be asked */
    BACKOFF_LAST_MS = 30000
};

struct notifier {
    struct services *services;
    notifier_outbox_fn *on_outbox;
    void *arg;
    struct uuid_text owner;
    int64_t call_ms, lease_s;
    pthread_t thread;
    bool started;

    /* The sender's thread alone. */
    struct send_limiter limiter;
    bool held;                  /* the lease was ours when it was asked for last */
    int64_t held_until_ms;      /* and is for certain until then */
    bool owed;                  /* what waits was written here, as far as is known */
    bool bad_text;              /* Telegram would not take the text of what is first */
    bool complained;            /* of messages that wait */
    struct uuid_text *unmarked; /* Telegram took these; they are not yet marked in the database */
    size_t n_unmarked;
    unsigned database_failures;

    pthread_mutex_t lock; /* guards `woken` */
    pthread_cond_t wake;
    bool woken;
};

/* When to read the outbox again, and whether this process has messages to send then. */
struct next {
    int64_t at_ms;
    bool busy;
};

static struct next go_on_at(int64_t at_ms)
{
    return (struct next){.at_ms = at_ms, .busy = true};
}

static struct next look_at(int64_t at_ms)
{
    return (struct next){.at_ms = at_ms};
}

static bool stopping(const struct notifier *notifier)
{
    return atomic_load(&notifier->services->stopping);
}

struct notifier *notifier_new(struct services *services, notifier_outbox_fn *on_outbox, void *arg)
{
    struct notifier *notifier = mem_zero(1, sizeof *notifier);
    int64_t call_s = services->settings->upstream_timeout_s;
    if (call_s > CALL_MAX_S)
        call_s = CALL_MAX_S;
    notifier->services = services;
    notifier->on_outbox = on_outbox;
    notifier->arg = arg;
    notifier->owner = services_uuid(notifier->services);
    notifier->call_ms = call_s * 1000;
    /* After lease_take more than half of it is left, which must be enough for a call and its mark. */
    notifier->lease_s = 2 * (call_s + MARK_MS / 1000 + ASK_S);
    send_limiter_begin(&notifier->limiter, services->settings->telegram_chat_id);
    pthread_mutex_init(&notifier->lock, NULL);
    cond_init(&notifier->wake);
    return notifier;
}

void notifier_free(struct notifier *notifier)
{
    if (!notifier)
        return;
    free(notifier->unmarked);
    pthread_cond_destroy(&notifier->wake);
    pthread_mutex_destroy(&notifier->lock);
    free(notifier);
}

/* the lease */

/* lease_take: takes or renews the lease. *ret_kept: no other process has held it since the last call. */
static enum err lease_take(struct notifier *notifier, bool *ret_kept, struct why *why)
{
    int64_t asked_ms = services_mono_ms(notifier->services);
    bool held = false;
    *ret_kept = notifier->held && asked_ms < notifier->held_until_ms;
    enum err err = store_lease_take(notifier->services->store, lease_name, notifier->owner.s,
                                    notifier->lease_s, &held, why);
    if (err)
        return err;
    notifier->held = held;
    notifier->held_until_ms = held ? asked_ms + notifier->lease_s * 500 : 0;
    return ERR_OK;
}

/* It runs out by itself if this fails. */
static void lease_drop(struct notifier *notifier)
{
    struct why why;
    if (notifier->held &&
        store_lease_drop(notifier->services->store, lease_name, notifier->owner.s, &why) != ERR_OK)
        log_debug("a lease was not given back", LOG_S("lease", lease_name), LOG_S("reason", why.text));
    notifier->held = false;
}

/* one step */

static void publish(struct notifier *notifier, size_t depth, int64_t oldest_age_s)
{
    if (notifier->on_outbox)
        notifier->on_outbox(notifier->arg, depth, oldest_age_s);
}

static struct next database_failed(struct notifier *notifier, const struct why *why)
{
    if (notifier->database_failures == 0)
        log_debug("messages wait: the outbox cannot be asked", LOG_S("reason", why->text));
    return look_at(services_mono_ms(notifier->services) +
                   backoff_ms(BACKOFF_FIRST_MS, BACKOFF_LAST_MS, notifier->database_failures++));
}

static enum err mark(struct notifier *notifier, struct why *why)
{
    if (notifier->n_unmarked == 0)
        return ERR_OK;
    enum err err =
        store_outbox_sent(notifier->services->store, notifier->unmarked, notifier->n_unmarked, why);
    if (err)
        return err;
    free(notifier->unmarked);
    notifier->unmarked = NULL;
    notifier->n_unmarked = 0;
    return ERR_OK;
}

static void note_sent(struct notifier *notifier, const struct store_outbox *outbox, size_t n,
                      const struct telegram_answer *answer)
{
    notifier->unmarked = mem_zero(n, sizeof *notifier->unmarked);
    notifier->n_unmarked = n;
    for (size_t i = 0; i < n; i++)
        notifier->unmarked[i] = outbox->rows[i].id;
    if (notifier->complained)
        log_info("Telegram takes messages again");
    notifier->complained = false;
    notifier->bad_text = false;
    send_limiter_sent(&notifier->limiter, services_mono_ms(notifier->services));
    if (*answer->chat)
        log_warn("the chat has become another one: set ORCH_TELEGRAM_CHAT_ID", LOG_S("chat", answer->chat));
    log_debug("messages sent", LOG_I("messages", n));
}

/* Logged once, until Telegram takes a message again. */
static void complain(struct notifier *notifier, size_t waiting, const struct telegram_answer *answer)
{
    log_event(notifier->complained ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN,
              "messages wait: Telegram does not take them", LOG_I("messages", waiting),
              LOG_S("reason", answer->error));
    notifier->complained = true;
}

static void note_unsent(struct notifier *notifier, size_t waiting, const struct telegram_answer *answer)
{
    if (answer->result == TELEGRAM_STOPPED)
        return;
    complain(notifier, waiting, answer);
    if (answer->result == TELEGRAM_WAIT) {
        send_limiter_asked(&notifier->limiter, answer->wait_s, services_mono_ms(notifier->services));
    } else if (answer->result == TELEGRAM_BAD_TEXT && !notifier->bad_text) {
        notifier->bad_text = true; /* another text takes its place, at once */
    } else {
        send_limiter_failed(&notifier->limiter, services_mono_ms(notifier->services));
        lease_drop(notifier);
    }
}

static char *text_of(const struct notifier *notifier, const struct store_outbox *outbox, size_t n)
{
    if (notifier->bad_text)
        return message_placeholder(n);
    if (n == 1)
        return mem_dup(outbox->rows[0].text);
    const char **texts = mem_zero(n, sizeof *texts);
    for (size_t i = 0; i < n; i++)
        texts[i] = outbox->rows[i].text;
    char *digest = message_digest(texts, n);
    free(texts);
    return digest;
}

/* send_first: the lease is ours and the limiter allows it. */
static struct next send_first(struct notifier *notifier, const struct store_outbox *outbox, struct why *why)
{
    struct telegram_answer answer;
    size_t n = outbox->n > LIMIT_DIGEST_FROM ? outbox->n : 1;
    AUTO_FREE char *text = text_of(notifier, outbox, n);
    telegram_send(notifier->services->telegram, notifier->services->fetch, text,
                  services_mono_ms(notifier->services) + notifier->call_ms, &answer);
    if (answer.result != TELEGRAM_SENT) {
        note_unsent(notifier, outbox->depth, &answer);
        publish(notifier, outbox->depth, outbox->rows[0].age_s);
        int64_t due_ms = send_limiter_due_ms(&notifier->limiter);
        return notifier->limiter.failures > 0 ? look_at(due_ms) : go_on_at(due_ms);
    }
    note_sent(notifier, outbox, n, &answer);
    publish(notifier, outbox->depth - n, n < outbox->n ? outbox->rows[n].age_s : 0);
    if (mark(notifier, why) != ERR_OK)
        return database_failed(notifier, why);
    return go_on_at(send_limiter_due_ms(&notifier->limiter));
}

static struct next deliver(struct notifier *notifier, const struct store_outbox *outbox, struct why *why)
{
    int64_t now_ms = services_mono_ms(notifier->services), age_s = outbox->rows[0].age_s;
    if (!notifier->owed && age_s < YOUNG_S)
        return look_at(now_ms + (YOUNG_S - age_s) * 1000);
    if (now_ms < notifier->limiter.failed_ms)
        return look_at(notifier->limiter.failed_ms);
    bool kept;
    if (lease_take(notifier, &kept, why) != ERR_OK)
        return database_failed(notifier, why);
    if (!notifier->held)
        return look_at(now_ms + LEASE_RETRY_MS);
    if (!kept)
        return go_on_at(now_ms); /* what was listed before it was ours may have been sent since */
    now_ms = services_mono_ms(notifier->services);
    int64_t due_ms = send_limiter_due_ms(&notifier->limiter), renew_ms = now_ms + notifier->lease_s * 250;
    if (now_ms < due_ms)
        return go_on_at(due_ms < renew_ms ? due_ms : renew_ms);
    if (notifier->held_until_ms - now_ms < notifier->call_ms + MARK_MS)
        return go_on_at(now_ms); /* the database took its time to answer: ask again */
    return send_first(notifier, outbox, why);
}

/* Nothing waits. The lease is kept until another process may send at once, because that does not know this
 * process's limiter.
 */
static struct next idle(struct notifier *notifier)
{
    int64_t now_ms = services_mono_ms(notifier->services);
    notifier->owed = false;
    if (notifier->held && now_ms < send_limiter_due_ms(&notifier->limiter) &&
        now_ms < notifier->held_until_ms)
        return go_on_at(send_limiter_due_ms(&notifier->limiter));
    lease_drop(notifier);
    return look_at(now_ms + LOOK_MS);
}

static struct next step(struct notifier *notifier)
{
    struct store_outbox outbox = {.depth = 0};
    struct why why;
    enum err err = mark(notifier, &why);
    if (!err)
        err = store_outbox_list(notifier->services->store, STORE_TO_TELEGRAM, LIMIT_DIGEST_MESSAGES, &outbox,
                                &why);
    if (err)
        return database_failed(notifier, &why);
    if (notifier->database_failures > 0)
        log_debug("the outbox answers again");
    notifier->database_failures = 0;
    publish(notifier, outbox.depth, outbox.n > 0 ? outbox.rows[0].age_s : 0);
    struct next next = outbox.n > 0 ? deliver(notifier, &outbox, &why) : idle(notifier);
    store_outbox_done(&outbox);
    return next;
}

/* the thread */

/* Until at_ms, or woken, or stopped; false for the last. */
static bool wait_until(struct notifier *notifier, int64_t at_ms)
{
    pthread_mutex_lock(&notifier->lock);
    while (!stopping(notifier) && !notifier->woken && services_mono_ms(notifier->services) < at_ms)
        services_wait_until(notifier->services, &notifier->wake, &notifier->lock, at_ms);
    notifier->owed |= notifier->woken;
    notifier->woken = false;
    pthread_mutex_unlock(&notifier->lock);
    return !stopping(notifier);
}

static void leave(struct notifier *notifier)
{
    struct why why;
    if (mark(notifier, &why) != ERR_OK)
        log_warn("messages were sent and could not be marked: they will come again",
                 LOG_I("messages", notifier->n_unmarked), LOG_S("reason", why.text));
    lease_drop(notifier);
}

static void *tell_people(void *arg)
{
    struct notifier *notifier = arg;
    int64_t at_ms = INT64_MAX; /* until the first wake */
    while (wait_until(notifier, at_ms))
        at_ms = step(notifier).at_ms;
    leave(notifier);
    return NULL;
}

enum err notifier_start(struct notifier *notifier, struct why *why)
{
    if (pthread_create(&notifier->thread, NULL, tell_people, notifier) != 0)
        return why_set(why, ERR_INTERNAL, "the notifier's thread cannot be started");
    pthread_setname_np(notifier->thread, "notifier");
    notifier->started = true;
    return ERR_OK;
}

void notifier_stop(struct notifier *notifier)
{
    if (!notifier || !notifier->started)
        return;
    pthread_mutex_lock(&notifier->lock);
    services_stop(notifier->services);
    pthread_cond_broadcast(&notifier->wake);
    pthread_mutex_unlock(&notifier->lock);
    pthread_join(notifier->thread, NULL);
    notifier->started = false;
}

void notifier_wake(struct notifier *notifier)
{
    if (!notifier)
        return;
    pthread_mutex_lock(&notifier->lock);
    notifier->woken = true;
    pthread_cond_broadcast(&notifier->wake);
    pthread_mutex_unlock(&notifier->lock);
}

/* without a thread */

void notifier_drain(struct notifier *notifier, int64_t deadline_ms)
{
    struct next next = {.busy = true};
    notifier->owed = true;
    while (next.busy && send_limiter_due_ms(&notifier->limiter) < deadline_ms &&
           services_mono_ms(notifier->services) < deadline_ms && wait_until(notifier, next.at_ms))
        next = step(notifier);
    leave(notifier);
}
