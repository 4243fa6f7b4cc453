/* upstream_health.h - which calls to one upstream work: to its host as a whole, and to each part of it (a
 * repository of Gitea's, a project of Plane's).
 *
 * A failure delays its own part alone. The host is down when the newest calls to three of its parts (to both,
 * if two are in use) failed within UPSTREAM_WINDOW_MS and no call to it has succeeded since the first of
 * those failures; it is up again with the first call that succeeds, even if calls that were wanted before
 * that still fail. A part is in use while the newest call to it, or the newest upstream_health_want, is
 * younger than UPSTREAM_WINDOW_MS. With a single part in use the host is never down: the back-off of that
 * part is enough.
 *
 * A part backs off when several calls to it in a row have failed. A success in between starts the count
 * again, so that one object that always fails does not delay the others of its part. No back-off is longer
 * than UPSTREAM_BACKOFF_MAX_MS. Forced calls ignore it.
 *
 * This module counts and answers. It sends nothing: the fetcher asks it before each call and records the
 * result. In-memory only; losing it on restart is harmless. Times are those of clock_mono_ms() and are passed
 * in. Thread-safe.
 */
#ifndef RECONCILED_UPSTREAM_HEALTH_H
#define RECONCILED_UPSTREAM_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UPSTREAM_WINDOW_MS 60000
#define UPSTREAM_BACKOFF_FIRST_MS 1000
#define UPSTREAM_BACKOFF_MAX_MS 60000
#define UPSTREAM_FAILURES_IN_A_ROW 4u /* of one part, then it backs off */
#define UPSTREAM_PARTS_DOWN 3u        /* failing parts that make a host down */
#define UPSTREAM_PROBES 4u            /* calls that a pass may make to a host that is down */
#define UPSTREAM_PARTS_KEPT 1024u     /* beyond it, the least recently used part is dropped */

struct upstream_health;

/* upstream_health_new: no call was recorded yet, and the host counts as ok. It has one owner, and one more
 * for each upstream_health_ref; the last upstream_health_free frees it. NULL is fine for both. */
struct upstream_health *upstream_health_new(void) __attribute__((returns_nonnull));
struct upstream_health *upstream_health_ref(struct upstream_health *health);
void upstream_health_free(struct upstream_health *health);

/* `name` is that of a part: a repository, a project, …; two spellings are two parts. NULL: a call that
 * belongs to none, which counts as a part of its own. */

/* upstream_health_record: records the result of a call. `error` (short, without secrets; ignored when the
 * call worked) is copied. Returns upstream_view.ok. */
enum upstream_result {
    UPSTREAM_FAILED,
    UPSTREAM_WORKED,
    UPSTREAM_SILENT, /* failed without any answer: such a call may take all the time that a call may take */
};
bool upstream_health_record(struct upstream_health *health, const char *name, enum upstream_result result,
                            const char *error, int64_t now_ms);

enum upstream_permit {
    UPSTREAM_ASK,         /* go on */
    UPSTREAM_BACKING_OFF, /* calls to the part failed; wait until its back-off is over */
    UPSTREAM_DOWN,        /* the host is down: UPSTREAM_PROBES calls of a pass may go, to different parts */
};
/* upstream_health_permit: whether a call to the part may be sent now. The part counts as in use from now on.
 * When the back-off of a part is over, one call gets UPSTREAM_ASK and the others wait for one more back-off,
 * or for its success. */
enum upstream_permit upstream_health_permit(struct upstream_health *health, const char *name, bool forced,
                                            int64_t now_ms);

/* upstream_health_want: a call to the part waits for its turn; the part counts as in use from now on. */
void upstream_health_want(struct upstream_health *health, const char *name, int64_t now_ms);

bool upstream_health_is_down(struct upstream_health *health);

/* upstream_health_part: how the calls to one part went. */
#define UPSTREAM_ERROR_SIZE 160
#define UPSTREAM_NEVER INT64_MIN
struct upstream_part {
    int64_t worked_ms, failed_ms; /* the newest of each; UPSTREAM_NEVER. Probes go to the latest worked_ms */
    int64_t retry_ms;             /* when its back-off is over; 0: it is not backing off */
    unsigned failures, silent;    /* in a row; in a row and without any answer */
    char error[UPSTREAM_ERROR_SIZE]; /* of the newest failure; "" when the newest call worked */
};
void upstream_health_part(struct upstream_health *health, const char *name, struct upstream_part *ret);

/* The health for the status document. `ok` is false when the host is down, or when the newest call to every
 * part in use failed, not counting parts without a call; while no part is in use, `ok` does not change.
 * `error` is that of the newest failure, "" when ok. `failing` counts parts in use whose newest call failed.
 */
struct upstream_view {
    bool ok, down;
    int64_t since_us; /* wall clock: when `ok` changed last; 0: no call yet */
    size_t failing;
    unsigned in_a_row; /* the longest run of failures of such a part */
    char error[UPSTREAM_ERROR_SIZE];
};
void upstream_health_view(struct upstream_health *health, int64_t now_ms, struct upstream_view *ret);

/* upstream_health_failing: up to `max` parts in use whose newest call failed, the newest failure first, with
 * their errors. Returns how many were written. `part` is cut to its field. */
struct upstream_failing {
    char part[160], error[UPSTREAM_ERROR_SIZE];
    int64_t since_us; /* wall clock: of the first of its failures in a row */
};
size_t upstream_health_failing(struct upstream_health *health, int64_t now_ms, struct upstream_failing *ret,
                               size_t max);

#endif
