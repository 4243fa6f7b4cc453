/* The payloads of Gitea's webhooks: modules/structs/hook.go, services/webhook. */
#include <string.h>

#include "tests/sandbox/gitea.h"
#include "tests/sandbox/mailer.h"

enum { SINCE_REVIEWER_NAMED = 12300 };

#define NO_COMMIT "0000000000000000000000000000000000000000"

static void put_origin(struct out *out, struct repo *repo, const char *sender)
{
    out_ready(out, "repository", gitea_repo_json(repo));
    gitea_put_user(out, "sender", repo->world, sender);
}

/* No branch anywhere; id is the database's, not the one of REST; times are UTC. */
void mail_status(struct sandbox *sandbox, struct repo *repo, const struct commit *commit,
                 const struct status *status)
{
    struct out out = {0};
    out_open(&out, NULL, '{');
    gitea_put_sent_commit(&out, "commit", repo, commit);
    out_text(&out, "context", status->context);
    out_instant(&out, "created_at", status->created_s, 0);
    out_text(&out, "description", status->description);
    out_int(&out, "id", status->id);
    put_origin(&out, repo, status->creator);
    out_text(&out, "sha", commit->sha);
    out_text(&out, "state", status->state);
    out_text(&out, "target_url", status->target_url);
    out_instant(&out, "updated_at", status->created_s, 0);
    out_close(&out, '}');
    /* 1.23.0 and 1.23.1 left X-Gitea-Event empty and sent it to who had ticked push. */
    bool odd = repo->world->version == 12300 || repo->world->version == 12301;
    if (repo->world->version >= 12300)
        mailer_post(sandbox, repo, odd ? "" : "status", "status", odd ? "push" : "status", &out);
    else
        out_free(&out);
}

void mail_push(struct sandbox *sandbox, struct repo *repo, const struct branch *branch, const char *before)
{
    struct out out = {0};
    out_open(&out, NULL, '{');
    out_made(&out, "ref", "refs/heads/%s", branch->name);
    out_text(&out, "before", before ? before : NO_COMMIT);
    out_text(&out, "after", branch->commit->sha);
    out_made(&out, "compare_url", "%s%s/compare/%s...%s", repo->world->root_url, repo->full_name,
             before ? before : NO_COMMIT, branch->commit->sha);
    out_open(&out, "commits", '[');
    gitea_put_sent_commit(&out, NULL, repo, branch->commit);
    out_close(&out, ']');
    out_int(&out, "total_commits", 1);
    gitea_put_sent_commit(&out, "head_commit", repo, branch->commit);
    out_ready(&out, "repository", gitea_repo_json(repo));
    gitea_put_user(&out, "pusher", repo->world, branch->commit->author);
    gitea_put_user(&out, "sender", repo->world, branch->commit->author);
    out_close(&out, '}');
    mailer_post(sandbox, repo, "push", "push", "push", &out);
}

void mail_create(struct sandbox *sandbox, struct repo *repo, const struct branch *branch)
{
    struct out out = {0};
    out_open(&out, NULL, '{');
    out_text(&out, "sha", branch->commit->sha);
    out_text(&out, "ref", branch->name);
    out_text(&out, "ref_type", "branch");
    put_origin(&out, repo, branch->commit->author);
    out_close(&out, '}');
    mailer_post(sandbox, repo, "create", "create", "create", &out);
}

void mail_delete(struct sandbox *sandbox, struct repo *repo, const char *branch)
{
    struct out out = {0};
    out_open(&out, NULL, '{');
    out_text(&out, "ref", branch);
    out_text(&out, "ref_type", "branch");
    out_text(&out, "pusher_type", "user");
    put_origin(&out, repo, "dev");
    out_close(&out, '}');
    mailer_post(sandbox, repo, "delete", "delete", "delete", &out);
}

static void post_pull(struct sandbox *sandbox, const struct repo *repo, const char *action,
                      const struct review *review, struct out *out)
{
    if (review) {
        bool approved = review->state == REVIEW_APPROVED;
        mailer_post(sandbox, repo, approved ? "pull_request_approved" : "pull_request_rejected",
                    approved ? "pull_request_review_approved" : "pull_request_review_rejected",
                    "pull_request_review", out);
    } else if (strcmp(action, "synchronized") == 0)
        mailer_post(sandbox, repo, "pull_request", "pull_request_sync", "pull_request_sync", out);
    else if (strcmp(action, "review_requested") == 0)
        mailer_post(sandbox, repo, "pull_request", "pull_request_review_request",
                    "pull_request_review_request", out);
    else
        mailer_post(sandbox, repo, "pull_request", "pull_request", "pull_request", out);
}

void mail_pull(struct sandbox *sandbox, struct repo *repo, const struct pull *pull, const char *action,
               const struct review *review)
{
    struct out out = {0};
    out_open(&out, NULL, '{');
    out_text(&out, "action", review ? "reviewed" : action);
    out_int(&out, "number", pull->number);
    gitea_put_pull(&out, "pull_request", repo, pull, false);
    if (review && review->user && repo->world->version >= SINCE_REVIEWER_NAMED)
        gitea_put_user(&out, "requested_reviewer", repo->world, review->user);
    else
        out_null(&out, "requested_reviewer");
    put_origin(&out, repo,
               review && review->user ? review->user
               : pull->merged         ? pull->merged_by
                                      : pull->poster);
    out_text(&out, "commit_id", "");
    if (review) { /* neither its id nor its commit, nor whether it is stale */
        out_open(&out, "review", '{');
        out_text(&out, "type",
                 review->state == REVIEW_APPROVED ? "pull_request_review_approved"
                                                  : "pull_request_review_rejected");
        out_text(&out, "content", review->body);
        out_close(&out, '}');
    } else
        out_null(&out, "review");
    out_close(&out, '}');
    post_pull(sandbox, repo, action, review, &out);
}
