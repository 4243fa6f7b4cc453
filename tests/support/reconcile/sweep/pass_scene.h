/* pass_scene.h - what a pass works with, on a SQLite file of its own, for tests of the domain.
 *
 * Whatever is outside but the database is the test's: it sets services.plane, services.telegram and the like,
 * real or doubles, after pass_scene_open and frees them before pass_scene_close.
 */
#ifndef RECONCILED_TESTS_PASS_SCENE_H
#define RECONCILED_TESTS_PASS_SCENE_H

#include "clients/base/err.h"
#include "reconcile/heal/pass_context.h"
#include "reconcile/sweep/pass.h"
#include "reconcile/settings/policy.h"

struct pass_scene {
    struct settings *settings;
    struct pipeline *pipeline; /* the built-in one */
    struct store *store;       /* with its tables */
    struct policy *policy;     /* as at the start */
    struct services services;
    struct pass_memory *memory;
    struct why why;
};

/* pass_scene_open: settings as `lookup` gives them, like getenv. Failures end the test. */
void pass_scene_open(struct pass_scene *scene, const char *(*lookup)(const char *name));
void pass_scene_close(struct pass_scene *scene);

/* pass_scene_exec: SQL on the file, past the store. */
void pass_scene_exec(const char *fmt, ...) ATTR_PRINTF(1, 2);

/* pass_scene_run: one pass, which must not fail. Free with pass_result_done. */
struct pass_result pass_scene_run(struct pass_scene *scene, struct pass_request request);

/* pass_scene_report: the same, its report as the document that leaves the process. Caller owns it. */
json_t *pass_scene_report(struct pass_scene *scene, struct pass_request request);

#endif
