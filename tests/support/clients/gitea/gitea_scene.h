/* gitea_scene.h - a scripted server, a fetcher, a Gitea and a fact set, for the tests of Gitea's client. */
#ifndef RECONCILED_TESTS_GITEA_SCENE_H
#define RECONCILED_TESTS_GITEA_SCENE_H

#include "clients/facts/facts.h"
#include "clients/http/fetch.h"
#include "clients/gitea/gitea.h"
#include "clients/http/upstream_health.h"
#include "tests/support/clients/http/script_server.h"

#define SHA "0123456789abcdef0123456789abcdef01234567"
#define TOKEN "t0ps3cret"
#define REPO "acme/shop"
#define API "/api/v1/repos/acme/shop"
#define PATIENCE_MS 10000

struct scene {
    struct script_server *server;
    struct fetch *fetch;
    struct gitea *gitea;
    struct facts *facts;
};

/* gitea_scene_prepare: once per program. scene_open, scene_close: cmocka's setup and teardown. */
void gitea_scene_prepare(void);
int scene_open(void **state);
int scene_close(void **state);
#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

/* scene_settle: waits until everything that was asked is answered. */
void scene_settle(struct scene *scene);

/* gitea_scene_health: Gitea's, as of now. */
void gitea_scene_health(const struct scene *scene, struct upstream_view *ret);

/* on_json: a 200 with that body, which is freed. text_add: `piece` behind a text that grows. */
void on_json(struct scene *scene, const char *target, const char *headers, char *body_take);
void text_add(char **text, const char *piece);

#endif
