/* store_suite.h - the conformance suite of the store: what store.h promises, asked of any implementation.
 *
 * A backend makes databases and runs raw SQL on them, so that a test can set the scene and look behind the
 * store. Every test gets a database of its own. The SQL in the tests is what both databases understand; the
 * few words that differ come from the backend.
 */
#ifndef RECONCILED_TESTS_STORE_SUITE_H
#define RECONCILED_TESTS_STORE_SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clients/base/err.h"
#include "clients/store/store.h"

struct suite_backend {
    const char *name;
    /* An empty database; returns its URL, which the caller frees. There is one at a time. */
    char *(*create)(void);
    /* The same, whose columns take any bytes for text. */
    char *(*create_raw)(void);
    void (*destroy)(void);
    /* On that database, past the store. A failure ends the test. value: the first column of the first row as
     * text, NULL when there is none or it is null; caller frees. */
    void (*exec)(const char *sql);
    char *(*value)(const char *sql);
    /* Makes an expression for "so many seconds ago" (printf, one %lld), the type of instants, and the query
     * for everything that tasks and jobs hold, as one text. */
    const char *ago, *instant_type, *dump;
    const char
        *bytes; /* makes an expression for a text of these bytes (printf, one %s in hexadecimal digits) */
    /* Types and constraints: of a number that the database fills in, of a text that it makes up, of bytes,
     * and of a stage that takes `loose_value` for "development". */
    const char *own_id, *made_id, *bytes_type, *loose_stage, *loose_value;
    const char *version_1; /* makes what version 1 left: see store_version_1.h */
};

/* store_suite_run: the number of failed tests. */
int store_suite_run(const struct suite_backend *backend);

/* for the suite's own files */

struct suite {
    const struct suite_backend *backend;
    char *url;
    struct store *store;
    struct why why;                /* of the last call that a test expected to fail */
    struct store_task_list *lists; /* all that tests got, freed with the suite */
    size_t n_lists;
};

/* A group of tests, named once at the top of its file: SUITE_GROUP(stuck, "store: choosing the stuck tasks")
 * is suite_stuck_group, which store_suite.c runs. */
struct suite_group {
    const char *name;
    struct CMUnitTest tests[40];
    size_t n;
};
void suite_add(struct suite_group *group, const struct CMUnitTest *test);
#define SUITE_GROUP(group, title)                                 \
    struct suite_group suite_##group##_group = {.name = (title)}; \
    static struct suite_group *const suite_group_here = &suite_##group##_group;

/* SUITE_TEST(name) { … }: a test of the group, with a migrated database; its parameter is `struct suite
 * *suite`. SUITE_TEST_EMPTY: with an empty database; SUITE_TEST_RAW: with a migrated one that takes any
 * bytes. */
int suite_setup(void **state);
int suite_setup_empty(void **state);
int suite_setup_raw(void **state);
int suite_teardown(void **state);
#define SUITE_TEST(name) SUITE_TEST_WITH(name, suite_setup)
#define SUITE_TEST_EMPTY(name) SUITE_TEST_WITH(name, suite_setup_empty)
#define SUITE_TEST_RAW(name) SUITE_TEST_WITH(name, suite_setup_raw)
#define SUITE_TEST_WITH(name, set_up)                                                                \
    static void name(struct suite *suite);                                                           \
    static void name##_of_state(void **state)                                                        \
    {                                                                                                \
        name(*state);                                                                                \
    }                                                                                                \
    __attribute__((constructor)) static void name##_is_listed(void)                                  \
    {                                                                                                \
        suite_add(suite_group_here,                                                                  \
                  &(const struct CMUnitTest){#name, name##_of_state, set_up, suite_teardown, NULL}); \
    }                                                                                                \
    static void name(struct suite *suite)

void suite_exec(const struct suite *suite, const char *fmt, ...) ATTR_PRINTF(2, 3);
char *suite_value(const struct suite *suite, const char *fmt, ...) ATTR_PRINTF(2, 3);
int64_t suite_number(const struct suite *suite, const char *fmt, ...) ATTR_PRINTF(2, 3);
char *suite_dump(const struct suite *suite);
/* The SQL expression for so many seconds ago, in one of a few static buffers. */
const char *suite_ago(const struct suite *suite, int64_t seconds);
/* The SQL expression for a text of these bytes, in one of a few static buffers. */
const char *suite_bytes(const struct suite *suite, const char *hex);
/* Makes a tasks table before the store does; `more` is what follows its columns ("" or ", CHECK (…)"). */
void suite_own_tasks(const struct suite *suite, const char *more);

/* A task that rested for age_s seconds, and a job of it. */
void suite_task(const struct suite *suite, int64_t id, const char *stage, const char *repo, int64_t age_s);
void suite_job(const struct suite *suite, int64_t task_id, const char *status);
/* suite_heal: a row of the ledger that moved task ORCH-<id> out of that stage so many seconds ago. */
void suite_heal(const struct suite *suite, int64_t task_id, const char *from_stage, int64_t age_s);

/* The query of every test: the built-in pipeline with 600 s for every gated stage, but 60 for review. */
struct store_stuck_query suite_query(void);
/* suite_list: what is stuck by a query, suite_stuck: by that one; suite_unstarted: what rests at "created".
 * The lists are freed with the suite. */
struct store_task_list suite_list(struct suite *suite, const struct store_stuck_query *query);
struct store_task_list suite_stuck(struct suite *suite);
struct store_task_list suite_unstarted(struct suite *suite, int64_t grace_s, const char *const *fresh,
                                       size_t n_fresh, size_t limit);
void suite_assert_listed(const struct store_task_list *stuck, const int64_t *ids, size_t n);
#define ASSERT_LISTED(stuck, ...)                                \
    suite_assert_listed((stuck), (const int64_t[]){__VA_ARGS__}, \
                        sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

/* suite_transition: of that task, with a new id, as the gate side writes it; the next stage is "review" with
 * a reviewer. */
struct store_transition suite_transition(const struct store_task *task);
/* suite_move: one batch of one under settings revision 0. */
enum store_moved suite_move(struct suite *suite, const struct store_transition *transition);

/* The words of a failure contain that; suite_assert_why: of the last failure. */
void suite_assert_words(const struct why *why, const char *error);
void suite_assert_why(const struct suite *suite, const char *error);
/* `text` is a JSON document in ASCII that means the same as the other. */
void suite_assert_document(const char *text, const char *expected);

#define ASSERT_OK(call) assert_string_equal(err_name(call), err_name(ERR_OK))
#define ASSERT_ERR(call, err) assert_string_equal(err_name(call), err_name(err))

#endif
