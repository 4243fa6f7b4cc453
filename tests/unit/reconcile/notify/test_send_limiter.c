/* When the next message may go, by a clock that the test has in hand. */
#include "reconcile/notify/send_limiter.h"
#include "tests/support/test.h"

enum { NOW_MS = 1000000 };

/* Sends n messages as soon as each may go; when the last went. */
static int64_t send_all(struct send_limiter *limiter, unsigned n, int64_t now_ms)
{
    for (unsigned i = 0; i < n; i++) {
        if (send_limiter_due_ms(limiter) > now_ms)
            now_ms = send_limiter_due_ms(limiter);
        send_limiter_sent(limiter, now_ms);
    }
    return now_ms;
}

TEST(the_first_goes_at_once)
{
    struct send_limiter limiter;
    send_limiter_begin(&limiter, "42");
    assert_true(send_limiter_due_ms(&limiter) <= NOW_MS);
}

TEST(a_person_gets_one_a_second)
{
    struct send_limiter limiter;
    send_limiter_begin(&limiter, "42");
    assert_int_equal(send_all(&limiter, 100, NOW_MS), NOW_MS + 99 * 1000);
}

TEST(a_group_gets_twenty_a_minute)
{
    static const char *const groups[] = {"-100123", "@team", "-5", "0", ""};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        struct send_limiter limiter;
        send_limiter_begin(&limiter, groups[i]);
        assert_int_equal(send_all(&limiter, 20, NOW_MS), NOW_MS + 19 * 1000);
        assert_int_equal(send_limiter_due_ms(&limiter), NOW_MS + 60 * 1000);
        assert_int_equal(send_all(&limiter, 20, NOW_MS), NOW_MS + 79 * 1000);
        assert_int_equal(send_limiter_due_ms(&limiter), NOW_MS + 120 * 1000);
    }
}

TEST(what_telegram_asks_for_is_waited_out)
{
    struct send_limiter limiter;
    send_limiter_begin(&limiter, "42");
    send_limiter_sent(&limiter, NOW_MS);
    send_limiter_asked(&limiter, 35, NOW_MS + 1000);
    assert_in_range(send_limiter_due_ms(&limiter), NOW_MS + 36000 + 1,
                    NOW_MS + 36000 + 999); /* not a moment early */
    send_limiter_sent(&limiter, NOW_MS + 36000);
    assert_int_equal(send_limiter_due_ms(&limiter), NOW_MS + 37000);
}

TEST(pauses_after_failures_grow_to_ten_minutes_and_end_with_the_first_that_is_taken)
{
    struct send_limiter limiter;
    int64_t now_ms = NOW_MS, last_ms = 0;
    send_limiter_begin(&limiter, "42");
    for (int i = 0; i < 30; i++) {
        send_limiter_failed(&limiter, now_ms);
        int64_t pause_ms = send_limiter_due_ms(&limiter) - now_ms;
        assert_int_equal(pause_ms, i == 0 ? 2000 : last_ms * 2 < 600000 ? last_ms * 2 : 600000);
        last_ms = pause_ms;
        now_ms += pause_ms;
    }
    send_limiter_sent(&limiter, now_ms);
    assert_int_equal(send_limiter_due_ms(&limiter), now_ms + 1000);
    send_limiter_failed(&limiter, now_ms + 1000);
    assert_int_equal(send_limiter_due_ms(&limiter), now_ms + 3000);
}
