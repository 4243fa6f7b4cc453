#include "reconcile/settings/policy.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/text.h"
#include "reconcile/settings/remark.h"
#include "reconcile/settings/settings_table.h"

/* Tries to write a change that others keep getting ahead of. */
#define CHANGE_TRIES 8

static enum err overrides_read(const struct store_settings *stored, json_t **ret, struct why *why)
{
    json_t *overrides = NULL;
    if (json_read(stored->overrides, strlen(stored->overrides), &overrides, NULL) != ERR_OK)
        return why_set(why, ERR_INVALID, "the stored settings (revision %lld) are not JSON",
                       (long long)stored->revision);
    enum err err = overrides_check(overrides, why);
    if (err == ERR_OK)
        *ret = overrides;
    else
        json_decref(overrides);
    return err;
}

/* Whether a kill switch is off at the start, so that no override can turn it on. */
static bool is_off_at_start(const struct setting *row, const struct settings *settings)
{
    json_auto_t *value = setting_value(row, settings);
    return row->off_wins && json_is_false(value);
}

/* The value in force: that of the live override, else that of the start; a switch that is off in either is
 * off. Caller owns it. */
static json_t *value_in_force(const struct setting *row, const struct settings *settings,
                              const json_t *overrides, int64_t now_us)
{
    const json_t *override = override_live(overrides, row->member, now_us);
    if (!override || is_off_at_start(row, settings))
        return setting_value(row, settings);
    return json_incref(json_object_get(override, "value"));
}

/* who holds a switch */

/* hold_make: the hold for a switch; `what` begins its text. It names the environment if the switch is off
 * there or has no live override, else the override. */
static struct policy_hold hold_make(const char *what, const struct setting *row,
                                    const struct settings *settings, const json_t *overrides, int64_t now_us)
{
    const json_t *override = override_live(overrides, row->member, now_us);
    if (!override || is_off_at_start(row, settings))
        return (struct policy_hold){.held = true,
                                    .by = mem_dup("environment"),
                                    .text = mem_printf("%s by the environment (%s)", what, row->name)};
    struct policy_hold hold = {.held = true,
                               .by = mem_dup(json_get_text(override, "by", NULL)),
                               .reason = mem_dup(json_get_text(override, "reason", NULL)),
                               .until_us = json_get_int(override, "until", 0)};
    char until[INSTANT_TEXT_SIZE] = "";
    if (hold.until_us)
        instant_format(hold.until_us, until);
    hold.text = mem_printf("%s%s%s%s%s%s%s", what, hold.by ? " by " : "", hold.by ? hold.by : "",
                           hold.until_us ? " until " : "", until, hold.reason ? ": " : "",
                           hold.reason ? hold.reason : "");
    return hold;
}

void policy_hold_done(struct policy_hold *hold)
{
    free(hold->by);
    free(hold->reason);
    free(hold->text);
}

static void holds_fill(struct policy *policy, const struct settings *settings, const json_t *overrides,
                       int64_t now_us)
{
    if (!policy->enabled)
        policy->enabled_hold =
            hold_make("switched off", setting_of_member("enabled"), settings, overrides, now_us);
    if (!policy->plane_enabled)
        policy->plane_hold =
            hold_make("switched off", setting_of_member("plane_enabled"), settings, overrides, now_us);
    if (policy->mode == MODE_OBSERVE)
        policy->mode_hold =
            hold_make("set to observe", setting_of_member("mode"), settings, overrides, now_us);
}

const struct policy_hold *policy_off_by(const struct policy *policy, bool plane)
{
    if (!policy->enabled)
        return &policy->enabled_hold;
    return plane && !policy->plane_enabled ? &policy->plane_hold : NULL;
}

const struct policy_hold *policy_held_by(const struct policy *policy, bool plane)
{
    const struct policy_hold *off = policy_off_by(policy, plane);
    return off || policy->mode != MODE_OBSERVE ? off : &policy->mode_hold;
}

bool policy_stands(const struct policy *policy, int64_t revision, int64_t now_us)
{
    return policy->revision == revision && (policy->valid_until_us == 0 || now_us < policy->valid_until_us);
}

/* the policy */

static int64_t first_end(const json_t *overrides, int64_t now_us)
{
    int64_t first = 0;
    for (const struct setting *row = settings_table(); row->name; row++) {
        if (!row->member)
            continue;
        int64_t until = json_get_int(override_live(overrides, row->member, now_us), "until", 0);
        if (until && (!first || until < first))
            first = until;
    }
    return first;
}

static struct policy *policy_of(const struct settings *settings, const json_t *overrides, int64_t revision,
                                int64_t now_us)
{
    struct settings live = {0};
    for (const struct setting *row = settings_table(); row->name; row++) {
        if (!row->member)
            continue;
        json_auto_t *value = value_in_force(row, settings, overrides, now_us);
        setting_store(row, value, &live);
    }
    struct policy *policy = mem_zero(1, sizeof *policy);
    *policy = (struct policy){
        .revision = revision,
        .valid_until_us = first_end(overrides, now_us),
        .enabled = live.enabled,
        .plane_enabled = live.plane_enabled,
        .mode = (enum reconcile_mode)live.mode,
        .interval_s = live.interval_s,
        .grace_default_s = live.grace_default_s,
        .max_heals_per_pass = live.max_heals_per_pass,
        .quarantine_heals = live.quarantine_heals,
        .quarantine_window_s = live.quarantine_window_s,
        .grace_overrides = live.grace_overrides,
        .notify_unblock = live.notify_unblock,
        .log_level = (enum log_level)live.log_level,
    };
    holds_fill(policy, settings, overrides, now_us);
    return policy;
}

enum err policy_make(const struct settings *settings, const struct store_settings *stored,
                     struct policy **ret, struct why *why)
{
    json_auto_t *overrides = NULL;
    enum err err = overrides_read(stored, &overrides, why);
    if (err == ERR_OK)
        *ret = policy_of(settings, overrides, stored->revision, stored->now_us);
    return err;
}

void policy_free(struct policy *policy)
{
    if (!policy)
        return;
    json_decref(policy->grace_overrides);
    policy_hold_done(&policy->enabled_hold);
    policy_hold_done(&policy->plane_hold);
    policy_hold_done(&policy->mode_hold);
    free(policy);
}

enum err policy_read(struct store *store, const struct settings *settings, struct policy **ret,
                     struct why *why)
{
    struct store_settings stored = {0};
    enum err err = store_settings_read(store, &stored, why);
    if (err != ERR_OK)
        return err;
    err = policy_make(settings, &stored, ret, why);
    store_settings_done(&stored);
    return err;
}

int64_t policy_grace_s(const struct policy *policy, const char *stage)
{
    return json_get_int(policy->grace_overrides, stage, policy->grace_default_s);
}

struct store_stage_grace *policy_graces(const struct policy *policy, const struct pipeline *pipeline,
                                        size_t *ret_n)
{
    struct store_stage_grace *graces = mem_zero(pipeline->n_stages, sizeof *graces);
    *ret_n = 0;
    for (size_t i = 0; i < pipeline->n_stages; i++)
        if (stage_is_gated(&pipeline->stages[i]))
            graces[(*ret_n)++] = (struct store_stage_grace){pipeline->stages[i].name,
                                                            policy_grace_s(policy, pipeline->stages[i].name)};
    return graces;
}

/* the document */

static const char *origin_word(const struct settings *settings, const struct setting *row)
{
    static const char *const text[] = {
        [ORIGIN_DEFAULT] = "default", [ORIGIN_ENVIRONMENT] = "environment", [ORIGIN_FILE] = "file"};
    return text[setting_origin(settings, row)];
}

static json_t *member_source(const struct setting *row, const struct settings *settings,
                             const json_t *overrides, int64_t now_us)
{
    const json_t *override = override_live(overrides, row->member, now_us);
    bool off_at_start = is_off_at_start(row, settings);
    json_t *source = json_object();
    json_put(source, "source",
             json_text(override && !off_at_start ? "override" : origin_word(settings, row)));
    json_put(source, "reason", json_text(json_get_text(override, "reason", NULL)));
    json_put(source, "by", json_text(json_get_text(override, "by", NULL)));
    json_put(source, "until", json_instant(json_get_int(override, "until", 0)));
    json_put(source, "set_at", json_instant(json_get_int(override, "set_at", 0)));
    json_put(source, "held_by_environment",
             json_boolean(off_at_start && json_is_true(json_object_get(override, "value"))));
    return source;
}

static json_t *start_document(const struct settings *settings)
{
    json_t *start = json_object();
    for (const struct setting *row = settings_table(); row->name; row++) {
        json_auto_t *value = setting_value(row, settings);
        json_t *entry = json_object();
        json_put(entry, "value", row->secret ? json_boolean(!json_is_null(value)) : json_incref(value));
        json_put(entry, "source", json_text(origin_word(settings, row)));
        json_put(start, row->name, entry);
    }
    return start;
}

static json_t *document_of(const struct settings *settings, const json_t *overrides, int64_t revision,
                           int64_t now_us)
{
    json_t *document = json_object(), *sources = json_object();
    json_put(document, "revision", json_integer(revision));
    for (const struct setting *row = settings_table(); row->name; row++) {
        if (!row->member)
            continue;
        json_put(document, row->member, value_in_force(row, settings, overrides, now_us));
        json_put(sources, row->member, member_source(row, settings, overrides, now_us));
    }
    json_put(document, "sources", sources);
    json_put(document, "start", start_document(settings));
    return document;
}

enum err policy_document(struct store *store, const struct settings *settings, json_t **ret, struct why *why)
{
    struct store_settings stored = {0};
    json_auto_t *overrides = NULL;
    enum err err = store_settings_read(store, &stored, why);
    if (err != ERR_OK)
        return err;
    err = overrides_read(&stored, &overrides, why);
    if (err == ERR_OK)
        *ret = document_of(settings, overrides, stored.revision, stored.now_us);
    store_settings_done(&stored);
    return err == ERR_INVALID ? ERR_INTERNAL : err; /* the caller cannot mend it */
}

/* changing it */

struct change {
    const struct settings *settings;
    const struct pipeline *pipeline;
    const json_t *body;
    int64_t seen_revision; /* −1: any */
};

/* What the history gets: each setting that the body names, as it was in force and as it will be. */
struct noted {
    struct store_new_change *rows;
    size_t n;
};

static void noted_done(struct noted *noted)
{
    for (size_t i = 0; i < noted->n; i++) {
        free((char *)(uintptr_t)noted->rows[i].from);
        free((char *)(uintptr_t)noted->rows[i].to);
    }
    free(noted->rows);
}

static void note_changes(const struct change *change, const json_t *old, const json_t *merged, int64_t now_us,
                         struct noted *ret)
{
    struct remark remark;
    json_auto_t *errors = json_array(); /* there are none: it was merged */
    remark_read(change->body, now_us, errors, &remark);
    ret->rows = mem_zero(json_object_size(change->body), sizeof *ret->rows);
    for (const struct setting *row = settings_table(); row->name; row++) {
        if (!row->member || !json_object_get(change->body, row->member))
            continue;
        json_auto_t *from = value_in_force(row, change->settings, old, now_us);
        json_auto_t *to = value_in_force(row, change->settings, merged, now_us);
        ret->rows[ret->n++] = (struct store_new_change){.kind = "setting",
                                                        .name = row->member,
                                                        .from = json_line(from),
                                                        .to = json_line(to),
                                                        .by = remark.by,
                                                        .reason = remark.reason,
                                                        .until_us = remark.until_us};
    }
}

/* What the stored overrides become. A change may set or drop members that this version cannot understand.
 * While one is left, nothing is written: every process would treat it as switched off.
 */
static enum err change_merge(const struct change *change, const struct store_settings *stored,
                             json_t **ret_overrides, struct noted *ret_noted, json_t **ret_errors,
                             struct why *why)
{
    json_auto_t *old = NULL, *merged = NULL;
    if (json_read(stored->overrides, strlen(stored->overrides), &old, NULL) != ERR_OK || !json_is_object(old))
        return why_set(why, ERR_INTERNAL, "the stored settings (revision %lld) are not a JSON object",
                       (long long)stored->revision);
    enum err err =
        settings_merge(old, change->body, change->pipeline->names, stored->now_us, &merged, ret_errors);
    if (err != ERR_OK)
        return why_set(why, err, "the change is not acceptable");
    if (overrides_check(merged, why) != ERR_OK)
        return ERR_INTERNAL;
    note_changes(change, old, merged, stored->now_us, ret_noted);
    *ret_overrides = json_incref(merged);
    return ERR_OK;
}

static enum err change_try(struct store *store, const struct change *change, struct policy **ret_policy,
                           json_t **ret_document, json_t **ret_errors, struct why *why)
{
    struct store_settings stored = {0};
    struct noted noted = {0};
    json_auto_t *merged = NULL;
    enum err err = store_settings_read(store, &stored, why);
    if (err != ERR_OK)
        return err;
    int64_t revision = stored.revision, now_us = stored.now_us;
    if (change->seen_revision >= 0 && change->seen_revision != revision)
        err = why_set(why, ERR_CONFLICT, "the settings are at revision %lld now", (long long)revision);
    else
        err = change_merge(change, &stored, &merged, &noted, ret_errors, why);
    store_settings_done(&stored);
    if (err != ERR_OK)
        return err;
    AUTO_FREE char *line = json_line(merged);
    err = store_settings_write(store, revision, line, noted.rows, noted.n, &revision, why);
    noted_done(&noted);
    if (err != ERR_OK)
        return err;
    *ret_document = document_of(change->settings, merged, revision, now_us);
    if (ret_policy)
        *ret_policy = policy_of(change->settings, merged, revision, now_us);
    return ERR_OK;
}

enum err policy_change(struct store *store, const struct settings *settings, const struct pipeline *pipeline,
                       const json_t *body, int64_t seen_revision, struct policy **ret_policy,
                       json_t **ret_document, json_t **ret_errors, struct why *why)
{
    const struct change change = {settings, pipeline, body, seen_revision};
    enum err err = ERR_CONFLICT;
    for (int i = 0; err == ERR_CONFLICT && i < CHANGE_TRIES; i++)
        err = change_try(store, &change, ret_policy, ret_document, ret_errors, why);
    return err;
}
