#include "reconcile/notify/sender.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/base/text.h"
#include "clients/base/wait.h"
#include "clients/delivery.h"
#include "clients/notify_webhook.h"
#include "clients/store/store.h"
#include "clients/telegram.h"
#include "reconcile/message/message.h"
#include "reconcile/notify/send_limiter.h"
#include "reconcile/settings/settings.h"

/* How a destination is called. */
static const struct {
    const char *name, *lease, *wait, *again;
} words[] = {
    [STORE_TO_TELEGRAM] = {"Telegram", "notifier", "messages wait: Telegram does not take them",
                           "Telegram takes messages again"},
    [STORE_TO_WEBHOOK] = {"the webhook", "notifier/webhook", "messages wait: the webhook does not take them",
                          "the webhook takes messages again"},
};
static_assert(ARRAY_LEN(words) == STORE_TO_MAX_, "every destination has its words");

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

struct sender {
    struct services *services;
    enum store_destination to;
    sender_outbox_fn *on_outbox;
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
    bool bad_text;              /* the text of what is first was not taken */
    bool complained;            /* of messages that wait */
    struct uuid_text *unmarked; /* these were taken; they are not yet marked in the database */
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

static bool stopping(const struct sender *sender)
{
    return atomic_load(&sender->services->stopping);
}

struct sender *sender_new(struct services *services, enum store_destination to, sender_outbox_fn *on_outbox,
                          void *arg)
{
    struct sender *sender = mem_zero(1, sizeof *sender);
    int64_t call_s = services->settings->upstream_timeout_s;
    if (call_s > CALL_MAX_S)
        call_s = CALL_MAX_S;
    sender->services = services;
    sender->to = to;
    sender->on_outbox = on_outbox;
    sender->arg = arg;
    sender->owner = services_uuid(sender->services);
    sender->call_ms = call_s * 1000;
    /* After lease_take more than half of it is left, which must be enough for a call and its mark. */
    sender->lease_s = 2 * (call_s + MARK_MS / 1000 + ASK_S);
    send_limiter_begin(&sender->limiter,
                       to == STORE_TO_TELEGRAM ? services->settings->telegram_chat_id : NULL);
    pthread_mutex_init(&sender->lock, NULL);
    cond_init(&sender->wake);
    return sender;
}

void sender_free(struct sender *sender)
{
    if (!sender)
        return;
    free(sender->unmarked);
    pthread_cond_destroy(&sender->wake);
    pthread_mutex_destroy(&sender->lock);
    free(sender);
}

/* the lease */

/* lease_take: takes or renews the lease. *ret_kept: no other process has held it since the last call. */
static enum err lease_take(struct sender *sender, bool *ret_kept, struct why *why)
{
    int64_t asked_ms = services_mono_ms(sender->services);
    bool held = false;
    *ret_kept = sender->held && asked_ms < sender->held_until_ms;
    enum err err = store_lease_take(sender->services->store, words[sender->to].lease, sender->owner.s,
                                    sender->lease_s, &held, why);
    if (err)
        return err;
    sender->held = held;
    sender->held_until_ms = held ? asked_ms + sender->lease_s * 500 : 0;
    return ERR_OK;
}

/* It runs out by itself if this fails. */
static void lease_drop(struct sender *sender)
{
    struct why why;
    if (sender->held &&
        store_lease_drop(sender->services->store, words[sender->to].lease, sender->owner.s, &why) != ERR_OK)
        log_debug("a lease was not given back", LOG_S("lease", words[sender->to].lease),
                  LOG_S("reason", why.text));
    sender->held = false;
}

/* one step */

static void publish(struct sender *sender, size_t depth, int64_t oldest_age_s)
{
    if (sender->on_outbox)
        sender->on_outbox(sender->arg, sender->to, depth, oldest_age_s);
}

static struct next database_failed(struct sender *sender, const struct why *why)
{
    if (sender->database_failures == 0)
        log_debug("messages wait: the outbox cannot be asked", LOG_S("reason", why->text));
    return look_at(services_mono_ms(sender->services) +
                   backoff_ms(BACKOFF_FIRST_MS, BACKOFF_LAST_MS, sender->database_failures++));
}

static enum err mark(struct sender *sender, struct why *why)
{
    if (sender->n_unmarked == 0)
        return ERR_OK;
    enum err err = store_outbox_sent(sender->services->store, sender->unmarked, sender->n_unmarked, why);
    if (err)
        return err;
    free(sender->unmarked);
    sender->unmarked = NULL;
    sender->n_unmarked = 0;
    return ERR_OK;
}

static void note_sent(struct sender *sender, const struct store_outbox *outbox, size_t n,
                      const struct delivery *answer)
{
    sender->unmarked = mem_zero(n, sizeof *sender->unmarked);
    sender->n_unmarked = n;
    for (size_t i = 0; i < n; i++)
        sender->unmarked[i] = outbox->rows[i].id;
    if (sender->complained)
        log_info(words[sender->to].again);
    sender->complained = false;
    sender->bad_text = false;
    send_limiter_sent(&sender->limiter, services_mono_ms(sender->services));
    if (*answer->chat)
        log_warn("the chat has become another one: set ORCH_TELEGRAM_CHAT_ID", LOG_S("chat", answer->chat));
    log_debug("messages sent", LOG_I("messages", n));
}

/* Logged once, until a message is taken again. */
static void complain(struct sender *sender, size_t waiting, const struct delivery *answer)
{
    log_event(sender->complained ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN, words[sender->to].wait,
              LOG_I("messages", waiting), LOG_S("reason", answer->error));
    sender->complained = true;
}

static void note_unsent(struct sender *sender, size_t waiting, const struct delivery *answer)
{
    if (answer->result == DELIVERY_STOPPED)
        return;
    complain(sender, waiting, answer);
    if (answer->result == DELIVERY_WAIT) {
        send_limiter_asked(&sender->limiter, answer->wait_s, services_mono_ms(sender->services));
    } else if (answer->result == DELIVERY_BAD_TEXT && !sender->bad_text) {
        sender->bad_text = true; /* another text takes its place, at once */
    } else {
        send_limiter_failed(&sender->limiter, services_mono_ms(sender->services));
        lease_drop(sender);
    }
}

static char *text_of(const struct sender *sender, const struct store_outbox *outbox, size_t n)
{
    if (sender->bad_text)
        return message_placeholder(n, words[sender->to].name);
    if (n == 1)
        return mem_dup(outbox->rows[0].text);
    const char **texts = mem_zero(n, sizeof *texts);
    for (size_t i = 0; i < n; i++)
        texts[i] = outbox->rows[i].text;
    char *digest = message_digest(texts, n);
    free(texts);
    return digest;
}

static void send(struct sender *sender, const char *html, struct delivery *ret)
{
    const struct services *services = sender->services;
    int64_t deadline_ms = services_mono_ms(services) + sender->call_ms;
    if (sender->to == STORE_TO_TELEGRAM) {
        telegram_send(services->telegram, services->fetch, html, deadline_ms, ret);
    } else {
        AUTO_FREE char *plain = message_plain(html);
        notify_webhook_send(services->notify_webhook, services->fetch, plain, deadline_ms, ret);
    }
}

/* send_first: the lease is ours and the limiter allows it. */
static struct next send_first(struct sender *sender, const struct store_outbox *outbox, struct why *why)
{
    struct delivery answer;
    size_t n = outbox->n > LIMIT_DIGEST_FROM ? outbox->n : 1;
    AUTO_FREE char *text = text_of(sender, outbox, n);
    send(sender, text, &answer);
    if (answer.result != DELIVERY_SENT) {
        note_unsent(sender, outbox->depth, &answer);
        publish(sender, outbox->depth, outbox->rows[0].age_s);
        int64_t due_ms = send_limiter_due_ms(&sender->limiter);
        return sender->limiter.failures > 0 ? look_at(due_ms) : go_on_at(due_ms);
    }
    note_sent(sender, outbox, n, &answer);
    publish(sender, outbox->depth - n, n < outbox->n ? outbox->rows[n].age_s : 0);
    if (mark(sender, why) != ERR_OK)
        return database_failed(sender, why);
    return go_on_at(send_limiter_due_ms(&sender->limiter));
}

static struct next deliver(struct sender *sender, const struct store_outbox *outbox, struct why *why)
{
    int64_t now_ms = services_mono_ms(sender->services), age_s = outbox->rows[0].age_s;
    if (!sender->owed && age_s < YOUNG_S)
        return look_at(now_ms + (YOUNG_S - age_s) * 1000);
    if (now_ms < sender->limiter.failed_ms)
        return look_at(sender->limiter.failed_ms);
    bool kept;
    if (lease_take(sender, &kept, why) != ERR_OK)
        return database_failed(sender, why);
    if (!sender->held)
        return look_at(now_ms + LEASE_RETRY_MS);
    if (!kept)
        return go_on_at(now_ms); /* what was listed before it was ours may have been sent since */
    now_ms = services_mono_ms(sender->services);
    int64_t due_ms = send_limiter_due_ms(&sender->limiter), renew_ms = now_ms + sender->lease_s * 250;
    if (now_ms < due_ms)
        return go_on_at(due_ms < renew_ms ? due_ms : renew_ms);
    if (sender->held_until_ms - now_ms < sender->call_ms + MARK_MS)
        return go_on_at(now_ms); /* the database took its time to answer: ask again */
    return send_first(sender, outbox, why);
}

/* Nothing waits. The lease is kept until another process may send at once, because that does not know this
 * process's limiter.
 */
static struct next idle(struct sender *sender)
{
    int64_t now_ms = services_mono_ms(sender->services);
    sender->owed = false;
    if (sender->held && now_ms < send_limiter_due_ms(&sender->limiter) && now_ms < sender->held_until_ms)
        return go_on_at(send_limiter_due_ms(&sender->limiter));
    lease_drop(sender);
    return look_at(now_ms + LOOK_MS);
}

static struct next step(struct sender *sender)
{
    struct store_outbox outbox = {.depth = 0};
    struct why why;
    enum err err = mark(sender, &why);
    if (!err)
        err = store_outbox_list(sender->services->store, sender->to, LIMIT_DIGEST_MESSAGES, &outbox, &why);
    if (err)
        return database_failed(sender, &why);
    if (sender->database_failures > 0)
        log_debug("the outbox answers again");
    sender->database_failures = 0;
    publish(sender, outbox.depth, outbox.n > 0 ? outbox.rows[0].age_s : 0);
    struct next next = outbox.n > 0 ? deliver(sender, &outbox, &why) : idle(sender);
    store_outbox_done(&outbox);
    return next;
}

/* the thread */

/* Until at_ms, or woken, or stopped; false for the last. */
static bool wait_until(struct sender *sender, int64_t at_ms)
{
    pthread_mutex_lock(&sender->lock);
    while (!stopping(sender) && !sender->woken && services_mono_ms(sender->services) < at_ms)
        services_wait_until(sender->services, &sender->wake, &sender->lock, at_ms);
    sender->owed |= sender->woken;
    sender->woken = false;
    pthread_mutex_unlock(&sender->lock);
    return !stopping(sender);
}

static void leave(struct sender *sender)
{
    struct why why;
    if (mark(sender, &why) != ERR_OK)
        log_warn("messages were sent and could not be marked: they will come again",
                 LOG_I("messages", sender->n_unmarked), LOG_S("reason", why.text));
    lease_drop(sender);
}

static void *tell_people(void *arg)
{
    struct sender *sender = arg;
    int64_t at_ms = INT64_MAX; /* until the first wake */
    while (wait_until(sender, at_ms))
        at_ms = step(sender).at_ms;
    leave(sender);
    return NULL;
}

enum err sender_start(struct sender *sender, struct why *why)
{
    if (pthread_create(&sender->thread, NULL, tell_people, sender) != 0)
        return why_set(why, ERR_INTERNAL, "the notifier's thread cannot be started");
    pthread_setname_np(sender->thread, sender->to == STORE_TO_TELEGRAM ? "notifier" : "notifier-hook");
    sender->started = true;
    return ERR_OK;
}

void sender_stop(struct sender *sender)
{
    if (!sender || !sender->started)
        return;
    pthread_mutex_lock(&sender->lock);
    services_stop(sender->services);
    pthread_cond_broadcast(&sender->wake);
    pthread_mutex_unlock(&sender->lock);
    pthread_join(sender->thread, NULL);
    sender->started = false;
}

void sender_wake(struct sender *sender)
{
    if (!sender)
        return;
    pthread_mutex_lock(&sender->lock);
    sender->woken = true;
    pthread_cond_broadcast(&sender->wake);
    pthread_mutex_unlock(&sender->lock);
}

/* without a thread */

void sender_drain(struct sender *sender, int64_t deadline_ms)
{
    struct next next = {.busy = true};
    sender->owed = true;
    while (next.busy && send_limiter_due_ms(&sender->limiter) < deadline_ms &&
           services_mono_ms(sender->services) < deadline_ms && wait_until(sender, next.at_ms))
        next = step(sender);
    leave(sender);
}
