#include "tests/doubles/issues.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"

enum { PROJECTS = 16, STATES = 16 };

struct row {
    int64_t number, updated_us;
    char state[32]; /* its name */
    struct plane_change change;
    enum plane_result broken;
    const char *odd;    /* NULL: it can be read */
    size_t change_page; /* of its activities, that `change` is on */
};
struct project_of {
    char id[UUID_TEXT_LEN + 1];
    char states[STATES][2][32]; /* the name it was made with, and the one it has */
    size_t n_states;
    struct row *rows;
    size_t n;
    bool sorted;
};

static struct {
    struct project_of projects[PROJECTS];
    size_t n;
    bool shuffle;
    uint64_t random;
    size_t left, reserve;
    const char *failing;
    enum plane_result failure;
    size_t n_failures;
    size_t patience, failed; /* failures that a pass has time for; in this one */
    bool up_again;
    size_t probes;
    const char *newest;
    void (*hook)(void *arg);
    void *hook_arg;
    size_t states, pages, issues, changes;
    struct upstream_health *health;
} scripted = {.left = SIZE_MAX / 2};

void issues_clear(void)
{
    for (size_t i = 0; i < scripted.n; i++)
        free(scripted.projects[i].rows);
    upstream_health_free(scripted.health);
    memset(&scripted, 0, sizeof scripted);
    scripted.left = SIZE_MAX / 2;
}

static struct project_of *project(const char *id)
{
    for (size_t i = 0; i < scripted.n; i++)
        if (strcmp(scripted.projects[i].id, id) == 0)
            return &scripted.projects[i];
    assert(scripted.n < PROJECTS);
    strncpy(scripted.projects[scripted.n].id, id, UUID_TEXT_LEN);
    return &scripted.projects[scripted.n++];
}

const char *issues_state_id(const char *name)
{
    static char ids[STATES][UUID_TEXT_LEN + 1];
    static size_t next;
    char *id = ids[next++ % STATES];
    struct uuid_text made = uuid_from_name(name);
    memcpy(id, made.s, sizeof made.s);
    return id;
}

void issues_state(const char *project_id, const char *name)
{
    struct project_of *of = project(project_id);
    assert(of->n_states < STATES);
    strncpy(of->states[of->n_states][0], name, sizeof of->states[0][0] - 1);
    strncpy(of->states[of->n_states++][1], name, sizeof of->states[0][0] - 1);
}

void issues_state_rename(const char *project_id, const char *name, const char *to)
{
    struct project_of *of = project(project_id);
    for (size_t i = 0; i < of->n_states; i++)
        if (strcmp(of->states[i][1], name) == 0)
            strncpy(of->states[i][1], to, sizeof of->states[0][0] - 1);
}

void issues_state_drop_all(const char *project_id)
{
    project(project_id)->n_states = 0;
}

const char *issues_id(int64_t number)
{
    static char ids[8][UUID_TEXT_LEN + 1];
    static size_t next;
    char *id = ids[next++ % 8];
    snprintf(id, sizeof ids[0], "%08llx-aaaa-4aaa-8aaa-%012llx",
             (unsigned long long)(number * 2654435761 % 0xffffffff), (unsigned long long)number);
    return id;
}

static struct row *row(struct project_of *of, int64_t number)
{
    for (size_t i = 0; i < of->n; i++)
        if (of->rows[i].number == number)
            return &of->rows[i];
    return NULL;
}

void issues_put(const char *project_id, int64_t number, const char *state, int64_t updated_us)
{
    struct project_of *of = project(project_id);
    struct row *found = row(of, number);
    if (!found) {
        of->rows = mem_grow(of->rows, of->n + 1, sizeof *of->rows);
        found = &of->rows[of->n++];
        memset(found, 0, sizeof *found);
        found->number = number;
    }
    if (state)
        snprintf(found->state, sizeof found->state, "%s", state);
    found->updated_us = updated_us;
    of->sorted = false;
}

void issues_drop(const char *project_id, int64_t number)
{
    struct project_of *of = project(project_id);
    struct row *found = row(of, number);
    assert(found);
    *found = of->rows[--of->n];
    of->sorted = false;
}

void issues_change(const char *project_id, int64_t number, const char *activity, const char *state,
                   int64_t at_us)
{
    struct row *found = row(project(project_id), number);
    assert(found);
    found->change = (struct plane_change){.found = true, .at_us = at_us};
    strncpy(found->change.id, activity, UUID_TEXT_LEN);
    strncpy(found->change.new_state, issues_state_id(state), UUID_TEXT_LEN);
}

void issues_odd(const char *project_id, int64_t number, const char *wrong)
{
    struct row *found = row(project(project_id), number);
    assert(found);
    found->odd = wrong;
}

void issues_change_page(const char *project_id, int64_t number, size_t page)
{
    struct row *found = row(project(project_id), number);
    assert(found);
    found->change_page = page;
}

void issues_shuffle(bool shuffle)
{
    scripted.shuffle = shuffle;
}

void issues_left(size_t left, size_t reserve)
{
    scripted.left = left;
    scripted.reserve = reserve;
}

void issues_fail(const char *project_id, enum plane_result result, size_t n)
{
    scripted.failing = project_id;
    scripted.failure = result;
    scripted.n_failures = n;
}

void issues_break(const char *project_id, int64_t number, enum plane_result result)
{
    struct row *found = row(project(project_id), number);
    assert(found);
    found->broken = result;
}

void issues_patience(size_t n)
{
    scripted.patience = n;
}

size_t issues_probes(void)
{
    return scripted.probes;
}

void issues_probed(void)
{
    scripted.up_again = true;
}

void issues_hook(void (*hook)(void *arg), void *arg)
{
    scripted.hook = hook;
    scripted.hook_arg = arg;
}

const char *issues_newest_project(void)
{
    return scripted.newest;
}

size_t issues_calls(void)
{
    return scripted.states + scripted.pages + scripted.issues + scripted.changes;
}

size_t issues_calls_of(const char *kind)
{
    return strcmp(kind, "states") == 0  ? scripted.states
           : strcmp(kind, "page") == 0  ? scripted.pages
           : strcmp(kind, "issue") == 0 ? scripted.issues
                                        : scripted.changes;
}

/* plane.h */

bool plane_configured(const struct plane *plane)
{
    (void)plane;
    return true;
}

struct upstream_health *plane_health(const struct plane *plane)
{
    (void)plane;
    if (!scripted.health)
        scripted.health = upstream_health_new();
    return scripted.health;
}

bool plane_records_api_changes(struct plane *plane)
{
    (void)plane;
    return true;
}

void plane_budget(struct plane *plane, struct plane_budget *ret)
{
    (void)plane;
    int64_t left = scripted.left > 1000000 ? 1000000 : (int64_t)scripted.left;
    *ret = (struct plane_budget){.limit = 60, .reserve = (int64_t)scripted.reserve, .left = left};
}

void plane_skew_measure(struct plane *plane, int64_t db_now_us, int64_t db_ms)
{
    (void)plane, (void)db_now_us, (void)db_ms;
}

int64_t plane_skew_us(struct plane *plane)
{
    (void)plane;
    return 0;
}

bool plane_clock_is_off(struct plane *plane)
{
    (void)plane;
    return false;
}

void plane_in_use(struct plane *plane, const char *project_id)
{
    (void)plane, (void)project_id;
}

bool plane_probe(struct plane_call *call, const char *const *project_ids, size_t n)
{
    (void)call, (void)project_ids, (void)n;
    bool up_again = scripted.up_again;
    scripted.probes++;
    scripted.up_again = false;
    if (up_again)
        scripted.n_failures = 0;
    return up_again;
}

void plane_call_begin(struct plane_call *call, struct plane *plane, struct fetch *fetch, bool forced,
                      int64_t deadline_ms)
{
    scripted.failed = 0;
    *call = (struct plane_call){.plane = plane, .fetch = fetch, .forced = forced, .deadline_ms = deadline_ms};
}

void plane_call_end(struct plane_call *call)
{
    (void)call;
}

/* PLANE_WAITING of a call that was made is Plane's refusal (429). */
static enum plane_result fail(struct plane_call *call, enum plane_result result, struct why *why)
{
    call->refused = result == PLANE_WAITING;
    (void)why_set(why, ERR_UNAVAILABLE, "Plane fails");
    scripted.failed += result == PLANE_DOWN;
    return result;
}

/* What becomes of a call before it is looked at. */
static enum plane_result admit(struct plane_call *call, const char *project_id, size_t *count,
                               struct why *why)
{
    call->refused = false;
    if (scripted.patience && scripted.failed >= scripted.patience)
        return (void)why_set(why, ERR_UNAVAILABLE, "stopped"), PLANE_STOPPED;
    if (scripted.left > 0)
        scripted.left--;
    else if (call->forced && scripted.reserve > 0)
        scripted.reserve--;
    else
        return (void)why_set(why, ERR_RETRY, "the budget is used up"), PLANE_WAITING;
    call->sent++;
    ++*count;
    scripted.newest = project_id;
    if (scripted.hook)
        scripted.hook(scripted.hook_arg);
    if (scripted.n_failures > 0 && (!scripted.failing || strcmp(scripted.failing, project_id) == 0)) {
        scripted.n_failures--;
        return fail(call, scripted.failure, why);
    }
    return PLANE_OK;
}

void plane_states_done(struct plane_states *states)
{
    for (size_t i = 0; i < states->n; i++)
        free(states->items[i].name);
    free(states->items);
}

enum plane_result plane_states(struct plane_call *call, const char *project_id, struct plane_states *ret,
                               struct why *why)
{
    struct project_of *of = project(project_id);
    enum plane_result result = admit(call, project_id, &scripted.states, why);
    if (result != PLANE_OK)
        return result;
    *ret = (struct plane_states){.items = mem_zero(of->n_states, sizeof *ret->items), .n = of->n_states};
    for (size_t i = 0; i < of->n_states; i++) {
        strncpy(ret->items[i].id, issues_state_id(of->states[i][0]), UUID_TEXT_LEN);
        ret->items[i].name = mem_dup(of->states[i][1]);
    }
    return PLANE_OK;
}

void plane_issue_done(struct plane_issue *issue)
{
    free(issue->name);
}

void plane_page_done(struct plane_page *page)
{
    for (size_t i = 0; i < page->n; i++)
        plane_issue_done(&page->items[i]);
    free(page->items);
    free(page->odd);
}

static void show(const struct row *from, struct plane_issue *ret)
{
    *ret = (struct plane_issue){.name = mem_printf("Issue %lld", (long long)from->number),
                                .sequence = from->number,
                                .updated_us = from->updated_us};
    strncpy(ret->id, issues_id(from->number), UUID_TEXT_LEN);
    if (*from->state)
        strncpy(ret->state, issues_state_id(from->state), UUID_TEXT_LEN);
}

static int newest_first(const void *a, const void *b)
{
    const struct row *left = a, *right = b;
    if (left->updated_us != right->updated_us)
        return left->updated_us > right->updated_us ? -1 : 1;
    return left->number < right->number ? -1 : 1;
}

/* Another order of those that are alike, by an old generator of random numbers. */
static void shuffle_equals(struct project_of *of)
{
    for (size_t from = 0, to; from < of->n; from = to) {
        for (to = from + 1; to < of->n && of->rows[to].updated_us == of->rows[from].updated_us;)
            to++;
        for (size_t i = to - from; i > 1; i--) {
            scripted.random = scripted.random * 6364136223846793005u + 1442695040888963407u;
            size_t other = (size_t)(scripted.random >> 33) % i;
            struct row kept = of->rows[from + i - 1];
            of->rows[from + i - 1] = of->rows[from + other];
            of->rows[from + other] = kept;
        }
    }
}

static void show_odd(const struct row *from, struct plane_page *page)
{
    page->odd = mem_grow(page->odd, page->n_odd + 1, sizeof *page->odd);
    struct plane_odd_row *odd = &page->odd[page->n_odd++];
    *odd = (struct plane_odd_row){.wrong = from->odd};
    strncpy(odd->id, issues_id(from->number), UUID_TEXT_LEN);
}

enum plane_result plane_issues(struct plane_call *call, const char *project_id, size_t page,
                               struct plane_page *ret, struct why *why)
{
    struct project_of *of = project(project_id);
    enum plane_result result = admit(call, project_id, &scripted.pages, why);
    if (result != PLANE_OK)
        return result;
    if (!of->sorted && of->n)
        qsort(of->rows, of->n, sizeof *of->rows, newest_first);
    of->sorted = true;
    if (scripted.shuffle)
        shuffle_equals(of);
    size_t from = page * LIMIT_PLANE_PAGE < of->n ? page * LIMIT_PLANE_PAGE : of->n;
    size_t n = of->n - from < LIMIT_PLANE_PAGE ? of->n - from : LIMIT_PLANE_PAGE;
    *ret = (struct plane_page){
        .items = mem_zero(n, sizeof *ret->items), .more = from + n < of->n, .total = (int64_t)of->n};
    for (size_t i = from; i < from + n; i++)
        if (of->rows[i].odd)
            show_odd(&of->rows[i], ret);
        else
            show(&of->rows[i], &ret->items[ret->n++]);
    return PLANE_OK;
}

/* `id` may be one that issues_id gave, whose storage is soon another's. */
static struct row *row_of_id(struct project_of *of, const char *id)
{
    AUTO_FREE char *wanted = mem_dup(id);
    for (size_t i = 0; i < of->n; i++)
        if (strcmp(issues_id(of->rows[i].number), wanted) == 0)
            return &of->rows[i];
    return NULL;
}

/* Whole documents are passed on in webhook mode alone, which no test with this double is about. */
enum plane_result plane_issue_document(struct plane_call *call, const char *project_id, const char *issue_id,
                                       json_t **ret, struct why *why)
{
    (void)call, (void)project_id, (void)issue_id, (void)ret;
    (void)why_set(why, ERR_INTERNAL, "the double has no documents");
    return PLANE_FAILED;
}

enum plane_result plane_issue(struct plane_call *call, const char *project_id, const char *issue_id,
                              struct plane_issue *ret, struct why *why)
{
    enum plane_result result = admit(call, project_id, &scripted.issues, why);
    if (result != PLANE_OK)
        return result;
    const struct row *found = row_of_id(project(project_id), issue_id);
    if (!found)
        return (void)why_set(why, ERR_NOT_FOUND, "Plane knows no such issue"), PLANE_ABSENT;
    if (found->broken != PLANE_OK)
        return fail(call, found->broken, why);
    show(found, ret);
    return PLANE_OK;
}

enum plane_result plane_last_change(struct plane_call *call, const char *project_id, const char *issue_id,
                                    struct plane_change *ret, struct why *why)
{
    size_t page = 0;
    return plane_last_change_from(call, project_id, issue_id, &page, ret, why);
}

enum plane_result plane_last_change_from(struct plane_call *call, const char *project_id,
                                         const char *issue_id, size_t *page, struct plane_change *ret,
                                         struct why *why)
{
    const struct row *found = row_of_id(project(project_id), issue_id);
    for (;; ++*page) {
        enum plane_result result = admit(call, project_id, &scripted.changes, why);
        if (result != PLANE_OK)
            return result;
        if (!found || *page >= found->change_page)
            break;
    }
    *page = 0;
    if (found && found->broken != PLANE_OK)
        return fail(call, found->broken, why);
    *ret = found ? found->change : (struct plane_change){.found = false};
    return PLANE_OK;
}
