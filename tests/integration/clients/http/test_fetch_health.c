/* Whose turn it is, who is not asked, and what is probed: the fetcher and a health against a server in which
 * some parts hang or fail. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/text.h"
#include "clients/http/fetch.h"
#include "clients/http/upstream_health.h"
#include "tests/support/clients/http/curl_group.h"
#include "tests/support/clients/http/script_server.h"
#include "tests/support/test.h"

enum { PATIENCE_MS = 20000, BRIEF_MS = 400 };

/* A part is asked at "/PART". */
struct scene {
    struct script_server *server;
    struct fetch *fetch;
    struct fetch_inbox *inbox; /* gathers */
    struct upstream_health *health;
    struct fetch_request like; /* what is sent, except its address and part */
};

static void scene_open(struct scene *scene, int64_t timeout_ms, unsigned per_host)
{
    const struct fetch_options options = {.timeout_ms = timeout_ms, .per_host = per_host};
    scene->server = script_server_start();
    assert_int_equal(fetch_new(&options, &scene->fetch, NULL), ERR_OK);
    scene->inbox = fetch_inbox_new(scene->fetch);
    fetch_gather(scene->inbox);
    scene->health = upstream_health_new();
    scene->like =
        (struct fetch_request){.upstream = FETCH_TO_GITEA, .method = "GET", .health = scene->health};
}

static void scene_close(struct scene *scene)
{
    script_server_release(scene->server);
    fetch_inbox_free(scene->inbox);
    upstream_health_free(scene->health); /* before the fetcher, which may hold it still */
    fetch_free(scene->fetch);
    script_server_stop(scene->server);
}

static void ask(struct scene *scene, const char *part, size_t n)
{
    AUTO_FREE char *url = mem_printf("%s/%s", script_server_url(scene->server), part);
    scene->like.url = url;
    scene->like.part = part;
    for (size_t i = 0; i < n; i++)
        fetch_send(scene->inbox, &scene->like);
}

/* Nothing has come yet; what was gathered is sent. */
static void send_all(struct scene *scene)
{
    assert_null(fetch_take(scene->inbox, 0));
}

static void hangs(struct scene *scene, const char *part)
{
    AUTO_FREE char *target = mem_printf("/%s", part);
    script_server_on(scene->server, target, &(struct script_reply){.act = SCRIPT_HANG, .body = "{}"});
}

static void answers(struct scene *scene, const char *part, int status)
{
    AUTO_FREE char *target = mem_printf("/%s", part);
    script_server_on(scene->server, target, &(struct script_reply){.status = status, .body = "{}"});
}

static size_t asked(struct scene *scene, const char *part)
{
    AUTO_FREE char *target = part ? mem_printf("/%s", part) : NULL;
    return script_server_count(scene->server, target);
}

/* How many answers of each kind there were, once all are in. */
struct came {
    size_t answered, timed_out, not_asked;
    char error[160]; /* of one that was not asked */
};

static struct came take(struct scene *scene, size_t n)
{
    struct came came = {0};
    for (size_t i = 0; i < n; i++) {
        struct fetch_answer *answer = fetch_take(scene->inbox, PATIENCE_MS);
        assert_non_null(answer);
        came.answered += answer->result == FETCH_ANSWERED;
        came.timed_out += answer->result == FETCH_TIMED_OUT;
        came.not_asked += answer->result == FETCH_NOT_ASKED;
        if (answer->result == FETCH_NOT_ASKED)
            snprintf(came.error, sizeof came.error, "%s", answer->error);
        fetch_answer_free(answer);
    }
    return came;
}

static struct came take_all(struct scene *scene)
{
    return take(scene, fetch_pending(scene->inbox));
}

static struct upstream_part seen(struct scene *scene, const char *part)
{
    struct upstream_part ret;
    upstream_health_part(scene->health, part, &ret);
    return ret;
}

static bool is_down(struct scene *scene)
{
    return upstream_health_is_down(scene->health);
}

/* slots */

TEST(what_hangs_holds_a_few_slots_however_much_is_asked_about_it)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 16);
    hangs(&scene, "hung");
    answers(&scene, "well", 200);
    ask(&scene, "hung", 40);
    send_all(&scene);
    script_server_wait(scene.server, UPSTREAM_FAILURES_IN_A_ROW);
    ask(&scene, "well", 100);
    struct came came = take(&scene, 100);
    assert_int_equal(came.answered, 100);
    assert_int_equal(asked(&scene, "hung"), UPSTREAM_FAILURES_IN_A_ROW);
    scene_close(&scene);
}

TEST(what_answers_soon_has_every_slot)
{
    enum { SLOTS = 16 };
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, SLOTS);
    answers(&scene, "well", 200);
    ask(&scene, "well", 100);
    assert_int_equal(take_all(&scene).answered, 100);
    hangs(&scene, "well");
    /* Its newest success must be of just now, however slow this machine is. */
    size_t before = asked(&scene, NULL);
    ask(&scene, "well", 100);
    send_all(&scene);
    script_server_wait(scene.server, before + SLOTS - 2);
    assert_true(script_server_peak(scene.server) <= SLOTS);
    script_server_release(scene.server);
    assert_int_equal(take_all(&scene).answered, 100);
    scene_close(&scene);
}

TEST(some_slots_are_kept_for_calls_that_a_person_waits_for)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 8);
    static const char *const parts[] = {"a", "b", "c"};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        hangs(&scene, parts[i]);
        ask(&scene, parts[i], 10);
    }
    answers(&scene, "well", 200);
    send_all(&scene);
    script_server_wait(scene.server, 7);
    scene.like.waited_for = true;
    for (int i = 0; i < 20; i++) {
        ask(&scene, "well", 1);
        assert_int_equal(take(&scene, 1).answered, 1);
    }
    assert_int_equal(asked(&scene, NULL), 7 + 20);
    scene_close(&scene);
}

TEST(parts_take_turns)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 1);
    hangs(&scene, "many");
    hangs(&scene, "few");
    ask(&scene, "many", 50);
    ask(&scene, "few", 1);
    send_all(&scene);
    script_server_wait(scene.server, 1);
    script_server_release(scene.server);
    assert_int_equal(take_all(&scene).answered, 51);
    AUTO_FREE char *second = script_server_request(scene.server, 1);
    assert_int_equal(strncmp(second, "GET /few ", 9), 0);
    scene_close(&scene);
}

/* a part backs off */

TEST(what_hangs_costs_one_time_out_and_its_neighbours_nothing)
{
    struct scene scene;
    scene_open(&scene, BRIEF_MS, 16);
    hangs(&scene, "hung");
    answers(&scene, "well", 200);
    ask(&scene, "hung", 40);
    ask(&scene, "well", 40);
    struct came came = take_all(&scene);
    assert_int_equal(came.answered, 40);
    assert_int_equal(came.timed_out, UPSTREAM_FAILURES_IN_A_ROW);
    assert_int_equal(came.not_asked, 40 - UPSTREAM_FAILURES_IN_A_ROW);
    assert_non_null(strstr(came.error, "the last 4 calls about hung failed (timed out after 0."));
    assert_false(is_down(&scene));
    ask(&scene, "well", 10);
    assert_int_equal(take_all(&scene).answered, 10);
    scene_close(&scene);
}

/* Four failures, without an answer or with a bad one; then the back-off is at its begin. */
static void make_back_off(struct scene *scene, const char *part)
{
    answers(scene, "well", 200);
    ask(scene, "well", 1);
    ask(scene, part, UPSTREAM_FAILURES_IN_A_ROW);
    (void)take_all(scene);
    assert_true(seen(scene, part).retry_ms > 0);
}

static void wait_for_its_end(struct scene *scene, const char *part)
{
    while (clock_mono_ms() < seen(scene, part).retry_ms)
        assert_null(fetch_take(scene->inbox, 5));
}

TEST(the_end_of_a_back_off_is_one_call_that_decides_for_the_others)
{
    struct scene scene;
    scene_open(&scene, BRIEF_MS, 16);
    hangs(&scene, "hung");
    make_back_off(&scene, "hung");
    wait_for_its_end(&scene, "hung");
    ask(&scene, "hung", 10);
    struct came came = take_all(&scene);
    assert_int_equal(came.timed_out, 1);
    assert_int_equal(came.not_asked, 9);

    wait_for_its_end(&scene, "hung");
    script_server_release(scene.server);
    ask(&scene, "hung", 10);
    assert_int_equal(take_all(&scene).answered, 10);
    assert_int_equal(seen(&scene, "hung").retry_ms, 0);

    answers(&scene, "bad", 500);
    make_back_off(&scene, "bad");
    answers(&scene, "bad", 200);
    wait_for_its_end(&scene, "bad");
    ask(&scene, "bad", 10);
    assert_int_equal(take_all(&scene).answered, 10);
    scene_close(&scene);
}

TEST(what_backs_off_waits_for_no_slot)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 8);
    int64_t later_ms = clock_mono_ms() + 3600000; /* so that the back-off outlasts this test */
    for (unsigned i = 0; i < UPSTREAM_FAILURES_IN_A_ROW; i++)
        (void)upstream_health_record(scene.health, "bad", UPSTREAM_FAILED, "answered 500", later_ms);
    hangs(&scene, "a");
    hangs(&scene, "b");
    ask(&scene, "a", 10);
    ask(&scene, "b", 10);
    send_all(&scene);
    script_server_wait(scene.server, 7);
    ask(&scene, "bad", 1);
    assert_int_equal(take(&scene, 1).not_asked, 1);
    scene_close(&scene);
}

TEST(a_forced_call_ignores_a_back_off_from_before)
{
    struct scene scene;
    scene_open(&scene, BRIEF_MS, 16);
    hangs(&scene, "hung");
    make_back_off(&scene, "hung");
    scene.like.forced = true;
    ask(&scene, "hung", 40);
    struct came came = take_all(&scene);
    assert_int_equal(came.timed_out, 1);
    assert_int_equal(came.not_asked, 39);
    script_server_release(scene.server);
    ask(&scene, "hung", 5);
    assert_int_equal(take_all(&scene).answered, 5);
    scene_close(&scene);
}

TEST(a_person_is_answered_about_a_part_that_answers_badly_elsewhere)
{
    struct scene scene;
    scene_open(&scene, BRIEF_MS, 16);
    answers(&scene, "bad", 500);
    make_back_off(&scene, "bad");
    answers(&scene, "bad", 200);
    ask(&scene, "bad", 1);
    assert_int_equal(take_all(&scene).not_asked, 1);
    scene.like.waited_for = true;
    ask(&scene, "bad", 1);
    assert_int_equal(take_all(&scene).answered, 1);
    scene_close(&scene);
}

TEST(a_person_does_not_wait_for_a_part_that_hangs)
{
    struct scene scene;
    scene_open(&scene, BRIEF_MS, 16);
    hangs(&scene, "hung");
    make_back_off(&scene, "hung");
    size_t before = asked(&scene, NULL);
    scene.like.waited_for = true;
    ask(&scene, "hung", 1);
    assert_int_equal(take_all(&scene).not_asked, 1);
    assert_int_equal(asked(&scene, NULL), before);
    scene_close(&scene);
}

/* a host is down */

enum { PARTS = 10 };
static const char *const parts[PARTS] = {"p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9"};

/* p6 to p9 have worked; then p0 to p2 fail. From then on those from `first_hung` on hang, p0 to p2 answer
 * with 500 and the others as they are asked. */
static void bring_down(struct scene *scene, size_t first_hung)
{
    for (size_t i = 6; i < PARTS; i++) {
        answers(scene, parts[i], 200);
        ask(scene, parts[i], 1);
    }
    assert_int_equal(take_all(scene).answered, 4);
    for (size_t i = 0; i < 3; i++) {
        answers(scene, parts[i], 500);
        ask(scene, parts[i], 1);
    }
    (void)take_all(scene);
    assert_true(is_down(scene));
    for (size_t i = first_hung; i < PARTS; i++)
        hangs(scene, parts[i]);
}

static void ask_every_part(struct scene *scene, size_t n)
{
    for (size_t i = 0; i < PARTS; i++)
        ask(scene, parts[i], n);
}

/* Each pass is an inbox of its own. */
static void next_pass(struct scene *scene)
{
    fetch_inbox_free(scene->inbox);
    scene->inbox = fetch_inbox_new(scene->fetch);
    fetch_gather(scene->inbox);
}

TEST(a_host_that_is_down_is_asked_four_things_about_what_worked_last)
{
    struct scene scene;
    scene_open(&scene, BRIEF_MS, 16);
    bring_down(&scene, 0);
    next_pass(&scene);
    size_t before = asked(&scene, NULL);
    ask_every_part(&scene, 5);
    struct came came = take_all(&scene);
    assert_int_equal(came.timed_out, UPSTREAM_PROBES);
    assert_int_equal(came.not_asked, 5 * PARTS - UPSTREAM_PROBES);
    /* At which limit, that of connecting or that of the call, is the machine's matter. */
    assert_non_null(strstr(came.error, "not asked: the host is down (timed out after 0."));
    assert_int_equal(asked(&scene, NULL), before + UPSTREAM_PROBES);
    for (size_t i = 6; i < PARTS; i++)
        assert_int_equal(asked(&scene, parts[i]), 2);
    assert_int_equal(script_server_peak(scene.server), UPSTREAM_PROBES); /* side by side */

    ask(&scene, "another", 3); /* the same pass */
    assert_int_equal(take_all(&scene).not_asked, 3);
    next_pass(&scene);
    ask(&scene, "another", 3);
    assert_int_equal(take_all(&scene).answered, 3); /* a 404 is an answer */
    assert_false(is_down(&scene));
    scene_close(&scene);
}

TEST(a_probe_that_works_lets_the_pass_go_on)
{
    struct scene scene;
    scene_open(&scene, BRIEF_MS, 16);
    bring_down(&scene, PARTS - 1); /* p9 alone hangs */
    next_pass(&scene);
    ask_every_part(&scene, 3);
    struct came came = take_all(&scene);
    assert_true(came.answered >= 3 * (PARTS - 1)); /* a 500 is an answer, a 404 a good one */
    assert_false(is_down(&scene));
    assert_int_equal(asked(&scene, "p9"), 1 + came.timed_out);
    scene_close(&scene);
}

/* Between two steps of the one part that works, the others take the host down. */
TEST(the_last_probe_is_kept_for_a_part_that_works)
{
    struct scene scene;
    scene_open(&scene, BRIEF_MS, 16);
    ask(&scene, "works", 1);
    assert_int_equal(take_all(&scene).answered, 1); /* a 404 is an answer */
    for (size_t i = 0; i < PARTS; i++)
        hangs(&scene, parts[i]);
    for (size_t i = 0; i < UPSTREAM_PARTS_DOWN; i++)
        ask(&scene, parts[i], 1);
    (void)take_all(&scene);
    assert_true(is_down(&scene));
    ask_every_part(&scene, 1);
    assert_int_equal(take_all(&scene).timed_out, UPSTREAM_PROBES - 1);
    ask(&scene, "works", 3); /* the same pass */
    assert_int_equal(take_all(&scene).answered, 3);
    assert_false(is_down(&scene));
    scene_close(&scene);
}

TEST(the_inboxes_of_one_pass_share_its_probes)
{
    struct scene scene;
    scene_open(&scene, BRIEF_MS, 16);
    bring_down(&scene, 0);
    size_t before = asked(&scene, NULL);
    scene.like.pass = fetch_pass(scene.fetch);
    for (int i = 0; i < 3; i++) {
        next_pass(&scene);
        ask_every_part(&scene, 1);
        (void)take_all(&scene);
    }
    assert_int_equal(asked(&scene, NULL), before + UPSTREAM_PROBES);
    scene_close(&scene);
}

TEST(a_forced_pass_probes_no_more_than_others)
{
    struct scene scene;
    scene_open(&scene, BRIEF_MS, 16);
    bring_down(&scene, 0);
    next_pass(&scene);
    size_t before = asked(&scene, NULL);
    scene.like.forced = scene.like.waited_for = true;
    ask_every_part(&scene, 1);
    assert_int_equal(take_all(&scene).timed_out, UPSTREAM_PROBES);
    assert_int_equal(asked(&scene, NULL), before + UPSTREAM_PROBES);
    scene_close(&scene);
}

TEST(what_waits_for_a_probe_ends_at_its_deadline)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 16);
    bring_down(&scene, 0);
    next_pass(&scene);
    ask_every_part(&scene, 1);
    scene.like.deadline_ms = clock_mono_ms() + 50;
    ask(&scene, "another", 1);
    struct came came = take(&scene, 1);
    assert_int_equal(came.timed_out, 1);
    scene_close(&scene);
}

TEST(two_upstreams_at_one_address_do_not_share_a_health)
{
    struct scene scene;
    scene_open(&scene, BRIEF_MS, 16);
    bring_down(&scene, PARTS);
    scene.like.health = NULL;
    ask(&scene, "p6", 1);
    assert_int_equal(take_all(&scene).answered, 1);
    assert_true(is_down(&scene));
    scene_close(&scene);
}

/* what is recorded */

static enum fetch_sign shows_nothing(const struct fetch_answer *answer, char *error, size_t size)
{
    (void)answer, (void)error, (void)size;
    return FETCH_SIGN_NONE;
}

static enum fetch_sign is_bad(const struct fetch_answer *answer, char *error, size_t size)
{
    snprintf(error, size, "answered %s", answer->body);
    return FETCH_SIGN_BAD;
}

TEST(each_exchange_is_recorded_once)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 4);
    answers(&scene, "busy", 503);
    ask(&scene, "busy", 1);
    (void)take_all(&scene);
    assert_int_equal(asked(&scene, "busy"), 3); /* tried again twice */
    assert_int_equal(seen(&scene, "busy").failures, 3);
    assert_string_equal(seen(&scene, "busy").error, "answered 503");
    script_server_on(scene.server, "/old",
                     &(struct script_reply){.status = 301, .headers = "Location: /new\r\n"});
    answers(&scene, "new", 500);
    ask(&scene, "old", 1);
    (void)take_all(&scene);
    assert_int_equal(seen(&scene, "old").failures, 1);
    scene_close(&scene);
}

TEST(a_moment_of_failures_is_over_with_the_next_try)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 16);
    for (unsigned i = 0; i < UPSTREAM_FAILURES_IN_A_ROW; i++)
        answers(&scene, "busy", 502);
    answers(&scene, "busy", 200);
    ask(&scene, "busy", UPSTREAM_FAILURES_IN_A_ROW);
    send_all(&scene);
    for (unsigned i = 0; i < UPSTREAM_FAILURES_IN_A_ROW; i++) {
        struct fetch_answer *answer = fetch_take(scene.inbox, PATIENCE_MS);
        assert_int_equal(answer->status, 200);
        fetch_answer_free(answer);
    }
    assert_int_equal(seen(&scene, "busy").retry_ms, 0);
    scene_close(&scene);
}

TEST(a_judge_says_what_an_answer_shows)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 4);
    answers(&scene, "a", 500);
    scene.like.judge = shows_nothing;
    ask(&scene, "a", 1);
    (void)take_all(&scene);
    assert_int_equal(seen(&scene, "a").failures, 0);
    script_server_json(scene.server, "/b", "hush");
    scene.like.judge = is_bad;
    ask(&scene, "b", 1);
    (void)take_all(&scene);
    assert_string_equal(seen(&scene, "b").error, "answered hush");
    scene.like.secret = "hush";
    ask(&scene, "b", 1);
    (void)take_all(&scene);
    assert_string_equal(seen(&scene, "b").error, "answered 200");
    scene_close(&scene);
}

TEST(what_we_ended_ourselves_says_nothing)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 4);
    hangs(&scene, "a");
    scene.like.deadline_ms = clock_mono_ms() + 50;
    ask(&scene, "a", 3);
    assert_int_equal(take_all(&scene).timed_out, 3);
    scene.like.deadline_ms = 0;
    ask(&scene, "a", 1);
    send_all(&scene);
    fetch_inbox_abort(scene.inbox);
    (void)take_all(&scene);
    assert_int_equal(seen(&scene, "a").failures, 0);
    scene_close(&scene);
}

TEST(what_is_gathered_may_be_aborted_or_freed)
{
    struct scene scene;
    scene_open(&scene, PATIENCE_MS, 4);
    answers(&scene, "a", 200);
    ask(&scene, "a", 3);
    fetch_inbox_abort(scene.inbox);
    ask(&scene, "a", 2);
    struct came came = take_all(&scene);
    assert_int_equal(came.answered, 2);
    ask(&scene, "a", 3);
    next_pass(&scene);
    ask(&scene, "a", 1);
    assert_int_equal(take_all(&scene).answered, 1);
    scene_close(&scene);
}

TEST_GROUP(curl_begin, curl_end)
