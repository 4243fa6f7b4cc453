/* issues.h - a double of plane.h: projects and issues are what the test sets, pages are cut as Plane cuts
 * them, and rows move when the test moves them.
 *
 * A test program that links this and the archive gets these functions instead of the real ones. A project is
 * named by its uuid. Issues have the id that issues_id gives their number.
 */
#ifndef RECONCILED_DOUBLES_ISSUES_H
#define RECONCILED_DOUBLES_ISSUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/plane/plane.h"

/* issues_clear: no project, no call made, a budget without end. */
void issues_clear(void);

/* A state of a project. Its id is issues_state_id of its name. */
void issues_state(const char *project, const char *name);
/* issues_state_drop_all: as of an archived project. */
void issues_state_drop_all(const char *project);
void issues_state_rename(const char *project, const char *name, const char *to);
const char *issues_state_id(const char *name);

/* issues_put: makes the issue, or moves it, touched at that time. `state` is a name; NULL: as it was.
 * issues_drop: it is gone. */
const char *issues_id(int64_t number);
void issues_put(const char *project, int64_t number, const char *state, int64_t updated_us);
void issues_drop(const char *project, int64_t number);
/* The newest change of its state. `activity` is borrowed; `state` is a name. */
void issues_change(const char *project, int64_t number, const char *activity, const char *state,
                   int64_t at_us);
/* issues_odd: the row cannot be read, and why; NULL: it can be read again. */
void issues_odd(const char *project, int64_t number, const char *wrong);
/* issues_change_page: that change is on this page of its activities, from 0. */
void issues_change_page(const char *project, int64_t number, size_t page);
/* Rows of equal times change places from page to page. */
void issues_shuffle(bool shuffle);

/* issues_left: so many calls before PLANE_WAITING; a forced call has `reserve` more. */
void issues_left(size_t left, size_t reserve);
/* issues_fail: the next `n` calls of a project (NULL: of all) come to that. */
void issues_fail(const char *project, enum plane_result result, size_t n);
/* issues_break: every call about that one issue comes to that; PLANE_OK: it works again. issues_patience:
 * after so many failures the pass has no time left: PLANE_STOPPED, until the next plane_call_begin. */
void issues_break(const char *project, int64_t number, enum plane_result result);
void issues_patience(size_t n);
/* issues_probes: how often it was asked whether Plane is up. issues_probed: the next time it will be up
 * again. */
size_t issues_probes(void);
void issues_probed(void);
/* issues_hook: called before each call is answered. */
void issues_hook(void (*hook)(void *arg), void *arg);

/* issues_newest_project: of the newest call. */
const char *issues_newest_project(void);

/* issues_calls: calls made since issues_clear; of one kind: "states", "page", "issue", "change". */
size_t issues_calls(void);
size_t issues_calls_of(const char *kind);

#endif
