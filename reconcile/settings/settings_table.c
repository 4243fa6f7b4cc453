/* settings_table.c - the table, and how its rows are found. */
#include "reconcile/settings/settings_table.h"

#include <assert.h>
#include <string.h>

#include "clients/base/err.h"

#define AT(field) .offset = offsetof(struct settings, field)
#define LONGEST_GRACE_S 31536000

static const char *const mode_words[] = {[MODE_HEAL] = "heal", [MODE_OBSERVE] = "observe", NULL};
static const char *const advance_via_words[] = {
    [ADVANCE_VIA_DATABASE] = "database", [ADVANCE_VIA_WEBHOOK] = "webhook", NULL};
static const char *const log_level_words[] = {[LOG_LEVEL_ERROR] = "error",
                                              [LOG_LEVEL_WARN] = "warn",
                                              [LOG_LEVEL_INFO] = "info",
                                              [LOG_LEVEL_DEBUG] = "debug",
                                              NULL};
static_assert(ARRAY_LEN(log_level_words) == LOG_LEVEL_MAX_ + 1, "every level has a word");
static const char *const log_format_words[] = {[LOG_LOGFMT] = "logfmt", [LOG_JSON] = "json", NULL};

static const struct setting table[] = {
    {.name = "ORCH_DATABASE_URL",
     .type = SETTING_DATABASE,
     AT(database_url),
     .fallback = "sqlite:reconciled.db",
     .secret = true,
     .help = "The database: postgresql://… (any libpq URI, several hosts too) or sqlite:PATH, as in "
             "sqlite:x.db or sqlite:/folder/x.db."},
    {.name = "ORCH_DATABASE_SCHEMA",
     .type = SETTING_TEXT,
     AT(database_schema),
     .help = "PostgreSQL schema that holds the tables tasks and jobs."},
    {.name = "ORCH_HTTP_LISTEN",
     .type = SETTING_LISTEN,
     AT(http_listen),
     .fallback = "127.0.0.1:8787",
     .help = "Address and port, HOST:PORT or [V6]:PORT. Port 0 picks a free one and logs it. The name "
             "localhost is 127.0.0.1 and ::1. An address that "
             "is not loopback needs ORCH_API_TOKEN."},
    {.name = "ORCH_API_TOKEN",
     .type = SETTING_TOKEN,
     AT(api_token),
     .secret = true,
     .help =
         "Bearer token that every request but /healthz and /readyz must carry. At least 16 characters where "
         "ORCH_HTTP_LISTEN is not loopback; fewer than 32 are warned about."},
    {.name = "ORCH_API_READ_TOKEN",
     .type = SETTING_TOKEN,
     AT(api_read_token),
     .secret = true,
     .help = "A second bearer token that opens GET and HEAD alone, for Prometheus and /queue. Needs "
             "ORCH_API_TOKEN, and differs from it."},
    {.name = "ORCH_TLS_CERT_FILE",
     .type = SETTING_TEXT,
     AT(tls_cert_file),
     .help =
         "PEM file with the server's certificate and its chain. Together with ORCH_TLS_KEY_FILE: only HTTPS "
         "is answered."},
    {.name = "ORCH_TLS_KEY_FILE",
     .type = SETTING_TEXT,
     AT(tls_key_file),
     .help = "PEM file with its private key, without a passphrase."},

    {.name = "ORCH_RECONCILE_ENABLED",
     .member = "enabled",
     .type = SETTING_BOOL,
     AT(enabled),
     .fallback = "true",
     .off_wins = true,
     .help = "Kill switch for everything."},
    {.name = "ORCH_RECONCILE_PLANE_ENABLED",
     .member = "plane_enabled",
     .type = SETTING_BOOL,
     AT(plane_enabled),
     .fallback = "true",
     .off_wins = true,
     .help = "Kill switch for the Plane side alone."},
    {.name = "ORCH_RECONCILE_MODE",
     .member = "mode",
     .type = SETTING_ENUM,
     AT(mode),
     .fallback = "heal",
     .choices = mode_words,
     .help = "heal moves tasks; observe evaluates and reports, and writes nothing."},
    {.name = "ORCH_RECONCILE_INTERVAL_S",
     .member = "interval_s",
     .type = SETTING_INT,
     AT(interval_s),
     .fallback = "60",
     .min = 1,
     .max = 86400,
     .help = "Seconds between passes, varied at random by up to 10 %."},
    {.name = "ORCH_RECONCILE_GRACE_DEFAULT_S",
     .member = "grace_default_s",
     .type = SETTING_INT,
     AT(grace_default_s),
     .fallback = "600",
     .min = 0,
     .max = LONGEST_GRACE_S,
     .help = "Seconds that a task or an issue must rest to count as stuck."},
    {.name = "ORCH_RECONCILE_GRACE_OVERRIDES_JSON",
     .member = "grace_overrides",
     .type = SETTING_GRACES,
     AT(grace_overrides),
     .fallback = "{}",
     .min = 0,
     .max = LONGEST_GRACE_S,
     .help = "The same for single stages: {\"stage\":seconds}."},
    {.name = "ORCH_RECONCILE_MAX_HEALS_PER_PASS",
     .member = "max_heals_per_pass",
     .type = SETTING_INT,
     AT(max_heals_per_pass),
     .fallback = "200",
     .min = 0,
     .max = 100000,
     .help = "Most transitions in one pass; the oldest first, the others are held. 0 holds everything."},
    {.name = "ORCH_QUARANTINE_HEALS",
     .member = "quarantine_heals",
     .type = SETTING_INT,
     AT(quarantine_heals),
     .fallback = "3",
     .min = 1,
     .max = 1000,
     .help = "A task that was healed more often than this at one stage, within ORCH_QUARANTINE_WINDOW_S, is "
             "quarantined: left to a person."},
    {.name = "ORCH_QUARANTINE_WINDOW_S",
     .member = "quarantine_window_s",
     .type = SETTING_INT,
     AT(quarantine_window_s),
     .fallback = "86400",
     .min = 60,
     .max = LONGEST_GRACE_S,
     .help = "Seconds for which a heal counts towards quarantine."},
    {.name = "ORCH_RECONCILE_NOTIFY_UNBLOCK",
     .member = "notify_unblock",
     .type = SETTING_BOOL,
     AT(notify_unblock),
     .fallback = "true",
     .help = "Message on a transition, and on a quarantine."},
    {.name = "ORCH_NOTIFY_TEMPLATE",
     .type = SETTING_TEMPLATE,
     AT(notify_template),
     .fallback = "🔧 reconciler: {work_item_id} {stage} unblocked (lost webhook)",
     .help = "Text of that message, without HTML. Filled in are {work_item_id} {task_id} {title} {repo} "
             "{branch} {stage} {to_stage} {outcome} {reason} and the links {task_url} {branch_url} "
             "{pull_url}. Not "
             "set: a second line has the next stage and the links."},

    {.name = "ORCH_PIPELINE_FILE",
     .type = SETTING_TEXT,
     AT(pipeline_file),
     .help = "JSON file with the stages and their gates instead of the built-in pipeline."},
    {.name = "ORCH_PROJECTS_JSON",
     .type = SETTING_PROJECTS,
     AT(projects_json),
     .fallback = "[]",
     .help = "[{\"repo\":\"owner/name\", \"plane_project_id\":\"uuid\", \"prefix\":\"ORCH\", "
             "\"base_branch\":\"main\"}]. A repo that is not named has main as its base branch and no Plane "
             "project. Several projects may have one repo: a task's is the one whose prefix its work item id "
             "has."},

    {.name = "ORCH_PLANE_URL",
     .type = SETTING_URL,
     AT(plane_url),
     .help = "URL of Plane. Not set: the Plane side is off, and status shows it."},
    {.name = "ORCH_PLANE_WEB_URL",
     .type = SETTING_URL,
     AT(plane_web_url),
     .help = "Plane's address in links that people open. Not set: the URL above."},
    {.name = "ORCH_PLANE_API_TOKEN",
     .type = SETTING_TOKEN,
     AT(plane_api_token),
     .secret = true,
     .help = "Plane API key."},
    {.name = "ORCH_PLANE_WORKSPACE",
     .type = SETTING_TEXT,
     AT(plane_workspace),
     .help = "Plane workspace, as its URLs name it."},
    {.name = "ORCH_PLANE_STATES_JSON",
     .type = SETTING_STATES,
     AT(plane_states),
     .fallback = "{\"in_progress\":\"In Progress\",\"approved\":\"Approved\",\"rejected\":\"Rejected\"}",
     .help = "The three states of Plane that reconciled acts on, by name or UUID; a state that is left "
             "out keeps its default."},
    {.name = "ORCH_GITEA_URL",
     .type = SETTING_URL,
     AT(gitea_url),
     .help = "URL of Gitea. Not set: gates that need Gitea are unknown."},
    {.name = "ORCH_GITEA_WEB_URL",
     .type = SETTING_URL,
     AT(gitea_web_url),
     .help = "Gitea's address in links that people open. Not set: the URL above."},
    {.name = "ORCH_GITEA_TOKEN",
     .type = SETTING_TOKEN,
     AT(gitea_token),
     .secret = true,
     .help =
         "Gitea access token. Gates need the right to read repositories and pull requests; a start makes a "
         "branch and needs the right to write."},
    {.name = "ORCH_TELEGRAM_BOT_TOKEN",
     .type = SETTING_TOKEN,
     AT(telegram_bot_token),
     .secret = true,
     .help = "Telegram bot token. Not set: no messages there."},
    {.name = "ORCH_TELEGRAM_CHAT_ID",
     .type = SETTING_TEXT,
     AT(telegram_chat_id),
     .help = "Chat that gets the messages: its number (negative for a group), or @name of a channel."},
    {.name = "ORCH_TELEGRAM_TOPIC_ID",
     .type = SETTING_INT,
     AT(telegram_topic_id),
     .min = 1,
     .max = INT32_MAX,
     .help =
         "Topic that gets them, where that chat is a forum: the number before the last one in a link to a "
         "message of the topic. Not set: the general one."},
    {.name = "ORCH_TELEGRAM_URL",
     .type = SETTING_URL,
     AT(telegram_url),
     .fallback = "https://api.telegram.org",
     .help = "URL of the Bot API."},

    {.name = "ORCH_NOTIFY_WEBHOOK_URL",
     .type = SETTING_WEBHOOK_URL,
     AT(notify_webhook_url),
     .secret = true,
     .help = "Webhook that gets the same messages, as POST {\"text\":\"…\"}. Its path may be what lets in, "
             "so it is "
             "never shown."},
    {.name = "ORCH_NOTIFY_WEBHOOK_SECRET",
     .type = SETTING_TOKEN,
     AT(notify_webhook_secret),
     .secret = true,
     .help = "Signs them: X-Reconciled-Signature is sha256= and the HMAC-SHA256 of the body in hex digits."},

    {.name = "ORCH_ADVANCE_VIA",
     .type = SETTING_ENUM,
     AT(advance_via),
     .fallback = "database",
     .choices = advance_via_words,
     .help = "database moves tasks in the database; webhook writes no task and no job, and sends the event "
             "that was lost to the orchestrator again."},
    {.name = "ORCH_ORCHESTRATOR_URL",
     .type = SETTING_URL,
     AT(orchestrator_url),
     .help = "Where the orchestrator takes webhooks. Needed with ORCH_ADVANCE_VIA=webhook."},
    {.name = "ORCH_ORCHESTRATOR_PLANE_PATH",
     .type = SETTING_PATH,
     AT(orchestrator_plane_path),
     .fallback = "/webhook/plane",
     .help = "Path, below that URL, of the webhook that Plane calls."},
    {.name = "ORCH_ORCHESTRATOR_GITEA_PATH",
     .type = SETTING_PATH,
     AT(orchestrator_gitea_path),
     .fallback = "/webhook/gitea",
     .help = "Path of the webhook that Gitea calls."},
    {.name = "ORCH_ORCHESTRATOR_ADVANCE_PATH",
     .type = SETTING_PATH,
     AT(orchestrator_advance_path),
     .fallback = "/reconcile/advance",
     .help = "Path for the green gates that no sender has an event for."},
    {.name = "ORCH_ORCHESTRATOR_TOKEN",
     .type = SETTING_TOKEN,
     AT(orchestrator_token),
     .secret = true,
     .help = "Bearer token of the requests to that path."},
    {.name = "ORCH_PLANE_WEBHOOK_SECRET",
     .type = SETTING_TOKEN,
     AT(plane_webhook_secret),
     .secret = true,
     .help = "The secret by which the orchestrator knows Plane's webhooks. Needed with "
             "ORCH_ADVANCE_VIA=webhook where ORCH_PLANE_URL is set."},
    {.name = "ORCH_GITEA_WEBHOOK_SECRET",
     .type = SETTING_TOKEN,
     AT(gitea_webhook_secret),
     .secret = true,
     .help = "The same for Gitea's, where ORCH_GITEA_URL is set."},

    {.name = "ORCH_CA_FILE",
     .type = SETTING_TEXT,
     AT(ca_file),
     .help = "PEM file with certificates of authorities to be trusted besides the system's, in every "
             "https:// call. The database has its own in its URI (sslrootcert)."},
    {.name = "ORCH_UPSTREAM_TIMEOUT_S",
     .type = SETTING_INT,
     AT(upstream_timeout_s),
     .fallback = "10",
     .min = 1,
     .max = 300,
     .help = "Seconds that one call to Plane, Gitea, Telegram or the orchestrator may take."},
    {.name = "ORCH_UPSTREAM_CONCURRENCY",
     .type = SETTING_INT,
     AT(upstream_concurrency),
     .fallback = "16",
     .min = 1,
     .max = 256,
     .help = "Calls under way at once, per upstream host; some are kept for calls that a person waits for, "
             "and above 64 there is no further effect."},
    {.name = "ORCH_LOG_LEVEL",
     .member = "log_level",
     .type = SETTING_ENUM,
     AT(log_level),
     .fallback = "info",
     .choices = log_level_words,
     .help = "Which lines are logged, to standard error."},
    {.name = "ORCH_LOG_FORMAT",
     .type = SETTING_ENUM,
     AT(log_format),
     .fallback = "logfmt",
     .choices = log_format_words,
     .help = "How they look."},
    {.name = NULL},
};

const struct setting *settings_table(void)
{
    return table;
}

const struct setting *setting_of_member(const char *member)
{
    for (const struct setting *row = table; row->name; row++)
        if (row->member && strcmp(row->member, member) == 0)
            return row;
    return NULL;
}

const struct setting *setting_of_name(const char *name)
{
    for (const struct setting *row = table; row->name; row++)
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}
