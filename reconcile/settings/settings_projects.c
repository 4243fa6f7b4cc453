/* settings_projects.c - ORCH_PROJECTS_JSON and ORCH_PLANE_STATES_JSON: the two settings with members of their
 * own. */
#include "reconcile/settings/settings_table.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "reconcile/pipeline/settings_text.h"
#include "reconcile/settings/work_item.h"

#define DEFAULT_BASE_BRANCH "main"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define PLANE_FORBIDS "&+,:;$^}{*=?@#|'<>.()%!-"

/* Gitea's rule for the names of owners and repositories. */
static bool is_repo_part(const char *text, size_t len)
{
    bool dots_only = strspn(text, ".") >= len;
    return len >= 1 && len <= 100 && strspn(text, UPPER LOWER DIGITS "-_.") >= len && !dots_only;
}

bool settings_repo_valid(const char *text)
{
    const char *slash = strchr(text, '/');
    return slash && is_repo_part(text, (size_t)(slash - text)) && is_repo_part(slash + 1, strlen(slash + 1));
}

/* Plane's rule for a project's identifier (db/models/project.py, FORBIDDEN_IDENTIFIER_CHARS_PATTERN; save()
 * strips it and puts it into capitals). */
static bool is_prefix(const char *text)
{
    size_t len = strlen(text), characters = 0;
    for (size_t i = 0; i < len; i++)
        characters += ((unsigned char)text[i] & 0xc0) != 0x80;
    return characters >= 1 && characters <= 12 && strcspn(text, LOWER PLANE_FORBIDS) == len &&
           !text_has_control(text) && text[0] != ' ' && text[len - 1] != ' ';
}

/* The rules of git-check-ref-format(1) that keep a branch one path. */
static bool is_branch(const char *text)
{
    size_t len = strlen(text);
    if (len < 1 || len > 250 || text[0] == '/' || text[0] == '-' || text[len - 1] == '/' ||
        text[len - 1] == '.')
        return false;
    for (const char *at = text; *at; at++)
        if ((unsigned char)*at <= 0x20 || strchr("~^:?*[\\\x7f", *at))
            return false;
    return !strstr(text, "..") && !strstr(text, "//") && !strstr(text, "@{");
}

static const struct project_member {
    const char *name;
    bool (*valid)(const char *text);
    const char *rule;
    bool required, unique;
} project_members[] = {
    {"repo", settings_repo_valid, "must be owner/name", true, false},
    {"plane_project_id", uuid_valid, "must be a UUID", false, true},
    {"prefix", is_prefix, "must be a project's identifier as Plane has it: up to 12 characters, in capitals",
     false, true},
    {"base_branch", is_branch, "must be the name of a branch", false, false},
};

static const struct project_member *project_member(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(project_members); i++)
        if (strcmp(project_members[i].name, name) == 0)
            return &project_members[i];
    return NULL;
}

/* Whether an earlier project has the same text in that member, ignoring case. */
static bool is_taken(const json_t *projects, size_t at, const char *member, const char *text)
{
    for (size_t i = 0; i < at; i++) {
        const char *other = json_get_text(json_array_get(projects, i), member, NULL);
        if (other && text_same_letters(other, text))
            return true;
    }
    return false;
}

static void project_member_check(const char *field, const json_t *projects, size_t at,
                                 const struct project_member *member, json_t *errors)
{
    const json_t *value = json_object_get(json_array_get(projects, at), member->name);
    AUTO_FREE char *path = mem_printf("%s[%zu].%s", field, at, member->name);
    if (!value || json_is_null(value)) {
        if (member->required)
            problem_add(errors, path, "is missing");
    } else if (!json_is_string(value) || !member->valid(json_string_value(value))) {
        problem_add(errors, path, "%s", member->rule);
    } else if (member->unique && is_taken(projects, at, member->name, json_string_value(value))) {
        problem_add(errors, path, "is that of an earlier project too");
    }
}

static void project_check(const char *field, const json_t *projects, size_t at, json_t *errors)
{
    json_t *project = json_array_get(projects, at);
    AUTO_FREE char *path = mem_printf("%s[%zu]", field, at);
    if (!json_is_object(project)) {
        problem_add(errors, path, "must be an object");
        return;
    }
    const char *key;
    json_t *value;
    json_object_foreach(project, key, value)
    {
        AUTO_FREE char *name = text_cut(key, 64);
        if (!project_member(key))
            problem_add(errors, path, "unknown member: %s", name);
    }
    for (size_t i = 0; i < ARRAY_LEN(project_members); i++)
        project_member_check(field, projects, at, &project_members[i], errors);
    if (!json_get_text(project, "plane_project_id", NULL) != !json_get_text(project, "prefix", NULL))
        problem_add(errors, path, "has one of plane_project_id and prefix: give both or neither");
}

void projects_check(const char *field, const json_t *projects, json_t *errors)
{
    if (!json_is_array(projects) || json_array_size(projects) > LIMIT_PROJECTS) {
        problem_add(errors, field, "must be an array of at most %u projects", LIMIT_PROJECTS);
        return;
    }
    for (size_t i = 0; i < json_array_size(projects); i++)
        project_check(field, projects, i, errors);
}

/* The first of them. */
static const struct project *project_of_repo(const struct settings *settings, const char *repo)
{
    for (size_t i = 0; repo && i < settings->n_projects; i++)
        if (repo_compare(settings->projects[i].repo, repo) == 0)
            return &settings->projects[i];
    return NULL;
}

void projects_bind(struct settings *settings)
{
    size_t n = json_array_size(settings->projects_json);
    settings->projects = mem_zero(n, sizeof *settings->projects);
    settings->n_projects = n;
    for (size_t i = 0; i < n; i++) {
        const json_t *given = json_array_get(settings->projects_json, i);
        settings->projects[i] = (struct project){
            .repo = json_get_text(given, "repo", NULL),
            .plane_project_id = json_get_text(given, "plane_project_id", NULL),
            .prefix = json_get_text(given, "prefix", NULL),
            .base_branch = json_get_text(given, "base_branch", DEFAULT_BASE_BRANCH),
        };
    }
    settings->repos = mem_zero(n, sizeof *settings->repos);
    for (size_t i = 0; i < n; i++)
        if (project_of_repo(settings, settings->projects[i].repo) == &settings->projects[i])
            settings->repos[settings->n_repos++] = settings->projects[i].repo;
}

static const struct project *project_of_item(const struct settings *settings, const char *work_item_id)
{
    for (size_t i = 0; work_item_id && i < settings->n_projects; i++)
        if (settings->projects[i].prefix && work_item_has_prefix(work_item_id, settings->projects[i].prefix))
            return &settings->projects[i];
    return NULL;
}

static bool is_only_of_repo(const struct settings *settings, const struct project *first)
{
    for (const struct project *other = first + 1; other < settings->projects + settings->n_projects; other++)
        if (repo_compare(other->repo, first->repo) == 0)
            return false;
    return true;
}

const struct project *settings_project(const struct settings *settings, const char *repo,
                                       const char *work_item_id)
{
    const struct project *project = project_of_item(settings, work_item_id);
    if (project)
        return project;
    project = project_of_repo(settings, repo);
    return project && is_only_of_repo(settings, project) ? project : NULL;
}

const char *settings_base_branch(const struct settings *settings, const char *repo, const char *work_item_id)
{
    const struct project *project = project_of_item(settings, work_item_id);
    if (!project || !repo || repo_compare(project->repo, repo) != 0) {
        const struct project *of_repo = project_of_repo(settings, repo);
        project = of_repo ? of_repo : project;
    }
    return project ? project->base_branch : DEFAULT_BASE_BRANCH;
}

/* Plane's states */

static json_t *default_states(void)
{
    json_t *states = NULL;
    const struct setting *row = setting_of_name("ORCH_PLANE_STATES_JSON");
    if (json_read(row->fallback, strlen(row->fallback), &states, NULL) != ERR_OK)
        abort(); /* a test reads every default */
    return states;
}

static bool is_state_name(const json_t *value)
{
    const char *text = json_string_value(value);
    return text && *text && strlen(text) <= 255 && !text_has_control(text);
}

json_t *states_complete(const json_t *states)
{
    json_t *all = default_states();
    if (json_object_update_existing(all, (json_t *)(uintptr_t)states) != 0)
        abort(); /* out of memory, see err.h */
    return all;
}

void states_check(const char *field, const json_t *states, json_t *errors)
{
    if (!json_is_object(states)) {
        problem_add(errors, field, "must be an object with in_progress, approved, rejected");
        return;
    }
    json_auto_t *known = default_states();
    const char *key, *other;
    json_t *value, *same;
    json_object_foreach((json_t *)(uintptr_t)states, key, value)
    {
        AUTO_FREE char *name = text_cut(key, 64);
        AUTO_FREE char *path = mem_printf("%s.%s", field, name);
        if (!json_object_get(known, key))
            problem_add(errors, path, "unknown member; there are in_progress, approved, rejected");
        else if (!is_state_name(value))
            problem_add(errors, path, "must be the name or the UUID of a state");
    }
    json_auto_t *all = states_complete(states);
    json_object_foreach(all, key, value)
    {
        json_object_foreach(all, other, same)
        {
            if (strcmp(key, other) < 0 && json_is_string(value) && json_is_string(same) &&
                text_same_letters(json_string_value(value), json_string_value(same)))
                problem_add(errors, field, "%s and %s are the same state", key, other);
        }
    }
}
