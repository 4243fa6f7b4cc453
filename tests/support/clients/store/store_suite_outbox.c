/* The outbox: a message is written with what it reports, kept until it was sent, and sent once. And the
 * leases, by which replicas agree which one sends. */
#include "tests/support/clients/store/store_suite.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"

SUITE_GROUP(outbox, "store: outbox and leases")

static struct uuid_text message_id(size_t number)
{
    struct uuid_text id;
    (void)snprintf(id.s, sizeof id.s, "b0eebc99-9c0b-4ef8-bb6d-%012zx", number & 0xffffffffffff);
    return id;
}

static struct store_outbox outbox_of(struct suite *suite, size_t limit)
{
    struct store_outbox outbox = {0};
    ASSERT_OK(store_outbox_list(suite->store, STORE_TO_TELEGRAM, limit, &outbox, &suite->why));
    return outbox;
}

static bool add(struct suite *suite, size_t number, const char *text)
{
    bool new = false;
    ASSERT_OK(store_outbox_add(suite->store, message_id(number).s, text, &new, &suite->why));
    return new;
}

static void sent(struct suite *suite, size_t number)
{
    struct uuid_text id = message_id(number);
    ASSERT_OK(store_outbox_sent(suite->store, &id, 1, &suite->why));
}

/* messages */

SUITE_TEST(what_is_unsent_is_listed_oldest_first)
{
    struct store_outbox outbox = outbox_of(suite, 10);
    assert_int_equal(outbox.depth, 0);
    assert_int_equal(outbox.n, 0);
    store_outbox_done(&outbox);
    for (size_t i = 1; i <= 4; i++)
        assert_true(add(suite, 10 - i, i == 1 ? "first" : "later"));
    suite_exec(suite, "UPDATE reconcile_outbox SET at = %s WHERE text = 'first'", suite_ago(suite, 5000));
    outbox = outbox_of(suite, 3);
    assert_int_equal(outbox.depth, 4);
    assert_int_equal(outbox.n, 3);
    for (size_t i = 0; i < outbox.n; i++) {
        assert_string_equal(outbox.rows[i].id.s, message_id(9 - i).s);
        assert_string_equal(outbox.rows[i].text, i == 0 ? "first" : "later");
        assert_in_range(outbox.rows[i].age_s, i == 0 ? 5000 : 0, i == 0 ? 5100 : 100);
        assert_true(i == 0 || outbox.rows[i].seq > outbox.rows[i - 1].seq);
    }
    store_outbox_done(&outbox);
    outbox = outbox_of(suite, 0);
    assert_int_equal(outbox.depth, 4);
    assert_int_equal(outbox.n, 0);
    store_outbox_done(&outbox);
}

SUITE_TEST(a_message_is_added_once)
{
    assert_true(add(suite, 1, "one"));
    assert_false(add(suite, 1, "another"));
    ASSERT_OK(store_outbox_add(suite->store, message_id(1).s, "a third", NULL, &suite->why));
    struct store_outbox outbox = outbox_of(suite, 10);
    assert_int_equal(outbox.n, 1);
    assert_string_equal(outbox.rows[0].text, "one");
    store_outbox_done(&outbox);
}

SUITE_TEST(what_was_sent_is_told_no_more)
{
    for (size_t i = 1; i <= 3; i++)
        assert_true(add(suite, i, "text"));
    sent(suite, 2);
    assert_false(add(suite, 2, "again"));
    struct store_outbox outbox = outbox_of(suite, 10);
    assert_int_equal(outbox.depth, 2);
    assert_int_equal(outbox.n, 2);
    assert_string_equal(outbox.rows[0].id.s, message_id(1).s);
    assert_string_equal(outbox.rows[1].id.s, message_id(3).s);
    store_outbox_done(&outbox);
}

SUITE_TEST(marking_twice_changes_nothing)
{
    assert_true(add(suite, 1, "text"));
    sent(suite, 1);
    suite_exec(suite, "UPDATE reconcile_outbox SET sent_at = %s", suite_ago(suite, 5000));
    struct uuid_text ids[] = {message_id(1), message_id(77), message_id(1)};
    ASSERT_OK(store_outbox_sent(suite->store, ids, ARRAY_LEN(ids), &suite->why));
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_outbox WHERE sent_at < %s",
                                  suite_ago(suite, 4000)),
                     1);
    ASSERT_OK(store_outbox_sent(suite->store, NULL, 0, &suite->why));
}

enum { OLD_MESSAGES = 5 };

SUITE_TEST(of_what_was_sent_the_newest_are_kept)
{
    enum { ALL = LIMIT_OUTBOX_KEPT + OLD_MESSAGES };
    static struct uuid_text ids[ALL];
    assert_true(add(suite, 90000, "unsent, and older than all"));
    char *rows = mem_dup("");
    for (size_t i = 0; i < ALL; i++) {
        ids[i] = message_id(i);
        char *more =
            mem_printf("%s%s('%s', %s, 'text')", rows, i > 0 ? ", " : "", ids[i].s, suite_ago(suite, 100));
        free(rows);
        rows = more;
    }
    suite_exec(suite, "INSERT INTO reconcile_outbox (id, at, text) VALUES %s", rows);
    free(rows);
    ASSERT_OK(store_outbox_sent(suite->store, ids, ALL, &suite->why));
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_outbox WHERE sent_at IS NOT NULL"),
                     LIMIT_OUTBOX_KEPT);
    struct store_outbox outbox = outbox_of(suite, 10);
    assert_int_equal(outbox.depth, 1);
    assert_string_equal(outbox.rows[0].text, "unsent, and older than all");
    store_outbox_done(&outbox);
    assert_true(add(suite, OLD_MESSAGES - 1, "pruned, and so new again"));
    assert_false(add(suite, OLD_MESSAGES, "kept"));
}

SUITE_TEST(any_message_comes_back_as_it_was)
{
    char *longest = mem_zero(20001, 1);
    memset(longest, 'z', 20000);
    assert_true(add(suite, 1, "🔧 О'К \"☂\" \\ \n{work_item_id} %s $1 ?1"));
    assert_true(add(suite, 2, longest));
    assert_true(add(suite, 3, ""));
    struct store_outbox outbox = outbox_of(suite, 10);
    assert_int_equal(outbox.n, 3);
    assert_string_equal(outbox.rows[0].text, "🔧 О'К \"☂\" \\ \n{work_item_id} %s $1 ?1");
    assert_string_equal(outbox.rows[1].text, longest);
    assert_string_equal(outbox.rows[2].text, "");
    store_outbox_done(&outbox);
    free(longest);
}

/* with a transition */

/* Two stuck tasks, 1 and 2. */
static struct store_task_list two_stuck(struct suite *suite)
{
    suite_task(suite, 1, "development", "o/r", 5000);
    suite_task(suite, 2, "development", "o/r", 4000);
    struct store_task_list stuck = suite_stuck(suite);
    ASSERT_LISTED(&stuck, 1, 2);
    return stuck;
}

SUITE_TEST(a_transition_writes_its_message_under_the_ledgers_id)
{
    struct store_task_list stuck = two_stuck(suite);
    struct store_transition batch[] = {suite_transition(&stuck.tasks[0]), suite_transition(&stuck.tasks[1])};
    enum store_moved moved[2];
    batch[0].message = "ORCH-1 is unblocked";
    ASSERT_OK(store_transition(suite->store, 0, 0, "p", batch, 2, moved, &suite->why));
    assert_int_equal(moved[0], STORE_MOVED);
    assert_int_equal(moved[1], STORE_MOVED);
    struct store_outbox outbox = outbox_of(suite, 10);
    assert_int_equal(outbox.depth, 1);
    assert_int_equal(outbox.n, 1);
    assert_string_equal(outbox.rows[0].id.s, batch[0].id.s);
    assert_string_equal(outbox.rows[0].text, "ORCH-1 is unblocked");
    assert_in_range(outbox.rows[0].age_s, 0, 100);
    store_outbox_done(&outbox);
    /* Added again, after it was sent: neither moved nor sent a second time. */
    ASSERT_OK(store_outbox_sent(suite->store, &batch[0].id, 1, &suite->why));
    assert_int_equal(suite_move(suite, &batch[0]), STORE_MOVED);
    outbox = outbox_of(suite, 10);
    assert_int_equal(outbox.depth, 0);
    store_outbox_done(&outbox);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_outbox"), 1);
}

enum { BOTH = 1u << STORE_TO_TELEGRAM | 1u << STORE_TO_WEBHOOK };

/* How many messages wait for a destination; the first one's id. */
static size_t waiting_for(struct suite *suite, enum store_destination to, struct uuid_text *ret_first)
{
    struct store_outbox outbox;
    ASSERT_OK(store_outbox_list(suite->store, to, 10, &outbox, &suite->why));
    size_t depth = outbox.depth;
    assert_int_equal(outbox.n, depth);
    if (depth > 0 && ret_first)
        *ret_first = outbox.rows[0].id;
    store_outbox_done(&outbox);
    return depth;
}

SUITE_TEST(a_transition_writes_a_row_for_each_destination_and_each_is_marked_apart)
{
    struct store_task_list stuck = two_stuck(suite);
    struct store_transition transition = suite_transition(&stuck.tasks[0]);
    struct uuid_text telegram, webhook;
    transition.message = "ORCH-1 is unblocked";
    store_send_to(suite->store, BOTH);
    assert_int_equal(suite_move(suite, &transition), STORE_MOVED);
    assert_int_equal(waiting_for(suite, STORE_TO_TELEGRAM, &telegram), 1);
    assert_int_equal(waiting_for(suite, STORE_TO_WEBHOOK, &webhook), 1);
    assert_string_equal(telegram.s, transition.id.s);
    assert_string_not_equal(webhook.s, transition.id.s);
    ASSERT_OK(store_outbox_sent(suite->store, &webhook, 1, &suite->why));
    assert_int_equal(waiting_for(suite, STORE_TO_TELEGRAM, NULL), 1);
    assert_int_equal(waiting_for(suite, STORE_TO_WEBHOOK, NULL), 0);
    assert_int_equal(suite_move(suite, &transition), STORE_MOVED); /* added again, and sent already */
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_outbox"), 2);
}

SUITE_TEST(a_destination_that_is_not_set_up_has_no_row)
{
    static const unsigned sets[] = {1u << STORE_TO_TELEGRAM, 1u << STORE_TO_WEBHOOK, BOTH, 0};
    static const size_t telegram[] = {1, 1, 2, 2}, webhook[] = {0, 1, 2, 2};
    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        store_send_to(suite->store, sets[i]);
        assert_int_equal(add(suite, i, "text"), sets[i] != 0);
        assert_false(add(suite, i, "again"));
        assert_int_equal(waiting_for(suite, STORE_TO_TELEGRAM, NULL), telegram[i]);
        assert_int_equal(waiting_for(suite, STORE_TO_WEBHOOK, NULL), webhook[i]);
    }
}

SUITE_TEST(what_an_earlier_version_left_is_for_telegram)
{
    suite_exec(suite, "INSERT INTO reconcile_outbox (id, at, text) VALUES ('%s', %s, 'text')",
               message_id(1).s, suite_ago(suite, 100));
    store_send_to(suite->store, BOTH);
    assert_int_equal(waiting_for(suite, STORE_TO_TELEGRAM, NULL), 1);
    assert_int_equal(waiting_for(suite, STORE_TO_WEBHOOK, NULL), 0);
}

SUITE_TEST_EMPTY(what_did_not_move_has_no_message)
{
    suite_own_tasks(suite, ", CHECK (title <> 'Task 2' OR stage = 'development')");
    ASSERT_OK(store_migrate(suite->store, NULL, &suite->why));
    struct store_task_list stuck = two_stuck(suite);
    struct store_transition batch[] = {suite_transition(&stuck.tasks[0]), suite_transition(&stuck.tasks[1])};
    enum store_moved moved[2];
    batch[0].message = batch[1].message = "unblocked";
    suite_exec(suite, "UPDATE tasks SET stage = 'testing' WHERE id = 1");
    ASSERT_OK(store_transition(suite->store, 0, 0, "p", batch, 2, moved, &suite->why));
    assert_int_equal(moved[0], STORE_RACED);
    assert_int_equal(moved[1], STORE_REFUSED);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_outbox"), 0);
}

SUITE_TEST(the_ledger_tells_which_event_was_lost)
{
    struct store_task_list stuck = two_stuck(suite);
    struct store_transition batch[] = {suite_transition(&stuck.tasks[0]), suite_transition(&stuck.tasks[1])};
    enum store_moved moved[2];
    batch[0].missed_source = "gitea";
    batch[0].missed_event = "pull_request_approved";
    ASSERT_OK(store_transition(suite->store, 0, 0, "p", batch, 2, moved, &suite->why));
    for (int64_t task = 1; task <= 2; task++) {
        struct store_ledger_page page;
        ASSERT_OK(store_ledger_list(suite->store, task, 0, 10, &page, &suite->why));
        assert_int_equal(page.n, 1);
        if (task == 1) {
            assert_string_equal(page.rows[0].missed_source, "gitea");
            assert_string_equal(page.rows[0].missed_event, "pull_request_approved");
        } else {
            assert_null(page.rows[0].missed_source);
            assert_null(page.rows[0].missed_event);
        }
        store_ledger_page_done(&page);
    }
}

/* several at once */

enum { RACERS = 4, RACES = 20 };

struct racer {
    pthread_t thread;
    struct store *store;
    char name[16];
    size_t won, failed;
};

/* Half of them share the suite's store, the others have one each, as replicas have. *ret_won: all together.
 */
static void race(struct suite *suite, void *(*run)(void *), size_t *ret_won)
{
    struct racer racers[RACERS] = {0};
    *ret_won = 0;
    for (size_t i = 0; i < RACERS; i++) {
        racers[i].store = suite->store;
        (void)snprintf(racers[i].name, sizeof racers[i].name, "racer-%zu", i);
        if (i >= RACERS / 2)
            ASSERT_OK(store_open(suite->url, NULL, &racers[i].store, NULL));
    }
    for (size_t i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&racers[i].thread, NULL, run, &racers[i]), 0);
    for (size_t i = 0; i < RACERS; i++) {
        assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
        assert_int_equal(racers[i].failed, 0);
        *ret_won += racers[i].won;
        if (racers[i].store != suite->store)
            store_free(racers[i].store);
    }
}

static void *add_all(void *arg)
{
    struct racer *racer = arg;
    for (size_t i = 0; i < RACES; i++) {
        bool new = false;
        racer->failed += store_outbox_add(racer->store, message_id(i).s, racer->name, &new, NULL) != ERR_OK;
        racer->won += new;
    }
    return NULL;
}

SUITE_TEST(of_racing_tellers_one_adds_each_message)
{
    size_t won;
    race(suite, add_all, &won);
    assert_int_equal(won, RACES);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_outbox"), RACES);
}

/* leases */

static bool take(struct suite *suite, const char *name, const char *owner, int64_t seconds)
{
    bool held = false;
    ASSERT_OK(store_lease_take(suite->store, name, owner, seconds, &held, &suite->why));
    return held;
}

/* Makes the lease end so many seconds from now. */
static void lease_ends_in(struct suite *suite, int64_t seconds)
{
    suite_exec(suite, "UPDATE reconcile_leases SET until = %s", suite_ago(suite, -seconds));
}

static char *leases(struct suite *suite)
{
    return suite_value(suite, "SELECT owner || until FROM reconcile_leases");
}

SUITE_TEST(a_lease_is_held_by_one)
{
    assert_true(take(suite, "outbox", "ann", 1000));
    assert_false(take(suite, "outbox", "bob", 1000));
    assert_true(take(suite, "outbox", "ann", 1000));
    assert_true(take(suite, "o'ther \"☂\"", "bob", 1000));
    assert_false(take(suite, "o'ther \"☂\"", "ann", 1000));
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_leases"), 2);
}

SUITE_TEST(a_lease_that_ran_out_goes_to_whoever_comes)
{
    assert_true(take(suite, "outbox", "ann", 1000));
    lease_ends_in(suite, -1);
    assert_true(take(suite, "outbox", "bob", 1000));
    assert_false(take(suite, "outbox", "ann", 1000));
    lease_ends_in(suite, -1);
    assert_true(take(suite, "outbox", "bob", 1000)); /* its own too */
    assert_int_equal(suite_number(suite,
                                  "SELECT count(*) FROM reconcile_leases WHERE owner = 'bob'"
                                  " AND until > %s AND until <= %s",
                                  suite_ago(suite, -900), suite_ago(suite, -1001)),
                     1);
}

/* It ends later than one that is taken now would: the clock was set back since, perhaps by days. */
SUITE_TEST(a_lease_of_a_clock_that_was_ahead_is_no_obstacle)
{
    assert_true(take(suite, "outbox", "ann", 1000));
    lease_ends_in(suite, 100000);
    assert_true(take(suite, "outbox", "bob", 1000));
    assert_false(take(suite, "outbox", "ann", 1000));
}

SUITE_TEST(a_lease_is_renewed_when_half_of_it_is_over)
{
    assert_true(take(suite, "outbox", "ann", 1000));
    lease_ends_in(suite, 700);
    char *before = leases(suite);
    assert_true(take(suite, "outbox", "ann", 1000));
    assert_false(take(suite, "outbox", "bob", 1000));
    char *after = leases(suite);
    assert_string_equal(after, before);
    lease_ends_in(suite, 300);
    assert_false(take(suite, "outbox", "bob", 1000));
    assert_true(take(suite, "outbox", "ann", 1000));
    assert_int_equal(
        suite_number(suite, "SELECT count(*) FROM reconcile_leases WHERE until > %s", suite_ago(suite, -900)),
        1);
    free(before);
    free(after);
}

SUITE_TEST(a_lease_is_given_back_by_its_owner_alone)
{
    ASSERT_OK(store_lease_drop(suite->store, "outbox", "ann", &suite->why));
    assert_true(take(suite, "outbox", "ann", 1000));
    assert_true(take(suite, "another", "ann", 1000));
    ASSERT_OK(store_lease_drop(suite->store, "outbox", "bob", &suite->why));
    assert_false(take(suite, "outbox", "bob", 1000));
    ASSERT_OK(store_lease_drop(suite->store, "outbox", "ann", &suite->why));
    assert_true(take(suite, "outbox", "bob", 1000));
    assert_false(take(suite, "another", "bob", 1000));
}

static void *take_all(void *arg)
{
    struct racer *racer = arg;
    for (size_t i = 0; i < RACES; i++) {
        bool held = false;
        struct uuid_text name = message_id(i);
        racer->failed += store_lease_take(racer->store, name.s, racer->name, 1000, &held, NULL) != ERR_OK;
        racer->won += held;
    }
    return NULL;
}

SUITE_TEST(of_racing_takers_one_holds_each_lease)
{
    size_t won;
    race(suite, take_all, &won);
    assert_int_equal(won, RACES);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_leases"), RACES);
}
