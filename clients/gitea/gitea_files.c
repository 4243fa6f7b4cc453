/* What is at a path of a commit, read from git's trees (routers/api/v1/repo/tree.go). Gitea's contents/
 * returns whole files, and takes seconds for a long folder, because it looks up the last commit of every
 * entry.
 *
 * A tree is asked for by its id or as "COMMIT:folder", which git itself resolves, and takes 40 hex digits for
 * a commit even where a branch has that name. Gitea answers 400 both if git has no such tree and if reading
 * it failed. So only a listing shows that a path is absent: the listing of the folder that holds the path's
 * last name, else of the folder above, up to the commit's root. */
#include "clients/gitea/gitea_io.h"

#include <stdio.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"

#define TREE_PAGE "500" /* rows; Gitea gives up to 1,000, which might pass LIMIT_ANSWER_FIRST */

struct files {
    struct fact_request request;
    struct gitea_files fact;
    struct gitea *gitea;
    const char *repo, *commit, *what;
    const char **names; /* of the path: folders and, last, what is asked about */
    size_t n_names;
    size_t depth;        /* the folder that is listed: so many of the names */
    const char *tree;    /* its id; NULL: it is asked for by its path */
    size_t page, n_rows; /* of its list: which one is asked for, from 1; how many rows were read */
};

/* The path's names; slashes at its ends or doubled name nothing. False: one of them is "." or "..". */
static bool names_split(struct arena *arena, const char *path, struct files *files)
{
    size_t n = 1;
    for (const char *at = path; *at; at++)
        n += *at == '/';
    files->names = arena_zero(arena, n, sizeof(char *));
    bool good = true;
    for (size_t len; *path; path += len) {
        path += strspn(path, "/");
        len = strcspn(path, "/");
        if (len == 0)
            continue;
        const char *name = arena_printf(arena, "%.*s", (int)len, path);
        files->names[files->n_names++] = name;
        good &= strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
    }
    return good;
}

/* The first `n` names as a path. Caller frees. */
static char *path_of(const struct files *files, size_t n)
{
    char *path = mem_dup("");
    for (size_t i = 0; i < n; i++) {
        char *longer = mem_printf("%s%s%s", path, i ? "/" : "", files->names[i]);
        free(path);
        path = longer;
    }
    return path;
}

static void folder_replied(struct facts *facts, void *arg, const struct gitea_reply *reply);

static void page_ask(struct facts *facts, struct files *files)
{
    struct arena *arena = facts_arena(facts);
    char page[24];
    (void)snprintf(page, sizeof page, "%zu", files->page);
    AUTO_FREE char *path = path_of(files, files->depth);
    AUTO_FREE char *by_path = mem_printf("%s%s%s", files->commit, *path ? ":" : "", path);
    const char *segments[] = {"repos", NULL, NULL, "git", "trees", files->tree ? files->tree : by_path, NULL};
    const char *const query[] = {"page", page, "per_page", TREE_PAGE, NULL};
    (void)gitea_repo_split(arena, files->repo, &segments[1], &segments[2]); /* looked at before */
    files->fact.fact.url = gitea_url(arena, files->gitea, segments, query);
    gitea_ask(facts, files->gitea, files->fact.fact.url, files->what, LIMIT_ANSWER_TREE, folder_replied,
              files);
}

static void folder_ask(struct facts *facts, struct files *files, size_t depth, const char *tree)
{
    files->depth = depth;
    files->tree = tree;
    files->page = 1;
    files->n_rows = 0;
    page_ask(facts, files);
}

static void settle_failed(struct facts *facts, struct files *files, const char *wrong)
{
    fact_settle(facts, &files->request, FACT_FAILED,
                arena_printf(facts_arena(facts), "Gitea's answer for %s is invalid: %s", files->what, wrong));
}

static void settle_absent(struct facts *facts, struct files *files)
{
    fact_settle(facts, &files->request, FACT_ABSENT,
                arena_printf(facts_arena(facts), "Gitea knows no %s", files->what));
}

/* The listed folder has a file, or an entry that is neither file nor folder. */
static void entry_found(struct facts *facts, struct files *files, const struct gitea_tree_entry *entry)
{
    if (files->depth + 1 < files->n_names) { /* it stands where the path has a folder */
        settle_absent(facts, files);
        return;
    }
    if (entry->kind == GITEA_TREE_FILE) {
        AUTO_FREE char *folder = path_of(files, files->depth);
        files->fact.first =
            arena_printf(facts_arena(facts), "%s%s%s", folder, *folder ? "/" : "", entry->name);
    }
    fact_settle(facts, &files->request, FACT_KNOWN, NULL);
}

static void page_read(struct facts *facts, struct files *files, const json_t *json)
{
    struct arena *arena = facts_arena(facts);
    bool is_whole_path = files->depth == files->n_names;
    struct gitea_tree_page page;
    const char *wrong =
        gitea_parse_tree(json, is_whole_path ? NULL : files->names[files->depth], arena, &page);
    if (wrong) {
        settle_failed(facts, files, wrong);
        return;
    }
    files->n_rows += page.n;
    bool is_cut = page.truncated || files->n_rows < page.total;
    if (page.found.kind == GITEA_TREE_FOLDER)
        folder_ask(facts, files, files->depth + 1, page.found.id);
    else if (page.found.kind != GITEA_TREE_NONE)
        entry_found(facts, files, &page.found);
    else if (is_cut && page.n == 0)
        settle_failed(facts, files, "a page without rows before the last one");
    else if (is_cut && files->page == LIMIT_UPSTREAM_PAGES)
        fact_settle(facts, &files->request, FACT_FAILED,
                    arena_printf(arena, "Gitea has more than %u pages of the folder of %s",
                                 LIMIT_UPSTREAM_PAGES, files->what));
    else if (is_cut) {
        files->page++;
        page_ask(facts, files);
    } else if (is_whole_path)
        fact_settle(facts, &files->request, FACT_KNOWN, NULL);
    else
        settle_absent(facts, files);
}

static void folder_replied(struct facts *facts, void *arg, const struct gitea_reply *reply)
{
    struct files *files = arg;
    bool is_refused = reply->status == 400 || reply->state == FACT_ABSENT;
    if (reply->state == FACT_KNOWN)
        page_read(facts, files, reply->json);
    else if (is_refused && !files->tree && files->depth > 0)
        folder_ask(facts, files, files->depth - 1, NULL);
    else
        fact_settle(facts, &files->request, FACT_FAILED, reply->error);
}

const struct gitea_files *gitea_files(struct facts *facts, struct gitea *gitea, const char *repo,
                                      const char *commit, const char *path)
{
    struct arena *arena = facts_arena(facts);
    AUTO_FREE char *of = repo_key(repo);
    AUTO_FREE char *key = mem_printf("gitea files\n%s\n%s\n%s", of, commit, path);
    bool is_new;
    struct files *files = (struct files *)(void *)fact_request_get(facts, key, sizeof *files, &is_new);
    if (is_new) {
        const char *owner, *name;
        files->request.fact = &files->fact.fact;
        files->gitea = gitea;
        files->repo = arena_text(arena, repo);
        files->commit = arena_text(arena, commit);
        files->what = gitea_what(arena, "%s at %.12s of %s", path, commit, repo);
        if (!gitea_repo_split(arena, repo, &owner, &name))
            fact_settle(facts, &files->request, FACT_FAILED,
                        arena_printf(arena, "%s: a repo is \"owner/name\"", files->what));
        else if (!names_split(arena, path, files))
            fact_settle(facts, &files->request, FACT_FAILED,
                        arena_printf(arena, "%s: a path has no \".\" or \"..\"", files->what));
        else
            folder_ask(facts, files, files->n_names ? files->n_names - 1 : 0, NULL);
    }
    fact_await(facts, &files->request);
    return &files->fact;
}
