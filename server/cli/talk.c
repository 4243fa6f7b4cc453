#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "reconcile/settings/settings.h"
#include "server/cli/cli.h"
#include "server/cli/service.h"

enum err token_file_read(const char *path, char **ret, struct why *why)
{
    char token[LIMIT_SETTING_TEXT + 1] = "";
    ssize_t len = file_read(path, token, sizeof token - 1);
    if (len < 0)
        return why_set(why, ERR_INVALID, "--token-file %s: %s", path, file_error());
    while (len && isspace((unsigned char)token[len - 1]))
        token[--len] = '\0';
    const ssize_t begin = (ssize_t)text_bom_len(token, (size_t)len);
    for (ssize_t i = begin; i < len; i++) {
        if (!isgraph((unsigned char)token[i]))
            return why_set(why, ERR_INVALID,
                           "--token-file %s holds no token: it has a character that none can have", path);
    }
    if (len == begin)
        return why_set(why, ERR_INVALID, "--token-file %s is empty", path);
    *ret = mem_dup(token + begin);
    return ERR_OK;
}

int talk(const struct command_line *line, const struct settings *settings, const char *token)
{
    struct service_place place = {
        .url = line->values[OPTION_URL], .token = token, .timeout_ms = LIMIT_COMMAND_MS};
    AUTO_FREE char *own = settings ? service_url(settings) : NULL;
    struct service *service = NULL;
    struct why why;
    if (settings) {
        place.url = own;
        place.ourselves = true;
        place.token = token ? token : settings->api_token;
        if (!own) {
            fputs("reconciled: ORCH_HTTP_LISTEN names no port to ask at; --url names the service\n", stderr);
            return EXIT_USAGE;
        }
    } else {
        place.ca_file = getenv("ORCH_CA_FILE");
    }
    if (command_takes(line->command, OPTION_DRY_RUN))
        place.timeout_ms = LIMIT_COMMAND_PASS_MS;
    if (service_open(&place, &service, &why) != ERR_OK) {
        fprintf(stderr, "reconciled: %s\n", why.text);
        return EXIT_FAILED;
    }
    int status = line->command->talk(line, service);
    service_close(service);
    if (fflush(stdout) != 0 || ferror(stdout))
        return EXIT_FAILED;
    return status;
}
