#include "server/auth_failures.h"

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/base/metric.h"

struct source {
    char address[INET6_ADDRSTRLEN]; /* "": free */
    int64_t count;                  /* since the last line */
    int64_t logged_ms;
};

struct auth_failures {
    pthread_mutex_t lock; /* guards the sources */
    /* The last one holds the addresses that find no place. */
    struct source sources[AUTH_FAILURES_ADDRESSES + 1];
    int64_t (*clock_ms)(void);
};

struct auth_failures *auth_failures_new(int64_t (*clock_ms)(void))
{
    struct auth_failures *failures = mem_zero(1, sizeof *failures);
    pthread_mutex_init(&failures->lock, NULL);
    failures->clock_ms = clock_ms;
    return failures;
}

void auth_failures_free(struct auth_failures *failures)
{
    if (!failures)
        return;
    pthread_mutex_destroy(&failures->lock);
    free(failures);
}

static socklen_t length_of(const struct sockaddr *address)
{
    return address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static struct source *source_of(struct auth_failures *failures, const char *address)
{
    struct source *found = NULL;
    for (size_t i = 0; i < AUTH_FAILURES_ADDRESSES; i++) {
        if (strcmp(failures->sources[i].address, address) == 0)
            return &failures->sources[i];
        if (!found && !*failures->sources[i].address)
            found = &failures->sources[i];
    }
    if (!found) {
        found = &failures->sources[AUTH_FAILURES_ADDRESSES];
        address = "others";
    }
    snprintf(found->address, sizeof found->address, "%s", address);
    return found;
}

/* Takes the number of failures of a source that must be logged; 0: none. Drops a source without new failures.
 */
static int64_t take_due(struct source *source, int64_t now_ms)
{
    int64_t count = source->count;
    if (!*source->address || (source->logged_ms && now_ms - source->logged_ms < LIMIT_AUTH_LOG_MS))
        return 0;
    source->logged_ms = now_ms;
    source->count = 0;
    if (count == 0)
        *source = (struct source){.count = 0};
    return count;
}

static void log_source(const char *address, int64_t count)
{
    log_warn("authentication failed", LOG_S("address", address), LOG_I("count", count));
}

void auth_failures_note(struct auth_failures *failures, const struct sockaddr *address, bool wrong)
{
    char text[INET6_ADDRSTRLEN];
    metric_count(METRIC_HTTP_AUTH_FAILURES, wrong ? "wrong" : "missing", NULL);
    if (!address || getnameinfo(address, length_of(address), text, sizeof text, NULL, 0, NI_NUMERICHOST) != 0)
        snprintf(text, sizeof text, "unknown");
    pthread_mutex_lock(&failures->lock);
    struct source *source = source_of(failures, text);
    source->count++;
    struct source due = *source;
    due.count = take_due(source, failures->clock_ms());
    pthread_mutex_unlock(&failures->lock);
    if (due.count > 0)
        log_source(due.address, due.count);
}

void auth_failures_tick(struct auth_failures *failures)
{
    struct source due[AUTH_FAILURES_ADDRESSES + 1];
    size_t n = 0;
    pthread_mutex_lock(&failures->lock);
    for (size_t i = 0; i < ARRAY_LEN(failures->sources); i++) {
        due[n] = failures->sources[i];
        due[n].count = take_due(&failures->sources[i], failures->clock_ms());
        n += due[n].count > 0;
    }
    pthread_mutex_unlock(&failures->lock);
    for (size_t i = 0; i < n; i++)
        log_source(due[i].address, due[i].count);
}
