/* The SQLite store: its file, its connections, and lending them to callers. store_sqlite_sql.c has the
 * statements, and each aggregate has a file. */
#include "clients/store/sqlite/store_sqlite.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "clients/base/limits.h"
#include "clients/base/wait.h"

/* Waiting for a lock takes at most half of a statement's time, so that the other half is left for the
 * statement. */
#define LOCK_WAIT_MS (LIMIT_STATEMENT_MS / 2)
/* Steps of SQLite's virtual machine between two looks at the clock: well under a millisecond. */
#define PROGRESS_STEPS 4000

struct sqlite_store;

struct sqlite_conn {
    struct sqlite_store *store;
    sqlite3 *db;
    sqlite3_stmt *kept[SQL_MAX_];
    bool taken;            /* guarded by store->lock; all else belongs to who took it */
    bool broken;           /* close it when it is given back */
    int64_t lock_until_ms; /* monotonic: no lock is waited for longer */
    int64_t run_until_ms;  /* monotonic: no statement runs longer; 0: no limit, for a rollback */
};

/* Pages kept by each connection, in KiB: an eighth of the default. The system caches the file as well,
 * and the statements touch little of it. */
#define SQLITE_CACHE "PRAGMA cache_size = -256"

struct sqlite_store {
    struct store base;
    char *path;
    atomic_bool interrupted;
    pthread_mutex_t lock; /* guards conns[].taken */
    pthread_cond_t given;
    struct sqlite_conn conns[LIMIT_DB_CONNECTIONS]; /* the first writes, the others read */
};

unsigned sqlite_destinations(const struct sqlite_conn *conn)
{
    return conn->store->base.destinations;
}

static struct sqlite_store *sqlite_store_of(struct store *store)
{
    return (struct sqlite_store *)store;
}

/* waiting and time limits */

/* SQLite's own busy time-out would continue to sleep after store_interrupt, so the wait is made here, in
 * growing steps. */
static int wait_for_lock(void *arg, int tries)
{
    const struct sqlite_conn *conn = arg;
    int64_t left_ms = conn->lock_until_ms - clock_mono_ms();
    if (conn->store->interrupted || left_ms <= 0)
        return 0;
    int64_t wait_ms = tries < 5 ? tries + 1 : 10;
    struct timespec pause = {.tv_nsec = (wait_ms < left_ms ? wait_ms : left_ms) * 1000000};
    (void)nanosleep(&pause, NULL);
    return 1;
}

static int is_over(void *arg)
{
    const struct sqlite_conn *conn = arg;
    return conn->store->interrupted || (conn->run_until_ms && clock_mono_ms() >= conn->run_until_ms);
}

/* one connection */

static void conn_close(struct sqlite_conn *conn)
{
    for (size_t i = 0; i < SQL_MAX_; i++) {
        (void)sqlite3_finalize(conn->kept[i]); /* repeats the error of the last step, which was handled */
        conn->kept[i] = NULL;
    }
    (void)sqlite3_close_v2(conn->db);
    conn->db = NULL;
    conn->broken = false;
}

static bool conn_writes(const struct sqlite_conn *conn)
{
    return conn == &conn->store->conns[0];
}

/* What a connection writes to a file that was deleted or replaced is lost. */
static bool conn_is_stale(const struct sqlite_conn *conn)
{
    int moved = 0;
    return sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved;
}

static enum err conn_open(struct sqlite_conn *conn, enum sqlite_use use, struct why *why)
{
    if (conn->db && conn_is_stale(conn))
        conn_close(conn);
    if (conn->db)
        return ERR_OK;
    /* Readers open the file for writing too: after a crash the first connection must recover the log. */
    int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
    if (use == SQLITE_USE_MIGRATE)
        flags |= SQLITE_OPEN_CREATE;
    if (sqlite3_open_v2(conn->store->path, &conn->db, flags, NULL) != SQLITE_OK) {
        enum err err = sqlite_failure(conn, why);
        conn_close(conn);
        return err;
    }
    (void)sqlite3_busy_handler(conn->db, wait_for_lock, conn);
    sqlite3_progress_handler(conn->db, PROGRESS_STEPS, is_over, conn);
    sqlite_functions(conn->db);
    /* Not trusted_schema = off too: SQLite 3.40 then refuses even json() in the orchestrator's own triggers.
     */
    (void)sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_exec(conn->db, SQLITE_CACHE, NULL, NULL, NULL);
    if (!conn_writes(conn))
        (void)sqlite3_exec(conn->db, "PRAGMA query_only = 1", NULL, NULL, NULL);
    return ERR_OK;
}

/* the pool */

static struct sqlite_conn *pool_free_conn(struct sqlite_store *store, enum sqlite_use use)
{
    size_t first = use == SQLITE_USE_READ ? 1 : 0;
    size_t end = use == SQLITE_USE_READ ? ARRAY_LEN(store->conns) : 1;
    for (size_t i = first; i < end; i++)
        if (!store->conns[i].taken)
            return &store->conns[i];
    return NULL;
}

/* pool_take: NULL when none became free until until_ms, or the store is interrupted. */
static struct sqlite_conn *pool_take(struct sqlite_store *store, enum sqlite_use use, int64_t until_ms)
{
    struct sqlite_conn *conn = NULL;
    int waited = 0;
    pthread_mutex_lock(&store->lock);
    while (!store->interrupted && !(conn = pool_free_conn(store, use)) && waited != ETIMEDOUT)
        waited = cond_wait_until(&store->given, &store->lock, until_ms);
    if (conn)
        conn->taken = true;
    pthread_mutex_unlock(&store->lock);
    return conn;
}

enum err sqlite_take(struct store *store, enum sqlite_use use, struct sqlite_conn **ret, struct why *why)
{
    struct sqlite_store *sqlite = sqlite_store_of(store);
    int64_t start_ms = clock_mono_ms();
    struct sqlite_conn *conn = pool_take(sqlite, use, start_ms + LOCK_WAIT_MS);
    if (!conn) {
        (void)why_set(why, ERR_TIMEOUT, "%s",
                      sqlite->interrupted ? "the database is not asked any more: stopping"
                                          : "every connection to the database is in use");
        return ERR_TIMEOUT;
    }
    conn->lock_until_ms = start_ms + LOCK_WAIT_MS;
    conn->run_until_ms = start_ms + LIMIT_STATEMENT_MS;
    enum err err = conn_open(conn, use, why);
    if (err) {
        sqlite_give(conn);
        return err;
    }
    *ret = conn;
    return ERR_OK;
}

void sqlite_give(struct sqlite_conn *conn)
{
    if (!conn)
        return;
    if (conn->db) {
        for (size_t i = 0; i < SQL_MAX_; i++)
            (void)sqlite3_reset(conn->kept[i]);
        /* Does not use a kept statement: this must work after any failure. A connection that cannot roll back
         * is closed. */
        if (!sqlite3_get_autocommit(conn->db)) {
            conn->run_until_ms = 0;
            if (sqlite3_exec(conn->db, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
                conn->broken = true;
        }
        if (conn->broken)
            conn_close(conn);
        else /* the system caches the pages too; the caches of four connections would take most of the
                process's memory */
            (void)sqlite3_db_release_memory(conn->db);
    }
    struct sqlite_store *store = conn->store;
    pthread_mutex_lock(&store->lock);
    conn->taken = false;
    /* Wakes all waiters: readers and writers wait for different connections on the same condition. */
    pthread_cond_broadcast(&store->given);
    pthread_mutex_unlock(&store->lock);
}

void sqlite_give_p(struct sqlite_conn **conn)
{
    sqlite_give(*conn);
}

static bool has_room(const char *path)
{
    struct statvfs disk;
    return statvfs(path, &disk) != 0 || (uint64_t)disk.f_bavail * disk.f_frsize >= LIMIT_DISK_ROOM;
}

static enum err write_begins(struct sqlite_conn *conn, struct why *why)
{
    if (!has_room(conn->store->path))
        return why_set(why, ERR_UNAVAILABLE, "the disk of the database file %s is full", conn->store->path);
    /* There SQLite begins a transaction that reads, whatever it is asked. */
    if (sqlite3_db_readonly(conn->db, "main") == 1)
        return why_set(why, ERR_UNAVAILABLE, "the database file %s may only be read", conn->store->path);
    conn->lock_until_ms = 0;
    int rc = sqlite3_exec(conn->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) & 0xff;
    return rc == SQLITE_OK || rc == SQLITE_BUSY ? ERR_OK : sqlite_failure(conn, why);
}

enum err sqlite_writable(struct store *store, struct why *why)
{
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    enum err err = sqlite_take(store, SQLITE_USE_WRITE, &conn, why);
    return err ? err : write_begins(conn, why);
}

/* statements */

sqlite3 *sqlite_handle(const struct sqlite_conn *conn)
{
    return conn->db;
}

/* Where an index leads to `what`, a text of a row t of tasks, the statement `which` serves; else `scanned`.
 * Asked each time: an index may come and go. */
static const struct by_index {
    unsigned which, scanned;
    const char *what;
} by_index[] = {
    {SQL_ISSUE_TASKS, SQL_ISSUE_TASKS_SCANNED, "t.plane_id"},
    {SQL_TASKS_EXISTING, SQL_TASKS_EXISTING_SCANNED, "t.plane_id"},
    {SQL_REPLAYS_MOVED, SQL_REPLAYS_MOVED_SCANNED, "t.plane_id"},
    {SQL_WORK_ITEMS, SQL_WORK_ITEMS_SCANNED, "lower(t.work_item_id)"},
    {SQL_TASKS_NAMED, SQL_TASKS_NAMED_SCANNED, "lower(t.work_item_id)"},
    {SQL_BRANCHES_TAKEN, SQL_BRANCHES_TAKEN_SCANNED, "t.branch"},
};

/* SQLite answers a range by an existing index or by a scan; it makes no automatic index for it. */
static enum err is_indexed(struct sqlite_conn *conn, const char *what, bool *ret, struct why *why)
{
    AUTO_FREE char *sql =
        mem_printf("EXPLAIN QUERY PLAN SELECT 1 FROM tasks t WHERE %s BETWEEN ?1 AND ?1", what);
    enum { COL_DETAIL = 3 };
    sqlite3_stmt *plan;
    enum err err = sqlite_prepare(conn, sql, &plan, why);
    if (err)
        return err;
    int rc = sqlite3_step(plan);
    const char *detail = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(plan, COL_DETAIL) : NULL;
    *ret = detail && strncmp(detail, "SEARCH ", 7) == 0;
    if (sqlite3_finalize(plan) != SQLITE_OK)
        return sqlite_failure(conn, why);
    return ERR_OK;
}

static enum err statement_choose(struct sqlite_conn *conn, unsigned *which, struct why *why)
{
    for (size_t i = 0; i < ARRAY_LEN(by_index); i++) {
        bool indexed;
        if (by_index[i].which != *which)
            continue;
        enum err err = is_indexed(conn, by_index[i].what, &indexed, why);
        if (!err && !indexed)
            *which = by_index[i].scanned;
        return err;
    }
    return ERR_OK;
}

enum err sqlite_statement(struct sqlite_conn *conn, unsigned which, sqlite3_stmt **ret, struct why *why)
{
    enum err err = statement_choose(conn, &which, why);
    if (err)
        return err;
    sqlite3_stmt **kept = &conn->kept[which];
    if (!*kept && sqlite3_prepare_v3(conn->db, sqlite_sql_text(which), -1, SQLITE_PREPARE_PERSISTENT, kept,
                                     NULL) != SQLITE_OK)
        return sqlite_failure(conn, why);
    (void)sqlite3_reset(*kept);
    (void)sqlite3_clear_bindings(*kept);
    *ret = *kept;
    return ERR_OK;
}

enum err sqlite_prepare(struct sqlite_conn *conn, const char *sql, sqlite3_stmt **ret, struct why *why)
{
    if (sqlite3_prepare_v2(conn->db, sql, -1, ret, NULL) != SQLITE_OK)
        return sqlite_failure(conn, why);
    return ERR_OK;
}

static enum err write_on(struct sqlite_conn *conn, const struct store_step *steps, size_t n, struct why *why)
{
    enum err err = n > 1 ? sqlite_execute(conn, SQL_BEGIN_WRITE, why) : ERR_OK;
    for (size_t i = 0; !err && i < n; i++)
        err = sqlite_run(conn, steps[i].which, steps[i].params, steps[i].ret_rows, why);
    return !err && n > 1 ? sqlite_execute(conn, SQL_COMMIT, why) : err;
}

static enum err write_steps(struct store *store, const struct store_step *steps, size_t n, struct why *why)
{
    AUTO_GIVE struct sqlite_conn *conn = NULL;
    enum err err = sqlite_take(store, SQLITE_USE_WRITE, &conn, why);
    return err ? err : write_on(conn, steps, n, why);
}

static enum err settings_write(struct store *store, int64_t seen_revision, const char *overrides,
                               const json_t *history, int64_t *ret_revision, struct why *why)
{
    size_t written = 0;
    const struct store_step steps[] = {
        {SQL_SETTINGS_HISTORY, PARAMS(JSON_PARAM(history), NUMBER_PARAM(seen_revision)), NULL},
        {SQL_SETTINGS_WRITE, PARAMS(NUMBER_PARAM(seen_revision), TEXT_PARAM(overrides)), &written}};
    enum err err = write_steps(store, steps, ARRAY_LEN(steps), why);
    if (!err && written == 0)
        return why_set(why, ERR_CONFLICT, "the settings were changed meanwhile");
    if (!err)
        *ret_revision = seen_revision + 1;
    return err;
}

bool sqlite_outlived(struct sqlite_conn *conn)
{
    if ((sqlite3_errcode(conn->db) & 0xff) != SQLITE_INTERRUPT || conn->store->interrupted)
        return false;
    conn->run_until_ms = clock_mono_ms() + LIMIT_STATEMENT_MS;
    if (!sqlite3_get_autocommit(conn->db) &&
        sqlite3_exec(conn->db, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
        return false;
    return true;
}

/* what went wrong, in words */

/* SQLite before 3.42 keeps no error of the system's for a COMMIT. */
static enum err failure_of_os(const struct sqlite_conn *conn, const char *what, struct why *why)
{
    int code = sqlite3_system_errno(conn->db);
    char buffer[128];
    return why_set(why, ERR_UNAVAILABLE, "the database file %s cannot be %s (SQLite code %d)%s%s",
                   conn->store->path, what, sqlite3_extended_errcode(conn->db), code ? ": " : "",
                   code ? strerror_r(code, buffer, sizeof buffer) : "");
}

/* Whether what failed was a write. */
static bool is_write(int code)
{
    static const int codes[] = {SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC,
                                SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_SHMSIZE};
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (code == codes[i])
            return true;
    return false;
}

/* SQLITE_ERROR is everything else; of it a person can cure only a table, a column or a view's trigger that is
 * not there, and SQLite's message then names just that. */
static enum err failure_of_sql(const struct sqlite_conn *conn, int code, struct why *why)
{
    const char *message = sqlite3_errmsg(conn->db);
    if ((code & 0xff) == SQLITE_CONSTRAINT) {
        AUTO_FREE char *error = text_cut(message, LIMIT_REASON); /* a trigger may raise any text */
        return why_set(why, ERR_INTERNAL, "the database refused a write (SQLite code %d): %s", code, error);
    }
    if (strncmp(message, "no such ", 8) == 0 || strstr(message, "has no column named") ||
        strstr(message, "because it is a view"))
        return why_set(why, ERR_UNAVAILABLE,
                       "a statement names something that is missing in the database: %s", message);
    AUTO_FREE char *error = text_cut(message, LIMIT_REASON);
    return why_set(why, ERR_INTERNAL, "the database refused a statement (SQLite code %d): %s", code, error);
}

enum err sqlite_failure(struct sqlite_conn *conn, struct why *why)
{
    const char *path = conn->store->path;
    int code = sqlite3_extended_errcode(conn->db);
    conn->broken = true;
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        conn->broken = false;
        return why_set(why, ERR_TIMEOUT, "%s",
                       conn->store->interrupted
                           ? "waiting for the database was given up: stopping"
                           : "the database file was locked by another process for too long");
    case SQLITE_INTERRUPT:
        conn->broken = false;
        if (conn->store->interrupted)
            return why_set(why, ERR_TIMEOUT, "the database was interrupted: stopping");
        return why_set(why, ERR_TIMEOUT, "the database took longer than %d ms", LIMIT_STATEMENT_MS);
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return failure_of_os(conn, "opened", why);
    case SQLITE_IOERR:
        return failure_of_os(conn, is_write(code) ? "written" : "read", why);
    case SQLITE_READONLY:
        if (code == SQLITE_READONLY_DBMOVED)
            return why_set(why, ERR_UNAVAILABLE, "the database file %s was moved or deleted", path);
        return why_set(why, ERR_UNAVAILABLE, "the database file %s may only be read", path);
    case SQLITE_FULL:
        return why_set(why, ERR_UNAVAILABLE, "no space is left for the database file %s", path);
    case SQLITE_NOTADB:
        return why_set(why, ERR_UNAVAILABLE, "%s is not a SQLite database", path);
    case SQLITE_CORRUPT:
        return why_set(why, ERR_UNAVAILABLE, "the database file %s is damaged", path);
    default:
        conn->broken = false;
        return failure_of_sql(conn, code, why);
    }
}

/* the store */

static void sqlite_free(struct store *store)
{
    struct sqlite_store *sqlite = sqlite_store_of(store);
    for (size_t i = 0; i < ARRAY_LEN(sqlite->conns); i++)
        conn_close(&sqlite->conns[i]);
    pthread_cond_destroy(&sqlite->given);
    pthread_mutex_destroy(&sqlite->lock);
    free(sqlite->path);
    free(sqlite);
}

static void sqlite_interrupt(struct store *store)
{
    struct sqlite_store *sqlite = sqlite_store_of(store);
    pthread_mutex_lock(&sqlite->lock);
    sqlite->interrupted = true;
    pthread_cond_broadcast(&sqlite->given);
    pthread_mutex_unlock(&sqlite->lock);
}

static const struct store_ops sqlite_ops = {
    .free = sqlite_free,
    .interrupt = sqlite_interrupt,
    .query = sqlite_ask,
    .write = write_steps,
    .migrate = sqlite_migrate,
    .ready = sqlite_ready,
    .settings_write = settings_write,
    .create_tasks = sqlite_create_tasks,
    .transition = sqlite_transition,
    .trial = sqlite_trial,
    .replay_begin = sqlite_replay_begin,
    .replays_settle = sqlite_replays_settle,
    .tasks_query = sqlite_tasks_query,
    .tasks_place = sqlite_tasks_place,
};

enum err store_sqlite_open(const char *path, struct store **ret, struct why *why)
{
    if (!*path)
        return why_set(why, ERR_INVALID, "sqlite: names no file");
    if (strcmp(path, ":memory:") == 0)
        return why_set(why, ERR_INVALID,
                       "sqlite: needs a file, because a database in memory is lost at a restart");
    struct sqlite_store *sqlite = mem_zero(1, sizeof *sqlite);
    sqlite->base.ops = &sqlite_ops;
    sqlite->base.describe = mem_printf("sqlite %s", path);
    /* This build of SQLite takes a name that begins with "file:" for a URI with options. */
    sqlite->path = mem_printf("%s%s", strncmp(path, "file:", 5) == 0 ? "./" : "", path);
    pthread_mutex_init(&sqlite->lock, NULL);
    cond_init(&sqlite->given);
    for (size_t i = 0; i < ARRAY_LEN(sqlite->conns); i++)
        sqlite->conns[i].store = sqlite;
    *ret = &sqlite->base;
    return ERR_OK;
}
