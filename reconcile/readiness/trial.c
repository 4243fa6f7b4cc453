#include "reconcile/readiness/trial.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/store/store.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/settings/settings.h"

static bool starts_tasks(const struct settings *settings)
{
    for (size_t i = 0; settings->plane_url && i < settings->n_projects; i++)
        if (settings->projects[i].plane_project_id)
            return true;
    return false;
}

/* Every way out of a stage. */
static size_t trials_list(const struct pipeline *pipeline, struct store_trial *trials, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < pipeline->n_stages; i++) {
        const struct stage *stage = &pipeline->stages[i];
        const struct stage *const ways[] = {stage->next, stage->on_rejected};
        for (size_t k = 0; k < ARRAY_LEN(ways); k++)
            if (ways[k] && n < max)
                trials[n++] = (struct store_trial){
                    .from_stage = stage->name, .to_stage = ways[k]->name, .agent = ways[k]->agent};
    }
    return n;
}

static char *results_describe(const struct store_trial *trials, size_t n, json_t *problems)
{
    size_t written = 0, untried = 0;
    for (size_t i = 0; i < n; i++) {
        const struct store_trial *trial = &trials[i];
        written += trial->result == STORE_TRIAL_WRITTEN;
        untried += trial->result == STORE_TRIAL_UNTRIED;
        if (trial->result == STORE_TRIAL_REFUSED) {
            AUTO_FREE char *line = mem_printf("from %s to %s%s%s: %s", trial->from_stage, trial->to_stage,
                                              trial->agent ? " with a job for " : "",
                                              trial->agent ? trial->agent : "", trial->refusal.text);
            json_push(problems, json_text(line));
        }
    }
    return untried == 0
               ? mem_printf("%zu transitions written and rolled back", written)
               : mem_printf(
                     "%zu transitions written and rolled back, %zu not tried: no free task at their stages",
                     written, untried);
}

enum err trial_run(struct store *store, const struct pipeline *pipeline, const struct settings *settings,
                   json_t *problems, char **ret_done, struct why *why)
{
    struct store_trial trials[LIMIT_BATCH / 2];
    struct why start = {""};
    enum err err;
    if (settings->advance_via == ADVANCE_VIA_WEBHOOK || settings->mode == MODE_OBSERVE) {
        if (!(err = store_trial_of_ours(store, why)))
            *ret_done = mem_dup("only tables of its own were tried: it is not set to move tasks itself");
        return err;
    }
    size_t n = trials_list(pipeline, trials, ARRAY_LEN(trials));
    if ((err = store_trial(store, trials, n, pipeline->stages[0].name, &start, why)))
        return err;
    *ret_done = results_describe(trials, n, problems);
    if (*start.text && starts_tasks(settings)) {
        AUTO_FREE char *line = mem_printf("a start cannot make its task: %s", start.text);
        json_push(problems, json_text(line));
    }
    return ERR_OK;
}
