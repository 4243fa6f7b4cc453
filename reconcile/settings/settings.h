/* settings.h - every setting, in one table (settings_table.c): name, type, default, limits, help, and whether
 * it may change at run time.
 *
 * The table is the only place that knows a setting. Reading the environment, `_FILE` secrets, --help, GET and
 * PUT /reconcile/config all follow from it, and a test compares the README's list with it. Values read at the
 * start never change; policy.h adds the overrides of run-time members.
 */
#ifndef RECONCILED_SETTINGS_H
#define RECONCILED_SETTINGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"
#include "clients/base/log.h"

struct pipeline;

enum reconcile_mode { MODE_HEAL, MODE_OBSERVE };
/* What moves tasks: this program, in the database, or the orchestrator, to which the lost event is sent
 * again. */
enum advance_via { ADVANCE_VIA_DATABASE, ADVANCE_VIA_WEBHOOK };

struct project {
    const char *repo;             /* "owner/name" */
    const char *plane_project_id; /* uuid; NULL, together with prefix: F-1 alone looks at this repo */
    const char *prefix;           /* "ORCH" */
    const char *base_branch;      /* never NULL */
};

/* The values at the start. Texts are NULL when neither set nor defaulted; URLs have lost their trailing
 * slashes. All owned by the struct. */
struct settings {
    char *database_url, *database_schema;
    char *http_listen, *api_token, *api_read_token;
    char *tls_cert_file, *tls_key_file; /* both or none */

    bool enabled, plane_enabled;
    int mode; /* enum reconcile_mode */
    int64_t interval_s, grace_default_s;
    json_t *grace_overrides; /* object: stage → seconds */
    int64_t max_heals_per_pass, quarantine_heals, quarantine_window_s;
    bool notify_unblock;
    char *notify_template;

    char *pipeline_file;
    json_t *projects_json;    /* as given */
    struct project *projects; /* the same, as structs that borrow from projects_json */
    size_t n_projects;
    const char **repos; /* theirs, each once */
    size_t n_repos;

    char *plane_url, *plane_web_url, *plane_api_token, *plane_workspace;
    json_t *plane_states; /* object: in_progress, approved, rejected → name or uuid; always all three */
    char *gitea_url, *gitea_web_url, *gitea_token;
    char *telegram_bot_token, *telegram_chat_id, *telegram_url;
    int64_t telegram_topic_id; /* 0: none */
    char *notify_webhook_url, *notify_webhook_secret;

    int advance_via; /* enum advance_via */
    char *orchestrator_url, *orchestrator_token;
    char *orchestrator_plane_path, *orchestrator_gitea_path, *orchestrator_advance_path;
    char *plane_webhook_secret, *gitea_webhook_secret;

    char *ca_file;
    int64_t upstream_timeout_s, upstream_concurrency;
    int log_level;  /* enum log_level */
    int log_format; /* enum log_format */

    const struct setting_source *sources; /* parallel to the table; private to settings.c */
};

/* settings_read: from the environment as `lookup` gives it (getenv in the process, a fake in tests); an empty
 * variable counts as not set. Every problem is added to `problems` (a JSON array of strings, one line each,
 * naming the variable and never a secret's value); returns ERR_INVALID if there was any. NAME_FILE is read
 * for every secret (a byte order mark and one trailing newline dropped); NAME and NAME_FILE together are a
 * problem. A variable in
 * `environment` ("NAME=value", NULL-terminated like environ; may be NULL) that begins with ORCH_RECONCILE_
 * and is unknown is a problem too: a misspelt kill switch must not be ignored. Free with settings_free. */
ATTR_NODISCARD enum err settings_read(const char *(*lookup)(const char *name), const char *const *environment,
                                      struct settings **ret, json_t *problems);
/* settings_keep_secrets: registers the secrets with secret_scrub, and also the password in the database's URL
 * and the part of the bot's token after its number. Call it before any thread starts. */
void settings_keep_secrets(const struct settings *settings);
/* settings_warn: adds a line for each setting that is allowed but should be changed, as in settings_read: a
 * short token, a value in quotes. settings_warn_names: the same for variables of an environment (as in
 * settings_read) that are not read and may be misspelt (setting_nearest), and for the NAME_FILE of a setting
 * that is no secret. */
void settings_warn(const struct settings *settings, json_t *warnings);
void settings_warn_names(const char *const *environment, json_t *warnings);
/* settings_free: NULL is fine. */
void settings_free(struct settings *settings);

/* settings_check_stages: the stages that ORCH_RECONCILE_GRACE_OVERRIDES_JSON names are stages of the
 * pipeline. Problems and result as in settings_read. */
ATTR_NODISCARD enum err settings_check_stages(const struct settings *settings,
                                              const struct pipeline *pipeline, json_t *problems);

/* settings_repo_valid: "owner/name", each by Gitea's rule for names. */
bool settings_repo_valid(const char *text);

/* settings_project: a task's project: the project with the prefix of its work item id, else the only project
 * of its repo, else NULL. Either text may be NULL. */
const struct project *settings_project(const struct settings *settings, const char *repo,
                                       const char *work_item_id);

/* settings_base_branch: the branch that the task's branch is made from. It is the base branch of the task's
 * project if that has this repo, else of the repo's first project, else of the task's project, else "main".
 */
const char *settings_base_branch(const struct settings *settings, const char *repo, const char *work_item_id);

/* settings_merge: lays a PUT body over stored overrides; used by policy.c alone. `overrides` is
 * {"member":{"value":…,"set_at":us,"reason":…,"by":…,"until":us},…}, where the last three may be missing.
 * Members set to null are dropped, and so are overrides whose `until` has passed; reason, by and until of the
 * body apply to every member that it sets. On ERR_INVALID, *ret_errors is a JSON array of {"field","detail"}
 * naming every bad or unknown member, and nothing else is returned. On ERR_OK *ret_overrides is the new
 * document. `stages` names the pipeline's stages, NULL-terminated: grace_overrides may name no other. */
ATTR_NODISCARD enum err settings_merge(const json_t *overrides, const json_t *body, const char *const *stages,
                                       int64_t now_us, json_t **ret_overrides, json_t **ret_errors);

#endif
