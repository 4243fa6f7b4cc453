/* Statements on one connection: sent, awaited within their time, and what went wrong in words. */
#include "clients/store/pg/store_pg.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"

/* What the server may take beyond its own statement_timeout to report it. */
#define ANSWER_SLACK_MS 1000
/* The part of a server's message that goes into words. */
#define MESSAGE_MAX ((size_t)140)

/* what went wrong, in words */

static enum err failure_of_connection(struct pg_conn *conn, struct why *why)
{
    conn->lost = true;
    return why_set(why, ERR_UNAVAILABLE, "the connection to the database broke");
}

/* A class is the first two characters of an SQLSTATE. */
static bool is_class(const char *state, const char *const *classes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strncmp(state, classes[i], 2) == 0)
            return true;
    return false;
}

/* The words for each kind of failure; the first match counts. `adds_words`: the server's own are added: they
 * name a table, a role or a constraint, and no data of ours but what a trigger puts there. */
static const struct failure {
    const char *state; /* whole, or its class */
    enum err err;
    bool lost; /* another connection may do better */
    bool adds_words;
    const char *error;
} failures[] = {
    {"40001", ERR_RETRY, false, false, "the database could not order two transactions"},
    {"40P01", ERR_RETRY, false, false, "two transactions locked each other out"},
    {"40", ERR_RETRY, false, false, "the database rolled a transaction back"},
    {"55P03", ERR_TIMEOUT, false, false, "a lock in the database was held by another session for too long"},
    {"57014", ERR_TIMEOUT, false, false, "the database took too long for a statement"},
    {"25006", ERR_UNAVAILABLE, true, false,
     "the database may only be read: it is a standby, or default_transaction_read_only is set"},
    {"25P03", ERR_UNAVAILABLE, true, false, "the database ended a transaction that rested for too long"},
    {"57", ERR_UNAVAILABLE, true, false, "the database is shutting down or starting"},
    {"08", ERR_UNAVAILABLE, true, false, "the connection to the database broke"},
    {"53", ERR_UNAVAILABLE, true, true, "the database is out of a resource"},
    {"58", ERR_UNAVAILABLE, true, false, "the database's machine has a fault"},
    {"28", ERR_UNAVAILABLE, true, true, "the database refused us"},
    {"26000", ERR_UNAVAILABLE, true, false, "the database lost a prepared statement"},
    {"0A000", ERR_UNAVAILABLE, true, true, "the database does not support a statement"},
    /* A parameter took its type from a column that has another by now. */
    {"42883", ERR_UNAVAILABLE, true, true, "the database does not support a statement"},
    {"42P01", ERR_UNAVAILABLE, false, true, "a statement names something that is missing in the database"},
    {"42703", ERR_UNAVAILABLE, false, true, "a statement names something that is missing in the database"},
    {"3F000", ERR_UNAVAILABLE, false, true, "a statement names something that is missing in the database"},
    {"3D000", ERR_UNAVAILABLE, false, true, "a statement names something that is missing in the database"},
    {"42501", ERR_UNAVAILABLE, false, true, "the database does not permit it"},
    {"23", ERR_INTERNAL, false, true, "the database refused a write"},
    {"44", ERR_INTERNAL, false, true, "the database refused a write"},
    {"P0001", ERR_INTERNAL, false, true, "the database refused a write"},
    /* A view that takes no writes, a published table without a key. */
    {"55000", ERR_INTERNAL, false, true, "the database refused a write"},
    {"42", ERR_INTERNAL, false, true, "the database cannot do a statement"},
};

static const struct failure *failure_find(const char *state)
{
    for (size_t i = 0; i < ARRAY_LEN(failures); i++)
        if (strncmp(state, failures[i].state, strlen(failures[i].state)) == 0)
            return &failures[i];
    return NULL;
}

/* Whose fault it is. An error raised within a function, or while a lock on a row was waited for, has a
 * context.
 */
static enum pg_fault fault_of(const PGresult *result, const char *state)
{
    static const char *const data[] = {"09", "21", "22", "23", "27", "38", "39", "44", "P0"};
    static const char *const never[] = {"08", "25", "26", "28", "53", "58"};
    static const char *const server[] = {"40", "55", "57"};
    if (!*state || is_class(state, never, ARRAY_LEN(never)))
        return PG_FAULT_SERVER;
    if (is_class(state, data, ARRAY_LEN(data)) || PQresultErrorField(result, PG_DIAG_CONTEXT))
        return PG_FAULT_ROW;
    return is_class(state, server, ARRAY_LEN(server)) ? PG_FAULT_SERVER : PG_FAULT_EITHER;
}

/* A name that the server reports apart from its message, in words, unless the message has it. */
static char *name_of(const PGresult *result, int field, const char *error, const char *message)
{
    const char *name = PQresultErrorField(result, field);
    return name && !strstr(message, name) ? mem_printf(", %s %s", error, name) : mem_dup("");
}

/* We give no row of the orchestrator's its id. Two with the same come from a sequence that gives out numbers
 * that are there already, as after a restore of the rows alone. In every language the detail has the columns
 * and values as here. */
static bool are_ids_behind(const struct pg_conn *conn, const PGresult *result)
{
    static const char ours[] = "reconcile_";
    const char *table = PQresultErrorField(result, PG_DIAG_TABLE_NAME);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    return strcmp(conn->sqlstate, "23505") == 0 && table && strncmp(table, ours, strlen(ours)) != 0 &&
           detail && strstr(detail, " (id)=(");
}

static void refusal_describe(struct pg_conn *conn, const PGresult *result)
{
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    AUTO_FREE char *words = text_cut(message ? message : "no message", MESSAGE_MAX);
    AUTO_FREE char *column = name_of(result, PG_DIAG_COLUMN_NAME, "column", words);
    AUTO_FREE char *constraint = name_of(result, PG_DIAG_CONSTRAINT_NAME, "constraint", words);
    (void)why_set(&conn->refusal, ERR_OK, "the database refused the write (SQLSTATE %s): %s%s%s%s",
                  conn->sqlstate, words, column, constraint,
                  conn->ids_behind ? ": the sequence of its ids is behind its rows" : "");
}

static enum err failure_of_result(struct pg_conn *conn, const PGresult *result, struct why *why)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    /* A backend that was killed leaves a result without a state and a dead connection. */
    if (PQstatus(conn->pg) != CONNECTION_OK && !state)
        return failure_of_connection(conn, why);
    state = state ? state : "";
    snprintf(conn->sqlstate, sizeof conn->sqlstate, "%s", state);
    conn->fault = fault_of(result, state);
    conn->ids_behind = are_ids_behind(conn, result);
    refusal_describe(conn, result);
    const struct failure *failure = failure_find(state);
    if (PQstatus(conn->pg) != CONNECTION_OK || (failure && failure->lost))
        conn->lost = true;
    if (!failure)
        return why_set(why, ERR_INTERNAL, "the database refused a statement (SQLSTATE %s)",
                       *state ? state : "unknown");
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    AUTO_FREE char *words = failure->adds_words && message ? text_cut(message, MESSAGE_MAX) : NULL;
    return words ? why_set(why, failure->err, "%s (SQLSTATE %s): %s", failure->error, state, words)
                 : why_set(why, failure->err, "%s", failure->error);
}

/* character_not_in_repertoire, untranslatable_character */
bool pg_is_unconvertible(const struct pg_conn *conn)
{
    return strcmp(conn->sqlstate, "22021") == 0 || strcmp(conn->sqlstate, "22P05") == 0;
}

/* waiting */

static int wait_ms(const struct pg_conn *conn, int64_t deadline_ms)
{
    if (conn->patient)
        return -1;
    int64_t left = deadline_ms - clock_mono_ms();
    return left > 0 ? (int)left : 0;
}

/* Sends what is left and receives until a result is there. A connection that was given up in the middle is
 * lost: the answer may still come. */
static enum err await_result(struct pg_conn *conn, int64_t deadline_ms, struct why *why)
{
    for (;;) {
        int unsent = PQflush(conn->pg);
        if (unsent < 0)
            return failure_of_connection(conn, why);
        if (unsent == 0 && !PQisBusy(conn->pg))
            return ERR_OK;
        struct pollfd fds[] = {
            {.fd = PQsocket(conn->pg), .events = (short)(unsent ? POLLIN | POLLOUT : POLLIN)},
            {.fd = conn->stop_fd, .events = POLLIN},
        };
        int ready = poll(fds, ARRAY_LEN(fds), wait_ms(conn, deadline_ms));
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0 || fds[1].revents) {
            conn->lost = true;
            return why_set(why, ERR_TIMEOUT, "%s",
                           ready > 0 ? "waiting for the database was given up: stopping"
                                     : "the database did not answer in time");
        }
        if (fds[0].revents & ~POLLOUT && !PQconsumeInput(conn->pg))
            return failure_of_connection(conn, why);
    }
}

static bool is_good(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

enum err pg_await_end(struct pg_conn *conn, PGresult **ret, struct why *why)
{
    int64_t deadline_ms = clock_mono_ms() + LIMIT_STATEMENT_MS + ANSWER_SLACK_MS;
    PGresult *last = NULL, *next;
    conn->sqlstate[0] = '\0';
    conn->fault = PG_FAULT_SERVER;
    conn->refusal.text[0] = '\0';
    conn->ids_behind = false;
    for (;;) {
        enum err err = await_result(conn, deadline_ms, why);
        if (err) {
            PQclear(last);
            return err;
        }
        if (!(next = PQgetResult(conn->pg)))
            break;
        /* The first failure is the cause of those after it. */
        if (last && !is_good(last)) {
            PQclear(next);
        } else {
            PQclear(last);
            last = next;
        }
    }
    if (!last || !is_good(last)) {
        enum err err = last ? failure_of_result(conn, last, why) : failure_of_connection(conn, why);
        PQclear(last);
        return err;
    }
    if (ret)
        *ret = last;
    else
        PQclear(last);
    return ERR_OK;
}

/* statements */

static enum err prepare(struct pg_conn *conn, const char *name, const char *sql, struct why *why)
{
    if (!PQsendPrepare(conn->pg, name, sql, 0, NULL))
        return failure_of_connection(conn, why);
    return pg_await_end(conn, NULL, why);
}

/* Caller frees *ret. */
static enum err statement_text(struct pg_conn *conn, unsigned which, char **ret, struct why *why)
{
    if (pg_sql_names_stage(which) && !conn->stage_known) {
        struct store_rows rows = pg_query(conn, PG_STAGE_TYPE, NO_PARAMS, why);
        if (rows_next(&rows)) {
            conn->stage_is_enum = rows_bool(&rows, "is_enum");
            conn->stage_known = true;
        }
        enum err err = rows_end(&rows);
        if (err)
            return err;
    }
    *ret = pg_sql_text(which, conn->stage_is_enum);
    return ERR_OK;
}

static enum err run_prepared(struct pg_conn *conn, unsigned which, const struct pg_values *values,
                             PGresult **ret, struct why *why)
{
    char name[16];
    (void)snprintf(name, sizeof name, "s%u", which);
    if (!conn->prepared[which]) {
        AUTO_FREE char *sql = NULL;
        enum err err = statement_text(conn, which, &sql, why);
        if (err || (err = prepare(conn, name, sql, why)))
            return err;
        conn->prepared[which] = true;
    }
    if (!PQsendQueryPrepared(conn->pg, name, (int)values->n, (const char *const *)values->texts, NULL, NULL,
                             0))
        return failure_of_connection(conn, why);
    return pg_await_end(conn, ret, why);
}

/* A transaction of its own for a statement that is in none. *ret_begun: there is one now, to be committed. */
static enum err begin_for_one(struct pg_conn *conn, bool *ret_begun, struct why *why)
{
    *ret_begun = conn->pooled_settings && PQtransactionStatus(conn->pg) == PQTRANS_IDLE;
    return *ret_begun ? pg_begin(conn, "BEGIN", why) : ERR_OK;
}

static enum err run_pooled(struct pg_conn *conn, unsigned which, const struct pg_values *values,
                           PGresult **ret, struct why *why)
{
    bool begun;
    PGresult *result = NULL;
    AUTO_FREE char *sql = NULL;
    enum err err = statement_text(conn, which, &sql, why);
    if (err || (err = begin_for_one(conn, &begun, why)))
        return err;
    if (!PQsendQueryParams(conn->pg, sql, (int)values->n, NULL, (const char *const *)values->texts, NULL,
                           NULL, 0))
        return failure_of_connection(conn, why);
    if (!(err = pg_await_end(conn, &result, why)) && begun)
        err = pg_commit(conn, why);
    if (err)
        PQclear(result);
    else
        *ret = result;
    return err;
}

enum err pg_run(struct pg_conn *conn, unsigned which, const struct pg_values *values, PGresult **ret,
                struct why *why)
{
    return conn->pooled_settings ? run_pooled(conn, which, values, ret, why)
                                 : run_prepared(conn, which, values, ret, why);
}

enum err pg_parse(struct pg_conn *conn, const char *sql, struct why *why)
{
    bool begun;
    enum err err = begin_for_one(conn, &begun, why);
    return err ? err : prepare(conn, "", sql, why);
}

enum err pg_begin(struct pg_conn *conn, const char *begin, struct why *why)
{
    if (!conn->pooled_settings)
        return pg_execute(conn, begin, why);
    AUTO_FREE char *sql = mem_printf("%s; %s", begin, conn->pooled_settings);
    return pg_execute(conn, sql, why);
}

enum err pg_execute(struct pg_conn *conn, const char *sql, struct why *why)
{
    if (!PQsendQuery(conn->pg, sql))
        return failure_of_connection(conn, why);
    return pg_await_end(conn, NULL, why);
}

enum err pg_commit(struct pg_conn *conn, struct why *why)
{
    PGresult *result = NULL;
    if (!PQsendQuery(conn->pg, "COMMIT"))
        return failure_of_connection(conn, why);
    enum err err = pg_await_end(conn, &result, why);
    if (!err && strcmp(PQcmdStatus(result), "COMMIT") != 0)
        err = why_set(why, ERR_INTERNAL, "the database rolled a transaction back instead of committing it");
    PQclear(result);
    return err;
}

/* fields and parameters */

/* How an element is written. */
struct spelling {
    int (*turn)(int); /* its case; NULL: as it is */
    bool bare;        /* without hyphens */
};

/* Returns what stands behind the element. */
static char *element_put(char *at, const char *text, struct spelling spelling)
{
    *at++ = '"';
    for (; *text; text++) {
        if (spelling.bare && *text == '-')
            continue;
        if (*text == '"' || *text == '\\')
            *at++ = '\\';
        *at++ = (char)(spelling.turn ? spelling.turn((unsigned char)*text) : *text);
    }
    *at++ = '"';
    return at;
}

/* UUIDs as an array, '{"a","b"}', each as it is and in lower and in upper case, with and without hyphens:
 * "= ANY" of them compares as UUIDs, by an ordinary index, and whether the column is text or uuid, since the
 * parameter takes the column's type. */
static char *spellings_of(const char *const *ids, size_t n)
{
    static const struct spelling spellings[] = {
        {NULL, false}, {tolower, false}, {toupper, false}, {tolower, true}, {toupper, true}};
    size_t size = sizeof "{}";
    for (size_t i = 0; i < n; i++)
        size += (2 * strlen(ids[i]) + sizeof ",\"\"" - 1) * ARRAY_LEN(spellings);
    char *array = mem_zero(size, 1), *at = array;
    *at++ = '{';
    for (size_t i = 0; i < n * ARRAY_LEN(spellings); i++) {
        if (i > 0)
            *at++ = ',';
        at = element_put(at, ids[i / ARRAY_LEN(spellings)], spellings[i % ARRAY_LEN(spellings)]);
    }
    *at = '}';
    return array;
}

static char *param_text(const struct store_param *param)
{
    switch (param->kind) {
    case PARAM_NUMBER:
        return mem_printf("%" PRId64, param->number);
    case PARAM_TEXT:
        break;
    case PARAM_STORED:
        return text_stored(param->text);
    case PARAM_DOCUMENT:
        return document_stored(param->text);
    case PARAM_JSON:
        return json_line(param->json);
    case PARAM_IDS:
        return spellings_of(param->ids, param->n);
    }
    return mem_dup(param->text);
}

void pg_values_make(struct pg_values *values, struct store_params params)
{
    assert(params.n <= ARRAY_LEN(values->texts));
    *values = (struct pg_values){.n = params.n};
    for (size_t i = 0; i < params.n; i++)
        values->texts[i] = param_text(&params.list[i]);
}

void pg_values_done(struct pg_values *values)
{
    for (size_t i = 0; i < values->n; i++)
        free(values->texts[i]);
}

/* rows */

static bool result_next(struct store_rows *rows)
{
    return ++rows->row < PQntuples(rows->source);
}

static int result_find(const struct store_rows *rows, const char *name)
{
    return PQfnumber(rows->source, name);
}

static struct store_field result_field(const struct store_rows *rows, int column)
{
    return (struct store_field){.is_null = PQgetisnull(rows->source, rows->row, column),
                                .bytes = PQgetvalue(rows->source, rows->row, column),
                                .len = (size_t)PQgetlength(rows->source, rows->row, column)};
}

static int64_t result_number(const struct store_rows *rows, int column)
{
    const char *text = PQgetvalue(rows->source, rows->row, column);
    int64_t number = 0;
    if (text[0] == 't')
        return 1;
    (void)parse_i64(text, INT64_MIN, INT64_MAX, &number);
    return number;
}

static void result_close(struct store_rows *rows)
{
    PQclear(rows->source);
}

struct store_rows pg_rows(PGresult *result_take, struct why *why)
{
    static const struct store_rows_ops ops = {.next = result_next,
                                              .find = result_find,
                                              .field = result_field,
                                              .number = result_number,
                                              .close = result_close};
    return (struct store_rows){.ops = &ops, .source = result_take, .row = -1, .why = why};
}

struct store_rows pg_query(struct pg_conn *conn, unsigned which, struct store_params params, struct why *why)
{
    struct pg_values values;
    PGresult *result = NULL;
    pg_values_make(&values, params);
    enum err err = pg_run(conn, which, &values, &result, why);
    pg_values_done(&values);
    return err ? rows_failed(err) : pg_rows(result, why);
}
