/* plane_world.h - what the stand-in Plane knows: one workspace, its projects with states, issues and their
 * activities, the keys that may ask, and the clock.
 *
 * A plain model without HTTP, as world.h is for Gitea: plane_load.c fills it, plane_change.c changes it,
 * plane.c shows it. The sandbox's lock is held exclusively for every access, reading or not: every call
 * of Plane counts against a limit, runs what was due and may set off what was scripted. Nothing is freed
 * before the whole is.
 *
 * Time is this machine's unless control took the clock in hand. What Celery does a moment after a change (the
 * activity row, the second move of updated_at) is kept as a task with the time when it is due, and done by
 * plane_settle before every read: no reader can distinguish that from its having been done in time.
 */
#ifndef SANDBOX_PLANE_WORLD_H
#define SANDBOX_PLANE_WORLD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/text.h"
#include "tests/sandbox/arena.h"
#include "tests/sandbox/map.h"
#include "tests/sandbox/limit.h"
#include "tests/sandbox/world.h"

#define PLANE_VERSION_DEFAULT "1.3.1"
#define PLANE_VERSION(major, minor, patch) ((major) * 10000 + (minor) * 100 + (patch))

enum plane_group {
    PLANE_BACKLOG,
    PLANE_UNSTARTED,
    PLANE_STARTED,
    PLANE_COMPLETED,
    PLANE_CANCELLED,
    PLANE_TRIAGE, /* never listed, and no issue in it is */
    PLANE_GROUP_MAX
};
extern const char *const plane_group_names[PLANE_GROUP_MAX];

struct plane_state {
    struct plane_project *project;
    struct uuid_text id;
    const char *name, *color;
    double sequence;
    enum plane_group group;
    bool is_default;
    int64_t created_us;
};

struct plane_activity {
    struct uuid_text id;
    const char *verb, *field; /* field NULL: the issue was created */
    const char *old_value, *new_value, *old_identifier, *new_identifier, *comment;
    int64_t created_us; /* when the task wrote it */
    int64_t epoch_s;    /* when the change was made */
};

struct plane_issue {
    struct plane_project *project;
    struct uuid_text id;
    int64_t number; /* sequence_id */
    const char *name, *html, *priority, *external_source, *external_id;
    struct plane_state *state;                                             /* NULL: none */
    int64_t created_us, updated_us, completed_us, archived_us, deleted_us; /* 0: never */
    bool draft;
    double sort_order;
    struct list activities; /* struct plane_activity, in the order in which they were written */
    char *shown;            /* JSON as it was last shown; NULL: to be made again */
    size_t shown_len;
    uint64_t shown_as; /* which fields, and whether expanded */
    int shown_zone_min;
};

enum plane_order { PLANE_BY_UPDATED, PLANE_BY_CREATED, PLANE_BY_NUMBER, PLANE_ORDER_MAX };

struct plane_project {
    struct plane *plane;
    struct uuid_text id;
    const char *identifier, *name;
    bool archived, deleted, stranger; /* stranger: the key's user is no member */
    struct list states;               /* struct plane_state, by sequence */
    struct list issues;               /* struct plane_issue, as they were made */
    struct map issues_by_number;
    int64_t last_number;
    struct plane_view { /* what a list shows, ascending */
        struct plane_issue **rows;
        bool fresh;
    } views[PLANE_ORDER_MAX];
    size_t n_visible;
};

struct plane_start { /* how it was started, and what a reset goes back to */
    const char *version, *key, *workspace;
};

struct plane_hook {
    struct uuid_text id;
    const char *url, *secret; /* url NULL: none */
    bool active, issue;       /* issue: that box is ticked */
    int64_t retries;          /* how often a delivery without any answer is tried again, at once */
};

struct plane {
    struct arena arena;
    struct plane_start start;
    const char *version_text;
    int version; /* PLANE_VERSION(…) */
    const char *workspace;
    struct uuid_text workspace_id, actor;
    struct limit limit;
    int zone_min; /* of the API user; a key may have its own */
    int64_t activity_delay_ms;
    bool shuffle; /* rows of equal keys change places from call to call */
    bool manual;  /* the clock moves only as control sets it */
    int64_t manual_us;
    struct list projects;
    struct map projects_by_id, projects_by_identifier, states, issues; /* states and issues by id */
    struct plane_hook hook;
    enum mail_mode mail_mode;
    int64_t n_lists; /* list calls of issues answered */
    struct plane_task *tasks;
    size_t n_tasks, tasks_size;
    int64_t next_due_us;     /* of the tasks; INT64_MAX: none */
    struct list later;       /* struct plane_later: scripted changes */
    int64_t later_failed;    /* of those that were due */
    struct why later_why;    /* of the last that failed */
    json_t *letters;         /* webhooks of the changes being made, see plane_mail.c */
    int64_t missed_inactive; /* webhooks not made because the hook was switched off */
};

struct plane_later {
    int64_t at_list; /* due when so many list calls have been answered */
    json_t *changes; /* owned; NULL: done */
};

struct plane *plane_new(const struct plane_start *start);
void plane_free(struct plane *plane);
/* plane_set_version: "1.3.1", "0.26" …; false when it is none. */
bool plane_set_version(struct plane *plane, const char *text);
int64_t plane_now_us(const struct plane *plane);

/* Looking things up; NULL when there is none. By id or by the name that people use ("ORCH", "ORCH-12"). */
struct plane_project *plane_project(const struct plane *plane, const char *name);
struct plane_issue *plane_issue(const struct plane *plane, const char *name);
struct plane_issue *plane_issue_number(const struct plane_project *project, int64_t number);
struct plane_state *plane_state(const struct plane_project *project, const char *name);
/* plane_visible: neither archived nor a draft, deleted, in triage, or of a project that is archived. */
bool plane_visible(const struct plane_issue *issue);

/* plane_slice: rows [from, to) of what a list of this order shows, into `ret_rows`; the caller has checked
 * the bounds against plane_count. `seed` decides how equal keys fall. */
size_t plane_count(struct plane_project *project);
void plane_slice(struct plane_project *project, enum plane_order order, bool descending, size_t from,
                 size_t to, uint64_t seed, struct plane_issue **ret_rows);

/* Making. An issue made here has no activity but, when `created_row`, the one of its creation. */
struct plane_project *plane_add_project(struct plane *plane, const char *identifier, const char *id);
struct plane_state *plane_add_state(struct plane_project *project, const char *name, enum plane_group group,
                                    const char *id);
struct plane_issue *plane_add_issue(struct plane_project *project, int64_t number, const char *id,
                                    int64_t created_us);

/* plane_touch: `issue` was changed at `at_us`; what was kept of it is dropped. plane_listed_anew: the same
 * for all orders, when it may have come or gone. */
void plane_touch(struct plane_issue *issue, int64_t at_us);
void plane_listed_anew(struct plane_project *project);
/* plane_record: the activity of a change made at `at_us`, written (and updated_at moved again) after the
 * delay. Texts are copied. */
void plane_record(struct plane_issue *issue, int64_t at_us, const struct plane_activity *given);
/* plane_move: puts the issue into a state, with its activity, where Plane writes one: as the web does, an API
 * key's request, one for no state (null), or Plane's nightly closing. */
enum plane_mover { PLANE_BY_WEB, PLANE_BY_API, PLANE_BY_API_NULL, PLANE_BY_AUTOMATION };
void plane_move(struct plane_issue *issue, struct plane_state *state, int64_t at_us, enum plane_mover by);
/* plane_settle: does what has become due. */
void plane_settle(struct plane *plane);

#endif
