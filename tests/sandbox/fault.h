/* fault.h - rules by which answers go wrong.
 *
 * A rule has a glob for "path" (and optionally "query", "sent" for the request's body, and "method"), may
 * skip its first matches and end after some, and sets what happens to a request instead of, or on top of, its
 * answer. The first rule that fits decides.
 */
#ifndef SANDBOX_FAULT_H
#define SANDBOX_FAULT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"
#include "tests/sandbox/out.h"

struct call;
struct faults;

enum fault_kind {
    FAULT_NONE,
    FAULT_DELAY,   /* the true answer, late */
    FAULT_HANG,    /* the true answer, once released */
    FAULT_CLOSE,   /* no answer, the connection is closed */
    FAULT_CUT,     /* the true answer's beginning, then the connection is closed */
    FAULT_DRIP,    /* the true answer, a few bytes at a time */
    FAULT_ANSWER,  /* another answer */
    FAULT_GARBAGE, /* 200 and something that is no JSON */
    FAULT_RETYPE,  /* the true answer under another content type */
    FAULT_HUGE,    /* 200 and a valid JSON document that has many bytes */
    FAULT_KIND_MAX
};

struct fault { /* what happens to one request; zeroed: nothing */
    enum fault_kind kind;
    int64_t delay_ms;
    int64_t bytes;             /* cut: sent of the body; huge: length; drip: each time, every delay_ms */
    bool chunked;              /* cut, huge: without Content-Length */
    bool made;                 /* answer, and cut or drip of one: the request is not carried out */
    int status;                /* made */
    int64_t retry_after_s;     /* made; -1: none */
    char *body, *content_type; /* made, retype; owned */
};
void fault_done(struct fault *fault);

struct faults *faults_new(void);
void faults_free(struct faults *faults);

/* faults_match: decides once per request, counting the match. */
void faults_match(struct faults *faults, const struct call *call, struct fault *ret);

/* faults_add: from the JSON of the control interface; *ret_id names the rule. faults_clear: one rule, or all
 * (0); false when there is none of that id. faults_list: writes all as an array. */
ATTR_NODISCARD enum err faults_add(struct faults *faults, const json_t *rule, int64_t *ret_id,
                                   struct why *why);
bool faults_clear(struct faults *faults, int64_t id);
void faults_list(struct faults *faults, struct out *out, const char *key);

#endif
