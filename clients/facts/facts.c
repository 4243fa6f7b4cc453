#include "clients/facts/facts.h"

#include <assert.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/facts/fact_source.h"
#include "clients/http/fetch.h"

/* arena */

#define ARENA_BLOCK ((size_t)32 * 1024)
#define ARENA_FIRST_BLOCK ((size_t)512)

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    _Alignas(max_align_t) char bytes[];
};

void *arena_zero(struct arena *arena, size_t count, size_t size)
{
    size_t wanted;
    if (__builtin_mul_overflow(count, size, &wanted) || wanted > SIZE_MAX / 2)
        abort(); /* every count here is that of something already in memory */
    wanted = (wanted + _Alignof(max_align_t) - 1) / _Alignof(max_align_t) * _Alignof(max_align_t);
    struct arena_block *block = arena->blocks;
    if (!block || block->size - block->used < wanted) {
        size_t usual = block ? 2 * block->size : ARENA_FIRST_BLOCK;
        usual = usual < ARENA_BLOCK ? usual : ARENA_BLOCK;
        size_t bytes = wanted > usual ? wanted : usual;
        block = mem_zero(1, sizeof *block + bytes);
        block->size = bytes;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *memory = block->bytes + block->used;
    block->used += wanted;
    arena->bytes += wanted;
    return memory;
}

char *arena_text(struct arena *arena, const char *text)
{
    if (!text)
        return NULL;
    size_t size = strlen(text) + 1;
    return memcpy(arena_zero(arena, 1, size), text, size);
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    size_t size = (size_t)(len > 0 ? len : 0) + 1;
    char *text = arena_zero(arena, 1, size);
    vsnprintf(text, size, fmt, again);
    va_end(again);
    return text;
}

void arena_done(struct arena *arena)
{
    struct arena_block *next;
    for (struct arena_block *block = arena->blocks; block; block = next) {
        next = block->next;
        free(block);
    }
    *arena = (struct arena){.blocks = NULL};
}

/* the book */

/* Somebody who waits. In `ready` at most once, however many of its facts came in. */
struct waiter {
    struct waiter *next_same_hash, *next_ready;
    void *who;
    bool is_ready;
};

struct question_waiter {
    struct question_waiter *next;
    struct waiter *waiter;
};

struct question_after {
    struct question_after *next;
    question_fn *fn;
    void *arg;
};

struct exchange {
    book_answered_fn *answered;
    void *arg;
};

struct book {
    struct fetch *fetch;
    struct fetch_inbox *inbox;
    int64_t deadline_ms;
    struct book_asker asker;
    bool unasked; /* what is settled now is settled by an answer that was never asked for */
    atomic_bool aborted;
    struct arena arena;
    struct book_rows *rows; /* of all lists */
    size_t exchanges;

    struct question **questions; /* hash tables; n_* buckets, a power of two */
    size_t n_questions, n_question_buckets;
    struct waiter **waiters;
    size_t n_waiters, n_waiter_buckets;

    struct waiter *current;
    struct waiter *ready, **ready_end;
};

#define FIRST_BUCKETS 256u

struct book *book_new(struct fetch *fetch, int64_t deadline_ms)
{
    struct book *book = mem_zero(1, sizeof *book);
    book->fetch = fetch;
    book->inbox = fetch_inbox_new(fetch);
    book->deadline_ms = deadline_ms;
    book->n_question_buckets = book->n_waiter_buckets = FIRST_BUCKETS;
    book->questions = mem_zero(FIRST_BUCKETS, sizeof(struct question *));
    book->waiters = mem_zero(FIRST_BUCKETS, sizeof(struct waiter *));
    book->ready_end = &book->ready;
    return book;
}

void book_free(struct book *book)
{
    if (!book)
        return;
    fetch_inbox_free(book->inbox);
    free(book->questions);
    free(book->waiters);
    for (struct book_rows *rows = book->rows; rows; rows = rows->next)
        book_drop(book, rows);
    arena_done(&book->arena);
    free(book);
}

void book_asked_by(struct book *book, const struct book_asker *asker)
{
    book->asker = *asker;
}

void book_gather(struct book *book)
{
    fetch_gather(book->inbox);
}

void book_bell(struct book *book, book_bell_fn *ring, void *arg)
{
    fetch_inbox_bell(book->inbox, ring, arg);
}

void book_abort(struct book *book)
{
    atomic_store(&book->aborted, true);
    fetch_inbox_abort(book->inbox);
}

size_t book_exchanges(const struct book *book)
{
    return book->exchanges;
}

struct arena *book_arena(struct book *book)
{
    return &book->arena;
}

/* what is kept of lists */

bool book_keep(struct book *book, struct book_rows *rows)
{
    if (!rows->known) {
        rows->known = true;
        rows->next = book->rows;
        book->rows = rows;
    }
    size_t more = rows->arena.bytes - rows->counted, kept = fetch_keep(book->fetch, more);
    rows->counted = rows->arena.bytes;
    if (rows->counted <= LIMIT_KEPT_SHORT)
        return kept <= LIMIT_KEPT_BYTES;
    size_t others = kept - rows->counted; /* never less: what is counted was kept */
    return others < LIMIT_KEPT_LONG_BYTES &&
           rows->counted <= (LIMIT_KEPT_LONG_BYTES - others) / LIMIT_KEPT_SHARE;
}

void book_drop(struct book *book, struct book_rows *rows)
{
    fetch_unkeep(book->fetch, rows->counted);
    rows->counted = 0;
    arena_done(&rows->arena);
}

/* waiters */

static uint64_t hash_pointer(const void *pointer)
{
    uint64_t x = (uint64_t)(uintptr_t)pointer * 0x9e3779b97f4a7c15u;
    return x ^ x >> 32;
}

static void waiters_grow(struct book *book)
{
    size_t n = 2 * book->n_waiter_buckets;
    struct waiter **larger = mem_zero(n, sizeof(struct waiter *));
    for (size_t i = 0; i < book->n_waiter_buckets; i++) {
        struct waiter *next;
        for (struct waiter *waiter = book->waiters[i]; waiter; waiter = next) {
            next = waiter->next_same_hash;
            struct waiter **bucket = &larger[hash_pointer(waiter->who) & (n - 1)];
            waiter->next_same_hash = *bucket;
            *bucket = waiter;
        }
    }
    free(book->waiters);
    book->waiters = larger;
    book->n_waiter_buckets = n;
}

void book_waiter(struct book *book, void *who)
{
    assert(who);
    struct waiter **bucket = &book->waiters[hash_pointer(who) & (book->n_waiter_buckets - 1)];
    struct waiter *waiter = *bucket;
    while (waiter && waiter->who != who)
        waiter = waiter->next_same_hash;
    if (!waiter) {
        waiter = arena_zero(&book->arena, 1, sizeof *waiter);
        waiter->who = who;
        waiter->next_same_hash = *bucket;
        *bucket = waiter;
        if (++book->n_waiters > book->n_waiter_buckets)
            waiters_grow(book);
    }
    book->current = waiter;
}

void book_wait(struct book *book, struct question *question)
{
    if (question->fact->state != FACT_PENDING || !book->current)
        return;
    if (question->last_waiter == book->current)
        return;
    struct question_waiter *entry = arena_zero(&book->arena, 1, sizeof *entry);
    entry->waiter = book->current;
    *question->waiters_end = entry;
    question->waiters_end = &entry->next;
    question->last_waiter = book->current;
}

static void waiter_ready(struct book *book, struct waiter *waiter)
{
    if (waiter->is_ready)
        return;
    waiter->is_ready = true;
    waiter->next_ready = NULL;
    *book->ready_end = waiter;
    book->ready_end = &waiter->next_ready;
}

static struct waiter *waiter_take(struct book *book)
{
    struct waiter *waiter = book->ready;
    if (waiter) {
        book->ready = waiter->next_ready;
        if (!book->ready)
            book->ready_end = &book->ready;
        waiter->is_ready = false;
    }
    return waiter;
}

/* questions */

static uint64_t hash_text(const char *text) /* FNV-1a */
{
    uint64_t hash = 14695981039346656037u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash;
}

static void questions_grow(struct book *book)
{
    size_t n = 2 * book->n_question_buckets;
    struct question **larger = mem_zero(n, sizeof(struct question *));
    for (size_t i = 0; i < book->n_question_buckets; i++) {
        struct question *next;
        for (struct question *question = book->questions[i]; question; question = next) {
            next = question->next_same_hash;
            struct question **bucket = &larger[question->hash & (n - 1)];
            question->next_same_hash = *bucket;
            *bucket = question;
        }
    }
    free(book->questions);
    book->questions = larger;
    book->n_question_buckets = n;
}

struct question *book_question(struct book *book, const char *key, size_t size, bool *ret_new)
{
    assert(size >= sizeof(struct question));
    uint64_t hash = hash_text(key);
    struct question **bucket = &book->questions[hash & (book->n_question_buckets - 1)];
    for (struct question *question = *bucket; question; question = question->next_same_hash)
        if (question->hash == hash && strcmp(question->key, key) == 0) {
            *ret_new = false;
            return question;
        }
    struct question *question = arena_zero(&book->arena, 1, size);
    question->hash = hash;
    question->key = arena_text(&book->arena, key);
    question->waiters_end = &question->waiters;
    question->afters_end = &question->afters;
    question->next_same_hash = *bucket;
    *bucket = question;
    if (++book->n_questions > book->n_question_buckets)
        questions_grow(book);
    *ret_new = true;
    return question;
}

void book_after(struct book *book, struct question *question, question_fn *fn, void *arg)
{
    if (question->fact->state != FACT_PENDING) {
        fn(book, arg);
        return;
    }
    struct question_after *after = arena_zero(&book->arena, 1, sizeof *after);
    after->fn = fn;
    after->arg = arg;
    *question->afters_end = after;
    question->afters_end = &after->next;
}

void book_settle(struct book *book, struct question *question, enum fact_state state, const char *words)
{
    assert(question->fact->state == FACT_PENDING && state != FACT_PENDING);
    question->fact->state = state;
    question->fact->words = state == FACT_KNOWN ? NULL : words;
    question->fact->unasked = book->unasked && state == FACT_FAILED;
    for (struct question_waiter *entry = question->waiters; entry; entry = entry->next)
        waiter_ready(book, entry->waiter);
    question->waiters = NULL;
    struct question_after *after = question->afters;
    question->afters = NULL;
    for (; after; after = after->next)
        after->fn(book, after->arg);
}

/* exchanges */

void book_send(struct book *book, const struct fetch_request *request, book_answered_fn *answered, void *arg)
{
    if (atomic_load(&book->aborted)) {
        const struct fetch_answer stopped = {.result = FETCH_ABORTED, .words = "stopped"};
        answered(book, arg, &stopped);
        return;
    }
    struct exchange *exchange = arena_zero(&book->arena, 1, sizeof *exchange);
    exchange->answered = answered;
    exchange->arg = arg;
    book->exchanges++;
    struct fetch_request sent = *request;
    sent.deadline_ms = book->deadline_ms;
    sent.pass = book->asker.pass;
    sent.forced = book->asker.forced;
    sent.waited_for = book->asker.waited_for;
    sent.tag = exchange;
    fetch_send(book->inbox, &sent);
    if (atomic_load(&book->aborted)) /* between the look above and the sending */
        fetch_inbox_abort(book->inbox);
}

enum book_step book_next(struct book *book, int64_t wait_ms, void **ret_waiter)
{
    int64_t until_ms = clock_mono_ms() + wait_ms;
    for (;;) {
        struct waiter *waiter = waiter_take(book);
        if (waiter) {
            *ret_waiter = waiter->who;
            book->current = waiter;
            return BOOK_READY;
        }
        if (fetch_pending(book->inbox) == 0)
            return BOOK_ALL_ANSWERED;
        int64_t left_ms = until_ms - clock_mono_ms();
        struct fetch_answer *answer = fetch_take(book->inbox, left_ms > 0 ? left_ms : 0);
        if (!answer)
            return BOOK_NOTHING_YET;
        struct exchange *exchange = answer->tag;
        book->unasked = answer->result == FETCH_NOT_ASKED;
        exchange->answered(book, exchange->arg, answer);
        book->unasked = false;
        fetch_answer_free(answer);
    }
}
