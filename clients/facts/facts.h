/* book.h - questions put to the outside during one pass, each asked once, and who waits for which answer.
 *
 * A gate is a pure function of facts. It looks a fact up with a function of gitea.h or http_gate.h; a fact
 * not yet known is asked for and comes back as FACT_PENDING, and the book notes who wanted it. When the
 * answer is in, book_next names each waiter once, and the gate is evaluated again from its beginning. Equal
 * questions share one exchange, whoever asked; nothing is asked twice within the life of a book.
 *
 * A book belongs to one thread. Facts live as long as the book.
 */
#ifndef RECONCILED_BOOK_H
#define RECONCILED_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"

struct book;
struct fetch;

enum fact_state {
    FACT_PENDING, /* asked, not answered yet */
    FACT_KNOWN,   /* answered; the fields beside it are valid */
    FACT_ABSENT,  /* the upstream says there is no such thing (404) */
    FACT_FAILED,  /* could not be learnt: `words` says why, for a person */
};

/* The head of every fact. */
struct fact {
    enum fact_state state;
    const char *
        words; /* FACT_FAILED and FACT_ABSENT: "Gitea timed out after 10 s", "Gitea answered 502 with HTML" */
    const char *url; /* what was asked, for a person; never holds a secret */
    bool unasked;    /* FACT_FAILED without a call: its upstream is left alone for now */
};

/* book_new: questions are answered FACT_FAILED once clock_mono_ms() has passed deadline_ms. `fetch` must
 * outlive it. */
struct book *book_new(struct fetch *fetch, int64_t deadline_ms);
/* book_asked_by: whom it asks for, see struct fetch_request. Without it the book is a pass of its own that no
 * person asked or waits for. Before the first question. */
struct book_asker {
    uint64_t pass;
    bool forced, waited_for;
};
void book_asked_by(struct book *book, const struct book_asker *asker);

/* book_gather: what is asked waits for the next book_next, so that the fetcher chooses among all of it.
 * Before the first question. */
void book_gather(struct book *book);

/* book_free: abandons what is under way. NULL is fine. */
void book_free(struct book *book);

/* book_bell: `ring(arg)` is called from another thread whenever an answer has come in that book_next has not
 * read yet, so that one thread can serve many books without waiting in any. It must only tell somebody, and
 * call nothing here. Before the first question. */
typedef void book_bell_fn(void *arg);
void book_bell(struct book *book, book_bell_fn *ring, void *arg);

/* book_waiter: whoever is named here (any non-NULL pointer) waits for the facts that are looked up from now
 * on. */
void book_waiter(struct book *book, void *who);

enum book_step { BOOK_READY, BOOK_NOTHING_YET, BOOK_ALL_ANSWERED };

/* book_next: BOOK_READY and a waiter that has at least one new answer; BOOK_NOTHING_YET when none came within
 * wait_ms; BOOK_ALL_ANSWERED when no question is under way and nobody is left to be named. */
enum book_step book_next(struct book *book, int64_t wait_ms, void **ret_waiter);

/* book_abort: every question under way fails soon. From any thread. */
void book_abort(struct book *book);

/* book_exchanges: HTTP requests sent so far, retries not counted. */
size_t book_exchanges(const struct book *book);

#endif
