/* The PostgreSQL store: its URL, its connections, and lending them to callers. store_pg_wire.c runs
 * statements, store_pg_sql.c has their texts, and each aggregate has a file. */
#include "clients/store/pg/store_pg.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/base/wait.h"
#include "clients/store/pg/store_pg_connect.h"

#define LOCK_WAIT_MS (LIMIT_STATEMENT_MS / 2)
/* This program's transactions send each statement at once; an idle transaction belongs to a process that
 * hangs.
 */
#define IDLE_IN_TRANSACTION_MS (2 * LIMIT_STATEMENT_MS)
/* How long data or a connect request may stay unacknowledged before the host counts as gone. */
#define TCP_USER_TIMEOUT_MS (2 * LIMIT_STATEMENT_MS)
#define KEEPALIVE_IDLE_S 30
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_COUNT 3

/* The part of libpq's reason for a failed connect that goes into words. */
#define REASON_MAX ((size_t)160)
#define PARAMETER_NAME_MAX ((size_t)40)

#define RETRIES_MAX 6
#define RETRY_PAUSE_MAX_MS 100

struct pg_store {
    struct store base;
    char *schema;
    /* What PQconnectdbParams takes, NULL-terminated. */
    char **keywords, **values;
    size_t n_keywords;
    size_t options;              /* the place of "options" among them */
    atomic_bool options_refused; /* by a pooler: its sessions start without ours */
    int64_t connect_ms;          /* how long a caller waits for a connection */
    atomic_bool interrupted;
    int stop_fd;
    pthread_mutex_t lock; /* guards conns[].taken */
    pthread_cond_t given;
    struct pg_conn conns[LIMIT_DB_CONNECTIONS];
};

static struct pg_store *pg_store_of(struct store *store)
{
    return (struct pg_store *)store;
}

const char *pg_schema(const struct store *store)
{
    return ((const struct pg_store *)store)->schema;
}

/* one connection */

static void notice_ignore(void *arg, const PGresult *notice)
{
    (void)arg, (void)notice;
}

static void conn_close(struct pg_conn *conn)
{
    PQfinish(conn->pg);
    conn->pg = NULL;
    conn->lost = false;
    free(conn->pooled_settings);
    conn->pooled_settings = NULL;
    conn->stage_known = conn->stage_is_enum = false;
    memset(conn->prepared, 0, sizeof conn->prepared);
}

/* Why no connection came about. libpq's text has "connection to server at …, port … failed: REASON" for each
 * host, and hints; the last reason is kept. It quotes a user or a database at most, never a password. */
static enum err connect_failure(const PGconn *pg, struct why *why)
{
    const char *reason = PQerrorMessage(pg), *next = reason;
    while ((next = strstr(next, "failed: ")))
        reason = next += strlen("failed: ");
    AUTO_FREE char *line = mem_dupn(reason, strcspn(reason, "\n"));
    AUTO_FREE char *error = text_cut(line, REASON_MAX);
    return why_set(why, ERR_UNAVAILABLE, "the database cannot be reached: %s", error);
}

/* The settings that session_options and session_prepare make for an own session, for one transaction. NULL:
 * the database cannot represent the schema's name. */
static char *transaction_settings(const struct pg_conn *conn)
{
    const char *schema = conn->store->schema;
    char *quoted = schema ? PQescapeIdentifier(conn->pg, schema, strlen(schema)) : NULL;
    if (schema && !quoted)
        return NULL;
    char *text = mem_printf(
        "SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'; SET LOCAL statement_timeout = %d;"
        " SET LOCAL lock_timeout = %d; SET LOCAL idle_in_transaction_session_timeout = %d;"
        " SET LOCAL jit = off; SET LOCAL enable_seqscan = off%s%s",
        LIMIT_STATEMENT_MS, LOCK_WAIT_MS, IDLE_IN_TRANSACTION_MS, quoted ? "; SET LOCAL search_path = " : "",
        quoted ? quoted : "");
    PQfreemem(quoted);
    return text;
}

/* Sets what the statements rely on, independent of the settings of the role and the database: instants are
 * read and written in UTC as ISO text; names are found in the schema.
 *
 * A pooler (pgbouncer, Odyssey, a cloud's proxy) reports a process id of its own at the start, not the
 * server's: another client may use the session in the next transaction. Such a session is not changed, and
 * each transaction makes the same settings for itself (pg_begin). */
static enum err session_prepare(struct pg_conn *conn, struct why *why)
{
    static const char sql[] = "SELECT CASE WHEN pg_backend_pid() = $2::int THEN"
                              " concat(set_config('TimeZone', 'UTC', false),"
                              "  set_config('DateStyle', 'ISO', false),"
                              "  CASE WHEN $1::text IS NOT NULL"
                              "   THEN set_config('search_path', quote_ident($1), false) END) END";
    AUTO_FREE char *process = mem_printf("%d", PQbackendPID(conn->pg));
    const char *const params[] = {conn->store->schema, process};
    if (!PQsendQueryParams(conn->pg, sql, (int)ARRAY_LEN(params), NULL, params, NULL, NULL, 0)) {
        conn->lost = true;
        return why_set(why, ERR_UNAVAILABLE, "the connection to the database broke");
    }
    PGresult *result = NULL;
    enum err err = pg_await_end(conn, &result, why);
    if (!err && PQgetisnull(result, 0, 0) && !(conn->pooled_settings = transaction_settings(conn)))
        err = why_set(why, ERR_INVALID, "the name of the schema is no text the database knows");
    PQclear(result);
    return err;
}

/* Whether a connection that rested is still good: a server that ended it has sent so, or closed the socket,
 * and either makes the socket readable. */
static bool conn_is_alive(const struct pg_conn *conn)
{
    if (!conn->pg)
        return false;
    struct pollfd fd = {.fd = PQsocket(conn->pg), .events = POLLIN};
    while (PQstatus(conn->pg) == CONNECTION_OK && poll(&fd, 1, 0) > 0) {
        if (!PQconsumeInput(conn->pg))
            return false;
        (void)PQisBusy(conn->pg); /* takes in what came */
    }
    return PQstatus(conn->pg) == CONNECTION_OK;
}

/* What an earlier caller did not wait for, if it is good. */
static bool conn_take_late(struct pg_conn *conn)
{
    if (!conn->connect || !pg_connect_wait(conn->connect, conn->stop_fd, 0))
        return false;
    conn->pg = pg_connect_take(conn->connect);
    conn->connect = NULL;
    if (conn_is_alive(conn))
        return true;
    conn_close(conn);
    return false;
}

static enum err connect_start(struct pg_conn *conn, struct why *why)
{
    struct pg_store *store = conn->store;
    size_t n = store->n_keywords + 1;
    AUTO_FREE char **values = mem_zero(n, sizeof *values);
    memcpy(values, store->values, n * sizeof *values);
    char none[] = "";
    if (store->options_refused)
        values[store->options] = none;
    return pg_connect_start(store->keywords, values, &conn->connect, why);
}

/* On ERR_OK conn->pg is libpq's result, connected or not. On an error the attempt is still under way. */
static enum err conn_connect(struct pg_conn *conn, struct why *why)
{
    const struct pg_store *store = conn->store;
    if (conn_take_late(conn))
        return ERR_OK;
    enum err err = conn->connect ? ERR_OK : connect_start(conn, why);
    if (err)
        return err;
    if (!pg_connect_wait(conn->connect, conn->stop_fd, store->connect_ms))
        return store->interrupted
                   ? why_set(why, ERR_TIMEOUT, "the database is not asked any more: stopping")
                   : why_set(why, ERR_UNAVAILABLE,
                             "the database cannot be reached: no connection within %lld s, its name may not "
                             "be resolved",
                             (long long)(store->connect_ms / 1000));
    conn->pg = pg_connect_take(conn->connect);
    conn->connect = NULL;
    return ERR_OK;
}

/* pgbouncer refuses the options that we start a session with, unless its ignore_startup_parameters names
 * them. */
static bool are_options_refused(const struct pg_conn *conn)
{
    return conn->pg && PQstatus(conn->pg) != CONNECTION_OK &&
           strstr(PQerrorMessage(conn->pg), "unsupported startup parameter");
}

static enum err conn_open(struct pg_conn *conn, struct why *why)
{
    enum err failed = conn_connect(conn, why);
    if (!failed && are_options_refused(conn)) {
        conn_close(conn);
        conn->store->options_refused = true;
        failed = conn_connect(conn, why);
    }
    if (failed)
        return failed;
    if (!conn->pg)
        return why_set(why, ERR_INTERNAL, "no memory for a connection to the database");
    enum err err = ERR_OK;
    if (PQstatus(conn->pg) != CONNECTION_OK)
        err = connect_failure(conn->pg, why);
    else if (PQsetnonblocking(conn->pg, 1) != 0)
        err = why_set(why, ERR_INTERNAL, "the connection to the database cannot be made non-blocking");
    if (!err) {
        PQsetNoticeReceiver(conn->pg, notice_ignore, NULL);
        err = session_prepare(conn, why);
    }
    if (err)
        conn_close(conn);
    return err;
}

/* the pool */

/* One that is connected, if there is a choice. */
static struct pg_conn *pool_free_conn(struct pg_store *store)
{
    struct pg_conn *found = NULL;
    for (size_t i = 0; i < ARRAY_LEN(store->conns); i++) {
        struct pg_conn *conn = &store->conns[i];
        if (!conn->taken && (!found || (conn->pg && !found->pg)))
            found = conn;
    }
    return found;
}

/* NULL when none became free in time, or the store is interrupted. */
static struct pg_conn *conn_take(struct pg_store *store)
{
    int64_t until_ms = clock_mono_ms() + LIMIT_STATEMENT_MS;
    struct pg_conn *conn = NULL;
    int waited = 0;
    pthread_mutex_lock(&store->lock);
    while (!store->interrupted && !(conn = pool_free_conn(store)) && waited != ETIMEDOUT)
        waited = cond_wait_until(&store->given, &store->lock, until_ms);
    if (conn)
        conn->taken = true;
    pthread_mutex_unlock(&store->lock);
    return conn;
}

/* Rolls back an open transaction. If that fails, closes the connection, so that the server rolls back. */
static void conn_tidy(struct pg_conn *conn)
{
    conn->patient = false;
    if (!conn->pg)
        return;
    PGTransactionStatusType status = PQtransactionStatus(conn->pg);
    if (!conn->lost && (status == PQTRANS_INTRANS || status == PQTRANS_INERROR) &&
        pg_execute(conn, "ROLLBACK", NULL))
        conn->lost = true;
    if (conn->lost || PQtransactionStatus(conn->pg) != PQTRANS_IDLE)
        conn_close(conn);
}

static void conn_give(struct pg_conn *conn)
{
    struct pg_store *store = conn->store;
    conn_tidy(conn);
    pthread_mutex_lock(&store->lock);
    conn->taken = false;
    pthread_cond_signal(&store->given);
    pthread_mutex_unlock(&store->lock);
}

/* calls */

/* One try. *ret_lost: the connection died under it, and the reason was not a deadline or a stop. */
static enum err call_once(struct pg_store *store, pg_work_fn *work, void *arg, bool *ret_lost,
                          struct why *why)
{
    struct pg_conn *conn = conn_take(store);
    enum err err = ERR_OK;
    *ret_lost = false;
    if (!conn)
        return why_set(why, ERR_TIMEOUT, "%s",
                       store->interrupted ? "the database is not asked any more: stopping"
                                          : "every connection to the database is in use");
    if (!conn_is_alive(conn)) {
        conn_close(conn);
        err = conn_open(conn, why);
    }
    if (!err) {
        err = work(conn, arg, why);
        *ret_lost = conn->lost && err != ERR_TIMEOUT;
    }
    conn_give(conn);
    return err;
}

/* A growing pause that differs in each replica, so that two that collided do not collide again. */
static void pause_before_retry(struct pg_store *store, unsigned retry)
{
    struct uuid_text random = uuid_new();
    unsigned most = 4u << retry, seed = 0;
    for (size_t i = 0; i < 8; i++)
        seed = seed * 31 + (unsigned char)random.s[i];
    most = most < RETRY_PAUSE_MAX_MS ? most : RETRY_PAUSE_MAX_MS;
    struct pollfd stop = {.fd = store->stop_fd, .events = POLLIN};
    (void)poll(&stop, 1, (int)(1 + seed % most));
}

enum err pg_call(struct store *store, pg_work_fn *work, void *arg, struct why *why)
{
    struct pg_store *pg = pg_store_of(store);
    struct why error = {""};
    enum err err;
    bool lost, reconnected = false;
    for (unsigned retry = 0;; retry++) {
        err = call_once(pg, work, arg, &lost, &error);
        if (err == ERR_RETRY && retry < RETRIES_MAX && !pg->interrupted) {
            pause_before_retry(pg, retry);
            continue;
        }
        if (!err || !lost || reconnected || pg->interrupted)
            break;
        reconnected = true;
    }
    if (err && why)
        *why = error;
    return err == ERR_RETRY ? ERR_TIMEOUT : err;
}

struct question {
    unsigned which;
    struct pg_values values;
    PGresult *result;
};

/* A row of another program may hold bytes that the server cannot convert to UTF-8, which fails the whole
 * statement. The statement is then repeated without conversion, and the bytes are checked where they are
 * read. It runs in a transaction, so that a pooler uses one connection for all of it. */
static enum err question_ask(struct pg_conn *conn, void *arg, struct why *why)
{
    struct question *question = arg;
    PGresult *result = NULL;
    enum err err = pg_run(conn, question->which, &question->values, &question->result, why);
    if (!err || !pg_is_unconvertible(conn))
        return err;
    if (PQtransactionStatus(conn->pg) != PQTRANS_IDLE && (err = pg_execute(conn, "ROLLBACK", why)))
        return err;
    if ((err = pg_begin(conn, "BEGIN READ ONLY", why)) ||
        (err = pg_execute(conn, "SET LOCAL client_encoding = 'SQL_ASCII'", why)) ||
        (err = pg_run(conn, question->which, &question->values, &result, why)))
        return err;
    if ((err = pg_execute(conn, "COMMIT", why)))
        PQclear(result);
    else
        question->result = result;
    return err;
}

static struct store_rows query(struct store *store, unsigned which, struct store_params params,
                               struct why *why)
{
    struct question question = {.which = which};
    pg_values_make(&question.values, params);
    enum err err = pg_call(store, question_ask, &question, why);
    pg_values_done(&question.values);
    return err ? rows_failed(err) : pg_rows(question.result, why);
}

struct writing {
    const struct store_step *steps;
    size_t n;
};

static enum err writing_run(struct pg_conn *conn, void *arg, struct why *why)
{
    struct writing *writing = arg;
    enum err err = writing->n > 1 ? pg_begin(conn, "BEGIN", why) : ERR_OK;
    for (size_t i = 0; !err && i < writing->n; i++) {
        const struct store_step *step = &writing->steps[i];
        err = rows_count(pg_query(conn, step->which, step->params, why), step->ret_rows);
    }
    return !err && writing->n > 1 ? pg_commit(conn, why) : err;
}

static enum err write_steps(struct store *store, const struct store_step *steps, size_t n, struct why *why)
{
    struct writing writing = {.steps = steps, .n = n};
    return pg_call(store, writing_run, &writing, why);
}

/* the URL */

static void connect_add(struct pg_store *store, const char *keyword, const char *value)
{
    store->keywords = mem_grow(store->keywords, store->n_keywords + 2, sizeof *store->keywords);
    store->values = mem_grow(store->values, store->n_keywords + 2, sizeof *store->values);
    store->keywords[store->n_keywords] = mem_dup(keyword);
    store->values[store->n_keywords++] = mem_dup(value);
    store->keywords[store->n_keywords] = NULL;
    store->values[store->n_keywords] = NULL;
}

static const char *option_value(const PQconninfoOption *options, const char *keyword)
{
    for (; options->keyword; options++)
        if (strcmp(options->keyword, keyword) == 0)
            return options->val;
    return NULL;
}

/* The settings of the server for an own session; those in the URL's `options` take precedence, because they
 * come later.
 *   jit: compiling the stuck query takes 30 times as long as running it.
 *   enable_seqscan: the planner does not know the bounds of a range with parameters, assumes a third of the
 * table, and would rather read all of it; every statement here is made for an index.
 */
static char *session_options(const char *own)
{
    return mem_printf("-c statement_timeout=%d -c lock_timeout=%d -c idle_in_transaction_session_timeout=%d"
                      " -c jit=off -c enable_seqscan=off %s",
                      LIMIT_STATEMENT_MS, LOCK_WAIT_MS, IDLE_IN_TRANSACTION_MS, own ? own : "");
}

static size_t list_len(const char *list)
{
    size_t n = 1;
    for (; *list; list++)
        n += *list == ',';
    return n;
}

static void connect_params(struct pg_store *store, const PQconninfoOption *given)
{
    static const struct {
        const char *keyword;
        int value;
    } defaults[] = {
        {"connect_timeout", LIMIT_CONNECT_S},          {"keepalives_idle", KEEPALIVE_IDLE_S},
        {"keepalives_interval", KEEPALIVE_INTERVAL_S}, {"keepalives_count", KEEPALIVE_COUNT},
        {"tcp_user_timeout", TCP_USER_TIMEOUT_MS},
    };
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
        AUTO_FREE char *value = mem_printf("%d", defaults[i].value);
        if (!option_value(given, defaults[i].keyword))
            connect_add(store, defaults[i].keyword, value);
    }
    if (!option_value(given, "application_name"))
        connect_add(store, "application_name", "reconciled");
    const char *own = option_value(given, "options");
    AUTO_FREE char *options = session_options(own ? own : getenv("PGOPTIONS"));
    store->options = store->n_keywords;
    connect_add(store, "options", options);
    /* Of several hosts the one that can be written. */
    const char *hosts = option_value(given, "host"), *addresses = option_value(given, "hostaddr");
    if (!option_value(given, "target_session_attrs") && !getenv("PGTARGETSESSIONATTRS") &&
        (list_len(hosts ? hosts : "") > 1 || list_len(addresses ? addresses : "") > 1))
        connect_add(store, "target_session_attrs", "read-write");
    connect_add(store, "client_encoding", "UTF8");
    for (; given->keyword; given++)
        if (given->val && strcmp(given->keyword, "options") != 0 &&
            strcmp(given->keyword, "client_encoding") != 0)
            connect_add(store, given->keyword, given->val);
}

/* The item of a comma-separated list; a list of one counts for every place, as libpq has it for ports. */
static char *list_item(const char *list, size_t index)
{
    const char *at = list ? list : "";
    for (size_t i = 0; i < index; i++) {
        const char *comma = strchr(at, ',');
        if (!comma)
            break;
        at = comma + 1;
    }
    return mem_dupn(at, strcspn(at, ","));
}

/* "db1:5432,db2:5433/orch"; NULL and words if a port or a host is invalid. */
static char *servers_describe(const PQconninfoOption *given, struct why *why)
{
    const char *hosts = option_value(given, "host"), *ports = option_value(given, "port");
    const char *database = option_value(given, "dbname");
    hosts = hosts && *hosts ? hosts : option_value(given, "hostaddr");
    hosts = hosts && *hosts ? hosts : "local";
    struct buffer text = {.max = LIMIT_STORED_TEXT};
    buffer_puts(&text, "postgresql ");
    for (size_t i = 0; i < list_len(hosts); i++) {
        AUTO_FREE char *host = list_item(hosts, i);
        AUTO_FREE char *port = list_item(ports, i);
        int64_t number = 5432;
        /* A '@' in a password that is not percent-encoded makes the password's rest part of the host. */
        if (strchr(host, '@') || (*port && !parse_i64(port, 1, 65535, &number))) {
            free(text.text);
            (void)why_set(why, ERR_INVALID, "the database URL names an impossible %s",
                          strchr(host, '@') ? "host: percent-encode the password (@ is %40)" : "port");
            return NULL;
        }
        buffer_printf(&text, "%s%s:%d", i > 0 ? "," : "", host, (int)number);
    }
    if (database)
        buffer_printf(&text, "/%s", database);
    return buffer_take(&text);
}

/* Each host may take its time, and the names theirs. */
static int64_t connect_wait_ms(const PQconninfoOption *given)
{
    const char *hosts = option_value(given, "host");
    int64_t wait_ms = (int64_t)list_len(hosts ? hosts : "") * LIMIT_CONNECT_S * 1000 + LIMIT_RESOLVE_NAME_MS;
    return wait_ms < LIMIT_CONNECT_WAIT_MS ? wait_ms : LIMIT_CONNECT_WAIT_MS;
}

/* a URL that cannot be read */

static bool is_keyword(const char *name, size_t len)
{
    PQconninfoOption *known = PQconndefaults();
    bool found = len == strlen("ssl") && strncmp(name, "ssl", len) == 0; /* of JDBC; libpq takes it too */
    for (const PQconninfoOption *at = known; at && at->keyword && !found; at++)
        found = strlen(at->keyword) == len && strncmp(at->keyword, name, len) == 0;
    PQconninfoFree(known);
    return found;
}

/* What is wrong with the first parameter of the URL that libpq does not take. True: `why` is set, with no
 * part of a value. A question mark before the last @ is of a password. */
static bool parameter_blame(const char *url, struct why *why)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    const char *host = strrchr(url, '@'), *at = strchr(host ? host : url, '?');
    if (!at)
        return false;
    for (at++; *at; at += strspn(at, "&")) {
        size_t len = strspn(at, letters), whole = strcspn(at, "&");
        const char *equals = memchr(at, '=', whole);
        bool is_schema = len == strlen("schema") && strncmp(at, "schema", len) == 0;
        if (len == 0 || len > PARAMETER_NAME_MAX || at + len != (equals ? equals : at + whole))
            return false;
        if (!is_keyword(at, len)) {
            (void)why_set(why, ERR_INVALID,
                          "the database URL has a parameter that libpq does not know: %.*s; leave it out%s",
                          (int)len, at, is_schema ? " (the schema has a setting of its own)" : "");
            return true;
        }
        if (!equals || memchr(equals + 1, '=', whole - len - 1)) {
            (void)why_set(why, ERR_INVALID,
                          "the database URL's parameter %.*s cannot be read: write %.*s=VALUE, with VALUE "
                          "percent-encoded (= is %%3D)",
                          (int)len, at, (int)len, at);
            return true;
        }
        at += whole;
    }
    return false;
}

/* the store */

static void pg_free(struct store *store)
{
    struct pg_store *pg = pg_store_of(store);
    for (size_t i = 0; i < ARRAY_LEN(pg->conns); i++) {
        pg_connect_drop(pg->conns[i].connect);
        conn_close(&pg->conns[i]);
    }
    for (size_t i = 0; i < pg->n_keywords; i++) {
        free(pg->keywords[i]);
        free(pg->values[i]);
    }
    free(pg->keywords);
    free(pg->values);
    close(pg->stop_fd);
    pthread_cond_destroy(&pg->given);
    pthread_mutex_destroy(&pg->lock);
    free(pg->schema);
    free(pg);
}

static void pg_interrupt(struct store *store)
{
    struct pg_store *pg = pg_store_of(store);
    pthread_mutex_lock(&pg->lock);
    pg->interrupted = true;
    pthread_cond_broadcast(&pg->given);
    pthread_mutex_unlock(&pg->lock);
    /* It is never read, so it wakes every waiter, now and later. */
    (void)eventfd_write(pg->stop_fd, 1);
}

static const struct store_ops pg_ops = {
    .free = pg_free,
    .interrupt = pg_interrupt,
    .query = query,
    .write = write_steps,
    .migrate = pg_migrate,
    .ready = pg_ready,
    .settings_write = pg_settings_write,
    .create_tasks = pg_create_tasks,
    .transition = pg_transition,
    .trial = pg_trial,
    .replay_begin = pg_replay_begin,
    .replays_settle = pg_replays_settle,
    .tasks_query = pg_tasks_query,
    .tasks_place = pg_tasks_place,
};

enum err store_postgresql_open(const char *url, const char *schema, struct store **ret, struct why *why)
{
    /* libpq's own words for a bad URL quote it, password and all. */
    PQconninfoOption *given = PQconninfoParse(url, NULL);
    if (!given && parameter_blame(url, why))
        return ERR_INVALID;
    if (!given)
        return why_set(why, ERR_INVALID,
                       "the database URL cannot be read (is the password percent-encoded?)");
    char *describe = servers_describe(given, why);
    if (!describe) {
        PQconninfoFree(given);
        return ERR_INVALID;
    }
    int stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop_fd < 0) {
        free(describe);
        PQconninfoFree(given);
        return why_set(why, ERR_INTERNAL, "no file descriptor is left");
    }
    struct pg_store *store = mem_zero(1, sizeof *store);
    store->base.ops = &pg_ops;
    store->base.describe = describe;
    store->schema = mem_dup(schema);
    connect_params(store, given);
    store->connect_ms = connect_wait_ms(given);
    PQconninfoFree(given);
    store->stop_fd = stop_fd;
    pthread_mutex_init(&store->lock, NULL);
    cond_init(&store->given);
    for (size_t i = 0; i < ARRAY_LEN(store->conns); i++) {
        store->conns[i].store = store;
        store->conns[i].stop_fd = stop_fd;
    }
    *ret = &store->base;
    return ERR_OK;
}
