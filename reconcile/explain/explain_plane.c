#include "reconcile/explain/explain_plane.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/store/store.h"
#include "reconcile/heal/services.h"
#include "reconcile/settings/policy.h"
#include "reconcile/settings/settings.h"

/* The states of one project. */
struct known_project {
    const struct project *project;
    struct plane_state_map kinds;
    int64_t until_ms; /* clock_mono_ms(); 0: nothing is known */
};

struct explain_plane {
    const struct services *services;
    struct known_project *projects; /* one for each of the settings' */
};

struct explain_plane *explain_plane_new(const struct services *services)
{
    struct explain_plane *plane = mem_zero(1, sizeof *plane);
    plane->services = services;
    plane->projects = mem_zero(services->settings->n_projects, sizeof *plane->projects);
    for (size_t i = 0; i < services->settings->n_projects; i++)
        plane->projects[i].project = &services->settings->projects[i];
    return plane;
}

void explain_plane_free(struct explain_plane *plane)
{
    if (!plane)
        return;
    for (size_t i = 0; i < plane->services->settings->n_projects; i++)
        plane_state_map_done(&plane->projects[i].kinds);
    free(plane->projects);
    free(plane);
}

void plane_said_done(struct plane_said *said)
{
    free(said->error);
    free(said->state_name);
    free(said->problem);
    plane_change_done(&said->change);
    *said = (struct plane_said){0};
}

const char *explain_plane_obstacle(const struct services *services, const struct store_task_entry *entry)
{
    const struct store_task *task = &entry->task;
    const struct project *project = task->repo ? settings_project(services->settings, task->repo) : NULL;
    if (!plane_configured(services->plane))
        return "ORCH_PLANE_URL is not set: nobody here reads it";
    if (!project || !project->plane_project_id)
        return "ORCH_PROJECTS_JSON names no project of Plane for its repo: nobody here reads it";
    if (!task->plane_id || !uuid_valid(task->plane_id))
        return "its plane_id is no issue's: nobody here can read it";
    return NULL;
}

/* asking */

struct asked {
    const struct plane_asking *asking;
    const struct services *services;
    struct known_project *known;
    struct plane_call call;
    char issue_id[UUID_TEXT_LEN + 1];
    struct plane_issue issue;
    struct plane_said *said;
};

static bool heard(const struct asked *asked, enum plane_result result, const struct why *why)
{
    if (result == PLANE_ABSENT)
        asked->said->error = mem_dup("Plane has no such issue: it was deleted, archived or made a draft");
    else if (result != PLANE_OK)
        asked->said->error = mem_dup(why->text);
    return result == PLANE_OK;
}

static bool learn_states(struct asked *asked)
{
    struct known_project *known = asked->known;
    struct plane_states states = {.n = 0};
    struct why why = {.text = ""};
    if (clock_mono_ms() < known->until_ms)
        return true;
    if (!heard(asked, plane_states(&asked->call, known->project->plane_project_id, &states, &why), &why))
        return false;
    plane_state_map_update(&known->kinds, &states, asked->services->settings->plane_states);
    plane_states_done(&states);
    known->until_ms = clock_mono_ms() + LIMIT_EXPLAIN_STATES_MS;
    return true;
}

static bool learn_issue(struct asked *asked)
{
    struct why why = {.text = ""};
    const char *project = asked->known->project->plane_project_id;
    if (!heard(asked, plane_issue(&asked->call, project, asked->issue_id, &asked->issue, &why), &why))
        return false;
    const struct plane_mapped_state *kind = plane_state_map_find(&asked->known->kinds, asked->issue.state);
    if (!kind)
        asked->known->until_ms = 0; /* made since the states were read */
    asked->said->kind = kind ? kind->kind : ISSUE_OTHER;
    asked->said->state_name = mem_dup(kind ? kind->name : NULL);
    asked->said->updated_us = asked->issue.updated_us;
    asked->said->problem = mem_dup(asked->known->kinds.problem);
    return true;
}

static void decide(struct asked *asked, bool replayed)
{
    const struct store_task_entry *entry = asked->asking->entry;
    const struct store_issue_task task = {
        .task = entry->task, .updated_us = entry->updated_us, .active = entry->job_id != NULL};
    const struct plane_view view = {
        .kind = asked->said->kind,
        .state = asked->issue.state,
        .updated_us = asked->issue.updated_us,
        .now_us = asked->asking->now_us,
        .grace_s = asked->asking->policy->grace_default_s,
        .pipeline = asked->services->pipeline,
        .task = &task,
        .change = asked->said->told ? &asked->said->change : NULL,
        .replayed = replayed,
    };
    asked->said->decision = plane_decide(&view);
}

static bool learn_change(struct asked *asked)
{
    struct why why = {.text = ""};
    const char *project = asked->known->project->plane_project_id;
    asked->said->told = heard(
        asked, plane_last_change(&asked->call, project, asked->issue_id, &asked->said->change, &why), &why);
    return asked->said->told;
}

static void learn_replayed(struct asked *asked)
{
    const char *id = asked->said->change.id;
    struct why why = {.text = ""};
    bool replayed = false;
    enum plane_step step = asked->said->decision.step;
    if (step != STEP_APPROVE && step != STEP_REJECT)
        return;
    if (store_verdicts_replayed(asked->services->store, &id, 1, &replayed, &why) != ERR_OK)
        asked->said->error = mem_dup(why.text);
    else
        decide(asked, replayed);
}

static bool may_ask(const struct asked *asked)
{
    struct plane_budget budget;
    plane_budget(asked->services->plane, &budget);
    if (budget.retry_after_s == 0 && budget.left >= LIMIT_EXPLAIN_PLANE_LEFT)
        return true;
    asked->said->error = mem_dup("what is left of Plane's calls in this minute is kept for passes");
    return false;
}

static void ask(struct asked *asked)
{
    if (!may_ask(asked) || !learn_states(asked) || !learn_issue(asked))
        return;
    decide(asked, false);
    if (asked->said->decision.step != STEP_ASK || !learn_change(asked))
        return;
    decide(asked, false);
    learn_replayed(asked);
}

void explain_plane_ask(struct explain_plane *plane, const struct plane_asking *asking, struct plane_said *ret)
{
    const struct services *services = plane->services;
    struct asked asked = {.asking = asking, .services = services, .said = ret};
    const struct project *project = settings_project(services->settings, asking->entry->task.repo);
    *ret = (struct plane_said){0};
    asked.known = &plane->projects[project - services->settings->projects];
    for (size_t i = 0; i < UUID_TEXT_LEN; i++)
        asked.issue_id[i] = (char)tolower((unsigned char)asking->entry->task.plane_id[i]);
    plane_call_begin(&asked.call, services->plane, services->fetch, false, asking->deadline_ms,
                     asking->stopping);
    ask(&asked);
    plane_issue_done(&asked.issue);
    plane_call_end(&asked.call);
}
