/* upstream_watch.h - one warning when an upstream fails, and one line when it answers again.
 *
 * An upstream is looked at after each pass, by its health (clients/http/upstream_health.h). It fails when its
 * host is down, or when the newest call to each of its parts failed, either UPSTREAM_FAILURES_IN_A_ROW times
 * or for two looks in a row. So a single failed call, and a repository that fails beside others, log nothing.
 * The sweeper's thread alone.
 */
#ifndef RECONCILED_UPSTREAM_WATCH_H
#define RECONCILED_UPSTREAM_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct upstream_health;

struct upstream_watch {
    const char *name;               /* "gitea", … */
    struct upstream_health *health; /* borrowed; NULL: not configured, never logged */
    bool doubtful;                  /* as of the newest look; not logged yet */
    bool failing;                   /* logged */
    int64_t since_ms;               /* of the first look that found it failing; monotonic */
};

/* upstream_watch_look: logs an edge. `tasks` is how many tasks wait for the upstream. */
void upstream_watch_look(struct upstream_watch *watch, size_t tasks, int64_t now_ms);

#endif
