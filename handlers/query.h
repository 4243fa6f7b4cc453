/* query.h - reading a request's query, one parameter after the other.
 *
 * If a parameter is absent, *ret does not change. Every fault is recorded, and query_done answers 400 with
 * all of them; such a request has no effect.
 */
#ifndef RECONCILED_QUERY_H
#define RECONCILED_QUERY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;

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
/* query_refuse: records the parameter as invalid after it was read; `rule` as in query_text. */
void query_refuse(struct query *query, const char *name, const char *rule);
/* query_need: the parameter must be there; call it before reading it. */
void query_need(struct query *query, const char *name);
/* query_done: false: the request has been answered 400. */
bool query_done(struct query *query);

/* query_limit, query_after: the `limit` of a list, and its `after` if that is a number. */
void query_limit(struct query *query, size_t *ret);
void query_after(struct query *query, int64_t *ret);

/* page_read: the query parameters `limit` and `after` of a list. `after` is the number in `next` of an
 * earlier page; 0 when absent. False: the request has been answered 400. */
struct page {
    size_t limit;
    int64_t after;
};
bool page_read(struct request *request, struct page *ret);

#endif
