#include "tests/support/reconcile/sweep/pass_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "clients/base/clock.h"
#include "clients/base/text.h"
#include "clients/store/store.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/plane/plane_unstarted.h"
#include "reconcile/heal/recheck.h"
#include "reconcile/settings/settings.h"
#include "tests/support/clients/store/sqlite_file.h"

void pass_scene_open(struct pass_scene *scene, const char *(*lookup)(const char *name))
{
    static const char *const environment[] = {NULL};
    json_auto_t *problems = json_array();
    sqlite_file_make();
    *scene = (struct pass_scene){.settings = NULL};
    assert_int_equal(settings_read(lookup, environment, &scene->settings, problems), ERR_OK);
    assert_int_equal(pipeline_load_file(NULL, &scene->pipeline, problems), ERR_OK);
    assert_int_equal(store_open(sqlite_file_url(), NULL, &scene->store, &scene->why), ERR_OK);
    assert_int_equal(store_migrate(scene->store, NULL, &scene->why), ERR_OK);
    assert_int_equal(policy_read(scene->store, scene->settings, &scene->policy, &scene->why), ERR_OK);
    scene->memory = pass_memory_new(scene->settings);
    scene->services = (struct services){.settings = scene->settings,
                                        .clock = &clock_system,
                                        .pipeline = scene->pipeline,
                                        .store = scene->store,
                                        .recheck = recheck_new(),
                                        .unstarted = plane_unstarted_new(),
                                        .owner = uuid_new()};
}

void pass_scene_close(struct pass_scene *scene)
{
    plane_unstarted_free(scene->services.unstarted);
    pass_memory_free(scene->memory);
    recheck_free(scene->services.recheck);
    policy_free(scene->policy);
    store_free(scene->store);
    pipeline_free(scene->pipeline);
    settings_free(scene->settings);
    sqlite_file_remove();
}

void pass_scene_exec(const char *fmt, ...)
{
    char sql[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(sql, sizeof sql, fmt, args);
    va_end(args);
    sqlite_file_exec(sql);
}

struct pass_result pass_scene_run(struct pass_scene *scene, struct pass_request request)
{
    struct pass_result result;
    assert_int_equal(pass_run(&scene->services, scene->memory, &request,
                              "00000000-0000-4000-8000-000000000001", &scene->policy, &result, &scene->why),
                     ERR_OK);
    return result;
}

json_t *pass_scene_report(struct pass_scene *scene, struct pass_request request)
{
    struct pass_result result = pass_scene_run(scene, request);
    json_t *report = report_json(&result.report);
    pass_result_done(&result);
    return report;
}
