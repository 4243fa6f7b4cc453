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
    struct uuid_text id;
    int64_t started_us;
    size_t n_items;
    char *text; /* report_text: far smaller than the fields */
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

void report_log_free(struct report_log *reports)
{
    if (!reports)
        return;
    for (size_t i = 0; i < reports->n; i++)
        free(reports->kept[i].text);
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
    json_auto_t *document = report_summary_read(kept->text);
    json_int_t left_out = json_get_int(document, "items_left_out", 0) + (json_int_t)kept->n_items;
    json_put(document, "items_left_out", json_integer(left_out));
    json_put(document, "items", json_array());
    free(kept->text);
    kept->text = json_line(document);
    kept->len = strlen(kept->text);
    kept->n_items = 0;
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

static void remove_oldest(struct report_log *reports)
{
    free(reports->kept[0].text);
    reports->n--;
    memmove(&reports->kept[0], &reports->kept[1], reports->n * sizeof reports->kept[0]);
}

void report_log_put(struct report_log *reports, const struct report *report)
{
    struct kept kept = {.id = report->id,
                        .started_us = report->started_us,
                        .n_items = report->n_items,
                        .text = report_text(report)};
    kept.len = strlen(kept.text);
    pthread_mutex_lock(&reports->lock);
    if (reports->n == LIMIT_PASSES_KEPT)
        remove_oldest(reports);
    reports->kept[reports->n++] = kept;
    fit_bytes(reports);
    pthread_mutex_unlock(&reports->lock);
}

json_t *report_log_get(struct report_log *reports, const char *id)
{
    json_t *report = NULL;
    pthread_mutex_lock(&reports->lock);
    for (size_t i = 0; i < reports->n && !report; i++)
        if (strcmp(reports->kept[i].id.s, id) == 0)
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
