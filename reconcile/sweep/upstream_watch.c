#include "reconcile/sweep/upstream_watch.h"

#include "clients/base/log.h"
#include "clients/http/upstream_health.h"

static bool fails(const struct upstream_watch *watch, const struct upstream_view *view)
{
    return view->down || view->in_a_row >= UPSTREAM_FAILURES_IN_A_ROW || watch->doubtful;
}

static void recovered(struct upstream_watch *watch, int64_t now_ms)
{
    if (watch->failing)
        log_info("an upstream answers again", LOG_S("upstream", watch->name),
                 LOG_I("failed_s", (now_ms - watch->since_ms) / 1000));
    watch->failing = watch->doubtful = false;
}

void upstream_watch_look(struct upstream_watch *watch, size_t tasks, int64_t now_ms)
{
    struct upstream_view view;
    if (!watch->health)
        return;
    upstream_health_view(watch->health, now_ms, &view);
    if (view.ok) {
        recovered(watch, now_ms);
        return;
    }
    if (!watch->failing && !watch->doubtful)
        watch->since_ms = now_ms;
    if (!watch->failing && fails(watch, &view)) {
        log_warn("an upstream fails", LOG_S("upstream", watch->name), LOG_I("tasks", tasks),
                 LOG_S("reason", view.error));
        watch->failing = true;
    }
    watch->doubtful = true;
}
