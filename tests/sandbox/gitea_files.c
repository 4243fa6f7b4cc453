/* Contents, raw files, commits and trees: services/repository/files/content.go. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sandbox/gitea.h"
#include "tests/sandbox/sandbox.h"

enum { SINCE_COMMITTER_DATE = 12400, BLOB_MAX = 10 * 1024 * 1024 };

struct entry {
    const struct commit *commit;
    const char *path; /* of the file, or of a file within the folder */
    size_t path_len;
    const struct file *file; /* NULL: a folder */
};

static void put_content(struct out *out, const struct file *file)
{
    if (!file || file->len > BLOB_MAX) {
        out_null(out, "encoding");
        out_null(out, "content");
        return;
    }
    char *text = mem_zero(file->len / 3 * 4 + 8, 1);
    EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)file->content, (int)file->len);
    out_text(out, "encoding", "base64");
    out_text(out, "content", text);
    free(text);
}

static void put_entry(struct out *out, const struct repo *repo, const struct entry *entry, const char *ref,
                      bool with_content)
{
    const char *root = repo->world->root_url;
    const struct commit *commit = entry->commit;
    char *path = mem_dupn(entry->path, entry->path_len);
    const char *slash = strrchr(path, '/');
    out_open(out, NULL, '{');
    out_text(out, "name", slash ? slash + 1 : path);
    out_text(out, "path", path);
    out_text(out, "sha", entry->file ? entry->file->sha : commit->sha);
    out_text(out, "last_commit_sha", commit->sha);
    if (repo->world->version >= SINCE_COMMITTER_DATE)
        gitea_put_instant(out, "last_committer_date", repo->world, commit->time_s);
    out_text(out, "type", entry->file ? "file" : "dir");
    out_int(out, "size", entry->file ? (int64_t)entry->file->len : 0);
    put_content(out, with_content ? entry->file : NULL);
    out_null(out, "target");
    out_made(out, "url", "%sapi/v1/repos/%s/contents/%s?ref=%s", root, repo->full_name, path, ref);
    out_made(out, "html_url", "%s%s/src/branch/%s/%s", root, repo->full_name, ref, path);
    out_made(out, "git_url", "%sapi/v1/repos/%s/git/%s/%s", root, repo->full_name,
             entry->file ? "blobs" : "trees", entry->file ? entry->file->sha : commit->sha);
    if (entry->file)
        out_made(out, "download_url", "%s%s/raw/branch/%s/%s", root, repo->full_name, ref, path);
    else
        out_null(out, "download_url");
    out_null(out, "submodule_git_url");
    out_open(out, "_links", '{');
    out_made(out, "self", "%sapi/v1/repos/%s/contents/%s?ref=%s", root, repo->full_name, path, ref);
    out_close(out, '}');
    out_close(out, '}');
    free(path);
}

/* The next entry directly in a folder, *at being 0 before the first; files are sorted by path, so those of
 * one sub-folder stand together. */
static bool next_entry(const struct commit *commit, const char *folder, size_t *at, struct entry *entry)
{
    size_t prefix = strlen(folder);
    const struct entry last = *entry;
    for (; *at < commit->files.n; (*at)++) {
        const struct file *file = commit->files.items[*at];
        if (prefix && (strncmp(file->path, folder, prefix) != 0 || file->path[prefix] != '/'))
            continue;
        const char *name = file->path + prefix + (prefix ? 1 : 0), *slash = strchr(name, '/');
        *entry = (struct entry){.commit = commit,
                                .path = file->path,
                                .path_len = slash ? (size_t)(slash - file->path) : strlen(file->path),
                                .file = slash ? NULL : file};
        bool again = last.path && last.path_len == entry->path_len && !last.file &&
                     strncmp(last.path, entry->path, entry->path_len) == 0;
        if (again)
            continue;
        (*at)++;
        return true;
    }
    return false;
}

/* False when there is no such folder. */
static bool put_folder(struct out *out, const struct repo *repo, const struct commit *commit, const char *ref,
                       const char *folder)
{
    struct entry entry = {.path = NULL};
    size_t at = 0;
    out_open(out, NULL, '[');
    while (next_entry(commit, folder, &at, &entry))
        put_entry(out, repo, &entry, ref, false);
    out_close(out, ']');
    return entry.path || !*folder;
}

/* The commit that ?ref= names, the default branch without it; NULL when it has answered. */
static const struct commit *commit_asked(struct call *call, struct repo **ret_repo, const char **ret_ref,
                                         struct branch_room *room)
{
    struct repo *repo = *ret_repo = gitea_repo(call);
    if (!repo)
        return NULL;
    const char *ref = call_query(call, "ref");
    *ret_ref = ref && *ref ? ref : repo->default_branch;
    const struct commit *commit = repo->empty ? NULL : repo_commit(repo, *ret_ref, room);
    if (!commit)
        gitea_error(call, 404, repo->empty ? "repository is empty" : "unable to find a git ref");
    return commit;
}

void gitea_contents(struct call *call)
{
    struct branch_room room;
    struct repo *repo;
    const char *ref;
    const struct commit *commit = commit_asked(call, &repo, &ref, &room);
    if (!commit)
        return;
    char *path = mem_dup(call->n_params > 2 ? call->params[2] : "");
    for (size_t len = strlen(path); len && path[len - 1] == '/'; len--)
        path[len - 1] = '\0';
    const struct file *file = commit_file(commit, path);
    if (file) {
        struct entry entry = {
            .commit = commit, .path = file->path, .path_len = strlen(file->path), .file = file};
        put_entry(gitea_ok(call, 200), repo, &entry, ref, true);
    } else if (!put_folder(gitea_ok(call, 200), repo, commit, ref, path)) {
        out_free(&call->out);
        gitea_not_found(call);
    }
    free(path);
}

void gitea_raw(struct call *call)
{
    struct branch_room room;
    struct repo *repo;
    const char *ref;
    const struct commit *commit = commit_asked(call, &repo, &ref, &room);
    if (!commit)
        return;
    const struct file *file = commit_file(commit, call->params[2]);
    if (!file) {
        gitea_not_found(call);
        return;
    }
    call->status = 200;
    call->content_type = "text/plain; charset=utf-8";
    out_bytes(&call->out, file->content, file->len);
}

/* git/commits/ */

static void put_signature(struct out *out, const char *key, const struct repo *repo,
                          const struct commit *commit)
{
    out_open(out, key, '{');
    out_text(out, "name", commit->author);
    out_made(out, "email", "%s@noreply.localhost", commit->author);
    gitea_put_instant(out, "date", repo->world, commit->time_s);
    out_close(out, '}');
}

/* The model has no history: a commit has no parent, and adds all of its files. */
void gitea_git_commit(struct call *call)
{
    struct branch_room room;
    const struct repo *repo = gitea_repo(call);
    const struct commit *commit = repo ? repo_git_commit(repo, call->params[2], &room) : NULL;
    if (repo && !commit)
        gitea_not_found(call);
    if (!commit)
        return;
    struct out *out = gitea_ok(call, 200);
    const char *root = repo->world->root_url;
    char *url = mem_printf("%sapi/v1/repos/%s/git/commits/%s", root, repo->full_name, commit->sha);
    out_open(out, NULL, '{');
    out_text(out, "url", url);
    out_text(out, "sha", commit->sha);
    gitea_put_instant(out, "created", repo->world, commit->time_s);
    out_made(out, "html_url", "%s%s/commit/%s", root, repo->full_name, commit->sha);
    out_open(out, "commit", '{');
    out_text(out, "url", url);
    put_signature(out, "author", repo, commit);
    put_signature(out, "committer", repo, commit);
    out_text(out, "message", commit->message);
    out_open(out, "tree", '{');
    out_made(out, "url", "%sapi/v1/repos/%s/git/trees/%s", root, repo->full_name, commit->sha);
    out_text(out, "sha", commit->sha);
    gitea_put_instant(out, "created", repo->world, commit->time_s);
    out_close(out, '}');
    gitea_put_verification(out);
    out_close(out, '}');
    gitea_put_user(out, "author", repo->world, commit->author);
    gitea_put_user(out, "committer", repo->world, commit->author);
    out_ready(out, "parents", "[]");
    out_open(out, "files", '[');
    for (size_t i = 0; i < commit->files.n; i++) {
        out_open(out, NULL, '{');
        out_text(out, "filename", ((const struct file *)commit->files.items[i])->path);
        out_text(out, "status", "added");
        out_close(out, '}');
    }
    out_close(out, ']');
    out_open(out, "stats", '{');
    out_int(out, "total", (int64_t)commit->files.n);
    out_int(out, "additions", (int64_t)commit->files.n);
    out_int(out, "deletions", 0);
    out_close(out, '}');
    out_close(out, '}');
    free(url);
}

/* git/trees/: services/repository/files/tree.go */

/* Of an id, of a commit, or of "COMMIT:folder". */
static struct tree tree_asked(const struct repo *repo, const char *name, struct branch_room *room)
{
    const struct tree *tree = map_get(&repo->trees, name);
    if (tree)
        return *tree;
    const char *colon = strchr(name, ':');
    char *ref = colon ? mem_dupn(name, (size_t)(colon - name)) : mem_dup(name);
    struct tree found = {.commit = repo_git_commit(repo, ref, room), .path = colon ? colon + 1 : ""};
    free(ref);
    if (!found.commit || !*found.path) {
        snprintf(found.id, sizeof found.id, "%s", found.commit ? found.commit->sha : "");
        return found;
    }
    char *full = mem_printf("%s:%s", found.commit->sha, found.path);
    tree = map_get(&repo->trees, full);
    free(full);
    return tree ? *tree : (struct tree){.commit = NULL};
}

static void put_tree_entry(struct out *out, const struct repo *repo, const struct entry *entry)
{
    const char *root = repo->world->root_url, *kind = entry->file ? "blob" : "tree", *id;
    char *path = mem_dupn(entry->path, entry->path_len);
    const char *slash = strrchr(path, '/');
    char *full = mem_printf("%s:%s", entry->commit->sha, path);
    id = entry->file ? entry->file->sha : ((const struct tree *)map_get(&repo->trees, full))->id;
    out_open(out, NULL, '{');
    out_text(out, "path", slash ? slash + 1 : path);
    out_text(out, "mode", entry->file ? "100644" : "040000");
    out_text(out, "type", kind);
    out_int(out, "size", entry->file ? (int64_t)entry->file->len : 0);
    out_text(out, "sha", id);
    out_made(out, "url", "%sapi/v1/repos/%s/git/%ss/%s", root, repo->full_name, kind, id);
    out_close(out, '}');
    free(full);
    free(path);
}

/* Errors are 400, whatever they are: routers/api/v1/repo/tree.go. */
void gitea_tree(struct call *call)
{
    enum { PER_PAGE_MAX = 1000 };
    struct branch_room room;
    const struct repo *repo = gitea_repo(call);
    if (!repo)
        return;
    const struct tree tree = tree_asked(repo, call->params[2], &room);
    if (!tree.commit) {
        char *message = mem_printf("sha not found [%s]", call->params[2]);
        gitea_error(call, 400, message);
        free(message);
        return;
    }
    int64_t page = call_query_int(call, "page", 1), per_page = call_query_int(call, "per_page", 0);
    page = page < 1 ? 1 : page;
    per_page = per_page < 1 || per_page > PER_PAGE_MAX ? PER_PAGE_MAX : per_page;
    struct out *out = gitea_ok(call, 200), rows = {0};
    int64_t n = 0, first = (page - 1) * per_page;
    struct entry entry = {.path = NULL};
    out_open(&rows, NULL, '[');
    for (size_t at = 0; next_entry(tree.commit, tree.path, &at, &entry); n++)
        if (n >= first && n < first + per_page)
            put_tree_entry(&rows, repo, &entry);
    out_close(&rows, ']');
    out_open(out, NULL, '{');
    out_text(out, "sha", tree.id);
    out_made(out, "url", "%sapi/v1/repos/%s/git/trees/%s", repo->world->root_url, repo->full_name, tree.id);
    out_ready(out, "tree", first < n ? rows.text : "null");
    out_bool(out, "truncated", first < n && first + per_page < n);
    out_int(out, "page", page);
    out_int(out, "total_count", n);
    out_close(out, '}');
    out_free(&rows);
}
