#include "tests/sandbox/world.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/text.h"

const char *const review_state_names[REVIEW_STATE_MAX] = {
    [REVIEW_APPROVED] = "APPROVED", [REVIEW_CHANGES] = "REQUEST_CHANGES", [REVIEW_COMMENT] = "COMMENT",
    [REVIEW_PENDING] = "PENDING",   [REVIEW_REQUEST] = "REQUEST_REVIEW",
};

int64_t world_now_s(void)
{
    return clock_wall_us() / 1000000;
}

struct world *world_new(const char *root_url, const char *version, const char *token)
{
    struct world *world = mem_zero(1, sizeof *world);
    world->json = json_array();
    world->root_url = arena_text(&world->arena, root_url);
    world->token = arena_text(&world->arena, token);
    if (!world_set_version(world, version))
        abort();
    return world;
}

void world_free(struct world *world)
{
    for (size_t i = 0; i < world->repos.n; i++) {
        struct repo *repo = world->repos.items[i];
        map_done(&repo->branches);
        map_done(&repo->tags);
        map_done(&repo->commits);
        map_done(&repo->trees);
        map_done(&repo->pulls_by_number);
        free(repo->shown);
    }
    map_done(&world->repos_by_name);
    map_done(&world->renamed);
    map_done(&world->gates);
    arena_done(&world->arena);
    json_decref(world->json);
    free(world);
}

bool world_set_version(struct world *world, const char *text)
{
    int64_t parts[3] = {0, 0, 0};
    char part[8];
    const char *forgejo = strstr(text, "+gitea-"), *at = forgejo ? forgejo + strlen("+gitea-") : text;
    for (size_t i = 0; i < 3 && *at; i++) {
        size_t len = strcspn(at, ".");
        if (len >= sizeof part)
            return false;
        snprintf(part, sizeof part, "%.*s", (int)len, at);
        if (!parse_i64(part, 0, 99, &parts[i]))
            return false;
        at += len + (at[len] == '.');
    }
    int version = (int)(parts[0] * 10000 + parts[1] * 100 + parts[2]);
    if (*at || version < 12200 || version > 19999)
        return false;
    world->version = version;
    world->version_text =
        forgejo ? arena_text(&world->arena, text)
                : arena_made(&world->arena, "%d.%d.%d", (int)parts[0], (int)parts[1], (int)parts[2]);
    for (size_t i = 0; i < world->repos.n; i++) {
        struct repo *repo = world->repos.items[i];
        free(repo->shown);
        repo->shown = NULL;
    }
    return true;
}

bool sha_valid(const char *text)
{
    return strlen(text) == SHA_SIZE - 1 && strspn(text, "0123456789abcdef") == SHA_SIZE - 1;
}

static void lower_name(char *to, size_t size, const char *owner, const char *name)
{
    snprintf(to, size, "%s/%s", owner, name);
    for (; *to; to++)
        *to = (char)tolower((unsigned char)*to);
}

struct repo *world_repo(const struct world *world, const char *owner, const char *name)
{
    char key[256];
    lower_name(key, sizeof key, owner, name);
    return map_get(&world->repos_by_name, key);
}

const char *world_renamed(const struct world *world, const char *owner, const char *name)
{
    char key[256];
    lower_name(key, sizeof key, owner, name);
    return map_get(&world->renamed, key);
}

/* what is generated */

static int64_t generated_number(const struct repo *repo, const char *branch)
{
    int64_t number;
    if (repo->generated == 0 || strncmp(branch, "task-", 5) != 0 || branch[5] == '0')
        return 0;
    return parse_i64(branch + 5, 1, repo->generated, &number) ? number : 0;
}

static int64_t generated_number_of_sha(const struct repo *repo, const char *sha)
{
    if (repo->generated == 0 || !sha_valid(sha) || strncmp(sha, repo->generated_seed, 32) != 0)
        return 0;
    int64_t number = (int64_t)strtoull(sha + 32, NULL, 16);
    return number >= 1 && number <= repo->generated ? number : 0;
}

static void generate(const struct repo *repo, int64_t number, struct branch_room *room)
{
    *room = (struct branch_room){0};
    snprintf(room->name, sizeof room->name, "task-%lld", (long long)number);
    snprintf(room->commit.sha, SHA_SIZE, "%.32s%08llx", repo->generated_seed, (unsigned long long)number);
    room->commit.message = "generated";
    room->commit.author = "dev";
    room->commit.time_s = repo->generated_time_s;
    struct commit *stored = map_get(&repo->commits, room->commit.sha); /* its statuses were changed */
    room->branch =
        (struct branch){.name = room->name, .commit = stored ? stored : &room->commit, .generated = number};
    if (!*repo->generated_state)
        return;
    room->status = (struct status){.index = 1,
                                   .id = number,
                                   .context = repo->generated_context,
                                   .state = repo->generated_state,
                                   .description = "",
                                   .target_url = "",
                                   .creator = "ci",
                                   .created_s = repo->generated_time_s};
    room->items[0] = &room->status;
    room->commit.statuses = room->commit.latest = (struct list){.items = room->items, .n = 1, .size = 1};
}

/* looking up */

const struct branch *repo_branch(const struct repo *repo, const char *name, struct branch_room *room)
{
    const struct branch *stored = map_get(&repo->branches, name);
    if (stored)
        return stored->deleted ? NULL : stored;
    int64_t number = generated_number(repo, name);
    if (number == 0)
        return NULL;
    generate(repo, number, room);
    return &room->branch;
}

static const struct commit *commit_of_prefix(const struct repo *repo, const char *prefix)
{
    size_t len = strlen(prefix);
    if (len < 7 || len >= SHA_SIZE - 1 || strspn(prefix, "0123456789abcdef") != len)
        return NULL;
    for (size_t i = 0; i < repo->commits.size; i++)
        if (repo->commits.slots[i].key && strncmp(repo->commits.slots[i].key, prefix, len) == 0)
            return repo->commits.slots[i].value;
    return NULL;
}

const struct commit *repo_commit(const struct repo *repo, const char *ref, struct branch_room *room)
{
    const struct branch *branch = repo_branch(repo, ref, room);
    if (branch)
        return branch->commit;
    const struct commit *commit = map_get(&repo->tags, ref);
    if (!commit)
        commit = map_get(&repo->commits, ref);
    if (commit)
        return commit;
    int64_t number = generated_number_of_sha(repo, ref);
    if (number == 0)
        return commit_of_prefix(repo, ref);
    generate(repo, number, room);
    return &room->commit;
}

const struct commit *repo_git_commit(const struct repo *repo, const char *ref, struct branch_room *room)
{
    const struct commit *commit = sha_valid(ref) ? map_get(&repo->commits, ref) : NULL;
    return commit ? commit : repo_commit(repo, ref, room);
}

struct pull *repo_pull(const struct repo *repo, int64_t number)
{
    char key[24];
    snprintf(key, sizeof key, "%lld", (long long)number);
    return map_get(&repo->pulls_by_number, key);
}

size_t repo_branch_count(const struct repo *repo)
{
    return repo->branch_list.n + (size_t)repo->generated;
}

const struct branch *repo_branch_at(const struct repo *repo, size_t at, struct branch_room *room)
{
    if (at < repo->branch_list.n)
        return repo->branch_list.items[at];
    generate(repo, (int64_t)(at - repo->branch_list.n) + 1, room);
    const struct branch *stored = map_get(&repo->branches, room->name);
    return !stored ? &room->branch : stored->deleted ? NULL : stored;
}

const struct file *commit_file(const struct commit *commit, const char *path)
{
    for (size_t i = 0; i < commit->files.n; i++) {
        const struct file *file = commit->files.items[i];
        if (strcmp(file->path, path) == 0)
            return file;
    }
    return NULL;
}

const struct branch *pull_head_branch(const struct pull *pull, struct branch_room *room)
{
    return pull->head_repo && !pull->agit ? repo_branch(pull->head_repo, pull->head, room) : NULL;
}
