/* facts.h - requests put to the outside during one pass, each asked once, and who waits for which answer.
 *
 * A gate is a pure function of facts. It looks a fact up with a function of gitea.h or http_gate.h; a fact
 * not yet known is asked for and comes back as FACT_PENDING, and the fact set notes who wanted it. When the
 * answer is in, facts_wait names each waiter once, and the gate is evaluated again from its beginning. Equal
 * requests share one exchange, from any waiter; nothing is asked twice within the life of a fact set.
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
    bool unasked;    /* FACT_FAILED without a call: its upstream is left alone for now */
};

/* facts_new: requests are answered FACT_FAILED once clock_mono_ms() has passed deadline_ms. `fetch` must
 * outlive it. */
struct facts *facts_new(struct fetch *fetch, int64_t deadline_ms);
/* facts_asked_by: whom it asks for, see struct fetch_request. Without it the fact set is a pass of its own
 * that no person asked or waits for. Before the first request. */
struct facts_asker {
    uint64_t pass;
    bool forced, waited_for;
};
void facts_asked_by(struct facts *facts, const struct facts_asker *asker);

/* facts_gather: what is asked waits for the next facts_wait, so that the fetcher chooses among all of it.
 * Before the first request. */
void facts_gather(struct facts *facts);

/* facts_free: abandons what is under way. NULL is fine. */
void facts_free(struct facts *facts);

/* facts_on_ready: `on_ready(arg)` is called from another thread whenever an answer has come in that
 * facts_wait has not read yet, so that one thread can serve many fact sets without waiting in any. It must
 * only wake a thread, and call nothing here. Before the first request. */
typedef void facts_ready_fn(void *arg);
void facts_on_ready(struct facts *facts, facts_ready_fn *on_ready, void *arg);

/* facts_subscribe: the waiter named here (any non-NULL pointer) waits for the facts that are looked up from
 * now on. */
void facts_subscribe(struct facts *facts, void *who);

enum facts_step { FACTS_READY, FACTS_NOTHING_YET, FACTS_ALL_ANSWERED };

/* facts_wait: FACTS_READY and a waiter that has at least one new answer; FACTS_NOTHING_YET when none came
 * within wait_ms (-1: for ever); FACTS_ALL_ANSWERED when no request is under way and no waiter is left to be
 * named. */
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
