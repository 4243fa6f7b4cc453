#include <stdio.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/log.h"
#include "clients/base/text.h"
#include "handlers/app.h"
#include "handlers/handlers.h"
#include "reconcile/settings/policy.h"
#include "reconcile/sweep/sweeper.h"

static void answer_config(struct request *request, json_t *document_take)
{
    char tag[32];
    snprintf(tag, sizeof tag, "\"%lld\"", (long long)json_get_int(document_take, "revision", 0));
    answer_header(request, "ETag", tag);
    answer_json(request, 200, document_take);
}

void handle_config_get(struct request *request)
{
    const struct app *app = request_app(request);
    json_t *document = NULL;
    struct why why;
    enum err err = policy_document(app->store, app->settings, &document, &why);
    if (err)
        answer_error(request, err, &why);
    else
        answer_config(request, document);
}

/* The revision that If-Match names: −1 for any, false for what no revision of ours can match (a weak tag, a
 * list of more than one, no tag at all: RFC 9110 13.1.1 lets a server that knows one tag answer 412 to them).
 */
static bool if_match_read(const char *text, int64_t *ret_revision)
{
    char digits[24];
    *ret_revision = -1;
    if (!text || strcmp(text, "*") == 0)
        return true;
    size_t len = strlen(text);
    if (len < 3 || len - 2 >= sizeof digits || text[0] != '"' || text[len - 1] != '"')
        return false;
    memcpy(digits, text + 1, len - 2);
    digits[len - 2] = '\0';
    return parse_i64(digits, 0, INT64_MAX, ret_revision);
}

void handle_config_put(struct request *request)
{
    const struct app *app = request_app(request);
    const json_t *body = request_json(request);
    int64_t seen_revision;
    struct policy *policy = NULL;
    json_t *document = NULL, *errors = NULL;
    struct why why;
    if (!body) {
        answer_problem(request, 400, "there is no body: it names the settings to change");
        return;
    }
    if (!if_match_read(request_header(request, "If-Match"), &seen_revision)) {
        answer_problem(request, 412, "If-Match names no revision of the settings");
        return;
    }
    enum err err = policy_change(app->store, app->settings, app->pipeline, body, seen_revision, &policy,
                                 &document, &errors, &why);
    if (err == ERR_INVALID) {
        answer_fields(request, 422, "nothing was changed", errors ? errors : json_array());
    } else if (err == ERR_CONFLICT && seen_revision >= 0) {
        answer_problem(request, 412, "%s", why.text);
    } else if (err) {
        answer_error(request, err, &why);
    } else {
        log_info("settings changed", LOG_I("revision", policy->revision),
                 LOG_S("by", json_get_text(body, "by", NULL)),
                 LOG_S("reason", json_get_text(body, "reason", NULL)), LOG_B("enabled", policy->enabled),
                 LOG_B("plane_enabled", policy->plane_enabled),
                 LOG_S("mode", json_get_text(document, "mode", NULL)));
        sweeper_wake(app->sweeper, policy);
        policy_free(policy);
        answer_config(request, document);
    }
}
