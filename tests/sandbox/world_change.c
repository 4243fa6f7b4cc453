#include "tests/sandbox/world.h"

#include <ctype.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/text.h"

static void sha_of(const void *bytes, size_t len, char ret_sha[SHA_SIZE])
{
    unsigned char digest[SHA_DIGEST_LENGTH];
    SHA1(bytes, len, digest);
    for (size_t i = 0; i < SHA_DIGEST_LENGTH; i++)
        snprintf(ret_sha + i * 2, 3, "%02x", digest[i]);
}

struct repo *world_add_repo(struct world *world, const char *full_name)
{
    struct arena *arena = &world->arena;
    struct repo *repo = arena_get(arena, sizeof *repo);
    const char *slash = strchr(full_name, '/');
    char seed[SHA_SIZE];
    repo->world = world;
    repo->id = ++world->last_id;
    repo->owner = arena_made(arena, "%.*s", (int)(slash - full_name), full_name);
    repo->name = arena_text(arena, slash + 1);
    repo->full_name = arena_text(arena, full_name);
    repo->default_branch = "main";
    repo->description = "";
    repo->private = true;
    repo->created_s = repo->updated_s = world_now_s();
    sha_of(full_name, strlen(full_name), seed);
    snprintf(repo->generated_seed, sizeof repo->generated_seed, "%.32s", seed);
    list_add(arena, &world->repos, repo);
    char *key = arena_text(arena, full_name);
    for (char *c = key; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    map_put(&world->repos_by_name, key, repo);
    map_put(&world->renamed, key, NULL);
    return repo;
}

struct commit *repo_make_commit(struct repo *repo, const char *sha)
{
    struct world *world = repo->world;
    char made[SHA_SIZE];
    if (!sha) {
        char text[300];
        int len = snprintf(text, sizeof text, "%s %lld", repo->full_name, (long long)++world->last_id);
        sha_of(text, (size_t)len, made);
        sha = made;
    }
    struct commit *commit = map_get(&repo->commits, sha);
    if (commit)
        return commit;
    commit = arena_get(&world->arena, sizeof *commit);
    snprintf(commit->sha, sizeof commit->sha, "%s", sha);
    commit->message = "work";
    commit->author = "dev";
    commit->time_s = world_now_s();
    map_put(&repo->commits, commit->sha, commit);
    return commit;
}

/* Gitea sets a review stale when the head moves away from the commit it was given for. */
static void pull_moves(struct pull *pull, const char *sha)
{
    if (pull->closed || strcmp(pull->head_sha, sha) == 0)
        return;
    snprintf(pull->head_sha, SHA_SIZE, "%s", sha);
    pull->updated_s = world_now_s();
    for (size_t i = 0; i < pull->reviews.n; i++) {
        struct review *review = pull->reviews.items[i];
        if (review->state == REVIEW_APPROVED || review->state == REVIEW_CHANGES)
            review->stale = strcmp(review->commit_id, sha) != 0;
    }
}

static void pulls_follow(struct repo *repo, const struct branch *branch)
{
    struct world *world = repo->world;
    for (size_t r = 0; r < world->repos.n; r++) {
        struct repo *base = world->repos.items[r];
        for (size_t i = 0; i < base->pulls.n; i++) {
            struct pull *pull = base->pulls.items[i];
            if (pull->head_repo == repo && !pull->agit && strcmp(pull->head, branch->name) == 0)
                pull_moves(pull, branch->commit->sha);
        }
    }
}

struct branch *repo_set_branch(struct repo *repo, const char *name, struct commit *commit)
{
    struct arena *arena = &repo->world->arena;
    struct branch_room room;
    const struct branch *generated = repo_branch(repo, name, &room);
    struct branch *branch = map_get(&repo->branches, name);
    if (!branch) {
        branch = arena_get(arena, sizeof *branch);
        branch->name = arena_text(arena, name);
        branch->generated = generated ? generated->generated : 0;
        map_put(&repo->branches, branch->name, branch);
        branch->deleted = true;
    }
    if (branch->deleted && branch->generated == 0)
        list_add(arena, &repo->branch_list, branch);
    branch->deleted = false;
    branch->commit = commit;
    repo->unsorted = true;
    pulls_follow(repo, branch);
    return branch;
}

struct branch *repo_own_branch(struct repo *repo, const char *name)
{
    struct branch_room room;
    const struct branch *branch = repo_branch(repo, name, &room);
    if (!branch || branch != &room.branch)
        return map_get(&repo->branches, name) && branch ? map_get(&repo->branches, name) : NULL;
    return repo_set_branch(repo, name, repo_own_commit(repo, room.commit.sha));
}

struct commit *repo_own_commit(struct repo *repo, const char *ref)
{
    struct branch_room room;
    const struct commit *found = repo_git_commit(repo, ref, &room);
    if (!found || found != &room.commit)
        return found ? map_get(&repo->commits, found->sha) : NULL;
    struct commit *commit = map_get(&repo->commits, room.commit.sha);
    if (commit)
        return commit;
    commit = repo_make_commit(repo, room.commit.sha);
    commit->time_s = room.commit.time_s;
    if (room.commit.statuses.n)
        commit_add_status(repo->world, commit, room.status.context, room.status.state)->created_s =
            room.status.created_s;
    return commit;
}

/* Without its head branch an open pull request is closed. */
static void pulls_close(struct repo *repo, const char *head)
{
    struct world *world = repo->world;
    for (size_t r = 0; r < world->repos.n; r++) {
        struct repo *base = world->repos.items[r];
        for (size_t i = 0; i < base->pulls.n; i++) {
            struct pull *pull = base->pulls.items[i];
            if (pull->closed || pull->head_repo != repo || pull->agit || strcmp(pull->head, head) != 0)
                continue;
            pull->closed = true;
            pull->closed_s = pull->updated_s = world_now_s();
        }
    }
}

void repo_delete_branch(struct repo *repo, const char *name)
{
    struct branch *branch = repo_own_branch(repo, name);
    if (!branch)
        return;
    branch->deleted = true;
    pulls_close(repo, name);
    size_t kept = 0;
    for (size_t i = 0; i < repo->branch_list.n; i++)
        if (repo->branch_list.items[i] != branch)
            repo->branch_list.items[kept++] = repo->branch_list.items[i];
    repo->branch_list.n = kept;
}

struct status *commit_add_status(struct world *world, struct commit *commit, const char *context,
                                 const char *state)
{
    struct status *status = arena_get(&world->arena, sizeof *status);
    status->index = (int64_t)commit->statuses.n + 1;
    status->id = ++world->last_id;
    status->context = arena_text(&world->arena, context);
    status->state = arena_text(&world->arena, state);
    status->description = status->target_url = "";
    status->creator = "ci";
    status->created_s = world_now_s();
    list_add(&world->arena, &commit->statuses, status);
    for (size_t i = 0; i < commit->latest.n; i++)
        if (strcmp(((struct status *)commit->latest.items[i])->context, context) == 0) {
            /* keeps `latest` in the order of the index */
            memmove(&commit->latest.items[i], &commit->latest.items[i + 1],
                    (commit->latest.n - i - 1) * sizeof(void *));
            commit->latest.n--;
            break;
        }
    list_add(&world->arena, &commit->latest, status);
    return status;
}

/* The folders that a file is in. An id stands for a folder of one commit, not, as git's, for what it holds.
 */
static void trees_put(struct repo *repo, const struct commit *commit, const char *path)
{
    struct arena *arena = &repo->world->arena;
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        const char *name = arena_made(arena, "%s:%.*s", commit->sha, (int)(slash - path), path);
        if (map_get(&repo->trees, name))
            continue;
        struct tree *tree = arena_get(arena, sizeof *tree);
        tree->commit = commit;
        tree->path = strchr(name, ':') + 1;
        sha_of(name, strlen(name), tree->id);
        map_put(&repo->trees, name, tree);
        map_put(&repo->trees, tree->id, tree);
    }
}

void commit_put_file(struct repo *repo, struct commit *commit, const char *path, const char *content,
                     size_t len)
{
    struct world *world = repo->world;
    trees_put(repo, commit, path);
    struct file *file = arena_get(&world->arena, sizeof *file);
    char *copy = arena_get(&world->arena, len + 1);
    memcpy(copy, content, len);
    file->path = arena_text(&world->arena, path);
    file->content = copy;
    file->len = len;
    sha_of(content, len, file->sha);
    size_t at = 0;
    int order = -1;
    while (at < commit->files.n && (order = strcmp(((struct file *)commit->files.items[at])->path, path)) < 0)
        at++;
    if (at < commit->files.n && order == 0) {
        commit->files.items[at] = file;
        return;
    }
    list_add(&world->arena, &commit->files, file);
    memmove(&commit->files.items[at + 1], &commit->files.items[at],
            (commit->files.n - at - 1) * sizeof(void *));
    commit->files.items[at] = file;
}

struct pull *repo_add_pull(struct repo *repo, int64_t number, const char *base, const char *head)
{
    struct arena *arena = &repo->world->arena;
    struct branch_room room;
    struct pull *pull = arena_get(arena, sizeof *pull);
    const struct commit *commit = repo_commit(repo, head, &room);
    pull->number = number ? number : repo->last_pull + 1;
    if (pull->number > repo->last_pull)
        repo->last_pull = pull->number;
    pull->id = ++repo->world->last_id;
    pull->title = arena_text(arena, head);
    pull->body = "";
    pull->poster = "dev";
    pull->base = arena_text(arena, base);
    pull->head = arena_text(arena, head);
    pull->head_repo = repo;
    snprintf(pull->head_sha, SHA_SIZE, "%s", commit ? commit->sha : repo_make_commit(repo, NULL)->sha);
    const struct commit *base_commit = repo_commit(repo, base, &room);
    snprintf(pull->merge_base, SHA_SIZE, "%s", base_commit ? base_commit->sha : "");
    pull->created_s = pull->updated_s = world_now_s();
    list_add(arena, &repo->pulls, pull);
    map_put(&repo->pulls_by_number, arena_made(arena, "%lld", (long long)pull->number), pull);
    return pull;
}

/* A new review ends the requests for it: models/issues/review.go, CreateReview. */
static void requests_end(struct pull *pull, const char *user)
{
    size_t kept = 0;
    for (size_t i = 0; i < pull->reviews.n; i++) {
        const struct review *earlier = pull->reviews.items[i];
        bool ends =
            earlier->state == REVIEW_REQUEST && earlier->user && user && strcmp(earlier->user, user) == 0;
        if (!ends)
            pull->reviews.items[kept++] = pull->reviews.items[i];
    }
    pull->reviews.n = kept;
}

/* A new verdict takes the place of the same person's earlier ones; an official request to look again voids
 * them. */
static void reviews_give_way(struct pull *pull, const char *user, enum review_state state)
{
    for (size_t i = 0; i < pull->reviews.n; i++) {
        struct review *earlier = pull->reviews.items[i];
        bool is_verdict = earlier->state == REVIEW_APPROVED || earlier->state == REVIEW_CHANGES;
        if (!is_verdict || !earlier->user || !user || strcmp(earlier->user, user) != 0)
            continue;
        earlier->official = false;
        earlier->dismissed |= state != REVIEW_REQUEST;
    }
}

struct review *pull_add_review(struct world *world, struct pull *pull, const char *user,
                               enum review_state state, bool official)
{
    struct review *review = arena_get(&world->arena, sizeof *review);
    if (state == REVIEW_APPROVED || state == REVIEW_CHANGES || (state == REVIEW_REQUEST && official))
        reviews_give_way(pull, user, state);
    if (state != REVIEW_PENDING)
        requests_end(pull, user);
    review->id = ++world->last_id;
    review->user = arena_text(&world->arena, user);
    review->state = state;
    review->body = "";
    review->commit_id = arena_text(&world->arena, state == REVIEW_REQUEST ? "" : pull->head_sha);
    review->official = official;
    review->submitted_s = review->updated_s = pull->updated_s = world_now_s();
    list_add(&world->arena, &pull->reviews, review);
    return review;
}

void pull_merge(struct repo *repo, struct pull *pull, const char *by)
{
    struct world *world = repo->world;
    struct commit *base = repo_own_commit(repo, pull->base);
    struct commit *merge = repo_make_commit(repo, NULL);
    const struct commit *head = pull->head_repo ? map_get(&pull->head_repo->commits, pull->head_sha) : NULL;
    const struct commit *const parents[] = {base, head};
    for (size_t p = 0; p < ARRAY_LEN(parents); p++)
        for (size_t i = 0; parents[p] && i < parents[p]->files.n; i++) {
            const struct file *file = parents[p]->files.items[i];
            commit_put_file(repo, merge, file->path, file->content, file->len);
        }
    merge->message =
        arena_made(&world->arena, "Merge pull request '%s' (#%lld)", pull->title, (long long)pull->number);
    pull->closed = pull->merged = true;
    pull->merged_by = arena_text(&world->arena, by);
    pull->merged_s = pull->closed_s = pull->updated_s = world_now_s();
    snprintf(pull->merge_sha, SHA_SIZE, "%s", merge->sha);
    repo_set_branch(repo, pull->base, merge);
}

/* Gitea lists branches by the time of their commit, the newest first, then by name. */
static int branch_order(const void *a, const void *b)
{
    const struct branch *const *x = a, *const *y = b;
    if ((*x)->commit->time_s != (*y)->commit->time_s)
        return (*x)->commit->time_s > (*y)->commit->time_s ? -1 : 1;
    return strcmp((*x)->name, (*y)->name);
}

void world_settle(struct world *world)
{
    for (size_t i = 0; i < world->repos.n; i++) {
        struct repo *repo = world->repos.items[i];
        if (repo->unsorted && repo->branch_list.n)
            qsort(repo->branch_list.items, repo->branch_list.n, sizeof(void *), branch_order);
        repo->unsorted = false;
    }
}
