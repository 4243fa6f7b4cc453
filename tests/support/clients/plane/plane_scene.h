/* plane_scene.h - a Plane's client with a call under way, and a Plane to ask: the sandbox's, or one that is
 * scripted. */
#ifndef RECONCILED_TESTS_PLANE_SCENE_H
#define RECONCILED_TESTS_PLANE_SCENE_H

#include "clients/http/fetch.h"
#include "clients/plane/plane.h"
#include "tests/support/sandbox_run.h"
#include "tests/support/clients/http/script_server.h"

#define PROJECT "11111111-aaaa-4bbb-8ccc-222222222222"
#define ISSUE_1 "33333333-aaaa-4bbb-8ccc-444444444444"
#define KEY "plane_api_0123456789abcdef0123456789abcdef"
#define PATIENCE_MS 20000

struct plane_scene {
    struct sandbox_run *sandbox; /* one of the two */
    struct script_server *server;
    struct fetch *fetch;
    struct plane *plane;
    struct plane_call call;
    struct why why;
};

/* plane_scene_prepare: once per program. sandbox_scene_open, scripted_scene_open, plane_scene_close: cmocka's
 * setup and teardown. The sandbox's Plane is empty and has a project PROJECT, "ORCH". */
void plane_scene_prepare(void);
int sandbox_scene_open(void **state);
int scripted_scene_open(void **state);
int plane_scene_close(void **state);
#define IN_SANDBOX(test) cmocka_unit_test_setup_teardown(test, sandbox_scene_open, plane_scene_close)
#define IN_SCRIPT(test) cmocka_unit_test_setup_teardown(test, scripted_scene_open, plane_scene_close)

/* The clock that the budget goes by: stands still, at 1,000,000 at first. */
int64_t scene_now_ms(void);
void scene_advance(int64_t ms);

/* scene_call: ends the call under way and begins another. */
void scene_call(struct plane_scene *scene, bool forced);
/* scene_fetch_again: the same with another fetcher, after the first was stopped. */
void scene_fetch_again(struct plane_scene *scene);

#endif
