#include "reconcile/plane/plane_unstarted.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/base/wait.h"
#include "clients/store/store.h"

struct begun {
    char *plane_id;                     /* NULL: another's task, without an issue */
    int64_t task_id;                    /* 0: not known yet */
    int64_t failed_ms;                  /* its newest failure */
    struct plane_unstarted_start start; /* except retry_ms */
};

struct plane_unstarted {
    pthread_mutex_t lock; /* guards the rest */
    struct begun *items;  /* the one that failed last is last */
    size_t n;
};

struct plane_unstarted *plane_unstarted_new(void)
{
    struct plane_unstarted *unstarted = mem_zero(1, sizeof *unstarted);
    pthread_mutex_init(&unstarted->lock, NULL);
    return unstarted;
}

void plane_unstarted_free(struct plane_unstarted *unstarted)
{
    if (!unstarted)
        return;
    for (size_t i = 0; i < unstarted->n; i++)
        free(unstarted->items[i].plane_id);
    free(unstarted->items);
    pthread_mutex_destroy(&unstarted->lock);
    free(unstarted);
}

/* An id of a task may be used again for another one. */
static bool is_of(const struct begun *begun, const struct store_task *task)
{
    if (begun->plane_id)
        return task->plane_id && strcasecmp(begun->plane_id, task->plane_id) == 0;
    return !task->plane_id && begun->task_id == task->id;
}

/* Where it is; n: nowhere. */
static size_t place_of(const struct plane_unstarted *unstarted, const struct store_task *task)
{
    size_t at = 0;
    while (at < unstarted->n && !is_of(&unstarted->items[at], task))
        at++;
    return at;
}

static struct begun take_out(struct plane_unstarted *unstarted, size_t at)
{
    struct begun taken = unstarted->items[at];
    memmove(&unstarted->items[at], &unstarted->items[at + 1],
            (unstarted->n - at - 1) * sizeof *unstarted->items);
    unstarted->n--;
    return taken;
}

static void put_last(struct plane_unstarted *unstarted, struct begun begun)
{
    unstarted->items = mem_grow(unstarted->items, unstarted->n + 1, sizeof *unstarted->items);
    unstarted->items[unstarted->n++] = begun;
}

void plane_unstarted_begun(struct plane_unstarted *unstarted, const char *plane_id)
{
    const struct store_task task = {.plane_id = (char *)(uintptr_t)plane_id};
    pthread_mutex_lock(&unstarted->lock);
    if (unstarted->n < LIMIT_UNSTARTED && place_of(unstarted, &task) == unstarted->n)
        put_last(unstarted, (struct begun){.plane_id = mem_dup(plane_id)});
    pthread_mutex_unlock(&unstarted->lock);
}

void plane_unstarted_failed(struct plane_unstarted *unstarted, const struct store_task *task,
                            const char *error, int64_t now_ms)
{
    pthread_mutex_lock(&unstarted->lock);
    size_t at = place_of(unstarted, task);
    if (at < unstarted->n || unstarted->n < LIMIT_UNSTARTED) {
        struct begun begun =
            at < unstarted->n ? take_out(unstarted, at) : (struct begun){.plane_id = mem_dup(task->plane_id)};
        begun.task_id = task->id;
        begun.start.failures++;
        begun.failed_ms = now_ms;
        AUTO_FREE char *cut = text_cut(error, sizeof begun.start.error - 1);
        snprintf(begun.start.error, sizeof begun.start.error, "%s", cut);
        put_last(unstarted, begun);
    }
    pthread_mutex_unlock(&unstarted->lock);
}

void plane_unstarted_ended(struct plane_unstarted *unstarted, const struct store_task *task)
{
    pthread_mutex_lock(&unstarted->lock);
    size_t at = place_of(unstarted, task);
    if (at < unstarted->n)
        free(take_out(unstarted, at).plane_id);
    pthread_mutex_unlock(&unstarted->lock);
}

static int64_t retry_ms(const struct begun *begun, int64_t interval_ms)
{
    int64_t most_ms = interval_ms > LIMIT_FAILURE_REST_MS ? interval_ms : LIMIT_FAILURE_REST_MS;
    if (begun->start.failures == 0)
        return 0;
    return begun->failed_ms + backoff_ms(interval_ms / 2, most_ms, begun->start.failures - 1);
}

size_t plane_unstarted_due(struct plane_unstarted *unstarted, bool forced, int64_t interval_ms,
                           int64_t now_ms, char ***ret)
{
    size_t n = 0;
    pthread_mutex_lock(&unstarted->lock);
    char **due = mem_zero(unstarted->n, sizeof *due);
    for (size_t i = 0; i < unstarted->n; i++)
        if (unstarted->items[i].plane_id && (forced || retry_ms(&unstarted->items[i], interval_ms) <= now_ms))
            due[n++] = mem_dup(unstarted->items[i].plane_id);
    pthread_mutex_unlock(&unstarted->lock);
    *ret = due;
    return n;
}

void plane_unstarted_keep(struct plane_unstarted *unstarted, char *const *due, size_t n_due,
                          const struct store_task *tasks, size_t n_tasks)
{
    for (size_t i = 0; i < n_due; i++) {
        const struct store_task wanted = {.plane_id = due[i]};
        bool there = false;
        for (size_t k = 0; k < n_tasks && !there; k++)
            there = tasks[k].plane_id && strcasecmp(tasks[k].plane_id, due[i]) == 0;
        if (!there)
            plane_unstarted_ended(unstarted, &wanted);
    }
}

bool plane_unstarted_get(struct plane_unstarted *unstarted, const struct store_task *task,
                         int64_t interval_ms, struct plane_unstarted_start *ret)
{
    pthread_mutex_lock(&unstarted->lock);
    size_t at = place_of(unstarted, task);
    bool known = at < unstarted->n;
    if (known) {
        *ret = unstarted->items[at].start;
        ret->retry_ms = retry_ms(&unstarted->items[at], interval_ms);
    }
    pthread_mutex_unlock(&unstarted->lock);
    return known;
}

size_t plane_unstarted_count(struct plane_unstarted *unstarted, char **ret_error)
{
    pthread_mutex_lock(&unstarted->lock);
    size_t n = unstarted->n;
    const char *error = n ? unstarted->items[n - 1].start.error : "";
    *ret_error = *error ? mem_dup(error) : NULL;
    pthread_mutex_unlock(&unstarted->lock);
    return n;
}
