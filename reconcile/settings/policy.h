/* policy.h - the run-time settings in force: the values read at the start, replaced by the stored overrides.
 *
 * Invariant (reconcile/README.md, rule 8: off wins): enabled and plane_enabled are true only if neither the
 * environment nor a live override is off. An override lives until its `until`, by the database's clock; after
 * that the value falls back by itself.
 *
 * A policy is immutable and names the revision it was made from. A transition decided under it is written
 * only if that revision is still the stored one (store_transition). So no transition is written after a
 * switch was set off.
 */
#ifndef RECONCILED_POLICY_H
#define RECONCILED_POLICY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "clients/base/err.h"
#include "clients/store/store.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/settings/settings.h"

/* What holds a switch off. */
struct policy_hold {
    bool held;
    char *by;         /* "environment", or the `by` of the override, or NULL */
    char *reason;     /* or NULL */
    int64_t until_us; /* 0: until it is changed */
    /* a sentence: "switched off by ann until 2026-11-24T10:00:00Z: deploy of Gitea"; NULL when not held */
    char *text;
};

struct policy {
    int64_t revision;
    int64_t valid_until_us; /* the next `until`, at which the policy must be read again; 0: none */
    bool enabled, plane_enabled;
    enum reconcile_mode mode;
    int64_t interval_s, grace_default_s, max_heals_per_pass, quarantine_heals, quarantine_window_s;
    json_t *grace_overrides; /* object: stage → seconds */
    bool notify_unblock;
    enum log_level log_level;
    struct policy_hold enabled_hold, plane_hold, mode_hold;
};

/* policy_make: pure. ERR_INVALID: the overrides cannot be understood, because a newer version wrote them; the
 * caller must then treat everything as switched off. Free with policy_free. */
ATTR_NODISCARD enum err policy_make(const struct settings *settings, const struct store_settings *stored,
                                    struct policy **ret, struct why *why);
void policy_free(struct policy *policy);

/* policy_read: store_settings_read and policy_make. */
ATTR_NODISCARD enum err policy_read(struct store *store, const struct settings *settings, struct policy **ret,
                                    struct why *why);

/* policy_off_by: the switch that keeps a pass from looking at a side (`plane`: the Plane side); the switch
 * for everything comes first; NULL: none. policy_held_by: what forbids writing: such a switch, else the mode;
 * NULL: nothing. The result has `held` set and a text; it lives as long as the policy. */
const struct policy_hold *policy_off_by(const struct policy *policy, bool plane);
const struct policy_hold *policy_held_by(const struct policy *policy, bool plane);

/* policy_hold_done: frees the texts of a hold that is the caller's own. */
void policy_hold_done(struct policy_hold *hold);

/* policy_stands: whether the policy is still in force, given the revision and the time that the database
 * returned. The store's writes compare the same two (store_transition). */
bool policy_stands(const struct policy *policy, int64_t revision, int64_t now_us);

/* policy_grace_s: of a stage: its override, else the default. */
int64_t policy_grace_s(const struct policy *policy, const char *stage);

/* policy_graces: the grace of every stage whose gates can be read; store_task_list finds stuck tasks by it.
 * Caller frees with free(). */
struct store_stage_grace *policy_graces(const struct policy *policy, const struct pipeline *pipeline,
                                        size_t *ret_n);

/* policy_document: what GET /reconcile/config answers: {"revision":3, every run-time member with its value in
 * force, "sources":{member:{"source":"default"|"environment"|"file"|"override",
 * "reason","by","until","set_at", "held_by_environment"}}, "start":{ORCH_NAME:{"value","source"}}} where a
 * secret's value is only true (set) or false. `source` is where the value in force comes from; reason to
 * set_at are those of the live override, or null; held_by_environment: there is an override that is on, and
 * the environment is off. ERR_INTERNAL when the stored overrides cannot be understood. Caller owns *ret. */
ATTR_NODISCARD enum err policy_document(struct store *store, const struct settings *settings, json_t **ret,
                                        struct why *why);

/* policy_change: PUT /reconcile/config. `seen_revision` −1 means whatever it is now (retried when raced,
 * bounded). ERR_INVALID with *ret_errors (see settings_merge); ERR_CONFLICT when seen_revision is not the
 * stored one; ERR_INTERNAL when something stored cannot be understood and the change leaves it as it is. On
 * ERR_OK *ret_document is as policy_document, and *ret_policy (ret_policy may be NULL) is the policy that was
 * written, to be freed with policy_free. When a switch was set off and this returned ERR_OK, no further
 * transition starts. */
ATTR_NODISCARD enum err policy_change(struct store *store, const struct settings *settings,
                                      const struct pipeline *pipeline, const json_t *body,
                                      int64_t seen_revision, struct policy **ret_policy,
                                      json_t **ret_document, json_t **ret_errors, struct why *why);

#endif
