/* Sources: makeplane/plane v0.23.0 to v1.3.1. Pages: plane/utils/paginator.py. Rows:
 * plane/api/serializers/{issue,state,base}.py. Errors: plane/api/views/base.py,
 * plane/authentication/adapter/{exception,error}.py, plane/app/views/error_404.py. */
#include "clients/plane/plane_parse.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/http/upstream.h"

#define QUOTE_MAX ((size_t)120)
#define NAME_MAX_BYTES ((size_t)2048)        /* Plane takes 255 characters */
#define LAST_INSTANT_S INT64_C(253402300799) /* the end of 9999 */

/* the answer as such */

/* The words of an error: one of three members, or of the first field that did not pass ({"name":["…"]}); cut;
 * NULL when there are none. */
static char *error_words(const struct fetch_answer *answer)
{
    static const char *const members[] = {"detail", "error", "error_message"};
    json_t *json = NULL;
    char *error = NULL;
    if (!answer->body || json_read_within(answer->body, answer->body_len, LIMIT_JSON_TREE_SMALL, &json, NULL))
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(members) && !error; i++) {
        const char *text = json_get_text(json, members[i], "");
        error = *text ? text_cut(text, QUOTE_MAX) : NULL;
    }
    void *field = error ? NULL : json_object_iter(json);
    const char *message = json_string_value(json_array_get(json_object_iter_value(field), 0));
    if (message) {
        AUTO_FREE char *whole = mem_printf("%s: %s", json_object_iter_key(field), message);
        error = text_cut(whole, QUOTE_MAX);
    }
    json_decref(json);
    return error;
}

static bool is_text(const char *error, const char *known)
{
    return error && strcmp(error, known) == 0;
}

/* A 403 may mean a bad key or a missing right, because Plane's authentication sends no challenge. A project
 * that does not exist gives 403 too, because it has no members. */
static void refused_words(const struct fetch_answer *answer, const char *what, const char *error,
                          const struct upstream_names *names, struct why *why)
{
    if (answer->status == 401)
        (void)why_set(why, ERR_INVALID, "Plane saw no API key, asked for %s (401: %s); what drops X-Api-Key?",
                      what, error);
    else if (is_text(error, "Given API token is not valid"))
        (void)why_set(why, ERR_INVALID, "Plane refused the API key (403: %s)", error);
    else if (is_text(error, "You do not have permission to perform this action."))
        (void)why_set(
            why, ERR_INVALID,
            "Plane refused the %s (403: %s); is %s right, is there such a project, and is the key's user a "
            "member?",
            what, error, names->workspace);
    else
        (void)why_set(why, ERR_INVALID, "Plane refused the %s (403: %s)", what, error);
}

static enum plane_result missing_read(const char *what, const char *error, const struct upstream_names *names,
                                      struct plane_reply *reply, struct why *why)
{
    if (is_text(error, "The requested resource does not exist.") ||
        is_text(error, "The required object does not exist.")) {
        (void)why_set(why, ERR_NOT_FOUND, "Plane knows no %s", what);
        return PLANE_ABSENT;
    }
    reply->unrouted = is_text(error, "Page not found.");
    if (reply->unrouted)
        (void)why_set(why, ERR_INVALID, "Plane has no page for %s (404); is %s right?", what, names->url);
    else
        (void)why_set(why, ERR_INVALID, "Plane answered 404 (%s) for %s; is %s right?", error, what,
                      names->url);
    return PLANE_FAILED;
}

static enum plane_result body_read(const struct fetch_answer *answer, const char *what, json_t **ret,
                                   struct why *why)
{
    struct why wrong;
    if (!answer->body) {
        (void)why_set(why, ERR_INVALID, "Plane answered 200 with an empty body for %s", what);
    } else if (json_read(answer->body, answer->body_len, ret, &wrong) == ERR_OK) {
        return PLANE_OK;
    } else if (strstr(answer->content_type, "html")) {
        (void)why_set(why, ERR_INVALID, "Plane answered 200 (%s) for %s: a page, not the API",
                      answer->content_type, what);
    } else {
        (void)why_set(why, ERR_INVALID, "Plane's answer for %s is cut or broken: %s", what, wrong.text);
    }
    return PLANE_FAILED;
}

static enum plane_result answered_read(const struct fetch_answer *answer, const char *what,
                                       const struct upstream_names *names, struct plane_reply *reply,
                                       struct why *why)
{
    if (answer->status == 200)
        return body_read(answer, what, &reply->json, why);
    AUTO_FREE char *error = error_words(answer);
    if (!error && *answer->proxy && answer->status != 429) {
        (void)why_set(why, ERR_UNAVAILABLE, "%s, or what is behind it, answered %d (%s) for %s",
                      answer->proxy, answer->status,
                      *answer->content_type ? answer->content_type : "no content type", what);
        return answer->status >= 500 ? PLANE_DOWN : PLANE_FAILED;
    }
    if (!error)
        error = mem_dup(*answer->content_type ? answer->content_type : "no content type");
    if (answer->status == 401 || answer->status == 403) {
        refused_words(answer, what, error, names, why);
    } else if (answer->status == 404) {
        return missing_read(what, error, names, reply, why);
    } else if (answer->status == 429) {
        (void)why_set(why, ERR_RETRY, "Plane takes no more calls for now (429: %s), asked for %s", error,
                      what);
        return PLANE_WAITING;
    } else if (answer->status >= 500) {
        (void)why_set(why, ERR_UNAVAILABLE, "Plane answered %d (%s) for %s", answer->status, error, what);
        return PLANE_DOWN;
    } else if (answer->status >= 300 && answer->status <= 399) {
        (void)why_set(why, ERR_INVALID, "Plane answered %d (%s) for %s; a redirect elsewhere, is %s right?",
                      answer->status, error, what, names->url);
    } else {
        (void)why_set(why, ERR_INVALID, "Plane answered %d (%s) for %s", answer->status, error, what);
    }
    return PLANE_FAILED;
}

void plane_reply_read(const struct fetch_answer *answer, const char *what, const struct upstream_names *names,
                      struct plane_reply *ret, struct why *why)
{
    *ret = (struct plane_reply){.result = PLANE_DOWN};
    if (answer->result == FETCH_ANSWERED) {
        ret->result = answered_read(answer, what, names, ret, why);
    } else if (answer->result == FETCH_ABORTED) {
        ret->result = PLANE_STOPPED;
        (void)why_set(why, ERR_UNAVAILABLE, "stopped before Plane answered");
    } else {
        if (answer->result == FETCH_TOO_LARGE)
            ret->result = PLANE_FAILED;
        if (answer->result == FETCH_NOT_ASKED)
            ret->result = PLANE_SPARED;
        (void)why_set(why, ERR_UNAVAILABLE, "Plane: %s, asked for %s", answer->error, what);
    }
}

/* members */

bool plane_uuid(const char *text, char ret[UUID_TEXT_LEN + 1])
{
    if (!text || !uuid_valid(text))
        return false;
    for (size_t i = 0; i <= UUID_TEXT_LEN; i++)
        ret[i] = (char)tolower((unsigned char)text[i]);
    return true;
}

/* A uuid, or an object with one: what expand= does to a reference. "" for null; false for anything else. */
static bool reference_of(const json_t *object, const char *key, char ret[UUID_TEXT_LEN + 1])
{
    const json_t *member = json_object_get(object, key);
    ret[0] = '\0';
    if (!member || json_is_null(member))
        return true;
    return plane_uuid(json_is_object(member) ? json_get_text(member, "id", NULL) : json_string_value(member),
                      ret);
}

static char *name_of(const json_t *object)
{
    return text_cut(json_get_text(object, "name", ""), NAME_MAX_BYTES);
}

/* pages */

struct envelope {
    const json_t *rows;
    bool more;
    int64_t total;
};

/* Even the last page has a cursor for a next one, so only next_page_results shows whether there is one. */
static const char *envelope_read(const json_t *json, struct envelope *ret)
{
    const json_t *more = json_object_get(json, "next_page_results");
    ret->rows = json_object_get(json, "results");
    ret->more = json_is_true(more);
    ret->total = json_get_int(json, "total_count", -1);
    if (!json_is_array(ret->rows))
        return "not a page of rows";
    if (!json_is_boolean(more))
        return "a page without next_page_results";
    if (ret->more && json_array_size(ret->rows) != LIMIT_PLANE_PAGE)
        return "a page before the last one that has not the size asked for";
    return NULL;
}

const char *plane_parse_states(const json_t *json, struct plane_states *states, bool *ret_more)
{
    struct envelope page;
    const char *wrong = envelope_read(json, &page);
    if (wrong)
        return wrong;
    size_t n = json_array_size(page.rows);
    states->items = mem_grow(states->items, states->n + n + 1, sizeof *states->items);
    for (size_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(page.rows, i);
        struct plane_state *state = &states->items[states->n];
        if (!plane_uuid(json_get_text(row, "id", NULL), state->id))
            continue;
        state->name = name_of(row);
        states->n++;
    }
    *ret_more = page.more;
    return NULL;
}

const char *plane_parse_issue(const json_t *json, const char *project_id, struct plane_issue *ret)
{
    char project[UUID_TEXT_LEN + 1];
    ret->id[0] = '\0';
    if (!plane_uuid(json_get_text(json, "id", NULL), ret->id))
        return "an issue without an id";
    if (!reference_of(json, "project", project) || (*project && strcmp(project, project_id) != 0))
        return "an issue of another project";
    if (!reference_of(json, "state", ret->state))
        return "an issue whose state is no uuid";
    if (!instant_parse(json_get_text(json, "updated_at", ""), &ret->updated_us))
        return "an issue without the time of its last change";
    ret->sequence = json_get_int(json, "sequence_id", 0);
    if (ret->sequence <= 0)
        return "an issue without a number";
    ret->name = name_of(json);
    return NULL;
}

static void odd_add(struct plane_page *page, const char *id, const char *wrong)
{
    page->odd = mem_grow(page->odd, page->n_odd + 1, sizeof *page->odd);
    struct plane_odd_row *row = &page->odd[page->n_odd++];
    *row = (struct plane_odd_row){.wrong = wrong};
    memcpy(row->id, id, sizeof row->id);
}

const char *plane_parse_issues(const json_t *json, const char *project_id, struct plane_page *ret)
{
    struct envelope page;
    const char *wrong = envelope_read(json, &page);
    if (wrong)
        return wrong;
    size_t n = json_array_size(page.rows);
    struct plane_page parsed = {.more = page.more, .total = page.total};
    parsed.items = mem_zero(n + 1, sizeof *parsed.items);
    for (size_t i = 0; i < n; i++) {
        struct plane_issue *issue = &parsed.items[parsed.n];
        wrong = plane_parse_issue(json_array_get(page.rows, i), project_id, issue);
        if (wrong)
            odd_add(&parsed, issue->id, wrong);
        else
            parsed.n++;
    }
    *ret = parsed;
    return NULL;
}

/* activities */

/* `epoch` is the second in which the change was asked for; a float column, empty in old rows. */
static int64_t moment_of(const json_t *json, int64_t created_us)
{
    const json_t *epoch = json_object_get(json, "epoch");
    double seconds = json_number_value(epoch); /* 0 when it is none */
    return seconds >= 1 && seconds <= (double)LAST_INSTANT_S ? (int64_t)seconds * 1000000 : created_us;
}

/* A person's object, or an id; an object that is larger than any person's is reduced to its id. */
static char *actor_of(const json_t *actor)
{
    if (!json_is_object(actor) && !json_is_string(actor))
        return NULL;
    char *text = json_dumps(actor, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!text)
        abort(); /* out of memory, see err.h */
    if (strlen(text) <= LIMIT_PLANE_PERSON)
        return text;
    free(text);
    return json_is_object(actor) ? actor_of(json_object_get(actor, "id")) : NULL;
}

static const char *change_parse(const json_t *json, struct plane_change *ret)
{
    ret->found = true;
    if (!plane_uuid(json_get_text(json, "id", NULL), ret->id))
        return "a change of state without an id";
    if (!reference_of(json, "new_identifier", ret->new_state))
        return "a change to a state whose id is no uuid";
    /* Nothing rests on these two. */
    (void)reference_of(json, "old_identifier", ret->old_state);
    ret->actor = actor_of(json_object_get(json, "actor"));
    if (!instant_parse(json_get_text(json, "created_at", ""), &ret->created_us))
        return "a change of state without a time";
    ret->at_us = moment_of(json, ret->created_us);
    return NULL;
}

static bool is_newer(const struct plane_change *row, const struct plane_change *than)
{
    if (row->at_us != than->at_us)
        return row->at_us > than->at_us;
    if (row->created_us != than->created_us)
        return row->created_us > than->created_us;
    return strcmp(row->id, than->id) > 0;
}

void plane_change_done(struct plane_change *change)
{
    free(change->actor);
    *change = (struct plane_change){.found = false};
}

const char *plane_parse_changes(const json_t *json, struct plane_change *ret, bool *ret_more)
{
    struct envelope page;
    struct plane_change newest = {.found = false}, row;
    const char *wrong = envelope_read(json, &page);
    for (size_t i = 0; !wrong && i < json_array_size(page.rows); i++) {
        const json_t *activity = json_array_get(page.rows, i);
        if (!json_is_object(activity))
            return "a row that is no activity";
        if (!is_text(json_get_text(activity, "field", NULL), "state"))
            continue;
        row = (struct plane_change){.found = false};
        wrong = change_parse(activity, &row);
        if (!wrong && (!newest.found || is_newer(&row, &newest))) {
            plane_change_done(&newest);
            newest = row;
        } else {
            plane_change_done(&row);
        }
    }
    if (wrong) {
        plane_change_done(&newest);
        return wrong;
    }
    *ret = newest;
    *ret_more = page.more;
    return NULL;
}
