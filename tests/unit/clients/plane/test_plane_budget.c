/* Plane's budget, with a clock that the test turns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "clients/plane/plane_budget.h"

#define START_MS 5000000
#define WINDOW_MS LIMIT_PLANE_WINDOW_MS
#define USUAL (LIMIT_PLANE_CALLS - LIMIT_PLANE_RESERVE)

static struct budget budget;
static uint64_t sent; /* the newest call */
static int64_t now_ms;

static int begin(void **state)
{
    (void)state;
    budget = (struct budget){0};
    now_ms = START_MS;
    return 0;
}

static uint64_t take(bool forced)
{
    uint64_t name = budget_take(&budget, forced, now_ms);
    if (name)
        sent = name;
    return name;
}

static void settle(int status, int64_t remaining, int64_t retry_after_s)
{
    const struct fetch_answer answer = {.result = FETCH_ANSWERED,
                                        .status = status,
                                        .ratelimit_remaining = remaining,
                                        .retry_after_s = retry_after_s};
    budget_settle(&budget, sent, &answer, now_ms);
}

static void settle_failed(enum fetch_result result)
{
    const struct fetch_answer answer = {.result = result, .ratelimit_remaining = -1, .retry_after_s = -1};
    budget_settle(&budget, sent, &answer, now_ms);
}

/* A call that Plane takes, answering how many are left. */
static void call(bool forced, int64_t remaining)
{
    assert_true(take(forced));
    settle(200, remaining, -1);
}

static void calls(size_t n, bool forced)
{
    for (size_t i = 0; i < n; i++)
        call(forced, -1);
}

static int64_t left(void)
{
    struct plane_budget shown;
    budget_show(&budget, now_ms, &shown);
    return shown.left;
}

/* our own calls */

static void the_reserve_is_for_forced_calls(void **state)
{
    (void)state;
    assert_int_equal(left(), USUAL);
    calls(USUAL, false);
    assert_int_equal(left(), 0);
    assert_false(take(false));
    calls(LIMIT_PLANE_RESERVE, true);
    assert_false(take(true));
    assert_false(take(false));
}

static void forced_calls_count_for_the_others_too(void **state)
{
    (void)state;
    calls(LIMIT_PLANE_RESERVE, true);
    assert_int_equal(left(), USUAL - LIMIT_PLANE_RESERVE);
    calls(USUAL - LIMIT_PLANE_RESERVE, false);
    assert_false(take(false));
    assert_true(take(true));
}

static void a_call_is_forgotten_a_window_after_its_answer_and_not_before(void **state)
{
    (void)state;
    assert_true(take(false));
    now_ms += 9000;
    settle(200, -1, -1);
    calls(USUAL - 1, false);
    now_ms += WINDOW_MS;
    assert_false(take(false));
    int64_t wait_ms = budget_wait_ms(&budget, false, now_ms);
    assert_in_range(wait_ms, 1, 1000);
    now_ms += wait_ms - 1;
    assert_false(take(false));
    now_ms += 1;
    assert_int_equal(budget_wait_ms(&budget, false, now_ms), 0);
    assert_int_equal(left(), USUAL);
    assert_true(take(false));
}

static void waiting_is_until_enough_is_forgotten(void **state)
{
    (void)state;
    for (size_t i = 0; i < LIMIT_PLANE_CALLS; i++) {
        call(true, -1);
        now_ms += 100;
    }
    int64_t forced_ms = budget_wait_ms(&budget, true, now_ms);
    int64_t usual_ms = budget_wait_ms(&budget, false, now_ms);
    assert_int_equal(usual_ms - forced_ms, LIMIT_PLANE_RESERVE * 100);
    now_ms += forced_ms;
    assert_int_equal(left(), 0);
    call(true, -1);
    assert_false(take(true));
    now_ms += usual_ms - forced_ms;
    assert_int_equal(left(), 0); /* for the call just made */
    now_ms += 100;
    assert_int_equal(left(), 1);
}

static void a_call_under_way_counts(void **state)
{
    (void)state;
    assert_true(take(false));
    now_ms += INT64_C(10) * WINDOW_MS;
    assert_int_equal(left(), USUAL - 1);
    settle(200, -1, -1);
    assert_int_equal(left(), USUAL - 1);
}

static void what_never_reached_plane_does_not_count(void **state)
{
    (void)state;
    static const enum fetch_result unsent[] = {FETCH_UNREACHABLE, FETCH_NOT_ASKED};
    static const enum fetch_result unclear[] = {FETCH_TIMED_OUT, FETCH_CUT, FETCH_TOO_LARGE, FETCH_ABORTED};
    for (size_t i = 0; i < sizeof unsent / sizeof *unsent; i++) {
        assert_true(take(false));
        settle_failed(unsent[i]);
    }
    assert_int_equal(left(), USUAL);
    for (size_t i = 0; i < sizeof unclear / sizeof *unclear; i++) {
        assert_true(take(false));
        settle_failed(unclear[i]);
    }
    assert_int_equal(left(), USUAL - 4);
}

/* the calls of others */

static void calls_of_others_are_known_from_what_remains(void **state)
{
    (void)state;
    call(false, 35); /* 24 others, and this one */
    assert_int_equal(left(), 25);
    call(false, 34);
    assert_int_equal(left(), 24);
    call(false, 45); /* 12 of them have expired */
    assert_int_equal(left(), 35);
    call(false, 59 - 3);
    assert_int_equal(left(), USUAL - 4);
}

static void calls_of_others_are_forgotten_after_a_window(void **state)
{
    (void)state;
    call(false, 0);
    assert_int_equal(left(), 0);
    assert_false(take(true));
    now_ms += WINDOW_MS;
    assert_false(take(true));
    now_ms += budget_wait_ms(&budget, true, now_ms);
    assert_int_equal(left(), USUAL);
}

static void calls_from_before_a_restart_are_learnt(void **state)
{
    (void)state;
    calls(40, false);
    budget = (struct budget){0};
    assert_int_equal(left(), USUAL);
    call(false, LIMIT_PLANE_CALLS - 41);
    assert_int_equal(left(), USUAL - 41);
}

static void a_limit_set_lower_is_kept(void **state)
{
    (void)state;
    size_t taken = 0;
    for (; take(true); taken++)
        settle(200, 20 - (int64_t)taken - 1, -1);
    assert_int_equal(taken, 20);
}

/* As API_KEY_RATE_LIMIT=`limit`/minute: passes of the timer for so many minutes, one every 20 s, each of as
 * many calls as it may make. How many they made. */
static int64_t calls_of_passes(int64_t limit, int minutes)
{
    int64_t taken_ms[1000], n = 0;
    for (int pass = 0; pass < 3 * minutes; pass++, now_ms += 20000)
        while (take(false)) {
            int64_t held = 1;
            for (int64_t i = 0; i < n; i++)
                held += now_ms - taken_ms[i] < WINDOW_MS;
            assert_true(held <= limit); /* never refused */
            taken_ms[n++] = now_ms;
            settle(200, limit - held, -1);
        }
    return n;
}

static void a_lower_limit_is_learnt_and_starves_no_pass_of_the_timer(void **state)
{
    (void)state;
    static const struct {
        int64_t limit, reserve;
    } cases[] = {{1, 0}, {2, 1}, {5, 1}, {10, 2}, {30, 5}, {59, 10}, {60, 10}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plane_budget shown;
        begin(NULL);
        assert_true(take(false));
        settle(200, cases[i].limit - 1, -1);
        budget_show(&budget, now_ms, &shown);
        assert_int_equal(shown.limit, cases[i].limit); /* from the first answer */
        assert_true(shown.reserve <= cases[i].limit * 2 / 3);
        assert_true(cases[i].limit <= 2 || shown.left > 0);
        begin(NULL);
        int64_t made = calls_of_passes(cases[i].limit, 6);
        budget_show(&budget, now_ms, &shown);
        assert_int_equal(shown.limit, cases[i].limit);
        assert_int_equal(shown.reserve, cases[i].reserve);
        assert_true(made >= 4 * (cases[i].limit - cases[i].reserve));
    }
}

static void a_limit_that_is_changed_is_learnt(void **state)
{
    (void)state;
    struct plane_budget shown;
    (void)calls_of_passes(60, 3);
    now_ms += 2 * WINDOW_MS;
    assert_true(calls_of_passes(10, 6) >= 32);
    budget_show(&budget, now_ms, &shown);
    assert_int_equal(shown.limit, 10);
    now_ms += 2 * WINDOW_MS;
    call(false, 29);
    budget_show(&budget, now_ms, &shown);
    assert_int_equal(shown.limit, 30);
}

static void a_limit_set_higher_is_not_used(void **state)
{
    (void)state;
    call(false, INT64_MAX);
    assert_int_equal(left(), USUAL - 1);
}

static void only_what_plane_counted_for_sure_is_taken_for_ours(void **state)
{
    (void)state;
    assert_true(take(false));
    settle_failed(FETCH_TIMED_OUT);
    call(false, 50); /* 10 in Plane's log: this one, and 9 of which the lost one may be one */
    assert_int_equal(left(), USUAL - 2 - 9);
    now_ms += WINDOW_MS - 500; /* Plane has dropped the first two or is about to */
    call(false, 59);
    assert_in_range(left(), USUAL - 3, USUAL - 1);
}

/* refusals */

static void after_a_refusal_nothing_goes_before_its_time(void **state)
{
    (void)state;
    struct plane_budget shown;
    assert_true(take(true));
    settle(429, -1, 7);
    budget_show(&budget, now_ms, &shown);
    assert_in_range(shown.retry_after_s, 7, 8);
    assert_int_equal(shown.left, 0);
    assert_int_equal(shown.next_s, shown.retry_after_s);
    for (int i = 0; i <= 70; i++, now_ms += 100)
        assert_false(take(true));
    now_ms += budget_wait_ms(&budget, true, now_ms);
    assert_true(take(true));
    settle(200, 10, -1);
    budget_show(&budget, now_ms, &shown);
    assert_int_equal(shown.retry_after_s, 0);
}

static void a_refusal_that_names_no_time_lasts_a_window(void **state)
{
    (void)state;
    assert_true(take(true));
    settle(429, -1, -1);
    now_ms += WINDOW_MS;
    assert_false(take(true));
    now_ms += 1000;
    assert_true(take(true));
}

static void refusals_in_a_row_make_the_pause_grow(void **state)
{
    (void)state;
    int64_t last_ms = 0;
    for (int i = 0; i < 20; i++) {
        assert_true(take(true));
        settle(429, -1, 3);
        int64_t pause_ms = budget_pause_ms(&budget, now_ms);
        assert_true(pause_ms == 2 * last_ms || i == 0 || pause_ms == last_ms);
        assert_in_range(pause_ms, 3001, LIMIT_RETRY_AFTER_S * 1000);
        last_ms = pause_ms;
        now_ms += pause_ms;
    }
    call(true, 30);
    assert_true(take(true));
    settle(429, -1, 3);
    assert_in_range(budget_pause_ms(&budget, now_ms), 3001, 4000);
}

static void a_refused_call_is_not_counted_and_earlier_ones_are(void **state)
{
    (void)state;
    calls(USUAL, false);
    assert_true(take(true));
    settle(429, -1, 1);
    now_ms += 3000;
    assert_int_equal(left(), 0);
    calls(LIMIT_PLANE_RESERVE, true);
    assert_false(take(true));
}

/* side by side */

static void settle_call(uint64_t name, int status, int64_t remaining, int64_t retry_after_s)
{
    sent = name;
    settle(status, remaining, retry_after_s);
}

static void take_abreast(bool forced, uint64_t ret[LIMIT_PLANE_ABREAST])
{
    for (size_t i = 0; i < LIMIT_PLANE_ABREAST; i++)
        assert_true(ret[i] = take(forced));
}

static void calls_side_by_side_all_count_and_are_settled_in_any_order(void **state)
{
    (void)state;
    uint64_t calls_of[LIMIT_PLANE_ABREAST];
    take_abreast(false, calls_of);
    assert_int_equal(left(), USUAL - 4);
    now_ms += 1000;
    sent = calls_of[2];
    settle_failed(FETCH_UNREACHABLE);
    assert_int_equal(left(), USUAL - 3);
    settle_call(calls_of[3], 200, 59, -1);
    settle_call(calls_of[0], 200, 58, -1);
    sent = calls_of[1];
    settle_failed(FETCH_TIMED_OUT);
    assert_int_equal(left(), USUAL - 4); /* the lost one, or one of others: which, the answers do not show */
    call(false, 56);
    assert_int_equal(left(), USUAL - 5);
    now_ms += WINDOW_MS + 1000;
    assert_int_equal(left(), USUAL);
}

static void calls_of_others_are_never_taken_for_too_few_because_ours_were_side_by_side(void **state)
{
    (void)state;
    uint64_t calls_of[LIMIT_PLANE_ABREAST];
    static const size_t orders[][LIMIT_PLANE_ABREAST] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}};
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        begin(NULL);
        for (int64_t k = 1; k <= 10; k++)
            call(false, LIMIT_PLANE_CALLS - k);
        take_abreast(false, calls_of);
        for (size_t k = 0; k < LIMIT_PLANE_ABREAST; k++) { /* 20 others */
            size_t at = orders[i][k];
            settle_call(calls_of[at], 200, LIMIT_PLANE_CALLS - 31 - (int64_t)at, -1);
            assert_true(left() <= USUAL - 34);
        }
        call(false, LIMIT_PLANE_CALLS - 35);
        assert_int_equal(left(), USUAL - 35);
    }
}

static void refusals_of_calls_side_by_side_count_once(void **state)
{
    (void)state;
    uint64_t calls_of[LIMIT_PLANE_ABREAST];
    take_abreast(true, calls_of);
    for (size_t i = 0; i < LIMIT_PLANE_ABREAST; i++)
        settle_call(calls_of[i], 429, -1, i == 1 ? 5 : 3);
    assert_in_range(budget_pause_ms(&budget, now_ms), 5001, 6000);
    now_ms += budget_pause_ms(&budget, now_ms);
    assert_true(take(true));
    settle(429, -1, 3);
    assert_in_range(budget_pause_ms(&budget, now_ms), 6002, 8000); /* the second in a row */
    assert_int_equal(budget.n, 0);
}

static void an_answer_beside_a_refusal_does_not_end_the_pause(void **state)
{
    (void)state;
    uint64_t calls_of[LIMIT_PLANE_ABREAST];
    take_abreast(true, calls_of);
    settle_call(calls_of[0], 429, -1, 7);
    for (size_t i = 1; i < LIMIT_PLANE_ABREAST; i++)
        settle_call(calls_of[i], 200, 0, -1);
    assert_false(take(true));
    assert_in_range(budget_pause_ms(&budget, now_ms), 7001, 8000);
    assert_int_equal(budget.refusals, 1);
}

/* against a server's log, as rate_limit.py keeps it */

struct server {
    int64_t log[LIMIT_PLANE_CALLS];
    size_t n, limit;
    int64_t retry_at_ms;
    bool refused;
    size_t refusals, early;
};

static uint64_t random_state;

static int64_t random_below(int64_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int64_t)(random_state % (uint64_t)limit);
}

/* -1: refused, *ret_retry_s is the wait; else what remains. */
static int64_t server_take(struct server *server, int64_t at_ms, int64_t *ret_retry_s)
{
    size_t gone = 0;
    while (gone < server->n && server->log[gone] <= at_ms - WINDOW_MS)
        gone++;
    server->n -= gone;
    memmove(server->log, server->log + gone, server->n * sizeof *server->log);
    if (server->n >= server->limit) {
        *ret_retry_s = (WINDOW_MS - (at_ms - server->log[0]) + 999) / 1000;
        return -1;
    }
    server->log[server->n++] = at_ms;
    return (int64_t)(server->limit - server->n);
}

/* One call of ours, with time for its way there and back; the server's clock is `skew_ms` ahead. */
static void simulated_call(struct server *server, bool forced, int64_t skew_ms)
{
    int64_t retry_s = -1;
    if (!take(forced))
        return;
    now_ms += random_below(4) ? random_below(50) : random_below(9000);
    int64_t remaining = server_take(server, now_ms + skew_ms, &retry_s);
    server->early += remaining < 0 && server->refused && now_ms < server->retry_at_ms;
    server->refused = remaining < 0;
    server->refusals += server->refused;
    if (server->refused)
        server->retry_at_ms = now_ms + retry_s * 1000;
    now_ms += random_below(50);
    if (random_below(20) == 0 && !server->refused) /* a lost refusal cannot be known */
        settle_failed(FETCH_TIMED_OUT);
    else
        settle(remaining < 0 ? 429 : 200, remaining, retry_s);
}

static void alone_we_are_never_refused_whatever_the_delays_and_the_skew(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct server server = {.limit = LIMIT_PLANE_CALLS};
        random_state = seed * 0x9e3779b97f4a7c15;
        begin(NULL);
        for (int i = 0; i < 2000; i++) {
            simulated_call(&server, random_below(3) == 0, (int64_t)seed * 123457);
            now_ms += random_below(10) ? random_below(30) : random_below(5000);
        }
        assert_int_equal(server.refusals, 0);
    }
}

static void with_others_we_never_come_before_the_time_that_we_were_told(void **state)
{
    (void)state;
    size_t refusals = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct server server = {.limit = 20 + seed};
        int64_t ignored;
        random_state = seed * 0x9e3779b97f4a7c15;
        begin(NULL);
        for (int i = 0; i < 2000; i++) {
            simulated_call(&server, random_below(2) == 0, 0);
            for (int64_t k = random_below(3); k > 0; k--)
                (void)server_take(&server, now_ms, &ignored);
            now_ms += random_below(3000);
        }
        assert_int_equal(server.early, 0);
        refusals += server.refusals;
    }
    assert_true(refusals > 0);
}

int main(void)
{
#define FROM_NEW(test) cmocka_unit_test_setup(test, begin)
    const struct CMUnitTest tests[] = {
        FROM_NEW(the_reserve_is_for_forced_calls),
        FROM_NEW(forced_calls_count_for_the_others_too),
        FROM_NEW(a_call_is_forgotten_a_window_after_its_answer_and_not_before),
        FROM_NEW(waiting_is_until_enough_is_forgotten),
        FROM_NEW(a_call_under_way_counts),
        FROM_NEW(what_never_reached_plane_does_not_count),
        FROM_NEW(calls_of_others_are_known_from_what_remains),
        FROM_NEW(calls_of_others_are_forgotten_after_a_window),
        FROM_NEW(calls_from_before_a_restart_are_learnt),
        FROM_NEW(a_limit_set_lower_is_kept),
        FROM_NEW(a_lower_limit_is_learnt_and_starves_no_pass_of_the_timer),
        FROM_NEW(a_limit_that_is_changed_is_learnt),
        FROM_NEW(a_limit_set_higher_is_not_used),
        FROM_NEW(only_what_plane_counted_for_sure_is_taken_for_ours),
        FROM_NEW(after_a_refusal_nothing_goes_before_its_time),
        FROM_NEW(a_refusal_that_names_no_time_lasts_a_window),
        FROM_NEW(refusals_in_a_row_make_the_pause_grow),
        FROM_NEW(a_refused_call_is_not_counted_and_earlier_ones_are),
        FROM_NEW(calls_side_by_side_all_count_and_are_settled_in_any_order),
        FROM_NEW(calls_of_others_are_never_taken_for_too_few_because_ours_were_side_by_side),
        FROM_NEW(refusals_of_calls_side_by_side_count_once),
        FROM_NEW(an_answer_beside_a_refusal_does_not_end_the_pause),
        FROM_NEW(alone_we_are_never_refused_whatever_the_delays_and_the_skew),
        FROM_NEW(with_others_we_never_come_before_the_time_that_we_were_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
