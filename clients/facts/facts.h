/* facts.h - the requests to upstreams during one pass, each sent once, and the waiters for each answer.
 *
 * A gate is a pure function of facts. It looks a fact up with a function of gitea.h or http_gate.h; a fact
 * that is not known yet is requested and returned as FACT_PENDING, and the fact set records the waiter. When
 * the answer has arrived, facts_wait returns each waiter once, and the gate is evaluated again from its
 * beginning. Equal requests of all waiters share one exchange; a fact set sends no request twice.
 *
 * A fact set belongs to one thread. Facts live as long as the fact set.
 */
#ifndef RECONCILED_FACTS_H
#define RECONCILED_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"

struct facts;
struct fetch;

enum fact_state {
    FACT_PENDING, /* asked, not answered yet */
    FACT_KNOWN,   /* answered; the fields beside it are valid */
    FACT_ABSENT,  /* the upstream has no such thing (404) */
    FACT_FAILED,  /* could not be read: `error` is the reason, for a person */
};

/* The head of every fact. */
struct fact {
    enum fact_state state;
    const char *
        error; /* FACT_FAILED and FACT_ABSENT: "Gitea timed out after 10 s", "Gitea answered 502 with HTML" */
    const char *url; /* what was asked, for a person; never holds a secret */
    bool unasked;    /* FACT_FAILED without a call: the upstream is being left alone for now */
};

/* facts_new: requests are answered FACT_FAILED once clock_mono_ms() has passed deadline_ms. `fetch` must
 * outlive it. */
struct facts *facts_new(struct fetch *fetch, int64_t deadline_ms);
/* facts_asked_by: sets on whose behalf requests are sent; see struct fetch_request. Without it the fact set
 * counts as a pass of its own, not requested by a person. Call it before the first request. */
struct facts_asker {
    uint64_t pass;
    bool forced, waited_for;
};
void facts_asked_by(struct facts *facts, const struct facts_asker *asker);

/* facts_gather: from now on requests wait for the next facts_wait, so that the fetcher can choose among all
 * of them. Call it before the first request. */
void facts_gather(struct facts *facts);

/* facts_free: abandons requests under way. NULL is fine. */
void facts_free(struct facts *facts);

/* facts_on_ready: `on_ready(arg)` is called from another thread whenever an answer arrives that facts_wait
 * has not read yet, so that one thread can serve many fact sets without waiting in a single one. It must only
 * wake a thread, and call no function of this header. Call it before the first request. */
typedef void facts_ready_fn(void *arg);
void facts_on_ready(struct facts *facts, facts_ready_fn *on_ready, void *arg);

/* facts_subscribe: sets the current waiter (any non-NULL pointer): it waits for every fact that is looked up
 * from now on. */
void facts_subscribe(struct facts *facts, void *who);

enum facts_step { FACTS_READY, FACTS_NOTHING_YET, FACTS_ALL_ANSWERED };

/* facts_wait: FACTS_READY and a waiter that has at least one new answer; FACTS_NOTHING_YET when no answer
 * arrived within wait_ms (-1: no limit); FACTS_ALL_ANSWERED when no request is under way and every waiter was
 * returned. */
enum facts_step facts_wait(struct facts *facts, int64_t wait_ms, void **ret_waiter);

/* facts_run: facts_wait until all requests are answered. `on_ready` gets each waiter that has a new answer,
 * and may ask for more; `on_idle` (may be NULL) is called when none came within idle_ms. Once the fetcher is
 * stopped every request fails at once, so that this returns. */
struct facts_loop {
    void (*on_ready)(void *arg, void *waiter);
    void (*on_idle)(void *arg);
    int64_t idle_ms;
    void *arg;
};
void facts_run(struct facts *facts, const struct facts_loop *loop);

/* facts_exchanges: HTTP requests sent so far, retries not counted. */
size_t facts_exchanges(const struct facts *facts);

#endif
