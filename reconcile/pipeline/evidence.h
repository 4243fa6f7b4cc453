/* evidence.h - what was seen before a task was moved: at each gate of its stage, or of its issue in Plane.
 *
 * The program reads the fields. evidence_json is their only text: the ledger stores it, explain shows it, and
 * the order of its names is fixed. One thread at a time.
 */
#ifndef RECONCILED_EVIDENCE_H
#define RECONCILED_EVIDENCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconcile/pipeline/pipeline.h"
#include "reconcile/pipeline/side.h"

enum verdict_kind { VERDICT_PENDING, VERDICT_GREEN, VERDICT_RED, VERDICT_UNKNOWN, VERDICT_MAX_ };
/* verdict_name: "pending", "green", "red", "unknown". */
const char *verdict_name(enum verdict_kind kind);

/* Names, each once, and what was seen under each. */
struct evidence_list {
    struct evidence_item {
        char *name, *seen; /* seen NULL: nothing */
    } *items;
    size_t n;
    bool read; /* false: it is not part of the evidence; true: it is, even when it is empty */
};
/* evidence_list_put: copies both texts; a name that is there gets the new one. A list of LIMIT_EVIDENCE_ITEMS
 * names stays as it is. */
void evidence_list_put(struct evidence_list *list, const char *name, const char *seen);
/* evidence_list_has: whether that name is in the list. */
bool evidence_list_has(const struct evidence_list *list, const char *name);

struct gate_evidence {
    enum gate_kind gate;
    enum verdict_kind verdict;     /* VERDICT_PENDING: there was no answer, and none was needed */
    char *sha;                     /* the head that was looked at, or NULL */
    struct evidence_list contexts; /* ci: the state of each context that counts */
    struct evidence_list files;    /* files: of each path, one file that it holds */
    int64_t pull_request;          /* review, merged: its number; 0: it is not known */
    const char *pull_state;        /* its state: a constant */
    struct evidence_list reviews;  /* review: each person's last review */
    int64_t review;                /* review: the newest approval that counts; 0: none */
    bool has_url;                  /* the URL is part of the evidence; an unknown one as null */
    char *url;                     /* what was asked last */
    char *html_url;                /* its page for a person, or NULL; shown with the URL */
};

/* Texts are borrowed. */
struct issue_evidence {
    const char *issue;              /* its id */
    const char *state;              /* its state's name; NULL: the issue was not read, as for an interrupted
                                       start, and the next three are not part of the evidence */
    const char *activity;           /* the change that set the state, or NULL */
    int64_t changed_us, updated_us; /* 0: not known */
    const char *html_url;           /* its page for a person, or NULL */
    const char *branch, *base; /* of a start: the task's branch, or NULL, and the branch it is made from */
    bool branch_made;          /* by this start; false: the branch was there */
};

struct evidence {
    enum pass_side side; /* whose evidence it is; SIDE_BOTH: nothing was looked at */
    union {
        struct {
            struct gate_evidence *items; /* in the order of the stage's gates */
            size_t n;
        } gates;                     /* SIDE_GATE */
        struct issue_evidence issue; /* SIDE_PLANE */
    };
};
/* evidence_done: frees the gates' evidence. */
void evidence_done(struct evidence *evidence);

/* evidence_pull_request: the number of the first pull request in it; 0: none. */
int64_t evidence_pull_request(const struct evidence *evidence);

/* evidence_json: an array of one object a gate,
 * {"gate":"ci","sha":…,"contexts":{…},"url":…,"html_url":…,"verdict":…}, or the object of an issue,
 * {"source":"plane","issue":…,"state":…,…}. Caller owns it. */
json_t *evidence_json(const struct evidence *evidence);

#endif
