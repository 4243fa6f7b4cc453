/* Contents and raw files: services/repository/files/content.go. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sandbox/gitea.h"
#include "tests/sandbox/sandbox.h"

enum { SINCE_COMMITTER_DATE = 12400, BLOB_MAX = 10 * 1024 * 1024 };

struct entry {
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

static void put_entry(struct out *out, const struct repo *repo, const struct commit *commit, const char *ref,
                      const struct entry *entry, bool with_content)
{
    const char *root = repo->world->root_url;
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

/* The entries directly in a folder; files are sorted by path, so those of one sub-folder stand together.
 * False when there is no such folder. */
static bool put_folder(struct out *out, const struct repo *repo, const struct commit *commit, const char *ref,
                       const char *folder)
{
    size_t prefix = strlen(folder), found = 0;
    struct entry last = {0};
    out_open(out, NULL, '[');
    for (size_t i = 0; i < commit->files.n; i++) {
        const struct file *file = commit->files.items[i];
        if (prefix && (strncmp(file->path, folder, prefix) != 0 || file->path[prefix] != '/'))
            continue;
        const char *name = file->path + prefix + (prefix ? 1 : 0), *slash = strchr(name, '/');
        struct entry entry = {.path = file->path,
                              .path_len = slash ? (size_t)(slash - file->path) : strlen(file->path),
                              .file = slash ? NULL : file};
        bool again = last.path && last.path_len == entry.path_len && !last.file &&
                     strncmp(last.path, entry.path, entry.path_len) == 0;
        if (!again)
            put_entry(out, repo, commit, ref, &entry, false);
        last = entry;
        found++;
    }
    out_close(out, ']');
    return found > 0 || prefix == 0;
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
        struct entry entry = {.path = file->path, .path_len = strlen(file->path), .file = file};
        put_entry(gitea_ok(call, 200), repo, commit, ref, &entry, true);
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
    const struct commit *commit = repo ? repo_commit(repo, call->params[2], &room) : NULL;
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
