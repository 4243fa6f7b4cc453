/* world.h - what the stand-in Gitea knows: repositories, commits with statuses and files, branches, pull
 * requests.
 *
 * A plain model without HTTP: the stand-in shows it (gitea_*.c), the control interface loads it (load.c) and
 * changes it (change.c). A reader holds the sandbox's lock shared, a writer exclusively, and calls
 * world_settle before letting go. Nothing is freed before the world is.
 *
 * A repository may have generated branches: task-1 to task-N, whose commits and one status each are computed
 * from the number when asked for; one that is changed becomes an ordinary branch in the same place of the
 * list.
 */
#ifndef SANDBOX_WORLD_H
#define SANDBOX_WORLD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"
#include "tests/sandbox/arena.h"
#include "tests/sandbox/map.h"

#define SHA_SIZE 41

struct status {
    int64_t index; /* of this commit, from 1: what REST calls id */
    int64_t id;    /* what the webhook calls id */
    const char *context, *state, *description, *target_url, *creator;
    int64_t created_s;
};

struct file {
    const char *path, *content;
    size_t len;
    char sha[SHA_SIZE];
};

/* A folder of a commit. */
struct tree {
    char id[SHA_SIZE];
    const struct commit *commit;
    const char *path;
};

struct commit {
    char sha[SHA_SIZE];
    const char *message, *author;
    int64_t time_s;
    struct list statuses; /* struct status, by index */
    struct list latest;   /* struct status, the newest of each context */
    struct list files;    /* struct file, by path */
};

struct branch {
    const char *name;
    struct commit *commit;
    bool protected, broken,
        deleted;       /* broken: counted in lists and not shown, as Gitea does where git has lost it */
    int64_t generated; /* its number when it was generated, else 0 */
};

enum review_state {
    REVIEW_APPROVED,
    REVIEW_CHANGES,
    REVIEW_COMMENT,
    REVIEW_PENDING,
    REVIEW_REQUEST,
    REVIEW_STATE_MAX
};
extern const char *const review_state_names[REVIEW_STATE_MAX];

struct review {
    int64_t id;
    const char *user, *team; /* user NULL without a team: the ghost */
    enum review_state state;
    const char *body, *commit_id;
    bool stale, official, dismissed;
    int64_t comments, submitted_s, updated_s;
};

struct pull {
    int64_t id, number, comments;
    const char *title, *body, *poster, *base, *head;
    struct repo *head_repo;  /* NULL: was deleted */
    char head_sha[SHA_SIZE]; /* of refs/pull/N/head: outlives the branch */
    char merge_base[SHA_SIZE], merge_sha[SHA_SIZE];
    const char *merged_by;
    bool draft, closed, merged, agit, unmergeable;
    int64_t created_s, updated_s, closed_s, merged_s;
    struct list reviews; /* struct review, oldest first */
};

struct webhook {
    int64_t id;
    const char *owner; /* of an organization's or a user's; NULL */
    const char *url, *secret, *content_type, *branch_filter, *authorization;
    json_t *events; /* array of names; owned by world->json */
    bool active;
    int64_t created_s;
};

struct repo {
    struct world *world;
    int64_t id, created_s, updated_s;
    const char *owner, *name, *full_name, *default_branch, *description;
    bool private, hidden, archived, mirror, empty;       /* hidden: invisible to the token */
    struct map branches, tags, commits, pulls_by_number; /* branch by name; commit by tag and by sha */
    struct map trees;                                    /* struct tree by "COMMIT:path" and by id */
    struct list branch_list; /* in the order of the API; without the generated ones */
    struct list pulls, hooks;
    int64_t generated, generated_time_s;
    const char *generated_state, *generated_context;
    char generated_seed[33];
    int64_t last_pull;
    bool unsorted;
    char *shown; /* the repository object as JSON; NULL: to be made again */
};

/* What becomes of the webhooks that changes give rise to: sent, lost on purpose (and counted), or never made.
 */
enum mail_mode { MAIL_SEND, MAIL_LOSE, MAIL_NONE };

struct world {
    struct arena arena;
    json_t *json; /* array: keeps alive what the world borrowed */
    struct list repos;
    struct map repos_by_name;              /* lower case */
    struct map renamed;                    /* lower-case old name → full name */
    struct list owner_hooks, system_hooks; /* struct webhook */
    struct map gates;                      /* name, or name?query → struct gate_setting */
    int64_t last_id;
    const char *root_url; /* of Gitea as it believes to be reached, with a slash at the end */
    const char *version_text;
    int version;                        /* 12504 for 1.25.4 */
    const char *token, *token_scope;    /* NULL: anything goes */
    int zone_min;                       /* of the times that Gitea prints */
    const char *hook_url, *hook_secret; /* the system webhook; NULL: none */
    enum mail_mode mail_mode;
};

struct gate_setting {
    const char *verdict, *reason;
};

struct world *world_new(const char *root_url, const char *version, const char *token);
void world_free(struct world *world);
/* world_set_version: "1.25.4", "1.26", "10.0.0+gitea-1.22.0" (Forgejo) …; false when it is none from 1.22
 * on. */
bool world_set_version(struct world *world, const char *text);
int64_t world_now_s(void);

/* Looking things up. Names of repositories ignore case. What is generated is put into `room`. */
struct repo *world_repo(const struct world *world, const char *owner, const char *name);
const char *world_renamed(const struct world *world, const char *owner, const char *name);

struct branch_room {
    struct branch branch;
    struct commit commit;
    struct status status;
    struct list statuses;
    void *items[1];
    char name[32];
};
const struct branch *repo_branch(const struct repo *repo, const char *name, struct branch_room *room);
/* repo_commit: of a branch, a tag, or a sha of which at least 7 digits are given; in this order. */
const struct commit *repo_commit(const struct repo *repo, const char *ref, struct branch_room *room);
/* repo_git_commit: the same as git takes it: 40 digits for a sha, even where a branch has that name. */
const struct commit *repo_git_commit(const struct repo *repo, const char *ref, struct branch_room *room);
struct pull *repo_pull(const struct repo *repo, int64_t number);
size_t repo_branch_count(const struct repo *repo);
/* repo_branch_at: by place in the list; NULL where a deleted one was. */
const struct branch *repo_branch_at(const struct repo *repo, size_t at, struct branch_room *room);
const struct file *commit_file(const struct commit *commit, const char *path);
/* pull_head_branch: NULL when it is gone. */
const struct branch *pull_head_branch(const struct pull *pull, struct branch_room *room);

/* Making and changing. */
struct repo *world_add_repo(struct world *world, const char *full_name);
/* repo_make_commit: the commit with this sha, made if need be; sha NULL makes one up. */
struct commit *repo_make_commit(struct repo *repo, const char *sha);
/* repo_set_branch: makes or moves it; open pull requests follow, and their reviews become stale. */
struct branch *repo_set_branch(struct repo *repo, const char *name, struct commit *commit);
/* repo_own_branch, repo_own_commit: the stored one, made from the generated one if need be; NULL when there
 * is none. */
struct branch *repo_own_branch(struct repo *repo, const char *name);
struct commit *repo_own_commit(struct repo *repo, const char *ref);
void repo_delete_branch(struct repo *repo, const char *name);
struct status *commit_add_status(struct world *world, struct commit *commit, const char *context,
                                 const char *state);
void commit_put_file(struct repo *repo, struct commit *commit, const char *path, const char *content,
                     size_t len);
struct pull *repo_add_pull(struct repo *repo, int64_t number, const char *base, const char *head);
struct review *pull_add_review(struct world *world, struct pull *pull, const char *user,
                               enum review_state state, bool official);
void pull_merge(struct repo *repo, struct pull *pull, const char *by);
/* world_settle: brings lists into order after writing. */
void world_settle(struct world *world);
bool sha_valid(const char *text);

#endif
