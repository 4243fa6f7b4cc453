#include "reconcile/heal/quarantine.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/base/text.h"
#include "clients/store/store.h"
#include "reconcile/message/message.h"

struct announced {
    struct uuid_text names[LIMIT_ANNOUNCED]; /* a ring; "" where none is yet */
    size_t next;
};

struct announced *announced_new(void)
{
    return mem_zero(1, sizeof(struct announced));
}

void announced_free(struct announced *announced)
{
    free(announced);
}

bool announced_has(const struct announced *announced, const struct uuid_text *name)
{
    for (size_t i = 0; i < LIMIT_ANNOUNCED; i++)
        if (strcmp(announced->names[i].s, name->s) == 0)
            return true;
    return false;
}

void announced_add(struct announced *announced, const struct uuid_text *name)
{
    if (announced_has(announced, name))
        return;
    announced->names[announced->next] = *name;
    announced->next = (announced->next + 1) % LIMIT_ANNOUNCED;
}

char *quarantine_reason(const struct policy *policy, const struct store_task *task)
{
    AUTO_FREE char *window = duration_text(policy->quarantine_window_s);
    return mem_printf("healed %" PRId64 " times in %s at this stage: left to a person", task->recent_heals,
                      window);
}

static void write_message(struct pass *pass, const struct store_task *task, const struct uuid_text *episode)
{
    struct why why;
    bool is_new = false;
    AUTO_FREE char *text = message_of_quarantine(task, pass->policy->quarantine_window_s);
    if (store_outbox_add(pass->services->store, episode->s, text, &is_new, &why) != ERR_OK) {
        log_warn("the message about a quarantine could not be written", LOG_I("task_id", task->id),
                 LOG_S("reason", why.text));
        return;
    }
    pass->messages += is_new;
    announced_add(pass->memory->announced, episode);
}

void quarantine_announce(struct pass *pass, const struct store_task *task)
{
    if (pass->request->dry_run)
        return;
    AUTO_FREE char *name =
        mem_printf("quarantine/%" PRId64 "/%s/%" PRId64, task->id, task->stage, task->newest_heal_seq);
    AUTO_FREE char *line = mem_printf("log/%s", name);
    struct uuid_text episode = uuid_from_name(name), logged = uuid_from_name(line);
    if (pass_writes_messages(pass) && !pass_hold_reason(pass, SIDE_GATE) &&
        !announced_has(pass->memory->announced, &episode))
        write_message(pass, task, &episode);
    if (announced_has(pass->memory->announced, &logged))
        return;
    AUTO_FREE char *reason = quarantine_reason(pass->policy, task);
    log_warn("task quarantined", LOG_I("task_id", task->id), LOG_S("work_item_id", task->work_item_id),
             LOG_S("repo", task->repo), LOG_S("stage", task->stage), LOG_S("reason", reason));
    announced_add(pass->memory->announced, &logged);
}
