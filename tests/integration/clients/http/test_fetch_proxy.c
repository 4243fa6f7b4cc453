/* The fetcher and the proxies that the environment names, as curl knows them. */
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/http/fetch.h"
#include "tests/support/clients/http/curl_group.h"
#include "tests/support/clients/http/script_server.h"
#include "tests/support/test.h"

#define PATIENCE_MS 10000

static const char *const variables[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY",  "no_proxy",    "NO_PROXY"};

struct scene {
    struct script_server *proxy, *host;
};

static int scene_open(void **state)
{
    struct scene *scene = mem_zero(1, sizeof *scene);
    for (size_t i = 0; i < ARRAY_LEN(variables); i++)
        unsetenv(variables[i]);
    scene->proxy = script_server_start();
    scene->host = script_server_start();
    *state = scene;
    return 0;
}

static int scene_close(void **state)
{
    struct scene *scene = *state;
    script_server_stop(scene->proxy);
    script_server_stop(scene->host);
    free(scene);
    return 0;
}

static struct fetch *fetch; /* of the answer under test */

/* Asks once, with the environment as it is now; end it with answered(). */
static struct fetch_answer *get_once(const char *url, bool ourselves)
{
    const struct fetch_options options = {.timeout_ms = PATIENCE_MS, .per_host = 1, .ourselves = ourselves};
    assert_int_equal(fetch_new(&options, &fetch, NULL), ERR_OK);
    struct fetch_inbox *inbox = fetch_inbox_new(fetch);
    fetch_send(inbox, &(struct fetch_request){.method = "GET", .url = url, .attempts = 1});
    struct fetch_answer *answer = fetch_take(inbox, -1);
    fetch_inbox_free(inbox);
    return answer;
}

static void answered(struct fetch_answer *answer)
{
    fetch_answer_free(answer);
    fetch_free(fetch);
}

static void assert_answer(const char *url, bool ourselves, const char *body)
{
    struct fetch_answer *answer = get_once(url, ourselves);
    assert_string_equal(answer->error, "");
    assert_int_equal(answer->status, 200);
    assert_string_equal(answer->body, body);
    answered(answer);
}

TEST_WITH(http_goes_by_the_proxy_of_the_environment, scene_open, scene_close)
{
    struct scene *scene = *state;
    script_server_json(scene->proxy, "http://gitea.test/api", "\"by proxy\"");
    setenv("http_proxy", script_server_url(scene->proxy), 1);
    assert_answer("http://gitea.test/api", false, "\"by proxy\"");
}

TEST_WITH(what_no_proxy_names_is_asked_directly, scene_open, scene_close)
{
    struct scene *scene = *state;
    static const char *const names[] = {"no_proxy", "NO_PROXY"};
    AUTO_FREE char *url = mem_printf("%s/api", script_server_url(scene->host));
    script_server_json(scene->host, "/api", "\"directly\"");
    setenv("http_proxy", script_server_url(scene->proxy), 1);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        setenv(names[i], "gitea.test,127.0.0.1", 1);
        assert_answer(url, false, "\"directly\"");
        unsetenv(names[i]);
    }
    assert_int_equal(script_server_count(scene->proxy, NULL), 0);
}

TEST_WITH(https_goes_through_a_tunnel_of_the_proxy, scene_open, scene_close)
{
    struct scene *scene = *state;
    static const char *const names[] = {"https_proxy", "HTTPS_PROXY"};
    script_server_on(scene->proxy, "gitea.test:443", &(struct script_reply){.status = 407});
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        setenv(names[i], script_server_url(scene->proxy), 1);
        struct fetch_answer *answer = get_once("https://gitea.test/api", false);
        assert_int_equal(answer->result, FETCH_UNREACHABLE);
        assert_string_equal(answer->error, "no connection: the proxy answered 407");
        answered(answer);
        unsetenv(names[i]);
        AUTO_FREE char *request = script_server_request(scene->proxy, i);
        assert_memory_equal(request, "CONNECT gitea.test:443 HTTP/1.1\r\n", 33);
    }
}

TEST_WITH(we_ask_ourselves_past_every_proxy, scene_open, scene_close)
{
    struct scene *scene = *state;
    AUTO_FREE char *url = mem_printf("%s/healthz", script_server_url(scene->host));
    script_server_json(scene->host, "/healthz", "\"ourselves\"");
    setenv("http_proxy", script_server_url(scene->proxy), 1);
    setenv("all_proxy", script_server_url(scene->proxy), 1);
    assert_answer(url, true, "\"ourselves\"");
    assert_int_equal(script_server_count(scene->proxy, NULL), 0);
}

TEST_GROUP(curl_begin, curl_end)
