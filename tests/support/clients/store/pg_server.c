#include "tests/support/clients/store/pg_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <grp.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clients/base/err.h"
#include "clients/base/text.h"

/* What the test program says to the keeper; the answer to each is one byte, ANSWER_OK or ANSWER_BAD. */
enum { SAY_DOWN = 'd', SAY_UP = 'u', ANSWER_OK = '+', ANSWER_BAD = '-', ANSWER_PORT_TAKEN = 'p' };
enum { WAIT_MS = 60000, PORT_TRIES = 5, SOCKET_FOLDER_MAX = 80 };

struct pg_server {
    char *bin;    /* folder of initdb and postgres */
    char *folder; /* holds data/, the socket and the log */
    int port;
    uid_t uid; /* whom the server runs as */
    gid_t gid;
    int control; /* socket to the keeper */
    pid_t keeper;
};

static void fail(const char *what) __attribute__((noreturn));
static void fail(const char *what)
{
    fprintf(stderr, "pg_server: %s\n", what);
    exit(1);
}

/* the folder */

static char *bin_find(void)
{
    glob_t found;
    if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) == 0 && found.gl_pathc > 0) {
        const char *last = found.gl_pathv[found.gl_pathc - 1];
        char *bin = mem_dupn(last, strlen(last) - strlen("/initdb"));
        globfree(&found);
        return bin;
    }
    char *paths = mem_dup(getenv("PATH") ? getenv("PATH") : ""), *rest = paths, *path, *bin = NULL;
    while (!bin && (path = strsep(&rest, ":"))) {
        AUTO_FREE char *initdb = mem_printf("%s/initdb", path);
        if (access(initdb, X_OK) == 0)
            bin = mem_dup(path);
    }
    free(paths);
    return bin;
}

static bool user_find(struct pg_server *server)
{
    server->uid = geteuid();
    server->gid = getegid();
    if (server->uid != 0)
        return true;
    static const char *const names[] = {"postgres", "nobody", "daemon"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct passwd *user = getpwnam(names[i]);
        if (user && user->pw_uid != 0) {
            server->uid = user->pw_uid;
            server->gid = user->pw_gid;
            return true;
        }
    }
    return false;
}

/* A TMPDIR may be closed to the user that the server runs as, or too long for a socket's name. */
static bool folder_make(struct pg_server *server)
{
    const char *roots[] = {getenv("TMPDIR"), "/tmp"};
    for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
        if (!roots[i] || roots[i][0] != '/' || strlen(roots[i]) > SOCKET_FOLDER_MAX)
            continue;
        char *folder = mem_printf("%s/reconciled-pg-XXXXXX", roots[i]);
        if (mkdtemp(folder) && chown(folder, server->uid, server->gid) == 0) {
            bool was_root = geteuid() == 0;
            bool usable = !was_root || seteuid(server->uid) == 0;
            usable = usable && faccessat(AT_FDCWD, folder, R_OK | W_OK | X_OK, AT_EACCESS) == 0;
            if (was_root && seteuid(0) != 0)
                fail("cannot become root again");
            if (usable) {
                server->folder = folder;
                return true;
            }
            (void)rmdir(folder);
        }
        free(folder);
    }
    return false;
}

static int entry_remove(const char *path, const struct stat *stat, int type, struct FTW *at)
{
    (void)stat, (void)type, (void)at;
    return remove(path);
}

static void folder_remove(const char *folder)
{
    (void)nftw(folder, entry_remove, 32, FTW_DEPTH | FTW_PHYS);
}

static int port_free(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int port = 0;
    if (fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0 &&
        getsockname(fd, (struct sockaddr *)&at, &len) == 0)
        port = ntohs(at.sin_port);
    if (fd >= 0)
        close(fd);
    return port;
}

/* the keeper: a process between the test program and the server */

/* In a new child: becomes the server's user, says what it has to say into the log, and runs `arguments`. */
static void child_exec(const struct pg_server *server, char *const arguments[]) __attribute__((noreturn));
static void child_exec(const struct pg_server *server, char *const arguments[])
{
    AUTO_FREE char *log = mem_printf("%s/log", server->folder);
    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(server->gid) != 0 || setuid(server->uid) != 0))
        _exit(126);
    (void)prctl(PR_SET_PDEATHSIG, SIGQUIT);
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644), in = open("/dev/null", O_RDONLY);
    if (out < 0 || in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 ||
        chdir(server->folder) != 0)
        _exit(126);
    (void)close_range(3, ~0u, 0);
    const char *path = getenv("PATH");
    char *const environment[] = {(char[]){"LC_ALL=C"}, (char[]){"TZ=UTC"},
                                 mem_printf("PATH=%s", path ? path : "/bin"), NULL};
    execve(arguments[0], arguments, environment);
    _exit(127);
}

static pid_t child_start(const struct pg_server *server, char *const arguments[])
{
    pid_t pid = fork();
    if (pid == 0)
        child_exec(server, arguments);
    return pid;
}

static bool initdb_run(const struct pg_server *server)
{
    AUTO_FREE char *initdb = mem_printf("%s/initdb", server->bin);
    AUTO_FREE char *data = mem_printf("%s/data", server->folder);
    char *const arguments[] = {initdb,
                               (char[]){"-D"},
                               data,
                               (char[]){"--username=postgres"},
                               (char[]){"--auth=trust"},
                               (char[]){"--encoding=UTF8"},
                               (char[]){"--locale=C"},
                               (char[]){"--no-sync"},
                               (char[]){"--no-instructions"},
                               NULL};
    int status;
    pid_t pid = child_start(server, arguments);
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static pid_t postgres_start(const struct pg_server *server)
{
    AUTO_FREE char *postgres = mem_printf("%s/postgres", server->bin);
    AUTO_FREE char *data = mem_printf("%s/data", server->folder);
    AUTO_FREE char *port = mem_printf("--port=%d", server->port);
    AUTO_FREE char *sockets = mem_printf("--unix_socket_directories=%s", server->folder);
    char *const arguments[] = {postgres,
                               (char[]){"-D"},
                               data,
                               port,
                               sockets,
                               (char[]){"--listen_addresses=127.0.0.1"},
                               (char[]){"--fsync=off"},
                               (char[]){"--synchronous_commit=off"},
                               (char[]){"--full_page_writes=off"},
                               (char[]){"--max_connections=60"},
                               NULL};
    return child_start(server, arguments);
}

/* ANSWER_OK once it answers; ANSWER_PORT_TAKEN when it ended before it did. */
static char postgres_await(const struct pg_server *server, pid_t pid)
{
    AUTO_FREE char *url = pg_server_url(server, "postgres");
    for (int64_t deadline = clock_mono_ms() + WAIT_MS; clock_mono_ms() < deadline;) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return ANSWER_PORT_TAKEN;
        if (PQping(url) == PQPING_OK)
            return ANSWER_OK;
        (void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    kill(pid, SIGQUIT);
    (void)waitpid(pid, NULL, 0);
    return ANSWER_BAD;
}

static void postgres_end(pid_t *pid, int signal)
{
    if (*pid > 0 && kill(*pid, signal) == 0)
        (void)waitpid(*pid, NULL, 0);
    *pid = 0;
}

static char keeper_first_start(struct pg_server *server, pid_t *ret_pid)
{
    if (!initdb_run(server))
        return ANSWER_BAD;
    char answer = ANSWER_BAD;
    for (int i = 0; i < PORT_TRIES && answer != ANSWER_OK; i++) {
        server->port = port_free();
        *ret_pid = postgres_start(server);
        answer = postgres_await(server, *ret_pid);
    }
    if (answer != ANSWER_OK)
        *ret_pid = 0;
    return answer;
}

static void log_show(const struct pg_server *server)
{
    AUTO_FREE char *path = mem_printf("%s/log", server->folder);
    FILE *log = fopen(path, "r");
    for (int c; log && (c = fgetc(log)) != EOF;)
        fputc(c, stderr);
    if (log)
        fclose(log);
}

/* Lives until the other end of `control` is closed, which the kernel does whatever ends the test program. */
static void keeper_run(struct pg_server *server, int control) __attribute__((noreturn));
static void keeper_run(struct pg_server *server, int control)
{
    (void)setsid(); /* a ^C at the terminal is for the test program */
    (void)dup2(control, 3);
    (void)close_range(4, ~0u, 0);
    control = 3;
    pid_t postgres = 0;
    char say, answer = keeper_first_start(server, &postgres);
    if (answer != ANSWER_OK)
        log_show(server);
    (void)!write(control, &answer, 1);
    (void)!write(control, &server->port, sizeof server->port);
    while (read(control, &say, 1) == 1) {
        answer = ANSWER_OK;
        if (say == SAY_DOWN) {
            postgres_end(&postgres, SIGINT);
        } else if (!postgres) {
            postgres = postgres_start(server);
            answer = postgres_await(server, postgres);
        }
        (void)!write(control, &answer, 1);
    }
    postgres_end(&postgres, SIGQUIT);
    folder_remove(server->folder);
    _exit(0);
}

/* what tests call */

struct pg_server *pg_server_start(void)
{
    struct pg_server *server = mem_zero(1, sizeof *server);
    server->bin = bin_find();
    if (!server->bin)
        fail("no initdb under /usr/lib/postgresql or in PATH");
    if (!user_find(server))
        fail("root needs an unprivileged user to run the server as, and there is none");
    if (!folder_make(server))
        fail("no folder that the server's user may use, neither in TMPDIR nor in /tmp");
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        fail("no socket pair");
    fflush(NULL);
    server->keeper = fork();
    if (server->keeper < 0)
        fail("cannot fork");
    if (server->keeper == 0)
        keeper_run(server, ends[1]);
    close(ends[1]);
    server->control = ends[0];
    char answer = ANSWER_BAD;
    if (read(server->control, &answer, 1) != 1 || answer != ANSWER_OK ||
        read(server->control, &server->port, sizeof server->port) != (ssize_t)sizeof server->port)
        fail("the server did not start");
    return server;
}

void pg_server_stop(struct pg_server *server)
{
    if (!server)
        return;
    close(server->control);
    (void)waitpid(server->keeper, NULL, 0);
    free(server->bin);
    free(server->folder);
    free(server);
}

char *pg_server_url(const struct pg_server *server, const char *database)
{
    return mem_printf("postgresql://postgres@127.0.0.1:%d/%s", server->port, database);
}

int pg_server_port(const struct pg_server *server)
{
    return server->port;
}

const char *pg_server_folder(const struct pg_server *server)
{
    return server->folder;
}

/* Copying the template takes half a second, dropping what a test left a few milliseconds. */
static void database_empty(const struct pg_server *server, const char *name)
{
    AUTO_FREE char *reset = mem_printf("ALTER DATABASE \"%s\" RESET ALL", name);
    pg_server_exec(server, "postgres", reset);
    pg_server_exec(server, name,
                   "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                   " WHERE datname = current_database() AND pid <> pg_backend_pid();"
                   "DO $$ DECLARE name text; BEGIN FOR name IN SELECT nspname FROM pg_namespace"
                   " WHERE nspname !~ '^(pg_|information_schema$)' LOOP"
                   " EXECUTE format('DROP SCHEMA %I CASCADE', name); END LOOP; END $$;"
                   "CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC");
}

void pg_server_database(const struct pg_server *server, const char *name)
{
    AUTO_FREE char *look = mem_printf("SELECT 1 FROM pg_database WHERE datname = '%s'", name);
    AUTO_FREE char *create = mem_printf("CREATE DATABASE \"%s\"", name);
    AUTO_FREE char *there = pg_server_value(server, "postgres", look);
    if (there)
        database_empty(server, name);
    else
        pg_server_exec(server, "postgres", create);
}

char *pg_server_value(const struct pg_server *server, const char *database, const char *sql)
{
    AUTO_FREE char *url = pg_server_url(server, database);
    PGconn *connection = PQconnectdb(url);
    (void)PQsetNoticeProcessor(connection, NULL, NULL);
    if (PQstatus(connection) != CONNECTION_OK)
        fail(PQerrorMessage(connection));
    PQclear(PQexec(connection, "SET client_min_messages = warning"));
    PGresult *result = PQexec(connection, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY) {
        fprintf(stderr, "pg_server: %s\n", sql);
        fail(PQerrorMessage(connection));
    }
    char *value = PQntuples(result) > 0 && PQnfields(result) > 0 && !PQgetisnull(result, 0, 0)
                      ? mem_dup(PQgetvalue(result, 0, 0))
                      : NULL;
    PQclear(result);
    PQfinish(connection);
    return value;
}

void pg_server_exec(const struct pg_server *server, const char *database, const char *sql)
{
    free(pg_server_value(server, database, sql));
}

static void keeper_tell(struct pg_server *server, char say)
{
    char answer = ANSWER_BAD;
    if (send(server->control, &say, 1, MSG_NOSIGNAL) != 1 || read(server->control, &answer, 1) != 1 ||
        answer != ANSWER_OK)
        fail("the server did not follow");
}

void pg_server_down(struct pg_server *server)
{
    keeper_tell(server, SAY_DOWN);
}

void pg_server_up(struct pg_server *server)
{
    keeper_tell(server, SAY_UP);
}

void pg_server_restart(struct pg_server *server)
{
    pg_server_down(server);
    pg_server_up(server);
}
