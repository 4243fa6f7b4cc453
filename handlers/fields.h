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
    const char *const *choices; /* NULL-terminated */
};

/* fields_read: `body` NULL is an empty object. False: *ret_errors is the array for answer_fields. */
bool fields_read(const json_t *body, const struct field *fields, json_t **ret_errors);

/* A query's parameters, read one by one: what is wrong is noted, all of it, and query_done answers 400 naming
 * each. An absent parameter leaves *ret alone. */
struct query {
    struct request *request;
    json_t *errors; /* NULL while there are none */
};
void query_int(struct query *query, const char *name, int64_t min, int64_t max, int64_t *ret);
void query_bool(struct query *query, const char *name, bool *ret); /* "true" or "false" */
/* query_text: `rule` is the error for a text that is not valid, "must be …". The text lives as long as the
 * request. */
void query_text(struct query *query, const char *name, bool (*valid)(const char *text), const char *rule,
                const char **ret);
/* query_refuse: the parameter is not valid after all; `rule` as for query_text. */
void query_refuse(struct query *query, const char *name, const char *rule);
/* query_need: the parameter must be there; call it before reading it. */
void query_need(struct query *query, const char *name);
/* query_done: false: the request has been answered 400. */
bool query_done(struct query *query);

/* query_limit, query_after: the `limit` of a list; its `after`, where that is a number that a `next` was made
 * of. */
void query_limit(struct query *query, size_t *ret);
void query_after(struct query *query, int64_t *ret);

/* page_read: the query parameters `limit` and `after` of a list. `after` is the number that a `next` was made
 * of; 0 when absent. False: the request has been answered 400. */
struct page {
    size_t limit;
    int64_t after;
};
bool page_read(struct request *request, struct page *ret);

#endif
