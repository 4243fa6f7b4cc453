/* sandbox - a stand-in for what the service talks to, on loopback alone. See README.md in this folder. */
#include <curl/curl.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "clients/base/text.h"
#include "tests/sandbox/fault.h"
#include "tests/sandbox/journal.h"
#include "tests/sandbox/load.h"
#include "tests/sandbox/mailer.h"
#include "tests/sandbox/orchestrator.h"
#include "tests/sandbox/park.h"
#include "tests/sandbox/plane_load.h"
#include "tests/sandbox/plane_world.h"
#include "tests/sandbox/sandbox.h"
#include "tests/sandbox/telegram.h"
#include "tests/sandbox/wire.h"
#include "tests/sandbox/world.h"

const struct stand_in *const sandbox_stand_ins[] = {
    &gitea_api, &gitea_web, &plane_api, &plane_web, &telegram_api, &gate_stand_in, &orchestrator_stand_in,
    &control,   NULL};

#define ROOT_URL_UNSET "" /* until the port is known */

struct options {
    int port;
    const char *version, *token, *world;
    struct plane_start plane;
};

static int usage(FILE *to)
{
    fprintf(to, "usage: sandbox [--port N] [--gitea-version 1.22…1.27] [--token T] [--world FILE.json]\n"
                "               [--plane-version 0.23…1.3.1] [--plane-key K] [--plane-workspace SLUG]\n"
                "  --port           on 127.0.0.1; 0 (the default) picks one, which is printed\n"
                "  --gitea-version  how the stand-in Gitea behaves (1.26)\n"
                "  --token          the only token it takes; without, anything goes\n"
                "  --plane-version  how the stand-in Plane behaves (" PLANE_VERSION_DEFAULT ")\n"
                "  --plane-key      the only key it takes; without, any is good, but one must be given\n"
                "  --plane-workspace  the workspace's slug (acme)\n"
                "  --world          what it knows at the start, as for POST /sandbox/world\n");
    return to == stdout ? 0 : 2;
}

/* False when the command line is invalid. */
static bool options_read(int argc, char **argv, struct options *ret)
{
    static const struct option known[] = {{"port", required_argument, NULL, 'p'},
                                          {"gitea-version", required_argument, NULL, 'v'},
                                          {"token", required_argument, NULL, 't'},
                                          {"world", required_argument, NULL, 'w'},
                                          {"plane-version", required_argument, NULL, 'V'},
                                          {"plane-key", required_argument, NULL, 'K'},
                                          {"plane-workspace", required_argument, NULL, 'W'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    int64_t port;
    for (int c; (c = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        if (c == 'p' && parse_i64(optarg, 0, 65535, &port))
            ret->port = (int)port;
        else if (c == 'v')
            ret->version = optarg;
        else if (c == 't')
            ret->token = optarg;
        else if (c == 'w')
            ret->world = optarg;
        else if (c == 'V')
            ret->plane.version = optarg;
        else if (c == 'K')
            ret->plane.key = optarg;
        else if (c == 'W')
            ret->plane.workspace = optarg;
        else if (c == 'h')
            exit(usage(stdout));
        else
            return false;
    }
    return optind == argc;
}

static bool sandbox_load(struct sandbox *sandbox, const struct options *options)
{
    struct why why = {""};
    sandbox->world = world_new(ROOT_URL_UNSET, "1.26", options->token);
    if (options->version && !world_set_version(sandbox->world, options->version)) {
        fprintf(stderr, "sandbox: --gitea-version %s: 1.22 or later\n", options->version);
        return false;
    }
    struct plane_start start = options->plane;
    start.version = NULL;
    sandbox->plane = plane_new(&start);
    if (options->plane.version && !plane_set_version(sandbox->plane, options->plane.version)) {
        fprintf(stderr, "sandbox: --plane-version %s: such as 1.3.1\n", options->plane.version);
        return false;
    }
    sandbox->plane->start = options->plane;
    if (!options->world)
        return true;
    json_error_t error;
    json_t *document = json_load_file(options->world, JSON_REJECT_DUPLICATES, &error);
    const json_t *plane = json_object_get(document, "plane");
    enum err err = document ? load_world(sandbox->world, document, &why)
                            : why_set(&why, ERR_INVALID, "line %d: %s", error.line, error.text);
    if (!err && plane)
        err = plane_load(sandbox->plane, plane, &why);
    json_decref(document);
    if (err)
        fprintf(stderr, "sandbox: %s: %s\n", options->world, why.text);
    return !err;
}

/* Thousands of connections may hang at once. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* fewer connections then */
}

static int run(struct sandbox *sandbox, const struct options *options, const sigset_t *ending)
{
    struct why why;
    struct wire *wire;
    if (wire_start(sandbox, options->port, &wire, &why) != ERR_OK) {
        fprintf(stderr, "sandbox: %s\n", why.text);
        return 1;
    }
    pthread_rwlock_wrlock(&sandbox->lock);
    if (strcmp(sandbox->world->root_url, ROOT_URL_UNSET) == 0)
        sandbox->world->root_url =
            arena_made(&sandbox->world->arena, "http://127.0.0.1:%d/gitea/", sandbox->port);
    pthread_rwlock_unlock(&sandbox->lock);
    printf("sandbox listening on http://127.0.0.1:%d\n", sandbox->port);
    fflush(stdout);
    int signal_number;
    sigwait(ending, &signal_number);
    wire_stop(wire);
    return 0;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct sandbox sandbox = {0};
    sigset_t ending;
    if (!options_read(argc, argv, &options))
        return usage(stderr);
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ending, NULL);
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    json_object_seed(0);
    curl_global_init(CURL_GLOBAL_ALL);
    pthread_rwlock_init(&sandbox.lock, NULL);
    int code = 2;
    if (sandbox_load(&sandbox, &options)) {
        sandbox.faults = faults_new();
        sandbox.journal = journal_new();
        sandbox.mailer = mailer_new();
        sandbox.park = park_new();
        sandbox.telegram = telegram_new();
        sandbox.orchestrator = orchestrator_stand_in_new();
        code = run(&sandbox, &options, &ending);
        orchestrator_stand_in_free(sandbox.orchestrator);
        telegram_free(sandbox.telegram);
        park_free(sandbox.park);
        mailer_free(sandbox.mailer);
        journal_free(sandbox.journal);
        faults_free(sandbox.faults);
    }
    plane_free(sandbox.plane);
    world_free(sandbox.world);
    curl_global_cleanup();
    return code;
}
