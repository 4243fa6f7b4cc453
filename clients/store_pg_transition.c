/* The one transition: compare-and-set of task, job and ledger row, a batch in one transaction.
 *
 * The batch is one statement within a savepoint. If the database refuses it because of some row's data (a
 * constraint, a trigger, a write that was swallowed), the savepoint is undone and the batch halved, until the
 * culprits stand alone and the others have moved. A row that somebody else holds locked is treated likewise,
 * so that one hanging session cannot hold back the tasks beside its own: after the first such wait the
 * transaction waits for locks only briefly.
 *
 * The settings row stays locked in share mode until the end: that is what makes settings_write wait for us
 * and us for it. When the connection breaks at COMMIT, the next try takes that lock exclusively, which it
 * gets once the lost transaction has ended one way or the other, and the ledger tells which. */
#include "clients/store_pg.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"

#define IMPATIENT "SET LOCAL lock_timeout = 50"
#define IS_LOCKED "55P03"

enum fate {
    FATE_OPEN, /* not moved by the statement; why is to be found out */
    FATE_MOVED,
    FATE_RACED,
    FATE_REFUSED,
    FATE_LOCKED /* refused because somebody else holds a lock */
};

struct work {
    int64_t settings_revision, valid_until_us;
    const char *pass_id;
    const struct store_transition *batch;
    size_t n;
    enum fate fates[LIMIT_BATCH];
    bool maybe_committed; /* the connection broke at COMMIT; `fates` are what it would have made true */
    bool impatient;
    int64_t give_up_ms; /* no further halving then */
};

/* ---- the rows as a parameter
 * ------------------------------------------------------------------------------- */

static json_t *row_key(const struct work *work, size_t i)
{
    const struct store_transition *transition = &work->batch[i];
    json_t *row = json_object();
    json_put(row, "i", json_integer((json_int_t)i));
    json_put(row, "id", json_text(transition->id.s));
    json_put(row, "task_id", json_integer(transition->task->id));
    json_put(row, "seen", json_text(transition->task->version));
    json_put(row, "from_stage", json_text(transition->task->stage));
    return row;
}

static json_t *row_whole(const struct work *work, size_t i)
{
    const struct store_transition *transition = &work->batch[i];
    const struct {
        const char *key, *text;
    } texts[] = {
        {"to_stage", transition->to_stage}, {"agent", transition->agent},
        {"side", transition->side},         {"outcome", transition->outcome},
        {"reason", transition->reason},     {"evidence", transition->evidence},
        {"repo", transition->task->repo},   {"work_item_id", transition->task->work_item_id},
    };
    json_t *row = row_key(work, i);
    for (size_t k = 0; k < ARRAY_LEN(texts); k++)
        json_put(row, texts[k].key, json_text(texts[k].text));
    return row;
}

/* The rows [from, from + n), whole or their keys, but only those whose fate is `only`. */
static char *rows_line(const struct work *work, size_t from, size_t n, enum fate only,
                       json_t *(*row)(const struct work *, size_t))
{
    json_t *rows = json_array();
    for (size_t i = from; i < from + n; i++)
        if (work->fates[i] == only)
            json_push(rows, row(work, i));
    char *line = json_line(rows);
    json_decref(rows);
    return line;
}

/* ---- one try at a range
 * ------------------------------------------------------------------------------------ */

/* Reads what PG_MOVE wrote. False when a job or a ledger row is missing for a task that moved. */
static bool moved_read(struct work *work, const PGresult *result)
{
    bool whole = true;
    for (int row = 0; row < PQntuples(result); row++) {
        int64_t i = pg_int(result, row, 0);
        assert(i >= 0 && (size_t)i < work->n);
        work->fates[i] = FATE_MOVED;
        whole = whole && PQgetvalue(result, row, 1)[0] == 't' && PQgetvalue(result, row, 2)[0] == 't';
    }
    return whole;
}

/* *ret_fate: FATE_MOVED when the range is done, else why the database refused it. Deferred constraints are
 * brought forward, so that it is their row which fails and not the COMMIT. */
static enum err range_try(struct pg_conn *conn, struct work *work, size_t from, size_t n, enum fate *ret_fate,
                          struct why *why)
{
    AUTO_FREE char *rows = rows_line(work, from, n, FATE_OPEN, row_whole);
    AUTO_RESULT PGresult *result = NULL;
    const char *const params[] = {rows, work->pass_id};
    *ret_fate = FATE_MOVED;
    enum err err = pg_run(conn, PG_MOVE, params, &result, why);
    if (!err && !moved_read(work, result)) {
        *ret_fate = FATE_REFUSED;
        return ERR_OK;
    }
    if (!err)
        err = pg_execute(conn, "SET CONSTRAINTS ALL IMMEDIATE", why);
    if (err && pg_is_refusal(conn))
        *ret_fate = FATE_REFUSED;
    else if (err && strcmp(pg_sqlstate(conn), IS_LOCKED) == 0)
        *ret_fate = FATE_LOCKED;
    return *ret_fate == FATE_MOVED ? err : ERR_OK;
}

static void fates_set(struct work *work, size_t from, size_t n, enum fate fate)
{
    for (size_t i = from; i < from + n; i++)
        work->fates[i] = fate;
}

static enum err range_undo(struct pg_conn *conn, struct work *work, enum fate fate, struct why *why)
{
    enum err err = pg_execute(conn, "ROLLBACK TO reconcile_range", why);
    if (!err && fate == FATE_LOCKED && !work->impatient) {
        err = pg_execute(conn, IMPATIENT, why);
        work->impatient = true;
    }
    return err;
}

static enum err range_move(struct pg_conn *conn, struct work *work, size_t from, size_t n, struct why *why)
{
    if (clock_mono_ms() > work->give_up_ms)
        return why_set(why, ERR_TIMEOUT, "locks in the database were held by somebody else for too long");
    enum fate fate;
    enum err err = pg_execute(conn, "SAVEPOINT reconcile_range", why);
    if (err || (err = range_try(conn, work, from, n, &fate, why)))
        return err;
    if (fate != FATE_MOVED) {
        fates_set(work, from, n, n == 1 ? fate : FATE_OPEN);
        if ((err = range_undo(conn, work, fate, why)))
            return err;
    }
    if ((err = pg_execute(conn, "RELEASE reconcile_range", why)) || fate == FATE_MOVED || n == 1)
        return err;
    size_t half = n / 2;
    err = range_move(conn, work, from, half, why);
    return err ? err : range_move(conn, work, from + half, n - half, why);
}

/* ---- the transaction
 * --------------------------------------------------------------------------------------- */

static enum err policy_stands(struct pg_conn *conn, const struct work *work, enum pg_sql lock,
                              struct why *why)
{
    AUTO_RESULT PGresult *result = NULL;
    enum err err = pg_run(conn, lock, NULL, &result, why);
    if (err)
        return err;
    if (PQntuples(result) == 0)
        return why_set(why, ERR_UNAVAILABLE, "the table reconcile_settings lost its row: migrate again");
    if (pg_int(result, 0, 0) != work->settings_revision)
        return why_set(why, ERR_CONFLICT, "the settings were changed meanwhile");
    if (work->valid_until_us && pg_int(result, 0, 1) >= work->valid_until_us)
        return why_set(why, ERR_CONFLICT, "the settings ran out meanwhile");
    return ERR_OK;
}

/* look_again: what became of the rows whose fate is `only`. *ret_known: how many of them the ledger has. */
static enum err look_again(struct pg_conn *conn, struct work *work, enum fate only, size_t *ret_known,
                           struct why *why)
{
    AUTO_FREE char *rows = rows_line(work, 0, work->n, only, row_key);
    AUTO_RESULT PGresult *result = NULL;
    const char *const params[] = {rows};
    enum err err = pg_run(conn, PG_LOOK_AGAIN, params, &result, why);
    if (err)
        return err;
    *ret_known = 0;
    for (int row = 0; row < PQntuples(result); row++) {
        int64_t i = pg_int(result, row, 0);
        bool known = PQgetvalue(result, row, 1)[0] == 't', stands = PQgetvalue(result, row, 2)[0] == 't';
        assert(i >= 0 && (size_t)i < work->n);
        *ret_known += known;
        /* It stands and did not move although it was asked to: a trigger swallowed the write. */
        if (only == FATE_OPEN)
            work->fates[i] = known ? FATE_MOVED : stands ? FATE_REFUSED : FATE_RACED;
    }
    return ERR_OK;
}

static size_t fates_count(const struct work *work, enum fate fate)
{
    size_t n = 0;
    for (size_t i = 0; i < work->n; i++)
        n += work->fates[i] == fate;
    return n;
}

/* Whether the transaction whose COMMIT got no answer was committed. */
static enum err commit_is_known(struct pg_conn *conn, struct work *work, bool *ret_committed, struct why *why)
{
    size_t known;
    enum err err = look_again(conn, work, FATE_MOVED, &known, why);
    if (!err)
        *ret_committed = known == fates_count(work, FATE_MOVED); /* all or nothing */
    return err;
}

/* Between BEGIN and COMMIT. */
static enum err batch_write(struct pg_conn *conn, struct work *work, struct why *why)
{
    size_t known;
    fates_set(work, 0, work->n, FATE_OPEN);
    work->impatient = false;
    work->give_up_ms = clock_mono_ms() + LIMIT_STATEMENT_MS;
    enum err err = range_move(conn, work, 0, work->n, why);
    if (!err && fates_count(work, FATE_OPEN) > 0)
        err = look_again(conn, work, FATE_OPEN, &known, why);
    if (!err && fates_count(work, FATE_LOCKED) == work->n)
        return why_set(why, ERR_TIMEOUT, "a lock in the database was held by somebody else for too long");
    return err;
}

static enum err batch_move(struct pg_conn *conn, void *arg, struct why *why)
{
    struct work *work = arg;
    bool committed = false;
    enum err err = pg_execute(conn, "BEGIN ISOLATION LEVEL READ COMMITTED", why);
    if (err)
        return err;
    enum err policy =
        policy_stands(conn, work, work->maybe_committed ? PG_POLICY_WAIT : PG_POLICY_SHARE, why);
    /* What an earlier try committed is so, whatever the settings say by now. */
    if (work->maybe_committed && (policy == ERR_OK || policy == ERR_CONFLICT)) {
        if ((err = commit_is_known(conn, work, &committed, why)) || committed)
            return err;
        work->maybe_committed = false;
        if (policy)
            return why_set(why, policy, "the settings were changed meanwhile");
    }
    if (policy || (err = batch_write(conn, work, why)))
        return policy ? policy : err;
    if (fates_count(work, FATE_MOVED) == 0)
        return ERR_OK; /* nothing to keep: rolled back when the connection is given back */
    err = pg_commit(conn, why);
    work->maybe_committed = err && pg_is_lost(conn);
    return err;
}

enum err pg_transition(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                       const char *pass_id, const struct store_transition *batch, size_t n,
                       enum store_moved *ret_moved, struct why *why)
{
    static const enum store_moved moved[] = {[FATE_MOVED] = STORE_MOVED,
                                             [FATE_RACED] = STORE_RACED,
                                             [FATE_REFUSED] = STORE_REFUSED,
                                             [FATE_LOCKED] = STORE_REFUSED};
    assert(n <= LIMIT_BATCH);
    struct work work = {.settings_revision = settings_revision,
                        .valid_until_us = valid_until_us,
                        .pass_id = pass_id,
                        .batch = batch,
                        .n = n};
    enum err err = pg_call(store, batch_move, &work, why);
    for (size_t i = 0; !err && i < n; i++) {
        assert(work.fates[i] != FATE_OPEN);
        ret_moved[i] = moved[work.fates[i]];
    }
    return err;
}
