#include "tests/support/clients/http/curl_group.h"
#include "tests/support/clients/plane/plane_scene.h"
#include "tests/support/clients/http/names.h"

#include <curl/curl.h>
#include <stdlib.h>

#include "clients/base/text.h"
#include "clients/plane/plane_io.h"

#define BEGINNING_MS 1000000

static int64_t now_ms;

void plane_scene_prepare(void)
{
    (void)curl_begin(NULL);
    (void)atexit(curl_global_cleanup); /* a full table of exit handlers leaks a few bytes at the end */
}

int64_t scene_now_ms(void)
{
    return now_ms;
}

void scene_advance(int64_t ms)
{
    now_ms += ms;
}

static enum err open_fetch(struct plane_scene *scene)
{
    const struct fetch_options options = {.timeout_ms = PATIENCE_MS, .per_host = 8};
    return fetch_new(&options, &scene->fetch, NULL);
}

static int scene_open(struct plane_scene *scene, const char *url)
{
    now_ms = BEGINNING_MS;
    if (open_fetch(scene) || plane_new(url, KEY, "acme", &test_names, &scene->plane, NULL))
        return 1;
    plane_clock(scene->plane, scene_now_ms);
    plane_call_begin(&scene->call, scene->plane, scene->fetch, true, clock_mono_ms() + PATIENCE_MS);
    return 0;
}

int sandbox_scene_open(void **state)
{
    struct plane_scene *scene = mem_zero(1, sizeof *scene);
    *state = scene;
    scene->sandbox = sandbox_start();
    sandbox_tell(scene->sandbox, "plane", "{'projects':[{'identifier':'ORCH','id':'%s'}]}", PROJECT);
    AUTO_FREE char *url = mem_printf("%s/plane", sandbox_url(scene->sandbox));
    return scene_open(scene, url);
}

int scripted_scene_open(void **state)
{
    struct plane_scene *scene = mem_zero(1, sizeof *scene);
    *state = scene;
    scene->server = script_server_start();
    return scene_open(scene, script_server_url(scene->server));
}

int plane_scene_close(void **state)
{
    struct plane_scene *scene = *state;
    plane_call_end(&scene->call);
    plane_free(scene->plane);
    fetch_free(scene->fetch);
    script_server_stop(scene->server);
    sandbox_stop(scene->sandbox);
    free(scene);
    return 0;
}

void scene_call(struct plane_scene *scene, bool forced)
{
    plane_call_end(&scene->call);
    plane_call_begin(&scene->call, scene->plane, scene->fetch, forced, clock_mono_ms() + PATIENCE_MS);
}

void scene_fetch_again(struct plane_scene *scene)
{
    plane_call_end(&scene->call);
    fetch_free(scene->fetch);
    if (open_fetch(scene))
        abort();
    plane_call_begin(&scene->call, scene->plane, scene->fetch, true, clock_mono_ms() + PATIENCE_MS);
}
