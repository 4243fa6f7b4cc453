/* The policy in force: off wins, overrides end by themselves, who holds a switch, what a PUT does, races. */
#include "clients/base/jsonx.h"
#include "clients/base/text.h"
#include "clients/store/store_ops.h"
#include "reconcile/settings/policy.h"
#include "reconcile/settings/settings_table.h"
#include "tests/support/clients/store/store_fake.h"
#include "tests/support/test.h"

#define NOW_US INT64_C(1795464000000000) /* 2026-11-23T20:00:00Z */
#define HOUR_US INT64_C(3600000000)

/* a store that holds the settings row in memory */

struct fake_store {
    struct store store;
    int64_t revision, now_us;
    char overrides[2048];
    int races;  /* so many writes lose a race */
    int writes; /* that were made */
    bool is_down;
};

static struct store_rows fake_query(struct store *store, unsigned which, struct store_params params,
                                    struct why *why)
{
    const struct fake_store *fake = (struct fake_store *)store;
    (void)which;
    (void)params;
    if (fake->is_down)
        return rows_failed(why_set(why, ERR_UNAVAILABLE, "down"));
    return store_fake_settings(fake->revision, fake->overrides, fake->now_us);
}

static enum err fake_write(struct store *store, int64_t seen_revision, const char *overrides,
                           const json_t *history, int64_t *ret_revision, struct why *why)
{
    (void)history;
    struct fake_store *fake = (struct fake_store *)store;
    if (fake->races > 0) {
        fake->races--;
        fake->revision++;
        snprintf(fake->overrides, sizeof fake->overrides,
                 "{\"log_level\":{\"value\":\"warn\",\"by\":\"other\"}}");
    }
    if (fake->revision != seen_revision)
        return why_set(why, ERR_CONFLICT, "raced");
    assert_true(strlen(overrides) < sizeof fake->overrides);
    snprintf(fake->overrides, sizeof fake->overrides, "%s", overrides);
    fake->writes++;
    *ret_revision = ++fake->revision;
    return ERR_OK;
}

static const struct store_ops fake_ops = {.query = fake_query, .settings_write = fake_write};

static struct fake_store fake_with(const char *overrides)
{
    struct fake_store fake = {.store = {.ops = &fake_ops}, .revision = 7, .now_us = NOW_US};
    snprintf(fake.overrides, sizeof fake.overrides, "%s", overrides);
    return fake;
}

/* settings of the start */

static const char *const *fake_environment;

static const char *fake_lookup(const char *name)
{
    for (const char *const *at = fake_environment; *at; at += 2)
        if (strcmp(at[0], name) == 0)
            return at[1];
    return NULL;
}

#define ENVIRONMENT(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static struct settings *settings_of(const char *const *environment)
{
    struct settings *settings = NULL;
    json_auto_t *problems = json_array();
    fake_environment = environment;
    assert_int_equal(settings_read(fake_lookup, NULL, &settings, problems), ERR_OK);
    return settings;
}

static struct policy *policy_with(const char *const *environment, const char *overrides, int64_t now_us)
{
    struct settings *settings = settings_of(environment);
    AUTO_FREE char *copy = mem_dup(overrides);
    struct store_settings stored = {3, copy, now_us};
    struct policy *policy = NULL;
    struct why why;
    if (policy_make(settings, &stored, &policy, &why) != ERR_OK)
        fail_msg("%s", why.text);
    assert_int_equal(policy->revision, 3);
    settings_free(settings);
    return policy;
}

static struct pipeline *pipeline_built_in(void)
{
    struct pipeline *pipeline = NULL;
    json_auto_t *problems = json_array();
    assert_int_equal(pipeline_load_file(NULL, &pipeline, problems), ERR_OK);
    return pipeline;
}

static json_t *json_of(const char *text)
{
    json_t *value = NULL;
    assert_int_equal(json_read(text, strlen(text), &value, NULL), ERR_OK);
    return value;
}

/* making */

TEST(without_overrides_the_start_is_in_force)
{
    struct policy *policy =
        policy_with(ENVIRONMENT("ORCH_RECONCILE_INTERVAL_S", "5", "ORCH_RECONCILE_GRACE_OVERRIDES_JSON",
                                "{\"review\":30}", "ORCH_LOG_LEVEL", "error"),
                    "{}", NOW_US);
    assert_true(policy->enabled && policy->plane_enabled && policy->notify_unblock);
    assert_int_equal(policy->mode, MODE_HEAL);
    assert_int_equal(policy->interval_s, 5);
    assert_int_equal(policy->grace_default_s, 600);
    assert_int_equal(policy->max_heals_per_pass, 200);
    assert_int_equal(policy->log_level, LOG_LEVEL_ERROR);
    assert_int_equal(policy->valid_until_us, 0);
    assert_int_equal(policy_grace_s(policy, "review"), 30);
    assert_int_equal(policy_grace_s(policy, "testing"), 600);
    assert_false(policy->enabled_hold.held || policy->plane_hold.held || policy->mode_hold.held);
    assert_null(policy->enabled_hold.text);
    policy_free(policy);
    policy_free(NULL);
}

TEST(overrides_are_laid_over_the_start)
{
    struct policy *policy = policy_with(ENVIRONMENT("ORCH_RECONCILE_GRACE_OVERRIDES_JSON", "{\"review\":30}",
                                                    "ORCH_RECONCILE_MODE", "observe"),
                                        "{\"interval_s\":{\"value\":9},\"grace_default_s\":{\"value\":0},"
                                        "\"grace_overrides\":{\"value\":{\"testing\":1}},"
                                        "\"max_heals_per_pass\":{\"value\":0},\"notify_unblock\":{\"value\":"
                                        "false},\"mode\":{\"value\":\"heal\"},"
                                        "\"log_level\":{\"value\":\"debug\"}}",
                                        NOW_US);
    assert_int_equal(policy->interval_s, 9);
    assert_int_equal(policy->max_heals_per_pass, 0);
    assert_int_equal(policy_grace_s(policy, "testing"), 1);
    assert_int_equal(policy_grace_s(policy, "review"), 0);
    assert_false(policy->notify_unblock);
    assert_int_equal(policy->mode, MODE_HEAL);
    assert_false(policy->mode_hold.held);
    assert_int_equal(policy->log_level, LOG_LEVEL_DEBUG);
    policy_free(policy);
}

TEST(off_wins_whoever_said_it)
{
    static const char *const starts[] = {"true", "false"};
    static const char *const overrides[] = {
        "{}", "{\"enabled\":{\"value\":true},\"plane_enabled\":{\"value\":true}}",
        "{\"enabled\":{\"value\":false},\"plane_enabled\":{\"value\":false}}"};
    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        for (size_t k = 0; k < ARRAY_LEN(overrides); k++) {
            struct policy *policy = policy_with(
                ENVIRONMENT("ORCH_RECONCILE_ENABLED", starts[i], "ORCH_RECONCILE_PLANE_ENABLED", starts[i]),
                overrides[k], NOW_US);
            bool on = i == 0 && k != 2;
            assert_int_equal(policy->enabled, on);
            assert_int_equal(policy->plane_enabled, on);
            assert_int_equal(policy->enabled_hold.held, !on);
            assert_int_equal(policy->plane_hold.held, !on);
            policy_free(policy);
        }
}

TEST(holder_is_named_in_words)
{
    static const struct {
        const char *override, *text, *by, *reason;
        int64_t until_us;
    } holds[] = {
        {"{\"value\":false}", "switched off", NULL, NULL, 0},
        {"{\"value\":false,\"by\":\"ann\"}", "switched off by ann", "ann", NULL, 0},
        {"{\"value\":false,\"reason\":\"deploy of Gitea\"}", "switched off: deploy of Gitea", NULL,
         "deploy of Gitea", 0},
        {"{\"value\":false,\"by\":\"ann\",\"reason\":\"deploy of Gitea\",\"until\":1795467600000000}",
         "switched off by ann until 2026-11-23T21:00:00Z: deploy of Gitea", "ann", "deploy of Gitea",
         NOW_US + HOUR_US},
    };
    for (size_t i = 0; i < ARRAY_LEN(holds); i++) {
        AUTO_FREE char *overrides = mem_printf("{\"enabled\":%s}", holds[i].override);
        struct policy *policy = policy_with(ENVIRONMENT(), overrides, NOW_US);
        const struct policy_hold *hold = &policy->enabled_hold;
        assert_string_equal(hold->text, holds[i].text);
        assert_string_equal(hold->by ? hold->by : "-", holds[i].by ? holds[i].by : "-");
        assert_string_equal(hold->reason ? hold->reason : "-", holds[i].reason ? holds[i].reason : "-");
        assert_int_equal(hold->until_us, holds[i].until_us);
        assert_false(policy->plane_hold.held);
        policy_free(policy);
    }
}

TEST(environment_is_the_holder_whatever_the_override_says)
{
    struct policy *policy = policy_with(
        ENVIRONMENT("ORCH_RECONCILE_ENABLED", "false", "ORCH_RECONCILE_MODE", "observe"),
        "{\"enabled\":{\"value\":false,\"by\":\"ann\",\"reason\":\"r\",\"until\":1795467600000000}}", NOW_US);
    assert_string_equal(policy->enabled_hold.text,
                        "switched off by the environment (ORCH_RECONCILE_ENABLED)");
    assert_string_equal(policy->enabled_hold.by, "environment");
    assert_null(policy->enabled_hold.reason);
    assert_int_equal(policy->enabled_hold.until_us, 0);
    assert_string_equal(policy->mode_hold.text, "set to observe by the environment (ORCH_RECONCILE_MODE)");
    policy_free(policy);

    policy = policy_with(ENVIRONMENT(), "{\"mode\":{\"value\":\"observe\",\"by\":\"environment\"}}", NOW_US);
    assert_string_equal(policy->mode_hold.text, "set to observe by environment");
    policy_free(policy);
}

TEST(override_ends_at_its_until_by_the_databases_clock)
{
    const char *overrides = "{\"enabled\":{\"value\":false,\"until\":1795467600000000},"
                            "\"mode\":{\"value\":\"observe\",\"until\":1795471200000000},"
                            "\"interval_s\":{\"value\":7}}";
    const struct {
        int64_t now_us, valid_until_us;
        bool enabled;
        enum reconcile_mode mode;
    } moments[] = {
        {NOW_US, NOW_US + HOUR_US, false, MODE_OBSERVE},
        {NOW_US + HOUR_US - 1, NOW_US + HOUR_US, false, MODE_OBSERVE},
        {NOW_US + HOUR_US, NOW_US + 2 * HOUR_US, true, MODE_OBSERVE},
        {NOW_US + 2 * HOUR_US, 0, true, MODE_HEAL},
    };
    for (size_t i = 0; i < ARRAY_LEN(moments); i++) {
        struct policy *policy = policy_with(ENVIRONMENT(), overrides, moments[i].now_us);
        assert_int_equal(policy->enabled, moments[i].enabled);
        assert_int_equal(policy->mode, moments[i].mode);
        assert_int_equal(policy->valid_until_us, moments[i].valid_until_us);
        assert_int_equal(policy->interval_s, 7);
        policy_free(policy);
    }
}

TEST(overrides_that_cannot_be_understood_are_an_error_and_newer_members_are_not)
{
    struct policy *policy =
        policy_with(ENVIRONMENT(), "{\"warp\":{\"value\":9,\"until\":1795467600000000}}", NOW_US);
    assert_true(policy->enabled);
    policy_free(policy);

    static const char *const bad[] = {"",
                                      "nonsense",
                                      "[]",
                                      "{\"warp\":9}",
                                      "{\"mode\":{\"value\":\"shadow\"}}",
                                      "{\"enabled\":{\"value\":null}}"};
    struct settings *settings = settings_of(ENVIRONMENT());
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO_FREE char *copy = mem_dup(bad[i]);
        struct store_settings stored = {3, copy, NOW_US};
        struct why why = {""};
        struct policy *untouched = NULL;
        assert_int_equal(policy_make(settings, &stored, &untouched, &why), ERR_INVALID);
        assert_null(untouched);
        assert_non_null(strstr(why.text, "the stored setting"));
    }
    settings_free(settings);
}

TEST(database_that_is_down_is_told_as_it_is)
{
    struct fake_store fake = fake_with("{}");
    struct settings *settings = settings_of(ENVIRONMENT());
    struct pipeline *pipeline = pipeline_built_in();
    struct policy *policy = NULL;
    json_t *document = NULL, *errors = NULL;
    struct why why;
    json_auto_t *body = json_of("{\"enabled\":false}");
    fake.is_down = true;
    assert_int_equal(policy_read(&fake.store, settings, &policy, &why), ERR_UNAVAILABLE);
    assert_int_equal(policy_document(&fake.store, settings, &document, &why), ERR_UNAVAILABLE);
    assert_int_equal(policy_change(&fake.store, settings, pipeline, body, -1, NULL, &document, &errors, &why),
                     ERR_UNAVAILABLE);
    assert_string_equal(why.text, "down");
    assert_true(!policy && !document && !errors);
    fake.is_down = false;
    assert_int_equal(policy_read(&fake.store, settings, &policy, &why), ERR_OK);
    policy_free(policy);
    settings_free(settings);
    pipeline_free(pipeline);
}

/* the document */

static json_t *document_with(const char *const *environment, const char *overrides)
{
    struct fake_store fake = fake_with(overrides);
    struct settings *settings = settings_of(environment);
    json_t *document = NULL;
    struct why why;
    if (policy_document(&fake.store, settings, &document, &why) != ERR_OK)
        fail_msg("%s", why.text);
    settings_free(settings);
    return document;
}

static void assert_source(const json_t *document, const char *member, const char *expected)
{
    json_auto_t *wanted = json_of(expected);
    const json_t *source = json_object_get(json_object_get(document, "sources"), member);
    if (!json_equal(source, wanted)) {
        AUTO_FREE char *line = json_line(source);
        fail_msg("%s is %s", member, line);
    }
}

#define NO_OVERRIDE \
    "\"reason\":null,\"by\":null,\"until\":null,\"set_at\":null,\"held_by_environment\":false}"

TEST(document_tells_each_members_value_and_source)
{
    json_auto_t *document = document_with(ENVIRONMENT("ORCH_RECONCILE_INTERVAL_S", "5"),
                                          "{\"enabled\":{\"value\":false,\"by\":\"ann\",\"reason\":\"r\","
                                          "\"until\":1795467600000000,\"set_at\":1795464000000000},"
                                          "\"mode\":{\"value\":\"observe\",\"until\":1795464000000000}}");
    assert_int_equal(json_get_int(document, "revision", -1), 7);
    assert_false(json_get_bool(document, "enabled", true));
    assert_string_equal(json_get_text(document, "mode", ""), "heal");
    assert_int_equal(json_get_int(document, "interval_s", 0), 5);
    assert_true(json_is_object(json_object_get(document, "grace_overrides")));
    assert_source(
        document, "enabled",
        "{\"source\":\"override\",\"reason\":\"r\",\"by\":\"ann\",\"until\":\"2026-11-23T21:00:00Z\","
        "\"set_at\":\"2026-11-23T20:00:00Z\",\"held_by_environment\":false}");
    assert_source(document, "mode", "{\"source\":\"default\"," NO_OVERRIDE);
    assert_source(document, "interval_s", "{\"source\":\"environment\"," NO_OVERRIDE);
    for (const struct setting *row = settings_table(); row->name; row++)
        assert_true(!row->member || json_object_get(document, row->member));
    assert_int_equal(json_object_size(document), 11 + 3);
    assert_int_equal(json_object_size(json_object_get(document, "sources")), 11);
}

TEST(override_that_the_environment_holds_back_is_shown_as_such)
{
    json_auto_t *document =
        document_with(ENVIRONMENT("ORCH_RECONCILE_ENABLED", "false", "ORCH_RECONCILE_PLANE_ENABLED", "false"),
                      "{\"enabled\":{\"value\":true,\"by\":\"ann\"},\"plane_enabled\":{\"value\":false}}");
    assert_false(json_get_bool(document, "enabled", true));
    assert_source(document, "enabled",
                  "{\"source\":\"environment\",\"reason\":null,\"by\":\"ann\",\"until\":null,\"set_at\":null,"
                  "\"held_by_environment\":true}");
    assert_source(document, "plane_enabled", "{\"source\":\"environment\"," NO_OVERRIDE);
}

TEST(document_shows_no_secret)
{
    json_auto_t *document =
        document_with(ENVIRONMENT("ORCH_DATABASE_URL", "postgresql://u:hunter2@db/x", "ORCH_API_TOKEN",
                                  "hunter3", "ORCH_GITEA_TOKEN", "hunter4", "ORCH_PLANE_API_TOKEN", "hunter5",
                                  "ORCH_GITEA_URL", "http://gitea"),
                      "{}");
    AUTO_FREE char *line = json_line(document);
    assert_null(strstr(line, "hunter"));
    const json_t *start = json_object_get(document, "start");
    for (const struct setting *row = settings_table(); row->name; row++)
        assert_int_equal(json_object_size(json_object_get(start, row->name)), 2);
    assert_true(json_get_bool(json_object_get(start, "ORCH_API_TOKEN"), "value", false));
    assert_false(json_get_bool(json_object_get(start, "ORCH_TELEGRAM_BOT_TOKEN"), "value", true));
    assert_string_equal(json_get_text(json_object_get(start, "ORCH_GITEA_URL"), "value", ""), "http://gitea");
    assert_string_equal(json_get_text(json_object_get(start, "ORCH_GITEA_URL"), "source", ""), "environment");
    assert_true(json_is_null(json_object_get(json_object_get(start, "ORCH_PIPELINE_FILE"), "value")));
}

/* changing */

struct changed {
    enum err err;
    json_t *document, *errors;
    struct why why;
};

static void changed_done(struct changed *changed)
{
    json_decref(changed->document);
    json_decref(changed->errors);
}

static struct changed change(struct fake_store *fake, const char *body_text, int64_t seen_revision)
{
    struct changed changed = {0};
    struct settings *settings = settings_of(ENVIRONMENT());
    struct pipeline *pipeline = pipeline_built_in();
    json_auto_t *body = json_of(body_text);
    changed.err = policy_change(&fake->store, settings, pipeline, body, seen_revision, NULL,
                                &changed.document, &changed.errors, &changed.why);
    settings_free(settings);
    pipeline_free(pipeline);
    return changed;
}

TEST(change_is_written_and_shown)
{
    struct fake_store fake = fake_with("{\"log_level\":{\"value\":\"warn\"}}");
    struct changed changed = change(&fake, "{\"enabled\":false,\"by\":\"ann\"}", 7);
    assert_int_equal(changed.err, ERR_OK);
    assert_int_equal(json_get_int(changed.document, "revision", 0), 8);
    assert_false(json_get_bool(changed.document, "enabled", true));
    assert_string_equal(json_get_text(changed.document, "log_level", ""), "warn");
    json_auto_t *stored = json_of(fake.overrides);
    json_auto_t *wanted =
        json_of("{\"log_level\":{\"value\":\"warn\"},"
                "\"enabled\":{\"value\":false,\"by\":\"ann\",\"set_at\":1795464000000000}}");
    assert_true(json_equal(stored, wanted));
    changed_done(&changed);
}

TEST(bad_change_names_its_fields_and_writes_nothing)
{
    struct fake_store fake = fake_with("{}");
    struct changed changed =
        change(&fake, "{\"enabled\":false,\"interval_s\":0,\"grace_overrides\":{\"moon\":1}}", -1);
    assert_int_equal(changed.err, ERR_INVALID);
    assert_int_equal(json_array_size(changed.errors), 2);
    assert_string_equal(json_get_text(json_array_get(changed.errors, 1), "field", ""),
                        "grace_overrides.moon");
    assert_null(changed.document);
    assert_int_equal(fake.writes, 0);
    assert_string_equal(fake.overrides, "{}");
    changed_done(&changed);
}

TEST(change_of_an_older_revision_conflicts)
{
    struct fake_store fake = fake_with("{}");
    struct changed stale = change(&fake, "{\"enabled\":false}", 6);
    assert_int_equal(stale.err, ERR_CONFLICT);
    assert_string_equal(stale.why.text, "the settings are at revision 7 now");
    fake.races = 1;
    struct changed raced = change(&fake, "{\"enabled\":false}", 7);
    assert_int_equal(raced.err, ERR_CONFLICT);
    assert_int_equal(fake.writes, 0);
    changed_done(&stale);
    changed_done(&raced);
}

TEST(change_that_was_raced_is_laid_over_the_winners)
{
    struct fake_store fake = fake_with("{}");
    fake.races = 2;
    struct changed changed = change(&fake, "{\"enabled\":false}", -1);
    assert_int_equal(changed.err, ERR_OK);
    assert_int_equal(fake.writes, 1);
    assert_int_equal(json_get_int(changed.document, "revision", 0), 10);
    assert_string_equal(json_get_text(changed.document, "log_level", ""), "warn");
    assert_false(json_get_bool(changed.document, "enabled", true));
    changed_done(&changed);

    fake.races = 1000;
    struct changed never = change(&fake, "{\"enabled\":false}", -1);
    assert_int_equal(never.err, ERR_CONFLICT);
    assert_true(fake.races > 900);
    changed_done(&never);
}

TEST(change_mends_what_it_names_but_writes_nothing_beside_nonsense)
{
    struct fake_store fake = fake_with("{\"mode\":{\"value\":\"shadow\"}}");
    struct changed beside = change(&fake, "{\"enabled\":true}", -1);
    assert_int_equal(beside.err, ERR_INTERNAL);
    assert_string_equal(beside.why.text, "the stored setting mode must be one of heal, observe");
    assert_null(beside.errors);
    assert_int_equal(fake.writes, 0);
    struct changed mended = change(&fake, "{\"mode\":null}", -1);
    assert_int_equal(mended.err, ERR_OK);
    assert_string_equal(fake.overrides, "{}");
    changed_done(&beside);
    changed_done(&mended);

    struct fake_store broken = fake_with("[]");
    struct changed nothing = change(&broken, "{\"enabled\":true}", -1);
    assert_int_equal(nothing.err, ERR_INTERNAL);
    assert_int_equal(broken.writes, 0);
    changed_done(&nothing);
}
