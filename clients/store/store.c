/* The store's public functions: each checks its arguments, then calls the implementation. */
#include "clients/store/store.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/store/store_ops.h"
#include "clients/store/store_schema.h"

enum err store_open(const char *url, const char *schema, struct store **ret, struct why *why)
{
    static const char sqlite[] = "sqlite:";
    enum err err;
    if (strncmp(url, "postgresql://", 13) == 0 || strncmp(url, "postgres://", 11) == 0)
        err = store_postgresql_open(url, schema && *schema ? schema : NULL, ret, why);
    else if (strncmp(url, sqlite, strlen(sqlite)) != 0)
        err = why_set(why, ERR_INVALID, "a database URL begins with postgresql:// or sqlite:");
    else if (schema && *schema)
        err = why_set(why, ERR_INVALID, "a schema is for PostgreSQL alone");
    else
        err = store_sqlite_open(url + strlen(sqlite), ret, why);
    if (!err)
        store_send_to(*ret, 1u << STORE_TO_TELEGRAM);
    return err;
}

void store_free(struct store *store)
{
    if (!store)
        return;
    char *describe = store->describe;
    store->ops->free(store);
    free(describe);
}

const char *store_describe(const struct store *store)
{
    return store->describe;
}

void store_interrupt(struct store *store)
{
    store->ops->interrupt(store);
}

void store_write_only_ours(struct store *store)
{
    store->only_ours = true;
}

void store_send_to(struct store *store, unsigned destinations)
{
    store->destinations = destinations;
}

enum err store_migrate(struct store *store, size_t *ret_created, struct why *why)
{
    return store->ops->migrate(store, ret_created, why);
}

void store_create_beside(struct store *store)
{
    store->creates_beside = true;
}

enum err store_ready(struct store *store, struct why *why)
{
    enum err err = store->ops->ready(store, why);
    int64_t now_ms = clock_mono_ms();
    struct uuid_form form;
    int64_t version;
    if (err ||
        (err = schema_version_check(store_query(store, SQL_SCHEMA_VERSION, NO_PARAMS, why), &version, why)) ||
        (err = columns_ready(store, why)) || now_ms < atomic_load(&store->plane_ids_good_until_ms))
        return err;
    if ((err = plane_ids_check(store, LIMIT_PLANE_IDS_READ, &form, why)))
        return err;
    atomic_store(&store->plane_ids_good_until_ms, now_ms + LIMIT_PLANE_IDS_GOOD_MS);
    return ERR_OK;
}

/* refusals */

/* Guards the refusal of every store: it is held for a copy. */
static pthread_mutex_t refusal_lock = PTHREAD_MUTEX_INITIALIZER;

enum err store_refusal(struct store *store, struct why *why)
{
    pthread_mutex_lock(&refusal_lock);
    enum err err = store->refusal.err;
    if (err && why)
        *why = store->refusal.why;
    pthread_mutex_unlock(&refusal_lock);
    return err;
}

static void refusal_set(struct store *store, enum err err, const struct why *why)
{
    pthread_mutex_lock(&refusal_lock);
    store->refusal.err = err;
    if (err)
        store->refusal.why = *why;
    pthread_mutex_unlock(&refusal_lock);
}

void store_refusal_over(struct store *store)
{
    pthread_mutex_lock(&refusal_lock);
    if (store->refusal.err == ERR_UNAVAILABLE)
        store->refusal.err = ERR_OK;
    pthread_mutex_unlock(&refusal_lock);
}

/* Of a write of rows, as far as it went: a row that was written proves that the database takes writes. */
struct writing {
    bool written;
    const struct why *refused; /* NULL: no row was */
};

static void writing_add(struct writing *writing, bool written, bool refused, const struct why *refusal)
{
    static const struct why unknown = {"the database refused a write"};
    writing->written |= written;
    if (refused)
        writing->refused = refusal && *refusal->text ? refusal : &unknown;
}

static enum err writing_end(struct store *store, const struct writing *writing, enum err err,
                            const struct why *why, struct why *ret_why)
{
    if (err && ret_why)
        *ret_why = *why;
    if (err == ERR_INTERNAL || err == ERR_UNAVAILABLE)
        refusal_set(store, ERR_UNAVAILABLE, why);
    else if (!err && writing->written)
        refusal_set(store, ERR_OK, NULL);
    else if (!err && writing->refused)
        refusal_set(store, ERR_INTERNAL, writing->refused);
    return err;
}

/* writes */

enum err store_create_tasks(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                            const struct store_new_task *batch, size_t n, enum store_creation *ret,
                            struct why *why)
{
    if (n == 0)
        return ERR_OK;
    if (n > LIMIT_BATCH)
        return why_set(why, ERR_INVALID, "%zu new tasks are too many for one transaction", n);
    struct uuid_form form;
    enum err err = plane_ids_check(store, LIMIT_BATCH, &form, why);
    if (err)
        return err == ERR_UNAVAILABLE ? ERR_INTERNAL : err;
    struct store_new_task tasks[LIMIT_BATCH];
    char *plane_ids[LIMIT_BATCH];
    for (size_t i = 0; i < n; i++) {
        assert(batch[i].plane_id && batch[i].stage);
        tasks[i] = batch[i];
        tasks[i].plane_id = plane_ids[i] = uuid_write(batch[i].plane_id, form);
    }
    struct why failure = {""};
    err = store->ops->create_tasks(store, settings_revision, valid_until_us, tasks, n, ret, &failure);
    struct writing writing = {.written = false};
    for (size_t i = 0; i < n; i++) {
        free(plane_ids[i]);
        if (!err)
            writing_add(&writing, ret[i] == STORE_CREATED, ret[i] == STORE_NOT_CREATED, batch[i].refusal);
    }
    return writing_end(store, &writing, err, &failure, why);
}

enum err store_transition(struct store *store, int64_t settings_revision, int64_t valid_until_us,
                          const char *pass_id, const struct store_transition *batch, size_t n,
                          enum store_moved *ret_moved, struct why *why)
{
    if (n == 0)
        return ERR_OK;
    if (n > LIMIT_BATCH)
        return why_set(why, ERR_INVALID, "%zu transitions are too many for one transaction", n);
    for (size_t i = 0; i < n; i++)
        assert(batch[i].task && batch[i].task->stage && batch[i].task->version && batch[i].to_stage &&
               batch[i].side && batch[i].outcome && uuid_valid(batch[i].id.s));
    struct why failure = {""};
    struct writing writing = {.written = false};
    enum err err = store->ops->transition(store, settings_revision, valid_until_us, pass_id, batch, n,
                                          ret_moved, &failure);
    for (size_t i = 0; !err && i < n; i++)
        writing_add(&writing, ret_moved[i] == STORE_MOVED, ret_moved[i] == STORE_REFUSED, batch[i].refusal);
    return writing_end(store, &writing, err, &failure, why);
}
