/* One change to the world at a time, with the webhooks that Gitea would send for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "tests/sandbox/load.h"
#include "tests/sandbox/mailer.h"
#include "tests/sandbox/sandbox.h"
#include "tests/sandbox/world.h"

struct change {
    struct sandbox *sandbox;
    struct world *world;
    struct repo *repo;
    const json_t *json;
    struct out *out;
    struct why *why;
};

static enum err lacks(const struct change *c, const char *what)
{
    return why_set(c->why, ERR_INVALID, "%s: %s", c->repo ? c->repo->full_name : "change", what);
}

static const char *text_of(const struct change *c, const char *key, const char *fallback)
{
    return arena_text(&c->world->arena, json_get_text(c->json, key, fallback));
}

/* branches and commits */

/* What a push makes: a commit that has the files of the one before and those of "files". */
static struct commit *commit_pushed(const struct change *c, const struct commit *before)
{
    const char *sha = json_get_text(c->json, "sha", NULL), *path;
    struct commit *commit = repo_make_commit(c->repo, sha && sha_valid(sha) ? sha : NULL);
    json_t *content;
    for (size_t i = 0; before && i < before->files.n; i++) {
        const struct file *file = before->files.items[i];
        commit_put_file(c->repo, commit, file->path, file->content, file->len);
    }
    json_object_foreach(json_object_get(c->json, "files"), path, content)
    {
        const char *text = json_is_string(content) ? json_string_value(content) : "";
        commit_put_file(c->repo, commit, path, text,
                        json_is_string(content) ? json_string_length(content) : 0);
    }
    commit->message = text_of(c, "message", commit->message);
    commit->time_s = load_instant(c->json, "time", commit->time_s);
    return commit;
}

/* Moves the branch to a new commit, or makes the branch. */
static enum err change_push(const struct change *c)
{
    const char *name = json_get_text(c->json, "branch", NULL), *from = json_get_text(c->json, "from", NULL);
    if (!name)
        return lacks(c, "push needs a branch");
    struct branch *old = repo_own_branch(c->repo, name);
    struct commit *base = old ? old->commit : repo_own_commit(c->repo, from ? from : c->repo->default_branch);
    char before[SHA_SIZE] = "";
    if (old)
        snprintf(before, sizeof before, "%s", old->commit->sha);
    struct branch *branch = repo_set_branch(c->repo, name, commit_pushed(c, base));
    c->repo->empty = false;
    world_settle(c->world);
    out_text(c->out, "sha", branch->commit->sha);
    if (!*before)
        mail_create(c->sandbox, c->repo, branch);
    mail_push(c->sandbox, c->repo, branch, *before ? before : NULL);
    for (size_t i = 0; i < c->repo->pulls.n; i++) {
        const struct pull *pull = c->repo->pulls.items[i];
        if (!pull->closed && pull->head_repo == c->repo && strcmp(pull->head, name) == 0)
            mail_pull(c->sandbox, c->repo, pull, "synchronized", NULL);
    }
    return ERR_OK;
}

static enum err change_delete_branch(const struct change *c)
{
    const char *name = json_get_text(c->json, "branch", "");
    if (!repo_own_branch(c->repo, name))
        return lacks(c, "no such branch");
    repo_delete_branch(c->repo, name);
    mail_delete(c->sandbox, c->repo, name);
    return ERR_OK;
}

static enum err change_status(const struct change *c)
{
    const char *ref = json_get_text(c->json, "branch", json_get_text(c->json, "sha", ""));
    struct commit *commit = repo_own_commit(c->repo, ref);
    struct status *status;
    if (!commit)
        return lacks(c, "a status needs a branch or sha that exists");
    enum err err = load_status(c->repo, commit, c->json, &status, c->why);
    if (err)
        return err;
    out_text(c->out, "sha", commit->sha);
    out_int(c->out, "id", status->index);
    mail_status(c->sandbox, c->repo, commit, status);
    return ERR_OK;
}

/* pull requests */

static struct pull *pull_of(const struct change *c)
{
    return repo_pull(c->repo, json_get_int(c->json, "number", 0));
}

static enum err change_pull(const struct change *c)
{
    const char *head = json_get_text(c->json, "head", NULL);
    struct branch_room room;
    if (!head || !repo_branch(c->repo, head, &room))
        return lacks(c, "a pull request needs a head that exists");
    if (json_get_int(c->json, "number", 0) && pull_of(c))
        return lacks(c, "that number is taken");
    (void)repo_own_branch(c->repo, head);
    struct pull *pull = repo_add_pull(c->repo, json_get_int(c->json, "number", 0),
                                      json_get_text(c->json, "base", c->repo->default_branch), head);
    pull->title = text_of(c, "title", pull->title);
    pull->draft = json_get_bool(c->json, "draft", false);
    out_int(c->out, "number", pull->number);
    mail_pull(c->sandbox, c->repo, pull, "opened", NULL);
    return ERR_OK;
}

static enum err change_merge(const struct change *c)
{
    struct pull *pull = pull_of(c);
    if (!pull || pull->closed)
        return lacks(c, "no such open pull request");
    pull_merge(c->repo, pull, json_get_text(c->json, "user", "merger"));
    if (json_get_bool(c->json, "delete_branch", false)) {
        repo_delete_branch(c->repo, pull->head);
        mail_delete(c->sandbox, c->repo, pull->head);
    }
    world_settle(c->world);
    out_text(c->out, "sha", pull->merge_sha);
    mail_pull(c->sandbox, c->repo, pull, "closed", NULL);
    struct branch_room room;
    const struct branch *base = repo_branch(c->repo, pull->base, &room);
    if (base)
        mail_push(c->sandbox, c->repo, base, pull->merge_base);
    return ERR_OK;
}

static enum err set_closed(const struct change *c, bool closed)
{
    struct pull *pull = pull_of(c);
    if (!pull || pull->merged)
        return lacks(c, "no such unmerged pull request");
    pull->closed = closed;
    pull->closed_s = pull->updated_s = world_now_s();
    mail_pull(c->sandbox, c->repo, pull, closed ? "closed" : "reopened", NULL);
    return ERR_OK;
}

static enum err change_close(const struct change *c)
{
    return set_closed(c, true);
}

static enum err change_reopen(const struct change *c)
{
    return set_closed(c, false);
}

static enum err review_as(const struct change *c, const char *state)
{
    struct pull *pull = pull_of(c);
    struct review *review;
    if (!pull)
        return lacks(c, "no such pull request");
    json_t *json = json_copy((json_t *)(uintptr_t)c->json); /* shallow; jansson takes no const */
    if (state)
        json_put(json, "state", json_text(state));
    enum err err = load_review(c->repo, pull, json, &review, c->why);
    json_decref(json);
    if (err)
        return err;
    out_int(c->out, "review", review->id);
    if (review->state == REVIEW_APPROVED || review->state == REVIEW_CHANGES)
        mail_pull(c->sandbox, c->repo, pull, "reviewed", review);
    else if (review->state == REVIEW_REQUEST)
        mail_pull(c->sandbox, c->repo, pull, "review_requested", NULL);
    return ERR_OK;
}

static enum err change_review(const struct change *c)
{
    return review_as(c, NULL);
}

static enum err change_approve(const struct change *c)
{
    return review_as(c, "APPROVED");
}

static enum err change_reject(const struct change *c)
{
    return review_as(c, "REQUEST_CHANGES");
}

/* By id, or all of a user's. No webhook: Gitea has none for it. */
static enum err change_dismiss(const struct change *c)
{
    const struct pull *pull = pull_of(c);
    int64_t id = json_get_int(c->json, "review", 0);
    const char *user = json_get_text(c->json, "user", NULL);
    size_t found = 0;
    for (size_t i = 0; pull && i < pull->reviews.n; i++) {
        struct review *review = pull->reviews.items[i];
        bool meant = review->id == id || (user && review->user && strcmp(user, review->user) == 0);
        if (!meant)
            continue;
        review->dismissed = true;
        review->updated_s = world_now_s();
        found++;
    }
    return found ? ERR_OK : lacks(c, "no such review");
}

/* repositories and gates */

/* The old name keeps answering 301. */
static enum err change_rename(const struct change *c)
{
    const char *to = json_get_text(c->json, "to", ""), *slash = strchr(to, '/');
    if (!slash || slash == to || !slash[1])
        return lacks(c, "rename needs to: owner/name");
    struct world *world = c->world;
    char *old = arena_text(&world->arena, c->repo->full_name), *key = arena_text(&world->arena, to);
    for (char *at = old; *at; at++)
        *at = (char)(*at >= 'A' && *at <= 'Z' ? *at + 32 : *at);
    for (char *at = key; *at; at++)
        *at = (char)(*at >= 'A' && *at <= 'Z' ? *at + 32 : *at);
    c->repo->full_name = arena_text(&world->arena, to);
    c->repo->owner = arena_made(&world->arena, "%.*s", (int)(slash - to), to);
    c->repo->name = arena_text(&world->arena, slash + 1);
    map_put(&world->repos_by_name, old, NULL);
    map_put(&world->repos_by_name, key, c->repo);
    map_put(&world->renamed, old, (void *)(uintptr_t)c->repo->full_name);
    map_put(&world->renamed, key, NULL);
    return ERR_OK;
}

/* archived, hidden, private, empty, mirror, default_branch: as in a world. */
static enum err change_repo(const struct change *c)
{
    json_t *repo = json_deep_copy(c->json);
    json_put(repo, "full_name", json_text(c->repo->full_name));
    json_t *world = json_pack("{s:[o]}", "repos", repo);
    enum err err = load_world(c->world, world, c->why);
    json_decref(world);
    return err;
}

static enum err change_gate(const struct change *c)
{
    json_t *world = json_pack("{s:[O]}", "gates", c->json);
    enum err err = load_world(c->world, world, c->why);
    json_decref(world);
    return err;
}

static const struct verb {
    const char *name;
    enum err (*make)(const struct change *change);
    bool needs_repo;
} verbs[] = {
    {"status", change_status, true}, {"push", change_push, true},
    {"pull", change_pull, true},     {"merge", change_merge, true},
    {"close", change_close, true},   {"reopen", change_reopen, true},
    {"review", change_review, true}, {"approve", change_approve, true},
    {"reject", change_reject, true}, {"dismiss", change_dismiss, true},
    {"rename", change_rename, true}, {"delete_branch", change_delete_branch, true},
    {"repo", change_repo, true},     {"gate", change_gate, false},
};

static struct repo *repo_of(const struct world *world, const json_t *json)
{
    const char *full_name = json_get_text(json, "repo", ""), *slash = strchr(full_name, '/');
    char owner[128];
    if (!slash)
        return NULL;
    snprintf(owner, sizeof owner, "%.*s", (int)(slash - full_name), full_name);
    return world_repo(world, owner, slash + 1);
}

/* "webhook": "send", "lose" or "none" for this change alone. */
static enum err read_mail_mode(const json_t *json, enum mail_mode *mode, struct why *why)
{
    static const char *const names[] = {[MAIL_SEND] = "send", [MAIL_LOSE] = "lose", [MAIL_NONE] = "none"};
    const char *asked = json_get_text(json, "webhook", names[*mode]);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(asked, names[i]) == 0) {
            *mode = (enum mail_mode)i;
            return ERR_OK;
        }
    return why_set(why, ERR_INVALID, "webhook: send, lose or none");
}

enum err change_make(struct sandbox *sandbox, const json_t *json, struct out *out, struct why *why)
{
    struct world *world = sandbox->world;
    const char *asked = json_get_text(json, "do", "");
    struct change change = {sandbox, world, repo_of(world, json), json, out, why};
    size_t i = 0;
    while (i < ARRAY_LEN(verbs) && strcmp(verbs[i].name, asked) != 0)
        i++;
    if (i == ARRAY_LEN(verbs))
        return why_set(why, ERR_INVALID, "do \"%s\" is unknown", asked);
    if (verbs[i].needs_repo && !change.repo)
        return why_set(why, ERR_INVALID, "no such repo: %s", json_get_text(json, "repo", "(none given)"));
    enum mail_mode usual = world->mail_mode;
    enum err err = read_mail_mode(json, &world->mail_mode, why);
    out_open(out, NULL, '{');
    if (!err)
        err = verbs[i].make(&change);
    out_close(out, '}');
    world->mail_mode = usual;
    if (change.repo) { /* its object may show another name, time or number now */
        free(change.repo->shown);
        change.repo->shown = NULL;
    }
    return err;
}
