/* The fetcher and TLS: a certificate that is not trusted ends the call before a header is sent. The server is
 * openssl's own, with a certificate made for this run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <curl/curl.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clients/base/err.h"
#include "clients/base/text.h"
#include "clients/fetch.h"

#define PATIENCE_MS 10000

struct tls_server {
    char folder[64], certificate[128], key[128];
    pid_t pid;
    int64_t port;
};

static void make_certificate(struct tls_server *server)
{
    snprintf(server->folder, sizeof server->folder, "/tmp/reconciled-tls-XXXXXX");
    assert_non_null(mkdtemp(server->folder));
    snprintf(server->certificate, sizeof server->certificate, "%s/certificate.pem", server->folder);
    snprintf(server->key, sizeof server->key, "%s/key.pem", server->folder);
    AUTO_FREE char *command = mem_printf("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 "
                                         "-nodes -days 2 -subj /CN=reconciled-test "
                                         "-addext subjectAltName=IP:127.0.0.1 -keyout %s -out %s 2>/dev/null",
                                         server->key, server->certificate);
    assert_int_equal(system(command), 0);
}

static int server_start(void **state)
{
    struct tls_server *server = mem_zero(1, sizeof *server);
    int out[2];
    make_certificate(server);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], STDOUT_FILENO);
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDIN_FILENO);
        dup2(null, STDERR_FILENO);
        execlp("openssl", "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", server->certificate,
               "-key", server->key, "-www", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *lines = fdopen(out[0], "r");
    assert_non_null(lines);
    char line[256];
    while (server->port == 0 && fgets(line, sizeof line, lines)) {
        line[strcspn(line, "\n")] = '\0';
        const char *colon = strrchr(line, ':');
        if (strncmp(line, "ACCEPT ", 7) == 0 && colon)
            (void)parse_i64(colon + 1, 1, 65535,
                            &server->port); /* the loop goes on, and ends with the output */
    }
    assert_true(server->port > 0);
    fclose(lines); /* it has nothing more to say that matters */
    *state = server;
    return 0;
}

static int server_stop(void **state)
{
    struct tls_server *server = *state;
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    unlink(server->certificate);
    unlink(server->key);
    rmdir(server->folder);
    free(server);
    return 0;
}

static struct fetch_answer *get_once(const char *url, const char *ca_file)
{
    struct fetch *fetch = NULL;
    const struct fetch_options options = {.timeout_ms = PATIENCE_MS, .per_host = 1, .ca_file = ca_file};
    assert_int_equal(fetch_new(&options, &fetch, NULL), ERR_OK);
    struct fetch_inbox *inbox = fetch_inbox_new(fetch);
    fetch_send(inbox, &(struct fetch_request){.method = "GET", .url = url});
    struct fetch_answer *answer = fetch_take(inbox, -1);
    fetch_inbox_free(inbox);
    fetch_free(fetch);
    return answer;
}

static void a_certificate_of_our_own_authority_is_trusted(void **state)
{
    const struct tls_server *server = *state;
    AUTO_FREE char *url = mem_printf("https://127.0.0.1:%d/", (int)server->port);
    struct fetch_answer *answer = get_once(url, server->certificate);
    assert_string_equal(answer->words, "");
    assert_int_equal(answer->result, FETCH_ANSWERED);
    assert_int_equal(answer->status, 200);
    fetch_answer_free(answer);
}

static void an_unknown_certificate_is_not_trusted(void **state)
{
    const struct tls_server *server = *state;
    AUTO_FREE char *url = mem_printf("https://127.0.0.1:%d/", (int)server->port);
    struct fetch_answer *answer = get_once(url, NULL);
    assert_int_equal(answer->result, FETCH_UNREACHABLE);
    assert_string_equal(answer->words, "its TLS certificate is not trusted");
    fetch_answer_free(answer);
}

/* "localhost" reaches the same server, but the certificate names its address alone: a subjectAltName, where
 * there is one, is all that counts. */
static void a_certificate_for_another_name_is_not_trusted(void **state)
{
    const struct tls_server *server = *state;
    AUTO_FREE char *url = mem_printf("https://localhost:%d/", (int)server->port);
    struct fetch_answer *answer = get_once(url, server->certificate);
    assert_int_equal(answer->result, FETCH_UNREACHABLE);
    assert_string_equal(answer->words, "its TLS certificate is not trusted");
    fetch_answer_free(answer);
}

int main(void)
{
    static const char *const proxies[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                          "ALL_PROXY"};
    for (size_t i = 0; i < ARRAY_LEN(proxies); i++)
        unsetenv(proxies[i]);
    signal(SIGPIPE, SIG_IGN);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_of_our_own_authority_is_trusted),
        cmocka_unit_test(an_unknown_certificate_is_not_trusted),
        cmocka_unit_test(a_certificate_for_another_name_is_not_trusted),
    };
    int failed = cmocka_run_group_tests(tests, server_start, server_stop);
    curl_global_cleanup();
    return failed;
}
