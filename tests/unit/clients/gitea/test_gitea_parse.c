/* Gitea's answers, from their bytes. */

#include "clients/base/err.h"
#include "clients/base/jsonx.h"
#include "clients/gitea/gitea_parse.h"
#include "tests/support/clients/http/names.h"
#include "tests/support/test.h"

#define SHA "0123456789abcdef0123456789abcdef01234567"

static struct arena arena;

static int arena_close(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static json_t *json_of(const char *text)
{
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(json);
    return json;
}

static struct fetch_answer answer_of(int status, const char *type, const char *body)
{
    struct fetch_answer answer = {.result = FETCH_ANSWERED, .status = status, .total_count = -1};
    snprintf(answer.content_type, sizeof answer.content_type, "%s", type);
    answer.body = (char *)(uintptr_t)body;
    answer.body_len = body ? strlen(body) : 0;
    return answer;
}

/* the answer as such */

TEST(every_odd_answer_is_told_apart_in_words)
{
    (void)state;
    static const struct {
        int status;
        const char *type, *body;
        enum fact_state state;
        const char *error;
    } cases[] = {
        {200, "application/json", "{}", FACT_KNOWN, NULL},
        {200, "text/plain", " [] ", FACT_KNOWN, NULL},
        {200, "application/json", " null\n", FACT_KNOWN, NULL},
        {200, "application/json", "nullx", FACT_FAILED, "Gitea's answer for X is cut or broken: not JSON"},
        {200, "application/json", NULL, FACT_FAILED, "Gitea answered 200 with an empty body for X"},
        {200, "application/json", "{\"a\":[1,", FACT_FAILED,
         "Gitea's answer for X is cut or broken: not JSON"},
        {200, "text/html", "<html>sign in", FACT_FAILED,
         "Gitea answered 200 (text/html) for X: a page, not the API"},
        {200, "", "17", FACT_FAILED, "Gitea's answer for X is cut or broken: not JSON"},
        {404, "application/json", "{\"errors\":[],\"message\":\"not found\",\"url\":\"u\"}", FACT_ABSENT,
         "Gitea knows no X (or the token may not see it)"},
        {404, "application/json", "{\"message\":\"no Route matched with those values\"}", FACT_FAILED,
         "Gitea answered 404 for X: no Route matched with those values; not Gitea's own answer, is THE_URL "
         "right?"},
        {404, "text/plain", "404 page not found\n", FACT_FAILED,
         "Gitea answered 404 (text/plain) for X; not Gitea's own answer, is THE_URL right?"},
        {404, "text/html", "<html>", FACT_FAILED,
         "Gitea answered 404 (text/html) for X; not Gitea's own answer, is THE_URL right?"},
        {404, "", NULL, FACT_FAILED,
         "Gitea answered 404 (no content type) for X; not Gitea's own answer, is THE_URL right?"},
        {502, "text/html", "<html>", FACT_FAILED, "Gitea answered 502 (text/html) for X"},
        {503, "", NULL, FACT_FAILED, "Gitea answered 503 (no content type) for X"},
        {500, "application/json", "{\"message\":\"\",\"url\":\"u\"}", FACT_FAILED,
         "Gitea answered 500 (application/json) for X"},
        {429, "application/json", "{\"message\":\"slow down\"}", FACT_FAILED,
         "Gitea answered 429 for X: slow down"},
        {401, "application/json", "{\"message\":\"invalid username, password or token\"}", FACT_FAILED,
         "Gitea answered 401 for X: invalid username, password or token; is THE_TOKEN right?"},
        {403, "application/json", "{\"message\":\"token does not have scope\"}", FACT_FAILED,
         "Gitea answered 403 for X: token does not have scope; what may THE_TOKEN do?"},
        {403, "application/json", "{\"message\":17}", FACT_FAILED,
         "Gitea answered 403 (application/json) for X; what may THE_TOKEN do?"},
        {301, "text/html", "<a>", FACT_FAILED,
         "Gitea answered 301 (text/html) for X; a redirect elsewhere, is THE_URL right?"},
        {204, "", NULL, FACT_FAILED, "Gitea answered 204 (no content type) for X"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fetch_answer answer = answer_of(cases[i].status, cases[i].type, cases[i].body);
        struct gitea_reply reply;
        gitea_reply_read(&answer, "X", &test_names, &arena, &reply);
        assert_int_equal(reply.state, cases[i].state);
        if (cases[i].error)
            assert_memory_equal(reply.error, cases[i].error, strlen(cases[i].error));
        assert_int_equal(reply.json != NULL, cases[i].state == FACT_KNOWN);
        json_decref(reply.json);
    }
}

TEST(what_a_proxy_may_have_answered_blames_no_token)
{
    (void)state;
    struct fetch_answer answer = answer_of(403, "text/html", "<html>");
    struct gitea_reply reply;
    snprintf(answer.proxy, sizeof answer.proxy, "the proxy p:1 (http_proxy)");
    gitea_reply_read(&answer, "X", &test_names, &arena, &reply);
    assert_string_equal(reply.error,
                        "the proxy p:1 (http_proxy), or what is behind it, answered 403 (text/html) for X");
    answer = answer_of(403, "application/json", "{\"message\":\"no scope\"}");
    snprintf(answer.proxy, sizeof answer.proxy, "the proxy p:1 (http_proxy)");
    gitea_reply_read(&answer, "X", &test_names, &arena, &reply);
    assert_string_equal(reply.error, "Gitea answered 403 for X: no scope; what may THE_TOKEN do?");
}

TEST(a_long_message_is_cut_and_made_printable)
{
    char body[1000];
    snprintf(body, sizeof body, "{\"message\":\"a\\nb%0500d\"}", 0);
    struct fetch_answer answer = answer_of(422, "application/json", body);
    struct gitea_reply reply;
    gitea_reply_read(&answer, "X", &test_names, &arena, &reply);
    assert_memory_equal(reply.error, "Gitea answered 422 for X: a b000", 32);
    assert_true(strlen(reply.error) <= strlen("Gitea answered 422 for X: ") + 120);
}

TEST(what_never_became_an_answer_is_named)
{
    (void)state;
    struct fetch_answer answer = {.result = FETCH_TIMED_OUT, .error = "timed out after 10 s"};
    struct gitea_reply reply;
    gitea_reply_read(&answer, "X", &test_names, &arena, &reply);
    assert_int_equal(reply.state, FACT_FAILED);
    assert_string_equal(reply.error, "Gitea: timed out after 10 s, asked for X");
    answer.result = FETCH_ABORTED;
    gitea_reply_read(&answer, "X", &test_names, &arena, &reply);
    assert_string_equal(reply.error, "stopped before Gitea answered");
}

TEST(health_is_an_answer_of_the_api_that_does_not_refuse_us)
{
    static const struct {
        int status;
        const char *type, *body;
        enum fetch_sign sign, allowed;
    } cases[] = {
        {200, "application/json", "{\"a\":1}", FETCH_SIGN_GOOD, FETCH_SIGN_GOOD},
        {200, "application/json", " []", FETCH_SIGN_GOOD, FETCH_SIGN_GOOD},
        {200, "application/json", "null", FETCH_SIGN_GOOD, FETCH_SIGN_GOOD},
        {200, "text/html", "<p>", FETCH_SIGN_BAD, FETCH_SIGN_BAD},
        {200, "application/json", NULL, FETCH_SIGN_BAD, FETCH_SIGN_BAD},
        {301, "text/html", "x", FETCH_SIGN_GOOD, FETCH_SIGN_GOOD},
        {404, "application/json", "{\"message\":\"not found\",\"url\":\"u\"}", FETCH_SIGN_GOOD,
         FETCH_SIGN_GOOD},
        {404, "text/html", "x", FETCH_SIGN_BAD, FETCH_SIGN_BAD},
        {422, "text/html", "x", FETCH_SIGN_GOOD, FETCH_SIGN_GOOD},
        {429, "text/html", "x", FETCH_SIGN_BAD, FETCH_SIGN_BAD},
        {401, "text/html", "x", FETCH_SIGN_BAD, FETCH_SIGN_BAD},
        {403, "text/html", "x", FETCH_SIGN_BAD, FETCH_SIGN_NONE},
        {500, "text/html", "x", FETCH_SIGN_BAD, FETCH_SIGN_BAD},
        {502, "text/html", "x", FETCH_SIGN_BAD, FETCH_SIGN_BAD},
    };
    char error[160];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fetch_answer answer = answer_of(cases[i].status, cases[i].type, cases[i].body);
        assert_int_equal(gitea_judge(&answer, error, sizeof error), cases[i].sign);
        assert_int_equal(gitea_judge_allowed(&answer, error, sizeof error), cases[i].allowed);
    }
    assert_string_equal(error, "answered 502 (text/html)");
    struct fetch_answer silent = {.result = FETCH_UNREACHABLE, .error = "connection refused"};
    assert_int_equal(gitea_judge(&silent, error, sizeof error), FETCH_SIGN_BAD);
    assert_string_equal(error, "connection refused");
}

/* branches */

TEST(a_branch_is_its_name_and_its_commit_id)
{
    static const struct {
        const char *text, *wrong, *name;
    } cases[] = {
        {"{\"name\":\"feature/x\",\"commit\":{\"id\":\"" SHA "\",\"url\":\"u\"},\"protected\":false}", NULL,
         "feature/x"},
        {"{\"name\":7,\"commit\":{\"id\":\"" SHA "\"}}", NULL, "7"},
        {"{\"commit\":{\"id\":\"" SHA "\"}}", "a branch without a name", NULL},
        {"{\"name\":\"x\"}", "a branch without a commit id", NULL},
        {"{\"name\":\"x\",\"commit\":null}", "a branch without a commit id", NULL},
        {"{\"name\":\"x\",\"commit\":{\"id\":12345678901234}}", "a branch without a commit id", NULL},
        {"{\"name\":\"x\",\"commit\":{\"sha\":\"" SHA "\"}}", "a branch without a commit id", NULL},
        {"{\"name\":\"x\",\"commit\":{\"id\":\"not a sha at all\"}}", "a branch without a commit id", NULL},
        {"null", "not a branch", NULL},
        {"[]", "not a branch", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *json = json_of(cases[i].text);
        struct gitea_branch branch;
        const char *wrong = gitea_parse_branch(json, &arena, &branch);
        json_decref(json);
        if (cases[i].wrong) {
            assert_string_equal(wrong, cases[i].wrong);
            continue;
        }
        assert_null(wrong);
        assert_string_equal(branch.name, cases[i].name);
        assert_string_equal(branch.sha, SHA);
    }
}

TEST(an_empty_repo_lists_null_branches)
{
    struct gitea_page page;
    json_t *json = json_of("null");
    assert_null(gitea_parse_branches(json, NULL, &arena, &page));
    assert_int_equal(page.n, 0);
    json_decref(json);
    json = json_of("{\"branches\":[]}");
    assert_string_equal(gitea_parse_branches(json, NULL, &arena, &page), "not a list of branches");
    json_decref(json);
    json = json_of("[{\"name\":\"a\"}]");
    assert_string_equal(gitea_parse_branches(json, NULL, &arena, &page), "a branch without a commit id");
    json_decref(json);
}

/* statuses */

static const char *statuses_of(const char *text, struct gitea_page *page)
{
    json_t *json = json_of(text);
    const char *wrong = gitea_parse_statuses(json, SHA, &arena, page);
    json_decref(json);
    return wrong;
}

TEST(no_status_yet_looks_different_in_every_version)
{
    (void)state;
    static const char *const none[] = {
        /* up to 1.24 */
        "{\"state\":\"\",\"sha\":\"\",\"total_count\":0,\"statuses\":null,\"repository\":null,\"commit_url\":"
        "\"\",\"url\":\"\"}",
        /* 1.25 */
        "{\"state\":\"\",\"sha\":\"" SHA "\",\"total_count\":0,\"statuses\":null,\"repository\":{}}",
        /* from 1.26 */
        "{\"state\":\"pending\",\"sha\":\"" SHA "\",\"total_count\":0,\"statuses\":null,\"repository\":{}}",
        "{\"state\":\"pending\",\"sha\":\"" SHA "\",\"total_count\":0,\"statuses\":[]}",
    };
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        struct gitea_page page;
        assert_null(statuses_of(none[i], &page));
        assert_int_equal(page.n, 0);
    }
}

TEST(statuses_are_read_with_all_their_states)
{
    (void)state;
    struct gitea_page page;
    assert_null(
        statuses_of("{\"state\":\"warning\",\"sha\":\"" SHA "\",\"total_count\":7,\"statuses\":["
                    "{\"id\":7,\"status\":\"success\",\"context\":\"a\",\"target_url\":\"http://x/1\"},"
                    "{\"id\":6,\"status\":\"skipped\",\"context\":\"b\",\"target_url\":null},"
                    "{\"id\":\"5\",\"status\":\"pending\",\"context\":3},"
                    "{\"id\":4,\"status\":\"failure\",\"context\":\"d\"},"
                    "{\"id\":3,\"status\":\"error\",\"context\":\"e\"},"
                    "{\"id\":2,\"status\":\"warning\",\"context\":null},"
                    "{\"id\":1,\"status\":\"levitating\",\"context\":\"g\"}]}",
                    &page));
    const struct gitea_status_row *rows = page.rows;
    assert_int_equal(page.n, 7);
    static const enum gitea_state states[] = {GITEA_SUCCESS, GITEA_SKIPPED, GITEA_PENDING,   GITEA_FAILURE,
                                              GITEA_ERROR,   GITEA_WARNING, GITEA_UNHEARD_OF};
    static const char *const contexts[] = {"a", "b", "3", "d", "e", "", "g"};
    for (size_t i = 0; i < page.n; i++) {
        assert_int_equal(rows[i].id, 7 - (int64_t)i);
        assert_int_equal(rows[i].status.state, states[i]);
        assert_string_equal(rows[i].status.context, contexts[i]);
    }
    assert_string_equal(rows[0].status.target_url, "http://x/1");
    assert_null(rows[1].status.target_url);
    assert_string_equal(gitea_state_name(GITEA_SKIPPED), "skipped");
    assert_string_equal(gitea_state_name(GITEA_UNHEARD_OF), "unheard of");
}

TEST(statuses_that_make_no_sense_are_refused)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"message\":\"ok\"}", "not a combined status"},
        {"[]", "not a combined status"},
        {"{\"statuses\":null,\"total_count\":3}", "not a combined status"},
        {"{\"statuses\":{}}", "not a list of statuses"},
        {"{\"sha\":\"ffff456789abcdef0123456789abcdef01234567\",\"statuses\":[]}",
         "it is about another commit, perhaps of a branch named like this one"},
        {"{\"statuses\":[17]}", "not a status"},
        {"{\"statuses\":[{\"context\":\"a\"}]}", "a status without a state"},
        {"{\"statuses\":[{\"context\":\"a\",\"status\":1}]}", "a status without a state"},
        {"{\"statuses\":[{\"context\":{},\"status\":\"success\"}]}", "a status whose context is no text"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct gitea_page page;
        const char *wrong = statuses_of(cases[i][0], &page);
        assert_non_null(wrong);
        assert_string_equal(wrong, cases[i][1]);
    }
}

/* pull requests */

#define BASE "\"base\":{\"ref\":\"main\",\"label\":\"main\",\"sha\":\"" SHA "\",\"repo_id\":5}"

TEST(a_pull_request_is_open_merged_or_closed)
{
    (void)state;
    static const struct {
        const char *text;
        bool readable;
        enum gitea_pull_state state;
        bool foreign;
    } cases[] = {
        {"{\"number\":3,\"state\":\"open\",\"merged\":false," BASE ",\"head\":{\"ref\":\"x\",\"repo_id\":5}}",
         true, GITEA_PULL_OPEN, false},
        {"{\"number\":\"3\",\"state\":\"closed\",\"merged\":true," BASE
         ",\"head\":{\"ref\":\"x\",\"repo_id\":5}}",
         true, GITEA_PULL_MERGED, false},
        {"{\"number\":3,\"state\":\"closed\",\"merged\":false," BASE
         ",\"head\":{\"ref\":\"x\",\"repo_id\":6}}",
         true, GITEA_PULL_CLOSED, true},
        {"{\"number\":3,\"state\":\"closed\"," BASE
         ",\"head\":{\"ref\":\"refs/pull/3/head\",\"repo_id\":-1}}",
         true, GITEA_PULL_CLOSED, true},
        {"{\"number\":3,\"state\":\"open\"," BASE ",\"head\":{\"ref\":\"x\"}}", true, GITEA_PULL_OPEN, false},
        {"{\"number\":3,\"state\":\"ajar\"," BASE ",\"head\":{}}", false, 0, false},
        {"{\"number\":3,\"state\":\"open\",\"merged\":\"no\"," BASE ",\"head\":{}}", false, 0, false},
        {"{\"state\":\"open\"," BASE ",\"head\":{}}", false, 0, false},
        {"{\"number\":3,\"state\":\"open\",\"head\":{}}", false, 0, false},
        {"null", false, 0, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *json = json_of(cases[i].text);
        struct gitea_pull_row row;
        gitea_parse_pull(json, &arena, &row);
        json_decref(json);
        assert_int_equal(row.readable, cases[i].readable);
        if (!row.readable)
            continue;
        assert_int_equal(row.number, 3);
        assert_int_equal(row.state, cases[i].state);
        assert_int_equal(row.foreign, cases[i].foreign);
        assert_string_equal(row.base, "main");
    }
}

/* reviews */

TEST(reviews_are_read_with_ghosts_and_teams)
{
    (void)state;
    struct gitea_page page;
    json_t *json = json_of(
        "[{\"id\":1,\"user\":{\"id\":4,\"login\":\"ann\"},\"state\":\"APPROVED\",\"official\":true,"
        "\"stale\":false,\"dismissed\":false,\"commit_id\":\"" SHA "\"},"
        "{\"id\":2,\"user\":{\"id\":-1,\"login\":\"Ghost\"},\"state\":\"REQUEST_CHANGES\",\"stale\":true},"
        "{\"id\":3,\"user\":null,\"team\":{\"name\":\"t\"},\"state\":\"REQUEST_REVIEW\"},"
        "{\"id\":4,\"user\":{\"login\":\"bob\"},\"state\":\"COMMENT\",\"dismissed\":1},"
        "{\"id\":5,\"user\":{\"login\":\"bob\"},\"state\":\"PENDING\"},"
        "{\"id\":6,\"user\":{\"login\":\"bob\"},\"state\":\"APPLAUSE\"}]");
    assert_null(gitea_parse_reviews(json, NULL, &arena, &page));
    json_decref(json);
    const struct gitea_review *rows = page.rows;
    assert_int_equal(page.n, 6);
    assert_string_equal(rows[0].user, "ann");
    assert_true(rows[0].official && !rows[0].stale && !rows[0].dismissed);
    assert_string_equal(rows[0].commit_id, SHA);
    static const enum gitea_review_state states[] = {GITEA_REVIEW_APPROVED,  GITEA_REVIEW_CHANGES,
                                                     GITEA_REVIEW_REQUESTED, GITEA_REVIEW_COMMENT,
                                                     GITEA_REVIEW_PENDING,   GITEA_REVIEW_OTHER};
    for (size_t i = 0; i < page.n; i++)
        assert_int_equal(rows[i].state, states[i]);
    assert_null(rows[1].user);
    assert_true(rows[1].stale);
    assert_null(rows[2].user);
    assert_true(rows[3].dismissed);
    json = json_of("[{\"state\":\"APPROVED\",\"stale\":\"maybe\"}]");
    assert_string_equal(gitea_parse_reviews(json, NULL, &arena, &page),
                        "a review whose flags are neither true nor false");
    json_decref(json);
    json = json_of("[{\"state\":1}]");
    assert_string_equal(gitea_parse_reviews(json, NULL, &arena, &page), "a review without a state");
    json_decref(json);
}

/* trees */

TEST(only_files_and_symlinks_are_files)
{
#define ROW(path, type) "{\"path\":\"" path "\",\"type\":\"" type "\",\"sha\":\"id of " path "\"}"
#define ALL ROW("s", "tree") "," ROW("m", "commit") "," ROW("a.md", "blob") "," ROW("l", "blob")
    static const struct {
        const char *text, *name, *wrong;
        enum gitea_tree_kind kind;
        const char *found;
        size_t n, total;
        bool truncated;
    } cases[] = {
        {"{\"tree\":[" ALL "],\"truncated\":false,\"page\":1,\"total_count\":4}", NULL, NULL, GITEA_TREE_FILE,
         "a.md", 4, 4, false},
        {"{\"tree\":[" ALL "],\"truncated\":true,\"total_count\":9}", "l", NULL, GITEA_TREE_FILE, "l", 4, 9,
         true},
        {"{\"tree\":[" ALL "]}", "s", NULL, GITEA_TREE_FOLDER, "s", 4, 0, false},
        {"{\"tree\":[" ALL "]}", "m", NULL, GITEA_TREE_OTHER, "m", 4, 0, false},
        {"{\"tree\":[" ALL "]}", "a", NULL, GITEA_TREE_NONE, NULL, 4, 0, false},
        {"{\"tree\":[" ROW("s", "tree") "]}", NULL, NULL, GITEA_TREE_NONE, NULL, 1, 0, false},
        {"{\"tree\":null,\"total_count\":7}", "a", NULL, GITEA_TREE_NONE, NULL, 0, 7, false},
        {.text = "{\"message\":\"ok\"}", .wrong = "not a tree"},
        {.text = "null", .wrong = "not a tree"},
        {.text = "[]", .wrong = "not a tree"},
        {.text = "{\"tree\":[],\"truncated\":\"no\"}", .wrong = "not a tree"},
        {.text = "{\"tree\":[{\"path\":\"x\",\"sha\":\"1\"}]}",
         .wrong = "an entry without a path, a type or an id"},
        {.text = "{\"tree\":[{\"path\":\"x\",\"type\":\"blob\"}]}",
         .wrong = "an entry without a path, a type or an id"},
        {.text = "{\"tree\":[" ROW("x", "wormhole") "]}",
         .wrong = "an entry without a path, a type or an id"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *json = json_of(cases[i].text);
        struct gitea_tree_page page;
        const char *wrong = gitea_parse_tree(json, cases[i].name, &arena, &page);
        json_decref(json);
        if (cases[i].wrong) {
            assert_string_equal(wrong, cases[i].wrong);
            continue;
        }
        assert_null(wrong);
        assert_int_equal(page.found.kind, cases[i].kind);
        assert_int_equal(page.n, cases[i].n);
        assert_int_equal(page.total, cases[i].total);
        assert_int_equal(page.truncated, cases[i].truncated);
        if (!cases[i].found) {
            assert_null(page.found.name);
            continue;
        }
        assert_string_equal(page.found.name, cases[i].found);
        AUTO_FREE char *id = mem_printf("id of %s", cases[i].found);
        assert_string_equal(page.found.id, id);
    }
}

TEST_GROUP(NULL, arena_close)
