/* A batch of writes in one transaction, which holds only while the settings of its decisions are in force.
 *
 * The batch is one statement within a savepoint. If the database refuses it because of some row's data (a
 * constraint, a trigger, a write that was swallowed), the savepoint is rolled back and the batch halved,
 * until each bad row is alone and the others are written, whatever the SQLSTATE. A row that another session
 * has locked, or whose trigger hangs, is treated in the same way; after the first such wait the transaction
 * waits only briefly. If the statement fails even without rows (a missing right), the batch ends.
 * A sequence that gives out ids that are there already refuses every row that needs one, and is asked once:
 * each try would take a number.
 *
 * The settings row stays locked in share mode (or exclusively, if the batch asks for it) until the end: so
 * settings_write and the batch wait for each other. When the connection breaks at COMMIT, the next try takes
 * that lock exclusively. It gets it when the lost transaction has been committed or rolled back, and the rows
 * then show which. */
#include "clients/store/pg/store_pg.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"

#define IMPATIENT "SET LOCAL lock_timeout = 50; SET LOCAL statement_timeout = 500"
/* What the database does not report. */
static const char swallowed_words[] = "the database did not keep the write: a trigger or a rule swallowed it";
/* Tries of a whole transaction after serialization failures; after these a row counts as the cause. */
#define ORDER_TRIES 3

/* How the statement that writes a range went. RANGE_DOUBTFUL: refused, but perhaps not for its rows. */
enum range { RANGE_WRITTEN, RANGE_REFUSED, RANGE_LOCKED, RANGE_DOUBTFUL };

/* The statement `which`, about the rows [from, from + n) whose fate is `only`. */
static struct store_rows rows_query(struct pg_conn *conn, const struct pg_batch *batch, unsigned which,
                                    size_t from, size_t n, enum pg_fate only, struct why *why)
{
    json_auto_t *list = json_array();
    for (size_t i = from; i < from + n; i++)
        if (batch->fates[i] == only)
            json_push(list, batch->row(batch, i));
    struct store_params params = PARAMS(JSON_PARAM(list), IDS_PARAM(batch->plane_ids, batch->n));
    params.n = batch->plane_ids ? 2 : 1;
    return pg_query(conn, which, params, why);
}

/* Of rows of which nothing is written, or nothing any more. */
static void fates_set(struct pg_batch *batch, size_t from, size_t n, enum pg_fate fate)
{
    for (size_t i = from; i < from + n; i++) {
        batch->fates[i] = fate;
        batch->made[i] = 0;
    }
}

static size_t fates_count(const struct pg_batch *batch, enum pg_fate fate)
{
    size_t n = 0;
    for (size_t i = 0; i < batch->n; i++)
        n += batch->fates[i] == fate;
    return n;
}

static bool has_open(const struct pg_batch *batch, size_t from, size_t n)
{
    for (size_t i = from; i < from + n; i++)
        if (batch->fates[i] == PG_FATE_OPEN)
            return true;
    return false;
}

/* one try at a range */

/* Reads what batch->write wrote. Not whole if a part of a row is missing, or if a trigger changed a row so
 * that it is no longer one of the batch. */
static enum err written_read(struct pg_batch *batch, struct store_rows rows, bool *ret_whole)
{
    bool whole = true;
    while (rows_next(&rows)) {
        size_t i = rows_null(&rows, "i") ? batch->n : (size_t)rows_int(&rows, "i");
        whole = whole && i < batch->n && rows_bool(&rows, "whole");
        if (i >= batch->n)
            continue;
        batch->fates[i] = PG_FATE_WRITTEN;
        batch->made[i] = rows_int(&rows, "made");
    }
    *ret_whole = whole;
    return rows_end(&rows);
}

static bool is_too_slow(const struct pg_conn *conn)
{
    static const char *const states[] = {"55P03" /* a lock */, "57014" /* the statement */};
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (strcmp(conn->sqlstate, states[i]) == 0)
            return true;
    return false;
}

/* RANGE_WRITTEN: the failure is not one that halving helps against. */
static enum range failure_range(const struct pg_conn *conn, struct pg_batch *batch, enum err err)
{
    if (err == ERR_RETRY)
        return batch->retries++ < ORDER_TRIES ? RANGE_WRITTEN : RANGE_REFUSED;
    if (is_too_slow(conn))
        return RANGE_LOCKED;
    switch (conn->fault) {
    case PG_FAULT_ROW:
        return RANGE_REFUSED;
    case PG_FAULT_EITHER:
        return batch->excused ? RANGE_REFUSED : RANGE_DOUBTFUL;
    case PG_FAULT_SERVER:
        break;
    }
    return RANGE_WRITTEN;
}

/* Deferred constraints are checked here, so that their row fails and not the COMMIT. */
static enum err range_try(struct pg_conn *conn, struct pg_batch *batch, size_t from, size_t n,
                          enum range *ret_range, struct why *why)
{
    bool whole;
    *ret_range = RANGE_WRITTEN;
    enum err err =
        written_read(batch, rows_query(conn, batch, batch->write, from, n, PG_FATE_OPEN, why), &whole);
    if (!err && !whole) {
        *ret_range = RANGE_REFUSED;
        return ERR_OK;
    }
    if (!err)
        err = pg_execute(conn, "SET CONSTRAINTS ALL IMMEDIATE", why);
    if (err)
        *ret_range = failure_range(conn, batch, err);
    return *ret_range == RANGE_WRITTEN ? err : ERR_OK;
}

static void refusal_note(const struct pg_batch *batch, size_t i, const char *error)
{
    struct why *refusal = batch->refusal ? batch->refusal(batch, i) : NULL;
    if (refusal)
        (void)why_set(refusal, ERR_OK, "%s", error);
}

/* Refuses all that is not written yet and needs an id. */
static void ids_give_up(const struct pg_conn *conn, struct pg_batch *batch)
{
    for (size_t i = 0; i < batch->n; i++)
        if (batch->fates[i] == PG_FATE_OPEN && batch->takes_id(batch, i)) {
            batch->fates[i] = PG_FATE_REFUSED;
            refusal_note(batch, i, conn->refusal.text);
        }
}

/* Of a range that was not written. */
static void range_note(const struct pg_conn *conn, struct pg_batch *batch, size_t from, size_t n,
                       enum range range)
{
    bool waited_for_all = range == RANGE_LOCKED && conn->fault == PG_FAULT_SERVER;
    for (size_t i = from; i < from + n; i++)
        if (batch->fates[i] == PG_FATE_WRITTEN)
            fates_set(batch, i, 1, PG_FATE_OPEN);
    if (conn->ids_behind)
        ids_give_up(conn, batch);
    if (n > 1)
        return;
    if (*conn->refusal.text)
        refusal_note(batch, from, conn->refusal.text);
    /* What cannot be sent cannot be asked about, either. */
    if (pg_is_unconvertible(conn) && batch->plain[from])
        batch->fates[from] = PG_FATE_REFUSED;
    batch->plain[from] |= pg_is_unconvertible(conn);
    if (range == RANGE_LOCKED)
        batch->fates[from] = waited_for_all ? PG_FATE_LOCKED : PG_FATE_REFUSED;
}

/* Whether the statement does without rows, after it failed with some. */
static enum err statement_excuse(struct pg_conn *conn, struct pg_batch *batch, const struct why *failure,
                                 struct why *why)
{
    enum err err = rows_count(rows_query(conn, batch, batch->write, 0, 0, PG_FATE_OPEN, NULL), NULL);
    batch->excused = !err;
    if (err && why)
        *why = *failure;
    return err;
}

static enum err range_undo(struct pg_conn *conn, struct pg_batch *batch, enum range range, struct why *why)
{
    enum err err = pg_execute(conn, "ROLLBACK TO reconcile_range", why);
    if (!err && range == RANGE_LOCKED && !batch->impatient) {
        err = pg_execute(conn, IMPATIENT, why);
        batch->impatient = true;
    }
    return err;
}

static void range_give_up(struct pg_batch *batch, size_t from, size_t n)
{
    fates_set(batch, from, n, PG_FATE_LOCKED);
    for (size_t i = from; i < from + n; i++)
        refusal_note(batch, i, "not tried: locks in the database were held for too long");
}

static enum err range_write(struct pg_conn *conn, struct pg_batch *batch, size_t from, size_t n,
                            struct why *why)
{
    if (!has_open(batch, from, n))
        return ERR_OK;
    if (clock_mono_ms() > batch->give_up_ms) {
        range_give_up(batch, from, n);
        return ERR_OK;
    }
    enum range range;
    bool plain = batch->plain[from];
    struct why failure = {""};
    enum err err = pg_execute(conn, "SAVEPOINT reconcile_range", why);
    if (err || (err = range_try(conn, batch, from, n, &range, &failure))) {
        if (why && *failure.text)
            *why = failure;
        return err;
    }
    if (range != RANGE_WRITTEN) {
        range_note(conn, batch, from, n, range);
        if ((err = range_undo(conn, batch, range, why)))
            return err;
    }
    if (range == RANGE_DOUBTFUL && (err = statement_excuse(conn, batch, &failure, why)))
        return err;
    if ((err = pg_execute(conn, "RELEASE reconcile_range", why)) || range == RANGE_WRITTEN)
        return err;
    if (n == 1)
        return batch->plain[from] && !plain ? range_write(conn, batch, from, 1, why) : ERR_OK;
    size_t half = n / 2;
    err = range_write(conn, batch, from, half, why);
    return err ? err : range_write(conn, batch, from + half, n - half, why);
}

/* look_again: finds the fate of the rows whose fate is `only` so far. *ret_known: how many of them are
 * written. */
static enum err look_again(struct pg_conn *conn, struct pg_batch *batch, enum pg_fate only, size_t *ret_known,
                           struct why *why)
{
    struct store_rows rows = rows_query(conn, batch, batch->look_again, 0, batch->n, only, why);
    size_t i;
    *ret_known = 0;
    while (rows_next(&rows) && rows_place(&rows, "i", batch->n, &i)) {
        bool known = rows_bool(&rows, "known"), stands = rows_bool(&rows, "stands");
        *ret_known += known;
        /* It could have been written and was not, although the statement contained it: the database refused
         * it. */
        if (only == PG_FATE_OPEN)
            batch->fates[i] = known                       ? PG_FATE_WRITTEN
                              : !stands                   ? PG_FATE_RACED
                              : rows_null(&rows, "taken") ? PG_FATE_REFUSED
                                                          : PG_FATE_TAKEN;
    }
    return rows_end(&rows);
}

/* Whether the transaction whose COMMIT got no answer was committed. */
static enum err commit_is_known(struct pg_conn *conn, struct pg_batch *batch, bool *ret_committed,
                                struct why *why)
{
    size_t known;
    enum err err = look_again(conn, batch, PG_FATE_WRITTEN, &known, why);
    if (!err)
        *ret_committed = known == fates_count(batch, PG_FATE_WRITTEN); /* all or nothing */
    return err;
}

/* Where a row stands before anything is tried. */
static void fate_begin(struct pg_batch *batch, size_t i)
{
    struct store_task task = batch->task(batch, i);
    struct why words;
    bool kept = guard_keeps(&batch->guard, &task, &words);
    fates_set(batch, i, 1, kept ? PG_FATE_HELD : PG_FATE_OPEN);
    refusal_note(batch, i, kept ? words.text : swallowed_words);
}

enum err pg_batch_write(struct pg_conn *conn, struct pg_batch *batch, struct why *why)
{
    size_t known;
    for (size_t i = 0; i < batch->n; i++)
        fate_begin(batch, i);
    memset(batch->plain, 0, sizeof batch->plain);
    batch->impatient = false;
    batch->excused = false;
    batch->give_up_ms = clock_mono_ms() + INT64_C(2) * LIMIT_STATEMENT_MS;
    enum err err = range_write(conn, batch, 0, batch->n, why);
    if (!err && fates_count(batch, PG_FATE_OPEN) > 0)
        err = look_again(conn, batch, PG_FATE_OPEN, &known, why);
    if (!err && fates_count(batch, PG_FATE_LOCKED) == batch->n)
        return why_set(why, ERR_TIMEOUT, "a lock in the database was held by another session for too long");
    return err;
}

enum err pg_batch_run(struct pg_conn *conn, void *arg, struct why *why)
{
    struct pg_batch *batch = arg;
    bool committed = false;
    enum err err = pg_begin(conn, "BEGIN ISOLATION LEVEL READ COMMITTED", why);
    if (err)
        return err;
    unsigned lock = batch->maybe_committed || batch->exclusive ? SQL_SETTINGS_LOCK : PG_POLICY_SHARE;
    enum err policy = store_policy_stands(pg_query(conn, lock, NO_PARAMS, why), batch->settings_revision,
                                          batch->valid_until_us, why);
    /* Rows that an earlier try committed are written, even if the settings have changed since. */
    if (batch->maybe_committed && (policy == ERR_OK || policy == ERR_CONFLICT)) {
        if ((err = commit_is_known(conn, batch, &committed, why)) || committed)
            return err;
        batch->maybe_committed = false;
        if (policy)
            return why_set(why, policy, "the settings were changed during the transaction");
    }
    if (policy)
        return policy;
    guard_done(&batch->guard);
    if ((err = guard_read(pg_query(conn, SQL_HOLDS, NO_PARAMS, why), &batch->guard)) ||
        (err = pg_batch_write(conn, batch, why)))
        return err;
    if (fates_count(batch, PG_FATE_WRITTEN) == 0)
        return ERR_OK; /* nothing to keep: rolled back when the connection is given back */
    err = pg_commit(conn, why);
    batch->maybe_committed = err && conn->lost;
    return err;
}
