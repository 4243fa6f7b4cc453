#include "clients/facts/facts.h"

void facts_run(struct facts *facts, const struct facts_loop *loop)
{
    for (;;) {
        void *waiter = NULL;
        enum facts_step step = facts_wait(facts, loop->on_idle ? loop->idle_ms : -1, &waiter);
        if (step == FACTS_ALL_ANSWERED)
            return;
        if (step == FACTS_READY)
            loop->on_ready(loop->arg, waiter);
        else if (loop->on_idle)
            loop->on_idle(loop->arg);
    }
}
