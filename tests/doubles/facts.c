#include "tests/doubles/facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/facts/http_gate.h"
#include "clients/http/upstream_health.h"

enum { MANY = 4096 };

struct scripted_head {
    const char *branch;
    struct gitea_head head;
};
struct scripted_status {
    const char *sha;
    struct gitea_status status;
};
struct scripted_pull {
    const char *branch;
    struct gitea_pull pull;
};
struct scripted_review {
    int64_t number;
    struct gitea_review review;
};
struct scripted_file {
    const char *path;
    struct gitea_files files;
};
struct scripted_http {
    const char *url;
    struct http_gate gate;
};
struct scripted_branch {
    char name[256];
};

static struct {
    struct scripted_head heads[MANY];
    struct scripted_status statuses[MANY];
    struct scripted_pull pulls[MANY];
    struct scripted_review reviews[MANY];
    struct scripted_file files[MANY];
    struct scripted_http gates[MANY];
    struct gitea_open_pull open[MANY];
    struct scripted_branch made[MANY];
    size_t n_heads, n_statuses, n_pulls, n_reviews, n_files, n_gates, n_open, n_made;
    struct fact open_fact;
    const char *default_branch;
    const char *renamed, *full_name;
    const char *failed_sha, *failed_words, *make_failed_words;
    bool late;
    void (*hook)(void *arg);
    void *hook_arg;
    struct upstream_health *health;
} scripted;

/* One look-up: its answer, and its waiter. */
struct lookup {
    char key[256];
    void *answer;
    bool settled, named;
    void *waiter;
};
struct facts {
    struct lookup *lookups;
    size_t n;
    void *waiter;
};
static size_t lookups;

static const struct fact absent = {FACT_ABSENT, "Gitea knows no such thing", "absent", false};

void facts_clear(void)
{
    upstream_health_free(scripted.health);
    memset(&scripted, 0, sizeof scripted);
    lookups = 0;
}

void facts_late(bool late)
{
    scripted.late = late;
}

size_t facts_lookups(void)
{
    return lookups;
}

void facts_hook(void (*hook)(void *arg), void *arg)
{
    scripted.hook = hook;
    scripted.hook_arg = arg;
}

void facts_head(const char *branch, const char *sha)
{
    scripted.heads[scripted.n_heads++] =
        (struct scripted_head){branch, {.fact = {FACT_KNOWN, NULL, "branch", false}, .sha = sha}};
}

void facts_head_failed(const char *branch, const char *error)
{
    scripted.heads[scripted.n_heads++] =
        (struct scripted_head){branch, {.fact = {FACT_FAILED, error, "branch", false}}};
}

void facts_status(const char *sha, const char *context, enum gitea_state state)
{
    scripted.statuses[scripted.n_statuses++] =
        (struct scripted_status){sha, {.context = context, .state = state}};
}

void facts_statuses_failed(const char *sha, const char *error)
{
    scripted.failed_sha = sha;
    scripted.failed_words = error;
}

void facts_pull(const char *branch, int64_t number, enum gitea_pull_state state)
{
    scripted.pulls[scripted.n_pulls++] = (struct scripted_pull){
        branch,
        {.fact = {FACT_KNOWN, NULL, "pull", false}, .number = number, .state = state, .head_sha = "pullsha"}};
}

void facts_pull_elsewhere(const char *branch, int64_t number, enum gitea_pull_state state, const char *base)
{
    scripted.pulls[scripted.n_pulls++] =
        (struct scripted_pull){branch, {.fact = absent, .number = number, .state = state, .base = base}};
}

void facts_open_pull(int64_t number, const char *branch, const char *sha)
{
    scripted.open[scripted.n_open++] =
        (struct gitea_open_pull){.number = number, .branch = branch, .head_sha = sha};
}

void facts_open_pulls_failed(enum fact_state state, const char *error)
{
    scripted.open_fact = (struct fact){state, error, "pulls", false};
}

void facts_repo_named(const char *repo, const char *full_name)
{
    scripted.renamed = repo;
    scripted.full_name = full_name;
}

void facts_repo(const char *default_branch)
{
    scripted.default_branch = default_branch;
}

void facts_review(int64_t number, const char *user, enum gitea_review_state state, bool stale, bool dismissed)
{
    struct scripted_review *review = &scripted.reviews[scripted.n_reviews++];
    *review = (struct scripted_review){number,
                                       {.id = (int64_t)scripted.n_reviews,
                                        .user = user,
                                        .state = state,
                                        .stale = stale,
                                        .dismissed = dismissed,
                                        .official = true}};
}

void facts_review_unofficial(void)
{
    scripted.reviews[scripted.n_reviews - 1].review.official = false;
}

void facts_file(const char *path, size_t n)
{
    scripted.files[scripted.n_files++] = (struct scripted_file){
        path, {.fact = {FACT_KNOWN, NULL, "contents", false}, .first = n ? path : NULL}};
}

void facts_http(const char *url, const char *verdict, const char *reason)
{
    enum http_gate_verdict kind = strcmp(verdict, "green") == 0 ? HTTP_GATE_GREEN
                                  : strcmp(verdict, "red") == 0 ? HTTP_GATE_RED
                                                                : HTTP_GATE_UNKNOWN;
    scripted.gates[scripted.n_gates++] = (struct scripted_http){
        url, {.fact = {FACT_KNOWN, NULL, url, false}, .verdict = kind, .reason = reason}};
}

void facts_make_failed(const char *error)
{
    scripted.make_failed_words = error;
}

size_t facts_made(void)
{
    return scripted.n_made;
}

/* the fact set */

struct facts *facts_new(struct fetch *fetch, int64_t deadline_ms)
{
    (void)fetch;
    (void)deadline_ms;
    struct facts *facts = mem_zero(1, sizeof *facts);
    facts->lookups = mem_zero(MANY, sizeof *facts->lookups);
    return facts;
}

void facts_free(struct facts *facts)
{
    if (!facts)
        return;
    for (size_t i = 0; i < facts->n; i++)
        free(facts->lookups[i].answer);
    free(facts->lookups);
    free(facts);
}

void facts_asked_by(struct facts *facts, const struct facts_asker *asker)
{
    (void)facts, (void)asker;
}

void facts_gather(struct facts *facts)
{
    (void)facts;
}

void facts_on_ready(struct facts *facts, facts_ready_fn *on_ready, void *arg)
{
    (void)facts;
    (void)on_ready;
    (void)arg;
}

void facts_subscribe(struct facts *facts, void *who)
{
    facts->waiter = who;
}

enum facts_step facts_wait(struct facts *facts, int64_t wait_ms, void **ret_waiter)
{
    (void)wait_ms;
    for (size_t i = 0; i < facts->n; i++)
        if (!facts->lookups[i].settled) {
            facts->lookups[i].settled = true;
            *ret_waiter = facts->lookups[i].waiter;
            return FACTS_READY;
        }
    if (scripted.hook) {
        void (*hook)(void *) = scripted.hook;
        scripted.hook = NULL;
        hook(scripted.hook_arg);
    }
    return FACTS_ALL_ANSWERED;
}

size_t facts_exchanges(const struct facts *facts)
{
    return facts->n;
}

/* look_up: a copy of `answer` under its key, the same one each time; pending at first when facts come late.
 * `pending` is what to give back meanwhile: a zeroed fact is FACT_PENDING. */
static const void *look_up(struct facts *facts, const char *kind, const char *name, const void *answer,
                           size_t size)
{
    static const _Alignas(64) char pending[256];
    char key[256];
    snprintf(key, sizeof key, "%s %s", kind, name);
    for (size_t i = 0; i < facts->n; i++)
        if (strcmp(facts->lookups[i].key, key) == 0)
            return facts->lookups[i].settled ? facts->lookups[i].answer : pending;
    struct lookup *lookup = &facts->lookups[facts->n++];
    lookups++;
    memcpy(lookup->key, key, sizeof key);
    lookup->answer = mem_zero(1, size);
    memcpy(lookup->answer, answer, size);
    lookup->settled = !scripted.late;
    lookup->waiter = facts->waiter;
    return lookup->settled ? lookup->answer : pending;
}

/* Gitea */

bool gitea_configured(const struct gitea *gitea)
{
    (void)gitea;
    return true;
}

struct upstream_health *gitea_health(const struct gitea *gitea)
{
    (void)gitea;
    if (!scripted.health)
        scripted.health = upstream_health_new();
    return scripted.health;
}

void gitea_heads_wanted(struct facts *facts, struct gitea *gitea, const char *repo, size_t n_branches)
{
    (void)facts;
    (void)gitea;
    (void)repo;
    (void)n_branches;
}

static struct gitea_head head_of(const char *branch)
{
    struct gitea_head head = {.fact = absent};
    for (size_t i = 0; i < scripted.n_heads; i++)
        if (strcmp(scripted.heads[i].branch, branch) == 0)
            head = scripted.heads[i].head;
    for (size_t i = 0; i < scripted.n_made; i++)
        if (strcmp(scripted.made[i].name, branch) == 0)
            head = (struct gitea_head){.fact = {FACT_KNOWN, NULL, "branch", false}, .sha = "madesha"};
    return head;
}

const struct gitea_head *gitea_head(struct facts *facts, struct gitea *gitea, const char *repo,
                                    const char *branch)
{
    (void)gitea;
    (void)repo;
    struct gitea_head head = head_of(branch);
    return look_up(facts, "head", branch, &head, sizeof head);
}

const struct gitea_branch_made *gitea_branch_make(struct facts *facts, struct gitea *gitea, const char *repo,
                                                  const char *base, const char *branch)
{
    (void)gitea;
    (void)repo;
    size_t before = lookups;
    struct gitea_branch_made made = {.fact = head_of(branch).fact};
    if (made.fact.state == FACT_ABSENT) {
        made.fact = head_of(base).fact;
        made.made = made.fact.state == FACT_KNOWN;
    }
    if (made.made && scripted.make_failed_words)
        made =
            (struct gitea_branch_made){.fact = {FACT_FAILED, scripted.make_failed_words, "branches", false}};
    const void *answer = look_up(facts, "make", branch, &made, sizeof made);
    if (made.made && lookups > before)
        snprintf(scripted.made[scripted.n_made++].name, sizeof scripted.made->name, "%s", branch);
    return answer;
}

const char *gitea_state_name(enum gitea_state state)
{
    static const char *const names[] = {"success", "skipped", "pending",   "failure",
                                        "error",   "warning", "unheard of"};
    return names[state];
}

const struct gitea_statuses *gitea_statuses(struct facts *facts, struct gitea *gitea, const char *repo,
                                            const char *sha)
{
    (void)gitea;
    (void)repo;
    static struct gitea_status items[MANY];
    static size_t used;
    struct gitea_statuses statuses = {.fact = {FACT_KNOWN, NULL, "status", false}, .items = &items[used]};
    if (scripted.failed_sha && strcmp(scripted.failed_sha, sha) == 0)
        statuses.fact = (struct fact){FACT_FAILED, scripted.failed_words, "status", false};
    for (size_t i = 0; i < scripted.n_statuses; i++)
        if (strcmp(scripted.statuses[i].sha, sha) == 0)
            items[(used + statuses.n++) % MANY] = scripted.statuses[i].status;
    used = (used + statuses.n) % (MANY / 2);
    return look_up(facts, "statuses", sha, &statuses, sizeof statuses);
}

const struct gitea_pull *gitea_pull(struct facts *facts, struct gitea *gitea, const char *repo,
                                    const char *base, const char *branch)
{
    (void)gitea;
    (void)repo;
    (void)base;
    struct gitea_pull pull = {.fact = absent};
    for (size_t i = 0; i < scripted.n_pulls; i++)
        if (strcmp(scripted.pulls[i].branch, branch) == 0)
            pull = scripted.pulls[i].pull;
    return look_up(facts, "pull", branch, &pull, sizeof pull);
}

const struct gitea_open_pulls *gitea_open_pulls(struct facts *facts, struct gitea *gitea, const char *repo)
{
    (void)gitea;
    const struct gitea_open_pulls pulls = {.fact = scripted.open_fact.state == FACT_PENDING
                                                       ? (struct fact){FACT_KNOWN, NULL, "pulls", false}
                                                       : scripted.open_fact,
                                           .items = scripted.open,
                                           .n = scripted.n_open};
    return look_up(facts, "open pulls", repo, &pulls, sizeof pulls);
}

const struct gitea_repo *gitea_repo(struct facts *facts, struct gitea *gitea, const char *repo)
{
    (void)gitea;
    struct gitea_repo answer = {.fact = absent};
    if (scripted.default_branch)
        answer = (struct gitea_repo){{FACT_KNOWN, NULL, "repo", false}, scripted.default_branch, repo};
    if (scripted.renamed && strcmp(scripted.renamed, repo) == 0)
        answer.full_name = scripted.full_name;
    return look_up(facts, "repo", repo, &answer, sizeof answer);
}

const struct gitea_reviews *gitea_reviews(struct facts *facts, struct gitea *gitea, const char *repo,
                                          int64_t number)
{
    (void)gitea;
    (void)repo;
    static struct gitea_review items[64];
    struct gitea_reviews reviews = {.fact = {FACT_KNOWN, NULL, "reviews", false}, .items = items};
    for (size_t i = 0; i < scripted.n_reviews; i++)
        if (scripted.reviews[i].number == number)
            items[reviews.n++] = scripted.reviews[i].review;
    char name[32];
    snprintf(name, sizeof name, "%lld", (long long)number);
    return look_up(facts, "reviews", name, &reviews, sizeof reviews);
}

const struct gitea_files *gitea_files(struct facts *facts, struct gitea *gitea, const char *repo,
                                      const char *commit, const char *path)
{
    (void)gitea;
    (void)repo;
    (void)commit;
    struct gitea_files files = {.fact = absent};
    for (size_t i = 0; i < scripted.n_files; i++)
        if (strcmp(scripted.files[i].path, path) == 0)
            files = scripted.files[i].files;
    return look_up(facts, "files", path, &files, sizeof files);
}

const struct http_gate *http_gate(struct facts *facts, const char *url, const char *repo)
{
    (void)repo;
    struct http_gate gate = {.fact = {FACT_FAILED, "the gate did not answer", url, false}};
    for (size_t i = 0; i < scripted.n_gates; i++)
        if (strcmp(scripted.gates[i].url, url) == 0)
            gate = scripted.gates[i].gate;
    return look_up(facts, "http", url, &gate, sizeof gate);
}

/* Not used by tests with doubles: those that send events again ask the sandbox. */
static const struct gitea_document no_document = {
    .fact = {FACT_FAILED, "there is no such document", "document", false}};

const struct gitea_document *gitea_repo_document(struct facts *facts, struct gitea *gitea, const char *repo)
{
    (void)facts, (void)gitea, (void)repo;
    return &no_document;
}

const struct gitea_document *gitea_branch_document(struct facts *facts, struct gitea *gitea, const char *repo,
                                                   const char *branch)
{
    (void)facts, (void)gitea, (void)repo, (void)branch;
    return &no_document;
}

const struct gitea_document *gitea_version_document(struct facts *facts, struct gitea *gitea)
{
    (void)facts, (void)gitea;
    return &no_document;
}

const struct gitea_document *gitea_commit_document(struct facts *facts, struct gitea *gitea, const char *repo,
                                                   const char *sha)
{
    (void)facts, (void)gitea, (void)repo, (void)sha;
    return &no_document;
}

const struct gitea_document *gitea_statuses_document(struct facts *facts, struct gitea *gitea,
                                                     const char *repo, const char *sha, size_t page)
{
    (void)facts, (void)gitea, (void)repo, (void)sha, (void)page;
    return &no_document;
}

const struct gitea_document *gitea_pull_document(struct facts *facts, struct gitea *gitea, const char *repo,
                                                 int64_t number)
{
    (void)facts, (void)gitea, (void)repo, (void)number;
    return &no_document;
}

const struct gitea_document *gitea_review_document(struct facts *facts, struct gitea *gitea, const char *repo,
                                                   int64_t number, int64_t review)
{
    (void)facts, (void)gitea, (void)repo, (void)number, (void)review;
    return &no_document;
}
