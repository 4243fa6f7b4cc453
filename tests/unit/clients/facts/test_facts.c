/* The fact set: equal requests joined, waiters named once. Nothing is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/facts/facts.h"
#include "clients/facts/fact_source.h"

struct asked {
    struct fact_request request;
    struct fact fact;
    int payload;
};

struct scene {
    struct fetch *fetch;
    struct facts *facts;
};

static int scene_open(void **state)
{
    struct scene *scene = mem_zero(1, sizeof *scene);
    const struct fetch_options options = {.timeout_ms = 1000, .per_host = 1};
    if (fetch_new(&options, &scene->fetch, NULL))
        return 1;
    scene->facts = facts_new(scene->fetch, clock_mono_ms() + 60000);
    *state = scene;
    return 0;
}

static int scene_close(void **state)
{
    struct scene *scene = *state;
    facts_free(scene->facts);
    fetch_free(scene->fetch);
    free(scene);
    return 0;
}

static struct asked *ask(struct scene *scene, const char *key, bool *ret_new)
{
    struct asked *asked = (struct asked *)(void *)fact_request_get(scene->facts, key, sizeof *asked, ret_new);
    asked->request.fact = &asked->fact;
    return asked;
}

static void *next_waiter(struct scene *scene)
{
    void *waiter = NULL;
    return facts_wait(scene->facts, 0, &waiter) == FACTS_READY ? waiter : NULL;
}

static void equal_questions_are_one(void **state)
{
    struct scene *scene = *state;
    bool is_new;
    struct asked *first = ask(scene, "a\nb", &is_new);
    assert_true(is_new);
    first->payload = 7;
    assert_ptr_equal(ask(scene, "a\nb", &is_new), first);
    assert_false(is_new);
    assert_ptr_not_equal(ask(scene, "a\nc", &is_new), first);
    assert_true(is_new);
    struct asked *many[2000];
    for (int i = 0; i < 2000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        many[i] = ask(scene, key, &is_new);
        assert_true(is_new);
        assert_int_equal(many[i]->payload, 0);
    }
    for (int i = 0; i < 2000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        assert_ptr_equal(ask(scene, key, &is_new), many[i]);
    }
    assert_ptr_equal(ask(scene, "a\nb", &is_new), first);
    assert_int_equal(first->payload, 7);
}

static void a_waiter_is_named_once_however_many_of_its_facts_came(void **state)
{
    struct scene *scene = *state;
    bool is_new;
    struct asked *one = ask(scene, "one", &is_new), *two = ask(scene, "two", &is_new);
    int ann, bob;
    facts_subscribe(scene->facts, &bob);
    fact_await(scene->facts, &two->request);
    facts_subscribe(scene->facts, &ann);
    fact_await(scene->facts, &one->request);
    fact_await(scene->facts, &two->request);
    fact_await(scene->facts, &two->request);
    assert_null(next_waiter(scene));
    fact_settle(scene->facts, &one->request, FACT_KNOWN, NULL);
    fact_settle(scene->facts, &two->request, FACT_FAILED, "because");
    assert_string_equal(two->fact.error, "because");
    assert_ptr_equal(next_waiter(scene), &ann);
    assert_ptr_equal(next_waiter(scene), &bob);
    assert_null(next_waiter(scene));
}

static void a_waiter_may_wait_again_after_it_was_named(void **state)
{
    struct scene *scene = *state;
    bool is_new;
    struct asked *one = ask(scene, "one", &is_new), *two = ask(scene, "two", &is_new);
    int ann;
    facts_subscribe(scene->facts, &ann);
    fact_await(scene->facts, &one->request);
    fact_settle(scene->facts, &one->request, FACT_KNOWN, NULL);
    assert_ptr_equal(next_waiter(scene), &ann);
    fact_await(scene->facts, &one->request); /* settled: nothing to wait for */
    fact_await(scene->facts, &two->request); /* the one named last is the waiter */
    assert_null(next_waiter(scene));
    fact_settle(scene->facts, &two->request, FACT_ABSENT, "gone");
    assert_ptr_equal(next_waiter(scene), &ann);
    void *nobody;
    assert_int_equal(facts_wait(scene->facts, 0, &nobody), FACTS_ALL_ANSWERED);
}

static void thousands_of_waiters_are_all_named_in_their_order(void **state)
{
    struct scene *scene = *state;
    bool is_new;
    struct asked *one = ask(scene, "one", &is_new);
    static char who[3000];
    for (size_t i = 0; i < sizeof who; i++) {
        facts_subscribe(scene->facts, &who[i]);
        fact_await(scene->facts, &one->request);
    }
    fact_settle(scene->facts, &one->request, FACT_KNOWN, NULL);
    for (size_t i = 0; i < sizeof who; i++)
        assert_ptr_equal(next_waiter(scene), &who[i]);
    assert_null(next_waiter(scene));
}

static void count_up(struct facts *facts, void *arg)
{
    (void)facts;
    ++*(int *)arg;
}

static void what_depends_on_a_question_runs_when_it_is_settled_or_at_once(void **state)
{
    struct scene *scene = *state;
    bool is_new;
    struct asked *one = ask(scene, "one", &is_new);
    int ran = 0;
    fact_then(scene->facts, &one->request, count_up, &ran);
    fact_then(scene->facts, &one->request, count_up, &ran);
    assert_int_equal(ran, 0);
    fact_settle(scene->facts, &one->request, FACT_KNOWN, NULL);
    assert_int_equal(ran, 2);
    fact_then(scene->facts, &one->request, count_up, &ran);
    assert_int_equal(ran, 3);
}

static void keep_result(struct facts *facts, void *arg, const struct fetch_answer *answer)
{
    (void)facts;
    *(int *)arg = answer->result == FETCH_ABORTED ? 1 : -1;
}

static void after_a_stop_nothing_is_sent_and_all_is_answered(void **state)
{
    struct scene *scene = *state;
    fetch_stop(scene->fetch);
    int seen = 0;
    facts_get(scene->facts, &(struct fetch_request){.method = "GET", .url = "http://127.0.0.1:1/"},
              keep_result, &seen);
    void *nobody;
    assert_int_equal(facts_wait(scene->facts, -1, &nobody), FACTS_ALL_ANSWERED);
    assert_int_equal(seen, 1);
}

/* Makes the list `bytes` longer. */
static bool grow(struct scene *scene, struct facts_rows *rows, size_t bytes)
{
    (void)arena_zero(&rows->arena, 1, bytes);
    return facts_keep(scene->facts, rows);
}

static void a_long_list_costs_the_short_ones_nothing(void **state)
{
    enum { LONG = 200, SHORT = 100 };
    struct scene *scene = *state;
    struct facts_rows *rows = arena_zero(facts_arena(scene->facts), LONG + SHORT, sizeof *rows);
    assert_true(grow(scene, &rows[0], LIMIT_KEPT_LONG_BYTES / LIMIT_KEPT_SHARE - 64));
    assert_false(grow(scene, &rows[0], 128));
    facts_drop(scene->facts, &rows[0]);
    for (size_t i = 0; i < LONG; i++) {
        size_t left = LIMIT_KEPT_LONG_BYTES - fetch_keep(scene->fetch, 0), most = left / LIMIT_KEPT_SHARE;
        if (most > LIMIT_KEPT_SHORT)
            assert_true(grow(scene, &rows[i], most - 64));
    }
    assert_true(fetch_keep(scene->fetch, 0) <= LIMIT_KEPT_LONG_BYTES);
    for (size_t i = 0; i < SHORT; i++)
        assert_true(grow(scene, &rows[LONG + i], LIMIT_KEPT_SHORT - 64));
}

static void all_books_share_what_may_be_kept(void **state)
{
    enum { ALL = 2 * LIMIT_KEPT_BYTES / LIMIT_KEPT_SHORT };
    struct scene *scene = *state;
    struct facts *other = facts_new(scene->fetch, clock_mono_ms() + 60000);
    struct facts_rows *rows = arena_zero(facts_arena(other), ALL, sizeof *rows);
    size_t fit = 0;
    while (fit < ALL) {
        (void)arena_zero(&rows[fit].arena, 1, LIMIT_KEPT_SHORT);
        if (!facts_keep(other, &rows[fit]))
            break;
        fit++;
    }
    assert_int_equal(fit, LIMIT_KEPT_BYTES / LIMIT_KEPT_SHORT);
    struct facts_rows *mine = arena_zero(facts_arena(scene->facts), 2, sizeof *mine);
    assert_false(grow(scene, &mine[0], 64));
    facts_drop(scene->facts, &mine[0]);
    facts_free(other);
    assert_int_equal(fetch_keep(scene->fetch, 0), 0);
    assert_true(grow(scene, &mine[1], 64));
}

int main(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_questions_are_one, scene_open, scene_close),
        cmocka_unit_test_setup_teardown(a_waiter_is_named_once_however_many_of_its_facts_came, scene_open,
                                        scene_close),
        cmocka_unit_test_setup_teardown(a_waiter_may_wait_again_after_it_was_named, scene_open, scene_close),
        cmocka_unit_test_setup_teardown(thousands_of_waiters_are_all_named_in_their_order, scene_open,
                                        scene_close),
        cmocka_unit_test_setup_teardown(what_depends_on_a_question_runs_when_it_is_settled_or_at_once,
                                        scene_open, scene_close),
        cmocka_unit_test_setup_teardown(after_a_stop_nothing_is_sent_and_all_is_answered, scene_open,
                                        scene_close),
        cmocka_unit_test_setup_teardown(a_long_list_costs_the_short_ones_nothing, scene_open, scene_close),
        cmocka_unit_test_setup_teardown(all_books_share_what_may_be_kept, scene_open, scene_close),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return failed;
}
