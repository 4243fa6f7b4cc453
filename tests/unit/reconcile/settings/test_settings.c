/* Settings: the table, the environment, secrets in files, what is refused and in which words; the merging of
 * changes at run time. */
#include <sys/mman.h>
#include <unistd.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/pipeline/settings_text.h"
#include "reconcile/settings/settings.h"
#include "reconcile/settings/settings_table.h"
#include "tests/support/test.h"

/* a fake environment: name, value, name, value, …, NULL */

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
    enum err err = settings_read(fake_lookup, NULL, &settings, problems);
    if (err != ERR_OK) {
        AUTO_FREE char *line = json_line(problems);
        print_error("%s\n", line);
    }
    assert_int_equal(err, ERR_OK);
    assert_int_equal(json_array_size(problems), 0);
    return settings;
}

/* All lines, each followed by '\n'. Caller frees. */
static char *lines_of(const json_t *problems)
{
    char *all = mem_dup("");
    for (size_t i = 0; i < json_array_size(problems); i++) {
        char *longer = mem_printf("%s%s\n", all, json_string_value(json_array_get(problems, i)));
        free(all);
        all = longer;
    }
    return all;
}

static void assert_refused(const char *const *environment, const char *expected)
{
    struct settings *untouched = NULL;
    json_auto_t *problems = json_array();
    fake_environment = environment;
    assert_int_equal(settings_read(fake_lookup, NULL, &untouched, problems), ERR_INVALID);
    assert_null(untouched);
    AUTO_FREE char *lines = lines_of(problems);
    assert_string_equal(lines, expected);
}

/* the table */

TEST(table_is_complete_and_without_repetition)
{
    size_t members = 0;
    for (const struct setting *row = settings_table(); row->name; row++) {
        assert_true(strncmp(row->name, "ORCH_", 5) == 0);
        assert_true(row->type < SETTING_TYPE_MAX_);
        assert_ptr_equal(setting_of_name(row->name), row);
        assert_true(row->help && row->help[strlen(row->help) - 1] == '.');
        assert_int_equal(row->choices != NULL, row->type == SETTING_ENUM);
        assert_true(!row->off_wins || row->type == SETTING_BOOL);
        for (const struct setting *other = settings_table(); other < row; other++)
            assert_true(other->offset != row->offset);
        if (row->member) {
            assert_ptr_equal(setting_of_member(row->member), row);
            members++;
        }
    }
    assert_int_equal(members, 11);
}

TEST(defaults_are_those_of_the_contract)
{
    struct settings *settings = settings_of(ENVIRONMENT());
    assert_string_equal(settings->database_url, "sqlite:reconciled.db");
    assert_null(settings->database_schema);
    assert_string_equal(settings->http_listen, "127.0.0.1:8787");
    assert_null(settings->api_token);
    assert_true(settings->enabled && settings->plane_enabled && settings->notify_unblock);
    assert_int_equal(settings->mode, MODE_HEAL);
    assert_int_equal(settings->interval_s, 60);
    assert_int_equal(settings->grace_default_s, 600);
    assert_int_equal(json_object_size(settings->grace_overrides), 0);
    assert_int_equal(settings->max_heals_per_pass, 200);
    assert_string_equal(settings->notify_template,
                        "🔧 reconciler: {work_item_id} {stage} unblocked (lost webhook)");
    assert_null(settings->pipeline_file);
    assert_int_equal(settings->n_projects, 0);
    assert_null(settings->plane_url);
    assert_null(settings->gitea_url);
    assert_string_equal(json_get_text(settings->plane_states, "in_progress", ""), "In Progress");
    assert_null(settings->telegram_bot_token);
    assert_string_equal(settings->telegram_url, "https://api.telegram.org");
    json_auto_t *topic = setting_value(setting_of_name("ORCH_TELEGRAM_TOPIC_ID"), settings);
    assert_true(json_is_null(topic));
    assert_int_equal(settings->upstream_timeout_s, 10);
    assert_int_equal(settings->upstream_concurrency, 16);
    assert_int_equal(settings->log_level, LOG_LEVEL_INFO);
    assert_int_equal(settings->log_format, LOG_LOGFMT);
    settings_free(settings);
    settings_free(NULL);
}

TEST(given_values_are_taken)
{
    struct settings *settings = settings_of(ENVIRONMENT(
        "ORCH_DATABASE_URL", "postgresql://u:p@a,b/orch", "ORCH_DATABASE_SCHEMA", "orch", "ORCH_HTTP_LISTEN",
        "0.0.0.0:0", "ORCH_API_TOKEN", "t0ken-0123456789", "ORCH_RECONCILE_ENABLED", "off",
        "ORCH_RECONCILE_PLANE_ENABLED", "No", "ORCH_RECONCILE_MODE", "observe", "ORCH_RECONCILE_INTERVAL_S",
        "1", "ORCH_RECONCILE_GRACE_DEFAULT_S", "0", "ORCH_RECONCILE_GRACE_OVERRIDES_JSON",
        "{\"review\":31536000}", "ORCH_RECONCILE_MAX_HEALS_PER_PASS", "0", "ORCH_PLANE_URL",
        "https://plane.example/base//", "ORCH_PLANE_API_TOKEN", "plane", "ORCH_PLANE_WORKSPACE", "ws",
        "ORCH_PLANE_STATES_JSON", "{\"approved\":\"Done\"}", "ORCH_GITEA_URL", "http://gitea:3000/",
        "ORCH_TELEGRAM_BOT_TOKEN", "1:a", "ORCH_TELEGRAM_CHAT_ID", "-100", "ORCH_TELEGRAM_TOPIC_ID", "77",
        "ORCH_LOG_LEVEL", "debug", "ORCH_LOG_FORMAT", "json"));
    assert_string_equal(settings->http_listen, "0.0.0.0:0");
    assert_string_equal(settings->api_token, "t0ken-0123456789");
    assert_false(settings->enabled || settings->plane_enabled);
    assert_int_equal(settings->mode, MODE_OBSERVE);
    assert_int_equal(settings->interval_s, 1);
    assert_int_equal(settings->grace_default_s, 0);
    assert_int_equal(json_get_int(settings->grace_overrides, "review", 0), 31536000);
    assert_int_equal(settings->max_heals_per_pass, 0);
    assert_string_equal(settings->plane_url, "https://plane.example/base");
    assert_string_equal(settings->gitea_url, "http://gitea:3000");
    assert_string_equal(json_get_text(settings->plane_states, "approved", ""), "Done");
    assert_string_equal(json_get_text(settings->plane_states, "rejected", ""), "Rejected");
    assert_int_equal(settings->telegram_topic_id, 77);
    assert_int_equal(settings->log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(settings->log_format, LOG_JSON);
    assert_int_equal(setting_origin(settings, setting_of_name("ORCH_API_TOKEN")), ORIGIN_ENVIRONMENT);
    assert_int_equal(setting_origin(settings, setting_of_name("ORCH_UPSTREAM_TIMEOUT_S")), ORIGIN_DEFAULT);
    settings_free(settings);
}

TEST(empty_variable_counts_as_not_set)
{
    struct settings *settings =
        settings_of(ENVIRONMENT("ORCH_API_TOKEN", "", "ORCH_API_TOKEN_FILE", "", "ORCH_RECONCILE_INTERVAL_S",
                                "", "ORCH_PROJECTS_JSON", "", "ORCH_GITEA_URL", ""));
    assert_null(settings->api_token);
    assert_null(settings->gitea_url);
    assert_int_equal(settings->interval_s, 60);
    assert_int_equal(setting_origin(settings, setting_of_member("interval_s")), ORIGIN_DEFAULT);
    settings_free(settings);
}

TEST(a_path_with_the_slashes_of_an_orm_is_refused)
{
    static const char *const urls[] = {"sqlite:///x.db", "sqlite:////folder/x.db", "sqlite://x.db",
                                       "sqlite://"};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++)
        assert_refused(
            ENVIRONMENT("ORCH_DATABASE_URL", urls[i]),
            "ORCH_DATABASE_URL: has slashes before the path: write sqlite:x.db for a relative path, "
            "sqlite:/folder/x.db for an absolute one\n");
    settings_free(settings_of(ENVIRONMENT("ORCH_DATABASE_URL", "sqlite:/folder/x.db")));
    settings_free(settings_of(ENVIRONMENT("ORCH_DATABASE_URL", "sqlite:x.db")));
}

TEST(every_bad_value_is_told_at_once)
{
    assert_refused(ENVIRONMENT("ORCH_DATABASE_URL", "mysql://root:hunter2@db", "ORCH_HTTP_LISTEN",
                               "localhost", "ORCH_RECONCILE_ENABLED", "maybe", "ORCH_RECONCILE_MODE", "Heal",
                               "ORCH_RECONCILE_INTERVAL_S", "0", "ORCH_RECONCILE_GRACE_DEFAULT_S", "31536001",
                               "ORCH_RECONCILE_GRACE_OVERRIDES_JSON", "{\"a\":\"60\",\"b\":-1}",
                               "ORCH_RECONCILE_MAX_HEALS_PER_PASS", "1e3", "ORCH_PROJECTS_JSON", "{}",
                               "ORCH_GITEA_URL", "gitea.example", "ORCH_UPSTREAM_TIMEOUT_S", " 10",
                               "ORCH_UPSTREAM_CONCURRENCY", "257", "ORCH_LOG_LEVEL", "loud",
                               "ORCH_NOTIFY_TEMPLATE", "\xff\xfe"),
                   "ORCH_DATABASE_URL: must be postgresql://… or sqlite:PATH\n"
                   "ORCH_HTTP_LISTEN: must be HOST:PORT or [V6]:PORT, port 0 to 65535\n"
                   "ORCH_RECONCILE_ENABLED: must be true or false\n"
                   "ORCH_RECONCILE_MODE: must be one of heal, observe\n"
                   "ORCH_RECONCILE_INTERVAL_S: must be a whole number from 1 to 86400\n"
                   "ORCH_RECONCILE_GRACE_DEFAULT_S: must be a whole number from 0 to 31536000\n"
                   "ORCH_RECONCILE_GRACE_OVERRIDES_JSON.a: must be a whole number from 0 to 31536000\n"
                   "ORCH_RECONCILE_GRACE_OVERRIDES_JSON.b: must be a whole number from 0 to 31536000\n"
                   "ORCH_RECONCILE_MAX_HEALS_PER_PASS: must be a whole number from 0 to 100000\n"
                   "ORCH_NOTIFY_TEMPLATE: is not UTF-8 text\n"
                   "ORCH_PROJECTS_JSON: must be an array of at most 500 projects\n"
                   "ORCH_GITEA_URL: must begin with http:// or https://\n"
                   "ORCH_UPSTREAM_TIMEOUT_S: must be a whole number from 1 to 300\n"
                   "ORCH_UPSTREAM_CONCURRENCY: must be a whole number from 1 to 256\n"
                   "ORCH_LOG_LEVEL: must be one of error, warn, info, debug\n");
}

TEST(json_settings_that_are_not_json_are_one_line)
{
    struct settings *untouched = NULL;
    json_auto_t *problems = json_array();
    fake_environment =
        ENVIRONMENT("ORCH_PROJECTS_JSON", "[\n{'repo'\n", "ORCH_RECONCILE_GRACE_OVERRIDES_JSON", "60",
                    "ORCH_PLANE_STATES_JSON", "{\"approved\":\"a\",\"approved\":\"b\"}");
    assert_int_equal(settings_read(fake_lookup, NULL, &untouched, problems), ERR_INVALID);
    assert_int_equal(json_array_size(problems), 3);
    for (size_t i = 0; i < 3; i++) {
        const char *line = json_string_value(json_array_get(problems, i));
        assert_non_null(strstr(line, "_JSON: not JSON at line"));
        assert_null(strchr(line, '\n'));
    }
}

TEST(too_long_a_value_is_refused)
{
    AUTO_FREE char *text = mem_zero(LIMIT_SETTING_TEXT + 2, 1);
    memset(text, 'x', LIMIT_SETTING_TEXT + 1);
    assert_refused(ENVIRONMENT("ORCH_NOTIFY_TEMPLATE", text), "ORCH_NOTIFY_TEMPLATE: is too long\n");
}

TEST(a_template_that_nothing_fills_in_is_refused)
{
    assert_refused(
        ENVIRONMENT("ORCH_NOTIFY_TEMPLATE", "{titel} moved"),
        "ORCH_NOTIFY_TEMPLATE: has a placeholder that nothing fills in; there are {work_item_id} "
        "{task_id} {title} {repo} {branch} {stage} {to_stage} {outcome} {reason} {task_url} {branch_url} "
        "{pull_url}\n");
    settings_free(settings_of(ENVIRONMENT("ORCH_NOTIFY_TEMPLATE", "<b>{title}</b> → {to_stage}")));
}

TEST(webhooks_need_an_orchestrator_and_the_senders_secrets)
{
    struct settings *settings = settings_of(ENVIRONMENT("PATH", "/bin"));
    assert_int_equal(settings->advance_via, ADVANCE_VIA_DATABASE);
    settings_free(settings);
    settings =
        settings_of(ENVIRONMENT("ORCH_ADVANCE_VIA", "webhook", "ORCH_ORCHESTRATOR_URL", "http://o:1/"));
    assert_int_equal(settings->advance_via, ADVANCE_VIA_WEBHOOK);
    assert_string_equal(settings->orchestrator_url, "http://o:1");
    assert_string_equal(settings->orchestrator_plane_path, "/webhook/plane");
    assert_string_equal(settings->orchestrator_gitea_path, "/webhook/gitea");
    assert_string_equal(settings->orchestrator_advance_path, "/reconcile/advance");
    settings_free(settings);
    assert_refused(ENVIRONMENT("ORCH_ADVANCE_VIA", "webhook", "ORCH_GITEA_URL", "http://g", "ORCH_PLANE_URL",
                               "http://p", "ORCH_PLANE_API_TOKEN", "k", "ORCH_PLANE_WORKSPACE", "w"),
                   "ORCH_ORCHESTRATOR_URL: is needed: ORCH_ADVANCE_VIA is webhook\n"
                   "ORCH_PLANE_WEBHOOK_SECRET: is needed: ORCH_ADVANCE_VIA is webhook, and ORCH_PLANE_URL is "
                   "set\n"
                   "ORCH_GITEA_WEBHOOK_SECRET: is needed: ORCH_ADVANCE_VIA is webhook, and ORCH_GITEA_URL is "
                   "set\n");
    settings_free(
        settings_of(ENVIRONMENT("ORCH_ORCHESTRATOR_URL", "http://o", "ORCH_GITEA_URL", "http://g")));
    assert_refused(ENVIRONMENT("ORCH_ORCHESTRATOR_GITEA_PATH", "webhook"),
                   "ORCH_ORCHESTRATOR_GITEA_PATH: must be a path like /webhook, without a query\n");
    assert_refused(ENVIRONMENT("ORCH_ORCHESTRATOR_PLANE_PATH", "/a?b"),
                   "ORCH_ORCHESTRATOR_PLANE_PATH: must be a path like /webhook, without a query\n");
    assert_refused(ENVIRONMENT("ORCH_ADVANCE_VIA", "pigeon"),
                   "ORCH_ADVANCE_VIA: must be one of database, webhook\n");
}

TEST(misspelt_reconcile_variable_is_refused)
{
    static const char *const all[] = {"PATH=/bin",
                                      "ORCH_RECONCILE_ENABELD=false",
                                      "ORCH_RECONCILE_ENABLED=true",
                                      "ORCH_ADVANCE_VIA=database",
                                      "ORCH_OTHER=1",
                                      "ORCH_RECONCILE_ENABLED_FILE=/x",
                                      "ORCH_RECONCILE_",
                                      NULL};
    struct settings *untouched = NULL;
    json_auto_t *problems = json_array();
    fake_environment = ENVIRONMENT();
    assert_int_equal(settings_read(fake_lookup, all, &untouched, problems), ERR_INVALID);
    AUTO_FREE char *lines = lines_of(problems);
    assert_string_equal(
        lines, "ORCH_RECONCILE_ENABELD: there is no such setting; did you mean ORCH_RECONCILE_ENABLED?\n"
               "ORCH_RECONCILE_ENABLED_FILE: there is no such setting; reconciled --help lists them all\n"
               "ORCH_RECONCILE_: there is no such setting; reconciled --help lists them all\n");
}

/* kinds of values */

TEST(listen_addresses_are_taken_apart)
{
    static const struct {
        const char *text, *host;
        int port;
        bool v6, loopback;
    } good[] = {
        {"127.0.0.1:8787", "127.0.0.1", 8787, false, true},
        {"127.9.9.9:0", "127.9.9.9", 0, false, true},
        {"[::1]:80", "::1", 80, true, true},
        {"[::]:80", "::", 80, true, false},
        {"0.0.0.0:65535", "0.0.0.0", 65535, false, false},
        {"LocalHost:1", "LocalHost", 1, false, true},
        {"10.0.0.1:1", "10.0.0.1", 1, false, false},
        {"db-1.example:1", "db-1.example", 1, false, false},
        {"127.example:1", "127.example", 1, false, false},
    };
    static const char *const bad[] = {
        "",           ":80",         "80",      "host",  "host:",       "host:x",       "host:65536",
        "host:-1",    "host:80 ",    "::1:80",  "[::1]", "[::1]80",     "[::1]:",       "[::g]:80",
        "[::1:80",    "a b:80",      "*:80",    "-a:80", "host:080000", "user@host:80", "[1.2.3.4]:1",
        "host:80:80", "http://h:80", "127.1:80"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct listen_address address;
        assert_true(listen_address_parse(good[i].text, &address));
        assert_string_equal(address.host, good[i].host);
        assert_int_equal(address.port, good[i].port);
        assert_int_equal(address.v6, good[i].v6);
        assert_int_equal(address.loopback, good[i].loopback);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct listen_address address = {.port = 42};
        if (listen_address_parse(bad[i], &address))
            fail_msg("%s was taken", bad[i]);
        assert_int_equal(address.port, 42);
    }
}

TEST(base_urls_hold_no_credentials_and_no_query)
{
    assert_refused(ENVIRONMENT("ORCH_GITEA_URL", "https://user:hunter2@gitea/"),
                   "ORCH_GITEA_URL: must not hold a user or a password\n");
    assert_refused(ENVIRONMENT("ORCH_GITEA_URL", "https://gitea/?token=hunter2"),
                   "ORCH_GITEA_URL: must not have a query (?)\n");
    assert_refused(ENVIRONMENT("ORCH_GITEA_URL", "https://gitea/{branch}"),
                   "ORCH_GITEA_URL: has a character that must be percent-encoded\n");
    assert_refused(ENVIRONMENT("ORCH_GITEA_URL", "https://git ea/"), "ORCH_GITEA_URL: names no valid host\n");
    assert_refused(ENVIRONMENT("ORCH_GITEA_URL", "https://gitea\n"),
                   "ORCH_GITEA_URL: has a line break or another control character in it\n");
}

TEST(projects_are_read)
{
    struct settings *settings = settings_of(
        ENVIRONMENT("ORCH_PROJECTS_JSON",
                    "[{\"repo\":\"acme/shop\",\"plane_project_id\":\"0b0e8a8e-6f3a-4a39-9d3f-7f0e2f6f0a11\","
                    "\"prefix\":\"SHOP\",\"base_branch\":\"release/1.x\"},{\"repo\":\"acme/.dots-1_2\"}]"));
    assert_int_equal(settings->n_projects, 2);
    const struct project *shop = settings_project(settings, "Acme/Shop", NULL);
    assert_non_null(shop);
    assert_string_equal(shop->plane_project_id, "0b0e8a8e-6f3a-4a39-9d3f-7f0e2f6f0a11");
    assert_string_equal(shop->prefix, "SHOP");
    assert_string_equal(settings_base_branch(settings, "acme/shop", NULL), "release/1.x");
    assert_string_equal(settings_base_branch(settings, "acme/.dots-1_2", NULL), "main");
    assert_string_equal(settings_base_branch(settings, "acme/other", NULL), "main");
    assert_string_equal(settings_base_branch(settings, NULL, NULL), "main");
    assert_null(settings->projects[1].prefix);
    assert_null(settings_project(settings, "acme", NULL));
    settings_free(settings);
}

TEST(several_projects_may_have_one_repo)
{
    struct settings *settings = settings_of(ENVIRONMENT(
        "ORCH_PROJECTS_JSON",
        "[{\"repo\":\"acme/mono\",\"plane_project_id\":\"0b0e8a8e-6f3a-4a39-9d3f-7f0e2f6f0a11\","
        "\"prefix\":\"WEB\",\"base_branch\":\"web\"},{\"repo\":\"Acme/Mono\",\"plane_project_id\":"
        "\"0b0e8a8e-6f3a-4a39-9d3f-7f0e2f6f0a12\",\"prefix\":\"ÇŞĞİÖÜ A_1\\u4e2d2\",\"base_branch\":\"app\"},"
        "{\"repo\":\"acme/alone\",\"base_branch\":\"trunk\"}]"));
    const struct project *projects = settings->projects;
    assert_int_equal(settings->n_projects, 3);
    assert_int_equal(settings->n_repos, 2);
    assert_string_equal(settings->repos[1], "acme/alone");
    assert_ptr_equal(settings_project(settings, "acme/mono", "WEB-1"), &projects[0]);
    assert_ptr_equal(settings_project(settings, "acme/mono", "web-1"), &projects[0]);
    assert_ptr_equal(settings_project(settings, "acme/mono", "çşğİöü a_1中2-77"), &projects[1]);
    assert_ptr_equal(settings_project(settings, "acme/renamed", "WEB-1"), &projects[0]);
    assert_null(settings_project(settings, "acme/mono", "WEB-1a")); /* of which of the two? */
    assert_null(settings_project(settings, "acme/mono", "WE-1"));
    assert_null(settings_project(settings, "acme/mono", NULL));
    assert_ptr_equal(settings_project(settings, "acme/alone", "OTHER-1"), &projects[2]);
    assert_string_equal(settings_base_branch(settings, "ACME/mono", projects[1].prefix), "web");
    assert_string_equal(settings_base_branch(settings, "acme/mono", "ÇŞĞİÖÜ A_1中2-77"), "app");
    assert_string_equal(settings_base_branch(settings, "acme/alone", "WEB-1"), "trunk");
    assert_string_equal(settings_base_branch(settings, "acme/renamed", "WEB-1"), "web");
    assert_string_equal(settings_base_branch(settings, "acme/none", "NONE-1"), "main");
    settings_free(settings);
}

TEST(a_prefix_is_whatever_plane_has_as_an_identifier)
{
    static const char *const bad[] = {"",   "TWELVE_CHARS1", "a",  "Ab", "A-B", "A.B", "A ",
                                      " A", "A\\u0001",      "A:B"};
    static const char *const good[] = {"1", "TWELVE_CHARS", "ЗАДАЧИПРОЕКТ", "A B", "A/B"};
    for (size_t i = 0; i < ARRAY_LEN(bad) + ARRAY_LEN(good); i++) {
        bool is_bad = i < ARRAY_LEN(bad);
        AUTO_FREE char *json = mem_printf(
            "[{\"repo\":\"a/"
            "b\",\"plane_project_id\":\"0b0e8a8e-6f3a-4a39-9d3f-7f0e2f6f0a11\",\"prefix\":\"%s\"}]",
            is_bad ? bad[i] : good[i - ARRAY_LEN(bad)]);
        if (is_bad)
            assert_refused(
                ENVIRONMENT("ORCH_PROJECTS_JSON", json),
                "ORCH_PROJECTS_JSON[0].prefix: must be a project's identifier as Plane has it: up to 12 "
                "characters, in capitals\n");
        else
            settings_free(settings_of(ENVIRONMENT("ORCH_PROJECTS_JSON", json)));
    }
}

TEST(bad_projects_are_refused_by_place_and_member)
{
    assert_refused(
        ENVIRONMENT(
            "ORCH_PROJECTS_JSON",
            "[1,{},{\"repo\":\"a/b\",\"prefix\":\"x\",\"plane_project_id\":\"7\",\"base_branch\":\"a..b\","
            "\"colour\":1},{\"repo\":\"A/B\",\"prefix\":\"TOOLONGPREFIX\"},{\"repo\":\"a/b/"
            "c\"},{\"repo\":\"../x\"},"
            "{\"repo\":\"a/b c\"},{\"repo\":7},{\"repo\":\"a/d\",\"prefix\":\"OK\"}]"),
        "ORCH_PROJECTS_JSON[0]: must be an object\n"
        "ORCH_PROJECTS_JSON[1].repo: is missing\n"
        "ORCH_PROJECTS_JSON[2]: unknown member: colour\n"
        "ORCH_PROJECTS_JSON[2].plane_project_id: must be a UUID\n"
        "ORCH_PROJECTS_JSON[2].prefix: must be a project's identifier as Plane has it: up to 12 characters, "
        "in capitals\n"
        "ORCH_PROJECTS_JSON[2].base_branch: must be the name of a branch\n"
        "ORCH_PROJECTS_JSON[3].prefix: must be a project's identifier as Plane has it: up to 12 characters, "
        "in capitals\n"
        "ORCH_PROJECTS_JSON[3]: has one of plane_project_id and prefix: give both or neither\n"
        "ORCH_PROJECTS_JSON[4].repo: must be owner/name\n"
        "ORCH_PROJECTS_JSON[5].repo: must be owner/name\n"
        "ORCH_PROJECTS_JSON[6].repo: must be owner/name\n"
        "ORCH_PROJECTS_JSON[7].repo: must be owner/name\n"
        "ORCH_PROJECTS_JSON[8]: has one of plane_project_id and prefix: give both or neither\n");
}

TEST(projects_share_neither_prefix_nor_plane_project)
{
    assert_refused(
        ENVIRONMENT("ORCH_PROJECTS_JSON",
                    "[{\"repo\":\"a/"
                    "b\",\"prefix\":\"X\",\"plane_project_id\":\"0b0e8a8e-6f3a-4a39-9d3f-7f0e2f6f0a11\"},"
                    "{\"repo\":\"a/"
                    "c\",\"prefix\":\"X\",\"plane_project_id\":\"0B0E8A8E-6F3A-4A39-9D3F-7F0E2F6F0A11\"}]"),
        "ORCH_PROJECTS_JSON[1].plane_project_id: is that of an earlier project too\n"
        "ORCH_PROJECTS_JSON[1].prefix: is that of an earlier project too\n");
}

TEST(plane_states_are_three_different_ones)
{
    (void)state;
    assert_refused(
        ENVIRONMENT("ORCH_PLANE_STATES_JSON", "{\"done\":\"Done\",\"approved\":\"\",\"rejected\":null}"),
        "ORCH_PLANE_STATES_JSON.done: unknown member; there are in_progress, approved, rejected\n"
        "ORCH_PLANE_STATES_JSON.approved: must be the name or the UUID of a state\n"
        "ORCH_PLANE_STATES_JSON.rejected: must be the name or the UUID of a state\n");
    assert_refused(ENVIRONMENT("ORCH_PLANE_STATES_JSON", "{\"approved\":\"Rejected\"}"),
                   "ORCH_PLANE_STATES_JSON: approved and rejected are the same state\n");
    assert_refused(
        ENVIRONMENT("ORCH_PLANE_STATES_JSON", "{\"approved\":\"Genehmigt Ä\",\"rejected\":\"genehmigt ä\"}"),
        "ORCH_PLANE_STATES_JSON: approved and rejected are the same state\n");
    assert_refused(ENVIRONMENT("ORCH_PLANE_STATES_JSON", "[]"),
                   "ORCH_PLANE_STATES_JSON: must be an object with in_progress, approved, rejected\n");
}

/* what must go together */

TEST(address_that_others_reach_needs_a_token)
{
    static const char *const open[] = {"0.0.0.0:8787", "[::]:8787", "10.1.2.3:8787", "orch.example:8787"};
    for (size_t i = 0; i < ARRAY_LEN(open); i++) {
        assert_refused(ENVIRONMENT("ORCH_HTTP_LISTEN", open[i]),
                       "ORCH_API_TOKEN: is needed: ORCH_HTTP_LISTEN is not a loopback address\n");
        assert_refused(
            ENVIRONMENT("ORCH_HTTP_LISTEN", open[i], "ORCH_API_TOKEN", "123456789012345"),
            "ORCH_API_TOKEN: has fewer than 16 characters, too few where ORCH_HTTP_LISTEN is not a "
            "loopback address\n");
        settings_free(
            settings_of(ENVIRONMENT("ORCH_HTTP_LISTEN", open[i], "ORCH_API_TOKEN", "1234567890123456")));
    }
    settings_free(settings_of(ENVIRONMENT("ORCH_HTTP_LISTEN", "127.0.0.1:1", "ORCH_API_TOKEN", "x")));
    settings_free(settings_of(ENVIRONMENT("ORCH_HTTP_LISTEN", "[::1]:8787")));
    assert_refused(ENVIRONMENT("ORCH_HTTP_LISTEN", "0.0.0.0:1", "ORCH_API_TOKEN", "a b"),
                   "ORCH_API_TOKEN: must be visible ASCII characters without spaces\n");
}

TEST(a_short_token_is_warned_about)
{
    (void)state;
    static const struct {
        const char *token;
        size_t warnings;
    } cases[] = {
        {"", 0}, {"x", 1}, {"1234567890123456789012345678901", 1}, {"12345678901234567890123456789012", 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_auto_t *warnings = json_array();
        struct settings *settings = settings_of(ENVIRONMENT("ORCH_API_TOKEN", cases[i].token));
        settings_warn(settings, warnings);
        assert_int_equal(json_array_size(warnings), cases[i].warnings);
        for (size_t k = 0; k < cases[i].warnings; k++)
            assert_non_null(
                strstr(json_string_value(json_array_get(warnings, k)), "fewer than 32 characters"));
        settings_free(settings);
    }
}

TEST(a_name_that_is_nearly_a_settings_is_warned_about)
{
    (void)state;
    static const struct {
        const char *variable, *warning; /* NULL: none */
    } cases[] = {
        {"ORCH_GITEA_TOKN=x", "ORCH_GITEA_TOKN: there is no such setting; did you mean ORCH_GITEA_TOKEN?\n"},
        {"ORCH_GITAE_TOKEN=x",
         "ORCH_GITAE_TOKEN: there is no such setting; did you mean ORCH_GITEA_TOKEN?\n"},
        {"ORCH_GITEA_TOKEN_FIL=x",
         "ORCH_GITEA_TOKEN_FIL: there is no such setting; did you mean ORCH_GITEA_TOKEN_FILE?\n"},
        {"orch_gitea_url=x", "orch_gitea_url: there is no such setting; did you mean ORCH_GITEA_URL?\n"},
        {"export ORCH_PLANE_URL=x",
         "export ORCH_PLANE_URL: there is no such setting; did you mean ORCH_PLANE_URL?\n"},
        {"\ufeffORCH_PLANE_URL=x",
         " ORCH_PLANE_URL: there is no such setting; did you mean ORCH_PLANE_URL?\n"},
        {"ORCH_PLANE_URL =x", "ORCH_PLANE_URL : there is no such setting; did you mean ORCH_PLANE_URL?\n"},
        {"ORCH_PROJECTS_JSON_FILE=x",
         "ORCH_PROJECTS_JSON_FILE: is not read: only a secret can be in a file; set ORCH_PROJECTS_JSON\n"},
        {"ORCH_RECONCLE_ENABLED=x",
         "ORCH_RECONCLE_ENABLED: there is no such setting; did you mean ORCH_RECONCILE_ENABLED?\n"},
        {"ORCH_RECONCILE_ENABLD=x", NULL}, /* stops the start */
        {"ORCH_GITEA_URL=x", NULL},
        {"ORCH_GITEA_TOKEN_FILE=x", NULL},
        {"ORCH_PIPELINE_FILE=x", NULL},
        {"ORCH_WORKER_COUNT=4", NULL},
        {"ORCH_GITEA_BOT_USER=x", NULL},
        {"ORCH_GITEA_TKNXX=x", NULL},
        {"exported=x", NULL},
        {"PATH=/bin", NULL},
        {"=", NULL},
        {"", NULL},
        {"ORCH_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=x", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_auto_t *warnings = json_array();
        settings_warn_names((const char *const[]){cases[i].variable, NULL}, warnings);
        AUTO_FREE char *lines = lines_of(warnings);
        assert_string_equal(lines, cases[i].warning ? cases[i].warning : "");
    }
}

TEST(a_value_in_quotes_is_warned_about_or_refused)
{
    (void)state;
    static const char *const warned[][2] = {
        {"ORCH_GITEA_TOKEN", "'t'"},          {"ORCH_PLANE_WORKSPACE", "\"ws\""},
        {"ORCH_TELEGRAM_CHAT_ID", "'-100'"},  {"ORCH_GITEA_WEBHOOK_SECRET", "'s'"},
        {"ORCH_ORCHESTRATOR_TOKEN", "\"t\""}, {"ORCH_NOTIFY_TEMPLATE", "\"{title}\""},
    };
    static const char *const refused[][2] = {
        {"ORCH_GITEA_URL", "'http://gitea'"},
        {"ORCH_RECONCILE_ENABLED", "\"false\""},
        {"ORCH_RECONCILE_INTERVAL_S", "'60'"},
        {"ORCH_RECONCILE_MODE", "\"heal\""},
        {"ORCH_PROJECTS_JSON", "'[]'"},
        {"ORCH_HTTP_LISTEN", "'127.0.0.1:1'"},
        {"ORCH_DATABASE_URL", "'sqlite:x.db'"},
        {"ORCH_ORCHESTRATOR_PLANE_PATH", "'/x'"},
        {"ORCH_PLANE_STATES_JSON", "\"Approved\""},
    };
    static const char *const plain[][2] = {
        {"ORCH_GITEA_TOKEN", "'"}, {"ORCH_GITEA_TOKEN", "'t\""}, {"ORCH_NOTIFY_TEMPLATE", "'a' and b"}};
    for (size_t i = 0; i < ARRAY_LEN(warned); i++) {
        json_auto_t *warnings = json_array();
        struct settings *settings = settings_of(ENVIRONMENT(warned[i][0], warned[i][1]));
        settings_warn(settings, warnings);
        AUTO_FREE char *lines = lines_of(warnings);
        AUTO_FREE char *expected =
            mem_printf("%s: the value is in quotes, which are taken as a part of it; if "
                       "they are not, leave them out\n",
                       warned[i][0]);
        assert_string_equal(lines, expected);
        settings_free(settings);
    }
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        AUTO_FREE char *expected =
            mem_printf("%s: is in quotes, which are taken as a part of it; leave them out\n", refused[i][0]);
        assert_refused(ENVIRONMENT(refused[i][0], refused[i][1]), expected);
    }
    for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
        json_auto_t *warnings = json_array();
        struct settings *settings = settings_of(ENVIRONMENT(plain[i][0], plain[i][1]));
        settings_warn(settings, warnings);
        assert_int_equal(json_array_size(warnings), 0);
        settings_free(settings);
    }
}

TEST(a_certificate_and_its_key_are_named_together)
{
    assert_refused(ENVIRONMENT("ORCH_TLS_CERT_FILE", "c.pem"),
                   "ORCH_TLS_KEY_FILE: is needed: ORCH_TLS_CERT_FILE is set\n");
    assert_refused(ENVIRONMENT("ORCH_TLS_KEY_FILE", "k.pem"),
                   "ORCH_TLS_CERT_FILE: is needed: ORCH_TLS_KEY_FILE is set\n");
    settings_free(settings_of(ENVIRONMENT("ORCH_TLS_CERT_FILE", "c.pem", "ORCH_TLS_KEY_FILE", "k.pem")));
}

TEST(plane_and_telegram_are_configured_whole)
{
    assert_refused(ENVIRONMENT("ORCH_PLANE_URL", "http://plane"),
                   "ORCH_PLANE_API_TOKEN: is needed: ORCH_PLANE_URL is set\n"
                   "ORCH_PLANE_WORKSPACE: is needed: ORCH_PLANE_URL is set\n");
    assert_refused(ENVIRONMENT("ORCH_TELEGRAM_BOT_TOKEN", "1:x"),
                   "ORCH_TELEGRAM_CHAT_ID: is needed: ORCH_TELEGRAM_BOT_TOKEN is set\n");
    settings_free(settings_of(ENVIRONMENT("ORCH_TELEGRAM_CHAT_ID", "1", "ORCH_PLANE_API_TOKEN", "x")));
}

TEST(grace_of_a_stage_that_is_not_there_is_refused)
{
    struct pipeline *pipeline = NULL;
    json_auto_t *problems = json_array();
    assert_int_equal(pipeline_load_file(NULL, &pipeline, problems), ERR_OK);
    struct settings *good =
        settings_of(ENVIRONMENT("ORCH_RECONCILE_GRACE_OVERRIDES_JSON", "{\"review\":60.0,\"deploy\":0}"));
    assert_int_equal(json_get_int(good->grace_overrides, "review", 0), 60);
    assert_int_equal(settings_check_stages(good, pipeline, problems), ERR_OK);
    struct settings *bad = settings_of(ENVIRONMENT("ORCH_RECONCILE_GRACE_OVERRIDES_JSON", "{\"reveiw\":60}"));
    assert_int_equal(settings_check_stages(bad, pipeline, problems), ERR_INVALID);
    AUTO_FREE char *lines = lines_of(problems);
    assert_string_equal(lines, "ORCH_RECONCILE_GRACE_OVERRIDES_JSON.reveiw: is no stage of the pipeline\n");
    settings_free(good);
    settings_free(bad);
    pipeline_free(pipeline);
}

/* secrets */

/* A file in memory alone; close it. */
struct secret_file {
    int fd;
    char path[32];
};

static struct secret_file file_with(const char *text, size_t len)
{
    struct secret_file file = {.fd = memfd_create("secret", MFD_CLOEXEC)};
    assert_true(file.fd >= 0);
    assert_int_equal(write(file.fd, text, len), (ssize_t)len);
    snprintf(file.path, sizeof file.path, "/proc/self/fd/%d", file.fd);
    return file;
}

TEST(every_secret_can_come_from_a_file)
{
    size_t secrets = 0;
    for (const struct setting *row = settings_table(); row->name; row++) {
        if (!row->secret)
            continue;
        secrets++;
        const char *text = row->type == SETTING_DATABASE      ? "sqlite:from-file"
                           : row->type == SETTING_WEBHOOK_URL ? "http://from-file/?key=x"
                                                              : "from-file";
        AUTO_FREE char *with_newline = mem_printf("%s\n", text);
        struct secret_file file = file_with(with_newline, strlen(with_newline));
        AUTO_FREE char *variable = mem_printf("%s_FILE", row->name);
        bool is_read_token = strcmp(row->name, "ORCH_API_READ_TOKEN") == 0;
        bool is_webhook_s = strcmp(row->name, "ORCH_NOTIFY_WEBHOOK_SECRET") == 0;
        struct settings *settings = settings_of(ENVIRONMENT(variable, file.path, "ORCH_TELEGRAM_CHAT_ID",
                                                            "1", /* what goes with it: */
                                                            is_read_token  ? "ORCH_API_TOKEN"
                                                            : is_webhook_s ? "ORCH_NOTIFY_WEBHOOK_URL"
                                                                           : "PATH",
                                                            "http://h/"));
        json_auto_t *value = setting_value(row, settings);
        assert_string_equal(json_string_value(value), text);
        assert_int_equal(setting_origin(settings, row), ORIGIN_FILE);
        settings_free(settings);
        close(file.fd);
    }
    assert_int_equal(secrets, 11);
}

TEST(the_read_token_goes_with_another_that_differs)
{
    assert_refused(ENVIRONMENT("ORCH_API_READ_TOKEN", "read-token-of-16"),
                   "ORCH_API_TOKEN: is needed: ORCH_API_READ_TOKEN is set\n");
    assert_refused(
        ENVIRONMENT("ORCH_API_READ_TOKEN", "one-token-for-all", "ORCH_API_TOKEN", "one-token-for-all"),
        "ORCH_API_READ_TOKEN: is the same as ORCH_API_TOKEN\n");
}

TEST(a_byte_order_mark_is_no_part_of_a_secret)
{
    struct secret_file file = file_with("\xef\xbb\xbfhunter2\n", 11);
    struct settings *settings = settings_of(ENVIRONMENT("ORCH_GITEA_TOKEN_FILE", file.path));
    assert_string_equal(settings->gitea_token, "hunter2");
    settings_free(settings);
    close(file.fd);
}

TEST(secret_given_twice_is_refused)
{
    struct secret_file file = file_with("hunter2", 7);
    assert_refused(ENVIRONMENT("ORCH_API_TOKEN", "hunter3", "ORCH_API_TOKEN_FILE", file.path),
                   "ORCH_API_TOKEN: is set, and ORCH_API_TOKEN_FILE too: set only one of them\n");
    close(file.fd);
}

TEST(bad_secret_files_are_told_without_their_content)
{
    AUTO_FREE char *big = mem_zero(LIMIT_SETTING_FILE + 2, 1);
    memset(big, 'x', LIMIT_SETTING_FILE + 2);
    const struct {
        const char *text;
        size_t len;
        const char *problem;
    } bad[] = {
        {"", 0, "ORCH_GITEA_TOKEN_FILE: the file is empty\n"},
        {"\n", 1, "ORCH_GITEA_TOKEN_FILE: the file is empty\n"},
        {"\xef\xbb\xbf\n", 4, "ORCH_GITEA_TOKEN_FILE: the file is empty\n"},
        {"hunter2\n\n", 9, "ORCH_GITEA_TOKEN_FILE: the file has more than one line\n"},
        {"hun\nter2", 8, "ORCH_GITEA_TOKEN_FILE: the file has more than one line\n"},
        {"hun\0ter2", 8, "ORCH_GITEA_TOKEN_FILE: the file has a NUL byte in it\n"},
        {"hunter2\r\n", 9, "ORCH_GITEA_TOKEN: has a line break or another control character in it\n"},
        {"hunter2 ", 8, "ORCH_GITEA_TOKEN: must be visible ASCII characters without spaces\n"},
        {"h\xc3\xbcnter2", 8, "ORCH_GITEA_TOKEN: must be visible ASCII characters without spaces\n"},
        {"hunter2\xff", 8, "ORCH_GITEA_TOKEN: is not UTF-8 text\n"},
        {big, LIMIT_SETTING_FILE, "ORCH_GITEA_TOKEN: is too long\n"},
        {big, LIMIT_SETTING_FILE + 1, "ORCH_GITEA_TOKEN_FILE: the file is larger than 64 KiB\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct secret_file file = file_with(bad[i].text, bad[i].len);
        assert_refused(ENVIRONMENT("ORCH_GITEA_TOKEN_FILE", file.path), bad[i].problem);
        close(file.fd);
    }
    assert_refused(ENVIRONMENT("ORCH_GITEA_TOKEN_FILE", "/nowhere/at/all"),
                   "ORCH_GITEA_TOKEN_FILE: the file cannot be read: No such file or directory\n");
    assert_refused(ENVIRONMENT("ORCH_GITEA_TOKEN_FILE", "/"),
                   "ORCH_GITEA_TOKEN_FILE: the file cannot be read: Is a directory\n");
}

/* changes at run time */

#define NOW_US INT64_C(1795464000000000) /* 2026-11-23T20:00:00Z */

static const char *const stages[] = {"review", "testing", NULL};

static json_t *json_of(const char *text)
{
    json_t *value = NULL;
    struct why why;
    if (json_read(text, strlen(text), &value, &why) != ERR_OK)
        fail_msg("%s: %s", text, why.text);
    return value;
}

static void assert_merged(const char *overrides, const char *body, const char *expected)
{
    json_auto_t *old = json_of(overrides), *change = json_of(body), *merged = NULL, *errors = NULL,
                *wanted = json_of(expected), *before = json_deep_copy(old);
    enum err err = settings_merge(old, change, stages, NOW_US, &merged, &errors);
    if (err != ERR_OK) {
        AUTO_FREE char *line = json_line(errors);
        fail_msg("%s: %s", body, line);
    }
    assert_null(errors);
    assert_true(json_equal(old, before));
    if (!json_equal(merged, wanted)) {
        AUTO_FREE char *line = json_line(merged);
        fail_msg("%s gave %s", body, line);
    }
    assert_int_equal(overrides_check(merged, NULL), ERR_OK);
}

/* expected: "field: detail\n" for each error. */
static void assert_change_refused(const char *body, const char *expected)
{
    json_auto_t *old = json_object(), *change = json_of(body), *merged = NULL, *errors = NULL;
    if (settings_merge(old, change, stages, NOW_US, &merged, &errors) != ERR_INVALID)
        fail_msg("%s was taken", body);
    assert_null(merged);
    char lines[2048] = "";
    for (size_t i = 0; i < json_array_size(errors); i++) {
        const json_t *error = json_array_get(errors, i);
        assert_int_equal(json_object_size(error), 2);
        size_t used = strlen(lines);
        snprintf(lines + used, sizeof lines - used, "%s: %s\n", json_get_text(error, "field", "?"),
                 json_get_text(error, "detail", "?"));
    }
    assert_string_equal(lines, expected);
}

TEST(change_sets_the_members_it_names_and_leaves_the_rest)
{
    assert_merged("{}", "{\"enabled\":false}", "{\"enabled\":{\"value\":false,\"set_at\":1795464000000000}}");
    assert_merged(
        "{\"enabled\":{\"value\":false,\"by\":\"ann\"},\"mode\":{\"value\":\"observe\"}}",
        "{\"mode\":\"heal\",\"interval_s\":86400,\"reason\":\"r\",\"by\":\"bob\",\"until\":"
        "\"2026-11-23T22:00:00+01:00\"}",
        "{\"enabled\":{\"value\":false,\"by\":\"ann\"},"
        "\"mode\":{\"value\":\"heal\",\"set_at\":1795464000000000,\"reason\":\"r\",\"by\":\"bob\","
        "\"until\":1795467600000000},"
        "\"interval_s\":{\"value\":86400,\"set_at\":1795464000000000,\"reason\":\"r\",\"by\":\"bob\","
        "\"until\":1795467600000000}}");
    assert_merged("{}",
                  "{\"grace_overrides\":{\"review\":0},\"log_level\":\"debug\",\"reason\":null,\"by\":\"\"}",
                  "{\"grace_overrides\":{\"value\":{\"review\":0},\"set_at\":1795464000000000},"
                  "\"log_level\":{\"value\":\"debug\",\"set_at\":1795464000000000}}");
}

TEST(null_drops_an_override)
{
    assert_merged("{\"enabled\":{\"value\":false},\"mode\":{\"value\":\"observe\"}}", "{\"enabled\":null}",
                  "{\"mode\":{\"value\":\"observe\"}}");
    assert_merged("{}", "{\"enabled\":null,\"reason\":\"over\",\"by\":\"ann\"}", "{}");
}

TEST(ended_overrides_are_dropped_and_those_of_newer_versions_kept)
{
    assert_merged("{\"mode\":{\"value\":\"observe\",\"until\":1795464000000000},"
                  "\"plane_enabled\":{\"value\":false,\"until\":1795464000000001},"
                  "\"warp\":{\"value\":[9],\"shape\":1}}",
                  "{\"notify_unblock\":null}",
                  "{\"plane_enabled\":{\"value\":false,\"until\":1795464000000001},\"warp\":{\"value\":[9],"
                  "\"shape\":1}}");
}

TEST(values_have_their_own_type_and_no_other)
{
    assert_change_refused(
        "{\"enabled\":1,\"plane_enabled\":\"false\",\"mode\":\"Heal\",\"interval_s\":\"60\","
        "\"grace_default_s\":60.0,\"grace_overrides\":[],\"max_heals_per_pass\":true,"
        "\"notify_unblock\":0,\"log_level\":3}",
        "enabled: must be true or false\n"
        "plane_enabled: must be true or false\n"
        "mode: must be one of heal, observe\n"
        "interval_s: must be a whole number from 1 to 86400\n"
        "grace_default_s: must be a whole number from 0 to 31536000\n"
        "grace_overrides: must be an object of stages and seconds, at most 100\n"
        "max_heals_per_pass: must be a whole number from 0 to 100000\n"
        "notify_unblock: must be true or false\n"
        "log_level: must be one of error, warn, info, debug\n");
}

TEST(values_keep_within_their_limits)
{
    assert_change_refused("{\"interval_s\":0,\"grace_default_s\":-1,\"max_heals_per_pass\":100001,"
                          "\"grace_overrides\":{\"review\":31536001,\"testing\":1}}",
                          "interval_s: must be a whole number from 1 to 86400\n"
                          "grace_default_s: must be a whole number from 0 to 31536000\n"
                          "max_heals_per_pass: must be a whole number from 0 to 100000\n"
                          "grace_overrides.review: must be a whole number from 0 to 31536000\n");
    assert_change_refused("{\"grace_overrides\":{\"reveiw\":1}}",
                          "grace_overrides.reveiw: is no stage of the pipeline\n");
}

TEST(unknown_and_fixed_members_are_refused)
{
    assert_change_refused(
        "{\"enabeld\":false,\"http_listen\":\"x\",\"ORCH_LOG_LEVEL\":\"info\",\"revision\":null}",
        "enabeld: is no setting that can be changed at run time\n"
        "http_listen: is no setting that can be changed at run time\n"
        "ORCH_LOG_LEVEL: is no setting that can be changed at run time\n"
        "revision: is no setting that can be changed at run time\n");
}

TEST(remarks_are_short_plain_text)
{
    assert_change_refused(
        "{\"enabled\":false,\"reason\":7,\"by\":\"a\\nb\"}",
        "reason: must be text\nby: must not have line breaks or other control characters\n");
    assert_change_refused("{\"enabled\":false,\"reason\":\"a\\u0085b\"}",
                          "reason: must not have line breaks or other control characters\n");
    char remark[2 * LIMIT_REMARK + 3] = "";
    for (size_t i = 0; i < LIMIT_REMARK; i++)
        memcpy(remark + 2 * i, "\xc3\xbc", 3);
    AUTO_FREE char *fits = mem_printf("{\"enabled\":false,\"by\":\"%s\"}", remark);
    AUTO_FREE char *fitted =
        mem_printf("{\"enabled\":{\"value\":false,\"set_at\":1795464000000000,\"by\":\"%s\"}}", remark);
    assert_merged("{}", fits, fitted);
    AUTO_FREE char *longer = mem_printf("{\"enabled\":false,\"by\":\"%sx\"}", remark);
    assert_change_refused(longer, "by: must be at most 200 characters\n");
}

TEST(until_is_a_moment_within_the_coming_year)
{
    static const struct {
        const char *until, *problem;
    } bad[] = {
        {"\"2026-11-23T20:00:00Z\"", "until: must be in the future\n"},
        {"\"2026-11-23T21:00:00+02:00\"", "until: must be in the future\n"},
        {"\"2027-11-23T20:00:00Z\"", "until: must be less than a year ahead\n"},
        {"\"9999-01-01T00:00:00Z\"", "until: must be less than a year ahead\n"},
        {"\"2026-11-24T10:00:00\"",
         "until: must be an RFC 3339 date and time with a zone, like 2026-11-24T10:00:00Z\n"},
        {"\"tomorrow\"", "until: must be an RFC 3339 date and time with a zone, like 2026-11-24T10:00:00Z\n"},
        {"1795467600", "until: must be an RFC 3339 date and time with a zone, like 2026-11-24T10:00:00Z\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO_FREE char *body = mem_printf("{\"enabled\":false,\"until\":%s}", bad[i].until);
        assert_change_refused(body, bad[i].problem);
    }
    assert_merged("{}", "{\"enabled\":false,\"until\":\"2027-11-23T19:59:59Z\"}",
                  "{\"enabled\":{\"value\":false,\"set_at\":1795464000000000,\"until\":1826999999000000}}");
}

TEST(remarks_without_a_setting_are_refused)
{
    assert_change_refused("{}", "body: names no setting\n");
    assert_change_refused("[]", "body: must be a JSON object\n");
    assert_change_refused("{\"reason\":null}", "body: names no setting\n");
    assert_change_refused("{\"reason\":\"r\",\"until\":\"2026-11-24T20:00:00Z\"}",
                          "reason: goes with a setting, and the request names none\n"
                          "until: goes with a setting, and the request names none\n");
    assert_change_refused("{\"enabled\":null,\"until\":\"2026-11-24T20:00:00Z\"}",
                          "until: limits nothing: the request sets no member, it only drops overrides\n");
}

TEST(stored_overrides_that_make_no_sense_are_told)
{
    static const char *const good[] = {
        "{}", "{\"warp\":{\"value\":1}}",
        "{\"mode\":{\"value\":\"observe\",\"reason\":null,\"until\":null,\"extra\":1}}",
        "{\"grace_overrides\":{\"value\":{\"a stage of yesterday\":1}}}"};
    static const char *const bad[] = {"[]",
                                      "{\"enabled\":false}",
                                      "{\"warp\":1}",
                                      "{\"enabled\":{}}",
                                      "{\"enabled\":{\"value\":0}}",
                                      "{\"mode\":{\"value\":\"shadow\"}}",
                                      "{\"enabled\":{\"value\":false,\"until\":\"2026-11-24T20:00:00Z\"}}",
                                      "{\"enabled\":{\"value\":false,\"until\":0}}",
                                      "{\"enabled\":{\"value\":false,\"by\":1}}",
                                      "{\"interval_s\":{\"value\":0}}"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        json_auto_t *overrides = json_of(good[i]);
        assert_int_equal(overrides_check(overrides, NULL), ERR_OK);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct why why = {""};
        json_auto_t *overrides = json_of(bad[i]);
        if (overrides_check(overrides, &why) != ERR_INVALID)
            fail_msg("%s was taken", bad[i]);
        assert_non_null(strstr(why.text, "the stored setting"));
    }
}
