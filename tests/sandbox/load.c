#include "tests/sandbox/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/text.h"
#include "tests/sandbox/world.h"

#define GENERATED_MAX 10000000

int64_t load_instant(const json_t *json, const char *key, int64_t fallback_s)
{
    int64_t us;
    const char *text = json_get_text(json, key, NULL);
    return text && instant_parse(text, &us) ? us / 1000000 : fallback_s;
}

static const char *text_of(struct world *world, const json_t *json, const char *key, const char *fallback)
{
    return arena_text(&world->arena, json_get_text(json, key, fallback));
}

/* statuses and files */

enum err load_status(struct repo *repo, struct commit *commit, const json_t *json, struct status **ret,
                     struct why *why)
{
    struct world *world = repo->world;
    const char *state = json_get_text(json, "state", json_get_text(json, "status", NULL));
    if (!state)
        return why_set(why, ERR_INVALID, "%s: a status needs a state", repo->full_name);
    struct status *status =
        commit_add_status(world, commit, json_get_text(json, "context", "ci/build"), state);
    status->description = text_of(world, json, "description", "");
    status->target_url = text_of(world, json, "target_url", "");
    status->creator = text_of(world, json, "creator", "ci");
    status->created_s = load_instant(json, "created_at", status->created_s);
    *ret = status;
    return ERR_OK;
}

static enum err load_statuses(struct repo *repo, struct commit *commit, const json_t *rows, struct why *why)
{
    struct status *status;
    if (json_is_string(rows)) /* "statuses":"success" is one status of the usual context */
        (void)commit_add_status(repo->world, commit, "ci/build", json_string_value(rows));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        enum err err = load_status(repo, commit, json_array_get(rows, i), &status, why);
        if (err)
            return err;
    }
    return ERR_OK;
}

static void load_files(struct repo *repo, struct commit *commit, const json_t *files)
{
    const char *path;
    json_t *content;
    json_object_foreach((json_t *)(uintptr_t)files, path, content) /* jansson knows no const here */
    {
        const char *text = json_is_string(content) ? json_string_value(content) : "";
        commit_put_file(repo, commit, path, text, json_is_string(content) ? json_string_length(content) : 0);
    }
}

static enum err load_commit(struct repo *repo, const json_t *json, const char *time_key, struct commit **ret,
                            struct why *why)
{
    struct world *world = repo->world;
    const char *sha = json_get_text(json, "sha", NULL);
    if (sha && !sha_valid(sha))
        return why_set(why, ERR_INVALID, "%s: a sha has 40 lower-case hex digits", repo->full_name);
    struct commit *commit = repo_make_commit(repo, sha);
    commit->message = text_of(world, json, "message", commit->message);
    commit->author = text_of(world, json, "author", commit->author);
    commit->time_s = load_instant(json, time_key, commit->time_s);
    load_files(repo, commit, json_object_get(json, "files"));
    *ret = commit;
    return load_statuses(repo, commit, json_object_get(json, "statuses"), why);
}

/* branches */

static enum err load_branches(struct repo *repo, const json_t *rows, struct why *why)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *json = json_array_get(rows, i);
        const char *name = json_get_text(json, "name", NULL);
        struct commit *commit = NULL;
        if (!name)
            return why_set(why, ERR_INVALID, "%s: branch %zu has no name", repo->full_name, i);
        enum err err = load_commit(repo, json, "time", &commit, why);
        if (err)
            return err;
        struct branch *branch = repo_set_branch(repo, name, commit);
        branch->protected = json_get_bool(json, "protected", false);
        branch->broken = json_get_bool(json, "broken", false);
    }
    return ERR_OK;
}

static enum err load_commits(struct repo *repo, const json_t *rows, bool tags, struct why *why)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *json = json_array_get(rows, i);
        struct commit *commit = NULL;
        enum err err = load_commit(repo, json, "time", &commit, why);
        if (err)
            return err;
        if (tags)
            map_put(&repo->tags, text_of(repo->world, json, "name", ""), commit);
    }
    return ERR_OK;
}

/* pull requests */

static bool review_state_parse(const char *text, enum review_state *ret)
{
    for (int i = 0; i < REVIEW_STATE_MAX; i++)
        if (strcmp(text, review_state_names[i]) == 0) {
            *ret = (enum review_state)i;
            return true;
        }
    return false;
}

enum err load_review(struct repo *repo, struct pull *pull, const json_t *json, struct review **ret,
                     struct why *why)
{
    struct world *world = repo->world;
    enum review_state state;
    if (!review_state_parse(json_get_text(json, "state", "APPROVED"), &state))
        return why_set(why, ERR_INVALID,
                       "%s #%lld: a review's state is APPROVED, REQUEST_CHANGES, COMMENT, PENDING "
                       "or REQUEST_REVIEW",
                       repo->full_name, (long long)pull->number);
    bool decides = state == REVIEW_APPROVED || state == REVIEW_CHANGES || state == REVIEW_REQUEST;
    struct review *review = pull_add_review(world, pull, json_get_text(json, "user", NULL), state,
                                            json_get_bool(json, "official", decides));
    review->team = text_of(world, json, "team", NULL);
    review->body = text_of(world, json, "body", "");
    review->commit_id = text_of(world, json, "commit_id", review->commit_id);
    review->stale = json_get_bool(json, "stale", false);
    review->dismissed = json_get_bool(json, "dismissed", false);
    review->comments = json_get_int(json, "comments_count", 0);
    review->submitted_s = load_instant(json, "submitted_at", review->submitted_s);
    review->updated_s = load_instant(json, "updated_at", review->submitted_s);
    *ret = review;
    return ERR_OK;
}

/* The head's repository: "head_repo" names another (a fork), null: it was deleted. */
static enum err load_head_repo(struct repo *repo, struct pull *pull, const json_t *json, struct why *why)
{
    const json_t *named = json_object_get(json, "head_repo");
    if (json_is_null(named))
        pull->head_repo = NULL;
    const char *name = json_string_value(named), *slash = name ? strchr(name, '/') : NULL;
    if (!name)
        return ERR_OK;
    char owner[128];
    snprintf(owner, sizeof owner, "%.*s", slash ? (int)(slash - name) : 0, name);
    pull->head_repo = slash ? world_repo(repo->world, owner, slash + 1) : NULL;
    if (!pull->head_repo)
        return why_set(why, ERR_INVALID, "head_repo %s must be loaded before", name);
    struct branch_room room;
    const struct commit *commit = repo_commit(pull->head_repo, pull->head, &room);
    if (commit)
        snprintf(pull->head_sha, SHA_SIZE, "%s", commit->sha);
    return ERR_OK;
}

static void load_pull_ending(struct repo *repo, struct pull *pull, const json_t *json)
{
    struct world *world = repo->world;
    const char *merge_sha = json_get_text(json, "merge_commit_sha", NULL);
    pull->merged = json_get_bool(json, "merged", false);
    pull->closed = pull->merged || strcmp(json_get_text(json, "state", "open"), "closed") == 0;
    pull->merged_by = text_of(world, json, "merged_by", "merger");
    pull->merged_s = load_instant(json, "merged_at", pull->updated_s);
    pull->closed_s = load_instant(json, "closed_at", pull->merged_s);
    if (pull->merged)
        snprintf(pull->merge_sha, SHA_SIZE, "%s", merge_sha ? merge_sha : repo_make_commit(repo, NULL)->sha);
    if (json_get_bool(json, "head_deleted", false))
        repo_delete_branch(repo, pull->head);
}

static enum err load_pull(struct repo *repo, const json_t *json, struct why *why)
{
    struct world *world = repo->world;
    struct review *review;
    const char *head = json_get_text(json, "head", NULL), *sha = json_get_text(json, "head_sha", NULL);
    int64_t number = json_get_int(json, "number", 0);
    if (!head || (sha && !sha_valid(sha)) || (number && repo_pull(repo, number)))
        return why_set(why, ERR_INVALID,
                       "%s: a pull request needs a head, a sha of 40 digits and a new number",
                       repo->full_name);
    struct pull *pull = repo_add_pull(repo, number, json_get_text(json, "base", repo->default_branch), head);
    pull->title = text_of(world, json, "title", pull->title);
    pull->body = text_of(world, json, "body", "");
    pull->poster = text_of(world, json, "poster", "dev");
    pull->draft = json_get_bool(json, "draft", false);
    pull->agit = json_get_bool(json, "agit", false);
    pull->unmergeable = !json_get_bool(json, "mergeable", true);
    pull->comments = json_get_int(json, "comments", 0);
    pull->created_s = load_instant(json, "created_at", pull->created_s);
    enum err err = load_head_repo(repo, pull, json, why);
    if (sha)
        snprintf(pull->head_sha, SHA_SIZE, "%s", repo_make_commit(repo, sha)->sha);
    const json_t *reviews = json_object_get(json, "reviews");
    for (size_t i = 0; !err && i < json_array_size(reviews); i++)
        err = load_review(repo, pull, json_array_get(reviews, i), &review, why);
    pull->updated_s = load_instant(json, "updated_at", pull->updated_s);
    load_pull_ending(repo, pull, json);
    return err;
}

/* repositories */

static enum err load_repo(struct world *world, const json_t *json, struct why *why)
{
    const char *full_name = json_get_text(json, "full_name", ""), *slash = strchr(full_name, '/');
    char owner[128];
    if (!slash || slash == full_name || !slash[1] || strchr(slash + 1, '/') || strlen(full_name) > 200)
        return why_set(why, ERR_INVALID, "a repo needs a full_name owner/name");
    snprintf(owner, sizeof owner, "%.*s", (int)(slash - full_name), full_name);
    struct repo *repo = world_repo(world, owner, slash + 1);
    if (!repo)
        repo = world_add_repo(world, full_name);
    repo->id = json_get_int(json, "id", repo->id);
    repo->default_branch = text_of(world, json, "default_branch", repo->default_branch);
    repo->description = text_of(world, json, "description", repo->description);
    repo->private = json_get_bool(json, "private", repo->private);
    repo->hidden = json_get_bool(json, "hidden", repo->hidden);
    repo->archived = json_get_bool(json, "archived", repo->archived);
    repo->mirror = json_get_bool(json, "mirror", repo->mirror);
    repo->empty = json_get_bool(json, "empty", repo->empty);
    free(repo->shown);
    repo->shown = NULL;
    enum err err = load_branches(repo, json_object_get(json, "branches"), why);
    if (!err)
        err = load_commits(repo, json_object_get(json, "tags"), true, why);
    if (!err)
        err = load_commits(repo, json_object_get(json, "commits"), false, why);
    const json_t *pulls = json_object_get(json, "pulls");
    for (size_t i = 0; !err && i < json_array_size(pulls); i++)
        err = load_pull(repo, json_array_get(pulls, i), why);
    return err;
}

static enum err load_gates(struct world *world, const json_t *gates, struct why *why)
{
    for (size_t i = 0; i < json_array_size(gates); i++) {
        const json_t *json = json_array_get(gates, i);
        const char *name = json_get_text(json, "name", NULL), *query = json_get_text(json, "query", NULL);
        if (!name)
            return why_set(why, ERR_INVALID, "gate %zu has no name", i);
        struct gate_setting *gate = arena_get(&world->arena, sizeof *gate);
        gate->verdict = text_of(world, json, "verdict", "green");
        gate->reason = text_of(world, json, "reason", "");
        map_put(&world->gates,
                arena_made(&world->arena, "%s%s%s", name, query ? "?" : "", query ? query : ""), gate);
    }
    return ERR_OK;
}

static enum err load_renamed(struct world *world, const json_t *rows, struct why *why)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const char *from = json_get_text(json_array_get(rows, i), "from", NULL);
        const char *to = json_get_text(json_array_get(rows, i), "to", NULL);
        if (!from || !to)
            return why_set(why, ERR_INVALID, "renamed needs from and to");
        map_put(&world->renamed, arena_text(&world->arena, from), arena_text(&world->arena, to));
    }
    return ERR_OK;
}

enum err load_world(struct world *world, const json_t *document, struct why *why)
{
    const json_t *repos = json_object_get(document, "repos"), *hook = json_object_get(document, "webhook");
    enum err err = load_gitea(world, json_object_get(document, "gitea"), why);
    for (size_t i = 0; !err && i < json_array_size(repos); i++)
        err = load_repo(world, json_array_get(repos, i), why);
    if (!err)
        err = load_gates(world, json_object_get(document, "gates"), why);
    if (!err)
        err = load_renamed(world, json_object_get(document, "renamed"), why);
    if (hook)
        load_webhook(world, hook);
    const json_t *generate = json_object_get(document, "generate");
    for (size_t i = 0; !err && i < json_array_size(generate); i++)
        err = load_generate(world, json_array_get(generate, i), why);
    world_settle(world);
    return err;
}

enum err load_gitea(struct world *world, const json_t *document, struct why *why)
{
    const char *version = json_get_text(document, "version", NULL);
    if (version && !world_set_version(world, version))
        return why_set(why, ERR_INVALID, "version: 1.22 or later");
    if (json_object_get(document, "token"))
        world->token = text_of(world, document, "token", NULL);
    if (json_object_get(document, "token_scope"))
        world->token_scope = text_of(world, document, "token_scope", NULL);
    world->root_url = text_of(world, document, "root_url", world->root_url);
    world->zone_min = (int)json_get_int(document, "zone_minutes", world->zone_min);
    for (size_t i = 0; document && i < world->repos.n; i++) {
        struct repo *repo = world->repos.items[i];
        free(repo->shown); /* it names the root URL and prints times */
        repo->shown = NULL;
    }
    return ERR_OK;
}

void load_webhook(struct world *world, const json_t *document)
{
    if (json_object_get(document, "url"))
        world->hook_url = text_of(world, document, "url", NULL);
    if (json_object_get(document, "secret"))
        world->hook_secret = text_of(world, document, "secret", NULL);
    if (json_object_get(document, "lose"))
        world->mail_mode = json_get_bool(document, "lose", false) ? MAIL_LOSE : MAIL_SEND;
}

enum err load_generate(struct world *world, const json_t *document, struct why *why)
{
    const char *full_name = json_get_text(document, "repo", "");
    int64_t branches = json_get_int(document, "branches", 0);
    if (branches < 0 || branches > GENERATED_MAX)
        return why_set(why, ERR_INVALID, "branches: 0 to %d", GENERATED_MAX);
    json_t *json = json_pack("{s:s, s:[]}", "full_name", full_name, "branches");
    enum err err = load_repo(world, json, why);
    json_decref(json);
    if (err)
        return err;
    char owner[128];
    const char *slash = strchr(full_name, '/');
    snprintf(owner, sizeof owner, "%.*s", (int)(slash - full_name), full_name);
    struct repo *repo = world_repo(world, owner, slash + 1);
    struct branch_room room;
    if (!repo_branch(repo, repo->default_branch, &room))
        repo_set_branch(repo, repo->default_branch, repo_make_commit(repo, NULL));
    repo->generated = branches;
    repo->generated_time_s = world_now_s() - 86400;
    repo->generated_state = text_of(world, document, "state", "success");
    repo->generated_context = text_of(world, document, "context", "ci/build");
    return ERR_OK;
}
