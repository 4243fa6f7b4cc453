#include "reconcile/sweep/report_log.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "reconcile/heal/report.h"

struct kept {
    char *id;
    int64_t started_us;
    char *text; /* JSON: far smaller than the tree */
    size_t len;
};

struct report_log {
    pthread_mutex_t lock;
    struct kept kept[LIMIT_PASSES_KEPT]; /* oldest first */
    size_t n;
};

struct report_log *report_log_new(void)
{
    struct report_log *reports = mem_zero(1, sizeof *reports);
    pthread_mutex_init(&reports->lock, NULL);
    return reports;
}

static void kept_done(struct kept *kept)
{
    free(kept->id);
    free(kept->text);
}

void report_log_free(struct report_log *reports)
{
    if (!reports)
        return;
    for (size_t i = 0; i < reports->n; i++)
        kept_done(&reports->kept[i]);
    pthread_mutex_destroy(&reports->lock);
    free(reports);
}

static json_t *kept_json(const struct kept *kept)
{
    json_t *report = json_loadb(kept->text, kept->len, 0, NULL);
    if (!report)
        abort();
    return report;
}

static void kept_drop_items(struct kept *kept)
{
    json_t *report = kept_json(kept);
    json_t *items = json_object_get(report, "items");
    json_int_t left_out = json_get_int(report, "items_left_out", 0) + (json_int_t)json_array_size(items);
    json_put(report, "items_left_out", json_integer(left_out));
    json_put(report, "items", json_array());
    free(kept->text);
    kept->text = json_line(report);
    kept->len = strlen(kept->text);
    json_decref(report);
}

static void fit_bytes(struct report_log *reports)
{
    size_t bytes = 0;
    for (size_t i = reports->n; i-- > 0;) {
        bytes += reports->kept[i].len;
        if (bytes > LIMIT_REPORTS_BYTES && i + 1 < reports->n) {
            bytes -= reports->kept[i].len;
            kept_drop_items(&reports->kept[i]);
            bytes += reports->kept[i].len;
        }
    }
}

static void remove_at(struct report_log *reports, size_t at)
{
    kept_done(&reports->kept[at]);
    memmove(&reports->kept[at], &reports->kept[at + 1], (reports->n - at - 1) * sizeof reports->kept[0]);
    reports->n--;
}

void report_log_put(struct report_log *reports, const json_t *report)
{
    struct kept kept = {.id = mem_dup(json_get_text(report, "id", "")), .text = json_line(report)};
    kept.len = strlen(kept.text);
    if (!instant_parse(json_get_text(report, "started_at", ""), &kept.started_us))
        kept.started_us = clock_wall_us();
    pthread_mutex_lock(&reports->lock);
    for (size_t i = 0; i < reports->n; i++)
        if (strcmp(reports->kept[i].id, kept.id) == 0) {
            remove_at(reports, i);
            break;
        }
    if (reports->n == LIMIT_PASSES_KEPT)
        remove_at(reports, 0);
    reports->kept[reports->n++] = kept;
    fit_bytes(reports);
    pthread_mutex_unlock(&reports->lock);
}

json_t *report_log_get(struct report_log *reports, const char *id)
{
    json_t *report = NULL;
    pthread_mutex_lock(&reports->lock);
    for (size_t i = 0; i < reports->n && !report; i++)
        if (strcmp(reports->kept[i].id, id) == 0)
            report = kept_json(&reports->kept[i]);
    pthread_mutex_unlock(&reports->lock);
    return report;
}

json_t *report_log_list(struct report_log *reports, int64_t before_us, size_t limit)
{
    json_t *list = json_array();
    pthread_mutex_lock(&reports->lock);
    for (size_t i = reports->n; i-- > 0 && json_array_size(list) < limit;) {
        const struct kept *kept = &reports->kept[i];
        if (before_us && kept->started_us >= before_us)
            continue;
        json_t *summary = report_summary_read(kept->text);
        assert(summary); /* written by report_log_put */
        json_push(list, summary);
    }
    pthread_mutex_unlock(&reports->lock);
    return list;
}
