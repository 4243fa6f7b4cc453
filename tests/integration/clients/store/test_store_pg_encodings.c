/* Databases in other encodings than UTF-8: what we write of our own, and what is read and written of tasks.
 */
#include "tests/support/clients/store/pg_scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ISSUE "5f0c6e0a-3c44-4c1b-9d2e-000000000001"
#define TEXT "✅ Исправить naïve ☂ 😀"
#define DOCUMENT "{\"context\":\"Сборка ☂\"}"

/* A database of that encoding, with a task on a repository and a title that it can hold. */
static struct pg_scene scene_make(const char *encoding, const char *word)
{
    struct pg_scene scene = {.database = "scene_encoding"};
    pg_server_exec("postgres", "DROP DATABASE IF EXISTS scene_encoding WITH (FORCE)");
    char *create =
        mem_printf("CREATE DATABASE scene_encoding TEMPLATE template0 ENCODING '%s' LOCALE 'C'", encoding);
    pg_server_exec("postgres", create);
    free(create);
    scene.url = pg_server_url(scene.database);
    scene.store = pg_scene_open(&scene, NULL);
    ASSERT_OK(store_migrate(scene.store, NULL, &scene.why));
    ASSERT_OK(store_ready(scene.store, &scene.why));
    pg_scene_tasks(&scene, 2);
    char hex[64] = "";
    for (const char *at = word; *at; at++)
        (void)snprintf(hex + strlen(hex), 3, "%02x", (unsigned char)*at);
    pg_scene_exec(&scene,
                  "UPDATE tasks SET title = convert_from('\\x%s', 'UTF8'), repo = 'acme/' || "
                  "convert_from('\\x%s', 'UTF8')",
                  hex, hex);
    return scene;
}

static void scene_end(struct pg_scene *scene)
{
    store_free(scene->store);
    free(scene->url);
    pg_server_exec("postgres", "DROP DATABASE scene_encoding WITH (FORCE)");
}

static void assert_moves(struct pg_scene *scene, const char *word)
{
    struct store_task_list stuck = pg_scene_stuck(scene->store);
    assert_int_equal(stuck.n_tasks, 2);
    struct store_transition batch[] = {pg_scene_transition(&stuck.tasks[0]),
                                       pg_scene_transition(&stuck.tasks[1])};
    enum store_moved moved[2];
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(stuck.tasks[i].title, word);
        batch[i].reason = batch[i].message = TEXT;
        batch[i].evidence = DOCUMENT;
    }
    ASSERT_OK(pg_scene_move(scene, scene->store, batch, 2, moved));
    assert_int_equal(moved[0], STORE_MOVED);
    assert_int_equal(moved[1], STORE_MOVED);
    struct store_ledger_page page;
    ASSERT_OK(store_ledger_list(scene->store, 0, 0, 2, &page, &scene->why));
    assert_string_equal(page.rows[0].reason, TEXT);
    assert_string_equal(page.rows[0].repo, stuck.tasks[1].repo);
    store_ledger_page_done(&page);
    store_task_list_done(&stuck);
}

static void assert_records(struct pg_scene *scene)
{
    struct store_outbox outbox;
    int64_t revision;
    ASSERT_OK(store_outbox_add(scene->store, uuid_new().s, TEXT, NULL, &scene->why));
    ASSERT_OK(store_outbox_list(scene->store, STORE_TO_TELEGRAM, 9, &outbox, &scene->why));
    assert_int_equal(outbox.n, 3);
    for (size_t i = 0; i < outbox.n; i++)
        assert_string_equal(outbox.rows[i].text, TEXT);
    store_outbox_done(&outbox);
    ASSERT_OK(store_settings_write(scene->store, 0, DOCUMENT, NULL, 0, &revision, &scene->why));
    ASSERT_OK(store_pass_save(scene->store, PG_SCENE_PASS, 1, DOCUMENT, &scene->why));
}

static void assert_replays(struct pg_scene *scene)
{
    pg_scene_exec(scene, "UPDATE tasks SET stage = 'development', updated_at = now() - interval '1 hour'");
    pg_scene_exec(scene, "DELETE FROM jobs");
    struct store_task_list stuck = pg_scene_stuck(scene->store);
    struct store_transition transition = pg_scene_transition(&stuck.tasks[0]);
    transition.reason = TEXT;
    transition.evidence = DOCUMENT;
    const struct store_replay replay = {.subject = "task/1",
                                        .delivery = uuid_new(),
                                        .row = &transition,
                                        .message_id = uuid_new(),
                                        .message = TEXT};
    struct store_replay_seen seen;
    ASSERT_OK(store_replay_begin(scene->store, 1, 0, &replay, 1, &seen, &scene->why));
    assert_int_equal(seen.state, STORE_REPLAY_DUE);
    pg_scene_exec(scene, "UPDATE tasks SET stage = 'review' WHERE id = 1");
    struct store_replays_moved moved;
    ASSERT_OK(store_replays_moved(scene->store, 9, &moved, &scene->why));
    assert_int_equal(moved.n, 1);
    assert_string_equal(moved.rows[0].reason, TEXT);
    store_replays_moved_done(&moved);
    store_task_list_done(&stuck);
}

/* `title`: what becomes of "Исправить". */
static void assert_starts(struct pg_scene *scene, const char *title)
{
    enum store_creation created[2];
    pg_scene_exec(scene, "SELECT setval(pg_get_serial_sequence('tasks', 'id'), 10)");
    struct why refusals[2] = {{""}, {""}};
    const struct store_new_task batch[] = {{.plane_id = ISSUE,
                                            .work_item_id = "ORCH-8",
                                            .title = "Basket",
                                            .repo = "o/r",
                                            .branch = "b8",
                                            .stage = "created",
                                            .refusal = &refusals[0]},
                                           {.plane_id = PG_SCENE_PASS,
                                            .work_item_id = "ORCH-9",
                                            .title = "Исправить",
                                            .repo = "o/r",
                                            .branch = "b9",
                                            .stage = "created",
                                            .refusal = &refusals[1]}};
    if (store_create_tasks(scene->store, 1, 0, batch, 2, created, &scene->why))
        fail_msg("%s", scene->why.text);
    if (created[0] != STORE_CREATED || created[1] != STORE_CREATED)
        fail_msg("%s; %s", refusals[0].text, refusals[1].text);
    const char *const ids[] = {PG_SCENE_PASS};
    struct store_issue_tasks tasks;
    ASSERT_OK(store_issue_tasks(scene->store, ids, 1, &tasks, &scene->why));
    assert_string_equal(tasks.rows[0].task.title, title);
    store_issue_tasks_done(&tasks);
}

static void assert_all(const char *encoding, const char *word, const char *title)
{
    struct pg_scene scene = scene_make(encoding, word);
    assert_moves(&scene, word);
    assert_records(&scene);
    assert_replays(&scene);
    assert_starts(&scene, title);
    scene_end(&scene);
}

static void a_database_in_latin1_takes_every_text(void **state)
{
    (void)state;
    assert_all("LATIN1", "café", "?????????");
}

static void a_database_in_windows_1251_takes_every_text(void **state)
{
    (void)state;
    assert_all("WIN1251", "корзина", "Исправить");
}

static void a_database_without_an_encoding_takes_every_text(void **state)
{
    (void)state;
    assert_all("SQL_ASCII", "корзина ☂", "Исправить");
}

/* Only its own task fails, in the database's words. */
static void a_stage_that_the_encoding_lacks_is_refused_alone(void **state)
{
    (void)state;
    struct pg_scene scene = scene_make("LATIN1", "x");
    struct store_task_list stuck = pg_scene_stuck(scene.store);
    struct why refusal = {""};
    struct store_transition batch[] = {pg_scene_transition(&stuck.tasks[0]),
                                       pg_scene_transition(&stuck.tasks[1])};
    enum store_moved moved[2];
    batch[0].to_stage = "проверка";
    batch[0].refusal = &refusal;
    ASSERT_OK(pg_scene_move(&scene, scene.store, batch, 2, moved));
    assert_int_equal(moved[0], STORE_REFUSED);
    assert_int_equal(moved[1], STORE_MOVED);
    if (!strstr(refusal.text, "22P05"))
        fail_msg("\"%s\" has no SQLSTATE", refusal.text);
    store_task_list_done(&stuck);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_database_in_latin1_takes_every_text),
        cmocka_unit_test(a_database_in_windows_1251_takes_every_text),
        cmocka_unit_test(a_database_without_an_encoding_takes_every_text),
        cmocka_unit_test(a_stage_that_the_encoding_lacks_is_refused_alone),
    };
    return cmocka_run_group_tests_name("test_store_pg_encodings", tests, NULL, NULL);
}
