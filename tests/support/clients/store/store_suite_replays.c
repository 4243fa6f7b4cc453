/* Replays: one in flight per task, sent with growing pauses, given up after some tries with one message; a
 * heal only when the task has been seen to move, and then once. */
#include "tests/support/clients/store/store_suite.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"

SUITE_GROUP(replays, "store: replays")

#define PLANE_ID "3f0b0a52-6f0e-4a7e-8a3c-0123456789ab"
#define UPPER_PLANE_ID "3F0B0A52-6F0E-4A7E-8A3C-0123456789AB"

/* Task 1 at development and one replay of it. */
struct scene {
    struct store_task_list stuck;
    struct store_transition row;
    struct store_replay replay;
};

static void scene_set(struct suite *suite, struct scene *scene)
{
    suite_task(suite, 1, "development", "o/r", 5000);
    scene->stuck = suite_stuck(suite);
    ASSERT_LISTED(&scene->stuck, 1);
    scene->row = suite_transition(&scene->stuck.tasks[0]);
    scene->row.missed_source = "gitea";
    scene->row.missed_event = "status";
    scene->replay = (struct store_replay){.subject = "task/1",
                                          .delivery = uuid_from_name("one"),
                                          .row = &scene->row,
                                          .message_id = uuid_from_name("one, given up"),
                                          .message = "given up"};
}

static struct store_replay_seen begin(struct suite *suite, const struct store_replay *replay)
{
    struct store_replay_seen seen = {.state = STORE_REPLAY_RACED};
    ASSERT_OK(store_replay_begin(suite->store, 0, 0, replay, 1, &seen, &suite->why));
    return seen;
}

static struct store_replay_seen look(struct suite *suite, const struct store_replay *replay)
{
    struct store_replay_seen seen = {.state = STORE_REPLAY_RACED};
    ASSERT_OK(store_replays_look(suite->store, replay, 1, &seen, &suite->why));
    return seen;
}

static void is_due(const struct suite *suite)
{
    suite_exec(suite, "UPDATE reconcile_replays SET next_at = %s", suite_ago(suite, 1));
}

static struct store_replays_moved moved_of(struct suite *suite)
{
    struct store_replays_moved moved = {0};
    ASSERT_OK(store_replays_moved(suite->store, 100, &moved, &suite->why));
    return moved;
}

/* As the reconciler does with the answer. */
static bool settle(struct suite *suite, const struct store_replay_moved *replay, bool counts)
{
    const struct store_transition row = {.id = uuid_from_name("ledger"),
                                         .task = &replay->task,
                                         .to_stage = replay->to_stage,
                                         .agent = "reviewer",
                                         .side = replay->side,
                                         .outcome = replay->outcome,
                                         .reason = replay->reason,
                                         .evidence = replay->evidence,
                                         .verdict_id = replay->verdict_id,
                                         .missed_source = replay->missed_source,
                                         .missed_event = replay->missed_event,
                                         .message = "it moved"};
    const struct store_settlement settlement = {.replay = replay, .row = counts ? &row : NULL};
    bool mine = false;
    ASSERT_OK(store_replays_settle(suite->store, "p", &settlement, 1, &mine, &suite->why));
    return mine;
}

static int64_t replays(const struct suite *suite)
{
    return suite_number(suite, "SELECT count(*) FROM reconcile_replays");
}

/* beginning */

SUITE_TEST(a_replay_is_begun_once_and_then_waits)
{
    struct scene scene;
    scene_set(suite, &scene);
    assert_int_equal(look(suite, &scene.replay).state, STORE_REPLAY_DUE);
    char *before = suite_dump(suite);
    struct store_replay_seen seen = begin(suite, &scene.replay);
    assert_int_equal(seen.state, STORE_REPLAY_DUE);
    assert_int_equal(seen.tries, 1);
    assert_in_range(seen.next_s, 1, LIMIT_REPLAY_PAUSE_S);
    for (int i = 0; i < 2; i++) {
        seen = i ? begin(suite, &scene.replay) : look(suite, &scene.replay);
        assert_int_equal(seen.state, STORE_REPLAY_WAITS);
        assert_int_equal(seen.tries, 1);
        assert_in_range(seen.next_s, 1, LIMIT_REPLAY_PAUSE_S);
    }
    char *after = suite_dump(suite);
    assert_string_equal(after, before); /* not a row of tasks or jobs is touched */
    free(before);
    free(after);
}

SUITE_TEST(a_replay_does_not_wait_for_a_clock_that_was_set_back)
{
    struct scene scene;
    scene_set(suite, &scene);
    (void)begin(suite, &scene.replay);
    suite_exec(suite, "UPDATE reconcile_replays SET next_at = %s",
               suite_ago(suite, -(int64_t)LIMIT_REPLAY_PAUSE_MAX_S - 60));
    assert_int_equal(look(suite, &scene.replay).state, STORE_REPLAY_DUE);
    assert_int_equal(begin(suite, &scene.replay).tries, 2);
}

SUITE_TEST(pauses_double_and_after_the_last_try_it_is_given_up_and_told_once)
{
    struct scene scene;
    scene_set(suite, &scene);
    for (int64_t try = 1; try <= LIMIT_REPLAY_TRIES; try++) {
        assert_int_equal(look(suite, &scene.replay).state, STORE_REPLAY_DUE);
        struct store_replay_seen seen = begin(suite, &scene.replay);
        assert_int_equal(seen.state, STORE_REPLAY_DUE);
        assert_int_equal(seen.tries, try);
        int64_t pause = (int64_t)LIMIT_REPLAY_PAUSE_S << (try - 1);
        assert_in_range(seen.next_s, pause - 30, pause);
        is_due(suite);
    }
    assert_int_equal(look(suite, &scene.replay).state, STORE_REPLAY_LAST);
    assert_int_equal(begin(suite, &scene.replay).state, STORE_REPLAY_GIVEN_UP_NOW);
    is_due(suite);
    assert_int_equal(begin(suite, &scene.replay).state, STORE_REPLAY_GIVEN_UP);
    assert_int_equal(look(suite, &scene.replay).state, STORE_REPLAY_GIVEN_UP);
    struct store_outbox outbox;
    ASSERT_OK(store_outbox_list(suite->store, STORE_TO_TELEGRAM, 10, &outbox, &suite->why));
    assert_int_equal(outbox.n, 1);
    assert_string_equal(outbox.rows[0].text, "given up");
    assert_string_equal(outbox.rows[0].id.s, scene.replay.message_id.s);
    store_outbox_done(&outbox);
}

SUITE_TEST(a_replay_is_told_by_its_subject)
{
    struct scene scene;
    struct store_replay_open open = {0};
    scene_set(suite, &scene);
    ASSERT_ERR(store_replay_get(suite->store, "task/1", &open, &suite->why), ERR_NOT_FOUND);
    (void)begin(suite, &scene.replay);
    ASSERT_OK(store_replay_get(suite->store, "task/1", &open, &suite->why));
    assert_string_equal(open.delivery.s, scene.replay.delivery.s);
    assert_int_equal(open.tries, 1);
    assert_false(open.given_up);
    int64_t in_us = open.next_us - scene.stuck.now_us;
    assert_in_range(in_us, 0, (LIMIT_REPLAY_PAUSE_S + 600) * INT64_C(1000000));
    for (int try = 1; try <= LIMIT_REPLAY_TRIES; try++) {
        is_due(suite);
        (void)begin(suite, &scene.replay);
    }
    ASSERT_OK(store_replay_get(suite->store, "task/1", &open, &suite->why));
    assert_int_equal(open.tries, LIMIT_REPLAY_TRIES);
    assert_true(open.given_up);
    ASSERT_ERR(store_replay_get(suite->store, "task/11", &open, &suite->why), ERR_NOT_FOUND);
}

SUITE_TEST(another_delivery_begins_anew)
{
    struct scene scene;
    scene_set(suite, &scene);
    for (int try = 0; try <= LIMIT_REPLAY_TRIES; try++) {
        (void)begin(suite, &scene.replay);
        is_due(suite);
    }
    assert_int_equal(look(suite, &scene.replay).state, STORE_REPLAY_GIVEN_UP);
    scene.replay.delivery = uuid_from_name("another");
    assert_int_equal(look(suite, &scene.replay).state, STORE_REPLAY_DUE);
    struct store_replay_seen seen = begin(suite, &scene.replay);
    assert_int_equal(seen.state, STORE_REPLAY_DUE);
    assert_int_equal(seen.tries, 1);
    assert_int_equal(replays(suite), 1);
}

SUITE_TEST(a_task_that_is_no_longer_as_seen_is_raced)
{
    struct scene scene;
    scene_set(suite, &scene);
    suite_job(suite, 1, "running");
    assert_int_equal(begin(suite, &scene.replay).state, STORE_REPLAY_RACED);
    suite_exec(suite, "DELETE FROM jobs");
    suite_exec(suite, "UPDATE tasks SET updated_at = %s", suite_ago(suite, 3));
    assert_int_equal(begin(suite, &scene.replay).state, STORE_REPLAY_RACED);
    assert_int_equal(replays(suite), 0);
}

SUITE_TEST(a_verdict_that_was_replayed_is_raced)
{
    struct scene scene;
    scene_set(suite, &scene);
    scene.row.verdict_id = "v1";
    suite_exec(suite, "INSERT INTO reconcile_verdicts (id, task_id, at) VALUES ('v1', 1, %s)",
               suite_ago(suite, 3));
    assert_int_equal(begin(suite, &scene.replay).state, STORE_REPLAY_RACED);
}

SUITE_TEST(none_begins_under_settings_that_were_changed)
{
    struct scene scene;
    struct store_replay_seen seen;
    int64_t revision;
    scene_set(suite, &scene);
    ASSERT_OK(store_settings_write(suite->store, 0, "{}", NULL, 0, &revision, &suite->why));
    ASSERT_ERR(store_replay_begin(suite->store, 0, 0, &scene.replay, 1, &seen, &suite->why), ERR_CONFLICT);
    ASSERT_ERR(store_replay_begin(suite->store, revision, 1, &scene.replay, 1, &seen, &suite->why),
               ERR_CONFLICT);
    assert_int_equal(replays(suite), 0);
    ASSERT_OK(store_replay_begin(suite->store, revision, 0, &scene.replay, 1, &seen, &suite->why));
    assert_int_equal(seen.state, STORE_REPLAY_DUE);
}

SUITE_TEST(a_start_is_begun_while_its_issue_has_no_task)
{
    char plane_id[] = PLANE_ID, work_item[] = "ORCH-7", stage[] = "created", repo[] = "o/r";
    const struct store_task none = {
        .plane_id = plane_id, .work_item_id = work_item, .stage = stage, .repo = repo, .age_s = 700};
    const struct store_transition row = {
        .task = &none, .to_stage = "analysis", .side = "plane", .outcome = "started", .rested_s = 700};
    const struct store_replay replay = {
        .subject = "issue/" PLANE_ID, .delivery = uuid_from_name("start"), .row = &row};
    assert_int_equal(begin(suite, &replay).state, STORE_REPLAY_DUE);
    struct store_replays_moved moved = moved_of(suite);
    assert_int_equal(moved.n, 0);
    store_replays_moved_done(&moved);
    suite_task(suite, 9, "analysis", "o/r", 0);
    suite_exec(suite, "UPDATE tasks SET plane_id = '%s'", UPPER_PLANE_ID);
    is_due(suite);
    assert_int_equal(begin(suite, &replay).state, STORE_REPLAY_RACED);
    moved = moved_of(suite);
    assert_int_equal(moved.n, 1);
    assert_int_equal(moved.rows[0].task.id, 9);
    assert_string_equal(moved.rows[0].task.stage, "created");
    assert_string_equal(moved.rows[0].to_stage, "analysis");
    assert_string_equal(moved.rows[0].outcome, "started");
    assert_in_range(moved.rows[0].rested_s, 700, 800);
    store_replays_moved_done(&moved);
}

/* settling */

SUITE_TEST(a_task_that_has_moved_is_settled_once)
{
    struct scene scene;
    scene_set(suite, &scene);
    scene.row.verdict_id = "v1";
    (void)begin(suite, &scene.replay);
    struct store_replays_moved moved = moved_of(suite);
    assert_int_equal(moved.n, 0);
    store_replays_moved_done(&moved);
    suite_exec(suite, "UPDATE tasks SET stage = 'testing', updated_at = %s", suite_ago(suite, 0));
    moved = moved_of(suite);
    assert_int_equal(moved.n, 1);
    const struct store_replay_moved *replay = &moved.rows[0];
    assert_string_equal(replay->subject, "task/1");
    assert_string_equal(replay->delivery.s, scene.replay.delivery.s);
    assert_int_equal(replay->tries, 1);
    assert_false(replay->given_up);
    assert_false(replay->gone);
    assert_string_equal(replay->task.stage, "development");
    assert_string_equal(replay->to_stage, "testing");
    assert_string_equal(replay->reason, scene.row.reason);
    assert_string_equal(replay->evidence, scene.row.evidence);
    assert_in_range(replay->rested_s, 5000, 5100);
    assert_true(settle(suite, replay, true));
    assert_false(settle(suite, replay, true));
    assert_int_equal(replays(suite), 0);
    struct store_ledger_page page;
    ASSERT_OK(store_ledger_list(suite->store, 1, 0, 10, &page, &suite->why));
    assert_int_equal(page.n, 1);
    assert_string_equal(page.rows[0].from_stage, "development");
    assert_string_equal(page.rows[0].to_stage, "testing");
    assert_string_equal(page.rows[0].outcome, "advanced");
    assert_string_equal(page.rows[0].missed_event, "status");
    assert_string_equal(page.rows[0].pass_id, "p");
    store_ledger_page_done(&page);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_outbox WHERE text = 'it moved'"), 1);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_verdicts WHERE id = 'v1'"), 1);
    store_replays_moved_done(&moved);
}

SUITE_TEST(the_same_stage_has_moved_when_it_was_touched_and_has_a_job)
{
    struct scene scene;
    scene_set(suite, &scene);
    scene.row.to_stage = "development";
    (void)begin(suite, &scene.replay);
    suite_exec(suite, "UPDATE tasks SET updated_at = %s", suite_ago(suite, 0));
    struct store_replays_moved moved = moved_of(suite);
    assert_int_equal(moved.n, 0);
    store_replays_moved_done(&moved);
    suite_job(suite, 1, "queued");
    moved = moved_of(suite);
    assert_int_equal(moved.n, 1);
    store_replays_moved_done(&moved);
    suite_exec(suite, "UPDATE reconcile_replays SET to_stage = 'review'");
    moved = moved_of(suite);
    assert_int_equal(moved.n, 0);
    store_replays_moved_done(&moved);
}

SUITE_TEST(what_moved_after_it_was_given_up_or_is_gone_is_no_heal)
{
    struct scene scene;
    scene_set(suite, &scene);
    for (int try = 0; try <= LIMIT_REPLAY_TRIES; try++) {
        (void)begin(suite, &scene.replay);
        is_due(suite);
    }
    suite_exec(suite, "UPDATE tasks SET stage = 'review'");
    struct store_replays_moved moved = moved_of(suite);
    assert_int_equal(moved.n, 1);
    assert_true(moved.rows[0].given_up);
    store_replays_moved_done(&moved);
    suite_exec(suite, "DELETE FROM tasks");
    moved = moved_of(suite);
    assert_int_equal(moved.n, 1);
    assert_true(moved.rows[0].gone);
    assert_true(settle(suite, &moved.rows[0], false));
    assert_int_equal(replays(suite), 0);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_ledger"), 0);
    store_replays_moved_done(&moved);
}

SUITE_TEST(what_the_ledger_has_already_is_no_second_heal)
{
    struct scene scene;
    scene_set(suite, &scene);
    (void)begin(suite, &scene.replay);
    struct store_transition moved_here = suite_transition(&scene.stuck.tasks[0]);
    assert_int_equal(suite_move(suite, &moved_here), STORE_MOVED);
    struct store_replays_moved moved = moved_of(suite);
    assert_int_equal(moved.n, 1);
    assert_true(moved.rows[0].given_up);
    store_replays_moved_done(&moved);
}

/* several at once */

enum { REPLICAS = 4, TASKS = 12 };

struct replica {
    pthread_t thread;
    struct store *store;
    const struct store_replay *batch;
    size_t due, failed;
};

static void *begin_all(void *arg)
{
    struct replica *replica = arg;
    struct store_replay_seen seen[TASKS];
    replica->failed = store_replay_begin(replica->store, 0, 0, replica->batch, TASKS, seen, NULL) != ERR_OK;
    for (size_t i = 0; !replica->failed && i < TASKS; i++)
        replica->due += seen[i].state == STORE_REPLAY_DUE;
    return NULL;
}

SUITE_TEST(of_racing_replicas_one_sends_each_replay)
{
    struct replica replicas[REPLICAS] = {0};
    struct store_replay batch[TASKS];
    struct store_transition rows[TASKS];
    char subjects[TASKS][24];
    size_t due = 0;
    for (int64_t i = 0; i < TASKS; i++)
        suite_task(suite, i + 1, "development", "o/r", 5000 - i);
    struct store_task_list stuck = suite_stuck(suite);
    assert_int_equal(stuck.n_tasks, TASKS);
    for (size_t i = 0; i < TASKS; i++) {
        rows[i] = suite_transition(&stuck.tasks[i]);
        (void)snprintf(subjects[i], sizeof subjects[i], "task/%lld", (long long)stuck.tasks[i].id);
        batch[i] = (struct store_replay){
            .subject = subjects[i], .delivery = uuid_from_name(subjects[i]), .row = &rows[i]};
    }
    for (size_t i = 0; i < REPLICAS; i++) {
        replicas[i].batch = batch;
        ASSERT_OK(store_open(suite->url, NULL, &replicas[i].store, NULL));
        assert_int_equal(pthread_create(&replicas[i].thread, NULL, begin_all, &replicas[i]), 0);
    }
    for (size_t i = 0; i < REPLICAS; i++) {
        (void)pthread_join(replicas[i].thread, NULL);
        assert_int_equal(replicas[i].failed, 0);
        due += replicas[i].due;
        store_free(replicas[i].store);
    }
    assert_int_equal(due, TASKS);
    assert_int_equal(suite_number(suite, "SELECT count(*) FROM reconcile_replays WHERE tries = 1"), TASKS);
}
