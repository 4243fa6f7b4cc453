/* The texts of messages: never refused by Telegram, whatever titles and templates hold. */

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/store/store.h"
#include "reconcile/message/message.h"
#include "reconcile/settings/message_template.h"
#include "reconcile/settings/settings.h"
#include "tests/support/test.h"

#define DEFAULT_TEMPLATE "🔧 reconciler: {work_item_id} {stage} unblocked (lost webhook)"
#define ISSUE "0d6f7b1e-3c3c-4a5e-8d6a-6f1f3d6a2b11"

static struct store_task task_of(char *title)
{
    return (struct store_task){.id = 44,
                               .work_item_id = (char *)(uintptr_t)"ORCH-44",
                               .title = title,
                               .repo = (char *)(uintptr_t)"acme/app",
                               .branch = (char *)(uintptr_t)"feature/ORCH-44",
                               .stage = (char *)(uintptr_t)"development"};
}

static char *filled_of(const char *template, const struct message_facts *facts)
{
    const struct settings settings = {.notify_template = (char *)(uintptr_t)template};
    return message_of_transition(&settings, facts);
}

static char *filled(const char *template, char *title)
{
    const struct store_task task = task_of(title);
    const struct message_facts facts = {
        .task = &task, .to_stage = "review", .outcome = "advanced", .reason = "ci: 2 of 2 contexts passed"};
    return filled_of(template, &facts);
}

/* Units as Telegram counts them, with the HTML read as it reads it; fails at what it would refuse. */
static size_t units_of(const char *html)
{
    static const char *const entities[] = {"&amp;", "&lt;", "&gt;"};
    size_t units = 0;
    assert_int_equal(utf8_valid_len(html, strlen(html)), strlen(html));
    for (const char *at = html; *at; units++) {
        assert_true(*at != '<' && *at != '>');
        size_t len = 1;
        if (*at == '&') {
            len = 0;
            for (size_t i = 0; i < ARRAY_LEN(entities); i++)
                if (strncmp(at, entities[i], strlen(entities[i])) == 0)
                    len = strlen(entities[i]);
            assert_true(len > 0);
        } else {
            while (((unsigned char)at[len] & 0xc0) == 0x80)
                len++;
        }
        units += len == 4 && *at != '&';
        at += len;
    }
    return units;
}

static void assert_filled(const char *template, const char *title, const char *expected)
{
    AUTO_FREE char *copy = mem_dup(title);
    AUTO_FREE char *text = filled(template, copy);
    assert_string_equal(text, expected);
}

TEST(every_placeholder_is_filled_in)
{
    assert_filled(
        "{work_item_id} {task_id} {title} {repo} {branch} {stage} {to_stage} {outcome} {reason}", "Basket",
        "ORCH-44 44 Basket acme/app feature/ORCH-44 development review advanced ci: 2 of 2 contexts "
        "passed");
    assert_filled(DEFAULT_TEMPLATE "!", NULL, "🔧 reconciler: ORCH-44 development unblocked (lost webhook)!");
    assert_filled("🔧 реконсилер: {work_item_id} {stage} разблокирована (потерян webhook)", NULL,
                  "🔧 реконсилер: ORCH-44 development разблокирована (потерян webhook)");
    assert_filled("no place at all", NULL, "no place at all");
    assert_filled("{stage}{stage}", NULL, "developmentdevelopment");
    assert_filled("", "Basket", "ORCH-44");
}

/* A message of a task in a project, where Gitea and Plane have pages. */
static void assert_linked(const char *template, char *branch, int64_t pull_request, const char *expected)
{
    struct project project = {
        .repo = "acme/app", .plane_project_id = "p1", .prefix = "ORCH", .base_branch = "main"};
    const struct settings settings = {.notify_template = (char *)(uintptr_t)template,
                                      .gitea_web_url = (char *)(uintptr_t)"https://git.example",
                                      .plane_web_url = (char *)(uintptr_t)"https://plane.example",
                                      .plane_workspace = (char *)(uintptr_t)"acme",
                                      .projects = &project,
                                      .n_projects = 1};
    struct store_task task = task_of(NULL);
    task.plane_id = (char *)(uintptr_t)ISSUE;
    task.branch = branch;
    const struct message_facts facts = {
        .task = &task, .to_stage = "review", .outcome = "advanced", .pull_request = pull_request};
    AUTO_FREE char *text = message_of_transition(&settings, &facts);
    assert_string_equal(text, expected);
}

TEST(the_default_text_is_followed_by_the_next_stage_and_the_links)
{
    char branch[] = "feature/ORCH-44", no_branch[] = "", long_branch[1000] = "";
    assert_linked(DEFAULT_TEMPLATE, branch, 0,
                  "🔧 reconciler: ORCH-44 development unblocked (lost webhook)\n"
                  "development → review · https://plane.example/acme/projects/p1/issues/" ISSUE
                  " · https://git.example/acme/app/src/branch/feature/ORCH-44");
    assert_linked(DEFAULT_TEMPLATE, branch, 5,
                  "🔧 reconciler: ORCH-44 development unblocked (lost webhook)\n"
                  "development → review · https://plane.example/acme/projects/p1/issues/" ISSUE
                  " · https://git.example/acme/app/pulls/5");
    memset(long_branch, 'x', sizeof long_branch - 1); /* a link that is cut leads nowhere */
    for (size_t i = 0; i < 2; i++)
        assert_linked(DEFAULT_TEMPLATE, i ? long_branch : no_branch, 0,
                      "🔧 reconciler: ORCH-44 development unblocked (lost webhook)\n"
                      "development → review · https://plane.example/acme/projects/p1/issues/" ISSUE);
    assert_filled(DEFAULT_TEMPLATE, NULL,
                  "🔧 reconciler: ORCH-44 development unblocked (lost webhook)\ndevelopment → review");
}

TEST(a_template_of_ones_own_has_the_links_where_it_asks_for_them)
{
    char branch[] = "b";
    assert_linked("{stage}", branch, 5, "development");
    assert_linked("{task_url} {branch_url} {pull_url}", branch, 5,
                  "https://plane.example/acme/projects/p1/issues/" ISSUE
                  " https://git.example/acme/app/src/branch/b https://git.example/acme/app/pulls/5");
    assert_filled("<{task_url}{branch_url}{pull_url}>", NULL, "&lt;&gt;");
}

TEST(html_is_text_in_titles_and_in_the_template)
{
    assert_filled("<b>{title}</b> & more", "a < b && c > d </b> <script>",
                  "&lt;b&gt;a &lt; b &amp;&amp; c &gt; d &lt;/b&gt; &lt;script&gt;&lt;/b&gt; &amp; more");
    assert_filled("{title}", "&lt;", "&amp;lt;");
    assert_filled("{title}", "{stage} {nothing}", "{stage} {nothing}"); /* once is enough */
}

TEST(broken_text_is_mended)
{
    assert_filled("{title}!", "a\xff\xc3z\n\tb\x01", "a??z  b !");
}

TEST(a_character_that_is_not_seen_is_a_blank)
{
    assert_filled("{title}!", "a\u202egpj\u202c.\u2028b\u2066c\u2069\ufeffd\U000e0041", "a gpj . b c  d !");
    assert_filled("{title}", "👩\u200d🔧", "👩\u200d🔧");
    AUTO_FREE char *text = message_of_webhook("acme/\u202eapp\u202c", "\u2029no");
    assert_string_equal(text, "🔕 reconciler: acme/ app :  no");
}

TEST(a_task_without_a_work_item_has_its_number)
{
    struct store_task task = {.id = 7, .stage = (char *)(uintptr_t)"review"};
    const struct message_facts facts = {.task = &task, .to_stage = "testing", .outcome = "advanced"};
    AUTO_FREE char *text = filled_of("{work_item_id}|{title}|{repo}|{reason}", &facts);
    assert_string_equal(text, "#7|||");
    AUTO_FREE char *blank = filled_of("{title} {branch}", &facts);
    assert_string_equal(strstr(blank, "#7"), "#7"); /* Telegram takes no empty message */
    task.work_item_id = (char *)(uintptr_t)"";
    AUTO_FREE char *empty = filled_of("{work_item_id}", &facts);
    assert_string_equal(empty, "#7");
}

TEST(a_long_message_is_cut_at_a_character)
{
    static const char *const pieces[] = {"x", "ü", "語", "🔧", "&", "<", "a&🔧"};
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        for (size_t before = 0; before < 5; before++) {
            size_t len = strlen(pieces[i]);
            AUTO_FREE char *template = mem_zero(before + LIMIT_MESSAGE_UNITS * len + 6, 1);
            memset(template, 'x', before);
            for (size_t k = 0; k < LIMIT_MESSAGE_UNITS; k++)
                memcpy(template + before + k * len, pieces[i], len);
            memcpy(template + before + LIMIT_MESSAGE_UNITS * len, "xxxxx", 5);
            AUTO_FREE char *text = filled(template, NULL);
            size_t units = units_of(text);
            assert_in_range(units, LIMIT_MESSAGE_UNITS - 1, LIMIT_MESSAGE_UNITS);
            assert_string_equal(text + strlen(text) - strlen("…"), "…");
        }
    }
}

TEST(what_just_fits_is_whole)
{
    AUTO_FREE char *template = mem_zero(LIMIT_MESSAGE_UNITS + 1, 1);
    memset(template, '>', LIMIT_MESSAGE_UNITS);
    AUTO_FREE char *text = filled(template, NULL);
    assert_int_equal(units_of(text), LIMIT_MESSAGE_UNITS);
    assert_null(strstr(text, "…"));
}

TEST(one_long_value_does_not_push_out_the_rest)
{
    enum { TITLE_MAX = 16 * 1024 };
    AUTO_FREE char *title = mem_zero(TITLE_MAX + 1, 1);
    memset(title, '<', TITLE_MAX);
    AUTO_FREE char *text = filled("{title}{title}{title} {stage}", title);
    assert_string_equal(text + strlen(text) - strlen(" development"), " development");
    assert_int_equal(units_of(text), 3 * LIMIT_MESSAGE_VALUE + strlen(" development"));
}

TEST(a_template_is_judged_before_it_is_used)
{
    static const char *const good[] = {"", "x", "{stage}", "{title}{reason}", "<b>", "100 % {outcome}"};
    static const char *const bad[] = {"{",         "}",       "{}",       "{stge}",      "{stage",  "stage}",
                                      "{{stage}}", "{Stage}", "{ stage}", "{to_stage}}", "{title}{"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_null(message_template_problem(good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_non_null(message_template_problem(bad[i]));
}

TEST(a_quarantine_says_which_task_and_where)
{
    struct store_task task = task_of(NULL);
    task.recent_heals = 4;
    AUTO_FREE char *text = message_of_quarantine(&task, 86400);
    assert_string_equal(text, "🚧 reconciler: ORCH-44 (acme/app) was healed 4 times in 24 h at development: "
                              "left to a person");
    task.work_item_id = task.repo = NULL;
    AUTO_FREE char *bare = message_of_quarantine(&task, 5400);
    assert_string_equal(bare,
                        "🚧 reconciler: #44 was healed 4 times in 90 min at development: left to a person");
}

TEST(a_digest_gives_the_number_and_the_first_few)
{
    static const char *const four[] = {"one", "two &lt;b&gt;", "three\nof two lines", "four"};
    AUTO_FREE char *few = message_digest(four, ARRAY_LEN(four));
    assert_string_equal(
        few, "🔧 reconciler: 4 tasks unblocked (lost webhooks)\n• one\n• two &lt;b&gt;\n• three\n• four");
    const char *many[60];
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = four[i % 4];
    AUTO_FREE char *sixty = message_digest(many, ARRAY_LEN(many));
    assert_string_equal(
        sixty,
        "🔧 reconciler: 60 tasks unblocked (lost webhooks)\n• one\n• two &lt;b&gt;\n• three\n• four\n• "
        "one\n… and 55 more");
}

TEST(a_digest_counts_tasks_apart_from_what_else_is_said)
{
    AUTO_FREE char *webhook = message_of_webhook("acme/app", "x"), *silence = message_of_silence("plane", 4);
    const struct store_task task = task_of(NULL);
    AUTO_FREE char *quarantine = message_of_quarantine(&task, 60), *replay = message_of_failed_replay(&task);
    const char *const texts[] = {"healed", "healed", webhook, silence, quarantine, replay, "healed"};
    static const struct {
        size_t from, n;
        const char *head;
    } cases[] = {
        {0, 2, "2 tasks unblocked (lost webhooks)\n"},
        {1, 2, "1 task unblocked (lost webhook), 1 other message\n"},
        {1, 5, "1 task unblocked (lost webhook), 4 other messages\n"},
        {0, 7, "3 tasks unblocked (lost webhooks), 4 other messages\n"},
        {2, 4, "4 messages in one\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *digest = message_digest(texts + cases[i].from, cases[i].n);
        AUTO_FREE char *expected = mem_printf("🔧 reconciler: %s", cases[i].head);
        assert_int_equal(strncmp(digest, expected, strlen(expected)), 0);
    }
}

TEST(a_digest_of_long_messages_keeps_within_the_limit)
{
    AUTO_FREE char *ampersands = mem_zero(LIMIT_MESSAGE_UNITS * 5 + 1, 1);
    for (size_t i = 0; i < LIMIT_MESSAGE_UNITS; i++)
        memcpy(ampersands + 5 * i, "&amp;", 5);
    const char *texts[60];
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        texts[i] = ampersands + (i % 5) * 5;
    AUTO_FREE char *digest = message_digest(texts, ARRAY_LEN(texts));
    assert_in_range(units_of(digest), 5 * 300, 5 * 300 + 80);
    assert_non_null(strstr(digest, "\n… and 55 more"));
}

TEST(what_cannot_be_shown_is_at_least_counted)
{
    AUTO_FREE char *one = message_placeholder(1, "Telegram");
    AUTO_FREE char *many = message_placeholder(60, "Telegram");
    assert_non_null(strstr(one, "1 message that"));
    assert_non_null(strstr(many, "60 messages that"));
    assert_true(units_of(one) < LIMIT_MESSAGE_UNITS && units_of(many) < LIMIT_MESSAGE_UNITS);
}

TEST(a_message_can_be_read_without_html)
{
    AUTO_FREE char *html = filled("<b>{title}</b> &", (char *)(uintptr_t)"&lt; 🔧");
    AUTO_FREE char *plain = message_plain(html);
    assert_string_equal(plain, "<b>&lt; 🔧</b> &");
}

TEST(what_is_wrong_with_a_webhook_is_text)
{
    AUTO_FREE char *webhook = message_of_webhook("acme/<b>", "webhook 7 is switched off & gone"),
                   *silence = message_of_silence("plane", 4);
    assert_string_equal(webhook, "🔕 reconciler: acme/&lt;b&gt;: webhook 7 is switched off &amp; gone");
    assert_string_equal(silence,
                        "🔕 reconciler: events of plane were lost for 4 tasks within an hour: does its "
                        "webhook still work?");
}
