/* inquiry.h - the threads that answer questions which need an upstream, outside of any pass.
 *
 * An inquiry is looked at like a gate: its `look` is a function of facts in a book of its own, called again
 * whenever one came in, until it has an answer. One thread serves all such inquiries at once and waits in
 * none of their books, so that an upstream that hangs delays nobody but those who asked for it, and those no
 * longer than the upstream's time-out: then every fact is settled. An upstream that is asked one call at a
 * time has the other thread, which makes the calls of one inquiry after another.
 *
 * Equal questions share one inquiry: who asks for a key that is under way waits with the others. Each is
 * answered by a look that began after it asked.
 */
#ifndef RECONCILED_INQUIRY_H
#define RECONCILED_INQUIRY_H

#include <stdatomic.h>
#include <stdint.h>

#include "clients/base/err.h"

struct book;
struct fetch;
struct inquirer;

/* One of look and ask, and free. Both may touch the database; what they return is valid until their next
 * call. */
struct inquiry_kind {
    /* look: the answer; NULL while facts that it needs are pending (at least one must be). */
    const void *(*look)(void *subject, struct book *book);
    /* ask: the answer, by calls that end by deadline_ms (clock_mono_ms; it may have passed) and soon after
     * *stopping is set. */
    const void *(*ask)(void *subject, int64_t deadline_ms, const atomic_bool *stopping);
    void (*free)(void *subject);
};

/* inquirer_start: `timeout_ms` is what one inquiry may take. `fetch` must outlive it. */
ATTR_NODISCARD enum err inquirer_start(struct fetch *fetch, int64_t timeout_ms, struct inquirer **ret,
                                       struct why *why);

/* inquirer_stop: everyone who waits is told NULL, what comes later is refused; joins the threads.
 * inquirer_free: after it. NULL is fine. */
void inquirer_stop(struct inquirer *inquirer);
void inquirer_free(struct inquirer *inquirer);

/* inquirer_ask: from any thread. `done` is called exactly once, from another thread, with the answer, valid
 * until it returns, or NULL when the process stops; unless this returns ERR_UNAVAILABLE: stopping, or
 * LIMIT_INQUIRIES are under way. `key` NULL: shared with nobody. Takes `subject`, whatever happens. */
typedef void inquiry_done_fn(void *arg, const void *answer);
ATTR_NODISCARD enum err inquirer_ask(struct inquirer *inquirer, const char *key,
                                     const struct inquiry_kind *kind, void *subject_take,
                                     inquiry_done_fn *done, void *arg, struct why *why);

#endif
