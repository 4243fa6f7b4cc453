#include "reconcile/webhooks/webhook_list.h"

#include "clients/base/jsonx.h"
#include "clients/base/text.h"
#include "clients/http/fetch.h"
#include "reconcile/settings/settings.h"

json_t *webhook_list_new(int64_t looked_at_us)
{
    json_t *list = json_object();
    json_put(list, "looked_at", looked_at_us ? json_instant(looked_at_us) : json_null());
    json_put(list, "items", json_array());
    return list;
}

static void add(json_t *list, const char *source, const char *repo, enum webhook_state state,
                const char *detail)
{
    json_t *row = json_object();
    json_put(row, "source", json_text(source));
    json_put(row, "repo", json_text(repo));
    json_put(row, "state", json_text(webhook_state_name(state)));
    json_put(row, "detail", json_text(detail));
    json_push(json_object_get(list, "items"), row);
}

void webhook_list_add_repo(json_t *list, const char *repo, const struct webhook_verdict *verdict)
{
    add(list, "gitea", repo, verdict->state, verdict->detail);
}

/* Plane has no public call for webhooks: only a person who is signed in sees them. */
void webhook_list_add_plane(json_t *list, const struct settings *settings)
{
    const char *base = settings->plane_web_url ? settings->plane_web_url : settings->plane_url;
    AUTO_FREE char *page = fetch_url_shown(base);
    AUTO_FREE char *url = settings->orchestrator_url ? mem_printf("%s%s", settings->orchestrator_url,
                                                                  settings->orchestrator_plane_path)
                                                     : mem_dup("the orchestrator");
    AUTO_FREE char *target = settings->orchestrator_url ? fetch_url_shown(url) : mem_dup(url);
    AUTO_FREE char *detail = mem_printf(
        "an API key cannot read Plane's webhooks: open %s, workspace %s, Settings, Webhooks; one must "
        "go to %s, be switched on and send the event Issues",
        page, settings->plane_workspace ? settings->plane_workspace : "-", target);
    add(list, "plane", NULL, WEBHOOK_UNKNOWN, detail);
}
