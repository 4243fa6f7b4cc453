/* pipeline_gate.c - the kinds of gates and the options each takes. */
#include "reconcile/pipeline/pipeline_check.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "reconcile/pipeline/settings_text.h"

/* What each kind takes beside "kind". */
static const struct kind {
    const char *name;
    const char *members[4]; /* NULL-terminated */
    const char *required;   /* or NULL */
} kinds[] = {
    [GATE_HUMAN] = {"human", {"kind"}, NULL},
    [GATE_CI] = {"ci", {"kind", "contexts"}, NULL},
    [GATE_FILES] = {"files", {"kind", "paths"}, "paths"},
    [GATE_REVIEW] = {"review", {"kind", "approvals", "official"}, NULL},
    [GATE_MERGED] = {"merged", {"kind"}, NULL},
    [GATE_HTTP] = {"http", {"kind", "url"}, "url"},
};
static_assert(ARRAY_LEN(kinds) == GATE_KIND_MAX_, "every kind is described");

const char *gate_kind_name(enum gate_kind kind)
{
    return (unsigned)kind < GATE_KIND_MAX_ ? kinds[kind].name : "unknown";
}

bool gate_kind_parse(const char *name, enum gate_kind *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(kinds[i].name, name) == 0) {
            *ret = (enum gate_kind)i;
            return true;
        }
    return false;
}

static const char *const path_places[] = {"{work_item_id}", "{task_id}", "{stage}", "{branch}", NULL};
static const char *const url_places[] = {"{work_item_id}", "{task_id}", "{stage}",
                                         "{branch}",       "{repo}",    NULL};

/* The length of the placeholder at `text`, or 0. */
static size_t place_len(const char *text, const char *const *places)
{
    for (; *places; places++)
        if (strncmp(text, *places, strlen(*places)) == 0)
            return strlen(*places);
    return 0;
}

/* Every brace belongs to a placeholder that will be filled in. */
static const char *template_problem(const char *text, const char *const *places)
{
    while (*(text += strcspn(text, "{}"))) {
        size_t len = place_len(text, places);
        if (len == 0)
            return "has a placeholder that nothing fills in";
        text += len;
    }
    return NULL;
}

/* A path that stays inside the repository and that Gitea does not read as another path. */
static const char *path_problem(const char *path)
{
    if (path[0] == '/')
        return "must not begin with /";
    if (strchr(path, '\\'))
        return "must not have a backslash";
    for (const char *at = path; *at;) {
        size_t len = strcspn(at, "/");
        if (len == 0 || (len == 1 && at[0] == '.') || (len == 2 && at[0] == '.' && at[1] == '.'))
            return "must not have empty, . or .. segments";
        at += len;
        at += *at == '/';
    }
    return template_problem(path, path_places);
}

static void check_list(const json_t *list, const char *member, const char *(*problem_of)(const char *),
                       const char *where, json_t *problems)
{
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n < 1 || n > LIMIT_GATE_ITEMS) {
        pipeline_problem(problems, where, "%s must be a list of 1 to %u texts", member, LIMIT_GATE_ITEMS);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text || !*text || strlen(text) > LIMIT_GATE_TEXT || text_has_control(text))
            pipeline_problem(problems, where, "%s: item %zu must be text of 1 to %u bytes", member, i + 1,
                             LIMIT_GATE_TEXT);
        else if (problem_of && problem_of(text))
            pipeline_problem(problems, where, "%s: item %zu %s: %s", member, i + 1, problem_of(text), text);
    }
}

static void check_url(const json_t *value, const char *where, json_t *problems)
{
    const char *url = json_string_value(value);
    if (!url || strlen(url) > LIMIT_GATE_URL) {
        pipeline_problem(problems, where, "url must be text of at most %u bytes", LIMIT_GATE_URL);
        return;
    }
    const char *problem = url_problem(url, true);
    if (!problem)
        problem = template_problem(url, url_places);
    if (problem)
        pipeline_problem(problems, where, "url %s", problem);
}

static void check_options(const json_t *gate, const char *where, json_t *problems)
{
    const json_t *contexts = json_object_get(gate, "contexts"), *paths = json_object_get(gate, "paths"),
                 *approvals = json_object_get(gate, "approvals"),
                 *official = json_object_get(gate, "official"), *url = json_object_get(gate, "url");
    if (contexts)
        check_list(contexts, "contexts", NULL, where, problems);
    if (paths)
        check_list(paths, "paths", path_problem, where, problems);
    if (url)
        check_url(url, where, problems);
    if (approvals && (!json_is_integer(approvals) || json_integer_value(approvals) < 1 ||
                      json_integer_value(approvals) > LIMIT_APPROVALS))
        pipeline_problem(problems, where, "approvals must be a whole number from 1 to %d", LIMIT_APPROVALS);
    if (official && !json_is_boolean(official))
        pipeline_problem(problems, where, "official must be true or false");
}

void pipeline_check_gate(const json_t *gate, const char *where, json_t *problems)
{
    enum gate_kind kind;
    const char *name = json_get_text(gate, "kind", NULL);
    if (!json_is_object(gate)) {
        pipeline_problem(problems, where, "must be an object");
    } else if (!name) {
        pipeline_problem(problems, where, "has no kind");
    } else if (!gate_kind_parse(name, &kind)) {
        AUTO_FREE char *shown = text_cut(name, 64);
        pipeline_problem(problems, where, "there is no kind of gate called %s", shown);
    } else {
        pipeline_check_members(gate, kinds[kind].members, where, problems);
        if (kinds[kind].required && !json_object_get(gate, kinds[kind].required))
            pipeline_problem(problems, where, "%s needs %s", name, kinds[kind].required);
        check_options(gate, where, problems);
    }
}
