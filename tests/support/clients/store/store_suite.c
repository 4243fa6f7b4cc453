#include "tests/support/clients/store/store_suite.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct suite_backend *backend_now;

extern struct suite_group suite_schema_group, suite_columns_group, suite_stuck_group, suite_transition_group,
    suite_issues_group, suite_verdicts_group, suite_outbox_group, suite_look_group, suite_records_group,
    suite_replays_group, suite_rows_group, suite_holds_group;
static struct suite_group *const groups[] = {
    &suite_schema_group,  &suite_columns_group,  &suite_stuck_group,  &suite_transition_group,
    &suite_issues_group,  &suite_verdicts_group, &suite_outbox_group, &suite_look_group,
    &suite_records_group, &suite_replays_group,  &suite_rows_group,   &suite_holds_group};

int store_suite_run(const struct suite_backend *backend)
{
    backend_now = backend;
    print_message("the store on %s\n", backend->name);
    int failed = 0;
    for (size_t i = 0; i < ARRAY_LEN(groups); i++)
        failed += _cmocka_run_group_tests(groups[i]->name, groups[i]->tests, groups[i]->n, NULL, NULL);
    return failed;
}

void suite_add(struct suite_group *group, const struct CMUnitTest *test)
{
    if (group->n == ARRAY_LEN(group->tests))
        abort();
    group->tests[group->n++] = *test;
}

static int setup(void **state, char *url_take)
{
    struct suite *suite = mem_zero(1, sizeof *suite);
    suite->backend = backend_now;
    suite->url = url_take;
    enum err err = store_open(suite->url, NULL, &suite->store, &suite->why);
    if (err)
        print_error("store_open: %s\n", suite->why.text);
    *state = suite;
    return err ? -1 : 0;
}

int suite_setup_empty(void **state)
{
    return setup(state, backend_now->create());
}

static int setup_migrated(void **state, char *url_take)
{
    if (setup(state, url_take) != 0)
        return -1;
    struct suite *suite = *state;
    enum err err = store_migrate(suite->store, NULL, &suite->why);
    if (err)
        print_error("store_migrate: %s\n", suite->why.text);
    return err ? -1 : 0;
}

int suite_setup(void **state)
{
    return setup_migrated(state, backend_now->create());
}

int suite_setup_raw(void **state)
{
    return setup_migrated(state, backend_now->create_raw());
}

int suite_teardown(void **state)
{
    struct suite *suite = *state;
    for (size_t i = 0; i < suite->n_lists; i++)
        store_task_list_done(&suite->lists[i]);
    free(suite->lists);
    store_free(suite->store);
    suite->backend->destroy();
    free(suite->url);
    free(suite);
    return 0;
}

/* SQL past the store */

static char *print_sql(const char *fmt, va_list args)
{
    char *sql = NULL;
    assert_true(vasprintf(&sql, fmt, args) >= 0);
    return sql;
}

void suite_exec(const struct suite *suite, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *sql = print_sql(fmt, args);
    va_end(args);
    suite->backend->exec(sql);
    free(sql);
}

char *suite_value(const struct suite *suite, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *sql = print_sql(fmt, args);
    va_end(args);
    char *value = suite->backend->value(sql);
    free(sql);
    return value;
}

int64_t suite_number(const struct suite *suite, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *sql = print_sql(fmt, args);
    va_end(args);
    char *value = suite->backend->value(sql);
    int64_t number = 0;
    assert_non_null(value);
    assert_true(parse_i64(value, INT64_MIN, INT64_MAX, &number));
    free(value);
    free(sql);
    return number;
}

char *suite_dump(const struct suite *suite)
{
    return suite->backend->value(suite->backend->dump);
}

/* What the backend's format makes of its argument, in one of a few static buffers. */
static const char *expression(const char *fmt, ...)
{
    static char buffers[4][128];
    static unsigned next;
    char *buffer = buffers[next++ % ARRAY_LEN(buffers)];
    va_list args;
    va_start(args, fmt);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)vsnprintf(buffer, sizeof buffers[0], fmt, args);
#pragma GCC diagnostic pop
    va_end(args);
    return buffer;
}

const char *suite_ago(const struct suite *suite, int64_t seconds)
{
    return expression(suite->backend->ago, (long long)seconds);
}

const char *suite_bytes(const struct suite *suite, const char *hex)
{
    return expression(suite->backend->bytes, hex);
}

void suite_own_tasks(const struct suite *suite, const char *more)
{
    const char *type = suite->backend->instant_type;
    suite_exec(
        suite,
        "CREATE TABLE tasks (id BIGINT PRIMARY KEY, plane_id TEXT UNIQUE, work_item_id TEXT, title TEXT,"
        " repo TEXT, branch TEXT, stage TEXT, created_at %s, updated_at %s, mood TEXT DEFAULT 'calm'%s)",
        type, type, more);
}

void suite_task(const struct suite *suite, int64_t id, const char *stage, const char *repo, int64_t age_s)
{
    const char *instant = suite_ago(suite, age_s);
    suite_exec(
        suite,
        "INSERT INTO tasks (id, plane_id, work_item_id, title, repo, branch, stage, created_at, updated_at)"
        " VALUES (%lld, '00000000-0000-4000-8000-%012lld', 'ORCH-%lld', 'Task %lld', '%s', "
        "'feature/ORCH-%lld', '%s', %s, %s)",
        (long long)id, (long long)id, (long long)id, (long long)id, repo, (long long)id, stage, instant,
        instant);
}

void suite_job(const struct suite *suite, int64_t task_id, const char *status)
{
    suite_exec(suite, "INSERT INTO jobs (task_id, agent, status) VALUES (%lld, 'developer', '%s')",
               (long long)task_id, status);
}

/* requests and moves */

struct store_stuck_query suite_query(void)
{
    static const struct store_stage_grace stages[] = {
        {"architecture", 600}, {"development", 600}, {"review", 60}, {"testing", 600}, {"deploy", 600}};
    static const char *const known[] = {"created", "analysis", "architecture", "development",
                                        "review",  "testing",  "deploy",       "done"};
    return (struct store_stuck_query){.stages = stages,
                                      .n_stages = ARRAY_LEN(stages),
                                      .known = known,
                                      .n_known = ARRAY_LEN(known),
                                      .limit = 1000};
}

static struct store_task_list list_keep(struct suite *suite, struct store_task_list list)
{
    suite->lists = mem_grow(suite->lists, suite->n_lists + 1, sizeof *suite->lists);
    suite->lists[suite->n_lists++] = list;
    return list;
}

struct store_task_list suite_list(struct suite *suite, const struct store_stuck_query *query)
{
    struct store_task_list stuck = {0};
    ASSERT_OK(store_task_list(suite->store, query, &stuck, &suite->why));
    return list_keep(suite, stuck);
}

struct store_task_list suite_stuck(struct suite *suite)
{
    struct store_stuck_query query = suite_query();
    return suite_list(suite, &query);
}

struct store_task_list suite_unstarted(struct suite *suite, int64_t grace_s, const char *const *fresh,
                                       size_t n_fresh, size_t limit)
{
    struct store_task_list unstarted = {.unknown_stage = 99};
    ASSERT_OK(
        store_unstarted(suite->store, "created", grace_s, fresh, n_fresh, limit, &unstarted, &suite->why));
    assert_int_equal(unstarted.unknown_stage, 0);
    return list_keep(suite, unstarted);
}

void suite_assert_listed(const struct store_task_list *stuck, const int64_t *ids, size_t n)
{
    assert_int_equal(stuck->n_tasks, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(stuck->tasks[i].id, ids[i]);
}

void suite_heal(const struct suite *suite, int64_t task_id, const char *from_stage, int64_t age_s)
{
    struct uuid_text id = uuid_new();
    suite_exec(
        suite,
        "INSERT INTO reconcile_ledger (id, at, task_id, work_item_id, from_stage, to_stage, side, outcome)"
        " VALUES ('%s', %s, %lld, 'ORCH-%lld', '%s', 'review', 'gate', 'advanced')",
        id.s, suite_ago(suite, age_s), (long long)task_id, (long long)task_id, from_stage);
}

struct store_transition suite_transition(const struct store_task *task)
{
    return (struct store_transition){.id = uuid_new(),
                                     .rested_s = task->age_s,
                                     .task = task,
                                     .to_stage = "review",
                                     .agent = "reviewer",
                                     .side = "gate",
                                     .outcome = "advanced",
                                     .reason = "every check passed",
                                     .evidence = "{\"sha\":\"abc\"}"};
}

enum store_moved suite_move(struct suite *suite, const struct store_transition *transition)
{
    enum store_moved moved = STORE_REFUSED;
    ASSERT_OK(store_transition(suite->store, 0, 0, "00000000-0000-4000-8000-000000000001", transition, 1,
                               &moved, &suite->why));
    return moved;
}

void suite_assert_words(const struct why *why, const char *error)
{
    if (!strstr(why->text, error))
        fail_msg("\"%s\" does not contain \"%s\"", why->text, error);
}

void suite_assert_document(const char *text, const char *expected)
{
    json_auto_t *left = json_loads(text, JSON_ALLOW_NUL, NULL);
    json_auto_t *right = json_loads(expected, JSON_ALLOW_NUL, NULL);
    assert_non_null(right);
    assert_true(json_equal(left, right));
    for (const char *at = text; *at; at++)
        assert_in_range((unsigned char)*at, ' ', '~');
}

void suite_assert_why(const struct suite *suite, const char *error)
{
    suite_assert_words(&suite->why, error);
}
