#include "tests/bench/child.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void bench_die(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

/* What a program goes on to print has to go somewhere, or it would wait for us. */
static void child_drain(int from)
{
    if (fork() != 0)
        return;
    char nowhere[4096];
    while (read(from, nowhere, sizeof nowhere) > 0)
        ;
    _exit(0);
}

struct bench_child bench_start(const char *folder, const char *name, const char *argument, int output,
                               const char *mark)
{
    int ends[2];
    char path[512], line[1024];
    struct bench_child child = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (pipe(ends) != 0)
        bench_die("no pipe");
    child.pid = fork();
    if (child.pid == 0) {
        dup2(ends[1], output);
        execl(path, name, argument, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *from = fdopen(ends[0], "r");
    while (from && fgets(line, sizeof line, from)) {
        const char *at = strstr(line, mark);
        if (!at)
            continue;
        at += strlen(mark);
        snprintf(child.url, sizeof child.url, "%s%.*s", strncmp(at, "http", 4) == 0 ? "" : "http://",
                 (int)strcspn(at, " \n"), at);
        child_drain(ends[0]);
        fclose(from);
        return child;
    }
    bench_die(name);
    return child;
}

void bench_stop(struct bench_child *child)
{
    kill(child->pid, SIGTERM);
    waitpid(child->pid, NULL, 0);
}
