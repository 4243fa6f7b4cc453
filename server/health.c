/* health: asks the service that runs with the same settings on this machine for its health. For the health
 * check of a container, and for people, without another program. */
#include <stdio.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "server/cli/service.h"
#include "server/commands.h"
#include "server/options.h"

/* The words of a problem document, or the status alone. Caller frees. */
static char *words_of(const struct service_answer *answer)
{
    if (answer->status == 0)
        return mem_printf("no answer: %s", answer->error);
    const char *detail = json_get_text(answer->json, "detail", NULL);
    return detail ? text_cut(detail, LIMIT_REASON) : mem_printf("answered %d", answer->status);
}

static bool ask(struct service *service, const char *probe)
{
    const char *const segments[] = {probe, NULL};
    struct service_answer answer;
    service_get(service, segments, NULL, &answer);
    bool good = answer.status == 200;
    AUTO_FREE char *words = good ? mem_dup("ok") : words_of(&answer);
    service_answer_done(&answer);
    return puts(words) >= 0 && good;
}

int health(const struct setup *setup, bool ready)
{
    struct why why;
    struct service *service = NULL;
    AUTO_FREE char *url = service_url(setup->settings);
    if (!url) {
        fputs("reconciled: ORCH_HTTP_LISTEN names no port to ask at\n", stderr);
        return EXIT_USAGE;
    }
    const struct service_place place = {.url = url, .ourselves = true, .timeout_ms = LIMIT_HEALTH_MS};
    if (service_open(&place, &service, &why) != ERR_OK) {
        puts(why.text);
        return EXIT_FAILED;
    }
    bool good = ask(service, ready ? "readyz" : "healthz");
    service_close(service);
    return good ? EXIT_DONE : EXIT_FAILED;
}
