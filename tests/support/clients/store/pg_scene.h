/* pg_scene.h - what the tests special to PostgreSQL have in common: one empty database a test and words for
 * setting a scene in it. */
#ifndef RECONCILED_TESTS_PG_SCENE_H
#define RECONCILED_TESTS_PG_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libpq-fe.h>

#include "clients/base/err.h"
#include "clients/store/store.h"
#include "tests/support/clients/store/pg_proxy.h"
#include "tests/support/clients/store/pg_server.h"

#define PG_SCENE_DATABASE "scene"
#define PG_SCENE_PASS "00000000-0000-4000-8000-000000000003"

struct pg_scene {
    const char *database;
    char *url;
    struct store *store; /* on the URL as it is, migrated unless the test is PG_SCENE_TEST_EMPTY */
    struct why why;      /* of the last failure that a test expected */
};

int pg_scene_setup(void **state);
int pg_scene_setup_empty(void **state);
int pg_scene_teardown(void **state);
#define PG_SCENE_TEST(test) cmocka_unit_test_setup_teardown(test, pg_scene_setup, pg_scene_teardown)
#define PG_SCENE_TEST_EMPTY(test) \
    cmocka_unit_test_setup_teardown(test, pg_scene_setup_empty, pg_scene_teardown)

#define ASSERT_OK(call) assert_string_equal(err_name(call), err_name(ERR_OK))
#define ASSERT_ERR(call, err) assert_string_equal(err_name(call), err_name(err))

/* pg_scene_open: another store on the same database; `query` is what follows the '?' of the URL, or NULL. */
struct store *pg_scene_open(const struct pg_scene *scene, const char *query);

void pg_scene_exec(const struct pg_scene *scene, const char *fmt, ...) ATTR_PRINTF(2, 3);
int64_t pg_scene_number(const struct pg_scene *scene, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* pg_scene_await: asks again until the query's answer is true. */
void pg_scene_await(const struct pg_scene *scene, const char *sql);
/* So many sessions of this database wait for a lock. */
void pg_scene_await_waiting(const struct pg_scene *scene, int sessions);

/* pg_scene_hold: a session that has run `sql` in a transaction and keeps its locks until pg_scene_release. */
PGconn *pg_scene_hold(const struct pg_scene *scene, const char *sql);
void pg_scene_release(PGconn *holder);

/* pg_scene_through_proxy: as pg_scene_open, through a proxy of its own; free the store first.
 * pg_scene_rows_read: how many rows and index entries of that table were read so far. Counts sessions that
 * are over: it opens the scene's store again, and no other may be open. */
struct store *pg_scene_through_proxy(const struct pg_scene *scene, const char *query,
                                     struct pg_proxy **ret_proxy);
int64_t pg_scene_rows_read(struct pg_scene *scene, const char *table);

/* n tasks in "development" that rested for more than an hour, with ids from 1, the first the oldest. */
void pg_scene_tasks(const struct pg_scene *scene, int n);

/* pg_scene_stuck: what is stuck with a grace of 600 s in "development". Free with store_task_list_done. */
struct store_task_list pg_scene_stuck(struct store *store);

/* pg_scene_transition: to "review" with a reviewer, with a new id. pg_scene_move: a batch under settings
 * revision 0.
 */
struct store_transition pg_scene_transition(const struct store_task *task);
enum err pg_scene_move(struct pg_scene *scene, struct store *store, const struct store_transition *batch,
                       size_t n, enum store_moved *ret_moved);

/* Exactly n transitions were written, each with its task, its job and its ledger row. */
void pg_scene_assert_written(const struct pg_scene *scene, int64_t n);
/* The last expected failure's words contain that. */
void pg_scene_assert_why(const struct pg_scene *scene, const char *error);

#endif
