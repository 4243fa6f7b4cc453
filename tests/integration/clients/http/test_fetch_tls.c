/* The fetcher and TLS: a certificate that is not trusted ends the call before a header is sent. The server is
 * openssl's own, with a certificate made for this run. */
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
#include "clients/http/fetch.h"
#include "tests/support/clients/http/curl_group.h"
#include "tests/support/clients/http/tls_files.h"
#include "tests/support/test.h"

#define PATIENCE_MS 10000

struct tls_server {
    struct tls_files files;
    pid_t pid;
    int64_t port;
};

static int server_start(void **state)
{
    struct tls_server *server = mem_zero(1, sizeof *server);
    int out[2];
    assert_int_equal(curl_begin(NULL), 0);
    signal(SIGPIPE, SIG_IGN);
    tls_files_make(&server->files);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], STDOUT_FILENO);
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDIN_FILENO);
        dup2(null, STDERR_FILENO);
        execlp("openssl", "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", server->files.certificate,
               "-key", server->files.key, "-www", (char *)NULL);
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
    fclose(lines); /* its other output does not matter */
    *state = server;
    return 0;
}

static int server_stop(void **state)
{
    struct tls_server *server = *state;
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    tls_files_remove(&server->files);
    free(server);
    return curl_end(NULL);
}

static struct fetch *fetch; /* of the answer under test */

/* Asks once; end it with answered(). */
static struct fetch_answer *get_once(const char *url, const char *ca_file, bool ourselves)
{
    const struct fetch_options options = {
        .timeout_ms = PATIENCE_MS, .per_host = 1, .ca_file = ca_file, .ourselves = ourselves};
    assert_int_equal(fetch_new(&options, &fetch, NULL), ERR_OK);
    struct fetch_inbox *inbox = fetch_inbox_new(fetch);
    fetch_send(inbox, &(struct fetch_request){.method = "GET", .url = url});
    struct fetch_answer *answer = fetch_take(inbox, -1);
    fetch_inbox_free(inbox);
    return answer;
}

static void answered(struct fetch_answer *answer)
{
    fetch_answer_free(answer);
    fetch_free(fetch);
}

TEST(a_certificate_of_our_own_authority_is_trusted)
{
    const struct tls_server *server = *state;
    AUTO_FREE char *url = mem_printf("https://127.0.0.1:%d/", (int)server->port);
    struct fetch_answer *answer = get_once(url, server->files.certificate, false);
    assert_string_equal(answer->error, "");
    assert_int_equal(answer->result, FETCH_ANSWERED);
    assert_int_equal(answer->status, 200);
    answered(answer);
}

TEST(an_unknown_certificate_is_not_trusted)
{
    const struct tls_server *server = *state;
    AUTO_FREE char *url = mem_printf("https://127.0.0.1:%d/", (int)server->port);
    struct fetch_answer *answer = get_once(url, NULL, false);
    assert_int_equal(answer->result, FETCH_UNREACHABLE);
    assert_string_equal(answer->error, "its TLS certificate is not trusted: its authority is unknown");
    answered(answer);
}

/* "localhost" reaches the same server, but the certificate names its address alone: a subjectAltName, where
 * there is one, is all that counts. */
TEST(a_certificate_for_another_name_is_not_trusted)
{
    const struct tls_server *server = *state;
    AUTO_FREE char *url = mem_printf("https://localhost:%d/", (int)server->port);
    struct fetch_answer *answer = get_once(url, server->files.certificate, false);
    assert_int_equal(answer->result, FETCH_UNREACHABLE);
    assert_string_equal(answer->error, "its TLS certificate is not trusted: it is for another host name");
    answered(answer);
}

TEST(we_ourselves_are_believed)
{
    const struct tls_server *server = *state;
    AUTO_FREE char *url = mem_printf("https://localhost:%d/", (int)server->port);
    struct fetch_answer *answer = get_once(url, NULL, true);
    assert_string_equal(answer->error, "");
    assert_int_equal(answer->status, 200);
    answered(answer);
}

TEST_GROUP(server_start, server_stop)
