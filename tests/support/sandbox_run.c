#include "tests/support/sandbox_run.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clients/base/jsonx.h"
#include "clients/http/fetch.h"
#include "tests/support/server/http/http_client.h"

struct sandbox_run {
    pid_t pid;
    int output;
    char url[64];
};

static void die(const char *what, const char *error)
{
    fprintf(stderr, "sandbox: %s: %s\n", what, error);
    exit(70);
}

/* build/VARIANT/tests/… has its sandbox at build/VARIANT/sandbox. */
static char *program_path(void)
{
    char self[4096];
    const char *named = getenv("SANDBOX");
    if (named && *named)
        return mem_dup(named);
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0)
        die("/proc/self/exe", "cannot be read");
    self[len] = '\0';
    char *tests = strstr(self, "/tests/");
    if (!tests)
        die(self, "is not below tests/");
    *tests = '\0';
    return mem_printf("%s/sandbox", self);
}

struct sandbox_run *sandbox_start(void)
{
    static const char mark[] = "sandbox listening on ";
    AUTO_FREE char *path = program_path();
    char line[256] = "";
    int ends[2];
    if (pipe(ends) != 0)
        die(path, "no pipe");
    struct sandbox_run *sandbox = mem_zero(1, sizeof *sandbox);
    sandbox->pid = fork();
    if (sandbox->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl(path, "sandbox", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    sandbox->output = ends[0];
    for (size_t n = 0; n < sizeof line - 1 && !strchr(line, '\n'); n++)
        if (read(ends[0], line + n, 1) != 1)
            die(path, "did not start");
    if (strncmp(line, mark, sizeof mark - 1) != 0)
        die(path, line);
    snprintf(sandbox->url, sizeof sandbox->url, "%.*s", (int)strcspn(line + sizeof mark - 1, "\n"),
             line + sizeof mark - 1);
    return sandbox;
}

void sandbox_stop(struct sandbox_run *sandbox)
{
    if (!sandbox)
        return;
    kill(sandbox->pid, SIGTERM);
    waitpid(sandbox->pid, NULL, 0);
    close(sandbox->output);
    free(sandbox);
}

const char *sandbox_url(const struct sandbox_run *sandbox)
{
    return sandbox->url;
}

static json_t *control(struct sandbox_run *sandbox, const char *method, const char *path, const char *body)
{
    AUTO_FREE char *request = mem_printf("%s /sandbox/%s HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n"
                                         "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                                         method, path, strlen(body), body);
    struct http_answer *answer = http_ask(sandbox->url + strlen("http://"), request);
    if (!answer || answer->status < 200 || answer->status > 299)
        die(path, answer ? answer->body : "no answer");
    json_t *json = NULL;
    if (answer->body_len > 0 && json_read(answer->body, answer->body_len, &json, NULL))
        die(path, "no JSON");
    free(answer);
    return json;
}

static json_t *control_of(struct sandbox_run *sandbox, const char *method, const char *path, const char *fmt,
                          va_list args)
{
    char *body = NULL;
    if (fmt && vasprintf(&body, fmt, args) < 0)
        die(path, "no memory");
    for (char *at = body; at && (at = strchr(at, '\''));)
        *at = '"';
    json_t *json = control(sandbox, method, path, body ? body : "");
    free(body);
    return json;
}

json_t *sandbox_told(struct sandbox_run *sandbox, const char *method, const char *path, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    json_t *json = control_of(sandbox, method, path, fmt, args);
    va_end(args);
    return json;
}

void sandbox_tell(struct sandbox_run *sandbox, const char *path, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    json_decref(control_of(sandbox, "POST", path, fmt, args));
    va_end(args);
}

size_t sandbox_asked(struct sandbox_run *sandbox, const char *like)
{
    AUTO_FREE char *glob = fetch_escape(like);
    AUTO_FREE char *path = mem_printf("requests?limit=200&like=%s", glob);
    json_t *json = control(sandbox, "GET", path, "");
    size_t n = json_array_size(json_object_get(json, "requests"));
    json_decref(json);
    return n;
}
