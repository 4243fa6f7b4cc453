#include "tests/support/clients/store/pg_pooler.h"

#include <fcntl.h>
#include <poll.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clients/base/clock.h"
#include "clients/base/err.h"
#include "clients/base/text.h"
#include "tests/support/clients/store/pg_server.h"

#define PORT 6432
#define START_MS 20000

static struct {
    pid_t pid;
    char folder[32];
} pooler;

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "pg_pooler: %s\n", what);
    exit(EXIT_FAILURE);
}

static char *path_in_folder(const char *name)
{
    return mem_printf("%s/%s", pooler.folder, name);
}

static void settings_write(const char *settings)
{
    AUTO_FREE char *path = path_in_folder("ini");
    FILE *file = fopen(path, "we");
    if (!file)
        give_up("its settings cannot be written");
    fprintf(file,
            "[databases]\n* = host=127.0.0.1 port=%d user=postgres\n"
            "[pgbouncer]\nlisten_addr =\nlisten_port = %d\nunix_socket_dir = %s\nauth_type = any\n%s\n",
            pg_server_port(), PORT, pooler.folder, settings);
    fclose(file);
}

/* It does not run as root. */
static _Noreturn void become_pooler(void)
{
    AUTO_FREE char *ini = path_in_folder("ini");
    AUTO_FREE char *log = path_in_folder("log");
    const struct passwd *user = geteuid() == 0 ? getpwnam("postgres") : NULL;
    int out = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (user && (chown(pooler.folder, user->pw_uid, user->pw_gid) || chown(ini, user->pw_uid, user->pw_gid) ||
                 setgid(user->pw_gid) || setuid(user->pw_uid)))
        _exit(1);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* the change of user has cleared it */
    if (dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
        _exit(1);
    (void)execlp("pgbouncer", "pgbouncer", ini, (char *)NULL);
    (void)execl("/usr/sbin/pgbouncer", "pgbouncer", ini, (char *)NULL);
    _exit(127);
}

void pg_pooler_start(const char *settings)
{
    (void)snprintf(pooler.folder, sizeof pooler.folder, "/tmp/reconciled-pooler-XXXXXX");
    if (!mkdtemp(pooler.folder))
        give_up("no folder can be made");
    settings_write(settings);
    pooler.pid = fork();
    if (pooler.pid == 0)
        become_pooler();
    if (pooler.pid < 0)
        give_up("no process can be made");
    (void)atexit(pg_pooler_stop);
    AUTO_FREE char *url = pg_pooler_url("postgres");
    int64_t until_ms = clock_mono_ms() + START_MS;
    while (PQping(url) != PQPING_OK) {
        if (clock_mono_ms() > until_ms || waitpid(pooler.pid, NULL, WNOHANG) != 0)
            give_up("pgbouncer does not start");
        (void)poll(NULL, 0, 10);
    }
}

void pg_pooler_stop(void)
{
    if (pooler.pid <= 0)
        return;
    (void)kill(pooler.pid, SIGKILL);
    (void)waitpid(pooler.pid, NULL, 0);
    pooler.pid = 0;
    static const char *const names[] = {"ini", "log", ".s.PGSQL.6432"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO_FREE char *path = path_in_folder(names[i]);
        (void)unlink(path);
    }
    (void)rmdir(pooler.folder);
}

char *pg_pooler_url(const char *database)
{
    return mem_printf("postgresql://postgres@/%s?host=%s&port=%d", database, pooler.folder, PORT);
}
