#include "reconcile/webhooks/webhook_audit.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/base/wait.h"
#include "clients/gitea/gitea.h"
#include "clients/gitea/gitea_event.h"
#include "clients/store/store.h"
#include "reconcile/heal/services.h"
#include "reconcile/message/message.h"
#include "reconcile/notify/notifier.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/settings/policy.h"
#include "reconcile/settings/settings.h"
#include "reconcile/settings/work_item.h"
#include "reconcile/sweep/query_pool.h"
#include "reconcile/sweep/status.h"
#include "reconcile/webhooks/webhook_check.h"

/* After a failure of the database; at the start its tables may not be there yet. */
enum { RETRY_FIRST_MS = 1000, RETRY_LAST_MS = 60000 };

static const char *const sources[] = {"gitea", "plane"};

struct webhook_audit {
    struct services *services;
    struct query_pool *query_pool;
    struct status *status;
    char *target;
    atomic_int_least64_t due_ms; /* INT64_MAX: a check is under way */

    /* Used by the query pool alone. */
    unsigned failures;                   /* of the database, in a row */
    struct webhook_verdict *last;        /* of each project: the newest that is not WEBHOOK_UNKNOWN */
    bool was_silent[ARRAY_LEN(sources)]; /* by the newest check */
    bool was_without_status;             /* Gitea had no event "status", by the newest check that knows */
};

/* A repo under a check. */
struct repo_check {
    struct webhook_facts facts;
    struct store_repo_tasks tasks; /* read where a branch filter is found */
    bool tasks_read;
    char *sample; /* a branch as F-2 names them, where no task has one */
    const char **branches;
    struct webhook_verdict verdict; /* without a mark: not there yet */
};

/* One check, and its result. */
struct check {
    struct webhook_audit *audit;
    enum err err; /* of the database, and then there is no result */
    struct why why;
    int64_t looked_at_us;                 /* 0: not begun */
    int64_t now_us;                       /* by the database's clock */
    bool notifies;                        /* messages may be written */
    const struct gitea_document *version; /* NULL: no gate needs "status" */
    const char *no_status;                /* "1.22.6": the version, which has no event "status"; else NULL */
    json_t *version_read;                 /* keeps it */
    size_t n_repos;                       /* 0: Gitea is not configured; else all projects */
    struct repo_check *repos;
    struct webhook_losses losses[ARRAY_LEN(sources)];
};

static bool is_bad(const struct webhook_verdict *verdict)
{
    return verdict->state != WEBHOOK_OK && verdict->state != WEBHOOK_UNKNOWN;
}

static const char *repo_of(const struct check *check, size_t at)
{
    return check->audit->services->settings->repos[at];
}

/* messages */

/* A message that this or another replica wrote before is not written again. */
static void message_write(const struct check *check, const char *id_parts, const char *text)
{
    const struct services *services = check->audit->services;
    struct uuid_text id = uuid_from_name(id_parts);
    struct why why;
    bool is_new = false;
    if (!check->notifies)
        return;
    if (store_outbox_add(services->store, id.s, text, &is_new, &why) != ERR_OK)
        log_warn("a message about webhooks was not written", LOG_S("reason", why.text));
    else if (is_new)
        notifier_wake(services->notifier);
}

static void message_of_repo(const struct check *check, const char *repo,
                            const struct webhook_verdict *verdict)
{
    AUTO_FREE char *id_parts =
        mem_printf("webhook\n%s\n%s\n%s", repo, webhook_state_name(verdict->state), verdict->mark);
    AUTO_FREE char *text = message_of_webhook(repo, verdict->detail);
    message_write(check, id_parts, text);
}

static void message_of_source(const struct check *check, const char *source,
                              const struct webhook_losses *losses)
{
    char today[INSTANT_TEXT_SIZE];
    instant_format(check->now_us, today);
    today[strcspn(today, "T")] = '\0';
    AUTO_FREE char *id_parts = mem_printf("silence\n%s\n%s", source, today);
    AUTO_FREE char *text = message_of_silence(source, losses->tasks);
    message_write(check, id_parts, text);
}

/* the database */

/* The newest rows without their evidence. Evidence may be long, so only a few rows are read at once. */
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

static enum err losses_read(struct check *check)
{
    struct store_ledger_page newest;
    enum err err = newest_read(check->audit->services->store, &newest, &check->why);
    if (err)
        return err;
    for (size_t i = 0; i < ARRAY_LEN(sources); i++)
        check->losses[i] = webhook_losses(&newest, sources[i], check->now_us);
    store_ledger_page_done(&newest);
    return ERR_OK;
}

static enum err database_read(struct check *check)
{
    const struct services *services = check->audit->services;
    struct store_settings stored;
    struct policy *policy = NULL;
    enum err err = store_settings_read(services->store, &stored, &check->why);
    if (err)
        return err;
    err = policy_make(services->settings, &stored, &policy, &check->why);
    if (!err) {
        check->now_us = stored.now_us;
        check->notifies =
            services_destinations(services) && policy->notify_unblock && !policy_held_by(policy, false);
        err = losses_read(check);
    }
    policy_free(policy);
    store_settings_done(&stored);
    return err;
}

/* the query */

static void hooks_request(struct check *check, struct facts *facts)
{
    const struct services *services = check->audit->services;
    check->n_repos = gitea_configured(services->gitea) ? services->settings->n_repos : 0;
    check->repos = mem_zero(check->n_repos + 1, sizeof *check->repos);
    if (check->n_repos > 0 && webhook_needs_ci(services->pipeline))
        check->version = gitea_version_document(facts, services->gitea);
    for (size_t i = 0; i < check->n_repos; i++)
        check->repos[i].facts.levels[GITEA_HOOKS_REPO] =
            gitea_hooks(facts, services->gitea, repo_of(check, i), GITEA_HOOKS_REPO);
}

/* False: not known yet. */
static bool version_look(struct check *check)
{
    if (!check->version || check->version_read || check->version->fact.state != FACT_KNOWN)
        return !check->version || check->version->fact.state != FACT_PENDING;
    const char *text = check->version->text;
    struct why why;
    if (json_read(text, strlen(text), &check->version_read, &why) != ERR_OK)
        check->version_read = json_object();
    struct gitea_release release = event_gitea_release(check->version_read);
    if (!release.sends_status)
        check->no_status = json_get_text(check->version_read, "version", "");
    return true;
}

/* Of the work items of one of the repo's projects, or NULL. */
static const char *prefix_of(const struct settings *settings, const char *repo)
{
    for (size_t i = 0; i < settings->n_projects; i++)
        if (settings->projects[i].prefix && repo_compare(settings->projects[i].repo, repo) == 0)
            return settings->projects[i].prefix;
    return NULL;
}

/* The branches whose pushes must be delivered: those of the repo's unfinished tasks, or a name as F-2 would
 * give if there are none. */
static void branches_read(const struct check *check, size_t at)
{
    struct repo_check *repo = &check->repos[at];
    const struct services *services = check->audit->services;
    const struct pipeline *pipeline = services->pipeline;
    const char *of = repo_of(check, at), *prefix = prefix_of(services->settings, of);
    const char **stages = mem_zero(pipeline->n_stages + 1, sizeof *stages);
    size_t n_stages = 0;
    struct why why;
    for (size_t i = 0; i < pipeline->n_stages; i++)
        if (!pipeline->stages[i].terminal)
            stages[n_stages++] = pipeline->stages[i].name;
    if (store_repo_tasks(services->store, &of, 1, stages, n_stages, LIMIT_LIST_DEFAULT, &repo->tasks, &why) !=
        ERR_OK)
        repo->tasks = (struct store_repo_tasks){.n = 0};
    free(stages);
    repo->tasks_read = true;
    repo->branches = mem_zero(repo->tasks.n + 1, sizeof *repo->branches);
    for (size_t i = 0; i < repo->tasks.n; i++)
        if (!repo->tasks.rows[i].unreadable)
            repo->branches[repo->facts.n_branches++] = repo->tasks.rows[i].branch;
    if (repo->facts.n_branches == 0 && prefix) {
        repo->sample = work_item_branch(prefix, 1, "");
        repo->branches[repo->facts.n_branches++] = repo->sample;
    }
    repo->facts.branches = repo->branches;
}

/* True once the repo has its verdict. If its own webhooks deliver all events, the others are not read. Its
 * message is written at once and not at the end, so that other queries get their turns in between. */
static bool repo_check(struct check *check, struct facts *facts, size_t at)
{
    const struct services *services = check->audit->services;
    struct repo_check *repo = &check->repos[at];
    struct webhook_verdict verdict = {.state = WEBHOOK_UNKNOWN};
    if (repo->verdict.mark)
        return true;
    repo->facts.target = check->audit->target;
    repo->facts.sends_status = !check->no_status;
    repo->facts.release_unknown = check->version && !check->version_read ? check->version->fact.error : NULL;
    for (enum gitea_hooks_level level = 0; level < GITEA_HOOKS_MAX_; level++) {
        const struct gitea_hooks **hooks = &repo->facts.levels[level];
        if (!*hooks)
            *hooks = gitea_hooks(facts, services->gitea, repo_of(check, at), level);
        if ((*hooks)->fact.state == FACT_PENDING) {
            webhook_verdict_done(&verdict);
            return false;
        }
        if (!repo->tasks_read && webhook_has_filter(*hooks))
            branches_read(check, at);
        webhook_verdict_done(&verdict);
        webhook_check(&repo->facts, services->pipeline, &verdict);
        if (verdict.state == WEBHOOK_OK)
            break;
    }
    repo->verdict = verdict;
    if (is_bad(&repo->verdict))
        message_of_repo(check, repo_of(check, at), &repo->verdict);
    return true;
}

static const void *look(void *arg, struct facts *facts)
{
    struct check *check = arg;
    bool complete = true;
    if (!check->looked_at_us) {
        check->looked_at_us = services_wall_us(check->audit->services);
        check->err = database_read(check);
        if (check->err)
            return check;
        hooks_request(check, facts);
    }
    if (!version_look(check))
        return NULL;
    for (size_t i = 0; i < check->n_repos; i++)
        complete &= repo_check(check, facts, i);
    return complete ? check : NULL;
}

static void check_free(void *arg)
{
    struct check *check = arg;
    for (size_t i = 0; i < check->n_repos; i++) {
        webhook_verdict_done(&check->repos[i].verdict);
        store_repo_tasks_done(&check->repos[i].tasks);
        free(check->repos[i].branches);
        free(check->repos[i].sample);
    }
    json_decref(check->version_read);
    free(check->repos);
    free(check);
}

/* the log */

/* An unknown state is not a change. */
static void log_repo(const char *repo, struct webhook_verdict *last, const struct webhook_verdict *now)
{
    if (now->state == WEBHOOK_UNKNOWN)
        return;
    if (is_bad(now) && (last->state != now->state || strcmp(last->detail, now->detail) != 0))
        log_warn("webhook misconfigured", LOG_S("repo", repo), LOG_S("state", webhook_state_name(now->state)),
                 LOG_S("reason", now->detail));
    else if (is_bad(last) && !is_bad(now))
        log_info("webhook correct again", LOG_S("repo", repo));
    webhook_verdict_done(last);
    *last = (struct webhook_verdict){.state = now->state, .detail = mem_dup(now->detail)};
}

static void log_changes(struct webhook_audit *audit, const struct check *check)
{
    if (check->no_status && !audit->was_without_status)
        log_info("Gitea has no webhook event \"status\": CI is polled", LOG_S("version", check->no_status));
    if (check->version_read)
        audit->was_without_status = check->no_status != NULL;
    for (size_t i = 0; i < check->n_repos; i++)
        log_repo(repo_of(check, i), &audit->last[i], &check->repos[i].verdict);
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        const struct webhook_losses *losses = &check->losses[i];
        if (losses->silent != audit->was_silent[i])
            log_warn(losses->silent ? "webhook events keep getting lost" : "webhook events arrive again",
                     LOG_S("source", sources[i]), LOG_I("tasks", losses->tasks));
        audit->was_silent[i] = losses->silent;
    }
}

/* the status's member "hooks" */

static json_t *repos_document(const struct check *check)
{
    json_int_t counts[WEBHOOK_STATE_MAX_] = {0};
    const char *why_unknown = NULL;
    json_t *repos = json_object();
    for (size_t i = 0; i < check->n_repos; i++) {
        const struct webhook_verdict *verdict = &check->repos[i].verdict;
        counts[verdict->state]++;
        if (verdict->state == WEBHOOK_UNKNOWN && !why_unknown)
            why_unknown = verdict->detail;
    }
    json_put(repos, "ok", json_integer(counts[WEBHOOK_OK]));
    json_put(repos, "bad",
             json_integer((json_int_t)check->n_repos - counts[WEBHOOK_OK] - counts[WEBHOOK_UNKNOWN]));
    json_put(repos, "unknown", json_integer(counts[WEBHOOK_UNKNOWN]));
    json_put(repos, "why_unknown", json_text(why_unknown));
    return repos;
}

static json_t *bad_document(const struct check *check)
{
    json_t *bad = json_array();
    for (size_t i = 0; i < check->n_repos && json_array_size(bad) < LIMIT_WEBHOOKS_SHOWN; i++) {
        const struct webhook_verdict *verdict = &check->repos[i].verdict;
        if (!is_bad(verdict))
            continue;
        json_t *row = json_object();
        json_put(row, "repo", json_text(repo_of(check, i)));
        json_put(row, "state", json_text(webhook_state_name(verdict->state)));
        json_put(row, "detail", json_text(verdict->detail));
        json_push(bad, row);
    }
    return bad;
}

static json_t *losses_document(const struct check *check)
{
    json_t *losses = json_object();
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        json_t *row = json_object();
        json_put(row, "tasks", json_integer((json_int_t)check->losses[i].tasks));
        json_put(row, "silent", json_boolean(check->losses[i].silent));
        json_put(losses, sources[i], row);
    }
    return losses;
}

static void publish(const struct check *check)
{
    json_auto_t *document = json_object();
    json_put(document, "looked_at", json_instant(check->looked_at_us));
    json_put(document, "repos", repos_document(check));
    json_put(document, "bad", bad_document(check));
    json_put(document, "without_status", json_text(check->no_status));
    json_put(document, "losses", losses_document(check));
    status_hooks(check->audit->status, document);
}

/* the timer */

/* NULL: the process is stopping. The result of a check that ended during the stop is dropped, because its
 * requests were aborted. */
static void on_checked(void *arg, const void *answer)
{
    struct webhook_audit *audit = arg;
    const struct check *check = answer;
    if (!check || atomic_load(&audit->services->stopping))
        return;
    int64_t wait_ms = LIMIT_WEBHOOKS_EVERY_S * 1000LL;
    if (check->err) {
        log_debug("webhooks were not looked at", LOG_S("reason", check->why.text));
        wait_ms = backoff_ms(RETRY_FIRST_MS, RETRY_LAST_MS, audit->failures++);
    } else {
        for (size_t i = 0; i < ARRAY_LEN(sources); i++)
            if (check->losses[i].silent)
                message_of_source(check, sources[i], &check->losses[i]);
        log_changes(audit, check);
        publish(check);
        audit->failures = 0;
    }
    atomic_store(&audit->due_ms, services_mono_ms(audit->services) + wait_ms);
}

void webhook_audit_tick(struct webhook_audit *audit, int64_t now_ms)
{
    static const struct query_ops ops = {
        .look = look, .free = check_free, .background_ms = LIMIT_WEBHOOKS_AUDIT_MS};
    if (now_ms < atomic_load(&audit->due_ms))
        return;
    struct why why;
    struct check *check = mem_zero(1, sizeof *check);
    check->audit = audit;
    atomic_store(&audit->due_ms, INT64_MAX);
    if (query_pool_ask(audit->query_pool, NULL, &ops, check, on_checked, audit, &why) != ERR_OK)
        atomic_store(&audit->due_ms, now_ms + RETRY_FIRST_MS);
}

struct webhook_audit *webhook_audit_new(struct services *services, struct query_pool *query_pool,
                                        struct status *status, const char *target)
{
    struct webhook_audit *audit = mem_zero(1, sizeof *audit);
    *audit = (struct webhook_audit){.services = services,
                                    .query_pool = query_pool,
                                    .status = status,
                                    .target = mem_dup(target),
                                    .last = mem_zero(services->settings->n_repos + 1, sizeof *audit->last)};
    return audit;
}

void webhook_audit_free(struct webhook_audit *audit)
{
    if (!audit)
        return;
    for (size_t i = 0; i < audit->services->settings->n_repos; i++)
        webhook_verdict_done(&audit->last[i]);
    free(audit->last);
    free(audit->target);
    free(audit);
}
