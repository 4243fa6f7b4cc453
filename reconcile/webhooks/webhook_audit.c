#include "reconcile/webhooks/webhook_audit.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/facts/facts.h"
#include "clients/gitea/gitea.h"
#include "clients/store/store.h"
#include "reconcile/webhooks/webhook_check.h"
#include "reconcile/message/message.h"
#include "reconcile/notify/notifier.h"
#include "reconcile/settings/policy.h"
#include "reconcile/settings/settings.h"

enum { NAP_MS = 100 }; /* between two looks at whether the process ends */

static const char *const sources[] = {"gitea", "plane"};

struct look {
    struct services *services;
    const char *target;
    const struct gitea_hooks **hooks; /* of each project */
    struct webhook_verdict *verdicts;
    bool judged; /* there are verdicts */
    bool tells;
    json_t *document;
};

static bool stopping(const struct look *look)
{
    return atomic_load(&look->services->stopping);
}

/* telling */

/* The words go with the status too; who has been told already is not told again. */
static void tell(struct look *look, const char *name_parts, char *text_take)
{
    AUTO_FREE char *text = text_take;
    struct uuid_text id = uuid_from_name(name_parts);
    struct why why;
    bool is_new = false;
    if (!look->tells)
        return;
    if (store_outbox_add(look->services->store, id.s, text, &is_new, &why) != ERR_OK)
        log_warn("a message about webhooks could not be written", LOG_S("reason", why.text));
    else if (is_new)
        notifier_wake(look->services->notifier);
}

static enum err learn_policy(struct look *look, struct why *why)
{
    struct policy *policy = NULL;
    enum err err = policy_read(look->services->store, look->services->settings, &policy, why);
    if (!err)
        look->tells = look->services->telegram && policy->enabled && policy->mode == MODE_HEAL &&
                      policy->notify_unblock;
    policy_free(policy);
    return err;
}

/* the repos' webhooks */

static void ask_gitea(struct look *look, struct facts *facts)
{
    const struct settings *settings = look->services->settings;
    enum facts_step step = FACTS_NOTHING_YET;
    void *nobody;
    for (size_t i = 0; i < settings->n_projects; i++)
        look->hooks[i] = gitea_hooks(facts, look->services->gitea, settings->projects[i].repo);
    while (!stopping(look) && step != FACTS_ALL_ANSWERED)
        step = facts_wait(facts, NAP_MS, &nobody);
    look->judged = step == FACTS_ALL_ANSWERED;
    for (size_t i = 0; i < settings->n_projects && look->judged; i++)
        webhook_check(look->hooks[i], look->services->pipeline, look->target, &look->verdicts[i]);
}

static bool is_bad(const struct webhook_verdict *verdict)
{
    return verdict->state != WEBHOOK_OK && verdict->state != WEBHOOK_UNKNOWN;
}

static void show_repo(struct look *look, json_t *bad, const char *repo, const struct webhook_verdict *verdict)
{
    AUTO_FREE char *name =
        mem_printf("webhook\n%s\n%s\n%s", repo, webhook_state_name(verdict->state), verdict->mark);
    tell(look, name, message_of_webhook(repo, verdict->detail));
    if (json_array_size(bad) >= LIMIT_WEBHOOKS_SHOWN)
        return;
    json_t *row = json_object();
    json_put(row, "repo", json_text(repo));
    json_put(row, "state", json_text(webhook_state_name(verdict->state)));
    json_put(row, "detail", json_text(verdict->detail));
    json_push(bad, row);
}

static void show_repos(struct look *look)
{
    const struct settings *settings = look->services->settings;
    json_t *bad = json_array(), *repos = json_object();
    json_int_t counts[WEBHOOK_STATE_MAX_] = {0}, n_bad = 0;
    const char *why_unknown = NULL;
    for (size_t i = 0; i < settings->n_projects && look->judged; i++) {
        const struct webhook_verdict *verdict = &look->verdicts[i];
        counts[verdict->state]++;
        if (verdict->state == WEBHOOK_UNKNOWN && !why_unknown)
            why_unknown = verdict->detail;
        if (!is_bad(verdict))
            continue;
        n_bad++;
        show_repo(look, bad, settings->projects[i].repo, verdict);
    }
    json_put(repos, "ok", json_integer(counts[WEBHOOK_OK]));
    json_put(repos, "bad", json_integer(n_bad));
    json_put(repos, "unknown", json_integer(counts[WEBHOOK_UNKNOWN]));
    json_put(repos, "why_unknown", json_text(why_unknown));
    json_put(look->document, "repos", repos);
    json_put(look->document, "bad", bad);
}

static void look_at_repos(struct look *look)
{
    const struct settings *settings = look->services->settings;
    struct facts *facts = facts_new(look->services->fetch, clock_mono_ms() + LIMIT_WEBHOOKS_AUDIT_MS);
    facts_gather(facts);
    look->hooks = mem_zero(settings->n_projects + 1, sizeof(struct gitea_hooks *));
    look->verdicts = mem_zero(settings->n_projects + 1, sizeof *look->verdicts);
    if (gitea_configured(look->services->gitea))
        ask_gitea(look, facts);
    show_repos(look);
    for (size_t i = 0; i < settings->n_projects; i++)
        webhook_verdict_done(&look->verdicts[i]);
    free(look->verdicts);
    free(look->hooks);
    facts_free(facts);
}

/* what had to be healed */

static void show_losses(struct look *look, const struct store_ledger_page *newest, int64_t now_us)
{
    json_t *losses = json_object();
    char today[INSTANT_TEXT_SIZE];
    instant_format(now_us, today);
    today[strcspn(today, "T")] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        const struct webhook_losses lost = webhook_losses(newest, sources[i], now_us);
        json_t *row = json_object();
        json_put(row, "tasks", json_integer((json_int_t)lost.tasks));
        json_put(row, "silent", json_boolean(lost.silent));
        json_put(losses, sources[i], row);
        AUTO_FREE char *name = mem_printf("silence\n%s\n%s", sources[i], today);
        if (lost.silent)
            tell(look, name, message_of_silence(sources[i], lost.tasks));
    }
    json_put(look->document, "losses", losses);
}

/* The newest rows without their evidence, which may be long: a few are read at once. */
static enum err newest_read(struct store *store, struct store_ledger_page *ret, struct why *why)
{
    struct store_ledger_page newest = {.n = 0}, part;
    int64_t before_seq = 0;
    do {
        enum err err = store_ledger_list(store, 0, before_seq, LIMIT_LIST_ROWS, &part, why);
        if (err) {
            store_ledger_page_done(&newest);
            return err;
        }
        newest.rows = mem_grow(newest.rows, newest.n + part.n + 1, sizeof *newest.rows);
        for (size_t i = 0; i < part.n; i++) {
            before_seq = part.rows[i].seq;
            free(part.rows[i].evidence);
            part.rows[i].evidence = NULL;
            newest.rows[newest.n++] = part.rows[i];
        }
        free(part.rows);
    } while (part.n == LIMIT_LIST_ROWS && newest.n < LIMIT_LIST_MAX);
    *ret = newest;
    return ERR_OK;
}

static enum err look_at_ledger(struct look *look, struct why *why)
{
    struct store_settings settings;
    struct store_ledger_page newest;
    enum err err = store_settings_read(look->services->store, &settings, why);
    if (err)
        return err;
    err = newest_read(look->services->store, &newest, why);
    if (!err) {
        show_losses(look, &newest, settings.now_us);
        store_ledger_page_done(&newest);
    }
    store_settings_done(&settings);
    return err;
}

enum err webhook_audit(struct services *services, const char *target, json_t **ret, struct why *why)
{
    struct look look = {.services = services, .target = target, .document = json_object()};
    json_put(look.document, "looked_at", json_instant(clock_wall_us()));
    enum err err = learn_policy(&look, why);
    if (!err)
        err = look_at_ledger(&look, why);
    if (err) {
        json_decref(look.document);
        return err;
    }
    look_at_repos(&look);
    *ret = look.document;
    return ERR_OK;
}
