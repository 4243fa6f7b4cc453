/* The bodies of webhooks that are sent again: as Go and as Python write them. */
#include <jansson.h>

#include "clients/base/err.h"
#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/gitea/gitea_event.h"
#include "clients/plane/plane_event.h"
#include "tests/support/test.h"

static json_t *json_of(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    return json;
}

static void assert_written(char *(*write)(const json_t *), const char *from, const char *expected)
{
    json_auto_t *json = json_of(from);
    AUTO_FREE char *text = write(json);
    assert_string_equal(text, expected);
}

TEST(an_event_beyond_its_limit_is_none)
{
    AUTO_FREE char *text = mem_zero(LIMIT_EVENT + 1, 1);
    memset(text, 'x', LIMIT_EVENT);
    json_auto_t *json = json_string(text);
    assert_null(event_gitea_text(json));
    assert_null(event_plane_text(json));
}

TEST(gitea_writes_as_go_does)
{
    assert_written(
        event_gitea_text, "{\"b\":[1,-2],\"a\":{},\"c\":[],\"d\":{\"x\":null,\"y\":true,\"z\":false}}",
        "{\n  \"b\": [\n    1,\n    -2\n  ],\n  \"a\": {},\n  \"c\": [],\n  \"d\": {\n    \"x\": null,\n"
        "    \"y\": true,\n    \"z\": false\n  }\n}");
    assert_written(
        event_gitea_text,
        "[\"<a href=\\\"x\\\">&\\\\/\\n\\r\\t\\b\\f\\u0001\\u007f\",\"\\u2028\\u2029\\u2027☂🔧é\"]",
        "[\n  \"\\u003ca href=\\\"x\\\"\\u003e\\u0026\\\\/\\n\\r\\t\\b\\f\\u0001\x7f\",\n"
        "  \"\\u2028\\u2029\xe2\x80\xa7☂🔧é\"\n]");
}

TEST(plane_writes_as_python_does)
{
    assert_written(event_plane_text,
                   "{\"b\":[1,-2],\"a\":{},\"c\":[],\"d\":{\"x\":null,\"y\":true,\"z\":false}}",
                   "{\"b\": [1, -2], \"a\": {}, \"c\": [], \"d\": {\"x\": null, \"y\": true, \"z\": false}}");
    assert_written(
        event_plane_text, "[\"<a>&\\\\/\\\"\\n\\r\\t\\b\\f\\u0001\\u007f\",\"☂🔧é\\uFFFD\"]",
        "[\"<a>&\\\\/\\\"\\n\\r\\t\\b\\f\\u0001\\u007f\", \"\\u2602\\ud83d\\udd27\\u00e9\\ufffd\"]");
    assert_written(
        event_plane_text,
        "[65535.0,0.0,-0.5,0.1,1e16,1.5e300,123456.789,1e-5,0.0001,9007199254740993.0,2e15]",
        "[65535.0, 0.0, -0.5, 0.1, 1e+16, 1.5e+300, 123456.789, 1e-05, 0.0001, 9007199254740992.0, "
        "2000000000000000.0]");
}

#define REPOSITORY "{\"id\":1,\"full_name\":\"o/r\"}"
#define PULL "{\"id\":5,\"number\":17,\"merged\":true,\"merged_by\":{\"login\":\"bob\"}}"

TEST(a_status_has_the_members_of_the_webhook_in_their_order)
{
    (void)state;
    json_auto_t *repository = json_of(REPOSITORY);
    json_auto_t *commit = json_of("{\"id\":\"abc\",\"message\":\"m\"}");
    json_auto_t *status = json_of("{\"id\":3,\"status\":\"success\",\"target_url\":\"http://ci/?a=1&b=2\","
                                  "\"description\":\"done\",\"context\":\"ci/build\",\"creator\":{\"login\":"
                                  "\"ann\"},\"created_at\":\"2026-11-24T06:30:00+05:30\"}");
    json_auto_t *git_commit = json_of("{\"files\":[{\"filename\":\"a.c\",\"status\":\"added\"},{\"filename\":"
                                      "\"b.c\",\"status\":\"modified\"}]}");
    AUTO_FREE char *text = event_gitea_status(repository, commit, git_commit, status);
    assert_string_equal(
        text, "{\n  \"commit\": {\n    \"id\": \"abc\",\n    \"message\": \"m\",\n    \"verification\": "
              "null,\n    \"added\": [\n      \"a.c\"\n    ],\n    \"removed\": [],\n"
              "    \"modified\": [\n      \"b.c\"\n    ]\n  },\n"
              "  \"context\": \"ci/build\",\n  \"created_at\": \"2026-11-24T01:00:00Z\",\n"
              "  \"description\": \"done\",\n  \"id\": 3,\n  \"repository\": {\n    \"id\": 1,\n"
              "    \"full_name\": \"o/r\"\n  },\n  \"sender\": {\n    \"login\": \"ann\"\n  },\n"
              "  \"sha\": \"abc\",\n  \"state\": \"success\",\n"
              "  \"target_url\": \"http://ci/?a=1\\u0026b=2\",\n  \"updated_at\": "
              "\"2026-11-24T01:00:00Z\"\n}");
}

TEST(reviews_and_merges_are_told_as_gitea_tells_them)
{
    json_auto_t *repository = json_of(REPOSITORY);
    json_auto_t *pull = json_of(PULL);
    json_auto_t *review = json_of("{\"id\":9,\"user\":{\"login\":\"ann\"},\"body\":\"fine\"}");
    const struct gitea_release newest = {.names_reviewer = true};
    AUTO_FREE char *approved = event_gitea_approved(&newest, repository, pull, review);
    AUTO_FREE char *closed = event_gitea_closed(repository, pull);
    json_auto_t *first = json_of(approved);
    json_auto_t *second = json_of(closed);
    AUTO_FREE char *first_line = json_line(first);
    AUTO_FREE char *second_line = json_line(second);
    assert_string_equal(first_line, "{\"action\":\"reviewed\",\"number\":17,\"pull_request\":" PULL
                                    ",\"requested_reviewer\":{\"login\":\"ann\"},\"repository\":" REPOSITORY
                                    ",\"sender\":{\"login\":\"ann\"},\"commit_id\":\"\",\"review\":{\"type\":"
                                    "\"pull_request_review_approved\",\"content\":\"fine\"}}");
    assert_string_equal(second_line, "{\"action\":\"closed\",\"number\":17,\"pull_request\":" PULL
                                     ",\"requested_reviewer\":null,\"repository\":" REPOSITORY
                                     ",\"sender\":{\"login\":\"bob\"},\"commit_id\":\"\",\"review\":null}");
}

TEST(documents_that_are_none_make_no_event)
{
    json_auto_t *repository = json_of(REPOSITORY);
    json_auto_t *pull = json_of("{\"number\":17,\"merged\":false}");
    json_auto_t *nothing = json_of("{}");
    const struct gitea_release release = {.forgejo = false};
    assert_null(event_gitea_status(repository, nothing, nothing, nothing));
    assert_null(event_gitea_status(NULL, NULL, NULL, NULL));
    assert_null(event_gitea_approved(&release, repository, nothing, nothing));
    assert_null(event_gitea_closed(repository, pull));
    assert_null(event_plane_issue(nothing, NULL));
}

#define STATE "{\"id\":\"s2\",\"name\":\"Approved\",\"color\":\"#fff\",\"group\":\"started\"}"

TEST(an_issue_is_told_in_utc_with_what_was_done_to_it)
{
    (void)state;
    json_auto_t *issue =
        json_of("{\"id\":\"i\",\"created_at\":\"2026-11-24T06:30:00.000250+05:30\","
                "\"updated_at\":\"2026-11-24T01:00:00Z\",\"completed_at\":null,\"name\":\"é\","
                "\"sort_order\":65535.0,\"workspace\":\"w\",\"created_by\":\"u1\",\"state\":" STATE "}");
    json_auto_t *actor = json_string("u2");
    const struct event_plane_change change = {.old_state = "s1", .new_state = "s2", .actor = actor};
    AUTO_FREE char *updated = event_plane_issue(issue, &change);
    const char *data =
        "\"workspace_id\": \"w\", \"data\": {\"id\": \"i\", \"labels\": [], \"assignees\": null, "
        "\"state\": {\"id\": \"s2\", \"name\": \"Approved\", \"color\": \"#fff\", "
        "\"group\": \"started\"}, \"description\": {}, \"created_at\": "
        "\"2026-11-24T01:00:00.000250Z\", \"updated_at\": \"2026-11-24T01:00:00Z\", "
        "\"completed_at\": null, \"name\": \"\\u00e9\", \"sort_order\": 65535.0, ";
    assert_non_null(strstr(updated, data));
    assert_int_equal(
        strncmp(updated, "{\"event\": \"issue\", \"action\": \"updated\", \"webhook_id\": \"", 51), 0);
    assert_non_null(strstr(updated, "\"activity\": {\"field\": \"state_id\", \"new_value\": \"s2\", "
                                    "\"old_value\": \"s1\", \"actor\": {\"id\": \"u2\", "));
    AUTO_FREE char *created = event_plane_issue(issue, NULL);
    assert_non_null(strstr(created, "\"action\": \"created\""));
    assert_non_null(strstr(created,
                           "\"activity\": {\"field\": null, \"new_value\": null, \"old_value\": null, "
                           "\"actor\": {\"id\": \"u1\", "));
}
