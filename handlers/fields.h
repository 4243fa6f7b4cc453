/* fields.h - reading a request's body or query by a declaration of what may be in it.
 *
 * A handler lists its fields once: name, kind, bounds, where the value lands. What is not listed, has another
 * type or is out of bounds is named in `errors`, all of it at once, and the request changes nothing.
 */
#ifndef RECONCILED_FIELDS_H
#define RECONCILED_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;

enum field_kind {
    FIELD_BOOL, /* dest: bool * */
    FIELD_INT,  /* dest: int64_t * */
    FIELD_WORD, /* dest: int *: index into words */
};

struct field {
    const char *name; /* NULL ends a list */
    enum field_kind kind;
    bool nullable; /* null is the same as absent */
    void *dest;    /* left alone when absent */
    int64_t min, max;
    const char *const *words; /* NULL-terminated */
};

/* fields_read: `body` NULL is an empty object. False: *ret_errors is the array for answer_fields. */
bool fields_read(const json_t *body, const struct field *fields, json_t **ret_errors);

/* page_read: the query parameters `limit` and `after` of a list. `after` is the number that a `next` was made
 * of; 0 when absent. False: the request has been answered 400. */
struct page {
    size_t limit;
    int64_t after;
};
bool page_read(struct request *request, struct page *ret);

#endif
