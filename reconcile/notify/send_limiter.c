#include "reconcile/notify/send_limiter.h"

#include "clients/base/text.h"
#include "clients/base/wait.h"

/* MARGIN_MS: Telegram and this process may disagree on when a pause began. */
enum { FAILED_FIRST_MS = 2000, FAILED_LAST_MS = 600000, MARGIN_MS = 100 };

void send_limiter_begin(struct send_limiter *limiter, const char *chat)
{
    int64_t person;
    *limiter = (struct send_limiter){.group = chat && !parse_i64(chat, 1, INT64_MAX, &person)};
}

void send_limiter_sent(struct send_limiter *limiter, int64_t now_ms)
{
    limiter->sent_ms[limiter->sent++ % LIMIT_GROUP_MESSAGES] = now_ms;
    limiter->failures = 0;
    limiter->failed_ms = 0;
}

void send_limiter_asked(struct send_limiter *limiter, int64_t seconds, int64_t now_ms)
{
    limiter->asked_ms = now_ms + seconds * 1000 + MARGIN_MS;
    limiter->failures = 0;
    limiter->failed_ms = 0;
}

void send_limiter_failed(struct send_limiter *limiter, int64_t now_ms)
{
    limiter->failed_ms = now_ms + backoff_ms(FAILED_FIRST_MS, FAILED_LAST_MS, limiter->failures++);
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t send_limiter_due_ms(const struct send_limiter *limiter)
{
    int64_t due_ms = later(limiter->asked_ms, limiter->failed_ms);
    if (limiter->sent > 0)
        due_ms =
            later(due_ms, limiter->sent_ms[(limiter->sent - 1) % LIMIT_GROUP_MESSAGES] + LIMIT_CHAT_GAP_MS);
    /* The next takes the place of the oldest of the last 20. */
    if (limiter->group && limiter->sent >= LIMIT_GROUP_MESSAGES)
        due_ms =
            later(due_ms, limiter->sent_ms[limiter->sent % LIMIT_GROUP_MESSAGES] + LIMIT_GROUP_WINDOW_MS);
    return due_ms;
}
