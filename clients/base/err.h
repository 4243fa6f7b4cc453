/* err.h - the one result enum of the program, the words that go with a failure, and compiler attributes.
 *
 * Every function that can fail returns `enum err` and is `nodiscard`. A failure that a person may read also
 * fills a `struct why`: a short sentence without secrets, SQL or remote bodies. Functions return errors; one
 * layer logs.
 *
 * Memory: small allocations go through mem_*(), which end the process when memory is out. Correctness never
 * depends on memory: a kill at any instant loses and repeats nothing. So ending the process is safe, and no
 * code has to handle the failure of a small allocation. Everything whose size comes from outside is bounded
 * (limits.h) before it is allocated.
 */
#ifndef RECONCILED_BASE_ERR_H
#define RECONCILED_BASE_ERR_H

#include <stddef.h>
#include <stdint.h>

#define ATTR_NODISCARD __attribute__((warn_unused_result))
#define ATTR_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define ATTR_CLEANUP(fn) __attribute__((cleanup(fn)))

enum err {
    ERR_OK,
    ERR_NOT_FOUND,   /* the thing asked for is not there */
    ERR_CONFLICT,    /* another writer changed it first */
    ERR_RETRY,       /* failed now, may be repeated as it is (serialization failure, deadlock, busy) */
    ERR_TIMEOUT,     /* no answer in time */
    ERR_UNAVAILABLE, /* cannot be reached */
    ERR_INVALID,     /* the input is invalid */
    ERR_INTERNAL,    /* our own fault, or an unexpected answer */
    ERR_MAX_
};

/* err_name: a stable lower-case word for logs and metrics ("not_found"). Never NULL. */
const char *err_name(enum err err);

/* struct why: words for a failure, always NUL-terminated, cut at a UTF-8 boundary when too long. */
struct why {
    char text[512];
};

/* why_set: formats into `why`, which may be NULL. Returns `err`, so that a failure reads `return why_set(why,
 * ERR_X, …)`. */
enum err why_set(struct why *why, enum err err, const char *fmt, ...) ATTR_PRINTF(3, 4);

/* mem_*: like calloc, realloc, strdup, strndup and asprintf, but never NULL: out of memory logs one line and
 * aborts. Free with free(). mem_dup of NULL is NULL. */
void *mem_zero(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *mem_grow(void *old, size_t count, size_t size) __attribute__((returns_nonnull));
char *mem_dup(const char *text) __attribute__((malloc));
char *mem_dupn(const char *text, size_t len) __attribute__((malloc, returns_nonnull));
char *mem_printf(const char *fmt, ...) ATTR_PRINTF(1, 2) __attribute__((malloc, returns_nonnull));

/* mem_free_p: for ATTR_CLEANUP on `char *` and other plain heap pointers. */
void mem_free_p(void *pointer_to_pointer);

#define AUTO_FREE ATTR_CLEANUP(mem_free_p)
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
