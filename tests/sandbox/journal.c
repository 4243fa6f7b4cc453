#include "tests/sandbox/journal.h"

#include <fnmatch.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/text.h"
#include "tests/sandbox/call.h"

#define KEPT 4096u
#define TARGET_SIZE 240
#define ROUTES_MAX 128

struct entry {
    int64_t number, at_us;
    int status; /* 0: no answer (yet) */
    bool authorized;
    char method[8], target[TARGET_SIZE];
};

struct journal {
    pthread_mutex_t lock; /* guards all below */
    int64_t last_number, total, in_flight, max_in_flight;
    struct {
        const struct route *route; /* NULL: no route fitted */
        const char *prefix;
        int64_t n;
    } routes[ROUTES_MAX];
    size_t n_routes;
    struct entry entries[KEPT];
};

struct journal *journal_new(void)
{
    struct journal *journal = mem_zero(1, sizeof *journal);
    pthread_mutex_init(&journal->lock, NULL);
    return journal;
}

void journal_free(struct journal *journal)
{
    pthread_mutex_destroy(&journal->lock);
    free(journal);
}

static void count_route(struct journal *journal, const struct call *call)
{
    size_t i = 0;
    while (i < journal->n_routes &&
           (journal->routes[i].route != call->route || journal->routes[i].prefix != call->stand_in->prefix))
        i++;
    if (i == ROUTES_MAX)
        return;
    if (i == journal->n_routes) {
        journal->n_routes++;
        journal->routes[i].route = call->route;
        journal->routes[i].prefix = call->stand_in->prefix;
        journal->routes[i].n = 0;
    }
    journal->routes[i].n++;
}

int64_t journal_begin(struct journal *journal, const struct call *call)
{
    bool authorized = call_request_header(call, "Authorization") || call_request_header(call, "X-Api-Key");
    int64_t now_us = clock_wall_us();
    pthread_mutex_lock(&journal->lock);
    int64_t number = ++journal->last_number;
    journal->total++;
    if (++journal->in_flight > journal->max_in_flight)
        journal->max_in_flight = journal->in_flight;
    count_route(journal, call);
    struct entry *entry = &journal->entries[(uint64_t)number % KEPT];
    entry->number = number;
    entry->at_us = now_us;
    entry->status = 0;
    entry->authorized = authorized;
    snprintf(entry->method, sizeof entry->method, "%s", call->method);
    snprintf(entry->target, sizeof entry->target, "%s", call->target);
    pthread_mutex_unlock(&journal->lock);
    return number;
}

void journal_end(struct journal *journal, int64_t number, int status)
{
    pthread_mutex_lock(&journal->lock);
    journal->in_flight--;
    struct entry *entry = &journal->entries[(uint64_t)number % KEPT];
    if (entry->number == number)
        entry->status = status;
    pthread_mutex_unlock(&journal->lock);
}

int64_t journal_total(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    int64_t total = journal->total;
    pthread_mutex_unlock(&journal->lock);
    return total;
}

static bool entry_fits(const struct entry *entry, const char *glob)
{
    char line[TARGET_SIZE + 16];
    snprintf(line, sizeof line, "%s %s", entry->method, entry->target);
    return !glob || fnmatch(glob, line, 0) == 0;
}

/* The numbers of the newest fitting entries are found from the newest back, then written in their order. */
static void write_entries(struct journal *journal, struct out *out, const char *glob, size_t limit)
{
    int64_t oldest = journal->last_number - journal->total;
    if (oldest < journal->last_number - (int64_t)KEPT)
        oldest = journal->last_number - (int64_t)KEPT;
    int64_t from = journal->last_number + 1;
    for (size_t found = 0; from - 1 > oldest && found < limit; from--)
        found += entry_fits(&journal->entries[(uint64_t)(from - 1) % KEPT], glob);
    for (; from <= journal->last_number; from++) {
        const struct entry *entry = &journal->entries[(uint64_t)from % KEPT];
        if (!entry_fits(entry, glob))
            continue;
        char instant[INSTANT_TEXT_SIZE];
        instant_format(entry->at_us, instant);
        out_open(out, NULL, '{');
        out_int(out, "number", entry->number);
        out_text(out, "at", instant);
        out_text(out, "method", entry->method);
        out_text(out, "path", entry->target);
        out_int(out, "status", entry->status);
        out_bool(out, "authorized", entry->authorized);
        out_close(out, '}');
    }
}

void journal_write(struct journal *journal, struct out *out, const char *glob, size_t limit)
{
    pthread_mutex_lock(&journal->lock);
    out_int(out, "total", journal->total);
    out_int(out, "in_flight", journal->in_flight);
    out_int(out, "max_in_flight", journal->max_in_flight);
    out_open(out, "routes", '{');
    for (size_t i = 0; i < journal->n_routes; i++) {
        const struct route *route = journal->routes[i].route;
        char name[256];
        snprintf(name, sizeof name, "%s %s%s", route ? route->method : "?", journal->routes[i].prefix,
                 route ? route->pattern : "?");
        out_int(out, name, journal->routes[i].n);
    }
    out_close(out, '}');
    out_open(out, "requests", '[');
    write_entries(journal, out, glob, limit);
    out_close(out, ']');
    pthread_mutex_unlock(&journal->lock);
}

void journal_reset(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    journal->total = 0;
    journal->max_in_flight = journal->in_flight;
    journal->n_routes = 0;
    pthread_mutex_unlock(&journal->lock);
}
