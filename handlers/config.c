#include <stdio.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/log.h"
#include "clients/store/store.h"
#include "handlers/app.h"
#include "handlers/handlers.h"
#include "handlers/query.h"
#include "reconcile/explain/history.h"
#include "reconcile/settings/policy.h"
#include "reconcile/sweep/sweeper.h"

enum { TAG_SIZE = 32 };

static void tag_of(int64_t revision, char ret[TAG_SIZE])
{
    snprintf(ret, TAG_SIZE, "\"%lld\"", (long long)revision);
}

/* A 304 has the headers that a 200 would have, Content-Length included, and no body (RFC 9110 8.6). */
static void answer_config(struct request *request, int status, json_t *document_take)
{
    char tag[TAG_SIZE];
    tag_of(json_get_int(document_take, "revision", 0), tag);
    answer_header(request, "ETag", tag);
    answer_json(request, status, document_take);
}

/* Whether the list of a precondition (RFC 9110 8.8.3, 13.1) contains the tag or is "*". An invalid list
 * contains no tag. */
static bool tag_listed(const char *list, const char *tag, bool weak_counts)
{
    static const char blank[] = " \t";
    if (*list == '*')
        return list[1 + strspn(list + 1, blank)] == '\0';
    for (;;) {
        list += strspn(list, " \t,");
        bool weak = strncmp(list, "W/", 2) == 0;
        list += weak ? 2 : 0;
        size_t len = *list == '"' ? strcspn(list + 1, "\"") + 2 : 0;
        if (len == 0 || list[len - 1] != '"')
            return false;
        if (len == strlen(tag) && memcmp(list, tag, len) == 0 && (weak_counts || !weak))
            return true;
        list += len;
        list += strspn(list, blank);
        if (*list != ',')
            return false;
    }
}

/* Checks the request's preconditions against the revision (RFC 9110 13.2.2). Returns 200; or 304, for a read
 * by a client that has this revision; or 412, after it has answered the request. */
static int precondition_status(struct request *request, int64_t revision, bool is_read)
{
    const char *match = request_header(request, "If-Match");
    const char *none_match = request_header(request, "If-None-Match");
    char tag[TAG_SIZE];
    tag_of(revision, tag);
    bool stale = match && !tag_listed(match, tag, false);
    bool known = none_match && tag_listed(none_match, tag, true);
    if (!stale && (!known || is_read))
        return known ? 304 : 200;
    answer_problem(request, 412, "the settings are at revision %lld now", (long long)revision);
    return 412;
}

void handle_config_get(struct request *request)
{
    const struct app *app = request_app(request);
    json_t *document = NULL;
    struct why why;
    enum err err = policy_document(app->store, app->settings, &document, &why);
    if (err) {
        answer_error(request, err, &why);
        return;
    }
    int status = precondition_status(request, json_get_int(document, "revision", 0), true);
    if (status == 412)
        json_decref(document);
    else
        answer_config(request, status, document);
}

/* The revision that the change is for; -1, any, if If-Match lists none. False: the request has been answered.
 */
static bool seen_read(struct request *request, int64_t *ret_revision)
{
    const char *match = request_header(request, "If-Match");
    struct store_settings stored = {0};
    struct why why;
    *ret_revision = -1;
    if (!match && !request_header(request, "If-None-Match"))
        return true;
    enum err err = store_settings_read(request_app(request)->store, &stored, &why);
    if (err) {
        answer_error(request, err, &why);
        return false;
    }
    if (match && *match != '*')
        *ret_revision = stored.revision;
    bool holds = precondition_status(request, stored.revision, false) == 200;
    store_settings_done(&stored);
    return holds;
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
    if (!seen_read(request, &seen_revision))
        return;
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
        answer_config(request, 200, document);
    }
}

void handle_config_history(struct request *request)
{
    struct page page;
    json_t *body = NULL;
    struct why why;
    if (!page_read(request, &page))
        return;
    enum err err = history_changes(request_app(request)->store, page.after, page.limit, &body, &why);
    if (err)
        answer_error(request, err, &why);
    else
        answer_json(request, 200, body);
}
