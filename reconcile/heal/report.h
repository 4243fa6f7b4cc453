/* report.h - what a pass found and did: the counters and items of the contract's pass report. One thread.
 *
 * A report owns everything that it holds, so it outlives the pass. Inside the process callers read its
 * fields; report_json makes the document for an answer, standard output or the database.
 */
#ifndef RECONCILED_REPORT_H
#define RECONCILED_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "clients/base/arena.h"
#include "clients/base/text.h"
#include "reconcile/heal/pass_request.h"

/* The states of a pass: "state" in its report. */
enum pass_state { PASS_QUEUED, PASS_RUNNING, PASS_DONE, PASS_INTERRUPTED, PASS_FAILED, PASS_STATE_MAX_ };
const char *pass_state_name(enum pass_state state);

/* What keeps a task back whose outcome is OUTCOME_HELD. */
enum held_by { HELD_BY_HOLD, HELD_BY_LIMIT, HELD_BY_MODE, HELD_BY_REPLAY, HELD_BY_SWITCH, HELD_BY_MAX_ };
/* held_by_name: "hold", …: the word of the metric. */
const char *held_by_name(enum held_by by);

/* One task or issue, and its outcome. Texts may be NULL. */
struct report_item {
    int64_t task_id; /* 0: there is none yet */
    const char *work_item_id, *stage, *to_stage;
    const char *verdict; /* "green", "red", "unknown" */
    const char *reason;
    enum outcome outcome;
    enum pass_side side; /* set by report_gate_item and report_plane_item */
};

/* What the Plane side could not ask about because it had no calls or no time left. */
struct report_waiting {
    size_t projects, issues; /* both 0: nothing waits */
    int64_t seconds;         /* until Plane may be asked again, as of the end of the pass; 0: not known */
    char reason[256];
};

struct report {
    struct uuid_text id;
    struct pass_request request;
    enum pass_state state;
    int64_t started_us, duration_ms;
    size_t candidates, resting;      /* gate side: stuck tasks; of these, those that are looked at later */
    size_t projects, issues, errors; /* Plane side */
    size_t unreadable;               /* rows of issues */
    struct report_waiting waiting;
    size_t gate[OUTCOME_MAX_], plane[OUTCOME_MAX_];
    size_t held[HELD_BY_MAX_]; /* of both sides, by what keeps them back */
    size_t stuck, unknown_stage;
    int64_t oldest_age_s;
    struct report_item *items; /* at most LIMIT_PASS_ITEMS, and LIMIT_REPORT_ITEMS_BYTES of texts */
    size_t n_items, items_left_out, items_bytes;
    struct arena texts; /* of the items */
    char *error;        /* why the whole pass failed; NULL when it did not */
};

/* report_begin: an empty report of a pass that began at started_us. report_done: frees what it holds. */
void report_begin(struct report *report, const char *id, const struct pass_request *request,
                  int64_t started_us);
void report_done(struct report *report);

/* report_gate_item, report_plane_item: count the item and copy it into the report while there is room. */
void report_gate_item(struct report *report, const struct report_item *item);
void report_plane_item(struct report *report, const struct report_item *item);

/* report_count: the items of this outcome, of both sides. */
size_t report_count(const struct report *report, enum outcome outcome);

/* report_head: a copy without the items. Free with report_done. */
struct report report_head(const struct report *report);

/* report_json: the whole report. report_summary: the same without its items. Caller owns the document.
 * report_text: the whole report as one line, as the database stores it; caller frees. report_summary_read:
 * the summary from such a text; its first LIMIT_REPORT_HEAD characters are enough, because the items are the
 * last member. NULL when the text is not such a report. */
json_t *report_json(const struct report *report);
json_t *report_summary(const struct report *report);
char *report_text(const struct report *report);
json_t *report_summary_read(const char *text);

#endif
