/* book_question.h - how a kind of question is put into a book: gitea*.c and http_gate.c are written against
 * this.
 *
 * A question is a struct of the asker's own that begins with struct question and holds the fact that callers
 * see. It is made pending by book_question, may take several exchanges and other questions, and is settled
 * once.
 */
#ifndef RECONCILED_BOOK_QUESTION_H
#define RECONCILED_BOOK_QUESTION_H

#include "clients/facts/facts.h"
#include "clients/http/fetch.h"

/* Memory that is given back all at once. arena_*: zeroed, never NULL. */
struct arena {
    struct arena_block *blocks;
    size_t bytes; /* given out */
};
void *arena_zero(struct arena *arena, size_t count, size_t size) __attribute__((returns_nonnull));
char *arena_text(struct arena *arena, const char *text); /* NULL gives NULL */
char *arena_printf(struct arena *arena, const char *fmt, ...) ATTR_PRINTF(2, 3)
    __attribute__((returns_nonnull));
void arena_done(struct arena *arena);

struct question;
typedef void question_fn(struct book *book, void *arg);

struct question {
    struct question *next_same_hash;
    uint64_t hash;
    const char *key;
    struct fact *fact;
    struct question_waiter *waiters, **waiters_end; /* in the order they asked */
    const struct waiter *last_waiter;
    struct question_after *afters, **afters_end;
};

/* book_question: the question of that key, made of `size` zeroed bytes when *ret_new. The maker must point
 * `fact` at its fact, which is pending, before anything else. */
struct question *book_question(struct book *book, const char *key, size_t size, bool *ret_new);

/* book_wait: the waiter of the moment waits for it, if it is pending. */
void book_wait(struct book *book, struct question *question);

/* book_after: runs fn(book, arg) once the question is settled; at once if it is. */
void book_after(struct book *book, struct question *question, question_fn *fn, void *arg);

/* book_settle: the fact is in, as `state`; `words` (in the book's arena or static) go with all but
 * FACT_KNOWN. Once. */
void book_settle(struct book *book, struct question *question, enum fact_state state, const char *words);

/* book_send: asks the outside, by the deadline and on behalf of the book's asker; what names these in
 * `request` is ignored. `answered` is called once, with an answer that is valid until it returns. A POST is
 * sent once at most; one without an answer may have been carried out. */
typedef void book_answered_fn(struct book *book, void *arg, const struct fetch_answer *answer);
void book_send(struct book *book, const struct fetch_request *request, book_answered_fn *answered, void *arg);

struct arena *book_arena(struct book *book);

/* Rows of a list that is still growing; zeroed at first. They live as long as the book, or until book_drop.
 * book_keep: counts what `rows` has grown by. False: the list takes more than its share of what all books may
 * keep; it is to be dropped. A short list is refused only when nothing is left at all, so that long ones do
 * not cost the others their answers. */
struct book_rows {
    struct arena arena;
    size_t counted;
    bool known; /* to its book */
    struct book_rows *next;
};
ATTR_NODISCARD bool book_keep(struct book *book, struct book_rows *rows);
void book_drop(struct book *book, struct book_rows *rows);

#endif
