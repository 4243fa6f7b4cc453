/* What replicas share besides tasks: the messages to be sent, and the leases. */
#include "clients/store/pg/store_pg.h"

#include <stdlib.h>

/* the outbox */

enum err pg_outbox_list(struct store *store, size_t limit, struct store_outbox *ret, struct why *why)
{
    enum { DEPTH, ID, SEQ, AGE_S, TEXT };
    AUTO_RESULT PGresult *result = NULL;
    char most[PG_INT_SIZE];
    const char *const params[] = {pg_limit_text(limit, most)};
    enum err err = pg_ask(store, PG_OUTBOX_LIST, params, &result, why);
    if (err)
        return err;
    int rows = PQntuples(result);
    struct store_outbox outbox = {.depth = (size_t)pg_int(result, 0, DEPTH),
                                  .rows = mem_zero((size_t)rows, sizeof *outbox.rows)};
    for (int row = 0; row < rows; row++)
        if (!PQgetisnull(result, row, ID)) /* the one row there always is */
            outbox.rows[outbox.n++] = (struct store_message){
                .id = pg_uuid(result, row, ID),
                .seq = pg_int(result, row, SEQ),
                .age_s = pg_int(result, row, AGE_S),
                .text = pg_text(result, row, TEXT, PG_TEXT_MAX),
            };
    *ret = outbox;
    return ERR_OK;
}

enum err pg_outbox_add(struct store *store, const char *id, const char *text, bool *ret_new, struct why *why)
{
    AUTO_RESULT PGresult *result = NULL;
    const char *const params[] = {id, text};
    enum err err = pg_ask(store, PG_OUTBOX_ADD, params, &result, why);
    if (!err && ret_new)
        *ret_new = PQntuples(result) == 1;
    return err;
}

static enum err sent_mark(struct pg_conn *conn, void *arg, struct why *why)
{
    char kept[PG_INT_SIZE];
    const char *const prune[] = {pg_int_text(LIMIT_OUTBOX_KEPT, kept)};
    enum err err = pg_execute(conn, "BEGIN", why);
    if (err || (err = pg_run(conn, PG_OUTBOX_SENT, arg, NULL, why)) ||
        (err = pg_run(conn, PG_OUTBOX_PRUNE, prune, NULL, why)))
        return err;
    return pg_commit(conn, why);
}

enum err pg_outbox_sent(struct store *store, const struct uuid_text *ids, size_t n, struct why *why)
{
    AUTO_FREE const char **texts = mem_zero(n, sizeof *texts);
    for (size_t i = 0; i < n; i++)
        texts[i] = ids[i].s;
    AUTO_FREE char *array = pg_array(texts, n);
    const char *params[] = {array};
    return pg_call(store, sent_mark, params, why);
}

/* leases */

enum err pg_lease_take(struct store *store, const char *name, const char *owner, int64_t seconds,
                       bool *ret_held, struct why *why)
{
    AUTO_RESULT PGresult *result = NULL;
    char length[PG_INT_SIZE];
    const char *const params[] = {name, owner, pg_int_text(seconds, length)};
    enum err err = pg_ask(store, PG_LEASE_TAKE, params, &result, why);
    if (!err)
        *ret_held = PQntuples(result) == 1 && PQgetvalue(result, 0, 0)[0] == 't';
    return err;
}

enum err pg_lease_drop(struct store *store, const char *name, const char *owner, struct why *why)
{
    AUTO_RESULT PGresult *result = NULL;
    const char *const params[] = {name, owner};
    return pg_ask(store, PG_LEASE_DROP, params, &result, why);
}
