/* Events made of what real servers answered, held against the webhooks that those servers sent about the same
 * objects: byte for byte, except members that changed between the two or that the API does not show (see
 * tests/golden/README.md and openapi/openapi.yaml). */
#include <fnmatch.h>

#include <jansson.h>

#include "clients/base/err.h"
#include "clients/base/jsonx.h"
#include "clients/gitea/gitea_event.h"
#include "clients/plane/plane.h"
#include "clients/plane/plane_event.h"
#include "clients/plane/plane_parse.h"
#include "tests/support/test.h"

#define GOLDEN "tests/golden/"

static char *golden_text(const char *server, const char *below, const char *name)
{
    AUTO_FREE char *path = mem_printf(GOLDEN "%s/%s/%s.json", server, below, name);
    FILE *file = fopen(path, "re");
    if (!file)
        fail_msg("%s is not there", path);
    char *text = NULL;
    size_t size = 0;
    assert_true(getdelim(&text, &size, '\0', file) > 0);
    assert_int_equal(fclose(file), 0);
    return text;
}

/* What the server answered. */
static json_t *answer_of(const char *server, const char *name)
{
    AUTO_FREE char *text = golden_text(server, "rest", name);
    json_auto_t *record = json_loads(text, 0, NULL);
    json_t *json = json_loads(json_get_text(record, "body_text", ""), 0, NULL);
    if (!json)
        fail_msg("%s of %s is no JSON", name, server);
    return json;
}

/* comparing */

static bool is_listed(const char *path, const char *const *listed)
{
    for (; *listed; listed++)
        if (fnmatch(*listed, path, 0) == 0)
            return true;
    return false;
}

/* Puts the original's value in the place of a listed member of the replay. */
static void take_over(json_t *replay, const json_t *original, const char *path, const char *const *listed)
{
    const char *key;
    json_t *value, *other;
    size_t i;
    json_object_foreach((json_t *)(uintptr_t)original, key, value)
    {
        AUTO_FREE char *below = mem_printf("%s%s%s", path, *path ? "." : "", key);
        if (!(other = json_object_get(replay, key)))
            continue;
        if (is_listed(below, listed))
            json_put(replay, key, json_incref(value));
        else
            take_over(other, value, below, listed);
    }
    json_array_foreach(original, i, value)
    {
        AUTO_FREE char *below = mem_printf("%s.%zu", path, i);
        if ((other = json_array_get(replay, i)))
            take_over(other, value, below, listed);
    }
}

static void assert_replays(const char *server, const char *name, const char *text, const char *const *listed,
                           char *(*write)(const json_t *))
{
    AUTO_FREE char *original_text = golden_text(server, "webhooks", name);
    if (!text)
        fail_msg("%s of %s: no event is made", name, server);
    json_auto_t *replay = json_loads(text, 0, NULL);
    json_auto_t *original = json_loads(original_text, 0, NULL);
    AUTO_FREE char *again = write(replay);
    assert_string_equal(text, again);
    take_over(replay, original, "", listed);
    AUTO_FREE char *like_original = write(replay);
    size_t at = 0;
    while (like_original[at] && like_original[at] == original_text[at])
        at++;
    if (like_original[at] != original_text[at])
        fail_msg("%s of %s differs at %zu:\n%.200s\n--- original ---\n%.200s", name, server, at,
                 like_original + (at > 60 ? at - 60 : 0), original_text + (at > 60 ? at - 60 : 0));
}

/* Gitea */

/* A repository's size, its counters and its time moved on; what a user hides is shown to an administrator's
 * token, and permissions are those of the token. */
#define SEEN_LATER "*repository.size", "*repository.updated_at", "*repo.size", "*repo.updated_at"
#define SEEN_BY_TOKEN                                                                                        \
    "*user.email", "*user.last_login", "*user.active", "sender.email", "sender.last_login", "sender.active", \
        "sender.login_name", "requested_reviewer.email", "requested_reviewer.last_login",                    \
        "requested_reviewer.active", "requested_reviewer.login_name", "*repository.permissions.*",           \
        "*repo.permissions.*"
/* The pull request was merged after its review. */
#define MERGED_LATER                                                                              \
    "*open_pr_counter", "pull_request.milestone.*", "pull_request.state", "pull_request.merged*", \
        "pull_request.merge_commit_sha", "pull_request.base.sha", "pull_request.closed_at"
#define COMMENTED_LATER "pull_request.comments", "pull_request.updated_at"

static const char *const of_status[] = {"id", SEEN_LATER, NULL};
static const char *const of_review[] = {SEEN_LATER, SEEN_BY_TOKEN, MERGED_LATER, COMMENTED_LATER, NULL};
static const char *const of_merge[] = {SEEN_LATER, SEEN_BY_TOKEN, COMMENTED_LATER, NULL};

static const struct {
    const char *server, *webhook;
    bool is_forgejo; /* the build that was recorded answers "development" for its version */
} of_gitea[] = {
    {"gitea-1.25.4", "status", false},
    {"gitea-1.25.4", "pull_request_review_approved", false},
    {"gitea-1.25.4", "pull_request_merged", false},
    {"gitea-1.22.6", "pull_request_review_approved", false},
    {"gitea-1.22.6", "pull_request_merged", false},
    {"forgejo-2024-11", "pull_request_review_approved", true},
    {"forgejo-2024-11", "pull_request_merged", true},
};

static void hold_status(const char *server)
{
    json_auto_t *repository = answer_of(server, "repo");
    json_auto_t *branch = answer_of(server, "branch_feature_a_b_x_");
    json_auto_t *git_commit = answer_of(server, "commit1");
    json_auto_t *combined = answer_of(server, "commit1_status");
    AUTO_FREE char *text = event_gitea_status(repository, json_object_get(branch, "commit"), git_commit,
                                              json_array_get(json_object_get(combined, "statuses"), 0));
    assert_replays(server, "status", text, of_status, event_gitea_text);
}

static void hold_pull(const char *server, const char *webhook, const struct gitea_release *release)
{
    bool is_review = strcmp(webhook, "pull_request_merged") != 0;
    json_auto_t *repository = answer_of(server, "repo");
    json_auto_t *pull = answer_of(server, "pull1");
    json_auto_t *reviews = answer_of(server, "pull1_reviews");
    const json_t *review = json_array_get(reviews, json_array_size(reviews) - 1);
    AUTO_FREE char *text = is_review ? event_gitea_approved(release, repository, pull, review)
                                     : event_gitea_closed(repository, pull);
    assert_replays(server, webhook, text, is_review ? of_review : of_merge, event_gitea_text);
}

TEST(replays_of_gitea_equal_its_webhooks)
{
    for (size_t i = 0; i < ARRAY_LEN(of_gitea); i++) {
        json_auto_t *version = answer_of(of_gitea[i].server, "version");
        if (of_gitea[i].is_forgejo)
            json_put(version, "version", json_text("10.0.0+gitea-1.22.0"));
        const struct gitea_release release = event_gitea_release(version);
        if (strcmp(of_gitea[i].webhook, "status") == 0)
            hold_status(of_gitea[i].server);
        else
            hold_pull(of_gitea[i].server, of_gitea[i].webhook, &release);
    }
}

/* Plane */

/* An API key changes `state`, the web `state_id`: activities do not show which. */
static const char *const of_verdict[] = {"webhook_id", "data.description", "data.description_*", NULL};
static const char *const of_key[] = {"webhook_id", "data.description", "data.description_*", "activity.field",
                                     NULL};
static const char *const of_edited[] = {"webhook_id",      "data.description",   "data.description_*",
                                        "data.updated_at", "activity.old_value", NULL};
static const char *const of_moved_on[] = {
    "webhook_id", "data.description",  "data.description_*", "data.updated_at",
    "data.state", "data.completed_at", "data.updated_by",    NULL};

static const struct {
    const char *name;
    const char *const *listed;
    bool created;
} of_plane[] = {
    {"approve_by_web", of_verdict, false},       {"reject_by_web", of_verdict, false},
    {"reject_by_other_user", of_verdict, false}, {"start_float", of_verdict, false},
    {"approve_by_api_key", of_key, false},       {"start_by_api_key", of_key, false},
    {"created_in_progress", of_moved_on, true},  {"reject_in_module", of_edited, false},
};

static json_t *plane_answer(const char *name, const char *what)
{
    AUTO_FREE char *file = mem_printf("%s_%s", name, what);
    return answer_of("plane-1.3.1", file);
}

TEST(replays_of_plane_equal_its_webhooks)
{
    for (size_t i = 0; i < ARRAY_LEN(of_plane); i++) {
        struct plane_change change;
        bool more;
        json_auto_t *issue = plane_answer(of_plane[i].name, "issue_expanded");
        json_auto_t *bare = plane_answer(of_plane[i].name, "issue");
        json_auto_t *activities = plane_answer(of_plane[i].name, "activities");
        assert_null(plane_parse_changes(activities, &change, &more));
        json_auto_t *actor = change.actor ? json_loads(change.actor, JSON_DECODE_ANY, NULL) : NULL;
        const struct event_plane_change told = {
            .old_state = change.old_state, .new_state = change.new_state, .actor = actor};
        event_plane_order(issue, bare);
        AUTO_FREE char *text = event_plane_issue(issue, of_plane[i].created ? NULL : &told);
        assert_replays("plane-1.3.1", of_plane[i].name, text, of_plane[i].listed, event_plane_text);
        plane_change_done(&change);
    }
}

TEST(releases_are_told_apart_by_their_version)
{
    static const struct {
        const char *version;
        struct gitea_release release;
    } cases[] = {
        {"1.22.6", {false, false, false, false}},
        {"1.23.0", {false, true, false, false}},
        {"1.23.1", {false, true, false, false}},
        {"1.23.2", {false, true, false, true}},
        {"1.24.0-rc0", {false, true, true, true}},
        {"1.25.4", {false, true, true, true}},
        {"1.26.0+dev-12", {false, true, true, true}},
        {"development", {false, true, true, true}},
        {"9.0.3+gitea-1.22.0", {true, true, false, false}},
        {"2.0.0", {false, true, true, true}},
        {"1.x", {false, true, true, true}},
        {"", {false, true, true, true}},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_auto_t *version = json_pack("{s:s}", "version", cases[i].version);
        struct gitea_release release = event_gitea_release(version);
        if (release.forgejo != cases[i].release.forgejo ||
            release.names_reviewer != cases[i].release.names_reviewer ||
            release.names_target != cases[i].release.names_target ||
            release.sends_status != cases[i].release.sends_status)
            fail_msg("%s is taken for another release", cases[i].version);
    }
}
