#include "reconcile/notify/send_limiter.h"

#include "clients/base/text.h"
#include "clients/base/wait.h"

/* MARGIN_MS: Telegram's clock and ours need not agree on when a pause has begun. */
enum { FAILED_FIRST_MS = 2000, FAILED_LAST_MS = 600000, MARGIN_MS = 100 };

void pace_begin(struct pace *pace, const char *chat)
{
    int64_t person;
    *pace = (struct pace){.group = !parse_i64(chat, 1, INT64_MAX, &person)};
}

void pace_sent(struct pace *pace, int64_t now_ms)
{
    pace->sent_ms[pace->sent++ % LIMIT_GROUP_MESSAGES] = now_ms;
    pace->failures = 0;
    pace->failed_ms = 0;
}

void pace_asked(struct pace *pace, int64_t seconds, int64_t now_ms)
{
    pace->asked_ms = now_ms + seconds * 1000 + MARGIN_MS;
    pace->failures = 0;
    pace->failed_ms = 0;
}

void pace_failed(struct pace *pace, int64_t now_ms)
{
    pace->failed_ms = now_ms + backoff_ms(FAILED_FIRST_MS, FAILED_LAST_MS, pace->failures++);
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t pace_due_ms(const struct pace *pace)
{
    int64_t due_ms = later(pace->asked_ms, pace->failed_ms);
    if (pace->sent > 0)
        due_ms = later(due_ms, pace->sent_ms[(pace->sent - 1) % LIMIT_GROUP_MESSAGES] + LIMIT_CHAT_GAP_MS);
    /* The next takes the place of the oldest of the last 20. */
    if (pace->group && pace->sent >= LIMIT_GROUP_MESSAGES)
        due_ms = later(due_ms, pace->sent_ms[pace->sent % LIMIT_GROUP_MESSAGES] + LIMIT_GROUP_WINDOW_MS);
    return due_ms;
}
