/* report.h - what a pass found and did: the counters and items of the contract's pass report. One thread. */
#ifndef RECONCILED_REPORT_H
#define RECONCILED_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "reconcile/heal/pass_request.h"

/* The life of a pass, as its report's "state" says it. */
enum pass_state { PASS_QUEUED, PASS_RUNNING, PASS_DONE, PASS_INTERRUPTED, PASS_FAILED, PASS_STATE_MAX_ };
const char *pass_state_name(enum pass_state state);

struct report {
    const char *id; /* borrowed */
    const struct pass_request *request;
    enum pass_state state;
    int64_t started_us, duration_ms;
    size_t candidates;               /* gate side */
    size_t projects, issues, errors; /* Plane side */
    size_t gate[OUTCOME_MAX_], plane[OUTCOME_MAX_];
    size_t stuck, unknown_stage;
    int64_t oldest_age_s;
    json_t *items; /* at most LIMIT_PASS_ITEMS, and LIMIT_REPORT_ITEMS_BYTES; the counters count all */
    size_t items_left_out, items_bytes;
    char *error; /* why the whole pass failed; NULL when it did not */
};

/* report_begin: an empty report that starts now. report_done: frees what it holds. */
void report_begin(struct report *report, const char *id, const struct pass_request *request);
void report_done(struct report *report);

/* One task or issue, and what became of it. Texts are copied; NULL ones become null. */
struct report_item {
    int64_t task_id; /* 0: there is none yet */
    const char *work_item_id, *stage, *to_stage;
    const char *verdict; /* "green", "red", "unknown" */
    const char *reason;
    enum outcome outcome;
};
void report_gate_item(struct report *report, const struct report_item *item);
void report_plane_item(struct report *report, const struct report_item *item);

/* report_json: the whole report. Caller owns it. report_summary: the same without its items (`last_pass`).
 * report_summary_read: the same from the report's text, of which LIMIT_REPORT_HEAD characters are enough: the
 * items are the last member. NULL when that is no report of ours. */
json_t *report_json(const struct report *report);
json_t *report_summary(const json_t *report_document);
json_t *report_summary_read(const char *text);

#endif
