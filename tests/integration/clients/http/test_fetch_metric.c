/* What the fetcher counts: every exchange once, under whom it was for and what became of it. */
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/metric.h"
#include "clients/base/text.h"
#include "clients/http/fetch.h"
#include "clients/http/upstream_health.h"
#include "tests/support/clients/http/curl_group.h"
#include "tests/support/clients/http/script_server.h"
#include "tests/support/test.h"

enum { PATIENCE_MS = 10000 }; /* of tests that do not mean to time out */

static struct scene {
    struct script_server *server;
    struct fetch *fetch;
    struct fetch_inbox *inbox;
} scene;

static void scene_open(int64_t timeout_ms)
{
    const struct fetch_options options = {.timeout_ms = timeout_ms, .per_host = 4};
    scene.server = script_server_start();
    assert_int_equal(fetch_new(&options, &scene.fetch, NULL), ERR_OK);
    scene.inbox = fetch_inbox_new(scene.fetch);
}

static void scene_close(void)
{
    fetch_inbox_free(scene.inbox);
    fetch_free(scene.fetch);
    script_server_stop(scene.server);
}

static void send_to(enum fetch_upstream upstream, const char *target)
{
    AUTO_FREE char *url = mem_printf("%s%s", script_server_url(scene.server), target);
    fetch_send(scene.inbox,
               &(struct fetch_request){
                   .upstream = upstream, .part = target, .waited_for = true, .method = "GET", .url = url});
}

static void get(enum fetch_upstream upstream, const char *target)
{
    send_to(upstream, target);
    fetch_answer_free(fetch_take(scene.inbox, -1));
}

static int64_t count_of(const char *upstream, const char *class)
{
    return metric_read(METRIC_UPSTREAM_REQUESTS, upstream, class);
}

static int64_t count_all(const char *upstream)
{
    int64_t n = 0;
    const char *const *classes = metric_family(METRIC_UPSTREAM_REQUESTS)->labels[1].values;
    for (size_t i = 0; classes[i]; i++)
        n += count_of(upstream, classes[i]);
    return n;
}

/* Exchanges of that class since `before` were `n`, and there were no others. */
static void assert_grown(const char *upstream, const char *class, int64_t n, int64_t before_class,
                         int64_t before_all)
{
    assert_int_equal(count_of(upstream, class) - before_class, n);
    assert_int_equal(count_all(upstream) - before_all, n);
}

TEST(every_exchange_is_counted_by_what_became_of_it)
{
    static char huge[LIMIT_UPSTREAM_BODY + 2];
    memset(huge, ' ', sizeof huge - 1);
    const struct {
        struct script_reply reply;
        const char *class;
        int64_t n;
    } cases[] = {
        {{.body = "{}"}, "2xx", 1},
        {{.status = 204}, "2xx", 1},
        {{.status = 304}, "3xx", 1},
        {{.status = 404, .body = "{}"}, "4xx", 1},
        {{.status = 429, .headers = "Retry-After: 600\r\n"}, "429", 1},
        {{.status = 500, .body = "{}"}, "5xx", 1},
        {{.status = 502, .body = "{}"}, "5xx", 3}, /* tried again twice */
        {{.status = 799, .body = "{}"}, "5xx", 1},
        {{.act = SCRIPT_CLOSE}, "cut", 3},
        {{.body = "{\"cut\":true}", .cut_after = 5}, "cut", 3},
        {{.act = SCRIPT_RAW, .body = "no HTTP at all\r\n"}, "cut", 1},
        {{.body = huge}, "too_large", 1},
    };
    scene_open(PATIENCE_MS);
    script_server_json(scene.server, "/ok", "{}");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        get(FETCH_TO_OTHER, "/ok"); /* else the host is down soon */
        AUTO_FREE char *target = mem_printf("/case/%zu", i);
        int64_t class = count_of("plane", cases[i].class), all = count_all("plane");
        int64_t timed = metric_read(METRIC_UPSTREAM_REQUEST_DURATION, "plane", NULL);
        script_server_on(scene.server, target, &cases[i].reply);
        get(FETCH_TO_PLANE, target);
        assert_grown("plane", cases[i].class, cases[i].n, class, all);
        assert_int_equal(metric_read(METRIC_UPSTREAM_REQUEST_DURATION, "plane", NULL) - timed, cases[i].n);
    }
    assert_int_equal(count_all("gitea"), 0);
    scene_close();
}

TEST(a_redirect_is_an_exchange_of_its_own)
{
    scene_open(PATIENCE_MS);
    script_server_on(scene.server, "/old",
                     &(struct script_reply){.status = 301, .headers = "Location: /new\r\n"});
    script_server_json(scene.server, "/new", "{}");
    int64_t moved = count_of("gitea", "3xx"), good = count_of("gitea", "2xx");
    get(FETCH_TO_GITEA, "/old");
    assert_int_equal(count_of("gitea", "3xx") - moved, 1);
    assert_int_equal(count_of("gitea", "2xx") - good, 1);
    scene_close();
}

TEST(a_time_out_is_counted_and_what_is_not_asked_is_not)
{
    scene_open(1);
    script_server_default(scene.server, &(struct script_reply){.act = SCRIPT_HANG});
    int64_t late = count_of("telegram", "timeout"), all = count_all("telegram");
    bool asked = true;
    while (asked) {
        send_to(FETCH_TO_TELEGRAM, "/hang");
        struct fetch_answer *answer = fetch_take(scene.inbox, -1);
        asked = answer->result != FETCH_NOT_ASKED;
        fetch_answer_free(answer);
    }
    assert_grown("telegram", "timeout", UPSTREAM_FAILURES_IN_A_ROW, late, all);
    script_server_release(scene.server);
    scene_close();
}

TEST(nobody_at_the_address_is_unreachable)
{
    scene_open(PATIENCE_MS);
    int64_t nobody = count_of("other", "unreachable"), all = count_all("other");
    AUTO_FREE char *url = mem_dup(script_server_url(scene.server));
    script_server_stop(scene.server);
    scene.server = NULL;
    fetch_send(scene.inbox, &(struct fetch_request){.method = "GET", .url = url});
    fetch_answer_free(fetch_take(scene.inbox, -1));
    assert_grown("other", "unreachable", 1, nobody, all);
    scene_close();
}

TEST(what_was_stopped_in_flight_is_aborted_and_not_timed)
{
    scene_open(PATIENCE_MS);
    script_server_default(scene.server, &(struct script_reply){.act = SCRIPT_HANG});
    int64_t stopped = count_of("orchestrator", "aborted"), all = count_all("orchestrator");
    int64_t timed = metric_read(METRIC_UPSTREAM_REQUEST_DURATION, "orchestrator", NULL);
    for (int i = 0; i < 6; i++) /* two of them wait for their turn, and are no exchanges */
        send_to(FETCH_TO_ORCHESTRATOR, "/hang");
    script_server_wait(scene.server, 4);
    fetch_inbox_abort(scene.inbox);
    for (int i = 0; i < 6; i++)
        fetch_answer_free(fetch_take(scene.inbox, -1));
    assert_grown("orchestrator", "aborted", 4, stopped, all);
    assert_int_equal(metric_read(METRIC_UPSTREAM_REQUEST_DURATION, "orchestrator", NULL), timed);
    script_server_release(scene.server);
    scene_close();
}

TEST_GROUP(curl_begin, curl_end)
