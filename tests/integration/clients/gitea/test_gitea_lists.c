/* Gitea's client: statuses, reviews, files, against a server that answers as Gitea does, and as it should
 * not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "tests/support/clients/gitea/gitea_scene.h"

/* statuses */

#define STATUSES API "/commits/" SHA "/status?limit=50&page="

/* A page of statuses with ids `from` down to `to`, all green but `red`. */
static char *statuses_json(int from, int to, int red)
{
    char *body = mem_dup("{\"state\":\"success\",\"sha\":\"" SHA "\",\"total_count\":9,\"statuses\":[");
    for (int id = from; id >= to; id--) {
        AUTO_FREE char *piece = mem_printf("%s{\"id\":%d,\"status\":\"%s\",\"context\":\"c%d\"}",
                                           id < from ? "," : "", id, id == red ? "failure" : "success", id);
        text_add(&body, piece);
    }
    text_add(&body, "]}");
    return body;
}

static size_t reds_of(const struct gitea_statuses *statuses)
{
    size_t n = 0;
    for (size_t i = 0; i < statuses->n; i++)
        n += statuses->items[i].state == GITEA_FAILURE;
    return n;
}

static const struct gitea_statuses *statuses_asked(struct scene *scene)
{
    const struct gitea_statuses *statuses = gitea_statuses(scene->facts, scene->gitea, REPO, SHA);
    scene_settle(scene);
    return statuses;
}

static void a_red_status_on_the_last_page_is_seen(void **state)
{
    struct scene *scene = *state;
    on_json(scene, STATUSES "1", "X-Total-Count: 120\r\n", statuses_json(120, 71, 0));
    on_json(scene, STATUSES "2", "X-Total-Count: 120\r\n", statuses_json(70, 21, 0));
    on_json(scene, STATUSES "3", "X-Total-Count: 120\r\n", statuses_json(20, 1, 1));
    const struct gitea_statuses *statuses = statuses_asked(scene);
    assert_int_equal(statuses->fact.state, FACT_KNOWN);
    assert_int_equal(statuses->n, 120);
    assert_int_equal(reds_of(statuses), 1);
    assert_string_equal(statuses->items[119].context, "c1");
}

static void a_server_that_gives_smaller_pages_is_read_to_the_end(void **state)
{
    struct scene *scene = *state;
    on_json(scene, STATUSES "1", "X-Total-Count: 25\r\n", statuses_json(25, 16, 0));
    on_json(scene, STATUSES "2", "X-Total-Count: 25\r\n", statuses_json(15, 6, 0));
    on_json(scene, STATUSES "3", "X-Total-Count: 25\r\n", statuses_json(5, 1, 3));
    const struct gitea_statuses *statuses = statuses_asked(scene);
    assert_int_equal(statuses->fact.state, FACT_KNOWN);
    assert_int_equal(statuses->n, 25);
    assert_int_equal(reds_of(statuses), 1);
}

static void without_a_total_pages_are_read_until_an_empty_one(void **state)
{
    struct scene *scene = *state;
    on_json(scene, STATUSES "1", NULL, statuses_json(60, 11, 0));
    on_json(scene, STATUSES "2", NULL, statuses_json(10, 1, 2));
    on_json(scene, STATUSES "3", NULL,
            mem_dup("{\"state\":\"\",\"sha\":\"\",\"total_count\":0,\"statuses\":null}"));
    const struct gitea_statuses *statuses = statuses_asked(scene);
    assert_int_equal(statuses->fact.state, FACT_KNOWN);
    assert_int_equal(statuses->n, 60);
    assert_int_equal(reds_of(statuses), 1);
    assert_int_equal(facts_exchanges(scene->facts), 3);
}

static void a_total_that_counts_something_else_is_not_believed(void **state)
{
    struct scene *scene = *state;
    on_json(scene, STATUSES "1", "X-Total-Count: 2\r\n", statuses_json(3, 2, 0));
    const struct gitea_statuses *all = statuses_asked(scene);
    assert_int_equal(all->n, 2);
    struct facts *again = facts_new(scene->fetch, clock_mono_ms() + PATIENCE_MS);
    facts_free(scene->facts);
    scene->facts = again;
    on_json(scene, STATUSES "1", "X-Total-Count: 1\r\n", statuses_json(5, 2, 0));
    on_json(scene, STATUSES "2", "X-Total-Count: 1\r\n", statuses_json(1, 1, 1));
    on_json(scene, STATUSES "3", "X-Total-Count: 1\r\n", mem_dup("{\"state\":\"\",\"statuses\":null}"));
    const struct gitea_statuses *statuses = statuses_asked(scene);
    assert_int_equal(statuses->fact.state, FACT_KNOWN);
    assert_int_equal(statuses->n, 5);
    assert_int_equal(reds_of(statuses), 1);
}

static void a_server_that_knows_no_pages_is_not_asked_for_ever(void **state)
{
    struct scene *scene = *state;
    on_json(scene, STATUSES "1", NULL, statuses_json(3, 1, 0));
    on_json(scene, STATUSES "2", NULL, statuses_json(3, 1, 0));
    const struct gitea_statuses *statuses = statuses_asked(scene);
    assert_int_equal(statuses->fact.state, FACT_KNOWN);
    assert_int_equal(statuses->n, 3);
}

static void statuses_that_changed_while_they_were_read_are_not_trusted(void **state)
{
    struct scene *scene = *state;
    /* c1 got a new status between the pages: it left the end and is at the front, and c51 stands on both. */
    on_json(scene, STATUSES "1", "X-Total-Count: 60\r\n", statuses_json(60, 11, 0));
    on_json(scene, STATUSES "2", "X-Total-Count: 60\r\n", statuses_json(11, 2, 0));
    const struct gitea_statuses *moved = statuses_asked(scene);
    assert_int_equal(moved->fact.state, FACT_FAILED);
    assert_string_equal(moved->fact.error,
                        "Gitea's statuses of commit 0123456789ab of acme/shop changed while they were read");
}

static void statuses_whose_total_changed_are_not_trusted(void **state)
{
    struct scene *scene = *state;
    on_json(scene, STATUSES "1", "X-Total-Count: 60\r\n", statuses_json(60, 11, 0));
    on_json(scene, STATUSES "2", "X-Total-Count: 61\r\n", statuses_json(10, 1, 0));
    assert_int_equal(statuses_asked(scene)->fact.state, FACT_FAILED);
}

static void one_bad_page_fails_the_whole(void **state)
{
    struct scene *scene = *state;
    on_json(scene, STATUSES "1", "X-Total-Count: 120\r\n", statuses_json(120, 71, 0));
    script_server_on(scene->server, STATUSES "2",
                     &(struct script_reply){.status = 500, .body = "{\"message\":\"\"}"});
    on_json(scene, STATUSES "3", "X-Total-Count: 120\r\n", statuses_json(20, 1, 0));
    const struct gitea_statuses *statuses = statuses_asked(scene);
    assert_int_equal(statuses->fact.state, FACT_FAILED);
    assert_non_null(strstr(statuses->fact.error, "Gitea answered 500"));
}

static void more_pages_than_the_limit_are_a_failure_not_a_part(void **state)
{
    struct scene *scene = *state;
    on_json(scene, STATUSES "1", "X-Total-Count: 10001\r\n", statuses_json(60, 11, 0));
    const struct gitea_statuses *statuses = statuses_asked(scene);
    assert_int_equal(statuses->fact.state, FACT_FAILED);
    assert_string_equal(statuses->fact.error,
                        "Gitea has more than 200 pages of statuses of commit 0123456789ab of acme/shop");
    assert_int_equal(facts_exchanges(scene->facts), 1);
}

/* `n` pages of 50 statuses whose contexts have `len` characters each. */
static void long_statuses(struct scene *scene, int n, int len)
{
    AUTO_FREE char *total = mem_printf("X-Total-Count: %d\r\n", n * 50);
    for (int page = 1; page <= n; page++) {
        AUTO_FREE char *target = mem_printf(STATUSES "%d", page);
        char *body = mem_dup("{\"state\":\"success\",\"sha\":\"" SHA "\",\"statuses\":[");
        for (int row = 0; row < 50; row++) {
            int id = page * 50 + row;
            AUTO_FREE char *piece = mem_printf("%s{\"id\":%d,\"status\":\"success\",\"context\":\"%0*d\"}",
                                               row ? "," : "", id, len, id);
            text_add(&body, piece);
        }
        text_add(&body, "]}");
        on_json(scene, target, total, body);
    }
}

static void a_list_that_is_too_long_to_be_kept_is_a_failure_and_costs_nothing(void **state)
{
    struct scene *scene = *state;
    long_statuses(scene, 25, 950);
    const struct gitea_statuses *statuses = statuses_asked(scene);
    assert_int_equal(statuses->fact.state, FACT_FAILED);
    assert_non_null(strstr(statuses->fact.error, "too long to be kept"));
    assert_int_equal(fetch_keep(scene->fetch, 0), 0);
}

static void a_long_list_is_kept_until_its_book_is_freed(void **state)
{
    struct scene *scene = *state;
    long_statuses(scene, 25, 50);
    const struct gitea_statuses *statuses = statuses_asked(scene);
    assert_int_equal(statuses->fact.state, FACT_KNOWN);
    assert_int_equal(statuses->n, 1250);
    assert_true(fetch_keep(scene->fetch, 0) > 1250 * 50);
    facts_free(scene->facts);
    assert_int_equal(fetch_keep(scene->fetch, 0), 0);
    scene->facts = NULL;
}

static void a_page_of_far_more_rows_than_asked_for_is_refused(void **state)
{
    struct scene *scene = *state;
    on_json(scene, STATUSES "1", NULL, statuses_json(LIMIT_PAGE_ROWS + 1, 1, 0));
    const struct gitea_statuses *statuses = statuses_asked(scene);
    assert_int_equal(statuses->fact.state, FACT_FAILED);
    assert_non_null(strstr(statuses->fact.error, "far more rows"));
}

static void namesake_contexts_both_count(void **state)
{
    struct scene *scene = *state;
    on_json(scene, STATUSES "1", "X-Total-Count: 2\r\n",
            mem_dup("{\"sha\":\"" SHA "\",\"statuses\":[{\"id\":2,\"status\":\"success\",\"context\":\"ci\"},"
                    "{\"id\":1,\"status\":\"failure\",\"context\":\"ci\"}]}"));
    const struct gitea_statuses *statuses = statuses_asked(scene);
    assert_int_equal(statuses->n, 2);
    assert_int_equal(reds_of(statuses), 1);
}

static void no_status_at_all_is_known_to_be_none(void **state)
{
    struct scene *scene = *state;
    on_json(scene, STATUSES "1", NULL,
            mem_dup("{\"state\":\"pending\",\"sha\":\"" SHA "\",\"statuses\":null}"));
    const struct gitea_statuses *statuses = statuses_asked(scene);
    assert_int_equal(statuses->fact.state, FACT_KNOWN);
    assert_int_equal(statuses->n, 0);
    assert_int_equal(facts_exchanges(scene->facts), 1);
}

/* reviews and files */

static void hidden_reviews_are_not_waited_for(void **state)
{
    struct scene *scene = *state;
    on_json(scene, API "/pulls/7/reviews?limit=50&page=1", "X-Total-Count: 9\r\n",
            mem_dup("[{\"id\":1,\"state\":\"APPROVED\",\"user\":{\"login\":\"ann\"}},"
                    "{\"id\":3,\"state\":\"REQUEST_CHANGES\",\"user\":{\"login\":\"bob\"}}]"));
    on_json(scene, API "/pulls/7/reviews?limit=50&page=2", "X-Total-Count: 9\r\n", mem_dup("[]"));
    const struct gitea_reviews *reviews = gitea_reviews(scene->facts, scene->gitea, REPO, 7);
    scene_settle(scene);
    assert_int_equal(reviews->fact.state, FACT_KNOWN);
    assert_int_equal(reviews->n, 2);
    assert_string_equal(reviews->items[1].user, "bob");
    assert_int_equal(facts_exchanges(scene->facts), 2);
}

static void reviews_keep_their_order_over_pages(void **state)
{
    struct scene *scene = *state;
    on_json(scene, API "/pulls/7/reviews?limit=50&page=1", "X-Total-Count: 2\r\n",
            mem_dup("[{\"id\":1,\"state\":\"REQUEST_CHANGES\",\"user\":{\"login\":\"ann\"}}]"));
    on_json(scene, API "/pulls/7/reviews?limit=50&page=2", "X-Total-Count: 2\r\n",
            mem_dup("[{\"id\":2,\"state\":\"APPROVED\",\"user\":{\"login\":\"ann\"}}]"));
    const struct gitea_reviews *reviews = gitea_reviews(scene->facts, scene->gitea, REPO, 7);
    scene_settle(scene);
    assert_int_equal(reviews->n, 2);
    assert_int_equal(reviews->items[0].state, GITEA_REVIEW_CHANGES);
    assert_int_equal(reviews->items[1].state, GITEA_REVIEW_APPROVED);
    assert_int_equal(facts_exchanges(scene->facts), 2);
}

int main(void)
{
    gitea_scene_prepare();
    const struct CMUnitTest tests[] = {
        IN_SCENE(a_red_status_on_the_last_page_is_seen),
        IN_SCENE(a_server_that_gives_smaller_pages_is_read_to_the_end),
        IN_SCENE(without_a_total_pages_are_read_until_an_empty_one),
        IN_SCENE(a_total_that_counts_something_else_is_not_believed),
        IN_SCENE(a_server_that_knows_no_pages_is_not_asked_for_ever),
        IN_SCENE(statuses_that_changed_while_they_were_read_are_not_trusted),
        IN_SCENE(statuses_whose_total_changed_are_not_trusted),
        IN_SCENE(one_bad_page_fails_the_whole),
        IN_SCENE(more_pages_than_the_limit_are_a_failure_not_a_part),
        IN_SCENE(a_list_that_is_too_long_to_be_kept_is_a_failure_and_costs_nothing),
        IN_SCENE(a_long_list_is_kept_until_its_book_is_freed),
        IN_SCENE(a_page_of_far_more_rows_than_asked_for_is_refused),
        IN_SCENE(namesake_contexts_both_count),
        IN_SCENE(no_status_at_all_is_known_to_be_none),
        IN_SCENE(hidden_reviews_are_not_waited_for),
        IN_SCENE(reviews_keep_their_order_over_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
