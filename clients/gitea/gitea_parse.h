/* gitea_parse.h - reads Gitea's answers: bytes in, rows out, no requests. Private to clients/gitea/ and
 * tests.
 *
 * Parsers return NULL when the answer was understood, else what is wrong with it ("a branch without a commit
 * id"). A number in place of a string is read as text if that loses nothing. Rows are in the arena.
 */
#ifndef RECONCILED_GITEA_PARSE_H
#define RECONCILED_GITEA_PARSE_H

#include <jansson.h>

#include "clients/facts/fact_source.h"
#include "clients/gitea/gitea.h"

/* An answer whose JSON is not interpreted yet. `error` is set except for FACT_KNOWN. The caller owns `json`.
 */
struct gitea_reply {
    enum fact_state state;
    int status; /* 0: not answered */
    const char *error;
    json_t *json; /* "null" too */
    int64_t total;
};
/* gitea_reply_read: `what` was asked for, for a person; `names` are those of the settings that may be wrong.
 */
struct upstream_names;
void gitea_reply_read(const struct fetch_answer *answer, const char *what, const struct upstream_names *names,
                      struct arena *arena, struct gitea_reply *ret);

/* gitea_missing: a 404 of Gitea itself (services/context/api.go: {"message":…,"url":…}). Any other 404 is of
 * a proxy, or of a server that is not Gitea, and shows nothing about what was asked for. */
bool gitea_missing(const struct fetch_answer *answer);

/* gitea_judge: FETCH_SIGN_BAD as by fetch_judge, and also for 401, 403, a 200 that does not begin like JSON,
 * and a 404 that is not Gitea's own. gitea_judge_allowed: the same, but FETCH_SIGN_NONE for a 403. */
fetch_judge_fn gitea_judge, gitea_judge_allowed;

/* A page of a list. */
struct gitea_page {
    size_t n;
    const void *rows; /* struct gitea_branch[], … */
    uint64_t mark;    /* of its ids: the same page twice has the same mark */
};
typedef const char *gitea_page_fn(const json_t *json, const void *arg, struct arena *arena,
                                  struct gitea_page *ret);

struct gitea_branch {
    const char *name, *sha;
};
const char *gitea_parse_branch(const json_t *json, struct arena *arena, struct gitea_branch *ret);
const char *gitea_parse_branches(const json_t *json, const void *arg, struct arena *arena,
                                 struct gitea_page *ret);

/* *ret_branch: the default branch. */
const char *gitea_parse_repo(const json_t *json, struct arena *arena, const char **ret_branch,
                             const char **ret_full_name);

struct gitea_status_row {
    int64_t id; /* counts per commit; -1 when not given */
    struct gitea_status status;
};
/* `arg` is the sha that was asked for. */
const char *gitea_parse_statuses(const json_t *json, const void *arg, struct arena *arena,
                                 struct gitea_page *ret);

struct gitea_pull_row {
    bool readable; /* false: the other members are not set; Gitea lists null for a pull request that it cannot
                      convert */
    int64_t number;
    enum gitea_pull_state state;
    bool draft, foreign;                       /* foreign: its head is in another repo */
    const char *base, *ref, *label, *head_sha; /* if missing: "", and NULL for the sha */
    int64_t created_us, updated_us;            /* 0 when not given */
};
void gitea_parse_pull(const json_t *json, struct arena *arena, struct gitea_pull_row *ret);
const char *gitea_parse_pulls(const json_t *json, const void *arg, struct arena *arena,
                              struct gitea_page *ret);

/* Rows are struct gitea_review. */
const char *gitea_parse_reviews(const json_t *json, const void *arg, struct arena *arena,
                                struct gitea_page *ret);

/* Rows are struct gitea_hook. */
const char *gitea_parse_hooks(const json_t *json, const void *arg, struct arena *arena,
                              struct gitea_page *ret);

/* A page of a folder, and one of its entries: the one called `name`, or the first file if `name` is NULL. */
enum gitea_tree_kind {
    GITEA_TREE_NONE, /* no such entry on this page */
    GITEA_TREE_FILE,
    GITEA_TREE_FOLDER,
    GITEA_TREE_OTHER /* a submodule */
};
struct gitea_tree_entry {
    enum gitea_tree_kind kind;
    const char *name, *id;
};
struct gitea_tree_page {
    struct gitea_tree_entry found;
    size_t n, total; /* rows of this page; of the folder, 0 when not given */
    bool truncated;  /* more pages follow */
};
const char *gitea_parse_tree(const json_t *json, const char *name, struct arena *arena,
                             struct gitea_tree_page *ret);

#endif
