/* The threads that answer questions to upstreams: against a scripted Gitea that answers, hangs, and is not
 * there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "reconcile/sweep/query_pool.h"
#include "tests/support/clients/gitea/gitea_scene.h"
#include "tests/support/clients/http/names.h"

static struct query_pool *query_pool;

/* A query after the heads of two branches, one after the other: answered by both shas, or by what is
 * known. */
struct subject {
    struct gitea *gitea;
    char first[32], second[32];
    sem_t *looked; /* posted at each look that finds something pending; NULL: not wanted */
    char answer[128];
};

static atomic_int looks, freed;

static const char *sha_of(const struct gitea_head *head)
{
    return head->fact.state == FACT_KNOWN ? head->sha : head->fact.state == FACT_ABSENT ? "absent" : "failed";
}

static const void *look(void *arg, struct facts *facts)
{
    struct subject *subject = arg;
    atomic_fetch_add(&looks, 1);
    const struct gitea_head *first = gitea_head(facts, subject->gitea, REPO, subject->first), *second = NULL;
    if (first->fact.state != FACT_PENDING)
        second = gitea_head(facts, subject->gitea, REPO, subject->second);
    if (!second || second->fact.state == FACT_PENDING) {
        if (subject->looked)
            sem_post(subject->looked);
        return NULL;
    }
    snprintf(subject->answer, sizeof subject->answer, "%.50s %.50s", sha_of(first), sha_of(second));
    return subject->answer;
}

static void subject_free(void *arg)
{
    atomic_fetch_add(&freed, 1);
    free(arg);
}

enum { BACKGROUND_MS = 200 };
static const struct query_ops kind = {.look = look, .free = subject_free},
                              background_kind = {.look = look,
                                                 .free = subject_free,
                                                 .background_ms = BACKGROUND_MS},
                              patient_background_kind = {
                                  .look = look, .free = subject_free, .background_ms = PATIENCE_MS};

/* A query that waits for a test to let it go on. */
struct blocked {
    sem_t begun, go_on;
};

static const void *wait_for_it(void *arg, int64_t deadline_ms)
{
    struct blocked *blocked = arg;
    (void)deadline_ms;
    sem_post(&blocked->begun);
    sem_wait(&blocked->go_on);
    return "asked";
}

/* A query that asks a server which hangs. */

static const void *call_it(void *arg, int64_t deadline_ms)
{
    const struct scene *scene = arg;
    struct fetch_inbox *inbox = fetch_inbox_new(scene->fetch);
    AUTO_FREE char *url = mem_printf("%s" API "/branches/slow", script_server_url(scene->server));
    fetch_send(inbox, &(const struct fetch_request){.method = "GET", .url = url, .deadline_ms = deadline_ms});
    struct fetch_answer *answer = fetch_take(inbox, -1);
    const char *text = answer->result == FETCH_ABORTED ? "aborted" : "not aborted";
    fetch_answer_free(answer);
    fetch_inbox_free(inbox);
    return text;
}

static void not_ours(void *arg)
{
    (void)arg;
    atomic_fetch_add(&freed, 1);
}

static const struct query_ops waiting_kind = {.ask = wait_for_it, .free = not_ours},
                              calling_kind = {.ask = call_it, .free = not_ours};

/* A waiter for an answer. */
struct asker {
    sem_t answered;
    char text[128]; /* "stopped" for NULL */
};

static void on_done(void *arg, const void *answer)
{
    struct asker *asker = arg;
    snprintf(asker->text, sizeof asker->text, "%s", answer ? (const char *)answer : "stopped");
    sem_post(&asker->answered);
}

static enum err ask_as(const struct query_ops *ops, struct scene *scene, const char *key, const char *first,
                       const char *second, sem_t *looked, struct asker *asker)
{
    struct subject *subject = mem_zero(1, sizeof *subject);
    subject->gitea = scene->gitea;
    subject->looked = looked;
    snprintf(subject->first, sizeof subject->first, "%s", first);
    snprintf(subject->second, sizeof subject->second, "%s", second);
    sem_init(&asker->answered, 0, 0);
    return query_pool_ask(query_pool, key, ops, subject, on_done, asker, NULL);
}

static enum err ask(struct scene *scene, const char *key, const char *first, const char *second,
                    sem_t *looked, struct asker *asker)
{
    return ask_as(&kind, scene, key, first, second, looked, asker);
}

static void expect(struct asker *asker, const char *text)
{
    sem_wait(&asker->answered);
    assert_string_equal(asker->text, text);
}

static void branch_is_there(struct scene *scene, const char *name)
{
    AUTO_FREE char *target = mem_printf(API "/branches/%s", name);
    on_json(scene, target, NULL, mem_printf("{\"name\":\"%s\",\"commit\":{\"id\":\"" SHA "\"}}", name));
}

static void branch_hangs(struct scene *scene, const char *name)
{
    AUTO_FREE char *target = mem_printf(API "/branches/%s", name);
    AUTO_FREE char *body = mem_printf("{\"name\":\"%s\",\"commit\":{\"id\":\"" SHA "\"}}", name);
    script_server_on(scene->server, target, &(struct script_reply){.act = SCRIPT_HANG, .body = body});
}

static int open_with(void **state, int64_t timeout_ms)
{
    atomic_store(&looks, 0);
    atomic_store(&freed, 0);
    if (scene_open(state))
        return 1;
    return query_pool_start(((struct scene *)*state)->fetch, timeout_ms, &query_pool, NULL) != ERR_OK;
}

static int open_patient(void **state)
{
    return open_with(state, PATIENCE_MS);
}

static int open_hasty(void **state)
{
    return open_with(state, 200);
}

static int close_all(void **state)
{
    query_pool_stop(query_pool);
    query_pool_free(query_pool);
    return scene_close(state);
}

static void an_inquiry_is_looked_at_until_it_has_an_answer(void **state)
{
    struct scene *scene = *state;
    struct asker asker;
    branch_is_there(scene, "a");
    assert_int_equal(ask(scene, "k", "a", "b", NULL, &asker), ERR_OK);
    expect(&asker, SHA " absent");
    assert_int_equal(atomic_load(&looks), 3);
    query_pool_stop(query_pool);
    assert_int_equal(atomic_load(&freed), 1);
}

static void what_needs_no_upstream_is_answered_too(void **state)
{
    struct scene *scene = *state;
    struct gitea *nowhere = scene->gitea;
    struct asker asker;
    assert_int_equal(gitea_new(NULL, NULL, &test_names, &scene->gitea, NULL), ERR_OK);
    assert_int_equal(ask(scene, NULL, "a", "b", NULL, &asker), ERR_OK);
    expect(&asker, "failed failed");
    query_pool_stop(query_pool);
    gitea_free(scene->gitea);
    scene->gitea = nowhere;
}

static void equal_questions_share_one_query(void **state)
{
    struct scene *scene = *state;
    enum { MANY = 1000 };
    static struct asker askers[MANY];
    branch_hangs(scene, "a");
    branch_is_there(scene, "b");
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(ask(scene, "same", "a", "b", NULL, &askers[i]), ERR_OK);
    script_server_wait(scene->server, 1);
    script_server_release(scene->server);
    for (size_t i = 0; i < MANY; i++)
        expect(&askers[i], SHA " " SHA);
    assert_int_equal(script_server_count(scene->server, NULL), 2);
}

static void different_questions_do_not(void **state)
{
    struct scene *scene = *state;
    struct asker one, other, unshared[2];
    branch_is_there(scene, "a");
    assert_int_equal(ask(scene, "one", "a", "b", NULL, &one), ERR_OK);
    assert_int_equal(ask(scene, "other", "b", "a", NULL, &other), ERR_OK);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(ask(scene, NULL, "a", "a", NULL, &unshared[i]), ERR_OK);
    expect(&one, SHA " absent");
    expect(&other, "absent " SHA);
    for (size_t i = 0; i < 2; i++)
        expect(&unshared[i], SHA " " SHA);
    assert_int_equal(script_server_count(scene->server, NULL), 6);
}

static void who_asks_after_the_last_look_gets_a_look_of_its_own(void **state)
{
    struct scene *scene = *state;
    struct asker asker;
    branch_is_there(scene, "a");
    for (int i = 0; i < 200; i++) {
        atomic_store(&looks, 0);
        assert_int_equal(ask(scene, "k", "a", "a", NULL, &asker), ERR_OK);
        expect(&asker, SHA " " SHA);
        assert_true(atomic_load(&looks) >= 1);
    }
}

static void what_hangs_delays_nobody_else(void **state)
{
    struct scene *scene = *state;
    enum { HUNG = 5 };
    struct asker hung[HUNG], asker;
    sem_t looked;
    sem_init(&looked, 0, 0);
    branch_hangs(scene, "slow");
    branch_is_there(scene, "a");
    for (size_t i = 0; i < HUNG; i++)
        assert_int_equal(ask(scene, NULL, "slow", "a", &looked, &hung[i]), ERR_OK);
    for (size_t i = 0; i < HUNG; i++)
        sem_wait(&looked);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(ask(scene, NULL, "a", "a", NULL, &asker), ERR_OK);
        expect(&asker, SHA " " SHA);
    }
    script_server_release(scene->server);
    for (size_t i = 0; i < HUNG; i++)
        expect(&hung[i], SHA " " SHA);
}

static void what_hangs_ends_at_its_time(void **state)
{
    struct scene *scene = *state;
    struct asker asker;
    branch_hangs(scene, "slow");
    assert_int_equal(ask(scene, NULL, "slow", "a", NULL, &asker), ERR_OK);
    expect(&asker, "failed failed");
}

static void a_background_query_has_a_time_limit_of_its_own(void **state)
{
    struct scene *scene = *state;
    struct asker asker;
    int64_t begun_ms = clock_mono_ms();
    branch_hangs(scene, "slow");
    assert_int_equal(ask_as(&background_kind, scene, NULL, "slow", "a", NULL, &asker), ERR_OK);
    expect(&asker, "failed failed");
    assert_in_range(clock_mono_ms() - begun_ms, BACKGROUND_MS, PATIENCE_MS / 2);
}

static void background_queries_leave_room_for_people(void **state)
{
    struct scene *scene = *state;
    enum { HUNG = 10 }; /* more than the fetcher sends to one host at a time */
    struct asker hung[HUNG], asker;
    branch_is_there(scene, "a");
    for (int i = 0; i < HUNG; i++) {
        AUTO_FREE char *name = mem_printf("slow%d", i);
        branch_hangs(scene, name);
        assert_int_equal(ask_as(&patient_background_kind, scene, NULL, name, "a", NULL, &hung[i]), ERR_OK);
    }
    script_server_wait(scene->server, 1);
    assert_int_equal(ask(scene, NULL, "a", "a", NULL, &asker), ERR_OK);
    expect(&asker, SHA " " SHA);
    script_server_release(scene->server);
    for (size_t i = 0; i < HUNG; i++)
        expect(&hung[i], SHA " " SHA);
}

static void a_stop_tells_everyone_who_waits(void **state)
{
    struct scene *scene = *state;
    struct asker askers[3], late;
    sem_t looked;
    sem_init(&looked, 0, 0);
    branch_hangs(scene, "slow");
    assert_int_equal(ask(scene, "k", "slow", "a", &looked, &askers[0]), ERR_OK);
    assert_int_equal(ask(scene, "k", "slow", "a", &looked, &askers[1]), ERR_OK);
    assert_int_equal(ask(scene, NULL, "slow", "b", &looked, &askers[2]), ERR_OK);
    sem_wait(&looked);
    sem_wait(&looked);
    query_pool_stop(query_pool);
    for (size_t i = 0; i < 3; i++)
        expect(&askers[i], "stopped");
    assert_int_equal(ask(scene, "k", "slow", "a", NULL, &late), ERR_UNAVAILABLE);
    assert_int_equal(atomic_load(&freed), 4); /* of the second asker, of who came late, and both queries */
}

static enum err ask_waiting(struct blocked *blocked, const char *key, struct asker *asker)
{
    sem_init(&asker->answered, 0, 0);
    return query_pool_ask(query_pool, key, &waiting_kind, blocked, on_done, asker, NULL);
}

static void who_asks_and_waits_delays_no_look(void **state)
{
    struct scene *scene = *state;
    struct blocked blocked;
    struct asker asker, joined, next, looked;
    sem_init(&blocked.begun, 0, 0);
    sem_init(&blocked.go_on, 0, 0);
    branch_is_there(scene, "a");
    assert_int_equal(ask_waiting(&blocked, "k", &asker), ERR_OK);
    sem_wait(&blocked.begun);
    assert_int_equal(ask_waiting(&blocked, "k", &joined), ERR_OK);
    assert_int_equal(ask_waiting(&blocked, NULL, &next), ERR_OK);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(ask(scene, NULL, "a", "a", NULL, &looked), ERR_OK);
        expect(&looked, SHA " " SHA);
    }
    sem_post(&blocked.go_on);
    expect(&asker, "asked");
    sem_wait(&blocked.begun); /* again, for a caller that joined after it had begun */
    sem_post(&blocked.go_on);
    expect(&joined, "asked");
    sem_wait(&blocked.begun);
    sem_post(&blocked.go_on);
    expect(&next, "asked");
}

static enum err ask_calling(struct scene *scene, const char *key, struct asker *asker)
{
    sem_init(&asker->answered, 0, 0);
    return query_pool_ask(query_pool, key, &calling_kind, scene, on_done, asker, NULL);
}

static void a_stop_cuts_short_who_asks_and_waits(void **state)
{
    struct scene *scene = *state;
    struct asker asker, joined, next;
    branch_hangs(scene, "slow");
    assert_int_equal(ask_calling(scene, "k", &asker), ERR_OK);
    script_server_wait(scene->server, 1);
    assert_int_equal(ask_calling(scene, "k", &joined), ERR_OK);
    assert_int_equal(ask_calling(scene, NULL, &next), ERR_OK);
    int64_t begun_ms = clock_mono_ms();
    fetch_stop(scene->fetch);
    query_pool_stop(query_pool);
    expect(&asker, "stopped");
    expect(&joined, "stopped");
    expect(&next, "stopped");
    assert_in_range(clock_mono_ms() - begun_ms, 0, PATIENCE_MS / 2);
}

static void only_so_many_may_be_under_way(void **state)
{
    struct scene *scene = *state;
    static struct asker askers[LIMIT_QUERIES];
    struct asker late, joined;
    branch_hangs(scene, "slow");
    for (size_t i = 0; i < LIMIT_QUERIES; i++)
        assert_int_equal(ask(scene, i ? NULL : "k", "slow", "a", NULL, &askers[i]), ERR_OK);
    assert_int_equal(ask(scene, NULL, "slow", "a", NULL, &late), ERR_UNAVAILABLE);
    assert_int_equal(ask(scene, "k", "slow", "a", NULL, &joined), ERR_OK);
    script_server_release(scene->server);
    for (size_t i = 0; i < LIMIT_QUERIES; i++)
        sem_wait(&askers[i].answered);
    sem_wait(&joined.answered);
    assert_int_equal(ask(scene, NULL, "a", "a", NULL, &late),
                     ERR_OK); /* an answered waiter has left its place */
    expect(&late, "absent absent");
}

#define PATIENT(test) cmocka_unit_test_setup_teardown(test, open_patient, close_all)
#define HASTY(test) cmocka_unit_test_setup_teardown(test, open_hasty, close_all)

int main(void)
{
    gitea_scene_prepare();
    const struct CMUnitTest tests[] = {
        PATIENT(an_inquiry_is_looked_at_until_it_has_an_answer),
        PATIENT(what_needs_no_upstream_is_answered_too),
        PATIENT(equal_questions_share_one_query),
        PATIENT(different_questions_do_not),
        PATIENT(who_asks_after_the_last_look_gets_a_look_of_its_own),
        PATIENT(what_hangs_delays_nobody_else),
        HASTY(what_hangs_ends_at_its_time),
        PATIENT(a_background_query_has_a_time_limit_of_its_own),
        PATIENT(background_queries_leave_room_for_people),
        PATIENT(a_stop_tells_everyone_who_waits),
        PATIENT(who_asks_and_waits_delays_no_look),
        PATIENT(a_stop_cuts_short_who_asks_and_waits),
        PATIENT(only_so_many_may_be_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
