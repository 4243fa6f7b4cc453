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
        AUTO_FREE char *error = mem_printf("the proxy %s (%s): answered 407",
                                           script_server_url(scene->proxy) + strlen("http://"), names[i]);
        assert_string_equal(answer->error, error);
        answered(answer);
        unsetenv(names[i]);
        AUTO_FREE char *request = script_server_request(scene->proxy, i);
        assert_memory_equal(request, "CONNECT gitea.test:443 HTTP/1.1\r\n", 33);
    }
}

/* Of each variable: nothing listens there, or no such host. The user name and password are not shown. */
TEST_WITH(a_dead_proxy_is_named_and_not_the_host, scene_open, scene_close)
{
    struct scene *scene = *state;
    static const struct {
        const char *variable, *url;
    } by[] = {{"http_proxy", "http://gitea.test/api"},
              {"https_proxy", "https://gitea.test/api"},
              {"HTTPS_PROXY", "https://gitea.test/api"},
              {"all_proxy", "http://gitea.test/api"},
              {"ALL_PROXY", "https://gitea.test/api"}};
    static const struct {
        const char *value, *error;
    } dead[] = {
        {"http://ann:s3cret@127.0.0.1:1", "the proxy 127.0.0.1:1 (%s): connection refused"},
        {"127.0.0.1:1/", "the proxy 127.0.0.1:1 (%s): connection refused"},
        {"socks5://127.0.0.1:1", "the proxy 127.0.0.1:1 (%s): connection refused"},
        {"http://ann:s3cret@proxy.invalid", "the proxy proxy.invalid:1080 (%s): no such host name"},
    };
    for (size_t i = 0; i < ARRAY_LEN(by); i++) {
        for (size_t j = 0; j < ARRAY_LEN(dead); j++) {
            const char *rest = strstr(dead[j].error, "%s") + 2;
            AUTO_FREE char *error =
                mem_printf("%.*s%s%s", (int)(rest - 2 - dead[j].error), dead[j].error, by[i].variable, rest);
            setenv(by[i].variable, dead[j].value, 1);
            struct fetch_answer *answer = get_once(by[i].url, false);
            assert_int_equal(answer->result, FETCH_UNREACHABLE);
            assert_string_equal(answer->error, error);
            answered(answer);
        }
        unsetenv(by[i].variable);
    }
    /* Where no_proxy spares the host, it is the host that is dead. */
    setenv("http_proxy", script_server_url(scene->proxy), 1);
    setenv("no_proxy", "127.0.0.1", 1);
    struct fetch_answer *answer = get_once("http://127.0.0.1:1/api", false);
    assert_string_equal(answer->error, "connection refused");
    assert_string_equal(answer->proxy, "");
    answered(answer);
}

TEST_WITH(a_proxy_that_refuses_plain_http_is_named, scene_open, scene_close)
{
    struct scene *scene = *state;
    AUTO_FREE char *proxy =
        mem_printf("the proxy %s (http_proxy)", script_server_url(scene->proxy) + strlen("http://"));
    AUTO_FREE char *refused = mem_printf("%s: answered 407", proxy);
    AUTO_FREE char *cut = mem_printf("the connection was lost before an answer, through %s", proxy);
    setenv("http_proxy", script_server_url(scene->proxy), 1);
    script_server_on(scene->proxy, "http://gitea.test/407", &(struct script_reply){.status = 407});
    script_server_on(scene->proxy, "http://gitea.test/cut", &(struct script_reply){.act = SCRIPT_CLOSE});
    script_server_on(scene->proxy, "http://gitea.test/403",
                     &(struct script_reply){.status = 403, .type = "text/html"});
    struct fetch_answer *answer = get_once("http://gitea.test/407", false);
    assert_int_equal(answer->result, FETCH_UNREACHABLE);
    assert_string_equal(answer->error, refused);
    answered(answer);
    answer = get_once("http://gitea.test/cut", false);
    assert_string_equal(answer->error, cut);
    answered(answer);
    answer =
        get_once("http://gitea.test/403", false); /* perhaps the proxy's: the caller knows its upstream */
    assert_int_equal(answer->status, 403);
    assert_string_equal(answer->proxy, proxy);
    answered(answer);
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
