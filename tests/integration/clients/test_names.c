/* Names that a resolver keeps us waiting for, and hosts that drop what is sent to them: no caller waits
 * longer than it should. getaddrinfo stands here in place of the C library's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <curl/curl.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/http/fetch.h"
#include "tests/support/clients/http/script_server.h"
#include "tests/support/clients/store/pg_scene.h"

/* "hangs.example" has no answer until names_answer, and is this machine then. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool answers;
    atomic_int asked, waiting;
} names = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

int getaddrinfo(const char *name, const char *service, const struct addrinfo *req, struct addrinfo **pai)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    void *found = dlsym(RTLD_NEXT, "getaddrinfo");
    memcpy(&real, &found, sizeof real);
    if (!name || strcmp(name, "hangs.example") != 0)
        return real(name, service, req, pai);
    atomic_fetch_add(&names.asked, 1);
    atomic_fetch_add(&names.waiting, 1);
    pthread_mutex_lock(&names.lock);
    while (!names.answers)
        pthread_cond_wait(&names.changed, &names.lock);
    pthread_mutex_unlock(&names.lock);
    int result = real("127.0.0.1", service, req, pai);
    atomic_fetch_sub(&names.waiting, 1);
    return result;
}

static void nap(void)
{
    const struct timespec time = {.tv_nsec = 10000000};
    (void)nanosleep(&time, NULL);
}

static void names_answer(void)
{
    pthread_mutex_lock(&names.lock);
    names.answers = true;
    pthread_cond_broadcast(&names.changed);
    pthread_mutex_unlock(&names.lock);
    while (atomic_load(&names.waiting) > 0)
        nap();
}

static void names_hang(void)
{
    pthread_mutex_lock(&names.lock);
    names.answers = false;
    pthread_mutex_unlock(&names.lock);
    atomic_store(&names.asked, 0);
}

static struct store *store_at(const char *host, int port)
{
    AUTO_FREE char *url = mem_printf("postgresql://postgres@%s:%d/" PG_SCENE_DATABASE, host, port);
    struct store *store;
    ASSERT_OK(store_open(url, NULL, &store, NULL));
    return store;
}

static enum err store_ask(struct store *store, struct why *why)
{
    struct store_settings settings = {0};
    enum err err = store_settings_read(store, &settings, why);
    if (!err)
        store_settings_done(&settings);
    return err;
}

struct asker {
    struct store *store;
    enum err err;
};

static void *asker_run(void *arg)
{
    struct asker *asker = arg;
    asker->err = store_ask(asker->store, NULL);
    return NULL;
}

/* How long a call takes to end once the store is interrupted. */
static int64_t interrupted_ms(struct store *store)
{
    struct asker asker = {.store = store};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, asker_run, &asker), 0);
    for (int i = 0; i < 20; i++)
        nap();
    int64_t begun_ms = clock_mono_ms();
    store_interrupt(store);
    assert_int_equal(pthread_join(thread, NULL), 0);
    ASSERT_ERR(asker.err, ERR_TIMEOUT);
    return clock_mono_ms() - begun_ms;
}

static void a_database_whose_name_is_not_resolved_is_out_of_reach_in_time(void **state)
{
    (void)state;
    struct why why;
    names_hang();
    struct store *store = store_at("hangs.example", pg_server_port());
    int64_t begun_ms = clock_mono_ms();
    ASSERT_ERR(store_ask(store, &why), ERR_UNAVAILABLE);
    assert_in_range(clock_mono_ms() - begun_ms, LIMIT_CONNECT_S * 1000, LIMIT_CONNECT_WAIT_MS);
    assert_non_null(strstr(why.text, "no connection within 5 s"));
    ASSERT_ERR(store_ask(store, &why), ERR_UNAVAILABLE);
    assert_int_equal(atomic_load(&names.asked), 1); /* one thread asks, however often we try */
    names_answer();
    ASSERT_OK(store_ask(store, &why));
    store_free(store);
}

static void a_stop_ends_the_wait_for_a_name(void **state)
{
    (void)state;
    names_hang();
    struct store *store = store_at("hangs.example", pg_server_port());
    assert_in_range(interrupted_ms(store), 0, 1000);
    store_free(store); /* while the thread still asks */
    names_answer();
}

/* A host that drops what is sent to it: connections are not accepted, and the queue of them is full. */
static int hole_open(int *ret_fd, int *ret_filler)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    *ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(*ret_fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(*ret_fd, 0), 0);
    assert_int_equal(getsockname(*ret_fd, (struct sockaddr *)&address, &len), 0);
    *ret_filler = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(*ret_filler, (struct sockaddr *)&address, len), 0);
    return ntohs(address.sin_port);
}

static void a_host_that_drops_connections_is_waited_for_in_bounds_and_not_beyond_a_stop(void **state)
{
    (void)state;
    int fd, filler, port = hole_open(&fd, &filler);
    struct why why;
    struct store *store = store_at("127.0.0.1", port);
    int64_t begun_ms = clock_mono_ms();
    ASSERT_ERR(store_ask(store, &why), ERR_UNAVAILABLE);
    assert_in_range(clock_mono_ms() - begun_ms, 0, LIMIT_CONNECT_S * 1000 + LIMIT_RESOLVE_NAME_MS + 1000);
    assert_in_range(interrupted_ms(store), 0, 1000);
    store_free(store);
    close(filler);
    close(fd);
}

static void an_upstream_whose_name_is_not_resolved_delays_no_other(void **state)
{
    (void)state;
    const struct fetch_options options = {.timeout_ms = 1000, .per_host = 4};
    struct script_server *server = script_server_start();
    struct fetch *fetch;
    names_hang();
    script_server_default(server, &(struct script_reply){.status = 200, .body = "{}"});
    ASSERT_OK(fetch_new(&options, &fetch, NULL));
    struct fetch_inbox *inbox = fetch_inbox_new(fetch);
    int64_t begun_ms = clock_mono_ms();
    fetch_send(inbox,
               &(struct fetch_request){.method = "GET", .url = "http://hangs.example/", .attempts = 1});
    struct fetch_answer *answer = fetch_take(inbox, -1);
    assert_int_equal(answer->result, FETCH_TIMED_OUT);
    fetch_answer_free(answer);
    fetch_send(inbox, &(struct fetch_request){.method = "GET", .url = script_server_url(server)});
    answer = fetch_take(inbox, -1);
    assert_int_equal(answer->result, FETCH_ANSWERED);
    fetch_answer_free(answer);
    fetch_inbox_free(inbox);
    fetch_free(fetch);
    assert_in_range(clock_mono_ms() - begun_ms, 0, 3000);
    assert_int_equal(atomic_load(&names.waiting), 1);
    names_answer();
    script_server_stop(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_SCENE_TEST(a_database_whose_name_is_not_resolved_is_out_of_reach_in_time),
        PG_SCENE_TEST(a_stop_ends_the_wait_for_a_name),
        PG_SCENE_TEST(a_host_that_drops_connections_is_waited_for_in_bounds_and_not_beyond_a_stop),
        cmocka_unit_test(an_upstream_whose_name_is_not_resolved_delays_no_other),
    };
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return failed;
}
