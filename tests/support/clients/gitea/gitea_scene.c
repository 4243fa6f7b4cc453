#include "tests/support/clients/gitea/gitea_scene.h"
#include "tests/support/clients/http/curl_group.h"
#include "tests/support/clients/http/names.h"

#include <curl/curl.h>
#include <stdlib.h>

#include "clients/base/err.h"
#include "clients/base/text.h"

void gitea_scene_prepare(void)
{
    (void)curl_begin(NULL);
    (void)atexit(curl_global_cleanup); /* a full table of exit handlers leaks a few bytes at the end */
}

int scene_open(void **state)
{
    struct scene *scene = mem_zero(1, sizeof *scene);
    const struct fetch_options options = {.timeout_ms = PATIENCE_MS, .per_host = 8};
    scene->server = script_server_start();
    if (fetch_new(&options, &scene->fetch, NULL) ||
        gitea_new(script_server_url(scene->server), TOKEN, &test_names, &scene->gitea, NULL))
        return 1;
    scene->facts = facts_new(scene->fetch, clock_mono_ms() + PATIENCE_MS);
    *state = scene;
    return 0;
}

int scene_close(void **state)
{
    struct scene *scene = *state;
    facts_free(scene->facts);
    gitea_free(scene->gitea);
    fetch_free(scene->fetch);
    script_server_stop(scene->server);
    free(scene);
    return 0;
}

void scene_settle(struct scene *scene)
{
    void *waiter;
    while (facts_wait(scene->facts, PATIENCE_MS, &waiter) != FACTS_ALL_ANSWERED)
        ;
}

void gitea_scene_health(const struct scene *scene, struct upstream_view *ret)
{
    upstream_health_view(gitea_health(scene->gitea), clock_mono_ms(), ret);
}

void on_json(struct scene *scene, const char *target, const char *headers, char *body_take)
{
    script_server_on(scene->server, target, &(struct script_reply){.headers = headers, .body = body_take});
    free(body_take);
}

void text_add(char **text, const char *piece)
{
    char *longer = mem_printf("%s%s", *text ? *text : "", piece);
    free(*text);
    *text = longer;
}
